"""Opening a value: from whatever a table holds to one of a few kinds of content that can be looked at.

`open_value` may reach for a store and runs in a thread. What it returns knows its metadata; its values are
read later, slice by slice, and never more than a budget at a time.
"""

from __future__ import annotations

import datetime
import io
import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
import pandas as pd
import zarr
from PIL import Image

from dj_panel.apps.preview.description import Description, describe, human_bytes
from dj_panel.apps.preview.protocols import ObjectRefLike, is_npy_ref, is_object_ref
from dj_panel.apps.preview.window import Index, OverBudgetError, page_chunks, touched_bytes
from dj_panel.core.words import say

BUDGET_BYTES = 64 * 2**20
# Of a text file or a CSV, the beginning is shown.
HEAD_BYTES = 2 * 2**20
JSON_BYTES = 8 * 2**20
# A remote .npy file is copied to the disk before a part of it can be read: not memory, but time.
REMOTE_SHARES = 4
MOST_LISTED = 500

IMAGE_EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
TEXT_EXTENSIONS = frozenset(
    {
        ".txt",
        ".md",
        ".rst",
        ".log",
        ".py",
        ".m",
        ".r",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cfg",
        ".xml",
        ".html",
    }
    | {".htm", ".svg", ".sql", ".sh", ".ipynb", ".dat"}
)
ZARR_MARKS = frozenset({"zarr.json", ".zarray", ".zgroup", ".zmetadata"})


class UnreadableValueError(ValueError):
    """A value cannot be shown; the message says why in plain words."""


