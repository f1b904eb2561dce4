"""What the database says its tables are: headings, keys and lineage, whole schemas at a time, and cached."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace

from dj_panel.core.codec import resolve_dtype
from dj_panel.core.dialect.protocol import ColumnFacts, Dialect, Query, TableFacts
from dj_panel.core.errors import MissingTableError, UnknownCodecError
from dj_panel.core.graph import Graph
from dj_panel.core.structure import Attribute, ForeignKey, Heading, Index, Lineage, TableName, TableStructure

__all__ = ["Catalog"]

_OLD_MARK = re.compile(r":(?P<kind>blob|attach|filepath)(?:@(?P<store>[A-Za-z][\w-]*))?:", re.IGNORECASE)
_OLD_BLOB = re.compile(r"(tiny|medium|long)?blob", re.IGNORECASE)
_MARKED = re.compile(r":(?P<type>[^:]+):(?P<comment>.*)", re.DOTALL)


class Catalog:
    """The structure of every table of the schemas that were asked for.

    Parameters
    ----------
    dialect
        The server's.
    query
        Runs a query on it.
    """

    def __init__(self, dialect: Dialect, query: Query) -> None:
        self._dialect = dialect
        self._query = query
        self._schemas: dict[str, dict[str, TableStructure]] = {}
        self._column_text: dict[tuple[str, str, str], tuple[str | None, str | None]] = {}
        self._lock = threading.RLock()
        self._graph: Graph | None = None
        self._with_lineage: set[str] = set()
        self._declared: set[TableName] = set()

    # ------------------------------------------------------------------ asking
    def structure(self, name: TableName) -> TableStructure:
        """Return a table's structure.

        Raises
        ------
        MissingTableError
            If the database has no such table.
        """
        # What another program declared since the schema was read is found at the second look.
        found = self.find(name) or self.refreshed(name)
        if found is None:
            raise MissingTableError(
                f"The table {name} is not in the database. Declare it, or check the schema's name."
            )
        return found

    def find(self, name: TableName) -> TableStructure | None:
        """Return a table's structure, or ``None`` if the database has no such table."""
        return self.tables(name.schema).get(name.table)

    def refreshed(self, name: TableName) -> TableStructure | None:
        """Return a table's structure as the database has it at this moment."""
        self.forget(name.schema)
        return self.find(name)

    def tables(self, schema: str) -> dict[str, TableStructure]:
        """Return the tables of a schema by name; empty if there is no such schema."""
        with self._lock:
            if schema not in self._schemas:
                self.load([schema])
            return self._schemas[schema]

    def character_set(
        self, name: TableName, attribute: str, seen_from: str = ""
    ) -> tuple[str | None, str | None]:
        """Return the character set and the collation of a text column; ``None`` for what the schema has.

        Parameters
        ----------
        name
            The table.
        attribute
            The column.
        seen_from
            The schema in which a column like it is to be.
        """
        self.tables(name.schema)
        if name in self._declared and seen_from != name.schema:
            # only the server knows what a schema gives its tables
            self.forget(name.schema)
            self.tables(name.schema)
        return self._column_text.get((name.schema, name.table, attribute), (None, None))

    def relatives_have(self, tables: Iterable[TableName], attribute: str, given: Collection[str]) -> bool:
        """Tell whether a relative of one of the tables has an attribute; see :meth:`Graph.relatives_have`.

        The answer does not depend on which schemas were read before.
        """
        with self._lock:
            names = [target for name in tables for target in self._targets(name)]
            graph = self.graph
            if any(graph.relatives_have(name, attribute, given) for name in names):
                return True
            graph = self.graph_with_children()
            return any(graph.relatives_have(name, attribute, given) for name in names)

    def _targets(self, name: TableName) -> list[TableName]:
        """Return a table itself or, of a queue, which has no foreign keys, the tables whose queue it may be."""
        tables = self.tables(name.schema)
        if not name.table.startswith("~~"):
            return [name]
        return [TableName(name.schema, t) for t in tables if "~~" + t.lstrip("_") == name.table]

    @property
    def graph(self) -> Graph:
        """The foreign keys between all tables that were loaded."""
        with self._lock:
            if self._graph is None:
                self._graph = Graph(t for tables in self._schemas.values() for t in tables.values())
            return self._graph

    def graph_with_children(self) -> Graph:
        """Return the graph after loading every schema that refers to one of the loaded, and so on."""
        with self._lock:
            while True:
                loaded = list(self._schemas)
                if not loaded:
                    return self.graph
                more = self._dialect.referencing_schemas(self._query, loaded)
                if not more:
                    return self.graph
                self.load(more)

    def has_lineage(self, schema: str) -> bool:
        """Tell whether a schema is known to have DataJoint's table of origins."""
        return "~lineage" in self.tables(schema) or schema in self._with_lineage

    def add(self, table: TableStructure, character_sets: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Remember a table that was just created, as if it had been read.

        Parameters
        ----------
        table
            The structure that was declared.
        character_sets
            Character set and collation of the attributes that have them from a parent.
        """
        name = table.name
        keys = [set(fk.attributes) for fk in table.foreign_keys]
        attributes = sorted(table.heading.all_attributes, key=lambda a: not a.in_key)
        places = {a.name: place for place, a in enumerate(attributes)}
        foreign_keys = sorted(table.foreign_keys, key=lambda fk: [places[n] for n in fk.attributes])
        attributes = [
            replace(a, lineage=(name.schema, name.table, a.name)) if a.in_key and a.lineage is None else a
            for a in attributes
        ]
        with self._lock:
            self.tables(name.schema)[name.table] = TableStructure(
                name,
                Heading(tuple(attributes), table.comment),
                tuple(foreign_keys),
                tuple(index for index in table.indexes if set(index.columns) not in keys),
            )
            self._graph = None
            self._with_lineage.add(name.schema)
            self._declared.add(name)
            for attribute, (character_set, collation) in character_sets.items():
                if character_set:
                    self._column_text[name.schema, name.table, attribute] = (character_set, collation)

    # ------------------------------------------------------------------ loading
    def forget(self, *schemas: str) -> None:
        """Forget schemas, so that they are read again; all of them if none is named."""
        with self._lock:
            for schema in schemas or list(self._schemas):
                self._schemas.pop(schema, None)
                self._with_lineage.discard(schema)
                self._declared = {name for name in self._declared if name.schema != schema}
            self._graph = None

    def load(self, schemas: Iterable[str]) -> None:
        """Read schemas, and those that they refer to."""
        with self._lock:
            wanted = [schema for schema in dict.fromkeys(schemas) if schema not in self._schemas]
            fresh = set()
            while wanted:
                fresh.update(wanted)
                facts = self._dialect.read_catalog(self._query, wanted)
                for schema in wanted:
                    self._schemas[schema] = {}
                self._add(facts)
                parents = {row[4] for row in facts.references}
                wanted = [schema for schema in sorted(parents) if schema not in self._schemas]
            self._resolve_lineage(fresh)
            self._graph = None

    def _add(self, facts: TableFacts) -> None:
        columns: dict[TableName, list[ColumnFacts]] = defaultdict(list)
        for column in facts.columns:
            columns[TableName(column.schema, column.table)].append(column)
            if column.character_set:
                place = (column.schema, column.table, column.name)
                self._column_text[place] = (column.character_set, column.collation)
        keys: dict[TableName, dict[str, tuple[list[str], bool]]] = defaultdict(dict)
        for schema, table, index, name, unique in facts.keys:
            entry = keys[TableName(schema, table)].setdefault(index, ([], unique))
            entry[0].append(name)
        references: dict[TableName, dict[str, list[tuple[str, TableName, str]]]] = defaultdict(dict)
        for schema, table, constraint, name, p_schema, p_table, p_name in facts.references:
            if p_table.startswith("~"):
                # bookkeeping of DataJoint 0.14: columns that refer into stores, with an index for each
                here = keys[TableName(schema, table)]
                for index in [n for n, (columns, unique) in here.items() if columns == [name] and not unique]:
                    del here[index]
                continue
            child = references[TableName(schema, table)].setdefault(constraint, [])
            child.append((name, TableName(p_schema, p_table), p_name))
        # DataJoint 0.14 keeps a log in every schema, and marks no column that holds a blob.
        old = {schema for schema, table, _ in facts.tables if table == "~log"}
        for schema, table, comment in facts.tables:
            name_here = TableName(schema, table)
            if schema in old:
                columns[name_here] = [_of_now(column) for column in columns[name_here]]
            self._schemas[schema][table] = _structure(
                name_here, comment, columns[name_here], keys[name_here], references[name_here].values()
            )

    def _resolve_lineage(self, fresh: Container[str]) -> None:
        """Give the attributes of schemas that were just read their lineage, and those that inherit from them."""
        resolved: dict[TableName, TableStructure] = {}

        def known(name: TableName) -> TableStructure | None:
            return self._schemas.get(name.schema, {}).get(name.table)

        def resolve(name: TableName) -> TableStructure | None:
            if name in resolved:
                return resolved[name]
            table = known(name)
            if table is None:
                return None
            resolved[name] = table
            parents = {fk.parent: resolve(fk.parent) for fk in table.foreign_keys if fk.parent != name}
            if name.schema not in fresh and all(p is not None and p is known(n) for n, p in parents.items()):
                return table
            resolved[name] = _with_lineage(table, parents)
            return resolved[name]

        for schema, tables in self._schemas.items():
            for table in tables:
                resolve(TableName(schema, table))
        for name, found in resolved.items():
            self._schemas[name.schema][name.table] = found


def _with_lineage(
    table: TableStructure, parents: Mapping[TableName, TableStructure | None]
) -> TableStructure:
    """Return a table whose attributes have the lineage, and the types as written, of those they refer to."""
    inherited: dict[str, Attribute] = {}
    for fk in table.foreign_keys:
        parent = parents.get(fk.parent)
        for ours, theirs in zip(fk.attributes, fk.parent_attributes, strict=True):
            found = parent.heading.attributes.get(theirs) if parent else None
            if found is not None:
                inherited.setdefault(ours, found)
    name, attributes = table.name, []
    for attribute in table.heading.all_attributes:
        parent_attribute = inherited.get(attribute.name)
        if parent_attribute is not None:
            # The parent knows the type as it was written; the child's column only as it is stored.
            attribute = replace(
                attribute,
                lineage=parent_attribute.lineage,
                type=parent_attribute.type,
                stored_type=parent_attribute.stored_type,
            )
        elif attribute.in_key:
            attribute = replace(attribute, lineage=(name.schema, name.table, attribute.name))
        attributes.append(attribute)
    return replace(table, heading=Heading(tuple(attributes), table.comment))


def _structure(
    name: TableName,
    comment: str,
    columns: Sequence[ColumnFacts],
    keys: dict[str, tuple[list[str], bool]],
    references: Iterable[list[tuple[str, TableName, str]]],
) -> TableStructure:
    primary = keys.get("PRIMARY", ([], True))[0]
    attributes = [_attribute(column, in_key=column.name in primary) for column in columns]
    by_name = {attribute.name: attribute for attribute in attributes}
    ordered = [by_name[n] for n in primary if n in by_name]
    ordered += [a for a in attributes if not a.in_key]
    indexes = [Index(tuple(c), unique) for n, (c, unique) in keys.items() if n != "PRIMARY" and all(c)]
    unique_sets = [set(index.columns) for index in indexes if index.unique]
    foreign_keys = []
    references = list(references)
    shared = Counter(row[0] for rows in references for row in rows)
    for rows in references:
        ours = tuple(row[0] for row in rows)
        # Of an attribute that several foreign keys share nobody can tell which of them lets it be empty.
        telling = [n for n in ours if shared[n] == 1 and n not in primary] or ours
        foreign_keys.append(
            ForeignKey(
                parent=rows[0][1],
                attributes=ours,
                parent_attributes=tuple(row[2] for row in rows),
                in_key=all(n in primary for n in ours),
                nullable=any(by_name[n].nullable for n in telling if n in by_name),
                unique=set(ours) in unique_sets,
            )
        )
    positions = {attribute.name: place for place, attribute in enumerate(ordered)}
    foreign_keys.sort(key=lambda fk: [positions.get(n, 0) for n in fk.attributes])
    supporting = [set(fk.attributes) for fk in foreign_keys]
    kept = [i for i in indexes if set(i.columns) not in supporting]
    return TableStructure(name, Heading(tuple(ordered), comment), tuple(foreign_keys), tuple(kept))


def _of_now(column: ColumnFacts) -> ColumnFacts:
    """Return a column that DataJoint 0.14 declared as today's DataJoint would mark it."""
    match = _OLD_MARK.match(column.comment)
    if match and match["store"]:
        marker = f":<legacy_{match['kind']}@{match['store']}>:"
    elif match:
        marker = f":<{match['kind']}>:"
    elif _OLD_BLOB.fullmatch(column.sql_type) and not column.comment.startswith(":"):
        return column._replace(comment=f":<blob>:{column.comment}")
    else:
        return column
    return column._replace(comment=marker + column.comment[match.end() :])


def _attribute(column: ColumnFacts, *, in_key: bool) -> Attribute:
    match = _MARKED.fullmatch(column.comment)
    kind, comment = (match["type"], match["comment"]) if match else (column.sql_type, column.comment)
    stored = column.sql_type
    if kind.startswith("<"):
        name, at, store = kind[1:-1].partition("@")
        try:
            stored = resolve_dtype(name, store if at else None)
        except UnknownCodecError:
            # The table stays usable; only this attribute cannot be read until its codec is installed.
            stored = "json" if stored in ("json", "longtext") else stored
    elif match:
        stored = kind
    elif column.is_own:
        # In SQL the same type; here it is none of those whose values we know.
        stored = f"/* own */ {stored}"
    return Attribute(
        name=column.name,
        type=kind,
        stored_type=stored,
        in_key=in_key,
        nullable=column.nullable,
        default=column.default,
        comment=comment,
        autoincrement=column.autoincrement,
    )


def lineage_rows(table: TableStructure) -> list[tuple[str, str, str]]:
    """Return the rows ``(table, attribute, lineage)`` that DataJoint keeps of a table in ``~lineage``."""
    rows = []
    for attribute in table.heading.all_attributes:
        lineage: Lineage | None = attribute.lineage
        if lineage is None and attribute.in_key:
            lineage = (table.name.schema, table.name.table, attribute.name)
        if lineage is not None:
            rows.append((table.name.table, attribute.name, ".".join(lineage)))
    return rows
