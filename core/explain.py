"""Why the database refused rows: the row, the attribute and the remedy, found by asking the tables again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from dj_panel.core.algebra import (
    AllOf,
    Comparison,
    Distinct,
    KeyMatch,
    Negation,
    Node,
    Ordering,
    Project,
    Relation,
    Restrict,
    TextCondition,
)
from dj_panel.core.catalog import Catalog
from dj_panel.core.connection import Connection
from dj_panel.core.errors import DuplicateError, IntegrityError, shown, value_of
from dj_panel.core.expression import QueryExpression
from dj_panel.core.rows import is_missing, label
from dj_panel.core.structure import Attribute, ForeignKey, TableName, TableStructure
from dj_panel.core.words import say, say_many

__all__ = ["Explainer", "key_text"]

_CHUNK = 500
_NEAR = 500
_NUMBER = "n_rows_of_this_value"
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
        on_duplicate: str = "error",
        every: Sequence[Row] = (),
    ) -> DuplicateError:
        """Return the error for rows of which one has a key, or a unique value, that is taken.

        Parameters
        ----------
        rows
            The rows of the statement that was refused.
        error
            What the server said.
        on_duplicate
            What was to be done with rows whose primary key is taken: ``"error"``, ``"replace"`` or ``"skip"``.
        every
            All rows that were to be inserted together, if they are more.
        """
        key = tuple(self._table.heading.primary_key)
        replaced: set[str] = set()
        if on_duplicate == "error":
            found = self._taken_key(rows, key, every or rows)
            if found is not None:
                return found
        elif on_duplicate == "replace":
            replaced = {key_text(self._values(row, key), key) for row in rows}
        else:
            rows = self._new(rows, key)
        for columns in self._table.unique_keys:
            found = self._taken_value(rows, columns, replaced) or self._repeated_value(every or rows, columns)
            if found is not None:
                return found
        names = self._unnamed(error)
        return DuplicateError(
            say(
                "{table} has a row, or two of the rows have, the same {names}, which must be unique. {done}",
                table=self._label,
                names=", ".join(names),
                done=self._done,
            ),
            table=self._label,
            attributes=names,
            value=error.value,
            remedy=say("Choose another value, or update that row."),
        )

    def _unnamed(self, error: DuplicateError) -> tuple[str, ...]:
        """Return what must be unique and is not, where the rows do not tell: the server may take texts for equal."""
        if error.attributes and all(name in self._table.heading for name in error.attributes):
            return error.attributes
        expressions = [n for i in self._table.indexes if i.unique and i.expressions for n in i.columns]
        names = expressions or [n for columns in self._table.unique_keys for n in columns]
        return tuple(dict.fromkeys(names or self._table.heading.primary_key))

    def _taken_key(
        self, rows: Sequence[Row], key: tuple[str, ...], every: Sequence[Row]
    ) -> DuplicateError | None:
        if not key:
            return DuplicateError(
                say(
                    "{table} has one row at most, and has it already. {done}",
                    table=self._label,
                    done=self._done,
                ),
                table=self._label,
                remedy=say("Change it with update1(), or replace it with replace=True."),
            )
        seen: set[str] = set()
        for row in every:
            if not all(n in row for n in key):
                continue
            values = self._values(row, key)
            text = key_text(values, key)
            if text in seen:
                return DuplicateError(
                    say(
                        "Two of the rows for {table} have the key {key}. {done}",
                        table=self._label,
                        key=text,
                        done=self._done,
                    ),
                    table=self._label,
                    attributes=key,
                    value=value_of(values),
                    remedy=say("Remove one of them."),
                )
            seen.add(text)
        complete = [{n: row[n] for n in key} for row in rows if all(n in row for n in key)]
        taken = next(self._present(self._whole(self._table.name), complete), None)
        if taken is None:
            return None
        return DuplicateError(
            say(
                "{table} already has a row with {key}. {done}",
                table=self._label,
                key=key_text(taken, key),
                done=self._done,
            ),
            table=self._label,
            attributes=key,
            value=value_of(taken),
            remedy=say(
                "Choose another key, update the row with update1(), or pass over such rows with "
                "skip_duplicates=True."
            ),
        )

    def _new(self, rows: Sequence[Row], key: tuple[str, ...]) -> list[Row]:
        """Return the rows whose primary keys the table does not have."""
        keys = [{n: row[n] for n in key} for row in rows if all(n in row for n in key)]
        there = {
            key_text(found, key)
            for start in range(0, len(keys), _CHUNK)
            for found in (self._whole(self._table.name) & keys[start : start + _CHUNK]).to_dicts(
                attributes=key
            )
        }
        return [row for row in rows if key_text(self._values(row, key), key) not in there]

    def _taken_value(
        self, rows: Sequence[Row], columns: tuple[str, ...], replaced: Collection[str]
    ) -> DuplicateError | None:
        """Return the error for a unique value that a row has which is not to be replaced, if there is one."""
        key = tuple(self._table.heading.primary_key)
        wanted = [v for row in rows if not any(map(is_missing, (v := self._values(row, columns)).values()))]
        whole = self._whole(self._table.name)
        for start in range(0, len(wanted), _CHUNK):
            matching = whole & wanted[start : start + _CHUNK]
            for found in matching.to_dicts(attributes=dict.fromkeys((*columns, *key))):
                if key_text(found, key) in replaced:
                    continue
                return DuplicateError(
                    say(
                        "{table} already has a row with {key}, which must be unique. {done}",
                        table=self._label,
                        key=key_text(found, columns),
                        done=self._done,
                    ),
                    table=self._label,
                    attributes=columns,
                    value=value_of({n: found[n] for n in columns}),
                    remedy=say("Choose another value, or update that row."),
                )
        return None

    def _repeated_value(self, rows: Sequence[Row], columns: tuple[str, ...]) -> DuplicateError | None:
        """Return the error for a unique value that two of the rows have, if there is one."""
        key = tuple(self._table.heading.primary_key)
        seen: dict[str, str] = {}
        for number, row in enumerate(rows):
            values = self._values(row, columns)
            if any(map(is_missing, values.values())):
                continue
            text = key_text(values, columns)
            # of rows with one key all but one are replaced or passed over; a key that the server gives is its own
            own = key_text(self._values(row, key), key) if all(n in row for n in key) else f"row {number}"
            if seen.setdefault(text, own) != own:
                return DuplicateError(
                    say(
                        "Two of the rows for {table} have {key}, which must be unique. {done}",
                        table=self._label,
                        key=text,
                        done=self._done,
                    ),
                    table=self._label,
                    attributes=columns,
                    value=value_of(values),
                    remedy=say("Remove one of them, or give it another value."),
                )
        return None

    def _values(self, row: Row, names: Iterable[str]) -> dict[str, Any]:
        """Return some values of a row as their types have them, ``None`` for those that it lacks."""
        return {
            n: None if is_missing(v := row.get(n)) else _checked(self._table.heading[n], v) for n in names
        }

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
            parent=error.parent,
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
                "{parent} has no row with {key}, to which {table} refers.{near} {done}",
                parent=theirs,
                key=key_text(values, values),
                table=self._label,
                near=self.near_matches(fk, values),
                done=self._done,
            ),
            table=self._label,
            attributes=fk.attributes,
            parent=theirs,
            value=value_of({a: values[b] for a, b in zip(fk.attributes, fk.parent_attributes, strict=True)}),
            remedy=say(
                "Insert the row into {parent} first, or correct {names}.",
                parent=theirs,
                names=", ".join(fk.attributes),
            ),
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
    def clashing_rows(self, source: Node) -> list[dict[str, Any]]:
        """Return rows of a query that cannot be inserted: one that has what is taken, or two that have the same."""
        key = tuple(self._table.heading.primary_key)
        whole = _relation(self._connection.catalog, self._table.name)
        every = [c for c in (key, *self._table.unique_keys) if c and all(n in source.heading for n in c)]
        for columns in every:
            names = dict.fromkeys((*columns, *(n for n in key if n in source.heading)))
            found = self._query(Restrict(source, KeyMatch(whole, columns))).to_dicts(
                attributes=names, limit=1
            )
            if found:
                return found
        for columns in every:
            counted = Distinct(source, columns, ((_NUMBER, "count(*)", None),))
            complete = AllOf(tuple(Negation(Comparison(n, None)) for n in columns))
            several = Restrict(Restrict(counted, TextCondition(f"{_NUMBER} > 1")), complete)
            found = self._query(several).to_dicts(attributes=columns, limit=1)
            if found:
                return found * 2
        return []

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
                    f"{many} {self._done}",
                    table=label(child),
                    attributes=fk.attributes,
                    parent=self._label,
                    remedy=remedy,
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
