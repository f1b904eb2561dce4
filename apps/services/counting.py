"""How many rows many tables have, in all and of those that a visitor looks at: bounded in rows and in time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dj_panel.apps.services.paging import COUNT_LIMIT, COUNT_LIMIT_S, conditions_of
from dj_panel.apps.services.service import Service
from dj_panel.core.algebra import Condition
from dj_panel.core.errors import AccessError, QueryTimeoutError
from dj_panel.core.words import grouped

__all__ = ["Count", "Counting"]

_ALL_S = 2.0
"""After this time no further table is counted: whoever asks shows what there is, and asks for the rest."""


@dataclass(frozen=True)
class Count:
    """A number of rows.

    Parameters
    ----------
    number
        How many.
    is_capped
        Whether counting stopped there, so that there are more.
    """

    number: int
    is_capped: bool = False

    @property
    def text(self) -> str:
        """The number as people read it: ``1,204``, or ``>10,000`` where counting stopped."""
        return f"{'>' if self.is_capped else ''}{grouped(self.number)}"


class Counting(Service):
    """Counts the rows of many tables at once."""

    def notes(self, tables: Iterable[str], restrictions: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return by table why each restriction does not hold there; an empty text for one that does."""
        applied = self._services.restrictions.applied
        return {name: applied(name, restrictions, {})[1] for name in tables}

    async def matching(
        self, tables: Iterable[str], restrictions: Mapping[str, str]
    ) -> dict[str, Count | None]:
        """Return how many rows of each table match the restrictions that hold there.

        Parameters
        ----------
        tables
            Names in the application; those in which no restriction holds are left out of the answer.
        restrictions
            By name, as in the address; see `dj_panel.apps.services.restrictions`.

        Returns
        -------
        dict
            By table, the number up to `COUNT_LIMIT`; ``None`` where the database needs too long or may not be asked.
            If all together need too long, the last tables are left out; the first never is.
        """
        conditions = {}
        for name in tables:
            filters, notes = self._services.restrictions.applied(name, restrictions, {})
            if not all(notes.values()):
                parsed = self._services.browsing.parsed(self._services.table(name), filters)
                conditions[name] = conditions_of(parsed)
        return await self._services.run(self._count, conditions)

    async def totals(self, tables: Iterable[str]) -> dict[str, Count | None]:
        """Return how many rows each table has, as `matching` does."""
        return await self._services.run(self._count, dict.fromkeys(tables))

    def _count(self, conditions: Mapping[str, Condition | None]) -> dict[str, Count | None]:
        """Count one table after the other, in a thread, and begin with none when the time for all is over."""
        found: dict[str, Count | None] = {}
        pages = self._services.browsing.pages
        end = time.monotonic() + _ALL_S
        for name, condition in conditions.items():
            if found and time.monotonic() > end:
                break
            try:
                number = pages.count(self._services.table(name), condition, COUNT_LIMIT_S)
            except (QueryTimeoutError, AccessError):
                found[name] = None
            else:
                found[name] = Count(min(number, COUNT_LIMIT), number > COUNT_LIMIT)
        return found
