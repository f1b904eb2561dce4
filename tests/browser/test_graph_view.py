"""The table diagram in a real browser: pointer, keyboard, status, zoom, and what a hostile name may do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from panel.viewable import Viewable
from playwright.sync_api import Locator, Page, expect

from dj_panel.apps.graph_view import Edge, GraphView, Node, arrange
from dj_panel.apps.page import Page as SitePage
from dj_panel.apps.site import Site, serve
from dj_panel.apps.theme import DARK, LIGHT
from tests.browser.shell_services import ShellServices

HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"

NODES: list[Node] = [
    {"id": "lab.Species", "label": "Species", "tier": "lookup", "schema": "subject"},
    {"id": "lab.Subject", "label": "Subject", "tier": "manual", "schema": "subject"},
    {
        "id": "lab.Session",
        "label": "Session",
        "tier": "manual",
        "schema": "session",
        "parts": ["Note", "Person"],
    },
    {"id": "lab.Signal", "label": "Signal", "tier": "imported", "schema": "session"},
    {"id": "lab.Image", "label": "Image", "tier": "imported", "schema": "session"},
    {"id": "lab.HeartRate", "label": "HeartRate", "tier": "computed", "schema": "analysis"},
]
EDGES: list[Edge] = [
    {"source": "lab.Species", "target": "lab.Subject", "style": "secondary"},
    {"source": "lab.Subject", "target": "lab.Session", "style": "primary"},
    {"source": "lab.Session", "target": "lab.Signal", "style": "primary"},
    {
        "source": "lab.Session",
        "target": "lab.Image",
        "style": "renamed",
        "title": "session → imaging_session",
    },
    {"source": "lab.Signal", "target": "lab.HeartRate", "style": "primary"},
]
STATUS = {
    "lab.Session": {"count": "12 rows"},
    "lab.HeartRate": {
        "count": "3 rows",
        "done": 3,
        "running": 1,
        "errors": 1,
        "total": 12,
        "state": "running",
    },
}


@dataclass
class Served:
    """The diagram of the page opened last, and how to change it, wherever it is open, from a test."""

    url: str = ""
    view: GraphView = field(default_factory=GraphView)
    shown: list[tuple[GraphView, Document]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def change(self, **params: Any) -> None:
        """Set parameters of the diagram as a callback on the server would."""

        def update(view: GraphView) -> None:
            view.param.update(**params)

        for view, document in self.shown:
            document.add_next_tick_callback(partial(update, view))


class Diagram(SitePage):
    """A page of the site that has nothing but a diagram."""

    title = "Diagram"
    served: Served

    async def load(self) -> Viewable:
        view = GraphView(**arrange(NODES, EDGES), status=STATUS)
        self.served.view = view
        document = pn.state.curdoc
        assert document is not None
        self.served.shown.append((view, document))
        self.served.opened.clear()
        view.param.watch(lambda event: self.served.opened.append(event.new), "opened", onlychanged=False)
        return pn.Column(view, sizing_mode="stretch_both")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    expect.set_options(timeout=30_000)  # what must happen may take its time on a busy machine
    Diagram.served = Served()
    running = serve(Site({"home": Diagram}, ShellServices(), title="Lab", user="ana"), threaded=True)
    Diagram.served.url = running.url
    yield Diagram.served
    running.stop()


@pytest.fixture
def graph(served: Served, page: Page) -> Page:
    served.shown.clear()
    page.goto(served.url)
    expect(page.get_by_role("main")).to_have_attribute("aria-busy", "false")
    expect(node(page, "Session")).to_be_visible()
    return page


def node(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name},"))


def eventually(holds: Callable[[], object], otherwise: str = "the server did not hear of it") -> None:
    """Wait until the server has heard of what happened in the browser."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def scale(page: Page) -> float:
    found = re.search(r"scale\(([\d.]+)\)", page.locator(".drawing").get_attribute("style") or "")
    assert found
    return float(found[1])


def still(page: Page) -> None:
    """Wait until the picture no longer moves."""
    page.evaluate(
        """async () => {
            const find = root => [...root.querySelectorAll("*")].reduce((found, e) => found ??
                (e.matches(".drawing") ? e : e.shadowRoot && find(e.shadowRoot)), null)
            const drawing = find(document)
            for (let same = 0, last = ""; same < 4;) {
                await new Promise(requestAnimationFrame)
                const now = drawing.style.transform
                same = now === last ? same + 1 : 0
                last = now
            }
        }"""
    )


