"""Columns that DataJoint 0.14 left in a database: what their 16 bytes refer to is read, and nothing is written.

Such a column holds the UUID of an object in a store; ``blob@store`` is read through it. The files of
``attach@store`` and ``filepath@store`` are named in the tables ``~external_…``; their UUID is fetched, to look
there. ``dj.migrate`` turns such columns into those of version 2.

Source: DataJoint 0.14, its external storage, observed in databases that it wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from dj_panel.core.codec import Codec
from dj_panel.core.errors import DecodeError, EncodeError, MissingObjectError
from dj_panel.core.lazy import LazyModule
from dj_panel.core.store import open_store

if TYPE_CHECKING:
    from dj_panel.core import blob
else:
    blob = LazyModule("dj_panel.core.blob")

_FOLDS = (2, 2)


class LegacyReference(Codec, register=False):
    """The base of these: a UUID as 16 bytes."""

    def get_dtype(self, is_store: bool) -> str:
        """Return ``bytes``."""
        return "bytes"

    def encode(self, value: Any) -> Any:  # type: ignore[override]
        """Refuse to write.

        Raises
        ------
        EncodeError
            Always.
        """
        raise EncodeError(
            "columns of this kind were made by DataJoint 0.14 and are read only here. Migrate the schema with"
            " dj.migrate, or add a column of a new type with alter() and copy the values"
        )

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> Any:  # type: ignore[override]
        """Return the UUID."""
        try:
            return UUID(bytes=bytes(stored))
        except (TypeError, ValueError) as error:
            raise DecodeError(f"The stored reference {stored!r} is not a UUID of 16 bytes.") from error


class LegacyBlob(LegacyReference):
    """``blob@store``: a blob in a store."""

    name = "legacy_blob"

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> Any:  # type: ignore[override]
        """Return the value of the blob.

        Raises
        ------
        MissingObjectError
            If the store has no such object.
        """
        context = context or {}
        name = super().decode(stored).hex
        store = open_store(context["config"], context.get("store"))
        folds, start = [], 0
        for width in store.spec.get("subfolding") or _FOLDS:
            folds.append(name[start : start + width])
            start += width
        # The first folder is that of the schema, which a value of a joined query does not know.
        for schema in store.sections():
            path = "/".join([schema, *folds, name])
            if store.exists(path):
                return blob.unpack(store.get_bytes(path))
        raise MissingObjectError(
            f"The store '{store.name}' has no object {name}, as DataJoint 0.14 stored it under <schema>/"
            f"{'/'.join(folds)}/. Check the location of the store."
        )


class LegacyAttach(LegacyReference):
    """``attach@store``: the UUID by which ``~external_store`` names the file."""

    name = "legacy_attach"


class LegacyFilepath(LegacyReference):
    """``filepath@store``: the UUID by which ``~external_store`` names the file."""

    name = "legacy_filepath"
