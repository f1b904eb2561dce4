"""What stores promise: nothing outside, nothing half-written, and errors that say where to look."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr

from dj_panel.core.errors import (
    CorruptObjectError,
    DecodeError,
    EncodeError,
    MissingObjectError,
    StoreError,
    UnsafePathError,
)
from dj_panel.core.objects import NpyRef, ObjectRef, object_metadata
from dj_panel.core.settings import Settings
from dj_panel.core.store import Store, open_store
from dj_panel.core.storepath import contained, encoded_key_value, hash_path, new_token, object_path


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "file":
        root = tmp_path / "store"
        root.mkdir()
        yield Store({"name": "main", "protocol": "file", "location": str(root)})
        return
    location = uuid.uuid4().hex
    yield Store({"name": "main", "protocol": "memory", "location": location})
    memory = fsspec.filesystem("memory")
    if memory.exists(location):
        memory.rm(location, recursive=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as Zarr writes them: files in folders, one empty, one hidden."""
    top = tmp_path / "recording.zarr"
    (top / "c" / "0").mkdir(parents=True)
    (top / "zarr.json").write_text("{}")
    (top / ".zgroup").write_text("")
    (top / "c" / "0" / "1").write_bytes(bytes(1000))
    return top


FOLDER_FILES = {"zarr.json": 2, ".zgroup": 0, "c/0/1": 1000}


def test_bytes_come_back(store: Store) -> None:
    store.put_bytes("a/b/c.bin", b"content")
    assert store.get_bytes("a/b/c.bin") == b"content"
    assert store.size("a/b/c.bin") == 7
    assert store.exists("a/b/c.bin")
    assert store.is_dir("a/b")
    assert not store.is_dir("a/b/c.bin")
    assert store.listdir("a/b") == ["c.bin"]
    assert store.sections() == ["a"]
    with store.open("a/b/c.bin") as stream:
        assert stream.read(3) == b"con"


def test_writing_again_replaces_the_file_and_leaves_nothing_beside_it(store: Store) -> None:
    store.put_bytes("a/x", b"one")
    store.put_bytes("a/x", b"two")
    assert store.get_bytes("a/x") == b"two"
    assert store.listdir("a") == ["x"]


def test_a_removed_object_is_gone_and_removing_it_again_is_no_error(store: Store, folder: Path) -> None:
    store.put_bytes("x", b"1")
    store.put_directory("d", folder)
    for path in ("x", "d", "x", "d"):
        store.remove(path)
    assert not store.exists("x")
    assert not store.exists("d")
    assert not store.exists("d.manifest.json")


def test_what_is_missing_is_named_with_its_store(store: Store) -> None:
    for ask in (store.get_bytes, store.size, store.listdir, lambda path: list(store.files(path)), store.open):
        with pytest.raises(MissingObjectError, match=r"store 'main' has no object 'no/such'.*backup"):
            ask("no/such")


def test_a_folder_is_copied_with_its_manifest(store: Store, folder: Path) -> None:
    manifest = store.put_directory("deep/object", folder)
    assert dict(store.files("deep/object")) == FOLDER_FILES
    assert {entry["path"]: entry["size"] for entry in manifest["files"]} == FOLDER_FILES
    assert (manifest["total_size"], manifest["item_count"]) == (1002, 3)
    assert json.loads(store.get_bytes("deep/object.manifest.json")) == manifest
    assert store.listdir("deep") == ["object", "object.manifest.json"]


