"""Changing the rows of parts with their master in a real browser: kept while typed, shown first, brought back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.application import PAGES
from dj_panel.apps.services import Services
from dj_panel.apps.site import Site, serve
from tests.browser.conftest import OpenPage
from tests.browser.test_access import RULES, assert_no_serious_fault
from tests.browser.test_edit import Lab
from tests.browser.test_entry_kept import PASTE
from tests.entry_tables import HOSTILE
from tests.part_tables import declare_runs

expect.set_options(timeout=60_000)

KEY = {"subject": "M1", "run": 1}

# What the page alone decides is tried on one server; the services' tests try both.
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Runs(Lab):
    """The served runs."""

    def edit(self, tab: Tab) -> Tab:
        self.go(tab, "edit", "Run", "?subject=M1&run=1")
        expect(tab.locator(".form :focus")).to_have_count(1)
        return tab

    def trials(self) -> dict[int, float]:
        rows = (self.rows("Run.Trial") & KEY).to_dicts(attributes=["trial", "outcome"], order_by="trial")
        return {row["trial"]: row["outcome"] for row in rows}


@pytest.fixture
def lab(schema: dj.Schema, port: int, open_page: OpenPage) -> Iterator[Runs]:
    services = Services(declare_runs(schema))
    running = serve(Site(PAGES, services, title="Test lab"), port=port, threaded=True)
    lab = Runs(running, services)
    lab.rows("Person").insert([("ana",), ("bo",)])
    lab.rows("Run").insert1({**KEY, "remark": "first"})
    lab.rows("Run.Trial").insert(
        {**KEY, "trial": i, "outcome": i / 2, "label": HOSTILE, "trace": np.arange(i)} for i in (1, 2, 3)
    )
    lab.rows("Score").insert1({**KEY, "trial": 3, "points": 5})
    yield lab
    for tab in open_page().context.pages:  # so that none of them complains when the server stops
        tab.goto("about:blank")
    running.stop()
    services.close()


def grid(tab: Tab) -> Locator:
    return tab.get_by_role("region", name="Trial")


def cell(tab: Tab, column: str, row: int) -> Locator:
    return grid(tab).get_by_role("textbox", name=re.compile(f"^{column}")).nth(row - 1)


def test_rows_of_parts_are_changed_by_the_keyboard_survive_a_reload_and_come_back(
    lab: Runs, page: Tab
) -> None:
    lab.edit(page)
    expect(grid(page).get_by_text("<blob>")).to_have_count(3)
    cell(page, "Outcome", 1).focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("long")
    cell(page, "Trial", 2).focus()
    page.keyboard.press("Control+Delete")
    grid(page).get_by_role("button", name="Add row to Trial").focus()
    page.keyboard.press("Enter")
    expect(cell(page, "Trial", 3)).to_have_value("4")
    cell(page, "Outcome", 3).fill("2")
    page.get_by_role("button", name="Add row to Event").evaluate(PASTE, "1\t1\tlick\tangry")
    mood = page.get_by_role("combobox", name="Mood")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".summary")).to_contain_text("Trial, row 1: “long” is not a number")
    expect(page.locator(".summary")).to_contain_text("Event, row 1: “angry” is not one of 'calm', 'wild'")
    expect(mood).to_be_focused()
    page.reload()
    expect(page.locator(".restored:visible")).to_contain_text("Restored what you had typed")
    expect(mood).to_have_value("angry")
    mood.press("Control+Delete")
    expect(cell(page, "Outcome", 1)).to_have_value("long")
    expect(cell(page, "Trial", 3)).to_have_value("4")
    cell(page, "Outcome", 1).fill("9")
    page.keyboard.press("Control+Enter")
    panel = page.locator(".revision")
    expect(panel).to_contain_text("1 value will change, 1 row will be added, 1 row will be removed")
    expect(panel).to_contain_text(re.compile(r"Trial 1 outcome.*0\.5.*9\.0"))
    assert_no_serious_fault(page, "changes to parts", RULES)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved: Run M1 · 1, 3 rows of its parts.")).to_be_visible()
    assert lab.trials() == {1: 9.0, 3: 1.5, 4: 2.0}

    page.get_by_role("link", name="Undo…").click()
    expect(page.locator(".form :focus")).to_have_count(1)
    expect(page.locator(".notice")).to_have_count(0)
    told = page.locator(".restored:visible p")
    expect(told).to_have_text(
        [
            re.compile(r"^The rows of its parts are those before \d\d:\d\d:\d\d\.$"),
            re.compile("^Trial 2: the old value of trace is not brought back"),
        ]
    )
    page.get_by_role("button", name="Review changes").click()
    expect(panel).to_contain_text("1 value will change, 1 row will be added, 1 row will be removed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Run M1 · 1", exact=True)).to_be_visible()
    assert lab.trials() == {1: 0.5, 2: 1.0, 3: 1.5}
    assert "broken" not in page.title()


def test_what_somebody_else_did_to_rows_of_parts_is_taken_over_or_chosen_against(
    lab: Runs, page: Tab
) -> None:
    lab.edit(page)
    trials = lab.rows("Run.Trial")
    cell(page, "Outcome", 1).fill("8")
    cell(page, "Outcome", 2).fill("9")
    trials.update1({**KEY, "trial": 1, "outcome": 5.0})
    (trials & KEY & {"trial": 2}).delete(part_integrity="ignore")
    trials.insert1({**KEY, "trial": 7, "outcome": 7.0})
    page.keyboard.press("Control+Enter")
    panel = page.locator(".revision")
    expect(panel).to_contain_text("Somebody else has changed this row meanwhile")
    panel.get_by_role("button", name="Go on").click()
    expect(panel.get_by_role("alert")).to_have_text("Choose between the two for: Trial 1, outcome; Trial 2.")
    panel.get_by_role("radio", name="5.0").check()
    panel.get_by_role("radio", name="take this").nth(1).check()
    panel.get_by_role("button", name="Go on").click()
    expect(panel).to_contain_text("1 row will be added")
    expect(cell(page, "Outcome", 1)).to_have_value("5")
    expect(cell(page, "Trial", 4)).to_have_value("7")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved: Run M1 · 1, 1 row of its parts.")).to_be_visible()
    assert lab.trials() == {1: 5.0, 2: 9.0, 3: 1.5, 7: 7.0}


def test_a_row_that_others_depend_on_is_brought_back_and_a_part_of_many_rows_is_linked(
    lab: Runs, page: Tab
) -> None:
    lab.rows("Run.Image").insert({**KEY, "image": i, "pixels": 0} for i in range(201))
    lab.edit(page)
    expect(page.get_by_text("There are more than 200 rows")).to_be_visible()
    grid(page).get_by_role("button", name="Remove row").nth(2).click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".summary")).to_contain_text(
        "Trial 3 cannot be removed: 1 row of Score depends on it."
    )
    page.get_by_role("button", name="Bring back Trial 3").click()
    expect(cell(page, "Trial", 3)).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".summary")).to_contain_text("Nothing is changed, so there is nothing to save.")
    page.get_by_role("link", name="Open them in their table").click()
    expect(page.get_by_role("heading", name="Run.Image")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("201")
