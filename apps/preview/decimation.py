"""Fewer points that look the same: the smallest and the largest value of every bucket of samples.

A screen has about a thousand columns of pixels. Drawing a line through the minimum and the maximum of the
samples that share a column shows every spike that drawing all samples would show. Samples are taken in
blocks, so the memory needed follows the block and not the length of the signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Real = Callable[[Array], Array]

# Samples handled at once: 8 MB of float64, which bounds temporary arrays.
BLOCK_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Summary:
    """What a run of values contains, in figures.

    Attributes
    ----------
    n_values, n_nan, n_infinite
        Counts; ``n_values`` includes the other two.
    minimum, maximum, mean
        Of the finite values only; None when there are none.
    """

    n_values: int = 0
    n_nan: int = 0
    n_infinite: int = 0
    minimum: float | int | None = None
    maximum: float | int | None = None
    mean: float | None = None

    @property
    def n_finite(self) -> int:
        """How many values are neither NaN nor infinite."""
        return self.n_values - self.n_nan - self.n_infinite

    def __add__(self, other: Summary) -> Summary:
        """Return the summary of both runs together.

        >>> (summarise(np.array([1.0, 3.0])) + summarise(np.array([5.0]))).mean
        3.0
        """
        lows = [low for low in (self.minimum, other.minimum) if low is not None]
        highs = [high for high in (self.maximum, other.maximum) if high is not None]
        weighted = [(part.mean, part.n_finite) for part in (self, other) if part.mean is not None]
        n_finite = sum(n for _, n in weighted)
        return Summary(
            n_values=self.n_values + other.n_values,
            n_nan=self.n_nan + other.n_nan,
            n_infinite=self.n_infinite + other.n_infinite,
            minimum=min(lows) if lows else None,
            maximum=max(highs) if highs else None,
            mean=sum(mean * (n / n_finite) for mean, n in weighted) if weighted else None,
        )


@dataclass(frozen=True)
class Envelope:
    """A signal as it is drawn.

    Attributes
    ----------
    positions
        ``(n_points,) float64`` sample numbers, ascending.
    values
        ``(n_points,) float64``; NaN where nothing finite is to be drawn.
    every
        How many samples one bucket holds; 1 means that every sample is there.
    summary
        Of all samples read, not only of those kept.
    """

    positions: NDArray[np.float64]
    values: NDArray[np.float64]
    every: int
    summary: Summary


def summarise(values: Array) -> Summary:
    """Return count, NaN, infinities, minimum, maximum and mean of real `values` of any shape.

    >>> summarise(np.array([1.0, np.nan, 3.0, np.inf]))
    Summary(n_values=4, n_nan=1, n_infinite=1, minimum=1.0, maximum=3.0, mean=2.0)
    """
    flat = values.reshape(-1)
    if flat.dtype.kind == "b":
        flat = flat.view(np.uint8)
    n_nan = n_infinite = 0
    if flat.dtype.kind == "f":
        finite = np.isfinite(flat)
        n_finite = int(np.count_nonzero(finite))
        if n_finite < flat.size:
            n_nan = int(np.count_nonzero(np.isnan(flat)))
            n_infinite = flat.size - n_finite - n_nan
            flat = flat[finite]
    n_values = flat.size + n_nan + n_infinite
    if flat.size == 0:
        return Summary(n_values, n_nan, n_infinite)
    with np.errstate(over="ignore"):
        mean = float(np.mean(flat, dtype=np.float64))
    if not math.isfinite(mean):
        # The sum of values near the largest float overflows though their mean does not.
        mean = float(np.sum(flat.astype(np.float64) / flat.size))
    return Summary(n_values, n_nan, n_infinite, flat.min().item(), flat.max().item(), mean)


def decimate(values: Array, n_buckets: int, *, first: int = 0, real: Real | None = None) -> Envelope:
    """Keep the minimum and the maximum of each of about `n_buckets` buckets of a signal, in order of time.

    Parameters
    ----------
    values
        ``(n_samples,)`` of any real dtype, or any dtype that `real` turns into one.
    n_buckets
        How many columns of pixels there are; at most twice as many points come back.
    first
        Sample number of ``values[0]``.
    real
        Applied to one block at a time, such as ``np.abs`` for complex signals.

    Raises
    ------
    ValueError
        When `n_buckets` is not positive.

    Examples
    --------
    >>> decimate(np.array([0, 5, 1, 1, -2, 3, 9, 9]), 2).values
    array([ 0.,  5., -2.,  9.])
    >>> decimate(np.array([0, 5, 1, 1, -2, 3, 9, 9]), 2).positions
    array([0., 1., 4., 6.])
    """
    if n_buckets < 1:
        raise ValueError(f"n_buckets is {n_buckets}; at least one bucket is needed")
    n_samples = len(values)
    size = 1 if n_samples <= 2 * n_buckets else math.ceil(n_samples / n_buckets)
    block = size * max(1, BLOCK_SAMPLES // size)
    positions: list[NDArray[np.float64]] = []
    kept: list[NDArray[np.float64]] = []
    summary = Summary()
    for start in range(0, n_samples, block):
        part = values[start : start + block]
        if real is not None:
            part = real(part)
        if part.dtype.kind == "b":
            part = part.view(np.uint8)
        summary = summary + summarise(part)
        where = np.arange(part.size) if size == 1 else _extremes(part, size)
        positions.append(where.astype(np.float64) + (first + start))
        kept.append(_drawable(part[where]))
    if not kept:
        return Envelope(np.empty(0), np.empty(0), 1, summary)
    return Envelope(np.concatenate(positions), np.concatenate(kept), size, summary)


def _extremes(part: Array, size: int) -> NDArray[np.intp]:
    """Return the index of the smallest and the largest finite value of each bucket of `size`, ascending."""
    n_full = part.size // size
    found = [_extremes_of_rows(part[: n_full * size].reshape(n_full, size))]
    if part.size % size:
        found.append(_extremes_of_rows(part[n_full * size :].reshape(1, -1)) + n_full * size)
    return np.concatenate(found)


def _extremes_of_rows(rows: Array) -> NDArray[np.intp]:
    n_rows, size = rows.shape
    if n_rows == 0:
        return np.empty(0, dtype=np.intp)
    low = rows.argmin(axis=1)
    high = rows.argmax(axis=1)
    if rows.dtype.kind == "f":
        # argmin and argmax stop at the first NaN and would let an infinity hide the values beside it.
        every_row = np.arange(n_rows)
        odd = np.flatnonzero(~(np.isfinite(rows[every_row, low]) & np.isfinite(rows[every_row, high])))
        for row in odd:
            finite = np.flatnonzero(np.isfinite(rows[row]))
            if finite.size:
                low[row] = finite[rows[row, finite].argmin()]
                high[row] = finite[rows[row, finite].argmax()]
            else:
                low[row] = high[row] = 0
    pairs = np.stack([np.minimum(low, high), np.maximum(low, high)], axis=1)
    found: NDArray[np.intp] = (pairs + (np.arange(n_rows) * size)[:, None]).reshape(-1)
    return found


def _drawable(values: Array) -> NDArray[np.float64]:
    """Return float64 in which an infinity, which no canvas can draw, is a gap."""
    drawn = values.astype(np.float64)
    drawn[~np.isfinite(drawn)] = np.nan
    return drawn
