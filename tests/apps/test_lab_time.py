"""The clock of the lab: what forms store, and what pages say of when something happened."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.history_html import history_html
from dj_panel.apps.import_html import past_html
from dj_panel.apps.services import Services
from dj_panel.apps.services.batches import Batch
from dj_panel.apps.services.receipts import Receipt
from dj_panel.apps.typed import Custom, time_told
from tests.entry_tables import Lab, pipeline_of

# As far from UTC, and from the zone of any server, as there is one.
FAR = zoneinfo.ZoneInfo("Pacific/Kiritimati")


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Lab]:
    @schema
    class Visit(dj.Manual):
        definition = """
        visit : int32
        ---
        arrived = CURRENT_TIMESTAMP : datetime
        seen = CURRENT_TIMESTAMP(6) : datetime(6)
        room = "A" : varchar(8)
        """

        class Sample(dj.Part):
            definition = """
            -> master
            sample : int32
            ---
            taken = CURRENT_TIMESTAMP : datetime
            """

    @schema
    class Alarm(dj.Manual):
        definition = """
        rung = CURRENT_TIMESTAMP : datetime
        ---
        alarm = "" : varchar(8)
        """

    services = Services(pipeline_of(schema))
    services.entering.custom = Custom(zone=FAR)
    yield Lab(services)
    services.close()


def save(lab: Lab, table: str, draft: dict[str, str], **parts: list[dict[str, str]]) -> Receipt:
    named = {lab.name(f"{table}.{part}"): rows for part, rows in parts.items()}
    receipt = asyncio.run(lab.services.entering.save(lab.name(table), draft, named, "t"))
    assert isinstance(receipt, Receipt), receipt
    return receipt


async def opened(lab: Lab, file: Path) -> Batch:
    batch = await lab.services.importing.open(lab.name("Visit"), "rows.csv", file, "ana")
    assert batch.work is not None
    await asyncio.wait_for(batch.work, None)
    return batch


def is_now_in_the_lab(moment: Any) -> bool:
    return bool(abs(dt.datetime.now(FAR).replace(tzinfo=None) - moment) < dt.timedelta(minutes=5))


def test_a_time_that_is_left_empty_is_the_labs_time_of_saving(lab: Lab) -> None:
    save(lab, "Visit", {"visit": "1"}, Sample=[{"sample": "1"}])
    row = lab.rows("Visit").fetch1()
    assert is_now_in_the_lab(row["arrived"])
    assert row["arrived"].microsecond == 0
    assert is_now_in_the_lab(row["seen"])
    assert row["seen"].replace(microsecond=0) == row["arrived"]
    assert row["room"] == "A"
    assert is_now_in_the_lab(lab.rows("Visit.Sample").fetch1("taken"))


def test_a_time_that_is_typed_stays(lab: Lab) -> None:
    save(lab, "Visit", {"visit": "1", "arrived": "2026-03-31 14:05:00"})
    assert lab.rows("Visit").fetch1("arrived") == dt.datetime(2026, 3, 31, 14, 5)


def test_a_key_that_is_the_time_of_saving_is_the_labs_too(lab: Lab) -> None:
    receipt = save(lab, "Alarm", {"alarm": "fire"})
    rung = lab.rows("Alarm").fetch1("rung")
    assert is_now_in_the_lab(rung)
    assert receipt.key == {"rung": str(rung)}


def test_a_time_that_a_file_leaves_empty_is_the_labs_time_of_importing(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("visit,room,arrived\n1,B,\n2,C,2026-03-31 14:05:00\n")
    importing = lab.services.importing

    async def bring() -> None:
        batch = await opened(lab, file)
        await importing.write(batch)
        await importing.undo(batch)
        assert lab.rows("Visit").count() == 0, batch.problem
        await importing.write(batch)

    asyncio.run(bring())
    first, second = lab.rows("Visit").to_dicts(order_by="visit")
    assert is_now_in_the_lab(first["arrived"])
    assert is_now_in_the_lab(first["seen"])
    assert second["arrived"] == dt.datetime(2026, 3, 31, 14, 5)


def test_all_that_is_told_of_a_row_is_told_by_the_labs_clock(lab: Lab) -> None:
    receipt = save(lab, "Visit", {"visit": "1"})
    now = dt.datetime.now(FAR)
    assert receipt.saved_at.tzinfo is FAR
    assert abs(now - receipt.saved_at) < dt.timedelta(minutes=5)
    info = lab.services.table(lab.name("Visit"))
    events = asyncio.run(lab.services.history.of_row(info.name, {"visit": "1"}))
    assert events[0].time.tzinfo is FAR
    shown = history_html(info, {"visit": "1"}, events)
    assert "Times: Pacific/Kiritimati" in shown
    assert f"{events[0].time:%Y-%m-%d %H:%M:%S}</time>" in shown
    assert time_told(now) == f"{now:%H:%M:%S}"
    assert time_told(now - dt.timedelta(days=2)).startswith(f"{now - dt.timedelta(days=2):%Y-%m-%d }")


def test_an_import_is_told_by_the_labs_clock(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("visit\n1\n")

    async def bring() -> Batch:
        batch = await opened(lab, file)
        await lab.services.importing.write(batch)
        return batch

    batch = asyncio.run(bring())
    assert batch.receipt is not None
    info = lab.services.table(lab.name("Visit"))
    shown = f"at {batch.receipt.saved_at:%H:%M:%S} (Pacific/Kiritimati)."
    assert batch.receipt.saved_at.tzinfo is FAR
    past = asyncio.run(lab.services.past_imports.find(batch.id, info.name, "ana"))
    assert past is not None
    assert shown in past_html(info, [past], "")


def test_who_was_faster_is_told_by_the_labs_clock(lab: Lab) -> None:
    save(lab, "Visit", {"visit": "1"})
    editing, name, key = lab.services.editing, lab.name("Visit"), {"visit": "1"}

    async def race() -> str:
        mine = await editing.open(name, key)
        theirs = await editing.open(name, key)
        await editing.save(name, key, {**theirs.texts, "room": "B"}, theirs.seen)
        return (await editing.review(name, key, {**mine.texts, "room": "C"}, mine.seen)).other

    found = re.fullmatch(r".+ at (\d\d:\d\d):\d\d", asyncio.run(race()))
    assert found is not None
    now = dt.datetime.now(FAR)
    assert found[1] in {f"{now - dt.timedelta(minutes=back):%H:%M}" for back in range(3)}
