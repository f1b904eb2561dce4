"""Limits that only a server of the MySQL family knows, kept on every server and told in our words.

A table that is declared on the embedded database today can then be declared on a server tomorrow.

Source: MySQL 8.0 manual, "Limits on Table Column Count and Row Size", "InnoDB Limits", "Identifier Length Limits";
the sizes were tried on MariaDB 10.11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from dj_panel.core.columntypes import (
    BytesType,
    DatetimeType,
    DecimalType,
    EnumType,
    IntegerType,
    TextType,
    TimeType,
)
from dj_panel.core.definition import AttributeLine, Definition, IndexLine
from dj_panel.core.errors import DefinitionError
from dj_panel.core.place import Placed
from dj_panel.core.structure import Attribute, TableStructure

__all__ = ["check_limits"]

WidthOf = Callable[[Attribute], int]
"""Gives the bytes that a character of a text attribute may take."""

_NAME = 64
_CONSTRAINT = 63  # what MariaDB takes, one less than a name
_ATTRIBUTE_COMMENT, _TABLE_COMMENT = 1024, 2048
_COLUMNS, _INDEXES, _INDEX_COLUMNS = 1017, 64, 16
_KEY_BYTES, _ROW_BYTES, _PAGE_BYTES = 3072, 65_535, 8126
_BLOB_BYTES = {"tiny": 9, "": 10, "medium": 11, "long": 12}


def check_limits(
    table: TableStructure,
    definition: Definition,
    width_of: WidthOf,
    *,
    is_narrow: bool,
    numbers_only_keys: bool,
) -> None:
    """Refuse a table that a server would not create.

    Parameters
    ----------
    table
        What is to be created.
    definition
        What it comes from, for the places of what is wrong.
    width_of
        Asked only if four bytes for each character are too many.
    is_narrow
        Whether the server's catalog keeps no character beyond U+FFFF.
    numbers_only_keys
        Whether the server numbers rows only by an attribute that is the whole primary key.

    Raises
    ------
    DefinitionError
        With the limit, and what to do.
    """
    lines: dict[str, Placed] = {line.name: line for line in definition.attributes}
    _check_names(table)
    for attribute in table.heading.attributes.values():
        line = lines.get(attribute.name, Placed())
        if attribute.name in lines:
            _check_comment(attribute, line)
        if is_narrow:
            _check_characters(attribute, line)
    if len(table.comment) > _TABLE_COMMENT:
        raise definition.error(
            f"The table's comment has {len(table.comment)} characters, and {_TABLE_COMMENT} is the most; shorten it"
        )
    if is_narrow and (letter := _beyond(table.comment)):
        raise definition.error(_lost("comments", letter), letter)
    for numbered in definition.attributes:
        if numbered.is_numbered:
            _check_numbered(numbered, table, numbers_only_keys)
    _check_counts(table)
    for line in definition.indexes:
        _check_index(line, table)
    _check_sizes(table, definition, width_of)


# ---------------------------------------------------------------------------- names and comments
def _check_names(table: TableStructure) -> None:
    name, n_keys = table.name, len(table.foreign_keys)
    remedy = "Shorten the name of the class."
    if n_keys and len(name.table) + len(f"_ibfk_{n_keys}") > _CONSTRAINT:
        raise DefinitionError(
            f"The table name '{name.table}' has {len(name.table)} characters; with a foreign key it can have"
            f" {_CONSTRAINT - len(f'_ibfk_{n_keys}')}, for the server puts _ibfk_{n_keys} behind it. {remedy}"
        )
    queue = "~~" + name.table.lstrip("_")
    if name.tier in ("Imported", "Computed") and len(queue) > _NAME:
        raise DefinitionError(
            f"The table name '{name.table}' has {len(name.table)} characters, which makes the name of its job queue,"
            f" '{queue}', longer than {_NAME}. {remedy}"
        )


def _check_comment(attribute: Attribute, line: Placed) -> None:
    length = len(attribute.marked_comment)
    if length <= _ATTRIBUTE_COMMENT:
        return
    with_type = (
        f" together with its type, {len(attribute.type)} characters,"
        if length > len(attribute.comment)
        else ""
    )
    raise line.error(
        f"The comment of '{attribute.name}' is too long: it has{with_type} {length} characters, and"
        f" {_ATTRIBUTE_COMMENT} is the most; shorten it"
        + ("" if attribute.comment else ", or keep the choices in a Lookup table"),
        attribute.comment or attribute.type,
        "#" if attribute.comment else ":",
    )


def _check_characters(attribute: Attribute, line: Placed) -> None:
    said = {
        "comments": attribute.comment,
        "defaults": attribute.default or "",
        "choices": "".join(attribute.choices),
    }
    for where, text in said.items():
        letter = _beyond(text)
        if letter:
            raise line.error(f"'{attribute.name}': {_lost(where, letter)}", letter)


def _beyond(text: str) -> str:
    return next((letter for letter in text if letter > "\uffff"), "")


def _lost(where: str, letter: str) -> str:
    return (
        f"this server keeps no character beyond U+FFFF, such as an emoji, in {where}; it would make a ? of {letter}"
        f" (U+{ord(letter):X}). Write it without; rows keep every character"
    )


def _check_numbered(line: AttributeLine, table: TableStructure, numbers_only_keys: bool) -> None:
    indexes = _all_indexes(table)
    if indexes[0] == (line.name,):
        return
    if numbers_only_keys or all(columns[0] != line.name for columns in indexes):
        rule = (
            "this database numbers rows only by an attribute that is the whole primary key"
            if numbers_only_keys
            else "a server numbers rows only by the first attribute of the primary key or of an index"
        )
        raise line.error(f"'{line.name}' cannot be numbered: {rule}", "auto_increment")
    if sum(a.autoincrement for a in table.heading.all_attributes) > 1:
        raise line.error("A table has one numbered attribute at most", "auto_increment")


# ---------------------------------------------------------------------------- counts
def _check_counts(table: TableStructure) -> None:
    n_columns = len(table.heading.all_attributes) + len({e for i in table.indexes for e in i.expressions})
    if n_columns > _COLUMNS:
        raise DefinitionError(
            f"The table has {n_columns} attributes, those of the framework and of indexes over expressions counted, and"
            f" {_COLUMNS} is the most. Put some into a table of their own, or into a <blob> or json."
        )
    indexes = _all_indexes(table)
    if len(indexes) > _INDEXES:
        raise DefinitionError(
            f"The table has {len(indexes)} indexes, those of its primary and foreign keys counted, and {_INDEXES} is the"
            " most. Leave some out, or put foreign keys into a part table."
        )
    key = [a.name for a in table.heading.all_attributes if a.in_key]
    if len(key) > _INDEX_COLUMNS:
        raise DefinitionError(
            f"The primary key has {len(key)} attributes, and {_INDEX_COLUMNS} is the most. Give a table on the way here a"
            " key of its own, such as a number."
        )
    firsts = Counter(columns[0] for columns in indexes[1:])
    for name, n_indexes in firsts.items():
        if n_indexes > 1 and len(f"{name}_{n_indexes}") > _NAME:
            raise DefinitionError(
                f"{n_indexes} indexes begin with '{name}', and the server names them after it, with a number behind:"
                f" more than {_NAME} characters. Shorten the name."
            )


def _all_indexes(table: TableStructure) -> list[tuple[str, ...]]:
    """Return the columns of all indexes that a server makes, that of the primary key first."""
    found = [tuple(a.name for a in table.heading.all_attributes if a.in_key)]
    found += [index.columns for index in table.indexes]
    for fk in table.foreign_keys:
        if not any(columns[: len(fk.attributes)] == fk.attributes for columns in found):
            found.append(fk.attributes)
    return found


def _check_index(line: IndexLine, table: TableStructure) -> None:
    if len(line.columns) > _INDEX_COLUMNS:
        raise line.error(f"The index has {len(line.columns)} columns, and {_INDEX_COLUMNS} is the most")
    for column in line.columns:
        kind = table.heading.attributes[column].column_type if column in table.heading else None
        if isinstance(kind, TextType) and kind.name.endswith("text"):
            raise line.error(
                f"'{column}' has the type {kind.text}, which no index can hold whole; write varchar(255) for the type,"
                f" or index its beginning: (left({column}, 255))",
                column,
                "(",
            )


# ---------------------------------------------------------------------------- sizes
def _check_sizes(table: TableStructure, definition: Definition, width_of: WidthOf) -> None:
    heading = table.heading
    key = [a for a in heading.all_attributes if a.in_key]
    size = _size(key, _key_bytes, width_of, _KEY_BYTES)
    if size > _KEY_BYTES:
        raise DefinitionError(
            f"The primary key may take {size} bytes ({_largest(key, _key_bytes)}), and {_KEY_BYTES} is the most: four for"
            " each character of text. Shorten its texts."
        )
    for line in definition.indexes:
        columns = [heading[c] for c in line.columns if c in heading]
        size = _size(columns, _key_bytes, width_of, _KEY_BYTES)
        if size > _KEY_BYTES:
            name = max(columns, key=lambda a: _key_bytes(a, 4)).name
            raise line.error(
                f"The index may take {size} bytes ({_largest(columns, _key_bytes)}), and {_KEY_BYTES} is the most: four"
                f" for each character of text. Shorten the type, or index a beginning: (left({name}, 255))",
                name,
                "(",
            )
    everything = heading.all_attributes
    n_empty = (sum(a.nullable for a in everything) + 7) // 8
    size = n_empty + _size(everything, _row_bytes, width_of, _ROW_BYTES - n_empty)
    if size > _ROW_BYTES:
        raise DefinitionError(
            f"A row may take {size} bytes ({_largest(everything, _row_bytes)}), and {_ROW_BYTES} is the most: four for"
            " each character of text. Shorten types, or write text or <blob>, which do not count."
        )
    least = 5 + 13 + n_empty  # what InnoDB needs for each row
    size = least + _size(everything, _page_bytes, width_of, _PAGE_BYTES - 1 - least)
    if size >= _PAGE_BYTES:
        raise DefinitionError(
            f"The parts of a row that stand together may take {size} bytes, and {_PAGE_BYTES - 1} is the most; each"
            " attribute takes its size, or 41 bytes if it is a longer text. Put some attributes into a table of their own."
        )


BytesOf = Callable[[Attribute, int], int]


def _size(attributes: Sequence[Attribute], bytes_of: BytesOf, width_of: WidthOf, limit: int) -> int:
    size = sum(bytes_of(a, 4) for a in attributes)
    return size if size <= limit else sum(bytes_of(a, width_of(a)) for a in attributes)


def _largest(attributes: Sequence[Attribute], bytes_of: BytesOf) -> str:
    sizes = sorted(((bytes_of(a, 4), a) for a in attributes), key=lambda pair: -pair[0])
    return ", ".join(f"{a.name} {a.type}" for _, a in sizes[:3]) + (", …" if len(sizes) > 3 else "")


def _key_bytes(attribute: Attribute, width: int) -> int:
    """Return the bytes of an attribute's values in an index, without those that tell their length."""
    column = attribute.column_type
    if isinstance(column, TextType):
        return width * (column.length or 0)
    if isinstance(column, BytesType):
        return column.length or 0
    if isinstance(column, IntegerType):
        if column.name == "year":
            return 1
        return next(n for n in (1, 2, 3, 4, 8) if column.high - column.low < 2 ** (8 * n))
    if isinstance(column, EnumType):
        return 1 if len(column.choices) < 256 else 2
    if isinstance(column, DecimalType):
        return _digits_bytes(column.precision - column.scale) + _digits_bytes(column.scale)
    if isinstance(column, (DatetimeType, TimeType)):
        whole = {"timestamp": 4, "time": 3}.get(column.name, 5)
        return whole + (column.digits + 1) // 2
    sizes = {"boolean": 1, "date": 3, "uuid": 16, "json": 12}
    return sizes[column.kind] if column.kind in sizes else int(getattr(column, "size_bytes", 8))


