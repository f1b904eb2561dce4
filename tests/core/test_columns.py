"""What is fetched by columns is what was put in, in every form, however it came off the wire."""

from __future__ import annotations

import datetime as dt
import gc
import struct
import threading
import tracemalloc
import uuid
import weakref
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pymysql
import pytest

import dj_panel as dj
from dj_panel.core.dialect import mysql_packets
from dj_panel.core.dialect.mysql_packets import PacketReader
from tests.conftest import Backend

N_ROWS = 80
MAY_BE_EMPTY = ("tiny", "big", "huge", "half", "whole", "price", "word", "day", "moment", "span", "choice", "who", "doc",
                "blob", "raw")  # fmt: skip
LENGTHS = (0, 1, 250, 251, 252, 70_000)


def row(number: int) -> dict[str, Any]:
    """Return a row of every type; in every third some attributes are empty."""
    values: dict[str, Any] = {
        "id": number - 5,
        "tiny": number % 256 - 128,
        "big": (-1) ** number * (2**63 - 1 - number),
        "huge": 2**64 - 1 - number if number % 2 else number,
        "half": number / 4 - 3,
        "whole": (-1) ** number * (number + 0.1) * 10.0 ** (number % 41 - 20),
        "price": Decimal(number * 17 - 400).scaleb(-3),
        "word": ("日本 é"[number % 5 :] + "x" * number)[:40],
        "day": dt.date(1, 1, 1) + dt.timedelta(days=number * 40_000),
        "moment": dt.datetime(2026, 1, 1) + dt.timedelta(microseconds=number * 1_234_567_891),
        "span": dt.timedelta(seconds=number * 1000 - 20_000),
        "choice": ("small", "large's")[number % 2],
        "who": uuid.UUID(int=number * 2**100 + number),
        "doc": {"n": number, "list": [None, "日"]},
        "blob": np.arange(number, dtype=np.int16),
        "raw": bytes(range(256))[: number * 3],
        "long": "y" * LENGTHS[number % len(LENGTHS)],
    }
    if number % 3 == 0:
        values |= dict.fromkeys(MAY_BE_EMPTY[number // 3 % 5 :: 5])
    return values


@pytest.fixture
def things(schema: dj.Schema) -> Any:
    @schema
    class Thing(dj.Manual):
        definition = """
        id : int32
        ---
        tiny = null : int8
        big = null : int64
        huge = null : bigint unsigned
        half = null : float32
        whole = null : float64
        price = null : decimal(8, 3)
        word = null : varchar(40)
        day = null : date
        moment = null : datetime(6)
        span = null : time
        choice = null : enum("small", "large's")
        who = null : uuid
        doc = null : json
        blob = null : <blob>
        raw = null : bytes
        long : longtext
        """

    # SQLite's own whole numbers end at 2**63.
    limit = 2**63 - 1 if schema.connection.dialect.name == "sqlite" else 2**64
    rows = [row(number) for number in range(N_ROWS)]
    Thing.insert([{**r, "huge": None if r["huge"] is None else min(r["huge"], limit)} for r in rows])
    return Thing()


def expected(things: Any) -> list[dict[str, Any]]:
    limit = 2**63 - 1 if things.connection.dialect.name == "sqlite" else 2**64
    rows = [row(number) for number in range(N_ROWS)]
    return [{**r, "huge": None if r["huge"] is None else min(r["huge"], limit)} for r in rows]


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {n: v.tolist() if isinstance(v, np.ndarray) else (type(v), v) for n, v in row.items()} for row in rows
    ]


PLAIN: tuple[str, ...] = tuple(name for name in row(0) if name != "blob")

FORMS: dict[str, Callable[[Any], Any]] = {
    "dicts": lambda q: comparable(q.to_dicts(order_by="KEY")),
    "stream": lambda q: comparable(list(q.stream(order_by="KEY"))),
    "keys": lambda q: q.keys(order_by="KEY DESC", limit=40, offset=2),
    "arrays": lambda q: [(a.dtype.str, a.tolist()) for a in q.to_arrays(*PLAIN, order_by="KEY")],
    "pandas": lambda q: (q.to_pandas(attributes=PLAIN, order_by="KEY").dtypes.to_dict(),
                         q.to_pandas(attributes=PLAIN, order_by="KEY").to_csv()),
    "polars": lambda q: (q.to_polars("KEY", attributes=PLAIN).schema, q.to_polars("KEY", attributes=PLAIN).rows()),
    "arrow": lambda q: q.to_arrow(attributes=PLAIN, order_by="KEY").to_pydict(),
}  # fmt: skip


def test_every_value_comes_back_as_it_was_put_in(things: Any) -> None:
    wanted = comparable(expected(things))
    assert FORMS["dicts"](things) == wanted
    assert FORMS["stream"](things) == wanted
    # A few rows are decoded one by one, many by columns.
    assert comparable(things.to_dicts(order_by="KEY", limit=5, offset=30)) == wanted[30:35]
    assert comparable([(things & {"id": 12}).fetch1()]) == wanted[17:18]
    assert [r["id"] for r in things] == [r["id"] for r in expected(things)]


def test_arrays_and_frames_have_the_types_of_the_heading(things: Any) -> None:
    full = things & "tiny is not null and big is not null and whole is not null and moment is not null"
    assert 30 < len(full) < N_ROWS
    tiny, big, whole = full.to_arrays("tiny", "big", "whole", order_by="KEY")
    assert (tiny.dtype, big.dtype, whole.dtype) == (np.int64, np.int64, np.float64)
    rows = expected(things)
    assert things.to_arrays("tiny", order_by="KEY").tolist() == [r["tiny"] for r in rows]
    frame = things.to_pandas(order_by="KEY")
    assert frame.index.name == "id"
    assert str(frame.dtypes["tiny"]) == "Int64"
    assert str(full.to_pandas().dtypes["tiny"]) == "int64"
    assert str(frame.dtypes["whole"]) == "float64"
    assert str(frame.dtypes["moment"]) == "datetime64[us]"
    assert frame["moment"].isna().sum() == sum(r["moment"] is None for r in rows)
    assert [None if pd.isna(v) else v for v in frame["price"]] == [r["price"] for r in rows]
    assert frame["blob"].dtype == object
    table = things.to_arrow(attributes=PLAIN, order_by="KEY")
    assert table.schema.field("price").type == pa.decimal128(8, 3)
    assert table.schema.field("moment").type == pa.timestamp("us")
    assert not table.schema.field("id").nullable
    for name in ("tiny", "big", "huge", "whole", "price", "word", "day", "moment", "span", "who", "long"):
        assert table.column(name).to_pylist() == [r[name] for r in rows], name
    polars = things.to_polars(order_by="KEY")
    assert polars.schema["huge"] == pl.UInt64
    assert polars.schema["price"] == pl.Decimal(8, 3)
    assert polars["day"].to_list() == [r["day"] for r in rows]


def test_an_empty_answer_has_the_same_types(things: Any) -> None:
    none = things & "id = 999"
    assert none.to_arrow(attributes=PLAIN).schema == things.to_arrow(attributes=PLAIN).schema
    simple = [name for name in PLAIN if name != "doc"]  # polars makes a struct of documents, when it has some
    assert none.to_polars(attributes=simple).schema == things.to_polars(attributes=simple).schema
    assert none.to_arrow_batches(attributes=PLAIN).schema == things.to_arrow(attributes=PLAIN).schema
    frame = none.to_pandas()
    assert str(frame.dtypes["tiny"]) == "int64"
    assert str(frame.dtypes["moment"]) == "datetime64[us]"
    assert frame["word"].dtype == things.to_pandas()["word"].dtype
    assert none.to_dicts() == []
    assert none.to_arrays("tiny").shape == (0,)


def test_expressions_have_types_too(things: Any) -> None:
    computed = things.proj(twice="id * 2", upper="upper(word)", next="whole / 2")
    frame = computed.to_pandas(order_by="KEY")
    assert frame["twice"].tolist() == [2 * r["id"] for r in expected(things)]
    table = computed.to_arrow(order_by="KEY")
    assert table.schema.field("twice").type == pa.int64()
    assert table.column("upper").to_pylist() == [r["word"] and r["word"].upper() for r in expected(things)]
    assert computed.to_arrow_batches(order_by="KEY").read_all().column("twice").to_pylist() == [
        2 * r["id"] for r in expected(things)
    ]


def test_a_driver_without_what_is_read_of_it_gives_the_same_rows(
    things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_columns = {name: form(things) for name, form in FORMS.items()}
    monkeypatch.setattr(mysql_packets, "reads_packets", lambda raw, result: False)
    one_by_one = {name: form(things) for name, form in FORMS.items()}
    assert one_by_one["arrow"] == by_columns["arrow"]
    for name in ("dicts", "stream", "keys", "pandas", "polars"):
        assert repr(one_by_one[name]) == repr(by_columns[name])
    for one, other in zip(one_by_one["arrays"], by_columns["arrays"], strict=True):
        assert repr(one) == repr(other)


@pytest.mark.parametrize("missing", ["_rfile", "_force_close", "client_flag"])
def test_private_names_of_the_driver_are_looked_for(missing: str) -> None:
    raw = {"_rfile": SimpleNamespace(read1=len), "_force_close": len, "client_flag": 0}
    result = SimpleNamespace(
        unbuffered_active=True, connection=None, _finish_unbuffered_query=len,
        converters=[("utf8", None)], fields=[SimpleNamespace(type_code=3)],
    )  # fmt: skip
    assert mysql_packets.reads_packets(SimpleNamespace(**raw), result)
    del raw[missing]
    assert not mysql_packets.reads_packets(SimpleNamespace(**raw), result)
    for name in ("unbuffered_active", "converters", "fields", "_finish_unbuffered_query"):
        less = SimpleNamespace(**{k: v for k, v in vars(result).items() if k != name})
        whole = {"_rfile": SimpleNamespace(read1=len), "_force_close": len, "client_flag": 0}
        assert not mysql_packets.reads_packets(SimpleNamespace(**whole), less)


def test_the_driver_that_is_installed_is_read_by_packets(
    schema: dj.Schema, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = mysql_packets.reads_packets

    def asked(raw: Any, result: Any) -> bool:
        seen.append(real(raw, result))
        return seen[-1]

    monkeypatch.setattr(mysql_packets, "reads_packets", asked)

    @schema
    class One(dj.Lookup):
        definition = "one : int8"
        contents = ((1,),)

    assert One().to_dicts() == [{"one": 1}]
    assert set(seen) == ({True} if backend.name == "mariadb" else set())


# ------------------------------------------------------------------------ the wire
def packets(*payloads: bytes) -> bytes:
    """Return payloads as packets; very large ones as several."""
    out = b""
    for number, payload in enumerate(payloads):
        for start in range(0, len(payload) + 1, 0xFFFFFF):
            piece = payload[start : start + 0xFFFFFF]
            out += struct.pack("<I", len(piece) | number % 256 << 24) + piece
            if len(piece) < 0xFFFFFF:
                break
    return out


def cell(data: bytes | None) -> bytes:
    """Return a cell with its length before it."""
    if data is None:
        return b"\xfb"
    if len(data) < 251:
        return bytes([len(data)]) + data
    if len(data) < 2**16:
        return b"\xfc" + struct.pack("<H", len(data)) + data
    if len(data) < 2**24:
        return b"\xfd" + struct.pack("<I", len(data))[:3] + data
    return b"\xfe" + struct.pack("<Q", len(data)) + data


EOF_PACKET = b"\xfe\0\0\2\0"


def reader(wire: bytes, n_at_once: int) -> tuple[PacketReader, list[str]]:
    """Return a reader of an answer with a number and a text, which arrives so many bytes at a time."""
    closed: list[str] = []
    pieces = iter([wire[start : start + n_at_once] for start in range(0, len(wire), n_at_once)])
    raw = SimpleNamespace(
        _rfile=SimpleNamespace(read1=lambda n: next(pieces, b"")),
        _force_close=lambda: closed.append("closed"),
    )
    result = SimpleNamespace(
        converters=[("ascii", int), ("utf8", None)],
        fields=[SimpleNamespace(type_code=3), SimpleNamespace(type_code=253)],
        unbuffered_active=True,
        connection=raw,
    )
    return PacketReader(raw, result), closed


@pytest.mark.parametrize("n_at_once", [1, 3, 1000])
@pytest.mark.parametrize("n_rows", [0, 1, 24, 25, 300])
def test_rows_are_the_same_however_the_packets_arrive(n_rows: int, n_at_once: int) -> None:
    rows = [(None if n % 7 == 3 else n - 9, None if n % 5 == 2 else "é" * n) for n in range(n_rows)]
    lines = [
        cell(None if n is None else b"%d" % n) + cell(None if w is None else w.encode()) for n, w in rows
    ]
    it, closed = reader(packets(*lines, EOF_PACKET), n_at_once)
    batches = list(it.batches())
    found = [row for b in batches for row in zip(*(c.values() for c in b.columns), strict=True)]
    assert found == rows
    assert sum(b.n_rows for b in batches) == n_rows
    assert not it.result.unbuffered_active
    assert closed == []


def test_a_row_of_more_than_sixteen_megabytes_is_put_together() -> None:
    lines = [cell(b"1") + cell(b"a"), cell(b"2") + cell(b"z" * (2**24 + 5)), cell(b"3") + cell(None)]
    exact = cell(b"4") + cell(b"w" * (0xFFFFFF - 6))
    assert len(exact) == 0xFFFFFF
    it, _ = reader(packets(*lines, exact, cell(b"5") + cell(b"end"), EOF_PACKET), 2**18)
    found = [row for b in it.batches() for row in zip(*(c.values() for c in b.columns), strict=True)]
    assert [n for n, _ in found] == [1, 2, 3, 4, 5]
    assert [w if w is None else len(w) for _, w in found] == [1, 2**24 + 5, None, 0xFFFFFF - 6, 3]


def test_an_error_after_some_rows_is_raised_and_the_connection_kept() -> None:
    refused = b"\xff" + struct.pack("<H", 1969) + b"#70100too slow"
    it, closed = reader(packets(cell(b"1") + cell(b"a"), refused), 5)
    with pytest.raises(pymysql.err.OperationalError, match="too slow"):
        list(it.batches())
    assert closed == []
    assert not it.result.unbuffered_active


def test_an_answer_that_breaks_off_is_a_lost_connection() -> None:
    it, closed = reader(packets(cell(b"1") + cell(b"a")) + b"\x09\0", 4)
    with pytest.raises(pymysql.err.OperationalError, match="Lost connection"):
        list(it.batches())
    assert closed == ["closed"]


def test_an_interrupt_within_a_row_closes_the_connection() -> None:
    it, closed = reader(packets(cell(b"1") + cell(b"a")), 4)

    def interrupted(n_bytes: int) -> bytes:
        raise KeyboardInterrupt

    it.raw._rfile.read1 = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(it.batches())
    assert closed == ["closed"]


def test_a_connection_that_is_closed_during_a_stream_ends_it_once_and_for_all() -> None:
    it, _ = reader(packets(cell(b"1") + cell(b"a")), 4)
    it.raw._rfile = None
    with pytest.raises(pymysql.err.OperationalError, match="closed during the query"):
        list(it.batches())
    assert not it.result.unbuffered_active  # so the driver reads nothing more of it


def test_another_query_during_a_stream_never_cuts_it_short_in_silence(
    things: Any, connection: dj.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_packets, "BYTES_IN_A_BATCH", 1000)
    whole = [key["id"] for key in things.keys(order_by="KEY")]
    rows = (things * things.proj(other="id")).stream(attributes="id", order_by=["other", "id"])
    found = [next(rows)["id"]]
    if connection.dialect.name == "sqlite":
        assert len(things) == N_ROWS
        assert found + [r["id"] for r in rows] == whole * N_ROWS
        return
    with pytest.warns(UserWarning, match="left incomplete"):
        assert len(things) == N_ROWS
    with pytest.raises(dj.errors.QueryError, match="still coming"):
        list(rows)
    assert len(things) == N_ROWS


def test_a_stream_that_is_left_leaves_the_connection_usable(
    things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_packets, "BYTES_IN_A_BATCH", 1000)
    for _ in range(3):
        rows = (things * things.proj(other="id")).stream(order_by="KEY")
        assert next(rows)["id"] == -5
        rows.close()
        assert len(things) == N_ROWS
    reader = things.to_arrow_batches(attributes="id")
    reader.read_next_batch()
    del reader
    assert len(things) == N_ROWS


def test_a_stream_of_arrow_batches_does_not_hold_all_rows(schema: dj.Schema) -> None:
    """Of 40,000 rows of about 500 bytes, 20 MB, no more than a fraction is held at any time."""

    @schema
    class Sample(dj.Manual):
        definition = """
        sample : int32
        ---
        value : float64
        label : varchar(500)
        """

    n_rows = 40_000
    Sample.insert((n, n / 3, f"{n:08}" * 60) for n in range(n_rows))
    Sample().connection.close()  # whatever the insert left behind is not the stream's
    before, most, found = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    try:
        reader = Sample().to_arrow_batches(order_by="KEY")
        n_batches = 0
        for batch in reader:
            assert batch.column("sample")[0].as_py() == found
            found += batch.num_rows
            n_batches += 1
            most = max(most, pa.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == n_rows
    assert n_batches > 3
    print(
        f"arrow stream: {peak / 2**20:.1f} MiB of Python and {most / 2**20:.1f} MiB of Arrow at most for 20 MB"
    )
    assert peak + most < 14 * 2**20


@pytest.mark.parametrize("n_rows", [3, 2000])
def test_arrays_keep_every_digit_of_unsigned_numbers(schema: dj.Schema, n_rows: int) -> None:
    @schema
    class Counter(dj.Manual):
        definition = "id : int32\n---\ncount : bigint unsigned\nmissed = null : bigint unsigned"

    # SQLite's own whole numbers end at 2**63.
    largest = 2**63 - 1 if schema.connection.dialect.name == "sqlite" else 2**64 - 1
    counts = [largest - number if number % 2 else number for number in range(n_rows)]
    Counter.insert({"id": i, "count": n, "missed": n or None} for i, n in enumerate(counts))
    for query, expected in ((Counter(), counts), (Counter & "id in (0, 2)", [0, 2])):
        array = query.to_arrays("count", order_by="KEY")
        assert array.dtype == np.uint64
        assert array.tolist() == expected
    assert Counter.to_arrays("missed", order_by="KEY").tolist() == [n or None for n in counts]
    total = Counter.proj(total="count + 0").to_arrays("total", order_by="KEY")
    assert total.tolist() == counts
    assert Counter.to_pandas(order_by="KEY")["count"].tolist() == counts


def test_a_connection_that_nobody_holds_is_closed_at_once(things: Any, connection: dj.Connection) -> None:
    """Left to the garbage collector it would be closed at any time, perhaps by a thread that has no part in it."""
    held: list[weakref.ref[Any]] = []

    def ask() -> None:
        things.to_dicts()
        rows = things.stream()
        next(rows)
        rows.close()
        if connection.dialect.name != "sqlite":
            held.append(weakref.ref(connection._session().raw))

    gc.collect()
    gc.disable()
    try:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        del thread
        assert [there() for there in held if there() is not None] == []
    finally:
        gc.enable()
