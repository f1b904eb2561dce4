"""Battery 15, declare-race: 8 processes declare the same 20 tables at once: 0 errors, one schema."""

from __future__ import annotations

from typing import Any

import dj_panel as dj
from tests.conftest import Backend
from tests.faults.races import N_TABLES, declare_all, race_tables, run_at_once

N_PROCESSES = 8


def test_processes_that_declare_the_same_schema_at_once_end_with_one(
    backend: Backend, connection: dj.Connection
) -> None:
    name = backend.prefix + "race"
    answers = run_at_once(N_PROCESSES, declare_all, backend.settings, name)
    assert answers == [N_TABLES] * N_PROCESSES
    schema = dj.Schema(name, connection=connection, create_tables=False)
    context: dict[str, Any] = {}
    for cls in race_tables():
        context[cls.__name__] = schema(cls, context=context)
        assert context[cls.__name__].alter(dry_run=True) == ""
    assert len(context["Kind"]()) == 5
    if connection.dialect.name == "mysql":
        rows = connection.query(f"SELECT COUNT(*) FROM `{name}`.`~lineage`").fetchone()[0]
        n_keys = [len(table().structure.heading.primary_key) for table in schema.classes.values()]
        assert rows == sum(n_keys)
