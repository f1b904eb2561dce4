"""The look of the pages: one set of design tokens for light and dark, and the small HTML built from them.

Everything that is drawn takes its colours, type and spacing from here: Material components through
`THEME_CONFIG`, our own HTML and SVG through the CSS custom properties of `css_variables`, plots through
`BOKEH_THEME`. Text has a contrast of at least 4.5:1 and every mark 3:1 on all surfaces it may stand on
(WCAG 2.2, 1.4.3 and 1.4.11); a state is never told by colour alone, it is icon, text and colour.

How dark mode reaches a page: `THEME_CONFIG` makes panel-material-ui publish `--mui-palette-dj-scheme` on
the document and rewrite it whenever the visitor toggles. Our `color-scheme` follows that property, and each
colour token is a `light-dark()` pair, which follows `color-scheme` into every shadow root. Until the page is
up, `<html data-theme="dark">` decides, so a shell that remembers the choice shows no flash of white.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from html import escape as _escape
from pathlib import Path
from typing import Any, Final, Literal

from bokeh.themes import Theme
from panel.pane import HTML

Tier = Literal["lookup", "manual", "imported", "computed", "part"]
State = Literal["done", "partial", "pending", "running", "error", "ignored", "blocked"]

FONT: Final = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, Cantarell, "Helvetica Neue", '
    "Arial, sans-serif"
)
MONO: Final = (
    'ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", '
    "monospace"
)

#: Spacing in px, used as `--dj-space-1` ... `--dj-space-8`.
SPACE: Final[tuple[int, ...]] = (4, 8, 12, 16, 20, 24, 32, 48)
#: Type scale: name -> (size in px, line height in px).
TYPE: Final[Mapping[str, tuple[int, int]]] = {
    "xs": (12, 16),
    "s": (13, 18),
    "m": (14, 20),
    "l": (16, 24),
    "xl": (20, 28),
    "xxl": (26, 34),
}
#: Corner radii in px.
RADIUS: Final[Mapping[str, int]] = {"s": 4, "m": 6, "l": 10}


@dataclass(frozen=True)
class Tone:
    """A foreground for text and marks, and the soft background it may stand on (both `#rrggbb`)."""

    fg: str
    soft: str


@dataclass(frozen=True)
class Scheme:
    """All colours of light or of dark, as `#rrggbb`.

    `canvas` lies under everything, `surface` is a card, `raised` a menu, `sunken` a well such as a track or
    a code block. `border` only decorates; `border_strong` outlines controls and has 3:1.
    """

    dark: bool
    canvas: str
    surface: str
    raised: str
    sunken: str
    border: str
    border_strong: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str
    tiers: Mapping[str, Tone]
    states: Mapping[str, Tone]
    plot: tuple[str, ...]

    def plain_colors(self) -> dict[str, str]:
        """Return the colours that are no tone, by CSS name: `{"border-strong": "#7b8594", ...}`."""
        return {
            f.name.replace("_", "-"): value
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), str)
        }


LIGHT: Final = Scheme(
    dark=False,
    canvas="#f6f7f9",
    surface="#ffffff",
    raised="#ffffff",
    sunken="#eceff3",
    border="#dbe0e7",
    border_strong="#7b8594",
    text="#1a1f27",
    muted="#545e6c",
    accent="#2a5bd7",
    accent_hover="#1f49b4",
    accent_soft="#e6edfd",
    on_accent="#ffffff",
    tiers={
        "lookup": Tone("#55606f", "#eaedf1"),
        "manual": Tone("#0b6e57", "#ddf3ec"),
        "imported": Tone("#2459b8", "#e3ecfc"),
        "computed": Tone("#96307f", "#f9e6f4"),
        "part": Tone("#6b5a35", "#f3eddd"),
    },
    states={
        "done": Tone("#1c6b33", "#def3e3"),
        "partial": Tone("#7a5600", "#faefd0"),
        "pending": Tone("#55606f", "#eaedf1"),
        "running": Tone("#2a5bd7", "#e6edfd"),
        "error": Tone("#b3261e", "#fce8e6"),
        "ignored": Tone("#5f6670", "#eceef1"),
        "blocked": Tone("#984307", "#fdeadd"),
    },
    plot=("#2a5bd7", "#b4531a", "#0b7a60", "#96307f", "#7a6200", "#0f7490", "#b3261e", "#5b4fc4"),
)

DARK: Final = Scheme(
    dark=True,
    canvas="#0f1216",
    surface="#171b21",
    raised="#1f252d",
    sunken="#0a0c0f",
    border="#2d353f",
    border_strong="#737e8d",
    text="#e7eaef",
    muted="#a0aab8",
    accent="#7ea9ff",
    accent_hover="#a3c2ff",
    accent_soft="#1c2b48",
    on_accent="#0f1520",
    tiers={
        "lookup": Tone("#a9b4c2", "#252c35"),
        "manual": Tone("#52cba6", "#12322a"),
        "imported": Tone("#82b1ff", "#1a2c4a"),
        "computed": Tone("#ec93d6", "#3c1f36"),
        "part": Tone("#cdb988", "#332c1c"),
    },
    states={
        "done": Tone("#62c97f", "#15311d"),
        "partial": Tone("#e3b341", "#362a0c"),
        "pending": Tone("#a9b4c2", "#252c35"),
        "running": Tone("#7ea9ff", "#1c2b48"),
        "error": Tone("#ff8a80", "#431d1a"),
        "ignored": Tone("#9aa4b1", "#242a31"),
        "blocked": Tone("#f5a166", "#3c2513"),
    },
    plot=("#7ea9ff", "#f2a063", "#52cba6", "#ec93d6", "#d9bd4a", "#5cc3de", "#ff8a80", "#b0a5ff"),
)


def scheme(*, dark: bool) -> Scheme:
    """Return `DARK` or `LIGHT`."""
    return DARK if dark else LIGHT


def _color_tokens(colors: Scheme) -> dict[str, str]:
    tokens = colors.plain_colors()
    for family, tones in (("tier", colors.tiers), ("state", colors.states)):
        for name, tone in tones.items():
            tokens[f"{family}-{name}"] = tone.fg
            tokens[f"{family}-{name}-soft"] = tone.soft
    tokens["shadow-near"] = "#00000066" if colors.dark else "#1a1f2714"
    tokens["shadow-far"] = "#00000080" if colors.dark else "#1a1f2721"
    return tokens


def css_variables() -> str:
    """Return the style sheet that defines every `--dj-*` custom property on the document.

    Put it once into the page's head (`pmui.Page(raw_css=[css_variables()])`). It also sets `color-scheme`,
    so native scroll bars and form fields turn dark with the page. Browsers without `light-dark()` fall back
    to `data-theme` on the html element.
    """
    light, dark = _color_tokens(LIGHT), _color_tokens(DARK)
    fixed = {"font": FONT, "mono": MONO}
    fixed |= {f"space-{i}": f"{px}px" for i, px in enumerate(SPACE, start=1)}
    fixed |= {f"radius-{name}": f"{px}px" for name, px in RADIUS.items()}
    for name, (size, line) in TYPE.items():
        fixed[f"size-{name}"] = f"{size / 16:g}rem"
        fixed[f"line-{name}"] = f"{line / 16:g}rem"
    fixed["shadow"] = "0 1px 2px var(--dj-shadow-near)"
    fixed["shadow-raised"] = "0 1px 2px var(--dj-shadow-near), 0 8px 24px var(--dj-shadow-far)"

    def block(tokens: Mapping[str, str]) -> str:
        return "".join(f"--dj-{name}:{value};" for name, value in tokens.items())

    both = {name: f"light-dark({value},{dark[name]})" for name, value in light.items()}
    return (
        ":root{color-scheme:var(--mui-palette-dj-scheme,light)}\n"
        ':root[data-theme="dark"]{color-scheme:var(--mui-palette-dj-scheme,dark)}\n'
        f":root{{{block(fixed | light)}}}\n"
        f':root[data-theme="dark"]{{{block(dark)}}}\n'
        f"@supports (color:light-dark(#000,#fff)){{:root,:root[data-theme]{{{block(both)}}}}}\n"
    )


def theme_config(*, dark: bool) -> dict[str, Any]:
    """Return the Material UI theme of one colour scheme (see `THEME_CONFIG` for both at once)."""
    c = scheme(dark=dark)
    border = f"1px solid {c.border}"
    focus_ring = {"outline": f"2px solid {c.accent}", "outlineOffset": "2px"}
    sizes = {"h1": "xxl", "h2": "xl", "h3": "l", "h4": "l", "h5": "m", "h6": "m"}
    headings = {
        level: {
            "fontSize": f"{TYPE[name][0] / 16:g}rem",
            "lineHeight": TYPE[name][1] / TYPE[name][0],
            "fontWeight": 600,
            "letterSpacing": "-0.01em" if name in ("xxl", "xl") else 0,
        }
        for level, name in sizes.items()
    }

    def color(main: str, *, hover: str | None = None, contrast: str | None = None) -> dict[str, str]:
        return {
            "main": main,
            "light": main,
            "dark": hover or main,
            "contrastText": contrast or (c.canvas if dark else "#ffffff"),
        }

    flat = {"defaultProps": {"elevation": 0}}
    return {
        "palette": {
            "mode": "dark" if dark else "light",
            "primary": color(c.accent, hover=c.accent_hover, contrast=c.on_accent),
            "secondary": color(c.muted),
            "success": color(c.states["done"].fg),
            "warning": color(c.states["blocked"].fg),
            "error": color(c.states["error"].fg),
            "info": color(c.accent, hover=c.accent_hover),
            "text": {"primary": c.text, "secondary": c.muted, "disabled": c.border_strong},
            "background": {"default": c.canvas, "paper": c.surface},
            "divider": c.border,
            "dj": {"scheme": "dark" if dark else "light"},
        },
        "shape": {"borderRadius": RADIUS["m"]},
        "typography": {
            "fontFamily": FONT,
            "fontSize": TYPE["m"][0],
            "body1": {"fontSize": "0.875rem", "lineHeight": TYPE["m"][1] / TYPE["m"][0]},
            "body2": {"fontSize": "0.8125rem", "lineHeight": TYPE["s"][1] / TYPE["s"][0]},
            "caption": {"fontSize": "0.75rem", "lineHeight": TYPE["xs"][1] / TYPE["xs"][0]},
            "button": {"fontWeight": 500, "textTransform": "none", "letterSpacing": 0},
            **headings,
        },
        "components": {
            "MuiAppBar": flat,
            "MuiButtonBase": {"styleOverrides": {"root": {"&.Mui-focusVisible": focus_ring}}},
            "MuiButton": {"styleOverrides": {"root": {"&, &:hover, &:active": {"boxShadow": "none"}}}},
            "MuiCard": flat | {"styleOverrides": {"root": {"border": border}}},
            "MuiPaper": {"styleOverrides": {"root": {"backgroundImage": "none"}}},
            "MuiMenu": {"styleOverrides": {"paper": {"border": border, "backgroundColor": c.raised}}},
            "MuiDrawer": {
                "styleOverrides": {"paper": {"borderColor": c.border, "backgroundColor": c.surface}}
            },
            "MuiOutlinedInput": {"styleOverrides": {"notchedOutline": {"borderColor": c.border_strong}}},
            "MuiTooltip": {
                "styleOverrides": {
                    "tooltip": {"backgroundColor": c.text, "color": c.surface, "fontSize": "0.75rem"},
                }
            },
        },
    }


#: Both schemes for `pmui.Page(theme_config=THEME_CONFIG)`: the page picks the half that its toggle asks for.
THEME_CONFIG: Final[dict[str, dict[str, Any]]] = {
    "light": theme_config(dark=False),
    "dark": theme_config(dark=True),
}

#: `pmui.Page(sx=PAGE_SX)`: a quiet header in the surface colour. This pair of palette colours is the one that
#: keeps panel-material-ui from inverting the colours of whatever stands in the header.
PAGE_SX: Final[dict[str, Any]] = {
    ".MuiAppBar-root": {
        "bgcolor": "primary.contrastText",
        "color": "primary.main",
        "backgroundColor": "var(--dj-surface)",
        "borderBottom": "1px solid var(--dj-border)",
        "boxShadow": "none",
    },
    ".MuiAppBar-root .title": {"color": "var(--dj-text)"},
}


def _bokeh_theme(*, dark: bool) -> Theme:
    c = scheme(dark=dark)
    text = {"text_font": FONT, "text_color": c.muted}

    def prefixed(prefix: str, *, size: str, color: str = c.muted) -> dict[str, Any]:
        return {
            f"{prefix}_text_font": FONT,
            f"{prefix}_text_font_size": size,
            f"{prefix}_text_font_style": "normal",
            f"{prefix}_text_color": color,
        }

    return Theme(
        json={
            "attrs": {
                "Plot": {
                    "background_fill_color": c.surface,
                    "border_fill_color": c.surface,
                    "outline_line_color": c.border,
                },
                "Axis": {
                    "axis_line_color": c.border_strong,
                    "major_tick_line_color": c.border_strong,
                    "minor_tick_line_color": None,
                    "major_tick_in": 0,
                    "major_tick_out": 4,
                    "axis_label_standoff": 8,
                    **prefixed("major_label", size="12px"),
                    **prefixed("axis_label", size="13px", color=c.text),
                },
                "Grid": {"grid_line_color": c.border, "grid_line_alpha": 0.6},
                "Title": text | {"text_font_size": "14px", "text_font_style": "bold", "text_color": c.text},
                "Legend": {
                    "background_fill_color": c.surface,
                    "background_fill_alpha": 0.9,
                    "border_line_color": c.border,
                    "label_text_font": FONT,
                    "label_text_font_size": "12px",
                    "label_text_color": c.text,
                },
                "ColorBar": {
                    "background_fill_color": c.surface,
                    "bar_line_color": c.border,
                    "major_tick_line_color": c.border_strong,
                    **prefixed("major_label", size="12px"),
                    **prefixed("title", size="12px", color=c.text),
                },
            }
        }
    )


#: Themes for plots, by `"light"` or `"dark"`: `pn.pane.HoloViews(plot, theme=BOKEH_THEME["dark"])`.
BOKEH_THEME: Final[dict[str, Theme]] = {"light": _bokeh_theme(dark=False), "dark": _bokeh_theme(dark=True)}


# ------------------------------------------------------------------------------------------------ words

_TIER_LABELS: Final[Mapping[str, str]] = {
    "lookup": "Lookup",
    "manual": "Manual",
    "imported": "Imported",
    "computed": "Computed",
    "part": "Part",
}
_STATE_LABELS: Final[Mapping[str, str]] = {
    "done": "Done",
    "partial": "Partial",
    "pending": "Pending",
    "running": "Running",
    "error": "Error",
    "ignored": "Ignored",
    "blocked": "Blocked",
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
    return _STATE_LABELS[state.lower()]


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
#: the document do not enter: give this to each pane or Tabulator that shows such HTML (`html_pane` does).
COMPONENT_CSS: Final = _TONE_RULES + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")


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
    words = [f"{done:,} of {total:,} done"]
    words += [f"{n:,} {word}" for n, word in ((running, "running"), (error, "failed")) if n]
    stretches = "".join(
        f'<i class="dj-state-{state}" style="width:{100 * n / total:.2f}%"></i>'
        for state, n in (("done", done), ("running", running), ("error", error))
        if n and total
    )
    failed = f" · <b>{error:,} failed</b>" if error else ""
    return (
        f'<span class="dj-progress" role="img" aria-label="{escape(", ".join(words))}">'
        f'<span class="dj-track">{stretches}</span>'
        f'<span class="dj-progress-text">{done:,} / {total:,}{failed}</span></span>'
    )


def empty_state(title: object, text: object = "") -> str:
    """Return what a list shows when it has nothing to show: a short title and what to do about it."""
    more = f"<span>{escape(text)}</span>" if text else ""
    return f'<div class="dj-empty"><strong>{escape(title)}</strong>{more}</div>'


def key_html(key: Mapping[str, object]) -> str:
    """Return a primary key as `name value` pairs in the order given."""
    pairs = "".join(f"<span><i>{escape(name)}</i><b>{escape(key[name])}</b></span>" for name in key)
    return f'<span class="dj-key">{pairs}</span>'
