"""The page that deletes rows: what goes with them, by table; a word typed where it is much; and how to undo it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui
import param
from panel.custom import JSComponent
from panel.viewable import Viewable

from dj_panel.apps.assets import asset, script
from dj_panel.apps.chosen_rows import chosen_keys
from dj_panel.apps.delete_graph import GoingGraph
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.markup import COMPONENT_CSS, escape, html_pane, tier_chip
from dj_panel.apps.page import Page, empty_state
from dj_panel.apps.record import no_such_row
from dj_panel.apps.routes import format_route
from dj_panel.apps.services.deleting import Deleted, Preview
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_view import record_route, table_route
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    IntegrityError,
    OneRowError,
    UnknownAttributeError,
    ValueRefusedError,
)
from dj_panel.core.words import grouped, marked, say, say_many

__all__ = ["DeletePage"]

_LIST = {"flex": "3 1 min(540px, 100%)", "min-width": "0", "width": "auto"}
_PICTURE = {"flex": "2 1 min(380px, 100%)", "min-width": "0", "width": "auto"}
_CAPTION = marked("Where they go from. Tables in grey keep all their rows.")


class DeleteForm(JSComponent):
    """The question before a deletion, in the browser.

    Parameters
    ----------
    press
        Called with what was typed to confirm and as the reason. The form waits for `answered`.
    draft_key
        Name under which the browser keeps the reason while the window lives.
    """

    question = param.Dict(default={}, doc="`confirmation`, `action`, `is_refused` and `back` (an address).")
    answer = param.Dict(
        default={"number": 0, "problem": "", "is_done": False},
        doc="The last one; another each time by its number.",
    )
    draft_key = param.String(doc="Where the reason is kept.")

    _esm = script("delete.js")
    _stylesheets: ClassVar[list[str]] = [COMPONENT_CSS, asset("delete.css")]

    def __init__(self, press: Callable[[str, str], None], draft_key: str) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            draft_key=draft_key, sizing_mode="stretch_width", max_width=640, margin=(16, 0, 8, 0)
        )
        self._press = press

    def answered(self, problem: str, *, is_done: bool) -> None:
        """Say what became of a press."""
        self.answer = {"number": self.answer["number"] + 1, "problem": problem, "is_done": is_done}

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            return
        typed, reason = data.get("typed"), data.get("reason")
        if isinstance(typed, str) and isinstance(reason, str):
            self._press(typed, reason)


class DeletePage(Page):
    """Rows to delete: ``#/delete/<schema>.<Class>?<key>``, or ``?select=…`` as on the page of the table."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._graph: GoingGraph | None = None

    def close(self) -> None:
        """Stay where the visitor has gone: what is being deleted goes on, and a message says what became of it."""
        self._is_closed = True

    async def load(self) -> Viewable:
        """Count what would go, and ask."""
        route, services = self.visit.route, self.visit.services
        info: TableInfo = services.table("/".join(route.path))
        self._info = info
        self.title = say("Delete {label}", label=info.label)
        try:
            self._keys = chosen_keys(services, info, route.query)
            self._preview: Preview = await services.deleting.preview(info.name, self._keys)
        except (OneRowError, UnknownAttributeError, ValueRefusedError) as error:
            return no_such_row(info.name, error)
        except AccessError as error:
            place = format_route(table_route(info.name))
            rows = pmui.Button(
                label=say("Rows of {name}", name=info.name), href=place, variant="outlined", margin=0
            )
            return empty_state(say("These rows are not deleted here"), str(error), rows)
        self.title = say("Delete {label}", label=self._preview.label)
        self._counts = LiveHtml("", stylesheets=[asset("delete.css")])
        self._picture = pn.Column(sizing_mode="stretch_width", margin=0, styles=_PICTURE)
        self._form = DeleteForm(
            self._pressed,
            draft_key=f"dj-panel-delete/{services.pipeline.title}/{self.visit.user}/{format_route(route)}",
        )
        await self._show()
        # The question stands right below the list of what goes, and not below the picture, which may be large.
        asked = pn.Column(self._counts, self._form, sizing_mode="stretch_width", margin=0, styles=_LIST)
        shown = pn.Row(asked, self._picture, sizing_mode="stretch_width", margin=0)
        shown.styles = {"flex-wrap": "wrap", "gap": "20px"}
        return shown

    async def _show(self) -> None:
        preview = self._preview
        await self._draw(preview)
        self._counts.html = preview_html(preview)
        confirmation = say(
            "Type {number} to confirm that {n} rows go", number=preview.must_type, n=preview.total
        )
        name, keys = self._info.name, self._keys
        back = record_route(name, keys[0]) if len(keys) == 1 else table_route(name)
        self._form.question = {
            "confirmation": confirmation if preview.must_type else "",
            "action": say_many("Delete {n} row", "Delete {n} rows", preview.total),
            "is_refused": bool(preview.refusal),
            "back": format_route(back),
        }

    async def _draw(self, preview: Preview) -> None:
        """Draw the part of the diagram that loses rows, if that is more than one table."""
        self._picture.visible = len(preview.going) > 1
        if not self._picture.visible:
            return
        services = self.visit.services
        if self._graph is None:
            self._graph = GoingGraph(services.tables())
            caption = f'<p class="caption">{say(_CAPTION)}</p>'
            self._picture[:] = [html_pane(caption, stylesheets=[asset("delete.css")]), self._graph.view]
        totals = await services.counting.totals(self._graph.shown(preview))
        self._graph.show(preview, totals)

    def _pressed(self, typed: str, reason: str) -> None:
        # Of two presses the second comes after the rows are gone, or from a page that was connected again meanwhile.
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self.guard(self._delete)(typed, reason))

    async def _delete(self, typed: str, reason: str) -> None:
        problem, is_done = "", False
        try:
            deleted = await self.visit.services.deleting.delete(
                self._info.name, self._keys, self._preview.agreement, typed=typed, reason=reason
            )
            is_done = True
        except IntegrityError as error:
            problem = await self._count_again(error)
        except DataJointError as error:
            problem = str(error)
        finally:
            self._form.answered(problem, is_done=is_done)
        if is_done:
            self._leave(deleted)
        elif self._is_closed:
            self.visit.notify(problem, "error")

    async def _count_again(self, error: IntegrityError) -> str:
        """Show the counts as they are now, since what was agreed to is not what would go, and return what to say."""
        try:
            self._preview = await self.visit.services.deleting.preview(self._info.name, self._keys)
        except OneRowError as gone:
            return str(gone)
        await self._show()
        return str(error)

    def _leave(self, deleted: Deleted) -> None:
        services, visit = self.visit.services, self.visit

        async def restore() -> None:
            try:
                back = await services.deleting.restore(deleted)
            except DataJointError as error:
                visit.notify(say("Nothing was put back. {error}", error=error), "error")
                return
            total = sum(back.values())
            visit.notify(
                say_many(
                    "Put back: {label}, {n} row in all.",
                    "Put back: {label}, {n} rows in all.",
                    total,
                    label=deleted.label,
                ),
                "success",
            )
            visit.go(table_route(deleted.table))

        visit.notify(
            say_many(
                "Deleted: {label}, {n} row in all.",
                "Deleted: {label}, {n} rows in all.",
                deleted.total,
                label=deleted.label,
            ),
            "success",
            action=(say("Undo"), restore) if deleted.n_kept else None,
        )
        if not self._is_closed:
            visit.go(table_route(deleted.table))


