"""Rows go in in every form that users have them in: all of them, or none, with words that help."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    return declare_lab(schema)


@pytest.fixture
def filled(lab: Any) -> Any:
    return fill_lab(lab)


FORMS: dict[str, Any] = {
    "dicts": lambda rows, folder: rows,
    "iterator": lambda rows, folder: iter(rows),
    "sequences": lambda rows, folder: [(r["subject"], r["session"], r["session_date"], None) for r in rows],
    "records": lambda rows, folder: np.array(
        [(r["subject"], r["session"], r["session_date"]) for r in rows],
        dtype=[("subject", "U12"), ("session", "i4"), ("session_date", "U10")],
    ),
    "pandas": lambda rows, folder: pd.DataFrame(rows),
    "pandas with an index": lambda rows, folder: pd.DataFrame(rows).set_index(["subject", "session"]),
    "polars": lambda rows, folder: pl.DataFrame(rows),
    "arrow": lambda rows, folder: pa.Table.from_pylist(rows),
    "csv": lambda rows, folder: _csv(rows, folder),
}


def _csv(rows: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "rows.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_inserted_from(lab: Any, tmp_path: Path, form: str) -> None:
    lab.Subject.insert1({"subject": "M1", "species": "mouse"})
    rows = [{"subject": "M1", "session": i, "session_date": f"2026-01-0{i}"} for i in (1, 2, 3)]
    lab.Session.insert(FORMS[form](rows, tmp_path))
    found = lab.Session.to_dicts("subject", "session", "session_date", order_by="session")
    assert [{**row, "session_date": str(row["session_date"])} for row in found] == rows


def test_rows_are_inserted_from_a_query(filled: Any, schema: dj.Schema) -> None:
    @schema
    class Archive(dj.Manual):
        definition = """
        subject : varchar(12)
        session : int16
        ---
        session_date = null : date
        note = "old" : varchar(10)
        """

    Archive.insert(filled.Session & "session > 1", ignore_extra_fields=True)
    Archive.insert(filled.Session.proj("session_date"), skip_duplicates=True)
    assert len(Archive) == 6
    assert Archive.to_arrays("note").tolist() == ["old"] * 6
    with pytest.raises(dj.errors.UnknownAttributeError, match=r"'partner' in .*\.Archive"):
        Archive.insert(filled.Session & "session = 1")
    with pytest.raises(
        dj.errors.DuplicateError, match=r"Archive already has a row with subject='M\d', session="
    ):
        Archive.insert(filled.Session.proj("session_date"))


def test_a_query_that_brings_an_unknown_parent_is_refused_with_the_table_and_the_parent(
    filled: Any, schema: dj.Schema
) -> None:
    @schema
    class Strange(dj.Manual):
        definition = "strange : varchar(12)"

    Strange.insert1(("M1",))
    Strange.insert1(("nobody",))
    query = Strange.proj(subject="strange").proj(session="9", session_date="'2026-01-01'")
    with pytest.raises(dj.errors.IntegrityError, match=r"Subject has no row with subject='nobody'"):
        filled.Session.insert(query)
    assert len(filled.Session) == 6
    filled.Session.insert(query & {"subject": "M1"})
    assert len(filled.Session & "session = 9") == 1


def test_insert_dataframe_takes_the_index_as_asked(lab: Any) -> None:
    lab.Subject.insert1({"subject": "M1", "species": "mouse"})
    frame = pd.DataFrame({"subject": ["M1"], "session": [1], "session_date": ["2026-01-01"]})
    lab.Session.insert_dataframe(frame)
    lab.Session.insert_dataframe(frame.assign(session=2).set_index(["subject", "session"]), index_as_pk=True)
    fetched = lab.Session.to_pandas()
    assert fetched.index.names == ["subject", "session"]
    lab.Session.delete_quick()
    lab.Session.insert_dataframe(fetched)
    assert lab.Session.to_pandas().equals(fetched)


def test_all_or_nothing(lab: Any) -> None:
    good = [{"subject": f"M{i}", "species": "mouse"} for i in range(5000)]
    for bad in (
        {"subject": "M1", "species": "mouse"},
        {"subject": "X", "species": "dragon"},
        {"subject": "X" * 13, "species": "mouse"},
        {"subject": "X"},
        {"subject": "X", "species": "mouse", "wieght": 1},
    ):
        with pytest.raises(dj.DataJointError):
            lab.Subject.insert([*good, bad])
        assert len(lab.Subject) == 0
    with pytest.raises(ZeroDivisionError):
        lab.Subject.insert({"subject": f"M{i}", "species": "mouse", "weight": 1 / (3 - i)} for i in range(9))
    assert len(lab.Subject) == 0
    lab.Subject.insert(good, chunk_size=700)
    assert len(lab.Subject) == 5000


def test_rows_with_different_fields_go_in_together(lab: Any) -> None:
    lab.Subject.insert([
        {"subject": "M1", "species": "mouse"},
        {"subject": "M2", "species": "rat", "sex": "F"},
        {"sex": "M", "species": "rat", "subject": "M3", "weight": None},
    ])  # fmt: skip
    assert lab.Subject.to_arrays("sex", order_by="subject").tolist() == ["U", "F", "M"]


def test_skip_duplicates_hides_taken_primary_keys_and_nothing_else(lab: Any) -> None:
    one = uuid.uuid4()
    lab.Subject.insert1({"subject": "M1", "species": "mouse", "uid": one})
    lab.Subject.insert(
        [
            {"subject": "M1", "species": "rat"},
            {"subject": "M2", "species": "rat"},
            {"subject": "M2", "species": "mouse"},
        ],
        skip_duplicates=True,
    )
    assert lab.Subject.to_arrays("species", order_by="subject").tolist() == ["mouse", "rat"]
    with pytest.raises(dj.errors.DuplicateError, match=r"uid=UUID.*unique"):
        lab.Subject.insert1({"subject": "M9", "species": "rat", "uid": one}, skip_duplicates=True)
    with pytest.raises(dj.errors.IntegrityError, match="Species has no row"):
        lab.Subject.insert1({"subject": "M9", "species": "dragon"}, skip_duplicates=True)
    with pytest.raises(dj.errors.MissingAttributeError):
        lab.Subject.insert1({"subject": "M9"}, skip_duplicates=True)
    lab.Subject.insert1({"subject": "M1", "species": "mouse", "uid": one}, skip_duplicates=True)
    assert len(lab.Subject) == 2


def test_replace_puts_the_new_row_in_the_place_of_the_old(lab: Any) -> None:
    lab.Subject.insert1({"subject": "M1", "species": "mouse", "sex": "F"})
    lab.Subject.insert1({"subject": "M1", "species": "rat"}, replace=True)
    assert lab.Subject.fetch1("species", "sex") == ("rat", "U")


def test_replacing_a_row_with_children_is_refused_and_changes_nothing(filled: Any) -> None:
    with pytest.raises(dj.errors.IntegrityError, match=r"3 rows of .*Session depend.*update1"):
        filled.Subject.insert1({"subject": "M1", "species": "rat"}, replace=True)
    assert (filled.Subject & {"subject": "M1"}).fetch1("species") == "mouse"
    assert len(filled.Session) == 6


def test_extra_fields_are_refused_or_ignored(lab: Any) -> None:
    row = {"subject": "M1", "species": "mouse", "wieght": 20}
    with pytest.raises(
        dj.errors.UnknownAttributeError, match=r"'wieght' in .*\.Subject\. Did you mean 'weight'"
    ) as caught:
        lab.Subject.insert1(row)
    assert isinstance(caught.value, KeyError)
    lab.Subject.insert1(row, ignore_extra_fields=True)
    assert lab.Subject.fetch1("weight") is None


def test_messages_name_the_table_the_attribute_the_value_and_the_remedy(
    filled: Any, backend: Backend
) -> None:
    def message(row: Any, error: type[Exception]) -> str:
        with pytest.raises(error) as caught:
            filled.Subject.insert1(row)
        assert len(filled.Subject) == 2
        text = str(caught.value)
        for word in ("INSERT", "CONSTRAINT", "constraint failed", "1062", "1452", "`", "FOREIGN"):
            assert word not in text
        return text

    lab = backend.prefix + "lab"
    assert message({"subject": "M1", "species": "mouse"}, dj.errors.DuplicateError) == (
        f"{lab}.Subject already has a row with subject='M1'. Nothing was inserted. Choose another key, update the"
        " row with update1(), or pass over such rows with skip_duplicates=True."
    )
    assert message({"subject": "M3", "species": "mose"}, dj.errors.IntegrityError) == (
        f"{lab}.Species has no row with species='mose', to which {lab}.Subject refers. Did you mean"
        f" species='mouse'? Nothing was inserted. Insert the row into {lab}.Species first, or correct species."
    )
    assert message({"subject": "M" * 13, "species": "rat"}, dj.errors.ValueRefusedError) == (
        f"{lab}.Subject.subject: 'MMMMMMMMMMMMM' is longer than 12 characters (it has 13)"
    )
    assert message({"subject": "M3", "species": "rat", "sex": "X"}, dj.errors.ValueRefusedError) == (
        f"{lab}.Subject.sex: 'X' is not one of 'M', 'F', 'U'"
    )
    assert message({"subject": "M3"}, dj.errors.MissingAttributeError) == (
        f"A row of {lab}.Subject lacks 'species', which has no default. Add it to the row."
    )
    assert "dict" in message("M3", dj.errors.MissingAttributeError)
    assert "10 attributes" not in message(("M3", "rat"), dj.errors.MissingAttributeError)


def test_two_rows_with_one_key_are_told_from_a_taken_key(lab: Any) -> None:
    with pytest.raises(
        dj.errors.DuplicateError, match=r"Two of the rows for .*Species have the key species='fly'"
    ):
        lab.Species.insert([("fly",), ("fly",)])


def test_the_missing_parent_of_a_composite_key_is_named(filled: Any) -> None:
    with pytest.raises(dj.errors.IntegrityError, match=r"Session has no row with subject='M1', session=9"):
        filled.Session.Trial.insert1({"subject": "M1", "session": 9, "trial": 1})
    with pytest.raises(dj.errors.IntegrityError, match=r"subject='nobody'.*correct partner") as caught:
        filled.Session.insert1(
            {"subject": "M1", "session": 9, "session_date": "2026-01-01", "partner": "nobody"}
        )
    assert caught.value.attributes == ("partner",)


def test_a_computed_table_refuses_direct_inserts_and_its_parts_do_not(filled: Any) -> None:
    with pytest.raises(dj.DataJointError, match="inside its make method"):
        filled.Rate.insert1({"subject": "M1", "session": 1, "rate": 1})
    filled.Rate.insert1({"subject": "M1", "session": 1, "rate": 1}, allow_direct_insert=True)
    filled.Rate.Bin.insert1({"subject": "M1", "session": 1, "bin": 7})
    assert len(filled.Rate.Bin) == 1


def test_a_key_that_holds_percent_signs_quotes_and_backslashes_is_found_again(lab: Any) -> None:
    for name in ("100%", "%s", "a'b", 'a"b', "a\\b", "a`b", "?", ":x", "日本😀"):
        lab.Subject.insert1({"subject": name, "species": "mouse"})
        assert (lab.Subject & {"subject": name}).fetch1("subject") == name
        assert (lab.Subject & [{"subject": name}, {"subject": "other"}]).fetch1("subject") == name


def test_updating_changes_one_row_and_says_what_is_wrong(filled: Any) -> None:
    subject = filled.Subject & {"subject": "M1"}
    filled.Subject.update1({"subject": "M1", "sex": "F", "weight": "20.5", "meta": {"a": 1}})
    assert subject.fetch1("sex", "meta") == ("F", {"a": 1})
    filled.Subject.update1({"subject": "M1", "sex": None, "weight": None, "meta": None})
    assert subject.fetch1("sex", "weight", "meta") == ("U", None, None)
    filled.Subject.update1({"subject": "M1"})
    with pytest.raises(dj.errors.OneRowError, match="no row with subject='M7'"):
        filled.Subject.update1({"subject": "M7", "sex": "F"})
    with pytest.raises(dj.errors.UnknownAttributeError, match="whole primary key; 'subject'"):
        filled.Subject.update1({"sex": "F"})
    with pytest.raises(dj.errors.UnknownAttributeError, match="Did you mean 'sex'"):
        filled.Subject.update1({"subject": "M1", "sx": "F"})
    with pytest.raises(dj.errors.ValueRefusedError, match=r"Subject\.sex: 'Q' is not one of"):
        filled.Subject.update1({"subject": "M1", "sex": "Q"})
    with pytest.raises(dj.errors.IntegrityError, match="Did you mean species='mouse'"):
        filled.Subject.update1({"subject": "M1", "species": "mose"})
    with pytest.raises(dj.errors.IntegrityError, match="cannot be empty"):
        filled.Subject.update1({"subject": "M1", "species": None})
    with pytest.raises(dj.errors.QuerySyntaxError, match="whole table"):
        subject.update1({"subject": "M1", "sex": "F"})
    assert subject.fetch1("sex", "species") == ("U", "mouse")


def test_an_update_to_a_taken_unique_value_names_it(filled: Any) -> None:
    one = uuid.uuid4()
    filled.Subject.update1({"subject": "M1", "uid": one})
    with pytest.raises(dj.errors.DuplicateError, match="uid=UUID"):
        filled.Subject.update1({"subject": "M2", "uid": one})


def test_an_update_that_expects_other_values_writes_nothing(filled: Any) -> None:
    filled.Subject.update1({"subject": "M1", "sex": "F"}, expected={"sex": "U"})
    with pytest.raises(dj.errors.OneRowError, match="changed by someone else"):
        filled.Subject.update1({"subject": "M1", "sex": "M"}, expected={"sex": "U"})
    assert (filled.Subject & {"subject": "M1"}).fetch1("sex") == "F"
