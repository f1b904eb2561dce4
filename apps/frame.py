"""One visitor's window: it turns routes into pages, and keeps every error from the visitor's eyes."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from panel.viewable import Viewable
from panel_material_ui.template.base import Page as MaterialPage

from dj_panel.apps.page import Page, empty_state, error_state, report
from dj_panel.apps.routes import Route, format_route, parse_route
from dj_panel.apps.shell import TEMPLATE, Bridge
from dj_panel.apps.theme import THEME_CONFIG
from dj_panel.apps.visit import Notice, Visit
from dj_panel.core.words import marked, say

MAX_PENDING_ACTIONS = 50
"""Buttons in messages (Undo) whose callbacks are kept; the oldest is forgotten first."""

CANCEL_TIMEOUT_S = 2.0
"""How long a page that is told to stop loading may take over it before the next one goes ahead."""


class NotFoundPage(Page):
    """What is shown for an address that names no page."""

    title = marked("No such page")

    async def load(self) -> Viewable:
        """Say which address was asked for."""
        asked = "/".join(self.visit.route.path) or say("this")
        home = pmui.Button(label=say("Go to Home"), href="#/", variant="outlined", margin=0)
        return empty_state(
            say("There is no such page"),
            say("The address {address} leads nowhere on this site.", address=repr(asked)),
            home,
        )


class Frame:
    """The shell of one visitor, seen from Python.

    It lives on the event loop of the server. Loading a page runs as a task without the document's lock, so
    that a visitor can turn to another page meanwhile, which cancels it; what was loaded is shown under the
    lock.

    Parameters
    ----------
    pages
        Page classes by the name of the page in a route.
    services
        Handed to the pages; its coroutine ``table_names()`` gives the names for the search box.
    user
        Name of the visitor.
    dark
        Whether the visitor's browser last asked for dark colours.
    document
        The Bokeh document of the session.
    """

    def __init__(
        self, pages: Mapping[str, type[Page]], services: Any, *, user: str, dark: bool, document: Document
    ) -> None:
        self.visit = Visit(services, self, user=user, dark=dark)
        self.window_id = secrets.token_urlsafe(16)
        self.bridge = Bridge(self._receive, self.window_id)
        self._stage = pn.Column(sizing_mode="stretch_width", margin=0)
        self.view = _page_root(self._stage, dark=dark)
        self._pages = pages
        self._document = document
        self._page: Page | None = None
        self._is_sound = False  # whether the page on the screen finished its last load or update
        self._task: asyncio.Task[None] | None = None
        self._number = 0  # of the latest navigation that the browser told us about
        self._actions: dict[int, Callable[[], Awaitable[object] | object]] = {}
        self._action_ids = itertools.count()
        self._is_closed = False
        # Bokeh loses changes to a view that it is still building, so the first page waits for the window.
        self._is_drawn = asyncio.Event()
        document.on_event("document_ready", lambda _event: self._is_drawn.set())

    # ------------------------------------------------------------------ what a page asks of the shell

    def navigate(self, route: Route, *, history: bool) -> None:
        """Show `route` and write it in the address bar; restrictions stay as they are unless it has its own."""
        route = route.carrying(self.visit.route.restrictions)
        self.bridge.send("go", hash=format_route(route), replace=not history)
        self._show(route)

    def record(self, route: Route) -> None:
        """Write `route` in the address bar and show nothing new."""
        route = route.carrying(self.visit.route.restrictions)
        self.visit.route = route
        self.bridge.send("record", hash=format_route(route))

    def notify(self, notice: Notice) -> None:
        """Show a message in the corner of the window."""
        link = action = None
        if notice.link is not None:
            link = {"label": notice.link[0], "hash": format_route(notice.link[1])}
        if notice.action is not None:
            number = next(self._action_ids)
            self._actions[number] = notice.action[1]
            while len(self._actions) > MAX_PENDING_ACTIONS:
                del self._actions[next(iter(self._actions))]
            action = {"label": notice.action[0], "id": number}
        self.bridge.send("notice", message=notice.message, severity=notice.severity, link=link, action=action)

    def set_title(self, title: str) -> None:
        """Name the present page."""
        if self._page is not None:
            self._page.title = title
        self.bridge.send("title", title=title)

    def close(self) -> None:
        """Leave the page; called when the session ends and when the server stops."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
        self._leave_page()
        self._actions.clear()

    # ------------------------------------------------------------------ what the browser says

    def _receive(self, data: Mapping[str, Any]) -> None:
        """Act on a message of the browser; one that makes no sense is ignored, whoever sent it."""
        kind = data["type"]
        if kind in ("hello", "route") and isinstance(data.get("hash"), str):
            self._arrive(data)
        elif kind == "dark":
            self._set_dark(data.get("dark") is True)
        elif kind == "tables":
            self._start(self._send_table_names(), "reading the names of the tables")
        elif kind == "action" and isinstance(data.get("id"), int):
            self._start(self._run_action(data["id"]), "an action of a message")
        elif kind == "leave":
            self._expire()

    def _arrive(self, data: Mapping[str, Any]) -> None:
        number = data.get("number")
        self._number = number if isinstance(number, int) else 0
        route = parse_route(data["hash"], self._pages.keys())
        if data["type"] == "hello":
            self._set_dark(data.get("dark") is True)
        if route == self.visit.route and self._page is not None and self._is_sound:
            self._settle(self._page)
        else:
            self._show(route)

    def _set_dark(self, dark: bool) -> None:
        pn.config.theme = "dark" if dark else "default"  # type: ignore[misc]  # set through __setattr__
        self.visit.dark = dark

    async def _send_table_names(self) -> None:
        names = await self.visit.services.table_names()
        self.bridge.send("tables", names=[str(name) for name in names])

    async def _run_action(self, number: int) -> None:
        callback = self._actions.pop(number, None)
        if callback is not None:
            outcome = callback()
            if isawaitable(outcome):
                await outcome

    def _expire(self) -> None:
        """Let the session of a closed tab go at the next sweep, long before that of a sleeping tablet."""
        context = self._document.session_context
        session = getattr(context, "session", None)
        if session is not None:
            session.request_expiration()

    def _start(self, work: Awaitable[None], doing: str) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - the error boundary
                self.visit.notify(report(error, doing).text, "error")

        _keep(asyncio.ensure_future(guarded()))

    # ------------------------------------------------------------------ showing a page

    def _show(self, route: Route, *, afresh: bool = False) -> None:
        """Go to `route`: update the page if it is the same one, else load the page; the last call wins."""
        previous = self._task
        if previous is not None:
            previous.cancel()
        self.visit.route = route
        self._task = asyncio.ensure_future(self._load(route, previous, afresh=afresh))

    async def _load(self, route: Route, previous: asyncio.Task[None] | None, *, afresh: bool) -> None:
        if previous is not None:
            await asyncio.wait([previous], timeout=CANCEL_TIMEOUT_S)
        page_class = self._pages.get(route.page, NotFoundPage)
        page = self._page
        doing = f"page {route.page!r} at {format_route(route)}"
        retry = partial(self._show, route, afresh=True)
        try:
            if page is not None and self._is_sound and type(page) is page_class and not afresh:
                self._is_sound = False
                try:
                    is_done = await page.update(route)
                except asyncio.CancelledError:
                    # Not to be made anew for that: the next update shows what the address says then.
                    self._is_sound = True
                    raise
                if is_done:
                    self._is_sound = True
                    self._under_lock(partial(self._settle, page))
                    return
            self._leave_page()
            self._page = page = page_class(self.visit)
            view = await page.load()
            self._is_sound = True
        except Exception as error:  # noqa: BLE001 - the error boundary
            view = error_state(report(error, doing), retry)
            page = self._page
            self._is_sound = False
        await self._is_drawn.wait()
        self._under_lock(partial(self._display, view, page))

    def _under_lock(self, change: Callable[[], None]) -> None:
        """Show what became of the task that is running, unless another place was asked for meanwhile."""
        task = asyncio.current_task()

        def show() -> None:
            if task is self._task and not self._is_closed:
                change()

        if not self._is_closed:
            self._document.add_next_tick_callback(show)

    def _display(self, view: Viewable, page: Page | None) -> None:
        fills = page is not None and page.fills_window and self._is_sound
        with pn.io.hold():
            self._stage.sizing_mode = "stretch_both" if fills else "stretch_width"
            self._stage[:] = [view]
        self._settle(page, is_new=True)

    def _settle(self, page: Page | None, *, is_new: bool = False) -> None:
        self.bridge.send(
            "settled",
            number=self._number,
            title=page.heading if page is not None else "",
            focus=page is None or not page.takes_focus or not self._is_sound,
            is_new=is_new,
            fills=page is not None and page.fills_window and self._is_sound,
            restricted=dict(page.restricted) if page is not None else {},
        )

    def _leave_page(self) -> None:
        page, self._page = self._page, None
        self._is_sound = False
        if page is not None:
            try:
                page.close()
            except Exception as error:  # noqa: BLE001 - the error boundary
                report(error, f"closing page {type(page).__name__}")


