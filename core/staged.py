"""Staged inserts: an object is written straight into its place in the store, then the row that names it.

Source: DataJoint 2.3, ``staged_insert1``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from dj_panel.core.connection import Connection
from dj_panel.core.errors import (
    CodecError,
    DataJointError,
    LostConnectionError,
    MissingAttributeError,
    MissingObjectError,
    StoreError,
    UnknownAttributeError,
    UnknownOutcomeError,
)
from dj_panel.core.objects import StagedObject
from dj_panel.core.store import Store, open_store
from dj_panel.core.storepath import object_path
from dj_panel.core.structure import Heading, TableName

__all__ = ["StagedInsert", "staged_insert1"]

logger = logging.getLogger("dj_panel")


class TakesRows(Protocol):
    """A table, as far as a staged insert needs it."""

    @property
    def connection(self) -> Connection:
        """Where it is."""

    @property
    def name(self) -> TableName:
        """Its place there."""

    @property
    def heading(self) -> Heading:
        """Its attributes."""

    def insert1(self, row: Any) -> None:
        """Insert one row."""

    def __and__(self, restriction: Any) -> Any: ...


@dataclass(frozen=True)
class _Staged:
    store: Store
    object: StagedObject


class StagedInsert:
    """A row in the making, and the places of its objects.

    Attributes
    ----------
    rec : dict
        The row, without its ``<object@>`` attributes; its whole key must be there before an object is begun.
    """

    def __init__(self, table: TakesRows) -> None:
        self._table = table
        self.rec: dict[str, Any] = {}
        self._staged: dict[str, _Staged] = {}
        self._open: list[Any] = []

    @property
    def fs(self) -> Any:
        """The filesystem of the default store."""
        return open_store(self._table.connection.settings).fs

    def store(self, field: str, ext: str = "") -> Any:
        """Return the folder of an ``<object@>`` attribute as a mapping, as Zarr and xarray write to it.

        Parameters
        ----------
        field
            The attribute.
        ext
            Ending of the object's name, such as ``".zarr"``.
        """
        staged = self._place(field, ext)
        return staged.store.map(staged.object.path)

    def open(self, field: str, ext: str = "", mode: str = "wb") -> Any:
        """Open the file of an ``<object@>`` attribute to write to; it is closed at the end of the block."""
        staged = self._place(field, ext)
        staged.store.make_room(staged.object.path)
        stream = staged.store.open(staged.object.path, mode)
        self._open.append(stream)
        return stream

    def _place(self, field: str, ext: str) -> _Staged:
        if field in self._staged:
            return self._staged[field]
        heading, name = self._table.heading, self._table.name
        if field not in heading:
            raise UnknownAttributeError(field, available=heading.names, where=str(name))
        attribute = heading[field]
        if attribute.codec != "object":
            raise CodecError(
                f"{name.schema}.{name.class_name}.{field} is of the type {attribute.type}; only <object@> can be staged."
            )
        missing = [n for n in heading.primary_key if n not in self.rec]
        if missing:
            raise MissingAttributeError(
                f"An object's place is named after its row's key, and rec lacks '{missing[0]}'.",
                table=f"{name.schema}.{name.class_name}",
                attributes=(missing[0],),
                remedy="Set it first.",
            )
        store = open_store(self._table.connection.settings, attribute.store)
        spec = store.spec
        path = object_path(
            schema=name.schema,
            table=name.table,
            field=field,
            key={n: self.rec[n] for n in heading.primary_key},
            ext=ext or None,
            schema_prefix=spec.get("schema_prefix", "_schema"),
            partition_pattern=spec.get("partition_pattern"),
            token_length=spec.get("token_length", 8),
        )
        self._staged[field] = _Staged(store, StagedObject(path, ext or None))
        return self._staged[field]

    # ------------------------------------------------------------------ the end of the block
    def _insert(self) -> None:
        self._close()
        for field, staged in self._staged.items():
            if field in self.rec:
                raise CodecError(f"rec holds a value for '{field}', which was written to its store already.")
            if not staged.store.exists(staged.object.path):
                raise MissingObjectError(
                    f"Nothing was written for '{field}'; {staged.object.path} is missing in the store {staged.store.name}."
                )
            staged.store.sync(staged.object.path)
        objects = {field: staged.object for field, staged in self._staged.items()}
        was_in_transaction = self._table.connection.in_transaction
        try:
            self._table.insert1({**self.rec, **objects})
        except (LostConnectionError, UnknownOutcomeError) as error:
            if was_in_transaction and isinstance(error, LostConnectionError):
                raise  # nothing of the transaction was kept
            if self._was_kept():
                return
            raise _OutcomeUnknownError from error

    def _was_kept(self) -> bool:
        """Tell whether the row is there, with our objects."""
        key = {n: self.rec[n] for n in self._table.heading.primary_key}
        try:
            rows = (self._table & key).proj(*self._staged).to_dicts()
        except DataJointError as error:
            logger.warning("it could not be found out whether %s was inserted: %s", key, error)
            return False
        return len(rows) == 1 and all(
            rows[0][field] is not None and rows[0][field].path == staged.object.path
            for field, staged in self._staged.items()
        )

    def _close(self) -> None:
        while self._open:
            self._open.pop().close()

    def _discard(self) -> None:
        """Remove what was written; what cannot be removed is left to garbage collection."""
        while self._open:
            try:
                self._open.pop().close()
            except OSError as error:
                logger.warning("closing an object that is not wanted: %s", error)
        for staged in self._staged.values():
            try:
                staged.store.remove(staged.object.path)
            except StoreError as error:
                logger.warning("%s is left in the store %s: %s", staged.object.path, staged.store.name, error)


class _OutcomeUnknownError(Exception):
    """The mark of an insert of which nobody knows whether it happened."""


@contextmanager
def staged_insert1(table: TakesRows) -> Iterator[StagedInsert]:
    """Write objects into their store, and then the row that names them.

    Parameters
    ----------
    table
        The table.

    Raises
    ------
    LostConnectionError, UnknownOutcomeError
        If it is not known whether the row was inserted. The objects are kept then, for a row may name them;
        after any other error neither the row nor its objects are left.
    """
    staged = StagedInsert(table)
    try:
        yield staged
        staged._insert()
    except _OutcomeUnknownError as error:
        raise error.__cause__ or error from None
    except BaseException:
        staged._discard()
        raise
