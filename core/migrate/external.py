"""Columns that refer into stores: from the UUIDs of DataJoint 0.14 to the JSON of version 2.

It takes two steps, so that what was written can be looked at while the old column is still in its place. The first
adds a column ``<name>_v2`` and fills it; the second gives it the old one's name, and the old one the name
``<name>_v1``, which stays.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection
from functools import cached_property
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.dialect.protocol import json_text
from dj_panel.core.errors import DataJointError, DefinitionError, IntegrityError
from dj_panel.core.migrate.columns import IN_STORE
from dj_panel.core.migrate.facts import Column, on_server, user_columns
from dj_panel.core.migrate.tracking import Places, Tracked, tracked
from dj_panel.core.retrofit import tell
from dj_panel.core.schema import Schema
from dj_panel.core.store import Store, open_store
from dj_panel.core.storepath import hash_path
from dj_panel.core.structure import TableName

__all__ = ["migrate_external", "migrate_external_pointers_v2", "migrate_filepath"]

_N_SHOWN = 5


class _Reference:
    """One column that refers into a store, and what becomes of it.

    Parameters
    ----------
    connection
        The connection.
    schema
        The schema's name.
    column
        The column.
    source, target
        The names of the store that the objects lie in, and of that which the new references name; those of the
        column's mark if not given.
    copies
        Whether the objects are copied from the one into the other.
    """

    def __init__(
        self, connection: Connection, schema: str, column: Column, source: str = "", target: str = "", *,
        copies: bool = False,
    ) -> None:  # fmt: skip
        mark = IN_STORE.match(column.comment)
        if mark is None:
            raise ValueError(f"{column.name} has no mark of DataJoint 0.14.")
        self._connection, self._column = connection, column
        self._name = TableName(schema, column.table)
        self.kind = mark["kind"].lower()
        self.store = source or mark["store"]
        self.target = target or self.store
        self._copies = copies
        self._comment = f":<{self.kind}@{self.target}>:{column.comment[mark.end() :]}"
        self.new, self.kept = f"{column.name}_v2", f"{column.name}_v1"
        self.label = f"{schema}.{column.table}.{column.name}"

    # ------------------------------------------------------------------ what there is
    def _sql(self, text: str) -> str:
        quote = self._connection.dialect.quote
        return text.format(
            table=self._connection.dialect.table(self._name), old=quote(self._column.name), new=quote(self.new),
            kept=quote(self.kept),
        )  # fmt: skip

    def _count(self, condition: str) -> int:
        sql = self._sql(f"SELECT COUNT(*) FROM {{table}} WHERE {condition}")
        return int(self._connection.query(sql).fetchone()[0])

    def _columns(self) -> dict[str, Column]:
        return {c.name: c for c in user_columns(self._connection, self._name.schema, self._name.table)}

    def has_new(self) -> bool:
        """Tell whether the new column is there.

        Raises
        ------
        DefinitionError
            If a column of its name is something else.
        """
        found = self._columns().get(self.new)
        if found is not None and found.comment != self._comment:
            raise DefinitionError(
                f"{self.label}: there is a column '{self.new}' already, and not from an earlier run. Rename it with"
                " alter() first."
            )
        return found is not None

    def n_rows(self) -> int:
        """Return the number of rows that refer to an object and whose reference is not yet written."""
        return self._count("{old} IS NOT NULL" + (" AND {new} IS NULL" if self.has_new() else ""))

    # ------------------------------------------------------------------ what it refers to
    @cached_property
    def source_store(self) -> Store:
        """The store that the objects lie in."""
        return open_store(self._connection.settings, self.store)

    @cached_property
    def target_store(self) -> Store:
        """The store that the new references name."""
        return open_store(self._connection.settings, self.target)

    @cached_property
    def _places(self) -> Places:
        return Places(self.source_store, self._name.schema)

    def entries(self) -> list[tuple[Tracked, str, int]]:
        """Return every object that the column refers to, its path and its bytes.

        Raises
        ------
        IntegrityError
            If one is not known, not there, or not of the length that was stored.
        """
        if self._column.plain_type != "binary(16)":
            raise DefinitionError(
                f"{self.label}: a column of the type {self._column.type} is marked as a reference of DataJoint 0.14,"
                " which are binary(16). Give it another comment if it is something else."
            )
        known = tracked(self._connection, self._name.schema, self.store)
        found, problems = [], []
        for (value,) in self._connection.query(
            self._sql("SELECT DISTINCT {old} FROM {table} WHERE {old} IS NOT NULL")
        ):
            entry = known.get(bytes(value))
            problem = self._places.problem(entry) if entry else f"~external_{self.store} has no {value.hex()}"
            if entry and not problem and entry.kind != self.kind:
                problem = f"~external_{self.store} has {value.hex()} as {entry.kind}"
            place = self._places.find(entry) if entry and not problem else None
            if entry is None or place is None:
                problems.append(problem)
            else:
                found.append((entry, *place))
        if problems:
            shown = "; ".join(problems[:_N_SHOWN]) + ("; …" if len(problems) > _N_SHOWN else "")
            raise IntegrityError(
                f"{self.label}: {len(problems)} of {len(problems) + len(found)} references lead nowhere: {shown}."
                " Restore these objects, or delete their rows. Nothing was changed."
            )
        return found

    def reference(self, entry: Tracked, path: str, size: int) -> dict[str, Any]:
        """Return the new reference to an object; nothing is read or written."""
        if self.kind == "filepath":
            stamp = entry.timestamp.isoformat() if entry.timestamp else None
            return {"path": path, "store": self.target, "size": size, "is_dir": False, "timestamp": stamp}
        digest = base64.b32encode(entry.hash).decode().rstrip("=").lower()
        if self.kind == "attach":
            # version 2 stores the name before the content, and 0.14 had it in the object's name alone
            size += len((entry.attachment_name or "").encode()) + 1
        if self.kind == "attach" or self._copies:
            spec = self.target_store.spec
            prefix, folds = spec.get("hash_prefix", "_hash"), spec.get("subfolding")
            path = hash_path(digest, self._name.schema, hash_prefix=prefix, subfolding=folds)
        return {
            "hash": digest,
            "path": path,
            "schema": self._name.schema,
            "store": self.target,
            "size": size,
        }

    def _references(self) -> dict[bytes, dict[str, Any]]:
        return {entry.hash: self.reference(entry, path, size) for entry, path, size in self.entries()}

    def _put(self, entry: Tracked, path: str, reference: dict[str, Any]) -> bool:
        """Make the object of a new reference, if it is to be another; return whether it was."""
        if path == reference["path"] and not self._copies:
            return False
        if self.kind == "filepath":
            if self.target_store.url(path) != self.source_store.url(path):
                if self.target_store.exists(path):
                    content = self.target_store.get_bytes(path)
                    if content != self.source_store.get_bytes(path):
                        raise IntegrityError(
                            f"{self.label}: the store '{self.target}' has another file at '{path}'. Nothing was"
                            " changed in the table."
                        )
                    return False
                self.target_store.copy_from(self.source_store, path, path)
                return True
            return False
        content = self.source_store.get_bytes(path)
        if self.kind == "attach":
            content = (entry.attachment_name or "").encode() + b"\0" + content
        if hashlib.md5(content, usedforsecurity=False).digest() != entry.hash:
            raise IntegrityError(
                f"{self.label}: the object '{path}' in the store '{self.store}' has other content than was stored."
                " Restore it from a backup. Nothing was changed in the table."
            )
        target = reference["path"]
        if self.target_store.exists(target) and self.target_store.get_bytes(target) == content:
            return False
        self.target_store.put_bytes(target, content)
        return True

    # ------------------------------------------------------------------ the two steps
    def make_objects(self) -> int:
        """Write the objects that the new references name and that are not there; return how many."""
        return sum(
            self._put(entry, path, self.reference(entry, path, size)) for entry, path, size in self.entries()
        )

    def fill(self) -> int:
        """Write the new references beside the old, whose objects are there; return the number of rows.

        First comes the column, then, in one transaction, the rows: wherever it breaks off, it can be run again.
        """
        connection, dialect = self._connection, self._connection.dialect
        references = self._references()
        if not self.has_new():
            comment = dialect.literal(self._comment)
            sql = (
                f"ALTER TABLE {{table}} ADD COLUMN {{new}} JSON NULL COMMENT {_braced(comment)} AFTER {{old}}"
            )
            connection.query(self._sql(sql))
            connection.catalog.forget(self._name.schema)
        # A column that the server sets at every update would lose what it holds.
        kept = [c.name for c in self._columns().values() if "on update" in c.extra.lower()]
        also = "".join(f", {_braced(dialect.quote(n))} = {_braced(dialect.quote(n))}" for n in kept)
        update = self._sql(f"UPDATE {{table}} SET {{new}} = %s{also} WHERE {{old}} = %s AND {{new}} IS NULL")

        def write() -> int:
            n_rows = sum(
                int(connection.query(update, (json_text(reference), value)).rowcount)
                for value, reference in references.items()
            )
            self._compare(references)
            return n_rows

        return connection.retried(write)

    def _compare(self, references: dict[bytes, dict[str, Any]]) -> None:
        """Raise if a row has an old reference and no new one, or one to something else."""
        sql = self._sql("SELECT DISTINCT {old}, {new} FROM {table} WHERE {old} IS NOT NULL")
        for value, text in self._connection.query(sql):
            said = json.loads(text) if text is not None else None
            expected = references.get(bytes(value))
            if said is None or expected is None or said != expected:
                raise IntegrityError(
                    f"{self.label}: a row refers to {value.hex()} and '{self.new}' says {text!r}, as if another"
                    " program had written meanwhile. Run the first step again, or correct that row."
                )

    def check_new(self) -> None:
        """Raise if the new column cannot take the place of the old."""
        if self.kept in self._columns():
            raise DefinitionError(f"{self.label}: there is a column '{self.kept}' already. Rename it first.")
        if not self.has_new():
            raise DefinitionError(
                f"{self.label}: there is no column '{self.new}' yet. Run the first step, without finalize."
            )
        self._compare(self._references())

    def finalize(self) -> None:
        """Put the new column in the place of the old, which is kept beside it; both in one statement."""
        self.check_new()
        connection = self._connection
        rule = "NULL" if self._column.is_nullable else "NOT NULL"
        comment = _braced(connection.dialect.literal(self._comment))
        old = f"':uuid:reference of DataJoint 0.14 into ~external_{self.store}'"
        sql = (
            f"ALTER TABLE {{table}} CHANGE COLUMN {{old}} {{kept}} binary(16) NULL DEFAULT NULL COMMENT {old},"
            f" CHANGE COLUMN {{new}} {{old}} JSON {rule} COMMENT {comment}"
        )
        try:
            connection.query(self._sql(sql))
        finally:
            connection.catalog.forget(self._name.schema)
        n_left = self._count("{kept} IS NOT NULL AND {old} IS NULL")
        if n_left:
            raise IntegrityError(
                f"{self.label}: {n_left} rows were written while the columns changed places, and what they refer to is in"
                f" '{self.kept}' alone. Nothing is lost: put it in with update1(), and let nothing write meanwhile."
            )


def _braced(text: str) -> str:
    """Return text such that ``format`` leaves it as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def _migrate(schema: Schema, kinds: Collection[str], *, dry_run: bool, finalize: bool) -> dict[str, Any]:
    connection = on_server(schema, changing=not dry_run)
    marks = [(c, IN_STORE.match(c.comment)) for c in user_columns(connection, schema.name)]
    found = [
        _Reference(connection, schema.name, c) for c, mark in marks if mark and mark["kind"].lower() in kinds
    ]
    # Whether all is as it must be is known before the first of them is changed.
    n_objects = {each.label: len(each.entries()) for each in found}
    for each in found if finalize else ():
        each.check_new()
    for each in () if finalize or dry_run else found:
        each.make_objects()
    result: dict[str, Any] = {
        "columns_found": len(found),
        "columns_migrated": 0,
        "rows_migrated": 0,
        "details": [],
    }
    for each in found:
        table, _, column = each.label.rpartition(".")
        detail: dict[str, Any] = {"table": table, "column": column, "store": each.store, "type": each.kind}
        detail["action"] = "finalize" if finalize else "migrate"
        n_rows = each.n_rows()
        if finalize:
            detail |= {"rows": 0, "status": "dry_run" if dry_run else "finalized"}
            if not dry_run:
                each.finalize()
        elif n_rows == 0 and each.has_new():
            detail |= {"rows": 0, "status": "already_migrated"}
        else:
            detail |= {"rows": n_rows if dry_run else each.fill()}
            detail["status"] = "dry_run" if dry_run else "migrated"
        if detail["status"] in ("finalized", "migrated"):
            result["columns_migrated"] += 1
            result["rows_migrated"] += detail["rows"]
        tell(
            f"{detail['action']} {each.label}: {detail['rows']} rows, {n_objects[each.label]} objects",
            dry_run=dry_run,
        )
        result["details"].append(detail)
    return result


