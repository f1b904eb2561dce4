"""Many thousands of rows at once: a server is sent their values in binary form, and nothing else may differ."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pymysql
import pytest

import dj_panel as dj
from dj_panel.core.dialect.mysql_connection import MySQLConnection
from dj_panel.core.errors import DuplicateError, IntegrityError
from tests.conftest import Backend
from tests.counting import counted_statements

N_ROWS = 9000
on_a_server = pytest.mark.parametrize(
    "backend", ["mariadb"], indirect=True
)  # an embedded one answers at once

# Of each kind what is at an end of it, what is written in another form, and what stands for something elsewhere.
VALUES: dict[str, list[Any]] = {
    "whole": [0, -(2**63), 2**63 - 1, None, 1, -1, 255, 256],
    "small": [-(2**15), 2**15 - 1, None],
    "number": [0.0, 1.5, -1e-300, 1.7976931348623157e308, 5e-324, None, 0.1, 1 / 3],
    "single": [0.5, -(2.0**127), None],
    "price": [Decimal("-99999.99"), Decimal("0.01"), None],
    "label": [
        "",
        "a",
        "'",
        "\\",
        "%",
        "%s",
        "?",
        "\0",
        "日本😀",
        "x" * 250,
        "x" * 251,
        "ü" * 300,
        None,
        "\x1e",
    ],
    "moment": [
        dt.datetime(1000, 1, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59),
        None,
        dt.datetime(2026, 3, 31, 14, 5),
    ],
    "day": [dt.date(1000, 1, 1), dt.date(9999, 12, 31), None],
    "uid": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), None],
    "is_good": [1, 0, None],
    "choice": ["a", "it's", None],
}


@pytest.fixture
def reading(schema: dj.Schema) -> Any:
    @schema
    class Reading(dj.Manual):
        definition = """
        reading : int32
        ---
        whole = null : int64
        small = null : int16
        number = null : float64
        single = null : float32
        price = null : decimal(7, 2)
        label = null : varchar(400)
        moment = null : datetime
        day = null : date
        uid = null : uuid
        is_good = null : bool
        choice = null : enum('a', "it's")
        """

    return Reading


def rows_of(names: Any, n_rows: int = N_ROWS) -> list[dict[str, Any]]:
    return [
        {"reading": i, **{name: VALUES[name][i % len(VALUES[name])] for name in names}} for i in range(n_rows)
    ]


@pytest.mark.parametrize("names", [*([name] for name in VALUES), list(VALUES)], ids=lambda names: names[-1])
def test_every_kind_of_value_arrives_as_it_was(reading: Any, backend: Backend, names: list[str]) -> None:
    given = rows_of(names)
    before = 0 if backend.name == "sqlite" else executed(reading.connection)
    reading.insert(given)
    found = reading.proj(*names).to_dicts(order_by="reading")
    assert list(map(repr, found)) == list(map(repr, given))
    if backend.name == "mariadb":
        # The first 5,000 rows are text; then each statement has a thousand, and is given back.
        assert executed(reading.connection) - before == 4
        assert opened(reading.connection) == 0


def executed(connection: Any) -> int:
    return int(connection.query("SHOW SESSION STATUS LIKE 'Com_stmt_execute'").fetchone()[1])


def opened(connection: Any) -> int:
    connection.query("SELECT 1")
    found = [
        int(connection.query(f"SHOW SESSION STATUS LIKE 'Com_stmt_{name}'").fetchone()[1])
        for name in ("prepare", "close")
    ]
    return found[0] - found[1]


@pytest.mark.parametrize("name", ["whole", "number", "label", "moment", "uid"])
def test_a_column_without_any_value_is_empty(reading: Any, name: str) -> None:
    reading.insert([{"reading": i, name: None} for i in range(N_ROWS)])
    assert len(reading & {name: None}) == N_ROWS


def test_a_server_that_prepares_nothing_is_sent_text(reading: Any, backend: Backend) -> None:
    given = rows_of(VALUES)
    if backend.name == "mariadb":
        reading.connection.query("SET GLOBAL max_prepared_stmt_count = 0")
    try:
        reading.insert(given)
    finally:
        if backend.name == "mariadb":
            reading.connection.query("SET GLOBAL max_prepared_stmt_count = DEFAULT")
    assert list(map(repr, reading.to_dicts(order_by="reading"))) == list(map(repr, given))


def test_skipping_and_replacing_do_the_same(reading: Any) -> None:
    reading.insert([{"reading": i, "small": 1} for i in range(0, N_ROWS, 3)])
    reading.insert([{"reading": i, "small": 2} for i in range(N_ROWS)], skip_duplicates=True)
    assert len(reading & "small = 1") == N_ROWS // 3
    assert len(reading & "small = 2") == N_ROWS - N_ROWS // 3
    reading.insert([{"reading": i, "small": 3} for i in range(N_ROWS)], replace=True)
    assert len(reading & "small = 3") == N_ROWS


def test_a_taken_key_far_behind_is_named_and_nothing_is_kept(reading: Any) -> None:
    rows = [{"reading": i, "small": 1} for i in range(N_ROWS)]
    rows[8123]["reading"] = 17
    with pytest.raises(DuplicateError, match="17"):
        reading.insert(rows)
    assert len(reading) == 0
    reading.insert1({"reading": 1})


def test_a_missing_parent_far_behind_is_named_and_nothing_is_kept(schema: dj.Schema) -> None:
    @schema
    class Parent(dj.Manual):
        definition = """
        parent : int32
        """

    @schema
    class Child(dj.Manual):
        definition = """
        child : int32
        ---
        -> Parent
        """

    Parent.insert([{"parent": i} for i in range(10)])
    rows = [{"child": i, "parent": i % 10} for i in range(N_ROWS)]
    rows[8123]["parent"] = 4711
    with pytest.raises(IntegrityError, match="4711"):
        Child.insert(rows)
    assert len(Child()) == 0


def test_a_wrong_value_far_behind_is_named_and_nothing_is_kept(reading: Any) -> None:
    rows: list[dict[str, Any]] = [{"reading": i, "small": 1} for i in range(N_ROWS)]
    rows[8123]["small"] = 99_999
    with pytest.raises(dj.DataJointError, match="99999"):
        reading.insert(rows)
    assert len(reading) == 0
    with counted_statements(reading.connection) as count:
        reading.insert1({"reading": 1})
    assert count.n == 1


@on_a_server  # for an embedded database has no column of bits
def test_a_decimal_is_a_number_in_a_column_of_any_type(schema: dj.Schema) -> None:
    name = f"`{schema.database}`.`bits`"
    schema.connection.query(f"CREATE TABLE {name} (a int NOT NULL PRIMARY KEY, v bit(8) NOT NULL)")
    table = dj.FreeTable(schema.connection, name)
    table.insert([{"a": i, "v": Decimal(200)} for i in range(N_ROWS)])
    assert schema.connection.query(f"SELECT DISTINCT v + 0 FROM {name}").fetchall() == [(200,)]


class Interrupting(Mapping[str, Any]):
    """A row at which the program is interrupted when it is read first."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row, self.is_new = row, True

    def __getitem__(self, name: str) -> Any:
        return self.row[name]

    def __len__(self) -> int:
        return len(self.row)

    def __iter__(self) -> Iterator[str]:
        if self.is_new:
            self.is_new = False
            raise KeyboardInterrupt
        return iter(self.row)


