"""References to what lies in an object store: fetched with a row, read only when asked.

`ObjectRef` stands for a file or a folder, `NpyRef` for an array in a ``.npy`` file. Neither touches the
store before one of its methods needs it, so a table of large objects is fetched as fast as one of small.

Source: DataJoint 2.3, `reference/specs/object-store`, `reference/specs/npy-codec`.
"""

from __future__ import annotations

import json
import mimetypes
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dj_panel.core.errors import CorruptObjectError, DecodeError, MissingObjectError, StoreError
from dj_panel.core.npyref import NpyRef, stored_reference
from dj_panel.core.store import MANIFEST_SUFFIX, Store
from dj_panel.core.storepath import contained, content_hash

__all__ = ["NpyRef", "ObjectRef", "StagedObject", "object_metadata"]


@dataclass(frozen=True)
class StagedObject:
    """An object that was written straight into its place, for a row to be inserted with.

    Attributes
    ----------
    path
        Where it is in the store, made by `dj_panel.core.storepath.object_path`.
    ext
        The ending that its name was given, or ``None``.
    """

    path: str
    ext: str | None = None


def object_metadata(store: Store, path: str, ext: str | None = None) -> dict[str, Any]:
    """Return what a row says of an object that is in its place: the JSON of ``<object@>``.

    Raises
    ------
    MissingObjectError
        If nothing was written there.
    """
    item_count: int | None = None
    if is_dir := store.is_dir(path):
        sizes = [size for _, size in store.files(path)]
        size, item_count = sum(sizes), len(sizes)
    else:
        size = store.size(path)
    return {
        "path": path,
        "store": store.name,
        "size": size,
        "ext": ext,
        "is_dir": is_dir,
        "item_count": item_count,
        "timestamp": datetime.now(UTC).isoformat(),
    }


