"""Workers: they share a queue, stop when asked, and leave nothing half done when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dj_panel.core.jobs import Job
from dj_panel.core.workers import orphans, release_orphans, work
from tests.conftest import Backend
from tests.slow_lab import BAD_ITEM, load_slow_lab, made, wait_until

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def lab(dj_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = load_slow_lab(tmp_path, dj_backend.prefix + "work", monkeypatch)
    yield module
    module.schema.connection.close()


@pytest.fixture
def start(lab: ModuleType, tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts `dj-panel work` in the working folder, with its output in worker.log."""
    workers: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "dj_panel", "work", lab.__name__, *words]
            workers.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()


def log_of(folder: Path) -> bytes:
    return (folder / "worker.log").read_bytes()


def test_two_workers_share_a_queue_and_no_key_is_made_twice(
    lab: ModuleType, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "mended").touch()
    (tmp_path / "hold").touch()
    first, second = start(), start()
    wait_until(lambda: {pid for pid, _ in made(tmp_path)} == {first.pid, second.pid}, "both were at work")
    (tmp_path / "pause").write_text("0.02")
    (tmp_path / "hold").unlink()
    assert (first.wait(), second.wait()) == (0, 0)
    items = [item for _, item in made(tmp_path)]
    assert sorted(items) == list(range(1, 21))
    assert {row["pid"] for row in lab.Result.to_dicts()} == {first.pid, second.pid}
    assert len(lab.Result()) == 20
    assert len(lab.Summary()) == 20  # what one worker added, they both went on with
    assert lab.Result.jobs.progress()["total"] == 0


def test_a_failed_key_is_recorded_and_the_others_are_computed(
    lab: ModuleType, start: Start, tmp_path: Path
) -> None:
    assert start("--table", f"{lab.schema.name}.Result").wait() == 0
    assert len(lab.Result()) == 19
    assert len(lab.Summary()) == 0  # it was not asked for
    assert lab.Result.jobs.is_declared  # by the worker, after this process had read the schema
    job = lab.Result.jobs.errors.fetch1()
    assert job["item"] == BAD_ITEM
    assert job["error_message"] == f"ValueError: no peak in item {BAD_ITEM} <b>of</b> 'rig 1'"
    assert "raise ValueError" in job["error_stack"]


def test_a_killed_workers_reservation_is_found_released_and_computed(
    lab: ModuleType, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    worker = start()
    wait_until(lambda: made(tmp_path), "a key was taken")
    queue: Job = lab.Result.jobs
    assert orphans(queue) == []  # its worker lives
    assert release_orphans(queue) == 0
    worker.kill()
    worker.wait()
    (tmp_path / "hold").unlink()
    [row] = orphans(queue)
    assert (row["item"], row["pid"]) == (made(tmp_path)[0][1], worker.pid)
    assert len(lab.Result()) == 0
    assert release_orphans(queue) == 1
    assert orphans(queue) == []
    tally = work([lab.Result()])
    assert (tally.succeeded, tally.failed) == (19, 1)


def test_a_killed_worker_is_found_before_its_parent_has_noticed(
    lab: ModuleType, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    worker = start()
    wait_until(lambda: made(tmp_path), "a key was taken")
    os.kill(worker.pid, signal.SIGKILL)  # and not waited for: what is left is a zombie
    wait_until(lambda: orphans(lab.Result.jobs), "the reservation was found to be abandoned")


def test_a_reservation_of_another_host_is_no_orphan(lab: ModuleType) -> None:
    queue = lab.Result.jobs
    queue.refresh(delay=-1)
    token = queue.take({"item": 1})
    assert token is not None
    queue.update1({"item": 1, "host": "another-host", "pid": 4_000_000})
    assert orphans(queue) == []


def test_a_worker_told_to_stop_finishes_its_key_and_takes_no_other(
    lab: ModuleType, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    worker = start()
    wait_until(lambda: made(tmp_path), "a key was taken")
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: b"stopping after the present key" in log_of(tmp_path), "it heard")
    (tmp_path / "hold").unlink()
    assert worker.wait() == 0
    assert [row["item"] for row in lab.Result.to_dicts()] == [made(tmp_path)[0][1]]
    counts = lab.Result.jobs.progress()
    assert (counts["pending"], counts["reserved"], counts["error"]) == (19, 0, 0)


def test_a_second_ctrl_c_interrupts_the_key_which_goes_back_into_the_queue(
    lab: ModuleType, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    worker = start()
    wait_until(lambda: made(tmp_path), "a key was taken")
    worker.send_signal(signal.SIGINT)
    wait_until(lambda: b"stopping after the present key" in log_of(tmp_path), "it heard")
    worker.send_signal(signal.SIGINT)
    assert worker.wait() == 130
    assert len(lab.Result()) == 0
    counts = lab.Result.jobs.progress()
    assert (counts["pending"], counts["reserved"], counts["error"]) == (20, 0, 0)


def test_a_row_computed_meanwhile_without_the_queue_is_no_failure(lab: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "mended").touch()
    lab.Result.jobs.refresh(delay=-1)
    lab.Result.insert([{"item": i, "pid": 0} for i in (1, 2)], allow_direct_insert=True)
    tally = work([lab.Result()])
    assert (tally.succeeded, tally.failed) == (18, 0)
    assert [item for _, item in made(tmp_path) if item in (1, 2)] == []
    assert lab.Result.jobs.progress()["total"] == 0


def test_a_worker_goes_on_when_others_took_its_whole_batch(
    lab: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mended").touch()
    take = Job.take
    asked: list[Any] = []

    def lose_the_first_sixteen(self: Job, key: dict[str, Any]) -> dict[str, Any] | None:
        asked.append(key)
        return None if len(asked) <= 16 else take(self, key)

    monkeypatch.setattr(Job, "take", lose_the_first_sixteen)
    assert work([lab.Result()]).succeeded == 20


def test_stopping_is_asked_before_each_key(lab: ModuleType) -> None:
    tally = work([lab.Result()], stop=lambda: len(lab.Result()) >= 3)
    assert (tally.succeeded, tally.stopped) == (3, True)
    assert len(lab.Result()) == 3
