"""How many statements a piece of work sends, as the server counts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dj_panel as dj


@dataclass
class Count:
    """A number that is known when its block ends."""

    n: int = 0


@contextmanager
def counted_statements(connection: dj.Connection) -> Iterator[Count]:
    """Count the statements that this thread sends within the block.

    Of an embedded database, an INSERT's many rows count as one, and so does the same statement twice in a row,
    which is one that had to be prepared again.
    """
    count = Count()
    raw = connection._session().raw
    if connection.dialect.name == "sqlite":
        seen: list[str] = []

        def note(sql: str) -> None:
            text = sql[:40] if sql.startswith("INSERT") else sql
            if not sql.startswith("--") and text not in seen[-1:]:
                seen.append(text)

        raw.set_trace_callback(note)  # type: ignore[attr-defined]
        try:
            yield count
        finally:
            raw.set_trace_callback(None)  # type: ignore[attr-defined]
            count.n = len(seen)
        return
    before = _questions(connection)
    yield count
    count.n = _questions(connection) - before - 1


def _questions(connection: dj.Connection) -> int:
    return int(connection.query("SHOW SESSION STATUS LIKE 'Questions'").fetchone()[1])
