"""Objects are exchanged with the real DataJoint: the same paths, references and content, both ways."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_panel.core.codec import decode_value, encode_value, get_codec
from dj_panel.core.settings import Settings
from dj_panel.core.storepath import content_hash, encoded_key_value, hash_path, object_path
from tests.blob_values import same
from tests.peer import Config, builtin_codecs, hash_registry, storage

KEY = {"mouse": "a/b", "day": date(2024, 1, 2), "n": 3}

THEIRS = {
    "hash": builtin_codecs.HashCodec,
    "blob": builtin_codecs.BlobCodec,
    "attach": builtin_codecs.AttachCodec,
    "object": builtin_codecs.ObjectCodec,
    "npy": builtin_codecs.NpyCodec,
    "filepath": builtin_codecs.FilepathCodec,
}


class Sides:
    """One store under both programs."""

    def __init__(self, folder: Path) -> None:
        (folder / "store" / "raw").mkdir(parents=True)
        (folder / "store" / "raw" / "scan.bin").write_bytes(b"12345")
        stores = {
            "default": "main",
            "filepath_default": "main",
            "main": {"protocol": "file", "location": str(folder / "store"), "subfolding": [2, 2]},
        }
        ours, theirs = Settings(), Config()
        ours.stores = stores
        theirs.stores = stores
        ours.download_path = str(folder / "ours")
        theirs.download_path = str(folder / "theirs")
        place = {"schema": "lab", "table": "_scan", "field": "movie"}
        self.our_context = {**place, "config": ours}
        self.their_context = {**place, "config": theirs}

    def we_encode(self, codec: str, value: Any) -> Any:
        return encode_value(f"<{codec}@main>", value, key=KEY, context=self.our_context)

    def we_decode(self, codec: str, stored: Any) -> Any:
        return decode_value(f"<{codec}@main>", stored, context=self.our_context)

    def they_encode(self, codec: str, value: Any) -> Any:
        theirs = THEIRS[codec]()
        if codec == "blob":
            return self.they_encode("hash", theirs.encode(value))
        if codec == "attach":
            return self.they_encode("hash", theirs.encode(value, context=self.their_context))
        return theirs.encode(value, key=dict(KEY), context=self.their_context, store_name="main")

    def they_decode(self, codec: str, stored: Any) -> Any:
        if codec == "blob":
            return THEIRS["blob"]().decode(self.they_decode("hash", stored))
        if codec == "attach":
            content = self.they_decode("hash", stored)
            return THEIRS["attach"]().decode(content, context=self.their_context)
        return THEIRS[codec]().decode(stored, key=None, context=self.their_context)


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


@pytest.fixture
def values(tmp_path: Path) -> dict[str, list[Any]]:
    folder = tmp_path / "recording.zarr"
    (folder / "c").mkdir(parents=True)
    (folder / "zarr.json").write_text("{}")
    (folder / "c" / "0").write_bytes(b"chunk")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "no_ending").write_text("hello")
    return {
        "hash": [b"content"],
        "blob": [{"a": np.arange(2000.0)}, [1, "two"]],
        "attach": [str(tmp_path / "notes.txt")],
        "object": [folder, tmp_path / "notes.txt", tmp_path / "no_ending", b"bytes", (".tif", b"image")],
        "npy": [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.zeros((0, 2), ">i4"), np.array(1)],
        "filepath": ["raw/scan.bin", "raw"],
    }


def content(codec: str, value: Any) -> Any:
    """Return what a fetched value holds, whichever program fetched it."""
    if codec == "attach":
        return Path(value).name, Path(value).read_bytes()
    if codec == "npy":
        return value.load()
    if codec in ("object", "filepath"):
        return sorted(value.listdir()) if value.is_dir else value.read()
    return value


@pytest.mark.parametrize("codec", THEIRS)
def test_the_references_have_the_same_keys_and_values(
    codec: str, sides: Sides, values: dict[str, list[Any]]
) -> None:
    for value in values[codec]:
        ours, theirs = sides.we_encode(codec, value), sides.they_encode(codec, value)
        assert list(ours) == list(theirs)
        if codec in ("object", "npy"):
            # The token is drawn anew for each object.
            for stored in (ours, theirs):
                stored["path"], n = re.subn(r"movie_[\w-]{8}", "movie_TOKEN", stored["path"])
                assert n == 1
        for stored in (ours, theirs):
            stored.pop("timestamp", None)
        assert ours == theirs


@pytest.mark.parametrize("codec", THEIRS)
def test_each_reads_the_objects_of_the_other(codec: str, sides: Sides, values: dict[str, list[Any]]) -> None:
    for value in values[codec]:
        ours, theirs = sides.we_encode(codec, value), sides.they_encode(codec, value)
        expected = content(codec, sides.they_decode(codec, theirs))
        for found in (
            sides.we_decode(codec, ours),
            sides.we_decode(codec, theirs),
            sides.they_decode(codec, ours),
        ):
            assert same(content(codec, found), expected)
        if codec == "object":
            assert sides.we_decode(codec, theirs).verify()
            assert sides.they_decode(codec, ours).verify()


def test_a_reference_without_a_store_is_in_the_default_one(sides: Sides) -> None:
    stored = {**sides.they_encode("npy", np.arange(3)), "store": None}
    assert sides.we_decode("npy", stored).load().tolist() == [0, 1, 2]


def test_garbage_collection_of_both_sees_the_same_paths(sides: Sides, values: dict[str, list[Any]]) -> None:
    for codec, theirs in THEIRS.items():
        stored = sides.they_encode(codec, values[codec][0])
        assert get_codec(codec).referenced_paths(stored) == theirs().referenced_paths(stored)


def test_an_attachment_inline_has_the_bytes_of_datajoint(tmp_path: Path) -> None:
    (tmp_path / "notes é.txt").write_bytes(b"a\0b")
    path = str(tmp_path / "notes é.txt")
    assert encode_value("<attach>", path) == builtin_codecs.AttachCodec().encode(path)


@given(st.binary(), st.lists(st.integers(1, 5), max_size=3))
def test_hashes_and_their_paths_are_those_of_datajoint(data: bytes, folds: list[int]) -> None:
    digest = content_hash(data)
    assert digest == hash_registry.compute_hash(data)
    expected = hash_registry.build_hash_path(digest, "lab", tuple(folds), hash_prefix="/h/x/")
    assert hash_path(digest, "lab", hash_prefix="/h/x/", subfolding=folds) == expected


@given(
    st.one_of(
        st.integers(),
        st.floats(),
        st.dates(),
        st.datetimes(),
        st.uuids(),
        st.decimals(),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=140),
    )
)
def test_key_values_are_written_in_paths_as_datajoint_does(
    value: int | float | date | datetime | UUID | Decimal | str,
) -> None:
    expected = storage.encode_pk_value(value)
    if len(expected) <= 200:
        assert encoded_key_value(value) == expected


@pytest.mark.parametrize("pattern", [None, "{day}/{mouse}", "{absent}", "mouse"])
def test_object_paths_are_those_of_datajoint(pattern: str | None) -> None:
    given_ = {"schema": "lab", "table": "_scan", "field": "movie", "ext": "tif", "partition_pattern": pattern}
    theirs, token = storage.build_object_path(**given_, primary_key=KEY, token_length=12, schema_prefix="/s")
    ours = object_path(**given_, key=KEY, token_length=12, schema_prefix="/s")  # type: ignore[arg-type]
    assert re.sub(r"movie_.{12}", "", ours) == theirs.replace(f"movie_{token}", "")
