"""Many rows at once: a file becomes a batch, which is checked, corrected, written whole, and taken back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dj_panel.apps.services.batches import Batch, ImportReceipt, RowClass, Stage
from dj_panel.apps.services.batchreading import guess_notation, read_batch
from dj_panel.apps.services.batchwriting import batch_rows, is_traced, remove_rows, write_rows
from dj_panel.apps.services.mapping import Match, importable, missing
from dj_panel.apps.services.parents import Parents
from dj_panel.apps.services.reading import (
    DELIMITERS,
    ENCODINGS,
    MAX_CELL_CHARS,
    Cell,
    UnreadableFileError,
    detect,
)
from dj_panel.apps.services.rowchecks import BLOCK_ROWS, CancelledError, RowChecker
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    DuplicateError,
    IntegrityError,
    UnknownOutcomeError,
)
from dj_panel.core.words import say, say_many

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Importing", "PageRow"]

log = logging.getLogger(__name__)

MAX_BATCHES = 20
"""So many imports are kept; of more, the one that was looked at longest ago is forgotten."""


class PageRow(NamedTuple):
    """One row as it is shown.

    Parameters
    ----------
    position, kind, number
        Its place among the rows, its class, and its number in the file.
    cells
        As the file has them.
    messages
        What is wrong, by attribute; of the row as a whole under the empty name.
    readings
        By attribute, how a cell was read, where that is not what stands in it.
    """

    position: int
    kind: RowClass
    number: int
    cells: list[Cell]
    messages: dict[str, str]
    readings: dict[str, str]


class Importing(Service):
    """What the import page asks."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._batches: dict[str, Batch] = {}

    def stop(self) -> None:
        """Have what is being done given up at its next block."""
        for batch in self._batches.values():
            batch.is_cancelled.set()

    @property
    def is_writing(self) -> bool:
        """Whether the rows of an import are being written or taken back, and others wait for the database."""
        return any(
            batch.is_busy and batch.stage in ("writing", "undoing") for batch in self._batches.values()
        )

    def close(self) -> None:
        """Remove the files, when nothing is being done any more."""
        for batch in self._batches.values():
            batch.close()
        self._batches.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    # ------------------------------------------------------------------ what there is
    def table(self, name: str) -> TableInfo:
        """Return a table into which rows can be imported.

        Raises
        ------
        AccessError
            If its rows are computed.
        """
        info = self._services.table(name)
        if not info.can_enter:
            raise AccessError(
                say("Rows of {label} are computed by the pipeline; nobody imports them.", label=info.label)
            )
        return info

    def find(self, batch_id: str, table: str, user: str) -> Batch | None:
        """Return an import by its name or that of one of its writings, if it is of this table and this user's."""
        batch = self._batches.get(batch_id.partition(".")[0])
        if batch is None or batch.table != table or batch.user != user:
            return None
        batch.used_at = time.monotonic()
        return batch

    def recent(self, table: str, user: str) -> list[Batch]:
        """Return a user's imports into a table since the server started, the latest first."""
        mine = [b for b in self._batches.values() if b.table == table and b.user == user]
        return mine[::-1]

    # ------------------------------------------------------------------ a file
    async def open(self, table: str, name: str, path: Path, user: str) -> Batch:
        """Begin an import of a file, which is moved; reading and checking it goes on after this returns."""
        self.table(table)
        while len(self._batches) >= MAX_BATCHES:
            idle = [b for b in self._batches.values() if not b.is_busy]
            if not idle:
                raise UnreadableFileError(
                    say("Too many imports are at work. Try again when one of them is done.")
                )
            await self.drop(min(idle, key=lambda b: b.used_at))
        token = secrets.token_urlsafe(18)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="dj-panel-import-")
        folder = Path(self._folder.name) / token
        folder.mkdir(mode=0o700)
        batch = Batch(token, table, user, name, path.replace(folder / "file"), folder)
        batch.used_at = time.monotonic()
        self._batches[token] = batch
        self._start(batch, "reading", lambda: self._begin(batch))
        return batch

    async def drop(self, batch: Batch) -> None:
        """Forget an import and its files; rows that were written stay."""
        await self._settle(batch)
        self._batches.pop(batch.id, None)
        batch.close()
        for path in batch.folder.iterdir():
            path.unlink()
        batch.folder.rmdir()

    async def lay_out(self, batch: Batch, **changes: Any) -> None:
        """Read the file again with another encoding, delimiter, sheet, or with or without names."""
        self._check_open(batch)
        await self._settle(batch)
        has_header = changes.pop("has_header", batch.has_header)
        layout = replace(batch.layout, **changes)
        known = layout.delimiter in DELIMITERS and layout.sheet in ("", *layout.sheets)
        if not known or layout.encoding not in {*ENCODINGS, batch.layout.encoding}:
            raise UnreadableFileError(say("This is no way to read a file."))
        batch.layout = layout
        self._start(batch, "reading", lambda: self._read(batch, has_header=has_header is True))

    async def map_column(self, batch: Batch, column: int, attribute: str) -> None:
        """Send a column to an attribute, or nowhere; another column that went there is ignored then."""
        self._check_open(batch)
        info = self.table(batch.table)
        names = {"", *(a.name for a in info.attributes if importable(a))}
        if not 0 <= column < len(batch.columns) or attribute not in names:
            raise UnreadableFileError(say("There is no such column or attribute."))
        await self._settle(batch)
        for other, match in enumerate(batch.matches):
            if attribute and match.attribute == attribute:
                batch.matches[other] = Match(reason=say("Another column goes there"))
        batch.matches[column] = Match(attribute, "Chosen")
        guess_notation(self.table(batch.table), batch)
        self._start(batch, "checking", lambda: self._check(batch))

    async def set_notation(
        self,
        batch: Batch,
        *,
        decimal: str | None = None,
        days: str | None = None,
        midnight: bool | None = None,
        cut: bool | None = None,
    ) -> None:
        """Say how the file writes numbers or days, or what may be taken for granted; see `Notation`."""
        self._check_open(batch)
        if (decimal is not None and decimal not in (".", ",")) or (
            days is not None and days not in ("dmy", "mdy")
        ):
            raise UnreadableFileError(say("There is no such way to write numbers or days."))
        await self._settle(batch)
        if decimal is not None:
            batch.is_decimal_chosen = True
            batch.notation = replace(batch.notation, decimal=decimal)
        if days is not None:
            batch.are_days_chosen = True
            batch.notation = replace(batch.notation, days=days)
        if midnight is not None:
            batch.notation = replace(batch.notation, midnight=midnight)
        if cut is not None:
            batch.notation = replace(batch.notation, cut=cut)
        self._start(batch, "checking", lambda: self._check(batch))

    async def check(self, batch: Batch) -> None:
        """Check all rows again that are not written."""
        self._check_rows_left(batch)
        await self._settle(batch)
        self._start(batch, "checking", lambda: self._check(batch))

    async def cancel(self, batch: Batch) -> None:
        """Give up what is being done; nothing of it is kept."""
        await self._settle(batch)

    # ------------------------------------------------------------------ running
    def _start(self, batch: Batch, stage: Stage, action: Callable[[], None]) -> None:
        """Do something in a thread; what goes wrong stands in ``batch.problem`` afterwards."""
        batch.is_cancelled.clear()
        fallback: Stage = "mapping" if stage in ("reading", "checking") else batch.stage
        batch.stage = stage
        batch.problem, batch.n_done, batch.n_total = "", 0, len(batch.classes)

        async def work() -> None:
            try:
                await self._services.run(action)
            except CancelledError:
                batch.problem = say("This was cancelled; nothing was written.")
                batch.stage = fallback
            except (UnreadableFileError, DataJointError) as error:
                batch.problem = str(error)
                batch.stage = fallback
            except Exception:
                log.exception("%s of an import into %s failed", stage, batch.table)
                batch.problem = say("Something went wrong that the program did not foresee.")
                batch.stage = fallback
            finally:
                batch.version += 1

        batch.work = asyncio.ensure_future(work())

    async def _settle(self, batch: Batch) -> None:
        """Stop what is being done with a batch, and wait until it has stopped."""
        batch.is_cancelled.set()
        if batch.work is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(batch.work)

    @classmethod
    def _check_open(cls, batch: Batch) -> None:
        cls._check_rows_left(batch)
        if batch.has_written:
            raise UnreadableFileError(
                say("Some rows of this file are written, so it cannot be read otherwise. Undo that first.")
            )

    @staticmethod
    def _check_rows_left(batch: Batch) -> None:
        if batch.stage in ("writing", "written", "undoing"):
            raise UnreadableFileError(say("The rows of this import are written. Begin another one."))

    @staticmethod
    def _advance(batch: Batch, number: int) -> None:
        batch.n_done += number
        if batch.is_cancelled.is_set():
            raise CancelledError

    # ------------------------------------------------------------------ reading
    def _begin(self, batch: Batch) -> None:
        batch.layout = detect(batch.path)
        self._read(batch, has_header=None)

    def _read(self, batch: Batch, *, has_header: bool | None) -> None:
        read_batch(self.table(batch.table), batch, partial(self._advance, batch), has_header=has_header)
        self._check(batch)

    # ------------------------------------------------------------------ checking
    def _check(self, batch: Batch) -> None:
        """Give every row that is not written its class, a block at a time; nothing is written."""
        info = self.table(batch.table)
        for position, kind in enumerate(batch.classes):
            if kind != RowClass.IMPORTED:
                batch.classes[position] = RowClass.UNCHECKED
        if missing(info, batch.mapped) or not any(batch.mapped):
            batch.stage = "mapping"
            return
        batch.stage, batch.n_done, batch.n_total = "checking", 0, batch.count(RowClass.UNCHECKED)
        custom = self._services.entering.custom
        table = self._services.pipeline[batch.table]
        batch.checker = RowChecker(info, table, batch, custom, self._parents)
        positions = batch.positions(RowClass.UNCHECKED)
        while block := list(islice(positions, BLOCK_ROWS)):
            batch.checker.check(block)
            self._advance(batch, len(block))
        batch.stage = "checked"

    def _parents(self, link: Link) -> Parents:
        return Parents(link, self._services.table(link.table), self._services.pipeline[link.table]())

    async def edit(self, batch: Batch, position: int, column: int, text: str) -> None:
        """Change a cell and check its row again, and those that it was, or now is, in the way of."""
        self._check_rows_left(batch)
        if batch.stage != "checked" or batch.is_busy:
            raise UnreadableFileError(say("The rows are being checked. Wait until that is done."))
        if not (0 <= position < len(batch.classes) and 0 <= column < len(batch.columns)):
            raise UnreadableFileError(say("There is no such cell."))
        if batch.classes[position] == RowClass.IMPORTED:
            raise UnreadableFileError(say("This row is in the table already. Change it there."))
        if len(text) > MAX_CELL_CHARS:
            raise UnreadableFileError(
                say("A cell holds at most {max_cell_chars} characters.", max_cell_chars=MAX_CELL_CHARS)
            )
        self._start(batch, "checked", lambda: self._edit(batch, position, column, text))
        await self._done(batch)

    def _edit(self, batch: Batch, position: int, column: int, text: str) -> None:
        assert batch.rows is not None
        touched = batch.checker.forget(position)
        number, cells = batch.row(position)[0], batch.cells(position)
        cells[column] = text if text.strip() else ""
        batch.rows[position] = [number, *cells]
        batch.checker.check([position])
        # The first of two equal keys was right and the second wrong; now the second may be alone.
        touched += batch.checker.sharing(position)
        again = sorted(p for p in set(touched) - {position} if batch.classes[p] != RowClass.IMPORTED)
        for start in range(0, len(again), BLOCK_ROWS):
            batch.checker.check(again[start : start + BLOCK_ROWS])

    async def _done(self, batch: Batch) -> None:
        if batch.work is not None:
            await asyncio.shield(batch.work)

    # ------------------------------------------------------------------ looking at rows
    async def page(self, batch: Batch, kinds: Sequence[RowClass], first: int, number: int) -> list[PageRow]:
        """Return some rows."""

        def read() -> list[PageRow]:
            chosen = islice(batch.positions(*kinds), first, first + number)
            return [
                PageRow(
                    p,
                    RowClass(batch.classes[p]),
                    batch.row(p)[0],
                    batch.cells(p),
                    batch.messages(p),
                    batch.checker.readings(p),
                )
                for p in chosen
            ]

        return await self._services.run(read)

    async def next_problem(self, batch: Batch, after: int) -> int | None:
        """Return the position of the next row that needs a correction, from the first one again at the end."""

        def find() -> int | None:
            bad = (RowClass.INVALID, RowClass.CONFLICT)
            following = next(batch.positions(*bad, start=after + 1), None)
            return following if following is not None else next(batch.positions(*bad), None)

        return await self._services.run(find)

    # ------------------------------------------------------------------ writing
    async def write(self, batch: Batch, *, only_valid: bool = False) -> None:
        """Write the new rows, all of them or none; what comes of it stands in the batch.

        Asked twice, the rows are written once.

        Parameters
        ----------
        batch
            The import, whose rows are checked.
        only_valid
            Whether to leave out those in conflict or invalid, which can be corrected and written afterwards; else
            their presence is a reason to write none.
        """
        if batch.stage in ("writing", "written", "undoing"):
            await self._done(batch)
            return
        if batch.stage != "checked" or batch.is_busy:
            raise UnreadableFileError(say("The rows are being checked. Wait until that is done."))
        n_bad = batch.n_bad
        if n_bad and not only_valid:
            raise UnreadableFileError(
                say_many(
                    "{n} row cannot be imported yet. Correct it, or leave it out.",
                    "{n} rows cannot be imported yet. Correct them, or leave them out.",
                    n_bad,
                )
            )
        if not batch.count(RowClass.NEW):
            raise UnreadableFileError(say("There are no new rows to import."))
        self._start(batch, "writing", lambda: self._write(batch))
        await self._done(batch)
        self._services.watcher.poke()

    def _write(self, batch: Batch) -> None:
        table = self._services.pipeline[batch.table]()
        try:
            n_rows = write_rows(
                self.table(batch.table),
                table,
                batch,
                partial(self._advance, batch),
                self._services.entering.custom,
            )
        except UnknownOutcomeError:
            n_rows = self._look_after(batch)
        except (DuplicateError, IntegrityError) as error:
            self._check(batch)
            raise UnreadableFileError(
                say(
                    "Nothing was written, for the tables changed since the rows were checked. {error} They "
                    "were checked again.",
                    error=error,
                )
            ) from error
        number = batch.next_writing
        for position in list(batch.positions(RowClass.NEW)):
            batch.classes[position] = RowClass.IMPORTED
            batch.writings[position] = number
        batch.receipts[number : number + 1] = [
            ImportReceipt(
                n_rows,
                len(batch.classes) - batch.count(RowClass.IMPORTED),
                self._services.entering.custom.local(),
                is_traced=is_traced(self.table(batch.table), table, batch, number),
            )
        ]
        batch.stage = "checked" if batch.n_bad else "written"

    def _look_after(self, batch: Batch) -> int:
        """Return how many rows there are after all, if the answer to the last statement never came."""
        wanted = list(batch.positions(RowClass.NEW))
        self._check(batch)
        if any(batch.classes[position] != RowClass.IDENTICAL for position in wanted):
            raise UnreadableFileError(
                say("The connection to the database was lost, and nothing was written. Import again.")
            )
        for position in wanted:
            batch.classes[position] = RowClass.NEW
        return len(wanted)

    async def undo(self, batch: Batch, number: int = 0) -> None:
        """Take back the rows that a writing has written, exactly those; what goes wrong stands in the batch.

        Parameters
        ----------
        batch
            The import.
        number
            Which of its writings, counted from 0.
        """
        receipt = batch.receipts[number] if 0 <= number < len(batch.receipts) else None
        if batch.stage not in ("checked", "written") or batch.is_busy or receipt is None or receipt.is_undone:
            return

        def work() -> None:
            table, info = self._services.pipeline[batch.table](), self.table(batch.table)
            batch.n_total = receipt.n_rows
            rows, tell = partial(batch_rows, batch, number), partial(self._advance, batch)
            remove_rows(info, table, rows, batch.token(number), batch.user, tell)
            for position in list(batch.written(number)):
                batch.classes[position] = RowClass.NEW
            batch.receipts[number] = replace(receipt, is_undone=True)
            batch.stage = "checked"

        self._start(batch, "undoing", work)
        await self._done(batch)
        self._services.watcher.poke()
