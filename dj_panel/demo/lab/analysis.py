"""What follows from the recordings: firing and tuning, heart rate, segmented images, scan quality."""

# A table is documented by its definition, and make by its table.
# ruff: noqa: D101, D102, D106

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr

import dj_panel as dj
from dj_panel.demo import figures, micrographs, signals
from dj_panel.demo.lab import schema_name
from dj_panel.demo.lab.acquisition import Photograph, PulseTrace, Scan, SpikeTrain, StimulusTrace
from dj_panel.demo.lab.session import Recording

schema = dj.Schema(schema_name("analysis"))

RATE_KERNEL_S = 0.010
PULSE_SEGMENT_S = 60.0


def spike_times_s(key: dict[str, Any]) -> signals.FloatArray:
    """Return the spike times of a recording in seconds."""
    return np.asarray((SpikeTrain & key).fetch1("spike_times"), dtype=float) / 1e6


def recording_name(key: dict[str, Any]) -> str:
    """Return a recording's key as a title."""
    return f"{key['subject_id']}, {key['session_date']}, recording {key['recording_number']}"


@schema
class TuningMethod(dj.Lookup):
    definition = """
    # How a spike-triggered average is taken
    tuning_method  : varchar(16)   # short name
    ---
    lag_before     : float64       # (s) before each spike
    lag_after      : float64       # (s) after each spike
    window         : float64       # (s) length of the windows that are tested one by one
    n_shifts       : int32         # shifted spike trains that make up chance
    """
    contents = (
        {
            "tuning_method": "standard",
            "lag_before": 0.02,
            "lag_after": 0.005,
            "window": 0.5,
            "n_shifts": 2000,
        },
    )


@schema
class FiringRate(dj.Computed):
    definition = """
    # Firing rate and intervals between spikes
    -> SpikeTrain
    -> StimulusTrace
    ---
    mean_rate      : float64       # (1/s) spikes over duration
    interval_variation : float64   # coefficient of variation; 1 is a Poisson process
    shortest_interval : float64    # (ms) no shorter than the refractory period
    rate           : <npy@lab>     # (1/s) every ms, Gaussian kernel with a standard deviation of 10 ms
    interval_histogram : <blob>    # counts in bins of 1 ms, from 0 on
    """

    def make(self, key: dict[str, Any]) -> None:
        times = spike_times_s(key)
        duration = float((StimulusTrace & key).fetch1("stimulus_duration"))
        intervals = signals.interval_statistics(times, duration)
        self.insert1(
            {
                **key,
                "mean_rate": intervals.mean_rate_hz,
                "interval_variation": intervals.variation,
                "shortest_interval": intervals.shortest_ms,
                "rate": signals.firing_rate(times, duration, RATE_KERNEL_S).astype(np.float32),
                "interval_histogram": intervals.histogram,
            }
        )


@schema
class SpikeTriggeredAverage(dj.Computed):
    definition = """
    # Mean sound level around a spike
    -> SpikeTrain
    -> StimulusTrace
    -> TuningMethod
    ---
    spikes_used    : int32         # spikes with stimulus on both sides
    peak_lag       : float64       # (ms) of the highest mean level; negative is before the spike
    peak_level     : float64       # (dB) highest mean level, above the mean stimulus
    average        : <blob>        # (dB SPL) mean level at each lag
    average_error  : <blob>        # (dB) its standard error
    lags           : <blob>        # (ms) from the spike
    figure         : <attach>      # average against the mean stimulus
    """

    def make(self, key: dict[str, Any]) -> None:
        rate, trace = (StimulusTrace & key).fetch1("stimulus_sampling_rate", "level")
        before, after = (TuningMethod & key).fetch1("lag_before", "lag_after")
        level = np.asarray(trace)
        average = signals.spike_triggered_average(level, rate, spike_times_s(key), before, after)
        overall = float(level.mean(dtype=float))
        with TemporaryDirectory() as folder:
            figure = figures.draw_average(average, overall, recording_name(key), Path(folder) / "average.png")
            self.insert1(
                {
                    **key,
                    "spikes_used": average.n_spikes,
                    "peak_lag": average.peak_lag_ms,
                    "peak_level": average.peak_db - overall,
                    "average": average.mean_db,
                    "average_error": average.sem_db,
                    "lags": average.lags_ms,
                    "figure": figure,
                }
            )


