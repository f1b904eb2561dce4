"""``dj-panel check`` prints every difference of imports, foreign keys, code and database, and a remedy."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.command import main
from dj_panel.core.check import check_database
from dj_panel.core.schema import only_looking
from dj_panel.modules import imported_modules
from tests.conftest import Backend

HEAD = "import dj_panel as dj\nfrom check_place import connection, prefix\n"
SUBJECT = """
schema = dj.Schema(prefix + "subject", connection=connection)

@schema
class Species(dj.Lookup):
    definition = "species : varchar(20)  # kind"
    contents = [("mouse",)]

@schema
class Subject(dj.Manual):
    definition = '''
    # animals
    -> Species
    subject : int32
    ---
    weight = 1.5 : decimal(5, 2)   # g
    sex = "M" : enum('M', 'F')
    born = CURRENT_TIMESTAMP : datetime
    data = null : <blob>
    meta = null : json
    unique index (weight, sex)
    index ((year(born)))
    index (meta.a:signed)
    '''
"""
SESSION = """
from . import subject

schema = dj.Schema(prefix + "session", connection=connection)

@schema
class Session(dj.Manual):
    definition = '''
    -> subject.Subject
    session : int16
    ---
    -> [nullable] subject.Species.proj(other="species")
    '''

    class Trial(dj.Part):
        definition = '''
        -> master
        trial : int16
        '''
