"""The application: the pages of a pipeline put together and served."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from dj_panel.apps.browse import TablePage, TablesPage
from dj_panel.apps.delete import DeletePage
from dj_panel.apps.diagram import DiagramPage
from dj_panel.apps.edit import EditPage
from dj_panel.apps.edit_rows import EditRowsPage
from dj_panel.apps.entry import EnterPage
from dj_panel.apps.importing import ImportPage
from dj_panel.apps.monitor import PopulatePage
from dj_panel.apps.objects import ObjectPage
from dj_panel.apps.page import Page
from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.record import RecordPage
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve
from dj_panel.apps.status import HomePage

__all__ = ["PAGES", "make_site", "serve_pipeline"]

PAGES: Final[MappingProxyType[str, type[Page]]] = MappingProxyType(
    {
        "home": HomePage,
        "diagram": DiagramPage,
        "tables": TablesPage,
        "table": TablePage,
        "record": RecordPage,
        "enter": EnterPage,
        "import": ImportPage,
        "edit": EditPage,
        "edit-rows": EditRowsPage,
        "delete": DeletePage,
        "populate": PopulatePage,
        "object": ObjectPage,
    }
)
"""The pages by their name in the address."""


def make_site(pipeline: Pipeline) -> Site:
    """Return the site of a pipeline: every page, over one set of services."""
    return Site(PAGES, Services(pipeline), pipeline.title)


def serve_pipeline(
    pipeline: Pipeline, *, port: int, address: str, origins: Sequence[str], open_browser: bool
) -> int:
    """Serve a pipeline until the process is told to stop; return the exit status.

    Parameters
    ----------
    pipeline
        What to serve.
    port
        TCP port; if it is taken, a free one is used.
    address
        Address to listen on.
    origins
        Other addresses under which browsers reach the server.
    open_browser
        Whether to open a browser.
    """
    site = make_site(pipeline)
    for name in ("bokeh", "tornado"):
        # A line for every file that a browser asks for would bury what the server has to say.
        logging.getLogger(name).setLevel(logging.WARNING)

    def ready(running: RunningSite) -> None:
        print(f"Ctrl-C stops it. (process {os.getpid()}, port {running.port})", flush=True)

    try:
        try:
            serve(
                site,
                port=port,
                address=address,
                websocket_origins=origins,
                open_browser=open_browser,
                on_ready=ready,
            )
        except OSError as error:
            print(f"Port {port} is taken ({error.strerror or error}); taking a free one.", file=sys.stderr)
            serve(
                site,
                port=0,
                address=address,
                websocket_origins=origins,
                open_browser=open_browser,
                on_ready=ready,
            )
    finally:
        site.services.close()
    return 0
