"""Numbers as MySQL computes with them, for SQLite: decimals of up to 65 digits, rounding, conversions of text.

A decimal is text. A division keeps more digits than its type shows, as MySQL's does, until the result is rounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any

__all__ = ["NUMBER_FUNCTIONS", "DecimalSum"]

_EXACT = Context(prec=200)
_WORD = 9  # digits in one word of MySQL's decimals
_MORE = 4  # digits that a division adds: div_precision_increment
_FLOAT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_WHOLE = re.compile(r"\s*([-+]?\d+)")
_NUMBER_TYPES = (int, float)


def number_of(value: Any) -> float:
    """Return the number that a text begins with, 0 if it begins with none; a number as it is."""
    if isinstance(value, _NUMBER_TYPES):
        return value
    match = _FLOAT.match(value.decode(errors="replace") if isinstance(value, bytes) else value)
    return float(match[1]) if match else 0.0


def decimal_of(value: Any) -> str:
    """Return the decimal that a text begins with."""
    return _said(_exact(value))


def _exact(value: Any) -> Decimal:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, int):
        return Decimal(value)
    match = _FLOAT.match(value)
    return Decimal(match[1]) if match else Decimal(0)


def _said(number: Decimal) -> str:
    return format(number if number else abs(number), "f")


def _digits(number: Decimal) -> int:
    return max(0, -int(number.as_tuple().exponent))


def _scaled(number: Decimal, scale: int, rounding: str) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-scale), rounding, _EXACT)


def decimal_round(value: Any, scale: int) -> str:
    """Return a decimal with so many digits after the point; of fewer than none, with zeros before it."""
    return _said(_shortened(_exact(value), scale, ROUND_HALF_UP))


def decimal_truncate(value: Any, scale: int) -> str:
    """Return a decimal without the digits that follow."""
    return _said(_shortened(_exact(value), scale, ROUND_DOWN))


def _shortened(number: Decimal, scale: int, rounding: str) -> Decimal:
    short = _scaled(number, scale, rounding)
    return short if scale >= 0 else short.quantize(Decimal(1), context=_EXACT)


def decimal_divide(a: Any, b: Any) -> str | None:
    """Return a quotient with as many digits as MySQL keeps of it: whole words of nine."""
    first, second = _exact(a), _exact(b)
    if not second:
        return None
    words = sum(-(-_digits(n) // _WORD) * _WORD for n in (first, second))
    more = max(0, _MORE - (words - _digits(first) - _digits(second)))
    scale = -(-(words + more) // _WORD) * _WORD
    return _said(_scaled(_EXACT.divide(first, second), scale, ROUND_DOWN))


def decimal_div(a: Any, b: Any) -> int | None:
    """Return the whole quotient: ``DIV``."""
    second = _exact(b)
    return int(_EXACT.divide(_exact(a), second).to_integral_value(ROUND_DOWN)) if second else None


def decimal_mod(a: Any, b: Any) -> str | None:
    """Return what remains, with the sign of the first."""
    second = _exact(b)
    return _said(_EXACT.remainder(_exact(a), second)) if second else None


def decimal_cast(value: Any, precision: int, scale: int) -> str:
    """Return a number as ``DECIMAL(precision, scale)``; the largest there is if it is larger."""
    largest = (Decimal(10) ** precision - 1).scaleb(-scale, _EXACT)
    return _said(max(-largest, min(largest, _scaled(_exact(value), scale, ROUND_HALF_UP))))


def number_round(value: float, scale: int) -> float | int:
    """Return a number rounded: a whole one exactly, a float to the even neighbour."""
    if isinstance(value, int):
        return int(_shortened(Decimal(value), scale, ROUND_HALF_UP)) if scale < 0 else value
    power = 10.0 ** abs(scale)
    shifted = value * power if scale >= 0 else value / power
    return (
        value
        if math.isinf(shifted)
        else float(round(shifted)) / power
        if scale >= 0
        else round(shifted) * power
    )


def number_truncate(value: float, scale: int) -> float | int:
    """Return a number without the digits that follow."""
    if isinstance(value, int):
        return int(_shortened(Decimal(value), scale, ROUND_DOWN)) if scale < 0 else value
    power = 10.0**scale
    return math.trunc(value * power) / power


def whole_of(value: Any, kind: str) -> int:
    """Return a value as a whole number: ``CAST AS SIGNED``; floats go to the even neighbour, texts to their digits.

    Of a negative number there is no ``"unsigned"`` one that SQLite could keep; a negative decimal becomes 0 in MySQL.
    """
    if isinstance(value, float):
        number = round(value)
    elif isinstance(value, int):
        number = value
    else:
        # A day or a time is the number that its digits make.
        moment = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.\d+)?)?", value)
        match = _WHOLE.match(value)
        number = int("".join(p for p in moment.groups() if p)) if moment else int(match[1]) if match else 0
    if kind == "positive":
        return max(0, number)
    if kind == "unsigned" and number < 0:
        raise RuntimeError("a negative number has no unsigned one here")
    return number


def float_text(value: Any) -> Any:
    """Return a float as MySQL writes it: 1 and not 1.0."""
    if not isinstance(value, float):
        return value
    text = repr(value).removesuffix(".0")
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


def hex_of_number(value: Any) -> str:
    """Return a number in hexadecimal digits; a negative one as MySQL's unsigned 64 bits."""
    return f"{int(_scaled(_exact(value), 0, ROUND_HALF_UP)) % 2**64:X}"


