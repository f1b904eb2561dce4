"""Places inside JSON attributes: in dicts and in projections, with and without a type, the same on every server."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import dj_panel as dj

DOCUMENT = {
    "k": 1, "f": 1.0, "g": 2, "yes": True, "no": False, "gap": None, "digit": "2", "word": "it's", "day": "2020-01-01",
    "time": "2020-01-01T10:00:05.25", "x": -1.5, "small": 1e-3, "big": 10**20, "deep": {"e": [1, "1", None, True, 1.5]},
    "two words": 5, "null": "null", "true": "true",
}  # fmt: skip


@pytest.fixture
def table(schema: dj.Schema) -> Any:
    @schema
    class Table(dj.Manual):
        definition = """
        a : int32
        ---
        j = null : json
        n = 7 : int32
        """

    Table.insert([{"a": 1, "j": DOCUMENT}, {"a": 2, "j": None}, {"a": 3, "j": {"k": 2, "yes": 1, "f": 0}}])
    return Table


CONDITIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({"j.f": 1}, [1]), ({"j.f": 1.0}, [1]), ({"j.g": 2.0}, [1]), ({"j.g": "2"}, [1]), ({"j.digit": 2}, [1]),
    ({"j.f:decimal(5,2)": 1}, [1]), ({"j.g:float": 2.0}, [1]), ({"j.k": np.int64(1)}, [1]), ({"j.k:unsigned": 1}, [1]),
    ({"j.k:signed": "1"}, [1]), ({"j.k:char(3)": "1"}, [1]), ({"j.k:int32": 2}, [3]),
    ({"j.yes": True}, [1]), ({"j.yes": 1}, [3]), ({"j.yes:bool": True}, [1, 3]), ({"j.no": False}, [1]),
    ({"j.f": False}, []), ({"j.true": True}, []), ({"j.true": "true"}, [1]),
    ({"j.gap": None}, [1, 2, 3]), ({"j.null": "null"}, [1]), ({"j.null": None}, [2, 3]),
    ({"j.x": Decimal("-1.50")}, [1]), ({"j.small": 0.001}, [1]), ({"j.big": 10**20}, [1]), ({"j.g": float("nan")}, []),
    ({"j.word": "it's"}, [1]), ({"j.deep.e[0]": 1}, [1]), ({"j.deep.e[1]": "1"}, [1]), ({"j.deep.e[3]": True}, [1]),
    ({"j.deep": None}, [1, 2, 3]), ({'j."two words"': 5}, [1]), ({"j.two words": 5}, [1]),
    ({"j.day": dt.date(2020, 1, 1)}, [1]), ({"j.day:date": "2020-01-01"}, [1]),
    ({"j.time:datetime(2)": "2020-01-01 10:00:05.25"}, [1]),
]  # fmt: skip


def test_a_place_in_json_equals_a_value_as_numbers_texts_and_booleans_do(table: Any) -> None:
    found = [(table & condition).to_arrays("a", order_by="a").tolist() for condition, _ in CONDITIONS]
    wrong = [(c, f) for (c, rows), f in zip(CONDITIONS, found, strict=True) if f != rows]
    assert wrong == []
    others = [(table - condition).to_arrays("a", order_by="a").tolist() for condition, _ in CONDITIONS]
    assert others == [[a for a in (1, 2, 3) if a not in rows] for _, rows in CONDITIONS]
    assert len(table & [{"j.k": 1}, {"j.k": 2}]) == 2


PROJECTIONS: list[tuple[str, Any, Any]] = [
    ("j.k", "1", "2"), ("j.k:unsigned", 1, 2), ("j.k:float", 1.0, 2.0), ("j.f", "1.0", "0"), ("j.x:signed", -2, None),
    ("j.x:unsigned", None, None), ("j.x:decimal(5,2)", Decimal("-1.50"), None), ("j.yes", "true", "1"),
    ("j.yes:signed", 1, 1), ("j.yes:bool", 1, 1), ("j.gap", None, None), ("j.deep", None, None),
    ("j.deep.e[0]:signed", 1, None), ("j.day:date", dt.date(2020, 1, 1), None), ("j.word", "it's", None),
    ("j.time:datetime", dt.datetime(2020, 1, 1, 10, 0, 5), None), ("j.word:signed", None, None),
    ("j.time:datetime(3)", dt.datetime(2020, 1, 1, 10, 0, 5, 250000), None), ("j.word:char(2)", "it", None),
]  # fmt: skip


def test_a_place_in_json_is_projected_with_its_type(table: Any) -> None:
    found = {
        place: [row["q"] for row in table.proj(q=place).to_dicts(order_by="a")] for place, _, _ in PROJECTIONS
    }
    assert found == {place: [first, None, third] for place, first, third in PROJECTIONS}
    assert {place: type(values[0]) for place, values in found.items()} == {
        place: type(first) for place, first, _ in PROJECTIONS
    }
    heading = table.proj(q="j.k:unsigned", r="j.x:decimal(5,2)", s="j.day:date").heading
    assert [heading[n].column_type.kind for n in "qrs"] == ["integer", "decimal", "date"]


def test_a_projected_place_is_an_attribute_like_others(table: Any) -> None:
    query = table.proj(q="j.k:unsigned")
    assert (query & "q = 2").to_arrays("a").tolist() == [3]
    assert (query & {"q": 2}).to_arrays("a").tolist() == [3]
    assert query.proj(r="q + 1").to_arrays("r", order_by="a").tolist() == [2, None, 3]
    counts = dj.U("q").aggr(query, n="count(*)").to_dicts(order_by="q")
    assert counts == [{"q": None, "n": 1}, {"q": 1, "n": 1}, {"q": 2, "n": 1}]


def test_rows_are_deleted_by_a_place_in_json(table: Any) -> None:
    """A strict server refuses to delete where text has to become a number; ours asks only for what is one."""
    assert (table & {"j.word:signed": None} & {"j.word": 5}).delete_quick(get_count=True) == 0
    assert (table & {"j.k:signed": 1} & {"j.k": 1}).delete_quick(get_count=True) == 1


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"j.deep": {"e": 1}}, r"'j.deep' is compared with a dict.*'j.deep.name': 1"),
        ({"j.k": [1, 2]}, "'j.k' is compared with a list"),
        ({"j.k": b"1"}, "'j.k' is compared with a bytes"),
        ({"j.k:foo": 1}, "'foo' is no type for a place inside JSON. Use signed, unsigned"),
        ({"j.k:": 1}, "'' is no type"),
        ({"j.k:decimal(2,5)": 1}, "digits after the point"),
        ({"n.x": 1}, "'n.x' names a place inside 'n', whose type is int32 and not json"),
        ({"j.": 1}, "'j.' is no place inside 'j'. Write j.name"),
        ({"j..v": 1}, "is no place inside 'j'"),
    ],
)
def test_what_cannot_be_compared_with_a_place_is_refused(
    table: Any, condition: dict[str, Any], message: str
) -> None:
    with pytest.raises(dj.errors.QuerySyntaxError, match=message):
        table & condition


def test_what_is_no_place_cannot_be_projected(table: Any) -> None:
    with pytest.raises(
        dj.errors.QuerySyntaxError, match=r"'n.x' names a place inside 'n', whose type is int32"
    ):
        table.proj(q="n.x")
    with pytest.raises(dj.errors.QuerySyntaxError, match="'foo' is no type for a place inside JSON"):
        table.proj(q="j.k:foo")
