"""Rows as they were seen, as they are, and as they are to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from dj_panel.apps.grid import Form
from dj_panel.apps.services.history import Shown, Value

__all__ = [
    "Agreement",
    "Consequence",
    "Difference",
    "Edited",
    "Held",
    "Holding",
    "Opened",
    "Renewal",
    "Review",
    "RowsEdited",
    "RowsOpened",
    "RowsReview",
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
    """

    differences: tuple[Difference, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    seen: str = ""
    other: str = ""
    computed: dict[str, int] = field(default_factory=dict)

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


# ------------------------------------------------------------------ many rows
@dataclass(frozen=True)
class Held:
    """A value, and how many rows hold it."""

    value: Shown
    n_rows: int


@dataclass(frozen=True)
class Holding:
    """What rows hold.

    Parameters
    ----------
    commonest
        The values that most rows hold, those of most rows first.
    n_values
        How many different values there are.
    """

    commonest: tuple[Held, ...]
    n_values: int


@dataclass(frozen=True)
class RowsOpened:
    """Rows that are about to be changed together.

    Parameters
    ----------
    form
        What can be changed in all of them.
    label
        The rows in one line, with the table.
    n_rows, n_gone
        How many there are, and how many of those that were chosen are not there.
    common
        What all of them have in common of the key, as text.
    holdings
        Field or picker → what the rows hold there.
    left_out
        Why attributes cannot be changed together, a sentence for each reason.
    """

    form: Form
    label: str
    n_rows: int
    n_gone: int
    common: dict[str, str]
    holdings: dict[str, Holding]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Renewal:
    """One attribute of many rows, with its new value.

    Parameters
    ----------
    attribute
        Its name.
    holding
        What the rows hold.
    new
        What they are to hold.
    n_changing, n_same
        How many rows change in it, and how many hold the new value already.
    """

    attribute: str
    holding: Holding
    new: Shown
    n_changing: int
    n_same: int


@dataclass(frozen=True)
class RowsReview:
    """What saving would do to many rows.

    Parameters
    ----------
    renewals
        The attributes that were chosen, in the order of the table.
    n_rows, n_changing
        How many rows there are, and how many of them change.
    n_changed_meanwhile, n_gone
        How many were changed since the last review, and how many of those that were chosen are gone.
    errors, summary, computed
        As of :class:`Review`; computed from those rows that change.
    seen
        The rows as they are now, to be handed back.
    is_final
        Whether the history cannot keep all the values, so that they cannot be brought back.
    """

    renewals: tuple[Renewal, ...] = ()
    n_rows: int = 0
    n_changing: int = 0
    n_changed_meanwhile: int = 0
    n_gone: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    seen: tuple[str, ...] = ()
    computed: dict[str, int] = field(default_factory=dict)
    is_final: bool = False


@dataclass(frozen=True)
class RowsEdited:
    """Rows that were changed together.

    Parameters
    ----------
    batch
        Under which name the history knows them; empty if it is not kept.
    n_rows
        How many.
    user, at, reason
        By whom, when and why.
    renewals
        What was changed.
    n_computed
        How many computed rows were flagged or deleted, where that is known.
    is_final
        Whether the values before cannot be brought back.
    is_undone
        Whether they were.
    """

    batch: str
    n_rows: int
    user: str
    at: datetime
    reason: str
    renewals: tuple[Renewal, ...]
    n_computed: int = 0
    is_final: bool = False
    is_undone: bool = False
