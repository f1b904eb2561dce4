"""A real browser, and pages that fail a test for what a user would not notice at once.

A test fails when a page of it raised a script error, wrote an error to the console, or sent a request to
another machine. A test that provokes console errors names them:
``@pytest.mark.console_errors("WebSocket connection .* failed")``.

The browser lives as long as one test file. While it does, Playwright keeps an event loop running in the
thread of the tests, where ``asyncio.run`` refuses to start another; after it, other tests are free to.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    ViewportSize,
    WebError,
    sync_playwright,
)

from tests.browser.served_demo import Demo
from tests.servers import free_port

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
DESKTOP: ViewportSize = {"width": 1280, "height": 800}

OpenPage = Callable[..., Page]


class Watch:
    """Collects what went wrong in the pages of one test, and where they have been.

    Attributes
    ----------
    problems
        One sentence each, in the order they happened.
    origins
        The origins that pages loaded anything from.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self.problems: list[str] = []
        self.origins: set[str] = set()
        self._allowed = [re.compile(pattern) for pattern in allowed]

    def follow(self, context: BrowserContext) -> None:
        """Listen to every page that `context` has and will have."""
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("page", self._on_page)

    def leave(self, context: BrowserContext) -> None:
        """Stop listening to `context`."""
        context.remove_listener("console", self._on_console)
        context.remove_listener("weberror", self._on_error)
        context.remove_listener("request", self._on_request)
        context.remove_listener("page", self._on_page)

    def _on_page(self, page: Page) -> None:
        page.on("websocket", lambda websocket: self._check_host(websocket.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(pattern.search(message.text) for pattern in self._allowed):
            self.problems.append(f"console error: {message.text} ({message.location.get('url', '')})")

    def _on_error(self, error: WebError) -> None:
        self.problems.append(f"script error: {error.error}")

    def _on_request(self, request: Request) -> None:
        self._check_host(request.url)

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "ws", "wss"}:
            return  # data: and blob: come from the page itself
        if parts.hostname in LOCAL_HOSTS:
            self.origins.add(f"{parts.scheme}://{parts.netloc}")
        else:
            self.problems.append(f"request to another host: {url}")


# No names but this machine's resolve. Without a graphics processor, Chromium draws straight away with less
# work than by emulating one.
ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--disable-gpu",
)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Give what drives browsers."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    """Give a browser for visitors other than the test's one."""
    browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def port() -> int:
    """Give a TCP port for the servers of one test file, which follow each other: one cache serves them all."""
    return free_port()


@pytest.fixture(scope="module")
def shared_context(
    playwright: Playwright, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """Give the test's one visitor, whose cache on the disk keeps the 5 MB of scripts that every page loads.

    Only a browser with a profile on the disk keeps them compiled too: a page takes a sixth less work.
    """
    profile = tmp_path_factory.mktemp("profile")
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path=chromium, args=ARGUMENTS, viewport=DESKTOP
    )
    yield context
    context.close()


@pytest.fixture(scope="module")
def eraser(shared_context: BrowserContext) -> CDPSession:
    """Give a session on an empty tab of the visitor, through which what other tabs stored is removed."""
    return shared_context.new_cdp_session(shared_context.new_page())


@pytest.fixture
def open_page(
    request: pytest.FixtureRequest, shared_context: BrowserContext, eraser: CDPSession
) -> Iterator[OpenPage]:
    """Give a function that opens a watched page.

    Called without arguments it opens a tab of the test's one visitor. Called with options of Playwright's
    ``Browser.new_context`` (``viewport``, ``color_scheme``, ``has_touch``, …) or with ``visitor="Bob"`` it
    opens a page for a visitor of its own: other cookies, other storage.
    """
    marker = request.node.get_closest_marker("console_errors")
    watch = Watch(marker.args if marker else ())
    contexts: list[BrowserContext] = []
    idle = list(shared_context.pages)

    def follow(context: BrowserContext) -> BrowserContext:
        watch.follow(context)
        contexts.append(context)
        return context

    def open_page(*, visitor: str | None = None, **options: Any) -> Page:
        if visitor is None and not options:
            return shared_context.new_page()
        browser: Browser = request.getfixturevalue("browser")
        return follow(browser.new_context(**{"viewport": DESKTOP} | options)).new_page()

    follow(shared_context)
    yield open_page
    for context in contexts:
        for page in [page for page in context.pages if page not in idle]:
            page.evaluate("0")  # what the page reported before now has arrived when this is answered
            page.close()
        watch.leave(context)
        if context is not shared_context:
            context.close()
    shared_context.clear_cookies()
    for origin in sorted(watch.origins):  # the cache of scripts stays
        kinds = "cookies,local_storage,indexeddb,service_workers"
        eraser.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": kinds})
    if watch.problems:
        pytest.fail("The page is not clean:\n" + "\n".join(watch.problems), pytrace=False)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """Give an empty page, 1280 by 800 pixels."""
    return open_page()


@pytest.fixture(scope="module")
def kept_tab(shared_context: BrowserContext) -> Iterator[Page]:
    """Give the tab that the tests of one file follow each other in."""
    tab = shared_context.new_page()
    yield tab
    tab.close()


@pytest.fixture
def kept_page(request: pytest.FixtureRequest, open_page: OpenPage, kept_tab: Page) -> Iterator[Page]:
    """Give a page that may be what the test before left, 1280 by 800 pixels.

    It is for tests that reach all they look at by an address, of a server that lives as long as the file:
    going there within the site takes a tenth of what loading it takes. A failed test's page is left, and so
    is one that holds restrictions, which follow the visitor.
    """
    n_failed = request.session.testsfailed
    kept_tab.set_viewport_size(DESKTOP)
    yield kept_tab
    if request.session.testsfailed > n_failed or "r." in urlsplit(kept_tab.url).fragment:
        kept_tab.goto("about:blank")


@pytest.fixture(scope="module")
def demo(built_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Give the demo lab, served; the tests of one file share it."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(built_demo, folder / "lab")
    demo = Demo(folder)
    yield demo
    demo.stop()
