"""The diagram: every table and how it depends on others, with its progress, live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import panel as pn
import param
from panel.viewable import Viewable

from dj_panel.apps.diagram_html import (
    CSS,
    LIST_CSS,
    PANEL_CSS,
    RowsText,
    hint_html,
    list_html,
    panel_html,
    tools_html,
)
from dj_panel.apps.graph_view import Edge, EdgeStyle, GraphView, Node, Status, arrange
from dj_panel.apps.live import Action, LiveHtml, LivePage
from dj_panel.apps.routes import Route
from dj_panel.apps.services.counting import Count
from dj_panel.apps.services.restrictions import NOT_HERE
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.apps.services.watching import TableStatus
from dj_panel.apps.status import schema_order, table_route
from dj_panel.core.words import marked, say

__all__ = ["DiagramPage", "edges_of", "nodes_of", "status_of"]

_SEPARATOR = ","


class DiagramPage(LivePage):
    """All tables as a diagram, or as a list for those who would rather read.

    The address holds the selected table (``focus``), the schemas shown (``schemas``), how many steps around
    the selected table are shown (``steps``), what is searched for (``find``) and the form (``view=list``).
    Restrictions that follow the visitor restrict the counts.
    """

    title = marked("Diagram")
    fills_window = True

    async def load(self) -> Viewable:
        """Place the tables and build the page."""
        self._tables = {table.name: table for table in self.visit.services.tables() if table.master is None}
        self._parts = {
            table.name: table for table in self.visit.services.tables() if table.master is not None
        }
        self._schemas = schema_order(list(self._tables.values()))
        self._placed: tuple[str, ...] = ()
        self._restrictions: Mapping[str, str] = {}
        self._notes: dict[str, dict[str, str]] = {}
        self._matching: dict[str, Count | None] = {}
        self._n_rows: dict[str, int] = {}
        self._is_counting = False
        await self.status_now()
        self._read(self.visit.route)
        self._graph = GraphView(label=say("Diagram of the tables"))
        self._tools = LiveHtml(self._act, stylesheets=[CSS])
        self._panel = LiveHtml(
            self._act, stylesheets=[CSS, PANEL_CSS], sizing_mode="stretch_height", width=288
        )
        self._list = LiveHtml(self._act, stylesheets=[CSS, LIST_CSS], sizing_mode="stretch_both")
        # The panel has its place before anything is selected: what moved would escape a double click.
        self._stage = pn.Row(
            self._graph,
            self._list,
            self._panel,
            sizing_mode="stretch_both",
            margin=0,
            styles={"position": "relative", "min-height": "360px", "gap": "12px"},
        )
        self._apply()
        self._watchers = [
            self._graph.param.watch(self.guard(self._selected), "selected"),
            # An opening of the table that was opened last is no change of the value.
            self._graph.param.watch(self.guard(self._opened), "opened", onlychanged=False),
        ]
        self.follow()
        return pn.Column(
            self._tools, self._stage, sizing_mode="stretch_both", margin=0, styles={"gap": "12px"}
        )

    async def update(self, route: Route) -> bool:
        """Show another selection or filter in place."""
        self._read(route)
        self.soon(self._apply)
        return True

    def close(self) -> None:
        """Stop following the status and the diagram."""
        super().close()
        for watcher in getattr(self, "_watchers", []):
            self._graph.param.unwatch(watcher)

    # ------------------------------------------------------------------ the address
    def _read(self, route: Route) -> None:
        query = route.query
        wanted = query.get("schemas", "").split(_SEPARATOR)
        self._chosen = [schema for schema in self._schemas if schema in wanted] or list(self._schemas)
        focus = query.get("focus", "")
        self._focus = focus if focus in self._tables else self._parts_master(focus)
        self._find = query.get("find", "")[:200]
        steps = query.get("steps", "")
        self._steps = int(steps) if steps in ("1", "2", "3") else 0
        self._is_list = query.get("view") == "list"
        self._restrict(route.restrictions)

    def _restrict(self, restrictions: Mapping[str, str]) -> None:
        """Count the rows that match from now on; what was counted under other restrictions is forgotten."""
        if restrictions == self._restrictions:
            return
        self._restrictions = dict(restrictions)
        self._notes = self.visit.services.counting.notes([*self._tables, *self._parts], restrictions)
        self._matching, self._n_rows = {}, {}
        self.restricted = {
            name: _why_nowhere([notes[name] for notes in self._notes.values() if name in notes])
            for name in restrictions
        }

    def _parts_master(self, name: str) -> str:
        part = self._parts.get(name)
        return (part.master or "") if part is not None else ""

    def _write(self) -> None:
        """Write what is shown into the address."""
        is_all = self._chosen == self._schemas
        self.visit.replace(
            Route("diagram").with_query(
                focus=self._focus or None,
                schemas=None if is_all else _SEPARATOR.join(self._chosen),
                steps=str(self._steps) if self._steps else None,
                find=self._find or None,
                view="list" if self._is_list else None,
            )
        )

    # ------------------------------------------------------------------ showing
    def _apply(self) -> None:
        """Show what the address says."""
        shown = self._shown()
        key = tuple(table.name for table in shown)
        if key != self._placed:
            self._placed = key
            placed = arrange(nodes_of(shown, self._parts), edges_of(shown, self._parts))
            self._graph.param.update(**placed)
        if self._graph.selected != self._focus:
            self._graph.selected = self._focus if self._focus in key else ""
        self._graph.highlight = self._found(shown) if self._find else []
        self._graph.visible = not self._is_list
        self._list.visible = self._is_list
        self.show()

    def _shown(self) -> list[TableInfo]:
        tables = [table for table in self._tables.values() if table.schema in self._chosen]
        if not (self._steps and self._focus):
            return tables
        pairs = [(edge["source"], edge["target"]) for edge in edges_of(tables, self._parts)]
        near = {self._focus}
        for start, end in ((1, 0), (0, 1)):
            reached = {self._focus}
            for _ in range(self._steps):
                reached |= {ends[end] for ends in pairs if ends[start] in reached}
            near |= reached
        return [table for table in tables if table.name in near]

    def _found(self, shown: Sequence[TableInfo]) -> list[str]:
        """Return the tables that have every word of the search in name, comment, parts or attributes."""
        words = self._find.lower().split()

        def text(table: TableInfo) -> str:
            names = [table.name, table.comment, *table.parts, *(a.name for a in table.attributes)]
            return " ".join(names).lower()

        return [table.name for table in shown if all(word in text(table) for word in words)]

    def show(self) -> None:
        """Show the latest status: counts, bars and badges, and nothing that moves."""
        statuses = self.snapshot.tables
        told = {name: self._rows(name) for name in statuses}
        self._graph.status = {
            name: status_of(statuses[name], told[name]) for name in self._placed if name in statuses
        }
        shown = [self._tables[name] for name in self._placed]
        found = self._found(shown) if self._find else None
        self._tools.html = tools_html(
            self._schemas,
            self._chosen,
            find=self._find,
            n_found=None if found is None else len(found),
            steps=self._steps,
            focus=self._tables.get(self._focus),
            is_list=self._is_list,
            problem=self.snapshot.problem_text,
            is_restricted=bool(self._restrictions),
        )
        focus = self._tables.get(self._focus)
        self._panel.html = (
            panel_html(focus, statuses, self._parts, told)
            if focus is not None
            else hint_html(shown, statuses)
        )
        self._panel.visible = not self._is_list
        self._list.html = list_html(shown, statuses, found, told) if self._is_list else ""
        if not self._is_counting and self._uncounted():
            self._is_counting = True
            self.start(self._count(), "counting the rows that match")

    # ------------------------------------------------------------------ the rows that match
    def _rows(self, name: str) -> RowsText:
        """Return how many rows of a table there are, of those that the visitor looks at."""
        status, notes = self.snapshot.tables[name], self._notes.get(name, {})
        is_one = status.n_rows == 1 and not status.is_capped
        if not notes:
            return RowsText(status.count_text, is_one=is_one)
        missing = ", ".join(_why_not(restriction, note) for restriction, note in notes.items() if note)
        if all(notes.values()):
            return RowsText(say("all {n}", n=status.count_text), "apart", missing, is_one=is_one)
        count = self._matching.get(name)
        if count is None:
            number = "?" if name in self._matching else "…"
            return RowsText(say("{n} of {total}", n=number, total=status.count_text), "matching", missing)
        # Rows may have come between the two counts.
        total = replace(status, n_rows=max(status.n_rows, count.number))
        return RowsText(say("{n} of {total}", n=count.text, total=total.count_text), "matching", missing)

    def _uncounted(self) -> list[str]:
        """Return the tables whose matching rows were not counted since their rows became more or fewer."""
        focus = self._tables.get(self._focus)
        wanted = [*self._placed, *(focus.parts if focus is not None else ())]
        return [
            name
            for name in wanted
            if name in self.snapshot.tables
            and not all(self._notes.get(name, {}).values())
            # What took too long once is not asked for again and again.
            and self._matching.get(name, 0) is not None
            and self._n_rows.get(name) != self.snapshot.tables[name].n_rows
        ]

    async def _count(self) -> None:
        restrictions, names = self._restrictions, self._uncounted()
        n_rows = {name: self.snapshot.tables[name].n_rows for name in names}
        try:
            found = await self.visit.services.counting.matching(names, restrictions)
        finally:
            self._is_counting = False
        if restrictions is self._restrictions:
            self._matching |= found
            self._n_rows |= {name: n_rows[name] for name in found}
        self.soon(self.guard(self.show))

    # ------------------------------------------------------------------ what the visitor does
    def _selected(self, event: param.parameterized.Event) -> None:
        if event.new != self._focus:
            self._focus = event.new if event.new in self._tables else ""
            self._write()
            if self._steps:
                self._apply()
            else:
                self.show()

    def _opened(self, event: param.parameterized.Event) -> None:
        if event.new in self._tables:
            self.visit.go(table_route(event.new))

    def _act(self, action: Action) -> None:
        if action.name == "schema" and action.value in self._schemas:
            chosen = {*self._chosen, action.value} if action.is_on else {*self._chosen} - {action.value}
            self._chosen = [schema for schema in self._schemas if schema in chosen] or list(self._schemas)
        elif action.name == "all-schemas":
            self._chosen = list(self._schemas)
        elif action.name == "find":
            self._find = action.value[:200]
        elif action.name == "steps":
            self._steps = int(action.value) if action.value in ("1", "2", "3") else 0
        elif action.name == "view":
            self._is_list = action.value == "list"
        elif action.name == "focus":
            self._focus = action.value if action.value in self._tables else ""
            self._is_list = False
        elif action.name == "unfocus":
            self._focus = ""
        else:
            return
        self._write()
        with pn.io.hold():
            self._apply()


# ------------------------------------------------------------------------------------------------- the graph
def nodes_of(tables: Sequence[TableInfo], parts: Mapping[str, TableInfo]) -> list[Node]:
    """Return the nodes of the diagram: masters, with the names of their parts."""
    return [
        Node(
            id=table.name,
            label=table.class_name,
            tier=table.tier.lower(),
            schema=table.schema,
            parts=[parts[name].class_name.rpartition(".")[2] for name in table.parts if name in parts],
        )
        for table in tables
    ]


def edges_of(tables: Sequence[TableInfo], parts: Mapping[str, TableInfo]) -> list[Edge]:
    """Return the foreign keys between tables; one of a part counts as its master's, and as not of its key."""
    shown = {table.name for table in tables}
    found: dict[tuple[str, str, str], Edge] = {}
    for table in tables:
        own = [(link, False, table.name) for link in table.parents]
        of_parts = [
            (link, True, name) for name in table.parts if name in parts for link in parts[name].parents
        ]
        for link, is_of_part, name in [*own, *of_parts]:
            source = link.table
            if source in parts:
                source = parts[source].master or source
            if source not in shown or source == table.name:
                continue
            style = _edge_style(link, is_of_part=is_of_part)
            title = _edge_title(link, name.rpartition(".")[2] if is_of_part else "")
            found.setdefault(
                (source, table.name, style), Edge(source=source, target=table.name, style=style, title=title)
            )
    return list(found.values())


