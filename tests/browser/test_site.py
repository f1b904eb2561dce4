"""The shell of the site in a real browser: addresses, errors, colours, keyboard, connection, refusals."""

from __future__ import annotations

import asyncio
import gc
import http
import http.client
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
import pytest
from bokeh.document import Document
from panel.custom import JSComponent
from panel.viewable import Viewable
from playwright.sync_api import Locator, WebSocketRoute, expect
from playwright.sync_api import Page as Tab

from dj_panel.apps import site as site_module
from dj_panel.apps.frame import Frame
from dj_panel.apps.markup import escape, html_pane
from dj_panel.apps.page import Page, empty_state
from dj_panel.apps.routes import Route
from dj_panel.apps.shell import Bridge
from dj_panel.apps.site import RunningSite, Site, serve
from dj_panel.core.errors import AccessError, MissingTableError
from tests.browser.shell_services import ShellServices

SECRET = "SELECT password FROM mysql.user"
LOST = "WebSocket connection to|Failed to connect to Bokeh|net::ERR_|not connected so cannot send"


# Eight browsers may share two cores: nothing here is about how long a page takes.
expect.set_options(timeout=30_000)

SERVICES = ShellServices("lab_subject.Subject", "lab_session.Session", "lab_session.Session.Experimenter")


class ArraySum(JSComponent):
    """Shows the sum of an array, which travels apart from the rest of the document."""

    source = param.Parameter()

    _esm = """
    export function render({model}) {
      const p = document.createElement("p")
      p.textContent = `Array of ${Array.from(model.source).reduce((a, b) => a + b, 0).toFixed(1)}`
      return p
    }
    """


class Home(Page):
    title = "Home"

    async def load(self) -> Viewable:
        self.clicks = 0
        self.text = html_pane("<p>Welcome</p>")
        buttons = {
            "Fail": self._fail,
            "Fail later": self._fail_later,
            "Count": self._count,
            "Save": self._save,
            "Leave": lambda _event: self.visit.go(Route("table", ("lab_subject.Subject",), {"sort": "age"})),
        }
        row = []
        for label, callback in buttons.items():
            button = pmui.Button(label=label)
            button.on_click(self.guard(callback))
            row.append(button)
        dark = html_pane(self._colours())
        self.watcher = self.visit.param.watch(lambda _event: setattr(dark, "object", self._colours()), "dark")
        array = ArraySum(source=np.ones(3))  # type: ignore[no-untyped-call]
        return pn.Column(self.text, dark, pn.Row(*row), pmui.TextInput(label="Notes"), array)

    def close(self) -> None:
        self.visit.param.unwatch(self.watcher)

    def _colours(self) -> str:
        return f"<p>Python knows {'dark' if self.visit.dark else 'light'}</p>"

    def _fail(self, _event: object) -> None:
        raise RuntimeError(SECRET)

    async def _fail_later(self, _event: object) -> None:
        await asyncio.sleep(0)
        raise MissingTableError("`lab_subject`.`weighing`")

    def _count(self, _event: object) -> None:
        self.clicks += 1
        self.text.object = f"<p>Clicked {self.clicks}</p>"

    def _save(self, _event: object) -> None:
        self.visit.notify(
            "Saved <b>M042</b>",
            "success",
            link=("Show it", Route("table", ("lab_subject.Subject",))),
            action=("Undo", self._undo),
        )

    async def _undo(self) -> None:
        self.visit.notify("Taken back")


class Table(Page):
    """Updates in place while the table stays the same."""

    async def load(self) -> Viewable:
        self.title = "/".join(self.visit.route.path)
        self.text = html_pane(self._show("loaded"))
        return pn.Column(self.text, html_pane("<div style='height:2000px'>tall</div>"))

    async def update(self, route: Route) -> bool:
        if "/".join(route.path) != self.title:
            return False
        self.text.object = self._show("updated")
        return True

    def _show(self, how: str) -> str:
        return f"<p>{how} with {escape(dict(self.visit.route.query))}</p>"


