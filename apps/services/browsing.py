"""Looking at rows: pages of a table, single records, their values, and files to take home.

Everything is sorted, filtered and counted by the database, under limits: of rows in a page, of rows counted,
of rows passed over, and of time. The number of statements does not grow with the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.services.cells import is_value, plan_of
from dj_panel.apps.services.code import fetch_code, keys_code, record_code, value_code
from dj_panel.apps.services.filters import Filter, FilterError, parse_filter
from dj_panel.apps.services.paging import COUNT_LIMIT, TIME_LIMIT_S, Pages, Wanted, conditions_of
from dj_panel.apps.services.rows import (
    Address,
    Children,
    Order,
    Record,
    RowsPage,
    child_filters,
    child_values,
    key_text,
    key_words,
    parent_address,
    parse_key,
)
from dj_panel.apps.services.selection import unused_name
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import Link, TableInfo
from dj_panel.core.algebra import AllOf, AnyOf, Comparison, Condition, Ordering
from dj_panel.core.codec import decode_value
from dj_panel.core.errors import OneRowError, QueryTimeoutError, UnknownAttributeError, ValueRefusedError
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Browsing"]

CHILDREN_LIMIT_S = 1.0
MAX_VALUE_BYTES = 256 * 2**20
N_PART_ROWS = 10


class Browsing(Service):
    """What pages ask about rows."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.pages = Pages(services)

    # ------------------------------------------------------------------ asked by pages
    async def rows(
        self,
        table: str,
        filters: Mapping[str, str] | None = None,
        sort: Sequence[str] = (),
        page: int = 1,
        page_size: int = 50,
        *,
        at: str = "",
        before: RowsPage | None = None,
        among: Condition | None = None,
    ) -> RowsPage:
        """Return one page of rows.

        Parameters
        ----------
        table
            The table's name in the application.
        filters
            What was typed, by attribute; see `dj_panel.apps.services.filters`.
        sort
            Attributes, ``-`` in front of those to be sorted downwards; the primary key always follows.
        page, page_size
            Which rows, counted in pages from 1, or from -1 for the last; see `dj_panel.apps.services.paging`.
        at
            What `RowsPage.at` said of a page deep in the table.
        before
            The page that is shown now, if its filters and order are the same: with it the next one is found
            at once.
        among
            A condition beside the filters, such as that of `dj_panel.apps.services.written`.

        Raises
        ------
        FilterError
            If a filter cannot be understood.
        UnknownAttributeError
            If there is no such attribute, or it cannot be sorted by.
        QueryTimeoutError
            If the database needs too long.
        """
        info = self._services.table(table)
        parsed = self.parsed(info, filters or {})
        order = self.order(info, sort)
        wanted = Wanted(page, page_size, at, before)
        return await self._services.run(self.pages.read, info, conditions_of(parsed, among), order, wanted)

    async def count(self, table: str, filters: Mapping[str, str] | None = None) -> int:
        """Return the number of rows that filters leave, at most one more than `COUNT_LIMIT`."""
        info = self._services.table(table)
        parsed = self.parsed(info, filters or {})
        return await self._services.run(self.pages.count, info, conditions_of(parsed))

    async def record(self, table: str, key: Mapping[str, str]) -> Record:
        """Return one row with what belongs to it.

        Parameters
        ----------
        table
            The table's name in the application.
        key
            The primary key as text.

        Raises
        ------
        OneRowError
            If there is no such row.
        UnknownAttributeError, ValueRefusedError
            If the key is not one of this table.
        """
        info = self._services.table(table)
        typed = parse_key(info, key)
        return await self._services.run(self._read_record, info, typed)

    async def relatives(
        self, table: str, key: Mapping[str, str]
    ) -> tuple[tuple[tuple[Link, Address | None], ...], tuple[Children, ...]]:
        """Return what a row refers to, through each foreign key, and how many rows refer to it.

        Raises
        ------
        OneRowError
            If there is no such row.
        """
        info = self._services.table(table)
        return await self._services.run(self._read_relatives, info, parse_key(info, key))

    async def value(self, table: str, key: Mapping[str, str], attribute: str, folder: Path) -> Any:
        """Return one decoded value; large objects come as references that read when they are used.

        Parameters
        ----------
        table, key
            Which row.
        attribute
            Which attribute.
        folder
            Where an attached file is written; the value is its path then.

        Raises
        ------
        OneRowError
            If there is no such row.
        ValueRefusedError
            If it holds more than can be fetched into the server's memory.
        StoreError, DecodeError
            If the object is missing or damaged.
        """
        info = self._services.table(table)
        typed = parse_key(info, key)
        wanted = info.attribute(attribute)
        return await self._services.run(self._read_value, info, typed, wanted, folder)

    async def sampling_rate_hz(self, table: str, key: Mapping[str, str]) -> float | None:
        """Return the rate of a row's signals in Hz, if its table has one attribute for that."""
        info = self._services.table(table)
        rates = [a for a in info.attributes if "sampling_rate" in a.name and "(Hz)" in a.comment]
        if len(rates) != 1:
            return None
        query = self.pages.query(info, _matching(parse_key(info, key)))
        found = await self._services.run(query.to_dicts, attributes=[rates[0].name], limit=1)
        rate = found[0][rates[0].name] if found else None
        return float(rate) if rate else None

    async def neighbours(self, table: str, key: Mapping[str, str]) -> tuple[Address | None, Address | None]:
        """Return the rows before and after one in the order of the primary key."""
        info = self._services.table(table)
        typed = parse_key(info, key)
        return await self._services.run(self._read_neighbours, info, typed)

    # ------------------------------------------------------------------ understood without the database
    def parsed(self, info: TableInfo, filters: Mapping[str, str]) -> dict[str, Filter]:
        """Return the filters of a table, understood; raise `FilterError` for the first that is not."""
        found = {}
        for name, text in filters.items():
            attribute = info.attribute(name)
            try:
                item = parse_filter(attribute, text, self._services.entering.custom)
            except FilterError as error:
                raise FilterError(f"{name}: {error}") from error
            if item is not None:
                found[name] = item
        return found

    def problems(self, table: str, filters: Mapping[str, str]) -> dict[str, str]:
        """Return what is wrong with filters, by attribute."""
        info = self._services.table(table)
        wrong = {}
        for name, text in filters.items():
            try:
                parse_filter(info.attribute(name), text, self._services.entering.custom)
            except (FilterError, UnknownAttributeError) as error:
                wrong[name] = str(error)
        return wrong

    def order(self, info: TableInfo, sort: Sequence[str]) -> Order:
        """Return the order of a table: what was asked for, and then the primary key."""
        chosen: dict[str, bool] = {}
        for item in sort:
            name = item.removeprefix("-")
            attribute = info.attribute(name)
            if is_value(attribute):
                raise UnknownAttributeError(
                    say(
                        "Rows of {table} cannot be sorted by '{name}', which has no order.",
                        table=info.name,
                        name=name,
                    )
                )
            chosen.setdefault(name, item.startswith("-"))
        # In the direction of what was asked for last: so an index gives this order, read from either end.
        is_descending = bool(chosen) and list(chosen.values())[-1]
        for name in info.primary_key:
            chosen.setdefault(name, is_descending)
        return tuple((info.attribute(name), is_descending) for name, is_descending in chosen.items())

    def code(
        self,
        table: str,
        filters: Mapping[str, str],
        sort: Sequence[str],
        page: int,
        page_size: int,
        batch: str = "",
    ) -> str:
        """Return Python that fetches what `rows` shows, perhaps of the rows that an import wrote."""
        info = self._services.table(table)
        order = [f"{a.name} DESC" if down else a.name for a, down in self.order(info, sort)]
        return fetch_code(
            self._services.pipeline,
            table,
            self.parsed(info, filters),
            order,
            limit=page_size,
            offset=(page - 1) * page_size,
            batch=batch,
        )

    def record_code(self, table: str, key: Mapping[str, str]) -> str:
        """Return Python that fetches a record."""
        return record_code(self._services.pipeline, table, parse_key(self._services.table(table), key))

    def keys_code(self, table: str, keys: Sequence[Mapping[str, str]]) -> str:
        """Return Python that restricts a table to rows with these primary keys, given as texts."""
        info = self._services.table(table)
        return keys_code(self._services.pipeline, table, [parse_key(info, key) for key in keys])

    def advice(self, table: str, filters: Mapping[str, str], sort: Sequence[str]) -> str:
        """Return what would let the database answer sooner, for a view that takes it too long."""
        info = self._services.table(table)
        quick = self._indexed(info)
        slow = [
            name
            for name in dict.fromkeys([*filters, *(s.removeprefix("-") for s in sort)])
            if name not in quick
        ]
        if not slow:
            return say("Filter by more of the key, so that there are fewer rows to look at.")
        return say(
            "There is no index on {slow}, so every row has to be looked at. Filter or sort by {quick}, which is"
            " quick.",
            slow=", ".join(slow),
            quick=", ".join(quick),
        )

    def _indexed(self, info: TableInfo) -> list[str]:
        structure = self._services.pipeline[info.name]().structure
        firsts = [info.primary_key[:1], *(index.columns[:1] for index in structure.indexes)]
        firsts += [link.foreign_key.attributes[:1] for link in info.parents]
        return list(dict.fromkeys(name for names in firsts for name in names))

    def value_code(self, table: str, key: Mapping[str, str], attribute: str) -> str:
        """Return Python that fetches a value."""
        info = self._services.table(table)
        return value_code(self._services.pipeline, table, parse_key(info, key), info.attribute(attribute))

    # ------------------------------------------------------------------ in a thread
    def _read_record(self, info: TableInfo, key: Mapping[str, Any]) -> Record:
        query = self.pages.query(info, _matching(key))
        found = self.pages.fetch(info, query, (), 2, full=True)
        if len(found) != 1:
            raise _no_row(info, key)
        raw = query.to_dicts(attributes=_linking(info), limit=1)[0]
        parts = {}
        for name in info.parts:
            part = self._services.table(name)
            link = next(link for link in part.parents if link.table == info.name)
            filters = child_filters(part, link, raw, self._services.entering.custom)
            condition = conditions_of(self.parsed(part, filters))
            page = self.pages.read(part, condition, self.order(part, ()), Wanted(1, N_PART_ROWS))
            parts[name] = (page, filters)
        return Record(info, found[0], self._parents(info, raw), parts, tuple(self._children(info, raw)))

    def _read_relatives(
        self, info: TableInfo, key: Mapping[str, Any]
    ) -> tuple[tuple[tuple[Link, Address | None], ...], tuple[Children, ...]]:
        found = self.pages.query(info, _matching(key)).to_dicts(attributes=_linking(info), limit=1)
        if not found:
            raise _no_row(info, key)
        return self._parents(info, found[0]), tuple(self._children(info, found[0]))

    def _parents(self, info: TableInfo, row: Mapping[str, Any]) -> tuple[tuple[Link, Address | None], ...]:
        return tuple(
            (link, parent_address(self._services.table(link.table), link, row)) for link in info.parents
        )

    def _children(self, info: TableInfo, row: Mapping[str, Any]) -> Iterator[Children]:
        for link in info.children:
            child = self._services.table(link.table)
            filters = child_filters(child, link, row, self._services.entering.custom)
            condition = _matching(child_values(link, row))
            try:
                count = self.pages.count(child, condition, CHILDREN_LIMIT_S)
            except QueryTimeoutError:
                yield Children(link.table, link, filters, 0, is_capped=True)
            else:
                yield Children(link.table, link, filters, min(count, COUNT_LIMIT), count > COUNT_LIMIT)

    def _read_neighbours(
        self, info: TableInfo, key: Mapping[str, Any]
    ) -> tuple[Address | None, Address | None]:
        if not key:
            return None, None
        return self._next(info, key, backwards=True), self._next(info, key, backwards=False)

    def _next(self, info: TableInfo, key: Mapping[str, Any], *, backwards: bool) -> Address | None:
        alternatives: list[Condition] = []
        names = list(key)
        for place, name in enumerate(names):
            same = tuple(Comparison(n, key[n]) for n in names[:place])
            alternatives.append(AllOf((*same, Ordering(name, "<" if backwards else ">", key[name]))))
        order_by = "KEY DESC" if backwards else "KEY"
        with self.pages.limit(TIME_LIMIT_S):
            found = self.pages.query(info, AnyOf(tuple(alternatives))).keys(order_by=order_by, limit=1)
        if not found:
            return None
        return Address(info.name, {n: key_text(info.attribute(n), value) for n, value in found[0].items()})

    def _read_value(self, info: TableInfo, key: Mapping[str, Any], attribute: Attribute, folder: Path) -> Any:
        query = self.pages.query(info, _matching(key))
        plan = plan_of(attribute)
        name = f"`{attribute.name}`"
        with self.pages.limit(TIME_LIMIT_S):
            known = query.proj(**{unused_name(info, "size"): plan.size or f"coalesce({name}, {name})"})
            found = known.to_dicts(limit=2)
        if len(found) != 1:
            raise _no_row(info, key)
        stored = found[0][unused_name(info, "size")]
        if stored is None:
            return None
        if plan.size and stored > MAX_VALUE_BYTES:
            raise ValueRefusedError(
                say(
                    "It holds {size}; up to {limit} are shown here. Fetch it with Python.",
                    size=human_bytes(stored),
                    limit=human_bytes(MAX_VALUE_BYTES),
                )
            )
        if attribute.codec is None:
            return query.fetch1(attribute.name)
        if plan.size:
            whole = query.proj(**{unused_name(info, "value"): f"coalesce({name}, {name})"})
            stored = whole.fetch1(unused_name(info, "value"))
        place = self._services.pipeline[info.name]().name
        context = {
            "schema": place.schema,
            "table": place.table,
            "field": attribute.name,
            "config": _Elsewhere(self._services.pipeline.connection.settings, folder),
        }
        value = decode_value(attribute.type, stored, key=key, context=context)
        return Path(value) if attribute.codec == "attach" else value


