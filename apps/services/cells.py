"""Values of a row as people read them, without fetching what is large.

Every cell is text made here, in Python: a browser would round large whole numbers, drop microseconds and
show the same for nothing and for no value. Of arrays, objects and files only what the row says of them is
asked for, or the first bytes, never the content.
"""

from __future__ import annotations

import ast
import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dj_panel.apps.preview.description import human_bytes
from dj_panel.core.blob import COMPRESSED
from dj_panel.core.blobwriter import TYPE_IDS
from dj_panel.core.codec import decode_value, resolve_chain
from dj_panel.core.columntypes import FloatType, TextType
from dj_panel.core.errors import CodecError, DataJointError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import grouped, marked, say, say_many

__all__ = ["HEAD_BYTES", "Cell", "Plan", "Storage", "cell_of", "is_value", "plan_of"]

CellKind = Literal["text", "number", "null", "value", "problem"]
Storage = Literal["plain", "long text", "json", "bytes", "codec"]

HEAD_BYTES = 400
"""So many bytes of a blob tell the shape and type of an array, compressed or not."""

SHORT_CHARS, FULL_CHARS = 160, 20_000
"""How much of a text a table shows, and how much a record does."""

_TYPE_NAMES = {number: np.dtype(name).name for name, number in TYPE_IDS.items()} | {4: "text", 5: "object"}
_BLOB_KINDS = {
    ord("C"): marked("cell array"), ord("S"): marked("struct array"), ord("F"): marked("table"), 1: "tuple",
    2: "list", 3: "set", 4: "dict", 5: marked("text"), 6: "bytes", 0xA: marked("whole number"),
    0xB: marked("yes or no"), 0xC: marked("complex number"), 0xD: marked("number"),
    ord("d"): marked("decimal number"), ord("t"): marked("date or time"), ord("u"): "UUID",
    0xFF: marked("nothing"),
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One value as text.

    Parameters
    ----------
    text
        What to show; empty for no value.
    kind
        ``text`` and ``number`` differ in alignment; ``null`` is no value; ``value`` describes something that
        the object page shows; ``problem`` is something that cannot be read.
    is_cut
        Whether there is more than `text`.
    """

    text: str
    kind: CellKind = "text"
    is_cut: bool = False


@dataclass(frozen=True)
class Plan:
    """How the cells of one attribute are asked for.

    Parameters
    ----------
    attribute
        The attribute.
    storage
        ``plain`` values come as they are; of the others, the expressions that follow come.
    content
        What to ask for in its place, as an expression; empty for ``plain``.
    size
        What to ask for its size in bytes, as an expression; empty if that is not needed.
    """

    attribute: Attribute
    storage: Storage
    content: str = ""
    size: str = ""


def is_value(attribute: Attribute) -> bool:
    """Return whether values are looked at on a page of their own: arrays, objects, files, documents.

    >>> is_value(Attribute("trace", "<blob>", "bytes")), is_value(Attribute("age", "int8"))
    (True, False)
    """
    return attribute.column_type.kind in ("bytes", "json")


def plan_of(attribute: Attribute) -> Plan:
    """Return how to ask for the cells of an attribute."""
    name = f"`{attribute.name}`"
    column = attribute.column_type
    if column.kind == "bytes":
        return Plan(attribute, "bytes", f"substr({name}, 1, {HEAD_BYTES})", f"length({name})")
    if attribute.codec is not None:
        # An expression, so that no codec runs: decoding may fetch an object, or fail for one row of many.
        return Plan(attribute, "codec", f"coalesce({name}, {name})")
    if column.kind == "json":
        return Plan(attribute, "json", f"substr({name}, 1, {FULL_CHARS + 1})")
    if isinstance(column, TextType) and (column.length is None or column.length > FULL_CHARS):
        return Plan(attribute, "long text", f"substr({name}, 1, {FULL_CHARS + 1})")
    return Plan(attribute, "plain")


def cell_of(
    plan: Plan, content: Any, size: int | None, key: Mapping[str, Any], config: Any, *, full: bool = False
) -> Cell:
    """Return one cell.

    Parameters
    ----------
    plan
        How it was asked for.
    content
        The value, or what its expression gave.
    size
        Size of the value in bytes, where it was asked for.
    key
        The row's primary key, for codecs.
    config
        The settings, for codecs.
    full
        Whether to show all of a long text, for a record; a table shows the beginning.
    """
    if content is None:
        return Cell("", "null")
    attribute = plan.attribute
    if plan.storage == "bytes":
        return Cell(_bytes_text(attribute, bytes(content), size), "value")
    if plan.storage == "codec":
        return _codec_cell(attribute, content, key, config, full=full)
    if plan.storage in ("json", "long text"):
        return _text_cell(_as_text(content), full=full)
    return _plain_cell(attribute, content, full=full)


def _plain_cell(attribute: Attribute, value: Any, *, full: bool) -> Cell:
    column = attribute.column_type
    if column.kind == "boolean":
        return Cell(say("yes") if value else say("no"))
    if column.kind in ("integer", "decimal"):
        return Cell(str(value), "number")
    if column.kind == "float":
        is_single = isinstance(column, FloatType) and column.size_bytes == 4
        text = str(np.float32(value)) if is_single else repr(float(value))
        return Cell(text if full else _rounded(value, text), "number")
    if column.kind in ("date", "datetime", "time", "uuid") and not isinstance(value, str):
        return Cell(column.format(value))
    return _text_cell(_as_text(value), full=full)


def _rounded(value: float, text: str) -> str:
    """Return a number as a table shows it: to seven digits, where it has more."""
    return text if len(text) <= 10 else f"{value:.7g}"


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)


def _text_cell(text: str, *, full: bool) -> Cell:
    longest = FULL_CHARS if full else SHORT_CHARS
    if len(text) > longest:
        return Cell(text[:longest].rstrip() + "…", is_cut=True)
    return Cell(text)


def _codec_cell(
    attribute: Attribute, stored: Any, key: Mapping[str, Any], config: Any, *, full: bool
) -> Cell:
    if attribute.column_type.kind == "json":
        try:
            facts = json.loads(_as_text(stored))
        except ValueError:
            return Cell(say("{codec} that cannot be read", codec=f"<{attribute.codec}>"), "problem")
        return Cell(_object_text(attribute, facts if isinstance(facts, dict) else {}), "value")
    try:
        value = decode_value(
            attribute.type, stored, key=key, context={"field": attribute.name, "config": config}
        )
    except (DataJointError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        return Cell(say("cannot be decoded: {reason}", reason=error)[:SHORT_CHARS], "problem")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(str(value), "number") if is_number else _text_cell(str(value), full=full)


# ------------------------------------------------------------------ what a row says of its objects
def _object_text(attribute: Attribute, facts: Mapping[str, Any]) -> str:
    """Return what an object is, from what its row says of it."""
    shape, size = facts.get("shape"), facts.get("size")
    if isinstance(shape, list):
        return _array_text(_dtype_text(facts.get("dtype")), shape)
    extension = str(facts.get("ext") or "").lower()
    if not extension and "." in str(facts.get("path", "")).rpartition("/")[2]:
        extension = "." + str(facts["path"]).rpartition(".")[2][:12].lower()
    words = [f"<{attribute.codec}>"]
    if attribute.codec == "blob":
        words = ["blob"]
    elif attribute.codec == "attach":
        words = [say("file")]
    elif attribute.codec in ("object", "filepath"):
        is_folder = facts.get("is_dir") and extension != ".zarr"
        file = say("{extension} file", extension=extension) if extension else say("file")
        words = ["Zarr" if extension == ".zarr" else say("folder") if is_folder else file]
        if is_folder and isinstance(facts.get("item_count"), int):
            words.append(say_many("{n} file", "{n} files", facts["item_count"]))
    if isinstance(size, int):
        words.append(human_bytes(size))
    return ", ".join(words)


def _dtype_text(text: object) -> str:
    try:
        name = str(text)
        dtype = np.dtype(ast.literal_eval(name) if name.startswith(("[", "{")) else name)
    except (TypeError, ValueError, SyntaxError):
        return say("array")
    return say("table") if dtype.names else dtype.name


def _array_text(dtype: str, shape: list[Any]) -> str:
    lengths = " × ".join(grouped(n) if isinstance(n, int) else "?" for n in shape)
    return f"{dtype} ({lengths})" if shape else dtype


# ------------------------------------------------------------------ the first bytes of what is in the row
def _bytes_text(attribute: Attribute, head: bytes, size: int | None) -> str:
    kind = ""
    if attribute.codec is None:
        kind = say("bytes")
    elif attribute.codec == "attach":
        name = head.partition(b"\0")[0].decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
        kind = name if len(name) <= 60 else name[:59] + "…"
    elif _is_blob(attribute):
        kind = _blob_text(head)
    kind = kind or f"<{attribute.codec}>"
    return kind if size is None else f"{kind}, {human_bytes(size)}"


def _is_blob(attribute: Attribute) -> bool:
    try:
        return resolve_chain(attribute.type).codecs[-1].name == "blob"
    except CodecError:  # the codec is defined in code that is not loaded here
        return False


def _blob_text(head: bytes) -> str:
    """Return what a blob holds, from its beginning; empty if that does not tell."""
    if head.startswith(COMPRESSED):
        try:
            head = zlib.decompressobj().decompress(head[len(COMPRESSED) + 8 :], HEAD_BYTES)
        except zlib.error:
            return ""
    if head[:4] not in (b"mYm\0", b"dj0\0") or len(head) < 5:
        return ""
    code, body = head[4], head[5:]
    if code != ord("A"):
        kind = _BLOB_KINDS.get(code, "")
        return say(kind) if kind else ""
    if len(body) < 8:
        return ""
    n_dims = struct.unpack_from("<Q", body)[0]
    if n_dims > 32 or len(body) < 8 * (n_dims + 1) + 8:
        return ""
    shape = list(struct.unpack_from(f"<{n_dims}Q", body, 8))
    type_id, is_complex = struct.unpack_from("<II", body, 8 * (n_dims + 1))
    name = _TYPE_NAMES.get(type_id) or say("array")
    if is_complex:
        name = "complex64" if name == "float32" else "complex128"
    if type_id == 4 and math.prod(shape) <= 1:
        return say("text")
    return _array_text(say("text") if type_id == 4 else name, shape)
