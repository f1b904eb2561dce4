"""Rows that the demo lab's people would have entered by hand.

People, animals, dates, weights and consents are invented; the notes name what the sources state. Recordings
refer to the files that `recordings.copy_recordings` leaves.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from dj_panel.demo.recordings import FLAT_PULSE_FILE, checksum

Row = dict[str, Any]

_SUBJECTS_UUID = UUID("4b8f1c1e-9a55-4c38-8a0e-6f1e9a3d2c70")

EXPERIMENTERS: list[Row] = [
    {"experimenter": "ana", "full_name": "Ana Ruiz", "position": "technician"},
    {"experimenter": "jonas", "full_name": "Jonas Weber", "position": "student"},
    {"experimenter": "mei", "full_name": "Mei Tanaka", "position": "scientist"},
    {"experimenter": "oleg", "full_name": "Oleg Marin", "position": "technician", "is_active": 0},
    {"experimenter": "ruth", "full_name": "Ruth Okafor", "position": "head of lab"},
]


def _subject(subject_id: str, species: str, arrived_on: date, notes: str = "", **more: Any) -> Row:
    return {
        "subject_id": subject_id,
        "species": species,
        "arrived_on": arrived_on,
        "subject_uuid": uuid5(_SUBJECTS_UUID, subject_id),
        "subject_notes": notes,
        "sex": "unknown",
        "tag": None,
        **more,
    }


SUBJECTS: list[Row] = [
    _subject(
        "LM-01",
        "locust",
        date(2025, 4, 28),
        "Auditory receptor, intracellular.",
        sex="female",
        tag="cage 3 / 11",
    ),
    _subject(
        "LM-02",
        "locust",
        date(2025, 4, 28),
        "Auditory receptor, intracellular.",
        sex="male",
        tag="cage 3 / 14",
    ),
    _subject("LM-03", "locust", date(2025, 6, 2), "Not recorded yet.", sex="female", tag="cage 4 / 02"),
    _subject("HV-01", "human", date(2025, 5, 5)),
    _subject("HV-02", "human", date(2025, 5, 6)),
    _subject("HV-03", "human", date(2016, 11, 24), "Drove in a simulator during the recording."),
    _subject("HV-04", "human", date(2025, 5, 20), "Scanned twice on one day."),
    _subject("HV-05", "human", date(2025, 5, 21)),
    _subject("HV-06", "human", date(2025, 5, 22)),
    _subject("HV-07", "human", date(2025, 5, 26), "Left eye."),
    _subject(
        "TS-01", "human", date(2025, 5, 12), "Section of a colon; donor not stated.", tag="block 7 / slide 2"
    ),
    _subject("CE-01", "not stated", date(2025, 5, 14), "Single cell in saline.", tag="dish 19"),
]

CONSENTS: list[Row] = [
    {"consent_number": 2011, "subject_id": "HV-01", "signed_on": date(2025, 5, 5)},
    {"consent_number": 2012, "subject_id": "HV-02", "signed_on": date(2025, 5, 6)},
    {"consent_number": 1604, "subject_id": "HV-03", "signed_on": date(2016, 11, 24)},
    {"consent_number": 2013, "subject_id": "HV-04", "signed_on": date(2025, 5, 19)},
    {"consent_number": 2014, "subject_id": "HV-05", "signed_on": date(2025, 5, 21)},
    {"consent_number": 2015, "subject_id": "HV-06", "signed_on": date(2025, 5, 22)},
    {"consent_number": 2016, "subject_id": "HV-07", "signed_on": date(2025, 5, 26), "share_data": 1},
]

WEIGHINGS: list[Row] = [
    {
        "subject_id": subject,
        "weighed_at": datetime(2025, month, day, hour, minute),
        "weight": Decimal(weight),
        "weighed_by": by,
    }
    for subject, month, day, hour, minute, weight, by in (
        ("LM-01", 4, 28, 9, 10, "1.912", "ana"),
        ("LM-01", 5, 5, 9, 2, "1.948", "ana"),
        ("LM-01", 5, 8, 8, 55, "1.951", "jonas"),
        ("LM-02", 4, 28, 9, 14, "1.377", "ana"),
        ("LM-02", 5, 5, 9, 6, "1.391", "ana"),
        ("LM-02", 5, 9, 8, 48, "1.402", None),
        ("LM-03", 6, 2, 10, 31, "1.864", "ana"),
    )
]


def _session(subject_id: str, start: datetime, rig: str, purpose: str, **more: Any) -> Row:
    return {
        "subject_id": subject_id,
        "session_date": start.date(),
        "session_number": 1,
        "start_time": start,
        "rig": rig,
        "purpose": purpose,
        "quality": "good",
        "session_notes": "",
        **more,
    }


SESSIONS: list[Row] = [
    _session("LM-01", datetime(2025, 5, 8, 10, 20), "ephys-1", "Tuning to slow amplitude modulation"),
    _session("LM-02", datetime(2025, 5, 9, 10, 5), "ephys-1", "Tuning to fast amplitude modulation"),
    _session("HV-01", datetime(2025, 5, 5, 14, 0), "ppg-1", "Pulse at rest"),
    _session(
        "HV-02",
        datetime(2025, 5, 6, 11, 30),
        "ppg-1",
        "Pulse at rest",
        quality="doubtful",
        session_notes="The signal drops out for seconds and has noise spikes.",
    ),
    _session(
        "HV-03",
        datetime(2016, 11, 24, 13, 58, 58),
        "ppg-1",
        "Pulse while driving in a simulator",
        session_notes="Day and time are the recording's own.",
    ),
    _session(
        "HV-03",
        datetime(2016, 11, 24, 15, 10),
        "ppg-1",
        "Second drive, sensor came off",
        session_number=2,
        quality="not checked",
        session_notes="Bad on purpose: 30 s of the first drive, then its last value for 90 s. Made for the"
        " demo, so that one analysis has something to refuse; this drive did not take place.",
    ),
    _session("TS-01", datetime(2025, 5, 12, 16, 0), "scope-1", "FHL2 in colonic glands"),
    _session("CE-01", datetime(2025, 5, 14, 9, 40), "scope-1", "Cell size from phase"),
    _session("HV-07", datetime(2025, 5, 26, 10, 0), "fundus-1", "Fundus photograph"),
    _session(
        "HV-04",
        datetime(2025, 5, 20, 17, 15),
        "mri-1",
        "Scan quality over two runs",
        session_notes="The source does not say whether both runs are of one person.",
    ),
    _session("HV-05", datetime(2025, 5, 21, 17, 30), "mri-1", "Scan quality, three slices"),
    _session(
        "HV-06", datetime(2025, 5, 22, 18, 0), "mri-1", "Whole volumes, protocol test", quality="not checked"
    ),
    _session(
        "LM-03",
        datetime(2025, 6, 10, 10, 0),
        "ephys-1",
        "Planned: tuning to slow modulation",
        quality="not checked",
        session_notes="Not recorded yet.",
    ),
]


def _key(session: Row) -> Row:
    return {name: session[name] for name in ("subject_id", "session_date", "session_number")}


_FIRST = {(session["subject_id"], session["session_number"]): _key(session) for session in SESSIONS}

OPERATORS: list[Row] = [
    {**_FIRST[subject, number], "experimenter": who, "duty": duty}
    for subject, number, who, duty in (
        ("LM-01", 1, "jonas", "records"),
        ("LM-01", 1, "mei", "supervises"),
        ("LM-02", 1, "jonas", "records"),
        ("HV-01", 1, "ana", "records"),
        ("HV-02", 1, "ana", "records"),
        ("HV-03", 1, "oleg", "records"),
        ("HV-03", 2, "oleg", "records"),
        ("TS-01", 1, "mei", "records"),
        ("CE-01", 1, "mei", "records"),
        ("HV-07", 1, "ana", "records"),
        ("HV-04", 1, "mei", "records"),
        ("HV-04", 1, "ana", "assists"),
        ("HV-05", 1, "mei", "records"),
        ("HV-06", 1, "mei", "records"),
    )
]

REMARKS: list[Row] = [
    {
        **_FIRST["LM-01", 1],
        "remark_number": 1,
        "author": "jonas",
        "remarked_at": datetime(2025, 5, 8, 10, 26),
        "remark": "Stable spikes, about 90 per second.",
    },
    {
        **_FIRST["HV-02", 1],
        "remark_number": 1,
        "author": "ana",
        "remarked_at": datetime(2025, 5, 6, 11, 34),
        "remark": "Lost the signal shortly after the start, sensor put on again.",
    },
    {
        **_FIRST["HV-03", 2],
        "remark_number": 1,
        "author": "oleg",
        "remarked_at": None,
        "remark": "Trace stands still from 30 s on. Keep or delete?",
    },
]


def _recording(
    subject_id: str, source: str, file_name: str, session: int = 1, number: int = 1, **more: Any
) -> Row:
    return {
        **_FIRST[subject_id, session],
        "recording_number": number,
        "source": source,
        "file_name": file_name,
        "sampling_rate": None,
        "pixel_size": None,
        "stain": "none",
        "recording_notes": "",
        **more,
    }


RECORDINGS: list[Row] = [
    _recording("LM-01", "grasshopper-200", "ephys-1/grasshopper_spike_times1.txt"),
    _recording("LM-02", "grasshopper-800", "ephys-1/grasshopper_spike_times2.txt"),
    _recording("HV-01", "heartpy-clean", "ppg-1/data.csv", sampling_rate=100.0),
    _recording("HV-02", "heartpy-noisy", "ppg-1/data2.csv"),
    _recording("HV-03", "heartpy-driving", "ppg-1/data3.csv"),
    _recording(
        "HV-03",
        "heartpy-driving",
        FLAT_PULSE_FILE,
        session=2,
        recording_notes="Bad on purpose: the signal stands still from 30 s on (made from data3.csv for the"
        " demo).",
    ),
    _recording("TS-01", "skimage-ihc", "scope-1/ihc.png", stain="H-DAB"),
    _recording("CE-01", "skimage-cell", "scope-1/cell.png", stain="phase", pixel_size=0.107),
    _recording("HV-07", "skimage-retina", "fundus-1/retina.jpg"),
    _recording("HV-04", "nitime-fmri", "mri-1/fmri1.nii.gz"),
    _recording("HV-04", "nitime-fmri", "mri-1/fmri2.nii.gz", number=2),
    _recording("HV-05", "nibabel-functional", "mri-1/functional.nii"),
    _recording("HV-06", "nibabel-example4d", "mri-1/example4d.nii.gz"),
]

STIMULI: list[Row] = [
    {
        **_FIRST[subject, 1],
        "recording_number": 1,
        "stimulus_file": file_name,
        "loudest_level": Decimal(loudest),
        "carrier": Decimal("2.50"),
        "cut_off": cut_off,
    }
    for subject, file_name, loudest, cut_off in (
        ("LM-01", "ephys-1/grasshopper_stimulus1.txt", "76.4286", 200),
        ("LM-02", "ephys-1/grasshopper_stimulus2.txt", "71.2", 800),
    )
]


def recordings(incoming: Path) -> list[Row]:
    """Return the rows of `Recording`, with the checksums of the files in ``incoming``."""
    return [{**row, "sha256": checksum(incoming / row["file_name"])} for row in RECORDINGS]
