"""Headings of every kind, drawn by hypothesis, with texts that people may type into their fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dj_panel as dj
from dj_panel.apps.pipeline import Pipeline
from tests.entry_tables import pipeline_of

FINE = MappingProxyType(
    {
        "int8": ("0", "-128", "127", "+5", "\N{MINUS SIGN}7"),
        "int16": ("32767", "-3"),
        "int32": ("2147483647", "0"),
        "int64": ("9007199254740993", "-9223372036854775808"),
        "int unsigned": ("4294967295", "0"),
        "tinyint unsigned": ("255",),
        "bigint unsigned": ("9223372036854775807", "1"),
        "mediumint": ("-8388608",),
        "float32": ("1e3", "-0.5", "3"),
        "float64": ("1e-300", "20.25", "-0"),
        "double": ("2.5",),
        "float unsigned": ("0", "1.5"),
        "decimal(5,2)": ("999.99", "-0.01", "1e2", "20.50"),
        "decimal(10,0)": ("1234567890", "-5"),
        "bool": ("yes", "no"),
        "char(3)": ("abc", "é"),
        "varchar(6)": ("a", "O'Neil", "<b>&", "日本", "x\\y"),
        "varchar(400)": ("two\nlines", "%_", '"'),
        "enum('M', 'F', 'not known')": ("M", "not known"),
        "enum('don''t', 'a,b')": ("don't", "a,b"),
        "date": ("2026-03-31", "1999-12-31"),
        "datetime": ("2026-03-31 14:05:00", "2026-03-31T14:05", "31.3.2026 9:05"),
        "datetime(3)": ("2026-03-31 14:05:00.125",),
        "time": ("14:05", "00:00:07"),
        "uuid": ("12345678-1234-5678-1234-567812345678", "12345678123456781234567812345679"),
        "json": ('{"a": [1, null]}', "[]", '"word"', "5"),
    }
)
"""Type → texts that mean a value of it."""

WRONG = MappingProxyType(
    {
        "int8": ("128", "1.5", "x", "1,5"),
        "int16": ("32768", "1e9"),
        "int32": ("2147483648", "1 2 3"),
        "int64": ("9223372036854775808",),
        "int unsigned": ("-1", "4294967296"),
        "tinyint unsigned": ("256", "-1"),
        "bigint unsigned": ("-1", "18446744073709551616"),
        "mediumint": ("8388608",),
        "float32": ("1e39", "warm", "nan"),
        "float64": ("1e400", "1,5", "inf"),
        "double": ("2.5.1",),
        "float unsigned": ("-0.5",),
        "decimal(5,2)": ("1000", "0.001", "1,5", "x"),
        "decimal(10,0)": ("0.5", "12345678901"),
        "bool": ("perhaps", "2"),
        "char(3)": ("abcd",),
        "varchar(6)": ("abcdefg",),
        "varchar(400)": ("x" * 401,),
        "enum('M', 'F', 'not known')": ("X", "m"),
        "enum('don''t', 'a,b')": ("a",),
        "date": ("2026-02-30", "31/3/26", "tomorrow"),
        "datetime": ("2026-03-31 25:00", "noon"),
        "datetime(3)": ("31/3/26",),
        "time": ("14:65", "1400:00"),
        "uuid": ("123",),
        "json": ("{", "NaN", "{'a': 1}"),
    }
)
"""Type → texts that mean none."""

DEFAULTS = MappingProxyType(
    {
        "int8": "7", "int32": "-1", "int unsigned": "3", "float64": "0.5", "decimal(5,2)": "1.25", "bool": "1",
        "varchar(6)": '"it\'s"', "varchar(400)": '""', "enum('M', 'F', 'not known')": "'F'", "date": "'2026-01-01'",
        "datetime": "CURRENT_TIMESTAMP",
    }
)  # fmt: skip
KEY_TYPES = ("int8", "int32", "bigint unsigned", "varchar(6)", "char(3)", "date", "datetime", "uuid", "bool",
             "decimal(5,2)", "enum('M', 'F', 'not known')", "int64")  # fmt: skip
COMMENTS = ("", "(g)", "a <b>comment</b> & 'quotes'", "length in mm", "日本語")


@dataclass(frozen=True)
class Parent:
    """A foreign key as a definition writes it, and what rows there are to refer to."""

    line: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...]


ANIMALS = (("A1",), ("A2",))
VISITS = (("A1", "1"), ("A1", "2"), ("A2", "1"))
ROOMS = (("B", "1"), ("C", "12"))
PARENTS = (
    Parent("-> {}Animal", ("animal",), ANIMALS, ("A9",)),
    Parent("-> {}Visit", ("animal", "visit"), VISITS, ("A2", "2")),
    Parent("-> {}Room", ("building", "room"), ROOMS, ("B", "12")),
    Parent('-> {}Animal.proj(partner="animal")', ("partner",), ANIMALS, ("A9",)),
    Parent('-> {}Visit.proj(earlier="visit")', ("animal", "earlier"), VISITS, ("A2", "2")),
    Parent('-> {}Room.proj(old_building="building", old_room="room")', ("old_building", "old_room"), ROOMS,
           ("C", "1")),
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """An attribute of a heading."""

    name: str
    type: str
    default: str | None
    comment: str = ""

    @property
    def line(self) -> str:
        """Its line in the definition."""
        start = self.name if self.default is None else f"{self.name} = {self.default}"
        return f"{start} : {self.type}" + (f"  # {self.comment}" if self.comment else "")


@dataclass(frozen=True)
class Heading:
    """A table's attributes and foreign keys, and one part table's own attributes."""

    key: tuple[Column | Parent, ...]
    rest: tuple[Column | Parent, ...]
    optional: frozenset[int]
    part: tuple[Column, ...] = field(default=())

    @property
    def columns(self) -> list[Column]:
        """The attributes that no parent gives."""
        return [item for item in (*self.key, *self.rest) if isinstance(item, Column)]

    @property
    def parents(self) -> list[tuple[Parent, bool]]:
        """The foreign keys, each with whether a row needs it."""
        found = [(item, True) for item in self.key if isinstance(item, Parent)]
        return found + [
            (item, i not in self.optional) for i, item in enumerate(self.rest) if isinstance(item, Parent)
        ]

    @property
    def definition(self) -> str:
        """The definition's text."""
        lines = [item.line if isinstance(item, Column) else item.line.format("") for item in self.key]
        lines.append("---")
        for i, item in enumerate(self.rest):
            option = "[nullable] " if i in self.optional else ""
            lines.append(item.line if isinstance(item, Column) else item.line.replace("{}", option))
        return "\n".join(lines)

    @property
    def part_definition(self) -> str:
        """The part's definition, empty if there is none."""
        if not self.part:
            return ""
        return "\n".join(["-> master", self.part[0].line, "---", *(column.line for column in self.part[1:])])


