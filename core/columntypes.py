"""The kinds of column: which values each admits, and how a person types them.

Checks are made here, in Python, and not left to the servers, because the servers differ: what one refuses
another rounds, cuts or stores. The same value is admitted or refused whichever database is behind.

Source: DataJoint 2.3, `reference/specs/type-system`; MySQL 8.0 manual, chapter 11.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import struct
import uuid
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, ClassVar

from dj_panel.core.lazy import np
from dj_panel.core.words import say

# wide enough for every decimal of a server (65 digits), where Python's own context rounds to 28
_EXACT = Context(prec=200)

__all__ = [
    "BooleanType",
    "BytesType",
    "ColumnType",
    "DateType",
    "DatetimeType",
    "DecimalType",
    "EnumType",
    "FloatType",
    "IntegerType",
    "JsonType",
    "TextType",
    "TimeTexts",
    "TimeType",
    "UuidType",
]


# Classes that add no field are no dataclasses of their own: making one takes a millisecond of each program's start.
@dataclass(frozen=True)
class ColumnType:
    """What a column may hold.

    Parameters
    ----------
    text
        The type as written in the definition.
    name
        Its first word in lower case: ``"varchar"`` of ``varchar(16)``.
    """

    text: str
    name: str
    kind: ClassVar[str] = "other"

    def check(self, value: Any) -> Any:
        """Return the value as it is stored, in its Python form.

        Raises
        ------
        ValueError
            With the reason as a clause (``"is longer than 8 characters"``), if it does not fit.
        """
        return value

    def parse(self, text: str) -> Any:
        """Return the value that a person means by this text; raise ``ValueError`` as :meth:`check` does."""
        return self.check(text)

    def format(self, value: Any) -> str:
        """Return the text from which :meth:`parse` gives this value again."""
        return str(value)


def _plain_number(text: str) -> str:
    """Return the text of a number; refuse a decimal comma rather than guess what it means."""
    text = text.strip().replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", "")
    if "," in text:
        raise ValueError(say("has a comma; write the decimal point as '.', and no thousands separators"))
    return text


@dataclass(frozen=True)
class IntegerType(ColumnType):
    """Whole numbers from ``low`` to ``high``."""

    low: int = 0
    high: int = 0
    kind: ClassVar[str] = "integer"

    def check(self, value: Any) -> int:
        if isinstance(value, str):
            text = _plain_number(value)
            if not re.fullmatch(r"[+-]?\d+", text):
                raise ValueError(say("is not a whole number"))
            number = int(text)
        elif isinstance(value, (bool, np.bool_, int, np.integer)):
            number = int(value)
        elif isinstance(value, (float, np.floating, Decimal)):
            if not math.isfinite(value) or value != int(value):
                raise ValueError(say("is not a whole number"))
            number = int(value)
        else:
            raise ValueError(say("is not a whole number"))
        if not self.low <= number <= self.high:
            raise ValueError(say("is outside {low} … {high}", low=str(self.low), high=str(self.high)))
        return number


class BooleanType(ColumnType):
    """True or false; stored, and fetched, as 1 or 0."""

    kind: ClassVar[str] = "boolean"
    _WORDS: ClassVar[dict[str, int]] = {
        "true": 1, "yes": 1, "1": 1, "on": 1, "t": 1, "y": 1,
        "false": 0, "no": 0, "0": 0, "off": 0, "f": 0, "n": 0,
    }  # fmt: skip

    def check(self, value: Any) -> int:
        if isinstance(value, str):
            word = value.strip().lower()
            if word not in self._WORDS:
                raise ValueError(say("is neither true nor false"))
            return self._WORDS[word]
        if isinstance(value, (bool, np.bool_, int, np.integer, float, np.floating)) and value in (0, 1):
            return int(value)
        raise ValueError(say("is neither true nor false"))

    def format(self, value: Any) -> str:
        return "true" if value else "false"


@dataclass(frozen=True)
class FloatType(ColumnType):
    """Binary floating point of 4 or 8 bytes; finite numbers only, because MySQL stores no others."""

    size_bytes: int = 8
    unsigned: bool = False
    kind: ClassVar[str] = "float"

    def check(self, value: Any) -> float:
        if isinstance(value, str):
            text = _plain_number(value).replace("_", "x")
            try:
                number = float(text)
            except ValueError as error:
                raise ValueError(say("is not a number")) from error
        elif isinstance(value, (int, float, np.number, np.bool_, Decimal)) and not isinstance(
            value, np.complexfloating
        ):
            try:
                number = float(value)
            except OverflowError as error:
                raise ValueError(say("is too large for this type")) from error
        else:
            raise ValueError(say("is not a number"))
        if not math.isfinite(number):
            raise ValueError(
                say("is not a finite number, and the database stores no other; leave it empty instead")
            )
        if self.unsigned and number < 0:
            raise ValueError(say("is negative"))
        if self.size_bytes == 4:
            try:
                number = float(struct.unpack("<f", struct.pack("<f", number))[0])
            except OverflowError as error:
                raise ValueError(say("is too large for float32 (about 3.4e38)")) from error
        return number

    def format(self, value: Any) -> str:
        return str(np.float32(value)) if self.size_bytes == 4 else repr(float(value))


@dataclass(frozen=True)
class DecimalType(ColumnType):
    """Exact decimals of ``precision`` digits, ``scale`` of them after the point."""

    precision: int = 10
    scale: int = 0
    unsigned: bool = False
    kind: ClassVar[str] = "decimal"

    def check(self, value: Any) -> Decimal:
        approximate = isinstance(value, (float, np.floating))
        if isinstance(value, str):
            value = _plain_number(value)
        if isinstance(value, np.generic):
            value = value.item()
        if not isinstance(value, (str, int, float, Decimal)):
            raise ValueError(say("is not a number"))
        try:
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        except InvalidOperation as error:
            raise ValueError(say("is not a number")) from error
        if not number.is_finite():
            raise ValueError(say("is not a finite number"))
        if abs(number.adjusted()) > 80 and number:
            raise ValueError(say("does not fit {text}", text=self.text))
        rounded = number.quantize(Decimal(1).scaleb(-self.scale), ROUND_HALF_UP, _EXACT)
        # A float has no decimal digits of its own to lose; a person or a Decimal does.
        if rounded != number and not approximate:
            raise ValueError(say("has more than {n} digits after the point", n=str(self.scale)))
        if rounded.copy_abs() >= Decimal(10) ** (self.precision - self.scale):
            raise ValueError(
                say("has more than {n} digits before the point", n=str(self.precision - self.scale))
            )
        if self.unsigned and rounded < 0:
            raise ValueError(say("is negative"))
        return rounded if rounded else rounded.copy_abs()


@dataclass(frozen=True)
class TextType(ColumnType):
    """Text of at most ``length`` characters (``None``: as much as the server takes)."""

    length: int | None = None
    kind: ClassVar[str] = "text"

    def check(self, value: Any) -> str:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (bool, int, float, Decimal)):
            value = str(value)
        if not isinstance(value, str):
            raise ValueError(say("is not text"))
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(say("holds half a character (an unpaired surrogate)")) from error
        if self.length is not None and len(value) > self.length:
            raise ValueError(
                say(
                    "is longer than {length} characters (it has {n})",
                    length=str(self.length),
                    n=str(len(value)),
                )
            )
        if self.name == "char" and value.endswith(" "):
            raise ValueError(say("ends with a space, which the type char does not keep"))
        return value


@dataclass(frozen=True)
class EnumType(ColumnType):
    """One of a fixed list of words, exactly as written in the definition."""

    choices: tuple[str, ...] = ()
    kind: ClassVar[str] = "enum"

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise ValueError(say("is not one of {choices}", choices=", ".join(map(repr, self.choices))))
        return str(value)


class DateType(ColumnType):
    """A day."""

    kind: ClassVar[str] = "date"

    def check(self, value: Any) -> dt.date:
        if isinstance(value, np.datetime64):
            value = _from_datetime64(value)
        if isinstance(value, str):
            try:
                value = dt.datetime.fromisoformat(value.strip())
            except ValueError as error:
                raise ValueError(
                    say("is not a date; write it as YYYY-MM-DD, for example 2026-03-31")
                ) from error
        if isinstance(value, dt.datetime):
            if value.time() != dt.time() or value.tzinfo is not None:
                raise ValueError(say("has a time of day, and the attribute holds only a date"))
            value = value.date()
        if not isinstance(value, dt.date) or value.year < 1:
            raise ValueError(say("is not a date"))
        return value

    def format(self, value: Any) -> str:
        return str(value.isoformat())


@dataclass(frozen=True)
class DatetimeType(ColumnType):
    """A date and a time of day without a zone, to ``digits`` digits of the second; more are cut off."""

    digits: int = 0
    kind: ClassVar[str] = "datetime"

    def check(self, value: Any) -> dt.datetime:
        if isinstance(value, np.datetime64):
            value = _from_datetime64(value)
        if isinstance(value, str):
            try:
                value = dt.datetime.fromisoformat(value.strip())
            except ValueError as error:
                raise ValueError(
                    say(
                        "is not a date and time; write it as YYYY-MM-DD HH:MM:SS, for example 2026-03-31 "
                        "14:05:00"
                    )
                ) from error
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value, dt.time())
        if not isinstance(value, dt.datetime):
            raise ValueError(say("is not a date and time"))
        if value.tzinfo is not None:
            raise ValueError(
                say("has a time zone, and the attribute keeps none; convert it first and drop the zone")
            )
        step = 10 ** (6 - self.digits)
        return dt.datetime(
            value.year, value.month, value.day, value.hour, value.minute, value.second,
            value.microsecond // step * step, fold=0,
        )  # fmt: skip

    def format(self, value: Any) -> str:
        text: str = value.isoformat(" ", "seconds")
        return text + (f".{value.microsecond:06d}"[: self.digits + 1] if self.digits else "")


class TimeTexts(list[str]):
    """Times of a column that keeps no fraction, written out alike: ``2026-03-31 14:05:00``.

    The form is a promise to servers that read a number, 20260331140500, sooner than a text.
    """


@dataclass(frozen=True)
class TimeType(ColumnType):
    """A time of day or a duration (the native type ``time``), as a ``timedelta``."""

    digits: int = 0
    kind: ClassVar[str] = "time"

    def check(self, value: Any) -> dt.timedelta:
        if isinstance(value, str):
            match = re.fullmatch(r"(-?)(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?", value.strip())
            if not match:
                raise ValueError(say("is not a time; write it as HH:MM:SS"))
            sign, hours, minutes, seconds, fraction = match.groups()
            span = dt.timedelta(
                hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0),
                microseconds=int((fraction or "0").ljust(6, "0")),
            )  # fmt: skip
            value = -span if sign else span
        if isinstance(value, dt.time):
            value = dt.timedelta(
                hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
            )
        if not isinstance(value, dt.timedelta):
            raise ValueError(say("is not a time"))
        if abs(value) >= dt.timedelta(hours=839):
            raise ValueError(say("is outside -838:59:59 … 838:59:59"))
        step = dt.timedelta(microseconds=10 ** (6 - self.digits))
        return value // step * step if value >= dt.timedelta() else -(-value // step * step)

    def format(self, value: Any) -> str:
        total = abs(value)
        seconds = total.days * 86400 + total.seconds
        text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        text += f".{total.microseconds:06d}"[: self.digits + 1] if self.digits else ""
        return "-" + text if value < dt.timedelta() else text


class UuidType(ColumnType):
    """A universally unique identifier, stored as its 16 bytes."""

    kind: ClassVar[str] = "uuid"

    def check(self, value: Any) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value
        try:
            if isinstance(value, bytes):
                return uuid.UUID(bytes=value)
            if isinstance(value, str):
                return uuid.UUID(value.strip())
        except ValueError as error:
            raise ValueError(say("is not a UUID (32 hexadecimal digits)")) from error
        raise ValueError(say("is not a UUID"))


class JsonType(ColumnType):
    """A JSON document."""

    kind: ClassVar[str] = "json"

    def check(self, value: Any) -> Any:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(say("cannot be written as JSON ({error})", error=error)) from error
        return value

    def parse(self, text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            place = say(
                "look at line {line}, character {character}", line=error.lineno, character=error.colno
            )
            raise ValueError(say("is not valid JSON ({error})", error=place)) from error
        except ValueError as error:
            raise ValueError(say("is not valid JSON ({error})", error=error)) from error

    def format(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class BytesType(ColumnType):
    """Bytes: a native blob or binary column, of at most ``length`` bytes where that is limited."""

    length: int | None = None
    kind: ClassVar[str] = "bytes"

    def check(self, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise ValueError(
                say("is not bytes; an array or a Python object wants the type {codec}", codec="<blob>")
            )
        data = bytes(value)
        if self.length is not None and len(data) > self.length:
            raise ValueError(
                say("is longer than {length} bytes (it has {n})", length=str(self.length), n=str(len(data)))
            )
        return data

    def parse(self, text: str) -> bytes:
        try:
            return self.check(bytes.fromhex(text))
        except ValueError as error:
            raise ValueError(say("is not hexadecimal") if "fromhex" in str(error) else str(error)) from error

    def format(self, value: Any) -> str:
        return bytes(value).hex()


def _refuse_constant(name: str) -> Any:
    raise ValueError(say("{name} is not JSON", name=name))


def _from_datetime64(value: np.datetime64) -> dt.datetime:
    if np.isnat(value):
        raise ValueError(say("is not a time (NaT)"))
    converted = value.astype("datetime64[us]").item()
    if not isinstance(converted, dt.datetime):
        raise ValueError(say("is outside the years 1 … 9999"))
    return converted
