"""What every way of looking at a value has in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import panel as pn
from bokeh.document import Document
from panel.viewable import Viewable

from dj_panel.apps.markup import chip, escape, html_pane
from dj_panel.apps.preview.decimation import Summary
from dj_panel.apps.preview.protocols import Run
from dj_panel.apps.preview.refresh import Refresher
from dj_panel.apps.preview.sources import BUDGET_BYTES
from dj_panel.core.words import grouped, say

VIEW_CSS = """
:host{display:block}
.facts{display:flex;flex-wrap:wrap;gap:4px 16px;margin:0;font-size:var(--dj-size-s);
line-height:var(--dj-line-s);font-variant-numeric:tabular-nums}
.facts div{display:flex;gap:6px;min-width:0}
.facts dt{color:var(--dj-muted)}
.facts dd{margin:0;overflow-wrap:anywhere}
h3{margin:0 0 4px;font-size:var(--dj-size-l);line-height:var(--dj-line-l);font-weight:600}
p{margin:0}
.summary{margin-top:8px;display:flex;flex-wrap:wrap;align-items:center;gap:4px 12px;color:var(--dj-muted);
font-size:var(--dj-size-s);line-height:var(--dj-line-s);font-variant-numeric:tabular-nums}
.summary b{font-weight:500;color:var(--dj-text)}
.note{color:var(--dj-muted);font-size:var(--dj-size-s);line-height:var(--dj-line-s);margin-top:4px}
.scroll{overflow:auto;max-height:520px;border:1px solid var(--dj-border);border-radius:var(--dj-radius-m);
background:var(--dj-surface)}
.scroll:focus-visible{outline:2px solid var(--dj-accent);outline-offset:2px}
div.rows{width:fit-content;max-width:100%}
table{border-collapse:separate;border-spacing:0;font-size:var(--dj-size-s);line-height:var(--dj-line-s);
font-variant-numeric:tabular-nums}
caption{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
th,td{padding:4px 12px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--dj-border);
max-width:40ch;overflow:hidden;text-overflow:ellipsis}
td.n,th.n{text-align:right}
thead th{position:sticky;top:0;background:var(--dj-sunken);font-weight:600;z-index:1}
tbody th{font-weight:400;color:var(--dj-muted);text-align:right}
tbody tr:last-child>*{border-bottom:0}
td.none{color:var(--dj-muted);font-style:italic}
pre{margin:0;padding:12px 16px;font-family:var(--dj-mono);font-size:var(--dj-size-s);line-height:1.5;
white-space:pre-wrap;overflow-wrap:anywhere;tab-size:4}
.value{font-size:var(--dj-size-xl);line-height:var(--dj-line-xl);overflow-wrap:anywhere;padding:12px 0}
.value.none{color:var(--dj-muted);font-style:italic}
.problem{border:1px solid var(--dj-border);border-left:4px solid var(--dj-state-error);
border-radius:var(--dj-radius-m);padding:12px 16px;background:var(--dj-surface)}
.problem h4{margin:0 0 4px;font-size:var(--dj-size-m);line-height:var(--dj-line-m);font-weight:600;
color:var(--dj-state-error)}
.problem p{overflow-wrap:anywhere;max-width:80ch}
.reading{color:var(--dj-muted);padding:24px 0}
.tree{padding:12px 16px;font-size:var(--dj-size-s);line-height:1.7}
.tree details>div{margin-left:7px;padding-left:14px;border-left:1px solid var(--dj-border)}
.tree summary{cursor:pointer;border-radius:var(--dj-radius-s);padding:1px 2px}
.tree summary:focus-visible{outline:2px solid var(--dj-accent)}
.tree .leaf{padding-left:18px;overflow-wrap:anywhere}
.tree .k{font-weight:500}
.tree .t{color:var(--dj-muted)}
.tree code{font-family:var(--dj-mono)}
"""


@dataclass(frozen=True)
class Context:
    """What a view needs beside the value.

    Attributes
    ----------
    run
        ``await run(function, *arguments)`` runs a function off the event loop.
    document
        The session's document, whose lock is held while the page is changed; None outside a server.
    dark
        Whether the page is dark now.
    budget_bytes
        The most that one read may bring into memory.
    sampling_rate_hz
        Samples a second along the first axis of a signal; None when unknown.
    unit
        Unit of the values, such as ``mV``; "" when unknown.
    """

    run: Run = field(default=asyncio.to_thread)
    document: Document | None = None
    dark: bool = False
    budget_bytes: int = BUDGET_BYTES
    sampling_rate_hz: float | None = None
    unit: str = ""


class View(ABC):
    """One way of looking at a value."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._refreshers: list[Refresher[Any, Any]] = []

    @abstractmethod
    async def start(self) -> Viewable:
        """Read what is shown first and return the view."""

    async def settled(self) -> None:
        """Return when everything asked for is shown."""
        for refresher in self._refreshers:
            await refresher.settled()

    def close(self) -> None:
        """Stop reading."""
        for refresher in self._refreshers:
            refresher.close()

    def refresher(
        self,
        work: Callable[[Any], Any],
        show: Callable[[Any], None],
        fail: Callable[[BaseException], None],
    ) -> Refresher[Any, Any]:
        """Return a refresher that stops with this view."""
        made: Refresher[Any, Any] = Refresher(
            work, show, fail, run=self.context.run, document=self.context.document
        )
        self._refreshers.append(made)
        return made


