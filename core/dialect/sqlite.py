"""SQLite: one file, treated as a server and not as a mock.

Schemas are prefixes: the table ``session`` of the schema ``lab`` is named ``lab.session``. What MySQL's strict
mode refuses, CHECK constraints refuse here. SQLite keeps neither comments nor types of its own, so three
tables of ours hold them: ``~schemas``, ``~tables`` and ``~columns``.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import re
import sqlite3
import time
import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal

from dj_panel.core.coretypes import (
    ColumnType,
    DatetimeType,
    DecimalType,
    EnumType,
    IntegerType,
    TextType,
    TimeType,
)
from dj_panel.core.definition import is_server_value
from dj_panel.core.dialect.protocol import (
    TOO_SLOW,
    ColumnFacts,
    Convert,
    Dialect,
    Query,
    RawConnection,
    Statement,
    TableFacts,
    json_text,
)
from dj_panel.core.dialect.sqlite_functions import register_functions
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    DuplicateError,
    IntegrityError,
    LostConnectionError,
    MissingAttributeError,
    MissingTableError,
    QueryError,
    QuerySyntaxError,
    QueryTimeoutError,
    UnknownAttributeError,
    ValueRefusedError,
)
from dj_panel.core.settings import Settings
from dj_panel.core.structure import Attribute, TableName, TableStructure

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
_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime')"


class SQLite(Dialect):
    """SQLite 3.37 or later, in WAL mode, with foreign keys on."""

    name = "sqlite"
    placeholder = "?"
    max_parameters = 30_000
    now = _NOW
    user = "current_user()"
    skip_hides_unique = False

    # ---- connecting
    def connect(self, settings: Settings) -> RawConnection:
        path = settings.sqlite_path
        if not path.parent.is_dir():
            raise MissingTableError(
                f"The folder {path.parent} of the database file does not exist. Create it first."
            )
        try:
            # Closing may happen in another thread than the one that used it; using never does.
            raw = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute("PRAGMA temp_store = MEMORY")
            for statement in _CATALOG:
                raw.execute(statement)
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
            return AccessError(f"The database file cannot be written: {text}.")
        if text == "interrupted":
            return QueryTimeoutError(TOO_SLOW)
        if "closed database" in text:
            return LostConnectionError("The connection to the database file was closed.")
        if "locked" in text:
            return LostConnectionError(
                "Another program kept the database file locked for over a minute. Try again."
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

    def order_expression(self, sql: str, column: ColumnType) -> str:
        if isinstance(column, EnumType):
            # MySQL sorts an enum by the position of its choices.
            cases = " ".join(f"WHEN {self.literal(c)} THEN {i}" for i, c in enumerate(column.choices))
            return f"CASE {sql} {cases} END"
        return sql

    def as_text(self, sql: str, kind: str) -> str:
        return f"HEX({sql})" if kind == "uuid" else f"CAST({sql} AS TEXT)"

    def text_found(self, sql: str, text: str, *, at_start: bool) -> Statement:
        if not text.isascii():
            return super().text_found(sql, text, at_start=at_start)
        # LOWER and LIKE are Python's here, for the sake of other alphabets; GLOB is C and 20 times as fast.
        either = "".join(
            f"[{c.lower()}{c.upper()}]" if c.isalpha() else f"[{c}]" if c in "*?[" else c for c in text
        )
        return Statement(f"{sql} GLOB ?", (f"{either}*" if at_start else f"*{either}*",))

    def json_value(self, sql: str, path: str) -> Statement:
        return Statement(f"json_value({sql}, ?)", (path,))

    def insert(
        self, name: TableName, columns: Sequence[str], source: str, on_duplicate: str, key: Sequence[str]
    ) -> str:
        verb = "INSERT OR REPLACE" if on_duplicate == "replace" else "INSERT"
        sql = f"{verb} INTO {self.table(name)} ({', '.join(map(self.quote, columns))}) {source}"
        if on_duplicate == "skip":
            # Without WHERE, "ON CONFLICT" after a SELECT would be read as the condition of a join.
            where = " WHERE true" if source.lstrip().upper().startswith("SELECT") else ""
            sql += f"{where} ON CONFLICT ({', '.join(map(self.quote, key))}) DO NOTHING"
        return sql

    def one_of(self, columns: Sequence[str], n_values: int) -> str:
        if len(columns) == 1:
            return f"{columns[0]} IN ({', '.join('?' * n_values)})"
        marks = f"({', '.join('?' * len(columns))})"
        return f"({', '.join(columns)}) IN (VALUES {', '.join([marks] * n_values)})"

    def is_null_safe_equal(self, left: str, right: str) -> str:
        return f"{left} IS {right}"

    def seconds_between(self, start: str, end: str) -> str:
        return f"((julianday({end}) - julianday({start})) * 86400.0)"

    def seconds_from_now(self, seconds: float) -> Statement:
        return Statement("strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime', ?)", (f"{seconds:+.3f} seconds",))

    # ---- structure
    def create_schema(self, schema: str) -> Sequence[Statement]:
        return (Statement('INSERT OR IGNORE INTO "~schemas" VALUES (?)', (schema,)),)

    def drop_schema(self, schema: str, tables: Iterable[TableName]) -> Sequence[Statement]:
        statements = [statement for name in tables for statement in self.drop_table(name)]
        return (*statements, Statement('DELETE FROM "~schemas" WHERE schema_name = ?', (schema,)))

    def create_table(
        self, table: TableStructure, inherited: dict[str, tuple[str | None, str | None]]
    ) -> Sequence[Statement]:
        attributes = table.heading.all_attributes
        key = [a.name for a in attributes if a.in_key]
        rowid = len(key) == 1 and any(a.autoincrement for a in attributes)
        lines = [self._column(a, is_rowid=rowid and a.in_key) for a in attributes]
        if not rowid:
            lines.append(f"PRIMARY KEY ({', '.join(map(self.quote, key))})")
        lines += [self.foreign_key_clause(fk) for fk in table.foreign_keys]
        schema, name = table.name.schema, table.name.table
        body = ",\n".join(lines)
        statements = [
            Statement(f"CREATE TABLE {self.table(table.name)} (\n{body}\n)"),
            Statement('INSERT INTO "~tables" VALUES (?, ?, ?)', (schema, name, table.comment)),
        ]
        for position, a in enumerate(attributes):
            statements.append(
                Statement(
                    'INSERT INTO "~columns" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
                    (schema, name, position, a.name, a.type, a.stored_type or a.type, int(a.nullable),
                     a.default, a.comment, int(a.autoincrement)),
                )
            )  # fmt: skip
        covered = [tuple(key)]
        for index in table.indexes:
            statements.append(self._index(table.name, index.columns, unique=index.unique))
            covered.append(index.columns)
        for fk in table.foreign_keys:
            # SQLite, unlike InnoDB, does not index foreign keys; without, each delete scans the children.
            if not any(columns[: len(fk.attributes)] == fk.attributes for columns in covered):
                statements.append(self._index(table.name, fk.attributes, unique=False))
                covered.append(fk.attributes)
        return statements

    def _index(self, table: TableName, columns: Sequence[str], *, unique: bool) -> Statement:
        words = "_".join(re.sub(r"\W+", "_", column) for column in columns)
        name = self.quote(f"{table.schema}.{table.table}/{'unique' if unique else 'index'}/{words}")
        items = ", ".join(c if c.startswith("(") else self.quote(c) for c in columns)
        return Statement(f"CREATE {'UNIQUE ' if unique else ''}INDEX {name} ON {self.table(table)} ({items})")

    def _column(self, attribute: Attribute, *, is_rowid: bool) -> str:
        name = self.quote(attribute.name)
        if is_rowid:
            return f"{name} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
        column = attribute.column_type
        parts = [name, _affinity(column)]
        if not attribute.nullable:
            parts.append("NOT NULL")
        if attribute.default is not None:
            if is_server_value(attribute.default):
                parts.append(f"DEFAULT ({_timestamp(column)})")
            else:
                parts.append(f"DEFAULT {self._default(attribute)}")
        check = self._check(name, column)
        if check:
            parts.append(f"CHECK ({name} IS NULL OR ({check}))")
        return " ".join(parts)

    def _default(self, attribute: Attribute) -> str:
        column = attribute.column_type
        value = column.check(attribute.default)
        encode = self.encoder(column)
        value = encode(value) if encode else value
        if isinstance(value, bytes):
            return f"x'{value.hex()}'"
        return repr(value) if isinstance(value, (int, float)) else self.literal(str(value))

    def _check(self, name: str, column: ColumnType) -> str:
        if isinstance(column, IntegerType):
            low, high = max(column.low, -(2**63)), min(column.high, 2**63 - 1)
            return f"typeof({name}) = 'integer' AND {name} BETWEEN {low} AND {high}"
        if column.kind == "boolean":
            return f"typeof({name}) = 'integer' AND {name} BETWEEN -128 AND 127"
        if column.kind == "float":
            return f"typeof({name}) IN ('real', 'integer')"
        if isinstance(column, TextType):
            length = f" AND length({name}) <= {column.length}" if column.length else ""
            return f"typeof({name}) = 'text'{length}"
        if isinstance(column, EnumType):
            return f"{name} IN ({', '.join(map(self.literal, column.choices))})"
        if column.kind == "json":
            return f"json_valid({name})"
        if column.kind == "uuid":
            return f"typeof({name}) = 'blob' AND length({name}) = 16"
        if column.kind == "bytes":
            return f"typeof({name}) = 'blob'"
        if column.kind == "date":
            return f"{name} IS date({name})"
        if column.kind == "datetime":
            # cut to seconds, for datetime() rounds the last microseconds of the year 9999 up
            return f"datetime(substr({name}, 1, 19)) IS NOT NULL"
        return ""

    def drop_table(self, name: TableName) -> Sequence[Statement]:
        where = "WHERE schema_name = ? AND table_name = ?"
        place = (name.schema, name.table)
        return (
            Statement(f"DROP TABLE IF EXISTS {self.table(name)}"),
            Statement(f'DELETE FROM "~columns" {where}', place),
            Statement(f'DELETE FROM "~tables" {where}', place),
        )

    def list_schemas(self, query: Query) -> list[str]:
        return [str(row[0]) for row in query('SELECT schema_name FROM "~schemas" ORDER BY schema_name', ())]

    def read_catalog(self, query: Query, schemas: Sequence[str]) -> TableFacts:
        marks = ", ".join("?" * len(schemas))
        tables = query(
            f'SELECT schema_name, table_name, comment FROM "~tables" WHERE schema_name IN ({marks})', schemas
        )
        columns = query(
            "SELECT schema_name, table_name, column_name, type, stored_type, nullable, default_value, comment,"
            f' is_numbered FROM "~columns" WHERE schema_name IN ({marks})'
            " ORDER BY schema_name, table_name, position",
            schemas,
        )
        own = f'FROM "~tables" AS t, {{}} WHERE t.schema_name IN ({marks})'
        full = "t.schema_name || '.' || t.table_name"
        primary = query(
            f"SELECT t.schema_name, t.table_name, c.name "
            f"{own.format(f'pragma_table_info({full}) AS c')} AND c.pk > 0 ORDER BY 1, 2, c.pk",
            schemas,
        )
        source = f"pragma_index_list({full}) AS i, pragma_index_info(i.name) AS c"
        indexes = query(
            f'SELECT t.schema_name, t.table_name, i.name, c.name, i."unique" '
            f"{own.format(source)} AND i.origin = 'c' ORDER BY 1, 2, i.name, c.seqno",
            schemas,
        )
        references = query(
            f'SELECT t.schema_name, t.table_name, f.id, f."from", f."table", f."to" '
            f"{own.format(f'pragma_foreign_key_list({full}) AS f')} ORDER BY 1, 2, f.id DESC, f.seq",
            schemas,
        )
        return TableFacts(
            [(str(s), str(t), str(c)) for s, t, c in tables],
            [
                ColumnFacts(s, t, n, stored, bool(nullable), default,
                            f":{kind}:{comment}" if kind != stored else comment, bool(auto), None, None)
                for s, t, n, kind, stored, nullable, default, comment, auto in columns
            ],
            [(s, t, "PRIMARY", c, True) for s, t, c in primary]
            + [(s, t, i, str(c or ""), bool(u)) for s, t, i, c, u in indexes],
            [(s, t, str(i), c, *parent.split(".", 1), to) for s, t, i, c, parent, to in references],
        )  # fmt: skip

    def referencing_schemas(self, query: Query, schemas: Sequence[str]) -> list[str]:
        rows = query(
            'SELECT DISTINCT t.schema_name, f."table" FROM "~tables" AS t,'
            " pragma_foreign_key_list(t.schema_name || '.' || t.table_name) AS f",
            (),
        )
        wanted = set(schemas)
        found = {str(child) for child, parent in rows if parent.partition(".")[0] in wanted}
        return sorted(found - wanted)


def _affinity(column: ColumnType) -> str:
    # INT and not INTEGER: a sole key of type INTEGER would be numbered by SQLite when it is left out.
    return {
        "integer": "INT", "boolean": "INT", "float": "REAL", "decimal": "TEXT COLLATE decimal",
        "bytes": "BLOB", "uuid": "BLOB",
    }.get(column.kind, "TEXT")  # fmt: skip


def _timestamp(column: ColumnType) -> str:
    digits = column.digits if isinstance(column, DatetimeType) else 0
    if column.kind == "date":
        return "date('now', 'localtime')"
    if digits == 0:
        return "strftime('%Y-%m-%d %H:%M:%S', 'now', 'localtime')"
    return f"substr({_NOW} || '000', 1, {20 + digits})"


def _integrity_error(text: str) -> DataJointError:
    if match := re.match(r"UNIQUE constraint failed: (.*)", text):
        full = [part.strip() for part in match[1].split(",")]
        columns = tuple(part.rpartition(".")[2] for part in full)
        schema, _, table = full[0].rpartition(".")[0].partition(".")
        return DuplicateError(text, table=str(TableName(schema, table)), attributes=columns)
    if match := re.match(r"NOT NULL constraint failed: .*\.([^.]+)$", text):
        return MissingAttributeError(f"The attribute '{match[1]}' needs a value.")
    if match := re.match(r"CHECK constraint failed: \"?(\w+)\"?", text):
        return ValueRefusedError("does not fit the attribute's type", attribute=match[1])
    if "FOREIGN KEY" in text:
        return IntegrityError("A parent row is missing, or rows of other tables depend on this one.")
    return IntegrityError(text)


def _compare_decimals(a: str, b: str) -> int:
    try:
        left, right = Decimal(a), Decimal(b)
    except ArithmeticError:
        return (a > b) - (a < b)
    return (left > right) - (left < right)


def _signed(value: int) -> int:
    if value >= 2**63:
        raise ValueRefusedError(
            "is larger than the embedded database keeps (9223372036854775807)", value=value
        )
    return value


def _uuid_bytes(value: uuid.UUID) -> bytes:
    return value.bytes


def _uuid(value: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=value)
