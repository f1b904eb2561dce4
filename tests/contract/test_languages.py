"""The pipeline of `pipelines/languages.py` is answered the same by DataJoint and, with its import changed, by us."""

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
    question = "levels of English"
    theirs, ours = check("languages", backend, mariadb, tmp_path, monkeypatch, differing={question})
    # DataJoint loses what has no match when the aggregated table is restricted; aggr() keeps it otherwise.
    assert [row["n_speakers"] for row in ours[question]] == [1, 7, 3, 2, 3, 0]
    assert theirs[question] == ours[question][:5]
