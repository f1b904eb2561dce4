"""The cells of a file taken into a batch, and what they tell of its columns, numbers and days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

from dj_panel.apps.services.batches import N_SAMPLES, Batch, Column, RowFile, cell_text
from dj_panel.apps.services.formulas import unshielded
from dj_panel.apps.services.mapping import REASON_HEADER, by_position, is_header, matches
from dj_panel.apps.services.notation import Forms
from dj_panel.apps.services.reading import UnreadableFileError, clean_name, read_rows
from dj_panel.apps.services.rowchecks import BLOCK_ROWS
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.templates import is_help
from dj_panel.core.columntypes import DatetimeType, TimeType
from dj_panel.core.words import say

__all__ = ["guess_notation", "read_batch"]


def read_batch(
    info: TableInfo, batch: Batch, tell: Callable[[int], None], *, has_header: bool | None
) -> None:
    """Take the cells out of the file of a batch, and find out what its columns are.

    Parameters
    ----------
    info
        The table that the rows are for.
    batch
        The import, with the layout of its file.
    tell
        Called with the number of rows read since the last call; may raise to give up.
    has_header
        Whether the first row holds names; ``None`` to look.

    Raises
    ------
    UnreadableFileError
        If the file has no rows, or cannot be read.
    """
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
    # Files of text that we or others have written have an apostrophe before what a spreadsheet would run; and so has
    # a workbook as which somebody has saved our file of rejected rows.
    is_shielded = batch.layout.kind == "text" or REASON_HEADER in names
    columns = [Column(name) for name in names]
    for count, (number, cells) in enumerate(numbered, 1):
        if batch.has_header and is_help(info, cells):
            continue
        if is_shielded:
            cells = [unshielded(cell) if isinstance(cell, str) else cell for cell in cells]
        columns += [Column("") for _ in range(len(columns), len(cells))]
        for column, cell in zip(columns, cells, strict=False):
            if isinstance(cell, str) and cell:
                column.forms.note(cell)
            if cell != "" and not isinstance(cell, float):
                column.times.note(cell_text(cell))
            if cell != "" and len(column.samples) < N_SAMPLES:
                column.samples.append(cell_text(cell)[:60])
        batch.rows.append([number, *cells])
        batch.outcomes.append(None)
        if not count % BLOCK_ROWS:
            tell(BLOCK_ROWS)
    if not len(batch.rows):
        raise UnreadableFileError(say("The file has names of columns, but no rows."))
    batch.begin(len(batch.rows))
    for place, column in enumerate(columns, 1):
        column.name = column.name or say("Column {number}", number=str(place))
    batch.matches = (
        matches(info, [c.name for c in columns]) if batch.has_header else by_position(info, len(columns))
    )
    batch.columns = columns
    guess_notation(info, batch)


def guess_notation(info: TableInfo, batch: Batch) -> None:
    """Find how numbers and days are written in the columns that are used, unless someone has said it."""
    kinds = {a.name: a.column_type.kind for a in info.attributes if a.codec is None}
    batch.number_forms, batch.day_forms = Forms(), Forms()
    batch.n_days_alone = batch.n_cut = 0
    for column, name in zip(batch.columns, batch.mapped, strict=True):
        if kinds.get(name) in ("integer", "decimal", "float"):
            batch.number_forms += column.forms
        elif kinds.get(name) in ("date", "datetime"):
            batch.day_forms += column.forms
        if kinds.get(name) in ("datetime", "time"):
            kept = info.attribute(name).column_type
            batch.n_days_alone += column.times.days if isinstance(kept, DatetimeType) else 0
            batch.n_cut += (
                column.times.n_cut(kept.digits) if isinstance(kept, (DatetimeType, TimeType)) else 0
            )
    decimal = batch.number_forms.decimal(has_semicolons=batch.layout.delimiter == ";")
    batch.notation = replace(
        batch.notation,
        decimal=batch.notation.decimal if batch.is_decimal_chosen else decimal,
        days=batch.notation.days if batch.are_days_chosen else batch.day_forms.days(),
    )
