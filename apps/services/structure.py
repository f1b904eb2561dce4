"""What pages are told of tables: plain facts, made once from the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dj_panel.apps.pipeline import Pipeline
from dj_panel.core.errors import UnknownAttributeError
from dj_panel.core.structure import Attribute, ForeignKey

__all__ = ["Link", "TableInfo", "describe_tables"]

TierName = Literal["Manual", "Lookup", "Imported", "Computed", "Part"]


@dataclass(frozen=True)
class Link:
    """A foreign key between two tables of the pipeline.

    Parameters
    ----------
    table
        The other table's name in the application.
    foreign_key
        The key; its ``attributes`` are the child's, its ``parent_attributes`` the parent's.
    """

    table: str
    foreign_key: ForeignKey


@dataclass(frozen=True)
class TableInfo:
    """One table.

    Parameters
    ----------
    name
        In the application: ``lab.Session``, or ``lab.Session.Trial`` for a part.
    schema, class_name
        Its two halves.
    tier
        How its rows arrive.
    comment
        What its definition says of it.
    attributes
        In order, those of the primary key first.
    parents
        Links to the tables that it refers to, in the order of the definition.
    children
        Links to the tables that refer to it, its parts left out.
    parts
        Names of its part tables.
    master
        Name of its master, for a part.
    unique
        Sets of attributes, beside the primary key, whose values together are unique.
    can_enter
        Whether people may add rows: Manual and Lookup tables, and parts of these.
    can_populate
        Whether the pipeline's code can compute its rows.
    definition
        Text of the definition.
    """

    name: str
    schema: str
    class_name: str
    tier: TierName
    comment: str
    attributes: tuple[Attribute, ...]
    parents: tuple[Link, ...]
    children: tuple[Link, ...]
    parts: tuple[str, ...]
    master: str | None
    unique: tuple[tuple[str, ...], ...]
    can_enter: bool
    can_populate: bool
    definition: str

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the primary key."""
        return tuple(a.name for a in self.attributes if a.in_key)

    def attribute(self, name: str) -> Attribute:
        """Return an attribute by name; raise `UnknownAttributeError` if there is none."""
        found = next((a for a in self.attributes if a.name == name), None)
        if found is None:
            raise UnknownAttributeError(name, available=[a.name for a in self.attributes], where=self.name)
        return found

    def parent_of(self, attribute: str) -> Link | None:
        """Return the first foreign key that an attribute takes part in."""
        return next((link for link in self.parents if attribute in link.foreign_key.attributes), None)

    @property
    def label(self) -> str:
        """The name without the schema."""
        return self.class_name


def describe_tables(pipeline: Pipeline) -> dict[str, TableInfo]:
    """Return all tables of a pipeline, parents before children."""
    graph = pipeline.connection.catalog.graph
    found: dict[str, TableInfo] = {}
    for name, cls in pipeline.classes.items():
        table = cls()
        place = table.name
        structure = table.structure
        tier = place.tier
        owner = place.master
        entered = (owner or place).tier in ("Manual", "Lookup")
        found[name] = TableInfo(
            name=name,
            schema=place.schema,
            class_name=place.class_name,
            tier=tier,  # type: ignore[arg-type]
            comment=structure.comment,
            attributes=tuple(structure.heading.attributes.values()),
            parents=tuple(
                Link(pipeline.names[fk.parent], fk)
                for fk in structure.foreign_keys
                if fk.parent in pipeline.names
            ),
            children=tuple(
                Link(pipeline.names[child], fk)
                for child, fk in graph.children(place)
                if child in pipeline.names and child.master != place
            ),
            parts=tuple(pipeline.names[part] for part in graph.parts(place) if part in pipeline.names),
            master=pipeline.names.get(owner) if owner is not None else None,
            unique=tuple(
                index.columns for index in structure.indexes if index.unique and not index.expressions
            ),
            can_enter=entered,
            can_populate=pipeline.can_populate(name),
            definition=table.describe(),
        )
    return found
