"""A page of the site, and the four states that are not its content: loading, empty, error, no permission."""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.markup import escape, html_pane
from dj_panel.apps.routes import Route
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import AccessError, DataJointError
from dj_panel.core.words import say

log = logging.getLogger(__name__)

Callback = TypeVar("Callback", bound=Callable[..., Any])


@dataclass(frozen=True)
class Problem:
    """What a visitor is told of an error.

    Parameters
    ----------
    kind
        ``no-permission`` if the account may not do this, else ``error``.
    message
        A plain sentence, neither SQL nor a traceback.
    reference
        Identifier under which the traceback is in the server's log.
    """

    kind: Literal["error", "no-permission"]
    message: str
    reference: str

    @property
    def text(self) -> str:
        """The message with its reference, in one line."""
        return say("{message} (reference {reference})", message=self.message, reference=self.reference)


def report(error: BaseException, doing: str) -> Problem:
    """Log the traceback of an error and return what the visitor may read of it.

    An error of the library explains itself. Any other is a fault of ours whose text may hold anything, so it
    stays in the log.
    """
    reference = secrets.token_hex(3).upper()
    log.error("%s failed (reference %s)", doing, reference, exc_info=error)
    if isinstance(error, AccessError):
        return Problem("no-permission", str(error), reference)
    if isinstance(error, DataJointError):
        return Problem("error", str(error), reference)
    return Problem("error", say("Something went wrong that the program did not foresee."), reference)


class Page:
    """One page, shown in the shell.

    The shell makes a page for each visit to it, awaits `load`, shows what that returns, and calls `close` as
    soon as the visitor goes elsewhere. It catches what `load` and `update` raise; callbacks of widgets are
    wrapped in `guard`, which catches what they raise.

    Attributes
    ----------
    title
        Heading of the page and title of the browser's tab: of a class, a message in English. An instance may set
        its own, as it is to be shown, before `load` returns; `Visit.set_title` changes it afterwards.
    fills_window
        True if the view takes the whole height that there is (a diagram) in place of its own height.
    takes_focus
        True if the page puts the keyboard focus itself; else it goes to the heading after a navigation.
    restricted
        What to say of the restrictions of the address, by name; an empty text of one that holds here.
    """

    title: str = ""
    fills_window: bool = False
    takes_focus: bool = False
    restricted: Mapping[str, str] = MappingProxyType({})

    def __init__(self, visit: Visit) -> None:
        self.visit = visit

    @property
    def heading(self) -> str:
        """The title as it is shown: that of a class in the visitor's language."""
        return say(self.title) if self.title and "title" not in vars(self) else self.title

    async def load(self) -> Viewable:
        """Build the view. Database work goes through ``visit.services``, awaited.

        A navigation during the load cancels it, at an ``await``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it loads")

    async def update(self, route: Route) -> bool:
        """Show other parameters of the same page; ``visit.route`` is already `route`.

        Returns
        -------
        bool
            True if done in place, False to have the page made anew.
        """
        return False

    def close(self) -> None:
        """Unsubscribe and stop timers; the view is no longer shown."""

    def guard(self, callback: Callback) -> Callback:
        """Wrap a callback so that what it raises is logged and told to the visitor, and the page goes on.

        Works for functions and for coroutine functions, as a decorator or in place::

            save.on_click(self.guard(self._save))
        """
        if inspect.iscoroutinefunction(callback):

            @functools.wraps(callback)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                try:
                    return await callback(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - the error boundary
                    self._tell(error, callback)

        else:

            @functools.wraps(callback)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                try:
                    return callback(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - the error boundary
                    self._tell(error, callback)

        return cast(Callback, guarded)

    def _tell(self, error: Exception, callback: Callable[..., Any]) -> None:
        name = getattr(callback, "__qualname__", repr(callback))
        self.visit.notify(report(error, f"{name} of page {type(self).__name__}").text, "error")


def loading_state(text: str = "") -> Viewable:
    """Show that a part of a page is on its way."""
    return _state("loading", "", text or say("Loading…"), role="status")


def empty_state(title: str, text: str = "", *actions: Viewable) -> Viewable:
    """Show that there is nothing here, why, and what the visitor can do about it."""
    return _state("empty", title, text, *actions)


def error_state(problem: Problem, retry: Callable[[], Any] | None = None) -> Viewable:
    """Show that something failed: a plain sentence, the reference in the log, and "Try again".

    Parameters
    ----------
    problem
        What `report` returned. One of kind ``no-permission`` is shown as that state.
    retry
        Called, and awaited if it is a coroutine function, when the visitor asks to try again.
    """
    if problem.kind == "no-permission":
        return no_permission_state(problem.message)
    actions: list[Viewable] = []
    if retry is not None:
        again = retry
        button = pmui.Button(label=say("Try again"), variant="outlined", color="primary", margin=0)
        button.on_click(lambda _event: again())
        actions.append(button)
    return _state(
        "error",
        say("This could not be shown"),
        problem.message,
        *actions,
        note=say("Reference {reference}: the details are in the server's log.", reference=problem.reference),
        role="alert",
    )


def no_permission_state(text: str) -> Viewable:
    """Show that the visitor's account may not see or do this."""
    return _state("no-permission", say("Your account may not see this"), text)


def _state(
    kind: str, title: str, text: str, *actions: Viewable, note: str = "", role: str = "group"
) -> Viewable:
    """Lay out one state: icon, title, text, note, and then its buttons."""
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    remark = f'<p class="note">{escape(note)}</p>' if note else ""
    html = html_pane(
        f'<div class="state" data-state="{kind}" role="{role}">{_ICONS[kind]}{heading}'
        f"<p>{escape(text)}</p>{remark}</div>",
        stylesheets=[_STATE_CSS],
        sizing_mode="stretch_width",
    )
    if not actions:
        return html
    return pn.Column(html, pn.Row(*actions, align="center"), sizing_mode="stretch_width", margin=0)


def _icon(paths: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" width="28" height="28" fill="none" stroke="currentColor" '
        f'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{paths}</svg>'
    )


_ICONS = {
    "loading": '<span class="ring" aria-hidden="true"></span>',
    "empty": _icon('<path d="M4 13l2.5-8h11L20 13v6H4z"/><path d="M4 13h5l1.5 2.5h3L15 13h5"/>'),
    "error": _icon('<path d="M12 4l9 16H3z"/><path d="M12 10v4.5M12 17.4v.1"/>'),
    "no-permission": _icon(
        '<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>'
    ),
}

_STATE_CSS = """
.state { display: grid; justify-items: center; gap: 8px; max-width: 52ch; margin: 0 auto;
  padding: 56px 16px 16px; text-align: center; color: var(--dj-muted);
  font: var(--dj-size-m)/1.5 var(--dj-font); }
.state h2 { margin: 4px 0 0; font-size: var(--dj-size-l); font-weight: 600; color: var(--dj-text); }
.state p { margin: 0; overflow-wrap: anywhere; }
.state .note { font-size: var(--dj-size-xs); }
.state[data-state="error"] svg { color: var(--dj-state-error); }
.ring { width: 22px; height: 22px; border-radius: 50%; border: 2px solid var(--dj-border);
  border-top-color: var(--dj-accent); animation: turn 0.9s linear infinite; }
@keyframes turn { to { transform: rotate(360deg); } }
@media (prefers-reduced-motion: reduce) { .ring { animation-duration: 3s; } }
"""
