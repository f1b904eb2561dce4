"""The rows of a file that cannot be imported, as a file with the reasons: to be corrected and sent again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from dj_panel.apps.services.batches import Batch, RowClass, cell_text
from dj_panel.apps.services.formulas import shielded
from dj_panel.apps.services.mapping import REASON_HEADER
from dj_panel.apps.services.reading import Cell

__all__ = ["plain_csv", "rejected_lines"]

_NUMBER = re.compile(r"[+-]?\d[\d.,]*([eE][+-]?\d+)?")


def rejected_lines(batch: Batch) -> Iterator[str]:
    """Yield the lines of a CSV file of the rows in conflict and invalid, safe to be opened in a spreadsheet."""
    names = [column.name for column in batch.columns]
    kept = [place for place, name in enumerate(names) if name != REASON_HEADER]

    def rows() -> Iterator[list[Cell]]:
        yield [*(names[place] for place in kept), REASON_HEADER]
        for position in batch.positions(RowClass.INVALID, RowClass.CONFLICT):
            cells = batch.cells(position)
            messages = batch.messages(position)
            reasons = " ".join(f"{name}: {text}" if name else text for name, text in messages.items())
            yield [*(cells[place] for place in kept), reasons]

    return plain_csv(rows())


def plain_csv(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield rows of cells as lines of CSV, marked as UTF-8.

    What a spreadsheet would run as a formula gets an apostrophe in front; numbers stay as they are.
    """
    line = io.StringIO("\ufeff")
    line.seek(1)
    writer = csv.writer(line)
    for row in rows:
        writer.writerow([_safe(cell_text(cell)) for cell in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _safe(text: str) -> str:
    return text if _NUMBER.fullmatch(text) else shielded(text)
