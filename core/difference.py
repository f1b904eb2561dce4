"""In what a table of the database differs from the definition in the code.

A rename is written as DataJoint writes it: the comment of the attribute begins with its old name in braces::

    mass : decimal(6, 2)   # {weight} g
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dj_panel.core.definition import is_server_value
from dj_panel.core.errors import DefinitionError, did_you_mean, shown
from dj_panel.core.structure import Attribute, ForeignKey, Heading, Index, TableStructure

__all__ = [
    "Difference",
    "differences",
    "meaning",
    "old_indexes",
    "old_keys",
    "renames",
    "said_key",
    "said_primary_key",
    "target_structure",
    "wanted_indexes",
]

_OLD_NAME = re.compile(r"\{\s*(\w+)\s*\}\s*")
_SAME_NAMES = {
    "integer": "int",
    "real": "double",
    "boolean": "tinyint",
    "numeric": "decimal",
    "dec": "decimal",
    "fixed": "decimal",
}


@dataclass(frozen=True)
class Difference:
    """One thing in which a table and its definition differ.

    Parameters
    ----------
    what
        ``"attribute"``, ``"index"``, ``"foreign key"``, ``"comment"`` or ``"primary key"``.
    name
        Which one; empty for what a table has once.
    text
        What differs, as a clause: "is only in the code".
    """

    what: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.what} {self.name} {self.text}" if self.name else f"{self.what} {self.text}"


def renames(declared: TableStructure, old: TableStructure) -> tuple[TableStructure, dict[str, str]]:
    """Return the structure without the marks of renaming, and the renames: new name → old name.

    Raises
    ------
    DefinitionError
        If a rename names an attribute that there is not, or one attribute twice.
    """
    renamed: dict[str, str] = {}
    attributes = []
    for attribute in declared.heading.all_attributes:
        match = _OLD_NAME.match(attribute.comment)
        if match and declared.foreign_key_of(attribute.name) is None:
            before = match[1]
            is_done = before not in old.heading.attributes and attribute.name in old.heading.attributes
            if before not in old.heading.attributes and not is_done:
                raise DefinitionError(
                    f"'{attribute.name}' is to be the new name of '{before}', which {declared.name} does not have."
                    f"{did_you_mean(before, old.heading.names)}"
                )
            if before in renamed.values() or before in declared.heading.attributes:
                raise DefinitionError(
                    f"'{before}' of {declared.name} cannot become '{attribute.name}': it has another place in the"
                    " definition already."
                )
            if not is_done:
                renamed[attribute.name] = before
            attribute = replace(attribute, comment=attribute.comment[match.end() :])
        attributes.append(attribute)
    heading = Heading(tuple(attributes), declared.comment)
    return replace(declared, heading=heading), renamed


def wanted_indexes(table: TableStructure) -> list[Index]:
    """Return the indexes that a definition asks for: those of unique foreign keys, but none that keys have anyway."""
    keys = [set(fk.attributes) for fk in table.foreign_keys]
    found = [Index(fk.attributes, unique=True) for fk in table.foreign_keys if fk.unique]
    return list(dict.fromkeys([*found, *(i for i in table.indexes if set(i.columns) not in keys)]))


def differences(old: TableStructure, new: TableStructure, renamed: Mapping[str, str]) -> list[Difference]:
    """Return in what a table (``old``) and its definition (``new``) differ."""
    found: list[Difference] = []
    if old.heading.primary_key != new.heading.primary_key:
        found.append(
            Difference(
                "primary key",
                "",
                f"({said_primary_key(old)}) in the database is ({said_primary_key(new)}) in the code",
            )
        )
    if _plain(old.comment) != _plain(new.comment):
        found.append(
            Difference(
                "comment", "", f"{shown(old.comment)} in the database is {shown(new.comment)} in the code"
            )
        )
    sources = {name: renamed.get(name, name) for name in new.heading.names}
    found += [
        Difference("attribute", name, "is only in the database")
        for name in old.heading.names
        if name not in sources.values()
    ]
    for name, source in sources.items():
        if source not in old.heading:
            found.append(Difference("attribute", name, "is only in the code"))
            continue
        if name != source:
            found.append(Difference("attribute", name, f"is named {source} in the database"))
        changes = _changes(old.heading[source], new.heading[name], is_inherited=_is_inherited(new, name))
        found += [Difference("attribute", name, text) for text in changes]
    common = [n for n in old.heading.names if n in sources.values()]
    if common != [s for s in sources.values() if s in old.heading]:
        found.append(Difference("order", "", f"of the attributes in the database is {', '.join(common)}"))
    names = {source: name for name, source in sources.items()}
    found += _missing(
        "index", map(_said_index, old_indexes(old, names)), map(_said_index, wanted_indexes(new))
    )
    found += _missing("foreign key", map(said_key, old_keys(old, names)), map(said_key, new.foreign_keys))
    return found


def old_indexes(old: TableStructure, names: Mapping[str, str]) -> list[Index]:
    """Return a table's indexes under the new names of its attributes."""
    return [Index(tuple(names.get(c, c) for c in i.columns), i.unique) for i in wanted_indexes(old)]


