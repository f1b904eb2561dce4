"""Rows of a parent table, found by what a person types of them.

All searching is done in the database, over the parent's key and its text, and gives a page at a time; what
is sent to a browser does not grow with the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from dj_panel.apps.fields import format_value, parse_text
from dj_panel.apps.pickers import SEPARATOR, key_label
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.core.algebra import AllOf, AnyOf, Comparison, Condition, Ordering, TextMatch
from dj_panel.core.errors import QueryTimeoutError
from dj_panel.core.structure import Attribute, ForeignKey
from dj_panel.core.words import say

__all__ = ["Choice", "Found", "Guess", "Parents", "Reach", "details_of"]

N_CHOICES = 20

SEARCH_S = 2.0
"""How long one look through all rows may take."""

_LAST_CHARACTER = "\U0010ffff"
_N_WORDS = 8
_MAX_DETAIL = 60
_N_DETAILS = 3
_N_NAMED = 3
_MAX_SHOWN = 80
_TEXT_KINDS = ("text", "enum")

Reach = Literal["key", "code", "search"]


def details_of(parent: TableInfo, foreign_key: ForeignKey) -> list[Attribute]:
    """Return the parent's attributes that tell its rows apart for people, beside those that the key refers to."""
    return [
        a
        for a in parent.attributes
        if a.name not in foreign_key.parent_attributes
        and a.codec is None
        and a.column_type.kind in (*_TEXT_KINDS, "date")
    ][:_N_DETAILS]


@dataclass(frozen=True)
class Choice:
    """A row that can be chosen.

    Parameters
    ----------
    key
        The child's attributes, as text.
    label
        The row's key in one line.
    detail
        What else tells it apart.
    is_recent
        Whether it was used a moment ago.
    """

    key: dict[str, str]
    label: str
    detail: str = ""
    is_recent: bool = False


@dataclass(frozen=True)
class Found:
    """What a search gave.

    Parameters
    ----------
    choices
        The first rows, at most 20.
    is_cut
        Whether looking at all rows took too long, so that there may be others.
    """

    choices: list[Choice]
    is_cut: bool = False


@dataclass(frozen=True)
class Guess:
    """A row that was found by what it holds, and not by its key.

    Parameters
    ----------
    choice
        The row.
    """

    choice: Choice


