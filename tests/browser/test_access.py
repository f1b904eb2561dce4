"""Every page of the site for everybody: with a screen reader, in the dark, and in 320 pixels."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page as Tab
from playwright.sync_api import TimeoutError as TooLate
from playwright.sync_api import ViewportSize, expect

from dj_panel.apps.application import PAGES
from dj_panel.apps.routes import Route, format_route, parse_route
from tests.browser.conftest import OpenPage
from tests.browser.served_demo import Demo

expect.set_options(timeout=30_000)

PULSE = {"subject_id": "HV-01", "session_date": "2025-05-05", "session_number": "1", "recording_number": "1"}
SESSION = {name: PULSE[name] for name in ("subject_id", "session_date", "session_number")}
PLACES = (
    "#/",
    "#/diagram",
    "#/tables",
    "#/table/lab_subject.Subject",
    format_route(Route("record", ("lab_session.Session",), SESSION)),
    format_route(
        Route(
            "record", ("lab_subject.Weighing",), {"subject_id": "LM-01", "weighed_at": "2025-04-28 09:10:00"}
        )
    ),
    "#/enter",
    "#/enter/lab_subject.Subject",
    "#/enter/lab_session.Session",
    "#/import/lab_subject.Subject",
    format_route(Route("edit", ("lab_session.Session",), SESSION)),
    format_route(Route("edit-rows", ("lab_session.Session",), {"select": ",".join(SESSION.values())})),
    format_route(Route("delete", ("lab_session.Session",), SESSION)),
    "#/populate",
    "#/populate/lab_analysis.WindowTuning",
    format_route(Route("object", ("lab_acquisition.PulseTrace",), {**PULSE, "attribute": "pulse"})),
)
# What is animated now, shadow roots included: a tablet draws it as long as the page is open, seen or not.
MOVING = """() => {
  const found = []
  const look = root => {
    found.push(...root.getAnimations().filter(a => a.playState === "running").map(a => a.animationName))
    for (const element of root.querySelectorAll("*")) if (element.shadowRoot) look(element.shadowRoot)
  }
  look(document)
  return found
}"""
NARROW: ViewportSize = {"width": 320, "height": 640}
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
# What reaches beyond the right edge and only the whole page can be scrolled to it, shadow roots included.
CUT_OFF = """() => {
  const whole = document.getElementById("main")
  const ends = element => element !== whole && element !== document.body && getComputedStyle(element).overflowX !== "visible"
  const around = element => element.parentElement || element.getRootNode().host
  const found = []
  const look = root => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) look(element.shadowRoot)
      const box = element.getBoundingClientRect()
      if (element instanceof SVGElement || box.width < 2 || box.right <= innerWidth + 1) continue
      if (getComputedStyle(element).visibility === "hidden") continue
      let outer = around(element)
      while (outer && !ends(outer)) outer = around(outer)
      if (!outer) found.push(element.outerHTML.slice(0, 120))
    }
  }
  look(document)
  return [whole.scrollWidth - whole.clientWidth, found.slice(0, 5)]
}"""


@pytest.fixture
def page(kept_page: Tab) -> Tab:
    """Give one page to all tests, which go on within it."""
    return kept_page


def opened(tab: Tab, demo: Demo, place: str) -> None:
    tab.goto(demo.address + place)
    expect(tab.get_by_role("main")).to_have_attribute("aria-busy", "false")
    expect(tab.get_by_role("heading", level=1)).to_be_visible()


def assert_no_serious_fault(tab: Tab, place: str, rules: tuple[str, ...]) -> None:
    serious: list[Any] = []
    for _ in range(3):
        answer = Axe().run(tab, options={"runOnly": list(rules)}).response
        assert answer["passes"], "nothing was looked at"
        serious = [found for found in answer["violations"] if found["impact"] in ("serious", "critical")]
        if not serious:
            break
        tab.wait_for_timeout(500)  # a colour on its way to another has neither's contrast
    assert not serious, (place, [(found["id"], found["nodes"][0]["html"]) for found in serious])


def test_every_page_is_looked_at() -> None:
    assert {parse_route(place, tuple(PAGES)).page for place in PLACES} == set(PAGES)


@pytest.mark.parametrize("place", PLACES)
def test_a_page_has_no_serious_fault_of_access_and_fits_into_320_pixels(
    page: Tab, demo: Demo, place: str
) -> None:
    opened(page, demo, place)
    assert_no_serious_fault(page, place, RULES)
    page.set_viewport_size(NARROW)
    expect(page.get_by_role("main")).to_be_visible()
    fits = f"() => JSON.stringify(({CUT_OFF})()) === '[0,[]]'"
    with suppress(TooLate):
        page.wait_for_function(fits, timeout=5_000)
    assert page.evaluate(CUT_OFF) == [0, []]


def test_nothing_moves_on_a_page_at_rest(open_page: OpenPage, demo: Demo) -> None:
    tab = open_page(color_scheme="light")
    for place in PLACES:
        opened(tab, demo, place)
        with suppress(TooLate):
            tab.wait_for_function(f"() => ({MOVING})().length === 0", timeout=10_000)
        assert tab.evaluate(MOVING) == [], place


def test_dark_pages_have_contrast(open_page: OpenPage, demo: Demo) -> None:
    tab = open_page(color_scheme="dark")
    for place in PLACES:
        opened(tab, demo, place)
        assert_no_serious_fault(tab, place, ("color-contrast",))
