"""The application: the pages of a pipeline put together and served."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve

__all__ = ["make_site", "serve_pipeline"]


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
