"""Foreign keys as fields of a form: one for each parent, in which one of its rows is chosen.

However many attributes the key has, it is chosen as one row. Pickers that share attributes narrow each
other: once the subject is known, only its sessions are offered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dj_panel.apps.fields import words_of
from dj_panel.core.words import say

if TYPE_CHECKING:  # the services import this module
    from dj_panel.apps.services.structure import Link, TableInfo

__all__ = ["SEPARATOR", "Picker", "describe_pickers", "key_label", "picker_id", "picker_number"]

SEPARATOR = " · "
"""Between the values of a key that is written in one line."""

_PREFIX = "->"


@dataclass(frozen=True)
class Picker:
    """One foreign key as a form shows it.

    Parameters
    ----------
    id
        Its name in a draft, under which text stands that has not become a row yet.
    table
        The parent's name in the application.
    label, comment
        What it is called, and what is said of it.
    attributes, parent_attributes
        The attributes here that the parent's key fills, and their names there.
    own
        Those of them that no other picker fills: they are emptied with the choice.
    in_key, is_required
        As of the foreign key; a required one has an attribute that cannot be left empty.
    is_unique
        Whether no two rows may refer to the same row.
    can_create
        Whether people may add rows to the parent.
    """

    id: str
    table: str
    label: str
    comment: str
    attributes: tuple[str, ...]
    parent_attributes: tuple[str, ...]
    own: tuple[str, ...]
    in_key: bool
    is_required: bool
    is_unique: bool
    can_create: bool = False

    def as_message(self) -> dict[str, Any]:
        """Return the facts as the browser takes them."""
        return asdict(self)


def picker_id(number: int) -> str:
    """Return the name in a draft of a table's foreign key by its place among ``TableInfo.parents``."""
    return f"{_PREFIX}{number}"


def picker_number(name: str) -> int | None:
    """Return the place of the foreign key that a name in a draft means; ``None`` for an attribute."""
    number = name.removeprefix(_PREFIX)
    return int(number) if name.startswith(_PREFIX) and number.isascii() and number.isdecimal() else None


def describe_pickers(info: TableInfo, *, given: Collection[str] = ()) -> list[Picker]:
    """Return the pickers of a table, in the order of its definition.

    Parameters
    ----------
    info
        The table.
    given
        Attributes that are known already, as a part's are from its master; foreign keys made of these alone
        are left out.
    """
    chosen = [
        (i, link) for i, link in enumerate(info.parents) if not set(link.foreign_key.attributes) <= set(given)
    ]
    return [_describe(info, number, link, [other for _, other in chosen], given) for number, link in chosen]


def _describe(
    info: TableInfo, number: int, link: Link, links: Sequence[Link], given: Collection[str]
) -> Picker:
    fk = link.foreign_key
    others = {name for other in links if other is not link for name in other.foreign_key.attributes}
    parent = link.table.split(".", 1)[1]
    renamed = fk.renamed
    if renamed:
        label, comment = _renamed_label(renamed, parent), say("a row of {table}", table=words_of(parent))
    else:
        label = words_of(parent)
        comment = next((info.attribute(n).comment for n in fk.attributes[-1:] if len(fk.attributes) == 1), "")
    return Picker(
        id=picker_id(number),
        table=link.table,
        label=label,
        comment=comment,
        attributes=fk.attributes,
        parent_attributes=fk.parent_attributes,
        own=tuple(n for n in fk.attributes if n not in others and n not in given),
        in_key=fk.in_key,
        is_required=any(not info.attribute(n).has_default for n in fk.attributes if n not in given),
        is_unique=fk.unique
        or any(set(n) <= set(fk.attributes) for n in (info.primary_key, *info.unique) if n),
    )


def _renamed_label(renamed: Mapping[str, str], parent: str) -> str:
    """Return what a key is called whose attributes have names of their own here.

    >>> _renamed_label({"species_a": "species", "subject_a": "subject"}, "Subject")
    'Subject a'
    >>> _renamed_label({"dam_species": "species", "dam_subject_id": "subject_id"}, "Subject")
    'Dam subject'
    >>> _renamed_label({"earlier_session": "session"}, "Session")
    'Earlier session'
    """
    if len(renamed) > 1:
        ways = {(ours.partition(theirs)[0], ours.partition(theirs)[2]) for ours, theirs in renamed.items()}
        if len(ways) == 1 and all(theirs in ours for ours, theirs in renamed.items()):
            before, after = ways.pop()
            return words_of(f"{before}{parent}{after}" if before else parent + after)
    return words_of(list(renamed)[-1])


def key_label(values: Mapping[str, str], names: Sequence[str]) -> str:
    """Return a key in one line.

    >>> key_label({"subject": "M1", "day": "2026-03-01"}, ("subject", "day"))
    'M1 · 2026-03-01'
    """
    return SEPARATOR.join(values.get(name, "") for name in names)
