"""The types of expressions, as MySQL derives them from those of the attributes.

Each node of an expression gets the type of its value. Headings tell it, and the embedded database, whose values have
types of their own, needs it to compute as MySQL does.

Source: MySQL 8.0 manual, chapters 12 and 14; observed with MariaDB 10.11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from dj_panel.core.columntypes import ColumnType, DatetimeType, DecimalType, EnumType, TimeType
from dj_panel.core.coretypes import parse_type
from dj_panel.core.sqlfunctions import AGGREGATES, FUNCTIONS, ONLY_ON_SERVERS, SYNONYMS

__all__ = ["annotate", "class_of", "decimal_type", "digits_of", "is_word", "kind_of", "scale_of"]

_INTEGER, _DOUBLE, _TEXT = parse_type("bigint"), parse_type("double"), parse_type("longtext")
_UNSIGNED, _DATE, _BYTES = parse_type("bigint unsigned"), parse_type("date"), parse_type("longblob")
_NUMBERS = ("integer", "decimal", "float")
_MOMENTS = ("date", "datetime", "time")
_TRUTHS = (
    exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.Is, exp.In, exp.Between, exp.Like, exp.Escape,
    exp.RegexpLike, exp.And, exp.Or, exp.Xor, exp.Not, exp.Boolean, exp.IntDiv, exp.Count, exp.StrPosition,
    exp.TimestampDiff,
)  # fmt: skip
_BITS = (
    exp.BitwiseAnd,
    exp.BitwiseOr,
    exp.BitwiseXor,
    exp.BitwiseNot,
    exp.BitwiseLeftShift,
    exp.BitwiseRightShift,
)
_DAYS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( .*)?")


def annotate(tree: exp.Expr, types: Mapping[str, str]) -> None:
    """Give each node the type of its value; a name that ``types`` lacks, and what depends on it, gets none."""
    for node in reversed(list(tree.walk())):
        node.meta["kind"] = _kind(node, types)


def kind_of(node: exp.Expr) -> ColumnType | None:
    """Return the type of a node's value; ``None`` if it is not known, or the value is NULL."""
    found: ColumnType | None = node.meta.get("kind")
    return found


def class_of(node: exp.Expr) -> str:
    """Return the sort of a node's value: ``'integer'``, ``'decimal'``, ``'null'``, ``'hex'``, …; empty if not known."""
    inner = node.unnest()
    if isinstance(inner, exp.Null):
        return "null"
    if isinstance(inner, exp.HexString):
        return "hex"
    kind = kind_of(node)
    if kind is None or kind.kind == "other":
        return ""
    return "integer" if kind.kind == "boolean" else kind.kind


def is_word(node: exp.Expr) -> bool:
    """Tell whether a node is a quoted word."""
    inner = node.unnest()
    return isinstance(inner, exp.Literal) and inner.is_string


def scale_of(node: exp.Expr) -> int:
    """Return how many digits after the point a node's value has."""
    kind = kind_of(node)
    return kind.scale if isinstance(kind, DecimalType) else 0


def digits_of(kind: ColumnType | None) -> int:
    """Return how many digits of a second a time has."""
    return kind.digits if isinstance(kind, (DatetimeType, TimeType)) else 0


def decimal_type(scale: int) -> ColumnType:
    """Return the type of a decimal with so many digits after the point."""
    return parse_type(f"decimal(65,{max(0, min(scale, 30))})")


def _datetime(digits: int) -> ColumnType:
    return parse_type(f"datetime({digits})" if digits else "datetime")


def _kind(node: exp.Expr, types: Mapping[str, str]) -> ColumnType | None:
    if isinstance(node, exp.Column):
        written = types.get(node.name)
        return parse_type(written) if written else None
    if isinstance(node, exp.Literal):
        return _TEXT if node.is_string else _number(node.this)
    if isinstance(node, _TRUTHS):
        return _INTEGER
    if isinstance(node, _BITS):
        return _UNSIGNED
    for classes, find in _FINDERS:
        if isinstance(node, classes):
            return find(node)
    return None


def _number(digits: str) -> ColumnType:
    if "e" in digits.lower():
        return _DOUBLE
    return decimal_type(len(digits.partition(".")[2])) if "." in digits else _INTEGER


def _as_number(node: exp.Expr) -> ColumnType | None:
    """Return the type of a node's value in arithmetic."""
    sort = class_of(node)
    if sort in ("integer", "enum", "date", "hex"):
        return _INTEGER
    if sort in ("decimal", "float"):
        return kind_of(node) if sort == "decimal" else _DOUBLE
    if sort in ("datetime", "time"):
        digits = digits_of(kind_of(node))
        return decimal_type(digits) if digits else _INTEGER
    return _DOUBLE if sort in ("text", "json") else None


