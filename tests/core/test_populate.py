"""Populate computes what is missing: once, whole or not at all, and says what went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    return fill_lab(declare_lab(schema))


def computed(lab: Any, make: Callable[..., Any], **members: Any) -> Any:
    """Declare a table that computes from sessions with this `make`."""
    body = {"definition": "-> Session\n---\nvalue : float64\nnote = null : <blob>", "make": make, **members}
    return lab.schema(type("Value", (dj.Computed,), body), context={"Session": lab.Session})


def test_populate_computes_what_is_missing_and_only_that(lab: Any) -> None:
    assert lab.Rate.progress() == (6, 6)
    assert lab.Rate.populate() == {"success_count": 6, "error_list": []}
    assert lab.Rate.progress() == (0, 6)
    assert len(lab.Rate.Bin) == 18
    assert lab.Rate.populate() == {"success_count": 0, "error_list": []}
    (lab.Rate & {"subject": "M1"}).delete()
    assert lab.Rate.populate()["success_count"] == 3


def test_restrictions_and_the_number_of_calls_limit_the_work(lab: Any) -> None:
    assert lab.Rate.progress({"subject": "M1"}) == (3, 3)
    assert lab.Rate.populate({"subject": "M1"}, max_calls=2)["success_count"] == 2
    assert lab.Rate.populate("session = 1", lab.Subject & {"subject": "M2"})["success_count"] == 1
    assert lab.Rate.populate(max_calls=0)["success_count"] == 0
    assert len(lab.Rate) == 3


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_an_error_in_make_is_recorded_with_its_message_and_leaves_nothing(
    lab: Any, reserve_jobs: bool
) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "value": 1})
        if key["session"] == 2:
            raise ValueError(f"no signal in {key['subject']} 日本")

    table = computed(lab, make)
    result = table.populate(suppress_errors=True, reserve_jobs=reserve_jobs)
    assert result["success_count"] == 4
    assert [key["session"] for key, _ in result["error_list"]] == [2, 2]
    assert result["error_list"][0][1] == "ValueError: no signal in M1 日本"
    assert len(table) == 4
    if reserve_jobs:
        row = table.jobs.errors.to_dicts(order_by="KEY")[0]
        assert row["error_message"] == "ValueError: no signal in M1 日本"
        assert "in make" in row["error_stack"]
        assert row["pid"] == os.getpid()
        assert table.jobs.progress() == {
            "pending": 0, "reserved": 0, "success": 0, "error": 2, "ignore": 0, "total": 2,
        }  # fmt: skip
        assert table.populate(reserve_jobs=True, suppress_errors=True)["error_list"] == []
        assert table.jobs.retry({"subject": "M1"}) == 1
        assert len(table.populate(reserve_jobs=True, suppress_errors=True)["error_list"]) == 1
    with pytest.raises(ValueError, match="no signal"):
        table.jobs.retry() if reserve_jobs else None
        table.populate(reserve_jobs=reserve_jobs)
    objects = computed_errors(table, reserve_jobs)
    assert all(isinstance(error, ValueError) for error in objects)


def computed_errors(table: Any, reserve_jobs: bool) -> list[BaseException]:
    if reserve_jobs:
        table.jobs.retry()
    result = table.populate(suppress_errors=True, return_exception_objects=True, reserve_jobs=reserve_jobs)
    assert result["error_list"]
    return [error for _, error in result["error_list"]]


def test_a_very_long_error_message_is_cut_and_the_stack_is_kept(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        raise RuntimeError("x" * 5000)

    table = computed(lab, make)
    table.populate(suppress_errors=True, reserve_jobs=True, max_calls=1)
    row = table.jobs.errors.fetch1()
    assert len(row["error_message"]) == 2047
    assert row["error_message"].endswith("...truncated")
    assert "x" * 5000 in row["error_stack"]


def test_options_of_make_are_passed_on(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any], scale: float = 1, **options: Any) -> None:
        self.insert1({**key, "value": scale * options.get("more", 1)})

    table = computed(lab, make)
    table.populate(max_calls=1, make_kwargs={"scale": 5, "more": 2})
    assert table.fetch1("value") == 10


def test_make_may_insert_through_its_class_and_its_parts(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        type(self).insert1({**key, "value": 1})
        table().insert1({**key, "value": 2}, skip_duplicates=True)

    table = computed(lab, make)
    assert table.populate()["success_count"] == 6
    with pytest.raises(dj.DataJointError, match="inside its make method"):
        table.insert1({"subject": "M1", "session": 1, "value": 2})


def test_permission_to_insert_ends_with_make_in_its_thread(lab: Any) -> None:
    inside, checked = threading.Event(), threading.Event()
    outcome: list[str] = []

    def other() -> None:
        inside.wait(30)
        try:
            table.insert1({"subject": "M2", "session": 3, "value": 2})
        except dj.DataJointError as error:
            outcome.append(str(error))
        checked.set()

    def make(self: Any, key: dict[str, Any]) -> None:
        inside.set()
        checked.wait(30)
        self.insert1({**key, "value": 1})

    table = computed(lab, make)
    thread = threading.Thread(target=other)
    thread.start()
    table.populate(max_calls=1)
    thread.join()
    assert "inside its make method" in outcome[0]


def three_parts(log: list[str], change: Callable[[], None] = lambda: None) -> dict[str, Any]:
    def make_fetch(self: Any, key: dict[str, Any]) -> tuple[Any, ...]:
        log.append("fetch")
        table = self.connection.schemas[self.database].classes["Session.Trial"]
        return ((table & key).to_arrays("outcome", order_by="trial"), (table & key).to_dicts(order_by="KEY"))

    def make_compute(self: Any, key: dict[str, Any], outcome: Any, rows: Any) -> tuple[Any, ...]:
        log.append("compute")
        assert not self.connection.in_transaction
        change()
        return (float(np.sum(outcome)), {"n": len(rows)})

    def make_insert(self: Any, key: dict[str, Any], total: float, note: Any) -> None:
        log.append("insert")
        assert self.connection.in_transaction
        self.insert1({**key, "value": total, "note": note})

    return {"make_fetch": make_fetch, "make_compute": make_compute, "make_insert": make_insert}


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_make_in_three_parts_computes_outside_the_transaction(lab: Any, reserve_jobs: bool) -> None:
    log: list[str] = []
    table = computed(lab, dj.Computed.make, **three_parts(log))
    assert table.populate(max_calls=1, reserve_jobs=reserve_jobs)["success_count"] == 1
    assert log == ["fetch", "compute", "fetch", "insert"]
    assert table.fetch1("value", "note") == (0.5, {"n": 2})


def test_inputs_that_change_while_they_are_computed_with_are_noticed(lab: Any) -> None:
    log: list[str] = []

    def change() -> None:
        key = {"subject": "M1", "session": 1, "trial": 0}
        lab.Session.Trial.update1({**key, "outcome": 7 + len(log)})

    table = computed(lab, dj.Computed.make, **three_parts(log, change))
    result = table.populate({"subject": "M1", "session": 1}, suppress_errors=True)
    assert "changed while it was computed" in result["error_list"][0][1]
    assert len(table) == 0


def test_a_generator_as_make_is_run_in_three_parts(lab: Any) -> None:
    steps: list[str] = []

    def make(self: Any, key: dict[str, Any]) -> Iterator[Any]:
        fetched = (lab.Session.Trial & key).to_arrays("outcome", order_by="trial")
        value = yield (fetched,)
        if value is None:
            steps.append("computed")
            value = (float(fetched.sum()),)
            yield value
        self.insert1({**key, "value": value[0]})
        yield

    table = computed(lab, make)
    assert table.populate()["success_count"] == 6
    assert steps == ["computed"] * 6


def test_a_table_without_make_says_so(lab: Any) -> None:
    table = computed(lab, dj.Computed.make)
    with pytest.raises(dj.errors.MakeError, match=r"Value has no make\(\)"):
        table.populate()


def test_populate_refuses_transactions_and_restricted_tables(lab: Any) -> None:
    with lab.schema.connection.transaction, pytest.raises(dj.errors.TransactionError):
        lab.Rate.populate()
    with pytest.raises(dj.errors.MakeError, match="Pass the restriction"):
        (lab.Rate & {"subject": "M1"}).populate()


def test_the_key_source_may_be_chosen(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "value": 1})

    table = computed(lab, make, key_source=property(lambda self: lab.Session & "session = 2"))
    assert table.progress() == (2, 2)
    assert table.populate(reserve_jobs=True)["success_count"] == 2


def test_keys_come_from_renamed_and_joined_parents(lab: Any, schema: dj.Schema) -> None:
    @schema
    class Pair(dj.Computed):
        definition = """
        -> lab.Session
        -> lab.Subject.proj(other="subject")
        ---
        value : int32
        """

        def make(self, key: dict[str, Any]) -> None:
            assert set(key) == {"subject", "session", "other"}
            self.insert1({**key, "value": 1})

    assert Pair.populate(reserve_jobs=True)["success_count"] == 12


# ------------------------------------------------------------------ the queue
def test_the_queue_follows_the_key_source(lab: Any) -> None:
    jobs = lab.Rate.jobs
    assert jobs.refresh({"subject": "M1"}) == {"added": 3, "removed": 0, "orphaned": 0, "re_pended": 0}
    assert jobs.refresh() == {"added": 3, "removed": 0, "orphaned": 0, "re_pended": 0}
    assert len(jobs.pending) == 6
    jobs.ignore({"subject": "M1", "session": 1})
    assert lab.Rate.populate(reserve_jobs=True)["success_count"] == 5
    assert jobs.progress()["ignore"] == 1
    (lab.Session & {"subject": "M1", "session": 1}).delete()
    assert len(lab.Rate) == 5


def test_urgent_jobs_come_first_and_delayed_ones_later(lab: Any) -> None:
    jobs = lab.Rate.jobs
    jobs.refresh({"session": 3}, priority=1)
    jobs.refresh({"session": 1}, priority=9)
    jobs.refresh({"session": 2}, delay=3600)
    assert lab.Rate.populate(reserve_jobs=True, refresh=False, max_calls=2)["success_count"] == 2
    assert set(lab.Rate.to_arrays("session")) == {3}
    assert lab.Rate.populate(reserve_jobs=True, refresh=False, priority=5)["success_count"] == 0
    assert lab.Rate.populate(reserve_jobs=True, refresh=False)["success_count"] == 2
    assert jobs.progress()["pending"] == 2


def test_completed_jobs_are_kept_where_that_is_set(lab: Any) -> None:
    with lab.schema.connection.settings.override(jobs__keep_completed=True):
        lab.Rate.populate(reserve_jobs=True)
        rows = lab.Rate.jobs.completed.to_dicts()
        assert len(rows) == 6
        assert all(row["duration"] >= 0 and row["completed_time"] for row in rows)
        (lab.Rate & {"subject": "M1"}).delete()
        assert lab.Rate.jobs.refresh()["re_pended"] == 3
        assert lab.Rate.populate(reserve_jobs=True)["success_count"] == 3


def test_a_job_is_reserved_once(lab: Any, backend: Backend) -> None:
    other = backend.connect()
    twin = declare_lab(dj.Schema(lab.schema.name, connection=other))
    lab.Rate.jobs.refresh()
    key = {"subject": "M1", "session": 1}
    assert lab.Rate.jobs.reserve(key)
    assert not twin.Rate.jobs.reserve(key)
    assert not lab.Rate.jobs.reserve(key)
    row = lab.Rate.jobs.reserved.fetch1()
    assert (row["pid"], row["connection_id"]) == (os.getpid(), lab.schema.connection.connection_id)
    assert twin.Rate.populate(reserve_jobs=True)["success_count"] == 5
    other.close()


def test_zombie_a_worker_that_lost_its_reservation_rolls_back_quietly(lab: Any) -> None:
    taken: list[Any] = []

    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "value": 1})
        if not taken:
            taken.append(key)

    table = computed(lab, make)
    original = table.make

    def make_and_lose(self: Any, key: dict[str, Any]) -> None:
        if key == {"subject": "M1", "session": 1} and not taken:
            taken.append(key)
            jobs = self.jobs
            # Meanwhile another worker found the reservation too old and took the key over.
            table_name = self.connection.dialect.table(jobs.name)
            self.connection.query(f"UPDATE {table_name} SET pid = 1, host = 'elsewhere' WHERE session = 1")
        original(self, key)

    table.make = make_and_lose
    table.jobs.refresh()
    result = table.populate(reserve_jobs=True, suppress_errors=True)
    assert result["error_list"] == []
    assert result["success_count"] == 5
    assert len(table) == 5
    assert table.jobs.progress()["error"] == 0


def test_two_programs_that_compute_without_a_queue_do_not_trip_over_each_other(
    lab: Any, backend: Backend
) -> None:
    other = backend.connect()
    twin = dj.FreeTable(other, f"{lab.schema.name}.__value")

    def make(self: Any, key: dict[str, Any]) -> None:
        if key["session"] == 2:
            twin.insert1({**key, "value": 99})
        self.insert1({**key, "value": 1})

    table = computed(lab, make)
    result = table.populate(suppress_errors=True)
    assert result["error_list"] == []
    assert result["success_count"] == 4
    assert sorted(table.to_arrays("value").tolist()) == [1, 1, 1, 1, 99, 99]
    other.close()


def test_a_keyboard_interrupt_gives_the_job_back(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "value": 1})
        raise KeyboardInterrupt

    table = computed(lab, make)
    with pytest.raises(KeyboardInterrupt):
        table.populate(reserve_jobs=True, suppress_errors=True)
    assert len(table) == 0
    assert table.jobs.progress()["pending"] == 6


@pytest.mark.parametrize("processes", [1, 2])
def test_an_exit_in_make_is_an_error_of_its_key_that_ends_no_other_worker(lab: Any, processes: int) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        if key == {"subject": "M1", "session": 2}:
            sys.exit("no licence")
        self.insert1({**key, "value": 1})

    table = computed(lab, make)
    with pytest.raises(SystemExit, match="no licence"):
        table.populate(reserve_jobs=True, suppress_errors=True, processes=processes)
    (failed,) = table.jobs.errors.to_dicts()
    assert failed["error_message"] == "SystemExit: no licence"
    assert "in make" in failed["error_stack"]
    table.populate(reserve_jobs=True, suppress_errors=True)
    assert table.progress() == (1, 6)
    with pytest.raises(SystemExit):
        table.populate(suppress_errors=True)


def test_a_terminated_program_gives_its_job_back(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        self.insert1({**key, "value": 1})
        os.kill(os.getpid(), signal.SIGTERM)

    table = computed(lab, make)
    with pytest.raises(SystemExit):
        table.populate(reserve_jobs=True, suppress_errors=True)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert len(table) == 0
    assert table.jobs.progress()["pending"] == 6


def test_jobs_that_populate_adds_have_the_priority_that_it_asks_for(lab: Any) -> None:
    lab.Rate.jobs.refresh({"subject": "M2"}, priority=8)
    assert lab.Rate.populate(reserve_jobs=True, priority=3, max_calls=1)["success_count"] == 1
    assert lab.Rate.jobs.to_arrays("priority", order_by="priority").tolist() == [3, 3, 8, 8, 8]
    assert lab.Rate.populate(reserve_jobs=True, priority=3)["success_count"] == 2
    assert lab.Rate.populate(reserve_jobs=True)["success_count"] == 3


def test_objects_that_make_fetches_by_another_thread_are_its_own(lab: Any) -> None:
    def make(self: Any, key: dict[str, Any]) -> None:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.extend((lab.Session & key).keys()))
        thread.start()
        thread.join()
        assert found == [key]
        self.insert1({**key, "value": 1})

    assert computed(lab, make).populate()["success_count"] == 6


ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import os, signal, sys
sys.path.insert(0, {root!r})
import dj_panel as dj
from tests.lab_tables import declare_lab
lab = declare_lab(dj.Schema({schema!r}))
@lab.schema
class Value(dj.Computed):
    definition = '''
    -> lab.Session
    ---
    value : float64
    '''
    class Piece(dj.Part):
        definition = '''
        -> master
        piece : int8
        '''
    def make(self, key):
        self.insert1({{**key, "value": 1}})
        self.Piece.insert({{**key, "piece": i}} for i in range(5))
        if "die" in sys.argv and key["session"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
result = Value.populate(reserve_jobs=True, suppress_errors=True)
print(result["success_count"], len(result["error_list"]))
"""


