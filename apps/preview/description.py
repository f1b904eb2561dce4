"""What a value is, told from its metadata alone: kind, shape, dtype, chunks, bytes. Nothing is read."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import zarr

from dj_panel.apps.preview.protocols import ObjectRefLike, is_npy_ref, is_object_ref
from dj_panel.core.errors import DataJointError
from dj_panel.core.words import grouped, say, say_many

LONGEST_CHIP = 60
# Values whose str() is short and says everything.
PLAIN_TYPES = (
    bool,
    float,
    complex,
    decimal.Decimal,
    uuid.UUID,
    datetime.date,
    datetime.time,
    datetime.timedelta,
)


@dataclass(frozen=True)
class Description:
    """Facts about a value that can be had without reading it.

    Attributes
    ----------
    kind
        One plain word or two: "array", "table", "folder", "text", ...
    text
        The chip shown in a table cell, such as ``float64 (200000,)``; plain text, not HTML.
    shape, dtype, chunks
        None where they do not apply or cannot be known yet.
    n_bytes
        Uncompressed size; None when it cannot be known cheaply.
    where
        Store and path of an object kept outside the table, else "".
    """

    kind: str
    text: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    chunks: tuple[int, ...] | None = None
    n_bytes: int | None = None
    where: str = ""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Label and text of each known fact, in the order in which they are shown."""
        known: list[tuple[str, str]] = [(say("kind"), self.kind)]
        if self.shape is not None:
            known.append((say("shape"), shape_text(self.shape)))
        if self.dtype is not None:
            known.append((say("type"), self.dtype))
        if self.chunks is not None:
            known.append((say("chunks"), shape_text(self.chunks)))
        if self.n_bytes is not None:
            known.append((say("size"), human_bytes(self.n_bytes)))
        if self.where:
            known.append((say("stored"), self.where))
        return tuple(known)


def human_bytes(n_bytes: int) -> str:
    """Return a size as a person reads it, in powers of 1024.

    >>> human_bytes(0), human_bytes(1023), human_bytes(1536), human_bytes(1024**4)
    ('0 bytes', '1,023 bytes', '1.5 KiB', '1.0 TiB')
    """
    if n_bytes < 1024:
        return say_many("{n} byte", "{n} bytes", n_bytes)
    units = ("KiB", "MiB", "GiB", "TiB", "PiB")
    power = min((n_bytes.bit_length() - 1) // 10, len(units))
    return f"{n_bytes / 1024**power:,.1f} {units[power - 1]}"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape for reading, with thousands marked.

    >>> shape_text((1000000, 4)), shape_text((3,)), shape_text(())
    ('1,000,000 × 4', '3', 'single value')
    """
    return " × ".join(map(grouped, shape)) if shape else say("single value")


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype; a structured one by its fields.

    >>> dtype_text(np.dtype("f8")), dtype_text(np.dtype([("a", "i4"), ("b", "U3")]))
    ('float64', 'a int32, b str')
    """
    if dtype.names:
        return ", ".join(f"{name} {dtype_text(dtype[name])}" for name in dtype.names)
    if dtype.kind in "UT":
        return "str"
    if dtype.kind == "S":
        return "bytes"
    return dtype.name


def shortened(text: str, longest: int = LONGEST_CHIP) -> str:
    """Return `text` in one line of at most `longest` characters.

    >>> shortened("a b  c" * 50, 8)
    'a b ca …'
    """
    # Cut before splitting: a text of a gigabyte is never walked.
    line = " ".join(text[: 4 * longest].split())
    return line if len(line) <= longest and len(text) <= 4 * longest else line[: longest - 2].rstrip() + " …"


def describe(value: object) -> Description:
    """Return what `value` is from its metadata; nothing is read from a store.

    Parameters
    ----------
    value
        A decoded attribute value or a lazy reference to a stored object.

    Examples
    --------
    >>> describe(np.zeros(200000)).text
    'float64 (200000,)'
    >>> describe({"a": 1, "b": [1, 2]}).text
    'dict, 2 entries'
    """
    if value is None:
        return Description(say("no value"), say("no value"))
    if isinstance(value, pd.DataFrame):
        n_bytes = int(value.memory_usage(deep=False).sum())
        return Description(say("table"), f"{say('table')} {value.shape}", value.shape, n_bytes=n_bytes)
    if isinstance(value, np.ndarray):
        return _described_array(value.shape, value.dtype, n_bytes=value.nbytes)
    if isinstance(value, zarr.Array):
        return _described_array(
            value.shape, value.dtype, value.chunks, where=str(value.store_path), kind=say("Zarr array")
        )
    if isinstance(value, zarr.Group):
        return Description(say("Zarr group"), say("Zarr group"), where=str(value.store_path))
    if is_npy_ref(value):
        try:
            return _described_array(tuple(value.shape), value.dtype, where=_place(value))
        except DataJointError as error:
            return Description(say("array"), shortened(str(error)), where=_place(value))
    if is_object_ref(value):
        return _described_object(value)
    if isinstance(value, pathlib.Path):
        return Description(say("file"), shortened(value.name), where=str(value))
    return _described_plain(value)


def _described_array(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...] | None = None,
    *,
    n_bytes: int | None = None,
    where: str = "",
    kind: str = "",
) -> Description:
    # Python integers: the product of a large shape must not wrap around.
    size = dtype.itemsize
    for length in shape:
        size *= int(length)
    name = dtype_text(dtype)
    plain_shape = tuple(int(length) for length in shape)
    if dtype.names:
        return Description(
            say("table"), f"{say('table')} {plain_shape}", plain_shape, name, chunks, size, where
        )
    return Description(
        kind or say("array"),
        f"{name} {plain_shape}",
        plain_shape,
        name,
        chunks,
        size if n_bytes is None else n_bytes,
        where,
    )


