"""What a server of the MySQL family would not create is refused on every server, in our words; all less is created."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend


def declared(schema: dj.Schema, text: str, name: str = "Thing", tier: Any = dj.Manual, **context: Any) -> Any:
    return schema(type(name, (tier,), {"definition": text}), context=context)


def attributes(n: int, kind: str, first: int = 0) -> str:
    return "\n".join(f"a{i} : {kind}" for i in range(first, first + n))


def indexed(n: int) -> str:
    return f"id : int32\n---\n{attributes(64, 'int8')}\n" + "\n".join(f"index (a{i})" for i in range(n))


def referring(n: int) -> str:
    return "id : int32\n---\n" + "\n".join(f'-> Parent.proj(p{i}="parent")' for i in range(n))


# name → a definition by its size, the largest size, and what is said of the next
LIMITS: dict[str, tuple[Callable[[int], str], int, str]] = {
    "comment of an attribute": (lambda n: f"id : int32 # {'é' * n}", 1024 - len(":int32:"), "1025 characters, and 1024"),
    "comment behind a codec": (
        lambda n: f"id : int32\n---\nx : <blob@main> # {'c' * n}", 1024 - len(":<blob@main>:"), "shorten it"),
    "comment behind a native type": (lambda n: f"id : int # {'c' * n}", 1024, "1025 characters"),
    "choices": (
        lambda n: f"id : int32\n---\nx : enum({','.join(repr(f'{i:05d}') for i in range(120))},'{'x' * n}')",
        1024 - 2 - 120 * 8 - len("enum('')"), "a Lookup table"),
    "comment of the table": (lambda n: f"# {'é' * n}\nid : int32", 2048, "2049 characters, and 2048"),
    "attributes": (lambda n: f"id : int32\n---\n{attributes(n - 1, 'int8')}", 1017, "1018 attributes"),
    "indexes": (indexed, 63, "65 indexes"),
    "foreign keys": (referring, 63, "65 indexes"),
    "attributes of the key": (lambda n: attributes(n, "int8"), 16, "17 attributes, and 16"),
    "columns of an index": (
        lambda n: f"id : int32\n---\n{attributes(n, 'int8')}\nindex ({', '.join(f'a{i}' for i in range(n))})", 16,
        "17 columns, and 16"),
    "name that two indexes begin with": (
        lambda n: f"id : int32\n---\n{'x' * n} : int8\ny : int8\nindex ({'x' * n})\nindex ({'x' * n}, y)", 62,
        "Shorten the name"),
    "key of text": (lambda n: f"id : varchar({n})", 768, "3076 bytes (id varchar(769)), and 3072"),
    "key of several": (
        lambda n: f"a : int64\nb : datetime(3)\nc : uuid\nd : enum('x')\ne : decimal(7, 3)\nf : varchar({n})",
        (3072 - 8 - 7 - 16 - 1 - 4) // 4, "and 3072 is the most"),
    "index of text": (lambda n: f"id : int32\n---\na : char(9)\nb : varchar({n})\nindex (a, b)", 759, "(left(b, 255))"),
    "row": (
        lambda n: f"id : int32\n---\na : varchar(10000)\nb = null : varchar(63)\nx : <blob>\ny = null : json\nc : varchar({n})",
        (65_535 - 4 - 40_002 - 253 - 12 - 12 - 1 - 2) // 4, "and 65535 is the most"),
    "numbers in a page": (lambda n: f"id : int32\n---\n{attributes(n, 'float64')}", 1012, "and 8125 is the most"),
    "texts in a page": (lambda n: f"id : int32\n---\n{attributes(n, 'varchar(10)')}", 197, "and 8125 is the most"),
    "blobs in a page": (lambda n: f"id : int32\n---\n{attributes(n, '<blob>')}", 385, "and 8125 is the most"),
}  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_larger_than_a_server_takes_is_refused_everywhere_and_all_else_created(
    schema: dj.Schema, limit: str
) -> None:
    text_of, most, message = LIMITS[limit]
    parent = declared(schema, "parent : int8", "Parent")
    table = declared(schema, text_of(most), Parent=parent)
    assert table.is_declared
    schema.connection.catalog.forget()
    assert len(table.heading.names) >= 1
    table().drop_quick()
    with pytest.raises(dj.errors.DefinitionError, match=re.escape(message)):
        declared(schema, text_of(most + 1), Parent=parent)
    assert schema.list_tables() == ["parent"]


def test_what_is_too_large_is_told_with_its_place(schema: dj.Schema) -> None:
    for text, line, column in [
        (f"id : int32\n  x : int8  # {'c' * 1024}", 2, 15),
        (f"\n# {'c' * 2049}\nid : int32", 2, 1),
        ("id : int32\n---\nx : varchar(800)\nindex (id, x)", 4, 12),
        ("id : int32\n---\nx : text\n  index (x)", 4, 10),
        ("id : int32\n---\nx : int8\nindex (x, x)", 4, 8),
        ("id : int32\n---\nx : int8\nindex (x)\nindex (x)", 5, 1),
    ]:
        with pytest.raises(dj.errors.DefinitionError) as caught:
            declared(schema, text)
        assert (caught.value.line, caught.value.column) == (line, column), str(caught.value)


def test_a_key_of_a_text_without_length_is_refused(schema: dj.Schema) -> None:
    with pytest.raises(dj.errors.DefinitionError, match="cannot be part of the primary key"):
        declared(schema, "id : text")


@pytest.mark.parametrize(
    ("tier", "n_letters", "text"),
    [(dj.Manual, 64, "id : int32"), (dj.Manual, 56, "-> Parent"), (dj.Imported, 63, "id : int32"),
     (dj.Computed, 62, "id : int32"), (dj.Computed, 54, "-> Parent")],
)  # fmt: skip
def test_names_leave_room_for_what_is_made_of_them(
    schema: dj.Schema, tier: Any, n_letters: int, text: str
) -> None:
    # the server names constraints after the table, and the queue of a table is one more table
    parent = declared(schema, "parent : int8", "Parent")
    n_letters -= tier is dj.Imported and text.startswith("id")  # whose queue has one letter more
    table = declared(schema, text, "A" + "b" * (n_letters - 1), tier, Parent=parent)
    if tier is not dj.Manual and text == "-> Parent":
        parent.insert1((1,))
        table.jobs.refresh()
        assert len(table.jobs) == 1
    with pytest.raises(dj.errors.DefinitionError, match=r"Shorten the (name of the )?class"):
        declared(schema, text, "A" + "b" * n_letters, tier, Parent=parent)


def test_what_a_narrower_character_set_has_room_for_is_created(schema: dj.Schema, backend: Backend) -> None:
    if backend.name == "sqlite":
        return  # it has one character set
    name = backend.prefix + "narrow"
    schema.connection.query(f"CREATE DATABASE `{name}` CHARACTER SET latin1")
    narrow = dj.Schema(name, connection=schema.connection)
    text = "a : varchar(3000)\n---\nb : varchar(16000)\nc : varchar(16000)\nindex (b)".replace(
        "index (b)", ""
    )
    wide = declared(narrow, text, "Wide")
    # the parent's characters count, and not those of the schema
    child = declared(schema, "-> Wide", "Child", Wide=wide)
    wide.insert1({"a": "x" * 3000, "b": "y" * 16_000, "c": ""})
    child.insert1({"a": "x" * 3000})
    with pytest.raises(dj.errors.DefinitionError, match="3073 bytes"):
        declared(narrow, "a : varchar(3073)", "Wider")
    with pytest.raises(dj.errors.DefinitionError, match="12000 bytes"):
        declared(schema, text, "Wide")


def test_what_an_alteration_would_make_too_large_is_refused(schema: dj.Schema) -> None:
    table = declared(schema, "id : int32\n---\nx : varchar(100)")
    table.definition = "id : int32\n---\nx : varchar(800)\nindex (x)"
    with pytest.raises(dj.errors.DefinitionError, match="and 3072 is the most"):
        table.alter(prompt=False)
    assert table.heading["x"].type == "varchar(100)"


EMOJI = {
    "id : int32 # 🐭 mouse": (1, 14, "comments"),
    "# mice 🐭\nid : int32": (1, 8, "comments"),
    "id : int32\n---\nx = '🐭' : varchar(9)": (3, 6, "defaults"),
    "id : int32\n---\nx : enum('a', '🐭')": (3, 16, "choices"),
}


@pytest.mark.parametrize("text", EMOJI)
def test_a_character_that_the_servers_catalog_would_lose_is_refused_with_its_place(
    schema: dj.Schema, text: str
) -> None:
    line, column, where = EMOJI[text]
    if not schema.connection.dialect.has_narrow_catalog:
        table = declared(schema, text)
        schema.connection.catalog.forget()
        assert "🐭" in table.describe()
        return
    with pytest.raises(
        dj.errors.DefinitionError, match=rf"emoji, in {where}.*U\+1F42D.*rows keep every"
    ) as caught:
        declared(schema, text)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_what_else_a_server_refuses_names_the_table(
    schema: dj.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = declared(schema, "parent : int8", "Parent")
    monkeypatch.setattr(type(schema.connection.dialect), "foreign_key_clause", lambda *_: "NONSENSE KEY (")
    with pytest.raises(dj.errors.DefinitionError, match=r"`thing`: the server refuses this table"):
        declared(schema, "-> Parent", Parent=parent)
