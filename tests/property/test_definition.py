"""Definitions: text → structure → text lose nothing, and what a database describes declares the same again."""

from __future__ import annotations

import keyword
import os
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dj_panel as dj
from dj_panel.core.coretypes import parse_type
from dj_panel.core.definition import (
    AttributeLine,
    Definition,
    ForeignKeyLine,
    IndexLine,
    Line,
    Reference,
    format_definition,
    parse_definition,
)
from dj_panel.core.errors import DefinitionError

N_EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "200"))

# a renamed attribute is a keyword argument, which Python does not let be a word of its own
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name)
)
PRINTED = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], max_codepoint=0xFFFF)
COMMENTS = st.text(PRINTED, max_size=20).map(str.strip).filter(lambda text: not text.startswith(":"))
WORDS = st.text(PRINTED.filter(lambda letter: letter not in "\\\"'"), max_size=8)
PLAIN = st.sampled_from(["int8", "int16", "int32", "int64", "float32", "float64", "bool", "uuid", "date", "datetime",
                         "datetime(3)", "json", "bytes", "<blob>", "<attach>"])  # fmt: skip
CHOICES = st.text(string.ascii_letters + " :#,-", min_size=1, max_size=6).filter(lambda w: w == w.strip())
ENUMS = st.lists(CHOICES, min_size=1, max_size=3, unique_by=str.lower).map(
    lambda words: "enum(" + ", ".join(f"'{word}'" for word in words) + ")"
)
TYPES = st.one_of(
    PLAIN,
    ENUMS,
    st.integers(1, 60).map(lambda n: f"varchar({n})"),
    st.integers(1, 20).map(lambda n: f"char({n})"),
    st.integers(1, 12).flatmap(lambda p: st.integers(0, p).map(lambda s: f"decimal({p},{s})")),
)
KEY_TYPES = TYPES.filter(
    lambda kind: not kind.startswith("<") and kind not in ("json", "bytes", "float32", "float64")
)


@st.composite
def defaults(draw: st.DrawFn, kind: str) -> str | None:
    """Return a default as text, or None for none."""
    if kind.startswith("<") or kind in ("json", "bytes", "uuid") or draw(st.booleans()):
        return None
    column = parse_type(kind)
    values: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(-100, 100).map(str),
        "float": st.floats(-1e6, 1e6, width=32).map(lambda x: repr(round(x, 3))),
        "boolean": st.sampled_from(["0", "1", "true", "false"]),
        "text": WORDS.map(lambda w: w[: getattr(column, "length", 1)].rstrip()),
        "enum": st.sampled_from(getattr(column, "choices", ("",))),
        "date": st.dates().map(str),
        "datetime": st.one_of(
            st.just("CURRENT_TIMESTAMP"), st.datetimes().map(lambda t: t.isoformat(" ", "seconds"))
        ),
    }
    if column.kind == "decimal":
        digits = getattr(column, "scale", 0)
        whole = 10 ** (getattr(column, "precision", 1) - digits) - 1
        return str(draw(st.decimals(-whole, whole, places=digits)))
    text: str = draw(values[column.kind])
    return "CURRENT_TIMESTAMP(3)" if text == "CURRENT_TIMESTAMP" and kind.endswith("(3)") else text


@st.composite
def attribute_lines(draw: st.DrawFn, name: str, in_key: bool) -> AttributeLine:
    kind = draw(KEY_TYPES if in_key else TYPES)
    default = draw(defaults(kind))
    nullable = not in_key and default is None and draw(st.booleans())
    return AttributeLine(name, kind, in_key, nullable, default, draw(COMMENTS))


@st.composite
def definitions(draw: st.DrawFn, references: bool = True) -> Definition:
    names = draw(st.lists(NAMES.filter(lambda n: n != "index"), min_size=1, max_size=6, unique=True))
    n_keys = draw(st.integers(0 if references else 1, len(names)))
    lines: list[Line] = []
    for i, name in enumerate(names):
        lines.append(draw(attribute_lines(name, i < n_keys)))
    if references:
        for _ in range(draw(st.integers(0, 2))):
            in_key = draw(st.booleans())
            path = ".".join(
                draw(st.lists(st.sampled_from(["Subject", "lab", "Trial", "master"]), min_size=1, max_size=3))
            )
            renamed = draw(st.dictionaries(NAMES, NAMES, max_size=2))
            options = (not in_key and draw(st.booleans()), draw(st.booleans()))
            lines.append(ForeignKeyLine(Reference(path, tuple(renamed.items())), in_key, *options))
    plain = [
        line.name
        for line in lines
        if isinstance(line, AttributeLine) and line.type in ("int32", "date", "int8")
    ]
    if plain:
        columns = draw(st.lists(st.sampled_from(plain), max_size=3, unique=True))
        if columns:
            lines.append(IndexLine(tuple(columns), draw(st.booleans())))
    first = [line for line in lines if not isinstance(line, IndexLine) and line.in_key]
    rest = [line for line in lines if isinstance(line, IndexLine) or not line.in_key]
    return Definition(
        (*first, *rest), draw(COMMENTS.filter(lambda text: not text.startswith("#"))), bool(first)
    )


@given(definitions())
@settings(max_examples=N_EXAMPLES)
def test_a_definition_is_read_again_from_the_text_it_is_written_as(definition: Definition) -> None:
    assert parse_definition(format_definition(definition)) == definition


@given(st.text(st.sampled_from(string.ascii_lowercase[:6] + " :=->#()<>@'\"[],.\n0_;%\\-"), max_size=60))
@settings(max_examples=N_EXAMPLES)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        definition = parse_definition(text)
    except DefinitionError as refusal:
        line = refusal.line
    else:
        line = None
        assert parse_definition(format_definition(definition)) == definition
    assert line is None or 1 <= line <= text.count("\n") + 1


def meaning(kind: str) -> Any:
    """Return what a type admits, without the spaces it is written with."""
    return kind if kind.startswith("<") else replace(parse_type(kind), text="")


def declared(schema: dj.Schema, text: str) -> Any:
    return schema(type("Thing", (dj.Manual,), {"definition": text}))


def test_what_the_database_describes_declares_the_same_table_again(schema: dj.Schema) -> None:
    on_file = schema.connection.dialect.name == "sqlite"

    @settings(max_examples=N_EXAMPLES // (4 if on_file else 8), suppress_health_check=list(HealthCheck))
    @given(definitions(references=False))
    def check(definition: Definition) -> None:
        first = declared(schema, format_definition(definition))
        schema.connection.catalog.forget()
        before, text = first().structure, first.describe()
        first().drop_quick()
        assert parse_definition(text).comment == definition.comment
        second = declared(schema, text)
        schema.connection.catalog.forget()
        try:
            assert second().structure == before
            assert second.describe() == text
            assert [a.name for a in before.heading.attributes.values()] == [
                line.name for line in definition.attributes
            ]
            for line in definition.attributes:
                attribute = before.heading[line.name]
                assert (attribute.comment, attribute.nullable) == (line.comment, line.nullable)
                assert meaning(attribute.type) == meaning(line.type)
        finally:
            second().drop_quick()

    check()


@pytest.mark.parametrize(
    "text", ["-> A\n-> B.proj(x='y')\nz : int8", "a : int8  # it's: a 'comment' # with marks"]
)
def test_quotes_colons_and_marks_in_comments_end_nothing(text: str) -> None:
    assert parse_definition(format_definition(parse_definition(text))) == parse_definition(text)
