"""The cells of MySQL's text protocol → columns: numbers, times and text of many rows decoded at once.

Source: MySQL internals, "Text Resultset" and "Length-Encoded Integer".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymysql.constants import FIELD_TYPE

from dj_panel.core.dialect.columns import Column, EncodedText, ListColumn, TypedValues
from dj_panel.core.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Positions = NDArray[np.int64]

__all__ = ["Cells", "column", "located"]

NO_VALUE, TWO_BYTES, THREE_BYTES, EIGHT_BYTES = 0xFB, 0xFC, 0xFD, 0xFE
WIDTHS = {TWO_BYTES: 2, THREE_BYTES: 3, EIGHT_BYTES: 8}
"""How many bytes of length follow such a first byte."""

_INTEGERS = (
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR,
)  # fmt: skip
_FLOATS = (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE)
_MOMENTS = (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)


class Cells:
    """The bytes of some rows, seen in the ways in which columns need them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes: Bytes = np.frombuffer(data, dtype=np.uint8)
        self._letters: str | None = None
        self._n_beyond_ascii: NDArray[np.int32] | None = None

    @property
    def letters(self) -> str:
        """Each byte as a letter, so that cells of ASCII are slices of it."""
        if self._letters is None:
            self._letters = self.data.decode("latin-1")
        return self._letters

    def is_ascii(self, place: Place) -> bool:
        """Tell whether all cells of a column are ASCII."""
        if self._n_beyond_ascii is None:
            counted = np.zeros(len(self.bytes) + 1, dtype=np.int32)
            np.cumsum(self.bytes >= 128, out=counted[1:])
            self._n_beyond_ascii = counted
        return bool((self._n_beyond_ascii[place.ends] == self._n_beyond_ascii[place.starts]).all())


class Place:
    """Where the cells of one column are."""

    def __init__(self, starts: Positions, lengths: Positions, is_empty: NDArray[np.bool_] | None) -> None:
        self.starts, self.lengths, self.is_empty = starts, lengths, is_empty
        self.ends: Positions = starts + lengths

    def matrix(self, cells: Bytes, width: int) -> Bytes:
        """Return the first bytes of each cell, ``(n_rows, width)``; beyond its end they mean nothing."""
        places = self.starts[:, None] + np.arange(width)
        if places[-1, -1] >= len(cells):
            np.minimum(places, len(cells) - 1, out=places)
        found: Bytes = cells[places]
        return found


def located(cells: Bytes, position: Positions) -> tuple[Place, Positions]:
    """Return the place of the cells that begin at these positions, and the positions after them."""
    first = cells[np.minimum(position, len(cells) - 1)]
    lengths = first.astype(np.int64)
    starts = position + 1
    is_empty = None
    if int(first.max()) >= NO_VALUE:
        is_empty = first == NO_VALUE
        lengths[is_empty] = 0
        for code, width in WIDTHS.items():
            which = np.flatnonzero(first == code)
            if len(which):
                prefix = cells[starts[which][:, None] + np.arange(width)].astype(np.int64)
                lengths[which] = (prefix << (8 * np.arange(width))).sum(axis=1)
                starts[which] += width
        if not is_empty.any():
            is_empty = None
    place = Place(starts, lengths, is_empty)
    return place, place.ends


def column(cells: Cells, place: Place, field: Any, encoding: str | None, convert: Any) -> Column:
    """Return a column of cells.

    Parameters
    ----------
    cells, place
        The bytes of the rows, and where the column's are in them.
    field
        The driver's description of the column.
    encoding, convert
        How the driver makes a value of a cell: its text encoding, and what turns the text into the value.
    """
    code = field.type_code
    if code in _INTEGERS:
        return _TypedColumn(cells, place, convert, _integers)
    if code in _FLOATS:
        return _TypedColumn(cells, place, convert, _floats)
    if code in _MOMENTS:
        return _TypedColumn(cells, place, convert, _moments)
    if code == FIELD_TYPE.DATE:
        return _TypedColumn(cells, place, convert, _days)
    if convert is None and encoding in ("utf8", "utf8mb4", "utf-8"):
        return _TextColumn(cells, place)
    return ListColumn(_converted(cells, place, encoding, convert))


def _converted(cells: Cells, place: Place, encoding: str | None, convert: Any) -> list[Any]:
    """Return the values of a column as the driver makes them, one by one."""
    values: list[Any] = []
    data = cells.data
    for start, end in zip(place.starts.tolist(), place.ends.tolist(), strict=True):
        cell: Any = data[start:end]
        if encoding is not None:
            cell = cell.decode(encoding)
        values.append(cell)
    if convert is not None:
        values = list(map(convert, values)) if place.is_empty is None else [
            None if is_empty else convert(value)
            for value, is_empty in zip(values, place.is_empty.tolist(), strict=True)
        ]  # fmt: skip
    return _with_gaps(values, place.is_empty)


def _with_gaps(values: list[Any], is_empty: NDArray[np.bool_] | None) -> list[Any]:
    if is_empty is not None:
        for row in np.flatnonzero(is_empty).tolist():
            values[row] = None
    return values


