"""Definitions: text → structure → text lose nothing, and what a database describes declares the same again."""

from __future__ import annotations

import keyword
import os
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
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
    lambda name: not keyword.iskeyword(name) and name not in ("animal", "run")
)


def written(word: str) -> str:
    """Return a choice as a definition has it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


NARROW = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], max_codepoint=0xFFFF)
WIDE = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], min_codepoint=0x10000)
# Every character there is, but seldom those that a server's catalog does not keep: one is enough for a refusal.
PRINTED = st.integers(0, 80).flatmap(lambda n: NARROW if n else WIDE)
COMMENTS = st.text(PRINTED, max_size=20).map(str.strip).filter(lambda text: not text.startswith(":"))
WORDS = st.text(PRINTED.filter(lambda letter: letter not in "\\\"'"), max_size=8)
PLAIN = st.sampled_from([
    "int8", "int16", "int32", "int64", "float32", "float64", "bool", "uuid", "date", "datetime", "datetime(3)", "json",
    "json", "bytes", "<blob>", "<attach>", "<blob@>", "<npy@main>", "<object@raw>", "<filepath@raw>",
])  # fmt: skip
CHOICES = st.text(
    st.one_of(st.sampled_from(string.ascii_letters + " :#,-'\"\\%()<>@"), PRINTED), min_size=1, max_size=6
).filter(lambda w: w == w.strip())
ENUMS = st.lists(CHOICES, min_size=1, max_size=3, unique_by=str.lower).map(
    lambda words: "enum(" + ", ".join(written(word) for word in words) + ")"
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
            old_names = draw(st.lists(NAMES, max_size=2, unique=True))
            renamed = dict(zip(draw(st.lists(NAMES, max_size=2, unique=True)), old_names, strict=False))
            options = (not in_key and draw(st.booleans()), draw(st.booleans()))
            lines.append(ForeignKeyLine(Reference(path, tuple(renamed.items())), in_key, *options))
    plain = [
        line.name
        for line in lines
        if isinstance(line, AttributeLine) and line.type in ("int32", "date", "int8")
    ]
    if plain:
        expressions = [f"({name} + 1)" for name in plain] + [f"(abs({plain[0]}))", f"({plain[0]})"]
        documents = [line.name for line in lines if isinstance(line, AttributeLine) and line.type == "json"]
        paths = [f"{name}.{path}" for name in documents for path in ("a", "b.c:signed", "d[1]:char(5)")]
        listed = st.lists(st.sampled_from(plain + expressions + paths), min_size=1, max_size=3, unique=True)
        lines += [
            IndexLine(tuple(columns), draw(st.booleans()))
            for columns in draw(st.lists(listed, max_size=2, unique_by=tuple))
        ]
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


def outside_the_key(line: Line) -> bool:
    return isinstance(line, IndexLine) or not line.in_key


@st.composite
def with_parents(draw: st.DrawFn) -> Definition:
    """Return a definition with foreign keys of every form to the tables `Animal` and `Run` beside it."""
    definition = draw(definitions(references=False))
    lines = list(definition.lines)
    drawn = st.sampled_from([(), ("animal",), ("animal", "run")])
    for number, renamed in enumerate(draw(st.lists(drawn, max_size=3))):
        path = draw(st.sampled_from(["Animal", "Run"])) if len(renamed) < 2 else "Run"
        pairs = tuple((f"r{number}_{old}", old) for old in renamed)
        in_key = draw(st.booleans())
        line = ForeignKeyLine(
            Reference(path, pairs), in_key, not in_key and draw(st.booleans()), draw(st.booleans())
        )
        # the same foreign key twice is one, and one attribute is either empty or not
        if any(
            isinstance(other, ForeignKeyLine) and (not pairs or not other.reference.renamed)
            for other in lines
        ):
            continue
        lines.append(line)
    first = [line for line in lines if not outside_the_key(line)]
    return Definition((*first, *filter(outside_the_key, lines)), definition.comment, bool(first))


def meaning(kind: str) -> Any:
    """Return what a type admits, without the spaces it is written with."""
    return kind if kind.startswith("<") else replace(parse_type(kind), text="")


def declared(schema: dj.Schema, text: str) -> Any:
    names = {name: cls for name, cls in schema.classes.items() if name != "Thing"}
    return schema(type("Thing", (dj.Manual,), {"definition": text}), context=names)


def test_what_the_database_describes_declares_the_same_table_again(schema: dj.Schema) -> None:
    on_file = schema.connection.dialect.name == "sqlite"
    schema(animal := type("Animal", (dj.Manual,), {"definition": "animal : varchar(9) # it's: one"}))
    schema(
        type("Run", (dj.Manual,), {"definition": "-> Animal\nrun : uuid # its number"}),
        context={"Animal": animal},
    )

    @settings(max_examples=N_EXAMPLES // (4 if on_file else 8), suppress_health_check=list(HealthCheck))
    @given(with_parents())
    def check(definition: Definition) -> None:
        written = format_definition(definition)
        if schema.connection.dialect.has_narrow_catalog and max(written) > "\uffff":
            # never a question mark in its place
            with pytest.raises(DefinitionError, match=r"no character beyond U\+FFFF") as caught:
                declared(schema, written)
            assert caught.value.line
            assert caught.value.column
            assert written.split("\n")[caught.value.line - 1][caught.value.column - 1] > "\uffff"
            event("refused for a character")
            return
        event("declared")
        first = declared(schema, written)
        schema.connection.catalog.forget()
        before, text = first().structure, first.describe()
        first().drop_quick()
        assert parse_definition(text).comment == definition.comment
        second = declared(schema, text)
        schema.connection.catalog.forget()
        try:
            assert second().structure == before
            assert second.describe() == text
            own = [line.name for line in definition.attributes]
            assert [a.name for a in before.heading.attributes.values() if a.name in own] == own
            assert sorted(
                (sorted(fk.renamed), fk.nullable, fk.unique) for fk in before.foreign_keys
            ) == sorted(
                (sorted(new for new, _ in line.reference.renamed), line.nullable, line.unique)
                for line in definition.foreign_keys
            )
            assert set(parse_definition(text).indexes) == set(definition.indexes)
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
