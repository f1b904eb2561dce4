"""Connections: one of the driver's for each thread, and errors in our words.

A :class:`Connection` may be shared by all threads of a process; underneath, each thread gets a connection of
the driver's own, because neither driver may be used by two threads. Statements outside a transaction commit
at once.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from dj_panel.core.catalog import Catalog
from dj_panel.core.dialect import Dialect, MySQL, SQLite, Statement
from dj_panel.core.dialect.columns import Batch
from dj_panel.core.dialect.protocol import Pack
from dj_panel.core.errors import DataJointError, LostConnectionError
from dj_panel.core.session import Result, Session, only_reads
from dj_panel.core.settings import Settings, settings_of
from dj_panel.core.transactions import Transactions
from dj_panel.core.words import say

__all__ = ["Connection", "Result"]

logger = logging.getLogger("dj_panel")
Answer = TypeVar("Answer")
Taken = TypeVar("Taken")


def _nothing() -> None:
    """Do nothing while a server works."""


class Connection(Transactions):
    """A database, as reached with some settings.

    Parameters
    ----------
    host
        The server; or all settings, and nothing else.
    user, password, port, use_tls, database_name, backend
        Who logs in and how, on top of the settings.
    config_override
        The settings, of which a copy is made; those of the process if not given.
    """

    def __init__(
        self,
        host: str | Settings,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
        use_tls: Any = None,
        *,
        database_name: str | None = None,
        backend: str | None = None,
        config_override: Settings | None = None,
    ) -> None:
        if not isinstance(host, Settings):
            host = settings_of(config_override, host=host, user=user, password=password, port=port,
                               use_tls=use_tls, name=database_name, backend=backend)  # fmt: skip
        self.settings = settings = host
        self.dialect: Dialect = MySQL() if settings.backend == "mysql" else SQLite()
        self.catalog = Catalog(self.dialect, self.rows_of)
        self.schemas: dict[str, Any] = {}
        self._local = threading.local()
        self._sessions: weakref.WeakKeyDictionary[threading.Thread, Session] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        if self.dialect.name == "sqlite":
            return f"Connection to {self.settings.sqlite_path}"
        return "Connection to {user}@{host}:{port}".format(**self.conn_info)

    # ------------------------------------------------------------------ sessions
    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is not None and session.process == os.getpid() and not session.is_dead:
            return session
        if session is not None and session.is_dead and session.depth:
            raise LostConnectionError(
                say(
                    "The connection was lost inside a transaction; nothing of it was kept. Run the whole of "
                    "it again."
                )
            )
        fresh = Session(self.dialect.connect(self.settings))
        self._local.session = fresh
        with self._lock:
            self._close_dead_threads()
            self._sessions[threading.current_thread()] = fresh
        return fresh

    def _close_dead_threads(self) -> None:
        for thread, session in list(self._sessions.items()):
            if not thread.is_alive():
                self._close_session(session)
                del self._sessions[thread]

    def _close_session(self, session: Session) -> None:
        # After a fork the socket belongs to the parent; closing it here would end the parent's session.
        if session.process != os.getpid() or session.is_dead:
            return
        session.is_dead = True
        try:
            session.raw.close()
        except Exception as error:  # noqa: BLE001 - a connection that is gone already cannot be closed
            logger.debug("closing a connection: %s", error)

    def close(self) -> None:
        """Close the connections of all threads. The next statement of a thread opens a new one."""
        with self._lock:
            for session in list(self._sessions.values()):
                self._close_session(session)
                session.depth = 0
            self._sessions = weakref.WeakKeyDictionary()

    def close_own(self) -> None:
        """Close this thread's connection alone, as before a fork; its next statement opens a new one."""
        session: Session | None = getattr(self._local, "session", None)
        if session is not None:
            with self._lock:
                self._close_session(session)
            session.depth = 0

    def connect(self) -> None:
        """Connect this thread now, as its first statement does by itself."""
        self._session()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server answers."""
        try:
            return self.dialect.is_alive(self._session().raw)
        except DataJointError:
            return False

    def ping(self) -> None:
        """Ask the server for a sign of life; raise :class:`LostConnectionError` without one."""
        self.query("SELECT 1")

    @property
    def connection_id(self) -> int:
        """The number by which the server knows this thread's connection."""
        return self.dialect.connection_id(self._session().raw)

    def get_user(self) -> str:
        """Return the database account, as ``user@host`` on a server."""
        return str(self.query(f"SELECT {self.dialect.user}").fetchone()[0])

    # ------------------------------------------------------------------ statements
    def query(
        self,
        query: str,
        args: Sequence[Any] = (),
        *,
        as_dict: bool = False,
        suppress_warnings: bool = True,
        reconnect: bool | None = None,
    ) -> Result:
        """Run one statement and return its result.

        Parameters
        ----------
        query
            SQL with the driver's placeholders; everything from outside is bound, never written into it.
        args
            The values.
        as_dict
            Whether its rows are dicts.
        suppress_warnings
            Kept for DataJoint's signature; a server's warnings are never shown.
        reconnect
            Instead of ``config.database.reconnect``.

        Raises
        ------
        DataJointError
            The branch of the tree that tells what the server objects to.
        """
        session = self._session()
        if self._is_deferred and not session.depth and not only_reads(query):
            session = self._begun()
        try:
            result = self._execute(session, query, args)
        except LostConnectionError:
            # A lone SELECT can simply be asked again. Of anything else, nobody knows whether it happened.
            may_ask_again = self.settings.database.reconnect if reconnect is None else reconnect
            if session.depth or not may_ask_again or not only_reads(query):
                raise
            logger.info("reconnecting after a lost connection")
            result = self._execute(self._session(), query, args)
        return result.as_dicts() if as_dict else result

    def run(self, statement: Statement) -> Result:
        """Run a rendered statement."""
        return self.query(statement.sql, statement.parameters)

    def rows_of(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run a statement and return all its rows."""
        rows: list[Sequence[Any]] = self.query(sql, parameters).fetchall()
        return rows

    def rows_ahead(self) -> int:
        """Return how many rows are best inserted at once, while the next ones are made."""
        return self.dialect.rows_ahead(self._session().raw)

    def packer(self) -> Pack:
        """Return what makes an INSERT, written for one row, and many rows' values into :meth:`write_packed`'s pieces.

        What it returns asks nothing of the server.
        """
        return self.dialect.packer(self._session().raw)

    def write_packed(self, pieces: Iterable[Any], meanwhile: Callable[[], None] | None = None) -> None:
        """Run the pieces of an INSERT, in a transaction, for there may be several statements.

        While a server is at the last of them, ``meanwhile`` is done, which asks nothing of it.
        """
        session = self._session()
        if self._is_deferred and not session.depth:
            session = self._begun()

        def run(cursor: Any) -> None:
            *first, last = pieces
            for piece in first:
                self.dialect.run_piece(cursor, piece, _nothing)
            self.dialect.run_piece(cursor, last, meanwhile or _nothing)

        self._guarded(session, run)

    def _execute(self, session: Session, sql: str, parameters: Sequence[Any]) -> Result:
        def execute(cursor: Any) -> Result:
            self.dialect.check_size(session.raw, sql, parameters)
            # PyMySQL reads % as a placeholder only when values are passed, so they always are.
            cursor.execute(sql, tuple(parameters))
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchall() if names else ()
            n_warnings = getattr(cursor, "warning_count", 0)
            return Result(names, rows, cursor.rowcount, cursor.lastrowid or 0, n_warnings)

        return self._guarded(session, execute)

    def _guarded(self, session: Session, action: Callable[[Any], Answer]) -> Answer:
        """Do something with a cursor of the driver's, its errors turned into ours."""
        cursor = None
        try:
            cursor = session.raw.cursor()
            return action(cursor)
        except Exception as error:
            translated = self._translated(session, error)
            if translated is None:
                raise
            raise translated from error
        finally:
            if cursor is not None:
                cursor.close()

    def _translated(self, session: Session, error: Exception) -> DataJointError | None:
        """Return our error for a driver's, and close a connection that is not to be used any more."""
        translated = self.dialect.translate(error)
        if translated is None:
            return None
        is_retryable = self.dialect.is_retryable(error)
        is_lost = isinstance(translated, LostConnectionError) and not is_retryable
        if is_lost or (session.depth and self.dialect.ends_transaction(error)):
            # What follows in the same block must not be committed by itself.
            self._close_session(session)
        if is_retryable:
            translated.__dict__["is_retryable"] = True
        return translated

    def fetch(self, statement: Statement, take: Callable[[Iterable[Batch]], Taken]) -> Taken:
        """Run a rendered query and return what is made of its rows, which are given by columns as they arrive.

        Parameters
        ----------
        statement
            The query.
        take
            Makes it of the batches; such as ``list``. It can ask nothing of a server in this thread, and is called
            again if the connection was lost meanwhile.
        """
        try:
            return self._taken(statement, take)
        except LostConnectionError:
            # A lone query can simply be asked again.
            if self.in_transaction or not self.settings.database.reconnect:
                raise
            logger.info("reconnecting after a lost connection")
            return self._taken(statement, take)

    def _taken(self, statement: Statement, take: Callable[[Iterable[Batch]], Taken]) -> Taken:
        with closing(self.batches(statement)) as batches:
            return take(batches)

    def batches(self, statement: Statement) -> Generator[Batch, None, None]:
        """Yield the rows of a rendered query by columns as they arrive, without keeping them.

        Until the last is taken, or the iterator is closed, this thread can ask nothing else of a server.
        """
        session = self._session()
        batches = self.dialect.batches(session.raw, statement.sql, statement.parameters)
        try:
            yield from batches
        except Exception as error:
            translated = self._translated(session, error)
            if translated is None:
                raise
            raise translated from error
        finally:
            batches.close()

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Stop what this thread asks within the block when it takes longer.

        An embedded database counts the whole block, a server each SELECT of it.

        Raises
        ------
        QueryTimeoutError
            From the statement that was stopped.
        """
        session = self._session()
        self.dialect.limit_time(session.raw, seconds)
        try:
            yield
        finally:
            if not session.is_dead:
                self.dialect.limit_time(session.raw, None)

    # ------------------------------------------------------------------ DataJoint's names
    def register(self, schema: Any) -> None:
        """Remember a schema object of this connection."""
        self.schemas[schema.database] = schema

    @property
    def conn_info(self) -> Mapping[str, Any]:
        """Where this connects to, without the password."""
        return {name: self.settings[f"database.{name}"] for name in ("host", "port", "user")}

    @property
    def dependencies(self) -> Any:
        """The catalog, which knows the foreign keys."""
        return self.catalog
