"""The graph of foreign keys: order, cycles, ancestors and descendants. Drawing is not here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from dj_panel.core.errors import GraphError
from dj_panel.core.structure import ForeignKey, TableName, TableStructure

__all__ = ["Graph"]


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
            cycle = " → ".join(map(str, error.args[1]))
            raise GraphError(
                f"The foreign keys form a cycle: {cycle}. Break it by removing one of them."
            ) from error

    def descendants(self, name: TableName) -> list[TableName]:
        """Return a table and all that depend on it, in topological order."""
        return self._reach(name, lambda n: [child for child, _ in self.children(n)])

    def ancestors(self, name: TableName) -> list[TableName]:
        """Return a table and all that it depends on, in topological order."""
        return self._reach(name, lambda n: [parent for parent, _ in self.parents(n)])

    def _reach(self, name: TableName, step: object) -> list[TableName]:
        found = {name}
        waiting = [name]
        while waiting:
            for other in step(waiting.pop()):  # type: ignore[operator]
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return [n for n in self.order if n in found]
