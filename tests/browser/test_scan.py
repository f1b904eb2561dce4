"""Codes read with the camera: what is read goes into the field as if typed, and the camera never stays on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Playwright, expect
from playwright.sync_api import Page as Tab

import dj_panel as dj
from dj_panel.apps.edit import EditPage
from dj_panel.apps.entry import EnterPage
from dj_panel.apps.markup import html_pane
from dj_panel.apps.page import Page
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve
from tests.apps.test_scanning import grey_code, jpeg
from tests.browser.conftest import ARGUMENTS, OpenPage
from tests.entry_tables import Lab, declare

expect.set_options(timeout=60_000)
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

TABLET = {"viewport": {"width": 768, "height": 1024}, "has_touch": True}
# Remembers the cameras that a page was given; lets a test refuse them, and put the clock of the page forward.
WATCHED = """
  window.cameras = []
  const ask = globalThis.MediaDevices?.prototype.getUserMedia    // an empty tab has none
  if (ask) MediaDevices.prototype.getUserMedia = async function (wanted) {
    if (window.refusal) throw new DOMException("refused", window.refusal)
    const stream = await ask.call(this, wanted)
    window.cameras.push(...stream.getTracks())
    return stream
  }
  window.ahead = 0
  const now = performance.now.bind(performance)
  performance.now = () => now() + window.ahead
"""
# A reader of the browser's own, which finds what a test puts into `window.inSight`.
READER = """window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"] }
  async detect() { return window.inSight ?? [] }
}"""
NO_CAMERA = """if (window.MediaDevices) MediaDevices.prototype.enumerateDevices = async () => {
  window.isAsked = true
  return []
}"""
CAMERAS = "window.cameras.map((camera) => camera.readyState)"


class Plain(Page):
    """Stands for the pages that links lead to."""

    title = "Elsewhere"

    async def load(self) -> Any:
        return html_pane("<p>elsewhere</p>")


@pytest.fixture(scope="module")
def browser(
    playwright: Playwright, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Give a browser with a camera that sees the code M042."""
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    path.write_bytes(film(grey_code("M042", 640, 480)))
    # Chromium without windows has nothing to ask the visitor with.
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    camera = (*fake, f"--use-file-for-fake-video-capture={path}")
    browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, *camera])
    yield browser
    browser.close()


