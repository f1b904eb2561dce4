"""Populate from the browser: workers are processes of their own; what they do is read from the database."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dj_panel.apps.services.pace import Estimate, Pace
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.watching import TableStatus
from dj_panel.core.errors import MakeError
from dj_panel.core.jobs import Job
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.settings import Settings
from dj_panel.core.words import say
from dj_panel.core.workers import orphans, release_orphans

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["ErrorGroup", "JobRow", "QueueReport", "WorkerInfo", "Working"]

logger = logging.getLogger(__name__)
MAX_WORKERS = 4
_IDLE_S = 30.0
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\d+(?:[.:-]\d+)*")


@dataclass(frozen=True)
class JobRow:
    """One job of a queue, as pages show it.

    Parameters
    ----------
    key
        The primary key.
    status
        ``pending reserved success error ignore``.
    message, stack
        Why it failed, in one line and in full.
    host, pid, user, version
        Who did it, or is doing it.
    duration_s
        How long it took, in seconds.
    reserved_at, completed_at
        On the server's clock.
    """

    key: Mapping[str, Any]
    status: str
    message: str = ""
    stack: str = ""
    host: str = ""
    pid: int = 0
    user: str = ""
    version: str = ""
    duration_s: float | None = None
    reserved_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None


@dataclass(frozen=True)
class WorkerInfo:
    """A worker that this site started.

    Parameters
    ----------
    tables
        What it computes.
    pid
        Its process.
    started_at
        Seconds since the epoch.
    is_stopping
        Whether it was told to stop after its present key.
    keys
        What it was restricted to; nothing, if it computes all that is missing.
    """

    tables: tuple[str, ...]
    pid: int
    started_at: float
    is_stopping: bool = False
    keys: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class QueueReport:
    """One queue at one moment.

    Parameters
    ----------
    counts
        Jobs by status, and ``total``.
    n_keys, n_todo
        How many keys the table should have, and how many have no row yet.
    running
        The jobs that are being done.
    n_orphans
        How many of them belong to workers of this computer that are gone.
    """

    counts: Mapping[str, int]
    n_keys: int
    n_todo: int
    running: tuple[JobRow, ...] = ()
    n_orphans: int = 0


@dataclass(frozen=True)
class ErrorGroup:
    """Failed jobs with one cause: their messages differ in numbers and quoted values only.

    Parameters
    ----------
    message
        That of the newest.
    n_jobs
        How many there are.
    first_at, last_at
        When the oldest and the newest failed, on the server's clock.
    """

    message: str
    n_jobs: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None


class _Child:
    """A worker process and its log."""

    def __init__(
        self,
        tables: tuple[str, ...],
        process: subprocess.Popen[bytes],
        log: Path,
        keys: tuple[Mapping[str, Any], ...],
    ) -> None:
        self.tables, self.process, self.log, self.keys = tables, process, log, keys
        self.started_at = time.time()
        self.is_stopping = False


class Working(Service):
    """What pages ask about computing."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._pipeline = services.pipeline
        self._children: list[_Child] = []
        self._paces: dict[str, Pace] = {}
        self._lock = threading.Lock()
        self._logs = Path(tempfile.mkdtemp(prefix="dj-panel-workers-"))

    # ------------------------------------------------------------------ starting and stopping
    def computable(self) -> list[TableInfo]:
        """Return the tables that can be computed here, parents before children."""
        return [table for table in self._services.tables() if table.can_populate]

    async def start(
        self, tables: Sequence[str] = (), n_workers: int = 1, *, keys: Sequence[Mapping[str, Any]] = ()
    ) -> list[WorkerInfo]:
        """Start workers on these tables, or on all that can be computed; return those that were started.

        Where workers of this site are at these tables already, only what is missing to ``n_workers`` is
        started. With ``keys``, of plain numbers and texts, only what rests on these is computed; such workers
        and those that compute everything do not count for each other.

        Raises
        ------
        MakeError
            If a table cannot be computed here, or `MAX_WORKERS` workers are at single keys already.
        """
        return await self._services.run(self._start, tuple(tables), n_workers, tuple(keys))

    def _start(
        self, tables: tuple[str, ...], n_workers: int, keys: tuple[Mapping[str, Any], ...]
    ) -> list[WorkerInfo]:
        chosen = tables or tuple(table.name for table in self.computable())
        for name in chosen:
            if not self._services.table(name).can_populate:
                raise MakeError(
                    say(
                        "{table} cannot be computed here: the site is served from the database alone, without"
                        " the pipeline's code. Serve the pipeline's module instead.",
                        table=name,
                    )
                    if self._pipeline.module is None
                    else say("{table} has no make method, so there is nothing to run.", table=name)
                )
        if not chosen:
            raise MakeError(say("No table of this pipeline can be computed here."))
        started = []
        with self._lock:
            busy = [
                child
                for child in self._alive()
                if set(child.tables) & set(chosen) and not child.is_stopping and child.keys == keys
            ]
            if keys and not busy and sum(bool(child.keys) for child in self._alive()) >= MAX_WORKERS:
                raise MakeError(
                    say("{n} other rows are being computed. Try again when one is done.", n=MAX_WORKERS)
                )
            for _ in range(min(max(n_workers, 1), MAX_WORKERS) - len(busy)):
                child = self._spawn(chosen, keys)
                self._children.append(child)
                started.append(_info(child))
        self._services.watcher.poke()
        return started

    def _spawn(self, tables: tuple[str, ...], keys: tuple[Mapping[str, Any], ...]) -> _Child:
        command = [sys.executable, "-m", "dj_panel", "work", str(self._pipeline.module)]
        command += [word for name in tables for word in ("--table", name)]
        command += [word for key in keys for word in ("--key", json.dumps(key))]
        log = self._logs / f"worker-{time.time_ns()}.log"
        with log.open("wb") as file:
            # A session of its own: Ctrl-C in the server's terminal stops the server, not the computation.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    **worker_environment(self._pipeline.connection.settings),
                    # The pipeline's module may be found through what the serving program added to the path.
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
                start_new_session=True,
            )
        logger.info("started worker %d for %s", process.pid, ", ".join(tables))
        return _Child(tables, process, log, keys)

    def _alive(self) -> list[_Child]:
        return [child for child in self._children if child.process.poll() is None]

    async def stop(self, table: str | None = None) -> int:
        """Tell this site's workers at a table, or all, to stop after their present key; return how many."""
        return await self._services.run(self._stop, table)

    def _stop(self, table: str | None) -> int:
        told = 0
        with self._lock:
            for child in self._alive():
                if (table is None or table in child.tables) and not child.is_stopping:
                    child.is_stopping = True
                    child.process.terminate()
                    told += 1
        self._services.watcher.poke()
        return told

    def running(self) -> list[WorkerInfo]:
        """Return this site's workers that are alive."""
        with self._lock:
            return [_info(child) for child in self._alive()]

    async def failed_start(self, table: str) -> str:
        """Return the last lines of the log of the newest worker at a table, if that ended with an error."""
        return await self._services.run(self._failed_start, table)

    def _failed_start(self, table: str) -> str:
        with self._lock:
            newest = next((child for child in reversed(self._children) if table in child.tables), None)
        if newest is None or newest.process.poll() in (None, 0) or newest.is_stopping:
            return ""
        lines = newest.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-12:]) or say(
            "It ended with status {status} and said nothing.", status=newest.process.returncode
        )

    def close(self) -> None:
        """Let go of the workers, which go on by themselves; their logs are removed if they have ended."""
        with self._lock:
            if not self._alive():
                shutil.rmtree(self._logs, ignore_errors=True)

    # ------------------------------------------------------------------ looking
    def _queue(self, table: str) -> Job:
        cls = self._pipeline[table]
        instance = cls()
        if not isinstance(instance, AutoPopulate):
            raise MakeError(say("{table} is not computed: its rows are entered by people.", table=table))
        return instance.jobs

    async def report(self, table: str) -> QueueReport:
        """Return how far a table is, and who works at it."""
        return await self._services.run(self._report, table)

    def _report(self, table: str) -> QueueReport:
        queue = self._queue(table)
        target = queue.target
        todo, keys = target.progress() if isinstance(target, AutoPopulate) else (0, 0)
        if not queue.is_declared:
            return QueueReport(queue.progress(), keys, todo)
        running = tuple(
            _job(row, queue) for row in queue.reserved.to_dicts(attributes=_brief(queue), limit=100)
        )
        return QueueReport(queue.progress(), keys, todo, running, len(orphans(queue)))

    async def jobs(self, table: str, status: str = "error", offset: int = 0, limit: int = 50) -> list[JobRow]:
        """Return jobs of one status, the newest first, with their tracebacks."""
        return await self._services.run(self._jobs, table, status, offset, limit)

    def _jobs(self, table: str, status: str, offset: int, limit: int) -> list[JobRow]:
        queue = self._queue(table)
        if not queue.is_declared:
            return []
        rows = (queue & {"status": status}).to_dicts(
            order_by=["completed_time DESC", "KEY"], offset=offset, limit=min(limit, 200)
        )
        return [_job(row, queue) for row in rows]

    async def error_groups(self, table: str) -> list[ErrorGroup]:
        """Return the failed jobs by cause, the most frequent first; at most 20 causes."""
        return await self._services.run(self._error_groups, table)

    def _error_groups(self, table: str) -> list[ErrorGroup]:
        queue = self._queue(table)
        if not queue.is_declared:
            return []
        rows = queue.errors.to_dicts(
            attributes=["error_message", "completed_time"],
            order_by=["completed_time DESC", "KEY"],
            limit=2000,
        )
        found: dict[str, ErrorGroup] = {}
        for row in rows:
            message, moment = row["error_message"], row["completed_time"]
            cause = without_particulars(message)
            group = found.get(cause) or ErrorGroup(message, 0, moment, moment)
            found[cause] = replace(group, n_jobs=group.n_jobs + 1, first_at=moment)
        return sorted(found.values(), key=lambda group: -group.n_jobs)[:20]

    def estimate(self, table: str, status: TableStatus, taken_at: float) -> tuple[int, Estimate | None]:
        """Take note of how far a table is, and judge how long the rest will take.

        Returns
        -------
        tuple
            How many keys have been seen to be finished since somebody began to compute, and the estimate if
            these are enough.
        """
        with self._lock:
            pace = self._paces.setdefault(table, Pace())
            left = max(status.n_todo - status.error - status.ignored, 0)
            is_idle = not status.reserved and not any(table in child.tables for child in self._alive())
            if is_idle and (not left or taken_at - pace.last_seen_s > _IDLE_S):
                pace.forget()
            pace.observe(at_s=taken_at, n_done=status.n_done + status.error)
            return pace.n_samples, pace.estimate(n_left=left)

    # ------------------------------------------------------------------ acting on jobs
    async def retry(self, table: str, keys: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Put failed jobs back into the queue (all, or those of these keys); return how many there were."""
        number = await self._services.run(self._retry, table, keys)
        self._services.watcher.poke()
        return number

    def _retry(self, table: str, keys: Sequence[Mapping[str, Any]] | None) -> int:
        queue = self._queue(table)
        if not queue.is_declared:
            return 0
        return queue.retry(True if keys is None else [dict(key) for key in keys])

    async def ignore(self, table: str, keys: Sequence[Mapping[str, Any]]) -> int:
        """Mark jobs as not to be done and return how many there were."""

        def mark() -> int:
            queue = self._queue(table)
            for key in keys:
                queue.ignore(key)
            return len(keys)

        number = await self._services.run(mark)
        self._services.watcher.poke()
        return number

    async def put_back(self, table: str, keys: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Make ignored jobs (all, or those of these keys) ordinary ones again; return how many there were."""

        def remove() -> int:
            queue = self._queue(table)
            if not queue.is_declared:
                return 0
            # The next worker fills the queue with every key that has neither row nor job.
            ignored = queue.ignored if keys is None else queue.ignored & [dict(key) for key in keys]
            return ignored.delete()

        number = await self._services.run(remove)
        self._services.watcher.poke()
        return number

    async def release_orphans(self, table: str) -> int:
        """Put the jobs of workers that are gone back into the queue and return how many there were."""
        number = await self._services.run(lambda: release_orphans(self._queue(table)))
        self._services.watcher.poke()
        return number


def worker_environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which a worker finds the same database and stores.

    Arguments can be read by everyone on the machine, and so hold no secrets.
    """
    database = settings.database
    values = {
        "DJ_BACKEND": settings.backend,
        "DJ_STORES": json.dumps(settings.stores),
        "DJ_JOBS_KEEP_COMPLETED": str(settings.jobs.keep_completed),
        "DJ_JOBS_ADD_JOB_METADATA": str(settings.jobs.add_job_metadata),
        "DJ_LOG_LEVEL": settings.loglevel,
    }
    if settings.backend == "sqlite":
        values["DJ_DATABASE_NAME"] = str(settings.sqlite_path)
    else:
        values |= {"DJ_HOST": database.host or "localhost", "DJ_PORT": str(database.port)}
        values |= {"DJ_USER": database.user or "", "DJ_PASS": database.password or ""}
        if database.use_tls is not None:
            values["DJ_USE_TLS"] = str(bool(database.use_tls))
    return values


def without_particulars(message: str) -> str:
    """Return a message without its numbers and quoted values, by which messages of one cause differ.

    >>> without_particulars("ValueError: no peak in recording 17 of 'M042'")
    'ValueError: no peak in recording # of …'
    """
    return _PARTICULARS.sub(lambda found: "…" if found[0][0] in "'\"`" else "#", message)


def _info(child: _Child) -> WorkerInfo:
    return WorkerInfo(child.tables, child.process.pid, child.started_at, child.is_stopping, child.keys)


def _brief(queue: Job) -> list[str]:
    return [n for n in queue.heading.names if n != "error_stack"]


def _job(row: Mapping[str, Any], queue: Job) -> JobRow:
    stack = row.get("error_stack")
    return JobRow(
        key={name: row[name] for name in queue.primary_key},
        status=row["status"],
        message=row.get("error_message") or "",
        stack=stack if isinstance(stack, str) else "",
        host=row.get("host") or "",
        pid=int(row.get("pid") or 0),
        user=row.get("user") or "",
        version=row.get("version") or "",
        duration_s=row.get("duration"),
        reserved_at=row.get("reserved_time"),
        completed_at=row.get("completed_time"),
    )
