"""How many statements a piece of work sends, as the server counts them, and how many rows come at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import dj_panel as dj
from dj_panel.core.session import Result


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


@contextmanager
def largest_answer() -> Iterator[Count]:
    """Find how many rows the largest answer has that any connection holds as a whole within the block."""
    most = Count()
    make, fetch = Result.__init__, dj.Connection.fetch

    def made(result: Result, names: Any, rows: Any, *others: Any) -> None:
        most.n = max(most.n, len(rows))
        make(result, names, rows, *others)

    def fetched(connection: dj.Connection, statement: Any, take: Any) -> Any:
        def counted(batches: Any) -> Any:
            held = list(batches)
            most.n = max(most.n, sum(batch.n_rows for batch in held))
            return take(held)

        return fetch(connection, statement, counted)

    with patch.object(Result, "__init__", made), patch.object(dj.Connection, "fetch", fetched):
        yield most
