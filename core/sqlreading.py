"""Conditions and expressions given as text, read and written with sqlglot.

Text is read in MySQL's dialect, which DataJoint's users write. Loading sqlglot takes long, so this module is
imported by :mod:`dj_panel.core.sqltext` when the first text is to be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.mysql import MySQL
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ErrorLevel, SqlglotError

from dj_panel.core.errors import QuerySyntaxError, shown
from dj_panel.core.sqltext import Slot, Template

__all__ = ["read_text"]

# Functions are left as written, because MySQL's need no translation there and SQLite is given them under
# MySQL's names (dialect/sqlite_functions.py); so the parser is to know only those with a syntax of their own.
_WITH_SYNTAX = ("COUNT", "SUM", "AVG", "MIN", "MAX", "COALESCE", "IF", "IFNULL", "TIMESTAMPDIFF")
_PARSED_SPECIALLY = ("CAST", "CONVERT", "TRIM", "GROUP_CONCAT", "POSITION", "SUBSTRING", "SUBSTR")

FUNCTIONS = frozenset(
    """
    abs acos ascii asin atan atan2 ceil ceiling char_length concat concat_ws cos curdate curtime date date_add
    date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear degrees exp field find_in_set floor
    greatest hex hour instr isnull json_length json_value last_day lcase least left length ln locate log log10
    log2 lower lpad ltrim microsecond mid minute mod month monthname now nullif pi pow power quarter radians
    repeat replace reverse right round rpad rtrim second sign sin space sqrt std stddev stddev_pop stddev_samp
    strcmp substr substring substring_index tan time time_to_sec truncate ucase upper utc_timestamp var_pop
    var_samp variance week weekday year
    """.split()  # noqa: SIM905 - a list of words
)

# What may stand in an expression beside the functions above.
_ALLOWED: tuple[type[exp.Expr], ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Star, exp.Paren, exp.Tuple,
    exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.Is, exp.In, exp.Between, exp.Like,
    exp.RegexpLike, exp.And, exp.Or, exp.Xor, exp.Not,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg,
    exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift,
    exp.Case, exp.If, exp.Coalesce, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Trim, exp.Substring,
    exp.StrPosition, exp.Concat, exp.Interval, exp.Var, exp.TimestampDiff,
    exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime,
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.GroupConcat, exp.Distinct, exp.Order, exp.Ordered,
)  # fmt: skip
_COMPARING = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)
_AGGREGATES = ("std", "stddev", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "variance")
_UNITS = ("MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")


# The words that mean something in an expression. All others are names here: those that begin statements, those
# of other servers, and those that MySQL keeps for clauses which cannot stand in an expression.
_WORDS = frozenset(
    """
    and or xor not is in from for null true false like rlike regexp between escape case when then else end div mod binary
    interval distinct as asc desc separator using current_date current_time current_timestamp localtime
    localtimestamp
    char character nchar decimal dec numeric signed unsigned integer int float double real date time datetime
    timestamp year json
    """.split()  # noqa: SIM905 - a list of words
)
_PHRASES = ("ORDER BY", "SIGNED INTEGER", "UNSIGNED INTEGER")
_OF_QUERIES = re.compile(r"\b(?:select|exists|union|over|collate)\b", re.IGNORECASE)


class _Reading(MySQL):
    """MySQL's dialect as users write it."""

    class Tokenizer(MySQL.Tokenizer):
        KEYWORDS: ClassVar = {
            word: token
            for word, token in MySQL.Tokenizer.KEYWORDS.items()
            if not re.match(r"[A-Z_]", word) or word.lower() in _WORDS or word in _PHRASES
        }

    class Parser(MySQL.Parser):  # type: ignore[valid-type,misc]
        FUNCTIONS: ClassVar = {name: MySQL.Parser.FUNCTIONS[name] for name in _WITH_SYNTAX}
        FUNCTION_PARSERS: ClassVar = {name: MySQL.Parser.FUNCTION_PARSERS[name] for name in _PARSED_SPECIALLY}
        NO_PAREN_FUNCTION_PARSERS: ClassVar = {"CASE": MySQL.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
        STATEMENT_PARSERS: ClassVar[dict[Any, Any]] = {}


class _WritingMySQL(MySQL):
    """What MySQL and MariaDB both understand."""

    class Generator(MySQL.Generator):  # type: ignore[valid-type,misc]
        TRANSFORMS: ClassVar = {
            **MySQL.Generator.TRANSFORMS,
            exp.RegexpLike: lambda self, node: self.binary(node, "REGEXP"),
        }


def _sqlite_call(name: str) -> Any:
    return lambda self, node: self.func(
        name, *(a for a in (node.this, node.args.get("expression")) if a is not None)
    )


def _sqlite_shift(self: Any, moment: exp.Expr, interval: exp.Expr, sign: str) -> str:
    unit = exp.Literal.string(str(interval.args["unit"]).upper())
    return str(self.func("date_shift", moment, interval.this, exp.Literal.number(sign), unit))


def _sqlite_sum(self: Any, node: exp.Expr) -> str:
    sign = "1" if isinstance(node, exp.Add) else "-1"
    if isinstance(node.expression, exp.Interval):
        return _sqlite_shift(self, node.this, node.expression, sign)
    if isinstance(node.this, exp.Interval):
        return _sqlite_shift(self, node.expression, node.this, sign)
    return str(self.binary(node, "+" if isinstance(node, exp.Add) else "-"))


# SQLite has words of its own for these, or means something else by the name.
_SQLITE_NAMES = {
    "left": "left_part", "right": "right_part", "length": "byte_length", "char_length": "length", "mid": "substr",
    "substring": "substr", "log": "ln", "lcase": "lower", "ucase": "upper", "ceiling": "ceil", "pow": "power",
    "std": "stddev_pop", "stddev": "stddev_pop", "variance": "var_pop", "day": "dayofmonth",
}  # fmt: skip


def _sqlite_function(self: Any, node: exp.Anonymous) -> str:
    name = node.name.lower()
    arguments = node.expressions
    if name in ("date_add", "date_sub") and len(arguments) == 2 and isinstance(arguments[1], exp.Interval):
        return _sqlite_shift(self, arguments[0], arguments[1], "1" if name == "date_add" else "-1")
    if name == "isnull":
        return f"({self.sql(arguments[0])} IS NULL)"
    return str(self.func(_SQLITE_NAMES.get(name, name), *arguments, normalize=False))


class _WritingSQLite(SQLite):
    """SQLite with the functions that we give it."""

    class Generator(SQLite.Generator):  # type: ignore[valid-type,misc]
        TRANSFORMS: ClassVar = {
            **SQLite.Generator.TRANSFORMS,
            exp.Anonymous: _sqlite_function,
            exp.Add: _sqlite_sum,
            exp.Sub: _sqlite_sum,
            exp.Mod: _sqlite_call("mod"),
            exp.Xor: lambda self, node: (
                f"((NOT {self.sql(node, 'this')}) <> (NOT {self.sql(node, 'expression')}))"
            ),
            exp.CurrentDate: lambda self, node: "curdate()",
            exp.CurrentTime: lambda self, node: "curtime()",
            exp.CurrentTimestamp: lambda self, node: "now()",
            exp.TimestampDiff: lambda self, node: self.func(
                "timestampdiff",
                exp.Literal.string(str(node.args["unit"]).upper()),
                node.expression,
                node.this,
            ),
        }


_DIALECTS: dict[str, type[Dialect]] = {"mysql": _WritingMySQL, "sqlite": _WritingSQLite}


def read_text(text: str, dialect: str) -> Template:
    """Read an expression, as :func:`~dj_panel.core.sqltext.parse_text` says."""
    tree = _parse(text)
    for node in tree.walk():
        _check(node, text)
    attributes: list[str] = []
    slots: list[Slot] = []
    like = _typed_like(tree)
    sums = isinstance(tree.unnest(), exp.Sum)
    aggregates = any(
        isinstance(node, exp.AggFunc)
        or (isinstance(node, exp.Anonymous) and node.name.lower() in _AGGREGATES)
        for node in tree.walk()
    )

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            if isinstance(node.this, exp.Star):
                return node
            attributes.append(node.name)
            slots.append(Slot(node.name, use=_use(node)))
        elif isinstance(node, exp.Literal) and node.is_string and not _is_syntax(node):
            slots.append(Slot(_compared_with(node), node.this))
        else:
            return node
        return exp.column(f"__slot{len(slots) - 1}__")

    # sqlglot replaces while walking, so what a word is compared with is read from an untouched copy.
    filled = _transform(tree, fill)
    try:
        sql = filled.sql(dialect=_DIALECTS[dialect], unsupported_level=ErrorLevel.RAISE, comments=False)
    except SqlglotError as error:
        raise QuerySyntaxError(f"{shown(text)} cannot be said on this server: {error}") from error
    parts: list[str | Slot] = []
    for position, piece in enumerate(re.split(r"[`\"]?__slot(\d+)__[`\"]?", sql)):
        if position % 2:
            parts.append(slots[int(piece)])
        elif piece:
            parts.append(piece)
    return Template(tuple(parts), tuple(dict.fromkeys(attributes)), like, aggregates, sums)


def _parse(text: str) -> exp.Expr:
    try:
        trees = sqlglot.parse(text, read=_Reading)
    except (SqlglotError, RecursionError) as error:
        reason = (str(error).splitlines() or ["it is too deeply nested"])[0]
        if query := _OF_QUERIES.search(text):
            reason = f"it holds {query[0].upper()}, which may not be used here"
        raise QuerySyntaxError(
            f"{shown(text)} cannot be read as a condition or expression: {reason}"
        ) from error
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        raise QuerySyntaxError(f"{shown(text)} must be exactly one expression.")
    if isinstance(tree, exp.Alias):
        raise QuerySyntaxError(f"{shown(text)}: leave out AS; name the result with proj(name='expression').")
    return tree


def _check(node: exp.Expr, text: str) -> None:
    if isinstance(node, exp.Column):
        if node.table:
            raise QuerySyntaxError(f"{shown(text)}: write '{node.name}' without the table before it.")
        if node.name.startswith("__slot"):
            raise QuerySyntaxError(f"{shown(text)}: '{node.name}' is not an attribute.")
    elif isinstance(node, exp.Anonymous):
        if node.name.lower() not in FUNCTIONS:
            raise QuerySyntaxError(f"{shown(text)}: the function {node.name.upper()} may not be used here.")
    elif isinstance(node, (exp.Interval, exp.TimestampDiff)):
        if str(node.args.get("unit")).upper() not in _UNITS:
            raise QuerySyntaxError(f"{shown(text)}: a length of time has a unit, one of {', '.join(_UNITS)}.")
    elif isinstance(node, exp.Star):
        if not isinstance(node.parent, exp.Count):
            raise QuerySyntaxError(f"{shown(text)}: * stands only in COUNT(*).")
    elif not isinstance(node, _ALLOWED):
        raise QuerySyntaxError(f"{shown(text)} holds {node.key.upper()}, which may not be used here.")


def _is_syntax(node: exp.Expr) -> bool:
    """Tell whether a literal cannot be bound, because it is part of the syntax."""
    parent = node.parent
    return isinstance(parent, exp.Interval) or (
        isinstance(parent, exp.GroupConcat) and node.arg_key == "separator"
    )


def _typed_like(tree: exp.Expr) -> str | None:
    tree = tree.unnest()
    if isinstance(tree, (exp.Min, exp.Max, exp.Sum)):
        tree = tree.this
    return tree.name if isinstance(tree, exp.Column) else None


def _use(node: exp.Expr) -> str:
    parent = node.parent
    if isinstance(parent, (exp.Min, exp.Max)):
        return "MIN" if isinstance(parent, exp.Min) else "MAX"
    chooses = isinstance(parent, (exp.Coalesce, exp.Case)) or (
        isinstance(parent, exp.If) and node is not parent.this
    )
    names = ("greatest", "least", "nullif")
    return "one of" if chooses or (isinstance(parent, exp.Anonymous) and parent.name.lower() in names) else ""


def _compared_with(node: exp.Expr) -> str | None:
    parent = node.parent
    if isinstance(parent, _COMPARING):
        other = parent.this if parent.this is not node else parent.expression
    elif isinstance(parent, (exp.Between, exp.In)):
        other = parent.this
    else:
        return None
    return other.name if isinstance(other, exp.Column) else None


def _transform(tree: exp.Expr, fill: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Replace leaves bottom-up by ``fill``, each seen while its neighbours are still as written."""
    replacements = []
    for node in tree.walk():
        if isinstance(node, (exp.Column, exp.Literal)):
            new = fill(node)
            if new is not node:
                replacements.append((node, new))
    for node, new in replacements:
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree
