"""Types as they are written in a definition: ``int32``, ``varchar(16)``, ``enum('M', 'F')``.

:func:`parse_type` gives an object that checks Python values, reads text typed by a person, and writes it
back. The native types of MySQL that DataJoint pipelines use are read by the same classes, so every existing
column has one.

Source: DataJoint 2.3, `reference/specs/type-system`; MySQL 8.0 manual, chapter 11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from dj_panel.core.columntypes import (
    BooleanType,
    BytesType,
    ColumnType,
    DatetimeType,
    DateType,
    DecimalType,
    EnumType,
    FloatType,
    IntegerType,
    JsonType,
    TextType,
    TimeType,
    UuidType,
)

__all__ = ["core_type_like", "enum_choices", "is_core_type", "parse_type"]

_INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_NATIVE_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
_BLOB_BYTES = {"tinyblob": 255, "blob": 65_535, "mediumblob": 16_777_215, "longblob": 4_294_967_295}
_TEXT_LENGTHS = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215, "longtext": None}
_CORE_LIKE = {
    "tinyint": "int8", "smallint": "int16", "mediumint": "int32", "int": "int32", "integer": "int32",
    "bigint": "int64", "float": "float32", "double": "float64", "real": "float64", "boolean": "bool",
    "numeric": "decimal", "timestamp": "datetime", "text": "varchar", "tinytext": "varchar",
    "mediumtext": "varchar", "longtext": "varchar", "tinyblob": "bytes", "blob": "bytes", "mediumblob": "bytes",
    "longblob": "bytes", "binary": "bytes", "varbinary": "bytes",
}  # fmt: skip
_CORE = re.compile(
    r"""(?:int(?:8|16|32|64)|float(?:32|64)|bool|uuid|json|bytes|date
    |datetime(?:\s*\(\s*\d+\s*\))?|(?:var)?char\s*\(\s*\d+\s*\)|enum\s*\(.+\)
    |decimal\s*\(\s*\d+\s*,\s*\d+\s*\))""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def is_core_type(text: str) -> bool:
    """Tell whether this is one of DataJoint's core types, which mean the same on every server.

    >>> is_core_type("int32"), is_core_type("int unsigned"), is_core_type("decimal(5, 2)")
    (True, False, True)
    """
    return _CORE.fullmatch(text.strip()) is not None


def core_type_like(text: str) -> str:
    """Return the core type to use instead of a native one; empty where none means the same.

    >>> core_type_like("int unsigned"), core_type_like("double"), core_type_like("time")
    ('int32', 'float64', '')
    """
    return _CORE_LIKE.get(re.split(r"[\s(]", text.strip(), maxsplit=1)[0].lower(), "")


def enum_choices(text: str) -> tuple[str, ...]:
    r"""Return the words of an enum as written: quoted singly or doubly, a quote inside doubled or escaped.

    >>> enum_choices("enum('M', 'F', \"don't know\")")
    ('M', 'F', "don't know")
    """
    inside = text[text.index("(") + 1 : text.rindex(")")]
    pattern = re.compile(r"""\s*(?:'((?:[^'\\]|''|\\.)*)'|"((?:[^"\\]|""|\\.)*)")\s*(,|$)""", re.DOTALL)
    words: list[str] = []
    position = 0
    while position < len(inside):
        match = pattern.match(inside, position)
        if not match:
            raise ValueError(
                f"the choices of {text} cannot be read; write each in quotes, with commas between"
            )
        single, double, _ = match.groups()
        word = single.replace("''", "'") if single is not None else double.replace('""', '"')
        words.append(re.sub(r"\\(.)", r"\1", word))
        position = match.end()
    if not words:
        raise ValueError(f"{text} has no choices")
    if len(set(words)) != len(words):
        raise ValueError(f"{text} names a choice twice")
    if any(word.endswith(" ") for word in words):
        raise ValueError(f"{text} has a choice that ends with a space, which MySQL does not keep")
    return tuple(words)


