"""Mends of Panel, each with what goes wrong without it; they leave when Panel has its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from panel.io import document as panel_document

__all__ = ["mend_dispatch"]


def mend_dispatch() -> None:
    """Have Panel send a message that came while those before it were being written.

    Panel (1.9.4, 1.10.0) queues what it cannot write at once, with a mark that somebody is sending. Who sends takes
    all that waits, writes it, and then takes the mark away. What was queued during the writing has a sender of its
    own, which finds no mark if it comes later than that, and gives up: the message waits until there is another one
    for the same window. A page then stood at "Loading" until its visitor did something; on a busy computer this was
    one of some 170 queued messages.
    """
    dispatch: Callable[[Any], Awaitable[None]] = panel_document._dispatch_msgs
    if hasattr(dispatch, "__wrapped__"):
        return
    # the queue of Panel 1.10 and that of 1.9
    names = ("_WRITE_EVENTS", "_WRITE_MSGS")
    waiting = next(getattr(panel_document, name) for name in names if hasattr(panel_document, name))

    @wraps(dispatch)
    async def dispatch_all(document: Any) -> None:
        await dispatch(document)
        while document in waiting and document not in panel_document._WRITE_BLOCK:
            panel_document._WRITE_BLOCK[document] = True
            await dispatch(document)

    panel_document._dispatch_msgs = dispatch_all
