"""What is computed from decimals and choices is compared, sorted and fetched alike on every server."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import dj_panel as dj

ROWS = [(1, "b", "9.75", "c d", 1), (2, "a", "10.00", "a", 1), (3, "c d", None, "b", 2)]


@pytest.fixture
def thing(schema: dj.Schema) -> Any:
    @schema
    class Thing(dj.Manual):
        definition = """
        id : int32
        ---
        side : enum('b', 'a', 'c d')
        price = null : decimal(5, 2)
        place : enum('b', 'a', 'c d')
        box : int8
        index (place)
        """

    Thing.insert(ROWS)
    return Thing


def test_the_least_and_greatest_of_decimals_are_compared_as_numbers(thing: Any) -> None:
    most = dj.U().aggr(thing, n="max(price)")
    assert most.fetch1("n") == Decimal("10.00")
    for text, holds in [("n > 9", True), ("n > 10", False), ("n = 10", True), ("n between 9.9 and 10", True),
                        ("n < 9.75", False), ("n in (1, 10.00)", True), ("n >= '10'", True)]:  # fmt: skip
        assert bool(most & text) is holds, text
    assert most & {"n": Decimal(10)}
    assert not most & {"n": Decimal("9.75")}
    least = dj.U("box").aggr(thing, n="min(price)", m="max(price)")
    assert (least & "n < m").to_arrays("box").tolist() == [1]


def test_what_is_chosen_among_decimals_and_numbers_is_a_number(thing: Any) -> None:
    query = thing.proj(n="coalesce(price, 2)", m="if(price > 9.9, price, 0)", g="greatest(price, 9.9)")
    assert query.to_arrays("n", order_by="id").astype(float).tolist() == [9.75, 10, 2]
    assert (query & "n > 5").to_arrays("id", order_by="id").tolist() == [1, 2]
    assert (query & "m = 10").to_arrays("id").tolist() == [2]
    assert (query & "g > 9.95").to_arrays("id").tolist() == [2]


def test_a_computed_number_is_compared_with_a_decimal(thing: Any) -> None:
    total = dj.U("box").aggr(thing, n="sum(price)")
    assert (total & {"n": Decimal("19.75")}).fetch1("box") == 1
    assert (total & [{"n": Decimal("19.75")}, {"n": None}]).to_arrays("box", order_by="box").tolist() == [
        1,
        2,
    ]


def test_a_sum_of_decimals_is_a_decimal_and_has_no_digits_of_its_own(thing: Any) -> None:
    thing.delete()
    thing.insert([(i, "a", "0.10", "a", 1) for i in range(3)])
    thing.insert([(i, "a", "900.10", "a", 2) for i in range(3, 5)])
    total = dj.U("box").aggr(thing, n="sum(price)")
    assert total.to_arrays("n", order_by="box").tolist() == [Decimal("0.30"), Decimal("1800.20")]
    assert (total & {"n": Decimal("0.3")}).to_arrays("box").tolist() == [1]
    assert (total & "n = 0.3 or n > 1800").to_arrays("box", order_by="n DESC").tolist() == [2, 1]
    assert total.to_arrow()["n"].to_pylist() == total.to_arrays("n").tolist()
    assert dj.U().aggr(thing & "id = 9", n="sum(price)").fetch1("n") is None


def test_the_least_of_some_choices_is_the_first_word_with_an_index_or_without(thing: Any) -> None:
    assert dj.U().aggr(thing, x="min(side)", y="max(side)").fetch1() == {"x": "a", "y": "c d"}
    assert dj.U().aggr(thing, x="min(place)", y="max(place)").fetch1() == {"x": "a", "y": "c d"}
    least = dj.U("box").aggr(thing, x="min(place)")
    assert least.to_arrays("x", order_by="x").tolist() == ["a", "b"]


def test_choices_of_a_union_are_sorted_by_their_position_too(thing: Any) -> None:
    half = dj.U("side") & (thing & "box = 1")
    both = half + (dj.U("side") & (thing & "box = 2"))
    assert both.to_arrays("side", order_by="side").tolist() == ["b", "a", "c d"]
    assert both.to_arrays("side", order_by="side DESC", limit=2).tolist() == ["c d", "a"]
    assert (both & dj.Top(1, "side")).fetch1("side") == "b"


def test_a_union_of_values_of_different_types_is_refused(thing: Any, schema: dj.Schema) -> None:
    days = schema(type("Day", (dj.Manual,), {"definition": "id : date"}))
    flags = schema(type("Flag", (dj.Manual,), {"definition": "id : bool"}))
    with pytest.raises(dj.errors.QuerySyntaxError, match=r"different types for 'id': int32 and date.*proj"):
        (thing.proj() + days).to_dicts()
    assert len(thing.proj() + flags) == 3
