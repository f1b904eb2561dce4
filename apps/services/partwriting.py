"""Writing the rows of parts, in the transaction that writes their master."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dj_panel.apps.services.partediting import Compared, PartDraft
from dj_panel.apps.services.partrows import Part, PartRows
from dj_panel.apps.services.revisions import PartsSeen, Seen
from dj_panel.apps.services.rewriting import change_of
from dj_panel.apps.services.service import Service
from dj_panel.apps.services.structure import TableInfo
from dj_panel.core.errors import ValueRefusedError
from dj_panel.core.history import Change
from dj_panel.core.structure import TableName

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["PartRefusedError", "PartWriting"]


class PartRefusedError(Exception):
    """The database refuses a value of a part's row.

    Parameters
    ----------
    where
        Part, place among the drafts, and attribute.
    error
        What it says.
    """

    def __init__(self, where: tuple[str, int, str], error: ValueRefusedError) -> None:
        super().__init__(str(error))
        self.where = where
        self.error = error


class PartWriting(Service):
    """Writes the rows of parts.

    Parameters
    ----------
    services
        The site's.
    rows
        Reads them.
    """

    def __init__(self, services: Services, rows: PartRows) -> None:
        super().__init__(services)
        self._rows = rows

    def is_as_seen(self, info: TableInfo, key: Mapping[str, Any], seen: PartsSeen) -> bool:
        """Return whether the rows are as they were seen; they stay so until the transaction ends."""
        parts = [part for part in self._rows.parts(info) if part.name in seen]
        return all(self._rows.seen(part, key, locks=True) == seen[part.name] for part in parts)

    def write(
        self,
        info: TableInfo,
        key: Mapping[str, Any],
        compared: Compared,
        seen: PartsSeen,
        *,
        batch: str,
        reason: str,
    ) -> int:
        """Remove, change and add rows, note it, and return how many they were.

        Raises
        ------
        PartRefusedError
            If the database refuses a value.
        """
        history, parts = self._services.history, self._rows.parts(info)
        n_rows = 0
        for part in reversed(parts):
            going = compared.removed.get(part.name)
            if going:
                rows = self._rows.chosen(part, list(going.values()))
                plan = rows.plan_delete("ignore")
                history.delete_planned(rows, plan, {rows.name: len(going)}, reason=reason, batch=batch)
                n_rows += len(going)
        for row in compared.changed:
            self._write(row, is_new=False)
        for part in parts:
            for row in [row for row in compared.added if row.part == part]:
                self._write(row, is_new=True)
        changes = []
        for part in [part for part in parts if part.name in compared.drafts]:
            changes += _changes(part, self._rows.place(part), seen[part.name], self._rows.seen(part, key))
        if changes:
            history.note(changes, reason, batch)
        return n_rows + len(changes)

    def _write(self, row: PartDraft, *, is_new: bool) -> None:
        table = self._services.pipeline[row.part.name]()
        try:
            if is_new:
                table.insert1(dict(row.values))
            else:
                table.update1({**row.key, **row.values})
        except ValueRefusedError as error:
            raise PartRefusedError((row.part.name, row.number, error.attribute), error) from error


def _changes(
    part: Part, place: TableName, before: Mapping[str, Seen], after: Mapping[str, Seen]
) -> list[Change]:
    """Return what is to be noted of rows that were changed or added; removed ones are archived as they go."""
    changes = []
    for name, row in after.items():
        old = before.get(name)
        if old is None:
            changes.append(Change(place, "insert", after=row, are_texts=True))
        elif row != old:
            changes.append(change_of(place, part.info.primary_key, old, row))
    return changes
