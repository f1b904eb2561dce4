"""Values of an expression in the type that MySQL gives them, and comparisons between types, said for SQLite.

Each function takes the writer of an expression and a node of it (:mod:`~dj_panel.core.sqlwriting`).
"""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from dj_panel.core.columntypes import EnumType
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.sqltyping import class_of, digits_of, is_word, kind_of, scale_of

__all__ = [
    "as_decimal",
    "as_kind",
    "as_number",
    "as_text",
    "as_text_or_bytes",
    "compared",
    "even_digits",
    "refused",
    "rooted",
    "rounded",
    "slot_of",
]

NUMBERS = ("integer", "decimal", "float")
_MOMENTS = ("date", "datetime", "time")
_TEXTS = ("text", "enum", "json")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")


def slot_of(node: exp.Expr) -> str | None:
    """Return the mark in whose place an attribute or a quoted word is put later; ``None`` for what is written out."""
    number = node.meta.get("slot")
    return None if number is None else f"__slot{number}__"


def even_digits(digits: str) -> str:
    """Return hexadecimal digits such that two make a byte."""
    return "0" * (len(digits) % 2) + digits


def refused(what: str, remedy: str = "") -> QuerySyntaxError:
    """Return the error for what only servers can do."""
    return QuerySyntaxError(
        f"{what} works on MySQL and MariaDB only, not on the embedded database (SQLite).{remedy}"
    )


def as_number(self: Any, node: exp.Expr) -> str:
    """Return a node as a number, which floating-point arithmetic takes."""
    sort, sql = class_of(node), self.sql(node)
    if sort == "decimal":
        inner = node.unnest()
        return inner.name if isinstance(inner, exp.Literal) else f"CAST({sql} AS REAL)"
    if sort in ("text", "json"):
        return f"number_of({sql})"
    if sort == "enum":
        return _place(self, node)
    if sort == "hex":
        return str(int(node.unnest().name or "0", 16))
    if sort in _MOMENTS:
        raise refused(f"Arithmetic with a {sort}", " Use datediff(), timestampdiff() or + interval 1 day.")
    return str(sql)


def _place(self: Any, node: exp.Expr) -> str:
    """Return the place of a choice of an enum, from 1 on, which MySQL takes for its number."""
    kind = kind_of(node)
    assert isinstance(kind, EnumType)
    cases = " ".join(
        f"WHEN {self.sql(exp.Literal.string(c))} THEN {i}" for i, c in enumerate(kind.choices, 1)
    )
    return f"CASE {self.sql(node)} {cases} END"


def as_decimal(self: Any, node: exp.Expr) -> str:
    """Return a node as a decimal, with the digits that a division keeps beyond its scale."""
    inner = node.unnest()
    if isinstance(inner, exp.Literal) and not inner.is_string:
        return f"'{inner.name}'"
    if class_of(node) in ("text", "json"):
        return f"decimal_of({self.sql(node)})"
    return str(self.sql(node)) if class_of(node) == "decimal" else as_number(self, node)


def rounded(self: Any, node: exp.Expr, scale: int | None = None) -> str:
    """Return a decimal as text with the digits of its type, as a column of the type keeps it."""
    inner, sql = node.unnest(), as_decimal(self, node)
    if isinstance(inner, exp.Column) and class_of(node) == "decimal" and scale is None:
        return sql
    if isinstance(inner, exp.Literal) and not inner.is_string and scale is None:
        return sql
    return f"decimal_round({sql}, {scale_of(node) if scale is None else scale})"


def as_text(self: Any, node: exp.Expr) -> str:
    """Return a node as the text that MySQL makes of its value."""
    sort = class_of(node)
    if sort == "float":
        return f"float_text({self.sql(node)})"
    if sort == "decimal":
        return rounded(self, node)
    if sort == "datetime" and not isinstance(node.unnest(), exp.Column):
        return f"datetime_of({self.sql(node)}, {digits_of(kind_of(node))})"
    if sort in ("bytes", "uuid"):
        raise refused("Text made of bytes", " Use hex().")
    return str(self.sql(node))


def _moment(self: Any, node: exp.Expr) -> str:
    """Return a day or a time in the one form in which all compare."""
    inner = node.unnest()
    if is_word(node) and not _MOMENT.fullmatch(inner.name):
        raise QuerySyntaxError(
            f"{inner.name!r} is compared with a date; write it as YYYY-MM-DD, with HH:MM:SS after it for a time of day."
        )
    return f"moment_of({self.sql(node)})"


def as_text_or_bytes(self: Any, node: exp.Expr) -> str:
    """Return a node for a function that counts and cuts bytes as well as letters."""
    return str(self.sql(node)) if class_of(node) in ("bytes", "uuid") else as_text(self, node)