@st.composite
def columns(draw: st.DrawFn, name: str, types: tuple[str, ...], *, in_key: bool = False) -> Column:
    """Draw an attribute."""
    type_text = draw(st.sampled_from(types))
    default = None
    if not in_key:
        choices = [None, "null"] + ([DEFAULTS[type_text]] if type_text in DEFAULTS else [])
        default = draw(st.sampled_from(choices))
    return Column(name, type_text, default, draw(st.sampled_from(COMMENTS)))


@st.composite
def headings(draw: st.DrawFn) -> Heading:
    """Draw a heading whose names are distinct, but for what foreign keys share."""
    chosen = draw(st.lists(st.sampled_from(PARENTS), max_size=3, unique=True))
    n_in_key = draw(st.integers(0, len(chosen)))
    own_key = [draw(columns(f"k{i}", KEY_TYPES, in_key=True)) for i in range(draw(st.integers(0, 2)))]
    in_key: list[Column | Parent] = [*chosen[:n_in_key], *own_key]
    if not in_key:
        in_key = [draw(columns("k0", KEY_TYPES, in_key=True))]
    own = [draw(columns(f"v{i}", tuple(FINE))) for i in range(draw(st.integers(0, 6)))]
    unordered: list[Column | Parent] = [*chosen[n_in_key:], *own]
    rest = draw(st.permutations(unordered))
    optional = frozenset(
        i
        for i, item in enumerate(rest)
        # an attribute that is shared with a key, or with another parent, may be empty nowhere or everywhere
        if isinstance(item, Parent) and "animal" not in item.names and draw(st.booleans())
    )
    part: tuple[Column, ...] = ()
    if draw(st.integers(0, 4)) == 0:
        values = [draw(columns(f"p{i}", tuple(FINE))) for i in range(1, draw(st.integers(1, 3)))]
        part = (draw(columns("p0", KEY_TYPES, in_key=True)), *values)
    return Heading(tuple(in_key), tuple(rest), optional, part)


def drawn(number: int) -> list[Heading]:
    """Return as many headings, no two alike, and the same ones in each run."""
    found: list[Heading] = []

    @settings(max_examples=number * 3 // 2, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck), deadline=None)  # fmt: skip
    @given(headings())
    def collect(heading: Heading) -> None:
        found.append(heading)

    collect()
    distinct = list({heading.definition + heading.part_definition: heading for heading in found}.values())
    assert len(distinct) >= number
    return distinct[:number]


def declare_all(schema: dj.Schema, found: list[Heading]) -> Pipeline:
    """Declare the parents, with rows, and a table ``T0``, ``T1``, … for each heading."""

    @schema
    class Animal(dj.Manual):
        definition = "animal : varchar(8)"

    @schema
    class Visit(dj.Manual):
        definition = "-> Animal\nvisit : int8"

    @schema
    class Room(dj.Lookup):
        definition = "building : char(2)\nroom : int16\n---\npurpose = '' : varchar(40)"

    Animal.insert(ANIMALS)
    Visit.insert(VISITS)
    Room.insert([(*room, "") for room in ROOMS])
    for i, heading in enumerate(found):
        body: dict[str, Any] = {"definition": heading.definition}
        if heading.part:
            body["Part"] = type("Part", (dj.Part,), {"definition": heading.part_definition})
        schema(type(f"T{i}", (dj.Manual,), body), context={"Animal": Animal, "Visit": Visit, "Room": Room})
    return pipeline_of(schema)


Choose = Callable[[tuple[Any, ...]], Any]


def fine_draft(heading: Heading, choose: Choose) -> dict[str, str]:
    """Return a draft that can be saved; what may be left empty is filled in or not."""
    texts: dict[str, str] = {}
    for parent, is_required in heading.parents:
        known = {name: texts[name] for name in parent.names if name in texts}
        rows = tuple(
            row
            for row in parent.rows
            if all(dict(zip(parent.names, row, strict=True))[n] == t for n, t in known.items())
        )
        if is_required or choose((True, False)):
            texts.update(zip(parent.names, choose(rows), strict=True))
    for column in heading.columns:
        if column.default is None or choose((True, False)):
            texts[column.name] = choose(FINE[column.type])
    return texts
