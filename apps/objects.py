"""One value of one row, looked at: an array, an image, a table, a file, an object of a store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import panel as pn
from panel.viewable import Viewable

from dj_panel.apps.assets import asset
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.markup import escape, key_html, tier_chip
from dj_panel.apps.page import Page
from dj_panel.apps.preview import Preview, preview
from dj_panel.apps.preview.view import pane, problem_html
from dj_panel.apps.record import no_such_row
from dj_panel.apps.record_html import steps_html
from dj_panel.apps.routes import Route
from dj_panel.apps.services.rows import Address
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_html import link
from dj_panel.apps.table_view import object_route, record_route, table_route, unit_of
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError, OneRowError, UnknownAttributeError, ValueRefusedError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import marked, say

__all__ = ["ObjectPage"]


class ObjectPage(Page):
    """One value."""

    title = marked("Value")

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._preview: Preview | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._watching: Any = None

    async def load(self) -> Viewable:
        """Show the value that the address names, or why it cannot be shown."""
        services = self.visit.services
        table, key, name = _parts(self.visit.route)
        info: TableInfo = services.table(table)
        attribute = info.attribute(name)
        wanted = key.pop("view", None) if "view" not in info.primary_key else None
        self.title = f"{info.class_name} {' · '.join(key.values())} · {name}"
        try:
            before, after = await services.browsing.neighbours(table, key)
            head = head_html(info, key, attribute, before, after)
            view = LiveHtml(head, stylesheets=[asset("record.css")])
            return pn.Column(
                view, await self._value(info, key, attribute, wanted), sizing_mode="stretch_width", margin=0
            )
        except (OneRowError, UnknownAttributeError, ValueRefusedError) as error:
            return no_such_row(table, error)

    async def _value(
        self, info: TableInfo, key: dict[str, str], attribute: Attribute, wanted: str | None
    ) -> Viewable:
        browsing = self.visit.services.browsing
        self._folder = tempfile.TemporaryDirectory(prefix="dj-panel-", ignore_cleanup_errors=True)
        code = browsing.value_code(info.name, key, attribute.name)
        try:
            value = await browsing.value(info.name, key, attribute.name, Path(self._folder.name))
            rate = await browsing.sampling_rate_hz(info.name, key)
        except OneRowError:
            raise
        except (DataJointError, OSError) as error:
            return pane(problem_html(error))
        self._preview = preview(
            value,
            dark=self.visit.dark,
            run=self.visit.services.run,
            code=code,
            sampling_rate_hz=rate,
            unit=unit_of(attribute),
            view=wanted,
        )
        self._watching = self.visit.param.watch(self._follow_colours, "dark")
        return self._preview

    def close(self) -> None:
        """Stop reading, and remove the file that was fetched."""
        if self._watching is not None:
            self.visit.param.unwatch(self._watching)
        if self._preview is not None:
            self._preview.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _follow_colours(self, event: Any) -> None:
        if self._preview is not None:
            self._preview.dark = event.new


def _parts(route: Route) -> tuple[str, dict[str, str], str]:
    """Return the table, the key and the attribute that an address names."""
    table = route.path[0] if route.path else ""
    key = dict(route.query)
    attribute = route.path[1] if len(route.path) > 1 else key.pop("attribute", "")
    return table, key, attribute


def head_html(
    info: TableInfo, key: dict[str, str], attribute: Attribute, before: Address | None, after: Address | None
) -> str:
    """Return what stands above a value: where it is, what it is, and the way to its neighbours."""
    steps = steps_html(*(_same_value(address, attribute) for address in (before, after)))
    whole = link(record_route(info.name, key), say("Whole row"), "button")
    about = " · ".join(text for text in (attribute.comment, attribute.type) if text)
    return (
        f'<div class="record"><div class="top"><p class="what">{tier_chip(info.tier)}'
        f"{link(table_route(info.name), info.name)}{key_html(key)}</p>"
        f'<div class="do">{whole}{steps}</div></div>'
        f'<p class="muted">{escape(about)}</p></div>'
    )


def _same_value(address: Address | None, attribute: Attribute) -> Route | None:
    return None if address is None else object_route(address.table, address.key, attribute.name)
