"""Classes are made of tables that have none, and behave like those that were written."""

from __future__ import annotations

from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    return fill_lab(declare_lab(schema))


def test_a_virtual_schema_has_every_table_with_its_tier_and_parts(lab: Any) -> None:
    virtual = dj.virtual_schema(lab.schema.name, connection=lab.schema.connection)
    assert issubclass(virtual.Species, dj.Lookup)
    assert issubclass(virtual.Subject, dj.Manual)
    assert issubclass(virtual.Rate, dj.Computed)
    assert issubclass(virtual.Session.Trial, dj.Part)
    assert virtual.Session.Trial().master is virtual.Session
    assert virtual.Session.to_dicts(order_by="KEY") == lab.Session.to_dicts(order_by="KEY")
    assert virtual.Session.heading.names == lab.Session.heading.names
    assert len(virtual.Session * virtual.Subject & lab.Session.Trial) == 6
    virtual.Subject.insert1({"subject": "M9", "species": "rat"})
    assert {"subject": "M9"} in lab.Subject()


def test_classes_are_made_into_a_namespace_without_replacing_anything(lab: Any, backend: Backend) -> None:
    names: dict[str, Any] = {"Session": 1}
    other = backend.connect()
    made = dj.Schema(lab.schema.name, connection=other).make_classes(names)
    assert names["Session"] == 1
    assert len(names["Subject"]) == 2
    assert set(made) == {"Species", "Subject", "Session", "Rate"}
    other.close()


def test_new_tables_may_refer_to_virtual_ones(lab: Any, backend: Backend) -> None:
    other = backend.connect()
    virtual = dj.virtual_schema(lab.schema.name, connection=other)
    schema = dj.Schema(backend.prefix + "more", connection=other)

    @schema
    class Note(dj.Manual):
        definition = """
        -> virtual.Session.Trial
        ---
        text : varchar(50)
        """

    Note.insert1({"subject": "M1", "session": 1, "trial": 1, "text": "x"})
    assert len(Note * virtual.Session) == 1
    assert f"{lab.schema.name}.Session.Trial" in Note.describe()
    (lab.Session & {"subject": "M1"}).delete()
    assert len(Note) == 0
    other.close()


def test_a_schema_gives_its_tables_by_name(lab: Any) -> None:
    schema = lab.schema
    assert len(schema["Session"]) == len(schema["session"]) == 6
    assert len(schema["Session.Trial"]) == 12
    assert "Session" in schema
    assert "Sesion" not in schema
    with pytest.raises(dj.errors.MissingTableError, match="Did you mean 'Session'"):
        schema["Sesion"]
    assert [table.table_name for table in schema] == schema.list_tables()
    assert schema.exists
    assert schema.name in dj.list_schemas(schema.connection)


def test_a_virtual_schema_that_is_missing_is_not_created(lab: Any, backend: Backend) -> None:
    with pytest.raises(dj.errors.MissingTableError, match="no schema"):
        dj.virtual_schema(backend.prefix + "nothing", connection=lab.schema.connection)
    assert backend.prefix + "nothing" not in dj.list_schemas(lab.schema.connection)


def test_relatives(lab: Any) -> None:
    def names(tables: list[Any]) -> list[str]:
        return [table.table_name for table in tables]

    assert names(lab.Session.parents(as_objects=True)) == ["subject", "subject"]
    assert names(lab.Session.parents(primary=False, as_objects=True)) == ["subject"]
    assert set(names(lab.Session.children(as_objects=True))) == {"session__trial", "__rate"}
    assert names(lab.Rate.Bin.ancestors(as_objects=True)) == [
        "__rate__bin",
        "__rate",
        "session",
        "subject",
        "#species",
    ]
    assert names(lab.Session.parts(as_objects=True)) == ["session__trial"]
    assert set(names(lab.Subject.descendants(as_objects=True))) == {
        "subject", "session", "session__trial", "__rate", "__rate__bin",
    }  # fmt: skip
    (parent, key) = lab.Session.parents(primary=False, foreign_key_info=True)[0]
    assert parent == lab.Subject().full_table_name
    assert key == {"primary": False, "attr_map": {"partner": "subject"}, "aliased": True, "multi": True}
