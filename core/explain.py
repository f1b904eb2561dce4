"""Why the database refused rows: the row, the attribute and the remedy, found by asking the tables again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from dj_panel.core.algebra import (
    Distinct,
    KeyMatch,
    Negation,
    Node,
    Ordering,
    Project,
    Relation,
    Restrict,
)
from dj_panel.core.catalog import Catalog
from dj_panel.core.connection import Connection
from dj_panel.core.errors import DuplicateError, IntegrityError, shown
from dj_panel.core.expression import QueryExpression
from dj_panel.core.rows import is_missing, label
from dj_panel.core.structure import Attribute, ForeignKey, TableName, TableStructure
from dj_panel.core.words import say, say_many

__all__ = ["Explainer", "key_text"]

_CHUNK = 500
_NEAR = 500
Row = Mapping[str, Any]


def key_text(row: Row, names: Iterable[str]) -> str:
    """Return some values of a row as a message shows them: ``subject='M1', session=3``."""
    return ", ".join(f"{name}={shown(row.get(name))}" for name in names)


class Explainer:
    """Turns the server's refusal of rows of one table into words.

    Parameters
    ----------
    connection
        The connection.
    table
        The table's structure.
    done
        What to say of the writing; ``"Nothing was inserted."`` if not given
    """

    def __init__(self, connection: Connection, table: TableStructure, done: str | None = None) -> None:
        self._connection = connection
        self._table = table
        self._label = label(table.name)
        self._done = say("Nothing was inserted.") if done is None else done

    def _query(self, node: Node) -> QueryExpression:
        return QueryExpression(self._connection, node)

    def _whole(self, name: TableName) -> QueryExpression:
        return self._query(_relation(self._connection.catalog, name))

    # ------------------------------------------------------------------ keys that are taken
    def duplicate(
        self,
        rows: Sequence[Row],
        error: DuplicateError,
        *,
        updating: bool = False,
        every: Sequence[Row] = (),
    ) -> DuplicateError:
        """Return the error for rows of which one has a key, or a unique value, that is taken.

        Parameters
        ----------
        rows
            The rows of the statement that was refused.
        error
            What the server said.
        updating
            Whether a row was to be changed, so that it has its own key.
        every
            All rows that were to be inserted together, if they are more.
        """
        key = tuple(self._table.heading.primary_key)
        if not updating:
            found = self._taken_key(rows, key, every or rows)
            if found is not None:
                return found
        for index in (i for i in self._table.indexes if i.unique and not i.expressions):
            values = _complete(rows, zip(index.columns, index.columns, strict=True))
            taken = next(self._present(self._whole(self._table.name), values), None)
            if taken is not None:
                return DuplicateError(
                    say(
                        "{table} already has a row with {key}, which must be unique. {done} Choose another "
                        "value, or update that row.",
                        table=self._label,
                        key=key_text(taken, index.columns),
                        done=self._done,
                    ),
                    table=self._label,
                    attributes=index.columns,
                )
        return DuplicateError(
            say(
                "{table} already has such a row, or two of the rows have the same key. {done} The "
                "server says: {error}",
                table=self._label,
                done=self._done,
                error=error,
            ),
            table=self._label,
            attributes=error.attributes,
        )

    def _taken_key(
        self, rows: Sequence[Row], key: tuple[str, ...], every: Sequence[Row]
    ) -> DuplicateError | None:
        if not key:
            return DuplicateError(
                say(
                    "{table} has one row at most, and has it already. {done} Change it with update1(), or "
                    "replace it with replace=True.",
                    table=self._label,
                    done=self._done,
                ),
                table=self._label,
            )
        seen: set[str] = set()
        for row in every:
            text = key_text(row, key)
            if text in seen and all(n in row for n in key):
                return DuplicateError(
                    say(
                        "Two of the rows for {table} have the key {key}. {done} Remove one of them.",
                        table=self._label,
                        key=text,
                        done=self._done,
                    ),
                    table=self._label,
                    attributes=key,
                )
            seen.add(text)
        complete = [{n: row[n] for n in key} for row in rows if all(n in row for n in key)]
        taken = next(self._present(self._whole(self._table.name), complete), None)
        if taken is None:
            return None
        return DuplicateError(
            say(
                "{table} already has a row with {key}. {done} Choose another key, update the row with "
                "update1(), or pass over such rows with skip_duplicates=True.",
                table=self._label,
                key=key_text(taken, key),
                done=self._done,
            ),
            table=self._label,
            attributes=key,
        )

    def _present(self, table: QueryExpression, rows: Sequence[Row]) -> Iterator[Row]:
        """Yield the rows that a table has, halving the list that is asked for as long as one is among it."""
        for start in range(0, len(rows), _CHUNK):
            yield from _present(table, list(rows[start : start + _CHUNK]))

    # ------------------------------------------------------------------ parents that are missing
    def missing_parent(self, rows: Sequence[Row], error: IntegrityError) -> IntegrityError:
        """Return the error for rows of which one refers to a parent that there is not."""
        for fk in self._table.foreign_keys:
            values = next(self.absent_parents(fk, rows), None)
            if values is not None:
                return self._no_parent(fk, values)
        return IntegrityError(
            f"{self._label}: {error} {self._done}",
            table=error.table or self._label,
            attributes=error.attributes,
        )

    def absent_parents(self, fk: ForeignKey, rows: Sequence[Row]) -> Iterator[Row]:
        """Yield the parents' keys that rows refer to and the parent table does not have.

        A list of keys is asked for at once, and halved where fewer are found than asked for.
        """
        parent = self._whole(fk.parent)
        heading = parent.heading
        wanted = _complete(rows, zip(fk.attributes, fk.parent_attributes, strict=True))
        distinct: dict[str, Row] = {}
        for values in wanted:
            checked = {name: _checked(heading[name], value) for name, value in values.items()}
            distinct.setdefault(key_text(checked, checked), checked)
        if set(fk.parent_attributes) != set(heading.primary_key):
            parent = self._query(Distinct(parent.node, fk.parent_attributes))
        keys = list(distinct.values())
        for start in range(0, len(keys), _CHUNK):
            yield from _absent(parent, keys[start : start + _CHUNK])

    def _no_parent(self, fk: ForeignKey, values: Row) -> IntegrityError:
        theirs = label(fk.parent)
        return IntegrityError(
            say(
                "{parent} has no row with {key}, to which {table} refers.{near} {done} Insert the row "
                "into {parent} first, or correct {names}.",
                parent=theirs,
                key=key_text(values, values),
                table=self._label,
                near=self.near_matches(fk, values),
                done=self._done,
                names=", ".join(fk.attributes),
            ),
            table=self._label,
            attributes=fk.attributes,
            parent=theirs,
        )

    def near_matches(self, fk: ForeignKey, values: Row) -> str:
        """Return a suggestion: what the parent has that differs from a key in one attribute, by little.

        Two or three queries for each attribute, of at most 500 rows each.
        """
        parent = self._whole(fk.parent)
        for name, value in values.items():
            others = {n: v for n, v in values.items() if n != name}
            near = _near_values(parent & others if others else parent, name, value)
            if near:
                return say(
                    " Did you mean {values}?",
                    values=say(" or ").join(f"{name}={shown(other)}" for other in near),
                )
        return ""

    # ------------------------------------------------------------------ rows of a query
    def taken_row(self, source: Node) -> list[dict[str, Any]]:
        """Return a row of a query whose primary key the table has already, if there is one."""
        key = tuple(self._table.heading.primary_key)
        if not key or any(n not in source.heading for n in key):
            return []
        whole = _relation(self._connection.catalog, self._table.name)
        return self._query(Restrict(source, KeyMatch(whole, key))).to_dicts(attributes=key, limit=1)

    def parentless_row(self, source: Node) -> list[dict[str, Any]]:
        """Return a row of a query whose parent is missing, if there is one."""
        for fk in self._table.foreign_keys:
            if any(n not in source.heading for n in fk.attributes):
                continue
            pairs = tuple(zip(fk.attributes, fk.parent_attributes, strict=True))
            match = KeyMatch(Project(_relation(self._connection.catalog, fk.parent), pairs), fk.attributes)
            lacking = self._query(Restrict(source, Negation(match)))
            found = lacking.to_dicts(attributes=fk.attributes)
            complete = [row for row in found if not any(is_missing(v) for v in row.values())]
            if complete:
                return complete[:1]
        return []

    # ------------------------------------------------------------------ children in the way
    def children_in_the_way(self, node: Node, remedy: str) -> IntegrityError | None:
        """Return the error for rows that cannot go because rows of another table depend on them, if some do."""
        graph = self._connection.catalog.graph_with_children()
        for child, fk in graph.children(self._table.name):
            pairs = tuple(zip(fk.attributes, fk.parent_attributes, strict=True))
            match = KeyMatch(Project(node, pairs), fk.attributes)
            rows = self._query(Restrict(_relation(self._connection.catalog, child), match))
            number = rows.count(at_most=1000)
            if number:
                names = {"child": label(child), "table": self._label}
                if number == 1000:
                    many = say("At least 1000 rows of {child} depend on these rows of {table}.", **names)
                else:
                    many = say_many(
                        "{n} row of {child} depends on these rows of {table}.",
                        "{n} rows of {child} depend on these rows of {table}.",
                        number,
                        **names,
                    )
                return IntegrityError(
                    f"{many} {self._done} {remedy}",
                    table=label(child),
                    attributes=fk.attributes,
                    parent=self._label,
                )
        return None


def _relation(catalog: Catalog, name: TableName) -> Relation:
    return Relation(name, catalog.structure(name).heading)


def _complete(rows: Sequence[Row], pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return some attributes of the rows under other names, without rows that lack one of the values."""
    pairs = list(pairs)
    found = [{theirs: row.get(ours) for ours, theirs in pairs} for row in rows]
    return [values for values in found if not any(is_missing(v) for v in values.values())]


