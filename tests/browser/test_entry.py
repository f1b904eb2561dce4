"""Entering rows in a real browser: the keyboard, what is wrong and where, drafts that survive, one save."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.entering import Entering
from dj_panel.apps.site import RunningSite, Site, serve
from tests.browser.entry_server import Server, Starter
from tests.browser.entry_site import PAGES
from tests.conftest import Backend
from tests.entry_tables import declare

LOST = r"WebSocket connection to|Failed to connect to Bokeh|net::ERR_|Lost websocket|Failed to repull|not connected"


# A busy machine makes a page slow, and no promise false.
expect.set_options(timeout=60_000)

# What the page alone decides is tried on one server; whatever the server decides, on both.
on_one_server = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Lab:
    """A served pipeline and the page that a test looks at."""

    def __init__(self, running: RunningSite, services: Services, tab: Tab) -> None:
        self.running = running
        self.services = services
        self.tab = tab
        self.schema = services.tables()[0].schema

    def rows(self, table: str) -> Any:
        return self.services.pipeline[f"{self.schema}.{table}"]()

    def open(self, table: str = "", query: str = "", *, has_form: bool = True) -> Tab:
        place = f"#/enter/{self.schema}.{table}{query}" if table else "#/enter"
        self.tab.goto("about:blank")
        self.tab.goto(self.running.url + place)
        expect(self.tab.get_by_role("main")).to_have_attribute("aria-busy", "false")
        if table and has_form:
            expect(self.tab.locator(".form :focus")).to_have_count(1)
        return self.tab

    def field(self, name: str) -> Locator:
        return self.tab.get_by_label(re.compile(f"^{name}")).first

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def type(self, text: str) -> None:
        self.tab.keyboard.type(text)

    def expect_saved(self, label: str) -> None:
        expect(self.tab.locator(".receipt")).to_contain_text(f"Saved: {label}")


@pytest.fixture
def lab(schema: dj.Schema, page: Tab, port: int) -> Iterator[Lab]:
    services = Services(declare(schema))
    running = serve(Site(PAGES, services, title="Test lab", user="ana"), port=port, threaded=True)
    lab = Lab(running, services, page)
    lab.rows("Person").insert([("ana", ""), ("bo", "")])
    lab.rows("Subject").insert([{"subject_id": f"M{i:03d}", "species": "mouse"} for i in (41, 42, 43)])
    yield lab
    page.goto("about:blank")
    running.stop()
    services.close()


# ---------------------------------------------------------------------------------------------- keyboard


def test_a_subject_is_entered_with_the_keyboard_alone(lab: Lab) -> None:
    tab = lab.open("Subject")
    expect(lab.field("Subject ID")).to_be_focused()
    lab.type("M050")
    lab.press("Tab")
    expect(lab.field("Species")).to_be_focused()
    lab.type("ra")
    expect(tab.get_by_role("option", name="rat")).to_have_attribute("aria-selected", "true")
    lab.press("Enter")
    expect(lab.field("Species")).to_have_value("rat")
    assert len(lab.rows("Subject")) == 3  # Enter in a picker chooses, and saves nothing
    lab.press("Tab")
    expect(lab.field("Sex")).to_be_focused()
    lab.press("f", "Tab")
    lab.type("2026-01-02")
    lab.press("Tab")
    lab.type("20.5")
    lab.press("Control+Enter")
    lab.expect_saved("Subject M050")
    row = (lab.rows("Subject") & {"subject_id": "M050"}).fetch1()
    assert (row["species"], row["sex"], str(row["birth"]), str(row["weight"])) == (
        "rat",
        "F",
        "2026-01-02",
        "20.50",
    )
    expect(lab.field("Subject ID")).to_be_focused()
    expect(lab.field("Subject ID")).to_have_value("")
    expect(lab.field("Species")).to_have_value("rat")


def test_a_session_with_two_part_rows_is_entered_with_the_keyboard_alone(lab: Lab) -> None:
    tab = lab.open("Session")
    expect(lab.field("Subject")).to_be_focused()
    lab.type("m042")
    lab.press("Tab")
    expect(lab.field("Subject")).to_have_value("M042")
    lab.type("1")
    lab.press("Tab")
    lab.press("Alt+n")
    expect(lab.field("Day")).to_have_value(re.compile(r"^\d{4}-\d\d-\d\d$"))
    lab.press("Tab", "Tab")
    expect(tab.get_by_role("button", name="Add row to Note")).to_be_focused()
    lab.press("Enter")
    expect(tab.get_by_role("combobox", name="Author")).to_be_focused()
    lab.type("ana")
    lab.press("Tab")
    lab.type("calm")
    lab.press("Enter")  # on the last cell: another row, numbered
    expect(tab.get_by_role("combobox", name="Author")).to_have_count(2)
    expect(tab.get_by_role("combobox", name="Author").nth(1)).to_be_focused()
    lab.type("bo")
    lab.press("Tab")
    lab.type("licks")
    lab.press("Control+Enter")
    lab.expect_saved("Session M042 · 1")
    notes = lab.rows("Session.Note").to_dicts(order_by="note")
    assert [(n["note"], n["author"], n["note_text"]) for n in notes] == [
        (1, "ana", "calm"),
        (2, "bo", "licks"),
    ]
    # The subject stays, the number advances, what was now is now again, the rest is empty.
    expect(lab.field("Subject")).to_have_value("M042")
    expect(lab.field("Session")).to_have_value("2")
    expect(lab.field("Day")).to_be_focused()
    expect(lab.field("Day")).to_have_value(re.compile(r"^\d{4}-\d\d-\d\d$"))
    expect(tab.get_by_role("combobox", name="Author")).to_have_count(0)
    lab.type("2026-03-02")
    lab.press("Enter")
    lab.expect_saved("Session M042 · 2")
    assert len(lab.rows("Session")) == 2


@on_one_server
def test_a_row_of_a_part_can_be_removed(lab: Lab) -> None:
    tab = lab.open("Session")
    add = tab.get_by_role("button", name="Add row to Note")
    add.click()
    lab.type("ana")
    add.click()
    lab.type("bo")
    lab.press("Control+Delete")
    expect(tab.get_by_role("combobox", name="Author")).to_have_count(1)
    expect(tab.get_by_role("combobox", name="Author")).to_have_value("ana")


@on_one_server
def test_a_pin_keeps_a_value_for_the_next_row(lab: Lab) -> None:
    lab.open("Subject")
    lab.type("M060")
    lab.press("Tab")
    lab.type("rat")
    lab.press("Tab", "f", "Alt+p")
    lab.press("Control+Enter")
    lab.expect_saved("Subject M060")
    expect(lab.field("Sex")).to_have_value("F")


# ---------------------------------------------------------------------------------------------- what is wrong


def test_every_kind_of_wrong_text_is_told_at_its_field_and_nothing_is_written(lab: Lab) -> None:
    wrong = {
        "Birth": ("1/2/2026", "could mean 2026-02-01 or 2026-01-02"),
        "Weight": ("20,5", "comma"),
        "Temperature": ("warm", "is not a number"),
        "Big": ("9223372036854775808", "is outside"),
        "Uid": ("123", "is not a UUID"),
        "Settings": ("{", "is not valid JSON"),
        "Tag": ("more than twelve", "longer than 12 characters"),
    }
    tab = lab.open("Subject")
    lab.type("M070")
    for name, (text, reason) in wrong.items():
        lab.field(name).fill(text)
        lab.press("Tab")
        expect(lab.field(name)).to_have_accessible_description(re.compile(reason))
        expect(lab.field(name)).to_have_attribute("aria-invalid", "true")
    lab.press("Control+Enter")
    expect(tab.get_by_role("alert").filter(has_text="8 fields need a correction")).to_be_visible()
    expect(lab.field("Species")).to_be_focused()  # required, and the first that is wrong
    expect(lab.field("Species")).to_have_accessible_description("Choose a row of Species.")
    for name, (text, _) in wrong.items():
        expect(lab.field(name)).to_have_value(text)
    assert len(lab.rows("Subject")) == 3
    tab.get_by_role("button", name="Weight", exact=True).click()
    expect(lab.field("Weight")).to_be_focused()
    lab.field("Weight").fill("20.5")
    expect(lab.field("Weight")).not_to_have_attribute("aria-invalid", "true")


def test_a_parent_that_is_not_there_is_told_with_the_nearest(lab: Lab) -> None:
    lab.open("Session")
    lab.type("M0041")
    lab.press("Tab")
    expect(lab.field("Subject")).to_have_accessible_description(
        "There is no Subject M0041. Did you mean M041?"
    )
    expect(lab.field("Subject")).to_have_value("M0041")


def test_a_taken_key_offers_to_open_it_or_the_next_number(lab: Lab) -> None:
    lab.rows("Session").insert1({"subject_id": "M042", "session": 1, "day": "2026-01-01"})
    tab = lab.open("Session", "?subject_id=M042")
    lab.field("Session").fill("1")
    lab.field("Day").fill("2026-01-02")
    lab.press("Control+Enter")
    expect(tab.get_by_text("Session M042 · 1 exists already. Nothing was saved.")).to_be_visible()
    expect(tab.get_by_role("link", name="Open")).to_have_attribute("href", re.compile("^#/record/"))
    tab.get_by_role("button", name="Use next free number: 2").click()
    expect(lab.field("Session")).to_have_value("2")
    lab.press("Control+Enter")
    lab.expect_saved("Session M042 · 2")


@on_one_server
def test_a_number_suggested_late_is_replaced_by_what_is_typed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer = threading.Event()
    suggested = Entering.next_free

    async def late(self: Entering, table: str, attribute: str, fixed: Any) -> str:
        await asyncio.to_thread(may_answer.wait)
        return await suggested(self, table, attribute, fixed)

    monkeypatch.setattr(Entering, "next_free", late)
    lab.rows("Session").insert1({"subject_id": "M042", "session": 1, "day": "2026-01-01"})
    tab = lab.open("Session", "?subject_id=M042")
    lab.field("Session").focus()
    may_answer.set()
    expect(lab.field("Session")).to_have_value("2")
    lab.type("7")
    expect(lab.field("Session")).to_have_value("7")
    tab.goto("about:blank")


@on_one_server
def test_a_wrong_cell_of_a_part_is_told_in_the_cell(lab: Lab) -> None:
    tab = lab.open("Session", "?subject_id=M042")
    expect(lab.field("Session")).to_have_value("1")
    lab.field("Day").fill("2026-01-02")
    tab.get_by_role("button", name="Add row to Note").click()
    lab.type("nobody")
    lab.press("Control+Enter")
    expect(tab.get_by_role("combobox", name="Author")).to_have_accessible_description(
        "There is no Person nobody."
    )
    expect(tab.get_by_role("textbox", name="Note text")).to_have_accessible_description("Needs a value.")
    assert len(lab.rows("Session")) == 0


# ---------------------------------------------------------------------------------------------- saving


@on_one_server
def test_a_double_click_saves_one_row(lab: Lab) -> None:
    tab = lab.open("Person")
    lab.type("carla")
    tab.get_by_role("button", name="Save", exact=True).dblclick()
    lab.expect_saved("Person carla")
    assert len(lab.rows("Person")) == 3
    expect(tab.locator(".saved li")).to_have_count(1)


def test_undo_takes_the_row_back_and_gives_the_text_back(lab: Lab) -> None:
    tab = lab.open("Person")
    lab.type("carla")
    lab.press("Enter")
    lab.expect_saved("Person carla")
    tab.locator(".receipt").get_by_role("button", name="Undo").click()
    expect(tab.locator(".receipt")).to_contain_text("Taken back: Person carla was deleted.")
    expect(lab.field("Person")).to_have_value("carla")
    assert len(lab.rows("Person")) == 2


def test_undo_says_why_it_cannot(lab: Lab) -> None:
    tab = lab.open("Person")
    lab.type("carla")
    lab.press("Enter")
    lab.expect_saved("Person carla")
    lab.rows("Session").insert1(
        {"subject_id": "M042", "session": 1, "day": "2026-01-01", "operator": "carla"}
    )
    tab.locator(".receipt").get_by_role("button", name="Undo").click()
    expect(tab.get_by_role("alert").filter(has_text="1 row of Session depends on it")).to_be_visible()
    assert len(lab.rows("Person")) == 3


@on_one_server
def test_a_file_of_numbers_is_stored(lab: Lab, tmp_path: Path) -> None:
    array = np.arange(400_000, dtype=np.float32).reshape(400, 1000)  # more than one piece
    np.save(tmp_path / "trace.npy", array)
    (tmp_path / "words.csv").write_text("a,b\nc,d\n")
    tab = lab.open("Subject")
    lab.type("M080")
    lab.press("Tab")
    lab.type("rat")
    lab.press("Tab")
    chooser = tab.locator("input[type=file]").first
    chooser.set_input_files(tmp_path / "words.csv")
    expect(lab.field("Trace")).to_have_accessible_description(re.compile("does not hold a table of numbers"))
    chooser.set_input_files(tmp_path / "trace.npy")
    expect(tab.get_by_text("1.6 MB · 400 × 1000, float32")).to_be_visible()
    lab.press("Control+Enter")
    lab.expect_saved("Subject M080")
    np.testing.assert_array_equal((lab.rows("Subject") & {"subject_id": "M080"}).fetch1("trace"), array)


# ---------------------------------------------------------------------------------------------- drafts


@on_one_server
def test_a_reload_keeps_what_was_typed_until_it_is_saved(lab: Lab) -> None:
    tab = lab.open("Session")
    lab.type("M042")
    lab.press("Tab")
    expect(lab.field("Subject")).to_have_value("M042")
    lab.field("Day").fill("not yet")
    tab.get_by_role("button", name="Add row to Note").click()
    lab.type("an")
    tab.reload()
    expect(tab.get_by_text(re.compile(r"Restored what you had typed at \d\d:\d\d\."))).to_be_visible()
    expect(lab.field("Subject")).to_have_value("M042")
    expect(lab.field("Day")).to_have_value("not yet")
    expect(tab.get_by_role("combobox", name="Author")).to_have_value("an")
    tab.get_by_role("button", name="Discard").click()
    expect(lab.field("Day")).to_have_value("")
    tab.reload()
    expect(lab.field("Day")).to_have_value("")
    expect(tab.get_by_text("Restored what")).to_have_count(0)


@on_one_server
def test_a_draft_belongs_to_its_table(lab: Lab) -> None:
    lab.open("Person")
    lab.type("carla")
    lab.open("Species")
    expect(lab.field("Species")).to_have_value("")
    lab.open("Person")
    expect(lab.field("Person")).to_have_value("carla")


@pytest.fixture(scope="module")
def starter() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.close()


@pytest.fixture
def server(starter: Starter, backend: Backend, tmp_path: Path) -> Iterator[Server]:
    server = Server(starter, backend.prefix + "lab", backend.environment, tmp_path)
    yield server
    server.kill()


def open_form(tab: Tab, server: Server, table: str) -> None:
    tab.goto(f"{server.url}#/enter/{server.name}.{table}")
    expect(tab.get_by_role("main")).to_have_attribute("aria-busy", "false")
    expect(tab.locator(".form :focus")).to_have_count(1)


@pytest.mark.console_errors(LOST)
def test_a_killed_server_takes_nothing_of_what_was_typed(server: Server, page: Tab) -> None:
    server.start()
    open_form(page, server, "Person")
    page.keyboard.type("carla")
    server.kill()
    expect(page.get_by_role("alert").filter(has_text="connection to the server is lost")).to_be_visible()
    full_name = page.get_by_role("textbox", name="Full name")
    full_name.fill("typed while it was gone")
    server.start()
    # The page is loaded again by itself, and whoever was typing goes on typing.
    expect(page.get_by_text(re.compile("Restored what you had typed"))).to_be_visible()
    expect(full_name).to_be_focused()
    page.keyboard.type(" and afterwards")
    expect(page.get_by_label(re.compile("^Person")).first).to_have_value("carla")
    expect(full_name).to_have_value("typed while it was gone and afterwards")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".receipt")).to_contain_text("Saved: Person carla")
    page.goto("about:blank")


def n_carlas(server: Server, backend: Backend) -> int:
    connection = backend.connect()
    try:
        return (dj.FreeTable(connection, f"{server.name}.person") & {"person": "carla"}).count()
    finally:
        connection.close()


@pytest.mark.console_errors(LOST)
def test_what_was_sent_to_a_dead_server_is_sent_again_when_it_is_back(
    server: Server, page: Tab, backend: Backend
) -> None:
    server.start()
    open_form(page, server, "Person")
    page.keyboard.type("carla")
    server.kill()
    expect(page.get_by_role("alert").filter(has_text="connection to the server is lost")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Saving…")).to_be_visible()
    server.start()
    expect(page.locator(".receipt")).to_contain_text("Saved: Person carla")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    assert n_carlas(server, backend) == 1
    page.goto("about:blank")


@pytest.mark.console_errors(LOST)
def test_a_server_that_died_while_saving_has_saved_once(server: Server, page: Tab, backend: Backend) -> None:
    server.start(dies=True)
    open_form(page, server, "Person")
    page.keyboard.type("carla")
    page.keyboard.press("Control+Enter")
    server.wait()
    server.start()
    expect(page.locator(".receipt")).to_contain_text("Already saved: Person carla")
    assert n_carlas(server, backend) == 1
    page.goto("about:blank")


@on_one_server
@pytest.mark.console_errors(LOST)
def test_a_window_that_was_left_while_saving_asks_to_save_again(
    server: Server, page: Tab, backend: Backend
) -> None:
    server.start(dies=True)
    open_form(page, server, "Person")
    page.keyboard.type("carla")
    page.keyboard.press("Control+Enter")
    server.wait()
    page.goto("about:blank")
    server.start()
    open_form(page, server, "Person")
    expect(page.get_by_text("It was being saved, and no answer came")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".receipt")).to_contain_text("Already saved: Person carla")
    assert n_carlas(server, backend) == 1
    page.goto("about:blank")


@on_one_server
@pytest.mark.console_errors(LOST)
def test_a_browser_that_keeps_no_drafts_is_not_loaded_again_unasked(server: Server, page: Tab) -> None:
    server.start()
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('full') }")
    open_form(page, server, "Person")
    page.keyboard.type("carla")
    server.kill()
    expect(page.get_by_role("alert").filter(has_text="connection to the server is lost")).to_be_visible()
    page.keyboard.press("Control+Enter")
    server.start()
    again = "this page must be loaded again. Copy what you have not saved."
    expect(page.locator("#banner")).to_contain_text(again)
    expect(page.locator(".summary")).to_contain_text(again)
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    expect(page.get_by_label(re.compile("^Person")).first).to_have_value("carla")
    page.goto("about:blank")


# ---------------------------------------------------------------------------------------- parents and text


def test_a_picker_over_100000_parents_sends_twenty(lab: Lab) -> None:
    lab.rows("Subject").insert([{"subject_id": f"P{i:05d}", "species": "rat"} for i in range(100_000)])
    tab = lab.open("Session")
    begun = time.monotonic()
    lab.press("ArrowDown")
    expect(tab.get_by_role("listbox").get_by_role("option")).to_have_count(20)
    print(f"20 of 100,000 parents after {(time.monotonic() - begun) * 1000:.0f} ms")
    lab.type("p04999")
    expect(tab.get_by_role("listbox").get_by_role("option")).to_have_count(1)
    lab.press("Enter")
    expect(lab.field("Subject")).to_have_value("P04999")
    lab.press("ArrowDown")
    expect(tab.get_by_role("listbox", name="Subject")).to_be_visible()
    lab.press("Escape")
    expect(tab.get_by_role("listbox", name="Subject")).to_be_hidden()
    expect(lab.field("Subject")).to_have_value("P04999")


@on_one_server
def test_a_chosen_parent_narrows_the_pickers_that_share_its_attributes(lab: Lab) -> None:
    for subject, session in (("M041", 1), ("M042", 1), ("M042", 2)):
        lab.rows("Session").insert1({"subject_id": subject, "session": session, "day": "2026-01-01"})
    tab = lab.open("Probe", "?subject_id=M042")
    lab.press("ArrowDown")
    expect(tab.get_by_role("listbox").get_by_role("option")).to_have_count(2)
    lab.press("ArrowDown", "ArrowDown", "Enter")
    expect(lab.field("Session")).to_have_value("M042 · 2")
    tab.get_by_role("combobox", name="Earlier session").click()
    expect(tab.get_by_role("listbox").get_by_role("option")).to_have_text(
        [re.compile("M042 · 1"), re.compile("M042 · 2")]
    )


@on_one_server
def test_hostile_text_stays_text(lab: Lab) -> None:
    hostile = "<img src=x onerror=\"document.title='broken'\">"
    lab.rows("Species").insert1((hostile[:32],))
    lab.rows("Person").insert1(("<b>x</b>", hostile))
    tab = lab.open("Session", f"?subject_id={hostile.replace(' ', '%20')}")
    tab.get_by_role("combobox", name="Operator").click()
    expect(tab.get_by_role("option", name="<b>x</b>")).to_contain_text("<img")
    tab.get_by_role("option", name="<b>x</b>").click()
    lab.press("Control+Enter")
    expect(tab.get_by_role("alert").filter(has_text="need a correction")).to_be_visible()
    lab.open()
    expect(tab.get_by_text("<img src=x")).to_be_visible()
    lab.open("Subject")
    expect(tab.get_by_text("<img src=x").first).to_be_visible()
    assert tab.evaluate("document.title") != "broken"
    assert "broken" not in tab.title()


# ---------------------------------------------------------------------------------------------- the index


@on_one_server
def test_the_index_leads_to_the_forms_and_shows_the_last_used_first(lab: Lab) -> None:
    tab = lab.open()
    tab.get_by_role("link", name="Person").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Enter Person")
    lab.field("Person").fill("carla")
    lab.press("Enter")
    lab.expect_saved("Person carla")
    lab.open()
    expect(tab.get_by_role("heading", level=2).first).to_have_text("Used of late")
    expect(tab.get_by_role("link", name="Total")).to_have_count(0)


@on_one_server
def test_a_computed_table_says_why_it_has_no_form(lab: Lab) -> None:
    tab = lab.open("Total", has_form=False)
    expect(tab.get_by_text("nobody enters them")).to_be_visible()


@on_one_server
def test_the_address_of_a_part_leads_to_its_master(lab: Lab) -> None:
    tab = lab.open("Session.Note", has_form=False)
    expect(tab.get_by_role("heading", level=1)).to_have_text("Enter Session")