@on_a_server
@pytest.mark.parametrize("sent", [b"\x03INSERT", b"\x16", b"\x17"], ids=["text", "preparing", "binary"])
def test_after_an_interruption_no_answer_is_taken_for_another(
    reading: Any, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    driver: Any = pymysql.connections.Connection
    connection, write = reading.connection, driver._write_bytes

    def interrupted(raw: Any, data: bytes) -> None:
        write(raw, data)
        if data[4:].startswith(sent):
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(driver, "_write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reading.insert([{"reading": i, "small": 1} for i in range(N_ROWS)])
    assert [connection.query(f"SELECT {n}").fetchone() for n in range(3)] == [(0,), (1,), (2,)]
    assert len(reading) == 0


@on_a_server
@pytest.mark.parametrize("n_read", [1, 255, 256, 257, 1000])
def test_after_an_interruption_while_a_statement_is_prepared(
    reading: Any, monkeypatch: pytest.MonkeyPatch, n_read: int
) -> None:
    read, left = MySQLConnection._packet, iter(range(n_read))

    def interrupted(raw: Any) -> Any:
        if next(left, None) is None:
            monkeypatch.undo()
            raise KeyboardInterrupt
        return read(raw)

    monkeypatch.setattr(MySQLConnection, "_packet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reading.insert([{"reading": i, "small": 1} for i in range(N_ROWS)])
    assert [reading.connection.query(f"SELECT {n}").fetchone() for n in range(3)] == [(0,), (1,), (2,)]
    assert len(reading) == 0


@on_a_server
@pytest.mark.parametrize("place", [2500, 8500])
def test_an_interruption_comes_before_what_the_server_says_meanwhile(reading: Any, place: int) -> None:
    reading.insert1({"reading": place - 1000})
    rows: list[Any] = [{"reading": i, "small": 1} for i in range(N_ROWS)]
    rows[place] = Interrupting(rows[place])
    with pytest.raises(KeyboardInterrupt):
        reading.insert(rows)
    assert len(reading) == 1
