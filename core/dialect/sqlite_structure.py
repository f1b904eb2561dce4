"""SQLite: what tables are made of, and what they and our three tables beside them say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from dj_panel.core.columntypes import ColumnType, DatetimeType, EnumType, IntegerType, TextType
from dj_panel.core.definition import is_server_value
from dj_panel.core.dialect.indexes import create_sqlite_index, read_words
from dj_panel.core.dialect.protocol import (
    Alteration,
    AlterScript,
    ColumnFacts,
    Dialect,
    Query,
    Statement,
    TableFacts,
)
from dj_panel.core.structure import Attribute, Index, TableName, TableStructure

__all__ = ["NOW", "SQLiteStructure"]

NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime')"
"""The time of the place to the millisecond, as an expression."""


class SQLiteStructure(Dialect):
    """The part of the dialect that declares, alters and reads tables."""

    numbers_only_keys = True

    def create_schema(self, schema: str) -> Sequence[Statement]:
        return (Statement('INSERT OR IGNORE INTO "~schemas" VALUES (?)', (schema,)),)

    def drop_schema(self, schema: str, tables: Iterable[TableName]) -> Sequence[Statement]:
        statements = [statement for name in tables for statement in self.drop_table(name)]
        return (*statements, Statement('DELETE FROM "~schemas" WHERE schema_name = ?', (schema,)))

    def create_table(
        self,
        table: TableStructure,
        inherited: dict[str, tuple[str | None, str | None]],
        expression_types: Mapping[str, str],
    ) -> Sequence[Statement]:
        return [
            Statement(self._create_table(table, table.name)),
            *self._described(table),
            *self.create_indexes(table),
        ]

    def _create_table(self, table: TableStructure, name: TableName) -> str:
        attributes = table.heading.all_attributes
        key = [a.name for a in attributes if a.in_key]
        rowid = len(key) == 1 and any(a.autoincrement for a in attributes)
        lines = [self._column(a, is_rowid=rowid and a.in_key) for a in attributes]
        if not rowid:
            lines.append(f"PRIMARY KEY ({', '.join(map(self.quote, key))})")
        lines += [self.foreign_key_clause(fk) for fk in table.foreign_keys]
        body = ",\n".join(lines)
        return f"CREATE TABLE {self.table(name)} (\n{body}\n)"

    def _described(self, table: TableStructure) -> list[Statement]:
        """Return the statements that keep what SQLite does not keep by itself."""
        place = (table.name.schema, table.name.table)
        return [
            Statement('INSERT INTO "~tables" VALUES (?, ?, ?)', (*place, table.comment)),
            self._described_columns(table, table.heading.all_attributes, 0),
        ]

    def _described_columns(
        self, table: TableStructure, attributes: Sequence[Attribute], first: int
    ) -> Statement:
        rows = [
            (table.name.schema, table.name.table, position, a.name, a.type, a.stored_type or a.type, int(a.nullable),
             a.default, a.comment, int(a.autoincrement))
            for position, a in enumerate(attributes, first)
        ]  # fmt: skip
        marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(rows))
        return Statement(
            f'INSERT INTO "~columns" VALUES {marks}', tuple(value for row in rows for value in row)
        )

    def table_exists(self, name: TableName) -> Statement:
        return Statement(
            'SELECT 1 FROM "~tables" WHERE schema_name = ? AND table_name = ?', (name.schema, name.table)
        )

    def alter_table(
        self,
        query: Query,
        alteration: Alteration,
        changed: Collection[str],
        character_sets: dict[str, tuple[str | None, str | None]],
    ) -> AlterScript:
        # SQLite alters next to nothing in place: the table is made anew beside the old one, as its manual says.
        # Foreign keys are off meanwhile, for those of other tables name this one, and are checked at the end.
        old, new = alteration.old, alteration.new
        beside = TableName(new.name.schema, f"~{new.name.table}~altered")
        before = {a.name: a for a in old.heading.all_attributes}
        kept = [a for a in new.heading.all_attributes if alteration.source(a.name) in before]
        names = ", ".join(self.quote(a.name) for a in kept)
        values = ", ".join(self._converted(before[alteration.source(a.name)], a) for a in kept)
        full = self.table(new.name)
        return AlterScript(
            before=(Statement("PRAGMA foreign_keys = OFF"),),
            inside=(
                Statement(self._create_table(new, beside)),
                Statement(f"INSERT INTO {self.table(beside)} ({names}) SELECT {values} FROM {full}"),
                *self.drop_table(old.name),
                Statement(f"ALTER TABLE {self.table(beside)} RENAME TO {full}"),
                *self._described(new),
                *self.create_indexes(new),
            ),
            check=Statement(f"PRAGMA foreign_key_check({full})"),
            after=(Statement("PRAGMA foreign_keys = ON"),),
        )

    def add_columns(self, table: TableStructure, attributes: Sequence[Attribute]) -> Sequence[Statement]:
        full = self.table(table.name)
        return (
            *(
                Statement(f"ALTER TABLE {full} ADD COLUMN {self._column(attribute, is_rowid=False)}")
                for attribute in attributes
            ),
            self._described_columns(table, attributes, len(table.heading.all_attributes)),
        )

    def _converted(self, old: Attribute, new: Attribute) -> str:
        """Return the expression for an attribute's value in the type that it will have."""
        name, before, after = self.quote(old.name), old.column_type, new.column_type
        if not isinstance(after, DatetimeType):
            return name  # the column's affinity makes of it what it is to be
        if before.kind == "date":
            name = f"({name} || ' 00:00:00')"
        elif not isinstance(before, DatetimeType) or before.digits == after.digits:
            return name
        if after.digits == 0:
            return f"substr({name}, 1, 19)"
        point = f"CASE WHEN instr({name}, '.') THEN '' ELSE '.' END"
        return f"substr({name} || {point} || '000000', 1, {20 + after.digits})"

    def create_indexes(self, table: TableStructure) -> list[Statement]:
        """Return the statements that create a table's indexes, those of its foreign keys among them."""
        key = tuple(a.name for a in table.heading.all_attributes if a.in_key)
        covered = [key]
        statements = []
        for index in table.indexes:
            statements.append(create_sqlite_index(self, table.name, index, key))
            covered.append(index.columns)
        for fk in table.foreign_keys:
            # SQLite, unlike InnoDB, does not index foreign keys; without, each delete scans the children.
            if not any(columns[: len(fk.attributes)] == fk.attributes for columns in covered):
                statements.append(create_sqlite_index(self, table.name, Index(fk.attributes), key))
                covered.append(fk.attributes)
        return statements

    def _column(self, attribute: Attribute, *, is_rowid: bool) -> str:
        name = self.quote(attribute.name)
        if is_rowid:
            return f"{name} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
        column = attribute.column_type
        parts = [name, _affinity(column)]
        if not attribute.nullable:
            parts.append("NOT NULL")
        if attribute.default is not None:
            if is_server_value(attribute.default):
                parts.append(f"DEFAULT ({_timestamp(column)})")
            else:
                parts.append(f"DEFAULT {self._default(attribute)}")
        check = self._check(name, column)
        if check:
            parts.append(f"CHECK ({name} IS NULL OR ({check}))")
        return " ".join(parts)

    def _default(self, attribute: Attribute) -> str:
        column = attribute.column_type
        value = column.check(attribute.default)
        encode = self.encoder(column)
        value = encode(value) if encode else value
        if isinstance(value, bytes):
            return f"x'{value.hex()}'"
        return repr(value) if isinstance(value, (int, float)) else self.literal(str(value))

    def _check(self, name: str, column: ColumnType) -> str:
        if isinstance(column, IntegerType):
            low, high = max(column.low, -(2**63)), min(column.high, 2**63 - 1)
            return f"typeof({name}) = 'integer' AND {name} BETWEEN {low} AND {high}"
        if column.kind == "boolean":
            return f"typeof({name}) = 'integer' AND {name} BETWEEN -128 AND 127"
        if column.kind == "float":
            return f"typeof({name}) IN ('real', 'integer')"
        if isinstance(column, TextType):
            length = f" AND length({name}) <= {column.length}" if column.length else ""
            return f"typeof({name}) = 'text'{length}"
        if isinstance(column, EnumType):
            return f"{name} IN ({', '.join(map(self.literal, column.choices))})"
        if column.kind == "json":
            return f"json_valid({name})"
        if column.kind == "uuid":
            return f"typeof({name}) = 'blob' AND length({name}) = 16"
        if column.kind == "bytes":
            return f"typeof({name}) = 'blob'"
        if column.kind == "date":
            return f"{name} IS date({name})"
        if column.kind == "datetime":
            # cut to seconds, for datetime() rounds the last microseconds of the year 9999 up
            return f"datetime(substr({name}, 1, 19)) IS NOT NULL"
        return ""

    def drop_table(self, name: TableName) -> Sequence[Statement]:
        where = "WHERE schema_name = ? AND table_name = ?"
        place = (name.schema, name.table)
        return (
            Statement(f"DROP TABLE IF EXISTS {self.table(name)}"),
            Statement(f'DELETE FROM "~columns" {where}', place),
            Statement(f'DELETE FROM "~tables" {where}', place),
        )

    def list_schemas(self, query: Query) -> list[str]:
        return [str(row[0]) for row in query('SELECT schema_name FROM "~schemas" ORDER BY schema_name', ())]

    def read_catalog(self, query: Query, schemas: Sequence[str]) -> TableFacts:
        marks = ", ".join("?" * len(schemas))
        tables = query(
            f'SELECT schema_name, table_name, comment FROM "~tables" WHERE schema_name IN ({marks})', schemas
        )
        columns = query(
            "SELECT schema_name, table_name, column_name, type, stored_type, nullable, default_value, comment,"
            f' is_numbered FROM "~columns" WHERE schema_name IN ({marks})'
            " ORDER BY schema_name, table_name, position",
            schemas,
        )
        own = f'FROM "~tables" AS t, {{}} WHERE t.schema_name IN ({marks})'
        full = "t.schema_name || '.' || t.table_name"
        primary = query(
            f"SELECT t.schema_name, t.table_name, c.name "
            f"{own.format(f'pragma_table_info({full}) AS c')} AND c.pk > 0 ORDER BY 1, 2, c.pk",
            schemas,
        )
        source = f"pragma_index_list({full}) AS i, pragma_index_info(i.name) AS c"
        indexes = query(
            f'SELECT t.schema_name, t.table_name, i.name, c.name, i."unique", c.seqno,'
            " (SELECT m.sql FROM sqlite_master AS m WHERE m.type = 'index' AND m.name = i.name) "
            f"{own.format(source)} AND i.origin = 'c' ORDER BY 1, 2, i.name, c.seqno",
            schemas,
        )
        references = query(
            f'SELECT t.schema_name, t.table_name, f.id, f."from", f."table", f."to" '
            f"{own.format(f'pragma_foreign_key_list({full}) AS f')} ORDER BY 1, 2, f.id DESC, f.seq",
            schemas,
        )
        return TableFacts(
            [(str(s), str(t), str(c)) for s, t, c in tables],
            [
                ColumnFacts(s, t, n, stored, bool(nullable), default,
                            f":{kind}:{comment}" if kind != stored else comment, bool(auto), None, None)
                for s, t, n, kind, stored, nullable, default, comment, auto in columns
            ],
            [(s, t, "PRIMARY", c, True) for s, t, c in primary]
            + [
                (s, t, i, column, bool(u))
                for s, t, i, c, u, n, sql in indexes
                if (column := _index_column(c, n, sql)) is not None
            ],
            [(s, t, str(i), c, *parent.split(".", 1), to) for s, t, i, c, parent, to in references],
        )  # fmt: skip

    def referencing_schemas(self, query: Query, schemas: Sequence[str]) -> list[str]:
        rows = query(
            'SELECT DISTINCT t.schema_name, f."table" FROM "~tables" AS t,'
            " pragma_foreign_key_list(t.schema_name || '.' || t.table_name) AS f",
            (),
        )
        wanted = set(schemas)
        found = {str(child) for child, parent in rows if parent.partition(".")[0] in wanted}
        return sorted(found - wanted)


def _affinity(column: ColumnType) -> str:
    # INT and not INTEGER: a sole key of type INTEGER would be numbered by SQLite when it is left out.
    return {
        "integer": "INT", "boolean": "INT", "float": "REAL", "decimal": "TEXT COLLATE decimal",
        "bytes": "BLOB", "uuid": "BLOB",
    }.get(column.kind, "TEXT")  # fmt: skip


def _timestamp(column: ColumnType) -> str:
    digits = column.digits if isinstance(column, DatetimeType) else 0
    if column.kind == "date":
        return "date('now', 'localtime')"
    if digits == 0:
        return "strftime('%Y-%m-%d %H:%M:%S', 'now', 'localtime')"
    return f"substr({NOW} || '000', 1, {20 + digits})"


def _index_column(column: str | None, position: int, sql: str) -> str | None:
    """Return a column of an index as the definition had it; ``None`` if the index goes on with the key there."""
    words = read_words(sql)
    if words:
        return words[position] if position < len(words) else None
    return str(column or "")
