"""Indexes over expressions and over places inside JSON: said for each server, and read from it again.

SQLite and MySQL index expressions by themselves. MariaDB indexes columns alone, so there the expression
becomes a hidden generated column, ``_index_1`` and so on, which DataJoint passes over as it does all names
that begin with an underscore.

Servers rewrite expressions in their catalogs, so the index carries the definition's own words in a comment.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence

from dj_panel.core.definition import json_path
from dj_panel.core.dialect.protocol import Dialect, Query, Statement
from dj_panel.core.sqltext import Slot, parse_text
from dj_panel.core.structure import Index, TableName, TableStructure

__all__ = ["expression_types", "index_sql", "mysql_index_clauses", "read_words"]

HIDDEN = "_index_"
"""What the names of MariaDB's generated columns begin with."""

_WORDS = re.compile(r"/\*(\[.*\])\*/", re.DOTALL)
_ATTRIBUTE = re.compile(r"\([(\s]*([A-Za-z_]\w*)[)\s]*\)")
# A type as written behind a path → the type of MariaDB's column, and SQLite's cast.
_CASTS = {"signed": "BIGINT", "unsigned": "BIGINT UNSIGNED", "int": "INT", "integer": "INT"}
_NUMBERS = ("signed", "unsigned", "int", "integer")
_PATH_LENGTH = 512  # of a path without a type, as for MySQL's JSON_VALUE


def expressions(table: TableStructure) -> list[str]:
    """Return what the table's indexes hold beside attributes, each once."""
    return list(dict.fromkeys(c for index in table.indexes for c in index.columns if c in index.expressions))


def index_sql(dialect: Dialect, column: str) -> str:
    """Return one column of an index: a quoted attribute, or the expression in parentheses of its own."""
    place = json_path(column)
    if place is not None:
        attribute, path, kind = place
        value = f"json_value({dialect.quote(attribute)}, {dialect.literal('$.' + path)})"
        number = "INTEGER" if kind.lower() in _NUMBERS else "REAL"
        is_number = kind and not kind.lower().startswith(("char", "varchar", "date", "time"))
        return f"(CAST({value} AS {number}))" if is_number else f"({value})"
    if not column.startswith("("):
        return dialect.quote(column)
    return f"({_expression(dialect, column)})"


def attributes_of(column: str) -> tuple[str, ...]:
    """Return the attributes that a column of an index is made of."""
    place = json_path(column)
    if place is not None:
        return (place[0],)
    return parse_text(column, "mysql").attributes if column.startswith("(") else (column,)


def value_sql(dialect: Dialect, column: str) -> str:
    """Return the expression for what a column of an index holds of a row; of a place in JSON, its text."""
    place = json_path(column)
    if place is not None:
        return f"json_value({dialect.quote(place[0])}, {dialect.literal('$.' + place[1])})"
    return index_sql(dialect, column)


def _expression(dialect: Dialect, text: str) -> str:
    parts = []
    for part in parse_text(text, dialect.name).parts:
        if not isinstance(part, Slot):
            parts.append(dialect.verbatim(part))
        elif part.word is not None:
            parts.append(dialect.literal(part.word))
        else:
            parts.append(dialect.quote(part.attribute or ""))
    return "".join(parts)


# ---------------------------------------------------------------------------- MySQL and MariaDB
def mysql_index_clauses(dialect: Dialect, table: TableStructure, types: Mapping[str, str]) -> list[str]:
    """Return the clauses of CREATE TABLE for a table's indexes, generated columns before them.

    Parameters
    ----------
    dialect
        The server's.
    table
        The table.
    types
        Expression → the type of its generated column; empty where the server indexes expressions itself.
    """
    clauses = [generated_column(dialect, table, column, types[column]) for column in types]
    return [*clauses, *(mysql_index(dialect, table, index, types) for index in table.indexes)]


def mysql_index(dialect: Dialect, table: TableStructure, index: Index, types: Mapping[str, str]) -> str:
    """Return the clause for one index."""
    items = []
    for column in index.columns:
        if column in types:
            items.append(dialect.quote(hidden_name(table, column)))
        elif (place := json_path(column)) is not None:
            returning = f" RETURNING {place[2]}" if place[2] else ""
            path = dialect.literal("$." + place[1])
            items.append(f"(json_value({dialect.quote(place[0])}, {path}{returning}))")
        elif attribute := _ATTRIBUTE.fullmatch(column):
            # MySQL refuses to take an attribute for an expression, and to index one twice.
            name = dialect.quote(attribute[1])
            items.append(f"(coalesce({name}))" if attribute[1] in index.columns or name in items else name)
        else:
            items.append(index_sql(dialect, column))
    words = f" COMMENT {dialect.literal(_words(index.columns))}" if index.expressions else ""
    return f"{'UNIQUE ' if index.unique else ''}INDEX ({', '.join(items)}){words}"


def hidden_name(table: TableStructure, column: str) -> str:
    """Return the name of the generated column for an expression."""
    return f"{HIDDEN}{expressions(table).index(column) + 1}"


