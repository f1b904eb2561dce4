"""Random queries of every operator have the answer that a model in plain Python gives.

Thousands more of them: ``PROPERTY_EXAMPLES=20000 pytest tests/property/test_algebra.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

import dj_panel as dj
from tests.algebra_model import Recipe, RefusedError, Rows, build, evaluate

N_EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "300"))

WORDS = ["a", "b", "B", "", "é", "it's", "x%"]
SPECIES = [("mouse", 1), ("rat", None), ("fly", 2)]
SUBJECTS = [
    ("M1", "mouse", 3, "a"),
    ("M2", "mouse", None, None),
    ("M3", None, 3, "B"),
    ("M4", "rat", -1, "it's"),
]
SESSIONS = [
    ("M1", 1, 5, "M2"),
    ("M1", 2, None, None),
    ("M2", 1, 5, "M2"),
    ("M3", 1, 0, "M4"),
    ("M3", 3, 7, None),
]
TRIALS = [
    ("M1", 1, 1, 1, "a"), ("M1", 1, 2, None, None), ("M1", 2, 1, 5, ""), ("M2", 1, 1, 5, "a"),
    ("M3", 1, 1, None, "é"), ("M3", 1, 2, 2, "x%"), ("M3", 3, 9, 1, "b"),
]  # fmt: skip


def declare(schema: dj.Schema) -> dict[str, Any]:
    """Declare and fill the tables."""

    @schema
    class Species(dj.Manual):
        definition = """
        species : varchar(8)
        ---
        legs = null : int32
        """

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : varchar(8)
        ---
        -> [nullable] Species
        weight = null : int32
        tag = null : varchar(8)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        ---
        score = null : int32
        -> [nullable] Subject.proj(partner="subject")
        """

    @schema
    class Trial(dj.Manual):
        definition = """
        -> Session
        trial : int32
        ---
        outcome = null : int32
        word = null : varchar(8)
        """

    for table, rows in ((Species, SPECIES), (Subject, SUBJECTS), (Session, SESSIONS), (Trial, TRIALS)):
        table.insert(rows)
    return {"species": Species, "subject": Subject, "session": Session, "trial": Trial}


def model() -> dict[str, Rows]:
    """Return the same tables in memory."""

    def rows(key: list[str], types: dict[str, str], lineage: dict[str, str], values: list[Any]) -> Rows:
        full = {n: lineage.get(n) for n in types}
        return Rows(key, types, full, [dict(zip(types, row, strict=True)) for row in values])

    subject = {"subject": "subject"}
    session = {**subject, "session": "session"}
    return {
        "species": rows(["species"], {"species": "str", "legs": "int"}, {"species": "species"}, SPECIES),
        "subject": rows(
            ["subject"],
            {"subject": "str", "species": "str", "weight": "int", "tag": "str"},
            {**subject, "species": "species"},
            SUBJECTS,
        ),
        "session": rows(
            ["subject", "session"],
            {"subject": "str", "session": "int", "score": "int", "partner": "str"},
            {**session, "partner": "subject"},
            SESSIONS,
        ),
        "trial": rows(
            ["subject", "session", "trial"],
            {"subject": "str", "session": "int", "trial": "int", "outcome": "int", "word": "str"},
            {**session, "trial": "trial"},
            TRIALS,
        ),
    }


TABLES = model()


def answer(recipe: Recipe) -> Rows | None:
    try:
        return evaluate(recipe, TABLES)
    except RefusedError:
        return None


def value_of(rows: Rows, name: str) -> st.SearchStrategy[Any]:
    seen = [row[name] for row in rows.rows if row[name] is not None]
    other = (
        st.integers(-2, 10) if rows.types[name] == "int" else st.sampled_from([*WORDS, "M1", "mouse", "1"])
    )
    often = st.sampled_from(seen) if seen else other
    return st.one_of(often, often, often, other)


@st.composite
def texts(draw: st.DrawFn, rows: Rows, depth: int = 2) -> Recipe:
    kind = draw(
        st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "null", "in", "between", "and", "or", "not"])
    )
    if kind in ("and", "or") and depth:
        return (kind, draw(texts(rows, depth - 1)), draw(texts(rows, depth - 1)))
    if kind == "not" and depth:
        return (kind, draw(texts(rows, depth - 1)))
    name = draw(st.sampled_from(rows.names))
    if kind == "null":
        return (kind, name)
    values = value_of(rows, name)
    if kind == "in":
        return (kind, name, draw(st.lists(values, min_size=1, max_size=3)))
    if kind == "between":
        return (kind, name, draw(values), draw(values))
    return ("=" if kind in ("and", "or", "not") else kind, name, draw(values))


def fitting(draw: st.DrawFn, rows: Rows, other: Recipe) -> Recipe:
    """Return a query without the attributes that would keep it from being matched with rows; mostly."""
    theirs = answer(other)
    if theirs is None or not draw(st.integers(0, 9)):
        return other
    kept = [n for n in theirs.names if n not in theirs.key and n not in rows.types]
    kept += [
        n
        for n in theirs.names
        if n not in theirs.key and rows.lineage.get(n) == theirs.lineage[n] is not None
    ]
    return ("proj", other, tuple(kept), {})


