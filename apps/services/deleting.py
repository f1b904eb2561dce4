"""Deleting rows: counted beforehand, agreed to, counted again while it happens, and put back if it was a mistake."""

from __future__ import annotations

import datetime as dt
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dj_panel.apps.services.chosen import MAX_CHOSEN, rows_label
from dj_panel.apps.services.history import is_entered
from dj_panel.apps.services.rows import parse_key
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import AccessError, IntegrityError, OneRowError
from dj_panel.core.structure import TableName
from dj_panel.core.words import say

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Deleted", "Deleting", "Going", "Preview"]

MAX_UNTYPED = 10
"""So many rows go without anything being typed; of more, their number must be."""

_N_RECEIPTS = 100


@dataclass(frozen=True)
class Going:
    """The rows of one table that would go.

    Parameters
    ----------
    table
        Its name in the application, or its class name where it is not served here.
    tier
        How its rows arrive, or that it is a part.
    number
        How many go.
    is_entered
        Whether people enter its rows.
    is_kept
        Whether their values are kept, so that they can be put back; what is computed can be computed again.
    is_chosen
        Whether these are the rows that somebody has chosen, and not rows that depend on them.
    """

    table: str
    tier: str
    number: int
    is_entered: bool
    is_kept: bool
    is_chosen: bool


@dataclass(frozen=True)
class Preview:
    """What deleting would take with it.

    Parameters
    ----------
    label
        The rows that were chosen, in words.
    going
        Table by table, parents first.
    agreement
        The counts by table in the database, to be handed back.
    refusal
        Why these rows cannot be deleted; empty if they can.
    notice
        What else is to be known.
    """

    label: str
    going: tuple[Going, ...]
    agreement: dict[str, int]
    refusal: str = ""
    notice: str = ""

    @property
    def total(self) -> int:
        """How many rows go in all."""
        return sum(going.number for going in self.going)

    @property
    def must_type(self) -> str:
        """What must be typed to confirm; empty if nothing must."""
        return str(self.total) if self.total > MAX_UNTYPED else ""


@dataclass(frozen=True)
class Deleted:
    """Rows that were deleted.

    Parameters
    ----------
    label
        Those that were chosen, in words.
    table
        Their table.
    batch
        Name under which :meth:`~dj_panel.apps.services.history.Happenings.restore` finds them.
    total
        How many rows went in all.
    n_kept
        How many of them can be put back.
    at
        When.
    """

    label: str
    table: str
    batch: str
    total: int
    n_kept: int
    at: dt.datetime


class Deleting(Service):
    """What the page for deleting rows asks."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._receipts: OrderedDict[str, Deleted] = OrderedDict()

    async def preview(self, table: str, keys: Sequence[Mapping[str, str]]) -> Preview:
        """Count what deleting these rows would take with it; nothing is locked or deleted.

        Parameters
        ----------
        table
            The table.
        keys
            Primary keys as text.

        Raises
        ------
        OneRowError
            If none of these rows is there.
        AccessError
            If the rows are of a part, which goes with its master, or are too many.
        """
        return await self._services.run(self._preview, self._table(table, keys), keys)

    async def delete(
        self,
        table: str,
        keys: Sequence[Mapping[str, str]],
        agreement: Mapping[str, int],
        *,
        typed: str = "",
        reason: str = "",
    ) -> Deleted:
        """Delete rows and what depends on them, if they are as many as somebody agreed to.

        Parameters
        ----------
        table, keys
            The rows.
        agreement
            The counts of the preview.
        typed
            What was typed to confirm.
        reason
            Why.

        Raises
        ------
        IntegrityError
            If the counts have changed; nothing was deleted.
        AccessError
            If what was typed does not confirm it.
        """
        info = self._table(table, keys)
        deleted = await self._services.run(self._delete, info, keys, agreement, typed, reason)
        self._receipts[deleted.batch] = deleted
        while len(self._receipts) > _N_RECEIPTS:
            self._receipts.popitem(last=False)
        self._services.watcher.poke()
        return deleted

    def recent(self, table: str) -> list[Deleted]:
        """Return what was deleted from a table since the server started, the latest first."""
        return [deleted for deleted in reversed(self._receipts.values()) if deleted.table == table]

    async def restore(self, deleted: Deleted) -> dict[str, int]:
        """Put back what people had entered, and return how many rows of each table.

        Raises
        ------
        IntegrityError
            If a row with such a key is there again, or a parent is missing; nothing was put back.
        """
        found = await self._services.history.restore(deleted.table, deleted.batch)
        self._receipts.pop(deleted.batch, None)
        return found

    # ------------------------------------------------------------------ in the threads of the pool
    def _table(self, table: str, keys: Sequence[Mapping[str, str]]) -> TableInfo:
        info = self._services.table(table)
        if info.master is not None:
            raise AccessError(
                say(
                    "Rows of {label} belong to {master} and are deleted with their master, or not at all.",
                    label=info.label,
                    master=info.master,
                )
            )
        if not 0 < len(keys) <= MAX_CHOSEN:
            raise AccessError(
                say(
                    "Choose between 1 and {max_chosen} rows of {label} to delete.",
                    max_chosen=MAX_CHOSEN,
                    label=info.label,
                )
            )
        return info

    def _rows(self, info: TableInfo, keys: Sequence[Mapping[str, str]]) -> Any:
        return self._services.pipeline[info.name]() & [parse_key(info, key) for key in keys]

    def _preview(self, info: TableInfo, keys: Sequence[Mapping[str, str]]) -> Preview:
        rows = self._rows(info, keys)
        plan = rows.plan_delete()
        counts = plan.counts(rows.connection)
        if not counts:
            raise OneRowError(
                say("{label} is not there: it may have been deleted already.", label=rows_label(info, keys))
            )
        going = tuple(self._going(place, number, rows.name) for place, number in counts.items())
        agreement = {str(place): number for place, number in counts.items()}
        try:
            plan.check_parts(rows.connection)
        except IntegrityError as error:
            return Preview(rows_label(info, keys), going, agreement, refusal=str(error))
        return Preview(
            rows_label(info, keys), going, agreement, notice=self._services.history.missing(info.name)
        )

    def _going(self, place: TableName, number: int, chosen: TableName) -> Going:
        name = self._services.pipeline.names.get(place, f"{place.schema}.{place.class_name}")
        by_people = is_entered(place)
        is_kept = by_people and self._services.history.of(place).prepare()
        return Going(name, place.tier, number, by_people, is_kept, place == chosen)

    def _delete(
        self,
        info: TableInfo,
        keys: Sequence[Mapping[str, str]],
        agreement: Mapping[str, int],
        typed: str,
        reason: str,
    ) -> Deleted:
        rows = self._rows(info, keys)
        plan = rows.plan_delete()
        agreed = {place: agreement[str(place)] for place in plan.nodes if str(place) in agreement}
        total = sum(agreed.values())
        if total > MAX_UNTYPED and typed.strip().replace(",", "") != str(total):
            raise AccessError(
                say(
                    "Nothing was deleted. Type {total} to confirm that {total_2} rows go.",
                    total=str(total),
                    total_2=total,
                )
            )
        batch = self._services.history.delete_planned(
            rows, plan, agreed, reason=reason.strip(), batch=secrets.token_hex(16)
        )
        n_kept = sum(
            number
            for place, number in agreed.items()
            if is_entered(place) and self._services.history.of(place).prepare()
        )
        return Deleted(
            rows_label(info, keys), info.name, batch, total, n_kept, self._services.entering.custom.local()
        )
