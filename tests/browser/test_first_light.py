"""The whole job in the demo lab, as its users do it, with the keyboard alone, on both database servers.

A technician enters a subject and a session with its operators; the session appears in an open table and in
an open diagram; a scientist starts a computation, watches it finish, finds the job that failed, and looks into
a long signal and a stack.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.servers import MariaDBServer

LONG_MS = 120_000


class DemoLab:
    """The demo lab, served by its own command in a process of its own."""

    def __init__(self, folder: Path, server: MariaDBServer | None) -> None:
        self.folder = folder
        self.schema = "lab_"
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._options = []
        if server is not None:
            self.schema = f"t{secrets.token_hex(3)}_lab_"  # on a server that is shared with other tests
            self._environment["DJ_PANEL_DEMO_PREFIX"] = self.schema
            self._options = ["--on-server"]
            self._environment |= {
                "DJ_HOST": server.host,
                "DJ_PORT": str(server.port),
                "DJ_USER": server.user,
                "DJ_PASS": server.password,
            }
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        """Make the lab if it is not there, serve it, and wait until it answers."""
        command = [sys.executable, "-m", "dj_panel", "demo", "--folder", str(self.folder), "--no-browser"]
        self._process = subprocess.Popen(
            [*command, "--port", "0", *self._options],
            env=self._environment,
            cwd=self.folder.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if found := re.search(r"dj_panel is at (http://\S+)", line):
                self.url = found[1]
                return
        raise AssertionError("the demo did not start: " + "".join(said))

    def kill(self) -> None:
        """End the server as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> None:
        """End the server as Ctrl-C does."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoLab]:
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    folder = tmp_path_factory.mktemp("first-light") / "demo-lab"
    if server is None:
        shutil.copytree(request.getfixturevalue("built_demo"), folder)
    lab = DemoLab(folder, server)
    lab.start()
    yield lab
    lab.stop()
    if server is not None:
        server.drop_schemas(lab.schema)


def show(tab: Page, lab: DemoLab, place: str) -> Page:
    """Open a place of the site and wait until it is there."""
    tab.goto(lab.url + place)
    expect(tab.get_by_role("main")).to_have_attribute("aria-busy", "false", timeout=LONG_MS)
    return tab


SHOWN_WIDTH = """(() => {
    const models = Bokeh.documents.flatMap((document) => [...document._all_models.values()])
    const plot = models.findLast((model) => model.type === "Figure")
    return Math.abs(plot.x_range.end - plot.x_range.start)
})"""


def shown_width(tab: Page) -> float:
    """Return how much of the horizontal axis the newest plot shows."""
    return float(tab.evaluate(SHOWN_WIDTH))


def field(tab: Page, name: str) -> Locator:
    return tab.get_by_label(re.compile(f"^{name}")).first


def press(tab: Page, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def enter_subject(tab: Page, name: str) -> None:
    expect(field(tab, "Subject ID")).to_be_focused()
    tab.keyboard.type(name)
    press(tab, "Tab")
    expect(field(tab, "Species")).to_be_focused()
    tab.keyboard.type("hum")
    expect(tab.get_by_role("option", name="human")).to_have_attribute("aria-selected", "true")
    press(tab, "Enter", "Control+Enter")
    expect(tab.locator(".receipt")).to_contain_text(f"Saved: Subject {name}")


def enter_session(tab: Page) -> None:
    expect(field(tab, "Subject")).to_be_focused()
    tab.keyboard.type("hv-99")
    expect(tab.get_by_role("option", name="HV-99")).to_have_attribute("aria-selected", "true")
    press(tab, "Tab")
    expect(field(tab, "Subject")).to_have_value("HV-99")
    tab.keyboard.type("2026-11-20")
    press(tab, "Tab")
    for _ in range(8):
        if field(tab, "Rig").evaluate("e => e === e.getRootNode().activeElement"):
            break
        press(tab, "Tab")
    tab.keyboard.type("ppg")
    expect(tab.get_by_role("option", name=re.compile("^ppg-1"))).to_have_attribute("aria-selected", "true")
    press(tab, "Enter")
    add = tab.get_by_role("button", name="Add row to Operator")
    add.focus()
    press(tab, "Enter")
    for row, person in enumerate(("oleg", "mei")):
        picker = tab.get_by_role("combobox", name="Experimenter").nth(row)
        expect(picker).to_be_focused()
        tab.keyboard.type(person)
        expect(tab.get_by_role("option", name=re.compile(f"^{person}"))).to_have_attribute(
            "aria-selected", "true"
        )
        press(tab, "Tab", "Enter")  # Enter in the last cell of a row begins another
    expect(tab.get_by_role("combobox", name="Experimenter")).to_have_count(3)
    press(tab, "Control+Delete")
    press(tab, "Control+Enter")
    expect(tab.locator(".receipt")).to_contain_text("Saved: Session HV-99")


def test_the_whole_job_with_the_keyboard_alone(lab: DemoLab, open_page: OpenPage) -> None:
    s = lab.schema
    rows = show(open_page(), lab, f"#/table/{s}session.Session?sort=-session_date")
    diagram = show(open_page(), lab, "#/diagram")
    session_node = diagram.get_by_role("button", name=re.compile(r"^Session, Manual"))
    expect(session_node).to_have_attribute("aria-label", re.compile("13 rows"))

    tab = show(open_page(), lab, f"#/enter/{s}subject.Subject")
    enter_subject(tab, "HV-99")
    show(tab, lab, f"#/enter/{s}session.Session")
    enter_session(tab)

    # Seen elsewhere without a reload.
    expect(session_node).to_have_attribute("aria-label", re.compile("14 rows"))
    expect(rows.get_by_role("main")).to_contain_text("14 rows")
    expect(rows.get_by_role("main")).to_contain_text("HV-99")
    diagram.close()
    rows.close()

    # A computation, from its start to its end.
    show(tab, lab, f"#/populate/{s}analysis.WindowTuning")
    bar = tab.get_by_role("main").get_by_text(re.compile(r"^\d+ / 40"))
    expect(bar).to_have_text(re.compile(r"^8 / 40"))
    tab.get_by_role("button", name="Start").focus()
    press(tab, "Enter")
    seen = {bar.inner_text()}
    for _ in range(2400):
        seen.add(bar.inner_text())
        if "40 / 40" in seen:
            break
        tab.wait_for_timeout(50)
    assert "40 / 40" in seen
    assert len(seen) >= 5

    # The input that is bad on purpose.
    show(tab, lab, f"#/populate/{s}analysis.HeartRate")
    expect(tab.get_by_role("main")).to_contain_text("The pulse signal is flat")


def test_a_long_signal_and_a_stack_are_looked_into_with_the_keyboard_alone(
    lab: DemoLab, open_page: OpenPage
) -> None:
    s = lab.schema
    key = "subject_id=LM-01&session_date=2025-05-08&session_number=1&recording_number=1"
    tab = show(open_page(), lab, f"#/object/{s}acquisition.StimulusTrace?{key}&attribute=level")
    main = tab.get_by_role("main")
    expect(main).to_contain_text("samples 0 to 199,999 of 200,000", timeout=LONG_MS)
    expect(main).to_contain_text(re.compile(r"Showing 1 of every \d+"))
    for _ in range(2):
        tab.get_by_role("button", name="Zoom in").focus()
        press(tab, "Enter")
    # A quarter of the signal, in its middle; then further to the right.
    expect(main).to_contain_text(
        re.compile(r"samples (74|75),\d{3} to (124|125),\d{3} of 200,000"), timeout=LONG_MS
    )
    tab.get_by_role("button", name="Right").focus()
    press(tab, "Enter")
    expect(main).to_contain_text(
        re.compile(r"samples (8|9|1\d)\d,\d{3} to 1[3-9]\d,\d{3} of 200,000"), timeout=LONG_MS
    )

    key = "subject_id=HV-06&session_date=2025-05-22&session_number=1&recording_number=1"
    show(tab, lab, f"#/object/{s}acquisition.Scan?{key}&attribute=volumes")
    slider = main.get_by_role("slider").first
    expect(slider).to_be_visible(timeout=LONG_MS)
    summary = tab.locator("p.summary")
    expect(summary).to_contain_text(
        re.compile(r"Rows 0 to \d+, columns 0 to \d+, at \d+, \d+"), timeout=LONG_MS
    )
    plane = re.search(r"at (\d+), (\d+)", summary.inner_text())
    assert plane is not None
    slider.focus()
    press(tab, "ArrowRight")
    expect(summary).to_contain_text(f"at {int(plane[1]) + 1}, {plane[2]}", timeout=LONG_MS)
    whole = shown_width(tab)
    tab.get_by_role("button", name="Zoom in").focus()
    press(tab, "Enter")
    tab.wait_for_function(f"{SHOWN_WIDTH}() < {0.6 * whole}", timeout=LONG_MS)


@pytest.mark.console_errors(
    r"WebSocket connection to|Failed to connect to Bokeh|net::ERR_|Lost websocket|Failed to repull"
)
def test_what_was_confirmed_survives_a_killed_server(lab: DemoLab, open_page: OpenPage) -> None:
    tab = show(open_page(), lab, f"#/enter/{lab.schema}subject.Subject")
    enter_subject(tab, "HV-98")
    lab.kill()
    lab.start()
    show(tab, lab, f"#/table/{lab.schema}subject.Subject?f.subject_id=HV-98")
    expect(tab.get_by_role("main")).to_contain_text("HV-98")
    expect(tab.get_by_role("main")).to_contain_text(re.compile(r"1 of \d+ rows matches"))
