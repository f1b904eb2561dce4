"""The query algebra: frozen nodes and conditions, each with the heading of its result.

A node says *what* is asked; :mod:`dj_panel.core.render` says how a server is asked. Nodes hold nodes,
never tables or connections, so a query is a value that can be compared, cached and tested.

Source: DataJoint 2.3, `reference/specs/query-algebra` and `reference/specs/primary-keys`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from dj_panel.core.errors import LineageError, QuerySyntaxError, UnknownAttributeError
from dj_panel.core.jsonplaces import JsonPlace, json_place
from dj_panel.core.sqltext import read_over
from dj_panel.core.structure import Attribute, Heading, TableName

__all__ = [
    "AllOf",
    "AnyOf",
    "Comparison",
    "Condition",
    "Constant",
    "Distinct",
    "Group",
    "Join",
    "KeyMatch",
    "Limit",
    "Negation",
    "Node",
    "OneOf",
    "Ordering",
    "PassedOver",
    "Project",
    "Relation",
    "Restrict",
    "TextCondition",
    "TextMatch",
    "UnionOf",
    "is_union",
    "source_tables",
]


# ------------------------------------------------------------------------------ conditions
@dataclass(frozen=True)
class Condition:
    """What a row must satisfy."""


@dataclass(frozen=True)
class Constant(Condition):
    """Every row, or none."""

    value: bool


@dataclass(frozen=True)
class PassedOver(Condition):
    """Every row: what remains of a dict's attributes that only related tables have, for those who must not pass."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Comparison(Condition):
    """An attribute equals a value; ``None`` means that it is empty. ``place`` is one inside its JSON document."""

    attribute: str
    value: Any
    place: JsonPlace | None = None


@dataclass(frozen=True)
class OneOf(Condition):
    """An attribute, or several together, equal one of the listed values.

    Parameters
    ----------
    attributes
        Their names: one or more.
    columns
        The values of each attribute, ``(n_attributes, n_rows)``: that is how they are checked, and written.
    """

    attributes: tuple[str, ...]
    columns: tuple[tuple[Any, ...], ...]

    @classmethod
    def of_rows(cls, attributes: Iterable[str], rows: Iterable[Iterable[Any]]) -> OneOf:
        """Return the condition with the values given by row."""
        names = tuple(attributes)
        return cls(names, tuple(zip(*rows, strict=True)) or ((),) * len(names))

    @property
    def n_rows(self) -> int:
        """How many values are listed, or how many together."""
        return len(self.columns[0])

    @cached_property
    def types(self) -> tuple[frozenset[type], ...]:
        """The types of the values of each attribute; kept, for a long list takes long to look at."""
        return tuple(frozenset(map(type, column)) for column in self.columns)


@dataclass(frozen=True)
class Ordering(Condition):
    """An attribute comes before or after a value, in the order in which rows are sorted by it."""

    attribute: str
    operator: Literal["<", "<=", ">", ">="]
    value: Any


@dataclass(frozen=True)
class TextMatch(Condition):
    """An attribute's text holds, or begins with, other text; the case of letters does not matter.

    The text of a UUID is its hexadecimal digits, that of JSON the stored document.
    """

    attribute: str
    text: str
    at_start: bool = False


@dataclass(frozen=True)
class TextCondition(Condition):
    """A condition written as text by a user; parsed, never passed through."""

    text: str


@dataclass(frozen=True)
class AllOf(Condition):
    """All of the conditions hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf(Condition):
    """At least one of the conditions holds; with none listed, no row does."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Negation(Condition):
    """The condition is not true: it is false, or unknown because something in it is empty."""

    condition: Condition


@dataclass(frozen=True)
class KeyMatch(Condition):
    """A query has a row with the same values of these attributes; an empty value matches nothing."""

    node: Node
    attributes: tuple[str, ...]


# ------------------------------------------------------------------------------ nodes
@dataclass(frozen=True)
class Node:
    """A query."""

    @property
    def heading(self) -> Heading:
        """The attributes of the result."""
        raise TypeError("a bare Node has no heading")


@dataclass(frozen=True)
class Relation(Node):
    """A table as it is in the database."""

    name: TableName
    columns: Heading

    @property
    def heading(self) -> Heading:
        return self.columns


