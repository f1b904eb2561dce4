"""How far every table is, read by one thread for all visitors and told to whoever watches."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from dj_panel.apps.pipeline import Pipeline
from dj_panel.core.errors import DataJointError
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.tiers import UserTable
from dj_panel.core.words import grouped, marked, say

__all__ = ["Snapshot", "TableStatus", "Watcher"]

logger = logging.getLogger(__name__)
_SHORTEST_PAUSE_S = 0.5
_COUNT_AT_MOST = 1_000_000
_UNFORESEEN = marked("The status could not be read, for a reason that the program did not foresee.")


@dataclass(frozen=True)
class TableStatus:
    """How far one table is.

    Parameters
    ----------
    n_rows
        How many rows there are.
    is_capped
        Whether counting stopped at ``n_rows``, so that there are at least as many.
    n_keys
        How many keys the table should have; ``None`` for tables that are not computed.
    n_todo
        How many of them have no row yet.
    pending, reserved, error, ignored
        Jobs in the queue by status.
    problem
        Why it is not known how far the table is; empty if it is known.
    has_faulty_key_source
        Whether the problem is what the code of its ``key_source`` raised.
    """

    n_rows: int
    is_capped: bool = False
    n_keys: int | None = None
    n_todo: int = 0
    pending: int = 0
    reserved: int = 0
    error: int = 0
    ignored: int = 0
    problem: str = ""
    has_faulty_key_source: bool = False

    @property
    def n_done(self) -> int:
        """How many keys have their row."""
        return (self.n_keys or 0) - self.n_todo

    @property
    def n_ready(self) -> int:
        """How many keys a worker would compute now: neither done nor failed, ignored or being done."""
        return max(self.n_todo - self.error - self.ignored - self.reserved, 0)

    @property
    def state(self) -> str:
        """One of ``done partial pending running error empty``; for the colour and the icon."""
        if self.reserved:
            return "running"
        if self.error:
            return "error"
        if self.n_keys is None:
            return "done" if self.n_rows else "empty"
        if self.n_keys == 0:
            return "empty"
        if self.n_todo <= self.ignored:
            return "done"
        return "partial" if self.n_done else "pending"

    @property
    def count_text(self) -> str:
        """The number of rows as people read it: ``1,204``, or ``>1,000,000`` where counting stopped."""
        return f"{'>' if self.is_capped else ''}{grouped(self.n_rows)}"

    @property
    def problem_text(self) -> str:
        """The problem as people read it. It is said here, for the watcher's thread has nobody to speak to."""
        if self.has_faulty_key_source:
            return say("Its key source fails: {error}", error=self.problem)
        return self.problem


@dataclass(frozen=True)
class Snapshot:
    """The status of all tables at one moment.

    Parameters
    ----------
    tables
        By name in the application.
    taken_at
        Seconds since the epoch.
    problem
        Why the last attempt to read it failed; empty if it did not.
    """

    tables: Mapping[str, TableStatus] = field(default_factory=lambda: MappingProxyType({}))
    taken_at: float = 0.0
    problem: str = ""

    @property
    def problem_text(self) -> str:
        """The problem as people read it."""
        return say(_UNFORESEEN) if self.problem == _UNFORESEEN else self.problem


