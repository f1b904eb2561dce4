"""What codecs promise: the registry, the chain down to a column's type, and each built-in codec."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dj_panel.core import codec as codec_module
from dj_panel.core import codecs
from dj_panel.core.codec import (
    Codec,
    call_decode,
    call_encode,
    decode_value,
    encode_value,
    get_codec,
    is_codec_registered,
    list_codecs,
    parse_codec_type,
    resolve_chain,
    resolve_dtype,
    unregister_codec,
)
from dj_panel.core.errors import (
    CodecError,
    CorruptObjectError,
    DecodeError,
    EncodeError,
    MissingObjectError,
    StoreError,
    UnknownCodecError,
    UnsafePathError,
)
from dj_panel.core.objects import NpyRef, ObjectRef, StagedObject
from dj_panel.core.settings import Settings
from dj_panel.core.store import open_store


@pytest.fixture
def context(tmp_path: Path) -> dict[str, Any]:
    """Return what a codec is told about the attribute, with two stores to write to."""
    settings = Settings()
    for name in ("main", "rig"):
        (tmp_path / name).mkdir()
    settings.stores = {
        "default": "main",
        "filepath_default": "rig",
        "main": {"protocol": "file", "location": str(tmp_path / "main")},
        "rig": {"protocol": "file", "location": str(tmp_path / "rig"), "filepath_prefix": "raw"},
        "cold": {"protocol": "memory", "location": tmp_path.name, "subfolding": [2, 2]},
    }
    settings.download_path = str(tmp_path / "downloads")
    return {"schema": "lab", "table": "#scan", "field": "movie", "config": settings}


@pytest.fixture
def registry() -> Iterator[None]:
    """Forget the codecs that a test defines."""
    before = dict(codec_module._registry)
    yield
    codec_module._registry.clear()
    codec_module._registry.update(before)
    resolve_chain.cache_clear()


def round_trip(spec: str, value: Any, context: dict[str, Any], key: dict[str, Any] | None = None) -> Any:
    """Encode, pass through the JSON of a column, and decode."""
    stored = encode_value(spec, value, key=key or {"id": 1}, context=context)
    if resolve_dtype(spec) == "json":
        stored = json.dumps(stored)
    return decode_value(spec, stored, key=key, context=context)


# ------------------------------------------------------------------------------------------------ registry


@pytest.mark.parametrize(
    ("spec", "name", "store", "is_store"),
    [
        ("<blob>", "blob", None, False),
        ("<blob@>", "blob", None, True),
        ("<blob@main>", "blob", "main", True),
        (" < blob @ main > ".replace("< ", "<").replace(" >", ">"), "blob", "main", True),
        ("blob", "blob", None, False),
    ],
)
def test_a_type_is_taken_apart(spec: str, name: str, store: str | None, is_store: bool) -> None:
    assert parse_codec_type(spec) == (name, store, is_store)


@pytest.mark.parametrize(
    ("spec", "dtype", "names"),
    [
        ("<blob>", "bytes", ["blob"]),
        ("<blob@>", "json", ["blob", "hash"]),
        ("<attach>", "bytes", ["attach"]),
        ("<attach@cold>", "json", ["attach", "hash"]),
        ("<hash@>", "json", ["hash"]),
        ("<object@>", "json", ["object"]),
        ("<npy@main>", "json", ["npy"]),
        ("<filepath@>", "json", ["filepath"]),
    ],
)
def test_a_type_leads_to_the_type_of_its_column(spec: str, dtype: str, names: list[str]) -> None:
    assert resolve_dtype(spec) == dtype
    assert [codec.name for codec in resolve_chain(spec).codecs] == names


def test_the_store_may_be_given_apart_from_the_name() -> None:
    assert resolve_dtype("blob") == "bytes"
    assert resolve_dtype("blob", "") == "json"
    assert resolve_dtype("blob", "main") == "json"


@pytest.mark.parametrize("name", ["hash", "object", "npy", "filepath"])
def test_codecs_that_need_a_store_say_so(name: str) -> None:
    with pytest.raises(CodecError, match=f"Write <{name}@>"):
        resolve_dtype(f"<{name}>")


def test_an_unknown_codec_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownCodecError, match=r"no codec <blbo>\. Did you mean 'blob'\?"):
        get_codec("<blbo@main>")
    assert not is_codec_registered("blbo")
    assert {"attach", "blob", "filepath", "hash", "npy", "object"} <= set(list_codecs())


def test_a_subclass_registers_itself_and_is_found_on_the_way_down(
    registry: None, context: dict[str, Any]
) -> None:
    class Spikes(Codec):
        name = "spikes"

        def get_dtype(self, is_store: bool) -> str:
            return "<blob>"

        def encode(self, value: Any, *, key: Any = None, context: Any = None) -> Any:  # type: ignore[override]
            return {"times": np.asarray(value), "key": key, "field": context["field"]}

        def decode(self, stored: Any) -> Any:  # type: ignore[override]
            return stored["times"].tolist(), stored["key"], stored["field"]

    assert round_trip("<spikes@cold>", [1, 2], context) == ([1, 2], {"id": 1}, "movie")
    assert [codec.name for codec in resolve_chain("<spikes@cold>").codecs] == ["spikes", "blob", "hash"]
    unregister_codec("spikes")
    with pytest.raises(UnknownCodecError):
        resolve_dtype("<spikes>")
    with pytest.raises(UnknownCodecError):
        unregister_codec("spikes")


def define(module: str, dtype: str = "bytes", name: str = "thing") -> type[Codec]:
    """Define a codec as running a notebook's cell does."""
    body = {
        "__module__": module,
        "__qualname__": "Thing",
        "name": name,
        "get_dtype": lambda self, is_store: dtype,
        "encode": lambda self, value: value,
        "decode": lambda self, stored: stored,
    }
    return type("Thing", (Codec,), body)


