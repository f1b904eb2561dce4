"""What a server says of the tables that are to be migrated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from dj_panel.core.connection import Connection
from dj_panel.core.defaults import conn
from dj_panel.core.errors import DataJointError, MissingTableError, TransactionError
from dj_panel.core.schema import Schema
from dj_panel.core.structure import TableName

__all__ = ["Column", "definitions", "on_server", "tables_of_schema", "user_columns"]

_LINE = re.compile(r"  `((?:[^`]|``)+)` (.*?),?")
_COMMENT = re.compile(r"(?P<head>.*?)(?: COMMENT '(?:''|\\.|[^'\\])*')?(?P<check> CHECK \(.*\))?", re.DOTALL)


class Column(NamedTuple):
    """A column as the server's catalog tells it."""

    table: str
    name: str
    type: str
    comment: str
    is_nullable: bool
    default: Any
    extra: str

    @property
    def plain_type(self) -> str:
        """The type in small letters, without the widths of integers, which carry no meaning but in ``tinyint(1)``."""
        text = self.type.lower()
        if text == "tinyint(1)":
            return text
        return re.sub(r"\b((?:tiny|small|medium|big)?int)\(\d+\)", r"\1", text)


def on_server(target: Schema | Connection | None, *, changing: bool = False) -> Connection:
    """Return the connection of a target (the process's for ``None``), on which there can be something to migrate.

    Raises
    ------
    DataJointError
        On SQLite, where DataJoint 0.14 left nothing.
    TransactionError
        Inside a transaction, for something that changes tables.
    """
    connection = target.connection if isinstance(target, Schema) else conn() if target is None else target
    if connection.dialect.name != "mysql":
        raise DataJointError(
            "DataJoint 0.14 kept its databases on MySQL and MariaDB alone, so there is nothing to migrate on"
            f" {connection.dialect.name}."
        )
    if changing and connection.in_transaction:
        raise TransactionError("Tables cannot be migrated inside a transaction. Commit it first.")
    return connection


def tables_of_schema(connection: Connection, schema: str, *, hidden: bool = False) -> list[str]:
    """Return the names of a schema's tables; those of the framework too, if asked for."""
    rows = connection.rows_of(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
        " ORDER BY table_name",
        (schema,),
    )
    return [str(name) for (name,) in rows if hidden or not str(name).startswith("~")]


def user_columns(connection: Connection, schema: str, table: str | None = None) -> list[Column]:
    """Return the columns of a schema's tables, or of one, without those of the framework.

    Raises
    ------
    MissingTableError
        If there is no such schema.
    """
    if table is None and schema not in connection.dialect.list_schemas(connection.rows_of):
        raise MissingTableError(f"There is no schema '{schema}'.")
    rows = connection.rows_of(
        "SELECT c.table_name, c.column_name, c.column_type, c.column_comment, c.is_nullable, c.column_default,"
        " c.extra FROM information_schema.columns AS c JOIN information_schema.tables AS t"
        " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
        f" WHERE c.table_schema = %s{' AND c.table_name = %s' if table else ''} AND t.table_type = 'BASE TABLE'"
        " ORDER BY c.table_name, c.ordinal_position",
        (schema, table) if table else (schema,),
    )
    return [_column(row) for row in rows if not str(row[0]).startswith("~")]


def _column(row: Sequence[Any]) -> Column:
    table, name, kind, comment, nullable, default, extra = (
        v.decode() if isinstance(v, bytes) else v for v in row
    )
    return Column(table, name, kind, comment or "", nullable == "YES", default, extra or "")


def definitions(connection: Connection, name: TableName) -> dict[str, str]:
    """Return the definition of each column of a table as the server writes it, but for the comment.

    A column that is defined anew loses whatever its new definition does not say: defaults, character sets,
    numbering. So the new one is made from the server's own words.
    """
    sql = connection.query(f"SHOW CREATE TABLE {connection.dialect.table(name)}").fetchone()[1]
    found = {}
    for line in str(sql).splitlines():
        match = _LINE.fullmatch(line)
        parts = _COMMENT.fullmatch(match[2]) if match else None
        if match and parts:
            found[match[1].replace("``", "`")] = parts["head"] + (parts["check"] or "")
    return found
