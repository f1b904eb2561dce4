"""The programs that tests run against: a private MariaDB server, and where Chromium is.

A server started here has its own data folder, port and password, never touches one that runs already, and is
gone when its context ends, when the process that started it ends, and when that process is killed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pymysql

if sys.platform != "win32":
    import fcntl

START_TIMEOUT_S = 90.0
PORT_ATTEMPTS = 3


class MissingProgramError(RuntimeError):
    """A program that the tests need is not on this machine."""

    def __init__(self, program: str, argument: str) -> None:
        super().__init__(
            f"{program} was not found. Run `sh tests/install_servers.sh {argument}`, then try again."
        )


class ServerStartError(RuntimeError):
    """A private server ended before it answered, or never answered."""


def find_program(*names: str) -> str | None:
    """Return the path of the first of `names` that is on this machine, or None."""
    # Debian keeps servers in sbin and macOS keeps programs in bundles, off the PATH of an ordinary user
    places = os.pathsep.join(
        [
            os.environ.get("PATH", os.defpath),
            "/usr/sbin",
            "/usr/local/sbin",
            "/opt/homebrew/opt/mariadb/bin",
            "/Applications/Chromium.app/Contents/MacOS",
            "/Applications/Google Chrome.app/Contents/MacOS",
        ]
    )
    return next((path for name in names if (path := shutil.which(name, path=places))), None)


def chromium_path() -> str:
    """Return the path of Chromium or Chrome; of its build without windows, if there is one.

    The engine is the same, and the windows that nobody sees cost a third of the processor's time.

    Raises
    ------
    MissingProgramError
        If there is neither.
    """
    names = (
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "Chromium",
        "Google Chrome",
    )
    path = find_program(*names)
    if path is None:
        raise MissingProgramError("Chromium or Chrome", "chromium")
    return path


@dataclass(frozen=True)
class MariaDBServer:
    """A running server and the account that may do everything on it."""

    host: str
    port: int
    user: str
    password: str

    def connect(self, **options: Any) -> pymysql.connections.Connection[Any]:
        """Return a new autocommit connection; `options` are PyMySQL's."""
        options = {"autocommit": True, "ssl_disabled": True} | options
        return pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, **options
        )

    def drop_schemas(self, prefix: str) -> None:
        """Drop every schema whose name starts with `prefix`."""
        if not prefix:
            raise ValueError("An empty prefix would drop every schema on the server.")
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                # a test that leaves a transaction open fails here instead of waiting for a day
                cursor.execute("SET SESSION lock_wait_timeout = 20, SESSION foreign_key_checks = 0")
                cursor.execute("SELECT schema_name FROM information_schema.schemata")
                names = [name for (name,) in cursor.fetchall() if name.startswith(prefix)]
                for name in names:
                    cursor.execute("DROP DATABASE `{}`".format(name.replace("`", "``")))
        finally:
            connection.close()


def named_server(address: str) -> MariaDBServer:
    """Return the server at ``user:password@host:port``."""
    parts = urlsplit(f"mysql://{address}")
    if not (parts.hostname and parts.port and parts.username):
        raise ValueError(f"TEST_SERVER is {address!r}, not user:password@host:port.")
    return MariaDBServer(parts.hostname, parts.port, parts.username, parts.password or "")


_IN_SERVICE = ("--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=1")
_THROWN_AWAY = (
    "--innodb-buffer-pool-size=64M",
    # a server whose data are thrown away need not wait for the disk
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=0",
    "--innodb-flush-method=nosync",
    "--sync-frm=0",
)


@contextmanager
def private_mariadb(
    folder: Path, *, durable: bool = False, arguments: Sequence[str] = ()
) -> Iterator[MariaDBServer]:
    """Start a MariaDB server with its data in `folder`, and stop it and remove its data at the end.

    Parameters
    ----------
    folder
        A folder that does not exist yet; its parent does.
    durable
        Whether the server waits for the disk at each commit, as one in service does, which is to be measured.
    arguments
        Others for the server's command line.

    Raises
    ------
    MissingProgramError
        If no MariaDB server is installed.
    ServerStartError
        If it does not start; the message carries the end of its log.
    """
    mariadbd, install = find_program("mariadbd"), find_program("mariadb-install-db")
    if mariadbd is None or install is None:
        raise MissingProgramError("A MariaDB server", "mariadb")
    folder.mkdir()
    try:
        _initialise(install, folder)
        process, server = _start(mariadbd, folder, [*(_IN_SERVICE if durable else _THROWN_AWAY), *arguments])
        try:
            yield server
        finally:
            # the data are thrown away, so the server need not put them in order first
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder)


