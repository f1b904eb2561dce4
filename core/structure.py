"""Attributes, headings and the structure of a table: frozen facts that every floor above shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from dj_panel.core.columntypes import ColumnType, EnumType, IntegerType
from dj_panel.core.coretypes import is_core_type, parse_type
from dj_panel.core.errors import UnknownAttributeError
from dj_panel.core.lazy import np

__all__ = [
    "SQL_TYPES",
    "Attribute",
    "ForeignKey",
    "Heading",
    "Index",
    "Lineage",
    "TableName",
    "TableStructure",
    "Tier",
]

SQL_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
        "float32": "float", "float64": "double", "bool": "tinyint",
        "uuid": "binary(16)", "bytes": "longblob", "json": "json",
    }
)  # fmt: skip
"""What MySQL calls DataJoint's core types, as far as it calls them otherwise."""

Lineage = tuple[str, str, str]
"""Where an attribute was first defined: ``(schema, table, attribute)``."""


@dataclass(frozen=True, order=True)
class TableName:
    """A table's place: its schema and its name there, tier prefix included."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"`{self.schema}`.`{self.table}`"

    @property
    def tier(self) -> str:
        """``'Lookup'``, ``'Manual'``, ``'Imported'``, ``'Computed'``, ``'Part'`` or ``'Job'``, from the prefix."""
        return Tier.of(self.table)

    @property
    def master(self) -> TableName | None:
        """The master's name if this is a part table."""
        if self.tier != "Part":
            return None
        return TableName(self.schema, self.table.rpartition("__")[0])

    @property
    def class_name(self) -> str:
        """The class name that this name comes from: ``Session`` or, for a part, ``Session.Trial``."""
        master = self.master
        if master is not None:
            return f"{master.class_name}.{to_camel_case(self.table.rpartition('__')[2])}"
        return to_camel_case(self.table.lstrip("#_~"))


def to_camel_case(name: str) -> str:
    """Return the class name of a table name without its tier prefix.

    >>> to_camel_case("spike_train")
    'SpikeTrain'
    """
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def to_snake_case(name: str) -> str:
    """Return the table name of a class name: an underscore before *every* capital but the first.

    Source: DataJoint's `from_camel_case`; note that it splits abbreviations too.

    >>> to_snake_case("SpikeTrain"), to_snake_case("HTTPServer")
    ('spike_train', 'h_t_t_p_server')
    """
    out = []
    for position, letter in enumerate(name):
        if letter.isupper() and position:
            out.append("_")
        out.append(letter.lower())
    return "".join(out)


class Tier:
    """How rows arrive, told by a table name's prefix."""

    PREFIX: Mapping[str, str] = MappingProxyType(
        {"Manual": "", "Lookup": "#", "Imported": "_", "Computed": "__"}
    )

    @staticmethod
    def of(table: str) -> str:
        """Return the tier of a table name.

        >>> [Tier.of(name) for name in ("rig", "#rig", "_scan", "__fit", "__fit__peak", "~lineage")]
        ['Manual', 'Lookup', 'Imported', 'Computed', 'Part', 'Job']
        """
        if table.startswith("~"):
            return "Job"
        bare = table.lstrip("#_")
        if "__" in bare:
            return "Part"
        if table.startswith("#"):
            return "Lookup"
        if table.startswith("__"):
            return "Computed"
        return "Imported" if table.startswith("_") else "Manual"


