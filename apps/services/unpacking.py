"""Folders and zip files that browsers send: nothing outside of the folder they become, and never more than is allowed."""

from __future__ import annotations

import io
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from dj_panel.core.errors import UnsafePathError
from dj_panel.core.storepath import contained
from dj_panel.core.words import say

__all__ = ["MAX_FILES", "UnusableFileError", "safe_places", "unpack"]

MAX_FILES = 10_000
"""How many files a folder or a zip file may hold."""

_MAX_INDEX_BYTES = 4_000_000
_PIECE_BYTES = 1 << 20
_MAX_NAME_BYTES = 250
_MAX_PLACE_BYTES = 1000
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class UnusableFileError(ValueError):
    """What was sent cannot be stored as a folder; the reason is a clause."""


class _BoundedReads(io.FileIO):
    """A file that is never read whole: the size of a zip file's index is what the file itself claims."""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, and of an index that is too long none."""
        if size is not None and size > _MAX_INDEX_BYTES:
            raise UnusableFileError(_too_many())
        return super().read(_MAX_INDEX_BYTES if size is None or size < 0 else size)


def safe_places(names: Sequence[str]) -> list[str]:
    """Return the paths of files within a folder in their shortest form, in the order given.

    Raises
    ------
    UnusableFileError
        If there are none or too many, if one leads out of the folder, if two are the same, if one would have to be
        a folder too, or if a disk would not take its name.
    """
    if not names:
        raise UnusableFileError(say("holds no files"))
    if len(names) > MAX_FILES:
        raise UnusableFileError(_too_many())
    places = [_safe_place(name) for name in names]
    taken = set(places)
    folders = {"/".join(parts[:n]) for parts in (p.split("/") for p in taken) for n in range(1, len(parts))}
    if len(taken) < len(places) or taken & folders:
        raise UnusableFileError(say("holds two files of one name"))
    return places


def _safe_place(name: str) -> str:
    shown = name if len(name) <= 60 else name[:59] + "…"
    try:
        place = contained(name.replace("\\", "/"), within="the folder")
        parts = [len(part.encode()) for part in place.split("/")]
    except UnsafePathError:
        raise UnusableFileError(
            say("holds “{shown}”, which would lie outside of the folder", shown=shown)
        ) from None
    except UnicodeEncodeError:
        raise UnusableFileError(say("holds a file whose name is no text")) from None
    if re.search(r"[\x00-\x1f\x7f]", place) or max(parts) > _MAX_NAME_BYTES or sum(parts) > _MAX_PLACE_BYTES:
        raise UnusableFileError(say("holds “{shown}”, a name that cannot be stored", shown=shown))
    return place


def unpack(source: Path, target: Path, max_bytes: int) -> int:
    """Unpack a zip file into a new folder, piece by piece, and return the bytes of its files.

    Parameters
    ----------
    source
        The zip file.
    target
        The folder, which is not there yet, and is not there afterwards if anything goes wrong.
    max_bytes
        Most that it may hold.

    Raises
    ------
    UnusableFileError
        If the file is damaged or encrypted, holds links, or what `safe_places` refuses, or unpacks to more.
    """
    target.mkdir()
    try:
        with _BoundedReads(str(source)) as file, zipfile.ZipFile(file) as archive:
            return _extract(archive, target, max_bytes)
    except BaseException as error:
        shutil.rmtree(target)
        if isinstance(error, _DAMAGED) and not isinstance(error, UnusableFileError):
            raise UnusableFileError(say("is not a complete .zip file")) from error
        raise


def _extract(archive: zipfile.ZipFile, target: Path, max_bytes: int) -> int:
    members = [member for member in archive.infolist() if not member.is_dir()]
    places = safe_places([member.filename for member in members])
    n_bytes = 0
    for member, place in zip(members, places, strict=True):
        if member.flag_bits & 1:
            raise UnusableFileError(say("is encrypted; pack it without a password"))
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UnusableFileError(say("holds links to other files; pack the files themselves"))
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # What others unpack to at a time has no bound.
            raise UnusableFileError(say("is packed in a way that is not read here; pack it as a common .zip"))
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as packed, path.open("xb") as file:
            while piece := packed.read(_PIECE_BYTES):
                n_bytes += len(piece)
                if n_bytes > max_bytes:
                    raise UnusableFileError(
                        say(
                            "unpacks to more than {value} MB, the most that can be sent here",
                            value=f"{max_bytes / 1000000.0:g}",
                        )
                    )
                file.write(piece)
    return n_bytes


def _too_many() -> str:
    return say("holds more than {n} files; insert it from Python instead", n=MAX_FILES)
