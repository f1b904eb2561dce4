"""The slow lab, served, for the tests of the live pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest
from panel.viewable import Viewable

from dj_panel.apps.diagram import DiagramPage
from dj_panel.apps.markup import escape, html_pane
from dj_panel.apps.monitor import PopulatePage
from dj_panel.apps.page import Page
from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.record import RecordPage
from dj_panel.apps.services import Services
from dj_panel.apps.site import RunningSite, Site, serve
from dj_panel.apps.status import HomePage
from dj_panel.modules import sorted_classes
from tests.slow_lab import load_slow_lab


class Elsewhere(Page):
    """Stands for the pages that links lead to."""

    async def load(self) -> Viewable:
        self.title = f"{self.visit.route.page} {'/'.join(self.visit.route.path)}"
        return html_pane(f"<p>{escape(self.title)}</p>")


@dataclass(frozen=True)
class Served:
    """A served slow lab.

    Attributes
    ----------
    module
        Its tables; what they compute is steered by files in `folder`.
    name
        Of its schema.
    """

    module: ModuleType
    folder: Path
    name: str
    running: RunningSite
    services: Services

    def url(self, fragment: str = "#/") -> str:
        return self.running.url + fragment

    def table(self, class_name: str) -> str:
        return f"{self.name}.{class_name}"


@contextmanager
def serve_slow_lab(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_items: int = 20,
    *,
    has_code: bool = True,
    more_pages: Mapping[str, type[Page]] = MappingProxyType({}),
) -> Iterator[Served]:
    """Serve a slow lab on SQLite."""
    monkeypatch.setenv("DJ_BACKEND", "sqlite")
    monkeypatch.setenv("DJ_DATABASE_NAME", str(folder / "pipeline.db"))
    module = load_slow_lab(folder, "slow", monkeypatch, n_items)
    connection = module.schema.connection
    classes = MappingProxyType(sorted_classes(connection, [module.schema.classes]))
    services = Services(Pipeline("Slow lab", connection, classes, module.__name__ if has_code else None))
    pages: dict[str, type[Page]] = {
        "home": HomePage,
        "diagram": DiagramPage,
        "populate": PopulatePage,
        "record": RecordPage,
    }
    pages |= dict.fromkeys(("tables", "table", "enter"), Elsewhere) | dict(more_pages)
    running = serve(Site(pages, services, "Slow lab", user="ana"), threaded=True)
    try:
        yield Served(module, folder, "slow", running, services)
    finally:
        running.stop()
        for child in services.working._children:
            child.process.kill()
            child.process.wait()
        services.close()
