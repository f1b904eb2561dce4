"""Changing and deleting rows in a real browser: shown first, never over each other, and brought back."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

import dj_panel as dj
from dj_panel.apps.application import PAGES
from dj_panel.apps.edit import EditPage
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve
from tests.browser.conftest import OpenPage
from tests.browser.test_access import RULES, assert_no_serious_fault
from tests.entry_tables import HOSTILE, declare

expect.set_options(timeout=60_000)

# What the page alone decides is tried on one server; whatever the server decides, on both.
on_one_server = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Lab:
    """A served pipeline."""

    def __init__(self, running: RunningSite, services: Services) -> None:
        self.running = running
        self.services = services
        self.schema = services.tables()[0].schema

    def rows(self, table: str) -> Any:
        return self.services.pipeline[f"{self.schema}.{table}"]()

    def go(self, tab: Tab, page: str, table: str = "Subject", query: str = "?subject_id=M042") -> Tab:
        tab.goto("about:blank")
        tab.goto(f"{self.running.url}#/{page}/{self.schema}.{table}{query}")
        expect(tab.get_by_role("main")).to_have_attribute("aria-busy", "false")
        return tab

    @property
    def subject(self) -> Any:
        return (self.rows("Subject") & {"subject_id": "M042"}).fetch1()


@pytest.fixture
def lab(schema: dj.Schema, port: int) -> Iterator[Lab]:
    services = Services(declare(schema))
    running = serve(Site(PAGES, services, title="Test lab"), port=port, threaded=True)
    lab = Lab(running, services)
    lab.rows("Person").insert([("ana", ""), ("bo", "")])
    lab.rows("Subject").insert1({"subject_id": "M042", "species": "mouse", "weight": 20, "tag": "T1"})
    lab.rows("Session").insert(
        {"subject_id": "M042", "session": i, "day": "2026-03-01"} for i in range(1, 12)
    )
    yield lab
    running.stop()
    services.close()


@pytest.fixture
def leaving(open_page: OpenPage) -> Iterator[list[Tab]]:
    """Give a list of tabs that leave the site before the server stops, so that none of them complains."""
    tabs: list[Tab] = []
    yield tabs
    for tab in tabs:
        tab.goto("about:blank")


def review(tab: Tab, field: str, text: str) -> None:
    tab.get_by_label(re.compile(f"^{field}")).first.fill(text)
    tab.keyboard.press("Control+Enter")


def test_the_second_of_two_tabs_sees_the_difference_and_loses_nothing(
    lab: Lab, leaving: list[Tab], open_page: OpenPage
) -> None:
    first, second = open_page(), open_page()
    leaving += [first, second]
    for tab in (first, second):
        lab.go(tab, "edit")
        expect(tab.locator(".form :focus")).to_have_count(1)
    review(second, "Remarks", HOSTILE)
    expect(second.locator(".revision")).to_contain_text(HOSTILE)
    expect(second.locator(".save:visible")).to_have_text(["Save changes"])  # one button leads on
    second.keyboard.press("Escape")
    expect(second.locator(".save:visible")).to_have_text(["Review changes"])
    expect(second.get_by_label(re.compile("^Remarks")).first).to_be_focused()
    second.get_by_label(re.compile("^Weight")).first.fill("22")

    review(first, "Weight", "21")
    expect(first.locator(".revision")).to_contain_text("1 value will change")
    first.keyboard.press("Enter")
    expect(first.get_by_text("Saved: Subject M042, 1 value changed.")).to_be_visible()
    expect(first.locator(".history")).to_contain_text(re.compile(r"weight.*20\.00.*→ 21\.00"))

    second.keyboard.press("Control+Enter")
    panel = second.locator(".revision")
    expect(panel).to_contain_text("Somebody else has changed this row meanwhile")
    expect(panel).to_contain_text(f"Changed by {lab.services.user}")
    assert (str(lab.subject["weight"]), lab.subject["remarks"]) == ("21.00", "")
    assert_no_serious_fault(second, "two changes", RULES)
    second.keyboard.press("Escape")
    expect(second.get_by_label(re.compile("^Weight")).first).to_be_focused()
    second.keyboard.press("Control+Enter")
    panel.get_by_role("button", name="Go on").click()
    expect(panel.get_by_role("alert")).to_have_text("Choose between the two for: weight.")
    panel.get_by_role("radio", name="22.00").check()
    panel.get_by_role("button", name="Go on").click()
    expect(panel).to_contain_text("2 values will change")
    second.keyboard.press("Enter")
    expect(second.get_by_text("Saved: Subject M042, 2 values changed.")).to_be_visible()
    assert (str(lab.subject["weight"]), lab.subject["remarks"]) == ("22.00", HOSTILE)
    expect(second.locator(".history")).to_contain_text(HOSTILE)
    assert "broken" not in second.title()


@on_one_server
def test_what_is_typed_while_the_server_is_slow_is_what_is_reviewed(
    lab: Lab, leaving: list[Tab], page: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving.append(page)
    lab.go(page, "edit")
    may_answer, review_now = threading.Event(), EditPage._handlers["review"]

    async def review_late(edit: EditPage, data: Any) -> Any:
        await asyncio.to_thread(may_answer.wait, 60)
        return await review_now(edit, data)

    monkeypatch.setattr(EditPage, "_handlers", {**EditPage._handlers, "review": review_late})
    panel = page.locator(".revision")
    review(page, "Weight", "heavy")
    expect(page.locator(".field.wrong")).to_contain_text("is not a number")  # by the check of the field alone
    review(page, "Weight", "23")
    may_answer.set()
    expect(panel.get_by_role("heading")).to_have_text("1 value will change")
    expect(panel).to_contain_text("23.00")
    page.keyboard.press("Escape")

    may_answer.clear()
    review(page, "Weight", "24")
    page.get_by_label(re.compile("^Remarks")).first.fill("not yet reviewed")
    may_answer.set()
    expect(page.get_by_text("You have typed more since: review it again.")).to_be_visible()
    expect(panel).to_be_hidden()
    page.keyboard.press("Control+Enter")
    expect(panel.get_by_role("heading")).to_have_text("2 values will change")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved: Subject M042, 2 values changed.")).to_be_visible()
    assert (str(lab.subject["weight"]), lab.subject["remarks"]) == ("24.00", "not yet reviewed")


@on_one_server
def test_starting_again_can_be_taken_back(lab: Lab, leaving: list[Tab], page: Tab) -> None:
    leaving.append(page)
    lab.go(page, "edit")
    weight = page.get_by_label(re.compile("^Weight")).first
    again, undo = (page.get_by_role("button", name=name) for name in ("Start again", "Undo"))
    again.click()
    expect(undo).to_have_count(0)  # nothing was typed
    weight.fill("23")
    again.click()
    expect(weight).to_have_value("20.00")
    expect(page.locator(".undoing")).to_contain_text("The form is as it was when it was opened.")
    undo.click()
    expect(weight).to_have_value("23")
    expect(weight).to_be_focused()
    page.reload()
    expect(weight).to_have_value("23")
    review(page, "Weight", "23")
    expect(page.locator(".revision")).to_contain_text("1 value will change")

    lab.rows("Subject").insert1({"subject_id": "M043", "species": "rat"})
    lab.go(page, "edit-rows", query="?select=M042%3BM043")
    tick, by_hand = (page.get_by_role("checkbox", name=f"Change {name}") for name in ("Weight", "Remarks"))
    by_hand.check()
    for field, box, stays in (
        (weight, tick, False),
        (page.get_by_label(re.compile("^Remarks")).first, by_hand, True),
    ):
        field.fill("24")
        expect(box).to_be_checked()
        field.fill("")
        expect(box).to_be_checked(checked=stays)
    weight.fill("24")
    again.click()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)
    page.keyboard.press("Alt+u")
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    expect(weight).to_have_value("24")


@on_one_server
def test_a_change_survives_a_reload_and_older_values_come_back_as_a_change(
    lab: Lab, leaving: list[Tab], page: Tab
) -> None:
    leaving.append(page)
    lab.go(page, "table", query="")
    page.get_by_role("gridcell", name="M042", exact=True).focus()
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Edit Subject M042")).to_be_visible()
    lab.go(page, "record")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Edit Subject M042")).to_be_visible()
    page.get_by_label(re.compile("^Weight")).first.fill("heavy")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".field.wrong")).to_contain_text("is not a number")
    page.reload()
    expect(page.locator(".restored:visible")).to_contain_text("Restored what you had typed")
    expect(page.get_by_label(re.compile("^Weight")).first).to_have_value("heavy")
    review(page, "Weight", "25")
    expect(page.locator(".revision")).to_contain_text("1 value will change")
    page.get_by_label("Reason").fill("new scale")
    page.keyboard.press("Enter")
    expect(page.locator(".history")).to_contain_text("new scale")
    page.get_by_role("link", name="Bring back the values before…").click()
    expect(page.get_by_label(re.compile("^Weight")).first).to_have_value("20.00")
    expect(page.locator(".restored:visible")).to_have_text(
        re.compile(r"^These are the values before \d\d:\d\d:\d\d: Weight\. Nothing is saved yet\.$")
    )
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".revision")).to_contain_text("25.00")
    assert str(lab.subject["weight"]) == "25.00"
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator(".history")).to_contain_text("→ 20.00")
    assert str(lab.subject["weight"]) == "20.00"


def test_a_row_that_arrives_before_the_confirmation_stops_the_deletion(
    lab: Lab, leaving: list[Tab], page: Tab
) -> None:
    leaving.append(page)
    lab.go(page, "delete")
    expect(page.locator(".going tfoot")).to_contain_text("12")
    picture = page.get_by_role("img", name=re.compile("tables that lose rows"))
    expect(picture.locator(f"[data-id='{lab.schema}.Session']")).to_contain_text("11 of 11 go")
    expect(picture.locator(".muted .label")).to_have_text(["Species", "Person", "Consent", "Total", "Probe"])
    expect(picture.locator("[role], [tabindex]")).to_have_count(0)
    lab.rows("Session").insert1({"subject_id": "M042", "session": 50, "day": "2026-03-01"})
    page.get_by_label(re.compile("^Type 12 to confirm")).fill("12")
    page.get_by_role("button", name="Delete 12 rows").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted")
    assert (len(lab.rows("Subject")), len(lab.rows("Session"))) == (1, 12)
    expect(page.locator(".going tfoot")).to_contain_text("13")
    expect(picture.locator(f"[data-id='{lab.schema}.Session']")).to_contain_text("12 of 12 go")
    page.get_by_label("Reason").fill(HOSTILE)
    page.get_by_label(re.compile("^Type 13 to confirm")).fill("13")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Deleted: Subject M042, 13 rows in all.")).to_be_visible()
    assert (len(lab.rows("Subject")), len(lab.rows("Session"))) == (0, 0)
    lab.go(page, "record")
    expect(page.locator(".history")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Put it back").click()
    expect(page.get_by_text("Put back: 13 rows in all.")).to_be_visible()
    expect(page.get_by_role("heading", name="Subject M042", exact=True)).to_be_focused()
    assert (len(lab.rows("Subject")), len(lab.rows("Session"))) == (1, 12)
    assert "broken" not in page.title()


@on_one_server
def test_a_deletion_that_is_refused_on_a_slow_machine_can_be_confirmed_again(
    lab: Lab, leaving: list[Tab], page: Tab
) -> None:
    leaving.append(page)
    lab.go(page, "delete")
    reason, alert = page.get_by_label("Reason"), page.get_by_role("alert")
    reason.fill(HOSTILE)
    reason.press("Enter")
    expect(page.get_by_label(re.compile("^Type 12 to confirm"))).to_be_focused()
    # A button that was shut and opened again within two frames once stayed shut.
    slow = page.context.new_cdp_session(page)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    for number in range(12, 24):
        lab.rows("Session").insert1({"subject_id": "M042", "session": 50 + number, "day": "2026-03-01"})
        page.keyboard.type(f"{number}")
        page.keyboard.press("Enter")
        expect(alert).to_contain_text(f"became {number} instead of {number - 1}")
        expect(page.get_by_role("button", name=f"Delete {number + 1} rows")).to_be_enabled()
        expect(page.get_by_label(re.compile(f"^Type {number + 1} to confirm"))).to_be_focused()
    slow.detach()
    page.keyboard.type("23")
    page.keyboard.press("Enter")
    expect(alert).to_contain_text("Type 24 to confirm that 24 rows go")
    assert len(lab.rows("Session")) == 23
    page.keyboard.type("2")  # in place of the wrong number
    expect(page.get_by_label(re.compile("^Type 24 to confirm"))).to_have_value("2")
    page.reload()
    expect(reason).to_have_value(HOSTILE)
    page.get_by_label(re.compile("^Type 24 to confirm")).fill("24")
    page.get_by_role("button", name="Delete 24 rows").dblclick()
    expect(page.get_by_text("Deleted: Subject M042, 24 rows in all.")).to_be_visible()
    assert (len(lab.rows("Subject")), len(lab.rows("Session"))) == (0, 0)


@on_one_server
def test_who_leaves_while_rows_are_deleted_stays_where_they_went_and_is_told(
    lab: Lab, leaving: list[Tab], page: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving.append(page)
    begun, delete = threading.Event(), lab.services.deleting.delete
    go_on = threading.Event()

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        assert not begun.is_set()  # two presses delete once
        begun.set()
        await asyncio.to_thread(go_on.wait, 60)
        return await delete(*args, **kwargs)

    monkeypatch.setattr(lab.services.deleting, "delete", slowly)
    lab.go(page, "delete")
    page.get_by_label(re.compile("^Type 12 to confirm")).fill("12")
    button = page.get_by_role("button", name="Delete 12 rows")
    button.dblclick()
    expect(button).to_be_disabled()
    expect(button).to_be_focused()
    assert begun.wait(60)
    page.get_by_role("link", name="Tables", exact=True).click()
    expect(page.get_by_role("heading", name="Tables", exact=True)).to_be_visible()
    go_on.set()
    expect(page.get_by_text("Deleted: Subject M042, 12 rows in all.")).to_be_visible()
    expect(page.get_by_role("heading", name="Tables", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Put back: Subject M042, 12 rows in all.")).to_be_visible()
    assert (len(lab.rows("Subject")), len(lab.rows("Session"))) == (1, 11)

    begun.clear()
    go_on.clear()
    lab.go(page, "delete")
    lab.rows("Session").insert1({"subject_id": "M042", "session": 50, "day": "2026-03-01"})
    page.get_by_label(re.compile("^Type 12 to confirm")).fill("12")
    button.click()
    assert begun.wait(60)
    page.get_by_role("link", name="Tables", exact=True).click()
    expect(page.get_by_role("heading", name="Tables", exact=True)).to_be_visible()
    go_on.set()
    expect(page.get_by_text(re.compile("Nothing was deleted: meanwhile"))).to_be_visible()
    assert len(lab.rows("Session")) == 12


@on_one_server
def test_rows_are_deleted_in_a_browser_that_keeps_nothing(lab: Lab, leaving: list[Tab], page: Tab) -> None:
    leaving.append(page)
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', {get: () => { throw new Error('forbidden') }})"
    )
    lab.go(page, "delete")
    page.get_by_label("Reason").fill("wrong animal")
    page.get_by_label(re.compile("^Type 12 to confirm")).fill("12")
    page.get_by_role("button", name="Delete 12 rows").click()
    expect(page.get_by_text("Deleted: Subject M042, 12 rows in all.")).to_be_visible()


@on_one_server
def test_a_check_that_comes_late_leaves_the_box_of_an_unusual_value_as_it_is(
    lab: Lab, leaving: list[Tab], page: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving.append(page)
    lab.rows("Subject").insert(
        {"subject_id": f"N{n:03d}", "species": "mouse", "weight": 20 + n % 3} for n in range(12)
    )
    may_answer, answered = threading.Event(), threading.Event()
    check_now = EditPage._handlers["check"]

    async def check_late(edit: EditPage, data: Any) -> Any:
        await asyncio.to_thread(may_answer.wait, 60)
        try:
            return await check_now(edit, data)
        finally:
            answered.set()

    monkeypatch.setattr(EditPage, "_handlers", {**EditPage._handlers, "check": check_late})
    lab.go(page, "edit")
    review(page, "Weight", "80")
    tick = page.get_by_role("checkbox", name=re.compile("Yes, save this value."))
    expect(tick).to_be_focused()
    tick.evaluate("box => { window.box = box }")
    may_answer.set()
    assert answered.wait(60)
    page.wait_for_timeout(1000)  # the answer comes to the page
    assert tick.evaluate("box => box === window.box")
    expect(tick).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".revision").get_by_role("heading")).to_have_text("1 value will change")


@on_one_server
def test_computed_rows_say_why_nobody_changes_them(lab: Lab, leaving: list[Tab], page: Tab) -> None:
    leaving.append(page)
    lab.go(page, "edit", "Total", "?subject_id=M042&session=1")
    expect(page.get_by_role("main")).to_contain_text("made by the pipeline's code")
    expect(page.locator(".form")).to_have_count(0)


def test_selected_rows_are_changed_together_once_they_are_as_they_were_shown_and_taken_back(
    lab: Lab, leaving: list[Tab], page: Tab
) -> None:
    leaving.append(page)
    lab.rows("Subject").insert(
        {"subject_id": f"M04{i}", "species": "rat", "weight": 20 + i, "remarks": HOSTILE} for i in (3, 4, 5)
    )

    def weights() -> list[str]:
        return [
            str(row["weight"]) for row in lab.rows("Subject").to_dicts(attributes="weight", order_by="KEY")
        ]

    lab.go(page, "table", query="")
    page.get_by_role("gridcell", name="M042", exact=True).focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Edit selected…").press("Enter")
    expect(page.get_by_role("heading", name="Edit 4 rows of Subject")).to_be_visible()
    expect(page.locator(".form :focus")).to_have_count(1)
    tick = page.get_by_role("checkbox", name="Change Weight")
    expect(tick).not_to_be_checked()
    review(page, "Weight", "heavy")
    expect(page.locator(".field.wrong")).to_contain_text("is not a number")
    expect(tick).to_be_checked()
    page.get_by_role("checkbox", name="Change Remarks").check()
    review(page, "Weight", "23")
    panel = page.locator(".revision")
    expect(panel.get_by_role("heading")).to_have_text("4 rows will change")
    expect(panel.get_by_role("row", name=re.compile("^weight"))).to_contain_text("23.00")
    expect(panel.get_by_role("row", name=re.compile("^remarks"))).to_contain_text(HOSTILE)

    lab.rows("Subject").update1({"subject_id": "M044", "tag": "theirs"})
    page.keyboard.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("1 row was changed by somebody else")
    assert weights() == ["20.00", "23.00", "24.00", "25.00"]
    assert_no_serious_fault(page, "many rows", RULES)
    panel.get_by_label("Reason").fill(HOSTILE)
    panel.get_by_role("button", name="Save changes").dblclick()
    expect(page.get_by_text("Saved: 4 rows of Subject were changed.")).to_be_visible()
    expect(page.get_by_role("heading", name="Changed rows of Subject")).to_be_focused()
    assert weights() == ["23.00"] * 4
    lab.go(page, "record")
    page.get_by_role("link", name="All rows of this change…").click()
    expect(page.locator("q")).to_have_text(HOSTILE)
    assert_no_serious_fault(page, "receipt", RULES)
    page.get_by_role("button", name="Undo").dblclick()
    expect(page.get_by_text("Taken back: 4 rows of Subject hold what they held before.")).to_be_visible()
    expect(page.locator(".receipt")).to_be_focused()
    assert weights() == ["20.00", "23.00", "24.00", "25.00"]
    page.get_by_role("link", name="Look at the rows").click()
    expect(page.get_by_text("Only the rows that were changed together are shown.")).to_be_visible()
    assert "broken" not in page.title()


@on_one_server
def test_a_thousand_selected_rows_are_kept_through_pages_and_a_reload_and_more_are_too_many(
    lab: Lab, leaving: list[Tab], page: Tab
) -> None:
    leaving.append(page)
    lab.rows("Subject").insert({"subject_id": f"N{i:04}", "species": "rat"} for i in range(1000))
    lab.go(page, "table", query="?size=250")
    for number in range(1, 6):
        page.get_by_label("Select the rows of this page").check()
        chosen = page.get_by_role("group", name="Selected rows")
        expect(chosen).to_contain_text(f"{min(number * 250, 1001):,} rows selected")
        if number < 5:
            page.get_by_role("button", name="Next page").click()
            expect(page.get_by_label("Page", exact=True)).to_have_value(str(number + 1))
            expect(page.get_by_role("grid")).to_have_attribute("aria-busy", "false")
    chosen.get_by_role("button", name="Edit selected…").click()
    expect(page.get_by_text("1,001 rows are selected, and at most 1,000 can be changed")).to_be_visible()
    page.get_by_label("Select the rows of this page").uncheck()
    chosen.get_by_role("button", name="Edit selected…").click()
    expect(page.get_by_role("heading", name="Edit 1,000 rows of Subject")).to_be_visible()
    expect(page.locator(".form :focus")).to_have_count(1)
    page.get_by_label(re.compile("^Weight")).first.fill("31")
    page.get_by_role("checkbox", name="Change Birth").check()
    page.reload()
    expect(page.locator(".restored:visible")).to_contain_text("Restored what you had typed")
    expect(page.get_by_role("checkbox", name="Change Birth")).to_be_checked()
    page.get_by_role("checkbox", name="Change Birth").uncheck()
    expect(page.get_by_label(re.compile("^Weight")).first).to_have_value("31")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".revision").get_by_role("heading")).to_have_text("1,000 rows will change")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved: 1,000 rows of Subject were changed.")).to_be_visible()
    assert len(lab.rows("Subject") & {"weight": 31}) == 1000


@on_one_server
def test_an_unusual_value_needs_a_tick_and_cancel_keeps_what_was_typed(
    lab: Lab, leaving: list[Tab], page: Tab
) -> None:
    leaving.append(page)
    lab.rows("Subject").insert(
        {"subject_id": f"N{n:03d}", "species": "mouse", "weight": 20 + n % 3} for n in range(12)
    )
    lab.go(page, "edit")
    weight = page.get_by_label(re.compile("^Weight")).first
    weight.fill("81")
    cancel, restored = (
        page.get_by_role("link", name="Cancel"),
        page.get_by_text("Restored what you had typed"),
    )
    cancel.click()
    expect(page.get_by_role("heading", name="Subject M042", exact=True)).to_be_visible()
    lab.go(page, "edit")
    expect(weight).to_have_value("81")
    expect(restored).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(weight).to_have_value("20.00")
    weight.fill("21")
    weight.fill("20.00")
    cancel.click()
    expect(page.get_by_role("heading", name="Subject M042", exact=True)).to_be_visible()
    lab.go(page, "edit")
    expect(weight).to_have_value("20.00")
    expect(restored).to_have_count(0)
    review(page, "Weight", "80")
    expect(page.locator(".summary")).to_contain_text("One value is unusual")
    tick = page.get_by_role(
        "checkbox", name=re.compile("“80” is far from the last values.* Yes, save this value.")
    )
    expect(tick).to_be_focused()
    expect(page.locator(".revision")).to_be_hidden()
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".revision")).to_contain_text("1 value will change")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved: Subject M042, 1 value changed.")).to_be_visible()
    assert str(lab.subject["weight"]) == "80.00"