class Watcher:
    """Reads the status now and then, and calls the watchers with it whenever it has changed.

    A watcher is called on the event loop that it subscribed on: a document that is told of a change by another thread
    may lose it.

    Parameters
    ----------
    pipeline
        Whose tables to read.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._watchers: dict[int, Callable[[Snapshot], object]] = {}
        self._next_number = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.snapshot = Snapshot()

    # ------------------------------------------------------------------ for pages
    def subscribe(self, watcher: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call ``watcher`` with every new snapshot; return the function that ends this.

        If a snapshot is at hand the watcher is called with it at once. It is always called in the context of the
        page that subscribes, so that what it says and begins is in the language and the name of that visitor.
        """
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def tell(snapshot: Snapshot) -> None:
            if number not in self._watchers:  # gone, while this was on its way
                return
            try:
                watcher(snapshot)
            except Exception:
                logger.exception("a page failed to take a status")

        with self._lock:
            number = self._next_number
            self._next_number += 1
            self._watchers[number] = lambda snapshot: loop.call_soon_threadsafe(
                partial(tell, snapshot), context=context
            )
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="dj-panel watcher", daemon=True)
                self._thread.start()
        self._wake.set()
        if self.snapshot.taken_at:
            watcher(self.snapshot)

        def unsubscribe() -> None:
            with self._lock:
                self._watchers.pop(number, None)

        return unsubscribe

    def poke(self) -> None:
        """Read again soon, because something was written."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    # ------------------------------------------------------------------ reading
    def read(self, names: Collection[str] | None = None) -> Snapshot:
        """Read the status of all tables now, or of some, with the others as they were; blocks."""
        classes = self._pipeline.classes
        read = {name: _status(classes[name]()) for name in (classes if names is None else names)}
        if names is None:
            return Snapshot(MappingProxyType(read), time.time())
        return Snapshot(MappingProxyType({**self.snapshot.tables, **read}), self.snapshot.taken_at)

    def _run(self) -> None:
        while not self._stopped:
            begun = time.monotonic()
            if self._watchers:
                self._tell(self._attempt(None))
            # A slow database is asked less often: reading takes at most a tenth of the time.
            pause = max(_SHORTEST_PAUSE_S, 9 * (time.monotonic() - begun))
            if not self._watchers:
                self._wake.wait()
            elif self._woken(pause):
                # Someone wrote; wait a moment for whatever comes right after it.
                time.sleep(0.1)
            self._wake.clear()

    def _woken(self, pause: float) -> bool:
        """Wait until someone wrote, at most for a while; meanwhile follow the tables that are being computed."""
        end, step = time.monotonic() + pause, _SHORTEST_PAUSE_S
        while (left := end - time.monotonic()) > step:
            running = [name for name, status in self.snapshot.tables.items() if status.reserved]
            if self._wake.wait(timeout=step if running else left):
                return True
            if running:
                begun = time.monotonic()
                self._tell(self._attempt(running))
                step = max(_SHORTEST_PAUSE_S, 9 * (time.monotonic() - begun))
        return self._wake.wait(timeout=max(left, 0))

    def _attempt(self, names: Collection[str] | None) -> Snapshot:
        try:
            return self.read(names)
        except DataJointError as error:
            logger.warning("the status could not be read: %s", error)
            return Snapshot(self.snapshot.tables, self.snapshot.taken_at, str(error))
        except Exception:
            logger.exception("the status could not be read")
            return Snapshot(self.snapshot.tables, self.snapshot.taken_at, _UNFORESEEN)

    def _tell(self, snapshot: Snapshot) -> None:
        changed = snapshot.tables != self.snapshot.tables or snapshot.problem != self.snapshot.problem
        first = not self.snapshot.taken_at
        self.snapshot = snapshot
        if not (changed or first):
            return
        with self._lock:
            watchers = list(self._watchers.values())
        for tell in watchers:
            with contextlib.suppress(RuntimeError):  # its event loop is closed: the server is stopping
                tell(snapshot)


def _status(table: UserTable) -> TableStatus:
    n_rows = table.count(at_most=_COUNT_AT_MOST)
    status = TableStatus(n_rows, is_capped=n_rows >= _COUNT_AT_MOST)
    if not isinstance(table, AutoPopulate):
        return status
    try:
        n_todo, n_keys = table.progress()
        jobs = table.jobs.progress()
    except DataJointError as error:
        return replace(status, problem=str(error))
    except Exception as error:  # noqa: BLE001 - a key_source is code of the pipeline and may raise anything
        return replace(status, problem=f"{type(error).__name__}: {error}", has_faulty_key_source=True)
    return replace(
        status,
        n_keys=n_keys,
        n_todo=n_todo,
        pending=jobs["pending"],
        reserved=jobs["reserved"],
        error=jobs["error"],
        ignored=jobs["ignore"],
    )
