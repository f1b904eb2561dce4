"""Every value comes back as it was, and no bytes whatsoever do harm."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dj_panel.core.blob import decoding_limits, pack, unpack
from dj_panel.core.errors import DecodeError

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="<"),
    hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(sizes=(32, 64), endianness="<"),
    hnp.complex_number_dtypes(sizes=(64, 128), endianness="<"),
    st.sampled_from([np.dtype(f"<M8[{unit}]") for unit in UNITS]),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.binary(), st.dates(), st.uuids())
LEAVES = st.one_of(
    KEYS,
    st.floats(),
    st.complex_numbers(),
    st.decimals(),
    st.datetimes(),
    st.times(),
    ARRAYS.filter(lambda array: array.ndim > 0),
    ARRAYS.map(lambda array: array.reshape(-1)[:1]).filter(len).map(lambda array: array[0]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(KEYS, inner, max_size=5),
        st.sets(KEYS, max_size=5),
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Compare two values by type and content, NaN being equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.hasobject:
            return all(same(a, b) for a, b in zip(one.ravel(), other.ravel(), strict=True))
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fcM"))
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return len(one) == len(other) and all(same(a, b) for pair in pairs for a, b in zip(*pair, strict=True))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set):
        return one == other
    return repr(one) == repr(other)


@given(VALUES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(unpack(pack(value)), value)


@given(hnp.arrays(DTYPES, hnp.array_shapes(max_dims=3)), st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_order_of_an_array_in_memory_changes_no_byte(array: np.ndarray[Any, Any], reversed_: bool) -> None:
    if reversed_:
        array = array[::-1]
    assert pack(np.asfortranarray(array)) == pack(np.ascontiguousarray(array)) == pack(array)


@given(
    value=VALUES,
    compress=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 40),
)
@example(value={"a": np.arange(300.0)}, compress=True, edits=[(6, 255)], cut=0)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_blob_is_refused_or_read_and_costs_little(
    value: Any, compress: bool, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(pack(value, compress=compress))
    for place, byte in edits:
        data[place % len(data)] = byte
    data = data[: len(data) - cut]
    limit = 2_000_000
    tracemalloc.start()
    try:
        with decoding_limits(max_bytes=limit):
            unpack(data)
    except DecodeError as error:
        assert str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < limit + 16 * len(data) + 1_000_000


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("protocol", [b"mYm\0", b"dj0\0", b"ZL123\0", b""])
def test_random_bytes_are_refused_or_read(protocol: bytes, data: bytes) -> None:
    with decoding_limits(max_bytes=1_000_000):
        try:
            unpack(protocol + data)
        except DecodeError as error:
            assert str(error)
