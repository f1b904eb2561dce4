"""``dj-panel work``: compute what is missing."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from typing import Any

from dj_panel.core.errors import MissingTableError, did_you_mean
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.tiers import UserTable
from dj_panel.core.workers import stop_on_signals, work
from dj_panel.modules import pipeline_classes

__all__ = ["add_arguments", "run"]

logger = logging.getLogger("dj_panel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said after ``dj-panel work``."""
    parser.add_argument("module", help="import name of the pipeline")
    parser.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="SCHEMA.CLASS",
        help="only this table; may be given several times",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        type=_key,
        metavar="JSON",
        help="only what rests on this key, such as '{\"subject\": 42}'; may be given several times",
    )
    parser.add_argument("--processes", type=int, default=1, help="how many workers (default 1)")


def run(options: argparse.Namespace) -> int:
    """Work until nothing is left or until told to stop; one key is always finished."""
    if options.processes > 1:
        return _run_several(options)
    sys.path.insert(0, os.getcwd())
    tables = chosen_tables(pipeline_classes(options.module), options.table)
    with stop_on_signals() as stop:
        tally = work(tables, *([options.key] if options.key else []), stop=stop)
    logger.info(
        "%d computed, %d failed%s", tally.succeeded, tally.failed, ", stopped" if tally.stopped else ""
    )
    return 0


def _key(text: str) -> dict[str, Any]:
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    if not isinstance(key, dict) or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not a key, such as '{{\"subject\": 42}}'")
    return key


def chosen_tables(classes: dict[str, type[UserTable]], names: list[str]) -> list[AutoPopulate]:
    """Return the tables to compute, parents before children.

    Raises
    ------
    MissingTableError
        If a name is not that of a table that can be computed.
    """
    computable = {
        name: cls for name, cls in classes.items() if issubclass(cls, AutoPopulate) and cls.is_computable()
    }
    for name in names:
        if name not in computable:
            raise MissingTableError(
                f"'{name}' is not a table that can be computed.{did_you_mean(name, computable)}"
                f" There are: {', '.join(computable)}."
            )
    return [cls() for name, cls in computable.items() if not names or name in names]


def _run_several(options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "dj_panel", "work", options.module]
    command += [word for name in options.table for word in ("--table", name)]
    command += [word for key in options.key for word in ("--key", json.dumps(key))]
    workers = [subprocess.Popen(command) for _ in range(options.processes)]
    with stop_on_signals() as stop:
        told = False
        while any(worker.poll() is None for worker in workers):
            if stop() and not told:
                told = True
                for worker in workers:
                    worker.terminate()
            try:
                workers[0].wait(timeout=0.2)
                for worker in workers:
                    worker.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
    return max(worker.returncode for worker in workers)