class Broken(Page):
    title = "Diagram"
    is_repaired = False

    async def load(self) -> Viewable:
        if not Broken.is_repaired:
            raise RuntimeError(SECRET)
        return html_pane("<p>Repaired</p>")


class Forbidden(Page):
    title = "Populate"

    async def load(self) -> Viewable:
        raise AccessError("You may read this pipeline but not compute in it.")


class Slow(Page):
    """Never finishes loading; counts how often it was told to stop."""

    title = "Tables"
    n_cancelled = 0

    async def load(self) -> Viewable:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            Slow.n_cancelled += 1
            raise
        return empty_state("Never")


class Held(JSComponent):
    """What takes its time to load in the browser, until it is let go."""

    _esm = """
    await new Promise(done => { window.letGo = done })
    export function render() { return document.createElement("p") }
    """


class Growing(Page):
    """A page whose parts come while its other parts are still made in the browser."""

    title = "Growing"
    shown: ClassVar[list[Growing]] = []

    async def load(self) -> Viewable:
        Growing.shown.append(self)
        self.part = pn.Column(html_pane("<p>Reading</p>"))
        return pn.Column(self.part, Held())  # type: ignore[no-untyped-call]


class Form(Page):
    """Takes the focus itself."""

    title = "Enter"
    takes_focus = True
    fills_window = True

    async def load(self) -> Viewable:
        return pn.Column(
            html_pane("<div id=well style='height:100%'>well</div>", sizing_mode="stretch_both"),
            sizing_mode="stretch_both",
        )


PAGES: dict[str, type[Page]] = {
    "home": Home,
    "table": Table,
    "diagram": Broken,
    "populate": Forbidden,
    "tables": Slow,
    "enter": Form,
}


def make_site() -> Site:
    return Site(PAGES, SERVICES, title="Sound <lab>", user="ana")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSite]:
    running = serve(make_site(), threaded=True)
    yield running
    running.stop()


def heading(page: Tab) -> Locator:
    return page.get_by_role("heading", level=1)


def open_at(page: Tab, running: RunningSite, fragment: str = "#/") -> Tab:
    page.goto(running.url + fragment)
    expect(page.get_by_role("main")).to_have_attribute("aria-busy", "false")
    return page


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


def get(running: RunningSite, path: str, **headers: str) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Accept": "text/html", **headers})
        answer = connection.getresponse()
        text = "" if answer.status == http.HTTPStatus.SWITCHING_PROTOCOLS else answer.read().decode()
        return Answer(answer.status, dict(answer.headers.items()), text)


# ---------------------------------------------------------------------------------------------- addresses


def test_a_deep_link_opens_its_page(page: Tab, running: RunningSite) -> None:
    open_at(page, running, "#/table/lab_subject.Subject?sort=-age")
    expect(heading(page)).to_have_text("lab_subject.Subject")
    expect(page.get_by_text("loaded with {'sort': '-age'}")).to_be_visible()
    assert page.title() == "lab_subject.Subject · Sound <lab>"


def test_back_and_forward_follow_the_pages(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running)
    kept_page.get_by_role("link", name="Diagram").click()
    expect(kept_page.get_by_role("button", name="Try again")).to_be_visible()
    kept_page.go_back()
    expect(kept_page.get_by_text("Welcome")).to_be_visible()
    expect(heading(kept_page)).to_have_text("Home")
    kept_page.go_forward()
    expect(heading(kept_page)).to_have_text("Diagram")


def test_a_page_moves_the_visitor_on_and_back_returns(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running)
    kept_page.get_by_role("button", name="Leave").click()
    expect(kept_page.get_by_text("loaded with {'sort': 'age'}")).to_be_visible()
    assert urlsplit(kept_page.url).fragment == "/table/lab_subject.Subject?sort=age"
    kept_page.go_back()
    expect(kept_page.get_by_text("Welcome")).to_be_visible()


