"""Recordings of neurons, imaged scans, and what is computed from them."""

import os
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np

schema = dj.Schema(os.environ["PIPELINE_PREFIX"] + "ephys")
folder = Path(os.environ["PIPELINE_FOLDER"])
answers: dict[str, Any] = {}


# ------------------------------------------------------------------ what the rigs leave
def simulate() -> None:
    """Write recordings of a few neurons and films of a few bright cells."""
    noise = np.random.default_rng(0)
    for mouse_id, day, n_neurons in ((0, "2017-05-15", 1), (5, "2017-01-05", 2), (100, "2017-05-25", 1)):
        activity = noise.normal(0.2, 0.05, (n_neurons, 600))
        for neuron in activity:
            neuron[noise.choice(500, 12, replace=False) + 50] += noise.uniform(0.4, 1.0, 12)
        np.save(folder / f"data_{mouse_id}_{day}.npy", activity)
    for scan in (1, 2):
        film = noise.normal(10, 1, (8, 32, 32))
        film[:, 4:9, 4:10] += 60 + np.arange(8)[:, None, None]
        film[:, 20:28, 15:24] += 90
        np.save(folder / f"scan_{scan}.npy", film)


simulate()


@schema
class Mouse(dj.Manual):
    definition = """
    mouse_id : int32
    ---
    dob : date
    sex : enum('M', 'F', 'unknown')
    """


@schema
class Session(dj.Manual):
    definition = """
    -> Mouse
    session_date : date
    ---
    experimenter : varchar(100)
    """


@schema
class Neuron(dj.Imported):
    definition = """
    -> Session
    neuron_id : int16
    ---
    activity : <blob>    # trace
    """

    def make(self, key: dict[str, Any]) -> None:
        data = np.load(folder / f"data_{key['mouse_id']}_{key['session_date']}.npy")
        for neuron_id, activity in enumerate(data):
            self.insert1({**key, "neuron_id": neuron_id, "activity": activity})


@schema
class ActivityStats(dj.Computed):
    definition = """
    -> Neuron
    ---
    mean_activity : float32
    std_activity : float32
    max_activity : float32
    """

    def make(self, key: dict[str, Any]) -> None:
        activity = (Neuron & key).fetch1("activity")
        self.insert1(
            {
                **key,
                "mean_activity": activity.mean(),
                "std_activity": activity.std(),
                "max_activity": activity.max(),
            }
        )


@schema
class SpikeParams(dj.Lookup):
    definition = """
    spike_param_id : int16
    ---
    threshold : float32    # for the detection of spikes
    """
    contents = ({"spike_param_id": 1, "threshold": 0.5}, {"spike_param_id": 2, "threshold": 0.9})


@schema
class Spikes(dj.Computed):
    definition = """
    -> Neuron
    -> SpikeParams
    ---
    spike_times : <blob>    # samples
    spike_count : int32
    """

    class Waveform(dj.Part):
        definition = """
        -> master
        spike_idx : int32
        ---
        waveform : <blob>    # activity around the spike
        """

    def make(self, key: dict[str, Any]) -> None:
        activity = (Neuron & key).fetch1("activity")
        threshold = (SpikeParams & key).fetch1("threshold")
        spike_times = np.where(np.diff((activity > threshold).astype(int)) > 0)[0] + 1
        self.insert1({**key, "spike_times": spike_times, "spike_count": len(spike_times)})
        window = 20
        for spike_idx, t in enumerate(spike_times):
            if window <= t < len(activity) - window:
                self.Waveform.insert1(
                    {**key, "spike_idx": spike_idx, "waveform": activity[t - window : t + window]}
                )


@schema
class Scan(dj.Manual):
    definition = """
    -> Session
    scan_idx : int16
    ---
    depth : float32           # um
    fps : float32             # frames per second
    file_name : varchar(128)
    """


