"""Schemas: they bind classes to tables of the database, and make classes of tables that have none.

Source: DataJoint 2.3, `reference/specs/table-declaration` and the behaviour of its published package.
"""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dj_panel.core.catalog import lineage_rows
from dj_panel.core.connection import Connection
from dj_panel.core.defaults import conn
from dj_panel.core.describe import describe
from dj_panel.core.errors import (
    AccessError,
    DefinitionError,
    MissingTableError,
    QueryError,
    QuerySyntaxError,
    QueryTimeoutError,
    did_you_mean,
)
from dj_panel.core.jobs import Job, create_table
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.references import declared_structure, names_of_module
from dj_panel.core.structure import TableName
from dj_panel.core.table import FreeTable, ask
from dj_panel.core.tiers import Part, UserTable, parts_of, sql_name, tier_class

__all__ = ["Schema", "VirtualModule", "list_schemas", "only_looking", "virtual_schema"]

logger = logging.getLogger("dj_panel")


_seen: ContextVar[list[Schema] | None] = ContextVar("_seen", default=None)


@contextmanager
def only_looking() -> Iterator[list[Schema]]:
    """Bind classes to their tables within the block without creating or filling any.

    Yields
    ------
    list
        The schemas that become active meanwhile.
    """
    seen: list[Schema] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


