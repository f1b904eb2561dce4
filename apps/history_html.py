"""HTML of what happened to a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dj_panel.apps.markup import escape
from dj_panel.apps.routes import Route
from dj_panel.apps.services.batchediting import is_of_rows
from dj_panel.apps.services.history import N_EVENTS, Event, Shown
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_html import link
from dj_panel.apps.table_view import edit_route
from dj_panel.apps.typed import zone_name
from dj_panel.core.words import marked, say

__all__ = ["history_html"]

_WHAT = {
    ("insert", "form"): marked("{user} entered it in a form"),
    ("insert", "import"): marked("{user} entered it by an import"),
    ("insert", "api"): marked("{user} entered it from Python"),
    ("update", "form"): marked("{user} changed it in a form"),
    ("update", "import"): marked("{user} changed it by an import"),
    ("update", "api"): marked("{user} changed it from Python"),
    ("delete", "form"): marked("{user} deleted it in a form"),
    ("delete", "import"): marked("{user} deleted it by an import"),
    ("delete", "api"): marked("{user} deleted it from Python"),
    ("flag", "form"): marked("{user} flagged it in a form"),
    ("flag", "import"): marked("{user} flagged it by an import"),
    ("flag", "api"): marked("{user} flagged it from Python"),
}


def history_html(
    info: TableInfo, key: Mapping[str, str], events: Sequence[Event], *, is_there: bool = True
) -> str:
    """Return what happened to a row, the latest first; empty if nothing is known.

    Parameters
    ----------
    info
        The table.
    key
        The row.
    events
        What happened.
    is_there
        Whether the row is there; values of before can be brought back into it.
    """
    if not events:
        return ""
    items = "".join(_item(info, key, event, is_there=is_there) for event in events)
    more = (
        f'<p class="muted">{say("The last {n} are shown.", n=N_EVENTS)}</p>'
        if len(events) == N_EVENTS
        else ""
    )
    zone = say("Times: {zone}", zone=escape(zone_name(events[0].time)))
    return f'<section class="history"><h2>{say("History")}</h2><p class="muted">{zone}</p><ol>{items}</ol>{more}</section>'


def _item(info: TableInfo, key: Mapping[str, str], event: Event, *, is_there: bool) -> str:
    stamp = escape(f"{event.time:%Y-%m-%d %H:%M:%S}")
    zone = escape(f"{event.time:%z}")
    what = event.action if event.changes or event.action != "update" else "flag"
    words = say(_WHAT[what, event.source], user=f"<b>{escape(event.user)}</b>")
    head = (
        f'<p><time datetime="{escape(event.time.isoformat())}" title="UTC{zone}">{stamp}</time>'
        f" {words}{f' <q>{escape(event.reason)}</q>' if event.reason else ''}</p>"
    )
    restore = ""
    if event.action == "update" and event.before and is_there and info.can_enter:
        restore = link(
            edit_route(info.name, key, event.before, event.batch),
            say("Bring back the values before…"),
            "small-button",
        )
        if is_of_rows(event.batch):
            together = Route("edit-rows", (info.name,), {"batch": event.batch})
            restore += " " + link(together, say("All rows of this change…"), "small-button")
    elif event.action == "delete" and not is_there:
        name = escape(event.batch)
        restore = (
            f'<button type="button" class="button" data-act="restore/{name}">{say("Put it back")}</button>'
        )
    return f"<li>{head}{_changes(event)}{restore}</li>"


def _changes(event: Event) -> str:
    if event.action == "update":
        rows = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td>{_value(before, "del")}</td>'
            f'<td><span aria-hidden="true">→</span> {_value(after, "ins")}</td></tr>'
            for name, (before, after) in event.changes.items()
        )
        return f'<table class="changes"><tbody>{rows}</tbody></table>' if rows else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{_value(after or before, "span")}</td></tr>'
        for name, (before, after) in event.changes.items()
    )
    return f'<details><summary>{say("Its values")}</summary><table class="changes"><tbody>{rows}</tbody></table></details>'


def _value(shown: Shown | None, tag: str) -> str:
    if shown is None:
        return ""
    return f'<{tag} class="{"words" if shown.is_words else "past"}">{escape(shown.text)}</{tag}>'
