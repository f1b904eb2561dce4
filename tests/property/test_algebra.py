"""Random queries of every operator, over random small schemas, have the answer that a model in plain Python gives.

More of them: ``PROPERTY_EXAMPLES=200 pytest tests/property/test_algebra.py``, which is the number of schemas.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dj_panel as dj
from dj_panel.core.settings import Settings
from tests import algebra_lab
from tests.algebra_model import Recipe, RefusedError, Rows, build, evaluate
from tests.algebra_queries import Queries, queries_within
from tests.algebra_schemas import Dice, Drawn, declare_small, small_schema
from tests.servers import MariaDBServer

N_SCHEMAS = int(os.environ.get("PROPERTY_EXAMPLES", "20"))
N_DRAWN, N_ROLLED = 2, 25
"""Queries of each schema: those that Hypothesis draws and would make smaller, and those rolled with dice."""
DEPTH = 4


def as_bag(rows: list[dict[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(tuple(sorted(row.items())) for row in rows)


_COUNTED: Recipe = ("aggr", ("table", "subject"), ("proj", ("table", "subject"), ("species",), {}), (),
            {"n": ("sum", "weight")}, True)  # fmt: skip
_GROUPED: Recipe = ("proj", ("aggr", ("table", "session"), ("proj", ("table", "session"), ("partner",), {}), ("score",),
            {"m": ("rows", "session"), "total": ("min", "session")}, True), ("score", "m", "total"), {})  # fmt: skip
_JOINED: Recipe = ("join", _COUNTED, ("top", ("table", "subject"), (("weight", True),), 2, 1))
# MariaDB 10.11 with split_materialized=on gives the row of the first part in the second too.
ONCE_WRONG: list[Recipe] = [
    (
        "union",
        ("proj", _JOINED, ("n", "tag"), {}),
        ("proj", ("subtract", _JOINED, ("true", False)), ("species", "weight"), {}),
    ),
    # It merged the right side into the left join, where it then found a value though there was no partner.
    (
        "aggr",
        ("restrict", ("universe", ("table", "subject"), ("species",), {}), ("query", _GROUPED)),
        ("proj", ("table", "species"), (), {"session": ("empty", "species")}),
        ("species",),
        {"m": ("min", "session"), "total": ("distinct", "species")},
        False,
    ),
    # EXISTS passed over the OFFSET of the query.
    (
        "top",
        (
            "universe",
            (
                "union",
                ("top", ("table", "trial"), (("word", False),), 0, 0),
                ("proj", ("subtract", ("table", "trial"), ("text", ("=", "word", "a"))), (), {}),
            ),
            ("word",),
            {"m": ("count", "session"), "n": ("count", "outcome")},
        ),
        (),
        5,
        2,
    ),
]


class Comparison:
    """Asks servers and the model the same queries."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.n_queries = 0

    def of(self, model: Mapping[str, Rows], servers: Mapping[str, Any]) -> Asked:
        """Return what asks the tables of one schema."""
        return Asked(self, model, servers)

    def __str__(self) -> str:
        return f"{self.n_queries} different queries, each on two servers: {dict(self.counts)}"


