"""What `core.blob` promises: exact bytes, exact values, and a refusal of everything else."""

from __future__ import annotations

import datetime
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from dj_panel.core.blob import MatCell, MatStruct, decoding_limits, pack, unpack
from dj_panel.core.errors import DecodeError, EncodeError


def u64(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def item(body: bytes) -> bytes:
    return u64(len(body)) + body


VECTORS = [
    (1, "646a30000a010001"),
    ({"a": 1}, "646a30000401000000000000000a000000000000000501000000000000006104000000000000000a010001"),
    (
        np.array([0, 1, 2], np.int32),
        "6d596d0041010000000000000003000000000000000c00000000000000000000000100000002000000",
    ),
    (datetime.date(2020, 1, 2), "646a300074a63a3401ffffffffffffffff"),
    (None, "646a3000ff"),
    (True, "646a30000b01"),
    (-129, "646a30000a02007fff"),
    (Decimal("1.10"), "646a3000640400000000000000312e3130"),
    (UUID(int=5), "646a30007500000000000000000000000000000005"),
]


@pytest.mark.parametrize(("value", "encoded"), VECTORS, ids=[repr(value) for value, _ in VECTORS])
def test_known_values_have_the_bytes_that_datajoint_gives_them(value: Any, encoded: str) -> None:
    assert pack(value).hex() == encoded
    np.testing.assert_array_equal(unpack(bytes.fromhex(encoded)), value)


def test_an_array_comes_back_writable_and_aligned() -> None:
    array = unpack(pack({"x": np.arange(12.0).reshape(3, 4)}))["x"]
    array[1, 2] = -1
    assert array.flags.aligned
    assert array[1, 2] == -1


def test_unpacking_reads_a_memoryview_and_a_bytearray() -> None:
    packed = pack([1, "two", np.zeros(500)])
    for data in (memoryview(packed), bytearray(packed)):
        assert unpack(data)[:2] == [1, "two"]


def test_an_infinite_imaginary_part_leaves_the_real_part_alone() -> None:
    array = np.array([complex(1, np.inf), complex(np.nan, 2)])
    assert unpack(pack(array)).tobytes() == array.tobytes()


def test_midnight_keeps_its_time() -> None:
    for moment in (datetime.datetime(2020, 1, 1), datetime.time(0), datetime.datetime(9999, 12, 31, 23, 59)):
        assert unpack(pack(moment)) == moment
        assert type(unpack(pack(moment))) is type(moment)


def test_an_empty_cell_array_keeps_its_shape() -> None:
    cell = np.empty((0, 3), object).view(MatCell)
    assert unpack(pack(cell)).shape == (0, 3)
    assert isinstance(unpack(pack(cell)), MatCell)


def test_a_frozenset_comes_back_as_a_key() -> None:
    value = {frozenset([1, 2]): "pair", (1, frozenset("a")): "nested"}
    assert unpack(pack(value)) == value


def test_records_that_hold_arrays_come_back() -> None:
    records = np.zeros(3, [("t", "<f8"), ("xyz", "<f4", 3), ("inner", [("u", "u1", (2, 2))])])
    records["xyz"] = np.arange(9).reshape(3, 3)
    found = unpack(pack(records))
    assert found.shape == (3,)
    np.testing.assert_array_equal(found["xyz"], records["xyz"])
    assert found["inner"]["u"].shape == (3, 2, 2)


def test_big_endian_arrays_are_stored_with_their_values() -> None:
    np.testing.assert_array_equal(unpack(pack(np.array([1.5, 2], ">f8"))), [1.5, 2])


def test_matlab_characters_become_text() -> None:
    body = b"A" + u64(2, 1, 2) + u32(4, 0) + "hé".encode("utf-16-le")
    assert unpack(b"mYm\0" + body).tolist() == ["hé"]
    square = b"A" + u64(2, 2, 2) + u32(4, 0) + "abcd".encode("utf-16-le")
    assert unpack(b"mYm\0" + square).tolist() == [["a", "c"], ["b", "d"]]


def test_blobs_of_32_bit_matlab_are_read_on_request() -> None:
    body = b"A" + u32(2, 2, 1) + u32(6, 0) + struct.pack("<dd", 1, 2)
    np.testing.assert_array_equal(unpack(b"mYm\0" + body, dims_32bit=True), [[1], [2]])


def test_large_random_measurements_are_left_uncompressed_only_on_request() -> None:
    noise = np.random.default_rng(0).normal(size=140_000)
    assert pack(noise).startswith(b"ZL123\0")
    assert len(pack(noise, compress="auto")) == len(pack(noise, compress=False))
    assert pack(np.zeros(200_000), compress="auto") == pack(np.zeros(200_000))


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("time zone", lambda: datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), "time zone.*UTC"),
    ("mask", lambda: np.ma.array([1, 2], mask=[False, True]), "mask"),
    ("float16", lambda: np.zeros(2, np.float16), "astype"),
    ("byte strings", lambda: np.array([b"ab"]), "no such type"),
    ("time differences", lambda: np.timedelta64(1, "s"), "no such type"),
    ("no fields", lambda: np.zeros(2, []), "no fields"),
    ("foreign object", lambda: object(), "type object cannot be packed"),
    ("lone surrogate", lambda: "\ud800", "cannot be packed"),
    ("huge integer", lambda: 1 << (8 * 65536), "too large"),
    ("nanoseconds", lambda: pd.Timestamp("2020-01-01 00:00:00.000000001"), "microseconds"),
    ("no time", lambda: pd.NaT, "microseconds"),
    ("plain struct", lambda: np.zeros(2).view(MatStruct), "without fields"),
]


