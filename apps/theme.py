"""The look of the pages: one set of design tokens for light and dark.

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
from typing import Any, Final, Literal

from bokeh.themes import Theme

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
            "MuiToggleButton": {"styleOverrides": {"root": {"&:not(.Mui-selected)": {"color": c.muted}}}},
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
