"""HTML that changes in place: what the visitor is doing survives, and what they do arrives once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from panel.viewable import Viewable
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from dj_panel.apps.live import Action, LiveHtml, button
from dj_panel.apps.markup import escape
from dj_panel.apps.page import Page
from dj_panel.apps.site import RunningSite, Site, serve
from tests.browser.shell_services import ShellServices

LONG_MS = 60_000
HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"


class Rows(Page):
    """A list whose rows come and go with the buttons."""

    title = "Rows"

    async def load(self) -> Viewable:
        self.rows = ["b", "c", "d"]
        self.heard: list[Action] = []
        self.is_ticked = False
        self.view = LiveHtml(self.act)
        self.draw()
        return self.view

    def act(self, action: Action) -> None:
        self.heard.append(action)
        if action.name == "add":
            self.rows = ["a", *self.rows]
        elif action.name == "remove":
            self.rows.remove(action.value)
        elif action.name == "tick":
            self.is_ticked = action.is_on
        elif action.name == "turn":
            self.rows.reverse()
        self.draw()

    def draw(self) -> None:
        heard = ", ".join(f"{a.name}={a.value}={a.is_on}" for a in self.heard)
        rows = "".join(
            f'<li data-key="{row}" aria-label="row {row}">{button(f"Remove {row}", "remove", row)}'
            f"<details><summary>More of {row}</summary><p>Text of {row}, seen "
            f"{len(self.heard)} times</p></details></li>"
            for row in self.rows
        )
        self.view.html = (
            f"<p>{escape(HOSTILE)}</p>{button('Add', 'add')}{button('Turn', 'turn')}"
            f"{button('Never', 'never', why_not='It may not be.')}<ul>{rows}</ul>"
            '<input type="search" data-action="find" aria-label="Find">'
            '<label><input type="checkbox" data-action="tick" value="x"'
            f"{' checked' if self.is_ticked else ''}>Tick</label>"
            f'<p id="heard">{escape(heard)}</p>'
        )


@pytest.fixture
def rows(page: Tab, port: int) -> Iterator[Tab]:
    running: RunningSite = serve(
        Site({"home": Rows}, ShellServices(), "Live", user="ana"), port=port, threaded=True
    )
    page.goto(running.url)
    expect(page.get_by_role("button", name="Add")).to_be_visible(timeout=LONG_MS)
    yield page
    page.close()
    running.stop()


def test_what_the_visitor_is_doing_survives_a_change(rows: Tab) -> None:
    rows.get_by_text("More of c").click()
    expect(rows.get_by_text("Text of c, seen 0 times")).to_be_visible()
    rows.get_by_role("button", name="Remove d").evaluate("e => { window.button = e }")
    rows.get_by_role("button", name="Add").focus()
    rows.keyboard.press("Enter")
    expect(rows.get_by_role("listitem", name="row a")).to_be_visible()
    expect(rows.get_by_text("Text of c, seen 1 times")).to_be_visible()  # still open, and up to date
    expect(rows.get_by_text("Text of a")).to_be_hidden()
    expect(rows.get_by_role("button", name="Add")).to_be_focused()
    assert rows.get_by_role("button", name="Remove d").evaluate("e => e === window.button")


def test_rows_that_change_places_stay_the_same_elements(rows: Tab) -> None:
    rows.get_by_role("button", name="Remove d").evaluate("e => { window.button = e }")
    rows.get_by_role("button", name="Turn").click()
    expect(rows.get_by_role("listitem")).to_contain_text(["Remove d", "Remove c", "Remove b"])
    assert rows.get_by_role("button", name="Remove d").evaluate("e => e === window.button")


def test_the_focus_stays_near_when_what_had_it_is_gone(rows: Tab) -> None:
    rows.get_by_role("button", name="Remove c").focus()
    rows.keyboard.press("Enter")
    expect(rows.get_by_role("listitem", name="row c")).to_have_count(0)
    rows.keyboard.press("Tab")
    assert rows.evaluate("document.activeElement !== document.body")
    expect(rows.get_by_role("button", name="Remove b")).to_be_focused()


def test_what_is_typed_arrives_and_is_not_overwritten(rows: Tab) -> None:
    box = rows.get_by_role("searchbox", name="Find")
    box.press_sequentially("mouse", delay=5)
    expect(rows.locator("#heard")).to_contain_text("find=mouse=False")
    expect(box).to_have_value("mouse")
    expect(box).to_be_focused()
    tick = rows.get_by_role("checkbox", name="Tick")
    tick.check()
    expect(rows.locator("#heard")).to_contain_text("tick=x=True")
    expect(tick).to_be_checked()


def test_a_double_click_is_one_click_and_a_disabled_button_does_nothing(rows: Tab) -> None:
    rows.get_by_role("button", name="Never").click(force=True)
    rows.get_by_role("button", name="Turn").dblclick()
    rows.get_by_role("checkbox", name="Tick").check()
    expect(rows.locator("#heard")).to_have_text("turn==False, tick=x=True")


def test_the_second_click_of_two_does_not_meet_what_the_first_brought_there(rows: Tab) -> None:
    box = rows.get_by_role("button", name="Remove b").bounding_box()
    assert box is not None
    place = (box["x"] + 10, box["y"] + box["height"] / 2)
    rows.mouse.click(*place)
    expect(rows.get_by_role("listitem", name="row b")).to_have_count(0)
    rows.mouse.down(click_count=2)  # now another row's button is there
    rows.mouse.up(click_count=2)
    rows.get_by_role("checkbox", name="Tick").check()
    expect(rows.locator("#heard")).to_contain_text("tick=x=True")
    expect(rows.get_by_role("button", name="Remove ")).to_have_count(2)


def test_hostile_text_stays_text(rows: Tab) -> None:
    expect(rows.get_by_text(HOSTILE)).to_be_visible()
    assert rows.title() != "broken in"
