"""Forms of generated headings, drawn by a real browser from what the server says of them, and filled in."""

from __future__ import annotations

import asyncio
import json
import random
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

import dj_panel as dj
from dj_panel.apps.entry import EntryForm, EntryPage
from dj_panel.apps.pickers import Picker
from dj_panel.apps.routes import Route
from dj_panel.apps.services import Services
from dj_panel.apps.visit import Shell, Visit
from tests.entry_tables import pipeline_of
from tests.property.headings import Heading, declare_all, drawn, fine_draft

N_DRAWN = 200
N_SAVED = 10

HOST = """
    window.answers = new Map()
    window.shown = (form) => {
      const heard = new Set()
      const model = {form, prefill: {}, recent: [], draft_key: `draft/${form.table}`, pin_key: `pin/${form.table}`,
        preset_key: `preset/${form.table}`,
        on: (_, listener) => heard.add(listener), off: (_, listener) => heard.delete(listener),
        send_msg: async (message) => {
          if (message.type === "piece" && window.cut > 0) { window.cut -= 1; return }
          const answer = await ask(JSON.stringify(message))
          for (const listener of heard) listener({number: message.number, ...answer})
        }}
      document.body.replaceChildren(render({model}))
      const roots = [...document.querySelectorAll(".form input, .form select, .form textarea, .form button.choose")]
      const unnamed = roots.filter((c) => !c.labels?.length && !c.getAttribute("aria-label") && !c.hidden
        && c.getAttribute("aria-hidden") !== "true")
      return {fields: document.querySelectorAll(".form .field").length, unnamed: unnamed.length}
    }
"""


@pytest.fixture
def found(schema: dj.Schema, caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Services, list[Heading]]]:
    caplog.set_level("ERROR", "dj_panel")
    headings = drawn(N_DRAWN)
    services = Services(declare_all(schema, headings))
    yield services, headings
    services.close()


