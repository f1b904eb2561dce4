"""HTML of the list of tables, and of what stands above the rows of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dj_panel.apps.markup import escape, icon, tier_chip
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services import TableInfo
from dj_panel.apps.services.written import Written
from dj_panel.apps.table_view import table_route
from dj_panel.core.words import say

__all__ = ["can_add", "head_html", "link", "tables_html", "written_html"]


def can_add(info: TableInfo) -> bool:
    """Return whether a form adds rows to this table; rows of parts are entered with their master."""
    return info.can_enter and info.master is None


def tables_html(tables: Sequence[TableInfo], filtered_by: str) -> str:
    """Return the list of tables, grouped by schema in the order of the pipeline."""
    schemas = {name: [info for info in tables if info.schema == name] for name in ordered_schemas(tables)}
    groups = "".join(
        f'<section data-group aria-labelledby="group-{number}"><h2 id="group-{number}">{escape(schema)}</h2>'
        f"<ul>{''.join(map(_table_item, _with_parts(infos)))}</ul></section>"
        for number, (schema, infos) in enumerate(schemas.items())
    )
    label, hint = say("Filter the tables"), say("Filter by name, tier or comment")
    none = say("No table has this in its name, tier or comment.")
    return (
        f'<div class="tables"><label class="find"><span class="hidden">{label}</span>'
        f'<input type="text" data-filter placeholder="{hint}"'
        ' autocomplete="off"'
        f' spellcheck="false" value="{escape(filtered_by)}"></label>{groups}'
        f'<p class="muted" data-none hidden>{none}</p></div>'
    )


def ordered_schemas(tables: Sequence[TableInfo]) -> list[str]:
    """Return the schemas, those that others refer to first, as far as they do not refer to each other."""
    schema_of = {info.name: info.schema for info in tables}
    above: dict[str, set[str]] = {}
    for info in tables:
        parents = {schema_of[foreign.table] for foreign in info.parents if foreign.table in schema_of}
        above.setdefault(info.schema, set()).update(parents - {info.schema})
    ordered: list[str] = []
    while len(ordered) < len(above):
        left = [name for name in above if name not in ordered]
        ordered.append(next((name for name in left if above[name] <= set(ordered)), left[0]))
    return ordered


def _with_parts(infos: Sequence[TableInfo]) -> list[TableInfo]:
    """Return tables with the parts right after their master."""
    ordered = []
    for info in infos:
        if info.master is None:
            ordered += [info, *(part for part in infos if part.master == info.name)]
    return ordered


def _table_item(info: TableInfo) -> str:
    search = escape(f"{info.name} {info.tier} {info.comment}".lower())
    actions = [link(Route("diagram", (), {"focus": info.master or info.name}), say("Diagram"))]
    if can_add(info):
        actions.insert(0, link(Route("enter", (info.name,)), say("Enter")))
    elif info.tier in ("Imported", "Computed"):
        actions.insert(0, link(Route("populate", (info.name,)), say("Populate")))
    css_class = ' class="part"' if info.master else ""
    return (
        f'<li{css_class} data-search="{search}"><span class="tier">{tier_chip(info.tier)}</span>'
        f'<span class="what">{link(table_route(info.name), info.class_name, "name")}'
        f'<span class="muted">{escape(info.comment)}</span></span>'
        f'<span class="n" data-live="{escape(info.name)}"></span>'
        f'<span class="do">{" ".join(actions)}</span></li>'
    )


def link(route: Route, text: str, css_class: str = "") -> str:
    """Return a link to a place of the site; the text is escaped here."""
    attribute = f' class="{css_class}"' if css_class else ""
    return f'<a{attribute} href="{escape(format_route(route))}">{escape(text)}</a>'


def head_html(info: TableInfo, services: Any) -> str:
    """Return what stands above the rows: what the table is, its relatives and what can be done."""
    comment = f'<span class="comment">{escape(info.comment)}</span>' if info.comment else ""
    definition, copy = say("Definition"), say("Copy")
    return (
        f'<div class="head"><div class="top"><p class="what">{tier_chip(info.tier)}{comment}</p>'
        f'<div class="do">{_actions(info, services)}</div></div>{_relatives(info)}'
        f'<details><summary>{definition}</summary><div class="code">'
        f'<pre id="definition" tabindex="0" aria-label="{definition}">{escape(info.definition)}</pre>'
        f'<button type="button" class="button" data-copy="definition">{copy}</button>'
        "</div></details></div>"
    )


def written_html(info: TableInfo, written: Written) -> str:
    """Return the sentence that only rows of one import or change are shown, with the way back to all rows."""
    if not written.n_rows:
        words = say("The history knows no rows of this import that are still there, so none is shown.")
    elif written.are_changed:
        words = say("Only the rows that were changed together are shown.")
    elif written.is_cut:
        words = say("Only the first {n} rows of one import are shown. It wrote more.", n=written.n_rows)
    else:
        words = say("Only the rows that one import wrote are shown.")
    everything = link(table_route(info.name), say("Show all rows"), "button")
    return f'<p class="among" role="status">{icon("partial")}<span>{words}</span>{everything}</p>'


def _actions(info: TableInfo, services: Any) -> str:
    diagram = link(Route("diagram", (), {"focus": info.master or info.name}), say("Diagram"), "button")
    if can_add(info):
        enter = link(Route("enter", (info.name,)), say("Add rows"), "button primary")
        return enter + link(Route("import", (info.name,)), say("Import rows"), "button") + diagram
    if info.master is not None:
        master = services.table(info.master)
        if info.can_enter:
            enter_master = say("Enter {table}", table=master.class_name)
            enter = link(Route("enter", (master.name,)), enter_master, "button primary")
            enter += link(Route("import", (info.name,)), say("Import rows"), "button")
            why = say("Its rows are entered together with their master.")
            return f'{enter}{diagram}<span class="muted">{why}</span>'
        populate_master = say("Populate {table}…", table=master.class_name)
        populate = link(Route("populate", (master.name,)), populate_master, "button")
        why = say("Its rows are computed with their master.")
        return f'{populate}{diagram}<span class="muted">{why}</span>'
    populate = link(Route("populate", (info.name,)), say("Populate…"), "button primary")
    if info.tier == "Imported":
        why = say("Its rows are imported by the pipeline's code, so none can be added by hand.")
    else:
        why = say("Its rows are computed by the pipeline's code, so none can be added by hand.")
    return f'{populate}{diagram}<span class="muted">{why}</span>'


def _relatives(info: TableInfo) -> str:
    """Return links to the tables around, with the numbers of their rows."""
    lines = [
        (say("Refers to"), [foreign.table for foreign in info.parents]),
        (say("Parts"), list(info.parts)),
        (say("Referred to by"), [foreign.table for foreign in info.children]),
    ]
    shown = ""
    for title, names in lines:
        links = "".join(
            f"<li>{link(table_route(name), name.removeprefix(info.schema + '.'))}"
            f' <span class="muted" data-live="{escape(name)}"></span></li>'
            for name in dict.fromkeys(names)
        )
        shown += f"<div><dt>{title}</dt><dd><ul>{links}</ul></dd></div>" if links else ""
    return f'<dl class="relatives">{shown}</dl>' if shown else ""
