"""Copies of whole schemas on the same server: backups, and places to try a migration in."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from graphlib import TopologicalSorter
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.errors import DataJointError, IntegrityError, MissingTableError
from dj_panel.core.migrate.facts import on_server, tables_of_schema
from dj_panel.core.sqltext import Slot, parse_text
from dj_panel.core.structure import TableName, to_camel_case

__all__ = [
    "backup_schema",
    "compare_query_results",
    "copy_table_data",
    "create_parallel_schema",
    "restore_schema",
]

logger = logging.getLogger("dj_panel")
_PAGE = 10_000
_N_SHOWN = 20


def create_parallel_schema(
    source: str, dest: str, copy_data: bool = False, connection: Connection | None = None
) -> dict[str, Any]:
    """Make a schema with the same tables as another, hidden ones too, to try a migration in.

    Foreign keys inside the schema lead to the copies, and those to other schemas where they led. Objects in
    stores are not copied.

    Parameters
    ----------
    source
        The name of the schema.
    dest
        The name of its copy, which must be new or have no tables.
    copy_data
        Whether to copy the rows, all of them in one transaction.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``tables_created``, ``data_copied`` and ``tables``, parents before children.

    Raises
    ------
    IntegrityError
        If a copy does not have as many rows as its original. What was made is removed again after any error.
    """
    connection = on_server(connection, changing=True)
    tables = _in_order(connection, source)
    if not tables:
        raise MissingTableError(f"There is no schema '{source}' with tables to copy.")
    if tables_of_schema(connection, dest, hidden=True):
        raise DataJointError(
            f"The schema '{dest}' has tables already, and nothing is ever written over. Choose a new name, or drop"
            " that schema first."
        )
    is_new = dest not in connection.dialect.list_schemas(connection.rows_of)
    made: list[str] = []
    try:
        _create(connection, source, dest, tables, made)
        if copy_data:
            with _numbers_kept(connection):
                connection.retried(lambda: _copy_all(connection, source, dest, tables))
    except BaseException:
        _remove(connection, dest, made, is_new=is_new)
        raise
    finally:
        connection.catalog.forget(dest)
    logger.info("%s: %d tables copied to %s", source, len(tables), dest)
    return {"tables_created": len(tables), "data_copied": copy_data, "tables": tables}


def _in_order(connection: Connection, schema: str) -> list[str]:
    """Return a schema's tables, hidden ones too, parents before children."""
    tables = tables_of_schema(connection, schema, hidden=True)
    rows = connection.rows_of(
        "SELECT DISTINCT table_name, referenced_table_name FROM information_schema.key_column_usage"
        " WHERE table_schema = %s AND referenced_table_schema = %s",
        (schema, schema),
    )
    parents: dict[str, set[str]] = {table: set() for table in tables}
    for child, parent in rows:
        if child != parent:
            parents[str(child)].add(str(parent))
    return list(TopologicalSorter(parents).static_order())


def _create(connection: Connection, source: str, dest: str, tables: Sequence[str], made: list[str]) -> None:
    dialect = connection.dialect
    text = connection.rows_of(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        (source,),
    )
    characters, collation = text[0]
    connection.query(
        f"CREATE DATABASE IF NOT EXISTS {dialect.quote(dest)} CHARACTER SET {characters} COLLATE {collation}"
    )
    for table in tables:
        sql = str(
            connection.query(f"SHOW CREATE TABLE {dialect.table(TableName(source, table))}").fetchone()[1]
        )
        head = f"CREATE TABLE {dialect.quote(table).replace('%%', '%')} ("
        if not sql.startswith(head):
            raise DataJointError(f"{source}.{table}: what the server says of this table cannot be read.")
        body = dialect.verbatim(sql[len(head) :])
        connection.query(f"CREATE TABLE {dialect.table(TableName(dest, table))} ({body}")
        made.append(table)


