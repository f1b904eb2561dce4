"""What surrounds the rows of a table: values with counts, relatives, restrictions of all pages, shared views."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Coroutine, Iterator
from types import MappingProxyType
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.routes import format_route, parse_route
from dj_panel.apps.services import Services, facets, paging
from dj_panel.apps.services.filters import FilterError
from dj_panel.core.errors import (
    AccessError,
    OneRowError,
    QueryTimeoutError,
    UnknownAttributeError,
    ValueRefusedError,
)

HOSTILE = (
    "' OR 1=1 -- ", "x'); DROP TABLE subject; --", "`; DELETE FROM subject; `", "%' OR '1'='1", "\\' OR 1=1 -- ",
    "1) UNION SELECT 1,2,3 -- ", "<script>alert(1)</script>", "%s %(a)s ?", "\0", "=", "^%",
)  # fmt: skip


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[tuple[Services, dict[str, str]]]:
    """Give the services of a lab with subjects, their sessions and rigs, and the names of its tables."""

    @schema
    class Subject(dj.Manual):
        definition = """
        subject_id : varchar(60)
        ---
        sex = 'U' : enum('M', 'F', 'U')
        tame = null : bool
        weight = null : decimal(5, 2)
        number = 0 : int16
        """

    @schema
    class Rig(dj.Lookup):
        definition = """
        number : int16
        ---
        note = '' : varchar(100)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        -> [nullable] Rig
        -> [nullable] Subject.proj(partner="subject_id")
        trace = null : <blob>
        """

    Subject.insert(
        {
            "subject_id": f"M{n:02}",
            "sex": "MFU"[n % 3],
            "tame": None if n % 4 == 0 else n % 2,
            "weight": n % 5,
        }
        for n in range(30)
    )
    Subject.insert({"subject_id": text, "number": n} for n, text in enumerate(HOSTILE) if text != "\0")
    Rig.insert({"number": n} for n in range(3))
    Session.insert(
        {"subject_id": "M01", "session": n, "number": n % 2 or None, "partner": "M02"} for n in range(9)
    )
    classes = {"Subject": Subject, "Rig": Rig, "Session": Session}
    names = {name: app_name(cls().name) for name, cls in classes.items()}
    tables = {names[name]: cls for name, cls in classes.items()}
    services = Services(Pipeline("test", schema.connection, MappingProxyType(tables)))
    yield services, names
    services.close()


# ------------------------------------------------------------------ values with counts
def test_each_counted_value_leads_to_just_as_many_rows(lab: tuple[Services, dict[str, str]]) -> None:
    services, names = lab
    for table, columns in {
        "Subject": ("sex", "tame", "weight", "number", "subject_id"),
        "Session": ("number", "partner", "subject_id"),
    }.items():
        for column in columns:
            found = run(services.facets.values(names[table], column, {}))
            for value in found.values:
                count = run(services.browsing.count(names[table], {column: value.filter}))
                assert count == value.count, (column, value)
    counts = {
        value.text: value.count for value in run(services.facets.values(names["Subject"], "tame", {})).values
    }
    assert counts == {"": 8 + len(HOSTILE) - 1, "yes": 15, "no": 7}
    narrowed = run(services.facets.values(names["Subject"], "sex", {"subject_id": "^M0", "sex": "F"}))
    assert {v.text: v.count for v in narrowed.values} == {"M": 4, "F": 3, "U": 3}, "without its own filter"


def test_what_the_counts_of_values_leave_out_is_said(
    lab: tuple[Services, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, names = lab
    ids = run(services.facets.values(names["Subject"], "subject_id", {}))
    assert (ids.values, ids.note) == ((), "Every row has another value here.")
    monkeypatch.setattr(facets, "MAX_FACETS", 2)
    some = run(services.facets.values(names["Subject"], "weight", {}))
    assert (len(some.values), some.note) == (2, "These are the 2 most frequent values.")
    monkeypatch.setattr(facets, "FACET_ROWS", 6)
    few = run(services.facets.values(names["Subject"], "sex", {"subject_id": "^M"}))
    assert [value.count for value in few.values] == [2, 2], "of three values, each in two of the six rows"
    assert "in the first 6 rows only" in few.note
    assert not run(services.facets.values(names["Session"], "trace", {})).values

    def slow(*_args: object) -> Any:
        raise QueryTimeoutError("too slow")

    monkeypatch.setattr(facets.Facets, "_counted", slow)
    assert "takes too long" in run(services.facets.values(names["Subject"], "sex", {})).note


# ------------------------------------------------------------------ relatives
def test_a_row_knows_its_parents_and_how_many_rows_refer_to_it(
    lab: tuple[Services, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, names = lab
    parents, children = run(
        services.browsing.relatives(names["Session"], {"subject_id": "M01", "session": "2"})
    )
    found = {link.table: address.key if address else None for link, address in parents}
    assert found[names["Rig"]] is None
    assert [address.key for _, address in parents if address] == [
        {"subject_id": "M01"},
        {"subject_id": "M02"},
    ]
    assert children == ()
    _, children = run(services.browsing.relatives(names["Subject"], {"subject_id": "M02"}))
    assert [(child.count_text, dict(child.filters)) for child in children] == [
        ("0", {"subject_id": "=M02"}),
        ("9", {"partner": "=M02"}),
    ]
    with pytest.raises(OneRowError):
        run(services.browsing.relatives(names["Subject"], {"subject_id": "nobody"}))

    def slow(*_args: object) -> int:
        raise QueryTimeoutError("too slow")

    monkeypatch.setattr(paging.Pages, "count", slow)
    _, children = run(services.browsing.relatives(names["Subject"], {"subject_id": "M02"}))
    assert {child.count_text for child in children} == {"many"}


def test_keys_are_copied_as_python_that_finds_the_rows(lab: tuple[Services, dict[str, str]]) -> None:
    services, names = lab
    keys = [{"subject_id": "M01", "session": "2"}, {"subject_id": "M01", "session": "3"}]
    code = services.browsing.keys_code(names["Session"], keys)
    assert "    {'subject_id': 'M01', 'session': 2},\n" in code
    assert code.endswith("Session & keys\n")
    hostile = services.browsing.keys_code(names["Subject"], [{"subject_id": text} for text in HOSTILE])
    listed = ast.literal_eval(hostile.partition("keys = ")[2].partition("\nquery")[0])
    assert [key["subject_id"] for key in listed] == list(HOSTILE), "text, and nothing that runs"


# ------------------------------------------------------------------ restrictions of all pages
def test_a_restriction_holds_where_the_attribute_of_the_same_origin_is(
    lab: tuple[Services, dict[str, str]],
) -> None:
    services, names = lab
    applied, prefill = services.restrictions.applied, services.restrictions.prefill
    one = {"subject_id": "=M01"}
    assert applied(names["Session"], one, {}) == ({"subject_id": "=M01"}, {"subject_id": ""})
    assert applied(names["Rig"], one, {"note": "x"}) == ({"note": "x"}, {"subject_id": "not in this table"})
    own = applied(names["Session"], one, {"subject_id": "=M02"})
    assert own == ({"subject_id": "=M02"}, {"subject_id": "this column has a filter of its own"})
    assert prefill(names["Session"], one) == {"subject_id": "M01"}
    assert prefill(names["Session"], {"subject_id": "M0", "session": ">3"}) == {}, "no single value"
    # Attributes of one name that are not the same: a subject's own number, and that of a rig.
    assert services.restrictions.name(names["Subject"], "number") == "number"
    of_rig = services.restrictions.name(names["Session"], "number")
    assert of_rig == f"number@{names['Rig'].replace('.Rig', '.#rig')}"
    assert applied(names["Subject"], {of_rig: "1"}, {})[1] == {of_rig: "not in this table"}
    assert applied(names["Session"], {of_rig: "1"}, {})[0] == {"number": "1"}
    assert applied(names["Session"], {"number": "1"}, {})[1] == {"number": "not in this table"}
    wrong = applied(names["Session"], {of_rig: "many"}, {})
    assert wrong[0] == {}
    assert "many" in wrong[1][of_rig]


def test_restrictions_go_through_an_address_and_stay_out_of_the_query() -> None:
    route = parse_route("#/record/lab.Session?subject_id=M01&r.subject_id=%3DM01&r.number%40lab.rig=5")
    assert (dict(route.query), dict(route.restrictions)) == (
        {"subject_id": "M01"},
        {"subject_id": "=M01", "number@lab.rig": "5"},
    )
    assert parse_route(format_route(route)) == route
    assert route.with_query(page="2").restrictions == route.restrictions
    assert parse_route("#/tables").carrying(route.restrictions).restrictions == route.restrictions
    other = parse_route("#/tables?r.x=1")
    assert other.carrying(route.restrictions) == other


# ------------------------------------------------------------------ shared views
def test_shared_views_are_listed_renamed_and_deleted_by_whom_they_belong_to(
    lab: tuple[Services, dict[str, str]],
) -> None:
    services, names = lab
    views, table = services.views, names["Subject"]
    address = f"#/table/{table}?sort=-weight&f.sex=F"
    assert run(views.of(table)) == []
    run(views.save(table, "  heavy   ones ", address, "ana"))
    run(views.save(table, HOSTILE[1][:60], address, "bob"))
    assert [(v.name, v.address, v.user) for v in run(views.of(table))] == [
        ("heavy ones", address, "ana"),
        (HOSTILE[1], address, "bob"),
    ]
    assert run(views.of(names["Rig"])) == []
    with pytest.raises(ValueRefusedError, match="already"):
        run(views.save(table, "heavy ones", address, "bob"))
    for refused in ((table, "", address), (table, "x" * 61, address), (names["Rig"], "x", address)):
        with pytest.raises(ValueRefusedError):
            run(views.save(*refused, "ana"))
    with pytest.raises(ValueRefusedError):
        run(views.save(table, "x", "javascript:alert(1)", "ana"))
    for work in (views.rename(table, "heavy ones", "mine", "bob"), views.delete(table, "heavy ones", "bob")):
        with pytest.raises(OneRowError, match="heavy ones"):
            run(work)
    with pytest.raises(ValueRefusedError, match="already"):
        run(views.rename(table, "heavy ones", HOSTILE[1], "ana"))
    run(views.rename(table, "heavy ones", "light ones", "ana"))
    run(views.delete(table, HOSTILE[1], "bob"))
    assert [(v.name, v.user) for v in run(views.of(table))] == [("light ones", "ana")]
    schema = table.partition(".")[0]
    listed = dj.Schema(schema, connection=services.pipeline.connection, create_tables=False).list_tables()
    assert not [name for name in listed if "view" in name], "it is no table of the pipeline"


def test_an_account_that_may_not_create_tables_is_told_what_to_do(
    lab: tuple[Services, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, names = lab

    def refused(*_args: object) -> None:
        raise AccessError("CREATE command denied")

    monkeypatch.setattr("dj_panel.apps.services.views.create_table", refused)
    with pytest.raises(AccessError, match="Save the view in this browser"):
        run(services.views.save(names["Rig"], "x", f"#/table/{names['Rig']}", "ana"))
    assert run(services.views.of(names["Rig"])) == []


# ------------------------------------------------------------------ hostile texts
def test_hostile_texts_are_only_ever_values(lab: tuple[Services, dict[str, str]]) -> None:
    services, names = lab
    table = names["Subject"]
    before = run(services.browsing.rows(table)).count
    for text in HOSTILE:
        for name in ("subject_id", "weight", "sex", text):
            work = [
                services.facets.values(table, name, {}),
                services.facets.values(table, "sex", {name: text}),
                services.browsing.rows(table, {name: text}, page=2, at=f'["{name}"]'),
                services.browsing.rows(table, sort=(text,)),
                services.browsing.rows(table, page=-1, at=text),
                services.exports.size_text(table, {name: text}),
                services.exports.size_text(table, {}, [{name: text}]),
                services.browsing.relatives(table, {name: text}),
            ]
            for asked in work:
                try:
                    run(asked)
                except (FilterError, UnknownAttributeError, ValueRefusedError, OneRowError):
                    continue
        filters, _ = services.restrictions.applied(table, {"subject_id": f"={text}", text: text}, {})
        if "\0" not in text:
            assert run(services.browsing.count(table, filters)) == 1
        run(services.views.save(table, text + "x", f"#/table/{table}?f.subject_id={text}", text))
        run(services.views.delete(table, text + "x", text))
    assert run(services.browsing.rows(table)).count == before
