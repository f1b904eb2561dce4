"""Many rows → values of MySQL's binary protocol, put together by column.

The server reads an INSERT of a thousand rows once, as a statement with a place for each value, and is then sent the
values of a thousand rows at a time. Of an INSERT that is text, reading it takes the server half of the time.

Source: MySQL internals, "Binary Protocol Value" and "COM_STMT_EXECUTE".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pymysql.constants import FIELD_TYPE

from dj_panel.core.columntypes import TimeTexts
from dj_panel.core.dialect.digits import Letters, whole_numbers
from dj_panel.core.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEW_ROWS", "PreparedRows", "prepared_rows"]

FEW_ROWS = 5000
"""Preparing a statement takes about as long as it saves for so many rows."""

_ROWS_AT_ONCE = 1000
_MOST_VALUES = 65_535  # that a prepared statement takes
_N_DIGITS = 14  # of YYYYMMDDHHMMSS
_UNSIGNED = 0x8000


@dataclass(frozen=True)
class PreparedRows:
    """Some rows of an INSERT.

    Parameters
    ----------
    sql
        The statement, with ``?`` for each value.
    values
        The values, in binary form.
    as_text
        Gives the same rows as statements that are text.
    """

    sql: str
    values: bytes
    as_text: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class _Cells:
    """The values of a column: how each is described, how long it is written, and how all of them are written."""

    code: int
    sizes: NDArray[np.int64]
    write: Callable[[NDArray[np.uint8], NDArray[np.int64]], None]


def prepared_rows(
    sql: str,
    columns: Sequence[Sequence[Any]],
    max_bytes: int,
    as_text: Callable[[Sequence[Sequence[Any]]], Iterator[bytes]],
) -> list[PreparedRows] | None:
    """Return rows a thousand at a time; ``None`` where that does not do.

    Parameters
    ----------
    sql
        The INSERT of one row, with the driver's placeholders.
    columns
        The values of each placeholder, one for each of whole thousands of rows.
    max_bytes
        What the server takes at once.
    as_text
        Makes statements that are text of some of the rows.
    """
    n_rows = len(columns[0])
    if n_rows % _ROWS_AT_ONCE or len(columns) * _ROWS_AT_ONCE > _MOST_VALUES:
        return None
    cells = [found for found in map(_cells, columns) if found is not None]
    if len(cells) < len(columns):
        return None
    sizes = np.stack([c.sizes for c in cells], axis=1)
    places = np.cumsum(sizes).reshape(sizes.shape) - sizes
    written = np.empty(int(sizes.sum()), dtype=np.uint8)
    for found, place in zip(cells, places.T, strict=True):
        found.write(written, place)
    bounds = [*places[::_ROWS_AT_ONCE, 0].tolist(), len(written)]
    codes = np.array([c.code for c in cells], dtype="<u2").tobytes() * _ROWS_AT_ONCE
    if max(np.diff(bounds)) + len(codes) * 2 > max_bytes:
        return None
    mark = f"({', '.join(['%s'] * len(columns))})"
    head, _, tail = sql.partition(mark)
    marks = ",".join([f"({','.join('?' * len(columns))})"] * _ROWS_AT_ONCE)
    statement = f"{head}{marks}{tail}".replace("%%", "%")
    pieces = []
    for number, (start, end) in enumerate(pairwise(bounds)):
        rows = slice(number * _ROWS_AT_ONCE, (number + 1) * _ROWS_AT_ONCE)
        is_empty = np.packbits(sizes[rows].ravel() == 0, bitorder="little").tobytes()
        values = is_empty + b"\x01" + codes + written[start:end].tobytes()
        pieces.append(PreparedRows(statement, values, _later(as_text, columns, rows)))
    return pieces


def _later(
    as_text: Callable[[Sequence[Sequence[Any]]], Iterator[bytes]],
    columns: Sequence[Sequence[Any]],
    rows: slice,
) -> Callable[[], Iterator[bytes]]:
    return lambda: as_text([column[rows] for column in columns])


def _cells(values: Sequence[Any]) -> _Cells | None:
    """Return the cells of a column; ``None`` if its values are of a kind that only the driver can write."""
    kinds = set(map(type, values))
    is_there = np.ones(len(values), dtype=bool)
    if type(None) in kinds:
        kinds.discard(type(None))
        is_there = np.fromiter((value is not None for value in values), bool, len(values))
    filled = values if is_there.all() else [value for value in values if value is not None]
    if isinstance(values, TimeTexts) and min(values) >= "1000":
        # Of a number the server has less to read. A year of fewer digits it would take for one of this century.
        return _numbers(_as_numbers(values), FIELD_TYPE.LONGLONG, is_there)
    if kinds == {int}:
        return _whole(filled, is_there)
    if kinds == {float}:
        numbers = np.array(filled)
        return _numbers(numbers, FIELD_TYPE.DOUBLE, is_there) if np.isfinite(numbers).all() else None
    if kinds == {Decimal}:
        digits = [f"{value:f}" for value in filled]
        return _texts(
            "".join(digits).encode("ascii"), list(map(len, digits)), FIELD_TYPE.NEWDECIMAL, is_there
        )
    if kinds == {str}:
        text = "".join(filled)
        if text.isascii():
            return _texts(text.encode("ascii"), list(map(len, filled)), FIELD_TYPE.VAR_STRING, is_there)
        encoded = [value.encode("utf-8", "surrogateescape") for value in filled]
        return _texts(b"".join(encoded), list(map(len, encoded)), FIELD_TYPE.VAR_STRING, is_there)
    if kinds == {bytes}:
        return _texts(b"".join(filled), list(map(len, filled)), FIELD_TYPE.BLOB, is_there)
    return None


def _as_numbers(times: Sequence[str]) -> NDArray[Any]:
    """Return ``2026-03-31 14:05:00`` as 20260331140500."""
    digits = "".join(times).encode("ascii").translate(None, b"-: ")
    ends = np.arange(1, len(times) + 1) * _N_DIGITS
    return whole_numbers(Letters(digits), ends, np.full(len(times), _N_DIGITS))[0]


def _whole(values: Sequence[int], is_there: NDArray[np.bool_]) -> _Cells | None:
    for kind, code in ((np.int64, FIELD_TYPE.LONGLONG), (np.uint64, FIELD_TYPE.LONGLONG | _UNSIGNED)):
        try:
            return _numbers(np.fromiter(values, kind, len(values)), code, is_there)
        except OverflowError:
            continue
    return None


def _numbers(numbers: NDArray[Any], code: int, is_there: NDArray[np.bool_]) -> _Cells:
    def write(written: NDArray[np.uint8], places: NDArray[np.int64]) -> None:
        # The eight bytes from each place on, seen as one number, whatever places those are.
        words = np.ndarray((len(written) - 7,), "<u8", written, strides=(1,))
        words[places[is_there]] = numbers.astype(numbers.dtype.newbyteorder("<")).view("<u8")

    return _Cells(code, is_there * 8, write)


def _texts(content: bytes, lengths: Sequence[int], code: int, is_there: NDArray[np.bool_]) -> _Cells:
    """Return texts, each of which is written after its length: in one byte, or a mark and two, three or eight."""
    n_bytes = np.array(lengths, dtype=np.int64)
    n_before = np.select([n_bytes < 251, n_bytes < 1 << 16, n_bytes < 1 << 24], [1, 3, 4], 9)
    sizes = np.zeros(len(is_there), dtype=np.int64)
    sizes[is_there] = n_before + n_bytes

    def write(written: NDArray[np.uint8], places: NDArray[np.int64]) -> None:
        starts = places[is_there]
        for width, mark in ((1, None), (3, 0xFC), (4, 0xFD), (9, 0xFE)):
            which = n_before == width
            rest = n_bytes[which]
            if mark is not None:
                written[starts[which]] = mark
            for position in range(mark is not None, width):
                written[starts[which] + position] = rest & 0xFF
                rest = rest >> 8
        # Where each byte goes: as far behind the one before it as it is in the content, but for what lies between.
        between = starts + n_before - (np.cumsum(n_bytes) - n_bytes)
        written[np.repeat(between, n_bytes) + np.arange(len(content))] = np.frombuffer(content, np.uint8)

    return _Cells(code, sizes, write)
