"""``<blob>``: any array, number, text or container of these, packed in DataJoint's blob format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dj_panel.core.codec import Codec
from dj_panel.core.errors import DecodeError
from dj_panel.core.lazy import LazyModule

if TYPE_CHECKING:
    from dj_panel.core import blob
else:
    blob = LazyModule("dj_panel.core.blob")


class BlobCodec(Codec):
    """Packs a value; ``<blob>`` keeps the bytes in the column, ``<blob@>`` in a store."""

    name = "blob"

    def get_dtype(self, is_store: bool) -> str:
        """Return ``<hash>`` for ``@``, else ``bytes``."""
        return "<hash>" if is_store else "bytes"

    def encode(self, value: Any) -> bytes:  # type: ignore[override]  # codecs take only the keywords they use
        """Return the value as a blob, compressed where that is worth its time."""
        return blob.pack(value, compress="auto")

    def decode(self, stored: Any) -> Any:  # type: ignore[override]
        """Return the value of a blob."""
        if not isinstance(stored, bytes | bytearray | memoryview):
            raise DecodeError(f"The stored value of a <blob> is {type(stored).__name__}, not bytes.")
        return blob.unpack(stored)