def test_running_a_cell_twice_replaces_its_codec(registry: None) -> None:
    define("notebook")
    assert resolve_dtype("thing") == "bytes"
    second = define("notebook", "json")
    assert type(get_codec("thing")) is second
    assert resolve_dtype("thing") == "json"


def test_two_codecs_do_not_share_a_name(registry: None) -> None:
    define("notebook")
    with pytest.raises(CodecError, match=r"<thing> of other\.Thing cannot be registered: notebook\.Thing"):
        define("other")
    with pytest.raises(CodecError, match="is empty"):
        define("other", name="")


def test_codecs_that_lead_in_a_circle_are_refused(registry: None) -> None:
    define("notebook", "<thing>")
    with pytest.raises(CodecError, match="in a circle: <thing> comes twice"):
        resolve_dtype("<thing>")


def test_codecs_of_installed_packages_are_found_by_name(
    registry: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plugin_of_a_test.py").write_text(
        "class Foreign:\n"
        "    name = 'foreign'\n"
        "    def get_dtype(self, is_store): return 'json' if is_store else 'bytes'\n"
        "    def encode(self, value, *, key=None, store_name=None):\n"
        "        return [value, key['_schema'], store_name]\n"
        "    def decode(self, stored, *, key=None): return stored[0]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {
        "datajoint.codecs": [EntryPoint("foreign", "plugin_of_a_test:Foreign", "datajoint.codecs")],
        "datajoint.types": [EntryPoint("broken", "no_such_module:Codec", "datajoint.types")],
    }
    monkeypatch.setattr(codec_module._metadata, "entry_points", lambda group: found[group])
    monkeypatch.setattr(codec_module, "_loaded_groups", set())
    with caplog.at_level(logging.WARNING):
        assert resolve_dtype("<foreign>") == "bytes"
    assert "codec 'broken' of no_such_module:Codec could not be loaded" in caplog.text
    stored = encode_value("<foreign>", 5, key={"id": 1}, context={"schema": "lab"})
    assert stored == [5, "lab", None]
    assert decode_value("<foreign>", stored) == 5
    with pytest.raises(UnknownCodecError):
        get_codec("broken")
    del sys.modules["plugin_of_a_test"]


