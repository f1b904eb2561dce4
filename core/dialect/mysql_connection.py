"""The driver's connection, and two things that it cannot do by itself: quick TLS, and values in binary form."""

from __future__ import annotations

import math
import ssl
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import COMMAND, ER

from dj_panel.core.errors import QueryError

if TYPE_CHECKING:
    _PlainConnection = pymysql.connections.Connection[Any]
else:  # generic in the stubs alone
    _PlainConnection = pymysql.connections.Connection

__all__ = ["CannotPrepareError", "MySQLConnection"]

_NOT_PREPARED = (ER.UNKNOWN_COM_ERROR, ER.UNSUPPORTED_PS, ER.MAX_PREPARED_STMT_COUNT_REACHED)
_ONCE_WITHOUT_CURSOR = struct.pack("<BI", 0, 1)


class CannotPrepareError(Exception):
    """The server, or what stands before it, prepares no statement, or no more of them."""


class MySQLConnection(_PlainConnection):
    """A connection that can send the values of a statement in binary form.

    Where TLS is neither asked for nor refused, it uses what the server has. Nobody's certificate is checked then,
    yet PyMySQL loads those of all authorities that the system trusts for every connection: 46 of the 48 ms that one
    took. Where TLS is asked for, all is PyMySQL's.

    Source: MySQL internals, "Prepared Statements".
    """

    _prepared: tuple[str, bytes] | None = None  # the statement, and the server's number of it
    _is_answering = False
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

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a statement written as text."""
        self._make_ready()
        begin = time.perf_counter()
        n_rows = super().query(sql, unbuffered)
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
        self._make_ready()
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
        if self._prepared is None or self._prepared[0] != sql:
            self._make_ready()
            self._prepared = (sql, self._prepare(sql))
        self._command(COMMAND.COM_STMT_EXECUTE, self._prepared[1] + _ONCE_WITHOUT_CURSOR + values)
        self._answered(meanwhile)

    def _answered(self, meanwhile: Callable[[], None]) -> None:
        self._is_answering = True
        try:
            meanwhile()
        finally:
            self._is_answering = False
            self._affected_rows = self._read_query_result()  # type: ignore[attr-defined]  # private

    def _make_ready(self) -> None:
        if self._is_answering:
            raise QueryError("Another query was asked while rows were being inserted by this thread.")
        if self._prepared is not None:
            # It takes megabytes of the server, and the next of its kind would have come at once.
            _, number = self._prepared
            self._prepared = None
            self._command(COMMAND.COM_STMT_CLOSE, number)  # which is not answered

    def _prepare(self, sql: str) -> bytes:
        """Return the server's number of a statement."""
        self._command(COMMAND.COM_STMT_PREPARE, sql.encode("utf-8", "surrogateescape"))
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
