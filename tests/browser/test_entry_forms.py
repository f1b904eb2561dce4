"""Forms of generated headings, drawn by a real browser from what the server says of them, and filled in."""

from __future__ import annotations

import asyncio
import json
import random
import re
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