def box(locator: Locator) -> tuple[float, float, float, float]:
    found = locator.bounding_box()
    assert found
    return found["x"], found["y"], found["width"], found["height"]


def test_every_table_is_a_button_that_says_its_name_tier_and_rows(graph: Page) -> None:
    expect(node(graph, "Session")).to_have_accessible_name("Session, Manual, 12 rows, parts: Note, Person")
    expect(node(graph, "HeartRate")).to_have_accessible_name(
        "HeartRate, Computed, 3 rows, 3 of 12 done, 1 running, 1 error"
    )
    expect(node(graph, "Species")).to_have_accessible_name("Species, Lookup")
    expect(graph.locator(".node")).to_have_count(len(NODES))


def test_the_whole_diagram_is_in_sight_at_first(graph: Page) -> None:
    left, top, width, height = box(graph.locator(".picture"))
    for name in ("Species", "HeartRate", "Image"):
        x, y, w, h = box(node(graph, name))
        assert left <= x
        assert top <= y
        assert x + w <= left + width
        assert y + h <= top + height


def test_clicking_a_table_selects_it_on_the_server(served: Served, graph: Page) -> None:
    node(graph, "Signal").click()
    eventually(lambda: served.view.selected == "lab.Signal")
    expect(node(graph, "Signal")).to_have_attribute("aria-pressed", "true")
    expect(node(graph, "Session")).to_have_attribute("aria-pressed", "false")
    assert served.opened == []


def test_clicking_beside_the_tables_selects_none(served: Served, graph: Page) -> None:
    node(graph, "Signal").click()
    eventually(lambda: served.view.selected == "lab.Signal")
    graph.locator(".picture").click(position={"x": 8, "y": 8})
    eventually(lambda: served.view.selected == "")


def test_the_server_can_select(served: Served, graph: Page) -> None:
    served.change(selected="lab.Image")
    expect(node(graph, "Image")).to_have_attribute("aria-pressed", "true")
    expect(graph.locator(".edge.incident")).to_have_count(1)


def test_a_double_click_opens_every_time(served: Served, graph: Page) -> None:
    node(graph, "Session").dblclick()
    eventually(lambda: served.opened == ["lab.Session"])
    node(graph, "Session").dblclick()
    eventually(lambda: served.opened == ["lab.Session", "lab.Session"])


def test_the_diagram_works_without_a_mouse(served: Served, graph: Page) -> None:
    node(graph, "Session").focus()
    graph.keyboard.press("ArrowDown")
    first = graph.locator(".node:focus").get_attribute("data-id")
    assert first in {"lab.Signal", "lab.Image"}
    across = "ArrowRight" if box(node(graph, "Signal"))[0] < box(node(graph, "Image"))[0] else "ArrowLeft"
    node(graph, "Signal").focus()
    graph.keyboard.press(across)
    expect(node(graph, "Image")).to_be_focused()
    graph.keyboard.press("ArrowUp")
    expect(node(graph, "Session")).to_be_focused()
    graph.keyboard.press("Space")
    eventually(lambda: served.view.selected == "lab.Session")
    graph.keyboard.press("Enter")
    eventually(lambda: served.opened == ["lab.Session"])
    graph.keyboard.press("Escape")
    eventually(lambda: served.view.selected == "")


def test_tab_enters_the_diagram_once_and_leaves_it(graph: Page) -> None:
    node(graph, "Signal").focus()
    expect(graph.locator(".node[tabindex='0']")).to_have_count(1)
    graph.keyboard.press("Tab")
    expect(graph.get_by_role("button", name="Zoom in")).to_be_focused()
    graph.keyboard.press("Shift+Tab")
    expect(node(graph, "Signal")).to_be_focused()


def test_the_focus_can_be_seen(graph: Page) -> None:
    node(graph, "Session").focus()
    graph.keyboard.press("ArrowUp")
    expect(node(graph, "Subject").locator(".focus")).to_have_css("opacity", "1")
    expect(node(graph, "Session").locator(".focus")).to_have_css("opacity", "0")


