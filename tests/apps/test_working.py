"""Computing from the browser: what the services start, stop, report and put right."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest

from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.services import Services
from dj_panel.apps.services.pace import FEWEST_SAMPLES, Pace
from dj_panel.apps.services.watching import Snapshot, TableStatus
from dj_panel.apps.services.working import MAX_WORKERS, Working, without_particulars, worker_environment
from dj_panel.core.errors import MakeError, MissingTableError
from dj_panel.core.settings import Settings
from dj_panel.modules import sorted_classes
from tests.conftest import Backend
from tests.slow_lab import BAD_ITEM, load_slow_lab, made, wait_until

N = 16


@pytest.fixture
def lab(dj_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = load_slow_lab(tmp_path, dj_backend.prefix + "work", monkeypatch, N)
    yield module
    module.schema.connection.close()


@pytest.fixture
def services(lab: ModuleType) -> Iterator[Services]:
    classes = sorted_classes(lab.schema.connection, [lab.schema.classes])
    services = Services(Pipeline("Slow", lab.schema.connection, MappingProxyType(classes), lab.__name__))
    yield services
    end_workers(services)
    services.close()


def end_workers(services: Services) -> None:
    for child in services.working._children:
        child.process.kill()
        child.process.wait()


@pytest.fixture
def result(lab: ModuleType) -> str:
    return f"{lab.schema.name}.Result"


def test_workers_compute_in_processes_of_their_own(
    lab: ModuleType, services: Services, result: str, tmp_path: Path
) -> None:
    working = services.working
    [worker] = asyncio.run(working.start([result]))
    assert [w.pid for w in working.running()] == [worker.pid]
    wait_until(lambda: not working.running(), "the work came to its end")
    report = asyncio.run(working.report(result))
    assert (report.n_keys, report.n_todo, report.counts["error"]) == (N, 1, 1)
    assert {pid for pid, _ in made(tmp_path)} == {worker.pid}
    assert worker.pid != os.getpid()
    assert asyncio.run(working.failed_start(result)) == ""


def test_a_table_never_gets_more_workers_than_were_asked_for(
    services: Services, result: str, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    working = services.working
    assert len(asyncio.run(working.start([result], 2))) == 2
    assert asyncio.run(working.start([result], 2)) == []
    assert len(asyncio.run(working.start([result], 99))) == MAX_WORKERS - 2
    assert len(working.running()) == MAX_WORKERS


def test_stop_ends_a_worker_after_its_present_key(
    lab: ModuleType, services: Services, result: str, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    working = services.working
    asyncio.run(working.start([result]))
    wait_until(lambda: made(tmp_path), "a key was taken")
    report = asyncio.run(working.report(result))
    assert [job.key for job in report.running] == [{"item": made(tmp_path)[0][1]}]
    assert report.running[0].pid == working.running()[0].pid
    assert asyncio.run(working.stop(result)) == 1
    assert working.running()[0].is_stopping
    assert asyncio.run(working.stop(result)) == 0  # it was told already
    (tmp_path / "hold").unlink()
    wait_until(lambda: not working.running(), "it ended")
    assert len(lab.Result()) == 1
    assert asyncio.run(working.report(result)).counts["reserved"] == 0
    assert asyncio.run(working.failed_start(result)) == ""


def test_failed_jobs_are_told_retried_ignored_and_put_back(
    lab: ModuleType, services: Services, result: str, tmp_path: Path
) -> None:
    working = services.working
    lab.Result.populate(reserve_jobs=True, suppress_errors=True)
    [job] = asyncio.run(working.jobs(result))
    assert job.key == {"item": BAD_ITEM}
    assert job.message == f"ValueError: no peak in item {BAD_ITEM} <b>of</b> 'rig 1'"
    assert "Traceback" in job.stack
    assert job.pid == os.getpid()
    [group] = asyncio.run(working.error_groups(result))
    assert (group.message, group.n_jobs) == (job.message, 1)

    assert asyncio.run(working.retry(result, [{"item": 1}])) == 0  # it has not failed
    assert asyncio.run(working.retry(result, [job.key])) == 1
    (tmp_path / "mended").touch()
    assert lab.Result.populate(reserve_jobs=True)["success_count"] == 1
    assert asyncio.run(working.error_groups(result)) == []

    assert asyncio.run(working.ignore(result, [{"item": BAD_ITEM}])) == 1
    assert len(asyncio.run(working.jobs(result, "ignore"))) == 1
    assert asyncio.run(working.put_back(result, [{"item": 1}])) == 0
    assert asyncio.run(working.put_back(result)) == 1


def test_errors_are_grouped_by_cause(lab: ModuleType, services: Services, result: str) -> None:
    queue = lab.Result.jobs
    queue.refresh(delay=-1)
    for item in range(1, 6):
        queue.error({"item": item}, f"ValueError: no peak in item {item} of 'M{item}'")
    queue.error({"item": 6}, "OSError: the disk is full")
    groups = asyncio.run(services.working.error_groups(result))
    assert [(without_particulars(g.message), g.n_jobs) for g in groups] == [
        ("ValueError: no peak in item # of …", 5),
        ("OSError: the disk is full", 1),
    ]
    assert asyncio.run(services.working.retry(result)) == 6


def test_a_killed_workers_job_is_counted_and_released(
    services: Services, result: str, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    working = services.working
    [worker] = asyncio.run(working.start([result]))
    wait_until(lambda: made(tmp_path), "a key was taken")
    assert asyncio.run(working.report(result)).n_orphans == 0
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not working.running(), "it was gone")
    (tmp_path / "hold").unlink()
    assert asyncio.run(working.report(result)).n_orphans == 1
    assert asyncio.run(working.release_orphans(result)) == 1
    asyncio.run(working.start([result]))
    wait_until(lambda: not working.running(), "the work came to its end")
    assert asyncio.run(working.report(result)).n_todo == 1  # the bad one


def test_a_worker_that_cannot_work_says_why(
    lab: ModuleType, services: Services, result: str, tmp_path: Path
) -> None:
    (tmp_path / f"{lab.__name__}.py").write_text("raise RuntimeError('no such rig')\n")
    asyncio.run(services.working.start([result]))
    wait_until(lambda: not services.working.running(), "it ended")
    assert "RuntimeError: no such rig" in asyncio.run(services.working.failed_start(result))


def test_only_tables_of_the_code_can_be_computed(services: Services, lab: ModuleType, result: str) -> None:
    with pytest.raises(MakeError, match="has no make method"):
        asyncio.run(services.working.start([f"{lab.schema.name}.Item"]))
    with pytest.raises(MissingTableError):
        asyncio.run(services.working.start(["lab.Nothing"]))
    with pytest.raises(MakeError, match="entered by people"):
        asyncio.run(services.working.report(f"{lab.schema.name}.Item"))
    bare = Services(Pipeline("Bare", lab.schema.connection, services.pipeline.classes))
    with pytest.raises(MakeError, match="from the database alone"):
        asyncio.run(bare.working.start([result]))
    bare.watcher.stop()
    bare.working.close()


def test_a_workers_arguments_hold_no_password(
    services: Services, dj_backend: Backend, result: str, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    asyncio.run(services.working.start([result]))
    words = services.working._children[0].process.args
    assert isinstance(words, list)
    assert result in words
    assert not any(dj_backend.environment.get("DJ_PASS", "no password on this server") in w for w in words)


def test_a_worker_is_led_to_the_same_database_and_stores(dj_backend: Backend) -> None:
    connection = dj_backend.connect(stores={"raw": {"protocol": "file", "location": "/raw"}})
    environment = worker_environment(connection.settings)
    connection.close()
    settings = Settings()
    settings.load_environment(environment)
    assert settings.stores == {"raw": {"protocol": "file", "location": "/raw"}}
    assert settings.backend == connection.settings.backend
    if dj_backend.name == "mariadb":
        assert (settings.database.port, settings.database.password) == (
            connection.settings.database.port,
            connection.settings.database.password,
        )


def test_the_status_counts_rows_keys_and_jobs(lab: ModuleType, services: Services, result: str) -> None:
    before = services.watcher.read().tables[result]
    assert (before.n_rows, before.n_keys, before.n_todo, before.n_ready) == (0, N, N, N)
    lab.Result.populate(reserve_jobs=True, suppress_errors=True)
    status = services.watcher.read().tables[result]
    assert (status.n_done, status.error, status.n_ready, status.state) == (N - 1, 1, 0, "error")
    lab.Result.jobs.ignore({"item": BAD_ITEM})
    assert services.watcher.read().tables[result].state == "done"


def test_what_is_computed_is_followed_closely_and_the_rest_now_and_then(
    lab: ModuleType, services: Services, result: str
) -> None:
    jobs, watcher, item = lab.Result.jobs, services.watcher, f"{lab.schema.name}.Item"
    jobs.refresh()
    assert jobs.reserve({"item": 1})
    watcher.snapshot = watcher.read()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watcher._woken, 600.0)  # as after a reading that took a minute
        lab.Item.insert1({"item": 1000})
        lab.Result.populate({"item": 2})
        wait_until(lambda: watcher.snapshot.tables[result].n_rows == 1, "what is computed is not followed")
        assert watcher.snapshot.tables[item].n_rows == N
        watcher.poke()
        assert waiting.result() is True


def test_a_page_is_told_on_its_own_event_loop_until_it_leaves(lab: ModuleType, services: Services) -> None:
    item = f"{lab.schema.name}.Item"
    told: list[tuple[int, int]] = []

    async def told_of(n_rows: int) -> None:
        while not told or told[-1][1] != n_rows:
            await asyncio.sleep(0.01)

    async def visit() -> None:
        # Panel may lose what another thread than that of the event loop tells a document.
        leave = services.watcher.subscribe(
            lambda snapshot: told.append((threading.get_ident(), snapshot.tables[item].n_rows))
        )
        await asyncio.wait_for(told_of(N), 60)
        lab.Item.insert1({"item": 1000})
        services.watcher.poke()
        await asyncio.wait_for(told_of(N + 1), 60)
        services.watcher._tell(Snapshot({item: TableStatus(7)}, 1.0))  # is on its way when the page leaves
        leave()
        await asyncio.sleep(0.01)

    asyncio.run(visit())
    assert {thread for thread, _ in told} == {threading.get_ident()}
    assert told[-1][1] == N + 1


def test_a_key_source_that_fails_spoils_no_other_table(
    lab: ModuleType, services: Services, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> None:
        raise ZeroDivisionError("of the pipeline's own making")

    monkeypatch.setattr(lab.Summary, "key_source", property(broken))
    tables = services.watcher.read().tables
    assert tables[result].n_keys == N
    assert "ZeroDivisionError: of the pipeline's own making" in tables[f"{lab.schema.name}.Summary"].problem


# ------------------------------------------------------------------ without a database
def test_no_estimate_is_made_from_too_little() -> None:
    pace = Pace()
    for n in range(FEWEST_SAMPLES):
        pace.observe(at_s=float(n), n_done=n)
    assert pace.n_samples == FEWEST_SAMPLES - 1
    assert pace.estimate(n_left=5) is None
    pace.observe(at_s=100.0, n_done=FEWEST_SAMPLES)
    assert pace.estimate(n_left=5) is not None


def test_deleted_rows_begin_a_new_estimate() -> None:
    pace = Pace()
    for n in range(20):
        pace.observe(at_s=float(n), n_done=n)
    pace.observe(at_s=21.0, n_done=3)
    assert pace.n_samples == 0


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (TableStatus(0), "empty"),
        (TableStatus(3), "done"),
        (TableStatus(0, n_keys=0), "empty"),
        (TableStatus(0, n_keys=4, n_todo=4), "pending"),
        (TableStatus(1, n_keys=4, n_todo=3), "partial"),
        (TableStatus(1, n_keys=4, n_todo=3, reserved=1, error=1), "running"),
        (TableStatus(1, n_keys=4, n_todo=3, error=1), "error"),
        (TableStatus(3, n_keys=4, n_todo=1, ignored=1), "done"),
    ],
)
def test_a_tables_state(status: TableStatus, state: str) -> None:
    assert status.state == state


def test_messages_of_one_cause_are_alike() -> None:
    assert without_particulars("no peak in 17 of 'a 1'") == without_particulars("no peak in 3.5 of 'b'")
    assert without_particulars("no peak") != without_particulars("no trough")


def test_logs_of_ended_workers_do_not_stay(services: Services, result: str) -> None:
    working: Working = services.working
    asyncio.run(working.start([result]))
    wait_until(lambda: not working.running(), "the work came to its end")
    folder = working._logs
    assert list(folder.iterdir())
    working.close()
    assert not folder.exists()