@schema
class Windowing(dj.Computed):
    definition = """
    # A recording cut into windows, to see whether its tuning is stable
    -> SpikeTrain
    -> StimulusTrace
    -> TuningMethod
    ---
    n_windows      : int32         # whole windows in the recording
    """

    class Window(dj.Part):
        definition = """
        # One window
        -> master
        window_number  : int16     # 1, 2, ...
        ---
        window_start   : float64   # (s) since the stimulus began
        window_spikes  : int32     # spikes in the window
        """

    def make(self, key: dict[str, Any]) -> None:
        duration = float((StimulusTrace & key).fetch1("stimulus_duration"))
        window = (TuningMethod & key).fetch1("window")
        starts = np.arange(int(duration / window + 1e-9)) * window
        times = spike_times_s(key)
        self.insert1({**key, "n_windows": starts.size})
        self.Window().insert(
            {
                **key,
                "window_number": number,
                "window_start": float(start),
                "window_spikes": int(np.count_nonzero((times >= start) & (times < start + window))),
            }
            for number, start in enumerate(starts, start=1)
        )


@schema
class WindowTuning(dj.Computed):
    definition = """
    # Is the receptor tuned in this window, and as in the others? Compared with shifted spike trains
    -> Windowing.Window
    ---
    deviation      : float64       # (dB) largest distance of the average from the mean stimulus
    chance_level   : float64       # (dB) shifted spike trains stay below in 95 of 100 cases
    p_value        : float64       # of the deviation, from the shifts
    window_peak_lag : float64      # (ms) of the highest mean level
    window_average : <blob>        # (dB SPL) mean level at each lag
    """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        start = (Windowing.Window & key).fetch1("window_start")
        before, after, window, n_shifts = (TuningMethod & key).fetch1(
            "lag_before", "lag_after", "window", "n_shifts"
        )
        rate, trace = (StimulusTrace & key).fetch1("stimulus_sampling_rate", "level")
        first, last = round(start * rate), round((start + window) * rate)
        level = np.array(trace.load(mmap_mode="r")[first:last])
        times = spike_times_s(key)
        inside = times[(times >= start) & (times < start + window)] - start
        return level, inside, rate, before, after, n_shifts

    def make_compute(
        self,
        key: dict[str, Any],
        level: signals.FloatArray,
        times: signals.FloatArray,
        rate: float,
        before: float,
        after: float,
        n_shifts: int,
    ) -> tuple[signals.ShiftTest]:
        # The window's number seeds the shifts, so computing a window again gives the same result.
        return (signals.shift_test(level, rate, times, before, after, n_shifts, seed=key["window_number"]),)

    def make_insert(self, key: dict[str, Any], result: signals.ShiftTest) -> None:
        self.insert1(
            {
                **key,
                "deviation": result.deviation_db,
                "chance_level": result.chance_95_db,
                "p_value": result.p_value,
                "window_peak_lag": result.average.peak_lag_ms,
                "window_average": result.average.mean_db,
            }
        )


@schema
class HeartRate(dj.Computed):
    definition = """
    # Heart rate and its variability, from the intervals between beats
    -> PulseTrace
    ---
    mean_heart_rate : float64      # (1/min)
    sdnn           : float64       # (ms) standard deviation of the accepted intervals
    rmssd          : float64       # (ms) root mean square of their successive differences
    pnn50          : float64       # fraction of successive differences above 50 ms
    n_beats        : int32         # peaks found
    n_rejected     : int32         # intervals left out as implausible
    beat_times     : <blob>        # (s) since the recording began
    figure         : <attach>      # pulse with beats, heart rate over time
    """

    class Segment(dj.Part):
        definition = """
        # The same, minute by minute; minutes too noisy to judge are missing
        -> master
        segment_start  : int32     # (s) since the recording began
        ---
        segment_heart_rate : float64  # (1/min)
        segment_rmssd  : float64   # (ms)
        segment_beats  : int32     # peaks found
        """

    def make(self, key: dict[str, Any]) -> None:
        rate, trace = (PulseTrace & key).fetch1("pulse_sampling_rate", "pulse")
        pulse = np.asarray(trace)
        signals.require_moving_signal(pulse, rate)
        beats = signals.detect_beats(pulse, rate)
        whole = signals.heart_rate_variability(beats)
        with TemporaryDirectory() as folder:
            figure = figures.draw_pulse(
                pulse, rate, beats, recording_name(key), Path(folder) / "heart_rate.png"
            )
            self.insert1(
                {
                    **key,
                    "mean_heart_rate": whole.rate_bpm,
                    "sdnn": whole.sdnn_ms,
                    "rmssd": whole.rmssd_ms,
                    "pnn50": whole.pnn50,
                    "n_beats": whole.n_beats,
                    "n_rejected": whole.n_rejected,
                    "beat_times": beats,
                    "figure": figure,
                }
            )
        self.Segment().insert(
            {
                **key,
                "segment_start": int(start),
                "segment_heart_rate": part.rate_bpm,
                "segment_rmssd": part.rmssd_ms,
                "segment_beats": part.n_beats,
            }
            for start, part in signals.heart_rate_by_segment(beats, pulse.size / rate, PULSE_SEGMENT_S)
        )


