"""The site: which pages there are, and the server that shows them."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import socket
import threading
import weakref
import webbrowser
from collections.abc import Callable, Collection, Mapping
from typing import Any

import panel as pn
from panel.io.server import Server, get_server
from panel_material_ui.template.base import Page as MaterialPage
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from dj_panel.apps import language, people, security, shell
from dj_panel.apps.downloads import DownloadHandler
from dj_panel.apps.frame import Frame
from dj_panel.apps.page import Page
from dj_panel.apps.panel_mends import mend_dispatch

SLEEPING_SESSION_MS = 30 * 60 * 1000
"""How long the session of a window that stopped answering is kept: a tablet that sleeps comes back to it."""

SWEEP_MS = 5_000
"""How often ended sessions are removed."""

UNOPENED_SESSION_S = 60
"""How long a session is kept whose window never connected, such as a link preview."""

TOKEN_LIFETIME_S = 7 * 24 * 3600
"""How long a window may come back; once its session is gone it gets a new one at the same address."""

# Loaded once, here: a page that is shown later finds its libraries in the window.
pn.extension(notifications=False)


class Site:
    """The pages of one pipeline.

    Parameters
    ----------
    pages
        Page classes by the name that their address has; ``home`` is shown at ``#/``.
    services
        The only door to the database, handed to every page; has a coroutine ``table_names()``.
    title
        Name of the pipeline, shown in the header.
    user
        Name of every visitor, where something before the site knows it. If None, visitors say who they are, and
        until then they are the account that runs the server.

    Raises
    ------
    ValueError
        If no page is named ``home``.
    """

    def __init__(
        self,
        pages: Mapping[str, type[Page]],
        services: Any,
        title: str = "Pipeline",
        *,
        user: str | None = None,
    ) -> None:
        if "home" not in pages:
            raise ValueError(f"a site needs a page named 'home'; its pages are {', '.join(pages) or 'none'}")
        mend_dispatch()
        self.pages = dict(pages)
        self.services = services
        self.title = title
        self.user = user
        self.frames: weakref.WeakValueDictionary[str, Frame] = weakref.WeakValueDictionary()

    def open_window(self) -> MaterialPage:
        """Make the frame for a new visitor; Panel calls it for each load of the site."""
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            raise RuntimeError("a window of the site can only be opened by its server: use serve(site)")
        user = self.user or people.cleaned(pn.state.cookies.get(people.COOKIE)) or people.account()
        people.remember(document, user)
        frame = Frame(
            self.pages,
            self.services,
            user=user,
            dark=pn.state.cookies.get("dj-panel-theme") == "dark",
            document=document,
        )
        self.frames[frame.window_id] = frame
        document.on_session_destroyed(lambda _context: self._close_window(frame))
        _drop_unless_opened(document.session_context)
        chosen = pn.state.cookies.get(language.COOKIE)
        code = language.choose(chosen, str(pn.state.headers.get("Accept-Language", "")))
        language.remember(document, code)
        document.template_variables.update(
            shell.template_variables(
                self.title, user, list(self.pages), code, account="" if self.user else people.account()
            )
        )
        frame.bridge.server_doc(document, title=self.title, location=False)
        return frame.view

    def close(self) -> None:
        """Close every open page."""
        for frame in list(self.frames.values()):
            self._close_window(frame)

    def _close_window(self, frame: Frame) -> None:
        self.frames.pop(frame.window_id, None)
        frame.close()


class RunningSite:
    """A site that is being served.

    Attributes
    ----------
    url
        Where a browser finds it.
    """

    def __init__(self, site: Site, server: Server, address: str, port: int) -> None:
        self.site = site
        self.address = address
        self.port = port
        self.url = f"http://{_host(address)}:{port}/"
        self._server = server
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        """Stop serving: pages are closed and windows lose their connection. Callable from any thread."""
        loop = self._server.io_loop
        loop.add_callback(self._shut_down)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    async def _shut_down(self) -> None:
        self.site.close()
        self._server.stop(wait=False)
        await self._server._http.close_all_connections()
        self._server.io_loop.stop()


def serve(
    site: Site,
    *,
    port: int = 0,
    address: str = "127.0.0.1",
    websocket_origins: Collection[str] = (),
    open_browser: bool = False,
    threaded: bool = False,
    on_ready: Callable[[RunningSite], None] | None = None,
) -> RunningSite:
    """Serve a site until SIGINT or SIGTERM, or in a thread until `RunningSite.stop`.

    Parameters
    ----------
    port
        TCP port; 0 takes a free one.
    address
        Address to listen on. Only this computer reaches the default.
    websocket_origins
        Further ``host:port`` under which browsers know the server, such as that of a proxy. A window opened
        at any other address cannot connect.
    open_browser
        Whether to show the site in a browser of this computer.
    threaded
        Whether to return at once and serve from a thread.
    on_ready
        Called once the server accepts connections.

    Raises
    ------
    OSError
        If the port is taken.
    ValueError
        If an origin is ``*``, which would let every site in a visitor's browser in.
    """
    if any("*" in origin for origin in websocket_origins):
        raise ValueError(
            "websocket origins name hosts, as in 'lab.example.org:443': '*' would admit any web site"
        )
    ready = threading.Event()
    outcome: list[RunningSite | BaseException] = []

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        loop = IOLoop.current()
        try:
            running = _start(site, port, address, websocket_origins)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the caller
            outcome.append(error)
            ready.set()
            loop.close(all_fds=True)
            return
        outcome.append(running)
        if threaded:
            running._thread = threading.current_thread()
        else:
            _stop_on_signals(running)
        print(f"dj_panel is at {running.url}", flush=True)  # noqa: T201 - what the user of a terminal waits for
        if open_browser:
            loop.run_in_executor(None, webbrowser.open, running.url)
        loop.add_callback(ready.set)
        if on_ready is not None:
            loop.add_callback(on_ready, running)
        loop.start()
        loop.close(all_fds=True)

    if threaded:
        threading.Thread(target=run, name="dj_panel site", daemon=True).start()
        ready.wait()
    else:
        run()
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _start(site: Site, port: int, address: str, origins: Collection[str]) -> RunningSite:
    port = _usable_port(address, port)
    server = get_server(
        {"/": site.open_window},
        port=port,
        address=address,
        websocket_origin=sorted({f"{_host(address)}:{port}", f"localhost:{port}", *origins}),
        location=False,
        admin=False,
        show=False,
        start=False,
        title=site.title,
        session_token_expiration=TOKEN_LIFETIME_S,
        unused_session_lifetime_milliseconds=SLEEPING_SESSION_MS,
        check_unused_sessions_milliseconds=SWEEP_MS,
    )
    application = server._tornado
    application.transforms.append(security.SecureAnswer)
    application.add_handlers(
        r".*",
        [
            *security.refusal_rules(),
            (r"/window/([\w-]{22})", _WindowProbe, {"site": site}),
            (r"/download/([\w-]{32})", DownloadHandler),
        ],
    )
    # Panel starts one sweep of its busy flag for the whole process, within the first session that is ever
    # busy, which would keep that session's document for good. Here it starts outside of all sessions.
    server.io_loop.add_callback(pn.state._schedule_busy_cleanup)
    server.start()
    return RunningSite(site, server, address, port)


class _WindowProbe(RequestHandler):
    """Tells a window that lost its connection whether its session is still here."""

    def initialize(self, site: Site) -> None:
        """Remember whose windows are asked for."""
        self.site = site

    def get(self, window_id: str) -> None:
        """Answer ``{"known": true}`` or ``false``."""
        self.write({"known": window_id in self.site.frames})


def _stop_on_signals(running: RunningSite) -> None:
    loop = asyncio.get_event_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, running.stop)


def _drop_unless_opened(session_context: Any) -> None:
    """Let a session go whose window has not connected after a while."""
    waiting = weakref.ref(session_context)

    def look() -> None:
        session = getattr(waiting(), "session", None)
        if session is not None and not session.destroyed and session.connection_count == 0:
            session.request_expiration()

    # In a context of its own: a timer keeps the context it was made in, and with it the session's document.
    contextvars.Context().run(IOLoop.current().call_later, UNOPENED_SESSION_S, look)


def _usable_port(address: str, port: int) -> int:
    """Return `port`, or a free one for 0; the allowed origins have to name it before the server is made."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # there it would let two servers share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