def test_other_parameters_of_a_page_change_it_in_place(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running, "#/table/lab_subject.Subject?sort=age")
    kept_page.get_by_role("main").evaluate("main => { main.scrollTop = 150 }")
    kept_page.evaluate("location.hash = '#/table/lab_subject.Subject?sort=name'")
    expect(kept_page.get_by_text("updated with {'sort': 'name'}")).to_be_attached()
    assert kept_page.get_by_role("main").evaluate("main => main.scrollTop") == 150
    kept_page.evaluate("location.hash = '#/table/lab_session.Session'")
    expect(kept_page.get_by_text("loaded with {}")).to_be_visible()
    # When the window is told that the page is whole, two frames after it is drawn.
    kept_page.wait_for_function("document.querySelector('main').scrollTop === 0")


def test_leaving_a_page_that_is_still_loading_cancels_it(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running)
    before = Slow.n_cancelled
    kept_page.get_by_role("link", name="Tables").click()
    expect(kept_page.locator("#skeleton")).to_be_visible()
    expect(heading(kept_page)).to_have_text("Tables")
    running_bar = (
        "() => document.getAnimations().some(a => a.animationName === 'slide' && a.playState === 'running')"
    )
    kept_page.wait_for_function(running_bar)
    kept_page.get_by_role("link", name="Home").click()
    expect(kept_page.get_by_text("Welcome")).to_be_visible()
    expect(kept_page.locator("#skeleton")).to_be_hidden()
    assert Slow.n_cancelled == before + 1


@pytest.mark.parametrize("fragment", ["#/nowhere", "#/%ff%00<script>", "#javascript:alert(1)"])
def test_an_address_of_no_page_says_so(kept_page: Tab, running: RunningSite, fragment: str) -> None:
    open_at(kept_page, running, fragment)
    expect(heading(kept_page)).to_have_text("No such page")
    expect(kept_page.get_by_text("leads nowhere on this site")).to_be_visible()


def test_a_place_that_was_asked_for_just_before_does_not_pass_for_the_next(page: Tab) -> None:
    running = serve(make_site(), threaded=True)
    try:
        open_at(page, running, "#/table/lab_subject.Subject")
        [frame] = running.site.frames.values()
        loop, send = running._server.io_loop.asyncio_loop, frame.bridge.send  # type: ignore[attr-defined]
        settled: list[tuple[int, str]] = []

        def listen(kind: str, **data: Any) -> None:
            if kind == "settled":
                settled.append((data["number"], data["title"]))
            send(kind, **data)

        frame.bridge.send = listen  # type: ignore[method-assign]

        def ask() -> None:
            frame._receive({"type": "route", "hash": "#/table/lab_subject.Subject?sort=age", "number": 101})
            loop.call_soon(go_on)

        def go_on() -> None:
            # The first place is ready, and its message is not under way yet.
            if frame._task is not None and frame._task.done():
                frame._receive({"type": "route", "hash": "#/", "number": 102})
            else:
                loop.call_soon(go_on)

        loop.call_soon_threadsafe(ask)
        expect(page.get_by_text("Welcome")).to_be_visible()
        expect(heading(page)).to_have_text("Home")
        assert settled == [(102, "Home")]
        page.goto("about:blank")
    finally:
        running.stop()


def test_a_window_has_one_main_landmark_even_if_its_page_is_drawn_late(
    page: Tab, running: RunningSite
) -> None:
    open_at(page, running)
    main = page.get_by_role("main")
    expect(main).to_have_count(1)
    page.evaluate("""() => {
        const root = [...document.querySelectorAll("#stage > div > *")].find(e => e.shadowRoot?.querySelector("main"))
        const old = root.shadowRoot.querySelector("main")
        const late = old.cloneNode(true)
        late.removeAttribute("role")
        old.replaceWith(late)
    }""")
    expect(main).to_have_count(1)


