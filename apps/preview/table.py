"""Rows: a page of a table, or of an array seen as one, as a plain HTML table."""

from __future__ import annotations

import datetime
import decimal
import itertools
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from panel.viewable import Viewable

from dj_panel.apps.markup import escape
from dj_panel.apps.preview.controls import ICONS, ButtonBar
from dj_panel.apps.preview.description import describe, integer_text, shortened
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.sources import ArraySource, Rows
from dj_panel.apps.preview.stack import LeadSliders
from dj_panel.apps.preview.view import Context, View, column, pane, problem_html, row
from dj_panel.core.words import grouped, say

ROWS_A_PAGE = 100
MOST_COLUMNS = 40
LONGEST_CELL = 200


@dataclass(frozen=True)
class PageQuestion:
    """Which rows are shown, at which position of the axes that are not."""

    first: int = 0
    lead: tuple[int, ...] = ()


@dataclass(frozen=True)
class TablePage:
    """Rows as text.

    Attributes
    ----------
    columns, index
        Names of the columns and of the rows.
    cells
        One list of ``(text, is number or missing)`` per row.
    """

    columns: list[str]
    index: list[str]
    cells: list[list[tuple[str, str]]]
    first: int
    n_rows: int
    n_columns: int


def cell(value: object) -> tuple[str, str]:
    """Return the text of a cell and its class: "n" a number, "none" a missing value, else "".

    >>> cell(1.5), cell(None), cell("a" * 500)[0][-3:], cell(np.zeros(3))
    (('1.5', 'n'), ('NULL', 'none'), 'a …', ('float64 (3,)', ''))
    """
    if value is None or value is pd.NaT or value is pd.NA:
        return "NULL", "none"
    if isinstance(value, np.generic):
        value = value.item() if value.dtype.kind in "biufc" else value
    if isinstance(value, bool):
        return str(value), ""
    if isinstance(value, int):
        return integer_text(value, LONGEST_CELL), "n"
    if isinstance(value, float):
        return ("NaN", "none") if math.isnan(value) else (f"{value:.10g}", "n")
    if isinstance(value, decimal.Decimal):
        return shortened(str(value), LONGEST_CELL), "n"
    if isinstance(value, str):
        return shortened(value, LONGEST_CELL), ""
    if isinstance(value, bytes | np.ndarray | Mapping | list | tuple | set | frozenset):
        text = describe(value).text
        if isinstance(value, list | tuple) and len(value) <= 6:
            text = shortened(reprlib.repr(value), LONGEST_CELL)
        return text, ""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" "), ""
    return shortened(str(value), LONGEST_CELL), ""


def frame_page(frame: pd.DataFrame, question: PageQuestion) -> TablePage:
    """Return rows of a DataFrame as text."""
    part = frame.iloc[question.first : question.first + ROWS_A_PAGE, :MOST_COLUMNS]
    columns = [shortened(str(name), 80) for name in part.columns]
    values = [[cell(value) for value in part.iloc[:, number]] for number in range(len(columns))]
    return TablePage(
        columns,
        [shortened(str(label), 80) for label in part.index],
        [list(cells) for cells in zip(*values, strict=True)],
        question.first,
        len(frame),
        frame.shape[1],
    )


def array_page(source: ArraySource, question: PageQuestion, budget_bytes: int) -> TablePage:
    """Return rows of an array as text: of one axis its values, of more the plane of the last two.

    Raises
    ------
    OverBudgetError
        When the chunks under the page hold more than `budget_bytes`.
    """
    shape = source.shape
    n_rows = shape[0] if len(shape) == 1 else shape[-2]
    n_columns = 1 if len(shape) == 1 else shape[-1]
    last = min(question.first + ROWS_A_PAGE, n_rows)
    rows = slice(question.first, last)
    if len(shape) == 1:
        block = source.read((rows,), budget_bytes)[:, None]
        columns = [say("value")]
    else:
        shown = slice(0, min(n_columns, MOST_COLUMNS))
        block = source.read((*question.lead, rows, shown), budget_bytes)
        columns = list(source.labels[:MOST_COLUMNS]) or [grouped(number) for number in range(block.shape[1])]
    cells = [[cell(value) for value in line] for line in block]
    index = [grouped(number) for number in range(question.first, last)]
    return TablePage(columns, index, cells, question.first, n_rows, n_columns)


