"""The values of a column with how often each occurs, counted in so many rows and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.services.cells import cell_of, plan_of
from dj_panel.apps.services.filters import filter_kind
from dj_panel.apps.services.paging import conditions_of
from dj_panel.apps.services.rows import equal_text
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.algebra import Condition
from dj_panel.core.errors import QueryTimeoutError
from dj_panel.core.expression import Top, U
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = ["FACET_ROWS", "MAX_FACETS", "Facet", "FacetList", "Facets"]

MAX_FACETS = 20
"""The most frequent values; of further ones it is only said that there are some."""

FACET_ROWS = 100_000
"""In so many rows values are counted; of a larger table, in its first ones."""

FACET_LIMIT_S = 2.0
_MAX_TEXT = 300


@dataclass(frozen=True)
class Facet:
    """One value: its text, how many rows have it, and the filter that asks for it."""

    text: str
    count: int
    filter: str


@dataclass(frozen=True)
class FacetList:
    """The values of a column, the most frequent first, and what must be known of the counts."""

    values: tuple[Facet, ...]
    note: str = ""


class Facets(Service):
    """Counts the values of columns."""

    async def values(
        self, table: str, name: str, filters: Mapping[str, str], among: Condition | None = None
    ) -> FacetList:
        """Return the values of an attribute in the rows that the other columns' filters leave, of some rows.

        Raises
        ------
        FilterError, UnknownAttributeError
            As for `Browsing.rows`.
        """
        info = self._services.table(table)
        attribute = info.attribute(name)
        if filter_kind(attribute) in ("presence", "json"):
            return FacetList((), say("Values of this kind are not counted."))
        others = {other: text for other, text in filters.items() if other != name}
        condition = conditions_of(self._services.browsing.parsed(info, others), among)
        try:
            return await self._services.run(self._counted, info, attribute, condition)
        except QueryTimeoutError:
            return FacetList((), say("Counting the values takes too long. Filter by the key first."))

    def _counted(self, info: TableInfo, attribute: Attribute, condition: Condition | None) -> FacetList:
        pages = self._services.browsing.pages
        query = pages.query(info, condition)
        count = "n" if attribute.name != "n" else "n_"
        with pages.limit(FACET_LIMIT_S):
            n_rows = int(query.count(at_most=FACET_ROWS + 1))
            sample = query & Top(FACET_ROWS, order_by=None) if n_rows > FACET_ROWS else query
            grouped = U(attribute.name).aggr(sample, **{count: "count(*)"})
            found = grouped.to_dicts(order_by=[f"{count} DESC", attribute.name], limit=MAX_FACETS + 1)
        notes = []
        if n_rows > FACET_ROWS:
            notes.append(say("Counted in the first {n} rows only.", n=FACET_ROWS))
        if len(found) > MAX_FACETS:
            if found[0][count] == 1:
                return FacetList((), " ".join([say("Every row has another value here."), *notes]))
            notes.append(say("These are the {n} most frequent values.", n=MAX_FACETS))
        values = (self._facet(attribute, row[attribute.name], int(row[count])) for row in found[:MAX_FACETS])
        return FacetList(tuple(v for v in values if len(v.filter) <= _MAX_TEXT), " ".join(notes))

    def _facet(self, attribute: Attribute, value: Any, count: int) -> Facet:
        settings = self._services.pipeline.connection.settings
        cell = cell_of(plan_of(attribute), value, None, {}, settings)
        return Facet(cell.text, count, equal_text(attribute, value, self._services.entering.custom))
