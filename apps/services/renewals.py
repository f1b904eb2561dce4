"""What many rows hold, and what they are to hold: values with their counts, never row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dj_panel.apps.fields import Field
from dj_panel.apps.grid import Form
from dj_panel.apps.pickers import SEPARATOR, Picker
from dj_panel.apps.services.history import Shown, Value, is_typed, shown
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.history import Digest
from dj_panel.core.words import marked, say

__all__ = [
    "FINAL",
    "Held",
    "Holding",
    "Renewal",
    "RowsEdited",
    "RowsOpened",
    "RowsReview",
    "attributes_of",
    "differing",
    "holding_of",
    "is_final",
    "item_id",
    "offered",
    "renewal_of",
    "renewals_of",
]

Row = Mapping[str, Value]

FINAL = marked(
    "The history keeps no copy of texts of more than 2,000 characters, so this cannot be taken back."
)

N_HELD = 5
"""So many different values are named; of more, how many there are."""


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
    apart
        Why other attributes cannot be changed together, a sentence for each reason.
    """

    form: Form
    label: str
    n_rows: int
    n_gone: int
    common: dict[str, str]
    holdings: dict[str, Holding]
    apart: tuple[str, ...]


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
    errors
        Sentences by attribute; nothing can be saved then.
    summary
        Why nothing can be saved, in one sentence; empty if it can.
    seen
        The rows as they are now, to be handed back.
    computed
        Table → how many of its rows were computed from those that change.
    is_final
        Whether the history cannot keep all the values, so that they cannot be brought back.
    doubts
        Sentences by attribute on what is unusual, if all else is right: it has to be ticked.
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
    doubts: dict[str, str] = field(default_factory=dict)


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


# ------------------------------------------------------------------ what can be changed
def offered(
    info: TableInfo, items: Iterable[Field | Picker], common: Mapping[str, str]
) -> tuple[list[Field | Picker], tuple[str, ...]]:
    """Return what can be changed in many rows together, and why the rest cannot.

    Parameters
    ----------
    info
        The table.
    items
        The fields and pickers of its form, those of the key left out.
    common
        What all of the rows have in common of the key.
    """
    unique = {name for names in info.unique for name in names}
    unique |= {n for link in info.parents if link.foreign_key.unique for n in link.foreign_key.attributes}
    found: list[Field | Picker] = []
    apart: dict[str, list[str]] = {}
    for item in items:
        names = attributes_of(item)
        given = [name for name in names if name in info.primary_key and name not in common]
        if any(name in unique for name in names):
            why = say("no two rows may have the same value")
        elif isinstance(item, Field) and not is_typed(info.attribute(item.name)):
            why = say("files and arrays are replaced in one row at a time")
        elif given:
            why = say("the choice depends on {names}, in which these rows differ", names=", ".join(given))
        else:
            found.append(item)
            continue
        apart.setdefault(why, []).append(item.label)
    return found, tuple(
        say("Not changed here: {names} ({why}).", names=", ".join(labels), why=why)
        for why, labels in apart.items()
    )


def attributes_of(item: Field | Picker) -> tuple[str, ...]:
    """Return the attributes that an item of a form fills."""
    return item.attributes if isinstance(item, Picker) else (item.name,)


def item_id(item: Field | Picker) -> str:
    """Return the name of an item of a form."""
    return item.id if isinstance(item, Picker) else item.name


# ------------------------------------------------------------------ comparing
def differing(row: Row, new: Mapping[str, Value]) -> list[str]:
    """Return the attributes in which a row does not hold the new values."""
    return [name for name, value in new.items() if row[name] != value]


def holding_of(values: Iterable[tuple[Value, ...]]) -> Holding:
    """Return what rows hold, given the values of each in some attributes."""
    counts = Counter(values)
    commonest = tuple(Held(_shown(value), number) for value, number in counts.most_common(N_HELD))
    return Holding(commonest, len(counts))


def _shown(values: Sequence[Value]) -> Shown:
    found = [shown(value) for value in values]
    return found[0] if len(set(found)) == 1 else Shown(SEPARATOR.join(one.text for one in found))


def renewal_of(name: str, held: Sequence[Value], new: Value) -> Renewal:
    """Return what becomes of an attribute that is to hold a new value in all rows."""
    n_same = sum(value == new for value in held)
    return Renewal(name, holding_of((value,) for value in held), shown(new), len(held) - n_same, n_same)


def renewals_of(info: TableInfo, pairs: Sequence[tuple[Row, Row]]) -> tuple[Renewal, ...]:
    """Return what rows were changed in, from what each held before and afterwards."""
    found = []
    for name in [a.name for a in info.attributes]:
        both = [(before[name], after[name]) for before, after in pairs if name in before and name in after]
        if both:
            found.append(renewal_of(name, [old for old, _ in both], both[0][1]))
    return tuple(found)


def is_final(pairs: Iterable[tuple[Row, Row]]) -> bool:
    """Return whether the history has not kept all values that rows held before, so that they cannot come back."""
    return any(isinstance(value, Digest) for before, _ in pairs for value in before.values())