class StillView(View):
    """A view that is computed once, as HTML, in a thread."""

    def __init__(self, context: Context, render: Callable[[], str]) -> None:
        super().__init__(context)
        self._render = render

    async def start(self) -> Viewable:
        """Return the HTML in a pane."""
        return pane(await self.context.run(self._render))


def pane(html_text: str, **params: Any) -> pn.pane.HTML:
    """Return a pane with HTML whose values went through `escape`."""
    return html_pane(html_text, stylesheets=[VIEW_CSS], sizing_mode="stretch_width", **params)


def row(*items: Viewable) -> pn.FlexBox:
    """Return controls side by side, on as many lines as the width asks for."""
    return pn.FlexBox(
        *items, align_items="center", gap="8px 16px", sizing_mode="stretch_width", margin=(4, 0)
    )


def column(*items: Viewable) -> pn.Column:
    """Return items below each other, as wide as the page."""
    return pn.Column(*items, sizing_mode="stretch_width", margin=0)


def problem_html(error: BaseException) -> str:
    """Return why a value cannot be shown, in words; never a traceback."""
    title = say("This value cannot be shown")
    return f'<div class="problem" role="alert"><h4>{title}</h4><p>{escape(plain_reason(error))}</p></div>'


def plain_reason(error: BaseException) -> str:
    """Return the text of an error as a person reads it.

    >>> plain_reason(KeyError("a"))
    "KeyError: 'a'"
    >>> plain_reason(FileNotFoundError(2, "No such file or directory", "x.npy"))
    'No such file or directory: x.npy'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = str(error)
    if not text:
        return say("Reading stopped with {error}, which gives no reason.", error=type(error).__name__)
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError) and "." not in text else text


def number_text(value: float | None) -> str:
    """Return a number with the digits that matter.

    >>> number_text(12), number_text(0.123456789), number_text(None)
    ('12', '0.123457', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, int):
        return grouped(value) if abs(value) < 10**15 else str(value)
    return f"{value:.6g}"


def summary_html(
    summaries: list[tuple[str, Summary]], range_text: str, note: str, *, approximate: bool
) -> str:
    """Return in words what a plot shows: the range, how it was thinned out, and figures of the values.

    Parameters
    ----------
    summaries
        Name and figures of each line; one without a name for an image.
    range_text
        Which part is visible.
    note
        How it was thinned out, "" when everything is there.
    approximate
        Whether some values in the range were not read at all.
    """
    tags = chip(say("approximate"), "partial", icon_name="partial") if approximate else ""
    head = f'<p class="summary" role="status">{tags}<span><b>{escape(range_text)}</b></span>'
    head += f"<span>{escape(note)}</span>" if note else ""
    if len(summaries) == 1:
        figures = _figures(summaries[0][1])
        return head + "".join(f"<span>{name} <b>{escape(text)}</b></span>" for name, text in figures) + "</p>"
    if not summaries:
        return head + "</p>"
    names = [name for name, _ in _figures(Summary(n_nan=1, n_infinite=1))]
    lines = []
    for label, summary in summaries:
        found = dict(_figures(summary))
        cells = "".join(f'<td class="n">{escape(found.get(name, "0"))}</td>' for name in names)
        lines.append(f"<tr><th>{escape(label)}</th>{cells}</tr>")
    columns = "".join(f'<th class="n" scope="col">{name}</th>' for name in names)
    caption = say("Figures of what is shown")
    figures_of = say("Figures of the {n} lines", n=str(len(summaries)))
    return (
        f'{head}</p><details class="note"><summary>{figures_of}</summary>'
        f'<div class="scroll rows"><table><caption>{caption}</caption>'
        f"<thead><tr><th></th>{columns}</tr></thead><tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def _figures(summary: Summary) -> list[tuple[str, str]]:
    figures = [
        (say("min"), number_text(summary.minimum)),
        (say("max"), number_text(summary.maximum)),
        (say("mean"), number_text(summary.mean)),
    ]
    if summary.n_nan:
        figures.append(("NaN", grouped(summary.n_nan)))
    if summary.n_infinite:
        figures.append((say("infinite"), grouped(summary.n_infinite)))
    return figures
