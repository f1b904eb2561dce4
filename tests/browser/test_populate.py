"""The Populate pages in a real browser: start, progress, failures, retry, stop, and other people's work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from dj_panel.apps.browse import TablePage
from tests.browser.live_lab import Served, serve_slow_lab
from tests.slow_lab import BAD_ITEM, made, wait_until

LONG_MS = 60_000
DONE = re.compile(r"(\d+) of (\d+) done")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serve_slow_lab(tmp_path, monkeypatch) as served:
        yield served


@pytest.fixture
def result(lab: Served, page: Tab) -> Tab:
    """Give the page of the table Result."""
    page.goto(lab.url(f"#/populate/{lab.table('Result')}"))
    expect(page.get_by_role("heading", name="Populate Result")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=LONG_MS)
    return page


def bar(tab: Tab) -> Locator:
    return tab.get_by_role("img", name=DONE)


def test_a_started_computation_is_followed_to_its_end(result: Tab, lab: Served) -> None:
    (lab.folder / "pause").write_text("1")
    expect(result.get_by_text("20 keys of Result will be computed.")).to_be_visible()
    # Everything that the bar says is kept by the page itself, so that nothing is missed.
    bar(result).evaluate(
        """bar => { window.seen = new Set([bar.getAttribute('aria-label')])
        new MutationObserver(() => window.seen.add(bar.getAttribute('aria-label')))
          .observe(bar, {attributes: true}) }"""
    )
    result.get_by_role("button", name="Start").click()
    expect(result.get_by_role("button", name="Stop")).to_be_visible()
    expect(result.get_by_role("heading", name="Being computed")).to_be_visible(timeout=LONG_MS)
    result.wait_for_function("window.seen.size > 5", timeout=LONG_MS)
    (lab.folder / "pause").write_text("0")
    expect(result.get_by_role("img", name="19 of 20 done, 1 failed")).to_be_visible(timeout=LONG_MS)
    expect(result.get_by_role("button", name="Start")).to_have_attribute(
        "aria-disabled", "true", timeout=LONG_MS
    )
    counts = {int(m[1]) for text in result.evaluate("[...window.seen]") if (m := DONE.match(text))}
    assert len(counts) >= 5
    assert {0, 19} <= counts
    expect(result.get_by_text("95 %")).to_be_visible()


def test_a_failed_key_shows_why_and_is_computed_after_a_retry(result: Tab, lab: Served) -> None:
    result.get_by_role("button", name="Start").click()
    failed = result.get_by_role("region", name="Failed")
    expect(failed.get_by_text(f"ValueError: no peak in item {BAD_ITEM} <b>of</b> 'rig 1'")).to_be_visible(
        timeout=LONG_MS
    )
    expect(result.get_by_role("button", name="Start")).to_be_visible(timeout=LONG_MS)
    failed.get_by_text("Traceback").click()
    trace = failed.locator("pre")
    expect(trace).to_contain_text("raise ValueError")
    box, around = trace.bounding_box(), failed.bounding_box()
    assert box is not None
    assert around is not None
    assert box["width"] < around["width"]  # long lines scroll within
    (lab.folder / "mended").touch()
    failed.get_by_role("button", name=f"Retry item {BAD_ITEM}").click()
    expect(failed).to_have_count(0)
    expect(result.get_by_text("1 job is back in the queue.")).to_be_visible()
    expect(result.get_by_text("1 key of Result will be computed.")).to_be_visible()
    result.get_by_role("button", name="Start now").click()
    expect(result.get_by_role("img", name="20 of 20 done")).to_be_visible(timeout=LONG_MS)
    expect(result.get_by_text("100 %")).to_be_visible()


def test_stop_lets_the_present_key_be_finished(result: Tab, lab: Served) -> None:
    (lab.folder / "hold").touch()
    result.get_by_role("button", name="Start").click()
    wait_until(lambda: made(lab.folder), "a key was taken")
    item = made(lab.folder)[0][1]
    running = result.get_by_role("region", name="Being computed")
    expect(running.get_by_text(f"item{item}")).to_be_visible()
    result.get_by_role("button", name="Stop").click()
    expect(result.get_by_role("button", name="Stopping …")).to_be_visible()
    (lab.folder / "hold").unlink()
    expect(result.get_by_role("button", name="Start")).to_be_visible(timeout=LONG_MS)
    expect(result.get_by_role("img", name="1 of 20 done")).to_be_visible()
    assert [row["item"] for row in lab.module.Result.to_dicts()] == [item]


def test_everything_works_with_the_keyboard_and_the_focus_stays(result: Tab, lab: Served) -> None:
    (lab.folder / "hold").touch()
    result.get_by_role("heading", name="Populate Result").focus()
    for _ in range(12):
        result.keyboard.press("Tab")
        if focused(result) == "Start":
            break
    result.keyboard.press("Tab")
    result.keyboard.press("ArrowDown")
    expect(result.get_by_role("combobox", name="Workers")).to_have_value("2")
    result.keyboard.press("Shift+Tab")
    result.keyboard.press("Enter")
    expect(result.get_by_role("button", name="Stop")).to_be_focused(timeout=LONG_MS)
    wait_until(lambda: len({pid for pid, _ in made(lab.folder)}) == 2, "two workers were at work")
    expect(result.get_by_text("2 workers at work.")).to_be_visible(timeout=LONG_MS)
    result.keyboard.press("Enter")
    expect(result.get_by_role("button", name="Stopping …")).to_be_focused()
    (lab.folder / "hold").unlink()
    expect(result.get_by_role("button", name="Start")).to_be_focused(timeout=LONG_MS)
    assert len(lab.module.Result()) == 2


def focused(tab: Tab) -> str:
    return str(
        tab.evaluate(
            """() => { let e = document.activeElement
            while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement
            return e?.textContent?.trim() ?? '' }"""
        )
    )


def test_work_of_another_program_is_visible_and_moves_nothing(result: Tab, lab: Served) -> None:
    lab.module.Result.populate(reserve_jobs=True, suppress_errors=True, max_calls=14)
    failed = result.get_by_role("region", name="Failed")
    expect(failed).to_be_visible(timeout=LONG_MS)
    expect(result.get_by_role("img", name="13 of 20 done, 1 failed")).to_be_visible()
    failed.get_by_text("Traceback").click()
    trace = failed.locator("pre")
    expect(trace).to_contain_text("raise ValueError")
    trace.evaluate("e => { window.trace = e; getSelection().selectAllChildren(e) }")
    selected = result.evaluate("String(getSelection())")
    scroll = result.evaluate("document.getElementById('main').scrollTop = 40")
    lab.module.Result.populate(suppress_errors=True)  # without the queue
    expect(result.get_by_role("img", name="19 of 20 done, 1 failed")).to_be_visible(timeout=LONG_MS)
    assert trace.evaluate("e => e === window.trace")
    assert result.evaluate("String(getSelection())") == selected
    assert result.evaluate("document.getElementById('main').scrollTop") in (scroll, 0)


def test_a_job_of_a_killed_worker_is_released(result: Tab, lab: Served) -> None:
    (lab.folder / "hold").touch()
    result.get_by_role("button", name="Start").click()
    wait_until(lambda: made(lab.folder), "a key was taken")
    for child in lab.services.working._children:
        child.process.kill()
    message = result.get_by_text("1 job was reserved by a worker that is gone.")
    expect(message).to_be_visible(timeout=LONG_MS)
    (lab.folder / "hold").unlink()
    result.get_by_role("button", name="Release").click()
    expect(message).to_have_count(0)
    expect(result.get_by_text("20 keys of Result will be computed.")).to_be_visible()


def test_all_tables_are_started_together(lab: Served, page: Tab) -> None:
    (lab.folder / "mended").touch()
    page.goto(lab.url("#/populate"))
    expect(page.get_by_role("row", name=re.compile("Summary"))).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name="Start all").click()
    for name in ("Result", "Summary"):
        row = page.get_by_role("row", name=re.compile(name))
        expect(row.get_by_role("img", name="20 of 20 done")).to_be_visible(timeout=LONG_MS)
    page.get_by_role("link", name="Summary").click()
    expect(page.get_by_role("heading", name="Populate Summary")).to_be_visible(timeout=LONG_MS)


def test_without_code_the_page_says_why_nothing_can_be_started(
    page: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_slow_lab(tmp_path, monkeypatch, has_code=False) as lab:
        page.goto(lab.url(f"#/populate/{lab.table('Result')}"))
        expect(page.get_by_text("served from the database alone")).to_be_visible(timeout=LONG_MS)
        expect(page.get_by_role("button", name="Start")).to_have_count(0)
        lab.module.Result.populate(suppress_errors=True)
        expect(page.get_by_role("img", name="19 of 20 done")).to_be_visible(timeout=LONG_MS)
        page.close()


def test_a_table_that_people_fill_is_not_offered(lab: Served, page: Tab) -> None:
    page.goto(lab.url(f"#/populate/{lab.table('Item')}"))
    expect(page.get_by_role("heading", name="Item is not computed")).to_be_visible(timeout=LONG_MS)


def test_what_a_row_lacks_is_computed_from_its_page(lab: Served, page: Tab) -> None:
    page.goto(lab.url(f"#/record/{lab.table('Item')}?item=3"))
    made_from = page.get_by_role("region", name="Computed from this row")
    expect(made_from.get_by_role("listitem")).to_have_text(
        ["slow.Result 0 of 1 done", "slow.Summary nothing to compute yet"], timeout=LONG_MS
    )
    (lab.folder / "hold").touch()
    button = page.get_by_role("button", name="Compute what is missing")
    button.focus()
    page.keyboard.press("Enter")
    working = page.get_by_role("button", name="Computing …")
    expect(working).to_be_focused()
    expect(made_from.get_by_text("0 of 1 done, being computed")).to_be_visible(timeout=LONG_MS)
    page.keyboard.press("Enter")  # once more starts nothing
    (lab.folder / "hold").unlink()
    expect(made_from.get_by_text("1 of 1 done")).to_have_count(2, timeout=LONG_MS)
    expect(page.get_by_role("button", name="Nothing is missing")).to_be_focused(timeout=LONG_MS)
    assert [number for _, number in made(lab.folder)] == [3]


def test_what_selected_rows_lack_is_computed_from_their_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Tab
) -> None:
    with serve_slow_lab(tmp_path, monkeypatch, more_pages={"table": TablePage}) as lab:
        page.goto(lab.url(f"#/table/{lab.table('Item')}?select=3;5"))
        expect(page.get_by_text("2 rows selected")).to_be_visible(timeout=LONG_MS)
        page.get_by_role("button", name="Compute selected").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Computing what is missing of 2 rows.")).to_be_visible(timeout=LONG_MS)
        wait_until(lambda: sorted(n for _, n in made(lab.folder)) == [3, 5], "both rows were computed")
        page.get_by_role("link", name="Follow it").click()
        expect(page.get_by_role("heading", name="Populate Result")).to_be_visible(timeout=LONG_MS)
        wait_until(lambda: not lab.services.working.running(), "the work came to its end")
        page.goto("about:blank")  # before its server stops
