"""Every error that dj_panel raises on purpose.

The whole tree; names in brackets are the built-in that each also is::

    DataJointError
    ├── DefinitionError [ValueError]            a table definition that cannot be read (line, column)
    ├── SettingsError [ValueError]              a setting with an unusable value
    │   └── ThreadSafetyError                   global state used in thread-safe mode
    ├── GraphError [ValueError]                 foreign keys that form a cycle, or an unknown table
    ├── LineageError [ValueError]               operands that share a name but not its meaning
    ├── LostConnectionError [ConnectionError]   the server went away
    ├── UnknownOutcomeError [ConnectionError]   it went away while committing: ask it, never guess
    ├── TransactionError [RuntimeError]         a transaction where none may be, or the other way round
    ├── MissingTableError [LookupError]         a table that is not in the database
    ├── QueryError
    │   ├── QuerySyntaxError [ValueError]       a restriction or expression that cannot be understood
    │   ├── AccessError [PermissionError]       the database account lacks a privilege
    │   ├── QueryTimeoutError [TimeoutError]    it took longer than it was allowed to
    │   ├── DuplicateError [ValueError]         a row with this key (or unique value) is there already
    │   ├── IntegrityError [ValueError]         a missing parent, or children that are in the way
    │   ├── OneRowError [LookupError]           one row was wanted; there is none, or several
    │   ├── UnknownAttributeError [KeyError]    a name that the heading does not have
    │   ├── MissingAttributeError [ValueError]  a value that a row must have
    │   └── ValueRefusedError [ValueError]      a value that the attribute's type does not admit
    ├── CodecError [ValueError]
    │   ├── UnknownCodecError [LookupError]     no codec of this name is registered
    │   ├── EncodeError                         a value that the codec cannot store
    │   └── DecodeError                         stored bytes that are not what they should be
    ├── StoreError [OSError]                    a store that is not configured, or did not answer
    │   ├── MissingObjectError [FileNotFoundError]
    │   ├── CorruptObjectError
    │   └── UnsafePathError                     a path that would leave its store or folder
    ├── MakeError [RuntimeError]                a `make` that broke the rules of populate
    └── ReservationLostError [RuntimeError]     another worker owns this key now

The root and the names that DataJoint also has are DataJoint's, because pipelines catch them.
Facts are fields; the message is built from them and ends with what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Self

from dj_panel.core.words import say

__all__ = [
    "AccessError",
    "CodecError",
    "CorruptObjectError",
    "DataJointError",
    "DecodeError",
    "DefinitionError",
    "DuplicateError",
    "EncodeError",
    "GraphError",
    "IntegrityError",
    "LineageError",
    "LostConnectionError",
    "MakeError",
    "MissingAttributeError",
    "MissingObjectError",
    "MissingTableError",
    "OneRowError",
    "QueryError",
    "QuerySyntaxError",
    "QueryTimeoutError",
    "ReservationLostError",
    "SettingsError",
    "StoreError",
    "ThreadSafetyError",
    "TransactionError",
    "UnknownAttributeError",
    "UnknownCodecError",
    "UnknownOutcomeError",
    "UnsafePathError",
    "ValueRefusedError",
    "did_you_mean",
]


def did_you_mean(name: str, available: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest available name, or an empty string.

    >>> did_you_mean("subject_di", ["subject_id", "species"])
    " Did you mean 'subject_id'?"
    """
    names = list(available)
    near = [other for other in names if other.casefold() == name.casefold()]
    near = near or get_close_matches(name, names, n=1, cutoff=0.6)
    return say(" Did you mean '{name}'?", name=near[0]) if near else ""


def shown(value: Any, limit: int = 60) -> str:
    """Return a value as an error message may show it: quoted, and cut at ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def value_of(values: Mapping[str, Any]) -> Any:
    """Return the value of one attribute, or those of several as a dict."""
    return next(iter(values.values())) if len(values) == 1 else dict(values)


class DataJointError(Exception):
    """The root of every error that this library raises on purpose.

    An error about a definition knows where: ``line`` and ``column``, both counted from 1, and the line's ``text``.
    """

    line: int | None = None
    column: int | None = None
    text: str = ""

    def at(self, line: int, column: int, text: str) -> Self:
        """Return the error with the place in a definition that it is about, which its message names too."""
        self.line, self.column, self.text = line, column, text
        self.args = (f"{self} (line {line}, column {column}: {text.strip()!r})", *self.args[1:])
        return self

    def suggest(self, *args: object) -> DataJointError:
        """Return an error of the same class with more arguments, as DataJoint's own root offers."""
        return type(self)(*self.args, *args)


class DefinitionError(DataJointError, ValueError):
    """A table definition that cannot be read; ``line`` is ``None`` where the whole of it is meant."""


class SettingsError(DataJointError, ValueError):
    """A setting that is unknown or has an unusable value."""


class ThreadSafetyError(SettingsError):
    """Global configuration or connection used in thread-safe mode."""


class GraphError(DataJointError, ValueError):
    """Foreign keys that form a cycle, or a table that the graph does not have."""


class LineageError(DataJointError, ValueError):
    """Two operands share an attribute's name but not its origin, so matching them means nothing."""


class LostConnectionError(DataJointError, ConnectionError):
    """The database server went away; nothing of the open transaction was kept."""


class UnknownOutcomeError(DataJointError, ConnectionError):
    """The server went away while a transaction was being committed: it may or may not be kept."""


class TransactionError(DataJointError, RuntimeError):
    """A transaction is open where none may be, or none is open where one must be."""


