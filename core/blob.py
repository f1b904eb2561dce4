r"""DataJoint's blob format: a Python or NumPy value to bytes, and back.

A blob is ``mYm\0`` or ``dj0\0`` and one value, or ``ZL123\0``, the length of that and its zlib stream.
``mYm`` is what MATLAB reads: plain arrays, cells and structs only; anything else makes it ``dj0``.
A value is a one-byte code and a body; all numbers are little-endian, arrays are in Fortran order, and a
value within another is preceded by its length (u64).

====  =================================  ====  =================================
code  value                              code  value
====  =================================  ====  =================================
A     array, or NumPy scalar (ndim 0)    05    str
C     MATLAB cell array                  06    bytes
S     MATLAB struct array                0a    int
F     array with fields (no lengths)     0b    bool
01    tuple                              0c    complex
02    list                               0d    float
03    set                                d     Decimal
04    dict                               t     date, time, datetime
ff    None                               u     UUID
====  =================================  ====  =================================

What is packed is byte for byte what DataJoint packs. Reading is done on a budget, because a blob comes
from whoever can write to the table: 12 bytes can claim an array of 21 GB.

Source: the published package ``datajoint`` 2.3.5, ``blob.py``, observed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Literal

from dj_panel.core.blobreader import Limits, Reader, refuse_cost, refuse_damaged
from dj_panel.core.blobwriter import MatCell, MatStruct, Writer
from dj_panel.core.errors import DecodeError, EncodeError

__all__ = ["Limits", "MatCell", "MatStruct", "decoding_limits", "pack", "unpack"]

COMPRESSED = b"ZL123\0"
COMPRESS_ABOVE = 1000
"""Bytes; shorter blobs are never compressed."""

_SAMPLED_ABOVE = 1 << 20
_SAMPLE = 1 << 16
_WORTHWHILE = 0.9
_CHUNK = 1 << 18

# What reading nonsense comes to: an impossible date, an unhashable key, text that is not UTF-8, a shape that
# NumPy refuses.
_SYMPTOMS = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, MemoryError)

_LIMITS: ContextVar[Limits] = ContextVar("decoding_limits")


def pack(value: Any, compress: bool | Literal["auto"] = True) -> bytes:
    """Return a value as a blob.

    Parameters
    ----------
    value
        Arrays of bool, integers, float32, float64, complex, datetime64, str, object or with fields; NumPy
        scalars; None, bool, int, float, complex, str, bytes, Decimal, UUID, date, time, datetime; and
        dicts, lists, tuples and sets of these.
    compress
        ``True`` compresses blobs above 1000 bytes where that makes them smaller, as DataJoint does.
        ``"auto"`` leaves those above 1 MiB alone when three samples of 64 KiB shrink by less than a tenth:
        random measurements gain 6 % for 60 ms a megabyte.

    Raises
    ------
    EncodeError
        If the format has no place for the value, or would lose part of it (a time zone, a mask).

    Examples
    --------
    >>> pack({"a": 1}).hex()
    '646a30000401000000000000000a000000000000000501000000000000006104000000000000000a010001'
    >>> unpack(pack({"a": 1}))
    {'a': 1}
    """
    writer = Writer()
    try:
        size = writer.put(value) + 4
    except (UnicodeEncodeError, RecursionError) as error:
        raise EncodeError(f"A value of type {type(value).__name__} cannot be packed: {error}") from error
    parts = [b"dj0\0" if writer.is_dj0 else b"mYm\0", *writer.parts]
    if not compress or size <= COMPRESS_ABOVE or (compress == "auto" and not _is_worthwhile(parts, size)):
        return b"".join(parts)
    compressor = zlib.compressobj()
    packed = [COMPRESSED + size.to_bytes(8, "little")]
    packed += [compressor.compress(chunk) for chunk in _chunks(parts)]
    packed.append(compressor.flush())
    return b"".join(packed if sum(map(len, packed)) < size else parts)


def _chunks(parts: list[bytes]) -> Iterator[bytes]:
    """Yield large parts as they are and small ones joined, so that neither copies nor calls are many."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        if len(part) < _CHUNK:
            waiting.append(part)
            size += len(part)
        if len(part) >= _CHUNK or size >= _CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
        if len(part) >= _CHUNK:
            yield part
    yield b"".join(waiting)


