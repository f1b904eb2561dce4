"""``<object@>``: a file or a folder, copied into a store and fetched as a reference to it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dj_panel.core.codecs.schema import SchemaCodec
from dj_panel.core.errors import EncodeError
from dj_panel.core.objects import ObjectRef, StagedObject, object_metadata
from dj_panel.core.store import Store


class ObjectCodec(SchemaCodec):
    """Stores an object for each row.

    Inserted is the path of a file or folder, bytes, a pair of ending and bytes or open file
    (``(".tif", content)``), or an `ObjectRef`, whose object is then copied; fetched is an `ObjectRef`.
    """

    name = "object"

    def validate(self, value: Any) -> None:
        """Raise TypeError for anything else."""
        if isinstance(value, bytes | str | os.PathLike | ObjectRef | StagedObject):
            return
        if isinstance(value, tuple) and len(value) == 2:
            ending, content = value
            if isinstance(ending, str | None) and (isinstance(content, bytes) or hasattr(content, "read")):
                return
        raise TypeError(
            "<object@> takes the path of a file or folder, bytes, (ending, bytes) or an ObjectRef, not"
            f" {type(value).__name__}. What the row stores of it is worked out here."
        )

    def encode(
        self,
        value: Any,
        *,
        key: dict[str, Any] | None = None,
        store_name: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Copy the object to a new path and return what `object_metadata` says of it.

        Raises
        ------
        EncodeError
            If there is nothing at the given path.
        """
        store = self.store(store_name, context)
        if isinstance(value, StagedObject):
            return object_metadata(store, value.path, value.ext)
        ext, put = _source(value)
        path = self.new_path(store, key, context, ext)
        put(store, path)
        return object_metadata(store, path, ext)

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> ObjectRef:  # type: ignore[override]
        """Return a reference; nothing is read."""
        name = stored.get("store") if isinstance(stored, dict) else None
        return ObjectRef.from_json(stored, self.store(name, context))


def _source(value: Any) -> tuple[str | None, Callable[[Store, str], Any]]:
    """Return the ending of an object's name and what puts it into a store at a path."""
    if isinstance(value, bytes):
        return None, lambda store, path: store.put_bytes(path, value)
    if isinstance(value, tuple):
        stream = io.BytesIO(value[1]) if isinstance(value[1], bytes) else value[1]
        return value[0] or None, lambda store, path: store.put_stream(path, stream)
    if isinstance(value, ObjectRef):
        # Copied, not shared: each row's object can then be removed with the row.
        return value.ext, lambda store, path: store.copy_from(value.backend, value.path, path)
    source = Path(value)
    if source.is_dir():
        return None, lambda store, path: store.put_directory(path, source)
    if not source.is_file():
        raise EncodeError(f"There is no file or folder '{source}'.")
    return source.suffix, lambda store, path: store.put_file(path, source)
