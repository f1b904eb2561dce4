"""What forms and tables ask of the database: parents among 100,000, and pages of ten million rows, on either server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from playwright.sync_api import Browser

from benchmarks.entering import open_form, serving_ours
from benchmarks.figures import Figure
from benchmarks.lab import (
    N_CHANNELS,
    SCHEMA,
    SUBJECTS,
    Place,
    declare_lab,
    declare_readings,
    fill_readings,
    fill_subjects,
)
from benchmarks.typist import visitor
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.services import Services
from dj_panel.apps.services.paging import COUNT_LIMIT, MAX_OFFSET

__all__ = ["Found", "by_place", "choose_parents", "search_parents", "turn_pages"]

N_PARENTS = 100_000
N_FEW = 10
N_ROUNDS = 5
PAGE_SIZE = 50
TARGET_MS = 300
SESSION, READING = f"{SCHEMA}.Session", f"{SCHEMA}_long.Reading"

Found = dict[tuple[str, str], list[float]]
"""What was done, and the unit → all that was measured."""


def pipeline_of(schema: Any) -> Pipeline:
    """Return the pipeline of a schema's classes."""
    classes = {app_name(cls().name): cls for cls in schema.classes.values()}
    return Pipeline("Bench", schema.connection, MappingProxyType(classes))


# ------------------------------------------------------------------ parents
def choose_parents(browser: Browser, place: Place, folder: Path) -> Found:
    """Choose a subject in the browser, and weigh the form with few and with 100,000 of them."""
    connection = place.connect()
    declare_lab(connection, SUBJECTS[:N_FEW])
    found: Found = {}
    with serving_ours(place, folder) as url:
        found[f"the form with its list open, {N_FEW} subjects", "kB received"] = _weights(browser, url)
        fill_subjects(connection, N_PARENTS)
        found[f"the form with its list open, {N_PARENTS:,} subjects", "kB received"] = _weights(browser, url)
        found |= {(f"browser: {task}", "ms"): times for task, times in _typed(browser, url).items()}
    connection.close()
    return found


def _weights(browser: Browser, url: str) -> list[float]:
    """Load the form from the cache and open the list of its first field; return the kB that came."""
    weights = []
    with visitor(browser) as typist:
        for is_cached in (False, True, True):
            typist.start()
            open_form(typist, url)
            typist.press("ArrowDown")
            typist.wait_for("[role=option]")
            typist.wait_for_quiet()
            if is_cached:
                weights.append(typist.traffic.n_bytes / 1e3)
            typist.page.goto("about:blank")
    return weights


def _typed(browser: Browser, url: str) -> dict[str, list[float]]:
    """Type into the field of the subject; return the time from the first key to the first row that holds the text."""
    texts = {"the list is opened": "", "a key's beginning": "P0499", "a key's middle": "4999"}
    times: dict[str, list[float]] = {}
    for _ in range(N_ROUNDS):
        for task, text in texts.items():
            # A visitor of its own: what is typed is kept as a draft.
            with visitor(browser) as typist:
                open_form(typist, url)
                typist.start()
                if text:
                    typist.type(text)
                else:
                    typist.press("ArrowDown")
                typist.wait_for("[role=option]", text)
                times.setdefault(task, []).append(typist.seconds() * 1e3)
    return times


def search_parents(place: Place) -> Found:
    """Search the subjects that `choose_parents` has left, at the service."""
    connection = place.connect()
    services = Services(pipeline_of(declare_lab(connection, ())))
    try:
        return asyncio.run(_searched(services))
    finally:
        services.close()
        connection.close()


