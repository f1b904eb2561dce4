"""Scripts and style sheets of this package."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["asset", "script"]

_FOLDER = files("dj_panel.apps")


def asset(name: str) -> str:
    """Return a file of this package as text."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Return script files as one, after what each of them says its messages with."""
    return "\n".join(map(asset, ("words.js", *names)))