def test_kill_worker_nothing_is_half_done_and_the_key_is_computed_again(lab: Any, backend: Backend) -> None:
    text = WORKER.format(root=str(ROOT), schema=lab.schema.name)
    environment = {**os.environ, **backend.environment}
    for _ in range(3):
        killed = subprocess.run(
            [sys.executable, "-c", text, "die"], env=environment, check=False, timeout=120
        )
        assert killed.returncode == -signal.SIGKILL
        lab.schema.connection.catalog.forget()
        value = dj.FreeTable(lab.schema.connection, f"{lab.schema.name}.__value")
        piece = dj.FreeTable(lab.schema.connection, f"{lab.schema.name}.__value__piece")
        jobs = dj.FreeTable(lab.schema.connection, f"{lab.schema.name}.~~value")
        assert len(piece) == 5 * len(value)
        stuck = (jobs & "status = 'reserved'").fetch1("KEY")
        assert stuck["session"] == 2
        assert not value & stuck
        connection = lab.schema.connection
        connection.query(
            f"UPDATE {connection.dialect.table(jobs.name)} SET reserved_time = '2020-01-01 00:00:00'"
        )
        virtual = dj.virtual_schema(lab.schema.name, connection=connection)
        assert virtual.Value.jobs.refresh(orphan_timeout=60)["orphaned"] == 1
    finished = subprocess.run(
        [sys.executable, "-c", text], env=environment, check=True, timeout=120, capture_output=True, text=True
    )
    assert finished.stdout.split()[1] == "0"
    assert len(value) == 6
    assert len(piece) == 30
    assert len(jobs) == 0


def test_dup_make_workers_share_a_queue_and_no_key_is_computed_twice(lab: Any, backend: Backend) -> None:
    lab.Session.insert({"subject": "M1", "session": i, "session_date": "2026-01-01"} for i in range(10, 110))
    text = WORKER.format(root=str(ROOT), schema=lab.schema.name)
    environment = {**os.environ, **backend.environment}
    workers = [
        subprocess.Popen([sys.executable, "-c", text], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    printed = [worker.communicate(timeout=240)[0].split() for worker in workers]
    assert sum(int(done) for done, _ in printed) == 106
    assert all(errors == "0" for _, errors in printed)
    lab.schema.connection.catalog.forget()
    assert len(dj.FreeTable(lab.schema.connection, f"{lab.schema.name}.__value__piece")) == 530
