"""The shape of lazy references, as far as a preview needs it.

Anything with these attributes can be looked at, whichever store it lives in; the library's own references
are one such thing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import IO, Any, Protocol, TypeGuard

import numpy as np

Run = Callable[..., Awaitable[Any]]


class NpyRefLike(Protocol):
    """A stored NumPy array: its metadata at hand, its values on request."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one value."""

    @property
    def is_local(self) -> bool:
        """Whether the file is on this machine's disk, so that a part of it can be read."""

    def load(self, mmap_mode: str | None = None) -> np.ndarray[Any, Any]:
        """Return the values, memory-mapped where `mmap_mode` is given and the store allows it."""


class ObjectRefLike(Protocol):
    """A stored file or folder."""

    @property
    def path(self) -> str:
        """Path inside the store."""

    @property
    def ext(self) -> str | None:
        """Extension with its dot, such as ``.zarr``."""

    @property
    def is_dir(self) -> bool:
        """Whether the object is a folder."""

    @property
    def size(self) -> int | None:
        """Bytes in the store."""

    @property
    def item_count(self) -> int | None:
        """Number of files in a folder."""

    @property
    def fsmap(self) -> Any:
        """The folder as a mapping from names to bytes, which Zarr can open."""

    def exists(self) -> bool:
        """Whether the object is in the store."""

    def open(self, *, mode: str = "rb") -> IO[bytes]:
        """Return the file, opened."""

    def listdir(self) -> Sequence[str]:
        """Return the names in a folder."""


def is_npy_ref(value: object) -> TypeGuard[NpyRefLike]:
    """Say whether `value` is a lazy reference to an array."""
    return _has(value, "load", "shape", "dtype", "is_local")


def is_object_ref(value: object) -> TypeGuard[ObjectRefLike]:
    """Say whether `value` is a lazy reference to a file or folder."""
    return _has(value, "open", "exists", "listdir", "fsmap")


def _has(value: object, *names: str) -> bool:
    # The class is asked: reading a property of a reference may already reach for its store.
    return all(hasattr(type(value), name) for name in names)
