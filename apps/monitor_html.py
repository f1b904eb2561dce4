"""The HTML of the Populate pages."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import reduce

from dj_panel.apps.assets import asset
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
from dj_panel.core.words import grouped, say, say_many

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
    controls = _no_code_html() if module is None else _controls_html("", ready, workers, n_workers)
    return (
        f'<div class="stack">{live_line(snapshot)}{controls}{trouble}<section class="card" '
        'data-key="tables"><div class="scroll">'
        f'<table class="queue fold"><thead><tr><th scope="col">{escape(say("Table"))}</th>'
        f'<th scope="col" class="wide">{escape(say("Progress"))}</th>'
        f'<th scope="col">{escape(say("State"))}</th>'
        f'<th scope="col" class="number">{escape(say("To compute"))}</th>'
        f'<th scope="col"><span class="hidden">{escape(say("Action"))}</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        "</section></div>"
    )


def _index_row(table: TableInfo, status: TableStatus, workers: Sequence[WorkerInfo]) -> str:
    name = table.class_name
    at_it = [worker for worker in workers if table.name in worker.tables and len(worker.tables) == 1]
    if any(not worker.is_stopping for worker in at_it):
        label = say("Stop {table} after the present key", table=name)
        action = button(say("Stop"), "stop", table.name, key="go", label=label)
    elif table.can_populate and status.n_ready and not at_it:
        label = say("Start {table}", table=name)
        action = button(say("Start"), "start", table.name, key="go", label=label)
    else:
        action = ""
    return (
        f'<tr data-key="{escape(table.name)}"><th scope="row"><div class="name">{tier_icon(table.tier)}'
        f"<div>{link(name, populate_route(table.name))}"
        f'<div class="tiny muted">{escape(table.schema)}</div></div></div></th>'
        f'<td class="wide">{bar_html(status)}</td><td class="state">{state_html(status)}</td>'
        f'<td class="number">{grouped(status.n_ready)}</td><td class="action">{action}</td></tr>'
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
        f"{link(say('Rows of the table'), table_route(table.name))}"
        f'<a href="#/populate">{escape(say("All computed tables"))}</a></span></div>'
    )


def _progress_html(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    total = status.n_keys or 0
    numbers = [
        ("done", status.n_done, say("{n} done", n=status.n_done)),
        ("running", status.reserved, say("{n} running", n=status.reserved)),
        ("pending", status.n_ready, say("{n} to compute", n=status.n_ready)),
        ("error", status.error, say("{n} failed", n=status.error)),
        ("ignored", status.ignored, say("{n} ignored", n=status.ignored)),
    ]
    chips = "".join(
        state_chip(state, words) for state, number, words in numbers if number or state in ("done", "pending")
    )
    if status.problem:
        body = f'<ul class="troubles">{trouble_html(table, status, "own")}</ul>'
    elif not total:
        body = f'<p class="muted">{escape(_why_nothing(table))}</p>'
    else:
        share = f'<b class="share">{int(100 * status.n_done / total)} %</b>'
        bar = progress_bar_html(status.n_done, status.reserved, status.error, total)
        body = f'<div class="big">{share}{bar}</div><div class="row">{chips}{_pace_html(status, scene)}</div>'
    return (
        f'<section class="card" data-key="progress" aria-label="{escape(say("Progress"))}">'
        f'<div class="body stack">{body}'
        f"{_start_html(table, status, scene)}</div></section>"
        f'<p class="hidden" role="status" data-key="said">{escape(_phase(table, status, scene))}</p>'
    )


def _start_html(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    if table.can_populate:
        return _controls_html(table.class_name, status.n_ready, scene.workers, scene.n_workers, status)
    if scene.module is None:
        return _no_code_html()
    words = say(
        "{table} has no {make} method, so there is nothing to run: its rows are inserted by other programs.",
        table=escape(table.class_name),
        make="<code>make</code>",
    )
    return f'<p class="muted" data-key="nocode">{words}</p>'


def _no_code_html() -> str:
    words = say(
        "Nothing can be computed here: the site is served from the database alone, without the pipeline’s code."
        " Progress and jobs are shown, and other programs can compute. To compute from here, serve the code:"
        " {command}.",
        command="<code>dj-panel serve MODULE</code>",
    )
    return f'<div class="notice-box dj-state-blocked" data-key="nocode">{icon("blocked")}<div>{words}</div></div>'


def _controls_html(
    table: str,
    n_ready: int,
    workers: Sequence[WorkerInfo],
    n_workers: int,
    status: TableStatus | None = None,
) -> str:
    """Return what starts and stops; the same button in the same place, so that the focus stays on it.

    It is for all tables if `table` is empty.
    """
    busy = [worker for worker in workers if not worker.is_stopping]
    if busy:
        words = (
            say_many("{n} worker at work.", "{n} workers at work.", len(busy))
            if status is None or status.reserved
            else say_many("{n} worker starting …", "{n} workers starting …", len(busy))
        )
        control = button(say("Stop"), "stop", key="go", kind="danger") + (
            f'<span class="muted small">{escape(say("Each worker stops after its present key."))}</span>'
        )
        return (
            f'<div class="row" data-key="controls">{control}<span class="small">{escape(words)}</span></div>'
        )
    if workers:
        why_not = say("The present key is being finished.")
        stopping = button(say("Stopping …"), "stop", key="go", why_not=why_not)
        return (
            f'<div class="row" data-key="controls">{stopping}'
            f'<span class="muted small">{escape(why_not)}</span></div>'
        )
    reason = "" if n_ready else say("Nothing is left to compute.")
    words = _will_be_computed(n_ready, table) if n_ready else reason
    start = say("Start") if table else say("Start all")
    options = "".join(
        f'<option value="{n}"{" selected" if n == n_workers else ""}>{n}</option>'
        for n in range(1, MAX_WORKERS + 1)
    )
    return (
        f'<div class="row" data-key="controls">'
        f"{button(start, 'start', key='go', kind='primary', why_not=reason)}"
        f'<label data-key="workers">{escape(say("Workers"))} '
        f'<select data-action="workers">{options}</select></label>'
        f'<span class="small muted" data-key="words">{escape(words)}</span></div>'
    )


def _will_be_computed(n_keys: int, table: str) -> str:
    if not table:
        return say_many(
            "{n} key of all tables will be computed.", "{n} keys of all tables will be computed.", n_keys
        )
    return say_many(
        "{n} key of {table} will be computed.", "{n} keys of {table} will be computed.", n_keys, table=table
    )


def _pace_html(status: TableStatus, scene: Scene) -> str:
    if not status.n_ready and not status.reserved:
        return ""
    if scene.estimate is None:
        if not status.reserved and not scene.n_samples:
            return ""
        words = say("no estimate yet ({n} of {needed} keys seen)", n=scene.n_samples, needed=FEWEST_SAMPLES)
        return f'<span class="small muted">{escape(words)}</span>'
    estimate = scene.estimate
    per_minute = estimate.per_minute
    pace = (
        say("{n} a minute", n=round(per_minute))
        if per_minute >= 2
        else say("{n} an hour", n=f"{60 * per_minute:.1f}")
    )
    left = range_text(estimate.shortest_s, estimate.longest_s)
    return f'<span class="small muted">{escape(say("{pace} · {time} left", pace=pace, time=left))}</span>'


def _phase(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    """Return what is said to a screen reader: it changes when the work begins or ends, not with each key."""
    name = table.class_name
    if any(not worker.is_stopping for worker in scene.workers):
        return say("{table} is being computed.", table=name)
    if scene.workers:
        return say("{table} stops after the present key.", table=name)
    if status.reserved:
        return say("{table} is being computed by other programs.", table=name)
    if status.error:
        return say("Nobody computes {table} now; {n} failed.", table=name, n=status.error)
    return say("Nobody computes {table} now.", table=name)


def _trouble_html(table: TableInfo, status: TableStatus, scene: Scene) -> str:
    boxes = ""
    number = scene.report.n_orphans
    if number:
        words = say_many(
            "{n} job was reserved by a worker that is gone. It stays reserved until released; nothing half done"
            " was kept.",
            "{n} jobs were reserved by workers that are gone. They stay reserved until released; nothing half"
            " done was kept.",
            number,
        )
        boxes += (
            f'<div class="notice-box dj-state-blocked" data-key="orphans" role="alert">{icon("blocked")}'
            f"<div>{escape(words)}</div>{button(say('Release'), 'release')}</div>"
        )
    if scene.trouble:
        words = say("The last worker for {table} ended with an error.", table=table.class_name)
        boxes += (
            f'<div class="notice-box dj-state-error" data-key="worker" role="alert">{icon("error")}'
            f"<div>{escape(words)}"
            f'<details data-key="log"><summary>{escape(say("End of its log"))}</summary><pre '
            f'tabindex="0">{escape(scene.trouble)}</pre>'
            "</details></div></div>"
        )
    if scene.n_samples and not status.reserved and not scene.workers:
        words = say(
            "Rows are being added by a program that does not reserve its keys: its progress can be seen here,"
            " its worker cannot."
        )
        boxes += (
            f'<div class="notice-box dj-state-running" data-key="unreserved">{icon("running")}'
            f"<div>{escape(words)}</div></div>"
        )
    return boxes


def _running_html(status: TableStatus, scene: Scene) -> str:
    if not scene.report.running or not (status.reserved or scene.workers):
        return ""
    own = {worker.pid for worker in scene.workers}
    foreign = f" <span class=muted>({escape(say('not from here'))})</span>"
    rows = "".join(
        f'<tr data-key="{escape(job_id(job))}"><td>{key_html(job.key)}</td>'
        f"<td>{escape(job.host)} · "
        f"{job.pid}{'' if job.pid in own else foreign}</td>"
        f'<td class="number">{_time(job.reserved_at)}</td></tr>'
        for job in scene.report.running
    )
    return (
        '<section class="card" data-key="running" aria-labelledby="running"><header>'
        f'<h2 id="running">{escape(say("Being computed"))}</h2>'
        f'<span class="tiny muted">{escape(say("{n} at work", n=len(scene.report.running)))}</span></header>'
        f'<div class="scroll"><table><thead><tr><th scope="col">{escape(say("Key"))}</th>'
        f'<th scope="col">{escape(say("Host · process"))}</th>'
        f'<th scope="col" class="number">{escape(say("Since (database’s clock)"))}</th></tr></thead>'
        f"<tbody>{rows}</tbody>"
        "</table></div>"
        "</section>"
    )


def _failed_html(table: TableInfo, scene: Scene) -> str:
    number = scene.report.counts.get("error", 0)
    if not number:
        return ""
    causes = "".join(
        f'<li data-key="cause-{position}"><b>{grouped(group.n_jobs)} ×</b> <span '
        f'class="break">{escape(_first_line(group.message))}'
        f'</span> <span class="tiny muted">{_period(group)}</span></li>'
        for position, group in enumerate(scene.groups)
    )
    by_cause = (
        f'<ul class="causes" data-key="causes">{causes}</ul>' if len(scene.groups) > 1 or number > 1 else ""
    )
    rows = "".join(_failed_row(job, scene.opened) for job in scene.failed)
    every = more = ""
    if number > 1:
        name = say("Retry all {n} failed jobs of {table}", n=number, table=table.class_name)
        every = button(say("Retry all {n}", n=number), "retry-all", key="all", label=name)
    if number > len(scene.failed) > 0:
        more = f'<div class="body">{button(say("Show more of {n}", n=number), "more", key="more")}</div>'
    return (
        '<section class="card" data-key="failed" aria-labelledby="failed"><header>'
        f'<h2 id="failed">{escape(say("Failed"))}</h2>{every}'
        f'</header>{by_cause}<ul class="jobs">{rows}</ul>{more}</section>'
    )


def _failed_row(job: JobRow, opened: AbstractSet[str]) -> str:
    name = job_id(job)
    words = ", ".join(f"{attribute} {value}" for attribute, value in job.key.items())
    stack = job.stack or say("No traceback was kept.")
    inner = f'<pre tabindex="0">{escape(stack)}</pre>' if name in opened else '<p class="muted">…</p>'
    facts = [_moment(job.completed_at), f"{job.host} · {job.pid}" if job.host else ""]
    took = say("after {time}", time=f"{job.duration_s:.1f} s") if job.duration_s is not None else ""
    facts += [took, job.version[:12]]
    return (
        f'<li data-key="{escape(name)}" class="job"><div class="row spread">{key_html(job.key)}'
        f'<span class="tiny muted">{escape(" · ".join(fact for fact in facts if fact))}</span></div>'
        f'<div class="message break">{escape(job.message or say("It failed without a message."))}</div>'
        f'<div class="row">{button(say("Retry"), "retry", name, label=say("Retry {job}", job=words))}'
        f"{button(say('Ignore'), 'ignore', name, kind='quiet', label=say('Ignore {job}', job=words))}</div>"
        f'<details data-action="open" data-value="{escape(name)}"><summary class="small">'
        f"{escape(say('Traceback'))}</summary>"
        f"{inner}</details></li>"
    )


def _ignored_html(scene: Scene) -> str:
    number = scene.report.counts.get("ignore", 0)
    if not number:
        return ""
    rows = "".join(
        f'<li class="row spread" data-key="{escape(job_id(job))}">{key_html(job.key)}'
        f"{button(say('Put back'), 'put-back', job_id(job), kind='quiet')}</li>"
        for job in scene.ignored
    )
    words = say_many(
        "These {n} are not computed until they are put back.",
        "These {n} are not computed until they are put back.",
        number,
    )
    every = button(say("Put back all {n}", n=number), "put-back-all", key="all") if number > 1 else ""
    return (
        '<section class="card" data-key="ignored" aria-labelledby="ignored"><header>'
        f'<h2 id="ignored">{escape(say("Ignored"))}</h2>{every}</header>'
        f'<p class="body muted small">{escape(words)}</p>'
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
            if low < high:
                return say("{low} to {high} {unit}", low=low, high=high, unit=unit)
            return say("about {n} {unit}", n=high, unit=unit)
    raise AssertionError("seconds suit every range")


def _time(moment: dt.datetime | None) -> str:
    return f"{moment:%H:%M:%S}" if moment is not None else ""


def _moment(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment is not None else ""


def _period(group: ErrorGroup) -> str:
    first, last = _moment(group.first_at), _moment(group.last_at)
    return last if first == last else say("{first} to {last}", first=first, last=last)


def _first_line(message: str) -> str:
    return (message.strip().splitlines() or [say("no message")])[0][:300]


def _why_nothing(table: TableInfo) -> str:
    parents = [parent.table for parent in table.parents if parent.foreign_key.in_key]
    if not parents:
        return say("There is nothing to compute yet: no key of its source is there.")
    names = reduce(lambda first, second: say("{first} and {second}", first=first, second=second), parents)
    return say("There is nothing to compute yet: no key of {tables} is there.", tables=names)


CSS = asset("monitor.css")