@dataclass(frozen=True)
class ArraySource:
    """An array of which slices are read.

    Attributes
    ----------
    array
        A NumPy array, a memory-mapped one or a Zarr array.
    chunks
        What one read brings in, per axis; None for values that already are in memory.
    labels
        Names of the columns of a two-dimensional array made from a table, else empty.
    """

    array: Any
    chunks: tuple[int, ...] | None
    labels: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(int(length) for length in self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one value."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    def cost(self, index: Index) -> int:
        """Return the bytes that reading `index` brings into memory: all chunks it touches, whole."""
        if self.chunks is None:
            return 0
        return touched_bytes(self.shape, self.chunks, self.dtype.itemsize, index)

    def read(self, index: Index, budget_bytes: int) -> np.ndarray[Any, Any]:
        """Return the values at `index`, of which at most one item may be a tuple of positions.

        Raises
        ------
        OverBudgetError
            When the chunks touched hold more than `budget_bytes`; nothing has been read then.
        """
        n_bytes = self.cost(index)
        if n_bytes > budget_bytes:
            raise OverBudgetError(n_bytes, budget_bytes)
        if isinstance(self.array, zarr.Array):
            wanted: Any = _as_lists(index)
            picks = any(isinstance(item, list) for item in wanted)
            return np.asarray(self.array.oindex[wanted] if picks else self.array[wanted])
        taken: np.ndarray[Any, Any] = self.array
        # Positions last and by themselves: NumPy moves axes when they are mixed with single numbers.
        taken = taken[tuple(slice(None) if isinstance(item, tuple) else item for item in index)]
        axis = 0
        for item in index:
            if isinstance(item, tuple):
                taken = taken.take(item, axis=axis)
            axis += not isinstance(item, int)
        # A mapped page is read when it is first looked at, which must happen here, in the thread.
        return np.array(taken) if isinstance(self.array, np.memmap) else np.asarray(taken)


@dataclass(frozen=True)
class ImageFile:
    """A decoded picture: ``(height, width)`` or ``(height, width, 3 or 4)``."""

    source: ArraySource


@dataclass(frozen=True)
class Rows:
    """A table in memory, and what to say when it is only the beginning of one."""

    frame: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class Tree:
    """Nested dicts and lists."""

    value: object


@dataclass(frozen=True)
class Text:
    """Text to read, and what to say when it is only the beginning of it."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Raw:
    """The first bytes of a value that is no text, and how many there are in all."""

    head: bytes
    n_bytes: int


@dataclass(frozen=True)
class Value:
    """One plain value, in words."""

    text: str
    is_missing: bool = False


@dataclass(frozen=True)
class Group:
    """Named arrays, one of which can be looked at: those of a Zarr group, or those inside a tree."""

    arrays: Mapping[str, ArraySource]
    note: str = ""


@dataclass(frozen=True)
class Listing:
    """The files of a folder that is no Zarr."""

    names: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class File:
    """A file that can be downloaded, beside what is known of its content."""

    name: str
    n_bytes: int | None
    origin: pathlib.Path | ObjectRefLike

    def read_all(self, limit_bytes: int) -> bytes:
        """Return the whole file.

        Raises
        ------
        OverBudgetError
            When the file holds more than `limit_bytes`.
        """
        with _opened(self.origin) as stream:
            content = stream.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise OverBudgetError(self.n_bytes or len(content), limit_bytes)
        return content


Content = ArraySource | ImageFile | Rows | Tree | Text | Raw | Value | Group | Listing | File


@dataclass(frozen=True)
class Opened:
    """What a value turned out to be, and the file it came in where there is one to download."""

    content: Content
    description: Description
    file: File | None = None


def open_value(value: object, budget_bytes: int = BUDGET_BYTES) -> Opened:
    """Find out what `value` is; read its metadata, and of a small file its content. Runs in a thread.

    Raises
    ------
    FileNotFoundError
        When the object is not in its store.
    UnreadableValueError
        When it is there and is not what it should be.
    """
    description = describe(value)
    if isinstance(value, np.ma.MaskedArray):
        masked: Any = value
        value = masked.filled(np.nan) if value.dtype.kind == "f" else masked.astype(object).filled(None)
    if isinstance(value, np.ndarray | zarr.Array):
        return Opened(array_content(value), description)
    if isinstance(value, zarr.Group):
        return Opened(_group(value), description)
    if isinstance(value, pd.DataFrame):
        return Opened(Rows(value), description)
    if isinstance(value, pd.Series):
        frame = value.to_frame()
        return Opened(Rows(frame), describe(frame))
    if is_npy_ref(value):
        size = description.n_bytes or 0
        if not value.is_local and size > REMOTE_SHARES * budget_bytes:
            raise UnreadableValueError(
                say(
                    "The array holds {size} and is one file of a remote store, which can only be fetched whole. Load"
                    " it in Python, or store such arrays as Zarr, of which a part can be read.",
                    size=human_bytes(size),
                )
            )
        return _opened_npy(value.load(mmap_mode="r"), description)
    if is_object_ref(value):
        return _opened_object(value, description, budget_bytes)
    if isinstance(value, pathlib.Path):
        return _opened_path(value, description, budget_bytes)
    return Opened(_plain_content(value), description)


def array_content(array: Any) -> ArraySource | Rows:
    """Return an array as a source of slices, or as a table when it has fields."""
    if isinstance(array, zarr.Array):
        return ArraySource(array, tuple(int(length) for length in array.chunks))
    if array.dtype.names:
        flat = np.asarray(array).reshape(-1)
        # A field that holds an array per row is no column: it stays one object per row.
        columns = {
            name: list(flat[name]) if flat[name].ndim > 1 else flat[name] for name in array.dtype.names
        }
        native = {
            name: column if isinstance(column, list) else column.astype(column.dtype.newbyteorder("="))
            for name, column in columns.items()
        }
        return Rows(pd.DataFrame(native))
    if isinstance(array, np.memmap):
        fortran = array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous
        return ArraySource(array, page_chunks(array.shape, array.dtype.itemsize, fortran=fortran))
    return ArraySource(np.asarray(array), None)


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Say whether values of this type can be drawn: numbers and truth values."""
    return dtype.kind in "biufc"


def _as_lists(index: Index) -> tuple[Any, ...]:
    return tuple(list(item) if isinstance(item, tuple) else item for item in index)


def _opened_npy(array: Any, description: Description, file: File | None = None) -> Opened:
    content = array_content(array)
    found = describe(array)
    return Opened(content, replace(found, where=description.where), file)


def _group(group: zarr.Group) -> Group:
    arrays: dict[str, ArraySource] = {}
    n_skipped = 0
    for name, member in group.members(max_depth=None):
        if not isinstance(member, zarr.Array):
            continue
        if len(arrays) == MOST_LISTED:
            n_skipped += 1
            break
        content = array_content(member)
        if isinstance(content, ArraySource):
            arrays[name] = content
    note = say("The first {n} arrays of the group are listed.", n=MOST_LISTED) if n_skipped else ""
    return Group(dict(sorted(arrays.items())), note)


def _opened_zarr(store: Any, description: Description) -> Opened:
    try:
        node = zarr.open(store, mode="r")
    except (ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise UnreadableValueError(
            say(
                "The Zarr metadata of {object} cannot be understood ({reason}). The object may be incomplete:"
                " compare it with its source, or store it again.",
                object=description.where,
                reason=_words(error),
            )
        ) from error
    found = describe(node)
    content = _group(node) if isinstance(node, zarr.Group) else array_content(node)
    return Opened(content, replace(found, where=description.where))


def _opened_object(reference: ObjectRefLike, description: Description, budget_bytes: int) -> Opened:
    if not reference.exists():
        raise FileNotFoundError(
            say(
                "{object} is not in its store any more: the row is there, its object is not. Restore the object"
                " from a backup, or delete the row and make it again.",
                object=description.where,
            )
        )
    if reference.is_dir:
        names = [str(name).rstrip("/").rsplit("/", 1)[-1] for name in reference.listdir()]
        if (reference.ext or "").lower() == ".zarr" or ZARR_MARKS.intersection(names):
            return _opened_zarr(reference.fsmap, description)
        return Opened(_listing(names), description)
    file = File(_name_of(reference.path), reference.size, reference)
    return _opened_file(file, (reference.ext or _suffix(reference.path)).lower(), description, budget_bytes)


def _opened_path(path: pathlib.Path, description: Description, budget_bytes: int) -> Opened:
    if not path.exists():
        words = say(
            "{path} does not exist. It may have been moved or deleted after it was fetched: fetch it again.",
            path=path,
        )
        raise FileNotFoundError(words)
    if path.is_dir():
        names = [entry.name for _, entry in zip(range(MOST_LISTED + 1), path.iterdir(), strict=False)]
        if ZARR_MARKS.intersection(names):
            return _opened_zarr(path, description)
        return Opened(_listing(names), replace(description, kind=say("folder")))
    n_bytes = path.stat().st_size
    suffix = path.suffix.lower()
    kind = say("{extension} file", extension=suffix) if suffix else say("file")
    found = replace(description, kind=kind, n_bytes=n_bytes)
    file = File(path.name, n_bytes, path)
    if suffix == ".npy":
        return _opened_npy(_mapped(path), found, file)
    return _opened_file(file, suffix, found, budget_bytes)


def _opened_file(file: File, suffix: str, description: Description, budget_bytes: int) -> Opened:
    """Read as much of a file as it takes to show something of it."""
    if suffix in IMAGE_EXTENSIONS:
        return Opened(_picture(file, budget_bytes), description, file)
    if suffix == ".npy":
        array = np.load(io.BytesIO(file.read_all(budget_bytes)), allow_pickle=False)
        return _opened_npy(array, description, file)
    if suffix in SEPARATORS:
        return Opened(_csv(file, SEPARATORS[suffix]), description, file)
    if suffix == ".json" and (file.n_bytes or 0) <= JSON_BYTES:
        return Opened(_json(file), description, file)
    head, is_all = _head(file)
    note = "" if is_all else _beginning(len(head), file.n_bytes or 0)
    text = _as_text(head, is_all=is_all)
    if text is not None:
        return Opened(Text(text, note), description, file)
    return Opened(Raw(head[:4096], file.n_bytes or len(head)), description, file)


def _mapped(path: pathlib.Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        words = say("{path} is not a complete .npy file ({reason}).", path=path, reason=_words(error))
        raise UnreadableValueError(words) from error


def _picture(file: File, budget_bytes: int) -> ImageFile:
    with _opened(file.origin) as stream:
        try:
            with Image.open(stream) as picture:
                width, height = picture.size
                # Four bytes a pixel, twice: once as decoded, once as an array.
                n_bytes = width * height * 8
                if n_bytes > 4 * budget_bytes:
                    raise OverBudgetError(n_bytes, 4 * budget_bytes)
                keeps_depth = picture.mode in {"L", "RGB", "RGBA", "F", "I", "I;16", "I;16B"}
                pixels = np.asarray(picture if keeps_depth else picture.convert("RGBA"))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            words = say("{file} is not a complete picture ({reason}).", file=file.name, reason=_words(error))
            raise UnreadableValueError(words) from error
    return ImageFile(ArraySource(pixels, None))


def _csv(file: File, separator: str) -> Rows | Text:
    head, is_all = _head(file)
    text = _as_text(head, is_all=is_all)
    if text is None:
        words = say("{file} is not a text table: it contains bytes that are no UTF-8 text.", file=file.name)
        raise UnreadableValueError(words)
    if not is_all:
        # The last line may be cut in the middle.
        text = text[: text.rfind("\n") + 1] or text
    note = "" if is_all else _beginning(len(head), file.n_bytes or 0)
    try:
        return Rows(pd.read_csv(io.StringIO(text), sep=separator), note)
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        return Text(text, note)


def _json(file: File) -> Tree:
    try:
        return Tree(json.loads(file.read_all(JSON_BYTES)))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        words = say("{file} is not valid JSON ({reason}).", file=file.name, reason=_words(error))
        raise UnreadableValueError(words) from error


def _head(file: File) -> tuple[bytes, bool]:
    with _opened(file.origin) as stream:
        content = stream.read(HEAD_BYTES + 1)
    return content[:HEAD_BYTES], len(content) <= HEAD_BYTES


def _as_text(head: bytes, *, is_all: bool) -> str | None:
    """Return UTF-8 text, None when it is none; a character cut at the end of a beginning does not count."""
    if b"\0" in head:
        return None
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not is_all and error.start >= len(head) - 3:
            return head[: error.start].decode("utf-8-sig")
        return None


def _listing(names: list[str]) -> Listing:
    note = say("The first {n} files are listed.", n=MOST_LISTED) if len(names) > MOST_LISTED else ""
    return Listing(tuple(sorted(names[:MOST_LISTED])), note)


def _opened(origin: pathlib.Path | ObjectRefLike) -> IO[bytes]:
    return origin.open(mode="rb")


def _plain_content(value: object) -> Content:
    if value is None:
        return Value(say("No value (NULL)"), is_missing=True)
    if isinstance(value, np.generic) and value.dtype.names:
        return array_content(np.asarray(value).reshape(1))
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        head = bytes(memoryview(value).cast("B")[:HEAD_BYTES]) if len(value) else b""
        n_bytes = value.nbytes if isinstance(value, memoryview) else len(value)
        return Raw(head[:4096], n_bytes)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return Tree(value)
    if isinstance(value, datetime.datetime):
        return Value(value.isoformat(sep=" "))
    described = describe(value)
    return Value(described.text)


def _name_of(path: str) -> str:
    return str(path).rstrip("/").rsplit("/", 1)[-1]


def _suffix(path: str) -> str:
    return pathlib.PurePosixPath(path).suffix


def _beginning(n_bytes: int, all_bytes: int) -> str:
    return say("The first {size} of {all}.", size=human_bytes(n_bytes), all=human_bytes(all_bytes))


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