@lru_cache(maxsize=4096)
def parse_type(text: str) -> ColumnType:
    """Return the type that a definition, or a database's catalog, calls by this text.

    An unknown native type gives a plain :class:`ColumnType`, which admits every value and leaves the rest
    to the server. What a definition may say is narrower: :func:`~dj_panel.core.writtentypes.check_written_type`.

    Raises
    ------
    ValueError
        If the choices of an enum cannot be read.

    Examples
    --------
    >>> parse_type("int8").check(200)
    Traceback (most recent call last):
    ValueError: is outside -128 … 127
    >>> parse_type("int unsigned").check("12")
    12
    """
    text = text.strip()
    match = re.match(r"([A-Za-z_][A-Za-z_0-9]*)\s*(?:\((.*)\))?\s*(.*)$", text, re.DOTALL)
    if not match:
        return ColumnType(text, text)
    name, inside, rest = match[1].lower(), match[2], match[3].lower()
    numbers = [int(part) for part in re.findall(r"[0-9]+", inside or "")] if name != "enum" else []
    unsigned = "unsigned" in rest or "zerofill" in rest
    make = _MAKERS.get(name)
    return make(text, name, numbers, unsigned) if make else ColumnType(text, name)


def _integer(text: str, name: str, numbers: list[int], unsigned: bool) -> ColumnType:
    bits = _INTEGERS.get(name) or _NATIVE_INTEGERS[name]
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return IntegerType(text, name, low, high)


def _decimal(text: str, name: str, numbers: list[int], unsigned: bool) -> ColumnType:
    precision, scale = (numbers + [10, 0][len(numbers) :])[:2]
    return DecimalType(text, name, precision, scale, unsigned)


def _datetime(text: str, name: str, numbers: list[int], unsigned: bool) -> ColumnType:
    digits = numbers[0] if numbers else 0
    return TimeType(text, name, digits) if name == "time" else DatetimeType(text, name, digits)


def _float(text: str, name: str, numbers: list[int], unsigned: bool) -> ColumnType:
    # float(25) … float(53) are doubles
    is_double = len(numbers) == 1 and numbers[0] > 24
    return FloatType(text, name, 8 if is_double else 4, unsigned)


_Maker = Callable[[str, str, list[int], bool], ColumnType]
_MAKERS: dict[str, _Maker] = {
    **dict.fromkeys([*_INTEGERS, *_NATIVE_INTEGERS], _integer),
    **{name: lambda t, n, a, u: BytesType(t, n, _BLOB_BYTES[n]) for name in _BLOB_BYTES},
    **{name: lambda t, n, a, u: TextType(t, n, _TEXT_LENGTHS[n]) for name in _TEXT_LENGTHS},
    **dict.fromkeys(["decimal", "numeric", "dec", "fixed"], _decimal),
    **dict.fromkeys(["datetime", "timestamp", "time"], _datetime),
    **dict.fromkeys(["char", "varchar"], lambda t, n, a, u: TextType(t, n, a[0] if a else 1)),
    **dict.fromkeys(["bool", "boolean"], lambda t, n, a, u: BooleanType(t, n)),
    **dict.fromkeys(["float32", "float"], _float),
    **dict.fromkeys(["float64", "double", "real"], lambda t, n, a, u: FloatType(t, n, 8, u)),
    **dict.fromkeys(["binary", "varbinary"], lambda t, n, a, u: BytesType(t, n, a[0] if a else 1)),
    "bytes": lambda t, n, a, u: BytesType(t, n, _BLOB_BYTES["longblob"]),
    "uuid": lambda t, n, a, u: UuidType(t, n),
    "json": lambda t, n, a, u: JsonType(t, n),
    "date": lambda t, n, a, u: DateType(t, n),
    "year": lambda t, n, a, u: IntegerType(t, n, 1901, 2155),
    "enum": lambda t, n, a, u: EnumType(t, n, enum_choices(t)),
}
