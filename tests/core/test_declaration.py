"""Classes become tables, tables describe themselves, and what cannot be declared says why and where."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dj_panel as dj
from dj_panel.core.definition import parse_definition
from dj_panel.core.structure import TableName
from tests.conftest import Backend
from tests.lab_tables import declare_lab

HARD_TEXT = (
    """it's 100 %, a "quote", a \\ backslash, a colon: 日本 `tick` %s ? # mark a\ttab \x0b \x85 \u2028 ;--"""
)


def test_every_core_type_is_declared_and_described_as_it_was_written(schema: dj.Schema) -> None:
    types = {
        "a_int8": "int8", "a_int16": "int16", "a_int32": "int32", "a_int64": "int64",
        "a_float32": "float32", "a_float64": "float64", "a_bool": "bool", "a_uuid": "uuid", "a_json": "json",
        "a_bytes": "bytes", "a_date": "date", "a_datetime": "datetime", "a_datetime3": "datetime(3)",
        "a_char": "char(5)", "a_varchar": "varchar(30)", "a_enum": "enum('M', 'F')",
        "a_decimal": "decimal(6,2)", "a_blob": "<blob>", "a_attach": "<attach>",
    }  # fmt: skip
    body = "\n".join(f"{name} = null : {kind}" for name, kind in types.items())

    @schema
    class Everything(dj.Manual):
        definition = f"id : int32\n---\n{body}"

    heading = Everything.heading
    assert {name: heading[name].type.replace(" ", "") for name in types} == {
        name: kind.replace(" ", "") for name, kind in types.items()
    }
    described = parse_definition(Everything.describe())
    assert {line.name: line.type.replace(" ", "") for line in described.attributes[1:]} == {
        name: kind.replace(" ", "") for name, kind in types.items()
    }


def test_comments_of_any_characters_come_back(schema: dj.Schema) -> None:
    @schema
    class Odd(dj.Manual):
        definition = f"""
        # table {HARD_TEXT}
        odd : int32     # key {HARD_TEXT}
        ---
        value : float64 # value {HARD_TEXT}
        """

    @schema
    class Child(dj.Manual):
        definition = """
        -> Odd
        """

    schema.connection.catalog.forget()
    assert Odd.heading.table_comment == f"table {HARD_TEXT}"
    assert Odd.heading["odd"].comment == f"key {HARD_TEXT}"
    assert Odd.heading["value"].comment == f"value {HARD_TEXT}"
    assert Child.heading["odd"].comment == f"key {HARD_TEXT}"
    assert parse_definition(Odd.describe()).attributes[1].comment == f"value {HARD_TEXT}"


@pytest.mark.parametrize(
    ("kind", "default", "expected"),
    [
        ("int32", "5", 5),
        ("int32", "-5", -5),
        ("float64", "0.5", 0.5),
        ("bool", "true", 1),
        ("bool", "0", 0),
        ("varchar(60)", '""', ""),
        ("varchar(60)", '"it\'s % : # \\ 日本"', "it's % : # \\ 日本"),
        ("varchar(60)", "'say \"hi\"'", 'say "hi"'),
        ("varchar(60)", '"null"', "null"),
        ("varchar(60)", '"CURRENT_USER"', "CURRENT_USER"),
        ("enum('M', 'it''s')", '"it\'s"', "it's"),
        ("decimal(5,2)", "1.50", "1.50"),
        ("date", '"2026-03-31"', "2026-03-31"),
        ("datetime", '"2026-03-31 12:00:00"', "2026-03-31 12:00:00"),
    ],
)
def test_defaults_are_stored_and_described(schema: dj.Schema, kind: str, default: str, expected: Any) -> None:
    @schema
    class T(dj.Manual):
        definition = f"id : int32\n---\nvalue = {default} : {kind}"

    T.insert1({"id": 1})
    value = T.fetch1("value")
    assert value == expected or str(value) == expected
    schema.connection.catalog.forget()
    described = parse_definition(T.describe()).attributes[1]
    written = parse_definition(T.definition).attributes[1]
    assert T.heading["value"].column_type.check(described.default) == T.heading["value"].column_type.check(
        written.default
    )


