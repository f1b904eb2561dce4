"""Expressions give the same values, of the same types, on SQLite, on a server, and with DataJoint on that server."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core.settings import Settings
from tests.wire.sides import Side
from tests.wire.test_tables import ours, prefix, theirs  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]

EXPRESSIONS = r"""
1/3*3
n/3
n/3*3
n/7*70000
dc/7*7000000
n/3/3
n/3/3*90000
round(n/3,6)
round(1.5,3)
round(dc,1)
round(dc,3)
round(dc,n)
round(n)
round(n,1)
round(n*13,-1)
round(x,1)
round(x)
round(x*10)
round(s)
truncate(dc,1)
truncate(x,1)
truncate(n*13,-1)
floor(dc)
ceil(dc)
floor(x)
ceiling(n)
abs(dc)
abs(x)
abs(n-3)
abs('5')
-dc
-s
-n
dc%2
dc%0.3
x%2
n%2
mod(dc,n)
mod(n,-3)
sign(dc)
dc*dc
dc*1.5
dc-1.555
n+1.5
s+1
s*2
e+0
e+1.5
e*x
if(n>1,dc,1)
if(n>1,x,1)
if(n>1,1,x)
if(n>1,s,1)
if(n>1,d,ts)
if(n>1,d,'a')
if(n>1,1,'a')
if(n>1,x,'a')
if(n>1,dc,'a')
ifnull(n,1.5)
ifnull(d,ts)
coalesce(dc,n)
coalesce(x,n)
coalesce(s,n)
coalesce(null,n)
nullif(n,2)
nullif(dc,2)
nullif(x,1)
nullif(d,'2020-01-31')
greatest(n,2.5)
greatest(dc,2)
greatest(x,2)
greatest(s,'b')
greatest(d,'2020-02-01')
least(n,'3')
case when n>1 then dc else 2 end
case n when 1 then 'one' when '5' then 'five' end
case e when 'M' then 1.5 else n end
cast(x as signed)
cast(2.5 as signed)
cast(x*5 as signed)
cast('1.9' as signed)
cast(d as signed)
cast(ts as signed)
cast(dc as unsigned)
cast(n as double)
cast(x as decimal(5,1))
cast(x as decimal)
cast('1.25' as decimal(5,1))
cast('2020-01-01' as date)
cast(d as datetime)
cast(ts as time)
cast(t3 as datetime)
cast(x as char)
cast(n*1e20 as char)
cast(dc as char)
cast(n/3 as char)
cast(s as char(1))
cast(d as char)
date(ts)
time(ts)
time(t3)
d + interval 1 day
d + interval 1 hour
'2020-01-01' + interval 1 day
ts + interval 1 month
t3 + interval 1 month
t3 - interval 500 microsecond
date_sub(d, interval 1 year)
date_add('2020-01-01', interval 1 hour)
last_day(ts)
str_to_date('2020-01-01','%Y-%m-%d')
str_to_date('3.2.2020 10:00','%d.%m.%Y %H:%i')
str_to_date('10:00','%H:%i')
str_to_date(s,'%Y-%m-%d')
str_to_date('Jan 5, 2020','%b %d, %Y')
to_days(d)
timediff(ts,ts)
timediff(ts,d)
timediff(t3,ts)
timediff('10:00:00','09:30:00')
unix_timestamp(ts)
unix_timestamp(d)
unix_timestamp(t3)
unix_timestamp('2020-01-01 00:00:00')
time_to_sec(ts)
time_to_sec(t3)
year(d)
quarter(d)
microsecond(t3)
date_format(t3,'%H:%i:%s.%f')
length(s)
hex(n)
hex(255)
hex(1.5)
hex(x)
hex(s)
hex(e)
hex(u)
left(u,2)
substr(u,-3,2)
length(u)
coalesce(j,j)
left(j,3)
ascii(s)
concat(n,x,dc)
concat(x*2)
concat(d,ts)
concat(t3,'|',n/3)
concat(1.0)
concat_ws('-',s,n,x)
substring(s,0)
substring('abc',-5,3)
substring('abc',-2,1)
substring('abc',n,1)
substr(s from 2)
left(x,2)
length(x)
char_length(dc)
upper(x)
repeat(s,-1)
trim(n)
trim('x' from s)
trim(leading 'x' from 'xxax')
j.k
j.t
j.k:unsigned
j.k:decimal(5,2)
json_value(j,'$.k')
json_extract(j,'$.k')
json_extract(j,'$.t')
json_extract(j,'$.k','$.t')
json_unquote(json_extract(j,'$.t'))
json_contains(j,'1','$.k')
json_contains(j,'{"k":1}')
json_length(j)
n ^ 3
n & 3
n | 8
n << 2
n >> 1
log(2,8)
log(8)
log(n-1)
log(2,0)
ln(-1)
sqrt(-1)
sqrt(dc)
sqrt(s)
pi()
pi()*2
pow(2,3)
power(n,0.5)
exp(1)
sin(dc)
strcmp('a',1)
field(n,'1',2)
field(s,'x','y')
isnull(n)
'a' = 0
'1' = 1
s > 5
e = 1
d = 20200131
ts > 20200130
d = ts
ts > d
t3 = ts
d between 20200101 and 20201231
x = '0.5'
n = 'abc'
dc*3 = 3.3
dc = x
dc in (1.1, 2)
dc in (1.1, 'x')
dc between 1 and 2
n in (1, '5')
dc <=> 1.10
s regexp '[[:alpha:]]'
s regexp '^[[:upper:]][[:digit:]]+$'
binary s = 'x'
not s
s and 1
7.5 div 2
x div 0.2
n div 0.3
-7 div 2
current_date() > d
current_timestamp() > ts
localtime() > ts
utc_timestamp() > ts
now() > ts
date(now()) = curdate()
rand() < 1
length(uuid())
locate('1',s)
locate('1',s,3)
instr(s,'1')
find_in_set(s,'x,y')
dc = '1.100'
x'58' = 'X'
0x01 + n
u = x'12345678123456781234567812345678'
1.50
1e3
'lit'
true
null
n > 1.5
dayname(d) = 'friday'
'a' = 'A'
'a' regexp 'A'
'a' like 'A'
'A' in ('a', 'b')
s = cast(n as char)
cast(n as char) = concat(e, n)
json_unquote(json_extract(j,'$.t')) = cast(n as char)
concat(d, s) > cast(x as char)
concat(s, 'x') = 'XX'
upper('é') = 'É'
dc > n
d > '2020-01-31 10:00:00'
ts = '2020-01-31 12:00:00'
ts + interval 1 hour > '2020-01-31'
d + interval 1 day = '2020-02-01'
date(ts) = '2020-01-31'
year(d) = '2020'
s = n
weekday(d) + 0.5
(n = 1) + (x > 0)
bo + 1
not bo
bo = 'true'
json_value(j,'$.k') = 1
json_value(j,'$.k') + 1
json_extract(j,'$.k') = 1
""".strip().split("\n")

AGGREGATES = r"""
avg(n)
avg(x)
avg(dc)
avg(s)
avg(bo)
avg(distinct n)
avg(distinct dc)
sum(n)
sum(x)
sum(dc)
sum(s)
sum(bo)
sum(n>1)
sum(distinct n)
sum(n/3)
avg(n/3)*3
avg(n)*2
avg(n)/3*3
count(*)/2
count(n)
count(distinct n, s)
min(d)
max(ts)
max(t3)
max(dc)
min(dc)+1
max(n)-min(n)
max(x)
min(u)
max(e)
std(n)
variance(dc)
var_samp(n)
group_concat(s order by a desc separator '|')
group_concat(distinct s order by s)
group_concat(distinct s)
group_concat(n order by n desc)
group_concat(dc order by dc)
group_concat(x order by x)
group_concat(s, n order by a)
bit_or(n)
bit_and(n)
bit_xor(n)
any_value(bo)
json_arrayagg(n)
json_arrayagg(dc)
json_arrayagg(s)
round(avg(n),2)
round(avg(x),2)
if(sum(n)>3,sum(n),0)
sum(if(n>1,1,0))
sum(if(n>1,dc,0))
sum(n)+max(x)
coalesce(sum(n),0)
concat(avg(n))
greatest(sum(n),1)
""".strip().split("\n")

# In which DataJoint gives something else than we do, each with the reason.
DIFFERENT = {
    "pi()": "MariaDB shows six digits of it",
    "pi()*2": "the same",
    "std(n)": "MariaDB shows four more digits than the attribute has",
    "variance(dc)": "the same",
    "bo = 'true'": "the word is no number; here it is true",
    "dayname(d) = 'friday'": "capitals and small letters of what is in no column are the same there",
    "'a' = 'A'": "the same",
    "'a' like 'A'": "the same",
    "'a' regexp 'A'": "the same",
    "'A' in ('a', 'b')": "the same",
    "min(u)": "there the bytes, here the UUID",
    "any_value(bo)": "there 1, here True; MariaDB has no such function",
    "round(n*13,-1)": "a decimal there",
}
CLASSES = {
    "integer": int, "boolean": int, "float": float, "decimal": Decimal, "text": str, "enum": str, "date": dt.date,
    "datetime": dt.datetime, "time": dt.timedelta, "uuid": uuid.UUID, "bytes": bytes,
}  # fmt: skip
DEFINITION = """
a : int32
---
s = null : varchar(20)
n = null : int32
d = null : date
j = null : json
x = null : float64
ts = null : datetime
t3 = null : datetime(3)
e = null : enum('M','F')
bo = null : bool
u = null : uuid
dc = null : decimal(6,2)
"""
ROWS = [
    {"a": 1, "s": "x", "n": 1, "d": "2020-01-31", "j": {"k": 1, "t": "a"}, "x": 0.5, "ts": "2020-01-31 12:00:00",
     "t3": "2020-01-31 12:00:00.5", "e": "M", "bo": 1, "u": uuid.UUID("12345678-1234-5678-1234-567812345678"),
     "dc": "1.10"},
    {"a": 2, "bo": 1},
    {"a": 3, "s": "Y12", "n": 5, "d": "2021-05-05", "j": {"k": 2, "t": "B"}, "x": -2.25, "ts": "2021-05-05 01:02:03",
     "t3": "2021-05-05 01:02:03.125", "e": "F", "bo": 1, "u": uuid.UUID(int=5), "dc": "-3.00"},
    {"a": 4, "s": "10", "n": 0, "d": "2021-05-06", "j": {"k": "z"}, "x": 2.0, "ts": "2021-05-06 00:00:00",
     "t3": "2021-05-06 00:00:00", "e": "F", "bo": 1, "u": uuid.UUID(int=6), "dc": "10.00"},
]  # fmt: skip


ON_MYSQL = frozenset(
    {
        "-s",
        "1/3*3",
        "avg(n)/3*3",
        "case e when 'M' then 1.5 else n end",
        "case when n>1 then dc else 2 end",
        "cast(dc as unsigned)",
        "cast(t3 as datetime)",
        "dc/7*7000000",
        "e+0",
        "e+1.5",
        "greatest(d,'2020-02-01')",
        "hex(x)",
        "if(n>1,dc,1)",
        "json_arrayagg(dc)",
        "json_arrayagg(n)",
        "json_arrayagg(s)",
        "least(n,'3')",
        "n/3*3",
        "n/3/3",
        "n/3/3*90000",
        "n/7*70000",
        "round(1.5,3)",
        "round(dc,3)",
        "round(n/3,6)",
        "time_to_sec(t3)",
        "timediff(ts,d)",
    }
)
"""What MySQL 9.7 computes otherwise than MariaDB and SQLite; ``docs/administrator.md`` says how."""

TYPES_ON_MYSQL = frozenset({"e+0", "e+1.5", "greatest(d,'2020-02-01')", "least(n,'3')", "time_to_sec(t3)"})
"""Whose type the heading therefore says otherwise there."""


def table_of(schema: Any) -> Any:
    table = schema(type("Thing", (dj.Manual,), {"definition": DEFINITION}))()
    for row in ROWS:
        table.insert1(row)
    return table


@pytest.fixture
def tables(ours: Side, theirs: Side, prefix: str, tmp_path: Path) -> tuple[Any, Any, Any]:
    settings = Settings(safemode=False)
    settings["database.backend"], settings["database.name"] = "sqlite", str(tmp_path / "pipeline.db")
    embedded = table_of(dj.Schema("lab", connection=dj.Connection(settings)))
    return embedded, table_of(ours.schema(prefix + "lab")), theirs.table(f"`{prefix}lab`.`thing`")


def queries(module: Any, table: Any) -> dict[str, Any]:
    found = {text: (lambda text=text: table.proj(v=text)) for text in EXPRESSIONS}
    return found | {text: (lambda text=text: module.U().aggr(table, v=text)) for text in AGGREGATES}


def values(query: Any, order: str | None) -> list[str]:
    # shown, for 1, 1.0 and Decimal(1) are equal
    return [
        repr(row["v"]).replace("Decimal('-0.00')", "Decimal('0.00')")
        for row in query.to_dicts(order_by=order)
    ]


def test_expressions_give_the_same_values_of_the_same_types_everywhere(
    tables: tuple[Any, Any, Any], theirs: Side
) -> None:
    embedded, server, other = tables
    mine, same, peers = queries(dj, embedded), queries(dj, server), queries(theirs.dj, other)
    differing, refused, differing_from_datajoint = {}, [], set()
    for text in mine:
        order = "a" if text in EXPRESSIONS else None
        first, second = values(mine[text](), order), values(same[text](), order)
        if first != second:
            differing[text] = (first, second)
        try:
            third = values(peers[text](), order)
        except Exception:  # noqa: BLE001 - DataJoint takes words for attributes, and percent signs for marks
            refused.append(text)
            continue
        if third != second:
            differing_from_datajoint.add(text)
    print(f"{len(mine)} expressions, {len(refused)} of which DataJoint cannot ask")
    if server.connection.dialect.is_mariadb:
        assert differing == {}
    else:
        assert differing.keys() == ON_MYSQL
    assert differing_from_datajoint <= set(DIFFERENT)


def test_the_heading_tells_the_types_of_what_expressions_give(tables: tuple[Any, Any, Any]) -> None:
    for table in tables[:2]:
        wrong = {}
        for text, query in queries(dj, table).items():
            kind = query().heading["v"].column_type.kind
            found = {type(row["v"]) for row in query().to_dicts()} - {type(None)}
            if found and found != {CLASSES.get(kind)}:
                wrong[text] = (kind, found)
        is_mysql = not getattr(table.connection.dialect, "is_mariadb", True)
        assert wrong.keys() == (TYPES_ON_MYSQL if is_mysql else set())


def test_what_expressions_give_is_sorted_grouped_and_restricted_by_as_attributes_are(
    tables: tuple[Any, Any, Any],
) -> None:
    for table in tables[:2]:
        query = table.proj(v="dc * 3", w="d + interval 1 day", h="n / 2")
        assert query.to_arrays("a", order_by="v").tolist() == [2, 3, 1, 4]
        assert (
            (query & {"v": "3.3"}).to_arrays("a").tolist()
            == [1]
            == (query & "v = 3.3").to_arrays("a").tolist()
        )
        assert (query & "v between 3.3 and 29").to_arrays("a").tolist() == [1]
        assert (query & {"w": dt.date(2020, 2, 1)}).to_arrays("a").tolist() == [1]
        assert (query & {"h": [0.5, 2.5]}).to_arrays("a", order_by="a").tolist() == [1, 3]
        grouped = dj.U("m").aggr(table.proj(m="dc / dc"), k="count(*)").to_dicts(order_by="m")
        assert grouped == [{"m": None, "k": 1}, {"m": Decimal("1.000000"), "k": 3}]
        limited = (query & dj.Top(3, "v DESC")).proj(r="v + 1").to_arrays("r", order_by="r").tolist()
        assert limited == [Decimal("-8.00"), Decimal("4.30"), Decimal("31.00")]
        assert dj.U().aggr(query, s="sum(v)").fetch1("s") == Decimal("24.30")
