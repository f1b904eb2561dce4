"""What make may ask, what its rows say of where they come from, and computing in several processes."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core import provenance
from dj_panel.core.connection import Connection
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = fill_lab(declare_lab(schema), subjects=3)
    lab.schema = schema
    return lab


# ------------------------------------------------------------------------------ upstream
def test_make_reads_what_its_row_rests_on(lab: Any) -> None:
    @lab.schema
    class Age(dj.Computed):
        definition = """
        -> lab.Rate
        ---
        species : varchar(20)
        date : date
        n_subjects : int16
        """

        def make(self, key: dict[str, Any]) -> None:
            trace = self.upstream
            self.insert1(
                {
                    **key,
                    "species": trace[lab.Subject].fetch1("species"),
                    "date": trace[lab.Session].fetch1("session_date"),
                    "n_subjects": len(trace["Subject"]),
                }
            )
            with pytest.raises(dj.errors.MissingTableError, match="rest on"):
                trace[lab.Session.Trial]

    lab.Rate.populate()
    Age.populate()
    expected = (lab.Subject.proj("species") * lab.Session.proj(date="session_date")).to_dicts(order_by="KEY")
    assert [
        {k: v for k, v in row.items() if k != "n_subjects"} for row in Age.to_dicts(order_by="KEY")
    ] == expected
    assert set(Age.to_arrays("n_subjects")) == {1}
    with pytest.raises(dj.errors.MakeError, match=r"dj\.Diagram\.trace"):
        _ = Age().upstream


# ------------------------------------------------------------------------------ provenance
@pytest.fixture
def recorded(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    connection = backend.connect(provenance__capture=True)
    connection.settings.provenance.source = {"rig": 2}
    schema = dj.Schema(backend.prefix + "lab", connection=connection)

    @schema
    class Entry(dj.Manual):
        definition = "entry : int32\n---\nvalue = 0 : int32"

    schema.Entry = Entry  # type: ignore[attr-defined]
    yield schema
    connection.close()


def stored(connection: Connection, table: Any) -> list[Any]:
    column = connection.dialect.quote("_prov")
    sql = f"SELECT {column} FROM {table().full_table_name} ORDER BY {connection.dialect.quote('entry')}"
    return [row[0] if not isinstance(row[0], str) else _json(row[0]) for row in connection.query(sql)]


def _json(text: str) -> Any:
    return provenance.json.loads(text)  # type: ignore[attr-defined]


def test_rows_say_when_by_whom_and_from_where_they_came(recorded: Any) -> None:
    recorded.Entry.insert([{"entry": 1}, {"entry": 2, "value": 5}])
    first, second = stored(recorded.connection, recorded.Entry)
    assert first == second
    assert first["source"] == {"rig": 2}
    assert datetime.fromisoformat(first["time"]).utcoffset() is not None
    database = recorded.connection.settings.database
    assert first["agent"] == {
        name: value
        for name, value in (
            ("user", database.user),
            ("host", database.host),
            ("database_name", database.name),
        )
        if value
    }
    assert "context" not in first
    # it is no attribute of the table, and nobody writes it
    assert recorded.Entry.heading.names == ["entry", "value"]
    with pytest.raises(dj.errors.UnknownAttributeError):
        recorded.Entry.insert1({"entry": 3, "_prov": "{}"})


def test_rows_inserted_by_a_make_name_it_and_its_key(recorded: Any) -> None:
    entry = recorded.Entry

    @recorded
    class Source(dj.Lookup):
        definition = "source : varchar(8)"
        contents = (("a",), ("b",))

    @recorded
    class Import(dj.Imported):
        definition = "-> Source"

        def make(self, key: dict[str, Any]) -> None:
            entry.insert1({"entry": ord(key["source"])})
            self.insert1(key)

    Import.populate()
    contexts = [row["context"] for row in stored(recorded.connection, entry)]
    assert contexts == [{"table": Import().full_table_name, "key": {"source": s}} for s in "ab"]


def test_nothing_is_recorded_unless_it_is_asked_for(recorded: Any, backend: Backend) -> None:
    recorded.connection.settings.provenance.capture = False
    recorded.Entry.insert1({"entry": 1})
    assert stored(recorded.connection, recorded.Entry) == [None]


# ------------------------------------------------------------------------------ processes
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def many(schema: dj.Schema) -> Any:
    @schema
    class Item(dj.Lookup):
        definition = "item : int32"
        contents = tuple((i,) for i in range(12))

    @schema
    class Square(dj.Computed):
        definition = """
        -> Item
        ---
        square : int32
        pid : int32
        """

        def make(self, key: dict[str, Any], killed: bool = False) -> None:
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
            if key["item"] == 7:
                raise ValueError("seven")
            self.insert1({**key, "square": key["item"] ** 2, "pid": os.getpid()})

    return Square


@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_several_processes_compute_each_key_once(many: Any, reserve_jobs: bool) -> None:
    result = many.populate(processes=3, suppress_errors=True, reserve_jobs=reserve_jobs)
    assert result == {"success_count": 11, "error_list": [({"item": 7}, "ValueError: seven")]}
    assert many.to_dicts(attributes=["item", "square"], order_by="item") == [
        {"item": i, "square": i * i} for i in range(12) if i != 7
    ]
    pids = set(many.to_arrays("pid").tolist())
    assert os.getpid() not in pids
    if reserve_jobs:
        assert many.jobs.progress()["error"] == many.jobs.progress()["total"] == 1


def test_an_error_in_a_process_is_raised_here(many: Any) -> None:
    with pytest.raises(ValueError, match="seven"):
        many.populate(processes=2)
    (error,) = [
        error
        for _, error in many.populate(processes=2, suppress_errors=True, return_exception_objects=True)[
            "error_list"
        ]
    ]
    assert isinstance(error, ValueError)


def test_a_process_that_is_killed_is_an_error_and_keeps_nothing(many: Any) -> None:
    with pytest.raises(dj.errors.MakeError, match="was killed"):
        many.populate(processes=2, make_kwargs={"killed": True})
    assert len(many()) == 0
    assert many.populate("item < 3", processes=None)["success_count"] == 3