async def _searched(services: Services) -> Found:
    """Search at the service."""
    link = next(n for n, one in enumerate(services.table(SESSION).parents) if one.table.endswith("Subject"))
    entering = services.entering
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "the list is opened": partial(entering.search, SESSION, link, "", {}),
        "a key's beginning": partial(entering.search, SESSION, link, "P0499", {}),
        "a key's beginning, through its index alone": partial(entering.begun, SESSION, link, "P0499", {}),
        "a key's middle": partial(entering.search, SESSION, link, "4999", {}),
        "what no row holds": partial(entering.search, SESSION, link, "zebra", {}),
        "two words": partial(entering.search, SESSION, link, "mouse 4999", {}),
        "the field is left": partial(entering.resolve, SESSION, link, "P049999", {}),
    }
    return {(f"service: {task}", "ms"): await _times(ask) for task, ask in asked.items()}


async def _times(ask: Callable[[], Awaitable[Any]]) -> list[float]:
    times = []
    for _ in range(N_ROUNDS):
        begun = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - begun) * 1e3)
    return times


# ------------------------------------------------------------------ pages of a table
def turn_pages(place: Place, n_rows: int) -> tuple[Found, dict[str, str]]:
    """Fill the long table, ask for pages of it at the service, and return how its rows are said to be counted too.

    Raises
    ------
    ValueError
        If a count does not say what is so.
    """
    connection = place.connect()
    schema = declare_readings(connection)
    begun = time.perf_counter()
    fill_readings(connection, n_rows)
    found: Found = {(f"{n_rows:,} rows are written by the server", "s"): [time.perf_counter() - begun]}
    services = Services(pipeline_of(schema))
    try:
        return found | asyncio.run(_turned(services)), asyncio.run(_counted(services, n_rows))
    finally:
        services.close()
        connection.close()


async def _turned(services: Services) -> Found:
    rows = services.browsing.rows
    by_time = ("taken",)
    deep = MAX_OFFSET // PAGE_SIZE
    first = await rows(READING, sort=by_time)
    is_deep = await rows(READING, sort=by_time, page=deep)
    channel, day = {"channel": "7"}, {"taken": "2020-01-01"}
    filtered = await rows(READING, channel)
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "first page": partial(rows, READING),
        "first page, in the order of an index": partial(rows, READING, sort=by_time),
        "the next page": partial(rows, READING, sort=by_time, page=2, before=first),
        f"page {deep:,} by its number": partial(rows, READING, sort=by_time, page=deep),
        f"page {deep + 1:,} from there": partial(rows, READING, sort=by_time, page=deep + 1, before=is_deep),
        "the last page": partial(rows, READING, sort=by_time, page=-1),
        "filter on an index: one channel": partial(rows, READING, channel),
        "the next page of it": partial(rows, READING, channel, page=2, before=filtered),
        "one channel, in the order of another index": partial(rows, READING, channel, by_time),
        "filter on an index: one day": partial(rows, READING, day),
        "one day, in the order of that index": partial(rows, READING, day, by_time),
    }
    return {(task, "ms"): await _times(ask) for task, ask in asked.items()}


async def _counted(services: Services, n_rows: int) -> dict[str, str]:
    """Return how many rows pages say there are, by what was asked for and how many there are."""
    n_of_channel = len(range(7 * pow(31, -1, N_CHANNELS) % N_CHANNELS, n_rows, N_CHANNELS))
    numbers = {
        "all": ({}, n_rows),
        "one day": ({"taken": "2020-01-01"}, min(n_rows, 24 * 3600)),
        "one channel": ({"channel": "7"}, n_of_channel),
    }
    shown = {}
    for task, (filters, number) in numbers.items():
        page = await services.browsing.rows(READING, filters)
        expected = f">{COUNT_LIMIT:,}" if number > COUNT_LIMIT else f"{number:,}"
        if page.count_text != expected:
            raise ValueError(f"{task}: {number:,} rows are said to be {page.count_text}.")
        shown[f"{task}, {number:,} rows"] = page.count_text
    return shown


def by_place(found: Mapping[str, Found]) -> list[Figure]:
    """Return figures of what was found, by the title of the place."""
    first = next(iter(found.values()))
    return [
        Figure(
            task,
            unit,
            {title: one[task, unit] for title, one in found.items()},
            TARGET_MS if unit == "ms" else None,
        )
        for task, unit in first
    ]
