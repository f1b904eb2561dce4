"""What a visitor sees of a table, as the parameters of its address and as what the grid is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.row_grid import Column, GridRow, GridView
from dj_panel.apps.services.cells import is_value
from dj_panel.apps.services.filters import EMPTY, FILLED, filter_kind
from dj_panel.apps.services.rows import Row, RowsPage
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.structure import Attribute

__all__ = [
    "TableView",
    "blank_view",
    "columns_of",
    "grid_view",
    "object_route",
    "read_view",
    "record_route",
    "table_route",
    "unit_of",
]

PAGE_SIZE = 50
MAX_PAGE_SIZE = 250
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
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    sort: tuple[str, ...] = ()
    page: int = 1
    page_size: int = PAGE_SIZE
    hidden: tuple[str, ...] = ()

    def query(self) -> dict[str, str]:
        """Return the parameters of the address; what is as usual is left out.

        >>> TableView({"age": ">5"}, ("-age",), page=2).query()
        {'sort': '-age', 'f.age': '>5', 'page': '2'}
        """
        query = {"sort": ",".join(self.sort)} if self.sort else {}
        query |= {_FILTER + name: text for name, text in self.filters.items()}
        if self.hidden:
            query["hide"] = ",".join(self.hidden)
        if self.page_size != PAGE_SIZE:
            query["size"] = str(self.page_size)
        if self.page != 1:
            query["page"] = str(self.page)
        return query

    def filtered(self, name: str, text: str) -> TableView:
        """Return the view with another filter of one column, from its first page."""
        filters = {**self.filters, name: text}
        if not text:
            del filters[name]
        return replace(self, filters=filters, page=1)


def read_view(info: TableInfo, query: Mapping[str, str]) -> TableView:
    """Return the view that an address asks for; what the table does not have is left out."""
    names = {attribute.name for attribute in info.attributes}
    filters = {
        name.removeprefix(_FILTER): text
        for name, text in query.items()
        if name.startswith(_FILTER) and name.removeprefix(_FILTER) in names and text.strip()
    }
    sort = dict.fromkeys(item for item in query.get("sort", "").split(",") if _is_sortable(info, item))
    hidden = [n for n in query.get("hide", "").split(",") if n in names and n not in info.primary_key]
    return TableView(
        filters,
        tuple(sort),
        _whole_number(query.get("page"), 1, 10**9),
        _whole_number(query.get("size"), PAGE_SIZE, MAX_PAGE_SIZE),
        tuple(hidden),
    )


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
        about.append(f"refers to {link.table}")
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


def blank_view(view: TableView) -> GridView:
    """Return what the grid shows before there is an answer."""
    return GridView(
        state="loading",
        message="",
        hint="",
        rows=[],
        sort=[[item.removeprefix("-"), item.startswith("-")] for item in view.sort],
        filters=dict(view.filters),
        problems={},
        hidden=list(view.hidden),
        page=view.page,
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


def grid_view(view: TableView, found: RowsPage, total_text: str, *, code: str, add: str) -> GridView:
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
    """
    shown = blank_view(view)
    has_filters = bool(view.filters)
    shown["state"] = "rows" if found.rows else "no-match" if has_filters else "empty"
    if not found.rows:
        shown["message"] = "No row matches these filters" if has_filters else "This table has no rows yet"
        if not has_filters and not add:
            shown["hint"] = "Rows appear here as soon as they are computed or entered."
    shown["rows"] = [_grid_row(row, found.table) for row in found.rows]
    shown["page"], shown["page_size"] = found.page, found.page_size
    shown["last_page"] = 0 if found.is_capped else max(found.count - 1, 0) // found.page_size + 1
    shown["has_next"] = found.has_next
    shown["n_rows"], shown["is_capped"], shown["count"] = found.count, found.is_capped, found.count_text
    rows = "row" if found.count == 1 else "rows"
    if has_filters:
        of = f" of {total_text}" if total_text else ""
        shown["count_text"] = (
            f"{found.count_text}{of} rows match" if found.count != 1 else f"1{of} rows matches"
        )
    else:
        shown["count_text"] = f"{found.count_text} {rows}"
    shown["code"], shown["add"] = code, add
    return shown


def _grid_row(row: Row, info: TableInfo) -> GridRow:
    address = format_route(record_route(info.name, row.key))
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
    label = ", ".join(f"{name} {text}" for name, text in row.key.items()) or "the row"
    return GridRow(id=address, href=address, label=label, cells=cells)
