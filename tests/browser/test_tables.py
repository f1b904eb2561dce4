"""The list of tables, the rows of a table and single rows in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from panel.viewable import Viewable
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.browse import TablePage, TablesPage
from dj_panel.apps.entry import EnterPage
from dj_panel.apps.markup import html_pane
from dj_panel.apps.objects import ObjectPage
from dj_panel.apps.page import Page
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.record import RecordPage
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services import Services, paging
from dj_panel.apps.site import RunningSite, Site, serve
from dj_panel.core.errors import QueryTimeoutError
from dj_panel.core.settings import Settings
from tests.servers import MariaDBServer

expect.set_options(timeout=30_000)
N_ANIMALS = 130
HOSTILE = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>\'"&{{7*7}}`${1}`'


class Note(Page):
    """Says where the visitor has come to."""

    async def load(self) -> Viewable:
        self.title = self.visit.route.page
        return html_pane("<p>Elsewhere</p>")


@dataclass
class Lab:
    """A site over a few tables, and the tables."""

    running: RunningSite
    services: Services
    tables: dict[str, Any]

    def url(self, page: str, *path: str, **query: str) -> str:
        return self.running.url + format_route(Route(page, path, query))


@pytest.fixture(scope="module", params=["sqlite"])
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kept_tab: Tab
) -> Iterator[Lab]:
    """Give a served lab; on SQLite, unless a test asks for it on each server."""
    folder = tmp_path_factory.mktemp("tables")
    settings = Settings()
    if request.param == "sqlite":
        settings["database.backend"], settings["database.name"] = "sqlite", str(folder / "lab.db")
    else:
        server: MariaDBServer = request.getfixturevalue("mariadb")
        for name in ("host", "port", "user", "password"):
            settings[f"database.{name}"] = getattr(server, name)
    settings["safemode"] = False
    connection = dj.Connection(settings)
    schema = dj.Schema("lab", connection=connection)
    tables = declare(schema)
    pipeline = Pipeline(
        "Test lab", connection, MappingProxyType({app_name(cls().name): cls for cls in tables.values()})
    )
    services = Services(pipeline)
    pages: dict[str, type[Page]] = dict.fromkeys(("home", "populate", "diagram"), Note)
    pages |= {
        "enter": EnterPage,
        "tables": TablesPage,
        "table": TablePage,
        "record": RecordPage,
        "object": ObjectPage,
    }
    running = serve(Site(pages, services, "Test lab"), threaded=True)
    yield Lab(running, services, tables)
    kept_tab.goto("about:blank")  # it would miss its server, and say so to the test that follows
    running.stop()
    schema.drop(prompt=False)
    services.close()


def declare(schema: dj.Schema) -> dict[str, Any]:
    @schema
    class Animal(dj.Manual):
        definition = """
        # animals, tame and <b>wild</b>
        animal_id : varchar(16)     # name on the <i>cage</i>
        ---
        born : date                 # day of <i>birth</i>
        weight = null : decimal(6,2)  # (g) on arrival
        sex = 'U' : enum('M', 'F', 'U')
        note = '' : varchar(400)
        big = null : int64
        """

    @schema
    class Visit(dj.Manual):
        definition = """
        # visits of animals
        -> Animal
        visit : int16
        ---
        -> [nullable] Animal.proj(companion="animal_id")
        trace = null : <blob>
        """

        class Step(dj.Part):
            definition = """
            -> master
            step : int16
            ---
            text : varchar(200)
            """

    @schema
    class Score(dj.Computed):
        definition = """
        # scores, computed
        -> Visit
        ---
        score : float64
        """

    @schema
    class Nothing(dj.Manual):
        definition = """
        # a table without rows
        nothing : int32
        """

    Animal.insert(
        {
            "animal_id": f"A{number:03}",
            "born": f"2026-01-{1 + number % 28:02}",
            "weight": None if number % 10 == 9 else f"{number}.50",
            "sex": "MFU"[number % 3],
            "big": 2**53 + 1 + number,
        }
        for number in range(N_ANIMALS)
    )
    Animal.insert1({"animal_id": "evil", "born": "2025-12-31", "note": HOSTILE})
    Visit.insert(
        [
            {"animal_id": "A001", "visit": 1, "companion": "A002", "trace": np.sin(np.arange(500) / 9)},
            {"animal_id": "A001", "visit": 2, "companion": None, "trace": None},
            {"animal_id": "evil", "visit": 1, "companion": None, "trace": None},
        ]
    )
    Visit.Step.insert({"animal_id": "A001", "visit": 1, "step": n, "text": f"step {n}"} for n in range(12))
    Visit.Step.insert1({"animal_id": "evil", "visit": 1, "step": 1, "text": HOSTILE})
    Score.insert1({"animal_id": "A001", "visit": 1, "score": 0.25}, allow_direct_insert=True)
    return {"Animal": Animal, "Visit": Visit, "Step": Visit.Step, "Score": Score, "Nothing": Nothing}


@pytest.fixture
def page(kept_page: Tab) -> Tab:
    """Give one page to all tests, which go on within it."""
    return kept_page


@pytest.fixture
def animals(page: Tab, lab: Lab) -> Tab:
    """Give a page that shows the animals."""
    page.goto(lab.url("table", "lab.Animal"))
    expect(grid(page).get_by_role("row", name=re.compile("A000 "))).to_be_visible()
    return page


def grid(page: Tab) -> Locator:
    return page.get_by_role("grid")


def cells(page: Tab, name: str) -> Locator:
    return grid(page).locator(f'tbody td[data-name="{name}"]')


def column(page: Tab, name: str) -> list[str]:
    """Return the texts of a column as shown."""
    return cells(page, name).all_inner_texts()


def sort_button(page: Tab, name: str) -> Locator:
    return grid(page).locator(f'th[data-name="{name}"]').get_by_role("button")


def first_row(page: Tab, text: str) -> None:
    expect(grid(page).locator("tbody tr").first).to_contain_text(text)


def fragment(page: Tab) -> str:
    return unquote(page.evaluate("location.hash"))


def filter_field(page: Tab, name: str) -> Locator:
    return page.get_by_label(f"Filter {name}", exact=True)


# ------------------------------------------------------------------ tables
def test_all_tables_are_listed_with_counts_and_can_be_filtered(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("tables"))
    animal = page.get_by_role("listitem").filter(has_text="tame and")
    expect(animal).to_contain_text("Manual")
    expect(animal).to_contain_text(f"{len(lab.tables['Animal']())} rows")
    expect(page.get_by_role("listitem")).to_have_count(5 + page.locator("nav li").count())
    field = page.get_by_label("Filter the tables")
    field.fill("computed")
    expect(page.get_by_role("link", name="Score")).to_be_visible()
    expect(page.get_by_role("link", name="Animal")).to_be_hidden()
    expect(page).to_have_url(re.compile("q=computed"))
    field.fill("no such thing")
    expect(page.get_by_text("No table has this in its name")).to_be_visible()
    field.fill("animals, ")
    field.press("Enter")
    expect(page.get_by_role("heading", name="lab.Animal")).to_be_visible()


# ------------------------------------------------------------------ sorting, filtering, paging
def test_sorting_is_done_by_the_database_and_stands_in_the_address(animals: Tab) -> None:
    sort_button(animals, "weight").click()
    first_row(animals, "A009")  # no value comes first
    expect(animals.locator('th[data-name="weight"]')).to_have_attribute("aria-sort", "ascending")
    sort_button(animals, "weight").click()
    first_row(animals, "128.50")
    assert fragment(animals) == "#/table/lab.Animal?sort=-weight"
    sort_button(animals, "sex").click(modifiers=["Shift"])
    expect(animals).to_have_url(re.compile("sort=-weight%2Csex"))
    animals.go_back()
    expect(animals.locator('th[data-name="sex"]')).not_to_have_attribute("aria-sort", re.compile("."))
    animals.go_back()
    first_row(animals, "A009")


def test_filters_narrow_the_rows_while_typing(animals: Tab, lab: Lab) -> None:
    field = filter_field(animals, "animal_id")
    field.press_sequentially("a00", delay=20)
    expect(animals.get_by_text(re.compile(r"^10 of \d+ rows match"))).to_be_visible()
    expect(field).to_be_focused()
    assert fragment(animals) == "#/table/lab.Animal?f.animal_id=a00"
    filter_field(animals, "weight").fill("2..5")
    filter_field(animals, "weight").press("Enter")
    first_row(animals, "A002")
    assert column(animals, "animal_id") == ["A002", "A003", "A004"]
    filter_field(animals, "sex").select_option("F")
    expect(grid(animals).locator("tbody tr")).to_have_count(1)
    assert column(animals, "animal_id") == ["A004"]
    animals.get_by_role("button", name="Clear filters").click()
    expect(animals.get_by_text(re.compile(r"^13\d rows$"))).to_be_visible()
    expect(field).to_have_value("")


def test_typing_one_filter_is_one_step_back(animals: Tab) -> None:
    field = filter_field(animals, "animal_id")
    field.press_sequentially("a0", delay=20)
    expect(animals).to_have_url(re.compile("animal_id=a0$"))
    field.press_sequentially("03", delay=20)
    expect(animals).to_have_url(re.compile("animal_id=a003$"))
    animals.go_back()
    expect(animals).to_have_url(re.compile(r"lab\.Animal$"))
    expect(grid(animals).locator("tbody tr")).to_have_count(50)
    expect(field).to_have_value("")


def test_a_filter_that_makes_no_sense_is_told_at_its_column_and_keeps_the_rows(animals: Tab) -> None:
    field = filter_field(animals, "weight")
    field.fill(">5,5")
    field.press("Enter")
    expect(animals.get_by_role("alert").filter(has_text="comma")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value(">5,5")
    expect(grid(animals).locator("tbody tr")).to_have_count(50)
    assert fragment(animals) == "#/table/lab.Animal"
    field.fill(">5.5")
    field.press("Enter")
    expect(animals.get_by_text("comma")).to_be_hidden()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    first_row(animals, "A006")


def test_the_ways_to_filter_are_offered_in_a_menu(animals: Tab) -> None:
    animals.get_by_role("button", name="Ways to filter note").click()
    animals.get_by_role("menuitem", name="is filled").click()
    expect(grid(animals).locator("tbody tr")).to_have_count(1)
    assert column(animals, "animal_id") == ["evil"]
    filter_field(animals, "born").press("Alt+ArrowDown")
    menu = animals.get_by_role("menu", name="Ways to filter born")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    animals.keyboard.press("Escape")
    expect(menu).to_be_hidden()


@pytest.mark.parametrize("lab", ["sqlite", "mariadb"], indirect=True, scope="module")
def test_an_address_shows_the_same_view_in_another_browser(animals: Tab, open_page: Any) -> None:
    """Filters, sort, columns with their order and widths, page, selection and restrictions."""
    filter_field(animals, "animal_id").fill("a")
    filter_field(animals, "animal_id").press("Enter")
    sort_button(animals, "born").click()
    filter_field(animals, "weight").fill("is filled")
    filter_field(animals, "weight").press("Enter")
    expect(animals.get_by_text("1–50 of 117")).to_be_visible()
    animals.get_by_role("button", name="Ways to filter weight").click()
    animals.get_by_role("menuitem", name="Keep on every page").click()
    expect(animals.get_by_role("group", name="Kept on every page")).to_contain_text("weight : is filled")
    expect(filter_field(animals, "weight")).to_have_value("")
    animals.get_by_role("button", name="Next page").click()
    expect(animals.get_by_text("51–100 of 117")).to_be_visible()
    animals.get_by_role("button", name="Columns").click()
    dialog = animals.get_by_role("dialog", name="Columns")
    dialog.get_by_role("checkbox", name=re.compile("^big")).uncheck()
    expect(cells(animals, "big")).to_have_count(0)
    dialog.get_by_role("button", name="Earlier: sex").press("Enter")
    expect(dialog.get_by_role("button", name="Earlier: sex")).to_be_focused()
    dialog.get_by_label("Width of note in pixels").fill("222")
    dialog.get_by_label("Width of note in pixels").press("Enter")
    animals.keyboard.press("Escape")
    for number in (2, 4):
        grid(animals).locator("tbody tr").nth(number).get_by_role("checkbox").check()
    expect(animals.get_by_text("2 rows selected")).to_be_visible()
    expect(animals).to_have_url(re.compile("hide=big&order=.*&width=note%3A222.*page=2&select="))

    def seen(page: Tab) -> list[object]:
        rows = grid(page).locator("tbody")
        checked = rows.get_by_role("checkbox", checked=True)
        return [
            rows.inner_text(),
            grid(page).locator("th[data-name]").evaluate_all("cells => cells.map(c => c.dataset.name)"),
            [box.get_attribute("aria-label") for box in checked.all()],
            grid(page).locator('th[data-name="note"]').evaluate("cell => cell.offsetWidth"),
            page.get_by_role("group", name="Kept on every page").inner_text(),
            filter_field(page, "animal_id").input_value(),
        ]

    first = seen(animals)
    assert first[1] == ["animal_id", "born", "sex", "weight", "note"]
    assert first[3] == 222
    other = open_page(visitor="Bob")
    other.goto(animals.url)
    for _ in range(2):
        expect(other.get_by_text("51–100 of 117")).to_be_visible()
        expect(other.get_by_text("2 rows selected")).to_be_visible()
        assert seen(other) == first
        other.reload()
    animals.get_by_role("button", name=re.compile("^Remove weight")).click()
    expect(animals.get_by_role("group", name="Kept on every page")).to_be_hidden()
    animals.goto(animals.url.partition("?")[0])  # the same browser remembers its columns, and nothing else
    animals.reload()
    expect(animals).to_have_url(
        re.compile(r"Animal\?hide=big&order=born%2Csex%2Cweight%2Cnote%2Cbig&width=note%3A222$")
    )
    expect(animals.get_by_text(re.compile(r"^13\d rows$"))).to_be_visible()
    expect(cells(animals, "big")).to_have_count(0)


def test_a_dialog_stays_open_while_rows_load(animals: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    is_free = threading.Event()
    read = paging.Pages.read

    def slow(self: Any, *args: Any) -> Any:
        is_free.wait(20)
        return read(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(paging.Pages, "read", slow)
        try:
            sort_button(animals, "born").click()
            expect(animals.locator(".rows")).to_have_attribute("data-state", "loading")
            animals.get_by_role("button", name="Columns").click()
            dialog = animals.get_by_role("dialog", name="Columns")
            dialog.get_by_role("checkbox", name=re.compile("^note")).uncheck()
            expect(animals).to_have_url(re.compile("hide=note"))
            # A second question before the first is answered: the grid is still the same one.
            animals.evaluate("location.hash += '&f.sex=F'")
            expect(animals).to_have_url(re.compile("f.sex=F"))
        finally:
            is_free.set()
    expect(animals.get_by_text(re.compile(r"^43 of \d+ rows match"))).to_be_visible()
    expect(dialog).to_be_visible()
    expect(cells(animals, "note")).to_have_count(0)


def test_values_of_a_column_are_counted_and_filter_by_a_click(animals: Tab) -> None:
    filter_field(animals, "sex").press("Alt+ArrowDown")
    menu = animals.get_by_role("menu", name="Ways to filter sex")
    expect(menu.get_by_role("menuitem")).to_have_text(["M44", "U44", "F43"])
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    animals.keyboard.press("ArrowUp")
    animals.keyboard.press("Enter")
    expect(animals.get_by_text(re.compile(r"^43 of \d+ rows match"))).to_be_visible()
    expect(filter_field(animals, "sex")).to_have_value("F")
    animals.get_by_role("button", name="Ways to filter animal_id").click()
    expect(animals.get_by_text("Every row has another value here.")).to_be_visible()


def test_a_restriction_follows_the_visitor_until_it_is_taken_away(animals: Tab, lab: Lab) -> None:
    kept = animals.get_by_role("group", name="Kept on every page")
    cells(animals, "born").nth(1).focus()
    animals.keyboard.press("Shift+F10")
    menu = animals.get_by_role("menu", name="Row animal_id A001")
    expect(menu.get_by_role("menuitem", name="lab.Visit 2")).to_be_visible()
    expect(menu.get_by_role("menuitem", name="lab.Visit (companion) 0")).to_be_visible()
    menu.get_by_role("menuitem", name="Keep to this row").click()
    expect(animals.get_by_text(re.compile("^1 of 13. rows matches"))).to_be_visible()
    expect(kept).to_contain_text("animal_id = A001")
    animals.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Tables").click()
    animals.get_by_role("link", name="Visit", exact=True).click()
    expect(animals.get_by_text("2 of 3 rows match")).to_be_visible()
    with animals.expect_download() as waiting:
        animals.get_by_role("button", name="Export", exact=True).click()
        dialog = animals.get_by_role("dialog", name="Export")
        dialog.get_by_label("With what the parents are called").check()
        dialog.get_by_role("button", name="Export").click()
    expect(animals.get_by_role("button", name="Export", exact=True)).to_be_focused()
    head, *lines = waiting.value.path().read_text("utf-8-sig").splitlines()
    assert head == "animal_id,Animal: born,visit,companion,companion (Animal): born"
    assert lines == ["A001,2026-01-02,1,A002,2026-01-03", "A001,2026-01-02,2,,"]
    animals.keyboard.press("/")
    animals.get_by_label("Go to a table or page").fill("Nothing")
    animals.keyboard.press("Enter")
    expect(kept).to_contain_text("not in this table")
    assert fragment(animals) == "#/table/lab.Nothing?r.animal_id==A001"
    animals.go_back()
    expect(animals.get_by_text("2 of 3 rows match")).to_be_visible()
    cells(animals, "visit").first.click()
    expect(animals.get_by_role("heading", name="Visit A001 · 1")).to_be_visible()
    expect(kept).to_contain_text("animal_id = A001")
    animals.go_back()
    animals.get_by_role("link", name="Add rows").click()
    expect(animals.get_by_role("heading", name="Enter Visit")).to_be_visible()
    expect(animals.get_by_label(re.compile("^Animal")).first).to_have_value(re.compile("A001"))
    animals.go_back()
    kept.get_by_role("button", name="Remove animal_id = A001").click()
    expect(animals.get_by_text("3 rows", exact=True)).to_be_visible()
    expect(kept).to_be_hidden()
    animals.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Tables").click()
    expect(animals).to_have_url(re.compile("#/tables$"))
    for _ in range(2):
        animals.go_back()
    expect(kept).to_be_visible()


def test_rows_are_selected_by_keys_and_taken_home(animals: Tab) -> None:
    animals.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cells(animals, "born").nth(1).focus()
    before = cells(animals, "born").nth(1).bounding_box()
    animals.keyboard.press(" ")
    for _ in range(2):
        animals.keyboard.press("Shift+ArrowDown")
    expect(animals.get_by_text("3 rows selected", exact=True)).to_be_visible()
    assert cells(animals, "born").nth(1).bounding_box() == before
    animals.keyboard.press("Shift+ArrowUp")
    expect(animals.get_by_text("2 rows selected", exact=True)).to_be_visible()
    animals.get_by_role("button", name="Next page").click()
    expect(animals.get_by_text("2 rows selected, 2 on other pages")).to_be_visible()
    grid(animals).locator("tbody tr").nth(3).get_by_role("checkbox").check()
    expect(animals).to_have_url(re.compile("select=A001%3BA002%3BA053"))
    animals.evaluate("navigator.clipboard.writeText('')")
    animals.get_by_role("button", name="Copy keys as Python").click()
    expect(animals.get_by_text("Copied", exact=True)).to_be_visible()
    animals.wait_for_function("async () => await navigator.clipboard.readText() !== ''")
    code = animals.evaluate("navigator.clipboard.readText()")
    assert (
        "keys = [\n    {'animal_id': 'A001'},\n    {'animal_id': 'A002'},\n    {'animal_id': 'A053'},\n]"
        in code
    )
    with animals.expect_download() as waiting:
        animals.get_by_role("button", name="Export selected").click()
        dialog = animals.get_by_role("dialog", name="Export")
        expect(dialog).to_contain_text("Export 3 selected")
        dialog.get_by_label("JSON").check()
        expect(dialog.get_by_label("With what the parents are called")).to_be_hidden()
        dialog.get_by_role("button", name="Export").click()
    assert waiting.value.suggested_filename == "lab.Animal.jsonl"
    lines = waiting.value.path().read_text("utf-8").splitlines()
    assert [json.loads(line)["animal_id"] for line in lines] == ["A001", "A002", "A053"]
    animals.get_by_role("checkbox", name="Select the rows of this page").check()
    expect(animals.get_by_text("52 rows selected")).to_be_visible()
    animals.get_by_role("button", name="Clear selection").click()
    expect(animals.get_by_role("group", name="Selected rows")).to_be_hidden()
    expect(animals).not_to_have_url(re.compile("select="))


def test_views_are_kept_in_the_browser_or_shared(animals: Tab, open_page: Any, lab: Lab) -> None:
    hostile = HOSTILE[:60]
    sort_button(animals, "weight").click()
    first_row(animals, "A009")
    animals.get_by_role("button", name="Views").click()
    dialog = animals.get_by_role("dialog", name="Views")
    expect(dialog).to_contain_text("No view of this table is saved yet")
    name = dialog.get_by_label("Name of the view")
    name.fill("light first")
    name.press("Enter")
    expect(dialog.get_by_role("link", name="light first")).to_be_visible()
    dialog.get_by_label("shared with everybody").check()
    name.fill(hostile)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("link", name=hostile)).to_be_visible()
    dialog.get_by_role("button", name="Rename light first").click()
    dialog.get_by_label("New name of light first").fill("lightest")
    dialog.get_by_label("New name of light first").press("Enter")
    expect(dialog.get_by_role("link", name="lightest")).to_be_visible()
    other = open_page(visitor="Bob")
    other.goto(lab.url("table", "lab.Animal"))
    other.get_by_role("button", name="Views").click()
    there = other.get_by_role("dialog", name="Views")
    there.get_by_role("link", name=hostile).click()
    first_row(other, "A009")
    expect(there.get_by_role("link")).to_have_text([hostile])
    dialog.get_by_role("button", name=f"Delete {hostile}").click()
    expect(dialog.get_by_role("link")).to_have_text(["lightest"])
    assert animals.evaluate("window.harmed") is None


def test_pages_are_turned_by_buttons_number_and_size(animals: Tab) -> None:
    expect(animals.get_by_role("button", name="Previous page")).to_be_disabled()
    animals.get_by_role("button", name="Last page").click()
    expect(animals.get_by_text("101–131 of 131")).to_be_visible()
    expect(animals.get_by_role("button", name="Next page")).to_be_disabled()
    animals.get_by_label("Page", exact=True).fill("2")
    animals.get_by_label("Page", exact=True).press("Enter")
    expect(animals.get_by_text("51–100 of 131")).to_be_visible()
    animals.get_by_label("Rows a page").select_option("25")
    expect(animals.get_by_text("51–75 of 131")).to_be_visible()
    assert fragment(animals) == "#/table/lab.Animal?size=25&page=3"


# ------------------------------------------------------------------ keyboard
def test_a_table_is_read_and_rows_are_opened_without_a_mouse(animals: Tab) -> None:
    filter_field(animals, "animal_id").focus()
    animals.keyboard.press("ArrowDown")
    cell = animals.locator("td:focus")
    expect(cell).to_have_text("A000")
    animals.keyboard.press("ArrowDown")
    animals.keyboard.press("ArrowRight")
    expect(animals.locator("td:focus")).to_have_text("2026-01-02")
    animals.keyboard.press("End")
    expect(animals.locator("td:focus")).to_have_text(str(2**53 + 2))
    animals.keyboard.press("PageDown")
    expect(animals.get_by_text("51–100 of 131")).to_be_visible()
    expect(animals.locator("td:focus")).to_have_text(str(2**53 + 52))
    animals.keyboard.press("PageUp")
    expect(animals.get_by_text("1–50 of 131")).to_be_visible()
    animals.keyboard.press("Enter")
    expect(animals.get_by_role("heading", name="Animal A001")).to_be_visible()
    animals.go_back()
    expect(animals.locator("td:focus")).to_have_attribute("data-name", "animal_id")
    expect(animals.locator("td:focus")).to_have_text("A001")


def test_a_key_of_a_parent_leads_to_the_parent(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("table", "lab.Visit"))
    first_row(page, "A001")
    grid(page).get_by_role("link", name="A002", exact=True).click()
    expect(page.get_by_role("heading", name="Animal A002")).to_be_visible()
    page.go_back()
    expect(page.locator("td:focus")).to_have_text("A001")
    cells(page, "companion").first.focus()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Animal A002")).to_be_visible()


def test_a_click_opens_a_row_and_marking_text_does_not(animals: Tab) -> None:
    box = cells(animals, "big").nth(4).bounding_box()
    assert box is not None
    animals.mouse.move(box["x"] + box["width"] - 14, box["y"] + 16)
    animals.mouse.down()
    animals.mouse.move(box["x"] + box["width"] - 80, box["y"] + 16, steps=4)
    animals.mouse.up()
    cells(animals, "born").nth(4).focus()
    assert fragment(animals) == "#/table/lab.Animal"
    cells(animals, "born").nth(3).click()
    expect(animals.get_by_role("heading", name="Animal A003")).to_be_visible()


# ------------------------------------------------------------------ states
def test_no_rows_no_match_error_and_loading_are_told_apart(
    page: Tab, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto(lab.url("table", "lab.Nothing"))
    expect(page.get_by_text("This table has no rows yet")).to_be_visible()
    expect(page.get_by_role("link", name="Add the first row")).to_have_attribute(
        "href", "#/enter/lab.Nothing"
    )
    page.goto(lab.url("table", "lab.Animal", **{"f.animal_id": "nobody"}))
    expect(page.get_by_text("No row matches these filters")).to_be_visible()

    def too_slow(*_args: object) -> int:
        raise QueryTimeoutError("The database was stopped because the answer took too long.")

    with monkeypatch.context() as patch:
        patch.setattr(paging.Pages, "fetch", too_slow)
        page.get_by_role("button", name="Clear filters").first.click()
        expect(page.get_by_role("alert").filter(has_text="takes too long")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    first_row(page, "A000")


def test_a_table_that_there_is_not_is_named(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("table", "lab.Animl"))
    expect(page.get_by_text("Did you mean 'lab.Animal'?")).to_be_visible()
    page.goto(lab.url("table"))
    expect(page.get_by_role("heading", name="Tables")).to_be_visible()


def test_the_menu_of_a_row_fits_into_the_window(animals: Tab) -> None:
    grid(animals).get_by_role("button", name="More about").nth(12).click()
    menu = animals.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name=re.compile("Visit")).last).to_be_visible()
    box = menu.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 800
    animals.keyboard.press("Escape")


def test_a_button_leads_the_keyboard_past_titles_and_filters_to_the_rows(animals: Tab) -> None:
    skip = animals.get_by_role("button", name="To the rows")
    skip.focus()
    expect(skip).to_be_in_viewport()
    animals.keyboard.press("Enter")
    expect(animals.locator("td:focus")).to_have_text(re.compile("^A0"))


def test_a_filter_from_the_address_that_makes_no_sense_is_told(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("table", "lab.Animal", **{"f.weight": "heavy", "f.animal_id": "a00"}))
    expect(page.get_by_role("alert").filter(has_text="is not a number")).to_be_visible()
    expect(grid(page).locator("tbody tr")).to_have_count(10)


def test_only_tables_that_people_fill_offer_to_add_rows(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("table", "lab.Animal"))
    expect(page.get_by_role("link", name="Add rows")).to_have_attribute("href", "#/enter/lab.Animal")
    page.goto(lab.url("table", "lab.Score"))
    expect(page.get_by_text("none can be added by hand")).to_be_visible()
    expect(page.get_by_role("link", name="Populate…")).to_have_attribute("href", "#/populate/lab.Score")
    expect(page.get_by_role("link", name="Add rows")).to_have_count(0)
    page.goto(lab.url("table", "lab.Visit.Step"))
    expect(page.get_by_text("entered together with their master")).to_be_visible()


# ------------------------------------------------------------------ live
def test_rows_that_others_add_appear_and_the_reader_stays_where_he_is(animals: Tab, lab: Lab) -> None:
    frame = animals.locator(".frame")
    cells(animals, "weight").nth(20).focus()
    before = frame.evaluate("frame => { frame.scrollTop = 150; return frame.scrollTop }")
    writer = dj.Connection(lab.services.pipeline.connection.settings)
    table = dj.FreeTable(writer, lab.tables["Animal"]().name)
    try:
        table.insert1({"animal_id": "A000b", "born": "2026-02-01"})
        expect(grid(animals).get_by_role("row", name=re.compile("A000b"))).to_be_visible()
        expect(animals.get_by_text("132 rows", exact=True)).to_be_visible()
        expect(animals.locator("td:focus")).to_have_text("20.50")
        assert frame.evaluate("frame => frame.scrollTop") == before
    finally:
        (table & {"animal_id": "A000b"}).delete_quick()
        writer.close()
    expect(grid(animals).get_by_role("row", name=re.compile("A000b"))).to_have_count(0)


# ------------------------------------------------------------------ hostile texts
def test_a_table_that_changes_by_itself_stays_in_its_visitors_language(open_page: Any, lab: Lab) -> None:
    german = open_page(locale="de-DE")
    german.goto(lab.url("table", "lab.Animal"))
    expect(german.get_by_text(re.compile(r"^13\d Zeilen$"))).to_be_visible()
    lab.tables["Animal"].insert1({"animal_id": "0 new", "born": "2026-03-01"})
    lab.services.watcher.poke()
    try:
        first_row(german, "0 new")
        expect(german.get_by_text(re.compile(r"^13\d Zeilen$"))).to_be_visible()
        expect(german.get_by_text(re.compile(r"^1–50 von 13\d$"))).to_be_visible()
    finally:
        (lab.tables["Animal"] & {"animal_id": "0 new"}).delete(prompt=False)


def test_filters_are_typed_in_the_visitors_words_and_mean_the_same_to_everybody(
    open_page: Any, lab: Lab
) -> None:
    german = open_page(locale="de-DE")
    german.goto(lab.url("table", "lab.Animal"))
    field = german.get_by_label("born filtern", exact=True)
    field.press("Alt+ArrowDown")
    expect(german.get_by_role("menuitem", name="nach", exact=False).first).to_be_visible()
    german.get_by_role("menuitem", name="heute").click()
    expect(german).to_have_url(re.compile("f.born=today$"))
    expect(field).to_have_value("heute")
    field.fill("31.12.2025")
    field.press("Enter")
    first_row(german, "evil")
    note = german.get_by_label("note filtern", exact=True)
    note.fill("Ist ausgefüllt")
    note.press("Enter")
    expect(german).to_have_url(re.compile("f.note=is%20filled|f.note=is[+]filled"))
    expect(note).to_have_value("ist ausgefüllt")
    english = open_page(visitor="Bob")
    english.goto(german.url)
    expect(filter_field(english, "note")).to_have_value("is filled")
    assert column(english, "animal_id") == ["evil"]


def test_nothing_in_the_database_is_taken_for_html(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("table", "lab.Animal", sort="born"))
    first_row(page, HOSTILE)
    expect(page.get_by_text("animals, tame and <b>wild</b>", exact=True)).to_be_visible()
    expect(page.locator('th[data-name="animal_id"]')).to_have_attribute("title", re.compile("<i>cage</i>"))
    page.get_by_role("button", name="Columns").click()
    expect(page.get_by_role("dialog", name="Columns")).to_contain_text("day of <i>birth</i>")
    filter_field(page, "weight").fill(HOSTILE)
    filter_field(page, "weight").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="onerror")).to_be_visible()
    for name, query in {
        "record": {"animal_id": "evil"},
        "table": {"f.note": HOSTILE, "f.animal_id": HOSTILE, "q": HOSTILE},
        "tables": {"q": HOSTILE},
        "object": {"animal_id": "evil", "attribute": "note"},
    }.items():
        page.goto(lab.url(name, *([] if name == "tables" else ["lab.Animal"]), **query))
        expect(page.locator("#main")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#main")).to_contain_text(re.compile("lab"))
    page.goto(lab.url("record", "lab.Animal", animal_id=HOSTILE))
    expect(page.get_by_text("There is no such row")).to_be_visible()
    page.goto(lab.url("record", "lab.Visit", animal_id="evil", visit="1"))
    expect(page.get_by_role("cell", name="onerror")).to_be_visible()
    assert page.evaluate("window.harmed") is None
    assert page.locator("img").count() == 0


# ------------------------------------------------------------------ taking it home
def test_a_csv_file_holds_the_filtered_rows_and_shown_columns(animals: Tab) -> None:
    filter_field(animals, "weight").fill("<3")
    filter_field(animals, "weight").press("Enter")
    expect(grid(animals).locator("tbody tr")).to_have_count(3)
    with animals.expect_download() as waiting:
        animals.get_by_role("button", name="Export", exact=True).click()
        animals.get_by_role("dialog", name="Export").get_by_role("button", name="Export").click()
    download = waiting.value
    assert download.suggested_filename == "lab.Animal.csv"
    rows = list(csv.DictReader(io.StringIO(download.path().read_text("utf-8-sig"), newline="")))
    assert [(row["animal_id"], row["weight"], row["big"]) for row in rows] == [
        (f"A{n:03}", f"{n}.50", str(2**53 + 1 + n)) for n in range(3)
    ]
    assert animals.request.get(download.url).status == 404, "an address works once"


def test_the_python_that_is_copied_restricts_the_table(animals: Tab) -> None:
    animals.context.grant_permissions(["clipboard-read", "clipboard-write"])
    filter_field(animals, "sex").select_option("F")
    expect(animals).to_have_url(re.compile("f.sex=F"))
    animals.evaluate("navigator.clipboard.writeText('')")
    animals.get_by_role("button", name="Copy as Python").click()
    expect(animals.get_by_text("Copied", exact=True)).to_be_visible()
    animals.wait_for_function("async () => await navigator.clipboard.readText() !== ''")
    code = animals.evaluate("navigator.clipboard.readText()")
    assert "lab = dj.virtual_schema('lab')" in code
    assert "query = lab.Animal & {'sex': 'F'}" in code


def test_python_that_is_copied_before_the_rows_are_read_is_that_of_the_new_filter(
    animals: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    animals.context.grant_permissions(["clipboard-read", "clipboard-write"])
    is_free = threading.Event()
    read = paging.Pages.read

    def slow(self: Any, *args: Any) -> Any:
        is_free.wait(20)
        return read(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(paging.Pages, "read", slow)
        try:
            filter_field(animals, "sex").select_option("M")
            expect(animals).to_have_url(re.compile("f.sex=M"))
            animals.get_by_role("button", name="Copy as Python").click()
        finally:
            is_free.set()
    # The word that a text was copied may still be that of the text before.
    animals.wait_for_function(
        """async () => (await navigator.clipboard.readText()).includes("query = lab.Animal & {'sex': 'M'}")"""
    )


# ------------------------------------------------------------------ one row
def test_a_record_shows_its_surroundings_and_its_values(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("record", "lab.Visit", animal_id="A001", visit="1"))
    expect(page.get_by_role("heading", name="Visit A001 · 1")).to_be_visible()
    crumbs = page.get_by_role("navigation", name="Belongs to")
    expect(crumbs.get_by_role("link")).to_have_text(["Animal A001", "companion (Animal) A002"])
    expect(page.get_by_role("heading", name="Step 12 rows")).to_be_visible()
    expect(page.get_by_role("link", name="All 12 rows")).to_have_attribute(
        "href", re.compile(r"lab\.Visit\.Step\?f")
    )
    expect(page.get_by_role("link", name="float64 (500)", exact=False)).to_be_visible()
    expect(page.get_by_text("1–500 of 500").or_(page.locator("canvas")).first).to_be_visible()
    page.get_by_role("link", name="lab.Score").click()
    expect(page.get_by_text("1 of 1 rows matches")).to_be_visible()
    assert fragment(page) == "#/table/lab.Score?f.animal_id==A001&f.visit=1"
    page.goto(lab.url("record", "lab.Score", animal_id="A001", visit="1"))
    origins = page.get_by_role("region", name="What this row rests on")
    expect(origins.get_by_role("link")).to_have_text(["lab.Animal", "A001", "A002", "lab.Visit", "A001 · 1"])


def test_steps_through_rows_work_with_keys_and_a_copy_can_be_begun(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("record", "lab.Animal", animal_id="A001"))
    steps = page.get_by_role("navigation", name="Rows before and after")
    expect(page.get_by_role("heading", name="Animal A001")).to_be_visible()
    expect(steps.get_by_text("Next row")).to_be_visible()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("heading", name="Animal A002")).to_be_visible()
    expect(steps.get_by_role("link", name="Previous row")).to_have_attribute("href", re.compile("A001"))
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_role("heading", name="Animal A001")).to_be_visible()
    copy = page.get_by_role("link", name="Duplicate as new")
    expect(copy).to_have_attribute("href", "#/enter/lab.Animal?like.animal_id=A001")


def test_a_row_that_is_gone_leads_back_to_its_table(page: Tab, lab: Lab) -> None:
    page.goto(lab.url("record", "lab.Animal", animal_id="A999"))
    expect(page.get_by_text("There is no such row")).to_be_visible()
    page.locator("#main").get_by_role("link", name="Rows of lab.Animal").click()
    expect(page.get_by_role("heading", name="lab.Animal")).to_be_visible()
