"""What a form is made of: its fields and pickers in order, and a grid for each part table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dj_panel.apps.fields import Field, describe_field, words_of
from dj_panel.apps.pickers import Picker, describe_pickers

if TYPE_CHECKING:  # the services import this module
    from dj_panel.apps.services.structure import TableInfo

__all__ = ["Form", "Grid", "counter_of", "describe_form", "given_by_master"]


@dataclass(frozen=True)
class Grid:
    """A part table, entered as rows under its master.

    Parameters
    ----------
    table
        Its name in the application.
    label, comment
        What it is called, and what its definition says.
    columns
        What is entered in each row; the attributes of the master are not.
    given
        The part's attributes that come from the master: ours → the master's.
    counter
        The attribute that numbers the rows; empty if none does.
    blocker
        Why no row can be entered; empty if it can.
    """

    table: str
    label: str
    comment: str
    columns: tuple[Field | Picker, ...]
    given: dict[str, str]
    counter: str
    blocker: str

    def as_message(self) -> dict[str, Any]:
        """Return the facts as the browser takes them."""
        return {
            **{n: getattr(self, n) for n in ("table", "label", "comment", "given", "counter", "blocker")},
            "columns": [_item(column) for column in self.columns],
        }


@dataclass(frozen=True)
class Form:
    """A table that people fill in, with its parts.

    Parameters
    ----------
    table
        Its name in the application.
    label
        Its name without the schema.
    items
        Fields and pickers, those of the key first, then in the order of the definition.
    key
        The primary key.
    counter
        The last attribute of the key if it is a number of its own; empty otherwise.
    grids
        The parts.
    blocker
        Why no row can be entered; empty if it can.
    """

    table: str
    label: str
    items: tuple[Field | Picker, ...]
    key: tuple[str, ...]
    counter: str
    grids: tuple[Grid, ...]
    blocker: str

    def as_message(self) -> dict[str, Any]:
        """Return the facts as the browser takes them."""
        return {
            **{n: getattr(self, n) for n in ("table", "label", "key", "counter", "blocker")},
            "items": [_item(item) for item in self.items],
            "grids": [grid.as_message() for grid in self.grids],
        }


def describe_form(info: TableInfo, table: Callable[[str], TableInfo]) -> Form:
    """Return the form of a table.

    Parameters
    ----------
    info
        The table; not a part.
    table
        Gives a table by its name, for the parts.
    """
    items = _items(info, (), table)
    return Form(
        table=info.name,
        label=info.label,
        items=items,
        key=info.primary_key,
        counter=counter_of(info),
        grids=tuple(_describe_grid(table(name), table) for name in info.parts),
        blocker=_blocker(items),
    )


def _can_create(parent: TableInfo) -> bool:
    return parent.can_enter and parent.master is None


def given_by_master(info: TableInfo) -> dict[str, str]:
    """Return the attributes that a part takes from its master, each with its name there."""
    link = next((link for link in info.parents if link.table == info.master), None)
    if link is None:
        return {}
    return dict(zip(link.foreign_key.attributes, link.foreign_key.parent_attributes, strict=True))


def counter_of(info: TableInfo) -> str:
    """Return the last attribute of the key if it is a number that no parent gives, else an empty text."""
    if not info.primary_key:
        return ""
    last = info.attribute(info.primary_key[-1])
    is_own = info.parent_of(last.name) is None and not last.autoincrement
    return last.name if is_own and last.column_type.kind == "integer" and last.codec is None else ""


def _describe_grid(info: TableInfo, table: Callable[[str], TableInfo]) -> Grid:
    given = given_by_master(info)
    columns = _items(info, tuple(given), table)
    return Grid(
        table=info.name,
        label=words_of(info.class_name.rpartition(".")[2]),
        comment=info.comment,
        columns=columns,
        given=given,
        counter=counter_of(info),
        blocker=_blocker(columns),
    )


def _items(
    info: TableInfo, given: tuple[str, ...], table: Callable[[str], TableInfo]
) -> tuple[Field | Picker, ...]:
    """Return fields and pickers in order: a picker stands where its first own attribute would."""
    pickers = [
        replace(picker, can_create=_can_create(table(picker.table)))
        for picker in describe_pickers(info, given=given)
    ]
    items: list[Field | Picker] = []
    for attribute in info.attributes:
        if attribute.name in given:
            continue
        items += [p for p in pickers if p not in items and attribute.name in (p.own or p.attributes)]
        if not any(attribute.name in picker.attributes for picker in pickers):
            items.append(describe_field(attribute))
    items += [picker for picker in pickers if picker not in items]
    return tuple(items)


def _blocker(items: tuple[Field | Picker, ...]) -> str:
    for item in items:
        if isinstance(item, Field) and item.kind == "none" and item.is_required:
            return f"{item.label}: {item.explanation}"
    return ""


def _item(item: Field | Picker) -> dict[str, Any]:
    return {"type": "picker" if isinstance(item, Picker) else "field", **item.as_message()}
