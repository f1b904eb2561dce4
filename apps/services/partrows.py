"""The rows of a master's parts, as the form that changes the master begins with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.fields import words_of
from dj_panel.apps.grid import given_by_master
from dj_panel.apps.pickers import key_label
from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.services.history import draft_of, is_typed
from dj_panel.apps.services.revisions import ORIGIN, Before, LargePart, Lost, OpenedParts, Seen
from dj_panel.apps.services.rows import equal_text
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import IntegrityError
from dj_panel.core.history import Digest
from dj_panel.core.rowtexts import noted, stored_contents
from dj_panel.core.structure import Attribute, TableName
from dj_panel.core.words import say, say_many

__all__ = ["MAX_PART_ROWS", "Part", "PartRows", "row_id"]

MAX_PART_ROWS = 200
"""So many rows of a part a form shows; it leaves out the part that has more."""

_MAX_READ = 2000

Content = Mapping[str, str | bytes | None]
"""A row as the database holds it: attribute → text, bytes, or no value."""


def row_id(part: Part, texts: Mapping[str, Any]) -> str:
    """Return the name under which a form knows a part's row: the texts of its own key, as JSON."""
    return json.dumps([texts[name] for name in part.own], ensure_ascii=False)


@dataclass(frozen=True)
class Part:
    """A part of a master whose row is changed.

    Parameters
    ----------
    info
        Its table.
    given
        Its attributes that come from the master: ours → the master's.
    """

    info: TableInfo
    given: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name in the application."""
        return self.info.name

    @property
    def label(self) -> str:
        """What it is called."""
        return words_of(self.info.class_name.rpartition(".")[2])

    @property
    def own(self) -> tuple[str, ...]:
        """The attributes of its key that tell the rows of one master from each other."""
        return tuple(name for name in self.info.primary_key if name not in self.given)

    @property
    def place_of_errors(self) -> str:
        """The attribute at which stands what is wrong with the key of a row."""
        columns = [a.name for a in self.info.attributes if a.name not in self.given]
        return (*self.own[-1:], *columns, self.info.primary_key[-1])[0]

    @property
    def others(self) -> tuple[Attribute, ...]:
        """Its attributes that are not in its key."""
        return tuple(a for a in self.info.attributes if not a.in_key and a.name not in self.given)

    def given_values(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """Return what its rows have from a master with this key."""
        return {ours: key[theirs] for ours, theirs in self.given.items()}

    def words(self, texts: Mapping[str, Any]) -> str:
        """Return the own key of a row in one line."""
        return key_label({name: str(texts[name]) for name in self.own}, self.own)


class PartRows(Service):
    """Reads the rows of parts."""

    def parts(self, info: TableInfo) -> list[Part]:
        """Return the parts of a master, those that others refer to first."""
        found = []
        for part in self._services.tables():
            given = given_by_master(part) if part.master == info.name else {}
            is_told_apart = set(given.values()) >= set(info.primary_key) and set(given) <= set(
                part.primary_key
            )
            if part.master == info.name and is_told_apart:
                found.append(Part(part, given))
        return found

    def rows(self, part: Part, key: Mapping[str, Any]) -> Any:
        """Return the query of the rows under a master."""
        return self._services.pipeline[part.name]() & part.given_values(key)

    def of_others(self, part: Part, key: Mapping[str, Any]) -> Any:
        """Return the query of the rows of all other masters; ``key`` is that of a row under ours."""
        return self._services.pipeline[part.name]() - {name: key[name] for name in part.given}

    def chosen(self, part: Part, rows: Sequence[Seen]) -> Any:
        """Return the query of rows that were seen."""
        columns = {name: part.info.attribute(name).column_type for name in part.info.primary_key}
        keys = [{n: column.parse(str(row[n])) for n, column in columns.items()} for row in rows]
        return self._services.pipeline[part.name]() & keys

    def place(self, part: Part) -> TableName:
        """Return the name of a part in the database."""
        place: TableName = self._services.pipeline[part.name]().name
        return place

    def contents(self, part: Part, key: Mapping[str, Any], *, locks: bool = False) -> dict[str, Content]:
        """Return the rows under a master by their ids; in a transaction ``locks`` keeps others from adding to them.

        Raises
        ------
        IntegrityError
            If there are far more than a form shows.
        """
        found: dict[str, Content] = {}
        rows = self.rows(part, key)
        for content in stored_contents(rows.connection, rows.name, rows.node, locks_arrivals=locks):
            found[row_id(part, content)] = content
            if len(found) > _MAX_READ:
                raise IntegrityError(
                    say(
                        "{label} has more than {n} rows here by now. Change them in their table.",
                        label=part.label,
                        n=_MAX_READ,
                    )
                )
        return found

    def seen(self, part: Part, key: Mapping[str, Any], *, locks: bool = False) -> dict[str, Seen]:
        """Return the same as somebody sees it."""
        return {name: noted(row) for name, row in self.contents(part, key, locks=locks).items()}

    def open(self, info: TableInfo, key: Mapping[str, Any]) -> OpenedParts:
        """Return the rows with which the grids of a form begin."""
        opened = OpenedParts()
        large = []
        for part in self.parts(info):
            if len(self.rows(part, key).keys(limit=MAX_PART_ROWS + 1)) > MAX_PART_ROWS:
                values = part.given_values(key)
                filters = {n: equal_text(part.info.attribute(n), value) for n, value in values.items()}
                large.append(LargePart(part.name, part.label, MAX_PART_ROWS, filters))
                continue
            contents = self.contents(part, key)
            opened.rows[part.name] = [self.draft(part, row) for row in contents.values()]
            opened.files[part.name] = {name: _files(part, row) for name, row in contents.items()}
            opened.seen[part.name] = {name: noted(row) for name, row in contents.items()}
        return OpenedParts(opened.rows, opened.files, opened.seen, tuple(large))

    def texts(self, part: Part, content: Content) -> dict[str, str]:
        """Return a row as a draft."""
        custom = self._services.entering.custom
        typed = [a for a in part.info.attributes if a.name not in part.given and is_typed(a)]
        texts = {a.name: draft_of(a, _text(content[a.name]), custom) for a in typed}
        return {name: text for name, text in texts.items() if text}

    def draft(self, part: Part, content: Content) -> dict[str, str]:
        """Return a row as a draft that says which row it is."""
        return {**self.texts(part, content), ORIGIN: row_id(part, content)}

    # ------------------------------------------------------------------ as they were before
    def before(self, info: TableInfo, key: Mapping[str, Any], batch: str) -> Before:
        """Return drafts that undo what was done to the rows of parts together, and what does not come back.

        Parameters
        ----------
        info, key
            The master.
        batch
            Under which the history has it.
        """
        parts = {self.place(part): part for part in self.parts(info)}
        master = Part(info, {name: name for name in info.primary_key})
        custom, at, has_parts = self._services.entering.custom, None, False
        opened = self.open(info, key).rows
        drafts = {name: {row[ORIGIN]: row for row in rows} for name, rows in opened.items()}
        lost = []
        for entry in self._services.history.of_batch_now(info, batch):
            part = master if entry.table == self.place(master) else parts.get(entry.table)
            if part is None or not _is_of(part, key, entry.key):
                continue
            at = at or custom.local(entry.time)
            before = entry.before or {}
            if part is master:
                if names := [
                    a.name for a in info.attributes if a.name in before and not _comes_back(a, before)
                ]:
                    lost.append(Lost(_lost_text(part, entry.key, names), info.name, {}))
                continue
            if part.name not in drafts:
                continue
            has_parts = True
            rows, name = drafts[part.name], row_id(part, entry.key)
            own = [a for a in part.info.attributes if a.name in before and a.name not in part.given]
            typed = [a for a in own if _comes_back(a, before)]
            unknown = [a.name for a in own if a not in typed and before[a.name] is not None]
            texts = {a.name: draft_of(a, _text(before[a.name]), custom) for a in typed}
            if entry.action == "insert":
                rows.pop(name, None)
            elif entry.action == "delete":
                rows.setdefault(name, texts)
            elif name in rows:
                rows[name] = {n: text for n, text in {**rows[name], **texts}.items() if text}
            if unknown and entry.action != "insert":
                key_there = dict(entry.key) if entry.action == "delete" else {}
                lost.append(Lost(_lost_text(part, entry.key, unknown), part.name, key_there))
        changed = {name: list(rows.values()) for name, rows in drafts.items()}
        return Before(at, has_parts, changed, tuple(lost))


def _comes_back(attribute: Attribute, before: Seen) -> bool:
    return is_typed(attribute) and not isinstance(before[attribute.name], Digest)


def _lost_text(part: Part, key: Mapping[str, str], names: Sequence[str]) -> str:
    return say_many(
        "{row}: the old value of {names} is not brought back by this form.",
        "{row}: the old values of {names} are not brought back by this form.",
        len(names),
        row=f"{part.label} {part.words(key)}".strip(),
        names=", ".join(names),
    )


def _is_of(part: Part, key: Mapping[str, Any], texts: Mapping[str, str]) -> bool:
    values = part.given_values(key)
    return all(
        name not in texts or texts[name] == part.info.attribute(name).column_type.format(value)
        for name, value in values.items()
    )


def _text(content: object) -> str | None:
    return content if isinstance(content, str) else None


def _files(part: Part, content: Content) -> dict[str, str]:
    """Return what is there that a cell does not show."""
    found = {}
    for attribute in part.info.attributes:
        value = content[attribute.name]
        if is_typed(attribute) or value is None or attribute.name in part.given:
            continue
        if attribute.codec == "filepath" and isinstance(value, str):
            what = str(json.loads(value)["path"])
        else:
            size = f", {human_bytes(len(value))}" if isinstance(value, bytes) else ""
            what = f"{attribute.type}{size}"
        found[attribute.name] = say("{what} stays", what=what)
    return found