class MissingTableError(DataJointError, LookupError):
    """A table, or a whole schema, that is not in the database."""


class QueryError(DataJointError):
    """The root of what the database says about a query.

    Parameters
    ----------
    message
        What is wrong, in a sentence.
    table
        Full name of the table.
    attributes
        The attributes that it is about.
    value
        The value that is in the way; of several attributes, a dict.
    remedy
        What to do, in a sentence, with which the text of the error ends.
    """

    def __init__(
        self,
        message: str = "",
        *more: object,
        table: str = "",
        attributes: tuple[str, ...] = (),
        value: Any = None,
        remedy: str = "",
    ) -> None:
        self.table, self.attributes, self.value, self.remedy = table, attributes, value, remedy
        super().__init__(f"{message} {remedy}".strip(), *more)

    @property
    def attribute(self) -> str:
        """The names of the attributes, with commas between."""
        return ", ".join(self.attributes)


class QuerySyntaxError(QueryError, ValueError):
    """A restriction or an expression that cannot be understood."""


class AccessError(QueryError, PermissionError):
    """The database account lacks a privilege."""


class QueryTimeoutError(QueryError, TimeoutError):
    """A query that was stopped because it took longer than it was allowed to."""


class DuplicateError(QueryError, ValueError):
    """A row with this primary key, or with this value of a unique index, is there already.

    Parameters
    ----------
    message
        The sentence to show.
    **facts
        ``table``, the ``attributes`` of the key that is taken, its ``value`` and the ``remedy``, as of
        :class:`QueryError`.
    """


class IntegrityError(QueryError, ValueError):
    """A foreign key is in the way: its parent is missing, or rows still depend on the row.

    Parameters
    ----------
    message
        The sentence to show.
    parent
        Full name of the parent table.
    **facts
        ``table``, the child; the child's ``attributes`` of the foreign key; the ``value`` that the parent does not
        have; the ``remedy``; as of :class:`QueryError`.
    """

    def __init__(self, message: str = "", *more: object, parent: str = "", **facts: Any) -> None:
        self.parent = parent
        super().__init__(message, *more, **facts)


class OneRowError(QueryError, LookupError):
    """A query that was to have one row has none, or several."""


class UnknownAttributeError(QueryError, KeyError):
    """A name that the heading does not have.

    Parameters
    ----------
    name
        The name that was asked for, or a whole sentence when ``available`` is not given.
    available
        The names there are.
    where
        What was searched, for example the table's name.
    remedy
        What else to do than to correct the name.
    """

    def __init__(
        self,
        name: str,
        *more: object,
        available: Iterable[str] | None = None,
        where: str = "",
        remedy: str = "",
    ) -> None:
        self.name = name
        self.available = tuple(available or ())
        if available is None:
            super().__init__(name, *more, table=where, remedy=remedy)
            return
        no = (
            say("There is no attribute '{name}' in {where}.", name=name, where=where)
            if where
            else say("There is no attribute '{name}'.", name=name)
        )
        listed = say(" It has: {names}.", names=", ".join(self.available))
        advice = f"{did_you_mean(name, self.available)}{listed} {remedy}".strip()
        super().__init__(no, *more, table=where, attributes=(name,), remedy=advice)

    def __str__(self) -> str:
        # KeyError would show its message in quotes.
        return str(self.args[0]) if self.args else self.name


class MissingAttributeError(QueryError, ValueError):
    """A row lacks a value that it must have."""


class ValueRefusedError(QueryError, ValueError):
    """A value that the attribute's type does not admit.

    Parameters
    ----------
    reason
        What is wrong and what is allowed, as a clause: ``"is longer than 8 characters"``.
    attribute, table
        Where the value was going.
    value
        The value.
    remedy
        What to do, in a sentence, where it is more than to choose a value that the reason allows.
    """

    def __init__(
        self,
        reason: str = "",
        *more: object,
        attribute: str = "",
        table: str = "",
        value: Any = None,
        remedy: str = "",
    ) -> None:
        self.reason = reason
        place = f"{table}.{attribute}" if table and attribute else attribute or table
        subject = f"{shown(value)} " if place or value is not None else ""
        text = f"{place}: {subject}{reason}" if place else f"{subject}{reason}"
        super().__init__(
            f"{text}." if remedy else text,
            *more,
            table=table,
            attributes=(attribute,) if attribute else (),
            value=value,
            remedy=remedy,
        )
        self.remedy = remedy or say("Correct the value.")


class CodecError(DataJointError, ValueError):
    """The root of what codecs raise."""


class UnknownCodecError(CodecError, LookupError):
    """No codec of this name is registered."""


class EncodeError(CodecError):
    """A value that the codec cannot store."""


class DecodeError(CodecError):
    """Stored bytes that are not what their codec wrote, or exceed its budget."""


class StoreError(DataJointError, OSError):
    """A store that is not configured, or that did not do what it was asked."""


class MissingObjectError(StoreError, FileNotFoundError):
    """An object that a row refers to is not in its store."""


# DataJoint's names for the same.
MissingExternalFile, BucketInaccessible = MissingObjectError, StoreError


class CorruptObjectError(StoreError):
    """An object's bytes are not those that were stored."""


class GarbageCollectionError(StoreError):
    """It is not known for sure which objects are garbage, so none was removed."""


class UnsafePathError(StoreError):
    """A path that would leave the store or the folder it belongs to."""


class MakeError(DataJointError, RuntimeError):
    """A `make` that broke the rules of populate, or a table that cannot be populated this way."""


class ReservationLostError(DataJointError, RuntimeError):
    """Another worker owns this key now; what this one computed was rolled back."""
