"""Times in imported files: none is made up and nothing of one is cut, unless the person who imports allows it."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dj_panel as dj
from dj_panel.apps.import_html import batch_html
from dj_panel.apps.services import Services
from dj_panel.apps.services.batches import Batch, RowClass
from tests.entry_tables import Lab, pipeline_of

NO_TIME = "“{}” has no time of day; write 2026-03-31 00:00:00 if midnight is meant."
CUT = "“{}” has parts of a second that are not kept here; write {}."


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Lab]:
    @schema
    class Visit(dj.Manual):
        definition = """
        visit : int32
        ---
        whole = null : datetime
        fine = null : datetime(3)
        clock = null : time
        day = null : date
        """

    services = Services(pipeline_of(schema))
    yield Lab(services)
    services.close()


def opened(lab: Lab, folder: Path, content: str | bytes) -> Batch:
    path = folder / "sent"
    path.write_bytes(content.encode() if isinstance(content, str) else content)

    async def read() -> Batch:
        batch = await lab.services.importing.open(lab.name("Visit"), "visits", path, "ana")
        assert batch.work is not None
        await batch.work
        return batch

    return asyncio.run(read())


def allowed(lab: Lab, batch: Batch, **choice: bool) -> None:
    async def choose() -> None:
        await lab.services.importing.set_notation(batch, **choice)  # type: ignore[arg-type]
        assert batch.work is not None
        await batch.work

    asyncio.run(choose())


def written(lab: Lab, batch: Batch) -> list[dict[str, Any]]:
    asyncio.run(lab.services.importing.write(batch))
    assert batch.problem == ""
    return list(lab.rows("Visit").to_dicts(order_by="visit"))


def kinds(batch: Batch) -> list[str]:
    return [RowClass(kind).name.lower() for kind in batch.classes]


def test_what_would_be_made_up_or_cut_is_refused_as_in_a_form_unless_it_is_allowed(
    lab: Lab, tmp_path: Path
) -> None:
    info = lab.services.table(lab.name("Visit"))
    content = (
        "visit,whole,fine,clock\n"
        "1,2026-03-31,,\n"
        "2,31.3.2026,,\n"
        "3,20260331,,\n"
        "4,2026-03-31 12:30:00.6,2026-03-31 12:30:00.6789,09:30:00.5\n"
        "5,2026-03-31 12:30:00.000,2026-03-31 12:30:00.678000,09:30:00.000\n"  # nothing is lost
        "6,2026-03-31T12:30,2026-03-31 00:00:00,9:30\n"
    )
    batch = opened(lab, tmp_path, content)
    assert kinds(batch) == ["invalid"] * 4 + ["new"] * 2
    for position, text in enumerate(("2026-03-31", "31.3.2026", "20260331")):
        assert batch.messages(position) == {"whole": NO_TIME.format(text)}
    assert batch.messages(3) == {
        "whole": CUT.format("2026-03-31 12:30:00.6", "2026-03-31 12:30:00"),
        "fine": CUT.format("2026-03-31 12:30:00.6789", "2026-03-31 12:30:00.678"),
        "clock": CUT.format("09:30:00.5", "09:30:00"),
    }
    page = batch_html(info, batch, None)
    assert "A day without a time is midnight (3 cells)" in page
    assert "Cut fractions of a second that are not kept (3 cells)" in page
    assert 'data-key="reading" open' in page, "the choices are seen"
    assert 'data-action="midnight">' in page, "and nothing is chosen"
    allowed(lab, batch, midnight=True)
    assert kinds(batch) == ["new"] * 3 + ["invalid"] + ["new"] * 2
    allowed(lab, batch, cut=True)
    assert kinds(batch) == ["new"] * 6
    page = batch_html(info, batch, None)
    assert "3 days without a time are midnight; fractions of a second are cut in 3 cells" in page
    shown = asyncio.run(lab.services.importing.page(batch, [], 0, 10))
    assert [row.readings.get("whole") for row in shown] == [
        *["2026-03-31 00:00:00"] * 3, "2026-03-31 12:30:00", None, "2026-03-31 12:30:00",
    ]  # fmt: skip
    rows = written(lab, batch)
    assert [row["whole"].time() for row in rows] == [dt.time()] * 3 + [dt.time(12, 30)] * 3
    assert [row["fine"] for row in rows[3:5]] == [dt.datetime(2026, 3, 31, 12, 30, 0, 678_000)] * 2
    assert rows[3]["clock"] == dt.timedelta(hours=9, minutes=30)


def test_a_choice_can_be_taken_back_and_outlives_another_mapping(lab: Lab, tmp_path: Path) -> None:
    batch = opened(lab, tmp_path, "visit,whole,when\n1,2026-03-31 10:00,2026-03-31\n")
    assert kinds(batch) == ["new"]
    assert (batch.n_days_alone, batch.n_cut) == (0, 0), "what is ignored is no reason to ask"

    async def map_column(place: int, name: str) -> None:
        await lab.services.importing.map_column(batch, place, name)
        assert batch.work is not None
        await batch.work

    asyncio.run(map_column(2, "fine"))
    assert kinds(batch) == ["invalid"]
    allowed(lab, batch, midnight=True)
    assert kinds(batch) == ["new"]
    asyncio.run(map_column(2, "whole"))
    assert (kinds(batch), batch.n_days_alone) == (["new"], 1)
    allowed(lab, batch, midnight=False)
    assert batch.messages(0) == {"whole": NO_TIME.format("2026-03-31")}
    asyncio.run(map_column(2, "day"))
    assert (kinds(batch), batch.n_days_alone) == (["new"], 0), "a day is a day"


def test_a_cell_of_excel_is_a_day_where_excel_shows_a_day(lab: Lab, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["visit", "whole", "day", "clock"])
    midnight = dt.datetime(2026, 3, 31)
    formats = ["yyyy-mm-dd", "DD.MM.YYYY", 'd "hours" mmm yyyy', "yyyy-mm-dd hh:mm", "YYYY-MM-DD HH:MM:SS"]
    for number, shown in enumerate(formats, 1):
        book.active.append([number, midnight, midnight, dt.time(9, 30)])
        for cell in book.active[number + 1][1:3]:
            cell.number_format = shown
    book.active.append(
        [6, dt.datetime(2026, 3, 31, 12, 30, 0, 500_000), None, dt.timedelta(hours=30, seconds=0.25)]
    )
    out = io.BytesIO()
    book.save(out)
    batch = opened(lab, tmp_path, out.getvalue())
    assert kinds(batch) == ["invalid"] * 3 + ["new"] * 2 + ["invalid"]
    assert [batch.messages(place) for place in range(3)] == [{"whole": NO_TIME.format("2026-03-31")}] * 3
    assert batch.messages(5)["clock"] == CUT.format("30:00:00.250000", "30:00:00")
    assert (batch.n_days_alone, batch.n_cut) == (3, 2)
    allowed(lab, batch, midnight=True, cut=True)
    rows = written(lab, batch)
    assert [row["whole"] for row in rows] == [midnight] * 5 + [dt.datetime(2026, 3, 31, 12, 30)]
    assert [row["day"] for row in rows] == [midnight.date()] * 5 + [None]
    assert rows[5]["clock"] == dt.timedelta(hours=30)


def test_moments_that_pandas_writes_come_in_as_they_are(lab: Lab, tmp_path: Path) -> None:
    moments = [pandas.Timestamp("2026-03-31"), pandas.Timestamp("2026-03-31 12:30:00")]
    frame = pandas.DataFrame({"visit": [1, 2], "whole": moments, "fine": moments, "day": [moments[0]] * 2})
    workbook, parquet = io.BytesIO(), io.BytesIO()
    frame.to_excel(workbook, index=False)
    frame.to_parquet(parquet)
    days = io.BytesIO()
    pq.write_table(pa.table({"visit": [3], "whole": [dt.date(2026, 3, 31)]}), days)
    for content in (
        workbook.getvalue(),
        parquet.getvalue(),
        frame.to_csv(index=False, date_format="%Y-%m-%d %H:%M:%S.%f"),
    ):
        batch = opened(lab, tmp_path, content)
        assert kinds(batch) == ["new"] * 2, batch.messages(0)
        rows = written(lab, batch)
        assert [row["whole"] for row in rows] == moments
        assert [row["day"] for row in rows] == [dt.date(2026, 3, 31)] * 2
        asyncio.run(lab.services.importing.undo(batch))
        assert len(lab.rows("Visit")) == 0
    assert kinds(opened(lab, tmp_path, days.getvalue())) == ["invalid"]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_exported_times_come_back_with_nothing_to_allow(lab: Lab, tmp_path: Path, kind: str) -> None:
    midnight = dt.datetime(2026, 3, 31)
    lab.rows("Visit").insert(
        [
            (1, midnight, midnight, dt.timedelta(), midnight.date()),
            (
                2,
                midnight.replace(second=1),
                midnight.replace(microsecond=1000),
                dt.timedelta(hours=-30),
                None,
            ),
            (
                3,
                dt.datetime(1850, 1, 1),
                dt.datetime(1850, 1, 1),
                dt.timedelta(seconds=1),
                dt.date(1850, 1, 1),
            ),
        ]
    )
    sent = lab.services.exports.file(lab.name("Visit"), kind)

    async def content() -> bytes:
        return b"".join([chunk async for chunk in sent])

    batch = opened(lab, tmp_path, asyncio.run(content()))
    assert kinds(batch) == ["identical"] * 3, [batch.messages(place) for place in range(3)]
    assert (batch.n_days_alone, batch.n_cut) == (0, 0)
