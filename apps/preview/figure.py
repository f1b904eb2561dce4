"""The plot behind a signal or an image: HoloViews draws it, and its ranges can be read and set from here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import holoviews as hv
import panel as pn
from bokeh.models import (
    BoxZoomTool,
    HoverTool,
    NumeralTickFormatter,
    PanTool,
    SaveTool,
    TickFormatter,
    Tool,
    WheelZoomTool,
)

from dj_panel.apps.theme import BOKEH_THEME
from dj_panel.core.words import say

hv.extension("bokeh")
# Drawing with WebGL takes many seconds where there is no graphics card: virtual machines, remote desktops.
hv.renderer("bokeh").webgl = False

Range = tuple[float, float]


def plain_numbers() -> TickFormatter:
    """Return a formatter that writes positions out, with thousands marked: 1,000,000 rather than 1.000e+6."""
    return NumeralTickFormatter(format="0,0.[000000]")


def tool_names() -> dict[type[Tool], str]:
    """Return what each tool of a plot does, in the visitor's language; by itself Bokeh says it in English."""
    return {
        PanTool: say("Move by dragging"),
        BoxZoomTool: say("Drag over a part to enlarge it"),
        WheelZoomTool: say("Zoom with the mouse wheel"),
        SaveTool: say("Save as an image"),
        HoverTool: say("Show the value under the pointer"),
    }


class Frame:
    """Holds on to the ranges of a plot once it is drawn.

    Parameters
    ----------
    first_x, first_y
        The ranges with which the plot starts.
    after
        Called after each drawing with the plot's handles.
    """

    def __init__(
        self, first_x: Range, first_y: Range, after: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.x = first_x
        self.y = first_y
        self._after = after
        # Taken now: the drawing may happen where the visitor's language is not known.
        self._tool_names = tool_names()
        self._handles: dict[str, Any] | None = None

    def hook(self, plot: Any, _element: Any) -> None:
        """Take the handles of the plot; HoloViews calls this after each drawing."""
        is_new = self._handles is not plot.handles
        self._handles = plot.handles
        if is_new:
            toolbar = plot.handles["plot"].toolbar
            # With no logo at all Bokeh takes the toolbar for too narrow and puts its last tool behind a menu.
            toolbar.stylesheets = [".bk-logo{display:none}"]
            for tool in toolbar.tools:
                tool.description = self._tool_names.get(type(tool))
            self.set(self.x, self.y)
        if self._after is not None:
            self._after(plot.handles)

    def set(self, x: Range | None = None, y: Range | None = None) -> None:
        """Show another range; the caller holds the document's lock."""
        if x is not None:
            self.x = x
        if y is not None:
            self.y = y
        if self._handles is None:
            return
        for name, wanted in (("x_range", x), ("y_range", y)):
            if wanted is None:
                continue
            shown = self._handles[name]
            flipped = shown.start is not None and shown.end is not None and shown.start > shown.end
            low, high = min(wanted), max(wanted)
            start, end = (high, low) if flipped else (low, high)
            if (shown.start, shown.end) != (start, end):
                shown.update(start=start, end=end)
            # The Reset of the toolbar and a fresh browser use these.
            shown.update(reset_start=start, reset_end=end)


def plot_pane(drawn: hv.DynamicMap, *, dark: bool) -> pn.pane.HoloViews:
    """Return the pane of a plot, in the colours of the page, with axes of its own."""
    return pn.pane.HoloViews(
        drawn,
        theme=BOKEH_THEME["dark" if dark else "light"],
        linked_axes=False,
        sizing_mode="stretch_width",
        margin=0,
    )


def watch_ranges(
    drawn: hv.DynamicMap,
    on_range: Callable[[Range | None, Range | None], Any],
    on_size: Callable[[int, int], Any],
) -> Sequence[hv.streams.Stream]:
    """Call `on_range` when the visitor pans or zooms, and `on_size` with the pixels that there are."""
    ranges = hv.streams.RangeXY(source=drawn)
    size = hv.streams.PlotSize(source=drawn)
    ranges.param.watch(lambda *_events: on_range(ranges.x_range, ranges.y_range), ["x_range", "y_range"])
    size.param.watch(
        lambda *_events: on_size(int(size.width or 0), int(size.height or 0)), ["width", "height"]
    )
    return ranges, size
