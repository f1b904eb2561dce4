"""Diagrams: parts of the foreign-key graph, put together by algebra, and restrictions that follow it.

``dj.Diagram(schema)`` is every table of a schema; ``+ 1`` adds what depends on it, ``- 1`` what it depends on.
:meth:`Diagram.cascade` shows what a deletion would take, :meth:`Diagram.trace` what a result rests on. How a
diagram is written down is the business of `diagramtext`; nothing is drawn here.

Source: DataJoint 2.3, `reference/specs/diagram`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from dj_panel.core.algebra import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    KeyMatch,
    Node,
    Project,
    Relation,
    Restrict,
)
from dj_panel.core.connection import Connection
from dj_panel.core.deletion import plan_deletion
from dj_panel.core.diagramtext import Picture, dot, mermaid
from dj_panel.core.errors import GraphError, MissingTableError, QuerySyntaxError, did_you_mean
from dj_panel.core.expression import instance_of
from dj_panel.core.graph import Graph
from dj_panel.core.structure import ForeignKey, TableName
from dj_panel.core.table import FreeTable, Table

__all__ = ["Diagram"]

Any_Diagram = TypeVar("Any_Diagram", bound="Diagram")


class Diagram:
    """Some tables and the foreign keys between them.

    Parameters
    ----------
    source
        A schema, a module that has one, a table, or another diagram.
    context
        Kept for DataJoint's signature; tables are called by their classes' names.

    Examples
    --------
    ``Diagram(schema) + 1`` adds the children of its tables, ``- 1`` the parents; ``a + b`` is all of both,
    ``a - b`` what only the first has, ``a * b`` what both have. ``list(diagram)`` is its tables, parents
    before children.
    """

    def __init__(self, source: Any, context: Mapping[str, Any] | None = None) -> None:
        if isinstance(source, Diagram):
            self.__dict__.update(source.__dict__)
            return
        self._connection, names = _tables_of(source)
        self._graph: Graph = self._connection.catalog.graph_with_children()
        self._names: frozenset[TableName] = frozenset(n for n in names if n in self._graph.tables)
        self._expanded = self._names
        self._mode = ""
        self._rows: Mapping[TableName, Node] = {}
        self._seeds: tuple[tuple[TableName, Node], ...] = ()

    def _with(self: Any_Diagram, **changed: Any) -> Any_Diagram:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__.update(changed)
        return copy

    @classmethod
    def _of(cls: type[Any_Diagram], expression: Any, mode: str) -> tuple[Any_Diagram, Table]:
        table = instance_of(expression)
        if not isinstance(table, Table):
            raise QuerySyntaxError(
                f"Diagram.{mode}() takes a table, perhaps restricted, and not another query of it."
            )
        table.connection.catalog.tables(table.name.schema)
        return cls(table)._with(_mode=mode), table

    @classmethod
    def from_sequence(cls: type[Any_Diagram], sequence: Iterable[Any]) -> Any_Diagram:
        """Return all that several sources have."""
        diagrams = [cls(source) for source in sequence]
        if not diagrams:
            raise QuerySyntaxError("Diagram.from_sequence() needs at least one source.")
        result = diagrams[0]
        for other in diagrams[1:]:
            result = result + other
        return result

    # ------------------------------------------------------------------ what it holds
    @property
    def connection(self) -> Connection:
        """The connection of its tables."""
        return self._connection

    @property
    def names(self) -> list[TableName]:
        """The tables, parents before children, parts right after their masters where that can be."""
        order = [n for n in self._graph.order if n in self._names]
        families: dict[TableName, list[TableName]] = {}
        for name in order:
            if name.master is not None:
                families.setdefault(name.master, []).append(name)
        placed: dict[TableName, None] = {}
        for name in order:
            placed[name] = None
            for part in families.get(name.master or name, ()):
                if all(n in placed for n in self._parents(part) & self._names):
                    placed[part] = None
        return list(placed)

    def _parents(self, name: TableName) -> set[TableName]:
        return {parent for parent, _ in self._graph.parents(name)} - {name}

    @property
    def nodes_to_show(self) -> set[str]:
        """The quoted names of the tables, as DataJoint gives them."""
        return {FreeTable(self._connection, name).full_table_name for name in self._names}

    def __len__(self) -> int:
        return len(self._names)

    def __bool__(self) -> bool:
        return bool(self._names)

    def __contains__(self, table: Any) -> bool:
        found = self._find(table)
        return found is not None and found in self._names

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Diagram):
            return NotImplemented
        return (self._names, self._expanded) == (other._names, other._expanded)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Diagram of {', '.join(f'{n.schema}.{n.class_name}' for n in self.names) or 'nothing'}"

    def __iter__(self) -> Iterator[FreeTable]:
        """Give the tables, parents first, each restricted as the diagram says."""
        return (self._table(name) for name in self.names)

    def __reversed__(self) -> Iterator[FreeTable]:
        """Give the tables, children first."""
        return (self._table(name) for name in reversed(self.names))

    def _table(self, name: TableName) -> FreeTable:
        table = FreeTable(self._connection, name)
        return table._restricted(self._rows[name]) if name in self._rows else table

    def _find(self, table: Any) -> TableName | None:
        if isinstance(table, str):
            plain = table.replace("`", "").replace('"', "")
            same = {
                n
                for n in self._graph.tables
                if plain in (f"{n.schema}.{n.table}", f"{n.schema}.{n.class_name}")
            }
            same = same or {n for n in self._names if plain in (n.class_name, n.table)}
            if len(same) > 1:
                listed = ", ".join(sorted(f"{n.schema}.{n.class_name}" for n in same))
                raise QuerySyntaxError(f"'{table}' may mean {listed}. Write the schema before it.")
            return next(iter(same), None)
        table = instance_of(table)
        return table.name if isinstance(table, Table) else None

    def __getitem__(self, table: Any) -> FreeTable:
        """Return one of its tables, by class, instance or name, restricted as the diagram says.

        Raises
        ------
        MissingTableError
            If the diagram does not have it.
        """
        name = self._find(table)
        if name is None or name not in self._names:
            known = [f"{n.schema}.{n.class_name}" for n in self.names]
            asked = table if isinstance(table, str) else name or table
            trace = " It is not what the traced rows rest on." if self._mode == "trace" else ""
            raise MissingTableError(
                f"The table {asked} is not in this diagram.{did_you_mean(str(asked), known)}{trace}"
            )
        return self._table(name)

    # ------------------------------------------------------------------ algebra
    def _same_connection(self, other: Diagram) -> None:
        if other._connection is not self._connection:
            raise GraphError(
                "The two diagrams are of different connections, so nothing can join their tables."
            )

    def _common_graph(self, other: Diagram) -> Graph:
        """Return the graph that knows the tables of both, which may have been declared one after the other."""
        self._same_connection(other)
        return self._graph if len(self._graph.tables) >= len(other._graph.tables) else other._graph

    def __add__(self: Any_Diagram, other: Any) -> Any_Diagram:
        """Add a number of steps to what depends on these tables, or another diagram, or a table."""
        if isinstance(other, int):
            return self._grown(other, lambda n: [child for child, _ in self._graph.children(n)])
        added = other if isinstance(other, Diagram) else Diagram(other)
        return self._with(
            _graph=self._common_graph(added),
            _names=self._names | added._names,
            _expanded=self._expanded | added._expanded,
        )

    def __sub__(self: Any_Diagram, other: Any) -> Any_Diagram:
        """Add a number of steps to what these tables depend on, or take another diagram or a table away."""
        if isinstance(other, int):
            return self._grown(other, lambda n: [parent for parent, _ in self._graph.parents(n)])
        taken = other if isinstance(other, Diagram) else Diagram(other)
        self._same_connection(taken)
        return self._with(_names=self._names - taken._names, _expanded=self._expanded - taken._names)

    def __mul__(self: Any_Diagram, other: Any) -> Any_Diagram:
        """Keep what another diagram has too."""
        kept = other if isinstance(other, Diagram) else Diagram(other)
        self._same_connection(kept)
        return self._with(_names=self._names & kept._names, _expanded=self._expanded & kept._names)

    def _grown(
        self: Any_Diagram, steps: int, neighbours: Callable[[TableName], Iterable[TableName]]
    ) -> Any_Diagram:
        names = set(self._names)
        for _ in range(steps):
            new = {n for name in names for n in neighbours(name)} - names
            if not new:
                break
            names |= new
        return self._with(_names=frozenset(names), _expanded=self._expanded | (names - self._names))

    def add_parts(self: Any_Diagram) -> Any_Diagram:
        """Add the parts of its masters."""
        parts = {n for n in self._graph.tables if n.master in self._names}
        return self._with(_names=self._names | parts, _expanded=self._expanded | parts)

    def collapse(self: Any_Diagram) -> Any_Diagram:
        """Show each schema as one node; added to a diagram that shows a table, the table is shown."""
        return self._with(_expanded=frozenset())

    # ------------------------------------------------------------------ restrictions
    @classmethod
    def cascade(cls: type[Any_Diagram], table_expr: Any, part_integrity: str = "enforce") -> Any_Diagram:
        """Return the rows that deleting these would take with it, in every schema.

        Parameters
        ----------
        table_expr
            The rows: a table, perhaps restricted.
        part_integrity
            As for deleting: ``"cascade"`` takes the masters of parts too.
        """
        diagram, table = cls._of(table_expr, "cascade")
        plan = plan_deletion(table.connection.catalog, table.name, table.node, part_integrity)
        names = frozenset(plan.nodes)
        return diagram._with(_graph=plan.graph, _names=names, _expanded=names, _rows=dict(plan.nodes))

    @classmethod
    def trace(cls: type[Any_Diagram], table_expr: Any) -> Any_Diagram:
        """Return the rows that these rest on: those of each ancestor that some foreign key leads to.

        ``Diagram.trace(Result & key)[Session]`` is the sessions behind a result.
        """
        diagram, table = cls._of(table_expr, "trace")
        return diagram._traced(table, lambda fk: _leads_to(table.node, fk))

    @classmethod
    def upstream(cls: type[Any_Diagram], table: Table, key: Mapping[str, Any]) -> Any_Diagram:
        """Return the rows that a row of a table will rest on, which is not there yet."""
        diagram, table = cls._of(table, "trace")

        def named(fk: ForeignKey) -> Condition | None:
            pairs = list(zip(fk.parent_attributes, fk.attributes, strict=True))
            if not all(ours in key for _, ours in pairs):
                return None
            return AllOf(tuple(Comparison(theirs, key[ours]) for theirs, ours in pairs))

        return diagram._traced(table, named)

    def _traced(
        self: Any_Diagram, table: Table, first: Callable[[ForeignKey], Condition | None]
    ) -> Any_Diagram:
        """Follow the foreign keys upwards; `first` gives the conditions of the table's own parents."""
        graph = table.connection.catalog.graph
        rows: dict[TableName, Node] = {table.name: table.node}
        conditions: dict[TableName, list[Condition]] = {}
        for name in reversed(graph.ancestors(table.name)):
            if name not in rows:
                ways = conditions.get(name)
                if ways is None:
                    continue
                rows[name] = Restrict(
                    Relation(name, graph.tables[name].heading),
                    ways[0] if len(ways) == 1 else AnyOf(tuple(ways)),
                )
            for parent, fk in graph.parents(name):
                way = first(fk) if name == table.name else _leads_to(rows[name], fk)
                if parent != name and way is not None:
                    conditions.setdefault(parent, []).append(way)
        return self._with(_graph=graph, _names=frozenset(rows), _expanded=frozenset(rows), _rows=rows)

    def restrict(self: Any_Diagram, table_expr: Any) -> Any_Diagram:
        """Restrict a table of the diagram, and all that depend on it; may be repeated.

        A row is kept only if all rows that it refers to are, where those are restricted: what an export of
        the chosen rows has to hold.
        """
        if self._mode in ("cascade", "trace"):
            raise QuerySyntaxError(
                f"restrict() is not for a diagram made by {self._mode}(). Begin with Diagram(…)."
            )
        table = instance_of(table_expr)
        if not isinstance(table, Table) or table.name not in self._names:
            raise QuerySyntaxError("restrict() takes a restricted table that is in the diagram.")
        seeds = (*self._seeds, (table.name, table.node))
        rows: dict[TableName, Node] = {}
        for name in (n for n in self._graph.order if n in self._names):
            key = tuple(self._graph.tables[name].heading.primary_key)
            whole = Relation(name, self._graph.tables[name].heading)
            chosen = [node for seed, node in seeds if seed == name]
            met: list[Condition] = [KeyMatch(node, key) for node in chosen[1:]]
            met += [_met(rows[parent], fk) for parent, fk in self._graph.parents(name) if parent in rows]
            start = chosen[0] if chosen else whole
            if met:
                rows[name] = Restrict(start, met[0] if len(met) == 1 else AllOf(tuple(met)))
            elif chosen:
                rows[name] = start
        return self._with(_mode="restrict", _seeds=seeds, _rows=rows)

    def counts(self) -> dict[str, int]:
        """Return how many rows each restricted table has, by its quoted name, parents first."""
        if not self._mode:
            raise QuerySyntaxError(
                "Nothing is restricted. Use Diagram.cascade(…), Diagram.trace(…) or restrict(…)."
            )
        tables = (self._table(name) for name in self.names if name in self._rows)
        return {table.full_table_name: len(table) for table in tables}

    def prune(self: Any_Diagram) -> Any_Diagram:
        """Leave out tables without rows; after :meth:`restrict`, those without any that is kept."""
        if self._mode == "cascade":
            raise QuerySyntaxError("prune() is not for what a deletion takes: rows may come in the meantime.")
        asked = self._rows if self._mode else self._names
        empty = {name for name in asked if name in self._names and not self._table(name)}
        return self._with(
            _names=self._names - empty,
            _expanded=self._expanded - empty,
            _rows={name: node for name, node in self._rows.items() if name not in empty},
        )

    # ------------------------------------------------------------------ written down
    @property
    def picture(self) -> Picture:
        """What there is to draw: tables, collapsed schemas, and the foreign keys between them."""
        shown = [n for n in self.names if n in self._expanded]
        hidden = [n for n in self.names if n not in self._expanded]
        return Picture.of(self._graph, shown, hidden, self._connection.settings.display.diagram_direction)

    def make_mermaid(self) -> str:
        """Return the diagram in Mermaid's language, as Markdown pages and notebooks draw it."""
        return mermaid(self.picture)

    def make_dot(self, theme: str | None = None) -> str:
        """Return the diagram in Graphviz' language; ``theme`` is kept for DataJoint's signature."""
        return dot(self.picture)


