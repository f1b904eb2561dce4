"""Restrictions that stay with a visitor on all pages: a filter on an attribute, wherever there is that attribute.

In the address they are ``r.subject_id==M042``: the name of the attribute and a filter, as typed into the column of
a table. Where attributes of one name come from several tables, the first table of the pipeline is meant, or the
one that is named after the ``@``: ``r.number@lab.rig=5``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dj_panel.apps.fields import draft_text
from dj_panel.apps.services.filters import FilterError, parse_filter
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.algebra import Comparison
from dj_panel.core.structure import Attribute
from dj_panel.core.words import marked, say

__all__ = ["NOT_HERE", "Restrictions"]

MAX_RESTRICTIONS = 20
NOT_HERE = marked("not in this table")
"""What is said of a restriction in a table that has no such attribute."""


def _origin(attribute: Attribute) -> str:
    """Return the table in which an attribute was first defined; empty for one outside all keys."""
    return ".".join(attribute.lineage[:2]) if attribute.lineage is not None else ""


class Restrictions(Service):
    """Says which restrictions hold in which table."""

    def name(self, table: str, attribute: str) -> str:
        """Return the name under which an attribute of a table is restricted on every page."""
        origin = _origin(self._services.table(table).attribute(attribute))
        return attribute if origin == self._first_origin(attribute) else f"{attribute}@{origin}"

    def applied(
        self, table: str, restrictions: Mapping[str, str], filters: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the filters of a table with what restrictions add to them, and what to say of each.

        Parameters
        ----------
        table
            The table's name in the application.
        restrictions
            By name, as in the address.
        filters
            The page's own, by attribute; of one attribute they go first.

        Returns
        -------
        tuple
            All filters by attribute, and for each restriction why it does not hold, empty for one that does.
        """
        info = self._services.table(table)
        merged, notes = dict(filters), {}
        for name, text in list(restrictions.items())[:MAX_RESTRICTIONS]:
            attribute = self._attribute(info, name)
            if attribute is None:
                notes[name] = say(NOT_HERE)
                continue
            try:
                parse_filter(attribute, text, self._services.entering.custom)
            except FilterError as error:
                notes[name] = str(error)
                continue
            is_other = filters.get(attribute.name, text) != text
            notes[name] = say("this column has a filter of its own") if is_other else ""
            merged.setdefault(attribute.name, text)
        return merged, notes

    def prefill(self, table: str, restrictions: Mapping[str, str]) -> dict[str, str]:
        """Return the values that restrictions fix in a table, as texts by attribute."""
        info = self._services.table(table)
        found, custom = {}, self._services.entering.custom
        for name, text in list(restrictions.items())[:MAX_RESTRICTIONS]:
            attribute = self._attribute(info, name)
            try:
                item = parse_filter(attribute, text, custom) if attribute is not None else None
            except FilterError:
                continue
            if attribute is None or item is None or item.equals is None:
                continue
            assert isinstance(item.condition, Comparison)
            found[attribute.name] = draft_text(attribute, item.condition.value, custom)
        return found

    def _attribute(self, info: TableInfo, name: str) -> Attribute | None:
        plain, _, origin = name.partition("@")
        wanted = origin or self._first_origin(plain)
        found = next((a for a in info.attributes if a.name == plain), None)
        return found if found is not None and _origin(found) == wanted else None

    def _first_origin(self, name: str) -> str:
        for info in self._services.tables():
            for attribute in info.attributes:
                if attribute.name == name:
                    return _origin(attribute)
        return ""
