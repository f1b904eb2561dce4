"""The functions that MySQL's users write in expressions and SQLite lacks."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import re
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import and_, or_, xor
from typing import Any

from dj_panel.core.dialect.sqlite_json import JSON_FUNCTIONS
from dj_panel.core.dialect.sqlite_moments import MOMENT_FUNCTIONS, clock
from dj_panel.core.dialect.sqlite_numbers import NUMBER_FUNCTIONS, DecimalSum, whole_of

__all__ = ["register_functions"]


class _Moments:
    """Count, mean and sum of squared deviations of a column, in one pass (Welford's method)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: Any, /) -> None:
        if value is None:
            return
        self.count += 1
        change = float(value) - self.mean
        self.mean += change / self.count
        self.squares += change * (float(value) - self.mean)

    def variance(self, less: int) -> float | None:
        return self.squares / (self.count - less) if self.count > less else None


class _VariancePopulation(_Moments):
    def finalize(self) -> float | None:
        return self.variance(0)


class _VarianceSample(_Moments):
    def finalize(self) -> float | None:
        return self.variance(1)


class _DeviationPopulation(_Moments):
    def finalize(self) -> float | None:
        variance = self.variance(0)
        return None if variance is None else math.sqrt(variance)


class _DeviationSample(_Moments):
    def finalize(self) -> float | None:
        variance = self.variance(1)
        return None if variance is None else math.sqrt(variance)


class _GroupConcat:
    """Texts of a group in an order: DISTINCT or not, the separator, the value, then pairs of direction and key."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, tuple[Any, ...]]] = []
        self.is_distinct, self.mark = False, ","
        self.descending: tuple[Any, ...] = ()

    def step(self, *arguments: Any) -> None:
        is_distinct, self.mark, value, *keys = arguments
        self.is_distinct = bool(is_distinct)
        self.descending = tuple(keys[::2])
        if value is not None:
            self.rows.append((str(value), tuple(keys[1::2])))

    def finalize(self) -> str | None:
        rows = self.rows
        if self.is_distinct:
            rows = sorted(dict.fromkeys(rows)) if not self.descending else rows
        for place, is_descending in reversed(list(enumerate(self.descending))):
            rows.sort(key=lambda row: _sortable(row[1][place]), reverse=bool(is_descending))
        texts = [text for text, _ in rows]
        return self.mark.join(dict.fromkeys(texts) if self.is_distinct else texts) if texts else None


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


class _CountDistinct:
    """How many different rows of several values there are, none of them empty."""

    def __init__(self) -> None:
        self.found: set[tuple[Any, ...]] = set()

    def step(self, *values: Any) -> None:
        if None not in values:
            self.found.add(values)

    def finalize(self) -> int:
        return len(self.found)


def _bits(start: int, combine: Callable[[int, int], int]) -> type:
    """Return the aggregate that combines the bits of whole numbers."""

    class Bits:
        def __init__(self) -> None:
            self.bits = start

        def step(self, value: Any, /) -> None:
            if value is not None:
                self.bits = combine(self.bits, whole_of(value, "signed"))

        def finalize(self) -> int:
            return self.bits

    return Bits


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return NULL when an argument is NULL, or when the function cannot be computed, as MySQL does."""

    def call(*arguments: Any) -> Any:
        if any(argument is None for argument in arguments):
            return None
        try:
            return function(*arguments)
        except (ValueError, ArithmeticError):
            return None

    return call


def _substring_index(text: str, mark: str, count: int) -> str:
    pieces = text.split(mark) if mark else []
    return mark.join(pieces[:count] if count > 0 else pieces[count:] if count < 0 else [])


def _pad(text: str, length: int, fill: str, *, left: bool) -> str | None:
    text, length = str(text), int(length)
    missing = length - len(text)
    if missing <= 0:
        return text[: max(length, 0)]
    if length > 1_000_000 or not fill:
        return None
    padding = (fill * missing)[:missing]
    return padding + text if left else text + padding


def _repeat(text: str, count: int) -> str | None:
    n_letters = len(str(text)) * max(int(count), 0)
    return str(text) * max(int(count), 0) if n_letters <= 1_000_000 else None


def _modulo(a: float, b: float) -> float | int:
    number, divisor = float(a), float(b)
    if isinstance(a, int) and isinstance(b, int):
        return int(math.copysign(abs(a) % abs(b), a)) if a else 0 % b
    return math.fmod(number, divisor) + 0.0  # no zero below zero


def _concat_ws(mark: str | None, *texts: Any) -> str | None:
    return None if mark is None else str(mark).join(str(t) for t in texts if t is not None)


def _compared(a: Any, b: Any) -> int:
    return (str(a) > str(b)) - (str(a) < str(b))


def _field(wanted: Any, *among: Any) -> int:
    return among.index(wanted) + 1 if wanted is not None and wanted in among else 0


@lru_cache(maxsize=256)
def _like_pattern(pattern: str) -> re.Pattern[str]:
    """Return MySQL's LIKE as a regular expression: ``%``, ``_``, and a backslash before either."""
    pieces = re.findall(r"\\.|.", pattern, re.DOTALL)
    words = {"%": ".*", "_": "."}
    text = "".join(words.get(p) or re.escape(p[-1] if len(p) == 2 and p[1] in "%_\\" else p) for p in pieces)
    return re.compile(text, re.DOTALL)


# Python's regular expressions have no classes by name.
_CLASSES = {
    "alpha": r"a-zA-Z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02c1\u0370-\u1fff\u2c00-\ud7ff",
    "digit": r"\d", "space": r"\s", "blank": r" \t", "xdigit": "0-9a-fA-F", "cntrl": r"\x00-\x1f\x7f",
    "upper": "A-Z\u00c0-\u00d6\u00d8-\u00de\u0391-\u03a9\u0410-\u042f",
    "lower": "a-z\u00b5\u00df-\u00f6\u00f8-\u00ff\u03b1-\u03c9\u0430-\u044f",
    "punct": r"!-/:-@\[-`{-~", "print": r" -~\u00a0-\uffff", "graph": r"!-~\u00a1-\uffff",
}  # fmt: skip
_CLASSES["alnum"] = _CLASSES["alpha"] + r"\d"


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    """Return MySQL's regular expression as Python's."""
    return re.compile(re.sub(r"\[:(\w+):\]", lambda match: _CLASSES.get(match[1], match[0]), pattern))


def _regexp(pattern: Any, text: Any) -> int:
    said = (value.decode() if isinstance(value, bytes) else str(value) for value in (pattern, text))
    return int(_pattern(next(said)).search(next(said)) is not None)


def _cut(value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value)


def _substring(value: Any, start: int, length: int | None = None) -> Any:
    """Return a part of a text, from a place that counts from 1, or from the end if it is negative."""
    text, start = _cut(value), int(start)
    first = start - 1 if start > 0 else len(text) + start
    if start == 0 or first < 0:
        return text[:0]
    return text[first:] if length is None else text[first : first + max(int(length), 0)]


def _trimmed(value: Any, mark: str, *, left: bool = True, right: bool = True) -> str:
    text = str(value)
    while mark and left and text.startswith(mark):
        text = text[len(mark) :]
    while mark and right and text.endswith(mark):
        text = text[: -len(mark)]
    return text


def _like(pattern: Any, text: Any) -> int:
    return int(_like_pattern(str(pattern)).fullmatch(str(text)) is not None)


_SCALARS: dict[str, tuple[int, Callable[..., Any]]] = {
    **NUMBER_FUNCTIONS,
    **MOMENT_FUNCTIONS,
    **JSON_FUNCTIONS,
    "left_part": (2, lambda value, n: _cut(value)[: max(int(n), 0)]),
    "right_part": (2, lambda value, n: _cut(value)[-int(n) :] if int(n) > 0 else _cut(value)[:0]),
    "substring_of": (-1, _substring),
    "trim_of": (2, _trimmed),
    "ltrim_of": (2, lambda text, mark: _trimmed(text, mark, right=False)),
    "rtrim_of": (2, lambda text, mark: _trimmed(text, mark, left=False)),
    "reverse": (1, lambda text: str(text)[::-1]),
    "regexp": (2, _regexp),
    # SQLite's own takes capitals for small letters and knows no backslash
    "like": (2, _like),
    # SQLite's own change the letters of English only
    "lower": (1, lambda text: str(text).lower()),
    "upper": (1, lambda text: str(text).upper()),
    "locate": (
        -1,
        lambda part, text, start=1: str(text).find(str(part), int(start) - 1) + 1 if start > 0 else 0,
    ),
    "concat": (-1, lambda *texts: "".join(map(str, texts))),
    "strcmp": (2, _compared),
    "find_in_set": (2, lambda word, words: _field(str(word), *words.split(","))),
    "substring_index": (3, lambda text, mark, n: _substring_index(str(text), str(mark), int(n))),
    "lpad": (3, lambda text, n, fill: _pad(text, n, fill, left=True)),
    "rpad": (3, lambda text, n, fill: _pad(text, n, fill, left=False)),
    "repeat": (2, _repeat),
    "space": (1, lambda n: _repeat(" ", n)),
    "hex_of": (1, lambda value: (value if isinstance(value, bytes) else str(value).encode()).hex().upper()),
    "ascii": (1, lambda text: str(text).encode()[0] if str(text) else 0),
    "byte_length": (1, lambda value: len(value if isinstance(value, bytes) else str(value).encode())),
    "mod": (2, _modulo),
    "from_hex": (1, bytes.fromhex),
}
# These take NULL as a value among others.
_LENIENT: dict[str, Callable[..., Any]] = {"concat_ws": _concat_ws, "field": _field}


def json_rows(columns: Sequence[Sequence[Any]]) -> str | None:
    """Return values given by column as a JSON list of rows; None if JSON cannot say one of them.

    Bytes, of which a column has only such, become hexadecimal digits.
    """
    said = [[v.hex() for v in values] if isinstance(values[0], bytes) else values for values in columns]
    try:
        text = json.dumps(list(zip(*said, strict=True)), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, AttributeError):
        return None
    # SQLite's JSON ends a text at the character 0.
    return None if "\\u0000" in text else text


def register_functions(raw: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    for name, (n_arguments, function) in _SCALARS.items():
        raw.create_function(name, n_arguments, _strict(function), deterministic=True)
    for name, function in _LENIENT.items():
        raw.create_function(name, -1, function, deterministic=True)
    for name, form in (("now", "%Y-%m-%d %H:%M:%S"), ("curdate", "%Y-%m-%d"), ("curtime", "%H:%M:%S")):
        # The time of the place, as MySQL's sessions have it; the columns of both keep no zone.
        raw.create_function(name, -1, clock(form))
    raw.create_function("utc_now", -1, clock("%Y-%m-%d %H:%M:%S", dt.UTC))
    raw.create_function("rand", 0, random.random)
    raw.create_function("uuid", 0, lambda: str(uuid.uuid4()))
    raw.create_function("greatest", -1, _strict(max), deterministic=True)
    raw.create_function("least", -1, _strict(min), deterministic=True)
    # The annotation of the standard library admits only aggregates that return whole numbers.
    aggregate: Any = raw.create_aggregate
    aggregate("stddev_pop", 1, _DeviationPopulation)
    aggregate("stddev_samp", 1, _DeviationSample)
    aggregate("var_pop", 1, _VariancePopulation)
    aggregate("var_samp", 1, _VarianceSample)
    aggregate("decimal_sum", 1, DecimalSum)
    aggregate("group_concat_of", -1, _GroupConcat)
    aggregate("count_distinct", -1, _CountDistinct)
    for name, start, combine in (("bit_or", 0, or_), ("bit_and", -1, and_), ("bit_xor", 0, xor)):
        aggregate(name, 1, _bits(start, combine))
