"""MySQL's functions of days and times, for SQLite."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

__all__ = ["MOMENT_FUNCTIONS", "clock"]


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


def _week(text: str, mode: int = 0) -> int:
    """Return the week as MySQL's mode 0 counts it: the first Sunday begins week 1."""
    if mode:
        raise RuntimeError("only mode 0 is known here")
    return int(_moment(text).strftime("%U"))


def moment_of(text: str) -> str:
    """Return a day or a time in the one form in which all compare."""
    return _moment(text).isoformat(" ", "microseconds")


def datetime_of(text: str, digits: int) -> str:
    """Return a day or a time as a column of ``datetime(digits)`` keeps it."""
    moment = _moment(text)
    return moment.isoformat(" ", "seconds") + (f".{moment.microsecond:06d}"[: digits + 1] if digits else "")


def _span(text: str) -> dt.timedelta:
    """Return a time, or the time of day of a moment, as a span."""
    sign, hours, minutes, seconds = re.fullmatch(  # type: ignore[union-attr]  # else ValueError below
        r"(-?)(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?",
        str(text).rpartition(" ")[2] if ":" in str(text) else "0:00",
    ).groups()
    span = dt.timedelta(hours=int(hours), minutes=int(minutes)) + dt.timedelta(
        microseconds=round(float(seconds or 0) * 1e6)
    )
    return -span if sign else span


def _said_span(span: dt.timedelta, digits: int) -> str:
    total = abs(span)
    seconds = total.days * 86400 + total.seconds
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    text += f".{total.microseconds:06d}"[: digits + 1] if digits else ""
    return "-" + text if span < dt.timedelta() else text


def _timediff(a: str, b: str, digits: int) -> str | None:
    """Return the time from one moment, or time of day, to another; nothing if they are of different sorts."""
    if ("-" in a[1:]) != ("-" in b[1:]):
        return None
    return _said_span(_moment(a) - _moment(b) if "-" in a[1:] else _span(a) - _span(b), digits)


def _seconds_of(span: dt.timedelta) -> int | str:
    """Return a span in seconds, whole ones as such."""
    whole = span.days * 86400 + span.seconds
    return f"{whole}.{span.microseconds:06d}" if span.microseconds else whole


def _unix_timestamp(*text: str) -> int | str:
    """Return the seconds since 1970; a moment is one of this place, as in MySQL's sessions."""
    moment = (_moment(text[0]) if text else dt.datetime.now()).astimezone()  # noqa: DTZ005
    span = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return _seconds_of(span if text else dt.timedelta(seconds=span // dt.timedelta(seconds=1)))


_READ = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d\d)", "m": r"(?P<m>\d\d?)", "c": r"(?P<m>\d\d?)", "d": r"(?P<d>\d\d?)",
    "e": r"(?P<d>\d\d?)", "H": r"(?P<H>\d\d?)", "k": r"(?P<H>\d\d?)", "i": r"(?P<i>\d\d?)", "s": r"(?P<s>\d\d?)",
    "S": r"(?P<s>\d\d?)", "f": r"(?P<f>\d{1,6})", "M": r"(?P<M>[A-Za-z]+)", "b": r"(?P<M>[A-Za-z]+)", "%": "%",
    "T": r"(?P<H>\d\d?):(?P<i>\d\d):(?P<s>\d\d)",
}  # fmt: skip


def _str_to_date(text: str, pattern: str) -> str | None:
    """Return the day or the time that a text says in a pattern of DATE_FORMAT."""
    unknown = [letter for letter in re.findall(r"%(.)", pattern) if letter not in _READ]
    if unknown:
        raise RuntimeError(f"%{unknown[0]} is not known to str_to_date here")
    form = "".join(
        _READ[p[1]] if p.startswith("%") and len(p) == 2 else re.escape(p)
        for p in re.findall(r"%.|.", pattern)
    )
    match = re.match(form, text)
    if not match:
        return None
    found = match.groupdict()
    names = [name.lower() for name in calendar.month_name]
    if "M" in found:
        found["m"] = str(
            next(i for i, name in enumerate(names) if i and name.startswith(found["M"].lower()[:3]))
        )
    if "y" in found:
        found["Y"] = str(int(found["y"]) + (2000 if int(found["y"]) < 70 else 1900))
    clock_of = [int(found.get(n) or 0) for n in "His"]
    micro = int((found.get("f") or "0").ljust(6, "0"))
    if not found.keys() & {"Y", "m", "d"}:
        span = dt.timedelta(hours=clock_of[0], minutes=clock_of[1], seconds=clock_of[2], microseconds=micro)
        return _said_span(span, 6 if "f" in found else 0)
    moment = dt.datetime(int(found["Y"]), int(found["m"]), int(found["d"]))
    moment += dt.timedelta(hours=clock_of[0], minutes=clock_of[1], seconds=clock_of[2], microseconds=micro)
    if not found.keys() & {"H", "i", "s", "f"}:
        return moment.date().isoformat()
    return moment.isoformat(" ", "microseconds" if "f" in found else "seconds")


def clock(form: str, zone: dt.tzinfo | None = None) -> Callable[..., str]:
    """Return the function that says the time of the place, or of a zone, with as many digits as it is given."""

    def say_time(digits: int = 0) -> str:
        moment = dt.datetime.now(zone)
        return moment.strftime(form) + (f".{moment.microsecond:06d}"[: digits + 1] if digits else "")

    return say_time


MOMENT_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
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
    "time_to_sec": (1, lambda t: _seconds_of(_span(t))),
    "date_shift": (4, _date_shift),
    "date_format": (2, _date_format),
    "datediff": (2, lambda a, b: (_moment(a).date() - _moment(b).date()).days),
    "timestampdiff": (3, _timestampdiff),
    "moment_of": (1, moment_of),
    "datetime_of": (2, datetime_of),
    "time_of": (2, lambda text, digits: _said_span(_span(text), digits)),
    "timediff": (3, _timediff),
    "to_days": (1, lambda text: _moment(text).toordinal() + 365),
    "str_to_date": (2, _str_to_date),
    "unix_timestamp": (-1, _unix_timestamp),
}
