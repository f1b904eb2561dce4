"""``<npy@>``: an array in a ``.npy`` file of a store, fetched as a reference that loads it when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dj_panel.core.codecs.schema import SchemaCodec
from dj_panel.core.lazy import np
from dj_panel.core.objects import NpyRef

if TYPE_CHECKING:
    import numpy.typing as npt


class NpyCodec(SchemaCodec):
    """Stores an array for each row; inserted is an array or an `NpyRef`, fetched is an `NpyRef`."""

    name = "npy"

    def validate(self, value: Any) -> None:
        """Raise TypeError for anything but an array of numbers, text or times."""
        if isinstance(value, NpyRef):
            return
        if not isinstance(value, np.ndarray):
            raise TypeError(f"<npy@> takes an array, not {type(value).__name__}. Try numpy.asarray(value).")
        if value.dtype.hasobject:
            raise TypeError(f"<npy@> takes no array of {value.dtype}; <blob@> does.")
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            raise TypeError("<npy@> takes no masked array: its mask would be lost. Fill it.")

    def encode(
        self,
        value: npt.NDArray[Any] | NpyRef,
        *,
        key: dict[str, Any] | None = None,
        store_name: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write the array to a new path and return ``{path, store, dtype, shape}``."""
        array = np.asarray(value)
        store = self.store(store_name, context)
        path = self.new_path(store, key, context, ".npy")
        with store.writing(path) as target:
            np.lib.format.write_array(target, array, allow_pickle=False)
        return {"path": path, "store": store.name, "dtype": str(array.dtype), "shape": list(array.shape)}

    def decode(self, stored: Any, *, context: dict[str, Any] | None = None) -> NpyRef:  # type: ignore[override]
        """Return a reference; nothing is read."""
        name = stored.get("store") if isinstance(stored, dict) else None
        return NpyRef(stored, self.store(name, context))
