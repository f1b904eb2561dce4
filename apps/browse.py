"""The list of tables, and the rows of one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import panel as pn
from panel.viewable import Viewable

from dj_panel.apps.downloads import offer_download
from dj_panel.apps.live_html import LiveHtml, stylesheet
from dj_panel.apps.page import Page, empty_state, report
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.row_grid import GridView, RowGrid
from dj_panel.apps.services import Snapshot, TableInfo
from dj_panel.apps.services.filters import FilterError, parse_filter
from dj_panel.apps.table_html import can_add, head_html, tables_html
from dj_panel.apps.table_view import TableView, blank_view, columns_of, grid_view, read_view
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError

__all__ = ["TablePage", "TablesPage"]

LOADING_AFTER_S = 0.25
"""A view that arrives sooner shows no sign of loading: it would only flicker."""


class TablesPage(Page):
    """All tables, by schema."""

    title = "Tables"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._unsubscribe: Callable[[], None] = lambda: None

    async def load(self) -> Viewable:
        """List the tables with their tier, comment, number of rows and what can be done with them."""
        tables = self.visit.services.tables()
        if not tables:
            return empty_state(
                "This pipeline has no tables yet", "Tables appear here once the code declares them."
            )
        self._list = LiveHtml(
            tables_html(tables, self.visit.route.query.get("q", "")),
            self.guard(self._remember_filter),
            stylesheets=[stylesheet("tables.css")],
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
        live = {n: f"{text} row{'' if text == '1' else 's'}" for n, text in count_texts(snapshot).items()}
        in_document(self._document, lambda: setattr(self._list, "live", live))


class TablePage(Page):
    """The rows of one table."""

    title = "Table"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._n_rows: int | None = None
        self._refresh: asyncio.Task[None] | None = None
        self._is_stale = False
        self._problems: dict[str, dict[str, str]] = {}

    async def load(self) -> Viewable:
        """Show the head of the table and the rows that the address asks for."""
        self._document = pn.state.curdoc
        services = self.visit.services
        self._info: TableInfo = services.table("/".join(self.visit.route.path))
        self.title = self._info.name
        self._view = read_view(self._info, self.visit.route.query)
        self._head = LiveHtml(head_html(self._info, services), stylesheets=[stylesheet("table_head.css")])
        self._grid = RowGrid(
            self.guard(self._take_event), columns=columns_of(self._info), label=f"Rows of {self._info.name}"
        )
        self._grid.view = await self._asked(self._understood())
        self._unsubscribe = services.watcher.subscribe(self._take_snapshot)
        return pn.Column(self._head, self._grid, sizing_mode="stretch_width", margin=0)

    async def update(self, route: Route) -> bool:
        """Show other rows of the same table in place."""
        if "/".join(route.path) != self._info.name:
            return False
        self._view = read_view(self._info, route.query)
        view = self._understood()
        asking = asyncio.ensure_future(self._asked(view))
        try:
            done, _ = await asyncio.wait([asking], timeout=LOADING_AFTER_S)
            if not done:
                await self._show(blank_view(view))
            shown = await asking
        finally:
            asking.cancel()
        await self._show(shown)
        return True

    def close(self) -> None:
        """Stop following the table."""
        self._unsubscribe()
        if self._refresh is not None:
            self._refresh.cancel()

    # ------------------------------------------------------------------ what is shown
    def _understood(self) -> TableView:
        """Return the view without the filters that make no sense, which are said at their columns."""
        wrong = self.visit.services.browsing.problems(self._info.name, self._view.filters)
        self._problems = {
            name: {"text": self._view.filters[name], "message": message} for name, message in wrong.items()
        }
        return replace(self._view, filters={n: t for n, t in self._view.filters.items() if n not in wrong})

    async def _asked(self, view: TableView) -> GridView:
        """Ask for the rows of a view; what goes wrong is shown in their place."""
        browsing, name = self.visit.services.browsing, self._info.name
        try:
            found = await browsing.rows(name, view.filters, view.sort, view.page, view.page_size)
            code = browsing.code(name, view.filters, view.sort, found.page, found.page_size)
        except DataJointError as error:
            problem = report(error, f"reading rows of {name}")
            shown = blank_view(view)
            shown["state"], shown["message"] = "error", "The rows could not be read"
            shown["hint"] = f"{problem.message} (reference {problem.reference})"
            shown["problems"] = self._problems
            return shown
        add = format_route(Route("enter", (name,))) if can_add(self._info) else ""
        total = count_texts(self.visit.services.watcher.snapshot).get(name, "")
        shown = grid_view(view, found, total, code=code, add=add)
        shown["problems"] = self._problems
        return shown

    async def _show(self, view: GridView) -> None:
        await on_document(self._document, lambda: setattr(self._grid, "view", view))

    # ------------------------------------------------------------------ what the visitor does
    def _take_event(self, event: Mapping[str, Any]) -> None:
        """Act on what the grid asks for; it comes from a browser and may be anything."""
        # What was last asked for may not be shown yet, and this comes on top of it.
        kind, view = event["type"], read_view(self._info, self.visit.route.query)
        if kind == "filter":
            self._filter(event, view)
        elif kind == "clear":
            self._problems = {}
            self._go(replace(view, filters={}, page=1))
        elif kind == "sort" and isinstance(event.get("sort"), list):
            items = [item for item in event["sort"] if isinstance(item, list) and len(item) == 2]
            sort = ",".join(("-" if down is True else "") + str(name) for name, down in items)
            self._go(replace(view, sort=read_view(self._info, {"sort": sort}).sort, page=1))
        elif kind == "page" and isinstance(event.get("page"), int):
            self._go(replace(view, page=max(event["page"], 1)))
        elif kind == "size" and isinstance(event.get("size"), int):
            page_size = read_view(self._info, {"size": str(event["size"])}).page_size
            self._go(
                replace(view, page_size=page_size, page=(view.page - 1) * view.page_size // page_size + 1)
            )
        elif kind == "columns" and isinstance(event.get("hidden"), list):
            hidden = read_view(self._info, {"hide": ",".join(map(str, event["hidden"]))}).hidden
            self._go(replace(view, hidden=hidden), history=False)
        elif kind == "export":
            self._export()
        elif kind == "again":
            self.visit.go(self.visit.route, history=False)

    def _filter(self, event: Mapping[str, Any], view: TableView) -> None:
        name, text = event.get("name"), event.get("text")
        attribute = next((a for a in self._info.attributes if a.name == name), None)
        if attribute is None or not isinstance(text, str):
            return
        text = text[:500]
        try:
            parse_filter(attribute, text)
        except FilterError as error:
            # The rows stay, and so does the address: it always leads to what is shown.
            self._problems = {**self._problems, attribute.name: {"text": text, "message": str(error)}}
            self._grid.view = {**self._grid.view, "problems": self._problems, "quiet": True}
            return
        had_problem = self._problems.pop(attribute.name, None) is not None
        changed = view.filtered(attribute.name, text.strip() and text)
        if changed.query() == view.query():
            if had_problem:
                self._grid.view = {**self._grid.view, "problems": dict(self._problems), "quiet": True}
            return
        self._go(changed, history=event.get("goes_on") is not True)

    def _go(self, view: TableView, *, history: bool = True) -> None:
        self.visit.go(Route("table", (self._info.name,), view.query()), history=history)

    def _export(self) -> None:
        view = self._understood()
        columns = [a.name for a in self._info.attributes if a.name not in view.hidden]
        browsing, name = self.visit.services.browsing, self._info.name
        address = offer_download(
            f"{name}.csv",
            "text/csv; charset=utf-8",
            lambda: browsing.export_csv(name, view.filters, view.sort, columns),
        )
        self._grid.download(address)

    # ------------------------------------------------------------------ what happens meanwhile
    def _take_snapshot(self, snapshot: Snapshot) -> None:
        """Follow the counts; called in the watcher's thread."""
        live = count_texts(snapshot)
        status = snapshot.tables.get(self._info.name)
        n_rows = None if status is None else status.n_rows
        has_changed = self._n_rows is not None and n_rows is not None and n_rows != self._n_rows
        self._n_rows = n_rows if n_rows is not None else self._n_rows

        def show() -> None:
            self._head.live = live
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
            shown = await self._asked(self._understood())
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
