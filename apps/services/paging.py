"""One page of a table's rows: turned to by the row before it, which costs the same at any depth.

A page is named by its number. From the page that is shown, the next and the previous one are found by the values
of its last and first row, through an index if the table has one; any other page is found by passing over rows,
of which only so many are passed over. Pages below 0 are counted from the end: -1 is the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dj_panel.apps.services.cells import plan_of
from dj_panel.apps.services.filters import Filter
from dj_panel.apps.services.rows import Address, Order, Row, RowsPage, Spot, key_text, parent_address
from dj_panel.apps.services.selection import Selection, select_cells
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.algebra import AllOf, AnyOf, Comparison, Condition, Constant, Negation, Ordering
from dj_panel.core.columntypes import FloatType
from dj_panel.core.errors import QueryTimeoutError
from dj_panel.core.structure import Attribute

__all__ = ["COUNT_LIMIT", "MAX_OFFSET", "TIME_LIMIT_S", "Pages", "Wanted", "beyond", "conditions_of"]

COUNT_LIMIT = 10_000
"""Counting stops here: more is shown as ``>10,000``."""

DEEP = 10_000
"""Pages that begin further down are named in the address by the row before them too."""

MAX_OFFSET = 100_000
"""Passing over rows takes time: by its number alone, no page is reached that begins further down."""

FEW_ROWS = 500
"""So many rows are passed over with all their values."""

MAX_PAGE_SIZE = 250
TIME_LIMIT_S = 8.0
COUNT_LIMIT_S = 1.5
HEADS_LIMIT_S = 3.0

_KINDS = {"integer", "boolean", "text", "date", "datetime", "time", "decimal", "uuid", "float", "enum"}


# ------------------------------------------------------------------ where a page begins
def beyond(order: Order, values: Sequence[Any], *, backwards: bool = False) -> Condition:
    """Return the condition of the rows after, or before, the row with these values.

    Parameters
    ----------
    order
        By what rows are sorted; no value comes before all values.
    values
        Of one row, by `order`.
    """
    (attribute, is_descending), *rest = order
    name, value = attribute.name, values[0]
    is_rising = is_descending == backwards
    if value is None:
        later: Condition = Negation(Comparison(name, None)) if is_rising else Constant(value=False)
    else:
        later = Ordering(name, ">" if is_rising else "<", value)
        if attribute.nullable and not is_rising:
            later = AnyOf((later, Comparison(name, None)))
    if not rest:
        return later
    tied = AllOf((Comparison(name, value), beyond(tuple(rest), values[1:], backwards=backwards)))
    found: Condition = AnyOf((later, tied))
    if value is not None and (is_rising or not attribute.nullable):
        # Says nothing new; but this is what lets a server begin in the middle of an index.
        found = AllOf((Ordering(name, ">=" if is_rising else "<=", value), found))
    return found


def _has_place(order: Order) -> bool:
    """Return whether the values of a row tell where it stands; single-precision numbers equal no text."""
    return all(
        attribute.codec is None
        and attribute.column_type.kind in _KINDS
        and (plan_of(attribute).storage == "plain" or attribute.in_key)
        and not (isinstance(attribute.column_type, FloatType) and attribute.column_type.size_bytes == 4)
        for attribute, _ in order
    )


def spot_text(order: Order, values: Sequence[Any]) -> str:
    """Return the values of a row as they stand in an address."""
    texts = [
        None if value is None else attribute.column_type.format(value)
        for (attribute, _), value in zip(order, values, strict=True)
    ]
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))


def _spot_values(order: Order, text: str) -> tuple[Any, ...] | None:
    """Return the values that stand in an address; None if they are not values of this order."""
    try:
        texts = json.loads(text)
        if not isinstance(texts, list) or len(texts) != len(order):
            return None
        return tuple(
            None if item is None else attribute.column_type.parse(str(item))
            for (attribute, _), item in zip(order, texts, strict=True)
        )
    except ValueError:
        return None


@dataclass(frozen=True)
class Wanted:
    """Which page is asked for.

    Parameters
    ----------
    page, page_size
        See `dj_panel.apps.services.paging`.
    at
        The values of the row before the page, or after it if it is counted from the end, as `spot_text`.
    before
        The page that is shown now, with the same filters in the same order.
    """

    page: int
    page_size: int
    at: str = ""
    before: RowsPage | None = None


class Pages(Service):
    """Reads pages of rows, in a thread of the pool."""

    def query(self, info: TableInfo, condition: Condition | None = None) -> Any:
        """Return a table's rows for which a condition holds."""
        table = self._services.pipeline[info.name]()
        return table if condition is None else table & condition

    def limit(self, seconds: float) -> Any:
        """Return a context in which the database is stopped when it takes longer."""
        return self._services.pipeline.connection.time_limit(seconds)

    def count(self, info: TableInfo, condition: Condition | None, seconds: float | None = None) -> int:
        """Return a number of rows, at most one more than `COUNT_LIMIT`."""
        with self.limit(seconds or TIME_LIMIT_S):
            return int(self.query(info, condition).count(at_most=COUNT_LIMIT + 1))

    # ------------------------------------------------------------------ pages
    def read(self, info: TableInfo, condition: Condition | None, order: Order, wanted: Wanted) -> RowsPage:
        """Return the page that is wanted; a page beyond the last is the last.

        The rows come also where counting them takes too long: then `RowsPage.count` is what is known.
        """
        wanted = replace(wanted, page_size=min(max(wanted.page_size, 1), MAX_PAGE_SIZE))
        query = self.query(info, condition)
        is_counted = wanted.before is not None
        n_found = wanted.before.counted if wanted.before is not None else None
        if not is_counted and wanted.page != 1:
            n_found, is_counted = self._counted(info, condition), True
        wanted, spot = _spot(order, wanted, n_found)
        spot = self._jumped(query, order, spot)
        found = self._at(info, query, order, spot, wanted.page_size)
        if not found and wanted.page != 1:
            wanted, spot, found = self._last(info, query, order, wanted)
        if wanted.page == 1 and len(found) <= wanted.page_size:
            n_found = len(found)  # all there are
        elif not is_counted:
            n_found = self._counted(info, condition)
        return _page(info, found, spot, wanted, n_found, order)

    def _counted(self, info: TableInfo, condition: Condition | None) -> int | None:
        try:
            return self.count(info, condition, COUNT_LIMIT_S)
        except QueryTimeoutError:
            return None

    def _jumped(self, query: Any, order: Order, spot: Spot) -> Spot:
        """Return where a page begins by the row before it: an index tells which that is, without its other values."""
        if spot.offset <= FEW_ROWS or not _has_place(order):
            return spot
        names = [attribute.name for attribute, _ in order]
        order_by = [f"{a.name}{' DESC' if down != spot.is_backwards else ''}" for a, down in order]
        with self.limit(TIME_LIMIT_S):
            row = query.proj(*names).to_dicts(
                attributes=names, order_by=order_by, limit=1, offset=spot.offset - 1
            )
        return Spot(tuple(row[0][n] for n in names), is_backwards=spot.is_backwards) if row else spot

    def _at(self, info: TableInfo, query: Any, order: Order, spot: Spot, page_size: int) -> list[Row]:
        if spot.values is not None:
            query = query & beyond(order, spot.values, backwards=spot.is_backwards)
        direction = tuple((a, down != spot.is_backwards) for a, down in order)
        found = self.fetch(info, query, direction, page_size + 1, spot.offset)
        return found[page_size - 1 :: -1] + found[page_size:] if spot.is_backwards and found else found

    def _last(
        self, info: TableInfo, query: Any, order: Order, wanted: Wanted
    ) -> tuple[Wanted, Spot, list[Row]]:
        """Return the last page, where the one asked for lies behind the end of what can be counted."""
        with self.limit(TIME_LIMIT_S):
            n_rows = int(query.count(at_most=MAX_OFFSET + wanted.page_size))
        page = max(n_rows - 1, 0) // wanted.page_size + 1
        spot = Spot(offset=(page - 1) * wanted.page_size)
        return replace(wanted, page=page), spot, self._at(info, query, order, spot, wanted.page_size)

    # ------------------------------------------------------------------ rows
    def fetch(
        self, info: TableInfo, query: Any, order: Order, limit: int, offset: int = 0, *, full: bool = False
    ) -> list[Row]:
        """Return rows; where the beginnings of large values take the server too long, do without them."""
        selection = select_cells(info)
        try:
            with self.limit(HEADS_LIMIT_S if selection.has_heads else TIME_LIMIT_S):
                return self._selected(info, query, selection, order, limit, offset, full=full)
        except QueryTimeoutError:
            if not selection.has_heads:
                raise
        selection = selection.without_heads()
        with self.limit(TIME_LIMIT_S):
            return self._selected(info, query, selection, order, limit, offset, full=full)

    def _selected(
        self,
        info: TableInfo,
        query: Any,
        selection: Selection,
        order: Order,
        limit: int,
        offset: int,
        *,
        full: bool,
    ) -> list[Row]:
        config = self._services.pipeline.connection.settings
        shown = selection.projected(query)
        names = selection.names
        rows = []
        for row in shown.to_dicts(order_by=selection.order_by(order), limit=limit, offset=offset):
            key = {name: row[name] for name in info.primary_key}
            texts = {name: key_text(info.attribute(name), value) for name, value in key.items()}
            parents = tuple(self._parent(info, attribute, row) for attribute in info.attributes)
            place = tuple(row[names[attribute.name]] for attribute, _ in order)
            rows.append(Row(texts, selection.cells(row, key, config, full=full), parents, place))
        return rows

    def _parent(self, info: TableInfo, attribute: Attribute, row: Mapping[str, Any]) -> Address | None:
        link = info.parent_of(attribute.name)
        return None if link is None else parent_address(self._services.table(link.table), link, row)


