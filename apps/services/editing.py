"""Changing a row that is there: what would change, who was faster, and which computed rows used the old values."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from dj_panel.apps.fields import draft_text
from dj_panel.apps.grid import describe_form
from dj_panel.apps.pickers import Picker, key_label, picker_number
from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.services.drafts import Draft, stored_value
from dj_panel.apps.services.history import Shown, is_typed, shown
from dj_panel.apps.services.partediting import Compared, PartEditing, Parts
from dj_panel.apps.services.partwriting import PartRefusedError, PartWriting
from dj_panel.apps.services.receipts import corrections_needed, doubted
from dj_panel.apps.services.revisions import (
    Agreement,
    Before,
    Difference,
    Edited,
    Opened,
    Review,
    Seen,
)
from dj_panel.apps.services.rewriting import ChangedMeanwhileError
from dj_panel.apps.services.rows import parse_key
from dj_panel.apps.services.seen import dump_seen, load_parts_seen, load_seen
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.storefiles import new_files, stored_with_row
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.typed import time_told
from dj_panel.core.errors import AccessError, DataJointError, OneRowError, ValueRefusedError
from dj_panel.core.history import Digest
from dj_panel.core.rowtexts import noted, stored_contents, stored_rows, texts_of
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Editing", "is_of_key"]


class Editing(Service):
    """What the page for changing a row asks."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._parts = PartEditing(services, self._checked, self._differences)
        self._part_writing = PartWriting(services, self._parts.rows)

    async def open(self, table: str, key: Mapping[str, str]) -> Opened:
        """Return a row with its form.

        Raises
        ------
        AccessError
            If people do not enter rows of this table.
        OneRowError
            If there is no such row.
        """
        return await self._services.run(self._open, self.editable(table), key)

    async def before(self, table: str, key: Mapping[str, str], batch: str) -> Before:
        """Return what is known of the time before a change, with the rows of parts as they were.

        Parameters
        ----------
        table, key
            The row.
        batch
            From :class:`Edited`.
        """
        info = self.editable(table)
        return await self._services.run(self._parts.rows.before, info, parse_key(info, key), batch)

    async def review(
        self,
        table: str,
        key: Mapping[str, str],
        draft: Draft,
        seen: str,
        parts: Parts | None = None,
        ticked: Draft | None = None,
    ) -> Review:
        """Check a draft, and tell what saving it would change; nothing is written.

        Parameters
        ----------
        table, key
            The row.
        draft
            What the fields hold. What is empty becomes no value, or the default where there must be one.
        seen
            From :class:`Opened`, or of the last review.
        parts
            All rows of its parts, as drafts; those of a part that is not among them stay.
        ticked
            Attribute → text that is unusual, and meant; ``None`` does not ask about what is unusual.
        """
        info = self.editable(table)
        return await self._services.run(self._review, info, key, draft, seen, parts or {}, ticked)

    async def save(
        self,
        table: str,
        key: Mapping[str, str],
        draft: Draft,
        seen: str,
        parts: Parts | None = None,
        agreement: Agreement | None = None,
        ticked: Draft | None = None,
    ) -> Edited | Review:
        """Change a row and those of its parts, in one transaction, if they still are as they were seen.

        Parameters
        ----------
        table, key, draft, seen, parts, ticked
            As for :meth:`review`.
        agreement
            Why, and what becomes of computed rows; they stay if not given.

        Returns
        -------
        Edited or Review
            Nothing was written if a review comes back.
        """
        info = self.editable(table)
        outcome = await self._services.run(
            self._save, info, key, draft, seen, parts or {}, agreement or Agreement(), ticked
        )
        if isinstance(outcome, Edited):
            self._services.watcher.poke()
        return outcome

    def editable(self, table: str) -> TableInfo:
        """Return a table whose rows people may change.

        Raises
        ------
        AccessError
            If code makes its rows.
        """
        info = self._services.table(table)
        if not info.can_enter:
            raise AccessError(
                say(
                    "Rows of {label} are made by the pipeline's code, so nobody changes them by hand. "
                    "Change what they were made from, or delete them, and they are computed again.",
                    label=info.label,
                )
            )
        return info

    # ------------------------------------------------------------------ reading
    def _table(self, info: TableInfo, key: Mapping[str, str]) -> tuple[Any, dict[str, Any]]:
        return self._services.pipeline[info.name](), parse_key(info, key)

    def _contents(self, rows: Any) -> dict[str, str | bytes | None] | None:
        return next(stored_contents(rows.connection, rows.name, rows.node), None)

    def _open(self, info: TableInfo, key: Mapping[str, str]) -> Opened:
        table, values = self._table(info, key)
        row = self._contents(table & values)
        if row is None:
            raise _no_row(info, key)
        form = describe_form(info, self._services.table)
        items = tuple(item for item in form.items if not is_of_key(item, info))
        texts = {a.name: self.draft_text(a, row[a.name]) for a in info.attributes if is_typed(a)}
        files = {
            a.name: _there(a, row[a.name])
            for a in info.attributes
            if not is_typed(a) and row[a.name] is not None
        }
        parts = self._parts.rows.open(info, values)
        grids = tuple(grid for grid in form.grids if grid.table in parts.rows)
        return Opened(
            replace(form, items=items, grids=grids, counter="", blocker=""),
            {name: key[name] for name in info.primary_key},
            _label(info, key),
            {name: text for name, text in texts.items() if text},
            dump_seen(noted(row), parts.seen),
            files,
            parts,
        )

    def draft_text(self, attribute: Attribute, content: str | bytes | None) -> str:
        """Return the text with which a field begins for what a row holds; empty for what is binary."""
        value = attribute.column_type.parse(content) if isinstance(content, str) else None
        return draft_text(attribute, value, self._services.entering.custom)

    # ------------------------------------------------------------------ comparing
    def _checked(
        self, info: TableInfo, key: Mapping[str, str], draft: Draft, seen: Seen, rows: Any = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the values that differ from what was seen, and what is wrong with them.

        Values that must be unique are looked for among ``rows``, or, if not given, in all of the table.
        """
        others = [a for a in info.attributes if not a.in_key]
        names = {a.name for a in others}
        for name in draft:
            number = picker_number(name)
            if number is not None and number < len(info.parents):
                names |= set(info.parents[number].foreign_key.attributes)
        checked = self._services.entering.checked(info, {**draft, **key}, only=names, rows=rows)
        heading = self._services.pipeline[info.name]().heading
        values: dict[str, Any] = {}
        errors = {n: text for n, text in checked.errors.items() if n not in checked.values}
        for attribute in others:
            name = attribute.name
            if name in errors or (not is_typed(attribute) and not draft.get(name)):
                continue
            try:
                value = stored_value(attribute, checked.values.get(name))
            except ValueError as error:
                errors[name] = str(error)
                continue
            if not is_typed(attribute) or texts_of(heading, {name: value})[name] != seen.get(name):
                values[name] = value
        # What was there before is no error of this change: a unique value is taken by the row itself.
        groups = [(name,) for name in values] + [
            *info.unique,
            *(p.foreign_key.attributes for p in info.parents),
        ]
        touched = {name for group in groups if set(group) & set(values) for name in group}
        return values, errors | {n: text for n, text in checked.errors.items() if n in touched}

    def _doubts(
        self,
        info: TableInfo,
        key: Mapping[str, Any],
        values: Mapping[str, Any],
        draft: Draft,
        ticked: Draft | None,
    ) -> dict[str, str]:
        """Return what is unusual of the values that change."""
        if ticked is None:
            return {}
        given = {name: value for name, value in {**values, **key}.items() if value is not None}
        return self._services.entering.doubts(info, given, draft, ticked, values.keys())

    def _review(
        self,
        info: TableInfo,
        key: Mapping[str, str],
        draft: Draft,
        seen_text: str,
        parts: Parts,
        ticked: Draft | None,
    ) -> Review:
        table, key_values = self._table(info, key)
        seen, parts_seen = load_seen(seen_text), load_parts_seen(seen_text)
        content = self._contents(table & key_values)
        if content is None:
            return Review(summary=f"{_no_row(info, key)} {say('What you typed is kept here.')}")
        values, errors = self._checked(info, key, draft, seen)
        compared = self._parts.compare(info, key_values, parts, parts_seen)
        if errors or compared.is_refused:
            return _refused(errors, compared, seen_text)
        if doubts := self._doubts(info, key_values, values, draft, ticked):
            return Review(doubts=doubts, summary=doubted(doubts).summary, seen=seen_text)
        differences = tuple(self._differences(info, draft, seen, content, values))
        review = Review(
            differences,
            seen=dump_seen(noted(content), {**parts_seen, **compared.now}),
            part_differences=tuple(compared.differences),
            notes=tuple(compared.notes),
            is_deletion_needed=compared.is_deletion_needed,
        )
        if not review.has_changes and not review.is_changed_meanwhile:
            return replace(review, summary=say("Nothing is changed, so there is nothing to save."))
        if review.is_changed_meanwhile:
            events = self._services.history.of_row_now(info, key, 1)
            # Only a change that the history has is somebody's; others came from programs that note nothing.
            noted_there = events and any(
                d.theirs in events[0].changes.get(d.attribute, ()) for d in differences if d.is_theirs
            )
            who = (
                say("{user} at {time}", user=events[0].user, time=time_told(events[0].time))
                if noted_there
                else ""
            )
            review = replace(review, other=who)
        return replace(review, computed=self._services.rewriting.computed(table & key_values))

    def _differences(
        self,
        info: TableInfo,
        draft: Draft,
        seen: Seen,
        content: Mapping[str, str | bytes | None],
        values: Mapping[str, Any],
    ) -> list[Difference]:
        heading = self._services.pipeline[info.name]().heading
        now = noted(content)
        found = []
        for attribute in info.attributes:
            name = attribute.name
            was, theirs = shown(seen.get(name)), shown(now.get(name))
            mine = was
            if name in values and not is_typed(attribute) and not draft.get(name):
                mine = shown(None)  # a row of a part has lost its file
            elif name in values and not is_typed(attribute):
                file = self._services.entering.uploads.name(draft[name]) or draft[name]
                mine = Shown(say("the file {file}", file=file), is_words=True)
            elif name in values:
                value = texts_of(heading, {name: values[name]})[name]
                # what both have changed alike is no difference between them
                mine = shown(value)
            if was == theirs == mine:
                continue
            text = self.draft_text(attribute, content[name]) if is_typed(attribute) else None
            found.append(Difference(name, was, theirs, mine, text))
        return found

    # ------------------------------------------------------------------ saving
    def _save(
        self,
        info: TableInfo,
        key: Mapping[str, str],
        draft: Draft,
        seen_text: str,
        parts: Parts,
        agreement: Agreement,
        ticked: Draft | None,
    ) -> Edited | Review:
        table, key_values = self._table(info, key)
        seen, parts_seen = load_seen(seen_text), load_parts_seen(seen_text)
        values, errors = self._checked(info, key, draft, seen)
        compared = self._parts.compare(info, key_values, parts, parts_seen)
        is_undecided = compared.is_deletion_needed and agreement.consequence != "delete"
        is_open = is_undecided or bool(self._doubts(info, key_values, values, draft, ticked))
        if errors or compared.is_refused or is_open or not (values or compared.has_writes):
            return self._review(info, key, draft, seen_text, parts, ticked)
        batch, n_part_rows = secrets.token_hex(16), 0

        def check(found: Sequence[Seen]) -> None:
            if list(found) != [seen] or not self._part_writing.is_as_seen(info, key_values, parts_seen):
                raise ChangedMeanwhileError

        def write_parts() -> None:
            nonlocal n_part_rows
            n_part_rows = self._part_writing.write(
                info, key_values, compared, parts_seen, batch=batch, reason=agreement.reason
            )

        uploads = self._services.entering.uploads
        try:
            sent = {info.name: [draft], **compared.drafts}
            files = new_files(sent, self._services.table, uploads, table.connection.settings)
            with stored_with_row(files) as take_back:
                rewritten = self._services.rewriting.write(
                    table,
                    [key_values],
                    check=check,
                    values=lambda _row: values,
                    agreement=agreement,
                    what=f"{_label(info, key)} was changed",
                    batch=batch,
                    begin=take_back,  # what an attempt before this one wrote
                    finish=write_parts,
                )
        except ChangedMeanwhileError:
            return self._changed_meanwhile(info, key, draft, seen_text, values, parts, ticked)
        except PartRefusedError as refusal:
            errors_there = {refusal.where: refusal.error.reason}
            return Review(part_errors=errors_there, summary=str(refusal), seen=seen_text)
        except ValueRefusedError as error:
            errors = {error.attribute: error.reason} if error.attribute in values else {}
            return Review(errors=errors, summary=str(error), seen=seen_text)
        except DataJointError as error:
            return Review(summary=str(error), seen=seen_text)
        for text in chain.from_iterable(one.values() for one in chain.from_iterable(sent.values())):
            uploads.drop(text)
        before = next((change.before for change in rewritten.changes), None) or {}
        texts = {
            name: self.draft_text(info.attribute(name), value)
            for name, value in before.items()
            if is_typed(info.attribute(name)) and not isinstance(value, Digest)
        }
        is_kept = self._services.history.of(table.name).prepare()
        return Edited(
            _label(info, key),
            len(before),
            rewritten.n_computed,
            texts,
            n_part_rows,
            batch if is_kept else "",
        )

    def _changed_meanwhile(
        self,
        info: TableInfo,
        key: Mapping[str, str],
        draft: Draft,
        seen_text: str,
        values: Mapping[str, Any],
        parts: Parts,
        ticked: Draft | None,
    ) -> Edited | Review:
        table, key_values = self._table(info, key)
        seen = load_seen(seen_text)
        compared = self._parts.compare(info, key_values, parts, load_parts_seen(seen_text))
        now = next(stored_rows(table.connection, table.name, (table & key_values).node), None)
        mine = texts_of(table.heading, values)
        if now is not None and now == {**seen, **mine} and compared.is_done:
            # The answer to an earlier attempt got lost: the row is as it was to be.
            return Edited(_label(info, key), len(mine), 0, {}, compared.n_rows)
        return self._review(info, key, draft, seen_text, parts, ticked)


def is_of_key(item: Any, info: TableInfo) -> bool:
    """Return whether an item of a form fills nothing but the primary key."""
    names = item.attributes if isinstance(item, Picker) else (item.name,)
    return all(name in info.primary_key for name in names)


def _there(attribute: Attribute, content: str | bytes | None) -> str:
    if attribute.codec == "filepath" and isinstance(content, str):
        return say("{file} is there. It stays unless you choose another.", file=json.loads(content)["path"])
    size = f", {human_bytes(len(content))}" if isinstance(content, bytes) else ""
    return say(
        "A value of the type {type}{size} is there. It stays unless you choose another.",
        type=attribute.type,
        size=size,
    )


def _label(info: TableInfo, key: Mapping[str, str]) -> str:
    return f"{info.label} {key_label(key, info.primary_key)}".strip()


def _no_row(info: TableInfo, key: Mapping[str, str]) -> OneRowError:
    return OneRowError(
        say("{label} is not there any more: somebody has deleted it.", label=_label(info, key))
    )


def _refused(errors: dict[str, str], compared: Compared, seen_text: str) -> Review:
    number = len(errors) + len(compared.errors)
    summary = (
        corrections_needed(number)
        if number
        else say("Rows on which others depend cannot be removed. Nothing was saved.")
    )
    return Review(
        errors=errors,
        summary=summary,
        seen=seen_text,
        part_errors=compared.errors,
        blocked=tuple(compared.blocked),
    )
