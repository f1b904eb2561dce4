"""The small HTML that pages are built from: words, icons, chips, bars; every value in it is escaped.

Its colours, type and spacing are those of :mod:`dj_panel.apps.theme`, through CSS custom properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape as _escape
from typing import Any, Final

from panel.pane import HTML

from dj_panel.apps.assets import asset
from dj_panel.core.words import grouped, marked, say

# ------------------------------------------------------------------------------------------------ words

_TIER_LABELS: Final[Mapping[str, str]] = {
    "lookup": "Lookup",
    "manual": "Manual",
    "imported": "Imported",
    "computed": "Computed",
    "part": "Part",
}
_STATE_LABELS: Final[Mapping[str, str]] = {
    "done": marked("Done"),
    "partial": marked("Partial"),
    "pending": marked("Pending"),
    "running": marked("Running"),
    "error": marked("Error"),
    "ignored": marked("Ignored"),
    "blocked": marked("Blocked"),
}

#: Icons on a 16 x 16 grid, drawn with `currentColor` by `icon`.
ICON_PATHS: Final[Mapping[str, str]] = {
    "lookup": '<path d="M5.5 4h7M5.5 8h7M5.5 12h7"/><path d="M2.75 4h.01M2.75 8h.01M2.75 12h.01"/>',
    "manual": '<path d="M10.8 2.9l2.3 2.3-7.6 7.6-3 .7.7-3z"/><path d="M9.3 4.4l2.3 2.3"/>',
    "imported": '<path d="M8 2v7.5M4.8 6.5L8 9.7l3.2-3.2"/><path d="M2.5 11v2.5h11V11"/>',
    "computed": '<path d="M3 12.5c2.2.6 2.6-.9 3-3.2l.7-3.6C7 4 7.7 2.8 9.6 3.4M4.3 7h4"/>'
    '<path d="M9.6 8.6l3.6 4.2M13.2 8.6l-3.6 4.2"/>',
    "part": '<rect x="2.5" y="2.5" width="11" height="11" rx="1.5"/><path d="M8 8h5.5M8 8v5.5"/>',
    "done": '<circle cx="8" cy="8" r="6"/><path d="M5.3 8.2l1.9 1.9 3.6-4"/>',
    "partial": '<circle cx="8" cy="8" r="6"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"/>',
    "pending": '<circle cx="8" cy="8" r="6" stroke-dasharray="2.2 2.5"/>',
    "running": '<circle cx="8" cy="8" r="6"/><path d="M6.6 5.6v4.8l4-2.4z" fill="currentColor"/>',
    "error": '<path d="M8 2l6.3 11.2H1.7z"/><path d="M8 6.4v3.2M8 11.4v.01"/>',
    "ignored": '<circle cx="8" cy="8" r="6"/><path d="M3.8 12.2l8.4-8.4"/>',
    "blocked": '<rect x="3" y="7" width="10" height="6.5" rx="1"/><path d="M5.2 7V5a2.8 2.8 0 0 1 5.6 0v2"/>',
}


def escape(value: object) -> str:
    """Return `str(value)` safe to stand in HTML text and in a quoted attribute.

    >>> escape('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return _escape(str(value), quote=True)


def tier_label(tier: str) -> str:
    """Return the word for a tier, whatever its case.

    >>> tier_label("manual")
    'Manual'
    """
    return _TIER_LABELS[tier.lower()]


def state_label(state: str) -> str:
    """Return the word for a state of work, such as `Running`.

    >>> state_label("blocked")
    'Blocked'
    """
    return say(_STATE_LABELS[state.lower()])


def icon(name: str, *, size_px: int = 16) -> str:
    """Return an icon of `ICON_PATHS` as inline SVG, hidden from screen readers: text stands beside it."""
    return (
        f'<svg class="dj-icon" viewBox="0 0 16 16" width="{size_px}" height="{size_px}" aria-hidden="true" '
        'fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
        f"{ICON_PATHS[name]}</svg>"
    )


# ------------------------------------------------------------------------------------------------- HTML

_TONE_RULES: Final = "".join(
    f".dj-{family}-{name}{{--dj-fg:var(--dj-{family}-{name});--dj-bg:var(--dj-{family}-{name}-soft)}}"
    for family, names in (("tier", _TIER_LABELS), ("state", _STATE_LABELS))
    for name in names
)

#: Rules for the classes that the builders below use. A pane has a shadow root of its own, which the rules of
#: the document do not enter: give this to each pane that shows such HTML (`html_pane` does).
COMPONENT_CSS: Final = _TONE_RULES + asset("markup.css")


def html_pane(html_text: str, **params: Any) -> HTML:
    """Return a pane that shows trusted, already escaped HTML with the rules of `COMPONENT_CSS`.

    Parameters
    ----------
    html_text
        What the builders of this module return, or other HTML whose values went through `escape`.
    **params
        Parameters of `panel.pane.HTML`; `stylesheets` are added after ours.
    """
    stylesheets = [COMPONENT_CSS, *params.pop("stylesheets", [])]
    return HTML(html_text, stylesheets=stylesheets, **({"margin": 0} | params))


def chip(text: object, kind: str = "neutral", *, icon_name: str | None = None) -> str:
    """Return a small rounded label.

    Parameters
    ----------
    text
        What it says; escaped here.
    kind
        `neutral`, `accent`, `code` (monospace), or a tier or state by name.
    icon_name
        A name of `ICON_PATHS`.
    """
    if kind in _TIER_LABELS:
        css_class = f"dj-tier-{kind}"
    elif kind in _STATE_LABELS:
        css_class = f"dj-state-{kind}"
    elif kind in ("neutral", "accent", "code"):
        css_class = f"dj-kind-{kind}"
    else:
        raise ValueError(f"chip kind {kind!r} is none of neutral, accent, code, a tier or a state")
    image = icon(icon_name) if icon_name else ""
    return f'<span class="dj-chip {css_class}">{image}<span>{escape(text)}</span></span>'


def tier_chip(tier: str) -> str:
    """Return the chip of a tier: its icon, word and colour."""
    return chip(tier_label(tier), tier.lower(), icon_name=tier.lower())


def state_chip(state: str, text: object | None = None) -> str:
    """Return the chip of a state: its icon, `text` (the state's own word if None) and colour."""
    return chip(state_label(state) if text is None else text, state.lower(), icon_name=state.lower())


def progress_bar_html(done: int, running: int, error: int, total: int) -> str:
    """Return a bar of done, running and failed keys out of `total`, and the same in words.

    Running and failed stretches also differ in pattern, so that the bar reads without colour.
    """
    words = [say("{done} of {total} done", done=done, total=total)]
    if running:
        words.append(say("{n} running", n=running))
    if error:
        words.append(say("{n} failed", n=error))
    stretches = "".join(
        f'<i class="dj-state-{state}" style="width:{100 * n / total:.2f}%"></i>'
        for state, n in (("done", done), ("running", running), ("error", error))
        if n and total
    )
    failed = f" · <b>{escape(say('{n} failed', n=error))}</b>" if error else ""
    return (
        f'<span class="dj-progress" role="img" aria-label="{escape(", ".join(words))}">'
        f'<span class="dj-track">{stretches}</span>'
        f'<span class="dj-progress-text">{grouped(done)} / {grouped(total)}{failed}</span></span>'
    )


def empty_state(title: object, text: object = "") -> str:
    """Return what a list shows when it has nothing to show: a short title and what to do about it."""
    more = f"<span>{escape(text)}</span>" if text else ""
    return f'<div class="dj-empty"><strong>{escape(title)}</strong>{more}</div>'


def key_html(key: Mapping[str, object]) -> str:
    """Return a primary key as `name value` pairs in the order given."""
    pairs = "".join(f"<span><i>{escape(name)}</i><b>{escape(key[name])}</b></span>" for name in key)
    return f'<span class="dj-key">{pairs}</span>'
