"""A class's definition → the structure it declares: names in it become the tables they mean."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.declare import build_structure
from dj_panel.core.definition import ForeignKeyLine, parse_definition
from dj_panel.core.errors import CodecError, DefinitionError, GraphError, UnknownAttributeError, did_you_mean
from dj_panel.core.expression import instance_of
from dj_panel.core.graph import cycle_error
from dj_panel.core.limits import check_limits
from dj_panel.core.structure import Attribute, TableName, TableStructure
from dj_panel.core.table import Table

__all__ = ["declared_structure", "names_of_module"]


# The bytes that a character may take; of all other sets it is 4.
_WIDTHS = {"latin1": 1, "ascii": 1, "binary": 1, "ucs2": 2, "utf8": 3, "utf8mb3": 3}


def declared_structure(
    cls: type[Table],
    name: TableName,
    context: Mapping[str, Any],
    connection: Connection,
    *,
    to_be_made: bool = False,
) -> TableStructure:
    """Return the structure that a class's definition declares.

    Parameters
    ----------
    cls
        The class.
    name
        Where its table is, or will be.
    context
        The names that the definition may refer to.
    connection
        The connection of its schema.
    to_be_made
        Whether the table is to be created or altered like that, so that the limits of servers count.

    Raises
    ------
    DefinitionError
        If the definition cannot be read, contradicts itself or its parents, or asks for more than a server has.
    GraphError
        If its foreign keys close a cycle.
    """
    definition = definition_text(cls)
    if definition is None:
        raise DefinitionError(f"The class {cls.__name__} has no text named definition.")
    try:
        parsed = parse_definition(definition)
        parents = [_parent(line, context, cls) for line in parsed.foreign_keys]
        structure = build_structure(name, parsed, parents, connection.settings)
        if parents:
            connection.catalog.graph.check_new(name, [parent.name for parent in parents])
        if to_be_made:
            check_limits(
                structure,
                parsed,
                lambda a: _width(a, structure, connection),
                is_narrow=connection.dialect.has_narrow_catalog,
                numbers_only_keys=connection.dialect.numbers_only_keys,
            )
    except (DefinitionError, GraphError, UnknownAttributeError, CodecError) as error:
        error.add_note(f"in the definition of {cls.__name__}")
        raise
    return structure


def _width(attribute: Attribute, table: TableStructure, connection: Connection) -> int:
    """Return the bytes that a character of a text attribute may take, as its parent or its schema has it."""
    catalog, name = connection.catalog, table.name
    fk = table.foreign_key_of(attribute.name)
    if fk is not None:
        theirs = fk.parent_attributes[fk.attributes.index(attribute.name)]
        found = catalog.character_set(fk.parent, theirs, seen_from=name.schema)[0]
    else:
        found = catalog.character_set(name, attribute.name)[0]
    return _WIDTHS.get(found or connection.dialect.character_set(connection.rows_of, name.schema), 4)


def names_of_module(cls: type[Any]) -> dict[str, Any]:
    """Return the names of the module in which a class was written."""
    module = sys.modules.get(cls.__module__)
    return dict(vars(module)) if module else {}


def definition_text(cls: type[Any]) -> str | None:
    """Return the text of a class's definition, if it has one."""
    text = inspect.getattr_static(cls, "definition", None)
    if isinstance(text, property):
        text = text.fget(cls) if text.fget else None
    return text if isinstance(text, str) else None


def _parent(line: ForeignKeyLine, context: Mapping[str, Any], cls: type[Table]) -> TableStructure:
    path = line.reference.path
    first, *rest = path.split(".")
    if first not in context:
        tables = [n for n, v in context.items() if isinstance(v, type) and issubclass(v, Table)]
        raise line.error(
            f"{cls.__name__} refers to {path}, and there is no '{first}' here.{did_you_mean(first, tables)} Import or"
            " define it before the class",
            first,
            "->",
        )
    parent = context[first]
    for attribute in rest:
        if not hasattr(parent, attribute):
            near = did_you_mean(attribute, [n for n, v in vars(parent).items() if isinstance(v, type)])
            raise line.error(
                f"{cls.__name__} refers to {path}, and '{first}' has no '{attribute}'.{near}", path
            )
        parent = getattr(parent, attribute)
    cycle = _cycle_of_classes([cls, parent], context)
    if cycle:
        raise line.put(cycle_error([each.__name__ for each in cycle]), path)
    parent = instance_of(parent)
    if not isinstance(parent, Table) or parent._node is not None:
        raise line.error(f"{cls.__name__} refers to {path}, which is not a table", path)
    return parent.structure


def _cycle_of_classes(way: list[Any], context: Mapping[str, Any]) -> list[Any] | None:
    """Return the cycle that classes which are not declared yet form by their definitions, if they do."""
    cls = way[-1]
    if cls is way[0]:
        return way
    if not (isinstance(cls, type) and issubclass(cls, Table)) or cls in way[:-1]:
        return None
    if getattr(cls, "_bound", None) is not None:
        return None
    text = definition_text(cls)
    names = {**names_of_module(cls), **context}
    for line in parse_definition(text).foreign_keys if text else ():
        first, *rest = line.reference.path.split(".")
        parent = names.get(first)
        for attribute in rest:
            parent = getattr(parent, attribute, None)
        found = _cycle_of_classes([*way, parent], context)
        if found:
            return found
    return None
