"""What users restrict by (text, dicts, lists, tables, …) → conditions of the algebra.

Source: DataJoint 2.3, `reference/operators/restrict`. Stricter on purpose: an unknown name in a dict is an
error, unless some other table of the pipeline has an attribute of that name. So a key of a downstream table
still restricts its ancestors, and a misspelled name no longer selects every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from dj_panel.core.algebra import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    KeyMatch,
    Negation,
    Node,
    OneOf,
    Ordering,
    TextCondition,
    TextMatch,
    matched_attributes,
    require_attributes,
)
from dj_panel.core.errors import QuerySyntaxError, UnknownAttributeError
from dj_panel.core.sqltext import parse_text
from dj_panel.core.structure import Heading

__all__ = ["AndList", "HasNode", "Not", "frame_rows", "make_condition"]


class Not:
    """Turns a restriction around: ``table & dj.Not(x)`` is ``table - x``."""

    def __init__(self, restriction: Any) -> None:
        self.restriction = restriction


class AndList(list[Any]):
    """A list of restrictions that must all hold; a plain list asks for at least one."""


@runtime_checkable
class HasNode(Protocol):
    """Anything that is a query: an expression, or a table's class (a UUID has a ``node``, but no heading)."""

    @property
    def node(self) -> Node:
        """The query as a value."""

    @property
    def heading(self) -> Heading:
        """The attributes of the result."""


@runtime_checkable
class IsDistinctSet(Protocol):
    """A ``dj.U``: restricts to the rows that have its attributes, which is every row."""

    is_universal: bool


@runtime_checkable
class IsDataFrame(Protocol):
    """A pandas or polars frame, told by what we use of it."""

    columns: Any

    def to_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the frame's values; of pandas, whose frames have it."""


def make_condition(
    restriction: Any,
    heading: Heading,
    *,
    semantic_check: bool = True,
    is_known: Callable[[str], bool] = lambda name: False,
    where: str = "",
) -> Condition:
    """Return the condition that a restriction means.

    Parameters
    ----------
    restriction
        Text, a mapping, a Boolean, a table or query, a numpy record, a data frame, a list of such
        (any of them), an :class:`AndList` (all of them), a :class:`Not`, or a condition of the algebra.
    heading
        What is restricted.
    semantic_check
        Whether a table must agree in the origin of the shared attributes too.
    is_known
        Tells whether a name that this heading lacks is an attribute elsewhere in the pipeline.
    where
        The name of what is restricted, for messages.

    Raises
    ------
    UnknownAttributeError
        If it names an attribute that there is not.
    QuerySyntaxError
        If it cannot be understood.
    """

    def convert(item: Any) -> Condition:
        if isinstance(item, Not):
            return Negation(convert(item.restriction))
        if isinstance(item, AndList):
            return AllOf(tuple(map(convert, item)))
        if isinstance(item, Condition):
            return _checked(item, heading, where)
        if isinstance(item, str):
            return _from_text(item, heading, where)
        if isinstance(item, (bool, np.bool_)):
            return Constant(bool(item))
        if isinstance(item, Mapping):
            return _from_mapping(item, heading, is_known, where)
        if isinstance(item, np.void) and item.dtype.names:
            pairs = {name: item[name].item() for name in item.dtype.names}
            return _from_mapping(pairs, heading, is_known, where)
        if isinstance(item, IsDistinctSet):
            return Constant(value=True)
        if isinstance(item, HasNode):
            other = item.node
            shared = matched_attributes(
                heading, other.heading, semantic_check=semantic_check, action="restrict"
            )
            return KeyMatch(other, shared)
        if isinstance(item, IsDataFrame):
            return _from_rows(frame_rows(item), convert, heading)
        if isinstance(item, np.ndarray) and item.dtype.names:
            return AnyOf(tuple(convert(row) for row in item))
        if isinstance(item, Iterable):
            return _from_rows(list(item), convert, heading)
        raise QuerySyntaxError(
            f"{type(item).__name__} cannot restrict a query; use text, a dict, a list, or another query."
        )

    return convert(restriction)


def _checked(condition: Condition, heading: Heading, where: str) -> Condition:
    """Return a ready-made condition whose attributes the heading has."""
    if isinstance(condition, AllOf | AnyOf):
        for inner in condition.conditions:
            _checked(inner, heading, where)
    elif isinstance(condition, Negation):
        _checked(condition.condition, heading, where)
    elif isinstance(condition, Comparison | Ordering | TextMatch):
        require_attributes(heading, [condition.attribute], where)
    elif isinstance(condition, OneOf | KeyMatch):
        require_attributes(heading, condition.attributes, where)
    elif isinstance(condition, TextCondition):
        return _from_text(condition.text, heading, where)
    return condition


def _from_text(text: str, heading: Heading, where: str) -> Condition:
    if not text.strip():
        raise QuerySyntaxError("A restriction cannot be empty text.")
    template = parse_text(text, "mysql")
    for name in template.attributes:
        if name not in heading:
            raise UnknownAttributeError(name, available=heading.names, where=where)
    return TextCondition(text)


def _from_mapping(
    mapping: Mapping[Any, Any], heading: Heading, is_known: Callable[[str], bool], where: str
) -> Condition:
    conditions: list[Condition] = []
    for key, value in mapping.items():
        name, dot, rest = str(key).partition(".")
        if name not in heading:
            if is_known(name):
                continue
            raise UnknownAttributeError(name, available=heading.names, where=where)
        if dot:
            conditions.append(Comparison(name, value, "$." + rest.partition(":")[0]))
            continue
        if isinstance(value, (list, tuple, set, frozenset)) and not heading[name].json:
            conditions.append(AnyOf(tuple(Comparison(name, one) for one in value)))
            continue
        if isinstance(value, HasNode):
            raise QuerySyntaxError(
                f"'{name}' is compared with a query; restrict by the query itself instead."
            )
        conditions.append(Comparison(name, value.item() if isinstance(value, np.generic) else value))
    return AllOf(tuple(conditions))


def _from_rows(rows: list[Any], convert: Callable[[Any], Condition], heading: Heading) -> Condition:
    """Return the condition that one of the rows matches; many keys of the same attributes become one list."""
    first = rows[0] if rows else None
    if (
        len(rows) > 1
        and isinstance(first, Mapping)
        and all(isinstance(row, Mapping) and row.keys() == first.keys() for row in rows)
    ):
        convert(first)
        names = tuple(str(name) for name in first if str(name) in heading)
        plain = all("." not in str(n) and (str(n) not in heading or not heading[str(n)].json) for n in first)
        simple = all(
            row[n] is not None and not isinstance(row[n], (list, tuple, set, frozenset))
            for row in rows
            for n in names
        )
        if names and plain and simple:
            return OneOf(names, tuple(tuple(row[name] for name in names) for row in rows))
    return AnyOf(tuple(map(convert, rows)))


def frame_rows(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a pandas or polars frame as dicts, the named index of pandas included."""
    if hasattr(frame, "to_dicts"):
        return list(frame.to_dicts())
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return list(frame.to_dict("records"))
