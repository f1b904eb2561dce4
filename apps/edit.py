"""The page that changes a row: the form of Enter, what would change, and what to do about other people's changes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar, Final

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.assets import asset, script
from dj_panel.apps.entry import SCRIPTS, EntryForm, EntryPage, text_in, texts_in
from dj_panel.apps.formmessages import part_errors_out, parts_in
from dj_panel.apps.grid import Form
from dj_panel.apps.markup import escape, html_pane, tier_chip
from dj_panel.apps.page import empty_state
from dj_panel.apps.pickers import Picker
from dj_panel.apps.record import no_such_row
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services.revisions import (
    ORIGIN,
    Agreement,
    Before,
    Consequence,
    Difference,
    Edited,
    LargePart,
    Lost,
    Opened,
    Review,
)
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_view import BATCH, PREFILL, delete_route, edit_route, record_route, table_route
from dj_panel.apps.typed import time_told
from dj_panel.core.errors import OneRowError, UnknownAttributeError, ValueRefusedError
from dj_panel.core.words import say, say_many

__all__ = ["EditPage", "Handler", "agreement_in", "computed_message", "made_by_code"]

_CONSEQUENCES: Final[Mapping[str, Consequence]] = MappingProxyType(
    {"keep": "keep", "flag": "flag", "delete": "delete"}
)
Handler = Callable[[Any, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


class RowForm(EntryForm):
    """The form of one row, in the browser."""

    _esm = script(*SCRIPTS, "edit.js")
    _stylesheets: ClassVar[list[str]] = [*EntryForm._stylesheets, asset("edit.css")]


class EditPage(EntryPage):
    """One row in a form: ``#/edit/<schema>.<Class>?<key>``, with new values as ``set.<attribute>``."""

    async def load(self) -> Viewable:
        """Build the form, beginning with the row."""
        services, route = self.visit.services, self.visit.route
        info: TableInfo = services.table("/".join(route.path))
        self.title = say("Edit {label}", label=info.label)
        self._info = info
        key = {name: text for name, text in route.query.items() if not name.startswith(PREFILL)}
        if not info.can_enter:
            return made_by_code(info, key)
        try:
            opened = await services.editing.open(info.name, key)
        except (OneRowError, UnknownAttributeError, ValueRefusedError) as error:
            return no_such_row(info.name, error)
        self.title = say("Edit {label}", label=opened.label)
        self._key = opened.key
        self._form = opened.form
        prefill = {
            name.removeprefix(PREFILL): text for name, text in route.query.items() if name.startswith(PREFILL)
        }
        names = {a.name for a in info.attributes if not a.in_key}
        place = Route("edit", (info.name,), route.query)
        self._initial = opened.texts
        self._initial_parts = {
            name: {row[ORIGIN]: row for row in rows} for name, rows in opened.parts.rows.items()
        }
        batch = prefill.pop(BATCH, "")
        before = await services.editing.before(info.name, key, batch) if batch else Before()
        initial = {name: opened.texts.get(name, "") for name in prefill}
        changed = [_label_of(opened.form, name) for name in prefill if prefill[name] != initial[name]]
        self._component = RowForm(
            form={
                **self._message(opened.form),
                "edit": self._about(opened, before, changed),
            },
            prefill={name: text for name, text in prefill.items() if name in names},
            draft_key=f"dj-panel-edit/{services.pipeline.title}/{self.visit.user}/{format_route(place)}",
            pin_key="",
            receive=self._receive,
        )
        return pn.Column(_heading(info, opened.key), self._component, sizing_mode="stretch_width", margin=0)

    def _about(self, opened: Opened, before: Before, changed: Sequence[str]) -> dict[str, Any]:
        """Return what the form begins with, as the browser takes it."""
        sentences = _older(before, changed, has_parts=bool(self._info.parts))
        return {
            "key": opened.key,
            "texts": opened.texts,
            "seen": opened.seen,
            "files": opened.files,
            "href": format_route(record_route(self._info.name, opened.key)),
            "parts": opened.parts.rows,
            "part_files": opened.parts.files,
            "prefill_parts": before.parts if before.has_parts else None,
            "older": [*({"text": text} for text in sentences), *map(_lost, before.lost)],
            "large": [_large(part) for part in opened.parts.large],
        }

    # ------------------------------------------------------------------ messages
    async def _check_field(self, data: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._check(data)
        table, draft = data.get("table"), data.get("draft")
        typed = draft if isinstance(draft, Mapping) else {}
        if table in self._initial_parts:
            initial = self._initial_parts[table].get(typed.get(ORIGIN, ""), {})
        elif table == self._info.name:
            initial = self._initial
        else:  # a parent that is entered beside this form
            return answer
        # The row itself has what it had before: neither its key nor its unique values are taken by another.
        errors = {n: text for n, text in answer["errors"].items() if typed.get(n) != initial.get(n)}
        doubts = {n: text for n, text in answer["doubts"].items() if typed.get(n) != initial.get(n)}
        return {**answer, "errors": errors, "duplicate": None, "doubts": doubts}

    async def _review(self, data: Mapping[str, Any]) -> dict[str, Any]:
        review = await self.visit.services.editing.review(
            self._info.name,
            self._key,
            texts_in(data.get("draft")),
            text_in(data.get("seen")),
            parts_in(data.get("parts")),
            texts_in(data.get("ticked", {})),
        )
        return self._reviewed(review)

    async def _write(self, data: Mapping[str, Any]) -> dict[str, Any]:
        outcome = await self.visit.services.editing.save(
            self._info.name,
            self._key,
            texts_in(data.get("draft")),
            text_in(data.get("seen")),
            parts_in(data.get("parts")),
            agreement_in(data),
            texts_in(data.get("ticked", {})),
        )
        if isinstance(outcome, Review):
            return self._reviewed(outcome)
        self._leave(outcome)
        return {"is_saved": True}

    def _leave(self, edited: Edited) -> None:
        """Go to the row, and offer to bring back what it was."""
        words = _saved(edited)
        can_undo = bool(edited.batch) or (bool(edited.before) and not edited.n_part_rows)
        back = edit_route(self._info.name, self._key, edited.before, edited.batch) if can_undo else None
        notice = self.visit.services.history.missing(self._info.name)
        self.visit.notify(
            f"{words} {notice}" if notice else words,
            "success",
            link=(say("Undo…"), back) if back is not None else None,
        )
        self.visit.go(record_route(self._info.name, self._key))

    def _reviewed(self, review: Review) -> dict[str, Any]:
        services = self.visit.services
        return {
            "differences": [_difference(d) for d in (*review.differences, *review.part_differences)],
            "errors": review.errors,
            "doubts": review.doubts,
            "part_errors": part_errors_out(review.part_errors),
            "blocked": [asdict(blocked) for blocked in review.blocked],
            "notes": review.notes,
            "is_deletion_needed": review.is_deletion_needed,
            "summary": review.summary,
            "seen": review.seen,
            "other": review.other,
            **computed_message(services, review.computed),
        }

    _handlers: Mapping[str, Handler] = {
        **EntryPage._handlers,
        "check": _check_field,
        "review": _review,
        "write": _write,
    }


def agreement_in(data: Mapping[str, Any]) -> Agreement:
    """Return what the message of a form says that its visitor agreed to."""
    computed = data.get("computed")
    agreed = computed if isinstance(computed, Mapping) else {}
    return Agreement(
        text_in(data.get("reason")),
        _CONSEQUENCES.get(str(data.get("consequence")), "keep"),
        {str(name): number for name, number in agreed.items() if isinstance(number, int)},
    )


def computed_message(services: Any, computed: Mapping[str, int]) -> dict[str, Any]:
    """Return the numbers of computed rows, table by table, as a form takes them."""
    # One that is not served here goes by its own name.
    labels = {info.name: info.label for info in services.tables()}
    return {
        "computed": [
            {"table": name, "label": labels.get(name, name), "count": number}
            for name, number in computed.items()
        ],
        "n_computed": sum(computed.values()),
    }


def _saved(edited: Edited) -> str:
    """Return the receipt of a change in words."""
    if not edited.n_part_rows:
        return say_many(
            "Saved: {label}, {n} value changed.", "Saved: {label}, {n} values changed.", edited.n_changed,
            label=edited.label,
        )  # fmt: skip
    if not edited.n_changed:
        return say_many(
            "Saved: {label}, {n} row of its parts.", "Saved: {label}, {n} rows of its parts.",
            edited.n_part_rows, label=edited.label,
        )  # fmt: skip
    values = say_many("{n} value changed", "{n} values changed", edited.n_changed)
    rows = say_many("{n} row of its parts", "{n} rows of its parts", edited.n_part_rows)
    return say("Saved: {label}, {values}, {rows}.", label=edited.label, values=values, rows=rows)


def _difference(found: Difference) -> dict[str, Any]:
    facts = {"is_theirs": found.is_theirs, "is_mine": found.is_mine, "is_conflict": found.is_conflict}
    return asdict(found) | facts


def _label_of(form: Form, attribute: str) -> str:
    """Return what the field is called that shows an attribute."""
    for item in form.items:
        if attribute in (item.attributes if isinstance(item, Picker) else (item.name,)):
            return item.label
    return attribute


def _older(before: Before, changed: Sequence[str], *, has_parts: bool) -> list[str]:
    """Return in sentences what of the form is older than the row, once a change is known that it goes back behind."""
    if before.at is None:
        return []
    time = time_told(before.at)
    told = []
    if changed:
        names = ", ".join(dict.fromkeys(changed))
        told.append(
            say("These are the values before {time}: {names}. Nothing is saved yet.", time=time, names=names)
        )
    elif not before.has_parts:
        told.append(say("The row holds the values before {time} already.", time=time))
    if before.has_parts:
        told.append(say("The rows of its parts are those before {time}.", time=time))
    elif has_parts:
        told.append(say("The rows of its parts stay as they are."))
    return told


def _lost(lost: Lost) -> dict[str, str]:
    if not lost.key:
        return {"text": lost.text}
    href = format_route(record_route(lost.table, lost.key))
    return {"text": lost.text, "link": say("Its own page can put it back whole."), "href": href}


def _large(part: LargePart) -> dict[str, Any]:
    text = say(
        "There are more than {n} rows, which are too many for this form. They stay as they are.",
        n=part.n_shown,
    )
    link = say("Open them in their table")
    return {
        "label": part.label,
        "text": text,
        "link": link,
        "href": format_route(table_route(part.table, part.filters)),
    }


def _heading(info: TableInfo, key: Mapping[str, str]) -> Viewable:
    comment = f"<span>{escape(info.comment)}</span>" if info.comment else ""
    # The blank keeps Panel's pane from taking the link for a CSS selector.
    table = " " + escape(format_route(table_route(info.name)))
    row = " " + escape(format_route(record_route(info.name, key)))
    return html_pane(
        f'<p class="about">{tier_chip(info.tier)}<a href="{table}">{escape(info.name)}</a>'
        f'<a href="{row}">{say("The row")}</a>{comment}</p>',
        stylesheets=[asset("entry.css")],
        sizing_mode="stretch_width",
    )


def made_by_code(info: TableInfo, key: Mapping[str, str]) -> Viewable:
    """Say why nobody changes computed rows, and what to do instead."""
    place = format_route(record_route(info.name, key) if key else table_route(info.name))
    delete = format_route(delete_route(info.name, key))
    buttons = [pmui.Button(label=say("Back to the row"), href=place, variant="outlined", margin=4)]
    if info.master is None and key:
        buttons.append(pmui.Button(label=say("Delete it…"), href=delete, variant="outlined", margin=4))
    return empty_state(
        say("{label} is made by the pipeline's code", label=info.label),
        say(
            "So nobody changes its rows by hand: the next computation would not know of it. Change "
            "what this row was made from, or delete it, and it is computed again."
        ),
        *buttons,
    )
