"""Rows go in in every form that users have them in: all of them, or none, with words that help."""

from __future__ import annotations

import datetime as dt
import math
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
import pytest

import dj_panel as dj
from dj_panel.core import inserting
from tests.conftest import Backend
from tests.counting import counted_statements
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    return declare_lab(schema)


@pytest.fixture
def filled(lab: Any) -> Any:
    return fill_lab(lab)


FORMS: dict[str, Any] = {
    "dicts": lambda rows, folder: rows,
    "iterator": lambda rows, folder: iter(rows),
    "sequences": lambda rows, folder: [(r["subject"], r["session"], r["session_date"], None) for r in rows],
    "records": lambda rows, folder: np.array(
        [(r["subject"], r["session"], r["session_date"]) for r in rows],
        dtype=[("subject", "U12"), ("session", "i4"), ("session_date", "U10")],
    ),
    "pandas": lambda rows, folder: pd.DataFrame(rows),
    "pandas with an index": lambda rows, folder: pd.DataFrame(rows).set_index(["subject", "session"]),
    "polars": lambda rows, folder: pl.DataFrame(rows),
    "numpy voids": lambda rows, folder: list(FORMS["records"](rows, folder)),
    "arrow": lambda rows, folder: pa.Table.from_pylist(rows),
    "an arrow batch": lambda rows, folder: pa.RecordBatch.from_pylist(rows),
    "a reader of arrow batches": lambda rows, folder: pa.Table.from_pylist(rows).to_reader(max_chunksize=2),
    "csv": lambda rows, folder: _csv(rows, folder),
    "parquet": lambda rows, folder: _parquet(rows, folder),
}


