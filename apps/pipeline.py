"""What is served: the classes of a pipeline, from its code or made from its database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from types import MappingProxyType

import dj_panel as dj
from dj_panel.core.connection import Connection
from dj_panel.core.errors import MissingTableError, did_you_mean
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.structure import TableName
from dj_panel.core.tiers import UserTable
from dj_panel.core.words import say
from dj_panel.modules import app_name, pipeline_classes, sorted_classes

__all__ = ["Pipeline", "app_name", "load_pipeline", "open_schemas"]


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
                say("This pipeline has no table '{name}'.", name=name) + did_you_mean(name, self.classes)
            ) from None

    def can_populate(self, name: str) -> bool:
        """Tell whether the code knows how to compute the table's rows."""
        cls = self[name]
        if self.module is None or not issubclass(cls, AutoPopulate):
            return False
        return cls.is_computable()


def load_pipeline(import_name: str, title: str | None = None) -> Pipeline:
    """Import a module, or a package with all its modules, and return the tables of its schemas.

    Raises
    ------
    MissingTableError
        If it cannot be imported, or declares no table.
    """
    classes = pipeline_classes(import_name)
    connection = next(iter(classes.values()))().connection
    return Pipeline(title or import_name, connection, MappingProxyType(classes), import_name)


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
    classes = MappingProxyType(sorted_classes(connection, [module.schema.classes for module in modules]))
    if not classes:
        raise MissingTableError(f"The schemas {', '.join(chosen)} have no tables.")
    return Pipeline(title or ", ".join(patterns), connection, classes)
