"""Algebra node → SQL and bound values.

Every table gets an alias of its own, and a query carries, for each attribute, the expression it comes from.
So renaming costs nothing, a restriction of a computed attribute repeats its expression, and restrictions,
projections and joins of tables stay one flat SELECT. Only grouping, limits and unions make a subquery.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dj_panel.core.algebra import (
    Condition,
    Distinct,
    Group,
    Join,
    KeyMatch,
    Limit,
    Negation,
    Node,
    OneOf,
    Project,
    Relation,
    Restrict,
    UnionOf,
    is_union,
)
from dj_panel.core.columntypes import IntegerType
from dj_panel.core.dialect.protocol import Dialect, Statement
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.jsonplaces import json_place
from dj_panel.core.lazy import np
from dj_panel.core.sqltext import read_over
from dj_panel.core.structure import Heading
from dj_panel.core.where import TRUE, ConditionRenderer, joined, parenthesized

__all__ = ["count_statement", "delete_statement", "exists_statement", "select_statement"]

_MANY_KEYS = 1000
_PLAIN_COLUMN = re.compile(r"""[`"]t\d+[`"]\.(?:`(?:[^`]|``)+`|"(?:[^"]|"")+")""")


@dataclass
class _Select:
    """A SELECT being built."""

    columns: dict[str, Statement]
    source: Statement
    where: list[Statement] = field(default_factory=list)
    group: list[Statement] | None = None
    distinct: bool = False
    order: list[Statement] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    is_joined: bool = False
    """Whether the source is a join and not one table."""

    @property
    def is_flat(self) -> bool:
        return self.group is None and not self.distinct and self.limit is None and not self.offset


def select_statement(
    node: Node,
    dialect: Dialect,
    attributes: Iterable[str] | None = None,
    order: Iterable[tuple[str, bool]] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Statement:
    """Return the SELECT for a query.

    Parameters
    ----------
    node
        The query.
    dialect
        The server's.
    attributes
        What to select, in order; the whole heading if not given.
    order
        Pairs ``(attribute or expression, descending)``.
    limit, offset
        How many rows, and how many to pass over first.
    """
    renderer = _Renderer(dialect)
    select = renderer.node(node)
    if order or limit is not None or offset:
        select = renderer.limited(
            select, node.heading, tuple(order), limit, offset, is_stored=not is_union(node)
        )
    names = list(node.heading.names if attributes is None else attributes)
    heading = node.heading
    for name in names:
        sql, parameters = select.columns[name]
        if heading[name].codec is None:
            select.columns[name] = Statement(dialect.selected(sql, heading[name].column_type), parameters)
    return renderer.finish(select, names)


def count_statement(node: Node, dialect: Dialect, at_most: int | None = None) -> Statement:
    """Return the SELECT that counts a query's rows, up to ``at_most`` of them if that is given."""
    renderer = _Renderer(dialect)
    select = renderer.node(node)
    if select.is_flat and at_most is None:
        return renderer.finish(_replaced(select, {"n": Statement("COUNT(*)")}), ["n"])
    if at_most is not None and select.limit is None:
        select.limit = at_most
    names = list(node.heading.primary_key or node.heading.names[:1])
    inner = renderer.finish(select, names) if names else renderer.constant(select)
    return Statement(f"SELECT COUNT(*) FROM ({inner.sql}) AS {renderer.alias()}", inner.parameters)


def exists_statement(node: Node, dialect: Dialect) -> Statement:
    """Return the SELECT that gives 1 if a query has any row, else 0."""
    renderer = _Renderer(dialect)
    inner = renderer.constant(renderer.node(node))
    return Statement(f"SELECT EXISTS ({inner.sql})", inner.parameters)


def delete_statement(node: Node, relation: Relation, dialect: Dialect) -> Statement:
    """Return the DELETE of a table's rows that a query over the same table selects."""
    renderer = _Renderer(dialect)
    target = dialect.table(relation.name)
    columns = {n: Statement(f"{target}.{dialect.quote(n)}") for n in relation.heading.names}
    conditions: list[Condition] = []
    inner: Node = node
    while isinstance(inner, Restrict):
        conditions.append(inner.condition)
        inner = inner.source
    if inner != relation:
        raise QuerySyntaxError("Only a restricted table can be deleted from, not another query of it.")
    where = [renderer.condition(c, columns, relation.heading) for c in conditions]
    condition = joined(where, " AND ")
    clause = f" WHERE {condition.sql}" if where else ""
    return Statement(f"DELETE FROM {target}{clause}", condition.parameters)


def _are_distinct_whole_numbers(listed: OneOf, heading: Heading) -> bool:
    """Tell of keys, without looking at each, whether columns of whole numbers can hold them and none is there twice."""
    places: Any = np.zeros(listed.n_rows, dtype=np.uint64)
    for name, values, types in zip(listed.attributes, listed.columns, listed.types, strict=True):
        column = heading[name].column_type
        if not isinstance(column, IntegerType) or types != {int}:
            return False
        try:
            numbers = np.fromiter(values, np.int64 if column.low < 0 else np.uint64, listed.n_rows)
        except OverflowError:
            return False
        low, high = int(numbers.min()), int(numbers.max())
        if low < column.low or high > column.high:
            return False
        # The place of a key among all in these ranges. Beyond 64 bits two keys may share one: then they are not joined.
        places = places * np.uint64((high - low + 1) % 2**64) + (numbers - numbers.min()).astype(np.uint64)
    return len(set(places.tolist())) == listed.n_rows


def _replaced(select: _Select, columns: dict[str, Statement]) -> _Select:
    return _Select(columns, select.source, select.where)


class _Renderer(ConditionRenderer):
    """Renders one statement; counts its aliases."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.n_aliases = 0

    def alias(self) -> str:
        self.n_aliases += 1
        return self.dialect.quote(f"t{self.n_aliases}")

    # ------------------------------------------------------------------ nodes
    def node(self, node: Node) -> _Select:
        if isinstance(node, Relation):
            alias = self.alias()
            columns = {n: Statement(f"{alias}.{self.dialect.quote(n)}") for n in node.heading.names}
            return _Select(columns, Statement(f"{self.dialect.table(node.name)} AS {alias}"))
        if isinstance(node, Restrict):
            select = self.flat(self.node(node.source), node.source)
            if not self.joins_keys(select, node):
                select.where.append(self.condition(node.condition, select.columns, node.source.heading))
            return select
        if isinstance(node, Project):
            return self.project(node)
        if isinstance(node, Join):
            return self.join(node)
        if isinstance(node, Group):
            return self.group(node)
        if isinstance(node, Distinct):
            return self.distinct(node)
        if isinstance(node, UnionOf):
            return self.union(node)
        if isinstance(node, Limit):
            select = self.node(node.source)
            is_stored = not is_union(node.source)
            return self.limited(
                select, node.heading, node.order, node.limit, node.offset, is_stored=is_stored
            )
        raise QuerySyntaxError(f"{type(node).__name__} is not a query.")

    def joins_keys(self, select: _Select, node: Restrict) -> bool:
        """Join a long list of keys of whole numbers, if the server reads it sooner as a table than as a condition."""
        condition, heading = node.condition, node.source.heading
        if not self.dialect.joins_long_lists or not isinstance(condition, OneOf):
            return False
        if condition.n_rows < _MANY_KEYS:
            return False
        # Keys of other types, or beyond what a column can hold, are left out, or refused, by a condition; and a key
        # that is there twice would join each row twice.
        if not _are_distinct_whole_numbers(condition, heading):
            return False
        table = self.dialect.key_table(condition.attributes, condition.columns)
        alias = self.alias()
        used = [select.columns[name] for name in condition.attributes]
        on = [
            Statement(f"{column.sql} = {alias}.{self.dialect.quote(name)}", column.parameters)
            for name, column in zip(condition.attributes, used, strict=True)
        ]
        matches = joined(on, " AND ")
        select.source = Statement(
            f"{select.source.sql} JOIN ({table}) AS {alias} ON {matches.sql}",
            select.source.parameters + matches.parameters,
        )
        select.is_joined = True
        return True

    def flat(self, select: _Select, node: Node) -> _Select:
        """Return a SELECT that can take a WHERE or a JOIN: the same one, or one around it."""
        return select if select.is_flat else self.wrapped(select, node)

    def wrapped(self, select: _Select, node: Node, *, is_apart: bool = False) -> _Select:
        """Return a SELECT around another one, which the server is to evaluate by itself if it is apart."""
        inner = self.finish(select, node.heading.names)
        sql = self.dialect.evaluated_apart(inner.sql) if is_apart and select.is_flat else inner.sql
        alias = self.alias()
        columns = {n: Statement(f"{alias}.{self.dialect.quote(n)}") for n in node.heading.names}
        return _Select(columns, Statement(f"({sql}) AS {alias}", inner.parameters))

    def project(self, node: Project) -> _Select:
        select = self.node(node.source)
        if node.computed:
            select = self.flat(select, node.source)
        columns = {new: select.columns[old] for new, old in node.kept}
        for name, text, _ in node.computed:
            # In parentheses, for another expression may be made of it.
            columns[name] = parenthesized(self.text(text, select.columns, node.source.heading))
        select.columns = columns
        return select

    def join(self, node: Join) -> _Select:
        a = self.flat(self.node(node.a), node.a)
        b = self.flat(self.node(node.b), node.b)
        if node.left:
            b = self.plain(b, node.b)
        joined = self.paired(a, b, node.matched, left=node.left)
        every = {**b.columns, **a.columns}
        joined.columns = {name: every[name] for name in node.heading.names}
        return joined

    def plain(self, select: _Select, node: Node, names: Iterable[str] | None = None) -> _Select:
        """Return a SELECT whose columns, or the named ones, are columns of its source.

        In a left join those are empty where there is no partner; an expression over them need not be. And MariaDB
        does not see of every expression that it is what rows are grouped by.
        """
        wanted = select.columns if names is None else names
        if all(_PLAIN_COLUMN.fullmatch(select.columns[name].sql) for name in wanted):
            return select
        return self.wrapped(select, node, is_apart=True)

    def paired(self, a: _Select, b: _Select, matched: Iterable[str], *, left: bool) -> _Select:
        on = [Statement(f"{a.columns[n].sql} = {b.columns[n].sql}",
                        a.columns[n].parameters + b.columns[n].parameters) for n in matched]  # fmt: skip
        where = list(a.where)
        if left:
            on += b.where
        else:
            where += b.where
        condition = joined(on, " AND ") if on else TRUE
        right = f"({b.source.sql})" if b.is_joined else b.source.sql
        source = Statement(
            f"{a.source.sql} {'LEFT ' if left else ''}JOIN {right} ON {condition.sql}",
            a.source.parameters + b.source.parameters + condition.parameters,
        )
        return _Select({}, source, where, is_joined=True)

    def group(self, node: Group) -> _Select:
        a = self.flat(self.node(node.source), node.source)
        a = self.plain(a, node.source, [old for _, old in node.kept])
        b = self.flat(self.node(node.group), node.group)
        if node.keep_all:
            b = self.plain(b, node.group)
        select = self.paired(a, b, node.matched, left=node.keep_all)
        available = {**b.columns, **a.columns}
        heading = Heading(
            (*node.source.heading.attributes.values(),
             *(x for n, x in node.group.heading.attributes.items() if n not in node.source.heading))
        )  # fmt: skip
        select.columns = {new: a.columns[old] for new, old in node.kept}
        # Without a key there is one group, but none where there are no rows.
        select.group = list(select.columns.values()) or [TRUE]
        for name, text, _ in node.computed:
            select.columns[name] = self.text(text, available, heading)
            # What stands outside the aggregates belongs to the source's row, of which there is one for each group.
            place = json_place(text, heading)
            outside = (place.attribute,) if place else read_over(text, self.dialect.name, heading).outside
            for used in outside:
                if available[used] not in select.group:
                    select.group.append(available[used])
        return select

    def distinct(self, node: Distinct) -> _Select:
        select = self.flat(self.node(node.source), node.source)
        if node.computed:
            select = self.plain(select, node.source, node.attributes)
        columns = {name: select.columns[name] for name in node.attributes}
        if node.computed:
            select.group = list(columns.values())
            for name, text, _ in node.computed:
                columns[name] = self.text(text, select.columns, node.source.heading)
        else:
            select.distinct = bool(columns)
            if not columns:
                select.limit = 1
        select.columns = columns
        return select

    def union(self, node: UnionOf) -> _Select:
        names = node.heading.names
        key = tuple(node.heading.primary_key)
        only_b = Restrict(node.b, Negation(KeyMatch(node.a, key)))
        # Where both have a row with the same key, it is one row with the attributes of both.
        first = Join(node.a, node.b, key, left=True) if node.b.heading.secondary_attributes else node.a
        pieces = []
        for side in (first, only_b):
            select = self.flat(self.node(side), side)
            select.columns = {n: select.columns.get(n, Statement("NULL")) for n in names}
            pieces.append(self.finish(select, names))
        both = joined(pieces, " UNION ALL ")
        alias = self.alias()
        columns = {n: Statement(f"{alias}.{self.dialect.quote(n)}") for n in names}
        return _Select(columns, Statement(f"({both.sql}) AS {alias}", both.parameters))

    def limited(
        self,
        select: _Select,
        heading: Heading,
        order: tuple[tuple[str, bool], ...],
        limit: int | None,
        offset: int,
        *,
        is_stored: bool = True,
    ) -> _Select:
        by_expression = any(name not in heading for name, _ in order)
        if select.limit is not None or select.offset or (by_expression and not select.is_flat):
            inner = self.finish(select, heading.names)
            alias = self.alias()
            columns = {n: Statement(f"{alias}.{self.dialect.quote(n)}") for n in heading.names}
            select = _Select(columns, Statement(f"({inner.sql}) AS {alias}", inner.parameters))
        for name, descending in order:
            if name in select.columns:
                column = select.columns[name]
                sql = self.dialect.order_expression(
                    column.sql, heading[name].column_type, is_stored=is_stored
                )
            else:
                column = parenthesized(self.text(name, select.columns, heading))
                sql = column.sql
            select.order.append(Statement(f"{sql} DESC" if descending else sql, column.parameters))
        select.limit, select.offset = limit, offset
        return select

    def finish(self, select: _Select, names: Iterable[str]) -> Statement:
        """Return the SQL of a SELECT with these columns."""
        columns = [
            Statement(f"{select.columns[n].sql} AS {self.dialect.quote(n)}", select.columns[n].parameters)
            for n in names
        ]
        return self.assembled(select, joined(columns, ", ")) if columns else self.constant(select)

    def constant(self, select: _Select) -> Statement:
        """Return the SQL of a SELECT of which only the rows matter."""
        if select.distinct:
            # How many there are is decided by what is selected.
            rows = self.finish(select, select.columns)
        else:
            # Aggregates over everything give one row even where there is none to aggregate.
            rows = self.assembled(select, Statement("COUNT(*)" if select.group == [] else "1"))
        if select.limit is None and not select.offset:
            return rows
        # EXISTS pays no heed to the OFFSET of a SELECT, but to that of one within.
        return Statement(f"SELECT 1 FROM ({rows.sql}) AS {self.alias()}", rows.parameters)

    def assembled(self, select: _Select, columns: Statement) -> Statement:
        parts = [
            Statement(f"SELECT {'DISTINCT ' if select.distinct else ''}{columns.sql}", columns.parameters)
        ]
        parts.append(Statement(f"FROM {select.source.sql}", select.source.parameters))
        if select.where:
            where = joined(select.where, " AND ")
            parts.append(Statement(f"WHERE {where.sql}", where.parameters))
        if select.group:
            group = joined(select.group, ", ")
            parts.append(Statement(f"GROUP BY {group.sql}", group.parameters))
        if select.order:
            order = joined(select.order, ", ")
            parts.append(Statement(f"ORDER BY {order.sql}", order.parameters))
        if select.limit is not None or select.offset:
            # Both servers want a LIMIT before an OFFSET; this one is MySQL's own idiom for "no limit".
            limit = 2**63 - 1 if select.limit is None else select.limit
            parts.append(Statement(f"LIMIT {int(limit)} OFFSET {int(select.offset)}"))
        return joined(parts, " ")

    def key_match(self, condition: KeyMatch, columns: Mapping[str, Statement]) -> Statement:
        names = condition.attributes
        select = self.node(condition.node)
        if not names:
            inner = self.constant(select)
            return Statement(f"EXISTS ({inner.sql})", inner.parameters)
        if select.is_flat:
            # NOT EXISTS stays right when either side is empty (NULL); NOT IN does not.
            for name in names:
                inside, outside = select.columns[name], columns[name]
                select.where.append(
                    Statement(f"{inside.sql} = {outside.sql}", inside.parameters + outside.parameters)
                )
            inner = self.constant(select)
            return Statement(f"EXISTS ({inner.sql})", inner.parameters)
        select = self.flat(select, condition.node)
        select.where += [
            Statement(f"{select.columns[n].sql} IS NOT NULL", select.columns[n].parameters) for n in names
        ]
        inner = self.finish(select, names)
        outer = [columns[n] for n in names]
        listed = ", ".join(c.sql for c in outer)
        left = f"({listed})" if len(outer) > 1 else listed
        parameters = tuple(v for c in outer for v in c.parameters)
        return Statement(f"COALESCE({left} IN ({inner.sql}), 0)", parameters + inner.parameters)
