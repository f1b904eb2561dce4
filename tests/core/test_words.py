"""Names of attributes that are words of SQL: usable in text as they are, wherever MySQL itself does not read them."""

from __future__ import annotations

import logging
import re

import pytest
from sqlglot.dialects.mysql import MySQL

import dj_panel as dj
from dj_panel.core.sqltext import parse_text

# What MySQL reserves and an expression is made of; such a name takes backticks, on MySQL as here.
OF_EXPRESSIONS = set(
    """
    and as between binary case current_date current_time current_timestamp distinct else false for from in interval
    is like localtime localtimestamp mod not null or regexp rlike separator then true using when xor
    """.split()  # noqa: SIM905 - a list of words
)
WORDS = sorted(
    word.lower()
    for word in {*MySQL.Tokenizer.KEYWORDS, *MySQL.Parser.FUNCTIONS, *MySQL.Parser.FUNCTION_PARSERS}
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", word)
)
TEXTS = (
    "{} = 1", "1 = {}", "{}", "({}) > 2", "not {}", "-{}", "{} + 1", "2 * {}", "{} % 2", "{} in (1, 2)", "{} is null",
    "{} like 'a%'", "{} between 1 and 2", "1 between {} and 3", "a = 1 and {} = 2", "{} or a", "if({} > 1, {}, 0)",
    "case when {} then {} else {} end", "sum({})", "count(distinct {})", "lower({})", "({}, a) in ((1, 2), (3, 4))",
    "group_concat({} order by {} desc separator '-')", "cast({} as char)", "a + {} - {}",
)  # fmt: skip


def test_every_word_of_sql_that_may_name_an_attribute_names_it_in_any_place() -> None:
    misread = {}
    for word in WORDS:
        for text in TEXTS:
            written = [f"`{word}`"] if word in OF_EXPRESSIONS else [word, f"`{word}`"]
            for name in written:
                read = parse_text(text.replace("{}", name), "mysql").attributes
                if set(read) - {"a"} != {word} - {"a"}:
                    misread[text.replace("{}", name)] = read
    assert len(WORDS) > 800
    assert misread == {}


BEGINNINGS = """
    start comment begin cache copy merge commit execute prepare truncate pivot unpivot pragma vacuum charset any
    lateral qualify desc set show use replace key
""".split()  # noqa: SIM905 - a list of words


@pytest.mark.parametrize("word", BEGINNINGS)
def test_text_may_begin_with_an_attribute_that_begins_statements(
    word: str, schema: dj.Schema, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    @schema
    class Table(dj.Manual):
        definition = f"""
        a : int32
        ---
        {word} : int32
        """

    Table.insert([(1, 1), (2, 5)])
    with caplog.at_level(logging.DEBUG):
        assert (Table & f"{word} = 5").to_arrays("a").tolist() == [2]
        assert (Table & f"{word} in (1, 7) and a > 0").to_arrays("a").tolist() == [1]
        assert (Table & f"a > 0 and {word} is not null").to_arrays("a").tolist() == [1, 2]
        assert Table.proj(x=f"{word} + 1").to_arrays("x", order_by="a").tolist() == [2, 6]
    assert not [record for record in caplog.records if record.name.startswith("sqlglot")]
    assert capsys.readouterr().err == ""


def test_functions_that_begin_statements_may_begin_text(schema: dj.Schema) -> None:
    @schema
    class Table(dj.Manual):
        definition = """
        a : int32
        ---
        x : float64
        """

    Table.insert([(1, 1.999), (2, 5)])
    assert (Table & "truncate(x, 1) = 1.9").to_arrays("a").tolist() == [1]
    assert (Table & "replace(a, '1', '3') = '3'").to_arrays("a").tolist() == [1]
    assert (Table & "if(a > 1, 1, 0)").to_arrays("a").tolist() == [2]
