"""What a visitor types to filter a column, as a condition for the database and as Python.

The text of a filter is what stands in the address, so that it can be read, mailed and typed:

===========  =================================================================================
column       filters
===========  =================================================================================
text         ``abc`` contains, ``=abc`` is, ``^abc`` begins with, ``!abc`` does not contain,
             ``"…"`` contains just what is between the quotes
number       as a form reads it: ``5``  ``!=5``  ``>5``  ``>=5``  ``<5``  ``<=5``  ``5..9``  ``5..``  ``..9``
date, time   as numbers; ``2026``, ``2026-03`` and a day as a form reads it stand for the whole of it; ``today``
choice       the word, or ``!=`` and the word
UUID         its first digits
all          ``is empty``, ``is filled``
===========  =================================================================================

Its words are English there, so that an address means the same to everybody; `plain_filter` takes them in the language
of the visitor, and `said_filter` says them in it. What is typed becomes values that are bound, never part of a statement.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dj_panel.apps.fields import complaint
from dj_panel.apps.typed import Custom, plain_number
from dj_panel.apps.typed_times import plain_days
from dj_panel.core.algebra import AllOf, AnyOf, Comparison, Condition, Negation, Ordering, TextMatch
from dj_panel.core.columntypes import DatetimeType
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.sqltext import parse_text
from dj_panel.core.structure import Attribute
from dj_panel.core.words import marked, say

__all__ = [
    "EMPTY", "FILLED", "Filter", "FilterError", "FilterKind", "filter_kind", "parse_filter", "plain_filter", "said_filter"
]  # fmt: skip

FilterKind = Literal["text", "json", "number", "moment", "time", "yes-no", "choice", "uuid", "presence"]
Operator = Literal["<", "<=", ">", ">="]

EMPTY, FILLED = marked("is empty"), marked("is filled")
_TODAY, _YESTERDAY = marked("today"), marked("yesterday")
_COMPARISON = re.compile(r"(!=|<=|>=|<|>|=)?\s*(.*)\Z", re.DOTALL)
_DAY = dt.timedelta(days=1)


class FilterError(ValueError):
    """A filter that cannot be understood; the message says why, and what can be typed."""


@dataclass(frozen=True)
class Filter:
    """One column's filter.

    Parameters
    ----------
    condition
        For the database.
    python
        The restriction that means the same, as Python.
    equals
        The value, as Python, if the filter only asks for it; such filters of several columns make one dict.
    """

    condition: Condition
    python: str
    equals: str | None = None


def filter_kind(attribute: Attribute) -> FilterKind:
    """Return which filters an attribute takes.

    >>> filter_kind(Attribute("weight", "decimal(5,2)")), filter_kind(Attribute("trace", "<blob>", "bytes"))
    ('number', 'presence')
    """
    kind = attribute.column_type.kind
    if attribute.codec is not None or kind == "bytes":
        return "presence"
    kinds: dict[str, FilterKind] = {
        "integer": "number", "float": "number", "decimal": "number", "boolean": "yes-no", "enum": "choice",
        "date": "moment", "datetime": "moment", "time": "time", "uuid": "uuid", "json": "json",
    }  # fmt: skip
    return kinds.get(kind, "text")


def parse_filter(
    attribute: Attribute,
    text: str,
    custom: Custom | None = None,
    *,
    today: Callable[[], dt.date] = dt.date.today,
) -> Filter | None:
    """Return the filter that a visitor typed, or ``None`` if nothing was.

    Parameters
    ----------
    attribute
        The column.
    text
        As typed.
    custom
        How the lab writes numbers.
    today
        What ``today`` means.

    Raises
    ------
    FilterError
        If it cannot be understood.

    Examples
    --------
    >>> parse_filter(Attribute("age", "int16"), ">5").python
    "'age > 5'"
    """
    typed = text.strip()
    if not typed:
        return None
    kind = filter_kind(attribute)
    if typed.lower() in (EMPTY, FILLED):
        return _presence(attribute, kind, is_empty=typed.lower() == EMPTY)
    if kind == "presence":
        raise FilterError(
            say(
                "This column can only be asked whether it {empty} or {filled}.",
                empty=say(EMPTY),
                filled=say(FILLED),
            )
        )
    if kind in ("text", "json"):
        # After "=", every space counts.
        return _text(attribute, text if text.startswith("=") else typed, kind)
    if kind == "uuid":
        return _uuid(attribute, typed)
    match = _COMPARISON.match(typed)
    sign, rest = (match[1] or "=", match[2].strip()) if match else ("=", typed)
    if not rest:
        raise FilterError(say("A value is missing after {sign}", sign=sign))
    if kind == "moment":
        return _moment(attribute, sign, rest, today())
    if kind == "number":
        return _number(attribute, sign, rest, custom)
    if sign not in ("=", "!="):
        raise FilterError(say("Here only = and != are possible."))
    return _equal(attribute, _value(attribute, rest), negated=sign == "!=")


# ------------------------------------------------------------------ the words of languages
def plain_filter(attribute: Attribute, text: str) -> str:
    """Return a filter as it stands in the address: with English words, in whatever language they were typed."""
    return _translated(attribute, text, lambda word: (say(word).lower(), word))


def said_filter(attribute: Attribute, text: str) -> str:
    """Return a filter of the address with its words in the language of the visitor."""
    return _translated(attribute, text, lambda word: (word, say(word)))


def _translated(attribute: Attribute, text: str, pair: Callable[[str], tuple[str, str]]) -> str:
    whole = dict(map(pair, (EMPTY, FILLED))).get(" ".join(text.lower().split()))
    if whole is not None:
        return whole
    if filter_kind(attribute) != "moment":
        return text
    days = dict(map(pair, (_TODAY, _YESTERDAY)))
    return re.sub(r"[^\W\d_]+", lambda word: days.get(word[0].lower(), word[0]), text)


# ------------------------------------------------------------------ empty or not
def _presence(attribute: Attribute, kind: FilterKind, *, is_empty: bool) -> Filter:
    name = attribute.name
    nothing: Condition = Comparison(name, None)
    python = f"{{{name!r}: None}}"
    if kind == "text":
        # To whoever looks at the table, a text of no letters is as empty as no text.
        nothing = AnyOf((nothing, Comparison(name, "")))
        python = f"[{python}, {{{name!r}: ''}}]"
    if is_empty:
        return Filter(nothing, python)
    return Filter(Negation(nothing), f"dj.Not({python})")


# ------------------------------------------------------------------ texts
def _text(attribute: Attribute, typed: str, kind: FilterKind) -> Filter:
    name = attribute.name
    sign = typed[0] if typed[0] in "=^!" else ""
    rest = typed[len(sign) :]
    if sign == "=" and kind == "text":
        return _equal(attribute, rest, negated=False)
    if sign == "!" and rest.startswith("=") and kind == "text":
        return _equal(attribute, rest[1:], negated=True)
    if len(rest) >= 2 and rest[0] == rest[-1] == '"':
        rest = rest[1:-1]
    if not rest:
        after = say("A text is missing after {sign}", sign=sign) if sign else ""
        raise FilterError(after or say("A text is missing after the quote"))
    position = f"instr(lower({_plain(name)}), lower({_sql_word(rest)}))"
    if sign == "^":
        return Filter(TextMatch(name, rest, at_start=True), repr(f"{position} = 1"))
    condition, python = TextMatch(name, rest), repr(f"{position} > 0")
    if sign == "!":
        return Filter(Negation(condition), f"dj.Not({python})")
    return Filter(condition, python)


def _uuid(attribute: Attribute, typed: str) -> Filter:
    sign = "!=" if typed.startswith("!=") else "=" if typed.startswith("=") else ""
    rest = typed[len(sign) :].strip()
    digits = rest.replace("-", "").strip("{}").lower()
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise FilterError(say("A UUID has hexadecimal digits only, for example 3f2a or 3f2a-…"))
    if len(digits) == 32 or sign:
        return _equal(attribute, _value(attribute, rest), negated=sign == "!=")
    python = f"instr(lower(hex({_plain(attribute.name)})), {_sql_word(digits)}) = 1"
    return Filter(TextMatch(attribute.name, digits, at_start=True), repr(python))


def _sql_word(text: str) -> str:
    """Return a text as a quoted word of a restriction written by hand."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


