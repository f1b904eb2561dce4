"""Analyses of the demo lab: pure functions from arrays to results, without database or files.

Units are in the names. Each function names the published method it follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, signal

FloatArray = NDArray[np.float64]

REFERENCE_PRESSURE_PA = 2.0e-5
LONGEST_INTERVAL_S = 2.0
SHORTEST_INTERVAL_S = 0.3


class UnusableSignalError(ValueError):
    """A recording cannot be analysed; the message says what is wrong with it and what to do."""


# ------------------------------------------------------------------ spikes and sound
@dataclass(frozen=True)
class SpikeTriggeredAverage:
    """Mean stimulus around a spike.

    ``lags_ms`` runs from before the spike (negative) to after it; ``mean_db`` and ``sem_db`` have its
    shape. ``n_spikes`` counts the spikes whose whole surround lies inside the stimulus.
    """

    lags_ms: FloatArray
    mean_db: FloatArray
    sem_db: FloatArray
    n_spikes: int

    @property
    def peak_lag_ms(self) -> float:
        """Lag of the highest mean level; negative is before the spike."""
        return float(self.lags_ms[int(np.argmax(self.mean_db))])

    @property
    def peak_db(self) -> float:
        """Highest mean level."""
        return float(self.mean_db.max())


def sound_level_db(amplitude: ArrayLike, loudest_db: float) -> FloatArray:
    """Return the level of a sound envelope, scaled so that its loudest sample has ``loudest_db``.

    >>> sound_level_db([1.0, 0.1], loudest_db=70.0).tolist()
    [70.0, 50.0]
    """
    values = np.asarray(amplitude, dtype=float)
    if values.size == 0 or not np.all(values > 0):
        raise UnusableSignalError("A sound envelope must be positive everywhere to have a level in dB.")
    level = 20.0 * np.log10(values / REFERENCE_PRESSURE_PA)
    return np.asarray(loudest_db - level.max() + level)


def spike_triggered_average(
    level_db: ArrayLike, rate_hz: float, spike_times_s: ArrayLike, before_s: float, after_s: float
) -> SpikeTriggeredAverage:
    """Average the stimulus from ``before_s`` before each spike to ``after_s`` after it.

    Raises
    ------
    UnusableSignalError
        If fewer than two spikes have their whole surround inside the stimulus.

    Source: de Boer and Kuyper (1968), triggered correlation, IEEE Trans. Biomed. Eng. 15:169-179.
    """
    level = np.asarray(level_db, dtype=float)
    before, after = round(before_s * rate_hz), round(after_s * rate_hz)
    at = np.round(np.asarray(spike_times_s, dtype=float) * rate_hz).astype(np.int64)
    at = at[(at >= before) & (at + after < level.size)]
    if at.size < 2:
        raise UnusableSignalError(
            f"Only {at.size} spikes have {before_s:g} s of stimulus before and {after_s:g} s after them;"
            " an average needs at least 2. Use a longer recording or shorter lags."
        )
    offsets = np.arange(-before, after + 1)
    surrounds = level[at[:, None] + offsets]
    return SpikeTriggeredAverage(
        lags_ms=np.asarray(offsets * (1000.0 / rate_hz), dtype=float),
        mean_db=surrounds.mean(axis=0),
        sem_db=surrounds.std(axis=0, ddof=1) / np.sqrt(at.size),
        n_spikes=int(at.size),
    )


@dataclass(frozen=True)
class ShiftTest:
    """How far the stimulus around the spikes lies from the stimulus at large.

    ``deviation_db`` is the largest absolute distance of the average from the mean stimulus,
    ``chance_95_db`` what shifted spike trains stay under in 95 of 100 cases.
    """

    average: SpikeTriggeredAverage
    deviation_db: float
    chance_95_db: float
    p_value: float


def shift_test(
    level_db: ArrayLike,
    rate_hz: float,
    spike_times_s: ArrayLike,
    before_s: float,
    after_s: float,
    n_shifts: int,
    seed: int,
) -> ShiftTest:
    """Compare a spike-triggered average with those of the same spikes, shifted in time.

    Each shift moves all spikes by one random lag, wrapping round at the end: the intervals between spikes
    stay, the relation to the stimulus goes. The smallest possible p-value is ``1 / (n_shifts + 1)``.

    Source: Phipson and Smyth (2010), permutation p-values should never be zero.
    """
    level = np.asarray(level_db, dtype=float)
    average = spike_triggered_average(level, rate_hz, spike_times_s, before_s, after_s)
    offsets = np.arange(-round(before_s * rate_hz), round(after_s * rate_hz) + 1)
    at = np.round(np.asarray(spike_times_s, dtype=float) * rate_hz).astype(np.int64)
    shortest = offsets.size
    if level.size <= 2 * shortest:
        raise UnusableSignalError(
            f"The stimulus lasts {level.size / rate_hz:g} s, which leaves no room for shifts"
            f" longer than the lags ({shortest / rate_hz:g} s). Use longer windows."
        )
    shifts = np.random.default_rng(seed).integers(shortest, level.size - shortest, size=n_shifts)
    overall = level.mean()
    chance = np.empty(n_shifts)
    for number, shift in enumerate(shifts):
        shifted = (at + shift) % level.size
        surrounds = level[(shifted[:, None] + offsets) % level.size]
        chance[number] = np.abs(surrounds.mean(axis=0) - overall).max()
    observed = float(np.abs(average.mean_db - overall).max())
    return ShiftTest(
        average=average,
        deviation_db=observed,
        chance_95_db=float(np.quantile(chance, 0.95)),
        p_value=float((1 + np.count_nonzero(chance >= observed)) / (n_shifts + 1)),
    )


@dataclass(frozen=True)
class IntervalStatistics:
    """Spike counts and intervals: rate (spikes/s), coefficient of variation, shortest interval, histogram."""

    mean_rate_hz: float
    variation: float
    shortest_ms: float
    histogram: NDArray[np.int64]
    edges_ms: FloatArray


def interval_statistics(
    spike_times_s: ArrayLike, duration_s: float, bin_ms: float = 1.0
) -> IntervalStatistics:
    """Describe the intervals between spikes.

    Raises
    ------
    UnusableSignalError
        If there are fewer than three spikes, or they are out of order.
    """
    times = np.asarray(spike_times_s, dtype=float)
    if times.size < 3:
        raise UnusableSignalError(f"{times.size} spikes have no interval statistics; at least 3 are needed.")
    intervals_ms = np.diff(times) * 1000.0
    if np.any(intervals_ms <= 0):
        raise UnusableSignalError(
            "The spike times are not in increasing order. Sort the file and import it again."
        )
    edges = np.arange(0.0, np.ceil(intervals_ms.max() / bin_ms) * bin_ms + bin_ms, bin_ms)
    return IntervalStatistics(
        mean_rate_hz=times.size / duration_s,
        variation=float(intervals_ms.std() / intervals_ms.mean()),
        shortest_ms=float(intervals_ms.min()),
        histogram=np.histogram(intervals_ms, edges)[0].astype(np.int64),
        edges_ms=edges,
    )


def firing_rate(
    spike_times_s: ArrayLike, duration_s: float, sigma_s: float, rate_hz: float = 1000.0
) -> FloatArray:
    """Return the firing rate (spikes/s), sampled at ``rate_hz``, smoothed by a Gaussian of ``sigma_s``.

    The sum over samples divided by ``rate_hz`` is the number of spikes: the ends are mirrored.
    """
    n_samples = round(duration_s * rate_hz)
    at = np.floor(np.asarray(spike_times_s, dtype=float) * rate_hz).astype(np.int64)
    counts = np.bincount(at[(at >= 0) & (at < n_samples)], minlength=n_samples).astype(float)
    return np.asarray(ndimage.gaussian_filter1d(counts * rate_hz, sigma_s * rate_hz, mode="reflect"))


# ------------------------------------------------------------------ pulse and heart rate
def flat_stretches(trace: ArrayLike, rate_hz: float, longer_than_s: float = 1.0) -> list[tuple[float, float]]:
    """Return start and length (s) of every stretch in which the signal does not change.

    >>> flat_stretches([1, 2, 5, 5, 5, 5, 3], rate_hz=1.0, longer_than_s=2.0)
    [(2.0, 4.0)]
    """
    values = np.asarray(trace)
    if values.size == 0:
        return []
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    lengths = np.diff(np.r_[starts, values.size])
    keep = lengths / rate_hz > longer_than_s
    return [
        (float(start / rate_hz), float(length / rate_hz))
        for start, length in zip(starts[keep], lengths[keep], strict=True)
    ]


def require_moving_signal(trace: ArrayLike, rate_hz: float, most_flat: float = 0.1) -> None:
    """Refuse a recording that stands still for more than the fraction ``most_flat`` of its time.

    Raises
    ------
    UnusableSignalError
        Saying for how long and from when the signal is flat.
    """
    duration = np.asarray(trace).size / rate_hz
    stretches = flat_stretches(trace, rate_hz)
    flat = sum(length for _, length in stretches)
    if duration == 0 or flat > most_flat * duration:
        start, longest = max(stretches, key=lambda stretch: stretch[1], default=(0.0, 0.0))
        raise UnusableSignalError(
            f"The pulse signal is flat for {flat:.1f} s of its {duration:.1f} s"
            f" (longest stretch {longest:.1f} s, from {start:.1f} s on); at most {most_flat:.0%} is allowed."
            " The sensor was probably off the finger: record again, or set this session's quality to"
            " 'unusable' and ignore the job."
        )


def detect_beats(trace: ArrayLike, rate_hz: float) -> FloatArray:
    """Return the times (s) of the systolic peaks in a photoplethysmogram.

    Band-pass 0.5-8 Hz, square the upper half, and take blocks where a short moving average (a systole,
    111 ms) exceeds a long one (a beat, 667 ms).

    Source: Elgendi et al. (2013), PLoS ONE 8(10): e76585, with its parameters.
    """
    values = np.asarray(trace, dtype=float)
    sections = signal.butter(2, (0.5, 8.0), btype="bandpass", fs=rate_hz, output="sos")
    filtered = signal.sosfiltfilt(sections, values - np.median(values))
    squared = np.clip(filtered, 0.0, None) ** 2
    systole = max(1, round(0.111 * rate_hz))
    beat = max(3, round(0.667 * rate_hz))
    short = ndimage.uniform_filter1d(squared, systole)
    threshold = ndimage.uniform_filter1d(squared, beat) + 0.02 * squared.mean()
    blocks, n_blocks = ndimage.label(short > threshold)
    peaks: list[int] = []
    for block in ndimage.find_objects(blocks, n_blocks):
        first, last = block[0].start, block[0].stop
        if last - first < systole or np.all(values[first:last] == values[first]):
            # Too short for a systole, or the filter ringing on a dead signal.
            continue
        peak = first + int(np.argmax(filtered[first:last]))
        if peaks and peak - peaks[-1] < SHORTEST_INTERVAL_S * rate_hz:
            # Two peaks closer than any heart beats are one beat and its dicrotic notch: the higher counts.
            if filtered[peak] > filtered[peaks[-1]]:
                peaks[-1] = peak
        else:
            peaks.append(peak)
    return np.asarray(peaks, dtype=float) / rate_hz


@dataclass(frozen=True)
class HeartRateVariability:
    """Time-domain measures over the accepted (normal-to-normal) intervals.

    Source: Task Force of the ESC and NASPE (1996), Circulation 93:1043-1065.
    """

    rate_bpm: float
    sdnn_ms: float
    rmssd_ms: float
    pnn50: float
    n_beats: int
    n_rejected: int


def accepted_intervals(beat_times_s: ArrayLike, tolerance: float = 0.2) -> NDArray[np.bool_]:
    """Say which intervals between beats are within ``tolerance`` of the median of the nine around them.

    Missed and extra beats change one or two intervals by far more than a healthy heart does. Where noise
    fills the whole neighbourhood its median is no guide, so the interval must also be within twice the
    tolerance of the median of the recording.

    Source: the 20 % criterion of Malik et al. (1989), Eur. Heart J. 10:1060-1074.
    """
    intervals = np.diff(np.asarray(beat_times_s, dtype=float))
    if intervals.size == 0:
        return np.zeros(0, dtype=bool)
    around = ndimage.median_filter(intervals, size=9, mode="nearest")
    possible = (intervals >= SHORTEST_INTERVAL_S) & (intervals <= LONGEST_INTERVAL_S)
    overall = np.median(intervals)
    near = (np.abs(intervals - around) <= tolerance * around) & (
        np.abs(intervals - overall) <= 2 * tolerance * overall
    )
    return np.asarray(possible & near)


def heart_rate_variability(beat_times_s: ArrayLike, fewest_beats: int = 10) -> HeartRateVariability:
    """Return heart rate and its variability over the accepted intervals.

    Successive differences are those of neighbouring intervals that are both accepted.

    Raises
    ------
    UnusableSignalError
        If there are fewer than ``fewest_beats`` beats, or fewer than half of the intervals are plausible.
    """
    times = np.asarray(beat_times_s, dtype=float)
    accepted = accepted_intervals(times)
    intervals_ms = np.diff(times) * 1000.0
    if times.size < fewest_beats or np.count_nonzero(accepted) < accepted.size / 2:
        raise UnusableSignalError(
            f"Of {max(times.size - 1, 0)} intervals between beats {np.count_nonzero(accepted)} are plausible;"
            f" at least half, and {fewest_beats} beats, are needed. Check the sensor and record again."
        )
    normal = intervals_ms[accepted]
    pairs = accepted[1:] & accepted[:-1]
    changes = np.diff(intervals_ms)[pairs]
    return HeartRateVariability(
        rate_bpm=float(60_000.0 / normal.mean()),
        sdnn_ms=float(normal.std(ddof=1)),
        rmssd_ms=float(np.sqrt(np.mean(changes**2))) if changes.size else 0.0,
        pnn50=float(np.mean(np.abs(changes) > 50.0)) if changes.size else 0.0,
        n_beats=int(times.size),
        n_rejected=int(accepted.size - np.count_nonzero(accepted)),
    )


def heart_rate_by_segment(
    beat_times_s: ArrayLike, duration_s: float, segment_s: float
) -> list[tuple[float, HeartRateVariability]]:
    """Return start (s) and variability of each whole segment; those too noisy to judge are left out."""
    times = np.asarray(beat_times_s, dtype=float)
    judged: list[tuple[float, HeartRateVariability]] = []
    for number in range(int(duration_s / segment_s)):
        start = number * segment_s
        inside = times[(times >= start) & (times < start + segment_s)]
        try:
            judged.append((start, heart_rate_variability(inside)))
        except UnusableSignalError:
            continue
    return judged


# ------------------------------------------------------------------ functional MRI
@dataclass(frozen=True)
class TemporalSnr:
    """Maps ``(nx, ny, nz)``: mean signal, temporal signal-to-noise ratio, and which voxels are brain."""

    mean: FloatArray
    tsnr: FloatArray
    brain: NDArray[np.bool_]

    @property
    def median_tsnr(self) -> float:
        """Median over the voxels of the brain."""
        return float(np.median(self.tsnr[self.brain]))


def temporal_snr(volumes: ArrayLike, fewest_volumes: int = 10) -> TemporalSnr:
    """Divide each voxel's mean by the standard deviation of its time course, linear drift removed.

    ``volumes`` has shape ``(nx, ny, nz, n_volumes)``. A voxel counts as brain if its mean is above 80 % of
    the global signal, which is the mean of all voxels above an eighth of the grand mean.

    Raises
    ------
    UnusableSignalError
        If there are fewer than ``fewest_volumes`` volumes.

    Source: Murphy et al. (2007), NeuroImage 34:565-574; mask as in SPM's first-level models.
    """
    series = np.asarray(volumes, dtype=float)
    if series.ndim != 4 or series.shape[3] < fewest_volumes:
        raise UnusableSignalError(
            f"The scan has shape {series.shape}; temporal noise needs (x, y, z, time)"
            f" with at least {fewest_volumes} volumes."
        )
    mean = series.mean(axis=3)
    noise = signal.detrend(series, axis=3, type="linear").std(axis=3, ddof=2)
    brain = mean > 0.8 * mean[mean > mean.mean() / 8].mean()
    tsnr = np.divide(mean, noise, out=np.zeros_like(mean), where=noise > 0)
    return TemporalSnr(mean=mean, tsnr=tsnr, brain=brain)
