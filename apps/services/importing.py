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
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dj_panel.apps.services.batches import (
    N_SAMPLES,
    Batch,
    Column,
    ImportReceipt,
    RowClass,
    RowFile,
    Stage,
    cell_text,
)
from dj_panel.apps.services.batchwriting import (
    batch_rows,
    is_traced,
    remove_rows,
    write_rows,
)
from dj_panel.apps.services.mapping import (
    REASON_HEADER,
    Match,
    by_position,
    importable,
    is_header,
    matches,
    missing,
)
from dj_panel.apps.services.notation import Forms, Notation
from dj_panel.apps.services.reading import (
    DELIMITERS,
    ENCODINGS,
    MAX_CELL_CHARS,
    UnreadableFileError,
    clean_name,
    detect,
    read_rows,
)
from dj_panel.apps.services.rejects import without_apostrophe
from dj_panel.apps.services.rowchecks import BLOCK_ROWS, CancelledError, RowChecker
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.templates import is_help
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    DuplicateError,
    IntegrityError,
    UnknownOutcomeError,
)
from dj_panel.core.words import say

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Importing"]

log = logging.getLogger(__name__)

MAX_BATCHES = 20
"""So many imports are kept; of more, the one that was looked at longest ago is forgotten."""


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
        """Return an import, if it is of this table and this user's."""
        batch = self._batches.get(batch_id)
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
        self._guess_notation(batch)
        self._start(batch, "checking", lambda: self._check(batch))

    async def set_notation(
        self, batch: Batch, *, decimal: str | None = None, days: str | None = None
    ) -> None:
        """Say how the file writes numbers or days."""
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
        self._start(batch, "checking", lambda: self._check(batch))

    async def check(self, batch: Batch) -> None:
        """Check all rows again."""
        self._check_open(batch)
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

    @staticmethod
    def _check_open(batch: Batch) -> None:
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
        """Take the cells out of the file, and find out what its columns are."""
        info = self.table(batch.table)
        batch.close()
        batch.columns, batch.matches, batch.classes = [], [], bytearray()
        batch.rows, batch.outcomes = RowFile(batch.folder / "rows"), RowFile(batch.folder / "outcomes")
        numbered = read_rows(batch.path, batch.layout)
        first = next(numbered, None)
        if first is None:
            raise UnreadableFileError(say("The file has no rows."))
        names = [clean_name(cell) for cell in first[1]]
        batch.has_header = is_header(info, names) if has_header is None else has_header
        if not batch.has_header:
            names = []
            numbered = chain([first], numbered)
        # What we have sent out ourselves, with an apostrophe before what a spreadsheet would run.
        is_ours = REASON_HEADER in names
        columns = [Column(name) for name in names]
        for count, (number, cells) in enumerate(numbered, 1):
            if batch.has_header and is_help(info, cells):
                continue
            if is_ours:
                cells = [without_apostrophe(cell) for cell in cells]
            columns += [Column("") for _ in range(len(columns), len(cells))]
            for column, cell in zip(columns, cells, strict=False):
                if isinstance(cell, str) and cell:
                    column.forms.note(cell)
                if cell != "" and len(column.samples) < N_SAMPLES:
                    column.samples.append(cell_text(cell)[:60])
            batch.rows.append([number, *cells])
            batch.outcomes.append(None)
            if not count % BLOCK_ROWS:
                self._advance(batch, BLOCK_ROWS)
        if not len(batch.rows):
            raise UnreadableFileError(say("The file has names of columns, but no rows."))
        batch.classes = bytearray(len(batch.rows))
        for place, column in enumerate(columns, 1):
            column.name = column.name or say("Column {number}", number=str(place))
        batch.matches = (
            matches(info, [c.name for c in columns]) if batch.has_header else by_position(info, len(columns))
        )
        batch.columns = columns
        self._guess_notation(batch)
        self._check(batch)

    def _guess_notation(self, batch: Batch) -> None:
        """Find how numbers and days are written, unless someone has said it."""
        kinds = {a.name: a.column_type.kind for a in self.table(batch.table).attributes if a.codec is None}
        batch.number_forms, batch.day_forms = Forms(), Forms()
        for column, name in zip(batch.columns, batch.mapped, strict=True):
            if kinds.get(name) in ("integer", "decimal", "float"):
                batch.number_forms += column.forms
            elif kinds.get(name) in ("date", "datetime"):
                batch.day_forms += column.forms
        decimal = batch.number_forms.decimal(has_semicolons=batch.layout.delimiter == ";")
        batch.notation = Notation(
            batch.notation.decimal if batch.is_decimal_chosen else decimal,
            batch.notation.days if batch.are_days_chosen else batch.day_forms.days(),
        )

    # ------------------------------------------------------------------ checking
    def _check(self, batch: Batch) -> None:
        """Give every row its class, a block at a time; nothing is written."""
        info = self.table(batch.table)
        batch.classes = bytearray(len(batch.classes))
        if missing(info, batch.mapped) or not any(batch.mapped):
            batch.stage = "mapping"
            return
        batch.stage, batch.n_done, batch.n_total = "checking", 0, len(batch.classes)
        custom = self._services.entering.custom
        batch.checker = RowChecker(info, self._services.pipeline[batch.table], batch, custom)
        for start in range(0, len(batch.classes), BLOCK_ROWS):
            block = range(start, min(start + BLOCK_ROWS, len(batch.classes)))
            batch.checker.check(block)
            self._advance(batch, len(block))
        batch.stage = "checked"

    async def edit(self, batch: Batch, position: int, column: int, text: str) -> None:
        """Change a cell and check its row again, and those that it was, or now is, in the way of."""
        self._check_open(batch)
        if batch.stage != "checked" or batch.is_busy:
            raise UnreadableFileError(say("The rows are being checked. Wait until that is done."))
        if not (0 <= position < len(batch.classes) and 0 <= column < len(batch.columns)):
            raise UnreadableFileError(say("There is no such cell."))
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
        again = sorted(set(touched) - {position})
        for start in range(0, len(again), BLOCK_ROWS):
            batch.checker.check(again[start : start + BLOCK_ROWS])

    async def _done(self, batch: Batch) -> None:
        if batch.work is not None:
            await asyncio.shield(batch.work)

    # ------------------------------------------------------------------ looking at rows
    async def page(
        self, batch: Batch, kinds: Sequence[RowClass], first: int, number: int
    ) -> list[tuple[int, RowClass, list[Any], dict[str, str]]]:
        """Return some rows: position, class, number in the file and cells, messages by attribute."""

        def read() -> list[tuple[int, RowClass, list[Any], dict[str, str]]]:
            chosen = islice(batch.positions(*kinds), first, first + number)
            return [
                (p, RowClass(batch.classes[p]), [batch.row(p)[0], *batch.cells(p)], batch.messages(p))
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
            Whether to leave out those in conflict or invalid; else their presence is a reason to write none.
        """
        if batch.stage in ("writing", "written", "undoing"):
            await self._done(batch)
            return
        if batch.stage != "checked" or batch.is_busy:
            raise UnreadableFileError(say("The rows are being checked. Wait until that is done."))
        n_bad = batch.count(RowClass.INVALID) + batch.count(RowClass.CONFLICT)
        if n_bad and not only_valid:
            raise UnreadableFileError(
                say("{n_bad} rows cannot be imported yet. Correct them, or leave them out.", n_bad=n_bad)
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
        for position in list(batch.positions(RowClass.NEW)):
            batch.classes[position] = RowClass.IMPORTED
        batch.receipt = ImportReceipt(
            n_rows,
            len(batch.classes) - n_rows,
            self._services.entering.custom.local(),
            is_traced=is_traced(self.table(batch.table), table, batch),
        )
        batch.stage = "written"

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

    async def undo(self, batch: Batch) -> None:
        """Take back the rows that an import has written, exactly those; what goes wrong stands in the batch."""
        if batch.stage != "written" or batch.receipt is None:
            return

        def work() -> None:
            table, info = self._services.pipeline[batch.table](), self.table(batch.table)
            batch.n_total = batch.count(RowClass.IMPORTED)
            tell = partial(self._advance, batch)
            remove_rows(info, table, partial(batch_rows, batch), batch.id, batch.user, tell)
            for position in list(batch.positions(RowClass.IMPORTED)):
                batch.classes[position] = RowClass.NEW
            batch.receipt = replace(batch.receipt, is_undone=True) if batch.receipt else None
            batch.stage = "checked"

        self._start(batch, "undoing", work)
        await self._done(batch)
        self._services.watcher.poke()
