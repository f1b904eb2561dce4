"""The values of a blob, to bytes; the format is described in `dj_panel.core.blob`."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence, Set
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from dj_panel.core.errors import EncodeError

TYPE_IDS: dict[str, int] = {
    "|b1": 3, "|S1": 4, "<f8": 6, "<f4": 7, "|i1": 8, "|u1": 9, "<i2": 10, "<u2": 11,
    "<i4": 12, "<u4": 13, "<i8": 14, "<u8": 15,
}  # fmt: skip
"""The number that stands for each NumPy type."""

TYPE_IDS |= {
    f"<M8[{unit}]": 65_536 + position
    for position, unit in enumerate(("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"))
}
CHAR, OBJECT = 4, 5
MAX_DEPTH = 128

_u64 = struct.Struct("<Q").pack
_u32 = struct.Struct("<I").pack
_u16 = struct.Struct("<H").pack
_f64 = struct.Struct("<d").pack


class MatCell(np.ndarray[Any, Any]):
    """A MATLAB cell array: an array of objects that is packed as ``C`` and not as ``A``."""


class MatStruct(np.recarray[Any, Any]):
    """A MATLAB struct array: a record array that is packed as ``S`` and not as ``F``."""


class Writer:
    """Collects the parts of a blob's value.

    Each method appends one value and returns its length in bytes, since a value's length is written in
    front of it. Array data is held as a view, never copied before the parts are joined.

    Attributes
    ----------
    parts
        What was written so far.
    is_dj0
        Whether MATLAB could not read it.
    """

    __slots__ = ("depth", "is_dj0", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.is_dj0 = False
        self.depth = 0

    def put(self, value: Any) -> int:
        """Append a value of any type."""
        return (_WRITERS.get(type(value)) or _writer_of(value))(self, value)

    def put_items(self, values: Iterable[Any]) -> int:
        """Append values, each preceded by its length."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise EncodeError(f"The value is nested more than {MAX_DEPTH} levels deep, or contains itself.")
        parts = self.parts
        total = 0
        for value in values:
            place = len(parts)
            parts.append(b"")
            size = self.put(value)
            parts[place] = _u64(size)
            total += size + 8
        self.depth -= 1
        return total

    def _add(self, *parts: bytes) -> int:
        self.parts += parts
        return sum(map(len, parts))

    def _add_dj0(self, *parts: bytes) -> int:
        self.is_dj0 = True
        return self._add(*parts)

    def _integer(self, value: int) -> int:
        size = value.bit_length() // 8 + 1
        if size > 0xFFFF:
            raise EncodeError(f"An integer of {size} bytes is too large: the blob format ends at 65535.")
        return self._add_dj0(b"\x0a" + _u16(size) + value.to_bytes(size, "little", signed=True))

    def _boolean(self, value: bool) -> int:
        return self._add_dj0(b"\x0b\x01" if value else b"\x0b\x00")

    def _real(self, value: float) -> int:
        return self._add_dj0(b"\x0d" + _f64(value))

    def _complex_number(self, value: complex) -> int:
        return self._add_dj0(b"\x0c" + _f64(value.real) + _f64(value.imag))

    def _text(self, value: str) -> int:
        encoded = value.encode()
        return self._add_dj0(b"\x05" + _u64(len(encoded)), encoded)

    def _binary(self, value: bytes) -> int:
        return self._add_dj0(b"\x06" + _u64(len(value)), value)

    def _decimal(self, value: Decimal) -> int:
        encoded = str(value).encode()
        return self._add_dj0(b"d" + _u64(len(encoded)) + encoded)

    def _moment(self, value: datetime.date | datetime.time) -> int:
        """Append a date, a time of day or both, as decimal digits; -1 stands for the one that is missing."""
        if getattr(value, "tzinfo", None) is not None:
            raise EncodeError(
                f"{value!r} has a time zone, which a blob cannot hold. Convert it to UTC and drop the zone:"
                " value.astimezone(datetime.timezone.utc).replace(tzinfo=None)."
            )
        is_pandas_nat = value != value
        if is_pandas_nat or getattr(value, "nanosecond", None):
            raise EncodeError(f"{value!r} cannot be held by a blob: its times are whole microseconds.")
        date = time = -1
        if isinstance(value, datetime.date):
            date = (value.year * 100 + value.month) * 100 + value.day
        if isinstance(value, (datetime.datetime, datetime.time)):
            time = ((value.hour * 100 + value.minute) * 100 + value.second) * 1_000_000 + value.microsecond
        return self._add_dj0(b"t" + struct.pack("<iq", date, time))

    def _sequence(self, value: Sequence[Any]) -> int:
        return self._add_dj0(b"\x01" + _u64(len(value))) + self.put_items(value)

    def _mutable_sequence(self, value: Sequence[Any]) -> int:
        return self._add_dj0(b"\x02" + _u64(len(value))) + self.put_items(value)

    def _collection(self, value: Set[Any]) -> int:
        return self._add_dj0(b"\x03" + _u64(len(value))) + self.put_items(value)

    def _mapping(self, value: Mapping[Any, Any]) -> int:
        flat = (part for pair in value.items() for part in pair)
        return self._add_dj0(b"\x04" + _u64(len(value))) + self.put_items(flat)

    def _scalar(self, value: np.generic) -> int:
        self.is_dj0 = True
        return self._array(np.array(value))

    def _array(self, value: npt.NDArray[Any]) -> int:
        """Append an array without fields."""
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            raise EncodeError("A masked array cannot be packed: its mask would be lost. Fill it or split it.")
        array = np.asarray(value)
        is_complex = array.dtype.kind == "c"
        kind = np.dtype(f"f{array.dtype.itemsize // 2}") if is_complex else array.dtype
        kind = kind.newbyteorder("<")
        type_id = OBJECT if kind.kind in "UO" else TYPE_IDS.get(kind.str)
        if type_id is None:
            raise EncodeError(
                f"An array of {array.dtype} cannot be packed: the blob format has no such type."
                " Convert it, for example with .astype('float32')."
            )
        size = self._add(
            b"A" + _u64(array.ndim) + struct.pack(f"<{array.ndim}Q", *array.shape),
            _u32(type_id) + _u32(is_complex),
        )
        if type_id == OBJECT:
            self.is_dj0 = True
            return size + self.put_items(array.flatten(order="F"))
        if type_id == CHAR:
            return size + self._add(array.flatten(order="F").view(np.uint8).astype("<u2").tobytes())
        if array.ndim == 0 or kind.kind == "M":
            self.is_dj0 = True
        planes = (array.real, array.imag) if is_complex else (array,)
        return size + sum(self._plane(plane.astype(kind, copy=False)) for plane in planes)

    def _plane(self, array: npt.NDArray[Any]) -> int:
        if not array.size:
            return 0
        flat = array.ravel(order="F").view(np.uint8)
        self.parts.append(flat.data)  # type: ignore[arg-type]  # a view, which join() and zlib take as bytes
        return flat.nbytes

    def _record_array(self, value: npt.NDArray[Any]) -> int:
        """Append an array with fields: the arrays of its fields, without their lengths."""
        names = value.dtype.names
        if not names:
            raise EncodeError(f"An array of {value.dtype} cannot be packed: it has no fields.")
        plain = np.array(value)
        size = self._add_dj0(b"F" + _u32(len(names)) + "\0".join(names).encode() + b"\0")
        for name in names:
            field = plain[name]
            size += self._array(field) if field.dtype.fields is None else self._record_array(field)
        return size

    def _struct(self, value: MatStruct) -> int:
        names = value.dtype.names
        if not names:
            raise EncodeError("A MatStruct without fields cannot be packed.")
        size = self._add(
            b"S" + struct.pack(f"<{value.ndim + 1}Q", value.ndim, *value.shape) + _u32(len(names)),
            "\0".join(names).encode() + b"\0",
        )
        return size + self.put_items(item for row in value.flatten(order="F") for item in row)

    def _cell(self, value: MatCell) -> int:
        size = self._add(b"C" + struct.pack(f"<{value.ndim + 1}Q", value.ndim, *value.shape))
        return size + self.put_items(value.flatten(order="F"))


