"""The pipeline of `pipelines/hotel.py` is answered the same by DataJoint and, with its import changed, by us."""

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
    check("hotel", backend, mariadb, tmp_path, monkeypatch)
