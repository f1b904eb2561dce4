"""Conditions and expressions that users write as text: parsed, checked, and said again for each server.

``"weight > 20 AND strain = 'C57'"`` becomes a :class:`Template` in which every attribute and every quoted
word is a slot. Only an expression over attributes passes: no statement, no subquery, no variable, and no
function that is not on the list below. So text is as portable and as harmless as a dict.

Text is read in MySQL's dialect, which DataJoint's users write; the parsing is sqlglot's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from dj_panel.core.errors import QuerySyntaxError, shown

__all__ = ["Slot", "Template", "parse_text"]

_FUNCTIONS = frozenset(
    """abs acos ascii asin atan atan2 avg bit_and bit_or bit_xor ceil ceiling char_length coalesce concat
    concat_ws convert cos count curdate current_date current_time current_timestamp curtime date date_add
    date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear degrees exp field find_in_set floor
    format greatest group_concat hex hour if ifnull instr isnull json_contains json_extract json_length
    json_unquote json_value last_day lcase least left length ln locate log log10 log2 lower lpad ltrim max
    microsecond mid min minute mod month monthname now nullif pi position pow power quarter radians regexp_like
    repeat replace reverse right round rpad rtrim second sign sin space sqrt std stddev stddev_pop stddev_samp
    strcmp substr substring substring_index sum tan time time_to_sec timestampdiff trim truncate ucase unhex
    upper utc_timestamp uuid var_pop var_samp variance week weekday year""".split()
)

# Nodes that are not functions but may stand in an expression.
_ALLOWED: tuple[type[exp.Expression], ...] = (
    exp.Binary,
    exp.Unary,
    exp.Between,
    exp.In,
    exp.Literal,
    exp.Column,
    exp.Identifier,
    exp.Paren,
    exp.Tuple,
    exp.Null,
    exp.Boolean,
    exp.Interval,
    exp.Var,
    exp.DataType,
    exp.DataTypeParam,
    exp.Star,
    exp.Distinct,
    exp.Order,
    exp.Ordered,
    exp.IntervalSpan,
)
_REFUSED: tuple[type[exp.Expression], ...] = (
    exp.Query,
    exp.Command,
    exp.DDL,
    exp.DML,
    exp.Exists,
    exp.PropertyEQ,
)
_COMPARING = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)


@dataclass(frozen=True)
class Slot:
    """A place in a template: an attribute, or a quoted word (compared with ``attribute``, if it is)."""

    attribute: str | None
    word: str | None = None


@dataclass(frozen=True)
class Template:
    """A parsed expression for one server: SQL pieces and slots in turn.

    Parameters
    ----------
    parts
        Text and slots in order.
    attributes
        The names that are used.
    like
        The attribute whose type the result has (a bare attribute, or its minimum or maximum).
    aggregates
        Whether it holds an aggregate function.
    """

    parts: tuple[str | Slot, ...]
    attributes: tuple[str, ...]
    like: str | None
    aggregates: bool


@lru_cache(maxsize=2048)
def parse_text(text: str, dialect: str) -> Template:
    """Read an expression.

    Parameters
    ----------
    text
        As the user wrote it, in MySQL's dialect.
    dialect
        What to say it in: ``"mysql"`` or ``"sqlite"``.

    Raises
    ------
    QuerySyntaxError
        If it is not one expression, or holds something that is not allowed, which the message names.

    Examples
    --------
    >>> parse_text("age > 3 and name = 'Ann'", "sqlite").attributes
    ('age', 'name')
    """
    tree = _parse(text)
    for node in tree.walk():
        _check(node, text)
    attributes: list[str] = []
    slots: list[Slot] = []
    like = _typed_like(tree)
    aggregates = any(isinstance(node, exp.AggFunc) for node in tree.walk())

    def fill(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column):
            if isinstance(node.this, exp.Star):
                return node
            attributes.append(node.name)
            slots.append(Slot(node.name))
        elif isinstance(node, exp.Literal) and node.is_string and not isinstance(node.parent, exp.Interval):
            slots.append(Slot(_compared_with(node), node.this))
        else:
            return node
        return exp.column(f"__slot{len(slots) - 1}__")

    # sqlglot replaces while walking, so what a word is compared with is read from an untouched copy.
    filled = _transform(tree, fill)
    try:
        sql = filled.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE, normalize_functions="upper")
    except SqlglotError as error:
        raise QuerySyntaxError(f"{shown(text)} cannot be said on this server: {error}") from error
    parts: list[str | Slot] = []
    for position, piece in enumerate(re.split(r"[`\"]?__slot(\d+)__[`\"]?", sql)):
        if position % 2:
            parts.append(slots[int(piece)])
        elif piece:
            parts.append(piece)
    return Template(tuple(parts), tuple(dict.fromkeys(attributes)), like, aggregates)


def _parse(text: str) -> exp.Expression:
    try:
        trees = sqlglot.parse(text, read="mysql")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise QuerySyntaxError(
            f"{shown(text)} cannot be read as a condition or expression: {reason}"
        ) from error
    if len(trees) != 1 or trees[0] is None:
        raise QuerySyntaxError(f"{shown(text)} must be exactly one expression.")
    tree = trees[0]
    if isinstance(tree, exp.Alias):
        raise QuerySyntaxError(f"{shown(text)}: leave out AS; name the result with proj(name='expression').")
    return tree


def _check(node: exp.Expression, text: str) -> None:
    if isinstance(node, _REFUSED):
        raise QuerySyntaxError(
            f"{shown(text)} holds {node.key.upper()}; only an expression over attributes may stand here."
        )
    if isinstance(node, exp.Column):
        if node.table:
            raise QuerySyntaxError(f"{shown(text)}: write '{node.name}' without the table before it.")
        if node.name.startswith("__slot"):
            raise QuerySyntaxError(f"{shown(text)}: '{node.name}' is not an attribute.")
        return
    if isinstance(node, exp.Func) and not isinstance(
        node, (exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.Xor)
    ):
        names = (
            [node.name.lower()] if isinstance(node, exp.Anonymous) else [n.lower() for n in node.sql_names()]
        )
        if not any(name in _FUNCTIONS for name in (*names, *_rendered_name(node))):
            raise QuerySyntaxError(f"{shown(text)}: the function {names[0].upper()} may not be used here.")
        return
    if not isinstance(node, (*_ALLOWED, exp.Func)):
        raise QuerySyntaxError(f"{shown(text)} holds {node.key.upper()}, which may not be used here.")


def _rendered_name(node: exp.Expression) -> Iterator[str]:
    match = re.match(r"([A-Za-z_0-9]+)\(", node.sql(dialect="mysql"))
    if match:
        yield match[1].lower()


def _typed_like(tree: exp.Expression) -> str | None:
    tree = tree.unnest()
    if isinstance(tree, (exp.Min, exp.Max)):
        tree = tree.this
    return tree.name if isinstance(tree, exp.Column) else None


def _compared_with(node: exp.Expression) -> str | None:
    parent = node.parent
    if isinstance(parent, _COMPARING):
        other = parent.this if parent.this is not node else parent.expression
    elif isinstance(parent, (exp.Between, exp.In)):
        other = parent.this
    else:
        return None
    return other.name if isinstance(other, exp.Column) else None


def _transform(tree: exp.Expression, fill: object) -> exp.Expression:
    """Replace leaves bottom-up by ``fill``, each seen while its neighbours are still as written."""
    replacements = []
    for node in tree.walk():
        if isinstance(node, (exp.Column, exp.Literal)):
            new = fill(node)  # type: ignore[operator]
            if new is not node:
                replacements.append((node, new))
    for node, new in replacements:
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree
