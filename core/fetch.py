"""Rows of the driver → rows of Python: decoders for a heading, and the forms in which rows are returned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dj_panel.core.codec import decode_value
from dj_panel.core.dialect import Dialect
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.settings import Settings
from dj_panel.core.structure import Attribute, Heading

__all__ = ["RowDecoder", "column_array", "parse_order"]


class RowDecoder:
    """Decodes the rows of one query.

    Parameters
    ----------
    heading
        The query's heading.
    names
        The attributes that a row holds, in order.
    dialect
        The server's.
    settings
        For codecs: where stores and the download folder are.
    """

    def __init__(self, heading: Heading, names: Sequence[str], dialect: Dialect, settings: Settings) -> None:
        self.names = tuple(names)
        self._heading = heading
        self._settings = settings
        self._plain: list[tuple[int, Callable[[Any], Any]]] = []
        self._codecs: list[tuple[int, Attribute]] = []
        for position, name in enumerate(self.names):
            attribute = heading[name]
            decode = dialect.decoder(attribute.column_type)
            if decode is not None:
                self._plain.append((position, decode))
            if attribute.codec is not None:
                self._codecs.append((position, attribute))
        self._key = [(p, n) for p, n in enumerate(self.names) if heading[n].in_key]

    def __call__(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the decoded row, in the same order."""
        if not self.names:
            return ()  # a query without attributes has rows all the same, and the server sends a 1 for each
        if not self._plain and not self._codecs:
            return row
        values = list(row)
        for position, decode in self._plain:
            if values[position] is not None:
                values[position] = decode(values[position])
        if self._codecs:
            key = {name: values[position] for position, name in self._key}
            for position, attribute in self._codecs:
                if values[position] is not None:
                    values[position] = decode_value(
                        attribute.type, values[position], key=key, context=self._context(attribute)
                    )
        return values

    def _context(self, attribute: Attribute) -> dict[str, Any]:
        schema, table, _ = attribute.lineage or ("", "", "")
        return {"schema": schema, "table": table, "field": attribute.name, "config": self._settings}

    def dicts(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Return the decoded rows as dicts."""
        names = self.names
        if not names:
            return [{} for _ in rows]
        if not self._plain and not self._codecs:
            return [dict(zip(names, row, strict=True)) for row in rows]
        return [dict(zip(names, self(row), strict=True)) for row in rows]


def column_array(values: Sequence[Any], attribute: Attribute) -> np.ndarray[Any, Any]:
    """Return one attribute's values as an array; of objects where no number type fits all of them."""
    kind = attribute.column_type.kind
    if attribute.codec is None and not any(value is None for value in values):
        if kind in ("integer", "boolean") and values:
            return np.array(values)
        if kind == "float":
            return np.array(values, dtype=np.float64)
        if kind in ("text", "enum") and values:
            return np.array(values, dtype=object)
    if kind == "float" and attribute.codec is None:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if attribute.type == "computed" and values and all(isinstance(v, (int, float)) for v in values):
        return np.array(values)
    array = np.empty(len(values), dtype=object)
    for position, value in enumerate(values):
        array[position] = value
    return array


def parse_order(order_by: Any, heading: Heading) -> tuple[tuple[str, bool], ...]:
    """Return ``order_by`` as pairs ``(attribute, descending)``.

    Parameters
    ----------
    order_by
        ``"a"``, ``"a DESC"``, ``"KEY"``, ``"KEY DESC"``, several with commas between, or a list of such.

    Raises
    ------
    UnknownAttributeError
        If a name is not in the heading.
    QuerySyntaxError
        If an item is not a name with ``ASC`` or ``DESC``.
    """
    if order_by is None:
        return ()
    items = [order_by] if isinstance(order_by, str) else list(order_by)
    pairs: list[tuple[str, bool]] = []
    for item in (part.strip() for entry in items for part in str(entry).split(",")):
        name, _, direction = item.partition(" ")
        name = name.strip('`"')
        direction = direction.strip().upper()
        if direction not in ("", "ASC", "DESC"):
            raise QuerySyntaxError(
                f"{item!r} is not an order; write an attribute, perhaps with DESC after it."
            )
        names = heading.primary_key if name.upper() == "KEY" else [name]
        pairs += [(heading[n].name, direction == "DESC") for n in names]
    order: dict[str, bool] = {}
    for attribute, is_descending in pairs:
        # What is named twice, as by "a DESC" before "KEY", is sorted as it was named first.
        order.setdefault(attribute, is_descending)
    return tuple(order.items())


def frame_columns(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Return decoded rows as columns by name."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return dict(zip(names, columns, strict=True))
