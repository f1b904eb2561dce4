"""Changing many rows together: one new value for all of them, looked at first, written whole, and taken back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dj_panel.apps.fields import Field
from dj_panel.apps.grid import Form, describe_form
from dj_panel.apps.pickers import Picker
from dj_panel.apps.services.chosen import MAX_CHOSEN, rows_label
from dj_panel.apps.services.drafts import Draft, stored_value
from dj_panel.apps.services.editing import is_of_key
from dj_panel.apps.services.history import Value, is_typed
from dj_panel.apps.services.receipts import corrections_needed, doubted
from dj_panel.apps.services.renewals import (
    FINAL,
    RowsEdited,
    RowsOpened,
    RowsReview,
    attributes_of,
    differing,
    holding_of,
    is_final,
    item_id,
    offered,
    renewal_of,
    renewals_of,
)
from dj_panel.apps.services.revisions import Agreement, Seen
from dj_panel.apps.services.rewriting import ChangedMeanwhileError
from dj_panel.apps.services.rows import parse_key
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import AccessError, DataJointError, IntegrityError, OneRowError, ValueRefusedError
from dj_panel.core.history import Digest
from dj_panel.core.rowtexts import stored_rows, texts_of
from dj_panel.core.words import say, say_many

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["BatchEditing", "is_of_rows"]

TAKEN_BACK = "Change taken back"
"""The reason that the history gives for values that were brought back together."""

_OF_ROWS, _OF_UNDO = "rows-", "undo-"
"""With these begin the names under which the history knows such changes, and those that take them back."""

_N_RECEIPTS = 100

Keys = Sequence[Mapping[str, str]]


def is_of_rows(batch: str) -> bool:
    """Return whether the history has noted under this name that rows were changed together."""
    return batch.startswith(_OF_ROWS)


class BatchEditing(Service):
    """What the page for changing many rows asks."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._running: dict[str, asyncio.Task[RowsEdited | RowsReview]] = {}
        self._receipts: OrderedDict[str, RowsEdited] = OrderedDict()

    async def open(self, table: str, keys: Keys) -> RowsOpened:
        """Return what can be changed in rows together, and what they hold.

        Raises
        ------
        AccessError
            If people do not enter rows of this table, or no row or more than `MAX_CHOSEN` are chosen.
        OneRowError
            If none of these rows is there.
        """
        return await self._services.run(self._open, self._table(table, keys), keys)

    async def review(
        self,
        table: str,
        keys: Keys,
        draft: Draft,
        chosen: Collection[str],
        ticked: Mapping[str, str] | None = None,
    ) -> RowsReview:
        """Check the new values, and tell what saving them would change; nothing is written.

        Parameters
        ----------
        table, keys
            The rows.
        draft
            What the fields hold.
        chosen
            Names of the fields and pickers that change; one that is empty gives no value, or the default.
        ticked
            Attribute → text that is unusual, and meant; ``None`` does not ask about what is unusual.
        """
        return await self._services.run(self._review, self._table(table, keys), keys, draft, chosen, ticked)

    async def save(
        self,
        table: str,
        keys: Keys,
        draft: Draft,
        chosen: Collection[str],
        seen: Sequence[str],
        token: str,
        agreement: Agreement,
    ) -> RowsEdited | RowsReview:
        """Change all rows in one transaction, if they still are as they were seen.

        Parameters
        ----------
        table, keys, draft, chosen
            As for :meth:`review`.
        seen
            Of the last review.
        token
            Secret name of this change, which is made once under it, however often it is sent.
        agreement
            Why, and what becomes of rows that were computed from those that change.

        Returns
        -------
        RowsEdited or RowsReview
            Nothing was written if a review comes back.
        """
        info = self._table(table, keys)
        content = json.dumps([sorted(draft.items()), sorted(chosen), [sorted(key.items()) for key in keys]])
        batch = _OF_ROWS + _digest(info.name, token, content)
        task = self._running.get(batch)
        if task is None:
            work = self._services.run(self._save, info, keys, draft, chosen, seen, batch, agreement)
            task = self._running[batch] = asyncio.ensure_future(work)
            task.add_done_callback(lambda _task: self._running.pop(batch, None))
        # A browser that goes away must not stop what it has begun.
        outcome = await asyncio.shield(task)
        if isinstance(outcome, RowsEdited):
            self._services.watcher.poke()
        return outcome

    async def receipt(self, table: str, batch: str) -> RowsEdited:
        """Return what was changed under a name.

        Raises
        ------
        OneRowError
            If nothing is known of it.
        """
        info = self._services.editing.editable(table)
        found = await self._services.run(self._receipt, info, batch)
        if found is None:
            raise OneRowError(say("Nothing is known of this change of rows of {label}.", label=info.label))
        return found

    async def undo(self, table: str, batch: str) -> RowsEdited:
        """Bring back the values that rows had before they were changed together, and return the receipt.

        Raises
        ------
        IntegrityError
            If one of them was changed since or is gone, or the history has not kept all values; nothing was written.
        OneRowError
            If nothing is known of this change.
        """
        info = self._services.editing.editable(table)
        found = await self._services.run(self._undo, info, batch)
        self._services.watcher.poke()
        return found

    # ------------------------------------------------------------------ reading, in the threads of the pool
    def _table(self, table: str, keys: Keys) -> TableInfo:
        info = self._services.editing.editable(table)
        if not 0 < len(keys) <= MAX_CHOSEN:
            raise AccessError(
                say(
                    "Choose between 1 and {max_chosen} rows of {label} to change.",
                    max_chosen=MAX_CHOSEN,
                    label=info.label,
                )
            )
        return info

    def _read(self, info: TableInfo, keys: Keys) -> list[Seen]:
        """Return the rows as they are: the key, and what can be typed. Files and arrays may be large."""
        table = self._services.pipeline[info.name]()
        rows = table & [parse_key(info, key) for key in keys]
        found = list(stored_rows(rows.connection, rows.name, rows.node, _names(info)))
        if not found:
            raise OneRowError(
                say("{label}: none of these rows is there any more.", label=rows_label(info, list(keys)))
            )
        return found

    def _open(self, info: TableInfo, keys: Keys) -> RowsOpened:
        found = self._read(info, keys)
        common = _common(info, found)
        form = describe_form(info, self._services.table)
        items, apart = offered(info, _items(form, info), common)
        return RowsOpened(
            replace(form, items=tuple(items), grids=(), counter="", blocker=""),
            rows_label(info, [{n: str(row[n]) for n in info.primary_key} for row in found]),
            len(found),
            len(keys) - len(found),
            self._typed(info, common),
            {item_id(item): holding_of(_texts(item, info, row) for row in found) for item in items},
            apart,
        )

    def _typed(self, info: TableInfo, common: Mapping[str, str]) -> dict[str, str]:
        """Return values as they stand in a draft; what a picker gives is not written in the lab's custom."""
        text = self._services.editing.draft_text
        return {n: t if info.parent_of(n) else text(info.attribute(n), t) for n, t in common.items()}

    # ------------------------------------------------------------------ comparing
    def _checked(
        self, info: TableInfo, common: Mapping[str, str], draft: Draft, chosen: Collection[str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the new values of the attributes that were chosen, and what is wrong with them."""
        form = describe_form(info, self._services.table)
        items, _ = offered(info, _items(form, info), common)
        items = [item for item in items if item_id(item) in chosen]
        names = {name for item in items for name in attributes_of(item)}
        ours = names | {item_id(item) for item in items}
        asked = {name: text for name, text in draft.items() if name in ours and name not in info.primary_key}
        checked = self._services.entering.checked(info, {**asked, **self._typed(info, common)}, only=names)
        errors = dict(checked.errors)
        values: dict[str, Any] = {}
        for name in [a.name for a in info.attributes if a.name in names and not a.in_key]:
            if name in errors:
                continue
            try:
                values[name] = stored_value(info.attribute(name), checked.values.get(name))
            except ValueError as error:
                errors[name] = str(error)
        return values, errors

    def _review(
        self,
        info: TableInfo,
        keys: Keys,
        draft: Draft,
        chosen: Collection[str],
        ticked: Mapping[str, str] | None = None,
    ) -> RowsReview:
        found = self._read(info, keys)
        values, errors = self._checked(info, _common(info, found), draft, chosen)
        if errors:
            return RowsReview(errors=errors, summary=corrections_needed(len(errors)))
        if not values:
            return RowsReview(summary=say("Nothing is chosen to be changed, so there is nothing to save."))
        common = {n: info.attribute(n).column_type.parse(t) for n, t in _common(info, found).items()}
        given = {n: value for n, value in {**common, **values}.items() if value is not None}
        if ticked is not None and (
            doubts := self._services.entering.doubts(info, given, draft, ticked, values.keys())
        ):
            return RowsReview(doubts=doubts, summary=doubted(doubts).summary)
        table = self._services.pipeline[info.name]()
        new = texts_of(table.heading, values)
        changing = [row for row in found if differing(row, new)]
        review = RowsReview(
            tuple(renewal_of(name, [row[name] for row in found], text) for name, text in new.items()),
            len(found),
            len(changing),
            n_gone=len(keys) - len(found),
            seen=tuple(map(_mark, found)),
            is_final=any(isinstance(row[name], Digest) for row in changing for name in differing(row, new)),
        )
        if not changing:
            return replace(
                review,
                summary=say("All of these rows hold these values already, so there is nothing to save."),
            )
        rows = table & [_key_values(info, row) for row in changing]
        return replace(review, computed=self._services.rewriting.computed(rows))

    # ------------------------------------------------------------------ saving
    def _save(
        self,
        info: TableInfo,
        keys: Keys,
        draft: Draft,
        chosen: Collection[str],
        seen: Sequence[str],
        batch: str,
        agreement: Agreement,
    ) -> RowsEdited | RowsReview:
        known = self._receipt(info, batch)  # the answer to an earlier attempt got lost
        if known is not None:
            return known
        try:
            found = self._read(info, keys)
        except OneRowError as error:
            return RowsReview(summary=str(error))
        values, errors = self._checked(info, _common(info, found), draft, chosen)
        if errors or not values:
            return self._review(info, keys, draft, chosen)
        table = self._services.pipeline[info.name]()
        new = texts_of(table.heading, values)

        def check(rows: Sequence[Seen]) -> None:
            if [_mark(row) for row in rows] != list(seen):
                raise ChangedMeanwhileError

        try:
            rewritten = self._services.rewriting.write(
                table,
                [parse_key(info, key) for key in keys],
                check=check,
                values=lambda row: {name: values[name] for name in differing(row, new)} or None,
                agreement=agreement,
                what=f"{rows_label(info, list(keys))} were changed",
                names=_names(info),
                batch=batch,
            )
        except ChangedMeanwhileError:
            return self._changed_meanwhile(info, keys, draft, chosen, seen)
        except ValueRefusedError as error:
            return RowsReview(
                errors={error.attribute: error.reason} if error.attribute in values else {},
                summary=str(error),
            )
        except DataJointError as error:
            return RowsReview(summary=str(error))
        if not rewritten.changes:
            return self._review(info, keys, draft, chosen)
        pairs = [(change.before or {}, change.after or {}) for change in rewritten.changes]
        is_kept = self._services.history.of(table.name).prepare()
        edited = RowsEdited(
            batch if is_kept else "",
            len(pairs),
            self._services.user,
            self._services.entering.custom.local(),
            agreement.reason,
            renewals_of(info, pairs),
            rewritten.n_computed,
            is_final=is_final(pairs),
        )
        self._receipts[batch] = edited
        while len(self._receipts) > _N_RECEIPTS:
            self._receipts.popitem(last=False)
        return edited

    def _changed_meanwhile(
        self, info: TableInfo, keys: Keys, draft: Draft, chosen: Collection[str], seen: Sequence[str]
    ) -> RowsReview:
        try:
            review = self._review(info, keys, draft, chosen)
        except OneRowError as error:
            return RowsReview(summary=str(error))
        return replace(review, n_changed_meanwhile=len(set(review.seen) - set(seen)))

    # ------------------------------------------------------------------ afterwards
    def _receipt(self, info: TableInfo, batch: str) -> RowsEdited | None:
        """Return what the history knows of a change, or, where it is not kept, what was done of late."""
        if not is_of_rows(batch):
            return None
        place = self._services.pipeline[info.name]().name
        entries = [e for e in self._services.history.of(place).of_batch(batch, place) if e.before is not None]
        known = self._receipts.get(batch)
        if not entries:
            return known
        pairs = [(entry.before or {}, entry.after or {}) for entry in entries]
        first = entries[0]
        is_undone = next(self._services.history.of(place).of_batch(_undo(batch), place), None) is not None
        return RowsEdited(
            batch,
            len(entries),
            first.user,
            self._services.entering.custom.local(first.time),
            first.reason,
            renewals_of(info, pairs),
            known.n_computed if known is not None else 0,
            is_final=is_final(pairs),
            is_undone=is_undone,
        )

    def _undo(self, info: TableInfo, batch: str) -> RowsEdited:
        receipt = self._receipt(info, batch)
        if receipt is None or not receipt.batch:
            raise OneRowError(say("Nothing is known of this change of rows of {label}.", label=info.label))
        if receipt.is_undone:
            return receipt
        if receipt.is_final:
            raise IntegrityError(say(FINAL))
        table = self._services.pipeline[info.name]()
        entries = self._services.history.of(table.name).of_batch(batch, table.name)
        noted = {
            tuple(entry.key[name] for name in info.primary_key): entry
            for entry in entries
            if entry.before is not None
        }

        def entry_of(row: Seen) -> Any:
            return noted[tuple(str(row[name]) for name in info.primary_key)]

        def check(rows: Sequence[Seen]) -> None:
            kept = sum(all(row[n] == v for n, v in (entry_of(row).after or {}).items()) for row in rows)
            if kept < len(noted):
                raise IntegrityError(
                    say_many(
                        "{n} of these rows was changed or deleted since. Nothing was brought back.",
                        "{n} of these rows were changed or deleted since. Nothing was brought back.",
                        len(noted) - kept,
                    )
                )

        def values(row: Seen) -> dict[str, Any]:
            before = entry_of(row).before or {}
            return {
                n: None if v is None else info.attribute(n).column_type.parse(v) for n, v in before.items()
            }

        self._services.rewriting.write(
            table,
            [parse_key(info, entry.key) for entry in noted.values()],
            check=check,
            values=values,
            agreement=Agreement(TAKEN_BACK),
            what=TAKEN_BACK,
            names=_names(info),
            batch=_undo(batch),
        )
        return replace(receipt, is_undone=True)


def _texts(item: Field | Picker, info: TableInfo, row: Seen) -> tuple[Value, ...]:
    return tuple(row[name] for name in attributes_of(item) if name not in info.primary_key)


def _items(form: Form, info: TableInfo) -> list[Field | Picker]:
    return [item for item in form.items if not is_of_key(item, info)]


def _names(info: TableInfo) -> list[str]:
    return [a.name for a in info.attributes if a.in_key or is_typed(a)]


def _common(info: TableInfo, rows: Sequence[Seen]) -> dict[str, str]:
    """Return what all rows have in common of the key."""
    return {name: str(rows[0][name]) for name in info.primary_key if len({row[name] for row in rows}) == 1}


def _mark(row: Seen) -> str:
    """Return what tells a row, as it is, from itself with any other value."""
    values = {n: [v.size, v.sha256] if isinstance(v, Digest) else v for n, v in row.items()}
    return _digest(json.dumps(values))[:16]


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


def _undo(batch: str) -> str:
    """Return the name under which values are brought back: there is one for each change, so it happens once."""
    return _OF_UNDO + _digest(batch)


def _key_values(info: TableInfo, row: Seen) -> dict[str, Any]:
    return {name: info.attribute(name).column_type.parse(str(row[name])) for name in info.primary_key}
