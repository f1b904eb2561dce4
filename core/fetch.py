"""Columns of the driver → Python's values: decoding for a heading, and the order of rows as users write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from dj_panel.core.codec import decode_value
from dj_panel.core.dialect import Dialect
from dj_panel.core.dialect.columns import Batch, Column
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.lazy import np
from dj_panel.core.settings import Settings
from dj_panel.core.sqltext import parse_text
from dj_panel.core.structure import Attribute, Heading

__all__ = ["Decoder", "dicts_of", "parse_order", "require_counts"]

_NAME = re.compile(r"\w+")
_DIRECTION = re.compile(r"(.*\S)\s+(asc|desc)", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|.""", re.DOTALL)
_RANDOM = re.compile(r"rand\s*\(\s*\)", re.IGNORECASE)


class Decoder:
    """Decodes the columns of one query.

    Parameters
    ----------
    heading
        The query's heading.
    names
        The attributes that were asked for, in order.
    dialect
        The server's.
    settings
        For codecs: where stores and the download folder are.
    squeeze
        Whether to drop dimensions of length one from arrays.
    """

    def __init__(
        self,
        heading: Heading,
        names: Sequence[str],
        dialect: Dialect,
        settings: Settings,
        *,
        squeeze: bool = False,
    ) -> None:
        self.names = tuple(names)
        self.attributes = tuple(heading[name] for name in names)
        self._settings = settings
        self._squeeze = squeeze
        self._plain = tuple(dialect.decoder(attribute.column_type) for attribute in self.attributes)

    @property
    def has_codecs(self) -> bool:
        """Whether any value goes through a codec."""
        return any(attribute.codec is not None for attribute in self.attributes)

    def is_plain(self, position: int) -> bool:
        """Tell whether a column's values are those of the driver."""
        return self._plain[position] is None and self.attributes[position].codec is None

    def values(self, batch: Batch, wanted: Collection[int] | None = None) -> list[list[Any]]:
        """Return the decoded values of each attribute; of those not wanted, by their positions, an empty list."""
        # A query without attributes has rows all the same, and the server sends a 1 for each.
        positions = range(len(self.names))
        columns: list[list[Any]] = [[] for _ in positions]
        keys: list[dict[str, Any]] | None = None
        for position in positions if wanted is None else wanted:
            columns[position] = _decoded(batch.columns[position], self._plain[position])
        for position, attribute in enumerate(self.attributes):
            if attribute.codec is not None and (wanted is None or position in wanted):
                keys = self._keys(batch) if keys is None else keys
                columns[position] = self._through_codec(attribute, columns[position], keys)
        return columns

    def _keys(self, batch: Batch) -> list[dict[str, Any]]:
        """Return as much of each row's key as was asked for."""
        in_key = [p for p, a in enumerate(self.attributes) if a.in_key and a.codec is None]
        columns = [_decoded(batch.columns[p], self._plain[p]) for p in in_key]
        return dicts_of([self.names[p] for p in in_key], columns, batch.n_rows)

    def _through_codec(
        self, attribute: Attribute, stored: list[Any], keys: list[dict[str, Any]]
    ) -> list[Any]:
        schema, table, _ = attribute.lineage or ("", "", "")
        context = {"schema": schema, "table": table, "field": attribute.name, "config": self._settings}
        values = [
            None if value is None else decode_value(attribute.type, value, key=key, context=context)
            for value, key in zip(stored, keys, strict=True)
        ]
        if self._squeeze:
            values = [value.squeeze() if isinstance(value, np.ndarray) else value for value in values]
        return values

    def dicts(self, batches: Iterable[Batch]) -> list[dict[str, Any]]:
        """Return the decoded rows as dicts."""
        found: list[dict[str, Any]] = []
        for batch in batches:
            found += dicts_of(self.names, self.values(batch), batch.n_rows)
        return found

    def columns(
        self, batches: Iterable[Batch], wanted: Collection[int] | None = None
    ) -> dict[str, list[Any]]:
        """Return the decoded values of all rows by attribute; of those not wanted, an empty list."""
        found: dict[str, list[Any]] = {name: [] for name in self.names}
        for batch in batches:
            for name, values in zip(self.names, self.values(batch, wanted), strict=True):
                found[name] += values
        return found

    def each_dict(self, batches: Iterable[Batch]) -> Iterator[dict[str, Any]]:
        """Yield the decoded rows as dicts."""
        for batch in batches:
            yield from dicts_of(self.names, self.values(batch), batch.n_rows)


