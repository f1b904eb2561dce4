"""Battery 14, sqlite-contention: 4 processes write 500 rows each into one file: 0 locked errors, every row there."""

from __future__ import annotations

from pathlib import Path

import dj_panel as dj
from tests.faults.races import connect, insert_all, run_at_once

N_PROCESSES = 4
N_ROWS = 500


def test_processes_that_write_to_one_file_wait_for_each_other(tmp_path: Path) -> None:
    settings = {"database__backend": "sqlite", "database__name": str(tmp_path / "pipeline.db")}
    connection = connect(settings)

    @dj.Schema("lab", connection=connection)
    class Reading(dj.Manual):
        definition = "worker : int8\nnumber : int32\n---\nvalue : float64"

    assert run_at_once(N_PROCESSES, insert_all, settings, "lab", N_ROWS) == [N_ROWS] * N_PROCESSES
    assert len(Reading()) == N_PROCESSES * N_ROWS
    assert Reading.to_dicts(order_by="KEY") == [
        {"worker": worker, "number": i, "value": i / 2}
        for worker in range(N_PROCESSES)
        for i in range(N_ROWS)
    ]
    connection.close()
