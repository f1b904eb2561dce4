"""The command ``dj-panel``: serve a pipeline, try the demo lab, compute.

Each subcommand is a module of :mod:`dj_panel.commands`, imported only when it is used: a worker needs no
browser library, and ``dj-panel --help`` needs nothing.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

import dj_panel
from dj_panel.core.errors import DataJointError

__all__ = ["main"]

SUBCOMMANDS = {
    "check": "compare a pipeline's imports with its foreign keys, and its code with the database",
    "demo": "make a lab from real recordings in a folder, and serve it",
    "serve": "serve a pipeline, or an existing DataJoint database, to browsers",
    "shell": "open a Python prompt with dj and schemas of the database",
    "work": "compute what is missing, sharing the work with every other worker",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments
        Words after the command's name; those of the process if not given.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="dj-panel", description=dj_panel.__doc__)
    parser.add_argument("--version", action="version", version=f"dj-panel {dj_panel.__version__}")
    choices = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for name, summary in SUBCOMMANDS.items():
        choice = choices.add_parser(name, help=summary, description=summary)
        if given[:1] == [name]:
            importlib.import_module(f"dj_panel.commands.{name}").add_arguments(choice)
    options = parser.parse_args(given)
    # Our own reports are as loud as `loglevel` says; other packages speak when something is wrong.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        status: int = importlib.import_module(f"dj_panel.commands.{options.subcommand}").run(options)
    except DataJointError as error:
        print(f"dj-panel: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