def _remove(connection: Connection, dest: str, made: Sequence[str], *, is_new: bool) -> None:
    if is_new:
        connection.query(f"DROP DATABASE IF EXISTS {connection.dialect.quote(dest)}")
        return
    for table in reversed(made):
        for statement in connection.dialect.drop_table(TableName(dest, table)):
            connection.run(statement)


@contextmanager
def _numbers_kept(connection: Connection) -> Iterator[None]:
    """Have the server take a zero in a numbered column for a zero, within the block."""
    (before,) = connection.query("SELECT @@SESSION.sql_mode").fetchone()
    mode = ",".join(part for part in (str(before), "NO_AUTO_VALUE_ON_ZERO") if part)
    connection.query("SET SESSION sql_mode = %s", (mode,))
    try:
        yield
    finally:
        connection.query("SET SESSION sql_mode = %s", (before,))


def _stored_columns(connection: Connection, name: TableName) -> list[str]:
    """Return the columns of a table that hold values of their own, in order."""
    rows = connection.rows_of(
        "SELECT column_name, extra FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " ORDER BY ordinal_position",
        (name.schema, name.table),
    )
    return [
        str(n)
        for n, extra in rows
        if not str(extra).upper().endswith(("VIRTUAL GENERATED", "STORED GENERATED"))
    ]


def _copy(connection: Connection, source: TableName, dest: TableName, rest: str = "") -> int:
    names = ", ".join(map(connection.dialect.quote, _stored_columns(connection, source)))
    place, origin = connection.dialect.table(dest), connection.dialect.table(source)
    answer = connection.query(f"INSERT INTO {place} ({names}) SELECT {names} FROM {origin}{rest}")
    return int(answer.rowcount)


def _count(connection: Connection, name: TableName) -> int:
    return int(connection.query(f"SELECT COUNT(*) FROM {connection.dialect.table(name)}").fetchone()[0])


def _copy_all(connection: Connection, source: str, dest: str, tables: Sequence[str]) -> None:
    for table in tables:
        origin, copy = TableName(source, table), TableName(dest, table)
        _copy(connection, origin, copy)
        counts = _count(connection, origin), _count(connection, copy)
        if counts[0] != counts[1]:
            raise IntegrityError(
                f"{source}.{table} has {counts[0]} rows and its copy {counts[1]}: another program writes to it."
                " Let nothing write while a schema is copied."
            )


def backup_schema(schema: str, backup_name: str, connection: Connection | None = None) -> dict[str, Any]:
    """Copy a schema with all its rows; objects in stores stay where they are.

    Parameters
    ----------
    schema
        The name of the schema.
    backup_name
        The name of the copy, which must be new or have no tables.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``tables_backed_up``, ``rows_backed_up``, ``backup_location``.
    """
    connection = on_server(connection, changing=True)
    made = create_parallel_schema(schema, backup_name, copy_data=True, connection=connection)
    n_rows = sum(_count(connection, TableName(backup_name, table)) for table in made["tables"])
    return {
        "tables_backed_up": made["tables_created"],
        "rows_backed_up": n_rows,
        "backup_location": backup_name,
    }


def restore_schema(backup: str, dest: str, connection: Connection | None = None) -> dict[str, int]:
    """Copy a backup to where its schema was.

    A schema that is there is not replaced: drop it yourself, or restore under another name and look first.

    Parameters
    ----------
    backup
        The name of the backup.
    dest
        The name that the schema gets, which must be new or have no tables.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``tables_restored``, ``rows_restored``.
    """
    done = backup_schema(backup, dest, connection)
    return {"tables_restored": done["tables_backed_up"], "rows_restored": done["rows_backed_up"]}


