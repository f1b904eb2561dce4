"""The grid that shows one page of rows: a component that asks, and never sorts or filters by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NotRequired, TypedDict

import param
from panel.custom import JSComponent

from dj_panel.apps.assets import asset, script

__all__ = ["Column", "GridRow", "GridView", "RowGrid"]

GridState = Literal["rows", "empty", "no-match", "error", "loading"]


class Column(TypedDict):
    """One column: `filter` is a `FilterKind`, `choices` are given where there are few things to ask for."""

    name: str
    key: bool
    number: bool
    sortable: bool
    filter: str
    choices: NotRequired[list[str]]
    unit: str
    about: str


class GridRow(TypedDict):
    """One row: `cells` hold text, kind and address by column; the last two may be left out.

    `actions` are further links of its menu, each a `RowAction`.
    """

    id: str
    href: str
    label: str
    cells: list[list[str]]
    actions: NotRequired[list[dict[str, str]]]


class Format(TypedDict):
    """One kind of file: `values` says whether it can hold arrays, `missing` why it cannot be made here."""

    id: str
    label: str
    about: str
    values: bool
    missing: str


class GridView(TypedDict):
    """What the grid shows.

    `sort` lists pairs of column and direction; `problems` are filters that were not understood, each with its
    ``text`` and ``message``. `hidden`, `order` and `widths` (in pixels) say which columns are shown, those of
    the key always first. `said` are the `filters` in the language of the visitor. A `page` below 0 is counted
    from the end; `last_page` is 0 where it is not known. `selected` are ids of rows, on any page, as they
    were known at the browser's change number `serial`. A `quiet` view marks the rows that are new and leaves
    everything else where it was.
    """

    state: GridState
    message: str
    hint: str
    rows: list[GridRow]
    sort: list[list[Any]]
    filters: dict[str, str]
    said: dict[str, str]
    problems: dict[str, dict[str, str]]
    hidden: list[str]
    order: list[str]
    widths: dict[str, int]
    selected: list[str]
    serial: int
    page: int
    page_text: str
    range: str
    page_size: int
    last_page: int
    has_next: bool
    n_rows: int
    is_capped: bool
    count: str
    count_text: str
    code: str
    add: str
    quiet: bool


class RowGrid(JSComponent):
    """A table of rows with sorting, filters, pages and a choice of columns, all by keyboard too.

    Parameters
    ----------
    on_event
        Called with what the visitor asks for: a mapping whose ``type`` is one of those that
        `dj_panel.apps.browse.TablePage` answers. It comes from a browser and may be anything.
    """

    columns = param.List(default=[], item_type=dict, doc="The columns, each a `Column`.")
    view = param.Dict(default={}, doc="What to show, a `GridView`.")
    label = param.String(default="Rows", doc="Name of the table for screen readers.")
    memory = param.String(doc="Under which name the browser remembers columns and views.")
    formats = param.List(
        default=[], item_type=dict, doc="Files that rows can be exported to, each a `Format`."
    )
    has_values = param.Boolean(default=False, doc="Whether rows hold arrays and the like.")
    has_labels = param.Boolean(default=False, doc="Whether rows refer to rows that are called something.")
    edits = param.Boolean(default=False, doc="Whether selected rows can be changed together.")
    deletes = param.Boolean(default=False, doc="Whether selected rows can be deleted.")
    computes = param.Boolean(default=False, doc="Whether what is missing of selected rows can be computed.")
    keeps_restrictions = param.Boolean(default=True, doc="Whether a filter can be kept on every page.")

    _esm = script(*(f"row_grid{part}.js" for part in ("_dom", "_head", "_body", "_popups", "")))
    _stylesheets: ClassVar[list[str]] = [asset("row_grid.css")]

    def __init__(self, on_event: Callable[[Mapping[str, Any]], Any], **params: Any) -> None:
        sizing = {"sizing_mode": "stretch_width", "margin": 0}
        super().__init__(**(sizing | params))  # type: ignore[no-untyped-call]
        self._on_event = on_event

    def answer(self, **data: Any) -> None:
        """Answer what the visitor asked for; ``download`` is an address to fetch, ``copy`` a text to copy."""
        self._send_msg(data)

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, Mapping) and isinstance(data.get("type"), str):
            self._on_event(data)
