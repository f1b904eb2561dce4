"""The real recordings of the demo lab: where each lies in its PyPI package, and copying them out.

The packages are found on the disk without importing them: only their data files are wanted.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

FLAT_PULSE_FILE = "ppg-1/pulse_sensor_off.csv"
FLAT_PULSE_LASTS_S = 120.0
FLAT_PULSE_MOVES_S = 30.0


class MissingRecordingError(FileNotFoundError):
    """A recording of the demo is not installed; the message names the package to install."""


@dataclass(frozen=True)
class PackagedRecording:
    """A file inside an installed package, and its name in the folder of incoming recordings."""

    file_name: str
    package: str
    path: str

    def locate(self) -> Path:
        """Return where the file lies.

        Raises
        ------
        MissingRecordingError
            If the package is not installed, or holds no such file.
        """
        spec = importlib.util.find_spec(self.package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            found = Path(place) / self.path
            if found.is_file():
                return found
        raise MissingRecordingError(
            f"The demo's recording {self.path} comes with the package '{self.package}', which has no such"
            " file here. Install the demo's packages: pip install 'dj_panel[demo]'."
        )


RECORDINGS = (
    PackagedRecording("ephys-1/grasshopper_spike_times1.txt", "nitime", "data/grasshopper_spike_times1.txt"),
    PackagedRecording("ephys-1/grasshopper_stimulus1.txt", "nitime", "data/grasshopper_stimulus1.txt"),
    PackagedRecording("ephys-1/grasshopper_spike_times2.txt", "nitime", "data/grasshopper_spike_times2.txt"),
    PackagedRecording("ephys-1/grasshopper_stimulus2.txt", "nitime", "data/grasshopper_stimulus2.txt"),
    PackagedRecording("ppg-1/data.csv", "heartpy", "data/data.csv"),
    PackagedRecording("ppg-1/data2.csv", "heartpy", "data/data2.csv"),
    PackagedRecording("ppg-1/data3.csv", "heartpy", "data/data3.csv"),
    PackagedRecording("scope-1/ihc.png", "skimage", "data/ihc.png"),
    PackagedRecording("scope-1/cell.png", "skimage", "data/cell.png"),
    PackagedRecording("fundus-1/retina.jpg", "skimage", "data/retina.jpg"),
    PackagedRecording("mri-1/fmri1.nii.gz", "nitime", "data/fmri1.nii.gz"),
    PackagedRecording("mri-1/fmri2.nii.gz", "nitime", "data/fmri2.nii.gz"),
    PackagedRecording("mri-1/functional.nii", "nibabel", "tests/data/functional.nii"),
    PackagedRecording("mri-1/example4d.nii.gz", "nibabel", "tests/data/example4d.nii.gz"),
)


def copy_recordings(incoming: Path) -> None:
    """Copy every recording into ``incoming``, as a rig would leave it, unless it is there already.

    One more file is made from a real one, so that one analysis has something to refuse: the first
    30 s of `data3.csv`, followed by 90 s in which its last value stands still.
    """
    for recording in RECORDINGS:
        target = incoming / recording.file_name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(recording.locate(), target)
    flat = incoming / FLAT_PULSE_FILE
    if not flat.exists():
        _write_flat_pulse(incoming / "ppg-1/data3.csv", flat)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_flat_pulse(source: Path, target: Path) -> None:
    rate_hz = 100.42  # the mean rate of data3.csv; only the place of the cut depends on it
    n_moving, n_all = round(FLAT_PULSE_MOVES_S * rate_hz), round(FLAT_PULSE_LASTS_S * rate_hz)
    with (
        source.open(newline="", encoding="utf-8") as read,
        target.open("w", newline="", encoding="utf-8") as write,
    ):
        rows, out = csv.reader(read), csv.writer(write)
        out.writerow(next(rows))
        last = ""
        for number, (time, value) in enumerate(rows):
            if number >= n_all:
                break
            last = value if number < n_moving else last
            out.writerow([time, last])
