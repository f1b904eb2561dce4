"""Values come back as they went in, or are refused; both servers agree on which."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dj_panel as dj
from dj_panel.core.dialect import MySQL

U1 = uuid.UUID("12345678-1234-5678-1234-567812345678")

KEPT: list[tuple[str, Any, Any]] = [
    ("int8", -128, -128),
    ("int8", 127, 127),
    ("int16", "-32768", -32768),
    ("int32", 2**31 - 1, 2**31 - 1),
    ("int64", -(2**63), -(2**63)),
    ("int64", np.int64(2**63 - 1), 2**63 - 1),
    ("int64", 3.0, 3),
    ("int32", True, 1),
    ("float64", 0.1, 0.1),
    ("float64", 1e308, 1e308),
    ("float64", 5e-324, 5e-324),
    ("float64", -0.0, 0.0),
    ("float64", np.float32(0.5), 0.5),
    ("float64", 2**53 + 1, float(2**53)),
    ("float32", 0.1, float(np.float32(0.1))),
    ("float32", 16777215, 16777215.0),
    ("float32", 1.2345678, float(np.float32(1.2345678))),
    ("bool", True, 1),
    ("bool", np.False_, 0),
    ("bool", "yes", 1),
    ("varchar(5)", "", ""),
    ("varchar(5)", "日本😀éé", "日本😀éé"),
    ("varchar(5)", " a ", " a "),
    ("varchar(5)", "a\\'\"%", "a\\'\"%"),
    ("varchar(5)", "a\0b", "a\0b"),
    ("varchar(5)", "\n\t\r", "\n\t\r"),
    ("varchar(5)", 12, "12"),
    ("char(3)", "ab", "ab"),
    ("enum('M','F')", "F", "F"),
    ("decimal(6,2)", "1234.50", Decimal("1234.50")),
    ("decimal(6,2)", Decimal("-0.01"), Decimal("-0.01")),
    ("decimal(6,2)", 20.125, Decimal("20.13")),
    ("decimal(6,2)", 7, Decimal("7.00")),
    ("date", "2026-03-31", dt.date(2026, 3, 31)),
    ("date", dt.date(1, 1, 1), dt.date(1, 1, 1)),
    ("date", dt.datetime(2026, 3, 31), dt.date(2026, 3, 31)),
    ("date", np.datetime64("2026-03-31"), dt.date(2026, 3, 31)),
    ("date", pd.Timestamp("2026-03-31"), dt.date(2026, 3, 31)),
    ("datetime", "2026-03-31 14:05:00", dt.datetime(2026, 3, 31, 14, 5)),
    ("datetime", "2026-03-31T14:05:00.9", dt.datetime(2026, 3, 31, 14, 5)),
    ("datetime(3)", dt.datetime(2026, 3, 31, 14, 5, 0, 123999), dt.datetime(2026, 3, 31, 14, 5, 0, 123000)),
    (
        "datetime(6)",
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    ),
    ("datetime(6)", np.datetime64("2026-03-31T14:05:00.000001"), dt.datetime(2026, 3, 31, 14, 5, 0, 1)),
    ("uuid", U1, U1),
    ("uuid", str(U1), U1),
    ("uuid", U1.bytes, U1),
    (
        "json",
        {"a": [1, 2.5, None, True], "日": "😀 \\ % '\""},
        {"a": [1, 2.5, None, True], "日": "😀 \\ % '\""},
    ),
    ("json", [], []),
    ("json", "text", "text"),
    ("json", 0, 0),
    ("bytes", b"\0\xff%s'\\", b"\0\xff%s'\\"),
    ("bytes", b"", b""),
    ("<blob>", {"a": (1, None), "b": "😀"}, {"a": (1, None), "b": "😀"}),
    ("<blob>", b"", b""),
    ("int unsigned", 2**32 - 1, 2**32 - 1),
    ("tinyint", -5, -5),
    ("float", 0.5, 0.5),
    ("double", 0.1, 0.1),
    ("time", "12:30:05", dt.timedelta(hours=12, minutes=30, seconds=5)),
    ("timestamp", "2026-03-31 14:05:00", dt.datetime(2026, 3, 31, 14, 5)),
    ("text", "x" * 70, "x" * 70),
    ("varbinary(4)", b"\0\1", b"\0\1"),
]


@pytest.mark.filterwarnings("ignore:.*native:UserWarning")
def test_values_come_back_as_they_went_in(schema: dj.Schema) -> None:
    kinds = list(dict.fromkeys(kind for kind, _, _ in KEPT))
    columns = {kind: f"v{i}" for i, kind in enumerate(kinds)}
    body = "\n".join(f"{name} = null : {kind}" for kind, name in columns.items())

    @schema
    class Values(dj.Manual):
        definition = f"id : int32\n---\n{body}"

    Values.insert({"id": i, columns[kind]: value} for i, (kind, value, _) in enumerate(KEPT))
    rows = Values.to_dicts(order_by="id")
    for i, (kind, value, expected) in enumerate(KEPT):
        found = rows[i][columns[kind]]
        assert found == expected, (kind, value)
        assert type(found) is type(expected), (kind, value)
        others = {name: rows[i][name] for k, name in columns.items() if k != kind}
        assert set(others.values()) == {None}
    for i, (kind, value, _) in enumerate(KEPT):
        if kind not in ("bytes", "<blob>", "text", "varbinary(4)"):
            assert i in (Values & {columns[kind]: value}).to_arrays("id"), (kind, value)


def test_integers_in_documents_are_kept_to_the_last_digit_or_refused(schema: dj.Schema) -> None:
    @schema
    class Document(dj.Manual):
        definition = """
        id : int32
        ---
        document : json
        """

    dialect = schema.connection.dialect
    keeps_any = not isinstance(dialect, MySQL) or dialect.is_mariadb
    for number, value in enumerate(
        (2**53 + 1, 2**64 - 1, -(2**63), 2**64, [-(2**63) - 1], {"x": 10**30 + 1})
    ):
        row = {"id": number, "document": value}
        if keeps_any or number < 3:
            Document.insert1(row)
            assert Document.fetch1("document") == value
            assert len(Document & {"document": value}) == 1
        else:
            with pytest.raises(dj.errors.ValueRefusedError, match=r"Document\.document.*more than 64 bits"):
                Document.insert1(row)
            assert len(Document & {"document": value}) == 0
        Document.delete_quick()


REFUSED: list[tuple[str, Any, str]] = [
    ("int8", 128, "-128 … 127"),
    ("int8", -129, "-128 … 127"),
    ("int64", 2**63, "outside"),
    ("int32", 1.5, "not a whole number"),
    ("int32", "", "not a whole number"),
    ("int32", "1,000", "comma"),
    ("int32", "abc", "not a whole number"),
    ("int32", [1], "not a whole number"),
    ("float64", math.inf, "not a finite number"),
    ("float64", "", "not a number"),
    ("float64", "1,5", "comma"),
    ("float64", 1j, "not a number"),
    ("float32", 1e39, "too large"),
    ("bool", 2, "neither true nor false"),
    ("bool", "", "neither true nor false"),
    ("varchar(5)", "123456", "longer than 5 characters (it has 6)"),
    ("varchar(5)", b"abc", "not text"),
    ("varchar(5)", "\ud800", "surrogate"),
    ("char(3)", "ab ", "ends with a space"),
    ("enum('M','F')", "m", "is not one of 'M', 'F'"),
    ("enum('M','F')", "", "is not one of 'M', 'F'"),
    ("enum('M','F')", 1, "is not one of 'M', 'F'"),
    ("decimal(6,2)", "1.005", "more than 2 digits after the point"),
    ("decimal(6,2)", 10000, "more than 4 digits before the point"),
    ("decimal(6,2)", "NaN", "not a finite number"),
    ("date", "31.3.2026", "YYYY-MM-DD"),
    ("date", "2026-02-30", "YYYY-MM-DD"),
    ("date", "0000-00-00", "YYYY-MM-DD"),
    ("date", "", "YYYY-MM-DD"),
    ("date", dt.datetime(2026, 3, 31, 1), "time of day"),
    ("date", 20260331, "not a date"),
    ("datetime", "yesterday", "YYYY-MM-DD HH:MM:SS"),
    ("datetime", dt.datetime(2026, 3, 31, tzinfo=dt.UTC), "time zone"),
    ("datetime", "2026-03-31T14:05:00+02:00", "time zone"),
    ("uuid", "nonsense", "not a UUID"),
    ("uuid", b"short", "not a UUID"),
    ("json", {1, 2}, "JSON"),
    ("json", {"x": math.nan}, "JSON"),
    ("bytes", "text", "not bytes"),
    ("bytes", np.arange(3), "<blob>"),
    ("<blob>", object(), ""),
]


def test_values_that_do_not_fit_are_refused_with_table_attribute_value_and_reason(schema: dj.Schema) -> None:
    kinds = list(dict.fromkeys(kind for kind, _, _ in REFUSED))
    columns = {kind: f"v{i}" for i, kind in enumerate(kinds)}
    body = "\n".join(f"{name} = null : {kind}" for kind, name in columns.items())

    @schema
    class Values(dj.Manual):
        definition = f"id : int32\n---\n{body}"

    for kind, value, reason in REFUSED:
        with pytest.raises(dj.DataJointError) as caught:
            Values.insert([{"id": 1}, {"id": 2, columns[kind]: value}])
        text = str(caught.value)
        assert reason in text, (kind, value, text)
        assert f"{schema.name}.values.{columns[kind]}" in text.replace("Values", "values"), (
            kind,
            value,
            text,
        )
    assert len(Values) == 0


@pytest.mark.parametrize("nothing", [None, math.nan, np.nan, np.datetime64("NaT"), pd.NA, pd.NaT])
def test_no_value_is_empty_where_that_is_allowed_and_an_error_where_not(
    schema: dj.Schema, nothing: Any
) -> None:
    @schema
    class T(dj.Manual):
        definition = """
        id : int32
        ---
        may = null : float64
        must : float64
        """

    T.insert1({"id": 1, "may": nothing, "must": 2})
    assert T.fetch1("may") is None
    with pytest.raises(dj.errors.MissingAttributeError, match=r"\.T\.must"):
        T.insert1({"id": 2, "must": nothing})
    with pytest.raises(dj.errors.MissingAttributeError, match=r"'must'"):
        T.insert1({"id": 2})
    with pytest.raises(dj.errors.MissingAttributeError, match=r"\.T\.id"):
        T.insert1({"id": nothing, "must": 2})


def test_none_means_the_default_and_a_missing_number_never_does(schema: dj.Schema) -> None:
    @schema
    class T(dj.Manual):
        definition = """
        id : int32
        ---
        gain = 0.5 : float64
        """

    T.insert1({"id": 1})
    T.insert1({"id": 2, "gain": None})
    assert T.to_arrays("gain").tolist() == [0.5, 0.5]
    with pytest.raises(dj.errors.ValueRefusedError, match=r"\.T\.gain.*default"):
        T.insert1({"id": 3, "gain": math.nan})


def test_keys_that_differ_only_in_case_or_accents_or_spaces_are_different(schema: dj.Schema) -> None:
    @schema
    class T(dj.Manual):
        definition = "name : varchar(20)"

    names = ["Mouse1", "mouse1", "mouse1 ", "móuse1", "mouse１"]
    T.insert({"name": name} for name in names)
    assert sorted(T.to_arrays("name").tolist()) == sorted(names)
    assert (T & {"name": "mouse1"}).fetch1("name") == "mouse1"
    assert (T & "name = 'mouse1'").fetch1("name") == "mouse1"
    assert (T & "name like 'mouse1'").fetch1("name") == "mouse1"


def test_numbers_and_text_sort_alike_on_both_servers(schema: dj.Schema) -> None:
    @schema
    class T(dj.Manual):
        definition = """
        id : int32
        ---
        text = null : varchar(10)
        amount = null : decimal(10,2)
        size = null : enum('small', 'medium', 'large')
        """

    rows = [
        ("b", "9.00", "large"), ("B", "10.50", "small"), ("a", "-1", "medium"),
        (None, None, None), ("é", "100", "small"), ("10", "2", "large"), ("9", "2.5", "medium"),
    ]  # fmt: skip
    T.insert({"id": i, "text": a, "amount": b, "size": c} for i, (a, b, c) in enumerate(rows))
    assert T.to_arrays("id", order_by="text").tolist() == [3, 5, 6, 1, 2, 0, 4]
    assert T.to_arrays("id", order_by="amount").tolist() == [3, 2, 5, 6, 0, 1, 4]
    assert T.to_arrays("id", order_by="size, id").tolist() == [3, 1, 4, 2, 6, 0, 5]
    assert (T & "amount > 9.5").to_arrays("id", order_by="id").tolist() == [1, 4]
    assert (T & "amount between '2' and 9").to_arrays("id", order_by="id").tolist() == [0, 5, 6]


def test_a_value_too_large_for_one_packet_is_named(schema: dj.Schema) -> None:
    @schema
    class Big(dj.Manual):
        definition = """
        id : int32
        ---
        data : <blob>
        """

    data = np.random.default_rng(1).bytes(9_000_000)
    if schema.connection.dialect.name == "sqlite":
        Big.insert1({"id": 1, "data": data})
        assert Big.fetch1("data") == data
        return
    with pytest.raises(
        dj.DataJointError, match=r"Big\.data: '400000\d\d bytes'.*max_allowed_packet.*<blob@>"
    ):
        Big.insert1({"id": 1, "data": np.random.default_rng(1).bytes(40_000_000)})
    assert len(Big) == 0
