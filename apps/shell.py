"""The window around the pages: its HTML, and the channel between that and Python.

The shell is plain HTML that the browser can draw before any widget library has arrived. Header, navigation,
heading, messages and the state of the connection live there (``shell.html``, ``shell.css``, ``shell.js``);
only the view of the page is a Panel component. `Bridge` carries messages between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import param
from jinja2 import Environment, FunctionLoader, Template
from markupsafe import Markup
from panel.custom import JSComponent

from dj_panel.apps import language, people, theme
from dj_panel.apps.assets import asset, script
from dj_panel.core.words import marked, say


@dataclass(frozen=True)
class NavigationEntry:
    """One link of the left navigation.

    Parameters
    ----------
    page
        The page it leads to.
    label
        What it says, in English.
    icon
        SVG paths on a 16 x 16 grid.
    also
        Pages that it marks as the present place too: those one level below it.
    """

    page: str
    label: str
    icon: str
    also: tuple[str, ...] = ()

    @property
    def href(self) -> str:
        """The fragment it leads to."""
        return "#/" if self.page == "home" else f"#/{self.page}"


NAVIGATION: tuple[NavigationEntry, ...] = (
    NavigationEntry("home", marked("Home"), '<path d="M2.5 7.4L8 2.8l5.5 4.6v5.8H9.9V9.4H6.1v3.8H2.5z"/>'),
    NavigationEntry(
        "diagram",
        marked("Diagram"),
        '<rect x="5.5" y="2" width="5" height="3.4" rx="0.9"/>'
        '<rect x="1.8" y="10.6" width="5" height="3.4" rx="0.9"/>'
        '<rect x="9.2" y="10.6" width="5" height="3.4" rx="0.9"/><path d="M8 5.4V8M4.3 10.6V8h7.4v2.6"/>',
    ),
    NavigationEntry(
        "tables",
        marked("Tables"),
        '<rect x="2.2" y="2.8" width="11.6" height="10.4" rx="1.2"/>'
        '<path d="M2.2 6.3h11.6M2.2 9.8h11.6M6.4 6.3v6.9"/>',
        ("table", "record", "object", "edit", "edit-rows", "delete"),
    ),
    NavigationEntry(
        "enter",
        marked("Enter"),
        '<path d="M13.2 8.8v3.4a1 1 0 0 1-1 1H3.8a1 1 0 0 1-1-1V3.8a1 1 0 0 1 1-1h3.4"/>'
        '<path d="M11.6 2.5l1.9 1.9-5.3 5.3-2.4.5.5-2.4z"/>',
        ("import",),
    ),
    NavigationEntry(
        "populate",
        marked("Populate"),
        '<circle cx="8" cy="8" r="5.8"/><path d="M6.6 5.5v5l4-2.5z" fill="currentColor"/>',
    ),
)

_MARK = (
    '<svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">'
    '<rect class="mark-back" x="1" y="1" width="22" height="22" rx="6"/>'
    '<path class="mark-line" d="M8 8v3.5h8V16M8 11.5V16"/>'
    '<circle class="mark-node" cx="8" cy="7.4" r="2"/><circle class="mark-node" cx="8" cy="16.6" r="2"/>'
    '<circle class="mark-node" cx="16" cy="16.6" r="2"/></svg>'
)
_FAVICON = (
    _MARK.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace('class="mark-back"', f'fill="{theme.LIGHT.accent}"')
    .replace('class="mark-line"', 'fill="none" stroke="#fff" stroke-width="1.5"')
    .replace('class="mark-node"', 'fill="#fff"')
)

# Bokeh's own parts of the page are HTML already; every text of ours goes through ``| e`` in the template.
_TEMPLATES = Environment(loader=FunctionLoader(asset), autoescape=False, trim_blocks=True, lstrip_blocks=True)
TEMPLATE: Template = _TEMPLATES.get_template("shell.html")


def template_variables(
    title: str, user: str, pages: Sequence[str], code: str = language.DEFAULT, *, account: str = ""
) -> dict[str, Any]:
    """Return what ``shell.html`` needs beside Bokeh's own variables.

    Parameters
    ----------
    title
        Name of the pipeline; escaped by the template.
    user
        Name of the visitor; escaped by the template.
    pages
        Pages that the site has: only those appear in the navigation.
    code
        The visitor's language.
    account
        Who a visitor is that says no name; empty if visitors do not say who they are.
    """
    return {
        "language": code,
        "languages": language.languages(),
        "language_cookie": language.COOKIE,
        "words": language.in_scripts(code),
        "say": say,
        "site_title": title,
        "user": user,
        "account": account,
        "user_cookie": people.COOKIE,
        "longest_name": people.MAX_LENGTH,
        "navigation": [
            {
                "page": entry.page,
                "href": entry.href,
                "label": say(entry.label),
                "icon": Markup(entry.icon),
                "also": " ".join(entry.also),
            }
            for entry in NAVIGATION
            if entry.page in pages
        ],
        "mark": Markup(_MARK),
        "favicon": _FAVICON,
        "theme_css": theme.css_variables(),
        "shell_css": asset("shell.css"),
        "shell_js": script("shell.js"),
    }


class Bridge(JSComponent):
    """The invisible component through which the shell and Python send each other messages.

    What arrives comes from a browser and may be anything; `receive` is given only mappings with a text
    ``type``.
    """

    _esm = script("bridge.js")

    receive = param.Callable(doc="Called with each message from the browser.")
    window_id = param.String(doc="By which a window asks whether the server still knows it.")

    _rename: ClassVar[Mapping[str, str | None]] = {"receive": None}

    def __init__(self, receive: Callable[[Mapping[str, Any]], None], window_id: str) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            receive=receive, window_id=window_id, width=0, height=0, margin=0
        )

    def send(self, kind: str, **data: Any) -> None:
        """Send a message of type `kind` to the shell."""
        self._send_msg({"type": kind, **data})

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, Mapping) and isinstance(data.get("type"), str):
            self.receive(data)
