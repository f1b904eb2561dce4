"""Populate: what is to be computed, who is at it, how fast it goes, and what failed and why."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from panel.viewable import Viewable

from dj_panel.apps.live import Action, LiveHtml, LivePage, clock_text, link
from dj_panel.apps.markup import html_pane
from dj_panel.apps.monitor_html import CSS, Scene, index_html, job_id, table_html
from dj_panel.apps.page import empty_state
from dj_panel.apps.routes import Route
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.watching import TableStatus
from dj_panel.apps.services.working import MAX_WORKERS, JobRow, WorkerInfo
from dj_panel.apps.status import COMPUTED_TIERS, populate_route, table_route
from dj_panel.core.words import marked, say, say_many

__all__ = ["PopulatePage"]

_N_JOBS = 50


class PopulatePage(LivePage):
    """All computed tables (``#/populate``), or one of them (``#/populate/lab.Rate``)."""

    title = marked("Populate")

    async def load(self) -> Viewable:
        """Read the queues and build the page."""
        services = self.visit.services
        self._working = services.working
        self._n_workers = 1
        self._table: TableInfo | None = None
        if self.visit.route.path:
            self._table = services.table(".".join(self.visit.route.path))
            self.title = say("Populate {table}", table=self._table.class_name)
            refusal = self._why_not_computed(self._table)
            if refusal is not None:
                return refusal
        self._computed = [table for table in services.tables() if table.tier in COMPUTED_TIERS]
        if not self._computed:
            return empty_state(
                say("No table of this pipeline is computed"),
                say("Imported and Computed tables appear here, with what is left to do and what failed."),
            )
        await self.status_now()
        self._workers: list[WorkerInfo] = self._working.running()
        self._known: TableStatus | None = None
        self._n_shown = _N_JOBS
        self._opened: set[str] = set()
        self._scene = Scene()
        self._is_reading = False
        self._is_stale = False
        if self._table is not None:
            await self._read(self._table)
        self.view = LiveHtml(self._act, stylesheets=[CSS])
        self.show()
        self.follow()
        return self.view

    async def update(self, route: Route) -> bool:
        """Stay, unless another table is asked for."""
        shown = self._table.name if self._table is not None else ""
        return ".".join(route.path) == shown and hasattr(self, "view")

    def _why_not_computed(self, table: TableInfo) -> Viewable | None:
        """Return what is shown for a table that nobody computes, or None for one that is computed."""
        if table.tier in COMPUTED_TIERS:
            return None
        if table.master is not None:
            master = self.visit.services.table(table.master)
            if master.tier in COMPUTED_TIERS:
                self.visit.go(populate_route(master.name), history=False)
            return empty_state(
                say("{part} is part of {table}", part=table.class_name, table=master.class_name),
                say("Its rows are written together with those of {table}.", table=master.class_name),
            )
        from_code = table.tier == "Lookup"
        return empty_state(
            say("{table} is not computed", table=table.class_name),
            say("Its rows come with the pipeline's definition, or are entered by people.")
            if from_code
            else say("Its rows are entered by people."),
            html_pane(link(say("Open the table"), table_route(table.name))),
        )

    # ------------------------------------------------------------------ showing
    def show(self) -> None:
        """Show the latest status, and read the queue if it has changed."""
        if self._table is None:
            self._draw()
            return
        status = self.snapshot.tables.get(self._table.name)
        if status != self._known:
            self._known = status
            self._read_soon()
        self._draw()

    def tick(self) -> None:
        """Follow workers that start and end, which no table tells."""
        self.snapshot = self.visit.services.watcher.snapshot
        workers = self._working.running()
        if workers != self._workers or (workers and self._table is not None):
            self._workers = workers
            if self._table is not None:
                self._read_soon()
            self._draw()
        self.view.clock = clock_text(self.snapshot, self.visit.services.entering.custom)

    def _draw(self) -> None:
        if self._table is None:
            html = index_html(self._computed, self.snapshot, self._workers, self._n_workers, self._module)
        else:
            html = table_html(self._table, self.snapshot, self._scene_now())
        self.view.html = html
        self.view.clock = clock_text(self.snapshot, self.visit.services.entering.custom)

    @property
    def _module(self) -> str | None:
        module: str | None = self.visit.services.pipeline.module
        return module

    def _scene_now(self) -> Scene:
        assert self._table is not None
        name = self._table.name
        status = self.snapshot.tables.get(name, TableStatus(0))
        n_samples, estimate = self._working.estimate(name, status, self.snapshot.taken_at)
        scene = self._scene
        scene.workers = [worker for worker in self._workers if name in worker.tables]
        scene.n_workers = self._n_workers
        scene.n_samples, scene.estimate = n_samples, estimate
        scene.opened = self._opened
        scene.module = self._module
        return scene

    # ------------------------------------------------------------------ reading
    def _read_soon(self) -> None:
        """Read the queue; if that is going on already, once more afterwards."""
        if self._is_reading:
            self._is_stale = True
        else:
            self._is_reading = True
            self.start(self._keep_reading(), "reading the queue")

    async def _keep_reading(self) -> None:
        assert self._table is not None
        try:
            self._is_stale = True
            while self._is_stale and not self.is_closed:
                self._is_stale = False
                await self._read(self._table)
        finally:
            self._is_reading = False
        self.soon(self.guard(self._draw))

    async def _read(self, table: TableInfo) -> None:
        scene, name = self._scene, table.name
        scene.report = await self._working.report(name)
        counts = scene.report.counts
        n_failed, n_ignored = counts["error"], counts["ignore"]
        scene.failed = await self._working.jobs(name, "error", 0, self._n_shown) if n_failed else []
        scene.groups = await self._working.error_groups(name) if n_failed else []
        scene.ignored = await self._working.jobs(name, "ignore", 0, self._n_shown) if n_ignored else []
        scene.trouble = await self._working.failed_start(name)

    # ------------------------------------------------------------------ acting
    def _act(self, action: Action) -> None:
        works: Mapping[str, Any] = {
            "start": self._start,
            "stop": self._stop,
            "retry": self._retry,
            "retry-all": self._retry,
            "ignore": self._ignore,
            "put-back": self._put_back,
            "put-back-all": self._put_back,
            "release": self._release,
        }
        if action.name == "workers":
            if action.value.isdecimal():
                self._n_workers = min(max(int(action.value), 1), MAX_WORKERS)
        elif action.name == "more":
            self._n_shown += _N_JOBS
            self._read_soon()
        elif action.name == "open":
            (self._opened.add if action.is_on else self._opened.discard)(action.value)
            self.soon(self.guard(self._draw))
        elif action.name in works:
            self.start(self._then_read(works[action.name](action)), f"{action.name} on the Populate page")

    async def _then_read(self, work: Coroutine[Any, Any, None]) -> None:
        await work
        self._workers = self._working.running()
        if self._table is not None:
            self._read_soon()
        self.soon(self.guard(self._draw))

    def _chosen(self, action: Action, jobs: list[JobRow]) -> list[Mapping[str, Any]]:
        """Return the keys that an action is for: only those of jobs that are shown can be meant."""
        return [job.key for job in jobs if job_id(job) == action.value]

    async def _start(self, action: Action) -> None:
        tables = [self._table.name] if self._table is not None else ([action.value] if action.value else [])
        started = await self._working.start(tables, self._n_workers)
        if not started:
            self.visit.notify(say("As many workers as that are at it already."))

    async def _stop(self, action: Action) -> None:
        await self._working.stop(self._table.name if self._table is not None else action.value or None)

    async def _retry(self, action: Action) -> None:
        assert self._table is not None
        keys = None if action.name == "retry-all" else self._chosen(action, self._scene.failed)
        if keys == []:
            return
        number = await self._working.retry(self._table.name, keys)
        self._tell_requeued(number)

    async def _put_back(self, action: Action) -> None:
        assert self._table is not None
        keys = None if action.name == "put-back-all" else self._chosen(action, self._scene.ignored)
        if keys != []:
            self._tell_requeued(await self._working.put_back(self._table.name, keys))

    async def _ignore(self, action: Action) -> None:
        assert self._table is not None
        table, keys = self._table.name, self._chosen(action, self._scene.failed)
        if not keys:
            return
        await self._working.ignore(table, keys)

        async def undo() -> None:
            await self._working.put_back(table, keys)

        self.visit.notify(say("The job will not be done any more."), action=(say("Undo"), undo))

    async def _release(self, action: Action) -> None:
        table = self._table.name if self._table is not None else action.value
        self._tell_requeued(await self._working.release_orphans(table))

    def _tell_requeued(self, number: int) -> None:
        """Say that jobs went back into the queue, and offer to start if nobody is at work."""
        assert self._table is not None
        table = self._table
        text = say_many("{n} job is back in the queue.", "{n} jobs are back in the queue.", number)
        is_idle = not any(table.name in worker.tables for worker in self._working.running())
        if number and is_idle and table.can_populate:

            async def begin() -> None:
                await self._working.start([table.name], self._n_workers)

            self.visit.notify(text, "success", action=(say("Start now"), begin))
        else:
            self.visit.notify(text, "success", link=(say("Open the table"), table_route(table.name)))
