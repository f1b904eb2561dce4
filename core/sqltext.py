"""Conditions and expressions that users write as text: parsed, checked, and said again for each server.

``"weight > 20 AND strain = 'C57'"`` becomes a :class:`Template` in which every attribute and every quoted
word is a slot. Only an expression over attributes passes: no statement, no subquery, no variable, and no
function that is not on the list of :mod:`dj_panel.core.sqlreading`. So text is as portable and as harmless as a
dict.

Text is read in MySQL's dialect, which DataJoint's users write; the parsing is sqlglot's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dj_panel.core.lazy import LazyModule
from dj_panel.core.structure import Heading

__all__ = ["Slot", "Template", "parse_text", "read_over"]

_sqlreading = LazyModule("dj_panel.core.sqlreading")


@dataclass(frozen=True)
class Slot:
    """A place in a template: an attribute, or a quoted word (compared with ``attribute``, if it is)."""

    attribute: str | None
    word: str | None = None


@dataclass(frozen=True)
class Template:
    """A parsed expression for one server: SQL pieces and slots in turn.

    Parameters
    ----------
    parts
        Text and slots in order.
    attributes
        The names that are used.
    like
        The attribute whose type the result has (a bare attribute, or its minimum or maximum).
    aggregates
        Whether it holds an aggregate function.
    outside
        The names that are used outside aggregate functions.
    type
        The type of the result, if the types of the attributes were given and tell it; else empty.
    """

    parts: tuple[str | Slot, ...]
    attributes: tuple[str, ...]
    like: str | None
    aggregates: bool
    outside: tuple[str, ...]
    type: str


@lru_cache(maxsize=2048)
def parse_text(text: str, dialect: str, types: tuple[tuple[str, str], ...] = ()) -> Template:
    """Read an expression.

    Parameters
    ----------
    text
        As the user wrote it, in MySQL's dialect.
    dialect
        What to say it in: ``"mysql"`` or ``"sqlite"``.
    types
        The attributes' names and types, without which SQLite takes values as it has them.

    Raises
    ------
    QuerySyntaxError
        If it is not one expression, or holds something that is not allowed, which the message names.

    Examples
    --------
    >>> parse_text("age > 3 and name = 'Ann'", "sqlite").attributes
    ('age', 'name')
    """
    template: Template = _sqlreading.read_text(text, dialect, types)
    return template


def read_over(text: str, dialect: str, heading: Heading) -> Template:
    """Read an expression over the attributes of a heading, by their types.

    Raises
    ------
    UnknownAttributeError
        If it names an attribute that the heading does not have.
    """
    names = parse_text(text, "mysql").attributes
    types = tuple((name, heading[name].stored_type or heading[name].type) for name in names)
    return parse_text(text, dialect, types)