_running: set[asyncio.Future[None]] = set()


def _keep(task: asyncio.Future[None]) -> None:
    """Hold a task until it is done: the event loop itself keeps only a weak reference."""
    _running.add(task)
    task.add_done_callback(_running.discard)


def _page_root(stage: Viewable, *, dark: bool) -> MaterialPage:
    """Return the Material page that gives its theme to all within; its header and drawers are not used."""
    before = set(map(id, _busy_watchers()))
    root = MaterialPage(
        main=[stage],
        theme_config=THEME_CONFIG,
        dark_theme=dark,
        theme_toggle=False,
        busy_indicator=None,
        template=TEMPLATE,
        sizing_mode="stretch_both",
        sx={
            "&": {"overflow": "visible"},
            "& > .MuiAppBar-root, & > main > div > .MuiToolbar-root": {"display": "none"},
            "& > main": {"backgroundColor": "transparent", "overflow": "visible"},
            "& .main-content": {"overflow": "visible"},
        },
    )
    # A Material page watches the process-wide busy flag and never stops, so the process would hold on to
    # every page it ever served, and through that to its document.
    for watcher in _busy_watchers():
        if id(watcher) not in before:
            pn.state.param.unwatch(watcher)
    return root


def _busy_watchers() -> list[Any]:
    return list(pn.state.param.watchers.get("busy", {}).get("value", []))