@schema
class AverageFrame(dj.Imported):
    definition = """
    -> Scan
    ---
    average_frame : <blob>    # mean over the frames
    """

    def make(self, key: dict[str, Any]) -> None:
        film = np.load(folder / (Scan & key).fetch1("file_name"))
        self.insert1({**key, "average_frame": film.mean(axis=0)})


@schema
class SegmentationParam(dj.Lookup):
    definition = """
    seg_param_id : int16
    ---
    threshold : float32
    min_size : int32       # pixels
    """
    contents = (
        {"seg_param_id": 1, "threshold": 50.0, "min_size": 10},
        {"seg_param_id": 2, "threshold": 80.0, "min_size": 10},
    )


@schema
class Segmentation(dj.Computed):
    definition = """
    -> AverageFrame
    -> SegmentationParam
    ---
    num_rois : int16
    segmented_mask : <blob>
    """

    class Roi(dj.Part):
        definition = """
        -> master
        roi_idx : int16
        ---
        mask : <blob>
        center_x : float32
        center_y : float32
        """

    def make(self, key: dict[str, Any]) -> None:
        frame = (AverageFrame & key).fetch1("average_frame")
        threshold, min_size = (SegmentationParam & key).fetch1("threshold", "min_size")
        # two halves are enough to tell these cells apart
        halves = (np.arange(frame.shape[0]) < 14)[:, None]
        masks = [
            m for m in ((frame > threshold) & halves, (frame > threshold) & ~halves) if m.sum() >= min_size
        ]
        whole = np.zeros(frame.shape, "int32")
        for i, mask in enumerate(masks, 1):
            whole[mask] = i
        self.insert1({**key, "num_rois": len(masks), "segmented_mask": whole})
        self.Roi.insert(
            {
                **key,
                "roi_idx": i,
                "mask": mask,
                "center_y": np.nonzero(mask)[0].mean(),
                "center_x": np.nonzero(mask)[1].mean(),
            }
            for i, mask in enumerate(masks)
        )


@schema
class Fluorescence(dj.Imported):
    definition = """
    -> Segmentation
    ---
    timestamps : <blob>    # seconds
    """

    class Trace(dj.Part):
        definition = """
        -> master
        -> Segmentation.Roi
        ---
        trace : <blob>     # mean within the mask
        """

    def make_fetch(self, key: dict[str, Any]) -> Any:
        rois = (Segmentation.Roi & key).to_dicts(order_by="roi_idx")
        return (Scan & key).fetch1("file_name", "fps"), rois

    def make_compute(self, key: dict[str, Any], scan: Any, rois: Any) -> Any:
        file_name, fps = scan
        film = np.load(folder / file_name)
        traces = [{"roi_idx": r["roi_idx"], "trace": film[:, r["mask"]].mean(axis=1)} for r in rois]
        return np.arange(len(film)) / fps, traces

    def make_insert(self, key: dict[str, Any], timestamps: Any, traces: Any) -> None:
        self.insert1({**key, "timestamps": timestamps})
        self.Trace.insert({**key, **trace} for trace in traces)


# ------------------------------------------------------------------ filling and computing
Mouse.insert(
    [
        {"mouse_id": 0, "dob": "2017-03-01", "sex": "M"},
        {"mouse_id": 5, "dob": "2016-12-25", "sex": "F"},
        {"mouse_id": 100, "dob": "2017-05-12", "sex": "F"},
    ],
    skip_duplicates=True,
)
Session.insert(
    [
        {"mouse_id": 0, "session_date": "2017-05-15", "experimenter": "Alice"},
        {"mouse_id": 5, "session_date": "2017-01-05", "experimenter": "Bob"},
        {"mouse_id": 100, "session_date": "2017-05-25", "experimenter": "Carol"},
    ],
    skip_duplicates=True,
)
Scan.insert(
    {
        "mouse_id": 0,
        "session_date": "2017-05-15",
        "scan_idx": i,
        "depth": 100 + 50 * i,
        "fps": 15,
        "file_name": f,
    }
    for i, f in ((1, "scan_1.npy"), (2, "scan_2.npy"))
)
Neuron.populate()
answers["neurons"] = Neuron.to_dicts(order_by="KEY")
answers["to do"] = ActivityStats.progress()
ActivityStats.populate({"mouse_id": 5})
answers["half done"] = ActivityStats.progress()
ActivityStats.populate(display_progress=False)
answers["activity"] = ActivityStats.to_dicts(order_by="KEY")
answers["spikes populated"] = Spikes.populate(reserve_jobs=True)["success_count"]
answers["jobs left"] = {k: v for k, v in Spikes.jobs.progress().items() if v}
answers["spike counts"] = Spikes.proj("spike_count").to_dicts(order_by="KEY")
AverageFrame.populate()
Segmentation.populate(max_calls=3)
answers["after three calls"] = Segmentation.progress()
Segmentation.populate()
Fluorescence.populate()