@dataclass(frozen=True)
class Attribute:
    """One column of a heading.

    Parameters
    ----------
    name
        Its name.
    type
        As in the definition: a core type, a native type, or a codec such as ``<blob@main>``.
    stored_type
        The core or native type of the column behind a codec; the same as ``type`` without one.
    in_key
        Whether it is part of the primary key.
    nullable
        Whether it may be empty.
    default
        The default as text, without quotes; ``None`` where there is none, or where it is NULL.
    comment
        What the definition says after ``#``.
    lineage
        Where it was first defined, for attributes of keys and foreign keys.
    autoincrement
        Whether the server numbers new rows.
    """

    name: str
    type: str
    stored_type: str = ""
    in_key: bool = False
    nullable: bool = False
    default: str | None = None
    comment: str = ""
    lineage: Lineage | None = None
    autoincrement: bool = False

    @property
    def codec(self) -> str | None:
        """The codec's name, or ``None`` for a plain column."""
        return self.type[1:-1].partition("@")[0] if self.type.startswith("<") else None

    @property
    def store(self) -> str | None:
        """The store's name, ``""`` for the default store, or ``None`` if nothing is put in a store."""
        if not self.type.startswith("<"):
            return None
        _, at, store = self.type[1:-1].partition("@")
        return store if at else None

    @property
    def is_hidden(self) -> bool:
        """Whether it belongs to the framework: such names begin with an underscore."""
        return self.name.startswith("_")

    @property
    def marked_comment(self) -> str:
        """The comment with the mark by which DataJoint knows a core type or a codec.

        The mark is read up to its second colon, so a type that holds one cannot be marked.
        """
        is_marked = (self.type.startswith("<") or is_core_type(self.type)) and ":" not in self.type
        return f":{self.type}:{self.comment}" if is_marked else self.comment

    @property
    def column_type(self) -> ColumnType:
        """The checks of the column itself (behind a codec: of what the codec writes)."""
        return parse_type(self.stored_type or self.type)

    @property
    def has_default(self) -> bool:
        """Whether a row may leave it out."""
        return self.nullable or self.default is not None or self.autoincrement

    # The names under which DataJoint offers the same facts.
    @property
    def sql_type(self) -> str:
        """What MySQL calls the type of the column."""
        stored = self.stored_type or self.type
        return SQL_TYPES.get(stored.lower(), stored)

    @property
    def dtype(self) -> Any:
        """The type of an array of its values; of objects where they may be empty."""
        column = self.column_type
        if self.codec is None and column.kind == "float":
            return np.float64
        if self.codec is None and column.kind in ("integer", "boolean") and not self.nullable:
            return np.uint64 if isinstance(column, IntegerType) and column.high >= 2**63 else np.int64
        return object

    @property
    def is_blob(self) -> bool:
        """Whether the column itself holds bytes."""
        return self.column_type.kind == "bytes"

    @property
    def json(self) -> bool:
        """Whether the column itself holds JSON."""
        return self.column_type.kind == "json"

    @property
    def uuid(self) -> bool:
        """Whether it holds a UUID."""
        return self.column_type.kind == "uuid"

    @property
    def numeric(self) -> bool:
        """Whether it holds a number."""
        return self.column_type.kind in ("integer", "boolean", "float", "decimal")

    @property
    def string(self) -> bool:
        """Whether it holds text, a choice, or a time."""
        return self.column_type.kind in ("text", "enum", "date", "datetime", "time")

    @property
    def choices(self) -> tuple[str, ...]:
        """The words of an enum; empty for every other type."""
        column = self.column_type
        return column.choices if isinstance(column, EnumType) else ()


