"""A day's entering in a real browser: twenty rows without the mouse, two windows, what is unusual, what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import WebSocketRoute, expect

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.site import Site, serve
from tests.browser.entry_site import PAGES
from tests.browser.test_entry import LOST, Lab
from tests.browser.test_entry_kept import PASTE
from tests.browser.test_entry_messages import is_uncovered
from tests.entry_tables import pipeline_of

on_one_server = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

COUNT_MOUSE = """
    window.mouse = 0
    for (const kind of ["mousedown", "click", "pointerdown", "touchstart"]) {
      addEventListener(kind, (event) => { if (event.isTrusted && event.detail !== 0) window.mouse += 1 }, true)
    }
"""


def declare(schema: dj.Schema) -> Any:
    @schema
    class Rig(dj.Lookup):
        definition = """
        rig : varchar(8)
        ---
        place = "" : varchar(20)
        """

    @schema
    class Animal(dj.Manual):
        definition = """
        animal : varchar(8)
        ---
        -> [nullable] Rig
        """

    @schema
    class Weighing(dj.Manual):
        definition = """
        -> Animal
        n : int16
        ---
        day : date
        weight : decimal(6,2)  # (g)
        note = null : varchar(20)
        extra = null : json
        trace = null : <blob>
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Animal
        session : int16
        ---
        quality = "unknown" : enum('good', 'poor', 'unknown')  # as whoever sat beside the animal says, not the machine
        is_last = 0 : bool
        """

        class Operator(dj.Part):
            definition = """
            -> master
            -> Rig.proj(operator="rig")
            ---
            duty = "records" : enum('records', 'assists')
            """

    return pipeline_of(schema)


@pytest.fixture
def lab(schema: dj.Schema, page: Tab, port: int) -> Iterator[Lab]:
    services = Services(declare(schema))
    running = serve(Site(PAGES, services, title="Test lab", user="ana"), port=port, threaded=True)
    lab = Lab(running, services, page)
    lab.rows("Animal").insert([(f"A{i}", None) for i in (1, 2)])
    yield lab
    page.goto("about:blank")
    running.stop()
    services.close()


def test_twenty_weighings_are_entered_without_the_mouse_and_none_is_lost(lab: Lab) -> None:
    tab = lab.open("Weighing")
    tab.evaluate(COUNT_MOUSE)
    lab.type("A1")
    lab.press("Tab")
    expect(lab.field("Animal")).to_have_value("A1")
    expect(lab.field("N")).to_be_focused()
    lab.type("1")
    lab.press("Tab")
    for n in range(1, 21):
        expect(lab.field("Day")).to_be_focused()
        expect(lab.field("N")).to_have_value(str(n))
        lab.type("2026-03-01")
        lab.press("Tab")
        lab.type(f"25.{n:02d}")
        lab.press("Enter")
        lab.expect_saved(f"Weighing A1 · {n} ")
    assert tab.evaluate("window.mouse") == 0
    again = tab.get_by_role("button", name="New row like").all()
    assert len({round(box["x"]) for one in again if (box := one.bounding_box())}) == 1
    rows = lab.rows("Weighing").to_dicts(order_by="n")
    assert [(row["n"], str(row["weight"])) for row in rows] == [(n, f"25.{n:02d}") for n in range(1, 21)]


@on_one_server
def test_two_windows_on_one_table_keep_a_draft_each_and_the_oldest_is_offered_first(
    lab: Lab, open_page: Callable[..., Tab]
) -> None:
    first = lab.open("Animal")
    lab.type("old")
    second = Lab(lab.running, lab.services, open_page())
    second.open("Animal")
    expect(second.field("Animal")).to_have_value("")
    second.type("new")
    expect(second.field("Animal")).to_have_value("new")
    expect(lab.field("Animal")).to_have_value("old")
    first.goto("about:blank")
    second.tab.goto("about:blank")
    lab.open("Animal")
    expect(lab.field("Animal")).to_have_value("old")
    expect(first.get_by_text("Another draft is kept for afterwards")).to_be_visible()
    lab.press("Control+Enter")
    lab.expect_saved("Animal old")
    expect(lab.field("Animal")).to_have_value("new")
    lab.press("Control+Enter")
    lab.expect_saved("Animal new")
    expect(lab.field("Animal")).to_have_value("")
    second.open("Animal")
    entered = second.tab.locator(".saved li")
    expect(entered).to_have_count(2)
    lab.type("later")
    lab.press("Control+Enter")
    lab.expect_saved("Animal later")
    second.tab.evaluate("dispatchEvent(new Event('focus'))")  # as when somebody goes to that window
    expect(entered).to_contain_text(["Animal later", "Animal new", "Animal old"])
    second.tab.goto("about:blank")
    assert {row["animal"] for row in lab.rows("Animal").to_dicts()} == {"A1", "A2", "old", "new", "later"}


@on_one_server
def test_what_is_unusual_is_ticked_what_is_taken_is_compared_and_what_is_missing_is_made_in_place(
    lab: Lab,
) -> None:
    values = (24.9, 25.0, 25.2, 24.8)
    lab.rows("Weighing").insert(
        {"animal": "A1", "n": n, "day": "2026-01-01", "weight": value} for n, value in enumerate(values, 1)
    )
    tab = lab.open("Weighing", "?animal=A1&n=2&day=2026-01-01")

    # what an empty field becomes is said, and an empty text is told from none
    note = tab.locator(".field", has=tab.get_by_label(re.compile("^Note"))).first
    expect(note.locator(".chip")).to_have_text("NULL")
    lab.field("Note").focus()
    lab.press("Alt+e")
    expect(note.locator(".chip")).to_have_text("empty text")

    # JSON is read while it is typed
    lab.field("Extra").fill('{"a": 1')
    expect(lab.field("Extra")).to_have_accessible_description(re.compile("Not yet valid JSON"))
    lab.field("Extra").fill('{"a": 1}')
    expect(lab.field("Extra")).to_have_accessible_description("Valid JSON: a")

    # numbers may be pasted
    tab.get_by_role("button", name="Paste numbers: Trace").click()
    tab.get_by_role("textbox", name="Numbers of Trace").fill("1 2 3\n4 5 6")
    tab.get_by_role("button", name="Use these numbers").click()
    expect(tab.get_by_text("11 bytes · 2 × 3, float64")).to_be_visible()

    # the key is taken: in what do the two differ?
    lab.field("Weight").fill("2.5")
    lab.press("Control+Enter")
    tab.get_by_role("button", name="Compare").click()
    expect(tab.get_by_role("row", name="Weight 25.00 2.5")).to_be_visible()
    tab.get_by_role("button", name="Use next free number: 5").click()

    # unusual: the tick takes the focus, and Space and Ctrl+Enter save
    lab.field("Weight").fill("")
    lab.type("2.50")
    lab.press("Enter")
    tick = tab.get_by_role("checkbox", name=re.compile("2.5.*far from the last values of this Animal"))
    expect(tick).to_be_focused()
    expect(tab.get_by_role("alert").filter(has_text="One value is unusual")).to_be_visible()
    assert len(lab.rows("Weighing")) == 4
    lab.press("Space", "Control+Enter")
    lab.expect_saved("Weighing A1 · 5")
    row = (lab.rows("Weighing") & {"n": 5}).fetch1()
    assert (str(row["weight"]), row["note"], row["extra"], row["trace"].tolist()) == (
        "2.50",
        "",
        {"a": 1},
        [[1, 2, 3], [4, 5, 6]],
    )

    # another row like it
    tab.get_by_role("button", name="New row like Weighing A1 · 5").click()
    expect(lab.field("Weight")).to_have_value("2.50")
    expect(lab.field("N")).to_have_value("6")

    # the animal is not there yet: it is made in a panel, with its rig in a panel over that
    lab.field("Animal").fill("A9")
    lab.press("Alt+Enter")
    panel = tab.get_by_role("dialog", name="New Animal")
    expect(panel.get_by_role("textbox", name=re.compile("^Animal"))).to_have_value("A9")
    panel.get_by_role("combobox", name=re.compile("^Rig")).fill("two")
    lab.press("Alt+Enter")
    inner = tab.get_by_role("dialog", name="New Rig")
    expect(inner.get_by_role("textbox", name=re.compile("^Rig"))).to_have_value("two")
    inner.get_by_role("button", name="Save", exact=True).click()
    expect(inner).to_have_count(0)
    expect(panel.get_by_role("combobox", name=re.compile("^Rig"))).to_have_value("two")
    panel.get_by_role("combobox", name=re.compile("^Rig")).press("Control+Enter")
    expect(panel).to_have_count(0)
    expect(lab.field("Animal")).to_have_value("A9")
    expect(lab.field("Animal")).to_be_focused()
    assert (lab.rows("Animal") & {"animal": "A9"}).fetch1("rig") == "two"

    # a preset brings all but the number back
    tab.get_by_role("button", name="Save as preset…").click()
    lab.type("light")
    lab.press("Enter")
    tab.get_by_role("button", name="Clear").click()
    expect(lab.field("Weight")).to_have_value("")
    tab.get_by_role("combobox", name="Preset").select_option("light")
    tab.get_by_role("button", name="Fill in this preset").click()
    expect(lab.field("Weight")).to_have_value("2.50")
    expect(lab.field("Animal")).to_have_value("A9")


@on_one_server
def test_what_is_none_of_the_choices_stays_in_sight_and_is_refused_until_one_is_made(lab: Lab) -> None:
    lab.rows("Rig").insert1(("ruth", ""))
    tab = lab.open("Session", "?animal=A1&quality=GOOD&is_last=perhaps")
    expect(lab.field("Session")).to_have_value("1")
    expect(lab.field("Quality")).to_have_value("good")
    last = tab.get_by_role("combobox", name="Is last")
    expect(last).to_have_value("perhaps")
    heads = tab.locator(".head")
    gaps = heads.evaluate_all("""(heads) => heads.map((head) => {
      return head.querySelector(".comment").getBoundingClientRect().top - head.getBoundingClientRect().top
    })""")
    assert max(gaps) - min(gaps) < 2, "what is said of fields side by side begins at one height"

    # pasted into a part: what is wrong is counted, in sight, and moves no column
    tab.set_viewport_size({"width": 1000, "height": 620})
    add = tab.get_by_role("button", name="Add row to Operator")
    add.evaluate(PASTE, "a\tb\tc")
    expect(tab.get_by_text("This block has 3 columns, and a row of Operator takes 2.")).to_be_visible()
    add.evaluate(PASTE, "ruth\tfoo\nruht\tassists")
    operator, duty = (tab.get_by_role("combobox", name=name) for name in ("Operator", "Duty"))
    columns = [place.bounding_box() for place in (operator.first, duty.first)]
    said = tab.locator(".undoing")
    expect(said).to_contain_text("2 rows were pasted. 2 cells need a correction.")
    assert [[box["x"], box["width"]] for box in columns if box] == [
        [box["x"], box["width"]] for place in (operator.first, duty.first) if (box := place.bounding_box())
    ]
    expect(operator.first).to_be_focused()
    for cell in (operator.first, duty.first):
        expect(cell).to_be_in_viewport(ratio=1)
        assert is_uncovered(cell)
    expect(duty.first).to_have_value("foo")
    expect(duty.first).to_have_accessible_description(re.compile("“foo” is not one of 'records', 'assists'"))

    # saving is refused by the server; a reload keeps the text
    lab.press("Control+Enter")
    summary = tab.locator(".summary")
    expect(summary).to_contain_text("3 fields need a correction. Nothing was saved.")
    expect(summary).to_contain_text("Operator, row 1: “foo” is not one of")
    tab.reload()
    expect(duty.first).to_have_value("foo")
    expect(last).to_have_value("perhaps")

    # the row that is missing is made from its cell: Escape keeps what was typed
    operator.nth(1).focus()
    lab.press("Alt+Enter")
    panel = tab.get_by_role("dialog", name="New Operator")
    expect(panel.get_by_role("textbox", name=re.compile("^Rig"))).to_have_value("ruht")
    lab.press("Escape")
    expect(panel).to_have_count(0)
    expect(operator.nth(1)).to_be_focused()
    expect(operator.nth(1)).to_have_value("ruht")
    operator.nth(1).fill("rita")
    tab.get_by_role("button", name="Create new Operator…").click()
    expect(panel.get_by_role("textbox", name=re.compile("^Rig"))).to_have_value("rita")
    panel.get_by_role("button", name="Save", exact=True).click()
    expect(operator.nth(1)).to_have_value("rita")
    expect(operator.nth(1)).to_be_focused()
    lab.expect_saved("Rig rita")
    expect(tab.locator(".receipt").get_by_role("link", name="Rig rita")).to_be_visible()

    last.select_option("yes")
    expect(last.locator("option")).to_have_count(3)
    lab.press("Control+Enter")
    expect(summary).to_contain_text("One field needs a correction. Nothing was saved.")
    assert len(lab.rows("Session")) == 0
    duty.first.select_option("assists")
    expect(summary).to_be_hidden()
    lab.press("Control+Enter")
    lab.expect_saved("Session A1 · 1 · 2 × Operator")
    duties = lab.rows("Session.Operator").to_dicts(order_by="operator")
    assert [(row["operator"], row["duty"]) for row in duties] == [("rita", "assists"), ("ruth", "assists")]

    # one Undo at a time
    add.evaluate(PASTE, "ruth\tassists")
    expect(said).to_contain_text("1 row was pasted.")
    expect(tab.locator(".bar").get_by_role("button", name="Undo")).to_have_count(1)
    lab.press("Control+Enter")
    lab.expect_saved("Session A1 · 2 · 1 × Operator")
    expect(said).to_be_hidden()


@pytest.mark.console_errors(LOST, "status of 401")
def test_a_login_that_expires_while_a_form_is_filled_in_costs_nothing_and_the_row_is_saved_once(
    lab: Lab,
) -> None:
    sockets: list[WebSocketRoute] = []
    is_expired = False

    def pass_or_close(socket: WebSocketRoute) -> None:
        if is_expired:
            socket.close(code=4001)
            return
        socket.connect_to_server()
        sockets.append(socket)

    lab.tab.route_web_socket(re.compile("/ws"), pass_or_close)
    tab = lab.open("Weighing")
    for text in ("A1", "1", "2026-03-01"):
        lab.type(text)
        lab.press("Tab")
    expect(lab.field("Weight")).to_be_focused()

    # what a proxy does that asks for a login: every request is refused, and the connection ends
    is_expired = True
    tab.route("**/*", lambda route: route.fulfill(status=401, body="Log in first."))
    refused: list[str] = []
    tab.on("response", lambda response: refused.append(response.url) if response.status == 401 else None)
    for socket in sockets:
        socket.close(code=4001)
    expect(tab.get_by_role("alert").filter(has_text="nothing is saved until it is back")).to_be_visible()
    expect(tab.locator("#status")).to_have_text("Not connected")
    lab.type("25.5")
    lab.press("Control+Enter")
    tab.get_by_role("button", name="Try now").click()
    with tab.expect_response(lambda response: response.status == 401):
        pass
    assert all("window/" in url for url in refused), "the page itself was loaded again"
    expect(lab.field("Weight")).to_have_value("25.5")
    expect(tab.locator("#status")).to_have_text("Not connected")
    assert len(lab.rows("Weighing")) == 0

    # logged in again
    is_expired = False
    tab.unroute("**/*")
    lab.open("Weighing")
    for name, value in (("Animal", "A1"), ("N", "1"), ("Day", "2026-03-01"), ("Weight", "25.5")):
        expect(lab.field(name)).to_have_value(value)
    lab.press("Control+Enter")
    expect(tab.locator(".receipt")).to_contain_text("aved: Weighing A1 · 1")
    tab.goto("about:blank")
    assert [str(row["weight"]) for row in lab.rows("Weighing").to_dicts()] == ["25.50"]
