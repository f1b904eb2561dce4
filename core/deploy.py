"""What a deployment does to tables that are there already; each of it may be repeated at every deployment.

Source: DataJoint 2.3, ``datajoint.deploy``.
"""

from __future__ import annotations

from typing import Any

from dj_panel.core.declare import PROVENANCE
from dj_panel.core.errors import DataJointError
from dj_panel.core.retrofit import add_hidden_columns, tables_of
from dj_panel.core.schema import Schema
from dj_panel.core.table import Table

__all__ = ["add_prov_column", "set_replica_identity"]


def add_prov_column(target: Schema | type[Table] | Table, dry_run: bool = True) -> dict[str, Any]:
    """Add the hidden attribute ``_prov`` to Manual tables that were declared without it.

    Where ``provenance.capture`` is set, rows that enter a table with this attribute say where they come from.
    Rows that are there keep it empty. Other tables are left alone: what a computation rests on, its foreign
    keys say. A DataJoint program that runs must be started again to see the attribute.

    Parameters
    ----------
    target
        A schema, for all of its Manual tables, or one table or its class.
    dry_run
        Whether only to tell what would be done.

    Returns
    -------
    dict
        ``tables_analyzed``, ``tables_modified``, ``columns_added``; ``ddl``, the statements; ``details``, of
        each table ``table`` and ``status`` (``"already_present"``, ``"pending"`` or ``"added"``). What a dry run
        would do is in the last two alone.

    Raises
    ------
    DataJointError
        If the target is neither a schema nor a table.
    """
    connection, tables = tables_of(target)
    result: dict[str, Any] = {
        "tables_analyzed": 0,
        "tables_modified": 0,
        "columns_added": 0,
        "ddl": [],
        "details": [],
    }
    for change in add_hidden_columns(connection, tables, ("Manual",), (PROVENANCE,), dry_run=dry_run):
        result["tables_analyzed"] += 1
        result["ddl"] += change.sql
        status = "already_present" if not change.added else "pending" if dry_run else "added"
        result["details"].append({"table": change.table, "status": status})
        if status == "added":
            result["tables_modified"] += 1
            result["columns_added"] += len(change.added)
    return result


def set_replica_identity(
    target: Schema | type[Table] | Table, mode: str = "full", dry_run: bool = True
) -> dict[str, Any]:
    """Refuse: how much of an old row is written to the log for subscribers is a setting of PostgreSQL's tables.

    DataJoint offers this for databases on PostgreSQL, which are not among those that this library opens.

    Parameters
    ----------
    target
        A schema, or one table or its class.
    mode
        ``"default"`` or ``"full"``.
    dry_run
        Whether only to tell what would be done.

    Raises
    ------
    DataJointError
        Always, and what is wrong with the arguments first.
    """
    if str(mode).lower() not in ("default", "full"):
        raise DataJointError(f"The mode is 'default' or 'full', not {mode!r}.")
    connection, tables = tables_of(target)
    said = ", ".join(map(str, tables[:3])) + (", …" if len(tables) > 3 else "")
    raise DataJointError(
        f"{'Previewing' if dry_run else 'Setting'} the replica identity of {said or 'no table'}: only PostgreSQL has"
        f" one, and this is {connection.dialect.name}. On MySQL and MariaDB the server's setting binlog_row_image"
        " (full, as it is by default) does the same for all tables."
    )
