"""When and how it is recorded: rigs, sessions, recordings and stimuli, as a technician enters them."""

# A table is documented by its definition, and make by its table.
# ruff: noqa: D101, D106

from __future__ import annotations

import dj_panel as dj
from dj_panel.demo.lab import schema_name
from dj_panel.demo.lab.subject import Experimenter, Source, Subject  # noqa: F401 - foreign keys name them

schema = dj.Schema(schema_name("session"))


@schema
class Rig(dj.Lookup):
    definition = """
    # Places to record at (invented for the demo, apart from rates and spacings, which are the recordings')
    rig            : varchar(16)   # short name, also the folder its files arrive in
    ---
    modality       : enum('spikes', 'pulse', 'micrograph', 'fundus', 'fmri')  # what it records
    room=''        : varchar(16)   # (invented)
    settings=null  : json          # settings that hold for every recording
    """
    contents = (
        {
            "rig": "ephys-1",
            "modality": "spikes",
            "room": "B 104",
            "settings": {"time_unit": "us", "stimulus_rate_hz": 20000},
        },
        {"rig": "ppg-1", "modality": "pulse", "room": "C 12", "settings": {"sensor": "finger, optical"}},
        {"rig": "scope-1", "modality": "micrograph", "room": "A 7", "settings": None},
        {"rig": "fundus-1", "modality": "fundus", "room": "A 8", "settings": None},
        {"rig": "mri-1", "modality": "fmri", "room": "M 1", "settings": {"format": "NIfTI-1"}},
    )


@schema
class Session(dj.Manual):
    definition = """
    # One sitting with one subject (dates invented, unless the notes say otherwise)
    -> Subject
    session_date   : date          # day
    session_number=1 : int8        # counts the subject's sessions of that day
    ---
    -> Rig
    start_time=null : datetime     # first recording, in the lab's time
    purpose=''     : varchar(120)  # in a few words
    quality='not checked' : enum('not checked', 'good', 'doubtful', 'unusable')
    session_notes='' : varchar(600)  # what a reader should know
    index (quality)
    """

    class Operator(dj.Part):
        definition = """
        # Who took part
        -> master
        -> Experimenter
        ---
        duty='records' : enum('records', 'assists', 'supervises')
        """

    class Remark(dj.Part):
        definition = """
        # What happened during the session
        -> master
        remark_number  : int16     # 1, 2, ...
        ---
        -> Experimenter.proj(author="experimenter")
        remarked_at=null : datetime  # in the lab's time
        remark         : varchar(600)
        """


@schema
class Recording(dj.Manual):
    definition = """
    # One file that a rig left in the folder of incoming recordings
    -> Session
    recording_number : int16       # 1, 2, ...
    ---
    -> Source
    file_name      : varchar(160)  # below the folder of incoming recordings
    sampling_rate=null : float64   # (Hz) only for files without times
    pixel_size=null : float64      # (µm) only for micrographs whose source states it
    stain='none'   : enum('none', 'H-DAB', 'phase')  # contrast of a micrograph
    sha256=null    : char(64)      # checksum; a file that differs is refused
    recording_notes='' : varchar(600)  # what a reader should know
    """


@schema
class Stimulus(dj.Manual):
    definition = """
    # Sound played during a recording of spikes
    -> Recording
    ---
    stimulus_file  : varchar(160)  # below the folder of incoming recordings
    loudest_level  : decimal(7,4)  # (dB SPL) level of the loudest sample, from the header of the spike file
    carrier        : decimal(6,2)  # (kHz) frequency of the tone
    cut_off        : int16         # (Hz) highest frequency of the amplitude modulation
    """
