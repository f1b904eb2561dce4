"""Files that browsers send: kept in a folder of their own until the row that they belong to is saved."""

from __future__ import annotations

import csv
import re
import secrets
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dj_panel.core.structure import Attribute

__all__ = ["MAX_FILE_BYTES", "Upload", "Uploads"]

MAX_FILE_BYTES = 100_000_000
"""Largest file that is taken where the setting ``forms.max_upload_mb`` says nothing else."""

MAX_TEXT_BYTES = 20_000_000
"""Largest file of numbers written as text: read, it may need several times its size of memory."""

N_WAITING = 10
"""How many files of the largest size may wait for their rows at a time."""

KEPT_S = 12 * 3600
"""How long a file waits for its row."""

_PREFIX = "upload:"


@dataclass
class Upload:
    """A file on its way, or here.

    Parameters
    ----------
    name
        As its owner called it, made safe for this computer.
    path
        Where its bytes are.
    size_bytes
        How many it will have.
    n_received
        How many are here.
    """

    name: str
    path: Path
    size_bytes: int
    n_received: int = 0
    begun_at: float = field(default_factory=time.monotonic)

    @property
    def is_complete(self) -> bool:
        """Whether all of it is here."""
        return self.n_received == self.size_bytes


class Uploads:
    """The files of all visitors, under names that nobody can guess.

    Parameters
    ----------
    max_file_bytes
        Largest file that is taken.
    """

    def __init__(self, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self.max_file_bytes = max_file_bytes
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, size_bytes: int) -> str:
        """Make room for a file and return the text that stands for it in a draft.

        Raises
        ------
        ValueError
            If it is too large, or too much is waiting already.
        """
        if not 0 <= size_bytes <= self.max_file_bytes:
            raise ValueError(
                f"is larger than {self.max_file_bytes / 1e6:g} MB, the most that can be sent here;"
                " insert it from Python instead"
            )
        with self._lock:
            self._forget_old()
            if (
                sum(u.size_bytes for u in self._uploads.values()) + size_bytes
                > N_WAITING * self.max_file_bytes
            ):
                raise ValueError(
                    "cannot be taken now: too many files are waiting to be saved; try again later"
                )
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="dj-panel-")
            token = secrets.token_urlsafe(18)
            folder = Path(self._folder.name) / token
            folder.mkdir(mode=0o700)
            upload = Upload(_safe_name(name), folder / _safe_name(name), size_bytes)
            upload.path.touch()
            self._uploads[_PREFIX + token] = upload
        return _PREFIX + token

    def add(self, reference: str, offset: int, content: bytes) -> int:
        """Append a piece, unless it is here already, and return how many bytes are here now."""
        upload = self._find(reference)
        if offset == upload.n_received and content:
            if upload.n_received + len(content) > upload.size_bytes:
                raise ValueError("is longer than was announced; choose it again")
            with upload.path.open("ab") as file:
                file.write(content)
            upload.n_received += len(content)
        return upload.n_received

    def drop(self, reference: str) -> None:
        """Remove a file."""
        with self._lock:
            upload = self._uploads.pop(reference, None)
        if upload is not None:
            _remove(upload)

    def close(self) -> None:
        """Remove all files."""
        with self._lock:
            self._uploads.clear()
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
        upload = self._find(reference)
        if not upload.is_complete:
            raise ValueError("has not arrived completely; wait for it, or choose it again")
        if attribute.codec in ("blob", "npy"):
            return read_array(upload.path)
        if attribute.codec in ("attach", "object"):
            return upload.path
        limit = getattr(attribute.column_type, "length", None) if attribute.codec is None else None
        if limit is not None and upload.size_bytes > limit:
            raise ValueError(f"has {upload.size_bytes} bytes, and the attribute holds at most {limit}")
        return upload.path.read_bytes()

    def summary(self, reference: str, attribute: Attribute) -> str:
        """Return what a file holds, in a few words; raise ``ValueError`` as `value` does."""
        value = self.value(reference, attribute)
        if isinstance(value, np.ndarray):
            return f"{' × '.join(map(str, value.shape)) or 'one value'}, {value.dtype}"
        return ""

    def path(self, reference: str) -> Path:
        """Return where a file that has arrived is; raise ``ValueError`` as `value` does."""
        upload = self._find(reference)
        if not upload.is_complete:
            raise ValueError("has not arrived completely; wait for it, or choose it again")
        return upload.path

    def name(self, reference: str) -> str:
        """Return a file's name, or an empty text if it is not here."""
        upload = self._uploads.get(reference)
        return upload.name if upload is not None else ""

    def _find(self, reference: str) -> Upload:
        try:
            return self._uploads[reference]
        except KeyError:
            raise ValueError("is not on the server any more; choose the file again") from None

    def _forget_old(self) -> None:
        limit = time.monotonic() - KEPT_S
        for reference, upload in list(self._uploads.items()):
            if upload.begun_at < limit:
                del self._uploads[reference]
                _remove(upload)


