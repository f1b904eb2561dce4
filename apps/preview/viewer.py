"""The preview itself: what the value is, how to load it, and a look at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import panel as pn
import param

from dj_panel.apps.markup import escape
from dj_panel.apps.preview.controls import copy_button
from dj_panel.apps.preview.description import Description, describe
from dj_panel.apps.preview.dispatch import Switcher
from dj_panel.apps.preview.file import Download
from dj_panel.apps.preview.protocols import Run
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.sources import BUDGET_BYTES, Opened, open_value
from dj_panel.apps.preview.view import Context, column, pane, problem_html
from dj_panel.core.words import say

log = logging.getLogger(__name__)


class Preview(pn.Column):
    """A value, looked at. Made by `preview`.

    Attributes
    ----------
    switcher
        The views of the value; None while it is being opened, and when it cannot be.
    """

    dark = param.Boolean(default=False, doc="Whether the page is dark; a change draws the plots anew.")

    # `dark` is ours and unknown to the column in the browser.
    _rename: ClassVar[Mapping[str, str | None]] = {"dark": None}

    def __init__(
        self,
        value: object,
        context: Context,
        *,
        title: str = "",
        code: str | None = None,
        view: str | None = None,
    ) -> None:
        super().__init__(sizing_mode="stretch_width", margin=0, dark=context.dark)
        self._value = value
        self._context = context
        self._title = title
        self._wanted = view
        self._opened: Opened | None = None
        self._download: Download | None = None
        self._closed = False
        self.switcher: Switcher | None = None
        self._header = pane(header_html(describe(value), title), margin=(0, 0, 8, 0))
        reading = say("Reading…")
        self._body = column(pane(f'<p class="reading" role="status">{reading}</p>'))
        self._extra = column()
        self._extra.margin = (8, 0, 0, 0)
        self[:] = [self._header, self._body, self._extra]
        if code:
            snippet = pane(
                f'<div class="scroll" tabindex="0" aria-label="{say("Code")}"><pre>{escape(code)}</pre></div>'
            )
            note = pane(f'<p class="note">{say("Load it in Python")}</p>')
            self.append(column(note, snippet, copy_button(code)))
        self.param.watch(self._redraw, "dark")
        self._task: asyncio.Task[None] | None = None
        self._done = asyncio.Event()
        document = context.document
        if document is None or document.session_context is None:
            self._begin()
            return
        document.on_session_destroyed(lambda _session: self.close())
        # Until the browser has the page, a change of it would name parts that the browser does not know.
        pn.state.onload(self._begin)

    async def loaded(self) -> None:
        """Return when the value is shown, or why it cannot be."""
        await self._done.wait()
        if self.switcher is not None:
            await self.switcher.settled()

    def close(self) -> None:
        """Stop reading; what is shown stays."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self.switcher is not None:
            self.switcher.close()
        if self._download is not None:
            self._download.close()

    def _begin(self) -> None:
        self._done.clear()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # A plain script or a pool thread: there is no event loop here that reading could hold up.
            asyncio.run(self._load())
        else:
            self._task = loop.create_task(self._load())

    def _redraw(self, event: Any) -> None:
        self._context = replace(self._context, dark=event.new)
        if self._opened is None or self._closed:
            return
        if self.switcher is not None:
            self._wanted = self.switcher.name
            self.switcher.close()
        self._begin()

    async def _load(self) -> None:
        try:
            await self._open()
        finally:
            self._done.set()

    async def _open(self) -> None:
        try:
            if self._opened is None:
                self._opened = await self._context.run(open_value, self._value, self._context.budget_bytes)
            opened = self._opened
            switcher = Switcher(self._context, opened.content, self._wanted)
            self.switcher = switcher
            layout = await switcher.start()
        except Exception as error:
            log.warning("A value could not be previewed", exc_info=True)
            reason = pane(problem_html(error))
            await on_document(self._context.document, lambda: self._body.__setitem__(slice(None), [reason]))
            return
        download = Download(self._context, opened.file) if opened.file is not None else None
        self._download = download

        def place() -> None:
            self._header.object = header_html(opened.description, self._title)
            self._body[:] = [layout]
            self._extra[:] = [] if download is None else [download.layout]

        await on_document(self._context.document, place)


def preview(
    value: object,
    *,
    title: str = "",
    dark: bool = False,
    run: Run | None = None,
    code: str | None = None,
    sampling_rate_hz: float | None = None,
    unit: str = "",
    view: str | None = None,
    budget_bytes: int = BUDGET_BYTES,
) -> Preview:
    """Show a value: facts about it at once, and then as much of it as the screen has pixels for.

    Reading and computing happen in threads; the page is changed under the lock of its document. Whatever the
    size of the value, one read takes at most `budget_bytes`.

    Parameters
    ----------
    value
        A decoded attribute value (array of any dtype and number of axes, DataFrame, nested dict and list,
        text, bytes, number, date, None), a Zarr array or group, the path of an attached file, or a lazy
        reference to a stored array or object.
    title
        Shown above it, such as the name of the attribute.
    dark
        Whether the page is dark. Set `Preview.dark` when that changes.
    run
        ``await run(function, *arguments)`` runs a function off the event loop; `asyncio.to_thread` when None.
    code
        Python that loads the value, shown with a button to copy it.
    sampling_rate_hz
        Samples a second of a signal; its axis is the sample number when None.
    unit
        Unit of the values, such as ``mV``.
    view
        Name of the view to begin with, such as ``table``; the best one when None or unknown.
    budget_bytes
        The most that one read may bring into memory.

    Returns
    -------
    Preview
        A Panel column. ``await loaded()`` waits for it, ``close()`` stops reading.
    """
    context = Context(
        run=run or asyncio.to_thread,
        document=pn.state.curdoc,
        dark=dark,
        budget_bytes=budget_bytes,
        sampling_rate_hz=sampling_rate_hz,
        unit=unit,
    )
    return Preview(value, context, title=title, code=code, view=view)


def header_html(description: Description, title: str) -> str:
    """Return the facts about a value as HTML."""
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in description.facts
    )
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'{heading}<dl class="facts">{facts}</dl>'