def _decoded(column: Column, decode: Callable[[Any], Any] | None) -> list[Any]:
    values = column.values()
    return values if decode is None else [None if value is None else decode(value) for value in values]


def dicts_of(names: Sequence[str], columns: Sequence[Sequence[Any]], n_rows: int) -> list[dict[str, Any]]:
    """Return columns as dicts, one for each row."""
    # Filling copies of one dict by column takes half as long as zipping names and values for each row.
    empty: dict[str, Any] = dict.fromkeys(names)
    rows = [empty.copy() for _ in range(n_rows)]
    for name, values in zip(names, columns, strict=True):
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def require_counts(limit: Any, offset: Any) -> None:
    """Raise :class:`QuerySyntaxError` unless limit (if there is one) and offset are whole numbers from 0 on."""
    for name, value in (
        ("limit", 0 if limit is None else limit),
        ("offset", 0 if offset is None else offset),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise QuerySyntaxError(
                f"The {name} is {value!r}; it must be a whole number from 0 on."
                + (" For all rows it is None." if name == "limit" else "")
            )


def parse_order(order_by: Any, heading: Heading) -> tuple[tuple[str, bool], ...]:
    """Return ``order_by`` as pairs ``(attribute or expression, descending)``.

    Parameters
    ----------
    order_by
        ``"a"``, ``"a DESC"``, ``"KEY"``, ``"KEY DESC"``, an expression such as ``"abs(a) DESC"`` or ``"rand()"``,
        several with commas between, or a list of such.

    Raises
    ------
    UnknownAttributeError
        If a name is not in the heading.
    QuerySyntaxError
        If an item is not a name or an expression with ``ASC`` or ``DESC``.
    """
    if order_by is None:
        return ()
    items = [order_by] if isinstance(order_by, str) else list(order_by)
    pairs: list[tuple[str, bool]] = []
    for item in (part for entry in items for part in _parts(str(entry))):
        match = _DIRECTION.fullmatch(item)
        text, direction = (match[1], match[2].upper()) if match else (item, "")
        name = text.strip('`"')
        if _NAME.fullmatch(name):
            names = (
                heading.primary_key if name.upper() == "KEY" and name not in heading else [heading[name].name]
            )
        else:
            names = [_ordering_expression(text, item, heading)]
        pairs += [(n, direction == "DESC") for n in names]
    order: dict[str, bool] = {}
    for attribute, is_descending in pairs:
        # What is named twice, as by "a DESC" before "KEY", is sorted as it was named first.
        order.setdefault(attribute, is_descending)
    return tuple(order.items())


def _parts(text: str) -> list[str]:
    """Return what stands between commas outside parentheses and quotes."""
    pieces = [""]
    depth = 0
    for token in _TOKEN.findall(text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += token
    return [piece.strip() for piece in pieces]


def _ordering_expression(text: str, item: str, heading: Heading) -> str:
    try:
        template = parse_text(text, "mysql")
    except QuerySyntaxError as error:
        raise QuerySyntaxError(
            f"{item!r} is not an order; write an attribute or an expression, perhaps with DESC after it: {error}"
        ) from error
    for name in template.attributes:
        heading[name]  # raises what an unknown attribute does
    if template.aggregates or not (template.attributes or _RANDOM.fullmatch(text)):
        raise QuerySyntaxError(f"{item!r} is not an order: rows are sorted by what differs between them.")
    return text
