"""Conditions made by programs: comparisons and searches whose values are bound, limits of time, streams."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core.algebra import AllOf, AnyOf, Comparison, Condition, Negation, Ordering, TextMatch
from dj_panel.core.errors import QuerySyntaxError, QueryTimeoutError, UnknownAttributeError
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab

IDENTITY = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


@pytest.fixture
def things(schema: dj.Schema) -> Any:
    @schema
    class Thing(dj.Manual):
        definition = """
        id : int32
        ---
        word = null : varchar(20)
        weight = null : decimal(6, 2)
        day = null : date
        identity = null : uuid
        size = 'mid' : enum('small', 'mid', 'large')
        document = null : json
        """

    words = ["Ärger", "ärmel", "50%", "a_b", "O'Neil \\ x", None]
    for number, word in enumerate(words):
        Thing.insert1(
            {
                "id": number,
                "word": word,
                "weight": None if word is None else f"{number * 10.5:.2f}",
                "day": None if word is None else dt.date(2026, 1, number + 9),
                "identity": IDENTITY if number == 1 else None,
                "size": ("small", "mid", "large")[number % 3],
                "document": {"Key": number} if number == 2 else None,
            }
        )
    return Thing()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (TextMatch("word", "ÄR"), [0, 1]),
        (TextMatch("word", "är", at_start=True), [0, 1]),
        (TextMatch("word", "r", at_start=True), []),
        (TextMatch("word", "ÂR"), []),
        (TextMatch("word", "*ä"), []),
        (TextMatch("word", "0%"), [2]),
        (TextMatch("word", "_"), [3]),
        (TextMatch("word", "*"), []),
        (TextMatch("word", "[r]"), []),
        (TextMatch("word", "o'n"), [4]),
        (TextMatch("word", "\\"), [4]),
        (Negation(TextMatch("word", "r")), [2, 3, 4, 5]),
        (TextMatch("identity", "12345678-9A"), [1]),
        (TextMatch("document", '"key": 2'), [2]),
        (TextMatch("size", "LARGE"), [2, 5]),
        (Ordering("weight", ">", "9.5"), [1, 2, 3, 4]),
        (Ordering("weight", "<=", "21.00"), [0, 1, 2]),
        (Ordering("weight", "<", 1e9), []),
        (Ordering("day", ">=", dt.date(2026, 1, 12)), [3, 4]),
        (Ordering("day", "<", "2026-01-10"), [0]),
        (Ordering("size", ">", "small"), [1, 2, 4, 5]),
        (Ordering("size", "<=", "mid"), [0, 1, 3, 4]),
        (Ordering("size", "<", "small"), []),
        (AllOf((Ordering("id", ">", 1), Negation(Comparison("id", 3)))), [2, 4, 5]),
        (AnyOf((Comparison("id", 1), TextMatch("word", "50"))), [1, 2]),
    ],
)
def test_typed_conditions_mean_the_same_on_every_server(
    things: Any, condition: Condition, expected: list[int]
) -> None:
    assert [key["id"] for key in (things & condition).keys(order_by="KEY")] == expected


@pytest.mark.parametrize(
    "condition",
    [
        Ordering("nothing", ">", 1),
        TextMatch("nothing", "x"),
        Negation(AllOf((Comparison("id", 1), AnyOf((Comparison("nothing", 1),))))),
    ],
)
def test_a_typed_condition_may_only_name_attributes_that_there_are(things: Any, condition: Condition) -> None:
    with pytest.raises(UnknownAttributeError, match="nothing"):
        things & condition


def test_only_comparisons_pass_as_operators(things: Any) -> None:
    with pytest.raises(QuerySyntaxError, match="is not a comparison"):
        (things & Ordering("id", "> 0 OR 1 =", 1)).to_dicts()  # type: ignore[arg-type]


def test_what_is_sorted_by_twice_is_sorted_as_it_was_named_first(things: Any) -> None:
    assert [key["id"] for key in things.keys(order_by=["id DESC", "KEY"])] == [5, 4, 3, 2, 1, 0]


def test_a_stream_gives_what_fetching_gives_and_can_be_left(things: Any) -> None:
    assert list(things.stream(order_by="KEY")) == things.to_dicts(order_by="KEY")
    rows = things.stream(attributes="word", order_by="id DESC")
    assert next(rows) == {"word": None}
    rows.close()
    assert len(things) == 6


def test_a_time_limit_stops_a_query_and_is_lifted_afterwards(things: Any) -> None:
    many = things.proj(a0="id")
    for number in range(1, 20):
        many = many * things.proj(**{f"a{number}": "id"})
    with pytest.raises(QueryTimeoutError, match="took too long"), things.connection.time_limit(0.2):
        many.count()
    assert len(things) == 6


def test_a_dict_may_name_what_related_tables_have_and_nothing_else(
    backend: Backend, connection: dj.Connection
) -> None:
    lab = fill_lab(declare_lab(dj.Schema(backend.prefix + "lab", connection=connection)))
    below = dj.Schema(backend.prefix + "below", connection=connection)

    @below
    class Method(dj.Lookup):
        definition = "method : varchar(8)\n---\nid : int32\ncolour : int32"

    @below
    class Fit(dj.Manual):
        definition = "-> lab.Session\n-> Method\n---\nscore : float64"

    key = {"subject": "M1", "session": 2}
    # another program, which knows a schema at first and not those that depend on it
    other = backend.connect()
    for place in (connection, other):
        session, trial, subject, fit = (
            dj.FreeTable(place, name.full_table_name)
            for name in (lab.Session, lab.Session.Trial, lab.Subject, Fit)
        )
        assert len(session & {**key, "method": "fast", "score": 1.0}) == 1  # a table below
        assert len(subject & {**key, "method": "fast"}) == 1
        assert len(fit & {**key, "species": "mouse", "colour": 1}) == 0  # tables above
        assert len(trial & {**key, "method": "fast"}) == 2  # the key of a table that shares this key
        assert len(trial & [{**key, "method": "fast"}, {**key, "method": "slow"}]) == 2
        assert len(session.proj(partner_session="session") & {**key, "partner_session": 3}) == 1
        for query, wrong in (
            (subject, {"subject": "M1", "id": 3}),  # secondary, of a table that a table below refers to
            (trial, {"method": "fast"}),  # without the shared key
            (trial, {**key, "score": 1.0}),  # secondary, of a table that is neither above nor below
            (session.proj(), {"session_date": "2026-01-01"}),  # projected away
            (session.proj(day="session_date"), {"session_date": "2026-01-01"}),
        ):
            with pytest.raises(UnknownAttributeError):
                query & wrong
            with pytest.raises(UnknownAttributeError):
                query - wrong
            with pytest.raises(UnknownAttributeError):
                query & [wrong, wrong]
    other.close()