def test_a_part_that_comes_while_its_page_is_made_in_the_browser_is_shown(page: Tab) -> None:
    Growing.shown.clear()
    running = serve(Site({"home": Home, "table": Growing}, SERVICES, user="ana"), threaded=True)
    try:
        page.goto(running.url + "#/table")
        page.wait_for_function("() => window.letGo !== undefined")
        [frame] = running.site.frames.values()
        part, told = Growing.shown[0].part, threading.Event()

        def come() -> None:
            part[:] = [html_pane("<p>Here it is</p>")]
            told.set()

        frame._document.add_next_tick_callback(come)
        assert told.wait(30)
        page.wait_for_timeout(300)  # the message comes to the browser
        page.evaluate("() => { window.letGo() }")
        expect(page.get_by_text("Here it is")).to_be_visible()
        expect(page.get_by_text("Reading")).to_have_count(0)
        page.goto("about:blank")
    finally:
        running.stop()


def test_the_navigation_marks_where_the_visitor_is(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running, "#/table/lab_subject.Subject")
    current = kept_page.get_by_role("navigation").locator("[aria-current=page]")
    expect(current).to_have_text(re.compile(r"\s*Tables\s*"))
    kept_page.get_by_role("link", name="Enter").click()
    expect(current).to_have_text(re.compile(r"\s*Enter\s*"))


def test_a_page_that_fills_the_window_gets_its_height(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running, "#/enter")
    box = kept_page.get_by_text("well").bounding_box()
    assert box is not None
    assert box["height"] > 600
    assert box["y"] + box["height"] <= 800


# ---------------------------------------------------------------------------------------------- errors


def test_a_page_that_cannot_load_shows_a_sentence_and_tries_again(
    page: Tab, running: RunningSite, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.ERROR):
        open_at(page, running, "#/diagram")
    expect(page.get_by_role("alert").filter(has_text="This could not be shown")).to_be_visible()
    shown = page.get_by_text("Reference ").inner_text()
    found = re.search(r"Reference ([0-9A-F]{6})", shown)
    assert found is not None
    logged = next(record for record in caplog.records if found[1] in record.getMessage())
    assert logged.exc_info is not None
    assert SECRET in str(logged.exc_info[1])
    for word in ("SELECT", "Traceback", "RuntimeError"):
        expect(page.get_by_text(word)).to_have_count(0)
    monkeypatch.setattr(Broken, "is_repaired", True)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Repaired")).to_be_visible()


def test_a_missing_permission_is_told_apart_from_an_error(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running, "#/populate")
    expect(kept_page.get_by_role("heading", name="Your account may not see this")).to_be_visible()
    expect(kept_page.get_by_text("but not compute in it")).to_be_visible()
    expect(kept_page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_callback_that_fails_leaves_the_page_working(page: Tab, running: RunningSite) -> None:
    open_at(page, running)
    page.get_by_role("button", name="Fail", exact=True).click()
    alert = page.locator(".notice[role=alert]")
    expect(alert).to_contain_text("did not foresee")
    expect(alert).to_contain_text(re.compile("reference [0-9A-F]{6}"))
    expect(page.get_by_text("SELECT")).to_have_count(0)
    page.get_by_role("button", name="Count").click()
    page.get_by_text("Clicked 1").wait_for()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Clicked 2")).to_be_visible()


def test_a_coroutine_callback_that_fails_tells_the_librarys_own_sentence(
    kept_page: Tab, running: RunningSite
) -> None:
    open_at(kept_page, running)
    kept_page.get_by_role("button", name="Fail later").click()
    expect(kept_page.locator(".notice[role=alert]")).to_contain_text("weighing")


def test_a_message_is_text_with_a_link_and_an_action_that_runs_once(page: Tab, running: RunningSite) -> None:
    open_at(page, running)
    page.get_by_role("button", name="Save").click()
    notice = page.locator(".notice[role=status]")
    expect(notice).to_contain_text("Saved <b>M042</b>")
    expect(notice.get_by_role("link", name="Show it")).to_have_attribute(
        "href", "#/table/lab_subject.Subject"
    )
    notice.get_by_role("button", name="Undo").click()
    expect(notice).to_have_count(1)
    expect(notice).to_contain_text("Taken back")
    expect(heading(page)).to_be_focused()
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)