def test_characters_that_the_servers_catalog_loses_are_refused_where_they_matter(schema: dj.Schema) -> None:
    for kind in ("value = '😀' : varchar(5)", "value : enum('😀')"):
        cls = type("T", (dj.Manual,), {"definition": f"id : int32\n---\n{kind}"})
        if schema.connection.dialect.name == "sqlite":
            table = schema(cls)
            table.insert1({"id": 1, "value": "😀"})
            assert table.fetch1("value") == "😀"
            table().drop()
        else:
            with pytest.raises(dj.errors.DefinitionError, match=r"'value'.*emoji"):
                schema(cls)


def test_the_default_current_timestamp_is_the_servers_time(schema: dj.Schema) -> None:
    @schema
    class T(dj.Manual):
        definition = """
        id : int32
        ---
        at = CURRENT_TIMESTAMP : datetime
        at3 = CURRENT_TIMESTAMP(3) : datetime(3)
        """

    T.insert1({"id": 1})
    row = T.fetch1()
    assert abs((row["at"] - row["at3"]).total_seconds()) < 60
    assert "CURRENT_TIMESTAMP(3)" in T.describe()


def test_foreign_keys_of_every_form(schema: dj.Schema) -> None:
    lab = declare_lab(schema)  # noqa: F841 - definitions refer to it by this name

    @schema
    class Pair(dj.Manual):
        definition = """
        -> lab.Subject
        -> lab.Subject.proj(other="subject")
        ---
        -> [unique] lab.Session.Trial.proj(trial_subject="subject")
        -> [nullable, unique] lab.Species.proj(kind="species")
        -> [nullable] lab.Rate.Bin.proj(s="subject", n="session", b="bin")
        """

    keys = Pair().structure.foreign_keys
    by_first = {fk.attributes[0]: fk for fk in keys}
    assert [fk.in_key for fk in keys] == [True, True, False, False, False]
    assert by_first["other"].renamed == {"other": "subject"}
    assert by_first["trial_subject"].unique
    assert not by_first["trial_subject"].nullable
    assert by_first["trial_subject"].attributes == ("trial_subject", "session", "trial")
    assert by_first["kind"].unique
    assert by_first["kind"].nullable
    assert by_first["s"].parent == TableName(schema.name, "__rate__bin")
    assert Pair.primary_key == ["subject", "other"]
    assert Pair.heading["other"].type == "varchar(12)"
    assert Pair.heading["other"].lineage == (schema.name, "subject", "subject")
    assert len(Pair.parents()) == 5
    assert len(Pair.parents(primary=True)) == 2
    described = parse_definition(Pair.describe())
    assert [str(line.reference) for line in described.foreign_keys] == [
        "Subject",
        'Subject.proj(other="subject")',
        'Session.Trial.proj(trial_subject="subject")',
        'Species.proj(kind="species")',
        'Rate.Bin.proj(s="subject", n="session", b="bin")',
    ]


def test_a_singleton_has_one_row_and_no_more(schema: dj.Schema) -> None:
    @schema
    class Lab(dj.Manual):
        definition = """
        # the only one
        ---
        name : varchar(20)
        """

    assert Lab.primary_key == []
    Lab.insert1({"name": "North"})
    assert Lab.fetch1("name") == "North"
    with pytest.raises(dj.errors.DuplicateError):
        Lab.insert1({"name": "South"})
    Lab.insert1({"name": "South"}, skip_duplicates=True)
    assert Lab.to_dicts() == [{"name": "North"}]
    Lab.insert1({"name": "South"}, replace=True)
    assert Lab.fetch1("name") == "South"
    Lab.update1({"name": "West"})
    assert Lab.fetch1("name") == "West"
    assert Lab.delete() == 1
    assert parse_definition(Lab.describe()) == parse_definition(Lab.definition)


