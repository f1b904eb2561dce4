"""What a visitor sees of a table, as the parameters of its address and as what the grid is given."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.row_grid import Column, GridRow, GridView
from dj_panel.apps.services.cells import is_value
from dj_panel.apps.services.filters import EMPTY, FILLED, filter_kind, said_filter
from dj_panel.apps.services.rows import Row, RowsPage
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.algebra import Condition
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say, say_many

__all__ = [
    "BATCH",
    "PREFILL",
    "TableView",
    "blank_view",
    "columns_of",
    "delete_route",
    "edit_route",
    "grid_view",
    "object_route",
    "read_view",
    "record_route",
    "rows_text",
    "table_route",
    "unit_of",
]

PREFILL = "set."
"""Before the names of attributes in the address of the form that changes a row: it holds their new values."""

BATCH = "@"
"""Stands for an attribute there where the address names a change that the form goes back behind."""

PAGE_SIZE = 50
MAX_PAGE_SIZE = 250
MAX_SELECTED_CHARS = 3000
"""A longer selection is not in the address: browsers and proxies cut addresses."""

MAX_BATCH_CHARS = 64
"""No name of an import is longer."""

NARROWEST, WIDEST = 40, 1000
_FILTER = "f."


@dataclass(frozen=True)
class TableView:
    """Which rows and columns of a table are shown, in which order.

    Parameters
    ----------
    filters
        What was typed, by attribute.
    sort
        Attributes, ``-`` in front of those sorted downwards.
    page, page_size
        Which page of how many rows, from 1.
    hidden
        Attributes whose columns are not shown.
    order
        Attributes beside the key in the order of their columns; what is left out follows.
    widths
        Widths of columns in pixels, by attribute, where they are not as wide as what is in them.
    at
        Where a page deep in the table begins; see `dj_panel.apps.services.paging`.
    selected
        The keys of selected rows, each as texts in the order of the primary key.
    batch
        The import whose rows alone are shown; of any if empty.
    among
        The condition of these rows, once it is known; not in the address.
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    sort: tuple[str, ...] = ()
    page: int = 1
    page_size: int = PAGE_SIZE
    hidden: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    widths: Mapping[str, int] = field(default_factory=dict)
    at: str = ""
    selected: tuple[tuple[str, ...], ...] = ()
    batch: str = ""
    among: Condition | None = None

    def query(self) -> dict[str, str]:
        """Return the parameters of the address; what is as usual is left out.

        >>> TableView({"age": ">5"}, ("-age",), page=2).query()
        {'sort': '-age', 'f.age': '>5', 'page': '2'}
        """
        query = {"sort": ",".join(self.sort)} if self.sort else {}
        query |= {_FILTER + name: text for name, text in self.filters.items()}
        if self.hidden:
            query["hide"] = ",".join(self.hidden)
        if self.order:
            query["order"] = ",".join(self.order)
        if self.widths:
            query["width"] = ",".join(f"{name}:{width}" for name, width in self.widths.items())
        if self.page_size != PAGE_SIZE:
            query["size"] = str(self.page_size)
        if self.page != 1:
            query["page"] = str(self.page)
        if self.at:
            query["at"] = self.at
        if self.batch:
            query["batch"] = self.batch
        if self.selected and len(written := _written_keys(self.selected)) <= MAX_SELECTED_CHARS:
            query["select"] = written
        return query

    @property
    def question(self) -> tuple[object, ...]:
        """Which rows there are in which order: what two pages must share for one to lead to the other."""
        return (dict(self.filters), self.sort, self.page_size, self.batch)

    def columns(self, info: TableInfo) -> list[str]:
        """Return all attributes in the order of their columns."""
        others = [a.name for a in info.attributes if not a.in_key and a.name not in self.order]
        return [*info.primary_key, *self.order, *others]

    def filtered(self, name: str, text: str) -> TableView:
        """Return the view with another filter of one column, from its first page."""
        filters = {**self.filters, name: text}
        if not text:
            del filters[name]
        return replace(self, filters=filters, page=1, at="")


def read_view(info: TableInfo, query: Mapping[str, str]) -> TableView:
    """Return the view that an address asks for; what the table does not have is left out."""
    names = {attribute.name for attribute in info.attributes}
    filters = {
        name.removeprefix(_FILTER): text
        for name, text in query.items()
        if name.startswith(_FILTER) and name.removeprefix(_FILTER) in names and text.strip()
    }
    sort = dict.fromkeys(item for item in query.get("sort", "").split(",") if _is_sortable(info, item))
    others = names - set(info.primary_key)
    page = query.get("page", "")
    number = _whole_number(page.removeprefix("-"), 1, 10**9)
    return TableView(
        filters,
        tuple(sort),
        -number if re.fullmatch(r"-[1-9][0-9]*", page) else number,
        _whole_number(query.get("size"), PAGE_SIZE, MAX_PAGE_SIZE),
        tuple(dict.fromkeys(n for n in query.get("hide", "").split(",") if n in others)),
        tuple(dict.fromkeys(n for n in query.get("order", "").split(",") if n in others)),
        _read_widths(names, query.get("width", "")),
        query.get("at", "")[:MAX_SELECTED_CHARS],
        _read_keys(info, query.get("select", "")),
        query.get("batch", "")[:MAX_BATCH_CHARS],
    )


