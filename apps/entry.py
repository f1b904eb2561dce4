"""The pages on which people enter rows: the tables there are to fill in, and the form of one of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent
from panel.viewable import Viewable

from dj_panel.apps.assets import asset, script
from dj_panel.apps.formmessages import (
    BadMessageError,
    SentFiles,
    bytes_in,
    part_errors_out,
    parts_in,
    text_in,
    texts_in,
)
from dj_panel.apps.grid import Form
from dj_panel.apps.markup import escape, html_pane, tier_chip
from dj_panel.apps.page import Page, empty_state, report
from dj_panel.apps.pickers import picker_number
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services.parents import Guess
from dj_panel.apps.services.receipts import Duplicate, Receipt, Refused
from dj_panel.apps.services.scanning import read_code
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_view import record_route
from dj_panel.apps.typed import time_told, zone_name
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import DataJointError
from dj_panel.core.words import say

__all__ = [
    "SCRIPTS",
    "EnterIndexPage",
    "EnterPage",
    "EntryForm",
    "EntryPage",
    "text_in",
    "texts_in",
]

log = logging.getLogger(__name__)

SCRIPTS = (
    "fields.js",
    "files.js",
    "drafts.js",
    "pickers.js",
    "create.js",
    "scan.js",
    "pasting.js",
    "grid.js",
    "messages.js",
    "replacing.js",
    "entry.js",
)
_BUSY_S = 1.5
"""After how long, and how often then, a form that waits is told that the server is at work."""

_LIKE = "like."
"""Before the name of a key attribute in the address: begin with the values of that row."""


class EntryForm(JSComponent):
    """A form in the browser. What it asks is answered by `receive`, under the number it was asked with.

    A form made of this one joins its own script to `SCRIPTS`. With ``custom`` in ``form``, as `EntryPage` sends it,
    fields know the lab's clock and the largest file, and pickers offer to make a row, for which the page must answer
    messages of the type ``form``.
    """

    form = param.Dict(default={}, doc="What the form is made of, as `Form.as_message` returns it.")
    prefill = param.Dict(default={}, doc="Attribute -> text to begin with.")
    recent = param.List(default=[], item_type=dict, doc="What was saved of late.")
    draft_key = param.String(doc="Name under which the browser keeps the draft.")
    pin_key = param.String(doc="Name under which the browser remembers which fields are kept.")
    receive = param.Callable(doc="Called with each message from the browser.")

    _esm = script(*SCRIPTS)
    _stylesheets: ClassVar[list[str]] = [asset("entry.css"), asset("scan.css")]
    _rename: ClassVar[dict[str, None]] = {"receive": None}

    def __init__(self, **params: Any) -> None:
        sizing = {"sizing_mode": "stretch_width", "margin": 0}
        super().__init__(**(sizing | params))  # type: ignore[no-untyped-call]

    def answer(self, number: int, **data: Any) -> None:
        """Answer what was asked under a number."""
        self._send_msg({"number": number, **data})

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, Mapping) and isinstance(data.get("type"), str) and self.receive is not None:
            self.receive(data)


class EntryPage(Page):
    """The form of one table: ``#/enter/<schema>.<Class>``, prefilled by the parameters of the address."""

    takes_focus = True

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._tasks: set[asyncio.Task[None]] = set()
        self._files = SentFiles(visit.services)
        self._component: EntryForm | None = None
        self._created: dict[str, Form] = {}

    async def load(self) -> Viewable:
        """Build the form."""
        services = self.visit.services
        info: TableInfo = services.table(self.visit.route.path[0])
        if info.master is not None:
            self.visit.go(Route("enter", (info.master,)), history=False)
            return empty_state(
                "Moved",
                say("Rows of {label} are entered with {master}.", label=info.label, master=info.master),
            )
        self.title = say("Enter {label}", label=info.label)
        if not info.can_enter:
            return _computed_state(info)
        self._info = info
        self._form: Form = services.entering.form(info.name)
        query = self.visit.route.query
        names = {attribute.name for attribute in info.attributes}
        prefill = services.restrictions.prefill(info.name, self.visit.route.restrictions)
        prefill |= {name: text for name, text in query.items() if name in names}
        about = self._message(self._form)
        if like := {n.removeprefix(_LIKE): text for n, text in query.items() if n.startswith(_LIKE)}:
            beginning = await services.entering.originals.like(info.name, like)
            prefill = beginning.texts | prefill
            about["parts"] = beginning.parts
        await services.entering.entered.recall(info.name)
        place = f"{services.pipeline.title}/{self.visit.user}/{info.name}"
        address = format_route(Route("enter", (info.name,), prefill)).partition("?")[2]
        self._component = EntryForm(
            form=about,
            prefill=prefill,
            recent=self._recent(),
            draft_key=f"dj-panel-draft/{place}{'?' if address else ''}{address}",
            pin_key=f"dj-panel-pins/{place}",
            receive=self._receive,
        )
        return pn.Column(_heading(info), self._component, sizing_mode="stretch_width", margin=0)

    def _message(self, form: Form) -> dict[str, Any]:
        entering = self.visit.services.entering
        custom = {
            "zone": entering.custom.zone.key if entering.custom.zone is not None else "",
            "clock": zone_name(entering.custom.local()),
            "max_bytes": entering.uploads.max_file_bytes,
        }
        return {**form.as_message(), "custom": custom}

    def close(self) -> None:
        """Let go of files that were not saved."""
        self._files.close()

    # ------------------------------------------------------------------ messages
    def _receive(self, data: Mapping[str, Any]) -> None:
        handler = self._handlers.get(data["type"])
        number = data.get("number")
        if handler is None or not isinstance(number, int):
            return
        self._start(self._answer(handler, number, data))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have work done beside the page, which does not wait for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self,
        handler: Callable[[Any, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]],
        number: int,
        data: Mapping[str, Any],
    ) -> None:
        work = asyncio.ensure_future(handler(self, data))
        try:
            while not (await asyncio.wait({work}, timeout=_BUSY_S))[0]:
                if self._component is not None:
                    self._component.answer(number, busy=self._busy_text())
            answer = await work
        except BadMessageError as error:
            log.warning("a form of %s sent what makes no sense: %s", self._info.name, error)
            answer = {
                "error": say("The form and the server do not understand each other. Load the page again.")
            }
        except DataJointError as error:
            answer = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - logged by report(), and told to the visitor
            problem = report(error, f"{data['type']} in the form of {self._info.name}")
            answer = {"error": f"{problem.message} (reference {problem.reference})"}
        if self._component is not None:
            self._component.answer(number, **answer)

    def _busy_text(self) -> str:
        if self.visit.services.importing.is_writing:
            return say("The database is busy writing an import. It goes on right after it.")
        return say("The database is at work.")

    def _table(self, data: Mapping[str, Any]) -> str:
        """Return the table that a message is about: ours, one of its parts, or one that is filled in beside it."""
        name = data.get("table")
        for form in (self._form, *self._created.values()):
            if name == form.table or name in [grid.table for grid in form.grids]:
                return str(name)
        raise BadMessageError(f"table {name!r}")

    def _form_of(self, data: Mapping[str, Any]) -> Form:
        """Return the form that a message comes from."""
        name = self._table(data)
        if name == self._form.table:
            return self._form
        if name in self._created:
            return self._created[name]
        raise BadMessageError(f"table {name!r}")

    async def _open(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the form of a parent, to be filled in beside ours."""
        services = self.visit.services
        links = services.table(self._table(data)).parents
        number = _link(data.get("link"))
        if number >= len(links):
            raise BadMessageError("link")
        form: Form = services.entering.form(links[number].table)
        self._created[form.table] = form
        return {"form": form.as_message()}

    async def _like(self, data: Mapping[str, Any]) -> dict[str, Any]:
        originals = self.visit.services.entering.originals
        return asdict(await originals.like(self._form_of(data).table, texts_in(data.get("key"))))

    async def _compare(self, data: Mapping[str, Any]) -> dict[str, Any]:
        originals = self.visit.services.entering.originals
        draft, parts = texts_in(data.get("draft")), parts_in(data.get("parts", {}))
        found = await originals.compare(self._form_of(data).table, draft, parts)
        return {"contrasts": [asdict(contrast) for contrast in found]}

    async def _check(self, data: Mapping[str, Any]) -> dict[str, Any]:
        only = data.get("only")
        if not isinstance(only, list):
            raise BadMessageError("only")
        entering = self.visit.services.entering
        checked = await entering.check(
            self._table(data), texts_in(data.get("draft")), {str(name) for name in only}
        )
        return {
            "errors": checked.errors,
            "duplicate": self._duplicate(self._table(data), checked.duplicate),
            "doubts": checked.doubts,
            "readings": {name: asdict(reading) for name, reading in checked.readings.items()},
        }

    async def _search(self, data: Mapping[str, Any]) -> dict[str, Any]:
        link, text, fixed = _link(data.get("link")), text_in(data.get("text")), texts_in(data.get("fixed"))
        entering, table = self.visit.services.entering, self._table(data)
        if data.get("begun") is True:
            return {"choices": [asdict(choice) for choice in await entering.begun(table, link, text, fixed)]}
        return asdict(await entering.search(table, link, text, fixed))

    async def _resolve(self, data: Mapping[str, Any]) -> dict[str, Any]:
        link, text, fixed = _link(data.get("link")), text_in(data.get("text")), texts_in(data.get("fixed"))
        found = await self.visit.services.entering.resolve(
            self._table(data), link, text, fixed, is_code=data.get("is_code") is True
        )
        if isinstance(found, str):
            return {"message": found}
        if isinstance(found, Guess):
            return {"choice": asdict(found.choice), "is_guess": True}
        return {"choice": asdict(found)}

    async def _next(self, data: Mapping[str, Any]) -> dict[str, Any]:
        form, name = self._form_of(data), text_in(data.get("attribute"))
        if name not in form.key:
            raise BadMessageError(f"attribute {name!r}")
        entering = self.visit.services.entering
        return {"text": await entering.next_free(form.table, name, texts_in(data.get("fixed")))}

    async def _save(self, data: Mapping[str, Any]) -> dict[str, Any]:
        form = self._form_of(data)
        outcome = await self.visit.services.entering.save(
            form.table,
            texts_in(data.get("draft")),
            parts_in(data.get("parts")),
            text_in(data.get("token")),
            is_resent=data.get("is_resent") is True,
            ticked=texts_in(data.get("ticked", {})),
        )
        if isinstance(outcome, Refused):
            return self._refusal(form.table, outcome)
        if notice := self.visit.services.history.missing(form.table):
            self.visit.notify(notice, "warning")
        return {"receipt": self._shown(outcome), "recent": self._recent()}

    async def _look(self, _data: Mapping[str, Any]) -> dict[str, Any]:
        await self.visit.services.entering.entered.recall(self._info.name)
        return {"recent": self._recent()}

    async def _undo(self, data: Mapping[str, Any]) -> dict[str, Any]:
        entering = self.visit.services.entering
        receipts = entering.entered.recent(self._info.name)
        receipt = next((r for r in receipts if _receipt_id(r) == data.get("receipt")), None)
        if receipt is None:
            return {
                "error": say("This row was saved too long ago to be taken back here. Delete it in its table.")
            }
        await entering.undo(receipt)
        return {
            "message": say("Taken back: {label} was deleted.", label=receipt.label),
            "recent": self._recent(),
        }

    async def _scan(self, data: Mapping[str, Any]) -> dict[str, Any]:
        image = bytes_in(data.get("image"))
        try:
            return {"text": await self.visit.services.run(read_code, image)}
        except ValueError as error:
            return {"error": say("The picture {reason}.", reason=error)}

    # ------------------------------------------------------------------ files
    async def _upload(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return await self._files.begin(data)

    async def _piece(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return await self._files.add(data)

    async def _uploaded(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return await self._files.finish(data, self.visit.services.table(self._table(data)))

    async def _unpack(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return await self._files.unpack(data)

    async def _drop(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return await self._files.drop(data)

    _handlers: Mapping[str, Callable[[Any, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]] = {
        "check": _check,
        "form": _open,
        "like": _like,
        "compare": _compare,
        "search": _search,
        "resolve": _resolve,
        "next": _next,
        "save": _save,
        "recent": _look,
        "undo": _undo,
        "scan": _scan,
        "upload": _upload,
        "piece": _piece,
        "uploaded": _uploaded,
        "unpack": _unpack,
        "drop": _drop,
    }

    # ------------------------------------------------------------------ what the browser is shown
    def _recent(self) -> list[dict[str, Any]]:
        return [
            self._shown(receipt) for receipt in self.visit.services.entering.entered.recent(self._info.name)
        ]

    def _shown(self, receipt: Receipt) -> dict[str, Any]:
        labels = {grid.table: grid.label for grid in self._form.grids}
        return {
            "id": _receipt_id(receipt),
            "label": receipt.label,
            "key": receipt.key,
            "href": format_route(record_route(receipt.table, receipt.key)),
            "time": time_told(receipt.saved_at),
            "is_repeat": receipt.is_repeat,
            "parts": [{"label": labels.get(n, n), "number": number} for n, number in receipt.n_parts.items()],
        }

    def _refusal(self, table: str, refused: Refused) -> dict[str, Any]:
        return {
            "errors": refused.errors,
            "part_errors": part_errors_out(refused.part_errors),
            "summary": refused.summary,
            "duplicate": self._duplicate(table, refused.duplicate),
            "doubts": refused.doubts,
        }

    def _duplicate(self, table: str, duplicate: Duplicate | None) -> dict[str, Any] | None:
        if duplicate is None:
            return None
        return {**asdict(duplicate), "href": format_route(record_route(table, duplicate.key))}


class EnterIndexPage(Page):
    """The tables that people can fill in: ``#/enter``."""

    title = "Enter"

    async def load(self) -> Viewable:
        """List the tables by schema, those used of late first."""
        entering = self.visit.services.entering
        tables = entering.tables()
        if not tables:
            return empty_state(
                say("Nothing to fill in"), say("This pipeline has no Manual or Lookup tables.")
            )
        by_name = {info.name: info for info in tables}
        recent = [by_name[name] for name in entering.entered.recent_tables() if name in by_name][:5]
        groups = [(say("Used of late"), recent)] if recent else []
        # Parents come first, and so do the schemas in which people write, lookup tables left aside.
        ordered = sorted(tables, key=lambda info: info.tier != "Manual")
        for schema in dict.fromkeys(info.schema for info in ordered):
            own = [info for info in tables if info.schema == schema]
            groups.append((schema, sorted(own, key=lambda info: (info.tier != "Manual", info.label))))
        return html_pane(
            "".join(_group(title, infos) for title, infos in groups),
            stylesheets=[asset("entry.css")],
            sizing_mode="stretch_width",
        )


class EnterPage(Page):
    """``#/enter`` and what is below it: the index, or the form of a table."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        kind = EntryPage if visit.route.path else EnterIndexPage
        self._shown: Page = kind(visit)
        self.takes_focus = self._shown.takes_focus

    async def load(self) -> Viewable:
        """Build the one or the other."""
        view = await self._shown.load()
        self.title = self._shown.heading
        return view

    def close(self) -> None:
        """Close what is shown."""
        self._shown.close()


def like_route(table: str, key: Mapping[str, str]) -> Route:
    """Return the form of a table, beginning with the values of one of its rows and of the rows of its parts."""
    return Route("enter", (table,), {_LIKE + name: text for name, text in key.items()})


def _heading(info: TableInfo) -> Viewable:
    comment = f"<span>{escape(info.comment)}</span>" if info.comment else ""
    link = f'<a href="{_href(Route("table", (info.name,)))}">{escape(info.name)}</a>'
    many = f'<a class="many" href="{_href(Route("import", (info.name,)))}">{say("Import rows")}</a>'
    return html_pane(
        f'<p class="about">{tier_chip(info.tier)}{link}{comment}{many}</p>',
        stylesheets=[asset("entry.css")],
        sizing_mode="stretch_width",
    )


def _computed_state(info: TableInfo) -> Viewable:
    place = _href(Route("populate", (info.name,)))
    link = html_pane(f'<a href="{place}">{say("Go to its computations")}</a>')
    return empty_state(
        f"{info.label} is {info.tier.lower()}",
        say(
            "Its rows come from the pipeline's code, so nobody enters them. Compute them on the page Populate."
        ),
        link,
    )


def _group(title: str, infos: list[TableInfo]) -> str:
    items = "".join(
        f'<li><a href="{_href(Route("enter", (info.name,)))}"><b>{escape(info.label)}</b>'
        f'{tier_chip(info.tier)}<span class="comment">{escape(info.comment)}</span></a></li>'
        for info in infos
    )
    return f'<section class="tables"><h2>{escape(title)}</h2><ul>{items}</ul></section>'


def _href(route: Route) -> str:
    """Return a route as the value of ``href`` in a pane.

    The blank is no part of the address. It keeps Panel's pane from taking a link that begins with ``#`` for
    a CSS selector, which the pane would look for, and fail.
    """
    return " " + escape(format_route(route))


def _receipt_id(receipt: Receipt) -> str:
    return "/".join(receipt.key.values())


def _link(value: Any) -> int:
    number = picker_number(text_in(value))
    if number is None:
        raise BadMessageError("link")
    return number
