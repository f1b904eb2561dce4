"""Columns of a file and attributes of a table: which goes where, and what is missing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dj_panel.apps.fields import describe_field, words_of
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = ["REASON_HEADER", "Match", "importable", "is_header", "matches", "missing"]

REASON_HEADER = "Why it was not imported"
"""Name of the column in which a file of rejected rows gives the reasons."""

_CLOSE = 0.75


@dataclass(frozen=True)
class Match:
    """Where a column goes.

    Parameters
    ----------
    attribute
        The attribute; empty if the column is ignored.
    reason
        Why, in a few words.
    is_sure
        Whether the names are the same, but for case, blanks and signs.
    """

    attribute: str = ""
    reason: str = ""
    is_sure: bool = True


def importable(attribute: Attribute) -> bool:
    """Return whether cells of text can give an attribute its values."""
    return describe_field(attribute).kind not in ("file", "none")


def is_header(info: TableInfo, cells: Sequence[str]) -> bool:
    """Return whether a first row holds names: if one of them is the name of an attribute."""
    names = {_folded(text) for a in info.attributes for text in (a.name, words_of(a.name))}
    return any(_folded(cell) in names for cell in cells if cell)


def matches(info: TableInfo, names: Sequence[str]) -> list[Match]:
    """Return for each column the attribute that its name suggests; each attribute is suggested once.

    The name itself comes first, then the name without regard to case and signs, the words of the label and of
    the comment, and at last what is spelled alike.
    """
    free = {a.name: a for a in info.attributes if importable(a)}
    found: dict[int, Match] = {}

    def take(column: int, attribute: str, reason: str, *, is_sure: bool = True) -> None:
        found[column] = Match(attribute, reason, is_sure)
        del free[attribute]

    for column, name in enumerate(names):
        if name == REASON_HEADER:
            found[column] = Match(reason=say("Reasons of an earlier import"))
        elif name in free:
            take(column, name, say("Same name"))
    for reason, spelled in (
        (say("Same name"), _spelled_names),
        (say("Same words as its comment"), _spelled_comments),
    ):
        for column, name in enumerate(names):
            folded = _folded(name)
            if column in found or not folded:
                continue
            alike = [n for n, a in free.items() if folded in spelled(a)]
            if len(alike) == 1:
                take(column, alike[0], reason)
    for column, name in enumerate(names):
        if column in found or not _folded(name):
            continue
        spelled_free = {_folded(n): n for n in free}
        close = difflib.get_close_matches(_folded(name), spelled_free, n=1, cutoff=_CLOSE)
        if close:
            take(
                column, spelled_free[close[0]], say("Spelled alike: look whether it is meant"), is_sure=False
            )
    return [found.get(column, Match(reason=_why_not(info, name))) for column, name in enumerate(names)]


def by_position(info: TableInfo, n_columns: int) -> list[Match]:
    """Return the attributes in the order of the definition, for columns without names."""
    names = [a.name for a in info.attributes if importable(a)]
    return [
        Match(names[column], say("By its place, for the file has no names"), is_sure=False)
        if column < len(names)
        else Match(reason=say("More columns than attributes"))
        for column in range(n_columns)
    ]


def missing(info: TableInfo, mapped: Sequence[str]) -> list[Attribute]:
    """Return the attributes that need a value and get none."""
    return [a for a in info.attributes if not a.has_default and a.name not in mapped]


def _why_not(info: TableInfo, name: str) -> str:
    attribute = next((a for a in info.attributes if _folded(a.name) == _folded(name)), None)
    if attribute is not None and not importable(attribute):
        return say("Its values are files, which no cell holds")
    return say("No attribute of this name")


def _spelled_names(attribute: Attribute) -> set[str]:
    return {_folded(attribute.name), _folded(words_of(attribute.name))}


def _spelled_comments(attribute: Attribute) -> set[str]:
    comment = describe_field(attribute).comment
    return {_folded(attribute.comment), _folded(comment)} - {""}


def _folded(text: str) -> str:
    """Return a name without a unit in brackets, case and signs.

    >>> _folded("Body-Weight (g)"), _folded("body_weight")
    ('bodyweight', 'bodyweight')
    """
    text = re.sub(r"[\[(][^\])]*[\])]\s*$", "", text)
    return "".join(letter for letter in text.casefold() if letter.isalnum())