def test_a_message_is_seen_on_the_page_that_it_came_with_and_not_on_the_next(
    page: Tab, running: RunningSite
) -> None:
    open_at(page, running)
    page.set_viewport_size({"width": 768, "height": 1024})
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Fail", exact=True).click()
    said, failed = page.locator(".notice[role=status]"), page.locator(".notice[role=alert]")
    expect(failed).to_be_visible()
    box = said.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 512  # the buttons of a form are at the lower edge
    page.get_by_role("button", name="Leave").click()
    expect(heading(page)).to_have_text("lab_subject.Subject")
    expect(heading(page)).to_be_focused()
    expect(said).to_be_visible()
    page.go_back()
    expect(heading(page)).to_have_text("Home")
    expect(heading(page)).to_be_focused()
    expect(said).to_have_count(0)
    expect(failed).to_be_visible()
    failed.get_by_role("button", name="Dismiss").click()


# ---------------------------------------------------------------------------------------------- look


def background(page: Tab) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_dark_colours_are_remembered_and_python_knows(
    open_page: Callable[..., Tab], running: RunningSite
) -> None:
    page = open_at(open_page(visitor="Ben", color_scheme="light"), running)
    light = background(page)
    expect(page.get_by_text("Python knows light")).to_be_visible()
    toggle = page.get_by_role("button", name="Dark colours")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Python knows dark")).to_be_visible()
    dark = background(page)
    assert dark != light
    open_at(page, running)
    expect(page.get_by_text("Python knows dark")).to_be_visible()
    assert background(page) == dark
    notes = page.get_by_label("Notes").evaluate("field => getComputedStyle(field).color")
    assert sum(map(int, re.findall(r"\d+", notes)[:3])) > 380, f"text of a field on dark is {notes}"


def test_the_system_decides_the_colours_until_the_visitor_does(
    open_page: Callable[..., Tab], running: RunningSite
) -> None:
    page = open_at(open_page(visitor="Cleo", color_scheme="dark"), running)
    expect(page.get_by_text("Python knows dark")).to_be_visible()


@pytest.mark.parametrize("width", [768, 400])
def test_the_navigation_of_a_narrow_window_is_a_drawer_closed_at_first(
    open_page: Callable[..., Tab], running: RunningSite, width: int
) -> None:
    page = open_at(open_page(viewport={"width": width, "height": 800}), running)
    links = page.get_by_role("link", name="Enter")
    expect(links).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(links).to_be_visible()
    page.keyboard.press("Escape")
    expect(links).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    page.get_by_role("button", name="Menu").click()
    links.click()
    expect(page.get_by_text("well")).to_be_visible()
    expect(links).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


# ---------------------------------------------------------------------------------------------- keyboard


def test_the_keyboard_alone_reaches_every_page_and_lands_on_its_heading(
    page: Tab, running: RunningSite
) -> None:
    open_at(page, running, "#/table/lab_subject.Subject")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(heading(page)).to_be_focused()
    assert urlsplit(page.url).fragment == "/table/lab_subject.Subject"
    page.get_by_role("link", name="Home").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Welcome")).to_be_visible()
    expect(heading(page)).to_be_focused()


def test_a_page_that_takes_the_focus_keeps_it_from_the_heading(kept_page: Tab, running: RunningSite) -> None:
    open_at(kept_page, running)
    kept_page.get_by_role("link", name="Enter").click()
    expect(kept_page.get_by_text("well")).to_be_visible()
    expect(kept_page.get_by_role("main")).to_have_attribute("aria-busy", "false")
    expect(heading(kept_page)).not_to_be_focused()


def offered(tab: Tab, **which: bool) -> Locator:
    """Return what the search box offers; the choice of languages has options too."""
    return tab.get_by_role("listbox", name="Tables and pages").get_by_role("option", **which)  # type: ignore[arg-type]