@contextmanager
def shared_mariadb(folder: Path) -> Iterator[MariaDBServer]:
    """Use one private server together with every other process that names the same `folder`.

    Whoever comes first starts it, and waits at the end until all others are done before stopping it. The
    locks are the system's, so a process that dies releases what it held.

    Parameters
    ----------
    folder
        An existing folder for the server's data, its address and the locks.
    """
    if sys.platform == "win32":
        raise MissingProgramError("A MariaDB server under Linux or macOS", "mariadb")
    address = folder / "mariadb.json"
    with (folder / "mariadb.start").open("w") as starting, (folder / "mariadb.users").open("w") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if address.exists() and _is_free(users):
            # a process that was killed left it; its server ended with it
            address.unlink()
            shutil.rmtree(folder / "mariadb")
        fcntl.flock(users, fcntl.LOCK_SH)
        if address.exists():
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield MariaDBServer(**json.loads(address.read_text()))
            return
        with private_mariadb(folder / "mariadb") as server:
            address.write_text(json.dumps(asdict(server)))
            fcntl.flock(starting, fcntl.LOCK_UN)
            try:
                yield server
            finally:
                # newcomers wait at `starting` until this server is gone; those it serves finish first
                fcntl.flock(starting, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time in; the lock is the system's, so a process that dies releases it."""
    if sys.platform == "win32":
        raise MissingProgramError("A system with file locks", "mariadb")
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """Return a TCP port of this machine that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(lock: IO[str]) -> bool:
    """Return whether no other process holds `lock`, which is left unlocked."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def _as_user() -> list[str]:
    # mariadbd refuses to run as root unless told to
    return ["--user=root"] if sys.platform != "win32" and os.geteuid() == 0 else []


def _initialise(install: str, folder: Path) -> None:
    command = [
        install,
        "--no-defaults",
        f"--datadir={folder}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
        "--force",  # a machine that cannot look up its own name has a server all the same
        *_as_user(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise ServerStartError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _start(
    mariadbd: str, folder: Path, arguments: Sequence[str]
) -> tuple[subprocess.Popen[bytes], MariaDBServer]:
    for attempt in range(1, PORT_ATTEMPTS + 1):
        server = MariaDBServer("127.0.0.1", free_port(), "dj_test", secrets.token_urlsafe(12))
        with (folder / "server.log").open("w+b") as log:
            process = _launch(mariadbd, folder, server, log, arguments)
            try:
                _wait_until_ready(process, server, log)
            except ServerStartError as error:
                # another program can take the port between the probe and the start
                if attempt < PORT_ATTEMPTS and "Address already in use" in str(error):
                    continue
                raise
            except BaseException:
                process.kill()
                process.wait()
                raise
        return process, server
    raise AssertionError("every attempt returns or raises")


def _launch(
    mariadbd: str, folder: Path, server: MariaDBServer, log: IO[bytes], arguments: Sequence[str]
) -> subprocess.Popen[bytes]:
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    accounts = folder / "accounts.sql"
    accounts.write_text(
        f"CREATE OR REPLACE USER '{server.user}'@'%' IDENTIFIED BY '{server.password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{server.user}'@'%' WITH GRANT OPTION;\n"
        "DROP USER IF EXISTS 'root'@'localhost', 'root'@'127.0.0.1', 'root'@'::1', ''@'localhost';\n"
    )
    command = [
        mariadbd,
        "--no-defaults",
        f"--datadir={folder}",
        f"--init-file={accounts}",
        # relative to the data folder: a full path may be longer than the system admits for a socket
        "--socket=mariadb.sock",
        f"--pid-file={folder / 'mariadb.pid'}",
        # a server that starts removes the temporary tables it finds, those of others among them
        f"--tmpdir={temporary}",
        "--skip-networking=0",
        "--bind-address=127.0.0.1",
        f"--port={server.port}",
        "--skip-name-resolve",
        "--performance-schema=OFF",
        *arguments,
        *_as_user(),
    ]
    if setpriv := find_program("setpriv"):
        # if this process is killed outright, the kernel ends the server
        command = [setpriv, "--pdeathsig", "KILL", *command]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def _wait_until_ready(process: subprocess.Popen[bytes], server: MariaDBServer, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            server.connect().close()
        except pymysql.err.OperationalError as error:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            process.kill()
            process.wait()
            log.seek(0)
            text = log.read().decode(errors="replace")
            raise ServerStartError(f"mariadbd does not answer ({error}):\n{text[-2000:]}") from error
        return
