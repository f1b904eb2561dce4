"""A site with the forms of a small lab and nothing else; run as a program, it serves a lab whose name it is told."""

from __future__ import annotations

import os
import sys
from typing import Any

import dj_panel as dj
from dj_panel.apps.entry import EnterPage
from dj_panel.apps.markup import html_pane
from dj_panel.apps.page import Page
from dj_panel.apps.services import Services
from dj_panel.apps.site import Site, serve
from tests.entry_tables import declare


class Plain(Page):
    """Stands for the pages that links lead to."""

    title = "Elsewhere"

    async def load(self) -> Any:
        return html_pane("<p>elsewhere</p>")


PAGES: dict[str, type[Page]] = {"home": Plain, "table": Plain, "enter": EnterPage}


def main(name: str, port: str, mode: str) -> None:
    """Serve the tables of a lab; one that ``dies`` does so once it has written a row, before it answers."""
    services = Services(declare(dj.Schema(name)))
    write = services.entering._write

    def write_and_die(*row: Any) -> None:
        write(*row)
        os._exit(9)

    if mode == "dies":
        services.entering._write = write_and_die  # type: ignore[method-assign, assignment]
    serve(Site(PAGES, services, title="Test lab", user="ana"), port=int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
