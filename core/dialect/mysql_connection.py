"""The driver's connection, and what it cannot do by itself: quick TLS, values in binary form, and to be interrupted."""

from __future__ import annotations

import math
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import COMMAND, CR, ER

from dj_panel.core.errors import QueryError

if TYPE_CHECKING:
    _PlainConnection = pymysql.connections.Connection[Any]
else:  # generic in the stubs alone
    _PlainConnection = pymysql.connections.Connection

__all__ = ["CannotPrepareError", "MySQLConnection"]

_NOT_PREPARED = (ER.UNKNOWN_COM_ERROR, ER.UNSUPPORTED_PS, ER.MAX_PREPARED_STMT_COUNT_REACHED)
_ONCE_WITHOUT_CURSOR = struct.pack("<BI", 0, 1)


class CannotPrepareError(pymysql.err.MySQLError):
    """The server, or what stands before it, prepares no statement, or no more of them."""


class MySQLConnection(_PlainConnection):
    """A connection that can send the values of a statement in binary form.

    Of a statement that was interrupted nobody may have read the answer, and the next one would take it for its own:
    such a connection is closed.

    Where TLS is neither asked for nor refused, it uses what the server has. Nobody's certificate is checked then,
    yet PyMySQL loads those of all authorities that the system trusts for every connection: 46 of the 48 ms that one
    took. Where TLS is asked for, all is PyMySQL's.

    Source: MySQL internals, "Prepared Statements".
    """

    _prepared: tuple[bytes, bytes] | None = None  # the statement, and the server's number of it
    _is_owed = False  # whether an answer is to come that nobody has read
    _is_waiting = False  # whether something else is done until it comes
    quickest_answer = math.inf
    """In how many seconds a statement was answered that took least: about what the way to the server takes."""

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        if sslp:
            asked_for: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # private
            return asked_for
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def ping(self, reconnect: Any = False) -> None:
        """Ask whether the server is there."""
        with self._asking():
            super().ping(reconnect)

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a statement written as text."""
        # Text that cannot be encoded is refused before anything is sent.
        statement = _encoded(sql) if isinstance(sql, str) else sql
        begin = time.perf_counter()
        with self._asking():
            self._give_back()
            n_rows = super().query(statement, unbuffered)
        self.quickest_answer = min(self.quickest_answer, time.perf_counter() - begin)
        return n_rows

    def run(self, statement: bytes, meanwhile: Callable[[], None]) -> None:
        """Run a statement that gives no rows, and do something else while the server is at it.

        Parameters
        ----------
        statement
            The statement.
        meanwhile
            What asks nothing of this connection.
        """
        with self._asking():
            self._give_back()
            self._command(COMMAND.COM_QUERY, statement)
            self._answered(meanwhile)

    def run_prepared(self, sql: str, values: bytes, meanwhile: Callable[[], None]) -> None:
        """Run a statement that gives no rows with values in binary form; it stays prepared until another comes.

        Parameters
        ----------
        sql
            The statement, with ``?`` for each value.
        values
            What follows the number of a statement when it is executed: from the bits of those that are NULL on.
        meanwhile
            What is done while the server is at it, and asks nothing of this connection.

        Raises
        ------
        CannotPrepareError
            If the server does not prepare it, for whatever it may be; then nothing was done meanwhile.
        """
        statement = _encoded(sql)
        with self._asking():
            if self._prepared is None or self._prepared[0] != statement:
                self._give_back()
                self._prepared = (statement, self._prepare(statement))
            number = self._prepared[1]
            self._command(COMMAND.COM_STMT_EXECUTE, number + _ONCE_WITHOUT_CURSOR + values)
            self._answered(meanwhile)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask something, and read the answer, within the block."""
        if self._is_waiting:
            raise QueryError("Another query was asked while rows were being inserted by this thread.")
        if self._is_owed:
            self._force_close()  # type: ignore[attr-defined]  # private
            raise pymysql.err.OperationalError(
                CR.CR_SERVER_LOST, "A statement before this one was interrupted"
            )
        self._is_owed = True
        try:
            yield
        except pymysql.err.MySQLError:
            self._is_owed = False  # that was the answer, or the driver has closed the connection
            raise
        self._is_owed = False

    def _answered(self, meanwhile: Callable[[], None]) -> None:
        self._is_waiting = True
        try:
            meanwhile()
        except BaseException:
            # What is wrong with these rows is told before what the server says of those before them.
            self._is_waiting = False
            with suppress(pymysql.err.MySQLError):
                self._read_query_result()  # type: ignore[attr-defined]  # private
            self._is_owed = False
            raise
        self._is_waiting = False
        self._affected_rows = self._read_query_result()  # type: ignore[attr-defined]  # private

    def _give_back(self) -> None:
        """Give back what is prepared; it takes megabytes of the server, and the next of its kind would have come now."""
        if self._prepared is not None:
            _, number = self._prepared
            self._prepared = None
            self._command(COMMAND.COM_STMT_CLOSE, number)  # which is not answered

    def _prepare(self, statement: bytes) -> bytes:
        """Return the server's number of a statement."""
        self._command(COMMAND.COM_STMT_PREPARE, statement)
        try:
            answer = self._packet()
        except pymysql.err.MySQLError as error:
            if error.args and error.args[0] in _NOT_PREPARED:
                raise CannotPrepareError from error
            raise
        number, n_columns, n_values = struct.unpack_from("<4sHH", answer.get_all_data(), 1)
        for n_described in (n_values, n_columns):
            # Descriptions that are not needed, and their end.
            for _ in range(n_described + 1 if n_described else 0):
                self._packet()
        return bytes(number)

    def _command(self, command: int, content: bytes) -> None:
        self._execute_command(command, content)  # type: ignore[attr-defined]  # private

    def _packet(self) -> Any:
        return self._read_packet()  # type: ignore[no-untyped-call]  # private


def _encoded(sql: str) -> bytes:
    return sql.encode("utf-8", "surrogateescape")