def test_a_change_of_status_rewrites_the_text_and_keeps_the_elements(served: Served, graph: Page) -> None:
    heart_rate = graph.locator("[data-id='lab.HeartRate']")
    heart_rate.evaluate("element => { element.mark = 'same' }")
    heart_rate.focus()
    status = {"count": "12 rows", "done": 12, "total": 12, "state": "done"}
    served.change(status={**STATUS, "lab.HeartRate": status})
    expect(heart_rate).to_have_accessible_name("HeartRate, Computed, 12 rows, 12 of 12 done")
    expect(heart_rate.locator(".detail").first).to_have_text("Computed · 12 rows")
    expect(heart_rate.locator(".badge")).not_to_have_class(re.compile("shown"))
    expect(heart_rate).to_be_focused()
    assert heart_rate.evaluate("element => element.mark") == "same"


def test_errors_and_progress_are_drawn(graph: Page) -> None:
    heart_rate = node(graph, "HeartRate")
    expect(heart_rate.locator(".badge text")).to_have_text("! 1")
    track = box(heart_rate.locator(".track"))[2]
    done = box(heart_rate.locator(".stretch.state-done"))[2]
    assert done == pytest.approx(track * 3 / 12, rel=0.1)
    expect(node(graph, "Session").locator(".bar")).to_be_hidden()


def test_buttons_zoom_and_show_everything_again(graph: Page) -> None:
    graph.emulate_media(reduced_motion="reduce")
    fitted = scale(graph)
    graph.get_by_role("button", name="Zoom in").click()
    assert scale(graph) == pytest.approx(fitted * 1.35, rel=0.01)
    graph.get_by_role("button", name="Zoom out").click()
    graph.get_by_role("button", name="Zoom out").click()
    assert scale(graph) < fitted
    graph.get_by_role("button", name="Show everything").click()
    assert scale(graph) == pytest.approx(fitted, rel=0.01)


def test_keys_zoom(graph: Page) -> None:
    graph.emulate_media(reduced_motion="reduce")
    fitted = scale(graph)
    node(graph, "Session").focus()
    graph.keyboard.press("+")
    assert scale(graph) > fitted
    graph.keyboard.press("0")
    assert scale(graph) == pytest.approx(fitted, rel=0.01)


def test_motion_is_smooth_unless_the_visitor_asks_for_less(graph: Page) -> None:
    fitted = scale(graph)
    graph.get_by_role("button", name="Zoom in").click()
    still(graph)
    assert scale(graph) == pytest.approx(fitted * 1.35, rel=0.01)


def test_the_wheel_zooms_about_the_pointer(graph: Page) -> None:
    x, y, w, h = box(node(graph, "Signal").locator(".shape"))
    fitted = scale(graph)
    graph.mouse.move(x + w / 2, y + h / 2)
    graph.mouse.wheel(0, -200)
    expect(graph.locator(".drawing")).not_to_have_attribute("style", re.compile(f"scale\\({fitted}\\)"))
    still(graph)
    assert scale(graph) > fitted
    new_x, new_y, new_w, new_h = box(node(graph, "Signal").locator(".shape"))
    assert (new_x + new_w / 2, new_y + new_h / 2) == pytest.approx((x + w / 2, y + h / 2), abs=2)


def test_dragging_moves_the_picture_and_selects_nothing(served: Served, graph: Page) -> None:
    before = box(node(graph, "Signal"))
    x, y = before[0] + before[2] / 2, before[1] + before[3] / 2
    graph.mouse.move(x, y)
    graph.mouse.down()
    graph.mouse.move(x + 40, y + 30, steps=4)
    graph.mouse.up()
    after = box(node(graph, "Signal"))
    assert (after[0] - before[0], after[1] - before[1]) == pytest.approx((40, 30), abs=1)
    expect(node(graph, "Signal")).to_have_attribute("aria-pressed", "false")
    node(graph, "Session").click()
    eventually(lambda: served.view.selected == "lab.Session")


def test_an_overview_appears_when_part_is_out_of_sight_and_a_click_goes_there(graph: Page) -> None:
    graph.emulate_media(reduced_motion="reduce")
    expect(graph.locator(".map")).to_be_hidden()
    for _ in range(4):
        graph.get_by_role("button", name="Zoom in").click()
    expect(graph.locator(".map")).to_be_visible()
    x, y, w, h = box(graph.locator(".map"))
    before = box(node(graph, "HeartRate"))[1]
    graph.mouse.click(x + w / 2, y + h - 4)
    assert box(node(graph, "HeartRate"))[1] < before


