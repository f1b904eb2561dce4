"""Object stores: files, folders and bytes at paths within one location, on disk or in a cloud.

Every path is relative to the store and is checked to stay in it. On local disks an object appears whole or
not at all and survives a power cut: it is written under another name, synced, and renamed. Files are copied
in pieces, so memory does not grow with them.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import posixpath
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NoReturn

from dj_panel.core.errors import MissingObjectError, StoreError, UnsafePathError
from dj_panel.core.lazy import LazyModule
from dj_panel.core.storage import get_storage_adapter, open_filesystem
from dj_panel.core.storepath import contained, new_token

if TYPE_CHECKING:
    import fsspec
else:
    fsspec = LazyModule("fsspec")

__all__ = ["MANIFEST_SUFFIX", "Store", "open_store"]

CHUNK_BYTES = 1 << 22
MANIFEST_SUFFIX = ".manifest.json"

# Their errors for an unreachable server are not OSErrors.
_CLOUD_PACKAGES = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "requests"}


def open_store(config: Any, name: str | None = None, *, use_filepath_default: bool = False) -> Store:
    """Return the store of a name, by the settings.

    Parameters
    ----------
    config
        The settings (`dj_panel.core.settings.Settings`).
    name
        The store; ``None`` means the default one.
    use_filepath_default
        Whether ``None`` means ``stores.filepath_default`` instead of ``stores.default``.
    """
    if use_filepath_default:
        return Store(config.get_store_spec(name, use_filepath_default=True))
    return Store(config.get_store_spec(name))


class Store:
    """One store.

    Parameters
    ----------
    spec
        Its settings: ``protocol``, ``location``, what the protocol needs, and ``name``. Protocols are
        ``file``, ``s3``, ``gcs``, ``azure``, and any other that fsspec knows, given its ``options``.

    Nothing is opened before it is used.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = dict(spec)
        self.name: str = self.spec.get("name") or ""
        self.protocol: str = self.spec.get("protocol") or "file"
        self.is_local = self.protocol == "file"
        location = str(self.spec.get("location") or "")
        bucket = self.spec.get("bucket") or self.spec.get("container") or ""
        if self.is_local:
            self.root = os.path.realpath(os.path.expanduser(location)) if location else ""
        else:
            self.root = "/".join(part for part in (bucket, location.strip("/")) if part)
        self._fs: Any = None
        self._adapter = get_storage_adapter(self.protocol)
        self._has_root = not self.is_local

    def __repr__(self) -> str:
        return f"Store('{self.name}': {self.url()})"

    @property
    def fs(self) -> Any:
        """The fsspec filesystem, which takes full paths (`full_path`)."""
        if self._fs is None:
            self._fs = open_filesystem(self.spec)
        return self._fs

    def full_path(self, path: str | os.PathLike[str]) -> str:
        """Return a path as the filesystem takes it.

        Raises
        ------
        StoreError
            If the folder of a local store does not exist.
        UnsafePathError
            If the path would lead out of the store, through a symbolic link too.
        """
        self._check_root()
        relative = contained(path, within=f"the store '{self.name}'")
        if self._adapter is not None:
            return str(self._adapter.full_path(self.spec, relative))
        full = f"{self.root}/{relative}" if self.root else relative
        if self.is_local and os.path.commonpath([os.path.realpath(full), self.root]) != self.root:
            raise UnsafePathError(
                f"The path '{relative}' leads out of the store '{self.name}' through a link. Configure a"
                " store at the place that it leads to."
            )
        return full

    def _check_root(self) -> None:
        if not self._has_root:
            if not os.path.isdir(self.root):
                # Not created here: an unmounted disk would quietly be replaced by a folder.
                raise StoreError(
                    f"The folder '{self.root}' of the store '{self.name}' does not exist. Create it, or mount"
                    " the disk it is on."
                )
            self._has_root = True

    def url(self, path: str = "") -> str:
        """Return the address of an object (``file:///…``, ``s3://…``), or of the store itself."""
        place = contained(path, within=f"the store '{self.name}'") if path else ""
        full = "/".join(part for part in (self.root, place) if part)
        if self._adapter is not None:
            return str(self._adapter.get_url(self.spec, full))
        if self.is_local:
            return Path(full).as_uri()
        scheme = {"gcs": "gs", "azure": "az"}.get(self.protocol, self.protocol)
        return f"{scheme}://{full.lstrip('/')}"

    @contextmanager
    def _reporting(self, path: str, task: str) -> Iterator[None]:
        """Turn what a filesystem raises into errors that name the store and the path."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError) and task != "write":
                self._missing(path, error)
            is_cloud = type(error).__module__.partition(".")[0] in _CLOUD_PACKAGES
            if is_cloud or isinstance(error, OSError):
                raise StoreError(f"The store '{self.name}' failed to {task} '{path}': {error}") from error
            raise

    def _missing(self, path: str, cause: Exception | None = None) -> NoReturn:
        raise MissingObjectError(
            f"The store '{self.name}' has no object '{path}' (looked for {self.url(path)}). Restore it from a"
            " backup, or check that the store's location is right."
        ) from cause

    # ---------------------------------------------------------------------------------------------- asking

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder."""
        with self._reporting(path, "look for"):
            return bool(self.fs.exists(self.full_path(path)))

    def is_dir(self, path: str) -> bool:
        """Return whether there is a folder."""
        with self._reporting(path, "look for"):
            return bool(self.fs.isdir(self.full_path(path)))

    def size(self, path: str) -> int:
        """Return the bytes of a file.

        Raises
        ------
        MissingObjectError
            If there is none.
        """
        with self._reporting(path, "measure"):
            full = self.full_path(path)
            return os.stat(full).st_size if self.is_local else int(self.fs.size(full))

    def modified(self, path: str) -> float | None:
        """Return when a file was last written, in seconds since 1970; ``None`` if the filesystem does not say."""
        with self._reporting(path, "look at"):
            full = self.full_path(path)
            if self.is_local:
                return os.stat(full).st_mtime
            try:
                return float(self.fs.modified(full).timestamp())
            except (NotImplementedError, KeyError):
                return None

    def touch(self, path: str) -> bool:
        """Make a file's age zero, where that can be done without writing it again; return whether it was."""
        if not self.is_local:
            return False
        with self._reporting(path, "touch"):
            os.utime(self.full_path(path))
        return True

    def listdir(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        with self._reporting(path, "list"):
            return self._names(self.full_path(path))

    def sections(self) -> list[str]:
        """Return the names in the store's own folder, sorted."""
        with self._reporting("", "list"):
            self._check_root()
            return self._names(self._adapter.full_path(self.spec, "") if self._adapter else self.root)

    def _names(self, full: str) -> list[str]:
        if self.is_local:
            return sorted(os.listdir(full))
        return sorted(posixpath.basename(name.rstrip("/")) for name in self.fs.ls(full, detail=False))

    def files(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield every file below a folder: its path relative to that, and its bytes."""
        with self._reporting(path, "list"):
            full = self.full_path(path)
            if self.is_local:
                if not os.path.isdir(full):
                    self._missing(path)
                yield from _local_files(full)
                return
            found = self.fs.find(full, detail=True)
            if not found and not self.fs.isdir(full):
                self._missing(path)
            prefix = self.fs._strip_protocol(full).rstrip("/") + "/"
            for name in sorted(found):
                yield name.removeprefix(prefix), int(found[name]["size"])

    # --------------------------------------------------------------------------------------------- reading

    def get_bytes(self, path: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        MissingObjectError
            If there is none.
        """
        with self._reporting(path, "read"):
            full = self.full_path(path)
            if self.is_local:
                return Path(full).read_bytes()
            content: bytes = self.fs.cat_file(full)
            return content

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file. Written to, it appears at once and half-written: use it only for paths of your own."""
        with self._reporting(path, "open"):
            full = self.full_path(path)
            if set(mode) & set("wax"):
                self._make_folder(posixpath.dirname(full))
            return self.fs.open(full, mode)

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file in pieces of 4 MiB."""
        with self._reporting(path, "read"), self.open(path) as stream:
            yield from iter(lambda: stream.read(CHUNK_BYTES), b"")

    def get_file(self, path: str, destination: str | os.PathLike[str]) -> None:
        """Copy a file to a local one, which appears whole or not at all."""
        with _written(os.fspath(destination), durable=False) as target:
            for chunk in self.chunks(path):
                target.write(chunk)

    def map(self, path: str) -> Any:
        """Return a folder as a mapping from names to bytes, as Zarr takes it."""
        return fsspec.FSMap(self.full_path(path), self.fs)

    # --------------------------------------------------------------------------------------------- writing

    def put_bytes(self, path: str, content: bytes | memoryview) -> None:
        """Write a file, in place of any that is there."""
        if self.is_local:
            with self.writing(path) as target:
                target.write(content)
            return
        with self._reporting(path, "write"):
            self.fs.pipe_file(self.full_path(path), bytes(content))

    @contextmanager
    def writing(self, path: str) -> Iterator[Any]:
        """Open a file to be written, which appears whole at the end of the block, or not if that fails."""
        with self._reporting(path, "write"):
            full = self.full_path(path)
            self._make_folder(posixpath.dirname(full))
            with _written(full) if self.is_local else self._uploaded(full) as target:
                yield target

    def put_stream(self, path: str, stream: BinaryIO) -> int:
        """Write a file from an open one, piece by piece, and return its bytes."""
        with self.writing(path) as target:
            return _copy(stream, target)

    @contextmanager
    def _uploaded(self, full: str) -> Iterator[Any]:
        """Open a remote file that appears when complete: closed after a failure, half of it would appear."""
        if self.protocol == "memory":  # shows a file as soon as it is opened
            buffer = io.BytesIO()
            yield buffer
            self.fs.pipe_file(full, buffer.getvalue())
            return
        target = self.fs.open(full, "wb", autocommit=False)
        try:
            yield target
            target.close()
            target.commit()
        except BaseException:
            target.discard()
            raise

    def put_file(self, path: str, source: str | os.PathLike[str]) -> int:
        """Copy a local file into the store, piece by piece, and return its bytes."""
        with open(source, "rb") as stream:
            return self.put_stream(path, stream)

    def put_directory(self, path: str, source: str | os.PathLike[str]) -> dict[str, Any]:
        """Copy a local folder with all it holds, and write its manifest beside it.

        Returns
        -------
        dict
            The manifest: ``files`` (``path`` and ``size`` of each), ``total_size``, ``item_count``,
            ``created``.
        """
        origin = os.path.realpath(source)
        files = sorted(_local_files(origin))
        return self._put_tree(path, files, lambda name: open(os.path.join(origin, name), "rb"))

    def copy_from(self, other: Store, source: str, path: str) -> dict[str, Any] | int:
        """Copy an object of another store, or of this one; return a folder's manifest or a file's bytes."""
        if other.is_dir(source):
            files = list(other.files(source))
            return self._put_tree(path, files, lambda name: other.open(f"{source}/{name}"))
        with other.open(source) as stream:
            return self.put_stream(path, stream)

    def _put_tree(
        self, path: str, files: Sequence[tuple[str, int]], opened: Callable[[str], Any]
    ) -> dict[str, Any]:
        final = contained(path)
        written = []
        if self.is_local:
            # The folder takes its name when it is complete.
            self._make_folder(os.path.dirname(self.full_path(final)))
            with self._reporting(path, "write"), _written_folder(self.full_path(final)) as folder:
                for name, _ in files:
                    target = os.path.join(folder, contained(name, within="the folder"))
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with opened(name) as stream, open(target, "xb") as copy:
                        written.append({"path": name, "size": _copy(stream, copy)})
        else:
            # Only the row, inserted afterwards, makes it visible.
            for name, _ in files:
                with opened(name) as stream:
                    size = self.put_stream(f"{final}/{contained(name, within='the folder')}", stream)
                written.append({"path": name, "size": size})
        manifest = {
            "files": written,
            "total_size": sum(int(str(entry["size"])) for entry in written),
            "item_count": len(written),
            "created": datetime.now(UTC).isoformat(),
        }
        self.put_bytes(final + MANIFEST_SUFFIX, json.dumps(manifest, indent=2).encode())
        return manifest

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with its manifest; what is gone already is no error."""
        with self._reporting(path, "remove"):
            full = self.full_path(path)
            try:
                if self.fs.isdir(full):
                    self.fs.rm(full, recursive=True)
                    self.remove(contained(path) + MANIFEST_SUFFIX)
                else:
                    self.fs.rm_file(full)
            except FileNotFoundError:
                return

    def make_room(self, path: str) -> None:
        """Make the folder that a file is to be in."""
        self._make_folder(posixpath.dirname(self.full_path(path)))

    def sync(self, path: str) -> None:
        """Bring to the disk what was written by other ways than through this class; elsewhere do nothing."""
        if not self.is_local:
            return
        full = self.full_path(path)
        if os.path.isdir(full):
            _sync_tree(full)
        else:
            with open(full, "rb+") as file:
                os.fsync(file.fileno())
        _sync_folder(os.path.dirname(full))

    def _make_folder(self, full: str) -> None:
        if not self.is_local or os.path.isdir(full):
            return
        os.makedirs(full, exist_ok=True)
        # A new folder's name lives in its parent, which must reach the disk as well.
        while full != self.root:
            full = os.path.dirname(full)
            _sync_folder(full)


# --------------------------------------------------------------------------------------------- local disks


def _copy(stream: BinaryIO, target: IO[bytes]) -> int:
    size = 0
    while chunk := stream.read(CHUNK_BYTES):
        target.write(chunk)
        size += len(chunk)
    return size


@contextmanager
def _written(path: str, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a local file that takes its name only when it is complete and on the disk."""
    folder, name = os.path.split(os.path.abspath(path))
    part = os.path.join(folder, f".{new_token(16)}.part")
    try:
        with open(part, "xb") as target:
            yield target
            if durable:
                target.flush()
                os.fsync(target.fileno())
        os.rename(part, os.path.join(folder, name))
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise
    if durable:
        _sync_folder(folder)


@contextmanager
def _written_folder(path: str) -> Iterator[str]:
    """Make a local folder that takes its name only when it is complete and on the disk."""
    parent = os.path.dirname(path)
    part = os.path.join(parent, f".{new_token(16)}.part")
    try:
        os.mkdir(part)
        yield part
        _sync_tree(part)
        os.rename(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _sync_folder(parent)


def _sync_folder(folder: str) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: str) -> None:
    """Bring a folder and all it holds to the disk: in one call on Linux, else file by file."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None) if os.name == "posix" else None
    if syncfs is not None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if syncfs(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
    for below, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(below, name), "rb+") as file:
                os.fsync(file.fileno())
        _sync_folder(below)


def _local_files(folder: str) -> Iterator[tuple[str, int]]:
    """Yield path and bytes of each file below a folder, following links."""
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(folder),))]
    while waiting:
        below, above = waiting.pop()
        with os.scandir(os.path.join(folder, below)) as entries:
            for entry in entries:
                name = posixpath.join(below, entry.name)
                if not entry.is_dir():
                    yield name, entry.stat().st_size
                    continue
                real = os.path.realpath(entry.path)
                if real in above:
                    raise StoreError(f"The folder {folder} holds itself through the link {name}. Remove it.")
                waiting.append((name, (*above, real)))
