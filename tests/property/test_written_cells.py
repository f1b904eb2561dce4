"""What a server writes as text is read, many cells at once, as Python reads each by itself."""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from dj_panel.core.dialect.digits import Letters, decimals
from dj_panel.core.dialect.mysql_cells import Cells, column, located


@dataclass
class Described:
    """As the driver describes a column."""

    type_code: int


def read(texts: Sequence[str | None], type_code: int, convert: Callable[[str], Any]) -> list[Any]:
    """Return the values of a column with these cells, behind each of which stands the cell of another column."""
    data, starts = b"", []
    for text in texts:
        starts.append(len(data))
        data += b"\xfb" if text is None else bytes([len(text)]) + text.encode()
        data += b"\x08-12.5e-7"
    cells = Cells(data.removesuffix(b"\x08-12.5e-7"))
    place, _ = located(cells.bytes, np.array(starts, dtype=np.int64))
    return column(cells, place, Described(type_code), "ascii", convert).values()


def many(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Lists of what is repeated so often that the cells are read at once."""
    short = st.lists(st.one_of(elements, st.none()), min_size=1, max_size=12).filter(any)
    return st.builds(lambda some, n: some * (300 // len(some) + n), short, st.integers(1, 3))


BITS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
DIGITS = st.text("0123456789", min_size=1, max_size=12)
WRITTEN_DECIMALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    BITS.filter(math.isfinite).map(lambda value: f"{value:.17g}"),
    st.floats(-1e6, 1e6).map(repr),
    st.builds("{}{}.{}".format, st.sampled_from(("", "-")), DIGITS, DIGITS),
    st.builds("{}{}".format, st.sampled_from(("", "-")), DIGITS),
    st.builds("{}.{}e{}".format, DIGITS, DIGITS, st.integers(-30, 30)),
)


@given(many(WRITTEN_DECIMALS))
@example(["5", "-0", "0.0", "12345678.", "123456789.5", "1e15", "-1.5e-7"] * 50)
@settings(max_examples=200)
def test_decimals_are_read_as_python_reads_them(texts: list[str | None]) -> None:
    expected = [None if text is None else float(text) for text in texts]
    # By their bytes, for -0.0 equals 0.0.
    assert list(map(repr, read(texts, FIELD_TYPE.DOUBLE, float))) == list(map(repr, expected))


@pytest.mark.parametrize("n_after", range(11, 19))
@given(st.data())
def test_decimals_nearest_to_the_middle_of_two_neighbours_are_rounded_to_the_nearer(
    n_after: int, data: st.DataObject
) -> None:
    # The middle is odd / 2**j with odd of 54 bits; digits / 10**n_after is as near to it as a decimal of so many
    # digits can be where digits * 2**(j - n_after) - odd * 5**n_after is 1 or -1.
    most = 10 ** min(8, 19 - n_after)  # what is before the point
    j = 54 - int(math.log2(most)) + data.draw(st.integers(0, 3))
    side = data.draw(st.sampled_from((1, -1)))
    digits = side * pow(2 ** (j - n_after), -1, 5**n_after) % 5**n_after
    odd = (digits * 2 ** (j - n_after) - side) // 5**n_after
    step = 2 ** (j - n_after)
    n_steps = data.draw(st.integers(-((odd - 2**53) // step), (2**54 - 1 - odd) // step))
    odd, digits = odd + n_steps * step, digits + n_steps * 5**n_after
    text = f"{digits // 10**n_after}.{digits % 10**n_after:0{n_after}}"
    assert read([text] * 300, FIELD_TYPE.DOUBLE, float) == [float(text)] * 300
    assert float(text) == float(Fraction(odd + side, 2**j))


def test_ordinary_measurements_are_read_at_once() -> None:
    values = np.random.default_rng(1).uniform(-1000, 1000, 5000)
    texts = [repr(value).encode() for value in values.tolist()]
    lengths = np.array(list(map(len, texts)), dtype=np.int64)
    found, is_other = decimals(Letters(b"".join(texts)), np.cumsum(lengths) - lengths, lengths)
    assert is_other.mean() < 0.01
    assert np.array_equal(found[~is_other], values[~is_other])


@given(st.one_of(many(st.integers(-(2**63), 2**63 - 1)), many(st.integers(0, 2**64 - 1))))
@example([0, None, -(2**63), 2**63 - 1])
@example([2**64 - 1, 10**19, 5, None])
def test_whole_numbers_are_read_to_the_last_digit(numbers: list[int | None]) -> None:
    texts = [None if number is None else str(number) for number in numbers]
    assert read(texts, FIELD_TYPE.LONGLONG, int) == numbers


@pytest.mark.parametrize("n_digits", [0, 1, 2, 3, 4, 5, 6])
@given(st.lists(st.one_of(st.datetimes(), st.none()), min_size=1, max_size=8).filter(any))
@settings(max_examples=60)
def test_moments_are_read_to_their_last_digit(n_digits: int, moments: list[dt.datetime | None]) -> None:
    unit = 10 ** (6 - n_digits)
    kept = [m if m is None else m.replace(microsecond=m.microsecond // unit * unit) for m in moments]
    n_cut = 6 - n_digits if n_digits else 7  # with the point
    texts = [m if m is None else m.isoformat(" ", "microseconds")[: 26 - n_cut] for m in kept]
    assert read(texts, FIELD_TYPE.DATETIME, dt.datetime.fromisoformat) == kept


@given(st.lists(st.one_of(st.dates(), st.none()), min_size=1, max_size=8).filter(any))
def test_days_are_read(days: list[dt.date | None]) -> None:
    texts = [day if day is None else day.isoformat() for day in days]
    assert read(texts, FIELD_TYPE.DATE, dt.date.fromisoformat) == days


@pytest.mark.parametrize("day", ["0000-00-00", "2026-00-01", "2026-01-00"])
def test_what_is_no_day_is_left_to_the_driver(day: str) -> None:
    assert read([day, "2026-01-02"], FIELD_TYPE.DATE, str) == [day, "2026-01-02"]
    assert read([f"{day} 01:02:03"], FIELD_TYPE.DATETIME, str) == [f"{day} 01:02:03"]
