"""Protocols for stores that other packages bring, under DataJoint's names."""

from __future__ import annotations

import logging
from typing import Any

import fsspec
import pytest

import dj_panel as dj
from dj_panel.core import storage
from dj_panel.core.store import Store


class Drawer(dj.StorageAdapter):
    """Keeps objects in memory, below a drawer."""

    protocol = "drawer"
    required_keys = ("drawer",)

    def create_filesystem(self, spec: dict[str, Any]) -> Any:
        return fsspec.filesystem("memory")

    def full_path(self, spec: dict[str, Any], relpath: str) -> str:
        return f"/{spec['drawer']}/{relpath}"


class Entry:
    """An entry point, as a package would have it."""

    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self._loaded = name, f"some_package:{name}", loaded

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with a protocol, and one that is broken."""
    monkeypatch.setattr(storage, "_adapters", {})
    monkeypatch.setattr(storage, "_loaded", [])
    entries = [Entry("broken", ImportError("no such library")), Entry("drawer", Drawer)]
    monkeypatch.setattr(
        "dj_panel.core.storage.metadata.entry_points",
        lambda group: entries if group == "datajoint.storage" else [],
    )


def test_a_protocol_of_an_installed_package_serves_a_store(caplog: pytest.LogCaptureFixture) -> None:
    adapter = dj.get_storage_adapter("drawer")
    assert isinstance(adapter, Drawer)
    assert dj.get_storage_adapter("nothing") is None
    assert "The storage 'broken' of some_package:broken could not be loaded: no such library" in caplog.text
    store = Store({"name": "mine", "protocol": "drawer", "drawer": "top"})
    store.put_bytes("a/b", b"content")
    assert store.fs.cat_file("/top/a/b") == b"content"
    assert store.get_bytes("a/b") == b"content"
    assert store.url("a/b") == "drawer://a/b"
    store.remove("a/b")
    with pytest.raises(dj.errors.UnsafePathError):
        store.full_path("../x")


@pytest.mark.parametrize(
    ("more", "message"),
    [({}, "has no drawer"), ({"drawer": "top", "drawr": 1}, "'drawr'.*Did you mean 'drawer'")],
)
def test_its_settings_are_checked(more: dict[str, Any], message: str) -> None:
    with pytest.raises(dj.errors.StoreError, match=message):
        _ = Store({"name": "mine", "protocol": "drawer", **more}).fs


def test_no_package_is_looked_for_where_the_protocol_is_known(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert dj.get_storage_adapter("file") is None
    assert caplog.text == ""


def test_a_codec_may_offer_its_values_to_spark() -> None:
    class Both(dj.SchemaCodec, register=False):
        name = "both"

        def encode(self, value: Any, **_: Any) -> Any:
            return value

        def decode(self, stored: Any, **_: Any) -> Any:
            return stored

        def to_spark(self, decoded: Any, *, key: dict[str, Any] | None = None) -> Any:
            return list(decoded)

    assert isinstance(Both(), dj.SparkAdapter)
    assert not isinstance(dj.get_codec("blob"), dj.SparkAdapter)
    with pytest.raises(dj.errors.CodecError, match="<both@>"):
        Both().get_dtype(is_store=False)
