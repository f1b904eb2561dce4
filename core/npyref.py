"""A reference to an array in a ``.npy`` file of an object store.

Source: DataJoint 2.3, `reference/specs/npy-codec`; NumPy, `numpy.lib.format`.
"""

from __future__ import annotations

import ast
import hashlib
import math
import os
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from dj_panel.core.errors import CorruptObjectError, DecodeError, UnsafePathError
from dj_panel.core.lazy import np
from dj_panel.core.store import Store

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["NpyRef", "stored_reference"]

_MAX_HEADER = 1 << 16
_MAPPINGS: dict[str, Literal["r", "c"]] = {"r": "r", "c": "c"}


def stored_reference(stored: Any, codec: str) -> dict[str, Any]:
    """Return the stored reference of a codec, or refuse what is none.

    Raises
    ------
    DecodeError
        If it is not a dict with a ``path``.
    """
    if not isinstance(stored, Mapping) or not isinstance(stored.get("path"), str):
        raise DecodeError(f"The stored value of a <{codec}@> has no path: {str(stored)[:60]!r}.")
    return dict(stored)


class NpyRef:
    """An array in a ``.npy`` file of an object store.

    Shape and type are known without reading it. NumPy functions take it as an array and load it then;
    ``ref[10:20]`` of a local store reads that part only.

    Parameters
    ----------
    metadata
        What the row stores: ``path``, ``store``, ``dtype``, ``shape``.
    backend
        The store.

    Raises
    ------
    DecodeError
        If the metadata has no path or no shape.
    """

    __slots__ = ("_backend", "_cached", "_meta")

    def __init__(self, metadata: Mapping[str, Any], backend: Store) -> None:
        self._meta = stored_reference(metadata, "npy")
        shape = self._meta.get("shape")
        if not isinstance(shape, list | tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise DecodeError(f"The array '{self.path}' has no shape stored with it: {shape!r}.")
        self._backend = backend
        self._cached: npt.NDArray[Any] | None = None

    @property
    def path(self) -> str:
        """Where it is, relative to the store."""
        path: str = self._meta["path"]
        return path

    @property
    def store(self) -> str | None:
        """Name of its store."""
        return self._meta.get("store") or self._backend.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self._meta["shape"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's type.

        Raises
        ------
        DecodeError
            If the row names none that NumPy has.
        """
        text = str(self._meta.get("dtype"))
        try:
            # A type with fields is written as a list of them.
            return np.dtype(ast.literal_eval(text) if text.startswith(("[", "{")) else text)
        except (TypeError, ValueError, SyntaxError) as error:
            raise DecodeError(f"The array '{self.path}' has no usable type stored: {text!r}.") from error

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._meta["shape"])

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._meta["shape"])

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def is_local(self) -> bool:
        """Whether the file is on a local disk, so that a part of it can be read."""
        return self._backend.is_local

    @property
    def is_loaded(self) -> bool:
        """Whether the array was loaded already."""
        return self._cached is not None

    def read_header(self) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        """Return shape, Fortran order and type as the file itself has them, without reading its data.

        Raises
        ------
        MissingObjectError
            If the file is gone.
        CorruptObjectError
            If it is not an array, or not the one that the row describes.
        """
        with self._backend.open(self.path) as stream:
            return self._header(stream)

    def _header(self, stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        start = stream.read(12)
        width = 2 if start[6:7] == b"\1" else 4
        length = int.from_bytes(start[8 : 8 + width], "little")
        if start[:6] != b"\x93NUMPY" or length > _MAX_HEADER:
            self._corrupt("is not a .npy file")
        stream.seek(8 + width)
        try:
            text = stream.read(length).decode("utf-8" if start[6:7] == b"\3" else "latin-1")
            header = ast.literal_eval(text.strip())
            shape, is_fortran = tuple(map(int, header["shape"])), bool(header["fortran_order"])
            dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(header["descr"])
        except (ValueError, SyntaxError, LookupError, TypeError, RecursionError, MemoryError):
            self._corrupt("is not a .npy file, or its header is damaged")
        if shape != self.shape or dtype.hasobject:
            self._corrupt(f"holds {dtype} {shape}, and {self._meta.get('dtype')} {self.shape} was stored")
        # Compared before any memory is taken, since a damaged header may claim any shape.
        needed = 8 + width + length + math.prod(shape) * dtype.itemsize
        if (size := self._backend.size(self.path)) != needed:
            self._corrupt(f"has {size:,} bytes, and {needed:,} were stored")
        return shape, is_fortran, dtype

    def _corrupt(self, what: str) -> NoReturn:
        raise CorruptObjectError(
            f"The object '{self.path}' in the store '{self.store}' {what}. Restore it from a backup."
        )

    def load(self, mmap_mode: str | None = None) -> npt.NDArray[Any]:
        """Return the array.

        Parameters
        ----------
        mmap_mode
            ``None`` reads it all, once. ``"r"`` maps the file and reads what is touched; ``"c"`` also lets
            the copy in memory be changed. A file of a remote store is first copied to the local disk.

        Raises
        ------
        MissingObjectError
            If the file is gone.
        CorruptObjectError
            If it is not the array that was stored.
        ValueError
            For modes that would write to the stored file.
        """
        if mmap_mode is not None:
            return self._mapped(mmap_mode)
        if self._cached is None:
            with self._backend.open(self.path) as stream:
                shape, is_fortran, dtype = self._header(stream)
                content = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
                waiting = content.data
                while waiting and (n := stream.readinto(waiting)):
                    waiting = waiting[n:]
                if waiting:
                    self._corrupt(f"ends {len(waiting):,} bytes early")
            flat = content.view(dtype) if content.size else np.empty(math.prod(shape), dtype)
            self._cached = flat.reshape(shape, order="F" if is_fortran else "C")
        return self._cached

    def _mapped(self, mmap_mode: str) -> npt.NDArray[Any]:
        mode = _MAPPINGS.get(mmap_mode)
        if mode is None:
            raise ValueError(
                f"mmap_mode {mmap_mode!r} would change the stored array '{self.path}'. Use 'c' for a copy in"
                " memory that may be changed, and insert that."
            )
        self.read_header()
        if not self.nbytes:  # nothing to map
            return self.load()
        local = self._backend.full_path(self.path) if self._backend.is_local else self._downloaded()
        array: npt.NDArray[Any] = np.load(local, mmap_mode=mode, allow_pickle=False)
        return array

    def _downloaded(self) -> str:
        """Return the file's copy on the local disk; since objects never change, neither does it."""
        owner = os.getuid() if os.name == "posix" else 0
        folder = os.path.join(tempfile.gettempdir(), f"dj_panel-{owner}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.stat(folder, follow_symlinks=False).st_uid != owner:
            raise UnsafePathError(f"The folder {folder} belongs to someone else. Set TMPDIR to one of yours.")
        name = hashlib.sha256(self._backend.url(self.path).encode()).hexdigest()[:32] + ".npy"
        local = os.path.join(folder, name)
        if not os.path.exists(local) or os.path.getsize(local) != self._backend.size(self.path):
            self._backend.get_file(self.path, local)
        return local

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.load(), dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        if self._cached is not None or not self._backend.is_local:
            return self.load()[index]
        part = self._mapped("r")[index]
        return np.array(part) if isinstance(part, np.ndarray) else part

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        state = "loaded" if self.is_loaded else "not loaded"
        return f"NpyRef(shape={self.shape}, dtype={self._meta.get('dtype')}, {state})"
