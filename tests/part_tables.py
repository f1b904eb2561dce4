"""A small pipeline for the tests of parts: rows with files, and rows that others depend on."""

from __future__ import annotations

from typing import Any

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline
from tests.entry_tables import pipeline_of

__all__ = ["declare_runs"]


def declare_runs(schema: dj.Schema) -> Pipeline:
    """Declare the tables and return the pipeline that they make."""

    @schema
    class Person(dj.Manual):
        definition = """
        person : varchar(16)
        """

    @schema
    class Run(dj.Manual):
        definition = """
        # One run of the rig
        subject : varchar(8)
        run : int16
        ---
        remark = "" : varchar(60)
        """

        class Trial(dj.Part):
            definition = """
            # What was tried
            -> master
            trial : int16
            ---
            -> [nullable] Person
            outcome = null : float64     # (s)
            tag = null : varchar(12)
            label = "" : varchar(4000)
            trace = null : <blob>
            unique index (tag)
            """

        class Event(dj.Part):
            definition = """
            -> Run.Trial
            -> master
            event : int16
            ---
            kind : varchar(10)
            mood = null : enum('calm', 'wild')
            """

        class Image(dj.Part):
            definition = """
            -> master
            image : int16
            ---
            pixels : <blob>
            """

    @schema
    class Score(dj.Manual):
        definition = """
        -> Run.Trial
        ---
        points : int16
        """

    @schema
    class Rate(dj.Computed):
        definition = """
        -> Run.Trial
        ---
        rate : float64
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "rate": 1.0})

    return pipeline_of(schema, "Runs")
