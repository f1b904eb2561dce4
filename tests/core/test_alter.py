"""A table becomes what its definition says now, and nothing that rows hold is lost on the way."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core.definition import parse_definition
from tests.conftest import Backend

BEFORE = """
# animals
-> Species
animal : int16        # number
---
weight = null : decimal(5,2)   # g
sex = "U" : enum('M', 'F', 'U')
name : varchar(20)
born : date
score = 1 : int32
notes = null : varchar(200)
meta = null : json
index (name)
"""


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    @schema
    class Species(dj.Lookup):
        definition = "species : varchar(20)"
        contents = (("mouse",), ("rat",))

    @schema
    class Animal(dj.Manual):
        definition = BEFORE

        class Visit(dj.Part):
            definition = """
            -> master
            visit : int16
            ---
            about = "" : varchar(10)
            """

    Animal.insert(
        {"species": "mouse", "animal": i, "weight": i + 0.25, "name": f"n{i}", "born": "2026-01-02"}
        for i in range(3)
    )
    Animal.Visit.insert({"species": "mouse", "animal": i, "visit": 1, "about": "x"} for i in range(3))
    return SimpleNamespace(schema=schema, Species=Species, Animal=Animal)


def redefined(cls: Any, old: str, new: str = "") -> Any:
    """Change a line of a class's definition, as its author does in the file."""
    assert old in cls.definition
    cls.definition = cls.definition.replace(old, new)
    return cls


def state(cls: Any) -> Any:
    cls().connection.catalog.forget()
    return cls.describe(), cls.to_dicts(order_by="KEY")


def agreed(cls: Any) -> None:
    """Check that the table is what the definition says: there is nothing left to alter."""
    assert cls.alter(prompt=False) == ""
    cls().connection.catalog.forget()
    assert cls.alter(dry_run=True) == ""


def test_nothing_to_alter_is_said_by_an_empty_text(lab: Any) -> None:
    for cls in (lab.Animal, lab.Animal.Visit, lab.Species):
        assert cls.alter() == ""


def test_a_dry_run_shows_the_sql_and_changes_nothing(lab: Any) -> None:
    before = state(lab.Animal)
    redefined(lab.Animal, "name : varchar(20)", "name : varchar(40)")
    sql = lab.Animal.alter(dry_run=True)
    assert "varchar(40)" in sql or "<= 40" in sql
    assert "ALTER TABLE" in sql
    assert state(lab.Animal) == before


def test_attributes_are_added_changed_renamed_moved_and_dropped(lab: Any) -> None:
    lab.Animal.definition = """
    # animals of the lab: "all", 100 %
    -> Species
    animal : int16        # its number
    ---
    sex = "F" : enum('M', 'F', 'U', 'it''s')    # as seen
    mass = null : decimal(7,3)   # {weight} g
    born : datetime(3)
    colour = "grey" : varchar(10)   # new: one
    tag = null : uuid
    note = null : varchar(300)  # { notes }
    name : varchar(40)
    score = 2 : float64
    unique index (name, born)
    index (mass)
    """
    assert lab.Animal.alter(prompt=False)
    agreed(lab.Animal)
    heading = lab.Animal.heading
    assert heading.names == [
        "species", "animal", "sex", "mass", "born", "colour", "tag", "note", "name", "score",
    ]  # fmt: skip
    assert heading.table_comment == 'animals of the lab: "all", 100 %'
    assert (heading["mass"].comment, heading["note"].comment, heading["animal"].comment) == (
        "g",
        "",
        "its number",
    )
    assert heading["mass"].type.replace(" ", "") == "decimal(7,3)"
    assert (lab.Animal & {"animal": 1}).fetch1() == {
        "species": "mouse", "animal": 1, "sex": "U", "mass": Decimal("1.25"), "born": dt.datetime(2026, 1, 2),
        "colour": "grey", "tag": None, "note": None, "name": "n1", "score": 1.0,
    }  # fmt: skip
    lab.Animal.insert1({"species": "rat", "animal": 9, "born": "2026-03-01 01:02:03.125", "name": "it's"})
    assert (lab.Animal & "born > '2026-03-01 01:02:03'").fetch1("sex", "score") == ("F", 2.0)
    assert len(lab.Animal & {"born": dt.datetime(2026, 1, 2)}) == 3
    with pytest.raises(dj.errors.DuplicateError):
        lab.Animal.insert1({"species": "rat", "animal": 8, "born": "2026-03-01 01:02:03.125", "name": "it's"})
    # the children still belong to it
    assert len(lab.Animal.Visit * lab.Animal) == 3
    with pytest.raises(dj.errors.IntegrityError):
        lab.Animal.Visit.insert1({"species": "mouse", "animal": 77, "visit": 1})
    (lab.Animal & {"animal": 1}).delete()
    assert len(lab.Animal.Visit()) == 2