@dataclass(frozen=True)
class Restrict(Node):
    """The rows of ``source`` for which the condition is true."""

    source: Node
    condition: Condition

    @property
    def heading(self) -> Heading:
        return self.source.heading


@dataclass(frozen=True)
class Project(Node):
    """Some attributes of ``source``, perhaps renamed, and new ones computed in the database.

    Parameters
    ----------
    kept
        Pairs ``(name in the result, name in the source)``.
    computed
        Triples ``(name, expression as text, the attribute whose type the result has or None)``.
    """

    source: Node
    kept: tuple[tuple[str, str], ...]
    computed: tuple[tuple[str, str, str | None], ...] = ()

    @cached_property
    def _heading(self) -> Heading:
        source = self.source.heading
        attributes = [replace(source[old], name=new) for new, old in self.kept]
        attributes += [_computed(source, name, text, like) for name, text, like in self.computed]
        return _ordered(attributes)

    @property
    def heading(self) -> Heading:
        return self._heading


@dataclass(frozen=True)
class Join(Node):
    """Pairs of rows with equal values of ``matched``; ``left`` keeps rows of A that have no partner."""

    a: Node
    b: Node
    matched: tuple[str, ...]
    left: bool = False

    @cached_property
    def _heading(self) -> Heading:
        a, b = first, second = self.a.heading, self.b.heading
        if set(b.primary_key) <= set(a.names):
            key = list(a.primary_key)
        elif set(a.primary_key) <= set(b.names) and not self.left:
            # B's row determines A's, so it is B's rows that are extended, and B's attributes come first.
            key = list(b.primary_key)
            first, second = b, a
        else:
            key = [*a.primary_key, *(n for n in b.primary_key if n not in a.primary_key)]
        every = dict(b.attributes) | dict(a.attributes)
        unique = list(dict.fromkeys([*key, *first.names, *second.names]))
        attributes = []
        for name in unique:
            attribute = replace(every[name], in_key=name in key)
            if self.left and name not in a:
                attribute = replace(attribute, nullable=True, default=None)
            attributes.append(attribute)
        return Heading(tuple(attributes))

    @property
    def heading(self) -> Heading:
        return self._heading


@dataclass(frozen=True)
class Group(Node):
    """One row for each row of ``source``, with aggregates over the matching rows of ``group``.

    Parameters
    ----------
    kept
        As in :class:`Project`, over ``source``.
    computed
        As in :class:`Project`; aggregates over the join.
    keep_all
        Whether rows of ``source`` without any match stay.
    """

    source: Node
    group: Node
    matched: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    computed: tuple[tuple[str, str, str | None], ...]
    keep_all: bool = True

    @cached_property
    def _heading(self) -> Heading:
        source = self.source.heading
        both = Heading((*source.attributes.values(), *_others(self.group.heading, source)))
        attributes = [replace(source[old], name=new) for new, old in self.kept]
        attributes += [_computed(both, name, text, like) for name, text, like in self.computed]
        return _ordered(attributes)

    @property
    def heading(self) -> Heading:
        return self._heading


@dataclass(frozen=True)
class Distinct(Node):
    """The distinct values of some attributes, which become the key; perhaps with aggregates over each."""

    source: Node
    attributes: tuple[str, ...]
    computed: tuple[tuple[str, str, str | None], ...] = ()

    @cached_property
    def _heading(self) -> Heading:
        source = self.source.heading
        key = [replace(source[name], in_key=True) for name in self.attributes]
        rest = [_computed(source, name, text, like) for name, text, like in self.computed]
        return _ordered((*key, *rest))

    @property
    def heading(self) -> Heading:
        return self._heading


@dataclass(frozen=True)
class UnionOf(Node):
    """The rows of both operands; rows with the same key become one, with the attributes of both."""

    a: Node
    b: Node

    @cached_property
    def _heading(self) -> Heading:
        a, b = self.a.heading, self.b.heading
        if set(a.primary_key) != set(b.primary_key):
            raise QuerySyntaxError(
                f"A union needs the same primary key on both sides; here are"
                f" ({', '.join(a.primary_key)}) and ({', '.join(b.primary_key)}). Project both to the same key."
            )
        shared = [n for n in a.secondary_attributes if n in b]
        if shared:
            raise QuerySyntaxError(
                f"The operands of a union share the attribute '{shared[0]}' outside the key."
                " Rename it on one side with proj(), or project it away."
            )
        for name in a.primary_key:
            kinds = {x[name].column_type.kind for x in (a, b)} - {"other"}
            if len(kinds - {"boolean"} if "integer" in kinds else kinds) > 1:
                raise QuerySyntaxError(
                    f"The operands of a union have values of different types for '{name}': {a[name].type} and"
                    f" {b[name].type}. Rename it on one side with proj()."
                )
        key = [a[name] for name in a.primary_key]
        rest = [replace(x[n], nullable=True, default=None) for x in (a, b) for n in x.secondary_attributes]
        return Heading((*key, *rest))

    @property
    def heading(self) -> Heading:
        return self._heading


