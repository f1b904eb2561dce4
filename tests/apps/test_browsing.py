"""Looking at rows: pages, filters, sorting, records, values and exports, on both servers."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.routes import format_route, parse_route
from dj_panel.apps.services import Services
from dj_panel.apps.services import browsing as browsing_module
from dj_panel.apps.services import paging as paging_module
from dj_panel.apps.services.cells import HEAD_BYTES
from dj_panel.apps.services.filters import FilterError
from dj_panel.apps.table_view import TableView, object_route, read_view, record_route
from dj_panel.core.connection import Connection
from dj_panel.core.errors import (
    MissingObjectError,
    OneRowError,
    QueryTimeoutError,
    UnknownAttributeError,
    ValueRefusedError,
)
from dj_panel.core.expression import QueryExpression
from tests.conftest import Backend

Serve = Callable[..., Services]
HOSTILE = (
    "' OR 1=1 -- ",
    '" OR ""="',
    "x'); DROP TABLE subject; --",
    "`; DELETE FROM subject; `",
    "%' OR '1'='1",
    "\\' OR 1=1 -- ",
    "1) UNION SELECT 1,2,3 -- ",
    "<script>alert(1)</script>",
    "${jndi:x}",
    "%s %(a)s ?",
)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give a function that makes the services of some tables."""
    made: list[Services] = []

    def serve(*classes: Any) -> Services:
        tables = {app_name(cls().name): cls for cls in classes}
        services = Services(Pipeline("test", classes[0]().connection, MappingProxyType(tables)))
        made.append(services)
        return services

    yield serve
    for services in made:
        services.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def lab(schema: dj.Schema) -> dict[str, Any]:
    """Declare subjects, sessions with trials, and sessions' rates."""

    @schema
    class Subject(dj.Manual):
        definition = """
        # an animal
        subject_id : varchar(24)
        ---
        sex = 'U' : enum('M', 'F', 'U')
        weight = null : decimal(6, 2)   # (g)
        note = '' : varchar(200)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        session_date : date
        -> [nullable] Subject.proj(partner="subject_id")
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int16
            ---
            outcome = null : float64
            """

    @schema
    class Rate(dj.Computed):
        definition = """
        -> Session
        ---
        rate : float64
        """

    for number in range(6):
        Subject.insert1(
            {
                "subject_id": f"M{number:03}",
                "sex": "MFU"[number % 3],
                "weight": number * 2.5 if number else None,
            }
        )
    Session.insert(
        [
            {
                "subject_id": f"M{n:03}",
                "session": s,
                "session_date": dt.date(2026, 1 + n, 1 + s),
                "partner": None,
            }
            for n in range(3)
            for s in range(4)
        ]
    )
    Session.update1({"subject_id": "M001", "session": 2, "partner": "M005"})
    Session.Trial.insert([{"subject_id": "M001", "session": 2, "trial": t} for t in range(25)])
    Rate.insert1({"subject_id": "M001", "session": 2, "rate": 0.5}, allow_direct_insert=True)
    return {"Subject": Subject, "Session": Session, "Trial": Session.Trial, "Rate": Rate}


@pytest.fixture
def labelled(lab: dict[str, Any], serve: Serve) -> tuple[Services, dict[str, str]]:
    """Give the services of the lab and the name of each of its tables."""
    return serve(*lab.values()), {name: app_name(cls().name) for name, cls in lab.items()}


@pytest.fixture
def values(schema: dj.Schema, connection: Connection, tmp_path: Path) -> Any:
    """Declare a table with an attribute of every type, and two rows: full, and empty where that may be."""
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
        tiny = null : int8
        big = null : int64
        single = null : float32
        double_ = null : float64
        exact = null : decimal(12, 4)
        flag = null : bool
        word = null : varchar(40)
        long_word = null : varchar(2000)
        choice = null : enum('left', 'right')
        day = null : date
        moment = null : datetime
        precise = null : datetime(6)
        identity = null : uuid
        document = null : json
        raw = null : bytes
        trace = null : <blob>
        settings = null : <blob>
        file = null : <attach>
        array = null : <npy@>
        thing = null : <object@>
        packed = null : <blob@>
        """

    Everything.insert1(
        {
            "number": 1,
            "tiny": -7,
            "big": 2**53 + 1,
            "single": 0.1,
            "double_": 1 / 3,
            "exact": "12345678.9000",
            "flag": True,
            "word": "  <b>bold</b> é ",
            "long_word": "long " * 100,
            "choice": "right",
            "day": dt.date(2026, 2, 28),
            "moment": dt.datetime(2026, 2, 28, 23, 59, 58),
            "precise": dt.datetime(2026, 2, 28, 23, 59, 58, 123456),
            "identity": uuid.UUID("12345678-1234-5678-1234-567812345678"),
            "document": {"a": [1, 2], "<i>": "é"},
            "raw": b"\0\1\2" * 1000,
            "trace": np.zeros((3, 200_000)),
            "settings": {"a": 1},
            "file": ("report <1>.txt", b"content"),
            "array": np.zeros((5, 4), np.int16),
            "thing": (".tif", b"x" * 2048),
            "packed": np.arange(10),
        }
    )
    Everything.insert1({"number": 2})
    return Everything


SHOWN = {
    "number": ("1", "number"),
    "tiny": ("-7", "number"),
    "big": ("9007199254740993", "number"),
    "single": ("0.1", "number"),
    "double_": ("0.3333333", "number"),
    "exact": ("12345678.9000", "number"),
    "flag": ("yes", "text"),
    "word": ("  <b>bold</b> é ", "text"),
    "long_word": ("long " * 31 + "long…", "text"),
    "choice": ("right", "text"),
    "day": ("2026-02-28", "text"),
    "moment": ("2026-02-28 23:59:58", "text"),
    "precise": ("2026-02-28 23:59:58.123456", "text"),
    "identity": ("12345678-1234-5678-1234-567812345678", "text"),
    "document": ('{"a": [1, 2], "<i>": "é"}', "text"),
    "raw": ("bytes, 2.9 KiB", "value"),
    "trace": ("float64 (3 × 200,000), 4.6 KiB", "value"),
    "settings": ("dict, 46 bytes", "value"),
    "file": ("report <1>.txt, 22 bytes", "value"),
    "array": ("int16 (5 × 4)", "value"),
    "thing": (".tif file, 2.0 KiB", "value"),
    "packed": ("blob, 113 bytes", "value"),
}


# ------------------------------------------------------------------ cells
def test_every_type_is_shown_as_text_without_loss(values: Any, serve: Serve) -> None:
    services = serve(values)
    name = app_name(values().name)
    full, empty = run(services.browsing.rows(name)).rows
    attributes = [attribute.name for attribute in services.table(name).attributes]
    shown = {a: (cell.text, cell.kind) for a, cell in zip(attributes, full.cells, strict=True)}
    # Of inline values the size depends on how well they compress.
    assert {
        a: text.rpartition(", ")[0] if kind == "value" else (text, kind) for a, (text, kind) in shown.items()
    } == {
        a: text.rpartition(", ")[0] if kind == "value" else (text, kind) for a, (text, kind) in SHOWN.items()
    }
    assert all(kind == SHOWN[a][1] for a, (_, kind) in shown.items())
    assert [cell.kind for cell in empty.cells] == ["number"] + ["null"] * (len(attributes) - 1)


def test_a_record_shows_numbers_and_texts_in_full(values: Any, serve: Serve) -> None:
    services = serve(values)
    name = app_name(values().name)
    record = run(services.browsing.record(name, {"number": "1"}))
    cells = dict(zip((a.name for a in record.table.attributes), record.row.cells, strict=True))
    assert cells["double_"].text == repr(1 / 3)
    assert cells["long_word"].text == "long " * 100


def test_a_page_of_rows_never_fetches_large_values(
    values: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = serve(values)
    longest = 0
    fetch = QueryExpression.to_dicts

    def to_dicts(query: QueryExpression, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        nonlocal longest
        rows = fetch(query, *args, **kwargs)
        sizes = [len(value) for row in rows for value in row.values() if isinstance(value, bytes)]
        longest = max([longest, *sizes])
        return rows

    monkeypatch.setattr(QueryExpression, "to_dicts", to_dicts)
    # Objects that are gone are not missed: what the row says of them is enough.
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            path.unlink()
    page = run(services.browsing.rows(app_name(values().name)))
    assert len(page.rows) == 2
    assert 0 < longest <= HEAD_BYTES
    assert not list(tmp_path.glob("report*")), "an attached file was written into the working folder"


def test_inline_values_are_left_alone_where_their_beginnings_take_too_long(
    values: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = serve(values)
    fetch = paging_module.Pages._selected

    def slow(self: Any, info: Any, query: Any, selection: Any, *args: Any, **kwargs: Any) -> Any:
        if selection.has_heads:
            raise QueryTimeoutError("too slow")
        return fetch(self, info, query, selection, *args, **kwargs)

    monkeypatch.setattr(paging_module.Pages, "_selected", slow)
    name = app_name(values().name)
    row = run(services.browsing.rows(name)).rows[0]
    cells = dict(zip((a.name for a in services.table(name).attributes), row.cells, strict=True))
    assert (cells["trace"].text, cells["file"].text, cells["raw"].text) == ("<blob>", "<attach>", "<bytes>")
    assert cells["array"].text == "int16 (5 × 4)"


# ------------------------------------------------------------------ sorting and pages
@pytest.mark.parametrize("sort", [(), ("sex",), ("-sex",), ("-weight", "sex"), ("note",), ("-subject_id",)])
def test_paging_through_ties_gives_every_row_once(
    labelled: tuple[Services, dict[str, str]], lab: dict[str, Any], sort: tuple[str, ...]
) -> None:
    services, names = labelled
    lab["Subject"].insert([{"subject_id": f"X{n:03}", "sex": "U"} for n in range(60)])
    seen: list[str] = []
    page = 1
    while True:
        found = run(services.browsing.rows(names["Subject"], sort=sort, page=page, page_size=7))
        seen += [row.key["subject_id"] for row in found.rows]
        if not found.has_next:
            break
        page += 1
    expected = lab["Subject"].keys()
    assert sorted(seen) == sorted(key["subject_id"] for key in expected)
    assert page == 10


def test_sorting_goes_both_ways_and_enums_in_the_order_of_their_choices(
    labelled: tuple[Services, dict[str, str]],
) -> None:
    services, names = labelled

    def order(*sort: str) -> list[str]:
        return [
            row.key["subject_id"] for row in run(services.browsing.rows(names["Subject"], sort=sort)).rows
        ]

    assert order("-subject_id") == ["M005", "M004", "M003", "M002", "M001", "M000"]
    assert order("sex") == ["M000", "M003", "M001", "M004", "M002", "M005"]
    assert order("-weight")[:2] == ["M005", "M004"]
    assert order("weight")[0] == "M000", "no value comes first"


def test_what_has_no_order_cannot_be_sorted_by(values: Any, serve: Serve) -> None:
    services = serve(values)
    for name in ("trace", "document", "-array", "nothing"):
        with pytest.raises(UnknownAttributeError, match=name.removeprefix("-")):
            run(services.browsing.rows(app_name(values().name), sort=(name,)))


def test_a_page_beyond_the_last_is_the_last(labelled: tuple[Services, dict[str, str]]) -> None:
    services, names = labelled
    found = run(services.browsing.rows(names["Subject"], page=99, page_size=4))
    assert (found.page, len(found.rows), found.has_next) == (2, 2, False)
    found = run(services.browsing.rows(names["Subject"], {"subject_id": "=nobody"}, page=3))
    assert (found.page, found.rows, found.count) == (1, (), 0)


def test_fifty_thousand_rows_are_paged_with_few_statements(
    schema: dj.Schema, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    @schema
    class Point(dj.Manual):
        definition = """
        number : int32
        ---
        tied : int8
        word : varchar(16)
        trace = null : <blob>
        """

    Point.insert({"number": n, "tied": n % 5, "word": f"w{n}"} for n in range(50_000))
    services = serve(Point)
    name = app_name(Point().name)
    statements: list[str] = []
    query = Connection.query

    def counted(self: Connection, sql: str, *args: Any, **kwargs: Any) -> Any:
        statements.append(sql)
        return query(self, sql, *args, **kwargs)

    monkeypatch.setattr(Connection, "query", counted)

    def page(*args: Any, **kwargs: Any) -> Any:
        statements.clear()
        found = run(services.browsing.rows(name, *args, **kwargs))
        assert len(statements) <= 4, statements
        assert all("LIMIT" in sql for sql in statements), "every statement is bounded"
        return found

    first = page()
    assert (first.count_text, first.is_capped, first.has_next) == (">10,000", True, True)
    deep = page(page=900)
    assert deep.rows[0].key["number"] == str(899 * 50)
    last = page(page=10**6)
    assert (last.page, [row.key["number"] for row in last.rows][-1], last.has_next) == (1000, "49999", False)
    assert page(sort=("-tied",), page=200).rows[0].key["number"] == "249"
    assert page({"tied": "3", "word": "99"}).count == len(
        [n for n in range(50_000) if n % 5 == 3 and "99" in str(n)]
    )


def test_a_query_that_takes_too_long_is_stopped(
    labelled: tuple[Services, dict[str, str]], lab: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, names = labelled
    many = lab["Subject"].proj(a0="subject_id")
    for number in range(1, 12):
        many = many * lab["Subject"].proj(**{f"a{number}": "subject_id"})
    monkeypatch.setattr(paging_module, "TIME_LIMIT_S", 0.2)
    monkeypatch.setattr(paging_module.Pages, "query", lambda *args: many)
    monkeypatch.setattr(paging_module, "COUNT_LIMIT", 10**10)
    with pytest.raises(QueryTimeoutError, match="took too long"):
        run(services.browsing.count(names["Subject"]))
    monkeypatch.undo()
    assert run(services.browsing.count(names["Subject"])) == 6


# ------------------------------------------------------------------ filters
FILTERS = [
    ("number", "1", [1]),
    ("number", "!=1", [2, 3]),
    ("number", ">1", [2, 3]),
    ("number", "2..", [2, 3]),
    ("number", "1..2", [1, 2]),
    ("exact", "10.5", [1]),
    ("exact", "<=20.25", [1, 2]),
    ("exact", ">10.5", [2]),
    ("exact", "is empty", [3]),
    ("double_", "0.1..0.3", [1, 2]),
    ("single", "=0.1", [1]),
    ("flag", "yes", [1]),
    ("flag", "no", [2]),
    ("flag", "is filled", [1, 2]),
    ("word", "ÄRGER", [1]),
    ("word", "=Ärger", [1]),
    ("word", "=ärger", []),
    ("word", "^är", [1]),
    ("word", "!är", [2, 3]),
    ("word", "50%", [2]),
    ("word", "_", []),
    ("word", '"is empty"', []),
    ("word", "is empty", [3]),
    ("word", "is filled", [1, 2]),
    ("word", "!=Ärger", [2, 3]),
    ("choice", "left", [1]),
    ("choice", "!=left", [2, 3]),
    ("day", "2026-02-28", [1]),
    ("day", "2026-02", [1]),
    ("day", "2026", [1, 2]),
    ("day", ">2026-02", [2]),
    ("day", "28.2.2026", [1]),
    ("day", "1.3.2026..", [2]),
    ("day", "<=2026-02", [1]),
    ("day", "2026-03..2026-12", [2]),
    ("day", "!=2026-02", [2, 3]),
    ("moment", "2026-02-28", [1]),
    ("moment", "2026-02-28 23:59", [1]),
    ("moment", "2026-02-28 23:59:58", [1]),
    ("moment", ">2026-02-28", [2]),
    ("moment", "<= 28.02.2026", [1]),
    ("moment", "28.2.2026 23:59", [1]),
    ("moment", ">=2026-02-28 23:59:59", [2]),
    ("precise", "2026-02-28 23:59:58", [1]),
    ("precise", "2026-02-28 23:59:58.123456", [1]),
    ("precise", "2026-02-28 23:59:58.123457", []),
    ("identity", "1234", [1]),
    ("identity", "12345678-1234-5678-1234-567812345678", [1]),
    ("identity", "!=12345678-1234-5678-1234-567812345678", [2, 3]),
    ("document", "deep", [1]),
    ("document", "!deep", [2, 3]),
    ("trace", "is filled", [1]),
    ("trace", "is empty", [2, 3]),
]


@pytest.fixture
def filtered(values: Any, serve: Serve) -> tuple[Services, str]:
    """Give a table with three rows of which the third is empty."""
    values.delete(prompt=False)
    values.insert1(
        {
            "number": 1, "exact": "10.5", "double_": 0.1, "single": 0.1, "flag": 1, "word": "Ärger", "choice": "left",
            "day": "2026-02-28", "moment": "2026-02-28 23:59:58", "precise": "2026-02-28 23:59:58.123456",
            "identity": "12345678-1234-5678-1234-567812345678", "document": {"a": "deep"}, "trace": np.zeros(3),
        }
    )  # fmt: skip
    values.insert1(
        {
            "number": 2, "exact": "20.25", "double_": 0.3, "single": 0.5, "flag": 0, "word": "50% of", "choice": "right",
            "day": "2026-03-01", "moment": "2026-03-01 00:00:00", "precise": "2026-03-01", "identity": uuid.UUID(int=7),
            "document": [],
        }
    )  # fmt: skip
    values.insert1({"number": 3, "word": ""})
    return serve(values), app_name(values().name)


def test_filters_mean_what_they_say(filtered: tuple[Services, str]) -> None:
    services, name = filtered
    wrong = {}
    for attribute, text, expected in FILTERS:
        found = [int(row.key["number"]) for row in run(services.browsing.rows(name, {attribute: text})).rows]
        if found != expected:
            wrong[attribute, text] = found
    assert not wrong


def test_copied_python_fetches_the_same_rows(
    filtered: tuple[Services, str], backend: Backend, tmp_path: Path
) -> None:
    services, name = filtered
    program = ["import json", "found = []"]
    for attribute, text, _ in FILTERS:
        code = services.browsing.code(name, {"number": ">0", attribute: text}, ["-word"], 1, 50)
        program += [
            code,
            "found.append([row['number'] for row in query.to_dicts('number', attributes=['number'])])",
        ]
    program.append("print(json.dumps(found))")
    (tmp_path / "program.py").write_text("\n".join(program), encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**backend.environment, "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert json.loads(answer.stdout) == [expected for _, _, expected in FILTERS]


@pytest.mark.parametrize(
    ("attribute", "text", "reason"),
    [
        ("number", "abc", "is not a whole number"),
        ("number", "1,5", "“1,5” is not a whole number"),
        ("number", ">", "missing after >"),
        ("number", "9..5", "ends before it begins"),
        ("number", "..", "at least one end"),
        ("number", "99999999999", "is outside"),
        ("exact", "1.23456", "more than 4 digits"),
        ("double_", "nan", "finite"),
        ("flag", "maybe", "neither true nor false"),
        ("choice", "up", "'left', 'right'"),
        ("choice", ">left", "only = and !="),
        ("day", "yesterdayish", "write it like 2026, 2026-03"),
        ("day", "2026-13", "write it like"),
        ("day", ">1/2/2026", "could mean 2026-02-01 or 2026-01-02"),
        ("day", "2026-02-28 10:00", "holds only dates"),
        ("moment", "10:00", "2026-03-05 14:30"),
        ("identity", "xyz", "hexadecimal"),
        ("trace", "5", "is empty or is filled"),
        ("word", "=", None),
        ("word", "^", "missing after ^"),
    ],
)
def test_a_filter_that_makes_no_sense_says_why(
    filtered: tuple[Services, str], attribute: str, text: str, reason: str | None
) -> None:
    services, name = filtered
    problems = services.browsing.problems(name, {attribute: text})
    if reason is None:
        assert problems == {}
        return
    assert reason in problems[attribute]
    with pytest.raises(FilterError, match=f"^{attribute}: "):
        run(services.browsing.rows(name, {attribute: text}))


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_filters_are_only_ever_values(
    labelled: tuple[Services, dict[str, str]],
    lab: dict[str, Any],
    payload: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services, names = labelled
    lab["Subject"].insert1({"subject_id": "evil", "note": payload})
    statements: list[str] = []
    query = Connection.query

    def logged(self: Connection, sql: str, *args: Any, **kwargs: Any) -> Any:
        statements.append(sql)
        return query(self, sql, *args, **kwargs)

    monkeypatch.setattr(Connection, "query", logged)
    for text in (f"={payload}", f'"{payload}"', f'^"{payload}"'):
        found = run(services.browsing.rows(names["Subject"], {"note": text}))
        assert [row.key["subject_id"] for row in found.rows] == ["evil"], text
    assert run(services.browsing.rows(names["Subject"], {"subject_id": f"={payload}"})).rows == ()
    assert not any(payload in sql or payload.replace("%", "%%") in sql for sql in statements)
    for attribute, text in (("weight", payload), ("sex", payload)):
        assert services.browsing.problems(names["Subject"], {attribute: text})
    with pytest.raises(UnknownAttributeError):
        run(services.browsing.rows(names["Subject"], {payload: "1"}))
    with pytest.raises(UnknownAttributeError):
        run(services.browsing.rows(names["Subject"], sort=(payload,)))
    with pytest.raises((OneRowError, UnknownAttributeError, ValueRefusedError)):
        run(services.browsing.record(names["Session"], {"subject_id": payload, "session": "1"}))
    assert len(lab["Subject"]()) == 7


# ------------------------------------------------------------------ records
def test_a_record_shows_what_it_belongs_to_and_what_belongs_to_it(
    labelled: tuple[Services, dict[str, str]],
) -> None:
    services, names = labelled
    record = run(services.browsing.record(names["Session"], {"subject_id": "M001", "session": "2"}))
    assert [(link.table, address and dict(address.key)) for link, address in record.parents] == [
        (names["Subject"], {"subject_id": "M001"}),
        (names["Subject"], {"subject_id": "M005"}),
    ]
    page, filters = record.parts[names["Trial"]]
    assert (page.count, len(page.rows), page.has_next) == (25, 10, True)
    assert run(services.browsing.count(names["Trial"], filters)) == 25
    assert [(c.table, c.count) for c in record.children] == [(names["Rate"], 1)]
    assert run(services.browsing.count(names["Rate"], record.children[0].filters)) == 1


def test_renamed_references_count_and_filter_by_their_own_name(
    labelled: tuple[Services, dict[str, str]],
) -> None:
    services, names = labelled
    record = run(services.browsing.record(names["Subject"], {"subject_id": "M005"}))
    counts = {tuple(c.filters): c.count for c in record.children}
    assert counts == {("subject_id",): 0, ("partner",): 1}
    partner = next(c for c in record.children if "partner" in c.filters)
    found = run(services.browsing.rows(partner.table, partner.filters))
    assert [dict(row.key) for row in found.rows] == [{"subject_id": "M001", "session": "2"}]


def test_a_row_that_is_gone_is_named(labelled: tuple[Services, dict[str, str]]) -> None:
    services, names = labelled
    with pytest.raises(OneRowError, match=r"no row with subject_id M999.*deleted"):
        run(services.browsing.record(names["Subject"], {"subject_id": "M999"}))
    with pytest.raises(UnknownAttributeError, match="must name 'session'"):
        run(services.browsing.record(names["Session"], {"subject_id": "M001"}))
    with pytest.raises(ValueRefusedError, match="is not a whole number"):
        run(services.browsing.record(names["Session"], {"subject_id": "M001", "session": "x"}))


def test_keys_of_every_type_go_through_an_address_and_back(schema: dj.Schema, serve: Serve) -> None:
    @schema
    class Keyed(dj.Manual):
        definition = """
        number : int64
        word : varchar(40)
        day : date
        moment : datetime(3)
        identity : uuid
        choice : enum('a b', 'ü&=?#/%')
        flag : bool
        exact : decimal(6, 3)
        """

    rows = [
        (-(2**62), "ü&=?#/% +<b>'\"\\", "2026-02-28", "2026-02-28 10:00:00.125", uuid.UUID(int=5), "ü&=?#/%", 1, "-1.250"),
        (0, " ", "0999-01-01", "2026-01-01", uuid.UUID(int=2**127), "a b", 0, "0"),
    ]  # fmt: skip
    Keyed.insert(rows)
    services = serve(Keyed)
    name = app_name(Keyed().name)
    for row in run(services.browsing.rows(name)).rows:
        route = parse_route(format_route(record_route(name, row.key)))
        record = run(services.browsing.record("/".join(route.path), dict(route.query)))
        assert record.row.key == row.key


def test_steps_through_rows_visit_all_in_the_order_of_the_key(schema: dj.Schema, serve: Serve) -> None:
    @schema
    class Step(dj.Manual):
        definition = """
        side : enum('right', 'left', 'middle')
        number : int16
        """

    Step.insert([(side, number) for side in ("left", "middle", "right") for number in (10, -2, 3)])
    services = serve(Step)
    name = app_name(Step().name)
    rows = [dict(row.key) for row in run(services.browsing.rows(name)).rows]
    assert [row["side"] for row in rows][::3] == ["right", "left", "middle"]

    async def walk() -> list[dict[str, str]]:
        seen, address = [rows[0]], None
        before, address = await services.browsing.neighbours(name, rows[0])
        assert before is None
        while address is not None:
            before, after = await services.browsing.neighbours(name, address.key)
            assert before is not None
            assert dict(before.key) == seen[-1]
            seen.append(dict(address.key))
            address = after
        return seen

    assert run(walk()) == rows


# ------------------------------------------------------------------ values
def test_values_are_decoded_and_files_go_where_they_are_asked_to(
    values: Any, serve: Serve, tmp_path: Path
) -> None:
    services = serve(values)
    name = app_name(values().name)
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def value(attribute: str, number: str = "1") -> Any:
        return run(services.browsing.value(name, {"number": number}, attribute, folder))

    assert value("trace").shape == (3, 200_000)
    assert value("packed").tolist() == list(range(10))
    assert value("array").shape == (5, 4)
    assert value("document") == {"a": [1, 2], "<i>": "é"}
    assert value("raw") == b"\0\1\2" * 1000
    assert value("word") == "  <b>bold</b> é "
    assert value("trace", "2") is None
    path = value("file")
    assert path.parent == folder
    assert path.read_bytes() == b"content"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("report")] == []
    with pytest.raises(OneRowError):
        value("trace", "9")


def test_a_missing_object_and_a_value_too_large_say_why(
    values: Any, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = serve(values)
    name = app_name(values().name)
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(MissingObjectError):
        run(services.browsing.value(name, {"number": "1"}, "packed", tmp_path))
    monkeypatch.setattr(browsing_module, "MAX_VALUE_BYTES", 100)
    with pytest.raises(ValueRefusedError, match="Fetch it with Python"):
        run(services.browsing.value(name, {"number": "1"}, "trace", tmp_path))


# ------------------------------------------------------------------ addresses
@pytest.mark.parametrize(
    "view",
    [
        TableView(),
        TableView({"note": "=a&b=c?#/%", "weight": ">5"}, ("-sex", "subject_id"), 3, 100, ("note",)),
        TableView(
            page=-2,
            order=("weight", "sex"),
            widths={"note": 200},
            at='["x"]',
            selected=(("a,b",), ("c;%d",), ("",)),
        ),
    ],
)
def test_a_view_goes_through_an_address_and_back(
    labelled: tuple[Services, dict[str, str]], view: TableView
) -> None:
    services, names = labelled
    route = parse_route(f"#/table/{names['Subject']}")
    there = format_route(route.with_query(**view.query()))
    assert read_view(services.table(names["Subject"]), parse_route(there).query) == view


@pytest.mark.parametrize(
    "query",
    [
        {
            "page": "--1",
            "size": "x",
            "order": "subject_id,nothing",
            "width": "nothing:9,:",
            "select": "a,b",
            "sort": "nothing,-",
            "hide": "subject_id,nothing",
            "f.nothing": "5",
            "f.": "1",
        },
        {"page": "99999999999999999999", "size": "99999", "sort": "", "f.note": "  "},
        {"page": "٣", "size": "0"},
    ],
)
def test_an_address_that_asks_for_nonsense_shows_the_usual_view(
    labelled: tuple[Services, dict[str, str]], query: Mapping[str, str]
) -> None:
    services, names = labelled
    view = read_view(services.table(names["Subject"]), query)
    assert view == TableView(page_size=view.page_size)
    assert 1 <= view.page_size <= 250


def test_a_key_attribute_named_attribute_leaves_the_address_clear() -> None:
    route = parse_route(format_route(object_route("lab.T", {"attribute": "x"}, "trace")))
    assert (route.path, dict(route.query)) == (("lab.T", "trace"), {"attribute": "x"})
