"""On the page of a row: what it rests on, back to what people entered, and the job that computed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import panel as pn

from dj_panel.apps.assets import asset
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.markup import escape, tier_chip
from dj_panel.apps.page import report
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.services.provenance import Making, Origin, Past
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_html import link
from dj_panel.apps.table_view import record_route, table_route
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError
from dj_panel.core.words import say

__all__ = ["RowOrigins", "origins_html"]


class RowOrigins:
    """Shows where a row comes from, as soon as the database has said so.

    Parameters
    ----------
    visit
        Whose page it is.
    info, key
        The row; its key as texts.
    """

    def __init__(self, visit: Visit, info: TableInfo, key: Mapping[str, str]) -> None:
        self._visit, self._info, self._key = visit, info, key
        self._document = pn.state.curdoc
        self._task: asyncio.Task[None] | None = None
        self.view = LiveHtml("", stylesheets=[asset("record.css")], margin=(12, 0, 0, 0))

    def begin(self) -> None:
        """Find out; a table that refers to nothing and is not computed rests on nothing."""
        if self._info.parents or self._info.tier in ("Imported", "Computed"):
            self._task = asyncio.ensure_future(self._read())

    def close(self) -> None:
        """Stop finding out."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self) -> None:
        services = self._visit.services
        try:
            past = await services.provenance.of_row(self._info.name, self._key)
        except DataJointError as error:
            problem = report(error, f"what a row of {self._info.name} rests on")
            html = f'<p class="bad" role="alert">{escape(problem.text)}</p>'
        else:
            html = origins_html(self._info, past, services.table)
        await on_document(self._document, partial(setattr, self.view, "html", html))


def origins_html(info: TableInfo, past: Past, table_of: Callable[[str], TableInfo]) -> str:
    """Return where a row comes from.

    Parameters
    ----------
    info
        Its table.
    past
        What is known.
    table_of
        Returns the table of a name.

    Returns
    -------
    str
        Nothing where that would say no more than the links to its parents do.
    """
    parents = {parent.table for parent in info.parents}
    items = ""
    if any(origin.table not in parents for origin in past.origins):
        items = "".join(_item(origin, table_of(origin.table)) for origin in past.origins)
    made = _made(past.making)
    if not items and not made:
        return ""
    title = say("What this row rests on") if items else say("How it was computed")
    return (
        f'<section aria-label="{title}"><h2>{title}</h2>{made}'
        + (f'<ul class="origins" role="list">{items}</ul>' if items else "")
        + "</section>"
    )


def _item(origin: Origin, info: TableInfo) -> str:
    rows = "".join(
        link(record_route(row.table, row.key), " · ".join(row.key.values()) or say("the row"), "crumb")
        for row in origin.rows
    )
    if origin.has_more:
        rows += f'<span class="muted">{say("and more")}</span>'
    if not origin.is_known:
        rows = f'<span class="muted">{say("finding them takes too long")}</span>'
    return f"<li>{tier_chip(info.tier)}{link(table_route(info.name), info.name)}{rows}</li>"


def _made(making: Making | None) -> str:
    if making is None:
        return ""
    facts = []
    if making.completed_at is not None:
        facts.append(say("Computed: {time}", time=f"{making.completed_at:%Y-%m-%d %H:%M:%S}"))
    if making.duration_s is not None:
        facts.append(say("in {seconds} s", seconds=f"{making.duration_s:.3g}"))
    if making.host:
        facts.append(
            say("by {user} on {host}, process {pid}", user=making.user, host=making.host, pid=str(making.pid))
        )
    if making.version:
        facts.append(say("version {version}", version=making.version))
    shown = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    return f'<p class="making">{shown}</p>'
