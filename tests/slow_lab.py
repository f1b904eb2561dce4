"""A pipeline module whose computation can be held, slowed and made to fail by files in the working folder."""

from __future__ import annotations

import importlib
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

_NUMBERS = itertools.count()

BAD_ITEM = 13
SOURCE = '''
"""Items, and a result for each."""

import os
import time
from pathlib import Path

import dj_panel as dj
from dj_panel.core.settings import load_settings

settings = load_settings()
settings["safemode"] = False
schema = dj.Schema("{schema}", connection=dj.Connection(settings))


@schema
class Item(dj.Manual):
    definition = """
    # something that is measured
    item : int32   # number of the item
    """


@schema
class Result(dj.Computed):
    definition = """
    # what came out
    -> Item
    ---
    pid : int64
    """

    def make(self, key):
        with Path("made.log").open("a") as log:
            log.write(f"{{os.getpid()}} {{key['item']}}\\\\n")
        while Path("hold").exists():
            time.sleep(0.02)
        if Path("pause").exists():
            time.sleep(float(Path("pause").read_text()))
        if key["item"] == {bad} and not Path("mended").exists():
            raise ValueError(f"no peak in item {{key['item']}} <b>of</b> 'rig 1'")
        self.insert1({{**key, "pid": os.getpid()}})


@schema
class Summary(dj.Computed):
    definition = """
    # of a result
    -> Result
    """

    def make(self, key):
        self.insert1(key)
'''


def load_slow_lab(
    folder: Path, schema: str, monkeypatch: pytest.MonkeyPatch, n_items: int = 20
) -> ModuleType:
    """Write the module into a folder, which becomes the working folder, import it, and enter `n_items` items.

    The environment must lead to the database.
    """
    name = f"slow_lab_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(SOURCE.format(schema=schema, bad=BAD_ITEM).replace("\\\\n", "\\n"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name, raising=False)
    module.Item.insert({"item": i} for i in range(1, n_items + 1))
    return module


def made(folder: Path) -> list[tuple[int, int]]:
    """Return the process and item of every call of make so far."""
    log = folder / "made.log"
    if not log.exists():
        return []
    lines = log.read_text().splitlines()
    return [(int(pid), int(item)) for pid, _, item in (line.partition(" ") for line in lines)]


def wait_until(happens: Callable[[], object], what: str, patience_s: float = 60.0) -> None:
    """Wait for something that must come; fail if it never does."""
    deadline = time.monotonic() + patience_s
    while not happens():
        if time.monotonic() > deadline:
            pytest.fail(f"it never happened that {what}")
        time.sleep(0.02)
