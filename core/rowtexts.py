"""Rows as texts: what the database holds, without what codecs make of it, to be noted, shown and compared.

A value is the text from which its column reads it again. Large and binary values are told by size and digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dj_panel.core.algebra import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Node,
    OneOf,
    Ordering,
    Relation,
    Restrict,
)
from dj_panel.core.connection import Connection
from dj_panel.core.dialect import Statement
from dj_panel.core.fetch import Decoder
from dj_panel.core.render import select_statement
from dj_panel.core.rows import is_missing
from dj_panel.core.structure import Attribute, Heading, TableName, TableStructure

__all__ = [
    "Digest",
    "Texts",
    "key_blocks",
    "noted",
    "stored_blocks",
    "stored_contents",
    "stored_rows",
    "texts_of",
]

MAX_TEXT_CHARS = 2000
"""Longer texts are told by size and digest."""

_MAX_ROWS = 200
_MAX_KEYS = 2000


@dataclass(frozen=True)
class Digest:
    """What is noted of a large or binary value.

    Parameters
    ----------
    size
        In bytes; of text, in UTF-8.
    sha256
        The first 32 hexadecimal digits.
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """Return the digest of bytes."""
        return cls(len(content), hashlib.sha256(content).hexdigest()[:32])


Texts = Mapping[str, "str | Digest | None"]
"""Attribute → its value as text; ``None`` if it has none."""


def texts_of(heading: Heading, values: Mapping[str, Any]) -> dict[str, str | Digest | None]:
    """Return values as they are noted: as texts, or, where they are large or binary, as size and digest.

    Parameters
    ----------
    heading
        The table's.
    values
        Attribute → a value as it is inserted.
    """
    return {name: _text_of(heading[name], value) for name, value in values.items()}


def _text_of(attribute: Attribute, value: Any) -> str | Digest | None:
    if isinstance(value, Digest):
        return value
    if is_missing(value):
        return None
    if attribute.codec is not None and not isinstance(value, (str, bytes)):
        return short(value.tobytes() if hasattr(value, "tobytes") else f"{type(value).__name__}")
    column = attribute.column_type
    if attribute.codec is None and column.kind != "bytes":
        is_typed = isinstance(value, str) and column.kind != "json"
        value = column.format(column.parse(value) if is_typed else column.check(value))
    return short(value)


