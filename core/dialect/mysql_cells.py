"""The cells of MySQL's text protocol → columns: numbers, times and text of many rows decoded at once.

Source: MySQL internals, "Text Resultset" and "Length-Encoded Integer".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymysql.constants import FIELD_TYPE

from dj_panel.core.dialect.columns import Column, EncodedText, ListColumn, TypedValues
from dj_panel.core.dialect.digits import Letters, decimals, whole_numbers
from dj_panel.core.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Positions = NDArray[np.int64]

__all__ = ["Cells", "column", "located"]

NO_VALUE, TWO_BYTES, THREE_BYTES, EIGHT_BYTES = 0xFB, 0xFC, 0xFD, 0xFE
WIDTHS = {TWO_BYTES: 2, THREE_BYTES: 3, EIGHT_BYTES: 8}
"""How many bytes of length follow such a first byte."""

_FEW_NUMBERS = 256
"""So many decimals are read sooner one by one."""

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
        self._words: Letters | None = None
        self._n_beyond_ascii: NDArray[np.int32] | None = None

    @property
    def words(self) -> Letters:
        """Any eight neighbouring bytes as a number."""
        if self._words is None:
            self._words = Letters(self.data)
        return self._words

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

    def begin_with(self, cells: Bytes, letter: str) -> NDArray[np.bool_]:
        """Tell of each cell whether it begins with a letter."""
        found: NDArray[np.bool_] = cells[np.minimum(self.starts, len(cells) - 1)] == ord(letter)
        return found if self.is_empty is None else found & ~self.is_empty

    def all_have(self, n_letters: int) -> bool:
        """Tell whether all cells have as many letters, but for those without a value."""
        has = self.lengths == n_letters
        return bool((has if self.is_empty is None else has | self.is_empty).all())


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


def _integers(cells: Cells, place: Place) -> NDArray[Any]:
    is_negative = place.begin_with(cells.bytes, "-")
    digits, _ = whole_numbers(cells.words, place.ends, place.lengths - is_negative)
    if not is_negative.any():
        # Only a column without a sign has more than the other kind can hold.
        return digits if int(digits.max()) >= 2**63 else digits.astype(np.int64)
    found = digits.astype(np.int64)
    return np.where(is_negative, -found, found)


def _floats(cells: Cells, place: Place) -> NDArray[np.float64]:
    if len(place.starts) < _FEW_NUMBERS:
        found, others = np.empty(len(place.starts)), np.arange(len(place.starts))
    else:
        found, is_other = decimals(cells.words, place.starts, place.lengths)
        others = np.flatnonzero(is_other)
    for row, start, end in zip(
        others.tolist(), place.starts[others].tolist(), place.ends[others].tolist(), strict=True
    ):
        found[row] = float(cells.data[start:end] or b"nan")
    if place.is_empty is not None:
        found[place.is_empty] = np.nan
    return found


def _days(cells: Cells, place: Place) -> NDArray[Any] | None:
    """Return ``YYYY-MM-DD`` as days, or None if any is something else."""
    return _calendar(_pairs(cells, place, 10), place.is_empty) if place.all_have(10) else None


def _pairs(cells: Cells, place: Place, n_letters: int) -> Bytes:
    """Return the number that each digit makes with the one after it, at its place, in all words of eight letters."""
    starts = range(0, n_letters, 8)
    words = np.stack([cells.words.after(place.starts + start) for start in starts], axis=1)
    words &= np.uint64(0x0F0F0F0F0F0F0F0F)
    return (words * np.uint64(10) + (words >> np.uint64(8))).view(np.uint8)


def _calendar(pairs: Bytes, is_empty: NDArray[np.bool_] | None) -> NDArray[Any] | None:
    years = pairs[:, 0].astype(np.int64) * 100 + pairs[:, 2]
    months, days = pairs[:, 5].astype(np.int64), pairs[:, 8].astype(np.int64)
    if is_empty is not None:
        years[is_empty], months[is_empty], days[is_empty] = 1970, 1, 1
    if not (years.all() and months.all() and days.all()):
        return None  # such as 0000-00-00, which is no day of the calendar
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]").astype("datetime64[D]")
    found: NDArray[Any] = first + (days - 1).astype("timedelta64[D]")
    return found


def _moments(cells: Cells, place: Place) -> NDArray[Any] | None:
    """Return ``YYYY-MM-DD HH:MM:SS`` with all digits of the second there are, or None if any is something else."""
    width = int(place.lengths.max())
    if width not in (19, *range(21, 27)) or not place.all_have(width):
        return None
    pairs = _pairs(cells, place, 19)
    days = _calendar(pairs, place.is_empty)
    if days is None:
        return None
    microseconds = (
        pairs[:, 11].astype(np.int64) * 3600 + pairs[:, 14].astype(np.int64) * 60 + pairs[:, 17]
    ) * 1_000_000
    if width > 19:
        fraction, _ = whole_numbers(cells.words, place.starts + width, np.full(len(pairs), width - 20))
        microseconds += fraction.astype(np.int64) * 10 ** (26 - width)
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
