"""The only door to the database for pages.

Every method that reads or writes is a coroutine whose work is done in a thread of a small pool, so that the
event loop never waits; each of the threads has its own connection. What pages may ask is grouped:

- ``services.tables()``, ``services.table(name)``: facts on the tables, at hand without asking the database
- ``services.browsing``: pages of rows, records, values
- ``services.exports``, ``services.facets``: rows as files; the values of a column with their counts
- ``services.counting``: how many rows many tables have, and how many match
- ``services.restrictions``, ``services.views``: what holds on all pages; views of tables under names
- ``services.entering``: forms, parents to choose from, saving, deleting
- ``services.editing``, ``services.batch_editing``, ``services.deleting``, ``services.history``: changing a row, or
  many together, deleting rows, what happened
- ``services.chosen``: selections that are too long for an address
- ``services.importing``, ``services.past_imports``: many rows from a file, checked, written and taken back
- ``services.written_rows``: which rows an import wrote
- ``services.working``: populate, jobs, workers
- ``services.provenance``: what a row rests on
- ``services.watcher``: how far every table is, live

The browser enforces nothing: what a page passes on is checked here.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from dj_panel.apps import people
from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.services.batchediting import BatchEditing
from dj_panel.apps.services.browsing import Browsing
from dj_panel.apps.services.chosen import ChosenRows
from dj_panel.apps.services.computing import Computing
from dj_panel.apps.services.counting import Counting
from dj_panel.apps.services.deleting import Deleting
from dj_panel.apps.services.editing import Editing
from dj_panel.apps.services.entering import Entering
from dj_panel.apps.services.exports import Exports
from dj_panel.apps.services.facets import Facets
from dj_panel.apps.services.history import Happenings
from dj_panel.apps.services.importing import Importing
from dj_panel.apps.services.pastimports import PastImports
from dj_panel.apps.services.provenance import Provenance
from dj_panel.apps.services.restrictions import Restrictions
from dj_panel.apps.services.rewriting import Rewriting
from dj_panel.apps.services.structure import Link, TableInfo, describe_tables
from dj_panel.apps.services.unsaved import clear_unsaved
from dj_panel.apps.services.views import Views
from dj_panel.apps.services.watching import Snapshot, TableStatus, Watcher
from dj_panel.apps.services.working import Working
from dj_panel.apps.services.written import WrittenRows
from dj_panel.core.errors import MissingTableError, did_you_mean
from dj_panel.core.words import say

__all__ = ["Link", "Services", "Snapshot", "TableInfo", "TableStatus", "Watcher"]

P = ParamSpec("P")
Answer = TypeVar("Answer")
_N_THREADS = 8


class Services:
    """What the pages of one site ask of the database.

    Parameters
    ----------
    pipeline
        What is served.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.watcher = Watcher(pipeline)
        self._tables = describe_tables(pipeline)
        self._pool = ThreadPoolExecutor(_N_THREADS, thread_name_prefix="dj-panel")
        self.browsing = Browsing(self)
        self.exports = Exports(self)
        self.facets = Facets(self)
        self.restrictions = Restrictions(self)
        self.counting = Counting(self)
        self.views = Views(self)
        self.working = Working(self)
        self.computing = Computing(self)
        self.provenance = Provenance(self)
        self.history = Happenings(self)
        self.entering = Entering(self)
        self.rewriting = Rewriting(self)
        self.editing = Editing(self)
        self.batch_editing = BatchEditing(self)
        self.chosen = ChosenRows()
        self.deleting = Deleting(self)
        self.importing = Importing(self)
        self.past_imports = PastImports(self)
        self.written_rows = WrittenRows(self)
        self._pool.submit(clear_unsaved, self)

    # ------------------------------------------------------------------ running
    async def run(self, function: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Call a function in a thread of the pool and return what it returns."""
        context = contextvars.copy_context()

        def call() -> Answer:
            try:
                return context.run(function, *args, **kwargs)
            except StopIteration as error:
                # A future cannot hold it, so whoever waits would wait for ever.
                raise RuntimeError(f"{function!r} let a StopIteration out") from error

        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Stop watching, wait for running work, and close the connections."""
        self.watcher.stop()
        self.entering.close()
        self.importing.stop()
        self.working.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.importing.close()
        self.pipeline.connection.close()

    # ------------------------------------------------------------------ structure
    @property
    def user(self) -> str:
        """Who is at work on the page that asks; see `dj_panel.apps.people`."""
        return people.present()

    async def table_names(self) -> list[str]:
        """Return the names of all tables, parents before children."""
        return list(self._tables)

    def tables(self) -> list[TableInfo]:
        """Return all tables, parents before children."""
        return list(self._tables.values())

    def table(self, name: str) -> TableInfo:
        """Return one table.

        Raises
        ------
        MissingTableError
            If the pipeline has no table of this name.
        """
        try:
            return self._tables[name]
        except KeyError:
            raise MissingTableError(
                say("This pipeline has no table '{name}'.", name=name) + did_you_mean(name, self._tables)
            ) from None
