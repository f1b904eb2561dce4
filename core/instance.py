"""Instances: settings and a connection of their own, beside those of the process.

Source: DataJoint 2.3, ``dj.Instance`` and its thread-safe mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.schema import Schema, VirtualModule, list_schemas, virtual_schema
from dj_panel.core.settings import Settings, load_settings
from dj_panel.core.table import FreeTable

__all__ = ["Instance"]


class Instance:
    """One database with its settings; any number of them may be used in one process, by any thread.

    Parameters
    ----------
    host, user, password, port, use_tls
        Where the server is, and who logs in; what is not given comes from `datajoint.json`, the environment
        and `.secrets/`, as for the process's own settings.
    backend
        ``"mysql"`` or ``"sqlite"``; MySQL if a host is given.
    **settings
        More settings, group and name joined by ``__``: ``safemode=False``, ``database__name="lab.db"``.

    Attributes
    ----------
    config : Settings
        Its settings.
    connection : Connection
        Its connection, one of the driver's for each thread.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "lab.db")
    >>> lab = Instance(backend="sqlite", database__name=path, safemode=False)
    >>> lab.Schema("lab").list_tables()
    []
    >>> lab.close()
    """

    def __init__(
        self,
        host: str | None = None,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
        use_tls: Any = None,
        backend: str | None = None,
        **settings: Any,
    ) -> None:
        self.config: Settings = load_settings()
        self.config.thread_safe = False
        if host is not None and backend is None and "database__backend" not in settings:
            backend = "mysql"
        given = {
            "host": host, "user": user, "password": password, "port": port, "use_tls": use_tls, "backend": backend,
        }  # fmt: skip
        for name, value in given.items():
            if value is not None:
                self.config[f"database.{name}"] = value
        for name, value in settings.items():
            self.config[name.replace("__", ".")] = value
        self.connection = Connection(self.config)

    def __repr__(self) -> str:
        return f"Instance({self.connection!r})"

    def Schema(  # noqa: N802 - DataJoint's name
        self,
        schema_name: str | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        create_schema: bool = True,
        create_tables: bool | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> Schema:
        """Return a schema on this connection; parameters as for :class:`~dj_panel.core.schema.Schema`."""
        return Schema(
            schema_name,
            context,
            connection=self.connection,
            create_schema=create_schema,
            create_tables=create_tables,
            add_objects=add_objects,
        )

    def FreeTable(self, full_table_name: str) -> FreeTable:  # noqa: N802 - DataJoint's name
        """Return a table by its name, such as ``"lab.#rig"``."""
        return FreeTable(self.connection, full_table_name)

    def virtual_schema(self, schema_name: str, **options: Any) -> VirtualModule:
        """Return a module of classes for an existing schema."""
        return virtual_schema(schema_name, connection=self.connection, **options)

    def list_schemas(self) -> list[str]:
        """Return the names of the schemas that can be seen."""
        return list_schemas(self.connection)

    def close(self) -> None:
        """Close the connections of all threads."""
        self.connection.close()
