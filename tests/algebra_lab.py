"""Four tables that refer to each other in every way, with fixed rows, for queries that are written down."""

from __future__ import annotations

from typing import Any

import dj_panel as dj
from tests.algebra_model import Rows

SPECIES = [("mouse", 1), ("rat", None), ("fly", 2)]
SUBJECTS = [
    ("M1", "mouse", 3, "a"),
    ("M2", "mouse", None, None),
    ("M3", None, 3, "B"),
    ("M4", "rat", -1, "it's"),
]
SESSIONS = [
    ("M1", 1, 5, "M2"),
    ("M1", 2, None, None),
    ("M2", 1, 5, "M2"),
    ("M3", 1, 0, "M4"),
    ("M3", 3, 7, None),
]
TRIALS = [
    ("M1", 1, 1, 1, "a"), ("M1", 1, 2, None, None), ("M1", 2, 1, 5, ""), ("M2", 1, 1, 5, "a"),
    ("M3", 1, 1, None, "é"), ("M3", 1, 2, 2, "x%"), ("M3", 3, 9, 1, "b"),
]  # fmt: skip


def declare(schema: dj.Schema) -> dict[str, Any]:
    """Declare and fill the tables."""

    @schema
    class Species(dj.Manual):
        definition = """
        species : varchar(8)
        ---
        legs = null : int32
        """

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : varchar(8)
        ---
        -> [nullable] Species
        weight = null : int32
        tag = null : varchar(8)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        ---
        score = null : int32
        -> [nullable] Subject.proj(partner="subject")
        """

    @schema
    class Trial(dj.Manual):
        definition = """
        -> Session
        trial : int32
        ---
        outcome = null : int32
        word = null : varchar(8)
        """

    for table, rows in ((Species, SPECIES), (Subject, SUBJECTS), (Session, SESSIONS), (Trial, TRIALS)):
        table.insert(rows)
    return {"species": Species, "subject": Subject, "session": Session, "trial": Trial}


def model() -> dict[str, Rows]:
    """Return the same tables in memory."""

    def rows(key: list[str], types: dict[str, str], lineage: dict[str, str], values: list[Any]) -> Rows:
        full = {n: lineage.get(n) for n in types}
        return Rows(key, types, full, [dict(zip(types, row, strict=True)) for row in values])

    subject = {"subject": "subject"}
    session = {**subject, "session": "session"}
    return {
        "species": rows(["species"], {"species": "str", "legs": "int"}, {"species": "species"}, SPECIES),
        "subject": rows(
            ["subject"],
            {"subject": "str", "species": "str", "weight": "int", "tag": "str"},
            {**subject, "species": "species"},
            SUBJECTS,
        ),
        "session": rows(
            ["subject", "session"],
            {"subject": "str", "session": "int", "score": "int", "partner": "str"},
            {**session, "partner": "subject"},
            SESSIONS,
        ),
        "trial": rows(
            ["subject", "session", "trial"],
            {"subject": "str", "session": "int", "trial": "int", "outcome": "int", "word": "str"},
            {**session, "trial": "trial"},
            TRIALS,
        ),
    }
