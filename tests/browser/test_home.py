"""Home in a real browser: what is done and what is stuck, live."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from tests.browser.live_lab import Served, serve_slow_lab
from tests.slow_lab import BAD_ITEM

LONG_MS = 60_000


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serve_slow_lab(tmp_path, monkeypatch) as served:
        yield served


@pytest.fixture
def home(lab: Served, page: Tab) -> Tab:
    page.goto(lab.url())
    expect(page.get_by_role("heading", name="Needs attention")).to_be_visible(timeout=LONG_MS)
    return page


def row(tab: Tab, name: str) -> Locator:
    return tab.get_by_role("row", name=re.compile(f"{name} "))


def test_rows_that_others_insert_appear_without_a_reload(home: Tab, lab: Served) -> None:
    expect(row(home, "Item").get_by_role("cell", name="20", exact=True)).to_be_visible()
    home.evaluate("window.isTheSame = true")
    lab.module.Item.insert({"item": i} for i in range(21, 26))
    expect(row(home, "Item").get_by_role("cell", name="25", exact=True)).to_be_visible(timeout=LONG_MS)
    expect(row(home, "Result").get_by_role("img", name="0 of 25 done")).to_be_visible()
    assert home.evaluate("window.isTheSame")


def test_what_waits_and_what_failed_leads_to_where_it_is_put_right(home: Tab, lab: Served) -> None:
    attention = home.get_by_role("region", name="Needs attention")
    expect(attention.get_by_text("20 keys are ready to be computed")).to_be_visible()
    lab.module.Result.populate(reserve_jobs=True, suppress_errors=True)
    cause = attention.get_by_text(f"ValueError: no peak in item {BAD_ITEM} <b>of</b> 'rig 1'")
    expect(cause).to_be_visible(timeout=LONG_MS)
    expect(attention.get_by_text("1 job failed")).to_be_visible()
    expect(home.get_by_role("list", name="Summary")).to_contain_text("1failed")
    expect(row(home, "Result").get_by_text("1 failed").last).to_be_visible()
    attention.get_by_role("link", name="Look into Result").click()
    expect(home.get_by_role("heading", name="Populate Result")).to_be_visible(timeout=LONG_MS)


def test_jobs_of_a_worker_that_is_gone_are_released_here(home: Tab, lab: Served) -> None:
    queue = lab.module.Result.jobs
    queue.refresh(delay=-1)
    assert queue.reserve({"item": 1})
    expect(row(home, "Result").get_by_text("1 running")).to_be_visible(timeout=LONG_MS)
    queue.update1({"item": 1, "pid": 4_190_000})  # no process has this number
    queue.reserve({"item": 2})
    attention = home.get_by_role("region", name="Needs attention")
    expect(attention.get_by_text("still reserved by a worker that is gone")).to_be_visible(timeout=LONG_MS)
    attention.get_by_role("button", name="Release the jobs of Result").click()
    expect(attention.get_by_text("still reserved")).to_have_count(0, timeout=LONG_MS)
    assert queue.progress()["reserved"] == 1  # that of a living process is left alone


def test_links_lead_to_tables_and_forms(home: Tab, lab: Served) -> None:
    home.get_by_role("link", name="Add Item").click()
    expect(home.get_by_role("heading", name="enter slow.Item")).to_be_visible(timeout=LONG_MS)
    home.go_back()
    row(home, "Result").get_by_role("link", name="Result", exact=True).click()
    expect(home.get_by_role("heading", name="table slow.Result")).to_be_visible(timeout=LONG_MS)


def test_a_pipeline_without_rows_says_where_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: object
) -> None:
    with serve_slow_lab(tmp_path, monkeypatch, n_items=0) as lab:
        tab = open_page()  # type: ignore[operator]
        tab.goto(lab.url())
        expect(tab.get_by_text("Nothing has been entered yet.")).to_be_visible(timeout=LONG_MS)
        tab.get_by_role("link", name="Enter the first Item").click()
        expect(tab.get_by_role("heading", name="enter slow.Item")).to_be_visible(timeout=LONG_MS)
        tab.close()


def test_a_database_that_is_gone_is_told_and_the_last_figures_stay(
    home: Tab, lab: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("the disk has burnt")

    monkeypatch.setattr(lab.services.watcher, "read", fail)
    lab.services.watcher.poke()
    expect(home.get_by_role("alert").get_by_text("The status cannot be read")).to_be_visible(timeout=LONG_MS)
    expect(row(home, "Item").get_by_role("cell", name="20", exact=True)).to_be_visible()
    monkeypatch.undo()
    lab.services.watcher.poke()
    expect(home.get_by_text("Live · as of")).to_be_visible(timeout=LONG_MS)


def test_a_closed_page_is_told_nothing_more(home: Tab, lab: Served) -> None:
    watchers = lab.services.watcher._watchers
    assert len(watchers) == 1
    home.get_by_role("link", name="Add Item").click()
    expect(home.get_by_role("heading", name="enter slow.Item")).to_be_visible(timeout=LONG_MS)
    assert len(watchers) == 0
