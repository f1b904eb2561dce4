"""Filling in tables: what may be typed, saving it once, and taking it back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import dj_panel as dj
from dj_panel.apps.fields import complaint, format_value, parse_text
from dj_panel.apps.grid import Form, counter_of, describe_form, given_by_master
from dj_panel.apps.services.comparison import PartValues, find_same, newest_key
from dj_panel.apps.services.doubts import find_doubts
from dj_panel.apps.services.drafts import (
    CheckedRow,
    Draft,
    check_parts,
    check_row,
    fingerprint,
    key_texts,
    key_values,
    readings,
    with_time_of_saving,
)
from dj_panel.apps.services.entered import Entered, row_label
from dj_panel.apps.services.history import N_EVENTS
from dj_panel.apps.services.originals import Originals
from dj_panel.apps.services.parents import Choice, Found, Guess, Parents
from dj_panel.apps.services.receipts import Checked, Duplicate, Receipt, Refused, doubted, refused
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.storefiles import PathTakenError, free_path, new_files, stored_with_row
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.apps.services.uploads import Uploads
from dj_panel.apps.typed import custom_of, time_told
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    DuplicateError,
    IntegrityError,
    OneRowError,
    UnknownOutcomeError,
    ValueRefusedError,
)
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Checked", "Duplicate", "Entering", "Receipt", "Refused"]

_N_TOKENS = 2000

Parts = Mapping[str, Sequence[Draft]]
"""A part's name → its rows, as drafts."""


