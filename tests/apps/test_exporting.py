"""Rows as files: each kind is read back, nothing in it runs as a formula, and memory does not grow with it."""

from __future__ import annotations

import asyncio
import base64
import csv
import datetime as dt
import importlib.util
import io
import itertools
import json
import math
import re
import tracemalloc
import uuid
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import openpyxl
import pandas
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.services import Services, exporting, exports
from dj_panel.apps.services.exporting import (
    MAX_EXPORTS,
    TooManyExportsError,
    arrow_batches,
    csv_lines,
    json_lines,
    parquet_pieces,
    xlsx_pieces,
)
from dj_panel.apps.services.reading import detect, read_rows
from dj_panel.core.connection import Connection
from dj_panel.core.errors import UnknownAttributeError, ValueRefusedError
from dj_panel.core.structure import Attribute

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=cmd|' /C calc'!A0"]
NOTES = [*FORMULAS, 'say "a, b"', "two\nlines", "plain", " spaced ", "Ünï 日本", "x" * 40_000, "a\x0bb"]
FULL = {
    "number": 1,
    "big": 2**53 + 1,
    "single": 0.1,
    "double_": 1 / 3,
    "exact": Decimal("12345678.9000"),
    "flag": True,
    "word": "a",
    "choice": "right",
    "day": dt.date(2026, 2, 28),
    "moment": dt.datetime(2026, 2, 28, 23, 59, 58),
    "precise": dt.datetime(2026, 2, 28, 23, 59, 58, 123456),
    "clock": dt.timedelta(hours=9, minutes=30),
    "identity": uuid.UUID(int=5),
    "document": {"a": [1, None]},
    "raw": b"\x00\xff",
    "trace": np.arange(6.0).reshape(2, 3),
}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def collected(chunks: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in chunks]


