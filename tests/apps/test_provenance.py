"""What a row rests on, and the job that computed it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.row_origins import origins_html
from dj_panel.apps.services import Services
from dj_panel.apps.services.provenance import MAX_NAMED, Past
from tests.lab_tables import declare_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = declare_lab(schema)
    lab.Subject.insert([{"subject": name, "species": "mouse"} for name in ("a", "b", "<i>c</i>")])
    lab.Session.insert(
        [
            {"subject": "a", "session": 1, "session_date": "2026-01-02", "partner": "b"},
            {"subject": "b", "session": 1, "session_date": "2026-01-03"},
        ]
    )
    return lab


@pytest.fixture
def services(lab: Any, schema: dj.Schema) -> Iterator[Services]:
    classes = [lab.Species, lab.Subject, lab.Session, lab.Session.Trial, lab.Rate]
    tables = {app_name(cls().name): cls for cls in classes}
    services = Services(Pipeline("test", schema.connection, MappingProxyType(tables)))
    yield services
    services.close()


def named(past: Past) -> list[tuple[str, list[str]]]:
    return [(o.table.rpartition(".")[2], [" ".join(r.key.values()) for r in o.rows]) for o in past.origins]


def test_a_computed_row_leads_back_to_what_was_entered(
    lab: Any, services: Services, schema: dj.Schema
) -> None:
    lab.Rate.insert1({"subject": "a", "session": 1, "rate": 2.0}, allow_direct_insert=True)
    past = asyncio.run(
        services.provenance.of_row(f"{schema.database}.Rate", {"subject": "a", "session": "1"})
    )
    assert named(past) == [("Species", ["mouse"]), ("Subject", ["a", "b"]), ("Session", ["a 1"])]
    assert past.making is None


def test_rows_that_rest_on_many_name_the_first(schema: dj.Schema) -> None:
    @schema
    class Point(dj.Manual):
        definition = "point : int32"

    @schema
    class Fit(dj.Manual):
        definition = "fit : int32"

        class Used(dj.Part):
            definition = """
            -> master
            -> Point
            """

    @schema
    class Line(dj.Computed):
        definition = """
        -> Fit.Used
        """

    Point.insert([{"point": n} for n in range(9)])
    tables = {app_name(cls().name): cls for cls in (Point, Fit, Fit.Used, Line)}
    services = Services(Pipeline("test", schema.connection, MappingProxyType(tables)))
    Fit.insert1({"fit": 1})
    Fit.Used.insert([{"fit": 1, "point": n} for n in range(9)])
    Line.insert([{"fit": 1, "point": n} for n in range(9)], allow_direct_insert=True)
    try:
        past = asyncio.run(services.provenance.of_row(f"{schema.database}.Line", {"fit": "1", "point": "3"}))
        assert named(past) == [("Point", ["3"]), ("Fit", ["1"]), ("Used", ["1 3"])]
        assert not any(origin.has_more for origin in past.origins)
        assert MAX_NAMED < 9
    finally:
        services.close()


def test_a_job_that_is_kept_says_who_computed_the_row(
    lab: Any, services: Services, schema: dj.Schema
) -> None:
    schema.connection.settings["jobs.keep_completed"] = True
    lab.Rate.populate(reserve_jobs=True)
    info = services.table(f"{schema.database}.Rate")
    past = asyncio.run(services.provenance.of_row(info.name, {"subject": "a", "session": "1"}))
    assert past.making is not None
    assert past.making.pid
    assert past.making.duration_s is not None
    html = origins_html(info, past, services.table)
    assert past.making.host in html


def test_a_row_with_parents_alone_says_nothing_twice_and_texts_are_escaped(
    lab: Any, services: Services, schema: dj.Schema
) -> None:
    subject = services.table(f"{schema.database}.Subject")
    past = asyncio.run(services.provenance.of_row(subject.name, {"subject": "a"}))
    assert named(past) == [("Species", ["mouse"])]
    assert origins_html(subject, past, services.table) == ""
    session = services.table(f"{schema.database}.Session")
    lab.Session.insert1({"subject": "<i>c</i>", "session": 1, "session_date": "2026-01-03"})
    past = asyncio.run(services.provenance.of_row(session.name, {"subject": "<i>c</i>", "session": "1"}))
    html = origins_html(session, past, services.table)
    assert "<i>" not in html
    assert "&lt;i&gt;c" in html