class Entering(Service):
    """What forms ask."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._settings = settings = services.pipeline.connection.settings
        self.custom = custom_of(settings)
        self.originals = Originals(services)
        limit = settings.forms.max_upload_mb * 1_000_000
        self.uploads = Uploads(limit, decimal_comma=self.custom.decimal_comma)
        self._running: dict[str, asyncio.Task[Receipt | Refused]] = {}
        self._receipts: OrderedDict[str, Receipt] = OrderedDict()
        self.entered = Entered(services)

    def close(self) -> None:
        """Remove the files that were not saved."""
        self.uploads.close()

    # ------------------------------------------------------------------ what there is to fill in
    def tables(self) -> list[TableInfo]:
        """Return the tables that people may fill in, parts left out: they belong to their masters' forms."""
        return [info for info in self._services.tables() if info.can_enter and info.master is None]

    def form(self, table: str) -> Form:
        """Return the form of a table.

        Raises
        ------
        AccessError
            If people cannot fill it in.
        """
        return describe_form(self._writable(table), self._services.table)

    def _writable(self, table: str) -> TableInfo:
        info = self._services.table(table)
        if info.master is not None:
            raise AccessError(
                say(
                    "Rows of {label} are entered in the form of {master}.",
                    label=info.label,
                    master=info.master,
                )
            )
        if not info.can_enter:
            raise AccessError(
                say("Rows of {label} are computed by the pipeline; nobody enters them.", label=info.label)
            )
        return info

    # ------------------------------------------------------------------ while typing
    async def check(self, table: str, draft: Draft, only: Collection[str] | None = None) -> Checked:
        """Check a draft; with ``only``, what was typed into these attributes, and whether the key is taken.

        A part's rows are checked alike, under the part's name, with the key of their master in the draft.
        """
        return await self._services.run(self._check, self._services.table(table), draft, only)

    async def begun(self, table: str, link: int, text: str, fixed: Mapping[str, str]) -> list[Choice]:
        """Return the first rows whose key begins with what was typed, at once; arguments as of `search`."""
        return await self._services.run(self._parents(self._link(table, link)).begun, text, fixed)

    async def search(self, table: str, link: int, text: str, fixed: Mapping[str, str]) -> Found:
        """Return the first rows that a foreign key may refer to.

        Parameters
        ----------
        table
            The table that has the foreign key.
        link
            Its place among the table's parents.
        text
            What was typed; if nothing, rows used of late come first.
        fixed
            What is known of the table's attributes: rows that do not agree are left out.
        """
        return await self._services.run(self._search, self._link(table, link), text, fixed)

    async def resolve(
        self, table: str, link: int, text: str, fixed: Mapping[str, str], *, is_code: bool = False
    ) -> Choice | Guess | str:
        """Return the row that was typed, or a sentence that there is none, with the nearest one.

        With ``is_code`` the text was scanned: a key that is written out, or else just what only one row holds, in
        whichever attribute. Otherwise the only row that a search finds will do.
        """
        found = self._link(table, link)
        return await self._services.run(self._resolve, found, text, fixed, is_code)

    async def next_free(self, table: str, attribute: str, fixed: Mapping[str, str]) -> str:
        """Return the number after the highest one among the rows that agree with ``fixed``.

        Empty if the attribute holds no numbers or the highest one is taken.
        """
        return await self._services.run(self._next_free, self._services.table(table), attribute, fixed)

    def _link(self, table: str, number: int) -> Link:
        links = self._services.table(table).parents
        if not 0 <= number < len(links):
            raise OneRowError(f"{table} has no foreign key number {number}.")
        return links[number]

    def _rows(self, table: str) -> Any:
        return self._services.pipeline[table]()

    def _parents(self, link: Link) -> Parents:
        return Parents(link, self._services.table(link.table), self._rows(link.table))

    def _search(self, link: Link, text: str, fixed: Mapping[str, str]) -> Found:
        return self._parents(link).search(text, fixed, self.entered.used(link.table))

    def _resolve(
        self, link: Link, text: str, fixed: Mapping[str, str], is_code: bool
    ) -> Choice | Guess | str:
        return self._parents(link).find(text, fixed, "code" if is_code else "search")

    def _next_free(self, info: TableInfo, name: str, fixed: Mapping[str, str]) -> str:
        attribute = info.attribute(name)
        if attribute.column_type.kind != "integer" or attribute.codec is not None:
            return ""
        try:
            known = {
                n: parse_text(info.attribute(n), t)
                for n, t in fixed.items()
                if n in info.primary_key and n != name
            }
        except ValueError:
            return ""
        rows = self._rows(info.name) & {n: v for n, v in known.items() if v is not None}
        highest = dj.U().aggr(rows, highest=f"max({name})").fetch1("highest")
        number = 1 if highest is None else int(highest) + 1
        try:
            return format_value(attribute, attribute.column_type.check(number))
        except ValueError:
            return ""

    async def free_path(self, table: str, attribute: Attribute, name: str) -> str:
        """Return where in its store a file of this name can go that was sent for a ``<filepath@>`` attribute."""
        return await self._services.run(free_path, table, attribute, name, self._settings)

    def checked(self, info: TableInfo, draft: Draft, *, rows: Any = None, **options: Any) -> CheckedRow:
        """Check a draft, in a thread of the pool; options are those of `check_row`, by default with all rows."""
        return check_row(
            info,
            draft,
            parents=self._parents,
            rows=self._rows(info.name) if rows is None else rows,
            uploads=self.uploads,
            custom=self.custom,
            **options,
        )

    def _check(self, info: TableInfo, draft: Draft, only: Collection[str] | None) -> Checked:
        given = given_by_master(info) if info.master else {}
        checked = self.checked(info, draft, given=given, only=only)
        duplicate = None
        asked = only is None or set(only) & set(info.primary_key)
        if asked and info.master is None and not set(checked.errors) & set(info.primary_key):
            duplicate = self._duplicate(info, checked.values)
        doubts = self.doubts(info, checked.values, draft, {}, only) if info.master is None else {}
        read = readings(info, draft, checked.values, only or ())
        return Checked(checked.errors, duplicate, doubts, read)

    def doubts(
        self,
        info: TableInfo,
        values: Mapping[str, Any],
        draft: Draft,
        ticked: Mapping[str, str],
        only: Collection[str] | None = None,
    ) -> dict[str, str]:
        """Return what is unusual and was not ticked as it stands, in a thread of the pool."""
        found = find_doubts(info, values, self._rows(info.name), self.custom, only)
        return {
            n: complaint(draft[n], t) for n, t in found.items() if n in draft and ticked.get(n) != draft[n]
        }

    def _duplicate(self, info: TableInfo, values: Mapping[str, Any]) -> Duplicate | None:
        key = key_values(info, values)
        if key is None or not self._rows(info.name) & key:
            return None
        texts = key_texts(info, key)
        counter = counter_of(info)
        free = self._next_free(info, counter, texts) if counter else ""
        return Duplicate(
            texts, row_label(info, texts), counter if free else "", free, self._entered_by(info, texts)
        )

    def _entered_by(self, info: TableInfo, texts: Mapping[str, str]) -> str:
        """Return who entered a row and when; empty if the history does not know."""
        events = self._services.history.of_row_now(info, texts, N_EVENTS)
        found = next((event for event in events if event.action == "insert"), None)
        return f"{found.user}, {time_told(found.time)}" if found is not None else ""

    # ------------------------------------------------------------------ saving
    async def save(
        self,
        table: str,
        draft: Draft,
        parts: Parts,
        token: str,
        *,
        is_resent: bool = False,
        ticked: Mapping[str, str] | None = None,
    ) -> Receipt | Refused:
        """Write a row and the rows of its parts, in one transaction, once.

        Parameters
        ----------
        table
            The table; not a part.
        draft
            The row.
        parts
            The rows of its parts; rows without any text are passed over.
        token
            Of the draft. The same content under the same token is written once, however often it is sent.
        is_resent
            Whether the draft was sent before and no answer came, perhaps from a server that is gone.
        ticked
            Attribute → text that is unusual, and meant; ``None`` does not ask about what is unusual.

        Returns
        -------
        Receipt or Refused
            A row that is there already, just as typed, gives a receipt too.

        Raises
        ------
        AccessError
            If people cannot fill the table in.
        """
        info = self._writable(table)
        mark = fingerprint(table, draft, parts, token)
        known = self._receipts.get(mark)
        if known is not None:
            return replace(known, is_repeat=True)
        task = self._running.get(mark)
        if task is None:
            work = self._services.run(self._save, info, draft, parts, token, is_resent, ticked)
            task = self._running[mark] = asyncio.ensure_future(work)
            task.add_done_callback(lambda _task: self._running.pop(mark, None))
        # A browser that goes away must not stop what it has begun.
        outcome = await asyncio.shield(task)
        if isinstance(outcome, Receipt) and mark not in self._receipts:
            self._remember(info, outcome, mark)
        return outcome

    def _remember(self, info: TableInfo, receipt: Receipt, mark: str) -> None:
        self._receipts[mark] = receipt
        while len(self._receipts) > _N_TOKENS:
            self._receipts.popitem(last=False)
        if not receipt.is_repeat:
            self.entered.add(receipt)
        self._services.watcher.poke()

    def _save(
        self,
        info: TableInfo,
        draft: Draft,
        parts: Parts,
        token: str,
        is_resent: bool,
        ticked: Mapping[str, str] | None,
    ) -> Receipt | Refused:
        row = self.checked(info, draft)
        part_rows, part_errors = self._check_parts(info, row, draft, parts)
        if not row.errors and not part_errors:
            there = self._same(info, row.values, part_rows, is_resent=is_resent)
            if there is not None:
                return self._receipt(info, there, part_rows, token, is_repeat=True)
        duplicate = None
        if not set(row.errors) & set(info.primary_key):
            duplicate = self._duplicate(info, row.values)
        if row.errors or part_errors or duplicate:
            return refused(row.errors, part_errors, duplicate)
        if ticked is not None and (doubts := self.doubts(info, row.values, draft, ticked)):
            return doubted(doubts)
        values, rows_of_parts = self._at_saving(info, row.values, part_rows)
        try:
            sent = {info.name: [draft], **parts}
            files = new_files(sent, self._services.table, self.uploads, self._settings)
            with stored_with_row(files) as take_back:
                self._write(info, values, rows_of_parts, take_back)
        except (DuplicateError, IntegrityError, PathTakenError) as error:
            # Someone was faster: what the checks say now is what went wrong.
            return self._explained(info, draft, parts, row.values, part_rows, token, error)
        except UnknownOutcomeError:
            there = self._same(info, row.values, part_rows, is_resent=True)
            if there is not None:
                return self._receipt(info, there, part_rows, token)
            return Refused(
                {}, {}, say("The connection to the database was lost, and nothing was saved. Save again.")
            )
        except ValueRefusedError as error:
            name = error.attribute if error.attribute in {a.name for a in info.attributes} else ""
            return refused({name: error.reason} if name else {}, {}, None, str(error))
        except DataJointError as error:
            return refused(*self._located(info, error), None, str(error))
        key = key_values(info, values) or newest_key(info, values, self._rows(info.name))
        self.entered.note_used(info, row.values, key)
        for one in (draft, *chain.from_iterable(parts.values())):
            for text in one.values():
                self.uploads.drop(text)
        return self._receipt(info, key, part_rows, token)

    def _at_saving(
        self, info: TableInfo, values: Mapping[str, Any], parts: PartValues
    ) -> tuple[dict[str, Any], PartValues]:
        now = self.custom.now()
        table = self._services.table
        return with_time_of_saving(info, values, now), {
            name: [with_time_of_saving(table(name), one, now) for one in rows] for name, rows in parts.items()
        }

    def _explained(
        self,
        info: TableInfo,
        draft: Draft,
        parts: Parts,
        values: Mapping[str, Any],
        part_rows: PartValues,
        token: str,
        error: DataJointError,
    ) -> Receipt | Refused:
        there = self._same(info, values, part_rows)
        if there is not None:
            return self._receipt(info, there, part_rows, token, is_repeat=True)
        row = self.checked(info, draft)
        _, part_errors = self._check_parts(info, row, draft, parts)
        duplicate = self._duplicate(info, values)
        return refused(row.errors, part_errors, duplicate, str(error))

    def _located(self, info: TableInfo, error: DataJointError) -> tuple[dict[str, str], dict[Any, str]]:
        """Return the error at its attribute, where the message names one."""
        where = self._rows(info.name).name
        head, _, reason = str(error).partition(": ")
        schema, table, name = ([*head.split("."), "", "", ""])[:3]
        if (schema, table) == (where.schema, where.table) and any(a.name == name for a in info.attributes):
            return {name: reason}, {}
        return {}, {}

    def _check_parts(
        self, info: TableInfo, row: CheckedRow, draft: Draft, parts: Parts
    ) -> tuple[dict[str, list[dict[str, Any]]], dict[tuple[str, int, str], str]]:
        return check_parts(info, row, draft, parts, table=self._services.table, checked=self.checked)

    def _same(
        self, info: TableInfo, values: Mapping[str, Any], parts: PartValues, *, is_resent: bool = False
    ) -> dict[str, Any] | None:
        return find_same(
            info, values, parts, table=self._services.table, rows=self._rows, is_resent=is_resent
        )

    def _write(
        self,
        info: TableInfo,
        values: Mapping[str, Any],
        parts: Mapping[str, Sequence[Mapping[str, Any]]],
        take_back: Callable[[], None],
    ) -> None:
        history = self._services.history
        history.prepare([self._rows(info.name).name])

        def write() -> None:
            take_back()  # what an attempt before this one wrote
            self._rows(info.name).insert1(dict(values))
            for name, rows in parts.items():
                for row in rows:
                    self._rows(name).insert1(dict(row))
            key = key_values(info, values) or newest_key(info, values, self._rows(info.name))
            history.note_inserted(info, key)

        self._services.pipeline.connection.retried(write)

    # ------------------------------------------------------------------ afterwards
    def _receipt(
        self,
        info: TableInfo,
        key: Mapping[str, Any],
        parts: Mapping[str, Sequence[Any]],
        token: str,
        *,
        is_repeat: bool = False,
    ) -> Receipt:
        texts = key_texts(info, key)
        return Receipt(
            table=info.name,
            key=texts,
            label=row_label(info, texts),
            token=token,
            saved_at=self.custom.local(),
            n_parts={name: len(rows) for name, rows in parts.items() if rows},
            is_repeat=is_repeat,
            values=dict(key),
        )

    async def undo(self, receipt: Receipt) -> None:
        """Delete the row of a receipt and its parts; raises as :meth:`Entered.undo` does."""
        self._writable(receipt.table)
        await self.entered.undo(receipt)
        for mark, known in list(self._receipts.items()):
            if known.values == receipt.values and known.table == receipt.table:
                del self._receipts[mark]
        self._services.watcher.poke()
