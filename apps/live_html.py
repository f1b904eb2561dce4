"""HTML that is drawn once and in which single texts change: counts move, the reader stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dj_panel.apps.assets import asset, script
from dj_panel.apps.markup import COMPONENT_CSS

__all__ = ["LiveHtml"]


class LiveHtml(JSComponent):
    """HTML with a few things that happen in it.

    An element with ``data-live="name"`` shows the text ``live["name"]``. A button with ``data-copy="id"``
    copies the text of the element with that id. A link with ``data-shortcut="ArrowUp"`` is followed when that
    key is pressed with Alt, one with ``data-key="e"`` when it is pressed alone. A button with ``data-act="name"``
    is told of when it is pressed. Where HTML is drawn anew that had the focus, the button with the same name has it
    again, or else the element with ``data-focus``. An input with ``data-filter`` hides the elements whose
    ``data-search`` does not contain what is typed, and groups (``data-group``) in which none is left; an
    element with ``data-none`` is shown when nothing is.

    Parameters
    ----------
    html
        Trusted: values in it went through `dj_panel.apps.markup.escape`.
    on_filter
        Called with what is typed into the filter.
    on_act
        Called with the name of a button that was pressed.
    """

    html = param.String(default="", doc="The HTML; a change draws it anew.")
    live = param.Dict(default={}, doc="Texts by name.")

    _stylesheets: ClassVar[list[str]] = [COMPONENT_CSS, asset("live_html.css")]

    _esm = script("live_html.js")

    def __init__(
        self,
        html: str,
        on_filter: Callable[[str], Any] | None = None,
        on_act: Callable[[str], Any] | None = None,
        **params: Any,
    ) -> None:
        sizing = {"sizing_mode": "stretch_width", "margin": 0}
        super().__init__(html=html, **(sizing | params))  # type: ignore[no-untyped-call]
        self._on_filter = on_filter
        self._on_act = on_act

    def _handle_msg(self, data: Any) -> None:
        typed = data.get("filter") if isinstance(data, Mapping) else None
        if self._on_filter is not None and isinstance(typed, str):
            self._on_filter(typed)
        act = data.get("act") if isinstance(data, Mapping) else None
        if self._on_act is not None and isinstance(act, str):
            self._on_act(act)