def copy_table_data(
    source_schema: str,
    dest_schema: str,
    table: str,
    limit: int | None = None,
    where_clause: str | None = None,
    connection: Connection | None = None,
) -> dict[str, Any]:
    """Copy rows of one table to the table of the same name in another schema, all or none.

    Parameters
    ----------
    source_schema, dest_schema
        The names of the schemas.
    table
        The table's name in the database, or its class name.
    limit
        How many rows at most.
    where_clause
        A condition on attributes, as in a restriction.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``rows_copied``, ``time_taken`` (seconds).
    """
    connection = on_server(connection)
    begun = time.monotonic()
    name = _table_named(connection, source_schema, table)
    rest = f" WHERE {_condition(connection, where_clause)}" if where_clause else ""
    if limit is not None:
        rest += f" LIMIT {int(limit)}"
    with _numbers_kept(connection):
        n_rows = connection.retried(
            lambda: _copy(connection, TableName(source_schema, name), TableName(dest_schema, name), rest)
        )
    return {"rows_copied": n_rows, "time_taken": time.monotonic() - begun}


def _table_named(connection: Connection, schema: str, name: str) -> str:
    tables = tables_of_schema(connection, schema, hidden=True)
    found = next((t for t in tables if name in (t, TableName(schema, t).class_name, to_camel_case(t))), None)
    if found is None:
        raise MissingTableError(f"The schema '{schema}' has no table '{name}'.")
    return found


def _condition(connection: Connection, text: str) -> str:
    """Return a condition that users wrote, when it is one and nothing else."""
    dialect = connection.dialect
    parts = []
    for part in parse_text(text, "mysql").parts:
        if not isinstance(part, Slot):
            parts.append(part)
        elif part.word is not None:
            parts.append(dialect.literal(part.word))
        else:
            parts.append(dialect.quote(part.attribute or ""))
    return "".join(parts)


def compare_query_results(
    prod_schema: str,
    test_schema: str,
    table: str,
    tolerance: float = 1e-6,
    connection: Connection | None = None,
) -> dict[str, Any]:
    """Compare a table with the one of the same name in another schema, row by row in the order of the key.

    Parameters
    ----------
    prod_schema, test_schema
        The names of the schemas.
    table
        The table's name in the database, or its class name.
    tolerance
        By how much numbers with a point may differ.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``match``, ``row_count``, and ``discrepancies``, the first of them as texts.
    """
    connection = on_server(connection)
    table = _table_named(connection, prod_schema, table)
    names = [TableName(schema, table) for schema in (prod_schema, test_schema)]
    counts = [_count(connection, name) for name in names]
    result: dict[str, Any] = {"match": True, "row_count": counts[0], "discrepancies": []}
    columns = [_stored_columns(connection, name) for name in names]
    if columns[0] != columns[1]:
        found = [f"Columns differ: {', '.join(columns[0])} and {', '.join(columns[1])}"]
    elif counts[0] != counts[1]:
        found = [f"Row count mismatch: {counts[0]} and {counts[1]}"]
    else:
        found = _different_values(connection, names, columns[0], tolerance)
    return result | {"match": not found, "discrepancies": found}


def _different_values(
    connection: Connection, names: Sequence[TableName], columns: Sequence[str], tolerance: float
) -> list[str]:
    quote = connection.dialect.quote
    rows = connection.rows_of(
        "SELECT column_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"
        " AND index_name = 'PRIMARY' ORDER BY seq_in_index",
        (names[0].schema, names[0].table),
    )
    listed = ", ".join(map(quote, columns))
    key = ", ".join(quote(str(name)) for (name,) in rows) or listed
    found: list[str] = []
    offset = 0
    while True:
        pages = [
            connection.rows_of(
                f"SELECT {listed} FROM {connection.dialect.table(name)} ORDER BY {key} LIMIT {_PAGE} OFFSET {offset}",
                (),
            )
            for name in names
        ]
        for number, (ours, theirs) in enumerate(zip(*pages, strict=True), offset):
            for column, a, b in zip(columns, ours, theirs, strict=True):
                if not _equal(a, b, tolerance):
                    found.append(f"Row {number}, {column}: {a!r} and {b!r}")
            if len(found) >= _N_SHOWN:
                return found
        if len(pages[0]) < _PAGE:
            return found
        offset += _PAGE


def _equal(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, float | Decimal) and isinstance(b, float | Decimal):
        return math.isclose(a, b, rel_tol=0.0, abs_tol=tolerance)
    return bool(a == b)