def test_only_the_keywords_of_the_signature_are_passed() -> None:
    class Old(Codec, register=False):
        name = "old"

        def get_dtype(self, is_store: bool) -> str:
            return "bytes"

        def encode(self, value: Any, *, key: Any = None, store_name: Any = None) -> Any:  # type: ignore[override]
            return value, key, store_name

        def decode(self, stored: Any, *, key: Any = None) -> Any:  # type: ignore[override]
            return stored, key

    hidden = {"id": 1, "_schema": "lab", "_config": None}
    context = {"schema": "lab", "config": None}
    assert call_encode(Old(), 5, key={"id": 1}, store_name="s", context=context) == (5, hidden, "s")
    assert call_decode(Old(), 5, key={"id": 1}, context=context) == (5, hidden)


def test_none_is_stored_as_none() -> None:
    assert encode_value("<blob>", None) is None
    assert decode_value("<npy@>", None) is None


def test_a_refused_value_is_reported_with_its_attribute(context: dict[str, Any]) -> None:
    with pytest.raises(EncodeError, match=r"^lab\.#scan\.movie: <npy@> takes an array, not list"):
        encode_value("<npy@>", [1, 2], context=context)
    with pytest.raises(EncodeError, match=r"^lab\.#scan\.movie: A value of type object"):
        encode_value("<blob>", object(), context=context)


