"""Every problem of rows that are to be inserted, found without writing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dj_panel.core.algebra import Distinct, Node, Relation
from dj_panel.core.codec import call_encode, resolve_chain
from dj_panel.core.columnchecks import encode_column
from dj_panel.core.connection import Connection
from dj_panel.core.definition import is_server_value
from dj_panel.core.encoder import RowEncoder
from dj_panel.core.errors import DataJointError, ValueRefusedError, did_you_mean, shown, value_of
from dj_panel.core.explain import Explainer, key_text
from dj_panel.core.expression import QueryExpression
from dj_panel.core.rows import Block, RowReader, is_missing, label
from dj_panel.core.structure import Attribute, ForeignKey, TableStructure
from dj_panel.core.words import say

__all__ = ["Problem", "ValidationResult", "Validator"]

_MAX_KEYS = 5000
_MAX_HINTS = 3
_MAX_SHOWN = 10
Key = tuple[Any, ...]
ProblemKind = Literal["value", "repeated", "taken", "parent"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one row.

    Parameters
    ----------
    row
        The row's position among those that were given, counted from 0.
    attribute
        The attribute; of several, their names with commas between; ``None`` if the row as a whole is meant.
    value
        The value; of several attributes, a dict.
    reason
        What is wrong with it, as a clause.
    remedy
        What to do, as a sentence.
    kind
        ``"value"`` if the row by itself is wrong, ``"repeated"`` if an earlier row has the same key or unique
        value, ``"taken"`` if a row of the table has it, ``"parent"`` if the row that a foreign key refers to is
        not there.
    """

    row: int
    attribute: str | None
    value: Any
    reason: str
    remedy: str
    kind: ProblemKind = "value"

    @property
    def message(self) -> str:
        """Reason and remedy, with the value."""
        return f"{self.reason}. {self.remedy}" if self.remedy else f"{self.reason}."


@dataclass(frozen=True)
class ValidationResult:
    """What :meth:`~dj_panel.core.table.Table.validate` found; true if every row may be inserted.

    Parameters
    ----------
    problems
        All that is wrong, by row.
    rows_checked
        How many rows there were.
    """

    problems: tuple[Problem, ...] = ()
    rows_checked: int = 0

    def __bool__(self) -> bool:
        return self.is_valid

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def errors(self) -> list[tuple[int, str | None, str]]:
        """The problems as DataJoint lists them: row, attribute and message."""
        return [(p.row, p.attribute, p.message) for p in self.problems]

    def summary(self) -> str:
        """Return a text for people, with the first ten problems."""
        if self.is_valid:
            return f"All {self.rows_checked} rows may be inserted."
        n_rows = len({p.row for p in self.problems})
        lines = [f"{n_rows} of {self.rows_checked} rows cannot be inserted ({len(self.problems)} problems):"]
        for problem in self.problems[:_MAX_SHOWN]:
            place = f", {problem.attribute}" if problem.attribute else ""
            lines.append(f"  row {problem.row}{place}: {problem.message}")
        if len(self.problems) > _MAX_SHOWN:
            lines.append(f"  … and {len(self.problems) - _MAX_SHOWN} more")
        return "\n".join(lines)

    def raise_if_invalid(self) -> None:
        """Raise :class:`~dj_panel.core.errors.DataJointError` with the summary if anything is wrong."""
        if not self.is_valid:
            raise DataJointError(self.summary())


