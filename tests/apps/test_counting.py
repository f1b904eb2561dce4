"""Counting what a visitor looks at: only where it makes sense, and never for longer than agreed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.services import Services, counting
from dj_panel.apps.services.counting import Count
from dj_panel.apps.services.paging import COUNT_LIMIT_S, Pages
from dj_panel.core.errors import QueryTimeoutError
from tests.entry_tables import Lab, declare

TABLES = ("Species", "Subject", "Session", "Session.Note", "Total")


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Lab]:
    lab = Lab(Services(declare(schema)))
    lab.rows("Subject").insert({"subject_id": f"M{i}", "species": "mouse"} for i in range(1, 4))
    lab.rows("Session").insert(
        {"subject_id": f"M{i}", "session": n, "day": "2026-03-01"} for i in range(1, 4) for n in range(i)
    )
    yield lab
    lab.services.close()


def matching(lab: Lab, **restrictions: str) -> dict[str, str | None]:
    names = [lab.name(table) for table in TABLES]
    found = asyncio.run(lab.services.counting.matching(names, restrictions))
    return {name.split(".", 1)[1]: count.text if count else None for name, count in found.items()}


def test_rows_are_counted_that_match_where_the_attribute_is(lab: Lab) -> None:
    assert matching(lab, subject_id="=M3") == {
        "Subject": "1",
        "Session": "3",
        "Session.Note": "0",
        "Total": "0",
    }
    assert matching(lab, subject_id="=M3", session=">0") == {
        "Subject": "1", "Session": "2", "Session.Note": "0", "Total": "0",
    }  # fmt: skip
    assert matching(lab, species="mouse", session="many") == {"Species": "1", "Subject": "3"}
    assert matching(lab) == {}
    notes = lab.services.counting.notes([lab.name("Species"), lab.name("Subject")], {"subject_id": "=M3"})
    assert list(notes.values()) == [{"subject_id": "not in this table"}, {"subject_id": ""}]


def test_counting_stops_at_its_limits_of_rows_and_of_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float | None] = []
    count = Pages.count

    def slow(pages: Pages, info: Any, condition: Any, seconds: float | None = None) -> int:
        limits.append(seconds)
        if info.label == "Subject":
            raise QueryTimeoutError("took too long")
        return count(pages, info, condition, seconds)

    monkeypatch.setattr(Pages, "count", slow)
    for module in ("counting", "paging"):
        monkeypatch.setattr(f"dj_panel.apps.services.{module}.COUNT_LIMIT", 4)
    totals = asyncio.run(lab.services.counting.totals([lab.name("Subject"), lab.name("Session")]))
    assert list(totals.values()) == [None, Count(4, is_capped=True)]
    assert limits == [COUNT_LIMIT_S] * 2
    # Of the time for all nothing is left: only the first is counted, and the next time the others.
    monkeypatch.setattr(counting, "_ALL_S", -1.0)
    assert matching(lab, session=">0") == {"Session": "3"}
