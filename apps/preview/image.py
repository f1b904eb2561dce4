"""Pictures: the visible window of two axes of an array, at the pixels there are on the screen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
from holoviews.plotting.util import process_cmap
from panel.viewable import Viewable

from dj_panel.apps.preview.controls import plot_buttons, select
from dj_panel.apps.preview.decimation import Array, Summary, summarise
from dj_panel.apps.preview.figure import Frame, Range, plain_numbers, plot_pane, watch_ranges
from dj_panel.apps.preview.imagetext import contrast_text, plane_text, thinned_text, tiles_text
from dj_panel.apps.preview.lines import PARTS
from dj_panel.apps.preview.refresh import on_document, soon
from dj_panel.apps.preview.sources import ArraySource
from dj_panel.apps.preview.view import Context, View, column, pane, problem_html, row, summary_html
from dj_panel.apps.preview.window import (
    Index,
    OverBudgetError,
    moved,
    spread_evenly,
    stride_for,
    touched_bytes,
)
from dj_panel.core.words import marked, say

HEIGHT_PX = 520
FIRST_SIZE_PX = (900, HEIGHT_PX)
# Images up to this many pixels are sent whole: the browser then zooms without asking.
WHOLE_PIXELS = 1_000_000
OVERVIEW_SHARE = 4
MOST_SAMPLED_CHUNKS = 256
MIN_SPAN_PX = 8.0

# Percentiles between which grey values are spread; the last one anew for each view.
CONTRASTS: dict[str, tuple[float, float]] = {
    "1–99 %": (1.0, 99.0),
    "0.1–99.9 %": (0.1, 99.9),
    marked("min–max"): (0.0, 100.0),
    marked("1–99 %, each view"): (1.0, 99.0),
}
COLOR_MAPS = {
    "gray": "gray",
    "viridis": "viridis",
    "magma": "magma",
    "cividis": "cividis",
    "inferno": "inferno",
    marked("blue–red"): "coolwarm",
}


@dataclass(frozen=True)
class ImageQuestion:
    """What is visible of an image.

    Attributes
    ----------
    rows, columns
        First and past-last position on the two axes.
    lead
        Position on each axis that is not shown, in the order of the axes.
    pixels
        Width and height of the plot on the screen.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    lead: tuple[int, ...] = ()
    pixels: tuple[int, int] = FIRST_SIZE_PX
    part: str = ""


@dataclass(frozen=True)
class Picture:
    """What to draw of it.

    Attributes
    ----------
    pixels
        ``(n_rows, n_columns)`` real, or ``(n_rows, n_columns, 3 or 4)``.
    extent
        Left, top, right and bottom in positions of the array.
    """

    question: ImageQuestion
    pixels: Array
    extent: tuple[float, float, float, float]
    summary: Summary
    note: str
    approximate: bool = False


@dataclass(frozen=True)
class Plane:
    """Which axes of an array are the rows and the columns of an image, and whether the last holds colours."""

    rows: int
    columns: int
    rgb: bool = False

    def index(self, rows: slice | int, columns: slice | int, lead: tuple[int, ...], n_axes: int) -> Index:
        """Return what to read for these rows and columns."""
        rest = iter(lead)
        items: list[int | slice] = []
        for axis in range(n_axes):
            if axis == self.rows:
                items.append(rows)
            elif axis == self.columns:
                items.append(columns)
            elif self.rgb and axis == n_axes - 1:
                items.append(slice(None))
            else:
                items.append(next(rest))
        return tuple(items)