# ------------------------------------------------------------------ values
def _value(attribute: Attribute, text: str) -> Any:
    try:
        return attribute.column_type.parse(text)
    except ValueError as error:
        raise FilterError(f"{text} {error}") from error


def _python_value(attribute: Attribute, value: Any) -> str:
    if isinstance(value, bool | int | float | str):
        return repr(value)
    return repr(attribute.column_type.format(value))


def _sql_value(attribute: Attribute, value: Any) -> str:
    if filter_kind(attribute) == "number":
        return str(value)
    return _sql_word(attribute.column_type.format(value))


def _equal(attribute: Attribute, value: Any, *, negated: bool) -> Filter:
    condition = Comparison(attribute.name, value)
    shown = _python_value(attribute, value)
    python = f"{{{attribute.name!r}: {shown}}}"
    if negated:
        return Filter(Negation(condition), f"dj.Not({python})")
    return Filter(condition, python, shown)


def _between(attribute: Attribute, bounds: list[tuple[Operator, Any]]) -> Filter:
    conditions = tuple(Ordering(attribute.name, sign, value) for sign, value in bounds)
    name = _plain(attribute.name)
    text = " and ".join(f"{name} {sign} {_sql_value(attribute, value)}" for sign, value in bounds)
    condition = conditions[0] if len(conditions) == 1 else AllOf(conditions)
    return Filter(condition, repr(text))


def _plain(name: str) -> str:
    """Return a name as it may stand in a restriction: in quotes only where SQL would read it otherwise."""
    try:
        is_plain = parse_text(f"{name} > 0", "mysql").attributes == (name,)
    except QuerySyntaxError:
        is_plain = False
    return name if is_plain else f"`{name}`"


