"""Who changed which row, when, and how: kept beside the rows, written in the same transaction, never changed.

A schema gets two tables of ours when something is first noted. Their names begin with ``~``, so DataJoint does
not see them as tables of the pipeline. One holds an entry for each row that was written, with its values as
texts; large and binary values stand there as size and digest. The other holds the contents of such values, of
deleted rows only, so that these can be put back as they were. Objects in stores are not copied: a deleted row
can be put back as long as they have not been collected.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from dj_panel.core.algebra import Node, OneOf, Ordering
from dj_panel.core.changes import PUT_BACK, Action, Change, Entry, Source
from dj_panel.core.connection import Connection
from dj_panel.core.declare import build_structure
from dj_panel.core.definition import parse_definition
from dj_panel.core.errors import AccessError, OneRowError, TransactionError
from dj_panel.core.expression import U
from dj_panel.core.inserting import Inserter
from dj_panel.core.jobs import create_table
from dj_panel.core.noting import Writer, row_digest
from dj_panel.core.rows import label
from dj_panel.core.rowtexts import (
    Digest,
    content_of,
    from_json,
    key_blocks,
    noted,
    plain,
    short,
    stored_blocks,
    texts_of,
)
from dj_panel.core.structure import Heading, TableName
from dj_panel.core.table import FreeTable

__all__ = ["Change", "Digest", "Entry", "History"]

logger = logging.getLogger("dj_panel")

ENTRIES, CONTENTS = "~history", "~history_content"
_MAX_ROWS = 200
_PAGE = 1000
_N_LOOKED_AT = 500
_MAX_CHANGES = 500

_ENTRY_DEFINITION = """
# Who changed which row, when and how; entries are added and never changed
entry_id : char(32)               # in order of time
---
entry_batch : varchar(64)         # what was written together
entry_table : varchar(64)         # name of the table in this schema
entry_row : char(32)              # digest of the table and the key
entry_action : enum('insert', 'update', 'delete')
entry_time : datetime(6)          # UTC
entry_user : varchar(255)
entry_source : enum('form', 'import', 'api')
entry_reason = "" : varchar(1000)
entry_key : json
entry_before = null : json
entry_after = null : json
index (entry_row)
index (entry_batch)
"""
_CONTENT_DEFINITION = """
# Large and binary values of deleted rows, as they were stored
entry_id : char(32)
entry_attribute : varchar(64)
---
entry_content : bytes
"""


class History:
    """What was written to the tables of one schema.

    Parameters
    ----------
    connection
        The connection.
    schema
        The schema's name in the database.
    """

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._is_kept: bool | None = None

    # ------------------------------------------------------------------ writing
    def prepare(self) -> bool:
        """Create the tables if there are none; to be called before the transaction that writes rows.

        Returns
        -------
        bool
            Whether history is kept: false where this account may not create tables.
        """
        if self._is_kept is None:
            try:
                for name, definition in ((ENTRIES, _ENTRY_DEFINITION), (CONTENTS, _CONTENT_DEFINITION)):
                    self._create(TableName(self._schema, name), definition)
                self._is_kept = True
            except AccessError as error:
                logger.warning("No history is kept of the schema %s: %s", self._schema, error)
                self._is_kept = False
        return self._is_kept

    def _create(self, name: TableName, definition: str) -> None:
        catalog = self._connection.catalog
        if catalog.find(name) is not None or catalog.refreshed(name) is not None:
            return
        if self._connection.in_transaction:
            # A server may commit what was written so far when a table is created.
            raise TransactionError("Call prepare() before the transaction whose rows are to be noted.")
        structure = build_structure(name, parse_definition(definition), (), self._connection.settings)
        create_table(self._connection, structure)

    def note(
        self, changes: Iterable[Change], *, user: str, source: Source, batch: str = "", reason: str = ""
    ) -> str:
        """Note rows that are written; to be called in the transaction that writes them.

        Parameters
        ----------
        changes
            The rows, all of tables of this schema; an iterator is read a block at a time.
        user
            Who wrote them: a person, not the database account.
        source
            In which way.
        batch
            Name of what is written together; made up if not given.
        reason
            Why, in the user's words; cut off after 1000 characters.

        Returns
        -------
        str
            The batch. Nothing is noted where history cannot be kept.
        """
        batch = batch or secrets.token_hex(16)
        if self.prepare():
            writer, coming = self._writer(user, source, batch, reason), iter(changes)
            while block := list(islice(coming, _MAX_CHANGES)):
                writer.write(block)
        return batch

    def archive(
        self, table: TableName, node: Node, *, user: str, source: Source, batch: str, reason: str = ""
    ) -> int:
        """Note rows that are about to be deleted, with all their values; to be called in the same transaction.

        Parameters
        ----------
        table
            Their table.
        node
            The query of them.
        user, source, batch, reason
            As for :meth:`note`.

        Returns
        -------
        int
            How many rows there are.
        """
        if not self.prepare():
            return 0
        writer = self._writer(user, source, batch, reason)
        for rows in stored_blocks(self._connection, table, node):
            numbers = writer.write([Change(table, "delete", noted(row), are_texts=True) for row in rows])
            contents = [
                {"entry_id": number, "entry_attribute": name, "entry_content": content_of(value)}
                for number, row in zip(numbers, rows, strict=True)
                for name, value in row.items()
                if isinstance(short(value), Digest)
            ]
            self._table(CONTENTS).insert(contents)
        return writer.n_entries

    def flag(
        self, table: TableName, node: Node, *, user: str, source: Source, batch: str, reason: str
    ) -> int:
        """Note that something was changed that these rows were made from, while they stayed as they are.

        Parameters are those of :meth:`archive`.

        Returns
        -------
        int
            How many rows there are.
        """
        if not self.prepare():
            return 0
        writer = self._writer(user, source, batch, reason)
        for keys in key_blocks(self._connection, table, node):
            writer.write([Change(table, "update", key=key) for key in keys])
        return writer.n_entries

    def _writer(self, user: str, source: Source, batch: str, reason: str) -> Writer:
        entries = TableName(self._schema, ENTRIES)
        return Writer(self._connection, entries, user=user, source=source, batch=batch, reason=reason)

    def _table(self, name: str) -> FreeTable:
        return FreeTable(self._connection, TableName(self._schema, name))

    # ------------------------------------------------------------------ reading
    @property
    def is_there(self) -> bool:
        """Whether anything was ever noted in this schema."""
        return self._connection.catalog.find(TableName(self._schema, ENTRIES)) is not None

    def of_row(self, table: TableName, key: Mapping[str, Any], limit: int = 50) -> list[Entry]:
        """Return what happened to one row, the latest first.

        Parameters
        ----------
        table
            Its table.
        key
            Its primary key; values, or texts.
        limit
            How many entries at most.
        """
        if not self.is_there:
            return []
        heading = self._connection.catalog.structure(table).heading
        texts = texts_of(heading, {name: key[name] for name in heading.primary_key})
        found = self._table(ENTRIES) & {"entry_row": row_digest(table.table, texts)}
        return [self._read(row) for row in found.to_dicts(order_by="entry_id DESC", limit=limit)]

    def entered(self, table: TableName, user: str, since: datetime, limit: int) -> list[Entry]:
        """Return the rows that one person entered in forms, and that are there still, the latest first.

        A row that was deleted and put back counts if it was entered in this time, and as it was entered then.

        Parameters
        ----------
        table
            Their table.
        user
            The person.
        since
            From when on, with a zone.
        limit
            How many at most; further back than 500 entries of forms is not looked.
        """
        if not self.is_there:
            return []
        first = int(since.timestamp() * 1_000_000)
        written = OneOf(("entry_action",), (("insert", "delete"),))
        rows = self._table(ENTRIES) & {"entry_table": table.table, "entry_source": "form"} & written
        rows &= Ordering("entry_id", ">", f"{first:014x}")
        found: list[Entry] = []
        seen: set[str] = set()
        put_back: set[str] = set()
        for row in rows.to_dicts(order_by="entry_id DESC", limit=_N_LOOKED_AT):
            name, is_deleted = row["entry_row"], row["entry_action"] == "delete"
            if not is_deleted and row["entry_reason"] == PUT_BACK:
                put_back.add(name)
                continue
            if is_deleted and name in put_back:
                put_back.remove(name)  # the deletion before it is as if it had not been
                continue
            if name not in seen and not is_deleted and row["entry_user"] == user:
                found.append(self._read(row))
            seen.add(name)
        return found[:limit]

    def counts(self, batches: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return how many rows of each table were written in each of some batches."""
        rows = self._table(ENTRIES) & OneOf(("entry_batch",), (tuple(batches),))
        counted = U("entry_batch", "entry_table").aggr(rows & {"entry_action": "insert"}, number="count(*)")
        found: dict[str, dict[str, int]] = {}
        for row in counted.to_dicts():
            found.setdefault(row["entry_batch"], {})[row["entry_table"]] = int(row["number"])
        return found

    def of_batch(self, batch: str, table: TableName | None = None) -> Iterator[Entry]:
        """Yield what was written together, in the order in which it was noted, a thousand entries at a time.

        Parameters
        ----------
        batch
            Under which name.
        table
            The only table that is asked about; all of the schema if not given.
        """
        last = ""
        wanted = {"entry_batch": batch, **({} if table is None else {"entry_table": table.table})}
        while self.is_there:
            # Restricted to what follows the last one, every page costs the same.
            rows = self._table(ENTRIES) & wanted & Ordering("entry_id", ">", last)
            found = rows.to_dicts(order_by="entry_id", limit=_PAGE)
            yield from map(self._read, found)
            if len(found) < _PAGE:
                return
            last = found[-1]["entry_id"]

    def written(
        self, batch: str, table: TableName, limit: int, action: Action = "insert"
    ) -> list[dict[str, Any]]:
        """Return the primary keys of rows of a table that were written together, in the order of their writing.

        Rows that were deleted since, as far as that was noted, are left out, even where another row has such a key
        by now; and so are rows whose key the database has made.

        Parameters
        ----------
        batch
            Under which they were noted.
        table
            The table.
        limit
            How many at most.
        action
            How they were written.
        """
        heading = self._connection.catalog.structure(table).heading
        entries = self._table(ENTRIES)
        written = {"entry_batch": batch, "entry_table": table.table, "entry_action": action}
        keys: list[dict[str, Any]] = []
        last, is_more = "", self.is_there
        while is_more and len(keys) < limit:
            rows = entries & written & Ordering("entry_id", ">", last)
            found = rows.to_dicts(
                attributes=["entry_id", "entry_row", "entry_key"], order_by="entry_id", limit=_PAGE
            )
            gone = self._last_deletions([row["entry_row"] for row in found])
            keys += [
                {name: heading[name].column_type.parse(text) for name, text in row["entry_key"].items()}
                for row in found
                if row["entry_id"] > gone.get(row["entry_row"], "")
                and len(row["entry_key"]) == len(heading.primary_key)
            ]
            last, is_more = found[-1]["entry_id"] if found else "", len(found) == _PAGE
        return keys[:limit]

    def _last_deletions(self, digests: Sequence[str]) -> dict[str, str]:
        """Return the last entry that tells of each row's deletion, by the digests of rows that were deleted."""
        rows = OneOf(("entry_row",), (tuple(digests),))
        deleted = self._table(ENTRIES) & rows & {"entry_action": "delete"}
        last = U("entry_row").aggr(deleted, entry_last="max(entry_id)").to_dicts()
        return {row["entry_row"]: row["entry_last"] for row in last}

    def _read(self, row: Mapping[str, Any]) -> Entry:
        return Entry(
            row["entry_id"], row["entry_batch"], TableName(self._schema, row["entry_table"]), row["entry_action"],
            row["entry_time"].replace(tzinfo=UTC), row["entry_user"], row["entry_source"], row["entry_reason"],
            dict(row["entry_key"]), from_json(row["entry_before"]), from_json(row["entry_after"]),
        )  # fmt: skip

    # ------------------------------------------------------------------ putting back
    def restore(self, batch: str, table: TableName) -> list[Change]:
        """Put back the rows of a table that were deleted in a batch; to be called in a transaction.

        Parameters
        ----------
        batch
            Under which they were archived.
        table
            The table. Its parents' rows must be there already.

        Returns
        -------
        list of Change
            What was put back, to be noted.

        Raises
        ------
        DuplicateError, IntegrityError
            If a row with such a key is there again, or a parent is missing.
        OneRowError
            If nothing was archived.
        """
        entries = (e for e in self.of_batch(batch) if e.table == table and e.action == "delete")
        structure = plain(self._connection.catalog.structure(table))
        inserter = Inserter(self._connection, structure)
        changes: list[Change] = []
        while block := list(islice(entries, _MAX_ROWS)):
            inserter.insert([self._values(structure.heading, entry) for entry in block])
            changes += [Change(table, "insert", after=e.before, are_texts=True) for e in block]
        if not changes:
            raise OneRowError(
                f"No deleted rows of {label(table)} were kept, so none can be put back.", table=label(table)
            )
        return changes

    def _values(self, heading: Heading, entry: Entry) -> dict[str, Any]:
        contents: dict[str, bytes] = {}
        if any(isinstance(value, Digest) for value in (entry.before or {}).values()):
            rows = self._table(CONTENTS) & {"entry_id": entry.entry_id}
            contents = {row["entry_attribute"]: row["entry_content"] for row in rows.to_dicts()}
        values: dict[str, Any] = {}
        for name, value in (entry.before or {}).items():
            if name not in heading or value is None:
                continue  # a column that is gone by now, or no value
            column = heading[name].column_type
            if isinstance(value, Digest):
                content = contents[name]
                values[name] = content if column.kind == "bytes" else column.parse(content.decode())
            else:
                values[name] = column.parse(value)
        return values
