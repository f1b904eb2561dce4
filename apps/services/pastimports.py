"""Imports done before this server started: what the history knows of them, and how they are taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from dj_panel.apps.services.batches import ImportReceipt, writing_token
from dj_panel.apps.services.batchwriting import remove_rows
from dj_panel.apps.services.rowchecks import Values
from dj_panel.apps.services.service import Service
from dj_panel.apps.typed import Custom
from dj_panel.core.errors import IntegrityError
from dj_panel.core.history import Digest, History
from dj_panel.core.words import say

__all__ = ["PastImport", "PastImports"]


@dataclass(frozen=True)
class PastImport:
    """An import that the history tells of.

    Parameters
    ----------
    user
        Who did it.
    receipt
        What was written.
    first
        Place of its first row in the history of the batch.
    token
        The name under which the history has its rows.
    """

    user: str
    receipt: ImportReceipt
    first: int = 0
    token: str = ""


class PastImports(Service):
    """What the import page asks of imports that no memory holds any more."""

    async def find(self, batch_id: str, table: str, user: str) -> PastImport | None:
        """Return what the history knows of an import of this user into a table that people fill."""
        rows = self._services.pipeline[self._services.table(table).name]()
        found = await self._services.run(_find, rows, batch_id, self._services.entering.custom)
        return found if found is not None and self._may_undo(found, table, user) else None

    async def all(self, batch_id: str, table: str, user: str) -> list[PastImport]:
        """Return what the history knows of the writings of one file: of the valid rows, and of those corrected later."""
        name = batch_id.partition(".")[0]
        found: list[PastImport] = []
        while past := await self.find(writing_token(name, len(found)), table, user):
            found.append(past)
        return found

    async def undo(self, batch_id: str, table: str, user: str) -> None:
        """Take back the rows of an import.

        Raises
        ------
        IntegrityError
            If a row was changed or used since, or the import is not this user's; nothing was removed.
        """
        info = self._services.table(table)

        def work() -> None:
            rows = self._services.pipeline[info.name]()
            past = _find(rows, batch_id, self._services.entering.custom)
            if past is None or past.receipt.is_undone or not self._may_undo(past, table, user):
                raise IntegrityError(say("There is no import of yours to take back."))
            written = partial(_rows, rows, batch_id, past)
            remove_rows(info, rows, written, batch_id, user, lambda _number: None)

        await self._services.run(work)
        self._services.watcher.poke()

    def _may_undo(self, past: PastImport, table: str, user: str) -> bool:
        return past.user == user and self._services.table(table).can_enter


def _find(table: Any, batch_id: str, custom: Custom) -> PastImport | None:
    """Return what the history knows of an import into a table."""
    n_rows, is_undone, user, when, first = 0, False, "", None, 0
    n_key, is_traced = len(table.heading.primary_key), True
    for number, entry in enumerate(History(table.connection, table.name.schema).of_batch(batch_id)):
        if entry.table != table.name or entry.source != "import":
            return None
        if entry.action == "insert" and (is_undone or when is None):
            # After it was taken back it may have been done again.
            n_rows, is_undone, user, when, first = 0, False, entry.user, entry.time, number
        n_rows += entry.action == "insert"
        is_traced = is_traced and len(entry.key) == n_key > 0
        is_undone = entry.action == "delete"
    if when is None:
        return None
    receipt = ImportReceipt(n_rows, 0, custom.local(when), is_undone=is_undone, is_traced=is_traced)
    return PastImport(user, receipt, first, batch_id)


def _rows(table: Any, batch_id: str, past: PastImport) -> Iterator[Values]:
    """Yield the rows that an import has written, as the history has them."""
    heading = table.structure.heading
    entries = History(table.connection, table.name.schema).of_batch(batch_id)
    for entry in islice(entries, past.first, past.first + past.receipt.n_rows):
        values = {}
        for name, text in (entry.after or {}).items():
            if isinstance(text, Digest):
                raise IntegrityError(
                    say(
                        "The history has only the size of what was written to {name}, so it cannot be told "
                        "whether it was changed. Nothing was removed. Delete the rows in their table.",
                        name=name,
                    )
                )
            if text is not None:
                values[name] = heading[name].column_type.parse(text)
        yield values
