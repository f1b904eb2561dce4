"""Values of every type that blobs hold, for Hypothesis, and what it means for two of them to be the same."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")

NUMBER_TYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="<"),
    hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(sizes=(32, 64), endianness="<"),
    hnp.complex_number_dtypes(sizes=(64, 128), endianness="<"),
    st.sampled_from([np.dtype(f"<M8[{unit}]") for unit in UNITS]),
)


def number_arrays(shapes: Any) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays of every type; complex ones finite, since DataJoint makes NaN of ``1 + inf j`` when reading."""

    def arrays(dtype: np.dtype[Any]) -> st.SearchStrategy[np.ndarray[Any, Any]]:
        if dtype.kind == "c":
            return hnp.arrays(
                dtype, shapes, elements=hnp.from_dtype(dtype, allow_nan=False, allow_infinity=False)
            )
        return hnp.arrays(dtype, shapes)

    return NUMBER_TYPES.flatmap(arrays)


NUMBER_ARRAYS = number_arrays(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))

NUMPY_SCALARS = number_arrays(1).map(lambda array: array[0])

KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.binary(), st.dates(), st.uuids())

SIMPLE_VALUES = st.one_of(
    KEYS,
    st.floats(),
    st.complex_numbers(),
    st.decimals(),
    st.datetimes(),
    st.times(),
    NUMBER_ARRAYS,
    NUMPY_SCALARS,
)

OBJECT_ARRAYS = hnp.arrays(
    np.dtype(object), hnp.array_shapes(max_dims=3, max_side=4), elements=SIMPLE_VALUES, fill=st.nothing()
)

VALUES = st.recursive(
    SIMPLE_VALUES,
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
        return _same_array(np.asarray(one), np.asarray(other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | datetime.datetime | datetime.time):  # of times, only the clock's fold may differ
        return bool(one == other)
    return repr(one) == repr(other)


def _same_array(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.names:
        return all(_same_array(one[name], other[name]) for name in one.dtype.names)
    if one.dtype.hasobject:
        return same(one.ravel().tolist(), other.ravel().tolist())
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fcM"))