@pytest.mark.parametrize(("make", "message"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_a_value_that_would_be_lost_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        pack([make()])


def test_a_list_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodeError, match="contains itself"):
        pack(loop)


def nested(levels: int) -> bytes:
    body = b"\xff"
    for _ in range(levels):
        body = b"\x02" + u64(1) + item(body)
    return b"dj0\0" + body


def colliding(n: int) -> bytes:
    modulus = (1 << 61) - 1  # CPython's hash of an int is its remainder
    keys = [item(b"\x0a\x10\0" + (i * modulus).to_bytes(16, "little")) for i in range(n)]
    return b"dj0\0\x03" + u64(n) + b"".join(keys)


THREE, TWO = pack(np.zeros(3))[4:], pack(np.zeros(2))[4:]

DAMAGED: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "empty"),
    ("other bytes", b"PK\3\4rest", "not the bytes of a blob"),
    ("header only", b"mYm\0", "cut off"),
    ("unknown kind", b"dj0\0P", "code 0x50"),
    ("21 GB of nothing", b"mYm\0A" + u64(1, 21_000_000_000 // 8) + u32(6, 0), "cut off"),
    ("overflowing shape", b"mYm\0A" + u64(2, 1 << 63, 1 << 63) + u32(6, 0), "cut off"),
    ("empty but impossible shape", b"mYm\0A" + u64(2, 1 << 63, 0) + u32(6, 0), "damaged"),
    ("thousand dimensions", b"mYm\0A" + u64(1000), "1000 dimensions"),
    ("unknown number type", b"mYm\0A" + u64(1, 0) + u32(99, 0), "array type 99"),
    ("complex date", b"mYm\0A" + u64(1, 0) + u32(65_536, 1), "array type"),
    ("a billion items", b"dj0\0\x02" + u64(10**9) + item(b"\xff"), "cut off"),
    ("a billion objects", b"dj0\0A" + u64(1, 10**9) + u32(5, 0), "cut off"),
    ("a billion fields", b"dj0\0F" + u32(10**9), "cut off"),
    ("trailing bytes", pack(1) + b"\0", "1 bytes follow"),
    ("item shorter than it says", b"dj0\0\x02" + u64(1) + item(b"\xff\xff"), "shorter than its length"),
    ("item longer than its list", b"dj0\0\x02" + u64(1, 50) + b"\xff", "cut off"),
    ("nameless field", b"dj0\0F" + u32(1) + b"a" * 2000, "no end"),
    ("fields of other lengths", b"dj0\0F" + u32(2) + b"a\0b\0" + THREE + TWO, "differ"),
    ("twins", b"dj0\0F" + u32(2) + b"a\0a\0" + 2 * THREE, "damaged"),
    ("list as key", b"dj0\0\x04" + u64(1) + item(b"\x02" + u64(0)) + item(b"\xff"), "unhashable"),
    ("13th month", b"dj0\0t" + struct.pack("<iq", 20201301, -1), "month"),
    ("no date, no time", b"dj0\0t" + struct.pack("<iq", -1, -1), "neither"),
    ("number in words", b"dj0\0d" + item(b"many"), "damaged"),
    ("not UTF-8", b"dj0\0\x05" + item(b"\xff\xfe"), "utf-8"),
    ("half a character", b"mYm\0A" + u64(2, 2, 1) + u32(4, 0) + b"\x00\xd8\x41\x00", "half"),
    ("too deep", nested(129), "128 levels"),
    ("far too deep", nested(20_000), "128 levels"),
    ("one hash for all keys", colliding(2000), "same hash"),
    ("inflates to less", b"ZL123\0" + u64(2000) + zlib.compress(bytes(1000)), "inflates to 1,000"),
    ("inflates to more", b"ZL123\0" + u64(1000) + zlib.compress(bytes(2000)), "inflates to more"),
    ("bytes after the stream", b"ZL123\0" + u64(5) + zlib.compress(b"mYm\0S") + b"x", "more than the"),
    ("no stream", b"ZL123\0" + u64(10) + b"not zlib", "header"),
    ("half a stream", pack(np.arange(1000.0))[:-50], "inflates to"),
    ("length cut", b"ZL123\0\1\2", "inflates to 0"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "message"), [pytest.param(*case[1:], id=case[0]) for case in DAMAGED])
def test_damaged_bytes_are_refused(data: bytes, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=message):
            unpack(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(data) + 4_000_000, "refusing took more memory than the bytes justify"


def test_a_megabyte_that_inflates_to_two_gigabytes_is_refused_before_it_does() -> None:
    bomb = b"ZL123\0" + u64(2 << 30) + zlib.compress(bytes(1 << 20)) * 2
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=r"claims to inflate to 2,147,483,648.*decoding_limits"):
            unpack(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_small_items_that_become_large_values_are_paid_for() -> None:
    empty_sets = b"dj0\0\x02" + u64(100_000) + 100_000 * item(b"\x03" + u64(0))
    packed = b"ZL123\0" + u64(len(empty_sets)) + zlib.compress(empty_sets)
    assert len(unpack(packed)) == 100_000
    with decoding_limits(max_bytes=8_000_000), pytest.raises(DecodeError, match="8,000,000 bytes"):
        unpack(packed)
    with decoding_limits(max_values=1000), pytest.raises(DecodeError, match="1,000 values"):
        unpack(packed)


def test_the_limits_can_be_raised_for_a_trusted_blob() -> None:
    zeros = pack(np.zeros(1_000_000))
    with decoding_limits(max_bytes=1_000_000), pytest.raises(DecodeError, match="refused"):
        unpack(zeros)
    with decoding_limits(max_bytes=1_000_000), decoding_limits(max_bytes=20_000_000):
        assert unpack(zeros).size == 1_000_000


def test_a_blob_that_is_large_itself_is_not_refused() -> None:
    array = np.arange(1_000_000.0)
    with decoding_limits(max_bytes=1000):
        np.testing.assert_array_equal(unpack(pack(array, compress=False)), array)
