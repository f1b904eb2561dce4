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

__all__ = ["Slot", "Template", "parse_text"]

_sqlreading = LazyModule("dj_panel.core.sqlreading")


@dataclass(frozen=True)
class Slot:
    """A place in a template: an attribute, or a quoted word (compared with ``attribute``, if it is).

    ``use`` tells of an attribute that it stands alone in ``"MIN"`` or ``"MAX"``, or is one of several that the
    expression takes a value from (``"one of"``).
    """

    attribute: str | None
    word: str | None = None
    use: str = ""


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
        The attribute whose type the result has (a bare attribute, or its minimum, maximum or sum).
    aggregates
        Whether it holds an aggregate function.
    sums
        Whether it is the sum of that attribute, which may have more digits.
    """

    parts: tuple[str | Slot, ...]
    attributes: tuple[str, ...]
    like: str | None
    aggregates: bool
    sums: bool = False


@lru_cache(maxsize=2048)
def parse_text(text: str, dialect: str) -> Template:
    """Read an expression.

    Parameters
    ----------
    text
        As the user wrote it, in MySQL's dialect.
    dialect
        What to say it in: ``"mysql"`` or ``"sqlite"``.

    Raises
    ------
    QuerySyntaxError
        If it is not one expression, or holds something that is not allowed, which the message names.

    Examples
    --------
    >>> parse_text("age > 3 and name = 'Ann'", "sqlite").attributes
    ('age', 'name')
    """
    template: Template = _sqlreading.read_text(text, dialect)
    return template
