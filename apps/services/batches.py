"""One import from its file to its receipt: what is known of it, in memory that hardly grows with its rows."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from dj_panel.apps.services.mapping import Match
from dj_panel.apps.services.notation import Forms, Notation, TimeForms
from dj_panel.apps.services.reading import Cell, Layout

__all__ = ["Batch", "Column", "ImportReceipt", "RowClass", "RowFile", "cell_text", "writing_token"]

_NOWHERE = 2**64 - 1
N_SAMPLES = 3


class RowClass(IntEnum):
    """What would become of a row."""

    UNCHECKED = 0
    NEW = 1
    IDENTICAL = 2
    CONFLICT = 3
    INVALID = 4
    IMPORTED = 5


class RowFile:
    """JSON values in a file, by position; each takes eight bytes of memory.

    A value that is set anew is written at the end, and what it was before stays behind unread.

    Parameters
    ----------
    path
        The file, which is made.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._places = array("Q")
        self._at = 0
        self._end = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def append(self, value: Any) -> None:
        """Add a value; ``None`` takes no place in the file."""
        self._places.append(_NOWHERE if value is None else self._write(value))

    def __setitem__(self, position: int, value: Any) -> None:
        self._places[position] = _NOWHERE if value is None else self._write(value)

    def __getitem__(self, position: int) -> Any:
        place = self._places[position]
        if place == _NOWHERE:
            return None
        with self._lock:
            if self._at != place:  # one row after the other is read without moving, which is much faster
                self._file.seek(place)
            line = self._file.readline()
            self._at = place + len(line)
        return json.loads(line)

    def _write(self, value: Any) -> int:
        line = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._file.seek(self._end)
            self._file.write(line)
            place = self._end
            self._end += len(line)
            self._at = self._end
        return place

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


@dataclass
class Column:
    """A column of the file.

    Parameters
    ----------
    name
        Its name; of a file without names, its number.
    samples
        Its first values.
    forms, times
        Of its numbers and days, and of its moments.
    """

    name: str
    samples: list[str] = field(default_factory=list)
    forms: Forms = field(default_factory=Forms)
    times: TimeForms = field(default_factory=TimeForms)


@dataclass(frozen=True)
class ImportReceipt:
    """What an import has written.

    Parameters
    ----------
    n_rows
        How many rows.
    n_left_out
        How many of the file's rows were not written, because they were there already or are wrong.
    saved_at
        When, by the server's clock with its offset.
    is_undone
        Whether the rows were taken back.
    is_traced
        Whether the history tells which rows they are.
    """

    n_rows: int
    n_left_out: int
    saved_at: dt.datetime
    is_undone: bool = False
    is_traced: bool = False


Stage = Literal["reading", "mapping", "checking", "checked", "writing", "written", "undoing"]


@dataclass
class Batch:
    """An import.

    Parameters
    ----------
    id
        Its secret name, under which the history has its rows; see `token`.
    table
        The table that the rows are for.
    user
        Whose it is.
    file_name, path
        The file that was sent.
    folder
        Where it keeps what it knows of the rows.
    classes, writings
        Of each row its class, and the number of the writing that wrote it: the valid rows may be written before the
        others are corrected.
    n_days_alone, n_cut
        How many cells of the file are days where a moment is wanted, and have fractions of a second that are not kept.
    """

    id: str
    table: str
    user: str
    file_name: str
    path: Path
    folder: Path
    layout: Layout = field(default_factory=lambda: Layout("text"))
    has_header: bool = True
    columns: list[Column] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    number_forms: Forms = field(default_factory=Forms)
    day_forms: Forms = field(default_factory=Forms)
    n_days_alone: int = 0
    n_cut: int = 0
    notation: Notation = field(default_factory=Notation)
    is_decimal_chosen: bool = False
    are_days_chosen: bool = False
    rows: RowFile | None = None
    outcomes: RowFile | None = None
    classes: bytearray = field(default_factory=bytearray)
    checker: Any = None
    stage: Stage = "reading"
    n_done: int = 0
    n_total: int = 0
    problem: str = ""
    writings: array[int] = field(default_factory=lambda: array("H"))
    receipts: list[ImportReceipt] = field(default_factory=list)
    begun_at: dt.datetime = field(default_factory=lambda: dt.datetime.now().astimezone())
    used_at: float = 0.0
    version: int = 0
    work: asyncio.Task[None] | None = None
    is_cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def is_busy(self) -> bool:
        """Whether something is being done with it."""
        return self.work is not None and not self.work.done()

    @property
    def receipt(self) -> ImportReceipt | None:
        """What was written last; ``None`` if nothing was."""
        return self.receipts[-1] if self.receipts else None

    @property
    def has_written(self) -> bool:
        """Whether rows of it are in the table: then its file is read as it was read for them."""
        return any(not receipt.is_undone for receipt in self.receipts)

    def token(self, number: int) -> str:
        """Return the name under which the history has the rows that one of its writings wrote."""
        return writing_token(self.id, number)

    @property
    def next_writing(self) -> int:
        """The number of the writing that is to come: that of one which was taken back, or a new one."""
        undone = (number for number, receipt in enumerate(self.receipts) if receipt.is_undone)
        return next(undone, len(self.receipts))

    def written(self, number: int) -> Iterator[int]:
        """Yield the positions of the rows that one of its writings wrote."""
        return (p for p in self.positions(RowClass.IMPORTED) if self.writings[p] == number)

    def begin(self, n_rows: int) -> None:
        """Forget what was known of its rows, of which none is in the table."""
        self.classes, self.writings = bytearray(n_rows), array("H", bytes(2 * n_rows))

    @property
    def mapped(self) -> list[str]:
        """The attribute of each column; empty for those that are ignored."""
        return [match.attribute for match in self.matches]

    def count(self, kind: RowClass) -> int:
        """Return how many rows are of a class."""
        return self.classes.count(kind)

    @property
    def n_bad(self) -> int:
        """How many rows need a correction."""
        return self.count(RowClass.INVALID) + self.count(RowClass.CONFLICT)

    def positions(self, *kinds: RowClass, start: int = 0) -> Iterator[int]:
        """Yield the positions of the rows of some classes, in order; of all rows if none is given."""
        if len(kinds) == 1:
            position = self.classes.find(kinds[0], start)
            while position >= 0:
                yield position
                position = self.classes.find(kinds[0], position + 1)
            return
        wanted = frozenset(map(int, kinds))
        for position in range(start, len(self.classes)):
            if not wanted or self.classes[position] in wanted:
                yield position

    def cells(self, position: int) -> list[Cell]:
        """Return a row's cells, as many as there are columns."""
        cells: list[Cell] = list(self.row(position)[1:])
        return cells + [""] * (len(self.columns) - len(cells))

    def row(self, position: int) -> list[Any]:
        """Return a row's number in the file, and its cells."""
        assert self.rows is not None
        row: list[Any] = self.rows[position]
        return row

    def messages(self, position: int) -> dict[str, str]:
        """Return what is wrong with a row, by attribute; of the row as a whole under the empty name."""
        assert self.outcomes is not None
        return self.outcomes[position] or {}

    def close(self) -> None:
        """Close its files."""
        for file in (self.rows, self.outcomes):
            if file is not None:
                file.close()


def writing_token(name: str, number: int) -> str:
    """Return the name of a writing, counted from 0, of the import with a name.

    >>> writing_token("x1", 0), writing_token("x1", 1)
    ('x1', 'x1.2')
    """
    return f"{name}.{number + 1}" if number else name


def cell_text(cell: Cell) -> str:
    """Return a cell as text."""
    return cell if isinstance(cell, str) else str(cell)
