"""Rows of one table → values as the driver takes them, every one checked before anything is sent."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from dj_panel.core.codec import encode_value
from dj_panel.core.columnchecks import encode_column
from dj_panel.core.dialect import Dialect
from dj_panel.core.errors import MissingAttributeError, UnknownAttributeError, ValueRefusedError
from dj_panel.core.rows import Block, is_missing, label
from dj_panel.core.settings import Settings
from dj_panel.core.structure import Attribute, TableStructure
from dj_panel.core.words import say

__all__ = ["RowEncoder"]


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

    def check_names(self, names: Iterable[Any]) -> None:
        """Refuse a field that the table does not have."""
        extra = next((name for name in names if name not in self._attributes), None)
        if extra is not None:
            raise UnknownAttributeError(extra, available=self._attributes, where=label(self.name))

    # ------------------------------------------------------------------ by column
    def known(self, block: Block, *, ignore_extra_fields: bool) -> Block:
        """Return the block without fields that the table lacks; refuse them unless they may be ignored."""
        if not ignore_extra_fields:
            self.check_names(block.columns)
        columns = {name: values for name, values in block.columns.items() if name in self._attributes}
        return Block(columns, block.n_rows, block.start)

    def encode_block(self, block: Block) -> list[Block]:
        """Return the rows' values as the driver takes them, in as many blocks as rows leave out different fields.

        Raises
        ------
        MissingAttributeError, ValueRefusedError
            As :meth:`encode` does, for the first row that is refused.
        """
        plain = self._plain_columns(block)
        if plain is None:
            # One by one: some rows leave a default to the server, or one of them is refused.
            if any(self._attributes[name].codec is not None for name in block.columns):
                for row in block.rows():
                    self.encode(row, only_plain=True)
            return list(_grouped(map(self.encode, block.rows())))
        for name, values in block.columns.items():
            attribute = self._attributes[name]
            if attribute.codec is not None:
                keys = self._keys(block)
                plain[name] = [
                    None if is_missing(value) else self.value(attribute, value, key)
                    for value, key in zip(values, keys, strict=True)
                ]
        return [Block({name: plain[name] for name in block.columns}, block.n_rows, block.start)]

    def _plain_columns(self, block: Block) -> dict[str, list[Any]] | None:
        """Return the columns without a codec, encoded; ``None`` if a value of any column asks for a closer look."""
        if any(name not in block.columns for name in self._required):
            return None
        found: dict[str, list[Any]] = {}
        for name, values in block.columns.items():
            attribute = self._attributes[name]
            if attribute.codec is not None:
                if not attribute.nullable and any(map(is_missing, values)):
                    return None
                continue
            column = attribute.column_type
            encoded = encode_column(column, self._encoders[name], values, nullable=attribute.nullable)
            if encoded is None:
                return None
            found[name] = encoded
        return found

    def _keys(self, block: Block) -> Iterator[dict[str, Any]]:
        names = [name for name in self.table.heading.primary_key if name in block.columns]
        if not names:
            yield from ({} for _ in range(block.n_rows))
        for values in zip(*(block.columns[name] for name in names), strict=True):
            yield dict(zip(names, values, strict=True))

    # ------------------------------------------------------------------ by row
    def encode(self, row: Mapping[str, Any], *, only_plain: bool = False) -> dict[str, Any]:
        """Return the row's values as the driver takes them; what has no value and a default is left out.

        Parameters
        ----------
        row
            The row.
        only_plain
            Whether to pass over what codecs encode, which may write objects.

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
                else:
                    self.check_missing(attribute, value)
                continue
            if attribute.codec is not None:
                if only_plain:
                    continue
                if key is None:
                    key = {n: row[n] for n in self.table.heading.primary_key if n in row}
            values[name] = self.value(attribute, value, key or {})
        self.check_given(row)
        return values

    def check_given(self, names: Container[str]) -> None:
        """Refuse rows that lack an attribute without a default."""
        for name in self._required:
            if name not in names:
                raise MissingAttributeError(
                    say(
                        "A row of {table} lacks '{name}', which has no default.",
                        table=label(self.name),
                        name=name,
                    ),
                    table=label(self.name),
                    attributes=(name,),
                    remedy=say("Add it to the row."),
                )

    def check_missing(self, attribute: Attribute, value: Any) -> None:
        """Refuse "no value" for an attribute that cannot be empty; ``None`` stands for its default if it has one."""
        if not attribute.has_default:
            raise MissingAttributeError(
                say(
                    "{table}.{name} has no value and no default.", table=label(self.name), name=attribute.name
                ),
                table=label(self.name),
                attributes=(attribute.name,),
                value=value,
                remedy=say("Give it one."),
            )
        if value is not None:
            raise ValueRefusedError(
                say("is no value, and the attribute cannot be empty"),
                attribute=attribute.name,
                table=label(self.name),
                value=value,
                remedy=say("Leave it out for its default."),
            )

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
            return self.checked(attribute, value)
        except ValueError as error:
            raise ValueRefusedError(
                error.reason if isinstance(error, ValueRefusedError) else str(error),
                attribute=attribute.name,
                table=label(self.name),
                value=value,
            ) from error

    def checked(self, attribute: Attribute, value: Any) -> Any:
        """Return a value of an attribute's column as the driver takes it; raise ``ValueError`` if it does not fit."""
        value = attribute.column_type.check(value)
        encode = self._encoders[attribute.name]
        return encode(value) if encode is not None else value


def _grouped(rows: Iterable[dict[str, Any]]) -> Iterator[Block]:
    """Yield blocks of consecutive rows with the same fields."""
    columns: dict[str, list[Any]] = {}
    n_rows = 0
    for row in rows:
        if n_rows and row.keys() != columns.keys():
            yield Block(columns, n_rows)
            n_rows = 0
        if not n_rows:
            columns = {name: [] for name in row}
        for name, value in row.items():
            columns[name].append(value)
        n_rows += 1
    if n_rows:
        yield Block(columns, n_rows)
