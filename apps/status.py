"""Home: what is done, what runs, and what is stuck and why, at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from panel.viewable import Viewable

from dj_panel.apps.live import Action, LiveHtml, LivePage, button, clock_text, href, link
from dj_panel.apps.markup import chip, escape, icon, progress_bar_html, state_chip, tier_label
from dj_panel.apps.routes import Route
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.watching import Snapshot, TableStatus
from dj_panel.apps.services.working import ErrorGroup
from dj_panel.core.words import grouped, marked, say, say_many

__all__ = [
    "HomePage",
    "bar_html",
    "live_line",
    "populate_route",
    "schema_order",
    "state_html",
    "table_route",
    "tier_icon",
    "trouble_html",
]

COMPUTED_TIERS = ("Imported", "Computed")
_N_CAUSES = 8


class HomePage(LivePage):
    """Every table in the order of the pipeline, and above them what needs attention."""

    title = marked("Home")

    async def load(self) -> Viewable:
        """Read the status and build the page."""
        services = self.visit.services
        self._tables: list[TableInfo] = services.tables()
        self._causes: dict[str, list[ErrorGroup]] = {}
        self._orphans: dict[str, int] = {}
        self._known: Mapping[str, TableStatus] = {}
        self._is_reading = False
        await self.status_now()
        await self._read_trouble(self.snapshot)
        self.view = LiveHtml(self._act, stylesheets=[_CSS])
        self.show()
        self.follow()
        return self.view

    def show(self) -> None:
        """Show the latest status; what needs more reading follows."""
        self.view.html = home_html(self._tables, self.snapshot, self._causes, self._orphans)
        self.view.clock = clock_text(self.snapshot, self.visit.services.entering.custom)
        if not self._is_reading and self._changed(self.snapshot):
            self._is_reading = True
            self.start(self._follow_trouble(), "reading what needs attention")

    def tick(self) -> None:
        """Show when the status was last read."""
        self.snapshot = self.visit.services.watcher.snapshot
        self.view.clock = clock_text(self.snapshot, self.visit.services.entering.custom)

    # ------------------------------------------------------------------ what needs attention
    def _changed(self, snapshot: Snapshot) -> list[str]:
        """Return the tables whose failed or reserved jobs are other ones than when they were last read."""
        return [
            name
            for name, status in snapshot.tables.items()
            if _trouble(status) != _trouble(self._known.get(name, TableStatus(0)))
        ]

    async def _follow_trouble(self) -> None:
        try:
            await self._read_trouble(self.snapshot)
        finally:
            self._is_reading = False
        self.soon(self.guard(self.show))

    async def _read_trouble(self, snapshot: Snapshot) -> None:
        working = self.visit.services.working
        for name in self._changed(snapshot):
            status = snapshot.tables[name]
            self._causes[name] = await working.error_groups(name) if status.error else []
            self._orphans[name] = (await working.report(name)).n_orphans if status.reserved else 0
        self._known = snapshot.tables

    def _act(self, action: Action) -> None:
        if action.name == "release" and self._orphans.get(action.value):
            self.start(self._release(action.value), f"releasing jobs of {action.value}")

    async def _release(self, table: str) -> None:
        number = await self.visit.services.working.release_orphans(table)
        self._orphans[table] = 0
        self.visit.notify(
            say_many(
                "{n} job of {table} went back into the queue.",
                "{n} jobs of {table} went back into the queue.",
                number,
                table=table,
            ),
            "success",
            link=(say("Populate"), populate_route(table)),
        )
        self.soon(self.guard(self.show))


# ------------------------------------------------------------------------------------------------- the page
def home_html(
    tables: Sequence[TableInfo],
    snapshot: Snapshot,
    causes: Mapping[str, Sequence[ErrorGroup]],
    orphans: Mapping[str, int],
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    tables
        All tables, parents before children.
    snapshot
        How far they are.
    causes
        Failed jobs by table.
    orphans
        How many reservations of workers that are gone each table has.
    """
    shown = snapshot.tables
    masters = [table for table in tables if table.master is None and table.name in shown]
    parts = {table.name: table for table in tables if table.master is not None}
    by_schema = [(name, [t for t in masters if t.schema == name]) for name in schema_order(masters)]
    sections = "".join(_schema_html(schema, group, parts, shown) for schema, group in by_schema)
    return (
        f'<div class="stack home">{live_line(snapshot)}{_figures_html(masters, shown)}'
        f"{_attention_html(masters, shown, causes, orphans)}{_first_steps_html(masters, shown)}{sections}"
        "</div>"
    )