def _read_widths(names: Collection[str], text: str) -> dict[str, int]:
    pairs = (item.rpartition(":") for item in text.split(","))
    return {
        name: max(_whole_number(width, NARROWEST, WIDEST), NARROWEST)
        for name, _, width in pairs
        if name in names
    }


def _written_keys(keys: Sequence[Sequence[str]]) -> str:
    return ";".join(",".join(quote(text, safe="") for text in key) for key in keys)


def _read_keys(info: TableInfo, text: str) -> tuple[tuple[str, ...], ...]:
    if not text:
        return ()
    keys = (tuple(unquote(item) for item in key.split(",")) for key in text.split(";"))
    return tuple(dict.fromkeys(key for key in keys if len(key) == len(info.primary_key)))


def _is_sortable(info: TableInfo, item: str) -> bool:
    name = item.removeprefix("-")
    return any(attribute.name == name and not is_value(attribute) for attribute in info.attributes)


def _whole_number(text: str | None, usual: int, largest: int) -> int:
    if text is None or not re.fullmatch(r"[0-9]{1,9}", text):
        return usual
    return min(max(int(text), 1), largest)


# ------------------------------------------------------------------ addresses
def table_route(table: str, filters: Mapping[str, str] | None = None) -> Route:
    """Return the address of a table, filtered."""
    return Route("table", (table,), TableView(filters or {}).query())


def record_route(table: str, key: Mapping[str, str]) -> Route:
    """Return the address of a row."""
    return Route("record", (table,), dict(key))


def edit_route(
    table: str, key: Mapping[str, str], values: Mapping[str, str] | None = None, batch: str = ""
) -> Route:
    """Return the address of the form that changes a row, beginning with other values if some are given.

    With the name of a change that the history has, the form says that the values are those before it, and brings
    back the rows of parts too.
    """
    given = {f"{PREFILL}{name}": text for name, text in (values or {}).items()}
    return Route("edit", (table,), {**key, **given, **({f"{PREFILL}{BATCH}": batch} if batch else {})})


def delete_route(table: str, key: Mapping[str, str]) -> Route:
    """Return the address of the page that deletes a row."""
    return Route("delete", (table,), dict(key))


def object_route(table: str, key: Mapping[str, str], attribute: str) -> Route:
    """Return the address of a value; where the key has an attribute of the name, it stands in the path.

    >>> object_route("lab.Scan", {"scan": "1"}, "image")
    Route(page='object', path=('lab.Scan',), query={'scan': '1', 'attribute': 'image'})
    """
    if "attribute" in key:
        return Route("object", (table, attribute), dict(key))
    return Route("object", (table,), {**key, "attribute": attribute})


# ------------------------------------------------------------------ for the grid
def unit_of(attribute: Attribute) -> str:
    """Return the unit that a comment begins with or names in brackets, empty if there is none.

    >>> unit_of(Attribute("weight", "float64", comment="(g) without the cage"))
    'g'
    """
    match = re.match(r"\(([^()\s]{1,12}(?: [^()\s]{1,6})?)\)", attribute.comment)
    return match[1] if match else ""


def columns_of(info: TableInfo) -> list[Column]:
    """Return the columns of a table for the grid."""
    return [_column(info, attribute) for attribute in info.attributes]


def _column(info: TableInfo, attribute: Attribute) -> Column:
    kind = filter_kind(attribute)
    link = info.parent_of(attribute.name)
    about = [attribute.comment, attribute.type]
    if link is not None:
        about.append(say("refers to {table}", table=link.table))
    column = Column(
        name=attribute.name,
        key=attribute.in_key,
        number=kind == "number",
        sortable=not is_value(attribute),
        filter=kind,
        unit=unit_of(attribute),
        about=" · ".join(text for text in about if text),
    )
    emptiness = [FILLED, EMPTY] if attribute.nullable else []
    if kind == "choice":
        column["choices"] = [*attribute.choices, *emptiness]
    elif kind == "yes-no":
        column["choices"] = ["yes", "no", *emptiness]
    elif kind == "presence":
        column["choices"] = [FILLED, EMPTY]
    return column