def preview_html(preview: Preview) -> str:
    """Return what goes, table by table."""
    lines = []
    for going in preview.going:
        after = say("can be put back") if going.is_kept else say("can be computed again")
        if going.is_entered and not going.is_kept:
            after = say("cannot be put back: no history is kept here")
        name = escape(going.table).replace(".", ".<wbr>")  # where a long name may be broken
        if going.is_chosen:
            name = f"<b>{name}</b>"
        else:
            name = f'<a href="{escape(format_route(table_route(going.table)))}">{name}</a>'
        lines.append(
            f'<tr><th scope="row">{name}</th><td>{tier_chip(going.tier)}</td>'
            f'<td class="n">{grouped(going.number)}</td><td class="muted">{after}</td></tr>'
        )
    chosen = sum(going.number for going in preview.going if going.is_chosen)
    others = preview.total - chosen
    rows = say_many("{n} row", "{n} rows", chosen)
    if others and chosen == 1:
        rows = say_many(
            "{rows} and {n} that depends on it", "{rows} and {n} that depend on it", others, rows=rows
        )
    elif others:
        rows = say_many(
            "{rows} and {n} that depends on them", "{rows} and {n} that depend on them", others, rows=rows
        )
    lead = say("{label}: {rows}.", label=f"<b>{escape(preview.label)}</b>", rows=rows)
    heads = "".join(f'<th scope="col">{head}</th>' for head in (say("Table"), say("Kind")))
    stay = say(
        "Files and arrays in stores stay there until the store is cleaned up; until then they come back with"
        " their rows."
    )
    refusal = f'<p class="problem" role="alert">{escape(preview.refusal)}</p>' if preview.refusal else ""
    notice = f'<p class="notice">{escape(preview.notice)}</p>' if preview.notice else ""
    return (
        f'<div class="going"><p class="lead">{lead}</p>{refusal}{notice}'
        f'<table><caption class="hidden">{say("Rows that go, by table")}</caption><thead><tr>{heads}'
        f'<th scope="col" class="n">{say("Rows")}</th><th scope="col">{say("Afterwards")}</th></tr></thead>'
        f'<tbody>{"".join(lines)}</tbody><tfoot><tr><th scope="row">{say("In all")}</th><td></td>'
        f'<td class="n">{grouped(preview.total)}</td><td></td></tr></tfoot></table>'
        f'<p class="muted">{stay}</p></div>'
    )
