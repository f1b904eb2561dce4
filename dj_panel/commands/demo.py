"""``dj-panel demo``: a lab made from real recordings, in a folder of its own."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from dj_panel.apps.application import serve_pipeline
from dj_panel.apps.pipeline import load_pipeline
from dj_panel.commands.serve import add_server_arguments
from dj_panel.demo.build import STAMP_FILE, build

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said after ``dj-panel demo``."""
    parser.add_argument(
        "--folder", type=Path, default=Path("demo-lab"), help="where to make it (default ./demo-lab)"
    )
    parser.add_argument(
        "--reset", action="store_true", help="begin again, after asking: what was entered is lost"
    )
    parser.add_argument(
        "--on-server",
        action="store_true",
        help="keep the tables on the database server of DJ_HOST, DJ_USER and DJ_PASS instead of in the folder",
    )
    parser.add_argument("--build-only", action="store_true", help="make it, and do not serve it")
    add_server_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Make the demo lab if there is none, and serve it until the process is told to stop."""
    folder = options.folder.absolute()
    if options.reset and folder.exists() and not _remove(folder):
        print("Nothing was removed.")
        return 1
    is_new = not (folder / STAMP_FILE).exists()
    if is_new:
        print(f"Making the demo lab in {folder}: importing recordings and computing part of the results.")
        print(
            "This takes about half a minute. One computation fails on purpose: its sensor was off the finger."
        )
        print(flush=True)
    begun = time.monotonic()
    build(folder, on_server=options.on_server)
    if is_new:
        print(f"Made in {time.monotonic() - begun:.0f} s.")
    else:
        print(f"The demo lab is in {folder}, with all that was entered. dj-panel demo --reset begins again.")
    if options.build_only:
        return 0
    pipeline = load_pipeline("dj_panel.demo.lab", "Demo lab")
    return serve_pipeline(
        pipeline,
        port=options.port,
        address=options.address,
        origins=options.origin,
        open_browser=not options.no_browser,
    )


def _remove(folder: Path) -> bool:
    """Remove a demo lab after asking; refuse any other folder."""
    if not (folder / STAMP_FILE).exists() and not (folder / "lab.db").exists():
        print(f"{folder} is not a demo lab, so it is left alone. Name another --folder.", file=sys.stderr)
        return False
    try:
        answer = input(f"Remove {folder} with all that was entered and computed in it? [yes, No]: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        return False
    shutil.rmtree(folder)
    return True
