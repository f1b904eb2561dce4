"""What the page of a table answers beside its rows: values of a column, relatives of a row, files, keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar

from dj_panel.apps.downloads import offer_download
from dj_panel.apps.page import report
from dj_panel.apps.routes import format_route, parse_route
from dj_panel.apps.row_grid import Format
from dj_panel.apps.services.exporting import FORMATS, XLSX_ROWS
from dj_panel.apps.services.labels import parent_words
from dj_panel.apps.services.rows import Address, Children
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.apps.table_view import TableView, record_route, table_route
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError
from dj_panel.core.words import grouped, say

__all__ = ["TableAnswers", "file_formats"]

Answer = Callable[..., None]


def file_formats() -> list[Format]:
    """Return the files that rows can be exported to, for the grid."""
    return [
        Format(
            id=name,
            label=kind.label,
            about=say(kind.about, n=XLSX_ROWS),
            values=kind.has_values,
            missing=kind.missing,
        )
        for name, kind in FORMATS.items()
    ]


class TableAnswers:
    """Answers what the grid of a table asks; all of it comes from a browser and may be anything.

    Parameters
    ----------
    visit
        Whose page it is.
    info
        The table.

    Attributes
    ----------
    selected
        The keys of the selected rows, each as texts in the order of the primary key.
    """

    def __init__(self, visit: Visit, info: TableInfo) -> None:
        self._visit = visit
        self._info = info
        self._tasks: set[asyncio.Task[None]] = set()
        self.selected: tuple[tuple[str, ...], ...] = ()

    def close(self) -> None:
        """Stop looking for answers."""
        for task in self._tasks:
            task.cancel()

    def give(self, event: Mapping[str, Any], view: TableView, answer: Answer) -> None:
        """Answer an event when its answer is known; what makes no sense is ignored."""
        handler = self._handlers.get(event["type"])
        if handler is None:
            return
        task = asyncio.ensure_future(self._answered(handler, event, view, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(
        self,
        handler: Callable[[TableAnswers, Mapping[str, Any], TableView], Coroutine[Any, Any, dict[str, Any]]],
        event: Mapping[str, Any],
        view: TableView,
        answer: Answer,
    ) -> None:
        try:
            found = await handler(self, event, view)
        except DataJointError as error:
            self._visit.notify(str(error), "error")
        except Exception as error:  # noqa: BLE001 - logged by report(), and told to the visitor
            problem = report(error, f"{event['type']} of {self._info.name}")
            self._visit.notify(problem.text, "error")
        else:
            answer(**found)

    # ------------------------------------------------------------------ what is asked
    async def _facets(self, event: Mapping[str, Any], view: TableView) -> dict[str, Any]:
        name = str(event.get("name"))
        found = await self._visit.services.facets.values(self._info.name, name, view.filters, view.among)
        values = [[facet.text, grouped(facet.count), facet.filter] for facet in found.values]
        return {"facets": {"name": name, "values": values, "note": found.note}}

    async def _relatives(self, event: Mapping[str, Any], view: TableView) -> dict[str, Any]:
        row = str(event.get("row"))
        key = parse_route(row).query
        parents, children = await self._visit.services.browsing.relatives(self._info.name, key)
        found = {
            "row": row,
            "parents": [_parent(link, address) for link, address in parents if address is not None],
            "children": [_child(child) for child in children],
            "note": "" if parents or children else say("It refers to no row, and none refers to it."),
        }
        return {"relatives": found}

    async def _sizes(self, event: Mapping[str, Any], view: TableView) -> dict[str, Any]:
        keys = self._keys() if event.get("selected") is True else None
        size = await self._visit.services.exports.size_text(self._info.name, view.filters, keys, view.among)
        return {"sizes": {"text": size}}

    async def _export(self, event: Mapping[str, Any], view: TableView) -> dict[str, Any]:
        name = str(event.get("format"))
        if name not in FORMATS:
            return {}
        kind, exports, table = FORMATS[name], self._visit.services.exports, self._info.name
        keys = self._keys() if event.get("selected") is True else None
        columns = [name for name in view.columns(self._info) if name not in view.hidden]
        await exports.check(table, name, view.filters, keys, view.among)
        has_values, has_labels = event.get("values") is True, event.get("labels") is True
        address = offer_download(
            f"{table}.{kind.suffix}",
            kind.media_type,
            lambda: exports.file(
                table,
                name,
                view.filters,
                view.sort,
                columns,
                keys=keys,
                values=has_values,
                labels=has_labels,
                among=view.among,
            ),
        )
        return {"download": address}

    async def _copy_keys(self, event: Mapping[str, Any], view: TableView) -> dict[str, Any]:
        return {"copy": self._visit.services.browsing.keys_code(self._info.name, self._keys())}

    async def _view(self, event: Mapping[str, Any], view: TableView) -> dict[str, Any]:
        """List the shared views of the table after saving, renaming or deleting one."""
        views, table, user = self._visit.services.views, self._info.name, self._visit.user
        action, name, note = event.get("action"), str(event.get("name")), ""
        try:
            if action == "save":
                await views.save(table, name, format_route(self._visit.route), user)
                note = say("“{name}” is shared with everybody.", name=name)
            elif action == "rename":
                await views.rename(table, name, str(event.get("to")), user)
            elif action == "delete":
                await views.delete(table, name, user)
                note = say("Deleted “{name}”.", name=name)
        except DataJointError as error:
            note = str(error)
        shared = [
            {"name": v.name, "href": v.address, "user": v.user, "own": v.user == user}
            for v in await views.of(table)
        ]
        return {"views": {"shared": shared, "note": note}}

    def _keys(self) -> Sequence[Mapping[str, str]]:
        return [dict(zip(self._info.primary_key, key, strict=True)) for key in self.selected]

    _handlers: ClassVar[dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]]] = {
        "facets": _facets,
        "relatives": _relatives,
        "sizes": _sizes,
        "export": _export,
        "keys": _copy_keys,
        "view": _view,
    }


def _parent(link: Link, address: Address) -> list[str]:
    key = " · ".join(address.key.values())
    return [f"{parent_words(link)} {key}", "", format_route(record_route(address.table, address.key))]


def _child(child: Children) -> list[str]:
    through = child.link.foreign_key.renamed
    label = child.table + (f" ({', '.join(through)})" if through else "")
    return [label, child.count_text, format_route(table_route(child.table, child.filters))]
