"""The answers of a query: counted, fetched in every form, and shown.

Source: DataJoint 2.3, `reference/specs/fetch-api`.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from dj_panel.core.algebra import Node, source_tables
from dj_panel.core.connection import Connection
from dj_panel.core.dialect.columns import Batch
from dj_panel.core.dialect.protocol import Statement
from dj_panel.core.errors import OneRowError, QuerySyntaxError
from dj_panel.core.fetch import Decoder, dicts_of, parse_order, require_counts
from dj_panel.core.frames import (
    array_of,
    arrow_reader,
    arrow_table,
    pandas_column,
    polars_column,
    typed_values,
)
from dj_panel.core.lazy import np
from dj_panel.core.render import count_statement, exists_statement, select_statement
from dj_panel.core.rows import label
from dj_panel.core.structure import Heading

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["Results"]

Taken = TypeVar("Taken")


class Results:
    """The rows that a query gives; nothing is asked of the server until they are wanted.

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

    # ------------------------------------------------------------------ counting
    def __len__(self) -> int:
        return self.count()

    def count(self, at_most: int | None = None) -> int:
        """Return the number of rows; with ``at_most``, stop counting there."""
        statement = count_statement(self.node, self.connection.dialect, at_most)
        return int(self.connection.run(statement).fetchone()[0])

    def __bool__(self) -> bool:
        return bool(self.connection.run(exists_statement(self.node, self.connection.dialect)).fetchone()[0])

    # ------------------------------------------------------------------ fetching
    def _asked(
        self,
        attributes: str | Iterable[str] = (),
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        squeeze: bool = False,
    ) -> tuple[Decoder, Statement]:
        """Return the query's statement for some attributes (all if none is named), and what decodes its rows."""
        asked = (attributes,) if isinstance(attributes, str) else attributes
        names = [self.heading[n].name for n in asked] or list(self.heading.names)
        dialect = self.connection.dialect
        require_counts(limit, offset)
        order = parse_order(order_by, self.heading)
        statement = select_statement(self.node, dialect, names, order, limit, offset or 0)
        return Decoder(self.heading, names, dialect, self.connection.settings, squeeze=squeeze), statement

    def _fetched(
        self, decoder: Decoder, statement: Statement, take: Callable[[Iterable[Batch]], Taken]
    ) -> Taken:
        """Return what is made of a query's rows: while they arrive, unless a codec may ask the server for more."""
        if decoder.has_codecs:
            return take(self.connection.fetch(statement, list))
        return self.connection.fetch(statement, take)

    def to_dicts(
        self,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
        *,
        attributes: str | Iterable[str] = (),
    ) -> list[dict[str, Any]]:
        """Return the rows as dicts.

        Parameters
        ----------
        order_by
            ``"a"``, ``"a DESC"``, ``"KEY"``, ``"abs(a)"``, or a list of such; without it the order is the server's.
        limit, offset
            How many rows, and how many to pass over first.
        squeeze
            Whether to drop dimensions of length one from arrays.
        attributes
            Which attributes; all if none is named.
        """
        decoder, statement = self._asked(attributes, order_by, limit, offset, squeeze=squeeze)
        return self._fetched(decoder, statement, decoder.dicts)

    def to_arrays(
        self,
        *attributes: str,
        include_key: bool = False,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Any:
        """Return attributes as arrays of shape ``(n_rows,)``; :mod:`~dj_panel.core.frames` lists their types.

        One attribute gives one array, several a tuple of arrays; none gives a structured array of all.
        ``include_key`` puts the list of primary keys first.
        """
        names = list(attributes) or list(self.heading.names)
        key = self.heading.primary_key
        fetched = list(dict.fromkeys([*(key if include_key else ()), *names]))
        decoder, statement = self._asked(fetched, order_by, limit, offset, squeeze=squeeze)
        batches = self.connection.fetch(statement, list)
        n_rows = sum(batch.n_rows for batch in batches)
        columns = _columns_needed(decoder, batches, key if include_key else ())
        arrays = {
            name: array_of(batches, position, attribute, columns.get(name))
            for position, (name, attribute) in enumerate(zip(fetched, decoder.attributes, strict=True))
            if name in names
        }
        if not attributes:
            record = np.empty(n_rows, dtype=[(n, arrays[n].dtype) for n in names])
            for n in names:
                record[n] = arrays[n]
            return record
        result = [arrays[self.heading[n].name] for n in names]
        if include_key:
            return (dicts_of(key, [columns[n] for n in key], n_rows), *result)
        return result[0] if len(result) == 1 else tuple(result)

    def to_pandas(
        self,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
        *,
        attributes: str | Iterable[str] = (),
    ) -> pandas.DataFrame:
        """Return a data frame whose index is the primary key; :mod:`~dj_panel.core.frames` lists its types.

        Parameters as for :meth:`to_dicts`.
        """
        import pandas as pd  # noqa: PLC0415 - optional at run time: importing it costs more than all of core

        key = self.heading.primary_key
        asked = [attributes] if isinstance(attributes, str) else list(attributes)
        names = list(dict.fromkeys([*key, *asked])) if asked else []
        decoder, statement = self._asked(names, order_by, limit, offset, squeeze=squeeze)
        batches = self.connection.fetch(statement, list)
        columns = _columns_needed(decoder, batches)
        frame = pd.DataFrame(
            {
                name: pandas_column(pd, batches, position, decoder, columns.get(name))
                for position, name in enumerate(decoder.names)
            }
        )
        return frame.set_index(key) if key else frame

    def to_polars(self, order_by: Any = None, limit: int | None = None, offset: int | None = None,
                  squeeze: bool = False, *, attributes: str | Iterable[str] = ()) -> polars.DataFrame:  # fmt: skip
        """Return a polars data frame, its types those of the heading; the package polars must be installed."""
        import polars as pl  # noqa: PLC0415 - optional

        decoder, statement = self._asked(attributes, order_by, limit, offset, squeeze=squeeze)
        columns = self._fetched(decoder, statement, decoder.columns)
        return pl.DataFrame([polars_column(pl, a.name, a, columns[a.name]) for a in decoder.attributes])

    def to_arrow(self, order_by: Any = None, limit: int | None = None, offset: int | None = None,
                 squeeze: bool = False, *, attributes: str | Iterable[str] = ()) -> pyarrow.Table:  # fmt: skip
        """Return an Arrow table, its types those of the heading; the package pyarrow must be installed."""
        import pyarrow as pa  # noqa: PLC0415 - optional

        decoder, statement = self._asked(attributes, order_by, limit, offset, squeeze=squeeze)
        return arrow_table(pa, decoder, self.connection.fetch(statement, list))

    def to_arrow_batches(
        self,
        order_by: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
        *,
        attributes: str | Iterable[str] = (),
    ) -> pyarrow.RecordBatchReader:
        """Return a reader that gives the rows as Arrow batches while the server sends them.

        Memory does not grow with their number. Until the last batch is taken or the reader is closed, this
        thread can ask nothing else of a server.
        """
        import pyarrow as pa  # noqa: PLC0415 - optional

        decoder, statement = self._asked(attributes, order_by, limit, offset, squeeze=squeeze)
        return arrow_reader(pa, decoder, self.connection.batches(statement))

    def keys(
        self, order_by: Any = None, limit: int | None = None, offset: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the primary keys as dicts."""
        if not self.heading.primary_key:
            return [{} for _ in range(len(self))]
        return self.to_dicts(order_by, limit, offset, attributes=self.heading.primary_key)

    def fetch1(self, *attributes: str, squeeze: bool = False) -> Any:
        """Return the only row: a dict, or the value (or tuple of values) of the named attributes.

        ``"KEY"`` stands for the primary key as a dict.

        Raises
        ------
        OneRowError
            If there is no row, or more than one.
        """
        names = [n for a in attributes for n in (self.heading.primary_key if a == "KEY" else [a])]
        rows = self.to_dicts(limit=2, squeeze=squeeze, attributes=dict.fromkeys(names))
        if len(rows) != 1:
            found = "no row" if not rows else "more than one row"
            raise OneRowError(
                f"fetch1() wants exactly one row, and the query has {found}.",
                table=", ".join(map(label, source_tables(self.node))),
                attributes=tuple(self.heading.primary_key),
                remedy="Restrict it to one key.",
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

    def stream(
        self, order_by: Any = None, *, attributes: str | Iterable[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows as dicts while the server sends them, so that memory does not grow with their number.

        Until the last row is taken, this thread can ask nothing else of a server.
        """
        decoder, statement = self._asked(attributes, order_by)
        with closing(self.connection.batches(statement)) as batches:
            yield from decoder.each_dict(batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        decoder, statement = self._asked(order_by="KEY")
        return decoder.each_dict(self.connection.fetch(statement, list))

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
        if format == "frame" and (attributes or as_dict is not None):
            raise QuerySyntaxError(
                "format='frame' cannot be combined with attributes or as_dict; use to_pandas(attributes=…)."
            )
        if format == "frame":
            return self.to_pandas(**options)
        if attributes == ("KEY",):
            options.pop("squeeze", None)
            return self.keys(**options)
        if as_dict:
            # DataJoint 2 gives the key with whatever was asked for.
            names = [*self.heading.primary_key, *(a for a in attributes if a != "KEY")] if attributes else []
            return self.to_dicts(attributes=dict.fromkeys(names), **options)
        if "KEY" not in attributes:
            return self.to_arrays(*attributes, **options)
        arrays = iter(self.to_arrays(*(a for a in attributes if a != "KEY"), include_key=True, **options))
        keys = next(arrays)
        return tuple(keys if a == "KEY" else next(arrays) for a in attributes)

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
        order = "KEY" if self.heading.primary_key else None
        found = self.to_dicts(order, limit + 1, attributes=plain)
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


def _columns_needed(
    decoder: Decoder, batches: Sequence[Batch], also: Collection[str] = ()
) -> dict[str, list[Any]]:
    """Return the decoded values of those attributes that do not come as arrays, and of some more."""
    wanted = [
        position
        for position, name in enumerate(decoder.names)
        if name in also or not decoder.is_plain(position) or typed_values(batches, position) is None
    ]
    columns = decoder.columns(batches, wanted)
    return {decoder.names[position]: columns[decoder.names[position]] for position in wanted}
