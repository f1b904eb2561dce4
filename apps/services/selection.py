"""What to ask for so that every cell of a table can be shown: never what is large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.services.cells import Cell, Plan, cell_of, plan_of
from dj_panel.apps.services.structure import TableInfo

__all__ = ["Selection", "select_cells", "unused_name"]


@dataclass(frozen=True)
class Selection:
    """What to ask for.

    Parameters
    ----------
    plans
        For each attribute, how its cells are made.
    contents, sizes
        For each attribute, under which names its content and size come; empty for what is not asked for.
    computed
        Expressions, by the names of what they give.
    """

    plans: tuple[Plan, ...]
    contents: tuple[str, ...]
    sizes: tuple[str, ...]
    computed: Mapping[str, str]

    @property
    def has_heads(self) -> bool:
        """Whether the beginnings of inline values are asked for, which some servers read whole for that."""
        return any(self.sizes)

    def without_heads(self) -> Selection:
        """Return a selection that leaves inline values alone."""
        dropped = {c for c, s in zip(self.contents, self.sizes, strict=True) if s} | set(self.sizes)
        contents = tuple("" if s else c for c, s in zip(self.contents, self.sizes, strict=True))
        computed = {name: text for name, text in self.computed.items() if name not in dropped}
        return Selection(self.plans, contents, ("",) * len(self.plans), computed)

    def projected(self, query: Any) -> Any:
        """Return a query of just this."""
        plain = [p.attribute.name for p in self.plans if p.attribute.name in self.contents]
        return query.proj(*plain, **self.computed)

    @property
    def names(self) -> dict[str, str]:
        """Under which name the content of each attribute comes."""
        return {p.attribute.name: c for p, c in zip(self.plans, self.contents, strict=True)}

    def order_by(self, order: Any) -> list[str] | None:
        """Return pairs of attribute and direction as the projected query takes them."""
        names = self.names
        return [f"{names[a.name]} DESC" if down else names[a.name] for a, down in order] or None

    def cells(
        self, row: Mapping[str, Any], key: Mapping[str, Any], config: Any, *, full: bool
    ) -> tuple[Cell, ...]:
        """Return the cells of a row that the projected query gave."""
        return tuple(
            cell_of(plan, row[content], row[size] if size else None, key, config, full=full)
            if content
            else Cell(f"<{plan.attribute.codec or 'bytes'}>", "value")
            for plan, content, size in zip(self.plans, self.contents, self.sizes, strict=True)
        )


def select_cells(info: TableInfo) -> Selection:
    """Return what to ask for to show all cells of a table."""
    plans = tuple(plan_of(attribute) for attribute in info.attributes)
    computed: dict[str, str] = {}
    contents, sizes = [], []
    for number, plan in enumerate(plans):
        content, size = plan.attribute.name, ""
        if plan.content and not plan.attribute.in_key:
            content = unused_name(info, f"content_{number}")
            computed[content] = plan.content
        if plan.size:
            size = unused_name(info, f"size_{number}")
            computed[size] = plan.size
        contents.append(content)
        sizes.append(size)
    return Selection(plans, tuple(contents), tuple(sizes), computed)


def unused_name(info: TableInfo, name: str) -> str:
    """Return a name for a computed attribute that the table does not use itself."""
    taken = {attribute.name for attribute in info.attributes}
    while name in taken:
        name += "_"
    return name
