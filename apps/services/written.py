"""The rows that an import wrote or that were changed together, as a restriction of their table, from the history."""

from __future__ import annotations

from dataclasses import dataclass

from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.algebra import Condition, Constant, OneOf
from dj_panel.core.history import History

__all__ = ["MAX_WRITTEN", "Written", "WrittenRows"]

MAX_WRITTEN = 10_000
"""Of so many rows of an import the keys are asked for; of a larger one, the first are shown."""


@dataclass(frozen=True)
class Written:
    """Rows that were written together.

    Parameters
    ----------
    batch
        Under which name.
    condition
        What restricts their table to them.
    n_rows
        How many they are, as far as the history knows.
    is_cut
        Whether there are more.
    are_changed
        Whether they were there before, and were changed together.
    """

    batch: str
    condition: Condition
    n_rows: int
    is_cut: bool
    are_changed: bool = False


class WrittenRows(Service):
    """Finds the rows that an import wrote, or that were changed together."""

    async def find(self, table: str, batch: str) -> Written:
        """Return the rows of a table that were written together and were not deleted since, the first `MAX_WRITTEN`."""
        return await self._services.run(self._find, self._services.table(table), batch)

    def _find(self, info: TableInfo, batch: str) -> Written:
        table = self._services.pipeline[info.name]()
        history = History(table.connection, table.name.schema)
        keys = history.written(batch, table.name, MAX_WRITTEN + 1)
        changed = [] if keys else history.written(batch, table.name, MAX_WRITTEN + 1, "update")
        keys = keys or changed
        is_cut = len(keys) > MAX_WRITTEN
        shown = keys[:MAX_WRITTEN]
        columns = tuple(tuple(key[name] for key in shown) for name in info.primary_key)
        # A table without a key has one row, or none.
        chosen = OneOf(info.primary_key, columns) if info.primary_key else Constant(value=bool(shown))
        return Written(batch, chosen, len(shown), is_cut, bool(changed))
