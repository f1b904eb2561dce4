"""The rows of an import written in one transaction, and taken back in one, with the history of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dj_panel.apps.pickers import key_label
from dj_panel.apps.services.batches import Batch, ImportReceipt, RowClass
from dj_panel.apps.services.comparison import agrees
from dj_panel.apps.services.drafts import key_texts, key_values
from dj_panel.apps.services.rowchecks import BLOCK_ROWS, Values
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import IntegrityError
from dj_panel.core.history import Change, Digest, History

__all__ = ["PastImport", "batch_rows", "find_past", "past_rows", "remove_rows", "write_rows"]

_MAX_NAMED = 5
_UNDO_ROWS = 500
TAKEN_BACK = "Import taken back"

Told = Callable[[int], None]
"""Called with the number of rows done since the last call; may raise to give up."""


@dataclass(frozen=True)
class PastImport:
    """An import that the history tells of.

    Parameters
    ----------
    user
        Who did it.
    receipt
        What was written.
    first
        Place of its first row in the history of the batch.
    """

    user: str
    receipt: ImportReceipt
    first: int = 0


def batch_rows(batch: Batch) -> Iterator[Values]:
    """Yield the rows that an import has written."""
    for position in batch.positions(RowClass.IMPORTED):
        yield batch.checker.values(position)


def write_rows(table: Any, batch: Batch, tell: Told) -> int:
    """Write the new rows of an import in one transaction, and note them in the history; return how many."""
    history = History(table.connection, table.name.schema)
    history.prepare()

    def write() -> int:
        n_rows = batch.n_done = 0
        batch.n_total = batch.count(RowClass.NEW)
        positions = batch.positions(RowClass.NEW)
        while block := [batch.checker.values(p) for p in islice(positions, BLOCK_ROWS)]:
            table.insert(block)
            history.note(
                (Change(table.name, "insert", after=row) for row in block),
                user=batch.user,
                source="import",
                batch=batch.id,
                reason=batch.file_name,
            )
            n_rows += len(block)
            tell(len(block))
        return n_rows

    written: int = table.connection.retried(write)
    return written


def remove_rows(
    info: TableInfo, table: Any, rows: Callable[[], Iterator[Values]], batch_id: str, user: str, tell: Told
) -> None:
    """Remove the rows that an import has written, in one transaction.

    Raises
    ------
    IntegrityError
        If one of them was changed or removed since, or another row depends on it; nothing was removed.
    """
    history = History(table.connection, table.name.schema)
    history.prepare()

    def remove() -> None:
        written = rows()
        while block := list(islice(written, _UNDO_ROWS)):
            keys = [key for row in block if (key := key_values(info, row)) is not None]
            if len(keys) < len(block):
                raise IntegrityError(
                    f"The database has numbered these rows of {info.label}, so they cannot be told from others."
                    " Nothing was removed. Delete them in their table."
                )
            _check_unchanged(info, table & keys, block)
            try:
                (table & keys).delete_quick()
            except IntegrityError as error:
                raise IntegrityError(f"{_used_by(table & keys)} Nothing was removed.") from error
            history.note(
                (Change(table.name, "delete", key=key) for key in keys),
                user=user,
                source="import",
                batch=batch_id,
                reason=TAKEN_BACK,
            )
            tell(len(block))

    table.connection.retried(remove)


def _check_unchanged(info: TableInfo, there: Any, block: list[Values]) -> None:
    plain = [a for a in info.attributes if a.codec is None]
    found = {_place(info, row): row for row in there.to_dicts(*(a.name for a in plain))}
    gone, changed = [], []
    for row in block:
        key = key_values(info, row) or {}
        now = found.get(_place(info, key))
        if now is None:
            gone.append(key)
        elif not all(agrees(a, now[a.name], row.get(a.name)) for a in plain):
            changed.append(key)
    for keys, what in ((changed, "changed"), (gone, "removed")):
        if keys:
            raise IntegrityError(
                f"{_named(info, keys)} {'was' if len(keys) == 1 else 'were'} {what} since the import."
                " Nothing was removed."
            )


def _place(info: TableInfo, row: Values) -> tuple[str, ...]:
    return tuple(key_texts(info, row).values())


def _named(info: TableInfo, keys: list[dict[str, Any]]) -> str:
    names = [key_label(key_texts(info, key), info.primary_key) for key in keys[:_MAX_NAMED]]
    more = f" and {len(keys) - _MAX_NAMED:,} more" if len(keys) > _MAX_NAMED else ""
    return f"{info.label} {', '.join(names)}{more}"


def _used_by(rows: Any) -> str:
    counts = rows.plan_delete("ignore").counts(rows.connection)
    names = [
        f"{number:,} {'row' if number == 1 else 'rows'} of {place.class_name}"
        for place, number in counts.items()
        if place != rows.name and number
    ]
    return f"Other rows depend on those of the import: {', '.join(names) or 'of another schema'}."


# ---------------------------------------------------------------------------------------------- history
def find_past(table: Any, batch_id: str) -> PastImport | None:
    """Return what the history knows of an import into a table."""
    n_rows, is_undone, user, when, first = 0, False, "", None, 0
    for number, entry in enumerate(History(table.connection, table.name.schema).of_batch(batch_id)):
        if entry.table != table.name or entry.source != "import":
            return None
        if entry.action == "insert" and (is_undone or when is None):
            # After it was taken back it may have been done again.
            n_rows, is_undone, user, when, first = 0, False, entry.user, entry.time, number
        n_rows += entry.action == "insert"
        is_undone = entry.action == "delete"
    if when is None:
        return None
    return PastImport(user, ImportReceipt(n_rows, 0, when.astimezone(), is_undone=is_undone), first)


def past_rows(table: Any, batch_id: str, past: PastImport) -> Iterator[Values]:
    """Yield the rows that an import has written, as the history has them."""
    heading = table.structure.heading
    entries = History(table.connection, table.name.schema).of_batch(batch_id)
    for entry in islice(entries, past.first, past.first + past.receipt.n_rows):
        values = {}
        for name, text in (entry.after or {}).items():
            if isinstance(text, Digest):
                raise IntegrityError(
                    f"The history has only the size of what was written to {name}, so it cannot be told"
                    " whether it was changed. Nothing was removed. Delete the rows in their table."
                )
            if text is not None:
                values[name] = heading[name].column_type.parse(text)
        yield values