def draw_image(source: ArraySource, plane: Plane, question: ImageQuestion, budget_bytes: int) -> Picture:
    """Read the visible window at the resolution of the screen; over the budget, the mean of some chunks.

    Raises
    ------
    OverBudgetError
        When not even one chunk can be read.
    """
    (row_0, row_1), (column_0, column_1) = question.rows, question.columns
    n_axes = len(source.shape)
    row_step = stride_for(row_1 - row_0, question.pixels[1])
    column_step = stride_for(column_1 - column_0, question.pixels[0])
    index = plane.index(
        slice(row_0, row_1, row_step), slice(column_0, column_1, column_step), question.lead, n_axes
    )
    if source.cost(index) > budget_bytes:
        return _mosaic(source, plane, question, budget_bytes)
    pixels = _real(_oriented(source.read(index, budget_bytes), plane), question.part)
    extent = (
        float(column_0),
        float(row_0),
        float(column_0 + pixels.shape[1] * column_step),
        float(row_0 + pixels.shape[0] * row_step),
    )
    if row_step == column_step == 1:
        note = say("Every pixel is drawn")
    else:
        note = thinned_text(row_step, column_step)
    return Picture(question, _drawable(pixels), extent, summarise(pixels), note)


def _mosaic(source: ArraySource, plane: Plane, question: ImageQuestion, budget_bytes: int) -> Picture:
    """Return a coarse image in which each tile is the mean of one chunk, of chunks evenly spread."""
    assert source.chunks is not None, "what is in memory costs nothing to read"
    n_axes = len(source.shape)
    height, width = source.chunks[plane.rows], source.chunks[plane.columns]
    one = plane.index(0, 0, question.lead, n_axes)
    one_cost = touched_bytes(source.shape, source.chunks, source.dtype.itemsize, one)
    if one_cost > budget_bytes:
        raise OverBudgetError(one_cost, budget_bytes)
    grid_rows = range(question.rows[0] // height, (question.rows[1] - 1) // height + 1)
    grid_columns = range(question.columns[0] // width, (question.columns[1] - 1) // width + 1)
    n_wanted = max(1, min(budget_bytes // OVERVIEW_SHARE // one_cost, MOST_SAMPLED_CHUNKS))
    n_rows, n_columns = tile_counts(len(grid_rows), len(grid_columns), n_wanted)
    chosen_rows = [grid_rows[k] for k in spread_evenly(len(grid_rows), n_rows)]
    chosen_columns = [grid_columns[k] for k in spread_evenly(len(grid_columns), n_columns)]
    tiles: list[Array] = []
    summary = Summary()
    for grid_row, grid_column in itertools.product(chosen_rows, chosen_columns):
        index = plane.index(
            slice(grid_row * height, (grid_row + 1) * height),
            slice(grid_column * width, (grid_column + 1) * width),
            question.lead,
            n_axes,
        )
        chunk = _real(_oriented(source.read(index, budget_bytes), plane), question.part)
        found = summarise(chunk)
        summary = summary + found
        if plane.rgb:
            tiles.append(chunk.reshape(-1, chunk.shape[-1]).mean(axis=0).astype(chunk.dtype))
        else:
            tiles.append(np.asarray(np.nan if found.mean is None else found.mean))
    shape = (len(chosen_rows), len(chosen_columns)) + ((tiles[0].shape[0],) if plane.rgb else ())
    extent = (
        float(question.columns[0]),
        float(question.rows[0]),
        float(question.columns[1]),
        float(question.rows[1]),
    )
    n_chunks = len(grid_rows) * len(grid_columns)
    note = tiles_text(len(tiles), n_chunks)
    return Picture(question, np.stack(tiles).reshape(shape), extent, summary, note, approximate=True)


def tile_counts(n_rows: int, n_columns: int, n_wanted: int) -> tuple[int, int]:
    """Return how many rows and columns of chunks to sample so that about `n_wanted` are, never more.

    >>> tile_counts(40, 40, 30), tile_counts(1, 1000, 30), tile_counts(2, 3, 30)
    ((5, 6), (1, 30), (2, 3))
    """
    share = math.sqrt(min(1.0, n_wanted / (n_rows * n_columns)))
    rows = min(n_rows, max(1, int(n_rows * share)))
    columns = min(n_columns, max(1, n_wanted // rows), max(1, math.ceil(n_columns * share)))
    rows = max(1, min(rows, n_wanted // columns))
    if rows == 1:
        columns = min(n_columns, n_wanted)
    elif columns == 1:
        rows = min(n_rows, n_wanted)
    return rows, columns


def contrast_limits(pixels: Array, percentiles: tuple[float, float]) -> Range:
    """Return the values drawn as darkest and as brightest; NaN and infinities do not count.

    >>> contrast_limits(np.array([[0.0, 1.0], [np.nan, 3.0]]), (0, 100))
    (0.0, 3.0)
    """
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels.reshape(-1)
    if finite.size == 0:
        return (0.0, 1.0)
    low, high = (float(limit) for limit in np.percentile(finite, percentiles))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def fitted(extent_x: Range, extent_y: Range, size_px: tuple[int, int]) -> tuple[Range, Range]:
    """Return ranges that hold both extents and draw square pixels in a plot of this size.

    >>> fitted((0, 100), (0, 100), (200, 100))
    ((-50.0, 150.0), (0.0, 100.0))
    """
    width, height = extent_x[1] - extent_x[0], extent_y[1] - extent_y[0]
    per_pixel = max(width / size_px[0], height / size_px[1])
    ranges = []
    for (low, high), n_pixels in ((extent_x, size_px[0]), (extent_y, size_px[1])):
        centre, span = (low + high) / 2, per_pixel * n_pixels
        ranges.append((centre - span / 2, centre + span / 2))
    return ranges[0], ranges[1]


def _oriented(block: Array, plane: Plane) -> Array:
    return block if plane.rows < plane.columns else block.swapaxes(0, 1)


def _real(pixels: Array, part: str) -> Array:
    return PARTS[part](pixels) if part else pixels


def _drawable(pixels: Array) -> Array:
    """Return pixels in a type that a browser can take; the values sent stay as small as they are."""
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == "b":
        return pixels.astype(np.uint8)
    if kind == "f" and size not in (4, 8):
        return pixels.astype(np.float32 if size < 4 else np.float64)
    if kind in "iu" and size == 8:
        return pixels.astype(np.float64)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


class ImageView(View):
    """An image that follows the visible window."""

    def __init__(
        self, context: Context, source: ArraySource, plane: Plane, lead: tuple[int, ...] = ()
    ) -> None:
        super().__init__(context)
        self.source = source
        self.plane = plane
        self._lead = lead
        self._n_rows, self._n_columns = source.shape[plane.rows], source.shape[plane.columns]
        self._size_px = FIRST_SIZE_PX
        self._part = "magnitude" if source.dtype.kind == "c" else ""
        self._contrast = next(iter(CONTRASTS))
        self._color_map = "gray"
        self._limits: Range | None = None
        self._limits_are_of_means = False
        # Until the visitor moves, the image fills the plot, whatever size the plot turns out to have.
        self._is_fitted = True
        self._x, self._y = self._whole()
        self._frame: Frame | None = None
        self._pipe: hv.streams.Pipe | None = None
        self._streams: Any = ()
        self._picture: Picture | None = None
        self._plot = column()
        self._summary = pane("")
        self._asked = self.refresher(self._work, self._show, self._fail)

    @property
    def picture(self) -> Picture | None:
        """What is on the page now."""
        return self._picture

    async def start(self) -> Viewable:
        """Read the image, thinned out to the screen, and return plot, buttons and figures."""
        picture = await self.context.run(self._work, self._question())
        await on_document(self.context.document, lambda: self._show(picture))
        return column(self._controls(), self._plot, self._summary)

    def show_lead(self, lead: tuple[int, ...]) -> None:
        """Show another position on the axes that are not drawn."""
        self._lead = lead
        self._ask()

    def press(self, button: str) -> None:
        """Move the visible window as a button says."""
        if button == "reset":
            self._is_fitted = True
            self._x, self._y = self._whole()
        else:
            self._is_fitted = False
            (left, right), (top, bottom) = self._whole()
            along = {"up": "back", "down": "forward"}
            span = min(MIN_SPAN_PX, right - left, bottom - top)
            if button not in along:
                self._x = moved(*self._x, button, left, right, span)  # type: ignore[arg-type]
            if button in ("in", "out"):
                self._y = moved(*self._y, button, top, bottom, span)  # type: ignore[arg-type]
            if button in along:
                self._y = moved(*self._y, along[button], top, bottom, span)  # type: ignore[arg-type]
        self._move_to(self._x, self._y)
        self._ask()

    def _whole(self) -> tuple[Range, Range]:
        return fitted((0.0, float(self._n_columns)), (0.0, float(self._n_rows)), self._size_px)

    def _controls(self) -> Viewable:
        controls: list[Any] = [plot_buttons(self.press, vertical=True)]
        if not self.plane.rgb:
            controls.append(select(say("Contrast"), _named(CONTRASTS), self._contrast, self._choose_contrast))
            controls.append(
                select(say("Colours"), _named(COLOR_MAPS), self._color_map, self._choose_colors, width=130)
            )
        if self._part:
            controls.append(select(say("Part"), _named(PARTS), self._part, self._choose_part))
        return row(*controls)

    def _choose_contrast(self, contrast: str) -> None:
        self._contrast = contrast
        self._limits = None
        self._redraw()

    def _choose_colors(self, color_map: str) -> None:
        self._color_map = color_map
        self._redraw()

    def _choose_part(self, part: str) -> None:
        self._part = part
        self._limits = None
        self._ask()

    def _redraw(self) -> None:
        if self._picture is not None:
            self._show(self._picture)

    def _on_range(self, x: Range | None, y: Range | None) -> None:
        if x is None or y is None or not all(math.isfinite(end) for end in (*x, *y)):
            return
        self._is_fitted = False
        self._x, self._y = (float(x[0]), float(x[1])), (float(y[0]), float(y[1]))
        if self._frame is not None:
            self._frame.x, self._frame.y = self._x, self._y
        self._ask()

    def _on_size(self, width_px: int, height_px: int) -> None:
        if width_px <= 0 or height_px <= 0 or (width_px, height_px) == self._size_px:
            return
        self._size_px = (width_px, height_px)
        if self._is_fitted:
            self._x, self._y = self._whole()
        else:
            # The plot became wider or narrower: keep the height that is visible, and the pixels square.
            centre = (self._x[0] + self._x[1]) / 2
            span = (self._y[1] - self._y[0]) * width_px / height_px
            self._x = (centre - span / 2, centre + span / 2)
        self._move_to(self._x, self._y)
        self._ask()

    def _move_to(self, x: Range, y: Range) -> None:
        frame = self._frame
        if frame is not None:
            soon(self.context.document, lambda: frame.set(x, y))

    def _question(self) -> ImageQuestion:
        rows, columns = (0, self._n_rows), (0, self._n_columns)
        if self._n_rows * self._n_columns > WHOLE_PIXELS:
            rows = _within(self._y, self._n_rows)
            columns = _within(self._x, self._n_columns)
            # In steps of 100 pixels: a scroll bar that comes and goes is no reason to read again.
            size = tuple(max(100, round(n_pixels, -2)) for n_pixels in self._size_px)
            return ImageQuestion(rows, columns, self._lead, (size[0], size[1]), self._part)
        return ImageQuestion(rows, columns, self._lead, (self._n_columns, self._n_rows), self._part)

    def _ask(self) -> None:
        self._asked.ask(self._question())

    def _work(self, question: ImageQuestion) -> Picture:
        return draw_image(self.source, self.plane, question, self.context.budget_bytes)

    def _fail(self, error: BaseException) -> None:
        self._summary.object = problem_html(error)

    def _show(self, picture: Picture) -> None:
        self._picture = picture
        # The means of chunks vary less than pixels do: the limits of one kind do not suit the other.
        is_other_kind = picture.approximate is not self._limits_are_of_means
        if not self.plane.rgb and (
            self._limits is None or is_other_kind or self._contrast.endswith("each view")
        ):
            self._limits = contrast_limits(picture.pixels, CONTRASTS[self._contrast])
            self._limits_are_of_means = picture.approximate
        if self._pipe is None:
            self._build(picture)
        else:
            self._pipe.send(picture)
        self._summary.object = self._words(picture)

    def _build(self, picture: Picture) -> None:
        self._frame = Frame(self._x, self._y, after=self._color)
        self._pipe = hv.streams.Pipe(data=picture)
        common = {
            "responsive": True,
            "height": HEIGHT_PX,
            # A tall image in the middle of an empty plot looks lost; the sides are for axis and colour bar.
            "max_width": max(480, round(HEIGHT_PX * self._n_columns / self._n_rows) + 120),
            "xlabel": say("axis {n}", n=self.plane.columns),
            "ylabel": say("axis {n}", n=self.plane.rows),
            "xformatter": plain_numbers(),
            "yformatter": plain_numbers(),
            "invert_yaxis": True,
            "default_tools": ["pan", "wheel_zoom", "save"],
            "active_tools": ["pan", "wheel_zoom"],
            "toolbar": "above",
            "hooks": [self._frame.hook],
        }
        if self.plane.rgb:
            options = hv.opts.RGB(**common)
        else:
            tips = [(say("column"), "$x{0.0}"), (say("row"), "$y{0.0}"), (say("value"), "@image")]
            options = hv.opts.Image(
                **common,
                cmap="gray",
                colorbar=True,
                clabel=self.context.unit,
                clim=self._limits,
                tools=["hover"],
                hover_tooltips=tips,
            )
        drawn = hv.DynamicMap(self._element, streams=[self._pipe]).opts(options)
        self._streams = watch_ranges(drawn, self._on_range, self._on_size)
        self._plot[:] = [plot_pane(drawn, dark=self.context.dark)]

    def _element(self, data: Picture) -> Any:
        left, top, right, bottom = data.extent
        # HoloViews puts the first row at the top of an axis that here runs downwards.
        pixels = data.pixels[::-1]
        if self.plane.rgb:
            return hv.RGB(_as_colors(pixels), bounds=(left, top, right, bottom))
        return hv.Image(pixels, bounds=(left, top, right, bottom))

    def _color(self, handles: dict[str, Any]) -> None:
        mapper = handles.get("color_mapper")
        if mapper is None or self._limits is None:
            return
        palette = process_cmap(COLOR_MAPS[self._color_map], 256)
        mapper.update(low=self._limits[0], high=self._limits[1], palette=palette, nan_color="rgba(0,0,0,0)")

    def _words(self, picture: Picture) -> str:
        (row_0, row_1), (column_0, column_1) = picture.question.rows, picture.question.columns
        if row_1 <= row_0 or column_1 <= column_0:
            return summary_html([], say("There is nothing in this window"), "", approximate=False)
        text = plane_text(picture.question.rows, picture.question.columns, picture.question.lead)
        note = picture.note if self._limits is None else f"{picture.note} · {contrast_text(self._limits)}"
        return summary_html([("", picture.summary)], text, note, approximate=picture.approximate)


def _named(choices: Mapping[str, Any]) -> dict[str, str]:
    return {say(name): name for name in choices}


def _within(visible: Range, length: int) -> tuple[int, int]:
    low = min(max(math.floor(visible[0]), 0), length)
    high = min(max(math.ceil(visible[1]), 0), length)
    return low, max(low, high)


def _as_colors(pixels: Array) -> Array:
    """Return colours as HoloViews takes them: bytes, or floats between 0 and 1."""
    if pixels.dtype.kind == "f":
        clipped: Array = np.clip(np.nan_to_num(pixels), 0.0, 1.0)
        return clipped
    if pixels.dtype.itemsize > 1:
        scaled: Array = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
        return scaled
    return pixels
