"""New values for rows that are as somebody saw them: written and noted together, with what follows for computed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dj_panel.apps.services.revisions import Agreement, Seen
from dj_panel.apps.services.service import Service
from dj_panel.core.deletion import plan_deletion
from dj_panel.core.errors import IntegrityError
from dj_panel.core.history import Change
from dj_panel.core.rowtexts import stored_rows
from dj_panel.core.structure import TableName
from dj_panel.core.table import FreeTable
from dj_panel.core.words import say

__all__ = ["ChangedMeanwhileError", "Rewriting", "Rewritten", "change_of"]


class ChangedMeanwhileError(Exception):
    """The rows, or those of their parts, are not as they were seen."""


@dataclass(frozen=True)
class Rewritten:
    """Rows that were changed.

    Parameters
    ----------
    changes
        What was changed in each, as it was noted.
    n_computed
        How many computed rows were flagged, or deleted.
    """

    changes: tuple[Change, ...]
    n_computed: int


class Rewriting(Service):
    """What changing one row and changing many have in common; in the threads of the pool."""

    def computed(self, rows: Any) -> dict[str, int]:
        """Return how many rows of each table were computed from these rows."""
        counts = rows.plan_delete("ignore").counts(rows.connection)
        names = self._services.pipeline.names
        return {
            names.get(place, str(place.class_name)): number
            for place, number in counts.items()
            if place.tier in ("Imported", "Computed")
        }

    def write(
        self,
        table: Any,
        keys: Sequence[Mapping[str, Any]],
        *,
        check: Callable[[Sequence[Seen]], None],
        values: Callable[[Seen], Mapping[str, Any] | None],
        agreement: Agreement,
        what: str,
        batch: str,
        names: Sequence[str] | None = None,
        begin: Callable[[], None] = lambda: None,
        finish: Callable[[], None] = lambda: None,
    ) -> Rewritten:
        """Change rows in one transaction, or none of them.

        Parameters
        ----------
        table, keys
            The rows.
        check
            Is given the rows as they are, locked and in the order of their keys; raises what forbids to change them.
        values
            Gives the new values of a row; ``None`` leaves it, and what was computed from it, as it is. They are
            empty where only rows of its parts change.
        agreement
            Why, and what becomes of computed rows.
        what
            What the history of computed rows is to say, in English.
        batch
            Under which name all of it is noted.
        names
            The attributes that are looked at, those of the key among them; all if not given.
        begin
            Called where an attempt begins, for it may be the second one.
        finish
            Called last in the transaction, after the computed rows, which may depend on what it removes.

        Raises
        ------
        IntegrityError
            If other rows are computed from these than somebody agreed to delete; nothing was changed.
        """
        rows = table & [dict(key) for key in keys]
        history = self._services.history
        history.prepare([rows.name] if agreement.consequence == "keep" else rows.plan_delete("ignore").nodes)

        def write() -> Rewritten:
            begin()
            found = list(stored_rows(rows.connection, rows.name, rows.node, names))
            check(found)
            before, changing = [], []
            for row in found:
                new = values(row)
                if new is None:
                    continue
                key = {n: table.heading[n].column_type.parse(row[n]) for n in table.heading.primary_key}
                if new:
                    table.update1({**key, **new})
                before.append(row)
                changing.append(key)
            if not changing:
                return Rewritten((), 0)
            changed = table & changing
            after = stored_rows(rows.connection, rows.name, changed.node, names)
            pairs = zip(before, after, strict=True)
            noted = [change_of(rows.name, table.heading.primary_key, old, new) for old, new in pairs]
            changes = [change for change in noted if change.before]
            if changes:
                history.note(changes, agreement.reason, batch)
            n_computed = (
                0 if agreement.consequence == "keep" else self._follow(changed, agreement, batch, what)
            )
            finish()
            return Rewritten(tuple(changes), n_computed)

        rewritten: Rewritten = rows.connection.retried(write)
        return rewritten

    def _follow(self, rows: Any, agreement: Agreement, batch: str, what: str) -> int:
        """Flag or delete what was computed from rows, in the transaction that changes them."""
        found = self.computed(rows)
        if agreement.consequence == "delete" and found != agreement.computed:
            raise IntegrityError(
                say("Nothing was saved: meanwhile other rows were computed. Look at the counts again.")
            )
        history = self._services.history
        plan = rows.plan_delete("ignore")
        for place in [name for name in plan.nodes if name.tier in ("Imported", "Computed")]:
            if agreement.consequence == "flag":
                history.of(place).flag(
                    place,
                    plan.nodes[place],
                    user=self._services.user,
                    source="form",
                    batch=batch,
                    reason=what,
                )
                continue
            part = plan_deletion(rows.connection.catalog, place, plan.nodes[place])
            counts = part.counts(rows.connection)
            if counts:
                table = FreeTable(rows.connection, place)
                history.delete_planned(table, part, counts, reason=what, batch=batch)
        return sum(found.values())


def change_of(place: TableName, key: Sequence[str], before: Seen, after: Seen) -> Change:
    """Return what is to be noted of a row that was written; nothing before if it is as it was."""
    changed = [name for name in before if before[name] != after[name]]
    return Change(
        place,
        "update",
        {name: before[name] for name in changed},
        {name: after[name] for name in changed},
        key={name: before[name] for name in key},
        are_texts=True,
    )
