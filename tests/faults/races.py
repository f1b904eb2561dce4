"""What several processes do at the same moment to one database; they are told by name, so it stands in a module."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Mapping
from typing import Any

import dj_panel as dj
from dj_panel.core.settings import Settings

N_TABLES = 20
TIME_LIMIT_S = 120


def run_at_once(n_processes: int, action: Callable[..., Any], *values: Any) -> list[Any]:
    """Run ``action(number, *values)`` in processes that begin together; return their answers, or their errors as text."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dj_panel"])
    barrier, answers = context.Barrier(n_processes), context.Queue()
    processes = [
        context.Process(target=_one, args=(barrier, answers, action, number, *values), daemon=True)
        for number in range(n_processes)
    ]
    for process in processes:
        process.start()
    found: list[Any] = []
    try:
        found += (answers.get(timeout=TIME_LIMIT_S) for _ in processes)
    except queue.Empty:
        found.append("a process did not answer")
    for process in processes:
        process.join(timeout=TIME_LIMIT_S)
    return found


def _one(barrier: Any, answers: Any, action: Callable[..., Any], number: int, *values: Any) -> None:
    try:
        answers.put(action(number, barrier, *values))
    except BaseException as error:  # noqa: BLE001 - every error is an answer
        answers.put(f"{type(error).__name__}: {error}")


def connect(settings: Mapping[str, Any]) -> dj.Connection:
    """Return a connection of the process's own."""
    found = Settings()
    for name, value in {"safemode": False, **settings}.items():
        found[name.replace("__", ".")] = value
    return dj.Connection(found)


def race_tables() -> list[type[Any]]:
    """Return the classes of a small lab: contents, parts, foreign keys of several forms, indexes."""
    classes: list[type[Any]] = [
        type(
            "Kind",
            (dj.Lookup,),
            {"definition": "kind : varchar(9)", "contents": [(f"k{i}",) for i in range(5)]},
        )
    ]
    for i in range(N_TABLES - 2):
        parent = f"-> Step{i - 1}" if i % 6 else "-> Kind"
        definition = f"{parent}\nstep{i} : int16\n---\nvalue = 1 : float64  # of step {i}\nindex (value)"
        body: dict[str, Any] = {"definition": definition}
        if i == 3:
            body["Part"] = type("Part", (dj.Part,), {"definition": "-> master\npart : int8"})
        classes.append(type(f"Step{i}", (dj.Manual,), body))
    return classes


def declare_all(number: int, barrier: Any, settings: Mapping[str, Any], schema_name: str) -> int:
    """Declare the whole lab; return how many tables there were in the end."""
    connection = connect(settings)
    barrier.wait()
    schema = dj.Schema(schema_name, connection=connection)
    context: dict[str, Any] = {}
    for cls in race_tables():
        context[cls.__name__] = schema(cls, context=context)
    n_tables = len(schema.list_tables())
    connection.close()
    return n_tables


def insert_all(number: int, barrier: Any, settings: Mapping[str, Any], schema_name: str, n_rows: int) -> int:
    """Insert rows one by one, each its own transaction; return how many."""
    connection = connect(settings)
    table = dj.FreeTable(connection, f"{schema_name}.reading")
    barrier.wait()
    for i in range(n_rows):
        table.insert1({"worker": number, "number": i, "value": i / 2})
    connection.close()
    return n_rows
