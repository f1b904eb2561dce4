"""HTML that is made in Python, stays up to date in the browser, and says what the visitor does with it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import panel as pn
import param
from bokeh.document import Document
from panel.custom import JSComponent

from dj_panel.apps.assets import asset, script
from dj_panel.apps.markup import COMPONENT_CSS, escape
from dj_panel.apps.page import Page, report
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services.watching import Snapshot
from dj_panel.apps.typed import Custom
from dj_panel.apps.visit import Visit

__all__ = ["Action", "LiveHtml", "LivePage", "button", "clock_text", "href", "link"]

_TICK_S = 1.0


@dataclass(frozen=True)
class Action:
    """What the visitor did with an element that has ``data-action``.

    Parameters
    ----------
    name
        Its ``data-action``.
    value
        Its ``data-value``, or the value of a field. It comes from a browser and may be anything.
    is_on
        Whether a checkbox is ticked, or a ``details`` element is open.
    """

    name: str
    value: str = ""
    is_on: bool = False


class LiveHtml(JSComponent):
    """Shows HTML and changes it in place.

    Elements that are to stay the same through changes of a list carry ``data-key``, unique among their
    siblings. The focus goes to a heading with ``data-arrival`` when that has another value. Buttons, fields and
    ``details`` with ``data-action`` report to `on_action`; a text field of type ``search`` does so while it is typed in.

    Parameters
    ----------
    on_action
        Called with each `Action`, in the session that it came from.
    """

    html = param.String(default="", doc="What is shown; every value in it went through `markup.escape`.")
    clock = param.String(default="", doc="The text of all elements with `data-clock`.")
    on_action = param.Callable(doc="Called with each action of the visitor.")

    _rename: ClassVar[dict[str, str | None]] = {"on_action": None}
    _esm = script("live.js")
    _stylesheets: ClassVar[list[str]] = [
        COMPONENT_CSS,
        asset("live.css"),
    ]

    def __init__(self, on_action: Callable[[Action], None], **params: Any) -> None:
        defaults = {"sizing_mode": "stretch_width", "margin": 0}
        super().__init__(on_action=on_action, **(defaults | params))  # type: ignore[no-untyped-call]

    def _handle_msg(self, data: Any) -> None:
        # The browser enforces nothing: whatever has not this form is dropped.
        if not isinstance(data, Mapping):
            return
        name, value = data.get("action"), data.get("value")
        if isinstance(name, str) and isinstance(value, str):
            self.on_action(Action(name, value, data.get("checked") is True))


class LivePage(Page):
    """A page that follows the status of the tables.

    A subclass awaits `status_now` in `load`, builds its view and calls `follow`. From then on `show` is
    called, with the document's lock, after each change of the status, and `tick` about once a second.
    """

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self.snapshot = Snapshot()
        self.is_closed = False
        self._document: Document | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._ticking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_told = False

    # ------------------------------------------------------------------ for subclasses
    async def status_now(self) -> Snapshot:
        """Return the latest status, read now if none is at hand."""
        watcher = self.visit.services.watcher
        self.snapshot = watcher.snapshot
        if not self.snapshot.taken_at:
            self.snapshot = await self.visit.services.run(watcher.read)
        return self.snapshot

    def follow(self) -> None:
        """Begin to follow the status."""
        self._document = pn.state.curdoc
        self._unsubscribe = self.visit.services.watcher.subscribe(self._receive)
        self._ticking = asyncio.ensure_future(self._tick_on())

    def show(self) -> None:
        """Bring the view up to date with ``self.snapshot``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it shows the status")

    def tick(self) -> None:
        """Bring up to date what changes by itself; about once a second."""

    def soon(self, change: Callable[[], None]) -> None:
        """Call a function with the document's lock; callable from any thread."""
        document = self._document

        def run() -> None:
            if not self.is_closed:
                with pn.io.hold():
                    change()

        if document is not None and not self.is_closed:
            document.add_next_tick_callback(run)

    def start(self, work: Coroutine[Any, Any, None], doing: str) -> None:
        """Run a coroutine; what it raises is logged and told to the visitor. It outlives the page."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - reported with its traceback in the log
                self.visit.notify(report(error, doing).text, "error")

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop following."""
        self.is_closed = True
        self._unsubscribe()
        if self._ticking is not None:
            self._ticking.cancel()

    # ------------------------------------------------------------------ following
    def _receive(self, snapshot: Snapshot) -> None:
        # Snapshots that come before the last one was shown are shown as one.
        self.snapshot = snapshot
        if not self._is_told:
            self._is_told = True
            self.soon(self._show_latest)

    def _show_latest(self) -> None:
        self._is_told = False
        self.guard(self.show)()

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self.soon(self.guard(self.tick))


def clock_text(snapshot: Snapshot, custom: Custom) -> str:
    """Return the time of a snapshot by the lab's clock, ``12:03:10``."""
    return f"{custom.local(dt.datetime.fromtimestamp(snapshot.taken_at, dt.UTC)):%H:%M:%S}"


def href(route: Route) -> str:
    """Return a place of the site as the value of ``href``, escaped."""
    return escape(format_route(route))


def link(text: object, route: Route, css_class: str = "") -> str:
    """Return a link to a place of the site."""
    attribute = f' class="{escape(css_class)}"' if css_class else ""
    return f'<a{attribute} href="{href(route)}">{escape(text)}</a>'


def button(
    text: object,
    action: str,
    value: object = "",
    *,
    key: str = "",
    kind: str = "",
    label: str = "",
    why_not: str = "",
) -> str:
    """Return a button that reports an action.

    Parameters
    ----------
    text
        What it says.
    action, value
        Its name and value in `Action`.
    key
        ``data-key``, for one that may come and go.
    kind
        ``primary``, ``danger`` or ``quiet``; outlined if empty.
    label
        Name for screen readers where the text alone does not say what it acts on; begins with the text.
    why_not
        If given, the button does nothing, and says why under the pointer and to screen readers.
    """
    attributes = [f'class="btn {escape(kind)}"', f'data-action="{escape(action)}"']
    if value != "":
        attributes.append(f'data-value="{escape(value)}"')
    if key:
        attributes.append(f'data-key="{escape(key)}"')
    if label:
        attributes.append(f'aria-label="{escape(label)}"')
    if why_not:
        attributes.append(f'aria-disabled="true" title="{escape(why_not)}"')
    return f'<button type="button" {" ".join(attributes)}>{escape(text)}</button>'
