"""Columns that DataJoint 0.14 left without a mark of their type get one; what they hold stays as it is."""

from __future__ import annotations

import logging
import re
from typing import Any

from dj_panel.core.codec import get_codec
from dj_panel.core.connection import Connection
from dj_panel.core.dialect.protocol import Statement
from dj_panel.core.errors import DataJointError, DefinitionError, UnknownCodecError
from dj_panel.core.migrate.facts import Column, definitions, on_server, tables_of_schema, user_columns
from dj_panel.core.retrofit import shown_sql, tell
from dj_panel.core.schema import Schema
from dj_panel.core.structure import TableName

__all__ = [
    "IN_STORE",
    "analyze_blob_columns",
    "analyze_columns",
    "check_migration_status",
    "generate_migration_sql",
    "migrate_blob_columns",
    "migrate_columns",
    "verify_schema_v20",
]

logger = logging.getLogger("dj_panel")

IN_STORE = re.compile(r":(?P<kind>blob|attach|filepath)@(?P<store>[A-Za-z][\w-]*):", re.IGNORECASE)
"""The mark of a column that refers into a store."""
_IN_COLUMN = re.compile(r":(?P<kind>blob|attach):", re.IGNORECASE)
_MARK = re.compile(r":(?P<type>[^:]+):")
_BLOB = re.compile(r"(tiny|medium|long)?blob")
_MAX_COMMENT = 1024

# DataJoint 2 has no unsigned types: they get the name of the next that holds all of their values.
_CORE_TYPES = {
    "tinyint": "int8", "smallint": "int16", "mediumint": "int32", "int": "int32", "bigint": "int64",
    "tinyint unsigned": "int16", "smallint unsigned": "int32", "mediumint unsigned": "int32",
    "int unsigned": "int64", "bigint unsigned": "int64", "float": "float32", "double": "float64",
}  # fmt: skip


def analyze_columns(schema: Schema) -> dict[str, list[dict[str, Any]]]:
    """Tell which columns need a mark of their type.

    Parameters
    ----------
    schema
        The schema.

    Returns
    -------
    dict
        ``needs_migration``; ``already_migrated``; ``external_storage``, for :func:`migrate_external` and
        :func:`migrate_filepath`; ``refused``, which cannot be marked, with the ``reason``. Of each column
        ``table`` (with its schema), ``column``, ``native_type``, ``core_type``, ``comment``, ``is_nullable``.
        Columns of types that need no mark, such as texts and dates, are in none of them.
    """
    connection = on_server(schema)
    found: dict[str, list[dict[str, Any]]] = {
        "needs_migration": [],
        "already_migrated": [],
        "external_storage": [],
        "refused": [],
    }
    for column in user_columns(connection, schema.name):
        described = {
            "table": f"{schema.name}.{column.table}",
            "column": column.name,
            "native_type": column.type,
            "comment": column.comment,
            "is_nullable": column.is_nullable,
            "core_type": None,
        }
        if IN_STORE.match(column.comment):
            found["external_storage"].append({**described, "reason": "external_storage"})
            continue
        in_column = _IN_COLUMN.match(column.comment)
        if column.comment.startswith(":") and not (in_column and _BLOB.fullmatch(column.plain_type)):
            match = _MARK.match(column.comment)
            found["already_migrated"].append({**described, "core_type": match["type"] if match else None})
            continue
        core, reason = _core_type(connection, TableName(schema.name, column.table), column)
        if core is not None:
            group = "refused" if reason else "needs_migration"
            found[group].append({**described, "core_type": core} | ({"reason": reason} if reason else {}))
    return found


def _core_type(connection: Connection, table: TableName, column: Column) -> tuple[str | None, str]:
    """Return the type that a column's mark is to name, and why it cannot."""
    old = _IN_COLUMN.match(column.comment)
    if _BLOB.fullmatch(column.plain_type):
        core: str | None = f"<{old['kind'].lower()}>" if old else "<blob>"
    elif column.plain_type == "tinyint(1)":
        core = "int8" if _has(connection, table, column, "NOT IN (0, 1)") else "bool"
    else:
        core = _CORE_TYPES.get(column.plain_type)
    if core is None:
        return None, ""
    if "GENERATED" in column.extra.upper():
        return core, "the server computes it from other columns"
    if column.plain_type == "bigint unsigned" and _has(connection, table, column, f"> {2**63 - 1}"):
        return core, "it holds numbers from 2**63 on, which int64 does not; make it a decimal(20,0)"
    if len(_marked(column.comment, core)) > _MAX_COMMENT:
        return core, f"its comment has no room for the mark: a comment ends at {_MAX_COMMENT} characters"
    return core, ""