def test_text_that_is_no_json_is_refused(context: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        decode_value("<npy@>", "{'path'", context=context)


# ----------------------------------------------------------------------------------------- blob and hash


@pytest.mark.parametrize("spec", ["<blob>", "<blob@>", "<blob@cold>"])
def test_a_blob_comes_back(spec: str, context: dict[str, Any]) -> None:
    value = {"trace": np.arange(5000.0), "note": "é", "nested": [1, None]}
    found = round_trip(spec, value, context)
    np.testing.assert_array_equal(found.pop("trace"), value.pop("trace"))
    assert found == value


def test_a_row_names_the_store_even_if_it_is_the_default(context: dict[str, Any]) -> None:
    for spec, value in (("<blob@>", 1), ("<npy@>", np.zeros(1)), ("<object@>", b"x")):
        assert encode_value(spec, value, key={"id": 1}, context=context)["store"] == "main"
    stored = encode_value("<blob@>", 1, context=context)
    context["config"].stores["default"] = "cold"
    assert decode_value("<blob@>", stored, context=context) == 1


def test_equal_bytes_are_stored_once_a_schema(context: dict[str, Any], tmp_path: Path) -> None:
    first = encode_value("<hash@>", b"content", context=context)
    assert first == encode_value("<hash@>", b"content", context=context)
    other = encode_value("<hash@>", b"content", context={**context, "schema": "other"})
    assert other["path"] != first["path"]
    assert len([path for path in (tmp_path / "main").rglob("*") if path.is_file()]) == 2


def test_bytes_that_were_cut_by_a_crash_are_stored_anew(context: dict[str, Any], tmp_path: Path) -> None:
    stored = encode_value("<hash@>", b"content", context=context)
    (tmp_path / "main" / stored["path"]).write_bytes(b"con")
    with pytest.raises(CorruptObjectError, match="other content"):
        decode_value("<hash@>", stored, context=context)
    assert encode_value("<hash@>", b"content", context=context) == stored
    assert decode_value("<hash@>", stored, context=context) == b"content"


def test_missing_bytes_are_named_with_store_and_path(context: dict[str, Any], tmp_path: Path) -> None:
    stored = encode_value("<hash@>", b"content", context=context)
    (tmp_path / "main" / stored["path"]).unlink()
    with pytest.raises(MissingObjectError, match=f"store 'main' has no object '{stored['path']}'"):
        decode_value("<hash@>", stored, context=context)


def test_a_stored_path_that_leads_elsewhere_is_refused(context: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    for path in (str(tmp_path / "secret"), "../secret"):
        for spec in ("<hash@main>", "<blob@main>", "<attach@main>"):
            with pytest.raises(UnsafePathError):
                decode_value(spec, {"path": path, "hash": "x", "store": "main"}, context=context)
        for spec in ("<object@main>", "<filepath@main>"):
            with pytest.raises(UnsafePathError):
                decode_value(spec, {"path": path, "store": "main", "size": 6}, context=context).read()
        with pytest.raises(UnsafePathError):
            decode_value("<npy@>", {"path": path, "shape": [1], "dtype": "u1"}, context=context).load()


def test_an_unconfigured_store_is_named(context: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=r"store 'colt' is not configured\. Did you mean 'cold'"):
        encode_value("<blob@colt>", 1, context=context)


# --------------------------------------------------------------------------------------------------- attach


@pytest.mark.parametrize("spec", ["<attach>", "<attach@>", "<attach@cold>"])
def test_an_attached_file_is_written_to_the_download_folder(
    spec: str, context: dict[str, Any], tmp_path: Path
) -> None:
    source = tmp_path / "protocol é.txt"
    source.write_bytes(b"one\0two")
    found = round_trip(spec, source, context)
    assert found == str(tmp_path / "downloads" / "protocol é.txt")
    assert Path(found).read_bytes() == b"one\0two"
    assert round_trip(spec, str(source), context) == found


def test_an_attached_file_never_replaces_another(context: dict[str, Any], tmp_path: Path) -> None:
    names = [
        Path(round_trip("<attach>", ("a.b.txt", content), context)).name
        for content in (b"1", b"2", b"3", b"2")
    ]
    assert names == ["a.b.txt", "a.b_1.txt", "a.b_2.txt", "a.b_1.txt"]
    assert sorted(os.listdir(tmp_path / "downloads")) == ["a.b.txt", "a.b_1.txt", "a.b_2.txt"]


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/cron.d/evil", "..\\..\\evil", "C:\\evil", "a/../evil", "./evil", "evil"]
)
def test_an_attached_file_stays_in_the_download_folder(
    name: str, context: dict[str, Any], tmp_path: Path
) -> None:
    found = decode_value("<attach>", name.encode() + b"\0content", context=context)
    assert Path(found) == tmp_path / "downloads" / "evil"
    assert round_trip("<attach>", (name, b"content"), context) == found


@pytest.mark.parametrize(
    "stored", [b"", b"no end", b"\0content", b"..\0content", b"a/\0content", b"\xff\0content"]
)
def test_bytes_without_a_name_are_no_attachment(
    stored: bytes, context: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(DecodeError, match="name"):
        decode_value("<attach>", stored, context=context)
    assert not list(tmp_path.glob("downloads/*"))


def test_what_cannot_be_attached_is_refused(context: dict[str, Any], tmp_path: Path) -> None:
    for value, message in [
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path, "is a folder"),
        (b"bytes", "takes a file's path"),
        (("..", b""), "not the name of a file"),
        (("name", "text"), "takes a file's path"),
    ]:
        with pytest.raises(EncodeError, match=message):
            encode_value("<attach>", value, context=context)


# -------------------------------------------------------------------------------------- object, npy, filepath


def test_every_kind_of_object_is_stored_and_referred_to(context: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file.tif").write_bytes(b"image")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "part").write_bytes(b"12")
    values: list[tuple[Any, str | None, bytes]] = [
        (str(tmp_path / "file.tif"), ".tif", b"image"),
        (tmp_path / "file.tif", ".tif", b"image"),
        (b"raw bytes", None, b"raw bytes"),
        ((".csv", b"1,2"), ".csv", b"1,2"),
        (("csv", io.BytesIO(b"1,2")), "csv", b"1,2"),
    ]
    for value, ext, content in values:
        ref = round_trip("<object@cold>", value, context, {"mouse": "a/b", "day": 2})
        assert isinstance(ref, ObjectRef)
        assert (ref.read(), ref.ext, ref.size, ref.store, ref.is_dir) == (
            content,
            ext,
            len(content),
            "cold",
            False,
        )
        assert ref.path.startswith("_schema/lab/#scan/mouse=a%2Fb/day=2/movie_")
        assert ref.path.endswith("." + ext.lstrip(".") if ext else ref.path[-1])
        assert ref.verify()
    folder = round_trip("<object@>", tmp_path / "folder", context)
    assert (folder.is_dir, folder.size, folder.item_count, folder.listdir()) == (True, 2, 1, ["part"])


def test_a_copied_row_gets_an_object_of_its_own(context: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "part").write_bytes(b"12")
    for value in (tmp_path / "folder", (".bin", b"content")):
        first = round_trip("<object@>", value, context, {"id": 1})
        second = round_trip("<object@cold>", first, context, {"id": 2})
        assert second.path != first.path
        first.backend.remove(first.path)
        assert second.verify()
        assert second.size == first.size


def test_an_object_written_in_place_is_described_and_not_copied(context: dict[str, Any]) -> None:
    store = open_store(context["config"], "main")
    path = codecs.ObjectCodec.new_path(store, {"id": 1}, context, ".zarr")
    store.map(path)["c/0"] = b"chunk"
    stored = encode_value("<object@main>", StagedObject(path, ".zarr"), context=context)
    assert {name: stored[name] for name in stored if name != "timestamp"} == {
        "path": path, "store": "main", "size": 5, "ext": ".zarr", "is_dir": True, "item_count": 1
    }  # fmt: skip
    with pytest.raises(MissingObjectError):
        encode_value("<object@main>", StagedObject("_schema/never"), context=context)


def test_a_reference_made_by_hand_is_no_object(context: dict[str, Any], tmp_path: Path) -> None:
    for value in ({"path": "/etc/passwd", "size": 1}, 5, ("a", "b"), ("a", b"b", "c")):
        with pytest.raises(EncodeError, match="takes the path of a file or folder"):
            encode_value("<object@>", value, context=context)
    with pytest.raises(EncodeError, match="no file or folder"):
        encode_value("<object@>", tmp_path / "none", context=context)
    with pytest.raises(EncodeError, match="ending"):
        encode_value("<object@>", ("/../../x", b""), context=context)


@pytest.mark.parametrize("spec", ["<npy@>", "<npy@cold>"])
def test_an_array_is_stored_as_npy_and_loaded_when_used(spec: str, context: dict[str, Any]) -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    ref = round_trip(spec, array, context)
    assert isinstance(ref, NpyRef)
    assert ref.path.endswith(".npy")
    assert not ref.is_loaded
    np.testing.assert_array_equal(ref, array)
    assert (
        np.load(io.BytesIO(open_store(context["config"], ref.store).get_bytes(ref.path))).tolist()
        == array.tolist()
    )
    np.testing.assert_array_equal(round_trip(spec, ref, context), array)


def test_an_array_that_npy_would_change_is_refused(context: dict[str, Any]) -> None:
    for array, message in [
        (np.array([None]), "no array of object"),
        (np.zeros(1, [("a", object)]), "no array of"),
        (np.ma.array([1, 2], mask=[False, True]), "mask would be lost"),
    ]:
        with pytest.raises(EncodeError, match=message):
            encode_value("<npy@>", array, context=context)


def test_a_file_in_a_store_is_referred_to_where_it_is(context: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rig" / "raw" / "day1").mkdir(parents=True)
    (tmp_path / "rig" / "raw" / "day1" / "scan.bin").write_bytes(b"12345")
    ref = round_trip("<filepath@>", "./raw/day1/scan.bin", context)
    assert (ref.path, ref.store, ref.size, ref.is_dir, ref.read()) == (
        "raw/day1/scan.bin", "rig", 5, False, b"12345"
    )  # fmt: skip
    folder = round_trip("<filepath@rig>", Path("raw/day1"), context)
    assert (folder.is_dir, folder.size, folder.listdir()) == (True, None, ["scan.bin"])


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("_hash/lab/x", EncodeError, "holds other codecs' objects"),
        ("./_hash/lab/x", EncodeError, "holds other codecs' objects"),
        ("a/../_schema", EncodeError, "holds other codecs' objects"),
        ("elsewhere/x", EncodeError, "does not lie in 'raw'"),
        ("rawer/x", EncodeError, "does not lie in 'raw'"),
        ("raw/none", MissingObjectError, "no object 'raw/none'"),
        ("/etc/passwd", UnsafePathError, "does not lie in the store 'rig'"),
        ("raw/../../x", UnsafePathError, "does not lie in the store 'rig'"),
        (5, EncodeError, "takes a path"),
    ],
)
def test_a_path_that_is_not_free_to_refer_to_is_refused(
    path: Any, error: type[Exception], message: str, context: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        encode_value("<filepath@rig>", path, context=context)


def test_garbage_collection_learns_what_a_row_refers_to(context: dict[str, Any]) -> None:
    stored = encode_value("<npy@>", np.zeros(1), key={"id": 1}, context=context)
    codec = get_codec("npy")
    for form in (stored, json.dumps(stored)):
        assert codec.referenced_paths(form) == [(stored["path"], "main")]
    for nothing in (b"bytes", "text", None, {"a": 1}):
        assert codec.referenced_paths(nothing) == []


def test_a_codec_written_for_datajoint_stores_and_reads(registry: None, context: dict[str, Any]) -> None:
    class Table(codecs.SchemaCodec):
        name = "tsv"

        def encode(self, value: Any, *, key: Any = None, context: Any = None, store_name: Any = None) -> Any:
            schema, table, field, primary_key = self._extract_context(key, context)
            config = self._codec_config(key, context)
            path, token = self._build_path(
                schema, table, field, primary_key, ext=".tsv", store_name=store_name, config=config
            )
            self._get_backend(store_name, config=config).put_buffer("\t".join(value).encode(), path)
            return {"path": path, "store": store_name, "token": token}

        def decode(self, stored: Any, *, key: Any = None, context: Any = None) -> Any:
            backend = self._get_backend(stored["store"], config=self._codec_config(key, context))
            assert backend.exists(stored["path"])
            assert stored["token"] in stored["path"]
            return backend.get_buffer(stored["path"]).decode().split("\t")

    assert round_trip("<tsv@>", ["a", "b"], context) == ["a", "b"]


def test_a_codec_written_for_datajoint_finds_the_methods_of_its_stores(
    context: dict[str, Any], tmp_path: Path
) -> None:
    class Probe(codecs.ObjectCodec, register=False):
        name = "probe"

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "part").write_bytes(b"12")
    backend = Probe()._get_backend("cold", config=context["config"])
    backend.put_buffer(b"123", "a/file")
    backend.put_file(tmp_path / "folder" / "part", "a/copy")
    assert backend.put_folder(tmp_path / "folder", "a/folder")["item_count"] == 1
    assert (backend.size("a/file"), backend.open("a/copy").read()) == (3, b"12")
    assert backend.isdir("a/folder")
    assert dict(backend.get_fsmap("a/folder")) == {"part": b"12"}
    assert backend.get_url("a/file") == f"memory://{tmp_path.name}/a/file"
    assert backend.fs.cat_file(backend._full_path("a/file")) == b"123"
    assert (backend.protocol, backend.spec["name"]) == ("memory", "cold")
    backend.get_file("a/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"123"
    backend.remove("a/file")
    backend.remove_folder("a/folder")
    assert not backend.exists("a/file")
    assert not backend.exists("a/folder")


@pytest.mark.parametrize("spec", ["<hash@>", "<object@>", "<npy@>", "<filepath@>"])
@pytest.mark.parametrize("stored", ["[]", "5", "{}", '{"path": 1}', '"text"'])
def test_json_that_is_no_reference_is_refused(spec: str, stored: str, context: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="has no path"):
        decode_value(spec, stored, context=context)


def test_a_column_that_holds_no_bytes_is_refused(context: dict[str, Any]) -> None:
    for spec in ("<blob>", "<attach>"):
        with pytest.raises(DecodeError, match="is str, not bytes"):
            decode_value(spec, "text", context=context)
    with pytest.raises(DecodeError, match="has no hash"):
        decode_value("<hash@>", {"path": "a"}, context=context)