def _checked(attribute: Attribute, value: Any) -> Any:
    """Return a value as its type has it, so that equal ones are found to be equal."""
    try:
        return attribute.column_type.check(value)
    except ValueError:
        return value


def _absent(table: QueryExpression, keys: list[Row]) -> Iterator[Row]:
    if len(table & [dict(key) for key in keys]) >= len(keys):
        return
    if len(keys) == 1:
        yield keys[0]
        return
    middle = len(keys) // 2
    yield from _absent(table, keys[:middle])
    yield from _absent(table, keys[middle:])


def _present(table: QueryExpression, rows: list[Row]) -> Iterator[Row]:
    if not table & [dict(row) for row in rows]:
        return
    if len(rows) == 1:
        yield rows[0]
        return
    middle = len(rows) // 2
    yield from _present(table, rows[:middle])
    yield from _present(table, rows[middle:])


def _near_values(table: QueryExpression, name: str, value: Any) -> list[Any]:
    """Return up to three values of an attribute that someone may have meant: alike as text, or next in order."""
    if table.heading[name].column_type.kind not in ("text", "enum", "integer", "date", "datetime", "decimal"):
        return []
    before = table & Ordering(name, "<", value)
    after = table & Ordering(name, ">", value)
    if not isinstance(value, str):
        around = [
            *(row[name] for row in before.to_dicts(attributes=name, order_by=f"{name} DESC", limit=1)),
            *(row[name] for row in after.to_dicts(attributes=name, order_by=name, limit=1)),
        ]
        return list(dict.fromkeys(around))
    # What is alike from its first letters on stands near in order; what differs there may be anywhere.
    candidates = {
        str(row[name])
        for rows in (
            table.to_dicts(attributes=name, limit=_NEAR),
            before.to_dicts(attributes=name, order_by=f"{name} DESC", limit=_NEAR),
            after.to_dicts(attributes=name, order_by=name, limit=_NEAR),
        )
        for row in rows
    }
    by_lower = {text.lower(): text for text in sorted(candidates)}
    return [by_lower[text] for text in get_close_matches(value.lower(), by_lower, n=3, cutoff=0.6)]
