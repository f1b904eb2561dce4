"""The Diagram page in a real browser: selection, opening, search, filters, list, and live status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from tests.browser.live_lab import Served, serve_slow_lab

LONG_MS = 60_000


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serve_slow_lab(tmp_path, monkeypatch) as served:
        yield served


@pytest.fixture
def diagram(lab: Served, page: Tab) -> Tab:
    page.goto(lab.url("#/diagram"))
    expect(node(page, "Item")).to_be_visible(timeout=LONG_MS)
    return page


def node(tab: Tab, name: str) -> Locator:
    return tab.get_by_role("group", name=re.compile("Diagram of the tables")).get_by_role(
        "button", name=re.compile(f"^{name},")
    )


def panel(tab: Tab, name: str) -> Locator:
    return tab.get_by_role("complementary", name=name)


def test_a_click_shows_the_table_and_what_can_be_done(diagram: Tab, lab: Served) -> None:
    node(diagram, "Result").click()
    shown = panel(diagram, "Result")
    expect(shown.get_by_text("what came out", exact=True)).to_be_visible()
    expect(shown.get_by_text("-> Item")).to_be_visible()
    expect(diagram).to_have_url(re.compile(r"#/diagram\?focus=slow\.Result$"))
    shown.get_by_role("button", name="slow.Item").click()
    expect(node(diagram, "Item")).to_have_attribute("aria-pressed", "true")
    expect(panel(diagram, "Item").get_by_role("link", name="Enter")).to_be_visible()
    node(diagram, "Result").click()
    panel(diagram, "Result").get_by_role("link", name="Populate").click()
    expect(diagram.get_by_role("heading", name="Populate Result")).to_be_visible(timeout=LONG_MS)


def test_a_double_click_opens_the_table_and_back_returns_to_the_selection(diagram: Tab, lab: Served) -> None:
    node(diagram, "Result").dblclick()
    expect(diagram.get_by_role("heading", name="table slow.Result")).to_be_visible(timeout=LONG_MS)
    diagram.go_back()
    expect(panel(diagram, "Result")).to_be_visible(timeout=LONG_MS)
    node(diagram, "Result").dblclick()
    expect(diagram.get_by_role("heading", name="table slow.Result")).to_be_visible(timeout=LONG_MS)


def test_the_keyboard_selects_and_opens(diagram: Tab, lab: Served) -> None:
    node(diagram, "Item").focus()
    diagram.keyboard.press("ArrowDown")
    expect(node(diagram, "Result")).to_be_focused()
    diagram.keyboard.press("Space")
    expect(panel(diagram, "Result")).to_be_visible()
    expect(node(diagram, "Result")).to_be_focused()
    diagram.keyboard.press("Enter")
    expect(diagram.get_by_role("heading", name="table slow.Result")).to_be_visible(timeout=LONG_MS)


def test_progress_is_live_and_moves_nothing(diagram: Tab, lab: Served) -> None:
    result = node(diagram, "Result")
    expect(result).to_have_accessible_name(re.compile("0 of 20 done"))
    result.evaluate("e => { window.element = e }")
    place = result.bounding_box()
    lab.module.Item.insert({"item": i} for i in range(21, 31))
    expect(node(diagram, "Item")).to_have_accessible_name(re.compile("30 rows"), timeout=LONG_MS)
    lab.module.Result.populate(reserve_jobs=True, suppress_errors=True)
    expect(result).to_have_accessible_name(re.compile("29 of 30 done, 1 error"), timeout=LONG_MS)
    assert result.evaluate("e => e === window.element")
    assert result.bounding_box() == place


def test_an_address_shows_the_same_view_in_a_fresh_window(lab: Served, page: Tab) -> None:
    page.goto(lab.url("#/diagram?focus=slow.Result&find=came&steps=1"))
    expect(panel(page, "Result")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("searchbox", name="Find a table or attribute")).to_have_value("came")
    expect(page.get_by_role("combobox", name=re.compile("surroundings"))).to_have_value("1")
    expect(page.get_by_text("1 found")).to_be_visible()


def test_the_search_finds_names_comments_and_attributes(diagram: Tab, lab: Served) -> None:
    box = diagram.get_by_role("searchbox", name="Find a table or attribute")
    box.press_sequentially("pid")
    expect(diagram.get_by_text("1 found")).to_be_visible()
    expect(node(diagram, "Result")).to_have_class(re.compile("lit"))
    expect(node(diagram, "Item")).not_to_have_class(re.compile("lit"))
    expect(box).to_be_focused()
    box.fill("<b>nothing")
    expect(diagram.get_by_text("no table found")).to_be_visible()
    assert "find=%3Cb%3Enothing" in diagram.url


def test_only_the_surroundings_are_shown_on_request(diagram: Tab, lab: Served) -> None:
    node(diagram, "Item").click()
    diagram.get_by_role("combobox", name="What is shown of the surroundings of Item").select_option("1")
    expect(node(diagram, "Summary")).to_have_count(0)
    expect(node(diagram, "Result")).to_be_visible()


def test_the_list_says_the_same_in_words(diagram: Tab, lab: Served) -> None:
    diagram.get_by_role("button", name="List", exact=True).click()
    tree = diagram.get_by_role("navigation", name="Tables")
    items = tree.get_by_role("listitem")
    expect(items).to_have_count(3)
    expect(items.first.get_by_role("link")).to_have_text(["Item", "Result", "Summary"])  # each in its parent
    expect(diagram).to_have_url(re.compile("view=list"))
    lab.module.Result.populate(suppress_errors=True)
    expect(items.nth(1).get_by_text("19 rows").first).to_be_visible(timeout=LONG_MS)
    tree.get_by_role("button", name="Show Result in the diagram").click()
    expect(panel(diagram, "Result")).to_be_visible()
    expect(node(diagram, "Result")).to_be_visible()


def test_restrictions_of_the_visitor_count_the_rows_that_match(lab: Served, page: Tab) -> None:
    page.goto(lab.url("#/diagram?r.item=..5&focus=slow.Item"))
    expect(node(page, "Item")).to_have_accessible_name(
        "Item, Manual, 5 of 20, rows that match", timeout=LONG_MS
    )
    expect(node(page, "Result")).to_have_accessible_name(re.compile("0 of 0, rows that match"))
    expect(panel(page, "Item")).to_contain_text("5 of 20 rows")
    lab.module.Item.insert([{"item": -1}, {"item": 21}])
    expect(node(page, "Item")).to_have_accessible_name(re.compile("6 of 22"), timeout=LONG_MS)
    page.get_by_role("button", name="List", exact=True).click()
    expect(page.get_by_role("navigation", name="Tables").get_by_text("6 of 22 rows")).to_be_visible()
    page.get_by_role("button", name="Diagram", exact=True).click()
    expect(node(page, "Item")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Remove item")).click()
    expect(node(page, "Item")).to_have_accessible_name("Item, Manual, 22 rows")
    expect(node(page, "Result")).to_have_accessible_name(re.compile("0 of 22 done"))
    page.goto(lab.url("#/diagram?r.pid=>0"))
    expect(node(page, "Item")).to_have_accessible_name("Item, Manual, all 22 rows, no pid here")
    expect(node(page, "Item")).to_have_class(re.compile("muted"))
    expect(node(page, "Result")).to_have_accessible_name(re.compile("0 of 0, rows that match"))
    page.goto(lab.url("#/diagram?r.pid=many"))
    expect(page.locator(".restriction.off")).to_contain_text("many")