def test_indexes_are_declared_and_described(schema: dj.Schema) -> None:
    @schema
    class T(dj.Manual):
        definition = """
        id : int32
        ---
        a : int32
        b : varchar(20)
        index (b)
        unique index (a, b)
        """

    T.insert1({"id": 1, "a": 1, "b": "x"})
    with pytest.raises(dj.errors.DuplicateError, match="a=1, b='x'"):
        T.insert1({"id": 2, "a": 1, "b": "x"})
    assert set(parse_definition(T.describe()).indexes) == set(parse_definition(T.definition).indexes)


INDEXED = """
id : int32
---
name : varchar(40)
size : float64
taken : datetime
meta = null : json
unique index ((lower(name)))   # a comment (in brackets)
index (size, (size * 2 % 7), (concat(name, ", 'x'")))
index ((date(taken)))
index ((size), name, size)
unique index (meta.probe.serial:char(20))
index (meta.gain:signed, name)
index (meta.note)
"""


def test_indexes_over_expressions_and_json_hold_and_are_described(schema: dj.Schema) -> None:
    table = schema(type("T", (dj.Manual,), {"definition": INDEXED}))
    row = {"id": 1, "name": "Ann", "size": 1.5, "taken": "2026-01-02 03:04:05"}
    table.insert1({**row, "meta": {"probe": {"serial": "s1"}, "gain": 3, "note": "x" * 3000}})
    table.insert1({**row, "id": 2, "name": "Bob", "meta": {"probe": {"serial": "s2"}}})
    table.insert1({**row, "id": 3, "name": "Cid"})
    table.insert1({**row, "id": 4, "name": "Dan", "meta": {}})
    with pytest.raises(dj.errors.DuplicateError):
        table.insert1({**row, "id": 5, "name": "ANN"})
    with pytest.raises(dj.errors.DuplicateError):
        table.insert1({**row, "id": 5, "name": "Eve", "meta": {"probe": {"serial": "s1"}}})
    assert len(table()) == 4
    schema.connection.catalog.forget()
    assert table.heading.names == ["id", "name", "size", "taken", "meta"]
    assert [a.name for a in table.heading.all_attributes] == table.heading.names
    assert set(parse_definition(table.describe()).indexes) == set(parse_definition(INDEXED).indexes)
    table.update1({"id": 2, "name": "Bea", "meta": None})
    assert (table & {"id": 2}).fetch1("name", "meta") == ("Bea", None)
    table.delete()
    table().drop()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("((lower(nome)))", "Did you mean 'name'"),
        ("(mete.a)", "Did you mean 'meta'"),
        ("(name.a)", "not json"),
        ("(meta)", "meta.path:type"),
        ("((1 + 1))", "attributes of the row"),
        ("((sum(id)))", "attributes of the row"),
        ("((sleep(id)))", "SLEEP may not be used"),
        ("((select 1))", "may not be used"),
    ],
)
def test_an_index_that_cannot_be_made_says_why(schema: dj.Schema, index: str, message: str) -> None:
    text = f"id : int32\n---\nname : varchar(40)\nmeta : json\nindex {index}"
    with pytest.raises(dj.errors.DataJointError, match=re.escape(message)):
        schema(type("T", (dj.Manual,), {"definition": text}))
    assert schema.list_tables() == []


def test_indexes_whose_names_would_read_alike_stand_side_by_side(schema: dj.Schema) -> None:
    text = "id : int32\n---\na : int32\nb : int32\na_b : int32\nindex (a, b)\nindex (a_b)\nindex ((a + b))\nindex ((a - b))"
    table = schema(type("T", (dj.Manual,), {"definition": text}))
    schema.connection.catalog.forget()
    assert set(parse_definition(table.describe()).indexes) == set(parse_definition(text).indexes)


