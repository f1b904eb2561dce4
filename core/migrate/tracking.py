"""Where the objects lie that DataJoint 0.14 put into stores, by its tables ``~external_…``.

::

    {schema}/{ab}/{cd}/{uuid}              a blob; its UUID is the MD5 of its bytes
    {schema}/{ab}/{cd}/{uuid}.{name}       an attachment; the MD5 of name, zero byte and content
    {filepath}                             a file; the MD5 of its path

Source: DataJoint 0.14, its external storage.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from dj_panel.core.connection import Connection
from dj_panel.core.errors import MissingTableError, StoreError
from dj_panel.core.migrate.columns import IN_STORE
from dj_panel.core.migrate.facts import on_server, tables_of_schema, user_columns
from dj_panel.core.schema import Schema
from dj_panel.core.store import Store, open_store
from dj_panel.core.structure import TableName

__all__ = ["PREFIX", "Places", "Tracked", "check_store_configuration", "tracked", "verify_external_integrity"]

PREFIX = "~external_"
_FOLDS = (2, 2)


class Tracked(NamedTuple):
    """A row of a table ``~external_…``."""

    hash: bytes
    size: int | None
    attachment_name: str | None
    filepath: str | None
    timestamp: Any

    @property
    def kind(self) -> str:
        """What kind of object it is."""
        return "filepath" if self.filepath else "attach" if self.attachment_name else "blob"


class Places:
    """Finds the objects of a schema in a store.

    Parameters
    ----------
    store
        The store.
    schema
        The schema whose folder is looked into first; that of a copied schema has another's name.
    """

    def __init__(self, store: Store, schema: str) -> None:
        self._store = store
        self._first = schema
        self._others: list[str] | None = None
        self._found: dict[bytes, tuple[str, int]] = {}

    def find(self, entry: Tracked) -> tuple[str, int] | None:
        """Return the path and the bytes of an object, or ``None`` if it is nowhere; what was found is kept."""
        if entry.hash not in self._found:
            path = next((path for path in self.candidates(entry) if self._store.exists(path)), None)
            if path is None:
                return None
            self._found[entry.hash] = (path, self._store.size(path))
        return self._found[entry.hash]

    def candidates(self, entry: Tracked) -> Iterator[str]:
        """Yield the paths at which an object may be, the likeliest first."""
        if entry.filepath:
            yield entry.filepath
            return
        name = uuid.UUID(bytes=entry.hash).hex
        folds, start = [], 0
        for width in self._store.spec.get("subfolding") or _FOLDS:
            folds.append(name[start : start + width])
            start += width
        end = "/".join([*folds, f"{name}.{entry.attachment_name}" if entry.attachment_name else name])
        yield f"{self._first}/{end}"
        if self._others is None:
            self._others = [each for each in self._store.sections() if each != self._first]
        yield from (f"{folder}/{end}" for folder in self._others)

    def problem(self, entry: Tracked) -> str:
        """Return what is wrong with an object; nothing if it is there, and as long as it is said to be."""
        found = self.find(entry)
        if found is None:
            name = entry.filepath or uuid.UUID(bytes=entry.hash).hex
            return f"the store '{self._store.name}' has no object {name}"
        path, size = found
        if entry.size is not None and size != entry.size:
            return f"the object {path} has {size} bytes, and {entry.size} were stored"
        return ""


def tracked(connection: Connection, schema: str, store: str) -> dict[bytes, Tracked]:
    """Return the rows of a table ``~external_…`` by their UUID.

    Raises
    ------
    MissingTableError
        If the schema has no such table.
    """
    if PREFIX + store not in tables_of_schema(connection, schema, hidden=True):
        raise MissingTableError(
            f"The schema {schema} has no table {PREFIX}{store}, which names the objects that its columns refer to."
            " Restore it from a backup."
        )
    rows = connection.rows_of(
        "SELECT hash, size, attachment_name, filepath, timestamp"
        f" FROM {connection.dialect.table(TableName(schema, PREFIX + store))}",
        (),
    )
    return {
        bytes(row[0]): Tracked(bytes(row[0]), row[1], row[2] or None, row[3] or None, row[4]) for row in rows
    }


def _stores_of(connection: Connection, schema: str) -> list[str]:
    """Return the names of the stores that columns and tables ``~external_…`` of a schema name."""
    marks = (IN_STORE.match(column.comment) for column in user_columns(connection, schema))
    tables = tables_of_schema(connection, schema, hidden=True)
    named = [t.removeprefix(PREFIX) for t in tables if t.startswith(PREFIX) and t != PREFIX]
    return sorted({*(mark["store"] for mark in marks if mark), *named})


def check_store_configuration(schema: Schema) -> dict[str, list[Any]]:
    """Tell whether the stores that a schema refers to are configured and can be reached.

    Parameters
    ----------
    schema
        The schema.

    Returns
    -------
    dict
        ``stores_configured``, ``stores_missing``, ``stores_unreachable``, and ``details``: of each ``store``, its
        ``status`` (``"configured"``, ``"missing"``, ``"unreachable"``), ``location``, ``protocol``, and ``error``.
    """
    connection = on_server(schema)
    result: dict[str, list[Any]] = {
        "stores_configured": [],
        "stores_missing": [],
        "stores_unreachable": [],
        "details": [],
    }
    for name in _stores_of(connection, schema.name):
        detail = {"store": name, "status": "configured", "location": None, "protocol": None}
        try:
            store = open_store(connection.settings, name)
            detail |= {"location": store.spec.get("location"), "protocol": store.protocol}
        except StoreError as error:
            detail |= {"status": "missing", "error": str(error)}
        else:
            try:
                store.sections()
            except StoreError as error:
                detail |= {"status": "unreachable", "error": str(error)}
        result[f"stores_{detail['status']}"].append(name)
        result["details"].append(detail)
    return result


def verify_external_integrity(schema: Schema, store_name: str | None = None) -> dict[str, Any]:
    """Look for every object that DataJoint 0.14 put into a schema's stores.

    Parameters
    ----------
    schema
        The schema.
    store_name
        The store; all of the schema's if not given.

    Returns
    -------
    dict
        ``total_references``, ``valid``, ``stores_checked``, and ``missing``: of each object that is not there, or not
        of the length that was stored, ``store``, ``hash``, ``filepath``, ``full_path``, ``expected_size`` and
        ``problem``.

    Raises
    ------
    StoreError
        If a store is not configured or cannot be reached.
    """
    connection = on_server(schema)
    tables = tables_of_schema(connection, schema.name, hidden=True)
    names = [store_name] if store_name else [t.removeprefix(PREFIX) for t in tables if t.startswith(PREFIX)]
    result: dict[str, Any] = {"total_references": 0, "valid": 0, "missing": [], "stores_checked": []}
    for name in names:
        store = open_store(connection.settings, name)
        places = Places(store, schema.name)
        for entry in tracked(connection, schema.name, name).values():
            result["total_references"] += 1
            problem = places.problem(entry)
            if not problem:
                result["valid"] += 1
                continue
            result["missing"].append(
                {
                    "store": name,
                    "hash": entry.hash.hex().upper(),
                    "filepath": entry.filepath,
                    "full_path": store.url(next(places.candidates(entry))),
                    "expected_size": entry.size,
                    "problem": problem,
                }
            )
        result["stores_checked"].append(name)
    return result
