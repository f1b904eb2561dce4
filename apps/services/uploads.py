"""Files that browsers send: kept in a folder of their own until the row that they belong to is saved."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dj_panel.apps.services.arrayfiles import read_array
from dj_panel.apps.services.unpacking import safe_places, unpack
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say, say_many

__all__ = ["MAX_FILE_BYTES", "Upload", "Uploads", "split_reference"]

MAX_FILE_BYTES = 100_000_000
"""Largest file that is taken where the setting ``forms.max_upload_mb`` says nothing else."""

N_WAITING = 10
"""How many files of the largest size may wait for their rows at a time."""

KEPT_S = 12 * 3600
"""How long a file waits for its row."""

_PREFIX = "upload:"


@dataclass
class Upload:
    """A file or a folder on its way, or here.

    Parameters
    ----------
    name
        As its owner called it, made safe for this computer.
    path
        Where it is; with all that belongs to it, in a folder of its own.
    size_bytes
        How many it will have.
    files
        Path and bytes of each file that it consists of, in the order in which they arrive.
    n_received
        How many bytes are here.
    unpacked
        The folder with what is in it, if it is a zip file that is to be stored unpacked.
    unpacked_bytes
        Bytes of that.
    """

    name: str
    path: Path
    size_bytes: int
    files: Sequence[tuple[Path, int]]
    n_received: int = 0
    unpacked: Path | None = None
    unpacked_bytes: int = 0
    begun_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _n_full: int = 0
    _n_in_file: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether all of it is here."""
        return self.n_received == self.size_bytes

    def append(self, content: bytes) -> None:
        """Write what comes next: to the end of one file, and on into the next."""
        rest = memoryview(content)
        while rest:
            path, size = self.files[self._n_full]
            piece = rest[: size - self._n_in_file]
            with path.open("ab") as file:
                file.write(piece)
            self._n_in_file += len(piece)
            self.n_received += len(piece)
            rest = rest[len(piece) :]
            if self._n_in_file == size:
                self._n_full += 1
                self._n_in_file = 0

    def remove(self) -> None:
        """Remove it, once nobody writes to it."""
        with self.lock:
            shutil.rmtree(self.path.parent)


