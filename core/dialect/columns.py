"""Answers of a server by columns: what is fetched as arrays and frames need not become Python objects first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dj_panel.core.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Batch", "Column", "EncodedText", "ListColumn", "TypedValues", "batches_of_rows"]

ROWS_IN_A_BATCH = 4_000


class TypedValues(NamedTuple):
    """The values of a column as an array."""

    values: NDArray[Any]
    """Shape ``(n_rows,)``: whole numbers, floats, ``datetime64[D]`` or ``datetime64[us]``."""
    is_empty: NDArray[np.bool_] | None
    """Where there is no value; what stands in ``values`` there means nothing."""


class EncodedText(NamedTuple):
    """The values of a column as UTF-8, one after the other."""

    offsets: NDArray[np.int64]
    """Shape ``(n_rows + 1,)``: where each value begins, and where the last ends."""
    data: NDArray[np.uint8]
    is_empty: NDArray[np.bool_] | None
    """Where there is no value."""


class Column(ABC):
    """The values of one attribute in some rows, as the driver gives them."""

    @abstractmethod
    def values(self) -> list[Any]:
        """Return the values as Python's; ``None`` where there is none."""

    def typed(self) -> TypedValues | None:
        """Return the values as an array, if they are numbers or times that came as such."""
        return None

    def text(self) -> EncodedText | None:
        """Return the values as UTF-8, if they are text that came as such."""
        return None


class ListColumn(Column):
    """Values that are Python's already."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def values(self) -> list[Any]:
        """Return the values."""
        return list(self._values)


class Batch(NamedTuple):
    """Some rows of an answer."""

    n_rows: int
    columns: tuple[Column, ...]


def batches_of_rows(cursor: Any, n_columns: int, n_rows: int = ROWS_IN_A_BATCH) -> Iterator[Batch]:
    """Yield the rows of a driver's cursor as batches of so many rows."""
    while rows := cursor.fetchmany(n_rows):
        yield batch_of_rows(rows, n_columns)


def batch_of_rows(rows: Sequence[Sequence[Any]], n_columns: int) -> Batch:
    """Return rows as one batch."""
    columns: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * n_columns
    return Batch(len(rows), tuple(map(ListColumn, columns)))
