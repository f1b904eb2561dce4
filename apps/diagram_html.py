"""The HTML around the diagram: its tools, the panel of the selected table, and the list of all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dj_panel.apps.live import button, href, link
from dj_panel.apps.markup import escape, icon, tier_chip
from dj_panel.apps.routes import Route
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.watching import TableStatus
from dj_panel.apps.status import (
    COMPUTED_TIERS,
    bar_html,
    populate_route,
    state_html,
    table_route,
    tier_icon,
)
from dj_panel.core.words import say, say_many

__all__ = ["CSS", "LIST_CSS", "PANEL_CSS", "RowsText", "hint_html", "list_html", "panel_html", "tools_html"]


@dataclass(frozen=True)
class RowsText:
    """How many rows a table has, as the diagram tells it.

    Parameters
    ----------
    count
        ``340``; of a table whose rows are restricted ``12 of 340``.
    kind
        Whether all rows are meant, or those that match the visitor's restrictions; ``apart`` if none of these
        holds in the table.
    missing
        Which of the restrictions do not hold, and why.
    is_one
        Whether the count is that of one row.
    """

    count: str
    kind: Literal["all", "matching", "apart"] = "all"
    missing: str = ""
    is_one: bool = False

    def with_unit(self, count: str) -> str:
        """Return the count, as it is to be shown, with the word for rows."""
        return say_many("{count} row", "{count} rows", 1 if self.is_one else 2, count=count)


def _rows_text(rows: Mapping[str, RowsText], name: str, status: TableStatus) -> RowsText:
    return rows.get(name) or RowsText(status.count_text, is_one=status.n_rows == 1)


def tools_html(
    schemas: Sequence[str],
    chosen: Collection[str],
    *,
    find: str,
    n_found: int | None,
    steps: int,
    focus: TableInfo | None,
    is_list: bool,
    problem: str,
    is_restricted: bool = False,
) -> str:
    """Return the row of tools above the diagram.

    Parameters
    ----------
    schemas, chosen
        All schemas, and those that are shown.
    find, n_found
        What is searched for, and how many tables it finds; None if nothing is searched for.
    steps
        How many steps around the selected table are shown; 0 for everything.
    focus
        The selected table.
    is_list
        Whether the tables are listed.
    problem
        Why the status cannot be read, if it cannot.
    is_restricted
        Whether only the rows that match the visitor's restrictions are counted.
    """
    boxes = "".join(
        f'<label data-key="{escape(schema)}"><input type="checkbox" data-action="schema" '
        f'value="{escape(schema)}"'
        f"{' checked' if schema in chosen else ''}>{escape(schema)}</label>"
        for schema in schemas
    )
    words = (
        say("{n} of {total} schemas", n=len(chosen), total=len(schemas))
        if len(chosen) < len(schemas)
        else say("All schemas")
    )
    every = button(say("Show all"), "all-schemas", kind="quiet") if len(chosen) < len(schemas) else ""
    filter_ = (
        f'<details class="menu" data-key="schemas"><summary class="btn">{escape(words)}</summary>'
        f'<div class="sheet" tabindex="-1">{boxes}{every}</div></details>'
        if len(schemas) > 1
        else ""
    )
    found = ""
    if n_found is not None:
        found = say("{n} found", n=n_found) if n_found else say("no table found")
    near = _surroundings_html(focus, steps) if focus is not None else ""
    trouble = (
        f'<div class="notice-box dj-state-error" data-key="problem" role="alert">{icon("error")}'
        f"<div>{escape(say('The status cannot be read: {problem}', problem=problem))}</div></div>"
        if problem
        else ""
    )
    words = say(
        "Counted are the rows that match the restrictions above. In grey: tables without such an attribute."
    )
    about = f'<p class="small muted" data-key="restricted">{escape(words)}</p>' if is_restricted else ""
    views = "".join(
        f'<button type="button" class="btn" data-action="view" data-value="{value}" '
        f'aria-pressed="{"true" if is_list == (value == "list") else "false"}">{text}</button>'
        for value, text in (("diagram", say("Diagram")), ("list", say("List")))
    )
    label = escape(say("Find a table or attribute"))
    return (
        f'<div class="stack">{trouble}<div class="row tools">'
        f'<input type="search" data-action="find" value="{escape(find)}" placeholder="{label}" '
        f'aria-label="{label}"><span class="small muted" role="status">{escape(found)}'
        "</span>"
        f'{filter_}{near}<span class="pair end" role="group" aria-label="{escape(say("Form"))}">{views}</span>'
        f"</div>{about}</div>"
    )


def _surroundings_html(focus: TableInfo, steps: int) -> str:
    choices = [say("everything"), *(say_many("{n} step around", "{n} steps around", n) for n in (1, 2, 3))]
    options = "".join(
        f'<option value="{n}"{" selected" if n == steps else ""}>{escape(text)}</option>'
        for n, text in enumerate(choices)
    )
    name = say("What is shown of the surroundings of {table}", table=focus.class_name)
    field = f'<select data-action="steps" aria-label="{escape(name)}">{options}</select>'
    return f'<label data-key="steps">{say("Show {choice}", choice=field)}</label>'


def panel_html(
    table: TableInfo,
    statuses: Mapping[str, TableStatus],
    parts: Mapping[str, TableInfo],
    rows: Mapping[str, RowsText],
) -> str:
    """Return what is told of the selected table, and what can be done with it."""
    status = statuses.get(table.name, TableStatus(0))
    told = _rows_text(rows, table.name, status)
    name = table.class_name
    actions = [
        f'<a class="btn primary" href="{href(table_route(table.name))}">{escape(say("Open table"))}</a>'
    ]
    if table.can_enter:
        actions.append(
            f'<a class="btn" href="{href(Route("enter", (table.name,)))}">{escape(say("Enter"))}</a>'
        )
    if table.tier in COMPUTED_TIERS:
        actions.append(
            f'<a class="btn" href="{href(populate_route(table.name))}">{escape(say("Populate"))}</a>'
        )
    inner = "".join(
        f"<li>{link(parts[part].class_name.rpartition('.')[2], table_route(part))} "
        f'<span class="muted">{escape(rows[part].count)}</span></li>'
        for part in table.parts
        if part in parts and part in rows
    )
    part_list = f'<h3>{escape(say("Parts"))}</h3><ul class="plain">{inner}</ul>' if inner else ""
    bar = bar_html(status)
    held = ""
    if told.kind != "all":
        match = say("match the restrictions") if told.kind == "matching" else say("not restricted")
        held = (
            f'<p class="small muted break">{match}{escape(f" ({told.missing})" if told.missing else "")}</p>'
        )
        bar = f'<p class="small muted">{escape(say("Of all rows:"))}</p>{bar}' if bar else ""
    trouble = f'<p class="small break trouble">{escape(status.problem_text)}</p>' if status.problem else ""
    count = f'<b class="count">{escape(told.count)}</b>'
    return (
        f'<aside class="card panel" data-key="{escape(table.name)}" aria-label="{escape(name)}"><header>'
        '<h2 class="break">'
        f"{escape(name)}</h2>{button(say('Close'), 'unfocus', kind='quiet')}</header>"
        f'<div class="body stack"><div class="row">{tier_chip(table.tier)}<span class="muted small">'
        f"{escape(table.schema)}</span>"
        f"</div>{f'<p class=break>{escape(table.comment)}</p>' if table.comment else ''}"
        f'<div class="row">{told.with_unit(count)}'
        f"{state_html(status)}</div>{held}{bar}{trouble}<div class='row'>{''.join(actions)}</div>{part_list}"
        f"{_neighbours(say('Refers to'), [link.table for link in table.parents])}"
        f"{_neighbours(say('Referred to by'), [link.table for link in table.children])}"
        f'<details data-key="definition" open><summary>{escape(say("Definition"))}</summary><pre '
        f'tabindex="0">{escape(table.definition)}</pre>'
        "</details></div></aside>"
    )


def hint_html(tables: Sequence[TableInfo], statuses: Mapping[str, TableStatus]) -> str:
    """Return what stands in the panel while no table is selected: how to use it, and where to look first."""
    stuck = [table for table in tables if table.name in statuses and statuses[table.name].error]
    items = "".join(
        f"<li>{button(table.class_name, 'focus', table.name, kind='quiet')} "
        f"{state_html(statuses[table.name])}</li>"
        for table in stuck
    )
    look = (
        f'<div data-key="stuck"><h3>{escape(say("Failed jobs"))}</h3><ul class="plain">{items}</ul></div>'
        if items
        else ""
    )
    words = say(
        "{n} tables. Select one to see what it holds and what can be done with it; a double click or Enter opens"
        " its rows.",
        n=len(tables),
    )
    return (
        f'<aside class="card panel hint" data-key="hint" aria-label="{escape(say("Selected table"))}">'
        f'<div class="body stack"><p class="muted">{escape(words)}</p>{look}</div></aside>'
    )


def _neighbours(title: str, names: Sequence[str]) -> str:
    items = "".join(f"<li>{button(name, 'focus', name, kind='quiet')}</li>" for name in dict.fromkeys(names))
    return f'<div><h3>{escape(title)}</h3><ul class="plain">{items}</ul></div>' if items else ""


def list_html(
    tables: Sequence[TableInfo],
    statuses: Mapping[str, TableStatus],
    found: Sequence[str] | None,
    rows: Mapping[str, RowsText],
) -> str:
    """Return the tables as a tree: each stands under the last of its parents; others are named beside it.

    Parameters
    ----------
    tables
        Parents before children.
    statuses
        How far they are.
    found
        The names that the search finds; None if nothing is searched for.
    rows
        How many rows they have.
    """
    shown = {table.name for table in tables}
    under: dict[str, list[TableInfo]] = {}
    for table in tables:
        parents = [link.table for link in table.parents if link.table in shown and link.table != table.name]
        in_key = [link.table for link in table.parents if link.foreign_key.in_key and link.table in parents]
        under.setdefault((in_key or parents or [""])[-1], []).append(table)
    wanted = None if found is None else set(found)

    def branch(name: str) -> str:
        items = "".join(
            _list_item(table, statuses, rows, wanted, shown, branch(table.name))
            for table in under.get(name, ())
        )
        return f"<ul>{items}</ul>" if items else ""

    return f'<nav class="card tree list" aria-label="{escape(say("Tables"))}">{branch("")}</nav>'


def _list_item(
    table: TableInfo,
    statuses: Mapping[str, TableStatus],
    rows: Mapping[str, RowsText],
    wanted: Collection[str] | None,
    shown: Collection[str],
    below: str,
) -> str:
    status = statuses.get(table.name, TableStatus(0))
    told = _rows_text(rows, table.name, status)
    missing = f'<span class="tiny muted">{escape(told.missing)}</span>' if told.missing else ""
    parents = list(dict.fromkeys(link.table for link in table.parents if link.table in shown))
    words = say("refers to {tables}", tables=", ".join(parents))
    also = f'<span class="tiny muted">{escape(words)}</span>' if len(parents) > 1 else ""
    label = say("Show {table} in the diagram", table=table.class_name)
    show = button(say("Show"), "focus", table.name, kind="quiet", label=label)
    faded = " faded" if wanted is not None and table.name not in wanted else ""
    return (
        f'<li data-key="{escape(table.name)}"><div class="row item{faded}">{tier_icon(table.tier)}'
        f'{link(table.class_name, table_route(table.name))}<span class="tiny muted">{escape(table.schema)}'
        "</span>"
        f'<span class="tiny muted">{escape(told.with_unit(told.count))}</span>'
        f"{missing}{state_html(status)}{also}"
        f"{show}</div>"
        f"{below}</li>"
    )


CSS = """
.tools { row-gap: 8px; position: relative; }
.tools input[type="search"] { width: min(260px, 100%); }
.end { margin-left: auto; }
.pair { display: inline-flex; }
.pair .btn { border-radius: 0; }
.pair .btn:first-child { border-radius: var(--dj-radius-m) 0 0 var(--dj-radius-m); }
.pair .btn:last-child { border-radius: 0 var(--dj-radius-m) var(--dj-radius-m) 0; margin-left: -1px; }
.btn[aria-pressed="true"] { background: var(--dj-accent-soft); border-color: var(--dj-accent);
  color: var(--dj-accent-hover); z-index: 1; }