class _Elsewhere:
    """The settings, with another download folder; decoding in one thread must not change them for others."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    def get(self, key: str, default: Any = None) -> Any:
        return str(self._folder) if key == "download_path" else self._settings.get(key, default)

    def __getitem__(self, key: str) -> Any:
        return str(self._folder) if key == "download_path" else self._settings[key]

    def __getattr__(self, name: str) -> Any:
        return str(self._folder) if name == "download_path" else getattr(self._settings, name)


def _no_row(info: TableInfo, key: Mapping[str, Any]) -> OneRowError:
    if not key:
        return OneRowError(say("{table} has no row. It may have been deleted.", table=info.name))
    words = key_words(key)
    return OneRowError(
        say("{table} has no row with {key}. It may have been deleted.", table=info.name, key=words)
    )


def _linking(info: TableInfo) -> list[str]:
    """Return the attributes of foreign keys, in both directions."""
    names = dict.fromkeys(info.primary_key)
    for link in info.parents:
        names |= dict.fromkeys(link.foreign_key.attributes)
    for link in info.children:
        names |= dict.fromkeys(link.foreign_key.parent_attributes)
    return list(names) or [next(a.name for a in info.attributes)]


def _matching(values: Mapping[str, Any]) -> Condition:
    return AllOf(tuple(Comparison(name, value) for name, value in values.items()))
