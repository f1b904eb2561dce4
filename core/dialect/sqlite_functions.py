"""The functions that MySQL's users write in expressions and SQLite lacks."""

from __future__ import annotations

import datetime as dt
import math
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["register_functions"]


class _Moments:
    """Count, mean and sum of squared deviations of a column, in one pass (Welford's method)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: float | None) -> None:
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


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@lru_cache(maxsize=256)
def _like_pattern(pattern: str) -> re.Pattern[str]:
    """Return MySQL's LIKE as a regular expression: ``%``, ``_``, and a backslash before either."""
    pieces = re.findall(r"\\.|.", pattern, re.DOTALL)
    words = {"%": ".*", "_": "."}
    text = "".join(words.get(p) or re.escape(p[-1] if len(p) == 2 and p[1] in "%_\\" else p) for p in pieces)
    return re.compile(text, re.DOTALL)


def _like(pattern: Any, text: Any) -> int:
    return int(_like_pattern(str(pattern)).fullmatch(str(text)) is not None)


_SCALARS: dict[str, tuple[int, Callable[..., Any]]] = {
    "year": (1, lambda t: _moment(t).year),
    "month": (1, lambda t: _moment(t).month),
    "day": (1, lambda t: _moment(t).day),
    "dayofmonth": (1, lambda t: _moment(t).day),
    "hour": (1, lambda t: _moment(t).hour),
    "minute": (1, lambda t: _moment(t).minute),
    "second": (1, lambda t: _moment(t).second),
    "weekday": (1, lambda t: _moment(t).weekday()),
    "left": (2, lambda text, n: str(text)[: max(int(n), 0)]),
    "right": (2, lambda text, n: str(text)[-int(n) :] if int(n) > 0 else ""),
    "reverse": (1, lambda text: str(text)[::-1]),
    "regexp": (2, lambda pattern, text: int(re.search(pattern, str(text)) is not None)),
    # SQLite's own takes capitals for small letters and knows no backslash
    "like": (2, _like),
    "locate": (2, lambda part, text: str(text).find(str(part)) + 1),
}


def register_functions(raw: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    for name, (n_arguments, function) in _SCALARS.items():
        raw.create_function(name, n_arguments, _strict(function), deterministic=True)
    # SQLite's own change the letters of English only.
    raw.create_function("lower", 1, _strict(lambda text: str(text).lower()), deterministic=True)
    raw.create_function("upper", 1, _strict(lambda text: str(text).upper()), deterministic=True)
    raw.create_function("now", 0, lambda: dt.datetime.now().isoformat(" ", "seconds"))
    raw.create_function("greatest", -1, _strict(max), deterministic=True)
    raw.create_function("least", -1, _strict(min), deterministic=True)
    raw.create_aggregate("stddev_pop", 1, _DeviationPopulation)
    raw.create_aggregate("stddev", 1, _DeviationPopulation)
    raw.create_aggregate("stddev_samp", 1, _DeviationSample)
    raw.create_aggregate("variance", 1, _VariancePopulation)
    raw.create_aggregate("variance_pop", 1, _VariancePopulation)
    raw.create_aggregate("variance_samp", 1, _VarianceSample)
