"""MySQL and MariaDB: one ALTER TABLE for all that changes, so that it happens whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from dj_panel.core.dialect.indexes import HIDDEN, generated_column, mysql_index
from dj_panel.core.dialect.protocol import Alteration, Dialect, Query
from dj_panel.core.structure import ForeignKey, Index, TableName

__all__ = ["Existing", "alter_clauses", "read_existing"]


class Existing(NamedTuple):
    """What a table has, under the names that only the server knows."""

    indexes: dict[str, Index]
    foreign_keys: dict[str, tuple[tuple[str, ...], TableName, tuple[str, ...]]]
    generated: list[str]


def read_existing(query: Query, name: TableName, index_column: Callable[[Sequence[object]], str]) -> Existing:
    """Return a table's indexes and foreign keys by their names."""
    indexes: dict[str, Index] = {}
    rows = query(
        "SELECT table_schema, table_name, index_name, column_name, non_unique, seq_in_index, index_comment"
        " /*!80013 , expression */ FROM information_schema.statistics"
        " WHERE table_schema = %s AND table_name = %s AND index_name <> 'PRIMARY' ORDER BY index_name, seq_in_index",
        (name.schema, name.table),
    )
    for row in rows:
        known = indexes.get(str(row[2]), Index(()))
        indexes[str(row[2])] = Index((*known.columns, index_column(row)), unique=not row[4])
    keys: dict[str, tuple[tuple[str, ...], TableName, tuple[str, ...]]] = {}
    rows = query(
        "SELECT constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name"
        " FROM information_schema.key_column_usage WHERE table_schema = %s AND table_name = %s"
        " AND referenced_table_name IS NOT NULL ORDER BY constraint_name, ordinal_position",
        (name.schema, name.table),
    )
    for constraint, column, schema, table, theirs in rows:
        ours, parent, others = keys.get(str(constraint), ((), TableName(str(schema), str(table)), ()))
        keys[str(constraint)] = ((*ours, str(column)), parent, (*others, str(theirs)))
    rows = query(
        "SELECT column_name, extra FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        (name.schema, name.table),
    )
    generated = [str(c) for c, extra in rows if str(c).startswith(HIDDEN) and "GENERATED" in str(extra)]
    return Existing(indexes, keys, generated)


def alter_clauses(
    dialect: Dialect,
    alteration: Alteration,
    changed: Collection[str],
    column: Callable[[str], str],
    existing: Existing,
    types: Mapping[str, str],
) -> list[str]:
    """Return the clauses of the ALTER TABLE.

    Parameters
    ----------
    dialect
        The server's.
    alteration
        What changes.
    changed
        The attributes whose columns are defined anew.
    column
        Gives the definition of an attribute's column.
    existing
        What the table has.
    types
        Expressions of indexes and the types of their generated columns, where the server needs them.
    """
    quote = dialect.quote
    dropped_keys, added_keys = _key_changes(alteration, existing)
    dropped, added = _index_changes(alteration, existing)
    clauses = [f"DROP FOREIGN KEY {quote(name)}" for name in dropped_keys]
    clauses += [f"DROP INDEX {quote(name)}" for name in dropped]
    if _has_new_expressions(alteration):
        clauses += [f"DROP COLUMN {quote(name)}" for name in existing.generated]
    clauses += _column_clauses(dialect, alteration, changed, column)
    if _has_new_expressions(alteration):
        clauses += [f"ADD COLUMN {generated_column(dialect, alteration.new, c, types[c])}" for c in types]
    clauses += [f"ADD {mysql_index(dialect, alteration.new, index, types)}" for index in added]
    clauses += [f"ADD {dialect.foreign_key_clause(fk)}" for fk in added_keys]
    if alteration.old.comment != alteration.new.comment:
        clauses.append(f"COMMENT = {dialect.literal(alteration.new.comment)}")
    return clauses


def _has_new_expressions(alteration: Alteration) -> bool:
    """Tell whether indexes over expressions change; then all of them are made again, and numbered again."""
    before, after = ({i for i in t.indexes if i.expressions} for t in (alteration.old, alteration.new))
    return before != after


def _key_changes(alteration: Alteration, existing: Existing) -> tuple[list[str], list[ForeignKey]]:
    names = alteration.new_names
    before = {
        constraint: (frozenset(zip((names.get(n, n) for n in ours), theirs, strict=True)), parent)
        for constraint, (ours, parent, theirs) in existing.foreign_keys.items()
    }
    after = {
        fk: (frozenset(zip(fk.attributes, fk.parent_attributes, strict=True)), fk.parent)
        for fk in alteration.new.foreign_keys
    }
    old = _bookkeeping(alteration, existing)
    return (
        [
            constraint
            for constraint, key in before.items()
            if key not in after.values() and constraint not in old
        ],
        [fk for fk, key in after.items() if key not in before.values()],
    )


def _bookkeeping(alteration: Alteration, existing: Existing) -> dict[str, set[str]]:
    """Return the foreign keys that stay though no definition names them, and their attributes.

    Columns that DataJoint 0.14 left refer to its tables ``~external_…``.
    """
    names = alteration.new_names
    return {
        constraint: {names[n] for n in ours}
        for constraint, (ours, parent, _) in existing.foreign_keys.items()
        if parent.table.startswith("~") and all(n in names for n in ours)
    }


def _index_changes(alteration: Alteration, existing: Existing) -> tuple[list[str], list[Index]]:
    names = alteration.new_names
    there = {
        name: Index(tuple(names.get(c, c) for c in index.columns), index.unique)
        for name, index in existing.indexes.items()
    }
    wanted = list(alteration.new.indexes)
    supporting = [set(fk.attributes) for fk in alteration.new.foreign_keys]
    supporting += _bookkeeping(alteration, existing).values()
    is_renewed = _has_new_expressions(alteration)
    dropped = [
        name
        for name, index in there.items()
        if (index.expressions and is_renewed)
        or (index not in wanted and (index.unique or set(index.columns) not in supporting))
    ]
    left = [index for name, index in there.items() if name not in dropped]
    added = [index for index in wanted if index not in left]
    for fk in alteration.new.foreign_keys:
        # A key that loses its unique index needs another in the same statement.
        lost = any(set(there[name].columns) == set(fk.attributes) for name in dropped)
        if lost and not any(i.columns[: len(fk.attributes)] == fk.attributes for i in (*left, *added)):
            added.append(Index(fk.attributes))
    return dropped, added


def _column_clauses(
    dialect: Dialect, alteration: Alteration, changed: Collection[str], column: Callable[[str], str]
) -> list[str]:
    quote = dialect.quote
    kept = set(alteration.new_names)
    clauses = [f"DROP COLUMN {quote(n)}" for n in alteration.old.heading.names if n not in kept]
    waiting = [alteration.new_names[n] for n in alteration.old.heading.names if n in kept]
    previous = ""
    for name in alteration.new.heading.names:
        place = f" AFTER {quote(previous)}" if previous else " FIRST"
        source = alteration.source(name)
        if name not in waiting:
            clauses.append(f"ADD COLUMN {column(name)}{place}")
        else:
            is_moved = waiting[0] != name
            waiting.remove(name)
            if source != name:
                clauses.append(f"CHANGE COLUMN {quote(source)} {column(name)}{place if is_moved else ''}")
            elif is_moved or name in changed:
                clauses.append(f"MODIFY COLUMN {column(name)}{place if is_moved else ''}")
        previous = name
    return clauses
