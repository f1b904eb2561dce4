"""``make bench-pages``: sessions entered beside Django's admin, parents among 100,000, pages of ten million rows.

Time is what the clock says on this machine, with the browser, both programs and the servers on it: it is the ratios,
and the distance from the targets, that matter. Keys, requests and bytes are the same on each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.entering import OURS, SEARCHED, enter_sessions, programs, weigh_pages
from benchmarks.figures import print_figures
from benchmarks.harness import save
from benchmarks.lab import mariadb, sqlite
from benchmarks.looking import by_place, choose_parents, search_parents, turn_pages
from benchmarks.typist import browsing
from tests.servers import private_mariadb

__all__: list[str] = []


def main() -> None:
    """Measure everything, print it, and keep all values."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--rows", type=int, default=10_000_000, help="of the long table (10,000,000)")
    n_rows = arguments.parse_args().rows
    loads = {"before": os.getloadavg()}
    with (
        tempfile.TemporaryDirectory() as name,
        private_mariadb(Path(name) / "mariadb", durable=True) as server,
    ):
        folder = Path(name)
        places = (sqlite(folder), mariadb(server))
        with browsing() as browser:
            with programs(browser, folder) as forms:
                entered = enter_sessions(browser, forms)
                weighed = weigh_pages(browser, forms)
            print_figures("5 sessions in a row by the keyboard, each", entered, (SEARCHED, OURS))
            print_figures("the weight of its page", weighed, (SEARCHED, OURS))
            chosen = {place.title: choose_parents(browser, place, folder) for place in places}
        # While a browser is driven, its event loop keeps others out of this thread.
        searched = by_place({place.title: chosen[place.title] | search_parents(place) for place in places})
        print_figures("a subject is chosen among 100,000", searched)
        turned = {place.title: turn_pages(place, n_rows) for place in places}
    read = by_place({title: found for title, (found, _) in turned.items()})
    counted = {title: shown for title, (_, shown) in turned.items()}
    loads["after"] = os.getloadavg()
    print_figures(f"a table of {n_rows:,} rows, at the service", read)
    for title, shown in counted.items():
        print(f"Counted on {title}: " + "; ".join(f"{task} as {text}" for task, text in shown.items()) + ".")
    print(f"Load of the machine: {loads['before'][0]:.1f} before, {loads['after'][0]:.1f} after.")
    groups = {"entered": entered, "weighed": weighed, "chosen": searched, "read": read}
    kept = {title: [asdict(figure) for figure in figures] for title, figures in groups.items()}
    save({**kept, "counted": counted}, loads, Path("benchmarks/pages.json"))


if __name__ == "__main__":
    main()
