"""Reading the files that the demo lab's rigs leave, and writing images as Zarr folders."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import zarr
from numpy.typing import NDArray
from skimage import io

_BELIEVABLE_TR_S = (0.05, 30.0)


class UnreadableRecordingError(ValueError):
    """A recording's file does not hold what its format promises; the message names the file."""


@dataclass(frozen=True)
class SpikeFile:
    """Spike times (µs, since the stimulus began) and the settings in the file's header."""

    times_us: NDArray[np.int64]
    header: dict[str, Any]


@dataclass(frozen=True)
class PulseFile:
    """A pulse signal (arbitrary units), its sampling rate, and when it began, where the file says so."""

    trace: NDArray[np.float32]
    rate_hz: float
    started_at: datetime | None


@dataclass(frozen=True)
class ScanFile:
    """Volumes ``(nx, ny, nz, n_volumes)``, voxel size (mm) and repetition time (s), if believable."""

    volumes: NDArray[Any]
    voxel_mm: tuple[float, float, float]
    repetition_time_s: float | None


def read_spikes(path: Path) -> SpikeFile:
    """Read a spike file of the grasshopper recordings: `# name: value` lines, then one time (µs) a line."""
    header: dict[str, Any] = {}
    times: list[float] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if text.startswith("#"):
            name, _, value = text.lstrip("# ").partition(":")
            header[name.strip()] = _number(value.strip())
        elif text:
            try:
                times.append(float(text))
            except ValueError as error:
                raise UnreadableRecordingError(
                    f"{path.name}, line {number}: '{text}' is not a spike time in microseconds. Correct the"
                    " line."
                ) from error
    if not times:
        raise UnreadableRecordingError(
            f"{path.name} holds no spike times. Check that the right file was named."
        )
    return SpikeFile(np.asarray(times, dtype=np.int64), header)


def read_stimulus(path: Path) -> tuple[NDArray[np.float64], float]:
    """Read a stimulus file (time in µs, amplitude in volts); return amplitudes and sampling rate (Hz)."""
    table = np.loadtxt(path, ndmin=2)
    steps = np.unique(np.diff(table[:, 0]))
    if steps.size != 1 or steps[0] <= 0:
        raise UnreadableRecordingError(
            f"{path.name}: the times are not evenly spaced. The file is damaged: copy it again."
        )
    return table[:, 1], 1e6 / float(steps[0])


def read_pulse(path: Path, rate_hz: float | None = None) -> PulseFile:
    """Read a pulse recording: one value a line, or columns `timer,hr` (ms), or `datetime,hr`.

    ``rate_hz`` is needed for the first form only. Otherwise the rate is the mean one, from first to last
    time: a PC clock stamps several samples with one time, and single steps mean little.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row]
    started_at = None
    if rows and rows[0] == ["datetime", "hr"]:
        began, ended = (datetime.fromisoformat(rows[at][0]) for at in (1, -1))
        rate_hz, started_at, rows = (len(rows) - 2) / (ended - began).total_seconds(), began, rows[1:]
    elif rows and rows[0] == ["timer", "hr"]:
        elapsed_ms = float(rows[-1][0]) - float(rows[1][0])
        rate_hz, rows = (len(rows) - 2) / elapsed_ms * 1000.0, rows[1:]
    elif rate_hz is None:
        raise UnreadableRecordingError(
            f"{path.name} has no column of times. Enter the recording's sampling rate and import it again."
        )
    return PulseFile(np.asarray([row[-1] for row in rows], dtype=np.float32), float(rate_hz), started_at)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a photograph as ``(rows, columns)`` or ``(rows, columns, 3)``, uint8."""
    return np.asarray(io.imread(path), dtype=np.uint8)


def read_scan(path: Path) -> ScanFile:
    """Read a NIfTI scan.

    Integers stay integers unless the header scales them. A repetition time outside 0.05 to 30 s is left out:
    some programs write milliseconds and call them seconds.
    """
    image = nibabel.loadsave.load(path)
    volumes = np.asanyarray(image.dataobj)  # type: ignore[attr-defined]
    if volumes.ndim == 3:
        volumes = volumes[..., np.newaxis]
    zooms = [float(size) for size in image.header.get_zooms()]  # type: ignore[attr-defined]
    seconds = zooms[3] if len(zooms) > 3 else 0.0
    believable = _BELIEVABLE_TR_S[0] <= seconds <= _BELIEVABLE_TR_S[1]
    return ScanFile(
        volumes if volumes.dtype.kind in "iu" else volumes.astype(np.float32),
        (zooms[0], zooms[1], zooms[2]),
        seconds if believable else None,
    )


def write_zarr(
    folder: Path,
    array: NDArray[Any],
    dimension_names: Sequence[str],
    chunks: tuple[int, ...],
    attributes: Mapping[str, Any],
) -> Path:
    """Write an array as one Zarr 3 array with named dimensions; return the folder."""
    stored = zarr.create_array(
        folder,
        shape=array.shape,
        dtype=array.dtype.newbyteorder("="),
        chunks=tuple(min(chunk, size) for chunk, size in zip(chunks, array.shape, strict=True)),
        dimension_names=list(dimension_names),
        attributes=dict(attributes),
    )
    stored[...] = array
    return folder


def _number(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value
