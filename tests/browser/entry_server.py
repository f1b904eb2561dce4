"""Servers of an entry site in processes of their own, which can be killed and started again at the same port.

A program that has loaded the libraries once becomes a server by splitting in two: what takes a server that is
started anew four seconds of a processor's time. Of dj_panel it loads nothing, so that each server reads its
own settings.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from tests.servers import free_port

LIBRARIES = ("panel_material_ui", "holoviews.plotting.bokeh", "pandas", "zarr", "pymysql")


class Starter:
    """The program that becomes servers, one at a time."""

    def __init__(self) -> None:
        root = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=root,
            env={**os.environ, "PYTHONPATH": root},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._server = 0

    def start(self, environment: dict[str, str], folder: Path, name: str, port: int, *, dies: bool) -> None:
        """Start a server and wait until it answers."""
        self._send([environment, str(folder), name, port, dies])
        self._server = int(self._receive())
        line = self._receive()
        assert "dj_panel is at" in line, line

    def wait(self) -> None:
        """Wait until the server has ended."""
        if self._server:
            line = self._receive()
            assert line == "ended\n", line
            self._server = 0

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._server:
            os.kill(self._server, signal.SIGKILL)
            self.wait()

    def close(self) -> None:
        """End the program."""
        self.kill()
        self._process.communicate(timeout=60)

    def _send(self, words: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Server:
    """One lab's server, at one address."""

    def __init__(self, starter: Starter, name: str, environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._starter = starter
        self._environment = environment
        self._folder = folder

    def start(self, *, dies: bool = False) -> None:
        """Serve; `dies` when the first row is written, before the answer is sent."""
        self._starter.start(self._environment, self._folder, self.name, self.port, dies=dies)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._starter.kill()

    def wait(self) -> None:
        """Wait until it has died by itself."""
        self._starter.wait()


def _become_servers(orders: IO[str]) -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    for order in orders:
        environment, folder, name, port, dies = json.loads(order)
        server = os.fork()
        if server == 0:
            os.environ.update(environment)
            os.chdir(folder)
            sys.argv[1:] = [name, str(port), "dies" if dies else "lives"]
            runpy.run_module("tests.browser.entry_site", run_name="__main__")
            os._exit(0)
        print(server, flush=True)
        os.waitpid(server, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    _become_servers(sys.stdin)
