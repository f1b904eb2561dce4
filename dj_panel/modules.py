"""Import name of a pipeline → its classes, under the names by which the application and the workers know them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.errors import MissingTableError
from dj_panel.core.schema import Schema
from dj_panel.core.structure import TableName
from dj_panel.core.tiers import UserTable

__all__ = ["app_name", "imported_modules", "pipeline_classes", "sorted_classes"]


def app_name(name: TableName) -> str:
    """Return the name of a table in the application: ``lab.Session`` or, for a part, ``lab.Session.Trial``."""
    return f"{name.schema}.{name.class_name}"


def pipeline_classes(import_name: str) -> dict[str, type[UserTable]]:
    """Import a module, or a package with all its modules, and return the classes of its schemas.

    Returns
    -------
    dict
        Masters and parts by their name in the application, parents before children.

    Raises
    ------
    MissingTableError
        If there is no such module, or it has no active schema with a table.
    """
    schemas: dict[str, Schema] = {}
    for each in imported_modules(import_name):
        for value in vars(each).values():
            if isinstance(value, Schema) and value.is_activated():
                schemas.setdefault(value.name, value)
    if not any(schema.classes for schema in schemas.values()):
        raise MissingTableError(f"The module '{import_name}' has no active schema with a table.")
    connection = next(iter(schemas.values())).connection
    return sorted_classes(connection, [schema.classes for schema in schemas.values()])


def imported_modules(import_name: str) -> list[ModuleType]:
    """Import a module, or a package with all its modules, and return them.

    Raises
    ------
    MissingTableError
        If there is no such module.
    """
    try:
        module = importlib.import_module(import_name)
    except ModuleNotFoundError as error:
        if error.name and import_name.startswith(error.name):
            raise MissingTableError(
                f"There is no module '{import_name}'. Run the command in the folder that holds it, or install it."
            ) from error
        raise
    return [module, *_submodules(module)]


def _submodules(module: ModuleType) -> list[ModuleType]:
    path: Any = getattr(module, "__path__", None)
    if path is None:
        return []
    found = pkgutil.walk_packages(path, module.__name__ + ".")
    return [importlib.import_module(info.name) for info in found if not info.name.endswith("__main__")]


def sorted_classes(
    connection: Connection, groups: Sequence[dict[str, type[UserTable]]]
) -> dict[str, type[UserTable]]:
    """Return the classes of several schemas by their name in the application, parents before children."""
    places = {cls().name: cls for group in groups for cls in group.values()}
    order = [name for name in connection.catalog.graph_with_children().order if name in places]
    return {app_name(name): places[name] for name in order}
