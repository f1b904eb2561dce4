"""HTML of one row: its values, what it belongs to and what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from dj_panel.apps.entry import like_route
from dj_panel.apps.markup import escape, tier_chip
from dj_panel.apps.routes import Route
from dj_panel.apps.services.cells import Cell
from dj_panel.apps.services.filters import filter_kind
from dj_panel.apps.services.rows import Address, Record, RowsPage
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.table_html import can_add, link
from dj_panel.apps.table_view import (
    delete_route,
    edit_route,
    object_route,
    record_route,
    rows_text,
    table_route,
    unit_of,
)
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say, say_many

__all__ = ["cell_html", "record_html", "steps_html"]

_UP = "M4.5 7L8 3.5 11.5 7M8 3.5v9"
_DOWN = "M4.5 9L8 12.5 11.5 9M8 12.5v-9"
_KEY = "M10.2 2.6a3.2 3.2 0 1 1-2.4 5.3L3 12.7V14h2v-1.4h1.5V11M10.9 5.1h.01"


def steps_html(before: Route | None, after: Route | None) -> str:
    """Return links to the rows before and after, which the keyboard reaches with Alt and an arrow."""

    def step(route: Route | None, text: str, title: str, key: str, path: str) -> str:
        image = icon_of(path)
        if route is None:
            return f'<span class="button off" aria-disabled="true">{image}{text}</span>'
        html = link(route, text, "button")
        shortcut = f'data-shortcut="{key}" title="{title}"'
        return html.replace("<a ", f"<a {shortcut} ", 1).replace(">", f">{image}", 1)

    label = say("Rows before and after")
    return (
        f'<nav class="steps" aria-label="{label}">'
        + step(before, say("Previous row"), say("Previous row (Alt + up)"), "ArrowUp", _UP)
        + step(after, say("Next row"), say("Next row (Alt + down)"), "ArrowDown", _DOWN)
        + "</nav>"
    )


def icon_of(path: str) -> str:
    """Return an icon drawn on a 16 × 16 grid."""
    return (
        '<svg viewBox="0 0 16 16" width="14" height="14" fill="none" stroke="currentColor" stroke-width="1.5"'
        f' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{path}"/></svg>'
    )


def record_html(record: Record, *, steps: str, code: str, past: str = "") -> str:
    """Return all of a record but its previews; ``past`` is the HTML of its history."""
    info = record.table
    key = record.row.key
    actions = link(table_route(info.name), say("All rows"), "button")
    if info.master is None:
        actions = link(delete_route(info.name, key), say("Delete…"), "button danger") + actions
    if info.can_enter:
        edit = link(edit_route(info.name, key), say("Edit"), "button")
        title = say("Edit (E)")
        shortcut = f'data-key="e" aria-keyshortcuts="e" title="{title}"'
        actions = edit.replace("<a ", f"<a {shortcut} ", 1) + actions
    if can_add(info):
        actions = link(like_route(info.name, key), say("Duplicate as new"), "button primary") + actions
    load, copy = say("Load it in Python"), say("Copy")
    return (
        f'<div class="record"><div class="top"><p class="what">{tier_chip(info.tier)}'
        f"{link(table_route(info.name), info.name)}"
        f'<span class="muted">{escape(info.comment)}</span></p><div class="do">{actions}{steps}</div></div>'
        f"{_parents_html(record)}{_values_html(record)}{_parts_html(record)}{_children_html(record)}{past}"
        f'<details><summary>{load}</summary><div class="code">'
        f'<pre id="code" tabindex="0" aria-label="Python">{escape(code)}</pre>'
        f'<button type="button" class="button" data-copy="code">{copy}</button></div></details></div>'
    )


def _parents_html(record: Record) -> str:
    items, label = [], say("Belongs to")
    for foreign, address in record.parents:
        name = foreign.table.rpartition(".")[2]
        if foreign.foreign_key.renamed:
            name = f"{', '.join(foreign.foreign_key.renamed)} ({name})"
        if address is None:
            none = say("{name}: none", name=escape(name))
            items.append(f'<li><span class="muted">{none}</span></li>')
            continue
        key = " · ".join(address.key.values())
        items.append(f"<li>{link(record_route(address.table, address.key), f'{name} {key}', 'crumb')}</li>")
    return f'<nav class="parents" aria-label="{label}"><ul>{"".join(items)}</ul></nav>' if items else ""


def _values_html(record: Record) -> str:
    lines = []
    key, key_before = say("Key"), say("Key:")
    for attribute, cell, parent in zip(
        record.table.attributes, record.row.cells, record.row.parents, strict=True
    ):
        mark = (
            f'<span class="key" title="{key}">{icon_of(_KEY)}<span class="hidden">{key_before} </span></span>'
        )
        unit = unit_of(attribute)
        comment = attribute.comment.removeprefix(f"({unit})").strip() if unit else attribute.comment
        name = f"{mark if attribute.in_key else ''}{escape(attribute.name)}"
        value = cell_html(record.table, record.row.key, attribute, cell, parent)
        about = " · ".join(text for text in (comment, attribute.type) if text)
        unit_html = f' <span class="muted">{escape(unit)}</span>' if unit and cell.kind != "null" else ""
        lines.append(
            f'<tr><th scope="row">{name}</th><td>{value}{unit_html}</td>'
            f'<td class="about">{escape(about)}</td></tr>'
        )
    title = say("Values")
    caption = f'<caption class="hidden">{title}</caption>'
    return f'<table class="values">{caption}<tbody>{"".join(lines)}</tbody></table>'


def cell_html(
    info: TableInfo, key: Mapping[str, str], attribute: Attribute, cell: Cell, parent: Address | None
) -> str:
    """Return one value as HTML: a link where there is something to go to, a mark where there is nothing."""
    if cell.kind == "null":
        title, text = say("No value"), say("no value")
        return (
            f'<span class="null" title="{title}"><span aria-hidden="true">∅</span>'
            f'<span class="hidden">{text}</span></span>'
        )
    if cell.kind == "problem":
        return f'<span class="bad">{escape(cell.text)}</span>'
    if cell.kind == "value":
        return link(object_route(info.name, key, attribute.name), cell.text, "chip")
    if parent is not None:
        return link(record_route(parent.table, parent.key), cell.text)
    if attribute.column_type.kind == "json":
        more = link(object_route(info.name, key, attribute.name), say("Look into it"))
        return f'<pre class="json">{escape(_indented(cell))}</pre>{more}'
    return f'<span class="text">{escape(cell.text)}</span>'


def _indented(cell: Cell) -> str:
    try:
        return json.dumps(json.loads(cell.text), indent=2, ensure_ascii=False)
    except ValueError:  # cut off, or kept by a server that does not check
        return cell.text


def _parts_html(record: Record) -> str:
    sections = []
    for name, (page, filters) in record.parts.items():
        title = escape(name.rpartition(".")[2])
        everything = say_many("All {n} row", "All {n} rows", page.count, n=page.count_text)
        nothing = say("No rows.")
        none = f'<p class="muted">{nothing}</p>'
        body = _small_table(page, set(filters)) if page.rows else none
        foot = f"<p>{link(table_route(name, filters), everything)}</p>" if page.has_next else ""
        sections.append(
            f'<section><h2>{title} <span class="muted">{rows_text(page.count_text)}</span></h2>'
            f"{body}{foot}</section>"
        )
    return "".join(sections)


def _small_table(page: RowsPage, left_out: set[str]) -> str:
    shown = [i for i, a in enumerate(page.table.attributes) if a.name not in left_out] or [0]
    head = "".join(
        f'<th scope="col"{_alignment(page.table.attributes[i])}>{escape(page.table.attributes[i].name)}</th>'
        for i in shown
    )
    lines = []
    for row in page.rows:
        cells = []
        for i in shown:
            attribute, cell = page.table.attributes[i], row.cells[i]
            html = (
                cell_html(page.table, row.key, attribute, cell, row.parents[i])
                if attribute.column_type.kind != "json"
                else escape(cell.text)
            )
            cells.append(f"<td{_alignment(attribute)}>{html}</td>")
        opened = link(record_route(page.table.name, row.key), say("Open"))
        lines.append(f"<tr>{''.join(cells)}<td>{opened}</td></tr>")
    opens = say("Open")
    label = say("Rows of {table}", table=escape(page.table.name))
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{label}">'
        f'<table class="small"><thead><tr>{head}'
        f'<th><span class="hidden">{opens}</span></th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _alignment(attribute: Attribute) -> str:
    return ' class="n"' if filter_kind(attribute) == "number" else ""


def _children_html(record: Record) -> str:
    if not record.children:
        return ""
    items = []
    for child in record.children:
        through = child.link.foreign_key.renamed
        label = child.table + (f" ({', '.join(through)})" if through else "")
        css_class = "" if child.count_text != "0" else ' class="none"'
        items.append(
            f"<li{css_class}>{link(table_route(child.table, child.filters), label)}"
            f' <span class="muted">{rows_text(child.count_text)}</span></li>'
        )
    title = say("Referred to by")
    return f'<section><h2>{title}</h2><ul class="children">{"".join(items)}</ul></section>'