def migrate_external(schema: Schema, dry_run: bool = True, finalize: bool = False) -> dict[str, Any]:
    """Turn columns ``blob@store`` and ``attach@store`` of DataJoint 0.14 into ``<blob@store>`` and ``<attach@store>``.

    The objects of blobs stay where they are. Those of attachments are written once more, as version 2 names them;
    the old ones stay too. The first step, without ``finalize``, writes ``<column>_v2``; look at it, then finalize.

    Parameters
    ----------
    schema
        The schema; its stores must be configured where they were.
    dry_run
        Whether only to tell what would be done.
    finalize
        Whether to put the new columns in the place of the old, which are kept as ``<column>_v1``.

    Returns
    -------
    dict
        ``columns_found``, ``columns_migrated``, ``rows_migrated``, and ``details``, of each column ``table``,
        ``column``, ``store``, ``type``, ``action``, ``rows`` and ``status`` (``"dry_run"``, ``"migrated"``,
        ``"already_migrated"`` or ``"finalized"``).

    Raises
    ------
    IntegrityError
        If an object is missing or has changed; nothing is done then, in a dry run neither.
    """
    return _migrate(schema, ("blob", "attach"), dry_run=dry_run, finalize=finalize)


def migrate_filepath(schema: Schema, dry_run: bool = True, finalize: bool = False) -> dict[str, Any]:
    """Turn columns ``filepath@store`` of DataJoint 0.14 into ``<filepath@store>``; the files stay where they are.

    Parameters, steps and results are those of :func:`migrate_external`.
    """
    return _migrate(schema, ("filepath",), dry_run=dry_run, finalize=finalize)


