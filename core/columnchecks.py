"""Whole columns checked at once: the common case of `columntypes`, at the speed of the interpreter's built-ins.

For each type there is a check of a list of values, all of the Python type that is meant for it. What such a check
does not let pass is no error yet: the caller then looks at the values one by one, as
:meth:`~dj_panel.core.columntypes.ColumnType.check` does, which decides, and finds the words.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

from dj_panel.core.columntypes import (
    BooleanType,
    BytesType,
    ColumnType,
    DatetimeType,
    DateType,
    DecimalType,
    EnumType,
    FloatType,
    IntegerType,
    TextType,
    TimeTexts,
    TimeType,
)
from dj_panel.core.lazy import np
from dj_panel.core.rows import is_missing

__all__ = ["encode_column", "holds_all"]

_NONE = type(None)
_MARKS = ((4, "-"), (7, "-"), (10, " "), (13, ":"), (16, ":"))
_REPEATING = (str, dt.date, dt.datetime, Decimal, uuid.UUID)
Encode = Callable[[Any], Any]


def encode_column(
    column: ColumnType, encode: Encode | None, values: list[Any], *, nullable: bool
) -> list[Any] | None:
    """Return values as the driver takes them, or ``None`` if they must be looked at one by one.

    Parameters
    ----------
    column
        The type.
    encode
        What the dialect does with a checked value.
    values
        The values, ``None`` and NaN among them standing for no value.
    nullable
        Whether the attribute may be empty.
    """
    types = set(map(type, values))
    if any(map(_may_be_missing, types)) and not (types == {float} and math.isfinite(sum(values))):
        missing = list(map(is_missing, values))
        if any(missing):
            if not nullable:
                return None
            values = [None if gone else v for v, gone in zip(values, missing, strict=True)]
            types = set(map(type, values))
    if _NONE not in types:
        return _encoded(column, encode, values, types)
    if not nullable:
        return None
    types.discard(_NONE)
    found = _encoded(column, encode, [v for v in values if v is not None], types) if types else []
    if found is None:
        return None
    rest = iter(found)
    return [None if v is None else next(rest) for v in values]


def holds_all(column: ColumnType, other: ColumnType) -> bool:
    """Tell whether a column takes every value of another type as it is, so that a server may copy them.

    >>> from dj_panel.core.coretypes import parse_type
    >>> holds_all(parse_type("int32"), parse_type("int16")), holds_all(parse_type("date"), parse_type("datetime"))
    (True, False)
    """
    if column.text == other.text:
        return True
    if type(column) is not type(other):
        return False
    if isinstance(column, IntegerType) and isinstance(other, IntegerType):
        return column.low <= other.low and other.high <= column.high
    if isinstance(column, FloatType) and isinstance(other, FloatType):
        return other.size_bytes <= column.size_bytes and column.unsigned <= other.unsigned
    if isinstance(column, TextType) and isinstance(other, TextType) and column.name != "char":
        return _fits(other.length, column.length)
    if isinstance(column, BytesType) and isinstance(other, BytesType):
        return _fits(other.length, column.length)
    if isinstance(column, (DatetimeType, TimeType)) and isinstance(other, (DatetimeType, TimeType)):
        return column.digits == other.digits
    if isinstance(column, EnumType) and isinstance(other, EnumType):
        return column.choices == other.choices
    if isinstance(column, DecimalType) and isinstance(other, DecimalType):
        is_wide = column.scale == other.scale and column.precision >= other.precision
        return is_wide and column.unsigned <= other.unsigned
    return column.kind in ("boolean", "date", "uuid", "json")


def _fits(length: int | None, limit: int | None) -> bool:
    return limit is None or (length is not None and length <= limit)


def _may_be_missing(kind: type) -> bool:
    return issubclass(kind, (float, np.floating, np.datetime64)) or kind.__name__ in ("NAType", "NaTType")


def _encoded(
    column: ColumnType, encode: Encode | None, values: list[Any], types: set[type]
) -> list[Any] | None:
    # Equal keys of a dict need not be equal values: 1, 1.0 and True are one key. So one type at a time.
    is_repeating = type(column) not in (ColumnType, TextType, EnumType) and types.issubset(_REPEATING)
    if len(types) == 1 and is_repeating:
        distinct = set(values)
        if 2 * len(distinct) <= len(values):
            order = list(distinct)
            found = _checked_and_encoded(column, encode, order, types)
            if found is None:
                return None
            table = dict(zip(order, found, strict=True))
            same = (table[v] for v in values)
            return TimeTexts(same) if isinstance(found, TimeTexts) else list(same)
    return _checked_and_encoded(column, encode, values, types)


def _checked_and_encoded(
    column: ColumnType, encode: Encode | None, values: list[Any], types: set[type]
) -> list[Any] | None:
    written_out = column if isinstance(column, DatetimeType) and encode == column.format else None
    if written_out and not written_out.digits and types == {str} and _are_plain_times(values):
        return TimeTexts(values)
    check = _CHECKS.get(type(column))
    checked = check(column, values, types) if check else None
    if checked is None:
        try:
            checked = [column.check(v) for v in values]
        except ValueError:
            return None
    if encode is None:
        return checked
    if written_out:
        return _times_as_text(written_out, checked)
    try:
        return [encode(v) for v in checked]
    except ValueError:
        return None


def _times_as_text(column: DatetimeType, times: list[dt.datetime]) -> list[str]:
    if not column.digits:
        # Without a fraction, as they were checked. All at once, for giving a separator takes half as long again.
        return TimeTexts("\n".join(map(dt.datetime.isoformat, times)).replace("T", " ").split("\n"))
    end = 20 + column.digits
    return [time.isoformat(" ", "microseconds")[:end] for time in times]


def _are_plain_times(texts: list[str]) -> bool:
    """Tell whether every text is a time just as it is written out: ``2026-03-31 14:05:00``."""
    if set(map(len, texts)) != {19}:
        return False
    joined = "".join(texts)
    if any(joined[place::19] != mark * len(texts) for place, mark in _MARKS):
        return False
    try:
        # What is read, is as long and has its marks there, has two digits everywhere else.
        return all(map(dt.datetime.fromisoformat, texts))
    except ValueError:
        return False


# ------------------------------------------------------------------------ one check for each type
def _integers(column: IntegerType, values: list[Any], types: set[type]) -> list[Any] | None:
    if types == {float}:
        if not all(map(float.is_integer, values)):
            return None
        values = list(map(int, values))
    elif types == {bool}:
        values = list(map(int, values))
    elif types != {int}:
        return None
    return values if column.low <= min(values) and max(values) <= column.high else None


def _booleans(column: BooleanType, values: list[Any], types: set[type]) -> list[Any] | None:
    return list(map(int, values)) if types <= {bool, int} and set(values) <= {0, 1} else None


def _floats(column: FloatType, values: list[Any], types: set[type]) -> list[Any] | None:
    if types == {int} or types == {int, float}:
        try:
            values = list(map(float, values))
        except OverflowError:
            return None
    elif types != {float}:
        return None
    # A sum is finite only if every value is; a sum that overflows is looked at value by value.
    if not math.isfinite(sum(values)) or (column.unsigned and min(values) < 0):
        return None
    if column.size_bytes == 8:
        return values
    with np.errstate(over="ignore"):
        single = np.array(values, dtype=np.float32)
    rounded: list[Any] = single.tolist()
    return rounded if np.isfinite(single).all() else None


def _texts(column: TextType, values: list[Any], types: set[type]) -> list[Any] | None:
    if types != {str}:
        return None
    if column.length is not None and max(map(len, values)) > column.length:
        return None
    if column.name == "char" and any(value.endswith(" ") for value in values):
        return None
    if not all(map(str.isascii, values)):
        try:
            "\n".join(values).encode("utf-8")
        except UnicodeEncodeError:
            return None
    return values


def _choices(column: EnumType, values: list[Any], types: set[type]) -> list[Any] | None:
    return values if types == {str} and set(values).issubset(column.choices) else None


def _days(column: DateType, values: list[Any], types: set[type]) -> list[Any] | None:
    return values if types == {dt.date} else None


def _times(column: DatetimeType, values: list[Any], types: set[type]) -> list[Any] | None:
    if types == {str}:
        try:
            values = list(map(dt.datetime.fromisoformat, values))
        except ValueError:
            return None
    elif types != {dt.datetime}:
        return None
    if set(map(attrgetter("tzinfo"), values)) != {None}:
        return None
    step = 10 ** (6 - column.digits)
    if step > 1 and any(m % step for m in set(map(attrgetter("microsecond"), values))):
        return [time.replace(microsecond=time.microsecond // step * step) for time in values]
    return values


def _bytes(column: BytesType, values: list[Any], types: set[type]) -> list[Any] | None:
    if types != {bytes} or (column.length is not None and max(map(len, values)) > column.length):
        return None
    return values


_CHECKS: dict[type[ColumnType], Callable[[Any, list[Any], set[type]], list[Any] | None]] = {
    ColumnType: lambda column, values, types: values,
    IntegerType: _integers,
    BooleanType: _booleans,
    FloatType: _floats,
    TextType: _texts,
    EnumType: _choices,
    DateType: _days,
    DatetimeType: _times,
    BytesType: _bytes,
}
