"""A model of the query algebra in plain Python, for tests to compare answers with.

A query is a *recipe*, nested tuples of an operator and its operands. :func:`evaluate` answers it from rows in
memory by the rules of DataJoint's documentation, and :func:`build` makes the real query of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Recipe = tuple[Any, ...]


class RefusedError(Exception):
    """The rules do not allow this query."""


@dataclass
class Rows:
    """What a query gives: attributes, key and rows."""

    key: list[str]
    types: dict[str, str]
    """Name → kind (``"int"``, ``"str"``, …), in order, the key first."""
    lineage: dict[str, str | None]
    rows: list[Row] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return list(self.types)


def evaluate(recipe: Recipe, tables: Mapping[str, Rows]) -> Rows:
    """Answer a query from memory; raise :class:`RefusedError` where the rules forbid it."""
    operator, *operands = recipe
    return _OPERATORS[operator](lambda r: evaluate(r, tables), tables, *operands)


Ask = Callable[[Recipe], Rows]


def _table(ask: Ask, tables: Mapping[str, Rows], name: str) -> Rows:
    return tables[name]


def _shared(a: Rows, b: Rows) -> list[str]:
    shared = [n for n in a.names if n in b.types]
    for name in shared:
        if a.lineage[name] is None or a.lineage[name] != b.lineage[name]:
            raise RefusedError(f"{name} means different things")
    return shared


def _equal(a: Row, b: Row, names: Iterable[str]) -> bool:
    return all(a[n] is not None and a[n] == b[n] for n in names)


def _restrict(ask: Ask, tables: Mapping[str, Rows], source: Recipe, condition: Recipe) -> Rows:
    rows = ask(source)
    holds = _condition(ask, rows, condition)
    return Rows(rows.key, rows.types, rows.lineage, [r for r in rows.rows if holds(r) is True])


def _subtract(ask: Ask, tables: Mapping[str, Rows], source: Recipe, condition: Recipe) -> Rows:
    return _restrict(ask, tables, source, ("not", condition))


def _condition(ask: Ask, rows: Rows, condition: Recipe) -> Callable[[Row], bool | None]:
    kind, *parts = condition
    if kind == "dict":
        return lambda row: all(
            row[n] in v if isinstance(v, list) else row[n] == v for n, v in parts[0].items()
        )
    if kind == "query":
        other = ask(parts[0])
        shared = _shared(rows, other)
        return lambda row: any(_equal(row, o, shared) for o in other.rows)
    if kind == "not":
        inner = _condition(ask, rows, parts[0])
        return lambda row: inner(row) is not True
    if kind in ("any", "all"):
        inners = [_condition(ask, rows, part) for part in parts[0]]
        join = any if kind == "any" else all
        return lambda row: join(inner(row) is True for inner in inners)
    if kind == "true":
        return lambda row: parts[0]
    if kind == "set":  # of distinct values, every row has one
        return lambda row: True
    return lambda row: truth(parts[0], row)


def truth(text: Recipe, row: Row) -> bool | None:
    """Return whether a condition given as text holds; None if it is unknown."""
    kind, *parts = text
    if kind in ("and", "or"):
        values = [truth(part, row) for part in parts]
        decided = kind == "or"
        return decided if decided in values else None if None in values else not decided
    if kind == "not":
        value = truth(parts[0], row)
        return None if value is None else not value
    value = row[parts[0]]
    if kind == "null":
        return value is None
    if value is None:
        return None
    if kind == "in":
        return value in parts[1]
    if kind == "between":
        return bool(parts[1] <= value <= parts[2])
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    }  # fmt: skip
    return compare[kind](value, parts[1])


def _proj(
    ask: Ask, tables: Mapping[str, Rows], source: Recipe, kept: tuple[str, ...], named: dict[str, Recipe]
) -> Rows:
    rows = ask(source)
    pairs = [(n, n) for n in rows.names if n in rows.key or n in kept]
    computed: dict[str, Recipe] = {}
    for new, what in named.items():
        if what[0] != "rename":
            computed[new] = what
        elif (what[1], what[1]) in pairs and what[1] not in kept:
            pairs[pairs.index((what[1], what[1]))] = (new, what[1])
        else:
            pairs.append((new, what[1]))
    names = [new for new, _ in pairs] + list(computed)
    if len(set(names)) < len(names):
        raise RefusedError("two attributes of one name")
    pairs.sort(key=lambda pair: rows.names.index(pair[1]))
    key = [new for new, old in pairs if old in rows.key]
    pairs.sort(key=lambda pair: pair[0] not in key)
    types = {new: rows.types[old] for new, old in pairs}
    types |= {new: "int" if what[0] == "empty" else rows.types[what[1]] for new, what in computed.items()}
    lineage = {new: rows.lineage[old] for new, old in pairs} | dict.fromkeys(computed)
    out = [
        {new: row[old] for new, old in pairs} | {new: expression(what, row) for new, what in computed.items()}
        for row in rows.rows
    ]
    return Rows(key, types, lineage, out)


def expression(what: Recipe, row: Row) -> Any:
    """Return the value of a computed attribute."""
    kind, name, *rest = what
    value = row[name]
    if kind == "plus":
        return None if value is None else value + rest[0]
    if kind == "coalesce":
        return rest[0] if value is None else value
    return int(value is None)


def _join(ask: Ask, tables: Mapping[str, Rows], left: bool, first: Recipe, second: Recipe) -> Rows:
    a, b = ask(first), ask(second)
    shared = _shared(a, b)
    if left and not set(b.key) <= set(a.names):
        raise RefusedError("the left operand does not determine the other")
    if set(b.key) <= set(a.names):
        key = a.key
    elif set(a.key) <= set(b.names) and not left:
        key = b.key
    else:
        key = [*a.key, *(n for n in b.key if n not in a.key)]
    both = {**a.types, **{n: t for n, t in b.types.items() if n not in a.types}}
    types = {n: both[n] for n in [*key, *(n for n in both if n not in key)]}
    rows = []
    for row in a.rows:
        partners = [other for other in b.rows if _equal(row, other, shared)]
        rows += [{**other, **row} for other in partners]
        if left and not partners:
            rows.append({**dict.fromkeys(b.names), **row})
    return Rows(key, types, {**b.lineage, **a.lineage}, rows)


def _aggregate(what: Recipe, rows: list[Row]) -> Any:
    kind, name = what
    if kind == "rows":
        return len(rows)
    values = [row[name] for row in rows if row[name] is not None]
    if kind == "count":
        return len(values)
    if kind == "distinct":
        return len(set(values))
    if not values:
        return None
    reduce: Callable[[list[Any]], Any] = {"sum": sum, "min": min, "max": max}[kind]  # type: ignore[assignment]
    return reduce(values)


def _kind(what: Recipe, types: Mapping[str, str]) -> str:
    """Return the kind of an aggregate; the least of some choices is the first word by letters, and text."""
    kind, name = what
    if kind not in ("sum", "min", "max"):
        return "int"
    return {"bool": "int", "enum": "str"}.get(types[name], types[name])


def _aggr(
    ask: Ask, tables: Mapping[str, Rows], first: Recipe, second: Recipe, kept: tuple[str, ...],
    named: dict[str, Recipe], exclude: bool,
) -> Rows:  # fmt: skip
    a, b = ask(first), ask(second)
    shared = _shared(a, b)
    if not set(a.key) <= set(b.names):
        raise RefusedError("the key is not in the group")
    names = [n for n in a.names if n in a.key or n in kept]
    if set(names) & set(named):
        raise RefusedError("two attributes of one name")
    both = {**b.types, **a.types}
    types = {n: a.types[n] for n in names} | {n: _kind(w, both) for n, w in named.items()}
    rows = []
    for row in a.rows:
        group = [{**other, **row} for other in b.rows if _equal(row, other, shared)]
        if not group and exclude:
            continue
        group = group or [{**dict.fromkeys(b.names), **row}]
        rows.append({n: row[n] for n in names} | {n: _aggregate(w, group) for n, w in named.items()})
    return Rows(a.key, types, {n: a.lineage[n] for n in names} | dict.fromkeys(named), rows)


def _union(ask: Ask, tables: Mapping[str, Rows], first: Recipe, second: Recipe) -> Rows:
    a, b = ask(first), ask(second)
    if set(a.key) != set(b.key):
        raise RefusedError("different keys")
    if any(n in b.types for n in a.names if n not in a.key):
        raise RefusedError("a shared attribute")
    if not alike_in(a.key, a, b):
        raise RefusedError("an attribute of two types")
    empty = dict.fromkeys([*a.names, *b.names])
    rows = [{**empty, **row, **next((o for o in b.rows if _equal(row, o, a.key)), {})} for row in a.rows]
    rows = [{**row, **{n: old[n] for n in a.names}} for row, old in zip(rows, a.rows, strict=True)]
    rows += [{**empty, **row} for row in b.rows if not any(_equal(row, o, a.key) for o in a.rows)]
    return Rows(a.key, {**a.types, **b.types}, {**b.lineage, **a.lineage}, rows)


def alike_in(names: Iterable[str], a: Rows, b: Rows) -> bool:
    """Tell whether attributes have the same types in both."""
    alike = {"bool": "int"}
    return all(alike.get(a.types[n], a.types[n]) == alike.get(b.types[n], b.types[n]) for n in names)


def _top(
    ask: Ask,
    tables: Mapping[str, Rows],
    source: Recipe,
    order: tuple[tuple[str, bool], ...],
    limit: int,
    offset: int,
) -> Rows:
    rows = ask(source)
    ordered = list(rows.rows)
    for name, descending in reversed([*order, *((n, False) for n in rows.key)]):
        # An empty value comes before every other.
        is_enum = rows.types[name] == "enum"
        ordered.sort(key=lambda row: _sortable(row[name], is_enum=is_enum), reverse=descending)
    return Rows(rows.key, rows.types, rows.lineage, ordered[offset : offset + limit])


ENUM = ("b", "a", "c d")
"""The choices of every enum: the order of its values."""


def _sortable(value: Any, *, is_enum: bool) -> tuple[Any, ...]:
    if value is None:
        return (False,)
    return (True, ENUM.index(value) if is_enum else value)


def _universe(
    ask: Ask, tables: Mapping[str, Rows], source: Recipe, names: tuple[str, ...], named: dict[str, Recipe]
) -> Rows:
    rows = ask(source)
    if set(names) & set(named):
        raise RefusedError("two attributes of one name")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows.rows:
        groups.setdefault(tuple(row[n] for n in names), []).append(row)
    if not names and not groups:
        groups[()] = []
    types = {n: rows.types[n] for n in names} | {n: _kind(w, rows.types) for n, w in named.items()}
    out = [
        dict(zip(names, values, strict=True)) | {n: _aggregate(w, group) for n, w in named.items()}
        for values, group in groups.items()
    ]
    return Rows(list(names), types, {n: rows.lineage[n] for n in names} | dict.fromkeys(named), out)


_OPERATORS: dict[str, Callable[..., Rows]] = {
    "table": _table, "restrict": _restrict, "subtract": _subtract, "proj": _proj,
    "join": lambda ask, tables, a, b: _join(ask, tables, False, a, b),
    "left": lambda ask, tables, a, b: _join(ask, tables, True, a, b),
    "extend": lambda ask, tables, a, b: _join(ask, tables, True, a, b),
    "aggr": _aggr, "union": _union, "top": _top, "universe": _universe,
}  # fmt: skip


# ------------------------------------------------------------------------ the real query
def build(recipe: Recipe, tables: Mapping[str, Any], dj: Any) -> Any:
    """Return the query that a recipe stands for, of these tables and in this library."""
    operator, *operands = recipe
    if operator == "table":
        return tables[operands[0]]()
    source = build(operands[0], tables, dj)
    if operator == "restrict":
        return source & _restriction(operands[1], tables, dj)
    if operator == "subtract":
        return source - _restriction(operands[1], tables, dj)
    if operator == "proj":
        return source.proj(*operands[1], **{new: _text_of(what) for new, what in operands[2].items()})
    if operator == "top":
        order = [f"{name} DESC" if descending else name for name, descending in operands[1]]
        return source & dj.Top(operands[2], [*order, "KEY"], operands[3])
    if operator == "universe":
        universe = dj.U(*operands[1])
        if not operands[2]:
            return universe & source
        return universe.aggr(source, **{n: _aggregate_text(w) for n, w in operands[2].items()})
    other = build(operands[1], tables, dj)
    if operator == "aggr":
        named = {n: _aggregate_text(w) for n, w in operands[3].items()}
        return source.aggr(other, *operands[2], exclude_nonmatching=operands[4], **named)
    if operator == "union":
        return source + other
    if operator == "extend":
        return source.extend(other)
    return source.join(other, left=operator == "left")


def _restriction(condition: Recipe, tables: Mapping[str, Any], dj: Any) -> Any:
    kind, *parts = condition
    if kind == "query":
        return build(parts[0], tables, dj)
    if kind == "not":
        return dj.Not(_restriction(parts[0], tables, dj))
    if kind == "any":
        return [_restriction(part, tables, dj) for part in parts[0]]
    if kind == "all":
        return dj.AndList([_restriction(part, tables, dj) for part in parts[0]])
    if kind == "set":
        return dj.U(*parts[0])
    return said(parts[0]) if kind == "text" else parts[0]


def said(text: Recipe) -> str:
    """Return a condition as a user writes it."""
    kind, *parts = text
    if kind in ("and", "or"):
        return "(" + f" {kind} ".join(map(said, parts)) + ")"
    if kind == "not":
        return f"not ({said(parts[0])})"
    if kind == "null":
        return f"{parts[0]} is null"
    if kind == "in":
        return f"{parts[0]} in ({', '.join(map(_literal, parts[1]))})"
    if kind == "between":
        return f"{parts[0]} between {_literal(parts[1])} and {_literal(parts[2])}"
    return f"{parts[0]} {kind} {_literal(parts[1])}"


def _literal(value: Any) -> str:
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _text_of(what: Recipe) -> str:
    kind, name, *rest = what
    if kind == "plus":
        return f"{name} + {rest[0]}"
    if kind == "coalesce":
        return f"coalesce({name}, {rest[0]})"
    return f"{name} is null" if kind == "empty" else str(name)


def _aggregate_text(what: Recipe) -> str:
    kind, name = what
    if kind == "rows":
        return "count(*)"
    return f"count(distinct {name})" if kind == "distinct" else f"{kind}({name})"