def blank_view(info: TableInfo, view: TableView, serial: int = 0) -> GridView:
    """Return what the grid shows before there is an answer; `serial` counts the selections taken note of."""
    return GridView(
        state="loading",
        message="",
        hint="",
        rows=[],
        sort=[[item.removeprefix("-"), item.startswith("-")] for item in view.sort],
        filters=dict(view.filters),
        said={n: said_filter(info.attribute(n), text) for n, text in view.filters.items()},
        problems={},
        hidden=list(view.hidden),
        order=list(view.order),
        widths=dict(view.widths),
        selected=[_row_address(info, dict(zip(info.primary_key, key, strict=True))) for key in view.selected],
        serial=serial,
        page=view.page,
        page_text="",
        range="",
        page_size=view.page_size,
        last_page=0,
        has_next=False,
        n_rows=0,
        is_capped=False,
        count="",
        count_text="",
        code="",
        add="",
        quiet=False,
    )


def grid_view(
    view: TableView, found: RowsPage, total_text: str, *, code: str, add: str, serial: int = 0
) -> GridView:
    """Return what the grid shows of a page of rows.

    Parameters
    ----------
    view
        What was asked for.
    found
        The answer.
    total_text
        How many rows the table has without filters, if that is known.
    code
        Python that fetches the same.
    add
        Address of the form, where rows can be added.
    serial
        As for `blank_view`.
    """
    shown = blank_view(found.table, view, serial)
    has_filters = bool(view.filters) or view.among is not None
    shown["state"] = "rows" if found.rows else "no-match" if has_filters else "empty"
    if not found.rows:
        shown["message"] = (
            say("No row matches these filters") if has_filters else say("This table has no rows yet")
        )
        if not has_filters and not add:
            shown["hint"] = say("Rows appear here as soon as they are computed or entered.")
    shown["rows"] = [_grid_row(row, found.table) for row in found.rows]
    shown["page"], shown["page_size"] = found.page, found.page_size
    shown["page_text"], shown["range"] = _page_text(found.page), _range_text(found)
    shown["last_page"] = 0 if found.is_capped else max(found.count - 1, 0) // found.page_size + 1
    shown["has_next"] = found.has_next
    shown["n_rows"], shown["is_capped"], shown["count"] = found.count, found.is_capped, found.count_text
    if not has_filters:
        shown["count_text"] = rows_text(found.count_text)
    elif total_text:
        shown["count_text"] = say_many(
            "{n} of {total} rows matches",
            "{n} of {total} rows match",
            found.count,
            n=found.count_text,
            total=total_text,
        )
    else:
        shown["count_text"] = say_many("{n} row matches", "{n} rows match", found.count, n=found.count_text)
    shown["code"], shown["add"] = code, add
    return shown


def _page_text(page: int) -> str:
    if page > 0:
        return str(page)
    return say("last") if page == -1 else say("last − {n}", n=str(-page - 1))


def rows_text(count_text: str) -> str:
    """Return a number of rows in words; the number is text, for it may say that there are more."""
    return say_many("{n} row", "{n} rows", 1 if count_text == "1" else 2, n=count_text)


def _range_text(found: RowsPage) -> str:
    """Return which rows are shown, in words."""
    if not found.rows:
        return ""
    if found.page == -1:
        return say("last {n} of {count}", n=len(found.rows), count=found.count_text)
    if found.page < 0:
        return say(
            "{n} of {count}, page {page} from the end",
            n=len(found.rows),
            count=found.count_text,
            page=str(-found.page),
        )
    first = (found.page - 1) * found.page_size + 1
    last = first + len(found.rows) - 1
    return say("{first}–{last} of {count}", first=first, last=last, count=found.count_text)


def _row_address(info: TableInfo, key: Mapping[str, str]) -> str:
    return format_route(record_route(info.name, key))


def _grid_row(row: Row, info: TableInfo) -> GridRow:
    address = _row_address(info, row.key)
    cells: list[list[str]] = []
    for attribute, cell, parent in zip(info.attributes, row.cells, row.parents, strict=True):
        item = [cell.text]
        if cell.kind not in ("text", "number"):
            item.append(cell.kind)
        if parent is not None and cell.kind != "null":
            item += ["", format_route(record_route(parent.table, parent.key))]
        elif cell.kind == "value" or (is_value(attribute) and cell.kind == "text"):
            item = [cell.text, cell.kind, format_route(object_route(info.name, row.key, attribute.name))]
        cells.append(item)
    label = ", ".join(f"{name} {text}" for name, text in row.key.items()) or say("the row")
    shown = GridRow(id=address, href=address, label=label, cells=cells)
    if info.can_enter:
        shown["actions"] = [
            {"name": page, "label": label, "href": format_route(Route(page, (info.name,), dict(row.key)))}
            for page, label in (("edit", say("Edit")), ("delete", say("Delete…")))
            if page == "edit" or info.master is None
        ]
    return shown
