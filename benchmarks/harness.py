"""Timing: variants of one task in turn, medians, and ratios; never an absolute promise."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Row", "measure", "print_table", "save"]


@dataclass(frozen=True)
class Row:
    """One task.

    Parameters
    ----------
    task
        What was done.
    seconds
        All timings by variant, in the order of the rounds.
    limit
        The variant that is the limit: the raw driver.
    """

    task: str
    seconds: Mapping[str, list[float]]
    limit: str

    def median(self, variant: str) -> float:
        """Return the median time of a variant in seconds."""
        return statistics.median(self.seconds[variant])

    def ratio(self, variant: str, to: str) -> float:
        """Return how many times longer a variant takes than another."""
        return self.median(variant) / self.median(to)


def measure(task: str, variants: Mapping[str, Callable[[], object]], limit: str, rounds: int = 5) -> Row:
    """Run the variants in turn, ``rounds`` times, so that a busy moment of the machine meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    return Row(task, seconds, limit)


def print_table(rows: list[Row]) -> None:
    """Print a line for each task: median times, ours against the limit, DataJoint against ours."""
    print(
        f"{'task':<44}{'limit':>10}{'dj_panel':>10}{'datajoint':>11}{'ours/limit':>12}{'datajoint/ours':>16}"
    )
    for row in rows:
        peer = row.median("datajoint") if "datajoint" in row.seconds else float("nan")
        print(
            f"{row.task:<44}{row.median(row.limit) * 1e3:>8.1f}ms{row.median('dj_panel') * 1e3:>8.1f}ms"
            f"{peer * 1e3:>9.1f}ms{row.ratio('dj_panel', row.limit):>11.2f}x{peer / row.median('dj_panel'):>15.1f}x"
        )


def save(rows: list[Row], path: Path) -> None:
    """Keep the raw timings as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