def old_keys(old: TableStructure, names: Mapping[str, str]) -> list[ForeignKey]:
    """Return a table's foreign keys under the new names of its attributes."""
    return [replace(fk, attributes=tuple(names.get(n, n) for n in fk.attributes)) for fk in old.foreign_keys]


def _missing(what: str, old: Iterable[str], new: Iterable[str]) -> list[Difference]:
    before, after = list(dict.fromkeys(old)), list(dict.fromkeys(new))
    return [
        *(Difference(what, text, "is only in the database") for text in before if text not in after),
        *(Difference(what, text, "is only in the code") for text in after if text not in before),
    ]


def _said_index(index: Index) -> str:
    columns = ", ".join(re.sub(r"\s+", " ", column) for column in index.columns)
    return f"{'unique ' if index.unique else ''}({columns})"


def said_key(fk: ForeignKey) -> str:
    """Return a foreign key as people say it."""
    parent = f"{fk.parent.schema}.{fk.parent.class_name}"
    pairs = sorted(zip(fk.attributes, fk.parent_attributes, strict=True))
    return (
        f"({', '.join(ours if ours == theirs else f'{ours}={theirs}' for ours, theirs in pairs)}) to {parent}"
    )


def said_primary_key(table: TableStructure) -> str:
    """Return the names of a table's primary key."""
    return ", ".join(table.heading.primary_key)


def _plain(comment: str) -> str:
    """Return a comment as every server can show it."""
    return "".join(letter if letter <= "\uffff" else "?" for letter in comment)


def _is_inherited(table: TableStructure, name: str) -> bool:
    return table.foreign_key_of(name) is not None


def meaning(attribute: Attribute) -> Any:
    """Return what an attribute's type is, apart from how it is written."""
    if attribute.type.startswith("<"):
        return attribute.type
    column = attribute.column_type
    return replace(column, text="", name=_SAME_NAMES.get(column.name, column.name))


def _changes(old: Attribute, new: Attribute, *, is_inherited: bool) -> list[str]:
    found = []
    if meaning(old) != meaning(new):
        found.append(f"has the type {old.type} in the database and {new.type} in the code")
    if old.nullable != new.nullable:
        found.append(
            f"{'may' if old.nullable else 'must not'} be empty in the database, otherwise in the code"
        )
    if not is_inherited and not new.nullable and _default(old) != _default(new):
        found.append(f"has the default {old.default!r} in the database and {new.default!r} in the code")
    if not is_inherited and _plain(old.comment) != _plain(new.comment):
        found.append(
            f"has the comment {shown(old.comment)} in the database and {shown(new.comment)} in the code"
        )
    return found


def _default(attribute: Attribute) -> Any:
    default = attribute.default
    if default is None:
        return None
    if is_server_value(default):
        return re.sub(r"\s|\(\)", "", default.upper()).replace("NOW", "CURRENT_TIMESTAMP")
    try:
        return attribute.column_type.check(default)
    except ValueError:
        return default


def target_structure(declared: TableStructure, old: TableStructure) -> tuple[TableStructure, dict[str, str]]:
    """Return the structure that a table is to have, and the renames: the framework's own columns stay as they are."""
    new, renamed = renames(declared, old)
    hidden = [a for a in old.heading.all_attributes if a.is_hidden]
    visible = [a for a in new.heading.all_attributes if not a.is_hidden]
    heading = Heading((*visible, *hidden), new.comment)
    return replace(new, heading=heading, indexes=tuple(wanted_indexes(new))), renamed
