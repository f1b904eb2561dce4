"""Making the demo lab in a folder: settings, recordings, tables, entries, and part of the results.

The folder then holds `datajoint.json` (found by any program started there), `lab.db` (unless the tables are
on a server), the object store `store/`, the recordings `incoming/`, and `demo.json`, which says that the demo
is complete.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import dj_panel as dj
from dj_panel.demo import entries
from dj_panel.demo.recordings import copy_recordings

SETTINGS_FILE = "datajoint.json"
STAMP_FILE = "demo.json"
STAMP = {"demo": "lab", "version": 1}
MODULES = ("subject", "session", "acquisition", "analysis")
WINDOWS_COMPUTED = 8


def settings(folder: Path, *, on_server: bool = False) -> dict[str, Any]:
    """Return the settings of a demo in ``folder``, nested as in `datajoint.json`.

    Parameters
    ----------
    folder
        Where the demo is.
    on_server
        Whether its tables are on the server that this process is led to, by ``DJ_HOST`` for example. A
        password is not among the settings: it stays in the environment or in `.secrets/`.
    """
    folder = folder.absolute()
    database = {"backend": "sqlite", "name": str(folder / "lab.db")}
    if on_server:
        names = ("host", "port", "user")
        database = {"backend": "mysql", **{name: dj.config[f"database.{name}"] for name in names}}
    return {
        "database": database,
        "jobs": {"add_job_metadata": True},
        "download_path": str(folder / "downloads"),
        "stores": {
            "default": "lab",
            "lab": {"protocol": "file", "location": str(folder / "store")},
            "incoming": {"protocol": "file", "location": str(folder / "incoming")},
        },
    }


def configure(folder: Path, *, on_server: bool = False) -> None:
    """Point this process at the demo in ``folder``, and leave the settings there for others.

    Must come before the lab's modules are imported, since they connect. A folder that was moved is put right,
    and one whose tables are on a server stays with that server.
    """
    for name in ("store", "incoming", "downloads"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    chosen = settings(folder, on_server=on_server)
    written = folder / SETTINGS_FILE
    if not on_server and written.exists():
        before = json.loads(written.read_text(encoding="utf-8"))["database"]
        if before["backend"] != "sqlite":
            chosen["database"] = before
    written.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
    for name, value in chosen.items():
        if isinstance(value, dict) and name != "stores":
            for inner, setting in value.items():
                dj.config[f"{name}.{inner}"] = setting
        else:
            dj.config[name] = value


def lab_modules() -> dict[str, ModuleType]:
    """Import the lab's modules, which connects and declares what is missing; return them by name."""
    return {name: importlib.import_module(f"dj_panel.demo.lab.{name}") for name in MODULES}


def build(folder: Path, *, on_server: bool = False) -> None:
    """Make the demo lab in ``folder``, or leave it as it is if it was made before.

    Everything recorded is imported; of the results, `ScanQuality` is left out and `WindowTuning` and
    `Segmentation` are left half done, so that there is something to populate. One job of `HeartRate` fails,
    as it should. A build that was interrupted is completed; rows entered since then are kept.

    Parameters
    ----------
    folder
        Where to make it.
    on_server
        Whether to make the tables on the server that this process is led to. It has to be said: an exported
        ``DJ_HOST`` must not put a demo among the schemas of a real lab.

    Raises
    ------
    MissingRecordingError
        If a package that carries recordings is not installed.
    """
    configure(folder, on_server=on_server)
    stamp = folder / STAMP_FILE
    if stamp.exists():
        return
    copy_recordings(folder / "incoming")
    lab = lab_modules()
    _enter(lab["subject"], lab["session"], folder / "incoming")
    _compute(lab["acquisition"], lab["analysis"])
    stamp.write_text(json.dumps(STAMP) + "\n", encoding="utf-8")


def _enter(subject: ModuleType, session: ModuleType, incoming: Path) -> None:
    for table, rows in (
        (subject.Experimenter, entries.EXPERIMENTERS),
        (subject.Subject, entries.SUBJECTS),
        (subject.Consent, entries.CONSENTS),
        (subject.Weighing, entries.WEIGHINGS),
        (session.Session, entries.SESSIONS),
        (session.Session.Operator, entries.OPERATORS),
        (session.Session.Remark, entries.REMARKS),
        (session.Recording, entries.recordings(incoming)),
        (session.Stimulus, entries.STIMULI),
    ):
        # Rows of one insert must share their fields, and some leave a default to the table.
        for fields in {tuple(row) for row in rows}:
            table.insert([row for row in rows if tuple(row) == fields], skip_duplicates=True)


def _compute(acquisition: ModuleType, analysis: ModuleType) -> None:
    for table in (
        acquisition.SpikeTrain,
        acquisition.StimulusTrace,
        acquisition.PulseTrace,
        acquisition.Photograph,
        acquisition.Scan,
        analysis.FiringRate,
        analysis.SpikeTriggeredAverage,
        analysis.Windowing,
    ):
        _populate(table)
    # The job of the recording that is bad on purpose stays in the queue with its error, for the app to show.
    _populate(analysis.HeartRate, suppress_errors=True)
    _populate(analysis.Segmentation, {"segmentation_method": "stained nuclei"})
    missing = WINDOWS_COMPUTED - len(analysis.WindowTuning())
    if missing > 0:
        _populate(analysis.WindowTuning, max_calls=missing)


def _populate(table: Any, *restrictions: Any, **options: Any) -> None:
    # A build that was killed leaves its job reserved, and nobody else works in an unfinished demo.
    table.jobs.refresh(*restrictions)
    table.jobs.reserved.delete_quick()
    table.populate(*restrictions, reserve_jobs=True, **options)
