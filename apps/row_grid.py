"""The grid that shows one page of rows: a component that asks, and never sorts or filters by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, TypedDict

import param
from panel.custom import JSComponent

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
    """One row: `cells` hold text, kind and address by column; the last two may be left out."""

    id: str
    href: str
    label: str
    cells: list[list[str]]


class GridView(TypedDict):
    """What the grid shows.

    `sort` lists pairs of column and direction; `problems` are filters that were not understood, each with
    its ``text`` and ``message``; `last_page` is 0 where it is not known. A `quiet` view marks the rows that
    are new and leaves everything else where it was.
    """

    state: GridState
    message: str
    hint: str
    rows: list[GridRow]
    sort: list[list[Any]]
    filters: dict[str, str]
    problems: dict[str, dict[str, str]]
    hidden: list[str]
    page: int
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
        Called with what the visitor asks for: a mapping whose ``type`` is ``sort``, ``filter``, ``clear``,
        ``page``, ``size``, ``columns``, ``export`` or ``again``. It comes from a browser and may be anything.
    """

    columns = param.List(default=[], item_type=dict, doc="The columns, each a `Column`.")
    view = param.Dict(default={}, doc="What to show, a `GridView`.")
    label = param.String(default="Rows", doc="Name of the table for screen readers.")

    _esm = Path(__file__).with_suffix(".js")
    _stylesheets: ClassVar[list[str]] = [Path(__file__).with_suffix(".css").read_text(encoding="utf-8")]

    def __init__(self, on_event: Callable[[Mapping[str, Any]], Any], **params: Any) -> None:
        sizing = {"sizing_mode": "stretch_width", "margin": 0}
        super().__init__(**(sizing | params))  # type: ignore[no-untyped-call]
        self._on_event = on_event

    def download(self, address: str) -> None:
        """Have the browser fetch a file."""
        self._send_msg({"download": address})

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, Mapping) and isinstance(data.get("type"), str):
            self._on_event(data)
