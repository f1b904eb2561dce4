"""The graph of foreign keys: order, cycles, ancestors and descendants. Drawing is not here."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from dj_panel.core.errors import GraphError
from dj_panel.core.structure import ForeignKey, TableName, TableStructure

__all__ = ["Graph", "cycle_error"]

Node = TypeVar("Node", bound=Hashable)
_Step = Callable[[TableName], Iterable[TableName]]


def said(name: TableName) -> str:
    """Return a table's name as people say it."""
    return f"{name.schema}.{name.class_name}"


def cycle_error(cycle: Sequence[str]) -> GraphError:
    """Return the error for tables of which each refers to the next, and the last is the first again."""
    return GraphError(
        f"The foreign keys form a cycle: {' → '.join(cycle)}. Remove one of them: a row would have to be there"
        " before itself. A table that refers to both sides can say what they have to do with each other."
    )


class Graph:
    """Tables and the foreign keys between them.

    Parameters
    ----------
    tables
        The tables. Parents that are not among them are left out of the graph.
    """

    def __init__(self, tables: Iterable[TableStructure]) -> None:
        self.tables: Mapping[TableName, TableStructure] = {
            t.name: t for t in tables if not t.name.table.startswith("~")
        }
        self._children: dict[TableName, list[tuple[TableName, ForeignKey]]] = defaultdict(list)
        for table in self.tables.values():
            for fk in table.foreign_keys:
                if fk.parent in self.tables:
                    self._children[fk.parent].append((table.name, fk))

    def parents(self, name: TableName) -> list[tuple[TableName, ForeignKey]]:
        """Return the parents of a table with the foreign keys to them, in the table's order."""
        return [(fk.parent, fk) for fk in self.tables[name].foreign_keys if fk.parent in self.tables]

    def children(self, name: TableName) -> list[tuple[TableName, ForeignKey]]:
        """Return the tables that refer to this one, with their foreign keys."""
        return self._children.get(name, [])

    def parts(self, name: TableName) -> list[TableName]:
        """Return the part tables of a master."""
        return sorted(t for t in self.tables if t.master == name)

    @cached_property
    def order(self) -> tuple[TableName, ...]:
        """All tables, each after its parents.

        Raises
        ------
        GraphError
            If foreign keys form a cycle, which the message prints.
        """
        sorter = TopologicalSorter(
            {
                name: sorted(
                    {fk.parent for fk in t.foreign_keys if fk.parent in self.tables and fk.parent != name}
                )
                for name, t in sorted(self.tables.items())
            }
        )
        try:
            return tuple(sorter.static_order())
        except CycleError as error:
            # graphlib lists each table after its parent; a foreign key leads the other way
            raise cycle_error([said(name) for name in reversed(error.args[1])]) from error

    def check_new(self, name: TableName, parents: Iterable[TableName]) -> None:
        """Refuse a table that is to be, if its foreign keys would close a cycle of tables or of schemas.

        Tables that are not in the graph count as well, where a foreign key names them: it may have been
        declared while the server checked none, and waits for its parent.

        Raises
        ------
        GraphError
            With the cycle printed.
        """
        for parent in dict.fromkeys(parents):
            up = self._way(parent, name, lambda n: [k.parent for k in self._keys(n)])
            if up is not None:
                raise cycle_error([said(n) for n in (name, *up)])
        leads_to: dict[str, list[str]] = defaultdict(list)
        for table in self.tables.values():
            leads_to[table.name.schema] += [fk.parent.schema for fk in table.foreign_keys]
        for schema in dict.fromkeys(parent.schema for parent in parents):
            if schema == name.schema or schema in leads_to[name.schema]:
                continue  # a way between schemas that was there before is not closed by this table
            back = self._way(schema, name.schema, lambda s: leads_to[s])
            if back is not None:
                cycle = " → ".join([name.schema, *back])
                raise GraphError(
                    f"{said(name)} would make schemas depend on each other in a cycle: {cycle}. Put the table into"
                    f" the schema {schema}, or into a new one that refers to both."
                )

    def _keys(self, name: TableName) -> tuple[ForeignKey, ...]:
        table = self.tables.get(name)
        return table.foreign_keys if table else ()

    @staticmethod
    def _way(start: Node, goal: Node, step: Callable[[Node], Iterable[Node]]) -> list[Node] | None:
        """Return the shortest way from one node to another, both included."""
        ways = {start: [start]}
        waiting = deque([start])
        while waiting:
            here = waiting.popleft()
            if here == goal:
                return ways[here]
            for other in step(here):
                if other not in ways:
                    ways[other] = [*ways[here], other]
                    waiting.append(other)
        return None

    def descendants(self, name: TableName) -> list[TableName]:
        """Return a table and all that depend on it, in topological order."""
        return self._reach(name, self._below)

    def ancestors(self, name: TableName) -> list[TableName]:
        """Return a table and all that it depends on, in topological order."""
        return self._reach(name, self._above)

    def _reach(self, name: TableName, step: _Step) -> list[TableName]:
        found = _reached(name, step)
        return [n for n in self.order if n in found]

    def _above(self, name: TableName) -> list[TableName]:
        return [parent for parent, _ in self.parents(name)]

    def _below(self, name: TableName) -> list[TableName]:
        return [child for child, _ in self.children(name)]

    def relatives_have(self, name: TableName, attribute: str, given: Collection[str]) -> bool:
        """Tell whether a table's relatives have an attribute: then a key of theirs may name it here too.

        Relatives are the tables above and below. So are those that share a part of the primary key with it, of
        which the whole is given: what is given is then their key, and says which rows are meant.

        Parameters
        ----------
        name
            The table.
        attribute
            The attribute, which the table itself may have under another name.
        given
            All attributes that are given together with it.
        """
        if name not in self.tables:
            return False
        above = _reached(name, self._above)
        if any(
            attribute in self.tables[other].heading
            for other in (above | _reached(name, self._below)) - {name}
        ):
            return True
        ours = self.tables[name].heading.primary_key
        for shared in above - {name}:
            key = set(self.tables[shared].heading.primary_key)
            if not key or not key <= set(given).intersection(ours):
                continue
            for other in _reached(shared, self._below):
                theirs = self.tables[other].heading.primary_key
                if attribute in theirs and key <= set(theirs):
                    return True
        return False


def _reached(name: TableName, step: _Step) -> set[TableName]:
    """Return a table and all that are reached from it, also where foreign keys form a cycle."""
    found = {name}
    waiting = [name]
    while waiting:
        for other in step(waiting.pop()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
