"""Where files go that are sent while they are written."""

from __future__ import annotations

from typing import Any

__all__ = ["Sink"]


class Sink:
    """A file that is written and forgotten: what is written is taken away piece by piece.

    It has no ``seek``, by which writers know that what is written cannot be changed any more.
    """

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._place = 0

    def write(self, data: Any) -> int:
        """Take bytes, and return how many."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._place += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return how many bytes were written since the beginning."""
        return self._place

    def flush(self) -> None:
        """Nothing waits to be written."""

    def close(self) -> None:
        """Nothing is held open."""

    def taken(self) -> bytes:
        """Return what was written since this was asked last."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken
