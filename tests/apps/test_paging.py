"""Turning pages of large tables: by the row before, from either end, and by an address alone."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable, Coroutine, Iterator
from types import MappingProxyType
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.services import Services, paging
from dj_panel.core.connection import Connection
from dj_panel.core.errors import QueryTimeoutError

Asked = Callable[..., Any]
N_ROWS = 53


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def services(schema: dj.Schema) -> Iterator[Services]:
    """Give the services of a table with an attribute of every kind that rows are sorted by, empty ones among them."""

    @schema
    class Point(dj.Manual):
        definition = """
        name : varchar(12)
        number : int16
        ---
        tied : int8
        maybe = null : int32
        word = null : varchar(20)
        size = null : float64
        single = null : float32
        exact = null : decimal(8, 3)
        choice = null : enum('late', 'early', 'never')
        flag = null : bool
        day = null : date
        moment = null : datetime(6)
        identity = null : uuid
        long_text = null : longtext
        """

    def row(n: int) -> dict[str, Any]:
        found: dict[str, Any] = {"name": "äbC "[n % 4].strip() or "x", "number": n, "tied": n % 3}
        if n % 5:
            found |= {
                "maybe": n % 7 - 3,
                "word": ["b", "B", "ä", "a b", "A", "", "%_'"][n % 7],
                "size": (n % 6) / 7,
                "single": (n % 6) / 7,
                "exact": f"{n % 4}.125",
                "choice": ("late", "early", "never")[n % 3],
                "flag": n % 2,
                "day": dt.date(2026, 1, 1 + n % 6),
                "moment": dt.datetime(2026, 1, 1, 12, 0, 0, n % 6),
                "identity": uuid.UUID(int=n % 9),
                "long_text": "ab"[n % 2] * 3,
            }
        return found

    Point.insert(map(row, range(N_ROWS)))
    name = app_name(Point().name)
    made = Services(Pipeline("test", schema.connection, MappingProxyType({name: Point})))
    yield made
    made.close()


@pytest.fixture
def asked(services: Services) -> Asked:
    """Give a function that returns a page of the table."""
    (name,) = (info.name for info in services.tables())
    return lambda sort=(), page=1, **more: run(services.browsing.rows(name, sort=sort, page=page, **more))


def keys(*pages: Any) -> list[tuple[str, ...]]:
    return [tuple(row.key.values()) for page in pages for row in page.rows]


SORTS = (
    "", "-name", "tied", "maybe", "-maybe", "word", "-word", "size", "-single", "exact", "choice", "-choice",
    "flag", "-day", "moment", "-identity", "long_text", "tied,-maybe,word",
)  # fmt: skip


def test_turning_pages_either_way_visits_every_row_once_in_order(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sort in SORTS:
        order = tuple(filter(None, sort.split(",")))
        monkeypatch.undo()
        everything = keys(asked(order, page_size=N_ROWS))
        assert len(set(everything)) == N_ROWS, sort
        monkeypatch.setattr(paging, "COUNT_LIMIT", 20)  # so the number of pages is not known
        forward = [asked(order, page_size=9)]
        while forward[-1].has_next:
            forward.append(asked(order, forward[-1].page + 1, page_size=9, before=forward[-1]))
        assert keys(*forward) == everything, sort
        assert [page.count_text for page in forward] == [">20"] * 6
        for page in reversed(forward[1:]):
            turned = asked(order, page.page - 1, page_size=9, before=page)
            assert keys(turned) == keys(forward[page.page - 2]), sort
        backward = [asked(order, -1, page_size=9)]
        while len(keys(*backward)) < N_ROWS:
            backward.append(asked(order, backward[-1].page - 1, page_size=9, before=backward[-1]))
        assert keys(*reversed(backward)) == everything, sort
        assert [page.has_next for page in backward] == [False] + [True] * 5
        ahead = asked(order, backward[3].page + 1, page_size=9, before=backward[3])
        assert (ahead.page, keys(ahead)) == (-3, keys(backward[2])), sort


def test_a_page_deep_in_the_table_is_shown_by_its_address_alone(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "COUNT_LIMIT", 20)
    monkeypatch.setattr(paging, "DEEP", 20)
    monkeypatch.setattr(paging, "MAX_OFFSET", 25)
    for sort in ((), ("maybe",), ("-moment",), ("identity",)):
        for first, step in ((1, 1), (-1, -1)):
            pages = [asked(sort, first, page_size=5)]
            for _ in range(9):
                pages.append(asked(sort, pages[-1].page + step, page_size=5, before=pages[-1]))
            assert [bool(page.at) for page in pages] == [False] * 5 + [True] * 5
            back = asked(sort, pages[8].page, page_size=5, before=pages[9])
            assert keys(back) == keys(pages[8])
            for page in (*pages, back):
                again = asked(sort, page.page, page_size=5, at=page.at)
                assert (again.page, keys(again)) == (page.page, keys(page))
    for nonsense in ("x", "[1]", '["a","b"]', "{}", "[null,null]", '["' + "9" * 400 + '","1"]'):
        found = asked((), 9, page_size=5, at=nonsense)
        assert len(found.rows) == 5, "an address that makes no sense shows some page"
    assert asked((), 10, page_size=5).page == 6, "without a row to begin at, no page lies deeper"


def test_the_rows_are_shown_where_counting_them_takes_too_long(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_args: object) -> int:
        raise QueryTimeoutError("too slow")

    monkeypatch.setattr(paging.Pages, "count", slow)
    first = asked(page_size=5)
    assert (len(first.rows), first.count_text, first.counted) == (5, ">5", None)
    second = asked((), 2, page_size=5, before=first)
    assert (len(second.rows), second.count_text) == (5, ">10")
    whole = asked(page_size=100)
    assert (whole.count_text, whole.has_next) == ("53", False), "what is all on one page needs no counting"


def test_the_next_page_takes_one_statement_and_passes_over_no_row(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    fetch = Connection.fetch

    def noted(self: Connection, statement: Any, *args: Any, **kwargs: Any) -> Any:
        statements.append(statement.sql)
        return fetch(self, statement, *args, **kwargs)

    def refused(*args: object, **kwargs: object) -> Any:
        raise AssertionError("the rows were counted again")

    first = asked(("day",), page_size=5)
    monkeypatch.setattr(Connection, "fetch", noted)
    monkeypatch.setattr(paging.Pages, "count", refused)
    second = asked(("day",), 2, page_size=5, before=first)
    asked(("day",), 3, page_size=5, before=second)
    assert [sql.endswith("LIMIT 6 OFFSET 0") for sql in statements] == [True, True], statements


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_index_gives_pages_of_equal_values_without_sorting_them_all(
    schema: dj.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    @schema
    class Tied(dj.Manual):
        definition = """
        id : int32
        ---
        kind : int8
        index (kind)
        """

    Tied.insert((n, n % 2) for n in range(300))
    connection, name = schema.connection, app_name(Tied().name)
    assert [index.columns for index in Tied().structure.indexes] == [("kind",)], "as it was declared"
    services = Services(Pipeline("test", connection, MappingProxyType({name: Tied})))
    statements: list[Any] = []
    fetch = Connection.fetch

    def noted(self: Connection, statement: Any, take: Any) -> Any:
        statements.append(statement)
        return fetch(self, statement, take)

    monkeypatch.setattr(Connection, "fetch", noted)
    for sort, ids in (("kind", range(100, 200, 2)), ("-kind", range(199, 99, -2))):
        first = run(services.browsing.rows(name, sort=(sort,), page_size=50))
        second = run(services.browsing.rows(name, sort=(sort,), page=2, page_size=50, before=first))
        assert [row.key["id"] for row in second.rows] == list(map(str, ids))
    services.close()
    assert len(statements) == 4
    for statement in statements:
        plan = str(connection.query(f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters).fetchall())
        assert "/index/kind" in plan
        assert "TEMP B-TREE" not in plan
