"""Parsed expressions → text for SQLite that means what it means to MySQL.

SQLite's values have types of their own. So decimals are computed by functions that keep every digit, comparisons of
different types are made as MySQL makes them, and what cannot be made the same is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite

from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.sqlfunctions import ONLY_ON_SERVERS, SYNONYMS
from dj_panel.core.sqltyping import class_of, digits_of, kind_of, scale_of
from dj_panel.core.sqlvalues import (
    NUMBERS,
    as_decimal,
    as_kind,
    as_number,
    as_text,
    as_text_or_bytes,
    compared,
    even_digits,
    refused,
    rounded,
    slot_of,
)

__all__ = ["WritingSQLite"]

# Functions of text, to which a number is its text; and of numbers, to which a text is the number it begins with.
_OF_TEXT = frozenset(
    """
    ascii char_length concat concat_ws find_in_set instr left length locate lower lpad ltrim repeat replace reverse right
    rpad rtrim strcmp substring substring_index upper
    """.split()  # noqa: SIM905 - a list of words
)
_OF_BYTES = ("left", "length", "right", "substring")
_OF_NUMBERS = frozenset(
    """
    acos asin atan atan2 cos degrees exp ln log log10 log2 pow radians sign sin sqrt stddev_pop stddev_samp tan var_pop
    var_samp
    """.split()  # noqa: SIM905 - a list of words
)
# SQLite has words of its own for these, or means something else by the name.
_SQLITE_NAMES = {
    "left": "left_part", "right": "right_part", "length": "byte_length", "char_length": "length", "mid": "substr",
    "substring": "substring_of", "json_extract": "json_texts", "utc_timestamp": "utc_now",
}  # fmt: skip


# ---------------------------------------------------------------------------- SQLite: comparisons
def _comparison(sign: str) -> Callable[[Any, exp.Expr], str]:
    def write(self: Any, node: exp.Expr) -> str:
        return compared(self, node.this, node.expression, sign) or str(self.binary(node, sign))

    return write


def _among(self: Any, node: exp.In) -> str:
    found = [compared(self, node.this, value, "=") for value in node.expressions]
    if not any(found):
        return str(self.in_sql(node))
    each = (
        text or f"{self.sql(node.this)} = {self.sql(value)}"
        for text, value in zip(found, node.expressions, strict=True)
    )
    return f"({' OR '.join(each)})"


def _between(self: Any, node: exp.Between) -> str:
    low, high = node.args["low"], node.args["high"]
    ends = (compared(self, node.this, low, ">="), compared(self, node.this, high, "<="))
    if not any(ends):
        return str(self.between_sql(node))
    first, second = (
        text or f"{self.sql(node.this)} {sign} {self.sql(end)}"
        for text, sign, end in zip(ends, (">=", "<="), (low, high), strict=True)
    )
    return f"({first} AND {second})"


# ---------------------------------------------------------------------------- SQLite: arithmetic
def _arithmetic(sign: str, name: str) -> Callable[[Any, exp.Expr], str]:
    def write(self: Any, node: exp.Expr) -> str:
        a, b = node.this, node.expression
        for moment, interval in ((a, b), (b, a)):
            if isinstance(interval, exp.Interval):
                return _shifted(self, moment, interval, "1" if isinstance(node, exp.Add) else "-1")
        kind = kind_of(node)
        if kind is None:
            return str(self.binary(node, sign))
        if kind.kind == "decimal":
            return f"decimal_{name}({as_decimal(self, a)}, {as_decimal(self, b)})"
        return f"{as_number(self, a)} {sign} {as_number(self, b)}"

    return write


def _divided(self: Any, node: exp.Expr) -> str:
    kind, a, b = kind_of(node), node.this, node.expression
    if kind is not None and kind.kind == "decimal":
        return f"decimal_divide({as_decimal(self, a)}, {as_decimal(self, b)})"
    return f"CAST({as_number(self, a)} AS REAL) / {as_number(self, b)}"


def _divided_whole(self: Any, node: exp.Expr) -> str:
    return f"decimal_div({as_decimal(self, node.this)}, {as_decimal(self, node.expression)})"


def _remainder(self: Any, a: exp.Expr, b: exp.Expr) -> str:
    if {class_of(a), class_of(b)} & {"decimal"} and "float" not in (class_of(a), class_of(b)):
        return f"decimal_mod({as_decimal(self, a)}, {as_decimal(self, b)})"
    return f"mod({as_number(self, a)}, {as_number(self, b)})"


def _negated(self: Any, node: exp.Neg) -> str:
    if class_of(node.this) == "decimal":
        return f"decimal_subtract(0, {as_decimal(self, node.this)})"
    return (
        str(self.neg_sql(node)) if class_of(node.this) in ("", "null") else f"-({as_number(self, node.this)})"
    )


def _shifted(self: Any, moment: exp.Expr, interval: exp.Expr, sign: str) -> str:
    unit = exp.Literal.string(str(interval.args["unit"]).upper())
    return f"date_shift({self.sql(moment)}, {self.sql(interval.this)}, {sign}, {self.sql(unit)})"


def _bitwise_xor(self: Any, node: exp.Expr) -> str:
    return f"bits_xor({self.sql(node.this)}, {self.sql(node.expression)})"


def _bitwise_not(self: Any, node: exp.Expr) -> str:
    raise refused("The operator ~", " Its numbers are larger than SQLite keeps.")


# ---------------------------------------------------------------------------- SQLite: choices and conversions
def _case(self: Any, node: exp.Case) -> str:
    parts = ["CASE"]
    for branch in node.args["ifs"]:
        condition = branch.this
        if node.this:
            test = compared(self, node.this, condition, "=")
            test = test or f"{self.sql(node.this)} = {self.sql(condition)}"
        else:
            test = self.sql(condition)
        parts.append(f"WHEN {test} THEN {as_kind(self, branch.args['true'], node)}")
    if node.args.get("default"):
        parts.append(f"ELSE {as_kind(self, node.args['default'], node)}")
    return " ".join([*parts, "END"])


def _if(self: Any, node: exp.If) -> str:
    otherwise = node.args.get("false")
    last = f" ELSE {as_kind(self, otherwise, node)}" if otherwise else ""
    return f"CASE WHEN {self.sql(node.this)} THEN {as_kind(self, node.args['true'], node)}{last} END"


def _coalesce(self: Any, node: exp.Coalesce) -> str:
    values = [as_kind(self, value, node) for value in (node.this, *node.expressions)]
    return f"coalesce({', '.join(values)})" if len(values) > 1 else values[0]


def _cast(self: Any, node: exp.Cast) -> str:
    target = node.args["to"]
    name, sizes = target.this.name, [e.name for e in target.expressions]
    inner, sort = node.this, class_of(node.this)
    if name in ("BIGINT", "INT", "UBIGINT", "UINT"):
        word = "'unsigned'" if name.startswith("U") else "'signed'"
        word = "'positive'" if name.startswith("U") and sort == "decimal" else word
        value = rounded(self, inner, 0) if sort == "decimal" else self.sql(inner)
        return f"whole_of({value}, {word})"
    if name == "DECIMAL":
        value = as_decimal(self, inner) if sort in ("decimal", "text") else as_number(self, inner)
        precision, scale = (sizes + ["10", "0"][len(sizes) :])[:2]
        return f"decimal_cast({value}, {precision}, {scale})"
    if name == "DATE":
        return f"date({self.sql(inner)})"
    if name in ("DATETIME", "TIMESTAMP", "TIMESTAMPTZ"):
        return f"datetime_of({self.sql(inner)}, {sizes[0] if sizes else 0})"
    if name == "TIME":
        return f"time_of({self.sql(inner)}, {sizes[0] if sizes else 0})"
    if name in ("DOUBLE", "FLOAT"):
        return f"CAST({as_number(self, inner)} AS REAL)"
    if name in ("BINARY", "VARBINARY"):
        return f"CAST({self.sql(inner)} AS BLOB)"
    if name in ("CHAR", "VARCHAR", "TEXT", "NCHAR"):
        text = f"CAST({as_text(self, inner)} AS TEXT)"
        return f"substr({text}, 1, {sizes[0]})" if sizes and sizes[0].isdigit() else text
    raise refused(f"CAST AS {name}")


# ---------------------------------------------------------------------------- SQLite: functions
def _call(name: str, *arguments: str) -> str:
    return f"{name}({', '.join(arguments)})"


def _function(self: Any, node: exp.Anonymous) -> str:
    name = SYNONYMS.get(node.name.lower(), node.name.lower())
    if name in ONLY_ON_SERVERS:
        raise refused(f"The function {name.upper()}")
    special = _SPECIAL.get(name)
    arguments = node.expressions
    if special is not None:
        return special(self, node, arguments)
    write = as_text if name in _OF_TEXT else as_number if name in _OF_NUMBERS else type(self).sql
    write = as_text_or_bytes if name in _OF_BYTES else write
    return _call(_SQLITE_NAMES.get(name, name), *(write(self, a) for a in arguments))


_Special = Callable[[Any, exp.Expr, list[exp.Expr]], str]


def _rounding(name: str) -> _Special:
    def write(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
        value, digits = arguments[0], self.sql(arguments[1]) if len(arguments) > 1 else "0"
        kind = kind_of(node)
        if kind is not None and kind.kind == "decimal":
            return f"decimal_{name}({as_decimal(self, value)}, {digits})"
        return f"number_{name}({as_number(self, value)}, {digits})"

    return write


def _whole(name: str) -> _Special:
    def write(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
        if class_of(arguments[0]) == "decimal":
            return f"decimal_{name}({as_decimal(self, arguments[0])})"
        return f"{name}({as_number(self, arguments[0])})"

    return write


def _extreme(name: str) -> _Special:
    def write(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
        kind = kind_of(node)
        prefix = "decimal_" if kind is not None and kind.kind == "decimal" else ""
        return _call(prefix + name, *(as_kind(self, a, node) for a in arguments))

    return write


def _null_if(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    a, b = arguments
    test = compared(self, a, b, "=") or f"{self.sql(a)} = {self.sql(b)}"
    return f"CASE WHEN {test} THEN NULL ELSE {self.sql(a)} END"


def _hex(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    if class_of(arguments[0]) in NUMBERS:
        return f"hex_of_number({as_number(self, arguments[0])})"
    return f"hex_of({self.sql(arguments[0])})"


def _field(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    mixed = any(class_of(a) in NUMBERS for a in arguments)
    return _call("field", *((as_number if mixed else as_text)(self, a) for a in arguments))


def _absolute(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    if class_of(arguments[0]) == "decimal":
        return f"decimal_abs({as_decimal(self, arguments[0])})"
    return f"abs({as_number(self, arguments[0])})"


def _date_add(sign: str) -> _Special:
    def write(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
        if len(arguments) != 2 or not isinstance(arguments[1], exp.Interval):
            raise QuerySyntaxError("date_add and date_sub take a date and an interval: interval 1 day.")
        return _shifted(self, arguments[0], arguments[1], sign)

    return write


def _logarithm(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    return _call("ln" if len(arguments) == 1 else "log_of", *(as_number(self, a) for a in arguments))


def _seconds(name: str) -> _Special:
    def write(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
        digits = scale_of(node)
        called = _call(name, *map(self.sql, arguments))
        return f"decimal_round({called}, {digits})" if digits else f"CAST({called} AS INTEGER)"

    return write


def _listed(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    value = arguments[0]
    text = f"json({rounded(self, value)})" if class_of(value) == "decimal" else self.sql(value)
    return f"json_group_array({text})"


def _random(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    if arguments:
        raise refused("RAND with a seed")
    return "rand()"


def _time(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    return f"time_of({self.sql(arguments[0])}, {digits_of(kind_of(node))})"


def _difference(self: Any, node: exp.Expr, arguments: list[exp.Expr]) -> str:
    if {class_of(a) for a in arguments} in ({"date", "datetime"}, {"time", "datetime"}, {"date", "time"}):
        return "NULL"
    return _call("timediff", *map(self.sql, arguments), str(digits_of(kind_of(node))))


_SPECIAL: dict[str, _Special] = {
    "round": _rounding("round"), "truncate": _rounding("truncate"), "ceil": _whole("ceil"), "floor": _whole("floor"),
    "greatest": _extreme("greatest"), "least": _extreme("least"), "nullif": _null_if, "hex": _hex, "field": _field,
    "abs": _absolute, "date_add": _date_add("1"), "date_sub": _date_add("-1"), "log": _logarithm,
    "mod": lambda self, node, a: _remainder(self, *a), "isnull": lambda self, node, a: f"({self.sql(a[0])} IS NULL)",
    "any_value": lambda self, node, a: f"min({self.sql(a[0])})", "json_arrayagg": _listed, "rand": _random,
    "unix_timestamp": _seconds("unix_timestamp"), "time_to_sec": _seconds("time_to_sec"), "time": _time,
    "timediff": _difference,
}  # fmt: skip


# ---------------------------------------------------------------------------- SQLite: aggregates
def _over(node: exp.Expr) -> tuple[str, exp.Expr]:
    """Return ``DISTINCT`` or nothing, and what an aggregate is over."""
    inner = node.this
    return ("DISTINCT ", inner.expressions[0]) if isinstance(inner, exp.Distinct) else ("", inner)


def _sum(self: Any, node: exp.Expr) -> str:
    distinct, inner = _over(node)
    kind = kind_of(node)
    if kind is None or kind.kind == "float":
        name = "AVG" if isinstance(node, exp.Avg) else "SUM"
        return f"{name}({distinct}{as_number(self, inner)})"
    value = as_decimal(self, inner)
    total = f"decimal_sum({distinct}{value})" if class_of(inner) == "decimal" else f"SUM({distinct}{value})"
    if isinstance(node, exp.Avg):
        return f"decimal_divide({total}, COUNT({distinct}{value}))"
    return total


def _count(self: Any, node: exp.Count) -> str:
    inner = node.this
    if isinstance(inner, exp.Distinct) and len(inner.expressions) > 1:
        return f"count_distinct({', '.join(self.sql(e) for e in inner.expressions)})"
    return str(self.function_fallback_sql(node))


def _group_concat(self: Any, node: exp.GroupConcat) -> str:
    inner, order, distinct = node.this, [], "0"
    if isinstance(inner, exp.Order):
        order, inner = inner.expressions, inner.this
    if isinstance(inner, exp.Distinct):
        distinct, inner = "1", inner.expressions
    pieces = inner if isinstance(inner, list) else [inner]
    if len(pieces) == 1 and isinstance(pieces[0], exp.Concat):
        pieces = pieces[0].expressions
    value = (
        as_text(self, pieces[0]) if len(pieces) == 1 else _call("concat", *(as_text(self, p) for p in pieces))
    )
    separator = node.args.get("separator")
    mark = self.sql(separator) if separator else "','"
    keys: list[str] = []
    for item in order:
        keys += ["1" if item.args.get("desc") else "0", self._sorting(item.this)]
    return _call("group_concat_of", distinct, mark, value, *keys)


def _trim(self: Any, node: exp.Trim) -> str:
    side = str(node.args.get("position") or "").upper()
    name = {"LEADING": "ltrim_of", "TRAILING": "rtrim_of"}.get(side, "trim_of")
    mark = self.sql(node.expression) if node.expression else "' '"
    return f"{name}({as_text(self, node.this)}, {mark})"


def _substring(self: Any, node: exp.Substring) -> str:
    arguments = [as_text_or_bytes(self, node.this), self.sql(node, "start"), self.sql(node, "length")]
    start = node.args.get("start")
    is_plain = isinstance(start, exp.Literal) and start.name.isdigit() and int(start.name) > 0
    return _call("substr" if is_plain else "substring_of", *(a for a in arguments if a))


def _locate(self: Any, node: exp.StrPosition) -> str:
    return _call("locate", as_text(self, node.args["substr"]), as_text(self, node.this))


def _like(self: Any, node: exp.Like) -> str:
    no = "NOT " if node.args.get("negate") else ""
    return f"{as_text(self, node.this)} {no}LIKE {as_text(self, node.expression)}"


class WritingSQLite(SQLite):
    """SQLite with the functions that we give it."""

    class Generator(SQLite.Generator):  # type: ignore[valid-type,misc]
        """Writes the nodes of an expression."""

        TRANSFORMS: ClassVar = {
            **SQLite.Generator.TRANSFORMS,
            exp.Column: lambda self, node: slot_of(node) or self.column_sql(node),
            exp.Literal: lambda self, node: slot_of(node) or self.literal_sql(node),
            exp.Anonymous: _function,
            exp.EQ: _comparison("="), exp.NEQ: _comparison("<>"), exp.LT: _comparison("<"), exp.LTE: _comparison("<="),
            exp.GT: _comparison(">"), exp.GTE: _comparison(">="), exp.NullSafeEQ: _comparison("IS"),
            exp.In: _among, exp.Between: _between, exp.Like: _like,
            exp.Add: _arithmetic("+", "add"), exp.Sub: _arithmetic("-", "subtract"), exp.Mul: _arithmetic("*", "multiply"),
            exp.Div: _divided, exp.IntDiv: _divided_whole, exp.Neg: _negated,
            exp.Mod: lambda self, node: _remainder(self, node.this, node.expression),
            exp.BitwiseXor: _bitwise_xor, exp.BitwiseNot: _bitwise_not,
            exp.Case: _case, exp.If: _if, exp.Coalesce: _coalesce, exp.Cast: _cast,
            exp.Sum: _sum, exp.Avg: _sum, exp.Count: _count, exp.GroupConcat: _group_concat,
            exp.Trim: _trim, exp.Substring: _substring, exp.StrPosition: _locate,
            exp.Concat: lambda self, node: _call("concat", *(as_text(self, e) for e in node.expressions)),
            exp.RegexpLike: lambda self, node: f"{as_text(self, node.this)} REGEXP {self.sql(node, 'expression')}",
            exp.HexString: lambda self, node: f"x'{even_digits(node.name)}'",
            exp.Xor: lambda self, node: (
                f"((NOT {self.sql(node, 'this')}) <> (NOT {self.sql(node, 'expression')}))"
            ),
            exp.CurrentDate: lambda self, node: "curdate()",
            exp.CurrentTime: lambda self, node: "curtime()",
            exp.CurrentTimestamp: lambda self, node: "now()",
            exp.Localtime: lambda self, node: "now()",
            exp.Localtimestamp: lambda self, node: "now()",
            exp.TimestampDiff: lambda self, node: self.func(
                "timestampdiff",
                exp.Literal.string(str(node.args["unit"]).upper()),
                node.expression,
                node.this,
            ),
        }  # fmt: skip

        def _sorting(self, node: exp.Expr) -> str:
            """Return what rows of a group are sorted by: numbers as such."""
            return as_number(self, node) if class_of(node) in (*NUMBERS, "enum") else str(self.sql(node))
