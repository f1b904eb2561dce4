"""Which types a definition may be written with: their arguments, and the words behind them.

:func:`~dj_panel.core.coretypes.parse_type` reads whatever a server's catalog shows. What somebody *writes* is
checked here before, so that it is refused alike on every server, with what to write instead.

Source: DataJoint 2.3, `reference/specs/type-system`; MySQL 8.0 manual, chapter 11.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

from dj_panel.core.columntypes import ColumnType, DatetimeType
from dj_panel.core.coretypes import enum_choices
from dj_panel.core.errors import did_you_mean

__all__ = ["SERVER_VALUE", "check_default", "check_written_type"]

SERVER_VALUE = re.compile(r"CURRENT_TIMESTAMP(?:\s*\(\s*[0-6]?\s*\))?", re.IGNORECASE)
"""A default that the server computes."""

_PARTS = re.compile(r"([A-Za-z_]\w*)\s*(\([^()]*\))?\s*(.*)", re.DOTALL)
_CHOICES = re.compile(r"enum\s*\((?:[^'\"\\()]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")*\)", re.I | re.DOTALL)
_LONGEST_CHOICE, _MOST_CHOICES = 255, 65_535

_OF_WHOLE = ("unsigned", "zerofill", "auto_increment")
_OF_NUMBERS = ("unsigned", "zerofill")


class _Form(NamedTuple):
    """How a type is written."""

    counts: tuple[int, ...] = (0,)
    """How many numbers may stand in its parentheses."""
    words: tuple[str, ...] = ()
    """What may follow."""
    example: str = ""


_FORMS: dict[str, _Form] = {
    **dict.fromkeys(["int8", "int16", "int32", "int64"], _Form(words=("auto_increment",))),
    **dict.fromkeys(["float32", "float64", "bool", "uuid", "json", "bytes", "date"], _Form()),
    "datetime": _Form((0, 1), example="datetime or datetime(3)"),
    "char": _Form((1,), example="char(8)"),
    "varchar": _Form((1,), example="varchar(255)"),
    "enum": _Form(example="enum('left', 'right')"),
    "decimal": _Form((0, 1, 2), _OF_NUMBERS, "decimal(6, 2)"),
    **dict.fromkeys(["numeric", "dec", "fixed"], _Form((0, 1, 2), _OF_NUMBERS, "decimal(6, 2)")),
    **dict.fromkeys(["tinyint", "smallint", "mediumint", "int", "integer", "bigint"], _Form((0, 1), _OF_WHOLE)),
    "float": _Form((0, 1, 2), _OF_NUMBERS, "float32"),
    **dict.fromkeys(["double", "real"], _Form((0, 2), _OF_NUMBERS, "float64")),
    **dict.fromkeys(["timestamp", "time"], _Form((0, 1), example="time or time(3)")),
    "year": _Form((0, 1), example="year"),
    **dict.fromkeys([size + kind for kind in ("text", "blob") for size in ("tiny", "", "medium", "long")], _Form()),
    "binary": _Form((0, 1), example="binary(16)"),
    "varbinary": _Form((1,), example="varbinary(255)"),
}  # fmt: skip

# What is meant by types that no definition has, and by words of SQL behind one that has its own place for them.
_MEANT = {
    "boolean": "bool", "string": "varchar(255)", "str": "varchar(255)", "character": "char(8)", "nchar": "char(8)",
    "nvarchar": "varchar(255)", "serial": "bigint unsigned auto_increment", "bit": "bool or int8",
    "jsonb": "json", "set": "a part table with a row for each word", "number": "float64 or decimal(10, 2)",
    "bigserial": "bigint unsigned auto_increment", "guid": "uuid", "object": "<object@>", "array": "<blob>",
}  # fmt: skip
_ELSEWHERE = {
    "null": "write = null before the colon",
    "not": "an attribute needs a value unless its default is null",
    "default": "write the default before the colon: name = default : type",
    "unique": "write unique index (name) in a line of its own",
    "primary": "attributes above the line --- are the primary key",
    "comment": "write the comment after a # at the end",
    "references": "write a foreign key as -> Parent in a line of its own",
}
_NATIVE = {"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint"}


def check_written_type(text: str) -> None:
    """Refuse a type that no definition may have.

    Raises
    ------
    ValueError
        With the reason, and what to write instead, as sentences.

    Examples
    --------
    >>> check_written_type("varchar")
    Traceback (most recent call last):
    ValueError: varchar needs a length in parentheses. Write varchar(255), for example.
    """
    match = _PARTS.fullmatch(text)
    name = match[1].lower() if match else ""
    form = _FORMS.get(name)
    if match is None or form is None:
        meant = f" Write {_MEANT[name]}." if name in _MEANT else did_you_mean(name, _FORMS)
        raise ValueError(f"'{text}' is not a type.{meant}")
    if name == "enum":
        _check_choices(text)
        return
    inside = match[2]
    numbers = [] if inside is None else [part.strip() for part in inside[1:-1].split(",")]
    if not all(re.fullmatch(r"[0-9]+", number) for number in numbers) or len(numbers) not in form.counts:
        raise ValueError(_wrong_count(name, form, inside))
    _check_words(text, name, form, match[3].lower().split())
    reason = _out_of_range(name, [int(number) for number in numbers])
    if reason:
        raise ValueError(f"{text}: {reason}")


def _wrong_count(name: str, form: _Form, inside: str | None) -> str:
    if form.counts == (0,):
        return f"{name} takes nothing in parentheses. Write {name}."
    if inside is None:
        return f"{name} needs a length in parentheses. Write {form.example}, for example."
    return f"{name}{inside} has something else than {name} takes in parentheses. Write {form.example or name}, for example."


def _check_words(text: str, name: str, form: _Form, words: list[str]) -> None:
    for word in words:
        if word in form.words and words.count(word) == 1:
            continue
        plain = word.strip("(),;")
        if word in _OF_NUMBERS and name in _NATIVE:
            hint = f"core types have a sign; a wider one holds as much, and {_NATIVE[name]} {word} is a native type"
        elif plain in _ELSEWHERE:
            hint = _ELSEWHERE[plain]
        elif f"{name}{word}" in _FORMS:
            hint = f"did you mean {name}{word}?"
        elif plain.isdigit() and 1 in form.counts:
            hint = f"did you mean {name}({plain})?"
        elif form.words:
            hint = f"only {', '.join(form.words)} may"
        else:
            hint = "nothing may; a comment begins with #"
        raise ValueError(f"'{text}' is not a type: '{word}' cannot follow {name} ({hint}).")


def _check_choices(text: str) -> None:
    if "(" not in text:
        raise ValueError("enum needs its choices in parentheses. Write enum('left', 'right'), for example.")
    choices = enum_choices(text)
    if not _CHOICES.fullmatch(text) or re.search(r",\s*\)$", text):
        raise ValueError(
            f"{text} has something else than choices in parentheses. Write enum('left', 'right'), for example."
        )
    longest = max(choices, key=len)
    if len(longest) > _LONGEST_CHOICE:
        raise ValueError(
            f"the choice '{longest[:20]}…' has {len(longest)} characters, and {_LONGEST_CHOICE} is the most"
        )
    if len(choices) > _MOST_CHOICES:
        raise ValueError(f"an enum has at most {_MOST_CHOICES} choices; better refer to a Lookup table")


def _out_of_range(name: str, numbers: list[int]) -> str:
    first, second = [*numbers, 0, 0][:2]
    if name in ("char", "binary") and numbers and not 1 <= first <= 255:
        return "the length must be from 1 to 255." + (f" Write var{name}({first})." if first else "")
    if name == "varchar" and not 1 <= first <= 16_383:
        return "the length must be from 1 to 16383. For longer text use the native type text, or <attach>."
    if name == "varbinary" and not 1 <= first <= 65_532:
        return "the length must be from 1 to 65532. Write bytes for more."
    if name in ("decimal", "numeric", "dec", "fixed") and numbers:
        if not 1 <= first <= 65:
            return "a decimal has from 1 to 65 digits."
        if second > min(first, 30):
            return f"the digits after the point cannot be more than {min(first, 30)}."
    if name in ("datetime", "timestamp", "time") and first > 6:
        return "at most 6 digits of a second can be kept."
    if name == "year" and numbers and first != 4:
        return "a year has 4 digits. Write year."
    if name == "float" and len(numbers) == 1 and first > 53:
        return "a floating-point number has at most 53 bits. Write float64."
    if (
        name in ("float", "double", "real")
        and len(numbers) == 2
        and not (1 <= first <= 255 and second <= min(first, 30))
    ):
        return f"the digits after the point cannot be more than {min(first, 30)}, nor all more than 255."
    if name.endswith("int") or name == "integer":
        return "a width is at most 255, and means nothing: leave it out." if first > 255 else ""
    return ""


def check_default(column: ColumnType, default: str) -> None:
    """Refuse a default that the column could not hold.

    Raises
    ------
    ValueError
        With the reason as a clause, as :meth:`ColumnType.check` gives it.
    """
    if re.fullmatch(r"(CURRENT_TIMESTAMP|NOW|CURRENT_DATE|CURDATE|LOCALTIME\w*)\b.*", default.strip(), re.I):
        if column.kind not in ("date", "datetime"):
            raise ValueError(f"is the server's time, which the type {column.text} does not hold")
        if not SERVER_VALUE.fullmatch(default.strip()):
            digits = f"({column.digits})" if isinstance(column, DatetimeType) and column.digits else ""
            raise ValueError(f"is nothing that a server computes; write CURRENT_TIMESTAMP{digits}")
        return
    value = column.check(default)
    if column.name == "timestamp" and not dt.datetime(1970, 1, 2) <= value <= dt.datetime(2038, 1, 18):
        raise ValueError("is outside the years 1970 … 2038 of a timestamp; write datetime for the type")
