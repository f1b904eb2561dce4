"""MySQL and MariaDB, through PyMySQL.

Column types, comments and defaults are written as DataJoint writes them, so that both programs read the
same tables. Two things differ on purpose: schemas are created in utf8mb4 with a binary collation (else
``Mouse1`` and ``mouse1`` are one key), and everything that goes into a comment is escaped.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from dj_panel.core.coretypes import ColumnType, DatetimeType, DateType, FloatType, is_core_type
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
from dj_panel.core.errors import (
    AccessError,
    DataJointError,
    DefinitionError,
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

__all__ = ["MySQL"]

logger = logging.getLogger("dj_panel")

_SQL_MODE = (
    "NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
)
_SQL_TYPES = {
    "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "float32": "float", "float64": "double", "bool": "tinyint",
    "uuid": "binary(16)", "bytes": "longblob", "json": "json",
}  # fmt: skip
_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")
_LOST = (2006, 2013, 2055, 4031, 1927, 1053)


class MySQL(Dialect):
    """MySQL 8 and MariaDB 10.6 or later."""

    name = "mysql"
    placeholder = "%s"
    max_parameters = 60_000
    now = "CURRENT_TIMESTAMP(3)"
    user = "USER()"
    skip_hides_unique = True

    # ---- connecting
    def connect(self, settings: Settings) -> RawConnection:
        database = settings.database
        options: dict[str, Any] = {}
        if database.use_tls is False:
            options["ssl_disabled"] = True
        elif database.use_tls:
            given = database.use_tls if isinstance(database.use_tls, dict) else {}
            options["ssl"] = {"check_hostname": True, "verify_mode": "required", **given}
        try:
            connection = pymysql.connect(
                host=database.host or "localhost",
                port=database.port,
                user=database.user,
                password=database.password or "",
                charset="utf8mb4",
                sql_mode=_SQL_MODE,
                autocommit=True,
                connect_timeout=10,
                # Rows found, not rows changed: "did my UPDATE still own this job" must not depend on the values.
                client_flag=CLIENT.FOUND_ROWS,
                **options,
            )
        except pymysql.err.OperationalError as error:
            code = error.args[0] if error.args else 0
            place = f"{database.host}:{database.port}"
            if code in (1044, 1045):
                raise AccessError(
                    f"The server at {place} refused the account '{database.user}'. Check user and password."
                ) from error
            raise LostConnectionError(
                f"There is no answer from a database server at {place}. Check host and port, and that it runs."
            ) from error
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            connection.max_allowed_packet = cursor.fetchone()[0]
        if database.use_tls:
            with connection.cursor() as cursor:
                cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
                row = cursor.fetchone()
            if not row or not row[1]:
                connection.close()
                raise LostConnectionError(f"{database.host} offers no TLS, and use_tls asks for it.")
        return connection

    def begin(self) -> Sequence[str]:
        return ("START TRANSACTION WITH CONSISTENT SNAPSHOT",)

    def limit_time(self, raw: RawConnection, seconds: float | None) -> None:
        is_mariadb = "mariadb" in raw.get_server_info().lower()  # type: ignore[attr-defined]
        with raw.cursor() as cursor:
            if is_mariadb:
                cursor.execute("SET SESSION max_statement_time = %s", (seconds or 0,))
            else:
                cursor.execute("SET SESSION max_execution_time = %s", (round((seconds or 0) * 1000),))

    def streaming_cursor(self, raw: RawConnection) -> Any:
        return raw.cursor(pymysql.cursors.SSCursor)  # type: ignore[call-arg]

    def is_alive(self, raw: RawConnection) -> bool:
        try:
            raw.ping(reconnect=False)  # type: ignore[attr-defined]
        except (pymysql.err.Error, OSError):
            return False
        return True

    def check_size(self, raw: RawConnection, sql: str, parameters: Sequence[Any]) -> None:
        limit = raw.max_allowed_packet  # type: ignore[attr-defined]
        n_bytes = len(sql) + sum(len(v) for v in parameters if isinstance(v, (bytes, str)))
        # The driver writes values into the statement, where a character may take up to four bytes.
        if n_bytes * 4 < limit:
            return
        with raw.cursor() as cursor:
            n_bytes = len(cursor.mogrify(sql, parameters).encode("utf-8", "surrogateescape"))
        if n_bytes + 1024 > limit:
            raise ValueRefusedError(
                f"makes a statement of {n_bytes / 2**20:.0f} MiB, and the server takes {limit / 2**20:.0f} MiB"
                " (max_allowed_packet); keep such values in a store, as <blob@>, or raise the server's limit"
            )

    def connection_id(self, raw: RawConnection) -> int:
        return int(raw.thread_id())  # type: ignore[attr-defined]

    def translate(self, error: Exception) -> DataJointError | None:
        if isinstance(error, (BrokenPipeError, ConnectionError, pymysql.err.InterfaceError)):
            return LostConnectionError("The connection to the database server was lost.")
        if not isinstance(error, pymysql.err.MySQLError):
            return None
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1]) if len(error.args) > 1 else str(error)
        if code in _LOST:
            return LostConnectionError(f"The connection to the database server was lost ({code}).")
        if code in (1062, 1169, 1586):
            match = re.search(r"for key '(?:[^'.]*\.)?([^']*)'", text)
            return DuplicateError(text, attributes=(match[1],) if match else ())
        if code in (1216, 1217, 1451, 1452, 3730):
            return _foreign_key_error(text)
        if code == 1054:
            return UnknownAttributeError(text)
        if code in (1364, 1048):
            return MissingAttributeError(text)
        if code in (1146, 1049, 1051):
            return MissingTableError(text)
        if code in (1044, 1045, 1142, 1143, 1227, 1370, 1698):
            return AccessError(text)
        if code in (1064, 1149):
            return QuerySyntaxError(text)
        if code in (1969, 3024):
            return QueryTimeoutError(TOO_SLOW)
        if code == 1153:
            return ValueRefusedError(
                "is larger than the server takes in one packet (max_allowed_packet); keep it in a store, <blob@>"
            )
        if code in (1264, 1265, 1366, 1406, 1292, 4025, 3819, 3140, 1690, 1411):
            return ValueRefusedError(f"was refused by the server: {text}")
        return QueryError(text)

    def is_retryable(self, error: Exception) -> bool:
        return (
            isinstance(error, pymysql.err.MySQLError)
            and bool(error.args)
            and error.args[0] in (1205, 1213, 1020)
        )

    def ends_transaction(self, error: Exception) -> bool:
        return isinstance(error, pymysql.err.MySQLError) and bool(error.args) and error.args[0] == 1213

    # ---- writing SQL
    def quote(self, identifier: str) -> str:
        return "`" + identifier.replace("`", "``").replace("%", "%%") + "`"

    def table(self, name: TableName) -> str:
        return f"{self.quote(name.schema)}.{self.quote(name.table)}"

    def literal(self, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0").replace("%", "%%")
        return f"'{escaped}'"

    def verbatim(self, sql: str) -> str:
        return sql.replace("%", "%%")

    def encoder(self, column: ColumnType) -> Convert | None:
        if column.kind == "uuid":
            return _uuid_bytes
        if column.kind == "json":
            return json_text
        if isinstance(column, (DatetimeType, DateType)):
            return column.format
        return None

    def decoder(self, column: ColumnType) -> Convert | None:
        if column.kind == "uuid":
            return _uuid
        if column.kind == "json":
            return json.loads
        return None

    def selected(self, sql: str, column: ColumnType) -> str:
        # The server prints a float with six digits; as a double all that it holds arrive.
        return f"{sql} + 0E0" if isinstance(column, FloatType) and column.size_bytes == 4 else sql

    def order_expression(self, sql: str, column: ColumnType) -> str:
        return sql

    def as_text(self, sql: str, kind: str) -> str:
        return f"HEX({sql})" if kind == "uuid" else f"CONVERT({sql} USING utf8mb4)"

    def json_value(self, sql: str, path: str) -> Statement:
        # Of JSON's null the server makes the word null.
        return Statement(f"NULLIF(JSON_UNQUOTE(JSON_EXTRACT({sql}, %s)), 'null')", (path,))

    def insert(
        self, name: TableName, columns: Sequence[str], source: str, on_duplicate: str, key: Sequence[str]
    ) -> str:
        verb = "REPLACE" if on_duplicate == "replace" else "INSERT"
        names = ", ".join(map(self.quote, columns))
        sql = f"{verb} INTO {self.table(name)} ({names}) {source}"
        if on_duplicate == "skip":
            first = self.quote(key[0])
            sql += f" ON DUPLICATE KEY UPDATE {first} = {self.table(name)}.{first}"
        return sql

    def one_of(self, columns: Sequence[str], n_values: int) -> str:
        marks = ", ".join(["%s"] * len(columns))
        if len(columns) == 1:
            return f"{columns[0]} IN ({', '.join(['%s'] * n_values)})"
        return f"({', '.join(columns)}) IN ({', '.join([f'({marks})'] * n_values)})"

    def is_null_safe_equal(self, left: str, right: str) -> str:
        return f"{left} <=> {right}"

    def seconds_between(self, start: str, end: str) -> str:
        return f"(TIMESTAMPDIFF(MICROSECOND, {start}, {end}) / 1000000.0)"

    def seconds_from_now(self, seconds: float) -> Statement:
        return Statement(f"({self.now} + INTERVAL %s MICROSECOND)", (round(seconds * 1e6),))

    # ---- structure
    def create_schema(self, schema: str) -> Sequence[Statement]:
        # Each server reads the one of the comments that is meant for it. Both collations compare code points
        # and take a space at the end for a character, as utf8mb4_bin, which both have, does not.
        collation = "/*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */"
        return (
            Statement(
                f"CREATE DATABASE IF NOT EXISTS {self.quote(schema)} CHARACTER SET utf8mb4 {collation}"
            ),
        )

    def drop_schema(self, schema: str, tables: Iterable[TableName]) -> Sequence[Statement]:
        return (Statement(f"DROP DATABASE IF EXISTS {self.quote(schema)}"),)

    def create_table(
        self, table: TableStructure, inherited: dict[str, tuple[str | None, str | None]]
    ) -> Sequence[Statement]:
        _check_characters(table)
        key = [a.name for a in table.heading.all_attributes if a.in_key]
        lines = [self._column(table, a, inherited.get(a.name)) for a in table.heading.all_attributes]
        lines.append(f"PRIMARY KEY ({', '.join(map(self.quote, key))})")
        lines += [self.foreign_key_clause(fk) for fk in table.foreign_keys]
        for index in table.indexes:
            columns = ", ".join(c if c.startswith("(") else self.quote(c) for c in index.columns)
            lines.append(f"{'UNIQUE ' if index.unique else ''}INDEX ({columns})")
        comment = f", COMMENT {self.literal(table.comment)}" if table.comment else ""
        body = ",\n".join(lines)
        return (
            Statement(
                f"CREATE TABLE IF NOT EXISTS {self.table(table.name)} (\n{body}\n) ENGINE=InnoDB{comment}"
            ),
        )

    def _column(
        self, table: TableStructure, attribute: Attribute, inherited: tuple[str | None, str | None] | None
    ) -> str:
        sql_type = self.sql_type(attribute)
        if inherited and inherited[0] and attribute.column_type.kind in ("text", "enum"):
            sql_type += f" CHARACTER SET {self.quote(inherited[0])} COLLATE {self.quote(inherited[1] or '')}"
        if attribute.nullable:
            rule = "DEFAULT NULL"
        elif attribute.default is None:
            rule = "NOT NULL AUTO_INCREMENT" if attribute.autoincrement else "NOT NULL"
        elif is_server_value(attribute.default):
            rule = f"NOT NULL DEFAULT {attribute.default.upper()}"
        else:
            default = attribute.default
            if attribute.column_type.kind == "boolean":
                default = str(attribute.column_type.check(default))
            rule = f"NOT NULL DEFAULT {self.literal(default)}"
        # A queue repeats its table's key, which is made of foreign keys, as that table's columns show it; what
        # those do not show, their being an int8 for example, is not marked there either.
        is_copied = table.name.table.startswith("~~") and attribute.in_key
        comment = self.marked_comment(
            attribute,
            is_inherited=table.foreign_key_of(attribute.name) is not None
            or (is_copied and attribute.type.lower() in _SQL_TYPES),
        )
        return f"{self.quote(attribute.name)} {sql_type} {rule}" + (
            f" COMMENT {self.literal(comment)}" if comment else ""
        )

    def sql_type(self, attribute: Attribute) -> str:
        """Return the column type of an attribute."""
        text = attribute.stored_type or attribute.type
        if attribute.choices:
            return f"enum({','.join(map(self.literal, attribute.choices))})"
        return _SQL_TYPES.get(text.lower(), text).replace("%", "%%")

    def marked_comment(self, attribute: Attribute, *, is_inherited: bool) -> str:
        """Return the column's comment with DataJoint's type marker where it keeps one."""
        kept = attribute.type.startswith("<") or is_core_type(attribute.type)
        if is_inherited:
            # Columns of foreign keys take over the comment but not the marker, except where the type
            # could not be told from the column (observed with DataJoint 2.3.5).
            kept = attribute.type == "uuid"
        # The marker is read up to its second colon, so a type that holds one cannot be marked.
        return (
            f":{attribute.type}:{attribute.comment}"
            if kept and ":" not in attribute.type
            else attribute.comment
        )

    def record_lineage(self, schema: str, rows: Sequence[tuple[str, str, str]]) -> Sequence[Statement]:
        if not rows:
            return ()
        table = self.table(TableName(schema, "~lineage"))
        marks = ", ".join(["(%s, %s, %s)"] * len(rows))
        return (
            Statement(
                f"CREATE TABLE IF NOT EXISTS {table} ("
                "table_name VARCHAR(64) NOT NULL COMMENT 'table name within the schema',"
                " attribute_name VARCHAR(64) NOT NULL COMMENT 'attribute name',"
                " lineage VARCHAR(255) NOT NULL COMMENT 'origin: schema.table.attribute',"
                " PRIMARY KEY (table_name, attribute_name)) ENGINE=InnoDB"
            ),
            Statement(
                f"REPLACE INTO {table} (table_name, attribute_name, lineage) VALUES {marks}",
                tuple(value for row in rows for value in row),
            ),
        )

    def drop_table(self, name: TableName) -> Sequence[Statement]:
        return (Statement(f"DROP TABLE IF EXISTS {self.table(name)}"),)

    def list_schemas(self, query: Query) -> list[str]:
        rows = query("SELECT schema_name FROM information_schema.schemata ORDER BY schema_name", ())
        return [str(row[0]) for row in rows if str(row[0]).lower() not in _SYSTEM]

    def read_catalog(self, query: Query, schemas: Sequence[str]) -> TableFacts:
        marks = ", ".join(["%s"] * len(schemas))
        tables = query(
            "SELECT table_schema, table_name, table_comment FROM information_schema.tables"
            f" WHERE table_schema IN ({marks}) AND table_type = 'BASE TABLE'",
            schemas,
        )
        columns = query(
            "SELECT table_schema, table_name, column_name, column_type, is_nullable, column_default,"
            " column_comment, extra, character_set_name, collation_name FROM information_schema.columns"
            f" WHERE table_schema IN ({marks}) ORDER BY table_schema, table_name, ordinal_position",
            schemas,
        )
        keys = query(
            "SELECT table_schema, table_name, index_name, column_name, non_unique FROM information_schema.statistics"
            f" WHERE table_schema IN ({marks}) ORDER BY table_schema, table_name, index_name, seq_in_index",
            schemas,
        )
        references = query(
            "SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,"
            " referenced_table_name, referenced_column_name FROM information_schema.key_column_usage"
            f" WHERE table_schema IN ({marks}) AND referenced_table_name IS NOT NULL"
            " ORDER BY table_schema, table_name, constraint_name, ordinal_position",
            schemas,
        )
        return TableFacts(
            [(str(s), str(t), str(c or "")) for s, t, c in tables],
            [self._column_facts(row) for row in columns],
            [(str(s), str(t), str(i), str(c or ""), not n) for s, t, i, c, n in keys],
            [tuple(map(str, row)) for row in references],  # type: ignore[misc]
        )

    def _column_facts(self, row: Sequence[Any]) -> ColumnFacts:
        schema, table, name, sql_type, nullable, default, comment, extra, charset, collation = row
        text = sql_type.decode() if isinstance(sql_type, bytes) else str(sql_type)
        # Display widths carry no meaning, and servers differ in printing them.
        text = re.sub(r"\b((?:tiny|small|medium|big)?int)\(\d+\)", r"\1", text)
        return ColumnFacts(
            str(schema), str(table), str(name), text, nullable == "YES", _plain_default(default),
            str(comment or ""), "auto_increment" in str(extra).lower(), charset, collation,
        )  # fmt: skip

    def referencing_schemas(self, query: Query, schemas: Sequence[str]) -> list[str]:
        marks = ", ".join(["%s"] * len(schemas))
        rows = query(
            "SELECT DISTINCT table_schema FROM information_schema.key_column_usage"
            f" WHERE referenced_table_schema IN ({marks}) AND table_schema NOT IN ({marks})",
            (*schemas, *schemas),
        )
        return [str(row[0]) for row in rows]


def _check_characters(table: TableStructure) -> None:
    """Refuse defaults and choices that the server's catalog would turn into question marks.

    Rows keep every character; names, defaults, choices and comments of columns keep those up to U+FFFF.
    """
    for attribute in table.heading.all_attributes:
        for text in (attribute.default or "", *attribute.choices):
            if max(text, default="") > "\uffff":
                raise DefinitionError(
                    f"{table.name}.{attribute.name}: this server keeps no character beyond U+FFFF, such as an emoji,"
                    f" in defaults and choices, and {text!r} has one. Write it without."
                )
    if any(max(a.comment, default="") > "\uffff" for a in table.heading.all_attributes):
        logger.warning("%s: this server shows characters beyond U+FFFF in comments as ?", table.name)


def _plain_default(default: Any) -> str | None:
    """Return a default without quotes: MariaDB prints ``'x'`` and ``NULL``, MySQL ``x`` and nothing."""
    if default is None:
        return None
    text = default.decode() if isinstance(default, bytes) else str(default)
    if text.upper() == "NULL":
        return None
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'").replace("\\\\", "\\")
    if text.lower().startswith("current_timestamp") or text.lower() == "now()":
        return text.upper().replace("()", "")
    return text


def _foreign_key_error(text: str) -> IntegrityError:
    match = re.search(
        r"\(`(?P<schema>[^`]+)`\.`(?P<table>[^`]+)`, CONSTRAINT .*?FOREIGN KEY \((?P<columns>[^)]+)\)"
        r" REFERENCES (?:`(?P<pschema>[^`]+)`\.)?`(?P<ptable>[^`]+)`",
        text,
    )
    if not match:
        return IntegrityError(text)
    columns = tuple(part.strip(" `") for part in match["columns"].split(","))
    child = TableName(match["schema"], match["table"])
    parent = TableName(match["pschema"] or match["schema"], match["ptable"])
    ours, theirs = f"{child.schema}.{child.class_name}", f"{parent.schema}.{parent.class_name}"
    if "parent row" in text:
        message = f"Rows of {ours} depend on this row of {theirs}."
    else:
        message = f"{theirs} has no such row, to which {ours} refers by {', '.join(columns)}."
    return IntegrityError(message, table=str(child), attributes=columns, parent=str(parent))


def _uuid_bytes(value: uuid.UUID) -> bytes:
    return value.bytes


def _uuid(value: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=value)
