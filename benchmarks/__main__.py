"""``make bench``: insert, fetch, declare, activate and import, each beside DataJoint and the raw driver."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datajoint
import pymysql

import dj_panel
from benchmarks.harness import Row, measure, print_table, save
from dj_panel.core.connection import Connection
from dj_panel.core.settings import Settings
from tests.servers import MariaDBServer, private_mariadb

N_ROWS = 20_000
N_TABLES = 30
DEFINITION = """
reading : int32
---
channel : int16
value : float64
label : varchar(32)
taken : datetime
"""


def rows_to_insert(n_rows: int) -> list[dict[str, Any]]:
    """Return rows of the table of readings."""
    return [
        {"reading": i, "channel": i % 64, "value": i * 0.5, "label": f"r{i}", "taken": "2026-01-02 03:04:05"}
        for i in range(n_rows)
    ]


class Bench:
    """The three programs, connected to one server."""

    def __init__(self, server: MariaDBServer) -> None:
        settings = Settings()
        for key in ("host", "port", "user", "password"):
            settings[f"database.{key}"] = getattr(server, key)
            datajoint.config[f"database.{key}"] = getattr(server, key)
        settings.safemode = False
        datajoint.config["safemode"] = False
        self.ours = Connection(settings)
        self.raw = pymysql.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
        )

    def execute(self, sql: str, values: Any = ()) -> Any:
        """Run a statement with the raw driver."""
        with self.raw.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def tables(self, schema: str) -> tuple[Any, Any]:
        """Return the table of readings in ``schema``, as ours and as DataJoint's."""

        class Reading(dj_panel.Manual):
            definition = DEFINITION

        ours = dj_panel.Schema(schema, connection=self.ours)(Reading)
        theirs = datajoint.FreeTable(datajoint.conn(), f"`{schema}`.`reading`")
        return ours, theirs

    def insert(self) -> Row:
        """Insert rows given as dicts into an empty table."""
        ours, theirs = self.tables("bench_insert")
        rows = rows_to_insert(N_ROWS)
        names = list(rows[0])

        def emptied(run: Callable[[], object]) -> Callable[[], object]:
            def both() -> None:
                self.execute("TRUNCATE bench_insert.reading")
                run()

            return both

        def packed() -> None:
            self.raw.begin()
            mark = "(" + ",".join(["%s"] * len(names)) + ")"
            for start in range(0, len(rows), 2000):
                part = rows[start : start + 2000]
                sql = f"INSERT INTO bench_insert.reading VALUES {','.join([mark] * len(part))}"
                self.execute(sql, [row[n] for row in part for n in names])
            self.raw.commit()

        return measure(
            f"insert {N_ROWS:,} dicts of 5",
            {
                "raw": emptied(packed),
                "dj_panel": emptied(lambda: ours.insert(rows)),
                "datajoint": emptied(lambda: theirs.insert(rows)),
            },
            "raw",
        )

    def fetch(self) -> Row:
        """Fetch all rows as dicts."""
        ours, theirs = self.tables("bench_fetch")
        ours.insert(rows_to_insert(N_ROWS), skip_duplicates=True)

        def raw() -> None:
            with self.raw.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute("SELECT * FROM bench_fetch.reading")
                cursor.fetchall()

        return measure(
            f"fetch {N_ROWS:,} rows as dicts",
            {"raw": raw, "dj_panel": lambda: ours.to_dicts(), "datajoint": lambda: theirs.to_dicts()},
            "raw",
        )

    def keys(self) -> Row:
        """Restrict a table by a list of 1,000 keys."""
        ours, theirs = self.tables("bench_fetch")
        keys = [{"reading": i * 7} for i in range(1000)]
        marks = ",".join(["%s"] * len(keys))
        sql = f"SELECT * FROM bench_fetch.reading WHERE reading IN ({marks})"
        return measure(
            "restrict by 1,000 keys",
            {
                "raw": lambda: self.execute(sql, [key["reading"] for key in keys]),
                "dj_panel": lambda: (ours & keys).to_dicts(),
                "datajoint": lambda: (theirs & keys).to_dicts(),
            },
            "raw",
        )

    def activate(self) -> Row:
        """Read the headings of a schema of many tables."""
        schema = dj_panel.Schema("bench_many", connection=self.ours)
        for number in range(N_TABLES):
            schema(type(f"Table{number}", (dj_panel.Manual,), {"definition": DEFINITION}))

        def ours() -> None:
            self.ours.catalog.forget()
            self.ours.catalog.tables("bench_many")

        def theirs() -> None:
            for number in range(N_TABLES):
                datajoint.FreeTable(datajoint.conn(), f"`bench_many`.`table{number}`").heading.names  # noqa: B018

        def raw() -> None:
            for view in ("tables", "columns", "statistics", "key_column_usage"):
                self.execute(f"SELECT * FROM information_schema.{view} WHERE table_schema = 'bench_many'")

        return measure(
            f"headings of {N_TABLES} tables", {"raw": raw, "dj_panel": ours, "datajoint": theirs}, "raw"
        )


def importing() -> Row:
    """Start a process that imports the library."""

    def run(code: str) -> Callable[[], object]:
        environment = {**os.environ, "DJ_IGNORE_CONFIG_FILE": "true"}
        return lambda: subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], check=True, env=environment
        )

    return measure(
        "process that imports it",
        {
            "raw": run("import pymysql"),
            "dj_panel": run("import dj_panel"),
            "datajoint": run("import datajoint"),
        },
        "raw",
    )


def main() -> None:
    """Run every row, print the table and keep the raw timings."""
    with tempfile.TemporaryDirectory() as folder, private_mariadb(Path(folder) / "mariadb") as server:
        bench = Bench(server)
        rows = [bench.insert(), bench.fetch(), bench.keys(), bench.activate(), importing()]
        bench.ours.close()
        bench.raw.close()
    print_table(rows)
    save(rows, Path("benchmarks/results.json"))


if __name__ == "__main__":
    main()
