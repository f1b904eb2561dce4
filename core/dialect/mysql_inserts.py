"""INSERT statements of many rows for MySQL and MariaDB, put together by column.

A placeholder for each value, as the driver fills them in, takes several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dj_panel.core.columntypes import TimeTexts

__all__ = ["packed_inserts"]

_FOUR_DIGITS = "1000"
_SEPARATOR = "\x1e"
_MAX_BYTES = 16 * 2**20
Escape = Callable[[Any], str]


def packed_inserts(
    escape: Escape, sql: str, columns: Sequence[Sequence[Any]], max_bytes: int
) -> Iterator[bytes]:
    """Yield the statements that insert rows.

    Parameters
    ----------
    escape
        The driver's: a value → SQL.
    sql
        The INSERT of one row, with the driver's placeholders.
    columns
        The values of each placeholder, one for each row.
    max_bytes
        What the server takes in one statement; only one that holds a single row may be longer.
    """
    mark = f"({', '.join(['%s'] * len(columns))})"
    head, _, tail = sql.partition(mark)
    # Two percent signs are one; what stands around the rows holds no placeholder.
    head, tail = head.replace("%%", "%"), tail.replace("%%", "%")
    literals = [_literals(escape, values) for values in columns]
    template = f"({','.join(form for form, _ in literals)})"
    rows = list(map(template.__mod__, zip(*(values for _, values in literals), strict=True)))
    for part in _packets(rows, min(max_bytes, _MAX_BYTES) - len(sql)):
        yield f"{head}{','.join(part)}{tail}".encode("utf-8", "surrogateescape")


def _literals(escape: Escape, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """Return how the values of a column are written into a statement: a form, and what it is filled with.

    Numbers of Python are written here; everything else is escaped by the driver, which knows what the server
    takes for an escape.
    """
    types = set(map(type, values))
    if types == {int}:
        return "%d", values
    if types == {float} and math.isfinite(sum(values)):
        # With an exponent it is a double at once; without one the server reads a decimal number and converts it.
        return "%s", [text if "e" in text else text + "e0" for text in map(repr, values)]
    if isinstance(values, TimeTexts) and min(values) >= _FOUR_DIGITS:
        # Of a number the server has less to read. A year of fewer digits it would take for one of this century.
        return "%s", "\n".join(values).encode("ascii").translate(None, b"-: ").decode("ascii").split("\n")
    if types == {str}:
        # Escaping goes character by character, so a column can be escaped in one piece and cut apart again,
        # at a character that no escape makes and that none of the values holds.
        joined = _SEPARATOR.join(values)
        if joined.count(_SEPARATOR) == len(values) - 1:
            pieces = escape(joined)[1:-1].split(_SEPARATOR)
            if len(pieces) == len(values):
                return "'%s'", pieces
    return "%s", list(map(escape, values))


def _packets(rows: list[str], max_bytes: int) -> Iterator[list[str]]:
    """Yield the rows in lists that fit a statement; a row that does not, alone."""
    size = sum(map(len, rows)) + len(rows)
    # A character takes up to four bytes, which need counting only where it may matter.
    if size * 4 > max_bytes:
        size = sum(len(row.encode("utf-8", "surrogateescape")) for row in rows) + len(rows)
    if size > max_bytes and len(rows) > 1:
        middle = len(rows) // 2
        yield from _packets(rows[:middle], max_bytes)
        yield from _packets(rows[middle:], max_bytes)
    else:
        yield rows
