"""Rows as somebody saw them, as text that a browser keeps and hands back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dj_panel.apps.services.history import Value
from dj_panel.apps.services.revisions import ORIGIN, PartsSeen, Seen
from dj_panel.core.errors import OneRowError
from dj_panel.core.history import Digest
from dj_panel.core.words import say

__all__ = ["dump_seen", "load_parts_seen", "load_seen"]


def dump_seen(row: Mapping[str, Value], parts: PartsSeen | None = None) -> str:
    """Return rows as JSON: attribute → value, and the rows of parts under a name that no attribute has."""

    def plain(one: Mapping[str, Value]) -> dict[str, Any]:
        return {n: [v.size, v.sha256] if isinstance(v, Digest) else v for n, v in one.items()}

    there = {part: {name: plain(one) for name, one in rows.items()} for part, rows in (parts or {}).items()}
    return json.dumps({**plain(row), **({ORIGIN: there} if there else {})}, ensure_ascii=False)


def load_seen(text: str) -> Seen:
    """Return the row that a text of :func:`dump_seen` holds.

    Raises
    ------
    OneRowError
        If it is no such text.
    """
    return _loaded(_read_json(text))


def load_parts_seen(text: str) -> PartsSeen:
    """Return the rows of parts that a text of :func:`dump_seen` holds, or raise as `load_seen` does."""
    try:
        parts = _read_json(text).get(ORIGIN, {})
        return {
            str(part): {str(name): _loaded(row) for name, row in rows.items()} for part, rows in parts.items()
        }
    except AttributeError as error:
        raise _unknown() from error


def _read_json(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise _unknown() from error


def _loaded(row: Mapping[str, Any]) -> Seen:
    try:
        return {str(n): Digest(*v) if isinstance(v, list) else v for n, v in row.items() if n != ORIGIN}
    except (TypeError, AttributeError) as error:
        raise _unknown() from error


def _unknown() -> OneRowError:
    return OneRowError(say("The row that was read is not known any more. Load the page again."))
