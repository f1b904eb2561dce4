"""Previews in a real browser: what moves, what is read, and what a visitor without a mouse can do."""

from __future__ import annotations

import pathlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from panel.viewable import Viewable
from playwright.sync_api import Locator, Page, expect
from zarr.storage import LocalStore

from dj_panel.apps.markup import html_pane
from dj_panel.apps.page import Page as SitePage
from dj_panel.apps.preview import Preview, preview
from dj_panel.apps.preview.lines import LinesView
from dj_panel.apps.preview.stack import StackView
from dj_panel.apps.site import Site, serve
from tests.browser.shell_services import ShellServices

MARKUP = "<img src=x onerror=\"document.title='run'\">"
RATE_HZ = 1000.0


class CountingStore(LocalStore):
    """A store that remembers which chunks were read."""

    chunks_read: set[str]

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if "/" in key:
            self.chunks_read.add(key)
        return await super().get(key, *args, **kwargs)


class SlowArray:
    """A reference whose file arrives when the test lets it."""

    shape = (100,)
    dtype = np.dtype("f8")
    is_local = True
    path = "slow.npy"

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.may_arrive = threading.Event()

    def load(self, mmap_mode: str | None = None) -> Any:
        self.is_asked.set()
        assert self.may_arrive.wait(30)
        return np.arange(100.0)


class Lab:
    """The values that the tests look at, and the previews made of them.

    Attributes
    ----------
    shown
        The preview on each page that was opened last, by name.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        rng = np.random.default_rng(0)
        signal = np.sin(np.arange(1_000_000) / 5000)
        signal[600_000] = 9.0
        stack = np.stack([np.full((40, 50), frame, dtype=np.uint16) for frame in range(60)])
        zarr.create_array(folder / "recording", shape=(1_000_000,), chunks=(10_000,), dtype="f4")[:] = (
            rng.normal(size=1_000_000)
        )
        zarr.create_array(
            folder / "huge", shape=(10**6, 10**6), chunks=(1000, 1000), dtype="u1", fill_value=7
        )
        self.store = CountingStore(folder / "recording", read_only=True)
        self.store.chunks_read = set()
        self.huge = CountingStore(folder / "huge", read_only=True)
        self.huge.chunks_read = set()
        self.slow = SlowArray()
        (folder / "notes.txt").write_text("kept as it is", encoding="utf-8")
        self.shown: dict[str, Preview] = {}
        self._values: dict[str, Callable[[], Preview]] = {
            "signal": lambda: preview(signal, sampling_rate_hz=RATE_HZ, unit="mV", code="trace = 1"),
            "channels": lambda: preview(rng.normal(size=(5000, 12))),
            "stack": lambda: preview(stack),
            "recording": lambda: preview(zarr.open_array(self.store, mode="r")),
            "huge": lambda: preview(zarr.open_array(self.huge, mode="r")),
            "markup": lambda: preview({MARKUP: [MARKUP]}, title=MARKUP, code=MARKUP),
            "table": lambda: preview(pd.DataFrame({MARKUP: [MARKUP] * 250}), title="rows"),
            "missing": lambda: preview(folder / "gone" / f"{MARKUP}.npy"),
            "slow": lambda: preview(self.slow),
            "file": lambda: preview(folder / "notes.txt"),
            "tree": lambda: preview({"waveform": np.sin(np.arange(500) / 9), "rate": 30}),
        }

    def show(self, name: str) -> Preview:
        """Return a new preview of the value of that name."""
        self.shown[name] = self._values[name]()
        return self.shown[name]


class Value(SitePage):
    """A page of the site that has nothing but a preview: ``#/object/signal``."""

    title = "Value"
    lab: Lab

    async def load(self) -> Viewable:
        self.preview = self.lab.show(self.visit.route.path[0])
        return self.preview

    def close(self) -> None:
        self.preview.close()


class Home(SitePage):
    title = "Home"

    async def load(self) -> Viewable:
        return html_pane("<p>Welcome</p>")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def address(lab: Lab) -> Iterator[str]:
    """Give the address that the name of a value completes."""
    Value.lab = lab
    running = serve(
        Site({"home": Home, "object": Value}, ShellServices(), title="Lab", user="ana"), threaded=True
    )
    yield f"{running.url}#/object/"
    running.stop()


