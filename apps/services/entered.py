"""What was entered of late: by whom today, which parents were referred to, and how a row is taken back."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dj_panel.apps.fields import format_value
from dj_panel.apps.pickers import key_label
from dj_panel.apps.services.drafts import key_texts
from dj_panel.apps.services.receipts import Receipt
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import IntegrityError, OneRowError
from dj_panel.core.history import Entry
from dj_panel.core.words import say, say_many

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Entered", "row_label"]

N_RECENT = 20
_N_USED = 10


class Entered(Service):
    """The rows that people entered today, kept in memory; what was entered before the start is in the history."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._recent: dict[tuple[str, str], deque[Receipt]] = defaultdict(lambda: deque(maxlen=N_RECENT))
        self._used: dict[str, deque[dict[str, str]]] = defaultdict(lambda: deque(maxlen=_N_USED))
        self._last: dict[str, dt.datetime] = {}
        self._days_read: dict[tuple[str, str], dt.date] = {}

    def recent(self, table: str) -> list[Receipt]:
        """Return what the person at work entered into a table today, the latest first, at most 20."""
        today = self._services.entering.custom.local().date()
        found = self._recent[self._services.user, table]
        return [receipt for receipt in found if receipt.saved_at.date() == today]

    def recent_tables(self) -> list[str]:
        """Return the tables in which rows were saved, the last one first."""
        return sorted(self._last, key=lambda name: self._last[name], reverse=True)

    def used(self, table: str) -> list[dict[str, str]]:
        """Return the keys of rows that were entered or referred to of late."""
        return list(self._used[table])

    async def recall(self, table: str) -> None:
        """Read from the history what the person at work entered into a table today, once a day."""
        day = self._services.entering.custom.local().date()
        place = (self._services.user, table)
        if self._days_read.get(place) != day:
            self._days_read[place] = day
            await self._services.run(self._recall, self._services.table(table), place)

    def _recall(self, info: TableInfo, place: tuple[str, str]) -> None:
        now = self._services.entering.custom.local()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        name = self._services.pipeline[info.name]().name
        history = self._services.history.of(name)
        entries = history.entered(name, place[0], midnight, N_RECENT)
        counts = history.counts([entry.batch for entry in entries]) if entries and info.parts else {}
        parts = {self._services.pipeline[part]().name.table: part for part in info.parts}
        known = [receipt.values for receipt in self._recent[place]]
        past = [self._receipt(info, entry, counts.get(entry.batch, {}), parts) for entry in entries]
        found = [*self._recent[place], *(receipt for receipt in past if receipt.values not in known)]
        found.sort(key=lambda receipt: receipt.saved_at, reverse=True)
        self._recent[place] = deque(found[:N_RECENT], maxlen=N_RECENT)
        if found:
            self._last.setdefault(info.name, found[0].saved_at)
        if not self._used[info.name]:
            for entry in reversed(entries):
                self.note_used(info, _values(info, entry), _values(info, entry))

    def _receipt(
        self, info: TableInfo, entry: Entry, counts: Mapping[str, int], parts: Mapping[str, str]
    ) -> Receipt:
        key = {name: info.attribute(name).column_type.parse(text) for name, text in entry.key.items()}
        return Receipt(
            table=info.name,
            key=key_texts(info, key),
            label=row_label(info, key_texts(info, key)),
            token=entry.batch,
            saved_at=self._services.entering.custom.local(entry.time),
            n_parts={parts[table]: number for table, number in counts.items() if table in parts},
            values=key,
        )

    # ------------------------------------------------------------------ noting
    def add(self, receipt: Receipt) -> None:
        """Note that the person at work saved a row."""
        self._last[receipt.table] = receipt.saved_at
        self._recent[self._services.user, receipt.table].appendleft(receipt)

    def note_used(self, info: TableInfo, values: Mapping[str, Any], key: Mapping[str, Any]) -> None:
        """Note which parents a row refers to: they are offered first the next time."""
        found = [(info.name, dict(key_texts(info, key)))]
        for link in info.parents:
            fk = link.foreign_key
            if all(values.get(n) is not None for n in fk.attributes):
                pairs = zip(fk.attributes, fk.parent_attributes, strict=True)
                parent = self._services.table(link.table)
                found.append(
                    (link.table, {t: format_value(parent.attribute(t), values[o]) for o, t in pairs})
                )
        for table, texts in found:
            used = self._used[table]
            if texts in used:
                used.remove(texts)
            used.appendleft(texts)

    # ------------------------------------------------------------------ taking back
    async def undo(self, receipt: Receipt) -> None:
        """Delete the row of a receipt and its parts, if nothing else depends on them.

        Raises
        ------
        IntegrityError
            If other rows depend on it, or it has other parts now; nothing was deleted.
        OneRowError
            If it is gone already.
        """
        await self._services.run(self._undo, self._services.table(receipt.table), receipt)
        for (user, table), found in list(self._recent.items()):
            if table == receipt.table:
                kept: Sequence[Receipt] = [r for r in found if r.values != receipt.values]
                self._recent[user, table] = deque(kept, maxlen=N_RECENT)

    def _undo(self, info: TableInfo, receipt: Receipt) -> None:
        rows = self._services.pipeline[info.name]() & receipt.values
        plan = rows.plan_delete()
        counts = plan.counts(rows.connection)
        names = self._services.pipeline.names
        found = {names.get(place, str(place.class_name)): number for place, number in counts.items()}
        if found.pop(info.name, 0) != 1:
            raise OneRowError(say("{label} is not there any more.", label=receipt.label))
        for name, number in found.items():
            if name not in info.parts:
                kind = name.split(".", 1)[-1]
                raise IntegrityError(
                    say_many(
                        "{label} cannot be taken back: {n} row of {table} depends on it. Nothing was deleted.",
                        "{label} cannot be taken back: {n} rows of {table} depend on it. Nothing was deleted.",
                        number,
                        label=receipt.label,
                        table=kind,
                    )
                )
        if found != receipt.n_parts:
            raise IntegrityError(
                say(
                    "{label} cannot be taken back: rows were added to its parts or removed since. Nothing "
                    "was deleted. Delete it in its table.",
                    label=receipt.label,
                )
            )
        self._services.history.delete_planned(rows, plan, counts, reason="Taken back")


def row_label(info: TableInfo, texts: Mapping[str, str]) -> str:
    """Return a row in one line, with its table: ``Subject M042``."""
    return f"{info.label} {key_label(texts, info.primary_key)}".strip()


def _values(info: TableInfo, entry: Entry) -> dict[str, Any]:
    """Return the values of a row that can be part of keys, as they were noted."""
    return {
        a.name: a.column_type.parse(text)
        for a in info.attributes
        if a.codec is None and a.column_type.kind not in ("json", "bytes")
        if isinstance(text := (entry.after or {}).get(a.name), str)
    }
