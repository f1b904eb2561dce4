"""``make bench``: insert, fetch, declare, activate and import, each beside DataJoint and the raw driver."""

from __future__ import annotations

import itertools
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
from benchmarks.reading import fetch_everything, restrict_by_keys, stream_memory
from benchmarks.writing import cascade, insert_dicts, insert_frames, insert_into_sqlite
from dj_panel.core.connection import Connection
from dj_panel.core.settings import Settings
from tests.servers import MariaDBServer, private_mariadb

N_TABLES = 100
DEFINITION = """
reading : int32
---
channel : int16
value : float64
label : varchar(32)
taken : datetime
"""


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

    def declare(self) -> Row:
        """Declare many tables in an empty schema."""
        columns = "reading int NOT NULL, channel smallint NOT NULL, value double NOT NULL, label varchar(32) NOT NULL"
        number = itertools.count()

        def raw() -> None:
            schema = f"bench_raw_{next(number)}"
            self.execute(f"CREATE DATABASE {schema}")
            for table in range(N_TABLES):
                self.execute(
                    f"CREATE TABLE {schema}.table{table} ({columns}, taken datetime NOT NULL, PRIMARY KEY (reading))"
                )

        return measure(
            f"declare {N_TABLES} tables",
            {
                "raw": raw,
                "dj_panel": lambda: self.bind(dj_panel, f"bench_ours_{next(number)}", connection=self.ours),
                "datajoint": lambda: self.bind(datajoint, f"bench_theirs_{next(number)}"),
            },
            "raw",
        )

    def bind(self, library: Any, schema_name: str, **options: Any) -> None:
        """Put many classes into a schema, and read their headings."""
        schema = library.Schema(schema_name, **options)
        for number in range(N_TABLES):
            table = schema(type(f"Table{number}", (library.Manual,), {"definition": DEFINITION}))
            table.heading.names  # noqa: B018

    def activate(self) -> Row:
        """Bind classes to the tables that a schema of many has."""
        self.bind(dj_panel, "bench_many", connection=self.ours)

        def ours() -> None:
            self.ours.catalog.forget()
            self.bind(dj_panel, "bench_many", connection=self.ours)

        def raw() -> None:
            for view in ("tables", "columns", "statistics", "key_column_usage"):
                self.execute(f"SELECT * FROM information_schema.{view} WHERE table_schema = 'bench_many'")

        return measure(
            f"activate {N_TABLES} tables",
            {"raw": raw, "dj_panel": ours, "datajoint": lambda: self.bind(datajoint, "bench_many")},
            "raw",
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


def writing(bench: Bench, folder: Path) -> list[Row]:
    """Insert and delete."""
    return [
        insert_dicts(bench.ours, bench.execute),
        *insert_frames(bench.ours, bench.execute),
        insert_into_sqlite(folder),
        cascade(bench.ours, bench.execute),
    ]


def reading(bench: Bench) -> list[Row]:
    """Fetch, and restrict by keys."""
    return [
        *fetch_everything(bench.ours, bench.raw, bench.execute),
        *restrict_by_keys(bench.ours, bench.execute),
    ]


def main() -> None:
    """Run every row, print the table and keep the raw timings."""
    with tempfile.TemporaryDirectory() as folder, private_mariadb(Path(folder) / "mariadb") as server:
        bench = Bench(server)
        rows = [
            *writing(bench, Path(folder)),
            *reading(bench),
            bench.declare(),
            bench.activate(),
            importing(),
        ]
        stream_memory(bench.ours.settings)
        bench.ours.close()
        bench.raw.close()
    print_table(rows)
    save(rows, Path("benchmarks/results.json"))


if __name__ == "__main__":
    main()
