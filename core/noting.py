"""Entries of the history, made and written by column: of an import there are as many as it has rows."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from dj_panel.core.changes import Change, Source
from dj_panel.core.columntypes import TextType
from dj_panel.core.connection import Connection
from dj_panel.core.inserting import Inserter
from dj_panel.core.rows import Block
from dj_panel.core.rowtexts import MAX_TEXT_CHARS, Digest, Texts, as_json, texts_of
from dj_panel.core.structure import Attribute, Heading, TableName

__all__ = ["RowTexts", "Writer", "row_digest"]

_MAX_KNOWN = 10_000
_COMPARED = (int, bool, Decimal, UUID, str)
"""Types of which equal values have equal texts; not floats, for 0.0 equals -0.0."""


@dataclass
class _Clock:
    """Gives each moment once, so that entries of one process are in order."""

    last: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def moment(self) -> int:
        """Return microseconds since 1970."""
        with self.lock:
            self.last = max(time.time_ns() // 1000, self.last + 1)
            return self.last


_clock = _Clock()
_compact = json.JSONEncoder(ensure_ascii=False)


class Writer:
    """Writes the entries of what is written together.

    Parameters
    ----------
    connection
        The connection.
    entries
        The table of entries.
    user, source, batch, reason
        What all of them have in common.
    """

    def __init__(
        self,
        connection: Connection,
        entries: TableName,
        *,
        user: str,
        source: Source,
        batch: str,
        reason: str,
    ) -> None:
        self._connection = connection
        structure = connection.catalog.structure(entries)
        self._inserter = Inserter(connection, structure)
        moment = _clock.moment()
        seconds, rest = divmod(moment, 1_000_000)
        when = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None, microsecond=rest)
        self._number = f"{moment:014x}%06x{secrets.token_hex(6)}"
        self._common = self._encoded(
            structure.heading,
            {
                "entry_batch": batch,
                "entry_time": when,
                "entry_user": user[:255],
                "entry_source": source,
                "entry_reason": reason[:1000],
            },
        )
        self._json: Callable[[Any], Any] = (
            connection.dialect.encoder(structure.heading["entry_key"].column_type) or _compact.encode
        )
        self._texts: dict[TableName, RowTexts] = {}
        self.n_entries = 0

    def _encoded(self, heading: Heading, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values as the driver takes them: once, and not for each entry."""
        found = {}
        for name, value in values.items():
            column = heading[name].column_type
            encode = self._connection.dialect.encoder(column)
            checked = column.check(value)
            found[name] = encode(checked) if encode is not None else checked
        return found

    def write(self, changes: Sequence[Change]) -> list[str]:
        """Write an entry for each change in one statement, and return their numbers."""
        first, n_rows = self.n_entries, len(changes)
        self.n_entries += n_rows
        numbers = [self._number % number for number in range(first, first + n_rows)]
        columns: dict[str, list[Any]] = {"entry_id": numbers}
        columns |= {name: [value] * n_rows for name, value in self._common.items()}
        rest = [self._of(change) for change in changes]
        for place, name in enumerate(
            ("entry_table", "entry_row", "entry_action", "entry_key", "entry_before", "entry_after")
        ):
            columns[name] = [values[place] for values in rest]
        self._inserter.insert_encoded(Block(columns, n_rows))
        return numbers

    def _of(self, change: Change) -> tuple[Any, ...]:
        """Return what an entry has of its own, as the driver takes it."""
        name = change.table
        if name not in self._texts:
            self._texts[name] = RowTexts(self._connection.catalog.structure(name).heading)
        texts_of_row = self._texts[name]
        before, after = change.before, change.after
        if not change.are_texts:
            before = before if before is None else texts_of_row(before)
            after = after if after is None else texts_of_row(after)
        texts: dict[str, Any] = {**(before or {}), **(after or {})}
        if change.key is not None:
            texts |= texts_of_row(change.key)
        key = {name: texts[name] for name in texts_of_row.primary_key if name in texts}
        encode = self._json
        return (
            name.table,
            row_digest(name.table, key),
            change.action,
            encode(as_json(key)),
            None if before is None else encode(as_json(before)),
            None if after is None else encode(as_json(after)),
        )


class RowTexts:
    """Makes texts of the rows of one table as :func:`texts_of` does, and of a value that comes again only once."""

    def __init__(self, heading: Heading) -> None:
        self.primary_key = heading.primary_key
        self._heading = heading
        self._of_column: dict[str, Callable[[Any], str | Digest | None]] = {}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, str | Digest | None]:
        """Return the texts of a row."""
        made = self._of_column
        for name in values:
            if name not in made:
                made[name] = _texter(self._heading, self._heading[name])
        return {name: made[name](value) for name, value in values.items()}


def _texter(heading: Heading, attribute: Attribute) -> Callable[[Any], str | Digest | None]:
    known: dict[tuple[type, Any], str | Digest | None] = {}
    is_text = attribute.codec is None and type(attribute.column_type) is TextType
    can_repeat = attribute.codec is None

    def text_of(value: Any) -> str | Digest | None:
        kind = type(value)
        if is_text and kind is str and len(value) <= MAX_TEXT_CHARS:
            return value  # type: ignore[no-any-return]
        repeats = can_repeat and (
            kind in _COMPARED or kind is dt.date or (kind is dt.datetime and value.tzinfo is None)
        )
        if repeats and (kind, value) in known:
            return known[kind, value]
        text = texts_of(heading, {attribute.name: value})[attribute.name]
        if repeats and len(known) < _MAX_KNOWN:
            known[kind, value] = text
        return text

    return text_of


def row_digest(table: str, key: Texts) -> str:
    """Return by what the entries of one row are found."""
    text = _compact.encode([table, sorted(as_json(key).items())])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
