"""Rows as a CSV file, sent while the database reads them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

from dj_panel.apps.services.cells import Cell

__all__ = ["MAX_EXPORTS", "TooManyExportsError", "csv_lines", "streamed"]

MAX_EXPORTS = 3
"""So many files are made at the same time; each takes a thread and a connection of its own."""

_CHUNK_CHARS = 64 * 1024
_WAITING_CHUNKS = 4
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_exports = threading.BoundedSemaphore(MAX_EXPORTS)


class TooManyExportsError(RuntimeError):
    """As many files as allowed are being made already."""


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    r"""Yield the lines of a CSV file (RFC 4180, UTF-8 with a mark by which spreadsheets know it).

    No value is an empty field, an empty text is ``""``. A text that a spreadsheet would run as a formula gets
    an apostrophe in front; numbers stay as they are.

    Examples
    --------
    >>> list(csv_lines(["a", "b"], [[Cell("=1+1"), Cell("-5", "number")], [Cell(""), Cell("", "null")]]))
    ['\ufeffa,b\r\n', "'=1+1,-5\r\n", '"",\r\n']
    """
    yield "\ufeff" + ",".join(_field(Cell(name)) for name in header) + "\r\n"
    for row in rows:
        yield ",".join(map(_field, row)) + "\r\n"


def _field(cell: Cell) -> str:
    if cell.kind == "null":
        return ""
    text = cell.text
    if cell.kind != "number" and text.startswith(_FORMULA_STARTS):
        text = "'" + text
    if not text or any(letter in text for letter in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


async def streamed(lines: Callable[[], Iterator[str]]) -> AsyncIterator[bytes]:
    """Yield what an iterator gives, encoded and in chunks, while it works in a thread of its own.

    At most a few chunks wait for the reader. When the reader goes away, the thread stops.

    Parameters
    ----------
    lines
        Makes the iterator, in the thread.

    Raises
    ------
    TooManyExportsError
        If as many as allowed are at work.
    """
    if not _exports.acquire(blocking=False):
        raise TooManyExportsError("Other files are being made at the moment. Try again when they are done.")
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_WAITING_CHUNKS)
    is_over = threading.Event()

    def hand_over(item: bytes | BaseException | None) -> None:
        asyncio.run_coroutine_threadsafe(waiting.put(item), loop).result()

    def work() -> None:
        outcome: BaseException | None = None
        try:
            for chunk in _chunks(lines()):
                if is_over.is_set():
                    return
                hand_over(chunk)
        except Exception as error:  # noqa: BLE001 - raised again where the chunks are read
            outcome = error
        finally:
            _exports.release()
        if not is_over.is_set():
            hand_over(outcome)

    threading.Thread(target=work, name="dj-panel export", daemon=True).start()
    try:
        while (item := await waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()
        while not waiting.empty():  # lets a thread go on that waits for room
            waiting.get_nowait()


def _chunks(lines: Iterator[str]) -> Iterator[bytes]:
    collected: list[str] = []
    size = 0
    for line in lines:
        collected.append(line)
        size += len(line)
        if size >= _CHUNK_CHARS:
            yield "".join(collected).encode()
            collected, size = [], 0
    if collected:
        yield "".join(collected).encode()
