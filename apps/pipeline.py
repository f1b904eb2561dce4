"""What is served: the classes of a pipeline, from its code or made from its database."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from types import MappingProxyType, ModuleType
from typing import Any

import dj_panel as dj
from dj_panel.core.connection import Connection
from dj_panel.core.errors import MissingTableError, did_you_mean
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.structure import TableName
from dj_panel.core.tiers import UserTable

__all__ = ["Pipeline", "app_name", "load_pipeline", "open_schemas"]


def app_name(name: TableName) -> str:
    """Return the name of a table in the application: ``lab.Session`` or, for a part, ``lab.Session.Trial``."""
    return f"{name.schema}.{name.class_name}"


@dataclass(frozen=True)
class Pipeline:
    """The tables that are served.

    Parameters
    ----------
    title
        What the application is called.
    connection
        The database.
    classes
        Every table's class by its name in the application, masters and parts, parents before children.
    module
        The import name of the code, from which workers start; ``None`` if there is none.
    """

    title: str
    connection: Connection
    classes: MappingProxyType[str, type[UserTable]]
    module: str | None = None
    names: MappingProxyType[TableName, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        places = {cls().name: name for name, cls in self.classes.items()}
        object.__setattr__(self, "names", MappingProxyType(places))

    def __getitem__(self, name: str) -> type[UserTable]:
        try:
            return self.classes[name]
        except KeyError:
            raise MissingTableError(
                f"This pipeline has no table '{name}'.{did_you_mean(name, self.classes)}"
            ) from None

    def can_populate(self, name: str) -> bool:
        """Tell whether the code knows how to compute the table's rows."""
        cls = self[name]
        if self.module is None or not issubclass(cls, AutoPopulate):
            return False
        return (
            cls.make is not AutoPopulate.make
            or cls.make_fetch is not AutoPopulate.make_fetch
            or hasattr(cls, "_make_tuples")
        )


def load_pipeline(import_name: str, title: str | None = None) -> Pipeline:
    """Import a module, or a package with all its modules, and return the tables of its schemas.

    Raises
    ------
    MissingTableError
        If it cannot be imported, or declares no table.
    """
    try:
        module = importlib.import_module(import_name)
    except ModuleNotFoundError as error:
        if error.name and import_name.startswith(error.name):
            raise MissingTableError(
                f"There is no module '{import_name}'. Run the command in the folder that holds it, or install it."
            ) from error
        raise
    modules = [module, *_submodules(module)]
    schemas: dict[str, dj.Schema] = {}
    for each in modules:
        for value in vars(each).values():
            if isinstance(value, dj.Schema) and value.is_activated():
                schemas.setdefault(value.name, value)
    if not schemas:
        raise MissingTableError(f"The module '{import_name}' has no active schema: nothing to serve.")
    connection = next(iter(schemas.values())).connection
    classes = _sorted_classes(connection, [schema.classes for schema in schemas.values()])
    return Pipeline(title or import_name, connection, classes, import_name)


def _submodules(module: ModuleType) -> list[ModuleType]:
    path: Any = getattr(module, "__path__", None)
    if path is None:
        return []
    found = pkgutil.walk_packages(path, module.__name__ + ".")
    return [importlib.import_module(info.name) for info in found if not info.name.endswith("__main__")]


def open_schemas(patterns: Sequence[str], title: str | None = None) -> Pipeline:
    """Return the tables of existing schemas whose names match, with classes made from the database.

    Parameters
    ----------
    patterns
        Names, ``*`` and ``?`` allowed: ``["lab_*"]``.

    Raises
    ------
    MissingTableError
        If no schema matches, or the ones that do have no table.
    """
    connection = dj.conn()
    known = dj.list_schemas()
    chosen = [name for name in known if any(fnmatch(name, pattern) for pattern in patterns)]
    if not chosen:
        raise MissingTableError(
            f"No schema matches {', '.join(patterns)}."
            + (f" The database has: {', '.join(known)}." if known else " The database has no schema yet.")
        )
    modules = [dj.virtual_schema(name) for name in chosen]
    classes = _sorted_classes(connection, [module.schema.classes for module in modules])
    if not classes:
        raise MissingTableError(f"The schemas {', '.join(chosen)} have no tables.")
    return Pipeline(title or ", ".join(patterns), connection, classes)


def _sorted_classes(
    connection: Connection, groups: Sequence[dict[str, type[UserTable]]]
) -> MappingProxyType[str, type[UserTable]]:
    places = {cls().name: cls for group in groups for cls in group.values()}
    order = [name for name in connection.catalog.graph_with_children().order if name in places]
    return MappingProxyType({app_name(name): places[name] for name in order})
