"""threads: many threads share connections and instances, and none of them reads another's answer."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from tests.servers import MariaDBServer

N_THREADS, N_READS, N_ROWS = 8, 1000, 200


@pytest.fixture
def labs(mariadb: MariaDBServer, tmp_path: Path) -> Iterator[list[dj.Instance]]:
    """Four databases in one process: two files, and two instances on one server."""
    prefix = f"t{secrets.token_hex(3)}_"
    made = [
        dj.Instance(backend="sqlite", database__name=str(tmp_path / f"{i}.db"), safemode=False)
        for i in (0, 1)
    ]
    made += [
        dj.Instance(mariadb.host, mariadb.user, mariadb.password, mariadb.port, safemode=False)
        for _ in range(2)
    ]
    for number, lab in enumerate(made):
        schema = lab.Schema(f"{prefix}{number}" if number > 1 else "lab")

        @schema
        class Reading(dj.Manual):
            definition = """
            reading : int32
            ---
            value : varchar(40)
            trace : <blob>
            """

        Reading.insert(
            {"reading": i, "value": expected(number, i), "trace": [number, i]} for i in range(N_ROWS)
        )
        lab.Reading = Reading  # type: ignore[attr-defined]
    yield made
    for lab in made:
        lab.close()
    mariadb.drop_schemas(prefix)


def expected(lab: int, reading: int) -> str:
    return f"lab {lab}, reading {reading}"


def in_threads(work: Callable[[random.Random], int]) -> tuple[int, list[BaseException]]:
    """Run work in eight threads at once; return the sum of what they return, and what they raised."""
    start = threading.Barrier(N_THREADS)
    sums: list[int] = []
    raised: list[BaseException] = []

    def run(seed: int) -> None:
        start.wait()
        try:
            sums.append(work(random.Random(seed)))
        except BaseException as error:  # noqa: BLE001 - reported by the test's own thread
            raised.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sums), raised


def test_eight_threads_read_eight_thousand_values_and_none_is_wrong(labs: list[Any]) -> None:
    def read(dice: random.Random) -> int:
        n_wrong = 0
        for _ in range(N_READS):
            lab, reading = dice.randrange(len(labs)), dice.randrange(N_ROWS)
            query = labs[lab].Reading & {"reading": reading}
            if dice.random() < 0.9:
                n_wrong += query.fetch1("value") != expected(lab, reading)
            else:
                n_wrong += query.to_dicts() != [
                    {"reading": reading, "value": expected(lab, reading), "trace": [lab, reading]}
                ]
        return n_wrong

    n_wrong, raised = in_threads(read)
    print(f"threads: {N_THREADS} x {N_READS} reads, {n_wrong} wrong values, {len(raised)} errors")
    assert raised == []
    assert n_wrong == 0


def test_threads_that_write_in_transactions_see_only_their_own_until_it_is_kept(labs: list[Any]) -> None:
    n_rounds = 10
    taken = threading.Lock()
    numbers = iter(range(N_ROWS, N_ROWS + N_THREADS * n_rounds))

    def write(dice: random.Random) -> int:
        n_wrong = 0
        for turn in range(n_rounds):
            lab = labs[dice.randrange(2, len(labs))]
            with taken:
                reading = next(numbers)
            keep = turn % 2 == 0
            key = {"reading": reading}
            try:
                with lab.connection.transaction:
                    lab.Reading.insert1({**key, "value": "new", "trace": []})
                    n_wrong += (lab.Reading & key).fetch1("value") != "new"
                    if not keep:
                        raise KeyError(reading)
            except KeyError:
                n_wrong += lab.connection.in_transaction
            n_wrong += len(lab.Reading & key) != int(keep)
        return n_wrong

    n_wrong, raised = in_threads(write)
    assert raised == []
    assert n_wrong == 0
    n_kept = sum(len(lab.Reading & f"reading >= {N_ROWS}") for lab in labs[2:])
    assert n_kept == N_THREADS * n_rounds / 2


def test_each_thread_has_a_connection_of_its_own_and_dead_ones_are_closed(mariadb: MariaDBServer) -> None:
    with closing(dj.Instance(mariadb.host, mariadb.user, mariadb.password, mariadb.port)) as lab:
        found: set[int] = set()
        start = threading.Barrier(N_THREADS)

        def ask() -> None:
            start.wait()
            found.add(lab.connection.connection_id)
            start.wait()

        threads = [threading.Thread(target=ask) for _ in range(N_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == N_THREADS
        # whoever connects next closes the connections of the threads that ended
        last = threading.Thread(target=lab.connection.ping)
        last.start()
        last.join()
        with closing(mariadb.connect()) as other, other.cursor() as cursor:
            # the server takes a moment to notice
            for _ in range(300):
                cursor.execute("SELECT id FROM information_schema.processlist")
                left = found & {number for (number,) in cursor.fetchall()}
                if not left:
                    break
                time.sleep(0.1)
        assert not left