async def wait_for_room(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Do something once the threads of exports that were given up have noticed it."""
    while True:
        try:
            return await work()
        except TooManyExportsError:
            await asyncio.sleep(0.01)


@pytest.fixture
def lab(schema: dj.Schema, connection: Connection, tmp_path: Path) -> Iterator[Any]:
    """Give a function that exports a table of all types, the services, and the two tables."""
    (tmp_path / "store").mkdir()
    connection.settings.stores = {
        "default": "main",
        "main": {"protocol": "file", "location": str(tmp_path / "store")},
    }

    @schema
    class Everything(dj.Manual):
        definition = """
        number : int32
        ---
        big = null : int64
        single = null : float32
        double_ = null : float64
        exact = null : decimal(12, 4)
        flag = null : bool
        word = null : longtext
        choice = null : enum('left', 'right')
        day = null : date
        moment = null : datetime
        precise = null : datetime(6)
        clock = null : time
        identity = null : uuid
        document = null : json
        raw = null : bytes
        trace = null : <blob>
        array = null : <npy@>
        """

    Everything.insert1({**FULL, "array": np.arange(4, dtype="i2")})
    Everything.insert1({"number": 2})
    Everything.insert1({"number": 3, "word": ""})
    Everything.insert({"number": 10 + n, "word": note} for n, note in enumerate(NOTES))
    name = app_name(Everything().name)
    services = Services(Pipeline("test", connection, MappingProxyType({name: Everything})))

    def export(kind: str, *args: Any, **kwargs: Any) -> bytes:
        work = lambda: collected(services.exports.file(name, kind, *args, **kwargs))  # noqa: E731
        return b"".join(run(wait_for_room(work)))

    yield export, services, name
    services.close()


def test_csv_tells_nothing_from_no_text_and_holds_no_formula(lab: Any) -> None:
    export, _, _ = lab
    text = export("csv", {"number": ">=10"}, ["-number"]).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [int(row["number"]) for row in rows] == [10 + n for n in reversed(range(len(NOTES)))]
    notes = [row["word"] for row in reversed(rows)]
    assert notes == ["'" + note for note in FORMULAS] + NOTES[len(FORMULAS) :], "whole, also long texts"
    columns = ["number", "word", "flag", "exact", "trace"]
    assert export("csv", {"number": "2..3"}, columns=columns).decode("utf-8-sig") == (
        'number,word,flag,exact\r\n2,,,\r\n3,"",,\r\n'
    )
    assert (
        export("csv", {"number": "1"}, columns=["exact", "flag", "big"])
        .decode("utf-8-sig")
        .endswith("12345678.9000,yes,9007199254740993\r\n")
    )
    negative = list(csv_lines([Attribute("x", "int16"), Attribute("=y", "varchar(9)")], [[-5, "-5"]]))
    assert b"".join(negative).decode("utf-8-sig") == "x,'=y\r\n-5,'-5\r\n", "a negative number is a number"


def test_parquet_keeps_types_and_every_digit(lab: Any) -> None:
    export, _, _ = lab
    table = pq.read_table(
        io.BytesIO(export("parquet", columns=[n for n in FULL if n not in ("raw", "trace")]))
    )
    first, second = table.to_pylist()[:2]
    assert first == {
        **{name: value for name, value in FULL.items() if name not in ("raw", "trace")},
        "flag": 1,
        "single": pytest.approx(0.1),
        "document": first["document"],
    }
    assert json.loads(first["document"]) == FULL["document"]
    assert set(second.values()) == {2, None}
    assert table.num_rows == 3 + len(NOTES)
    with_values = pq.read_table(io.BytesIO(export("parquet", {"number": "1..2"}, values=True))).to_pylist()
    assert json.loads(with_values[0]["trace"]) == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert base64.b64decode(json.loads(with_values[0]["raw"])) == FULL["raw"]
    assert with_values[0]["identity"] == str(FULL["identity"])
    assert with_values[1]["trace"] is None
    empty = pq.read_table(io.BytesIO(export("parquet", {"number": ">100"})))
    assert empty.num_rows == 0
    assert "exact" in empty.column_names


def test_json_has_one_object_a_line_and_values_only_when_they_are_asked_for(lab: Any) -> None:
    export, services, name = lab
    lines = [json.loads(line, parse_float=Decimal) for line in export("json").decode().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, *(10 + n for n in range(len(NOTES)))]
    assert (lines[0]["big"], lines[0]["exact"], lines[0]["flag"]) == (FULL["big"], FULL["exact"], True)
    assert str(lines[0]["exact"]) == "12345678.9000"
    assert (lines[0]["document"], lines[0]["clock"]) == (FULL["document"], "09:30:00")
    assert [line["word"] for line in lines[3:]] == NOTES
    assert not {"raw", "trace"} & set(lines[0])
    assert lines[0]["array"]["shape"] == [4], "of an object, what the row says of it"
    assert (lines[1]["word"], lines[2]["word"]) == (None, "")
    with_values = json.loads(export("json", {"number": "1"}, values=True))
    assert with_values["trace"] == [[0, 1, 2], [3, 4, 5]]
    assert base64.b64decode(with_values["raw"]) == FULL["raw"]
    size = run(services.exports.size_text(name, {}))
    assert size.endswith(" bytes")
    assert run(services.exports.size_text(name, {"number": "2"})) == "0 bytes"


def test_an_excel_file_has_numbers_and_dates_and_no_formula(lab: Any) -> None:
    export, _, _ = lab
    book = openpyxl.load_workbook(io.BytesIO(export("xlsx", values=True)))
    head, first, _second, third, *rows = book.active.iter_rows()
    place = {cell.value: number for number, cell in enumerate(head)}
    assert not {"raw", "trace"} & set(place)
    value = {name: first[number].value for name, number in place.items()}
    assert (value["number"], value["flag"], value["exact"]) == (1, True, 12345678.9)
    assert (value["single"], value["double_"]) == (0.1, 1 / 3)
    assert value["big"] == str(FULL["big"]), "Excel would round it"
    assert (value["day"].date(), value["moment"]) == (FULL["day"], FULL["moment"])
    assert value["precise"] == "2026-02-28 23:59:58.123456"
    assert third[place["word"]].value in ("", None)
    words = [row[place["word"]] for row in rows]
    assert {cell.data_type for cell in words} == {"s"}, "text, whatever it begins with"
    assert [cell.value for cell in words[: len(FORMULAS)]] == FORMULAS
    assert len(words[-2].value) == 32_767
    assert words[-1].value == "a\ufffdb"


def test_parents_are_named_beside_their_keys_where_that_is_asked_for(schema: dj.Schema) -> None:
    @schema
    class Animal(dj.Manual):
        definition = """
        animal : varchar(8)
        ---
        weight = null : float64
        nickname = "" : varchar(40)
        """

    @schema
    class Room(dj.Lookup):
        definition = """
        room : int16
        """
        contents = ((1,),)

    @schema
    class Litter(dj.Manual):
        definition = """
        -> Animal.proj(mother="animal")
        number : int16
        ---
        -> [nullable] Animal.proj(father="animal")
        -> Room
        note = "" : varchar(20)
        trace = null : <blob>
        """

    @schema
    class Pup(dj.Manual):
        definition = """
        -> Litter
        pup : int16
        ---
        -> [nullable] Litter.proj(foster="mother", foster_number="number")
        """

    Animal.insert([("f1", 20.5, "=1+1"), ("f2", None, "Ünï, 日本"), ("m1", None, "")])
    litter = {"room": 1, "trace": np.arange(2)}
    Litter.insert([{"mother": "f1", "number": 1, "father": "m1", "note": "x", **litter}])
    Litter.insert([{"mother": "f2", "number": n, "note": "y", **litter} for n in (1, 2)])
    Pup.insert([{"mother": "f1", "number": 1, "pup": 1, "foster": "f2", "foster_number": 2}])
    Pup.insert([{"mother": "f1", "number": 1, "pup": 2}])
    classes = {app_name(table().name): table for table in (Animal, Room, Litter, Pup)}
    services = Services(Pipeline("test", schema.connection, MappingProxyType(classes)))
    litters, pups = list(classes)[2:]

    def export(table: str, kind: str, *args: Any, **kwargs: Any) -> bytes:
        work = lambda: collected(services.exports.file(table, kind, *args, labels=True, **kwargs))  # noqa: E731
        return b"".join(run(wait_for_room(work)))

    names = [
        "mother",
        "mother (Animal): nickname",
        "number",
        "father",
        "father (Animal): nickname",
        "room",
        "note",
    ]
    try:
        text = export(litters, "csv", {"note": "!=z"}, ["-note"]).decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert rows == [
            names,
            ["f2", "Ünï, 日本", "2", "", "", "1", "y"],
            ["f2", "Ünï, 日本", "1", "", "", "1", "y"],
            ["f1", "'=1+1", "1", "m1", "", "1", "x"],
        ]
        assert '"m1",""' in text.replace("m1,", '"m1",'), "no nickname is a text, and no father is no value"
        for values in (False, True):  # as the database gives them, and by way of Python
            table = pq.read_table(io.BytesIO(export(litters, "parquet", sort=["note"], values=values)))
            assert table.column_names == [*names, *(["trace"] if values else [])]
            assert table["mother (Animal): nickname"].to_pylist() == ["=1+1", "Ünï, 日本", "Ünï, 日本"]
            assert table["father (Animal): nickname"].to_pylist() == ["", None, None]
        sheet = openpyxl.load_workbook(io.BytesIO(export(litters, "xlsx", columns=["mother", "note"]))).active
        head, first, *_ = sheet.iter_rows()
        assert [cell.value for cell in head] == ["mother", "mother (Animal): nickname", "note"]
        assert (first[1].value, first[1].data_type) == ("=1+1", "s")
        lines = [json.loads(line) for line in export(pups, "json").decode().splitlines()]
        # a litter is told apart by its father first, as the pickers show it
        other = "foster, foster_number (Litter): father"
        assert list(lines[0]) == [
            "mother",
            "number",
            "Litter: father",
            "pup",
            "foster",
            "foster_number",
            other,
        ]
        assert [(line["Litter: father"], line["foster"], line[other]) for line in lines] == [
            ("m1", "f2", None), ("m1", None, None),
        ]  # fmt: skip
        assert list(json.loads(export(pups, "json", {"pup": "1"}, columns=["pup"]))) == ["pup"]
    finally:
        services.close()


def test_what_excel_cannot_hold_is_said_before_and_while_it_is_made(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, services, name = lab
    monkeypatch.setattr(exporting, "XLSX_ROWS", 5)
    monkeypatch.setattr(exports, "XLSX_ROWS", 5)
    with pytest.raises(ValueRefusedError, match="Excel holds 5 rows"):
        run(services.exports.check(name, "xlsx", {}))
    run(services.exports.check(name, "xlsx", {"number": "..3"}))
    run(services.exports.check(name, "csv", {}))
    with pytest.raises(ValueRefusedError, match="Take CSV or Parquet"):
        list(xlsx_pieces([Attribute("a", "int16")], [[n] for n in range(6)]))
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ValueRefusedError, match="pip install pyarrow"):
        run(services.exports.check(name, "parquet", {}))
    run(services.exports.check(name, "xlsx", {"number": "..3"}))  # needs no package


def test_selected_rows_are_exported_in_any_format(lab: Any) -> None:
    export, _, _ = lab
    keys = [{"number": "3"}, {"number": "1"}]
    assert [json.loads(x)["number"] for x in export("json", keys=keys).splitlines()] == [1, 3]
    assert export("csv", keys=keys, columns=["number"]).decode("utf-8-sig").split() == ["number", "1", "3"]
    assert pq.read_table(io.BytesIO(export("parquet", keys=keys))).num_rows == 2
    with pytest.raises(UnknownAttributeError):
        export("csv", keys=[{"nothing": "1"}])
    with pytest.raises(ValueRefusedError):
        export("csv", keys=[{"number": "1 OR 1=1"}])


@pytest.mark.parametrize(
    ("keys", "lines"), [([{}], ["volume", "7"]), (None, ["volume", "7"]), ([], ["volume"])]
)
def test_the_row_of_a_table_without_a_key_is_exported_when_it_is_selected(
    schema: dj.Schema, connection: Connection, keys: Any, lines: list[str]
) -> None:
    @schema
    class Setting(dj.Manual):
        definition = """
        ---
        volume : int32
        """

    Setting.insert1({"volume": 7})
    name = app_name(Setting().name)
    services = Services(Pipeline("lab", connection, MappingProxyType({name: Setting})))

    async def export() -> bytes:
        return b"".join([piece async for piece in services.exports.file(name, "csv", keys=keys)])

    assert asyncio.run(export()).decode("utf-8-sig").split() == lines


def test_files_are_sent_in_chunks_in_bounded_memory_and_can_be_given_up(schema: dj.Schema) -> None:
    @schema
    class Place(dj.Lookup):
        definition = """
        place : int16
        ---
        called : varchar(20)
        """
        contents = ((1, "north"),)

    @schema
    class Point(dj.Manual):
        definition = """
        number : int32
        ---
        word : varchar(200)
        -> Place
        """

    n_rows = 40_000
    Point.insert({"number": n, "word": f"{n:0200}", "place": 1} for n in range(n_rows))
    name = app_name(Point().name)
    classes = {app_name(Place().name): Place, name: Point}
    services = Services(Pipeline("test", schema.connection, MappingProxyType(classes)))
    file = services.exports.file

    async def given_up() -> None:
        chunks = file(name, "csv")
        assert len(await anext(chunks)) < 200_000
        await chunks.aclose()  # type: ignore[attr-defined]

    async def too_many() -> None:
        started = [file(name, "csv") for _ in range(MAX_EXPORTS)]
        for chunks in started:
            await anext(chunks)
        with pytest.raises(TooManyExportsError):
            await anext(file(name, "csv"))
        for chunks in started:
            await chunks.aclose()  # type: ignore[attr-defined]

    async def size(kind: str) -> tuple[int, int]:
        n_bytes = n_chunks = 0
        async for chunk in file(name, kind, labels=True):
            n_bytes, n_chunks = n_bytes + len(chunk), n_chunks + 1
        return n_bytes, n_chunks

    try:
        for _ in range(MAX_EXPORTS + 1):
            run(wait_for_room(given_up))
        run(wait_for_room(too_many))
        _, n_chunks = run(wait_for_room(lambda: size("parquet")))
        assert n_chunks >= 2
        tracemalloc.start()
        n_bytes, n_chunks = run(wait_for_room(lambda: size("csv")))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert n_chunks >= 5
        assert n_bytes > n_rows * 200
        assert peak < 20_000_000, f"{peak:,} bytes for {n_bytes:,}"
    finally:
        services.close()


WRITERS: dict[str, Callable[[list[Attribute], Iterator[list[Any]]], Iterator[bytes]]] = {
    "csv": csv_lines,
    "json": json_lines,
    "parquet": lambda attributes, rows: parquet_pieces(*arrow_batches(attributes, rows)),
    "xlsx": xlsx_pieces,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_no_format_holds_more_than_a_part_of_the_rows_in_memory(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_rows, n_letters = 2_000, 2_000
    monkeypatch.setattr(exporting, "_ROWS_IN_GROUP", 100)
    random = np.random.default_rng(1)
    rows = ([random.bytes(n_letters // 2).hex()] for _ in range(n_rows))
    tracemalloc.start()
    try:
        n_bytes = sum(map(len, WRITERS[kind]([Attribute("word", f"varchar({n_letters})")], rows)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes > n_rows * n_letters / 4
    assert peak < n_rows * n_letters / 2, f"{peak:,} bytes for {n_rows * n_letters:,} of text"


TEXTS = [
    "=1+1",
    "_x0041_",
    "_x0041_x0042_",
    "<&>\"'",
    "  both ends\t",
    "two\nlines\r\nthree",
    "\U0001f401 日本",
    "a\x0bb",
]
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "decimal(20, 6)": st.decimals(-(10**14), 10**14 - 1, places=6),
    "float64": st.floats(),
    "bool": st.integers(0, 1),
    "longtext": st.sampled_from(TEXTS) | st.text(),
    "date": st.dates(dt.date(1000, 1, 1)),
    "datetime": st.datetimes(dt.datetime(1000, 1, 1)),
}


def sheet_value(kind: str, value: Any) -> Any:
    """Return what a workbook gives back of a value."""
    if kind in ("int64", "decimal(20, 6)"):
        digits = str(value).strip("-0").replace(".", "")
        return float(value) if len(digits) <= 15 else str(value)
    if kind == "float64":
        return value if math.isfinite(value) else str(value)
    if kind == "longtext":
        return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", value) or None
    if kind in ("date", "datetime"):
        if value.year < 1901 or getattr(value, "microsecond", 0):
            return Attribute("a", kind).column_type.format(value)
        return dt.datetime.combine(value, dt.time()) if kind == "date" else value
    return bool(value)


@given(st.lists(st.tuples(*(st.none() | cells for cells in CELLS.values())), max_size=5))
def test_a_workbook_gives_every_value_back(rows: list[tuple[Any, ...]]) -> None:
    attributes = [Attribute(f"a{place}", kind) for place, kind in enumerate(CELLS)]
    data = b"".join(xlsx_pieces(attributes, iter(rows)))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert {info.extract_version for info in file.infolist() if "sheet1" in info.filename} == {45}
    head, *found = openpyxl.load_workbook(io.BytesIO(data))["rows"].iter_rows()
    assert [(cell.value, cell.font.b) for cell in head] == [(a.name, True) for a in attributes]
    assert head[0].parent.freeze_panes == "A2"
    found += [()] * (len(rows) - len(found))  # rows at the end that hold nothing
    for cells, row in zip(found, rows, strict=True):
        for cell, kind, value in itertools.zip_longest(cells, CELLS, row):
            wanted = None if value is None else sheet_value(kind, value)
            is_text = cell is not None and isinstance(cell.value, str)
            assert (unescape(cell.value) if is_text else cell and cell.value) == wanted
            assert not is_text or cell.data_type == "s"
            if kind in ("date", "datetime") and isinstance(wanted, dt.datetime):
                assert cell.number_format == "yyyy\\-mm\\-dd" + ("\\ hh:mm:ss" if kind == "datetime" else "")


def test_texts_come_out_of_a_workbook_as_they_went_in(tmp_path: Path) -> None:
    texts = [*TEXTS[:-1], "x" * 32_767, "a\ud800b"]
    path = tmp_path / "rows.xlsx"
    path.write_bytes(b"".join(xlsx_pieces([Attribute("word", "longtext")], [[text] for text in texts])))
    _, *rows = read_rows(path, detect(path))
    assert [cells for _, cells in rows] == [[text] for text in [*texts[:-1], "a\ufffdb"]]
    long = ["\U0001f401" * 16_383 + "x", "\U0001f401" * 16_384, "x" * 32_765 + "\U0001f401\U0001f401"]
    frame = pandas.read_excel(
        io.BytesIO(b"".join(xlsx_pieces([Attribute("_x", "longtext")], [[t] for t in long])))
    )
    assert list(frame["_x"]) == [long[0], "\U0001f401" * 16_383 + "…", "x" * 32_765 + "…"], (
        "Excel counts emoji twice"
    )


def test_a_workbook_leaves_while_its_rows_are_read_and_is_not_whole_before_the_last() -> None:
    read = 0

    def rows() -> Iterator[list[Any]]:
        nonlocal read
        for number in range(50_000):
            read += 1
            yield [number, f"{number:x}"]
        raise KeyError("the connection is lost")

    attributes = [Attribute("a", "int32"), Attribute("b", "varchar(9)")]
    pieces = xlsx_pieces(attributes, rows())
    sent = next(pieces)
    assert (sent[:4], read) == (b"PK\x03\x04", 0)
    sent += next(pieces)
    assert 0 < read < 5_000
    with pytest.raises(KeyError):
        for piece in pieces:
            sent += piece
    assert not zipfile.is_zipfile(io.BytesIO(sent))


def test_a_sheet_of_more_than_32_bits_of_bytes_is_read_by_its_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100_000)  # instead of 2 GB, above which zipfile takes 64 bits
    data = b"".join(xlsx_pieces([Attribute("a", "int32")], ([n] for n in range(10_000))))
    monkeypatch.undo()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        info = file.getinfo("xl/worksheets/sheet1.xml")
        start = info.header_offset
    assert info.extra[:2] == b"\x01\x00", "its sizes stand where those of 64 bits stand"
    assert data[start + 4] == info.extract_version == 45, "or Excel finds the file damaged"
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True)["rows"]
    assert [row[0] for row in sheet.iter_rows(2, values_only=True)] == list(range(10_000))


def test_an_export_that_fails_says_so(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    export, _, _ = lab
    monkeypatch.setattr(exports.Exports, "_rows", lambda *args: iter([1 / 0]))
    with pytest.raises(ZeroDivisionError):
        export("csv")
