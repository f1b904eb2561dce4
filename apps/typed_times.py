"""Days and moments as people type them, written as ISO texts; what can mean two things is refused, and both are named."""

from __future__ import annotations

import calendar
import datetime as dt
import re

from dj_panel.core.words import marked, say

__all__ = ["fraction_digits", "plain_days", "refuse_cut", "refuse_missing_time"]

_REST = r"(?P<rest>(?:[T\s].*)?)"
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}}){_REST}", re.DOTALL
)
_DAY_FIRST = re.compile(rf"(?P<day>\d{{1,2}})\. ?(?P<month>\d{{1,2}})\. ?(?P<year>\d{{4}}){_REST}", re.DOTALL)
_UNCLEAR = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d\d){_REST}", re.DOTALL)
_HOUR = re.compile(r"[T\s]\s*(\d):(.*)", re.DOTALL)
_FRACTION = re.compile(r"(?::\d\d|[T ]\d{6})[.,](\d+)")
_MONTHS = (
    marked("January"), marked("February"), marked("March"), marked("April"), marked("May"), marked("June"),
    marked("July"), marked("August"), marked("September"), marked("October"), marked("November"), marked("December"),
)  # fmt: skip


def plain_days(text: str) -> str:
    """Return a day, alone or with a time of day, with the day in the form ``YYYY-MM-DD``; other text as it is.

    Read are ``2026-3-4``, and ``4.3.2026``, which with points is day, month and year wherever it is written.

    Raises
    ------
    ValueError
        If there is no such day, or it can be read in two ways; the message says what to write.

    Examples
    --------
    >>> plain_days("2026-3-4"), plain_days("31.03.2026 9:05")
    ('2026-03-04', '2026-03-31 09:05')
    >>> plain_days("1/2/2026")
    Traceback (most recent call last):
    ValueError: could mean 2026-02-01 or 2026-01-02; write one of these
    """
    text = text.strip()
    found = _YEAR_FIRST.fullmatch(text) or _DAY_FIRST.fullmatch(text)
    if found is not None:
        rest = _HOUR.sub(r" 0\1:\2", found["rest"])
        return _day(int(found["year"]), int(found["month"]), int(found["day"])) + rest
    unclear = _UNCLEAR.fullmatch(text)
    if unclear is None:
        return text
    first, mark, second, year_text, rest = unclear.groups()
    year = int(year_text) if len(year_text) == 4 else 2000 + int(year_text)
    days = [_day(year, month, day) + rest for day, month in _orders(int(first), int(second), mark, year)]
    if not days:
        return text
    if len(days) == 2:
        raise ValueError(say("could mean {one} or {other}; write one of these", one=days[0], other=days[1]))
    raise ValueError(say("is not written as a date is here; write {text} if that is meant", text=days[0]))


def _orders(first: int, second: int, mark: str, year: int) -> list[tuple[int, int]]:
    """Return the days and months that two numbers may be; with points the day comes first."""
    orders = [(first, second)] if mark == "." else [(first, second), (second, first)]
    return [
        (day, month)
        for day, month in dict.fromkeys(orders)
        if 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 1, month)[1]
    ]


def _day(year: int, month: int, day: int) -> str:
    if not 1 <= month <= 12:
        raise ValueError(say("is no day: there is no month {month}", month=str(month)))
    n_days = calendar.monthrange(year, month)[1] if year else 31
    if not 1 <= day <= n_days:
        raise ValueError(
            say(
                "is no day: {month} {year} has {n} days",
                month=say(_MONTHS[month - 1]),
                year=str(year),
                n=str(n_days),
            )
        )
    return f"{year:04d}-{month:02d}-{day:02d}"


def refuse_missing_time(text: str) -> None:
    """Raise ``ValueError`` for a day where a moment is wanted: that it begins at midnight nobody has said.

    >>> refuse_missing_time("2026-03-31")
    Traceback (most recent call last):
    ValueError: has no time of day; write 2026-03-31 00:00:00 if midnight is meant
    """
    try:
        day = dt.date.fromisoformat(plain_days(text))
    except ValueError:
        return
    raise ValueError(say("has no time of day; write {text} if midnight is meant", text=f"{day} 00:00:00"))


def fraction_digits(text: str) -> int:
    """Return how many digits the fraction of the second of a time has, without zeros at its end.

    >>> fraction_digits("14:05:00.250"), fraction_digits("14:05:00.000"), fraction_digits("14:05")
    (2, 0, 0)
    """
    found = _FRACTION.search(text)
    return len(found[1].rstrip("0")) if found is not None else 0


def refuse_cut(text: str, digits: int, kept: str) -> None:
    """Raise ``ValueError`` for more parts of a second than a column of some digits keeps.

    >>> refuse_cut("14:05:00.6", 0, "14:05:00")
    Traceback (most recent call last):
    ValueError: has parts of a second that are not kept here; write 14:05:00
    """
    if fraction_digits(text) > digits:
        raise ValueError(say("has parts of a second that are not kept here; write {text}", text=kept))
