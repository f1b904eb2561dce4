"""A foreign-key cycle is refused at declaration, and the refusal shows it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend


def declare(schema: dj.Schema, class_name: str, definition: str, **context: Any) -> Any:
    return schema(type(class_name, (dj.Manual,), {"definition": definition}), context=context)


@pytest.fixture
def other(schema: dj.Schema, backend: Backend) -> dj.Schema:
    return dj.Schema(backend.prefix + "other", connection=schema.connection)


def forget_table(table: Any) -> None:
    """Drop a table from under those that refer to it, as a program may that has the server check nothing."""
    connection = table().connection
    on_file = connection.dialect.name == "sqlite"
    for state in (0, 1):
        connection.query(f"PRAGMA foreign_keys = {state}" if on_file else f"SET foreign_key_checks = {state}")
        if state == 0:
            table().drop_quick()
    connection.catalog.forget()


def test_a_table_that_refers_to_itself_is_refused(schema: dj.Schema) -> None:
    with pytest.raises(dj.errors.GraphError, match="form a cycle: Node → Node"):
        declare(schema, "Node", "node : int32\n---\n-> [nullable] Node.proj(parent='node')")
    assert schema.list_tables() == []


def test_classes_that_refer_to_each_other_are_refused(
    schema: dj.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = dj.Schema(connection=schema.connection)
    module = ModuleType("a_cyclic_pipeline")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name, parent in (("Apple", "Pear"), ("Pear", "Plum"), ("Plum", "Apple")):
        body = {"definition": f"-> {parent}\n{name.lower()} : int32", "__module__": module.__name__}
        setattr(module, name, waiting(type(name, (dj.Manual,), body)))
    with pytest.raises(dj.errors.GraphError, match="cycle: Apple → Pear → Plum → Apple"):
        waiting.activate(schema.name)
    assert schema.list_tables() == []


def test_a_cycle_through_waiting_foreign_keys_of_other_schemas_is_refused(
    schema: dj.Schema, other: dj.Schema
) -> None:
    a = declare(schema, "A", "a : int32")
    b = declare(other, "B", "-> A", A=a)
    c = declare(other, "C", "-> B\nc : int32", B=b)
    forget_table(a)
    lab, far = schema.name, other.name
    with pytest.raises(dj.errors.GraphError, match=f"cycle: {lab}.A → {far}.C → {far}.B → {lab}.A"):
        declare(schema, "A", "a : int32\n---\n-> C.proj(x='a', y='c')", C=c)
    with pytest.raises(dj.errors.GraphError, match=f"cycle: {lab}.A → {far}.B → {lab}.A"):
        declare(schema, "A", "a : int32\n---\n-> B.proj(x='a')", B=b)
    assert schema.list_tables() == []
    declare(schema, "A", "a : int32")
    assert schema.connection.catalog.graph_with_children().order


def test_a_cycle_within_one_schema_is_printed(schema: dj.Schema) -> None:
    a = declare(schema, "A", "a : int32")
    b = declare(schema, "B", "-> A", A=a)
    forget_table(a)
    with pytest.raises(dj.errors.GraphError, match=f"{schema.name}.A → {schema.name}.B → {schema.name}.A"):
        declare(schema, "A", "a : int32\n---\n-> B.proj(x='a')", B=b)


def test_schemas_that_would_depend_on_each_other_are_refused(
    schema: dj.Schema, other: dj.Schema, backend: Backend
) -> None:
    third = dj.Schema(backend.prefix + "third", connection=schema.connection)
    a = declare(schema, "A", "a : int32")
    b = declare(other, "B", "-> A", A=a)
    c = declare(third, "C", "-> B", B=b)
    cycle = " → ".join([schema.name, third.name, other.name, schema.name])
    with pytest.raises(dj.errors.GraphError, match=f"{cycle}. Put the table into the schema {third.name}"):
        declare(schema, "Back", "back : int32\n---\n-> C", C=c)
    assert schema.list_tables() == ["a"]
    declare(third, "Back", "back : int32\n---\n-> C", C=c)
    declare(third, "Again", "-> A\n-> C.proj(other='a')", A=a, C=c)
