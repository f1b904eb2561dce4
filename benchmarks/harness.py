"""Timing: variants of one task in turn, medians, and ratios; never an absolute promise.

Wall time says what a person waits for and depends on who else uses the machine; the processor's time, ours and
the server's together, depends on it less. Both ratios are printed, beside the target.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Reading", "Row", "Timer", "measure", "print_table", "save"]


class Timer:
    """Measures wall time and processor time: of this process, of programs it has run, and of the server.

    Parameters
    ----------
    server_pid
        The server's process; without it, or where there is no ``/proc``, its time is not counted.
    """

    def __init__(self, server_pid: int | None = None) -> None:
        stat = Path(f"/proc/{server_pid}/stat")
        self._stat = stat if server_pid is not None and stat.exists() else None

    def now(self) -> tuple[float, float]:
        """Return both clocks in seconds."""
        used = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            used += usage.ru_utime + usage.ru_stime
        if self._stat is not None:
            ticks = self._stat.read_text(encoding="ascii").rpartition(")")[2].split()
            used += (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), used


@dataclass(frozen=True)
class Row:
    """One task.

    Parameters
    ----------
    task
        What was done.
    seconds, cpu_seconds
        All timings by variant, in the order of the rounds: on the clock, and of the processor.
    limit
        The variant that is the limit: the raw driver.
    at_most
        How many times the limit's time ours should take at the most.
    at_least
        How many times our time DataJoint should take at the least.
    """

    task: str
    seconds: Mapping[str, list[float]]
    cpu_seconds: Mapping[str, list[float]]
    limit: str
    at_most: float | None = None
    at_least: float | None = None

    def median(self, variant: str) -> float:
        """Return the median time of a variant in seconds."""
        return statistics.median(self.seconds[variant])

    def ratios(self, variant: str, to: str) -> tuple[float, float]:
        """Return how many times longer a variant takes than another, on the clock and of the processor."""
        # Of short tasks the processor's clock may count nothing at all.
        cpu = statistics.median(self.cpu_seconds[variant]) / max(
            statistics.median(self.cpu_seconds[to]), 1e-3
        )
        return self.median(variant) / self.median(to), cpu


@dataclass(frozen=True)
class Reading:
    """What is counted or measured by itself: statements, memory, milliseconds.

    Parameters
    ----------
    task
        What was looked at.
    value, unit
        What was found.
    at_most
        The target.
    """

    task: str
    value: float
    unit: str
    at_most: float


def measure(
    timer: Timer,
    task: str,
    variants: Mapping[str, Callable[[], object]],
    limit: str = "raw",
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    rounds: int = 5,
    prepare: Callable[[], object] = lambda: None,
) -> Row:
    """Run the variants in turn, ``rounds`` times, so that a busy moment of the machine meets all of them.

    What ``prepare`` does before each is not timed; nor is the collection of what the variant before has left behind,
    which would otherwise be counted to whichever comes next. What was asked for is there when the clock is read, and
    given back after it.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            prepare()
            gc.collect()
            wall, cpu = timer.now()
            result = run()
            after = timer.now()
            del result
            seconds[name].append(after[0] - wall)
            cpu_seconds[name].append(after[1] - cpu)
    return Row(task, seconds, cpu_seconds, limit, at_most, at_least)


def print_table(rows: list[Row], readings: list[Reading]) -> None:
    """Print a line for each task: median times, and ratios on the clock and, in brackets, of the processor."""
    print(
        f"{'task':<40}{'limit':>10}{'dj_panel':>10}{'datajoint':>11}"
        f"{'ours/limit':>15}{'target':>7}{'datajoint/ours':>17}{'target':>7}"
    )
    for row in rows:
        has_peer = "datajoint" in row.seconds
        print(
            f"{row.task:<40}{_ms(row.median(row.limit)):>10}{_ms(row.median('dj_panel')):>10}"
            f"{_ms(row.median('datajoint')) if has_peer else '':>11}"
            f"{_pair(row.ratios('dj_panel', row.limit)):>15}{f'≤{row.at_most:g}' if row.at_most else '':>7}"
            f"{_pair(row.ratios('datajoint', 'dj_panel')) if has_peer else '':>17}"
            f"{f'≥{row.at_least:g}' if row.at_least else '':>7}"
        )
    for reading in readings:
        print(f"{reading.task:<60}{reading.value:>8.3g} {reading.unit:<12}target ≤{reading.at_most:g}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}ms"


def _pair(ratios: tuple[float, float]) -> str:
    return f"{ratios[0]:.2f} ({ratios[1]:.2f})"


def save(found: Mapping[str, Any], loads: Mapping[str, Any], path: Path) -> None:
    """Keep what was found as JSON, with how busy the machine was."""
    kept = {"load_average": dict(loads), **found}
    path.write_text(json.dumps(_rounded(kept), indent=1) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Return a value whose numbers have as many digits as a clock can tell."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