def test_moving_the_focus_brings_a_hidden_table_into_sight(graph: Page) -> None:
    graph.emulate_media(reduced_motion="reduce")
    node(graph, "Session").focus()
    for _ in range(5):
        graph.keyboard.press("+")
    graph.keyboard.press("ArrowUp")
    graph.keyboard.press("ArrowUp")
    left, top, width, height = box(graph.locator(".picture"))
    x, y, w, h = box(node(graph, "Species").locator(".shape"))
    assert left <= x
    assert top <= y
    assert x + w <= left + width
    assert y + h <= top + height


def test_highlighted_tables_stand_out(served: Served, graph: Page) -> None:
    served.change(highlight=["lab.Session", "lab.Signal"])
    expect(node(graph, "Image")).to_have_css("opacity", "0.25")
    expect(node(graph, "Session")).to_have_css("opacity", "1")
    expect(graph.locator(".wires .edge.lit")).to_have_count(1)
    served.change(highlight=[])
    expect(node(graph, "Image")).to_have_css("opacity", "1")


def test_a_foreign_key_says_how_its_columns_are_named(graph: Page) -> None:
    expect(graph.locator(".wires .edge.renamed title")).to_have_text("session → imaging_session")
    expect(graph.locator(".wires .edge.renamed .renaming")).to_have_count(1)
    assert (
        graph.locator(".wires .edge.secondary .line").evaluate("e => getComputedStyle(e).strokeDasharray")
        != "none"
    )


def test_the_diagram_follows_light_and_dark(graph: Page) -> None:
    def rgb(color: str) -> str:
        return f"rgb({', '.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))})"

    frame = graph.locator(".graph")
    expect(frame).to_have_css("background-color", rgb(LIGHT.surface))
    graph.get_by_role("button", name="Dark colours").click()
    expect(frame).to_have_css("background-color", rgb(DARK.surface))
    expect(node(graph, "Session").locator(".label")).to_have_css("fill", rgb(DARK.text))


def test_buttons_are_large_enough_to_hit(graph: Page) -> None:
    for button in graph.locator(".tools button").all():
        _, _, width, height = box(button)
        assert width >= 24
        assert height >= 24


def test_another_graph_replaces_the_first(served: Served, graph: Page) -> None:
    served.change(**arrange(NODES[:3], EDGES[:2], direction="LR", clustered=False))
    expect(graph.locator(".node")).to_have_count(3)
    expect(graph.locator(".areas rect")).to_have_count(0)
    node(graph, "Species").focus()
    graph.keyboard.press("ArrowRight")
    expect(node(graph, "Subject")).to_be_focused()


def test_names_from_the_database_stay_text(served: Served, graph: Page) -> None:
    hostile: list[Node] = [
        {"id": HOSTILE, "label": HOSTILE, "tier": "manual", "schema": HOSTILE, "parts": [HOSTILE]},
        {"id": "b", "label": "b", "tier": "manual", "schema": "b"},
    ]
    edge: Edge = {"source": HOSTILE, "target": "b", "style": "renamed", "title": HOSTILE}
    served.change(**arrange(hostile, [edge]), status={HOSTILE: {"count": HOSTILE}})
    expect(graph.locator(".node")).to_have_count(2)
    expect(graph.locator(".node").first).to_have_accessible_name(re.compile(re.escape(HOSTILE)))
    expect(graph.locator("img")).to_have_count(0)
    assert graph.title() != "broken in"


def test_only_tables_of_the_diagram_can_be_opened() -> None:
    view = GraphView(**arrange(NODES, EDGES))
    view._handle_msg({"open": "mysql.user"})
    view._handle_msg({})
    assert view.opened == ""


def test_a_neighbourhood_reaches_as_many_steps_as_asked() -> None:
    view = GraphView(**arrange(NODES, EDGES))
    assert view.neighbourhood("lab.Session", up=1, down=1) == {
        "lab.Session", "lab.Subject", "lab.Signal", "lab.Image",
    }  # fmt: skip
    assert view.neighbourhood("lab.Session", up=9, down=0) == {"lab.Session", "lab.Subject", "lab.Species"}
