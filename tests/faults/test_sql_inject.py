"""sql-inject: whatever is passed as a value or as a name finds no row too many, and is never part of a statement."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.core.algebra import Ordering, TextMatch
from tests.entry_tables import pipeline_of

SECRET = "the secret of another table"

PAYLOADS = [
    "' OR 1=1 -- ", "' OR '1'='1", '" OR ""="', "x' OR 1=1)) -- ", "1 OR 1=1", "0) OR (1=1", "') OR ('a'='a",
    "'; DROP TABLE {secret}; -- ", "1; DELETE FROM {secret}", "' UNION SELECT secret, 1 FROM {secret} -- ",
    "-1 UNION ALL SELECT secret FROM {secret}", "(SELECT secret FROM {secret} LIMIT 1)",
    "a` OR 1=1 -- ", "a` FROM {secret} -- ", '" FROM {secret} -- ', "name`; DROP TABLE {secret}; -- ",
    "\\' OR 1=1 -- ", "\\\\' OR 1=1 #", "%' OR '%'='", "%s' OR 1=1 -- %s", "%(a)s' OR 1=1", "? OR 1=1", "{{0}}' OR 1=1",
    "' OR SLEEP(1) -- ", "' AND EXTRACTVALUE(1, VERSION()) -- ", "@@version", "LOAD_FILE('/etc/passwd')",
    "' INTO OUTFILE '/tmp/x' -- ", "/*!50000 OR 1=1 */", "' /**/OR/**/1=1#", "0x27204f5220313d31", "CHAR(39)",
    "\u02bc OR 1=1 -- ", "\uff07 OR 1=1 -- ", "\0' OR 1=1 -- ", "\n' OR 1=1 -- ", "\x1a' OR 1=1", "$.a' OR 1=1",
    "a.b') OR 1=1 -- ", "name, (SELECT secret FROM {secret})", "name DESC; DROP TABLE {secret}", "IF(1=1, id, name)",
]  # fmt: skip


class Lab:
    """A table that is asked, one that nobody may read, and the log of all statements."""

    def __init__(self, schema: dj.Schema) -> None:
        @schema
        class Secret(dj.Manual):
            definition = "secret : varchar(40)"

        @schema
        class Thing(dj.Manual):
            definition = """
            id : int32
            ---
            name : varchar(200)
            amount = 0 : decimal(6,2)
            ratio = 0 : float64
            day = '2026-01-01' : date
            at = '2026-01-01 00:00:00' : datetime
            kind = 'a' : enum('a', 'b')
            code = null : uuid
            flag = 1 : bool
            raw = null : bytes
            document = null : json
            """

        @schema
        class Part(dj.Manual):
            definition = "-> Thing\npart : varchar(200)"

        self.schema, self.Secret, self.Thing, self.Part = schema, Secret, Thing, Part
        Secret.insert1((SECRET,))
        Thing.insert({"id": i, "name": f"thing {i}", "document": {"a": i}} for i in range(5))
        Thing.insert1({"id": 5, "name": "identified", "code": uuid.UUID(int=5), "raw": b"abc"})
        Part.insert({"id": i, "part": "p"} for i in range(3))
        self.payloads = [text.format(secret=Secret.full_table_name) for text in PAYLOADS]
        self.statements: list[str] = []


@pytest.fixture
def lab(schema: dj.Schema, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    lab = Lab(schema)
    connection = schema.connection
    execute, batches = connection._execute, connection.dialect.batches

    def logged_execute(session: Any, sql: str, parameters: Any) -> Any:
        lab.statements.append(sql)
        return execute(session, sql, parameters)

    def logged_batches(raw: Any, sql: str, parameters: Any) -> Any:
        lab.statements.append(sql)
        return batches(raw, sql, parameters)

    monkeypatch.setattr(connection, "_execute", logged_execute)
    monkeypatch.setattr(connection.dialect, "batches", logged_batches)
    before = lab.Thing.to_dicts(order_by="id"), lab.Part.to_dicts(order_by="KEY")
    yield lab
    assert (lab.Thing.to_dicts(order_by="id"), lab.Part.to_dicts(order_by="KEY")) == before
    assert lab.Secret.to_arrays("secret").tolist() == [SECRET]


def restrictions(lab: Lab) -> dict[str, Callable[[str], Any]]:
    """Return the places where a value may be given; no row has one of the payloads."""
    t, p = lab.Thing(), lab.Part()

    def place(name: str, several: bool = False) -> Callable[[str], Any]:
        return lambda x: t & {name: [x, x] if several else x}

    places = {f"value of {name}": place(name) for name in t.heading.names}
    places |= {f"list for {name}": place(name, several=True) for name in ("id", "name", "amount", "kind")}
    return places | {
        "several keys": lambda x: t & [{"id": x}, {"name": x}],
        "a tuple of keys": lambda x: t & ({"name": x}, {"name": x, "kind": "a"}),
        "and": lambda x: t & dj.AndList([{"kind": "a"}, {"name": x}]),
        "bytes": lambda x: t & {"raw": x.encode()},
        "JSON path": lambda x: t & {"document.a": x},
        "value of a parent": lambda x: p & (t & {"name": x}),
        "renamed": lambda x: t.proj(other="name") & {"other": x},
        "aggregated": lambda x: t.aggr(p, most="max(part)") & {"most": x},
        "distinct": lambda x: dj.U("name") & (t & {"name": x}),
        "quoted text": lambda x: t & "name = '{}'".format(x.replace("\\", "\\\\").replace("'", "''")),
        "search": lambda x: (t._restricted(_restrict(t, TextMatch("name", x)))),
        "comparison": lambda x: (t & "id < 0")._restricted(_restrict(t & "id < 0", Ordering("name", "<", x))),
        "in": lambda x: [x in t.proj(), {"name": x} in t][:0],
    }  # fmt: skip


def _restrict(query: Any, condition: Any) -> Any:
    return (query & condition).node


def names(lab: Lab) -> dict[str, Callable[[str], Any]]:
    """Return the places where a name, an order or an expression may be given."""
    t, p = lab.Thing(), lab.Part()
    return {
        "attribute of a restriction": lambda x: t & {x: 1},
        "attribute in a list": lambda x: t & [{x: 1}],
        "JSON path": lambda x: t & {f"document.{x}": 1},
        "order": lambda x: t.to_dicts(order_by=x),
        "descending order": lambda x: t.to_dicts(order_by=f"{x} DESC"),
        "order of a top": lambda x: t & dj.Top(1, order_by=x),
        "fetched": lambda x: t.to_dicts(attributes=x),
        "fetched array": lambda x: t.to_arrays("id", x),
        "fetched one": lambda x: (t & "id = 1").fetch1(x),
        "projected": lambda x: t.proj(x),
        "dropped": lambda x: t.proj(..., f"-{x}"),
        "new name": lambda x: t.proj(**{x: "name"}),
        "unique": lambda x: dj.U(x) & t,
        "expression": lambda x: t.proj(y=x),
        "aggregate": lambda x: t.aggr(p, y=x),
        "whole restriction": lambda x: t & x,
        "table": lambda x: dj.FreeTable(t.connection, f"{t.database}.{x}"),
        "schema": lambda x: dj.Schema(x, connection=t.connection, create_schema=False),
        "inserted field": lambda x: t.insert1({"id": 0, "name": "n", x: 1}, skip_duplicates=True),
        "updated field": lambda x: t.update1({"id": 1, x: 1}),
        "limit": lambda x: t.to_dicts(limit=x),
    }


def answered(ask: Callable[[], Any]) -> list[Any] | None:
    """Return the rows of an answer, or None if it was refused."""
    try:
        answer = ask()
        if answer is None or isinstance(answer, dj.Schema):
            return []
        return list(answer.to_dicts() if hasattr(answer, "to_dicts") else answer)
    except (dj.DataJointError, TypeError, ValueError):
        return None


def test_values_find_no_row_too_many_and_are_bound(lab: Lab) -> None:
    n_tried = 0
    for place, ask in restrictions(lab).items():
        for payload in lab.payloads:
            lab.statements.clear()
            rows = answered(partial(ask, payload))
            assert not rows, (place, payload, rows)
            # as text, digits are a number that stands for itself
            if place != "in" or not re.fullmatch("0x[0-9a-f]+", payload):
                assert not [sql for sql in lab.statements if payload in sql], (place, payload)
            n_tried += 1
    print(f"sql-inject: {n_tried} values tried, 0 rows too many")


def test_names_orders_and_expressions_reach_nothing_but_their_table(lab: Lab) -> None:
    n_tried = n_refused = 0
    admitted = set()
    n_rows = len(lab.Thing())
    for place, ask in names(lab).items():
        for payload in lab.payloads:
            lab.statements.clear()
            rows = answered(partial(ask, payload))
            assert SECRET not in str(rows), (place, payload, rows)
            assert len(rows or ()) <= n_rows, (place, payload, rows)
            stolen = [
                sql
                for sql in lab.statements
                if lab.Secret.table_name in sql.lower() or "drop table" in sql.lower()
            ]
            # a catalog's statements name every table; those that ask for rows name only their own
            assert not [sql for sql in stolen if payload in sql], (place, payload, stolen)
            n_tried += 1
            n_refused += rows is None
            if rows is not None:
                admitted.add(place)
    print(f"sql-inject: {n_tried} names tried, {n_refused} refused")
    # A path into a document is bound, a new name quoted, and harmless expressions are what they say.
    orders = {"order", "descending order", "order of a top"}
    assert admitted <= {"JSON path", "new name", "expression", "aggregate", "whole restriction", *orders}


def test_what_looks_like_sql_is_stored_and_found_as_what_it_is(lab: Lab) -> None:
    rows = [{"id": 100 + i, "name": payload} for i, payload in enumerate(lab.payloads)]
    lab.Thing.insert(rows)
    for row in rows:
        found = lab.Thing & {"name": row["name"]}
        assert found.proj("name").to_dicts() == [row]
        lab.Thing.update1({"id": row["id"], "document": {row["name"]: row["name"]}})
        assert found.fetch1("document") == {row["name"]: row["name"]}
        lab.Thing.insert1({**row, "kind": "b"}, skip_duplicates=True)
        lab.Thing.insert1({**row, "kind": "b"}, replace=True)
        assert found.fetch1("kind") == "b"
        found.delete()
        assert not found


def of_pages(
    services: Services, schema: str, folder: Path
) -> dict[str, Callable[[str], Coroutine[Any, Any, Any]]]:
    """Return what pages ask with a text that came from a browser."""
    thing, part = f"{schema}.Thing", f"{schema}.Part"
    browsing, entering, importing = services.browsing, services.entering, services.importing

    async def rows(x: str, name: str, operator: str = "") -> Any:
        return (await browsing.rows(thing, {name: operator + x})).rows

    async def checked(x: str, columns: str) -> Any:
        path = folder / "sent.csv"
        path.write_text(f"{columns}\n" + "\t".join([x] * (columns.count("\t") + 1)))
        batch = await importing.open(thing, "sent.csv", path, x)
        if batch.work is not None:
            await batch.work
        await importing.drop(batch)

    filtered: dict[str, Callable[[str], Coroutine[Any, Any, Any]]] = {
        f"filter {name} {operator or 'as typed'}": partial(rows, name=name, operator=operator)
        for name in ("id", "name", "amount", "day", "at", "kind", "code", "flag", "document")
        for operator in ("", "=", "^", "!=", ">", "x..")
    }
    return filtered | {
        "filter of a name": lambda x: browsing.rows(thing, {x: "1"}),
        "sort": lambda x: browsing.rows(thing, {}, [x]),
        "sort downwards": lambda x: browsing.rows(thing, {}, [f"-{x}"]),
        "place": lambda x: browsing.rows(thing, {}, (), 2, at=x),
        "count": lambda x: browsing.count(thing, {"name": x}),
        "record": lambda x: browsing.record(thing, {"id": x}),
        "key of a name": lambda x: browsing.record(thing, {x: "1"}),
        "value": lambda x: browsing.value(thing, {"id": "1"}, x, folder),
        "facets": lambda x: services.facets.values(thing, x, {}),
        "facets of filtered rows": lambda x: services.facets.values(thing, "kind", {"name": x}),
        "restriction": lambda x: services.counting.matching([thing, part], {"name": x}),
        "restriction of a name": lambda x: services.counting.matching([thing, part], {x: "1"}),
        "export": lambda x: services.exports.check(thing, "csv", {"name": x}),
        "picker": lambda x: entering.search(part, 0, x, {}),
        "picker that is narrowed": lambda x: entering.search(part, 0, "", {"id": x, x: x}),
        "picker's beginning": lambda x: entering.begun(part, 0, x, {}),
        "picked": lambda x: entering.resolve(part, 0, x, {}),
        "next number": lambda x: entering.next_free(thing, x, {"name": x}),
        "draft": lambda x: entering.check(thing, {"id": x, "name": x, "kind": x, "code": x, "day": x}),
        "draft of a name": lambda x: entering.check(thing, {"id": "1", x: x}),
        "entry": lambda x: entering.save(thing, {"id": x, "name": x}, {}, x),
        "import": lambda x: checked(x, "id\tname\tkind\tday"),
        "import of a name": lambda x: checked(x, f"id\t{x}"),
        "view": lambda x: services.views.delete(thing, x, x),
        "deletion": lambda x: services.deleting.preview(thing, [{"id": x}, {x: "1"}]),
        "table": lambda x: browsing.rows(x),
    }  # fmt: skip


def test_what_a_browser_sends_to_entry_import_and_tables_is_bound_or_refused(
    lab: Lab, tmp_path: Path
) -> None:
    services = Services(pipeline_of(lab.schema))
    n_tried = 0

    async def answer(ask: Callable[[str], Coroutine[Any, Any, Any]], payload: str) -> Any:
        try:
            return await ask(payload)
        except (dj.DataJointError, ValueError, LookupError) as error:
            return type(error)

    async def ask_all() -> int:
        n_tried = 0
        for place, ask in of_pages(services, lab.schema.name, tmp_path).items():
            for payload in lab.payloads:
                lab.statements.clear()
                answered = await answer(ask, payload)
                assert SECRET not in str(answered), (place, payload)
                assert not [sql for sql in lab.statements if payload in sql], (place, payload)
                n_tried += 1
        return n_tried

    with asyncio.Runner() as runner:
        n_tried = runner.run(ask_all())
    services.close()
    print(f"sql-inject: {n_tried} texts sent by a browser, 0 of them in a statement")
