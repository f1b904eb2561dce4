"""``make bench``: insert, fetch, declare, activate and import, each beside DataJoint and the raw driver."""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datajoint
import pymysql

import dj_panel
from benchmarks.harness import Reading, Row, Timer, measure, print_table, save
from benchmarks.reading import fetch_everything, restrict_by_keys, stream_memory
from benchmarks.writing import (
    cascade,
    insert_dicts,
    insert_frames,
    insert_into_sqlite,
    statements_of_a_deletion,
)
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
        logging.getLogger("datajoint").setLevel(logging.ERROR)
        settings.safemode = False
        datajoint.config["safemode"] = False
        self.ours = Connection(settings)
        self.raw = pymysql.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
        )
        pid_file = Path(self.execute("SELECT @@pid_file")[0][0])
        self.timer = Timer(int(pid_file.read_text()) if pid_file.exists() else None)

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
            self.timer,
            f"declare {N_TABLES} tables",
            {
                "raw": raw,
                "dj_panel": lambda: self.bind(dj_panel, f"bench_ours_{next(number)}", connection=self.ours),
                "datajoint": lambda: self.bind(datajoint, f"bench_theirs_{next(number)}"),
            },
            at_most=1.6,
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
            self.timer,
            f"activate {N_TABLES} tables",
            {"raw": raw, "dj_panel": ours, "datajoint": lambda: self.bind(datajoint, "bench_many")},
            at_most=3,
            at_least=5,
        )

    def written_down(self) -> list[Reading]:
        """Count the statements that find many tables again, and time the text of their diagram."""
        name = "bench_chain"
        context: dict[str, Any] = {}
        for number in range(N_TABLES):
            parent = f"-> Table{number - 1}\n---" if number % 10 else f"key{number} : int32\n---"
            definition = f"{parent}\nvalue{number} : float64"
            schema = dj_panel.Schema(name, connection=self.ours)
            cls = type(f"Table{number}", (dj_panel.Manual,), {"definition": definition})
            context[cls.__name__] = schema(cls, context=context)
        self.ours.catalog.forget()
        before = self.asked()
        self.bind(dj_panel, "bench_many", connection=self.ours)
        n_statements = self.asked() - before - 1  # and the question itself
        schema = dj_panel.Schema(name, connection=self.ours)
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            dj_panel.Diagram(schema).make_mermaid()
            seconds.append(time.perf_counter() - begun)
        return [
            Reading(f"activate {N_TABLES} tables", n_statements, "statements", 6),
            Reading(f"Mermaid text of {N_TABLES} tables", statistics.median(seconds) * 1e3, "ms", 100),
        ]

    def asked(self) -> int:
        """Return how many statements the server has been asked."""
        return int(self.execute("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])


def importing() -> Row:
    """Start a process that imports the library."""

    def run(code: str) -> Callable[[], object]:
        environment = {**os.environ, "DJ_IGNORE_CONFIG_FILE": "true"}
        # Modules are to be found compiled, as they are by everyone's second program.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return lambda: subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], check=True, env=environment
        )

    variants = {
        "raw": run("import pymysql"),
        "dj_panel": run("import dj_panel"),
        "datajoint": run("import datajoint"),
    }
    for start in variants.values():
        start()
    return measure(Timer(), "process that imports it", variants, at_most=3, rounds=15)


def writing(bench: Bench, folder: Path) -> list[Row]:
    """Insert and delete."""
    return [
        insert_dicts(bench.timer, bench.ours, bench.execute),
        *insert_frames(bench.timer, bench.ours, bench.execute),
        insert_into_sqlite(bench.timer, folder),
        cascade(bench.timer, bench.ours, bench.execute),
    ]


def reading(bench: Bench) -> list[Row]:
    """Fetch, and restrict by keys."""
    return [
        *fetch_everything(bench.timer, bench.ours, bench.raw, bench.execute),
        *restrict_by_keys(bench.timer, bench.ours, bench.execute),
    ]


def main() -> None:
    """Run every row, print the table and keep the raw timings."""
    loads = {"before": os.getloadavg()}
    with (
        tempfile.TemporaryDirectory() as folder,
        private_mariadb(Path(folder) / "mariadb", durable=True) as server,
    ):
        bench = Bench(server)
        rows = [
            *writing(bench, Path(folder)),
            *reading(bench),
            bench.declare(),
            bench.activate(),
            importing(),
        ]
        readings = [
            *bench.written_down(),
            statements_of_a_deletion(bench.ours, bench.execute),
            stream_memory(bench.ours.settings),
        ]
        bench.ours.close()
        bench.raw.close()
    loads["after"] = os.getloadavg()
    print_table(rows, readings)
    print(f"Load of the machine: {loads['before'][0]:.1f} before, {loads['after'][0]:.1f} after.")
    found = {"rows": [asdict(row) for row in rows], "readings": [asdict(reading) for reading in readings]}
    save(found, loads, Path("benchmarks/results.json"))


if __name__ == "__main__":
    main()
