"""What version 2 keeps beside the rows: the origin of attributes, and how a row was computed."""

from __future__ import annotations

from typing import Any

from dj_panel.core.catalog import lineage_rows
from dj_panel.core.declare import JOB_METADATA
from dj_panel.core.migrate.facts import on_server, tables_of_schema
from dj_panel.core.retrofit import add_hidden_columns, tables_of, tell
from dj_panel.core.schema import Schema
from dj_panel.core.structure import TableName
from dj_panel.core.table import Table

__all__ = ["add_job_metadata_columns", "rebuild_lineage"]


def rebuild_lineage(schema: Schema, dry_run: bool = True) -> dict[str, Any]:
    """Write the origins of all attributes anew, from the keys and foreign keys.

    Parameters
    ----------
    schema
        The schema. Those that it refers to are to be done before it.
    dry_run
        Whether only to tell what would be done.

    Returns
    -------
    dict
        ``tables_analyzed``, ``lineage_entries``, and ``status``: ``"dry_run"`` or ``"rebuilt"``.
    """
    connection = on_server(schema, changing=not dry_run)
    connection.catalog.forget(schema.name)
    structures = connection.catalog.tables(schema.name)
    # of hidden tables, only job queues (~~…) have attributes that others know
    known = [t for n, t in structures.items() if n.startswith("~~") or not n.startswith("~")]
    rows = [row for table in known for row in lineage_rows(table)]
    status = "dry_run" if dry_run else "rebuilt"
    tell(f"{len(rows)} origins of attributes written for {schema.name}", dry_run=dry_run)
    if not dry_run and rows:
        place = TableName(schema.name, "~lineage")
        # the table is made before the transaction, which its making would end
        create, *_ = connection.dialect.record_lineage(schema.name, rows)
        connection.run(create)

        def write() -> None:
            connection.query(f"DELETE FROM {connection.dialect.table(place)}")
            for statement in connection.dialect.record_lineage(schema.name, rows, has_table=True):
                connection.run(statement)

        connection.retried(write)
        connection.catalog.forget(schema.name)
    return {
        "tables_analyzed": len(tables_of_schema(connection, schema.name)),
        "lineage_entries": len(rows),
        "status": status,
    }


def add_job_metadata_columns(target: Schema | type[Table] | Table, dry_run: bool = True) -> dict[str, Any]:
    """Add the hidden attributes on when and how a row was computed to tables that were declared without them.

    Rows that are there keep them empty. A DataJoint program that runs must be started again to see them.

    Parameters
    ----------
    target
        A schema, for all of its Imported and Computed tables, or one table or its class.
    dry_run
        Whether only to tell what would be done.

    Returns
    -------
    dict
        ``tables_analyzed``, ``tables_modified`` and ``columns_added`` (in a dry run: that would be), and
        ``details``, of each table ``table``, ``status`` (``"already_migrated"``, ``"pending"`` or
        ``"migrated"``), ``columns_added`` and ``sql_statements``.
    """
    connection, tables = tables_of(target)
    changes = add_hidden_columns(connection, tables, ("Imported", "Computed"), JOB_METADATA, dry_run=dry_run)
    details = []
    for change in changes:
        status = "already_migrated" if not change.added else "pending" if dry_run else "migrated"
        details.append({"table": change.table, "status": status, "columns_added": len(change.added)})
        if change.added:
            details[-1]["sql_statements"] = change.sql
    return {
        "tables_analyzed": len(changes) if isinstance(target, Schema) else len(tables),
        "tables_modified": sum(bool(change.added) for change in changes),
        "columns_added": sum(len(change.added) for change in changes),
        "details": details,
    }
