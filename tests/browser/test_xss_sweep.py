"""xss-sweep: markup in every text, name, comment, error and file is shown as text, on every page of the site.

The site forbids scripts in its markup by a policy, so that an element which was let through might do nothing here;
therefore such elements themselves are looked for, in all shadow roots, after everything that is done on a page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panel.custom import JSComponent
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

import dj_panel as dj
from dj_panel.apps.application import PAGES
from dj_panel.apps.routes import Route, format_route
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve
from tests.browser.conftest import OpenPage
from tests.entry_tables import pipeline_of

expect.set_options(timeout=30_000)

EVIL = "<img src=x onerror=xss()><b class=evil>'\"`{{7*7}}</b>"
EVIL_WORD = "<svg onload=xss()>"
"""Without the quotes and braces that a list of choices and the name of a file cannot have."""

LET_THROUGH = """() => {
  const found = []
  const look = root => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) look(element.shadowRoot)
      const is_evil = element.matches("img[src=x], .evil, [onerror], [onload], [href^='javascript:' i], [src^='javascript:' i]")
      if (is_evil) found.push(element.outerHTML.slice(0, 200))
    }
  }
  look(document)
  return [found, window.harmed === true, document.title.includes("harmed")]
}"""

SHOWS = """(text) => {
  const look = root => [...root.querySelectorAll("*")].some(element =>
    (element.shadowRoot && look(element.shadowRoot))
    || [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.includes(text)
      && !element.closest("script, style"))
    || ["aria-label", "title", "value", "placeholder"].some(name => (element.getAttribute(name) || "").includes(text))
    || (typeof element.value === "string" && element.value.includes(text)))
  return look(document)
}"""


def declare(schema: dj.Schema) -> None:
    @schema
    class Kind(dj.Lookup):
        definition = f"""
        # {EVIL}
        kind : varchar(80)   # {EVIL}
        """
        contents = ((EVIL,), ("plain",))

    @schema
    class Thing(dj.Manual):
        definition = f"""
        # {EVIL}
        thing : varchar(80)               # {EVIL}
        ---
        -> Kind
        choice = "plain" : enum("{EVIL_WORD}", "plain")   # {EVIL}
        note = "{EVIL_WORD}" : varchar(400)               # ({EVIL_WORD}) {EVIL}
        document = null : json            # {EVIL}
        values = null : <blob>            # {EVIL}
        paper = null : <attach>           # {EVIL}
        kept = null : <object@main>       # {EVIL}
        """

        class Detail(dj.Part):
            definition = f"""
            # {EVIL}
            -> master
            detail : varchar(80)
            ---
            said : varchar(400)           # {EVIL}
            """

    @schema
    class Outcome(dj.Computed):
        definition = f"""
        # {EVIL}
        -> Thing
        ---
        outcome : varchar(400)            # {EVIL}
        """

        def make(self, key: dict[str, Any]) -> None:
            if key["thing"] == "plain":
                raise ValueError(EVIL)
            self.insert1({**key, "outcome": EVIL})


def fill(schema: dj.Schema, folder: Path) -> None:
    things, outcomes = schema.classes["Thing"], schema.classes["Outcome"]
    paper = folder / f"{EVIL_WORD}.html"
    paper.write_text(EVIL)
    kept = folder / "kept.json"
    kept.write_text(json.dumps({EVIL: EVIL}))
    records = np.array([(1, EVIL), (2, "b")], dtype=[(EVIL, "i8"), ("text", object)])
    common = {
        "kind": EVIL,
        "choice": EVIL_WORD,
        "note": EVIL,
        "document": {EVIL: [EVIL]},
        "paper": paper,
        "kept": kept,
    }
    things.insert1({**common, "thing": EVIL, "values": {EVIL: [EVIL, {"a": EVIL}]}})
    things.insert1({**common, "thing": "records", "values": records})
    things.insert1({**common, "thing": "plain", "values": [EVIL, EVIL]})
    things.Detail.insert1({"thing": EVIL, "detail": EVIL, "said": EVIL})
    outcomes.populate(suppress_errors=True, reserve_jobs=True)


class Lab:
    """A served pipeline full of markup."""

    def __init__(self, running: RunningSite, services: Services) -> None:
        self.running, self.services = running, services
        self.schema = services.tables()[0].schema

    def route(self, page: str, table: str = "", **query: str) -> Route:
        return Route(page, (f"{self.schema}.{table}",) if table else (), query)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("xss")
    (folder / "store").mkdir()
    stores = {"default": "main", "main": {"protocol": "file", "location": str(folder / "store")}}
    instance = dj.Instance(
        backend="sqlite", database__name=str(folder / "pipeline.db"), stores=stores, safemode=False
    )
    schema = dj.Schema("lab", connection=instance.connection)
    declare(schema)
    fill(schema, folder)
    services = Services(pipeline_of(schema, title=EVIL))
    running = serve(Site(PAGES, services, title=EVIL, user=EVIL), threaded=True)
    yield Lab(running, services)
    running.stop()
    services.close()
    instance.connection.close()


@pytest.fixture
def tab(open_page: OpenPage) -> Tab:
    tab = open_page(visitor="hostile")
    tab.add_init_script("window.xss = () => { window.harmed = true }")
    return tab


def nothing(tab: Tab) -> None:
    """Only look."""


def press(*names: str) -> Callable[[Tab], None]:
    """Return what presses buttons or links, one after the other."""

    def done(tab: Tab) -> None:
        for name in names:
            tab.get_by_role("button", name=name).or_(tab.get_by_role("link", name=name)).first.click()
            tab.wait_for_timeout(100)

    return done


def save_the_form(tab: Tab) -> None:
    field = tab.get_by_role("textbox", name="Note").first
    field.fill(EVIL * 20)
    tab.keyboard.press("Control+Enter")
    expect(tab.get_by_role("alert").filter(visible=True).first).to_be_visible()


def review_a_change(tab: Tab) -> None:
    tab.get_by_role("textbox", name="Note").first.fill(EVIL + EVIL)
    tab.keyboard.press("Control+Enter")
    expect(tab.locator(".revision")).to_contain_text("1 value will change")
    tab.get_by_label("Reason").fill(EVIL)
    tab.keyboard.press("Enter")
    expect(tab.locator(".history")).to_contain_text(EVIL)


def review_new_values(tab: Tab) -> None:
    tab.get_by_role("textbox", name="Note").first.fill(EVIL)
    tab.keyboard.press("Control+Enter")
    expect(tab.get_by_role("main")).to_contain_text(EVIL)


def paste_rows(tab: Tab) -> None:
    box = tab.get_by_label("Rows from a spreadsheet")
    box.fill(f"thing\tkind\t{EVIL}\tchoice\n{EVIL}2\t{EVIL}\t{EVIL}\t{EVIL}\n")
    box.press("Control+Enter")
    expect(tab.locator("td[aria-invalid=true]").first).to_be_visible()


def select_a_node(tab: Tab) -> None:
    tab.get_by_role("button", name="Thing").first.click()
    expect(tab.get_by_role("main")).to_contain_text(EVIL)


PLACES: dict[str, tuple[Callable[[Lab], Route], Callable[[Tab], None]]] = {
    "home": (lambda lab: lab.route("home"), nothing),
    "diagram": (lambda lab: lab.route("diagram"), nothing),
    "a node of the diagram": (lambda lab: lab.route("diagram"), select_a_node),
    "tables": (lambda lab: lab.route("tables", q=EVIL), nothing),
    "table": (lambda lab: lab.route("table", "Thing"), press("Columns")),
    "table, wrongly filtered": (lambda lab: lab.route("table", "Thing", **{EVIL: EVIL, "f.x": EVIL}), nothing),
    "record": (lambda lab: lab.route("record", "Thing", thing=EVIL), nothing),
    "record that is not there": (lambda lab: lab.route("record", "Thing", thing=EVIL + EVIL), nothing),
    "record that is computed": (lambda lab: lab.route("record", "Outcome", thing=EVIL), nothing),
    "the forms": (lambda lab: lab.route("enter"), nothing),
    "form": (lambda lab: lab.route("enter", "Thing", thing=EVIL, kind=EVIL, note=EVIL), save_the_form),
    "form like a row": (lambda lab: lab.route("enter", "Thing", like=EVIL), nothing),
    "import": (lambda lab: lab.route("import", "Thing"), paste_rows),
    "edit": (lambda lab: lab.route("edit", "Thing", thing=EVIL), review_a_change),
    "edit of rows": (lambda lab: lab.route("edit-rows", "Thing", select="plain;records"), review_new_values),
    "delete": (lambda lab: lab.route("delete", "Thing", thing=EVIL), nothing),
    "populate": (lambda lab: lab.route("populate"), nothing),
    "populate a table": (lambda lab: lab.route("populate", "Outcome"), nothing),
    **{
        f"object: {name} of {thing[:8]}": (
            lambda lab, name=name, thing=thing: lab.route("object", "Thing", thing=thing, attribute=name),  # type: ignore[misc]
            nothing,
        )
        for thing in (EVIL, "records", "plain")
        for name in ("values", "document", "paper", "kept")
    },
    "table, restricted": (
        lambda lab: Route("table", (f"{lab.schema}.Thing",), {"f.note": EVIL}, {"thing": f"={EVIL}"}),
        nothing,
    ),
    "a page that there is not": (lambda lab: Route("nowhere", (EVIL,), {EVIL: EVIL}), nothing),
}  # fmt: skip

SILENT = {
    "home",
    "table, wrongly filtered",
    "populate",
    "a page that there is not",
    "record that is computed",
}
"""Places that need not show any of the markup."""


def test_markup_is_text_on_every_page(lab: Lab, tab: Tab) -> None:
    """0 executions and 0 elements let through, of payloads in all that a lab or a visitor can name."""
    seen: set[type] = set()
    for place, (route, act) in PLACES.items():
        tab.goto(lab.running.url + format_route(route(lab)))
        expect(tab.get_by_role("main")).to_have_attribute("aria-busy", "false")
        seen |= shown(lab)
        act(tab)
        seen |= shown(lab)
        if place not in SILENT:
            tab.wait_for_function(SHOWS, arg=EVIL_WORD if "paper" in place else "onerror=xss()")
        assert tab.evaluate(LET_THROUGH) == [[], False, False], place
    tab.goto("about:blank")
    # A component that is new is to be shown at one of the places.
    assert {cls.__name__ for cls in components()} - {cls.__name__ for cls in seen} == set()
    assert {route(lab).page for route, _ in PLACES.values()} - {"nowhere"} == set(PAGES)


def shown(lab: Lab) -> set[type]:
    """Return the components that windows show now."""
    frames = list(lab.running.site.frames.values())
    return {type(part) for frame in frames for part in (frame.bridge, *frame.view.select(JSComponent))}


def components() -> set[type]:
    """Return the components of the application that are shown themselves."""
    found: set[type] = set()
    waiting: list[type] = [JSComponent]
    while waiting:
        subclasses: list[type] = waiting.pop().__subclasses__()
        waiting += subclasses
        found.update(cls for cls in subclasses if cls.__module__.startswith("dj_panel.apps."))
    return {cls for cls in found if not any(issubclass(other, cls) and other is not cls for other in found)}
