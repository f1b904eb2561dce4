"""Parsed expressions → the text of a server: MySQL's and MariaDB's here, SQLite's in :mod:`dj_panel.core.sqlitewriting`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.mysql import MySQL

from dj_panel.core.sqlitewriting import WritingSQLite
from dj_panel.core.sqltyping import class_of
from dj_panel.core.sqlvalues import even_digits, slot_of

__all__ = ["DIALECTS"]

_SPREADS = ("std", "stddev", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "variance")


def _mysql_function(self: Any, node: exp.Anonymous) -> str:
    name = node.name.lower()
    if name == "any_value":
        name = "min"  # which MariaDB knows
    if name == "pi":
        return "ACOS(-1)"  # with all its digits
    arguments = node.expressions
    if name in _SPREADS and class_of(arguments[0]) in ("integer", "decimal"):
        # of these MariaDB shows a few digits only
        return f"{name.upper()}({self.sql(arguments[0])} + 0E0)"
    text = str(self.func(name.upper(), *arguments, normalize=False))
    is_whole = name == "round" and len(arguments) == 2 and class_of(arguments[0]) == "integer"
    return f"CAST({text} AS SIGNED)" if is_whole else text


def _binary(self: Any, node: exp.Expr, other: exp.Expr, sql: str) -> str:
    """Return one side of a comparison such that A is not a, also where neither side has a column to say so."""
    sides = (node, other)
    if any(class_of(side) != "text" for side in sides):
        return sql
    columns = (column for side in sides for column in side.find_all(exp.Column))
    is_told = any(class_of(column) in ("", "text", "enum", "json", "bytes", "uuid") for column in columns)
    return sql if is_told else f"{sql} COLLATE utf8mb4_bin"


def _mysql_comparison(sign: str) -> Callable[[Any, exp.Expr], str]:
    def write(self: Any, node: exp.Expr) -> str:
        left = _binary(self, node.this, node.expression, self.sql(node.this))
        return f"{left} {sign} {self.sql(node.expression)}"

    return write


def _mysql_among(self: Any, node: exp.In) -> str:
    sql = str(self.in_sql(node))
    left = self.sql(node.this)
    binary = _binary(self, node.this, node.expressions[0], left) if node.expressions else left
    return binary + sql.removeprefix(left) if sql.startswith(left) else sql


def _mysql_extreme(self: Any, node: exp.Min | exp.Max) -> str:
    name, value = node.key.upper(), self.sql(node, "this")
    # By letters, as the manual has it: with an index MariaDB takes the first of an enum's choices for the least.
    return f"{name}(CONCAT({value}))" if class_of(node.this) == "enum" else f"{name}({value})"


class _WritingMySQL(MySQL):
    """What MySQL and MariaDB both understand."""

    class Generator(MySQL.Generator):  # type: ignore[valid-type,misc]
        TRANSFORMS: ClassVar = {
            **MySQL.Generator.TRANSFORMS,
            exp.Column: lambda self, node: slot_of(node) or self.column_sql(node),
            exp.Literal: lambda self, node: slot_of(node) or self.literal_sql(node),
            exp.Anonymous: _mysql_function,
            exp.Min: _mysql_extreme, exp.Max: _mysql_extreme,
            exp.RegexpLike: _mysql_comparison("REGEXP"),
            exp.EQ: _mysql_comparison("="), exp.NEQ: _mysql_comparison("<>"), exp.LT: _mysql_comparison("<"),
            exp.LTE: _mysql_comparison("<="), exp.GT: _mysql_comparison(">"), exp.GTE: _mysql_comparison(">="),
            exp.NullSafeEQ: _mysql_comparison("<=>"), exp.In: _mysql_among,
            exp.Like: lambda self, node: _mysql_comparison("NOT LIKE" if node.args.get("negate") else "LIKE")(self, node),
            # MariaDB takes 0x41 for a number or a text, as it is needed, and x'41' for a text alone.
            exp.HexString: lambda self, node: f"0x{even_digits(node.name)}" if node.name else "x''",
            exp.Localtime: lambda self, node: "NOW()",
            exp.Localtimestamp: lambda self, node: "NOW()",
        }  # fmt: skip


DIALECTS: dict[str, type[Dialect]] = {"mysql": _WritingMySQL, "sqlite": WritingSQLite}
