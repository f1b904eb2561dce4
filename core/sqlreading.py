"""Conditions and expressions given as text, read and written with sqlglot.

Text is read in MySQL's dialect, which DataJoint's users write. Loading sqlglot takes long, so this module is
imported by :mod:`dj_panel.core.sqltext` when the first text is to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import ErrorLevel, SqlglotError

from dj_panel.core.errors import QuerySyntaxError, shown
from dj_panel.core.sqlfunctions import AGGREGATES, FUNCTIONS, ONLY_ON_SERVERS, about_function
from dj_panel.core.sqltext import Slot, Template
from dj_panel.core.sqltyping import annotate, class_of, kind_of
from dj_panel.core.sqlvalues import rooted
from dj_panel.core.sqlwriting import DIALECTS

__all__ = ["read_text"]

# Functions are left as written, because MySQL's need no translation there and SQLite is given them under
# MySQL's names (dialect/sqlite_functions.py); so the parser is to know only those with a syntax of their own.
_WITH_SYNTAX = ("COUNT", "SUM", "AVG", "MIN", "MAX", "COALESCE", "IF", "IFNULL", "TIMESTAMPDIFF")
_PARSED_SPECIALLY = ("CAST", "CONVERT", "TRIM", "GROUP_CONCAT", "POSITION", "SUBSTRING", "SUBSTR")

# What may stand in an expression beside the functions above.
_ALLOWED: tuple[type[exp.Expr], ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Star, exp.Paren, exp.Tuple,
    exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.Is, exp.In, exp.Between, exp.Like,
    exp.RegexpLike, exp.And, exp.Or, exp.Xor, exp.Not,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg,
    exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.BitwiseLeftShift, exp.BitwiseRightShift,
    exp.HexString,
    exp.Case, exp.If, exp.Coalesce, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Trim, exp.Substring,
    exp.StrPosition, exp.Concat, exp.Interval, exp.Var, exp.TimestampDiff,
    exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.Localtime, exp.Localtimestamp,
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.GroupConcat, exp.Distinct, exp.Order, exp.Ordered,
)  # fmt: skip
_KNOWN = {*FUNCTIONS, *AGGREGATES, *ONLY_ON_SERVERS}
_COMPARING = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)
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


def read_text(text: str, dialect: str, types: tuple[tuple[str, str], ...]) -> Template:
    """Read an expression, as :func:`~dj_panel.core.sqltext.parse_text` says."""
    tree = _parse(text)
    for node in tree.walk():
        _check(node, text)
    annotate(tree, dict(types))
    slots = list(_slots(tree))
    try:
        writer = DIALECTS[dialect]().generator(unsupported_level=ErrorLevel.RAISE, comments=False)
        sql = writer.generate(tree, copy=False)
        if dialect == "sqlite":
            sql = rooted(sql, tree)
    except SqlglotError as error:
        raise QuerySyntaxError(f"{shown(text)} cannot be said on this server: {error}") from error
    except QuerySyntaxError as error:
        raise QuerySyntaxError(f"{shown(text)}: {error}") from error
    parts: list[str | Slot] = []
    for position, piece in enumerate(re.split(r"__slot(\d+)__", sql)):
        if position % 2:
            parts.append(slots[int(piece)])
        elif piece:
            parts.append(piece)
    kind = kind_of(tree)
    return Template(
        tuple(parts),
        tuple(dict.fromkeys(slot.attribute for slot in slots if slot.word is None and slot.attribute)),
        _typed_like(tree),
        any(map(_is_aggregate, tree.walk())),
        tuple(dict.fromkeys(node.name for node in _outside(tree))),
        # A document that an expression gives comes as its text, as in DataJoint.
        "longtext" if class_of(tree) == "json" else kind.text if kind else "",
    )


def _slots(tree: exp.Expr) -> Iterator[Slot]:
    """Yield what is put into the text later, attributes and quoted words, each numbered in its node."""
    number = 0
    for node in tree.walk():
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            slot = Slot(node.name)
        elif isinstance(node, exp.Literal) and node.is_string and not _is_syntax(node):
            slot = Slot(_compared_with(node), node.this)
        else:
            continue
        node.meta["slot"] = number
        number += 1
        yield slot


def _is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, exp.AggFunc) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in AGGREGATES
    )


def _outside(tree: exp.Expr) -> Iterator[exp.Column]:
    """Yield the attributes that stand outside aggregates."""
    if isinstance(tree, exp.Column) and not isinstance(tree.this, exp.Star):
        yield tree
    elif not _is_aggregate(tree):
        for child in tree.iter_expressions():
            yield from _outside(child)


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
        if node.name.lower() not in _KNOWN:
            raise QuerySyntaxError(f"{shown(text)}: {about_function(node.name)}")
    elif isinstance(node, (exp.Interval, exp.TimestampDiff)):
        if str(node.args.get("unit")).upper() not in _UNITS:
            raise QuerySyntaxError(f"{shown(text)}: a length of time has a unit, one of {', '.join(_UNITS)}.")
    elif isinstance(node, exp.Cast) and node.args["to"].this.name == "JSON":
        raise QuerySyntaxError(f"{shown(text)}: a cast to JSON may not be used here: MariaDB has none.")
    elif isinstance(node, exp.Star):
        if not isinstance(node.parent, exp.Count):
            raise QuerySyntaxError(f"{shown(text)}: * stands only in COUNT(*).")
    elif _is_aggregate(node) and any(map(_is_aggregate, _ancestors(node))):
        raise QuerySyntaxError(
            f"{shown(text)} holds an aggregate inside an aggregate; make two aggr() of it."
        )
    elif not isinstance(node, _ALLOWED):
        raise QuerySyntaxError(f"{shown(text)} holds {node.key.upper()}, which may not be used here.")


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    while node.parent is not None:
        node = node.parent
        yield node


def _is_syntax(node: exp.Expr) -> bool:
    """Tell whether a literal cannot be bound, because it is part of the syntax."""
    parent = node.parent
    return isinstance(parent, exp.Interval) or (
        isinstance(parent, exp.GroupConcat) and node.arg_key == "separator"
    )


def _typed_like(tree: exp.Expr) -> str | None:
    tree = tree.unnest()
    if isinstance(tree, (exp.Min, exp.Max)):
        tree = tree.this
    return tree.name if isinstance(tree, exp.Column) else None


def _compared_with(node: exp.Expr) -> str | None:
    parent = node.parent
    if isinstance(parent, _COMPARING):
        other = parent.this if parent.this is not node else parent.expression
    elif isinstance(parent, (exp.Between, exp.In)):
        other = parent.this
    else:
        return None
    return other.name if isinstance(other, exp.Column) else None