def generated_column(dialect: Dialect, table: TableStructure, column: str, sql_type: str) -> str:
    """Return the definition of the generated column for an expression."""
    place = json_path(column)
    if place is None:
        value = _expression(dialect, column)
    else:
        value = f"json_value({dialect.quote(place[0])}, {dialect.literal('$.' + place[1])})"
        # A generated column refuses what is too long; for an index its beginning is enough.
        length = re.fullmatch(r"VARCHAR\((\d+)\)", sql_type)
        value = f"left({value}, {length[1]})" if length else value
    return f"{dialect.quote(hidden_name(table, column))} {sql_type} GENERATED ALWAYS AS ({value}) VIRTUAL"


def expression_types(
    dialect: Dialect, query: Query, table: TableStructure, columns: Sequence[str]
) -> dict[str, str]:
    """Return the types of MariaDB's generated columns; nothing for a server that needs none.

    Parameters
    ----------
    dialect
        The server's.
    query
        Runs a query on it.
    table
        The table that is to be.
    columns
        The definitions of its own columns.
    """
    wanted = expressions(table)
    if not wanted or "mariadb" not in str(query("SELECT VERSION()", ())[0][0]).lower():
        return {}
    types: dict[str, str] = {}
    asked = []
    for column in wanted:
        place = json_path(column)
        if place is None:
            asked.append(column)
            continue
        kind = place[2] or f"char({_PATH_LENGTH})"
        types[column] = _CASTS.get(kind.lower(), re.sub(r"^(?:var)?char\b", "VARCHAR", kind, flags=re.I))
    if asked:
        # Only the server knows the type of an expression; it tells by a table that it makes of one.
        plain, made = (TableName(table.name.schema, f"~{secrets.token_hex(8)}") for _ in range(2))
        values = ", ".join(f"{_expression(dialect, column)} AS c{i}" for i, column in enumerate(asked))
        query(f"CREATE TEMPORARY TABLE {dialect.table(plain)} ({', '.join(columns)})", ())
        try:
            source = f"SELECT {values} FROM {dialect.table(plain)} LIMIT 0"
            query(f"CREATE TEMPORARY TABLE {dialect.table(made)} AS {source}", ())
            found = [str(row[1]) for row in query(f"SHOW COLUMNS FROM {dialect.table(made)}", ())]
            query(f"DROP TEMPORARY TABLE {dialect.table(made)}", ())
        finally:
            query(f"DROP TEMPORARY TABLE {dialect.table(plain)}", ())
        types.update(zip(asked, (_indexable(kind) for kind in found), strict=True))
    return {column: types[column] for column in wanted}


def _indexable(kind: str) -> str:
    return f"VARCHAR({_PATH_LENGTH})" if kind.endswith("text") else kind


# ---------------------------------------------------------------------------- the words of the definition
def sqlite_words(index: Index, *, always: bool = False) -> str:
    """Return the comment by which SQLite, which keeps the text of CREATE INDEX, keeps the definition's words."""
    return f" /*{_words(index.columns)}*/" if index.expressions or always else ""


def _words(columns: Sequence[str]) -> str:
    return json.dumps(list(columns), ensure_ascii=False)


def read_words(comment: str) -> list[str] | None:
    """Return the columns of an index as its definition had them; ``None`` if the comment does not tell.

    >>> read_words('CREATE INDEX i ON t ((lower("a")) /*["(lower(a))"]*/)'), read_words("mine")
    (['(lower(a))'], None)
    """
    match = _WORDS.search(comment)
    try:
        words = json.loads(match[1] if match else comment)
    except ValueError:
        return None
    is_list = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if is_list else None


def written_by_mysql(expression: str) -> str:
    r"""Return MySQL's own print of an indexed expression as a definition has it.

    >>> written_by_mysql("json_value(`doc`, _utf8mb4\\'$.a.b\\' returning signed)"), written_by_mysql("lower(`a`)")
    ('doc.a.b:signed', '(lower(a))')
    """
    text = re.sub(r"_utf8mb[34]|_latin1", "", expression.replace("\\'", "'"))
    match = re.fullmatch(
        r"json_value\(`(\w+)`,\s*'\$\.([^']*)'(?:\s+returning\s+(.+?))?\)", text, re.IGNORECASE
    )
    if match:
        return f"{match[1]}.{match[2]}" + (f":{match[3]}" if match[3] else "")
    return f"({text.replace('`', '')})"


def create_sqlite_index(
    dialect: Dialect, table: TableName, index: Index, key: Sequence[str] = ()
) -> Statement:
    """Return the statement that creates an index on SQLite.

    As InnoDB does by itself, the index goes on with the primary key: then rows that are equal in what is
    indexed stand in it by their keys, and pages of them are turned without sorting them all.

    Parameters
    ----------
    key
        The table's primary key.
    """
    ties = [] if index.unique else [name for name in key if name not in index.columns]
    kind = "unique" if index.unique else "index"
    name = dialect.quote(f"{table.schema}.{table.table}/{kind}/{','.join(index.columns)}")
    items = ", ".join(index_sql(dialect, column) for column in (*index.columns, *ties))
    return Statement(
        f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {name} ON {dialect.table(table)}"
        f" ({items}{sqlite_words(index, always=bool(ties))})"
    )
