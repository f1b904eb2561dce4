"""A small pipeline for the tests of entering rows, with every kind of field and of foreign key."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline, app_name
from dj_panel.apps.services import Services

__all__ = ["HOSTILE", "Lab", "declare", "pipeline_of"]

HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"


class Lab:
    """The services of one schema, with short names of its tables."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.schema = services.tables()[0].schema

    def name(self, table: str) -> str:
        """Return the name by which pages call a table."""
        return f"{self.schema}.{table}"

    def rows(self, table: str) -> Any:
        """Return all rows of a table."""
        return self.services.pipeline[self.name(table)]()


def declare(schema: dj.Schema) -> Pipeline:
    """Declare the tables and return the pipeline that they make."""

    @schema
    class Species(dj.Lookup):
        definition = f"""
        # {HOSTILE} species
        species : varchar(32)
        """
        contents = (("mouse",), ("rat",))

    @schema
    class Person(dj.Manual):
        definition = """
        person : varchar(16)
        ---
        full_name = "" : varchar(60)
        """

    @schema
    class Subject(dj.Manual):
        definition = f"""
        # Animals
        subject_id : varchar(8)      # for example M042
        ---
        -> Species
        sex = "U" : enum('M', 'F', 'U')
        birth = null : date
        weight = null : decimal(5,2) # body weight (g)
        temperature = null : float64 # (°C) rectal
        tag = null : varchar(12)     # {HOSTILE} number
        big = null : int64
        is_active = 1 : bool
        uid = null : uuid
        settings = null : json
        remarks = "" : varchar(400)
        created = CURRENT_TIMESTAMP : datetime
        trace = null : <blob>
        photo = null : <attach>
        unique index (tag)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int8
        ---
        day : date
        -> [nullable] Person.proj(operator="person")
        """

        class Note(dj.Part):
            definition = """
            # What was seen
            -> master
            note : int16
            ---
            -> Person.proj(author="person")
            note_text : varchar(100)
            """

    @schema
    class Consent(dj.Manual):
        definition = """
        consent : int32
        ---
        -> [unique] Subject
        """

    @schema
    class Probe(dj.Manual):
        definition = """
        -> Session
        probe : int16
        ---
        -> [nullable] Session.proj(earlier_session="session")
        """

    @schema
    class Total(dj.Computed):
        definition = """
        -> Session
        ---
        total : float64
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "total": 1.0})

    return pipeline_of(schema)


def pipeline_of(schema: dj.Schema, title: str = "Test lab") -> Pipeline:
    """Return the pipeline of one schema's classes."""
    places = {cls().name: cls for cls in schema.classes.values()}
    connection = schema.connection
    connection.catalog.tables(schema.name)
    order = [name for name in connection.catalog.graph_with_children().order if name in places]
    classes = MappingProxyType({app_name(name): places[name] for name in order})
    return Pipeline(title, connection, classes)