def _arithmetic(node: exp.Expr) -> ColumnType | None:
    for moment, interval in ((node.this, node.expression), (node.expression, node.this)):
        if isinstance(interval, exp.Interval):
            return _shifted(moment, interval)
    return _combined(node.this, node.expression, type(node))


def _combined(left: exp.Expr, right: exp.Expr, operator: type[exp.Expr]) -> ColumnType | None:
    a, b = _as_number(left), _as_number(right)
    if a is None or b is None:
        return None
    if "float" in (a.kind, b.kind):
        return _DOUBLE
    first, second = (k.scale if isinstance(k, DecimalType) else 0 for k in (a, b))
    if operator is exp.Div:
        return decimal_type(first + 4)
    if "decimal" not in (a.kind, b.kind):
        return _INTEGER
    return decimal_type(first + second if operator is exp.Mul else max(first, second))


def _shifted(moment: exp.Expr, interval: exp.Expr) -> ColumnType | None:
    kind, unit = kind_of(moment), str(interval.args.get("unit")).upper()
    digits = 6 if unit == "MICROSECOND" else digits_of(kind)
    if kind is None or kind.kind == "text":
        return kind
    if kind.kind == "date" and unit in _DAYS:
        return _DATE
    if kind.kind == "time":
        return parse_type(f"time({digits})" if digits else "time")
    return _datetime(digits)


def _either(nodes: Sequence[exp.Expr], *, is_compared: bool = False) -> ColumnType | None:
    """Return the type that holds the value of any of the nodes."""
    nodes = [node for node in nodes if class_of(node) != "null"]
    sorts = {class_of(node) for node in nodes}
    kinds = [kind_of(node) for node in nodes]
    if not nodes or "" in sorts or None in kinds:
        return None
    if is_compared and "text" in sorts and sorts & set(_MOMENTS):
        sorts.discard("text")
        kinds = [kind for kind in kinds if kind and kind.kind != "text"]
    if is_compared and sorts & {"text", "enum"} and sorts & set(_NUMBERS):
        return _DOUBLE
    if sorts <= {"integer"}:
        return _INTEGER
    if sorts <= set(_NUMBERS):
        return _DOUBLE if "float" in sorts else decimal_type(max(map(scale_of, nodes)))
    if sorts == {"date"}:
        return _DATE
    if sorts <= {"date", "datetime"}:
        return _datetime(max(map(digits_of, kinds)))
    if len(sorts) == 1 and not sorts & {"text", "enum"}:
        return kinds[0]
    return _TEXT if sorts <= {"text", "enum", "json", *_NUMBERS, *_MOMENTS} else None


def _cast(node: exp.Expr) -> ColumnType | None:
    target = node.args["to"]
    name = target.this.name
    sizes = [int(e.name) for e in target.expressions if e.name.isdigit()]
    if name in ("BIGINT", "INT"):
        return _INTEGER
    if name in ("UBIGINT", "UINT"):
        return _UNSIGNED
    if name == "DECIMAL":
        return parse_type(f"decimal({sizes[0] if sizes else 10},{sizes[1] if len(sizes) > 1 else 0})")
    if name in ("DATETIME", "TIMESTAMP", "TIMESTAMPTZ"):
        return _datetime(sizes[0] if sizes else 0)
    if name == "TIME":
        return parse_type(f"time({sizes[0]})" if sizes else "time")
    return {"DATE": _DATE, "DOUBLE": _DOUBLE, "FLOAT": _DOUBLE, "CHAR": _TEXT, "VARCHAR": _TEXT, "TEXT": _TEXT,
            "NCHAR": _TEXT, "BINARY": _BYTES, "VARBINARY": _BYTES, "JSON": _TEXT}.get(name)  # fmt: skip


def _sum(node: exp.Expr) -> ColumnType | None:
    kind = _as_number(_distinct(node))
    if kind is None or kind.kind == "float":
        return kind
    scale = kind.scale if isinstance(kind, DecimalType) else 0
    return decimal_type(scale + 4 if isinstance(node, exp.Avg) else scale)


def _distinct(node: exp.Expr) -> exp.Expr:
    """Return what an aggregate is over."""
    inner: exp.Expr = node.this
    return inner.expressions[0] if isinstance(inner, exp.Distinct) else inner


def _function(node: exp.Expr) -> ColumnType | None:
    name = node.name.lower()
    arguments = node.expressions
    written = {**FUNCTIONS, **AGGREGATES, **ONLY_ON_SERVERS}.get(name, "?")
    if written != "?":
        return parse_type(written)
    find = _BY_ARGUMENTS.get(SYNONYMS.get(name, name))
    return find(arguments) if find else None


def _part(node: exp.Expr) -> ColumnType:
    return _BYTES if class_of(node) in ("bytes", "uuid") else _TEXT


def _rounded(arguments: Sequence[exp.Expr]) -> ColumnType | None:
    kind = _as_number(arguments[0])
    if not isinstance(kind, DecimalType):
        return kind
    digits = _whole(arguments[1]) if len(arguments) > 1 else 0
    return kind if digits is None else decimal_type(digits)


