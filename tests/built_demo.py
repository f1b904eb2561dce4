"""One demo lab for a whole run of the tests: built once, copied by whoever changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers import locked

ROOT = Path(__file__).parents[1]
BUILD = "import sys, pathlib; from dj_panel.demo.build import build; build(pathlib.Path(sys.argv[1]))"


def run_python(folder: Path, *arguments: str) -> str:
    """Run Python in `folder` and return what it printed; its settings are the folder's alone.

    Raises
    ------
    AssertionError
        If it fails, with the end of what it said.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJ_")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def build_demo(folder: Path) -> None:
    """Build the demo lab on SQLite in `folder`, or complete it; one that was copied is led to its new place."""
    run_python(folder, "-c", BUILD, str(folder))


def shared_demo(folder: Path) -> Path:
    """Return the built demo lab in `folder`, building it unless another process has; nobody may change it."""
    demo = folder / "built-demo"
    with locked(folder / "built-demo.lock"):
        if not (demo / "demo.json").exists():
            shutil.rmtree(demo, ignore_errors=True)
            demo.mkdir()
            build_demo(demo)
    return demo
