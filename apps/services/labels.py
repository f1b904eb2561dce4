"""What parents are called, beside their keys: columns that an export adds where it is asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dj_panel.apps.services.parents import details_of
from dj_panel.apps.services.selection import unused_name
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.core.structure import Attribute

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["ParentLabel", "labelled", "parent_labels", "parent_words"]


@dataclass(frozen=True)
class ParentLabel:
    """The column that says what the parent of a foreign key is called.

    Parameters
    ----------
    link
        The foreign key.
    source
        The parent's attribute: the first of those that a picker shows beside the key.
    attribute
        The same under the name that the column has in a file, such as ``Subject: nickname``; no attribute of a
        table has a colon in its name.
    alias
        Its name in the query.
    """

    link: Link
    source: str
    attribute: Attribute
    alias: str

    def joined(self, query: Any, parent: Any) -> Any:
        """Return a query with the column; rows that refer to nothing stay, without a value."""
        fk = self.link.foreign_key
        ours = dict(zip(fk.attributes, fk.parent_attributes, strict=True))
        labels = parent.proj(**ours, **{self.alias: self.source})
        # The foreign key itself says that these attributes mean the same, also where no origin is known.
        return query.join(labels, semantic_check=False, left=True)


def parent_words(link: Link) -> str:
    """Return the parent's name without its schema, after the names that its key has here if they are others."""
    name = link.table.split(".", 1)[-1]
    renamed = link.foreign_key.renamed
    return f"{', '.join(renamed)} ({name})" if renamed else name


def parent_labels(services: Services, info: TableInfo) -> list[ParentLabel]:
    """Return the columns for the foreign keys of a table, in their order; parents without other text have none."""
    words = [parent_words(link) for link in info.parents]
    labels = []
    for number, link in enumerate(info.parents):
        details = details_of(services.table(link.table), link.foreign_key)
        if not details:
            continue
        # Tables of two schemas may share a name.
        name = words[number] if words.count(words[number]) == 1 else f"{link.table} {number + 1}"
        shown = replace(details[0], name=f"{name}: {details[0].name}", in_key=False, nullable=True)
        alias = unused_name(info, f"called_{number}")
        labels.append(ParentLabel(link, details[0].name, shown, alias))
    return labels


def labelled(
    shown: Sequence[Attribute], labels: Sequence[ParentLabel]
) -> tuple[list[Attribute], list[ParentLabel]]:
    """Return columns with each label after the last attribute of its key, and the labels that have a place.

    Where no attribute of a key is among the columns, its label is not either.
    """
    names = [attribute.name for attribute in shown]
    after: dict[str, list[ParentLabel]] = {}
    for label in labels:
        own = [name for name in names if name in label.link.foreign_key.attributes]
        if own:
            after.setdefault(own[-1], []).append(label)
    columns: list[Attribute] = []
    for attribute in shown:
        columns += [attribute, *(label.attribute for label in after.get(attribute.name, ()))]
    return columns, [label for label in labels if any(label in placed for placed in after.values())]
