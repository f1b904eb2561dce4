"""SQLite: one file, treated as a server and not as a mock.

Schemas are prefixes: the table ``session`` of the schema ``lab`` is named ``lab.session``. What MySQL's strict
mode refuses, CHECK constraints refuse here. SQLite keeps neither comments nor types of its own, so three
tables of ours hold them: ``~schemas``, ``~tables`` and ``~columns``.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import random
import re
import sqlite3
import time
import uuid
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import chain
from typing import Any

from dj_panel.core.columntypes import ColumnType, DecimalType, EnumType, IntegerType, TimeType
from dj_panel.core.dialect.protocol import (
    TOO_SLOW,
    Convert,
    RawConnection,
    Statement,
    json_text,
    needs_value,
)
from dj_panel.core.dialect.sqlite_functions import json_rows, register_functions
from dj_panel.core.dialect.sqlite_structure import NOW, SQLiteStructure
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    DuplicateError,
    IntegrityError,
    LostConnectionError,
    MissingTableError,
    QueryError,
    QuerySyntaxError,
    QueryTimeoutError,
    UnknownAttributeError,
    ValueRefusedError,
)
from dj_panel.core.settings import Settings
from dj_panel.core.structure import TableName
from dj_panel.core.words import say

__all__ = ["SQLite"]

_CATALOG = (
    'CREATE TABLE IF NOT EXISTS "~schemas" (schema_name TEXT NOT NULL PRIMARY KEY)',
    'CREATE TABLE IF NOT EXISTS "~tables" (schema_name TEXT NOT NULL, table_name TEXT NOT NULL,'
    " comment TEXT NOT NULL, PRIMARY KEY (schema_name, table_name))",
    'CREATE TABLE IF NOT EXISTS "~columns" (schema_name TEXT NOT NULL, table_name TEXT NOT NULL,'
    " position INT NOT NULL, column_name TEXT NOT NULL, type TEXT NOT NULL, stored_type TEXT NOT NULL,"
    " nullable INT NOT NULL, default_value TEXT, comment TEXT NOT NULL, is_numbered INT NOT NULL,"
    " PRIMARY KEY (schema_name, table_name, column_name))",
)


_PATIENCE_S = 60.0


class SQLite(SQLiteStructure):
    """SQLite 3.37 or later, in WAL mode, with foreign keys on."""

    name = "sqlite"
    placeholder = "?"
    max_parameters = 30_000
    now = NOW
    user = "current_user()"
    skip_hides_unique = False
    creates_at_once = False
    lock_clause = ""

    # ---- connecting
    def connect(self, settings: Settings) -> RawConnection:
        path = settings.sqlite_path
        if not path.parent.is_dir():
            raise MissingTableError(
                f"The folder {path.parent} of the database file does not exist. Create it first."
            )
        try:
            # Closing may happen in another thread than the one that used it; using never does.
            raw = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute("PRAGMA temp_store = MEMORY")
            _prepare_file(raw)
        except sqlite3.OperationalError as error:
            raise AccessError(f"The database file {path} cannot be opened: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise AccessError(f"The file {path} is not a database of this program: {error}.") from error
        raw.create_collation("decimal", _compare_decimals)
        raw.create_function("current_user", 0, getpass.getuser, deterministic=True)
        register_functions(raw)
        return raw

    def begin(self) -> Sequence[str]:
        # Taking the write lock at once, rather than on the first write, is what makes contention a wait and
        # not an error: a reader cannot always be promoted to a writer.
        return ("BEGIN IMMEDIATE",)

    def limit_time(self, raw: RawConnection, seconds: float | None) -> None:
        assert isinstance(raw, sqlite3.Connection)
        if seconds is None:
            raw.set_progress_handler(None, 0)
            return
        last = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > last, 20_000)

    def is_alive(self, raw: RawConnection) -> bool:
        return True

    def connection_id(self, raw: RawConnection) -> int:
        return id(raw) % 2**31

    def translate(self, error: Exception) -> DataJointError | None:
        if not isinstance(error, sqlite3.Error):
            return None
        text = str(error)
        if isinstance(error, sqlite3.IntegrityError):
            return _integrity_error(text)
        if match := re.match(r"no such column: (.*)", text):
            return UnknownAttributeError(f"There is no attribute {match[1]}.")
        if match := re.match(r"no such table: (.*)", text):
            return MissingTableError(f"The table {match[1]} is not in the database.")
        if "syntax error" in text or "no such function" in text or "misuse of aggregate" in text:
            return QuerySyntaxError(text)
        if "readonly" in text or "unable to open" in text:
            return AccessError(say("The database file cannot be written: {text}.", text=text))
        if "user-defined function raised exception" in text or text == "integer overflow":
            return QueryError(
                say(
                    "A value of a row is none that a function of the query can work with on the embedded database."
                )
            )
        if text == "interrupted":
            return QueryTimeoutError(say(TOO_SLOW))
        if "closed database" in text:
            return LostConnectionError(say("The connection to the database file was closed."))
        if "locked" in text:
            return LostConnectionError(
                say("Another program kept the database file locked for over a minute. Try again.")
            )
        return QueryError(text)

    def is_retryable(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

    # ---- writing SQL
    def quote(self, identifier: str) -> str:
        return '"' + identifier.replace('"', '""') + '"'

    def table(self, name: TableName) -> str:
        return self.quote(f"{name.schema}.{name.table}")

    def literal(self, text: str) -> str:
        return "'" + text.replace("'", "''").replace("\0", "") + "'"

    def encoder(self, column: ColumnType) -> Convert | None:
        if column.kind == "uuid":
            return _uuid_bytes
        if column.kind == "json":
            return json_text
        if column.kind in ("date", "datetime", "time"):
            return column.format
        if column.kind == "decimal":
            return str
        if column.kind == "integer" and isinstance(column, IntegerType) and column.high >= 2**63:
            return _signed
        return None

    def decoder(self, column: ColumnType) -> Convert | None:
        if column.kind == "uuid":
            return _uuid
        if column.kind == "json":
            return json.loads
        if column.kind == "date":
            return dt.date.fromisoformat
        if column.kind == "datetime":
            return dt.datetime.fromisoformat
        if isinstance(column, TimeType):
            return column.check
        if isinstance(column, DecimalType):
            return Decimal
        return None

    def order_expression(self, sql: str, column: ColumnType, *, is_stored: bool = True) -> str:
        if isinstance(column, EnumType):
            # MySQL sorts an enum by the position of its choices.
            cases = " ".join(f"WHEN {self.literal(c)} THEN {i}" for i, c in enumerate(column.choices))
            return f"CASE {sql} {cases} END"
        return sql

    def as_text(self, sql: str, kind: str) -> str:
        return f"HEX({sql})" if kind == "uuid" else f"CAST({sql} AS TEXT)"

    def text_found(self, column: Statement, text: str, *, at_start: bool) -> Statement:
        # LOWER is Python's here, for the sake of other alphabets, and so is LIKE without ESCAPE; what is written
        # in C is 20 times as fast, and ends a text with the first zero byte.
        if "\0" in text:
            return super().text_found(column, text, at_start=at_start)
        if text.isascii():
            like = re.sub("([%_!])", r"!\1", text) + "%"
            return Statement(
                f"{column.sql} LIKE ? ESCAPE '!'", (*column.parameters, like if at_start else f"%{like}")
            )
        text = text.lower()
        glob = "".join(map(_glob_character, text)) + "*"
        exact = super().text_found(column, text, at_start=at_start)
        # What the last finds has letters of other alphabets, and passes GLOB; nearly all other rows do not.
        return Statement(
            f"(LENGTH(CAST({column.sql} AS BLOB)) > LENGTH({column.sql}) AND {column.sql} GLOB ? AND {exact.sql})",
            (*column.parameters * 3, glob if at_start else f"*{glob}", *exact.parameters),
        )

    def json_scalar(self, column: Statement, path: str, kind: ColumnType) -> Statement:
        return Statement(f"json_scalar({column.sql}, ?, ?)", (*column.parameters, path, kind.text))

    def json_number(self, column: Statement, path: str) -> Statement:
        return Statement(f"json_number({column.sql}, ?)", (*column.parameters, path))

    def json_text(self, column: Statement, path: str) -> Statement:
        return Statement(f"json_text({column.sql}, ?)", (*column.parameters, path))

    def insert(
        self, name: TableName, columns: Sequence[str], source: str, on_duplicate: str, key: Sequence[str]
    ) -> str:
        verb = "INSERT OR REPLACE" if on_duplicate == "replace" else "INSERT"
        if on_duplicate == "skip" and source.lstrip().upper().startswith("SELECT"):
            # Without WHERE, "ON CONFLICT" after a SELECT would be read as the condition of a join.
            source = f"SELECT * FROM ({source}) WHERE true"
        sql = f"{verb} INTO {self.table(name)} ({', '.join(map(self.quote, columns))}) {source}"
        if on_duplicate == "skip":
            sql += f" ON CONFLICT ({', '.join(map(self.quote, key))}) DO NOTHING"
        return sql

    def one_of(self, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Statement:
        n_rows, left = len(values[0]), f"({', '.join(columns)})"
        if n_rows * len(columns) > 500 and (listed := json_rows(values)):
            # One document is one parameter, of which a statement may have some thousands.
            items = ", ".join(
                f"from_hex(value ->> {i})" if isinstance(v[0], bytes) else f"value ->> {i}"
                for i, v in enumerate(values)
            )
            return Statement(f"{left} IN (SELECT {items} FROM json_each(?))", (listed,))
        if len(columns) == 1:
            return Statement(f"{columns[0]} IN ({', '.join('?' * n_rows)})", tuple(values[0]))
        marks = f"({', '.join('?' * len(columns))})"
        rows = chain.from_iterable(zip(*values, strict=True))
        return Statement(f"{left} IN (VALUES {', '.join([marks] * n_rows)})", tuple(rows))

    def is_null_safe_equal(self, left: str, right: str) -> str:
        return f"{left} IS {right}"

    def seconds_between(self, start: str, end: str) -> str:
        return f"((julianday({end}) - julianday({start})) * 86400.0)"

    def seconds_from_now(self, seconds: float) -> Statement:
        return Statement("strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime', ?)", (f"{seconds:+.3f} seconds",))


def _prepare_file(raw: sqlite3.Connection) -> None:
    """Make a new file ours. SQLite does not wait for others while it changes the journal mode, so this does."""
    last = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                raw.execute("PRAGMA journal_mode = WAL")
            for statement in _CATALOG:
                raw.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > last:
                raise
            time.sleep(random.uniform(0.005, 0.05))
        else:
            return


def _integrity_error(text: str) -> DataJointError:
    if match := re.match(r"UNIQUE constraint failed: index '([^./]*)\.([^/]*)/unique/(.*)'", text):
        return DuplicateError(text, table=str(TableName(match[1], match[2])), attributes=(match[3],))
    if match := re.match(r"UNIQUE constraint failed: (.*)", text):
        full = [part.strip() for part in match[1].split(",")]
        columns = tuple(part.rpartition(".")[2] for part in full)
        schema, _, table = full[0].rpartition(".")[0].partition(".")
        return DuplicateError(text, table=str(TableName(schema, table)), attributes=columns)
    if match := re.match(r"NOT NULL constraint failed: .*\.([^.]+)$", text):
        return needs_value(match[1])
    if match := re.match(r"CHECK constraint failed: \"?(\w+)\"?", text):
        return ValueRefusedError(say("does not fit the attribute's type"), attribute=match[1])
    if "FOREIGN KEY" in text:
        return IntegrityError(say("A parent row is missing, or rows of other tables depend on this one."))
    return IntegrityError(text)


def _compare_decimals(a: str, b: str) -> int:
    try:
        left, right = Decimal(a), Decimal(b)
    except ArithmeticError:
        return (a > b) - (a < b)
    return (left > right) - (left < right)


@cache
def _capitals() -> dict[str, str]:
    """Return the characters that become a character, or a part of what they become, in small letters."""
    found = {"ς": "Σ"}  # at the end of a word
    for character in map(chr, range(0x20000)):
        for small in character.lower():
            if small != character:
                found[small] = found.get(small, "") + character
    return found


def _glob_character(character: str) -> str:
    capitals = _capitals().get(character, "")
    if any(len(c.lower()) > 1 for c in capitals):
        return "*"
    return f"[{character}{capitals}]" if capitals or character in "*?[" else character


def _signed(value: int) -> int:
    if value >= 2**63:
        raise ValueRefusedError(
            say("is larger than the embedded database keeps (9223372036854775807)"), value=value
        )
    return value


def _uuid_bytes(value: uuid.UUID) -> bytes:
    return value.bytes


def _uuid(value: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=value)
