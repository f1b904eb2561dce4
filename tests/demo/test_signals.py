"""Analyses of the demo lab against signals whose answer is known, and against published figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from skimage import color, draw

from dj_panel.demo import formats, micrographs, recordings, signals

RATE = 1000.0


@pytest.fixture(scope="module")
def incoming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("incoming")
    recordings.copy_recordings(folder)
    return folder


def pulse_wave(beat_times: NDArray[np.float64], duration_s: float, rate_hz: float) -> NDArray[np.float64]:
    """Return a smooth bump of 60 ms standard deviation at each beat, on a slow drift."""
    time = np.arange(round(duration_s * rate_hz)) / rate_hz
    bumps = np.exp(-0.5 * ((time[:, None] - beat_times) / 0.06) ** 2).sum(axis=1)
    return np.asarray(500.0 + 100.0 * bumps + 20.0 * np.sin(2 * np.pi * 0.05 * time))


# ------------------------------------------------------------------ spikes and sound
def test_a_tenth_of_the_amplitude_is_20_db_less() -> None:
    assert signals.sound_level_db([0.5, 0.05, 0.005], loudest_db=76.0) == pytest.approx([76.0, 56.0, 36.0])


def test_a_silent_sample_has_no_level() -> None:
    with pytest.raises(signals.UnusableSignalError, match="positive everywhere"):
        signals.sound_level_db([1.0, 0.0], loudest_db=70.0)


def test_the_average_finds_the_pulse_that_precedes_every_spike() -> None:
    level = np.zeros(10_000)
    spikes = np.arange(500, 9500, 250)
    level[spikes - 7] = 3.0
    average = signals.spike_triggered_average(level, RATE, spikes / RATE, before_s=0.02, after_s=0.005)
    assert average.n_spikes == spikes.size
    assert average.lags_ms[[0, -1]] == pytest.approx([-20.0, 5.0])
    assert average.peak_lag_ms == pytest.approx(-7.0)
    assert average.peak_db == pytest.approx(3.0)
    assert average.mean_db.sum() == pytest.approx(3.0)
    assert average.sem_db == pytest.approx(np.zeros(26))


def test_the_error_of_the_average_is_that_of_the_samples() -> None:
    level = np.random.default_rng(1).normal(size=50_000)
    spikes = np.arange(100, 49_900, 100)
    average = signals.spike_triggered_average(level, RATE, spikes / RATE, before_s=0.0, after_s=0.0)
    assert average.mean_db[0] == pytest.approx(level[spikes].mean())
    assert average.sem_db[0] == pytest.approx(level[spikes].std(ddof=1) / np.sqrt(spikes.size))


def test_spikes_without_stimulus_on_both_sides_are_left_out() -> None:
    spikes = [0.005, 0.5, 0.6, 0.999]
    average = signals.spike_triggered_average(np.zeros(1000), RATE, spikes, before_s=0.02, after_s=0.005)
    assert average.n_spikes == 2


def test_too_few_spikes_are_refused_with_their_number() -> None:
    with pytest.raises(signals.UnusableSignalError, match="Only 1 spikes"):
        signals.spike_triggered_average(np.zeros(1000), RATE, [0.5], before_s=0.02, after_s=0.005)


def test_shifts_tell_a_tuned_spike_train_from_an_untuned_one() -> None:
    random = np.random.default_rng(2)
    level = random.normal(size=5000)
    tuned = np.flatnonzero(level > 1.5) + 6
    untuned = np.sort(random.choice(np.arange(50, 4950), size=tuned.size, replace=False))
    results = [
        signals.shift_test(level, RATE, spikes / RATE, 0.02, 0.005, n_shifts=200, seed=3)
        for spikes in (tuned, untuned)
    ]
    assert results[0].p_value == pytest.approx(1 / 201)
    assert results[0].deviation_db > 2 * results[0].chance_95_db
    assert results[1].p_value > 0.05


def test_the_same_seed_gives_the_same_test() -> None:
    level = np.random.default_rng(4).normal(size=3000)
    spikes = np.arange(100, 2900, 37) / RATE
    first, again = (signals.shift_test(level, RATE, spikes, 0.02, 0.005, 100, seed=5) for _ in range(2))
    assert (first.p_value, first.chance_95_db) == (again.p_value, again.chance_95_db)


def test_a_window_shorter_than_twice_the_lags_is_refused() -> None:
    with pytest.raises(signals.UnusableSignalError, match="no room for shifts"):
        signals.shift_test(np.zeros(50), RATE, [0.022, 0.03], 0.02, 0.005, n_shifts=10, seed=1)


def test_a_regular_spike_train_has_no_variation() -> None:
    result = signals.interval_statistics(np.arange(1, 101) * 0.1, duration_s=10.0)
    assert result.mean_rate_hz == pytest.approx(10.0)
    assert result.variation == pytest.approx(0.0, abs=1e-9)
    assert result.shortest_ms == pytest.approx(100.0)
    assert result.histogram.sum() == 99


def test_a_poisson_process_has_variation_one() -> None:
    times = np.cumsum(np.random.default_rng(6).exponential(0.01, size=20_000))
    result = signals.interval_statistics(times, duration_s=float(times[-1]))
    assert result.variation == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("times", [[0.1, 0.2], [0.3, 0.2, 0.4]])
def test_too_few_or_unsorted_spikes_have_no_statistics(times: list[float]) -> None:
    with pytest.raises(signals.UnusableSignalError):
        signals.interval_statistics(times, duration_s=1.0)


def test_the_firing_rate_adds_up_to_the_spikes() -> None:
    times = np.sort(np.random.default_rng(7).uniform(0, 5, size=300))
    rate = signals.firing_rate(times, duration_s=5.0, sigma_s=0.02)
    assert rate.shape == (5000,)
    assert rate.sum() / 1000.0 == pytest.approx(300)


# ------------------------------------------------------------------ pulse
def test_beats_are_found_where_they_were_put() -> None:
    intervals = 0.8 + 0.08 * np.sin(np.arange(60))
    beats = 1.0 + np.cumsum(intervals)
    found = signals.detect_beats(pulse_wave(beats, beats[-1] + 1.0, 100.0), 100.0)
    assert found.size == beats.size
    assert np.abs(found - beats).max() <= 0.01


def test_variability_of_alternating_intervals_is_known_in_closed_form() -> None:
    intervals = np.tile([0.78, 0.82], 50)
    result = signals.heart_rate_variability(np.r_[0.0, np.cumsum(intervals)])
    assert result.rate_bpm == pytest.approx(75.0)
    assert result.rmssd_ms == pytest.approx(40.0)
    assert result.sdnn_ms == pytest.approx(20.0 * np.sqrt(100 / 99))
    assert result.pnn50 == 0.0
    assert (result.n_beats, result.n_rejected) == (101, 0)


def test_a_missed_beat_changes_neither_rate_nor_variability() -> None:
    beats = np.arange(60) * 0.8
    result = signals.heart_rate_variability(np.delete(beats, 30))
    assert result.n_rejected == 1
    assert result.rate_bpm == pytest.approx(75.0)
    assert result.rmssd_ms == pytest.approx(0.0, abs=1e-6)


def test_too_few_beats_are_refused() -> None:
    with pytest.raises(signals.UnusableSignalError, match="at least half, and 10 beats"):
        signals.heart_rate_variability([0.0, 0.8, 1.6])


def test_a_minute_without_beats_is_missing_from_the_segments() -> None:
    beats = np.r_[np.arange(0.5, 60, 1.0), np.arange(120.5, 180, 0.5)]
    segments = signals.heart_rate_by_segment(beats, duration_s=185.0, segment_s=60.0)
    assert [start for start, _ in segments] == [0.0, 120.0]
    assert [part.rate_bpm for _, part in segments] == pytest.approx([60.0, 120.0])


def test_a_signal_that_stands_still_is_refused_with_place_and_length() -> None:
    moving = pulse_wave(np.arange(0.5, 20, 0.8), 20.0, 100.0)
    signals.require_moving_signal(moving, 100.0)
    with pytest.raises(signals.UnusableSignalError, match=r"longest stretch 30\.0 s, from 20\.0 s on"):
        signals.require_moving_signal(np.r_[moving, np.zeros(3000)], 100.0)


def test_an_empty_signal_is_refused() -> None:
    with pytest.raises(signals.UnusableSignalError):
        signals.require_moving_signal([], 100.0)


def test_no_beats_are_found_on_a_dead_line() -> None:
    moving = pulse_wave(np.arange(0.5, 20, 0.8), 20.0, 100.0)
    beats = signals.detect_beats(np.r_[moving, np.full(2000, moving[-1])], 100.0)
    assert beats.max() < 20.1


# ------------------------------------------------------------------ functional MRI
def test_temporal_snr_is_mean_over_noise_whatever_the_drift() -> None:
    random = np.random.default_rng(8)
    noise = random.normal(scale=5.0, size=(6, 6, 4, 400))
    drift = np.linspace(-80, 80, 400)
    volumes = 500.0 + noise + drift
    volumes[:3] = random.normal(scale=0.5, size=(3, 6, 4, 400)) + 10.0
    result = signals.temporal_snr(volumes)
    assert result.brain[3:].all()
    assert not result.brain[:3].any()
    assert result.median_tsnr == pytest.approx(100.0, rel=0.03)


def test_a_constant_voxel_has_snr_zero_not_infinity() -> None:
    volumes = np.random.default_rng(9).normal(100.0, 1.0, size=(2, 2, 2, 20))
    volumes[0, 0, 0] = 0.0
    assert signals.temporal_snr(volumes).tsnr[0, 0, 0] == 0.0


@pytest.mark.parametrize("shape", [(3, 3, 3, 2), (3, 3, 3)])
def test_a_scan_without_enough_time_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(signals.UnusableSignalError, match=r"shape \(3, 3, 3"):
        signals.temporal_snr(np.ones(shape))


# ------------------------------------------------------------------ micrographs
def test_drawn_nuclei_are_counted_and_told_apart_by_their_surround() -> None:
    stains = np.zeros((200, 300, 3))
    stains[:, :150, 2] = 0.15  # the left half is brown
    centres = [(row, column) for row in range(30, 200, 45) for column in range(30, 300, 48)]
    for row, column in centres:
        inside = draw.disk((row, column), 9)
        stains[inside] = (0.12, 0.0, 0.0)
    image = np.round(255 * np.clip(color.hed2rgb(stains), 0, 1)).astype(np.uint8)
    found = micrographs.segment_stained_nuclei(image)
    assert len(found.regions) == len(centres)
    assert {region.is_positive for region in found.regions if region.centre_column < 140} == {True}
    assert {region.is_positive for region in found.regions if region.centre_column > 160} == {False}
    areas = [region.area_px for region in found.regions]
    assert np.median(areas) == pytest.approx(np.pi * 81, rel=0.4)


def test_a_disk_of_phase_has_its_area_and_centre() -> None:
    image = np.full((120, 150), 60, dtype=np.uint8)
    image[draw.disk((50, 90), 30)] = 200
    (region,) = micrographs.segment_phase_cells(image).regions
    assert region.area_px == pytest.approx(np.pi * 900, rel=0.05)
    assert (region.centre_row, region.centre_column) == pytest.approx((50, 90), abs=0.5)
    assert region.eccentricity < 0.2
    assert not region.is_positive


# ------------------------------------------------------------------ the recordings
@pytest.mark.parametrize(
    ("number", "n_spikes", "loudest_db", "cut_off_hz"), [(1, 929, 76.4286, 200), (2, 868, 71.2, 800)]
)
def test_the_grasshopper_files_hold_what_their_headers_say(
    incoming: Path, number: int, n_spikes: int, loudest_db: float, cut_off_hz: int
) -> None:
    spikes = formats.read_spikes(incoming / f"ephys-1/grasshopper_spike_times{number}.txt")
    amplitude, rate = formats.read_stimulus(incoming / f"ephys-1/grasshopper_stimulus{number}.txt")
    level = signals.sound_level_db(amplitude, loudest_db)
    assert spikes.times_us.size == n_spikes
    assert spikes.header["intensity (dB)"] == loudest_db
    assert spikes.header["cut-off frequency (Hz)"] == cut_off_hz
    assert (level.size, rate) == (200_000, 20_000.0)
    assert spikes.times_us.max() < 1e6 * level.size / rate
    assert level.std() == pytest.approx(spikes.header["standard deviation (dB)"], abs=0.05)


def test_the_slow_stimulus_has_no_power_above_its_cut_off(incoming: Path) -> None:
    amplitude, rate = formats.read_stimulus(incoming / "ephys-1/grasshopper_stimulus1.txt")
    level = signals.sound_level_db(amplitude, 76.4286)
    power = np.abs(np.fft.rfft(level - level.mean())) ** 2
    frequency = np.fft.rfftfreq(level.size, 1 / rate)
    assert power[frequency > 220].sum() < 0.01 * power.sum()


@pytest.mark.parametrize(
    ("file_name", "n_samples", "rate_hz"),
    # rates as HeartPy's documentation gives them: 100 Hz, '116.996', '100.420'
    [("data.csv", 2483, 100.0), ("data2.csv", 15_000, 116.996), ("data3.csv", 68_476, 100.420)],
)
def test_the_pulse_files_have_the_documented_length_and_rate(
    incoming: Path, file_name: str, n_samples: int, rate_hz: float
) -> None:
    pulse = formats.read_pulse(incoming / "ppg-1" / file_name, 100.0)
    assert pulse.trace.size == n_samples
    assert pulse.rate_hz == pytest.approx(rate_hz, rel=1e-4)


def test_heart_rate_agrees_with_heartpy_in_windows_of_two_minutes(incoming: Path) -> None:
    # HeartPy's documentation of process_segmentwise: 120 s windows of data3.csv, half overlapping
    published = [100.0, 96.8, 97.2, 97.9, 97.0, 96.8, 96.8, 95.0, 92.9, 96.7]
    pulse = formats.read_pulse(incoming / "ppg-1/data3.csv")
    beats = signals.detect_beats(pulse.trace, pulse.rate_hz)
    ours = [
        signals.heart_rate_variability(beats[(beats >= start) & (beats < start + 120)]).rate_bpm
        for start in range(0, 600, 60)
    ]
    assert ours == pytest.approx(published, abs=0.7)


def test_heart_rate_of_the_noisy_recording_is_near_heartpys(incoming: Path) -> None:
    # HeartPy's documentation of process: 62.376 beats a minute and RMSSD 57.070 ms for data2.csv
    pulse = formats.read_pulse(incoming / "ppg-1/data2.csv")
    result = signals.heart_rate_variability(signals.detect_beats(pulse.trace, pulse.rate_hz))
    assert result.rate_bpm == pytest.approx(62.376, rel=0.04)
    assert result.rmssd_ms == pytest.approx(57.07, rel=0.15)


def test_the_recording_made_bad_on_purpose_is_refused(incoming: Path) -> None:
    pulse = formats.read_pulse(incoming / recordings.FLAT_PULSE_FILE)
    with pytest.raises(signals.UnusableSignalError, match=r"flat for 89\.9 s of its 119\.9 s"):
        signals.require_moving_signal(pulse.trace, pulse.rate_hz)


def test_the_cell_has_the_size_of_a_cell(incoming: Path) -> None:
    (cell,) = micrographs.segment_phase_cells(formats.read_image(incoming / "scope-1/cell.png")).regions
    diameter_um = 2 * np.sqrt(cell.area_px / np.pi) * 0.107
    assert 12 < diameter_um < 14
    assert cell.eccentricity < 0.3


@pytest.mark.parametrize(
    ("file_name", "shape", "voxel_mm", "repetition_time_s"),
    [
        ("fmri1.nii.gz", (10, 10, 18, 40), (2.0833, 2.0833, 2.3), 1.35),
        ("fmri2.nii.gz", (10, 10, 18, 40), (2.0833, 2.0833, 2.3), 1.35),
        ("functional.nii", (17, 21, 3, 20), (4.0, 4.0, 8.0), 2.0),
        ("example4d.nii.gz", (128, 96, 24, 2), (2.0, 2.0, 2.2), None),
    ],
)
def test_the_scans_have_the_geometry_of_their_headers(
    incoming: Path,
    file_name: str,
    shape: tuple[int, ...],
    voxel_mm: tuple[float, ...],
    repetition_time_s: float | None,
) -> None:
    scan = formats.read_scan(incoming / "mri-1" / file_name)
    assert scan.volumes.shape == shape
    assert scan.voxel_mm == pytest.approx(voxel_mm, abs=1e-4)
    assert scan.repetition_time_s == (repetition_time_s and pytest.approx(repetition_time_s))


def test_a_missing_package_is_named_with_how_to_install_it() -> None:
    absent = recordings.PackagedRecording("x.txt", "no_such_package_of_recordings", "data/x.txt")
    with pytest.raises(recordings.MissingRecordingError, match=r"no_such_package_of_recordings.*pip install"):
        absent.locate()


# ------------------------------------------------------------------ files
def test_a_word_among_the_spike_times_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "spikes.txt"
    path.write_text("# cell: 7\n100\nabc\n")
    with pytest.raises(formats.UnreadableRecordingError, match=r"spikes\.txt, line 3: 'abc'"):
        formats.read_spikes(path)


def test_a_stimulus_with_a_gap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stimulus.txt"
    path.write_text("0 1\n50 1\n150 1\n")
    with pytest.raises(formats.UnreadableRecordingError, match="not evenly spaced"):
        formats.read_stimulus(path)


def test_a_pulse_without_times_needs_a_sampling_rate(tmp_path: Path) -> None:
    path = tmp_path / "pulse.csv"
    path.write_text("1\n2\n3\n")
    with pytest.raises(formats.UnreadableRecordingError, match="sampling rate"):
        formats.read_pulse(path)


def test_an_image_survives_the_zarr_folder(tmp_path: Path) -> None:
    image = np.random.default_rng(10).integers(0, 255, size=(300, 40, 3), dtype=np.uint8)
    names = ("row", "column", "channel")
    folder = formats.write_zarr(tmp_path / "a.zarr", image, names, (256, 256, 3), {"pixel_size_um": 0.1})
    stored = zarr.open_array(folder, mode="r")
    assert np.array_equal(stored[...], image)
    assert stored.chunks == (256, 40, 3)
    assert stored.metadata.to_dict()["dimension_names"] == names
    assert dict(stored.attrs) == {"pixel_size_um": 0.1}
