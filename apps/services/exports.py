"""Which rows go into a file, and with which columns."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.services.exporting import (
    FORMATS,
    XLSX_ROWS,
    arrow_batches,
    csv_lines,
    json_lines,
    named_batches,
    parquet_pieces,
    streamed,
    xlsx_pieces,
)
from dj_panel.apps.services.labels import ParentLabel, labelled, parent_labels
from dj_panel.apps.services.paging import conditions_of
from dj_panel.apps.services.rows import Order, parse_key
from dj_panel.apps.services.selection import unused_name
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.algebra import Condition, Constant, OneOf
from dj_panel.core.errors import QueryTimeoutError, ValueRefusedError
from dj_panel.core.expression import U
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = ["Exports", "has_values", "keys_condition"]

EXPORT_LIMIT_S = 900.0
LOOK_LIMIT_S = 2.0


def has_values(info: TableInfo) -> bool:
    """Return whether rows of a table hold arrays, files or other values that no text stands for."""
    return any(_is_inline(attribute) for attribute in info.attributes)


def _is_inline(attribute: Attribute) -> bool:
    return attribute.column_type.kind == "bytes"


def keys_condition(info: TableInfo, keys: Sequence[Mapping[str, str]]) -> Condition:
    """Return the condition of the rows with these primary keys, given as texts."""
    parsed = [parse_key(info, key) for key in keys]
    # A table without a key has one row, or none.
    if not info.primary_key:
        return Constant(value=bool(parsed))
    return OneOf.of_rows(info.primary_key, ([key[name] for name in info.primary_key] for key in parsed))


def _facts(stored: Any) -> Any:
    """Return what a row says of an object or a file, as far as it can be read."""
    try:
        return json.loads(stored)
    except (TypeError, ValueError):
        return stored


class Exports(Service):
    """Makes files of rows."""

    def file(
        self,
        table: str,
        file_format: str,
        filters: Mapping[str, str] | None = None,
        sort: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        *,
        keys: Sequence[Mapping[str, str]] | None = None,
        values: bool = False,
        labels: bool = False,
        among: Condition | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield a file of all rows that the filters leave, or of those with the keys.

        Parameters
        ----------
        table, filters, sort
            As for `Browsing.rows`.
        file_format
            One of `FORMATS`.
        columns
            Which attributes, in which order; all if not given.
        keys
            The rows, as primary keys of texts.
        values
            Whether arrays and other values that are kept in the rows are written too: as JSON, bytes in base64.
            Of what is in a store, what the row says of it is always written, and never its content.
        labels
            Whether a column after the attributes of each foreign key says what the parent is called; see
            `dj_panel.apps.services.labels`.
        among
            A condition beside the filters; as them it says nothing where there are keys.

        Raises
        ------
        FilterError, UnknownAttributeError
            As for `Browsing.rows`, at once.
        TooManyExportsError
            If too many files are being made already.
        """
        info = self._services.table(table)
        condition = self._condition(info, filters or {}, keys, among)
        order = self._services.browsing.order(info, sort)
        wanted = [info.attribute(name) for name in columns] if columns else list(info.attributes)
        shown = [a for a in wanted if not _is_inline(a) or (values and FORMATS[file_format].has_values)]
        called: list[ParentLabel] = []
        if labels:
            shown, called = labelled(shown, parent_labels(self._services, info))
        return streamed(lambda: self._pieces(info, file_format, condition, order, shown, called))

    async def check(
        self,
        table: str,
        file_format: str,
        filters: Mapping[str, str],
        keys: Sequence[Any] | None = None,
        among: Condition | None = None,
    ) -> None:
        """Raise `ValueRefusedError` if a file of this format cannot hold the rows or cannot be made here."""
        if FORMATS[file_format].missing:
            raise ValueRefusedError(FORMATS[file_format].missing)
        if file_format != "xlsx" or keys is not None:
            return
        info = self._services.table(table)
        condition = self._condition(info, filters, None, among)

        def n_rows() -> int:
            pages = self._services.browsing.pages
            try:
                with pages.limit(LOOK_LIMIT_S):
                    return int(pages.query(info, condition).count(at_most=XLSX_ROWS + 1))
            except QueryTimeoutError:  # it is seen when it is written
                return 0

        if await self._services.run(n_rows) > XLSX_ROWS:
            raise ValueRefusedError(
                say(
                    "Excel holds {n} rows, and these are more. Filter them, or take CSV or Parquet.",
                    n=XLSX_ROWS,
                )
            )

    async def size_text(
        self,
        table: str,
        filters: Mapping[str, str],
        keys: Sequence[Mapping[str, str]] | None = None,
        among: Condition | None = None,
    ) -> str:
        """Return how much the arrays and other values in the rows take, in words."""
        info = self._services.table(table)
        condition = self._condition(info, filters, keys, among)
        return await self._services.run(self._size_text, info, condition)

    # ------------------------------------------------------------------ in a thread
    def _condition(
        self,
        info: TableInfo,
        filters: Mapping[str, str],
        keys: Sequence[Mapping[str, str]] | None,
        among: Condition | None,
    ) -> Condition | None:
        if keys is not None:
            return keys_condition(info, keys)
        return conditions_of(self._services.browsing.parsed(info, filters), among)

    def _size_text(self, info: TableInfo, condition: Condition | None) -> str:
        pages = self._services.browsing.pages
        names = [attribute.name for attribute in info.attributes if _is_inline(attribute)]
        if not names:
            return ""
        sums = {f"n_{number}": f"sum(length(`{name}`))" for number, name in enumerate(names)}
        try:
            with pages.limit(LOOK_LIMIT_S):
                found = U().aggr(pages.query(info, condition), **sums).to_dicts()
        except QueryTimeoutError:
            return say("their size is not known: adding it up takes too long")
        return human_bytes(sum(int(value or 0) for row in found for value in row.values()))

    def _pieces(
        self,
        info: TableInfo,
        file_format: str,
        condition: Condition | None,
        order: Order,
        shown: Sequence[Attribute],
        called: Sequence[ParentLabel],
    ) -> Iterator[bytes]:
        pages = self._services.browsing.pages
        query = pages.query(info, condition)
        aliases = {label.attribute.name: label.alias for label in called}
        for label in called:
            query = label.joined(query, self._services.pipeline[label.link.table]())
        order_by = [f"{attribute.name}{' DESC' if down else ''}" for attribute, down in order] or None
        with pages.limit(EXPORT_LIMIT_S):
            if file_format == "parquet" and not any(_is_inline(a) or a.codec is not None for a in shown):
                names = [aliases.get(attribute.name, attribute.name) for attribute in shown]
                asked = query.proj(*names, *self._sorted(order_by))
                with asked.to_arrow_batches(attributes=names, order_by=order_by) as reader:
                    yield from parquet_pieces(*named_batches(reader, [a.name for a in shown]))
                return
            with closing(self._rows(info, query, order_by, shown, aliases)) as rows:
                if file_format == "parquet":
                    yield from parquet_pieces(*arrow_batches(shown, rows))
                else:
                    writers = {"csv": csv_lines, "json": json_lines, "xlsx": xlsx_pieces}
                    yield from writers[file_format](shown, rows)

    def _rows(
        self,
        info: TableInfo,
        query: Any,
        order_by: list[str] | None,
        shown: Sequence[Attribute],
        aliases: Mapping[str, str],
    ) -> Generator[list[Any], None, None]:
        """Yield decoded values; of what is in a store, and of attached files, what stands in the row."""
        names, computed = [], {}
        for number, attribute in enumerate(shown):
            is_far = attribute.codec is not None and (
                attribute.column_type.kind == "json" or attribute.codec == "attach"
            )
            plain_name = aliases.get(attribute.name, attribute.name)
            name = unused_name(info, f"stored_{number}") if is_far else plain_name
            names.append(name)
            if is_far:
                computed[name] = f"coalesce(`{attribute.name}`, `{attribute.name}`)"
        plain = [name for name in names if name not in computed]
        asked = query.proj(*dict.fromkeys([*plain, *info.primary_key]), *self._sorted(order_by), **computed)
        with closing(asked.stream(order_by=order_by)) as rows:
            for row in rows:
                yield [_facts(row[name]) if name in computed else row[name] for name in names]

    @staticmethod
    def _sorted(order_by: list[str] | None) -> list[str]:
        return [item.removesuffix(" DESC") for item in order_by or []]