def test_native_types_are_declared_with_a_warning(
    schema: dj.Schema, caplog: pytest.LogCaptureFixture
) -> None:
    schema(type("T", (dj.Manual,), {"definition": "id : int unsigned\n---\nt : time\nok : int32"}))
    assert [record.getMessage() for record in caplog.records] == [
        f"`{schema.name}`.`t`: the native type int unsigned of 'id' may mean something else on another server."
        " int32 is the core type nearest to it.",
        f"`{schema.name}`.`t`: the native type time of 't' may mean something else on another server.",
    ]


def test_a_described_pipeline_is_declared_again_alike(schema: dj.Schema, backend: Backend) -> None:
    lab = declare_lab(schema)
    again = dj.Schema(backend.prefix + "again", connection=schema.connection)
    names: dict[str, Any] = {"dj": dj, "schema": again}
    source = schema.code.replace(f"dj.Schema({schema.name!r})", "schema").replace("schema = schema", "")
    exec(source, names)
    for name, cls in schema.classes.items():
        if "." in name:
            continue
        other = names[name]
        assert other().structure.heading.names == cls().structure.heading.names
        assert re.sub(r"\s+", " ", other.describe()) == re.sub(r"\s+", " ", cls.describe())
    assert lab.Session.heading.names == names["Session"].heading.names


def test_a_second_program_finds_the_declared_table_instead_of_declaring_it(
    schema: dj.Schema, backend: Backend
) -> None:
    declare_lab(schema)
    other = backend.connect()
    second = declare_lab(dj.Schema(schema.name, connection=other, create_tables=False))
    assert second.Session.heading.names == ["subject", "session", "session_date", "partner"]
    with pytest.raises(dj.errors.MissingTableError, match="create_tables"):

        @second.schema
        class Novel(dj.Manual):
            definition = "id : int32"

    other.close()


def test_a_schema_that_is_missing_is_named_with_its_neighbours(schema: dj.Schema) -> None:
    with pytest.raises(dj.errors.MissingTableError, match=f"Did you mean '{schema.name}'"):
        dj.Schema(schema.name + "x", connection=schema.connection, create_schema=False)


