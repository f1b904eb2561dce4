"""What a deletion takes with it: computed on the graph of foreign keys, counted, then carried out.

For each table that depends on the deleted rows there is one query of the rows to go; where several foreign
keys lead to a table, a row goes if any of them says so.

Source: DataJoint 2.3, `reference/specs/data-manipulation`, deletion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dj_panel.core.algebra import AnyOf, Condition, KeyMatch, Node, Project, Relation, Restrict
from dj_panel.core.catalog import Catalog
from dj_panel.core.connection import Connection
from dj_panel.core.errors import IntegrityError
from dj_panel.core.graph import Graph
from dj_panel.core.render import count_statement, delete_statement
from dj_panel.core.rows import label
from dj_panel.core.structure import ForeignKey, TableName

__all__ = ["Deletion", "plan_deletion"]


@dataclass(frozen=True)
class Deletion:
    """The rows to delete, table by table, parents first."""

    nodes: Mapping[TableName, Node]
    relations: Mapping[TableName, Relation]

    def counts(self, connection: Connection) -> dict[TableName, int]:
        """Return how many rows of each table go; tables of which none goes are left out."""
        found = {}
        for name, node in self.nodes.items():
            number = connection.run(count_statement(node, connection.dialect)).fetchone()[0]
            if number:
                found[name] = int(number)
        return found

    def carry_out(self, connection: Connection, tables: Sequence[TableName]) -> dict[TableName, int]:
        """Delete the rows, children first, and return how many went; to be called in a transaction."""
        deleted = {}
        for name in reversed(list(self.nodes)):
            if name in tables:
                statement = delete_statement(self.nodes[name], self.relations[name], connection.dialect)
                deleted[name] = connection.run(statement).rowcount
        return deleted


def plan_deletion(
    catalog: Catalog, start: TableName, node: Node, part_integrity: str = "enforce"
) -> Deletion:
    """Return what deleting these rows of a table takes with it.

    Parameters
    ----------
    catalog
        Knows the tables; schemas that depend on them are loaded.
    start
        The table.
    node
        The rows of it, as a restriction of the table.
    part_integrity
        ``"cascade"`` deletes the master of each part row that goes, with all it owns.
    """
    graph = catalog.graph_with_children()
    conditions: dict[TableName, list[Condition]] = defaultdict(list)
    nodes: dict[TableName, Node] = {start: node}
    if part_integrity == "cascade":
        _extend_to_masters(graph, catalog, start, nodes)
    top = next(iter(nodes))
    for name in graph.descendants(top):
        relation = _relation(catalog, name)
        if name not in nodes:
            if not conditions[name]:
                continue
            found = conditions[name]
            nodes[name] = Restrict(relation, found[0] if len(found) == 1 else AnyOf(tuple(found)))
        for child, fk in graph.children(name):
            conditions[child].append(_match(nodes[name], fk))
    ordered = {name: nodes[name] for name in graph.descendants(top) if name in nodes}
    return Deletion(ordered, {name: _relation(catalog, name) for name in ordered})


def check_parts(counts: Mapping[TableName, int], start: TableName) -> None:
    """Refuse to leave a master without some of its parts.

    Raises
    ------
    IntegrityError
        If part rows would go and rows of their master would not.
    """
    for name in counts:
        master = name.master
        if master is not None and master not in counts:
            raise IntegrityError(
                f"This would delete rows of the part {label(name)} and keep their master {label(master)}."
                f" Delete from {label(master)}, or say part_integrity='cascade' to delete the masters too,"
                " or 'ignore' to delete the parts alone.",
                table=str(name),
            )


def _extend_to_masters(
    graph: Graph, catalog: Catalog, start: TableName, nodes: dict[TableName, Node]
) -> None:
    """Begin at the master instead, if rows of one of its parts were asked for."""
    master = start.master
    if master is None:
        return
    relation = _relation(catalog, master)
    key = tuple(relation.heading.primary_key)
    rows = nodes.pop(start)
    nodes[master] = Restrict(relation, KeyMatch(rows, key))


def _relation(catalog: Catalog, name: TableName) -> Relation:
    return Relation(name, catalog.structure(name).heading)


def _match(parent: Node, fk: ForeignKey) -> Condition:
    kept = tuple(zip(fk.attributes, fk.parent_attributes, strict=True))
    return KeyMatch(Project(parent, kept), fk.attributes)
