"""What a deletion takes with it, as the part of the diagram that loses rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dj_panel.apps.diagram import edges_of, nodes_of
from dj_panel.apps.graph_view import GraphView, Status, arrange
from dj_panel.apps.services.counting import Count
from dj_panel.apps.services.deleting import Preview
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.words import say, say_many

__all__ = ["GoingGraph"]

_LOWEST, _HIGHEST = 380, 700
_LEGEND = 180  # px of the legend, the buttons and the margins
_SCALE = 0.42  # at which counts can be read


class GoingGraph:
    """The tables that lose rows, and in grey the ones beside them that keep all of theirs.

    Parameters
    ----------
    tables
        All tables of the pipeline, parents before children.
    """

    def __init__(self, tables: Sequence[TableInfo]) -> None:
        self._tables = {table.name: table for table in tables if table.master is None}
        self._parts = {table.name: table for table in tables if table.master is not None}
        self.view = GraphView(
            label=say("The tables that lose rows; the list of rows that go says the same"),
            read_only=True,
            sizing_mode="stretch_width",
            height=_LOWEST,
        )

    def shown(self, preview: Preview) -> list[str]:
        """Return the tables of the picture: those that lose rows, what they refer to and what refers to them."""
        going = self._going(preview)
        near = set(going)
        for edge in edges_of(list(self._tables.values()), self._parts):
            if edge["source"] in going or edge["target"] in going:
                near |= {edge["source"], edge["target"]}
        return [name for name in self._tables if name in near]

    def show(self, preview: Preview, totals: Mapping[str, Count | None]) -> None:
        """Draw what goes.

        Parameters
        ----------
        preview
            What goes.
        totals
            How many rows the tables of the picture have; ``None`` where it is not known.
        """
        shown = [self._tables[name] for name in self.shown(preview)]
        going = self._going(preview)
        placed = arrange(nodes_of(shown, self._parts), edges_of(shown, self._parts))
        tall = max((box["y"] + box["height"] for box in (*placed["nodes"], *placed["groups"])), default=0)
        self.view.height = int(min(max(_LEGEND + _SCALE * tall, _LOWEST), _HIGHEST))
        # A drawing of the same tables stays where it is: only its numbers change.
        self.view.param.update(
            **{name: value for name, value in placed.items() if getattr(self.view, name) != value},
            status={table.name: _status(going.get(table.name), totals.get(table.name)) for table in shown},
            selected=next((g.table for g in preview.going if g.is_chosen and g.table in self._tables), ""),
        )

    def _going(self, preview: Preview) -> dict[str, int]:
        """Return how many rows of each table of the diagram go; a table whose parts alone lose rows has 0."""
        found: dict[str, int] = {}
        for going in preview.going:
            if going.table in self._tables:
                found[going.table] = going.number
            elif going.table in self._parts:
                found.setdefault(self._parts[going.table].master or "", 0)
        return {name: number for name, number in found.items() if name in self._tables}


def _status(number: int | None, total: Count | None) -> Status:
    if number is None:
        return Status(count=say("all stay") if total is None else _stay(total), muted=True)
    if number == 0:
        return Status(count=say("rows of parts go"))
    if total is None or (total.is_capped and number > total.number):
        return Status(count=say_many("{n} goes", "{n} go", number))
    # Rows may have come between the two counts.
    there = Count(max(total.number, number), total.is_capped)
    return Status(count=say_many("{n} of {total} goes", "{n} of {total} go", number, total=there.text))


def _stay(total: Count) -> str:
    if not total.number:
        return say("no rows")
    return say("its row stays") if total.number == 1 else say("all {total} stay", total=total.text)
