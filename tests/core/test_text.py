"""Text restrictions: what users write works on both servers, and what could do harm is refused."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import dj_panel as dj
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = fill_lab(declare_lab(schema), subjects=3)
    lab.Subject.update1({"subject": "M1", "birth": "2025-12-01", "weight": "20.5"})
    lab.Subject.update1({"subject": "M2", "birth": "2025-12-31", "weight": "30"})
    return lab


TEXTS = [
    ("session = 1", 3),
    ("session <> 1 and not session = 2", 3),
    ("session in (1, 3)", 6),
    ("session not in (1, 3)", 3),
    ("session between 2 and 3", 6),
    ("subject like 'M%' and subject not like '%2'", 6),
    ("subject like 'm%'", 0),
    ("subject like '100\\\\%'", 0),
    ("session % 2 = 1", 6),
    ("session MOD 2 = 1", 6),
    ("session / 2 = 1.5", 3),
    ("session DIV 2 = 1", 6),
    ("partner is null", 9),
    ("partner is not null", 0),
    ("partner <=> null", 9),
    ("session_date = '2026-01-02'", 3),
    ("session_date >= '2026-01-02'", 6),
    ("session_date > '2026-01-02 12:00:00'", 3),
    ("session_date between '2026-01-01' and '2026-01-02'", 6),
    ("session_date < '2026-01-01' + interval 1 day", 3),
    ("session_date = date_add('2026-01-01', interval 2 day)", 3),
    ("year(session_date) = 2026 and dayofmonth(session_date) = 3", 3),
    ("datediff(session_date, '2026-01-01') = 2", 3),
    ("date_format(session_date, '%Y-%m') = '2026-01'", 9),
    ("if(session > 2, 1, 0) = 1", 3),
    ("case when session > 2 then 'late' else 'early' end = 'late'", 3),
    ("concat(subject, '-', session) = 'M1-2'", 1),
    ("char_length(subject) = 2", 9),
    ("upper(subject) = 'M1' or lower(subject) = 'm2'", 6),
    ("substring(subject, 2, 1) = '3'", 3),
    ("left(subject, 1) = 'M' and right(subject, 1) = '1'", 3),
    ("coalesce(partner, 'none') = 'none'", 9),
    ("ifnull(partner, 'none') = 'none'", 9),
    ("subject regexp '^M[12]$'", 6),
    ("abs(-session) = sqrt(9)", 3),
    ("round(session / 2) = 1", 6),
    ("greatest(session, 2) = 2", 6),
    ("true", 9),
    ("not true", 0),
    ("session = 1 xor session = 2", 6),
    ("`session` = 1", 3),
    ('subject = "M1"', 3),
    ("cast(session as char) = '2'", 3),
    ("timestampdiff(day, '2026-01-01', session_date) = 1", 3),
    ("subject = 'it''s' or subject = 'it\\'s'", 0),
    ("(session, subject) in ((1, 'M1'), (2, 'M2'))", 2),
    ("least(session, 2) = 1", 3),
    ("instr(subject, '2') > 0", 3),
    ("trim(subject) = 'M1'", 3),
    ("now() > session_date", 9),
    ("not (session = 1 or partner = 'x')", 0),
    ("session = '1'", 3),
    ("session in ('1', '2')", 6),
    ("concat(subject, partner) is null", 9),
    ("concat_ws('-', subject, partner) = 'M1'", 3),
    ("quarter(session_date) = 1 and weekday(session_date) = 3", 3),
    ("dayname(session_date) = 'Friday'", 3),
    ("length('é') = 2", 9),
    ("field(session, 3, 2) = 1", 3),
    ("find_in_set(session, '2,3') > 0", 6),
    ("substring_index(concat(subject, '-x'), '-', -1) = 'x'", 9),
    ("mod(session, 2) = 1", 6),
    ("lpad(session, 3, '0') = '002'", 3),
    ("last_day(session_date) = '2026-01-31'", 9),
    ("date_format(session_date, '%d.%c.%y %W') = '02.1.26 Friday'", 3),
    ("timestampdiff(month, '2025-01-02', session_date) = 12", 6),
    ("session_date - interval 1 month = '2025-12-02'", 3),
    ("replace(subject, 'M', 'N') = 'N1'", 3),
]


def test_text_that_users_write_means_the_same_on_both_servers(lab: Any) -> None:
    found = {text: (len(lab.Session & text), len(lab.Session - text)) for text, _ in TEXTS}
    assert found == {text: (n_rows, 9 - n_rows) for text, n_rows in TEXTS}


EXPRESSIONS: list[tuple[str, Any]] = [
    ("weight * 2", Decimal("41.00")),
    ("weight / 3", Decimal("6.833333")),
    ("round(weight)", Decimal(21)),
    ("floor(weight)", 20),
    ("birth", dt.date(2025, 12, 1)),
    ("birth + interval 1 month", dt.date(2026, 1, 1)),
    ("timestampdiff(day, birth, '2026-01-01') / 2", Decimal("15.5000")),
    ("datediff('2026-01-01', birth)", 31),
    ("year(birth)", 2025),
    ("concat(subject, ' %')", "M1 %"),
    ("if(weight > 20, 'heavy', 'light')", "heavy"),
    ("weight is null", 0),
    ("weight > 20 and sex = 'U'", 1),
    ("length(subject)", 2),
    ("7 div 2", 3),
    ("'%s'", "%s"),
    ("nullif(sex, 'U')", None),
]


def test_expressions_have_the_same_value_on_both_servers(lab: Any) -> None:
    found = {}
    for expression, _ in EXPRESSIONS:
        value = (lab.Subject.proj(x=expression) & {"subject": "M1"}).fetch1("x")
        found[expression] = value
    assert found == dict(EXPRESSIONS)
    assert {text: type(v) for text, v in found.items()} == {text: type(v) for text, v in EXPRESSIONS}


HARMFUL = [
    "1=1; drop table subject",
    "session = 1; select 1",
    "session = (select max(session) from session)",
    "exists (select 1)",
    "session in (select 1)",
    "1=1 union select * from mysql.user",
    "session = 1 into outfile '/tmp/x'",
    "sleep(10)",
    "benchmark(1000000, md5('x'))",
    "load_file('/etc/passwd') is not null",
    "load_extension('x')",
    "get_lock('x', 10)",
    "@@version = 1",
    "@x := 1",
    "user() = 'root'",
    "version() = '1'",
    "database() = 'x'",
    "randomblob(1000000000) is null",
    "zeroblob(1000000000) is null",
    "fts3_tokenizer('x')",
    "writefile('/tmp/x', 'x')",
    "readfile('/etc/passwd') = 'x'",
    "mysql.user.user = 'root'",
    "session.session = 1",
    "extractvalue(1, concat(0x7e, 'x'))",
    "updatexml(1, 'x', 1)",
    "sys_exec('x')",
    "match (subject) against ('x')",
    "session = 1 limit 1",
    "session = 1 order by 1",
    "session as x",
    "*",
    "session = 1 group by session",
    "count(*) over ()",
    "row_number() over (order by session)",
    "session collate nocase = 1",
    "session = 1 procedure analyse()",
    "insert into x values (1)",
    "delete from session",
    "drop table session",
    "set @a = 1",
    "call x()",
    "pragma foreign_keys = off",
    "attach database 'x' as y",
    "__slot0__ = 1",
    "session = ?",
    "session = :a",
    "session = %s",
    "session = {d}",
]


USES: list[Callable[[Any, str], Any]] = [
    lambda lab, text: lab.Session & text,
    lambda lab, text: lab.Session - text,
    lambda lab, text: lab.Session & [text],
    lambda lab, text: lab.Session.proj(x=text),
    lambda lab, text: lab.Subject.aggr(lab.Session, x=text),
    lambda lab, text: dj.U("session").aggr(lab.Session, x=text),
]


def test_text_that_could_do_harm_is_refused_before_it_reaches_the_server(lab: Any) -> None:
    passed = []
    for text in HARMFUL:
        for use in USES:
            try:
                passed.append((text, use(lab, text).make_sql()))
            except (dj.errors.QuerySyntaxError, dj.errors.UnknownAttributeError):
                continue
    assert passed == []
    assert len(lab.Session) == 9


def test_a_comment_hides_nothing(lab: Any) -> None:
    assert len(lab.Session & "session = 1 -- and 1=0") == 3
    assert len(lab.Session & "session = 1 /* or 1=1 */ and subject = 'M1'") == 1
    assert len(lab.Session & "session = 1 /*! or 1=1 */") == 3  # MySQL alone would read it
    statement = (lab.Session & "session = 1 /*! or 1=1 */").make_sql()
    assert "/*" not in statement


PIECES = ["'", '"', "`", "\\", ";", "--", "#", "/*", "*/", ")", "(", " OR 1=1", " UNION SELECT 1", "\0", "%s", "%",
          "?", ":a", "{}", "x", "M1", "\n", "0x27", "' OR ''='", "\\'", "日", "😀", "$.a", "]", "["]  # fmt: skip


def test_sql_inject_values_never_become_sql(lab: Any) -> None:
    rng = random.Random(22)
    payloads = ["".join(rng.choices(PIECES, k=rng.randint(1, 6))) for _ in range(250)]
    lab.Subject.update1({"subject": "M1", "meta": {"a": "1"}})
    n_rows = 0
    for payload in payloads:
        n_rows += len(lab.Subject & {"subject": payload}) * (payload not in ("M1", "M2", "M3"))
        n_rows += len(lab.Subject & {"sex": payload, "birth": payload, "weight": payload})
        n_rows += len(lab.Subject & {"subject": [payload, payload + "x"]}) * ("M1" not in payload)
        n_rows += len(lab.Subject & [{"subject": payload, "sex": "U"}, {"subject": payload, "sex": "M"}]) * (
            payload not in ("M1", "M2", "M3")
        )
        n_rows += len(lab.Subject & {"meta.a": payload})
        for name in (payload, f"subject{payload}", f"meta.{payload}"):
            try:
                n_rows += len(lab.Subject & {name: "nothing"})
            except dj.DataJointError:
                continue
        for order in (payload, f"subject{payload}"):
            try:
                lab.Subject.to_dicts(order_by=order)
            except dj.DataJointError:
                continue
    print(f"sql-inject: {len(payloads)} payloads, {n_rows} extra rows")
    assert n_rows == 0
    assert len(lab.Subject) == 3


def test_sql_inject_text_is_one_expression_over_attributes_or_refused(lab: Any) -> None:
    rng = random.Random(23)
    refused = 0
    for _ in range(300):
        payload = "".join(rng.choices(PIECES, k=rng.randint(1, 6)))
        for text in (payload, f"subject = '{payload}", f"session = 1{payload}"):
            try:
                statement = (lab.Session & text).make_sql()
            except dj.DataJointError:
                refused += 1
                continue
            words = re.findall(r"\b[A-Z_]{2,}\b", re.sub(r"\bOR\b", "", statement))
            assert set(words) <= {
                "SELECT",
                "AS",
                "FROM",
                "WHERE",
                "AND",
                "IN",
                "NOT",
                "NULL",
                "CONCAT",
                "COLLATE",
            }, (
                text,
                statement,
            )
            assert ";" not in statement.replace("`;", "").replace('";', "")
    print(f"sql-inject: {refused} of 900 texts refused")
    assert refused > 300
    assert len(lab.Session) == 9


def test_values_of_expressions_are_bound_and_not_written(lab: Any) -> None:
    statement = (lab.Session & "subject = 'secret-word'" & {"partner": "other-word"}).make_sql()
    assert "secret-word" not in statement
    assert "other-word" not in statement


def test_a_date_that_is_none_is_an_error_and_not_an_empty_result(lab: Any) -> None:
    with pytest.raises(dj.errors.QuerySyntaxError, match=r"'1.3.2026'.*session_date.*YYYY-MM-DD"):
        len(lab.Session & "session_date > '1.3.2026'")
    with pytest.raises(dj.errors.QuerySyntaxError, match="YYYY-MM-DD"):
        len(lab.Session & "session_date > '2026-1-1'")


def test_schema_and_table_names_of_any_characters_are_quoted(connection: dj.Connection) -> None:
    for name in ("a`b", 'a"b', "a.b", "a/b", ""):
        with pytest.raises(dj.errors.DefinitionError):
            dj.Schema(connection=connection).activate(name)
    hostile = dj.FreeTable(connection, 'x`; drop table y; --."z')
    with pytest.raises(dj.errors.MissingTableError):
        hostile.to_dicts()
