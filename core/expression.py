"""Queries as users hold them: a node of the algebra with a connection, operators and ways to fetch.

Source: DataJoint 2.3, `reference/operators` and `reference/specs/fetch-api`.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

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
)
from dj_panel.core.conditions import HasNode, Not, make_condition
from dj_panel.core.connection import Connection
from dj_panel.core.errors import OneRowError, QuerySyntaxError, UnknownAttributeError
from dj_panel.core.fetch import RowDecoder, column_array, frame_columns, parse_order
from dj_panel.core.render import count_statement, exists_statement, select_statement
from dj_panel.core.sqltext import parse_text
from dj_panel.core.structure import Heading

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["QueryExpression", "Top", "U"]

Query = TypeVar("Query", bound="QueryExpression")


class Top:
    """The first rows in an order: ``query & dj.Top(5, "age DESC")``.

    Parameters
    ----------
    limit
        How many rows; ``None`` for all.
    order_by
        As for fetching; by the primary key if not given.
    offset
        How many rows to pass over first.
    """

    def __init__(self, limit: int | None = 1, order_by: Any = "KEY", offset: int = 0) -> None:
        self.limit, self.order_by, self.offset = limit, order_by, offset


class QueryExpression:
    """A query; nothing is asked of the server until rows are fetched.

    Parameters
    ----------
    connection
        Where to ask.
    node
        What to ask.
    """

    def __init__(self, connection: Connection, node: Node) -> None:
        self._connection = connection
        self._node: Any = node

    # ------------------------------------------------------------------ what it is
    @property
    def connection(self) -> Connection:
        """The connection."""
        return self._connection

    @property
    def node(self) -> Node:
        """The query as a value."""
        node: Node = self._node
        return node

    @property
    def heading(self) -> Heading:
        """The attributes of the result."""
        return self.node.heading

    @property
    def primary_key(self) -> list[str]:
        """The names of the result's primary key."""
        return list(self.heading.primary_key)

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

    def make_sql(self) -> str:
        """Return the SQL of the query, with the driver's placeholders for its values."""
        return select_statement(self.node, self.connection.dialect).sql

    # ------------------------------------------------------------------ restriction
    def restrict(self: Query, restriction: Any, semantic_check: bool = True) -> Query:
        """Return the rows for which the restriction holds; see :func:`~dj_panel.core.conditions.make_condition`."""
        if isinstance(restriction, Top):
            order = parse_order(restriction.order_by, self.heading)
            return self._restricted(Limit(self.node, restriction.limit, order, restriction.offset))
        if isinstance(restriction, U):
            missing = [name for name in restriction.primary_key if name not in self.heading]
            if missing:
                raise UnknownAttributeError(missing[0], available=self.heading.names)
            return self
        condition = self._condition(restriction, semantic_check)
        if condition == Constant(value=True) or condition == AllOf(()):
            return self
        return self._restricted(Restrict(self.node, condition))

    def _condition(self, restriction: Any, semantic_check: bool) -> Condition:
        return make_condition(
            restriction,
            self.heading,
            semantic_check=semantic_check,
            is_known=self.connection.catalog.knows_attribute,
            where=self._label,
        )

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
            expression to compute: ``age="datediff(session_date, birth)"``.
        """
        return self._derived(self._projected(attributes, named))

    def _projected(self, attributes: Sequence[Any], named: Mapping[str, Any]) -> Node:
        kept, computed = self._kept(attributes, named, self.heading)
        if not computed and tuple(kept) == tuple((n, n) for n in self.heading.names):
            return self.node
        return Project(self.node, tuple(kept), tuple(computed))

    def _kept(
        self, attributes: Sequence[Any], named: Mapping[str, Any], expressions_over: Heading
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
                computed.append((new, source[1:-1].strip(), source[1:-1].strip()))
                continue
            template = parse_text(source, "mysql")
            for name in template.attributes:
                if name not in expressions_over:
                    raise UnknownAttributeError(name, available=expressions_over.names, where=self._label)
            computed.append((new, source, template.like))
        # In the order of the heading, whatever the order in which they were asked for.
        kept.sort(key=lambda pair: heading.names.index(pair[1]))
        return kept, computed

    def join(self, other: Any, semantic_check: bool = True, left: bool = False) -> QueryExpression:
        """Return pairs of rows that agree in all shared attributes.

        Parameters
        ----------
        other
            The other query or table.
        semantic_check
            Whether shared attributes must also have the same origin.
        left
            Whether to keep rows without a partner; the other's key must then be among our attributes.
        """
        if isinstance(other, U):
            raise QuerySyntaxError("dj.U cannot be joined; restrict by it, or use table.proj().")
        node = _node_of(other)
        matched = matched_attributes(self.heading, node.heading, semantic_check=semantic_check, action="join")
        if left and not set(node.heading.primary_key) <= set(self.heading.names):
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
        kept, computed = self._kept(attributes, named, both)
        return self._derived(
            Group(self.node, node, matched, tuple(kept), tuple(computed), not exclude_nonmatching)
        )

    aggregate = aggr

    # ------------------------------------------------------------------ counting
    def __len__(self) -> int:
        return self.count()

    def count(self, at_most: int | None = None) -> int:
        """Return the number of rows; with ``at_most``, stop counting there."""
        statement = count_statement(self.node, self.connection.dialect, at_most)
        return int(self.connection.run(statement).fetchone()[0])

    def __bool__(self) -> bool:
        return bool(self.connection.run(exists_statement(self.node, self.connection.dialect)).fetchone()[0])

    def __contains__(self, item: Any) -> bool:
        return bool(self & item)

    # ------------------------------------------------------------------ fetching
    def _rows(
        self,
        names: Sequence[str] | None = None,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> tuple[RowDecoder, Iterator[Any]]:
        names = list(self.heading.names) if names is None else [self.heading[n].name for n in names]
        statement = select_statement(
            self.node,
            self.connection.dialect,
            names,
            parse_order(order_by, self.heading),
            limit,
            offset or 0,
        )
        decoder = RowDecoder(self.heading, names, self.connection.dialect, self.connection.settings)
        return decoder, iter(self.connection.run(statement))

    def to_dicts(
        self,
        *attributes: str,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> list[dict[str, Any]]:
        """Return the rows as dicts.

        Parameters
        ----------
        *attributes
            Which attributes; all if none is named.
        order_by
            ``"a"``, ``"a DESC"``, ``"KEY"``, or a list of such; without it the order is the server's.
        limit, offset
            How many rows, and how many to pass over first.
        squeeze
            Whether to drop dimensions of length one from arrays.
        """
        decoder, rows = self._rows(attributes or None, order_by, limit, offset)
        found = decoder.dicts(rows)
        if squeeze:
            for row in found:
                row.update({k: v.squeeze() for k, v in row.items() if isinstance(v, np.ndarray)})
        return found

    def to_arrays(
        self,
        *attributes: str,
        include_key: bool = False,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Return attributes as arrays of shape ``(n_rows,)``.

        One attribute gives one array, several a tuple of arrays; none gives a structured array of all.
        ``include_key`` puts the list of primary keys first.
        """
        names = list(attributes) or list(self.heading.names)
        fetched = list(dict.fromkeys([*(self.heading.primary_key if include_key else ()), *names]))
        decoder, raw = self._rows(fetched, order_by, limit, offset)
        rows = [decoder(row) for row in raw]
        columns = frame_columns(rows, fetched)
        arrays = {n: column_array(columns[n], self.heading[n]) for n in names}
        if squeeze:
            arrays = {n: _squeezed(a) for n, a in arrays.items()}
        if not attributes:
            record = np.empty(len(rows), dtype=[(n, arrays[n].dtype) for n in names])
            for n in names:
                record[n] = arrays[n]
            return record
        result = [arrays[n] for n in names]
        if include_key:
            keys = [{n: columns[n][i] for n in self.heading.primary_key} for i in range(len(rows))]
            return (keys, *result)
        return result[0] if len(result) == 1 else tuple(result)

    def to_pandas(
        self,
        *attributes: str,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> pandas.DataFrame:
        """Return a data frame whose index is the primary key."""
        import pandas as pd  # noqa: PLC0415 - optional at run time: importing it costs more than all of core

        names = list(dict.fromkeys([*self.heading.primary_key, *attributes])) if attributes else None
        decoder, rows = self._rows(names, order_by, limit, offset)
        decoded = [decoder(row) for row in rows]
        columns = frame_columns(decoded, decoder.names)
        frame = pd.DataFrame({n: pd.Series(list(columns[n]), dtype=_pandas_dtype(self.heading, n, columns[n]))
                              for n in decoder.names})  # fmt: skip
        key = self.heading.primary_key
        return frame.set_index(key) if key else frame

    def to_polars(self, *attributes: str, order_by: Any = None, limit: int | None = None,
                  offset: int | None = None) -> polars.DataFrame:  # fmt: skip
        """Return a polars data frame; the package polars must be installed."""
        import polars as pl  # noqa: PLC0415 - optional

        rows = self.to_dicts(*attributes, order_by=order_by, limit=limit, offset=offset)
        names = list(attributes) or list(self.heading.names)
        return pl.DataFrame({n: [row[n] for row in rows] for n in names}, strict=False)

    def to_arrow(self, *attributes: str, order_by: Any = None, limit: int | None = None,
                 offset: int | None = None) -> pyarrow.Table:  # fmt: skip
        """Return an Arrow table; the package pyarrow must be installed."""
        import pyarrow as pa  # noqa: PLC0415 - optional

        rows = self.to_dicts(*attributes, order_by=order_by, limit=limit, offset=offset)
        names = list(attributes) or list(self.heading.names)
        return pa.table({n: [row[n] for row in rows] for n in names})

    def keys(
        self, *, order_by: Any = None, limit: int | None = None, offset: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the primary keys as dicts."""
        if not self.heading.primary_key:
            return [{} for _ in range(len(self))]
        return self.to_dicts(*self.heading.primary_key, order_by=order_by, limit=limit, offset=offset)

    def fetch1(self, *attributes: str, squeeze: bool = False) -> Any:
        """Return the only row: a dict, or the value (or tuple of values) of the named attributes.

        ``"KEY"`` stands for the primary key as a dict.

        Raises
        ------
        OneRowError
            If there is no row, or more than one.
        """
        names = [n for a in attributes for n in (self.heading.primary_key if a == "KEY" else [a])]
        rows = self.to_dicts(*dict.fromkeys(names), limit=2, squeeze=squeeze)
        if len(rows) != 1:
            found = "no row" if not rows else "more than one row"
            raise OneRowError(
                f"fetch1() wants exactly one row, and the query has {found}. Restrict it to one key."
            )
        row = rows[0]
        if not attributes:
            return row
        key = {n: row[n] for n in self.heading.primary_key if n in row}
        values = [key if a == "KEY" else row[a] for a in attributes]
        return values[0] if len(values) == 1 else tuple(values)

    def head(self, limit: int = 25, **options: Any) -> list[dict[str, Any]]:
        """Return the first rows by the primary key."""
        return self.to_dicts(order_by="KEY", limit=limit, **options)

    def tail(self, limit: int = 25, **options: Any) -> list[dict[str, Any]]:
        """Return the last rows by the primary key, in its order."""
        return self.to_dicts(order_by="KEY DESC", limit=limit, **options)[::-1]

    def cursor(self, as_dict: bool = False) -> Any:
        """Return an iterator over the rows as the driver gives them."""
        names = self.heading.names
        result = self.connection.run(select_statement(self.node, self.connection.dialect))
        return (dict(zip(names, row, strict=True)) for row in result) if as_dict else iter(result)

    def stream(self, *attributes: str, order_by: Any = None) -> Iterator[dict[str, Any]]:
        """Yield the rows as dicts while the server sends them, so that memory does not grow with their number.

        Until the last row is taken, this thread can ask nothing else of a server.
        """
        names = [self.heading[n].name for n in attributes] or list(self.heading.names)
        statement = select_statement(
            self.node, self.connection.dialect, names, parse_order(order_by, self.heading)
        )
        decoder = RowDecoder(self.heading, names, self.connection.dialect, self.connection.settings)
        for row in self.connection.stream(statement):
            yield dict(zip(names, decoder(row), strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        decoder, rows = self._rows(order_by="KEY")
        for row in rows:
            yield dict(zip(decoder.names, decoder(row), strict=True))

    def fetch(
        self,
        *attributes: str,
        as_dict: bool | None = None,
        format: str | None = None,  # noqa: A002
        **options: Any,
    ) -> Any:
        """Return rows as DataJoint 0.14 did. Deprecated: the ``to_…`` methods say what they return."""
        warnings.warn(
            "fetch() is deprecated; use to_dicts(), to_arrays(), to_pandas() or keys().",
            DeprecationWarning,
            stacklevel=2,
        )
        if attributes == ("KEY",):
            return self.keys(**options)
        if as_dict:
            return self.to_dicts(*attributes, **options)
        if format == "frame":
            return self.to_pandas(*attributes, **options)
        if "KEY" in attributes:
            plain = [a for a in attributes if a != "KEY"]
            arrays = iter(self.to_arrays(*plain, include_key=True, **options))
            keys = next(arrays)
            return tuple(keys if a == "KEY" else next(arrays) for a in attributes)
        return self.to_arrays(*attributes, **options)

    # ------------------------------------------------------------------ showing
    def preview(self, limit: int | None = None, width: int | None = None) -> str:
        """Return the first rows as text."""
        names, rows, more = self._shown(limit)
        width = width or self.connection.settings.display.width
        keys = self.heading.primary_key
        heads = ["*" + n if n in keys else n for n in names]
        widths = [max(min(width, max([len(h), *(len(r[i]) for r in rows)])), 3) for i, h in enumerate(heads)]
        lines = ["  ".join(h[:w].ljust(w) for h, w in zip(heads, widths, strict=True))]
        lines += ["  ".join(v[:w].ljust(w) for v, w in zip(row, widths, strict=True)) for row in rows]
        lines += ["  ..."] if more else []
        if self.connection.settings.display.show_tuple_count:
            lines.append(f" (Total: {len(self)})")
        return "\n".join(lines) + "\n"

    def _shown(self, limit: int | None) -> tuple[list[str], list[list[str]], bool]:
        limit = limit or self.connection.settings.display.limit
        plain = [n for n in self.heading.names if n in self.heading.non_blobs]
        found = self.to_dicts(*plain, order_by="KEY" if self.heading.primary_key else None, limit=limit + 1)
        names = list(self.heading.names)
        rows = [
            ["" if r.get(n, "") is None else str(r.get(n, f"={self.heading[n].type}=")) for n in names]
            for r in found
        ]
        return names, rows[:limit], len(rows) > limit

    def __repr__(self) -> str:
        return self.preview()

    def _repr_html_(self) -> str:
        names, rows, more = self._shown(None)
        head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(v)}</td>" for v in row) + "</tr>" for row in rows)
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{'<p>…</p>' if more else ''}"
        )


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
            template = parse_text(str(text), "mysql")
            for used in template.attributes:
                if used not in query.heading:
                    raise UnknownAttributeError(used, available=query.heading.names)
            computed.append((name, str(text), template.like))
        for name in self.primary_key:
            if name not in query.heading:
                raise UnknownAttributeError(name, available=query.heading.names)
        return query._derived(Distinct(query.node, self.primary_key, tuple(computed)))

    aggregate = aggr


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


def _squeezed(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype != object:
        return array
    out = np.empty(len(array), dtype=object)
    for i, value in enumerate(array):
        out[i] = value.squeeze() if isinstance(value, np.ndarray) else value
    return out


def _pandas_dtype(heading: Heading, name: str, values: Sequence[Any]) -> Any:
    """Return the frame's type: whole numbers stay whole where some are missing."""
    attribute = heading[name]
    if attribute.codec is not None:
        return object
    kind = attribute.column_type.kind
    if kind in ("integer", "boolean"):
        return "Int64" if any(v is None for v in values) else "int64"
    if kind == "float":
        return "float64"
    return object if values and kind not in ("date", "datetime") else None if values else object
