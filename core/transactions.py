"""Transactions: in a block, begun by the first statement that writes, repeated after a deadlock, or ended by hand.

A transaction inside another is a savepoint of it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Self, TypeVar

from dj_panel.core.dialect import Dialect
from dj_panel.core.errors import DataJointError, LostConnectionError, TransactionError, UnknownOutcomeError
from dj_panel.core.session import Result, Session
from dj_panel.core.settings import Settings
from dj_panel.core.words import say

__all__ = ["Transactions"]

logger = logging.getLogger("dj_panel")
Answer = TypeVar("Answer")

_MAX_ATTEMPTS = 8


class Transactions(ABC):
    """What a connection does about transactions, of which each thread has its own."""

    settings: Settings
    dialect: Dialect
    _local: threading.local

    @abstractmethod
    def _session(self) -> Session:
        """Return this thread's connection of the driver, made now if there is none."""

    @abstractmethod
    def _execute(self, session: Session, sql: str, parameters: Sequence[Any]) -> Result:
        """Run a statement."""

    @abstractmethod
    def _close_session(self, session: Session) -> None:
        """Close a thread's connection of the driver."""

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        session: Session | None = getattr(self._local, "session", None)
        return session is not None and session.depth > 0

    @property
    @contextmanager
    def transaction(self) -> Iterator[Self]:
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
    def deferred_transaction(self) -> Iterator[Self]:
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

    # ------------------------------------------------------------------ ended by hand
    def start_transaction(self) -> None:
        """Begin a transaction that ends with :meth:`commit_transaction` or :meth:`cancel_transaction`."""
        if self.in_transaction:
            raise TransactionError("A transaction is open already; transactions do not nest this way.")
        context = self.transaction
        context.__enter__()
        self._local.manual = context

    def _manual(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] | None = getattr(self._local, "manual", None)
        if context is None:
            raise TransactionError(
                "There is no transaction to end: none is open that start_transaction() began."
            )
        self._local.manual = None
        return context

    def commit_transaction(self) -> None:
        """Keep what was done since :meth:`start_transaction`."""
        self._manual().__exit__(None, None, None)

    def cancel_transaction(self) -> None:
        """Undo what was done since :meth:`start_transaction`."""
        with suppress(_CancelledError):
            self._manual().__exit__(_CancelledError, _CancelledError(), None)


class _CancelledError(Exception):
    """Ends a transaction that the caller cancelled."""