def _csv(rows: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "rows.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def _parquet(rows: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_inserted_from(lab: Any, tmp_path: Path, form: str) -> None:
    lab.Subject.insert1({"subject": "M1", "species": "mouse"})
    rows = [{"subject": "M1", "session": i, "session_date": f"2026-01-0{i}"} for i in (1, 2, 3)]
    lab.Session.insert(FORMS[form](rows, tmp_path))
    found = lab.Session.to_dicts(attributes=["subject", "session", "session_date"], order_by="session")
    assert [{**row, "session_date": str(row["session_date"])} for row in found] == rows


TYPED: list[dict[str, Any]] = [
    {"id": 1, "whole": 7, "real": 0.5, "word": "a", "time": dt.datetime(2026, 1, 2, 3, 4, 5), "day": dt.date(2026, 1, 2)},
    {"id": 2, "whole": None, "real": None, "word": None, "time": None, "day": None},
    {"id": 3, "whole": -7, "real": -0.5, "word": "\x1e'\\%s", "time": dt.datetime(1999, 1, 2), "day": dt.date(999, 1, 2)},
]  # fmt: skip


def _typed_csv(folder: Path) -> Path:
    path = folder / "rows.csv"
    pl.DataFrame(TYPED).write_csv(path)
    return path


def _typed_arrow() -> pa.Table:
    return pa.Table.from_pylist(TYPED)


TYPED_FORMS: dict[str, Any] = {
    "dicts": lambda folder: TYPED,
    "pandas, as it comes": lambda folder: pd.DataFrame(TYPED),
    "pandas with its own types": lambda folder: pd.DataFrame(TYPED).convert_dtypes(),
    "polars": lambda folder: pl.DataFrame(TYPED),
    "arrow": lambda folder: _typed_arrow(),
    "arrow with other types": lambda folder: _typed_arrow().set_column(
        4, "time", _typed_arrow()["time"].cast(pa.timestamp("ms"))
    ),
    "parquet": lambda folder: _parquet(TYPED, folder),
    "csv": lambda folder: _typed_csv(folder),
}


@pytest.mark.parametrize("form", TYPED_FORMS)
def test_every_form_gives_the_same_values_and_the_same_empty_ones(
    schema: dj.Schema, tmp_path: Path, form: str
) -> None:
    @schema
    class Typed(dj.Manual):
        definition = """
        id : int32
        ---
        whole = null : int64
        real = null : float64
        word = null : varchar(10)
        time = null : datetime(3)
        day = null : date
        """

    Typed.insert(TYPED_FORMS[form](tmp_path))
    assert Typed.to_dicts(order_by="id") == TYPED


def test_a_time_with_a_zone_is_refused_from_every_form(schema: dj.Schema) -> None:
    @schema
    class Timed(dj.Manual):
        definition = "id : int32\n---\ntime : datetime"

    zoned = pd.DataFrame({"id": [1], "time": pd.to_datetime(["2026-01-02T03:04:05Z"])})
    for rows in (zoned, zoned.to_dict("records"), pl.from_pandas(zoned), pa.Table.from_pandas(zoned)):
        with pytest.raises(dj.errors.ValueRefusedError, match="has a time zone"):
            Timed.insert(rows)
    assert len(Timed) == 0


def test_a_csv_row_with_too_many_values_is_named(lab: Any, tmp_path: Path) -> None:
    path = tmp_path / "species.csv"
    path.write_text("species\nfly\nmouse, wild\n\n")
    with pytest.raises(dj.errors.MissingAttributeError, match=r"species\.csv .*2 values.*mouse, wild"):
        lab.Species.insert(path)
    path.write_text("species\nfly\n\nfrog\n\n")
    lab.Species.insert(path)
    assert sorted(lab.Species.to_arrays("species")) == ["fly", "frog", "mouse", "rat"]


def test_text_of_any_characters_goes_through_a_statement_of_many_rows(lab: Any) -> None:
    odd = [
        "\x1e",
        "a\x1eb",
        "'",
        "''",
        '"',
        "\\",
        "\\'",
        "%",
        "%s",
        "%%",
        "\n",
        "\r",
        "\0",
        "\x1a",
        "日本😀",
        "",
    ]
    odd += ["), ('x", "'); -- ", "\\'); -- "]
    lab.Species.insert({"species": text} for text in odd)
    lab.Species.insert({"species": text + "!"} for text in odd if "\x1e" not in text)
    found = set(lab.Species.to_arrays("species")) - {"mouse", "rat"}
    assert found == {*odd, *(text + "!" for text in odd if "\x1e" not in text)}


def test_a_server_without_backslash_escapes_gets_the_same_text(lab: Any, backend: Backend) -> None:
    if backend.name == "mariadb":
        lab.schema.connection.query("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
    odd = ["\\", "\\'", "'", "a\\nb", "x'); -- "]
    lab.Species.insert([{"species": text} for text in odd])
    assert set(lab.Species.to_arrays("species")) == {*odd, "mouse", "rat"}


def test_many_rows_take_few_statements(lab: Any) -> None:
    lab.Species.insert1({"species": "fly"})
    with counted_statements(lab.schema.connection) as count:
        lab.Species.insert([{"species": f"s{i}"} for i in range(12_000)])
    # Of 1,000 rows, so that each is made while the server works on the one before; and the two of the transaction.
    assert count.n <= 14
    assert len(lab.Species) == 12_003


def test_many_rows_take_few_ways_to_a_server_that_is_far(
    lab: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = lab.schema.connection
    if backend.name == "mariadb":
        connection._session().raw.quickest_answer = math.inf
        asked = pymysql.connections.Connection.query

        def far(raw: Any, *args: Any) -> int:
            time.sleep(0.002)
            return asked(raw, *args)

        monkeypatch.setattr(pymysql.connections.Connection, "query", far)
    with counted_statements(connection) as count:
        lab.Species.insert([{"species": f"s{i}"} for i in range(12_000)])
    assert count.n <= (5 if backend.name == "mariadb" else 14)
    assert len(lab.Species) == 12_002


def test_rows_too_large_for_one_packet_are_spread_over_several(lab: Any, backend: Backend) -> None:
    if backend.name == "mariadb":
        raw = lab.schema.connection._session().raw
        raw.max_allowed_packet = 20_000
    lab.Species.insert([{"species": f"日本 {i}"} for i in range(3000)])
    assert len(lab.Species) == 3002


@pytest.fixture
def readings(schema: dj.Schema) -> Any:
    @schema
    class Reading(dj.Manual):
        definition = """
        reading : int32
        ---
        label = "none" : varchar(200)
        value = null : float64
        wave = null : <blob>
        """

    return Reading


def test_of_an_iterator_only_a_few_blocks_are_held(readings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inserting, "_HELD_BYTES", 100_000)
    begun, written, held = 0, 0, []

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal begun
        for begun in range(1, 4001):
            yield {"reading": begun, "wave": np.zeros(100)}

    run = inserting.Inserter._run

    def spying(self: Any, columns: Any, pieces: Any) -> None:
        nonlocal written
        held.append(begun - written)
        run(self, columns, pieces)
        written += len(columns["reading"])

    monkeypatch.setattr(inserting.Inserter, "_run", spying)
    readings.insert(rows(), chunk_size=200)
    assert written == len(readings) == 4000
    assert max(held) <= 600


@pytest.mark.parametrize("is_iterator", [True, False])
def test_a_late_row_that_is_refused_takes_back_what_was_streamed_before(
    readings: Any, monkeypatch: pytest.MonkeyPatch, is_iterator: bool
) -> None:
    monkeypatch.setattr(inserting, "_HELD_BYTES", 10_000)
    good = [{"reading": i, "value": float(i)} for i in range(2000)]
    for bad, error in (
        ({"reading": 7, "value": 0.0}, dj.errors.DuplicateError),
        ({"reading": 9999, "value": math.inf}, dj.errors.ValueRefusedError),
        ({"reading": 9999, "vale": 1.0}, dj.errors.UnknownAttributeError),
    ):
        rows = [*good, bad]
        with pytest.raises(error, match="Reading"):
            readings.insert(iter(rows) if is_iterator else rows, chunk_size=100)
        assert len(readings) == 0
    readings.insert(iter(good) if is_iterator else good, chunk_size=100)
    assert len(readings) == 2000


def test_the_first_row_that_is_refused_is_the_one_that_is_named(readings: Any) -> None:
    rows: list[dict[str, Any]] = [{"reading": i, "label": "x", "value": 1.0} for i in range(100)]
    rows[60]["reading"] = "many"
    rows[40]["value"] = "much"
    rows[50]["label"] = "x" * 201
    with pytest.raises(dj.errors.ValueRefusedError, match=r"Reading\.value: 'much' is not a number"):
        readings.insert(rows)
    with pytest.raises(dj.errors.ValueRefusedError, match=r"Reading\.reading: 'many'"):
        readings.insert(rows[55:])
    assert len(readings) == 0


def test_rows_may_leave_out_a_default_here_and_there(readings: Any) -> None:
    labels = ["a", None, "b", None, None, "c"]
    readings.insert({"reading": i, "label": label} for i, label in enumerate(labels))
    assert readings.to_arrays("label", order_by="reading").tolist() == ["a", "none", "b", "none", "none", "c"]
    with pytest.raises(dj.errors.ValueRefusedError, match="Leave it out for its default"):
        readings.insert(pd.DataFrame({"reading": [8, 9], "label": [math.nan, "x"]}))


def test_rows_of_a_query_that_is_still_read_are_inserted(readings: Any, schema: dj.Schema) -> None:
    @schema
    class Copy(dj.Manual):
        definition = "reading : int32\n---\nlabel : varchar(200)"

    readings.insert({"reading": i} for i in range(300))
    Copy.insert((row for row in readings), ignore_extra_fields=True, chunk_size=50)
    assert len(Copy) == 300


def test_rows_are_inserted_from_a_query(filled: Any, schema: dj.Schema) -> None:
    @schema
    class Archive(dj.Manual):
        definition = """
        subject : varchar(12)
        session : int16
        ---
        session_date = null : date
        note = "old" : varchar(10)
        """

    Archive.insert(filled.Session & "session > 1", ignore_extra_fields=True)
    Archive.insert(filled.Session.proj("session_date"), skip_duplicates=True)
    assert len(Archive) == 6
    assert Archive.to_arrays("note").tolist() == ["old"] * 6
    with pytest.raises(dj.errors.UnknownAttributeError, match=r"'partner' in .*\.Archive"):
        Archive.insert(filled.Session & "session = 1")
    with pytest.raises(
        dj.errors.DuplicateError, match=r"Archive already has a row with subject='M\d', session="
    ):
        Archive.insert(filled.Session.proj("session_date"))


def test_a_query_that_brings_an_unknown_parent_is_refused_with_the_table_and_the_parent(
    filled: Any, schema: dj.Schema
) -> None:
    @schema
    class Strange(dj.Manual):
        definition = "strange : varchar(12)"

    Strange.insert1(("M1",))
    Strange.insert1(("nobody",))
    query = Strange.proj(subject="strange").proj(session="9", session_date="'2026-01-01'")
    with pytest.raises(dj.errors.IntegrityError, match=r"Subject has no row with subject='nobody'"):
        filled.Session.insert(query)
    assert len(filled.Session) == 6
    filled.Session.insert(query & {"subject": "M1"})
    assert len(filled.Session & "session = 9") == 1


def test_insert_dataframe_takes_the_index_as_asked(lab: Any) -> None:
    lab.Subject.insert1({"subject": "M1", "species": "mouse"})
    frame = pd.DataFrame({"subject": ["M1"], "session": [1], "session_date": ["2026-01-01"]})
    lab.Session.insert_dataframe(frame)
    lab.Session.insert_dataframe(frame.assign(session=2).set_index(["subject", "session"]), index_as_pk=True)
    fetched = lab.Session.to_pandas()
    assert fetched.index.names == ["subject", "session"]
    lab.Session.delete_quick()
    lab.Session.insert_dataframe(fetched)
    assert lab.Session.to_pandas().equals(fetched)


def test_all_or_nothing(lab: Any) -> None:
    good = [{"subject": f"M{i}", "species": "mouse"} for i in range(5000)]
    for bad in (
        {"subject": "M1", "species": "mouse"},
        {"subject": "X", "species": "dragon"},
        {"subject": "X" * 13, "species": "mouse"},
        {"subject": "X"},
        {"subject": "X", "species": "mouse", "wieght": 1},
    ):
        with pytest.raises(dj.DataJointError):
            lab.Subject.insert([*good, bad])
        assert len(lab.Subject) == 0
    with pytest.raises(ZeroDivisionError):
        lab.Subject.insert({"subject": f"M{i}", "species": "mouse", "weight": 1 / (3 - i)} for i in range(9))
    assert len(lab.Subject) == 0
    lab.Subject.insert(good, chunk_size=700)
    assert len(lab.Subject) == 5000


def test_rows_with_different_fields_go_in_together(lab: Any) -> None:
    lab.Subject.insert([
        {"subject": "M1", "species": "mouse"},
        {"subject": "M2", "species": "rat", "sex": "F"},
        {"sex": "M", "species": "rat", "subject": "M3", "weight": None},
    ])  # fmt: skip
    assert lab.Subject.to_arrays("sex", order_by="subject").tolist() == ["U", "F", "M"]


def test_skip_duplicates_hides_taken_primary_keys_and_nothing_else(lab: Any) -> None:
    one = uuid.uuid4()
    lab.Subject.insert1({"subject": "M1", "species": "mouse", "uid": one})
    lab.Subject.insert(
        [
            {"subject": "M1", "species": "rat"},
            {"subject": "M2", "species": "rat"},
            {"subject": "M2", "species": "mouse"},
        ],
        skip_duplicates=True,
    )
    assert lab.Subject.to_arrays("species", order_by="subject").tolist() == ["mouse", "rat"]
    with pytest.raises(dj.errors.DuplicateError, match=r"uid=UUID.*unique"):
        lab.Subject.insert1({"subject": "M9", "species": "rat", "uid": one}, skip_duplicates=True)
    with pytest.raises(dj.errors.IntegrityError, match="Species has no row"):
        lab.Subject.insert1({"subject": "M9", "species": "dragon"}, skip_duplicates=True)
    with pytest.raises(dj.errors.MissingAttributeError):
        lab.Subject.insert1({"subject": "M9"}, skip_duplicates=True)
    lab.Subject.insert1({"subject": "M1", "species": "mouse", "uid": one}, skip_duplicates=True)
    assert len(lab.Subject) == 2


def test_replace_puts_the_new_row_in_the_place_of_the_old(lab: Any) -> None:
    lab.Subject.insert1({"subject": "M1", "species": "mouse", "sex": "F"})
    lab.Subject.insert1({"subject": "M1", "species": "rat"}, replace=True)
    assert lab.Subject.fetch1("species", "sex") == ("rat", "U")


def test_replacing_a_row_with_children_is_refused_or_keeps_them(filled: Any) -> None:
    connection = filled.Subject.connection
    # MySQL 9.6 and later replace such a row in its place; other servers would remove it first, and refuse
    version = connection.query("SELECT VERSION()").fetchone()[0] if connection.dialect.name == "mysql" else ""
    keeps = bool(re.match(r"9\.([6-9]|\d\d)", version))
    row = {"subject": "M1", "species": "rat"}
    if keeps:
        filled.Subject.insert1(row, replace=True)
    else:
        with pytest.raises(dj.errors.IntegrityError, match=r"3 rows of .*Session depend.*update1"):
            filled.Subject.insert1(row, replace=True)
    assert (filled.Subject & {"subject": "M1"}).fetch1("species") == ("rat" if keeps else "mouse")
    assert len(filled.Session & {"subject": "M1"}) == 3
    assert len(filled.Session) == 6


def test_extra_fields_are_refused_or_ignored(lab: Any) -> None:
    row = {"subject": "M1", "species": "mouse", "wieght": 20}
    with pytest.raises(
        dj.errors.UnknownAttributeError, match=r"'wieght' in .*\.Subject\. Did you mean 'weight'"
    ) as caught:
        lab.Subject.insert1(row)
    assert isinstance(caught.value, KeyError)
    lab.Subject.insert1(row, ignore_extra_fields=True)
    assert lab.Subject.fetch1("weight") is None


def test_messages_name_the_table_the_attribute_the_value_and_the_remedy(
    filled: Any, backend: Backend
) -> None:
    def message(row: Any, error: type[Exception]) -> str:
        with pytest.raises(error) as caught:
            filled.Subject.insert1(row)
        assert len(filled.Subject) == 2
        text = str(caught.value)
        for word in ("INSERT", "CONSTRAINT", "constraint failed", "1062", "1452", "`", "FOREIGN"):
            assert word not in text
        return text

    lab = backend.prefix + "lab"
    assert message({"subject": "M1", "species": "mouse"}, dj.errors.DuplicateError) == (
        f"{lab}.Subject already has a row with subject='M1'. Nothing was inserted. Choose another key, update the"
        " row with update1(), or pass over such rows with skip_duplicates=True."
    )
    assert message({"subject": "M3", "species": "mose"}, dj.errors.IntegrityError) == (
        f"{lab}.Species has no row with species='mose', to which {lab}.Subject refers. Did you mean"
        f" species='mouse'? Nothing was inserted. Insert the row into {lab}.Species first, or correct species."
    )
    assert message({"subject": "M" * 13, "species": "rat"}, dj.errors.ValueRefusedError) == (
        f"{lab}.Subject.subject: 'MMMMMMMMMMMMM' is longer than 12 characters (it has 13)"
    )
    assert message({"subject": "M3", "species": "rat", "sex": "X"}, dj.errors.ValueRefusedError) == (
        f"{lab}.Subject.sex: 'X' is not one of 'M', 'F', 'U'"
    )
    assert message({"subject": "M3"}, dj.errors.MissingAttributeError) == (
        f"A row of {lab}.Subject lacks 'species', which has no default. Add it to the row."
    )
    assert "dict" in message("M3", dj.errors.MissingAttributeError)
    assert "10 attributes" not in message(("M3", "rat"), dj.errors.MissingAttributeError)


def test_two_rows_with_one_key_are_told_from_a_taken_key(lab: Any) -> None:
    with pytest.raises(
        dj.errors.DuplicateError, match=r"Two of the rows for .*Species have the key species='fly'"
    ):
        lab.Species.insert([("fly",), ("fly",)])


def test_a_unique_value_that_two_of_the_rows_have_is_named(schema: dj.Schema, backend: Backend) -> None:
    @schema
    class Box(dj.Manual):
        definition = """
        box : int32
        ---
        shelf = null : int32
        place = null : int32
        tag = null : varchar(8)
        unique index (shelf, place)
        unique index ((lower(tag)))
        """

    label = f"{backend.prefix}lab.Box"
    rows = [{"box": i, "shelf": i % 3, "place": i // 3} for i in range(6000)]
    repeated = [*rows, {"box": 7000, "shelf": 1.0, "place": "1"}]
    for given in (repeated, iter(repeated), repeated[-1:] + rows[:9]):
        with pytest.raises(dj.errors.DuplicateError) as caught:
            Box.insert(given)
        assert str(caught.value) == (
            f"Two of the rows for {label} have shelf=1, place=1, which must be unique. Nothing was inserted."
            " Remove one of them, or give it another value."
        )
        assert (caught.value.table, caught.value.attributes) == (label, ("shelf", "place"))
        assert caught.value.value == {"shelf": 1, "place": 1}
        assert len(Box) == 0
    tags = [{"box": 1, "tag": "A"}, {"box": 2, "tag": "a"}]
    with pytest.raises(dj.errors.DuplicateError, match=r"the same \(lower\(tag\)\), which must") as caught:
        Box.insert(tags)
    assert not any(
        word in str(caught.value) for word in ("UNIQUE", "Duplicate entry", "constraint", "for key")
    )
    assert "Choose another value" in caught.value.remedy
    Box.insert(tags[:1])
    for options in ({}, {"skip_duplicates": True}, {"replace": True}):
        with pytest.raises(dj.errors.DuplicateError, match=r"lower\(tag\)"):
            Box.insert(tags[1:], **options)
    Box.insert([{"box": 1, "tag": "a"}], replace=True)
    assert Box.to_dicts(attributes=["box", "tag"]) == [{"box": 1, "tag": "a"}]


def test_the_missing_parent_of_a_composite_key_is_named(filled: Any) -> None:
    with pytest.raises(dj.errors.IntegrityError, match=r"Session has no row with subject='M1', session=9"):
        filled.Session.Trial.insert1({"subject": "M1", "session": 9, "trial": 1})
    with pytest.raises(dj.errors.IntegrityError, match=r"subject='nobody'.*correct partner") as caught:
        filled.Session.insert1(
            {"subject": "M1", "session": 9, "session_date": "2026-01-01", "partner": "nobody"}
        )
    assert caught.value.attributes == ("partner",)


def test_a_computed_table_refuses_direct_inserts_and_its_parts_do_not(filled: Any) -> None:
    with pytest.raises(dj.DataJointError, match="inside its make method"):
        filled.Rate.insert1({"subject": "M1", "session": 1, "rate": 1})
    filled.Rate.insert1({"subject": "M1", "session": 1, "rate": 1}, allow_direct_insert=True)
    filled.Rate.Bin.insert1({"subject": "M1", "session": 1, "bin": 7})
    assert len(filled.Rate.Bin) == 1


def test_a_key_that_holds_percent_signs_quotes_and_backslashes_is_found_again(lab: Any) -> None:
    for name in ("100%", "%s", "a'b", 'a"b', "a\\b", "a`b", "?", ":x", "日本😀"):
        lab.Subject.insert1({"subject": name, "species": "mouse"})
        assert (lab.Subject & {"subject": name}).fetch1("subject") == name
        assert (lab.Subject & [{"subject": name}, {"subject": "other"}]).fetch1("subject") == name


def test_updating_changes_one_row_and_says_what_is_wrong(filled: Any) -> None:
    subject = filled.Subject & {"subject": "M1"}
    filled.Subject.update1({"subject": "M1", "sex": "F", "weight": "20.5", "meta": {"a": 1}})
    assert subject.fetch1("sex", "meta") == ("F", {"a": 1})
    filled.Subject.update1({"subject": "M1", "sex": None, "weight": None, "meta": None})
    assert subject.fetch1("sex", "weight", "meta") == ("U", None, None)
    filled.Subject.update1({"subject": "M1"})
    with pytest.raises(dj.errors.OneRowError, match="no row with subject='M7'"):
        filled.Subject.update1({"subject": "M7", "sex": "F"})
    with pytest.raises(dj.errors.UnknownAttributeError, match="whole primary key; 'subject'"):
        filled.Subject.update1({"sex": "F"})
    with pytest.raises(dj.errors.UnknownAttributeError, match="Did you mean 'sex'"):
        filled.Subject.update1({"subject": "M1", "sx": "F"})
    with pytest.raises(dj.errors.ValueRefusedError, match=r"Subject\.sex: 'Q' is not one of"):
        filled.Subject.update1({"subject": "M1", "sex": "Q"})
    with pytest.raises(dj.errors.IntegrityError, match="Did you mean species='mouse'"):
        filled.Subject.update1({"subject": "M1", "species": "mose"})
    with pytest.raises(dj.errors.IntegrityError, match="cannot be empty"):
        filled.Subject.update1({"subject": "M1", "species": None})
    with pytest.raises(dj.errors.QuerySyntaxError, match="whole table"):
        subject.update1({"subject": "M1", "sex": "F"})
    assert subject.fetch1("sex", "species") == ("U", "mouse")


def test_an_update_to_a_taken_unique_value_names_it(filled: Any) -> None:
    one = uuid.uuid4()
    filled.Subject.update1({"subject": "M1", "uid": one})
    with pytest.raises(dj.errors.DuplicateError, match="uid=UUID"):
        filled.Subject.update1({"subject": "M2", "uid": one})


def test_an_update_that_expects_other_values_writes_nothing(filled: Any) -> None:
    filled.Subject.update1({"subject": "M1", "sex": "F"}, expected={"sex": "U"})
    with pytest.raises(dj.errors.OneRowError, match="changed by someone else"):
        filled.Subject.update1({"subject": "M1", "sex": "M"}, expected={"sex": "U"})
    assert (filled.Subject & {"subject": "M1"}).fetch1("sex") == "F"


def test_near_matches_of_a_missing_parent_are_named(filled: Any) -> None:
    def hint(table: Any, row: dict[str, Any]) -> str:
        with pytest.raises(dj.errors.IntegrityError) as caught:
            table.insert1(row)
        text = str(caught.value)
        return text[text.find("Did you") :].partition("?")[0] if "Did you" in text else ""

    trial = {"subject": "M1", "session": 9, "trial": 1}
    assert hint(filled.Session.Trial, trial) == "Did you mean session=3"
    filled.Session.insert1({"subject": "M1", "session": 12, "session_date": "2026-01-01"})
    assert hint(filled.Session.Trial, trial) == "Did you mean session=3 or session=12"
    assert hint(filled.Session.Trial, {**trial, "subject": "m1", "session": 1}) == "Did you mean subject='M1'"
    assert hint(filled.Subject, {"subject": "M9", "species": "MOUSE"}) == "Did you mean species='mouse'"
    assert hint(filled.Subject, {"subject": "M9", "species": "coelacanth"}) == ""


def test_the_near_match_is_found_among_many_rows(lab: Any) -> None:
    lab.Species.insert([{"species": f"{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{i:05d}"} for i in range(5000)])
    lab.Species.insert1({"species": "zebrafinch"})
    with pytest.raises(dj.errors.IntegrityError, match="Did you mean species='zebrafinch'"):
        lab.Subject.insert1({"subject": "M1", "species": "zebrafinhc"})


def test_finding_the_missing_parent_among_many_rows_takes_few_statements(filled: Any) -> None:
    filled.Subject.insert({"subject": f"S{i}", "species": "mouse"} for i in range(3000))
    rows = [{"subject": f"S{i}", "session": 1, "session_date": "2026-01-01"} for i in range(3000)]
    rows.insert(1234, {"subject": "S12345", "session": 1, "session_date": "2026-01-01"})
    with (
        counted_statements(filled.schema.connection) as count,
        pytest.raises(dj.errors.IntegrityError, match=r"Subject has no row with subject='S12345'"),
    ):
        filled.Session.insert(rows)
    assert 0 < count.n <= 40
    assert len(filled.Session) == 6


def test_finding_the_taken_key_among_many_rows_takes_few_statements(filled: Any) -> None:
    rows = [{"species": f"s{i}"} for i in range(3000)]
    rows.insert(2345, {"species": "rat"})
    with (
        counted_statements(filled.schema.connection) as count,
        pytest.raises(dj.errors.DuplicateError, match=r"already has a row with species='rat'"),
    ):
        filled.Species.insert(rows)
    assert 0 < count.n <= 40
    assert len(filled.Species) == 2


@pytest.mark.parametrize("form", ["dicts", "pandas", "arrow", "records"])
def test_times_and_numbers_in_bulk_arrive_as_they_are(schema: dj.Schema, form: str) -> None:
    @schema
    class Beat(dj.Manual):
        definition = """
        beat : int32
        ---
        time : datetime
        label : varchar(30)
        value : float64
        """

    times = [dt.datetime(year, 2, 28, 23, 59, 58) for year in (1, 71, 999, 1000, 1999, 2026, 9999)]
    values = [-0.0, 0.0, 0.1, 1e-5, 12345678.000000001, 1e300, -1e22]
    rows = [
        {"beat": i, "time": time, "label": time.isoformat(" "), "value": value}
        for i, (time, value) in enumerate(zip(times, values, strict=True))
    ]
    given: Any = rows
    if form == "pandas":
        given = pd.DataFrame(rows).astype({"time": "datetime64[us]"})
    elif form == "arrow":
        given = pa.Table.from_pylist(rows)
    elif form == "records":
        kinds = [("beat", int), ("time", "M8[s]"), ("label", "U30"), ("value", float)]
        given = np.array([tuple(row.values()) for row in rows], dtype=kinds)
    Beat.insert(given)
    assert Beat.to_dicts(order_by="beat") == rows
