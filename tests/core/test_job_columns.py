"""What populating leaves in hidden columns, and whom filling a queue makes wait: the same on both servers."""

from __future__ import annotations

from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend

HIDDEN = ("_job_start_time", "_job_duration", "_job_version")


def declared(schema: dj.Schema) -> Any:
    """Declare a table of squares, with two numbers to square."""

    @schema
    class Number(dj.Lookup):
        definition = """
        number : int32
        """
        contents = ((3,), (4,))

    @schema
    class Square(dj.Computed):
        definition = """
        -> Number
        ---
        square : int32
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "square": key["number"] ** 2})

    return Square


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_a_computed_row_says_when_and_how_long_it_was_computed(
    backend: Backend, reserve_jobs: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    connection = backend.connect(jobs__add_job_metadata=True)
    squares = declared(dj.Schema(backend.prefix + "lab", connection=connection))
    squares.populate(reserve_jobs=reserve_jobs)
    dialect = connection.dialect
    columns = ", ".join(map(dialect.quote, HIDDEN))
    rows = connection.query(
        f"SELECT {columns}, {dialect.now} FROM {dialect.table(squares().name)}"
    ).fetchall()
    assert len(rows) == 2
    for start, duration, version, now in rows:
        assert start <= now
        assert 0 <= duration < 600
        assert version == ""
    assert squares.heading.names == ["number", "square"]
    assert sorted(squares.to_arrays("square")) == [9, 16]
    connection.close()


def test_a_table_without_hidden_columns_is_computed_as_well(schema: dj.Schema) -> None:
    squares = declared(schema)
    assert squares.populate()["success_count"] == 2
    assert not [a for a in squares.heading.all_attributes if a.name in HIDDEN]


def test_a_full_queue_is_looked_at_without_waiting_for_its_workers(
    backend: Backend, schema: dj.Schema
) -> None:
    squares = declared(schema)
    assert squares.jobs.refresh()["added"] == 2
    other = backend.connect()
    mine = schema.connection
    if backend.name == "mariadb":
        mine.query("SET SESSION innodb_lock_wait_timeout = 1")
    else:
        mine.query("PRAGMA busy_timeout = 100")
    table = other.dialect.table(squares.jobs.name)
    with other.transaction:
        # as a worker does that has not committed its result yet
        other.query(f"UPDATE {table} SET priority = 4")
        assert squares.jobs.refresh(stale_timeout=1) == {
            "added": 0,
            "removed": 0,
            "orphaned": 0,
            "re_pended": 0,
        }
    other.close()


def test_the_queue_is_filled_in_pieces_and_every_key_once(
    schema: dj.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dj_panel.core.jobs._MAX_ROWS", 7)
    squares = declared(schema)
    schema["Number"].insert([(n,) for n in range(10, 40)])
    assert squares.jobs.refresh()["added"] == 32
    assert squares.jobs.refresh()["added"] == 0
    assert sorted(squares.jobs.pending.to_arrays("number")) == [3, 4, *range(10, 40)]
    assert squares.populate(reserve_jobs=True)["success_count"] == 32
