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
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR

from dj_panel.core.columntypes import ColumnType, DatetimeType, DateType, EnumType, FloatType
from dj_panel.core.dialect.columns import Batch
from dj_panel.core.dialect.mysql_binary import FEW_ROWS, PreparedRows, prepared_rows
from dj_panel.core.dialect.mysql_connection import CannotPrepareError, MySQLConnection
from dj_panel.core.dialect.mysql_inserts import packed_inserts
from dj_panel.core.dialect.mysql_json import json_number, json_scalar
from dj_panel.core.dialect.mysql_packets import row_batches
from dj_panel.core.dialect.mysql_structure import MySQLStructure
from dj_panel.core.dialect.protocol import (
    TOO_SLOW,
    Convert,
    Pack,
    RawConnection,
    Statement,
    json_text,
    needs_value,
    written_rows,
)
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
    shown,
)
from dj_panel.core.settings import Settings
from dj_panel.core.structure import TableName
from dj_panel.core.words import say

__all__ = ["MySQL"]

logger = logging.getLogger("dj_panel")

_SQL_MODE = (
    "NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
)
_NEAR = 0.001  # seconds: what a thousand rows gain by being sent in binary form
_MANY_DIGITS = re.compile(r"\d{19}")
_LOST = (2006, 2013, 2055, 4031, 1927, 1053)

# The server's numbers for what its own text says well enough.
_ERRORS: dict[int, type[DataJointError]] = {
    1054: UnknownAttributeError,
    **dict.fromkeys((1146, 1049, 1051), MissingTableError),
    **dict.fromkeys((1044, 1045, 1142, 1143, 1227, 1370, 1698), AccessError),
    **dict.fromkeys((1064, 1149), QuerySyntaxError),
}


