"""What a database server must offer, as an abstract class."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, NamedTuple, Protocol

from dj_panel.core.columntypes import ColumnType
from dj_panel.core.dialect.columns import Batch, batches_of_rows
from dj_panel.core.errors import DataJointError, MissingAttributeError
from dj_panel.core.settings import Settings
from dj_panel.core.structure import Attribute, ForeignKey, TableName, TableStructure
from dj_panel.core.words import marked, say

__all__ = ["AlterScript", "Alteration", "ColumnFacts", "Dialect", "RawConnection", "Statement", "TableFacts"]


TOO_SLOW = marked(
    "The database was stopped because the answer took too long. Ask for less: filter, or sort by the key."
)


class Statement(NamedTuple):
    """SQL and the values bound to its placeholders."""

    sql: str
    parameters: tuple[Any, ...] = ()


class RawCursor(Protocol):
    """The part of a DBAPI cursor that we use."""

    description: Any
    rowcount: int
    lastrowid: Any

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def fetchall(self) -> Any: ...
    def fetchmany(self, size: int = ..., /) -> Any: ...
    def fetchone(self) -> Any: ...
    def close(self) -> None: ...


class RawConnection(Protocol):
    """The part of a DBAPI connection that we use."""

    def cursor(self) -> Any: ...
    def close(self) -> None: ...


class ColumnFacts(NamedTuple):
    """One column, as a server's catalog tells it."""

    schema: str
    table: str
    name: str
    sql_type: str
    nullable: bool
    default: str | None
    comment: str
    autoincrement: bool
    character_set: str | None
    collation: str | None
    is_own: bool = False
    """Whether the type is the server's own, and merely has the name of one of DataJoint's."""


class TableFacts(NamedTuple):
    """All of a schema's tables, as a server's catalog tells them, each kind from one query."""

    tables: list[tuple[str, str, str]]
    """(schema, table, comment)"""
    columns: list[ColumnFacts]
    """In the order of each table."""
    keys: list[tuple[str, str, str, str, bool]]
    """(schema, table, index name, column or expression, unique), in index order; the primary key is 'PRIMARY'."""
    references: list[tuple[str, str, str, str, str, str, str]]
    """(schema, table, constraint, column, parent schema, parent table, parent column), in order."""


@dataclass(frozen=True)
class Alteration:
    """A table as it is and as it is to be.

    Parameters
    ----------
    old, new
        The structures, hidden attributes included; the primary keys are the same.
    renamed
        New name → old name, of the attributes that are renamed.
    """

    old: TableStructure
    new: TableStructure
    renamed: Mapping[str, str]

    def source(self, name: str) -> str:
        """Return the old name of an attribute."""
        return self.renamed.get(name, name)

    @property
    def new_names(self) -> dict[str, str]:
        """Old name → new name, of the attributes that stay."""
        found = {self.source(name): name for name in self.new.heading.names}
        return {old: name for old, name in found.items() if old in self.old.heading}


class AlterScript(NamedTuple):
    """The statements of an alteration: before its transaction, inside, a check that finds nothing, and after."""

    before: Sequence[Statement]
    inside: Sequence[Statement]
    check: Statement | None
    after: Sequence[Statement]


Query = Callable[[str, Sequence[Any]], Sequence[Sequence[Any]]]
Pack = Callable[[str, Sequence[Sequence[Any]]], Iterator[Any]]
"""Runs a query and returns all its rows; given by the connection."""

Convert = Callable[[Any], Any]


