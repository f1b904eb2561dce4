"""What a deletion takes with it: computed on the graph of foreign keys, counted, then carried out.

For each table that depends on the deleted rows there is one query of the rows to go; where several foreign
keys lead to a table, a row goes if any of them says so. Children carry their parents' keys, so a condition on a
key is asked of the children themselves: no table is searched for rows whose parents match.

Source: DataJoint 2.3, `reference/specs/data-manipulation`, deletion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dj_panel.core.algebra import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Distinct,
    Group,
    Join,
    KeyMatch,
    Limit,
    Negation,
    Node,
    OneOf,
    Ordering,
    PassedOver,
    Project,
    Relation,
    Restrict,
    TextCondition,
    TextMatch,
    UnionOf,
)
from dj_panel.core.catalog import Catalog
from dj_panel.core.connection import Connection
from dj_panel.core.dialect import Statement
from dj_panel.core.errors import IntegrityError, QuerySyntaxError, UnknownAttributeError
from dj_panel.core.graph import Graph
from dj_panel.core.render import count_statement, delete_statement, exists_statement, select_statement
from dj_panel.core.rows import label
from dj_panel.core.sqltext import parse_text
from dj_panel.core.structure import ForeignKey, TableName, TableStructure
from dj_panel.core.words import say

__all__ = ["Deletion", "plan_deletion", "refuse_passed_over"]

_MAX_VALUES = 5000
_MAX_COUNTED = 200


@dataclass(frozen=True)
class Deletion:
    """The rows to delete, table by table, parents first.

    Parameters
    ----------
    nodes
        For each table the rows that go.
    chosen
        The tables whose rows were chosen, rather than found by following foreign keys: the one that was
        asked for, and masters that go because their parts do.
    orphaning
        For parts that are reached on another way than through their master: the rows whose master stays.
    graph
        The foreign keys.
    """

    nodes: Mapping[TableName, Node]
    chosen: tuple[TableName, ...]
    orphaning: Mapping[TableName, Node]
    graph: Graph

    def counts(self, connection: Connection) -> dict[TableName, int]:
        """Return how many rows of each table go; tables of which none goes are left out. One query counts all."""
        return self._asked(
            connection, {n: count_statement(q, connection.dialect) for n, q in self.nodes.items()}
        )

    def present(self, connection: Connection) -> dict[TableName, int]:
        """Return the tables of which rows go, in less time than counting takes; only the chosen are counted."""
        statements = {
            name: (count_statement if name in self.chosen else exists_statement)(node, connection.dialect)
            for name, node in self.nodes.items()
        }
        return self._asked(connection, statements)

    @staticmethod
    def _asked(connection: Connection, statements: Mapping[TableName, Statement]) -> dict[TableName, int]:
        found: dict[TableName, int] = {}
        names = list(statements)
        for start in range(0, len(names), _MAX_COUNTED):
            part = names[start : start + _MAX_COUNTED]
            sql = f"SELECT {', '.join(f'({statements[name].sql})' for name in part)}"
            row = connection.query(sql, [v for name in part for v in statements[name].parameters]).fetchone()
            found.update(zip(part, map(int, row), strict=True))
        return {name: number for name, number in found.items() if number}

    def check_parts(self, connection: Connection) -> None:
        """Refuse to leave a master without some of its parts.

        Raises
        ------
        IntegrityError
            If part rows would go and their master would not.
        """
        for name, node in self.orphaning.items():
            master = name.master
            if master is not None and _count(connection, node):
                raise IntegrityError(
                    say(
                        "This would delete rows of the part {part} and keep their master {master}.",
                        part=label(name),
                        master=label(master),
                    ),
                    table=label(name),
                    parent=label(master),
                    remedy=say(
                        "Delete from {master}, or say part_integrity='cascade' to delete the masters too, or "
                        "'ignore' to delete the parts alone.",
                        master=label(master),
                    ),
                )

    def carry_out(self, connection: Connection, counts: Mapping[TableName, int]) -> dict[TableName, int]:
        """Delete the rows, children first, and return how many went; to be called in a transaction.

        Parameters
        ----------
        connection
            The connection.
        counts
            What :meth:`counts` or :meth:`present` tells; in other tables no row is looked for.

        Raises
        ------
        IntegrityError
            If the server finds rows in the way, which then came after counting.
        """
        deleted: dict[TableName, int] = defaultdict(int)
        for nodes in self._passes(connection, counts):
            for name in reversed([name for name in nodes if name in counts]):
                relation = Relation(name, self.graph.tables[name].heading)
                statement = delete_statement(nodes[name], relation, connection.dialect)
                try:
                    deleted[name] += connection.run(statement).rowcount
                except IntegrityError as error:
                    raise IntegrityError(
                        say(
                            "Nothing was deleted: other rows that depend on those of {table} arrived meanwhile.",
                            table=label(name),
                        ),
                        table=error.table,
                        attributes=error.attributes,
                        parent=label(name),
                        remedy=say("Look at the counts again."),
                    ) from error
        return {name: number for name, number in deleted.items() if number}

    def _passes(
        self, connection: Connection, counts: Mapping[TableName, int]
    ) -> Iterator[Mapping[TableName, Node]]:
        """Yield the queries to delete by.

        Keys are put into them where the rows to ask would be gone before, and where a table would be searched
        for rows whose parents match, although the few keys of those are known.
        """
        start = self.chosen[0]
        if len(self.chosen) == 1 and _stays_true(self.nodes[start], set(self.nodes)):
            is_found_by_key = all(_is_found_by_key(self.nodes[name]) for name in counts if name != start)
            if is_found_by_key or counts.get(start, 0) > _MAX_VALUES:
                yield self.nodes
                return
        keys = {name: self._keys(connection, name) for name in self.chosen}
        for name, (names, values) in keys.items():
            relation = Relation(name, self.graph.tables[name].heading)
            size = max(1, _MAX_VALUES // max(len(names), 1))
            for i in range(0, len(values), size):
                rows = Restrict(relation, OneOf.of_rows(names, values[i : i + size])) if names else relation
                yield _Spread(self.graph, {name: rows}).nodes

    def _keys(
        self, connection: Connection, name: TableName
    ) -> tuple[tuple[str, ...], tuple[tuple[object, ...], ...]]:
        names = tuple(self.graph.tables[name].heading.primary_key)
        rows = connection.run(select_statement(self.nodes[name], connection.dialect, names))
        return names, tuple(tuple(row) for row in rows)


def _count(connection: Connection, node: Node) -> int:
    return int(connection.run(count_statement(node, connection.dialect)).fetchone()[0])


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
        The rows of it.
    part_integrity
        ``"enforce"``, ``"ignore"``, or ``"cascade"``, which deletes the master of each part row that goes,
        with all it owns.

    Raises
    ------
    UnknownAttributeError
        If a dict that restricts them names an attribute that was passed over.
    """
    if part_integrity not in ("enforce", "ignore", "cascade"):
        raise QuerySyntaxError(
            f"part_integrity is 'enforce', 'ignore' or 'cascade', and not {part_integrity!r}."
        )
    refuse_passed_over(node)
    graph = catalog.graph_with_children()
    spread = _Spread(graph, {start: node})
    chosen = [start]
    pulled: set[TableName] = set()
    while part_integrity == "cascade" and (parts := spread.parts_by_themselves() - pulled):
        pulled |= parts
        for part in sorted(parts):
            master = part.master
            if master is None or master not in graph.tables:
                continue
            match = KeyMatch(spread.nodes[part], tuple(graph.tables[master].heading.primary_key))
            spread.extra[master].append(match)
            if master not in chosen:
                chosen.append(master)
        spread = _Spread(graph, {start: node}, spread.extra)
    orphaning = {}
    for part in spread.parts_by_themselves() if part_integrity == "enforce" else ():
        master = part.master
        if master is None or master not in graph.tables:
            continue
        rows = spread.nodes[part]
        if master in spread.nodes:
            key = tuple(graph.tables[master].heading.primary_key)
            rows = Restrict(rows, Negation(KeyMatch(spread.nodes[master], key)))
        orphaning[part] = rows
    return Deletion(spread.nodes, tuple(chosen), orphaning, graph)


