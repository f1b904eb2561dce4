"""``dj-panel shell`` and ``dj.cli``: a Python prompt with ``dj`` and schemas under short names."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.command import main
from dj_panel.commands import shell
from tests.conftest import Backend


@pytest.fixture
def lab(backend: Backend) -> Iterator[str]:
    name = backend.prefix + "lab"
    with dj.config.override(**backend.settings):
        schema = dj.Schema(name, connection=dj.conn(reset=True))

        @schema
        class Subject(dj.Manual):
            definition = "subject : int32"

        Subject.insert([{"subject": 1}, {"subject": 2}])
        yield name
    dj.conn(reset=True)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def type_in(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)

    return type_in


def test_what_is_typed_runs_with_schemas_under_their_aliases(
    lab: str, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("print('rows', len(lab.Subject()), dj.__name__, again.schema is lab.schema)\n1 / 0\nprint('on')\n")
    assert main(["shell", "-s", f"{lab}:lab", "-s", f"{lab}:again"]) == 0
    printed = capsys.readouterr()
    assert "rows 2 dj_panel False" in printed.out
    assert "on" in printed.out
    assert "ZeroDivisionError" in printed.err
    assert f"lab is {lab}" in printed.err
    typed("lab.Subject.insert1({'subject': 3})\n")
    with pytest.raises(SystemExit) as end:
        dj.cli(["--schemas", f"{lab}:lab"])
    assert not end.value.code
    assert len(dj.virtual_schema(lab).Subject()) == 3


def test_a_schema_that_is_not_there_is_named(
    lab: str, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("")
    assert main(["shell", "-s", f"{lab}x:lab"]) == 1
    assert f"There is no schema '{lab}x'. Did you mean" in capsys.readouterr().err
    for wrong in (lab, f"{lab}:", f"{lab}:dj", f"{lab}:a b"):
        with pytest.raises(SystemExit) as end:
            dj.cli(["-s", wrong])
        assert end.value.code == 2
        assert "SCHEMA:ALIAS" in capsys.readouterr().err


def test_the_password_is_asked_for_and_the_server_is_the_one_that_is_named(
    typed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "se cret"

    monkeypatch.setattr(shell, "getpass", answer)
    typed("c = dj.config\nprint(c['database.host'], c['database.port'], c['database.user'], c.backend)\n")
    kept = {
        f"database__{n}": dj.config[f"database.{n}"] for n in ("host", "port", "user", "password", "backend")
    }
    try:
        with dj.config.override(**kept):
            assert main(["shell", "-u", "ann", "-p", "--host", "lab.example:3307"]) == 0
            assert dj.config["database.password"] == "se cret"
    finally:
        dj.conn(reset=True)
    printed = capsys.readouterr()
    assert "lab.example 3307 ann mysql" in printed.out
    assert asked == ["Password of ann: "]
    assert "se cret" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db", ("db", "")),
        ("db:33", ("db", "33")),
        ("::1", ("::1", "")),
        ("[::1]:33", ("::1", "33")),
        ("[::1]", ("::1", "")),
    ],
)
def test_a_port_follows_the_host(text: str, expected: tuple[str, str]) -> None:
    assert shell._host_and_port(text) == expected


def test_the_help_leads_nobody_to_write_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        dj.cli(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "ask for the account's password" in shown
    assert "Do not write it here" in shown