def _has(connection: Connection, table: TableName, column: Column, condition: str) -> bool:
    place, name = connection.dialect.table(table), connection.dialect.quote(column.name)
    return connection.query(f"SELECT 1 FROM {place} WHERE {name} {condition} LIMIT 1").fetchone() is not None


def _marked(comment: str, core: str) -> str:
    old = _IN_COLUMN.match(comment)
    return f":{core}:{comment[old.end() :] if old else comment}"


def migrate_columns(schema: Schema, dry_run: bool = True) -> dict[str, Any]:
    """Mark the columns that need it with their type; the values are not touched.

    Parameters
    ----------
    schema
        The schema.
    dry_run
        Whether only to tell what would be done.

    Returns
    -------
    dict
        ``columns_analyzed``, ``columns_migrated``, ``columns_skipped``, ``sql_statements``, and ``details``, of
        each column ``table``, ``column``, ``native_type``, ``core_type`` and ``status`` (``"dry_run"``,
        ``"migrated"``, or ``"refused"`` with its ``reason``).
    """
    connection = on_server(schema, changing=not dry_run)
    found = analyze_columns(schema)
    wanted = {(c["table"], c["column"]): c["core_type"] for c in found["needs_migration"]}
    columns = {(f"{schema.name}.{c.table}", c.name): c for c in user_columns(connection, schema.name)}
    statements = _markings(connection, schema.name, {columns[place]: core for place, core in wanted.items()})
    result: dict[str, Any] = {
        "columns_analyzed": sum(map(len, found.values())),
        "columns_migrated": 0,
        "columns_skipped": sum(map(len, found.values())) - len(wanted),
        "sql_statements": [shown_sql(s) for s in statements.values()],
        "details": [],
    }
    for each in found["needs_migration"]:
        column = columns[each["table"], each["column"]]
        statement = statements[column]
        if not dry_run:
            _run_and_compare(connection, schema.name, column, statement)
            result["columns_migrated"] += 1
        tell(shown_sql(statement), dry_run=dry_run)
        result["details"].append(_detail(each, "dry_run" if dry_run else "migrated"))
    for each in found["refused"]:
        logger.warning("%s.%s is left as it is: %s", each["table"], each["column"], each["reason"])
        result["details"].append({**_detail(each, "refused"), "reason": each["reason"]})
    return result


def _detail(column: dict[str, Any], status: str) -> dict[str, Any]:
    return {n: column[n] for n in ("table", "column", "native_type", "core_type")} | {"status": status}


def _markings(connection: Connection, schema: str, wanted: dict[Column, str]) -> dict[Column, Statement]:
    """Return the statements that give columns their marks."""
    dialect = connection.dialect
    known = {table: definitions(connection, TableName(schema, table)) for table in {c.table for c in wanted}}
    found = {}
    for column, core in wanted.items():
        name, text = TableName(schema, column.table), known[column.table].get(column.name)
        marked = _marked(column.comment, core)
        if text is None:
            raise DefinitionError(
                f"{name}.{column.name}: what the server says of this column cannot be read, so that it is left as it"
                f" is. Set its comment to {marked!r} yourself."
            )
        found[column] = Statement(
            f"ALTER TABLE {dialect.table(name)} MODIFY COLUMN {dialect.quote(column.name)}"
            f" {dialect.verbatim(text)} COMMENT {dialect.literal(marked)}"
        )
    return found


def _run_and_compare(connection: Connection, schema: str, before: Column, statement: Statement) -> None:
    try:
        connection.run(statement)
    finally:
        connection.catalog.forget(schema)
    columns = user_columns(connection, schema, before.table)
    after = next((c for c in columns if c.name == before.name), None)
    if after is None or after._replace(comment="") != before._replace(comment=""):
        raise DataJointError(
            f"{schema}.{before.table}.{before.name} was to get a mark and became another column: {before} was"
            f" changed to {after}. Its values are there. Nothing else was changed after it."
        )


