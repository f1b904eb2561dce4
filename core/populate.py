"""Populate: compute the rows that are missing.

A key's way: it is reserved; ``make`` reads and computes; with its first insert a transaction begins; result,
parts and the job's row are committed together, if the reservation is still ours. So nobody waits while a
computation runs, a crash leaves nothing half done, and no key is kept twice.

Source: DataJoint 2.3, `reference/specs/autopopulate`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from dj_panel.core.conditions import AndList
from dj_panel.core.diagram import Diagram
from dj_panel.core.errors import DuplicateError, MakeError, ReservationLostError, TransactionError
from dj_panel.core.expression import QueryExpression, instance_of
from dj_panel.core.jobs import Job, update_rows
from dj_panel.core.lazy import LazyModule, np
from dj_panel.core.provenance import code_version, ingesting
from dj_panel.core.structure import ForeignKey, TableName
from dj_panel.core.table import FreeTable, Table

if TYPE_CHECKING:
    from dj_panel.core import forks
else:
    forks = LazyModule("dj_panel.core.forks")

__all__ = ["AutoPopulate"]

logger = logging.getLogger("dj_panel")
# The tables whose make runs in this thread: it may insert, through its instance or its class.
_making = threading.local()


class AutoPopulate(Table):
    """A table whose rows are computed by its method ``make``."""

    # ------------------------------------------------------------------ to be given by the pipeline
    if TYPE_CHECKING:
        # Pipelines override these with whatever signature their make needs; none would fit all of them.
        make: Any
        make_fetch: Any
        make_compute: Any
        make_insert: Any
    else:

        def make(self, key: dict[str, Any], **options: Any) -> Any:
            """Compute and insert the row of one key.

            A pipeline overrides this; or, for long computations, the three methods that it is made of by
            default: :meth:`make_fetch` reads, :meth:`make_compute` computes from what was read and touches no
            table, :meth:`make_insert` writes. Inputs that changed in between are noticed, and nothing is written.
            """
            if type(self).make_fetch is AutoPopulate.make_fetch:
                raise MakeError(
                    f"{self._label} has no make() method. Write one, or insert with allow_direct_insert=True."
                )
            fetched = tuple(self.make_fetch(key, **options))
            computed = yield fetched
            if computed is None:
                computed = tuple(self.make_compute(key, *fetched))
                yield computed
            self.make_insert(key, *computed)

        def make_fetch(self, key: dict[str, Any], **options: Any) -> Iterable[Any]:
            """Return all that the computation needs."""
            raise MakeError(f"{self._label} does not define make_fetch().")

        def make_compute(self, key: dict[str, Any], *fetched: Any) -> Iterable[Any]:
            """Return the results from what :meth:`make_fetch` returned."""
            raise MakeError(f"{self._label} does not define make_compute().")

        def make_insert(self, key: dict[str, Any], *computed: Any) -> None:
            """Insert what :meth:`make_compute` returned."""
            raise MakeError(f"{self._label} does not define make_insert().")

    @classmethod
    def is_computable(cls) -> bool:
        """Tell whether the class knows how to compute its rows."""
        return any(
            getattr(cls, name, None) is not getattr(AutoPopulate, name, None)
            for name in ("make", "make_fetch", "_make_tuples")
        )

    @property
    def key_source(self) -> QueryExpression:
        """The keys that the table should have: the join of the parents in its primary key."""
        source: QueryExpression | None = None
        for fk in self.structure.foreign_keys:
            if not fk.in_key:
                continue
            parent = _renamed(FreeTable(self.connection, fk.parent), fk)
            source = parent if source is None else source.join(parent)
        if source is None:
            raise MakeError(
                f"{self._label} has no foreign key in its primary key. Define the property key_source."
            )
        return source

    # ------------------------------------------------------------------ how far it is
    @property
    def jobs(self) -> Job:
        """The table's job queue."""
        return Job(self, self._source())

    def _source(self) -> QueryExpression:
        source: Any = instance_of(self.key_source)
        if not isinstance(source, QueryExpression):
            raise MakeError(f"The key_source of {self._label} is not a query but {type(source).__name__}.")
        for name in source.heading.primary_key:
            if name not in self.heading:
                raise MakeError(
                    f"The key_source of {self._label} has '{name}' in its key, and the table lacks it."
                )
        return source

    def _wanted(self, restrictions: tuple[Any, ...]) -> QueryExpression:
        source = self._source()
        return (source & AndList(restrictions) if restrictions else source).proj()

    def progress(self, *restrictions: Any, display: bool = False) -> tuple[int, int]:
        """Return how many keys remain and how many there are; print it too for ``display``."""
        wanted = self._wanted(restrictions)
        total = len(wanted)
        remaining = len(wanted - self._bare()) if total else 0
        if display:
            share = 100 * (1 - remaining / total) if total else 100.0
            print(f"{self._label}: {total - remaining} of {total} done ({share:.1f} %)")
        return remaining, total

    def _bare(self) -> QueryExpression:
        return FreeTable(self.connection, self._name).proj()

    @property
    def upstream(self) -> Diagram:
        """What the row that is being computed rests on: ``self.upstream[Session]`` is its session.

        Raises
        ------
        MakeError
            Outside ``make``.
        """
        key = getattr(_making, "keys", {}).get((id(self.connection), self._name))
        if key is None:
            raise MakeError(
                f"{self._label}.upstream is what a row rests on while make() computes it. Elsewhere, say"
                " dj.Diagram.trace(table & key)."
            )
        return Diagram.upstream(FreeTable(self.connection, self._name), key)

    def _check_insert_allowed(self, allow_direct_insert: bool | None) -> None:
        if not (allow_direct_insert or (id(self.connection), self._name) in getattr(_making, "tables", ())):
            raise MakeError(
                f"Inserts into an auto-populated table can only be done inside its make method during a populate"
                f" call. {self._label} is one; to override, say allow_direct_insert=True."
            )

    # ------------------------------------------------------------------ populating
    def populate(
        self,
        *restrictions: Any,
        suppress_errors: bool = False,
        return_exception_objects: bool = False,
        reserve_jobs: bool = False,
        max_calls: int | None = None,
        display_progress: bool = False,
        processes: int | None = 1,
        make_kwargs: Mapping[str, Any] | None = None,
        priority: int | None = None,
        refresh: bool | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """Call ``make`` for every key of the key source that has no row here.

        Parameters
        ----------
        *restrictions
            Which keys.
        suppress_errors
            Whether to go on after a failure and return the failures.
        return_exception_objects
            Whether failures are returned as exceptions rather than as text.
        reserve_jobs
            Whether to take each key from the job queue, so that any number of workers share the work.
        max_calls
            The greatest number of calls of ``make``.
        display_progress
            Whether to write the progress to the terminal.
        processes
            In how many processes to compute; ``None`` for as many as there are processors. They are forks of
            this one, so a program with threads, or on Windows, runs ``dj-panel work`` several times instead.
        make_kwargs
            Passed on to ``make``.
        priority
            With ``reserve_jobs``: only jobs at least as urgent; those that are added to the queue get it.
        refresh
            With ``reserve_jobs``: whether to fill the queue first; ``config.jobs.auto_refresh`` if not given.
        stop
            Asked before each key; when it returns true, populate ends.

        Returns
        -------
        dict
            ``{"success_count": int, "error_list": [(key, error), …]}``

        Raises
        ------
        SystemExit
            If ``make`` calls ``exit()``, which is recorded as an error of its key. With ``reserve_jobs``, SIGTERM
            ends the program so too, unless the program handles it itself; the key goes back into the queue then,
            as it does after Ctrl-C.
        """
        if self.connection.in_transaction:
            raise TransactionError("populate() cannot be called inside a transaction. Commit it first.")
        if self._node is not None:
            raise MakeError("populate() is for the whole table. Pass the restriction to populate() instead.")
        jobs = self.jobs if reserve_jobs else None
        if jobs is None:
            keys = (self._wanted(restrictions) - self._bare()).keys(limit=max_calls)
        else:
            jobs.declare()
            if self.connection.settings.jobs.auto_refresh if refresh is None else refresh:
                jobs.refresh(*restrictions, delay=-1, priority=priority)
            keys = jobs.due_keys(self._wanted(restrictions) if restrictions else None, priority, max_calls)
        n_processes = min(processes or os.cpu_count() or 1, len(keys))
        compute = partial(
            self._populate_key,
            jobs=jobs,
            make_kwargs=dict(make_kwargs or {}),
            suppress_errors=suppress_errors,
        )
        if n_processes > 1:
            self.connection.close_own()  # a fork must not share it
            outcomes = forks.in_processes(compute, keys, n_processes, stop or _never)
        else:
            outcomes = forks.in_turn(compute, keys, stop or _never)
        succeeded = 0
        errors: list[tuple[dict[str, Any], Any]] = []
        with _sigterm_raises() if reserve_jobs else nullcontext():
            for position, (key, error) in enumerate(outcomes, start=1):
                if error is None:
                    succeeded += 1
                elif not isinstance(error, _NotOursError):
                    text = f"{type(error).__name__}: {error}"
                    errors.append((key, error if return_exception_objects else text))
                if display_progress:
                    print(f"\r{self._label}: {position}/{len(keys)}", end="", file=sys.stderr, flush=True)
        if display_progress and keys:
            print(file=sys.stderr)
        return {"success_count": succeeded, "error_list": errors}

    def _populate_key(
        self, key: dict[str, Any], jobs: Job | None, make_kwargs: dict[str, Any], *, suppress_errors: bool
    ) -> BaseException | None:
        """Compute one key; return its error, ``None`` for success, or the mark that it was not ours to do."""
        token = None
        if jobs is not None:
            token = jobs.take(key)
            if token is None:
                return _NOT_OURS
            if FreeTable(self.connection, self._name) & key:
                # Computed since the queue was filled, by a program that does not use it.
                jobs.complete(key)
                return _NOT_OURS
        begun = time.monotonic()
        try:
            self._make_and_commit(key, jobs, token, make_kwargs, begun)
        except ReservationLostError as error:
            logger.info("%s", error)
            return _NOT_OURS
        except DuplicateError as error:
            # A program without a queue may compute the same key; the other one was faster.
            if FreeTable(self.connection, self._name) & key:
                if jobs is not None:
                    jobs.complete(key)
                return _NOT_OURS
            return self._failed(key, jobs, token, error, begun, suppress_errors)
        except Exception as error:  # noqa: BLE001 - whatever a pipeline's make raises is recorded
            return self._failed(key, jobs, token, error, begun, suppress_errors)
        except BaseException as error:
            if isinstance(error, SystemExit) and not isinstance(error, _TerminatedError):
                # Given back, the key would end every worker that takes it.
                self._failed(key, jobs, token, error, begun, suppress_errors=False)
            if jobs is not None and token is not None:
                jobs.release(key, token)
            raise
        return None

    def _failed(
        self,
        key: dict[str, Any],
        jobs: Job | None,
        token: Mapping[str, Any] | None,
        error: BaseException,
        begun: float,
        suppress_errors: bool,
    ) -> BaseException:
        logger.error("%s %s: %s: %s", self._label, key, type(error).__name__, error)
        if jobs is not None:
            message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            jobs.error(key, message, traceback.format_exc(), time.monotonic() - begun, token)
        if not suppress_errors:
            raise error
        return error

    def _make_and_commit(
        self,
        key: dict[str, Any],
        jobs: Job | None,
        token: Mapping[str, Any] | None,
        make_kwargs: dict[str, Any],
        begun: float,
    ) -> None:
        before: frozenset[tuple[int, TableName]] = getattr(_making, "tables", frozenset())
        keys_before: Mapping[tuple[int, TableName], Mapping[str, Any]] = getattr(_making, "keys", {})
        place = (id(self.connection), self._name)
        _making.tables, _making.keys = before | {place}, {**keys_before, place: key}
        version = code_version(self.connection.settings.jobs.version_method)
        try:
            with self.connection.deferred_transaction:
                with ingesting(self.full_table_name, key, version):
                    self._run_make(key, make_kwargs)
                duration = time.monotonic() - begun
                self._record_job(key, duration)
                if jobs is not None:
                    jobs.complete(key, duration, token)
        finally:
            _making.tables, _making.keys = before, keys_before

    def _record_job(self, key: dict[str, Any], duration: float) -> None:
        """Leave in the row when and how it was computed, where the table has hidden columns for that."""
        if not any(a.name == "_job_start_time" for a in self.heading.all_attributes):
            return
        version = code_version(self.connection.settings.jobs.version_method)
        update_rows(
            self,
            (FreeTable(self.connection, self._name) & key).node,
            {"_job_duration": duration, "_job_version": version},
            {"_job_start_time": self.connection.dialect.seconds_from_now(-duration)},
        )

    def _run_make(self, key: dict[str, Any], make_kwargs: dict[str, Any]) -> None:
        legacy = getattr(self, "_make_tuples", None)
        outcome = legacy(dict(key)) if legacy is not None else self.make(dict(key), **make_kwargs)
        if not isinstance(outcome, Generator):
            return
        # A make in three parts: fetch and compute first, then fetch again inside the transaction and insert.
        fetched = next(outcome)
        computed = next(outcome)
        with self.connection.transaction:
            again = self.make(dict(key), **make_kwargs)
            if not _same(next(again), fetched):
                raise MakeError(
                    f"The inputs of {self._label} for {key} changed while it was computed. Populate it again."
                )
            try:
                again.send(computed)
            except StopIteration:
                return


class _NotOursError(Exception):
    """The mark of a key that another worker has."""


_NOT_OURS = _NotOursError()


class _TerminatedError(SystemExit):
    """SIGTERM has come."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise, where it would end the process at once and leave the key reserved for ever."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        raise _TerminatedError(128 + number)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _never() -> bool:
    return False


def _renamed(parent: FreeTable, fk: ForeignKey) -> QueryExpression:
    return parent.proj(**fk.renamed)


def _same(a: Any, b: Any) -> bool:
    """Compare what was fetched twice: by value, through containers and arrays, NaN equal to NaN."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
            return False
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype == object or a.dtype.names:
            return all(_same(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True))
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float) and a != a and b != b:
        return True
    # Lazy references to objects are equal if they point to the same stored object.
    if type(a) is type(b) and hasattr(a, "path") and hasattr(a, "store"):
        return bool(a.path == b.path and a.store == b.store)
    return bool(a == b)
