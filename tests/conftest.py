"""What every test may ask for: a private MariaDB server, a fresh database on either server, the browser."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import dj_panel as dj
from dj_panel.core.settings import Settings
from tests import servers
from tests.built_demo import shared_demo

BACKENDS = ("sqlite", "mariadb")

# time decides no test: a slow machine makes a test slow and nothing else
hypothesis.settings.register_profile(
    "dj_panel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("dj_panel"), derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """Forget the developer's own database and stores, which no test may touch."""
    for name in [name for name in os.environ if name.startswith("DJ_")]:
        del os.environ[name]
    hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dj_panel")


@dataclass(frozen=True)
class Backend:
    """A place to declare schemas in, empty and nobody else's.

    Attributes
    ----------
    name
        ``"sqlite"`` or ``"mariadb"``.
    prefix
        What every schema name of the test starts with; such schemas are dropped at the end.
    environment
        The variables that lead `dj_panel` to it.
    settings
        The same as arguments of ``dj.config.override`` and ``dj.Instance``, group and name joined by ``__``.
    """

    name: str
    prefix: str
    environment: dict[str, str]
    settings: dict[str, Any]

    def connect(self, **values: Any) -> dj.Connection:
        """Return a new connection to it, whose settings come from here alone.

        Parameters
        ----------
        **values
            More settings, group and name joined by ``__``.
        """
        settings = Settings()
        for name, value in {"safemode": False, **self.settings, **values}.items():
            settings[name.replace("__", ".")] = value
        return dj.Connection(settings)


def _failure(error: servers.MissingProgramError) -> BaseException:
    # never a skip: a promise that was not tried is not kept
    return pytest.fail.Exception(str(error), pytrace=False)


def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all of pytest's workers share."""
    folder = tmp_path_factory.getbasetemp()
    # each worker's folder lies in the session's
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def built_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the demo lab on SQLite as `make demo` leaves it; copy it to change it."""
    return shared_demo(session_folder(tmp_path_factory))


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.MariaDBServer]:
    """Give the session's private MariaDB server, shared by all of pytest's workers.

    ``TEST_SERVER=user:password@host:port`` names another server of the MySQL family instead, such as MySQL
    itself. Only schemas that the tests made are dropped there.
    """
    if named := os.environ.get("TEST_SERVER"):
        yield servers.named_server(named)
        return
    with ExitStack() as stack:
        try:
            server = stack.enter_context(servers.shared_mariadb(session_folder(tmp_path_factory)))
        except servers.MissingProgramError as error:
            raise _failure(error) from None
        yield server


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Give a fresh place for schemas, once on each server."""
    prefix = f"t{secrets.token_hex(3)}_"
    if request.param == "sqlite":
        path = tmp_path / "pipeline.db"
        yield Backend(
            "sqlite",
            prefix,
            {"DJ_BACKEND": "sqlite", "DJ_DATABASE_NAME": str(path)},
            {"database__backend": "sqlite", "database__name": str(path)},
        )
        return
    server: servers.MariaDBServer = request.getfixturevalue("mariadb")
    yield Backend(
        "mariadb",
        prefix,
        {
            "DJ_BACKEND": "mysql",
            "DJ_HOST": server.host,
            "DJ_PORT": str(server.port),
            "DJ_USER": server.user,
            "DJ_PASS": server.password,
        },
        {
            "database__backend": "mysql",
            "database__host": server.host,
            "database__port": server.port,
            "database__user": server.user,
            "database__password": server.password,
        },
    )
    server.drop_schemas(prefix)


@pytest.fixture
def dj_backend(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Give the same place with the environment leading to it, from an empty working folder.

    Settings are looked for in the working folder and above, so the test starts in a folder of its own.
    """
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return backend


@pytest.fixture
def connection(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dj.Connection]:
    """Give a connection of the test's own; a test that asks for it runs once on each server.

    Neither the environment nor a file leads anywhere, and nothing asks before it deletes.
    """
    monkeypatch.chdir(tmp_path)
    connection = backend.connect()
    yield connection
    connection.close()


@pytest.fixture
def schema(backend: Backend, connection: dj.Connection) -> dj.Schema:
    """Give an empty schema on the test's own connection, once on each server."""
    return dj.Schema(backend.prefix + "lab", connection=connection)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of Chromium or Chrome."""
    try:
        return servers.chromium_path()
    except servers.MissingProgramError as error:
        raise _failure(error) from None
