"""A row that was written, as it is noted in the history, and as the history tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dj_panel.core.rowtexts import Digest
from dj_panel.core.structure import TableName

__all__ = ["PUT_BACK", "Action", "Change", "Entry", "Source"]

PUT_BACK = "Put back"
"""The reason noted with a row that was deleted and is there again: nobody has entered it anew."""

Action = Literal["insert", "update", "delete"]
Source = Literal["form", "import", "api"]


@dataclass(frozen=True)
class Change:
    """One row that was written.

    Parameters
    ----------
    table
        Its table.
    action
        What was done.
    before, after
        Its values, or, of an update, those that changed; with the key among them, or in ``key``.
    key
        The primary key, where neither of them holds it.
    are_texts
        Whether all of these are texts and digests, as :func:`stored_rows` gives them, and not values as they are
        inserted.
    """

    table: TableName
    action: Action
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    key: Mapping[str, Any] | None = None
    are_texts: bool = False


@dataclass(frozen=True)
class Entry:
    """One row that was written, as it was noted.

    Parameters
    ----------
    entry_id
        Its number; in order of time.
    batch
        Of all that was written together.
    table
        The table.
    action, user, source, reason
        What was done, by whom, in which way, and why.
    time
        When, UTC.
    key, before, after
        The primary key, the values before and those afterwards, as texts.
    """

    entry_id: str
    batch: str
    table: TableName
    action: Action
    time: datetime
    user: str
    source: Source
    reason: str
    key: dict[str, str]
    before: dict[str, str | Digest | None] | None = None
    after: dict[str, str | Digest | None] | None = None