class Parents:
    """The rows that one foreign key may refer to.

    Parameters
    ----------
    link
        The foreign key.
    parent
        What is known of the parent.
    table
        The parent, to be asked in this thread.
    """

    def __init__(self, link: Link, parent: TableInfo, table: Any) -> None:
        self._fk = link.foreign_key
        self._parent = parent
        self._table = table
        self._ours = dict(zip(self._fk.parent_attributes, self._fk.attributes, strict=True))
        self._attributes = [parent.attribute(name) for name in self._fk.parent_attributes]
        self._detail = [attribute.name for attribute in details_of(parent, self._fk)]

    def restricted(self, fixed: Mapping[str, str]) -> Any:
        """Return the parent's rows that agree with what is known of our attributes.

        Raises
        ------
        ValueError
            If something known is not a value of its attribute, so that no row can agree.
        """
        values = {}
        for attribute in self._attributes:
            text = fixed.get(self._ours[attribute.name], "")
            value = parse_text(attribute, text)
            if value is not None:
                values[attribute.name] = value
        return self._table & values if values else self._table

    def begun(self, text: str, fixed: Mapping[str, str]) -> list[Choice]:
        """Return the first rows whose key begins with the first word and that hold the others.

        Asked through the key's index alone, so that the answer is there at once however many rows there are;
        empty where the key does not begin with text.
        """
        words = _words(text)
        try:
            rows = self.restricted(fixed)
        except ValueError:
            return []
        return [self._choice(row) for row in self._begun(rows, words, fixed)[:N_CHOICES]] if words else []

    def search(self, text: str, fixed: Mapping[str, str], recent: Sequence[Mapping[str, str]]) -> Found:
        """Return the first rows that hold every word; those whose keys begin with the words come first."""
        try:
            rows = self.restricted(fixed)
        except ValueError:
            return Found([])
        words = _words(text)
        if not words:
            return Found(self._first(rows, recent))
        found = self._begun(rows, words, fixed) if len(words) == 1 else []
        if len(found) >= N_CHOICES:
            return Found([self._choice(row) for row in found[:N_CHOICES]])
        held, is_cut = self._looked(rows & self._hold(words))
        if not held and not is_cut:
            return Found([])
        if not is_cut and len(held) < N_CHOICES:
            # All that there are: only these are asked which come first.
            rows = self._among(rows, held)
        if len(words) > 1:
            found = self._begun(rows, words, fixed)
        if len(found) < N_CHOICES and (self._leading(fixed) is None or len(self._attributes) > 1):
            begun, is_begun_cut = self._looked(rows & AllOf(tuple(self._begins(word) for word in words)))
            held, is_cut = begun + held, is_cut or is_begun_cut
        return Found([self._choice(row) for row in _different(found + held)[:N_CHOICES]], is_cut)

    def _looked(self, query: Any) -> tuple[list[dict[str, Any]], bool]:
        """Return the first rows of a look through all, and whether that took too long."""
        try:
            with self._table.connection.time_limit(SEARCH_S):
                return self._fetch(query), False
        except QueryTimeoutError:
            return [], True

    def _leading(self, fixed: Mapping[str, str]) -> Attribute | None:
        """Return the attribute by which the key's index goes on after what is known, if it is text."""
        for name in self._parent.primary_key:
            attribute = self._parent.attribute(name)
            if name not in self._ours:
                return None
            if not fixed.get(self._ours[name], "").strip():
                is_text = attribute.codec is None and attribute.column_type.kind == "text"
                return attribute if is_text else None
        return None

    def _begun(self, rows: Any, words: Sequence[str], fixed: Mapping[str, str]) -> list[dict[str, Any]]:
        leading = self._leading(fixed)
        if leading is None:
            return []
        begun: list[dict[str, Any]] = []
        held: list[dict[str, Any]] = []
        for between in self._ranges(leading, words[0]):
            within = rows & AllOf(between)
            found = self._fetch(within & self._hold(words[1:]) if words[1:] else within)
            if words[1:] and found:
                within = within if len(found) >= N_CHOICES else self._among(within, found)
                begun += self._fetch(within & AllOf(tuple(self._begins(word) for word in words[1:])))
            held += found
            if len(begun if words[1:] else held) >= N_CHOICES:
                break
        return _different(begun + held)[:N_CHOICES]

    def _among(self, rows: Any, found: Sequence[Mapping[str, Any]]) -> Any:
        """Return those of the rows that were found."""
        return rows & [{a.name: row[a.name] for a in self._attributes} for row in found]

    def _ranges(self, leading: Attribute, start: str) -> list[tuple[Condition, ...]]:
        """Return a range of the index for each way of writing a word: an index knows no "begins with"."""
        ways = dict.fromkeys((start, start.upper(), start.lower(), start.capitalize()))
        return [
            (Ordering(leading.name, ">=", way), Ordering(leading.name, "<", way + _LAST_CHARACTER))
            for way in ways
        ]

    def _first(self, rows: Any, recent: Sequence[Mapping[str, str]]) -> list[Choice]:
        keys = [{a.name: parse_text(a, r.get(a.name, "")) for a in self._attributes} for r in recent]
        used = self._fetch(rows & keys) if keys else []
        place = {tuple(key.values()): i for i, key in enumerate(keys)}
        used.sort(key=lambda row: place.get(tuple(row[a.name] for a in self._attributes), len(place)))
        more = [row for row in self._fetch(rows) if row not in used]
        chosen = [(row, True) for row in used] + [(row, False) for row in more]
        return [self._choice(row, is_recent=is_recent) for row, is_recent in chosen[:N_CHOICES]]

    def _fetch(self, query: Any) -> list[dict[str, Any]]:
        last = self._parent.attribute(self._parent.primary_key[-1]) if self._parent.primary_key else None
        counts = last is not None and last.column_type.kind in ("date", "datetime")
        names = [a.name for a in self._attributes] + self._detail
        # What is dated is looked for from its latest row.
        order = [f"{n} DESC" for n in self._parent.primary_key] if counts else "KEY"
        rows: list[dict[str, Any]] = query.to_dicts(attributes=names, order_by=order, limit=N_CHOICES)
        return rows

    def _choice(self, row: Mapping[str, Any], *, is_recent: bool = False) -> Choice:
        key = {self._ours[a.name]: format_value(a, row[a.name]) for a in self._attributes}
        details = [format_value(self._parent.attribute(n), row[n]) for n in self._detail]
        detail = SEPARATOR.join(" ".join(text.split()) for text in details if text)
        detail = detail if len(detail) <= _MAX_DETAIL else detail[: _MAX_DETAIL - 1] + "…"
        return Choice(key, key_label(key, self._fk.attributes), detail, is_recent)

    # ------------------------------------------------------------------ conditions
    def _hold(self, words: Sequence[str]) -> Condition:
        """Return the condition that a row holds all words."""
        # Few rows hold a long word, and where one word is missing no other is looked for.
        return AllOf(tuple(self._holds(word) for word in sorted(words, key=len, reverse=True)))

    def _holds(self, word: str) -> Condition:
        """Return the condition that a row's key or text holds a word."""
        searched = [
            a.name
            for a in self._parent.attributes
            if a.in_key or a.name in self._ours or (a.codec is None and a.column_type.kind in _TEXT_KINDS)
        ]
        return AnyOf(tuple(TextMatch(name, text) for name in searched for text in _variants(word)))

    def _begins(self, word: str) -> Condition:
        """Return the condition that a value of the key begins with a word."""
        names = [attribute.name for attribute in self._attributes]
        return AnyOf(tuple(TextMatch(n, text, at_start=True) for n in names for text in _variants(word)))

    # ------------------------------------------------------------------ one row
    def find(self, text: str, fixed: Mapping[str, str], reach: Reach = "key") -> Choice | Guess | str:
        """Return the row that typed text means, or a sentence that tells why there is none.

        Parameters
        ----------
        text
            The key, or as much of it as no other row has the same, such as the last of its attributes.
        fixed
            What is known of the child's attributes: only rows that agree are meant.
        reach
            What may be meant beside a key: with ``code``, just what only one row holds, in whichever attribute, as
            on a label; with ``search`` that, or the only row that a search finds.
        """
        text = text.strip()
        exact = self._typed(text, fixed)
        if len(exact) == 1:
            return exact[0]
        if exact:
            return self._several(text, exact)
        if reach != "key" and (only := self.only(text, fixed)) is not None:
            return only if reach == "code" else Guess(only)
        found = self.search(text, fixed, []) if reach == "search" else Found([])
        if found.is_cut:
            return say("There are too many rows to look through; begin with the key, or type more.")
        if len(found.choices) > 1:
            return self._several(text, found.choices)
        for choice in found.choices:
            if any(_cuts_number(word, f"{choice.label} {choice.detail}") for word in _words(text)):
                return self._absent(text, choice.label)
            return Guess(choice)
        return self.unknown(text, fixed)

    def _typed(self, text: str, fixed: Mapping[str, str]) -> list[Choice]:
        """Return the row whose key was typed in full, or else the rows that have each of the words in their key."""
        try:
            rows = self.restricted(fixed)
        except ValueError:
            return []
        known = {n for n, ours in self._ours.items() if fixed.get(ours, "").strip()}
        open_ones = [a for a in self._attributes if a.name not in known]
        for attributes in (self._attributes, open_ones):
            for texts in _split(text, len(attributes)):
                found = self._find(rows, attributes, texts)
                if found is not None:
                    return [found]
        for n in range(1, len(open_ones)):
            for texts in _split(text, n):
                choices = self._with_parts(rows, open_ones, texts)
                if choices:
                    return choices
        return []

    def _with_parts(self, rows: Any, attributes: Sequence[Attribute], texts: Sequence[str]) -> list[Choice]:
        """Return the rows of whose key some attributes are these texts, in whatever capitals."""
        conditions = []
        for text in texts:
            ways = dict.fromkeys((text, text.upper(), text.lower(), text.capitalize()))
            equal: list[Condition] = []
            for attribute in attributes:
                with suppress(ValueError):  # the text is no value of this attribute
                    is_text = attribute.column_type.kind in _TEXT_KINDS
                    equal += [
                        Comparison(attribute.name, parse_text(attribute, way))
                        for way in (ways if is_text else [text])
                    ]
            if not equal:
                return []
            conditions.append(AnyOf(tuple(equal)))
        found, is_cut = self._looked(rows & AllOf(tuple(conditions)))
        if is_cut:
            return []

        def has(row: Mapping[str, Any], fold: Callable[[str], str]) -> bool:
            values = [fold(format_value(a, row[a.name])) for a in attributes]
            return all(fold(text) in values for text in texts)

        same = [row for row in found if has(row, str)]
        return [self._choice(row) for row in same or (row for row in found if has(row, str.casefold))]

    def _several(self, text: str, choices: Sequence[Choice]) -> str:
        values = ", ".join(choice.label for choice in choices[:_N_NAMED])
        facts = {"text": text[:_MAX_SHOWN], "label": self._parent.label, "values": values}
        if len(choices) > _N_NAMED:
            return say(
                "“{text}” may mean several rows of {label}: {values}, … Choose one, or type more.", **facts
            )
        return say("“{text}” may mean several rows of {label}: {values}. Choose one, or type more.", **facts)

    def _find(self, rows: Any, attributes: Sequence[Any], texts: Sequence[str]) -> Choice | None:
        try:
            values = {a.name: parse_text(a, t) for a, t in zip(attributes, texts, strict=True)}
        except ValueError:
            return None
        exact = self._fetch(rows & values)
        if len(exact) == 1:
            return self._choice(exact[0])
        # A key typed in other capitals, if it can mean only one row.
        conditions: list[Condition] = []
        for attribute, text in zip(attributes, texts, strict=True):
            if attribute.column_type.kind in _TEXT_KINDS:
                conditions.append(
                    AnyOf(tuple(TextMatch(attribute.name, t, at_start=True) for t in _variants(text)))
                )
            else:
                conditions.append(Comparison(attribute.name, values[attribute.name]))
        typed = [text.casefold() for text in texts]
        near = self._fetch(rows & AllOf(tuple(conditions)))
        found = [r for r in near if [format_value(a, r[a.name]).casefold() for a in attributes] == typed]
        return self._choice(found[0]) if len(found) == 1 else None

    def only(self, text: str, fixed: Mapping[str, str]) -> Choice | None:
        """Return the only row that holds just this text in one of its attributes, as that on a label, or ``None``."""
        conditions = []
        for attribute in self._parent.attributes:
            if attribute.codec is None and attribute.column_type.kind in ("text", "uuid"):
                with suppress(ValueError):  # the text is no value of this attribute
                    conditions.append(Comparison(attribute.name, parse_text(attribute, text)))
        if not text.strip() or not conditions:
            return None
        try:
            rows = self.restricted(fixed)
        except ValueError:
            return None
        found, is_cut = self._looked(rows & AnyOf(tuple(conditions)))
        return self._choice(found[0]) if len(found) == 1 and not is_cut else None

    def has(self, values: Mapping[str, Any]) -> bool:
        """Tell whether there is a row with these values of the child's attributes."""
        return bool(self._table & {theirs: values[ours] for theirs, ours in self._ours.items()})

    def unknown(self, text: str, fixed: Mapping[str, str]) -> str:
        """Return the sentence that there is no such row, with the nearest one there is."""
        return self._absent(text, self._near(text, fixed))

    def missing(self, text: str) -> str:
        """Return the sentence that there is no such row."""
        return self._absent(text, "")

    def _absent(self, text: str, near: str) -> str:
        question = say(" Did you mean {values}?", values=near) if near else ""
        return say("There is no {label} {text}.", label=self._parent.label, text=text[:_MAX_SHOWN]) + question

    def _near(self, text: str, fixed: Mapping[str, str]) -> str:
        """Return the key nearest to a typed one among those that begin as it does."""
        try:
            rows = self.restricted(fixed)
        except ValueError:
            return ""
        typed = text.strip().lower()
        words = _words(typed)
        first = words[0] if words else ""
        leading = self._leading(fixed) if len(self._attributes) == 1 else None
        with suppress(QueryTimeoutError), self._table.connection.time_limit(SEARCH_S):
            for length in range(len(first), -1, -1):
                if length and leading is not None:
                    query = rows & AnyOf(tuple(map(AllOf, self._ranges(leading, first[:length]))))
                else:
                    query = rows & self._begins(first[:length]) if length else rows
                found = map(self._choice, self._fetch_many(query))
                best = max(((_likeness(words, c), c.label) for c in found), default=(0.0, ""))
                if best[0] >= 0.6:
                    return best[1]
        return ""

    def _fetch_many(self, query: Any) -> list[dict[str, Any]]:
        names = [a.name for a in self._attributes] + self._detail
        rows: list[dict[str, Any]] = query.to_dicts(attributes=names, order_by="KEY", limit=500)
        return rows