def _whole(node: exp.Expr) -> int | None:
    """Return the whole number that a node is; ``None`` if it is none that is written out."""
    text = node.sql().replace(" ", "").strip("()")
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _floored(arguments: Sequence[exp.Expr]) -> ColumnType | None:
    kind = _as_number(arguments[0])
    return _INTEGER if kind is not None and kind.kind == "decimal" else kind


def _remainder(arguments: Sequence[exp.Expr]) -> ColumnType | None:
    return _combined(arguments[0], arguments[1], exp.Mod) if len(arguments) == 2 else None


def _precise(make: Callable[[int], ColumnType]) -> Callable[[Sequence[exp.Expr]], ColumnType | None]:
    """Return the rule of NOW(3): the argument says the digits of the second."""
    return lambda arguments: make((_whole(arguments[0]) or 0) if arguments else 0)


def _seconds(arguments: Sequence[exp.Expr]) -> ColumnType | None:
    digits = digits_of(kind_of(arguments[0])) if arguments else 0
    return decimal_type(digits) if digits else _INTEGER


def _time(digits: int) -> ColumnType:
    return parse_type(f"time({digits})" if digits else "time")


def _read(arguments: Sequence[exp.Expr]) -> ColumnType | None:
    """Return the type of STR_TO_DATE: a day, a time of day or both, as the pattern says."""
    if len(arguments) != 2 or not is_word(arguments[1]):
        return None
    letters = set(re.findall(r"%(.)", arguments[1].unnest().name))
    clock, day = letters & set("fHhIiklprSsT"), letters & set("abcDdejMmUuVvWwXxYy")
    digits = 6 if "f" in letters else 0
    if clock and not day:
        return _time(digits)
    return _datetime(digits) if clock else _DATE


_BY_ARGUMENTS: dict[str, Callable[[Sequence[exp.Expr]], ColumnType | None]] = {
    **dict.fromkeys(("left", "right"), lambda a: _part(a[0])),
    "abs": lambda a: _as_number(a[0]),
    "ceil": _floored,
    "floor": _floored,
    "round": _rounded,
    "truncate": _rounded,
    "mod": _remainder,
    "greatest": lambda a: _either(a, is_compared=True),
    "least": lambda a: _either(a, is_compared=True),
    "nullif": lambda a: kind_of(a[0]),
    "any_value": lambda a: kind_of(a[0]),
    "date_add": lambda a: _shifted(a[0], a[1]) if len(a) == 2 and isinstance(a[1], exp.Interval) else None,
    "date_sub": lambda a: _shifted(a[0], a[1]) if len(a) == 2 and isinstance(a[1], exp.Interval) else None,
    "now": _precise(_datetime),
    "utc_timestamp": _precise(_datetime),
    "time": lambda a: _time(digits_of(kind_of(a[0]))),
    "timediff": lambda a: _time(max((digits_of(kind_of(x)) for x in a), default=0)),
    "time_to_sec": _seconds,
    "unix_timestamp": _seconds,
    "str_to_date": _read,
}

_FINDERS: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Callable[..., ColumnType | None]], ...] = (
    ((exp.Paren, exp.Min, exp.Max), lambda node: _enum_as_text(kind_of(_distinct(node)), node)),
    (exp.Neg, lambda node: _as_number(node.this)),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), _arithmetic),
    (exp.Case, lambda node: _either(_outcomes(node))),
    (exp.If, lambda node: _either(_outcomes(node))),
    (exp.Coalesce, lambda node: _either([node.this, *node.expressions])),
    (exp.Cast, _cast),
    ((exp.Sum, exp.Avg), _sum),
    ((exp.Trim, exp.Concat, exp.GroupConcat), lambda node: _TEXT),
    (exp.Substring, lambda node: _part(node.this)),
    (exp.CurrentDate, lambda node: _DATE),
    (exp.CurrentTime, lambda node: _time(0)),
    ((exp.CurrentTimestamp, exp.Localtime, exp.Localtimestamp), lambda node: _datetime(0)),
    (exp.Anonymous, _function),
)


def _outcomes(node: exp.Expr) -> list[exp.Expr]:
    """Return the values that a CASE or IF may have."""
    if isinstance(node, exp.Case):
        values = [branch.args["true"] for branch in node.args["ifs"]]
        return [*values, *([node.args["default"]] if node.args.get("default") else [])]
    return [node.args["true"], *([node.args["false"]] if node.args.get("false") else [])]


def _enum_as_text(kind: ColumnType | None, node: exp.Expr) -> ColumnType | None:
    # The least choice of an enum is the first as text, which is what MySQL says too.
    return _TEXT if isinstance(kind, EnumType) and not isinstance(node, exp.Paren) else kind
