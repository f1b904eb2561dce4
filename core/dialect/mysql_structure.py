"""MySQL and MariaDB: what tables are made of, and what the server's catalog says of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pymysql.constants import ER

from dj_panel.core.definition import is_server_value
from dj_panel.core.dialect.indexes import (
    HIDDEN,
    expression_types,
    mysql_index_clauses,
    read_words,
    written_by_mysql,
)
from dj_panel.core.dialect.mysql_alter import alter_clauses, read_existing
from dj_panel.core.dialect.protocol import (
    Alteration,
    AlterScript,
    ColumnFacts,
    Dialect,
    Query,
    Statement,
    TableFacts,
)
from dj_panel.core.structure import SQL_TYPES, Attribute, TableName, TableStructure

__all__ = ["MySQLStructure"]

_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


class MySQLStructure(Dialect):
    """The part of the dialect that declares, alters and reads tables."""

    has_narrow_catalog = True

    def create_schema(self, schema: str) -> Sequence[Statement]:
        # Each server reads the one of the comments that is meant for it. Both collations compare code points
        # and take a space at the end for a character, as utf8mb4_bin, which both have, does not.
        collation = "/*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */"
        return (
            Statement(
                f"CREATE DATABASE IF NOT EXISTS {self.quote(schema)} CHARACTER SET utf8mb4 {collation}"
            ),
        )

    def drop_schema(self, schema: str, tables: Iterable[TableName]) -> Sequence[Statement]:
        return (Statement(f"DROP DATABASE IF EXISTS {self.quote(schema)}"),)

    def table_exists(self, name: TableName) -> Statement:
        return Statement(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            (name.schema, name.table),
        )

    def character_set(self, query: Query, schema: str) -> str:
        rows = query(
            "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = %s",
            (schema,),
        )
        return str(rows[0][0]) if rows else ""

    def was_there(self, query: Query) -> bool:
        return any(int(code) == ER.TABLE_EXISTS_ERROR for _, code, _ in query("SHOW WARNINGS", ()))

    def expression_types(
        self, query: Query, table: TableStructure, inherited: dict[str, tuple[str | None, str | None]]
    ) -> dict[str, str]:
        columns = [self.column(table, a, inherited.get(a.name)) for a in table.heading.all_attributes]
        return expression_types(self, query, table, columns)

    def create_table(
        self,
        table: TableStructure,
        inherited: dict[str, tuple[str | None, str | None]],
        expression_types: Mapping[str, str],
    ) -> Sequence[Statement]:
        key = [a.name for a in table.heading.all_attributes if a.in_key]
        lines = [self.column(table, a, inherited.get(a.name)) for a in table.heading.all_attributes]
        lines.append(f"PRIMARY KEY ({', '.join(map(self.quote, key))})")
        lines += [self.foreign_key_clause(fk) for fk in table.foreign_keys]
        lines += mysql_index_clauses(self, table, expression_types)
        comment = f", COMMENT {self.literal(table.comment)}" if table.comment else ""
        body = ",\n".join(lines)
        return (
            Statement(
                f"CREATE TABLE IF NOT EXISTS {self.table(table.name)} (\n{body}\n) ENGINE=InnoDB{comment}"
            ),
        )

    def column(
        self, table: TableStructure, attribute: Attribute, inherited: tuple[str | None, str | None] | None
    ) -> str:
        """Return the definition of a column."""
        sql_type = self.sql_type(attribute)
        if inherited and inherited[0] and attribute.column_type.kind in ("text", "enum"):
            sql_type += f" CHARACTER SET {self.quote(inherited[0])} COLLATE {self.quote(inherited[1] or '')}"
        if attribute.nullable:
            rule = "DEFAULT NULL"
        elif attribute.default is None:
            rule = "NOT NULL AUTO_INCREMENT" if attribute.autoincrement else "NOT NULL"
        elif is_server_value(attribute.default):
            rule = f"NOT NULL DEFAULT {attribute.default.upper()}"
        else:
            default, column = attribute.default, attribute.column_type
            if column.kind == "boolean":
                default = str(column.check(default))
            elif column.kind in ("date", "datetime", "time"):
                default = column.format(column.check(default))  # "2026-W01-3" says nothing to a server
            rule = f"NOT NULL DEFAULT {self.literal(default)}"
        # A queue repeats its table's key, which is made of foreign keys, as that table's columns show it; what
        # those do not show, their being an int8 for example, is not marked there either.
        is_copied = table.name.table.startswith("~~") and attribute.in_key
        is_inherited = table.foreign_key_of(attribute.name) is not None or (
            is_copied and attribute.type.lower() in SQL_TYPES
        )
        # Columns of foreign keys take over the comment but not the marker, except where the type could not be
        # told from the column (observed with DataJoint 2.3.5).
        is_marked = not is_inherited or (attribute.type == "uuid" and attribute.uuid)
        comment = attribute.marked_comment if is_marked else attribute.comment
        return f"{self.quote(attribute.name)} {sql_type} {rule}" + (
            f" COMMENT {self.literal(comment)}" if comment else ""
        )

    def sql_type(self, attribute: Attribute) -> str:
        """Return the column type of an attribute."""
        text = attribute.stored_type or attribute.type
        if attribute.choices:
            return f"enum({','.join(map(self.literal, attribute.choices))})"
        return SQL_TYPES.get(text.lower(), text).replace("%", "%%")

    def alter_table(
        self,
        query: Query,
        alteration: Alteration,
        changed: Collection[str],
        character_sets: dict[str, tuple[str | None, str | None]],
    ) -> AlterScript:
        new = alteration.new
        types = self.expression_types(query, new, character_sets)
        existing = read_existing(query, new.name, _index_column)
        clauses = alter_clauses(
            self,
            alteration,
            changed,
            lambda name: self.column(new, new.heading[name], character_sets.get(name)),
            existing,
            types,
        )
        listed = ",\n".join(clauses)
        statement = Statement(f"ALTER TABLE {self.table(new.name)}\n{listed}")
        return AlterScript((), (statement,) if clauses else (), None, ())

    def add_columns(self, table: TableStructure, attributes: Sequence[Attribute]) -> Sequence[Statement]:
        columns = ", ".join(f"ADD COLUMN {self.column(table, attribute, None)}" for attribute in attributes)
        return (Statement(f"ALTER TABLE {self.table(table.name)} {columns}"),)

    def record_lineage(
        self, schema: str, rows: Sequence[tuple[str, str, str]], altered: str = "", *, has_table: bool = False
    ) -> Sequence[Statement]:
        if not rows:
            return ()
        table = self.table(TableName(schema, "~lineage"))
        marks = ", ".join(["(%s, %s, %s)"] * len(rows))
        create = Statement(
            f"CREATE TABLE IF NOT EXISTS {table} ("
            "table_name VARCHAR(64) NOT NULL COMMENT 'table name within the schema',"
            " attribute_name VARCHAR(64) NOT NULL COMMENT 'attribute name',"
            " lineage VARCHAR(255) NOT NULL COMMENT 'origin: schema.table.attribute',"
            " PRIMARY KEY (table_name, attribute_name)) ENGINE=InnoDB"
        )
        return (
            *([] if has_table else [create]),
            *([Statement(f"DELETE FROM {table} WHERE table_name = %s", (altered,))] if altered else []),
            Statement(
                f"REPLACE INTO {table} (table_name, attribute_name, lineage) VALUES {marks}",
                tuple(value for row in rows for value in row),
            ),
        )

    def drop_table(self, name: TableName) -> Sequence[Statement]:
        return (Statement(f"DROP TABLE IF EXISTS {self.table(name)}"),)

    def list_schemas(self, query: Query) -> list[str]:
        rows = query("SELECT schema_name FROM information_schema.schemata ORDER BY schema_name", ())
        return [str(row[0]) for row in rows if str(row[0]).lower() not in _SYSTEM]

    def read_catalog(self, query: Query, schemas: Sequence[str]) -> TableFacts:
        marks = ", ".join(["%s"] * len(schemas))
        tables = query(
            "SELECT table_schema, table_name, table_comment FROM information_schema.tables"
            f" WHERE table_schema IN ({marks}) AND table_type = 'BASE TABLE'",
            schemas,
        )
        columns = query(
            # MariaDB prints a default that is text in quotes, and MySQL without: there the word null is no NULL.
            "SELECT table_schema, table_name, column_name, column_type, is_nullable,"
            " IF(INSTR(VERSION(), 'MariaDB') > 0 OR INSTR(extra, 'DEFAULT_GENERATED') > 0, column_default,"
            r" CONCAT('\'', REPLACE(REPLACE(column_default, '\\', '\\\\'), '\'', '\'\''), '\'')),"
            " column_comment, extra, character_set_name, collation_name FROM information_schema.columns"
            f" WHERE table_schema IN ({marks}) ORDER BY table_schema, table_name, ordinal_position",
            schemas,
        )
        keys = query(
            # MySQL alone reads the comment, MariaDB having no such column.
            "SELECT table_schema, table_name, index_name, column_name, non_unique, seq_in_index, index_comment"
            " /*!80013 , expression */ FROM information_schema.statistics"
            f" WHERE table_schema IN ({marks}) ORDER BY table_schema, table_name, index_name, seq_in_index",
            schemas,
        )
        references = query(
            "SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,"
            " referenced_table_name, referenced_column_name FROM information_schema.key_column_usage"
            f" WHERE table_schema IN ({marks}) AND referenced_table_name IS NOT NULL"
            " ORDER BY table_schema, table_name, constraint_name, ordinal_position",
            schemas,
        )
        return TableFacts(
            [(str(s), str(t), str(c or "")) for s, t, c in tables],
            [
                self._column_facts(row)
                for row in columns
                if not (str(row[2]).startswith(HIDDEN) and "GENERATED" in str(row[7]))
            ],
            [(str(row[0]), str(row[1]), str(row[2]), _index_column(row), not row[4]) for row in keys],
            [tuple(map(str, row)) for row in references],  # type: ignore[misc]
        )

    def _column_facts(self, row: Sequence[Any]) -> ColumnFacts:
        schema, table, name, sql_type, nullable, default, comment, extra, charset, collation = row
        text = sql_type.decode() if isinstance(sql_type, bytes) else str(sql_type)
        # Display widths carry no meaning, and servers differ in printing them.
        text = re.sub(r"\b((?:tiny|small|medium|big)?int)\(\d+\)", r"\1", text)
        return ColumnFacts(
            str(schema), str(table), str(name), text, nullable == "YES", _plain_default(default),
            str(comment or ""), "auto_increment" in str(extra).lower(), charset, collation,
            text.lower() == "uuid",  # DataJoint's is binary(16); that of MariaDB gives text
        )  # fmt: skip

    def referencing_schemas(self, query: Query, schemas: Sequence[str]) -> list[str]:
        marks = ", ".join(["%s"] * len(schemas))
        rows = query(
            "SELECT DISTINCT table_schema FROM information_schema.key_column_usage"
            f" WHERE referenced_table_schema IN ({marks}) AND table_schema NOT IN ({marks})",
            (*schemas, *schemas),
        )
        return [str(row[0]) for row in rows]


def _index_column(row: Sequence[Any]) -> str:
    """Return a column of an index: as the definition had it, else as the server prints it."""
    _, _, _, column, _, position, comment, *expression = row
    words = read_words(str(comment)) if comment else None
    if words and int(position) <= len(words):
        return words[int(position) - 1]
    if column is None and expression and expression[0]:
        return written_by_mysql(str(expression[0]))
    return str(column or "")


def _plain_default(default: Any) -> str | None:
    """Return a default without the quotes of one that is text."""
    if default is None:
        return None
    text = default.decode() if isinstance(default, bytes) else str(default)
    if text.upper() == "NULL":
        return None
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'").replace("\\\\", "\\")
    if text.lower().startswith("current_timestamp") or text.lower() == "now()":
        return text.upper().replace("()", "")
    return text
