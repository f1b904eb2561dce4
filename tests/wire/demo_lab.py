"""The demo lab under one of two programs, asked by the tests; one question and one answer a line, as JSON.

``python demo_lab.py theirs`` runs the lab's own modules with the real DataJoint in the place of `dj_panel`:
they import a stand-in that has DataJoint's names and the demo's folder. Started in the folder of a demo, it
takes its settings from `datajoint.json` there and the server's password from the environment.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np

ROOT = Path(__file__).parents[2]
WAIT_S = 120.0
NEW_SUBJECT = "HV-90"
QUICK = "quick"


class StandIn(types.ModuleType):
    """DataJoint under the name `dj_panel`, with the one subpackage that the lab lives in."""

    def __init__(self, datajoint: types.ModuleType) -> None:
        super().__init__("dj_panel")
        self.__path__ = [str(ROOT / "dj_panel")]
        self._datajoint = datajoint

    def __getattr__(self, name: str) -> Any:
        return getattr(self._datajoint, name)


def choose(program: str) -> Any:
    """Return the program by which the lab is to run, under the name that the lab imports."""
    if program == "theirs":
        sys.path.insert(0, str(ROOT))
        peer = importlib.import_module("tests.peer")
        sys.modules["dj_panel"] = StandIn(peer.datajoint)
    return importlib.import_module("dj_panel")


# ------------------------------------------------------------------ values, told apart by their content
def content(value: Any, codec: str | None) -> Iterator[bytes]:
    """Yield what a fetched value holds, in which both programs agree though their classes differ."""
    if codec == "attach" and value is not None:
        path = Path(value)
        yield from (path.name.encode(), path.read_bytes())
    elif codec == "object" and value is not None:
        yield json.dumps([value.is_dir, value.size, value.ext, value.item_count]).encode()
        files = value.fsmap
        for name in sorted(files):
            yield from (name.encode(), files[name])
    elif codec == "npy" and value is not None:
        yield json.dumps([list(value.shape), str(value.dtype)]).encode()
        yield from content(value.load(), None)
    elif isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    else:
        yield f"{type(value).__name__} {value!r}".encode()


def digest(value: Any, codec: str | None) -> str:
    """Return a digest of the content of a value."""
    found = hashlib.sha256()
    for part in content(value, codec):
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()[:16]


def codec_of(attribute: Any) -> str | None:
    """Return the name of an attribute's codec; DataJoint has the codec itself in the heading."""
    found: str | None = getattr(attribute.codec, "name", attribute.codec)
    return found


def digests(classes: Mapping[str, Any]) -> dict[str, Any]:
    """Return of each table its number of rows, its attributes, and a digest of each attribute's values."""
    found = {}
    for name, cls in classes.items():
        table = cls()
        codecs = {
            a.name: codec_of(a) for a in table.heading.attributes.values() if not a.name.startswith("_")
        }
        rows = table.to_dicts(order_by="KEY")
        found[name] = {
            "rows": len(rows),
            "key": list(table.primary_key),
            "codecs": codecs,
            "comments": {name: table.heading.attributes[name].comment for name in codecs},
            "values": {
                attribute: digest([digest(row[attribute], codec) for row in rows], None)
                for attribute, codec in codecs.items()
            },
        }
    return found


