"""History: what was written is noted with it, rows that were deleted can be put back, and DataJoint does not mind."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.core.errors import AccessError, DuplicateError, IntegrityError, TransactionError
from dj_panel.core.history import ENTRIES, Change, Digest, History
from dj_panel.core.noting import RowTexts
from dj_panel.core.rowtexts import key_blocks, stored_rows, texts_of
from dj_panel.core.structure import Attribute, Heading, TableName
from tests.conftest import Backend
from tests.counting import counted_statements, largest_answer
from tests.lab_tables import declare_lab, fill_lab
from tests.servers import MariaDBServer
from tests.wire.sides import our_side, their_side

HOSTILE = "<b>'; DROP TABLE subject; -- \\ %s 日本"


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    return fill_lab(declare_lab(schema))


@pytest.fixture
def history(lab: Any) -> History:
    return History(lab.schema.connection, lab.schema.name)


def test_an_entry_says_who_when_what_and_why(lab: Any, history: History) -> None:
    row = {
        "subject": "M9",
        "species": "mouse",
        "weight": Decimal("20.50"),
        "uid": uuid.UUID(int=5),
        "meta": {"a": [1]},
    }
    began = dt.datetime.now(dt.UTC)
    assert history.prepare()
    with lab.schema.connection.transaction:
        lab.Subject.insert1(row)
        change = Change(lab.Subject().name, "insert", after=row)
        batch = history.note([change], user="ana", source="form", reason=HOSTILE)
    (entry,) = history.of_row(lab.Subject().name, {"subject": "M9"})
    assert (entry.batch, entry.action, entry.user, entry.source, entry.reason) == (
        batch, "insert", "ana", "form", HOSTILE,
    )  # fmt: skip
    assert began <= entry.time <= dt.datetime.now(dt.UTC)
    assert entry.key == {"subject": "M9"}
    assert entry.before is None
    assert entry.after == {
        "subject": "M9", "species": "mouse", "weight": "20.50", "uid": str(uuid.UUID(int=5)), "meta": '{"a": [1]}',
    }  # fmt: skip
    assert list(history.of_batch(batch)) == [entry]


def test_the_latest_comes_first_and_other_rows_do_not_come_at_all(lab: Any, history: History) -> None:
    name = lab.Subject().name
    for weight in ("1", "2", "3"):
        change = Change(name, "update", {"weight": None}, {"weight": weight}, key={"subject": "M1"})
        history.note([change], user="ana", source="api")
    history.note([Change(name, "update", key={"subject": "M2"})], user="bo", source="api")
    found = history.of_row(name, {"subject": "M1"}, limit=2)
    assert [entry.after for entry in found] == [{"weight": "3.00"}, {"weight": "2.00"}]
    assert found[0].before == {"weight": None}


def test_what_is_rolled_back_was_never_noted(lab: Any, history: History) -> None:
    history.prepare()
    with pytest.raises(ZeroDivisionError), lab.schema.connection.transaction:
        change = Change(lab.Subject().name, "insert", after={"subject": "M9"})
        history.note([change], user="ana", source="form", batch="b")
        raise ZeroDivisionError
    assert list(history.of_batch("b")) == []


def test_history_is_not_begun_inside_a_transaction(lab: Any, history: History) -> None:
    with pytest.raises(TransactionError, match=r"prepare\(\) before"), lab.schema.connection.transaction:
        history.note([], user="ana", source="form")
    assert not history.is_there
    assert history.of_row(lab.Subject().name, {"subject": "M1"}) == []
    assert list(history.of_batch("b")) == []


def test_large_and_binary_values_are_noted_by_size_and_digest(schema: dj.Schema, history: History) -> None:
    @schema
    class Thing(dj.Manual):
        definition = """
        thing : int32
        ---
        words : varchar(5000)
        data : bytes
        trace : <blob>
        """

    row = {"thing": 1, "words": "é" * 3000, "data": b"\0\1", "trace": np.arange(4)}
    batch = history.note([Change(Thing().name, "insert", after=row)], user="ana", source="api")
    (entry,) = history.of_batch(batch)
    assert entry.after is not None
    assert entry.after["words"] == Digest.of("é".encode() * 3000)
    assert entry.after["data"] == Digest.of(b"\0\1")
    assert entry.after["trace"] == Digest.of(np.arange(4).tobytes())


def test_many_rows_take_few_statements_and_are_read_a_page_at_a_time(lab: Any, history: History) -> None:
    name = lab.Subject().name
    history.prepare()
    changes = (Change(name, "insert", after={"subject": f"S{i}"}) for i in range(2500))
    with counted_statements(lab.schema.connection) as count, lab.schema.connection.transaction:
        batch = history.note(changes, user="ana", source="import")
    assert count.n < 30
    assert [entry.key["subject"] for entry in history.of_batch(batch)] == [f"S{i}" for i in range(2500)]


def test_rows_are_flagged_and_archived_some_at_a_time(schema: dj.Schema, history: History) -> None:
    @schema
    class Sample(dj.Manual):
        definition = """
        sample : int32
        """

    n_rows = 4500
    Sample.insert({"sample": n} for n in range(n_rows))
    name, even = Sample().name, (Sample & "sample % 2 = 0").node
    history.prepare()
    with largest_answer() as most, schema.connection.transaction:
        assert (
            history.flag(
                name, Sample().node, user="ana", source="form", batch="b", reason="the parent was changed"
            )
            == n_rows
        )
        assert history.archive(name, even, user="ana", source="form", batch="b") == n_rows // 2
    assert most.n == 2000, "keys of so many rows, and never of all"
    entries = list(history.of_batch("b"))
    assert [int(entry.key["sample"]) for entry in entries] == [*range(n_rows), *range(0, n_rows, 2)]
    assert {(entry.action, entry.reason) for entry in entries} == {
        ("update", "the parent was changed"), ("delete", ""),
    }  # fmt: skip


def test_keys_of_every_kind_come_once_each_in_blocks(schema: dj.Schema) -> None:
    kinds: dict[str, list[Any]] = {
        "varchar(9)": ["", "A", "a b", "b", "z'\"\\", "é", "日"],
        "int64": [-(2**62), -1, 0, 1, 2**62],
        "date": [dt.date(2026, 1, day) for day in range(1, 8)],
        "datetime(6)": [dt.datetime(2026, 1, 1, 0, 0, 0, us) for us in range(5)],
        "decimal(9, 3)": [Decimal(text) for text in ("-10.5", "-1", "0.001", "2", "10")],
        "enum('z', 'a', 'm')": ["z", "a", "m"],
        "uuid": [uuid.UUID(int=n << 120) for n in range(6)],
        "float32": [0.1, 0.2, 1 / 3, 1e-20, 7.0],
        "bool": [0, 1],
    }
    for number, (kind, values) in enumerate(kinds.items()):
        definition = f"letter : char(1)\nvalue : {kind}\nplace : int16"
        table = schema(type(f"Kind{number}", (dj.Manual,), {"definition": definition}))
        rows = [(letter, value, place) for letter in "ab" for value in values for place in (1, 2)]
        table.insert(rows)
        blocks = list(key_blocks(schema.connection, table().name, table().node, 3))
        assert {len(block) for block in blocks[:-1]} == {3}, kind
        found = [tuple(key.values()) for block in blocks for key in block]
        assert len(found) == len(rows) == len(set(found)), kind
        assert found == [tuple(key.values()) for key in table.keys(order_by="KEY")], kind


def test_a_deleted_row_comes_back_as_it_was(schema: dj.Schema, history: History, tmp_path: Path) -> None:
    schema.connection.settings.stores = {
        "default": "main", "main": {"protocol": "file", "location": str(tmp_path)},
    }  # fmt: skip

    @schema
    class Everything(dj.Manual):
        definition = """
        name : varchar(40)
        number : int64
        ---
        small : float32
        real : float64
        money : decimal(9, 3)
        is_on : bool
        day = null : date
        moment : datetime(6)
        kind : enum('a', 'b')
        uid : uuid
        doc : json
        data : bytes
        trace : <blob>
        signal : <npy@>
        text : varchar(6000)
        nothing = "x" : varchar(10)
        """

    row = {
        "name": HOSTILE, "number": 2**62 + 1, "small": 0.1, "real": 1e-300, "money": Decimal("-1.250"), "is_on": 0,
        "day": None, "moment": dt.datetime(2026, 3, 31, 1, 2, 3, 456789), "kind": "b", "uid": uuid.UUID(int=7),
        "doc": {"a": ["5", 5, None, 0.1, "日"]}, "data": bytes(range(256)), "trace": {"x": np.arange(3)},
        "signal": np.arange(5.0), "text": "ab\r\n" * 1000, "nothing": "",
    }  # fmt: skip
    other = {**row, "number": 1, "doc": "5", "day": dt.date(2026, 1, 1)}
    Everything.insert([row, other])
    before = Everything.to_dicts(order_by="number")
    name = Everything().name
    assert history.prepare()
    with schema.connection.transaction:
        n_rows = history.archive(name, Everything().node, user="ana", source="form", batch="gone")
        Everything.delete()
    assert (n_rows, len(Everything())) == (2, 0)
    with schema.connection.transaction:
        changes = history.restore("gone", name)
        history.note(changes, user="bo", source="form", reason="by mistake")
    after = Everything.to_dicts(order_by="number")
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.pop("signal"), new.pop("signal"))
        assert np.array_equal(old.pop("trace")["x"], new.pop("trace")["x"])
        assert old == new
    found = history.of_row(name, {"name": HOSTILE, "number": 2**62 + 1})
    assert [(entry.action, entry.user) for entry in found] == [("insert", "bo"), ("delete", "ana")]
    with pytest.raises(DuplicateError), schema.connection.transaction:
        history.restore("gone", name)


def test_a_row_is_not_put_back_without_its_parent(lab: Any, history: History) -> None:
    name = lab.Session().name
    history.prepare()
    with lab.schema.connection.transaction:
        history.archive(name, (lab.Session & {"subject": "M1"}).node, user="ana", source="form", batch="gone")
        (lab.Subject & {"subject": "M1"}).delete()
    with pytest.raises(IntegrityError, match="M1"), lab.schema.connection.transaction:
        history.restore("gone", name)
    assert len(lab.Session & {"subject": "M1"}) == 0


def test_rows_that_are_read_to_be_changed_are_locked(lab: Any, backend: Backend) -> None:
    subject = lab.Subject & {"subject": "M1"}
    (row,) = stored_rows(lab.schema.connection, subject.name, subject.node)
    assert row == {
        "subject": "M1", "species": "mouse", "sex": "U", "birth": None, "weight": None, "uid": None, "meta": None,
    }  # fmt: skip
    other = backend.connect()
    impatience = {
        "sqlite": "PRAGMA busy_timeout = 100",
        "mariadb": "SET SESSION innodb_lock_wait_timeout = 1",
    }
    other.query(impatience[backend.name])
    with lab.schema.connection.transaction:
        list(stored_rows(lab.schema.connection, subject.name, subject.node))
        name = subject.name
        with pytest.raises(dj.DataJointError):
            other.query(f"UPDATE {other.dialect.table(name)} SET sex = 'M' WHERE subject = 'M1'")
    other.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:datajoint")
def test_datajoint_sees_no_table_of_ours(
    mariadb: MariaDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours, theirs = our_side(mariadb, tmp_path), their_side(mariadb, tmp_path)
    name = f"t{uuid.uuid4().hex[:6]}_history"
    schema = theirs.schema(name)

    class Animal(theirs.dj.Manual):  # type: ignore[name-defined]
        definition = "animal : varchar(8)"

    schema(Animal)
    ours.table(f"{name}.animal").insert1({"animal": "M1"})
    history = History(ours.connection, name)
    history.note(
        [Change(TableName(name, "animal"), "insert", after={"animal": "M1"})], user="ana", source="api"
    )
    fresh = their_side(mariadb, tmp_path)
    again = fresh.schema(name)
    assert again.list_tables() == ["animal"]
    module = fresh.virtual(name)
    assert module.Animal.to_dicts() == [{"animal": "M1"}]
    assert ENTRIES not in str(fresh.dj.Diagram(again).nodes())
    (module.Animal & {"animal": "M1"}).delete(prompt=False)
    again.drop(prompt=False)
    for side in (ours, theirs, fresh):
        side.connection.close()


def test_without_permission_to_create_tables_nothing_is_noted(
    lab: Any, history: History, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> None:
        raise AccessError("CREATE command denied")

    monkeypatch.setattr("dj_panel.core.history.create_table", refuse)
    assert not history.prepare()
    with lab.schema.connection.transaction:
        lab.Species.insert1(("frog",))
        history.note(
            [Change(lab.Species().name, "insert", after={"species": "frog"})], user="ana", source="form"
        )
    assert len(lab.Species & "species = 'frog'") == 1
    assert caplog.text.count("No history is kept") == 1


def test_entries_of_many_rows_have_the_texts_of_rows_noted_one_by_one(lab: Any, history: History) -> None:
    name = lab.Subject().name
    heading = lab.Subject().structure.heading
    weights = [Decimal("20.5"), Decimal("20.50"), 20.5, "20.5", None]
    species = ["mouse", "rat", "日本", ""]
    meta = [{"a": 1}, {"a": True}, {"a": 1.0}, None, [HOSTILE, "x" * 3000]]
    rows = [
        {"subject": f"M{n}", "species": species[n % 4], "weight": weights[n % 5], "meta": meta[n % 5]}
        for n in range(1200)
    ]
    history.prepare()
    with lab.schema.connection.transaction:
        batch = history.note((Change(name, "insert", after=row) for row in rows), user="ana", source="import")
    entries = list(history.of_batch(batch))
    assert [entry.after for entry in entries] == [texts_of(heading, row) for row in rows]
    assert [entry.key for entry in entries] == [{"subject": row["subject"]} for row in rows]
    assert [entry.entry_id for entry in history.of_row(name, {"subject": "M7"})] == [entries[7].entry_id]


def test_zero_and_minus_zero_are_noted_as_what_they_are() -> None:
    heading = Heading((Attribute("x", "float64", in_key=True), Attribute("day", "date")))
    texts = RowTexts(heading)
    rows: list[dict[str, Any]] = [
        {"x": 0.0, "day": dt.date(2026, 1, 2)},
        {"x": -0.0, "day": "2026-01-02"},
        {"x": 1, "day": None},
    ]
    assert [texts(row) for row in rows] == [texts_of(heading, row) for row in rows]
    assert texts(rows[1])["x"] == "-0.0"