def live_line(snapshot: Snapshot) -> str:
    """Return the line that says of when the figures are, and whether they can still be read."""
    time = "<span data-clock></span>"
    if snapshot.problem:
        problem = escape(snapshot.problem_text)
        words = say(
            "The status cannot be read: {problem} What is shown is of {time}.", problem=problem, time=time
        )
        return (
            f'<div class="notice-box dj-state-error" data-key="problem" role="alert">{icon("error")}<div>'
            f"{words}</div></div>"
        )
    return (
        f'<p class="tiny muted asof" data-key="asof">{say("Live · as of {time}", time=time)}'
        f' <span class="hidden">{escape(say("on the server’s clock"))}</span></p>'
    )


def _figures_html(masters: Sequence[TableInfo], shown: Mapping[str, TableStatus]) -> str:
    computed = [shown[t.name] for t in masters if shown[t.name].n_keys is not None]
    keys, done = sum(s.n_keys or 0 for s in computed), sum(s.n_done for s in computed)
    failed, running = sum(s.error for s in computed), sum(s.reserved for s in computed)
    ready, ignored = sum(s.n_ready for s in computed), sum(s.ignored for s in computed)
    share = f"{int(100 * done / keys)} %" if keys else "–"
    figures = [
        ("done", share, say("computed"), say("{done} of {total} keys", done=done, total=keys)),
        (
            "running",
            grouped(running),
            say("running"),
            say("keys being computed") if running else say("nobody computes now"),
        ),
        (
            "pending",
            grouped(ready),
            say("to compute"),
            say("{n} more ignored", n=ignored) if ignored else say("keys are ready"),
        ),
        (
            "error",
            grouped(failed),
            say("failed"),
            say("jobs, see below") if failed else say("no job has failed"),
        ),
    ]
    boxes = "".join(
        f'<li class="card figure dj-state-{state}{"" if number not in ("0", "–") else " none"}">'
        f'<span class="sign">{icon(state, size_px=18)}</span><b>{escape(number)}</b>'
        f'<span class="what">{escape(label)}</span><span class="tiny muted">{escape(more)}</span></li>'
        for state, number, label, more in figures
    )
    return f'<ul class="figures" data-key="figures" aria-label="{escape(say("Summary"))}">{boxes}</ul>'


def _attention_html(
    masters: Sequence[TableInfo],
    shown: Mapping[str, TableStatus],
    causes: Mapping[str, Sequence[ErrorGroup]],
    orphans: Mapping[str, int],
) -> str:
    items = [
        trouble_html(table, shown[table.name], "table") for table in masters if shown[table.name].problem
    ]
    failures = [
        (table, group) for table in masters for group in causes.get(table.name, ()) if shown[table.name].error
    ]
    failures.sort(key=lambda pair: -pair[1].n_jobs)
    items += [_cause_html(table, group) for table, group in failures[:_N_CAUSES]]
    if len(failures) > _N_CAUSES:
        more = say_many("and {n} more cause", "and {n} more causes", len(failures) - _N_CAUSES)
        items.append(f'<li data-key="more" class="muted">{escape(more)}</li>')
    items += [_orphans_html(table, orphans[table.name]) for table in masters if orphans.get(table.name)]
    items += [
        _ready_html(table, shown[table.name])
        for table in masters
        if table.can_populate and shown[table.name].n_ready and not shown[table.name].reserved
    ]
    body = (
        f'<ul class="attention list">{"".join(items)}</ul>'
        if items
        else f'<p class="fine">{state_chip("done", say("All is well"))} '
        f"{escape(say('Nothing has failed, and nothing waits.'))}</p>"
    )
    return (
        '<section class="card" data-key="attention" aria-labelledby="attention">'
        f'<header><h2 id="attention">{escape(say("Needs attention"))}</h2></header>{body}</section>'
    )


def trouble_html(table: TableInfo, status: TableStatus, key: str) -> str:
    """Return the entry of a table of which nobody can say how far it is."""
    return (
        f'<li class="dj-state-error" data-key="{escape(key)}-{escape(table.name)}">{icon("error")}<div>'
        f"<b>{link(table.class_name, table_route(table.name))}</b> "
        f"{escape(say('How far it is cannot be told.'))} "
        f'<span class="muted break">{escape(status.problem_text)}</span></div></li>'
    )


