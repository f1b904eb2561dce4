"""The site in its second language: for visitors whose browser asks for it, and for those who choose it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from babel.messages.pofile import read_po
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.served_demo import Demo
from tests.browser.test_access import CUT_OFF, NARROW, PLACES, opened
from tests.built_demo import ROOT

expect.set_options(timeout=30_000)

# The field says these in every language.
TIERS = {"Lookup", "Manual", "Imported", "Computed", "Part"}
# A button of a plot's toolbar.
TOOL = ".bk-Toolbar [title][tabindex]"
# What is written on the page and what a screen reader says of it, shadow roots included.
SAID = """() => {
  const found = new Set()
  const look = root => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) {
        if (!node.parentElement?.closest("script, style, template, [lang=en], pre, code")) found.add(node.data.trim())
        continue
      }
      if (node.closest("[lang=en]")) continue
      for (const name of ["aria-label", "placeholder", "title", "aria-description", "alt"])
        if (node.getAttribute(name)) found.add(node.getAttribute(name).trim())
      if (node.shadowRoot) look(node.shadowRoot)
    }
  }
  look(document.body)
  found.delete("")
  return [...found]
}"""


def english() -> re.Pattern[str]:
    """Return the pattern of what is said in English, and otherwise in German."""
    with (ROOT / "apps" / "locale" / "de.po").open("rb") as file:
        catalog = read_po(file, locale="de")
    messages: set[str] = set()
    german: set[str] = set()
    for message in catalog:
        ids: Any = [message.id] if isinstance(message.id, str) else message.id
        texts: Any = [message.string] if isinstance(message.string, str) else message.string
        messages |= {one.strip() for one in ids}
        german |= {text.strip() for text in texts or ()}
    # Of a message that is little else than its values, anything may be one.
    messages = {text for text in messages - german - TIERS if is_telling(text)}
    return re.compile("|".join(re.sub(r"\\\{\w+\\\}", ".+", re.escape(text)) for text in sorted(messages)))


def is_telling(message: str) -> bool:
    words = re.sub(r"\{\w+\}", "", message)
    return len(re.findall(r"[A-Za-z]", words)) > (12 if "{" in message else 2)


@pytest.fixture(scope="module")
def left_in_english() -> re.Pattern[str]:
    return english()


def test_a_browser_that_prefers_german_gets_every_page_in_german(
    open_page: OpenPage, demo: Demo, left_in_english: re.Pattern[str]
) -> None:
    tab = open_page(locale="de-DE")
    for place in PLACES:
        opened(tab, demo, place)
        if place.startswith("#/object/"):
            expect(tab.locator("canvas").first).to_be_visible()
        assert tab.evaluate("document.documentElement.lang") == "de"
        said = tab.evaluate(SAID)
        assert len(said) > 20
        assert not [text for text in said if left_in_english.fullmatch(text)], place
        tab.set_viewport_size(NARROW)
        expect(tab.get_by_role("main")).to_be_visible()
        tab.wait_for_function(f"() => JSON.stringify(({CUT_OFF})()) === '[0,[]]'")
        tab.set_viewport_size({"width": 1280, "height": 800})


def test_the_tools_of_a_plot_are_named_in_german(open_page: OpenPage, demo: Demo) -> None:
    tab = open_page(locale="de-DE")
    opened(tab, demo, PLACES[-1])
    assert titles(tab) == [
        "Durch Ziehen verschieben",
        "Über einen Ausschnitt ziehen, um ihn zu vergrößern",
        "Mit dem Mausrad vergrößern und verkleinern",
        "Als Bild speichern",
    ]
    opened(tab, demo, "#/table/lab_acquisition.Photograph")
    tab.get_by_role("grid").locator('td[data-name="image"] a').first.click()
    assert titles(tab) == [
        "Durch Ziehen verschieben",
        "Mit dem Mausrad vergrößern und verkleinern",
        "Als Bild speichern",
        "Den Wert unter dem Zeiger anzeigen",
    ]


def titles(tab: Tab) -> list[str | None]:
    expect(tab.locator(TOOL)).to_have_count(4)
    return [tool.get_attribute("title") for tool in tab.locator(TOOL).all()]


def test_the_language_that_a_visitor_chooses_stays(open_page: OpenPage, demo: Demo) -> None:
    tab = open_page(visitor="Bob")
    opened(tab, demo, "#/tables")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Tables")
    chosen(tab, "Language", "Deutsch")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Tabellen")
    tab.reload()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Tabellen")
    opened(tab, demo, "#/enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Eingabe")
    chosen(tab, "Sprache", "English")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Enter")


def test_a_refusal_is_in_the_language_of_the_form(open_page: OpenPage, demo: Demo) -> None:
    tab = open_page(locale="de-AT")
    opened(tab, demo, "#/enter/lab_session.Session")
    tab.get_by_role("button", name="Speichern", exact=True).click()
    expect(tab.get_by_role("main")).to_contain_text("Nichts wurde gespeichert")


def chosen(tab: Tab, label: str, name: str) -> None:
    tab.get_by_role("combobox", name=label).select_option(label=name)
