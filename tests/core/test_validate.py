"""Validation finds every problem of every row, says what to do about it, and writes nothing."""

from __future__ import annotations

import math
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.counting import counted_statements
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    return fill_lab(declare_lab(schema))


def found(result: dj.ValidationResult) -> list[tuple[int, str | None, str]]:
    return [(p.row, p.attribute, p.reason) for p in result.problems]


def test_every_problem_of_every_row_is_found_and_nothing_is_written(lab: Any, backend: Backend) -> None:
    one = uuid.uuid4()
    lab.Subject.update1({"subject": "M1", "uid": one})
    name = f"{backend.prefix}lab"
    rows: list[Any] = [
        {"subject": "A1", "species": "mouse"},
        {"subject": "A" * 13, "species": "mouse", "sex": "X"},
        {"subject": "A2", "species": "mose", "weight": "heavy"},
        {"subject": "A3"},
        {"subject": "A4", "species": "rat", "wieght": 3},
        {"subject": "A5", "species": None, "birth": "2026-02-30"},
        {"subject": "A1", "species": "rat"},
        {"subject": "M1", "species": "rat"},
        {"subject": "A6", "species": "rat", "uid": one},
        {"subject": "A7", "species": "rat", "sex": math.nan},
        {"subject": "A8", "species": "\ud800"},
        {"subject": "A9", "species": "rat", "meta": {1, 2}},
        ("A10", "rat"),
        "A11",
        {"subject": "A12", "species": "mouse", "weight": None, "sex": None},
    ]
    result = lab.Subject.validate(rows)
    assert found(result) == [
        (1, "subject", "'AAAAAAAAAAAAA' is longer than 12 characters (it has 13)"),
        (1, "sex", "'X' is not one of 'M', 'F', 'U'"),
        (2, "species", f"{name}.Species has no row with species='mose'"),
        (2, "weight", "'heavy' is not a number"),
        (3, "species", "is missing and has no default"),
        (4, "wieght", f"{name}.Subject has no attribute 'wieght'"),
        (5, "species", "has no value and no default"),
        (5, "birth", "'2026-02-30' is not a date; write it as YYYY-MM-DD, for example 2026-03-31"),
        (6, "subject", "subject='A1' is that of row 0 too"),
        (7, "subject", f"{name}.Subject already has a row with subject='M1'"),
        (8, "uid", f"{name}.Subject already has a row with uid={one!r}"),
        (9, "sex", "nan is no value, and the attribute cannot be empty"),
        (10, "species", "'\\ud800' holds half a character (an unpaired surrogate)"),
        (11, "meta", "{1, 2} cannot be written as JSON (Object of type set is not JSON serializable)"),
        (12, None, f"A row of {name}.Subject was given as 2 values without names, and it has 7 attributes:"
         " subject, species, sex, birth, weight, uid, meta. Give dicts"),
        (13, None, f"A row of {name}.Subject must be a dict, not str"),
    ]  # fmt: skip
    by_row = {problem.row: problem for problem in result.problems}
    assert by_row[2].value == "heavy"
    assert by_row[8].value == one
    assert "Did you mean 'weight'?" in by_row[4].remedy
    parent = next(p for p in result.problems if p.row == 2 and p.attribute == "species")
    assert parent.remedy == (
        f"Did you mean species='mouse'? Insert the row into {name}.Species first, or correct species."
    )
    assert (result.is_valid, bool(result), result.rows_checked) == (False, False, 15)
    assert len(lab.Subject) == 2


def test_a_problem_says_whether_the_row_another_row_the_table_or_a_parent_is_the_reason(lab: Any) -> None:
    rows = [
        {"subject": "B1", "species": "mouse"},
        {"subject": "B1", "species": "mouse"},
        {"subject": "M1", "species": "mouse"},
        {"subject": "B2", "species": "mose"},
        {"subject": "B3", "species": "mouse", "weight": "heavy"},
    ]
    kinds = [(p.row, p.kind) for p in lab.Subject.validate(rows).problems]
    assert kinds == [(1, "repeated"), (2, "taken"), (3, "parent"), (4, "value")]


def test_rows_without_problems_go_in(lab: Any) -> None:
    rows = [{"subject": f"A{i}", "species": "mouse", "sex": "F"} for i in range(100)]
    result = lab.Subject.validate(rows)
    assert result
    assert (result.is_valid, result.errors, result.rows_checked) == (True, [], 100)
    assert result.summary() == "All 100 rows may be inserted."
    result.raise_if_invalid()
    lab.Subject.insert(rows)
    assert lab.Subject.validate([]).rows_checked == 0


def test_the_result_is_read_as_that_of_datajoint(lab: Any) -> None:
    result = lab.Subject.validate([{"subject": "A", "species": "mouse", "sex": "X"} for _ in range(12)])
    for row, attribute, message in result.errors:
        assert isinstance(row, int)
        assert attribute in ("subject", "sex")
        assert message.endswith(".")
    assert isinstance(result, dj.ValidationResult)
    with pytest.raises(
        dj.DataJointError, match=r"12 of 12 rows cannot be inserted \(23 problems\)"
    ) as caught:
        result.raise_if_invalid()
    assert "row 0, sex: 'X' is not one of" in str(caught.value)
    assert str(caught.value).endswith("… and 13 more")


def test_extra_fields_are_no_problem_if_they_are_ignored(lab: Any) -> None:
    rows = [{"subject": "A1", "species": "mouse", "extra": 1}]
    assert not lab.Subject.validate(rows)
    assert lab.Subject.validate(rows, ignore_extra_fields=True)


