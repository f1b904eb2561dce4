"""Which part of an array is visible, and what looking at it costs: arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from dj_panel.apps.preview.description import human_bytes
from dj_panel.core.words import say

Index = tuple[int | slice | tuple[int, ...], ...]
Move = Literal["back", "forward", "in", "out"]

# One step of a button moves by a quarter of what is visible; zooming halves or doubles it.
PAN_SHARE = 0.25
ZOOM_FACTOR = 2.0


class OverBudgetError(ValueError):
    """A read would take more bytes than a preview may take.

    Attributes
    ----------
    n_bytes, budget_bytes
        What the read would take, and what it may take.
    """

    def __init__(self, n_bytes: int, budget_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.budget_bytes = budget_bytes
        super().__init__(
            say(
                "The smallest piece that can be read holds {size}, and a preview reads at most {limit} at a time."
                " Load the value in Python, or store it in smaller chunks.",
                size=human_bytes(n_bytes),
                limit=human_bytes(budget_bytes),
            )
        )


def touched_bytes(shape: Sequence[int], chunks: Sequence[int], itemsize: int, index: Index) -> int:
    """Return the bytes of all chunks that `index` touches, each counted whole as it must be decoded whole.

    >>> touched_bytes((100, 100), (10, 10), 1, (slice(0, 11), 5))
    200
    """
    n_bytes = itemsize
    for axis, length in enumerate(shape):
        item = index[axis] if axis < len(index) else slice(None)
        n_bytes *= _touched(item, length, chunks[axis]) * chunks[axis]
    return n_bytes


def _touched(item: int | slice | tuple[int, ...], length: int, chunk: int) -> int:
    if isinstance(item, int):
        return 1
    if isinstance(item, tuple):
        return len({position // chunk for position in item})
    positions = range(*item.indices(length))
    if len(positions) == 0:
        return 0
    if positions.step >= chunk:
        return len(positions)
    return positions[-1] // chunk - positions[0] // chunk + 1


def page_chunks(
    shape: Sequence[int], itemsize: int, *, fortran: bool = False, page_bytes: int = 1 << 16
) -> tuple[int, ...]:
    """Return the block that one read of a memory-mapped file brings in, as if the file were chunked.

    >>> page_chunks((1000, 384), 2)
    (85, 384)
    """
    block = [1] * len(shape)
    room = page_bytes // max(1, itemsize)
    axes = range(len(shape)) if fortran else reversed(range(len(shape)))
    for axis in axes:
        block[axis] = max(1, min(shape[axis], room))
        room //= max(1, shape[axis])
    return tuple(block)


def visible_samples(low: float, high: float, rate: float, n_samples: int) -> tuple[int, int]:
    """Return first and past-last sample to draw for the axis range `low` to `high`, one beyond each edge.

    >>> visible_samples(1.0, 2.0, 10.0, 100)
    (9, 22)
    """
    if n_samples == 0 or not (math.isfinite(low) and math.isfinite(high)):
        return 0, n_samples
    low, high = min(low, high), max(low, high)
    start = math.floor(max(low, 0.0) * rate) - 1
    stop = math.ceil(min(high * rate, float(n_samples))) + 2
    return min(max(start, 0), n_samples), min(max(stop, 0), n_samples)


def moved(
    low: float, high: float, move: Move, lower: float, upper: float, min_span: float
) -> tuple[float, float]:
    """Return the range after one press of a button, kept inside `lower` and `upper`.

    >>> moved(0, 100, "in", 0, 100, 1)
    (25.0, 75.0)
    >>> moved(25, 75, "back", 0, 100, 1)
    (12.5, 62.5)
    >>> moved(0, 60, "back", 0, 100, 1)
    (0.0, 60.0)
    """
    span, centre = high - low, (low + high) / 2
    if move == "in":
        span = max(span / ZOOM_FACTOR, min_span)
    elif move == "out":
        span = min(span * ZOOM_FACTOR, upper - lower)
    else:
        centre += span * PAN_SHARE * (1 if move == "forward" else -1)
    span = min(span, upper - lower)
    centre = min(max(centre, lower + span / 2), upper - span / 2)
    return float(centre - span / 2), float(centre + span / 2)


def spread_evenly(n_items: int, n_wanted: int) -> list[int]:
    """Return `n_wanted` numbers below `n_items`, evenly spread and ascending; all when there are fewer.

    >>> spread_evenly(10, 3)
    [1, 5, 8]
    """
    if n_wanted >= n_items:
        return list(range(n_items))
    return [int((2 * k + 1) * n_items // (2 * n_wanted)) for k in range(n_wanted)]


def stride_for(n_visible: int, n_pixels: int) -> int:
    """Return the step at which at most `n_pixels` of `n_visible` values are taken.

    >>> stride_for(4000, 1000), stride_for(10, 1000)
    (4, 1)
    """
    return max(1, math.ceil(n_visible / max(1, n_pixels)))
