"""Rows in, rows out: inserting from dicts, frames and Arrow tables, and a cascade over four levels."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import datajoint
import pandas as pd
import pyarrow as pa

import dj_panel
from benchmarks.harness import Reading, Row, Timer, measure
from dj_panel.core.connection import Connection
from dj_panel.core.settings import Settings

__all__ = ["cascade", "insert_dicts", "insert_frames", "insert_into_sqlite", "statements_of_a_deletion"]

N_ROWS = 100_000
CHUNK = 5000
DEFINITION = """
reading : int32
---
channel : int16
value : float64
label : varchar(32)
taken : datetime
"""
Execute = Callable[..., Any]


def _rows(n_rows: int) -> list[dict[str, Any]]:
    return [
        {
            "reading": i,
            "channel": i % 64,
            "value": i * 0.5,
            "label": f"r{i}",
            "taken": f"2026-01-02 03:{i // 60 % 60:02d}:{i % 60:02d}",
        }
        for i in range(n_rows)
    ]


def _declare(schema: str, connection: Connection) -> Any:
    class Reading(dj_panel.Manual):
        definition = DEFINITION

    return dj_panel.Schema(schema, connection=connection)(Reading)


def _packed(execute: Execute, schema: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert with statements of many rows, as one writes them with the driver alone."""
    mark = "(" + ",".join(["%s"] * len(rows[0])) + ")"
    execute("START TRANSACTION")
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        sql = f"INSERT INTO {schema}.reading VALUES {','.join([mark] * len(part))}"
        execute(sql, [value for row in part for value in row])
    execute("COMMIT")


def insert_dicts(timer: Timer, connection: Connection, execute: Execute) -> Row:
    """Insert dicts, checked, against the driver's statements of many rows, unchecked."""
    schema = "bench_insert"
    ours = _declare(schema, connection)
    theirs = datajoint.FreeTable(datajoint.conn(), f"`{schema}`.`reading`")
    rows = _rows(N_ROWS)
    variants = {
        "raw": lambda: _packed(execute, schema, [tuple(row.values()) for row in rows]),
        "dj_panel": lambda: ours.insert(rows),
        "datajoint": lambda: theirs.insert(rows),
    }
    task = f"insert {N_ROWS:,} dicts of 5"
    prepare = partial(execute, f"TRUNCATE {schema}.reading")
    return measure(timer, task, variants, at_most=1.25, at_least=5, prepare=prepare)


def insert_frames(timer: Timer, connection: Connection, execute: Execute) -> list[Row]:
    """Insert a pandas frame and an Arrow table."""
    schema = "bench_frames"
    ours = _declare(schema, connection)
    theirs = datajoint.FreeTable(datajoint.conn(), f"`{schema}`.`reading`")
    rows = _rows(N_ROWS)
    frame = pd.DataFrame(rows)
    frame["taken"] = pd.to_datetime(frame["taken"])
    table = pa.Table.from_pandas(frame)
    found = []
    empty = partial(execute, f"TRUNCATE {schema}.reading")
    for kind, given in (("a pandas frame", frame), ("an Arrow table", table)):
        variants: dict[str, Callable[[], object]] = {
            "raw": lambda: _packed(execute, schema, [tuple(row.values()) for row in rows]),
            "dj_panel": lambda given=given: ours.insert(given),
            "datajoint": lambda given=given: theirs.insert(given),
        }
        task = f"insert {kind} of {N_ROWS:,} rows"
        found.append(measure(timer, task, variants, at_least=10, prepare=empty))
    return found


def insert_into_sqlite(timer: Timer, folder: Path) -> Row:
    """Insert dicts into a file, against the standard library's ``executemany``."""
    settings = Settings()
    settings["database.backend"] = "sqlite"
    settings["database.name"] = str(folder / "bench.db")
    connection = Connection(settings)
    ours = _declare("bench", connection)
    raw = sqlite3.connect(folder / "bench.db", isolation_level=None)
    raw.execute("PRAGMA synchronous = FULL")
    rows = _rows(N_ROWS)

    def executemany() -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(
            'INSERT INTO "bench.reading" VALUES (?, ?, ?, ?, ?)', [tuple(row.values()) for row in rows]
        )
        raw.execute("COMMIT")

    variants = {"raw": executemany, "dj_panel": lambda: ours.insert(rows)}
    task = f"insert {N_ROWS:,} dicts into SQLite"
    empty = partial(raw.execute, 'DELETE FROM "bench.reading"')
    row = measure(timer, task, variants, at_most=1.6, prepare=empty)
    raw.close()
    connection.close()
    return row


def cascade(timer: Timer, connection: Connection, execute: Execute) -> Row:
    """Delete half of the subjects with 50,000 rows on three more levels, against deletes by key prefix."""
    name = "bench_cascade"
    schema = dj_panel.Schema(name, connection=connection)

    @schema
    class Subject(dj_panel.Manual):
        definition = "subject : varchar(12)"

    @schema
    class Session(dj_panel.Manual):
        definition = "-> Subject\nsession : int32"

    @schema
    class Scan(dj_panel.Manual):
        definition = "-> Session\nscan : int32\n---\ndepth : float64"

    @schema
    class Cell(dj_panel.Manual):
        definition = "-> Scan\ncell : int32\n---\nsize : float64"

    keys = [{"subject": f"s{i}"} for i in range(20)]
    sessions = [{**key, "session": i} for key in keys for i in range(10)]
    scans = [{**key, "scan": i, "depth": 1.5} for key in sessions for i in range(25)]
    cells = [{**key, "cell": i, "size": 2.5} for key in scans for i in range(20)]
    for key in cells:
        del key["depth"]
    doomed = keys[::2]
    theirs = datajoint.VirtualModule(name, name).Subject()

    def fill() -> None:
        for table, rows in ((Subject, keys), (Session, sessions), (Scan, scans), (Cell, cells)):
            table.insert(rows, skip_duplicates=True)

    def raw() -> None:
        words = ", ".join(f"'{key['subject']}'" for key in doomed)
        execute("START TRANSACTION")
        for table in ("cell", "scan", "session", "subject"):
            execute(f"DELETE FROM {name}.{table} WHERE subject IN ({words})")
        execute("COMMIT")

    variants = {
        "raw": raw,
        "dj_panel": lambda: (Subject & doomed).delete(prompt=False),
        "datajoint": lambda: (theirs & doomed).delete(prompt=False),
    }
    task = f"delete {len(cells) // 2:,} rows over 4 levels"
    return measure(timer, task, variants, at_most=1.3, prepare=fill)


def statements_of_a_deletion(connection: Connection, execute: Execute) -> Reading:
    """Count the statements that delete a row with a child, once the schema is known."""
    schema = dj_panel.Schema("bench_delete", connection=connection)

    @schema
    class Subject(dj_panel.Manual):
        definition = "subject : int32"

    @schema
    class Session(dj_panel.Manual):
        definition = "-> Subject\nsession : int32"

    Subject.insert([(1,), (2,)])
    Session.insert([(1, 1), (2, 1)])
    (Subject & "subject = 1").delete(prompt=False)
    before = _asked(execute)
    (Subject & "subject = 2").delete(prompt=False)
    n_statements = _asked(execute) - before - 1  # and the question itself
    return Reading("delete a row of 2 tables, warm", n_statements, "statements", 6)


def _asked(execute: Execute) -> int:
    return int(execute("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
