"""Who changed which row: noted with every write, read for pages, and deleted rows put back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dj_panel.apps.fields import describe_field, draft_text
from dj_panel.apps.grid import given_by_master
from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.services.rows import parse_key
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.typed import Custom
from dj_panel.core.changes import PUT_BACK
from dj_panel.core.deletion import Deletion
from dj_panel.core.errors import OneRowError
from dj_panel.core.history import Change, Digest, Entry, History
from dj_panel.core.rowtexts import stored_rows
from dj_panel.core.structure import Attribute, TableName
from dj_panel.core.words import say

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Event", "Happenings", "Shown", "Value", "draft_of", "is_entered", "is_typed", "shown"]

N_EVENTS = 20

Value = str | Digest | None


@dataclass(frozen=True)
class Shown:
    """A value of the past as people read it.

    Parameters
    ----------
    text
        The value, or what is known of it.
    is_words
        Whether these are words about the value, such as "no value", and not the value.
    """

    text: str
    is_words: bool = False


@dataclass(frozen=True)
class Event:
    """One thing that happened to a row.

    Parameters
    ----------
    action, user, source, reason, batch
        As noted.
    time
        When, by the lab's clock, with its zone.
    changes
        Attribute → value before, value afterwards; of a row that came or went, ``None`` for the other.
    before
        The texts with which a form brings back the values before; without those that only their size is known of.
    """

    action: str
    user: str
    source: str
    reason: str
    batch: str
    time: datetime
    changes: dict[str, tuple[Shown | None, Shown | None]]
    before: dict[str, str]


class Happenings(Service):
    """The history of all tables."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._told: set[str] = set()
        self._histories: dict[str, History] = {}

    # ------------------------------------------------------------------ noting, in the threads of the pool
    def of(self, place: TableName) -> History:
        """Return the history of a table's schema."""
        if place.schema not in self._histories:
            self._histories[place.schema] = History(self._services.pipeline.connection, place.schema)
        return self._histories[place.schema]

    def prepare(self, places: Iterable[TableName]) -> None:
        """Make ready to note; to be called before the transaction that writes."""
        for place in {place.schema: place for place in places}.values():
            self.of(place).prepare()

    def missing(self, table: str) -> str:
        """Return, once for a schema, the sentence that no history can be kept of it; empty otherwise."""
        place = self._place(table)
        if place.schema in self._told or self.of(place).prepare():
            return ""
        self._told.add(place.schema)
        return say(
            "No history is kept of {schema}: this account may not create tables there. Rows are "
            "saved all the same, and deleted ones cannot be put back.",
            schema=place.schema,
        )

    def note(self, changes: Sequence[Change], reason: str = "", batch: str = "") -> str:
        """Note rows of one schema that a form has written, within the transaction; return the batch."""
        history = self.of(changes[0].table)
        return history.note(changes, user=self._services.user, source="form", reason=reason, batch=batch)

    def note_inserted(self, info: TableInfo, key: Mapping[str, Any]) -> None:
        """Note a row, and those of its parts, as they stand in the database now; within the transaction."""
        changes: list[Change] = []
        for name in (info.name, *info.parts):
            table = self._services.pipeline[name]()
            part = self._services.table(name)
            owned = given_by_master(part).items() if part.master else [(n, n) for n in info.primary_key]
            rows = table & {ours: key[theirs] for ours, theirs in owned}
            changes += [
                Change(table.name, "insert", after=row, are_texts=True)
                for row in stored_rows(table.connection, table.name, rows.node)
            ]
        if changes:
            self.of(changes[0].table).note(changes, user=self._services.user, source="form")

    def delete_planned(
        self, rows: Any, plan: Deletion, counts: Mapping[TableName, int], *, reason: str, batch: str = ""
    ) -> str:
        """Delete what was agreed on, and keep what people entered, in one transaction.

        Parameters
        ----------
        rows
            The table that the deletion begins with.
        plan, counts
            What goes, and how many rows of each table somebody agreed to.
        reason
            Why.
        batch
            Name of what is deleted together; made up if not given.

        Returns
        -------
        str
            The batch, under which :meth:`restore` finds it.

        Raises
        ------
        IntegrityError
            If the counts have changed; nothing was deleted then.
        """
        batch = batch or secrets.token_hex(16)
        kept = [name for name in plan.nodes if name in counts and is_entered(name)]
        self.prepare(kept)

        def delete() -> None:
            for name in kept:
                self.of(name).archive(
                    name,
                    plan.nodes[name],
                    user=self._services.user,
                    source="form",
                    batch=batch,
                    reason=reason,
                )
            rows.delete_planned(plan, counts)

        rows.connection.retried(delete)
        return batch

    # ------------------------------------------------------------------ what pages ask
    async def of_row(self, table: str, key: Mapping[str, str], limit: int = N_EVENTS) -> list[Event]:
        """Return what happened to a row, the latest first."""
        return await self._services.run(self.of_row_now, self._services.table(table), key, limit)

    async def restore(self, table: str, batch: str) -> dict[str, int]:
        """Put back what was deleted together, and return how many rows of each table.

        Parameters
        ----------
        table
            One of the tables that rows were deleted from.
        batch
            From :class:`Event`, or from the receipt of a deletion.

        Raises
        ------
        IntegrityError
            If a row with such a key is there again, or a parent is missing; nothing was put back.
        OneRowError
            If nothing is known of this batch.
        """
        found = await self._services.run(self._restore, table, batch)
        self._services.watcher.poke()
        return found

    def _place(self, table: str) -> TableName:
        place: TableName = self._services.pipeline[table]().name
        return place

    def of_row_now(self, info: TableInfo, key: Mapping[str, str], limit: int) -> list[Event]:
        """Return what :meth:`of_row` does, in a thread of the pool."""
        place = self._place(info.name)
        entries = self.of(place).of_row(place, parse_key(info, key), limit)
        return [_event(info, entry, self._services.entering.custom) for entry in entries]

    def of_batch_now(self, info: TableInfo, batch: str) -> Iterator[Entry]:
        """Yield what was written together in the schema of a table, in a thread of the pool."""
        return self.of(self._place(info.name)).of_batch(batch)

    def _restore(self, table: str, batch: str) -> dict[str, int]:
        names = self._services.pipeline.names
        connection = self._services.pipeline.connection
        graph = connection.catalog.graph_with_children()
        schemas = {name.schema: name for name in names}
        places = {
            entry.table
            for place in schemas.values()
            for entry in self.of(place).of_batch(batch)
            if entry.action == "delete"
        }
        if not places:
            raise OneRowError(
                say("Nothing that was deleted from {table} under this name is kept.", table=table)
            )
        back: dict[str, int] = {}

        def restore() -> None:
            back.clear()
            for place in [name for name in graph.order if name in places]:
                history = self.of(place)
                changes = history.restore(batch, place)
                history.note(changes, user=self._services.user, source="form", reason=PUT_BACK)
                back[names.get(place, place.class_name)] = len(changes)

        connection.retried(restore)
        return back


