"""Transactions keep all or nothing, whatever breaks and whoever else is at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def numbers(schema: dj.Schema) -> Any:
    @schema
    class Number(dj.Manual):
        definition = """
        number : int32
        ---
        text = "" : varchar(40)
        """

    return Number


@pytest.fixture
def outside(backend: Backend, schema: dj.Schema, numbers: Any) -> Iterator[Any]:
    """The same table as another program sees it."""
    connection = backend.connect()
    yield dj.FreeTable(connection, f"{schema.name}.number")
    connection.close()


def found(table: Any) -> list[int]:
    values: list[int] = table.to_arrays("number", order_by="number").tolist()
    return values


def test_a_transaction_is_seen_by_others_only_when_it_is_complete(numbers: Any, outside: Any) -> None:
    connection = numbers.connection
    with connection.transaction:
        numbers.insert1((1, ""))
        assert found(numbers) == [1]
        assert found(outside) == []
        assert connection.in_transaction
    assert found(outside) == [1]
    assert not connection.in_transaction


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_exception_undoes_the_transaction(numbers: Any, outside: Any, error: type[BaseException]) -> None:
    with pytest.raises(error), numbers.connection.transaction:
        numbers.insert({"number": i} for i in range(5))
        raise error
    assert found(numbers) == found(outside) == []
    numbers.insert1({"number": 9})
    assert found(outside) == [9]


def test_a_refused_row_that_is_caught_leaves_the_transaction_whole(numbers: Any, outside: Any) -> None:
    with numbers.connection.transaction:
        numbers.insert1({"number": 1})
        with pytest.raises(dj.errors.DuplicateError):
            numbers.insert1({"number": 1})
        with pytest.raises(dj.errors.DuplicateError):
            numbers.insert([{"number": 2}, {"number": 1}])
        numbers.insert1({"number": 3})
    assert found(outside) == [1, 3]


def test_an_inner_transaction_is_undone_alone(numbers: Any, outside: Any) -> None:
    transaction: Callable[[], Any] = lambda: numbers.connection.transaction  # noqa: E731
    with transaction():
        numbers.insert1({"number": 1})
        with pytest.raises(ValueError, match="inner"), transaction():
            numbers.insert1({"number": 2})
            with transaction():
                numbers.insert1({"number": 3})
            raise ValueError("inner")
        with transaction():
            numbers.insert1({"number": 4})
            with pytest.raises(ValueError, match="deep"), transaction():
                numbers.insert1({"number": 5})
                raise ValueError("deep")
        assert found(outside) == []
    assert found(outside) == [1, 4]


def test_an_outer_exception_undoes_inner_transactions_too(numbers: Any, outside: Any) -> None:
    with pytest.raises(ValueError, match="outer"), numbers.connection.transaction:
        with numbers.connection.transaction:
            numbers.insert1({"number": 1})
        raise ValueError("outer")
    assert found(outside) == []


def test_transactions_begun_and_ended_by_hand(numbers: Any, outside: Any) -> None:
    connection = numbers.connection
    connection.start_transaction()
    numbers.insert1({"number": 1})
    with pytest.raises(dj.errors.TransactionError):
        connection.start_transaction()
    connection.cancel_transaction()
    connection.start_transaction()
    numbers.insert1({"number": 2})
    connection.commit_transaction()
    assert found(outside) == [2]
    for end in (connection.commit_transaction, connection.cancel_transaction):
        with pytest.raises(dj.errors.TransactionError, match="none is open"):
            end()


def test_actions_after_the_commit_happen_then_or_never(numbers: Any) -> None:
    connection = numbers.connection
    done: list[str] = []
    with connection.transaction:
        connection.after_commit(lambda: done.append("kept"))
        assert done == []
    with pytest.raises(ValueError, match="x"), connection.transaction:
        connection.after_commit(lambda: done.append("lost"))
        raise ValueError("x")
    connection.after_commit(lambda: done.append("at once"))
    with connection.transaction, pytest.raises(ValueError, match="x"), connection.transaction:
        connection.after_commit(lambda: done.append("inner lost"))
        raise ValueError("x")
    assert done == ["kept", "at once"]


# ------------------------------------------------------------------ connections that break
def lose(connection: dj.Connection, backend: Backend) -> None:
    """End the connection as a server or a network does."""
    if backend.name == "sqlite":
        connection._session().raw.close()
        return
    number = connection.connection_id
    killer = backend.connect()
    killer.query(f"KILL {number}")
    killer.close()


def test_a_lost_connection_is_made_again_for_what_only_reads(numbers: Any, backend: Backend) -> None:
    numbers.insert1({"number": 1})
    lose(numbers.connection, backend)
    assert found(numbers) == [1]
    lose(numbers.connection, backend)
    with numbers.connection.transaction:
        numbers.insert1({"number": 2})
    assert found(numbers) == [1, 2]


def test_a_write_on_a_lost_connection_is_not_repeated_blindly(numbers: Any, backend: Backend) -> None:
    assert found(numbers) == []
    lose(numbers.connection, backend)
    with pytest.raises(dj.errors.LostConnectionError):
        numbers.insert1({"number": 1})
    numbers.insert1({"number": 2})
    assert 2 in found(numbers)


def test_drop_in_transaction_a_caught_loss_keeps_nothing_of_the_transaction(
    numbers: Any, outside: Any, backend: Backend
) -> None:
    for before in range(3):
        with pytest.raises(dj.errors.LostConnectionError), numbers.connection.transaction:
            for i in range(before):
                numbers.insert1({"number": i})
            lose(numbers.connection, backend)
            for i in range(10, 13):
                with pytest.raises(dj.errors.LostConnectionError):
                    numbers.insert1({"number": i})
            with pytest.raises(dj.errors.LostConnectionError):
                found(numbers)
        assert found(outside) == []
    with (
        pytest.raises(dj.errors.LostConnectionError),
        numbers.connection.transaction,
        numbers.connection.transaction,
    ):
        numbers.insert1({"number": 1})
        lose(numbers.connection, backend)
    numbers.insert1({"number": 9})
    assert found(outside) == [9]


def test_a_loss_before_the_first_write_of_a_computation_costs_nothing(
    numbers: Any, outside: Any, backend: Backend
) -> None:
    with numbers.connection.deferred_transaction:
        assert found(numbers) == []
        lose(numbers.connection, backend)
        numbers.insert1({"number": 1})
        assert found(outside) == []
        numbers.insert1({"number": 2})
        assert found(outside) == []
    assert found(outside) == [1, 2]
    with pytest.raises(ValueError, match="x"), numbers.connection.deferred_transaction:
        lose(numbers.connection, backend)
        assert found(numbers) == [1, 2]
        numbers.insert1({"number": 3})
        raise ValueError("x")
    assert found(outside) == [1, 2]


def test_a_loss_after_the_first_write_of_a_computation_undoes_it(
    numbers: Any, outside: Any, backend: Backend
) -> None:
    with pytest.raises(dj.errors.LostConnectionError), numbers.connection.deferred_transaction:
        numbers.insert1({"number": 1})
        lose(numbers.connection, backend)
        with pytest.raises(dj.errors.LostConnectionError):
            numbers.insert1({"number": 2})
    assert found(outside) == []


def test_a_wrong_server_or_password_is_named_without_the_password(backend: Backend) -> None:
    if backend.name == "sqlite":
        wrong = backend.connect(database__name="/nowhere/at/all.db")
        with pytest.raises(dj.errors.MissingTableError, match="/nowhere/at"):
            wrong.ping()
        return
    with pytest.raises(dj.errors.AccessError, match="refused the account") as caught:
        backend.connect(database__password="hush-hush").ping()
    assert "hush-hush" not in str(caught.value)
    with pytest.raises(
        dj.errors.LostConnectionError, match=r"no answer from a database server at 127\.0\.0\.1:1"
    ):
        backend.connect(database__port=1).ping()


# ------------------------------------------------------------------ many at once
def test_threads_never_get_each_others_rows(numbers: Any) -> None:
    numbers.insert({"number": i, "text": f"text {i}"} for i in range(200))

    def read(seed: int) -> int:
        wrong = 0
        for i in range(150):
            number = (seed * 37 + i) % 200
            wrong += (numbers & {"number": number}).fetch1("text") != f"text {number}"
        return wrong

    with ThreadPoolExecutor(8) as pool:
        wrong = sum(pool.map(read, range(8)))
    print(f"threads: 8 x 150 reads, {wrong} wrong values")
    assert wrong == 0


def test_a_transaction_belongs_to_its_thread(numbers: Any) -> None:
    inside, done = threading.Event(), threading.Event()
    seen: list[Any] = []

    def other() -> None:
        inside.wait(30)
        seen.append((numbers.connection.in_transaction, found(numbers)))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with numbers.connection.transaction:
        numbers.insert1({"number": 1})
        inside.set()
        assert done.wait(30)
    thread.join()
    assert seen == [(False, [])]


def test_opposed_transactions_all_succeed_in_the_end(numbers: Any) -> None:
    numbers.insert({"number": i, "text": "0"} for i in range(2))
    connection = numbers.connection

    def add(order: tuple[int, int]) -> None:
        def change() -> None:
            for number in order:
                value = int((numbers & {"number": number}).fetch1("text"))
                numbers.update1({"number": number, "text": str(value)})
                sql = f"UPDATE {numbers.full_table_name} SET text = text + 1 WHERE number = {number}"
                connection.query(sql)

        for _ in range(15):
            connection.retried(change)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, [(0, 1), (1, 0), (0, 1), (1, 0)]))
    assert len(found(numbers)) == 2


def test_a_deadlock_that_is_caught_ends_the_transaction_it_was_in(
    numbers: Any, outside: Any, backend: Backend
) -> None:
    if backend.name == "sqlite":
        with numbers.connection.transaction, pytest.raises(dj.errors.LostConnectionError):
            outside.connection.query("PRAGMA busy_timeout = 100")
            outside.insert1({"number": 5})
        assert found(numbers) == []
        return
    numbers.insert([{"number": 1}, {"number": 2}])
    first, second = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def opposed(table: Any, mine: int, theirs: int, ready: threading.Event, other: threading.Event) -> None:
        try:
            with table.connection.transaction:
                table.update1({"number": mine, "text": "mine"})
                ready.set()
                other.wait(30)
                try:
                    table.update1({"number": theirs, "text": "theirs"})
                except dj.DataJointError:
                    table.insert1({"number": 100 + mine})
        except dj.DataJointError:
            outcomes.append("failed")
        else:
            outcomes.append("kept")

    thread = threading.Thread(target=opposed, args=(outside, 2, 1, second, first))
    thread.start()
    opposed(numbers, 1, 2, first, second)
    thread.join()
    assert sorted(outcomes) == ["failed", "kept"]
    assert found(numbers) == [1, 2]


PROGRAM = """
import json, os, sys
import dj_panel as dj
settings, name, start = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
schema = dj.Schema(name)
@schema
class Shared(dj.Manual):
    definition = '''
    number : int32
    ---
    pid : int64
    '''
    class Piece(dj.Part):
        definition = '''
        -> master
        piece : int8
        '''
