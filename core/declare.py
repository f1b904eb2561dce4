"""A definition and its parents → the structure of the table to create."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from dj_panel.core.codec import resolve_dtype
from dj_panel.core.coretypes import core_type_like, is_core_type
from dj_panel.core.definition import AttributeLine, Definition, ForeignKeyLine, IndexLine, json_path
from dj_panel.core.errors import CodecError, DefinitionError, QuerySyntaxError, UnknownAttributeError
from dj_panel.core.settings import Settings
from dj_panel.core.sqltext import parse_text
from dj_panel.core.structure import Attribute, ForeignKey, Heading, Index, TableName, TableStructure

__all__ = ["JOB_METADATA", "PROVENANCE", "build_structure"]

logger = logging.getLogger("dj_panel")

_SINGLETON = Attribute(
    "_singleton", "bool", "bool", in_key=True, default="1", comment="singleton primary key"
)
JOB_METADATA = (
    Attribute(
        "_job_start_time", "datetime(3)", "datetime(3)", nullable=True, comment="when computation began"
    ),
    Attribute(
        "_job_duration", "float32", "float32", nullable=True, comment="computation duration in seconds"
    ),
    Attribute("_job_version", "varchar(64)", "varchar(64)", default="", comment="code version"),
)
PROVENANCE = Attribute(
    "_prov",
    "json",
    "json",
    nullable=True,
    comment="extrinsic provenance for a row that entered from outside",
)


def build_structure(
    name: TableName, definition: Definition, parents: Sequence[TableStructure], settings: Settings
) -> TableStructure:
    """Return the structure that a definition declares.

    Parameters
    ----------
    name
        Where the table will be.
    definition
        The parsed definition.
    parents
        The parents' structures, one for each foreign key of the definition, in order.
    settings
        Tells which hidden columns are wanted.

    Raises
    ------
    DefinitionError
        If the definition contradicts itself, its parents, or the rules of the table's tier.
    """
    if len(name.table) > 64:
        raise DefinitionError(
            f"The table name '{name.table}' is longer than 64 characters. Shorten the class name."
        )
    attributes: dict[str, Attribute] = {}
    foreign_keys: list[ForeignKey] = []
    indexes: list[Index] = []
    waiting = list(parents)
    for line in definition.lines:
        if isinstance(line, ForeignKeyLine):
            parent = waiting.pop(0)
            fk = _foreign_key(line, parent)
            for ours, theirs in zip(fk.attributes, fk.parent_attributes, strict=True):
                _inherit(attributes, ours, parent.heading[theirs], line)
            foreign_keys.append(fk)
            if fk.unique:
                indexes.append(Index(fk.attributes, unique=True))
        elif isinstance(line, IndexLine):
            indexes.append(Index(line.columns, line.unique))
        else:
            if line.name in attributes:
                raise line.error(
                    f"The attribute '{line.name}' comes with a foreign key already; remove its line",
                    line.name,
                )
            attributes[line.name] = _own_attribute(line, name)
    for line in definition.indexes:
        _check_index(line, attributes)
    _check_tier(name, definition, settings)
    hidden = [] if any(a.in_key for a in attributes.values()) else [_SINGLETON]
    if name.tier in ("Imported", "Computed") and settings.jobs.add_job_metadata:
        hidden += JOB_METADATA
    if name.tier == "Manual" and settings.provenance.capture:
        hidden.append(PROVENANCE)
    key_names = [a.name for a in attributes.values() if a.in_key]
    foreign_keys = [replace(fk, in_key=all(n in key_names for n in fk.attributes)) for fk in foreign_keys]
    heading = Heading((*attributes.values(), *hidden), definition.comment)
    return TableStructure(name, heading, tuple(foreign_keys), tuple(indexes))


def _own_attribute(line: AttributeLine, name: TableName) -> Attribute:
    kind = line.type
    stored = kind
    if not kind.startswith("<") and not is_core_type(kind):
        like = core_type_like(kind)
        logger.warning(
            "%s: the native type %s of '%s' may mean something else on another server.%s",
            name, kind, line.name, f" {like} is the core type nearest to it." if like else "",
        )  # fmt: skip
    if kind.startswith("<"):
        codec, at, store = kind[1:-1].partition("@")
        try:
            stored = resolve_dtype(codec, store if at else None)
        except CodecError as error:
            raise line.put(error, kind, ":") from None
    if line.is_numbered:
        stored = kind = kind.lower().replace("auto_increment", "").strip()
    elif is_core_type(kind) and not kind.lower().startswith("enum"):
        stored = kind.lower()
    return Attribute(
        name=line.name,
        type=kind,
        stored_type=stored,
        in_key=line.in_key,
        nullable=line.nullable,
        default=line.default,
        comment=line.comment,
        autoincrement=line.is_numbered,
    )


def _foreign_key(line: ForeignKeyLine, parent: TableStructure) -> ForeignKey:
    path = line.reference.path
    key = [a.name for a in parent.heading.all_attributes if a.in_key]
    new_names = {old: new for new, old in line.reference.renamed}
    for old in new_names:
        if old not in key:
            unknown = UnknownAttributeError(old, available=key, where=f"the primary key of {path}")
            raise line.put(unknown, old, "=")
    if any(parent.heading.attributes.get(n) is None for n in key):
        raise line.error(
            f"{path} has one row at most and no attribute to refer to; leave out this foreign key", path
        )
    attributes = tuple(new_names.get(n, n) for n in key)
    twice = next((n for n in attributes if attributes.count(n) > 1), None)
    if twice is not None:
        raise line.error(f"{path} has an attribute '{twice}' already; rename to another name", twice, "(")
    return ForeignKey(
        parent=parent.name,
        attributes=attributes,
        parent_attributes=tuple(key),
        in_key=line.in_key,
        nullable=line.nullable,
        unique=line.unique,
    )


def _inherit(attributes: dict[str, Attribute], name: str, parent: Attribute, line: ForeignKeyLine) -> None:
    path = line.reference.path
    ours = attributes.get(name)
    if ours is None:
        attributes[name] = Attribute(
            name=name,
            type=parent.type,
            stored_type=parent.stored_type,
            in_key=line.in_key,
            nullable=line.nullable,
            comment=parent.comment,
            lineage=parent.lineage,
        )
    elif ours.lineage is None and replace(ours.column_type, text="") != replace(parent.column_type, text=""):
        raise line.error(
            f"The foreign key brings an attribute '{name}' of the type {parent.type}, and the definition has one of the"
            f' type {ours.type}; remove the line of that, or rename: -> {path}.proj(new_name="{parent.name}")',
            path,
        )
    elif ours.lineage is None:
        attributes[name] = replace(ours, lineage=parent.lineage)
    elif parent.lineage is not None and ours.lineage != parent.lineage:
        raise line.error(
            f"Two foreign keys bring an attribute '{name}' of different origin ({'.'.join(ours.lineage)} and"
            f' {".".join(parent.lineage)}). Rename one: -> {path}.proj(new_name="{parent.name}")',
            path,
        )


def _check_index(line: IndexLine, attributes: dict[str, Attribute]) -> None:
    for column in line.columns:
        place = json_path(column)
        if place is not None:
            used: tuple[str, ...] = (place[0],)
        elif column.startswith("("):
            used = _attributes_of(column, line)
        else:
            used = (column,)
        for name in used:
            if name not in attributes:
                unknown = UnknownAttributeError(
                    name, available=attributes, where="the table, as its index says"
                )
                raise line.put(unknown, name, "(")
        if place is not None and attributes[place[0]].column_type.kind != "json":
            raise line.error(
                f"The index names {column}, a place inside '{place[0]}', whose type is"
                f" {attributes[place[0]].type} and not json",
                column,
                "(",
            )
        kind = attributes[column].column_type.kind if column in attributes else ""
        if kind in ("bytes", "json"):
            raise line.error(
                f"'{column}' has the type {attributes[column].type}, which no index can hold. A place inside"
                f" a json attribute can be indexed: {column}.path:type",
                column,
                "(",
            )


def _attributes_of(expression: str, line: IndexLine) -> tuple[str, ...]:
    try:
        template = parse_text(expression, "mysql")
    except QuerySyntaxError as error:
        raise line.error(f"The index over {expression} cannot be made: {error}", expression) from error
    if template.aggregates or not template.attributes:
        raise line.error(
            f"The index over {expression} cannot be made: it must be computed from attributes of the row alone",
            expression,
        )
    return template.attributes


def _check_tier(name: TableName, definition: Definition, settings: Settings) -> None:
    if name.tier not in ("Imported", "Computed") or settings.jobs.allow_new_pk_fields_in_computed_tables:
        return
    for line in definition.attributes:
        if line.in_key:
            # DataJoint means to refuse this and never does (its check is shadowed), so pipelines rely on it.
            logger.warning(
                "%s: '%s' is a key of its own in a table of the tier %s. One call of make() writes all rows of a"
                " parent's key; better put such rows into a part table.", name, line.name, name.tier,
            )  # fmt: skip
