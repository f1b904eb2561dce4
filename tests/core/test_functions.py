"""The functions of text: each that may be called is tried, each that may not is refused with what may be meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core.errors import QuerySyntaxError
from dj_panel.core.sqlfunctions import AGGREGATES, FUNCTIONS, ONLY_ON_SERVERS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scientist.md"


@pytest.fixture
def table(schema: dj.Schema) -> Any:
    @schema
    class Table(dj.Manual):
        definition = """
        a : int32
        ---
        n : int32
        s : varchar(20)
        d : date
        t : datetime
        j : json
        """

    Table.insert1((1, 5, "abc", "2020-01-31", "2020-01-31 12:00:00", {"k": 1, "l": [1, 2]}))
    return Table


CALLS = r"""
abs(n) ceil(n) ceiling(n) floor(n) mod(n,2) nullif(n,2) round(n) truncate(n,0) greatest(n,2) least(n,2) acos(0) asin(0)
atan(1) atan2(1,2) cos(1) degrees(1) exp(1) ln(2) log(2) log10(2) log2(2) pi() pow(2,3) power(2,3) radians(1) rand()
sin(1) sqrt(4) tan(1) sign(n) date_add(d,interval(1)day) date_sub(d,interval(1)day) current_timestamp() localtime()
localtimestamp() now() utc_timestamp() str_to_date(s,'%Y') time(t) time_to_sec(t) timediff(t,t) unix_timestamp(t)
curdate() current_date() date(t) last_day(d) curtime() current_time() ascii(s) char_length(s) datediff(t,d) day(d)
dayofmonth(d) dayofweek(d) dayofyear(d) field(s,'a') find_in_set(s,'a,b') hour(t) instr(s,'b') isnull(s)
json_contains(j,'1','$.k') json_length(j) length(s) locate('b',s) microsecond(t) minute(t) month(d) quarter(d) second(t)
strcmp(s,'a') to_days(d) week(d) weekday(d) year(d) concat(s,n) concat_ws('-',s,n) date_format(d,'%Y') dayname(d) hex(s)
json_extract(j,'$.k') json_unquote('"a"') json_value(j,'$.k') lcase(s) left(s,1) lower(s) lpad(s,5,'x') ltrim(s)
mid(s,1,2) monthname(d) repeat(s,2) replace(s,'a','b') reverse(s) right(s,1) rpad(s,5,'x') rtrim(s) space(2)
substr(s,1) substring(s,1) substring_index(s,'b',1) ucase(s) upper(s) uuid()
std(n) stddev(n) stddev_pop(n) stddev_samp(n) var_pop(n) var_samp(n) variance(n) bit_and(n) bit_or(n) bit_xor(n)
any_value(n) json_arrayagg(n)
conv(n,10,2) elt(1,s) format(n,1) from_base64('YQ==') json_array(n) json_keys(j) json_object('a',n) json_quote(s)
json_search(j,'one','a') json_type(j) md5(s) sha1(s) sha2(s,256) soundex(s) to_base64(s) time_format(t,'%H') bit_count(n)
crc32(s) json_contains_path(j,'one','$.k') json_valid(j) period_diff(202001,201901) weekofyear(d) yearweek(d) cot(1)
from_days(737820) makedate(2020,1) addtime(t,'01:00:00') from_unixtime(0) maketime(1,2,3)
sec_to_time(5) subtime(t,'01:00:00') timestamp(d) unhex('41')
""".split()  # noqa: SIM905 - a list of calls


def test_every_function_that_may_be_called_works_or_says_where_it_does(table: Any) -> None:
    tried = {call.partition("(")[0] for call in CALLS}
    assert tried == {*FUNCTIONS, *AGGREGATES, *ONLY_ON_SERVERS}
    is_embedded = table.connection.dialect.name == "sqlite"
    for call in CALLS:
        name, text = call.partition("(")[0], call.replace("interval(1)day", "interval 1 day")
        query = dj.U().aggr(table, v=text) if name in AGGREGATES else table.proj(v=text)
        if is_embedded and name in ONLY_ON_SERVERS:
            message = (
                f"The function {name.upper()} works on MySQL and MariaDB only, not on the embedded database"
            )
            with pytest.raises(QuerySyntaxError, match=re.escape(message)):
                query.to_dicts()
        else:
            assert len(query.to_dicts()) == 1, call


def test_the_functions_are_listed_in_the_documentation() -> None:
    page = DOCS.read_text(encoding="utf-8")
    section = page[page.index("## Expressions in text") :].partition("\n## ")[0]
    everywhere, _, on_servers = section.partition("On MySQL and MariaDB alone")
    listed = [
        set(re.findall(r"`([a-z0-9_]+)`", part)) for part in (everywhere, on_servers.partition("\n\n")[0])
    ]
    assert {*FUNCTIONS, *AGGREGATES} - listed[0] == set()
    assert listed[1] == set(ONLY_ON_SERVERS)
    assert listed[0] & set(ONLY_ON_SERVERS) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("substrng(s, 1) = 'a'", r"the function SUBSTRNG may not be used here. Did you mean 'substring'\?"),
        ("dateadd(d, interval 1 day) = d", r"DATEADD may not be used here. Did you mean 'date_add'\?"),
        ("if_null(n, 1)", r"Did you mean 'ifnull'\?"),
        ("cast(n as json) = 1", "a cast to JSON may not be used here: MariaDB has none"),
        ("sleep(5)", r"SLEEP may not be used here. Those that may are listed in docs/scientist.md"),
    ],
)
def test_a_refused_function_is_named_with_what_may_be_meant(table: Any, text: str, message: str) -> None:
    with pytest.raises(QuerySyntaxError, match=message):
        table & text


@pytest.mark.parametrize(
    "text",
    [
        "~n = 1",
        "rand(1) > 2",
        "d + 1 = 5",
        "d = n",
        "time(t) = 120000",
        "md5(s) = 'a'",
    ],
)
def test_what_the_embedded_database_cannot_say_names_the_servers_that_can(table: Any, text: str) -> None:
    if table.connection.dialect.name != "sqlite":
        len(table & text)
        return
    with pytest.raises(
        QuerySyntaxError, match="works on MySQL and MariaDB only, not on the embedded database"
    ):
        len(table & text)


def test_an_attribute_with_many_values_in_a_group_is_refused(table: Any, schema: dj.Schema) -> None:
    parents = {"Table": table}

    class Part(dj.Manual):
        definition = """
        -> Table
        p : int32
        ---
        m : int32
        """

    schema(Part, context=parents)
    schema(Part, context=parents)
    schema(Part, context=parents)
    Part.insert([(1, 1, 3), (1, 2, 4)])
    message = "each group of rows has many values of 'm'. Say which: min\\(m\\)"
    for expression in ("m", "m + 1", "sum(m) + m"):
        with pytest.raises(QuerySyntaxError, match=message):
            table.aggr(Part, c=expression)
        with pytest.raises(QuerySyntaxError, match=message):
            dj.U("a").aggr(Part, c=expression)
    assert table.aggr(Part, c="sum(m) + n").fetch1("c") == 12
    assert table.aggr(Part, c="n + 1", k="count(*)").fetch1("c", "k") == (6, 2)
    assert table.aggr(Part, c="j.k:signed", k="max(m)").fetch1("c", "k") == (1, 4)
    assert dj.U("a").aggr(Part, c="sum(m) + a").fetch1("c") == 8


@pytest.mark.parametrize("text", ["count(*)", "sum(n) + 1", "any_value(n)", "json_arrayagg(s)"])
def test_an_aggregate_over_one_row_is_refused(table: Any, text: str) -> None:
    with pytest.raises(
        QuerySyntaxError, match=r"holds an aggregate, which is over many rows. Aggregate with A.aggr"
    ):
        table.proj(v=text)
    with pytest.raises(QuerySyntaxError, match="holds an aggregate"):
        table & f"{text} > 0"


def test_an_aggregate_of_an_aggregate_is_refused(table: Any) -> None:
    with pytest.raises(QuerySyntaxError, match="an aggregate inside an aggregate"):
        dj.U().aggr(table, v="sum(count(n))")


def test_rows_are_sorted_at_random(table: Any) -> None:
    assert len(table.to_dicts(order_by="rand()")) == 1


def test_a_row_that_a_function_cannot_work_with_ends_in_words(table: Any) -> None:
    if table.connection.dialect.name == "sqlite":
        with pytest.raises(
            dj.errors.QueryError, match="A value of a row is none that a function of the query"
        ):
            table.proj(v="cast(-n as unsigned)").to_dicts()
