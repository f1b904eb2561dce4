"""Languages: every message has a text in each, and each visitor is spoken to in one."""

from __future__ import annotations

import ast
import asyncio
import runpy
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po

from dj_panel.apps import language
from dj_panel.core.words import grouped, say, say_many

ROOT = Path(__file__).parents[2]
TRANSLATIONS = sorted((ROOT / "apps" / "locale").glob("*.po"))


def places(text: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}


def forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_every_message_has_a_text_with_the_same_values(path: Path) -> None:
    said = {
        message for message, _place in runpy.run_path(str(ROOT / "docs" / "translations.py"))["messages"]()
    }
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.stem)
    texts = {message.id: message.string for message in catalog if message.id}
    assert set(texts) == said, "Run `make translations`, and give the new messages texts."
    assert not [message.id for message in catalog if message.fuzzy and message.id]
    for message, text in texts.items():
        wanted = set().union(*map(places, forms(message)))
        assert len(forms(text)) == (1 if isinstance(message, str) else catalog.num_plurals), message
        for form in forms(text):
            assert form, message
            assert not set("<>&") & set(form), form  # it goes into HTML
            # A form for one thing alone may leave its number out.
            assert places(form) == wanted or (len(forms(text)) > 1 and places(form) == wanted - {"n"}), form


SAYING = ("say", "say_many", "marked")


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    for folder in ("apps", "core"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAYING:
                    yield path, node.func.id, node  # type: ignore[attr-defined]


def test_messages_are_literals_and_hold_no_markup() -> None:
    n_calls = 0
    for path, name, call in calls():
        n_calls += 1
        messages = call.args[: 2 if name == "say_many" else 1]
        for message in messages:
            where = f"{path.name}:{message.lineno}"
            # Constants are marked where they are made.
            assert not isinstance(message, (ast.JoinedStr, ast.BinOp)), where
            if isinstance(message, ast.Constant) and isinstance(message.value, str):
                assert not set("<>&") & set(message.value), where
                given = {keyword.arg for keyword in call.keywords}
                if None not in given and name != "marked":
                    given |= {"n"} if name == "say_many" else set()
                    assert not given or places(message.value) <= given, where
    assert n_calls > 100


@pytest.mark.parametrize(
    ("chosen", "accepted", "spoken"),
    [
        (None, "", "en"),
        (None, "de-DE,de;q=0.9,en;q=0.8", "de"),
        (None, "fr-FR,fr;q=0.9,de;q=0.5,en;q=0.7", "en"),
        (None, "de;q=0, en", "en"),
        ("en", "de", "en"),
        ("de", "en-US", "de"),
        ("../../etc/passwd", "de", "de"),
        (None, ";;q=,,de;q=many,\x00", "en"),
        (None, "en," * 100_000, "en"),
    ],
)
def test_what_a_visitor_chose_goes_before_what_the_browser_prefers(
    chosen: str | None, accepted: str, spoken: str
) -> None:
    assert language.choose(chosen, accepted) == spoken


def test_messages_take_their_values_and_numbers_are_grouped_as_the_language_does() -> None:
    assert say("{n} of {name}", n=1204, name="A {n}") == "1,204 of A {n}"
    assert say("{n} of {name}", n=True, name=2026.5) == "True of 2026.5"
    assert [say_many("{n} row", "{n} rows", n) for n in (0, 1, 1204)] == ["0 rows", "1 row", "1,204 rows"]
    with language.speaking("de"):
        assert grouped(-1234567) == "-1.234.567"
        assert [say_many("{n} row", "{n} rows", n) for n in (0, 1, 1204)] == [
            "0 Zeilen", "1 Zeile", "1.204 Zeilen",
        ]  # fmt: skip
    assert grouped(1204) == "1,204"


def test_each_visitor_is_spoken_to_in_one_language_whoever_else_is_there() -> None:
    async def visitor(code: str) -> list[str]:
        found = []
        with language.speaking(code):
            for _ in range(20):
                found.append(grouped(1204))
                found.append(await asyncio.to_thread(grouped, 1204))
        return found

    async def both() -> list[list[str]]:
        return list(await asyncio.gather(visitor("en"), visitor("de")))

    assert list(map(set, asyncio.run(both()))) == [{"1,204"}, {"1.204"}]