@dataclass
class ObjectRef:
    """A file or a folder in an object store.

    Attributes
    ----------
    path
        Where it is, relative to the store.
    size
        Bytes, of all files together in a folder; ``None`` if they were not counted.
    hash
        Hash of its content, or ``None``.
    ext
        Ending of its name, or ``None``.
    is_dir
        Whether it is a folder.
    timestamp
        When it was stored.
    url
        Its full address.
    store
        Name of its store.
    mime_type
        What its ending stands for; ``None`` for folders and unknown endings.
    item_count
        Files in the folder.
    """

    path: str
    size: int | None
    hash: str | None
    ext: str | None
    is_dir: bool
    timestamp: datetime | None
    url: str | None = None
    store: str | None = None
    mime_type: str | None = None
    item_count: int | None = None
    _backend: Store | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_json(cls, json_data: Mapping[str, Any] | str, backend: Store | None = None) -> ObjectRef:
        """Return a reference from what a row stores of it.

        Raises
        ------
        DecodeError
            If it has no path, or a broken time.
        """
        try:
            content = json.loads(json_data) if isinstance(json_data, str) else json_data
        except ValueError:
            content = json_data
        stored = stored_reference(content, "object")
        path, timestamp = stored["path"], stored.get("timestamp")
        is_dir = bool(stored.get("is_dir", False))
        try:
            moment = datetime.fromisoformat(timestamp) if isinstance(timestamp, str) else None
        except ValueError as error:
            raise DecodeError(f"The object '{path}' has a broken timestamp: {timestamp!r}.") from error
        return cls(
            path=path,
            size=stored.get("size"),
            hash=stored.get("hash"),
            ext=stored.get("ext"),
            is_dir=is_dir,
            timestamp=moment,
            url=stored.get("url") or _url(backend, path),
            store=stored.get("store") or (backend.name if backend else None),
            mime_type=stored.get("mime_type") or (None if is_dir else mimetypes.guess_type(path)[0]),
            item_count=stored.get("item_count"),
            _backend=backend,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what a row stores of the object."""
        stored: dict[str, Any] = {
            "path": self.path,
            "size": self.size,
            "hash": self.hash,
            "ext": self.ext,
            "is_dir": self.is_dir,
            "timestamp": self.timestamp.isoformat() if self.timestamp else None,
        }
        if self.store:
            stored["store"] = self.store
        if self.item_count is not None:
            stored["item_count"] = self.item_count
        return stored

    @property
    def backend(self) -> Store:
        """The store.

        Raises
        ------
        StoreError
            If the reference was made without one.
        """
        if self._backend is None:
            raise StoreError(
                f"The object '{self.path}' has no store to be read from. Fetch it from its table."
            )
        return self._backend

    @property
    def fs(self) -> Any:
        """The store's fsspec filesystem."""
        return self.backend.fs

    @property
    def fsmap(self) -> Any:
        """The folder as a mapping from names to bytes, as Zarr and xarray take it."""
        return self.backend.map(self.path)

    @property
    def full_path(self) -> str:
        """The path on a local disk, or the address elsewhere."""
        return self.backend.full_path(self.path) if self.backend.is_local else self.backend.url(self.path)

    def _below(self, subpath: str | None) -> str:
        if not subpath:
            return self.path
        if not self.is_dir:
            raise StoreError(f"The object '{self.path}' is a file: there is no '{subpath}' in it.")
        return f"{self.path}/{contained(subpath, within=f'the folder {self.path!r}')}"

    def read(self) -> bytes:
        """Return the content of the file.

        Raises
        ------
        MissingObjectError
            If it is gone.
        StoreError
            If it is a folder.
        """
        if self.is_dir:
            raise StoreError(f"The object '{self.path}' is a folder. Use listdir(), walk() or open(name).")
        return self.backend.get_bytes(self.path)

    def open(self, subpath: str | None = None, mode: str = "rb") -> Any:
        """Open the file, or one within the folder, for reading.

        Raises
        ------
        MissingObjectError
            If it is gone.
        """
        if set(mode) & set("wax+"):
            raise StoreError(
                f"The object '{self.path}' is read-only: a row says what is in it. Insert a new one."
            )
        return self.backend.open(self._below(subpath), mode)

    def listdir(self, subpath: str = "") -> list[str]:
        """Return the names in the folder, sorted."""
        if not self.is_dir:
            raise StoreError(f"The object '{self.path}' is a file. Use read() or open().")
        return self.backend.listdir(self._below(subpath))

    def walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each folder: its path within the object, the names of its folders, those of its files."""
        if not self.is_dir:
            raise StoreError(f"The object '{self.path}' is a file. Use read() or open().")
        tree: dict[str, tuple[set[str], set[str]]] = {"": (set(), set())}
        for name, _ in self.backend.files(self.path):
            folder, _, leaf = name.rpartition("/")
            tree.setdefault(folder, (set(), set()))[1].add(leaf)
            while folder:
                parent, _, leaf = folder.rpartition("/")
                tree.setdefault(parent, (set(), set()))[0].add(leaf)
                folder = parent
        for folder in sorted(tree):
            folders, files = tree[folder]
            yield folder, sorted(folders), sorted(files)

    def download(self, destination: Path | str, subpath: str | None = None) -> Path:
        """Copy the object, or a file of the folder, to the local disk and return where it is.

        Parameters
        ----------
        destination
            A folder, which then gets the file under its own name, or the file's new path. A folder object
            fills the destination.
        subpath
            A file within the folder.
        """
        target = Path(destination)
        source = self._below(subpath)
        if self.is_dir and (not subpath or self.backend.is_dir(source)):
            for name, _ in self.backend.files(source):
                file = target / contained(name, within=f"the folder {source!r}")
                file.parent.mkdir(parents=True, exist_ok=True)
                self.backend.get_file(f"{source}/{name}", file)
            target.mkdir(parents=True, exist_ok=True)
            return target
        if target.is_dir():
            target = target / posixpath.basename(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.backend.get_file(source, target)
        return target

    def exists(self, subpath: str | None = None) -> bool:
        """Return whether the object, or something within the folder, is there."""
        return self.backend.exists(self._below(subpath))

    def verify(self) -> bool:
        """Return True if the object is there with the size, and the hash if known, that the row says.

        Of a folder, each file is compared with the manifest written when it was inserted, where there is one.

        Raises
        ------
        MissingObjectError
            If it, or a file of it, is gone.
        CorruptObjectError
            If it is not what was stored.
        """
        if self.is_dir:
            self._verify_folder()
            return True
        size = self.backend.size(self.path)
        if self.size is not None and size != self.size:
            self._corrupt(f"has {size:,} bytes, and {self.size:,} were stored")
        if self.hash and content_hash(self.backend.chunks(self.path)) != self.hash:
            self._corrupt("has other content than was stored")
        return True

    def _verify_folder(self) -> None:
        found = dict(self.backend.files(self.path))
        manifest = self.path + MANIFEST_SUFFIX
        if not self.backend.exists(manifest):
            if self.size is not None and sum(found.values()) != self.size:
                self._corrupt(f"has {sum(found.values()):,} bytes, and {self.size:,} were stored")
            return
        try:
            content = json.loads(self.backend.get_bytes(manifest))
            listed = {entry["path"]: entry["size"] for entry in content["files"]}
        except (ValueError, LookupError, TypeError) as error:
            raise CorruptObjectError(
                f"The list of files '{manifest}' in the store '{self.store}' is damaged. Restore it from a"
                " backup."
            ) from error
        if missing := sorted(set(listed) - set(found)):
            raise MissingObjectError(
                f"The object '{self.path}' in the store '{self.store}' lacks {len(missing)} of its files, the"
                f" first being '{missing[0]}'. Restore it from a backup."
            )
        for name, size in listed.items():
            if found[name] != size:
                self._corrupt(f"has {found[name]:,} bytes in '{name}', and {size:,} were stored")

    def _corrupt(self, what: str) -> None:
        raise CorruptObjectError(
            f"The object '{self.path}' in the store '{self.store}' {what}. Restore it from a backup."
        )

    def __str__(self) -> str:
        return self.path


def _url(store: Store | None, path: str) -> str | None:
    """Return an object's address; a path that leads elsewhere has none, and reading it says so."""
    if store is None:
        return None
    try:
        return store.url(path)
    except StoreError:
        return None
