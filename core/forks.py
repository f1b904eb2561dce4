"""One task after the other, in several processes that are forks of this one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from dj_panel.core.errors import MakeError

__all__ = ["in_processes", "in_turn"]

Task = TypeVar("Task")
# In a fork: what it does. It comes with the fork, for nothing of a pipeline's classes could be sent.
_compute: list[Callable[[Any], Any]] = []


def in_turn(
    compute: Callable[[Task], Any], tasks: Sequence[Task], stop: Callable[[], bool]
) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, computed in this process, until asked to stop."""
    for task in tasks:
        if stop():
            return
        yield task, compute(task)


def in_processes(
    compute: Callable[[Task], Any], tasks: Sequence[Task], n_processes: int, stop: Callable[[], bool]
) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, as they are done.

    Parameters
    ----------
    compute
        Does one task. After the first that raises, those that have begun are finished, and the error is raised.
    tasks
        The tasks.
    n_processes
        In how many processes.
    stop
        Asked after each result; when it returns true, no more are begun.

    Raises
    ------
    MakeError
        If this system has no forks, or a process was killed.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise MakeError(
            "This system cannot compute in forks of a process. Run `dj-panel work` several times."
        )
    context = multiprocessing.get_context("fork")
    first_error: BaseException | None = None
    with ProcessPoolExecutor(n_processes, context, initializer=_compute.append, initargs=(compute,)) as pool:
        futures: dict[Future[Any], Task] = {pool.submit(_one, task): task for task in tasks}
        for future in as_completed(futures):
            if future.cancelled():
                continue
            try:
                result = future.result()
            except BrokenProcessPool as error:
                raise MakeError("A process that computed was killed. Populate again.") from error
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a pipeline's make may raise anything
                first_error = first_error or error
            else:
                yield futures[future], result
            if first_error is not None or stop():
                for other in futures:
                    other.cancel()
    if first_error is not None:
        raise first_error


def _one(task: Any) -> Any:
    try:
        result = _compute[-1](task)
    except Exception as error:  # noqa: BLE001 - a pipeline's make may raise anything
        raise _sendable(error) from None
    return _sendable(result) if isinstance(result, BaseException) else result


def _sendable(error: BaseException) -> BaseException:
    """Return the error as another process can be told of it."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001 - an exception's own class decides what happens here
        return MakeError(f"{type(error).__name__}: {error}")
    return error
