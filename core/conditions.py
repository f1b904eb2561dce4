"""What users restrict by (text, dicts, lists, tables, …) → conditions of the algebra.

Source: DataJoint 2.3, `reference/operators/restrict`. Stricter on purpose: an unknown name in a dict is an
error, unless a table has it that foreign keys connect with the restricted one. So a key of a downstream table
still restricts its ancestors, and a misspelled name no longer selects every row. What is passed over stays in the
query, for to delete nothing may be passed over.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from operator import itemgetter
from typing import Any, Protocol, runtime_checkable

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
    PassedOver,
    TextCondition,
    TextMatch,
    matched_attributes,
    require_attributes,
)
from dj_panel.core.errors import QuerySyntaxError, UnknownAttributeError, shown
from dj_panel.core.jsonplaces import json_place
from dj_panel.core.lazy import np
from dj_panel.core.sqltext import Template, parse_text
from dj_panel.core.structure import Heading

IsPassed = Callable[[str, Collection[str]], bool]

_SCALARS = (
    str, bytes, int, float, Decimal, dt.date, dt.timedelta, uuid.UUID, type(None),
)  # fmt: skip

__all__ = ["AndList", "HasNode", "Not", "frame_rows", "make_condition", "refuse_aggregates"]


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
    is_passed: IsPassed = lambda name, given: False,
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
    is_passed
        Tells whether a name in a dict that this heading lacks is passed over, because a related table has it; it
        is called with the name and all names of the dict.
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
            return _from_mapping(item, heading, is_passed, where)
        if isinstance(item, np.void) and item.dtype.names:
            pairs = {name: _plain(item[name], may_be_missing=True) for name in item.dtype.names}
            return _from_mapping(pairs, heading, is_passed, where)
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
    refuse_aggregates(text, template)
    return TextCondition(text)


def refuse_aggregates(text: str, template: Template) -> None:
    """Raise :class:`QuerySyntaxError` for an expression over many rows where one over each row is wanted."""
    if template.aggregates:
        raise QuerySyntaxError(
            f"{shown(text)} holds an aggregate, which is over many rows. Aggregate with"
            " A.aggr(B, n='count(*)') or dj.U('a').aggr(B, n='count(*)'), and restrict what comes out."
        )


def _from_mapping(mapping: Mapping[Any, Any], heading: Heading, is_passed: IsPassed, where: str) -> Condition:
    conditions: list[Condition] = []
    passed: list[str] = []
    for key, value in mapping.items():
        name, dot, _ = str(key).partition(".")
        if name not in heading:
            if is_passed(name, [str(other) for other in mapping]):
                passed.append(name)
                continue
            raise UnknownAttributeError(name, available=heading.names, where=where)
        if dot:
            conditions.append(_at_place(str(key), value, heading))
            continue
        if isinstance(value, HasNode):
            raise QuerySyntaxError(
                f"'{name}' is compared with a query; restrict by the query itself instead."
            )
        if _is_list(value) and not heading[name].json:
            conditions.append(_from_values(name, value, heading))
        else:
            value = _plain(value)
            _require_comparable(name, value, heading)
            conditions.append(Comparison(name, value))
    if passed:
        conditions.append(PassedOver(tuple(passed)))
    return AllOf(tuple(conditions))


def _is_list(value: Any) -> bool:
    """Tell whether a value of a dict lists values, of which one is to match: as a list, a range or an array does."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping, np.generic))


def _plain(value: Any, *, may_be_missing: bool = False) -> Any:
    """Return a value of NumPy as Python's; one that stands for a gap, if it may be one, as ``None``."""
    if may_be_missing and (type(value).__name__ in ("NAType", "NaTType") or _is_nan(value)):
        return None
    if isinstance(value, (np.datetime64, np.timedelta64)):
        # What is finer than Python's times comes out as a number otherwise.
        return value.astype(f"{value.dtype.str[1]}8[us]").item()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def _is_nan(value: Any) -> bool:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def _require_comparable(name: str, value: Any, heading: Heading) -> None:
    """Raise :class:`QuerySyntaxError` for a value of a kind that an attribute never equals."""
    attribute = heading[name]
    kind = attribute.column_type.kind
    if value is None or (attribute.json and not isinstance(value, bytes)):
        return
    if attribute.codec is not None and kind == "bytes":
        raise QuerySyntaxError(
            f"'{name}' has the type {attribute.type}, whose values the database holds packed and cannot compare."
            " Restrict by other attributes, or fetch it and compare."
        )
    if isinstance(value, (bytes, bytearray)) and kind not in ("bytes", "uuid", "other"):
        raise QuerySyntaxError(
            f"'{name}' is compared with bytes, and its type is {attribute.type}. Text is made of bytes with"
            f" {shown(bytes(value), 20)}.decode()."
        )
    if not isinstance(value, (bytearray, dt.time, *_SCALARS)):
        raise QuerySyntaxError(
            f"'{name}' is compared with {shown(value, 30)}, a {type(value).__name__}. Use a single value, or a list of"
            " values of which one is to match."
        )