@dataclass(frozen=True)
class Heading:
    """The attributes of a table or a query, in order; those of the primary key come first.

    Examples
    --------
    >>> heading = Heading((Attribute("id", "int32", in_key=True), Attribute("age", "int8")))
    >>> heading.primary_key, heading.secondary_attributes, "age" in heading
    (['id'], ['age'], True)
    """

    all_attributes: tuple[Attribute, ...]
    comment: str = field(default="", compare=False)

    @cached_property
    def attributes(self) -> Mapping[str, Attribute]:
        """The visible attributes by name."""
        return MappingProxyType({a.name: a for a in self.all_attributes if not a.is_hidden})

    @cached_property
    def names(self) -> list[str]:
        """The names of the visible attributes (a list, as in DataJoint; not to be changed)."""
        return list(self.attributes)

    @cached_property
    def primary_key(self) -> list[str]:
        """The names of the primary key; empty for a singleton."""
        return [a.name for a in self.attributes.values() if a.in_key]

    @cached_property
    def secondary_attributes(self) -> list[str]:
        """The names of the attributes outside the primary key."""
        return [a.name for a in self.attributes.values() if not a.in_key]

    @property
    def table_comment(self) -> str:
        """The table's comment; empty for a query."""
        return self.comment

    def __getitem__(self, name: str) -> Attribute:
        try:
            return self.attributes[name]
        except KeyError:
            raise UnknownAttributeError(name, available=self.names) from None

    def __contains__(self, name: object) -> bool:
        return name in self.attributes

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.attributes)

    def __repr__(self) -> str:
        lines = [f"# {self.comment}"] if self.comment else []
        lines += [_line(self[name]) for name in self.primary_key] + ["---"]
        lines += [_line(self[name]) for name in self.secondary_attributes]
        return "\n".join(lines)

    @property
    def non_blobs(self) -> list[str]:
        """The names of attributes whose values are short enough to print."""
        return [n for n, a in self.attributes.items() if a.codec is None and not a.is_blob and not a.json]

    @property
    def blobs(self) -> list[str]:
        """The names of attributes whose columns hold bytes."""
        return [n for n, a in self.attributes.items() if a.is_blob]

    @property
    def has_autoincrement(self) -> bool:
        """Whether the server numbers new rows."""
        return any(a.autoincrement for a in self.attributes.values())

    @property
    def as_dtype(self) -> np.dtype[Any]:
        """The type of a structured array of such rows."""
        return np.dtype([(n, a.dtype) for n, a in self.attributes.items()])

    def determines(self, other: Heading) -> bool:
        """Tell whether a row of this heading determines one of another, whose primary key it has."""
        return set(other.primary_key) <= set(self.names)

    @property
    def lineage(self) -> Mapping[str, Lineage | None]:
        """Where each attribute was first defined."""
        return {name: attribute.lineage for name, attribute in self.attributes.items()}

    def with_key(self, key: Iterable[str]) -> Heading:
        """Return the heading with another primary key, its attributes first and in the key's order."""
        key = list(key)
        first = [replace(self[name], in_key=True) for name in key]
        rest = [replace(a, in_key=False) for a in self.attributes.values() if a.name not in key]
        return Heading((*first, *rest), self.comment)


def _line(attribute: Attribute) -> str:
    default = (
        "=null" if attribute.nullable else "" if attribute.default is None else f'="{attribute.default}"'
    )
    return f"{attribute.name + default:<20} : {attribute.type:<20} # {attribute.comment}"


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: these attributes refer to those of the parent.

    Parameters
    ----------
    parent
        The parent table.
    attributes, parent_attributes
        Names here and there, pairwise.
    in_key
        Whether it is part of the primary key (a *primary* foreign key).
    nullable, unique
        As in ``-> [nullable, unique] Parent``.
    """

    parent: TableName
    attributes: tuple[str, ...]
    parent_attributes: tuple[str, ...]
    in_key: bool = False
    nullable: bool = False
    unique: bool = False

    @property
    def renamed(self) -> Mapping[str, str]:
        """The attributes that bear another name than in the parent: ours → the parent's."""
        pairs = zip(self.attributes, self.parent_attributes, strict=True)
        return {ours: theirs for ours, theirs in pairs if ours != theirs}


@dataclass(frozen=True)
class Index:
    """An index over attributes, or expressions in parentheses."""

    columns: tuple[str, ...]
    unique: bool = False

    @property
    def expressions(self) -> tuple[str, ...]:
        """Its columns that are not attributes: expressions in parentheses, and places inside JSON."""
        return tuple(column for column in self.columns if not column.isidentifier())


@dataclass(frozen=True)
class TableStructure:
    """All that the database knows of a table."""

    name: TableName
    heading: Heading
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()

    @property
    def comment(self) -> str:
        """The table's comment."""
        return self.heading.comment

    @cached_property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """The attributes that no two rows have the same values of, beside the primary key; expressions left out."""
        found = [i.columns for i in self.indexes if i.unique and not i.expressions]
        found += [fk.attributes for fk in self.foreign_keys if fk.unique]
        return tuple(dict.fromkeys(c for c in found if all(name in self.heading for name in c)))

    @property
    def has_unique(self) -> bool:
        """Whether more than the primary key, be it an expression, must be unique."""
        return bool(self.unique_keys) or any(index.unique for index in self.indexes)

    def foreign_key_of(self, attribute: str) -> ForeignKey | None:
        """Return the first foreign key that the attribute takes part in."""
        return next((fk for fk in self.foreign_keys if attribute in fk.attributes), None)
