"""What the design tokens promise: contrast in both schemes, and HTML that no value can break out of."""

from __future__ import annotations

import re
from itertools import product

import pytest

from dj_panel.apps import markup, theme
from dj_panel.apps.theme import DARK, LIGHT, Scheme

TEXT, MARK = 4.5, 3.0  # WCAG 2.2, success criteria 1.4.3 and 1.4.11
SCHEMES = pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def surfaces(colors: Scheme) -> list[str]:
    return [colors.canvas, colors.surface, colors.raised, colors.sunken]


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@SCHEMES
def test_text_is_readable_on_every_surface(colors: Scheme) -> None:
    inks = [colors.text, colors.muted, colors.accent, colors.accent_hover]
    for ink, ground in product(inks, [*surfaces(colors), colors.accent_soft]):
        assert contrast(ink, ground) >= TEXT, (ink, ground)


@SCHEMES
def test_text_on_the_accent_is_readable(colors: Scheme) -> None:
    for ground in (colors.accent, colors.accent_hover):
        assert contrast(colors.on_accent, ground) >= TEXT


@SCHEMES
def test_every_tier_and_state_is_readable_on_every_surface_and_on_its_own_chip(colors: Scheme) -> None:
    for tone in [*colors.tiers.values(), *colors.states.values()]:
        for ground in [*surfaces(colors), tone.soft]:
            assert contrast(tone.fg, ground) >= TEXT, (tone, ground)


@SCHEMES
def test_the_name_in_a_box_of_the_diagram_is_readable_on_the_colour_of_its_tier(colors: Scheme) -> None:
    for tone in colors.tiers.values():
        assert contrast(colors.text, tone.soft) >= TEXT
        assert contrast(colors.accent_hover, tone.soft) >= TEXT


@SCHEMES
def test_outlines_of_controls_and_curves_of_plots_stand_out_from_every_surface(colors: Scheme) -> None:
    for mark, ground in product([colors.border_strong, *colors.plot], surfaces(colors)):
        assert contrast(mark, ground) >= MARK, (mark, ground)


@SCHEMES
def test_white_or_dark_text_on_material_colours_is_readable(colors: Scheme) -> None:
    palette = theme.theme_config(dark=colors.dark)["palette"]
    for name in ("primary", "secondary", "success", "warning", "error", "info"):
        color = palette[name]
        assert contrast(color["main"], color["contrastText"]) >= TEXT, name


def test_light_and_dark_define_the_same_tiers_and_states_and_each_has_an_icon_and_a_word() -> None:
    assert LIGHT.tiers.keys() == DARK.tiers.keys()
    assert LIGHT.states.keys() == DARK.states.keys()
    for tier in LIGHT.tiers:
        assert markup.ICON_PATHS[tier]
        assert markup.tier_label(tier.upper()) == tier.capitalize()
    for state in LIGHT.states:
        assert markup.ICON_PATHS[state]
        assert markup.state_label(state) == state.capitalize()


def test_every_custom_property_that_the_components_use_is_defined() -> None:
    defined = set(re.findall(r"(--dj-[\w-]+):", theme.css_variables() + markup.COMPONENT_CSS))
    used = set(re.findall(r"var\((--dj-[\w-]+)", theme.css_variables() + markup.COMPONENT_CSS))
    assert used
    assert used <= defined


def test_the_style_sheet_asks_for_nothing_from_elsewhere() -> None:
    for css in (theme.css_variables(), markup.COMPONENT_CSS):
        assert "url(" not in css
        assert "@import" not in css


HOSTILE = "<img src=x onerror=\"alert('1')\">&"


@pytest.mark.parametrize(
    "built",
    [
        markup.chip(HOSTILE),
        markup.state_chip("error", HOSTILE),
        markup.empty_state(HOSTILE, HOSTILE),
        markup.key_html({HOSTILE: HOSTILE}),
        markup.escape(HOSTILE),
    ],
)
def test_values_in_built_html_stay_text(built: str) -> None:
    assert "<img" not in built
    assert "&lt;img src=x onerror=&quot;alert(&#x27;1&#x27;)&quot;&gt;&amp;" in built


@pytest.mark.parametrize("state", LIGHT.states)
def test_a_state_is_told_by_icon_word_and_colour(state: str) -> None:
    built = markup.state_chip(state)
    assert f"dj-state-{state}" in built
    assert markup.ICON_PATHS[state] in built
    assert f"<span>{markup.state_label(state)}</span>" in built


def test_a_chip_of_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'loud'"):
        markup.chip("x", "loud")


def test_a_progress_bar_says_in_words_what_it_shows() -> None:
    built = markup.progress_bar_html(1200, 3, 1, 2000)
    assert 'aria-label="1,200 of 2,000 done, 3 running, 1 failed"' in built
    assert "1,200 / 2,000" in built
    assert "<b>1 failed</b>" in built
    assert "width:60.00%" in built


def test_a_progress_bar_of_nothing_to_do_is_empty_and_does_not_divide_by_zero() -> None:
    built = markup.progress_bar_html(0, 0, 0, 0)
    assert "0 of 0 done" in built
    assert "width:" not in built


def test_a_pane_brings_the_rules_of_its_chips() -> None:
    pane = markup.html_pane(markup.tier_chip("manual"), stylesheets=["b {}"])
    assert pane.stylesheets == [markup.COMPONENT_CSS, "b {}"]