class Asked:
    """The tables of a schema, on each server and in the model."""

    def __init__(self, comparison: Comparison, model: Mapping[str, Rows], servers: Mapping[str, Any]) -> None:
        self._comparison, self._model, self._servers = comparison, model, servers
        self._seen: set[str] = set()

    def check(self, recipe: Recipe) -> None:
        """Compare a query, and every query that it is made of."""
        checked = []
        for part in queries_within(recipe):
            if repr(part) not in self._seen:
                for tables in self._servers.values():
                    self._check_one(part, tables, is_whole=part is recipe)
                checked.append(repr(part))
        # Only what passed is passed over later, or a failure could not be repeated and made smaller.
        self._seen.update(checked)
        self._comparison.n_queries += len(checked)

    def _check_one(self, recipe: Recipe, tables: Any, *, is_whole: bool) -> None:
        counts = self._comparison.counts
        try:
            expected = evaluate(recipe, self._model)
        except RefusedError:
            expected = None
        try:
            asked = build(recipe, tables, dj)
            found = asked.to_dicts()
        except (dj.errors.LineageError, dj.errors.QuerySyntaxError):
            found = None
        if found is None or expected is None:
            assert found is expected, recipe
            counts["refused by both"] += 1
            return
        counts["empty" if not found else "with rows"] += 1
        counts[f"of {recipe[0]}"] += 1
        said = f"{recipe}\n{asked.make_sql()}"
        assert as_bag(found) == as_bag(expected.rows), said
        assert asked.primary_key == expected.key, said
        assert set(asked.heading.names) == set(expected.names), said
        if is_whole:
            assert len(asked) == len(expected.rows), said
            assert bool(asked) == bool(expected.rows), said


@pytest.fixture
def connections(
    tmp_path: Path, mariadb: MariaDBServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, dj.Connection]]:
    """Give a connection to an embedded database and one to a server."""
    monkeypatch.chdir(tmp_path)
    embedded, server = Settings(safemode=False), Settings(safemode=False)
    for key, value in (("backend", "sqlite"), ("name", str(tmp_path / "pipeline.db"))):
        embedded[f"database.{key}"] = value
    for key in ("host", "port", "user", "password"):
        server[f"database.{key}"] = getattr(mariadb, key)
    server["database.backend"] = "mysql"
    connections = {"sqlite": dj.Connection(embedded), "mariadb": dj.Connection(server)}
    yield connections
    for connection in connections.values():
        connection.close()


@pytest.fixture
def prefix(mariadb: MariaDBServer) -> Iterator[str]:
    prefix = f"t{secrets.token_hex(3)}_"
    yield prefix
    mariadb.drop_schemas(prefix)


def test_queries_that_once_were_wrong_have_the_answer_of_the_model(
    connections: dict[str, dj.Connection], prefix: str
) -> None:
    servers = {
        n: algebra_lab.declare(dj.Schema(prefix + "lab", connection=c)) for n, c in connections.items()
    }
    asked = Comparison().of(algebra_lab.model(), servers)
    for recipe in ONCE_WRONG:
        asked.check(recipe)


def test_random_queries_of_random_schemas_have_the_answer_of_the_model(
    connections: dict[str, dj.Connection], prefix: str
) -> None:
    """Every query, and every query that it is made of, is asked of both servers and of the model."""
    comparison = Comparison()
    n_schemas = Counter[str]()

    @settings(
        max_examples=N_SCHEMAS,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        database=None,
        # of each query the parts are checked first, so a failure is small already; and each try makes tables
        phases=[Phase.generate],
    )
    @given(st.data(), st.integers(0, 2**32))
    def check(data: st.DataObject, seed: int) -> None:
        drawn = Drawn(data.draw)
        tables = small_schema(drawn)
        model = {name: table.rows for name, table in tables.items()}
        schemas = [dj.Schema(prefix + secrets.token_hex(4), connection=c) for c in connections.values()]
        try:
            servers = dict(
                zip(connections, [declare_small(schema, tables) for schema in schemas], strict=True)
            )
            asked = comparison.of(model, servers)
            names = sorted({name for rows in model.values() for name in rows.types} | {"x", "n"})
            for choices, n_queries in ((drawn, N_DRAWN), (Dice(seed), N_ROLLED)):
                queries = Queries(choices, model, names)
                for _ in range(n_queries):
                    asked.check(queries.query(DEPTH))
        except Exception as error:
            for table in tables.values():
                error.add_note(f"{table.name}:\n{table.definition}\n{table.rows.rows}")
            raise
        finally:
            for schema in schemas:
                schema.drop(prompt=False)
        n_schemas[f"{len(tables)} tables"] += 1

    check()
    print(f"{n_schemas.total()} schemas, {comparison}")
    assert comparison.n_queries > 100 * N_SCHEMAS
