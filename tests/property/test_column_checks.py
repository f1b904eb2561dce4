"""A column checked at once gives what its values give one by one, or is left to be looked at one by one."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import event, given, settings
from hypothesis import strategies as st

from dj_panel.core.columnchecks import encode_column
from dj_panel.core.coretypes import parse_type
from dj_panel.core.dialect import Dialect, MySQL, SQLite
from dj_panel.core.rows import is_missing

TYPES = (
    "int8", "int64", "bigint unsigned", "bool", "float32", "float64", "float unsigned", "decimal(5, 2)",
    "char(3)", "varchar(4)", "enum('a', 'b')", "date", "datetime", "datetime(3)", "datetime(6)", "time",
    "uuid", "json", "bytes", "tinyblob", "point",
)  # fmt: skip
DIALECTS: tuple[Dialect, ...] = (MySQL(), SQLite())
VALUES: tuple[Any, ...] = (
    0, 1, -1, 127, 128, 2**63, True, False, 0.0, -0.0, 1.0, 1.5, 3.5e38, 1e-50, math.nan, math.inf,
    Decimal("1.25"), Decimal("1.250"), Decimal("1.255"), "", "a", "b ", "abcde", "é", "\ud800", "1", "1.5", " 1",
    "2026-01-02", "2026-01-02 03:04:05",
    "2026-13-02 03:04:05", "2026-01-02 3:04:05.0", "2026-01-02 03:04:5a", "2026-W01-3 03:04:05",
    "2026-01-02T03:04:05.678901", "2026-01-02 03:04:05Z", "12:30",
    dt.date(2026, 1, 2), dt.datetime(2026, 1, 2), dt.datetime(99, 1, 2, 3, 4, 5, 678901),
    dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.timedelta(hours=3), uuid.UUID(int=7), uuid.UUID(int=7).bytes,
    b"", b"abc", b"x" * 300, [1], {"a": 1}, None, np.int64(5), np.float64(2.5), np.float64(math.nan), np.True_,
    np.datetime64("2026-01-02"), np.datetime64("NaT"), pd.NA, pd.NaT, pd.Timestamp("2026-01-02 03:04:05"),
)  # fmt: skip


def one_by_one(text: str, dialect: Dialect, values: list[Any], *, nullable: bool) -> list[Any] | None:
    column = parse_type(text)
    encode = dialect.encoder(column)
    found: list[Any] = []
    for value in values:
        if is_missing(value):
            if not nullable:
                return None
            found.append(None)
            continue
        try:
            checked = column.check(value)
            found.append(encode(checked) if encode else checked)
        except ValueError:
            return None
    return found


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b) and str(a) == str(b)


@settings(max_examples=600)
@given(
    st.sampled_from(TYPES), st.sampled_from(DIALECTS), st.booleans(),
    st.one_of(
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=4),
        # of one type, some of them often, as columns are
        st.sampled_from(VALUES).flatmap(
            lambda one: st.lists(st.sampled_from([v for v in VALUES if type(v) is type(one)] + [None]),
                                 min_size=1, max_size=12)
        ),
    ),
)  # fmt: skip
def test_a_column_is_checked_as_its_values_are(
    text: str, dialect: Dialect, nullable: bool, values: list[Any]
) -> None:
    column = parse_type(text)
    found = encode_column(column, dialect.encoder(column), list(values), nullable=nullable)
    expected = one_by_one(text, dialect, values, nullable=nullable)
    event("refused" if expected is None else "admitted")
    if found is None:
        return
    assert expected is not None
    assert len(found) == len(expected)
    assert all(map(same, found, expected)), (found, expected)


def test_plain_columns_of_a_thousand_values_need_no_second_look() -> None:
    columns: dict[str, list[Any]] = {
        "int32": list(range(1000)),
        "float64": [i / 3 for i in range(1000)],
        "float32": [i / 3 for i in range(1000)],
        "varchar(8)": [f"r{i}" for i in range(1000)],
        "date": [dt.date(2026, 1, 1) + dt.timedelta(days=i) for i in range(1000)],
        "datetime": [f"2026-01-02 03:{i // 60:02d}:{i % 60:02d}" for i in range(1000)],
        "enum('a', 'b')": ["a", "b"] * 500,
        "bool": [True, False] * 500,
        "uuid": [uuid.UUID(int=i) for i in range(1000)],
    }
    for text, values in columns.items():
        for dialect in DIALECTS:
            column = parse_type(text)
            assert encode_column(column, dialect.encoder(column), values, nullable=False) is not None
