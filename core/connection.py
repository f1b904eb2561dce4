"""Connections: one of the driver's for each thread, transactions, and errors in our words.

A :class:`Connection` may be shared by all threads of a process; underneath, each thread gets a connection of
the driver's own, because neither driver may be used by two threads. Statements outside a transaction commit
at once. A transaction inside another is a savepoint of it.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import Any, TypeVar

from dj_panel.core.catalog import Catalog
from dj_panel.core.dialect import Dialect, MySQL, SQLite, Statement
from dj_panel.core.dialect.columns import Batch
from dj_panel.core.dialect.protocol import Pack
from dj_panel.core.errors import DataJointError, LostConnectionError, TransactionError, UnknownOutcomeError
from dj_panel.core.session import ManualTransactions, Result, Session, only_reads
from dj_panel.core.settings import Settings, settings_of
from dj_panel.core.words import say

__all__ = ["Connection", "Result"]

logger = logging.getLogger("dj_panel")
Answer = TypeVar("Answer")
Taken = TypeVar("Taken")

_MAX_ATTEMPTS = 8


def _nothing() -> None:
    """Do nothing while a server works."""


class Connection(ManualTransactions):
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

    # ------------------------------------------------------------------ transactions
    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        session: Session | None = getattr(self._local, "session", None)
        return session is not None and session.depth > 0

    @property
    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: all of it is kept, or, after any exception, nothing.

        Raises
        ------
        UnknownOutcomeError
            If the connection broke while committing: look before doing it again.
        """
        session = self._session()
        if self._is_deferred and not session.depth:
            session = self._begun()
        if session.depth:
            with self._savepoint(session):
                yield self
            return
        session = self._begun()
        try:
            yield self
        except BaseException:
            self._abandon(session)
            raise
        self._commit(session)

    @property
    @contextmanager
    def deferred_transaction(self) -> Iterator[Connection]:
        """A transaction that begins with the first statement that writes.

        What is read and computed before holds no lock: on an embedded database, where one transaction may
        write at a time, nobody waits for a long computation.
        """
        if self.in_transaction or self._is_deferred:
            raise TransactionError("A computation cannot run inside an open transaction. Commit that first.")
        # Kept beside the session, which may be lost and replaced before the first statement that writes.
        self._local.is_deferred = True
        try:
            yield self
        except BaseException:
            self._local.is_deferred = False
            self._end_deferred(self._abandon)
            raise
        self._local.is_deferred = False
        self._end_deferred(self._commit)

    def _end_deferred(self, end: Callable[[Session], None]) -> None:
        """End the transaction that a statement has begun meanwhile, if one did."""
        if self.in_transaction:
            end(self._local.session)

    @property
    def _is_deferred(self) -> bool:
        return getattr(self._local, "is_deferred", False)

    def _begun(self) -> Session:
        """Begin a transaction, on a new connection if the old one was lost while idle."""
        session = self._session()
        try:
            self._begin(session)
        except LostConnectionError:
            if not self.settings.database.reconnect:
                raise
            session = self._session()
            self._begin(session)
        return session

    def _begin(self, session: Session) -> None:
        try:
            for sql in self.dialect.begin():
                self._execute(session, sql, ())
        except DataJointError:
            raise  # the server's refusal: nothing was begun
        except BaseException:
            # Ctrl-C may come when the server has begun it already; later statements must not be part of it.
            self._roll_back(session, "ROLLBACK")
            raise
        session.depth = 1
        session.after_commit = []

    def _abandon(self, session: Session) -> None:
        session.depth = 0
        self._roll_back(session, "ROLLBACK")

    def _commit(self, session: Session) -> None:
        session.depth = 0
        if session.is_dead:
            raise LostConnectionError(
                say("The connection was lost inside a transaction; nothing of it was kept.")
            )
        try:
            self._execute(session, "COMMIT", ())
        except LostConnectionError as error:
            raise UnknownOutcomeError(
                say(
                    "The connection was lost while saving, so it is not known whether it was saved. Look "
                    "before you repeat it."
                )
            ) from error
        except BaseException:
            self._roll_back(session, "ROLLBACK")
            raise
        for action in session.after_commit:
            action()

    @contextmanager
    def _savepoint(self, session: Session) -> Iterator[None]:
        name = f"level_{session.depth}"
        self._execute(session, f"SAVEPOINT {name}", ())
        session.depth += 1
        n_actions = len(session.after_commit)
        try:
            yield
        except BaseException:
            session.depth -= 1
            del session.after_commit[n_actions:]
            self._roll_back(session, f"ROLLBACK TO SAVEPOINT {name}")
            raise
        session.depth -= 1
        self._execute(session, f"RELEASE SAVEPOINT {name}", ())

    def _roll_back(self, session: Session, sql: str) -> None:
        if session.is_dead:
            return
        try:
            self._execute(session, sql, ())
        except DataJointError as error:
            # The server rolls back by itself when the connection ends; make sure that it does.
            logger.warning("rolling back failed, closing the connection: %s", error)
            self._close_session(session)

    def retried(self, action: Callable[[], Answer], *, one_statement: bool = False) -> Answer:
        """Run ``action`` in a transaction, and again from its beginning after a deadlock or a lock timeout.

        Inside an open transaction it is run once, since only a whole transaction can be repeated. An action of
        ``one_statement`` is a transaction by itself, and needs no beginning and no end.
        """
        if self.in_transaction:
            with self.transaction:
                return action()
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                with nullcontext() if one_statement else self.transaction:
                    return action()
            except DataJointError as error:
                if attempt == _MAX_ATTEMPTS or not error.__dict__.get("is_retryable"):
                    raise
                logger.debug("repeating a transaction: %s", error)
                time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run an action once the open transaction is kept; at once if none is open."""
        session = self._session()
        if session.depth:
            session.after_commit.append(action)
        else:
            action()

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
