"""Views of tables under a name, shared with everybody: an address, kept in a hidden table of the schema.

The table is made when the first view is saved. Its name begins with ``~``, so DataJoint does not see it as a table
of the pipeline.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import unicodedata
from dataclasses import dataclass

from dj_panel.apps.routes import MAX_FRAGMENT_CHARS, parse_route
from dj_panel.apps.services.service import Service
from dj_panel.core.algebra import AllOf, Comparison
from dj_panel.core.declare import build_structure
from dj_panel.core.definition import parse_definition
from dj_panel.core.errors import AccessError, DuplicateError, OneRowError, ValueRefusedError
from dj_panel.core.jobs import create_table
from dj_panel.core.structure import TableName
from dj_panel.core.table import FreeTable
from dj_panel.core.words import say

__all__ = ["SharedView", "Views"]

MAX_VIEWS = 200
_MAX_NAME = 60
_TABLE = "~views"
_DEFINITION = f"""
# Views of tables in the browser, shared with everybody
view_id : char(32)                # digest of table and name
---
view_table : varchar(200)         # in the browser
view_name : varchar({_MAX_NAME})
view_address : varchar({MAX_FRAGMENT_CHARS})
view_user : varchar(200)
view_time : datetime              # UTC
index (view_table)
"""


@dataclass(frozen=True)
class SharedView:
    """A view: its name, where it leads, and who saved it."""

    name: str
    address: str
    user: str


class Views(Service):
    """Keeps shared views."""

    async def of(self, table: str) -> list[SharedView]:
        """Return the shared views of a table, by name."""
        return await self._services.run(self._of, table)

    async def save(self, table: str, name: str, address: str, user: str) -> None:
        """Share a view.

        Raises
        ------
        ValueRefusedError
            If the name is empty or taken, or the address is none of this table.
        AccessError
            If the account may not create the table of views, or write to it.
        """
        route = parse_route(address)
        if route.page != "table" or "/".join(route.path) != table or len(address) > MAX_FRAGMENT_CHARS:
            raise ValueRefusedError(say("This is no address of {table} that can be kept.", table=table))
        await self._services.run(self._save, table, _checked(name), address, user)

    async def rename(self, table: str, name: str, to: str, user: str) -> None:
        """Give a view of one's own another name.

        Raises
        ------
        OneRowError
            If the user has no such view.
        ValueRefusedError
            If the name is empty or taken.
        """
        await self._services.run(self._rename, table, name, _checked(to), user)

    async def delete(self, table: str, name: str, user: str) -> None:
        """Delete a view of one's own; raise `OneRowError` if the user has none of this name."""
        await self._services.run(self._delete, table, name, user)

    # ------------------------------------------------------------------ in a thread
    def _table(self, table: str, *, is_made: bool = False) -> FreeTable | None:
        connection = self._services.pipeline.connection
        schema = self._services.pipeline[self._services.table(table).name]().name.schema
        name = TableName(schema, _TABLE)
        if connection.catalog.find(name) is None and connection.catalog.refreshed(name) is None:
            if not is_made:
                return None
            structure = build_structure(name, parse_definition(_DEFINITION), (), connection.settings)
            try:
                create_table(connection, structure)
            except AccessError as error:
                raise AccessError(
                    say(
                        "Views of {table} cannot be shared: the account may not create a table in {schema}. Save"
                        " the view in this browser, or ask an administrator.",
                        table=table,
                        schema=schema,
                    )
                ) from error
        return FreeTable(connection, name)

    def _of(self, table: str) -> list[SharedView]:
        kept = self._table(table)
        if kept is None:
            return []
        rows = (kept & Comparison("view_table", table)).to_dicts(order_by="view_name", limit=MAX_VIEWS)
        return [SharedView(row["view_name"], row["view_address"], row["view_user"]) for row in rows]

    def _save(self, table: str, name: str, address: str, user: str) -> None:
        kept = self._table(table, is_made=True)
        assert kept is not None
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
        row = {
            "view_id": _view_id(table, name),
            "view_table": table,
            "view_name": name,
            "view_address": address,
            "view_user": user,
            "view_time": now,
        }
        try:
            kept.insert1(row)
        except DuplicateError as error:
            raise ValueRefusedError(
                say("There is a shared view “{name}” already. Choose another name.", name=name)
            ) from error

    def _rename(self, table: str, name: str, to: str, user: str) -> None:
        kept, connection = self._owned(table, name, user), self._services.pipeline.connection
        with connection.transaction:
            address = kept.fetch1("view_address")
            self._save(table, to, address, user)
            kept.delete_quick()

    def _delete(self, table: str, name: str, user: str) -> None:
        self._owned(table, name, user).delete_quick()

    def _owned(self, table: str, name: str, user: str) -> FreeTable:
        kept = self._table(table)
        own = AllOf((Comparison("view_id", _view_id(table, name)), Comparison("view_user", user)))
        found = kept & own if kept is not None else None
        if found is None or not found:
            raise OneRowError(
                say(
                    "You have shared no view “{name}” of {table}. It may have been deleted.",
                    name=name,
                    table=table,
                )
            )
        return found


def _checked(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not 0 < len(name) <= _MAX_NAME:
        raise ValueRefusedError(say("The name of a view has 1 to {n} characters.", n=_MAX_NAME))
    return name


def _view_id(table: str, name: str) -> str:
    return hashlib.sha256(f"{table}\0{name}".encode()).hexdigest()[:32]
