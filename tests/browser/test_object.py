"""Values of the demo lab on their own page: a trace, an image, an attached file, and what is missing."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.browser.served_demo import Demo

PULSE = {"subject_id": "HV-01", "session_date": "2025-05-05", "session_number": "1", "recording_number": "1"}
CELL = {"subject_id": "CE-01", "session_date": "2025-05-14", "session_number": "1", "recording_number": "1"}

expect.set_options(timeout=30_000)


def test_a_trace_is_drawn_over_time_with_its_unit(page: Tab, demo: Demo) -> None:
    page.goto(demo.url("object", "lab_acquisition.PulseTrace", **PULSE, attribute="pulse"))
    expect(page.get_by_role("heading", name="PulseTrace HV-01 · 2025-05-05 · 1 · 1 · pulse")).to_be_visible()
    expect(page.locator("#main")).to_contain_text("session_number1")
    expect(page.get_by_text("float32").first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    # 2,483 samples at 100 Hz: the axis is in seconds because the row says the rate.
    expect(page.get_by_text(re.compile(r"24\.8")).first).to_be_visible()
    expect(page.get_by_text("from dj_panel.demo.lab.acquisition import PulseTrace")).to_be_visible()


def test_neighbours_are_reached_with_the_keyboard(page: Tab, demo: Demo) -> None:
    page.goto(demo.url("object", "lab_acquisition.PulseTrace", **PULSE, attribute="pulse"))
    expect(page.get_by_role("link", name="Next row")).to_be_visible()
    expect(page.get_by_role("link", name="Previous row")).to_have_count(0)
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("heading", name=re.compile("PulseTrace HV-02 .* pulse"))).to_be_visible()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_role("heading", name=re.compile("PulseTrace HV-01 .* pulse"))).to_be_visible()
    page.get_by_role("link", name="Whole row").click()
    expect(
        page.get_by_role("heading", name="PulseTrace HV-01 · 2025-05-05 · 1 · 1", exact=True)
    ).to_be_visible()


def test_a_zarr_image_is_drawn(page: Tab, demo: Demo) -> None:
    page.goto(demo.url("table", "lab_acquisition.Photograph"))
    page.get_by_role("grid").locator('td[data-name="image"] a').first.click()
    expect(page.get_by_role("heading", name=re.compile("Photograph CE-01 .* image"))).to_be_visible()
    expect(page.get_by_text("Zarr array", exact=True)).to_be_visible()
    expect(page.get_by_text("660 × 550").first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()


def test_an_attached_file_is_shown_and_leaves_nothing_behind(page: Tab, demo: Demo) -> None:
    before = set(demo.temporary.glob("dj-panel-*"))  # of tabs that were closed a moment ago
    page.goto(demo.url("object", "lab_acquisition.PulseTrace", **PULSE, attribute="source_file"))
    expect(page.get_by_role("button", name=re.compile("Download"))).to_be_visible()
    (folder,) = set(demo.temporary.glob("dj-panel-*")) - before
    assert [path.name for path in folder.iterdir()] == ["data.csv"]
    page.goto(demo.address + "#/tables")
    expect(page.get_by_label("Filter the tables")).to_be_visible()
    assert not folder.exists()
    assert not list(demo.folder.rglob("downloads/*"))


def test_a_figure_and_an_inline_blob_are_shown_on_the_page_of_the_row(page: Tab, demo: Demo) -> None:
    page.goto(demo.url("record", "lab_analysis.HeartRate", **PULSE))
    expect(page.get_by_role("link", name="beat_times", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="figure", exact=True)).to_be_visible()
    expect(page.locator("canvas").nth(1)).to_be_visible()


def test_a_missing_object_says_so_and_the_page_goes_on(page: Tab, demo: Demo) -> None:
    stored = next((demo.folder / "lab" / "store").rglob("subject_id=HV-01*/**/pulse_*.npy"))
    with tempfile.TemporaryDirectory() as folder:
        shutil.move(stored, folder)
        page.goto(demo.url("object", "lab_acquisition.PulseTrace", **PULSE, attribute="pulse"))
        expect(page.get_by_role("alert").filter(has_text="This value cannot be shown")).to_be_visible()
        expect(page.get_by_role("alert").filter(has_text=stored.name)).to_be_visible()
        page.goto(demo.url("table", "lab_acquisition.PulseTrace"))
        expect(page.get_by_role("link", name="float32 (2,483)")).to_be_visible()
        shutil.move(Path(folder) / stored.name, stored)


def test_an_attribute_or_a_row_that_there_is_not_is_named(page: Tab, demo: Demo) -> None:
    page.goto(demo.url("object", "lab_acquisition.PulseTrace", **PULSE, attribute="puls"))
    expect(page.get_by_text("Did you mean 'pulse'?")).to_be_visible()
    page.goto(
        demo.url("object", "lab_acquisition.PulseTrace", **{**PULSE, "subject_id": "ZZ"}, attribute="pulse")
    )
    expect(page.get_by_text("There is no such row")).to_be_visible()
