"""Figures that the demo lab attaches to its results: what a scientist would look at first."""

# scikit-image is marked as typed, but its functions are not annotated
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage import segmentation

from dj_panel.demo.signals import FloatArray, SpikeTriggeredAverage, TemporalSnr

_DPI = 110
_BLUE = "#1f5f99"


def draw_average(average: SpikeTriggeredAverage, overall_db: float, title: str, target: Path) -> Path:
    """Draw a spike-triggered average with twice its standard error, against the mean stimulus."""
    figure = Figure(figsize=(5, 3.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    low, high = average.mean_db - 2 * average.sem_db, average.mean_db + 2 * average.sem_db
    axes.fill_between(average.lags_ms, low, high, color=_BLUE, alpha=0.25, linewidth=0)
    axes.plot(
        average.lags_ms, average.mean_db, color=_BLUE, label=f"mean of {average.n_spikes} spikes ± 2 SE"
    )
    axes.axhline(overall_db, color="0.4", linestyle="--", linewidth=1, label="mean stimulus")
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set(xlabel="time from spike (ms)", ylabel="sound level (dB SPL)", title=title)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(target)
    return target


def draw_pulse(
    trace: NDArray[np.floating], rate_hz: float, beats_s: FloatArray, title: str, target: Path
) -> Path:
    """Draw the first 20 s of a pulse with its beats, and the heart rate over the whole recording."""
    figure = Figure(figsize=(7, 4.4), dpi=_DPI, layout="constrained")
    above, below = figure.subplots(2, 1)
    shown = trace[: round(20 * rate_hz)]
    above.plot(np.arange(shown.size) / rate_hz, shown, color="0.3", linewidth=0.8)
    early = beats_s[beats_s < shown.size / rate_hz]
    above.plot(early, trace[np.round(early * rate_hz).astype(int)], "v", color="#b3261e", markersize=5)
    above.set(ylabel="pulse (a.u.)", title=title, xlabel="time (s)")
    below.plot(beats_s[1:], 60.0 / np.diff(beats_s), ".", color=_BLUE, markersize=3)
    below.set(ylabel="heart rate (1/min)", xlabel="time (s)", ylim=(30, 180))
    figure.savefig(target)
    return target


def draw_regions(image: NDArray[np.uint8], labels: NDArray[np.int32], title: str, target: Path) -> Path:
    """Draw an image with the outlines of its regions."""
    rows, columns = labels.shape
    figure = Figure(figsize=(6, 6 * rows / columns + 0.3), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.imshow(segmentation.mark_boundaries(image, labels, color=(1, 0.85, 0), mode="inner"))
    axes.set_title(title)
    axes.set_axis_off()
    figure.savefig(target)
    return target


def draw_scan(result: TemporalSnr, title: str, target: Path) -> Path:
    """Draw the temporal signal-to-noise ratio of six slices, voxels outside the brain left white."""
    figure = Figure(figsize=(7, 4.6), dpi=_DPI, layout="constrained")
    n_slices = result.tsnr.shape[2]
    chosen = np.unique(np.linspace(0, n_slices - 1, min(6, n_slices)).round().astype(int))
    every = figure.subplots(-(-chosen.size // 3), 3, squeeze=False).ravel()
    shown = np.where(result.brain, result.tsnr, np.nan)
    ceiling = float(np.nanpercentile(shown, 99))
    for axes in every:
        axes.set_axis_off()
    for axes, place in zip(every, chosen, strict=False):
        picture = axes.imshow(shown[:, :, place].T, origin="lower", vmin=0, vmax=ceiling, cmap="viridis")
        axes.set_title(f"slice {place}", fontsize=8)
    figure.colorbar(picture, ax=list(every), label="temporal SNR")
    figure.suptitle(title, fontsize=10)
    figure.savefig(target)
    return target