def _is_worthwhile(parts: list[bytes], size: int) -> bool:
    if size <= _SAMPLED_ABOVE:
        return True
    body = max(parts, key=len)
    if 2 * len(body) < size:
        body = b"".join(parts)
    starts = (0, (len(body) - _SAMPLE) // 2, len(body) - _SAMPLE)
    sample = b"".join(body[start : start + _SAMPLE] for start in starts)
    return len(zlib.compress(sample, 1)) < _WORTHWHILE * len(sample)


@contextmanager
def decoding_limits(
    *, max_bytes: int | None = None, max_depth: int | None = None, max_values: int | None = None
) -> Iterator[Limits]:
    """Change what decoding a blob may cost, within a ``with`` block, in this thread or task.

    Examples
    --------
    >>> with decoding_limits(max_bytes=8 * 2**30) as limits:
    ...     limits.max_bytes
    8589934592
    """
    given = {"max_bytes": max_bytes, "max_depth": max_depth, "max_values": max_values}
    outer = _LIMITS.get(Limits())
    changed = replace(outer, **{name: value for name, value in given.items() if value is not None})
    token = _LIMITS.set(changed)
    try:
        yield changed
    finally:
        _LIMITS.reset(token)


def unpack(data: bytes | bytearray | memoryview, *, dims_32bit: bool = False) -> Any:
    """Return the value that a blob holds.

    Arrays are in Fortran order and may be written to; arrays of text come back as arrays of object.

    Parameters
    ----------
    data
        The blob.
    dims_32bit
        Lengths and shapes take 4 bytes and not 8, as in blobs of the 32-bit mYm for MATLAB.

    Raises
    ------
    DecodeError
        If the bytes are not a blob, are cut or damaged, or would exceed the limits in force.
    """
    view = memoryview(data).cast("B")
    limits = _LIMITS.get(Limits())
    budget = max(limits.max_bytes, 8 * len(view))
    width = 4 if dims_32bit else 8
    try:
        if view[:6] == COMPRESSED:
            claimed = int.from_bytes(view[6 : 6 + width], "little")
            if 2 * claimed > budget:
                refuse_cost(f"it claims to inflate to {claimed:,} bytes, and its values take as many again")
            view = _inflated(view[6 + width :], claimed)
            budget -= claimed
        start = bytes(view[:8])
        if not start:
            raise DecodeError("An empty value is not a blob.")
        if start[:4] not in (b"mYm\0", b"dj0\0"):
            raise DecodeError(f"These are not the bytes of a blob: they start with {start!r}.")
        reader = Reader(view, 4, budget=budget, limits=limits, width=width)
        value = reader.value()
    except DecodeError:
        raise
    except (*_SYMPTOMS, zlib.error) as error:
        refuse_damaged(str(error) or type(error).__name__)
    if reader.position != len(view):
        refuse_damaged(f"{len(view) - reader.position} bytes follow its end")
    return value


def _inflated(stream: memoryview, size: int) -> memoryview:
    """Return exactly ``size`` decompressed bytes, taking no more memory than that."""
    inflater = zlib.decompressobj()
    out = bytearray(size)
    filled = 0
    for start in range(0, len(stream), _CHUNK):
        waiting: bytes | memoryview = stream[start : start + _CHUNK]
        while waiting:
            piece = inflater.decompress(waiting, 4 * _CHUNK)
            if filled + len(piece) > size or inflater.unused_data:
                refuse_damaged(f"it inflates to more than the {size:,} bytes it claims")
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
            waiting = inflater.unconsumed_tail
    if filled != size or not inflater.eof:
        refuse_damaged(f"of {size:,} bytes it inflates to {filled:,}")
    return memoryview(out)
