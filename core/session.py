"""What a connection is made of: one thread's connection of the driver, and what a statement gave."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dj_panel.core.dialect.protocol import RawConnection

__all__ = ["Result", "Session", "only_reads"]


class Result:
    """What a statement gave: rows that can be walked or fetched, and the number of rows that it changed."""

    def __init__(
        self,
        names: Sequence[str],
        rows: Iterable[Any],
        rowcount: int,
        lastrowid: int,
        n_warnings: int = 0,
    ) -> None:
        self.names = tuple(names)
        self.rowcount = rowcount
        self.lastrowid = lastrowid
        self.n_warnings = n_warnings
        self._rows = iter(rows)

    def as_dicts(self) -> Result:
        """Return the same result, its rows as dicts."""
        rows = (dict(zip(self.names, row, strict=True)) for row in self._rows)
        return Result(self.names, rows, self.rowcount, self.lastrowid, self.n_warnings)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchall(self) -> list[Any]:
        """Return the rows that were not taken yet."""
        return list(self._rows)

    def fetchone(self) -> Any:
        """Return the next row, or ``None``."""
        return next(self._rows, None)


class Session:
    """One thread's connection of the driver, and how deep in transactions it is."""

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw
        self.process = os.getpid()
        self.depth = 0
        self.is_dead = False
        self.after_commit: list[Callable[[], None]] = []


def only_reads(sql: str) -> bool:
    """Tell whether a statement changes nothing and holds no lock."""
    return sql.lstrip()[:6].upper() == "SELECT" and not sql.rstrip().endswith("FOR UPDATE")