def test_a_part_is_altered_like_any_table(lab: Any) -> None:
    redefined(lab.Animal.Visit, 'about = "" : varchar(10)', "about = null : varchar(30)  # why")
    assert lab.Animal.Visit.alter(prompt=False)
    agreed(lab.Animal.Visit)
    lab.Animal.Visit.insert1({"species": "mouse", "animal": 1, "visit": 2})
    assert lab.Animal.Visit.heading["about"].comment == "why"


def test_indexes_of_every_kind_are_added_and_dropped(lab: Any) -> None:
    redefined(
        lab.Animal,
        "index (name)",
        "unique index (name)\n    index ((lower(name)))\n    index (meta.a:signed, score)\n    index (born)",
    )
    lab.Animal.alter(prompt=False)
    agreed(lab.Animal)
    found = parse_definition(lab.Animal.describe()).indexes
    assert set(found) == set(parse_definition(lab.Animal.definition).indexes)
    redefined(lab.Animal, "    index ((lower(name)))\n", "    index ((upper(name)))\n    index (meta.b)\n")
    redefined(lab.Animal, "unique index (name)\n")
    lab.Animal.alter(prompt=False)
    agreed(lab.Animal)
    assert set(parse_definition(lab.Animal.describe()).indexes) == set(
        parse_definition(lab.Animal.definition).indexes
    )
    redefined(lab.Animal, "    index ((upper(name)))\n    index (meta.b)\n    index (meta.a:signed, score)\n")
    lab.Animal.alter(prompt=False)
    agreed(lab.Animal)
    assert len(lab.Animal()) == 3


def test_foreign_keys_are_added_where_rows_allow_it_and_dropped(lab: Any) -> None:
    @lab.schema
    class Room(dj.Lookup):
        definition = "room : int32"
        contents = ((1,), (2,))

    redefined(lab.Animal, "index (name)", "index (name)\n    -> [nullable] Room")
    lab.Animal.alter(prompt=False, context={"Room": Room})
    assert lab.Animal.alter(prompt=False, context={"Room": Room}) == ""
    assert lab.Animal.heading["room"].lineage == (lab.schema.name, "#room", "room")
    assert [fk.nullable for fk in lab.Animal().structure.foreign_keys] == [False, True]
    lab.Animal.update1({"species": "mouse", "animal": 1, "room": 2})
    assert len(Room & lab.Animal) == 1
    with pytest.raises(dj.errors.IntegrityError):
        lab.Animal.update1({"species": "mouse", "animal": 1, "room": 3})
    redefined(lab.Animal, "-> [nullable] Room", "-> [nullable, unique] Room")
    lab.Animal.alter(prompt=False, context={"Room": Room})
    with pytest.raises(dj.errors.DuplicateError):
        lab.Animal.update1({"species": "mouse", "animal": 2, "room": 2})
    redefined(lab.Animal, "-> [nullable, unique] Room", "room = null : int32")
    lab.Animal.alter(prompt=False, context={"Room": Room})
    agreed(lab.Animal)
    lab.Animal.update1({"species": "mouse", "animal": 1, "room": 3})
    redefined(lab.Animal, "room = null : int32", "-> [nullable] Room")
    with pytest.raises(dj.errors.IntegrityError, match=r"a row with room=3.*Insert the missing parents"):
        lab.Animal.alter(prompt=False, context={"Room": Room})
    Room.insert1({"room": 3})
    lab.Animal.alter(prompt=False, context={"Room": Room})
    assert len(Room & lab.Animal) == 1


REFUSED = [
    ("name : varchar(20)", "name : varchar(1)", r"animal\.Animal\.name|'n0' is longer than 1 characters"),
    (
        "weight = null : decimal(5,2)",
        "weight = null : decimal(5,1)",
        "more than 1 digits after the point",
    ),
    ("weight = null : decimal(5,2)", "weight = null : int8", "not a whole number.*wider type"),
    ("score = 1 : int32", "score = '2026-01-01' : date", "Add an attribute of the new type"),
    ("sex = \"U\" : enum('M', 'F', 'U')", "sex = 'M' : enum('M', 'F')", "'U' is not one of 'M', 'F'"),
    ("notes = null : varchar(200)", "notes : varchar(200)", "empty in 3 rows.*Fill them"),
    ("notes = null : varchar(200)", "notes = null : <blob>", "stored otherwise"),
    ("born : date", "", r"dropped with its 3 values.*\{born\}.*allow_loss=True"),
    ("name : varchar(20)", "name : varchar(20)\n    more : int8", "no value for it.*default"),
    ("animal : int16", "animal : int32", "from int16 to int32.*cannot be altered"),
    ("animal : int16", "animal : int16\n    more : int8", "primary key .* would become .*copy the rows"),
    ("    -> Species\n", "", "primary key"),
    ("index (name)", "unique index (sex)", "several rows have sex='U'"),
    ("born : date", "birth : date  # {bron}", "does not have.*Did you mean 'born'"),
    ("name : varchar(20)", "name : varchar(20)\n    nome = '' : varchar(20)  # {name}", "another place"),
]


