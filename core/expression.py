"""Queries as users hold them: the operators of the algebra over :class:`~dj_panel.core.results.Results`.

Source: DataJoint 2.3, `reference/operators`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dj_panel.core.algebra import (
    AllOf,
    Condition,
    Constant,
    Distinct,
    Group,
    Join,
    Limit,
    Negation,
    Node,
    Project,
    Restrict,
    UnionOf,
    matched_attributes,
    source_tables,
)
from dj_panel.core.conditions import AndList, HasNode, Not, make_condition, refuse_aggregates
from dj_panel.core.errors import QuerySyntaxError, UnknownAttributeError, shown
from dj_panel.core.fetch import parse_order, require_counts
from dj_panel.core.jsonplaces import json_place
from dj_panel.core.render import select_statement
from dj_panel.core.results import Results
from dj_panel.core.sqltext import Template, parse_text
from dj_panel.core.structure import Heading

__all__ = ["AndList", "Not", "QueryExpression", "Top", "U"]

Query = TypeVar("Query", bound="QueryExpression")


@dataclass
class Top:
    """The first rows in an order: ``query & dj.Top(5, "age DESC")``.

    Parameters
    ----------
    limit
        How many rows; ``None`` for all.
    order_by
        As for fetching; by the primary key if not given. ``None`` keeps the order of a ``Top`` before it.
    offset
        How many rows to pass over first.

    Raises
    ------
    QuerySyntaxError
        If limit or offset is not a whole number from 0 on.
    """

    limit: int | None = 1
    order_by: Any = "KEY"
    offset: int = 0

    def __post_init__(self) -> None:
        self.offset = self.offset or 0
        require_counts(self.limit, self.offset)


class QueryExpression(Results):
    """A query; nothing is asked of the server until rows are fetched.

    Parameters
    ----------
    connection
        Where to ask.
    node
        What to ask.
    """

    @property
    def restriction(self) -> tuple[Condition, ...]:
        """The conditions that the query was restricted by, outermost last."""
        conditions: list[Condition] = []
        node = self.node
        while isinstance(node, Restrict):
            conditions.append(node.condition)
            node = node.source
        return tuple(reversed(conditions))

    def _derived(self, node: Node) -> QueryExpression:
        return QueryExpression(self.connection, node)

    def _restricted(self: Query, node: Node) -> Query:
        """Return a query of the same class over another node (a restricted table is still a table)."""
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._node = node
        return copy

    def make_sql(self, fields: Iterable[str] | None = None) -> str:
        """Return the SQL of the query, with the driver's placeholders for its values.

        Parameters
        ----------
        fields
            Which attributes; all if not given.
        """
        names = [self.heading[name].name for name in fields or ()]
        return select_statement(self.node, self.connection.dialect, names or None).sql

    # ------------------------------------------------------------------ restriction
    def restrict(self: Query, restriction: Any, semantic_check: bool = True) -> Query:
        """Return the rows for which the restriction holds; see :func:`~dj_panel.core.conditions.make_condition`."""
        if isinstance(restriction, Top):
            return self._restricted(self._top(restriction))
        if isinstance(restriction, AndList) and any(isinstance(item, Top) for item in restriction):
            query = self
            for item in restriction:
                query = query.restrict(item, semantic_check)
            return query
        if isinstance(restriction, U):
            missing = [name for name in restriction.primary_key if name not in self.heading]
            if missing:
                raise UnknownAttributeError(missing[0], available=self.heading.names)
            return self
        condition = self._condition(restriction, semantic_check)
        if condition == Constant(value=True) or condition == AllOf(()):
            return self
        return self._restricted(Restrict(self.node, condition))

    def _top(self, top: Top) -> Limit:
        if top.order_by is None and isinstance(self.node, Limit):
            order = self.node.order
        else:
            order = parse_order("KEY" if top.order_by is None else top.order_by, self.heading)
        return Limit(self.node, top.limit, order, top.offset)

    def restrict_in_place(self, restriction: Any) -> None:
        """Restrict this query itself, as DataJoint can; :meth:`restrict` leaves it as it is."""
        self.__dict__.update(self.restrict(restriction).__dict__)

    def _condition(self, restriction: Any, semantic_check: bool) -> Condition:
        return make_condition(
            restriction,
            self.heading,
            semantic_check=semantic_check,
            is_passed=self._is_passed,
            where=self._label,
        )

    def _is_passed(self, name: str, given: Collection[str]) -> bool:
        """Tell whether a name that the heading lacks may stand in a dict nevertheless."""
        if not self.connection.settings.refuse_unknown_attributes:
            return True
        return self.connection.catalog.relatives_have(source_tables(self.node), name, given)

    @property
    def _label(self) -> str:
        return "the query"

    def __and__(self: Query, restriction: Any) -> Query:
        return self.restrict(restriction)

    def __sub__(self: Query, restriction: Any) -> Query:
        condition = Negation(self._condition(restriction, semantic_check=True))
        return self._restricted(Restrict(self.node, condition))

    def __neg__(self) -> Not:
        return Not(self)

    def __xor__(self, other: Any) -> Any:
        raise QuerySyntaxError("The operator ^ is not defined. Use restrict(other, semantic_check=False).")

    def __matmul__(self, other: Any) -> Any:
        raise QuerySyntaxError("The operator @ is not defined. Use join(other, semantic_check=False).")

    # ------------------------------------------------------------------ other operators
    def proj(self, *attributes: Any, **named: Any) -> QueryExpression:
        """Return the primary key, the named attributes, and new ones.

        Parameters
        ----------
        *attributes
            Names to keep; ``...`` keeps all; ``"-name"`` drops one.
        **named
            ``new="old"`` renames, ``new="(old)"`` repeats under a second name, and any other text is an
            expression to compute: ``age="datediff(session_date, birth)"``, or a place inside a json attribute,
            perhaps with its type: ``n="meta.channels:unsigned"``.
        """
        return self._derived(self._projected(attributes, named))

    def _projected(self, attributes: Sequence[Any], named: Mapping[str, Any]) -> Node:
        kept, computed = self._kept(attributes, named, self.heading)
        if not computed and tuple(kept) == tuple((n, n) for n in self.heading.names):
            return self.node
        return Project(self.node, tuple(kept), tuple(computed))

    def _read(self, text: str, heading: Heading) -> Template:
        """Return an expression, whose attributes the heading has."""
        template = parse_text(text, "mysql")
        for name in template.attributes:
            if name not in heading:
                raise UnknownAttributeError(name, available=heading.names, where=self._label)
        return template

    def _kept(
        self,
        attributes: Sequence[Any],
        named: Mapping[str, Any],
        expressions_over: Heading,
        *,
        over_group: bool = False,
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str, str | None]]]:
        heading = self.heading
        wanted = list(heading.primary_key)
        dropped = set()
        for item in attributes:
            if item is Ellipsis:
                wanted += [n for n in heading.names if n not in wanted]
            elif not isinstance(item, str):
                raise QuerySyntaxError(f"proj() takes names of attributes, and {item!r} is not one.")
            elif item.startswith("-"):
                dropped.add(item[1:].strip())
            else:
                wanted += [heading[item.strip()].name] if item.strip() not in wanted else []
        for name in dropped:
            if heading[name].in_key:
                raise QuerySyntaxError(f"'{name}' is part of the primary key and cannot be projected away.")
        kept = [(n, n) for n in wanted if n not in dropped]
        computed: list[tuple[str, str, str | None]] = []
        for new, text in named.items():
            source = str(text).strip()
            if source in heading:
                # What was named by itself is kept by its own name too.
                if (source, source) in kept and source not in attributes:
                    kept[kept.index((source, source))] = (new, source)
                else:
                    kept.append((new, source))
                continue
            if source.startswith("(") and source[1:-1].strip() in heading:
                # Of an attribute of the key it is part of the key too, as in DataJoint.
                kept.append((new, source[1:-1].strip()))
                continue
            if json_place(source, heading) is not None:
                computed.append((new, source, None))
                continue
            template = self._read(source, expressions_over)
            if over_group:
                _require_aggregate(source, template, self.heading.names)
            else:
                refuse_aggregates(source, template)
            computed.append((new, source, template.like))
        # In the order of the heading, whatever the order in which they were asked for.
        kept.sort(key=lambda pair: heading.names.index(pair[1]))
        return kept, computed

    def join(
        self, other: Any, semantic_check: bool = True, left: bool = False, allow_nullable_pk: bool = False
    ) -> QueryExpression:
        """Return pairs of rows that agree in all shared attributes.

        Parameters
        ----------
        other
            The other query or table.
        semantic_check
            Whether shared attributes must also have the same origin.
        left
            Whether to keep rows without a partner; the other's key must then be among our attributes.
        allow_nullable_pk
            Whether, of a left join, it need not: the key is then that of both, and the other's part of it is empty
            where there is no partner.
        """
        if isinstance(other, U):
            raise QuerySyntaxError("dj.U cannot be joined; restrict by it, or use table.proj().")
        node = _node_of(other)
        matched = matched_attributes(self.heading, node.heading, semantic_check=semantic_check, action="join")
        if left and not allow_nullable_pk and not set(node.heading.primary_key) <= set(self.heading.names):
            raise QuerySyntaxError(
                "A left join needs all of the other's primary key among our attributes; missing here: "
                + ", ".join(n for n in node.heading.primary_key if n not in self.heading)
            )
        return self._derived(Join(self.node, node, matched, left))

    def __mul__(self, other: Any) -> QueryExpression:
        return self.join(other)

    def extend(self, other: Any, semantic_check: bool = True) -> QueryExpression:
        """Return our rows with the attributes of another query that our attributes determine."""
        return self.join(other, semantic_check=semantic_check, left=True)

    def __add__(self, other: Any) -> QueryExpression:
        return self._derived(UnionOf(self.node, _node_of(other)))

    def aggr(
        self,
        group: Any,
        *attributes: Any,
        exclude_nonmatching: bool = False,
        keep_all_rows: bool | None = None,
        **named: Any,
    ) -> QueryExpression:
        """Return our rows with aggregates over the matching rows of another query.

        Parameters
        ----------
        group
            What to aggregate over.
        *attributes
            Our attributes to keep beside the primary key; ``...`` keeps all.
        exclude_nonmatching
            Whether to leave out rows without any match.
        **named
            Aggregates: ``n="count(trial)"``.
        """
        node = _node_of(group)
        if keep_all_rows is not None:
            exclude_nonmatching = not keep_all_rows
        matched = matched_attributes(self.heading, node.heading, semantic_check=True, action="aggregate")
        missing = [n for n in self.heading.primary_key if n not in node.heading]
        if missing:
            raise QuerySyntaxError(
                f"aggr() needs our whole primary key in the aggregated query; it lacks '{missing[0]}'."
            )
        others = (a for n, a in node.heading.attributes.items() if n not in self.heading)
        both = Heading((*self.heading.attributes.values(), *others))
        kept, computed = self._kept(attributes, named, both, over_group=True)
        return self._derived(
            Group(self.node, node, matched, tuple(kept), tuple(computed), not exclude_nonmatching)
        )

    aggregate = aggr

    def __contains__(self, item: Any) -> bool:
        return bool(self & item)


class U:
    """The set of all values of some attributes.

    ``dj.U("a") & table`` gives the distinct values of ``a``; ``dj.U("a").aggr(table, n="count(*)")`` groups
    by it; ``dj.U().aggr(…)`` aggregates all rows into one.
    """

    is_universal = True

    def __init__(self, *primary_key: str) -> None:
        self.primary_key = primary_key

    def __and__(self, other: Any) -> QueryExpression:
        query = _query_of(other)
        for name in self.primary_key:
            if name not in query.heading:
                raise UnknownAttributeError(name, available=query.heading.names)
        key = query.heading.primary_key
        if set(key) <= set(self.primary_key):
            names = [*self.primary_key, *(n for n in key if n not in self.primary_key)]
            return query._derived(Distinct(query.node, tuple(names)))
        return query._derived(Distinct(query.node, self.primary_key))

    def __mul__(self, other: Any) -> Any:
        raise QuerySyntaxError("dj.U cannot be joined. Restrict: dj.U(...) & table.")

    def __sub__(self, other: Any) -> Any:
        raise QuerySyntaxError("Nothing can be taken away from dj.U, which has every row.")

    def aggr(self, group: Any, **named: str) -> QueryExpression:
        """Return one row for each distinct value of our attributes, with aggregates over its rows."""
        query = _query_of(group)
        computed = []
        for name, text in named.items():
            template = query._read(str(text), query.heading)
            _require_aggregate(str(text), template, self.primary_key)
            computed.append((name, str(text), template.like))
        for name in self.primary_key:
            if name not in query.heading:
                raise UnknownAttributeError(name, available=query.heading.names)
        return query._derived(Distinct(query.node, self.primary_key, tuple(computed)))

    aggregate = aggr


def _require_aggregate(text: str, template: Template, one_for_each: Collection[str]) -> None:
    """Raise :class:`QuerySyntaxError` for an attribute of which each group of rows has many values."""
    for name in template.outside:
        if name not in one_for_each:
            raise QuerySyntaxError(
                f"{shown(text)}: each group of rows has many values of '{name}'. Say which:"
                f" min({name}), max({name}), avg({name}), any_value({name}), …"
            )


def instance_of(given: Any) -> Any:
    """Return the whole table that a table's class stands for; anything else as it is."""
    is_class = isinstance(given, type) and issubclass(given, QueryExpression)
    return given() if is_class else given


def _query_of(other: Any) -> QueryExpression:
    other = instance_of(other)
    if not isinstance(other, QueryExpression):
        raise QuerySyntaxError(f"{other!r} is not a table or a query.")
    return other


def _node_of(other: Any) -> Node:
    if isinstance(other, HasNode):
        return other.node
    raise QuerySyntaxError(f"{other!r} is not a table or a query.")