class Asked:
    """The page of one table without the site around it: it answers what a form asks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._thread = ThreadPoolExecutor(1)
        self.pages: dict[str, EntryPage] = {}

    def open(self, table: str) -> dict[str, Any]:
        visit = Visit(self._services, cast(Shell, None), user="ana")
        visit.route = Route("enter", (table,))
        page = self.pages[table] = EntryPage(visit)
        self._thread.submit(asyncio.run, page.load()).result()
        return self._services.entering.form(table).as_message()

    def answer(self, text: str) -> Any:
        data = json.loads(text)
        page = next(p for name, p in self.pages.items() if data["table"].startswith(name))
        handler = page._handlers[data["type"]]
        return self._thread.submit(asyncio.run, handler(page, data)).result()

    def close(self) -> None:
        self._thread.shutdown()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_file_whose_sending_breaks_off_is_sent_on_and_stored_whole(
    schema: dj.Schema, page: Tab, tmp_path: Path
) -> None:
    @schema
    class Scan(dj.Manual):
        definition = """
        scan : int16
        ---
        image : <blob>
        """

    services = Services(pipeline_of(schema))
    asked = Asked(services)
    page.clock.install()
    prepare(page, asked)
    page.evaluate("(form) => { shown(form) }", asked.open(f"{schema.name}.Scan"))
    page.get_by_label(re.compile("^Scan")).first.fill("1")
    image = np.arange(200_000.0)  # four pieces
    np.save(tmp_path / "image.npy", image)
    page.evaluate("window.cut = 3")  # as often as a piece is tried
    page.locator("input[type=file]").set_input_files(tmp_path / "image.npy")
    for left in (2, 1, 0):
        page.wait_for_function(f"window.cut === {left}")
        page.clock.run_for(16_000)
    broken = page.get_by_text("image.npy was not sent: the connection broke off")
    expect(broken).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("1.6 MB · 200000, float64")).to_be_visible()
    expect(broken).to_be_hidden()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".receipt")).to_contain_text("Saved: Scan 1")
    np.testing.assert_array_equal(services.pipeline[f"{schema.name}.Scan"]().fetch1("image"), image)
    asked.close()
    services.close()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_files_folders_and_zip_files_go_where_their_fields_say(
    schema: dj.Schema, page: Tab, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    (store / "raw").mkdir(parents=True)
    (store / "raw" / "a.tif").write_bytes(b"old")
    spec = {"protocol": "file", "location": str(store)}
    schema.connection.settings.stores = {"default": "main", "main": spec}
    folder = tmp_path / "x.zarr"
    (folder / "c").mkdir(parents=True)
    (folder / "zarr.json").write_bytes(b"{}")
    (folder / "c" / "0").write_bytes(bytes(600_000))  # more than one piece
    (tmp_path / "a.tif").write_bytes(b"new")
    for name, place in (("good.zip", "c/0"), ("bad.zip", "../0")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(place, b"0")

    @schema
    class Scan(dj.Manual):
        definition = """
        scan : int16
        ---
        raw = null : <filepath@main>
        data = null : <object@main>
        """

    services = Services(pipeline_of(schema))
    asked = Asked(services)
    prepare(page, asked)
    page.evaluate("(form) => { shown(form) }", asked.open(f"{schema.name}.Scan"))
    raw = page.get_by_label(re.compile("^Raw"))
    page.get_by_label(re.compile("^Scan")).first.fill("1")
    raw.fill("raw/b.tif")
    raw.press("Tab")
    expect(raw).to_have_accessible_description(re.compile(r"Did you mean raw/a\.tif\?"))
    chooser = page.locator(".field", has=raw).locator("input[type=file]")
    chooser.set_input_files(tmp_path / "a.tif")
    expect(raw).to_have_value(f"{schema.name}/Scan/a.tif")
    expect(raw).to_have_accessible_description(re.compile("a.tif, 3 bytes, is stored under this path"))
    raw.fill("raw/a.tif")
    raw.press("Tab")
    expect(raw).to_have_accessible_description(re.compile("no file is written over. Free is raw/a_1.tif"))
    raw.fill("raw/a_1.tif")
    file, whole = page.locator(".field", has_text="Data").locator("input[type=file]").all()
    file.set_input_files(tmp_path / "bad.zip")
    page.get_by_role("radio", name="Unpack").click()
    expect(page.get_by_text("would lie outside of the folder")).to_be_visible()
    expect(page.get_by_role("radio", name="Keep as one file")).to_be_checked()
    file.set_input_files(tmp_path / "good.zip")
    page.get_by_role("radio", name="Unpack").check()
    expect(page.get_by_text("Unpacked: a folder of 1 file")).to_be_visible()
    whole.set_input_files(folder)
    expect(page.get_by_text("600.0 kB · a folder of 2 files")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    raw.press("Control+Enter")
    expect(page.locator(".receipt")).to_contain_text("Saved: Scan 1")
    expect(raw).to_have_value("")
    row = services.pipeline[f"{schema.name}.Scan"]().fetch1()
    assert (row["raw"].path, row["raw"].read()) == ("raw/a_1.tif", b"new")
    assert (store / "raw" / "a.tif").read_bytes() == b"old"
    assert (row["data"].is_dir, row["data"].item_count, row["data"].size) == (True, 2, 600_002)
    file.set_input_files(tmp_path / "good.zip")
    expect(page.get_by_role("radio", name="Unpack")).to_be_visible()
    assert len(services.entering.uploads._uploads) == 1  # what was replaced, refused or saved is gone
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Choose a file…")).to_be_visible()
    page.get_by_label(re.compile("^Scan")).first.fill("2")
    page.keyboard.press("Control+Enter")  # answered after what was asked before
    expect(page.locator(".receipt")).to_contain_text("Saved: Scan 2")
    assert services.entering.uploads._uploads == {}
    asked.close()
    services.close()


def prepare(page: Tab, asked: Asked) -> None:
    """Load what forms are made of into an empty page; what they ask is answered by `asked`."""
    page.route("**/*", lambda route: route.fulfill(body="<body></body>", content_type="text/html"))
    page.goto("http://localhost/forms")
    page.expose_function("ask", asked.answer)
    script = EntryForm._esm.replace("export function render", "function render") + HOST
    page.add_script_tag(content=script, type="module")
    page.wait_for_function("window.shown !== undefined")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_forms_of_any_heading_are_drawn_and_ten_are_filled_in_and_saved(
    found: tuple[Services, list[Heading]], page: Tab
) -> None:
    services, headings = found
    schema = services.tables()[0].schema
    asked = Asked(services)
    prepare(page, asked)
    for i, heading in enumerate(headings):
        message = services.entering.form(f"{schema}.T{i}").as_message()
        drawn_form = page.evaluate("(form) => shown(form)", message)
        assert drawn_form == {"fields": len(message["items"]), "unnamed": 0}, heading.definition
    rich = sorted(range(N_DRAWN), key=lambda i: len(headings[i].definition))[-N_SAVED:]
    for i in rich:
        table = f"{schema}.T{i}"
        page.evaluate("(form) => { shown(form) }", asked.open(table))
        draft = fine_draft(headings[i], random.Random(i).choice)
        items = services.entering.form(table).items
        for item in items:
            names = item.attributes if isinstance(item, Picker) else (item.name,)
            texts = [draft.get(name, "") for name in names]
            if not all(texts):
                continue
            control = page.locator(".field", has=page.locator(f"code:text-is({', '.join(names)!r})"))
            box = control.locator("input:not(.calendar), select, textarea").first
            if box.evaluate("element => element.tagName") == "SELECT":
                box.select_option(texts[0])
            else:
                box.fill(" · ".join(texts))
                box.press("Tab")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".receipt")).to_contain_text("aved: ")
        assert len(services.pipeline[table]()) == 1, headings[i].definition
    asked.close()