def test_what_would_lose_or_break_data_is_refused_with_reason_and_remedy(lab: Any) -> None:
    before = state(lab.Animal)
    for old, new, message in REFUSED:
        lab.Animal.definition = "\n".join("    " + line for line in BEFORE.splitlines())
        redefined(lab.Animal, old, new)
        with pytest.raises(dj.errors.DataJointError, match=message):
            lab.Animal.alter(prompt=False)
    assert state(lab.Animal) == before


def test_an_empty_table_may_be_changed_freely_but_for_its_key(lab: Any) -> None:
    lab.Animal.delete()
    redefined(lab.Animal, "name : varchar(20)", "name : date\n    more : int8")
    redefined(lab.Animal, "notes = null : varchar(200)\n")
    lab.Animal.alter(prompt=False)
    agreed(lab.Animal)


def test_values_are_dropped_only_where_it_is_said(lab: Any) -> None:
    redefined(lab.Animal, "born : date\n")
    with pytest.raises(dj.errors.IntegrityError):
        lab.Animal.alter(prompt=False)
    assert lab.Animal.alter(prompt=False, allow_loss=True)
    assert "born" not in lab.Animal.heading.names
    agreed(lab.Animal)


def test_altering_asks_first_and_does_nothing_on_no(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    redefined(lab.Animal, "score = 1", "score = 7")
    asked: list[str] = []

    def answer_no(question: str) -> str:
        asked.append(question)
        return "no"

    monkeypatch.setattr("builtins.input", answer_no)
    before = state(lab.Animal)
    assert lab.Animal.alter() == ""
    assert "Alter the table?" in asked[0]
    assert "ALTER TABLE" in asked[0]
    assert state(lab.Animal) == before


def test_a_table_is_not_altered_inside_a_transaction(lab: Any) -> None:
    with lab.schema.connection.transaction, pytest.raises(dj.errors.DefinitionError, match="transaction"):
        lab.Animal.alter(prompt=False)


def test_duplicates_of_an_expression_are_found_before_a_unique_index_is_made(lab: Any) -> None:
    lab.Animal.update1({"species": "mouse", "animal": 1, "name": "N0"})
    redefined(lab.Animal, "index (name)", "unique index ((lower(name)))")
    with pytest.raises(dj.errors.IntegrityError, match=r"several rows have \(lower\(name\)\)='n0'"):
        lab.Animal.alter(prompt=False)
    lab.Animal.update1({"species": "mouse", "animal": 1, "name": "N1"})
    lab.Animal.alter(prompt=False)
    agreed(lab.Animal)


def test_a_failure_in_the_middle_leaves_the_table_as_it_was(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.Animal.update1({"species": "mouse", "animal": 1, "name": "n0"})
    before = state(lab.Animal)
    redefined(lab.Animal, "index (name)", "index (score)\n    unique index (name)")
    redefined(lab.Animal, "score = 1", "score = 7")
    # as if the second row of the name had arrived after the check
    monkeypatch.setattr("dj_panel.core.alter.AlterPlan.check", lambda self: None)
    with pytest.raises(dj.errors.DataJointError):
        lab.Animal.alter(prompt=False)
    assert state(lab.Animal) == before
    with pytest.raises(dj.errors.IntegrityError):
        lab.Animal.Visit.insert1({"species": "mouse", "animal": 77, "visit": 1})


def test_computed_tables_keep_the_frameworks_columns(schema: dj.Schema, backend: Backend) -> None:
    schema.connection.settings.jobs.add_job_metadata = True

    @schema
    class Source(dj.Manual):
        definition = "source : int32"

    @schema
    class Result(dj.Computed):
        definition = "-> Source\n---\nvalue : int32"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "value": 1})

    Source.insert1({"source": 1})
    Result.populate()
    redefined(Result, "value : int32", "result : float64  # {value}")
    Result.alter(prompt=False)
    hidden = [a.name for a in Result().structure.heading.all_attributes if a.is_hidden]
    assert hidden == ["_job_start_time", "_job_duration", "_job_version"]
    assert Result.to_dicts() == [{"source": 1, "result": 1.0}]
    stamp = schema.connection.dialect.table(Result().name)
    found = schema.connection.query(f"SELECT _job_start_time FROM {stamp}").fetchone()[0]
    assert found is not None
