"""A page in a real browser, used by the keyboard alone: the keys are counted, and what the network carried."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from tests.servers import chromium_path

__all__ = ["Traffic", "Typist", "browsing", "visitor"]

ARGUMENTS = ("--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")

# Looks into the shadow roots of components too; asked again at each frame, so that waiting adds little.
_SHOWN = """([selector, text]) => {
  const look = (root) => [...root.querySelectorAll(selector)].some((e) => e.value === text || e.textContent.includes(text)) ||
    [...root.querySelectorAll("*")].some((e) => e.shadowRoot && look(e.shadowRoot))
  return look(document)
}"""


@contextmanager
def browsing() -> Iterator[Browser]:
    """Give a browser for as long as the context lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visitor(browser: Browser, login: StorageState | None = None) -> Iterator[Typist]:
    """Give the page of a visitor whose cache is empty, logged in or not."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, storage_state=login)
    context.set_default_timeout(60_000)
    try:
        yield Typist(context.new_page())
    finally:
        context.close()


@dataclass
class Traffic:
    """What a page asked for and received.

    Attributes
    ----------
    n_requests
        Requests that the server answered, not the cache; and the messages sent to it over a web socket.
    n_bytes
        Received: answers with their heads, as they came, and the messages of a web socket.
    """

    n_requests: int = 0
    n_bytes: int = 0


class Typist:
    """Somebody without a mouse.

    Attributes
    ----------
    page
        What is looked at.
    n_keys
        Keys pressed so far; Ctrl+Enter are two.
    traffic
        Since the last call of `start`.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.n_keys = 0
        self.traffic = Traffic()
        self._cached: set[str] = set()
        self._begun = time.perf_counter()
        protocol = page.context.new_cdp_session(page)
        protocol.on("Network.requestServedFromCache", lambda event: self._cached.add(event["requestId"]))
        protocol.on("Network.responseReceived", self._take_response)
        protocol.on("Network.requestWillBeSent", self._take_request)
        protocol.on("Network.loadingFinished", self._take_end)
        protocol.on("Network.webSocketFrameSent", lambda _: self._add(1, 0))
        protocol.on("Network.webSocketFrameReceived", self._take_message)
        protocol.send("Network.enable")

    # ------------------------------------------------------------------ keys
    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.n_keys += len(key.split("+"))
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """Type a text; each character is a key."""
        self.n_keys += len(text)
        self.page.keyboard.type(text)

    # ------------------------------------------------------------------ what is shown
    def wait_for(self, selector: str, text: str = "") -> None:
        """Wait until an element of a selector holds a text, or a field has it as its value."""
        self.page.wait_for_function(_SHOWN, arg=[selector, text])

    def wait_for_quiet(self) -> None:
        """Wait until nothing is loaded any more."""
        self.page.wait_for_load_state("networkidle")

    # ------------------------------------------------------------------ clock and network
    def start(self) -> None:
        """Begin to count and to measure."""
        self.page.evaluate("0")  # what was reported before now has arrived when this is answered
        self.n_keys, self.traffic = 0, Traffic()
        self._begun = time.perf_counter()

    def seconds(self) -> float:
        """Return the time since `start`."""
        return time.perf_counter() - self._begun

    def _add(self, n_requests: int, n_bytes: int) -> None:
        self.traffic.n_requests += n_requests
        self.traffic.n_bytes += n_bytes

    def _take_request(self, event: dict[str, Any]) -> None:
        if redirect := event.get("redirectResponse"):
            self._add(1, int(redirect["encodedDataLength"]))

    def _take_response(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache") or event["response"]["url"].startswith(("data:", "blob:")):
            self._cached.add(event["requestId"])

    def _take_end(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._cached:
            self._add(1, int(event["encodedDataLength"]))

    def _take_message(self, event: dict[str, Any]) -> None:
        text = event["response"]["payloadData"]
        is_text = event["response"]["opcode"] == 1
        # Binary messages are reported in base64.
        self._add(0, len(text.encode()) if is_text else len(text) * 3 // 4)