def refuse_passed_over(node: Node) -> None:
    """Refuse rows to delete or to change that a dict was to restrict by an attribute that is not there.

    More rows match then than were meant, which may be asked for but not lost.

    Raises
    ------
    UnknownAttributeError
        With the first such attribute.
    """
    for condition, source in _conditions(node):
        if isinstance(condition, PassedOver):
            where = label(source.name) if isinstance(source, Relation) else "the query"
            raise UnknownAttributeError(
                condition.names[0],
                available=source.heading.names,
                where=where,
                remedy=say(
                    "Only selecting passes over a name that another table has: correct it, or leave it out."
                ),
            )


class _Spread:
    """The rows that go, found by following foreign keys from parents to children.

    Parameters
    ----------
    graph
        The foreign keys.
    start
        Where the deletion begins: a table, and the rows of it.
    extra
        Further rows to go, as conditions.
    """

    def __init__(
        self,
        graph: Graph,
        start: Mapping[TableName, Node],
        extra: Mapping[TableName, Iterable[Condition]] | None = None,
    ) -> None:
        self.graph = graph
        self.start = start
        self.extra: dict[TableName, list[Condition]] = defaultdict(list)
        self.extra.update({name: list(conditions) for name, conditions in (extra or {}).items()})
        self.reached_from: dict[TableName, set[TableName]] = defaultdict(set)
        conditions: dict[TableName, list[Condition]] = defaultdict(list)
        reached = {n for source in (*start, *self.extra) for n in graph.descendants(source)}
        self.nodes: dict[TableName, Node] = {}
        for name in (n for n in graph.order if n in reached):
            self.nodes[name] = self._rows(name, [*self.extra.get(name, ()), *conditions[name]])
            for child, fk in graph.children(name):
                condition = _match(self.nodes[name], fk, graph.tables[child])
                if condition not in conditions[child]:
                    conditions[child].append(condition)
                self.reached_from[child].add(name)

    def _rows(self, name: TableName, conditions: list[Condition]) -> Node:
        if name in self.start and not conditions:
            return self.start[name]
        relation = Relation(name, self.graph.tables[name].heading)
        if name in self.start:
            conditions = [KeyMatch(self.start[name], tuple(relation.heading.primary_key)), *conditions]
        return Restrict(relation, conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions)))

    def parts_by_themselves(self) -> set[TableName]:
        """Return the parts of which rows may go although their master does not."""
        found = set()
        for name in self.nodes:
            family = {name.master, *(n for n in self.reached_from[name] if n.master == name.master)}
            if name.master is not None and (name in self.start or self.reached_from[name] - family):
                found.add(name)
        return found