@pytest.mark.parametrize("shortcut", ["Control+k", "/"])
def test_typing_a_part_of_a_name_jumps_to_the_table(
    kept_page: Tab, running: RunningSite, shortcut: str
) -> None:
    open_at(kept_page, running)
    kept_page.keyboard.press(shortcut)
    jump = kept_page.get_by_role("combobox", name="Go to a table or page")
    expect(jump).to_be_focused()
    kept_page.keyboard.type("exper")
    option = offered(kept_page)
    expect(option).to_have_count(1)
    expect(option).to_have_attribute("aria-selected", "true")
    kept_page.keyboard.press("Enter")
    expect(heading(kept_page)).to_have_text("lab_session.Session.Experimenter")
    expect(jump).to_have_attribute("aria-expanded", "false")


def test_enter_before_the_names_have_come_jumps_when_they_have(
    page: Tab, running: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_at(page, running)
    arrive = threading.Event()
    send = Frame._send_table_names

    async def send_late(frame: Frame) -> None:
        await asyncio.to_thread(arrive.wait, 60)
        await send(frame)

    monkeypatch.setattr(Frame, "_send_table_names", send_late)
    page.keyboard.press("/")
    page.keyboard.type("home of exper")  # the letters of no page, yet the beginning of one's name
    page.keyboard.press("Control+a")
    page.keyboard.type("exper")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Home")
    arrive.set()
    expect(heading(page)).to_have_text("lab_session.Session.Experimenter")


def test_the_search_box_is_left_with_escape_and_walked_with_arrows(
    kept_page: Tab, running: RunningSite
) -> None:
    open_at(kept_page, running)
    kept_page.keyboard.press("Control+k")
    kept_page.keyboard.type("sub")
    expect(offered(kept_page).first).to_contain_text("Subject")
    kept_page.keyboard.press("Control+a")
    kept_page.keyboard.type("session")
    expect(offered(kept_page)).to_have_count(2)
    kept_page.keyboard.press("ArrowDown")
    expect(offered(kept_page, selected=True)).to_contain_text("Session.Experimenter")
    # The names of the tables, asked for when the box opens, may come only now: what was walked to stays.
    names = [f"lab_session.{name}" for name in ("Another", "Session", "Session.Experimenter")]
    kept_page.evaluate("names => window.djPanelShell.receive({type: 'tables', names})", names)
    expect(offered(kept_page, selected=True)).to_contain_text("Session.Experimenter")
    kept_page.keyboard.type("zzz")
    expect(kept_page.get_by_text("No table has this name.")).to_be_visible()
    kept_page.keyboard.press("Escape")
    expect(kept_page.get_by_role("listbox")).to_be_hidden()


def test_the_single_key_shortcut_is_off_in_fields_and_can_be_turned_off(
    page: Tab, running: RunningSite
) -> None:
    open_at(page, running)
    jump = page.get_by_role("combobox", name="Go to a table or page")
    page.get_by_label("Notes").focus()
    page.keyboard.type("1/2")
    expect(page.get_by_label("Notes")).to_have_value("1/2")
    expect(jump).not_to_be_focused()
    page.keyboard.press("Control+k")
    page.get_by_role("checkbox").uncheck()
    heading(page).focus()
    page.keyboard.press("/")
    expect(jump).not_to_be_focused()


# ---------------------------------------------------------------------------------------------- connection


@pytest.mark.console_errors(LOST)
def test_a_lost_connection_is_told_and_the_page_comes_back_with_the_server(page: Tab) -> None:
    first = serve(make_site(), threaded=True)
    open_at(page, first, "#/table/lab_subject.Subject")
    first.stop()
    banner = page.get_by_role("alert").filter(has_text="connection to the server is lost")
    expect(banner).to_be_visible()
    expect(page.locator("#status")).to_have_text("Not connected")
    second = serve(make_site(), port=first.port, threaded=True)
    try:
        expect(page.locator("#status")).to_have_text("Connected")
        expect(page.get_by_text("loaded with {}")).to_be_visible()
        page.get_by_role("link", name="Home").click()
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_text("Clicked 1")).to_be_visible()
    finally:
        second.stop()


