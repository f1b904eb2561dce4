"""The tiers as base classes: Lookup, Manual, Imported, Computed and Part.

A table's class can be used like a table: ``Session & key`` is ``Session() & key``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from dj_panel.core.alter import plan_alter
from dj_panel.core.connection import Connection
from dj_panel.core.errors import DefinitionError, MissingTableError
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.references import declared_structure, names_of_module
from dj_panel.core.structure import TableName, Tier, to_snake_case
from dj_panel.core.table import Table, ask

__all__ = ["Computed", "Imported", "Lookup", "Manual", "Part", "UserTable", "is_part", "parts_of"]

# What is asked of an instance when it is written after the class.
_OF_INSTANCES = frozenset(
    [
        "node",
        "structure",
        "heading",
        "primary_key",
        "restriction",
        "connection",
        "name",
        "table_name",
        "full_table_name",
        "database",
        "class_name",
        "is_declared",
        "describe",
        "parents",
        "children",
        "ancestors",
        "descendants",
        "parts",
        "restrict",
        "proj",
        "join",
        "extend",
        "aggr",
        "aggregate",
        "count",
        "to_dicts",
        "to_arrays",
        "to_pandas",
        "to_polars",
        "to_arrow",
        "keys",
        "fetch",
        "fetch1",
        "head",
        "tail",
        "stream",
        "cursor",
        "insert",
        "insert1",
        "insert_dataframe",
        "update1",
        "delete",
        "delete_quick",
        "plan_delete",
        "drop",
        "drop_quick",
        "staged_insert1",
        "validate",
        "alter",
        "key_source",
        "populate",
        "progress",
        "jobs",
        "make_sql",
        "to_arrow_batches",
        "preview",
    ]
)


class TableMeta(type):
    """Lets a table's class stand for the whole table."""

    def __getattribute__(cls, name: str) -> Any:
        if name in _OF_INSTANCES and type.__getattribute__(cls, "_bound") is not None:
            return getattr(cls(), name)
        return type.__getattribute__(cls, name)

    def __and__(cls, other: Any) -> Any:
        return cls() & other

    def __sub__(cls, other: Any) -> Any:
        return cls() - other

    def __neg__(cls) -> Any:
        return -cls()

    def __mul__(cls, other: Any) -> Any:
        return cls() * other

    def __add__(cls, other: Any) -> Any:
        return cls() + other

    def __xor__(cls, other: Any) -> Any:
        return cls() ^ other

    def __matmul__(cls, other: Any) -> Any:
        return cls() @ other

    def __iter__(cls) -> Iterator[Any]:
        return iter(cls())

    def __len__(cls) -> int:
        return len(cls())

    def __bool__(cls) -> bool:
        # Classes are asked for their truth by many tools; only an instance asks the database.
        return True


class DefinedTable(Table):
    """A table that has a definition."""

    _context: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def alter(
        self,
        prompt: bool = True,
        context: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        *,
        allow_loss: bool = False,
    ) -> str:
        """Change the table in the database into what its definition says now.

        An attribute whose comment begins with an old name in braces, ``{weight}``, is that one renamed.

        Parameters
        ----------
        prompt
            Whether to show the SQL and ask on the terminal first.
        context
            Names that the definition may refer to; those known when the class was declared, if not given.
        dry_run
            Whether to change nothing.
        allow_loss
            Whether attributes that hold values may be dropped.

        Returns
        -------
        str
            The SQL; empty if there is nothing to alter.

        Raises
        ------
        DefinitionError
            If the change is of a kind that is never made in place, such as one of the primary key.
        IntegrityError
            If rows stand against it: values that would be lost, or would not fit.
        """
        connection, cls = self.connection, type(self)
        if connection.in_transaction:
            raise DefinitionError(f"{cls.__name__} cannot be altered inside a transaction. Commit it first.")
        names = {**names_of_module(cls), **cls._context, **(context or {})}
        wanted = declared_structure(cls, self.name, names, connection, to_be_made=True)
        plan = plan_alter(connection, wanted, allow_loss=allow_loss)
        if not plan.differences:
            return ""
        plan.check()
        sql = plan.sql
        if dry_run:
            return sql
        if prompt and not ask(f"{sql}\n\nAlter the table?"):
            return ""
        plan.carry_out()
        return sql


