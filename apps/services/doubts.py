"""What is unusual about a row without being wrong: it is saved when the person who typed it says that it is meant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

from dj_panel.apps.fields import format_value
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.typed import Custom, zone_doubt
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = ["find_doubts"]

_N_LAST = 30
_N_OF_GROUP = 3
_N_OF_TABLE = 8
_NORMAL_PER_MAD = 1.4826
_EARLIEST = 1900
_NUMERIC = ("integer", "decimal", "float")


def find_doubts(
    info: TableInfo,
    values: Mapping[str, Any],
    rows: Any,
    custom: Custom,
    only: Collection[str] | None = None,
) -> dict[str, str]:
    """Return what is unusual, as clauses by attribute.

    Numbers are compared with those of the last 30 rows of the same parent (the other weighings of this subject),
    or of the table if there are few, by median and median deviation, which single wild values do not move.
    Days and times are unusual in the future, before 1900, and where the clocks are changed.

    Parameters
    ----------
    info
        The table.
    values
        The row, without what was left empty.
    rows
        The table itself, to be asked for its last rows.
    custom
        The lab's clock.
    only
        Attributes to look at; all if not given.
    """
    looked_at = [
        a
        for a in info.attributes
        if a.name in values and a.codec is None and (only is None or a.name in only)
    ]
    found = {a.name: text for a in looked_at if (text := _doubt_of_time(a, values[a.name], custom))}
    numbers = [
        a
        for a in looked_at
        if a.column_type.kind in _NUMERIC and not a.in_key and info.parent_of(a.name) is None
    ]
    if numbers:
        last, is_group = _last_rows(info, values, rows, [a.name for a in numbers])
        for a in numbers:
            past = [float(row[a.name]) for row in last if row[a.name] is not None]
            if _is_far(float(values[a.name]), past, is_group=is_group):
                low, high = (format_value(a, a.column_type.check(end)) for end in (min(past), max(past)))
                found[a.name] = (
                    say(
                        "is far from the last values of this {parent} ({low} … {high})",
                        parent=_parent_label(info),
                        low=low,
                        high=high,
                    )
                    if is_group
                    else say("is far from the last values ({low} … {high})", low=low, high=high)
                )
    return found


def _parent_label(info: TableInfo) -> str:
    link = info.parent_of(info.primary_key[0])
    return link.table.split(".", 1)[1] if link is not None else info.primary_key[0]


def _last_rows(
    info: TableInfo, values: Mapping[str, Any], rows: Any, names: Sequence[str]
) -> tuple[list[dict[str, Any]], bool]:
    """Return the last rows with the same key but for its end, if there are some; else those of the table."""
    order = [f"{name} DESC" for name in info.primary_key] or None
    group = {name: values[name] for name in info.primary_key[:-1] if name in values}
    if group and len(group) == len(info.primary_key) - 1:
        last = (rows & group).to_dicts(attributes=names, order_by=order, limit=_N_LAST)
        if len(last) >= _N_OF_GROUP:
            return last, True
    return rows.to_dicts(attributes=names, order_by=order, limit=_N_LAST), False


def _is_far(value: float, past: Sequence[float], *, is_group: bool) -> bool:
    if len(past) < (_N_OF_GROUP if is_group else _N_OF_TABLE) or min(past) <= value <= max(past):
        return False
    middle = median(past)
    spread = _NORMAL_PER_MAD * median(abs(one - middle) for one in past)
    # What hardly varies may still differ by a part of its size; values of all kinds of rows vary more.
    usual = max(6 * spread, 0.2 * abs(middle)) if is_group else max(8 * spread, 0.5 * abs(middle))
    return usual > 0 and abs(value - middle) > usual


def _doubt_of_time(attribute: Attribute, value: Any, custom: Custom) -> str:
    now = custom.now()
    # Without a zone of the lab, the device on which this was typed may be a day ahead of this computer.
    slack = dt.timedelta(minutes=5) if custom.zone is not None else dt.timedelta(days=1)
    if attribute.column_type.kind == "date":
        if value > (now + (slack if custom.zone is None else dt.timedelta())).date():
            return say("is in the future")
    elif attribute.column_type.kind == "datetime":
        if value > now + slack:
            return say("is in the future")
        if doubt := zone_doubt(value, custom):
            return doubt
    else:
        return ""
    return say("is before {year}", year=str(_EARLIEST)) if value.year < _EARLIEST else ""
