"""Is the pipeline what its code says: imports against foreign keys, and definitions against the database."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.difference import Difference, differences, target_structure
from dj_panel.core.errors import DataJointError
from dj_panel.core.references import declared_structure, names_of_module
from dj_panel.core.schema import Schema
from dj_panel.core.structure import TableName, TableStructure
from dj_panel.core.tiers import UserTable

__all__ = ["Finding", "check_database", "check_imports", "classes_of"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Parameters
    ----------
    place
        The table or the module.
    problem
        What is wrong, as a sentence.
    remedy
        What to do about it, as a sentence.
    """

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}\n    {self.remedy}"


# ---------------------------------------------------------------------------- code and database
def check_database(schemas: Sequence[Schema]) -> list[Finding]:
    """Compare the classes of schemas with the tables of the database; nothing is written.

    Parameters
    ----------
    schemas
        The schemas, of one connection. Their tables are read whole, in a few queries for all of them.

    Returns
    -------
    list
        A finding for each table that is on one side only, and for each thing in which the sides differ.
    """
    found: list[Finding] = []
    if not schemas:
        return found
    connection = schemas[0].connection
    catalog = connection.catalog
    catalog.forget()
    catalog.load([schema.name for schema in schemas])
    in_code = classes_of(schemas)
    for name, (label, cls) in in_code.items():
        table = catalog.find(name)
        if table is None:
            remedy = "Import the pipeline in a program that may create tables."
            found.append(Finding(label, "The table is only in the code.", remedy))
        else:
            found += _drift(connection, cls, label, table)
    for schema in dict.fromkeys(name.schema for name in in_code):
        remedy = f"Take its class from dj.Schema({schema!r}).code into the code, or drop the table."
        found += [
            Finding(f"{schema}.{table.name.class_name}", "The table is only in the database.", remedy)
            for table in catalog.tables(schema).values()
            if table.name not in in_code and not table.name.table.startswith("~")
        ]
    return found


def classes_of(schemas: Sequence[Schema]) -> dict[TableName, tuple[str, type[UserTable]]]:
    """Return the classes that are written in code, each with the name by which people know it."""
    return {
        cls._bound[1]: (f"{schema.name}.{label}", cls)
        for schema in schemas
        for label, cls in schema.classes.items()
        if cls._bound is not None and not cls._is_virtual
    }


def _drift(connection: Connection, cls: type[UserTable], place: str, table: TableStructure) -> list[Finding]:
    names = {**names_of_module(cls), **cls._context}
    try:
        declared = declared_structure(cls, table.name, names, connection)
        target, renamed = target_structure(declared, table)
    except DataJointError as error:
        return [Finding(place, f"The definition cannot be compared: {error}", "Correct the definition.")]
    return [
        Finding(
            place, _sentence(difference), _remedy(difference, cls.__qualname__.rpartition("<locals>.")[2])
        )
        for difference in differences(table, target, renamed)
    ]


def _sentence(difference: Difference) -> str:
    text = str(difference)
    return f"{text[0].upper()}{text[1:]}."


def _remedy(difference: Difference, name: str) -> str:
    if difference.what == "primary key" or (
        difference.what == "attribute" and "primary key" in difference.text
    ):
        return "Give the class another name, so that a new table is declared, and copy the rows; or correct the code."
    if difference.text == "is only in the database":
        return (
            f"Add it to the definition of {name}, or remove it from the database with {name}.alter(), which refuses"
            " to drop values unless told to."
        )
    return f"Bring the database to the code with {name}.alter() (dry_run=True shows the SQL), or correct the code."


# ---------------------------------------------------------------------------- imports and foreign keys
def check_imports(modules: Iterable[ModuleType], schemas: Sequence[Schema]) -> list[Finding]:
    """Compare which module imports which with the foreign keys between their tables.

    A module may import only what its tables, directly or through others, refer to; and where they refer to
    another module's, it must import that.

    Parameters
    ----------
    modules
        The modules of the pipeline.
    schemas
        Their schemas.
    """
    by_name = {module.__name__: module for module in modules}
    imports = {name: imported_by(module, by_name) for name, module in by_name.items()}
    keys = _keys_between(schemas, by_name)
    found = []
    for module, others in sorted(imports.items()):
        for other in sorted(others):
            if module in _reached(other, keys):
                example = _example(keys, other, module)
                found.append(
                    Finding(
                        module,
                        f"It imports {other}, against the foreign keys, which lead from {other} to {module}{example}.",
                        "Move what it needs from there into a module that both import.",
                    )
                )
    for module, parents in sorted(keys.items()):
        for parent, example in sorted(parents.items()):
            if parent not in _reached(module, imports):
                found.append(
                    Finding(
                        module,
                        f"{example}, and the module does not import {parent}.",
                        f"Import {parent}, and refer to its classes instead of a virtual schema.",
                    )
                )
    return found


def _keys_between(schemas: Sequence[Schema], by_name: Mapping[str, ModuleType]) -> dict[str, dict[str, str]]:
    """Return module → the modules that its tables refer to, each with an example as a sentence."""
    classes = {name: pair for name, pair in classes_of(schemas).items() if pair[1].__module__ in by_name}
    homes = {name: cls.__module__ for name, (_, cls) in classes.items()}
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for name, home in homes.items():
        table = schemas[0].connection.catalog.find(name)
        for fk in table.foreign_keys if table else ():
            parent = homes.get(fk.parent)
            if parent is not None and parent != home:
                keys[home].setdefault(
                    parent, f"{classes[name][0]} refers to {classes[fk.parent][0]} of {parent}"
                )
    return keys


def _example(keys: Mapping[str, Mapping[str, str]], child: str, parent: str) -> str:
    return f" ({keys[child][parent]})" if parent in keys.get(child, {}) else ""


def _reached(start: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for other in edges.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def imported_by(module: ModuleType, among: Mapping[str, ModuleType]) -> set[str]:
    """Return which of some modules a module imports, as its text says, wherever in it."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):
        return set()  # made by a program, without a text
    found: set[str] = set()
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            base = (
                importlib.util.resolve_name(dots + (node.module or ""), package)
                if dots
                else node.module or ""
            )
            for alias in node.names:
                found |= {f"{base}.{alias.name}", base}
                # a class that another module passes on comes from where it was written
                found.add(str(getattr(_member(among.get(base), alias.name), "__module__", "")))
    return (found & among.keys()) - {module.__name__}


def _member(module: ModuleType | None, name: str) -> Any:
    return getattr(module, name, None) if module is not None else None
