"""Which types and defaults a definition may have is told before any server is asked, and alike for all of them."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core.definition import parse_definition
from dj_panel.core.errors import DefinitionError
from dj_panel.core.structure import TableName

REFUSED = {
    "varchar": "needs a length in parentheses. Write varchar(255)",
    "char": "needs a length in parentheses. Write char(8)",
    "varbinary": "needs a length",
    "int 32": "did you mean int32?",
    "datetime 3": "did you mean datetime(3)?",
    "varchar 20": "needs a length",
    "int32 unsigned": "int unsigned is a native type",
    "float64 unsigned": "'unsigned' cannot follow float64",
    "int signed": "only unsigned, zerofill, auto_increment may",
    "int unsigned unsigned": "'unsigned' cannot follow int",
    "int32 null": "write = null before the colon",
    "int32 not null": "needs a value unless",
    "int32 default 5": "name = default : type",
    "varchar(9) unique": "unique index (name)",
    "int comment 'x'": "after a #",
    "varchar(20) character set latin1": "'character' cannot follow varchar",
    "int8(3)": "int8 takes nothing in parentheses",
    "bool(1)": "bool takes nothing in parentheses",
    "uuid(16)": "uuid takes nothing in parentheses",
    "date(3)": "date takes nothing in parentheses",
    "text(100)": "text takes nothing in parentheses",
    "blob(10)": "blob takes nothing in parentheses",
    "int()": "something else than int takes",
    "int(1, 2)": "something else than int takes",
    "int(256)": "at most 255",
    "char(a)": "something else than char takes",
    "char(5, 2)": "something else than char takes",
    "char(0)": "from 1 to 255",
    "char(300)": "from 1 to 255. Write varchar(300)",
    "binary(300)": "from 1 to 255. Write varbinary(300)",
    "varchar(0)": "from 1 to 16383",
    "varchar(-1)": "something else than varchar takes",
    "varchar(٣)": "something else than varchar takes",
    "varchar(70000)": "from 1 to 16383. For longer text use the native type text",
    "varbinary(70000)": "Write bytes for more",
    "decimal(70, 2)": "from 1 to 65 digits",
    "decimal(0, 0)": "from 1 to 65 digits",
    "decimal(2, 5)": "after the point cannot be more than 2",
    "decimal(65, 31)": "after the point cannot be more than 30",
    "decimal(5, 2, 1)": "something else than decimal takes",
    "decimal(5, -2)": "something else than decimal takes",
    "datetime(9)": "at most 6 digits",
    "timestamp(7)": "at most 6 digits",
    "time(7)": "at most 6 digits",
    "datetime()": "Write datetime or datetime(3)",
    "year(2)": "Write year",
    "float(60)": "Write float64",
    "float(3, 5)": "cannot be more than 3",
    "double(3)": "Write float64",
    "enum": "needs its choices",
    "enum()": "no choices",
    "enum('a', 'a')": "names a choice twice",
    "enum('a',)": "something else than choices",
    "enum('a' 'b')": "cannot be read",
    "enum('a') x": "something else than choices",
    "enum(a)": "write each in quotes",
    "enum('a ')": "ends with a space",
    f"enum('{'x' * 256}')": "255 is the most",
    "boolean": "Write bool",
    "serial": "Write bigint unsigned auto_increment",
    "jsonb": "Write json",
    "set('a', 'b')": "a part table",
    "string": "Write varchar(255)",
    "varchr(20)": "Did you mean 'varchar'",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_type_that_no_server_declares_is_refused_with_its_place_and_what_to_write(kind: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(REFUSED[kind])) as caught:
        parse_definition(f"id : int32\n---\n  a_varchar_int : {kind}  # comment")
    assert (caught.value.line, caught.value.column) == (3, 19)


def declared(schema: dj.Schema, text: str) -> Any:
    return schema(type("Thing", (dj.Manual,), {"definition": text}), context={})


def test_what_the_language_admits_every_server_declares(schema: dj.Schema) -> None:
    words = ["int8", "int16", "int32", "int64", "float32", "float64", "bool", "uuid", "json", "bytes", "date",
             "datetime", "char", "varchar", "decimal", "numeric", "dec", "fixed", "tinyint", "smallint", "mediumint",
             "int", "integer", "bigint", "float", "double", "real", "timestamp", "time", "year", "tinytext", "text",
             "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "binary", "varbinary", "bit",
             "boolean", "INT32", "VarChar"]  # fmt: skip
    inside = ["", "()", "(0)", "(1)", " (2)", "(4)", "(7)", "(25)", "(54)", "(66)", "(255)", "(256)", "(5,2)",
              "( 65 , 30 )", "(2,5)", "(65,31)", "(255,30)", "(5,2,1)", "(x)"]  # fmt: skip
    behind = ["", " unsigned", " zerofill", " UNSIGNED zerofill", " signed", " 3", " not null"]
    kinds = [a + b + c for a, b, c in product(words, inside, behind)]
    kinds += ["enum('a')", "ENUM ('A', \"b's\")", f"enum('{'x' * 255}')", "enum('')", "enum('a','A')"]
    admitted = []
    for kind in kinds:
        try:
            parse_definition(f"id : int32\n---\na = null : {kind}")
        except DefinitionError:
            continue
        admitted.append(kind)
    assert len(admitted) > 150
    for first in range(0, len(admitted), 40):
        lines = [f"a{i} = null : {kind}" for i, kind in enumerate(admitted[first : first + 40])]
        table = declared(schema, "\n".join(["id : int32", "---", *lines]))
        table.insert1({"id": 1})
        schema.connection.catalog.forget()
        assert len(table.heading.names) == len(lines) + 1
        parse_definition(table.describe())
        table().drop_quick()


DEFAULTS = {
    "now : datetime": "write CURRENT_TIMESTAMP",
    "now() : datetime": "write CURRENT_TIMESTAMP",
    "NOW(3) : datetime(3)": "write CURRENT_TIMESTAMP(3)",
    "CURRENT_DATE : date": "write CURRENT_TIMESTAMP",
    "CURRENT_TIMESTAMP(9) : datetime(6)": "write CURRENT_TIMESTAMP(6)",
    "CURRENT_TIMESTAMP : int32": "the type int32 does not hold",
    "CURRENT_TIMESTAMP : varchar(30)": "the type varchar(30) does not hold",
    "CURRENT_TIMESTAMP : time": "the type time does not hold",
    "CURRENT_TIMESTAMP : enum('a')": "does not hold",
    "300 : tinyint": "-128 … 127",
    "-1 : int unsigned": "0 … 4294967295",
    "-1 : int zerofill": "0 … 4294967295",
    "abc : float": "not a number",
    "true : tinyint": "not a whole number",
    "1.234 : decimal(5,2) unsigned": "more than 2 digits after the point",
    "'' : int32": "not a whole number",
    "1800 : year": "1901 … 2155",
    "'900:00:00' : time": "838:59:59",
    "'1901-01-01' : timestamp": "write datetime",
    "'2099-01-01' : timestamp": "write datetime",
    "'0000-00-00' : date": "not a date",
    "'abcdef' : char(3)": "longer than 3",
    "x : blob": "only possible default is null",
    "5 : int auto_increment": "the server numbers the rows",
    "{} : json": "only possible default is null",
}


@pytest.mark.parametrize("text", DEFAULTS)
def test_a_default_that_does_not_fit_its_type_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(DEFAULTS[text])) as caught:
        parse_definition(f"id : int32\n---\nnow_abc_x = {text}")
    quoted = text.startswith("'") and not text.startswith("''")
    assert (caught.value.line, caught.value.column) == (
        3,
        14 if quoted else 11 if text.startswith("''") else 13,
    )


def test_defaults_that_the_language_admits_are_what_rows_get(schema: dj.Schema) -> None:
    # what Python reads as a time and no server does, too
    values = {
        "+5 : int32": 5, "' 5' : int8": 5, "yes : bool": 1, "'1e3' : float64": 1000.0, "007 : int zerofill": 7,
        "'2026-W01-3' : date": "2025-12-31", "20260102 : date": "2026-01-02",
        "'2026-01-02T03:04' : datetime": "2026-01-02 03:04:00", "'12:30' : time": "12:30:00",
        "'2026-01-02' : timestamp": "2026-01-02 00:00:00", "'x' : text": "x", "'it''s' : varchar(9)": "it's",
        "1999 : year": 1999, "1.5 : decimal(5,2)": "1.50", "\"a\" : enum('a')": "a", "user() : varchar(30)": "user()",
    }  # fmt: skip
    lines = [f"a{i} = {text}" for i, text in enumerate(values)]
    table = declared(schema, "\n".join(["id : int32", "---", *lines]))
    table.insert1({"id": 1})
    found = table.fetch1()
    assert {text: str(found[f"a{i}"]) for i, text in enumerate(values)} == {
        t: str(v) for t, v in values.items()
    }


def test_an_attribute_that_a_server_cannot_number_is_refused(schema: dj.Schema) -> None:
    numbered = "n : int auto_increment"
    for text in [
        f"id : int32\n---\n{numbered}",
        f"id : int32\n{numbered}",
        f"{numbered}\n---\nm : int auto_increment",
    ]:
        with pytest.raises(DefinitionError, match="cannot be numbered") as caught:
            declared(schema, text)
        assert caught.value.text in (numbered, "m : int auto_increment")
    # what only servers number
    for text in [f"{numbered}\nid : int32", f"id : int32\n---\n{numbered}\nindex (n)"]:
        if schema.connection.dialect.numbers_only_keys:
            with pytest.raises(DefinitionError, match="whole primary key"):
                declared(schema, text)
            continue
        table = declared(schema, text)
        table.insert([{"id": 5}, {"id": 6}])
        assert table.to_arrays("n", order_by="n").tolist() == [1, 2]
        table().drop_quick()


def test_tables_of_others_with_types_that_no_definition_may_have_are_opened(schema: dj.Schema) -> None:
    if schema.connection.dialect.name == "sqlite":
        return  # they are of other programs, which share no embedded database
    table = schema.connection.dialect.table(TableName(schema.name, "old"))
    schema.connection.query(
        f"CREATE TABLE {table} (id int PRIMARY KEY, a varchar(0), b varchar(20000) CHARACTER SET latin1,"
        " c bit(3), d set('a', 'b'), e decimal(38, 35)) CHARACTER SET latin1"
    )
    old = dj.FreeTable(schema.connection, f"{schema.name}.old")
    old.insert1({"id": 1, "a": "", "b": "x" * 20_000})
    assert len(old.fetch1("b")) == 20_000
    assert "varchar(20000)" in old.describe()