def migrate_external_pointers_v2(
    schema: str,
    table: str,
    attribute: str,
    source_store: str,
    dest_store: str,
    copy_files: bool = False,
    connection: Connection | None = None,
) -> dict[str, Any]:
    """Turn one column into one of version 2 that refers into another store, both steps at once.

    It is made for a copy of a schema (:func:`create_parallel_schema`), in which nobody works yet. It is not dry.

    Parameters
    ----------
    schema, table, attribute
        The column.
    source_store
        The store of version 0.14, as the column's mark names it; its ``~external_…`` must be there.
    dest_store
        The store that the references are to name. Without ``copy_files`` it must be configured at the same place.
    copy_files
        Whether to copy the objects into it.
    connection
        The connection; the process's if not given.

    Returns
    -------
    dict
        ``rows_migrated``, ``files_copied``, and ``errors``, which is empty: whatever is wrong is raised before
        anything is changed.
    """
    connection = on_server(connection, changing=True)
    columns = user_columns(connection, schema)
    column = next((c for c in columns if (c.table, c.name) == (table, attribute)), None)
    mark = IN_STORE.match(column.comment) if column else None
    if column is None or mark is None or mark["store"] != source_store:
        raise DataJointError(
            f"{schema}.{table}.{attribute} is not a column of DataJoint 0.14 that refers into '{source_store}'."
        )
    # without copies, the objects are looked for where the new references will say that they are
    known = source_store if copy_files else dest_store
    reference = _Reference(connection, schema, column, source_store, dest_store, copies=copy_files)
    reference.source_store = open_store(connection.settings, known)
    n_files = reference.make_objects()
    n_rows = reference.fill()
    reference.finalize()
    return {"rows_migrated": n_rows, "files_copied": n_files if copy_files else 0, "errors": []}