def log_of(base: float, value: float) -> float | None:
    """Return the logarithm to a base."""
    return math.log(value) / math.log(base) if value > 0 and base > 0 and base != 1 else None


class DecimalSum:
    """The exact sum of decimals."""

    def __init__(self) -> None:
        self.total: Decimal | None = None

    def step(self, value: Any, /) -> None:
        """Add a value."""
        if value is not None:
            self.total = _EXACT.add(self.total or Decimal(0), _exact(value))

    def finalize(self) -> str | None:
        """Return the sum; nothing of no values."""
        return None if self.total is None else _said(self.total)


NUMBER_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "number_of": (1, number_of),
    "number_round": (2, number_round),
    "number_truncate": (2, number_truncate),
    "truncate": (2, number_truncate),  # in indexes that were made by this name
    "whole_of": (2, whole_of),
    "float_text": (1, float_text),
    "hex_of_number": (1, hex_of_number),
    "log_of": (2, log_of),
    "bits_xor": (2, lambda a, b: whole_of(a, "signed") ^ whole_of(b, "signed")),
    "decimal_of": (1, decimal_of),
    "decimal_round": (2, decimal_round),
    "decimal_truncate": (2, decimal_truncate),
    "decimal_add": (2, lambda a, b: _said(_EXACT.add(_exact(a), _exact(b)))),
    "decimal_subtract": (2, lambda a, b: _said(_EXACT.subtract(_exact(a), _exact(b)))),
    "decimal_multiply": (2, lambda a, b: _said(_EXACT.multiply(_exact(a), _exact(b)))),
    "decimal_divide": (2, decimal_divide),
    "decimal_div": (2, decimal_div),
    "decimal_mod": (2, decimal_mod),
    "decimal_abs": (1, lambda a: _said(abs(_exact(a)))),
    "decimal_ceil": (1, lambda a: int(_exact(a).to_integral_value(ROUND_CEILING))),
    "decimal_floor": (1, lambda a: int(_exact(a).to_integral_value(ROUND_FLOOR))),
    "decimal_greatest": (-1, lambda *values: _said(max(map(_exact, values)))),
    "decimal_least": (-1, lambda *values: _said(min(map(_exact, values)))),
    "decimal_cast": (3, decimal_cast),
}
