"""A small lab: the same tables for both programs, the animals that are in them, and many rows for either server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dj_panel
from dj_panel.core.connection import Connection
from dj_panel.core.settings import Settings
from tests.servers import MariaDBServer

__all__ = [
    "N_CHANNELS",
    "SCHEMA",
    "SPECIES",
    "SUBJECTS",
    "Place",
    "declare_lab",
    "declare_readings",
    "fill_readings",
    "fill_subjects",
    "mariadb",
    "serving",
    "sqlite",
]

SCHEMA = "bench_lab"
SPECIES = ("mouse", "rat")
SUBJECTS = tuple(f"M{number:03d}" for number in range(40, 100))
N_CHANNELS = 4096

# One statement each: the server counts, and nothing is sent. `i` runs from 0.
_COUNTED = {
    "sqlite": """
        INSERT INTO "{schema}.{table}" ({names})
        WITH RECURSIVE counted(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counted WHERE i < {n_rows} - 1)
        SELECT {columns} FROM counted
    """,
    "mysql": """
        INSERT INTO `{schema}`.`{table}` ({names})
        SELECT {columns} FROM (SELECT seq - 1 AS i FROM `{schema}`.seq_1_to_{n_rows}) AS counted
    """,
}


@dataclass(frozen=True)
class Place:
    """A database that is thrown away.

    Parameters
    ----------
    title
        What it is called in the table of figures.
    backend
        ``"sqlite"`` or ``"mysql"``.
    environment
        The variables that lead `dj_panel` to it.
    """

    title: str
    backend: str
    environment: dict[str, str]

    def connect(self) -> Connection:
        """Return a new connection to it."""
        settings = Settings()
        settings.load_environment(self.environment)
        settings.safemode = False
        return Connection(settings)


def sqlite(folder: Path) -> Place:
    """Return a place in a file of a folder."""
    return Place("SQLite", "sqlite", {"DJ_BACKEND": "sqlite", "DJ_DATABASE_NAME": str(folder / "lab.db")})


def mariadb(server: MariaDBServer) -> Place:
    """Return the place that a server is."""
    address = {"HOST": server.host, "PORT": str(server.port), "USER": server.user, "PASS": server.password}
    named = {f"DJ_{name}": value for name, value in address.items()}
    return Place("MariaDB", "mysql", {"DJ_BACKEND": "mysql", **named})


def declare_lab(connection: Connection, subjects: Sequence[str] = SUBJECTS) -> Any:
    """Declare the tables, put animals into them, and return the schema."""
    schema = dj_panel.Schema(SCHEMA, connection=connection)

    @schema
    class Species(dj_panel.Lookup):
        definition = "species : varchar(32)"
        contents = tuple((name,) for name in SPECIES)

    @schema
    class Subject(dj_panel.Manual):
        definition = """
        subject : varchar(16)
        ---
        -> Species
        sex = "U" : enum('M', 'F', 'U')
        birth = null : date
        weight = null : decimal(5,2)
        """

    @schema
    class Session(dj_panel.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        day : date
        remark = "" : varchar(200)
        """

        class Note(dj_panel.Part):
            definition = """
            -> master
            note : int16
            ---
            note_text : varchar(200)
            """

    Subject.insert({"subject": subject, "species": SPECIES[0]} for subject in subjects)
    return schema


def declare_readings(connection: Connection) -> Any:
    """Declare a table that will be long, with two indexes, and return its schema."""
    schema = dj_panel.Schema(f"{SCHEMA}_long", connection=connection)

    @schema
    class Reading(dj_panel.Manual):
        definition = """
        reading : int32
        ---
        channel : int16
        value : float64
        label : varchar(32)
        taken : datetime
        index (taken)
        index (channel)
        """

    return schema


def fill_subjects(connection: Connection, n_rows: int) -> None:
    """Add animals ``P000000``, ``P000001``, …."""
    text = {"sqlite": "printf('P%06d', i)", "mysql": "CONCAT('P', LPAD(i, 6, '0'))"}
    _fill(connection, SCHEMA, "subject", n_rows, subject=text, species=f"'{SPECIES[0]}'", sex="'U'")


def fill_readings(connection: Connection, n_rows: int) -> None:
    """Fill the long table; neither index has the order of the key."""
    taken = {
        "sqlite": f"datetime('2020-01-01', '+' || (i * 7919 % {n_rows}) || ' seconds')",
        "mysql": f"'2020-01-01' + INTERVAL (i * 7919 % {n_rows}) SECOND",
    }
    label = {"sqlite": "'r' || i % 1000", "mysql": "CONCAT('r', i % 1000)"}
    _fill(
        connection,
        f"{SCHEMA}_long",
        "reading",
        n_rows,
        reading="i",
        channel=f"i * 31 % {N_CHANNELS}",
        value="i * 0.001",
        label=label,
        taken=taken,
    )


def _fill(
    connection: Connection, schema: str, table: str, n_rows: int, **columns: str | dict[str, str]
) -> None:
    backend = connection.settings.backend
    texts = [text if isinstance(text, str) else text[backend] for text in columns.values()]
    statement = _COUNTED[backend].format(
        schema=schema, table=table, n_rows=n_rows, names=", ".join(columns), columns=", ".join(texts)
    )
    if backend == "sqlite":
        # The indexes are written in another order than the rows; this much of them is kept in memory.
        connection.query("PRAGMA cache_size = -1000000")
    connection.query(statement if backend == "sqlite" else statement.replace("%", "%%"))


@contextmanager
def serving(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Run a Python program that says where it is, as "… is at http://…"; give that address, and end it at the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DJ_")}
    root = str(Path(__file__).parents[1])
    with (
        (folder / "served.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**inherited, **(environment or {}), "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield _address(process)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    for line in process.stdout or ():
        if " is at http" in line:
            return line.split()[-1]
    raise RuntimeError(f"The program ended with status {process.wait()} before it served anything.")
