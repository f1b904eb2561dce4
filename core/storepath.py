"""Where objects lie in a store; a row names the path of each, so only new ones follow these rules.

::

    {hash_prefix}/{schema}/[subfolders/]{hash}
    {schema_prefix}/[part=value/]{schema}/{table}/{key=value}/…/{field}_{token}{ext}

Source: the published package ``datajoint`` 2.3.5, ``storage.py`` and ``hash_registry.py``, observed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import posixpath
import re
import secrets
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dj_panel.core.errors import EncodeError, UnsafePathError

__all__ = ["contained", "content_hash", "encoded_key_value", "hash_path", "new_token", "object_path"]

_TOKEN_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_UNSAFE_IN_PATH = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_MAX_COMPONENT_BYTES = 200


def contained(path: str | os.PathLike[str], *, within: str = "the store") -> str:
    """Return a relative path in its shortest form, or refuse one that leads elsewhere.

    Raises
    ------
    UnsafePathError
        If the path is empty, absolute, holds a zero byte, or climbs out with ``..``.

    Examples
    --------
    >>> contained("./a//b/../c")
    'a/c'
    """
    text = os.fspath(path)
    plain = posixpath.normpath(text) if text else ""
    drive = re.match(r"[A-Za-z]:[\\/]", text)
    if (
        not text
        or "\0" in text
        or drive
        or text.startswith(("/", "\\"))
        or plain.split("/")[0] in ("..", ".")
    ):
        raise UnsafePathError(
            f"The path {text!r} does not lie in {within}. Give one relative to it, without '..'."
        )
    if "\\" in text and ".." in text.replace("\\", "/").split("/"):
        raise UnsafePathError(
            f"The path {text!r} does not lie in {within}. Give one relative to it, without '..'."
        )
    return plain


def content_hash(content: bytes | memoryview | Iterable[bytes]) -> str:
    """Return the 26 characters that DataJoint identifies content by: its MD5 in base 32.

    Examples
    --------
    >>> content_hash(b"abc")
    'saavbgb42jh3bvuwh56sryl7oi'
    """
    digest = hashlib.md5(usedforsecurity=False)
    for piece in (content,) if isinstance(content, bytes | memoryview) else content:
        digest.update(piece)
    return base64.b32encode(digest.digest()).decode().rstrip("=").lower()


def hash_path(
    digest: str, schema: str, *, hash_prefix: str = "_hash", subfolding: Sequence[int] | None = None
) -> str:
    """Return where content with a hash is stored.

    Examples
    --------
    >>> hash_path("saavbgb42jh3bvuwh56sryl7oi", "lab", subfolding=(2, 3))
    '_hash/lab/sa/avb/saavbgb42jh3bvuwh56sryl7oi'
    """
    folds = []
    start = 0
    for width in subfolding or ():
        folds.append(digest[start : start + width])
        start += width
    return "/".join(part for part in (hash_prefix.strip("/"), schema, *folds, digest) if part)


def new_token(length: int = 8) -> str:
    """Return random characters that keep one object's path from ever being another's (4 to 16 of them)."""
    return "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(max(4, min(16, length))))


def encoded_key_value(value: Any) -> str:
    """Return the value of a key attribute as a path may hold it.

    Examples
    --------
    >>> encoded_key_value(3), encoded_key_value("M/1"), encoded_key_value(datetime(2024, 5, 1, 9, 30))
    ('3', 'M%2F1', '2024-05-01T09-30-00')
    """
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H-%M-%S")
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    text = str(value)
    is_long = len(text) > 100
    if not is_long and not _UNSAFE_IN_PATH.search(text):
        encoded = text
    else:
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]
        encoded = urllib.parse.quote(f"{text[:50]}_{digest}" if is_long else text, safe="")
    if (
        len(encoded.encode()) > _MAX_COMPONENT_BYTES
    ):  # a name on disk ends at 255 bytes, letters count up to 12
        encoded = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return encoded


def object_path(
    *,
    schema: str,
    table: str,
    field: str,
    key: Mapping[str, Any],
    ext: str | None = None,
    schema_prefix: str = "_schema",
    partition_pattern: str | None = None,
    token_length: int = 8,
) -> str:
    """Return a new path for an object of one row, never the same twice.

    Parameters
    ----------
    schema, table, field
        Where the row is; the table by its SQL name.
    key
        The row's primary key.
    ext
        Ending of the name, with or without its dot.
    schema_prefix, partition_pattern, token_length
        From the store's settings; a pattern such as ``"{subject}/{date}"`` names the attributes that come
        first in the path.

    Raises
    ------
    EncodeError
        If `ext` would add a folder to the path.
    """
    if ext and (_UNSAFE_IN_PATH.search(ext) or ".." in ext):
        raise EncodeError(f"{ext!r} cannot be the ending of a file's name. Give one such as '.tif'.")
    leading = re.findall(r"\{(\w+)\}", partition_pattern or "")
    parts = {name: f"{name}={encoded_key_value(value)}" for name, value in key.items()}
    dot = "." if ext and not ext.startswith(".") else ""
    folders = [
        schema_prefix.strip("/"),
        *(parts[name] for name in leading if name in parts),
        schema,
        table,
        *(part for name, part in parts.items() if name not in leading),
        f"{field}_{new_token(token_length)}{dot}{ext or ''}",
    ]
    return "/".join(folder for folder in folders if folder)
