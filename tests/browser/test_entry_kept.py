"""Nothing that was typed into a form is lost by one act: what replaces it can be taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.site import Site, serve
from tests.browser.entry_site import PAGES
from tests.browser.test_entry import Lab
from tests.entry_tables import declare

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


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


def test_what_was_cleared_is_brought_back_with_the_rows_of_its_parts(lab: Lab) -> None:
    tab = lab.open("Session", "?subject_id=M042")
    expect(lab.field("Session")).to_have_value("1")
    lab.field("Day").fill("2026-01-02")
    tab.get_by_role("button", name="Add row to Note").click()
    lab.type("ana")
    lab.press("Tab")
    lab.type("calm")
    lab.press("Control+Delete")
    line = tab.locator(".undoing")
    expect(line).to_contain_text("Row 1 of Note was removed.")
    line.get_by_role("button", name="Undo").click()
    author = tab.get_by_role("combobox", name="Author")
    expect(author).to_have_value("ana")
    expect(tab.get_by_role("textbox", name="Note", exact=True)).to_be_focused()
    tab.get_by_role("button", name="Clear").click()
    expect(lab.field("Day")).to_have_value("")
    expect(lab.field("Session")).to_have_value("1")  # suggested anew
    expect(author).to_have_count(0)
    expect(line).to_contain_text("Cleared.")
    expect(line).to_be_in_viewport()
    lab.field("Day").fill("2026-05-05")
    lab.press("Alt+u")
    expect(lab.field("Day")).to_have_value("2026-01-02")
    expect(lab.field("Day")).to_be_focused()
    expect(author).to_have_value("ana")
    expect(tab.get_by_role("textbox", name="Note text")).to_have_value("calm")
    line.get_by_role("button", name="Undo").click()  # and what was typed meanwhile
    expect(lab.field("Day")).to_have_value("2026-05-05")
    line.get_by_role("button", name="Undo").click()
    tab.reload()
    expect(lab.field("Day")).to_have_value("2026-01-02")
    lab.press("Control+Enter")
    lab.expect_saved("Session M042 · 1 · 1 × Note")
    lab.field("Day").fill("half typed")
    tab.get_by_role("button", name="New row like Session M042 · 1").click()
    expect(lab.field("Day")).to_have_value("2026-01-02")
    expect(line).to_contain_text("Filled in like Session M042 · 1.")
    line.get_by_role("button", name="Undo").click()
    expect(lab.field("Day")).to_have_value("half typed")


def test_a_preset_is_filled_in_by_an_act_of_its_own_from_the_keyboard_and_taken_back(lab: Lab) -> None:
    tab = lab.open("Person")
    for name in ("a", "b", "c"):
        lab.field("Full name").fill(f"Preset {name}")
        tab.get_by_role("button", name="Save as preset…").click()
        lab.type(name)
        lab.press("Enter")
    lab.field("Full name").fill("half typed")
    presets = tab.get_by_role("combobox", name="Preset")
    presets.select_option("a")
    presets.focus()
    lab.press("ArrowDown", "ArrowDown")
    expect(presets).to_have_value("c")
    expect(presets).to_be_focused()
    expect(lab.field("Full name")).to_have_value("half typed")
    lab.press("Enter")
    expect(lab.field("Full name")).to_have_value("Preset c")
    expect(presets).to_be_focused()
    line = tab.get_by_role("status").filter(has=tab.get_by_role("button", name="Undo"))
    expect(line).to_contain_text("Filled in from the preset c.")
    line.get_by_role("button", name="Undo").click()
    expect(lab.field("Full name")).to_have_value("half typed")
    assert len(lab.rows("Person")) == 2

    # Under a name that is taken one preset takes the place of another, which can be put back.
    tab.get_by_role("button", name="Save as preset…").click()
    lab.type("c")
    lab.press("Enter")
    expect(line).to_contain_text("The preset c was replaced.")
    lab.press("Alt+u")
    expect(presets).to_be_focused()
    lab.press("Enter")
    expect(lab.field("Full name")).to_have_value("Preset c")
    lab.press("Alt+u")
    expect(lab.field("Full name")).to_have_value("half typed")

    for name in ("a", "b", "c"):
        presets.select_option(name)
        tab.get_by_role("button", name="Remove this preset").focus()
        lab.press("Enter")
        expect(line).to_contain_text(f"The preset {name} was removed.")
        expect(presets if name != "c" else tab.get_by_role("button", name="Save as preset…")).to_be_focused()
    lab.press("Alt+u")
    expect(presets).to_have_value("c")
    expect(presets).to_be_focused()
    lab.press("Alt+u", "Alt+u")
    expect(presets).to_have_value("a")
    expect(line).to_contain_text("Brought back.")  # what could be taken back before can be so still
    lab.press("Alt+u")
    expect(lab.field("Full name")).to_have_value("Preset c")


def test_a_day_chosen_in_the_calendar_is_in_the_draft(lab: Lab) -> None:
    tab = lab.open("Session")
    tab.get_by_title("Calendar").evaluate(
        "(picker) => { picker.value = '2026-02-03'; picker.dispatchEvent(new Event('change')) }"
    )
    expect(lab.field("Day")).to_have_value("2026-02-03")
    tab.reload()
    expect(tab.get_by_text(re.compile("Restored what you had typed"))).to_be_visible()
    expect(lab.field("Day")).to_have_value("2026-02-03")


PASTE = """(input, text) => {
  const clipboardData = new DataTransfer()
  clipboardData.setData("text/plain", text)
  const event = new ClipboardEvent("paste", {clipboardData, bubbles: true, composed: true, cancelable: true})
  if (input.dispatchEvent(event)) throw new Error("nobody took it")
}"""


def test_a_block_of_a_spreadsheet_fills_the_cells_of_a_part_and_is_taken_back_whole(lab: Lab) -> None:
    tab = lab.open("Session", "?subject_id=M042")
    expect(lab.field("Session")).to_have_value("1")
    lab.field("Day").fill("2026-01-02")
    add = tab.get_by_role("button", name="Add row to Note")
    expect(tab.get_by_text("Cells copied in a spreadsheet can be pasted into a cell")).to_be_visible()
    add.evaluate(PASTE, 'ana\tcalm\r\nbo\t"two ""lines""\nof text"\r\nana\tasleep\r\n')
    author, text = tab.get_by_role("combobox", name="Author"), tab.get_by_role("textbox", name="Note text")
    expect(author).to_have_count(3)
    expect(author.first).to_be_focused()
    assert [one.input_value() for one in text.all()] == ["calm", 'two "lines" of text', "asleep"]
    author.nth(1).evaluate(PASTE, "ana\nbo\nnobody")
    line = tab.locator(".undoing")
    expect(line).to_contain_text("3 rows were pasted.")
    assert [one.input_value() for one in author.all()] == ["ana", "ana", "bo", "nobody"]
    expect(author.nth(3)).to_have_accessible_description("There is no Person nobody.")
    line.get_by_role("button", name="Undo").click()
    expect(author).to_have_count(3)
    assert [one.input_value() for one in author.all()] == ["ana", "bo", "ana"]
    for block, words in (("\n".join("a" * 201), "at most 200 are pasted"), ("a\tb\tc\td", "has 4 columns")):
        author.first.evaluate(PASTE, block)
        expect(tab.get_by_role("alert").filter(has_text=words)).to_be_visible()
    expect(author).to_have_count(3)
    lab.press("Control+Enter")
    lab.expect_saved("Session M042 · 1 · 3 × Note")
    notes = lab.rows("Session.Note").to_dicts(order_by="note")
    assert [(n["note"], n["author"]) for n in notes] == [(1, "ana"), (2, "bo"), (3, "ana")]


SMALL = """() => {
  const deep = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? deep(e.shadowRoot) : [])])
  const form = deep(document).find((e) => e.classList.contains("form"))
  const targets = [...form.querySelectorAll("button, input, select, textarea, a")]
  const sizes = targets.filter((e) => e.checkVisibility()).map((e) => {
    const {width, height} = (["checkbox", "radio"].includes(e.type) ? e.closest("label") : e).getBoundingClientRect()
    return [e.getAttribute("aria-label") || e.title || e.textContent || e.id, Math.round(width), Math.round(height)]
  })
  return sizes.filter(([, width, height]) => width < 44 || height < 44)
}"""


@pytest.mark.parametrize("width", [768, 1180])
def test_all_that_is_pressed_on_a_tablet_is_as_large_as_a_finger(
    lab: Lab, open_page: Callable[..., Tab], width: int
) -> None:
    tab = open_page(
        visitor="tablet", viewport={"width": width, "height": 1024}, has_touch=True, is_mobile=True
    )
    lab = Lab(lab.running, lab.services, tab)
    lab.open("Session", "?subject_id=M042")
    expect(lab.field("Session")).to_have_value("1")
    lab.field("Day").fill("2026-01-02")
    lab.press("Control+Enter")
    lab.expect_saved("Session M042 · 1")
    lab.field("Day").fill("x")
    tab.get_by_role("button", name="Save as preset…").click()
    lab.type("one")
    lab.press("Enter")
    tab.get_by_role("combobox", name="Preset").select_option("one")
    tab.get_by_role("button", name="Add row to Note").click()
    lab.press("Control+Enter")
    expect(tab.locator(".summary")).to_be_visible()
    assert tab.evaluate(SMALL) == []
    lab.open("Subject")
    assert tab.evaluate(SMALL) == []
    tab.goto("about:blank")


def test_what_is_wrong_in_a_field_that_was_left_is_heard_once_and_in_the_visitors_language(
    lab: Lab, open_page: Callable[..., Tab]
) -> None:
    tab = open_page(visitor="Bob", locale="de-DE")
    lab = Lab(lab.running, lab.services, tab)
    lab.open("Subject", "?species=mouse")

    def field(name: str) -> Locator:
        return tab.get_by_role("textbox", name=re.compile(f"^{name}"))

    heard = tab.locator(".form > .hidden[role=status]")
    tab.evaluate("""() => {
      window.heard = []
      const deep = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? deep(e.shadowRoot) : [])])
      const line = deep(document).find((e) => e.matches(".form > .hidden[role=status]"))
      const seen = new MutationObserver(() => window.heard.push(line.textContent))
      seen.observe(line, {childList: true, characterData: true, subtree: true})
    }""")
    field("Big").fill("½")
    lab.press("Tab")
    expect(heard).to_contain_text("Big: „½“ ist mit einem Bruch geschrieben")
    field("Big").fill("1½")  # checked again while it is put right
    expect(heard).to_contain_text("„1½“")
    field("Settings").fill('{"a": 1, "b": 2}')
    expect(field("Settings")).to_have_accessible_description("Gültiges JSON: a, b")
    field("Tag").fill("x" * 13)
    expect(field("Tag")).to_have_accessible_description(re.compile("13 von 12 Zeichen"))
    active = tab.locator(".field", has=tab.get_by_role("combobox", name="Is active"))
    expect(active.locator(".chip")).to_have_text("Vorgabe: ja")
    expect(active.locator("option")).to_have_text([re.compile("ja"), "ja", "nein"])
    assert len(tab.evaluate("window.heard")) == len(set(tab.evaluate("window.heard")))
    tab.goto("about:blank")
