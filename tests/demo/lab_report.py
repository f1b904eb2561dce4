"""What a program started in the folder of a built demo finds there; run by the tests, prints JSON.

It takes its settings from the folder's `datajoint.json`, as a worker does, and imports the lab as it is.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import zarr

import dj_panel as dj
from dj_panel.demo.build import lab_modules

_COMPUTED = {
    "acquisition": ("SpikeTrain", "StimulusTrace", "PulseTrace", "Photograph", "Scan"),
    "analysis": (
        "FiringRate",
        "SpikeTriggeredAverage",
        "Windowing",
        "WindowTuning",
        "HeartRate",
        "Segmentation",
        "ScanQuality",
    ),
}
_ENTERED = {
    "subject": ("Species", "Source", "Experimenter", "Subject", "Consent", "Weighing"),
    "session": ("Rig", "Session", "Recording", "Stimulus"),
}


def report() -> dict[str, Any]:
    """Collect what the tests ask about."""
    lab = lab_modules()
    acquisition, analysis = lab["acquisition"], lab["analysis"]
    progress = {
        name: list(getattr(lab[module], name).progress(display=False))
        for module, names in _COMPUTED.items()
        for name in names
    }
    counts = {name: len(getattr(lab[module], name)()) for module, names in _ENTERED.items() for name in names}
    counts["Operator"] = len(lab["session"].Session.Operator())
    counts["Remark"] = len(lab["session"].Session.Remark())
    counts["Region"] = len(analysis.Segmentation.Region())
    counts["Segment"] = len(analysis.HeartRate.Segment())
    driving = {"subject_id": "HV-03", "session_number": 1}
    stimulus = {"subject_id": "LM-01"}
    level = (acquisition.StimulusTrace & stimulus).fetch1("level")
    image = zarr.open_array(
        (acquisition.Photograph & {"subject_id": "TS-01"}).fetch1("image").fsmap, mode="r"
    )
    image_metadata: Any = image.metadata
    brain = zarr.open_array((acquisition.Scan & {"subject_id": "HV-06"}).fetch1("volumes").fsmap, mode="r")
    spike_times, header, spike_file = (acquisition.SpikeTrain & stimulus).fetch1(
        "spike_times", "header", "source_file"
    )
    lag, peak = (analysis.SpikeTriggeredAverage & stimulus).fetch1("peak_lag", "peak_level")
    with open(spike_file, encoding="utf-8") as stream:
        first_line = next(line for line in stream if line.strip()).strip()
    with open((analysis.HeartRate & driving).fetch1("figure"), "rb") as stream:
        figure_starts = stream.read(4).hex()
    return {
        "progress": progress,
        "counts": counts,
        "errors": list(analysis.HeartRate.jobs.errors.to_arrays("error_message")),
        "error_keys": [row["subject_id"] for row in analysis.HeartRate.jobs.errors.to_dicts()],
        "licences": list(lab["subject"].Source().to_arrays("license")),
        "level": [list(level.shape), str(level.dtype), round(float(np.asarray(level).std()), 2)],
        "image": [list(image.shape), str(image.dtype), list(image_metadata.dimension_names)],
        "brain": [list(brain.shape), int(np.asarray(brain[...]).max())],
        "spikes": [
            int(spike_times.size),
            str(spike_times.dtype),
            header["cut-off frequency (Hz)"],
            first_line,
        ],
        "average": [lag, peak],
        "largest_p": float(max(analysis.WindowTuning().to_arrays("p_value"))),
        "heart_rate": float((analysis.HeartRate & driving).fetch1("mean_heart_rate")),
        "figure": figure_starts,
        "uuids": len({str(row["subject_uuid"]) for row in lab["subject"].Subject().to_dicts()}),
        "newcomer": len(lab["subject"].Subject & {"subject_id": "LM-99"}),
        "weight": str((lab["subject"].Weighing & stimulus).to_arrays("weight", order_by="weighed_at")[0]),
    }


def enter() -> dict[str, Any]:
    """Enter a subject, as a technician would, and delete an entry of the demo."""
    subject = lab_modules()["subject"]
    subject.Subject.insert1({"subject_id": "LM-99", "species": "locust"})
    (subject.Weighing & {"subject_id": "LM-03"}).delete(prompt=False)
    return {"subjects": len(subject.Subject())}


def interrupt() -> dict[str, Any]:
    """Leave the demo as a build that was killed while it computed a firing rate."""
    rates = lab_modules()["analysis"].FiringRate
    (rates & {"subject_id": "LM-02"}).delete(prompt=False)
    rates.jobs.refresh()
    pending = rates.jobs.pending.keys()
    return {"reserved": [rates.jobs.reserve(key) for key in pending]}


def populate() -> dict[str, Any]:
    """Compute what the demo leaves to be computed."""
    analysis = lab_modules()["analysis"]
    results = {
        table.__name__: table.populate(reserve_jobs=True, suppress_errors=True)["success_count"]
        for table in (analysis.ScanQuality, analysis.Segmentation, analysis.WindowTuning)
    }
    return {
        "computed": results,
        "tsnr": [round(float(value), 1) for value in analysis.ScanQuality().to_arrays("median_tsnr")],
        "cell_um2": float((analysis.Segmentation.Region & {"subject_id": "CE-01"}).fetch1("area_um2")),
        "windows": len(analysis.WindowTuning()),
        "shares_results": len(dj.FreeTable(dj.conn(), analysis.ScanQuality.full_table_name)),
    }


if __name__ == "__main__":
    json.dump(
        {"report": report, "enter": enter, "interrupt": interrupt, "populate": populate}[sys.argv[1]](),
        sys.stdout,
    )
