"""Changes to one row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dj_panel.core.algebra import Comparison, Node, Relation, Restrict
from dj_panel.core.connection import Connection
from dj_panel.core.encoder import RowEncoder
from dj_panel.core.errors import DuplicateError, IntegrityError, OneRowError, UnknownAttributeError, value_of
from dj_panel.core.explain import Explainer, key_text
from dj_panel.core.expression import QueryExpression
from dj_panel.core.render import delete_statement
from dj_panel.core.rows import is_missing, label
from dj_panel.core.structure import TableStructure
from dj_panel.core.words import say

__all__ = ["Updater"]


class Updater:
    """Changes rows of one table, one at a time.

    Parameters
    ----------
    connection
        The connection.
    table
        The table's structure.
    """

    def __init__(self, connection: Connection, table: TableStructure) -> None:
        self._connection = connection
        self._table = table
        self._label = label(table.name)
        self._encoder = RowEncoder(table, connection.dialect, connection.settings)

    def update(self, row: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        """Change the row with this primary key.

        Parameters
        ----------
        row
            The primary key and the new values.
        expected
            Values that the row must still have.

        Raises
        ------
        OneRowError
            If there is no such row, or it is not as expected any more.
        """
        key = self._table.heading.primary_key
        missing = [n for n in key if is_missing(row.get(n))]
        if missing:
            raise UnknownAttributeError(
                f"update1() needs the whole primary key; '{missing[0]}' has no value.",
                where=self._label,
                remedy=say("Give it one."),
            )
        self._encoder.check_names(row)
        key_values = {n: row[n] for n in key}
        sets, parameters = self._assignments(row, key_values)
        try:
            self._connection.retried(lambda: self._write(key_values, expected, sets, parameters))
        except DuplicateError as error:
            explainer = Explainer(self._connection, self._table, say("Nothing was changed."))
            raise explainer.duplicate([row], error, on_duplicate="replace") from error
        except IntegrityError as error:
            explainer = Explainer(self._connection, self._table, say("Nothing was changed."))
            raise explainer.missing_parent([row], error) from error

    def _assignments(self, row: Mapping[str, Any], key: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
        """Return what stands after SET, and its values; no value means empty, or else the default."""
        sets: list[str] = []
        parameters: list[Any] = []
        dialect = self._connection.dialect
        for name, value in row.items():
            if name in key:
                continue
            attribute = self._table.heading[name]
            if not is_missing(value):
                parameters.append(self._encoder.value(attribute, value, key))
            elif attribute.nullable:
                sets.append(f"{dialect.quote(name)} = NULL")
                continue
            elif attribute.default is not None:
                parameters.append(self._encoder.value(attribute, attribute.default, key))
            else:
                raise IntegrityError(
                    say("{table}.{name} cannot be empty and has no default.", table=self._label, name=name),
                    table=self._label,
                    attributes=(name,),
                    remedy=say("Give it a value."),
                )
            sets.append(f"{dialect.quote(name)} = {dialect.placeholder}")
        return sets, parameters

    def _write(
        self,
        key: Mapping[str, Any],
        expected: Mapping[str, Any],
        sets: Sequence[str],
        parameters: Sequence[Any],
    ) -> None:
        dialect = self._connection.dialect
        relation = Relation(self._table.name, self._table.heading)
        node: Node = relation
        for name, value in {**expected, **key}.items():
            node = Restrict(node, Comparison(name, value))
        text = key_text(key, list(key))
        facts: dict[str, Any] = {
            "table": self._label, "attributes": tuple(key), "value": value_of(key),
        }  # fmt: skip
        changed = OneRowError(
            say(
                "The row of {table} with {key} was changed by someone else meanwhile. Nothing was written.",
                table=self._label,
                key=text,
            ),
            remedy=say("Look at it again."),
            **facts,
        )
        if len(QueryExpression(self._connection, node)) != 1:
            there = bool(QueryExpression(self._connection, relation) & dict(key))
            absent = OneRowError(
                say("{table} has no row with {key}.", table=self._label, key=text),
                remedy=say("Insert it, or correct the key."),
                **facts,
            )
            raise changed if there else absent
        if not sets:
            return
        # The WHERE of a DELETE of the same rows is the WHERE that an UPDATE needs.
        where = delete_statement(node, relation, dialect)
        clause = where.sql.partition(" WHERE ")[2] or "1 = 1"
        sql = f"UPDATE {dialect.table(self._table.name)} SET {', '.join(sets)} WHERE {clause}"
        if self._connection.query(sql, [*parameters, *where.parameters]).rowcount != 1:
            # What a transaction reads is as it was when it began; what it writes to is as it is.
            raise changed