def table_html(page: TablePage, note: str = "") -> str:
    """Return a page of rows as HTML; all text in it is escaped."""
    if page.n_rows == 0:
        text = (
            say("The table has no rows. Its columns: {columns}.", columns=", ".join(page.columns))
            if page.columns
            else say("It is empty.")
        )
        return f'<p class="note">{escape(text)}</p>'
    numeric = [any(line[number][1] == "n" for line in page.cells) for number in range(len(page.columns))]
    head = "".join(
        f'<th scope="col"{" class=n" if is_number else ""}>{escape(name)}</th>'
        for name, is_number in zip(page.columns, numeric, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th>'
        + "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in line)
        + "</tr>"
        for label, line in zip(page.index, page.cells, strict=True)
    )
    last = page.first + len(page.cells)
    rows = {"first": page.first + 1, "last": last, "rows": page.n_rows}
    if page.n_columns > len(page.columns):
        shown = say(
            "Rows {first} to {last} of {rows}, columns 1 to {shown} of {columns}",
            shown=len(page.columns),
            columns=page.n_columns,
            **rows,
        )
    else:
        shown = say("Rows {first} to {last} of {rows}", **rows)
    words = " · ".join(filter(None, [shown, note]))
    return (
        f'<div class="scroll rows" tabindex="0" role="region" aria-label="{escape(shown)}"><table>'
        f"<caption>{escape(shown)}</caption><thead><tr><th><span hidden>{say('row')}</span></th>{head}</tr></thead>"
        f'<tbody>{body}</tbody></table></div><p class="note" role="status">{escape(words)}</p>'
    )


class TableView(View):
    """A table, a page of rows at a time."""

    def __init__(self, context: Context, content: Rows | ArraySource) -> None:
        super().__init__(context)
        self._content = content
        self._first = 0
        self._sliders: LeadSliders | None = None
        if isinstance(content, ArraySource):
            n_axes = len(content.shape)
            self._n_rows = content.shape[0] if n_axes == 1 else content.shape[-2]
            if n_axes > 2:
                self._sliders = LeadSliders(
                    content.shape, tuple(range(n_axes - 2)), lambda _positions: self._ask()
                )
        else:
            self._n_rows = len(content.frame)
        self._table = pane("")
        self._asked = self.refresher(self._work, self._show, self._fail)

    async def start(self) -> Viewable:
        """Read the first page and return it with its buttons."""
        page = await self.context.run(self._work, self._question())
        await on_document(self.context.document, lambda: self._show(page))
        controls: list[Viewable] = [] if self._sliders is None else [self._sliders.layout]
        if self._n_rows > ROWS_A_PAGE:
            controls.append(row(self._pager()))
        return column(*controls, self._table)

    def _pager(self) -> ButtonBar:
        names = {
            "first": say("First rows"),
            "previous": say("Previous rows"),
            "next": say("Next rows"),
            "last": say("Last rows"),
        }
        icons = {
            "first": "M4 3v10M12 3 7 8l5 5",
            "previous": ICONS["back"],
            "next": ICONS["forward"],
            "last": "M12 3v10M4 3l5 5-5 5",
        }
        items = [
            {"id": name, "label": label, "icon": icons[name], "text": ""} for name, label in names.items()
        ]
        return ButtonBar(self.press, label=say("Rows"), items=items)

    def press(self, button: str) -> None:
        """Turn the page."""
        last = (self._n_rows - 1) // ROWS_A_PAGE * ROWS_A_PAGE
        wanted = {
            "first": 0,
            "previous": self._first - ROWS_A_PAGE,
            "next": self._first + ROWS_A_PAGE,
            "last": last,
        }[button]
        self._first = min(max(wanted, 0), last)
        self._ask()

    def _question(self) -> PageQuestion:
        return PageQuestion(self._first, () if self._sliders is None else self._sliders.positions)

    def _ask(self) -> None:
        self._asked.ask(self._question())

    def _work(self, question: PageQuestion) -> str:
        if isinstance(self._content, Rows):
            return table_html(frame_page(self._content.frame, question), self._content.note)
        return table_html(array_page(self._content, question, self.context.budget_bytes))

    def _show(self, html_text: str) -> None:
        self._table.object = html_text

    def _fail(self, error: BaseException) -> None:
        self._table.object = problem_html(error)


def numeric_columns(frame: pd.DataFrame, budget_bytes: int) -> ArraySource | None:
    """Return the columns of numbers as a signal, one channel each; None when there are none or too many."""
    names = [
        (number, str(name))
        for number, name in enumerate(frame.columns)
        if isinstance(frame.dtypes.iloc[number], np.dtype) and frame.dtypes.iloc[number].kind in "biuf"
    ]
    if len(frame) < 2 or not names or len(frame) * len(names) * 8 > budget_bytes:
        return None
    values: Any = frame.iloc[:, [number for number, _ in names]].to_numpy(dtype=np.float64)
    labels = tuple(shortened(name, 40) for _, name in names)
    # Two columns of the same name stay two channels.
    seen: dict[str, itertools.count[int]] = {}
    unique = tuple(
        label if (n := next(seen.setdefault(label, itertools.count()))) == 0 else f"{label} ({n + 1})"
        for label in labels
    )
    return ArraySource(values, None, unique)
