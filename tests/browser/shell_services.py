"""The services of a site whose pages need none."""

from __future__ import annotations


class ShellServices:
    """What the shell of the site asks of the services: the names of the tables, which are given."""

    def __init__(self, *tables: str) -> None:
        self._tables = list(tables)

    async def table_names(self) -> list[str]:
        return self._tables
