"""``<blob>``: any array, number, text or container of these, packed in DataJoint's blob format."""

from __future__ import annotations

from typing import Any

from dj_panel.core.blob import pack, unpack
from dj_panel.core.codec import Codec
from dj_panel.core.errors import DecodeError


class BlobCodec(Codec):
    """Packs a value; ``<blob>`` keeps the bytes in the column, ``<blob@>`` in a store."""

    name = "blob"

    def get_dtype(self, is_store: bool) -> str:
        """Return ``<hash>`` for ``@``, else ``bytes``."""
        return "<hash>" if is_store else "bytes"

    def encode(self, value: Any) -> bytes:  # type: ignore[override]  # codecs take only the keywords they use
        """Return the value as a blob, compressed where that is worth its time."""
        return pack(value, compress="auto")

    def decode(self, stored: Any) -> Any:  # type: ignore[override]
        """Return the value of a blob."""
        if not isinstance(stored, bytes | bytearray | memoryview):
            raise DecodeError(f"The stored value of a <blob> is {type(stored).__name__}, not bytes.")
        return unpack(stored)
