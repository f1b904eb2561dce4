"""Days and times as people type them: what is clear is read, what is not is refused with what to write."""

from __future__ import annotations

import asyncio
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dj_panel as dj
from dj_panel.apps.fields import parse_text
from dj_panel.apps.services import Services
from dj_panel.apps.services.drafts import Reading
from dj_panel.apps.services.receipts import Checked
from dj_panel.apps.typed import Custom
from dj_panel.apps.typed_times import plain_days
from dj_panel.core.structure import Attribute
from tests.entry_tables import Lab, pipeline_of


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-3-4", "2026-03-04"),
        ("2026/3/4", "2026-03-04"),
        ("31.03.2026", "2026-03-31"),
        ("4. 3. 2026", "2026-03-04"),
        ("2026-3-4 9:05", "2026-03-04 09:05"),
        ("4.3.2026 14:05:06", "2026-03-04 14:05:06"),
        ("2026-03-31T12:05Z", "2026-03-31T12:05Z"),
        ("soon", "soon"),
        ("20260331", "20260331"),
    ],
)
def test_a_day_that_is_clear_is_read(text: str, day: str) -> None:
    assert plain_days(text) == day


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1/2/2026", "could mean 2026-02-01 or 2026-01-02; write one of these"),
        ("31/3/2026", "write 2026-03-31 if that is meant"),
        ("3/31/2026", "write 2026-03-31 if that is meant"),
        ("31-03-2026", "write 2026-03-31 if that is meant"),
        ("1.2.26", "write 2026-02-01 if that is meant"),
        ("2026-02-30", "is no day: February 2026 has 28 days"),
        ("30.2.2028", "is no day: February 2028 has 29 days"),
        ("2026-13-01", "is no day: there is no month 13"),
        ("2026-00-10", "is no day: there is no month 0"),
    ],
)
def test_a_day_that_is_unclear_or_is_none_is_refused_with_what_to_write(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_text(Attribute("d", "date"), text)


@given(st.dates())
def test_every_day_is_read_as_itself_in_each_clear_form(day: Any) -> None:
    attribute = Attribute("d", "date")
    iso, bare = f"{day.year:04d}-{day.month:02d}-{day.day:02d}", f"{day.year:04d}-{day.month}-{day.day}"
    for text in (iso, bare, f"{day.day}.{day.month}.{day.year:04d}"):
        assert parse_text(attribute, text) == day


@given(st.text("0123456789-./: T", max_size=20))
def test_no_text_breaks_the_reading_of_days(text: str) -> None:
    with suppress(ValueError):
        plain_days(text)


def test_a_number_that_would_become_zero_and_a_key_that_comes_twice_are_refused() -> None:
    for type_text, text in (("float64", "1e-400"), ("float64", "-0.0001e-999"), ("float32", "1e-60")):
        with pytest.raises(ValueError, match="too close to 0"):
            parse_text(Attribute("x", type_text), text)
    for text in ("0", "0.0", "-0", "0e7"):
        assert parse_text(Attribute("x", "float64"), text) == 0
    for text in ('{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]'):
        with pytest.raises(ValueError, match="has the key 'a' more than once"):
            parse_text(Attribute("x", "json"), text)
    assert parse_text(Attribute("x", "json"), '[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Lab]:
    @schema
    class Visit(dj.Manual):
        definition = """
        visit : int32
        ---
        day = null : date
        whole = null : datetime
        fine = null : datetime(3)
        clock = null : time
        """

    services = Services(pipeline_of(schema))
    services.entering.custom = Custom(zone=zoneinfo.ZoneInfo("Europe/Berlin"))
    yield Lab(services)
    services.close()


def check(lab: Lab, name: str, text: str) -> Checked:
    draft = {"visit": "1", name: text}
    return asyncio.run(lab.services.entering.check(lab.name("Visit"), draft, {name}))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("whole", "2026-03-31", "has no time of day; write 2026-03-31 00:00:00 if midnight is meant."),
        ("whole", "31.3.2026", "has no time of day; write 2026-03-31 00:00:00 if midnight is meant."),
        ("whole", "2026-03-31 14:05:00.6", "has parts of a second that are not kept here; write 2026-03-31 14:05:00."),
        ("fine", "2026-03-31 14:05:00.6789", "not kept here; write 2026-03-31 14:05:00.678."),
        ("clock", "14:05:00.6", "has parts of a second that are not kept here; write 14:05:00."),
    ],
)  # fmt: skip
def test_nothing_of_a_time_is_cut_off_or_made_up(lab: Lab, name: str, text: str, reason: str) -> None:
    assert check(lab, name, text).errors[name].endswith(reason)


@pytest.mark.parametrize(
    ("name", "text", "shown", "note"),
    [
        ("whole", "2026-03-31T12:05Z", "2026-03-31 14:05:00", "“2026-03-31T12:05Z” is 2026-03-31 14:05:00 by the lab's clock."),
        ("whole", "4.3.2026 9:05", "2026-03-04 09:05:00", "“4.3.2026 9:05” is 2026-03-04 09:05:00."),
        ("day", "4.3.2026", "2026-03-04", "“4.3.2026” is 2026-03-04."),
    ],
)  # fmt: skip
def test_what_is_written_otherwise_than_it_is_shown_is_told(
    lab: Lab, name: str, text: str, shown: str, note: str
) -> None:
    checked = check(lab, name, text)
    assert not checked.errors
    assert checked.readings == {name: Reading(shown, note)}


@pytest.mark.parametrize(
    ("name", "text"),
    [("whole", "2026-03-31 14:05"), ("fine", "2026-03-31 14:05:00.600"), ("clock", "14:05"), ("day", "2026-03-04")],
)  # fmt: skip
def test_zeros_that_are_added_are_not_told(lab: Lab, name: str, text: str) -> None:
    checked = check(lab, name, text)
    assert (checked.errors, checked.readings) == ({}, {})
