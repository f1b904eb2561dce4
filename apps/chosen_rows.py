"""Rows that somebody has selected in a table, in the address of the page that does something with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dj_panel.apps.routes import Route
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_view import TableView, read_view
from dj_panel.core.errors import OneRowError
from dj_panel.core.words import say

__all__ = ["SELECT", "chosen_keys", "chosen_route"]

SELECT, CHOSEN = "select", "chosen"


def chosen_route(page: str, services: Any, info: TableInfo, selected: Sequence[tuple[str, ...]]) -> Route:
    """Return the address of a page for selected rows, each by its key as texts in the order of the primary key."""
    query = TableView(selected=tuple(selected)).query()
    if SELECT not in query:
        query = {CHOSEN: services.chosen.keep(info.name, selected)}
    return Route(page, (info.name,), query)


def chosen_keys(services: Any, info: TableInfo, query: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the keys of the rows that an address of :func:`chosen_route` means, or a single one that it holds itself.

    Raises
    ------
    OneRowError
        If the selection is not kept any more.
    """
    names = info.primary_key
    if SELECT in query and SELECT not in names:
        selected = read_view(info, query).selected
    elif CHOSEN in query and CHOSEN not in names:
        selected = services.chosen.find(info.name, query[CHOSEN])
        if not selected:
            raise OneRowError(
                say(
                    "This selection is not known any more. Select the rows of {label} again.",
                    label=info.label,
                )
            )
    else:
        return [dict(query)]
    return [dict(zip(names, key, strict=True)) for key in selected]