def test_a_waiting_schema_declares_when_it_is_activated(schema: dj.Schema) -> None:
    waiting = dj.Schema(connection=schema.connection)

    @waiting
    class Later(dj.Manual):
        definition = "later : int32"

        class Part(dj.Part):
            definition = "-> master\npart : int32"

    with pytest.raises(dj.errors.MissingTableError, match="activate"):
        Later()
    waiting.activate(schema.name)
    assert Later.Part.primary_key == ["later", "part"]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("id int32", 1, 1, "name : type"),
        ("id : int32\nId : int32", 2, 1, "'Id' is not a name"),
        ("id : int32\n---\n  1st : int32", 3, 3, "'1st' is not a name"),
        ("id : int32\n_hidden : int32", 2, 1, "underscore"),
        ("id : int32\nid : int8", 2, 1, "already defined in line 1"),
        ("id :", 1, 1, "no type"),
        ("id : int32\n---\nx : varchar(0)", 3, 5, "length must be"),
        ("id : int32\n---\nx : decimal(2,5)", 3, 5, "digits after the point"),
        ("id : int32\n---\nx = 300 : int8", 3, 5, "-128 … 127"),
        ("id : int32\n---\nx = 'Q' : enum('M','F')", 3, None, "is not one of 'M', 'F'"),
        ("id : int32\n---\nx : enum(M, F)", 3, 5, "in quotes"),
        ("id : int32\n---\nx : datetime(9)", 3, 5, "at most 6"),
        ("id : int32\n---\nx = 'a' : <blob>", 3, None, "only possible default is null"),
        (
            "id : int32\n---\nx = '12345678123456781234567812345678' : uuid",
            3,
            6,
            "only possible default is null",
        ),
        ("id : int32\n---\nx : <bl ob>", 3, 5, "not a codec"),
        ("id = null : int32", 1, 1, "cannot be null"),
        ("id : <blob>", 1, 6, "primary key"),
        ("id : json", 1, 6, "primary key"),
        ("-> [nullable] Parent", 1, 1, "cannot be nullable"),
        ("id : int32\n---\n-> [maybe] Parent", 3, 5, "'maybe' is not an option"),
        ("->", 1, 1, "names no table"),
        ("-> Parent & 'x=1'", 1, 4, "names a table"),
        ("-> __import__('os').system('true')", 1, 4, "names a table"),
        ("-> Parent.proj(a=1)", 1, 4, 'new="old"'),
        ('id : int32\n-> A.proj("b")', 2, 11, '"b" alone says nothing'),
        ('-> A.proj(c="d", b="d")', 1, 18, "names 'd' once"),
        ("id : int32 # : comment", 1, 12, "begins with a colon"),
        ("int9 : int9", 1, 8, "Did you mean 'int'"),
        ("id : int32\nindex (id, )", 2, 1, "commas between"),
        ("id : int32\nindex (lower(id))", 2, 8, "parentheses of its own"),
        ("id : int32\nindex (id # not closed", 2, 1, "not closed"),
        ("id : int32\nindex (Id)", 2, 8, "'Id' is not an attribute"),
        ("id : int32\n---\nx : itn32", 3, 5, "Did you mean 'int32'"),
        ("id : int32\n---\nx : int24", 3, 5, "'int24' is not a type"),
        ("id : int32\n---\n-> [nulable] Parent", 3, 5, "Did you mean 'nullable'"),
        ("\r\nid : int32\r\n\r\n  Id : int32", 4, 3, "'Id' is not a name"),
        ("# : comment\nid : int32", 1, 1, "colon"),
        ("", None, None, "empty"),
    ],
)
def test_a_definition_that_cannot_be_read_says_where_and_why(
    text: str, line: int | None, column: int | None, message: str
) -> None:
    with pytest.raises(dj.errors.DefinitionError, match=re.escape(message)) as caught:
        parse_definition(text)
    assert caught.value.line == line
    assert column is None or caught.value.column == column


def test_contradictions_between_tables_are_refused_before_anything_is_created(schema: dj.Schema) -> None:
    lab = declare_lab(schema)

    @schema
    class Rig(dj.Lookup):
        definition = "subject : varchar(12)"

    def refused(
        text: str, message: str, line: int, column: int, error: Any = dj.errors.DefinitionError
    ) -> None:
        with pytest.raises(error, match=message) as caught:
            schema(type("Wrong", (dj.Manual,), {"definition": text}), context={"lab": lab, "Rig": Rig})
        assert (caught.value.line, caught.value.column) == (line, column)
        assert f"(line {line}, column {column}: " in str(caught.value)

    unknown = dj.errors.UnknownAttributeError
    refused("-> lab.Subject\n-> Rig", r"different origin.*\.proj\(", 2, 4)
    refused("-> lab.Subject\n  subject : int32", "comes with a foreign key already", 2, 3)
    refused("subject : int32\n-> lab.Subject", r"of the type varchar\(12\).*of the type int32", 2, 4)
    refused("id : int32\n -> Subjekt", "no 'Subjekt' here", 2, 5)
    refused("-> Rigg", "Did you mean 'Rig'", 1, 4)
    refused("-> lab.Subjekt", "'lab' has no 'Subjekt'. Did you mean 'Subject'", 1, 4)
    refused("-> lab", "not a table", 1, 4)
    refused('-> lab.Subject.proj(subjekt="subjekt")', "Did you mean 'subject'", 1, 30, unknown)
    refused('-> lab.Session.proj(subject="session")', "an attribute 'subject' already", 1, 21)
    refused("id : int32\nindex (colour)", "'colour'", 2, 8, unknown)
    refused("id : int32\nindex (id, x)", "'x'", 2, 12, unknown)
    refused("id : int32\nindex ((lower(colour)))", "'colour'", 2, 15, unknown)
    refused("id : int32\nindex ((sleep(id)))", "cannot be made", 2, 8)
    refused("id : int32\nindex ((1 + 1))", "cannot be made", 2, 8)
    refused("id : int32\n---\nx: json\nindex (x)", "no index can hold", 4, 8)
    refused("id : int32\nindex (id.a)", "not json", 2, 8)
    refused("id : int32\n---\nx : <blub>", "<blub>.*Did you mean", 3, 5, dj.errors.UnknownCodecError)
    refused("id : int32\n---\nx : <object>", "@", 3, 5, dj.errors.DataJointError)
    assert "wrong" not in schema.list_tables()


