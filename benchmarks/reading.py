"""Fetching and lists of keys, each beside DataJoint and the raw driver."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datajoint
import pymysql

import dj_panel
from benchmarks.harness import Reading, Row, Timer, measure
from dj_panel.core.connection import Connection

__all__ = ["fetch_everything", "restrict_by_keys", "stream_memory"]

N_ROWS = 100_000
N_KEYS = 10_000
N_KEYED = 200_000
N_STREAMED = 1_000_000
MYSQLCLIENT = 0.45
"""What mysqlclient's DictCursor takes of the time of PyMySQL's, which is the limit measured here."""
Execute = Callable[..., Any]

_FILL = """
INSERT INTO bench_read.{table}
SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n AS i, {columns}
FROM bench_read.digit a, bench_read.digit b, bench_read.digit c, bench_read.digit d, bench_read.digit e,
     bench_read.digit f
HAVING i < {n_rows}
"""


def _declare(connection: Connection, execute: Execute) -> tuple[Any, Any, Any, Any]:
    """Declare and fill tables of five attributes: many rows, a million, and two with keys of one and of two."""
    schema = dj_panel.Schema("bench_read", connection=connection)
    five = "reading : int32\n---\nchannel : int16\nvalue : float64\nlabel : varchar(32)\ntaken : datetime"
    digit = schema(type("Digit", (dj_panel.Manual,), {"definition": "n : int32"}))
    reading = schema(type("Reading", (dj_panel.Manual,), {"definition": five}))
    large = schema(type("Large", (dj_panel.Manual,), {"definition": five}))
    single = schema(type("Single", (dj_panel.Manual,), {"definition": five}))
    two = five.replace("reading : int32", "a : int32\nb : int32")
    pair = schema(type("Pair", (dj_panel.Manual,), {"definition": two}))
    if not len(digit()):
        digit.insert([(n,) for n in range(10)])
        columns = "MOD(a.n + 10 * b.n, 64), RAND() * 1000, CONCAT('r', a.n, b.n, c.n, d.n, e.n), '2026-01-02 03:04:05'"
        for table, n_rows in (("reading", N_ROWS), ("large", N_STREAMED), ("single", N_KEYED)):
            execute(_FILL.format(table=table, n_rows=n_rows, columns=columns))
        execute(
            "INSERT INTO bench_read.pair SELECT reading DIV 20, MOD(reading, 20), channel, value, label, taken"
            " FROM bench_read.single"
        )
    return reading(), large(), single(), pair()


def fetch_everything(timer: Timer, connection: Connection, raw: Any, execute: Execute) -> list[Row]:
    """Fetch all rows in each form; the limit is the driver's own dicts."""
    ours, large, _, _ = _declare(connection, execute)
    theirs = datajoint.FreeTable(datajoint.conn(), "`bench_read`.`reading`")
    their_large = datajoint.FreeTable(datajoint.conn(), "`bench_read`.`large`")

    def limit(table: str, cursor_class: Any) -> Callable[[], object]:
        def run() -> object:
            with raw.cursor(cursor_class) as cursor:
                cursor.execute(f"SELECT * FROM bench_read.{table}")
                return cursor.fetchall()

        return run

    dicts = limit("reading", pymysql.cursors.DictCursor)
    rows = [
        measure(
            timer,
            f"fetch {N_ROWS:,} rows of 5: {form}",
            {
                "raw": dicts,
                "dj_panel": lambda form=form: getattr(ours, form)(),
                "datajoint": lambda form=form: getattr(theirs, form)(),
            },
            at_most=at_most,
            at_least=at_least,
        )
        for form, at_most, at_least in (
            ("to_dicts", MYSQLCLIENT, 5),
            ("to_arrays", None, None),
            ("to_pandas", None, 6),
            ("to_polars", None, None),
            ("to_arrow", None, None),
        )
    ]
    million = {
        "raw": limit("large", pymysql.cursors.Cursor),
        "dj_panel": lambda: large.to_arrow(),
        "datajoint": lambda: their_large.to_arrow(),
    }
    task = f"fetch {N_STREAMED:,} rows of 5: to_arrow"
    return [*rows, measure(timer, task, million, at_least=9, rounds=1)]


def restrict_by_keys(timer: Timer, connection: Connection, execute: Execute) -> list[Row]:
    """Restrict by long lists of keys; the limit is a join with the keys as VALUES."""
    _, _, ours_single, pair = _declare(connection, execute)
    their_single = datajoint.FreeTable(datajoint.conn(), "`bench_read`.`single`")
    their_pair = datajoint.FreeTable(datajoint.conn(), "`bench_read`.`pair`")
    single = [{"reading": i * 17} for i in range(N_KEYS)]
    double = [{"a": i * 17 // 20, "b": i * 17 % 20} for i in range(N_KEYS)]

    def joined(table: str, keys: Sequence[dict[str, int]]) -> Callable[[], object]:
        names = list(keys[0])
        marks = ", ".join([f"({', '.join(['%s'] * len(names))})"] * len(keys))
        on = " AND ".join(f"t.{name} = v.{name}" for name in names)
        sql = f"WITH v ({', '.join(names)}) AS (VALUES {marks}) SELECT t.* FROM bench_read.{table} t JOIN v ON {on}"
        return lambda: execute(sql, [value for key in keys for value in key.values()])

    return [
        measure(
            timer,
            f"restrict {N_KEYED:,} rows by {N_KEYS:,} keys of {len(keys[0])}",
            {
                "raw": joined(table, keys),
                "dj_panel": lambda ours=ours, keys=keys: (ours & keys).to_dicts(),
                "datajoint": lambda theirs=theirs, keys=keys: (theirs & keys).to_dicts(),
            },
            at_most=1.3,
            at_least=40,
            rounds=11,  # of what takes so short, a few are soon disturbed
        )
        for table, keys, ours, theirs in (
            ("single", single, ours_single, their_single),
            ("pair", double, pair, their_pair),
        )
    ]


def stream_memory(settings: Any) -> Reading:
    """Return by how much a process grows that streams a million rows as Arrow batches."""
    database = settings.database
    code = (
        "import sys; from benchmarks.reading import _stream; "
        f"_stream({database.host!r}, {database.port!r}, {database.user!r}, sys.stdin.read())"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, input=database.password, text=True, check=True, stdout=subprocess.PIPE)
    return Reading(f"stream of {N_STREAMED:,} rows as Arrow batches", float(done.stdout), "MiB more", 64)


def _stream(host: str, port: int, user: str, password: str) -> None:
    connection = dj_panel.Instance(host, user, password, port, backend="mysql").connection
    table = dj_panel.FreeTable(connection, "`bench_read`.`large`")
    for _ in table.to_arrow_batches(limit=50_000):
        pass  # whatever is loaded by the first batches is not the stream's
    before = _most_memory()
    if sum(batch.num_rows for batch in table.to_arrow_batches()) != N_STREAMED:
        raise ValueError("The stream lost rows.")
    print((_most_memory() - before) / 1024)


def _most_memory() -> int:
    """Return the most memory that this program has had so far, in KiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux lets getrusage begin with the memory of the process that started this one.
        return int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
