"""Queries of every operator, drawn at random for the tables of a schema: recipes for the model and for the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.algebra_model import Recipe, RefusedError, Rows, alike_in, evaluate
from tests.algebra_schemas import KINDS, WORDS, Choices, flag, one, some

QUERIES = (
    "table",
    "restrict",
    "subtract",
    "proj",
    "join",
    "left",
    "extend",
    "aggr",
    "union",
    "top",
    "universe",
)
NUMBERS = ("int", "float", "decimal")
_MOST_ROWS = 400


class Queries:
    """Draws queries.

    Parameters
    ----------
    choices
        Where the choices come from.
    tables
        The tables by their names, as the model has them.
    new_names
        What computed and renamed attributes may be called.
    """

    def __init__(self, choices: Choices, tables: Mapping[str, Rows], new_names: list[str]) -> None:
        self.choices, self.tables, self.new_names = choices, tables, new_names

    def answer(self, recipe: Recipe) -> Rows | None:
        """Return what the model answers; ``None`` if the rules forbid the query."""
        try:
            return evaluate(recipe, self.tables)
        except RefusedError:
            return None

    def query(self, depth: int) -> Recipe:
        """Return a query of at most so many operators one upon the other."""
        if depth <= 0:
            return ("table", one(self.choices, list(self.tables)))
        source = self.query(depth - 1)
        rows = self.answer(source)
        if rows is None or not rows.names or len(rows.rows) > _MOST_ROWS:
            return source
        operators: list[Callable[[Recipe, Rows, int], Recipe]] = [
            self.restricted, self.restricted, self.projected, self.limited, self.universal, self.paired, self.paired,
            self.aggregated, self.united,
        ]  # fmt: skip
        recipe = one(self.choices, operators)(source, rows, depth)
        # Some of what the rules forbid is kept, to see it refused.
        return recipe if self.answer(recipe) is not None or not self.choices.integer(0, 5) else source

    # ------------------------------------------------------------------ values and conditions
    def value_of(self, rows: Rows, name: str) -> Any:
        seen = [row[name] for row in rows.rows if row[name] is not None]
        if seen and self.choices.integer(0, 3):
            return one(self.choices, seen)
        kind = rows.types[name]
        if kind == "int":
            return self.choices.integer(-2, 10)
        return one(self.choices, [*WORDS, "M1", "mouse", "1"] if kind == "str" else KINDS[kind][1])

    def values_of(self, rows: Rows, name: str, least: int = 0) -> list[Any]:
        return [self.value_of(rows, name) for _ in range(self.choices.integer(least, 3))]

    def text(self, rows: Rows, depth: int = 2) -> Recipe:
        kinds = [
            "=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "null",
            "in",
            "between",
            *(["and", "or", "not"] * (depth > 0)),
        ]
        kind = one(self.choices, kinds)
        if kind in ("and", "or"):
            return (kind, self.text(rows, depth - 1), self.text(rows, depth - 1))
        if kind == "not":
            return (kind, self.text(rows, depth - 1))
        name = one(self.choices, rows.names)
        if kind == "null" or rows.types[name] == "uuid":  # which has no form as text that all servers know
            return ("null", name)
        if kind == "in":
            return (kind, name, self.values_of(rows, name, 1))
        if kind == "between":
            return (kind, name, self.value_of(rows, name), self.value_of(rows, name))
        return (kind, name, self.value_of(rows, name))

    def fitting(self, rows: Rows, other: Recipe) -> Recipe:
        """Return a query without the attributes that would keep it from being matched with rows; mostly."""
        theirs = self.answer(other)
        if theirs is None or not self.choices.integer(0, 9):
            return other
        kept = [n for n in theirs.names if n not in theirs.key and n not in rows.types]
        kept += [
            n
            for n in theirs.names
            if n not in theirs.key and rows.lineage.get(n) == theirs.lineage[n] is not None
        ]
        return ("proj", other, tuple(kept), {})

    def condition(self, rows: Rows, depth: int) -> Recipe:
        kinds = ["dict", "dict", "text", "text", "query", "query", "true", "keys", "set"]
        kind = one(self.choices, [*kinds, *(["not", "any", "all"] * (depth > 0))])
        if kind == "query":
            return ("query", self.fitting(rows, self.query(depth)))
        if kind == "not":
            return ("not", self.condition(rows, depth - 1))
        if kind in ("any", "all"):
            return (kind, [self.condition(rows, depth - 1) for _ in range(self.choices.integer(0, 3))])
        if kind == "true":
            return ("true", flag(self.choices))
        if kind == "set":
            return ("set", tuple(some(self.choices, rows.names, 2)))
        if kind == "text":
            return ("text", self.text(rows))
        names = some(self.choices, rows.names, 2)
        if kind == "keys":
            keys = (
                [{n: one(self.choices, rows.rows)[n] for n in names} for _ in range(4)] if rows.rows else []
            )
            return ("any", [("dict", key) for key in keys[self.choices.integer(0, 4) :]])
        values: dict[str, Any] = {}
        for name in names:
            values[name] = one(self.choices, [None, self.values_of, self.value_of, self.value_of])
            if values[name] is not None:
                values[name] = values[name](rows, name)
        return ("dict", values)

    def aggregates(self, rows: Rows) -> dict[str, Recipe]:
        summed = [n for n in rows.names if rows.types[n] in NUMBERS]
        sorted_ = [n for n in rows.names if rows.types[n] not in ("uuid", "bool")]
        named: dict[str, Recipe] = {}
        for new in some(self.choices, ["n", "m", "total"], 2, 1):
            kind = one(self.choices, ["rows", "count", "distinct", "sum", "min", "max"])
            names = summed if kind == "sum" else sorted_ if kind in ("min", "max") else rows.names
            named[new] = (kind, one(self.choices, names)) if names else ("rows", rows.names[0])
        return named

    # ------------------------------------------------------------------ operators
    def restricted(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        operator = one(self.choices, ["restrict", "restrict", "subtract"])
        return (operator, source, self.condition(rows, depth - 1))

    def projected(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        named: dict[str, Recipe] = {}
        for new in some(self.choices, self.new_names, 2):
            name = one(self.choices, rows.names)
            kind = one(
                self.choices, ["rename", "empty", *(["plus", "coalesce"] * (rows.types[name] in NUMBERS))]
            )
            computed = kind in ("plus", "coalesce")
            named[new] = (kind, name, self.choices.integer(-1, 3)) if computed else (kind, name)
        return ("proj", source, tuple(some(self.choices, rows.names, 3)), named)

    def limited(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        order = tuple((name, flag(self.choices)) for name in some(self.choices, rows.names, 2))
        return ("top", source, order, self.choices.integer(0, 5), self.choices.integer(0, 2))

    def universal(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        names = tuple(some(self.choices, rows.names, 3))
        return ("universe", source, names, self.aggregates(rows) if flag(self.choices) or not names else {})

    def paired(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        other = self.fitting(rows, self.query(depth - 1))
        return (one(self.choices, ["join", "join", "left", "extend"]), source, other)

    def aggregated(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        other = self.fitting(rows, self.query(depth - 1))
        theirs = self.answer(other)
        both = Rows([], {**(theirs.types if theirs else {}), **rows.types}, {})
        kept = tuple(some(self.choices, rows.names, 3))
        return ("aggr", source, other, kept, self.aggregates(both), flag(self.choices))

    def united(self, source: Recipe, rows: Rows, depth: int) -> Recipe:
        if flag(self.choices):
            # Two parts of one query, with different attributes.
            half = self.restricted(source, rows, depth)
            apart = [n for n in rows.names if n not in rows.key]
            first = tuple(n for n in apart if flag(self.choices))
            second = tuple(n for n in apart if n not in first)
            return ("union", ("proj", source, first, {}), ("proj", half, second, {}))
        other = self.fitting(rows, self.query(depth - 1))
        theirs = self.answer(other)
        shared = [n for n in rows.key if theirs is not None and n in theirs.key]
        if theirs is not None and not alike_in(
            [n for n in shared if None in (rows.lineage[n], theirs.lineage[n])], rows, theirs
        ):
            return source  # of a computed attribute only the server knows the type
        return ("union", source, other)


def queries_within(recipe: Any) -> Iterator[Recipe]:
    """Yield a query and every query that it is made of, conditions included; the smallest first."""
    if isinstance(recipe, (tuple, list)):
        for part in recipe:
            yield from queries_within(part)
        if (
            isinstance(recipe, tuple)
            and recipe
            and recipe[0] in QUERIES
            and isinstance(recipe[1], (str, tuple))
        ):
            yield recipe