class Schema:
    """A schema of the database and the decorator that puts classes into it.

    Parameters
    ----------
    schema_name
        Its name; without one the schema waits for :meth:`activate`, and so do the classes it decorates.
    context
        Names that definitions may refer to; those of the module and function of each class if not given.
    connection
        The connection; the process's if not given.
    create_schema
        Whether to create the schema if it is missing.
    create_tables
        Whether to declare tables that are missing; ``config.database.create_tables`` if not given.
    add_objects
        More names that definitions may refer to.
    """

    def __init__(
        self,
        schema_name: str | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        create_schema: bool = True,
        create_tables: bool | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> None:
        self._given_connection = connection
        self._context = dict(context) if context is not None else None
        self._add_objects = dict(add_objects or {})
        self._create_schema = create_schema
        self._create_tables = create_tables
        self._waiting: list[tuple[type[UserTable], dict[str, Any]]] = []
        self._classes: dict[str, type[UserTable]] = {}
        self.database: str | None = None
        if schema_name:
            self.activate(schema_name)

    def __repr__(self) -> str:
        return f"Schema({self.database!r})"

    # ------------------------------------------------------------------ activating
    def activate(
        self,
        schema_name: str | None = None,
        *,
        connection: Connection | None = None,
        create_schema: bool | None = None,
        create_tables: bool | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect the schema to the database and declare the classes that wait; parameters as above."""
        if self.database is not None:
            if schema_name in (None, self.database):
                return
            raise DefinitionError(
                f"The schema is active as '{self.database}' already; it cannot become '{schema_name}'."
            )
        if not schema_name:
            raise DefinitionError("A schema needs a name to be activated.")
        if len(schema_name) > 64 or any(c in schema_name for c in '`"./\\'):
            raise DefinitionError(
                f"'{schema_name}' cannot name a schema: at most 64 characters, without quotes, dots and slashes."
            )
        self._given_connection = connection or self._given_connection
        if create_schema is not None:
            self._create_schema = create_schema
        if create_tables is not None:
            self._create_tables = create_tables
        self._add_objects.update(add_objects or {})
        seen = _seen.get()
        if seen is not None:
            seen.append(self)
        elif schema_name not in self._list_schemas():
            if not self._create_schema:
                raise MissingTableError(
                    f"There is no schema '{schema_name}'.{did_you_mean(schema_name, self._list_schemas())}"
                    " Correct the name, or create it with create_schema=True."
                )
            for statement in self.connection.dialect.create_schema(schema_name):
                self.connection.run(statement)
        self.database = schema_name
        self.connection.register(self)
        waiting, self._waiting = self._waiting, []
        for cls, context in waiting:
            # by now the module has names that it had not when the class was decorated
            self._bind(cls, {**(names_of_module(cls) if self._context is None else {}), **context})

    def _list_schemas(self) -> list[str]:
        return list_schemas(self.connection)

    @property
    def connection(self) -> Connection:
        """The connection."""
        if self._given_connection is None:
            self._given_connection = conn()
        return self._given_connection

    def is_activated(self) -> bool:
        """Tell whether the schema is connected to the database."""
        return self.database is not None

    @property
    def name(self) -> str:
        """The schema's name in the database.

        Raises
        ------
        MissingTableError
            If the schema was not activated.
        """
        if self.database is None:
            raise MissingTableError("The schema is not activated. Call activate(name) first.")
        return self.database

    @property
    def exists(self) -> bool:
        """Whether the database has the schema."""
        return self.name in self._list_schemas()

    # ------------------------------------------------------------------ classes → tables
    def __call__(self, cls: Any, *, context: Mapping[str, Any] | None = None) -> type[Any]:
        """Put a class, and its parts, into the schema."""
        if not (isinstance(cls, type) and issubclass(cls, UserTable)):
            raise DefinitionError(
                f"{cls!r} is not a table: inherit from dj.Manual, dj.Lookup, dj.Imported or dj.Computed."
            )
        if issubclass(cls, Part):
            raise DefinitionError(
                f"{cls.__name__} is a part: define it inside its master, and decorate only the master."
            )
        names = dict(context) if context is not None else self._names_around(cls)
        if self.database is None:
            self._waiting.append((cls, names))
        else:
            self._bind(cls, names)
        return cls

    def _names_around(self, cls: type[Any]) -> dict[str, Any]:
        if self._context is not None:
            return {**self._context, **self._add_objects}
        frame = inspect.currentframe()
        caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
        local = dict(caller.f_locals) if caller is not None else {}
        return {**names_of_module(cls), **local, **self._add_objects}

    def _bind(self, cls: type[UserTable], context: dict[str, Any]) -> None:
        name = TableName(self.name, sql_name(cls))
        self._bind_one(cls, name, {**context, cls.__name__: cls})
        for part in parts_of(cls):
            part._master = cls
            place = TableName(self.name, sql_name(part, name.table))
            self._bind_one(part, place, {**context, cls.__name__: cls, "master": cls, part.__name__: part})
        self._classes[cls.__name__] = cls

    def _bind_one(self, cls: type[UserTable], name: TableName, context: dict[str, Any]) -> None:
        connection = self.connection
        if _seen.get() is not None:
            cls._bound, cls._context = (connection, name), context
            return
        found = connection.catalog.find(name)
        if found is None:
            create = (
                connection.settings.database.create_tables
                if self._create_tables is None
                else self._create_tables
            )
            if not create and connection.catalog.refreshed(name) is None:
                raise MissingTableError(
                    f"The table {name} is not in the database, and tables are not to be created. Declare it by a"
                    " program that may, or set create_tables=True."
                )
            if create:
                self._declare(cls, name, context)
        cls._bound = (connection, name)
        cls._context = context
        self._fill(cls)

    def _declare(self, cls: type[UserTable], name: TableName, context: dict[str, Any]) -> None:
        connection = self.connection
        if connection.in_transaction:
            raise DefinitionError(f"{cls.__name__} cannot be declared inside a transaction. Commit it first.")
        structure = declared_structure(cls, name, context, connection, to_be_made=True)
        inherited = {
            ours: connection.catalog.character_set(fk.parent, theirs, seen_from=name.schema)
            for fk in structure.foreign_keys
            for ours, theirs in zip(fk.attributes, fk.parent_attributes, strict=True)
        }
        try:
            create_table(connection, structure, inherited)
        except QueryError as error:
            if isinstance(error, (AccessError, QueryTimeoutError)):
                raise
            raise DefinitionError(f"{name}: the server refuses this table: {error}") from error

    def _fill(self, cls: type[UserTable]) -> None:
        contents = inspect.getattr_static(cls, "contents", None)
        if isinstance(contents, property):
            contents = contents.fget(cls()) if contents.fget else None
        if contents is None:
            return
        # An array or a data frame has a length, and no truth of its own.
        rows = contents if hasattr(contents, "__len__") else list(contents)
        table = cls()
        if len(rows) and len(rows) > len(table):
            table.insert(
                rows,
                skip_duplicates=True,
                **({"allow_direct_insert": True} if isinstance(table, AutoPopulate) else {}),
            )

    # ------------------------------------------------------------------ tables → classes
    def list_tables(self) -> list[str]:
        """Return the names of the tables as the database has them, in topological order."""
        self.connection.catalog.forget(self.name)
        self.connection.catalog.tables(self.name)
        order = self.connection.catalog.graph.order
        return [name.table for name in order if name.schema == self.name]

    def __iter__(self) -> Iterator[FreeTable]:
        return (self.get_table(name) for name in self.list_tables())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.list_tables() or self._find(name) is not None)

    def _find(self, name: str) -> TableName | None:
        names = [TableName(self.name, table) for table in self.connection.catalog.tables(self.name)]
        return next((n for n in names if name in (n.table, n.class_name)), None)

    def get_table(self, name: str) -> FreeTable:
        """Return a table by its class name or its name in the database."""
        found = self._find(name)
        if found is None:
            known = [TableName(self.name, t).class_name for t in self.connection.catalog.tables(self.name)]
            raise MissingTableError(
                f"The schema {self.name} has no table '{name}'.{did_you_mean(name, known)}"
            )
        return FreeTable(self.connection, found)

    def __getitem__(self, name: str) -> FreeTable:
        return self.get_table(name)

    def make_classes(self, into: dict[str, Any] | None = None) -> dict[str, type[UserTable]]:
        """Make a class of each table that has none.

        Parameters
        ----------
        into
            Where to put them; the caller's namespace if not given. Where a name is taken, nothing is replaced.

        Returns
        -------
        dict
            All of the schema's classes by name, masters before their parts.
        """
        frame = inspect.currentframe()
        if into is None and frame is not None and frame.f_back is not None:
            into = frame.f_back.f_locals
        made: dict[str, type[UserTable]] = dict(self._classes)
        for table in self.list_tables():
            name = TableName(self.name, table)
            if name.master is None and name.class_name not in made:
                made[name.class_name] = self._virtual_class(name)
        for table in self.list_tables():
            name = TableName(self.name, table)
            if name.master is None:
                continue
            owner, part = name.class_name.split(".", 1)
            if owner in made and not hasattr(made[owner], part):
                cls = self._virtual_class(name)
                cls._master = made[owner]  # type: ignore[attr-defined]
                setattr(made[owner], part, cls)
        for class_name, cls in made.items():
            self._classes.setdefault(class_name, cls)
            if into is not None:
                into.setdefault(class_name, cls)
        return made

    def _virtual_class(self, name: TableName) -> type[UserTable]:
        structure = self.connection.catalog.structure(name)
        short = name.class_name.rpartition(".")[2]
        body = {
            "definition": describe(structure),
            "__doc__": structure.comment,
            "_bound": (self.connection, name),
            "_is_virtual": True,
        }
        return type(short, (tier_class(name.table),), body)

    @property
    def classes(self) -> dict[str, type[UserTable]]:
        """The classes in the schema by class name; a part is ``Master.Part``."""
        found: dict[str, type[UserTable]] = {}
        for name, cls in self._classes.items():
            found[name] = cls
            for part in parts_of(cls):
                found[f"{name}.{part.__name__}"] = part
        return found

    # ------------------------------------------------------------------ lineage
    @property
    def lineage(self) -> dict[str, str]:
        """The origin of every attribute of a key or foreign key: ``"schema.table.attribute"`` → the same of its origin."""
        return {f"{self.name}.{table}.{name}": origin for table, name, origin in self._lineage_rows()}

    def _lineage_rows(self) -> list[tuple[str, str, str]]:
        tables = self.connection.catalog.tables(self.name)
        return [r for n, structure in tables.items() if n != "~lineage" for r in lineage_rows(structure)]

    @property
    def lineage_table_exists(self) -> bool:
        """Whether DataJoint finds a table of origins here; ours come from the foreign keys and need none."""
        return self.connection.catalog.refreshed(TableName(self.name, "~lineage")) is not None

    def rebuild_lineage(self) -> None:
        """Write the origins of all attributes anew, for DataJoint, whose joins fail where some are missing."""
        for statement in self.connection.dialect.record_lineage(self.name, self._lineage_rows()):
            self.connection.run(statement)

    # ------------------------------------------------------------------ the rest
    @property
    def jobs(self) -> list[Job]:
        """The job queues of the tables that have one."""
        found = []
        for name in self.list_tables():
            place = TableName(self.name, name)
            if place.tier not in ("Imported", "Computed"):
                continue
            if self.connection.catalog.find(TableName(self.name, "~~" + name.lstrip("_"))) is not None:
                cls = self._classes.get(place.class_name) or self._virtual_class(place)
                found.append(cls().jobs)  # type: ignore[attr-defined]
        return found

    @property
    def code(self) -> str:
        """Python code that declares the schema again."""
        lines = ["import dj_panel as dj", "", f"schema = dj.Schema({self.name!r})", ""]
        for table in self.list_tables():
            name = TableName(self.name, table)
            if name.master is None:
                lines += _class_code(self.connection, name, indent="")
        return "\n".join(lines)

    def save(self, filename: str | None = None) -> str:
        """Return :attr:`code`, and write it to a file if one is named."""
        if filename:
            with open(filename, "w", encoding="utf-8") as file:
                file.write(self.code)
        return self.code

    def drop(self, prompt: bool | None = None) -> None:
        """Drop the schema with all its tables and rows, after asking as ``config.safemode`` says."""
        connection = self.connection
        prompt = connection.settings.safemode if prompt is None else prompt
        if prompt and not ask(f"Drop the schema {self.name} with all its tables?"):
            return
        connection.catalog.forget(self.name)
        tables = connection.catalog.tables(self.name)
        outside = [
            child
            for table in tables
            for child, _ in connection.catalog.graph_with_children().children(TableName(self.name, table))
            if child.schema != self.name
        ]
        if outside:
            raise QuerySyntaxError(
                f"The schema {self.name} cannot be dropped: {outside[0]} refers to it. Drop that first."
            )
        order = [n for n in connection.catalog.graph.order if n.schema == self.name]
        hidden = [TableName(self.name, t) for t in tables if t.startswith("~")]
        for statement in connection.dialect.drop_schema(self.name, [*hidden, *reversed(order)]):
            connection.run(statement)
        connection.catalog.forget(self.name)


def _class_code(connection: Connection, name: TableName, indent: str) -> list[str]:
    structure = connection.catalog.structure(name)
    tier = name.tier
    body = [f"{indent}    {line}".rstrip() for line in describe(structure).splitlines()]
    head = [f"{indent}@schema"] if tier != "Part" else []
    lines = [*head, f"{indent}class {name.class_name.rpartition('.')[2]}(dj.{tier}):"]
    lines += [f'{indent}    definition = """', *body, f'{indent}    """', ""]
    for table in connection.catalog.tables(name.schema):
        part = TableName(name.schema, table)
        if part.master == name:
            lines += _class_code(connection, part, indent + "    ")
    return lines


class VirtualModule(types.ModuleType):
    """A module whose classes are made from the tables of a schema.

    Parameters
    ----------
    module_name
        The module's name.
    schema_name
        The schema.
    create_schema, create_tables, connection, add_objects
        As for :class:`Schema`.
    """

    def __init__(
        self,
        module_name: str,
        schema_name: str,
        *,
        create_schema: bool = False,
        create_tables: bool = False,
        connection: Connection | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(module_name)
        schema = Schema(
            schema_name,
            connection=connection,
            create_schema=create_schema,
            create_tables=create_tables,
            add_objects=add_objects,
        )
        self.__dict__["schema"] = schema
        self.__dict__.update(add_objects or {})
        schema.make_classes(into=self.__dict__)


def virtual_schema(
    schema_name: str, *, connection: Connection | None = None, **options: Any
) -> VirtualModule:
    """Return a module of classes for an existing schema."""
    return VirtualModule(schema_name, schema_name, connection=connection, **options)


def list_schemas(connection: Connection | None = None) -> list[str]:
    """Return the names of the schemas that can be seen."""
    connection = connection or conn()
    return connection.dialect.list_schemas(lambda sql, values: connection.query(sql, values).fetchall())