class _TypedColumn(Column):
    """Numbers or times, decoded for all rows at once; one by one where they have an unusual form."""

    def __init__(self, cells: Cells, place: Place, convert: Any, decode: Any) -> None:
        self._cells, self._place, self._convert = cells, place, convert
        self._values = decode(cells, place)

    def values(self) -> list[Any]:
        """Return the values as Python's."""
        if self._values is None:
            return _converted(self._cells, self._place, "ascii", self._convert)
        return _with_gaps(self._values.tolist(), self._place.is_empty)

    def typed(self) -> TypedValues | None:
        """Return the values as an array."""
        return None if self._values is None else TypedValues(self._values, self._place.is_empty)


def _integers(cells: Cells, place: Place) -> NDArray[Any] | None:
    width = int(place.lengths.max())
    digits = place.matrix(cells.bytes, max(width, 1))
    is_negative = digits[:, 0] == ord("-")
    if place.is_empty is not None:
        is_negative &= ~place.is_empty
    some_negative = bool(is_negative.any())
    total = np.zeros(len(digits), dtype=np.uint64 if width > 18 else np.int64)
    shortest = int(place.lengths.min())
    first = is_negative.astype(np.int64)
    for place_of_digit in range(width):
        digit = (digits[:, place_of_digit] - np.uint8(48)).astype(total.dtype)
        if place_of_digit >= shortest or (some_negative and not place_of_digit):
            has_digit = (place_of_digit < place.lengths) & (place_of_digit >= first)
            total = np.where(has_digit, total * 10 + digit, total)
        else:
            total = total * 10 + digit
    if width > 18:
        if not some_negative and int(total.max()) >= 2**63:
            return total
        total = total.astype(np.int64)
    return np.where(is_negative, -total, total) if some_negative else total


def _floats(cells: Cells, place: Place) -> NDArray[Any] | None:
    data = cells.data
    spans = zip(place.starts.tolist(), place.ends.tolist(), strict=True)
    if place.is_empty is None:
        found = [float(data[start:end]) for start, end in spans]
    else:
        found = [float(data[start:end] or b"nan") for start, end in spans]
    return np.array(found, dtype=np.float64)


def _days(cells: Cells, place: Place) -> NDArray[Any] | None:
    """Return ``YYYY-MM-DD`` as days, or None if any is something else."""
    is_day = place.lengths == 10
    if place.is_empty is not None:
        is_day |= place.is_empty
    if not is_day.all():
        return None
    return _calendar(place.matrix(cells.bytes, 10), place.is_empty)


def _calendar(letters: Bytes, is_empty: NDArray[np.bool_] | None) -> NDArray[Any] | None:
    digits = letters.astype(np.int64) - 48
    if is_empty is not None:
        digits[is_empty, :10] = (1, 9, 7, 0, -3, 0, 1, -3, 0, 1)
    years = digits[:, 0] * 1000 + digits[:, 1] * 100 + digits[:, 2] * 10 + digits[:, 3]
    months = digits[:, 5] * 10 + digits[:, 6]
    days = digits[:, 8] * 10 + digits[:, 9]
    if (years < 1).any() or (months < 1).any() or (days < 1).any():
        return None  # such as 0000-00-00, which is no day of the calendar
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]").astype("datetime64[D]")
    found: NDArray[Any] = first + (days - 1).astype("timedelta64[D]")
    return found


def _moments(cells: Cells, place: Place) -> NDArray[Any] | None:
    """Return ``YYYY-MM-DD HH:MM:SS`` with all digits of the second there are, or None if any is something else."""
    width = int(place.lengths.max())
    is_moment = place.lengths == width
    if place.is_empty is not None:
        is_moment |= place.is_empty
    if width not in (19, *range(21, 27)) or not is_moment.all():
        return None
    letters = place.matrix(cells.bytes, width)
    days = _calendar(letters, place.is_empty)
    if days is None:
        return None
    digits = letters.astype(np.int64) - 48
    seconds = (digits[:, 11] * 10 + digits[:, 12]) * 3600
    seconds += (digits[:, 14] * 10 + digits[:, 15]) * 60 + digits[:, 17] * 10 + digits[:, 18]
    microseconds = seconds * 1_000_000
    for position in range(20, width):
        microseconds += digits[:, position] * 10 ** (25 - position)
    if place.is_empty is not None:
        microseconds[place.is_empty] = 0
    found: NDArray[Any] = days.astype("datetime64[us]") + microseconds.astype("timedelta64[us]")
    return found


class _TextColumn(Column):
    """Text in UTF-8."""

    def __init__(self, cells: Cells, place: Place) -> None:
        self._cells, self._place = cells, place

    def values(self) -> list[Any]:
        """Return the values as strings."""
        place = self._place
        spans = zip(place.starts.tolist(), place.ends.tolist(), strict=True)
        if self._cells.is_ascii(place):
            letters = self._cells.letters
            values: list[Any] = [letters[start:end] for start, end in spans]
        else:
            data = self._cells.data
            values = [data[start:end].decode("utf-8") for start, end in spans]
        return _with_gaps(values, place.is_empty)

    def text(self) -> EncodedText | None:
        """Return the values one after the other, without what stood between them."""
        place = self._place
        offsets = np.zeros(len(place.starts) + 1, dtype=np.int64)
        np.cumsum(place.lengths, out=offsets[1:])
        # 1 in a cell and 0 outside, as the running sum of 1 where one begins and -1 where it ends
        inside = np.zeros(len(self._cells.bytes) + 1, dtype=np.int8)
        inside[place.starts] += 1
        inside[place.ends] -= 1
        np.cumsum(inside, out=inside)
        return EncodedText(offsets, self._cells.bytes[inside[:-1].view(bool)], place.is_empty)
