"""The functions that MySQL's users write in expressions and SQLite lacks."""

from __future__ import annotations

import calendar
import datetime as dt
import json
import math
import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from dj_panel.core.dialect.sqlite_json import JSON_FUNCTIONS

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
    return dt.datetime.fromisoformat(str(text))


def _said(moment: dt.datetime, like: str) -> str:
    """Return a time as text: a day if ``like`` is one and nothing is lost, else with the time of day."""
    if len(like) == 10 and moment.time() == dt.time():
        return moment.date().isoformat()
    return moment.isoformat(" ", "microseconds" if moment.microsecond or "." in like else "seconds")


_SECONDS = {"MICROSECOND": 1e-6, "SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _date_shift(text: str, number: float, sign: int, unit: str) -> str:
    """Return a time that is some units later: ``DATE_ADD``. The day is cut to the length of its month."""
    moment = _moment(text)
    number = float(number) * sign
    if unit in _SECONDS:
        return _said(moment + dt.timedelta(seconds=number * _SECONDS[unit]), str(text))
    months = moment.year * 12 + moment.month - 1 + round(number) * _MONTHS[unit]
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return _said(moment.replace(year=year, month=month + 1, day=day), str(text))


def _last_day(day: dt.date) -> str:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1]).isoformat()


def _timestampdiff(unit: str, start: str, end: str) -> int:
    """Return how many whole units lie between two times."""
    first, last = _moment(start), _moment(end)
    if unit in _SECONDS:
        size = dt.timedelta(seconds=_SECONDS[unit])
        return (last - first) // size if last >= first else -((first - last) // size)
    sign = 1 if last >= first else -1
    first, last = min(first, last), max(first, last)
    months = (last.year - first.year) * 12 + last.month - first.month
    # The last month is whole once its day and time of day are reached.
    months -= (last.day, last.time()) < (first.day, first.time())
    return sign * (months // _MONTHS[unit])


_FORMATS: dict[str, Callable[[dt.datetime], str]] = {
    "Y": lambda t: f"{t.year:04d}", "y": lambda t: f"{t.year % 100:02d}",
    "m": lambda t: f"{t.month:02d}", "c": lambda t: str(t.month),
    "M": lambda t: calendar.month_name[t.month], "b": lambda t: calendar.month_abbr[t.month],
    "d": lambda t: f"{t.day:02d}", "e": lambda t: str(t.day), "j": lambda t: f"{t.timetuple().tm_yday:03d}",
    "W": lambda t: calendar.day_name[t.weekday()], "a": lambda t: calendar.day_abbr[t.weekday()],
    "w": lambda t: str((t.weekday() + 1) % 7),
    "H": lambda t: f"{t.hour:02d}", "k": lambda t: str(t.hour), "h": lambda t: f"{(t.hour - 1) % 12 + 1:02d}",
    "p": lambda t: "AM" if t.hour < 12 else "PM", "i": lambda t: f"{t.minute:02d}",
    "s": lambda t: f"{t.second:02d}", "S": lambda t: f"{t.second:02d}", "f": lambda t: f"{t.microsecond:06d}",
    "T": lambda t: t.strftime("%H:%M:%S"), "%": lambda t: "%",
}  # fmt: skip


def _date_format(text: str, pattern: str) -> str:
    moment = _moment(text)

    def written(match: re.Match[str]) -> str:
        make = _FORMATS.get(match[1])
        return make(moment) if make else match[1]

    return re.sub(r"%(.)", written, pattern)


def _time_to_sec(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = text.rpartition(" ")[2].lstrip("-").split(":")
    return sign * (int(hours) * 3600 + int(minutes) * 60 + int(float(seconds)))


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


def _truncate(number: float, digits: int) -> float:
    power = 10.0 ** int(digits)
    return math.trunc(float(number) * power) / power


def _modulo(a: float, b: float) -> float | int:
    number, divisor = float(a), float(b)
    if isinstance(a, int) and isinstance(b, int):
        return int(math.copysign(abs(a) % abs(b), a)) if a else 0 % b
    return math.fmod(number, divisor)


def _concat_ws(mark: str | None, *texts: Any) -> str | None:
    return None if mark is None else str(mark).join(str(t) for t in texts if t is not None)


def _compared(a: Any, b: Any) -> int:
    return (str(a) > str(b)) - (str(a) < str(b))


def _field(wanted: Any, *among: Any) -> int:
    return among.index(wanted) + 1 if wanted is not None and wanted in among else 0


def _week(text: str, mode: int = 0) -> int:
    """Return the week as MySQL's mode 0 counts it: the first Sunday begins week 1."""
    if mode:
        raise ValueError("only mode 0 is known here")
    return int(_moment(text).strftime("%U"))


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
    "quarter": (1, lambda t: (_moment(t).month + 2) // 3),
    "month": (1, lambda t: _moment(t).month),
    "monthname": (1, lambda t: calendar.month_name[_moment(t).month]),
    "week": (-1, _week),
    "dayofmonth": (1, lambda t: _moment(t).day),
    "dayofweek": (1, lambda t: (_moment(t).weekday() + 1) % 7 + 1),
    "dayofyear": (1, lambda t: _moment(t).timetuple().tm_yday),
    "dayname": (1, lambda t: calendar.day_name[_moment(t).weekday()]),
    "weekday": (1, lambda t: _moment(t).weekday()),
    "last_day": (1, lambda t: _last_day(_moment(t).date())),
    "hour": (1, lambda t: _time_to_sec(str(t)) // 3600 if ":" in str(t) else 0),
    "minute": (1, lambda t: _moment(t).minute),
    "second": (1, lambda t: _moment(t).second),
    "microsecond": (1, lambda t: _moment(t).microsecond),
    "time_to_sec": (1, lambda t: _time_to_sec(str(t))),
    "date_shift": (4, _date_shift),
    "date_format": (2, _date_format),
    "datediff": (2, lambda a, b: (_moment(a).date() - _moment(b).date()).days),
    "timestampdiff": (3, _timestampdiff),
    "left_part": (2, lambda text, n: str(text)[: max(int(n), 0)]),
    "right_part": (2, lambda text, n: str(text)[-int(n) :] if int(n) > 0 else ""),
    "reverse": (1, lambda text: str(text)[::-1]),
    "regexp": (2, lambda pattern, text: int(re.search(pattern, str(text)) is not None)),
    # SQLite's own takes capitals for small letters and knows no backslash
    "like": (2, _like),
    # SQLite's own change the letters of English only
    "lower": (1, lambda text: str(text).lower()),
    "upper": (1, lambda text: str(text).upper()),
    "locate": (2, lambda part, text: str(text).find(str(part)) + 1),
    "concat": (-1, lambda *texts: "".join(map(str, texts))),
    "strcmp": (2, _compared),
    "find_in_set": (2, lambda word, words: _field(str(word), *words.split(","))),
    "substring_index": (3, lambda text, mark, n: _substring_index(str(text), str(mark), int(n))),
    "lpad": (3, lambda text, n, fill: _pad(text, n, fill, left=True)),
    "rpad": (3, lambda text, n, fill: _pad(text, n, fill, left=False)),
    "repeat": (2, _repeat),
    "space": (1, lambda n: _repeat(" ", n)),
    "ascii": (1, lambda text: str(text).encode()[0] if str(text) else 0),
    "byte_length": (1, lambda value: len(value if isinstance(value, bytes) else str(value).encode())),
    "truncate": (2, _truncate),
    "mod": (2, _modulo),
    "from_hex": (1, bytes.fromhex),
    **JSON_FUNCTIONS,
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
    for name, kind in (("now", "%Y-%m-%d %H:%M:%S"), ("curdate", "%Y-%m-%d"), ("curtime", "%H:%M:%S")):
        # The time of the place, as MySQL's sessions have it; the columns of both keep no zone.
        raw.create_function(name, -1, lambda *digits, kind=kind: dt.datetime.now().strftime(kind))  # noqa: DTZ005
    raw.create_function("utc_timestamp", 0, lambda: dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S"))
    raw.create_function("greatest", -1, _strict(max), deterministic=True)
    raw.create_function("least", -1, _strict(min), deterministic=True)
    # The annotation of the standard library admits only aggregates that return whole numbers.
    aggregate: Any = raw.create_aggregate
    aggregate("stddev_pop", 1, _DeviationPopulation)
    aggregate("stddev_samp", 1, _DeviationSample)
    aggregate("var_pop", 1, _VariancePopulation)
    aggregate("var_samp", 1, _VarianceSample)