@st.composite
def conditions(draw: st.DrawFn, rows: Rows, depth: int) -> Recipe:
    kind = draw(
        st.sampled_from(["dict", "dict", "text", "text", "query", "query", "not", "any", "all", "true"])
    )
    if kind == "query":
        return ("query", fitting(draw, rows, draw(recipes(depth))))
    if kind == "not" and depth:
        return ("not", draw(conditions(rows, depth - 1)))
    if kind in ("any", "all") and depth:
        return (kind, draw(st.lists(conditions(rows, depth - 1), max_size=3)))
    if kind == "true":
        return ("true", draw(st.booleans()))
    if kind == "text":
        return ("text", draw(texts(rows)))
    names = draw(st.lists(st.sampled_from(rows.names), max_size=2, unique=True))
    values = {
        n: draw(st.one_of(value_of(rows, n), st.none(), st.lists(value_of(rows, n), max_size=3)))
        for n in names
    }
    return ("dict", values)


def aggregates(draw: st.DrawFn, rows: Rows) -> dict[str, Recipe]:
    numbers = [n for n in rows.names if rows.types[n] == "int"]
    named: dict[str, Recipe] = {}
    for new in draw(st.lists(st.sampled_from(["n", "m", "total"]), min_size=1, max_size=2, unique=True)):
        kind = draw(st.sampled_from(["rows", "count", "distinct", "sum", "min", "max"]))
        if kind in ("sum", "min", "max") and not numbers:
            kind = "rows"
        name = draw(st.sampled_from(numbers if kind in ("sum", "min", "max") else rows.names))
        named[new] = (kind, name)
    return named


@st.composite
def recipes(draw: st.DrawFn, depth: int = 3) -> Recipe:
    if depth <= 0:
        return ("table", draw(st.sampled_from(list(TABLES))))
    source = draw(recipes(depth - 1))
    rows = answer(source)
    if rows is None or not rows.names:
        return source
    recipe = draw(st.sampled_from(OPERATORS))(draw, source, rows, depth)
    # Some of what the rules forbid is kept, to see it refused.
    return recipe if answer(recipe) is not None or not draw(st.integers(0, 5)) else source


def some_names(draw: st.DrawFn, rows: Rows) -> tuple[str, ...]:
    return tuple(draw(st.lists(st.sampled_from(rows.names), max_size=3, unique=True)))


def restricted(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    operator = draw(st.sampled_from(["restrict", "restrict", "subtract"]))
    return (operator, source, draw(conditions(rows, depth - 1)))


def projected(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    named: dict[str, Recipe] = {}
    news = st.sampled_from(["x", "y", "subject", "session", "score", "partner"])
    for new in draw(st.lists(news, max_size=2, unique=True)):
        name = draw(st.sampled_from(rows.names))
        kind = draw(
            st.sampled_from(["rename", "empty", *(["plus", "coalesce"] * (rows.types[name] == "int"))])
        )
        named[new] = (kind, name, draw(st.integers(-1, 3))) if kind in ("plus", "coalesce") else (kind, name)
    return ("proj", source, some_names(draw, rows), named)


def limited(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    pairs = st.tuples(st.sampled_from(rows.names), st.booleans())
    order = draw(st.lists(pairs, max_size=2, unique_by=lambda pair: pair[0]))
    return ("top", source, tuple(order), draw(st.integers(0, 5)), draw(st.integers(0, 2)))


def universal(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    names = some_names(draw, rows)
    return ("universe", source, names, aggregates(draw, rows) if draw(st.booleans()) or not names else {})


def paired(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    other = fitting(draw, rows, draw(recipes(depth - 1)))
    return (draw(st.sampled_from(["join", "left"])), source, other)


def aggregated(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    other = fitting(draw, rows, draw(recipes(depth - 1)))
    theirs = answer(other)
    both = Rows([], {**(theirs.types if theirs else {}), **rows.types}, {})
    return ("aggr", source, other, some_names(draw, rows), aggregates(draw, both), draw(st.booleans()))


def united(draw: st.DrawFn, source: Recipe, rows: Rows, depth: int) -> Recipe:
    other = draw(recipes(depth - 1))
    if draw(st.booleans()):
        # Two parts of one query, with different attributes.
        half = restricted(draw, source, rows, depth)
        apart = [n for n in rows.names if n not in rows.key]
        first = tuple(n for n in apart if draw(st.booleans()))
        return (
            "union",
            ("proj", source, first, {}),
            ("proj", half, tuple(n for n in apart if n not in first), {}),
        )
    return ("union", source, fitting(draw, rows, other))


OPERATORS: list[Callable[[st.DrawFn, Recipe, Rows, int], Recipe]] = [
    restricted, restricted, projected, limited, universal, paired, paired, aggregated, united,
]  # fmt: skip


def plain(value: Any) -> Any:
    return int(value) if isinstance(value, (Decimal, bool)) else value


def as_bag(rows: list[dict[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(tuple(sorted((n, plain(v)) for n, v in row.items())) for row in rows)


def test_random_queries_have_the_answer_of_the_model(schema: dj.Schema) -> None:
    tables = declare(schema)

    @settings(max_examples=N_EXAMPLES, suppress_health_check=list(HealthCheck), report_multiple_bugs=False)
    @given(recipes(4))
    def check(recipe: Recipe) -> None:
        expected = answer(recipe)
        try:
            query = build(recipe, tables, dj)
            found = query.to_dicts()
        except (dj.errors.LineageError, dj.errors.QuerySyntaxError) as error:
            note(str(error))
            found = None
        if found is None or expected is None:
            assert found is expected
            event("refused by both")
            return
        note(query.make_sql())
        event(f"{min(len(found), 3)} rows or more" if len(found) >= 3 else f"{len(found)} rows")
        assert as_bag(found) == as_bag(expected.rows)
        assert query.primary_key == expected.key
        assert set(query.heading.names) == set(expected.names)
        assert len(query) == len(expected.rows)
        assert bool(query) == bool(expected.rows)

    check()
