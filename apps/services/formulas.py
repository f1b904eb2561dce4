"""Texts that a spreadsheet would run as formulas, kept from it in files of text: there and back without a loss."""

from __future__ import annotations

import re

__all__ = ["shielded", "unshielded"]

_RUNS = re.compile(r"'*[=+\-@\t\r]")
_SHIELDED = re.compile(r"''*[=+\-@\t\r]")


def shielded(text: str) -> str:
    """Return a text with an apostrophe in front if a spreadsheet would run it, or if it looks like such a text.

    >>> shielded("=1+1"), shielded("'=1+1"), shielded("'s-Hertogenbosch")
    ("'=1+1", "''=1+1", "'s-Hertogenbosch")
    """
    return "'" + text if _RUNS.match(text) else text


def unshielded(text: str) -> str:
    """Return the text of which `shielded` made this one.

    >>> unshielded("'=1+1"), unshielded("''=1+1"), unshielded("=1+1"), unshielded("'s-Hertogenbosch")
    ('=1+1', "'=1+1", '=1+1', "'s-Hertogenbosch")
    """
    return text[1:] if _SHIELDED.match(text) else text