def test_an_object_is_copied_from_another_store(store: Store, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Store({"name": "other", "protocol": "file", "location": str(tmp_path / "other")})
    store.put_directory("d", folder)
    store.put_bytes("f", b"12345")
    other.copy_from(store, "d", "copied")
    assert dict(other.files("copied")) == FOLDER_FILES
    assert other.copy_from(store, "f", "file") == 5


def test_a_folder_within_itself_is_refused(store: Store, folder: Path) -> None:
    (folder / "again").symlink_to(folder)
    with pytest.raises(StoreError, match="holds itself through the link again"):
        store.put_directory("d", folder)
    assert not store.exists("d")


def test_links_in_a_folder_are_followed(store: Store, folder: Path) -> None:
    (folder / "linked").symlink_to(folder / "c")
    store.put_directory("d", folder)
    assert dict(store.files("d"))["linked/0/1"] == 1000


class BrokenStream(io.RawIOBase):
    """A file on a disk that fails after the first bytes."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        if self.reads > 1:
            raise OSError("the disk is gone")
        return b"first bytes"


def test_a_file_whose_source_fails_does_not_appear(store: Store) -> None:
    store.put_bytes("d/old", b"old")
    for path in ("d/new", "d/old"):
        with pytest.raises(StoreError, match=f"failed to write '{path}': the disk is gone"):
            store.put_stream(path, BrokenStream())  # type: ignore[arg-type]
    assert store.listdir("d") == ["old"]
    assert store.get_bytes("d/old") == b"old"


def test_a_local_folder_whose_copy_fails_does_not_appear(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "store").mkdir()
    local = Store({"name": "main", "protocol": "file", "location": str(tmp_path / "store")})
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        local.put_directory("x/d", folder)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert not local.exists("x/d")


def test_a_large_file_is_copied_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    local = Store({"name": "main", "protocol": "file", "location": str(tmp_path / "store")})
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        local.put_file("copy", source)
        local.get_file("copy", tmp_path / "back")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "back").stat().st_size == 64 << 20
    assert peak < 16 << 20


HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "/etc/passwd",
    "//etc/passwd",
    "a\0b",
    "C:\\Windows\\x",
    "c:/Windows",
    "\\\\server\\share",
    "..\\x",
    "a\\..\\..\\x",
    "./../x",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_path_leads_out_of_the_store(store: Store, path: str) -> None:
    for act in (
        store.get_bytes,
        store.exists,
        store.size,
        store.listdir,
        store.remove,
        store.open,
        store.map,
    ):
        with pytest.raises(UnsafePathError, match="does not lie in the store 'main'"):
            act(path)
    with pytest.raises(UnsafePathError):
        store.put_bytes(path, b"")


def test_no_link_leads_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "store" / "door").symlink_to(tmp_path)
    local = Store({"name": "main", "protocol": "file", "location": str(tmp_path / "store")})
    with pytest.raises(UnsafePathError, match=r"'door/secret' leads out of the store 'main' through a link"):
        local.get_bytes("door/secret")


def test_a_store_behind_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    local = Store({"name": "main", "protocol": "file", "location": str(tmp_path / "store")})
    local.put_bytes("a", b"1")
    assert (tmp_path / "disk" / "a").read_bytes() == b"1"


def test_an_unmounted_store_is_an_error_and_no_new_folder(tmp_path: Path) -> None:
    local = Store({"name": "nas", "protocol": "file", "location": str(tmp_path / "nas")})
    with pytest.raises(StoreError, match=r"of the store 'nas' does not exist\. Create it, or mount"):
        local.put_bytes("a", b"1")
    assert not (tmp_path / "nas").exists()


def test_the_url_of_an_object_names_protocol_and_place(tmp_path: Path) -> None:
    assert Store({"protocol": "file", "location": str(tmp_path)}).url("a b") == f"{tmp_path.as_uri()}/a%20b"
    assert Store({"protocol": "s3", "bucket": "lab", "location": "/raw/"}).url("x/y") == "s3://lab/raw/x/y"
    assert Store({"protocol": "gcs", "bucket": "lab"}).url("x") == "gs://lab/x"
    assert Store({"protocol": "azure", "container": "lab", "location": "raw"}).url("x") == "az://lab/raw/x"


def test_a_store_whose_package_is_missing_or_half_configured_says_so() -> None:
    with pytest.raises(StoreError, match="store 'x' cannot be opened"):
        _ = Store({"name": "x", "protocol": "nosuchprotocol"}).fs
    with pytest.raises(StoreError, match="only one of access_key and secret_key"):
        _ = Store({"name": "x", "protocol": "s3", "bucket": "b", "access_key": "k"}).fs


def test_the_settings_name_the_default_store(tmp_path: Path) -> None:
    settings = Settings()
    settings.stores = {"default": "main", "main": {"protocol": "file", "location": str(tmp_path)}}
    assert open_store(settings).name == "main"
    assert open_store(settings, "").name == "main"
    settings.stores["filepath_default"] = "rig"
    settings.stores["rig"] = {"protocol": "memory", "location": "rig"}
    assert open_store(settings, use_filepath_default=True).name == "rig"


# --------------------------------------------------------------------------------------------------- paths


def test_paths_are_given_their_shortest_form() -> None:
    assert contained("./a//b/../c/") == "a/c"
    assert contained(Path("a") / "b") == "a/b"


def test_subfolders_of_hashes_are_cut_from_their_start() -> None:
    digest = "saavbgb42jh3bvuwh56sryl7oi"
    assert hash_path(digest, "lab", hash_prefix="/h/", subfolding=(2, 2)) == f"h/lab/sa/av/{digest}"
    assert hash_path(digest, "lab") == f"_hash/lab/{digest}"


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (7, "7"),
        (2.5, "2.5"),
        (np.int64(7), "7"),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4, 5, 678), "2024-01-02T03-04-05"),
        ("plain text é", "plain text é"),
        ("a/b:c", "a%2Fb%3Ac"),
        ("..", ".."),
        ("nul\0", "nul%00"),
        ("x" * 120, "x" * 50 + "_fb98667f"),
    ],
)
def test_key_values_are_written_as_paths_can_hold_them(value: Any, encoded: str) -> None:
    assert encoded_key_value(value) == encoded


def test_no_key_value_makes_a_name_that_a_disk_refuses(tmp_path: Path) -> None:
    for text in ("日" * 100, "😀" * 300, "é/" * 50, "\n" * 90):
        (tmp_path / f"attribute={encoded_key_value(text)}").mkdir()
    assert len(os.listdir(tmp_path)) == 4


def test_an_object_lies_under_schema_table_and_key() -> None:
    path = object_path(
        schema="lab", table="_scan", field="movie", key={"m": "a", "d": date(2024, 1, 2)}, ext="tif"
    )
    assert path[:-12] == "_schema/lab/_scan/m=a/d=2024-01-02/movie_"
    assert path.endswith(".tif")
    partitioned = object_path(
        schema="lab",
        table="t",
        field="f",
        key={"a": 1, "b": 2},
        partition_pattern="{b}/{x}",
        schema_prefix="s",
    )
    assert partitioned[:-8] == "s/b=2/lab/t/a=1/f_"


def test_no_ending_adds_a_folder_to_a_path() -> None:
    for ext in ("/../../x", "..", ".a/b", "\\x", ".\0"):
        with pytest.raises(EncodeError, match="ending"):
            object_path(schema="s", table="t", field="f", key={}, ext=ext)


def test_tokens_have_the_length_that_is_asked_for_within_bounds() -> None:
    assert [len(new_token(n)) for n in (1, 4, 8, 99)] == [4, 4, 8, 16]
    assert len({new_token() for _ in range(1000)}) == 1000


# ----------------------------------------------------------------------------------------------- references


def file_reference(store: Store, content: bytes = b"content") -> ObjectRef:
    store.put_bytes("o/f_1.csv", content)
    return ObjectRef.from_json(object_metadata(store, "o/f_1.csv", ".csv"), store)


def test_a_reference_to_a_file_reads_it(store: Store, tmp_path: Path) -> None:
    ref = file_reference(store)
    assert (ref.size, ref.is_dir, ref.ext, ref.store, ref.mime_type) == (7, False, ".csv", "main", "text/csv")
    assert ref.read() == b"content"
    assert ref.open(mode="rb").read() == b"content"
    assert ref.exists()
    assert ref.verify()
    assert ref.download(tmp_path).read_bytes() == b"content"
    assert ref.download(tmp_path / "new" / "name").name == "name"
    assert ref.url is not None
    assert ref.url.endswith("/o/f_1.csv")
    assert str(ref) == "o/f_1.csv"
    with pytest.raises(StoreError, match="is a file"):
        ref.listdir()


def test_a_reference_to_a_folder_walks_it(store: Store, folder: Path, tmp_path: Path) -> None:
    store.put_directory("o/d", folder)
    ref = ObjectRef.from_json(json.dumps(object_metadata(store, "o/d")), store)
    assert (ref.size, ref.is_dir, ref.item_count, ref.mime_type) == (1002, True, 3, None)
    assert ref.listdir() == [".zgroup", "c", "zarr.json"]
    assert ref.listdir("c/0") == ["1"]
    assert list(ref.walk()) == [("", ["c"], [".zgroup", "zarr.json"]), ("c", ["0"], []), ("c/0", [], ["1"])]
    assert ref.open("zarr.json").read() == b"{}"
    assert bytes(ref.fsmap["zarr.json"]) == b"{}"
    assert ref.exists("c/0/1")
    assert not ref.exists("c/9")
    assert ref.verify()
    ref.download(tmp_path / "copy")
    assert (tmp_path / "copy" / "c" / "0" / "1").stat().st_size == 1000
    assert ref.download(tmp_path / "one", "zarr.json").read_bytes() == b"{}"
    with pytest.raises(StoreError, match="is a folder"):
        ref.read()


def test_zarr_opens_a_reference_to_its_folder(store: Store, tmp_path: Path) -> None:
    source = zarr.create_array(str(tmp_path / "z.zarr"), shape=(4, 6), chunks=(2, 3), dtype="f4")
    source[:] = np.arange(24).reshape(4, 6)
    store.put_directory("o/z", tmp_path / "z.zarr")
    array = zarr.open_array(ObjectRef.from_json(object_metadata(store, "o/z"), store).fsmap, mode="r")
    np.testing.assert_array_equal(array[1:3, 2:4], [[8, 9], [14, 15]])


def test_no_subpath_leads_out_of_a_folder(store: Store, folder: Path) -> None:
    store.put_directory("o/d", folder)
    store.put_bytes("o/other", b"of another row")
    ref = ObjectRef.from_json(object_metadata(store, "o/d"), store)
    for act in (ref.open, ref.listdir, ref.exists, lambda path: ref.download("x", path)):
        with pytest.raises(UnsafePathError):
            act("../other")


def test_a_reference_with_a_hostile_path_reads_nothing(store: Store) -> None:
    for path in ("/etc/passwd", "../../../etc/passwd"):
        ref = ObjectRef.from_json({"path": path, "size": 1}, store)
        assert ref.url is None
        with pytest.raises(UnsafePathError):
            ref.read()


def test_a_stored_object_is_not_opened_for_writing(store: Store) -> None:
    with pytest.raises(StoreError, match="read-only"):
        file_reference(store).open(mode="wb")


def test_a_damaged_object_fails_verification(store: Store, folder: Path) -> None:
    ref = file_reference(store)
    store.put_bytes("o/f_1.csv", b"shorter"[:3])
    with pytest.raises(CorruptObjectError, match="has 3 bytes, and 7 were stored"):
        ref.verify()
    ref.hash = "saavbgb42jh3bvuwh56sryl7oi"
    store.put_bytes("o/f_1.csv", b"CONTENT")
    with pytest.raises(CorruptObjectError, match="other content"):
        ref.verify()
    store.remove("o/f_1.csv")
    with pytest.raises(MissingObjectError):
        ref.verify()

    store.put_directory("o/d", folder)
    whole = ObjectRef.from_json(object_metadata(store, "o/d"), store)
    store.put_bytes("o/d/zarr.json", b"changed")
    with pytest.raises(CorruptObjectError, match=r"7 bytes in 'zarr.json', and 2 were stored"):
        whole.verify()
    store.remove("o/d/c/0/1")
    with pytest.raises(MissingObjectError, match=r"lacks 1 of its files, the first being 'c/0/1'"):
        whole.verify()
    store.put_bytes("o/d.manifest.json", b"{}")
    with pytest.raises(CorruptObjectError, match="list of files"):
        whole.verify()
    store.remove("o/d.manifest.json")
    with pytest.raises(CorruptObjectError, match="has 7 bytes, and 1,002 were stored"):
        whole.verify()


def test_a_reference_survives_json() -> None:
    ref = ObjectRef.from_json(
        {"path": "a/b.tif", "size": 5, "timestamp": "2026-01-02T03:04:05+00:00", "store": "x"}
    )
    assert ObjectRef.from_json(json.dumps(ref.to_json())) == ref
    with pytest.raises(StoreError, match="has no store"):
        ref.read()
    for broken in ({}, {"path": 3}, {"path": "a", "timestamp": "yesterday"}):
        with pytest.raises(DecodeError):
            ObjectRef.from_json(broken)


ARRAYS = [
    np.arange(24.0).reshape(2, 3, 4),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.zeros((0, 3)),
    np.array(5.0),
    np.array(["a", "bcd"]),
    np.array(["2020-01-01"], "M8[D]"),
    np.array([(1, [2.0, 3.0])], [("a", "<i4"), ("b", "<f8", 2)]),
    np.array([1 + 2j, np.nan]),
]


def stored_array(store: Store, array: np.ndarray[Any, Any]) -> NpyRef:
    with store.writing("o/a.npy") as target:
        np.lib.format.write_array(target, array, allow_pickle=False)
    return NpyRef(
        {"path": "o/a.npy", "store": "main", "dtype": str(array.dtype), "shape": list(array.shape)}, store
    )


@pytest.mark.parametrize("array", ARRAYS, ids=[str(array.dtype) for array in ARRAYS])
def test_an_array_comes_back_from_its_file(store: Store, array: np.ndarray[Any, Any]) -> None:
    ref = stored_array(store, array)
    assert (ref.shape, ref.dtype, ref.ndim, ref.size, ref.nbytes) == (
        array.shape, array.dtype, array.ndim, array.size, array.nbytes
    )  # fmt: skip
    assert not ref.is_loaded
    assert ref.read_header()[0] == array.shape
    np.testing.assert_array_equal(ref.load("r"), array)
    np.testing.assert_array_equal(ref.load(), array)
    np.testing.assert_array_equal(np.asarray(ref), array)
    assert ref.load() is ref.load()
    assert ref.load().dtype == array.dtype


def test_numpy_takes_a_reference_as_an_array(store: Store) -> None:
    ref = stored_array(store, np.arange(10.0))
    assert np.mean(ref) == 4.5
    assert np.asarray(ref, np.float32).dtype == np.float32
    assert len(ref) == 10
    np.testing.assert_array_equal(ref[2:4], [2, 3])
    assert ref.is_local == (store.protocol == "file")
    assert "not loaded" in repr(stored_array(store, np.arange(3)))
    with pytest.raises(TypeError, match="without dimensions"):
        len(stored_array(store, np.array(1.0)))


def test_a_slice_of_a_local_array_reads_only_that(tmp_path: Path) -> None:
    local = Store({"name": "main", "protocol": "file", "location": str(tmp_path)})
    ref = stored_array(local, np.arange(4_000_000.0))
    tracemalloc.start()
    try:
        part = ref[1000:1010]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(part) is np.ndarray
    assert part[0] == 1000
    assert ref[7] == 7
    assert not ref.is_loaded
    assert peak < 1_000_000


def test_a_stored_array_cannot_be_changed_through_its_reference(store: Store) -> None:
    ref = stored_array(store, np.arange(3.0))
    with pytest.raises(ValueError, match="Use 'c'"):
        ref.load("r+")
    copy = ref.load("c")
    copy[0] = 9
    assert store.get_bytes("o/a.npy").endswith(np.arange(3.0).tobytes())


def test_an_array_that_is_not_the_stored_one_is_refused(store: Store) -> None:
    ref = stored_array(store, np.arange(3.0))
    whole = store.get_bytes("o/a.npy")
    lie = whole.replace(b"(3,), }" + b" " * 10, b"(99999999999,), }")
    huge = NpyRef({"path": "o/a.npy", "dtype": "float64", "shape": [99_999_999_999]}, store)
    pickled = io.BytesIO()
    np.save(pickled, np.array([None, 1, "x"], object), allow_pickle=True)
    for content, message in [
        (whole[:-1], "151 bytes, and 152"),
        (b"junk", "not a .npy file"),
        (whole[:8] + b"\xff\xff" + whole[10:], "header"),
        (whole[:6] + b"\2\0\xff\xff\xff\xff", "not a .npy"),
        (lie, "99999999999"),
        (pickled.getvalue(), "holds object"),
    ]:
        store.put_bytes("o/a.npy", content)
        for read in (ref.load, ref.read_header):
            with pytest.raises(CorruptObjectError, match=message):
                read()
    store.put_bytes("o/a.npy", lie)
    with pytest.raises(CorruptObjectError, match="152 bytes, and 800,000,000,120"):
        huge.load()
    store.remove("o/a.npy")
    with pytest.raises(MissingObjectError):
        ref.load()


def test_a_row_that_describes_no_array_is_refused(store: Store) -> None:
    for broken in (
        {},
        {"path": "a"},
        {"path": "a", "shape": [-1]},
        {"path": "a", "shape": "12"},
        "text",
        None,
    ):
        with pytest.raises(DecodeError):
            NpyRef(broken, store)  # type: ignore[arg-type]
    with pytest.raises(DecodeError, match="no usable type"):
        _ = NpyRef({"path": "a", "shape": [], "dtype": "banana"}, store).dtype
