"""Algebra node → SQL and bound values.

Every table gets an alias of its own, and a query carries, for each attribute, the expression it comes from.
So renaming costs nothing, a restriction of a computed attribute repeats its expression, and restrictions,
projections and joins of tables stay one flat SELECT. Only grouping, limits and unions make a subquery.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    Project,
    Relation,
    Restrict,
    TextCondition,
    TextMatch,
    UnionOf,
)
from dj_panel.core.coretypes import ColumnType, EnumType
from dj_panel.core.dialect.protocol import Dialect, Statement
from dj_panel.core.errors import QuerySyntaxError, UnknownAttributeError
from dj_panel.core.sqltext import Slot, parse_text
from dj_panel.core.structure import Heading

__all__ = ["count_statement", "delete_statement", "exists_statement", "select_statement"]

_PLAIN_COLUMN = re.compile(r"""[`"]t\d+[`"]\.(?:`(?:[^`]|``)+`|"(?:[^"]|"")+")""")
_TRUE, _FALSE = Statement("1 = 1"), Statement("1 = 0")


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
        Pairs ``(attribute, descending)``.
    limit, offset
        How many rows, and how many to pass over first.
    """
    renderer = _Renderer(dialect)
    select = renderer.node(node)
    if order or limit is not None or offset:
        select = renderer.limited(select, node.heading, tuple(order), limit, offset)
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
    joined = _joined(where, " AND ")
    clause = f" WHERE {joined.sql}" if where else ""
    return Statement(f"DELETE FROM {target}{clause}", joined.parameters)


def _replaced(select: _Select, columns: dict[str, Statement]) -> _Select:
    return _Select(columns, select.source, select.where)


def _joined(statements: Iterable[Statement], between: str) -> Statement:
    statements = list(statements)
    return Statement(
        between.join(s.sql for s in statements), tuple(value for s in statements for value in s.parameters)
    )


class _Renderer:
    """Renders one statement; counts its aliases."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
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
            return self.limited(select, node.heading, node.order, node.limit, node.offset)
        raise QuerySyntaxError(f"{type(node).__name__} is not a query.")

    def flat(self, select: _Select, node: Node) -> _Select:
        """Return a SELECT that can take a WHERE or a JOIN: the same one, or one around it."""
        return select if select.is_flat else self.wrapped(select, node)

    def wrapped(self, select: _Select, node: Node) -> _Select:
        """Return a SELECT around another one."""
        inner = self.finish(select, node.heading.names)
        alias = self.alias()
        columns = {n: Statement(f"{alias}.{self.dialect.quote(n)}") for n in node.heading.names}
        return _Select(columns, Statement(f"({inner.sql}) AS {alias}", inner.parameters))

    def project(self, node: Project) -> _Select:
        select = self.node(node.source)
        if node.computed:
            select = self.flat(select, node.source)
        columns = {new: select.columns[old] for new, old in node.kept}
        for name, text, _ in node.computed:
            # In parentheses, for another expression may be made of it.
            columns[name] = _parenthesized(self.text(text, select.columns, node.source.heading))
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

    def plain(self, select: _Select, node: Node) -> _Select:
        """Return a SELECT whose columns are all columns of its source.

        In a left join those are empty where there is no partner; an expression over them need not be.
        """
        if all(_PLAIN_COLUMN.fullmatch(column.sql) for column in select.columns.values()):
            return select
        return self.wrapped(select, node)

    def paired(self, a: _Select, b: _Select, matched: Iterable[str], *, left: bool) -> _Select:
        on = [Statement(f"{a.columns[n].sql} = {b.columns[n].sql}",
                        a.columns[n].parameters + b.columns[n].parameters) for n in matched]  # fmt: skip
        where = list(a.where)
        if left:
            on += b.where
        else:
            where += b.where
        condition = _joined(on, " AND ") if on else _TRUE
        right = f"({b.source.sql})" if b.is_joined else b.source.sql
        source = Statement(
            f"{a.source.sql} {'LEFT ' if left else ''}JOIN {right} ON {condition.sql}",
            a.source.parameters + b.source.parameters + condition.parameters,
        )
        return _Select({}, source, where, is_joined=True)

    def group(self, node: Group) -> _Select:
        a = self.flat(self.node(node.source), node.source)
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
        select.group = list(select.columns.values()) or [_TRUE]
        for name, text, _ in node.computed:
            select.columns[name] = self.text(text, available, heading)
        return select

    def distinct(self, node: Distinct) -> _Select:
        select = self.flat(self.node(node.source), node.source)
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
        both = _joined(pieces, " UNION ALL ")
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
    ) -> _Select:
        if select.limit is not None or select.offset:
            inner = self.finish(select, heading.names)
            alias = self.alias()
            columns = {n: Statement(f"{alias}.{self.dialect.quote(n)}") for n in heading.names}
            select = _Select(columns, Statement(f"({inner.sql}) AS {alias}", inner.parameters))
        for name, descending in order:
            if name not in select.columns:
                raise UnknownAttributeError(name, available=heading.names)
            column = select.columns[name]
            sql = self.dialect.order_expression(column.sql, heading[name].column_type)
            select.order.append(Statement(f"{sql} DESC" if descending else sql, column.parameters))
        select.limit, select.offset = limit, offset
        return select

    def finish(self, select: _Select, names: Iterable[str]) -> Statement:
        """Return the SQL of a SELECT with these columns."""
        columns = [
            Statement(f"{select.columns[n].sql} AS {self.dialect.quote(n)}", select.columns[n].parameters)
            for n in names
        ]
        return self.assembled(select, _joined(columns, ", ")) if columns else self.constant(select)

    def constant(self, select: _Select) -> Statement:
        """Return the SQL of a SELECT of which only the rows matter."""
        # Aggregates over everything give one row even where there is none to aggregate.
        return self.assembled(select, Statement("COUNT(*)" if select.group == [] else "1"))

    def assembled(self, select: _Select, columns: Statement) -> Statement:
        parts = [
            Statement(f"SELECT {'DISTINCT ' if select.distinct else ''}{columns.sql}", columns.parameters)
        ]
        parts.append(Statement(f"FROM {select.source.sql}", select.source.parameters))
        if select.where:
            where = _joined(select.where, " AND ")
            parts.append(Statement(f"WHERE {where.sql}", where.parameters))
        if select.group:
            group = _joined(select.group, ", ")
            parts.append(Statement(f"GROUP BY {group.sql}", group.parameters))
        if select.order:
            order = _joined(select.order, ", ")
            parts.append(Statement(f"ORDER BY {order.sql}", order.parameters))
        if select.limit is not None or select.offset:
            # Both servers want a LIMIT before an OFFSET; this one is MySQL's own idiom for "no limit".
            limit = 2**63 - 1 if select.limit is None else select.limit
            parts.append(Statement(f"LIMIT {int(limit)} OFFSET {int(select.offset)}"))
        return _joined(parts, " ")

    # ------------------------------------------------------------------ conditions
    def condition(
        self, condition: Condition, columns: Mapping[str, Statement], heading: Heading
    ) -> Statement:
        """Return a condition as SQL that can stand between ANDs."""
        if isinstance(condition, Constant):
            return _TRUE if condition.value else _FALSE
        if isinstance(condition, Comparison):
            return self.comparison(condition, columns, heading)
        if isinstance(condition, OneOf):
            return self.one_of(condition, columns, heading)
        if isinstance(condition, Ordering):
            return self.ordering(condition, columns, heading)
        if isinstance(condition, TextMatch):
            return self.text_match(condition, columns, heading)
        if isinstance(condition, TextCondition):
            return _parenthesized(self.text(condition.text, columns, heading))
        if isinstance(condition, AllOf):
            parts = [self.condition(c, columns, heading) for c in condition.conditions]
            return _parenthesized(_joined(parts, " AND ")) if parts else _TRUE
        if isinstance(condition, AnyOf):
            parts = [self.condition(c, columns, heading) for c in condition.conditions]
            return _parenthesized(_joined(parts, " OR ")) if parts else _FALSE
        if isinstance(condition, Negation):
            inner = self.condition(condition.condition, columns, heading)
            if isinstance(condition.condition, KeyMatch):
                return Statement(f"NOT {inner.sql}", inner.parameters)
            return Statement(f"({inner.sql}) IS NOT TRUE", inner.parameters)
        if isinstance(condition, KeyMatch):
            return self.key_match(condition, columns)
        raise QuerySyntaxError(f"{type(condition).__name__} is not a condition.")

    def comparison(
        self, condition: Comparison, columns: Mapping[str, Statement], heading: Heading
    ) -> Statement:
        column = columns[condition.attribute]
        if condition.path is not None:
            found = self.dialect.json_value(column.sql, condition.path)
            text = condition.value if isinstance(condition.value, str) else _json_scalar(condition.value)
            if condition.value is None:
                return Statement(f"{found.sql} IS NULL", column.parameters + found.parameters)
            mark = self.dialect.placeholder
            return Statement(f"{found.sql} = {mark}", (*column.parameters, *found.parameters, text))
        if condition.value is None:
            return Statement(f"{column.sql} IS NULL", column.parameters)
        fits, value = self.bound(condition.value, heading[condition.attribute].column_type)
        if not fits:
            return _FALSE
        return Statement(f"{column.sql} = {self.dialect.placeholder}", (*column.parameters, value))

    def ordering(self, condition: Ordering, columns: Mapping[str, Statement], heading: Heading) -> Statement:
        column, column_type = columns[condition.attribute], heading[condition.attribute].column_type
        if condition.operator not in ("<", "<=", ">", ">="):
            raise QuerySyntaxError(f"{condition.operator!r} is not a comparison; use <, <=, > or >=.")
        if isinstance(column_type, EnumType):
            # Sorted by the position of its choices, which a comparison with text would not see.
            words = _choices(column_type.choices, condition.operator, condition.value)
            return self.one_of(
                OneOf((condition.attribute,), tuple((word,) for word in words)), columns, heading
            )
        fits, value = self.bound(condition.value, column_type)
        if not fits:
            return _FALSE
        return Statement(
            f"{column.sql} {condition.operator} {self.dialect.placeholder}", (*column.parameters, value)
        )

    def text_match(
        self, condition: TextMatch, columns: Mapping[str, Statement], heading: Heading
    ) -> Statement:
        column, kind = columns[condition.attribute], heading[condition.attribute].column_type.kind
        sql, text = self.dialect.as_text(column.sql, kind), condition.text
        if kind == "uuid":
            text = text.replace("-", "")
        found = self.dialect.text_found(sql, text, at_start=condition.at_start)
        return Statement(found.sql, (*column.parameters, *found.parameters))

    def one_of(self, condition: OneOf, columns: Mapping[str, Statement], heading: Heading) -> Statement:
        types = [heading[name].column_type for name in condition.attributes]
        rows = []
        for values in condition.values:
            bound = [self.bound(v, t) for v, t in zip(values, types, strict=True)]
            if all(fits for fits, _ in bound):
                rows.append([value for _, value in bound])
        if not rows:
            return _FALSE
        used = [columns[name] for name in condition.attributes]
        sql = self.dialect.one_of([c.sql for c in used], len(rows))
        return Statement(sql, (*_joined(used, "").parameters, *(value for row in rows for value in row)))

    def bound(self, value: Any, column: ColumnType) -> tuple[bool, Any]:
        """Return whether a column can hold the value at all, and the value as the driver takes it."""
        try:
            checked = column.check(value)
        except ValueError:
            return False, None
        encode = self.dialect.encoder(column)
        return True, encode(checked) if encode else checked

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

    def text(self, text: str, columns: Mapping[str, Statement], heading: Heading) -> Statement:
        """Return a user's expression, with the columns and the bound words in its slots."""
        template = parse_text(text, self.dialect.name)
        sql: list[str] = []
        parameters: list[Any] = []
        for part in template.parts:
            if not isinstance(part, Slot):
                sql.append(self.dialect.verbatim(part))
                continue
            if part.word is None:
                name = part.attribute or ""
                if name not in columns:
                    raise UnknownAttributeError(name, available=list(columns))
                sql.append(columns[name].sql)
                parameters += columns[name].parameters
                continue
            sql.append(self.dialect.placeholder)
            parameters.append(self.word(part, heading))
        return Statement("".join(sql), tuple(parameters))

    def word(self, slot: Slot, heading: Heading) -> Any:
        """Return a quoted word as the driver takes it, in the form of the attribute it is compared with."""
        if slot.attribute is None or slot.attribute not in heading:
            return slot.word
        column = heading[slot.attribute].column_type
        fits, value = self.bound(slot.word, column)
        if not fits and column.kind in ("date", "datetime") and not _is_moment(slot.word):
            # Text of another form would be compared letter by letter, or not at all.
            raise QuerySyntaxError(
                f"'{slot.word}' is compared with {slot.attribute} and is not a {column.kind};"
                " write it as YYYY-MM-DD, with HH:MM:SS after it for a time of day."
            )
        return value if fits else slot.word


def _choices(choices: tuple[str, ...], operator: str, value: Any) -> tuple[str, ...]:
    """Return the words of an enum that come before or after one of them."""
    if value not in choices:
        return ()
    place = choices.index(value) + (operator in ("<=", ">"))
    return choices[:place] if operator in ("<", "<=") else choices[place:]


def _parenthesized(statement: Statement) -> Statement:
    return Statement(f"({statement.sql})", statement.parameters)


def _is_moment(text: str | None) -> bool:
    try:
        dt.datetime.fromisoformat(text or "")
    except ValueError:
        return False
    return True


def _json_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