def _match(parent: Node, fk: ForeignKey, child: TableStructure) -> Condition:
    """Return the condition that a row's parent is one of the given."""
    inherited = _inherited(parent, fk, child)
    if inherited is not None:
        return inherited
    kept = tuple(zip(fk.attributes, fk.parent_attributes, strict=True))
    return KeyMatch(Project(parent, kept), fk.attributes)


def _inherited(parent: Node, fk: ForeignKey, child: TableStructure) -> Condition | None:
    """Return the condition on the parents as one on the child's own copies of their attributes.

    ``None`` if it asks for something that the child does not have, or that may be empty there.
    """
    if any(child.heading[name].nullable for name in fk.attributes):
        return None
    names = dict(zip(fk.parent_attributes, fk.attributes, strict=True))
    conditions: list[Condition] = []
    while isinstance(parent, Restrict):
        moved = _moved(parent.condition, names)
        if moved is None:
            return None
        conditions.append(moved)
        parent = parent.source
    if not isinstance(parent, Relation):
        return None
    if not conditions:
        return Constant(value=True)
    return conditions[0] if len(conditions) == 1 else AllOf(tuple(conditions))


def _moved(condition: Condition, names: Mapping[str, str]) -> Condition | None:
    """Return a condition with its attributes renamed; ``None`` if one of them has no new name."""
    if isinstance(condition, (Constant, PassedOver)):
        return condition
    if isinstance(condition, (Comparison, Ordering, TextMatch)):
        name = names.get(condition.attribute)
        return None if name is None else replace(condition, attribute=name)
    if isinstance(condition, OneOf):
        if not names.keys() >= set(condition.attributes):
            return None
        return replace(condition, attributes=tuple(names[n] for n in condition.attributes))
    if isinstance(condition, Negation):
        inner = _moved(condition.condition, names)
        return None if inner is None else Negation(inner)
    if isinstance(condition, (AllOf, AnyOf)):
        parts = [_moved(part, names) for part in condition.conditions]
        found = tuple(part for part in parts if part is not None)
        return replace(condition, conditions=found) if len(found) == len(parts) else None
    if isinstance(condition, TextCondition):
        used = parse_text(condition.text, "mysql").attributes
        return condition if all(names.get(name) == name for name in used) else None
    if isinstance(condition, KeyMatch):
        return condition if all(names.get(name) == name for name in condition.attributes) else None
    return None