@dataclass(frozen=True)
class Limit(Node):
    """Some rows in an order: ``order`` lists ``(attribute or expression, descending)``."""

    source: Node
    limit: int | None
    order: tuple[tuple[str, bool], ...] = ()
    offset: int = 0

    @property
    def heading(self) -> Heading:
        return self.source.heading


def is_union(node: Node) -> bool:
    """Tell whether rows of a union are among the rows that a query is made of."""
    if isinstance(node, UnionOf):
        return True
    parts = [getattr(node, name, None) for name in ("source", "group", "a", "b")]
    return any(is_union(part) for part in parts if isinstance(part, Node))


def _computed(source: Heading, name: str, text: str, like: str | None) -> Attribute:
    # The least of some choices is the first word by letters, and so it is text.
    if (
        like is not None
        and like in source
        and not (source[like].choices and read_over(text, "mysql", source).aggregates)
    ):
        return replace(
            source[like],
            name=name,
            in_key=False,
            nullable=True,
            default=None,
            lineage=None,
            autoincrement=False,
        )
    place = json_place(text, source)
    kind = place.column_type.text if place else read_over(text, "mysql", source).type
    return Attribute(name, "computed", kind, nullable=True)


def _others(group: Heading, source: Heading) -> Iterable[Attribute]:
    return (attribute for name, attribute in group.attributes.items() if name not in source)


def _ordered(attributes: Iterable[Attribute]) -> Heading:
    attributes = list(attributes)
    names = [attribute.name for attribute in attributes]
    for name in names:
        if names.count(name) > 1:
            raise QuerySyntaxError(f"The projection makes two attributes of the name '{name}'; rename one.")
    return Heading(tuple(sorted(attributes, key=lambda attribute: not attribute.in_key)))


# ------------------------------------------------------------------------------ matching
def matched_attributes(a: Heading, b: Heading, *, semantic_check: bool, action: str) -> tuple[str, ...]:
    """Return the names on which two queries are matched.

    Parameters
    ----------
    a, b
        The headings.
    semantic_check
        Whether namesakes must also have the same origin.
    action
        What is being done, for the message: ``"join"``.

    Raises
    ------
    LineageError
        If a shared name has no origin, or another one on the other side.
    """
    shared = tuple(name for name in a.names if name in b)
    if semantic_check:
        for name in shared:
            ours, theirs = a[name].lineage, b[name].lineage
            if ours is None or ours != theirs:
                raise LineageError(
                    f"Cannot {action} on '{name}': on one side it is {_origin(ours)}, on the other {_origin(theirs)}."
                    f" Rename or drop it on one side with proj(), or say semantic_check=False."
                )
    return shared


def _origin(lineage: tuple[str, str, str] | None) -> str:
    return ".".join(lineage) if lineage else "an attribute of its own, not part of any key"


def require_attributes(heading: Heading, names: Iterable[str], where: str = "") -> None:
    """Raise :class:`UnknownAttributeError` for the first name that the heading lacks."""
    for name in names:
        if name not in heading:
            raise UnknownAttributeError(name, available=heading.names, where=where)


def source_tables(node: Node) -> Iterator[TableName]:
    """Yield the tables whose rows a query is made of; not those that its conditions ask."""
    if isinstance(node, Relation):
        yield node.name
    elif isinstance(node, Project | Distinct | Limit | Restrict):
        yield from source_tables(node.source)
    elif isinstance(node, Group):
        yield from source_tables(node.source)
        yield from source_tables(node.group)
    elif isinstance(node, Join | UnionOf):
        yield from source_tables(node.a)
        yield from source_tables(node.b)
