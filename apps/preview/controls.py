"""Buttons that move a plot, copy text or fetch a file: one light component instead of a widget per button."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import panel_material_ui as pmui
import param
from panel.custom import JSComponent

from dj_panel.core.words import marked, say

# Drawn on a 16 x 16 grid with the current colour.
ICONS = {
    "back": "M10 3 5 8l5 5",
    "forward": "M6 3l5 5-5 5",
    "up": "M3 10l5-5 5 5",
    "down": "M3 6l5 5 5-5",
    "in": "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5 14 14M5 7h4M7 5v4",
    "out": "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5 14 14M5 7h4",
    "reset": "M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3",
    "download": "M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10",
    "copy": "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
}
LABELS = {
    "back": marked("Left"),
    "forward": marked("Right"),
    "up": marked("Up"),
    "down": marked("Down"),
    "in": marked("Zoom in"),
    "out": marked("Zoom out"),
    "reset": marked("Reset"),
}


class ButtonBar(JSComponent):
    """A row of real buttons that tells Python which one was pressed."""

    label = param.String(default="Plot", doc="Name of the group, for screen readers.")
    items = param.List(
        default=[], doc="Each a dict with `id`, `label`, `icon` (path data) and `text` (shown or not)."
    )
    copy_text = param.String(default="", doc="What the button with the id `copy` puts on the clipboard.")
    copied = param.String(default="", doc="What is said once the text is on the clipboard.")
    not_copied = param.String(default="", doc="What is said where the browser does not let pages copy.")

    _stylesheets: ClassVar[list[str]] = [
        """
:host{display:inline-block}
.bar{display:inline-flex;align-items:center;gap:0;font-family:var(--dj-font,inherit)}
button{display:inline-flex;align-items:center;justify-content:center;gap:6px;min-width:36px;height:36px;
padding:0 9px;margin:0 0 0 -1px;border:1px solid var(--dj-border-strong,#7b8594);
background:var(--dj-surface,#fff);color:var(--dj-text,#1a1f27);font:inherit;
font-size:var(--dj-size-s,13px);cursor:pointer}
button:first-child{border-radius:var(--dj-radius-m,6px) 0 0 var(--dj-radius-m,6px);margin-left:0}
button:last-of-type{border-radius:0 var(--dj-radius-m,6px) var(--dj-radius-m,6px) 0}
button:only-of-type{border-radius:var(--dj-radius-m,6px)}
button:hover{background:var(--dj-accent-soft,#e6edfd)}
button:focus-visible{outline:2px solid var(--dj-accent,#2a5bd7);outline-offset:2px;z-index:1}
button:disabled{opacity:.5;cursor:default}
svg{flex:none}
.said{margin-left:10px;color:var(--dj-muted,#545e6c);font-size:var(--dj-size-s,13px)}
@media (pointer:coarse){button{min-width:44px;height:44px}}
"""
    ]

    _esm = """
function copied(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text)
  // The clipboard interface exists only over HTTPS and on this machine itself.
  const area = document.createElement("textarea")
  area.value = text
  document.body.appendChild(area)
  area.select()
  const done = document.execCommand("copy")
  area.remove()
  return done ? Promise.resolve() : Promise.reject(new Error("copy"))
}

export function render({ model, el }) {
  const bar = document.createElement("div")
  bar.className = "bar"
  bar.setAttribute("role", "group")
  const said = document.createElement("span")
  said.className = "said"
  said.setAttribute("role", "status")
  function draw() {
    bar.setAttribute("aria-label", model.label)
    bar.replaceChildren()
    for (const item of model.items) {
      const button = document.createElement("button")
      button.type = "button"
      button.setAttribute("aria-label", item.label)
      button.title = item.label
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
      for (const [name, value] of Object.entries({viewBox: "0 0 16 16", width: 16, height: 16, fill: "none",
        stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round",
        "aria-hidden": "true"})) svg.setAttribute(name, value)
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
      path.setAttribute("d", item.icon)
      svg.appendChild(path)
      button.appendChild(svg)
      if (item.text) button.appendChild(document.createTextNode(item.text))
      button.addEventListener("click", () => {
        if (item.id === "copy") {
          copied(model.copy_text).then(() => { said.textContent = model.copied },
                                       () => { said.textContent = model.not_copied })
        } else {
          model.send_msg({ pressed: item.id })
        }
      })
      bar.appendChild(button)
    }
    bar.appendChild(said)
  }
  model.on("items", draw)
  model.on("msg:custom", (message) => {
    const data = message.data ?? message
    if (data.said !== undefined) said.textContent = data.said
    if (data.content === undefined) return
    const bytes = Uint8Array.from(atob(data.content), (character) => character.charCodeAt(0))
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }))
    link.download = data.name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  })
  draw()
  el.appendChild(bar)
}
"""

    def __init__(self, on_press: Callable[[str], Any] | None = None, **params: Any) -> None:
        super().__init__(**({"margin": 0} | params))  # type: ignore[no-untyped-call]
        self._on_press = on_press

    def _handle_msg(self, data: Any) -> None:
        pressed = str(data.get("pressed")) if isinstance(data, dict) else ""
        # The browser may send anything: only a button that is there can be pressed.
        if self._on_press is not None and pressed in {item["id"] for item in self.items}:
            self._on_press(pressed)

    def say(self, text: str) -> None:
        """Show a short text beside the buttons, read out by screen readers."""
        self._send_msg({"said": text})

    def send_file(self, name: str, content: bytes) -> None:
        """Have the browser save `content` under `name`."""
        self._send_msg(
            {"name": name, "content": base64.b64encode(content).decode("ascii"), "said": say("Downloaded")}
        )


def plot_buttons(on_press: Callable[[str], Any], *, vertical: bool) -> ButtonBar:
    """Return the buttons that move a plot without a mouse."""
    names = ["out", "in", "back", "forward", *(["up", "down"] if vertical else []), "reset"]
    items = [{"id": name, "label": say(LABELS[name]), "icon": ICONS[name], "text": ""} for name in names]
    return ButtonBar(on_press, label=say("Move the plot"), items=items)


def copy_button(text: str) -> ButtonBar:
    """Return a button that copies `text`."""
    item = {"id": "copy", "label": say("Copy the code"), "icon": ICONS["copy"], "text": say("Copy")}
    return ButtonBar(
        label=say("Code"),
        items=[item],
        copy_text=text,
        copied=say("Copied"),
        not_copied=say("Select the text and copy it by hand"),
    )


def download_button(on_press: Callable[[str], Any], text: str) -> ButtonBar:
    """Return a button that asks for a file."""
    item = {"id": "download", "label": text, "icon": ICONS["download"], "text": text}
    return ButtonBar(on_press, label=say("File"), items=[item])


def select(
    label: str,
    options: list[str] | dict[str, Any],
    value: Any,
    on_change: Callable[[Any], Any],
    width: int = 180,
) -> pmui.Select:
    """Return a labelled drop-down list that calls `on_change`, as `watch` does."""
    widget = pmui.Select(label=label, options=options, value=value, width=width, size="small", margin=(4, 0))
    watch(widget, on_change)
    return widget


def watch(widget: Any, on_change: Callable[[Any], Any]) -> None:
    """Call `on_change`, a function or a coroutine function, with each new value of `widget`."""

    def changed(event: Any) -> None:
        on_change(event.new)

    async def changed_later(event: Any) -> None:
        await on_change(event.new)

    widget.param.watch(changed_later if inspect.iscoroutinefunction(on_change) else changed, "value")
