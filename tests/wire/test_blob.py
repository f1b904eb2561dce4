"""Blobs are exchanged with the real DataJoint: the same bytes, the same values, both ways."""

from __future__ import annotations

import collections
import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from datajoint import blob as theirs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dj_panel.core import blob as ours

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="<"),
    hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(sizes=(32, 64), endianness="<"),
    hnp.complex_number_dtypes(sizes=(64, 128), endianness="<"),
    hnp.unicode_string_dtypes(endianness="<", max_len=4),
    st.sampled_from([np.dtype(f"<M8[{unit}]") for unit in UNITS]),
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def without_surrogates(array: np.ndarray[Any, Any]) -> bool:
    if array.dtype.kind != "U":
        return True
    return not any("\ud800" <= letter < "\ue000" for text in array.ravel() for letter in text)


ARRAYS = st.tuples(hnp.arrays(DTYPES, SHAPES), st.sampled_from("CFS")).map(
    lambda given: {"C": np.ascontiguousarray, "F": np.asfortranarray, "S": lambda a: a[..., ::-1] if a.ndim else a}[
        given[1]
    ](given[0])
).filter(without_surrogates)  # fmt: skip
RECORDS = hnp.arrays(
    st.sampled_from([np.dtype([("a", "<i4"), ("b", "<f8")]), np.dtype([("a", "O"), ("in", [("c", "<u1")])])]),
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=1),
    elements={"allow_nan": False} if False else None,
    fill=st.nothing(),
)
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.binary(), st.dates(), st.uuids())
LEAVES = st.one_of(
    KEYS,
    st.floats(),
    st.complex_numbers(),
    st.decimals(),
    st.datetimes(),
    st.times(),
    ARRAYS,
    ARRAYS.filter(lambda array: array.size > 0).map(lambda array: array.ravel()[0]),
)
