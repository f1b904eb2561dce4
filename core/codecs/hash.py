"""``<hash@>``: bytes in a store, addressed by their content, so that equal ones are stored once a schema."""

from __future__ import annotations

import time
from typing import Any

from dj_panel.core.codec import Codec
from dj_panel.core.errors import (
    CodecError,
    CorruptObjectError,
    DecodeError,
    EncodeError,
    MissingObjectError,
)
from dj_panel.core.npyref import stored_reference
from dj_panel.core.store import Store, open_store
from dj_panel.core.storepath import content_hash, hash_path

# An object of a cloud store that is found again is written anew once an hour, well within a day's grace.
_YOUNG_SECONDS = 3600.0


class HashCodec(Codec):
    """Stores bytes; what the row keeps is ``{hash, path, schema, store, size}``."""

    name = "hash"

    def get_dtype(self, is_store: bool) -> str:
        """Return ``json``.

        Raises
        ------
        CodecError
            Without ``@``.
        """
        if not is_store:
            raise CodecError("<hash> keeps bytes in a store only. Write <hash@> or <hash@store>.")
        return "json"

    def validate(self, value: Any) -> None:
        """Raise TypeError for anything but bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f"<hash@> takes bytes, not {type(value).__name__}. <blob@> takes other values.")

    def encode(  # type: ignore[override]
        self, value: bytes, *, store_name: str | None = None, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Put the bytes where their hash says, unless they are there, and return the reference."""
        context = context or {}
        if not context.get("schema"):
            raise EncodeError("The schema is unknown that the stored bytes would belong to.")
        store = open_store(context["config"], store_name)
        digest = content_hash(value)
        path = hash_path(
            digest,
            context["schema"],
            hash_prefix=store.spec.get("hash_prefix", "_hash"),
            subfolding=store.spec.get("subfolding"),
        )
        # The size too, because a power cut may have left half of what another program wrote. What is there
        # becomes young again, so that garbage collection waits for the row that is about to name it.
        if not store.exists(path) or store.size(path) != len(value) or not _made_young(store, path):
            store.put_bytes(path, value)
        return {
            "hash": digest,
            "path": path,
            "schema": context["schema"],
            "store": store.name,
            "size": len(value),
        }

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> bytes:  # type: ignore[override]
        """Return the bytes at the stored path.

        Raises
        ------
        MissingObjectError
            If they are gone.
        CorruptObjectError
            If they are not what was stored.
        """
        found = stored_reference(stored, "hash")
        if not isinstance(found.get("hash"), str):
            raise DecodeError(f"The stored value of a <hash@> has no hash: {str(stored)[:60]!r}.")
        store = open_store((context or {})["config"], found.get("store"))
        content = store.get_bytes(found["path"])
        if content_hash(content) != found["hash"]:
            raise CorruptObjectError(
                f"The object '{found['path']}' in the store '{store.name}' has other content than was stored."
                " Restore it from a backup."
            )
        return content


def _made_young(store: Store, path: str) -> bool:
    """Make an object's age zero; return whether it need not be written again for that."""
    try:
        if store.touch(path):
            return True
        modified = store.modified(path)
    except MissingObjectError:
        return False  # collected this moment
    return modified is not None and time.time() - modified < _YOUNG_SECONDS