def test_every_form_of_rows_is_validated(lab: Any, tmp_path: Path) -> None:
    rows = [
        {"subject": "A1", "species": "mouse", "sex": "F"},
        {"subject": "A2", "species": "cow", "sex": "Q"},
    ]
    path = tmp_path / "rows.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    for form in (rows, iter(rows), pd.DataFrame(rows), path, pd.DataFrame(rows).to_records(index=False)):
        assert [(p.row, p.attribute) for p in lab.Subject.validate(form).problems] == [
            (1, "species"),
            (1, "sex"),
        ]
    assert [p.attribute for p in lab.Subject.validate(lab.Subject & {"subject": "M1"}).problems] == [
        "subject"
    ]


def test_foreign_keys_of_several_attributes_and_empty_ones(lab: Any) -> None:
    good = {"subject": "M1", "session": 9, "session_date": "2026-01-01"}
    rows = [good, {**good, "session": 10, "partner": None}, {**good, "session": 11, "partner": "nobody"}]
    assert [(p.row, p.attribute, p.value) for p in lab.Session.validate(rows).problems] == [
        (2, "partner", "nobody")
    ]
    trials = [{"subject": "M1", "session": s, "trial": 5} for s in (1, 7, 2)]
    (problem,) = lab.Session.Trial.validate(trials).problems
    assert (problem.row, problem.attribute) == (1, "subject, session")
    assert problem.value == {"subject": "M1", "session": 7}
    assert "Did you mean session=3?" in problem.remedy


def test_equal_keys_are_found_however_they_are_written(schema: dj.Schema) -> None:
    @schema
    class Point(dj.Manual):
        definition = """
        id : int32
        day : date
        share = 0.5 : decimal(3, 2)
        """

    Point.insert1({"id": 1, "day": "2026-01-02"})
    rows: list[dict[str, Any]] = [
        {"id": "1", "day": pd.Timestamp("2026-01-02")},
        {"id": np.int64(2), "day": "2026-01-03", "share": "0.50"},
        {"id": 2.0, "day": "2026-01-03"},
    ]
    assert [(p.row, p.attribute) for p in Point.validate(rows).problems] == [
        (0, "id, day, share"), (2, "id, day, share")
    ]  # fmt: skip


def test_a_table_of_one_row_takes_one_row(schema: dj.Schema) -> None:
    @schema
    class Setup(dj.Manual):
        definition = "---\nname : varchar(10)"

    assert Setup.validate([{"name": "a"}])
    assert [p.row for p in Setup.validate([{"name": "a"}, {"name": "b"}]).problems] == [1]
    Setup.insert1({"name": "a"})
    assert [p.row for p in Setup.validate([{"name": "b"}]).problems] == [0]


def test_codecs_check_their_values_and_write_no_object(
    schema: dj.Schema, connection: dj.Connection, tmp_path: Path
) -> None:
    place = tmp_path / "store"
    place.mkdir()
    connection.settings["stores"] = {"main": {"protocol": "file", "location": str(place)}}

    @schema
    class Scan(dj.Manual):
        definition = """
        scan : int32
        ---
        image = null : <blob>
        movie = null : <blob@main>
        wave = null : <npy@main>
        notes = null : <attach@main>
        """

    wave = np.arange(3.0)
    rows = [
        {"scan": 1, "image": wave, "movie": wave, "wave": wave, "notes": ("a.txt", b"a")},
        {"scan": 2, "image": lambda: 0, "movie": None},
        {"scan": 3, "movie": lambda: 0},
        {"scan": 4, "wave": [1, 2]},
        {"scan": 5, "notes": 7},
        {"scan": 6, "notes": tmp_path / "absent.txt"},
    ]
    assert [(p.row, p.attribute) for p in Scan.validate(rows).problems] == [
        (1, "image"), (2, "movie"), (3, "wave"), (4, "notes"), (5, "notes")
    ]  # fmt: skip
    assert not any(place.rglob("*"))
    assert len(Scan) == 0


def test_thousands_of_rows_take_few_queries(lab: Any, connection: dj.Connection) -> None:
    rows = [{"subject": f"A{i}", "species": "mouse", "uid": uuid.uuid4()} for i in range(4000)]
    assert lab.Subject.validate(rows[:1])
    with counted_statements(connection) as count:
        assert lab.Subject.validate(rows)
    # primary key, unique index, foreign key
    assert count.n == 3
    bad = [{**row, "subject": "M1", "species": f"s{i}"} for i, row in enumerate(rows)]
    with counted_statements(connection) as count:
        n_problems = len(lab.Subject.validate(bad).problems)
    # the first three species that are missing are looked for among the near ones
    assert n_problems > 10_000
    assert 3 <= count.n <= 15


def test_a_number_that_a_server_cannot_keep_is_named(schema: dj.Schema, backend: Backend) -> None:
    @schema
    class Counter(dj.Manual):
        definition = "id : int32\n---\nn : bigint unsigned"

    rows = [{"id": 1, "n": 5}, {"id": 2, "n": 2**64 - 1}]
    if backend.name == "mariadb":
        Counter.insert(rows)
        assert [row["n"] for row in Counter.to_dicts(order_by="id")] == [5, 2**64 - 1]
        return
    assert [(p.row, p.attribute) for p in Counter.validate(rows).problems] == [(1, "n")]
    with pytest.raises(dj.errors.ValueRefusedError, match=r"Counter\.n: 18446744073709551615 is larger"):
        Counter.insert(rows)
