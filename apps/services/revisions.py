"""Rows as they were seen, as they are, and as they are to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dj_panel.apps.grid import Form
from dj_panel.apps.services.history import Shown, Value

__all__ = [
    "Agreement",
    "Consequence",
    "Difference",
    "Edited",
    "Opened",
    "Review",
    "Seen",
]

Consequence = Literal["keep", "flag", "delete"]
"""What becomes of computed rows that used the old values."""

Seen = dict[str, Value]
"""A row as somebody saw it: attribute → text, size and digest, or no value."""


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
        The row as it is, to be handed back; as JSON.
    files
        Attribute → what is there, where a file can only be replaced.
    """

    form: Form
    key: dict[str, str]
    label: str
    texts: dict[str, str]
    seen: str
    files: dict[str, str]


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

    @property
    def is_changed_meanwhile(self) -> bool:
        """Whether somebody else has changed the row since it was seen."""
        return any(difference.is_theirs for difference in self.differences)


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
    """

    label: str
    n_changed: int
    n_computed: int
    before: dict[str, str]
