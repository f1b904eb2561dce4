"""One queue, workers of both programs: a key is computed once, and either reads what the other recorded."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.servers import MariaDBServer
from tests.wire.sides import Side, declare, our_side, their_side
from tests.wire.test_tables import fill, ours, prefix, sides, theirs  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]


def two(sides: tuple[Side, Side], prefix: str) -> tuple[Any, Any]:
    first, second = sides
    one = declare(first, first.schema(prefix + "lab"))
    fill(one)
    return one, declare(second, second.schema(prefix + "lab"))


def test_a_queue_filled_by_one_is_worked_off_by_the_other(sides: tuple[Side, Side], prefix: str) -> None:
    one, other = two(sides, prefix)
    assert one.Total.jobs.refresh()["added"] == 6
    assert other.Total.jobs.refresh()["added"] == 0
    assert len(other.Total.jobs.pending) == 6
    result = other.Total.populate({"number": 1}, reserve_jobs=True, refresh=False, suppress_errors=True)
    assert result["success_count"] == 2
    assert {k: v for k, v in one.Total.jobs.progress().items() if v} == {"pending": 3, "error": 1, "total": 4}
    result = one.Total.populate(reserve_jobs=True, refresh=False, suppress_errors=True)
    assert result["success_count"] == 2
    assert other.Total.progress() == (2, 6)


def test_an_error_recorded_by_one_is_read_and_retried_by_the_other(
    sides: tuple[Side, Side],
    prefix: str,
) -> None:
    one, other = two(sides, prefix)
    one.Total.populate("session = 13", reserve_jobs=True, suppress_errors=True)
    row = other.Total.jobs.errors.to_dicts(order_by="KEY")[0]
    assert row["error_message"] == "ValueError: an unlucky session"
    assert "in make" in row["error_stack"]
    assert row["pid"] > 0
    (other.Total.jobs.errors & {"number": 1}).delete()
    other.Total.jobs.refresh("session = 13")
    assert {k: v for k, v in one.Total.jobs.progress().items() if v} == {"pending": 1, "error": 1, "total": 2}


def test_a_priority_is_that_of_new_jobs_and_the_least_urgent_to_be_done(
    sides: tuple[Side, Side], prefix: str
) -> None:
    for lab in two(sides, prefix):
        lab.Total.jobs.refresh()
        lab.Total.jobs.delete()
        lab.Total().delete(prompt=False)
        lab.Total.jobs.refresh({"number": 1}, priority=8)
        result = lab.Total.populate(reserve_jobs=True, priority=3, suppress_errors=True)
        assert (result["success_count"], len(result["error_list"])) == (2, 1)
        found = [(r["status"], r["priority"]) for r in lab.Total.jobs.to_dicts(order_by="priority")]
        assert found == [("error", 3), ("pending", 8), ("pending", 8), ("pending", 8)]


def test_an_exit_in_make_is_an_error_of_the_job_for_both(sides: tuple[Side, Side], prefix: str) -> None:
    for lab in two(sides, prefix):
        lab.Total.jobs.refresh()
        lab.Total.jobs.delete()
        lab.Total.make = lambda self, key: sys.exit("no licence")
        with pytest.raises(SystemExit):
            lab.Total.populate(reserve_jobs=True, suppress_errors=True)
        assert lab.Total.jobs.errors.to_arrays("error_message").tolist() == ["SystemExit: no licence"]


def test_a_job_reserved_by_one_is_left_alone_by_the_other(sides: tuple[Side, Side], prefix: str) -> None:
    one, other = two(sides, prefix)
    one.Total.jobs.refresh()
    key = one.Total.jobs.keys(order_by="KEY", limit=1)[0]
    assert one.Total.jobs.reserve(key)
    assert not other.Total.jobs.reserve(key)
    other.Total.populate(reserve_jobs=True, suppress_errors=True)
    assert {k: v for k, v in one.Total.jobs.progress().items() if v} == {
        "reserved": 1,
        "error": 2,
        "total": 3,
    }
    one.Total.jobs.complete(key)
    assert other.Total.jobs.progress()["total"] == 2


def test_jobs_that_are_ignored_or_completed_stay_so_for_both(sides: tuple[Side, Side], prefix: str) -> None:
    one, other = two(sides, prefix)
    one.Total.jobs.refresh()
    key = one.Total.jobs.keys(order_by="KEY", limit=1)[0]
    one.Total.jobs.ignore(key)
    other.Total.populate(reserve_jobs=True, suppress_errors=True)
    assert {k: v for k, v in one.Total.jobs.progress().items() if v} == {"ignore": 1, "error": 2, "total": 3}


def test_workers_of_both_share_one_queue(mariadb: MariaDBServer, prefix: str, tmp_path: Path) -> None:
    first = our_side(mariadb, tmp_path)
    lab = declare(first, first.schema(prefix + "lab"))
    fill(lab)
    key = lab.Subject.keys(order_by="KEY")[0]
    lab.Session.insert({**key, "session": i, "day": "2026-01-01"} for i in range(100, 140))
    lab.Total.jobs.refresh()
    results: dict[str, Any] = {}

    def work(side: Side) -> None:
        table = declare(side, side.schema(prefix + "lab")).Total
        results[side.name] = table.populate(reserve_jobs=True, refresh=False, suppress_errors=True)

    second, third = their_side(mariadb, tmp_path), our_side(mariadb, tmp_path)
    thread = threading.Thread(target=work, args=(third,))
    thread.start()
    work(second)  # DataJoint populates in the main thread only
    thread.join()
    third.connection.close()
    done = {name: result["success_count"] for name, result in results.items()}
    print(f"one queue, both programs: {done}")
    assert sum(done.values()) == 44
    assert sum(len(result["error_list"]) for result in results.values()) == 2
    assert len(lab.Total()) == 44
    assert len(lab.Total.Bin()) == 88
    assert {k: v for k, v in lab.Total.jobs.progress().items() if v} == {"error": 2, "total": 2}
    second.connection.close()
    first.connection.close()
