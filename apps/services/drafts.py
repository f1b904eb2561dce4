"""Drafts, that is rows as people type them, checked against their table and turned into values.

The same checks serve a field that is left and a form that is saved. They come before anything is written; the
database's own, which they foresee, remain the last word.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dj_panel.apps.fields import complaint, describe_field, format_value, parse_text
from dj_panel.apps.grid import given_by_master
from dj_panel.apps.pickers import key_label, picker_number
from dj_panel.apps.services.parents import Choice, Parents
from dj_panel.apps.services.storefiles import checked_path
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.apps.services.uploads import Uploads, split_reference
from dj_panel.apps.typed import Custom
from dj_panel.apps.typed_times import refuse_cut, refuse_missing_time
from dj_panel.core.columntypes import DatetimeType, TimeType
from dj_panel.core.definition import is_server_value
from dj_panel.core.dialect import Dialect
from dj_panel.core.errors import AccessError, ValueRefusedError
from dj_panel.core.settings import Settings
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = [
    "MAX_TEXT_CHARS",
    "CheckedRow",
    "Draft",
    "Reading",
    "check_parts",
    "check_row",
    "fingerprint",
    "key_texts",
    "key_values",
    "readings",
    "stored_value",
    "with_time_of_saving",
]

Draft = Mapping[str, str]
"""Attribute → text as typed; a picker's id → text that has not become a row yet."""

_MAX_PART_ROWS = 2000

MAX_TEXT_CHARS = 1_000_000
"""Longest text that one field may send."""


@dataclass
class CheckedRow:
    """What a check found.

    Parameters
    ----------
    values
        The row's values; what was left empty is not among them.
    errors
        Sentences by attribute.
    """

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """A day or time that was typed in another way than it is shown.

    Parameters
    ----------
    text
        As it is shown.
    note
        A sentence that says so.
    """

    text: str
    note: str


def check_row(
    info: TableInfo,
    draft: Draft,
    *,
    parents: Callable[[Link], Parents],
    rows: Any,
    uploads: Uploads,
    given: Collection[str] = (),
    only: Collection[str] | None = None,
    custom: Custom | None = None,
) -> CheckedRow:
    """Check a draft.

    Parameters
    ----------
    info
        The table that it is a row of.
    draft
        What was typed.
    parents
        Gives the rows that a foreign key may refer to.
    rows
        The table itself, to be asked for values that must be unique.
    uploads
        The files that the draft refers to.
    given
        Attributes that a master gives: not missed if they are not known yet, and their rows not looked for.
    only
        Attributes that are asked about; what is still empty is no error then. All of them if not given.
    custom
        How the lab writes numbers and tells the time.
    """
    checked = CheckedRow()
    draft = _with_resolved(info, draft, parents, checked)
    dialect = rows.connection.dialect
    for attribute in info.attributes:
        # What a picker gives was written by the program; the lab's custom is for what people write.
        own = custom if info.parent_of(attribute.name) is None else None
        if attribute.codec == "filepath":
            if only is None or attribute.name in only:  # its store is asked
                _read_path(
                    attribute, draft.get(attribute.name, ""), uploads, rows.connection.settings, checked
                )
            continue
        _read(attribute, draft.get(attribute.name, ""), uploads, dialect, own, checked)
    for link in info.parents:
        names = link.foreign_key.attributes
        if set(names) <= set(given) or (only is not None and not set(names) & set(only)):
            continue
        _check_parent(info, link, parents(link), draft, checked)
    if only is None:
        _require(info, given, checked)
    unique = [link.foreign_key.attributes for link in info.parents if link.foreign_key.unique]
    for names in dict.fromkeys([*info.unique, *unique]):
        if only is None or set(names) & set(only):
            _check_unique(info, names, rows, checked)
    if only is not None:
        checked.errors = {name: text for name, text in checked.errors.items() if name in only}
    return checked


def stored_value(attribute: Attribute, value: Any) -> Any:
    """Return what a row gets of a field that was checked: one left empty gives no value, or else the default.

    Raises
    ------
    ValueError
        If the attribute needs a value.
    """
    if value is not None or attribute.nullable:
        return value
    if attribute.default is None or is_server_value(attribute.default):
        raise ValueError(say("Needs a value."))
    return attribute.column_type.check(attribute.default)


