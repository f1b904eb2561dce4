"""Rows of a query into a table: the server copies what it keeps as it is; all else is read, checked and inserted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dj_panel.core import provenance
from dj_panel.core.algebra import KeyMatch, Negation, Node, Relation, Restrict
from dj_panel.core.columnchecks import holds_all
from dj_panel.core.connection import Connection
from dj_panel.core.dialect import Statement
from dj_panel.core.encoder import RowEncoder
from dj_panel.core.errors import DuplicateError, IntegrityError, ValueRefusedError
from dj_panel.core.explain import Explainer
from dj_panel.core.expression import QueryExpression
from dj_panel.core.fetch import Decoder
from dj_panel.core.inserting import Inserter
from dj_panel.core.render import select_statement
from dj_panel.core.structure import Attribute, Heading, TableStructure
from dj_panel.core.words import say

__all__ = ["insert_query"]


def insert_query(
    connection: Connection,
    table: TableStructure,
    query: QueryExpression,
    on_duplicate: str = "error",
    *,
    ignore_extra_fields: bool = False,
) -> None:
    """Insert the rows of a query.

    Parameters
    ----------
    connection
        The connection.
    table
        The table's structure.
    query
        The query.
    on_duplicate
        What to do with a row whose primary key is taken: ``"error"``, ``"replace"`` or ``"skip"``.
    ignore_extra_fields
        Whether fields that the table lacks are ignored.
    """
    encoder = RowEncoder(table, connection.dialect, connection.settings)
    if not ignore_extra_fields:
        encoder.check_names(query.heading.names)
    copy = _Copy(connection, table, query, on_duplicate)
    encoder.check_given(copy.names)
    if not copy.is_left_to_the_server:
        copy.read_and_insert()
        return
    try:
        connection.retried(copy.carry_out, one_statement=True)
    except ValueRefusedError:
        # The server does not say which value it is, and where; what checks the rows does.
        copy.read_and_insert()


class _Copy:
    """One insertion of a query's rows.

    Parameters
    ----------
    connection, table, query, on_duplicate
        As of :func:`insert_query`.
    """

    def __init__(
        self, connection: Connection, table: TableStructure, query: QueryExpression, on_duplicate: str
    ) -> None:
        self._connection = connection
        self._table = table
        self._query = query
        self._on_duplicate = on_duplicate
        self._explainer = Explainer(connection, table)
        self._key = table.heading.primary_key
        self._whole = Relation(table.name, table.heading)
        self.names = [n for n in query.heading.names if n in table.heading]

    @property
    def is_left_to_the_server(self) -> bool:
        """Whether every value arrives as it is, and the server passes over and removes no row but those meant."""
        ours, theirs = self._table.heading, self._query.heading
        if not all(_is_kept(theirs[name], ours[name]) for name in self.names):
            return False
        if self._on_duplicate == "error" or not self._table.has_unique:
            return True
        # Only where no two of the rows have one key, those with a taken one can be left out at once.
        return self._on_duplicate == "skip" and set(theirs.primary_key) <= set(self._key) <= set(self.names)

    def carry_out(self) -> None:
        """Let the server copy the rows."""
        source, on_duplicate = self._query.node, self._on_duplicate
        if on_duplicate == "skip" and self._table.has_unique:
            source = Restrict(source, Negation(KeyMatch(self._whole, tuple(self._key))))
            on_duplicate = "error"
        dialect = self._connection.dialect
        select = select_statement(source, dialect, self.names)
        names = list(self.names)
        if provenance.is_recorded(self._table, self._connection):
            rows = dialect.quote("rows")
            sql = f"SELECT {rows}.*, {dialect.placeholder} FROM ({select.sql}) AS {rows}"
            select = Statement(sql, (provenance.record(self._connection), *select.parameters))
            names.append(provenance.ATTRIBUTE)
        in_key = [a.name for a in self._table.heading.all_attributes if a.in_key]
        sql = dialect.insert(self._table.name, names, select.sql, on_duplicate, in_key)
        try:
            self._connection.query(sql, select.parameters)
        except DuplicateError as error:
            clashing = self._explainer.clashing_rows(source)
            raise self._explainer.duplicate(clashing, error) from error
        except IntegrityError as error:
            raise self._unrelated(source, error) from error

    def _unrelated(self, source: Node, error: IntegrityError) -> IntegrityError:
        if self._on_duplicate == "replace":
            replaced = Restrict(self._whole, KeyMatch(source, tuple(self._key)))
            remedy = say("Change these rows with update1(), or delete what depends on them first.")
            found = self._explainer.children_in_the_way(replaced, remedy)
            if found is not None:
                return found
        return self._explainer.missing_parent(self._explainer.parentless_row(source), error)

    def read_and_insert(self) -> None:
        """Read the rows, and insert them as any others; what codecs wrote is taken as it is stored."""
        ours, theirs = self._table.heading, self._query.heading
        stored = {n for n in self.names if _has_same_codec(theirs[n], ours[n])}
        dialect, settings = self._connection.dialect, self._connection.settings
        decoder = Decoder(_stored(theirs, stored), self.names, dialect, settings)
        batches = self._connection.fetch(select_statement(self._query.node, dialect, self.names), list)
        rows: Any = decoder.each_dict(batches)
        table = replace(self._table, heading=_stored(ours, stored))
        Inserter(self._connection, table, self._on_duplicate).insert(rows)


def _is_kept(theirs: Attribute, ours: Attribute) -> bool:
    """Tell whether the server copies every value of an attribute into another as it is."""
    if theirs.nullable and not ours.nullable:
        return False
    if theirs.codec is not None or ours.codec is not None:
        return _has_same_codec(theirs, ours)
    return holds_all(ours.column_type, theirs.column_type)


def _has_same_codec(theirs: Attribute, ours: Attribute) -> bool:
    is_same = theirs.type == ours.type and theirs.stored_type == ours.stored_type
    return theirs.codec is not None and is_same


def _stored(heading: Heading, names: set[str]) -> Heading:
    """Return a heading with the types of what is stored, where codecs are to be passed by."""
    attributes = [replace(a, type=a.stored_type) if a.name in names else a for a in heading.all_attributes]
    return Heading(tuple(attributes), heading.comment)