class Uploads:
    """The files and folders of all visitors, under names that nobody can guess.

    What stands for one in a draft is ``upload:…``, its reference; a place to store it at may follow after ``/``.

    Parameters
    ----------
    max_file_bytes
        Largest file that is taken, and most that a folder may hold.
    kept_s
        How long a file waits for its row.
    decimal_comma
        Whether ``1,5`` in a file of numbers is one and a half.
    """

    def __init__(
        self, max_file_bytes: int = MAX_FILE_BYTES, *, kept_s: float = KEPT_S, decimal_comma: bool = False
    ) -> None:
        self.max_file_bytes = max_file_bytes
        self._decimal_comma = decimal_comma
        self._kept_s = kept_s
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def begin(self, name: str, size_bytes: int, files: Sequence[tuple[str, int]] | None = None) -> str:
        """Make room for a file or a folder, and return the text that stands for it in a draft.

        Parameters
        ----------
        name
            What it is called.
        size_bytes
            How large it is.
        files
            Path within it and bytes of each file of a folder, in the order in which they will come.

        Raises
        ------
        ValueError
            With the reason as a clause, if it is too large, if too much is waiting already, or if a folder holds
            what cannot be stored.
        """
        if not 0 <= size_bytes <= self.max_file_bytes:
            raise ValueError(
                say(
                    "is larger than {value} MB, the most that can be sent here; insert it from Python instead",
                    value=f"{self.max_file_bytes / 1000000.0:g}",
                )
            )
        places = safe_places([path for path, _ in files]) if files is not None else None
        sizes = [size for _, size in files or ()]
        if files is not None and (min(sizes) < 0 or sum(sizes) != size_bytes):
            raise ValueError(say("does not hold what was announced; choose it again"))
        self._remove_old()
        with self._lock:
            self._check_room(size_bytes)
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="dj-panel-")
            token = secrets.token_urlsafe(18)
            folder = Path(self._folder.name) / token
            folder.mkdir(mode=0o700)
            path = folder / _safe_name(name)
            parts = [(path, size_bytes)]
            if places is not None:
                parts = [(path / place, size) for place, size in zip(places, sizes, strict=True)]
            for part, _ in parts:
                part.parent.mkdir(parents=True, exist_ok=True)
                part.touch()
            upload = Upload(path.name, path, size_bytes, [part for part in parts if part[1]])
            self._uploads[_PREFIX + token] = upload
            if self._timer is None:
                self._wait(self._kept_s)
        return _PREFIX + token

    def _check_room(self, size_bytes: int) -> None:
        waiting = sum(u.size_bytes + u.unpacked_bytes for u in self._uploads.values())
        if waiting + size_bytes > N_WAITING * self.max_file_bytes:
            raise ValueError(
                say("cannot be taken now: too many files are waiting to be saved; try again later")
            )

    def add(self, reference: str, offset: int, content: bytes) -> int:
        """Append a piece, unless it is here already, and return how many bytes are here now."""
        upload = self._find(reference)
        with upload.lock:
            self._find(reference)
            if offset == upload.n_received and content:
                if upload.n_received + len(content) > upload.size_bytes:
                    raise ValueError(say("is longer than was announced; choose it again"))
                upload.append(content)
            return upload.n_received

    def unpack(self, reference: str) -> str:
        """Unpack a zip file, so that the folder in it is stored in its place, and say what is in it.

        Raises
        ------
        ValueError
            With the reason as a clause, if it cannot be; it is stored as one file then.
        """
        upload = self._complete(reference)
        with self._lock:
            if not upload.unpacked_bytes:
                self._check_room(self.max_file_bytes)
                upload.unpacked_bytes = self.max_file_bytes
        with upload.lock:
            self._find(reference)
            if upload.unpacked is None:
                folder = upload.path.with_name(f"{upload.name}.unpacked")
                try:
                    upload.unpacked_bytes = unpack(upload.path, folder, self.max_file_bytes)
                except BaseException:
                    upload.unpacked_bytes = 0
                    raise
                upload.unpacked = folder
            return _in_folder(upload.unpacked)

    def pack(self, reference: str) -> None:
        """Store a zip file as one file after all."""
        upload = self._find(reference)
        with upload.lock:
            self._find(reference)
            if upload.unpacked is not None:
                shutil.rmtree(upload.unpacked)
            upload.unpacked, upload.unpacked_bytes = None, 0

    def drop(self, reference: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with self._lock:
            upload = self._uploads.pop(_plain(reference), None)
        if upload is not None:
            upload.remove()

    def close(self) -> None:
        """Remove all files."""
        with self._lock:
            self._uploads.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def value(self, reference: str, attribute: Attribute) -> Any:
        """Return what an attribute takes of a file: its path, its bytes, or the array in it.

        Raises
        ------
        ValueError
            With the reason as a clause, if the file is not what the attribute needs.
        """
        upload = self._complete(reference)
        if attribute.codec == "object":
            return upload.unpacked or upload.path
        if upload.path.is_dir():
            raise ValueError(say("is a folder, and the attribute takes a file"))
        if attribute.codec in ("blob", "npy"):
            return read_array(upload.path, decimal_comma=self._decimal_comma)
        if attribute.codec in ("attach", "filepath"):
            return upload.path
        limit = getattr(attribute.column_type, "length", None) if attribute.codec is None else None
        if limit is not None and upload.size_bytes > limit:
            raise ValueError(
                say(
                    "has {size_bytes} bytes, and the attribute holds at most {limit}",
                    size_bytes=str(upload.size_bytes),
                    limit=str(limit),
                )
            )
        return upload.path.read_bytes()

    def summary(self, reference: str, attribute: Attribute) -> str:
        """Return what a file holds, in a few words; raise ``ValueError`` as `value` does."""
        value = self.value(reference, attribute)
        if isinstance(value, np.ndarray):
            return f"{' × '.join(map(str, value.shape)) or say('one value')}, {value.dtype}"
        return _in_folder(value) if isinstance(value, Path) and value.is_dir() else ""

    def path(self, reference: str) -> Path:
        """Return where a file that has arrived is; raise ``ValueError`` as `value` does."""
        return self._complete(reference).path

    def name(self, reference: str) -> str:
        """Return a file's name, or an empty text if it is not here."""
        upload = self._uploads.get(_plain(reference))
        return upload.name if upload is not None else ""

    def _find(self, reference: str) -> Upload:
        try:
            return self._uploads[_plain(reference)]
        except KeyError:
            raise ValueError(say("is not on the server any more; choose the file again")) from None

    def _complete(self, reference: str) -> Upload:
        upload = self._find(reference)
        if not upload.is_complete:
            raise ValueError(say("has not arrived completely; wait for it, or choose it again"))
        return upload

    # ------------------------------------------------------------------ what nobody saved
    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        """Forget what has waited too long, and come again for the next."""
        self._remove_old()
        with self._lock:
            if self._timer is not None:  # not closed meanwhile
                self._timer = None
                if self._uploads:
                    oldest = min(upload.begun_at for upload in self._uploads.values())
                    self._wait(max(0.0, oldest + self._kept_s - time.monotonic()))

    def _remove_old(self) -> None:
        limit = time.monotonic() - self._kept_s
        with self._lock:
            old = [self._uploads.pop(r) for r, u in list(self._uploads.items()) if u.begun_at <= limit]
        for upload in old:
            upload.remove()


def split_reference(text: str) -> tuple[str, str]:
    """Return the reference in a draft's text, empty if there is none, and the place that goes with it.

    >>> split_reference("upload:x1/raw/a.tif"), split_reference("raw/a.tif"), split_reference("upload:x1")
    (('upload:x1', 'raw/a.tif'), ('', 'raw/a.tif'), ('upload:x1', ''))
    """
    if not text.startswith(_PREFIX):
        return "", text
    reference, _, place = text.partition("/")
    return reference, place


def _plain(text: str) -> str:
    return split_reference(text)[0]


def _in_folder(folder: Path) -> str:
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    return say_many("a folder of {n} file", "a folder of {n} files", n_files)


def _safe_name(name: str) -> str:
    """Return a file name without folders, control characters and what Windows forbids.

    >>> _safe_name("../../etc/pass*wd"), _safe_name("..")
    ('pass_wd', 'file')
    """
    last = re.split(r"[/\\]", name)[-1]
    safe = re.sub(r'[\x00-\x1f\x7f<>:"|?*\ud800-\udfff]', "_", last).strip(" .")
    while len(safe.encode()) > 200:
        safe = safe[1:]
    return safe or "file"