class Dialect(ABC):
    """One kind of database server."""

    name: ClassVar[str]
    placeholder: ClassVar[str]
    max_parameters: ClassVar[int]
    now: ClassVar[str]
    """The server's clock to the millisecond, as an expression."""
    user: ClassVar[str]
    """The database account, as an expression."""
    skip_hides_unique: ClassVar[bool]
    """Whether ``on_duplicate="skip"`` also skips rows that break another unique index."""
    creates_at_once: ClassVar[bool]
    """Whether a new table is there for everybody at once, and ends whatever transaction is open."""
    has_narrow_catalog: ClassVar[bool] = False
    """Whether comments, defaults and choices of columns keep no character beyond U+FFFF."""
    numbers_only_keys: ClassVar[bool] = False
    """Whether rows are numbered only by an attribute that is the whole primary key."""
    lock_clause: ClassVar[str]
    """What a SELECT ends with to lock its rows until the transaction ends, where transactions do not wait anyway."""

    # ---- connecting
    @abstractmethod
    def connect(self, settings: Settings) -> RawConnection:
        """Open a connection in autocommit mode."""

    @abstractmethod
    def begin(self) -> Sequence[str]:
        """Return the statements that begin a transaction which may write."""

    @abstractmethod
    def limit_time(self, raw: RawConnection, seconds: float | None) -> None:
        """Have the server stop each SELECT that takes longer; ``None`` lifts the limit."""

    def batches(
        self, raw: RawConnection, sql: str, parameters: Sequence[Any]
    ) -> Generator[Batch, None, None]:
        """Run a query and yield its rows by columns; closing the iterator makes ready for the next query."""
        cursor = raw.cursor()
        try:
            cursor.execute(sql, tuple(parameters))
            yield from batches_of_rows(cursor, len(cursor.description))
        finally:
            cursor.close()

    @abstractmethod
    def is_alive(self, raw: RawConnection) -> bool:
        """Tell whether the server still answers on this connection."""

    def check_size(self, raw: RawConnection, sql: str, parameters: Sequence[Any]) -> None:  # noqa: B027
        """Raise :class:`ValueRefusedError` for a statement that the server would cut the connection for."""

    def rows_ahead(self, raw: RawConnection) -> int:
        """Return how many rows are best inserted at once, while the next ones are made."""
        return 1000

    def packer(self, raw: RawConnection) -> Pack:
        """Return what makes pieces to be run of an INSERT, written for one row, and of many rows' values by column.

        It asks nothing of the server, and may be called in any thread.
        """
        return lambda sql, columns: iter([(sql, columns)])

    def run_piece(self, cursor: Any, piece: Any, meanwhile: Callable[[], None]) -> None:
        """Run a piece that a :meth:`packer` has made; and do something else, while a server is at it."""
        sql, columns = piece
        cursor.executemany(sql, zip(*columns, strict=True))
        meanwhile()

    @abstractmethod
    def connection_id(self, raw: RawConnection) -> int:
        """Return a number that tells this connection from others that are open."""

    @abstractmethod
    def translate(self, error: Exception) -> DataJointError | None:
        """Return our error for a driver's error, or ``None`` if it is not one of the database."""

    @abstractmethod
    def is_retryable(self, error: Exception) -> bool:
        """Tell whether a whole transaction that failed with this driver's error may be run again."""

    def ends_transaction(self, error: Exception) -> bool:
        """Tell whether the server undid the whole transaction with this driver's error."""
        return False

    # ---- writing SQL
    @abstractmethod
    def quote(self, identifier: str) -> str:
        """Return an identifier in quotes; the only way in which names get into SQL."""

    @abstractmethod
    def table(self, name: TableName) -> str:
        """Return the quoted name of a table."""

    @abstractmethod
    def literal(self, text: str) -> str:
        """Return a string literal, for the places of DDL in which values cannot be bound."""

    def verbatim(self, sql: str) -> str:
        """Return SQL text such that the driver does not read placeholders into it."""
        return sql

    @abstractmethod
    def encoder(self, column: ColumnType) -> Convert | None:
        """Return what turns a checked value into the driver's, or ``None`` where they are the same."""

    @abstractmethod
    def decoder(self, column: ColumnType) -> Convert | None:
        """Return what turns the driver's value into Python's, or ``None`` where they are the same."""

    def selected(self, sql: str, column: ColumnType) -> str:
        """Return the expression by which a column is fetched without losing anything."""
        return sql

    def evaluated_apart(self, select: str) -> str:
        """Return a SELECT that the server will not merge into the one around it."""
        return select

    @abstractmethod
    def order_expression(self, sql: str, column: ColumnType, *, is_stored: bool = True) -> str:
        """Return the expression to sort a column by, so that servers agree on the order.

        Parameters
        ----------
        sql
            The column.
        column
            Its type.
        is_stored
            Whether it is a table's own, whose type the server knows; one of a union is not.
        """

    @abstractmethod
    def as_text(self, sql: str, kind: str) -> str:
        """Return the expression for a column of this kind as text in which other text can be found."""

    def text_found(self, column: Statement, text: str, *, at_start: bool) -> Statement:
        """Return the condition that an expression holds, or begins with, a text in letters of either case."""
        found = f"INSTR(LOWER({column.sql}), LOWER({self.placeholder}))"
        return Statement(f"{found} = 1" if at_start else f"{found} > 0", (*column.parameters, text))

    @abstractmethod
    def json_scalar(self, column: Statement, path: str, kind: ColumnType) -> Statement:
        """Return the expression for the scalar at a path of a JSON column, in a type; text if that is text."""

    @abstractmethod
    def json_number(self, column: Statement, path: str) -> Statement:
        """Return the expression for the number at a path of a JSON column, as a double; a text may hold it too."""

    @abstractmethod
    def json_text(self, column: Statement, path: str) -> Statement:
        """Return the expression for the JSON text at a path of a JSON column: a word in quotes, ``true``."""

    @abstractmethod
    def insert(
        self, name: TableName, columns: Sequence[str], source: str, on_duplicate: str, key: Sequence[str]
    ) -> str:
        """Return ``INSERT INTO name (columns) source``.

        Parameters
        ----------
        source
            ``VALUES …`` or a SELECT.
        on_duplicate
            ``"error"``; ``"skip"`` keeps the row there is, if the primary key is taken; ``"replace"`` puts
            the new one in its place.
        key
            The primary key.
        """

    def compared(self, column: ColumnType) -> str:
        """Return the placeholder for a value that a column is compared with."""
        return self.placeholder

    @abstractmethod
    def one_of(self, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Statement:
        """Return the condition that these columns together equal one of the rows of ``values``, given by column."""

    @property
    def joins_long_lists(self) -> bool:
        """Whether a long list of keys is read sooner as a table, :meth:`key_table`, than as a condition."""
        return False

    def key_table(self, names: Sequence[str], columns: Sequence[Sequence[int]]) -> str:
        """Return the SELECT of a table that holds keys of whole numbers, which are given by column."""
        quoted, name = ", ".join(map(self.quote, names)), self.quote("keys")
        return f"WITH {name} ({quoted}) AS (VALUES {written_rows(columns)}) SELECT * FROM {name}"

    @abstractmethod
    def is_null_safe_equal(self, left: str, right: str) -> str:
        """Return the comparison for which two empty values are equal."""

    @abstractmethod
    def seconds_between(self, start: str, end: str) -> str:
        """Return the seconds from one time expression to another."""

    @abstractmethod
    def seconds_from_now(self, seconds: float) -> Statement:
        """Return the server's time so many seconds from now (before now, if negative)."""

    # ---- structure
    @abstractmethod
    def create_schema(self, schema: str) -> Sequence[Statement]:
        """Return the statements that create a schema if there is none of the name."""

    @abstractmethod
    def drop_schema(self, schema: str, tables: Iterable[TableName]) -> Sequence[Statement]:
        """Return the statements that remove a schema; its tables are given, children first."""

    @abstractmethod
    def table_exists(self, name: TableName) -> Statement:
        """Return the query that gives a row if there is such a table."""

    def character_set(self, query: Query, schema: str) -> str:
        """Return the character set that new text columns of a schema have; empty if it is UTF-8 for good."""
        return ""

    def was_there(self, query: Query) -> bool:
        """Tell whether the statement just run, which warned, left a table alone because there was one already."""
        return False

    def expression_types(
        self, query: Query, table: TableStructure, inherited: dict[str, tuple[str | None, str | None]]
    ) -> dict[str, str]:
        """Return the column type of each expression in the table's indexes, where the server needs them."""
        return {}

    @abstractmethod
    def create_table(
        self,
        table: TableStructure,
        inherited: dict[str, tuple[str | None, str | None]],
        expression_types: Mapping[str, str],
    ) -> Sequence[Statement]:
        """Return the statements that create a table.

        Parameters
        ----------
        table
            The table, hidden attributes included.
        inherited
            For attributes of foreign keys: character set and collation of the parent's column.
        expression_types
            As :meth:`expression_types` told them.
        """

    @abstractmethod
    def alter_table(
        self,
        query: Query,
        alteration: Alteration,
        changed: Collection[str],
        character_sets: dict[str, tuple[str | None, str | None]],
    ) -> AlterScript:
        """Return what makes a table as it is to be.

        Parameters
        ----------
        query
            Runs a query on the server.
        alteration
            The table before and after.
        changed
            The attributes whose columns are to be defined anew.
        character_sets
            Character set and collation of text columns.
        """

    @abstractmethod
    def add_columns(self, table: TableStructure, attributes: Sequence[Attribute]) -> Sequence[Statement]:
        """Return the statements that add columns at a table's end, which its rows leave empty or at the default."""

    def record_lineage(
        self, schema: str, rows: Sequence[tuple[str, str, str]], altered: str = "", *, has_table: bool = False
    ) -> Sequence[Statement]:
        """Return the statements that tell DataJoint the origin of attributes, where it shares the server.

        Parameters
        ----------
        schema
            The schema.
        rows
            Triples ``(table, attribute, "schema.table.attribute")``.
        altered
            A table whose rows of before are to go.
        has_table
            Whether the schema is known to have the table of origins.
        """
        return ()

    def foreign_key_clause(self, fk: ForeignKey) -> str:
        """Return the clause of CREATE TABLE for a foreign key."""
        ours, theirs = (", ".join(map(self.quote, names)) for names in (fk.attributes, fk.parent_attributes))
        return f"FOREIGN KEY ({ours}) REFERENCES {self.table(fk.parent)} ({theirs}) ON UPDATE CASCADE ON DELETE RESTRICT"

    @abstractmethod
    def drop_table(self, name: TableName) -> Sequence[Statement]:
        """Return the statements that drop a table if it is there."""

    @abstractmethod
    def list_schemas(self, query: Query) -> list[str]:
        """Return the names of all schemas that the account can see, without the server's own."""

    @abstractmethod
    def read_catalog(self, query: Query, schemas: Sequence[str]) -> TableFacts:
        """Return all tables of these schemas, in a few queries whatever their number."""

    @abstractmethod
    def referencing_schemas(self, query: Query, schemas: Sequence[str]) -> list[str]:
        """Return other schemas with tables that refer to tables of these."""


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def json_text(value: Any) -> str:
    """Return the JSON text that we store: UTF-8, no NaN."""
    return _ENCODER.encode(value)


def needs_value(name: str) -> MissingAttributeError:
    """Return the error for a column that the server wants a value for."""
    return MissingAttributeError(
        say("The attribute '{name}' needs a value.", name=name),
        attributes=(name,),
        remedy=say("Give it one."),
    )


def written_rows(columns: Sequence[Sequence[int]]) -> str:
    """Return rows of whole numbers, which are given by column, as SQL.

    >>> written_rows([(1, 3), (2, 4)])
    '(1,2),(3,4)'
    """
    form = f"({','.join(['%d'] * len(columns))}),"
    rows = (form * len(columns[0])) % tuple(chain.from_iterable(zip(*columns, strict=True)))
    return rows.removesuffix(",")