def with_time_of_saving(info: TableInfo, values: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    """Return a row in which the time of saving stands where that is the default and nothing was entered.

    The clocks of servers differ from each other and from the lab's, by which people enter all other times.

    Parameters
    ----------
    info, values
        The table and the row.
    now
        The time by the clock of the lab.
    """
    own = {
        a.name: a.column_type.check(now if a.column_type.kind == "datetime" else now.date())
        for a in info.attributes
        if a.name not in values and a.default is not None and is_server_value(a.default)
        if a.codec is None and a.column_type.kind in ("datetime", "date")
    }
    return {**values, **own}


def key_values(info: TableInfo, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the primary key of a row, defaults included; ``None`` if a part of it is not known."""
    key = {}
    for attribute in info.attributes:
        name = attribute.name
        if not attribute.in_key:
            continue
        if name in values:
            key[name] = values[name]
        elif (
            attribute.default is not None
            and not attribute.autoincrement
            and not is_server_value(attribute.default)
        ):
            key[name] = attribute.column_type.check(attribute.default)
        else:
            return None
    return key


def readings(
    info: TableInfo, draft: Draft, values: Mapping[str, Any], only: Collection[str]
) -> dict[str, Reading]:
    """Return the days and times among what was typed that are written in another way than they are shown.

    Parameters
    ----------
    info, draft
        The table and what was typed.
    values
        What it means.
    only
        Attributes that are asked about.
    """
    found = {}
    for attribute in info.attributes:
        name, typed = attribute.name, draft.get(attribute.name, "").strip()
        kind = attribute.column_type.kind if attribute.codec is None else ""
        if name not in only or name not in values or kind not in ("date", "datetime", "time"):
            continue
        text = format_value(attribute, values[name])
        if text.startswith(typed.replace("T", " ")) or info.parent_of(name) is not None:
            continue  # nothing but zeros is added
        is_zoned = re.search(r"(?:[zZ]|[+-]\d\d(?::?\d\d)?)$", typed) is not None and kind == "datetime"
        words = (
            say("“{typed}” is {text} by the lab's clock.", typed=typed, text=text)
            if is_zoned
            else say("“{typed}” is {text}.", typed=typed, text=text)
        )
        found[name] = Reading(text, words)
    return found


def key_texts(info: TableInfo, key: Mapping[str, Any]) -> dict[str, str]:
    """Return a primary key as text."""
    return {name: format_value(info.attribute(name), key[name]) for name in info.primary_key if name in key}


def fingerprint(table: str, draft: Draft, parts: Mapping[str, Sequence[Draft]], token: str) -> str:
    """Return what only the same row and parts under the same token have in common."""
    content = [
        table,
        token,
        sorted(draft.items()),
        sorted((n, [sorted(r.items()) for r in rows]) for n, rows in parts.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def check_parts(
    info: TableInfo,
    row: CheckedRow,
    draft: Draft,
    parts: Mapping[str, Sequence[Draft]],
    *,
    table: Callable[[str], TableInfo],
    checked: Callable[..., CheckedRow],
) -> tuple[dict[str, list[dict[str, Any]]], dict[tuple[str, int, str], str]]:
    """Return the values of the rows of a master's parts, and what is wrong with them.

    Parameters
    ----------
    info, row, draft
        The master, its row as far as it is right, and as it was typed.
    parts
        Part → its rows, as drafts; rows without any text are passed over.
    table
        Gives what is known of a part, by its name.
    checked
        Checks one row of a part.

    Returns
    -------
    tuple
        Part → values of its rows; and (part, row, attribute) → sentence.

    Raises
    ------
    AccessError
        If a table is no part of the master.
    """
    values: dict[str, list[dict[str, Any]]] = {}
    errors: dict[tuple[str, int, str], str] = {}
    key = key_values(info, row.values) or {}
    texts = {**{n: draft.get(n, "") for n in info.primary_key}, **key_texts(info, key)}
    for name, drafts in parts.items():
        if name not in info.parts:
            raise AccessError(f"{name} is not a part of {info.name}.")
        part = table(name)
        given = given_by_master(part)
        seen: dict[tuple[Any, ...], int] = {}
        values[name] = []
        if len(drafts) > _MAX_PART_ROWS:
            errors[name, 0, part.primary_key[-1]] = say(
                "More than {n} rows; insert them from Python.", n=_MAX_PART_ROWS
            )
            continue
        for number, one in enumerate(drafts):
            if not any(text.strip() for text in one.values()):
                continue
            whole = {**one, **{ours: texts.get(theirs, "") for ours, theirs in given.items()}}
            found = checked(part, whole, given=given)
            own = {n: text for n, text in found.errors.items() if n not in given}
            errors |= {(name, number, n): text for n, text in own.items()}
            rest = key_values(part, {**dict.fromkeys(given), **found.values})
            place = tuple(map(str, rest.values())) if rest else None
            if place is not None and not own and place in seen:
                column = next((n for n in reversed(part.primary_key) if n not in given), part.primary_key[-1])
                errors[name, number, column] = say("Row {value} has the same key.", value=seen[place] + 1)
            elif place is not None:
                seen[place] = number
            values[name].append(found.values)
    return values, errors


def _with_resolved(
    info: TableInfo, draft: Draft, parents: Callable[[Link], Parents], checked: CheckedRow
) -> dict[str, str]:
    """Replace text in a picker by the row that it names."""
    known = {name: text for name, text in draft.items() if picker_number(name) is None}
    for name, text in draft.items():
        number = picker_number(name)
        if number is None or not text.strip() or number >= len(info.parents):
            continue
        link = info.parents[number]
        others = {n: t for n, t in known.items() if n in link.foreign_key.attributes}
        found = parents(link).find(text, others)
        if isinstance(found, Choice):
            known.update(found.key)
        elif isinstance(found, str):
            checked.errors[_last_empty(link, known)] = found
    return known


def _last_empty(link: Link, known: Mapping[str, str]) -> str:
    names = link.foreign_key.attributes
    return next((n for n in reversed(names) if not known.get(n, "").strip()), names[-1])


def _read(
    attribute: Attribute,
    text: str,
    uploads: Uploads,
    dialect: Dialect,
    custom: Custom | None,
    checked: CheckedRow,
) -> None:
    if not text.strip():
        return
    kind = describe_field(attribute).kind
    try:
        if len(text) > MAX_TEXT_CHARS:
            raise ValueError(
                say(
                    "is longer than {max_text_chars} characters; insert it from Python",
                    max_text_chars=MAX_TEXT_CHARS,
                )
            )
        if kind == "none":
            raise ValueError(say("cannot be entered here; insert the row from Python"))
        is_file = kind == "file"
        value = uploads.value(text, attribute) if is_file else parse_text(attribute, text, custom)
        if value is None:
            return
        column = attribute.column_type
        if kind == "datetime":
            refuse_missing_time(text)
        if isinstance(column, (DatetimeType, TimeType)) and attribute.codec is None:
            refuse_cut(text, column.digits, column.format(value))
        encode = dialect.encoder(attribute.column_type) if attribute.codec is None else None
        if encode is not None:
            encode(value)  # a server may take less than the type: the embedded one no integer from 2**63 on
        checked.values[attribute.name] = value
    except ValueError as error:
        shown = (uploads.name(text) or say("The file")) if kind == "file" else text
        reason = error.reason if isinstance(error, ValueRefusedError) else str(error)
        checked.errors.setdefault(attribute.name, complaint(shown, reason))


def _read_path(
    attribute: Attribute, text: str, uploads: Uploads, settings: Settings, checked: CheckedRow
) -> None:
    if not text.strip():
        return
    try:
        if len(text) > MAX_TEXT_CHARS:
            raise ValueError(say("is longer than {max_text_chars} characters", max_text_chars=MAX_TEXT_CHARS))
        checked.values[attribute.name] = checked_path(attribute, text, uploads, settings)
    except ValueError as error:
        checked.errors.setdefault(attribute.name, complaint(split_reference(text)[1], str(error)))


def _check_parent(info: TableInfo, link: Link, parents: Parents, draft: Draft, checked: CheckedRow) -> None:
    names = link.foreign_key.attributes
    if any(name in checked.errors for name in names):
        return
    values = {name: checked.values[name] for name in names if name in checked.values}
    if len(values) < len(names):
        # An optional key is all or nothing; attributes that it shares with another key do not count.
        shared = {n for other in info.parents if other is not link for n in other.foreign_key.attributes}
        mine = [name for name in names if name not in shared]
        missing = [name for name in mine if name not in values and not info.attribute(name).in_key]
        if missing and any(name in values for name in mine):
            checked.errors[missing[0]] = say(
                "Choose a whole row of {parents_label}, or none.", parents_label=parents_label(link)
            )
        return
    if not parents.has(values):
        fixed = {n: draft.get(n, "") for n in names[:-1]} if len(names) > 1 else {}
        label = key_label({n: draft.get(n, "").strip() for n in names}, names)
        checked.errors[names[-1]] = parents.unknown(label, fixed)


def parents_label(link: Link) -> str:
    """Return what the rows of a parent are called."""
    return link.table.split(".", 1)[1]


def _require(info: TableInfo, given: Collection[str], checked: CheckedRow) -> None:
    for attribute in info.attributes:
        name = attribute.name
        if name in checked.values or name in checked.errors or attribute.has_default or name in given:
            continue
        link = info.parent_of(name)
        if link is None:
            checked.errors[name] = say("Needs a value.")
        elif not any(n in checked.errors for n in link.foreign_key.attributes):
            checked.errors[name] = say("Choose a row of {parents_label}.", parents_label=parents_label(link))


def _check_unique(info: TableInfo, names: tuple[str, ...], rows: Any, checked: CheckedRow) -> None:
    known = {a.name for a in info.attributes}
    if not set(names) <= known or any(n in checked.errors or n not in checked.values for n in names):
        return
    if set(names) == set(info.primary_key):
        return
    values = {name: checked.values[name] for name in names}
    taken = (rows & values).keys(limit=1)
    if taken:
        texts = key_texts(info, taken[0])
        text = key_label({n: format_value(info.attribute(n), values[n]) for n in names}, names)
        owner = key_label(texts, info.primary_key)
        checked.errors[names[-1]] = say(
            "{text} is taken by {label} {owner}; it must be unique.", text=text, label=info.label, owner=owner
        )
