"""What forms in browsers send: texts, drafts, files and folders. All of it is checked before it goes any further."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = [
    "BadMessageError",
    "SentFiles",
    "bytes_in",
    "part_errors_out",
    "parts_in",
    "text_in",
    "texts_in",
]

_MAX_PIECE_CHARS = 1_000_000
_MAX_NAMES = 1000


class BadMessageError(ValueError):
    """A message that no form of ours sends."""


def text_in(value: Any) -> str:
    """Return a text out of a message."""
    if not isinstance(value, str):
        raise BadMessageError(f"{type(value).__name__} in place of text")
    return value


def texts_in(value: Any) -> dict[str, str]:
    """Return a draft out of a message."""
    if not isinstance(value, Mapping) or len(value) > _MAX_NAMES:
        raise BadMessageError("draft")
    if not all(isinstance(name, str) and isinstance(text, str) for name, text in value.items()):
        raise BadMessageError("draft")
    return dict(value)


def bytes_in(value: Any) -> bytes:
    """Return bytes out of a message, in which they are written as base64."""
    if not isinstance(value, str) or len(value) > _MAX_PIECE_CHARS:
        raise BadMessageError("bytes")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise BadMessageError("bytes") from error


def parts_in(value: Any) -> dict[str, list[dict[str, str]]]:
    """Return the drafts of the rows of parts out of a message."""
    if not isinstance(value, Mapping) or not all(isinstance(rows, list) for rows in value.values()):
        raise BadMessageError("parts")
    return {str(name): [texts_in(row) for row in rows] for name, rows in value.items()}


def part_errors_out(errors: Mapping[tuple[str, int, str], str]) -> list[dict[str, Any]]:
    """Return what is wrong with the rows of parts as the browser takes it."""
    return [
        {"part": part, "row": row, "attribute": attribute, "text": text}
        for (part, row, attribute), text in errors.items()
    ]


class SentFiles:
    """The files and folders that one page's visitor sends, let go of with the page.

    Each method answers one kind of message; what is wrong with a file is told under ``error``.

    Parameters
    ----------
    services
        The site's.
    """

    def __init__(self, services: Any) -> None:
        self._services = services
        self._uploads = services.entering.uploads
        self._references: set[str] = set()
        self._is_closed = False

    async def begin(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Make room for a file, or for a folder of the listed files."""
        size, files = data.get("size"), data.get("files")
        if not isinstance(size, int) or not (files is None or _is_listing(files)):
            raise BadMessageError("size or files")
        name = text_in(data.get("name"))
        listed = [(path, n_bytes) for path, n_bytes in files] if files is not None else None
        try:
            reference: str = await self._services.run(self._uploads.begin, name, size, listed)
        except ValueError as error:
            return {"error": say("{name} {reason}.", name=name, reason=error)}
        if self._is_closed:
            self._uploads.drop(reference)
        self._references.add(reference)
        return {"reference": reference}

    async def add(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Take the next piece."""
        reference, offset, piece = self._reference(data), data.get("offset"), bytes_in(data.get("content"))
        if not isinstance(offset, int):
            raise BadMessageError("offset")
        try:
            return {"n_received": await self._services.run(self._uploads.add, reference, offset, piece)}
        except ValueError as error:
            return {"error": say("The file {reason}.", reason=error)}

    async def finish(self, data: Mapping[str, Any], info: TableInfo) -> dict[str, Any]:
        """Say what has arrived for an attribute, and where it can go in the attribute's store."""
        attribute, reference = _attribute(data, info), self._reference(data)
        name = self._uploads.name(reference)
        try:
            summary = await self._services.run(self._uploads.summary, reference, attribute)
        except ValueError as error:
            self._uploads.drop(reference)
            return {"error": say("{name} {reason}.", name=name or say("The file"), reason=error)}
        if attribute.codec != "filepath":
            return {"summary": summary}
        return {"path": await self._services.entering.free_path(info.name, attribute, name)}

    async def unpack(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Have a zip file stored unpacked, or as one file after all."""
        reference = self._reference(data)
        try:
            if data.get("is_unpacked") is True:
                return {"summary": await self._services.run(self._uploads.unpack, reference)}
            await self._services.run(self._uploads.pack, reference)
        except ValueError as error:
            name = self._uploads.name(reference) or say("The file")
            return {"error": say("{name} {reason}.", name=name, reason=error)}
        return {"summary": ""}

    async def drop(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Remove a file that is not wanted any more."""
        reference = self._reference(data)
        await self._services.run(self._uploads.drop, reference)
        self._references.discard(reference)
        return {}

    def close(self) -> None:
        """Let go of files that were not saved."""
        self._is_closed = True
        for reference in self._references:
            self._uploads.drop(reference)

    def _reference(self, data: Mapping[str, Any]) -> str:
        reference = data.get("reference")
        if reference not in self._references:
            raise BadMessageError("reference")
        return str(reference)


def _is_listing(files: Any) -> bool:
    return isinstance(files, list) and all(
        isinstance(file, list) and [type(part) for part in file] == [str, int] for file in files
    )


def _attribute(data: Mapping[str, Any], info: TableInfo) -> Attribute:
    attribute = next((a for a in info.attributes if a.name == data.get("attribute")), None)
    if attribute is None:
        raise BadMessageError("attribute")
    return attribute