class MySQL(MySQLStructure):
    """MySQL 8 and MariaDB 10.6 or later."""

    name = "mysql"
    placeholder = "%s"
    max_parameters = 60_000
    now = "CURRENT_TIMESTAMP(3)"
    user = "USER()"
    skip_hides_unique = True
    creates_at_once = True
    lock_clause = " FOR UPDATE"
    is_mariadb = False
    """Which of the two it is; known once there is a connection."""
    _prepares = True  # until a server refuses

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
            connection = MySQLConnection(
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
            raise LostConnectionError(_no_connection(place, code, str(error))) from error
        with connection.cursor() as cursor:
            # With this way of joining grouped subqueries MariaDB gives wrong rows (seen with 10.11 where NOT
            # EXISTS asks a join of two subqueries). MySQL has no such thing and reads the comment as one.
            cursor.execute("SET autocommit = 1 /*M!100300 , optimizer_switch = 'split_materialized=off' */")
            cursor.execute("SELECT @@max_allowed_packet")
            connection.max_allowed_packet = cursor.fetchone()[0]
        self.is_mariadb = "mariadb" in connection.get_server_info().lower()  # type: ignore[no-untyped-call]
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
        with raw.cursor() as cursor:
            if self.is_mariadb:
                cursor.execute("SET SESSION max_statement_time = %s", (seconds or 0,))
            else:
                cursor.execute("SET SESSION max_execution_time = %s", (round((seconds or 0) * 1000),))

    def batches(
        self, raw: RawConnection, sql: str, parameters: Sequence[Any]
    ) -> Generator[Batch, None, None]:
        self.check_size(raw, sql, parameters)
        yield from row_batches(raw, sql, parameters)

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
            raise _too_large(n_bytes, limit)

    def rows_ahead(self, raw: RawConnection) -> int:
        return 1000 if self._is_near(raw) else 5000

    def _is_near(self, raw: RawConnection) -> bool:
        """Tell whether the way to the server is short enough for many small statements."""
        return raw.quickest_answer < _NEAR  # type: ignore[attr-defined,no-any-return]

    def packer(self, raw: RawConnection) -> Pack:
        escape, limit = raw.escape, raw.max_allowed_packet  # type: ignore[attr-defined]

        def as_text(sql: str, columns: Sequence[Sequence[Any]]) -> Iterator[bytes]:
            for statement in packed_inserts(escape, sql, columns, limit - 1024):
                if len(statement) + 1024 > limit:
                    raise _too_large(len(statement), limit)
                yield statement

        n_packed = 0

        def pack(sql: str, columns: Sequence[Sequence[Any]]) -> Iterator[bytes | PreparedRows]:
            nonlocal n_packed
            n_packed += len(columns[0])
            # Who has sent so many rows sends more of them, and a statement is worth its preparation.
            is_many = self._prepares and n_packed > FEW_ROWS and self._is_near(raw)
            pieces = prepared_rows(sql, columns, limit - 1024, partial(as_text, sql)) if is_many else None
            return as_text(sql, columns) if pieces is None else iter(pieces)

        return pack

    def run_piece(self, cursor: Any, piece: Any, meanwhile: Callable[[], None]) -> None:
        if isinstance(piece, PreparedRows):
            try:
                cursor.connection.run_prepared(piece.sql, piece.values, meanwhile)
            except CannotPrepareError:
                self._prepares = False
                for statement in piece.as_text():
                    cursor.execute(statement)
                meanwhile()
        else:
            cursor.connection.run(piece, meanwhile)

    def connection_id(self, raw: RawConnection) -> int:
        return int(raw.thread_id())  # type: ignore[attr-defined]

    def translate(self, error: Exception) -> DataJointError | None:
        if isinstance(error, (BrokenPipeError, ConnectionError, pymysql.err.InterfaceError)):
            return LostConnectionError(say("The connection to the database server was lost."))
        if not isinstance(error, pymysql.err.MySQLError):
            return None
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1]) if len(error.args) > 1 else str(error)
        if code in _LOST:
            return LostConnectionError(
                say("The connection to the database server was lost ({code}).", code=str(code))
            )
        if code in (1062, 1169, 1586):
            match = re.search(r"'(.*)' for key '(?:[^'.]*\.)?([^']*)'", text, re.DOTALL)
            if not match:
                return DuplicateError(text)
            return DuplicateError(text, attributes=(match[2],), value=match[1])
        if code in (1216, 1217, 1451, 1452, 3730):
            return _foreign_key_error(text)
        if code in (1364, 1048):
            match = re.search("'([^']*)'", text)
            return needs_value(match[1]) if match else MissingAttributeError(text)
        if code in _ERRORS:
            return _ERRORS[code](text)
        if code in (1969, 3024):
            return QueryTimeoutError(say(TOO_SLOW))
        if code == 1317:  # MySQL's answer to its own time limit, and both servers' to KILL QUERY
            return QueryTimeoutError(
                say("The server stopped the query: it took too long, or somebody ended it.")
            )
        if code == 1153:
            return ValueRefusedError(
                say(
                    "is larger than the server takes in one packet (max_allowed_packet); keep it in a "
                    "store, {codec}",
                    codec="<blob@>",
                )
            )
        if (
            code == 1046
        ):  # every table is named with its schema, so it is a function that would be looked for there
            return QueryError("This version of the server lacks a function that the expression calls.")
        if code in (1264, 1265, 1366, 1406, 1292, 4025, 3819, 3140, 3141, 3157, 1690, 1411):
            return ValueRefusedError(say("was refused by the server: {text}", text=text))
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
            return self._document
        if isinstance(column, (DatetimeType, DateType)):
            return column.format
        return None

    def _document(self, value: Any) -> str:
        text = json_text(value)
        # MariaDB keeps the text. MySQL keeps numbers, and would make longer integers floating-point ones.
        if not self.is_mariadb and _MANY_DIGITS.search(text):
            json.loads(text, parse_int=_kept_integer)
        return text

    def decoder(self, column: ColumnType) -> Convert | None:
        if column.kind == "uuid":
            return _uuid
        if column.kind == "json":
            return json.loads
        return None

    def selected(self, sql: str, column: ColumnType) -> str:
        # The server prints a float with six digits; as a double all that it holds arrive.
        return f"{sql} + 0E0" if isinstance(column, FloatType) and column.size_bytes == 4 else sql

    def evaluated_apart(self, select: str) -> str:
        # MariaDB 10.11 merges expressions into a left join such that they have values where there is no partner.
        return f"{select} LIMIT {2**63 - 1}"

    def order_expression(self, sql: str, column: ColumnType, *, is_stored: bool = True) -> str:
        if isinstance(column, EnumType) and not is_stored:
            return f"FIELD({sql}, {', '.join(map(self.literal, column.choices))})"
        return sql

    def as_text(self, sql: str, kind: str) -> str:
        if kind in ("text", "enum"):
            return sql  # converting what is text already takes a third of the time of a search
        return f"HEX({sql})" if kind == "uuid" else f"CONVERT({sql} USING utf8mb4)"

    def json_scalar(self, column: Statement, path: str, kind: ColumnType) -> Statement:
        return json_scalar(self.json_text(column, path), kind)

    def json_number(self, column: Statement, path: str) -> Statement:
        return json_number(self.json_text(column, path))

    def json_text(self, column: Statement, path: str) -> Statement:
        # As plain text: MySQL's own JSON values compare by rules that MariaDB does not have.
        return Statement(f"CONCAT(JSON_EXTRACT({column.sql}, %s))", (*column.parameters, _quoted_path(path)))

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

    def compared(self, column: ColumnType) -> str:
        # A document is text to MariaDB, which passes over the comments; to MySQL text is never a document.
        return "/*!80000 CAST( */ %s /*!80000 AS JSON) */" if column.kind == "json" else "%s"

    def one_of(self, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Statement:
        left = ", ".join(columns)
        if len(columns) > 1:
            left = f"({left})"
        if _are_whole(values):
            listed = ", ".join(map(str, values[0])) if len(columns) == 1 else written_rows(values)
            return Statement(f"{left} IN ({listed})")
        # Whole numbers are written out at once, which takes the driver long for each.
        is_whole = [_are_whole([column]) for column in values]
        form = ", ".join("%d" if whole else "%%s" for whole in is_whole)
        if len(columns) > 1:
            form = f"({form})"
        written = [column for column, whole in zip(values, is_whole, strict=True) if whole]
        bound = [column for column, whole in zip(values, is_whole, strict=True) if not whole]
        rows = zip(*written, strict=True) if written else repeat((), len(values[0]))
        listed = ", ".join(map(form.__mod__, rows))
        return Statement(f"{left} IN ({listed})", tuple(chain.from_iterable(zip(*bound, strict=True))))

    @property
    def joins_long_lists(self) -> bool:
        # MariaDB makes a table of a long list anyway, after it has read every element of it as an expression.
        return self.is_mariadb

    def is_null_safe_equal(self, left: str, right: str) -> str:
        return f"{left} <=> {right}"

    def seconds_between(self, start: str, end: str) -> str:
        return f"(TIMESTAMPDIFF(MICROSECOND, {start}, {end}) / 1000000.0)"

    def seconds_from_now(self, seconds: float) -> Statement:
        return Statement(f"({self.now} + INTERVAL %s MICROSECOND)", (round(seconds * 1e6),))


def _no_connection(place: str, code: int, text: str) -> str:
    if code == CR.CR_SSL_CONNECTION_ERROR:
        return f"The server at {place} offers no TLS, and use_tls asks for it."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"The server at {place} has a TLS certificate that this computer does not trust. Name the file of the"
            ' authority that signed it: use_tls = {"ca": "/path/ca.pem"}; where it is made out to another name,'
            ' add "check_hostname": False.'
        )
    return say(
        "There is no answer from a database server at {place}. Check host and port, and that it runs.",
        place=place,
    )