@pytest.fixture(autouse=True, scope="module")
def patience() -> Iterator[None]:
    """Wait long for what a busy machine draws late."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def look(page: Page, address: str) -> Callable[[str], Page]:
    def look(name: str) -> Page:
        page.goto("about:blank")  # so that nothing of a value that was looked at before is in sight
        page.goto(address + name)
        return page

    return look


def words(page: Page) -> Locator:
    """Return the text beside a plot."""
    return page.locator("p.summary")


def every(page: Page) -> int:
    """Return how many samples stand behind one that is drawn."""
    expect(words(page)).to_contain_text(re.compile("Showing 1 of every|Every sample is drawn"))
    text = words(page).inner_text()
    if "Every sample is drawn" in text:
        return 1
    match = re.search(r"Showing 1 of every ([\d,]+), min–max", text)
    assert match, text
    return int(match.group(1).replace(",", ""))


def drawn_positions(page: Page) -> list[float]:
    """Return first and last position, and the number, of the points that the browser draws of a line."""
    found: list[float] = page.evaluate(
        """() => {
            const models = Array.from(Bokeh.documents[0]._all_models.values())
            const lines = models.filter((model) => model.type === "ColumnDataSource" && model.get_column("x"))
            const x = Array.from(lines[0].get_column("x"))
            return [x[0], x[x.length - 1], x.length]
        }"""
    )
    return found


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait, at most half a minute, while the page goes on."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail("The condition did not come true.")


def test_a_long_signal_says_what_it_shows_and_zooms_from_the_keyboard(look: Callable[[str], Page]) -> None:
    page = look("signal")
    expect(words(page)).to_contain_text("samples 0 to 999,999 of 1,000,000")
    expect(words(page)).to_contain_text("max 9")
    assert every(page) > 400
    page.get_by_role("button", name="Zoom in").focus()
    page.keyboard.press("Enter")
    expect(words(page)).to_contain_text(re.compile(r"samples 249,9\d\d to 750,0\d\d"))
    until(page, lambda: drawn_positions(page)[0] > 249)
    first_s, last_s, n_points = drawn_positions(page)
    assert 249.9 < first_s < 251
    assert 749 < last_s < 750.1
    assert 1000 < n_points < 5000
    for _ in range(9):
        page.keyboard.press("Enter")
    expect(words(page)).to_contain_text("Every sample is drawn")
    page.get_by_role("button", name="Right").press("Enter")
    page.get_by_role("button", name="Reset").press("Enter")
    expect(words(page)).to_contain_text("samples 0 to 999,999 of 1,000,000")


def test_the_wheel_zooms_and_dragging_pans(look: Callable[[str], Page], lab: Lab) -> None:
    page = look("signal")
    expect(words(page)).to_contain_text("of 1,000,000")
    before = every(page)
    box = page.locator(".bk-Canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    for _ in range(8):
        page.mouse.wheel(0, -240)
    expect(words(page)).not_to_contain_text("samples 0 to")
    assert every(page) < before
    first = words(page).inner_text()
    page.mouse.down()
    page.mouse.move(x - 200, y, steps=5)
    page.mouse.up()
    expect(words(page)).not_to_contain_text(first.split(",")[0])
    view = view_of(lab, "signal")
    assert isinstance(view, LinesView)
    assert view.drawing is not None
    assert view.drawing.question.stop - view.drawing.question.start < 1_000_000


def view_of(lab: Lab, name: str) -> Any:
    switcher = lab.shown[name].switcher
    assert switcher is not None
    return switcher.view


def test_many_quick_presses_end_where_they_should(look: Callable[[str], Page], lab: Lab) -> None:
    page = look("signal")
    expect(words(page)).to_contain_text("of 1,000,000")
    zoom = page.get_by_role("button", name="Zoom in")
    for _ in range(6):
        zoom.click()
    page.get_by_role("button", name="Left").click()
    n_visible = 1_000_000 // 2**6
    middle = 500_000 - n_visible // 4
    start = middle - n_visible // 2
    expect(words(page)).to_contain_text(re.compile(rf"samples {start // 1000},\d\d\d to "))


def test_only_the_chunks_in_sight_are_read(look: Callable[[str], Page], lab: Lab) -> None:
    page = look("recording")
    expect(words(page)).to_contain_text("Samples 0 to 999,999")
    zoom = page.get_by_role("button", name="Zoom in")
    for _ in range(5):
        zoom.click()
    expect(words(page)).to_contain_text(re.compile(r"Samples 484,3\d\d to 515,6\d\d"))
    lab.store.chunks_read.clear()
    page.get_by_role("button", name="Right").click()
    expect(words(page)).to_contain_text(re.compile(r"Samples 492,\d\d\d to 523,4\d\d"))
    assert lab.store.chunks_read == {"c/49", "c/50", "c/51", "c/52"}


def test_a_terabyte_is_shown_as_approximate_until_it_is_zoomed_in(
    look: Callable[[str], Page], lab: Lab
) -> None:
    page = look("huge")
    expect(words(page)).to_contain_text("approximate")
    expect(words(page)).to_contain_text("of 1,000,000 chunks were read")
    assert 0 < len(lab.huge.chunks_read) < 64
    zoom = page.get_by_role("button", name="Zoom in")
    for _ in range(9):
        zoom.click()
    expect(words(page)).not_to_contain_text("approximate")
    expect(words(page)).to_contain_text("Showing 1 of every")


def test_the_slider_of_a_stack_changes_the_image(look: Callable[[str], Page], lab: Lab) -> None:
    page = look("stack")
    expect(words(page)).to_contain_text("at 29")
    expect(words(page)).to_contain_text("mean 29")
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(words(page)).to_contain_text("mean 30")
    page.keyboard.press("End")
    expect(words(page)).to_contain_text("mean 59")
    view = view_of(lab, "stack")
    assert isinstance(view, StackView)
    assert view.image is not None
    assert view.image.picture is not None
    assert np.all(view.image.picture.pixels == 59)


def test_a_view_can_be_chosen_and_a_part_of_a_tree_looked_at(look: Callable[[str], Page]) -> None:
    page = look("tree")
    expect(page.get_by_text("waveform")).to_be_visible()
    page.get_by_role("button", name="Arrays").click()
    expect(words(page)).to_contain_text("Samples 0 to 499 of 500")
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("table")).to_contain_text("0.1108826")


def test_channels_are_drawn_apart_with_figures_of_each(look: Callable[[str], Page], lab: Lab) -> None:
    page = look("channels")
    expect(page.get_by_text("Figures of the 8 lines")).to_be_visible()
    view_of(lab, "channels")
    page.get_by_text("Spread apart").click()
    page.get_by_text("Figures of the 8 lines").click()
    expect(page.get_by_role("table")).to_contain_text("channel 7")


def test_markup_in_a_value_is_never_run(look: Callable[[str], Page]) -> None:
    for name, text in (("markup", "onerror"), ("table", "onerror"), ("missing", "does not exist")):
        page = look(name)
        expect(page.get_by_text(text).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
        assert page.title() != "run"


def test_a_missing_file_says_why(look: Callable[[str], Page]) -> None:
    page = look("missing")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("does not exist")
    expect(page.get_by_role("main").get_by_role("alert")).not_to_contain_text("Traceback")


def test_rows_are_turned_a_page_at_a_time(look: Callable[[str], Page]) -> None:
    page = look("table")
    expect(page.get_by_text("Rows 1 to 100 of 250").last).to_be_visible()
    page.get_by_role("button", name="Last rows").click()
    expect(page.get_by_text("Rows 201 to 250 of 250").last).to_be_visible()


def test_a_file_can_be_taken_home(look: Callable[[str], Page]) -> None:
    page = look("file")
    expect(page.get_by_text("kept as it is")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download (13 bytes)").click()
    assert waiting.value.suggested_filename == "notes.txt"
    assert pathlib.Path(waiting.value.path()).read_text(encoding="utf-8") == "kept as it is"


def test_a_slow_store_holds_up_nobody_else(
    look: Callable[[str], Page], open_page: Callable[..., Page], address: str, lab: Lab
) -> None:
    page = look("slow")
    expect(page.get_by_text("Reading…")).to_be_visible()
    assert lab.slow.is_asked.wait(30)
    other = open_page()
    other.goto(f"{address}stack")
    expect(words(other)).to_contain_text("at 29")
    expect(page.get_by_text("Reading…")).to_be_visible()
    lab.slow.may_arrive.set()
    expect(words(page)).to_contain_text("Samples 0 to 99 of 100")


def test_turning_dark_draws_the_plot_anew_in_the_same_view(look: Callable[[str], Page], lab: Lab) -> None:
    page = look("signal")
    expect(words(page)).to_contain_text("of 1,000,000")
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("table")).to_be_visible()
    shown = lab.shown["signal"]
    document = shown._context.document
    assert document is not None
    light = shown.switcher
    document.add_next_tick_callback(lambda: setattr(shown, "dark", True))
    until(page, lambda: shown.switcher is not light and shown._done.is_set())
    expect(page.get_by_role("table")).to_be_visible()
    page.get_by_role("button", name="Lines").click()
    expect(words(page)).to_contain_text("of 1,000,000")
    assert view_of(lab, "signal").context.dark