def as_kind(self: Any, node: exp.Expr, of: exp.Expr) -> str:
    """Return a node's value in the type of the expression that it is an outcome of."""
    kind, sort = kind_of(of), class_of(node)
    if kind is None or sort in ("", "null"):
        return str(self.sql(node))
    if kind.kind == "decimal":
        return as_decimal(self, node)
    if kind.kind == "float":
        return f"CAST({as_number(self, node)} AS REAL)" if sort != "float" else str(self.sql(node))
    if kind.kind == "text":
        return f"CAST({as_text(self, node)} AS TEXT)" if sort in NUMBERS else as_text(self, node)
    if kind.kind == "datetime" and (sort == "date" or digits_of(kind_of(node)) != digits_of(kind)):
        return f"datetime_of({self.sql(node)}, {digits_of(kind)})"
    return str(self.sql(node))


# ---------------------------------------------------------------------------- comparisons
def compared(self: Any, a: exp.Expr, b: exp.Expr, sign: str) -> str | None:
    """Return a comparison as MySQL makes it; ``None`` where SQLite makes the same of it."""
    first, second = class_of(a), class_of(b)
    sorts = {first, second}
    if sorts & {"", "null"} or isinstance(a.unnest(), exp.Tuple):
        return None
    if "hex" in sorts:
        return _compared_with_bytes(self, a, b, sign)
    if sorts <= {*NUMBERS, *_TEXTS} and sorts & set(NUMBERS):
        if "float" not in sorts and not sorts & set(_TEXTS):
            return _decimals(self, a, b, sign) if "decimal" in sorts else None
        if "decimal" in sorts and sorts & {"text"} and (is_word(a) or is_word(b)):
            return _decimals(self, a, b, sign)
        is_plain = sorts <= {"integer", "float"}
        return None if is_plain else f"{as_number(self, a)} {sign} {as_number(self, b)}"
    if sorts & set(_MOMENTS):
        return _compared_moments(self, a, b, sign)
    if sorts & {"bytes", "uuid"} and sorts & {"text"} and not _is_bound(a, b):
        return f"CAST({self.sql(a)} AS BLOB) {sign} CAST({self.sql(b)} AS BLOB)"
    return None


def _decimals(self: Any, a: exp.Expr, b: exp.Expr, sign: str) -> str:
    sides = []
    for node in (a, b):
        if class_of(node) == "integer":
            sides.append(f"CAST({self.sql(node)} AS TEXT)")
        else:
            sides.append(as_decimal(self, node) if is_word(node) else rounded(self, node))
    return f"{sides[0]} COLLATE decimal {sign} {sides[1]}"


def _is_bound(a: exp.Expr, b: exp.Expr) -> bool:
    """Tell whether one side is a quoted word that is bound in the form of the attribute on the other."""
    return (is_word(a) and isinstance(b.unnest(), exp.Column)) or (
        is_word(b) and isinstance(a.unnest(), exp.Column)
    )


def _compared_moments(self: Any, a: exp.Expr, b: exp.Expr, sign: str) -> str | None:
    first, second = class_of(a), class_of(b)
    if first in NUMBERS or second in NUMBERS:
        sides = []
        for node, other in ((a, b), (b, a)):
            sides.append(_digits(node, other) if class_of(node) in NUMBERS else _moment(self, node))
        return f"{sides[0]} {sign} {sides[1]}"
    alike = first == second and digits_of(kind_of(a)) == digits_of(kind_of(b))
    if alike or "time" in (first, second) or (_is_bound(a, b) and {first, second} & {"text"}):
        return None
    return f"{_moment(self, a)} {sign} {_moment(self, b)}"


def _digits(node: exp.Expr, other: exp.Expr) -> str:
    """Return the moment that a number such as 20200131 says."""
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?", node.unnest().name)
    if not isinstance(node.unnest(), exp.Literal) or match is None or class_of(other) == "time":
        raise refused(f"Comparing a {class_of(other)} with a number", " Write it in quotes: '2020-01-31'.")
    parts = [part or "00" for part in match.groups()]
    return f"moment_of('{'-'.join(parts[:3])} {':'.join(parts[3:])}')"


def _compared_with_bytes(self: Any, a: exp.Expr, b: exp.Expr, sign: str) -> str:
    sides = []
    for node, other in ((a, b), (b, a)):
        if class_of(node) != "hex":
            sides.append(self.sql(node))
        elif class_of(other) in ("integer", "float"):
            sides.append(as_number(self, node))
        else:
            is_text = class_of(other) in _TEXTS
            sides.append(f"CAST({self.sql(node)} AS TEXT)" if is_text else self.sql(node))
    return f"{sides[0]} {sign} {sides[1]}"


def rooted(sql: str, tree: exp.Expr) -> str:
    """Return the whole expression such that its value is like that of a column of its type."""
    if class_of(tree) != "decimal" or isinstance(tree.unnest(), exp.Column):
        return sql
    text = f"'{sql}'" if isinstance(tree.unnest(), exp.Literal) else sql
    return f"(CAST(decimal_round({text}, {scale_of(tree)}) AS TEXT) COLLATE decimal)"
