"""Numbers and moments as people type them, in the form in which `core` reads them; nothing is guessed.

What can mean two things is refused, and both are named: ``1,234`` is a thousand and more in one country, and one
and a bit in another. A moment with a zone becomes the same moment by the clock of the lab.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import zoneinfo
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from dj_panel.core.errors import SettingsError
from dj_panel.core.settings import Settings
from dj_panel.core.words import say

__all__ = [
    "Custom",
    "custom_of",
    "plain_moment",
    "plain_number",
    "time_told",
    "zone_doubt",
    "zone_name",
]

_BLANKS = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}"
_GROUPED = re.compile(r"[+-]?\d{1,3}(?P<mark>[ '.,\u2019])\d{3}(?:(?P=mark)\d{3})*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WITH_UNIT = re.compile(r"([+-]?[\d.,]*\d[.,]?(?:[eE][+-]?\d+)?)\s*([^\W\d_]|[%°\u00b5Ω/])(.*)", re.DOTALL)
_OTHER_BASES = re.compile(r"[+-]?0[xXbBoO]")
_MAX_ZEROS = 80


@dataclass(frozen=True)
class Custom:
    """How a lab writes numbers and tells the time.

    Parameters
    ----------
    decimal_comma
        Whether ``1,5`` is one and a half. A point always may stand there too.
    zone
        Whose clock columns without a zone are meant by; ``None`` if the lab has not said.
    """

    decimal_comma: bool = False
    zone: zoneinfo.ZoneInfo | None = None

    def now(self) -> dt.datetime:
        """Return the present moment by the lab's clock, or by this computer's."""
        return dt.datetime.now(self.zone).replace(tzinfo=None)

    def local(self, moment: dt.datetime | None = None) -> dt.datetime:
        """Return a moment that has a zone, or the present one, by the lab's clock, or by this computer's."""
        return (moment or dt.datetime.now(dt.UTC)).astimezone(self.zone)


def custom_of(settings: Settings) -> Custom:
    """Return what the settings ``forms.decimal_comma`` and ``forms.timezone`` say.

    Raises
    ------
    SettingsError
        If there is no such time zone.
    """
    name = settings.forms.timezone
    try:
        zone = zoneinfo.ZoneInfo(name) if name else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"There is no time zone '{name}'. Set forms.timezone to a name such as 'Europe/Berlin'."
        ) from error
    return Custom(settings.forms.decimal_comma, zone)


def plain_number(text: str, custom: Custom | None = None, *, is_whole: bool = False) -> str:
    """Return the text of a number with a point and nothing else between its digits.

    Parameters
    ----------
    text
        As typed, without blanks around it.
    custom
        How the lab writes numbers.
    is_whole
        Whether only a whole number will do: ``1e3`` is one, and is written out.

    Raises
    ------
    ValueError
        If it can be read in two ways, or holds a unit or blanks; the message says what to write.

    Examples
    --------
    >>> plain_number("1e3", is_whole=True), plain_number("1,5", Custom(decimal_comma=True))
    ('1000', '1.5')
    >>> plain_number("1,234")
    Traceback (most recent call last):
    ValueError: has a comma and could mean 1.234 or 1234; write one of these
    """
    custom = custom or Custom()
    text = text.translate(dict.fromkeys(map(ord, _BLANKS), " ")).replace("\N{MINUS SIGN}", "-").strip()
    text = re.sub(r"^([+-]) +(?=[\d.,])", r"\1", text)
    grouped = _GROUPED.fullmatch(text)
    mark = grouped["mark"] if grouped else ""
    joined = text.replace(mark, "") if grouped else ""
    if mark in (" ", "'", "\u2019") and grouped:
        raise ValueError(say("has marks between its digits; write {number}", number=joined))
    if "," in text:
        text = _without_comma(text, mark, joined, custom, is_whole=is_whole)
    elif mark == "." and text.count(".") > 1:
        raise ValueError(say("has more than one point; write {number} if it is one number", number=joined))
    elif mark == "." and not joined.lstrip("+-").startswith("0"):
        if is_whole:
            raise ValueError(say("has a point; write {number} if it stands between thousands", number=joined))
        if custom.decimal_comma:
            as_comma = text.replace(".", ",")
            raise ValueError(
                say("could mean {one} or {other}; write one of these", one=as_comma, other=joined)
            )
    _refuse_units(text, is_whole=is_whole)
    return _written_out(text) if is_whole else text


def _without_comma(text: str, mark: str, joined: str, custom: Custom, *, is_whole: bool) -> str:
    """Return text with a comma with a point in its place; refuse it where it may be another sign."""
    as_point = text.replace(",", ".")
    is_decimal = _NUMBER.fullmatch(as_point) is not None
    if custom.decimal_comma:
        head, _, tail = text.rpartition(",")
        if "." in head and "," not in head and re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", head):
            return f"{head.replace('.', '')}.{tail}"
        if is_decimal:
            return as_point
        raise ValueError(
            say("has more than one comma, or marks that are not in order; write the digits alone")
        )
    if is_whole and mark == "," and re.fullmatch(r"[+-]?\d+", joined):
        raise ValueError(say("has a comma; write {number} if it stands between thousands", number=joined))
    if is_whole and is_decimal:
        return as_point  # which is told to be no whole number
    if mark == "," and text.count(",") == 1 and not joined.lstrip("+-").startswith("0"):
        raise ValueError(
            say("has a comma and could mean {one} or {other}; write one of these", one=as_point, other=joined)
        )
    if is_decimal:
        raise ValueError(say("has a comma; write {number} if it is the decimal point", number=as_point))
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d*", text):
        joined = text.replace(".", "").replace(",", ".")
        raise ValueError(say("has a comma; write {number} if it is the decimal point", number=joined))
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text):
        joined = text.replace(",", "")
        raise ValueError(say("has commas; write {number} if they stand between thousands", number=joined))
    raise ValueError(say("has a comma; write the decimal point as '.', and no thousands separators"))


def _refuse_units(text: str, *, is_whole: bool) -> None:
    if _NUMBER.fullmatch(text) or _OTHER_BASES.match(text):
        return
    fraction = re.fullmatch(r"([+-]?)(\d*) *(\D)", text)
    if fraction is not None and 0 < unicodedata.numeric(fraction[3], 0) < 1:
        if is_whole:
            raise ValueError(say("is written with a fraction, and only a whole number can stand here"))
        value = Decimal(fraction[2] or 0) + Decimal(str(round(unicodedata.numeric(fraction[3]), 6)))
        raise ValueError(say("is written with a fraction; write {number}", number=f"{fraction[1]}{value}"))
    found = _WITH_UNIT.fullmatch(text)
    if found is not None and found[1].count(".") < 2:
        unit = " ".join((found[2] + found[3]).split())
        raise ValueError(
            say(
                "has {unit} after the number; write {number} alone, in the unit of the field",
                unit=repr(unit[:20]),
                number=found[1],
            )
        )
    if " " in text:
        raise ValueError(say("has blanks inside; write one number without them"))


def _written_out(text: str) -> str:
    """Return ``1e3`` and ``3.0`` as the whole numbers that they are; other text as it is."""
    if not re.search(r"[.eE]", text) or not _NUMBER.fullmatch(text):
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if number.is_zero():
        return "0"
    if abs(number.adjusted()) > _MAX_ZEROS or number != number.to_integral_value():
        return text
    return f"{number.to_integral_value():f}"


# ------------------------------------------------------------------------------------------------ moments


def plain_moment(text: str, custom: Custom | None = None) -> str:
    """Return a date and time that bears a zone by the lab's clock; other text as it is.

    >>> plain_moment("2026-03-31T12:05Z", Custom(zone=zoneinfo.ZoneInfo("Europe/Berlin")))
    '2026-03-31 14:05:00'
    """
    if custom is None or custom.zone is None:
        return text
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return text
        return moment.astimezone(custom.zone).replace(tzinfo=None).isoformat(" ")
    except (ValueError, OverflowError):
        return text


def zone_doubt(moment: dt.datetime, custom: Custom) -> str:
    """Return what is doubtful about a moment by the lab's clock: that it came twice that night, or never.

    >>> zone_doubt(dt.datetime(2026, 10, 25, 2, 30), Custom(zone=zoneinfo.ZoneInfo("Europe/Berlin")))
    'came twice that day, at UTC+02:00 and at UTC+01:00, and the table does not tell them apart'
    """
    if custom.zone is None:
        return ""
    try:
        first, second = (moment.replace(tzinfo=custom.zone, fold=fold) for fold in (0, 1))
        offsets = [_offset_text(first), _offset_text(second)]
        if offsets[0] == offsets[1]:
            return ""
        there = first.astimezone(dt.UTC).astimezone(custom.zone).replace(tzinfo=None)
    except OverflowError:
        return ""
    if there != moment:
        return say("never came: the clocks were put forward over it that day")
    return say(
        "came twice that day, at {one} and at {other}, and the table does not tell them apart",
        one=offsets[0],
        other=offsets[1],
    )


def zone_name(moment: dt.datetime) -> str:
    """Return by whose clock a moment is told: the name of its zone, or its offset.

    >>> zone_name(dt.datetime(2026, 3, 31, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")))
    'Europe/Berlin'
    >>> zone_name(dt.datetime(2026, 3, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))))
    'UTC+02:00'
    """
    return getattr(moment.tzinfo, "key", "") or _offset_text(moment)


def time_told(moment: dt.datetime) -> str:
    """Return the time of a moment in its zone, with its day unless that is today."""
    is_today = moment.date() == dt.datetime.now(moment.tzinfo).date()
    return f"{moment:%H:%M:%S}" if is_today else f"{moment:%Y-%m-%d %H:%M:%S}"


def _offset_text(moment: dt.datetime) -> str:
    text = moment.isoformat()[-6:]
    return f"UTC{text}"
