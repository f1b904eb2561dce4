"""What tables are restricted by beside text: records and frames, lists of values, the first rows in an order."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dj_panel as dj
from dj_panel.core.errors import QuerySyntaxError, UnknownAttributeError

N_ROWS = 4


@pytest.fixture
def table(schema: dj.Schema) -> Any:
    @schema
    class Table(dj.Manual):
        definition = """
        a : int32
        word : varchar(10)
        ---
        n = null : int32
        x = null : float64
        y = null : float32
        d = null : date
        t = null : datetime(3)
        c = null : decimal(6,2)
        u = null : uuid
        e = null : enum('p','q')
        """

    for number in range(N_ROWS):
        row: dict[str, Any] = {"a": number, "word": f"it's {number}"}
        if number % 2:
            row |= {"n": -number, "x": 0.5, "y": 0.1, "d": dt.date(2020, 1, number), "c": Decimal("1.10"), "e": "q",
                    "t": dt.datetime(2020, 1, number, 5, 6, 7, 125_000), "u": uuid.UUID(int=number)}  # fmt: skip
        Table.insert1(row)
    return Table


def rows(query: Any) -> list[int]:
    found: list[int] = query.to_arrays("a", order_by="a").tolist()
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_table_restricted_by_its_own_rows_in_any_form_is_whole(table: Any) -> None:
    every = list(range(N_ROWS))
    assert rows(table & table.to_arrays()) == every
    assert rows(table & table.fetch()) == every
    assert rows(table & table.to_arrays()[1]) == [1] == rows(table & (table & {"a": 1}).to_arrays())
    assert rows(table & table.to_pandas()) == every
    assert rows(table & table.to_pandas().reset_index()) == every
    assert rows(table & table.to_polars()) == every
    assert rows(table & table.to_dicts()) == every
    assert rows(table - table.to_arrays()) == [] == rows(table - table.to_pandas())


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", np.array([-1, -3]), [1, 3]),
        ("a", range(2), [0, 1]),
        ("n", {-1: "a", -7: "b"}.keys(), [1]),
        ("n", pd.Series([-1.0, None]), [0, 1, 2]),
        ("word", np.array(["it's 2", "it's 3"]), [2, 3]),
        ("d", np.array(["2020-01-01", "NaT"], "datetime64[ns]"), [0, 1, 2]),
        ("t", np.array(["2020-01-03T05:06:07.125"], "datetime64[ns]"), [3]),
        ("a", np.array(2), [2]),
        ("a", np.array([]), []),
        ("n", [None], [0, 2]),
        ("d", np.datetime64("2020-01-01", "ns"), [1]),
        ("u", [uuid.UUID(int=1), str(uuid.UUID(int=3))], [1, 3]),
    ],
)
def test_anything_that_lists_values_asks_for_one_of_them(
    table: Any, name: str, values: Any, expected: list[int]
) -> None:
    assert rows(table & {name: values}) == expected


@pytest.mark.parametrize(
    ("restriction", "message"),
    [
        ({"word": b"x"}, r"'word' is compared with bytes, and its type is varchar\(10\).*b'x'.decode\(\)"),
        ({"word": [b"x", "y"]}, "'word' is compared with bytes"),
        ([{"word": b"x"}, {"word": b"y"}], "'word' is compared with bytes"),
        ({"n": {"a": 1}}, "'n' is compared with {'a': 1}, a dict"),
        ({"n": object}, "'n' is compared with <class 'object'>, a type"),
        ({"n": np.array([[1, 2]])}, "a ndarray"),
        ({"n": [1, (2, 3)]}, "a tuple"),
    ],
)
def test_a_value_that_an_attribute_never_equals_is_refused(
    table: Any, restriction: Any, message: str
) -> None:
    with pytest.raises(QuerySyntaxError, match=message):
        table & restriction


def test_a_packed_value_is_not_compared(schema: dj.Schema) -> None:
    @schema
    class Packed(dj.Manual):
        definition = """
        a : int32
        ---
        b = null : <blob>
        """

    Packed.insert([(1, np.zeros(2)), (2, None)])
    assert rows(Packed & {"b": None}) == [2]
    for value in (b"x", np.zeros(2), [1.0]):
        with pytest.raises(
            QuerySyntaxError, match="'b' has the type <blob>, whose values the database holds packed"
        ):
            Packed & {"b": value}
    with pytest.raises(QuerySyntaxError, match="packed"):
        Packed & Packed.to_dicts()


def test_top_stands_among_conditions_that_all_hold(table: Any) -> None:
    assert rows(table & dj.AndList(["a > 0", dj.Top(2)])) == [1, 2]
    assert rows(table & dj.AndList([dj.Top(2, "a DESC"), "a < 3"])) == [2]


def test_top_without_an_order_keeps_that_of_the_top_before_it(table: Any) -> None:
    first = table & dj.Top(3, "a DESC")
    assert rows(first & dj.Top(1, None)) == [3]
    assert rows(first & dj.Top(1)) == [1]
    assert rows(table & dj.Top(1, None)) == [0]


@pytest.mark.parametrize("limit", [-1, 1.5, "2", True])
def test_a_limit_that_is_no_number_of_rows_is_refused(table: Any, limit: Any) -> None:
    with pytest.raises(QuerySyntaxError, match=r"The limit is .*it must be a whole number from 0 on"):
        table & dj.Top(limit)
    with pytest.raises(QuerySyntaxError, match="The limit is"):
        table.to_dicts(limit=limit)
    with pytest.raises(QuerySyntaxError, match="The offset is"):
        table.to_dicts(offset=limit)
    assert rows(table & dj.Top(0)) == []


def test_rows_are_sorted_by_expressions(table: Any) -> None:
    def ordered(order: Any, query: Any = table) -> list[int]:
        found: list[int] = query.to_arrays("a", order_by=order).tolist()
        return found

    assert ordered("abs(a - 2), a DESC") == [2, 3, 1, 0]
    assert ordered(["if(a in (1, 2), 0, 1) desc", "KEY DESC"]) == [3, 0, 2, 1]
    assert ordered("concat(a, ',') DESC") == [3, 2, 1, 0]
    assert ordered("mod(a, 2) asc, a") == [0, 2, 1, 3]
    assert ordered("-a", dj.U("a") & table) == [3, 2, 1, 0]
    assert ordered("-m, a", dj.U("a").aggr(table, m="max(n)"))[-2:] == [1, 3]
    assert rows(table & dj.Top(1, "-a")) == [3]
    for wrong in ("count(a)", "'a'", "a b", "sleep(1)", "a; drop table x", "(select 1)", "a,"):
        with pytest.raises(QuerySyntaxError):
            ordered(wrong)
    with pytest.raises(UnknownAttributeError, match="Did you mean 'word'"):
        ordered("upper(wort)")


def test_a_repeated_attribute_of_the_key_is_part_of_the_key(table: Any) -> None:
    query = table.proj(again="(a)", also="(n)")
    assert query.primary_key == ["a", "again", "word"]
    assert query.heading["also"].in_key is False
    assert (query & {"again": 1}).fetch1("also") == -1


def test_a_list_of_thousands_of_keys_means_what_a_short_one_does(schema: dj.Schema) -> None:
    @schema
    class Session(dj.Manual):
        definition = "animal : int32\nday : int32\n---\nrate = null : int32\nword : varchar(5)"

    @schema
    class Trial(dj.Manual):
        definition = "-> Session\ntrial : int16"

    sessions: list[dict[str, Any]] = [
        {"animal": i // 40, "day": i % 40, "rate": i % 60 or None, "word": f"w{i % 5}"} for i in range(1600)
    ]
    Session.insert(sessions)
    Trial.insert({"animal": i // 40, "day": i % 40, "trial": i % 3} for i in range(1500))
    key = ("animal", "day")

    def kept(names: tuple[str, ...], keys: Any) -> set[tuple[int, int]]:
        wanted = {tuple(int(key[name]) for name in names) for key in keys}
        return {(s["animal"], s["day"]) for s in sessions if tuple(s[name] for name in names) in wanted}

    def found(query: Any) -> list[tuple[int, int]]:
        return sorted(tuple(row[name] for name in key) for row in query.to_dicts())

    pairs = [{"animal": i // 40, "day": i % 40} for i in range(2, 3000, 2)]
    for names, keys in (
        (key, pairs),
        (key, [*pairs, *pairs[:40]]),  # one key twice is one row
        (key, [*pairs, *({n: str(v) for n, v in pair.items()} for pair in pairs[:40])]),
        (("animal",), [{"animal": i} for i in range(20, 1500)]),
        (
            ("animal",),
            [{"animal": 2**40 + i} for i in range(1500)],
        ),  # more than the attribute can hold, all of them
        (("animal",), [{"animal": 2 ** (i // 100) + i} for i in range(2000, 6000)]),  # and some of them
        (("rate",), [{"rate": i} for i in range(7, 2000)]),  # which empty values never equal
        (("rate", "day"), [{"rate": i % 60, "day": i % 37} for i in range(2000)]),
    ):
        expected = kept(names, keys)
        assert found(Session & keys) == sorted(expected)
        assert len(Session & keys) == len(expected)
        assert found(Session - keys) == sorted(kept((), [{}]) - expected)
        assert set(found(Trial & (Session & keys))) == {k for k in expected if k < (37, 20)}
        assert found(Session.aggr(Trial, "rate", n="count(*)") & keys) == sorted(expected)
        assert found(Trial.join(Session & keys, left=True)) == found(Trial)
        assert found((Session & keys) & dj.Top(3, "animal DESC, day DESC")) == sorted(expected)[-3:]
        words = (dj.U("word") & (Session & keys)).to_arrays("word")
        assert set(words) == {f"w{(a * 40 + d) % 5}" for a, d in expected}
    (Trial & pairs).delete(prompt=False)
    assert found(Trial) == [k for k in sorted(kept((), [{}]) - kept(key, pairs)) if k < (37, 20)]
