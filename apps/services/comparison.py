"""Whether a row is in the database already, just as it was typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dj_panel.apps.grid import given_by_master
from dj_panel.apps.services.drafts import key_values
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.definition import is_server_value
from dj_panel.core.structure import Attribute

__all__ = ["agrees", "find_same", "is_there", "newest_key", "part_restriction"]

PartValues = Mapping[str, Sequence[Mapping[str, Any]]]
"""A part's name → the values of its rows."""


def find_same(
    info: TableInfo,
    values: Mapping[str, Any],
    parts: PartValues,
    *,
    table: Callable[[str], TableInfo],
    rows: Callable[[str], Any],
    is_resent: bool = False,
) -> dict[str, Any] | None:
    """Return the key of the row that is just like this one, parts included; ``None`` if there is none.

    Parameters
    ----------
    info
        The table.
    values
        The row, without what was left empty.
    parts
        The rows of its parts.
    table, rows
        Give what is known of a table, and its rows, by its name.
    is_resent
        Whether the row was sent before. Then files count as the same, and a row that the database numbered
        is looked for by its other values.
    """
    key = key_values(info, values)
    if key is None:
        key = newest_key(info, values, rows(info.name)) if is_resent else {}
        if not key:
            return None
    if not _is_same(info, rows(info.name) & key, values, is_resent=is_resent):
        return None
    for name in info.parts:
        part = table(name)
        owned = part_restriction(part, key)
        typed = [{**row, **owned} for row in parts.get(name, ())]
        if (rows(name) & owned).count() != len(typed):
            return None
        if not all(is_there(part, rows(name), row, is_resent=is_resent) for row in typed):
            return None
    return key


def part_restriction(part: TableInfo, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the rows of a part hold that belong to the row of a master's key."""
    return {ours: key[theirs] for ours, theirs in given_by_master(part).items()}


def is_there(info: TableInfo, rows: Any, values: Mapping[str, Any], *, is_resent: bool = False) -> bool:
    """Return whether a row is in the table just as it is typed, its key included."""
    key = key_values(info, values)
    return key is not None and _is_same(info, rows & key, values, is_resent=is_resent)


def newest_key(info: TableInfo, values: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Return the highest key of the rows that have these values; empty if there are none."""
    inexact = ("float", "json", "bytes")
    exact = {
        name: value
        for name, value in values.items()
        if (a := info.attribute(name)).codec is None and a.column_type.kind not in inexact
    }
    keys = (rows & exact).keys(order_by=[f"{name} DESC" for name in info.primary_key] or None, limit=1)
    return dict(keys[0]) if keys else {}


def _is_same(info: TableInfo, rows: Any, values: Mapping[str, Any], *, is_resent: bool) -> bool:
    plain = [a for a in info.attributes if a.codec is None]
    found = rows.to_dicts(attributes=[a.name for a in plain], limit=2)
    if len(found) != 1:
        return False
    if not all(agrees(a, found[0][a.name], values.get(a.name)) for a in plain):
        return False
    objects = [a for a in info.attributes if a.codec is not None]
    return all(_has_same_object(a, rows, values.get(a.name), is_resent=is_resent) for a in objects)


def agrees(attribute: Attribute, there: Any, typed: Any) -> bool:
    """Return whether a row of the table has what was typed; what was left empty stands for the default."""
    if typed is None and attribute.autoincrement:
        return True
    if typed is None and attribute.default is not None:
        if is_server_value(attribute.default):
            return True
        typed = attribute.column_type.check(attribute.default)
    if there is None or typed is None:
        return there is typed
    if type(there) is type(typed) and there == typed:
        return True
    return bool(attribute.column_type.check(there) == attribute.column_type.check(typed))


def _has_same_object(attribute: Attribute, rows: Any, typed: Any, *, is_resent: bool) -> bool:
    if typed is None:
        return bool(rows & f"{attribute.name} is null")
    if isinstance(typed, np.ndarray):
        array = rows.fetch1(attribute.name)
        return array is not None and np.array_equal(np.asarray(array), typed)
    if attribute.codec == "filepath":
        there = rows.fetch1(attribute.name)
        return there is not None and there.path == typed
    # Whether two files are the same is not looked into; a draft that is sent again is taken at its word.
    return is_resent