class Validator:
    """Checks rows for one table.

    Parameters
    ----------
    connection
        The connection; it is asked which keys there are, a few thousand in one query.
    table
        The table's structure.
    ignore_extra_fields
        Whether fields that the table lacks are no problem.
    """

    def __init__(
        self, connection: Connection, table: TableStructure, *, ignore_extra_fields: bool = False
    ) -> None:
        self._connection = connection
        self._table = table
        self._label = label(table.name)
        self._attributes = table.heading.attributes
        self._ignore_extra_fields = ignore_extra_fields
        self._encoder = RowEncoder(table, connection.dialect, connection.settings)
        self._problems: list[Problem] = []
        key = tuple(table.heading.primary_key)
        self._unique = [columns for columns in dict.fromkeys([key, *table.unique_keys]) if columns]
        self._matched = {n for columns in self._unique for n in columns}
        self._matched |= {n for fk in table.foreign_keys for n in fk.attributes}
        self._seen: dict[Key, dict[Key, list[int]]] = {columns: {} for columns in self._unique}
        self._wanted: dict[ForeignKey, dict[Key, list[int]]] = {fk: {} for fk in table.foreign_keys}

    def validate(self, rows: Any) -> ValidationResult:
        """Return all problems of rows in any form in which they may be inserted."""
        reader = RowReader(rows, self._table.heading.names, self._label, is_lenient=True)
        number = 0
        for block in reader:
            number = block.start + block.n_rows
            if block.error is not None:
                self._add(block.start, None, None, str(block.error).rstrip("."), "")
                continue
            self._check_names(block)
            checked = {
                name: self._column(block, self._attributes[name], values)
                for name, values in block.columns.items()
                if name in self._attributes
            }
            self._remember(block, checked)
        if not self._table.heading.primary_key:
            self._check_singleton(number)
        for columns in self._unique:
            self._check_unique(columns)
        for fk in self._table.foreign_keys:
            self._check_parents(fk)
        order = {name: position for position, name in enumerate(self._attributes)}
        self._problems.sort(key=lambda p: (p.row, order.get((p.attribute or "").partition(",")[0], -1)))
        return ValidationResult(tuple(self._problems), number)

    def _add(
        self,
        row: int,
        attribute: str | None,
        value: Any,
        reason: str,
        remedy: str,
        kind: ProblemKind = "value",
    ) -> None:
        self._problems.append(Problem(row, attribute, value, reason, remedy, kind))

    # ------------------------------------------------------------------ each row by itself
    def _check_names(self, block: Block) -> None:
        rows = range(block.start, block.start + block.n_rows)
        for name in block.columns:
            if name not in self._attributes and not self._ignore_extra_fields:
                remedy = say("Correct or remove it.") + did_you_mean(str(name), self._attributes)
                for row, value in zip(rows, block.columns[name], strict=True):
                    self._add(
                        row,
                        str(name),
                        value,
                        say("{table} has no attribute '{name}'", table=self._label, name=name),
                        remedy,
                    )
        for name, attribute in self._attributes.items():
            if name not in block.columns and not attribute.has_default:
                for row in rows:
                    self._add(
                        row, name, None, say("is missing and has no default"), say("Add it to the row.")
                    )

    def _column(self, block: Block, attribute: Attribute, values: list[Any]) -> list[Any]:
        """Return the values as their type has them, ``None`` for none and for what is refused."""
        name, column = attribute.name, attribute.column_type
        if attribute.codec is None and name not in self._matched:
            encode = self._connection.dialect.encoder(column)
            if encode_column(column, encode, values, nullable=attribute.nullable) is not None:
                return values
        found: list[Any] = []
        for row, value in enumerate(values, block.start):
            found.append(None)
            if is_missing(value):
                self._check_missing(row, attribute, value)
                continue
            if attribute.codec is not None:
                try:
                    self._check_codec(attribute, value)
                except (DataJointError, TypeError, ValueError, OSError) as error:
                    self._add(row, name, value, str(error).rstrip("."), say("Correct the value."))
                continue
            try:
                self._encoder.checked(attribute, value)
                found[-1] = column.check(value)
            except ValueError as error:
                reason = error.reason if isinstance(error, ValueRefusedError) else str(error)
                self._add(row, name, value, f"{shown(value)} {reason}", say("Correct the value."))
        return found

    def _check_missing(self, row: int, attribute: Attribute, value: Any) -> None:
        if attribute.nullable:
            return
        if not attribute.has_default:
            self._add(row, attribute.name, value, say("has no value and no default"), say("Give it one."))
        elif value is not None:
            reason = say("{value} is no value, and the attribute cannot be empty", value=shown(value))
            self._add(row, attribute.name, value, reason, say("Leave it out for its default."))

    def _check_codec(self, attribute: Attribute, value: Any) -> None:
        """Take a value through the codecs as far as nothing is written: up to the one that has the store."""
        chain = resolve_chain(attribute.type)
        config = self._connection.settings
        context = {
            "schema": self._table.name.schema,
            "table": self._table.name.table,
            "field": attribute.name,
            "config": config,
        }
        if validate := getattr(chain.codecs[0], "validate", None):
            validate(value)
        if chain.is_store:
            config.get_store_spec(chain.store or None)
        for codec in chain.codecs[:-1] if chain.is_store else chain.codecs:
            value = call_encode(codec, value, key={}, store_name=chain.store, context=context)
        if not chain.is_store:
            attribute.column_type.check(value)

    # ------------------------------------------------------------------ rows beside each other
    def _remember(self, block: Block, checked: Mapping[str, list[Any]]) -> None:
        for columns, seen in self._seen.items():
            for row, key in self._keys(block, columns, checked):
                seen.setdefault(key, []).append(row)
        for fk, wanted in self._wanted.items():
            for row, key in self._keys(block, fk.attributes, checked):
                wanted.setdefault(key, []).append(row)

    def _keys(
        self, block: Block, names: Sequence[str], checked: Mapping[str, list[Any]]
    ) -> Iterator[tuple[int, Key]]:
        """Yield each row's position and key; rows with a part of the key empty or refused have none."""
        columns = []
        for name in names:
            default = self._default(self._attributes[name])
            values = checked.get(name, [None] * block.n_rows)
            given = block.columns.get(name, values)
            columns.append([
                default if v is None and g is None else v for v, g in zip(values, given, strict=True)
            ])  # fmt: skip
        for row, key in enumerate(zip(*columns, strict=True), block.start):
            if None not in key:
                yield row, key

    @staticmethod
    def _default(attribute: Attribute) -> Any:
        if attribute.default is None or attribute.nullable or is_server_value(attribute.default):
            return None
        return attribute.column_type.check(attribute.default)

    def _check_singleton(self, number: int) -> None:
        if number and QueryExpression(self._connection, self._whole()):
            self._add(
                0,
                None,
                None,
                say("{table} has its one row already", table=self._label),
                say("Change it with update1()."),
            )
        for row in range(1, number):
            self._add(
                row,
                None,
                None,
                say("{table} has one row at most", table=self._label),
                say("Remove this one."),
            )

    def _check_unique(self, columns: Key) -> None:
        seen = self._seen[columns]
        is_key = columns == tuple(self._table.heading.primary_key)
        names = ", ".join(columns)
        for key, rows in seen.items():
            for row in rows[1:]:
                values = dict(zip(columns, key, strict=True))
                reason = say(
                    "{key} is that of row {row} too", key=key_text(values, columns), row=str(rows[0])
                )
                remedy = say("Remove one of the two, or correct it.")
                self._add(row, names, value_of(values), reason, remedy, "repeated")
        remedy = (
            say("Choose another key, or update the row with update1().")
            if is_key
            else say("Choose another value, for it must be unique.")
        )
        for key in self._present(self._whole(), columns, list(seen)):
            values = dict(zip(columns, key, strict=True))
            reason = say(
                "{table} already has a row with {key}", table=self._label, key=key_text(values, columns)
            )
            for row in seen[key]:
                self._add(row, names, value_of(values), reason, remedy, "taken")

    def _check_parents(self, fk: ForeignKey) -> None:
        wanted = self._wanted[fk]
        heading = self._connection.catalog.structure(fk.parent).heading
        present = set(self._present(Relation(fk.parent, heading), fk.parent_attributes, list(wanted)))
        parent = label(fk.parent)
        explainer = Explainer(self._connection, self._table, "")
        remedy = say(
            "Insert the row into {parent} first, or correct {names}.",
            parent=parent,
            names=", ".join(fk.attributes),
        )
        for number, key in enumerate(k for k in wanted if k not in present):
            theirs = dict(zip(fk.parent_attributes, key, strict=True))
            hint = explainer.near_matches(fk, theirs) if number < _MAX_HINTS else ""
            reason = say("{parent} has no row with {key}", parent=parent, key=key_text(theirs, theirs))
            values = dict(zip(fk.attributes, key, strict=True))
            names, advice = ", ".join(fk.attributes), (hint + " " + remedy).strip()
            for row in wanted[key]:
                self._add(row, names, value_of(values), reason, advice, "parent")

    def _whole(self) -> Relation:
        return Relation(self._table.name, self._table.heading)

    def _present(self, relation: Relation, columns: Sequence[str], keys: list[Key]) -> Iterator[Key]:
        """Yield those of the keys that a table has; a few thousand of them are looked for in one query."""
        node: Node = Distinct(relation, tuple(columns))
        table = QueryExpression(self._connection, node)
        types = [relation.heading[n].column_type for n in columns]
        size = max(1, min(_MAX_KEYS, self._connection.dialect.max_parameters // len(columns)))
        for start in range(0, len(keys), size):
            part = dict.fromkeys(keys[start : start + size])
            for row in (table & [dict(zip(columns, key, strict=True)) for key in part]).to_dicts():
                found = tuple(t.check(row[n]) for t, n in zip(types, columns, strict=True))
                # Under a collation that takes two words for one, what is found may not be what was asked for.
                if found in part:
                    yield found
