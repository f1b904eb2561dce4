"""Staged inserts: object first, row second; nothing is left after an error, and nothing lost that a row may name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import dj_panel as dj
from tests.conftest import Backend


@pytest.fixture
def recording(backend: Backend, connection: dj.Connection, tmp_path: Path) -> Any:
    (tmp_path / "store").mkdir()
    connection.settings.stores = {
        "default": "main",
        "main": {"protocol": "file", "location": str(tmp_path / "store")},
        "other": {"protocol": "memory", "location": backend.prefix},
    }
    schema = dj.Schema(backend.prefix + "lab", connection=connection)

    @schema
    class Recording(dj.Manual):
        definition = """
        subject : varchar(8)
        session : int16
        ---
        note = "" : varchar(20)
        signal = null : <object@>
        film = null : <object@other>
        array = null : <npy@>
        """

    return Recording


def files(folder: Path) -> list[str]:
    return (
        sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        if folder.exists()
        else []
    )


def test_a_zarr_array_and_a_file_are_written_in_place_and_then_their_row(
    recording: Any, tmp_path: Path
) -> None:
    data = np.arange(1000.0).reshape(10, 100)
    with recording.staged_insert1 as staged:
        staged.rec.update(subject="M1", session=1, note="staged")
        array = zarr.create_array(
            staged.store("signal", ".zarr"), shape=data.shape, dtype=data.dtype, chunks=(5, 50)
        )
        array[:] = data
        with staged.open("film", ".bin") as stream:
            stream.write(b"frames")
        assert len(recording()) == 0
    row = recording.fetch1()
    assert row["note"] == "staged"
    assert (row["signal"].is_dir, row["signal"].ext, row["signal"].store) == (True, ".zarr", "main")
    assert row["signal"].item_count == len(files(tmp_path / "store"))
    assert row["signal"].verify()
    assert np.array_equal(zarr.open_array(row["signal"].fsmap)[:], data)
    assert (row["film"].read(), row["film"].size, row["film"].store) == (b"frames", 6, "other")
    expected = f"_schema/{recording.database}/{recording.table_name}/subject=M1/session=1/signal_"
    assert row["signal"].path.startswith(expected)


def test_a_file_that_was_not_closed_is_closed_before_the_row_is_written(recording: Any) -> None:
    with recording.staged_insert1 as staged:
        staged.rec.update(subject="M1", session=1)
        staged.open("signal", ".bin").write(b"x" * 10_000)
    assert recording.fetch1("signal").size == 10_000


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt()])
def test_after_an_error_in_the_block_nothing_is_left(
    recording: Any, tmp_path: Path, failure: BaseException
) -> None:
    with pytest.raises(type(failure)), recording.staged_insert1 as staged:
        staged.rec.update(subject="M1", session=1)
        staged.open("signal", ".bin").write(b"half")
        zarr.create_array(staged.store("film", ".zarr"), shape=(4,), dtype="i4")[:] = 1
        raise failure
    assert len(recording()) == 0
    assert files(tmp_path / "store") == []
    assert not staged._staged["film"].store.exists(staged._staged["film"].object.path)


def test_a_row_that_is_refused_takes_its_object_along_and_leaves_the_other_alone(
    recording: Any, tmp_path: Path
) -> None:
    def insert(**extra: Any) -> None:
        with recording.staged_insert1 as staged:
            staged.rec.update(subject="M1", session=1, **extra)
            staged.open("signal", ".bin").write(b"content")

    insert()
    before = files(tmp_path / "store")
    with pytest.raises(dj.errors.DuplicateError):
        insert()
    with pytest.raises(dj.errors.ValueRefusedError, match="note"):
        insert(note="n" * 21)
    assert files(tmp_path / "store") == before
    assert recording.fetch1("signal").read() == b"content"


def test_what_cannot_be_staged_is_said_at_once(recording: Any) -> None:
    with (
        pytest.raises(dj.errors.MissingAttributeError, match="'session'"),
        recording.staged_insert1 as staged,
    ):
        staged.rec["subject"] = "M1"
        staged.store("signal")
    for field, error in (("sgnal", dj.errors.UnknownAttributeError), ("array", dj.errors.CodecError)):
        with pytest.raises(error, match=field), recording.staged_insert1 as staged:
            staged.rec.update(subject="M1", session=1)
            staged.store(field)
    with (
        pytest.raises(dj.errors.MissingObjectError, match="Nothing was written"),
        recording.staged_insert1 as staged,
    ):
        staged.rec.update(subject="M1", session=1)
        staged.store("signal")
    assert len(recording()) == 0


@pytest.mark.parametrize("was_kept", [True, False])
def test_an_object_is_never_removed_when_its_row_may_be_there(
    recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_kept: bool
) -> None:
    insert1 = dj.FreeTable.insert1

    def answer_is_lost(table: Any, row: Any) -> None:
        if was_kept:
            insert1(table, row)
        raise dj.errors.LostConnectionError("gone")

    monkeypatch.setattr(recording, "insert1", answer_is_lost)

    def insert() -> None:
        with recording().staged_insert1 as staged:
            staged.rec.update(subject="M1", session=1)
            staged.open("signal", ".bin").write(b"content")

    if was_kept:
        insert()  # read back, and found
        assert recording.fetch1("signal").read() == b"content"
    else:
        with pytest.raises(dj.errors.LostConnectionError, match="gone"):
            insert()
        assert len(files(tmp_path / "store")) == 1


def test_with_a_transaction_that_is_rolled_back_no_row_is_left(recording: Any) -> None:
    def insert(session: int) -> None:
        with recording.staged_insert1 as staged:
            staged.rec.update(subject="M1", session=session)
            staged.open("signal", ".bin").write(b"content")

    with recording().connection.transaction:
        insert(1)
    with pytest.raises(KeyError), recording().connection.transaction:
        insert(2)
        raise KeyError
    assert recording.keys() == [{"subject": "M1", "session": 1}]
