"""``<filepath@>``: a file or folder that lies in a store already and stays where it is."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from dj_panel.core.codec import Codec
from dj_panel.core.errors import CodecError, EncodeError
from dj_panel.core.objects import ObjectRef
from dj_panel.core.store import Store, open_store
from dj_panel.core.storepath import contained


class FilepathCodec(Codec):
    """Refers to a file or folder by its path in a store; fetched is an `ObjectRef`.

    The parts of a store that hold other codecs' objects are refused, and so is what lies outside its
    ``filepath_prefix``, where one is set.
    """

    name = "filepath"

    def get_dtype(self, is_store: bool) -> str:
        """Return ``json``.

        Raises
        ------
        CodecError
            Without ``@``.
        """
        if not is_store:
            raise CodecError("<filepath> refers into a store. Write <filepath@> or <filepath@store>.")
        return "json"

    def resolve_store(self, store: str | None, config: Any) -> str:
        """Return the name of a store; the default one's is ``stores.filepath_default``."""
        name: str = config.get_store_spec(store, use_filepath_default=True)["name"]
        return name

    def validate(self, value: Any) -> None:
        """Raise TypeError for anything but a path."""
        if not isinstance(value, str | os.PathLike):
            raise TypeError(f"<filepath@> takes a path relative to its store, not {type(value).__name__}.")

    def encode(  # type: ignore[override]
        self, value: Any, *, store_name: str | None = None, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return ``{path, store, size, is_dir, timestamp}`` of what lies at the path.

        Raises
        ------
        EncodeError
            If the path is in a part of the store that is not free for it.
        MissingObjectError
            If nothing is there.
        UnsafePathError
            If the path leads out of the store.
        """
        store = open_store((context or {})["config"], store_name, use_filepath_default=True)
        path = referable(value, store)
        is_dir = store.is_dir(path)
        return {
            "path": path,
            "store": store.name,
            "size": None if is_dir else store.size(path),
            "is_dir": is_dir,
            "timestamp": datetime.now(UTC).isoformat(),
        }

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> ObjectRef:  # type: ignore[override]
        """Return a reference; nothing is read."""
        name = stored.get("store") if isinstance(stored, dict) else None
        store = open_store((context or {})["config"], name, use_filepath_default=True)
        return ObjectRef.from_json(stored, store)


def referable(value: str | os.PathLike[str], store: Store) -> str:
    """Return a path in its shortest form, if rows may refer to what lies there in a store.

    Raises
    ------
    EncodeError
        If it is in a part of the store that holds other codecs' objects, or outside ``filepath_prefix``.
    UnsafePathError
        If it leads out of the store.
    """
    path = contained(value, within=f"the store '{store.name}'")
    for role in ("hash_prefix", "schema_prefix"):
        section = str(store.spec.get(role) or "").strip("/")
        if section and f"{path}/".startswith(f"{section}/"):
            raise EncodeError(
                f"'{path}' lies in '{section}', which holds other codecs' objects. Refer to a file elsewhere."
            )
    section = str(store.spec.get("filepath_prefix") or "").strip("/")
    if section and not path.startswith(f"{section}/"):
        raise EncodeError(f"'{path}' does not lie in '{section}', where this store's files must be.")
    return path