def _edge_style(link: Link, *, is_of_part: bool) -> EdgeStyle:
    in_key = link.foreign_key.in_key and not is_of_part
    if link.foreign_key.renamed:
        return "renamed" if in_key else "renamed-secondary"
    return "primary" if in_key else "secondary"


def _edge_title(link: Link, part: str) -> str:
    pairs = zip(link.foreign_key.parent_attributes, link.foreign_key.attributes, strict=True)
    columns = ", ".join(theirs if theirs == ours else f"{theirs} → {ours}" for theirs, ours in pairs)
    return say("{attributes} (of its part {part})", attributes=columns, part=part) if part else columns


def status_of(status: TableStatus, told: RowsText) -> Status:
    """Return a table's status as the diagram draws it; beside rows that match, nothing that is of all rows."""
    drawn = Status(count=told.with_unit(told.count))
    if told.kind == "apart":
        drawn |= Status(muted=True, note=told.missing)
    elif told.kind == "matching":
        drawn = Status(count=told.count, note=", ".join(filter(None, [say("rows that match"), told.missing])))
    if status.problem:
        drawn["state"] = "error"
    elif status.n_keys and told.kind == "all":
        drawn |= Status(
            done=status.n_done,
            running=status.reserved,
            errors=status.error,
            total=status.n_keys,
            state=status.state if status.state != "empty" else "",
        )
    return drawn


def _why_not(restriction: str, note: str) -> str:
    """Return why a restriction does not hold in a table."""
    attribute = restriction.partition("@")[0]
    return (
        say("no {attribute} here", attribute=attribute) if note == say(NOT_HERE) else f"{attribute}: {note}"
    )


def _why_nowhere(notes: Sequence[str]) -> str:
    """Return why a restriction holds in no table, from what each says of it; nothing if it does hold in one."""
    if not all(notes):
        return ""
    return next((note for note in notes if note != say(NOT_HERE)), say("in no table"))
