"""Rows in any form that users have them in → blocks of columns, a bounded number of rows at a time."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dj_panel.core.conditions import IsDataFrame
from dj_panel.core.errors import MissingAttributeError
from dj_panel.core.lazy import np
from dj_panel.core.structure import TableName

__all__ = ["Block", "RowReader", "is_missing", "label"]

_PARQUET = (".parquet", ".pq")
_ROWS_OF_FILE = 5000


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for "no value": None, NaN, and the missing values of data frames."""
    if value is None:
        return True
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType")


def label(name: TableName) -> str:
    """Return a table's name as people say it: ``lab.Session``."""
    return f"{name.schema}.{name.class_name}"


@dataclass
class Block:
    """Consecutive rows that have the same fields, kept by column.

    Parameters
    ----------
    columns
        The values of each field.
    n_rows
        How many rows, which the columns do not tell where there are none.
    start
        The position of the first row among all that were given.
    error
        Why a row, then alone in its block, cannot be read.
    """

    columns: dict[str, list[Any]]
    n_rows: int
    start: int = 0
    error: MissingAttributeError | None = None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as dicts."""
        names = tuple(self.columns)
        if not names:
            yield from ({} for _ in range(self.n_rows))
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))


class RowReader:
    """Reads rows in any form as blocks.

    Parameters
    ----------
    rows
        Mappings, sequences in the heading's order, numpy records, a pandas or polars frame, an Arrow table,
        batch or reader of batches, or the path of a CSV file with a header or of a Parquet file.
    names
        The table's attributes, for rows without names.
    table
        The table's name, for messages.
    n_rows
        How many rows a block has at most. May be changed between two blocks.
    is_lenient
        Whether a row that cannot be read becomes a block with an error, rather than the end of reading.
    whole_seconds
        Attributes that keep times to the second. Of arrays, their times are read as texts at once: datetimes
        would be made only to be written out again.
    """

    def __init__(
        self,
        rows: Any,
        names: Sequence[str],
        table: str,
        n_rows: int = 5000,
        *,
        is_lenient: bool = False,
        whole_seconds: Collection[str] = (),
    ) -> None:
        self.n_rows = n_rows
        self._is_lenient = is_lenient
        self._rows = rows
        self._names = names
        self._table = table
        self._whole_seconds = frozenset(whole_seconds)

    @property
    def is_repeatable(self) -> bool:
        """Whether reading them again gives them again."""
        return not isinstance(self._rows, Iterator) and not hasattr(self._rows, "read_next_batch")

    @property
    def is_at_hand(self) -> bool:
        """Whether the rows are in memory or in a file: then any thread may read them, and as often as it likes."""
        rows = self._rows
        is_arrow = hasattr(rows, "to_pylist") and hasattr(rows, "schema")
        is_table = is_arrow or isinstance(rows, IsDataFrame)
        return self.is_repeatable and (is_table or isinstance(rows, (list, tuple, np.ndarray, Path)))

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks.

        Raises
        ------
        MissingAttributeError
            If a row has no names and another length than the heading, or is nothing that has attributes.
        """
        start = 0
        for block in self._blocks():
            if block.error is not None and not self._is_lenient:
                raise block.error
            block.start = start
            start += block.n_rows
            yield block

    def _blocks(self) -> Iterator[Block]:
        rows = self._rows
        if isinstance(rows, Path):
            if rows.suffix.lower() in _PARQUET:
                yield from self._from_parquet(rows)
            else:
                yield from self._from_csv(rows)
        elif hasattr(rows, "read_next_batch"):
            for batch in rows:
                yield from self._from_arrow(batch)
        elif hasattr(rows, "to_pylist") and hasattr(rows, "schema"):
            yield from self._from_arrow(rows)
        elif isinstance(rows, IsDataFrame) and not isinstance(rows, Mapping):
            yield from self._from_frame(rows)
        elif isinstance(rows, np.ndarray) and rows.dtype.names:
            yield from self._from_records(np.atleast_1d(rows))
        else:
            given = [rows] if isinstance(rows, (Mapping, np.void)) else rows
            if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
                raise MissingAttributeError(
                    f"Rows of {self._table} must be dicts, a frame, an Arrow table, a Path or a query, and not"
                    f" {type(given).__name__}.",
                    table=self._table,
                    value=given,
                )
            iterator = iter(given)
            while chunk := list(islice(iterator, self.n_rows)):
                yield from self._from_rows(chunk)

    # ------------------------------------------------------------------ rows one by one
    def _from_rows(self, chunk: list[Any]) -> Iterator[Block]:
        if set(map(type, chunk)) == {dict}:
            fields = tuple(chunk[0])
            if set(map(len, chunk)) == {len(fields)}:
                try:
                    yield Block({field: [row[field] for row in chunk] for field in fields}, len(chunk))
                except KeyError:
                    yield from _grouped(chunk)
                return
        yield from _grouped(map(self._as_dict, chunk))

    def _as_dict(self, row: Any) -> dict[str, Any] | MissingAttributeError:
        if isinstance(row, Mapping):
            return dict(row)
        if isinstance(row, np.void) and row.dtype.names:
            return {name: row[name] for name in row.dtype.names}
        if isinstance(row, (Sequence, np.ndarray)) and not isinstance(row, (str, bytes)):
            if len(row) != len(self._names):
                return MissingAttributeError(
                    f"A row of {self._table} was given as {len(row)} values without names, and it has"
                    f" {len(self._names)} attributes: {', '.join(self._names)}.",
                    table=self._table,
                    value=row,
                    remedy="Give dicts.",
                )
            return dict(zip(self._names, row, strict=True))
        return MissingAttributeError(
            f"A row of {self._table} must be a dict, not {type(row).__name__}.", table=self._table, value=row
        )

    def _from_csv(self, path: Path) -> Iterator[Block]:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            while chunk := list(islice(lines, self.n_rows)):
                # An empty line, often the last one, is no row.
                chunk = [line for line in chunk if line]
                if not chunk:
                    continue
                if max(map(len, chunk)) > len(header):
                    yield from _grouped(self._csv_row(path, header, line) for line in chunk)
                    continue
                padded = [line + [""] * (len(header) - len(line)) for line in chunk]
                columns = list(zip(*padded, strict=True))
                yield Block(
                    {name: [value or None for value in columns[i]] for i, name in enumerate(header)},
                    len(chunk),
                )

    def _csv_row(
        self, path: Path, header: list[str], line: list[str]
    ) -> dict[str, Any] | MissingAttributeError:
        if len(line) > len(header):
            return MissingAttributeError(
                f"{path.name} has a row of {len(line)} values for {self._table}, and its header names"
                f" {len(header)}: {','.join(line)[:80]}.",
                table=self._table,
                value=line,
                remedy="Put values that hold a comma in quotes.",
            )
        return {name: value or None for name, value in zip(header, line + [""] * len(header), strict=False)}

    # ------------------------------------------------------------------ columns
    def _from_records(self, rows: np.ndarray[Any, Any]) -> Iterator[Block]:
        start = 0
        while start < len(rows):
            part = rows[start : start + self.n_rows]
            columns = {n: _of_array(part[n], n in self._whole_seconds) for n in rows.dtype.names or ()}
            yield Block(columns, len(part))
            start += len(part)

    def _from_frame(self, frame: Any) -> Iterator[Block]:
        is_polars = hasattr(frame, "get_columns")
        if not is_polars and any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        start = 0
        while start < len(frame):
            stop = start + self.n_rows
            if is_polars:
                columns = _of_polars(frame[start:stop])
            else:
                columns = _of_pandas(frame.iloc[start:stop], self._whole_seconds)
            stop = min(stop, len(frame))
            yield Block(columns, stop - start)
            start = stop

    def _from_arrow(self, table: Any) -> Iterator[Block]:
        start = 0
        while start < table.num_rows:
            part = table.slice(start, self.n_rows)
            names = part.schema.names
            columns = {n: _of_arrow(part.column(i), n in self._whole_seconds) for i, n in enumerate(names)}
            yield Block(columns, part.num_rows)
            start += part.num_rows

    def _from_parquet(self, path: Path) -> Iterator[Block]:
        import pyarrow.parquet as pq  # noqa: PLC0415 - optional

        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_OF_FILE):
                yield from self._from_arrow(batch)