def _leads_to(child: Node, fk: ForeignKey) -> Condition:
    """Return the condition of a parent's rows to which a foreign key of some rows leads."""
    kept = tuple(zip(fk.parent_attributes, fk.attributes, strict=True))
    return KeyMatch(Project(child, kept), fk.parent_attributes)


def _met(parent: Node, fk: ForeignKey) -> Condition:
    """Return the condition of a child's rows that refer to some rows of a parent, or to none at all."""
    kept = tuple(zip(fk.attributes, fk.parent_attributes, strict=True))
    match = KeyMatch(Project(parent, kept), fk.attributes)
    if not fk.nullable:
        return match
    return AnyOf((match, *(Comparison(name, None) for name in fk.attributes)))


def _tables_of(source: Any) -> tuple[Connection, list[TableName]]:
    """Return the connection and the tables of whatever a diagram is asked for."""
    table = instance_of(source)
    if isinstance(table, Table):
        table.connection.catalog.tables(table.name.schema)
        return table.connection, [table.name]
    schema = source if hasattr(source, "list_tables") else getattr(source, "schema", None)
    if schema is None or not hasattr(schema, "list_tables"):
        raise QuerySyntaxError(
            f"A diagram is made of a schema, a module with a schema, a table or a diagram, and not of {source!r}."
        )
    schema.connection.catalog.tables(schema.name)
    return schema.connection, [TableName(schema.name, table) for table in schema.list_tables()]
