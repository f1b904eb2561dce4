"""The demo lab is built by one program and used by the other, on one server, each with the lab's own code.

Each program is a process of its own (`demo_lab.py`). Two labs are built at the same time, one by `dj_panel`
and one by the real DataJoint; every promise is tried on both, with the program that did not build it as the
other one.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.servers import MariaDBServer

ROOT = Path(__file__).parents[2]
SCHEMAS = ("subject", "session", "acquisition", "analysis")
TABLES = 29
JOB_TIMES = ("created_time", "scheduled_time", "reserved_time", "completed_time")
# Each lab's schemas have a collation of their program's choice; everything else is to be the same.
COLLATION = re.compile(r" (CHARACTER SET|COLLATE|DEFAULT CHARSET)[ =]\w+")


class Peer:
    """One program at work in the folder of a lab."""

    def __init__(self, program: str, folder: Path, environment: dict[str, str]) -> None:
        self._log = (folder / f"{program}.log").open("a+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("demo_lab.py")), program],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def send(self, question: str, **options: Any) -> None:
        """Ask without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([question, options]) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """Wait for the answer to what was sent."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            pytest.fail(f"The program ended:\n{self._log.read()[-4000:]}")
        return json.loads(line)

    def ask(self, question: str, **options: Any) -> Any:
        """Ask and wait for the answer."""
        self.send(question, **options)
        return self.receive()

    def close(self) -> None:
        """End the program, which has nothing to finish."""
        self._process.kill()
        self._process.communicate()
        self._log.close()


class Facts(NamedTuple):
    """What the server says of a lab's schemas, their names left out."""

    tables: dict[str, str]
    lineage: dict[str, list[Any]]
    jobs: dict[str, list[Any]]


def facts(server: MariaDBServer, prefix: str) -> Facts:
    """Ask the server itself."""
    found = Facts({}, {}, {})
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        for schema in SCHEMAS:
            cursor.execute(f"SHOW TABLES IN `{prefix}{schema}`")
            for (table,) in sorted(cursor.fetchall()):
                place = f"`{prefix}{schema}`.`{table}`"
                cursor.execute(f"SHOW CREATE TABLE {place}")
                text = cursor.fetchone()[1].replace(prefix, "")
                name = f"{schema}.{table}"
                found.tables[name] = COLLATION.sub("", text)
                if not table.startswith("~"):
                    continue
                cursor.execute(f"SELECT * FROM {place}")
                columns = [column[0] for column in cursor.description]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
                if table == "~lineage":
                    found.lineage[name] = sorted(
                        [value.replace(prefix, "") for value in row.values()] for row in rows
                    )
                else:
                    found.jobs[name] = sorted(map(steady, rows), key=repr)
    return found


def steady(job: dict[str, Any]) -> dict[str, Any]:
    """Return what does not depend on when and by which process a job was done."""
    # DataJoint does not say how long a job took that failed; dj_panel does.
    changing = {*JOB_TIMES, "error_stack"}
    left_out = {*changing, "pid", "connection_id", "duration"}
    kept = {name: value for name, value in job.items() if name not in left_out}
    return {**kept, **{f"has {name}": job[name] is not None for name in changing}}


class Lab(NamedTuple):
    """A built lab and its programs."""

    builder: Peer
    folder: Path
    environment: dict[str, str]
    prefix: str
    built: Facts
    values: dict[str, Any]


