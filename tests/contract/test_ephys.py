"""The pipeline of `pipelines/ephys.py` is answered the same by DataJoint and, with its import changed, by us."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.contract.both import check
from tests.servers import MariaDBServer


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:datajoint")
def test_the_pipeline_runs_with_only_its_import_changed(
    backend: Backend, mariadb: MariaDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = check("ephys", backend, mariadb, tmp_path, monkeypatch, differing={"activity"})
    # DataJoint fetches a float32 as the server prints it, with six digits; we keep what was stored.
    for a, b in zip(theirs["activity"], ours["activity"], strict=True):
        numbers = {name: pytest.approx(value, rel=1e-5) for name, value in a.items() if "activity" in name}
        assert b == a | numbers
