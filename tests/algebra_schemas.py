"""Small schemas drawn at random, with few rows: what queries of the algebra are asked of.

Parents come before their children; foreign keys are primary or secondary, renamed, empty or not. Attributes bear the
same names in several tables now and then, and so do values in several rows.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from hypothesis import strategies as st

import dj_panel as dj
from tests.algebra_model import Row, Rows

WORDS = ["a", "b", "B", "", "é", "it's", "x%"]
NAMES = ("Alpha", "Beta", "Gamma", "Delta")

# kind → what a definition says, and the values that rows have
KINDS: dict[str, tuple[str, list[Any]]] = {
    "int": ("int32", [-1, 0, 1, 2, 3]),
    "str": ("varchar(8)", WORDS),
    "enum": ("enum('b', 'a', 'c d')", ["b", "a", "c d"]),
    "date": ("date", [dt.date(1999, 12, 31), dt.date(2026, 1, 2), dt.date(2026, 1, 3)]),
    "datetime": (
        "datetime",
        [dt.datetime(1999, 12, 31, 23, 59, 59), dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5)],
    ),
    "decimal": ("decimal(5, 2)", [Decimal("-1.50"), Decimal("0.00"), Decimal("0.25"), Decimal("10.00"), Decimal("9.75")]),
    "float": ("float64", [-1.5, 0.0, 0.25, 10.0, 9.75]),
    "bool": ("bool", [0, 1]),
    "uuid": ("uuid", [uuid.UUID(int=1), uuid.UUID(int=2**100), uuid.UUID(int=2**127)]),
}  # fmt: skip


class Choices(Protocol):
    """Where choices come from."""

    def integer(self, low: int, high: int) -> int:
        """Return a whole number."""


class Dice:
    """Choices made at random, a hundred times as fast as Hypothesis's and without making failures smaller.

    Little is lost by it: of each query the parts are checked first, the smallest before all.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class Drawn:
    """Choices made by Hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))


def one(choices: Choices, options: Sequence[Any]) -> Any:
    return options[choices.integer(0, len(options) - 1)]


def flag(choices: Choices) -> bool:
    return bool(choices.integer(0, 1))


def some(choices: Choices, options: Sequence[Any], most: int, least: int = 0) -> list[Any]:
    """Return some different ones of the options."""
    found = [one(choices, options) for _ in range(choices.integer(least, most))]
    return list(dict.fromkeys(found))


@dataclass
class Link:
    """A foreign key: which attribute here is which of the parent."""

    parent: str
    names: dict[str, str]
    in_key: bool
    nullable: bool = False

    def __str__(self) -> str:
        renamed = ", ".join(f'{ours}="{theirs}"' for ours, theirs in self.names.items() if ours != theirs)
        return f"-> {'[nullable] ' if self.nullable else ''}{self.parent}{f'.proj({renamed})' if renamed else ''}"


@dataclass
class SmallTable:
    """A table of a drawn schema, with its rows."""

    name: str
    lines: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    nullable: set[str] = field(default_factory=set)
    rows: Rows = field(default_factory=lambda: Rows([], {}, {}))

    @property
    def definition(self) -> str:
        return "\n".join(self.lines)


def small_schema(choices: Choices) -> dict[str, SmallTable]:
    """Return two to four tables by their names, parents first."""
    tables: dict[str, SmallTable] = {}
    for name in NAMES[: choices.integer(2, 4)]:
        tables[name] = _table(choices, name, tables)
    return tables


def _table(choices: Choices, name: str, tables: Mapping[str, SmallTable]) -> SmallTable:
    table = SmallTable(name)
    parents = [n for n, t in tables.items() if t.rows.key]
    for _ in range(choices.integer(0, 2) if parents else 0):
        _refer(choices, table, tables[one(choices, parents)], in_key=True)
    least = 0 if table.links or choices.integer(0, 9) == 0 else 1
    for number in range(choices.integer(least, 2)):
        _add(
            choices,
            table,
            one(choices, [f"{name.lower()}{number}", f"{name.lower()}{number}", "id"]),
            in_key=True,
        )
    table.lines.append("---")
    for _ in range(choices.integer(0, 1) if parents else 0):
        _refer(choices, table, tables[one(choices, parents)], in_key=False)
    for attribute in some(choices, ["x", "y", "z", f"{name.lower()}_x", f"{name.lower()}_y"], 3):
        _add(choices, table, attribute, in_key=False)
    _fill(choices, table, tables)
    return table


def _add(choices: Choices, table: SmallTable, name: str, *, in_key: bool) -> None:
    rows = table.rows
    if name in rows.types:
        return
    kind = one(choices, [k for k in KINDS if k != "float"] if in_key else list(KINDS))
    is_nullable = not in_key and flag(choices)
    table.lines.append(f"{name}{' = null' if is_nullable else ''} : {KINDS[kind][0]}")
    table.own.append(name)
    if is_nullable:
        table.nullable.add(name)
    if in_key:
        rows.key.append(name)
    rows.types[name] = kind
    rows.lineage[name] = f"{table.name}.{name}" if in_key else None


def _refer(choices: Choices, table: SmallTable, parent: SmallTable, *, in_key: bool) -> None:
    """Add a foreign key, with other names where those of the parent are taken, or by chance."""
    rows, theirs = table.rows, parent.rows
    names: dict[str, str] = {}
    for old in theirs.key:
        is_shared = in_key and rows.lineage.get(old) == theirs.lineage[old]
        is_free = old not in rows.types or is_shared
        new = old if is_free and choices.integer(0, 2) else f"{table.name[0].lower()}{len(table.links)}_{old}"
        names[new] = old
    if set(names) <= set(rows.types):
        return  # it is there already
    link = Link(parent.name, names, in_key, nullable=not in_key and flag(choices))
    table.links.append(link)
    table.lines.append(str(link))
    for new, old in names.items():
        if in_key and new not in rows.key:
            rows.key.append(new)
        rows.types[new] = theirs.types[old]
        rows.lineage[new] = theirs.lineage[old]


def _fill(choices: Choices, table: SmallTable, tables: Mapping[str, SmallTable]) -> None:
    rows = table.rows
    most = 6 if rows.key else 1
    for _ in range(choices.integer(0, most) and choices.integer(1, most)):
        row = _row(choices, table, tables)
        if row is not None and all(any(row[n] != other[n] for n in rows.key) for other in rows.rows):
            rows.rows.append({name: row[name] for name in rows.types})


def _row(choices: Choices, table: SmallTable, tables: Mapping[str, SmallTable]) -> Row | None:
    row: Row = {}
    for link in table.links:
        if link.nullable and flag(choices):
            row.update(dict.fromkeys(link.names))
            continue
        parents = [
            p
            for p in tables[link.parent].rows.rows
            if all(row.get(n, p[old]) == p[old] for n, old in link.names.items())
        ]
        if not parents:
            return None
        parent = one(choices, parents)
        row.update({new: parent[old] for new, old in link.names.items()})
    for name in table.own:
        is_empty = name in table.nullable and choices.integer(0, 2) == 0
        row[name] = None if is_empty else one(choices, KINDS[table.rows.types[name]][1])
    return row


def declare_small(schema: dj.Schema, tables: Mapping[str, SmallTable]) -> dict[str, Any]:
    """Declare the tables in a schema, fill them, and return their classes by name."""
    classes: dict[str, Any] = {}
    for name, table in tables.items():
        cls = type(name, (dj.Manual,), {"definition": table.definition})
        classes[name] = schema(cls, context=dict(classes))
        classes[name].insert(table.rows.rows)
    return classes
