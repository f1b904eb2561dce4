"""The list of tables, and the rows of one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeGuard

import panel as pn
from panel.viewable import Viewable

from dj_panel.apps.assets import asset
from dj_panel.apps.chosen_rows import chosen_route
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.page import Page, empty_state, report
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.routes import Route, format_route, parse_route
from dj_panel.apps.row_grid import GridView, RowGrid
from dj_panel.apps.services import Snapshot, TableInfo
from dj_panel.apps.services.chosen import MAX_CHOSEN
from dj_panel.apps.services.exports import has_values
from dj_panel.apps.services.filters import FilterError, parse_filter, plain_filter, said_filter
from dj_panel.apps.services.labels import parent_labels
from dj_panel.apps.services.rows import RowsPage
from dj_panel.apps.services.written import Written
from dj_panel.apps.table_answers import TableAnswers, file_formats
from dj_panel.apps.table_html import can_add, head_html, tables_html, written_html
from dj_panel.apps.table_view import (
    TableView,
    blank_view,
    columns_of,
    edit_route,
    grid_view,
    read_view,
    rows_text,
)
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError, QueryTimeoutError
from dj_panel.core.words import marked, say, say_many

__all__ = ["TablePage", "TablesPage"]

LOADING_AFTER_S = 0.25
"""A view that arrives sooner shows no sign of loading: it would only flicker."""


MAX_SELECTED = 10_000
"""More rows than this are better chosen by a filter."""


def is_number(value: object) -> TypeGuard[int]:
    """Return whether what came from a browser is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9


class TablesPage(Page):
    """All tables, by schema."""

    title = marked("Tables")

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._unsubscribe: Callable[[], None] = lambda: None

    async def load(self) -> Viewable:
        """List the tables with their tier, comment, number of rows and what can be done with them."""
        tables = self.visit.services.tables()
        if not tables:
            return empty_state(
                say("This pipeline has no tables yet"), say("Tables appear here once the code declares them.")
            )
        self._list = LiveHtml(
            tables_html(tables, self.visit.route.query.get("q", "")),
            self.guard(self._remember_filter),
            stylesheets=[asset("tables.css")],
        )
        self._document = pn.state.curdoc
        self._unsubscribe = self.visit.services.watcher.subscribe(self._take)
        return self._list

    def close(self) -> None:
        """Stop following the counts."""
        self._unsubscribe()

    def _remember_filter(self, text: str) -> None:
        self.visit.replace(self.visit.route.with_query(q=text[:200] or None))

    def _take(self, snapshot: Snapshot) -> None:
        # The words are made on the page, for they are in its visitor's language.
        def show() -> None:
            self._list.live = {name: rows_text(count) for name, count in count_texts(snapshot).items()}

        in_document(self._document, show)


