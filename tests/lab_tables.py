"""A small pipeline of every tier that tests declare where they like."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dj_panel as dj


def declare_lab(schema: dj.Schema) -> Any:
    """Declare the tables in a schema and return their classes by name."""

    @schema
    class Species(dj.Lookup):
        definition = """
        species : varchar(20)
        """
        contents = (("mouse",), ("rat",))

    @schema
    class Subject(dj.Manual):
        definition = """
        # an animal
        subject : varchar(12)
        ---
        -> Species
        sex = "U" : enum('M', 'F', 'U')
        birth = null : date
        weight = null : decimal(5, 2)    # g
        uid = null : uuid
        meta = null : json
        unique index (uid)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        session_date : date
        -> [nullable] Subject.proj(partner="subject")
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int16
            ---
            outcome = null : float64
            """

    @schema
    class Rate(dj.Computed):
        definition = """
        -> Session
        ---
        rate : float64
        """

        class Bin(dj.Part):
            definition = """
            -> master
            bin : int16
            """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "rate": key["session"] * 1.5})
            self.Bin.insert({**key, "bin": i} for i in range(3))

    return SimpleNamespace(schema=schema, Species=Species, Subject=Subject, Session=Session, Rate=Rate)


def fill_lab(lab: Any, subjects: int = 2, sessions: int = 3, trials: int = 2) -> Any:
    """Insert subjects, sessions and trials, and return the tables."""
    names = [f"M{i}" for i in range(1, subjects + 1)]
    lab.Subject.insert({"subject": name, "species": "mouse"} for name in names)
    keys = [{"subject": name, "session": i} for name in names for i in range(1, sessions + 1)]
    lab.Session.insert({**key, "session_date": f"2026-01-{key['session']:02d}"} for key in keys)
    lab.Session.Trial.insert({**key, "trial": i, "outcome": i / 2} for key in keys for i in range(trials))
    return lab
