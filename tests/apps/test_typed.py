"""Numbers and moments as people type them: nothing is guessed, and what may mean two things says which two."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_panel.apps.fields import EMPTY_TEXT, draft_text, parse_text
from dj_panel.apps.services.filters import FilterError, parse_filter
from dj_panel.apps.services.rows import equal_text
from dj_panel.apps.typed import Custom, custom_of, plain_moment, plain_number, zone_doubt
from dj_panel.core.errors import SettingsError
from dj_panel.core.settings import Settings, load_settings
from dj_panel.core.structure import Attribute

COMMA = Custom(decimal_comma=True)
BERLIN = Custom(zone=zoneinfo.ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", "1.5"),
        ("+5", "+5"),
        ("\N{MINUS SIGN}7", "-7"),
        ("- 5", "-5"),
        ("1e3", "1e3"),
        (".5", ".5"),
        ("1.234", "1.234"),
    ],
)
def test_a_number_with_a_point_is_that_number(text: str, number: str) -> None:
    assert plain_number(text) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,5", "write 1.5 if it is the decimal point"),
        ("1,234", "could mean 1.234 or 1234"),
        ("0,234", "write 0.234"),
        ("1,234.5", "write 1234.5 if they stand between thousands"),
        ("1.234,5", "write 1234.5 if it is the decimal point"),
        ("1,2,3", "has a comma"),
        ("1 234", "write 1234"),
        ("1\N{NARROW NO-BREAK SPACE}234", "write 1234"),
        ("1'234", "write 1234"),
        ("1.234.567", "write 1234567"),
        ("12 5", "has blanks inside"),
        ("½", "write 0.5"),
        ("1½", "write 1.5"),
        ("20 g", "has 'g' after the number; write 20 alone"),
        ("3.7kg", "write 3.7 alone"),
        ("5 %", "write 5 alone"),
    ],
)
def test_what_is_not_one_plain_number_is_refused_with_what_to_write(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace(".", r"\.")):
        plain_number(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("½", "only a whole number can stand here"),
        ("1½", "only a whole number can stand here"),
        ("1,234", "write 1234 if it stands between thousands"),
        ("3,5", "is not a whole number"),
        ("5²", "write 5 alone"),
    ],
)
def test_for_a_whole_number_nothing_is_proposed_that_is_refused_too(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_text(Attribute("x", "int32"), text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6))
def test_where_the_comma_is_decimal_it_is_read_as_it_is_written(value: Decimal) -> None:
    attribute = Attribute("x", "decimal(12,2)")
    assert parse_text(attribute, draft_text(attribute, value, COMMA), COMMA) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_a_field_shows_is_read_as_the_same_number_by_either_custom(value: float) -> None:
    attribute = Attribute("x", "float64")
    for custom in (Custom(), COMMA):
        assert parse_text(attribute, draft_text(attribute, value, custom), custom) == value


def test_where_the_comma_is_decimal_a_point_before_three_digits_is_asked_about() -> None:
    with pytest.raises(ValueError, match=r"could mean 1,234 or 1234"):
        plain_number("1.234", COMMA)
    assert plain_number("1.234,5", COMMA) == "1234.5"
    assert plain_number("1,234", COMMA) == "1.234"


def test_a_whole_number_may_be_written_with_an_exponent() -> None:
    attribute = Attribute("n", "int32")
    assert parse_text(attribute, "1e3") == 1000
    assert parse_text(attribute, "3.0") == 3
    with pytest.raises(ValueError, match="is not a whole number"):
        parse_text(attribute, "1.5")
    with pytest.raises(ValueError, match="write 1000 if it stands between thousands"):
        parse_text(attribute, "1.000")
    with pytest.raises(ValueError, match="is outside"):
        parse_text(attribute, "1e70")
    with pytest.raises(ValueError, match="whole number"):
        parse_text(attribute, "1e999999999")


def test_a_moment_with_a_zone_becomes_the_labs_time() -> None:
    attribute = Attribute("t", "datetime")
    expected = dt.datetime(2026, 3, 31, 14, 5)
    for text in ("2026-03-31T12:05Z", "2026-03-31 14:05:00+02:00", "2026-03-31 14:05"):
        assert parse_text(attribute, text, BERLIN) == expected
    with pytest.raises(ValueError, match="time zone"):
        parse_text(attribute, "2026-03-31T12:05Z")
    assert plain_moment("0001-01-01T00:00+23:00", BERLIN) == "0001-01-01T00:00+23:00"


def test_times_that_come_twice_or_never_are_doubtful() -> None:
    assert "twice" in zone_doubt(dt.datetime(2026, 10, 25, 2, 30), BERLIN)
    assert "never" in zone_doubt(dt.datetime(2026, 3, 29, 2, 30), BERLIN)
    assert zone_doubt(dt.datetime(2026, 3, 29, 3, 30), BERLIN) == ""
    assert zone_doubt(dt.datetime(2026, 10, 25, 2, 30), Custom()) == ""
    assert zone_doubt(dt.datetime(9999, 12, 31, 23), BERLIN) == ""


def test_a_text_of_no_characters_is_told_from_no_text() -> None:
    text, choice = Attribute("x", "varchar(5)"), Attribute("x", "enum('', 'a')")
    for attribute in (text, choice):
        assert draft_text(attribute, "") == EMPTY_TEXT
        assert parse_text(attribute, EMPTY_TEXT) == ""
        assert draft_text(attribute, None) == ""
        assert parse_text(attribute, "") is None
    with pytest.raises(ValueError, match="zero character"):
        parse_text(Attribute("x", "json"), EMPTY_TEXT)


def test_the_settings_say_how_the_lab_writes() -> None:
    variables = {
        "DJ_PANEL_TIMEZONE": "Europe/Berlin",
        "DJ_PANEL_DECIMAL_COMMA": "yes",
        "DJ_PANEL_MAX_UPLOAD_MB": "7",
    }
    settings = load_settings(environment={**variables, "DJ_IGNORE_CONFIG_FILE": "1"})
    assert custom_of(settings) == Custom(True, zoneinfo.ZoneInfo("Europe/Berlin"))
    assert settings["forms.max_upload_mb"] == 7
    wrong = Settings()
    for name in ("Mars/Olympus", "../../etc/passwd"):
        wrong["forms.timezone"] = name
        with pytest.raises(SettingsError, match="Europe/Berlin"):
            custom_of(wrong)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        (">22,5", "weight > 22.5"),
        ("1,5..2,5", "weight >= 1.5 and weight <= 2.5"),
        ("<= 1.234,5", "weight <= 1234.5"),
        ("> 1.5", "weight > 1.5"),
        ("\N{MINUS SIGN}3,5..", "weight >= -3.5"),
    ],
)
def test_filters_read_numbers_as_forms_read_them(text: str, python: str) -> None:
    found = parse_filter(Attribute("weight", "float64"), text, COMMA)
    assert found is not None
    assert found.python == repr(python)


def test_filters_with_two_readings_are_refused_and_those_that_the_program_writes_are_not() -> None:
    weight = Attribute("weight", "decimal(7,3)")
    with pytest.raises(FilterError, match=r"“1\.234” could mean 1,234 or 1234; write one of these"):
        parse_filter(weight, ">1.234", COMMA)
    with pytest.raises(FilterError, match=r"“22,5” has a comma; write 22\.5 if it is the decimal point"):
        parse_filter(weight, ">22,5")
    for custom in (COMMA, Custom()):
        written = equal_text(weight, Decimal("1.234"), custom)
        found = parse_filter(weight, written, custom)
        assert found is not None
        assert found.python == "{'weight': '1.234'}"
