"""A file to take home: a button that fetches it, under a limit of size."""

from __future__ import annotations

import asyncio
import logging

from panel.viewable import Viewable

from dj_panel.apps.markup import escape
from dj_panel.apps.preview.controls import ButtonBar, download_button
from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.sources import File
from dj_panel.apps.preview.view import Context, pane, plain_reason
from dj_panel.core.words import say

LIMIT_BYTES = 32 * 2**20

log = logging.getLogger(__name__)


class Download:
    """The button of one file; it reads in a thread when it is pressed."""

    def __init__(self, context: Context, file: File) -> None:
        self._context = context
        self._file = file
        self._bar: ButtonBar | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def layout(self) -> Viewable:
        """The button, or why there is none."""
        n_bytes = self._file.n_bytes
        if n_bytes is not None and n_bytes > LIMIT_BYTES:
            limit = human_bytes(LIMIT_BYTES)
            text = say(
                "The file holds {size}; files over {limit} are fetched with Python.",
                size=human_bytes(n_bytes),
                limit=limit,
            )
            return pane(f'<p class="note">{escape(text)}</p>')
        if n_bytes is None:
            text = say("Download")
        else:
            text = say("Download ({size})", size=human_bytes(n_bytes))
        self._bar = download_button(self._press, text)
        return self._bar

    def close(self) -> None:
        """Stop fetching."""
        if self._task is not None:
            self._task.cancel()

    def _press(self, _button: str) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._fetch())

    async def _fetch(self) -> None:
        assert self._bar is not None
        bar = self._bar
        try:
            content = await self._context.run(self._file.read_all, LIMIT_BYTES)
        except Exception as error:
            log.warning("%s could not be downloaded", self._file.name, exc_info=True)
            reason = plain_reason(error)
            await on_document(self._context.document, lambda: bar.say(reason))
            return
        await on_document(self._context.document, lambda: bar.send_file(self._file.name, content))