@schema
class SegmentationMethod(dj.Lookup):
    definition = """
    # How regions are found
    segmentation_method : varchar(24)  # short name
    ---
    for_stain      : enum('H-DAB', 'phase')  # contrast that it is made for
    method_description : varchar(200)  # steps
    """
    contents = (
        {
            "segmentation_method": "stained nuclei",
            "for_stain": "H-DAB",
            "method_description": "colour deconvolution, local threshold of haematoxylin, watershed;"
            " stained tissue by Otsu's threshold of DAB",
        },
        {
            "segmentation_method": "phase cells",
            "for_stain": "phase",
            "method_description": "Gaussian of 2 pixels, Otsu's threshold",
        },
    )


@schema
class Segmentation(dj.Computed):
    definition = """
    # Nuclei or cells found in a micrograph
    -> Photograph
    -> SegmentationMethod
    ---
    n_regions      : int32         # regions found
    n_positive=null : int32        # regions surrounded by stained tissue
    stained_fraction=null : float64  # stained part of the image
    labels         : <npy@lab>     # region number of each pixel, 0 is background
    figure         : <attach>      # image with outlines
    """

    class Region(dj.Part):
        definition = """
        # One nucleus or cell
        -> master
        region_number  : int32     # its value in the label image
        ---
        area           : int32     # (pixels)
        area_um2=null  : float64   # (µm²) where the size of a pixel is known
        centre_row     : float64   # (pixels) from the top
        centre_column  : float64   # (pixels) from the left
        eccentricity   : float64   # 0 is a circle
        mean_intensity : float64   # (a.u.) DAB density, or phase
        is_positive    : bool      # surrounded by stained tissue
        """

    @property
    def key_source(self) -> Any:
        pairs = [
            (Photograph & (Recording & {"stain": stain}).proj()).proj()
            * (SegmentationMethod & {"for_stain": stain}).proj()
            for stain in ("H-DAB", "phase")
        ]
        return pairs[0] + pairs[1]

    def make(self, key: dict[str, Any]) -> None:
        spacing, stain = (Recording & key).fetch1("pixel_size", "stain")
        stored = (Photograph & key).fetch1("image")
        image = np.asarray(zarr.open_array(stored.fsmap, mode="r")[...])
        segment = micrographs.segment_stained_nuclei if stain == "H-DAB" else micrographs.segment_phase_cells
        found = segment(image)
        with TemporaryDirectory() as folder:
            figure = figures.draw_regions(
                image, found.labels, recording_name(key), Path(folder) / "regions.png"
            )
            self.insert1(
                {
                    **key,
                    "n_regions": len(found.regions),
                    "n_positive": None
                    if found.stained_fraction is None
                    else sum(region.is_positive for region in found.regions),
                    "stained_fraction": found.stained_fraction,
                    "labels": found.labels,
                    "figure": figure,
                }
            )
        self.Region().insert(
            {
                **key,
                "region_number": region.label,
                "area": region.area_px,
                "area_um2": region.area_px * spacing**2 if spacing else None,
                "centre_row": region.centre_row,
                "centre_column": region.centre_column,
                "eccentricity": region.eccentricity,
                "mean_intensity": region.mean_intensity,
                "is_positive": region.is_positive,
            }
            for region in found.regions
        )


@schema
class ScanQuality(dj.Computed):
    definition = """
    # Temporal signal-to-noise ratio of a functional scan
    -> Scan
    ---
    median_tsnr    : float64       # over the voxels of the brain
    brain_voxels   : int32         # voxels taken for brain
    mean_map       : <npy@lab>     # mean signal of each voxel
    tsnr_map       : <npy@lab>     # mean over standard deviation in time, drift removed
    figure         : <attach>      # six slices of the map
    """

    @property
    def key_source(self) -> Any:
        # Fewer than ten volumes say nothing about noise in time.
        return Scan & "n_volumes >= 10"

    def make(self, key: dict[str, Any]) -> None:
        stored = (Scan & key).fetch1("volumes")
        result = signals.temporal_snr(np.asarray(zarr.open_array(stored.fsmap, mode="r")[...]))
        with TemporaryDirectory() as folder:
            figure = figures.draw_scan(result, recording_name(key), Path(folder) / "tsnr.png")
            self.insert1(
                {
                    **key,
                    "median_tsnr": result.median_tsnr,
                    "brain_voxels": int(result.brain.sum()),
                    "mean_map": result.mean.astype(np.float32),
                    "tsnr_map": result.tsnr.astype(np.float32),
                    "figure": figure,
                }
            )