def _at_place(key: str, value: Any, heading: Heading) -> Condition:
    """Return the condition that what stands at a place inside a JSON attribute equals a value."""
    place = json_place(key, heading)
    if place is None:
        raise QuerySyntaxError(f"'{key}' is neither an attribute nor a place inside one.")
    value = _plain(value)
    if not isinstance(value, (bool, *_SCALARS)) or isinstance(value, bytes):
        raise QuerySyntaxError(
            f"'{key}' is compared with a {type(value).__name__}. A place inside JSON is compared with a single number,"
            f" text, Boolean or None: restrict by places inside it, such as {{'{key}.name': 1}}, or by a list of such"
            " dicts for one of several values."
        )
    return Comparison(place.attribute, value, place)


def _from_values(name: str, values: Iterable[Any], heading: Heading) -> Condition:
    """Return the condition that an attribute equals one of several values; ``None`` is to be empty."""
    plain = [_plain(value, may_be_missing=True) for value in values]
    for value in {type(value): value for value in plain}.values():
        _require_comparable(name, value, heading)
    filled = tuple(value for value in plain if value is not None)
    parts: list[Condition] = [OneOf((name,), (filled,))] if filled else []
    if len(filled) < len(plain):
        parts.append(Comparison(name, None))
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _from_rows(rows: list[Any], convert: Callable[[Any], Condition], heading: Heading) -> Condition:
    """Return the condition that one of the rows matches; keys of the same attributes become one list."""
    columns = _columns_of_keys(rows)
    if columns is not None:
        conditions = _from_keys(tuple(rows[0]), columns, convert, heading)
        return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))
    conditions = []
    alike: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        if type(row) is dict or isinstance(row, Mapping):
            alike.setdefault(tuple(row), []).append(tuple(row.values()))
        else:
            conditions.append(convert(row))
    for names, keys in alike.items():
        conditions += _from_keys(names, list(zip(*keys, strict=True)), convert, heading)
    return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))


def _columns_of_keys(rows: list[Any]) -> list[tuple[Any, ...]] | None:
    """Return the values by name of dicts that all have the same names, as in a long list of keys; else None."""
    if set(map(type, rows)) != {dict} or len(set(map(len, rows))) != 1:
        return None
    try:
        return [tuple(map(itemgetter(name), rows)) for name in rows[0]]
    except KeyError:
        return None


def _from_keys(
    names: tuple[Any, ...],
    columns: list[tuple[Any, ...]],
    convert: Callable[[Any], Condition],
    heading: Heading,
) -> list[Condition]:
    """Return conditions of which one holds where one of the keys, given by name, matches."""
    first = convert({name: column[0] for name, column in zip(names, columns, strict=True)})
    if not names or len(columns[0]) == 1:
        return [first]
    known = [position for position, name in enumerate(names) if str(name) in heading]
    is_plain = all("." not in str(name) for name in names) and not any(heading[names[p]].json for p in known)
    if not known and is_plain:
        return [first]  # which every row matches: nothing is said of the attributes there are
    listed = OneOf(tuple(str(names[p]) for p in known), tuple(columns[p] for p in known))
    kinds = frozenset[type]().union(*listed.types)
    is_simple = all(
        issubclass(kind, (*_SCALARS, np.generic)) and not issubclass(kind, bytes) for kind in kinds
    )
    if not is_plain or not is_simple or any(heading[names[p]].codec is not None for p in known):
        return [convert(dict(zip(names, key, strict=True))) for key in zip(*columns, strict=True)]
    if any(issubclass(kind, np.generic) for kind in kinds):
        listed = replace(listed, columns=tuple(tuple(map(_plain, column)) for column in listed.columns))
    is_filled = all(type(None) not in types for types in listed.types)
    conditions: list[Condition] = [listed] if is_filled else _filled_or_empty(listed)
    passed = tuple(str(name) for name in names if str(name) not in heading)
    return [AllOf((AnyOf(tuple(conditions)), PassedOver(passed)))] if passed else conditions


def _filled_or_empty(listed: OneOf) -> list[Condition]:
    """Return conditions of which one holds where one of the keys matches, of which some are partly empty."""
    gaps: dict[tuple[bool, ...], list[tuple[Any, ...]]] = {}
    for key in zip(*listed.columns, strict=True):
        gaps.setdefault(tuple(value is None for value in key), []).append(key)
    return [_with_gaps(listed.attributes, is_empty, some) for is_empty, some in gaps.items()]


def _with_gaps(names: tuple[str, ...], is_empty: tuple[bool, ...], keys: list[tuple[Any, ...]]) -> Condition:
    """Return the condition that one of the keys matches, which are empty in the same attributes."""
    empty = [Comparison(name, None) for name, gap in zip(names, is_empty, strict=True) if gap]
    filled = [position for position, gap in enumerate(is_empty) if not gap]
    if not filled:
        return AllOf(tuple(empty))
    columns = tuple(zip(*keys, strict=True))
    return AllOf((*empty, OneOf(tuple(names[p] for p in filled), tuple(columns[p] for p in filled))))


def frame_rows(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a pandas or polars frame as dicts, the named index of pandas included."""
    if hasattr(frame, "to_dicts"):
        return list(frame.to_dicts())
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return [
        {name: _plain(value, may_be_missing=True) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