def _is_found_by_key(node: Node) -> bool:
    """Tell whether rows are told by their own attributes alone, with no query of others."""
    while isinstance(node, Restrict):
        if next(_queries(node.condition), None) is not None:
            return False
        node = node.source
    return isinstance(node, Relation)


def _stays_true(node: Node, doomed: set[TableName]) -> bool:
    """Tell whether a query selects the same rows of its table after rows of doomed tables are gone."""
    while isinstance(node, Restrict):
        if any(doomed & set(_tables(inner)) for inner in _queries(node.condition)):
            return False
        node = node.source
    return isinstance(node, Relation)


def _queries(condition: Condition) -> Iterator[Node]:
    """Yield the queries that a condition asks."""
    for part in _parts(condition):
        if isinstance(part, KeyMatch):
            yield part.node


def _parts(condition: Condition) -> Iterator[Condition]:
    """Yield a condition and those that it is made of."""
    yield condition
    if isinstance(condition, Negation):
        yield from _parts(condition.condition)
    elif isinstance(condition, (AllOf, AnyOf)):
        for part in condition.conditions:
            yield from _parts(part)


def _nodes(node: Node) -> Iterator[Node]:
    """Yield a query and those that it is made of, those that its conditions ask among them."""
    yield node
    if isinstance(node, (Project, Distinct, Limit, Restrict)):
        yield from _nodes(node.source)
        if isinstance(node, Restrict):
            for inner in _queries(node.condition):
                yield from _nodes(inner)
    elif isinstance(node, Group):
        yield from _nodes(node.source)
        yield from _nodes(node.group)
    elif isinstance(node, (Join, UnionOf)):
        yield from _nodes(node.a)
        yield from _nodes(node.b)


def _tables(node: Node) -> Iterator[TableName]:
    """Yield the tables that a query reads."""
    return (inner.name for inner in _nodes(node) if isinstance(inner, Relation))


def _conditions(node: Node) -> Iterator[tuple[Condition, Node]]:
    """Yield every condition in a query, with what it restricts."""
    for inner in _nodes(node):
        if isinstance(inner, Restrict):
            source = inner.source
            while isinstance(source, Restrict):
                source = source.source
            for part in _parts(inner.condition):
                yield part, source
