"""``<attach>``: a file with its name, kept in the column or (``<attach@>``) in a store."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from dj_panel.core.codec import Codec
from dj_panel.core.errors import DecodeError, EncodeError


class AttachCodec(Codec):
    """Keeps a small file; what is stored is its name, a zero byte and its content.

    Inserted is a path, or a pair of name and bytes; fetched is the path of a copy in ``download_path``.
    """

    name = "attach"

    def get_dtype(self, is_store: bool) -> str:
        """Return ``<hash>`` for ``@``, else ``bytes``."""
        return "<hash>" if is_store else "bytes"

    def validate(self, value: Any) -> None:
        """Raise TypeError for anything but a path or a pair of name and bytes."""
        is_pair = isinstance(value, tuple) and [type(part) for part in value] == [str, bytes]
        if not is_pair and not isinstance(value, str | os.PathLike):
            raise TypeError(f"<attach> takes a file's path or (name, bytes), not {type(value).__name__}.")

    def encode(self, value: Any) -> bytes:  # type: ignore[override]
        """Return name and content of a file.

        Raises
        ------
        EncodeError
            If there is no such file, or it is a folder.
        """
        if isinstance(value, tuple):
            name = _plain_name(value[0])
            content: bytes = value[1]
            if name is None:
                raise EncodeError(f"{value[0]!r} is not the name of a file.")
        else:
            path = Path(value)
            if path.is_dir():
                raise EncodeError(f"'{path}' is a folder. <attach> takes files; <object@> takes folders.")
            try:
                name, content = path.name, path.read_bytes()
            except OSError as error:
                raise EncodeError(f"The file '{path}' cannot be read: {error.strerror}.") from error
        return name.encode() + b"\0" + content

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> str:  # type: ignore[override]
        """Write the file into the download folder and return its path.

        A file of that name and content is used as it is; if its content differs, ``_1`` (``_2``, …) is
        added to the name.
        """
        if not isinstance(stored, bytes | bytearray | memoryview):
            raise DecodeError(f"The stored value of an <attach> is {type(stored).__name__}, not bytes.")
        encoded, zero, content = bytes(stored).partition(b"\0")
        try:
            name = _plain_name(encoded.decode())
        except UnicodeDecodeError:
            name = None
        if not zero or name is None:
            raise DecodeError(f"The stored bytes of an <attach> do not start with a name: {encoded[:40]!r}.")
        config = (context or {}).get("config")
        folder = Path(config.get("download_path", ".") if config is not None else ".")
        folder.mkdir(parents=True, exist_ok=True)
        return str(_saved(folder, name, content))


def _plain_name(name: str) -> str | None:
    """Return the last part of a path of either system: whoever stored it chose the name, not the folder."""
    name = re.split(r"[/\\]", name)[-1]
    return None if name in ("", ".", "..") or "\0" in name else name


def _saved(folder: Path, name: str, content: bytes) -> Path:
    """Write a file that is whole as soon as it is there, without replacing any."""
    wanted = folder / name
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(part, 0o666 & ~_umask())
        counter = 0
        while True:
            target = wanted if not counter else folder / f"{wanted.stem}_{counter}{wanted.suffix}"
            try:
                os.link(part, target)
                return target
            except FileExistsError:
                if _holds(target, content):
                    return target
                counter += 1
    finally:
        os.unlink(part)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
