"""Rows of MySQL's text protocol, decoded by columns.

PyMySQL makes a Python object of every cell, one by one, which is where most of the time of fetching goes. Here
the driver sends the query and reads the description of its columns; then the packets of the rows are read
from its socket in large pieces, and numbers and times are decoded for all rows of a piece at once.

What is used of the driver beyond its public interface is looked for before each query
(:func:`reads_packets`); a version without it fetches rows in the driver's own way, with the same values.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.constants import CR

from dj_panel.core.dialect.columns import Batch, Column, batch_of_rows, batches_of_rows
from dj_panel.core.dialect.mysql_cells import NO_VALUE, WIDTHS, Cells, column, located
from dj_panel.core.errors import QueryError
from dj_panel.core.lazy import np

__all__ = ["PacketReader", "reads_packets", "row_batches"]

BYTES_AT_ONCE = 1 << 18
BYTES_IN_A_BATCH = 1 << 20
BYTES_TO_BEGIN_WITH = 1 << 16
"""In the first batches; a later one has a twelfth of all before it, so that little is left to decode at the end."""
FEW_ROWS = 24
"""So few rows are decoded sooner one by one."""

_ERROR = 0xFF
_LARGEST_PACKET = 0xFFFFFF
_DEPRECATE_EOF = 1 << 24
_word = struct.Struct("<I").unpack_from


def reads_packets(raw: Any, result: Any) -> bool:
    """Tell whether this version of the driver has all that is used of it here, and speaks as is expected.

    Parameters
    ----------
    raw
        The driver's connection.
    result
        Its answer to a query, of which no row was read yet.
    """
    return (
        hasattr(getattr(raw, "_rfile", None), "read1")
        and callable(getattr(raw, "_force_close", None))
        and not getattr(raw, "client_flag", _DEPRECATE_EOF) & _DEPRECATE_EOF
        and getattr(result, "unbuffered_active", None) is True
        and hasattr(result, "connection")
        and callable(getattr(result, "_finish_unbuffered_query", None))
        and all(len(pair) == 2 for pair in getattr(result, "converters", [()]))
        and all(hasattr(field, "type_code") for field in getattr(result, "fields", [None]))
    )


def row_batches(raw: Any, sql: str, parameters: Sequence[Any]) -> Generator[Batch, None, None]:
    """Run a query and yield its rows as they arrive; they are read to the end when the iterator is closed.

    Parameters
    ----------
    raw
        The driver's connection.
    sql, parameters
        The query, with the driver's placeholders, and its values.
    """
    cursor = raw.cursor(pymysql.cursors.SSCursor)
    try:
        cursor.execute(sql, tuple(parameters))
        result = getattr(raw, "_result", None)
        if reads_packets(raw, result):
            yield from PacketReader(raw, result).batches()
        else:
            yield from batches_of_rows(cursor, len(cursor.description))
    finally:
        cursor.close()


class PacketReader:
    """Reads the packets of one answer.

    Parameters
    ----------
    raw
        The driver's connection.
    result
        Its answer, of which the columns were described and no row was read.
    """

    def __init__(self, raw: Any, result: Any) -> None:
        self.raw, self.result = raw, result
        self.converters = list(result.converters)
        self.fields = list(result.fields)
        self.buffer = bytearray()
        self.enough = min(BYTES_TO_BEGIN_WITH, BYTES_IN_A_BATCH)
        self.n_taken = 0
        self.is_first = True
        self.is_finished = False
        self.is_abandoned = False
        # The driver calls this before its next command, and knows nothing of what was read here already.
        result._finish_unbuffered_query = self._abandon

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, a piece at a time."""
        try:
            while not self.is_finished:
                starts, n_bytes = self._read_rows()
                self.n_taken += n_bytes
                self.enough = min(max(self.n_taken // 12, self.enough), BYTES_IN_A_BATCH)
                if starts:
                    yield self._decoded(starts, n_bytes)
                if self.is_abandoned:
                    raise QueryError(
                        "Another query was asked while the rows of this one were still coming. Take them all"
                        " first, or ask from another thread."
                    )
                self._forget(n_bytes)
        finally:
            self._drain()

    def _abandon(self) -> None:
        self.is_abandoned = not self.is_finished
        self._drain()

    def _drain(self) -> None:
        """Read and forget the rest, so that the connection is ready for the next command."""
        # What goes wrong with rows that nobody wants is told by the next command, if it matters to that.
        with suppress(pymysql.err.MySQLError):
            while not self.is_finished:
                _, n_bytes = self._read_rows()
                self._forget(n_bytes)

    def _forget(self, n_bytes: int) -> None:
        """Move what was not used yet to the beginning."""
        del self.buffer[:n_bytes]

    def _fill(self) -> None:
        """Read what has arrived, waiting for something to arrive."""
        if self.raw._rfile is None:
            self._end()
            raise pymysql.err.OperationalError(
                CR.CR_SERVER_LOST, "The connection was closed during the query"
            )
        try:
            arrived = self.raw._rfile.read1(BYTES_AT_ONCE)
        except OSError as error:
            self._end()
            self.raw._force_close()
            raise pymysql.err.OperationalError(
                CR.CR_SERVER_LOST, f"Lost connection to MySQL server during query ({error})"
            ) from error
        except BaseException:
            # Interrupted in the middle of a row: nothing can be made of what would come next.
            self._end()
            self.raw._force_close()
            raise
        if not arrived:
            self._end()
            self.raw._force_close()
            raise pymysql.err.OperationalError(
                CR.CR_SERVER_LOST, "Lost connection to MySQL server during query"
            )
        self.buffer += arrived

    def _end(self) -> None:
        self.is_finished = True
        # Else the connection would hold itself, and be left to the garbage collector, which closes it in any order.
        self.result.__dict__.pop("_finish_unbuffered_query", None)
        self.result.unbuffered_active = False
        self.result.connection = None

    def _read_rows(self) -> tuple[list[int], int]:
        """Return where rows begin in the buffer, and where the last of them ends; at least one, or the end."""
        starts: list[int] = []
        append, position = starts.append, 0
        while True:
            buffer, last = self.buffer, len(self.buffer) - 4
            while position <= last:
                size = _word(buffer, position)[0] & _LARGEST_PACKET
                following = position + 4 + size
                if following > last + 4:
                    break
                if size < 9 and size and buffer[position + 4] == 0xFE:
                    self._end()
                    return starts, following
                if size == _LARGEST_PACKET:
                    merged = self._merged(position)
                    if merged is None:
                        break
                    following, last = merged, len(self.buffer) - 4
                append(position + 4)
                position = following
            if starts:
                self._raise_if_refused(starts[-1], position)
            if position >= self.enough:
                return starts, position
            self._fill()

    def _merged(self, position: int) -> int | None:
        """Join the packets of one very large row; return where it ends, or None if it has not all arrived."""
        pieces = [position]
        while True:
            size: int = _word(self.buffer, pieces[-1])[0] & _LARGEST_PACKET
            following = pieces[-1] + 4 + size
            if following > len(self.buffer) or (size == _LARGEST_PACKET and following + 4 > len(self.buffer)):
                return None
            if size < _LARGEST_PACKET:
                break
            pieces.append(following)
        for header in reversed(pieces[1:]):
            del self.buffer[header : header + 4]
            following -= 4
        return following

    def _raise_if_refused(self, last: int, end: int) -> None:
        """Raise the server's error, if that is what came last; no row begins with its first byte."""
        if self.buffer[last] == _ERROR:
            self._end()
            pymysql.err.raise_mysql_exception(bytes(self.buffer[last:end]))

    def _decoded(self, starts: list[int], n_bytes: int) -> Batch:
        data = bytes(memoryview(self.buffer)[:n_bytes])
        if self.is_finished and self.is_first and len(starts) <= FEW_ROWS:
            return batch_of_rows([self._row(data, start) for start in starts], len(self.converters))
        self.is_first = False
        cells = Cells(data)
        position = np.array(starts, dtype=np.int64)
        columns: list[Column] = []
        for field, (encoding, convert) in zip(self.fields, self.converters, strict=True):
            place, position = located(cells.bytes, position)
            columns.append(column(cells, place, field, encoding, convert))
        return Batch(len(starts), tuple(columns))

    def _row(self, data: bytes, position: int) -> tuple[Any, ...]:
        row: list[Any] = []
        for encoding, convert in self.converters:
            size, position = _length(data, position)
            if size is None:
                row.append(None)
                continue
            cell: Any = data[position : position + size]
            position += size
            if encoding is not None:
                cell = cell.decode(encoding)
            row.append(convert(cell) if convert is not None else cell)
        return tuple(row)


def _length(data: bytes, position: int) -> tuple[int | None, int]:
    """Return a cell's length (None: no value) and where its bytes begin."""
    first = data[position]
    if first < NO_VALUE:
        return first, position + 1
    if first == NO_VALUE:
        return None, position + 1
    width = WIDTHS[first]
    return int.from_bytes(data[position + 1 : position + 1 + width], "little"), position + 1 + width
