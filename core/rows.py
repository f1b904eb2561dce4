"""Rows as users give them → values as the driver takes them, every one checked before anything is sent."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dj_panel.core.codec import encode_value
from dj_panel.core.conditions import IsDataFrame, frame_rows
from dj_panel.core.dialect import Dialect
from dj_panel.core.errors import MissingAttributeError, UnknownAttributeError, ValueRefusedError
from dj_panel.core.settings import Settings
from dj_panel.core.structure import Attribute, TableName, TableStructure

__all__ = ["RowEncoder", "is_missing", "rows_as_dicts"]


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for "no value": None, NaN, and the missing values of data frames."""
    if value is None:
        return True
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType")


def rows_as_dicts(rows: Any, names: Sequence[str], table: str) -> Iterator[dict[str, Any]]:
    """Yield rows as dicts, one at a time.

    Parameters
    ----------
    rows
        Mappings, sequences in the heading's order, numpy records, a data frame, an Arrow table, or the
        path of a CSV file with a header.
    names
        The table's attributes, for rows without names.
    table
        The table's name, for messages.

    Raises
    ------
    MissingAttributeError
        If a sequence has another length than the heading.
    """
    if isinstance(rows, Path):
        with rows.open(newline="", encoding="utf-8-sig") as file:
            for line in csv.DictReader(file):
                yield {name: (None if value == "" else value) for name, value in line.items()}
        return
    if hasattr(rows, "to_pylist"):
        yield from rows.to_pylist()
        return
    if isinstance(rows, IsDataFrame) and not isinstance(rows, Mapping):
        yield from frame_rows(rows)
        return
    for row in [rows] if isinstance(rows, (Mapping, np.void)) else rows:
        if isinstance(row, Mapping):
            yield dict(row)
        elif isinstance(row, np.void) and row.dtype.names:
            yield {name: row[name] for name in row.dtype.names}
        elif isinstance(row, Sequence) and not isinstance(row, (str, bytes)):
            if len(row) != len(names):
                raise MissingAttributeError(
                    f"A row of {table} was given as {len(row)} values without names, and it has {len(names)}"
                    f" attributes: {', '.join(names)}. Give dicts."
                )
            yield dict(zip(names, row, strict=True))
        else:
            raise MissingAttributeError(f"A row of {table} must be a dict, not {type(row).__name__}.")


class RowEncoder:
    """Checks rows of one table and encodes them for the driver.

    Parameters
    ----------
    table
        The table's structure.
    dialect
        The server's.
    settings
        For codecs: where the stores are.
    """

    def __init__(self, table: TableStructure, dialect: Dialect, settings: Settings) -> None:
        self.table = table
        self.name = table.name
        self._settings = settings
        self._attributes = table.heading.attributes
        self._encoders = {n: dialect.encoder(a.column_type) for n, a in self._attributes.items()}
        self._required = [n for n, a in self._attributes.items() if not a.has_default]

    def known(self, row: Mapping[str, Any], *, ignore_extra_fields: bool) -> dict[str, Any]:
        """Return the row without fields that the table lacks; refuse them unless they may be ignored."""
        extra = [name for name in row if name not in self._attributes]
        if extra and not ignore_extra_fields:
            raise UnknownAttributeError(extra[0], available=self._attributes, where=label(self.name))
        return {name: value for name, value in row.items() if name in self._attributes}

    def encode(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row's values as the driver takes them; what has no value and a default is left out.

        Raises
        ------
        MissingAttributeError
            If a value is missing that has no default.
        ValueRefusedError
            If a value does not fit its attribute.
        """
        values: dict[str, Any] = {}
        key: dict[str, Any] | None = None
        for name, value in row.items():
            attribute = self._attributes[name]
            if is_missing(value):
                if attribute.nullable:
                    values[name] = None
                elif not attribute.has_default:
                    raise MissingAttributeError(
                        f"{label(self.name)}.{name} has no value and no default. Give it one."
                    )
                elif value is not None:
                    raise ValueRefusedError(
                        "is no value, and the attribute cannot be empty; leave it out for its default",
                        attribute=name, table=label(self.name), value=value,
                    )  # fmt: skip
                continue
            if attribute.codec is not None and key is None:
                key = {n: row[n] for n in self.table.heading.primary_key if n in row}
            values[name] = self.value(attribute, value, key or {})
        for name in self._required:
            if name not in row:
                raise MissingAttributeError(
                    f"A row of {label(self.name)} lacks '{name}', which has no default. Add it to the row."
                )
        return values

    def value(self, attribute: Attribute, value: Any, key: Mapping[str, Any]) -> Any:
        """Return one value as the driver takes it."""
        if attribute.codec is not None:
            context = {
                "schema": self.name.schema,
                "table": self.name.table,
                "field": attribute.name,
                "config": self._settings,
            }
            value = encode_value(attribute.type, value, key=dict(key), context=context)
        try:
            value = attribute.column_type.check(value)
        except ValueError as error:
            raise ValueRefusedError(
                str(error), attribute=attribute.name, table=label(self.name), value=value
            ) from error
        encode = self._encoders[attribute.name]
        return encode(value) if encode is not None else value


def label(name: TableName) -> str:
    """Return a table's name as people say it: ``lab.Session``."""
    return f"{name.schema}.{name.class_name}"


def batches(
    rows: Iterable[dict[str, Any]], max_parameters: int, max_rows: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield lists of consecutive rows with the same fields, each small enough for one statement."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        n_bytes = sum(len(v) for v in row.values() if isinstance(v, (bytes, str)))
        full = batch and (
            row.keys() != batch[0].keys()
            or len(batch) >= max_rows
            or (len(batch) + 1) * max(len(row), 1) > max_parameters
            or size + n_bytes > 4_000_000
        )
        if full:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += n_bytes
    if batch:
        yield batch
