"""The rows of an import written in one transaction, and taken back in one, with the history of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from dj_panel.apps.services.batches import Batch, RowClass
from dj_panel.apps.services.chosen import rows_label
from dj_panel.apps.services.comparison import agrees
from dj_panel.apps.services.drafts import key_texts, key_values, with_time_of_saving
from dj_panel.apps.services.rowchecks import BLOCK_ROWS, Values
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.typed import Custom
from dj_panel.core.errors import IntegrityError
from dj_panel.core.history import Change, History
from dj_panel.core.words import say, say_many

__all__ = ["batch_rows", "is_traced", "remove_rows", "write_rows"]

_UNDO_ROWS = 500
TAKEN_BACK = "Import taken back"

Told = Callable[[int], None]
"""Called with the number of rows done since the last call; may raise to give up."""


def batch_rows(batch: Batch, number: int) -> Iterator[Values]:
    """Yield the rows that one writing of an import has written."""
    for position in batch.written(number):
        yield batch.checker.values(position)


def is_traced(info: TableInfo, table: Any, batch: Batch, number: int) -> bool:
    """Return whether the history tells which rows an import has written: all but those that the database numbered."""
    if not info.primary_key or not History(table.connection, table.name.schema).prepare():
        return False
    unsure = {a.name for a in info.attributes if a.in_key and a.has_default}
    return not unsure or all(unsure <= row.keys() for row in batch_rows(batch, number))


def write_rows(info: TableInfo, table: Any, batch: Batch, tell: Told, custom: Custom) -> int:
    """Write the new rows of an import in one transaction, and note them in the history; return how many."""
    history = History(table.connection, table.name.schema)
    token = batch.token(batch.next_writing)
    history.prepare()

    def write() -> int:
        n_rows = batch.n_done = 0
        batch.n_total = batch.count(RowClass.NEW)
        positions = batch.positions(RowClass.NEW)
        now = custom.now()
        while block := [
            with_time_of_saving(info, batch.checker.values(p), now) for p in islice(positions, BLOCK_ROWS)
        ]:
            table.insert(block)
            history.note(
                (Change(table.name, "insert", after=row) for row in block),
                user=batch.user,
                source="import",
                batch=token,
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
                    say(
                        "The database has numbered these rows of {label}, so they cannot be told from others. "
                        "Nothing was removed. Delete them in their table.",
                        label=info.label,
                    )
                )
            _check_unchanged(info, table & keys, block)
            try:
                (table & keys).delete_quick()
            except IntegrityError as error:
                raise IntegrityError(
                    say("{used_by} Nothing was removed.", used_by=_used_by(table & keys))
                ) from error
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
    found = {_place(info, row): row for row in there.to_dicts(attributes=(a.name for a in plain))}
    gone, changed = [], []
    for row in block:
        key = key_values(info, row) or {}
        now = found.get(_place(info, key))
        if now is None:
            gone.append(key)
        elif not all(agrees(a, now[a.name], row.get(a.name)) for a in plain):
            changed.append(key)
    if changed:
        raise IntegrityError(
            say_many(
                "{rows} was changed since the import. Nothing was removed.",
                "{rows} were changed since the import. Nothing was removed.",
                len(changed),
                rows=_named(info, changed),
            )
        )
    if gone:
        raise IntegrityError(
            say_many(
                "{rows} was removed since the import. Nothing was removed now.",
                "{rows} were removed since the import. Nothing was removed now.",
                len(gone),
                rows=_named(info, gone),
            )
        )


def _place(info: TableInfo, row: Values) -> tuple[str, ...]:
    return tuple(key_texts(info, row).values())


def _named(info: TableInfo, keys: list[dict[str, Any]]) -> str:
    return rows_label(info, [key_texts(info, key) for key in keys])


def _used_by(rows: Any) -> str:
    counts = rows.plan_delete("ignore").counts(rows.connection)
    names = [
        say_many("{n} row of {table}", "{n} rows of {table}", number, table=place.class_name)
        for place, number in counts.items()
        if place != rows.name and number
    ]
    return say(
        "Other rows depend on those of the import: {rows}.", rows=", ".join(names) or say("of another schema")
    )