def film(picture: np.ndarray[Any, Any]) -> bytes:
    """Return a film that shows one grey picture."""
    height, width = picture.shape
    colourless = bytes([128]) * (width * height // 2)
    frame: bytes = b"FRAME\n" + picture.tobytes() + colourless
    return f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode() + 2 * frame


@pytest.fixture
def lab(schema: dj.Schema, port: int) -> Iterator[Lab]:
    lab = Lab(Services(declare(schema)))
    lab.rows("Person").insert([("ana", ""), ("bo", "")])
    lab.rows("Subject").insert([{"subject_id": f"M{i:03d}", "species": "mouse"} for i in (41, 42, 43)])
    yield lab
    lab.services.close()


Open = Callable[..., Tab]


@pytest.fixture
def open_form(lab: Lab, open_page: OpenPage, port: int) -> Iterator[Open]:
    """Give a function that opens the form of a table on a tablet with a camera."""
    pages: dict[str, type[Page]] = {"home": Plain, "table": Plain, "enter": EnterPage, "edit": EditPage}
    running: RunningSite = serve(
        Site(pages, lab.services, title="Test lab", user="ana"), port=port, threaded=True
    )
    tabs = []

    def open_form(table: str, *scripts: str, place: str = "enter", **options: Any) -> Tab:
        tab = open_page(visitor="tablet", **TABLET | options)
        for script in (WATCHED, *scripts):
            tab.add_init_script(script)
        tab.goto(f"{running.url}#/{place}/{lab.schema}.{table}")
        expect(tab.locator(".form :focus")).to_have_count(1)
        tabs.append(tab)
        return tab

    yield open_form
    for tab in tabs:
        tab.goto("about:blank")
    running.stop()


def scan_button(tab: Tab, label: str) -> Locator:
    return tab.get_by_role("button", name=f"Scan with the camera: {label}", exact=True)


def field(tab: Tab, name: str) -> Locator:
    return tab.get_by_label(re.compile(f"^{name}")).first


def test_a_scanned_text_is_checked_as_if_typed_and_the_next_field_gets_the_focus(
    open_form: Open, lab: Lab
) -> None:
    tab = open_form("Subject")
    scan_button(tab, "Subject ID").tap()
    expect(field(tab, "Subject ID")).to_have_value("M042")
    expect(field(tab, "Species")).to_be_focused()
    expect(tab.locator(".summary")).to_contain_text("M042 exists already.")
    assert tab.evaluate(CAMERAS) == ["ended"]
    scan_button(tab, "Big").tap()
    expect(tab.locator(".problem").filter(has_text="M042")).to_be_visible()  # no whole number
    assert len(lab.rows("Subject")) == 3


def test_a_scanned_key_chooses_the_parent_and_one_that_is_not_there_leaves_the_choices_open(
    open_form: Open, lab: Lab
) -> None:
    (lab.rows("Subject") & {"subject_id": "M042"}).delete()
    tab = open_form("Session")
    scan_button(tab, "Subject").tap()
    expect(tab.locator(".problem").filter(has_text="There is no Subject M042.")).to_be_visible()
    expect(field(tab, "Subject")).to_be_focused()
    expect(field(tab, "Subject")).to_have_value("M042")
    # The number on the animal's tag, which is in no key, is found too.
    lab.rows("Subject").insert1({"subject_id": "M050", "species": "rat", "tag": "M042"})
    scan_button(tab, "Subject").tap()
    expect(field(tab, "Subject")).to_have_value("M050")
    expect(field(tab, "Session")).to_be_focused()
    assert len(lab.rows("Session")) == 0


def test_the_camera_stops_however_the_dialog_closes_and_the_field_stays_as_it_was(open_form: Open) -> None:
    tab = open_form("Subject", READER)
    field(tab, "Tag").fill("old")
    dialog = tab.get_by_role("dialog", name="Scan: Tag")
    field(tab, "Tag").press("Alt+c")
    expect(dialog).to_contain_text("Hold the code inside the frame.")
    tab.evaluate("window.ahead = 11000")
    expect(dialog).to_contain_text("No code found yet.")
    tab.keyboard.press("Enter")  # on the button that closes
    expect(dialog).to_be_hidden()
    expect(field(tab, "Tag")).to_be_focused()
    button = scan_button(tab, "Tag")
    button.tap()
    expect(dialog).to_contain_text("Hold the code inside the frame.")
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    button.tap()
    expect(dialog).to_contain_text("Hold the code inside the frame.")
    tab.evaluate("window.ahead = 80000")
    expect(dialog).to_contain_text("No code was found within a minute")
    assert tab.evaluate(CAMERAS) == ["ended"] * 3
    dialog.get_by_role("button", name="Try again").tap()
    expect(dialog).to_contain_text("Hold the code inside the frame.")
    tab.evaluate("window.cameras.at(-1).onended()")
    expect(dialog).to_contain_text("The camera was switched off.")
    dialog.get_by_role("button", name="Try again").tap()
    expect(dialog).to_contain_text("Hold the code inside the frame.")
    expect(field(tab, "Tag")).to_have_value("old")
    tab.evaluate("location.hash = '#/home'")  # as Back does
    expect(tab.get_by_role("heading", name="Elsewhere")).to_be_visible()
    assert tab.evaluate(CAMERAS) == ["ended"] * 5


def test_a_camera_that_cannot_be_used_says_why_and_a_photo_does_instead(open_form: Open) -> None:
    tab = open_form("Subject", "window.refusal = 'NotAllowedError'")
    dialog = tab.get_by_role("dialog", name="Scan: Tag")
    scan_button(tab, "Tag").tap()
    expect(dialog).to_contain_text("The camera may not be used: allow it for this page")
    for name, words in {
        "NotFoundError": "No camera was found.",
        "NotReadableError": "The camera does not start (refused).",
    }.items():
        tab.evaluate("(name) => { window.refusal = name }", name)
        dialog.get_by_role("button", name="Try again").tap()
        expect(dialog).to_contain_text(words)
    expect(field(tab, "Tag")).to_have_value("")
    photo = dialog.locator("input[type=file]")
    photo.set_input_files({"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    expect(dialog).to_contain_text("notes.jpg is not a picture that this browser can read.")
    photo.set_input_files(
        {"name": "wall.jpg", "mimeType": "image/jpeg", "buffer": jpeg(np.full((300, 400), 200, np.uint8))}
    )
    expect(dialog).to_contain_text("No code can be read in this photo.")
    photo.set_input_files(
        {"name": "tag.jpg", "mimeType": "image/jpeg", "buffer": jpeg(grey_code("T-17", 4000, 3000))}
    )
    expect(field(tab, "Tag")).to_have_value("T-17")
    expect(dialog).to_be_hidden()


def test_without_https_a_tablet_takes_a_photo(open_form: Open) -> None:
    tab = open_form("Subject", "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    with tab.expect_file_chooser() as chosen:
        scan_button(tab, "Subject ID").tap()
    assert chosen.value.element.get_attribute("capture") == "environment"
    expect(tab.get_by_role("dialog")).to_contain_text("This page may use the camera only over HTTPS.")
    chosen.value.set_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg(grey_code("M9", 640, 480))}
    )
    expect(field(tab, "Subject ID")).to_have_value("M9")
    expect(field(tab, "Species")).to_be_focused()


def test_a_computer_shows_no_buttons_until_they_are_asked_for_and_without_a_camera_offers_none(
    open_form: Open,
) -> None:
    tab = open_form("Subject", has_touch=False)
    wanted = tab.get_by_label("Scan with the camera", exact=True)
    expect(wanted).not_to_be_checked()
    expect(scan_button(tab, "Tag")).to_be_hidden()
    wanted.check()
    expect(scan_button(tab, "Tag")).to_be_visible()
    tab.reload()
    expect(scan_button(tab, "Tag")).to_be_visible()
    none = open_form("Subject", NO_CAMERA)
    none.wait_for_function("window.isAsked")
    expect(none.get_by_label(re.compile("^Scan with the camera"))).to_have_count(0)


def test_the_form_that_changes_a_row_takes_what_the_browser_reads_nearest_to_the_middle(
    open_form: Open,
) -> None:
    tab = open_form("Subject?subject_id=M041", READER, place="edit")
    tab.evaluate("""() => {
      const box = (x) => ({x, y: 200, width: 80, height: 80})
      window.inSight = [{rawValue: "aside", boundingBox: box(10)}, {rawValue: " 17\\u001d-B\\n", boundingBox: box(200)}]
    }""")
    scan_button(tab, "Tag").tap()
    expect(field(tab, "Tag")).to_have_value("17-B")
    expect(field(tab, "Big")).to_be_focused()
