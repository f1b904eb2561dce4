"""Every value comes back as it was, and no bytes whatsoever do harm."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dj_panel.core.blob import decoding_limits, pack, unpack
from dj_panel.core.errors import DecodeError
from tests.blob_values import NUMBER_ARRAYS, OBJECT_ARRAYS, VALUES, same


@given(st.one_of(VALUES, OBJECT_ARRAYS))
@example(np.fromiter([np.zeros(1)], object))
@example(np.fromiter([np.zeros((2, 2)), np.zeros((2, 3))], object))
@settings(max_examples=100)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(unpack(pack(value)), value)


@given(NUMBER_ARRAYS)
def test_the_order_of_an_array_in_memory_changes_no_byte(array: np.ndarray[Any, Any]) -> None:
    strided = np.repeat(array, 2, axis=-1)[..., ::2]
    assert pack(np.asfortranarray(array)) == pack(np.ascontiguousarray(array)) == pack(strided)


@given(
    value=VALUES,
    compress=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 40),
)
@example(value={"a": np.zeros(300)}, compress=True, edits=[(8, 255)], cut=0)
@settings(max_examples=150)
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
        with decoding_limits(max_bytes=limit), suppress(DecodeError):
            unpack(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit + 16 * len(data) + 1_000_000


@pytest.mark.parametrize("start", [b"mYm\0", b"dj0\0", b"dj0\0F", b"dj0\0S", b"ZL123\0", b""])
@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(start: bytes, data: bytes) -> None:
    with decoding_limits(max_bytes=1_000_000), suppress(DecodeError):
        unpack(start + data)
