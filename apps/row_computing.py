"""On the page of a row: what is computed from it, and the button that computes what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import panel as pn
from panel.viewable import Viewable

from dj_panel.apps.assets import asset
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.markup import escape, icon
from dj_panel.apps.page import report
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.routes import Route
from dj_panel.apps.services.computing import Computation
from dj_panel.apps.table_html import link
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError
from dj_panel.core.words import say

__all__ = ["RowComputing"]

_PAUSE_S = 1.0


_BUTTON = '<button type="button" class="button" data-act="compute" data-live="label"></button>'


class RowComputing:
    """Shows how far the tables are that compute from a row, and follows the work as long as there is any.

    Parameters
    ----------
    visit
        Whose page it is.
    table, key
        The row; its key as texts.
    """

    def __init__(self, visit: Visit, table: str, key: Mapping[str, str]) -> None:
        self._visit, self._table, self._key = visit, table, key
        self._computing = visit.services.computing
        self._document = pn.state.curdoc
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_starting = False
        styles = [asset("record.css")]
        self._list = LiveHtml("", stylesheets=styles)
        # Drawn once, when there is something to compute: it keeps the focus while its words change.
        self._button = LiveHtml(
            "",
            on_act=lambda _name: self._do(self._start()),
            stylesheets=styles,
            margin=(12, 0, 0, 0),
        )
        self.view: Viewable = pn.Column(
            self._list, self._button, sizing_mode="stretch_width", margin=(12, 0, 0, 0)
        )

    def begin(self) -> None:
        """Read how far it is, and go on as long as somebody computes."""
        if self._computing.tables(self._table):
            self._do(self._follow())

    def close(self) -> None:
        """Stop following; what computes goes on."""
        for task in self._tasks:
            task.cancel()

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self) -> None:
        is_busy = True
        while is_busy:
            is_busy = self._computing.is_running(self._table, self._key)
            try:
                found = await self._computing.of_row(self._table, self._key)
            except DataJointError as error:
                problem = report(error, f"what is computed from a row of {self._table}")
                await on_document(self._document, partial(self._show_problem, problem.text))
                return
            is_busy = is_busy or any(computation.n_reserved for computation in found)
            await on_document(self._document, partial(self._show, found, is_busy=is_busy))
            if is_busy:
                await asyncio.sleep(_PAUSE_S)

    def _show_problem(self, text: str) -> None:
        self._list.html = f'<p class="bad" role="alert">{escape(text)}</p>'

    def _show(self, found: Sequence[Computation], *, is_busy: bool) -> None:
        html = computing_html(found)
        if self._list.html != html:
            self._list.html = html
        is_missing = any(c.n_todo != 0 for c in found)
        if is_busy:
            label = say("Computing …")
        else:
            label = say("Compute what is missing") if is_missing else say("Nothing is missing")
        self._button.live = {"label": label}
        if is_missing and any(c.can_start for c in found):
            self._button.html = _BUTTON

    async def _start(self) -> None:
        if self._is_starting or self._computing.is_running(self._table, self._key):
            return
        self._is_starting = True
        try:
            await self._computing.start(self._table, [self._key])
        except DataJointError as error:
            self._visit.notify(str(error), "error")
            return
        finally:
            self._is_starting = False
        await self._follow()


def computing_html(found: Sequence[Computation]) -> str:
    """Return how far each table is with what it computes from a row; nothing where none does."""
    items = "".join(_item(computation) for computation in found)
    if not items:
        return ""
    title = say("Computed from this row")
    return (
        f'<section aria-label="{title}"><h2>{title}</h2>'
        f'<ul class="computed" role="list" aria-live="polite">{items}</ul></section>'
    )


def _item(computation: Computation) -> str:
    place = Route("populate", (computation.table,))
    n_keys, n_todo, n_failed = computation.n_keys, computation.n_todo, computation.n_failed
    if n_keys is None or n_todo is None:
        state, text = "partial", say("too many to count")
    elif not n_keys:
        state, text = "pending", say("nothing to compute yet")
    elif computation.n_reserved:
        state, text = "running", say("{n} of {total} done, being computed", n=n_keys - n_todo, total=n_keys)
    elif n_failed:
        state = "error"
        text = say("{n} of {total} done, {failed} failed", n=n_keys - n_todo, total=n_keys, failed=n_failed)
    else:
        state = "done" if not n_todo else "pending" if n_todo == n_keys else "partial"
        text = say("{n} of {total} done", n=n_keys - n_todo, total=n_keys)
    why = f'<span class="bad">{escape(computation.message)}</span>' if n_failed else ""
    name = f"<span>{escape(computation.table)}</span>"  # links of this name lead to the rows, further up
    return f"<li>{name}<span>{icon(state)} {link(place, text)}</span>{why}</li>"
