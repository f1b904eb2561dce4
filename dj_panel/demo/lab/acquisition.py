"""What the files hold: imported signals and images, checked and in known units."""

# A table is documented by its definition, and make by its table.
# ruff: noqa: D101, D102

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import dj_panel as dj
from dj_panel.demo import formats, signals
from dj_panel.demo.lab import schema_name
from dj_panel.demo.lab.session import Recording, Rig, Session, Stimulus
from dj_panel.demo.recordings import checksum

schema = dj.Schema(schema_name("acquisition"))


def incoming_file(file_name: str) -> Path:
    """Return the path of a file in the store ``incoming``.

    Raises
    ------
    UnreadableRecordingError
        If there is no such file.
    """
    path = Path(dj.config.get_store_spec("incoming")["location"]) / file_name
    if not path.is_file():
        raise formats.UnreadableRecordingError(
            f"There is no file '{file_name}' in {path.parents[len(Path(file_name).parts) - 1]}."
            " Copy it there, or correct the file name of the recording."
        )
    return path


def recorded_file(key: dict[str, Any]) -> Path:
    """Return the file of a recording, unless its checksum is known and differs."""
    file_name, expected = (Recording & key).fetch1("file_name", "sha256")
    path = incoming_file(file_name)
    if expected and checksum(path) != expected:
        raise formats.UnreadableRecordingError(
            f"The file '{file_name}' is not the one that was entered: its SHA-256 differs."
            " Copy it from the rig again, or correct the recording's sha256."
        )
    return path


def recordings_of(*modalities: str) -> Any:
    """Return the recordings made at rigs of these modalities, as a key source."""
    rigs = Rig & [{"modality": modality} for modality in modalities]
    return Recording & (Session & rigs.proj()).proj()


@schema
class SpikeTrain(dj.Imported):
    definition = """
    # Spike times of one receptor
    -> Recording
    ---
    spike_count    : int32         # number of spikes
    spike_times    : <blob>        # (µs) since the stimulus began, int64
    header         : json          # settings in the file's header
    source_file    : <attach>      # the file as it came
    """

    @property
    def key_source(self) -> Any:
        return recordings_of("spikes")

    def make(self, key: dict[str, Any]) -> None:
        path = recorded_file(key)
        spikes = formats.read_spikes(path)
        self.insert1(
            {
                **key,
                "spike_count": spikes.times_us.size,
                "spike_times": spikes.times_us,
                "header": spikes.header,
                "source_file": path,
            }
        )


@schema
class StimulusTrace(dj.Imported):
    definition = """
    # Sound level during a recording of spikes
    -> Stimulus
    ---
    stimulus_sampling_rate : float64  # (Hz)
    stimulus_duration : decimal(9,3)  # (s)
    level_mean     : float64       # (dB SPL)
    level_sd       : float64       # (dB) 6 is the setting of these experiments
    level          : <npy@lab>     # (dB SPL) envelope, one value a sample, float32
    """

    def make(self, key: dict[str, Any]) -> None:
        file_name, loudest = (Stimulus & key).fetch1("stimulus_file", "loudest_level")
        amplitude, rate = formats.read_stimulus(incoming_file(file_name))
        level = signals.sound_level_db(amplitude, float(loudest))
        self.insert1(
            {
                **key,
                "stimulus_sampling_rate": rate,
                "stimulus_duration": round(level.size / rate, 3),
                "level_mean": float(level.mean()),
                "level_sd": float(level.std()),
                "level": level.astype(np.float32),
            }
        )


@schema
class PulseTrace(dj.Imported):
    definition = """
    # Finger pulse (photoplethysmogram)
    -> Recording
    ---
    pulse_sampling_rate : float64  # (Hz) mean over the recording
    pulse_duration : decimal(9,3)  # (s)
    started_at=null : datetime     # by the rig's clock, where the file says so
    pulse          : <npy@lab>     # (a.u.) one value a sample, float32
    source_file    : <attach>      # the file as it came
    """

    @property
    def key_source(self) -> Any:
        return recordings_of("pulse")

    def make(self, key: dict[str, Any]) -> None:
        path = recorded_file(key)
        pulse = formats.read_pulse(path, (Recording & key).fetch1("sampling_rate"))
        self.insert1(
            {
                **key,
                "pulse_sampling_rate": pulse.rate_hz,
                "pulse_duration": round(pulse.trace.size / pulse.rate_hz, 3),
                "started_at": pulse.started_at and pulse.started_at.replace(microsecond=0),
                "pulse": pulse.trace,
                "source_file": path,
            }
        )


@schema
class Photograph(dj.Imported):
    definition = """
    # Micrographs and fundus photographs
    -> Recording
    ---
    n_rows         : int32         # height (pixels)
    n_columns      : int32         # width (pixels)
    n_channels     : int16         # 1 is grey, 3 is red, green, blue
    image          : <object@lab>  # Zarr array (row, column[, channel]), uint8
    """

    @property
    def key_source(self) -> Any:
        return recordings_of("micrograph", "fundus")

    def make(self, key: dict[str, Any]) -> None:
        image = formats.read_image(recorded_file(key))
        spacing = (Recording & key).fetch1("pixel_size")
        attributes = {"pixel_size_um": spacing} if spacing else {}
        names = ("row", "column", "channel")[: image.ndim]
        with TemporaryDirectory() as folder:
            zarr_folder = formats.write_zarr(
                Path(folder) / "image.zarr", image, names, (256, 256, 3)[: image.ndim], attributes
            )
            self.insert1(
                {
                    **key,
                    "n_rows": image.shape[0],
                    "n_columns": image.shape[1],
                    "n_channels": 1 if image.ndim == 2 else image.shape[2],
                    "image": zarr_folder,
                }
            )


@schema
class Scan(dj.Imported):
    definition = """
    # Functional MRI series
    -> Recording
    ---
    n_volumes      : int32         # number of time points
    repetition_time=null : float64  # (s) between volumes, null if the header is not believable
    voxel_size     : json          # (mm) along x, y and z
    volumes        : <object@lab>  # Zarr array (x, y, z, time)
    """

    @property
    def key_source(self) -> Any:
        return recordings_of("fmri")

    def make(self, key: dict[str, Any]) -> None:
        scan = formats.read_scan(recorded_file(key))
        attributes = {"voxel_size_mm": list(scan.voxel_mm), "repetition_time_s": scan.repetition_time_s}
        with TemporaryDirectory() as folder:
            zarr_folder = formats.write_zarr(
                Path(folder) / "volumes.zarr",
                scan.volumes,
                ("x", "y", "z", "time"),
                (64, 64, 64, 10),
                attributes,
            )
            self.insert1(
                {
                    **key,
                    "n_volumes": scan.volumes.shape[3],
                    "repetition_time": scan.repetition_time_s,
                    "voxel_size": [round(size, 4) for size in scan.voxel_mm],
                    "volumes": zarr_folder,
                }
            )
