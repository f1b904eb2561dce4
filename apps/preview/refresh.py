"""Reading in a thread, showing on the page: the latest request wins.

A view asks, as often as the visitor drags; the refresher waits a moment, reads in a thread, and shows the
result under the lock of the session's document. One read per view is under way at any time, so memory stays
bounded however fast the requests come.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from bokeh.document import Document

from dj_panel.apps.preview.protocols import Run

Question = TypeVar("Question")
Answer = TypeVar("Answer")

# Long enough to swallow the events of one turn of a wheel, short enough not to be felt.
DELAY_S = 0.06

log = logging.getLogger(__name__)


async def on_document(document: Document | None, show: Callable[[], Any]) -> None:
    """Call `show` while holding the lock of `document`, and return when it has run.

    Raises
    ------
    Exception
        Whatever `show` raises.
    """
    if document is None or document.session_context is None:
        show()
        return
    loop = asyncio.get_running_loop()
    shown: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if shown.done():
            return
        if error is None:
            shown.set_result(None)
        else:
            shown.set_exception(error)

    def locked() -> None:
        if shown.cancelled():
            return
        error = None
        try:
            show()
        except Exception as raised:  # noqa: BLE001  handed to whoever awaits
            error = raised
        # The waiting loop may be another thread's.
        loop.call_soon_threadsafe(settle, error)

    document.add_next_tick_callback(locked)
    await shown


def soon(document: Document | None, show: Callable[[], Any]) -> None:
    """Call `show` as soon as the lock of `document` can be held; at once outside a server."""
    if document is None or document.session_context is None:
        show()
    else:
        document.add_next_tick_callback(show)


class Refresher(Generic[Question, Answer]):
    """Answers the latest question of a view.

    Parameters
    ----------
    work
        Reads and computes; runs in a thread and touches nothing on the page.
    show
        Puts an answer on the page; runs on the event loop, under the document's lock.
    fail
        Puts an error on the page instead.
    run
        ``await run(work, question)`` runs `work` off the event loop.
    document
        The session's document; None outside a server.

    Attributes
    ----------
    n_answered
        How many answers were shown.
    n_superseded
        How many were asked, and overtaken by a later question.
    """

    def __init__(
        self,
        work: Callable[[Question], Answer],
        show: Callable[[Answer], None],
        fail: Callable[[BaseException], None],
        *,
        run: Run,
        document: Document | None,
        delay_s: float = DELAY_S,
    ) -> None:
        self._work = work
        self._show = show
        self._fail = fail
        self._run = run
        self._document = document
        self._delay_s = delay_s
        self._wanted: Question | None = None
        self._latest: Question | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.n_answered = 0
        self.n_superseded = 0

    def ask(self, question: Question) -> None:
        """Ask for `question` to be shown soon; an earlier one that has not been shown is forgotten."""
        if self._closed or question == self._latest:
            return
        self._latest = question
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # A plain script or a pool thread: there is no event loop here that could be held up.
            self._answer_now(question)
            return
        if self._wanted is not None:
            self.n_superseded += 1
        self._wanted = question
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._serve())

    async def settled(self) -> None:
        """Return when nothing is asked, read or shown any more."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def forget(self) -> None:
        """Let the next question be answered even when it equals the last one."""
        self._latest = None

    def close(self) -> None:
        """Stop; what a thread still reads is thrown away."""
        self._closed = True
        self._wanted = None
        if self._task is not None:
            self._task.cancel()

    async def _serve(self) -> None:
        while self._wanted is not None:
            await asyncio.sleep(self._delay_s)
            question, self._wanted = self._wanted, None
            try:
                answer = await self._run(self._work, question)
                if self._is_asked():
                    self.n_superseded += 1
                    continue
                await on_document(self._document, functools.partial(self._show, answer))
                self.n_answered += 1
            except Exception as error:
                log.warning("A preview could not be refreshed", exc_info=True)
                await on_document(self._document, functools.partial(self._fail, error))

    def _is_asked(self) -> bool:
        return self._wanted is not None

    def _answer_now(self, question: Question) -> None:
        try:
            answer = self._work(question)
        except Exception as raised:
            log.warning("A preview could not be refreshed", exc_info=True)
            error = raised
            soon(self._document, lambda: self._fail(error))
            return
        soon(self._document, lambda: self._show(answer))
        self.n_answered += 1
