"""Importing rows in a real browser: pasted, checked, corrected at the cell, written once, taken back."""

from __future__ import annotations

import asyncio
import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, WebSocketRoute, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.browse import TablePage
from dj_panel.apps.importing import ImportPage
from dj_panel.apps.markup import html_pane
from dj_panel.apps.page import Page
from dj_panel.apps.services import Services
from dj_panel.apps.services.mapping import REASON_HEADER
from dj_panel.apps.services.rowchecks import RowChecker
from dj_panel.apps.site import RunningSite, Site, serve
from tests.entry_tables import HOSTILE, declare


class Plain(Page):
    """Stands for the pages that links lead to."""

    title = "Elsewhere"

    async def load(self) -> Any:
        return html_pane("<p>elsewhere</p>")


# A busy machine makes a page slow, and no promise false.
expect.set_options(timeout=60_000)

PAGES: dict[str, type[Page]] = {"home": Plain, "table": TablePage, "enter": Plain, "import": ImportPage}


class Lab:
    """A served pipeline and the page that a test looks at."""

    def __init__(self, running: RunningSite, services: Services, tab: Tab) -> None:
        self.running = running
        self.services = services
        self.tab = tab
        self.schema = services.tables()[0].schema

    def rows(self, table: str) -> Any:
        return self.services.pipeline[f"{self.schema}.{table}"]()

    def open(self, table: str) -> Tab:
        self.tab.goto("about:blank")
        self.tab.goto(f"{self.running.url}#/import/{self.schema}.{table}")
        expect(self.tab.get_by_label("Rows from a spreadsheet")).to_be_focused()
        return self.tab

    def paste(self, text: str) -> None:
        box = self.tab.get_by_label("Rows from a spreadsheet")
        box.fill(text)
        box.press("Control+Enter")

    def chip(self, name: str) -> Locator:
        return self.tab.get_by_role("group", name="Rows by class").get_by_role("button", name=name)

    def bad(self) -> Locator:
        return self.tab.locator("td[aria-invalid=true]")


@pytest.fixture
def lab(schema: dj.Schema, page: Tab, port: int) -> Iterator[Lab]:
    services = Services(declare(schema))
    running = serve(Site(PAGES, services, title="Test lab", user="ana"), port=port, threaded=True)
    lab = Lab(running, services, page)
    yield lab
    page.goto("about:blank")
    running.stop()
    services.close()


def test_a_thousand_rows_with_seven_bad_are_pasted_corrected_imported_and_taken_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        3: ("species", "cow"), 77: ("sex", "x"), 200: ("birth", "31/31/2026"), 333: ("weight", "heavy"),
        501: ("temperature", "1,5,2"), 760: ("subject_id", "M0000000012"), 999: ("is_active", "perhaps"),
    }  # fmt: skip
    names = ["subject_id", "species", "sex", "birth", "weight", "temperature", "is_active"]
    lines = ["\t".join(names)]
    for n in range(1000):
        row = dict(zip(names, (f"M{n:04d}", "mouse", "F", "2026-01-02", "20.5", "37.1", "yes"), strict=True))
        row |= dict([wrong[n]]) if n in wrong else {}
        lines.append("\t".join(row.values()))
    tab = lab.open("Subject")
    lab.paste("\n".join(lines))
    expect(lab.chip("Invalid")).to_contain_text("7")
    expect(lab.chip("New")).to_contain_text("993")
    expect(tab.get_by_role("button", name="Import all 1,000 rows")).to_have_attribute("aria-disabled", "true")
    assert len(lab.rows("Subject")) == 0
    lab.chip("Invalid").click()
    expect(lab.bad()).to_have_count(7)
    for cell, (position, (_, text)) in zip(lab.bad().all(), wrong.items(), strict=True):
        expect(cell.locator("xpath=..").get_by_role("rowheader")).to_have_text(str(position + 2))
        expect(cell.locator(".text")).to_have_text(text)
        expect(cell.locator(".message")).not_to_be_empty()
    # with the keyboard alone: F8 goes to the next problem, a letter begins to edit, Enter keeps it
    lab.chip("All").click()
    expect(tab.get_by_text("1–50 of 1,000")).to_be_visible()
    page_of = lab.services.importing.page

    async def slow(*wanted: Any) -> Any:
        await asyncio.sleep(0.2)
        return await page_of(*wanted)

    # While a page is read, the visitor asks for the next.
    monkeypatch.setattr(lab.services.importing, "page", slow)
    right = ["mouse", "F", "2026-01-02", "20.5", "37.1", "M0760", "yes"]
    tab.locator("tbody td[tabindex='0']").focus()
    for number, text in enumerate(right, 1):
        tab.keyboard.press("F8")
        expect(tab.locator("td[aria-invalid=true]:focus")).to_have_count(1)
        tab.keyboard.type(text)
        tab.keyboard.press("Enter")
        tab.keyboard.type("going on")  # in the cell below, while the server checks the one above
        expect(lab.chip("Invalid")).to_contain_text(str(7 - number))
        expect(tab.locator("tbody input:focus")).to_have_value("going on")
        tab.keyboard.press("Escape")
        if number == 4:
            monkeypatch.undo()
    tab.get_by_role("button", name="Import 1,000 rows").dblclick()
    expect(tab.get_by_text("Imported 1,000 rows into")).to_be_visible()
    assert len(lab.rows("Subject")) == 1000
    lab.rows("Subject").insert1({"subject_id": "ZZ", "species": "mouse"})
    tab.get_by_role("link", name="Look at the rows").click()
    expect(tab.get_by_text("Only the rows that one import wrote are shown.")).to_be_visible()
    expect(tab.get_by_text(re.compile("^1,000 .*rows match"))).to_be_visible()
    tab.get_by_role("link", name="Show all rows").click()
    expect(tab.get_by_text("1,001 rows", exact=True)).to_be_visible()
    expect(tab.get_by_text("Only the rows that one import wrote are shown.")).to_be_hidden()
    (lab.rows("Subject") & {"subject_id": "ZZ"}).delete()
    for _ in range(2):
        tab.go_back()
    expect(tab.get_by_text("Imported 1,000 rows into")).to_be_visible()
    tab.reload()
    tab.get_by_role("button", name="Undo import").click()
    expect(tab.get_by_text("Taken back: 1,000 rows")).to_be_visible()
    assert len(lab.rows("Subject")) == 0