for i in range(start, start + settings["n"]):
    with schema.connection.transaction:
        Shared.insert1((i, os.getpid()))
        Shared.Piece.insert((i, k) for k in range(3))
    Shared.insert1((i, 0), skip_duplicates=True)
    assert (Shared & {"number": i}).fetch1("pid") == os.getpid()
print(len(Shared & {"pid": os.getpid()}))
"""


def run_programs(backend: Backend, n_programs: int, n_rows: int, name: str) -> list[str]:
    """Run programs that declare the same table at once and write to it; return what each printed."""
    environment = {**os.environ, **backend.environment}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps({"n": n_rows}), name, str(i * n_rows)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for i in range(n_programs)
    ]  # fmt: skip
    return [program.communicate(timeout=240)[0] for program in programs]


def test_programs_declare_and_write_at_the_same_time_without_an_error(backend: Backend) -> None:
    name = backend.prefix + "shared"
    printed = run_programs(backend, 4, 40, name)
    assert printed == ["40\n"] * 4
    connection = backend.connect()
    assert len(dj.FreeTable(connection, f"{name}.shared")) == 160
    assert len(dj.FreeTable(connection, f"{name}.shared__piece")) == 480
    connection.close()


@pytest.mark.parametrize("backend", ["mariadb"], indirect=True)
def test_a_change_that_came_after_the_transaction_began_is_not_overwritten(
    schema: dj.Schema, connection: dj.Connection, backend: Backend
) -> None:
    lab = fill_lab(declare_lab(schema))
    other = backend.connect()
    key = {"subject": "M1"}
    with connection.transaction:
        assert (lab.Subject & key).fetch1("sex") == "U"
        dj.FreeTable(other, lab.Subject().name).update1({**key, "sex": "F"})
        with pytest.raises(dj.errors.OneRowError, match="changed by someone else"):
            lab.Subject.update1({**key, "sex": "M"}, expected={"sex": "U"})
    assert (lab.Subject & key).fetch1("sex") == "F"
    other.close()


def test_text_that_cannot_be_sent_ends_no_transaction(numbers: Any) -> None:
    connection = numbers.connection
    with connection.transaction:
        numbers.insert1({"number": 77})
        with pytest.raises(UnicodeEncodeError):
            connection.query("SELECT '\ud800'")
        assert connection.query("SELECT 5").fetchone()[0] == 5
    assert numbers & {"number": 77}
