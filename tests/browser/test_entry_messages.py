"""What a form says in a real browser: nothing out of sight, nothing that contradicts another message."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import threading
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.entry import EntryPage
from dj_panel.apps.services import Services
from dj_panel.apps.services.importing import Importing
from dj_panel.apps.site import Site, serve
from dj_panel.apps.typed import Custom
from tests.browser.entry_site import PAGES, Plain
from tests.browser.test_entry import Lab
from tests.entry_tables import pipeline_of

FAR = zoneinfo.ZoneInfo("Pacific/Kiritimati")

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def declare(schema: dj.Schema) -> Any:
    @schema
    class Animal(dj.Manual):
        definition = """
        animal : varchar(8)
        ---
        species = "mouse" : varchar(20)
        """

    @schema
    class Weighing(dj.Manual):
        definition = """
        -> Animal
        n : int16
        ---
        seen = null : datetime
        weight : decimal(6,2)  # (g)
        note = null : varchar(20)
        remarks = null : varchar(400)
        place = null : varchar(20)
        lamp = null : enum('on', 'off')
        extra = null : json
        """

    @schema
    class Consent(dj.Manual):
        definition = """
        consent : int32
        ---
        -> [unique] Animal
        """

    return pipeline_of(schema)


@pytest.fixture
def lab(schema: dj.Schema, page: Tab, port: int) -> Iterator[Lab]:
    services = Services(declare(schema))
    services.entering.custom = Custom(zone=FAR)
    running = serve(
        Site({**PAGES, "record": Plain}, services, title="Test lab", user="ana"), port=port, threaded=True
    )
    lab = Lab(running, services, page)
    lab.rows("Animal").insert([("A1", "mouse"), ("A2", "rat")])
    yield lab
    page.goto("about:blank")
    running.stop()
    services.close()


def weigh(lab: Lab, n: str) -> None:
    lab.field("N").fill(n)
    lab.field("Weight").fill("20.5")
    lab.press("Control+Enter")
    lab.expect_saved(f"Weighing A1 · {n}")


def is_uncovered(place: Locator) -> bool:
    found: bool = place.evaluate("""(element) => {
      const {x, y, width, height} = element.getBoundingClientRect()
      const middle = element.getRootNode().elementFromPoint(x + width / 2, y + height - 3)
      return element.contains(middle)
    }""")
    return found


@pytest.mark.parametrize(("width", "height"), [(320, 640), (768, 1024), (1280, 800)])
def test_the_receipt_and_the_first_field_are_both_in_sight(
    lab: Lab, open_page: Callable[..., Tab], width: int, height: int
) -> None:
    lab.tab = open_page(viewport={"width": width, "height": height})
    tab = lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("1")
    weigh(lab, "1")
    expect(lab.field("Seen")).to_be_focused()
    expect(lab.field("N")).to_have_value("2")
    for name, place in {
        "receipt": tab.locator(".receipt"),
        "undo": tab.locator(".receipt").get_by_role("button", name="Undo"),
        "focus": tab.locator(".form :focus"),
    }.items():
        expect(place).to_be_in_viewport(ratio=1)
        assert is_uncovered(place), name
    # Nor does the bar, which the receipt has made higher, lie over a field that is tabbed into.
    for _ in range(4):
        lab.press("Tab")
        focus = tab.locator(".form :focus")
        expect(focus).to_be_in_viewport(ratio=1)
        assert is_uncovered(focus)
    tab.goto("about:blank")


def test_what_is_said_of_a_number_goes_with_its_key(lab: Lab) -> None:
    tab = lab.open("Weighing")
    lab.rows("Weighing").insert1({"animal": "A1", "n": 5, "weight": 20})
    lab.type("A1")
    lab.press("Tab")
    free = tab.get_by_text("Next free: 6")
    expect(free).to_be_visible()
    lab.field("N").fill("7")
    expect(free).to_have_count(0)
    weigh(lab, "7")
    expect(lab.field("N")).to_have_value("8")
    expect(tab.get_by_text("Next free:")).to_have_count(0)


def test_a_row_is_either_saved_or_not(lab: Lab) -> None:
    tab = lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("1")
    lab.field("Weight").fill("20.5")
    lab.press("Control+Enter", "Control+Enter")
    lab.expect_saved("Weighing A1 · 1")
    lab.press("Control+Enter")
    expect(tab.get_by_text("Nothing is typed yet, so there is nothing more to save.")).to_be_visible()
    expect(tab.locator(".summary")).to_be_hidden()
    lab.expect_saved("Weighing A1 · 1")
    lab.field("Weight").fill("heavy")
    expect(tab.get_by_text("Nothing is typed yet")).to_have_count(0)
    lab.press("Control+Enter")
    expect(tab.locator(".summary")).to_contain_text("Nothing was saved")
    expect(tab.locator(".receipt")).to_be_hidden()
    assert lab.rows("Weighing").count() == 1


def test_what_is_wrong_is_listed_until_it_is_put_right(lab: Lab) -> None:
    tab = lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("1")
    lab.field("Seen").fill("noon")
    lab.field("Weight").fill("22,5")
    lab.field("Extra").fill("{")
    lab.press("Control+Enter")
    summary = tab.locator(".summary")
    expect(summary).to_contain_text("3 fields need a correction. Nothing was saved.")
    expect(summary).to_contain_text("“22,5” has a comma; write 22.5")
    lab.field("Weight").focus()
    lab.press("Tab")
    expect(tab.get_by_role("button", name="Use 22.5")).to_be_focused()
    lab.press("Enter")
    expect(lab.field("Weight")).to_have_value("22.5")
    expect(lab.field("Weight")).to_be_focused()
    expect(summary).to_contain_text("2 fields need a correction.")
    expect(summary.get_by_role("listitem")).to_have_count(2)
    lab.field("Extra").fill("{}")
    expect(summary).to_contain_text("One field needs a correction.")
    lab.field("Seen").fill("midnight")
    expect(summary.get_by_role("listitem")).to_contain_text("Seen: “midnight” is not")
    lab.field("Seen").fill("2026-03-31 12:00")
    expect(summary).to_be_hidden()
    lab.field("Weight").fill("")
    lab.press("Control+Enter")
    expect(summary).to_contain_text("Weight: Needs a value.")
    lab.press("Tab")  # on to the next field, and nothing put right
    expect(lab.field("Weight")).to_have_accessible_description("Needs a value.")
    expect(summary).to_contain_text("One field needs a correction.")


def test_what_was_typed_is_restored_with_the_labs_time(lab: Lab) -> None:
    tab = lab.open("Weighing")
    lab.field("Note").fill("calm")
    before = dt.datetime.now(FAR)
    tab.reload()
    said = tab.get_by_text(re.compile(r"Restored what you had typed at \d\d:\d\d\."))
    expect(said).to_be_visible()
    text = said.text_content() or ""
    assert any(f"{before - dt.timedelta(minutes=back):%H:%M}" in text for back in (0, 1))


def test_a_time_that_is_typed_with_a_zone_is_shown_by_the_labs_clock(lab: Lab) -> None:
    tab = lab.open("Weighing", "?animal=A1")
    seen = lab.field("Seen")
    seen.fill("2026-03-31T12:05Z")
    lab.press("Tab")
    expect(seen).to_have_value("2026-04-01 02:05:00")
    said = tab.get_by_text("“2026-03-31T12:05Z” is 2026-04-01 02:05:00 by the lab's clock.")
    expect(said).to_be_visible()
    seen.fill("2026-03-31 12:05:00")
    expect(said).to_have_count(0)
    expect(tab.get_by_text("Lab time: Pacific/Kiritimati")).to_be_visible()


def test_pinned_values_are_here_again_after_back_and_a_reload(lab: Lab) -> None:
    tab = lab.open("Weighing")
    lab.type("A1")
    lab.press("Tab")
    expect(lab.field("Animal")).to_have_value("A1")
    weigh(lab, "1")
    tab.locator(".receipt").get_by_role("link", name="Weighing A1 · 1").click()
    expect(tab).to_have_url(re.compile(r"#/record/.*Weighing\?animal=A1&n=1$"))
    expect(tab.get_by_text("elsewhere", exact=True)).to_be_visible()
    tab.go_back()
    expect(lab.field("Animal")).to_have_value("A1")
    expect(lab.field("N")).to_have_value("2")
    tab.reload()
    expect(lab.field("Animal")).to_have_value("A1")
    expect(lab.field("N")).to_have_value("2")
    expect(tab.get_by_text("Restored what")).to_have_count(0)


def test_a_time_that_was_now_is_now_again_and_a_typed_one_is_not(lab: Lab) -> None:
    lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("1")
    seen = lab.field("Seen")
    seen.focus()
    lab.press("Alt+n")
    first = seen.input_value()
    weigh(lab, "1")
    expect(seen).not_to_have_value("")
    assert seen.input_value() >= first
    expect(lab.field("Weight")).to_be_focused()
    seen.fill("2026-03-31 14:05:00")
    weigh(lab, "2")
    expect(seen).to_have_value("")


def test_a_parent_that_no_second_row_may_have_is_not_kept_for_it(lab: Lab) -> None:
    tab = lab.open("Consent")
    lab.field("Consent").fill("1")
    lab.field("Animal").fill("A1")
    lab.press("Control+Enter")
    lab.expect_saved("Consent 1")
    expect(lab.field("Animal")).to_have_value("")
    expect(tab.get_by_role("button", name="Keep Animal for the next row")).to_have_attribute(
        "aria-pressed", "false"
    )


def test_a_form_that_waits_for_an_import_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    tab = lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("1")
    lab.field("Weight").fill("20.5")
    may_write, write = threading.Event(), lab.services.entering._write

    def write_late(*row: Any) -> None:
        assert may_write.wait(60)
        write(*row)

    monkeypatch.setattr(lab.services.entering, "_write", write_late)
    told, busy_text = threading.Semaphore(0), EntryPage._busy_text

    def noted(page: EntryPage) -> str:
        told.release()
        return busy_text(page)

    monkeypatch.setattr(EntryPage, "_busy_text", noted)
    monkeypatch.setattr(Importing, "is_writing", True)
    lab.press("Control+Enter")
    said = tab.get_by_text("The database is busy writing an import. It goes on right after it.")
    expect(said).to_be_visible()
    for _ in range(4):  # longer than a form waits for a server that says nothing
        assert told.acquire(timeout=60)
    expect(said).to_be_visible()
    expect(tab.get_by_text("waiting for the server")).to_have_count(0)
    may_write.set()
    lab.expect_saved("Weighing A1 · 1")
    expect(said).to_have_count(0)


def test_what_is_typed_while_a_row_is_on_its_way_is_neither_lost_nor_told_off(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("1")
    may_answer, save_now = threading.Event(), EntryPage._handlers["save"]

    async def save_late(page: EntryPage, data: Any) -> Any:
        await asyncio.to_thread(may_answer.wait, 60)
        return await save_now(page, data)

    monkeypatch.setattr(EntryPage, "_handlers", {**EntryPage._handlers, "save": save_late})
    # Put right, and saved again, before the refusal of what was wrong has come.
    lab.field("Weight").fill("heavy")
    lab.press("Control+Enter")
    expect(tab.locator(".field.wrong")).to_contain_text("is not a number")
    lab.field("Weight").fill("20.5")
    lab.press("Control+Enter")
    may_answer.set()
    lab.expect_saved("Weighing A1 · 1")
    expect(tab.locator(".field.wrong")).to_have_count(0)

    # Put right only: the refusal does not stay at what is right by now.
    expect(lab.field("N")).to_have_value("2")
    may_answer.clear()
    lab.field("Weight").fill("heavy")
    lab.press("Control+Enter")
    expect(tab.locator(".field.wrong")).to_contain_text("is not a number")
    lab.field("Weight").fill("21.5")
    may_answer.set()
    expect(tab.get_by_text("All of it is put right. Nothing is saved yet.")).to_be_visible()
    expect(tab.locator(".field.wrong")).to_have_count(0)
    expect(tab.locator(".summary")).to_be_hidden()

    # Typed after the row was sent: it is not in the row, and stays.
    may_answer.clear()
    lab.press("Control+Enter")
    expect(tab.get_by_role("button", name="Saving…")).to_be_visible()
    lab.field("Remarks").fill("calm")
    may_answer.set()
    lab.expect_saved("Weighing A1 · 2")
    expect(tab.get_by_text("Typed after the row was sent, so not saved with it: Remarks.")).to_be_visible()
    expect(lab.field("Remarks")).to_have_value("calm")
    expect(lab.field("Weight")).to_have_value("")
    rows = lab.rows("Weighing").to_dicts(order_by="KEY")
    assert [(str(row["weight"]), row["remarks"]) for row in rows] == [("20.50", None), ("21.50", None)]
    tab.reload()
    expect(lab.field("Remarks")).to_have_value("calm")


def test_the_number_is_that_of_the_row_that_is_saved(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.rows("Weighing").insert({"animal": "A1", "n": n, "weight": 20} for n in (1, 2))
    tab = lab.open("Weighing", "?animal=A1")
    expect(lab.field("N")).to_have_value("3")
    lab.field("Animal").fill("A2")
    lab.press("Tab")
    expect(lab.field("N")).to_have_value("1")  # a suggestion that nobody touched follows the animal
    lab.field("N").fill("7")
    lab.field("Animal").fill("A1")
    lab.press("Tab")
    expect(lab.field("Animal")).to_have_value("A1")
    expect(lab.field("N")).to_have_value("7")  # and what was typed stays

    may_answer, next_now = threading.Event(), EntryPage._handlers["next"]

    async def next_late(page: EntryPage, data: Any) -> Any:
        await asyncio.to_thread(may_answer.wait, 60)
        return await next_now(page, data)

    monkeypatch.setattr(EntryPage, "_handlers", {**EntryPage._handlers, "next": next_late})
    lab.open("Weighing", "?animal=A2")
    lab.field("Weight").fill("21")
    lab.press("Control+Enter")  # as a scanner does, before the number has come
    expect(tab.get_by_role("button", name="Saving…")).to_be_visible()
    may_answer.set()
    lab.expect_saved("Weighing A2 · 1")
