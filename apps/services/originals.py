"""Rows that are there already, as drafts: to begin another row like one of them, or to compare one with what is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dj_panel.apps.fields import describe_field, draft_text, parse_text, words_of
from dj_panel.apps.grid import counter_of, given_by_master
from dj_panel.apps.services.comparison import agrees, is_there, part_restriction
from dj_panel.apps.services.drafts import Draft
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import OneRowError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say, say_many

__all__ = ["Beginning", "Contrast", "Originals"]

_MAX_PART_ROWS = 200


@dataclass(frozen=True)
class Beginning:
    """What a form begins with.

    Parameters
    ----------
    texts
        Attribute → text.
    parts
        Part → its rows, as drafts.
    """

    texts: dict[str, str]
    parts: dict[str, list[dict[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Contrast:
    """An attribute, or a part, in which a row of the database and a draft differ.

    Parameters
    ----------
    label
        The attribute or the part as words.
    there, typed
        Its value in the database and in the draft, as text, empty for no value; of a part, how many rows.
    """

    label: str
    there: str
    typed: str


class Originals(Service):
    """Reads rows as drafts."""

    async def like(self, table: str, key: Mapping[str, str]) -> Beginning:
        """Return what a new row that is like another one begins with.

        Left out are what must differ (the number of the row, unique values) and files.

        Raises
        ------
        OneRowError
            If there is no row of this key.
        """
        return await self._services.run(self._like, self._services.table(table), key)

    async def compare(self, table: str, draft: Draft, parts: Mapping[str, Sequence[Draft]]) -> list[Contrast]:
        """Return in what a draft differs from the row that has its key, with its parts; files are not looked into.

        Raises
        ------
        OneRowError
            If there is no such row any more.
        """
        return await self._services.run(self._compare, self._services.table(table), draft, parts)

    def _rows(self, info: TableInfo, key: Mapping[str, str]) -> Any:
        try:
            values = {n: parse_text(info.attribute(n), key.get(n, "")) for n in info.primary_key}
        except ValueError:
            values = {}
        if not values or None in values.values():
            raise OneRowError(say("{label} has no row of this key.", label=info.label))
        return self._services.pipeline[info.name]() & values

    def _fetched(self, info: TableInfo, rows: Any, limit: int) -> list[dict[str, Any]]:
        names = [a.name for a in info.attributes if _is_plain(a)]
        found: list[dict[str, Any]] = rows.to_dicts(attributes=names, order_by="KEY", limit=limit)
        return found

    def _like(self, info: TableInfo, key: Mapping[str, str]) -> Beginning:
        found = self._fetched(info, self._rows(info, key), 1)
        if not found:
            raise OneRowError(say("{label} has no row of this key.", label=info.label))
        own = {n for n in info.primary_key if info.parent_of(n) is None}
        counter = counter_of(info)
        # Of a key of several own attributes only the number changes; without a number, all of them.
        left_out = {counter} if counter else own
        left_out |= {names[-1] for names in info.unique if names}
        custom = self._services.entering.custom
        row = found[0]
        texts = {n: draft_text(info.attribute(n), v, custom) for n, v in row.items() if n not in left_out}
        parts = {}
        for name in info.parts:
            part = self._services.table(name)
            given = given_by_master(part)
            theirs = self._services.pipeline[name]() & {ours: row[n] for ours, n in given.items()}
            rows = self._fetched(part, theirs, _MAX_PART_ROWS)
            parts[name] = [
                {n: draft_text(part.attribute(n), v, custom) for n, v in one.items() if n not in given}
                for one in rows
            ]
        return Beginning({n: text for n, text in texts.items() if text}, parts)

    def _compare(self, info: TableInfo, draft: Draft, parts: Mapping[str, Sequence[Draft]]) -> list[Contrast]:
        entering = self._services.entering
        typed = entering.checked(info, draft, only=info.primary_key).values
        key = {n: draft_text(info.attribute(n), typed.get(n)) for n in info.primary_key}
        found = self._fetched(info, self._rows(info, key), 1)
        if not found:
            raise OneRowError(say("{label} has no row of this key any more. Save again.", label=info.label))
        return [
            Contrast(
                words_of(a.name),
                draft_text(a, found[0][a.name], entering.custom).lstrip("\0"),
                draft.get(a.name, "").lstrip("\0"),
            )
            for a in info.attributes
            if _is_plain(a) and not a.in_key and not agrees(a, found[0][a.name], typed.get(a.name))
        ] + [
            contrast
            for name in info.parts
            if (contrast := self._compare_part(self._services.table(name), found[0], parts.get(name, ())))
        ]

    def _compare_part(
        self, part: TableInfo, master: Mapping[str, Any], drafts: Sequence[Draft]
    ) -> Contrast | None:
        """Return how many rows of a part are there and were typed; ``None`` if they are the same ones."""
        entering = self._services.entering
        owned = part_restriction(part, master)
        rows = self._services.pipeline[part.name]()
        there = (rows & owned).count()
        typed = [
            entering.checked(part, one, given=tuple(owned))
            for one in drafts
            if any(text.strip() for text in one.values())
        ]
        is_same = there == len(typed) and all(
            not set(row.errors) - set(owned) and is_there(part, rows, {**row.values, **owned}, is_resent=True)
            for row in typed
        )
        if is_same:
            return None
        return Contrast(
            words_of(part.class_name.rpartition(".")[2]),
            _n_rows(there),
            say("{rows}, not the same ones", rows=_n_rows(len(typed)))
            if there == len(typed)
            else _n_rows(len(typed)),
        )


def _n_rows(number: int) -> str:
    return say_many("{n} row", "{n} rows", number)


def _is_plain(attribute: Attribute) -> bool:
    return attribute.codec is None and describe_field(attribute).kind not in ("file", "none")
