"""Rows of a query are inserted as rows in hand are: nothing is lost, rounded, hidden or removed on the way."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.counting import counted_statements


@pytest.fixture
def pairs(schema: dj.Schema) -> Any:
    @schema
    class Source(dj.Manual):
        definition = """
        id : int32
        ---
        name : varchar(8)
        """

    @schema
    class Target(dj.Manual):
        definition = """
        id : int32
        ---
        name : varchar(8)
        note = "" : varchar(8)
        unique index (name)
        """

    Source.insert([(1, "a"), (2, "b"), (3, "c")])
    return SimpleNamespace(Source=Source, Target=Target)


def test_skip_duplicates_hides_taken_primary_keys_of_a_query_and_no_other_conflict(pairs: Any) -> None:
    pairs.Target.insert([{"id": 1, "name": "other"}])
    pairs.Target.insert(pairs.Source, skip_duplicates=True)
    assert pairs.Target.to_arrays("name", order_by="id").tolist() == ["other", "b", "c"]
    pairs.Target.delete_quick()
    pairs.Target.insert([{"id": 9, "name": "b"}])
    with pytest.raises(dj.errors.DuplicateError, match=r"Target already has a row with name='b'") as caught:
        pairs.Target.insert(pairs.Source, skip_duplicates=True)
    assert (caught.value.attributes, caught.value.value) == (("name",), "b")
    assert pairs.Target.to_dicts() == [{"id": 9, "name": "b", "note": ""}]


def test_of_rows_of_a_query_that_share_a_key_the_first_is_kept_if_duplicates_are_skipped(
    schema: dj.Schema, pairs: Any
) -> None:
    @schema
    class Visit(dj.Manual):
        definition = "id : int32\nvisit : int32\n---\nname : varchar(8)"

    Visit.insert([(1, 1, "x"), (1, 2, "y"), (2, 1, "z")])
    pairs.Target.insert(Visit, skip_duplicates=True, ignore_extra_fields=True)
    assert pairs.Target.to_arrays("id").tolist() == [1, 2]
    with pytest.raises(dj.errors.DuplicateError, match=r"Two of the rows for .*Empty have the key id=1"):
        schema(type("Empty", (dj.Manual,), {"definition": "id : int32"})).insert(
            Visit, ignore_extra_fields=True
        )


def test_a_unique_foreign_key_is_no_reason_to_pass_over_a_row_or_to_remove_one(schema: dj.Schema) -> None:
    @schema
    class Cage(dj.Manual):
        definition = "cage : int32"

    @schema
    class Animal(dj.Manual):
        definition = "animal : int32\n---\n-> [unique] Cage"

    @schema
    class Found(dj.Manual):
        definition = "animal : int32\n---\ncage : int32"

    Cage.insert([(1,), (2,)])
    Animal.insert1((1, 1))
    Found.insert1((7, 1))
    for rows in (Found, [{"animal": 7, "cage": 1}]):
        for options in ({"skip_duplicates": True}, {"replace": True}, {}):
            with pytest.raises(dj.errors.DuplicateError, match=r"Animal already has a row with cage=1"):
                Animal.insert(rows, **options)
    assert Animal.to_dicts() == [{"animal": 1, "cage": 1}]
    assert [p.attribute for p in Animal.validate([{"animal": 7, "cage": 1}]).problems] == ["cage"]


@pytest.mark.parametrize("as_query", [False, True], ids=["rows", "query"])
def test_replace_removes_no_row_of_another_key(pairs: Any, as_query: bool) -> None:
    def rows() -> Any:
        return pairs.Source if as_query else pairs.Source.to_dicts()

    pairs.Target.insert([{"id": 1, "name": "x", "note": "old"}, {"id": 8, "name": "y"}])
    pairs.Target.insert(rows(), replace=True)
    assert pairs.Target.to_arrays("name", order_by="id").tolist() == ["a", "b", "c", "y"]
    assert (pairs.Target & {"id": 1}).fetch1("note") == ""
    # values that rows already have, and values that change places, are in nobody's way
    pairs.Target.insert(rows(), replace=True)
    pairs.Target.insert(
        [{"id": 1, "name": "b"}, {"id": 2, "name": "a"}, {"id": 1, "name": "c2"}], replace=True
    )
    assert pairs.Target.to_arrays("name", order_by="id").tolist() == ["c2", "a", "c", "y"]
    before = pairs.Target.to_dicts(order_by="id")
    pairs.Source.update1({"id": 3, "name": "y"})
    with pytest.raises(
        dj.errors.DuplicateError, match=r"already has a row with name='y', which must"
    ) as caught:
        pairs.Target.insert(rows(), replace=True)
    error = caught.value
    assert (error.attribute, error.value, error.remedy) == (
        "name",
        "y",
        "Choose another value, or update that row.",
    )
    with pytest.raises(dj.errors.DuplicateError, match="name='y'"):
        pairs.Target.insert1({"id": 5, "name": "y"}, replace=True)
    with pytest.raises(dj.errors.DuplicateError, match=r"Two of the rows for .* have name='new'"):
        pairs.Target.insert([{"id": 5, "name": "new"}, {"id": 6, "name": "new"}], replace=True)
    assert pairs.Target.to_dicts(order_by="id") == before


TYPES: list[tuple[str, Any, str, Any]] = [
    ("datetime", "2026-01-02 03:04:05", "date", "has a time of day"),
    ("datetime", "2026-01-02 00:00:00", "date", dt.date(2026, 1, 2)),
    ("date", "2026-01-02", "datetime", dt.datetime(2026, 1, 2)),
    ("datetime(3)", "2026-01-02 03:04:05.678", "datetime", dt.datetime(2026, 1, 2, 3, 4, 5)),
    ("datetime", "2026-01-02 03:04:05", "datetime(3)", dt.datetime(2026, 1, 2, 3, 4, 5)),
    ("float64", 1.5, "int32", "is not a whole number"),
    ("float64", 2.0, "int32", 2),
    ("float64", 1e300, "float32", "is too large"),
    ("int64", 2**40, "int32", "is outside"),
    ("int16", 7, "int32", 7),
    ("int32", 2, "bool", "is neither true nor false"),
    ("int32", 7, "varchar(4)", "7"),
    ("varchar(20)", "long enough", "varchar(4)", "is longer than 4 characters"),
    ("varchar(20)", "ok ", "char(4)", "ends with a space"),
    ("varchar(20)", "12", "int32", 12),
    ("varchar(20)", "x", "int32", "is not a whole number"),
    ("varchar(20)", "red", "enum('blue')", "is not one of"),
    ("varchar(20)", "2026-01-02", "date", dt.date(2026, 1, 2)),
    ("enum('a', 'b')", "b", "enum('b', 'a')", "b"),
    ("decimal(6, 3)", "1.255", "decimal(6, 2)", "more than 2 digits"),
    ("json", {"a": 1}, "varchar(20)", "is not text"),
    ("uuid", "12345678-9abc-def0-1234-56789abcdef0", "bytes", "is not bytes"),
    ("bytes", b"abc", "bytes", b"abc"),
]


@pytest.mark.parametrize(("theirs", "value", "ours", "expected"), TYPES)
def test_values_of_a_query_arrive_as_they_would_in_rows(
    schema: dj.Schema, theirs: str, value: Any, ours: str, expected: Any
) -> None:
    @schema
    class Source(dj.Manual):
        definition = f"id : int32\n---\nx : {theirs}"

    @schema
    class Target(dj.Manual):
        definition = f"id : int32\n---\nx : {ours}"

    Source.insert1({"id": 1, "x": value})
    refusals: list[str] = []
    for rows in (Source, Source & "id > 0", Source.to_dicts()):
        for options in ({}, {"skip_duplicates": True}, {"replace": True}):
            if isinstance(expected, str) and " " in expected:
                with pytest.raises(dj.errors.ValueRefusedError, match=expected) as caught:
                    Target.insert(rows, **options)
                assert (caught.value.attribute, caught.value.value) == ("x", Source.fetch1("x"))
                assert caught.value.remedy
                refusals.append(str(caught.value))
                assert len(Target) == 0
            else:
                Target.insert(rows, **options)
                assert Target.fetch1("x") == expected
                Target.delete_quick()
    assert len(set(refusals)) <= 1


def test_a_query_that_lacks_a_value_is_refused_with_the_attribute_and_the_remedy(
    schema: dj.Schema, pairs: Any
) -> None:
    @schema
    class Partial(dj.Manual):
        definition = "id : int32\n---\nname = null : varchar(8)"

    for query in (pairs.Source.proj(), pairs.Source.proj() & "id = 99"):
        with pytest.raises(
            dj.errors.MissingAttributeError, match=r"A row of .*Target lacks 'name'"
        ) as caught:
            pairs.Target.insert(query)
        assert caught.value.attributes == ("name",)
    Partial.insert([(1, "a"), (2, None)])
    with pytest.raises(dj.errors.MissingAttributeError, match=r"Target.name has no value and no default"):
        pairs.Target.insert(Partial)
    assert len(pairs.Target) == 0
    pairs.Target.insert(Partial & "id = 1")
    assert len(pairs.Target) == 1


def test_what_codecs_wrote_is_copied_as_it_is_stored(
    schema: dj.Schema, backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    schema.connection.settings["stores.main"] = {"protocol": "file", "location": str(tmp_path / "store")}

    @schema
    class Source(dj.Manual):
        definition = "id : int32\n---\nx : float64\nblob : <blob>\nwave = null : <npy@main>\nnotes = null : <attach@main>"

    @schema
    class Target(dj.Manual):
        definition = (
            "id : int32\n---\nx : int32\nblob : <blob>\nwave = null : <npy@main>\nnotes = null : <blob@main>"
        )

    Source.insert1({"id": 1, "x": 3.0, "blob": {"a": [1, 2]}, "wave": np.arange(5)})
    files = sorted((tmp_path / "store").rglob("*"))
    Target.insert(Source)
    assert sorted((tmp_path / "store").rglob("*")) == files
    row = Target.fetch1()
    assert (row["x"], row["blob"], row["notes"]) == (3, {"a": [1, 2]}, None)
    assert np.array_equal(row["wave"], np.arange(5))


def test_rows_of_a_query_say_where_they_come_from(backend: Backend) -> None:
    connection = backend.connect(provenance__capture=True, provenance__source={"rig": 3})
    schema = dj.Schema(backend.prefix + "lab", connection=connection)

    @schema
    class Source(dj.Manual):
        definition = "id : int32\n---\nx : float64"

    @schema
    class Same(dj.Manual):
        definition = "id : int32\n---\nx : float64"

    @schema
    class Other(dj.Manual):
        definition = "id : int32\n---\nx : int32\nunique index (x)"

    Source.insert([(1, 1.0), (2, 2.0), (3, 3.0)])
    for table in (Same, Other):
        table.insert(Source & "id < 2")
        table.insert(Source & "id < 3", skip_duplicates=True)
        table.insert(Source & "id = 3", replace=True)
        rows = connection.query(f"SELECT _prov FROM {table.full_table_name}").fetchall()
        assert [json.loads(found)["source"] for (found,) in rows] == [{"rig": 3}] * 3
    connection.close()


def test_the_server_copies_rows_by_itself_where_nothing_can_be_lost(schema: dj.Schema, pairs: Any) -> None:
    for options in ({}, {"skip_duplicates": True}):
        with counted_statements(schema.connection) as count:
            pairs.Target.insert(pairs.Source, **options)
        assert count.n == 1
        assert len(pairs.Target) == 3


def test_a_query_with_replace_names_what_depends_on_its_rows(schema: dj.Schema) -> None:
    @schema
    class Parent(dj.Manual):
        definition = "parent : int32\n---\nname : varchar(8)"

    @schema
    class Child(dj.Manual):
        definition = "-> Parent\nchild : int32"

    @schema
    class Source(dj.Manual):
        definition = "parent : int32\n---\nname : varchar(8)"

    Parent.insert1((1, "a"))
    Child.insert1((1, 1))
    Source.insert1((1, "b"))
    with pytest.raises(dj.errors.IntegrityError, match=r"1 row of .*Child depends on .*update1"):
        Parent.insert(Source, replace=True)
    assert Parent.fetch1("name") == "a"


@pytest.mark.parametrize("unique", ["", "unique index (x)"])
def test_the_one_row_of_a_table_is_skipped_replaced_or_refused(schema: dj.Schema, unique: str) -> None:
    @schema
    class One(dj.Manual):
        definition = f"---\nx : int32\n{unique}"

    @schema
    class Source(dj.Manual):
        definition = "id : int32\n---\nx : int32"

    Source.insert([(1, 5), (2, 6)])
    query = Source & "id = 1"
    for rows in ([{"x": 5}], query):
        One.insert(rows, skip_duplicates=True, ignore_extra_fields=True)
        assert One.to_dicts() == [{"x": 5}]
        One.insert([{"x": 7}], skip_duplicates=True)
        One.insert(Source, skip_duplicates=True, ignore_extra_fields=True)
        assert One.to_dicts() == [{"x": 5}]
        with pytest.raises(dj.errors.DuplicateError, match="one row at most"):
            One.insert(rows, ignore_extra_fields=True)
        One.insert([{"x": 8}], replace=True)
        assert One.to_dicts() == [{"x": 8}]
        One.insert(Source & "id = 2", replace=True, ignore_extra_fields=True)
        assert One.to_dicts() == [{"x": 6}]
        One.delete_quick()


def test_programs_that_copy_the_same_rows_at_once_skip_each_others(
    schema: dj.Schema, backend: Backend
) -> None:
    @schema
    class Source(dj.Manual):
        definition = "id : int32\n---\nname : varchar(8)"

    @schema
    class Target(dj.Manual):
        definition = "id : int32\n---\nname : varchar(8)\nunique index (name)"

    Source.insert((i, f"n{i}") for i in range(500))
    connection = backend.connect()

    def copy(part: int) -> None:
        source, target = (dj.FreeTable(connection, t.full_table_name) for t in (Source, Target))
        for start in range(0, 500, 50):
            target.insert(source & f"id < {start + 50 + part}", skip_duplicates=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(copy, range(4)))
    assert len(Target) == 500
    connection.close()
