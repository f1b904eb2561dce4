"""What the program says to people: written in English, and said in the language of whoever is asked.

A message is a whole sentence or phrase with named places, ``say("{table} has no attribute {name}.", table=…)``; it
is a literal, so that all of them can be collected for translation. Nothing here knows other languages: a program
that does names its source with `speak_through`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Words", "grouped", "marked", "say", "say_many", "speak_through"]


class Words(Protocol):
    """One language, as `gettext.NullTranslations` has it, and how numbers are written in it."""

    def gettext(self, message: str, /) -> str:
        """Return a message in the language."""

    def ngettext(self, one: str, many: str, n: int, /) -> str:
        """Return the form of a message that goes with a number."""

    def grouped(self, n: int, /) -> str:
        """Return a whole number with its thousands grouped."""


class _English:
    def gettext(self, message: str) -> str:
        return message

    def ngettext(self, one: str, many: str, n: int) -> str:
        return one if n == 1 else many

    def grouped(self, n: int) -> str:
        return f"{n:,}"


_ENGLISH = _English()


class _Source:
    """Where words come from; one for the process, for a source asks itself whose turn it is."""

    words: Callable[[], Words] = staticmethod(lambda: _ENGLISH)


def speak_through(source: Callable[[], Words]) -> None:
    """Take the words of all messages from a source, which is asked for the language each time."""
    _Source.words = staticmethod(source)


def say(message: str, /, **values: object) -> str:
    """Return a message with its values, in the language of whoever is asked.

    Parameters
    ----------
    message
        English, with places such as ``{table}``; a literal. Without values, braces stand for themselves.
    values
        What goes into the places; whole numbers get their thousands grouped.
    """
    words = _Source.words()
    return _filled(words.gettext(message), values, words)


def say_many(one: str, many: str, n: int, /, **values: object) -> str:
    """Return the form of a message that goes with a number, which its place ``{n}`` takes.

    >>> say_many("{n} row of {table}", "{n} rows of {table}", 1204, table="Subject")
    '1,204 rows of Subject'
    """
    words = _Source.words()
    return _filled(words.ngettext(one, many, n), {"n": n, **values}, words)


def marked(message: str) -> str:
    """Return a message as it is, and mark it for translation: for constants, which `say` takes later."""
    return message


def grouped(n: int) -> str:
    """Return a whole number with its thousands grouped, as the language of whoever is asked groups them."""
    return _Source.words().grouped(n)


def _filled(message: str, values: dict[str, object], words: Words) -> str:
    if not values:
        return message
    # Not bool, which is an int too, and not numbers of other libraries.
    shown = {name: words.grouped(value) if type(value) is int else value for name, value in values.items()}
    return message.format(**shown)
