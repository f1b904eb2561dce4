"""A table's structure → the text of a definition that declares it again."""

from __future__ import annotations

from collections.abc import Callable

from dj_panel.core.definition import (
    AttributeLine,
    Definition,
    ForeignKeyLine,
    IndexLine,
    Line,
    Reference,
    format_definition,
)
from dj_panel.core.structure import Attribute, ForeignKey, TableName, TableStructure

__all__ = ["definition_of", "describe"]


def describe(table: TableStructure, name_of: Callable[[TableName], str] | None = None) -> str:
    """Return the definition of a table.

    Parameters
    ----------
    table
        Its structure.
    name_of
        Gives the name by which a parent is to be called; ``Class`` in the same schema and ``schema.Class``
        in another one if not given.
    """
    return format_definition(definition_of(table, name_of or (lambda name: _called(name, table.name))))


def _called(parent: TableName, child: TableName) -> str:
    if parent == child.master:
        return "master"
    return parent.class_name if parent.schema == child.schema else f"{parent.schema}.{parent.class_name}"


def definition_of(table: TableStructure, name_of: Callable[[TableName], str]) -> Definition:
    """Return a table's structure as the lines of a definition."""
    lines: list[Line] = []
    done: set[str] = set()
    written: set[int] = set()
    for attribute in table.heading.attributes.values():
        for position, fk in enumerate(table.foreign_keys):
            if attribute.name in fk.attributes and position not in written and _is_first(fk, attribute, done):
                written.add(position)
                done |= set(fk.attributes)
                lines.append(_foreign_key_line(fk, table, name_of))
        if attribute.name not in done:
            done.add(attribute.name)
            lines.append(_attribute_line(attribute))
    lines += [
        IndexLine(index.columns, index.unique)
        for index in table.indexes
        if not any(fk.unique and set(fk.attributes) == set(index.columns) for fk in table.foreign_keys)
    ]
    return Definition(tuple(lines), table.comment)


def _is_first(fk: ForeignKey, attribute: Attribute, done: set[str]) -> bool:
    return next((n for n in fk.attributes if n not in done), fk.attributes[0]) == attribute.name or all(
        n in done for n in fk.attributes
    )


def _foreign_key_line(
    fk: ForeignKey, table: TableStructure, name_of: Callable[[TableName], str]
) -> ForeignKeyLine:
    reference = Reference(name_of(fk.parent), tuple(fk.renamed.items()))
    in_key = all(table.heading[n].in_key for n in fk.attributes)
    return ForeignKeyLine(reference, in_key, fk.nullable, fk.unique)


def _attribute_line(attribute: Attribute) -> AttributeLine:
    kind = attribute.type + (" auto_increment" if attribute.autoincrement else "")
    return AttributeLine(
        attribute.name, kind, attribute.in_key, attribute.nullable, attribute.default, attribute.comment
    )
