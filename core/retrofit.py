"""Columns of the framework for tables that were declared without them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from dj_panel.core.connection import Connection
from dj_panel.core.dialect.protocol import Statement
from dj_panel.core.errors import DataJointError, MissingTableError, TransactionError
from dj_panel.core.schema import Schema
from dj_panel.core.structure import Attribute, TableName, TableStructure
from dj_panel.core.table import Table

__all__ = ["Added", "add_hidden_columns", "shown_sql", "tables_of", "tell"]

logger = logging.getLogger("dj_panel")


class Added(NamedTuple):
    """What is added to one table: the names, and the statements as text."""

    table: str
    added: list[str]
    sql: list[str]


def add_hidden_columns(
    connection: Connection,
    tables: Sequence[TableName],
    tiers: Collection[str],
    attributes: Sequence[Attribute],
    *,
    dry_run: bool,
) -> list[Added]:
    """Add columns of the framework to those tables that lack them.

    Parameters
    ----------
    connection
        The connection.
    tables
        The tables.
    tiers
        The tiers of which they are to be; others are passed over.
    attributes
        The columns.
    dry_run
        Whether only to tell what would be done.

    Returns
    -------
    list
        Of each table of these tiers, what it lacked.
    """
    if connection.in_transaction and not dry_run:
        raise TransactionError("Columns cannot be added inside a transaction. Commit it first.")
    found = []
    for name in tables:
        if name.tier not in tiers:
            continue
        table = connection.catalog.structure(name)
        there = {attribute.name for attribute in table.heading.all_attributes}
        missing = [attribute for attribute in attributes if attribute.name not in there]
        statements = connection.dialect.add_columns(table, missing) if missing else ()
        found.append(
            Added(f"{name.schema}.{name.table}", [a.name for a in missing], [*map(shown_sql, statements)])
        )
        if missing and not dry_run:
            _run(connection, table, statements)
        for sql in found[-1].sql:
            tell(sql, dry_run=dry_run)
    return found


def _run(connection: Connection, table: TableStructure, statements: Sequence[Statement]) -> None:
    def all_of_them() -> None:
        for statement in statements:
            connection.run(statement)

    try:
        connection.retried(all_of_them)
    finally:
        connection.catalog.forget(table.name.schema)


def tell(text: str, *, dry_run: bool) -> None:
    """Print what would be done, or log what was."""
    if dry_run:
        print(f"Would be done: {text}")
    else:
        logger.info("Done: %s", text)


def shown_sql(statement: Statement) -> str:
    """Return a statement as people read it."""
    if not statement.parameters:
        return statement.sql.replace("%%", "%")
    return f"{statement.sql}  -- with {', '.join(map(repr, statement.parameters))}"


def tables_of(target: Any) -> tuple[Connection, list[TableName]]:
    """Return the connection of a schema or table and the tables that are meant, as the database has them now.

    Raises
    ------
    DataJointError
        If it is neither.
    MissingTableError
        If the schema is not activated, or the table not there.
    """
    if isinstance(target, Schema):
        name = target.name
        target.connection.catalog.forget(name)
        tables = target.connection.catalog.tables(name)
        return target.connection, [TableName(name, t) for t in sorted(tables) if not t.startswith("~")]
    if isinstance(target, type) and issubclass(target, Table):
        if getattr(target, "_bound", None) is None:
            raise MissingTableError(
                f"The class {target.__name__} is not in a schema. Decorate it with one first."
            )
        target = target()  # type: ignore[call-arg]
    if not isinstance(target, Table):
        raise DataJointError(
            f"{target!r} is neither a schema nor a table. Give a dj.Schema, a table's class, or a table."
        )
    if target.connection.catalog.refreshed(target.name) is None:
        raise MissingTableError(f"The table {target.name} is not in the database.")
    return target.connection, [target.name]