@pytest.mark.console_errors(LOST)
def test_a_visitor_who_is_typing_is_asked_before_the_page_is_loaded_again(page: Tab) -> None:
    first = serve(make_site(), threaded=True)
    open_at(page, first)
    page.get_by_label("Notes").fill("half a sent")
    first.stop()
    expect(page.locator("#status")).to_have_text("Not connected")
    second = serve(make_site(), port=first.port, threaded=True)
    try:
        again = page.get_by_role("button", name="Load again")
        expect(again).to_be_visible(timeout=20_000)
        expect(page.get_by_label("Notes")).to_have_value("half a sent")
        again.click()
        expect(page.locator("#status")).to_have_text("Connected")
        expect(page.get_by_text("Welcome")).to_be_visible()
    finally:
        second.stop()


def test_a_window_that_was_cut_off_comes_back_to_its_own_session(page: Tab, running: RunningSite) -> None:
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/ws", through)
    open_at(page, running)
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Clicked 1")).to_be_visible()
    sockets[-1].close(code=4000)
    expect(page.get_by_text("Connected again.")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("Array of 3.0")).to_be_visible()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Clicked 2")).to_be_visible()
    assert len(sockets) == 2


def test_a_window_comes_back_though_a_change_overtakes_the_servers_greeting(
    page: Tab, running: RunningSite
) -> None:
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)
        early = (
            ['{"msgid": "1", "msgtype": "PATCH-DOC"}', "{}", '{"events": []}'] if len(sockets) == 2 else []
        )

        def forward(message: str | bytes) -> None:
            while early:
                socket.send(early.pop(0))
            socket.send(message)

        server.on_message(forward)

    page.route_web_socket("**/ws", through)
    open_at(page, running)
    sockets[-1].close(code=4000)
    expect(page.get_by_text("Connected again.")).to_be_visible()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Clicked 1")).to_be_visible()
    assert len(sockets) == 2


def test_a_window_that_was_cut_off_within_a_message_comes_back(page: Tab, running: RunningSite) -> None:
    sockets: list[WebSocketRoute] = []
    is_to_be_cut = threading.Event()

    def through(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)

        def forward(message: str | bytes) -> None:
            socket.send(message)
            if is_to_be_cut.is_set():
                is_to_be_cut.clear()
                socket.close(code=4000)  # after the first of the three parts that a message has

        server.on_message(forward)

    page.route_web_socket("**/ws", through)
    open_at(page, running)
    is_to_be_cut.set()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Connected again.")).to_be_visible()
    expect(page.get_by_text("Clicked 1")).to_be_visible()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Clicked 2")).to_be_visible()
    assert len(sockets) == 2


def test_windows_that_were_closed_leave_nothing_behind(
    page: Tab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site_module, "SWEEP_MS", 200)
    caplog.set_level(logging.WARNING, "panel")  # a captured record of an event holds its whole document
    documents: list[weakref.ref[Document]] = []
    open_window = Site.open_window

    def opened(site: Site) -> Viewable:
        view = open_window(site)
        assert pn.state.curdoc is not None
        documents.append(weakref.ref(pn.state.curdoc))
        return view

    monkeypatch.setattr(Site, "open_window", opened)
    running = serve(make_site(), threaded=True)
    try:
        for _ in range(3):
            open_at(page, running)
            page.get_by_role("button", name="Count").click()
            expect(page.get_by_text("Clicked 1")).to_be_visible()
            page.goto("about:blank")
        assert len(documents) == 3
        for _ in range(60):
            gc.collect()  # takes long, with all that Panel holds
            alive = [document for document in documents if document() is not None]
            if not alive:
                break
            page.wait_for_timeout(1000)
        assert not alive, f"{len(alive)} of {len(documents)} documents are still held"
        assert not running.site.frames
    finally:
        running.stop()


# ---------------------------------------------------------------------------------------------- security


