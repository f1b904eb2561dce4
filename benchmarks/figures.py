"""What was counted or measured of pages, by program or by server, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Figure", "print_figures"]


@dataclass(frozen=True)
class Figure:
    """One thing that was looked at.

    Parameters
    ----------
    task
        What was done.
    unit
        Of all values.
    found
        All values, by program or by server.
    at_most
        The target, if there is one.
    """

    task: str
    unit: str
    found: Mapping[str, Sequence[float]]
    at_most: float | None = None

    def median(self, name: str) -> float:
        """Return the median of what was found of a program or a server."""
        return statistics.median(self.found[name])


def print_figures(title: str, figures: Sequence[Figure], ratio: tuple[str, str] | None = None) -> None:
    """Print a line for each figure: its medians, how many times the first of ``ratio`` is the second, and the target."""
    names = list(figures[0].found)
    heading = f"{f'{ratio[0]}/{ratio[1]}':>22}" if ratio else ""
    print(f"\n{title:<52}{'':<12}" + "".join(f"{name:>18}" for name in names) + heading)
    for figure in figures:
        line = f"{figure.task:<52}{figure.unit:<12}" + "".join(
            f"{_number(figure.median(name)):>18}" for name in names
        )
        if ratio:
            line += f"{_number(figure.median(ratio[0]) / max(figure.median(ratio[1]), 1e-9)):>22}"
        print(line + (f"   target ≤{figure.at_most:g}" if figure.at_most else ""))


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"
