"""Numbers and days as files have them: which sign is decimal, and in which order a day is written.

What can be read in two ways is never guessed. A file says by its other cells how it is meant, or a person does;
until then such a cell is an error that names both readings.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from dj_panel.apps.typed_times import fraction_digits
from dj_panel.core.words import say

__all__ = ["Forms", "Notation", "TimeForms", "TwoReadingsError", "plain_number", "plain_time"]

_BLANKS = str.maketrans({
    "\N{MINUS SIGN}": "-", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " ",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
})  # fmt: skip
_SPACED = re.compile(r"([+-]?\d{1,3}(?:[ ']\d{3})+)(?![\d ])(.*)", re.DOTALL)
_NUMBER = {
    ".": re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+|(?=,\d))(?:,\d*)?(?:[eE][+-]?\d+)?"),
}
_DAY = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?!\d)[T ]*(.*)", re.DOTALL)
_DAY_ALONE = re.compile(r"\d{1,4}([./-]) ?\d{1,2}\1 ?\d{1,4}|\d{8}|\d{4}-?W\d\d(?:-?\d)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})((?::\d{2}(?:\.\d+)?)?)\s*([AaPp])\.?\s?[Mm]\.?")


class TwoReadingsError(ValueError):
    """What a text means depends on how the file is written."""


@dataclass(frozen=True)
class Notation:
    """How numbers and days are written, and what may be taken for granted or left out.

    Parameters
    ----------
    decimal
        The decimal sign, ``"."`` or ``","``; empty if it is not known.
    days
        ``"dmy"`` or ``"mdy"``; empty if it is not known. Days as ISO 8601 writes them are always read.
    midnight
        Whether a day is its midnight where a moment is wanted; else it is an error, as in a form.
    cut
        Whether fractions of a second that an attribute does not keep are cut off; else they are an error.
    """

    decimal: str = "."
    days: str = ""
    midnight: bool = False
    cut: bool = False


@dataclass
class Forms:
    """How often the cells of a column have a form that tells how they are meant, or leaves it open.

    Parameters
    ----------
    comma, point
        Numbers that have only one reading, with that decimal sign.
    lone_comma, lone_point
        Numbers such as ``1,234``, which have two.
    day_first, month_first, either_first
        Days such as ``31/12/2026``, ``12/31/2026`` and ``1/2/2026``.
    dotted
        Days such as ``1.2.2026``, which begin with the day.
    """

    comma: int = 0
    point: int = 0
    lone_comma: int = 0
    lone_point: int = 0
    day_first: int = 0
    month_first: int = 0
    either_first: int = 0
    dotted: int = 0

    def note(self, text: str) -> None:
        """Count one cell."""
        if "/" in text or "-" in text[1:]:
            self._note_day(text)
        elif text.count(".") > 1 and (match := _DAY.fullmatch(text.strip())):
            self.dotted += len(match[4]) == 4
        elif "," in text or "." in text:
            as_point, as_comma = _readings(text)
            if as_point is not None and as_comma is not None:
                if "," in text:
                    self.lone_comma += 1
                else:
                    self.lone_point += 1
            elif as_point is not None:
                self.point += 1
            elif as_comma is not None:
                self.comma += 1

    def _note_day(self, text: str) -> None:
        match = _DAY.fullmatch(text.strip())
        if match is None or len(match[1]) == 4 or match[2] == ".":
            return
        first, second = int(match[1]), int(match[3])
        if first > 12:
            self.day_first += 1
        elif second > 12:
            self.month_first += 1
        else:
            self.either_first += 1

    def __add__(self, other: Forms) -> Forms:
        return Forms(*(mine + theirs for mine, theirs in zip(self._counts(), other._counts(), strict=True)))

    def _counts(self) -> tuple[int, ...]:
        return (
            self.comma, self.point, self.lone_comma, self.lone_point,
            self.day_first, self.month_first, self.either_first, self.dotted,
        )  # fmt: skip

    @property
    def has_signs(self) -> bool:
        """Whether the decimal sign matters."""
        return any(self._counts()[:4])

    @property
    def has_days(self) -> bool:
        """Whether the order of days matters."""
        return any(self._counts()[4:7])

    def decimal(self, *, has_semicolons: bool) -> str:
        """Return the decimal sign that every number agrees with; empty if that leaves two readings.

        Parameters
        ----------
        has_semicolons
            Whether the cells stand apart by semicolons, as they do where the comma is decimal.
        """
        if not self.comma and not self.lone_comma:
            return "" if has_semicolons and self.lone_point and not self.point else "."
        if self.comma and not self.point and not self.lone_point:
            return ","
        return ""

    def days(self) -> str:
        """Return the order of days that every cell agrees with; empty if none is told."""
        if bool(self.day_first) == bool(self.month_first):
            return ""
        return "dmy" if self.day_first else "mdy"


@dataclass
class TimeForms:
    """How many cells of a column are days alone, and how many have how many digits below the second.

    Parameters
    ----------
    days
        Cells such as ``2026-03-31``.
    fractions
        Of a number of digits, zeros at the end not counted, how many cells have it.
    """

    days: int = 0
    fractions: Counter[int] = field(default_factory=Counter)

    def note(self, text: str) -> None:
        """Count one cell."""
        if not text[0].isdigit():
            return
        if digits := fraction_digits(text):
            self.fractions[digits] += 1
        elif _DAY_ALONE.fullmatch(text.strip()):
            self.days += 1

    def n_cut(self, digits: int) -> int:
        """Return how many cells have more than so many digits."""
        return sum(number for has, number in self.fractions.items() if has > digits)


def plain_number(text: str, decimal: str) -> str:
    """Return a number with a decimal point and nothing between its thousands.

    What is no number is returned as it is.

    Parameters
    ----------
    text
        As the file has it.
    decimal
        The decimal sign; empty if it is not known.

    Raises
    ------
    ValueError
        With the reason as a clause, if it has two readings, or none with this decimal sign.

    Examples
    --------
    >>> plain_number("1.234,5", ","), plain_number("1 234", "."), plain_number("0,5", "")
    ('1234.5', '1234', '0.5')
    """
    as_point, as_comma = _readings(text)
    if as_point is None and as_comma is None:
        return text
    if decimal:
        found = as_point if decimal == "." else as_comma
        if found is not None:
            return found
        if decimal == ".":
            raise ValueError(say("has a decimal comma, and the decimal sign of the file is the point"))
        raise ValueError(say("has a decimal point, and the decimal sign of the file is the comma"))
    if as_point is None or as_comma is None or as_point == as_comma:
        return as_point or as_comma or text
    raise TwoReadingsError(
        say(
            "may mean {as_point} or {as_comma}; choose the decimal sign of the file",
            as_point=as_point,
            as_comma=as_comma,
        )
    )


def _readings(text: str) -> tuple[str | None, str | None]:
    """Return the number with the point, and with the comma, as decimal sign; ``None`` where it is none."""
    text = text.strip().translate(_BLANKS)
    spaced = _SPACED.fullmatch(text)
    if spaced:
        text = spaced[1].replace(" ", "").replace("'", "") + spaced[2]
    as_point = text.replace(",", "") if _NUMBER["."].fullmatch(text) else None
    as_comma = text.replace(".", "").replace(",", ".") if _NUMBER[","].fullmatch(text) else None
    return as_point, as_comma


def plain_time(text: str, days: str) -> str:
    """Return a day, with or without a time of day, as ISO 8601 writes it.

    What is none is returned as it is.

    Parameters
    ----------
    text
        As the file has it.
    days
        ``"dmy"`` or ``"mdy"``; empty if it is not known.

    Raises
    ------
    ValueError
        With the reason as a clause, if it has two readings, or none with this order.

    Examples
    --------
    >>> plain_time("3/4/2026 2:05 PM", "mdy"), plain_time("31.12.2026", "")
    ('2026-03-04 14:05', '2026-12-31')
    """
    match = _DAY.fullmatch(text.strip())
    if match is None:
        return text.strip()
    first, mark, second, third, rest = match.groups()
    if len(first) == 4:
        return _day(int(first), int(second), int(third), rest)
    if len(third) != 4:
        raise ValueError(say("has no year of four digits; write it as YYYY-MM-DD"))
    one, two, year = int(first), int(second), int(third)
    if mark == ".":
        days = "dmy"
    if not days:
        if one <= 12 and two <= 12 and one != two:
            readings = (f"{year}-{two:02d}-{one:02d}", f"{year}-{one:02d}-{two:02d}")
            raise TwoReadingsError(
                say(
                    "may mean {one} or {other}; choose the order of days of the file",
                    one=readings[0],
                    other=readings[1],
                )
            )
        days = "dmy" if one > 12 else "mdy"
    day, month = (one, two) if days == "dmy" else (two, one)
    if month > 12 and day <= 12:
        if days == "dmy":
            raise ValueError(say("is no day with the day before month, which is the order of the file"))
        raise ValueError(say("is no day with the month before day, which is the order of the file"))
    return _day(year, month, day, rest)


def _day(year: int, month: int, day: int, rest: str) -> str:
    clock = _CLOCK.fullmatch(rest)
    if clock and 1 <= int(clock[1]) <= 12:
        hour = int(clock[1]) % 12 + (12 if clock[4] in "pP" else 0)
        rest = f"{hour:02d}:{clock[2]}{clock[3]}"
    elif re.match(r"\d:", rest):
        rest = "0" + rest
    return f"{year:04d}-{month:02d}-{day:02d}{' ' + rest if rest else ''}"