def test_every_answer_carries_the_security_headers(running: RunningSite) -> None:
    for path in ("/", "/static/js/bokeh.min.js", "/nowhere"):
        answer = get(running, path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["Permissions-Policy"]
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'self'" in policy
        assert "http" not in policy
        assert "*" not in policy
        script = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "'unsafe-inline'" not in script
        assert "Server" not in answer.headers


def test_two_answers_never_share_a_nonce(running: RunningSite) -> None:
    policies = {get(running, "/").headers["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


@pytest.mark.console_errors("Content Security Policy")
def test_a_script_that_slipped_into_a_page_does_not_run(page: Tab, running: RunningSite) -> None:
    open_at(page, running)
    page.evaluate("""() => {
        const box = document.createElement("div")
        box.innerHTML = '<img src="data:,x" onerror="window.intruder = 1">'
        document.body.append(box)
        const script = document.createElement("script")
        script.textContent = "window.intruder = 2"
        document.body.append(script)
    }""")
    page.wait_for_timeout(300)
    assert page.evaluate("window.intruder ?? null") is None


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/?bokeh-session-id=chosen", {}),
        ("/?bokeh-session-id=", {}),
        ("/?%62okeh-session-id=chosen", {}),
        ("/?bokeh-token=abc", {}),
        ("/", {"Bokeh-Session-Id": "chosen"}),
        ("/", {"bokeh-session-id": "chosen"}),
        ("/ws?bokeh-session-id=chosen", {}),
        ("/metadata?bokeh-session-id=chosen", {}),
        ("/autoload.js?bokeh-autoload-element=1", {}),
    ],
)
def test_a_session_chosen_by_the_client_is_refused(
    running: RunningSite, path: str, headers: dict[str, str]
) -> None:
    answer = get(running, path, **headers)
    assert answer.status == 403
    assert "This address is not allowed" in answer.text


@pytest.mark.parametrize(("origin", "status"), [("evil.example", 403), ("null", 403), ("", 101)])
def test_only_windows_of_this_address_may_open_a_socket(
    running: RunningSite, origin: str, status: int
) -> None:
    host = f"127.0.0.1:{running.port}"
    token = re.search(r'"token":"([^"]+)"', get(running, "/").text)
    assert token is not None
    answer = get(
        running,
        "/ws",
        Host=host,
        Origin=origin if origin == "null" else f"http://{origin or host}",
        Connection="Upgrade",
        Upgrade="websocket",
        **{
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": f"bokeh, {token[1]}",
        },
    )
    assert answer.status == status


def test_an_origin_for_everyone_is_refused() -> None:
    with pytest.raises(ValueError, match="any web site"):
        serve(make_site(), websocket_origins=["*"], threaded=True)


def test_the_page_of_an_http_error_is_ours(running: RunningSite) -> None:
    answer = get(running, "/nowhere")
    assert answer.status == 404
    assert "There is no such page" in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": 1},
        {"type": "route"},
        {"type": "route", "hash": 5},
        {"type": "action", "id": "x"},
        {"type": "hello"},
        {"type": "nonsense"},
        {"type": ["route"], "hash": "#/"},
        [],
        None,
        7,
    ],
)
def test_a_message_that_makes_no_sense_is_ignored(message: object) -> None:
    received: list[object] = []
    bridge = Bridge(received.append, "window")
    bridge._handle_msg(message)
    frame = Frame(PAGES, SERVICES, user="ana", dark=False, document=Document())
    for understood in received:
        frame._receive(understood)  # type: ignore[arg-type]
    assert frame.visit.route == Route()


# ---------------------------------------------------------------------------------------------- serving


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_the_server_stops_in_order_when_it_is_told_to(name: str) -> None:
    code = """
        from dj_panel.apps.page import Page
        from dj_panel.apps.site import Site, serve

        class Home(Page):
            title = "Home"

        serve(Site({"home": Home}, object()))
        print("stopped in order")
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert re.fullmatch(r"dj_panel is at http://127\.0\.0\.1:\d+/\n", line), line
    process.send_signal(getattr(signal, name))
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert out == "stopped in order\n"
    assert "Traceback" not in errors


def test_a_taken_port_is_named(running: RunningSite) -> None:
    with pytest.raises(OSError, match="in use"):
        serve(make_site(), port=running.port, threaded=True)


def test_a_site_without_a_home_page_is_refused() -> None:
    with pytest.raises(ValueError, match="'home'"):
        Site({"table": Table}, SERVICES)
