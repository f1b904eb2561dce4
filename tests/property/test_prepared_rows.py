"""Values in binary form are what the protocol says, read here cell by cell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from dj_panel.core.columntypes import TimeTexts
from dj_panel.core.dialect.mysql_binary import prepared_rows

N_ROWS = 2000
WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def cells(values: bytes, n_columns: int, n_rows: int) -> Iterator[list[Any]]:
    """Yield rows of what follows the number of a statement when it is executed."""
    n_cells = n_columns * n_rows
    bits = int.from_bytes(values[: (n_cells + 7) // 8], "little")
    place = (n_cells + 7) // 8
    assert values[place] == 1
    codes = struct.unpack_from(f"<{n_cells}H", values, place + 1)
    place += 1 + 2 * n_cells
    for row in range(n_rows):
        found: list[Any] = []
        for cell in range(row * n_columns, (row + 1) * n_columns):
            if bits >> cell & 1:
                found.append(None)
            elif codes[cell] in (FIELD_TYPE.LONGLONG, FIELD_TYPE.LONGLONG | 0x8000, FIELD_TYPE.DOUBLE):
                form = {FIELD_TYPE.DOUBLE: "<d", FIELD_TYPE.LONGLONG: "<q"}.get(codes[cell], "<Q")
                found += struct.unpack_from(form, values, place)
                place += 8
            else:
                width = WIDTHS.get(values[place], 0)
                size = (
                    int.from_bytes(values[place + 1 : place + 1 + width], "little")
                    if width
                    else values[place]
                )
                place += 1 + width
                content = values[place : place + size]
                found.append(content if codes[cell] == FIELD_TYPE.BLOB else content.decode("utf-8"))
                place += size
        yield found
    assert place == len(values)


def same(column: list[Any]) -> list[Any]:
    """Return the values of a column as they are to be read."""
    return [f"{value:f}" if isinstance(value, Decimal) else value for value in column]


def repeated(values: list[Any]) -> list[Any]:
    return (values * (N_ROWS // len(values) + 1))[:N_ROWS]


def kind(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(elements, st.none()), min_size=1, max_size=7).filter(any)


COLUMN = st.one_of(
    kind(st.integers(-(2**63), 2**63 - 1)),
    kind(st.integers(0, 2**64 - 1)),
    kind(st.floats(allow_nan=False, allow_infinity=False)),
    kind(st.text(st.characters(codec="utf-8"), max_size=300)),
    kind(st.binary(max_size=300)),
    kind(st.decimals(allow_nan=False, allow_infinity=False)),
).map(repeated)


@given(st.lists(COLUMN, min_size=1, max_size=4))
@example([["x" * 250, "y" * 251, ""] * 600 + ["z" * 65_535, "ü" * 40_000] * 100])
@example([[b""] * 1999 + [b"\xff" * 2**24]])
@settings(max_examples=60, deadline=None)
def test_rows_are_written_as_the_protocol_says(columns: list[list[Any]]) -> None:
    marks = ", ".join(["%s"] * len(columns))
    pieces = prepared_rows(
        f"INSERT INTO `a%%b?` (`c`) VALUES ({marks})", columns, 2**27, lambda rows: iter([b""])
    )
    assert pieces is not None
    assert len({piece.sql for piece in pieces}) == 1
    assert pieces[0].sql.startswith("INSERT INTO `a%b?` (`c`) VALUES (?")
    assert pieces[0].sql.count("?") == 1000 * len(columns) + 1
    found = [row for piece in pieces for row in cells(piece.values, len(columns), 1000)]
    assert list(map(repr, zip(*found, strict=True))) == [repr(tuple(same(column))) for column in columns]


def test_times_are_written_as_numbers_that_the_server_takes_for_them() -> None:
    times = TimeTexts(repeated(["2026-03-31 14:05:00", "1000-01-01 00:00:00", "9999-12-31 23:59:59"]))
    pieces = prepared_rows("VALUES (%s)", [times], 2**24, lambda rows: iter([b""]))
    assert pieces is not None
    assert list(cells(pieces[0].values, 1, 1000))[:3] == [
        [20260331140500],
        [10000101000000],
        [99991231235959],
    ]
    early = TimeTexts(repeated(["0999-12-31 23:59:59"]))
    pieces = prepared_rows("VALUES (%s)", [early], 2**24, lambda rows: iter([b""]))
    assert pieces is not None
    assert next(cells(pieces[0].values, 1, 1000)) == ["0999-12-31 23:59:59"]


@pytest.mark.parametrize(
    ("columns", "max_bytes"),
    [
        ([[1] * 999], 2**24),  # no whole thousand
        ([[1] * 1000] * 66, 2**24),  # more values than a statement takes
        ([["x" * 100] * 1000], 100_000),  # more bytes than the server takes
        ([[1, "a"] * 500], 2**24),  # values of several kinds
        ([[2**64] * 1000], 2**24),
        ([[float("inf")] * 1000], 2**24),
        ([[True] * 1000], 2**24),
    ],
)
def test_what_cannot_be_written_so_is_left_to_the_driver(columns: list[list[Any]], max_bytes: int) -> None:
    marks = ", ".join(["%s"] * len(columns))
    assert prepared_rows(f"VALUES ({marks})", columns, max_bytes, lambda rows: iter([b""])) is None