class UserTable(DefinedTable, metaclass=TableMeta):
    """A table with a class of its own; the schema binds it to the database."""

    if TYPE_CHECKING:
        # The metaclass lets these be called on the class as well as on an instance, which no annotation of a
        # method can say.
        aggr: ClassVar[Any]
        alter: ClassVar[Any]
        ancestors: ClassVar[Any]
        children: ClassVar[Any]
        count: ClassVar[Any]
        delete: ClassVar[Any]
        delete_quick: ClassVar[Any]
        describe: ClassVar[Any]
        drop: ClassVar[Any]
        extend: ClassVar[Any]
        fetch: ClassVar[Any]
        fetch1: ClassVar[Any]
        head: ClassVar[Any]
        heading: ClassVar[Any]
        full_table_name: ClassVar[Any]
        primary_key: ClassVar[Any]
        table_name: ClassVar[Any]
        insert: ClassVar[Any]
        insert1: ClassVar[Any]
        insert_dataframe: ClassVar[Any]
        join: ClassVar[Any]
        keys: ClassVar[Any]
        parents: ClassVar[Any]
        parts: ClassVar[Any]
        plan_delete: ClassVar[Any]
        populate: ClassVar[Any]
        progress: ClassVar[Any]
        proj: ClassVar[Any]
        restrict: ClassVar[Any]
        tail: ClassVar[Any]
        to_arrays: ClassVar[Any]
        to_dicts: ClassVar[Any]
        to_pandas: ClassVar[Any]
        update1: ClassVar[Any]
        validate: ClassVar[Any]

    definition: ClassVar[Any]
    contents: ClassVar[Any] = ()
    _is_virtual: ClassVar[bool] = False  # made from the database, not written
    _prefix: ClassVar[str] = ""
    _bound: ClassVar[tuple[Connection, TableName] | None] = None

    def __init__(self) -> None:
        bound = type(self)._bound
        if bound is None:
            raise MissingTableError(
                f"The class {type(self).__name__} belongs to no schema. Put the schema as a decorator above it"
                " (above its master, if it is a part), and activate the schema."
            )
        super().__init__(*bound)


class Lookup(UserTable):
    """A table of fixed facts; ``contents`` are inserted when it is declared."""

    _prefix = "#"


class Manual(UserTable):
    """A table that people fill in."""


class Imported(AutoPopulate, UserTable):
    """A table that ``make`` fills from files or instruments."""

    if TYPE_CHECKING:
        jobs: ClassVar[Any]
        populate: ClassVar[Any]
        progress: ClassVar[Any]

    _prefix = "_"


class Computed(AutoPopulate, UserTable):
    """A table that ``make`` computes from other tables."""

    if TYPE_CHECKING:
        jobs: ClassVar[Any]
        populate: ClassVar[Any]
        progress: ClassVar[Any]

    _prefix = "__"


class Part(UserTable):
    """A table that belongs to a master; a class inside the master's class."""

    _master: ClassVar[type[UserTable] | None] = None

    @property
    def master(self) -> Any:
        """The master's class."""
        return type(self)._master

    def delete(self, part_integrity: str = "enforce", **options: Any) -> int:  # type: ignore[override]
        """Delete part rows; their master must go too unless ``part_integrity`` says otherwise.

        Parameters as for :meth:`Table.delete <dj_panel.core.table.Table.delete>`, in DataJoint's order for parts.
        """
        number: int = super().delete(part_integrity=part_integrity, **options)
        return number

    def drop(self, part_integrity: str = "enforce", prompt: bool | None = None) -> None:  # type: ignore[override]
        """Drop the part; its master must go too unless ``part_integrity="ignore"``."""
        super().drop(prompt, part_integrity)


def parts_of(cls: type[Any]) -> list[Any]:
    """Return the classes of a master's parts, its own before those that it inherits."""
    found: dict[str, Any] = {}
    for each in cls.__mro__:
        if each not in _WITHOUT_PARTS:
            found = {**vars(each), **found}
    return [member for member in found.values() if is_part(member)]


_WITHOUT_PARTS = frozenset((*Part.__mro__, *UserTable.__mro__, Manual, Lookup, Imported, Computed))


def is_part(member: Any) -> bool:
    """Tell whether something is the class of a part table."""
    return isinstance(member, type) and issubclass(member, Part) and member is not Part


def sql_name(cls: type[UserTable], master: str | None = None) -> str:
    """Return the name in the database of a table's class.

    Parameters
    ----------
    cls
        The class.
    master
        The master's name in the database, for a part.

    Raises
    ------
    DefinitionError
        If the class name is not one that a table can have.
    """
    name = cls.__name__.replace("_", "")
    if not name.isascii() or not name.isalnum() or not name[0].isupper():
        raise DefinitionError(
            f"The class name '{cls.__name__}' must be in CamelCase: letters and digits, a capital first."
        )
    snake = to_snake_case(name)
    return f"{master}__{snake}" if master is not None else cls._prefix + snake


def tier_class(table: str) -> type[UserTable]:
    """Return the base class for a table's name."""
    classes: dict[str, type[UserTable]] = {
        "Lookup": Lookup, "Manual": Manual, "Imported": Imported, "Computed": Computed, "Part": Part,
    }  # fmt: skip
    return classes[Tier.of(table)]


# The names that DataJoint gives the tiers beside the classic ones.
Entry, Ingest, Compute = Manual, Imported, Computed
