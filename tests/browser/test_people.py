"""A tablet that several people share: each says who works, and what is drafted and entered is theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

import dj_panel as dj
from dj_panel.apps.application import PAGES
from dj_panel.apps.people import account
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve
from tests.browser.conftest import OpenPage
from tests.browser.test_access import RULES, assert_no_serious_fault
from tests.entry_tables import HOSTILE, declare

expect.set_options(timeout=30_000)

# Who works is between the page and its server, whatever the database.
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def services(schema: dj.Schema) -> Iterator[Services]:
    services = Services(declare(schema))
    yield services
    services.close()


@pytest.fixture
def running(services: Services, port: int) -> Iterator[RunningSite]:
    running = serve(Site(PAGES, services, title="Test lab"), port=port, threaded=True)
    yield running
    running.stop()


def opened(tab: Tab, running: RunningSite, services: Services, page: str) -> Tab:
    tab.goto("about:blank")
    tab.goto(f"{running.url}#/{page}/{services.tables()[0].schema}.Person")
    expect(tab.get_by_role("main")).to_have_attribute("aria-busy", "false")
    return tab


def work_as(tab: Tab, name: str) -> None:
    """Switch to somebody who has worked on this device, or to a new name; with the keyboard alone."""
    tab.locator("#person").focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog", name="Who works here?")
    known = dialog.get_by_role("button", name=name, exact=True)
    if known.count():
        known.press("Enter")
    else:
        dialog.get_by_label("Another name").fill(f"  {name} ")
        tab.keyboard.press("Enter")
    expect(tab.locator("#person")).to_contain_text(name)
    expect(tab.locator(".form :focus")).to_have_count(1)


def test_people_who_share_a_tablet_keep_their_drafts_and_sign_their_entries(
    running: RunningSite, services: Services, open_page: OpenPage
) -> None:
    tab = opened(open_page(viewport={"width": 1024, "height": 768}), running, services, "enter")
    person = tab.get_by_label(re.compile("^Person")).first
    expect(tab.locator("#person")).to_contain_text(account())
    work_as(tab, "Ana Åberg")
    person.fill("carla")
    work_as(tab, HOSTILE)
    expect(person).to_have_value("")
    person.fill("dirk")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator(".receipt")).to_contain_text("Saved: Person dirk")
    work_as(tab, "Ana Åberg")
    expect(person).to_have_value("carla")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator(".receipt")).to_contain_text("Saved: Person carla")
    for row, name in (("dirk", HOSTILE), ("carla", "Ana Åberg")):
        tab.goto(f"{running.url}#/record/{services.tables()[0].schema}.Person?person={row}")
        expect(tab.locator(".history")).to_contain_text(name)
    assert "broken" not in tab.title()


def test_names_are_known_on_the_device_until_they_are_forgotten(
    running: RunningSite, services: Services, open_page: OpenPage
) -> None:
    tab = opened(
        open_page(visitor="tablet", viewport={"width": 320, "height": 700}), running, services, "enter"
    )
    dialog = tab.get_by_role("dialog", name="Who works here?")
    tab.get_by_role("button", name="Menu").click()
    tab.locator("#person").click()
    dialog.get_by_label("Another name").fill("Bo")
    dialog.get_by_role("button", name="Work under this name").click()
    expect(tab.locator("#person")).to_contain_text("Bo")
    tab.get_by_role("button", name="Menu").click()
    tab.locator("#person").click()
    expect(dialog.get_by_role("button", name="Bo", exact=True)).to_have_attribute("aria-current", "true")
    assert_no_serious_fault(tab, "who works here", RULES)
    dialog.get_by_role("button", name=account(), exact=True).click()
    expect(tab.locator("#person")).to_contain_text(account())
    assert not [cookie for cookie in tab.context.cookies() if cookie.get("name") == "dj-panel-person"]
    tab.get_by_role("button", name="Menu").click()
    tab.locator("#person").click()
    dialog.get_by_role("button", name="Forget Bo on this device").click()
    expect(dialog.get_by_role("button", name="Bo", exact=True)).to_have_count(0)
    tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_site_that_knows_its_visitors_does_not_ask_them(
    services: Services, port: int, open_page: OpenPage
) -> None:
    running = serve(Site(PAGES, services, title="Test lab", user="ana"), port=port, threaded=True)
    try:
        tab = open_page(visitor="one")
        tab.context.add_cookies([{"name": "dj-panel-person", "value": "bo", "url": running.url}])
        opened(tab, running, services, "enter")
        expect(tab.locator(".nav .who").first).to_have_text("ana")
        expect(tab.locator("#person")).to_have_count(0)
        tab.goto("about:blank")
    finally:
        running.stop()
