"""Rows as pages are told of them, and primary keys as text in an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.fields import draft_text
from dj_panel.apps.services.cells import Cell
from dj_panel.apps.services.filters import EMPTY, filter_kind
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.apps.typed import Custom
from dj_panel.core.errors import UnknownAttributeError, ValueRefusedError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import grouped, say

__all__ = [
    "Address",
    "Children",
    "Order",
    "Record",
    "Row",
    "RowsPage",
    "Spot",
    "child_filters",
    "child_values",
    "equal_text",
    "key_text",
    "key_words",
    "parent_address",
    "parse_key",
]


Order = tuple[tuple[Attribute, bool], ...]
"""Attributes to sort by, each with whether downwards."""


@dataclass(frozen=True)
class Address:
    """Where one row is.

    Parameters
    ----------
    table
        The table's name in the application.
    key
        The primary key as text, as it stands in an address.
    """

    table: str
    key: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One row of a page.

    Parameters
    ----------
    key
        The primary key as text.
    cells
        By the order of the table's attributes.
    parents
        For each attribute the row that it refers to, ``None`` if it refers to none.
    place
        Its values of the attributes that rows are sorted by.
    """

    key: Mapping[str, str]
    cells: tuple[Cell, ...]
    parents: tuple[Address | None, ...]
    place: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Spot:
    """Where a page begins.

    Parameters
    ----------
    values
        Of the row beside it, by the order; None where rows are passed over instead.
    offset
        How many are passed over.
    is_backwards
        Whether the rows are read from there towards the beginning of the table.
    """

    values: tuple[Any, ...] | None = None
    offset: int = 0
    is_backwards: bool = False


@dataclass(frozen=True)
class RowsPage:
    """Some rows of a table.

    Parameters
    ----------
    table
        The table.
    rows
        In the order asked for.
    count
        How many rows the filters leave.
    is_capped
        Whether there are more than that.
    page, page_size
        Which page this is, from 1; below 0 if it was counted from the end, -1 being the last.
    has_next
        Whether another page follows that can be asked for.
    counted
        How many rows were counted, one more than the limit if there are more; None if that took too long.
    at
        For an address: the row beside which a page deep in the table begins; empty for other pages.
    """

    table: TableInfo
    rows: tuple[Row, ...]
    count: int
    is_capped: bool
    page: int
    page_size: int
    has_next: bool
    counted: int | None = None
    at: str = ""

    @property
    def count_text(self) -> str:
        """The count as people read it: ``1,204`` or ``>10,000``."""
        return f"{'>' if self.is_capped else ''}{grouped(self.count)}"


@dataclass(frozen=True)
class Children:
    """The rows of one table that refer to a record through one foreign key.

    Parameters
    ----------
    table
        Name of the child table.
    link
        The foreign key.
    filters
        With these the child table shows just those rows.
    count, is_capped
        How many they are; more than that, if it is capped.
    """

    table: str
    link: Link
    filters: Mapping[str, str]
    count: int
    is_capped: bool

    @property
    def count_text(self) -> str:
        """The count as people read it; ``many`` where counting takes too long."""
        if self.is_capped and not self.count:
            return say("many")
        return f"{'>' if self.is_capped else ''}{grouped(self.count)}"


@dataclass(frozen=True)
class Record:
    """All there is to say of one row.

    Parameters
    ----------
    table
        The table.
    row
        Its cells, long texts in full.
    parents
        The row that each foreign key refers to, ``None`` where it is empty.
    parts
        The first rows of each part table, by name, with the filters that give all of them.
    children
        Rows that depend on it, one item for each foreign key.
    """

    table: TableInfo
    row: Row
    parents: tuple[tuple[Link, Address | None], ...]
    parts: Mapping[str, tuple[RowsPage, Mapping[str, str]]]
    children: tuple[Children, ...]


# ------------------------------------------------------------------ keys and addresses
def key_text(attribute: Attribute, value: Any) -> str:
    """Return a key's value as it stands in an address; `parse_key` reads it back."""
    return attribute.column_type.format(value)


def parse_key(info: TableInfo, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return a primary key from its texts.

    Raises
    ------
    UnknownAttributeError
        If an attribute of the key is not given, or one is given that is not in the key.
    ValueRefusedError
        If a text is no value of its attribute.
    """
    key: dict[str, Any] = {}
    for name in texts:
        if name not in info.primary_key:
            raise UnknownAttributeError(
                name, available=info.primary_key, where=say("the key of {table}", table=info.name)
            )
    for name in info.primary_key:
        if name not in texts:
            raise UnknownAttributeError(
                say("The address of a row of {table} must name '{name}'.", table=info.name, name=name)
            )
        try:
            key[name] = info.attribute(name).column_type.parse(texts[name])
        except ValueError as error:
            raise ValueRefusedError(str(error), attribute=name, table=info.name, value=texts[name]) from error
    return key


def equal_text(attribute: Attribute, value: Any, custom: Custom | None = None) -> str:
    """Return the filter that asks for one value, with numbers as the lab writes them."""
    if value is None:
        return EMPTY
    kind = filter_kind(attribute)
    if kind == "text":
        return f"={value}"
    if kind == "yes-no":
        return "yes" if value else "no"
    return draft_text(attribute, value, custom) if kind == "number" else attribute.column_type.format(value)


def parent_address(parent: TableInfo, link: Link, row: Mapping[str, Any]) -> Address | None:
    """Return the row that a foreign key refers to; ``None`` if any of its attributes is empty."""
    fk = link.foreign_key
    key = {}
    for ours, theirs in zip(fk.attributes, fk.parent_attributes, strict=True):
        if row.get(ours) is None:
            return None
        key[theirs] = key_text(parent.attribute(theirs), row[ours])
    return Address(link.table, key) if set(key) == set(parent.primary_key) else None


def child_values(link: Link, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a child's foreign key has in the rows that belong to a row."""
    fk = link.foreign_key
    return {ours: row[theirs] for ours, theirs in zip(fk.attributes, fk.parent_attributes, strict=True)}


def child_filters(
    child: TableInfo, link: Link, row: Mapping[str, Any], custom: Custom | None = None
) -> dict[str, str]:
    """Return the filters with which a child table shows the rows that belong to a row."""
    values = child_values(link, row)
    return {name: equal_text(child.attribute(name), value, custom) for name, value in values.items()}


def key_words(key: Mapping[str, Any]) -> str:
    """Return a primary key in words, for a message."""
    return ", ".join(f"{name} {value}" for name, value in key.items())