def conditions_of(filters: Mapping[str, Filter], among: Condition | None = None) -> Condition | None:
    """Return what all filters, and a condition beside them, together ask for; None without any."""
    conditions = [item.condition for item in filters.values()]
    if among is not None:
        conditions.append(among)
    return AllOf(tuple(conditions)) if conditions else None


def _spot(order: Order, wanted: Wanted, n_found: int | None) -> tuple[Wanted, Spot]:
    """Return where the page that is wanted begins, and its number, which no page lies beyond."""
    page, size, before = wanted.page, wanted.page_size, wanted.before
    if n_found is not None and n_found <= COUNT_LIMIT:
        n_pages = max(n_found - 1, 0) // size + 1
        page = max(n_pages + 1 + page, 1) if page < 0 else min(max(page, 1), n_pages)
    page = page or 1
    has_place = _has_place(order)
    if before is not None and before.rows and has_place and (before.page > 0) == (page > 0) and page != 1:
        if page == before.page + 1:
            return replace(wanted, page=page), Spot(before.rows[-1].place)
        if page == before.page - 1:
            return replace(wanted, page=page), Spot(before.rows[0].place, is_backwards=True)
    depth = (abs(page) - 1) * size
    if wanted.at and has_place and page == wanted.page:
        values = _spot_values(order, wanted.at)
        if values is not None:
            return wanted, Spot(values, is_backwards=page < 0)
    if depth > MAX_OFFSET:
        page = (MAX_OFFSET // size + 1) * (-1 if page < 0 else 1)
        depth = (abs(page) - 1) * size
    return replace(wanted, page=page), Spot(offset=depth, is_backwards=page < 0)


def _page(
    info: TableInfo, found: list[Row], spot: Spot, wanted: Wanted, n_found: int | None, order: Order
) -> RowsPage:
    page, size = wanted.page, wanted.page_size
    rows = tuple(found[:size])
    if spot.is_backwards:
        has_next = page != -1 and bool(rows)
    else:
        has_next = len(found) > size and (_has_place(order) or page * size <= MAX_OFFSET) and page != -1
    n_known = max(page - 1, 0) * size + len(rows)
    is_capped = n_found > COUNT_LIMIT if n_found is not None else has_next or page < 0
    count = n_known if n_found is None else min(n_found, COUNT_LIMIT)
    at = ""
    if rows and (abs(page) - 1) * size > DEEP and spot.values is not None:
        # The row on the outer side, from whichever side the visitor came.
        outer = (
            spot.values if spot.is_backwards == (page < 0) else found[size].place if found[size:] else None
        )
        at = spot_text(order, outer) if outer is not None else ""
    return RowsPage(info, rows, count, is_capped, page, size, has_next, n_found, at)