def _digits_bytes(n_digits: int) -> int:
    return n_digits // 9 * 4 + (n_digits % 9 + 1) // 2


def _is_apart(column: object) -> bool:
    """Tell whether the values are kept outside the row."""
    return getattr(column, "kind", "") == "json" or (
        isinstance(column, (TextType, BytesType)) and not column.name.endswith(("char", "binary"))
    )


def _row_bytes(attribute: Attribute, width: int) -> int:
    """Return the bytes that count for the limit of a row."""
    column = attribute.column_type
    if _is_apart(column):
        name = "longblob" if column.name in ("json", "bytes") else column.name
        return _BLOB_BYTES[name.removesuffix("blob").removesuffix("text")]
    n_bytes = _key_bytes(attribute, width)
    return n_bytes + (1 if n_bytes < 256 else 2) if column.name in ("varchar", "varbinary") else n_bytes


def _page_bytes(attribute: Attribute, width: int) -> int:
    """Return the bytes that stand in the page of the primary key at least."""
    column = attribute.column_type
    if _is_apart(column):
        return 21
    n_bytes = _key_bytes(attribute, width)
    is_fixed = column.name not in ("varchar", "varbinary") and (column.name != "char" or width == 1)
    return n_bytes if is_fixed else min(n_bytes, 40) + 1