def _typed_number(attribute: Attribute, text: str, custom: Custom | None) -> Any:
    """Return a number as it is read in a form."""
    try:
        plain = plain_number(text, custom, is_whole=attribute.column_type.kind == "integer")
        return attribute.column_type.parse(plain)
    except ValueError as error:
        raise FilterError(complaint(text, str(error))) from error


def _number(attribute: Attribute, sign: str, rest: str, custom: Custom | None) -> Filter:
    if ".." in rest and sign == "=":
        low, _, high = (part.strip() for part in rest.partition(".."))
        ends: list[tuple[Operator, Any]] = []
        if low:
            ends.append((">=", _typed_number(attribute, low, custom)))
        if high:
            ends.append(("<=", _typed_number(attribute, high, custom)))
        return _between(attribute, _in_order(ends))
    value = _typed_number(attribute, rest, custom)
    if sign in ("=", "!="):
        return _equal(attribute, value, negated=sign == "!=")
    return _between(attribute, [(sign, value)])  # type: ignore[list-item]


def _in_order(ends: list[tuple[Operator, Any]]) -> list[tuple[Operator, Any]]:
    if not ends:
        raise FilterError(say("A range needs at least one end, as in 5.. or ..9"))
    if len(ends) == 2 and ends[0][1] > ends[1][1]:
        raise FilterError(say("The range ends before it begins."))
    return ends


# ------------------------------------------------------------------ dates and times
def _moment(attribute: Attribute, sign: str, rest: str, today: dt.date) -> Filter:
    if ".." in rest and sign == "=":
        low, _, high = (part.strip() for part in rest.partition(".."))
        ends: list[tuple[Operator, Any]] = []
        if low:
            ends.append((">=", _period(attribute, low, today)[0]))
        if high:
            ends.append(("<", _period(attribute, high, today)[1]))
        return _between(attribute, _in_order(ends))
    start, stop = _period(attribute, rest, today)
    exact = stop - start == _step(attribute)
    if sign in ("=", "!="):
        if exact:
            return _equal(attribute, start, negated=sign == "!=")
        whole = _between(attribute, [(">=", start), ("<", stop)])
        return whole if sign == "=" else Filter(Negation(whole.condition), f"dj.Not({whole.python})")
    bounds: dict[str, tuple[Operator, Any]] = {
        ">": (">=", stop), ">=": (">=", start), "<": ("<", start), "<=": ("<", stop)
    }  # fmt: skip
    return _between(attribute, [bounds[sign]])


def _step(attribute: Attribute) -> dt.timedelta:
    column = attribute.column_type
    if not isinstance(column, DatetimeType):
        return _DAY
    return dt.timedelta(microseconds=10 ** (6 - column.digits))


def _period(attribute: Attribute, text: str, today: dt.date) -> tuple[Any, Any]:
    """Return the beginning of a year, month, day, minute, second or moment, and the end just after it."""
    try:
        text = plain_days(text)
    except ValueError as error:
        raise FilterError(complaint(text, str(error))) from error
    try:
        start, stop = _days(text, today) or _clock(attribute, text)
    except (ValueError, OverflowError):
        if isinstance(attribute.column_type, DatetimeType):
            words = say(
                "{text} is not a date; write it like 2026, 2026-03 or 2026-03-05 or 2026-03-05 14:30",
                text=text,
            )
        else:
            words = say("{text} is not a date; write it like 2026, 2026-03 or 2026-03-05", text=text)
        raise FilterError(words) from None
    if isinstance(attribute.column_type, DatetimeType):
        return start, stop
    if start.time() != dt.time() or stop.time() != dt.time():
        raise FilterError(say("{text} has a time of day, and this column holds only dates.", text=text))
    return start.date(), stop.date()


def _days(text: str, today: dt.date) -> tuple[dt.datetime, dt.datetime] | None:
    day = {_TODAY: today, _YESTERDAY: today - _DAY}.get(text.lower())
    match = re.fullmatch(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?))?)?", text)
    if day is None and match is None:
        return None
    if day is not None or (match and match[3]):
        first = day or dt.date(*(int(part) for part in match.groups()))  # type: ignore[union-attr]
        last = first + _DAY
    elif match and match[2]:
        year, month = int(match[1]), int(match[2])
        first, last = dt.date(year, month, 1), dt.date(year + month // 12, month % 12 + 1, 1)
    else:
        assert match is not None
        first, last = dt.date(int(match[1]), 1, 1), dt.date(int(match[1]) + 1, 1, 1)
    return dt.datetime.combine(first, dt.time()), dt.datetime.combine(last, dt.time())


def _clock(attribute: Attribute, text: str) -> tuple[dt.datetime, dt.datetime]:
    match = re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", text)
    if match is None:
        raise ValueError(text)
    start = dt.datetime.fromisoformat(text)
    if match[1] is None:
        return start, start + dt.timedelta(minutes=1)
    return start, start + (_step(attribute) if match[2] else dt.timedelta(seconds=1))
