"""The demo lab as its users find it: built in a folder, read by another program started there."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dj_panel.demo import entries, recordings
from dj_panel.demo.sources import SOURCES
from tests.built_demo import build_demo, run_python


def ask(folder: Path, question: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        run_python(folder, str(Path(__file__).with_name("lab_report.py")), question)
    )
    return answer


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def found(built_demo: Path) -> dict[str, Any]:
    return ask(built_demo, "report")


@pytest.fixture
def copied(built_demo: Path, tmp_path: Path) -> Path:
    """Copy the built demo, to be changed; building it again points its settings at the copy."""
    folder = tmp_path / "demo"
    shutil.copytree(built_demo, folder)
    build_demo(folder)
    return folder


# ------------------------------------------------------------------ entries, before any database
def test_every_recording_names_a_source_and_a_file_that_exist(tmp_path: Path) -> None:
    recordings.copy_recordings(tmp_path)
    rows = entries.recordings(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    named = {row["file_name"] for row in rows} | {row["stimulus_file"] for row in entries.STIMULI}
    assert named == files
    assert {row["source"] for row in rows} == {row["source"] for row in SOURCES}


def test_every_source_says_who_recorded_it_and_under_which_terms() -> None:
    for source in SOURCES:
        assert all(source[name] for name in ("license", "citation", "url", "known", "package")), source


def test_what_is_bad_on_purpose_says_so() -> None:
    (recording,) = [row for row in entries.RECORDINGS if "pulse_sensor_off" in row["file_name"]]
    session = next(row for row in entries.SESSIONS if row["purpose"] == "Second drive, sensor came off")
    assert recording["recording_notes"].startswith("Bad on purpose")
    assert session["session_notes"].startswith("Bad on purpose")


def test_the_bad_recording_is_a_real_one_up_to_where_it_stands_still(tmp_path: Path) -> None:
    recordings.copy_recordings(tmp_path)
    real = (tmp_path / "ppg-1/data3.csv").read_text().splitlines()
    bad = (tmp_path / recordings.FLAT_PULSE_FILE).read_text().splitlines()
    assert bad[:3000] == real[:3000]
    assert {line.split(",")[1] for line in bad[3014:]} == {real[3013].split(",")[1]}
    assert [line.split(",")[0] for line in bad] == [line.split(",")[0] for line in real[: len(bad)]]


# ------------------------------------------------------------------ the built demo
def test_everything_entered_is_there(found: dict[str, Any]) -> None:
    counts = found["counts"]
    assert counts["Subject"] == len(entries.SUBJECTS) == found["uuids"]
    assert counts["Session"] == len(entries.SESSIONS)
    assert counts["Operator"] == len(entries.OPERATORS)
    assert counts["Remark"] == len(entries.REMARKS)
    assert counts["Source"] == len(SOURCES) == len(found["licences"])
    assert all(found["licences"])
    assert found["weight"] == "1.912"


def test_every_recording_was_imported(found: dict[str, Any]) -> None:
    imported = {name: found["progress"][name] for name in ("SpikeTrain", "PulseTrace", "Photograph", "Scan")}
    assert imported == {"SpikeTrain": [0, 2], "PulseTrace": [0, 4], "Photograph": [0, 3], "Scan": [0, 4]}
    assert found["progress"]["StimulusTrace"] == [0, 2]


def test_something_is_left_to_compute(found: dict[str, Any]) -> None:
    progress = found["progress"]
    assert progress["ScanQuality"] == [3, 3]
    assert progress["WindowTuning"] == [32, 40]
    assert progress["Segmentation"] == [1, 2]
    assert progress["FiringRate"] == progress["SpikeTriggeredAverage"] == progress["Windowing"] == [0, 2]


def test_exactly_one_job_failed_and_says_why(found: dict[str, Any]) -> None:
    assert found["error_keys"] == ["HV-03"]
    assert found["progress"]["HeartRate"] == [1, 4]
    (message,) = found["errors"]
    assert "The pulse signal is flat for 89.9 s of its 119.9 s" in message
    assert "record again" in message


def test_signals_and_images_come_back_as_they_were_recorded(found: dict[str, Any]) -> None:
    assert found["level"] == [[200_000], "float32", 5.98]
    assert found["image"] == [[512, 512, 3], "uint8", ["row", "column", "channel"]]
    assert found["brain"] == [[128, 96, 24, 2], 1162]
    assert found["spikes"] == [929, "int64", 200, "# repro call number: 0"]
    assert found["figure"] == "89504e47"


def test_the_results_are_those_of_the_recordings(found: dict[str, Any]) -> None:
    lag, peak = found["average"]
    assert lag == pytest.approx(-6.3)
    assert peak == pytest.approx(5.88, abs=0.01)
    assert found["largest_p"] < 0.01
    assert found["heart_rate"] == pytest.approx(97.33, abs=0.5)  # HeartPy's own result for this file
    assert found["counts"]["Region"] == 342
    assert found["counts"]["Segment"] == 13


def test_building_again_changes_nothing(copied: Path) -> None:
    before = digests(copied)
    build_demo(copied)
    assert digests(copied) == before


def test_entries_of_users_survive_a_second_build(copied: Path) -> None:
    ask(copied, "enter")
    build_demo(copied)
    found = ask(copied, "report")
    assert found["newcomer"] == 1
    assert found["counts"]["Weighing"] == len(entries.WEIGHINGS) - 1


def test_an_interrupted_build_is_completed_and_keeps_entries(copied: Path, found: dict[str, Any]) -> None:
    ask(copied, "enter")
    assert ask(copied, "interrupt") == {"reserved": [True]}
    (copied / "demo.json").unlink()
    build_demo(copied)
    again = ask(copied, "report")
    assert again["newcomer"] == 1
    assert again["progress"] == found["progress"]
    assert again["errors"] == found["errors"]


def test_what_is_left_can_be_computed_in_the_folder(copied: Path) -> None:
    computed = ask(copied, "populate")
    assert computed["computed"] == {"ScanQuality": 3, "Segmentation": 1, "WindowTuning": 32}
    assert computed["tsnr"] == pytest.approx([33.1, 36.0, 100.5], abs=0.1)
    assert computed["cell_um2"] == pytest.approx(133.0, abs=0.5)
    assert computed["windows"] == 40
    assert computed["shares_results"] == 3
