"""The values of a blob, from bytes and on a budget; the format is described in `dj_panel.core.blob`."""

from __future__ import annotations

import datetime
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

import numpy as np
import numpy.typing as npt

from dj_panel.core.blobwriter import CHAR, MAX_DEPTH, OBJECT, TYPE_IDS, MatCell, MatStruct
from dj_panel.core.errors import DecodeError

_DTYPES = {type_id: np.dtype(name) for name, type_id in TYPE_IDS.items()}
_MAX_FIELD_NAME = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much decoding one blob may cost.

    Attributes
    ----------
    max_bytes
        Memory for the decompressed blob and the decoded values together. A blob may always take eight
        times its own size, so only what is inflated out of little is refused.
    max_depth
        Levels of values within values.
    max_values
        Values in all, an array of numbers counting as one.
    """

    max_bytes: int = 1 << 30
    max_depth: int = MAX_DEPTH
    max_values: int = 10_000_000


def refuse_cost(reason: str) -> NoReturn:
    """Raise the error of a blob that costs more than is allowed."""
    raise DecodeError(
        f"The blob is refused: {reason}. If you trust its origin, fetch it within"
        " dj_panel.core.blob.decoding_limits(max_bytes=..., max_values=...)."
    )


def refuse_damaged(reason: str) -> NoReturn:
    """Raise the error of bytes that no writer has made."""
    raise DecodeError(f"The blob is damaged: {reason}. Restore the row or its object from a backup.")


class Reader:
    """Reads values one after another, never past the end, and pays for each before making it.

    Parameters
    ----------
    view
        The whole blob.
    position
        Where to start in it.
    budget
        Bytes of memory that values may take.
    limits
        What to count besides.
    width
        Bytes of a length or a shape: 8, or 4 in very old blobs.

    Attributes
    ----------
    end
        The end of the value that encloses the one being read.
    """

    __slots__ = ("_length_at", "budget", "depth", "end", "limits", "position", "values", "view", "width")

    def __init__(self, view: memoryview, position: int, *, budget: int, limits: Limits, width: int) -> None:
        self.view, self.position, self.end = view, position, len(view)
        self.budget, self.limits, self.width = budget, limits, width
        self._length_at = struct.Struct("<I" if width == 4 else "<Q").unpack_from
        self.values = self.depth = 0

    def value(self) -> Any:
        """Read one value."""
        self.values += 1
        if self.values > self.limits.max_values:
            refuse_cost(f"it holds more than {self.limits.max_values:,} values")
        self.budget -= 64
        if self.budget < 0:
            self.pay(0)
        if self.position >= self.end:
            refuse_damaged("it is cut off, or a length in it is wrong")
        code = self.view[self.position]
        self.position += 1
        read = _READERS.get(code)
        if read is None:
            refuse_damaged(f"no kind of value has the code {code:#04x}")
        self.depth += 1
        if self.depth > self.limits.max_depth + 1:
            refuse_cost(f"it is nested more than {self.limits.max_depth} levels deep")
        value = read(self)
        self.depth -= 1
        return value

    def item(self) -> Any:
        """Read a value that is preceded by its length."""
        outer = self.end
        size: int = self._length_at(self.view, self.take(self.width))[0]
        self.end = stop = self.position + size
        if stop > outer:
            refuse_damaged("it is cut off, or a length in it is wrong")
        value = self.value()
        if self.position != stop:
            refuse_damaged("a value in it is shorter than its length says")
        self.end = outer
        return value

    def take(self, size: int) -> int:
        """Pass over some bytes and return where they start."""
        start = self.position
        if start + size > self.end:
            refuse_damaged("it is cut off, or a length in it is wrong")
        self.position = start + size
        return start

    def pay(self, cost: int) -> None:
        """Take the memory of a value off the budget."""
        self.budget -= cost
        if self.budget < 0:
            refuse_cost(f"decoded, it would exceed the {self.limits.max_bytes:,} bytes that are allowed")

    def number(self, size: int) -> int:
        """Read an unsigned integer of some bytes."""
        start = self.take(size)
        return int.from_bytes(self.view[start : start + size], "little")

    def length(self) -> int:
        """Read a length or a count."""
        size: int = self._length_at(self.view, self.take(self.width))[0]
        return size

    def expect(self, n: int) -> None:
        """Refuse a number of items that the rest of the value has no room for."""
        if n * (self.width + 1) > self.end - self.position:
            refuse_damaged("it is cut off, or a count in it is wrong")

    def shape(self) -> tuple[int, ...]:
        """Read the shape of an array."""
        n_dims = self.length()
        if n_dims > 64:
            refuse_damaged(f"an array in it claims {n_dims} dimensions")
        return tuple(self.length() for _ in range(n_dims))

    def names(self, n: int) -> list[str]:
        """Read the names of fields, each ended by a zero byte."""
        if n > self.end - self.position:
            refuse_damaged("it is cut off, or a count in it is wrong")
        self.pay(128 * n)
        names = []
        for _ in range(n):
            start = self.position
            name = bytes(self.view[start : min(start + _MAX_FIELD_NAME, self.end)])
            stop = name.find(b"\0")
            if stop < 0:
                refuse_damaged("the name of a field in it has no end")
            self.position += stop + 1
            names.append(name[:stop].decode())
        return names

    def _binary(self) -> bytes:
        size = self.length()
        start = self.take(size)
        self.pay(size)
        return bytes(self.view[start : start + size])

    def _text(self) -> str:
        encoded = self._binary()
        if not encoded.isascii():
            self.pay(3 * len(encoded))
        return encoded.decode()

    def _integer(self) -> int:
        size = self.number(2)
        start = self.take(size)
        self.pay(size)
        return int.from_bytes(self.view[start : start + size], "little", signed=True)

    def _real(self) -> float:
        value: float = struct.unpack_from("<d", self.view, self.take(8))[0]
        return value

    def _complex_number(self) -> complex:
        return complex(*struct.unpack_from("<dd", self.view, self.take(16)))

    def _uuid(self) -> UUID:
        start = self.take(16)
        return UUID(bytes=bytes(self.view[start : start + 16]))

    def _moment(self) -> datetime.date | datetime.time:
        """Read a date, a time of day or both."""
        digits, micros = struct.unpack_from("<iq", self.view, self.take(12))
        date = time = None
        if digits >= 0:
            date = datetime.date(digits // 10_000, digits // 100 % 100, digits % 100)
        if micros >= 0:
            clock, micros = divmod(micros, 1_000_000)
            time = datetime.time(clock // 10_000, clock // 100 % 100, clock % 100, micros)
        if date is None:
            return time or refuse_damaged("a time in it has neither a date nor a time of day")
        return date if time is None else datetime.datetime.combine(date, time)

    def _sequence(self) -> list[Any]:
        n = self.length()
        self.expect(n)
        self.pay(8 * n)
        return [self.item() for _ in range(n)]

    def _collection(self) -> set[Any]:
        n = self.length()
        self.expect(n)
        self.pay(256 + 64 * n)
        return set(_spread([_hashable(self.item()) for _ in range(n)]))

    def _mapping(self) -> dict[Any, Any]:
        n = self.length()
        self.expect(2 * n)
        self.pay(128 * n)
        keys, items = [], []
        for _ in range(n):
            keys.append(_hashable(self.item()))
            items.append(self.item())
        return dict(zip(_spread(keys), items, strict=True))

    def _array(self) -> Any:
        """Read an array without fields; one without dimensions is a NumPy scalar."""
        shape = self.shape()
        type_id, is_complex = self.number(4), self.number(4)
        n = math.prod(shape)
        if type_id == OBJECT:
            return self._objects(n).reshape(shape, order="F")
        if type_id == CHAR:
            return self._characters(shape, n)
        dtype = _DTYPES.get(type_id)
        if dtype is None or (is_complex and dtype.kind == "M"):
            refuse_damaged(f"there is no array type {type_id}")
        flat = self._plane(dtype, n, cost=3 if is_complex else 1)
        if is_complex:
            parts = flat, self._plane(dtype, n, cost=1)
            flat = np.empty(n, np.complex64 if dtype == np.float32 else np.complex128)
            # Not real + 1j * imaginary, which makes NaN of the real part where the other is infinite.
            flat.real, flat.imag = parts
        array = flat.reshape(shape, order="F")
        return array if shape else array[()]

    def _plane(self, dtype: np.dtype[Any], n: int, *, cost: int) -> npt.NDArray[Any]:
        """Read ``n`` numbers, copied so that they are aligned and may be written to."""
        size = n * dtype.itemsize
        start = self.take(size)
        self.pay(128 + cost * size)
        if not n:
            return np.empty(0, dtype)
        if dtype.kind == "b":  # any other byte than 0 and 1 would make a broken array of bool
            return np.frombuffer(self.view, np.uint8, n, start).astype(bool)
        return np.frombuffer(self.view, dtype, n, start).copy()

    def _objects(self, n: int) -> npt.NDArray[np.object_]:
        """Read ``n`` values of any kind."""
        self.expect(n)
        self.pay(128 + 8 * n)
        array = np.empty(n, object)
        for i in range(n):
            array[i] = self.item()
        return array

    def _characters(self, shape: tuple[int, ...], n: int) -> npt.NDArray[Any]:
        """Read MATLAB's 16-bit characters: a row of them is one string, the rest stay characters."""
        start = self.take(2 * n)
        self.pay(128 + 8 * n)
        units = self.view[start : start + 2 * n]
        if len(shape) == 1 or (len(shape) == 2 and shape[0] == 1):
            return np.array([bytes(units).decode("utf-16-le")])
        if not n:
            return np.empty(shape, "U1")
        points = np.frombuffer(units, "<u2").astype("<u4")
        if np.any((points >= 0xD800) & (points < 0xE000)):
            refuse_damaged("a character in it is half of one")
        characters: npt.NDArray[Any] = points.view("<U1")
        return characters.reshape(shape, order="F")

    def _cell(self) -> MatCell:
        shape = self.shape()
        return self._objects(math.prod(shape)).reshape(shape, order="F").view(MatCell)

    def _struct(self) -> Any:
        shape = self.shape()
        n_fields = self.number(4)
        if not n_fields:
            return np.array(None)
        names = self.names(n_fields)
        n = math.prod(shape)
        self.expect(n * n_fields)
        self.pay(128 + 16 * n * n_fields)
        array = np.empty(n, [(name, object) for name in names])
        for i in range(n):
            array[i] = tuple(self.item() for _ in names)
        return array.reshape(shape, order="F").view(MatStruct)

    def _record_array(self) -> Any:
        """Read an array with fields."""
        n_fields = self.number(4)
        if not n_fields:
            return np.array(None)
        names = self.names(n_fields)
        fields = [np.asarray(self.value()) for _ in names]
        self.pay(sum(field.nbytes for field in fields))
        # A field may itself hold an array in each record: what all fields share is the records' shape.
        shape = min((field.shape for field in fields), key=len)
        if any(field.shape[: len(shape)] != shape for field in fields):
            refuse_damaged("the fields of an array in it differ in length")
        named = list(zip(names, fields, strict=True))
        dtype = np.dtype([(name, field.dtype, field.shape[len(shape) :]) for name, field in named])
        records = np.empty(shape, dtype)
        for name, field in named:
            records[name] = field
        return records.view(np.recarray)


