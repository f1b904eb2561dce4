"""What becomes of a draft: complaints, a refusal, or a receipt."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from dj_panel.apps.services.drafts import Reading
from dj_panel.core.words import say, say_many

__all__ = ["Checked", "Duplicate", "Receipt", "Refused", "doubted", "refused"]


@dataclass(frozen=True)
class Duplicate:
    """The key of a draft is taken.

    Parameters
    ----------
    key
        The key, as text.
    label
        The same in one line, with the table: ``Subject M042``.
    counter, next_free
        The attribute that numbers the rows and its next free number; empty if none does.
    entered_by
        Who entered it and when, ``ana, 10:42:07``; empty if that is not known.
    """

    key: dict[str, str]
    label: str
    counter: str = ""
    next_free: str = ""
    entered_by: str = ""


@dataclass(frozen=True)
class Checked:
    """What is wrong with a draft so far.

    Parameters
    ----------
    errors
        Sentences by attribute.
    duplicate
        The row that has the key already, if there is one.
    doubts
        Sentences by attribute on what is unusual without being wrong.
    readings
        Days and times by attribute that were typed in another way than they are shown.
    """

    errors: dict[str, str]
    duplicate: Duplicate | None = None
    doubts: dict[str, str] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """Why nothing was written.

    Parameters
    ----------
    errors
        Sentences by attribute.
    part_errors
        Sentences by part, row (counted from 0) and attribute.
    summary
        All of it in one sentence.
    duplicate
        The row that has the key already, if that is the reason.
    doubts
        Sentences by attribute on what is unusual, if all else is right: it has to be ticked.
    """

    errors: dict[str, str]
    part_errors: dict[tuple[str, int, str], str]
    summary: str
    duplicate: Duplicate | None = None
    doubts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """A row that is in the database.

    Parameters
    ----------
    table
        Its table.
    key
        Its key, as text.
    label
        The same in one line, with the table.
    token
        Of the draft.
    saved_at
        When, by the lab's clock, with its zone.
    n_parts
        Part → how many rows came with it.
    is_repeat
        Whether it was there already, just as it was typed.
    values
        The key as values, to find the row again.
    """

    table: str
    key: dict[str, str]
    label: str
    token: str
    saved_at: dt.datetime
    n_parts: dict[str, int] = field(default_factory=dict)
    is_repeat: bool = False
    values: dict[str, Any] = field(default_factory=dict, repr=False)


def refused(
    errors: dict[str, str],
    part_errors: dict[tuple[str, int, str], str],
    duplicate: Duplicate | None,
    reason: str = "",
) -> Refused:
    """Return a refusal whose summary counts what is wrong, or gives the reason."""
    number = len(errors) + len(part_errors)
    if duplicate is not None and not number:
        return Refused(
            {}, {}, say("{label} exists already. Nothing was saved.", label=duplicate.label), duplicate
        )
    if not number:
        return Refused({}, {}, reason, duplicate)
    return Refused(errors, part_errors, corrections_needed(number), duplicate)


def corrections_needed(number: int) -> str:
    return say_many(
        "One field needs a correction. Nothing was saved.",
        "{n} fields need a correction. Nothing was saved.",
        number,
    )


def doubted(doubts: dict[str, str]) -> Refused:
    """Return the refusal of a row that is right in form, and unusual."""
    summary = say_many(
        "One value is unusual. Tick it if it is right, and save again. Nothing was saved.",
        "{n} values are unusual. Tick those that are right, and save again. Nothing was saved.",
        len(doubts),
    )
    return Refused({}, {}, summary, None, doubts)