def is_entered(place: TableName) -> bool:
    """Return whether people enter rows of a table, so that nobody else could make them again."""
    return (place.master or place).tier in ("Manual", "Lookup")


def _event(info: TableInfo, entry: Entry, custom: Custom) -> Event:
    names = [a.name for a in info.attributes if a.name in {**(entry.before or {}), **(entry.after or {})}]
    changes = {
        name: (
            None if entry.before is None else shown(entry.before.get(name)),
            None if entry.after is None else shown(entry.after.get(name)),
        )
        for name in names
    }
    before = {
        a.name: draft_of(a, value, custom)
        for a in info.attributes
        if a.name in (entry.before or {}) and is_typed(a) and not a.in_key
        if not isinstance(value := (entry.before or {})[a.name], Digest)
    }
    return Event(
        entry.action, entry.user, entry.source, entry.reason, entry.batch, custom.local(entry.time), changes, before
    )  # fmt: skip


def is_typed(attribute: Attribute) -> bool:
    """Return whether a field for text shows the values of an attribute; files and the like can only be replaced."""
    return describe_field(attribute).kind not in ("file", "path", "none")


def draft_of(attribute: Attribute, value: str | None, custom: Custom) -> str:
    """Return the text with which a field begins for a value that was noted."""
    return draft_text(attribute, None if value is None else attribute.column_type.parse(value), custom)


def shown(value: Value) -> Shown:
    """Return a value of the past as people read it."""
    if value is None:
        return Shown(say("no value"), is_words=True)
    if isinstance(value, Digest):
        return Shown(
            say("{size}, digest {digest}", size=human_bytes(value.size), digest=value.sha256[:8]),
            is_words=True,
        )
    return Shown(value) if value else Shown(say("empty text"), is_words=True)