def test_a_foreign_key_over_an_attribute_that_is_there_and_alike_takes_it(schema: dj.Schema) -> None:
    lab = declare_lab(schema)
    text = "subject : varchar(12)\nsession : int16\n-> lab.Subject\n---\n-> [nullable] lab.Subject.proj(other='subject')"
    table = schema(type("Own", (dj.Manual,), {"definition": text}), context={"lab": lab})
    for _ in range(2):
        assert table.heading["subject"].lineage == (schema.name, "subject", "subject")
        assert table.heading["session"].lineage == (schema.name, "own", "session")
        schema.connection.catalog.forget()


def test_a_key_of_its_own_in_a_computed_table_is_admitted_with_a_warning(
    schema: dj.Schema, caplog: pytest.LogCaptureFixture
) -> None:
    lab = declare_lab(schema)
    text = "-> lab.Subject\nextra : int32"
    schema(type("Several", (dj.Computed,), {"definition": text}), context={"lab": lab})
    assert "'extra' is a key of its own in a table of the tier Computed" in caplog.text


def test_what_is_not_a_table_class_is_refused(schema: dj.Schema) -> None:
    with pytest.raises(dj.errors.DefinitionError, match=r"inherit from dj\.Manual"):
        schema(type("Plain", (), {}))
    with pytest.raises(dj.errors.DefinitionError, match="CamelCase"):
        schema(type("lower_case", (dj.Manual,), {"definition": "id : int32"}))
    with pytest.raises(dj.errors.DefinitionError, match="decorate only the master"):
        schema(type("Alone", (dj.Part,), {"definition": "-> master"}))
    with pytest.raises(dj.errors.DefinitionError, match="64 characters"):
        schema(type("A" + "b" * 70, (dj.Manual,), {"definition": "id : int32"}))
    with pytest.raises(dj.errors.DefinitionError, match="no text named definition"):
        schema(type("Empty", (dj.Manual,), {}))


def test_declaring_inside_a_transaction_is_refused(schema: dj.Schema) -> None:
    with schema.connection.transaction, pytest.raises(dj.errors.DefinitionError, match="transaction"):
        schema(type("Inside", (dj.Manual,), {"definition": "id : int32"}))


def test_lookup_contents_are_filled_once_and_extended(schema: dj.Schema, backend: Backend) -> None:
    declare_lab(schema)
    other = dj.Schema(schema.name, connection=schema.connection)

    @other
    class Species(dj.Lookup):
        definition = "species : varchar(20)"
        contents = (("mouse",), ("rat",), ("fly",))

    assert Species.to_arrays("species", order_by="species").tolist() == ["fly", "mouse", "rat"]


def test_an_auto_increment_key_numbers_its_rows(schema: dj.Schema) -> None:
    @schema
    class Numbered(dj.Manual):
        definition = """
        id : int auto_increment
        ---
        text : varchar(10)
        """

    Numbered.insert([{"text": "a"}, {"text": "b"}])
    assert Numbered.to_dicts(order_by="id") == [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]
    assert "auto_increment" in Numbered.describe()


def test_names_of_tables_follow_datajoint(schema: dj.Schema) -> None:
    lab = declare_lab(schema)
    assert lab.Species.table_name == "#species"
    assert lab.Session.Trial.table_name == "session__trial"
    assert lab.Rate.table_name == "__rate"
    assert lab.Rate.Bin.table_name == "__rate__bin"
    assert schema.list_tables().index("session") < schema.list_tables().index("__rate")
    assert dj.FreeTable(schema.connection, f"{schema.name}.__rate").heading.names == [
        "subject",
        "session",
        "rate",
    ]


