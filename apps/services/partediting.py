"""Changing the rows of parts together with their master: what would change, what stands in the way, the writing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from dj_panel.apps.services.drafts import Draft, key_texts, key_values
from dj_panel.apps.services.history import Shown, is_typed, shown
from dj_panel.apps.services.partrows import Content, Part, PartRows, row_id
from dj_panel.apps.services.revisions import ORIGIN, Blocked, Difference, PartDifference, PartsSeen, Seen
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.definition import is_server_value
from dj_panel.core.rowtexts import noted, stored_rows, texts_of
from dj_panel.core.structure import Attribute, Heading, TableName
from dj_panel.core.words import say, say_many

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Compared", "PartDraft", "PartEditing", "Parts"]

Parts = Mapping[str, Sequence[Draft]]
"""A part's name → all its rows under the master, as drafts."""

Checked = Callable[[TableInfo, Mapping[str, str], Draft, Seen, Any], tuple[dict[str, Any], dict[str, str]]]
Differences = Callable[[TableInfo, Draft, Seen, Content, Mapping[str, Any]], list[Difference]]


@dataclass
class PartDraft:
    """A row of a part as it is to be.

    Parameters
    ----------
    part
        The part.
    number
        Its place among the drafts, from 0.
    draft
        As typed.
    key
        Its primary key, as far as it is known.
    values
        What is to be written, beside the key.
    """

    part: Part
    number: int
    draft: Draft
    key: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The id of the row that it was when the form was opened; empty for a new one."""
        return self.draft.get(ORIGIN, "")


@dataclass
class Compared:
    """What saving would do to the rows of parts.

    Parameters
    ----------
    differences, errors, blocked, notes, is_deletion_needed
        As of a :class:`~dj_panel.apps.services.revisions.Review`.
    now
        The rows as they are.
    removed, changed, added
        What is to be written: part → the rows to remove, by their ids; the rows to change, and to add.
    """

    differences: list[PartDifference] = field(default_factory=list)
    errors: dict[tuple[str, int, str], str] = field(default_factory=dict)
    blocked: list[Blocked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_deletion_needed: bool = False
    now: PartsSeen = field(default_factory=dict)
    removed: dict[str, dict[str, Seen]] = field(default_factory=dict)
    changed: list[PartDraft] = field(default_factory=list)
    added: list[PartDraft] = field(default_factory=list)

    @property
    def has_writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(any(self.removed.values()) or self.changed or self.added)

    @property
    def is_refused(self) -> bool:
        """Whether nothing can be saved."""
        return bool(self.errors or self.blocked)

    @property
    def is_done(self) -> bool:
        """Whether the database has all of it already."""
        return all(difference.theirs == difference.mine for difference in self.differences)

    @property
    def n_rows(self) -> int:
        """How many rows differ."""
        return len({(difference.part, difference.row_id) for difference in self.differences})

    @property
    def drafts(self) -> dict[str, list[Draft]]:
        """The drafts of rows that are to be written, by part."""
        found: dict[str, list[Draft]] = {}
        for row in chain(self.changed, self.added):
            found.setdefault(row.part.name, []).append(row.draft)
        return found


class PartEditing(Service):
    """Compares and writes the rows of parts.

    Parameters
    ----------
    services
        The site's.
    checked, differences
        How one row is checked and compared, whichever table it is of.
    """

    def __init__(self, services: Services, checked: Checked, differences: Differences) -> None:
        super().__init__(services)
        self.rows = PartRows(services)
        self._checked = checked
        self._differences = differences

    # ------------------------------------------------------------------ comparing
    def compare(self, info: TableInfo, key: Mapping[str, Any], drafts: Parts, seen: PartsSeen) -> Compared:
        """Return what drafts would do to rows as they were seen, and what others have done to them meanwhile.

        Parameters
        ----------
        info, key
            The master.
        drafts
            The rows as they are to be; of a part that is not among them nothing changes.
        seen
            The rows as they were.
        """
        found = Compared()
        for part in self.rows.parts(info):
            if part.name in drafts and part.name in seen:
                self._compare(part, key, drafts[part.name], seen[part.name], found)
        parts = {self.rows.place(part): part for part in self.rows.parts(info)}
        for part in parts.values():
            if found.removed.get(part.name):
                self._look_below(part, parts, key, drafts[part.name], found)
        return found

    def _compare(
        self,
        part: Part,
        key: Mapping[str, Any],
        drafts: Sequence[Draft],
        was: Mapping[str, Seen],
        found: Compared,
    ) -> None:
        contents = self.rows.contents(part, key)
        now = {name: noted(content) for name, content in contents.items()}
        found.now[part.name] = now
        mine = self._read(part, key, drafts, found)
        removed = found.removed.setdefault(part.name, {})
        for name in dict.fromkeys([*was, *now, *mine]):
            before, there, row = was.get(name), now.get(name), mine.get(name)
            if row is not None and before is not None:
                self._check_changed(row, name, before, contents.get(name), found)
            elif row is not None:
                self._check_added(row, found)
            if row is not None and before is not None and there is not None:
                found.differences += [
                    self._of_row(part, name, d, row)
                    for d in self._differences(part.info, row.draft, before, contents[name], row.values)
                ]
                if row.values:
                    found.changed.append(row)
                continue
            texts = self._mine_texts(row, before)
            states = [_row_shown(part, before), _row_shown(part, there), _row_shown(part, texts)]
            if states[0] == states[1] == states[2]:
                continue
            theirs = self.rows.draft(part, contents[name]) if there is not None else None
            found.differences.append(
                self._of_row(part, name, Difference("", states[0], states[1], states[2]), row, theirs)
            )
            if row is not None and before is None:
                found.added.append(row)
            elif row is None and before is not None:
                removed[name] = before
        self._check_unique(part, was, mine, found)
        self._note_moved(part, was, mine, found)

    def _read(
        self, part: Part, key: Mapping[str, Any], drafts: Sequence[Draft], found: Compared
    ) -> dict[str, PartDraft]:
        """Return the drafts by the ids that their keys give them."""
        given = part.given_values(key)
        rows: dict[str, PartDraft] = {}
        for number, draft in enumerate(drafts):
            if not any(text.strip() for text in draft.values()):
                continue
            whole = {**draft, **key_texts(part.info, given)}
            # nothing is asked of the database yet, and a wrong cell beside the key is no matter
            parsed = self._services.entering.checked(part.info, whole, given=part.given, only=()).values
            values = key_values(part.info, {**parsed, **given})
            is_unreadable = any(draft.get(name) and name not in parsed for name in part.own)
            if values is None or is_unreadable:
                row = PartDraft(part, number, draft, given)
                self._check_added(row, found)
                rows[f"+{number}"] = row  # of a key that the database gives, or that is wrong
                continue
            texts = texts_of(self._heading(part), {n: values[n] for n in part.own})
            name = row_id(part, texts)
            if name in rows:
                found.errors[part.name, number, part.place_of_errors] = say(
                    "Row {value} has the same key.", value=rows[name].number + 1
                )
            else:
                rows[name] = PartDraft(part, number, draft, values)
        return rows

    def _check_added(self, row: PartDraft, found: Compared) -> None:
        part = row.part
        given = {n: value for n, value in row.key.items() if n in part.given}
        whole = {**row.draft, **key_texts(part.info, given)}
        others = self.rows.of_others(part, row.key)
        checked = self._services.entering.checked(part.info, whole, given=part.given, rows=others)
        row.values = {**checked.values, **given}
        for name, text in checked.errors.items():
            if name not in part.given:
                found.errors[part.name, row.number, name] = self._moved_text(row, name) or text

    def _check_changed(
        self, row: PartDraft, name: str, before: Seen, content: Content | None, found: Compared
    ) -> None:
        """Find which values differ from those that were seen, and what is wrong with them."""
        part = row.part
        is_as_it_was = row.origin == name
        if content is not None and is_as_it_was and noted(content) == before:
            texts = self.rows.texts(part, content)
            typed = {n: text for n, text in row.draft.items() if text and n != ORIGIN}
            if all(typed.get(n) == texts.get(n) for n in typed.keys() | texts.keys() if n not in part.own):
                return
        others = self.rows.of_others(part, row.key)
        values, errors = self._checked(part.info, key_texts(part.info, row.key), row.draft, before, others)
        # A file stays with its row; a row that another one has become has none of its files.
        for attribute in part.others if not is_as_it_was else ():
            empty = attribute.name
            if is_typed(attribute) or row.draft.get(empty) or before.get(empty) is None:
                continue
            if attribute.has_default:
                values[empty] = None
            else:
                errors[empty] = self._moved_text(row, empty) or say("Needs a value.")
        row.values = values
        for attribute_name, text in errors.items():
            found.errors[part.name, row.number, attribute_name] = text

    def _check_unique(
        self, part: Part, was: Mapping[str, Seen], mine: Mapping[str, PartDraft], found: Compared
    ) -> None:
        """Find values that must be unique and that two of these rows are to have."""
        links = [link.foreign_key.attributes for link in part.info.parents if link.foreign_key.unique]
        texts = {
            name: {**texts_of(self._heading(part), row.key), **(self._mine_texts(row, was.get(name)) or {})}
            for name, row in mine.items()
        }
        for names in dict.fromkeys([*part.info.unique, *links]):
            owners: dict[tuple[Any, ...], list[str]] = {}
            for name, row_texts in texts.items():
                values = tuple(row_texts.get(n) for n in names)
                if None not in values and set(names) != set(part.info.primary_key):
                    owners.setdefault(values, []).append(name)
            for values, (first, *others) in owners.items():
                for name in others:
                    is_changed = bool(set(names) & set(mine[name].values))
                    row, owner = (name, first) if is_changed else (first, name)
                    found.errors[part.name, mine[row].number, names[-1]] = say(
                        "{text} is taken by {label} {owner}; it must be unique.",
                        text=", ".join(map(str, values)),
                        label=part.label,
                        owner=part.words(_own_texts(part, mine[owner].key)),
                    )

    def _moved_text(self, row: PartDraft, name: str) -> str:
        """Return what a row lacks that had a file before its key was changed."""
        attribute = row.part.info.attribute(name)
        if not row.origin or is_typed(attribute) or row.draft.get(name):
            return ""
        return say("Its value does not move to another key. Choose it again, or leave the key as it was.")

    def _mine_texts(self, row: PartDraft | None, before: Seen | None) -> dict[str, Any] | None:
        """Return a row as it would be noted; a file as its name."""
        if row is None:
            return None
        texts: dict[str, Any] = dict(before or {})
        heading = self._heading(row.part)
        for attribute in row.part.others:
            name = attribute.name
            if name in row.values and not is_typed(attribute):
                text = row.draft.get(name, "")
                file = self._services.entering.uploads.name(text) or text
                texts[name] = Shown(say("the file {file}", file=file), is_words=True) if file else None
            elif name in row.values:
                texts[name] = texts_of(heading, {name: row.values[name]})[name]
            elif before is None:
                texts[name] = _default_text(attribute)
        return texts

    def _note_moved(
        self, part: Part, was: Mapping[str, Seen], mine: Mapping[str, PartDraft], found: Compared
    ) -> None:
        for name, row in mine.items():
            if row.origin == name or row.origin not in was:
                continue
            before = was[row.origin]
            found.notes.append(
                say(
                    "{label} {old} becomes {new}. Its key changes, so the old row is removed and a new one "
                    "is added.",
                    label=part.label,
                    old=part.words(before),
                    new=part.words(_own_texts(part, row.key)),
                )
            )
            left = [
                a.name
                for a in part.others
                if not is_typed(a) and before.get(a.name) is not None and not row.draft.get(a.name)
            ]
            if left:
                names = ", ".join(left)
                found.notes.append(say("What cannot be typed does not move with it: {names}.", names=names))

    def _of_row(
        self,
        part: Part,
        name: str,
        difference: Difference,
        row: PartDraft | None,
        theirs: dict[str, str] | None = None,
    ) -> PartDifference:
        own = (
            _own_texts(part, row.key)
            if row is not None
            else dict(zip(part.own, json.loads(name), strict=True))
        )
        return PartDifference(
            difference.attribute,
            difference.was,
            difference.theirs,
            difference.mine,
            difference.theirs_text,
            part=part.name,
            label=part.label,
            row=part.words(own),
            row_id=name,
            number=row.number if row is not None else -1,
            theirs_row=theirs,
        )

    # ------------------------------------------------------------------ what depends on rows that go
    def _look_below(
        self,
        part: Part,
        parts: Mapping[TableName, Part],
        key: Mapping[str, Any],
        drafts: Sequence[Draft],
        found: Compared,
    ) -> None:
        """Find rows of other tables that depend on rows that are to be removed."""
        removed = found.removed[part.name]
        entered, n_computed = self._depending(part, list(removed.values()), parts, found)
        found.is_deletion_needed |= n_computed > 0
        if not entered:
            return
        contents = self.rows.contents(part, key)
        moved = {draft[ORIGIN]: number for number, draft in enumerate(drafts) if ORIGIN in draft}
        for name, before in removed.items():
            row = f"{part.label} {part.words(before)}".strip()
            for table, number in self._depending(part, [before], parts, found)[0].items():
                reason = say_many(
                    "{row} cannot be removed: {n} row of {table} depends on it.",
                    "{row} cannot be removed: {n} rows of {table} depend on it.",
                    number,
                    row=row,
                    table=table,
                )
                if name in moved:
                    found.errors[part.name, moved[name], part.place_of_errors] = reason
                elif name in contents:
                    found.blocked.append(
                        Blocked(part.name, row, reason, self.rows.draft(part, contents[name]))
                    )

    def _depending(
        self, part: Part, rows: Sequence[Seen], parts: Mapping[TableName, Part], found: Compared
    ) -> tuple[dict[str, int], int]:
        """Return what refers to rows: table → how many rows that people entered; and how many are computed."""
        connection = self._services.pipeline.connection
        plan = self.rows.chosen(part, rows).plan_delete("ignore")
        counts = plan.counts(connection)
        entered: dict[str, int] = {}
        n_computed = 0
        for child in dict.fromkeys(child for child, _ in plan.graph.children(self.rows.place(part))):
            number = counts.get(child, 0)
            if number and child in parts:
                # rows of a part of the same master, which may be removed with these
                depending = stored_rows(connection, child, plan.nodes[child])
                going = found.removed.get(parts[child].name, {})
                number = len({row_id(parts[child], row) for row in depending} - going.keys())
            if (child.master or child).tier in ("Imported", "Computed"):
                n_computed += number
            elif number:
                name = self._services.pipeline.names.get(child, child.class_name)
                entered[name.split(".", 1)[-1]] = number
        return entered, n_computed

    def _heading(self, part: Part) -> Heading:
        heading: Heading = self._services.pipeline[part.name]().heading
        return heading


def _own_texts(part: Part, key: Mapping[str, Any]) -> dict[str, str]:
    texts = key_texts(part.info, key)
    return {name: texts.get(name, "") for name in part.own}


def _default_text(attribute: Attribute) -> str | Shown | None:
    if attribute.default is None:
        return None
    if is_server_value(attribute.default):
        return Shown(say("the time of saving"), is_words=True)
    return attribute.column_type.format(attribute.column_type.check(attribute.default))


def _row_shown(part: Part, texts: Mapping[str, Any] | None) -> Shown:
    """Return a whole row in one line, without its key."""
    if texts is None:
        return Shown(say("no row"), is_words=True)
    values = [
        f"{a.name}: {value.text if isinstance(value, Shown) else shown(value).text}"
        for a in part.others
        if (value := texts.get(a.name)) is not None and (value != "" or a.nullable)
    ]
    return Shown(", ".join(values)) if values else Shown(say("a row"), is_words=True)
