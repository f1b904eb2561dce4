"""Garbage collection: what no row names goes, what any row may name stays, and any doubt ends the run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.core.store import Store, open_store
from tests.conftest import Backend


@pytest.fixture(params=["plain", "partitioned"])
def lab(request: pytest.FixtureRequest, backend: Backend, connection: dj.Connection, tmp_path: Path) -> Any:
    (tmp_path / "store").mkdir()
    pattern = "{subject}" if request.param == "partitioned" else None
    spec = {"protocol": "file", "location": str(tmp_path / "store"), "partition_pattern": pattern}
    connection.settings.stores = {"default": "main", "main": spec, "alias": spec}
    schema = dj.Schema(backend.prefix + "lab", connection=connection)

    @schema
    class Thing(dj.Manual):
        definition = """
        subject : int32
        ---
        data = null : <blob@>
        array = null : <npy@main>
        thing = null : <object@alias>
        inline = null : <blob>
        """

    schema.Thing = Thing  # type: ignore[attr-defined]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"1234")
    Thing.insert(
        {"subject": i, "data": {"number": i // 2}, "array": np.arange(i + 1), "thing": folder, "inline": [i]}
        for i in range(4)
    )
    return schema


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in (folder / "store").rglob("*") if p.is_file()}


def grown_old(folder: Path) -> None:
    for path in (folder / "store").rglob("*"):
        os.utime(path, (time.time() - 1e6,) * 2)


def readable(schema: Any) -> list[Any]:
    return [
        (row["subject"], row["data"], row["array"].load().tolist(), row["thing"].open("a").read())
        for row in schema.Thing.to_dicts(order_by="subject")
    ]


def test_what_rows_name_stays_and_what_no_row_names_goes(lab: Any, tmp_path: Path) -> None:
    expected = readable(lab)
    (lab.Thing & "subject in (1, 3)").delete()
    grown_old(tmp_path)
    before = files(tmp_path)
    report = dj.gc.GarbageCollector(lab).collect()
    assert report["dry_run"]
    assert files(tmp_path) == before
    # of two rows with equal data one is left, so that no content is without a row
    assert (report["hash_paths_stored"], report["hash_paths_orphaned"]) == (2, 0)
    # two arrays, and two folders with a manifest each
    assert (report["schema_paths_stored"], report["schema_paths_orphaned"]) == (12, 6)
    (lab.Thing & "subject = 2").delete()
    report = dj.gc.GarbageCollector(lab, store="main").collect(dry_run=False)
    assert (report["hash_paths_deleted"], report["schema_paths_deleted"], report["errors"]) == (1, 9, 0)
    assert report["deleted"] == 10
    assert (
        report["bytes_freed"]
        == report["hash_paths_orphaned_bytes"] + report["schema_paths_orphaned_bytes"]
        > 0
    )
    assert readable(lab) == expected[:1]
    assert len(files(tmp_path)) == 4
    assert dj.gc.GarbageCollector(lab).collect(dry_run=False)["deleted"] == 0


def test_what_is_young_is_kept_for_the_row_that_may_come(lab: Any, tmp_path: Path) -> None:
    lab.Thing.delete()
    before = files(tmp_path)
    report = dj.gc.GarbageCollector(lab).collect(dry_run=False)
    assert (report["deleted"], report["too_young"]) == (0, len(before))
    assert files(tmp_path) == before
    assert dj.gc.GarbageCollector(lab, grace_seconds=0).collect(dry_run=False)["deleted"] == len(before)


def test_content_that_is_inserted_again_becomes_young(lab: Any, tmp_path: Path) -> None:
    lab.Thing.delete()
    grown_old(tmp_path)
    collector = dj.gc.GarbageCollector(lab)
    named = collector.references

    def insert_meanwhile() -> set[str]:
        found = named()
        lab.Thing.insert1({"subject": 9, "data": {"number": 0}})
        return found

    collector.references = insert_meanwhile  # type: ignore[method-assign]
    report = collector.collect(dry_run=False)
    assert report["deleted"] == report["hash_paths_orphaned"] + report["schema_paths_orphaned"] > 0
    assert lab.Thing.fetch1("data") == {"number": 0}


def test_other_schemas_and_files_that_are_not_ours_are_left_alone(
    lab: Any, backend: Backend, tmp_path: Path
) -> None:
    other = dj.Schema(backend.prefix + "other", connection=lab.connection)
    other(type("Other", (dj.Manual,), {"definition": "other : int32\n---\narray = null : <npy@>"}))
    foreign = ["raw/scan.bin", f"_hash/{lab.name}/README.txt", f"_schema/{other.name}/other/x", "_schema/y"]
    for path in foreign:
        (tmp_path / "store" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / path).write_text("x")
    lab.Thing.delete()
    grown_old(tmp_path)
    assert dj.gc.GarbageCollector(lab).collect(dry_run=False)["deleted"] > 0
    assert files(tmp_path) == {f"store/{path}" for path in foreign}


def test_a_reference_without_a_store_protects_its_object(lab: Any, tmp_path: Path) -> None:
    # as DataJoint writes where the default store is meant
    connection, dialect = lab.connection, lab.connection.dialect
    table = lab.Thing().full_table_name
    mark = dialect.placeholder
    for subject, stored in connection.query(f"SELECT subject, array FROM {table}").fetchall():
        text = str(stored).replace('"main"', "null")
        connection.query(f"UPDATE {table} SET array = {mark} WHERE subject = {mark}", (text, subject))
    grown_old(tmp_path)
    before = files(tmp_path)
    dj.gc.GarbageCollector(lab).collect(dry_run=False)
    assert files(tmp_path) == before


def test_whatever_cannot_be_read_ends_the_run_before_anything_is_removed(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.Thing.insert1({"subject": 8})
    (lab.Thing & "subject = 0").delete()
    grown_old(tmp_path)
    before = files(tmp_path)

    def refused(message: str) -> None:
        with pytest.raises(dj.errors.GarbageCollectionError, match=message):
            dj.gc.GarbageCollector(lab).collect(dry_run=False)
        assert files(tmp_path) == before

    query = lab.connection.run

    def denied(statement: Any) -> Any:
        if "array" in statement.sql:
            raise dj.errors.AccessError("SELECT command denied")
        return query(statement)

    with monkeypatch.context() as patch:
        patch.setattr(lab.connection, "run", denied)
        refused(r"Thing\.array cannot be read.*denied")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "files", lambda *_: (_ for _ in ()).throw(OSError("input/output error")))
        refused("cannot be listed: input/output error")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "modified", lambda *_: (_ for _ in ()).throw(dj.errors.StoreError("no answer")))
        refused("no answer")
    table, mark = lab.Thing().full_table_name, lab.connection.dialect.placeholder
    lab.connection.query(f"UPDATE {table} SET array = {mark} WHERE subject = 8", ("{}",))
    refused("names no object")
    lab.connection.query(f"UPDATE {table} SET array = NULL WHERE subject = 8")

    class Mine(dj.Codec):
        name = "garbage_test"

        def get_dtype(self, is_store: bool) -> str:
            return "json"

        def encode(self, value: Any, **_: Any) -> Any:
            return value

        def decode(self, stored: Any, **_: Any) -> Any:
            return stored

    lab(type("Unknown", (dj.Manual,), {"definition": "u : int8\n---\nx = null : <garbage_test@>"}))
    from_registry = dj.core.codec.unregister_codec
    from_registry("garbage_test")
    refused("garbage_test")
    lab.connection.settings.stores["main"]["location"] = str(tmp_path / "unmounted")
    with pytest.raises(dj.errors.StoreError, match="unmounted"):
        dj.gc.GarbageCollector(lab).collect(dry_run=False)


def test_an_object_that_cannot_be_removed_is_counted_and_the_others_go(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.Thing.delete()
    grown_old(tmp_path)
    remove = Store.remove

    def sometimes(store: Store, path: str) -> None:
        if "array" in path:
            raise dj.errors.StoreError("busy")
        remove(store, path)

    monkeypatch.setattr(Store, "remove", sometimes)
    report = dj.gc.GarbageCollector(lab).collect(dry_run=False)
    assert report["errors"] == 4
    assert len(files(tmp_path)) == 4


def test_a_store_in_memory_is_collected_too(backend: Backend, connection: dj.Connection) -> None:
    connection.settings.stores = {"default": "m", "m": {"protocol": "memory", "location": backend.prefix}}
    schema = dj.Schema(backend.prefix + "lab", connection=connection)

    @schema
    class Thing(dj.Manual):
        definition = "thing : int8\n---\ndata : <blob@>"

    Thing.insert({"thing": i, "data": [i]} for i in range(3))
    (Thing & "thing = 1").delete()
    assert dj.gc.GarbageCollector(schema).collect(dry_run=False)["too_young"] == 1
    assert dj.gc.GarbageCollector(schema, grace_seconds=0).collect(dry_run=False)["hash_paths_deleted"] == 1
    assert [row["data"] for row in Thing.to_dicts(order_by="thing")] == [[0], [2]]
    store = open_store(connection.settings, "m")
    assert len(list(store.files("_hash"))) == 2
    with pytest.raises(dj.errors.GarbageCollectionError, match="Name the schemas"):
        dj.gc.GarbageCollector()
