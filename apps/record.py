"""One row: its values, what it comes from, what belongs to it, and a look at its arrays and files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.assets import asset
from dj_panel.apps.history_html import history_html
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.page import Page, empty_state
from dj_panel.apps.preview import Preview, preview
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.view import pane, problem_html
from dj_panel.apps.record_html import record_html, steps_html
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.row_computing import RowComputing
from dj_panel.apps.row_origins import RowOrigins
from dj_panel.apps.services.rows import Address, Record
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_html import link
from dj_panel.apps.table_view import object_route, record_route, table_route, unit_of
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError, OneRowError, UnknownAttributeError, ValueRefusedError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import marked, say, say_many

__all__ = ["RecordPage", "no_such_row"]

MAX_PREVIEWS = 4
"""So many values of a row are shown at once; the others are a click away."""


class RecordPage(Page):
    """One row of a table."""

    title = marked("Row")

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._previews: list[Preview] = []
        self._task: asyncio.Task[None] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._watching: Any = None
        self._around: tuple[RowOrigins | RowComputing, ...] = ()
        self._restoring: asyncio.Task[None] | None = None

    async def load(self) -> Viewable:
        """Show the row that the address names."""
        route, services = self.visit.route, self.visit.services
        table, key = "/".join(route.path), dict(route.query)
        info = services.table(table)
        self.title = f"{info.class_name} {' · '.join(key.values())}".strip()
        try:
            record = await services.browsing.record(table, key)
        except (OneRowError, UnknownAttributeError, ValueRefusedError) as error:
            return await self._gone(info, key, error)
        events = await services.history.of_row(table, key)
        before, after = await services.browsing.neighbours(table, key)
        code = services.browsing.record_code(table, key)
        steps = steps_html(*(_route(address) for address in (before, after)))
        past = history_html(info, key, events)
        styles = [asset("record.css"), asset("history.css")]
        view = LiveHtml(record_html(record, steps=steps, code=code, past=past), stylesheets=styles)
        self._space = pn.Column(sizing_mode="stretch_width", margin=0)
        self._document = pn.state.curdoc
        shown = _shown_values(record)
        if shown:
            self._folder = tempfile.TemporaryDirectory(prefix="dj-panel-", ignore_cleanup_errors=True)
            self._task = asyncio.ensure_future(self._show_values(info, key, shown))
            self._watching = self.visit.param.watch(self._follow_colours, "dark")
        self._around = (RowOrigins(self.visit, info, key), RowComputing(self.visit, table, key))
        for section in self._around:
            section.begin()
        sections = [section.view for section in self._around]
        return pn.Column(view, *sections, self._space, sizing_mode="stretch_width", margin=0)

    async def _gone(self, info: TableInfo, key: Mapping[str, str], error: Exception) -> Viewable:
        """Say that there is no such row, and, if it was deleted, by whom, with a button that puts it back."""
        try:
            events = await self.visit.services.history.of_row(info.name, key)
        except (UnknownAttributeError, ValueRefusedError):
            events = []
        state = no_such_row(info.name, error)
        if not events:
            return state
        past = LiveHtml(
            history_html(info, key, events, is_there=False),
            on_act=self.guard(self._act),
            stylesheets=[asset("history.css")],
        )
        return pn.Column(state, past, sizing_mode="stretch_width", margin=0)

    def _act(self, name: str) -> None:
        verb, _, batch = name.partition("/")
        if verb == "restore" and self._restoring is None:
            self._restoring = asyncio.ensure_future(self._restore(batch))

    async def _restore(self, batch: str) -> None:
        route = self.visit.route
        try:
            back = await self.visit.services.history.restore("/".join(route.path), batch)
        except DataJointError as error:
            self.visit.notify(say("Nothing was put back. {reason}", reason=error), "error")
            return
        finally:
            self._restoring = None
        words = say_many("Put back: {n} row in all.", "Put back: {n} rows in all.", sum(back.values()))
        self.visit.notify(words, "success")
        self.visit.go(route, history=False)

    def close(self) -> None:
        """Stop reading, and remove the files that were fetched."""
        if self._task is not None:
            self._task.cancel()
        for section in self._around:
            section.close()
        if self._watching is not None:
            self.visit.param.unwatch(self._watching)
        for shown in self._previews:
            shown.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _follow_colours(self, event: Any) -> None:
        for shown in self._previews:
            shown.dark = event.new

    async def _show_values(self, info: TableInfo, key: Mapping[str, str], values: list[Attribute]) -> None:
        """Show the values one after another, below the row that is there already."""
        assert self._folder is not None
        browsing = self.visit.services.browsing
        for attribute in values:
            route = object_route(info.name, key, attribute.name)
            heading = f"<h2>{link(route, attribute.name)}</h2>"
            try:
                value = await browsing.value(info.name, key, attribute.name, Path(self._folder.name))
                rate = await browsing.sampling_rate_hz(info.name, key)
            except (DataJointError, OSError) as error:
                reason = problem_html(error)
                await on_document(self._document, partial(self._add, heading, pane(reason)))
                continue

            show = partial(self._append, attribute, heading, value, rate)
            await on_document(self._document, show)

    def _append(self, attribute: Attribute, heading: str, value: object, rate: float | None) -> None:
        shown = preview(
            value,
            dark=self.visit.dark,
            run=self.visit.services.run,
            sampling_rate_hz=rate,
            unit=unit_of(attribute),
        )
        self._previews.append(shown)
        self._add(heading, shown)

    def _add(self, heading: str, view: Viewable) -> None:
        block = pn.Column(LiveHtml(heading), view, sizing_mode="stretch_width", margin=(16, 0))
        self._space.append(block)


def no_such_row(table: str, error: Exception) -> Viewable:
    """Say that an address names no row, and why, with the way to the rows there are."""
    address = format_route(table_route(table))
    rows = pmui.Button(label=say("Rows of {table}", table=table), href=address, variant="outlined", margin=0)
    return empty_state(say("There is no such row"), str(error), rows)


def _route(address: Address | None) -> Route | None:
    return None if address is None else record_route(address.table, address.key)


def _shown_values(record: Record) -> list[Attribute]:
    """Return the attributes whose values are looked at on the page of the row."""
    found = [
        attribute
        for attribute, cell in zip(record.table.attributes, record.row.cells, strict=True)
        if cell.kind == "value" and attribute.codec is not None
    ]
    return found[:MAX_PREVIEWS]
