"""Signals: one line per channel, thinned out to the pixels there are, read only where it is visible."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.preview.controls import plot_buttons, select
from dj_panel.apps.preview.decimation import Array, Envelope, Summary, decimate
from dj_panel.apps.preview.figure import Frame, Range, plain_numbers, plot_pane, watch_ranges
from dj_panel.apps.preview.refresh import on_document, soon
from dj_panel.apps.preview.sources import ArraySource
from dj_panel.apps.preview.view import Context, View, column, pane, problem_html, row, summary_html
from dj_panel.apps.preview.window import (
    Index,
    OverBudgetError,
    moved,
    spread_evenly,
    visible_samples,
)
from dj_panel.apps.theme import scheme
from dj_panel.core.words import marked, say

HEIGHT_PX = 360
COLUMNS = 1000
FIRST_CHANNELS = 8
MOST_CHANNELS = 16
# An overview of a signal that is too long to read takes a share of the budget, for a quick first look.
OVERVIEW_SHARE = 4
MOST_SAMPLED_CHUNKS = 256

PARTS: dict[str, Callable[[Array], Array]] = {
    marked("magnitude"): np.abs,
    marked("real part"): np.real,
    marked("imaginary part"): np.imag,
    marked("phase"): lambda values: np.angle(values),
}


@dataclass(frozen=True)
class Signal:
    """How an array of one or two axes is read as channels over time.

    Attributes
    ----------
    source
        ``(n_samples,)``, ``(n_samples, n_channels)`` or ``(n_channels, n_samples)``.
    time_axis
        Which axis is time.
    """

    source: ArraySource
    time_axis: int = 0

    @property
    def n_samples(self) -> int:
        """Samples of each channel."""
        return self.source.shape[self.time_axis]

    @property
    def n_channels(self) -> int:
        """Lines that could be drawn."""
        return 1 if len(self.source.shape) == 1 else self.source.shape[1 - self.time_axis]

    @property
    def names(self) -> list[str]:
        """Name of each channel."""
        if len(self.source.labels) == self.n_channels and self.time_axis == 0:
            return list(self.source.labels)
        return [say("channel {number}", number=str(number)) for number in range(self.n_channels)]

    def index(self, start: int, stop: int, channels: int | tuple[int, ...]) -> Index:
        """Return what to read for these samples of these channels."""
        if len(self.source.shape) == 1:
            return (slice(start, stop),)
        return (slice(start, stop), channels) if self.time_axis == 0 else (channels, slice(start, stop))

    def read(self, start: int, stop: int, channels: tuple[int, ...], budget_bytes: int) -> list[Array]:
        """Return one run of samples per channel.

        Raises
        ------
        OverBudgetError
            When the chunks it takes hold more than `budget_bytes`.
        """
        if len(self.source.shape) == 1:
            return [self.source.read(self.index(start, stop, 0), budget_bytes)]
        if self.source.chunks is None:
            # In memory, one channel at a time is a view; all at once would be a copy.
            return [self.source.read(self.index(start, stop, channel), budget_bytes) for channel in channels]
        block = self.source.read(self.index(start, stop, channels), budget_bytes)
        return list(block.T if self.time_axis == 0 else block)


@dataclass(frozen=True)
class LinesQuestion:
    """What is visible of a signal."""

    start: int
    stop: int
    channels: tuple[int, ...]
    n_columns: int = COLUMNS
    part: str = ""


@dataclass(frozen=True)
class Drawing:
    """What to draw of it: an envelope per channel.

    Attributes
    ----------
    note
        How it was thinned out, in words.
    approximate
        Whether only some chunks of the range were read.
    """

    question: LinesQuestion
    envelopes: tuple[Envelope, ...]
    note: str
    approximate: bool = False


def signal_of(source: ArraySource) -> Signal:
    """Return `source` with the longer axis as time.

    >>> signal_of(ArraySource(np.zeros((4, 100)), None)).time_axis
    1
    """
    shape = source.shape
    return Signal(source, 1 if len(shape) == 2 and shape[1] > shape[0] and not source.labels else 0)


def draw_lines(signal: Signal, question: LinesQuestion, budget_bytes: int) -> Drawing:
    """Read and thin out the visible part of a signal; of one over the budget, evenly spread chunks of it.

    Raises
    ------
    OverBudgetError
        When not even one chunk can be read.
    """
    start, stop, channels = question.start, question.stop, question.channels
    real = PARTS[question.part] if question.part else None
    cost = signal.source.cost(signal.index(start, stop, channels))
    if cost <= budget_bytes:
        runs = signal.read(start, stop, channels, budget_bytes)
        envelopes = tuple(decimate(run, question.n_columns, first=start, real=real) for run in runs)
        every = envelopes[0].every if envelopes else 1
        note = say("Showing 1 of every {n}, min–max", n=every) if every > 1 else say("Every sample is drawn")
        return Drawing(question, envelopes, note)
    return _sampled(signal, question, budget_bytes, real)


def _sampled(
    signal: Signal, question: LinesQuestion, budget_bytes: int, real: Callable[[Array], Array] | None
) -> Drawing:
    assert signal.source.chunks is not None, "what is in memory costs nothing to read"
    length = signal.source.chunks[signal.time_axis]
    first_chunk = question.start // length
    n_chunks = (question.stop - 1) // length + 1 - first_chunk
    one_cost = signal.source.cost(
        signal.index(first_chunk * length, first_chunk * length + 1, question.channels)
    )
    if one_cost > budget_bytes:
        raise OverBudgetError(one_cost, budget_bytes)
    n_wanted = max(
        1, min(budget_bytes // OVERVIEW_SHARE // one_cost, MOST_SAMPLED_CHUNKS, question.n_columns)
    )
    chosen = [first_chunk + number for number in spread_evenly(n_chunks, n_wanted)]
    columns_each = max(1, question.n_columns // len(chosen))
    found: list[list[Envelope]] = [[] for _ in question.channels]
    for chunk in chosen:
        start = max(question.start, chunk * length)
        stop = min(question.stop, (chunk + 1) * length)
        for channel, run in enumerate(signal.read(start, stop, question.channels, budget_bytes)):
            found[channel].append(decimate(run, columns_each, first=start, real=real))
    note = say("{n} of {all} chunks were read. Zoom in to see every sample", n=len(chosen), all=n_chunks)
    return Drawing(question, tuple(_joined(parts) for parts in found), note, approximate=True)


def _joined(parts: list[Envelope]) -> Envelope:
    return Envelope(
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.values for part in parts]),
        max(part.every for part in parts),
        sum((part.summary for part in parts), Summary()),
    )


class LinesView(View):
    """A signal that follows the visible range."""

    def __init__(self, context: Context, signal: Signal) -> None:
        super().__init__(context)
        self.signal = signal
        self._rate = context.sampling_rate_hz or 1.0
        self._n_columns = COLUMNS
        self._channels = tuple(range(min(signal.n_channels, FIRST_CHANNELS)))
        self._part = "magnitude" if signal.source.dtype.kind == "c" else ""
        self._stacked = signal.n_channels > 1
        self._end = max(signal.n_samples - 1, 1) / self._rate
        self._visible: Range = (0.0, self._end)
        self._step = 1.0
        self._drawing: Drawing | None = None
        self._frame: Frame | None = None
        self._pipe: hv.streams.Pipe | None = None
        self._streams: Any = ()
        self._shown_as: tuple[Any, ...] = ()
        self._summary = pane("")
        self._plot = column()
        self._asked = self.refresher(self._work, self._show, self._fail)

    async def start(self) -> Viewable:
        """Read the whole range, thinned out, and return plot, buttons and figures."""
        question = self._question()
        drawing = await self.context.run(self._work, question)
        await on_document(self.context.document, lambda: self._show(drawing))
        return column(self._controls(), self._plot, self._summary)

    @property
    def drawing(self) -> Drawing | None:
        """What is on the page now."""
        return self._drawing

    def _controls(self) -> Viewable:
        controls: list[Viewable] = [plot_buttons(self.press, vertical=False)]
        below: list[Viewable] = []
        if self.signal.n_channels > 1:
            names = self.signal.names
            picker = pmui.MultiChoice(
                label=say("Channels (up to {most} of {n})", most=MOST_CHANNELS, n=len(names)),
                options={name: number for number, name in enumerate(names)},
                value=list(self._channels),
                max_items=MOST_CHANNELS,
                solid=False,
                sizing_mode="stretch_width",
                max_width=1100,
                margin=(4, 0),
            )
            picker.param.watch(lambda event: self.pick(tuple(sorted(event.new))), "value")
            stacked = pmui.Switch(label=say("Spread apart"), value=self._stacked, margin=(4, 0))
            stacked.param.watch(lambda event: self._stack(event.new), "value")
            controls.append(stacked)
            below.append(picker)
        if self._part:
            controls.append(
                select(say("Part"), {say(name): name for name in PARTS}, self._part, self._choose_part)
            )
        return column(row(*controls), *below)

    def press(self, button: str) -> None:
        """Move the visible range as a button says."""
        low, high = self._visible
        if button == "reset":
            self._visible = (0.0, self._end)
        else:
            min_span = min(4 / self._rate, self._end)
            self._visible = moved(low, high, button, 0.0, self._end, min_span)  # type: ignore[arg-type]
        self._move_to(self._visible)
        self._ask()

    def pick(self, channels: tuple[int, ...]) -> None:
        """Show other channels."""
        self._channels = channels[:MOST_CHANNELS]
        self._ask()

    def _stack(self, stacked: bool) -> None:
        self._stacked = stacked
        if self._drawing is not None:
            self._show(self._drawing)

    def _choose_part(self, part: str) -> None:
        self._part = part
        self._ask()

    def _on_range(self, x: Range | None, _y: Range | None) -> None:
        if x is not None and all(math.isfinite(end) for end in x):
            self._visible = (float(x[0]), float(x[1]))
            if self._frame is not None:
                self._frame.x = self._visible
            self._ask()

    def _on_size(self, width_px: int, _height_px: int) -> None:
        if width_px > 0:
            # In steps of 100 pixels: a scroll bar that comes and goes is no reason to read again.
            self._n_columns = max(200, round(width_px, -2))
            self._ask()

    def _move_to(self, x: Range) -> None:
        frame = self._frame
        if frame is not None:
            soon(self.context.document, lambda: frame.set(x))

    def _question(self) -> LinesQuestion:
        start, stop = visible_samples(*self._visible, self._rate, self.signal.n_samples)
        return LinesQuestion(start, stop, self._channels, self._n_columns, self._part)

    def _ask(self) -> None:
        self._asked.ask(self._question())

    def _work(self, question: LinesQuestion) -> Drawing:
        return draw_lines(self.signal, question, self.context.budget_bytes)

    def _fail(self, error: BaseException) -> None:
        self._summary.object = problem_html(error)

    def _show(self, drawing: Drawing) -> None:
        self._drawing = drawing
        channels = drawing.question.channels
        names = [self.signal.names[channel] for channel in channels] if self.signal.n_channels > 1 else [""]
        stacked = self._stacked and len(channels) > 1
        shown_as = (channels, stacked, drawing.question.part)
        if shown_as != self._shown_as:
            self._step = _step(drawing) if stacked else 0.0
        lines = self._lines(drawing)
        y = self._y_range(lines)
        if not names:
            self._pipe = None
            self._plot[:] = []
        elif shown_as != self._shown_as or self._pipe is None or self._frame is None:
            self._shown_as = shown_as
            self._build(lines, names, stacked, y)
        else:
            self._pipe.send(lines)
            self._frame.set(y=y)
        self._summary.object = self._words(drawing, names)

    def _lines(self, drawing: Drawing) -> list[tuple[Any, Any]]:
        n_lines = len(drawing.envelopes)
        return [
            (line.positions / self._rate, line.values + (n_lines - 1 - number) * self._step)
            for number, line in enumerate(drawing.envelopes)
        ]

    def _y_range(self, lines: list[tuple[Any, Any]]) -> Range:
        ends = [
            (np.nanmin(values), np.nanmax(values))
            for _, values in lines
            if values.size and not np.isnan(values).all()
        ]
        if not ends:
            return (0.0, 1.0)
        low, high = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        return (low - margin, high + margin) if math.isfinite(margin) else (low, high)

    def _build(self, lines: list[tuple[Any, Any]], names: list[str], stacked: bool, y: Range) -> None:
        colors = scheme(dark=self.context.dark).plot
        self._frame = Frame(self._visible, y, after=self._keep_inside)
        self._pipe = hv.streams.Pipe(data=lines)
        x_label = say("Time (s)") if self.context.sampling_rate_hz else say("Sample")
        y_label = self.context.unit or say("Value")
        overlaid = len(names) > 1

        def draw(data: list[tuple[Any, Any]]) -> Any:
            curves = [
                hv.Curve(line, "x", "y", label="" if stacked else name)
                for line, name in zip(data, names, strict=True)
            ]
            return hv.Overlay(curves) if overlaid else curves[0]

        tools = {
            "default_tools": ["xpan", "xwheel_zoom", "xbox_zoom", "save"],
            "active_tools": ["xpan", "xwheel_zoom"],
        }
        common: dict[str, Any] = tools | {
            "responsive": True,
            "height": HEIGHT_PX,
            "xlim": self._visible,
            "ylim": y,
            "xlabel": x_label,
            "xformatter": plain_numbers(),
            "ylabel": y_label,
            "show_grid": True,
            "toolbar": "above",
        }
        if stacked:
            ticks = [((len(names) - 1 - number) * self._step, name) for number, name in enumerate(names)]
            common |= {"yticks": ticks, "ylabel": ""}
        curve_options = hv.opts.Curve(color=hv.Cycle(list(colors)), line_width=1.25, **tools)
        drawn = hv.DynamicMap(draw, streams=[self._pipe])
        if overlaid:
            options = hv.opts.Overlay(
                **common, hooks=[self._frame.hook], legend_position="right", show_legend=not stacked
            )
            drawn = drawn.opts(curve_options, options)
        else:
            drawn = drawn.opts(
                hv.opts.Curve(**common, hooks=[self._frame.hook], color=colors[0], line_width=1.25)
            )
        self._streams = watch_ranges(drawn, self._on_range, self._on_size)
        self._plot[:] = [plot_pane(drawn, dark=self.context.dark)]

    def _keep_inside(self, handles: dict[str, Any]) -> None:
        margin = 0.02 * self._end
        handles["x_range"].bounds = (-margin, self._end + margin)
        handles["x_range"].min_interval = min(4 / self._rate, self._end)

    def _words(self, drawing: Drawing, names: list[str]) -> str:
        n_samples = self.signal.n_samples
        first, last = drawing.question.start, max(drawing.question.stop - 1, drawing.question.start)
        places = {"first": first, "last": last, "n": n_samples}
        if self.context.sampling_rate_hz:
            text = say(
                "{start} s to {end} s, samples {first} to {last} of {n}",
                start=f"{first / self._rate:.6g}",
                end=f"{last / self._rate:.6g}",
                **places,
            )
        else:
            text = say("Samples {first} to {last} of {n}", **places)
        if not drawing.envelopes:
            return summary_html([], text, say("No channel is picked"), approximate=False)
        if not any(line.summary.n_values for line in drawing.envelopes):
            return summary_html([], say("There is nothing in this range"), "", approximate=False)
        summaries = [(name, line.summary) for name, line in zip(names, drawing.envelopes, strict=True)]
        return summary_html(summaries, text, drawing.note, approximate=drawing.approximate)


def _step(drawing: Drawing) -> float:
    """Return how far apart lines are put so that most of them do not overlap."""
    spans = [
        float(line.summary.maximum) - float(line.summary.minimum)
        for line in drawing.envelopes
        if line.summary.minimum is not None and line.summary.maximum is not None
    ]
    step = float(np.median(spans)) if spans else 1.0
    return step if math.isfinite(step) and step > 0 else 1.0
