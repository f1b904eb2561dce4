"""Runs one pipeline with DataJoint as it stands, and with `dj_panel` after changing its import."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel
from tests.conftest import Backend
from tests.peer import datajoint
from tests.servers import MariaDBServer

PIPELINES = Path(__file__).parent / "pipelines"
IMPORT = "import datajoint as dj"
_asked: dict[str, dict[str, Any]] = {}  # what DataJoint answered, the same for each of our servers


def answers(
    name: str, program: str, folder: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> dict[str, Any]:
    """Run a pipeline and return what it asked and was answered."""
    source = (PIPELINES / f"{name}.py").read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    data = folder / f"{name}_{program}"
    data.mkdir()
    path = data / f"{name}.py"
    path.write_text(source.replace(IMPORT, f"import {program} as dj"), encoding="utf-8")
    monkeypatch.setenv("PIPELINE_PREFIX", prefix)
    monkeypatch.setenv("PIPELINE_FOLDER", str(data))
    module_name = f"{name}_{program}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module_name, module)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.answers
    return found


@contextmanager
def datajoint_on(server: MariaDBServer) -> Iterator[None]:
    """Lead DataJoint's own configuration and connection to a server."""
    config = datajoint.config
    config.database.backend = "mysql"
    config.database.host = server.host
    config.database.port = server.port
    config.safemode = False
    connection = datajoint.conn(server.host, server.user, server.password, reset=True)
    # The tutorials are written for MySQL 8: text is utf8mb4, and a row's key determines its other attributes
    # where rows are grouped. MariaDB knows neither, so DataJoint refuses its own tutorials there.
    connection.query("SET SESSION character_set_server = 'utf8mb4'")
    connection.query("SET SESSION sql_mode = REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', '')")
    try:
        yield
    finally:
        datajoint.conn().close()


@contextmanager
def dj_panel_on(backend: Backend) -> Iterator[None]:
    """Lead our configuration and connection to a place for tests."""
    with dj_panel.config.override(safemode=False, **backend.settings):
        dj_panel.conn(reset=True)
        try:
            yield
        finally:
            dj_panel.conn().close()


def check(
    name: str,
    backend: Backend,
    server: MariaDBServer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    differing: Container[str] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fail unless a pipeline is answered the same by both programs; return DataJoint's answers and ours.

    On the same server the answers are equal to the type and the last digit. An embedded database has no
    decimal arithmetic, so there numbers that were computed are compared as numbers. Questions in `differing`
    are answered differently on purpose, and are for the caller to look at.
    """
    try:
        if name not in _asked:
            with datajoint_on(server):
                _asked[name] = answers(name, "datajoint", folder, monkeypatch, backend.prefix + "theirs_")
        with dj_panel_on(backend):
            found = answers(name, "dj_panel", folder, monkeypatch, backend.prefix)
    finally:
        server.drop_schemas(backend.prefix)
    expected = _asked[name]
    assert list(found) == list(expected)
    wrong = [
        f"{question}:\n    {expected[question]}\n    {found[question]}"
        for question in expected
        if question not in differing
        and not same(expected[question], found[question], exactly=backend.name == "mariadb")
    ]
    assert not wrong, "\n".join(wrong)
    return expected, found


def same(a: Any, b: Any, *, exactly: bool) -> bool:
    """Compare two answers: by value and type, through containers and arrays."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)) or a.shape != b.shape:
            return False
        if exactly and a.dtype != b.dtype:
            return False
        return same(a.tolist(), b.tolist(), exactly=exactly)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and all(same(a[k], b[k], exactly=exactly) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, exactly=exactly) for x, y in zip(a, b, strict=True))
    if exactly or not isinstance(a, (int, float, Decimal)) or not isinstance(b, (int, float, Decimal)):
        return type(a) is type(b) and bool(a == b)
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=5e-5)