.menu { position: relative; }
.menu > summary { list-style: none; }
.menu > summary::after { content: "▾"; }
.menu > summary::-webkit-details-marker { display: none; }
.menu .sheet { position: absolute; z-index: 5; top: calc(100% + 4px); left: 0; display: grid; gap: 4px;
  padding: 12px; min-width: 200px; max-height: 60vh; overflow: auto; border: 1px solid var(--dj-border);
  border-radius: var(--dj-radius-m); background: var(--dj-raised); box-shadow: var(--dj-shadow-raised); }
.tree { padding: 8px 16px 12px; overflow: auto; }
.tree ul { list-style: none; padding: 0; margin: 0; }
.tree ul ul { padding-left: 14px; margin-left: 7px; border-left: 1px solid var(--dj-border); }
.item { padding: 2px 0; min-height: 32px; }
.item .btn { min-height: 24px; }
.faded { opacity: .55; }
"""

LIST_CSS = """
:host { overflow: auto; }
"""

PANEL_CSS = """
:host { overflow: auto; }
.panel > header { position: sticky; top: 0; background: var(--dj-surface); align-items: center; z-index: 1; }
.panel .stack { gap: 12px; }
.panel .count { font-size: var(--dj-size-l); font-variant-numeric: tabular-nums; }
.panel pre { max-height: 300px; }
.panel.hint { border-style: dashed; background: transparent; }
.plain { list-style: none; padding: 0; }
.plain .btn { min-height: 24px; padding: 0 4px; margin-left: -4px; white-space: normal; text-align: left; }
.trouble { color: var(--dj-state-error); }
@media (max-width: 900px) {
  :host { position: absolute !important; inset: auto 0 0 0; width: 100% !important; height: auto !important;
    max-height: 45%; z-index: 2; }
  .live-html { width: 100% !important; }
  .panel { box-shadow: var(--dj-shadow-raised); overflow: visible; }
  .panel.hint { display: none; }
}
"""