def _remove(upload: Upload) -> None:
    upload.path.unlink(missing_ok=True)
    upload.path.parent.rmdir()


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


def read_array(path: Path) -> np.ndarray[Any, Any]:
    """Return the array of a ``.npy`` file, the only one of a ``.mat`` file, or the numbers of a text file.

    The first line of a text file may hold names. Values stand apart by commas, semicolons, tabs or blanks.

    Raises
    ------
    ValueError
        With the reason as a clause.
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    if path.suffix.lower() == ".mat":
        return _read_mat(path)
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(f"is larger than {MAX_TEXT_BYTES / 1e6:g} MB, the most for text; save it as .npy")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError("is neither a .npy file nor text") from error
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise ValueError("is empty")
    sample = lines[min(1, len(lines) - 1)]
    delimiter = next((mark for mark in (";", "\t", ",") if mark in sample), None)
    if delimiter == ";" and "," in sample:
        raise ValueError("has decimal commas; write the decimal point as '.'")
    if _numbers(lines[0], delimiter) is None:
        lines = lines[1:]
    try:
        array = np.loadtxt(lines, delimiter=delimiter, comments=None, dtype=np.float64, ndmin=1)
    except ValueError as error:
        bad = next((n for n, line in enumerate(lines, 1) if _numbers(line, delimiter) is None), None)
        where = f" (line {bad} of numbers)" if bad else ""
        raise ValueError(f"does not hold a table of numbers{where}") from error
    if array.size == 0:
        raise ValueError("holds no numbers")
    return array


def _read_npy(path: Path) -> np.ndarray[Any, Any]:
    try:
        mapped = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        reason = any(word in str(error) for word in ("Python objects", "Object arrays", "pickle"))
        raise ValueError(
            "holds Python objects, which are not taken from a browser"
            if reason
            else "is not a complete .npy file"
        ) from error
    if not isinstance(mapped, np.ndarray):
        raise ValueError("is not a .npy file")
    return np.array(mapped)


def _read_mat(path: Path) -> np.ndarray[Any, Any]:
    """Return the only array of numbers in a file of MATLAB's, up to version 7; nothing in it is executed."""
    try:
        from scipy.io import loadmat  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise ValueError(
            "is a file of MATLAB's, and scipy, which reads them, is not installed; save it as .npy"
        ) from error
    try:
        found = loadmat(path)
    except NotImplementedError as error:
        raise ValueError("is a file of MATLAB 7.3, which is not read here; save it with -v7") from error
    except Exception as error:  # a damaged file makes scipy raise errors of many types
        raise ValueError("is not a complete file of MATLAB's") from error
    arrays = {name: a for name, a in found.items() if isinstance(a, np.ndarray) and a.dtype.kind in "biufc"}
    if len(arrays) != 1:
        names = ", ".join(sorted(arrays)[:5]) or "none"
        raise ValueError(f"must hold one array of numbers, and holds {len(arrays)} ({names})")
    return np.asarray(next(iter(arrays.values())))


def _numbers(line: str, delimiter: str | None) -> list[float] | None:
    cells = next(csv.reader([line], delimiter=delimiter)) if delimiter else line.split()
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None
