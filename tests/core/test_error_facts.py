"""An error says its table, attribute, value and remedy as facts too, and its text ends with what to do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core import errors
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab

Wrong = Callable[[Any], Any]


def session(**values: Any) -> dict[str, Any]:
    return {"subject": "M1", "session": 9, "session_date": "2026-01-01", **values}


def animal(**values: Any) -> dict[str, Any]:
    return {"subject": "M9", "species": "mouse", **values}


CASES: dict[str, tuple[Wrong, type[errors.QueryError], str, str, Any, str]] = {
    "a key that is taken": (
        lambda lab: lab.Session.insert1(session(session=1)),
        errors.DuplicateError, "Session", "subject, session", {"subject": "M1", "session": 1}, "skip_duplicates",
    ),
    "a key that is repeated": (
        lambda lab: lab.Species.insert([("fly",), ("fly",)]),
        errors.DuplicateError, "Species", "species", "fly", "Remove one of them.",
    ),
    "a unique value that is taken": (
        lambda lab: lab.Tagged.insert1({"tagged": 2, "tag": "a"}),
        errors.DuplicateError, "Tagged", "tag", "a", "Choose another value",
    ),
    "a unique value that is repeated": (
        lambda lab: lab.Tagged.insert([{"tagged": 2, "tag": "b"}, {"tagged": 3, "tag": "b"}]),
        errors.DuplicateError, "Tagged", "tag", "b", "give it another value",
    ),
    "a unique value that an update takes": (
        lambda lab: lab.Tagged.update1({"tagged": 4, "tag": "a"}),
        errors.DuplicateError, "Tagged", "tag", "a", "Choose another value",
    ),
    "a parent that is missing": (
        lambda lab: lab.Session.insert1(session(partner="M8")),
        errors.IntegrityError, "Session", "partner", "M8", "Insert the row into",
    ),
    "children in the way": (
        lambda lab: (lab.Subject & "subject = 'M1'").delete_quick(),
        errors.IntegrityError, "Session", "subject", None, "Use delete()",
    ),
    "parts without their master": (
        lambda lab: lab.Session.Trial.delete(),
        errors.IntegrityError, "Session.Trial", "", None, "part_integrity",
    ),
    "an update to no value": (
        lambda lab: lab.Session.update1({"subject": "M1", "session": 1, "session_date": None}),
        errors.IntegrityError, "Session", "session_date", None, "Give it a value.",
    ),
    "an attribute that a row lacks": (
        lambda lab: lab.Subject.insert1({"subject": "M9"}),
        errors.MissingAttributeError, "Subject", "species", None, "Add it to the row.",
    ),
    "an attribute without a value": (
        lambda lab: lab.Subject.insert1(animal(species=None)),
        errors.MissingAttributeError, "Subject", "species", None, "Give it one.",
    ),
    "values without names": (
        lambda lab: lab.Subject.insert1(("M9", "mouse")),
        errors.MissingAttributeError, "Subject", "", ("M9", "mouse"), "Give dicts.",
    ),
    "one row wanted and none there": (
        lambda lab: (lab.Subject & "subject = 'M9'").fetch1(),
        errors.OneRowError, "Subject", "subject", None, "Restrict it to one key.",
    ),
    "an update of no row": (
        lambda lab: lab.Subject.update1(animal(sex="F")),
        errors.OneRowError, "Subject", "subject", "M9", "correct the key",
    ),
    "an update of a row that changed": (
        lambda lab: lab.Subject.update1({"subject": "M1", "sex": "F"}, expected={"sex": "M"}),
        errors.OneRowError, "Subject", "subject", "M1", "Look at it again.",
    ),
    "an unknown attribute of a row": (
        lambda lab: lab.Subject.insert1(animal(wieght=1)),
        errors.UnknownAttributeError, "Subject", "wieght", None, "Did you mean 'weight'?",
    ),
    "an unknown attribute of a restriction": (
        lambda lab: lab.Subject & {"wieght": 1},
        errors.UnknownAttributeError, "Subject", "wieght", None, "Did you mean 'weight'?",
    ),
    "a value that does not fit": (
        lambda lab: lab.Subject.insert1(animal(sex="X")),
        errors.ValueRefusedError, "Subject", "sex", "X", "Correct the value.",
    ),
    "no value that is given": (
        lambda lab: lab.Subject.insert1(animal(sex=float("nan"))),
        errors.ValueRefusedError, "Subject", "sex", None, "Leave it out for its default.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_error_has_its_table_attribute_value_and_remedy(
    schema: dj.Schema, backend: Backend, case: str
) -> None:
    @schema
    class Tagged(dj.Manual):
        definition = "tagged : int32\n---\ntag : varchar(8)\nunique index (tag)"

    Tagged.insert([(1, "a"), (4, "d")])
    lab = fill_lab(declare_lab(schema))
    lab.Tagged = Tagged
    wrong, kind, table, attribute, value, remedy = CASES[case]
    with pytest.raises(errors.QueryError) as caught:
        wrong(lab)
    error = caught.value
    assert type(error) is kind
    assert error.table == f"{backend.prefix}lab.{table}"
    assert error.attribute == attribute == ", ".join(error.attributes)
    assert error.value == value or error.value != error.value  # NaN is equal to nothing
    assert remedy in error.remedy
    if kind is not errors.ValueRefusedError or "default" in remedy:
        assert str(error).endswith(error.remedy)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.table, copy.remedy) == (str(error), error.table, error.remedy)


def test_facts_may_be_left_out_and_arguments_added() -> None:
    for kind in (
        errors.DuplicateError,
        errors.IntegrityError,
        errors.OneRowError,
        errors.MissingAttributeError,
    ):
        error = kind("It is so.")
        assert (str(error), error.table, error.attributes, error.value, error.remedy) == (
            "It is so.",
            "",
            (),
            None,
            "",
        )
        assert error.suggest("more").args == ("It is so.", "more")
    assert str(errors.ValueRefusedError("is wrong")) == "is wrong"