def _different(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without those that were there before."""
    different: list[dict[str, Any]] = []
    for row in rows:
        if row not in different:
            different.append(row)
    return different


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s·]+", text.strip()) if word][:_N_WORDS]


def _variants(word: str) -> list[str]:
    """Return a word in the cases in which a server may not find it by itself."""
    if word.isascii():
        return [word]
    # One letter in two cases is found by every server; ß in STRASSE is not.
    ways = {"".join(map(str.lower, way)): way for way in (word.title(), word.upper(), word.lower(), word)}
    return list(ways.values())[::-1]


def _likeness(words: Sequence[str], choice: Choice) -> float:
    """Return how near words come to a key, or one word to one of its attributes, from 0 to 1."""
    texts = [choice.label, *(choice.key.values() if len(words) == 1 else ())]
    return max(SequenceMatcher(None, " ".join(words), text.lower()).ratio() for text in texts)


def _cuts_number(word: str, text: str) -> bool:
    """Tell whether a word ends or begins within the numbers of a text: M1 is not M10, however many rows there are.

    >>> _cuts_number("m1", "M10"), _cuts_number("m10", "mouse · M10"), _cuts_number("mo", "mouse · M10")
    (True, False, False)
    """
    before, after = (r"(?<!\d)" if word[0].isdigit() else ""), (r"(?!\d)" if word[-1].isdigit() else "")
    whole = re.search(before + re.escape(word.casefold()) + after, text.casefold())
    return bool(before or after) and whole is None


def _split(text: str, n: int) -> Iterable[list[str]]:
    """Return the ways in which text may be the values of ``n`` attributes."""
    text = text.strip()
    if n == 0 or not text:
        return []
    if n == 1:
        return [[text]]
    ways = [[part.strip() for part in text.split(mark)] for mark in ("·", ",", ";", "/")]
    ways += [text.split(), text.split(None, n - 1)]
    return [way for way in ways if len(way) == n]
