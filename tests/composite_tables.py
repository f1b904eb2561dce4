"""A small pipeline for the tests of forms whose foreign keys have several attributes."""

from __future__ import annotations

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline
from tests.entry_tables import pipeline_of

__all__ = ["declare_composite"]


def declare_composite(schema: dj.Schema) -> Pipeline:
    """Declare the tables and return the pipeline that they make."""

    @schema
    class Species(dj.Lookup):
        definition = """
        species : varchar(16)
        """
        contents = (("mouse",), ("rat",), ("gerbil",))

    @schema
    class Subject(dj.Manual):
        definition = """
        -> Species
        subject : varchar(16)
        ---
        tag = null : varchar(16)
        unique index (tag)
        """

    @schema
    class Place(dj.Lookup):
        definition = """
        building : varchar(8)
        floor : int16
        rig : varchar(8)
        """
        contents = (("A", 1, "r1"), ("A", 2, "r2"), ("B", 2, "r2"))

    @schema
    class Weighing(dj.Manual):
        definition = """
        -> Subject
        day : date
        ---
        remarks = null : varchar(400)
        weight = null : decimal(5,2)   # body weight in g
        photo = null : <attach>
        -> [nullable] Place
        """

    @schema
    class Pairing(dj.Manual):
        definition = """
        pairing : int16
        ---
        -> Subject.proj(species_a="species", subject_a="subject")
        -> Subject.proj(species_b="species", subject_b="subject")
        """

    return pipeline_of(schema)