class TablePage(Page):
    """The rows of one table."""

    title = marked("Table")

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._stop_answering: Callable[[], None] = lambda: None
        self._n_rows: int | None = None
        self._found: tuple[tuple[object, ...], RowsPage] | None = None
        self._serial = 0
        self._refresh: asyncio.Task[None] | None = None
        self._is_stale = False
        self._problems: dict[str, dict[str, str]] = {}
        self._written: Written | None = None
        self._shown: TableView | None = None
        self._is_copying = False
        self._starting: asyncio.Task[None] | None = None

    async def load(self) -> Viewable:
        """Show the head of the table and the rows that the address asks for."""
        self._document = pn.state.curdoc
        services = self.visit.services
        if not self.visit.route.path:
            self.visit.go(Route("tables"), history=False)
            return pn.Column()
        self._info: TableInfo = services.table("/".join(self.visit.route.path))
        self.title = self._info.name
        self._view = read_view(self._info, self.visit.route.query)
        self._head = LiveHtml(head_html(self._info, services), stylesheets=[asset("table_head.css")])
        self._answers = TableAnswers(self.visit, self._info)
        self._answers.selected = self._view.selected
        self._stop_answering = self._answers.close
        self._grid = RowGrid(
            self.guard(self._take_event),
            columns=columns_of(self._info),
            label=say("Rows of {table}", table=self._info.name),
            memory=f"dj-panel-table/{services.pipeline.title}/{self.visit.user}/{self._info.name}",
            formats=file_formats(),
            has_values=has_values(self._info),
            has_labels=bool(parent_labels(services, self._info)),
            edits=self._info.can_enter,
            deletes=can_add(self._info),
            computes=services.computing.can_start(self._info.name),
        )
        self._among = LiveHtml("", stylesheets=[asset("table_head.css")], visible=False)
        await self._look_up()
        asked_for = self._view
        counted = services.watcher.snapshot.tables.get(
            self._info.name
        )  # what is shown says how many of these
        self._n_rows = None if counted is None else counted.n_rows
        self._grid.view = await self._asked(self._understood())
        self._shown = asked_for
        self._unsubscribe = services.watcher.subscribe(self._take_snapshot)
        return pn.Column(self._head, self._among, self._grid, sizing_mode="stretch_width", margin=0)

    async def update(self, route: Route) -> bool:
        """Show other rows of the same table in place."""
        if "/".join(route.path) != self._info.name:
            return False
        self._view = self._asked_view(route)
        self._answers.selected = self._view.selected
        asked_for = self._view
        await self._look_up()
        view = self._understood()
        asking = asyncio.ensure_future(self._asked(view))
        try:
            done, _ = await asyncio.wait([asking], timeout=LOADING_AFTER_S)
            if not done:
                await self._show(blank_view(self._info, view, self._serial))
            shown = await asking
        finally:
            asking.cancel()
        await self._show(shown)
        self._shown = asked_for
        if self._is_copying:
            self._copy(asked_for)
        return True

    def close(self) -> None:
        """Stop following the table."""
        self._unsubscribe()
        if self._refresh is not None:
            self._refresh.cancel()
        self._stop_answering()

    # ------------------------------------------------------------------ what is shown
    def _asked_view(self, route: Route) -> TableView:
        """Return the view that an address asks for, with the selection that it has no room for."""
        view, selected = read_view(self._info, route.query), self._answers.selected
        has_room = not selected or "select" in TableView(selected=selected).query()
        return view if view.selected or has_room else replace(view, selected=selected)

    async def _look_up(self) -> None:
        """Find the rows of the import that the address names, and say that only these are shown."""
        batch = self._view.batch
        if batch == (self._written.batch if self._written is not None else ""):
            return
        found = await self.visit.services.written_rows.find(self._info.name, batch) if batch else None
        self._written = found
        html = written_html(self._info, found) if found is not None else ""
        await on_document(self._document, lambda: self._among.param.update(html=html, visible=bool(html)))

    def _understood(self) -> TableView:
        """Return the view without the filters that make no sense, which are said at their columns."""
        services = self.visit.services
        wrong = services.browsing.problems(self._info.name, self._view.filters)
        self._problems = {
            name: {"text": self._view.filters[name], "message": message} for name, message in wrong.items()
        }
        own = {n: t for n, t in self._view.filters.items() if n not in wrong}
        filters, self.restricted = services.restrictions.applied(
            self._info.name, self.visit.route.restrictions, own
        )
        among = self._written.condition if self._written is not None else None
        return replace(self._view, filters=filters, among=among)

    async def _asked(self, view: TableView, *, afresh: bool = False) -> GridView:
        """Ask for the rows of a view; what goes wrong is shown in their place."""
        serial = self._serial  # of the selection in this view; while rows are read, others may be selected
        browsing, name = self.visit.services.browsing, self._info.name
        before = None
        if self._found is not None and self._found[0] == view.question and not afresh:
            before = self._found[1]
        try:
            found = await browsing.rows(
                name,
                view.filters,
                view.sort,
                view.page,
                view.page_size,
                at=view.at,
                before=before,
                among=view.among,
            )
            code = browsing.code(name, view.filters, view.sort, found.page, found.page_size, view.batch)
        except DataJointError as error:
            problem = report(error, f"reading rows of {name}")
            shown = blank_view(self._info, view, serial)
            shown["state"], shown["message"] = "error", say("The rows could not be read")
            shown["hint"] = problem.text
            if isinstance(error, QueryTimeoutError):
                shown["message"] = say("The database was stopped: this takes too long")
                shown["hint"] = browsing.advice(name, view.filters, view.sort)
            shown["problems"] = self._problems
            return shown
        self._found = (view.question, found)
        if found.at != view.at and self._view.at == view.at and self._view.page == found.page:
            # The address leads to this page by itself, in another browser too.
            self._view = replace(self._view, at=found.at)
            self.visit.replace(self.visit.route.with_query(at=found.at or None))
        add = format_route(Route("enter", (name,))) if can_add(self._info) else ""
        total = count_texts(self.visit.services.watcher.snapshot).get(name, "")
        shown = grid_view(view, found, total, code=code, add=add, serial=serial)
        shown["problems"] = self._problems
        # Restrictions are shown above, and taken away there.
        shown["filters"] = {n: t for n, t in self._view.filters.items() if n not in self._problems}
        shown["said"] = {n: said_filter(self._info.attribute(n), t) for n, t in shown["filters"].items()}
        return shown

    async def _show(self, view: GridView) -> None:
        await on_document(self._document, lambda: setattr(self._grid, "view", view))

    # ------------------------------------------------------------------ what the visitor does
    def _take_event(self, event: Mapping[str, Any]) -> None:
        """Act on what the grid asks for; it comes from a browser and may be anything."""
        # What was last asked for may not be shown yet, and this comes on top of it.
        kind, view = event["type"], self._asked_view(self.visit.route)
        if kind == "filter":
            self._filter(event, view)
        elif kind == "clear":
            self._problems = {}
            self._go(replace(view, filters={}, page=1, at=""))
        elif kind == "sort" and isinstance(event.get("sort"), list):
            items = [item for item in event["sort"] if isinstance(item, list) and len(item) == 2]
            sort = ",".join(("-" if down is True else "") + str(name) for name, down in items)
            self._go(replace(view, sort=read_view(self._info, {"sort": sort}).sort, page=1, at=""))
        elif kind == "page" and is_number(event.get("page")):
            self._go(replace(view, page=event["page"] or 1, at=""))
        elif kind == "size" and is_number(event.get("size")):
            page_size = read_view(self._info, {"size": str(event["size"])}).page_size
            first = (max(view.page, 1) - 1) * view.page_size
            self._go(replace(view, page_size=page_size, page=first // page_size + 1, at=""))
        elif kind == "columns":
            self._arrange(event, view)
        elif kind == "select" and isinstance(event.get("rows"), list):
            self._select(event["rows"], event.get("serial"), view)
        elif kind in ("edit", "delete"):
            self._begin(kind, view.selected)
        elif kind == "compute":
            self._starting = asyncio.ensure_future(self._compute(view))
        elif kind == "restrict":
            self._restrict(event, view)
        elif kind == "code":
            self._copy(view)
        elif kind == "again":
            self.visit.go(self.visit.route, history=False)
        else:
            self._answers.give(event, self._understood(), self._grid.answer)

    def _arrange(self, event: Mapping[str, Any], view: TableView) -> None:
        """Take note of columns that the grid has arranged already."""
        hidden, order, widths = event.get("hidden"), event.get("order"), event.get("widths")
        if not isinstance(hidden, list) or not isinstance(order, list) or not isinstance(widths, dict):
            return
        width = ",".join(f"{name}:{number}" for name, number in widths.items())
        query = {"hide": ",".join(map(str, hidden)), "order": ",".join(map(str, order)), "width": width}
        read = read_view(self._info, query)
        self._keep(replace(view, hidden=read.hidden, order=read.order, widths=read.widths))

    def _select(self, rows: list[Any], serial: Any, view: TableView) -> None:
        """Take note of which rows are selected."""
        self._serial = serial if is_number(serial) else self._serial
        keys = (parse_route(str(row)).query for row in rows[:MAX_SELECTED])
        names = self._info.primary_key
        selected = tuple(tuple(key[name] for name in names) for key in keys if set(key) == set(names))
        self._keep(replace(view, selected=selected))

    def _begin(self, action: str, selected: tuple[tuple[str, ...], ...]) -> None:
        """Go to the page that changes selected rows, or deletes them."""
        services, info = self.visit.services, self._info
        if len(selected) > MAX_CHOSEN:
            words = say(
                "{n} rows are selected, and at most {max_chosen} can be changed or deleted at once. Select fewer.",
                n=len(selected),
                max_chosen=MAX_CHOSEN,
            )
            self.visit.notify(words, "warning")
        elif len(selected) == 1 and action == "edit":
            self.visit.go(edit_route(info.name, dict(zip(info.primary_key, selected[0], strict=True))))
        elif selected:
            page = "edit-rows" if action == "edit" else action
            self.visit.go(chosen_route(page, services, info, selected))

    async def _compute(self, view: TableView) -> None:
        """Compute what is missing of the selected rows."""
        keys = [dict(zip(self._info.primary_key, key, strict=True)) for key in view.selected]
        try:
            tables = await self.visit.services.computing.start(self._info.name, keys)
        except DataJointError as error:
            self.visit.notify(str(error), "error")
            return
        self.visit.notify(
            say_many(
                "Computing what is missing of {n} row.", "Computing what is missing of {n} rows.", len(keys)
            ),
            "success",
            link=(say("Follow it"), Route("populate", (tables[0],))),
        )

    def _copy(self, view: TableView) -> None:
        """Give the Python of what was asked for last: at once, or as soon as that is shown."""
        shown = self._shown
        self._is_copying = shown is None or (shown.question, shown.page) != (view.question, view.page)
        if not self._is_copying and self._grid.view["code"]:
            self._grid.answer(copy=self._grid.view["code"])

    def _restrict(self, event: Mapping[str, Any], view: TableView) -> None:
        """Keep a filter, or the key of a row, on every page."""
        name, row = event.get("name"), parse_route(str(event.get("row"))).query
        wanted = {n: f"={text}" for n, text in row.items() if n in self._info.primary_key}
        if name in view.filters:
            wanted = {str(name): view.filters[str(name)]}
            view = view.filtered(str(name), "")
        names = self.visit.services.restrictions.name
        added = {names(self._info.name, n): text for n, text in wanted.items()}
        kept = {**self.visit.route.restrictions, **added}
        self.visit.go(Route("table", (self._info.name,), view.query(), kept))

    def _keep(self, view: TableView) -> None:
        """Write into the address what is shown already."""
        kept = {"hidden": view.hidden, "order": view.order, "widths": view.widths, "selected": view.selected}
        self._view = replace(self._view, **kept)  # type: ignore[arg-type]
        self._answers.selected = view.selected
        self.visit.replace(replace(self.visit.route, query=view.query()))

    def _filter(self, event: Mapping[str, Any], view: TableView) -> None:
        name, text = event.get("name"), event.get("text")
        attribute = next((a for a in self._info.attributes if a.name == name), None)
        if attribute is None or not isinstance(text, str):
            return
        text = text[:500]
        plain = plain_filter(attribute, text)
        try:
            parse_filter(attribute, plain, self.visit.services.entering.custom)
        except FilterError as error:
            # The rows stay, and so does the address: it always leads to what is shown.
            self._problems = {**self._problems, attribute.name: {"text": text, "message": str(error)}}
            self._grid.view = {**self._grid.view, "problems": self._problems, "quiet": True}
            return
        had_problem = self._problems.pop(attribute.name, None) is not None
        changed = view.filtered(attribute.name, plain.strip() and plain)
        if changed.query() == view.query():
            if had_problem:
                self._grid.view = {**self._grid.view, "problems": dict(self._problems), "quiet": True}
            return
        self._go(changed, history=event.get("goes_on") is not True)

    def _go(self, view: TableView, *, history: bool = True) -> None:
        self.visit.go(Route("table", (self._info.name,), view.query()), history=history)

    # ------------------------------------------------------------------ what happens meanwhile
    def _take_snapshot(self, snapshot: Snapshot) -> None:
        """Follow the counts."""
        status = snapshot.tables.get(self._info.name)
        n_rows = None if status is None else status.n_rows
        has_changed = n_rows is not None and n_rows != self._n_rows
        self._n_rows = n_rows if n_rows is not None else self._n_rows

        def show() -> None:
            self._head.live = count_texts(snapshot)
            if has_changed:
                self._begin_refresh()

        in_document(self._document, show)

    def _begin_refresh(self) -> None:
        if self._refresh is not None and not self._refresh.done():
            self._is_stale = True
            return
        self._refresh = asyncio.ensure_future(self._read_again())

    async def _read_again(self) -> None:
        """Show the same view with the rows that there are now, unless the visitor has turned to another."""
        self._is_stale = True
        while self._is_stale:
            self._is_stale = False
            asked_for = self._view
            shown = await self._asked(self._understood(), afresh=True)
            shown["quiet"] = True
            if shown["state"] == "error" or asked_for is not self._view:
                return
            await self._show(shown)


def in_document(document: Any, change: Callable[[], Any]) -> None:
    """Have a change made under the lock of a document; nothing happens if its session has ended."""
    if document is None or document.session_context is None:
        change()
        return
    with contextlib.suppress(RuntimeError):  # the event loop is closed: the server is stopping
        document.add_next_tick_callback(change)


def count_texts(snapshot: Snapshot) -> dict[str, str]:
    """Return the numbers of rows as text, by table."""
    return {name: status.count_text for name, status in snapshot.tables.items()}
