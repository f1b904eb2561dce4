"""Where something stands in a definition, for errors that name the place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeVar

from dj_panel.core.errors import DataJointError, DefinitionError

__all__ = ["Place", "Placed"]

_Error = TypeVar("_Error", bound=DataJointError)


@dataclass(frozen=True)
class Place:
    """A line of a definition.

    Parameters
    ----------
    line
        Its number, from 1.
    text
        The line as written.
    """

    line: int
    text: str

    def error(self, message: str, part: str = "", after: str = "") -> DefinitionError:
        """Return the error that something is wrong here; parameters as of :meth:`put`."""
        return self.put(DefinitionError(message), part, after)

    def put(self, error: _Error, part: str = "", after: str = "") -> _Error:
        """Return an error with this place.

        Parameters
        ----------
        error
            The error.
        part
            What it is about; the line's first character if not given, or not found.
        after
            What stands somewhere before the part.

        Examples
        --------
        >>> Place(3, "  index (x, nome)").put(DefinitionError("No such attribute"), "x").column
        10
        """
        start = len(self.text) - len(self.text.lstrip())
        if part:
            behind = max(self.text.find(after), 0) + len(after)
            # a name is no part of a longer one
            edges = (r"(?<!\w)" if part[0].isalnum() else "", r"(?!\w)" if part[-1].isalnum() else "")
            found = re.compile(edges[0] + re.escape(part) + edges[1]).search(self.text, behind)
            start = found.start() if found else max(self.text.find(part, behind), start)
        return error.at(self.line, start + 1, self.text)


@dataclass(frozen=True)
class Placed:
    """Something that a definition says, and that may know where."""

    place: Place | None = field(default=None, compare=False, repr=False, kw_only=True)

    def error(self, message: str, part: str = "", after: str = "") -> DefinitionError:
        """Return the error that something is wrong with it, with its place if that is known."""
        return self.put(DefinitionError(message), part, after)

    def put(self, error: _Error, part: str = "", after: str = "") -> _Error:
        """Return an error with the place, if that is known; parameters as of :meth:`Place.put`."""
        return error if self.place is None else self.place.put(error, part, after)
