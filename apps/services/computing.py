"""What is computed from one row: how far it is, and workers for just that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.services.chosen import MAX_CHOSEN
from dj_panel.apps.services.rows import parse_key
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import AccessError, MakeError, QueryTimeoutError
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.words import say

__all__ = ["Computation", "Computing"]

_LIMIT_S = 1.0


@dataclass(frozen=True)
class Computation:
    """How far one table is with what it computes from a row.

    Parameters
    ----------
    table
        Its name in the application.
    n_keys, n_todo
        How many of its keys rest on the row, and how many of them have no row yet. None where counting them
        takes too long.
    n_reserved, n_failed
        How many of these are being computed, and how many failed.
    message
        Why the newest of those failed, in one line.
    can_start
        Whether the pipeline's code is here to compute them.
    """

    table: str
    n_keys: int | None
    n_todo: int | None
    n_reserved: int = 0
    n_failed: int = 0
    message: str = ""
    can_start: bool = False


class Computing(Service):
    """What the page of a row asks about what is computed from it."""

    def tables(self, table: str) -> list[TableInfo]:
        """Return the computed tables below a table whose key holds that of the table, parents before children.

        An attribute is the same where its lineage is, not where its name is.
        """
        info = self._services.table(table)
        own = {name: info.attribute(name).lineage for name in info.primary_key}
        below = self._below(info)
        return [
            other
            for other in self._services.tables()
            if other.tier in ("Imported", "Computed") and other.name in below and own and _holds(other, own)
        ]

    def _below(self, info: TableInfo) -> set[str]:
        """Return the names of the tables that refer to a table, directly or through others."""
        found: set[str] = set()
        waiting = [info]
        while waiting:
            table = waiting.pop()
            for name in {*(child.table for child in table.children), *table.parts} - found - {info.name}:
                found.add(name)
                waiting.append(self._services.table(name))
        return found

    async def of_row(self, table: str, key: Mapping[str, str]) -> list[Computation]:
        """Return how far each table is that computes from a row, whose key is given as texts."""
        typed = parse_key(self._services.table(table), key)
        return await self._services.run(self._of_row, table, typed)

    def _of_row(self, table: str, key: Mapping[str, Any]) -> list[Computation]:
        found = (self._computation(info, key) for info in self.tables(table))
        return [computation for computation in found if computation is not None]

    def _computation(self, info: TableInfo, key: Mapping[str, Any]) -> Computation | None:
        target = self._services.pipeline[info.name]()
        if not isinstance(target, AutoPopulate):
            return None
        try:
            with self._services.browsing.pages.limit(_LIMIT_S):
                n_todo, n_keys = target.progress(key)
                queue = target.jobs
                if not n_keys or not queue.is_declared:
                    return Computation(info.name, n_keys, n_todo, can_start=info.can_populate)
                newest = (queue.errors & key).to_dicts(
                    attributes="error_message", order_by=["completed_time DESC", "KEY"], limit=1
                )
                return Computation(
                    info.name,
                    n_keys,
                    n_todo,
                    len(queue.reserved & key),
                    len(queue.errors & key),
                    newest[0]["error_message"] if newest else "",
                    info.can_populate,
                )
        except QueryTimeoutError:
            return Computation(info.name, None, None, can_start=info.can_populate)
        except (
            MakeError
        ):  # a key source of its own that this site, without the pipeline's code, does not know
            return None

    def is_running(self, table: str, key: Mapping[str, str]) -> bool:
        """Return whether a worker that was started for a row, perhaps with others, is at work."""
        wanted = _plain(parse_key(self._services.table(table), key))
        return any(wanted in worker.keys for worker in self._services.working.running())

    def can_start(self, table: str) -> bool:
        """Return whether something that is computed from rows of a table can be computed here."""
        return any(info.can_populate for info in self.tables(table))

    async def start(self, table: str, keys: Sequence[Mapping[str, str]]) -> list[str]:
        """Compute what is missing of rows; what failed before is tried again.

        Parameters
        ----------
        table, keys
            The rows; their keys as texts.

        Returns
        -------
        list of str
            The tables that are computed, parents before children.

        Raises
        ------
        MakeError
            If nothing can be computed here.
        AccessError
            If no row is chosen, or more than `MAX_CHOSEN`.
        """
        info = self._services.table(table)
        if not 0 < len(keys) <= MAX_CHOSEN:
            raise AccessError(
                say(
                    "Choose between 1 and {max_chosen} rows of {label} to compute.",
                    max_chosen=MAX_CHOSEN,
                    label=info.label,
                )
            )
        typed = [parse_key(info, key) for key in keys]
        names = [info.name for info in self.tables(table) if info.can_populate]
        if not names:
            raise MakeError(say("No table of this pipeline can be computed here."))
        await self._services.run(self._retry, names, typed)
        await self._services.working.start(names, keys=tuple(_plain(key) for key in typed))
        return names

    def _retry(self, names: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> None:
        for name in names:
            target = self._services.pipeline[name]()
            if isinstance(target, AutoPopulate) and target.jobs.is_declared:
                target.jobs.retry([dict(key) for key in keys])


def _holds(info: TableInfo, key: Mapping[str, Any]) -> bool:
    """Return whether all attributes of a key, given with their lineage, are in the key of a table."""
    return all(
        lineage is not None and name in info.primary_key and info.attribute(name).lineage == lineage
        for name, lineage in key.items()
    )


def _plain(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as a worker is told of it, in JSON."""
    return {name: value if isinstance(value, (int, float)) else str(value) for name, value in key.items()}
