"""What it takes to make a table as its definition now says, and whether its rows allow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dj_panel.core.catalog import lineage_rows
from dj_panel.core.columntypes import ColumnType
from dj_panel.core.connection import Connection
from dj_panel.core.dialect.indexes import attributes_of, value_sql
from dj_panel.core.dialect.protocol import Alteration, AlterScript, Statement
from dj_panel.core.difference import (
    Difference,
    differences,
    meaning,
    old_indexes,
    old_keys,
    said_key,
    said_primary_key,
    target_structure,
    wanted_indexes,
)
from dj_panel.core.errors import DataJointError, DefinitionError, IntegrityError, shown, value_of
from dj_panel.core.structure import Attribute, ForeignKey, Index, TableStructure

__all__ = ["AlterPlan", "plan_alter"]

# Kinds between which values can change without losing anything, if each of them fits.
_CONVERSIONS = {
    "integer": ("boolean", "float", "decimal", "text"),
    "boolean": ("integer", "float", "decimal"),
    "float": ("integer", "decimal"),
    "decimal": ("integer", "float", "text"),
    "text": ("enum",),
    "enum": ("text",),
    "date": ("datetime",),
}
_N_SHOWN = 3


@dataclass(frozen=True)
class AlterPlan:
    """What an alteration would change, and the statements that do it."""

    connection: Connection
    alteration: Alteration
    differences: tuple[Difference, ...]
    allow_loss: bool = False

    @cached_property
    def script(self) -> AlterScript:
        """The statements."""
        connection, old = self.connection, self.alteration.old
        character_sets = {
            name: connection.catalog.character_set(old.name, self.alteration.source(name))
            for name in self.alteration.new.heading.names
        }
        for fk in self.alteration.new.foreign_keys:
            for ours, theirs in zip(fk.attributes, fk.parent_attributes, strict=True):
                character_sets[ours] = connection.catalog.character_set(
                    fk.parent, theirs, seen_from=old.name.schema
                )
        changed = {d.name for d in self.differences if d.what == "attribute"}
        # the comment of a column tells its type, but not where a foreign key tells it
        new_names = self.alteration.new_names
        changed |= {
            new_names[n]
            for n in new_names
            if (old.foreign_key_of(n) is None) != (self.alteration.new.foreign_key_of(new_names[n]) is None)
        }
        return connection.dialect.alter_table(connection.rows_of, self.alteration, changed, character_sets)

    @property
    def sql(self) -> str:
        """The statements as text; empty if there is nothing to alter."""
        if not self.differences:
            return ""
        script = self.script
        texts = [_with_values(s) for s in (*script.before, *script.inside, *script.after)]
        return ";\n".join(texts) + ";"

    def check(self) -> None:
        """Refuse what would lose or break data; nothing is changed.

        Raises
        ------
        DefinitionError
            If the change is of a kind that is never made in place.
        IntegrityError
            If rows stand against it: which, and what to do about them.
        """
        _Check(self).all()

    def carry_out(self) -> None:
        """Change the table."""
        connection, script = self.connection, self.script
        new = self.alteration.new

        def inside() -> None:
            for statement in script.inside:
                connection.run(statement)
            if script.check is not None and connection.run(script.check).fetchall():
                raise IntegrityError(
                    f"{new.name}: rows refer to parents that are not there. Nothing was changed.",
                    table=f"{new.name.schema}.{new.name.class_name}",
                    remedy="Insert the parents first.",
                )
            for statement in connection.dialect.record_lineage(
                new.name.schema, lineage_rows(new), new.name.table
            ):
                connection.run(statement)

        for statement in script.before:
            connection.run(statement)
        try:
            connection.retried(inside)
        finally:
            for statement in script.after:
                connection.run(statement)
            # children take the types of their attributes from here
            connection.catalog.forget()


def plan_alter(connection: Connection, declared: TableStructure, *, allow_loss: bool = False) -> AlterPlan:
    """Return what makes a table as declared; nothing is changed.

    Parameters
    ----------
    connection
        The connection.
    declared
        The structure that the definition declares.
    allow_loss
        Whether attributes may be dropped with the values in them.
    """
    old = connection.catalog.refreshed(declared.name) or connection.catalog.structure(declared.name)
    target, renamed = target_structure(declared, old)
    found = differences(old, target, renamed)
    return AlterPlan(connection, Alteration(old, target, renamed), tuple(found), allow_loss)


def _with_values(statement: Statement) -> str:
    if not statement.parameters:
        return statement.sql.replace("%%", "%")
    values = ", ".join(map(repr, statement.parameters))
    return f"{statement.sql}  -- with {values}"


class _Check:
    """Looks whether the rows of a table allow its alteration."""

    def __init__(self, plan: AlterPlan) -> None:
        self._plan = plan
        self._connection = plan.connection
        self._dialect = plan.connection.dialect
        self._old, self._new = plan.alteration.old, plan.alteration.new
        self._table = self._dialect.table(self._old.name)
        self._label = f"{self._old.name.schema}.{self._old.name.class_name}"

    def all(self) -> None:
        """Check everything, the cheapest first."""
        alteration = self._plan.alteration
        self._key()
        has_rows = self._count("SELECT 1") > 0
        for name in self._new.heading.names:
            source = alteration.source(name)
            if source not in self._old.heading:
                self._added(name, has_rows=has_rows)
            else:
                self._changed(self._old.heading[source], self._new.heading[name], has_rows=has_rows)
        for name in self._old.heading.names:
            if name not in {alteration.source(n) for n in self._new.heading.names}:
                self._dropped(name)
        if has_rows:
            names = alteration.new_names
            before = old_indexes(self._old, names)
            for index in wanted_indexes(self._new):
                if index.unique and index not in before:
                    self._unique(index)
            known = set(map(said_key, old_keys(self._old, names)))
            for fk in self._new.foreign_keys:
                if said_key(fk) not in known:
                    self._orphans(fk)

    def _key(self) -> None:
        remedy = (
            "The primary key of a table cannot be altered, because other tables and rows rest on it. Declare a"
            " table of another name, copy the rows with insert(), and drop this one."
        )
        old, new = self._old.heading, self._new.heading
        if old.primary_key != new.primary_key:
            raise DefinitionError(
                f"{self._label}: the primary key ({said_primary_key(self._old)}) would become"
                f" ({said_primary_key(self._new)}). {remedy}"
            )
        for name in new.primary_key:
            if meaning(old[name]) != meaning(new[name]):
                raise DefinitionError(
                    f"{self._label}.{name} would change from {old[name].type} to {new[name].type}. {remedy}"
                )

    def _count(self, select: str, where: str = "", parameters: Sequence[Any] = ()) -> int:
        inner = f"{select} FROM {self._table}{' WHERE ' + where if where else ''}"
        if select == "SELECT 1":
            inner += " LIMIT 1"
        return int(self._connection.query(f"SELECT COUNT(*) FROM ({inner}) AS t", parameters).fetchone()[0])

    def _added(self, name: str, *, has_rows: bool) -> None:
        attribute = self._new.heading[name]
        if has_rows and not attribute.has_default:
            raise IntegrityError(
                f"{self._label}.{name} cannot be added: the rows that are there would have no value for it.",
                table=self._label,
                attributes=(name,),
                remedy="Give it a default, or let it be empty (= null).",
            )

    def _dropped(self, name: str) -> None:
        n_values = self._count("SELECT 1 AS x", f"{self._dialect.quote(name)} IS NOT NULL")
        if n_values and not self._plan.allow_loss:
            raise IntegrityError(
                f"{self._label}.{name} would be dropped with its {n_values} values.",
                table=self._label,
                attributes=(name,),
                remedy=f"If it has only another name now, begin the comment of the new one with {{{name}}}; else say"
                " alter(allow_loss=True).",
            )

    def _changed(self, old: Attribute, new: Attribute, *, has_rows: bool) -> None:
        label = f"{self._label}.{new.name}"
        if has_rows and old.nullable and not new.nullable:
            n_empty = self._count("SELECT 1 AS x", f"{self._dialect.quote(old.name)} IS NULL")
            if n_empty:
                raise IntegrityError(
                    f"{label} cannot be made to need a value: it is empty in {n_empty} rows.",
                    table=self._label,
                    attributes=(new.name,),
                    remedy="Fill them with update1() first.",
                )
        if meaning(old) == meaning(new) or not has_rows:
            return
        if old.codec or new.codec:
            if old.codec != new.codec or (old.store is None) != (new.store is None):
                raise DefinitionError(
                    f"{label} cannot change from {old.type} to {new.type}: the values are stored otherwise. Add an"
                    " attribute of the new type, copy the values row by row, and drop this one."
                )
            return
        before, after = old.column_type, new.column_type
        if before.kind != after.kind and after.kind not in _CONVERSIONS.get(before.kind, ()):
            raise DefinitionError(
                f"{label} cannot change from {old.type} to {new.type}. Add an attribute of the new type, copy the"
                " values, and drop this one."
            )
        self._fit(old, new, before, after)

    def _fit(self, old: Attribute, new: Attribute, before: ColumnType, after: ColumnType) -> None:
        column = self._dialect.quote(old.name)
        decode = self._dialect.decoder(before) or (lambda value: value)
        sql = f"SELECT DISTINCT {self._dialect.selected(column, before)} FROM {self._table} WHERE {column} IS NOT NULL"
        refused: list[str] = []
        for (stored,) in self._connection.query(sql):
            value = decode(stored)
            try:
                fitted = after.check(
                    value if before.kind != "float" or after.kind != "decimal" else repr(value)
                )
                is_same = before.kind != after.kind or fitted == before.check(value)
                reason = "would be changed by it"
            except ValueError as error:
                is_same, reason = False, str(error)
            if not is_same:
                refused.append(f"{shown(value)} {reason}")
                if len(refused) == _N_SHOWN:
                    break
        if refused:
            raise IntegrityError(
                f"{self._label}.{new.name} cannot change from {old.type} to {new.type}: {'; '.join(refused)}.",
                table=self._label,
                attributes=(new.name,),
                remedy="Change these values first, or choose a wider type.",
            )

    def _unique(self, index: Index) -> None:
        if not all(n in self._old.heading for column in index.columns for n in attributes_of(column)):
            return  # of a new or renamed attribute the server finds duplicates itself
        columns = [value_sql(self._dialect, column) for column in index.columns]
        listed = ", ".join(columns)
        sql = (
            f"SELECT {listed} FROM {self._table} WHERE {' AND '.join(f'{c} IS NOT NULL' for c in columns)}"
            f" GROUP BY {listed} HAVING COUNT(*) > 1 LIMIT 1"
        )
        row = self._connection.query(sql).fetchone()
        if row is not None:
            values = ", ".join(f"{n}={shown(v)}" for n, v in zip(index.columns, row, strict=True))
            raise IntegrityError(
                f"{self._label} cannot have a unique index ({', '.join(index.columns)}): several rows have {values}.",
                table=self._label,
                attributes=index.columns,
                value=value_of(dict(zip(index.columns, row, strict=True))),
                remedy="Delete or change all but one.",
            )

    def _orphans(self, fk: ForeignKey) -> None:
        sources = [self._plan.alteration.source(n) for n in fk.attributes]
        if any(name not in self._old.heading for name in sources):
            return  # new attributes are empty or refused
        ours = [f"c.{self._dialect.quote(name)}" for name in sources]
        theirs = [f"p.{self._dialect.quote(name)}" for name in fk.parent_attributes]
        equal = " AND ".join(f"{a} = {b}" for a, b in zip(ours, theirs, strict=True))
        sql = (
            f"SELECT {', '.join(ours)} FROM {self._table} AS c WHERE"
            f" {' AND '.join(f'{c} IS NOT NULL' for c in ours)} AND NOT EXISTS"
            f" (SELECT 1 FROM {self._dialect.table(fk.parent)} AS p WHERE {equal}) LIMIT 1"
        )
        try:
            row = self._connection.query(sql).fetchone()
        except DataJointError as error:
            raise DefinitionError(
                f"{self._label}: the foreign key {said_key(fk)} cannot be added: {error}"
            ) from error
        if row is not None:
            values = ", ".join(f"{n}={shown(v)}" for n, v in zip(fk.attributes, row, strict=True))
            parent = f"{fk.parent.schema}.{fk.parent.class_name}"
            raise IntegrityError(
                f"{self._label} cannot refer to {parent}: it has a row with {values}, and {parent} has none.",
                table=self._label,
                attributes=fk.attributes,
                parent=parent,
                value=value_of(dict(zip(fk.attributes, row, strict=True))),
                remedy="Insert the missing parents, or delete the rows.",
            )