def plain(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as text, types included."""
    return [repr({name: (type(value).__name__, value) for name, value in row.items()}) for row in rows]


# ------------------------------------------------------------------ what may be asked
class Lab:
    """The lab under one program; each public method is a question.

    Parameters
    ----------
    dj
        The program.
    """

    def __init__(self, dj: Any) -> None:
        self._dj = dj

    def _modules(self) -> dict[str, types.ModuleType]:
        modules: dict[str, types.ModuleType] = self._build.lab_modules()
        return modules

    @property
    def _build(self) -> Any:
        return importlib.import_module("dj_panel.demo.build")

    def _table(self, name: str) -> Any:
        module, _, path = name.partition(".")
        found: Any = self._modules()[module]
        for part in path.split("."):
            found = getattr(found, part)
        return found

    def _classes(self) -> dict[str, Any]:
        found = {}
        for module, content_ in self._modules().items():
            for name, cls in vars(content_).items():
                if not isinstance(cls, type) or cls.__module__ != content_.__name__:
                    continue
                if issubclass(cls, self._dj.Table):
                    found[f"{module}.{name}"] = cls
                    for part, inner in vars(cls).items():
                        if isinstance(inner, type) and issubclass(inner, self._dj.Part):
                            found[f"{module}.{name}.{part}"] = inner
        return found

    def program(self) -> str:
        """Tell which program this is."""
        return f"{self._dj.Schema.__mro__[0].__module__} {self._dj.__version__}"

    def build(self) -> float:
        """Build the demo here, with one window instead of eight; return how many seconds it took."""
        begun = time.monotonic()
        self._build.WINDOWS_COMPUTED = 1
        self._build.build(Path.cwd(), on_server=True)
        return time.monotonic() - begun

    def activate(self) -> int:
        """Import the lab as it is; return the number of its tables."""
        return len(self._classes())

    def digests(self) -> dict[str, Any]:
        """Return the digests of everything, read through the lab's classes."""
        return digests(self._classes())

    def digests_without_code(self) -> dict[str, Any]:
        """Return the same, read through classes that are made from the database."""
        return digests(self._made_classes())

    def _made_classes(self) -> dict[str, Any]:
        names = {module: content_.schema.database for module, content_ in self._modules().items()}
        found = {}
        if hasattr(self._dj, "core"):
            places = {schema: module for module, schema in names.items()}
            pipeline = importlib.import_module("dj_panel.apps.pipeline").open_schemas(list(places))
            for name, cls in pipeline.classes.items():
                schema, _, rest = name.partition(".")
                found[f"{places[schema]}.{rest}"] = cls
            return found
        made = {module: self._dj.virtual_schema(schema) for module, schema in names.items()}
        for name in self._classes():
            module, *path = name.split(".")
            cls = made[module]
            for part in path:
                cls = getattr(cls, part)
            found[name] = cls
        return found

    def joins(self) -> dict[str, list[str]]:
        """Return the rows of queries over several schemas."""
        lab = self._modules()
        subject, session = lab["subject"], lab["session"]
        acquisition, analysis = lab["acquisition"], lab["analysis"]
        author = subject.Experimenter.proj("full_name", author="experimenter")
        weigher = subject.Experimenter.proj("full_name", weighed_by="experimenter")
        pulse = session.Rig & {"modality": "pulse"}
        beat = analysis.HeartRate.proj("mean_heart_rate", "n_beats")
        queries = {
            "four schemas": subject.Subject
            * session.Session
            * session.Recording
            * acquisition.PulseTrace.proj("pulse_duration", "started_at")
            * beat,
            "lookup": session.Recording * subject.Source.proj("title") & (session.Session & pulse),
            "renamed": session.Session.Remark * author,
            "nullable": subject.Weighing * weigher,
            "part of a part's table": analysis.WindowTuning.proj("p_value")
            * analysis.Windowing.Window
            * analysis.TuningMethod,
            "missing": acquisition.Scan.proj("n_volumes") - analysis.ScanQuality,
            "counted": subject.Subject.aggr(session.Session, n="count(*)", last="max(session_date)"),
            "regions": analysis.Segmentation.aggr(
                analysis.Segmentation.Region, area="sum(area)", positive="sum(is_positive)"
            ),
            "origins": self._dj.U("species", "modality") & (subject.Subject * session.Session * session.Rig),
        }
        return {name: sorted(plain(query.to_dicts())) for name, query in queries.items()}

    def enter(self, *, code: bool) -> int:
        """Enter a subject, a session with its parts and a recording, as a technician would.

        Parameters
        ----------
        code
            Whether through the lab's classes, or through classes that are made from the database.
        """
        tables = self._classes() if code else self._made_classes()
        key = {"subject_id": NEW_SUBJECT, "session_date": date(2026, 3, 1), "session_number": 1}
        tables["subject.Subject"].insert1(
            {
                "subject_id": NEW_SUBJECT,
                "species": "human",
                "sex": "female",
                "subject_uuid": "0f0e0d0c-0b0a-4908-8706-050403020100",
                "subject_notes": 'Says "100 %", µ\\',
            }
        )
        tables["session.Session"].insert1({**key, "rig": "ppg-1", "purpose": "Entered by the other program"})
        experimenter = tables["subject.Experimenter"]().to_dicts(order_by="KEY")[0]["experimenter"]
        tables["session.Session.Operator"].insert1({**key, "experimenter": experimenter})
        tables["session.Session.Remark"].insert1(
            {**key, "remark_number": 1, "author": experimenter, "remark": "Fingers were cold."}
        )
        recordings = tables["session.Recording"]
        known = (recordings & {"file_name": "ppg-1/data.csv"}).fetch1()
        recordings.insert1({**known, **key, "recording_number": 1})
        return len(recordings & {"subject_id": NEW_SUBJECT})

    def delete(self, *, code: bool) -> int:
        """Delete the subject that was entered and all that depends on it; return how many subjects remain."""
        subjects = (self._classes() if code else self._made_classes())["subject.Subject"]
        (subjects & {"subject_id": NEW_SUBJECT}).delete(prompt=False)
        return len(subjects())

    def refresh(self, table: str) -> dict[str, int]:
        """Fill a table's queue."""
        found: dict[str, int] = self._table(table).jobs.refresh(delay=-1)
        return found

    def populate(
        self, table: str, restriction: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Compute what is missing, through the table's queue."""
        done = self._table(table).populate(
            *([restriction] if restriction else []), reserve_jobs=True, **options
        )
        return {"done": done["success_count"], "errors": [str(error) for _, error in done["error_list"]]}

    def progress(self, table: str, restriction: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what remains of a table and what its queue says."""
        found = self._table(table)
        remaining, total = found.progress(*([restriction] if restriction else []), display=False)
        return {"remaining": remaining, "total": total, "jobs": found.jobs.progress()}

    def failures(self, table: str) -> list[list[str]]:
        """Return the failed jobs: subject, message, and the first and last line of the traceback."""
        rows = self._table(table).jobs.errors.to_dicts(order_by="KEY")
        found = []
        for row in rows:
            lines = row["error_stack"].strip().splitlines()
            found.append([row["subject_id"], row["error_message"], lines[0], lines[-1]])
        return found

    def methods(self, number: int) -> int:
        """Add ways to take an average that are quick to compute; each cuts every recording into windows."""
        table = self._table("analysis.TuningMethod")
        standard = (table & {"tuning_method": "standard"}).fetch1()
        table.insert(
            ({**standard, "tuning_method": f"{QUICK}-{index}", "n_shifts": 10} for index in range(number)),
            skip_duplicates=True,
        )
        return len(table())

    def work(
        self, table: str, step: str, mark: str, other: str, restriction: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Compute what is missing at the same time as another program; return the keys that were computed.

        Parameters
        ----------
        table
            Which table.
        step
            The method of the table that computes.
        mark, other
            Files that say that this program and the other one have each taken a key; nobody goes on alone.
        restriction
            Which keys.
        """
        cls = self._table(table)
        original: Callable[..., Any] = getattr(cls, step)
        keys = []

        def step_together(self_: Any, key: dict[str, Any], *arguments: Any) -> Any:
            keys.append({name: str(key[name]) for name in cls().primary_key})
            Path(mark).touch()
            wait_for(Path(other))
            return original(self_, key, *arguments)

        setattr(cls, step, step_together)
        try:
            done = self.populate(table, restriction, suppress_errors=True)
        finally:
            setattr(cls, step, original)
        return {"keys": keys, **done}


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + WAIT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} did not appear")
        time.sleep(0.005)


def answer(questions: IO[str], answers: IO[str]) -> None:
    """Answer until there are no more questions; an error ends the program with its traceback."""
    lab = Lab(choose(sys.argv[1]))
    for line in questions:
        name, options = json.loads(line)
        print(json.dumps(getattr(lab, name)(**options)), file=answers, flush=True)


if __name__ == "__main__":
    answers_ = os.fdopen(os.dup(1), "w")
    # What the programs print themselves is for a person, not for the tests.
    os.dup2(2, 1)
    answer(sys.stdin, answers_)
