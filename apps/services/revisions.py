"""Rows as they were seen, as they are, and as they are to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from dj_panel.apps.grid import Form
from dj_panel.apps.services.history import Shown, Value

__all__ = [
    "ORIGIN",
    "Agreement",
    "Before",
    "Blocked",
    "Consequence",
    "Difference",
    "Edited",
    "LargePart",
    "Lost",
    "Opened",
    "OpenedParts",
    "PartDifference",
    "PartsSeen",
    "Review",
    "Seen",
]

Consequence = Literal["keep", "flag", "delete"]
"""What becomes of computed rows that used the old values."""

Seen = dict[str, Value]
"""A row as somebody saw it: attribute → text, size and digest, or no value."""

PartsSeen = dict[str, dict[str, Seen]]
"""Part → the rows that somebody saw of it, by their ids."""

ORIGIN = "@"
"""Stands in the draft of a part's row for the id of the row that it was when the form was opened."""


@dataclass(frozen=True)
class LargePart:
    """A part that has more rows under its master than a form shows.

    Parameters
    ----------
    table, label
        Its name in the application, and what it is called.
    n_shown
        How many rows a form shows at most.
    filters
        With these its table shows just those rows.
    """

    table: str
    label: str
    n_shown: int
    filters: dict[str, str]


@dataclass(frozen=True)
class Lost:
    """What the form does not bring back of a row.

    Parameters
    ----------
    text
        In one sentence.
    table, key
        The row of a part, where it was removed: its own page puts it back whole. Else the key is empty.
    """

    text: str
    table: str
    key: dict[str, str]


@dataclass(frozen=True)
class Before:
    """What a row and those of its parts were before a change.

    Parameters
    ----------
    at
        When it was made, by the lab's clock; ``None`` if the history knows nothing of it.
    has_parts
        Whether rows of parts were changed in it, of those that the form shows.
    parts
        Part → its rows as they were, as drafts.
    lost
        What these do not bring back, and what the form of the row does not.
    """

    at: datetime | None = None
    has_parts: bool = False
    parts: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()


@dataclass(frozen=True)
class OpenedParts:
    """The rows of the parts of a row that is about to be changed.

    Parameters
    ----------
    rows
        Part → its rows as drafts, each with its id under `ORIGIN`.
    files
        Part → id of a row → attribute → what is there, where a file can only be replaced.
    seen
        The rows as they are.
    large
        The parts that the form leaves out.
    """

    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    files: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    seen: PartsSeen = field(default_factory=dict)
    large: tuple[LargePart, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """What somebody agreed to who changes rows.

    Parameters
    ----------
    reason
        Why.
    consequence
        What becomes of computed rows: they stay, they stay and their history says what happened, or they are
        deleted, so that they are computed again.
    computed
        How many computed rows of each table may be deleted.
    """

    reason: str = ""
    consequence: Consequence = "keep"
    computed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """A row that is about to be changed.

    Parameters
    ----------
    form
        Its form, without the key.
    key
        The key, as text.
    label
        The same in one line, with the table.
    texts
        With these the fields begin.
    seen
        The row as it is, with those of its parts, to be handed back; as JSON.
    files
        Attribute → what is there, where a file can only be replaced.
    parts
        The rows of its parts.
    """

    form: Form
    key: dict[str, str]
    label: str
    texts: dict[str, str]
    seen: str
    files: dict[str, str]
    parts: OpenedParts = field(default_factory=OpenedParts)


@dataclass(frozen=True)
class Difference:
    """An attribute that differs between the row as it was seen, as it is, and as it is to be.

    Parameters
    ----------
    attribute
        Its name.
    was, theirs, mine
        The three values; ``theirs`` is ``was`` unless somebody else has changed it.
    theirs_text
        The text with which a field takes over what they wrote; ``None`` if no text does.
    """

    attribute: str
    was: Shown
    theirs: Shown
    mine: Shown
    theirs_text: str | None = None

    @property
    def is_theirs(self) -> bool:
        """Whether somebody else has changed it."""
        return self.theirs != self.was

    @property
    def is_mine(self) -> bool:
        """Whether it is to be changed here."""
        return self.mine != self.was

    @property
    def is_conflict(self) -> bool:
        """Whether both have changed it, and not to the same."""
        return self.is_theirs and self.is_mine and self.mine != self.theirs


@dataclass(frozen=True)
class PartDifference(Difference):
    """An attribute of a part's row, or, without a name of an attribute, a row that came or went.

    Parameters
    ----------
    part, label
        The part, and what it is called.
    row
        The row's own key in one line.
    row_id
        The same as the form knows it.
    number
        Where the row stands among the drafts, from 0; -1 if it is not among them.
    theirs_row
        The draft with which the form takes over a row that somebody else has added or changed.
    """

    part: str = ""
    label: str = ""
    row: str = ""
    row_id: str = ""
    number: int = -1
    theirs_row: dict[str, str] | None = None


@dataclass(frozen=True)
class Blocked:
    """A part's row that cannot be removed.

    Parameters
    ----------
    part
        The part.
    row
        What the row is called.
    reason
        What depends on it, in one sentence.
    draft
        With this the form has it back.
    """

    part: str
    row: str
    reason: str
    draft: dict[str, str]


@dataclass(frozen=True)
class Review:
    """What saving would do.

    Parameters
    ----------
    differences
        What differs, in the order of the table.
    errors
        Sentences by attribute; nothing can be saved then.
    summary
        Why nothing can be saved, in one sentence; empty if it can.
    seen
        The row as it is now, as JSON.
    other
        Who changed it meanwhile, and when, if that is known.
    computed
        Table → how many of its rows were computed from this row.
    part_differences
        What differs in the rows of its parts.
    part_errors
        Sentences by part, place among the drafts and attribute; nothing can be saved then.
    blocked
        Rows of parts that cannot be removed; nothing can be saved then.
    notes
        What else there is to say of the changes to parts.
    is_deletion_needed
        Whether rows are removed that computed rows depend on, so that these must go too.
    doubts
        Sentences by attribute on what is unusual, if all else is right: it has to be ticked.
    """

    differences: tuple[Difference, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    seen: str = ""
    other: str = ""
    computed: dict[str, int] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    part_differences: tuple[PartDifference, ...] = ()
    part_errors: dict[tuple[str, int, str], str] = field(default_factory=dict)
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()
    is_deletion_needed: bool = False

    @property
    def is_changed_meanwhile(self) -> bool:
        """Whether somebody else has changed the row, or rows of its parts, since it was seen."""
        return any(difference.is_theirs for difference in (*self.differences, *self.part_differences))

    @property
    def has_changes(self) -> bool:
        """Whether something is to be changed here."""
        return any(difference.is_mine for difference in (*self.differences, *self.part_differences))


@dataclass(frozen=True)
class Edited:
    """A row that was changed.

    Parameters
    ----------
    label
        The row.
    n_changed
        How many of its attributes.
    n_computed
        How many computed rows were flagged, or deleted.
    before
        The texts that bring back what it was.
    n_part_rows
        How many rows of its parts were changed, added or removed.
    batch
        Under which the history has all of it; empty if none is kept.
    """

    label: str
    n_changed: int
    n_computed: int
    before: dict[str, str]
    n_part_rows: int = 0
    batch: str = ""
