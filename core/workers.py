"""Workers: processes that compute what is missing, and share the work through the job queues.

A worker holds no state that matters. What it is doing stands in the queue, as a reservation with its host and
process; killed at any moment it leaves whole results, or none, and a reservation that :func:`orphans` finds.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from dj_panel.core.jobs import Job
from dj_panel.core.populate import AutoPopulate

__all__ = ["Tally", "is_alive", "orphans", "release_orphans", "stop_on_signals", "work"]

logger = logging.getLogger("dj_panel")
_BATCH = 16


@dataclass(frozen=True)
class Tally:
    """What a worker did.

    Parameters
    ----------
    succeeded, failed
        How many keys.
    stopped
        Whether it was asked to stop before all was done.
    """

    succeeded: int = 0
    failed: int = 0
    stopped: bool = False


def work(
    tables: Sequence[AutoPopulate],
    *restrictions: Any,
    stop: Callable[[], bool] = lambda: False,
) -> Tally:
    """Compute what is missing in these tables until nothing is left, or until asked to stop.

    Parameters
    ----------
    tables
        The tables, parents before children: what one adds, the next may compute from.
    *restrictions
        Which keys.
    stop
        Asked before each key.

    Returns
    -------
    Tally
        A failed key is recorded in its queue, and does not stop the work.
    """
    succeeded = failed = 0
    found = True
    while found and not stop():
        found = False
        for table in tables:
            table.jobs.refresh(*restrictions, delay=-1)
            limit: int | None = _BATCH
            while not stop():
                outcome = table.populate(
                    *restrictions,
                    reserve_jobs=True,
                    refresh=False,
                    suppress_errors=True,
                    max_calls=limit,
                    stop=stop,
                )
                done, errors = outcome["success_count"], outcome["error_list"]
                succeeded += done
                failed += len(errors)
                if done or errors:
                    found, limit = True, _BATCH
                elif limit is None:
                    break
                else:
                    # Others may have taken this whole batch: only a look at all that waits tells
                    # that none is left.
                    limit = None
    return Tally(succeeded, failed, stop())


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether SIGTERM or SIGINT has come, to be passed as ``stop``.

    The first signal lets the present key be finished; a second one interrupts it, and the key goes back into
    its queue. Only in the main thread, where signals arrive.
    """
    asked = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        logger.info("stopping after the present key (%s)", signal.Signals(number).name)
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def orphans(jobs: Job) -> list[Mapping[str, Any]]:
    """Return the reservations of a queue that were made on this host by a process that is gone.

    Of other hosts nothing is known, so their reservations are never called orphans here.
    """
    if not jobs.is_declared:
        return []
    names = [*jobs.primary_key, "host", "pid", "connection_id", "reserved_time"]
    here = platform.node()
    rows = (jobs.reserved & {"host": here}).to_dicts(attributes=names)
    return [row for row in rows if not is_alive(int(row["pid"]))]


def release_orphans(jobs: Job) -> int:
    """Put the jobs of workers that are gone back into the queue, and return how many there were."""
    released = 0
    for row in orphans(jobs):
        token = {name: row[name] for name in ("host", "pid", "connection_id")}
        jobs.release(row, token)
        released += 1
    return released


def is_alive(pid: int) -> bool:
    """Tell whether a process of this computer runs."""
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and only waits for its parent to notice (where that can be seen)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
