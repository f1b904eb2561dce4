"""The base of codecs that give each row an object of its own, at a path that mirrors the schema."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dj_panel.core.codec import Codec
from dj_panel.core.errors import CodecError
from dj_panel.core.store import Store, open_store
from dj_panel.core.storepath import object_path

_noted: ContextVar[list[tuple[Store, str]] | None] = ContextVar("noted", default=None)


@contextmanager
def noted_paths() -> Iterator[list[tuple[Store, str]]]:
    """Collect the store and path of every object that codecs of this kind write in the block, in this thread.

    For whoever inserts a row, and removes its objects if the row is refused.
    """
    noted: list[tuple[Store, str]] = []
    before = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(before)


class SchemaCodec(Codec, register=False):
    """A codec whose objects lie at ``{schema}/{table}/{key}/{field}_{token}``.

    A subclass has a `name`, `encode` and `decode`. `new_path` and `store` are what those need. The methods
    with an underscore are DataJoint's names for the same, so that codecs written for it work here.
    """

    def get_dtype(self, is_store: bool) -> str:
        """Return ``json``.

        Raises
        ------
        CodecError
            Without ``@``.
        """
        if not is_store:
            raise CodecError(
                f"<{self.name}> keeps values in a store only. Write <{self.name}@> or <{self.name}@store>."
            )
        return "json"

    @staticmethod
    def store(name: str | None, context: Mapping[str, Any] | None) -> Store:
        """Return the store of a name, by the settings in the context."""
        return open_store((context or {})["config"], name)

    @staticmethod
    def new_path(
        store: Store, key: Mapping[str, Any] | None, context: Mapping[str, Any] | None, ext: str | None = None
    ) -> str:
        """Return a new path in a store for an object of the row with a key."""
        context = context or {}
        path = object_path(
            schema=context.get("schema", "unknown"),
            table=context.get("table", "unknown"),
            field=context.get("field", "data"),
            key=key or {},
            ext=ext,
            schema_prefix=store.spec.get("schema_prefix", "_schema"),
            partition_pattern=store.spec.get("partition_pattern"),
            token_length=store.spec.get("token_length", 8),
        )
        noted = _noted.get()
        if noted is not None:
            noted.append((store, path))
        return path

    def _extract_context(
        self, key: Mapping[str, Any] | None, context: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str, dict[str, Any]]:
        """Return schema, table, field and primary key."""
        given = {name[1:]: value for name, value in (key or {}).items() if name.startswith("_")}
        given |= context or {}
        primary_key = {name: value for name, value in (key or {}).items() if not name.startswith("_")}
        names = given.get("schema", "unknown"), given.get("table", "unknown"), given.get("field", "data")
        return *names, primary_key

    def _build_path(
        self,
        schema: str,
        table: str,
        field: str,
        primary_key: Mapping[str, Any],
        ext: str | None = None,
        store_name: str | None = None,
        config: Any = None,
    ) -> tuple[str, str]:
        """Return a new path and the token in it."""
        context = {"schema": schema, "table": table, "field": field}
        path = self.new_path(open_store(config, store_name), primary_key, context, ext)
        token = path.rpartition("/")[2].removeprefix(f"{field}_").partition(".")[0]
        return path, token

    def _get_backend(self, store_name: str | None = None, config: Any = None) -> StorageBackend:
        """Return a store with the methods that DataJoint's have."""
        return StorageBackend(open_store(config, store_name))


class StorageBackend:
    """A store under the names of DataJoint's methods, for codecs written for it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.spec = store.spec
        self.protocol = store.protocol

    @property
    def fs(self) -> Any:
        """The fsspec filesystem."""
        return self.store.fs

    def _full_path(self, path: str | os.PathLike[str]) -> str:
        return self.store.full_path(path)

    def get_url(self, remote_path: str) -> str:
        """Return the address of an object."""
        return self.store.url(str(remote_path))

    def get_fsmap(self, remote_path: str) -> Any:
        """Return a folder as a mapping."""
        return self.store.map(str(remote_path))

    def put_buffer(self, buffer: bytes, remote_path: str) -> None:
        """Write a file."""
        self.store.put_bytes(str(remote_path), buffer)

    def put_file(self, local_path: str | os.PathLike[str], remote_path: str) -> None:
        """Copy a local file into the store."""
        self.store.put_file(str(remote_path), local_path)

    def put_folder(self, local_path: str | os.PathLike[str], remote_path: str) -> dict[str, Any]:
        """Copy a local folder into the store."""
        return self.store.put_directory(str(remote_path), local_path)

    def get_buffer(self, remote_path: str) -> bytes:
        """Return the content of a file."""
        return self.store.get_bytes(str(remote_path))

    def get_file(self, remote_path: str, local_path: str | os.PathLike[str]) -> None:
        """Copy a file to the local disk."""
        self.store.get_file(str(remote_path), local_path)

    def open(self, remote_path: str, mode: str = "rb") -> Any:
        """Open a file."""
        return self.store.open(str(remote_path), mode)

    def exists(self, remote_path: str) -> bool:
        """Return whether there is a file or folder."""
        return self.store.exists(str(remote_path))

    def isdir(self, remote_path: str) -> bool:
        """Return whether there is a folder."""
        return self.store.is_dir(str(remote_path))

    def size(self, remote_path: str) -> int:
        """Return the bytes of a file."""
        return self.store.size(str(remote_path))

    def remove(self, remote_path: str) -> None:
        """Remove a file."""
        self.store.remove(str(remote_path))

    def remove_folder(self, remote_path: str) -> None:
        """Remove a folder."""
        self.store.remove(str(remote_path))
