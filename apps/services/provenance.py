"""What a row rests on, back to what people entered, and how it was computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.services.rows import Address, key_text, parse_key
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.diagram import Diagram
from dj_panel.core.errors import QueryTimeoutError
from dj_panel.core.populate import AutoPopulate

__all__ = ["MAX_NAMED", "Making", "Origin", "Past", "Provenance"]

MAX_NAMED = 5
"""So many rows of one table are named; that there are more is said."""

_LIMIT_S = 1.0


@dataclass(frozen=True)
class Origin:
    """The rows of one table that a row rests on.

    Parameters
    ----------
    table
        Its name in the application.
    rows
        The first of them.
    has_more
        Whether there are more than these.
    is_known
        Whether the database found them in time.
    """

    table: str
    rows: tuple[Address, ...]
    has_more: bool = False
    is_known: bool = True


@dataclass(frozen=True)
class Making:
    """The job that computed a row.

    Parameters
    ----------
    completed_at
        When it was done, on the server's clock.
    duration_s
        How long it took, in seconds.
    version
        Of the code.
    host, pid, user
        Who did it, and where.
    """

    completed_at: dt.datetime | None = None
    duration_s: float | None = None
    version: str = ""
    host: str = ""
    pid: int = 0
    user: str = ""


@dataclass(frozen=True)
class Past:
    """Where a row comes from.

    Parameters
    ----------
    origins
        The rows of every table that it rests on, parents before children.
    making
        The job that computed it; None where no record of it is kept.
    """

    origins: tuple[Origin, ...]
    making: Making | None = None


class Provenance(Service):
    """What the page of a row asks about where the row comes from."""

    async def of_row(self, table: str, key: Mapping[str, str]) -> Past:
        """Return where a row comes from, whose key is given as texts."""
        info = self._services.table(table)
        return await self._services.run(self._of_row, info, parse_key(info, key))

    def _of_row(self, info: TableInfo, key: Mapping[str, Any]) -> Past:
        target = self._services.pipeline[info.name]()
        trace = Diagram.trace(target & dict(key))
        names = self._services.pipeline.names
        traced = {names[place] for place in trace.names if place in names} - {info.name}
        origins = (self._origin(trace, table) for table in self._services.tables() if table.name in traced)
        found = tuple(origin for origin in origins if origin.rows or not origin.is_known)
        return Past(found, _making(target, key))

    def _origin(self, trace: Diagram, info: TableInfo) -> Origin:
        rows = trace[self._services.pipeline[info.name]()]
        try:
            with self._services.browsing.pages.limit(_LIMIT_S):
                found = rows.keys(order_by="KEY", limit=MAX_NAMED + 1)
        except QueryTimeoutError:
            return Origin(info.name, (), is_known=False)
        named = tuple(
            Address(info.name, {n: key_text(info.attribute(n), value) for n, value in row.items()})
            for row in found[:MAX_NAMED]
        )
        return Origin(info.name, named, len(found) > MAX_NAMED)


def _making(target: Any, key: Mapping[str, Any]) -> Making | None:
    """Return what the queue has kept of the job that computed a row."""
    if not isinstance(target, AutoPopulate):
        return None
    queue = target.jobs
    if not queue.is_declared or not set(queue.primary_key) <= set(key):
        return None
    done = queue.completed & {name: key[name] for name in queue.primary_key}
    job = next(
        iter(
            done.to_dicts(
                attributes=["host", "pid", "user", "version", "duration", "completed_time"], limit=1
            )
        ),
        None,
    )
    if job is None:
        return None
    return Making(
        job["completed_time"],
        job["duration"],
        job["version"] or "",
        job["host"] or "",
        int(job["pid"] or 0),
        job["user"] or "",
    )
