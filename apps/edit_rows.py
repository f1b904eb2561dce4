"""The page that gives many rows a new value together: the fields of Enter, what would change, and the receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.assets import asset, script
from dj_panel.apps.chosen_rows import SELECT, chosen_keys
from dj_panel.apps.edit import Handler, agreement_in, computed_message, made_by_code
from dj_panel.apps.entry import SCRIPTS, EntryForm, EntryPage, text_in, texts_in
from dj_panel.apps.formmessages import BadMessageError
from dj_panel.apps.live_html import LiveHtml
from dj_panel.apps.markup import escape, html_pane, icon, tier_chip
from dj_panel.apps.page import empty_state
from dj_panel.apps.record import no_such_row
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services.chosen import MAX_CHOSEN
from dj_panel.apps.services.renewals import FINAL, Holding, Renewal, RowsEdited, RowsOpened, RowsReview
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_html import link
from dj_panel.apps.table_view import table_route
from dj_panel.apps.typed import zone_name
from dj_panel.apps.visit import Visit
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    OneRowError,
    UnknownAttributeError,
    ValueRefusedError,
)
from dj_panel.core.words import grouped, say, say_many

__all__ = ["EditRowsPage"]

BATCH = "batch"
"""In the address: the name of a change that was made, whose receipt is shown."""

_STYLES = ("entry.css", "edit.css", "edit_rows.css")


class RowsForm(EntryForm):
    """The form of many rows, in the browser."""

    _esm = script(*SCRIPTS, "edit.js", "edit_rows.js")
    _stylesheets: ClassVar[list[str]] = list(map(asset, _STYLES))


class EditRowsPage(EntryPage):
    """Many rows: ``#/edit-rows/<schema>.<Class>?select=…``, selected in their table; ``?batch=…`` is the receipt."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self.takes_focus = BATCH not in visit.route.query
        self._is_busy = False

    async def load(self) -> Viewable:
        """Build the form of the selected rows, or the receipt of a change."""
        services, route = self.visit.services, self.visit.route
        self._info: TableInfo = services.table("/".join(route.path))
        self.title = say("Edit rows of {label}", label=self._info.label)
        if not self._info.can_enter:
            return made_by_code(self._info, {})
        try:
            if BATCH in route.query:
                return await self._load_receipt(route.query[BATCH])
            self._keys = chosen_keys(services, self._info, route.query)
            opened = await services.batch_editing.open(self._info.name, self._keys)
        except (OneRowError, UnknownAttributeError, ValueRefusedError) as error:
            return no_such_row(self._info.name, error)
        except AccessError as error:
            rows = pmui.Button(
                label=say("Rows of {name}", name=self._info.name),
                href=format_route(table_route(self._info.name)),
                variant="outlined",
                margin=0,
            )
            return empty_state(say("These rows are not changed together"), str(error), rows)
        return self._form_of_rows(opened)

    def _form_of_rows(self, opened: RowsOpened) -> Viewable:
        services, info = self.visit.services, self._info
        self.title = say_many(
            "Edit {n} row of {label}", "Edit {n} rows of {label}", opened.n_rows, label=info.label
        )
        self._form = opened.form
        self._component = RowsForm(
            form={
                **self._message(opened.form),
                "edit": {
                    "key": opened.common,
                    "texts": {},
                    "files": {},
                    "parts": {},
                    "large": [],
                    "seen": [],
                    "label": opened.label,
                    "notices": _gone(opened.n_gone),
                    "apart": opened.apart,
                    "holdings": {name: asdict(holding) for name, holding in opened.holdings.items()},
                    "href": format_route(self._back()),
                },
            },
            draft_key=f"dj-panel-edit/{services.pipeline.title}/{self.visit.user}/{format_route(self.visit.route)}",
            pin_key="",
            receive=self._receive,
        )
        return pn.Column(_heading(info), self._component, sizing_mode="stretch_width", margin=0)

    # ------------------------------------------------------------------ messages
    async def _check_field(self, data: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._check(data)
        # Of the key only what the rows share is in the draft, so none is taken by it.
        return answer if data.get("table") != self._info.name else {**answer, "duplicate": None}

    async def _review(self, data: Mapping[str, Any]) -> dict[str, Any]:
        draft, chosen = texts_in(data.get("draft")), set(_list_in(data.get("chosen")))
        ticked = texts_in(data.get("ticked", {}))
        review = await self.visit.services.batch_editing.review(
            self._info.name, self._keys, draft, chosen, ticked
        )
        return self._reviewed(review)

    async def _write(self, data: Mapping[str, Any]) -> dict[str, Any]:
        outcome = await self.visit.services.batch_editing.save(
            self._info.name,
            self._keys,
            texts_in(data.get("draft")),
            set(_list_in(data.get("chosen"))),
            _list_in(data.get("seen")),
            text_in(data.get("token")),
            agreement_in(data),
        )
        if isinstance(outcome, RowsReview):
            return self._reviewed(outcome, is_stale=True)
        self._leave(outcome)
        return {"is_saved": True}

    def _back(self) -> Route:
        """Return the way back to the table, in which the rows are selected still if the address has room for it."""
        selected = {name: text for name, text in self.visit.route.query.items() if name == SELECT}
        return Route("table", (self._info.name,), selected)

    def _leave(self, edited: RowsEdited) -> None:
        """Show the receipt, or go to the table where no history is kept."""
        if edited.batch:
            self.visit.go(Route("edit-rows", (self._info.name,), {BATCH: edited.batch}), history=False)
            return
        notice = self.visit.services.history.missing(self._info.name)
        self.visit.notify(f"{_saved(self._info, edited)} {notice}".strip(), "success")
        self.visit.go(self._back())

    def _reviewed(self, review: RowsReview, *, is_stale: bool = False) -> dict[str, Any]:
        notices = []
        if is_stale and not review.summary:
            notices.append(
                say("Nothing was saved: these rows have changed meanwhile. Look at what they hold now.")
            )
        if review.n_changed_meanwhile:
            notices += [
                say_many(
                    "{n} row was changed by somebody else.",
                    "{n} rows were changed by somebody else.",
                    review.n_changed_meanwhile,
                )
            ]
        notices += _gone(review.n_gone)
        if n_same := review.n_rows - review.n_changing:
            notices.append(
                say_many(
                    "{n} row holds this already and stays as it is.",
                    "{n} rows hold this already and stay as they are.",
                    n_same,
                )
            )
        if review.is_final:
            notices.append(say(FINAL))
        return {
            "renewals": [asdict(renewal) for renewal in review.renewals],
            "n_changing": review.n_changing,
            "notices": notices,
            "errors": review.errors,
            "doubts": review.doubts,
            "summary": review.summary,
            "seen": review.seen,
            **computed_message(self.visit.services, review.computed),
        }

    _handlers: Mapping[str, Handler] = {
        **EntryPage._handlers,
        "check": _check_field,
        "review": _review,
        "write": _write,
    }

    # ------------------------------------------------------------------ the receipt
    async def _load_receipt(self, batch: str) -> Viewable:
        edited = await self.visit.services.batch_editing.receipt(self._info.name, batch)
        self.title = say("Changed rows of {label}", label=self._info.label)
        self._view = LiveHtml(
            receipt_html(self._info, edited),
            on_act=self.guard(lambda _name: self._begin_undo(batch)),
            stylesheets=list(map(asset, _STYLES)),
        )
        return pn.Column(_heading(self._info), self._view, sizing_mode="stretch_width", margin=0)

    def _begin_undo(self, batch: str) -> None:
        if not self._is_busy:  # of two clicks the second comes while the first is at work
            self._is_busy = True
            self._start(self._undo_all(batch))

    async def _undo_all(self, batch: str) -> None:
        try:
            edited = await self.visit.services.batch_editing.undo(self._info.name, batch)
        except DataJointError as error:
            edited = await self.visit.services.batch_editing.receipt(self._info.name, batch)
            self._view.html = receipt_html(self._info, edited, str(error))
        else:
            self._view.html = receipt_html(self._info, edited)
        finally:
            self._is_busy = False


def receipt_html(info: TableInfo, edited: RowsEdited, problem: str = "") -> str:
    """Return what was changed in many rows, by whom and when, with what takes it back."""
    rows = "".join(
        f'<tr><th scope="row">{escape(renewal.attribute)}</th>'
        f'<td data-label="{say("Before")}">{_holding(renewal.holding)}</td>'
        f'<td data-label="{say("Afterwards")}">{_value(renewal, edited.is_undone)}</td></tr>'
        for renewal in edited.renewals
    )
    heads = (say("Attribute"), say("Before"), say("Afterwards"))
    stamp = say(
        "{user} at {time}",
        user=escape(edited.user),
        time=f"{edited.at:%Y-%m-%d %H:%M:%S} ({zone_name(edited.at)})",
    )
    followed = say_many(
        "{n} computed row was flagged or deleted.",
        "{n} computed rows were flagged or deleted.",
        edited.n_computed,
    )
    stamp += f" · {followed}" if edited.n_computed else ""
    reason = f"<p>{say('Reason:')} <q>{escape(edited.reason)}</q></p>" if edited.reason else ""
    shown = say_many("Look at the row", "Look at the rows", edited.n_rows)
    ways = link(Route("table", (info.name,), {BATCH: edited.batch}), shown)
    ways += link(table_route(info.name), say("Rows of {name}", name=info.name))
    said = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return (
        f'<div class="form"><div class="receipt{" undone" if edited.is_undone else ""}" role="status" tabindex="-1" '
        f"data-focus>{icon('done')}"
        f"<span>{escape(_saved(info, edited))}</span>{_undo_button(edited)}</div>{said}"
        f'<section class="revision plain"><p class="comment">{stamp}</p>{reason}'
        f'<table class="changes"><thead><tr>{"".join(f"<th scope=col>{head}</th>" for head in heads)}</tr></thead>'
        f'<tbody>{rows}</tbody></table><div class="actions">{ways}</div></section></div>'
    )


def _undo_button(edited: RowsEdited) -> str:
    if edited.is_undone:
        return ""
    if edited.is_final:
        return f"<span>{say(FINAL)}</span>"
    return f'<button type="button" class="quiet" data-act="undo">{say("Undo")}</button>'


def _saved(info: TableInfo, edited: RowsEdited) -> str:
    if edited.is_undone:
        return say_many(
            "Taken back: {n} row of {label} holds what it held before.",
            "Taken back: {n} rows of {label} hold what they held before.",
            edited.n_rows,
            label=info.label,
        )
    return say_many(
        "Saved: {n} row of {label} was changed.",
        "Saved: {n} rows of {label} were changed.",
        edited.n_rows,
        label=info.label,
    )


def _holding(holding: Holding) -> str:
    items = "".join(
        f'<li><span class="n">{grouped(held.n_rows)} ×</span> '
        f'<span class="value{" words" if held.value.is_words else ""}">{escape(held.value.text)}</span></li>'
        for held in holding.commonest
    )
    others = holding.n_values - len(holding.commonest)
    if others:
        items += f'<li class="comment">{say_many("and {n} other value", "and {n} other values", others)}</li>'
    return f'<ul class="held">{items}</ul>'


def _value(renewal: Renewal, is_undone: bool) -> str:
    tag = "del" if is_undone else "ins"
    words = " words" if renewal.new.is_words else ""
    return f'<{tag} class="value{words}">{escape(renewal.new.text)}</{tag}>'


def _gone(number: int) -> list[str]:
    if not number:
        return []
    return [
        say_many(
            "{n} of the selected rows is not there any more.",
            "{n} of the selected rows are not there any more.",
            number,
        )
    ]


def _list_in(value: Any) -> list[str]:
    """Return a list of texts out of a message."""
    if not isinstance(value, list) or len(value) > MAX_CHOSEN:
        raise BadMessageError("list")
    return [text_in(text) for text in value]


def _heading(info: TableInfo) -> Viewable:
    comment = f"<span>{escape(info.comment)}</span>" if info.comment else ""
    # The blank keeps Panel's pane from taking the link for a CSS selector.
    table = " " + escape(format_route(table_route(info.name)))
    return html_pane(
        f'<p class="about">{tier_chip(info.tier)}<a href="{table}">{escape(info.name)}</a>{comment}</p>',
        stylesheets=[asset("entry.css")],
        sizing_mode="stretch_width",
    )
