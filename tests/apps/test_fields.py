"""Attributes as fields: what text means, and that a value written into a field is read as the same value."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dj_panel.core.codecs  # noqa: F401 - registers the codecs that fields know
from dj_panel.apps.fields import complaint, describe_field, format_value, normalised, parse_text
from dj_panel.core.codec import Codec, unregister_codec
from dj_panel.core.structure import Attribute


def attribute(type_text: str, **facts: Any) -> Attribute:
    return Attribute(facts.pop("name", "x"), type_text, **facts)


MOMENTS = st.datetimes(min_value=dt.datetime(1000, 1, 1))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int8": st.integers(-128, 127),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int unsigned": st.integers(0, 2**32 - 1),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "decimal(20,6)": st.decimals(-(10**13), 10**13, places=6),
    "bool": st.booleans().map(int),
    "date": st.dates(),
    "datetime": MOMENTS.map(lambda t: t.replace(microsecond=0)),
    "datetime(6)": MOMENTS,
    "time": st.integers(-3_020_399, 3_020_399).map(lambda s: dt.timedelta(seconds=s)),
    "uuid": st.uuids(),
    "enum('M', 'F', 'not known')": st.sampled_from(["M", "F", "not known"]),
    "json": st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ).filter(lambda value: value is not None),
}


@pytest.mark.parametrize("type_text", VALUES)
@given(data=st.data())
def test_what_a_field_shows_is_read_as_the_value_it_shows(type_text: str, data: st.DataObject) -> None:
    field = attribute(type_text)
    value = data.draw(VALUES[type_text])
    read = parse_text(field, format_value(field, value))
    if type_text == "json":
        # NFC may change the characters of a text, and nothing else.
        assert normalised(field, json.dumps(read)) == normalised(
            field, json.dumps(json.loads(format_value(field, read)))
        )
    else:
        assert read == value
        assert type(read) is type(field.column_type.check(value))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_text_is_kept_but_for_blanks_around_it_and_composed(text: str) -> None:
    field = attribute("varchar(100)")
    read = parse_text(field, text)
    assert (read or "") == normalised(field, text)
    assert read is None or parse_text(field, read) == read


@pytest.mark.parametrize(
    ("type_text", "text", "reason"),
    [
        ("int32", "abc", "is not a whole number"),
        ("int32", "3.5", "is not a whole number"),
        ("int8", "200", "is outside -128 … 127"),
        ("int64", "9223372036854775808", "is outside"),
        ("float64", "3,5", "comma"),
        ("decimal(5,2)", "3,50", "comma"),
        ("decimal(5,2)", "1.234", "more than 2 digits"),
        ("float64", "nan", "not a finite number"),
        ("date", "31 March", "YYYY-MM-DD"),
        ("date", "2026-02-30", "February 2026 has 28 days"),
        ("datetime", "2026-03-31T14:05:00+02:00", "time zone"),
        ("enum('M','F')", "m", "is not one of"),
        ("bool", "maybe", "neither true nor false"),
        ("uuid", "123", "is not a UUID"),
        ("json", "{'a': 1}", "is not valid JSON"),
        ("json", '{"a": 1,\n b}', r"is not valid JSON \(look at line 2, character 2\)"),
        ("json", "NaN", "is not valid JSON"),
        ("varchar(3)", "abcd", "longer than 3 characters"),
        ("varchar(3)", "a\0b", "zero character"),
    ],
)
def test_text_that_is_no_value_is_refused_with_its_reason(type_text: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_text(attribute(type_text), text)


def test_an_empty_field_has_no_value() -> None:
    for type_text in VALUES:
        assert parse_text(attribute(type_text), "  ") is None
        assert format_value(attribute(type_text), None) == ""


def test_int64_is_not_rounded() -> None:
    assert parse_text(attribute("int64"), "9007199254740993") == 9007199254740993


def test_names_in_either_unicode_form_are_one_name() -> None:
    composed, decomposed = "Zo\u00eb", "Zoe\u0308"
    assert parse_text(attribute("varchar(10)"), decomposed) == composed


@pytest.mark.parametrize(
    ("comment", "unit", "rest"),
    [
        ("(g)", "g", ""),
        ("g", "g", ""),
        ("(dB SPL) level of the loudest sample", "dB SPL", "level of the loudest sample"),
        ("body weight (g)", "g", "body weight"),
        ("body weight [g]", "g", "body weight"),
        ("body weight, g", "g", "body weight"),
        ("length in mm", "mm", "length"),
        ("(1/s) spikes over duration", "1/s", "spikes over duration"),
        ("speed (m/s)", "m/s", "speed"),
        ("height (pixels)", "pixels", "height"),
        ("(invented)", "", "(invented)"),
        ("1, 2, ...", "", "1, 2, ..."),
        ("counts the sessions of that day", "", "counts the sessions of that day"),
        ("taxon in the NCBI taxonomy", "", "taxon in the NCBI taxonomy"),
    ],
)
def test_the_unit_of_a_number_is_found_in_its_comment(comment: str, unit: str, rest: str) -> None:
    field = describe_field(attribute("float64", comment=comment))
    assert (field.unit, field.comment) == (unit, rest)


def test_a_text_has_no_unit() -> None:
    assert describe_field(attribute("varchar(10)", comment="(m)")).unit == ""


def test_a_field_says_what_happens_if_it_stays_empty() -> None:
    assert describe_field(attribute("int32")).is_required
    assert describe_field(attribute("float64", default="0.5")).default == "0.5"
    assert describe_field(attribute("bool", default="1")).default == "yes"
    assert (
        describe_field(attribute("datetime", default="CURRENT_TIMESTAMP")).default
        == "the lab's time of saving"
    )
    assert describe_field(attribute("date", nullable=True)).is_nullable


@pytest.mark.parametrize(
    ("type_text", "stored_type", "kind"),
    [
        ("<blob>", "bytes", "file"),
        ("<attach>", "bytes", "file"),
        ("<npy@s>", "json", "file"),
        ("<object@s>", "json", "file"),
        ("<filepath@s>", "json", "path"),
        ("longblob", "longblob", "file"),
        ("varchar(199)", "", "text"),
    ],
)
def test_every_codec_of_ours_has_an_editor(type_text: str, stored_type: str, kind: str) -> None:
    assert describe_field(attribute(type_text, stored_type=stored_type)).kind == kind


def test_a_codec_without_an_editor_says_so() -> None:
    class Celsius(Codec):
        name = "celsius_of_fields"

        def get_dtype(self, is_store: bool) -> str:
            return "float32"

        def encode(self, value: Any, **_: Any) -> Any:
            return value

        def decode(self, stored: Any, **_: Any) -> Any:
            return stored

    try:
        optional = describe_field(attribute("<celsius_of_fields>", stored_type="float32", nullable=True))
        required = describe_field(attribute("<celsius_of_fields>", stored_type="float32"))
    finally:
        unregister_codec("celsius_of_fields")
    assert optional.kind == "none"
    assert "no editor" in optional.explanation
    assert "only be inserted from Python" in required.explanation


def test_a_complaint_is_short_however_long_the_text() -> None:
    assert len(complaint("x" * 1000, "is too long")) < 70


def test_values_of_other_types_are_shown_as_they_are_typed() -> None:
    assert format_value(attribute("float64"), 37.0) == "37"
    assert format_value(attribute("float32"), np.float32(0.1)) == "0.1"
    assert format_value(attribute("decimal(5,2)"), Decimal("1.50")) == "1.50"
    assert format_value(attribute("bool"), 0) == "no"
    assert format_value(attribute("uuid"), uuid.UUID(int=5)).endswith("0005")