def _cause_html(table: TableInfo, group: ErrorGroup) -> str:
    return (
        f'<li class="dj-state-error" data-key="cause-{escape(table.name)}-{escape(group.message[:80])}">'
        f"{icon('error')}<div><b>{link(table.class_name, populate_route(table.name))}</b> "
        f"{escape(say_many('{n} job failed', '{n} jobs failed', group.n_jobs))}"
        f'<div class="message break">{escape(_shortened(group.message))}</div></div>'
        f'<a class="btn" href="{href(populate_route(table.name))}" '
        f'aria-label="{escape(say("Look into {table}", table=table.class_name))}">'
        f"{escape(say('Look into it'))}</a></li>"
    )


def _orphans_html(table: TableInfo, number: int) -> str:
    words = say_many(
        "{n} job is still reserved by a worker that is gone.",
        "{n} jobs are still reserved by workers that are gone.",
        number,
    )
    label = say("Release the jobs of {table}", table=table.class_name)
    return (
        f'<li class="dj-state-blocked" data-key="orphans-{escape(table.name)}">{icon("blocked")}<div>'
        f"<b>{link(table.class_name, populate_route(table.name))}</b> {escape(words)}</div>"
        f"{button(say('Release'), 'release', table.name, label=label)}</li>"
    )


def _ready_html(table: TableInfo, status: TableStatus) -> str:
    words = say_many("{n} key is ready to be computed", "{n} keys are ready to be computed", status.n_ready)
    return (
        f'<li class="dj-state-pending" data-key="ready-{escape(table.name)}">{icon("pending")}<div>'
        f"<b>{link(table.class_name, populate_route(table.name))}</b> {escape(words)}</div>"
        f'<a class="btn" href="{href(populate_route(table.name))}" '
        f'aria-label="{escape(say("Populate {table}", table=table.class_name))}">'
        f"{escape(say('Populate'))}</a></li>"
    )


def _first_steps_html(masters: Sequence[TableInfo], shown: Mapping[str, TableStatus]) -> str:
    """Return what to do in a pipeline in which nobody has entered anything."""
    entered = [table for table in masters if table.tier == "Manual"]
    if not entered or any(shown[table.name].n_rows for table in entered):
        return ""
    first = next((table for table in entered if not _needs_rows(table, shown)), entered[0])
    words = say("Nothing has been entered yet. {table} is a good place to begin.", table=first.class_name)
    return (
        f'<div class="notice-box dj-state-running" data-key="first">{icon("manual")}<div>{escape(words)}</div>'
        f'<a class="btn primary" href="{href(Route("enter", (first.name,)))}">'
        f"{escape(say('Enter the first {table}', table=first.class_name))}</a></div>"
    )


def _needs_rows(table: TableInfo, shown: Mapping[str, TableStatus]) -> bool:
    return any(
        parent.table in shown and not shown[parent.table].n_rows
        for parent in table.parents
        if not parent.foreign_key.nullable
    )


def _schema_html(
    schema: str, group: Sequence[TableInfo], parts: Mapping[str, TableInfo], shown: Mapping[str, TableStatus]
) -> str:
    rows = "".join(_row_html(table, parts, shown) for table in group)
    heading = f"schema-{escape(schema)}"
    return (
        f'<section class="card" data-key="{heading}" aria-labelledby="{heading}"><header>'
        f'<h2 id="{heading}">{escape(schema)}</h2>'
        f'<span class="tiny muted">{escape(say_many("{n} table", "{n} tables", len(group)))}</span></header>'
        f'<table class="tables fold"><thead><tr><th scope="col">{escape(say("Table"))}</th>'
        f'<th scope="col" class="number">{escape(say("Rows"))}</th>'
        f'<th scope="col" class="wide">{escape(say("Computed"))}</th>'
        f'<th scope="col">{escape(say("State"))}</th>'
        f'<th scope="col"><span class="hidden">{escape(say("Action"))}</span></th></tr></thead>'
        f"<tbody>{rows}</tbody>"
        "</table></section>"
    )


def _row_html(table: TableInfo, parts: Mapping[str, TableInfo], shown: Mapping[str, TableStatus]) -> str:
    status = shown[table.name]
    inner = [
        f"{link(parts[name].class_name.rpartition('.')[2], table_route(name))} {shown[name].count_text}"
        for name in table.parts
        if name in shown and name in parts
    ]
    below = f'<div class="tiny muted parts">{" · ".join(inner)}</div>' if inner else ""
    action = ""
    if table.tier in COMPUTED_TIERS:
        label = say("Populate {table}", table=table.class_name)
        action = _action_link(say("Populate"), populate_route(table.name), label)
    elif table.can_enter:
        label = say("Add {table}", table=table.class_name)
        action = _action_link(say("Add"), Route("enter", (table.name,)), label)
    return (
        f'<tr data-key="{escape(table.name)}"><th scope="row"><div class="name">'
        f"{tier_icon(table.tier)}<div>{link(table.class_name, table_route(table.name))}{below}</div></div>"
        "</th>"
        f'<td class="number">{escape(status.count_text)}</td><td class="wide">{bar_html(status)}</td>'
        f'<td class="state">{state_html(status)}</td><td class="action">{action}</td></tr>'
    )