def test_drop_takes_dependents_and_leaves_nothing_behind(schema: dj.Schema) -> None:
    lab = declare_lab(schema)
    lab.Rate.jobs.refresh()
    with pytest.raises(dj.errors.IntegrityError, match="part"):
        lab.Session.Trial().drop()
    lab.Session().drop()
    assert set(schema.list_tables()) == {"#species", "subject"}
    assert not any(name.startswith("~~") for name in schema.connection.catalog.tables(schema.name))
    again = declare_lab(schema)
    assert len(again.Session()) == 0
    schema.drop()
    assert schema.name not in dj.list_schemas(schema.connection)


def test_a_schema_that_others_refer_to_is_not_dropped(schema: dj.Schema, backend: Backend) -> None:
    lab = declare_lab(schema)
    other = dj.Schema(backend.prefix + "other", connection=schema.connection)

    @other
    class Outside(dj.Manual):
        definition = "-> lab.Subject"

    assert lab
    with pytest.raises(dj.errors.QuerySyntaxError, match="outside"):
        schema.drop()
    other.drop()
    schema.drop()


def test_a_table_that_another_program_declared_meanwhile_is_used_as_it_is(
    backend: Backend, schema: dj.Schema
) -> None:
    schema.connection.catalog.tables(schema.name)
    other = backend.connect()
    theirs = type("Probe", (dj.Manual,), {"definition": "probe : int32\n---\nsite : varchar(8)"})
    dj.Schema(schema.name, connection=other)(theirs).insert1((1, "CA1"))
    other.close()

    @schema
    class Probe(dj.Manual):
        definition = """
        probe : int32
        ---
        site : varchar(40)
        """

    assert Probe.heading["site"].type == "varchar(8)"
    assert Probe.fetch1() == {"probe": 1, "site": "CA1"}


CONTENTS: dict[str, Callable[[], Any]] = {
    "structured array": lambda: np.array([("mouse", 4), ("fly", 6)], dtype=[("animal", "U10"), ("legs", "i4")]),
    "array of numbers": lambda: np.array([["mouse", 4], ["fly", 6]], dtype=object),
    "data frame": lambda: pd.DataFrame({"animal": ["mouse", "fly"], "legs": [4, 6]}),
    "data frame with its key as index": lambda: pd.DataFrame(
        {"animal": ["mouse", "fly"], "legs": [4, 6]}).set_index("animal"),
    "polars": lambda: pl.DataFrame({"animal": ["mouse", "fly"], "legs": [4, 6]}),
    "Arrow": lambda: pa.table({"animal": ["mouse", "fly"], "legs": [4, 6]}),
    "iterator": lambda: iter([("mouse", 4), ("fly", 6)]),
    "property": lambda: property(lambda self: pd.DataFrame({"animal": ["mouse", "fly"], "legs": [4, 6]})),
}  # fmt: skip


@pytest.mark.parametrize("form", CONTENTS)
def test_lookup_contents_may_be_in_any_form_that_is_inserted(schema: dj.Schema, form: str) -> None:
    body = {"definition": "animal : varchar(10)\n---\nlegs : int8", "contents": CONTENTS[form]()}
    table: Any = schema(type("Animal", (dj.Lookup,), body))
    assert table.to_dicts("legs") == [{"animal": "mouse", "legs": 4}, {"animal": "fly", "legs": 6}]


@pytest.mark.parametrize("contents", [None, (), [], np.empty(0, dtype=[("animal", "U10")]), pd.DataFrame()])
def test_lookup_contents_may_be_nothing(schema: dj.Schema, contents: Any) -> None:
    body = {"definition": "animal : varchar(10)", "contents": contents}
    assert len(schema(type("Animal", (dj.Lookup,), body))()) == 0