def _are_whole(values: Sequence[Sequence[Any]]) -> bool:
    return all(set(map(type, column)) == {int} for column in values)


def _too_large(n_bytes: int, limit: int) -> ValueRefusedError:
    return ValueRefusedError(
        f"makes a statement of {n_bytes / 2**20:.0f} MiB, and the server takes {limit / 2**20:.0f} MiB"
        " (max_allowed_packet); keep such values in a store, as <blob@>, or raise the server's limit"
    )


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
        message = say("Rows of {child} depend on this row of {parent}.", child=ours, parent=theirs)
    else:
        message = say(
            "{parent} has no such row, to which {child} refers by {names}.",
            parent=theirs,
            child=ours,
            names=", ".join(columns),
        )
    return IntegrityError(message, table=str(child), attributes=columns, parent=str(parent))


def _kept_integer(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise ValueError(
            say(
                "holds {value}, and in JSON this server keeps no integer of more than 64 bits",
                value=shown(value),
            )
        )
    return value


def _uuid_bytes(value: uuid.UUID) -> bytes:
    return value.bytes


def _uuid(value: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=value)


def _quoted_path(path: str) -> str:
    """Return a path into JSON with every name quoted that MySQL does not take as it is; MariaDB takes any."""

    def step(match: re.Match[str]) -> str:
        name = match[2]
        is_plain = name is None or re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)
        return match[0] if is_plain else "." + json.dumps(name, ensure_ascii=False)

    return re.sub(r"\.(?:\"((?:[^\"\\]|\\.)*)\"|([^.\[\]\"]+))", step, path)