def _action_link(text: str, route: Route, label: str) -> str:
    return f'<a class="btn quiet" href="{href(route)}" aria-label="{escape(label)}">{escape(text)}</a>'


def tier_icon(tier: str) -> str:
    """Return the icon of a tier in its colour, with its word for screen readers and under the pointer."""
    return (
        f'<span class="tier dj-tier-{escape(tier.lower())}" title="{escape(tier_label(tier))}">'
        f"{icon(tier.lower())}"
        f'<span class="hidden">{escape(tier_label(tier))}</span></span>'
    )


def bar_html(status: TableStatus) -> str:
    """Return the progress bar of a computed table, or nothing for one that people fill."""
    if not status.n_keys:
        return ""
    return progress_bar_html(status.n_done, status.reserved, status.error, status.n_keys)


def state_html(status: TableStatus) -> str:
    """Return the chip that says how a table is."""
    if status.problem:
        return state_chip("error", say("Not known"))
    if status.n_keys is None:
        return "" if status.n_rows else chip(say("No rows"))
    if status.state == "empty":
        return chip(say("No keys"))
    to_do = say("{n} to do", n=status.n_todo)
    words = {
        "running": say("{n} running", n=status.reserved),
        "error": say("{n} failed", n=status.error),
        "pending": to_do,
        "partial": to_do,
        "done": say("Done, {n} ignored", n=status.ignored) if status.ignored else say("Done"),
    }
    return state_chip(status.state, words[status.state])


def table_route(table: str) -> Route:
    """Return the route to a table's rows."""
    return Route("table", (table,))


def populate_route(table: str) -> Route:
    """Return the route to the page on which a table is computed."""
    return Route("populate", (table,))


def _trouble(status: TableStatus) -> tuple[int, int]:
    return status.error, status.reserved


def _shortened(message: str) -> str:
    first = message.strip().splitlines()[0] if message.strip() else say("no message")
    return first if len(first) <= 300 else first[:299] + "…"


def schema_order(tables: Sequence[TableInfo]) -> list[str]:
    """Return the schemas of tables, those that others refer to first."""
    schema_of = {table.name: table.schema for table in tables}
    needed: dict[str, set[str]] = {}
    for table in tables:
        needed.setdefault(table.schema, set()).update(
            schema_of[parent.table] for parent in table.parents if parent.table in schema_of
        )
    placed: list[str] = []
    while len(placed) < len(needed):
        waiting = [schema for schema in needed if schema not in placed]
        # Where schemas refer to each other in a circle, the first one goes first.
        free = [schema for schema in waiting if needed[schema] <= {schema, *placed}]
        placed.append((free or waiting)[0])
    return placed


_CSS = """
.asof { margin-bottom: -8px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; padding: 0;
  list-style: none; }
.figure { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 12px; padding: 12px 16px; }
.figure .sign { display: grid; place-items: center; width: 36px; height: 36px; border-radius: 50%;
  background: var(--dj-bg); color: var(--dj-fg); grid-row: 1 / 4; align-self: center; }
.figure b { font-size: var(--dj-size-xxl); line-height: var(--dj-line-xxl); font-weight: 600;
  font-variant-numeric: tabular-nums; letter-spacing: -.01em; white-space: nowrap; }
.figure .what { overflow-wrap: anywhere; }
.figure.none b { color: var(--dj-muted); }
.attention { list-style: none; padding: 0; }
.attention li { display: flex; flex-wrap: wrap; gap: 6px 12px; align-items: center; padding: 8px 16px;
  border-top: 1px solid var(--dj-border); }
.attention li > .dj-icon { color: var(--dj-fg); }
.attention li > div { flex: 1 1 220px; min-width: 0; }
.attention .message { font: var(--dj-size-xs)/1.5 var(--dj-mono); color: var(--dj-muted); }
.fine { padding: 0 16px 14px; }
.tables { table-layout: fixed; }
.tables th:nth-child(1) { width: 34%; }
.tables th:nth-child(2) { width: 12%; }
.tables th:nth-child(4) { width: 17%; }
.tables th:nth-child(5) { width: 116px; }
.parts { font-weight: 400; }
"""
