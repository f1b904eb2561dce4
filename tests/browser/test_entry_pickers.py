"""Foreign keys in a form: what is scanned or typed fast, keys of several attributes, a choice that is looked at again."""

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
from dj_panel.apps.services import Services
from dj_panel.apps.services.entering import Entering
from dj_panel.apps.site import Site, serve
from tests.browser.entry_site import PAGES
from tests.browser.test_entry import Lab
from tests.composite_tables import declare_composite

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def lab(schema: dj.Schema, page: Tab, port: int) -> Iterator[Lab]:
    services = Services(declare_composite(schema))
    running = serve(Site(PAGES, services, title="Test lab", user="ana"), port=port, threaded=True)
    lab = Lab(running, services, page)
    lab.rows("Subject").insert(
        [("mouse", "M041", None), ("rat", "M041", None), ("mouse", "M042", None), ("mouse", "M049", "7-A")]
    )
    yield lab
    page.goto("about:blank")
    running.stop()
    services.close()


def test_a_scanner_that_waits_for_no_answer_fills_field_after_field_and_saves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer = threading.Event()
    resolve = Entering.resolve

    async def late(self: Entering, *asked: Any, **options: Any) -> Any:
        await asyncio.to_thread(may_answer.wait)
        return await resolve(self, *asked, **options)

    monkeypatch.setattr(Entering, "resolve", late)
    tab = lab.open("Weighing")
    tab.get_by_label("Enter goes to the next field").check()
    lab.field("Subject").focus()
    lab.type("mouse M049\n2026-07-01\nas usual\n25.1\nA r2\n0\n")
    expect(lab.field("Subject")).to_have_value("mouse M049")
    for name, text in (("Day", "2026-07-01"), ("Remarks", "as usual"), ("Weight", "25.1"), ("Place", "A r2")):
        expect(lab.field(name)).to_have_value(text)
    may_answer.set()
    expect(lab.field("Subject")).to_have_value("mouse · M049")
    expect(lab.field("Place")).to_have_value("A · 2 · r2")
    expect(tab.locator(".form .bar")).to_be_focused()
    expect(tab.locator(".form .bar")).to_contain_text("Ctrl+Enter saves; Enter alone does not")
    assert len(lab.rows("Weighing")) == 0
    lab.press("Tab", "Enter")
    expect(tab.get_by_role("button", name="Save", exact=True)).to_be_focused()
    lab.press("Control+Enter")
    lab.expect_saved("Weighing mouse · M049 · 2026-07-01")


def test_a_scanned_code_that_is_no_row_is_told_at_its_field_while_the_next_one_is_filled_in(lab: Lab) -> None:
    tab = lab.open("Weighing")
    tab.get_by_label("Enter goes to the next field").check()
    lab.field("Subject").focus()
    lab.type("M04\n2026-07-01")
    expect(lab.field("Subject")).to_have_accessible_description(re.compile("There is no Subject M04"))
    expect(lab.field("Subject")).to_have_value("M04")
    expect(lab.field("Day")).to_be_focused()
    expect(lab.field("Day")).to_have_value("2026-07-01")
    lab.field("Subject").fill("7-A")
    lab.press("Enter")
    expect(lab.field("Subject")).to_have_value("mouse · M049")


def test_keys_of_other_fields_leave_a_picker_as_it_was(lab: Lab) -> None:
    tab = lab.open("Weighing")
    lab.press("Alt+n")
    lab.type("M042")
    expect(tab.get_by_role("listbox").get_by_role("option")).to_have_count(1)
    lab.press("Enter")
    expect(lab.field("Subject")).to_have_value("mouse · M042")
    lab.press("Enter")
    expect(tab.locator(".summary")).to_be_hidden()
    assert len(lab.rows("Weighing")) == 0


def test_leaving_a_picker_takes_the_only_row_that_was_meant_and_names_several(lab: Lab) -> None:
    lab.open("Weighing")
    subject = lab.field("Subject")
    for text, label in (("M042", "mouse · M042"), ("m042", "mouse · M042"), ("ra", "rat · M041")):
        subject.fill(text)
        lab.press("Tab")
        expect(subject).to_have_value(label)
        guess = "The only row that matches “ra”." if text == "ra" else ""
        expect(subject).to_have_accessible_description(guess)
        subject.fill(text)
        lab.press("Enter")  # faster than the list, or not
        expect(subject).to_have_value(label)
    subject.fill("ra")
    lab.press("Tab")
    expect(subject).to_have_accessible_description("The only row that matches “ra”.")
    lab.field("Day").fill("2026-07-01")
    lab.press("Control+Enter")
    lab.expect_saved("Weighing rat · M041 · 2026-07-01")
    expect(subject).to_have_value("rat · M041")
    expect(subject).to_have_accessible_description("")  # nothing was looked for in this row
    subject.fill("M041")
    lab.press("Tab")
    expect(subject).to_have_accessible_description(
        re.compile("“M041” may mean several rows of Subject: mouse · M041, rat · M041.")
    )
    expect(subject).to_have_value("M041")


def test_a_choice_is_replaced_by_typing_and_escape_brings_it_back(lab: Lab) -> None:
    tab = lab.open("Weighing")
    subject = lab.field("Subject")
    lab.type("M042")
    lab.press("Tab")
    expect(subject).to_have_value("mouse · M042")
    subject.click()
    lab.type("rat")
    expect(subject).to_have_value("rat")
    expect(tab.get_by_role("listbox").get_by_role("option")).to_have_count(1)
    lab.press("Escape")
    expect(subject).to_have_value("mouse · M042")
    expect(tab.get_by_role("listbox")).to_be_hidden()
    subject.fill("M041")
    lab.press("Tab")
    expect(subject).to_have_attribute("aria-invalid", "true")
    subject.focus()
    lab.press("Escape")
    expect(subject).to_have_value("mouse · M042")
    expect(subject).not_to_have_attribute("aria-invalid", "true")


def test_two_keys_to_one_table_are_called_by_their_own_names(lab: Lab) -> None:
    tab = lab.open("Pairing")
    for letter in "ab":
        field = tab.locator(
            ".field", has=tab.get_by_role("combobox", name=f"Subject {letter} a row of Subject")
        )
        expect(field.locator("label")).to_have_text(
            f"Subject {letter}species_{letter}, subject_{letter} a row of Subject"
        )


def test_a_missing_row_begins_with_what_was_typed_and_its_panel_shows_its_save_button(lab: Lab) -> None:
    tab = lab.open("Weighing")
    lab.type("M777")
    lab.press("Alt+Enter")
    panel = tab.get_by_role("dialog", name="New Subject")
    expect(panel.get_by_role("textbox", name="Subject")).to_have_value("M777")
    expect(panel.get_by_role("combobox", name="Species")).to_be_focused()
    save = panel.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_in_viewport(ratio=1)
    lab.type("rat")
    lab.press("Control+Enter")
    expect(lab.field("Subject")).to_have_value("rat · M777")
    lab.field("Subject").fill("mouse M778")
    lab.press("Alt+Enter")
    expect(panel.get_by_role("combobox", name="Species")).to_have_value("mouse")
    expect(panel.get_by_role("textbox", name="Subject")).to_have_value("M778")
