"""Rows into a table: checked, then written in few statements; all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from dj_panel.core import provenance
from dj_panel.core.algebra import Node, Relation
from dj_panel.core.columntypes import DatetimeType
from dj_panel.core.connection import Connection
from dj_panel.core.dialect import Statement
from dj_panel.core.encoder import RowEncoder
from dj_panel.core.errors import DuplicateError, IntegrityError, ValueRefusedError
from dj_panel.core.explain import Explainer
from dj_panel.core.expression import QueryExpression
from dj_panel.core.render import delete_statement, select_statement
from dj_panel.core.rows import Block, RowReader, label
from dj_panel.core.structure import TableStructure
from dj_panel.core.words import say

__all__ = ["Inserter"]

_MAX_ROWS = 5000
_BLOCK_BYTES = 8_000_000
_HELD_BYTES = 64_000_000
_CELL_BYTES = 64
_LARGE = ("bytes", "json", "other")

_Columns = Mapping[str, list[Any]]
_Rows = tuple[Block, list[Block]]
"""Rows as they were given, and as the driver takes them."""
_Packed = tuple[Block, list[tuple[_Columns, list[Any]]]]
"""Rows as they were given, and, of those with the same attributes, their values and pieces of INSERTs."""


class Inserter:
    """Inserts rows into one table.

    Rows with objects are encoded before the transaction begins, so that these go to their store while nothing is
    locked, as long as all of them together are not large. Other rows, and the rest of large ones, are read, encoded
    and written a block at a time within the transaction, so that memory stays bounded.

    Parameters
    ----------
    connection
        The connection.
    table
        The table's structure.
    on_duplicate
        What to do with a row whose primary key is taken: ``"error"``, ``"replace"`` or ``"skip"``.
    ignore_extra_fields
        Whether fields that the table lacks are ignored.
    """

    def __init__(
        self,
        connection: Connection,
        table: TableStructure,
        on_duplicate: str = "error",
        *,
        ignore_extra_fields: bool = False,
    ) -> None:
        self._connection = connection
        self._table = table
        self._label = label(table.name)
        self._on_duplicate = on_duplicate
        self._ignore_extra_fields = ignore_extra_fields
        self._encoder = RowEncoder(table, connection.dialect, connection.settings)
        self._explainer = Explainer(connection, table)
        recorded = provenance.is_recorded(table, connection)
        self._provenance = provenance.record(connection) if recorded else None
        self._refused: Block | None = None  # what is being written
        self._held: list[Block] = []  # all that was given, if it is held
        self._key = [a.name for a in table.heading.all_attributes if a.in_key]
        self._whole_seconds = [
            name
            for name, attribute in table.heading.attributes.items()
            if isinstance(attribute.column_type, DatetimeType)
            and not (attribute.column_type.digits or attribute.codec)
        ]

    # ------------------------------------------------------------------ rows
    def insert(self, rows: Any, chunk_size: int | None = None) -> None:
        """Insert rows in any form that :class:`~dj_panel.core.rows.RowReader` reads.

        Parameters
        ----------
        rows
            The rows.
        chunk_size
            How many rows a statement has at most; chosen by size if not given.
        """
        most = min(chunk_size or _MAX_ROWS, _MAX_ROWS)
        reader = RowReader(
            rows, self._table.heading.names, self._label, most, whole_seconds=self._whole_seconds
        )
        blocks = self._read(reader, most)
        begun = list(islice(blocks, 2))
        if not begun:
            return
        try:
            if len(begun) == 2 and reader.is_at_hand and self._overlaps:
                first = [chain(begun, blocks)]
                # Repeated after a deadlock, the rows are read from the first one.
                self._connection.retried(
                    lambda: self._write_ahead(first.pop() if first else self._read(reader, most))
                )
            else:
                self._insert_checked(reader, most, chain(begun, blocks))
        except (DuplicateError, IntegrityError) as error:
            if self._refused is None:
                raise  # not from these rows, but from what makes them
            raise self._explained(error, list(self._refused.rows()), self._every(reader)) from error

    def insert_encoded(self, block: Block) -> None:
        """Insert rows that were checked and are as the driver takes them; for tables of ours, in a transaction."""
        if block.n_rows:
            if self._provenance is not None:
                block.columns[provenance.ATTRIBUTE] = [self._provenance] * block.n_rows
            self._write(block)

    @property
    def _overlaps(self) -> bool:
        """Whether rows can be checked while others are written already: if none is kept should one be refused."""
        has_codecs = any(a.codec is not None for a in self._table.heading.attributes.values())
        return not (has_codecs or self._looks_first or self._connection.in_transaction)

    def _insert_checked(self, reader: RowReader, most: int, blocks: Iterator[_Rows]) -> None:
        """Check all rows before the first is written, if they can be held."""
        held: list[_Rows] = []
        n_bytes = 0
        for given, encoded in blocks:
            held.append((given, encoded))
            n_bytes += sum(map(_n_bytes, encoded))
            if n_bytes > _HELD_BYTES:
                self._insert_stream(reader, most, chain(held, blocks))
                return
        self._held = [given for given, _ in held]
        is_one_statement = sum(given.n_rows for given, _ in held) == 1 and not self._looks_first
        if is_one_statement and not self._connection.in_transaction:
            self._write_all(held)
        else:
            self._connection.retried(lambda: self._write_all(held))

    def _every(self, reader: RowReader) -> list[Mapping[str, Any]] | None:
        """Return all rows as they were given, or ``None`` if they are too large to be held."""
        if self._held or not reader.is_repeatable:
            return [row for given in self._held for row in given.rows()] or None
        rows: list[Mapping[str, Any]] = []
        n_bytes = 0
        for block in reader:
            given = self._encoder.known(block, ignore_extra_fields=self._ignore_extra_fields)
            n_bytes += _n_bytes(given)
            if n_bytes > _HELD_BYTES:
                return None
            rows += given.rows()
        return rows

    def _insert_stream(self, reader: RowReader, most: int, blocks: Iterator[_Rows]) -> None:
        if not reader.is_repeatable:
            with self._connection.transaction:
                self._write_all(blocks)
            return
        begun = [blocks]
        # Repeated after a deadlock, the rows are read from the first one.
        self._connection.retried(lambda: self._write_all(begun.pop() if begun else self._read(reader, most)))

    def _read(self, reader: RowReader, most: int) -> Iterator[_Rows]:
        """Yield blocks; of fewer rows where rows are large, so that a block holds few megabytes."""
        may_be_large = any(a.column_type.kind in _LARGE for a in self._table.heading.attributes.values())
        at_once = self._connection.rows_ahead() if self._overlaps else most
        reader.n_rows = min(most, 50 if may_be_large else at_once)
        for block in reader:
            given = self._encoder.known(block, ignore_extra_fields=self._ignore_extra_fields)
            encoded = self._encoder.encode_block(given)
            if self._provenance is not None:
                for piece in encoded:
                    piece.columns[provenance.ATTRIBUTE] = [self._provenance] * piece.n_rows
            yield given, encoded
            if may_be_large:
                per_row = sum(map(_n_bytes, encoded)) / block.n_rows
                reader.n_rows = max(1, min(most, round(_BLOCK_BYTES / max(per_row, 1))))

    def _explained(
        self,
        error: DuplicateError | IntegrityError,
        rows: Sequence[Mapping[str, Any]],
        every: Sequence[Mapping[str, Any]] | None,
    ) -> DuplicateError | IntegrityError:
        """Return the error in words that name the row, the attribute and the remedy.

        Parameters
        ----------
        error
            What the server said.
        rows
            The rows of the statement that it refused.
        every
            All rows, where they are still there.
        """
        if isinstance(error, DuplicateError):
            how = self._on_duplicate
            return self._explainer.duplicate(rows, error, on_duplicate=how, every=every or rows)
        if self._on_duplicate == "replace":
            key = self._table.heading.primary_key
            found = self._explainer.children_in_the_way(
                self._matching([row for row in rows if all(n in row for n in key)]),
                say("Change these rows with update1(), or delete what depends on them first."),
            )
            if found is not None:
                return found
        return self._explainer.missing_parent(rows, error)

    # ------------------------------------------------------------------ statements
    def _write_all(self, blocks: Iterable[_Rows]) -> None:
        for given, encoded in blocks:
            self._refused = given
            for block in encoded:
                self._write(block)
            self._refused = None

    def _write_ahead(self, blocks: Iterator[_Rows]) -> None:
        """Write rows: while the server works on a block, the next one is read, checked and packed."""
        pack = self._connection.packer()

        def ready() -> _Packed | None:
            given, encoded = next(blocks, (None, []))
            if given is None:
                return None
            found = []
            for block in encoded:
                sql, columns = self._statement(block, self._on_duplicate)
                try:
                    found.append((columns, list(pack(sql, list(columns.values())))))
                except ValueRefusedError as error:
                    raise self._located(error, columns) from error
            return given, found

        coming: list[_Packed | Exception | None] = [ready()]

        def make_next() -> None:
            try:
                coming.append(ready())
            except Exception as error:  # noqa: BLE001  # raised when the server has answered, as what it is
                coming.append(error)

        while (block := coming.pop()) is not None:
            if isinstance(block, Exception):
                raise block
            self._refused, (*first, last) = block
            for columns, pieces in first:
                self._run(columns, pieces)
            self._run(*last, make_next)
            self._refused = None

    @property
    def _looks_first(self) -> bool:
        """Whether the taken keys are looked at before rows are written: the server would do more than was asked.

        It would pass over a row because another unique value is taken, or remove the row that has it.
        """
        if self._on_duplicate == "skip":
            return self._connection.dialect.skip_hides_unique and self._table.has_unique
        return self._on_duplicate == "replace" and self._table.has_unique

    def _write(self, block: Block) -> None:
        on_duplicate = self._on_duplicate
        if self._looks_first:
            block = self._replacing(block) if on_duplicate == "replace" else self._without_taken_keys(block)
            on_duplicate = "error"
            if not block.n_rows:
                return
        sql, columns = self._statement(block, on_duplicate)
        self._run(columns, self._connection.packer()(sql, list(columns.values())))

    def _statement(self, block: Block, on_duplicate: str) -> tuple[str, _Columns]:
        """Return the INSERT of one row, and the values of many."""
        dialect = self._connection.dialect
        columns = block.columns
        if not columns:
            # Every value is a default: only a singleton, or a table that numbers its rows.
            columns = {self._key[0]: [self._default_key()] * block.n_rows}
        marks = ", ".join([dialect.placeholder] * len(columns))
        sql = dialect.insert(self._table.name, list(columns), f"VALUES ({marks})", on_duplicate, self._key)
        return sql, columns

    def _run(
        self, columns: _Columns, pieces: Iterable[Any], meanwhile: Callable[[], None] | None = None
    ) -> None:
        try:
            self._connection.write_packed(pieces, meanwhile)
        except ValueRefusedError as error:
            raise self._located(error, columns) from error

    def _located(self, error: ValueRefusedError, columns: Mapping[str, list[Any]]) -> ValueRefusedError:
        """Return the server's refusal with the attribute and what may be shown of its values."""
        sizes = {name: max(map(_size, values)) for name, values in columns.items()}
        attribute = error.attribute or max(sizes, key=lambda name: sizes[name])
        values = columns.get(attribute, [])
        shown = _abridged(values[0]) if len(values) == 1 else f"one of {len(values)} values"
        return ValueRefusedError(error.reason, attribute=attribute, table=self._label, value=shown)

    def _default_key(self) -> Any:
        attribute = next(a for a in self._table.heading.all_attributes if a.in_key)
        return attribute.column_type.check(attribute.default) if attribute.default is not None else None

    def _without_taken_keys(self, block: Block) -> Block:
        key = self._table.heading.primary_key
        if not all(n in block.columns for n in key):
            return block
        node = self._matching([{n: row[n] for n in key} for row in block.rows()])
        if not key:  # of the one row that there may be
            return _chosen(block, [] if QueryExpression(self._connection, node) else [0])
        statement = select_statement(node, self._connection.dialect, key)
        locking = Statement(statement.sql + " FOR UPDATE", statement.parameters)
        taken = {tuple(row) for row in self._connection.run(locking)}
        kept: list[int] = []
        for position, place in enumerate(zip(*(block.columns[n] for n in key), strict=True)):
            if place not in taken:
                taken.add(place)
                kept.append(position)
        return _chosen(block, kept)

    def _replacing(self, block: Block) -> Block:
        """Delete the rows whose primary keys are taken, and return the block with the last row of each key."""
        key = self._table.heading.primary_key
        if not all(n in block.columns for n in key):
            return block
        relation = Relation(self._table.name, self._table.heading)
        node = self._matching([{n: row[n] for n in key} for row in block.rows()])
        self._connection.run(delete_statement(node, relation, self._connection.dialect))
        if not key:
            return _chosen(block, [block.n_rows - 1])
        places = zip(*(block.columns[n] for n in key), strict=True)
        last = {place: position for position, place in enumerate(places)}
        return _chosen(block, sorted(last.values()))

    def _matching(self, rows: Sequence[Mapping[str, Any]]) -> Node:
        key = self._table.heading.primary_key
        whole = QueryExpression(self._connection, Relation(self._table.name, self._table.heading))
        matching: Node = (whole & [{n: row[n] for n in key} for row in rows]).node
        return matching


def _chosen(block: Block, positions: Sequence[int]) -> Block:
    """Return some rows of a block."""
    columns = {n: [v[i] for i in positions] for n, v in block.columns.items()}
    return Block(columns, len(positions), block.start)


def _n_bytes(block: Block) -> int:
    """Return about how much memory the encoded rows take."""
    texts = 0
    for values in block.columns.values():
        types = set(map(type, values))
        if types <= {str, bytes}:
            texts += sum(map(len, values))
        elif types & {str, bytes}:
            texts += sum(map(_size, values))
    return texts + _CELL_BYTES * block.n_rows * len(block.columns)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (bytes, str)) else 0


def _abridged(value: Any) -> Any:
    return value if _size(value) < 1000 else f"{_size(value)} bytes"
