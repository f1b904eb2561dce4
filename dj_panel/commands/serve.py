"""``dj-panel serve``: a pipeline, or an existing database, in the browser."""

from __future__ import annotations

import argparse
import os
import sys

from dj_panel.apps.application import serve_pipeline
from dj_panel.apps.pipeline import load_pipeline, open_schemas

__all__ = ["add_arguments", "add_server_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said after ``dj-panel serve``."""
    parser.add_argument(
        "module",
        nargs="?",
        help="import name of the pipeline: a module, or a package with all of its modules",
    )
    parser.add_argument(
        "--schema",
        action="append",
        default=[],
        metavar="PATTERN",
        help="serve existing schemas without any code, for example 'lab_*'; may be given several times",
    )
    parser.add_argument("--title", help="name of the application; that of the module if not given")
    add_server_arguments(parser)


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said of the server: where it listens, and whether a browser is opened."""
    parser.add_argument("--port", type=int, default=5006, help="TCP port (default 5006; 0 takes a free one)")
    parser.add_argument(
        "--address", default="127.0.0.1", help="address to listen on (default 127.0.0.1: only this computer)"
    )
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="another address under which browsers reach the server, such as that of a proxy",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(options: argparse.Namespace) -> int:
    """Serve until the process is told to stop."""
    if bool(options.module) == bool(options.schema):
        print("dj-panel serve: name either a module or --schema PATTERN.", file=sys.stderr)
        return 2
    # The command is an installed script, so the folder it is run in is not searched for modules by itself.
    sys.path.insert(0, os.getcwd())
    if options.module:
        pipeline = load_pipeline(options.module, options.title)
    else:
        pipeline = open_schemas(options.schema, options.title)
    return serve_pipeline(
        pipeline,
        port=options.port,
        address=options.address,
        origins=options.origin,
        open_browser=not options.no_browser,
    )
