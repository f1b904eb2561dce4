"""The HTML of the Populate pages."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from dj_panel.apps.live import button, link
from dj_panel.apps.markup import escape, icon, key_html, progress_bar_html, state_chip, tier_chip
from dj_panel.apps.services.pace import FEWEST_SAMPLES, Estimate
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.watching import Snapshot, TableStatus
from dj_panel.apps.services.working import MAX_WORKERS, ErrorGroup, JobRow, QueueReport, WorkerInfo
from dj_panel.apps.status import (
    bar_html,
    live_line,
    populate_route,
    state_html,
    table_route,
    tier_icon,
    trouble_html,
)

__all__ = ["CSS", "Scene", "index_html", "job_id", "range_text", "table_html"]


@dataclass
class Scene:
    """What the page of one table shows beside the table's status.

    Parameters
    ----------
    report
        The queue.
    workers
        Workers of this site that are at the table.
    failed, ignored
        Jobs, the newest first, as many as are shown.
    groups
        The failed jobs by cause.
    opened
        The jobs whose traceback is shown, by `job_id`.
    n_workers
        How many workers the visitor has chosen to start.
    n_samples, estimate
        How many keys were seen to be finished, and what that says of the rest.
    trouble
        The last lines of the log of a worker that could not work; empty if the last one could.
    module
        The pipeline's code; None if the site is served from the database alone.
    """

    report: QueueReport = field(default_factory=lambda: QueueReport({}, 0, 0))
    workers: Sequence[WorkerInfo] = ()
    failed: list[JobRow] = field(default_factory=list)
    ignored: list[JobRow] = field(default_factory=list)
    groups: Sequence[ErrorGroup] = ()
    opened: AbstractSet[str] = frozenset()
    n_workers: int = 1
    n_samples: int = 0
    estimate: Estimate | None = None
    trouble: str = ""
    module: str | None = None


def job_id(job: JobRow) -> str:
    """Return the name under which the browser knows a job."""
    return json.dumps(dict(job.key), default=str)


# ------------------------------------------------------------------------------------------------- all tables
def index_html(
    tables: Sequence[TableInfo],
    snapshot: Snapshot,
    workers: Sequence[WorkerInfo],
    n_workers: int,
    module: str | None,
) -> str:
    """Return the page of all computed tables.

    Parameters
    ----------
    tables
        The Imported and Computed tables, parents before children.
    snapshot
        How far they are.
    workers
        This site's workers.
    n_workers
        How many the visitor has chosen to start.
    module
        The pipeline's code; None if the site is served from the database alone.
    """
    shown = snapshot.tables
    ready = sum(shown[t.name].n_ready for t in tables if t.can_populate and t.name in shown)
    rows = "".join(_index_row(table, shown[table.name], workers) for table in tables if table.name in shown)
    troubles = "".join(
        trouble_html(table, shown[table.name], "trouble")
        for table in tables
        if table.name in shown and shown[table.name].problem
    )
    trouble = f'<ul class="card troubles" data-key="troubles">{troubles}</ul>' if troubles else ""
    controls = (
        _no_code_html()
        if module is None
        else _controls_html("all tables", ready, workers, n_workers, "Start all")
    )
    return (
        f'<div class="stack">{live_line(snapshot)}{controls}{trouble}<section class="card" '
        'data-key="tables"><div class="scroll">'
        '<table class="queue fold"><thead><tr><th scope="col">Table</th><th scope="col" '
        'class="wide">Progress</th>'
        '<th scope="col">State</th><th scope="col" class="number">To compute</th>'
        f'<th scope="col"><span class="hidden">Action</span></th></tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
        "</section></div>"
    )


def _index_row(table: TableInfo, status: TableStatus, workers: Sequence[WorkerInfo]) -> str:
    name = table.class_name
    at_it = [worker for worker in workers if table.name in worker.tables and len(worker.tables) == 1]
    if any(not worker.is_stopping for worker in at_it):
        action = button("Stop", "stop", table.name, key="go", label=f"Stop {name} after the present key")
    elif table.can_populate and status.n_ready and not at_it:
        action = button("Start", "start", table.name, key="go", label=f"Start {name}")
    else:
        action = ""
    return (
        f'<tr data-key="{escape(table.name)}"><th scope="row"><div class="name">{tier_icon(table.tier)}'
        f"<div>{link(name, populate_route(table.name))}"
        f'<div class="tiny muted">{escape(table.schema)}</div></div></div></th>'
        f'<td class="wide">{bar_html(status)}</td><td class="state">{state_html(status)}</td>'
        f'<td class="number">{status.n_ready:,}</td><td class="action">{action}</td></tr>'
    )


# ------------------------------------------------------------------------------------------------- one table
def table_html(table: TableInfo, snapshot: Snapshot, scene: Scene) -> str:
    """Return the page of one table."""
    status = snapshot.tables.get(table.name, TableStatus(0))
    sections = [
        _head_html(table),
        live_line(snapshot),
        _progress_html(table, status, scene),
        _trouble_html(table, status, scene),
        _running_html(status, scene),
        _failed_html(table, scene),
        _ignored_html(scene),
    ]
    return f'<div class="stack">{"".join(sections)}</div>'


def _head_html(table: TableInfo) -> str:
    return (
        f'<div class="row" data-key="head">{tier_chip(table.tier)}<span '
        f'class="muted">{escape(table.schema)}</span>'
        f'<span class="break">{escape(table.comment)}</span><span class="row end">'
        f'{link("Rows of the table", table_route(table.name))}<a href="#/populate">All computed tables</a>'
        "</span></div>"
    )


def _progress_html(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    total = status.n_keys or 0
    numbers = [
        ("done", status.n_done, "done"),
        ("running", status.reserved, "running"),
        ("pending", status.n_ready, "to compute"),
        ("error", status.error, "failed"),
        ("ignored", status.ignored, "ignored"),
    ]
    chips = "".join(
        state_chip(state, f"{number:,} {word}")
        for state, number, word in numbers
        if number or state in ("done", "pending")
    )
    if status.problem:
        body = f'<ul class="troubles">{trouble_html(table, status, "own")}</ul>'
    elif not total:
        body = (
            '<p class="muted">There is nothing to compute yet: no key of '
            f"{escape(_list([link.table for link in table.parents if link.foreign_key.in_key]))} is there."
            "</p>"
        )
    else:
        share = f'<b class="share">{int(100 * status.n_done / total)} %</b>'
        bar = progress_bar_html(status.n_done, status.reserved, status.error, total)
        body = f'<div class="big">{share}{bar}</div><div class="row">{chips}{_pace_html(status, scene)}</div>'
    return (
        f'<section class="card" data-key="progress" aria-label="Progress"><div class="body stack">{body}'
        f"{_start_html(table, status, scene)}</div></section>"
        f'<p class="hidden" role="status" data-key="said">{escape(_phase(table, status, scene))}</p>'
    )


def _start_html(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    if table.can_populate:
        return _controls_html(
            table.class_name, status.n_ready, scene.workers, scene.n_workers, "Start", status
        )
    if scene.module is None:
        return _no_code_html()
    return (
        f'<p class="muted" data-key="nocode">{escape(table.class_name)} has no <code>make</code> method, '
        "so there is"
        " nothing to run: its rows are inserted by other programs.</p>"
    )


def _no_code_html() -> str:
    return (
        f'<div class="notice-box dj-state-blocked" data-key="nocode">{icon("blocked")}<div>Nothing can be '
        "computed "
        "here: the site is served from the database alone, without the pipeline’s code. Progress and jobs "
        "are shown, "
        "and other programs can compute. To compute from here, serve the code: "
        "<code>dj-panel serve MODULE</code>.</div></div>"
    )


def _controls_html(
    what: str,
    n_ready: int,
    workers: Sequence[WorkerInfo],
    n_workers: int,
    start: str,
    status: TableStatus | None = None,
) -> str:
    """Return what starts and stops; the same button in the same place, so that the focus stays on it."""
    keys = "1 key" if n_ready == 1 else f"{n_ready:,} keys"
    busy = [worker for worker in workers if not worker.is_stopping]
    if busy:
        count = "1 worker" if len(busy) == 1 else f"{len(busy)} workers"
        words = f"{count} at work." if status is None or status.reserved else f"{count} starting …"
        control = button("Stop", "stop", key="go", kind="danger") + (
            '<span class="muted small">Each worker stops after its present key.</span>'
        )
        return (
            f'<div class="row" data-key="controls">{control}<span class="small">{escape(words)}</span></div>'
        )
    if workers:
        stopping = button("Stopping …", "stop", key="go", why_not="The present key is being finished.")
        return (
            f'<div class="row" data-key="controls">{stopping}'
            '<span class="muted small">The present key is being finished.</span></div>'
        )
    reason = "" if n_ready else "Nothing is left to compute."
    words = f"{keys} of {what} will be computed." if n_ready else reason
    options = "".join(
        f'<option value="{n}"{" selected" if n == n_workers else ""}>{n}</option>'
        for n in range(1, MAX_WORKERS + 1)
    )
    return (
        f'<div class="row" data-key="controls">'
        f"{button(start, 'start', key='go', kind='primary', why_not=reason)}"
        f'<label data-key="workers">Workers <select data-action="workers">{options}</select></label>'
        f'<span class="small muted" data-key="words">{escape(words)}</span></div>'
    )


def _pace_html(status: TableStatus, scene: Scene) -> str:
    if not status.n_ready and not status.reserved:
        return ""
    if scene.estimate is None:
        if not status.reserved and not scene.n_samples:
            return ""
        seen = f"{scene.n_samples} of {FEWEST_SAMPLES} keys seen"
        return f'<span class="small muted">no estimate yet ({seen})</span>'
    estimate = scene.estimate
    per_minute = estimate.per_minute
    pace = f"{per_minute:,.0f} a minute" if per_minute >= 2 else f"{60 * per_minute:,.1f} an hour"
    left = range_text(estimate.shortest_s, estimate.longest_s)
    return f'<span class="small muted">{pace} · {left} left</span>'


def _phase(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    """Return what is said to a screen reader: it changes when the work begins or ends, not with each key."""
    name = table.class_name
    if any(not worker.is_stopping for worker in scene.workers):
        return f"{name} is being computed."
    if scene.workers:
        return f"{name} stops after the present key."
    if status.reserved:
        return f"{name} is being computed by other programs."
    if status.error:
        return f"Nobody computes {name} now; {status.error:,} failed."
    return f"Nobody computes {name} now."


def _trouble_html(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    boxes = ""
    number = scene.report.n_orphans
    if number:
        is_one = number == 1
        words = (
            f"{'1 job was' if is_one else f'{number:,} jobs were'} reserved by "
            f"{'a worker that is' if is_one else 'workers that are'} gone. "
            f"{'It stays' if is_one else 'They stay'} reserved until released; nothing half done was kept."
        )
        boxes += (
            f'<div class="notice-box dj-state-blocked" data-key="orphans" role="alert">{icon("blocked")}'
            f"<div>{words}</div>{button('Release', 'release')}</div>"
        )
    if scene.trouble:
        boxes += (
            f'<div class="notice-box dj-state-error" data-key="worker" role="alert">{icon("error")}'
            "<div>The last worker "
            f"for {escape(table.class_name)} ended with an error."
            '<details data-key="log"><summary>End of its log</summary><pre '
            f'tabindex="0">{escape(scene.trouble)}</pre>'
            "</details></div></div>"
        )
    if scene.n_samples and not status.reserved and not scene.workers:
        boxes += (
            f'<div class="notice-box dj-state-running" data-key="unreserved">{icon("running")}<div>Rows '
            "are being added "
            "by a program that does not reserve its keys: its progress can be seen here, its worker "
            "cannot.</div></div>"
        )
    return boxes


def _running_html(status: TableStatus, scene: Scene) -> str:
    if not scene.report.running or not (status.reserved or scene.workers):
        return ""
    own = {worker.pid for worker in scene.workers}
    rows = "".join(
        f'<tr data-key="{escape(job_id(job))}"><td>{key_html(job.key)}</td>'
        f"<td>{escape(job.host)} · "
        f"{job.pid}{'' if job.pid in own else ' <span class=muted>(not from here)</span>'}</td>"
        f'<td class="number">{_time(job.reserved_at)}</td></tr>'
        for job in scene.report.running
    )
    return (
        '<section class="card" data-key="running" aria-labelledby="running"><header>'
        f'<h2 id="running">Being computed</h2><span class="tiny muted">{len(scene.report.running)} at work'
        "</span></header>"
        '<div class="scroll"><table><thead><tr><th scope="col">Key</th><th scope="col">Host · process</th>'
        f'<th scope="col" class="number">Since (database’s clock)</th></tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
        "</section>"
    )


def _failed_html(table: TableInfo, scene: Scene) -> str:
    number = scene.report.counts.get("error", 0)
    if not number:
        return ""
    causes = "".join(
        f'<li data-key="cause-{position}"><b>{group.n_jobs:,} ×</b> <span '
        f'class="break">{escape(_first_line(group.message))}'
        f'</span> <span class="tiny muted">{_period(group)}</span></li>'
        for position, group in enumerate(scene.groups)
    )
    grouped = (
        f'<ul class="causes" data-key="causes">{causes}</ul>' if len(scene.groups) > 1 or number > 1 else ""
    )
    rows = "".join(_failed_row(job, scene.opened) for job in scene.failed)
    every = more = ""
    if number > 1:
        name = f"Retry all {number:,} failed jobs of {table.class_name}"
        every = button(f"Retry all {number:,}", "retry-all", key="all", label=name)
    if number > len(scene.failed) > 0:
        more = f'<div class="body">{button(f"Show more of {number:,}", "more", key="more")}</div>'
    return (
        '<section class="card" data-key="failed" aria-labelledby="failed"><header><h2 id="failed">Failed</h2>'
        f"{every}"
        f'</header>{grouped}<ul class="jobs">{rows}</ul>{more}</section>'
    )


def _failed_row(job: JobRow, opened: AbstractSet[str]) -> str:
    name = job_id(job)
    words = ", ".join(f"{attribute} {value}" for attribute, value in job.key.items())
    stack = job.stack or "No traceback was kept."
    inner = f'<pre tabindex="0">{escape(stack)}</pre>' if name in opened else '<p class="muted">…</p>'
    facts = [_moment(job.completed_at), f"{job.host} · {job.pid}" if job.host else ""]
    facts += [f"after {job.duration_s:.1f} s" if job.duration_s is not None else "", job.version[:12]]
    return (
        f'<li data-key="{escape(name)}" class="job"><div class="row spread">{key_html(job.key)}'
        f'<span class="tiny muted">{escape(" · ".join(fact for fact in facts if fact))}</span></div>'
        f'<div class="message break">{escape(job.message or "It failed without a message.")}</div>'
        f'<div class="row">{button("Retry", "retry", name, label=f"Retry {words}")}'
        f"{button('Ignore', 'ignore', name, kind='quiet', label=f'Ignore {words}')}</div>"
        f'<details data-action="open" data-value="{escape(name)}"><summary class="small">Traceback</summary>'
        f"{inner}</details></li>"
    )


def _ignored_html(scene: Scene) -> str:
    number = scene.report.counts.get("ignore", 0)
    if not number:
        return ""
    rows = "".join(
        f'<li class="row spread" data-key="{escape(job_id(job))}">{key_html(job.key)}'
        f"{button('Put back', 'put-back', job_id(job), kind='quiet')}</li>"
        for job in scene.ignored
    )
    every = button(f"Put back all {number:,}", "put-back-all", key="all") if number > 1 else ""
    return (
        '<section class="card" data-key="ignored" aria-labelledby="ignored"><header><h2 '
        'id="ignored">Ignored</h2>'
        f'{every}</header><p class="body muted small">These {number:,} are not computed until they are put '
        "back.</p>"
        f'<ul class="jobs">{rows}</ul></section>'
    )


# ------------------------------------------------------------------------------------------------- words
def range_text(shortest_s: float, longest_s: float) -> str:
    """Return a range of time in the unit that suits its longer end.

    >>> range_text(40, 75), range_text(100, 320), range_text(0.2, 0.7)
    ('40 to 75 s', '2 to 6 min', 'about 1 s')
    """
    for unit, seconds, enough in (("h", 3600, 3 * 3600), ("min", 60, 120), ("s", 1, 0)):
        if longest_s >= enough:
            low, high = round(shortest_s / seconds), max(-int(-longest_s // seconds), 1)
            low = max(low, 1)
            return f"{low:,} to {high:,} {unit}" if low < high else f"about {high:,} {unit}"
    raise AssertionError("seconds suit every range")


def _time(moment: dt.datetime | None) -> str:
    return f"{moment:%H:%M:%S}" if moment is not None else ""


def _moment(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment is not None else ""


def _period(group: ErrorGroup) -> str:
    first, last = _moment(group.first_at), _moment(group.last_at)
    return last if first == last else f"{first} to {last}"


def _first_line(message: str) -> str:
    return (message.strip().splitlines() or ["no message"])[0][:300]


def _list(names: Sequence[str]) -> str:
    return " and ".join(names) if names else "its source"


CSS = """
.end { margin-left: auto; }
.big { display: flex; align-items: center; gap: 16px; }
.big .share { font-size: var(--dj-size-xxl); line-height: var(--dj-line-xxl); font-weight: 600;
  min-width: 3.2ch; font-variant-numeric: tabular-nums; }
.big .dj-progress { flex: 1; }
.big .dj-track { height: 14px; border-radius: 7px; }
.big .dj-progress-text { font-size: var(--dj-size-m); }
.queue thead th { padding-top: 12px; }
.queue .wide { min-width: 180px; width: 40%; }
.queue .action { width: 96px; }
.queue th { font-weight: 500; }
.queue tbody th { font-size: var(--dj-size-m); color: inherit; }
.troubles, .jobs, .causes { list-style: none; padding: 0; }
.troubles li { display: flex; gap: 12px; padding: 10px 16px; align-items: center; }
.troubles li > .dj-icon { color: var(--dj-fg); }
.causes { padding: 0 16px 12px; display: grid; gap: 4px; }
.jobs > li { padding: 10px 16px; border-top: 1px solid var(--dj-border); }
.job { display: grid; grid-template-columns: minmax(0, 1fr); gap: 6px; }
.message { font: var(--dj-size-s)/1.5 var(--dj-mono); color: var(--dj-state-error); white-space: pre-wrap;
  max-height: 12em; overflow: auto; }
details > :not(summary) { margin-top: 8px; }
@media (max-width: 640px) { .queue .number { display: none; } }
"""