def _place(reference: object) -> str:
    store, path = getattr(reference, "store", None), getattr(reference, "path", "")
    return f"{store}: {path}" if store else str(path)


def _described_object(reference: ObjectRefLike) -> Description:
    where = _place(reference)
    n_bytes = None if reference.size is None else int(reference.size)
    extension = (reference.ext or "").lower()
    size = "" if n_bytes is None else f", {human_bytes(n_bytes)}"
    if extension == ".zarr":
        return Description("Zarr", f"Zarr{size}", n_bytes=n_bytes, where=where)
    if reference.is_dir:
        n_items = reference.item_count
        count = "" if n_items is None else f", {say('{n} files', n=n_items)}"
        return Description(say("folder"), f"{say('folder')}{count}{size}", n_bytes=n_bytes, where=where)
    name = say("{extension} file", extension=extension) if extension else say("file")
    return Description(name, f"{name}{size}", n_bytes=n_bytes, where=where)


def _described_plain(value: object) -> Description:
    if isinstance(value, str):
        return Description(say("text"), shortened(value), (len(value),), "str")
    if isinstance(value, bytes | bytearray | memoryview):
        n_bytes = value.nbytes if isinstance(value, memoryview) else len(value)
        return Description("bytes", f"bytes, {human_bytes(n_bytes)}", n_bytes=n_bytes)
    if isinstance(value, Mapping):
        return Description("dict", f"dict, {_entries(len(value))}")
    if isinstance(value, list | tuple | set | frozenset):
        kind = type(value).__name__
        return Description(kind, f"{kind}, {_entries(len(value))}")
    if isinstance(value, np.generic):
        return Description(say("value"), shortened(str(value)), (), dtype_text(value.dtype))
    if isinstance(value, int) and not isinstance(value, bool):
        return Description(say("value"), integer_text(value, LONGEST_CHIP), (), "int")
    if isinstance(value, PLAIN_TYPES):
        return Description(say("value"), shortened(str(value)), (), type(value).__name__)
    return Description(type(value).__name__, shortened(type(value).__name__))


def _entries(n_entries: int) -> str:
    return say_many("{n} entry", "{n} entries", n_entries)


def integer_text(value: int, longest: int) -> str:
    """Return a whole number in digits, or its size when it is too long to write out.

    >>> integer_text(2**63, 40), integer_text(10**100000, 40)
    ('9223372036854775808', 'a whole number of about 100,001 digits')
    """
    # Python refuses to write out integers beyond sys.get_int_max_str_digits.
    n_digits = int(abs(value).bit_length() * 0.30103) + 1
    if n_digits <= min(longest, sys.get_int_max_str_digits() or longest):
        return str(value)
    return say("a whole number of about {n} digits", n=n_digits)