class Shared(NamedTuple):
    """A lab that a second program has opened."""

    builder: Peer
    other: Peer
    folder: Path
    built: Facts
    opened: Facts


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDBServer) -> Iterator[dict[str, Lab]]:
    """Build the lab with each program, both at the same time."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DJ_")}
    with ExitStack() as stack:
        started = {}
        for program in ("ours", "theirs"):
            prefix = f"t{secrets.token_hex(3)}_"
            stack.callback(mariadb.drop_schemas, prefix)
            folder = tmp_path_factory.mktemp(program)
            environment = {
                **inherited,
                "PYTHONPATH": str(ROOT),
                "DJ_HOST": mariadb.host,
                "DJ_PORT": str(mariadb.port),
                "DJ_USER": mariadb.user,
                "DJ_PASS": mariadb.password,
                "DJ_PANEL_DEMO_PREFIX": prefix,
            }
            peer = Peer(program, folder, environment)
            stack.callback(peer.close)
            peer.send("build")
            started[program] = (peer, folder, environment, prefix)
        for peer, *_ in started.values():
            peer.receive()
            peer.send("digests")
        yield {
            program: Lab(*parts, built=facts(mariadb, parts[-1]), values=parts[0].receive())
            for program, parts in started.items()
        }


@pytest.fixture(scope="module", params=["ours", "theirs"])
def lab(request: pytest.FixtureRequest, labs: dict[str, Lab], mariadb: MariaDBServer) -> Iterator[Shared]:
    """Give a lab that one program built and the other one has opened."""
    chosen = labs[request.param]
    other = Peer("theirs" if request.param == "ours" else "ours", chosen.folder, chosen.environment)
    try:
        assert other.ask("activate") == TABLES
        yield Shared(chosen.builder, other, chosen.folder, chosen.built, facts(mariadb, chosen.prefix))
    finally:
        other.close()


# ------------------------------------------------------------------ what each of them builds
def test_both_programs_declare_the_same_tables(labs: dict[str, Lab]) -> None:
    ours, theirs = labs["ours"].built.tables, labs["theirs"].built.tables
    assert len([name for name in ours if "~" not in name]) == TABLES
    assert ours == theirs


def test_both_programs_record_the_same_origins(labs: dict[str, Lab]) -> None:
    ours, theirs = labs["ours"].built.lineage, labs["theirs"].built.lineage
    assert all(ours[f"{schema}.~lineage"] for schema in SCHEMAS)
    assert ours == theirs


def test_both_programs_leave_the_same_jobs(labs: dict[str, Lab]) -> None:
    ours, theirs = labs["ours"].built.jobs, labs["theirs"].built.jobs
    assert {row["status"] for row in ours["analysis.~~heart_rate"]} == {"error"}
    assert ours == theirs


def test_both_programs_compute_the_same_values(labs: dict[str, Lab]) -> None:
    ours, theirs = labs["ours"].values, labs["theirs"].values
    assert all(table["rows"] for name, table in ours.items() if name != "analysis.ScanQuality")
    assert ours == theirs


# ------------------------------------------------------------------ one reads what the other built
def test_opening_the_lab_of_the_other_program_declares_nothing(lab: Shared) -> None:
    assert lab.opened == lab.built


def test_every_value_of_the_other_program_is_read(lab: Shared) -> None:
    built, read = lab.builder.ask("digests"), lab.other.ask("digests")
    assert len(built) == TABLES
    assert {codec for table in built.values() for codec in table["codecs"].values() if codec} == {
        "blob", "attach", "object", "npy"
    }  # fmt: skip
    assert read == built


def test_every_value_is_read_without_the_code(lab: Shared) -> None:
    assert lab.other.ask("digests_without_code") == lab.builder.ask("digests")


def test_queries_over_several_schemas_agree(lab: Shared) -> None:
    built, read = lab.builder.ask("joins"), lab.other.ask("joins")
    assert all(built.values())
    assert read == built


def test_why_a_job_failed_is_read_by_the_other_program(lab: Shared) -> None:
    (failure,) = lab.other.ask("failures", table="analysis.HeartRate")
    subject, message, first, last = failure
    assert subject == "HV-03"
    assert message.startswith("UnusableSignalError: The pulse signal is flat for 89.9 s of its 119.9 s")
    assert first == "Traceback (most recent call last):"
    assert last.endswith(message)
    assert lab.builder.ask("failures", table="analysis.HeartRate") == [failure]


# ------------------------------------------------------------------ one goes on where the other stopped
@pytest.mark.parametrize("code", [True, False], ids=["with code", "without code"])
def test_entries_of_the_other_program_are_computed_and_deleted(lab: Shared, code: bool) -> None:
    before = lab.builder.ask("digests")
    assert lab.other.ask("enter", code=code) == 1
    entered = lab.builder.ask("digests")
    changed = {name for name, table in entered.items() if table != before[name]}
    assert changed == {
        "subject.Subject", "session.Session", "session.Session.Operator", "session.Session.Remark",
        "session.Recording",
    }  # fmt: skip
    for table in ("acquisition.PulseTrace", "analysis.HeartRate"):
        assert lab.builder.ask("progress", table=table)["jobs"]["pending"] == 0
        assert lab.other.ask("refresh", table=table)["added"] == 1
        assert lab.builder.ask("populate", table=table, refresh=False) == {"done": 1, "errors": []}
    assert lab.other.ask("digests") == lab.builder.ask("digests")
    assert lab.other.ask("delete", code=code) == before["subject.Subject"]["rows"]
    assert lab.builder.ask("digests") == before


@pytest.mark.parametrize("table", ["analysis.Segmentation", "analysis.ScanQuality"])
def test_what_is_left_is_computed_from_the_queue_of_the_program_that_built_it(
    lab: Shared, table: str
) -> None:
    left = lab.builder.ask("progress", table=table)["remaining"]
    assert left > 0
    lab.builder.ask("refresh", table=table)
    assert lab.other.ask("populate", table=table, refresh=False) == {"done": left, "errors": []}
    assert lab.builder.ask("populate", table=table) == {"done": 0, "errors": []}
    progress = lab.builder.ask("progress", table=table)
    assert progress["remaining"] == progress["jobs"]["total"] == 0
    assert lab.builder.ask("digests") == lab.other.ask("digests")


@pytest.mark.parametrize(
    ("table", "step", "restriction"),
    [
        ("analysis.Windowing", "make", None),
        ("analysis.WindowTuning", "make_compute", {"tuning_method": "quick-0"}),
    ],
)
def test_two_programs_at_one_queue_compute_every_key_once(
    lab: Shared, tmp_path: Path, table: str, step: str, restriction: dict[str, str] | None
) -> None:
    lab.builder.ask("methods", number=20)
    if table == "analysis.WindowTuning":
        lab.builder.ask("populate", table="analysis.Windowing", restriction=restriction)
    assert lab.builder.ask("progress", table=table, restriction=restriction)["remaining"] == 40
    options = {"table": table, "step": step, "restriction": restriction}
    marks = {"builder": str(tmp_path / "builder"), "other": str(tmp_path / "other")}
    lab.builder.send("work", mark=marks["builder"], other=marks["other"], **options)
    lab.other.send("work", mark=marks["other"], other=marks["builder"], **options)
    built, shared = lab.builder.receive(), lab.other.receive()
    assert built["errors"] == shared["errors"] == []
    assert built["keys"]
    assert shared["keys"]
    keys = [tuple(key.values()) for key in built["keys"] + shared["keys"]]
    assert len(keys) == len(set(keys)) == built["done"] + shared["done"] == 40
    assert lab.builder.ask("digests") == lab.other.ask("digests")


def test_each_program_leaves_when_and_how_long_it_computed(
    labs: dict[str, Lab], mariadb: MariaDBServer
) -> None:
    for chosen in labs.values():
        with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT ABS(TIMESTAMPDIFF(DAY, _job_start_time, NOW())), _job_duration > 0, _job_version"
                f" FROM `{chosen.prefix}analysis`.`__firing_rate`"
            )
            assert list(cursor.fetchall()) == [(0, 1, "")] * 2
