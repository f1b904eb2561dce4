"""One visitor: who it is, where in the site, and how a page speaks to the shell around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import param

from dj_panel.apps.routes import Route, parse_route

Severity = Literal["info", "success", "warning", "error"]


@dataclass(frozen=True)
class Notice:
    """A message shown in a corner of the window and read out by a screen reader.

    Parameters
    ----------
    message
        A plain sentence. It is shown as text: nothing in it is taken for HTML.
    severity
        Errors stay until they are dismissed; the others go by themselves, later if they carry a link or an
        action.
    link
        Label and destination of a link beside the message, such as the row that was saved.
    action
        Label and callback of a button beside the message, such as Undo. It can be used once.
    """

    message: str
    severity: Severity = "info"
    link: tuple[str, Route] | None = None
    action: tuple[str, Callable[[], Awaitable[object] | object]] | None = None


class Shell(Protocol):
    """What a visit asks of the shell that shows it."""

    def navigate(self, route: Route, *, history: bool) -> None:
        """Show `route`, in place of the present one or after it in the browser's history."""

    def record(self, route: Route) -> None:
        """Write `route` in the address bar and show nothing new."""

    def notify(self, notice: Notice) -> None:
        """Show a message."""

    def set_title(self, title: str) -> None:
        """Name the present page, in its heading and in the browser's tab."""


class Visit(param.Parameterized):
    """What a page knows of its visitor, and the ways in which it can move the visitor on.

    Watch `route` and `dark` with ``visit.param.watch``; a page that does so stops watching in `Page.close`.

    Parameters
    ----------
    services
        The only door to the database; every method is a coroutine.
    shell
        The frame around the pages.
    user
        Name of the visitor, for receipts and audit.
    """

    route = param.ClassSelector(class_=Route, default=Route(), doc="Where the visitor is.")
    dark = param.Boolean(default=False, doc="Whether the visitor has chosen dark colours.")
    user = param.String(default="local", constant=True, doc="Who the visitor is.")

    def __init__(self, services: Any, shell: Shell, *, user: str = "local", dark: bool = False) -> None:
        super().__init__(user=user, dark=dark)  # type: ignore[no-untyped-call]
        self.services = services
        self._shell = shell

    def go(self, route: Route | str, *, history: bool = True) -> None:
        """Go to another place, or to the same page with other parameters.

        The same page is told through `Page.update`; another one is loaded in its place.

        Parameters
        ----------
        route
            A route, or a fragment such as ``"#/table/lab.Subject"``.
        history
            False to leave no entry in the browser's history, as a redirect should.
        """
        self._shell.navigate(_as_route(route), history=history)

    def replace(self, route: Route | str) -> None:
        """Write where the visitor is now into the address, without an entry in the browser's history.

        For a page that has already shown the change (a sort order, a filter): the page is not told again.
        A route to another page is shown like `go` with ``history=False``.
        """
        target = _as_route(route)
        if target.page == self.route.page:
            self._shell.record(target)
        else:
            self._shell.navigate(target, history=False)

    def notify(
        self,
        message: str,
        severity: Severity = "info",
        *,
        link: tuple[str, Route] | None = None,
        action: tuple[str, Callable[[], Awaitable[object] | object]] | None = None,
    ) -> None:
        """Show a message in the corner of the window; see `Notice`."""
        self._shell.notify(Notice(message, severity, link, action))

    def set_title(self, title: str) -> None:
        """Name the present page anew, once its content is known."""
        self._shell.set_title(title)


def _as_route(route: Route | str) -> Route:
    return parse_route(route) if isinstance(route, str) else route
