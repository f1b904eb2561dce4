"""A program starts quickly: what it imports, and how many statements its schemas take."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend

N_TABLES = 100


def test_importing_the_library_loads_nothing_that_can_wait() -> None:
    code = (
        "import sys, dj_panel\n"
        "heavy = {'panel', 'bokeh', 'holoviews', 'numpy', 'pandas', 'pyarrow', 'polars', 'sqlglot', 'fsspec', 'zarr'}\n"
        "heavy.add('asyncio')\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from dj_panel.core.sqltext import parse_text\n"
        "assert parse_text('a > 1', 'sqlite').attributes == ('a',) and 'sqlglot' in sys.modules\n"
        "from dj_panel.core.store import Store\n"
        "assert Store({'protocol': 'file', 'location': '.'}).fs and 'fsspec' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def asked(connection: dj.Connection, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list that every statement of the connection is added to."""
    statements: list[str] = []
    execute = connection._execute

    def counted(session: Any, sql: str, parameters: Any) -> Any:
        statements.append(sql)
        return execute(session, sql, parameters)

    monkeypatch.setattr(connection, "_execute", counted)
    return statements


def classes() -> list[type[Any]]:
    """Return classes of which each refers to the one before."""
    return [
        type(
            f"Table{i}",
            (dj.Manual,),
            {
                "definition": f"{f'-> Table{i - 1}' if i % 10 else f'key{i} : int32'}\n---\nvalue{i} : float64  # v"
            },
        )
        for i in range(N_TABLES)
    ]


def declare(schema: dj.Schema) -> None:
    context: dict[str, Any] = {}
    for cls in classes():
        context[cls.__name__] = schema(cls, context=context)


def test_a_hundred_tables_are_found_again_in_six_statements(
    backend: Backend, connection: dj.Connection, asked: list[str]
) -> None:
    declare(dj.Schema(backend.prefix + "lab", connection=connection))
    connection.catalog.forget()
    del asked[:]
    declare(dj.Schema(backend.prefix + "lab", connection=connection))
    assert len(asked) <= 6, asked


def test_declaring_a_table_takes_few_statements_however_many_there_are(
    backend: Backend, connection: dj.Connection, asked: list[str]
) -> None:
    declare(dj.Schema(backend.prefix + "lab", connection=connection))
    kinds: dict[str, int] = {}
    for sql in asked:
        kinds[sql.split("(")[0][:40]] = kinds.get(sql.split("(")[0][:40], 0) + 1
    assert len(asked) <= 7 * N_TABLES + 20, kinds