"""
NUMBERS = itertools.count()


@pytest.fixture
def package(
    connection: dj.Connection, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Give a function that writes a package of modules anew and returns its import name."""
    place = SimpleNamespace(connection=connection, prefix=backend.prefix)
    monkeypatch.setitem(sys.modules, "check_place", place)
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules: str) -> str:
        name = f"checked_{next(NUMBERS)}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        for module, text in modules.items():
            (tmp_path / name / f"{module}.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        return name

    return write


def checked(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["check", name])
    return status, capsys.readouterr().out


def test_a_pipeline_that_agrees_is_said_to_agree(
    package: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = package(subject=SUBJECT, session=SESSION)
    imported_modules(name)
    again = package(subject=SUBJECT, session=SESSION)
    assert checked(again, capsys) == (0, "Code, imports and database agree: 4 tables in 2 schemas.\n")


def test_nothing_is_created_or_filled_by_looking(
    package: Callable[..., str],
    connection: dj.Connection,
    capsys: pytest.CaptureFixture[str],
    backend: Backend,
) -> None:
    status, text = checked(package(subject=SUBJECT, session=SESSION), capsys)
    assert status == 1
    assert text.count("The table is only in the code.") == 4
    assert f"{backend.prefix}session.Session.Trial: " in text
    assert not [schema for schema in dj.list_schemas(connection) if schema.startswith(backend.prefix)]


DRIFT = [
    ("weight = 1.5", "weight = 2.5", "Attribute weight has the default '1.5"),
    (
        "weight = 1.5 : decimal(5, 2)",
        "weight = 1.5 : decimal(6, 2)",
        "has the type decimal(5, 2) in the database",
    ),
    ("# g", "# kg", "has the comment 'g' in the database and 'kg' in the code"),
    ("# animals", "# beasts", "Comment 'animals' in the database is 'beasts' in the code"),
    ("data = null : <blob>", "data : <blob>", "Attribute data may be empty in the database"),
    ("meta = null : json", "meta = null : json\n    more : int8", "Attribute more is only in the code"),
    ("    data = null : <blob>\n", "", "Attribute data is only in the database"),
    ("data = null", "figures = null", "Attribute figures is only in the code"),
    ("<blob>", "<blob>  # {sex}", "The definition cannot be compared: 'sex'"),
    ("index ((year(born)))", "index ((month(born)))", "Index ((month(born))) is only in the code"),
    (
        "unique index (weight, sex)",
        "index (weight, sex)",
        "Index unique (weight, sex) is only in the database",
    ),
    (
        "-> Species\n    subject",
        "-> Species.proj(kind='species')\n    subject",
        "Primary key (species, subject)",
    ),
    ("subject : int32", "subject : int64", "Attribute subject has the type int32 in the database"),
]


def test_each_drift_is_printed_with_its_remedy(
    package: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    imported_modules(package(subject=SUBJECT))
    for old, new, said in DRIFT:
        assert old in SUBJECT
        status, text = checked(package(subject=SUBJECT.replace(old, new)), capsys)
        assert status == 1
        assert said in text
        problems = [line for line in text.splitlines() if line and not line.startswith(" ")][:-1]
        remedies = [line for line in text.splitlines() if line.startswith("    ")]
        assert len(problems) == len(remedies) > 0


def test_a_table_that_has_no_class_is_named(
    package: Callable[..., str], capsys: pytest.CaptureFixture[str], backend: Backend
) -> None:
    imported_modules(package(subject=SUBJECT, session=SESSION))
    status, text = checked(
        package(subject=SUBJECT, session=SESSION[: SESSION.index("    class Trial")]), capsys
    )
    assert status == 1
    assert f"{backend.prefix}session.Session.Trial: The table is only in the database." in text
    assert ".code" in text


def test_an_import_against_the_foreign_keys_is_named(
    package: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    imported_modules(package(subject=SUBJECT, session=SESSION))
    late = SUBJECT + "\n\ndef later():\n    from .session import Session\n    return Session\n"
    name = package(subject=late, session=SESSION)
    status, text = checked(name, capsys)
    assert status == 1
    assert f"{name}.subject: It imports {name}.session, against the foreign keys" in text
    assert "Move what it needs" in text
    assert "1 difference in 4 tables" in text


def test_a_foreign_key_without_an_import_is_named(
    package: Callable[..., str], capsys: pytest.CaptureFixture[str], backend: Backend
) -> None:
    imported_modules(package(subject=SUBJECT, session=SESSION))
    virtual = SESSION.replace(
        "from . import subject", 'subject = dj.virtual_schema(prefix + "subject", connection=connection)'
    )
    name = package(subject=SUBJECT, session=virtual)
    status, text = checked(name, capsys)
    assert status == 1
    lab = backend.prefix
    assert (
        f"{name}.session: {lab}session.Session refers to {lab}subject.Subject of {name}.subject, and the"
        in text
    )
    assert f"Import {name}.subject" in text
    assert "1 difference in 4 tables" in text


def test_a_check_asks_the_database_few_questions_whatever_the_number_of_tables(
    package: Callable[..., str], connection: dj.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = "\n".join(
        f"@schema\nclass T{i}(dj.Manual):\n    definition = '-> Subject\\nt{i} : int8\\n---\\nx : int32'"
        for i in range(12)
    )
    imported_modules(package(subject=SUBJECT + tables))
    name = package(subject=SUBJECT + tables)
    asked: list[str] = []
    query = connection.query

    def counted(sql: str, *values: Any, **options: Any) -> Any:
        asked.append(sql)
        return query(sql, *values, **options)

    monkeypatch.setattr(connection, "query", counted)
    with only_looking() as schemas:
        imported_modules(name)
    assert check_database(schemas) == []
    assert len(asked) <= 6


def test_the_command_ends_with_the_status_that_scripts_look_at(tmp_path: Path) -> None:
    text = "import dj_panel as dj\nschema = dj.Schema('lab')\n" + SUBJECT[SUBJECT.index("@schema") :]
    (tmp_path / "my_pipeline.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "DJ_BACKEND": "sqlite", "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*command: str) -> int:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, check=False, capture_output=True
        ).returncode

    assert run("-m", "dj_panel", "check", "my_pipeline") == 1
    assert run("-c", "import my_pipeline") == 0
    assert run("-m", "dj_panel", "check", "my_pipeline") == 0