# What the page alone decides is tried on one server.
on_one_server = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@on_one_server
def test_a_file_of_another_kind_gets_a_message_and_hostile_text_stays_text(lab: Lab, tmp_path: Path) -> None:
    tab = lab.open("Subject")
    picture = tmp_path / "photo.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    tab.get_by_label("A file", exact=True).set_input_files(picture)
    expect(tab.get_by_role("alert")).to_contain_text("This is no table")
    tab.get_by_role("link", name="Another file").click()
    expect(tab.get_by_label("Rows from a spreadsheet")).to_be_focused()
    file = tmp_path / f"{HOSTILE}.csv".replace("/", "")
    with file.open("w", newline="") as out:
        csv.writer(out, delimiter=";").writerows(
            [
                ["Subject ID", "Species", HOSTILE, "Remarks", "temperature"],
                [HOSTILE, HOSTILE, "", "=1+1", "1,234"],
            ]
        )
    tab.get_by_label("A file", exact=True).set_input_files(file)
    expect(tab.get_by_text("What does 1,234 mean in this file?")).to_be_visible()
    tab.get_by_role("button", name="1.234 (decimal comma)").click()
    expect(tab.get_by_text("What does 1,234 mean in this file?")).to_have_count(0)
    expect(tab.get_by_text(f"4 of 5 columns are used; ignored: {HOSTILE}")).to_be_visible()
    expect(lab.bad()).to_have_count(2)
    expect(lab.bad().nth(1).locator(".text")).to_have_text(HOSTILE)
    with tab.expect_download() as download:
        tab.get_by_role("button", name=re.compile("Download 1 rejected")).click()
    rows = list(csv.reader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
    assert rows[0][-1] == REASON_HEADER
    assert rows[1][3] == "'=1+1"
    assert "broken in" not in tab.title()
    answer = Axe().run(tab, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response
    assert answer["passes"]
    assert [v["id"] for v in answer["violations"] if v["impact"] in ("serious", "critical")] == []
    for width in (320, 1280):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


@on_one_server
def test_what_is_left_out_is_found_with_f8_from_anywhere_corrected_and_imported_and_what_was_pasted_is_kept(
    lab: Lab,
) -> None:
    uid = "0f0e0d0c-0b0a-0908-0706-050403020100"
    pasted = f"subject_id\tspecies\tbirth\tuid\nA\trat\t1.2.2026\t{uid}\nB\tcow\t\t\nC\trat\t2026-02-31\t\n"
    tab = lab.open("Subject")
    lab.paste(pasted)
    headline = tab.locator("h2[data-arrival]")
    expect(headline).to_have_text("2 rows need a correction")
    expect(headline).to_be_focused()
    expect(tab.locator("td .read")).to_have_text("read as 2026-02-01")
    width, height = (
        tab.get_by_role("gridcell")
        .filter(has_text=uid)
        .evaluate("cell => [cell.offsetWidth, cell.offsetHeight]")
    )
    assert width > 200, "a UUID stands in one line"
    assert height < 60
    tab.go_back()
    expect(tab.get_by_label("Rows from a spreadsheet")).to_have_value(pasted)
    expect(tab.get_by_text("The rows that you pasted are still here.")).to_be_visible()
    tab.go_forward()
    expect(headline).to_be_focused()
    tab.get_by_role("button", name="Import only the 1 valid row").click()
    expect(headline).to_have_text("2 rows need a correction")
    expect(headline).to_be_focused()
    expect(tab.get_by_role("button", name="Undo import of 1 row")).to_be_visible()
    expect(tab.get_by_role("button", name="Download 2 rejected rows")).to_be_visible()
    for text, left in (("mouse", "1 row needs a correction"), ("2026-02-28", "2 rows can be imported")):
        tab.keyboard.press("F8")
        expect(tab.locator("td[aria-invalid=true]:focus")).to_have_count(1)
        tab.keyboard.type(text)
        tab.keyboard.press("Enter")
        expect(headline).to_have_text(left)
        tab.get_by_role("button", name="Check again").focus()
    tab.get_by_role("button", name="Import 2 rows").click()
    expect(headline).to_have_text("Imported")
    assert len(lab.rows("Subject")) == 3
    tab.get_by_role("button", name="Undo import of 2 rows").click()
    expect(tab.get_by_text("Taken back: 2 rows")).to_be_visible()
    assert lab.rows("Subject").to_arrays("subject_id").tolist() == ["A"]
    tab.get_by_role("link", name="Another file").click()
    box = tab.get_by_label("Rows from a spreadsheet")
    expect(box).to_be_focused()
    expect(box).to_have_value("")
    expect(tab.get_by_text("Pasted rows taken back")).to_be_visible()
    answer = Axe().run(tab, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response
    assert [v["id"] for v in answer["violations"] if v["impact"] in ("serious", "critical")] == []


@on_one_server
@pytest.mark.parametrize("seconds", [0.0, 0.7], ids=["at once", "slowly"])
def test_days_without_a_time_and_fractions_of_a_second_come_in_only_if_that_is_chosen(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    check = RowChecker.check

    def slowly(*args: Any) -> None:
        time.sleep(seconds)
        check(*args)

    monkeypatch.setattr(RowChecker, "check", slowly)
    tab = lab.open("Subject")
    rows = [("A", "2026-03-31"), ("B", "2026-03-31 12:30:00.6"), ("C", "2026-03-31 12:30:00.000")]
    lab.paste("subject_id\tspecies\tcreated\n" + "".join(f"{name}\trat\t{text}\n" for name, text in rows))
    headline = tab.locator("h2[data-arrival]")
    expect(headline).to_have_text("2 rows need a correction")
    expect(lab.bad().nth(0)).to_contain_text("write 2026-03-31 00:00:00 if midnight is meant")
    expect(lab.bad().nth(1)).to_contain_text(
        "parts of a second that are not kept here; write 2026-03-31 12:30:00"
    )
    midnight = tab.get_by_role("checkbox", name="A day without a time is midnight (1 cell)")
    cut = tab.get_by_role("checkbox", name="Cut fractions of a second that are not kept (1 cell)")
    expect(midnight).not_to_be_checked()
    expect(cut).not_to_be_checked()
    for _ in range(10):
        tab.keyboard.press("Tab")
        if midnight.evaluate("box => box.matches(':focus')"):
            break
    expect(midnight).to_be_focused()
    tab.keyboard.press("Space")
    expect(headline).to_have_text("1 row needs a correction")
    expect(midnight).to_be_focused()
    tab.keyboard.press("Tab")
    expect(cut).to_be_focused()
    tab.keyboard.press("Space")
    expect(headline).to_have_text("3 rows can be imported")
    expect(
        tab.get_by_text("1 day without a time is midnight; fractions of a second are cut in 1 cell")
    ).to_be_visible()
    expect(tab.locator("td .read")).to_have_text(
        ["read as 2026-03-31 00:00:00", "read as 2026-03-31 12:30:00"]
    )
    answer = Axe().run(tab, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}).response
    assert [v["id"] for v in answer["violations"] if v["impact"] in ("serious", "critical")] == []
    tab.get_by_role("button", name="Import 3 rows").press("Enter")
    expect(headline).to_have_text("Imported")
    moments = lab.rows("Subject").to_arrays("created", order_by="subject_id")
    assert [str(moment) for moment in moments] == ["2026-03-31 00:00:00", *["2026-03-31 12:30:00"] * 2]


@on_one_server
def test_a_connection_that_is_cut_while_a_file_is_sent_leaves_a_message_and_no_row(lab: Lab) -> None:
    is_cut: list[bool] = []

    def forward(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def send(message: str | bytes) -> None:
            if "piece" in str(message) and not is_cut:
                is_cut.append(True)
            if not is_cut:
                server.send(message)

        route.on_message(send)

    lab.tab.route_web_socket(re.compile("/ws"), forward)
    lab.tab.clock.install()
    tab = lab.open("Person")
    lab.paste("person\ncy\n")
    expect(tab.get_by_text("Sending Pasted rows")).to_be_visible()
    while not is_cut:
        tab.wait_for_timeout(50)
    tab.clock.fast_forward(60_000)
    expect(tab.get_by_role("alert")).to_contain_text("The server does not answer. Nothing was imported.")
    expect(tab.get_by_label("Rows from a spreadsheet")).to_have_value("person\ncy\n")
    assert len(lab.rows("Person")) == 0