_Write = Callable[[Writer, Any], int]

_WRITERS: dict[type, _Write] = {
    type(None): lambda writer, _: writer._add_dj0(b"\xff"),
    bool: Writer._boolean,
    int: Writer._integer,
    float: Writer._real,
    complex: Writer._complex_number,
    str: Writer._text,
    bytes: Writer._binary,
    list: Writer._mutable_sequence,
    tuple: Writer._sequence,
    dict: Writer._mapping,
    set: Writer._collection,
    UUID: lambda writer, value: writer._add_dj0(b"u" + value.bytes),
}

# For subclasses and rarer types; the order decides what a value is that is several of these.
_BY_INSTANCE: tuple[tuple[type | tuple[type, ...], _Write], ...] = (
    (MatCell, Writer._cell),
    (MatStruct, Writer._struct),
    ((np.number, np.datetime64, np.bool_), Writer._scalar),
    (int, Writer._integer),
    (complex, Writer._complex_number),
    (float, Writer._real),
    ((datetime.date, datetime.time), Writer._moment),
    (Decimal, Writer._decimal),
    (UUID, _WRITERS[UUID]),
    (Mapping, Writer._mapping),
    (str, Writer._text),
    ((bytes, bytearray), Writer._binary),
    (MutableSequence, Writer._mutable_sequence),
    (Sequence, Writer._sequence),
    (Set, Writer._collection),
)


def _writer_of(value: Any) -> _Write:
    for kind, write in _BY_INSTANCE:
        if isinstance(value, kind):
            return write
    if isinstance(value, np.ndarray):
        return Writer._array if value.dtype.fields is None else Writer._record_array
    raise EncodeError(
        f"A value of type {type(value).__name__} cannot be packed into a blob. Use arrays, numbers, text,"
        " dates, or dicts and lists of these."
    )
