"""Rows that somebody has chosen: how many may be, what they are called, and where long lists of them are kept."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from dj_panel.apps.pickers import key_label
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.words import say

__all__ = ["MAX_CHOSEN", "ChosenRows", "rows_label"]

MAX_CHOSEN = 1000
"""So many rows of a table can be chosen at once, to be changed, deleted or computed from."""

_MAX_NAMED = 5
_N_KEPT = 100

Key = tuple[str, ...]


class ChosenRows:
    """Selections that are too long for an address, under names that stand there in their place.

    They are in memory: the last hundred, until the server is stopped.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, tuple[Key, ...]]] = OrderedDict()

    def keep(self, table: str, keys: Sequence[Key]) -> str:
        """Keep the keys of rows, each as texts in the order of the primary key, and return the name."""
        name = secrets.token_hex(8)
        self._kept[name] = (table, tuple(keys[:MAX_CHOSEN]))
        while len(self._kept) > _N_KEPT:
            self._kept.popitem(last=False)
        return name

    def find(self, table: str, name: str) -> tuple[Key, ...]:
        """Return the keys that are kept under a name; none if there are none any more."""
        place, keys = self._kept.get(name, ("", ()))
        return keys if place == table else ()


def rows_label(info: TableInfo, keys: Sequence[Mapping[str, str]]) -> str:
    """Return rows in one line, with their table, by their keys as texts; the first few are named."""
    named = ", ".join(key_label(key, info.primary_key) for key in keys[:_MAX_NAMED])
    more = say(" and {n} more", n=len(keys) - _MAX_NAMED) if len(keys) > _MAX_NAMED else ""
    return f"{info.label} {named}{more}".strip()