# ------------------------------------------------------------------ asking
key = {"mouse_id": 0, "session_date": "2017-05-15", "neuron_id": 0, "spike_param_id": 1}
times, count = (Spikes & key).fetch1("spike_times", "spike_count")
answers["one neuron"] = times, count
answers["waveforms"] = np.vstack((Spikes.Waveform & key).to_arrays("waveform", order_by="spike_idx"))
answers["many spikes"] = (
    (Spikes & "spike_param_id = 1" & "spike_count > 5").proj("spike_count").to_dicts(order_by="KEY")
)
answers["by mouse"] = (
    (Mouse * Session * Spikes & "spike_param_id = 1").proj("spike_count").to_dicts(order_by="KEY")
)
answers["most spikes"] = (
    Mouse.aggr(Spikes, most="MAX(spike_count)", all="SUM(spike_count)") & "most > 0"
).to_dicts(order_by="KEY")
answers["waveforms of each"] = Spikes.aggr(Spikes.Waveform, "spike_count", n="COUNT(spike_idx)").to_dicts(
    order_by="KEY"
)
answers["rois"] = Segmentation.Roi.proj("center_x", "center_y").to_dicts(order_by="KEY")
answers["masks"] = (Segmentation & {"scan_idx": 1, "seg_param_id": 2}).fetch1("segmented_mask", "num_rois")
answers["traces"] = Fluorescence.Trace.to_dicts(order_by="KEY")
answers["timestamps"] = (Fluorescence & {"scan_idx": 1, "seg_param_id": 1}).fetch1("timestamps")
stacked = (Fluorescence.Trace & {"scan_idx": 1, "seg_param_id": 1}).to_arrays("trace", order_by="KEY")
answers["stacked"] = np.stack(stacked)
answers["heading"] = list(Fluorescence.Trace.heading.attributes)
for roi in (Segmentation.Roi & {"scan_idx": 1, "seg_param_id": 1}).keys(order_by="KEY"):
    answers[f"pixels of {roi['roi_idx']}"] = int((Segmentation.Roi & roi).fetch1("mask").sum())

# ------------------------------------------------------------------ what fails, and starting again
try:
    ActivityStats.insert1(
        {**key, "mean_activity": 0, "std_activity": 0, "max_activity": 0}, ignore_extra_fields=True
    )
except dj.DataJointError as error:
    answers["direct insert"] = str(error)[:60]
Session.insert1({"mouse_id": 5, "session_date": "2018-01-01", "experimenter": "Bob"})
result = Neuron.populate(suppress_errors=True)
answers["no file"] = result["success_count"], [k for k, _ in result["error_list"]]
Neuron.populate(reserve_jobs=True, suppress_errors=True)
answers["recorded"] = Neuron.jobs.errors.proj().to_dicts()
(Segmentation & {"seg_param_id": 2}).delete(prompt=False)
answers["deleted"] = (
    len(Segmentation()),
    len(Segmentation.Roi()),
    len(Fluorescence()),
    len(Fluorescence.Trace()),
)
Segmentation.populate()
Fluorescence.populate()
answers["again"] = len(Fluorescence.Trace()), Fluorescence.progress()
