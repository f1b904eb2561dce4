"""The page on which people import rows: ``#/import/<schema>.<Class>``, and with ``?batch=…`` one import."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent
from panel.viewable import Viewable

from dj_panel.apps.assets import asset, script
from dj_panel.apps.browse import in_document
from dj_panel.apps.downloads import offer_download
from dj_panel.apps.import_html import batch_html, intro_html, past_html
from dj_panel.apps.live import Action, LiveHtml
from dj_panel.apps.markup import COMPONENT_CSS
from dj_panel.apps.page import Page, empty_state, report
from dj_panel.apps.routes import Route
from dj_panel.apps.services.batches import Batch, RowClass, cell_text
from dj_panel.apps.services.pastimports import PastImport
from dj_panel.apps.services.reading import MAX_COLUMNS, MAX_ROWS, UnreadableFileError
from dj_panel.apps.services.rejects import rejected_lines
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.templates import csv_template, has_workbooks, xlsx_template
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError
from dj_panel.core.words import marked, say

__all__ = ["ImportGrid", "ImportPage", "ImportSource"]

log = logging.getLogger(__name__)

PAGE_ROWS = 50
_TICK_S = 0.15
_MAX_PIECE_CHARS = 1_000_000
_LIVE_CSS = asset("live.css")
_OWN_CSS = asset("importing.css")
_CSV = "text/csv; charset=utf-8"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Receive = Callable[[Mapping[str, Any]], None]


class _ImportComponent(JSComponent):
    """A component that tells the page what the visitor does."""

    receive = param.Callable(doc="Called with each message from the browser.")
    place = param.String(doc="Under which name the browser keeps what was pasted until it is imported.")

    __abstract = True
    _stylesheets: ClassVar[list[str]] = [COMPONENT_CSS, _LIVE_CSS, _OWN_CSS]
    _rename: ClassVar[dict[str, None]] = {"receive": None}

    def __init__(self, receive: Receive, **params: Any) -> None:
        sizing = {"sizing_mode": "stretch_width", "margin": 0}
        super().__init__(receive=receive, **(sizing | params))  # type: ignore[no-untyped-call]

    def answer(self, number: int, **data: Any) -> None:
        """Answer what was asked under a number."""
        self._send_msg({"number": number, **data})

    def _handle_msg(self, data: Any) -> None:
        # The browser enforces nothing: whatever has not this form is dropped.
        if isinstance(data, Mapping) and isinstance(data.get("type"), str):
            self.receive(data)


class ImportSource(_ImportComponent):
    """The place to paste rows into, or to drop a file on."""

    limits = param.String(doc="What can be sent, in words.")

    _esm = script("import_source.js")


class ImportGrid(_ImportComponent):
    """A page of the rows of an import."""

    view = param.Dict(default={}, doc="Columns, rows, and where they stand among all.")

    _esm = script("import_grid.js")


class ImportPage(Page):
    """Rows from a file or the clipboard into a table: read, checked, corrected, imported, taken back."""

    title = marked("Import")
    takes_focus = True

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._tasks: set[asyncio.Task[None]] = set()
        self._uploads: set[str] = set()
        self._batch: Batch | None = None
        self._past: list[PastImport] = []
        self._past_problem = ""
        self._chosen: RowClass | None = None
        self._first = 0
        self._focus: dict[str, int] = {"position": -1, "count": 0}
        self._shown: tuple[Any, ...] = ()
        self._showing = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    async def load(self) -> Viewable:
        """Show where rows can come from, or the import that the address names."""
        self._document = pn.state.curdoc
        info: TableInfo = self.visit.services.table("/".join(self.visit.route.path))
        self.title = say("Import {label}", label=info.label)
        if not info.can_enter:
            self.takes_focus = False
            return empty_state(
                f"{info.label} is {info.tier.lower()}",
                say(
                    "Its rows come from the pipeline's code, so nobody imports them. Compute them on the "
                    "page Populate."
                ),
            )
        self._info = info
        self._top = LiveHtml(self.guard(self._act), stylesheets=[_OWN_CSS, _FILTER_CSS])
        max_bytes = self.visit.services.entering.uploads.max_file_bytes
        limits = say(
            "CSV, TSV, Excel (.xlsx) or Parquet; up to {size} MB, {rows} rows and {columns} columns."
            " Or drop it here.",
            size=f"{max_bytes / 1e6:g}",
            rows=MAX_ROWS,
            columns=MAX_COLUMNS,
        )
        place = f"dj-panel-import/{self.visit.user}/{info.name}"
        self._source = ImportSource(self._receive, limits=limits, place=place)
        self._grid = ImportGrid(self._receive, view=self._empty_view(), place=place)
        self._body = pn.Column(self._top, sizing_mode="stretch_width", margin=0, styles={"gap": "16px"})
        await self._open(self.visit.route)
        return self._body

    async def update(self, route: Route) -> bool:
        """Show another import into the same table in place."""
        if "/".join(route.path) != self._info.name:
            return False
        await self._open(route)
        return True

    def close(self) -> None:
        """Let go of files that were not used; an import goes on by itself."""
        if self._following is not None:
            self._following.cancel()
        for reference in self._uploads:
            self.visit.services.entering.uploads.drop(reference)

    # ------------------------------------------------------------------ what is shown
    async def _open(self, route: Route) -> None:
        importing = self.visit.services.importing
        token = route.query.get("batch", "")
        self._batch = importing.find(token, self._info.name, self.visit.user) if token else None
        self._past = []
        if token and self._batch is None:
            self._past = await self.visit.services.past_imports.all(token, self._info.name, self.visit.user)
        name = route.query.get("class", "").upper()
        self._chosen = RowClass[name] if name in RowClass.__members__ else None
        number = route.query.get("page", "")
        self._first = (int(number) - 1) * PAGE_ROWS if re.fullmatch(r"[1-9]\d{0,5}", number) else 0
        self._shown = ()
        parts: list[Any] = [self._top]
        if self._batch is not None:
            parts.append(self._grid)
        elif not self._past:
            parts.append(self._source)
        await self._show()
        if list(self._body) != parts:
            self._body[:] = parts
        if self._following is None:
            self._following = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        """Show what becomes of the import while it is at work."""
        while True:
            await asyncio.sleep(_TICK_S)
            batch = self._batch
            if batch is not None and self._shown != self._state(batch):
                await self._show()

    def _state(self, batch: Batch) -> tuple[Any, ...]:
        return (batch.id, batch.version, batch.stage, batch.n_done, batch.is_busy, self._chosen, self._first)

    async def _show(self) -> None:
        # One after the other: an older view that is ready later would take the visitor back.
        async with self._showing:
            batch = self._batch
            if batch is None:
                html = self._top_without_batch()
                in_document(self._document, lambda: setattr(self._top, "html", html))
                return
            state = self._state(batch)
            html = batch_html(self._info, batch, self._chosen)
            view = await self._view(batch)
            self._shown = state

            def show() -> None:
                with pn.io.hold():
                    self._top.html = html
                    self._grid.view = view

            in_document(self._document, show)

    def _top_without_batch(self) -> str:
        if self._past:
            return past_html(self._info, self._past, self._past_problem)
        recent = self.visit.services.importing.recent(self._info.name, self.visit.user)
        return intro_html(self._info, recent, has_workbooks=has_workbooks())

    async def _view(self, batch: Batch) -> dict[str, Any]:
        if batch.stage in ("reading", "mapping", "checking") or not batch.classes:
            return self._empty_view()
        kinds = () if self._chosen is None else (self._chosen,)
        total = len(batch.classes) if self._chosen is None else batch.count(self._chosen)
        if self._first >= total:
            self._first = max(0, (total - 1) // PAGE_ROWS * PAGE_ROWS)
        first, focus = self._first, self._focus  # as they are now: while the rows are read, both may move on
        rows = await self.visit.services.importing.page(batch, kinds, first, PAGE_ROWS)
        places = {name: place for place, name in enumerate(batch.mapped) if name}
        names = {place: name for name, place in places.items()}
        return {
            "columns": [
                {"place": place, "attribute": names[place], "name": column.name}
                for place, column in enumerate(batch.columns)
                if place in names
            ],
            "rows": [
                {
                    "position": row.position,
                    "kind": row.kind.name.lower(),
                    "number": row.number,
                    "cells": {str(place): cell_text(row.cells[place]) for place in places.values()},
                    "messages": {str(places[n]): text for n, text in row.messages.items() if n in places},
                    "readings": {str(places[n]): text for n, text in row.readings.items()},
                    "note": " ".join(text for n, text in row.messages.items() if n not in places),
                }
                for row in rows
            ],
            "first": first,
            "total": total,
            "size": PAGE_ROWS,
            "is_filtered": self._chosen is not None,
            "is_editable": batch.stage == "checked",
            "n_problems": batch.n_bad,
            "is_written": batch.stage == "written",
            "focus": focus,
        }

    @staticmethod
    def _empty_view() -> dict[str, Any]:
        return {
            "columns": [], "rows": [], "first": 0, "total": 0, "size": PAGE_ROWS, "is_filtered": False,
            "is_editable": False, "n_problems": 0, "focus": {"position": -1, "count": 0},
        }  # fmt: skip

    # ------------------------------------------------------------------ what the visitor does
    def _start(self, work: Awaitable[None], doing: str) -> None:
        """Run a coroutine; what goes wrong is told. What it has begun outlives the page."""

        async def guarded() -> None:
            try:
                await work
            except (UnreadableFileError, DataJointError) as error:
                self.visit.notify(str(error), "error")
            except Exception as error:  # noqa: BLE001 - logged by report(), and told to the visitor
                problem = report(error, f"{doing} of an import into {self._info.name}")
                self.visit.notify(f"{problem.message} (reference {problem.reference})", "error")

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _act(self, action: Action) -> None:
        """Act on a button or field of the upper part."""
        if action.name in ("template-csv", "template-xlsx"):
            self._send_template(action.name.removeprefix("template-"))
        elif action.name == "undo" and self._past:
            self._start(self._undo_past(action.value), "undoing")
        elif self._batch is not None:
            self._act_on(self._batch, action)

    def _act_on(self, batch: Batch, action: Action) -> None:
        importing, name = self.visit.services.importing, action.name
        tokens = [batch.token(number) for number in range(len(batch.receipts))]
        if name == "class":
            kind = action.value.upper()
            self._choose(RowClass[kind] if kind in RowClass.__members__ else None)
        elif name == "rejected":
            self._offer(f"{self._info.name} rejected.csv", _CSV, lambda: _encoded(batch))
        else:
            works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
                "cancel": lambda: importing.cancel(batch),
                "check": lambda: importing.check(batch),
                "import": lambda: importing.write(batch),
                "import-valid": lambda: importing.write(batch, only_valid=True),
                "undo": lambda: importing.undo(batch, tokens.index(action.value)),
                "has_header": lambda: importing.lay_out(batch, has_header=action.is_on),
                **{
                    field: lambda field=field: importing.lay_out(batch, **{field: action.value})  # type: ignore[misc]
                    for field in ("encoding", "delimiter", "sheet")
                },
            }
            kind, _, rest = name.partition("-")
            if kind in ("decimal", "days"):
                self._start(importing.set_notation(batch, **{kind: action.value}), name)
            elif name in ("midnight", "cut"):
                self._start(importing.set_notation(batch, **{name: action.is_on}), name)
            elif kind == "map" and rest.isdecimal():
                self._start(importing.map_column(batch, int(rest), action.value), name)
            elif name in works and (name != "undo" or action.value in tokens):
                self._start(works[name](), name)

    def _choose(self, kind: RowClass | None) -> None:
        self._chosen, self._first = kind, 0
        self._write_address()

    def _write_address(self) -> None:
        number = self._first // PAGE_ROWS + 1
        self.visit.replace(
            self.visit.route.with_query(
                **{
                    "class": self._chosen.name.lower() if self._chosen is not None else None,
                    "page": str(number) if number > 1 else None,
                }
            )
        )

    async def _undo_past(self, token: str) -> None:
        self._past_problem = ""
        try:
            await self.visit.services.past_imports.undo(token, self._info.name, self.visit.user)
        except DataJointError as error:
            self._past_problem = str(error)
        self._past = await self.visit.services.past_imports.all(token, self._info.name, self.visit.user)
        await self._show()

    # ------------------------------------------------------------------ files that are sent out
    def _send_template(self, kind: str) -> None:
        info = self._info
        content = csv_template(info).encode() if kind == "csv" else xlsx_template(info)

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        self._offer(f"{info.name}.{kind}", _CSV if kind == "csv" else _XLSX, pieces)

    def _offer(self, name: str, media_type: str, content: Callable[[], AsyncIterator[bytes]]) -> None:
        shown = self._grid if self._batch is not None else self._source
        shown.answer(0, download=offer_download(name, media_type, content))

    # ------------------------------------------------------------------ messages of the components
    def _receive(self, data: Mapping[str, Any]) -> None:
        kind, batch = data["type"], self._batch
        if kind in ("upload", "piece", "uploaded") and isinstance(data.get("number"), int):
            self._start(self._answer(data), kind)
        elif batch is None:
            return
        elif kind == "page" and isinstance(data.get("first"), int):
            self._first = max(0, data["first"] // PAGE_ROWS * PAGE_ROWS)
            self._write_address()
        elif kind == "next" and isinstance(data.get("after"), int):
            self._start(self._go_to_next(batch, data["after"]), "looking for the next problem")
        elif kind == "edit":
            position, column, text = (data.get(name) for name in ("position", "column", "text"))
            if isinstance(position, int) and isinstance(column, int) and isinstance(text, str):
                edit = self.visit.services.importing.edit(batch, position, column, text)
                self._start(edit, "changing a cell")

    async def _go_to_next(self, batch: Batch, after: int) -> None:
        position = await self.visit.services.importing.next_problem(batch, after)
        if position is None:
            return
        kinds = (RowClass.INVALID, RowClass.CONFLICT)
        if self._chosen is None:
            self._first = position // PAGE_ROWS * PAGE_ROWS
        elif self._chosen in kinds and batch.classes[position] == self._chosen:
            before = batch.classes[:position].count(self._chosen)
            self._first = before // PAGE_ROWS * PAGE_ROWS
        else:
            self._choose(None)
            self._first = position // PAGE_ROWS * PAGE_ROWS
        self._focus = {"position": position, "count": self._focus["count"] + 1}
        self._write_address()
        await self._show()

    async def _answer(self, data: Mapping[str, Any]) -> None:
        try:
            answer = await self._take(data)
        except (UnreadableFileError, DataJointError) as error:
            answer = {"error": str(error)}
        except ValueError as error:
            # What the uploads say is a clause about the file.
            name = str(data.get("name") or say("The file"))[:100]
            answer = {"error": say("{name} {reason}.", name=name, reason=error)}
        self._source.answer(data["number"], **answer)

    async def _take(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Take a file, piece by piece, and begin an import of it when it is whole."""
        services, uploads = self.visit.services, self.visit.services.entering.uploads
        kind, name, reference = data["type"], data.get("name"), data.get("reference")
        if kind == "upload" and isinstance(name, str) and isinstance(data.get("size"), int):
            reference = uploads.begin(name, data["size"])
            self._uploads.add(reference)
            return {"reference": reference}
        if reference not in self._uploads:
            raise UnreadableFileError(
                say("The page and the server do not understand each other. Load the page again.")
            )
        if kind == "uploaded":
            path = uploads.path(reference)
            batch = await services.importing.open(
                self._info.name, str(name or "rows")[:200], path, self.visit.user
            )
            self._uploads.discard(reference)
            uploads.drop(reference)
            self.visit.go(Route("import", (self._info.name,), {"batch": batch.id}))
            return {}
        content, offset = data.get("content"), data.get("offset")
        if not isinstance(content, str) or not isinstance(offset, int) or len(content) > _MAX_PIECE_CHARS:
            raise UnreadableFileError(
                say("The page and the server do not understand each other. Load the page again.")
            )
        try:
            piece = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise UnreadableFileError(
                say("A piece of the file was damaged on its way. Send it again.")
            ) from error
        return {"n_received": await services.run(uploads.add, reference, offset, piece)}


async def _encoded(batch: Batch) -> AsyncIterator[bytes]:
    """Yield the file of rejected rows."""
    lines = rejected_lines(batch)
    while chunk := await asyncio.to_thread(_some, lines):
        yield chunk


def _some(lines: Any) -> bytes:
    collected = []
    for _ in range(500):
        with contextlib.suppress(StopIteration):
            collected.append(next(lines))
    return "".join(collected).encode()


_FILTER_CSS = """
.filter[aria-pressed="true"] { background: var(--dj-accent-soft); border-color: var(--dj-accent); }
.filter .dj-icon { color: var(--dj-fg); }
.column { color: var(--dj-text); font-size: var(--dj-size-s); white-space: normal; }
.list { list-style: none; }
select { max-width: 100%; }
.filter b { font-variant-numeric: tabular-nums; }
details.card > summary { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 12px; padding: 12px 16px;
  min-height: 44px; }
details.card > summary::before { content: "▸"; color: var(--dj-muted); }
details.card[open] > summary::before { content: "▾"; }
.allowances { flex-basis: 100%; }
"""