# ---------------------------------------------------------------------- blobs alone
def analyze_blob_columns(schema: Schema) -> list[dict[str, Any]]:
    """Tell of each blob column whether its type is marked.

    Parameters
    ----------
    schema
        The schema.

    Returns
    -------
    list of dict
        ``table_name`` (with its schema), ``column_name``, ``column_type``, ``current_comment``,
        ``needs_migration``, ``is_nullable``.
    """
    return [
        {
            "table_name": f"{schema.name}.{column.table}",
            "column_name": column.name,
            "column_type": column.type,
            "current_comment": column.comment,
            "needs_migration": not column.comment.startswith(":"),
            "is_nullable": column.is_nullable,
        }
        for column in user_columns(on_server(schema), schema.name)
        if _BLOB.fullmatch(column.plain_type)
    ]


def _blob_statements(schema: Schema, target_type: str) -> list[tuple[Column, Statement]]:
    connection = on_server(schema)
    try:
        get_codec(target_type)
    except UnknownCodecError as error:
        raise DefinitionError(
            f"There is no codec <{target_type}> to read these columns with. {error}"
        ) from error
    wanted = {
        column: f"<{target_type}>"
        for column in user_columns(connection, schema.name)
        if _BLOB.fullmatch(column.plain_type) and not column.comment.startswith(":")
    }
    return list(_markings(connection, schema.name, wanted).items())


def generate_migration_sql(schema: Schema, target_type: str = "blob", dry_run: bool = True) -> list[str]:
    """Return the statements that mark the blob columns that are not marked; nothing is run.

    Parameters
    ----------
    schema
        The schema.
    target_type
        The codec that they are marked with.
    dry_run
        Without a meaning, as in DataJoint.
    """
    del dry_run
    return [shown_sql(statement) for _, statement in _blob_statements(schema, target_type)]


def migrate_blob_columns(schema: Schema, target_type: str = "blob", dry_run: bool = True) -> dict[str, Any]:
    """Mark the blob columns that are not marked; the values are not touched.

    Parameters
    ----------
    schema
        The schema.
    target_type
        The codec that they are marked with.
    dry_run
        Whether only to tell what would be done.

    Returns
    -------
    dict
        ``analyzed``, ``needs_migration``, ``migrated``, ``sql_statements``.
    """
    connection = on_server(schema, changing=not dry_run)
    statements = _blob_statements(schema, target_type)
    result: dict[str, Any] = {
        "analyzed": len(analyze_blob_columns(schema)),
        "needs_migration": len(statements),
        "migrated": 0,
        "sql_statements": [shown_sql(statement) for _, statement in statements],
    }
    for column, statement in statements:
        if not dry_run:
            _run_and_compare(connection, schema.name, column, statement)
            result["migrated"] += 1
        tell(shown_sql(statement), dry_run=dry_run)
    return result


def check_migration_status(schema: Schema) -> dict[str, Any]:
    """Tell how far the marking of blob columns is.

    Parameters
    ----------
    schema
        The schema.

    Returns
    -------
    dict
        ``total_blob_columns``, ``migrated``, ``pending``, and ``columns`` as :func:`analyze_blob_columns` tells
        them.
    """
    columns = analyze_blob_columns(schema)
    pending = sum(column["needs_migration"] for column in columns)
    return {
        "total_blob_columns": len(columns),
        "migrated": len(columns) - pending,
        "pending": pending,
        "columns": columns,
    }


def verify_schema_v20(schema: str, connection: Connection | None = None) -> dict[str, Any]:
    """Tell whether a schema is one of DataJoint 2.

    Parameters
    ----------
    schema
        Its name.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``compatible``, ``blob_markers`` (all blobs have theirs), ``lineage_exists``, and ``issues``: what is left
        to do, as texts.
    """
    connection = on_server(connection)
    issues, has_markers = [], True
    for column in user_columns(connection, schema):
        place = f"{column.table}.{column.name}"
        is_blob = _BLOB.fullmatch(column.plain_type)
        if is_blob and (not column.comment.startswith(":") or _IN_COLUMN.match(column.comment)):
            has_markers = False
            issues.append(f"{place}: no mark of version 2 in the comment; migrate_columns() gives one")
        mark = IN_STORE.match(column.comment)
        if mark:
            step = "migrate_filepath" if mark["kind"].lower() == "filepath" else "migrate_external"
            issues.append(f"{place}: refers into a store as version 0.14 did; {step}() changes that")
    return {
        "compatible": not issues,
        "blob_markers": has_markers,
        "lineage_exists": "~lineage" in tables_of_schema(connection, schema, hidden=True),
        "issues": issues,
    }