def stored_rows(
    connection: Connection,
    table: TableName,
    node: Node,
    names: Sequence[str] | None = None,
    *,
    locks_arrivals: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield rows as the database holds them: attribute → text, digest, or ``None``.

    In a transaction the rows are locked until it ends, so that what was read stays true. Of an object in a
    store this gives the reference that the row holds.

    Parameters
    ----------
    connection
        The connection.
    table
        The table.
    node
        The query of the rows.
    names
        The attributes that are asked for, those of the key among them; all if not given.
    locks_arrivals
        Whether, in a transaction, rows are seen that others have added since it began, and no more can be added
        where these rows are; for a query of one table.
    """
    yield from map(noted, stored_contents(connection, table, node, names, locks_arrivals=locks_arrivals))


def stored_contents(
    connection: Connection,
    table: TableName,
    node: Node,
    names: Sequence[str] | None = None,
    *,
    locks_arrivals: bool = False,
) -> Iterator[dict[str, str | bytes | None]]:
    """Yield rows as :func:`stored_rows` does, with all of each value: text, or the bytes of a binary column."""
    for block in stored_blocks(connection, table, node, names, locks_arrivals=locks_arrivals):
        yield from block


def stored_blocks(
    connection: Connection,
    table: TableName,
    node: Node,
    names: Sequence[str] | None = None,
    *,
    locks_arrivals: bool = False,
) -> Iterator[list[dict[str, str | bytes | None]]]:
    """Yield rows in blocks in the order of their key, a value as text, or as bytes where the column is binary."""
    structure = plain(connection.catalog.structure(table))
    relation = Relation(table, structure.heading)
    key, names = structure.heading.primary_key, names or structure.heading.names
    decoder = Decoder(structure.heading, names, connection.dialect, connection.settings)
    formats = [structure.heading[name].column_type for name in names]
    lock = connection.dialect.lock_clause if connection.in_transaction else ""
    for keys in key_blocks(connection, table, node, _MAX_ROWS, lock if locks_arrivals else ""):
        chosen = OneOf.of_rows(key, (row.values() for row in keys)) if key else None
        rows = relation if chosen is None else Restrict(relation, chosen)
        order = [(name, False) for name in key]
        statement = select_statement(rows, connection.dialect, names, order)
        found = decoder.dicts(connection.fetch(Statement(statement.sql + lock, statement.parameters), list))
        yield [
            {
                name: value if value is None or column.kind == "bytes" else column.format(value)
                for column, (name, value) in zip(formats, row.items(), strict=True)
            }
            for row in found
        ]


def key_blocks(
    connection: Connection, table: TableName, node: Node, n_rows: int = _MAX_KEYS, lock: str = ""
) -> Iterator[list[dict[str, Any]]]:
    """Yield the primary keys of rows in blocks, in the order of the key.

    Each block is asked for by itself, after the last key of the one before: no more keys than these are in
    memory, and between the blocks this thread can ask for and write other things.

    Parameters
    ----------
    connection
        The connection.
    table
        The table.
    node
        The query of the rows, which must stay the same until the last block; a transaction sees to that.
    n_rows
        How many keys a block has.
    lock
        The dialect's clause that locks what is read; empty for none.
    """
    heading = plain(connection.catalog.structure(table)).heading
    key = heading.primary_key
    decoder = Decoder(heading, key, connection.dialect, connection.settings)
    order = [(name, False) for name in key]
    # A number of single precision need not equal itself as a server gives it, so such rows are passed over instead.
    is_exact = all(heading[name].column_type.kind != "float" for name in key)
    rows, n_passed = node, 0
    while True:
        statement = select_statement(
            rows, connection.dialect, key, order, n_rows, 0 if is_exact else n_passed
        )
        found = decoder.dicts(connection.fetch(Statement(statement.sql + lock, statement.parameters), list))
        if found:
            yield found
        if len(found) < n_rows:
            return
        n_passed += n_rows
        if is_exact:
            rows = Restrict(node, _after(key, found[-1]))


def _after(names: Sequence[str], last: Mapping[str, Any]) -> Condition:
    """Return the condition of the rows whose key comes after another."""
    name, *others = names
    later = Ordering(name, ">", last[name])
    if not others:
        return later
    tied = AllOf((Comparison(name, last[name]), _after(others, last)))
    # The first says nothing new; but this is what lets a server begin in the middle of an index.
    return AllOf((Ordering(name, ">=", last[name]), AnyOf((later, tied))))


def plain(structure: TableStructure) -> TableStructure:
    """Return a table as its columns are, without what codecs make of them."""
    attributes = (
        replace(a, type=a.stored_type) if a.codec is not None else a for a in structure.heading.all_attributes
    )
    return replace(structure, heading=Heading(tuple(attributes), structure.heading.comment))


def noted(row: Mapping[str, str | bytes | None]) -> dict[str, str | Digest | None]:
    """Return the contents of a row as they are noted: what is large or binary as size and digest."""
    return {name: short(value) for name, value in row.items()}


def short(value: str | bytes | None) -> str | Digest | None:
    if isinstance(value, bytes) or (value is not None and len(value) > MAX_TEXT_CHARS):
        return Digest.of(content_of(value))
    return value


def content_of(value: str | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else (value or "").encode()


def as_json(texts: Texts) -> dict[str, Any]:
    return {
        name: {"size": value.size, "sha256": value.sha256} if isinstance(value, Digest) else value
        for name, value in texts.items()
    }


def from_json(values: Mapping[str, Any] | None) -> dict[str, str | Digest | None] | None:
    if values is None:
        return None
    return {name: Digest(**value) if isinstance(value, dict) else value for name, value in values.items()}