_READERS: dict[int, Callable[[Reader], Any]] = {
    0x01: lambda reader: tuple(reader._sequence()),
    0x02: Reader._sequence,
    0x03: Reader._collection,
    0x04: Reader._mapping,
    0x05: Reader._text,
    0x06: Reader._binary,
    0x0A: Reader._integer,
    0x0B: lambda reader: reader.number(1) != 0,
    0x0C: Reader._complex_number,
    0x0D: Reader._real,
    0xFF: lambda reader: None,
    ord("A"): Reader._array,
    ord("C"): Reader._cell,
    ord("F"): Reader._record_array,
    ord("S"): Reader._struct,
    ord("d"): lambda reader: Decimal(reader._text()),
    ord("t"): Reader._moment,
    ord("u"): Reader._uuid,
}


def _hashable(value: Any) -> Any:
    """Return what a key was: a frozenset is packed as a set is, and within a key only it can be meant."""
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, tuple):
        return tuple(map(_hashable, value))
    return value


def _spread(keys: list[Any]) -> list[Any]:
    """Refuse keys made to share one hash, which would take hours to put into a dict."""
    if len(keys) > 1000 and 2 * len({hash(key) for key in keys}) < len(keys):
        raise DecodeError("The blob is refused: most of the keys of a dict or set in it have the same hash.")
    return keys