def _grouped(rows: Iterable[dict[str, Any] | MissingAttributeError]) -> Iterator[Block]:
    """Yield blocks of consecutive rows with the same fields, in whatever order each row has them."""
    group: list[dict[str, Any]] = []
    for row in rows:
        if group and (isinstance(row, MissingAttributeError) or row.keys() != group[0].keys()):
            yield _block(group)
            group = []
        if isinstance(row, MissingAttributeError):
            yield Block({}, 1, error=row)
        else:
            group.append(row)
    if group:
        yield _block(group)


def _block(rows: list[dict[str, Any]]) -> Block:
    return Block({field: [row[field] for row in rows] for field in rows[0]}, len(rows))


def _of_array(array: np.ndarray[Any, Any], whole_seconds: bool = False) -> list[Any]:
    """Return the values of a column of records; of several dimensions, an array for each row."""
    kind = array.dtype.kind
    if whole_seconds and kind == "M" and array.ndim == 1 and not np.isnat(array).any():
        texts = np.datetime_as_string(array, unit="s").tolist()
        written: list[Any] = "\n".join(texts).replace("T", " ").split("\n")
        return written
    if array.ndim == 1 and kind in "mM":
        values: list[Any] = array.astype(f"{array.dtype.str[:2]}8[us]").tolist()
        # What Python's times cannot express comes out as a number, and is left for the check of its type.
        return list(array) if int in set(map(type, values)) else values
    if array.ndim == 1 and kind in "biufU":
        plain: list[Any] = array.tolist()
        return plain
    return list(array)


def _of_pandas(frame: Any, whole_seconds: Collection[str] = ()) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        is_plain_time = isinstance(column.dtype, np.dtype) and column.dtype.kind == "M"
        if is_plain_time:
            columns[name] = _of_array(column.to_numpy(), name in whole_seconds)
        else:
            columns[name] = column.tolist()
    return columns


def _of_polars(frame: Any) -> dict[str, list[Any]]:
    return {column.name: column.to_list() for column in frame.get_columns()}


def _of_arrow(column: Any, whole_seconds: bool = False) -> list[Any]:
    kind = str(column.type)
    is_number = kind in ("bool", "double", "float") or kind.startswith(("int", "uint"))
    if (is_number and not column.null_count) or kind in ("string", "large_string"):
        values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return values
    # With a zone, the type goes on behind the unit; such values keep it, to be refused.
    if kind in ("timestamp[s]", "timestamp[ms]", "timestamp[us]", "timestamp[ns]"):
        return _of_array(column.to_numpy(zero_copy_only=False), whole_seconds)
    return list(column.to_pylist())
