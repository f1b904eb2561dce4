"""The demo lab as its own command serves it, for the files that look at it in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dj_panel.apps.routes import Route, format_route

ROOT = Path(__file__).parents[2]


class Demo:
    """The demo lab, served from a folder by a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJ_")}
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        command = [sys.executable, "-m", "dj_panel", "demo", "--folder", "lab", "--no-browser", "--port", "0"]
        self.log = (folder / "log.txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.address = self._wait()

    def _wait(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"dj_panel is at (\S+)", line):
                return found[1]
        self.log.seek(0)
        pytest.fail(f"the demo did not start:\n{self.log.read()[-3000:]}", pytrace=False)

    def url(self, page: str, table: str, **query: str) -> str:
        return self.address + format_route(Route(page, (table,), query))

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.stdout is not None
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait()
        self.log.close()
