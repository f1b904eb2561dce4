"""What Panel would do wrong without our mends of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from bokeh.document import Document
from panel.io import document as panel_document

from dj_panel.apps.panel_mends import mend_dispatch


class Socket:
    """A socket that has written a message when the test says so."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.writing: list[asyncio.Future[None]] = []

    def write(self, _connection: Any, events: Any = None, msg: Any = None) -> list[asyncio.Future[None]]:
        self.sent += msg if msg is not None else events
        self.writing.append(asyncio.get_running_loop().create_future())
        return self.writing[-1:]


class Connection:
    """A window's connection, whose messages are the events themselves."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.protocol = SimpleNamespace(create=lambda _kind, events: events)


def test_a_message_that_comes_while_another_is_written_is_sent_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mend_dispatch()
    mend_dispatch()  # a second site in the process changes nothing
    document, socket = Document(), Socket()
    monkeypatch.setitem(panel_document.extra_socket_handlers, Socket, socket.write)
    connection: Any = Connection(socket)

    def send(*events: Any) -> None:
        panel_document.schedule_write_events(document, [connection], list(events))

    async def converse() -> None:
        send("first")
        await asyncio.sleep(0)
        assert socket.sent == ["first"]
        # Who sends goes on before the sender of the second message has begun.
        socket.writing[0].set_result(None)
        send("second")
        for _ in range(5):
            await asyncio.sleep(0)
        assert socket.sent == ["first", "second"]
        socket.writing[1].set_result(None)
        send("third")
        send("fourth")
        for _ in range(5):
            await asyncio.sleep(0)
        for written in socket.writing[2:]:
            written.set_result(None)
        await asyncio.sleep(0)
        assert socket.sent == ["first", "second", "third", "fourth"]

    asyncio.run(converse())
