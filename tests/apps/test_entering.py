"""Entering rows: nothing wrong is written, and nothing right is written twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import pickle
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.arrayfiles import read_array
from dj_panel.apps.services.entering import Entering
from dj_panel.apps.services.parents import Choice
from dj_panel.apps.services.receipts import Receipt, Refused
from dj_panel.apps.services.uploads import Uploads
from dj_panel.core.errors import AccessError, IntegrityError, OneRowError, UnknownOutcomeError
from tests.entry_tables import declare

INJECTION = "'; DROP TABLE subject; -- \\' OR '1'='1"


@pytest.fixture
def services(schema: dj.Schema) -> Iterator[Services]:
    services = Services(declare(schema))
    yield services
    services.close()


@pytest.fixture
def lab(services: Services) -> Lab:
    lab = Lab(services)
    lab.rows("Person").insert([("ana", "Ana B."), ("bo", "")])
    lab.rows("Subject").insert(
        [{"subject_id": "M042", "species": "mouse"}, {"subject_id": "M043", "species": "rat"}]
    )
    return lab


class Lab:
    """The pipeline, with short names and without await."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.entering: Entering = services.entering
        self.schema = services.tables()[0].schema

    def name(self, table: str) -> str:
        return f"{self.schema}.{table}"

    def rows(self, table: str) -> Any:
        return self.services.pipeline[self.name(table)]()

    def save(self, table: str, draft: dict[str, str], token: str = "t", **parts: list[dict[str, str]]) -> Any:
        named = {self.name(f"{table}.{part}"): rows for part, rows in parts.items()}
        return asyncio.run(self.entering.save(self.name(table), draft, named, token))

    def search(self, table: str, link: int, text: str, **fixed: str) -> list[str]:
        found = asyncio.run(self.entering.search(self.name(table), link, text, fixed))
        return [choice.label for choice in found.choices]


SUBJECT = {"subject_id": "M1", "species": "mouse"}
SESSION = {"subject_id": "M042", "session": "1", "day": "2026-03-01"}


# ---------------------------------------------------------------------------------------------- saving


def test_a_row_of_every_type_is_stored_as_typed(lab: Lab) -> None:
    receipt = lab.save(
        "Subject",
        {
            **SUBJECT, "sex": "F", "birth": "2026-01-02", "weight": "20.5", "temperature": "37.25",
            "tag": "Ä'7\\", "big": "9007199254740993", "is_active": "no",
            "uid": "12345678-1234-5678-1234-567812345678", "settings": '{"a": [1, null]}',
            "remarks": "two\nlines", "created": "2026-03-31 14:05",
        },
    )  # fmt: skip
    assert isinstance(receipt, Receipt), receipt
    row = (lab.rows("Subject") & {"subject_id": "M1"}).fetch1()
    assert row["weight"] == Decimal("20.50")
    assert row["birth"] == dt.date(2026, 1, 2)
    assert row["big"] == 9007199254740993
    assert (row["tag"], row["remarks"], row["is_active"]) == ("Ä'7\\", "two\nlines", 0)
    assert row["settings"] == {"a": [1, None]}
    assert row["created"] == dt.datetime(2026, 3, 31, 14, 5)
    assert receipt.label == "Subject M1"
    assert lab.entering.entered.recent(lab.name("Subject")) == [receipt]


def test_what_is_left_empty_gets_its_default(lab: Lab) -> None:
    lab.save("Subject", {**SUBJECT, "birth": "", "weight": "  "})
    row = (lab.rows("Subject") & {"subject_id": "M1"}).fetch1()
    assert (row["sex"], row["birth"], row["weight"], row["is_active"], row["remarks"]) == (
        "U",
        None,
        None,
        1,
        "",
    )
    assert row["created"] is not None


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("subject_id", "", "Needs a value."),
        ("subject_id", "M123456789", "longer than 8"),
        ("species", "", "Choose a row of Species."),
        ("species", "mose", "There is no Species mose. Did you mean mouse?"),
        ("sex", "X", "is not one of"),
        ("birth", "1/2/2026", "could mean 2026-02-01 or 2026-01-02"),
        ("weight", "1000", "digits before the point"),
        ("weight", "20,5", "comma"),
        ("temperature", "warm", "is not a number"),
        ("big", "9223372036854775808", "is outside"),
        ("is_active", "perhaps", "neither true nor false"),
        ("uid", "x", "UUID"),
        ("settings", "{", "not valid JSON"),
        ("trace", "upload:nothing", "choose the file again"),
        ("subject_id", INJECTION, "longer than 8"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_written(
    lab: Lab, name: str, text: str, reason: str
) -> None:
    before = len(lab.rows("Subject"))
    refused = lab.save("Subject", {**SUBJECT, name: text})
    assert isinstance(refused, Refused)
    assert reason in refused.errors[name]
    assert len(lab.rows("Subject")) == before


def test_two_wrong_fields_are_both_told(lab: Lab) -> None:
    refused = lab.save("Subject", {"subject_id": "M1", "weight": "x"})
    assert set(refused.errors) == {"species", "weight"}
    assert refused.summary == "2 fields need a correction. Nothing was saved."


def test_an_unknown_parent_is_named_with_the_nearest_one(lab: Lab) -> None:
    refused = lab.save("Session", {**SESSION, "subject_id": "M43"})
    assert refused.errors["subject_id"] in (
        "There is no Subject M43. Did you mean M043?",
        "There is no Subject M43. Did you mean M042?",
    )


def test_the_optional_renamed_parent_is_checked_too(lab: Lab) -> None:
    refused = lab.save("Session", {**SESSION, "operator": "anna"})
    assert refused.errors == {"operator": "There is no Person anna. Did you mean ana?"}
    assert isinstance(lab.save("Session", {**SESSION, "operator": "ana"}), Receipt)


def test_a_taken_key_offers_the_next_free_number(lab: Lab) -> None:
    lab.save("Session", SESSION)
    lab.save("Session", {**SESSION, "session": "4"}, "t2")
    refused = lab.save("Session", {**SESSION, "day": "2026-03-02"}, "t3")
    assert refused.duplicate.label == "Session M042 · 1"
    assert (refused.duplicate.counter, refused.duplicate.next_free) == ("session", "5")
    assert refused.summary == "Session M042 · 1 exists already. Nothing was saved."


def test_a_taken_unique_value_names_the_row_that_has_it(lab: Lab) -> None:
    lab.save("Subject", {**SUBJECT, "tag": "7"})
    refused = lab.save("Subject", {**SUBJECT, "subject_id": "M2", "tag": "7"}, "t2")
    assert refused.errors["tag"] == "7 is taken by Subject M1; it must be unique."
    lab.save("Consent", {"consent": "1", "subject_id": "M1"})
    assert (
        "taken by Consent 1"
        in lab.save("Consent", {"consent": "2", "subject_id": "M1"}, "t2").errors["subject_id"]
    )


def test_an_optional_parent_is_all_or_nothing_beside_what_it_shares(lab: Lab) -> None:
    lab.save("Session", SESSION)
    probe = {"subject_id": "M042", "session": "1", "probe": "1"}
    assert isinstance(lab.save("Probe", probe), Receipt)
    wrong = lab.save("Probe", {**probe, "probe": "2", "earlier_session": "9"}, "t2")
    assert "There is no Session M042 · 9" in wrong.errors["earlier_session"]
    right = lab.save("Probe", {**probe, "probe": "2", "earlier_session": "1"}, "t2")
    assert isinstance(right, Receipt)


def test_text_in_a_picker_counts_as_the_row_that_it_names(lab: Lab) -> None:
    receipt = lab.save("Session", {"->0": " m042 ", "session": "1", "day": "2026-03-01"})
    assert receipt.key == {"subject_id": "M042", "session": "1"}
    refused = lab.save("Session", {"->0": "M4", "session": "2", "day": "2026-03-01"}, "t2")
    assert "There is no Subject M4." in refused.errors["subject_id"]


def test_computed_tables_and_parts_are_not_entered(lab: Lab) -> None:
    for table in ("Total", "Session.Note"):
        with pytest.raises(AccessError):
            lab.save(table, {})


# ---------------------------------------------------------------------------------------------- parts


def note(number: str, author: str = "ana", text: str = "calm") -> dict[str, str]:
    return {"note": number, "author": author, "note_text": text}


def test_parts_are_saved_with_their_master(lab: Lab) -> None:
    receipt = lab.save("Session", SESSION, Note=[note("1"), {}, note("2", "bo")])
    assert receipt.n_parts == {lab.name("Session.Note"): 2}
    assert [row["author"] for row in lab.rows("Session.Note").to_dicts(order_by="note")] == ["ana", "bo"]


def test_a_wrong_part_row_keeps_the_master_out(lab: Lab) -> None:
    part = lab.name("Session.Note")
    refused = lab.save("Session", SESSION, Note=[note("1"), note("1"), note("x", "nobody", "")])
    assert refused.part_errors == {
        (part, 1, "note"): "Row 1 has the same key.",
        (part, 2, "note"): "“x” is not a whole number.",
        (part, 2, "author"): "There is no Person nobody.",
        (part, 2, "note_text"): "Needs a value.",
    }
    assert len(lab.rows("Session")) == 0


def test_a_part_that_the_database_refuses_takes_the_master_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.entering, "_check_parts", _blind(lab))
    refused = lab.save("Session", SESSION, Note=[note("1", "nobody")])
    assert isinstance(refused, Refused)
    assert "Person" in refused.summary
    assert len(lab.rows("Session")) == 0


def _blind(lab: Lab) -> Any:
    """Return a check of parts that sees nothing wrong, as when someone deletes a parent meanwhile."""
    values = {"subject_id": "M042", "session": 1, "note": 1, "author": "nobody", "note_text": "x"}
    return lambda *_: ({lab.name("Session.Note"): [values]}, {})


# ---------------------------------------------------------------------------------------------- once


def test_the_same_draft_sent_twice_is_one_row(lab: Lab) -> None:
    async def twice() -> list[Receipt | Refused]:
        save = lab.entering.save
        name, rows = lab.name("Session"), {lab.name("Session.Note"): [note("1")]}
        return await asyncio.gather(*(save(name, SESSION, rows, "token") for _ in range(5)))

    receipts = asyncio.run(twice())
    assert all(isinstance(receipt, Receipt) for receipt in receipts)
    assert len(lab.rows("Session")) == 1
    assert lab.save("Session", SESSION, "token", Note=[note("1")]).is_repeat


def test_a_restarted_server_knows_the_row_that_it_saved(lab: Lab) -> None:
    lab.save("Session", SESSION, "token", Note=[note("1")])
    lab.entering = Entering(lab.services)
    again = lab.save("Session", SESSION, "token", Note=[note("1")])
    assert isinstance(again, Receipt)
    assert again.is_repeat
    assert isinstance(lab.save("Session", SESSION, "token", Note=[note("1", "bo")]), Refused)
    assert isinstance(lab.save("Session", SESSION, "token"), Refused)


def test_another_row_under_the_same_token_is_another_row(lab: Lab) -> None:
    lab.save("Subject", SUBJECT, "token")
    receipt = lab.save("Subject", {**SUBJECT, "subject_id": "M2"}, "token")
    assert receipt.key == {"subject_id": "M2"}
    assert len(lab.rows("Subject")) == 4


def test_after_an_unknown_outcome_the_database_is_asked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    write = lab.entering._write

    def lose_the_answer(*row: Any) -> None:
        write(*row)
        raise UnknownOutcomeError("The connection was lost while saving.")

    def lose_the_question(*row: Any) -> None:
        raise UnknownOutcomeError("The connection was lost while saving.")

    monkeypatch.setattr(lab.entering, "_write", lose_the_answer)
    assert isinstance(lab.save("Subject", SUBJECT), Receipt)
    monkeypatch.setattr(lab.entering, "_write", lose_the_question)
    refused = lab.save("Subject", {**SUBJECT, "subject_id": "M2"})
    assert "nothing was saved" in refused.summary
    assert len(lab.rows("Subject")) == 3


def test_a_row_that_came_in_between_is_told_as_a_duplicate(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    write = lab.entering._write

    def be_late(*row: Any) -> None:
        lab.rows("Session").insert1({"subject_id": "M042", "session": 1, "day": "2020-01-01"})
        write(*row)

    monkeypatch.setattr(lab.entering, "_write", be_late)
    refused = lab.save("Session", SESSION)
    assert refused.duplicate.label == "Session M042 · 1"
    assert lab.rows("Session").fetch1("day") == dt.date(2020, 1, 1)


# ---------------------------------------------------------------------------------------------- undo


def test_undo_deletes_the_row_and_its_parts_and_nothing_else(lab: Lab) -> None:
    lab.save("Session", {**SESSION, "session": "2"})
    receipt = lab.save("Session", SESSION, Note=[note("1"), note("2")])
    asyncio.run(lab.entering.undo(receipt))
    assert lab.rows("Session").keys() == [{"subject_id": "M042", "session": 2}]
    assert len(lab.rows("Session.Note")) == 0
    assert [r.key["session"] for r in lab.entering.entered.recent(lab.name("Session"))] == ["2"]
    with pytest.raises(OneRowError):
        asyncio.run(lab.entering.undo(receipt))
    assert isinstance(lab.save("Session", SESSION, Note=[note("1"), note("2")]), Receipt)
    assert len(lab.rows("Session")) == 2


def test_undo_is_refused_when_something_depends_on_the_row(lab: Lab) -> None:
    receipt = lab.save("Subject", SUBJECT)
    lab.save("Session", {**SESSION, "subject_id": "M1"})
    with pytest.raises(IntegrityError, match=r"1 row of Session depends on it\. Nothing was deleted"):
        asyncio.run(lab.entering.undo(receipt))
    assert len(lab.rows("Subject")) == 3


def test_undo_is_refused_when_parts_were_added_since(lab: Lab) -> None:
    receipt = lab.save("Session", SESSION, Note=[note("1")])
    lab.rows("Session.Note").insert1({"subject_id": "M042", "session": 1, **note("2")})
    with pytest.raises(IntegrityError, match="parts"):
        asyncio.run(lab.entering.undo(receipt))
    assert len(lab.rows("Session.Note")) == 2


# ---------------------------------------------------------------------------------------------- while typing


def test_leaving_a_field_tells_what_is_wrong_with_it_alone(lab: Lab) -> None:
    name = lab.name("Subject")
    checked = asyncio.run(lab.entering.check(name, {"weight": "x", "birth": "y"}, {"weight"}))
    assert checked.errors == {"weight": "“x” is not a number."}
    taken = asyncio.run(lab.entering.check(name, {"subject_id": "M042"}, {"subject_id"}))
    assert taken.errors == {}
    assert taken.duplicate is not None
    assert taken.duplicate.label == "Subject M042"


def test_a_cell_of_a_part_is_checked_alike(lab: Lab) -> None:
    draft = {"subject_id": "M042", "session": "1", "author": "an"}
    checked = asyncio.run(lab.entering.check(lab.name("Session.Note"), draft, {"author"}))
    assert checked.errors == {"author": "There is no Person an. Did you mean ana?"}


def test_searching_looks_at_keys_and_text(lab: Lab) -> None:
    assert lab.search("Session", 0, "04") == ["M042", "M043"]
    assert lab.search("Session", 0, "rat") == ["M043"]
    assert lab.search("Session", 0, "m04 rat") == ["M043"]
    assert lab.search("Session", 1, "B.") == ["ana"]
    assert lab.search("Session", 0, "%") == []
    assert lab.search("Session", 0, INJECTION) == []


def test_a_composite_key_is_one_choice_that_known_attributes_narrow(lab: Lab) -> None:
    for subject, number in (("M042", "1"), ("M042", "2"), ("M043", "1")):
        lab.save("Session", {**SESSION, "subject_id": subject, "session": number})
    assert lab.search("Probe", 0, "", subject_id="M043") == ["M043 · 1"]
    assert lab.search("Probe", 0, "2") == ["M042 · 2", "M042 · 1"]
    assert lab.search("Probe", 0, "M042 2") == ["M042 · 2", "M042 · 1"]
    found = asyncio.run(lab.entering.resolve(lab.name("Probe"), 0, "M042 · 2", {}))
    assert isinstance(found, Choice)
    assert found.key == {"subject_id": "M042", "session": "2"}
    renamed = asyncio.run(lab.entering.search(lab.name("Probe"), 1, "", {"subject_id": "M042"}))
    assert {choice.key["earlier_session"] for choice in renamed.choices} == {"1", "2"}


def test_parents_used_of_late_are_offered_first(lab: Lab) -> None:
    assert lab.search("Session", 0, "") == ["M042", "M043"]
    lab.save("Session", {**SESSION, "subject_id": "M043"})
    assert lab.search("Session", 0, "") == ["M043", "M042"]


def test_however_many_parents_there_are_twenty_are_sent(lab: Lab) -> None:
    lab.rows("Subject").insert([{"subject_id": f"P{i:05d}", "species": "rat"} for i in range(5000)])
    assert len(lab.search("Session", 0, "")) == 20
    assert lab.search("Session", 0, "p04999") == ["P04999"]
    assert lab.search("Session", 0, "4999") == ["P04999"]
    refused = lab.save("Session", {**SESSION, "subject_id": "P4999"})
    assert (
        "Did you mean P04999?" in refused.errors["subject_id"]
        or "Did you mean P" in refused.errors["subject_id"]
    )


def test_the_next_free_number_is_after_the_highest(lab: Lab) -> None:
    name = lab.name("Session")
    assert asyncio.run(lab.entering.next_free(name, "session", {"subject_id": "M042"})) == "1"
    lab.save("Session", {**SESSION, "session": "7"})
    assert asyncio.run(lab.entering.next_free(name, "session", {"subject_id": "M042"})) == "8"
    assert asyncio.run(lab.entering.next_free(name, "session", {"subject_id": "M043"})) == "1"
    lab.save("Session", {**SESSION, "session": "127"})
    assert asyncio.run(lab.entering.next_free(name, "session", {"subject_id": "M042"})) == ""


def test_the_tables_to_fill_in_are_masters_that_people_write(lab: Lab) -> None:
    names = {info.label for info in lab.entering.tables()}
    assert names == {"Species", "Person", "Subject", "Session", "Consent", "Probe"}
    form = lab.entering.form(lab.name("Probe"))
    assert [getattr(item, "id", "") or getattr(item, "name", "") for item in form.items] == [
        "->0",
        "probe",
        "->1",
    ]


# ---------------------------------------------------------------------------------------------- files


def upload(uploads: Uploads, name: str, content: bytes) -> str:
    reference = uploads.begin(name, len(content))
    for offset in range(0, len(content), 1000):
        uploads.add(reference, offset, content[offset : offset + 1000])
    return reference


def npy(array: np.ndarray[Any, Any], folder: Path) -> bytes:
    np.save(folder / "array.npy", array)
    return (folder / "array.npy").read_bytes()


def test_arrays_and_files_are_stored(lab: Lab, tmp_path: Path) -> None:
    uploads = lab.entering.uploads
    array = np.arange(1000, dtype=np.int16).reshape(10, 100)
    draft = {
        **SUBJECT,
        "trace": upload(uploads, "trace.npy", npy(array, tmp_path)),
        "photo": upload(uploads, "../a:b.txt", b"hello"),
    }
    receipt = lab.save("Subject", draft)
    assert isinstance(receipt, Receipt), receipt
    trace, photo = (lab.rows("Subject") & {"subject_id": "M1"}).fetch1("trace", "photo")
    np.testing.assert_array_equal(trace, array)
    assert trace.dtype == np.int16
    assert Path(photo).read_bytes() == b"hello"
    assert Path(photo).name == "a_b.txt"
    assert uploads.name(draft["trace"]) == ""


@pytest.mark.parametrize(
    ("text", "shape"),
    [("1,2\n3,4\n", (2, 2)), ("x;y\n1;2\n", (1, 2)), ("1.5\n2\n\n3\n", (3,)), ("a b\n1 2\n3 4", (2, 2))],
)
def test_numbers_are_read_from_text(tmp_path: Path, text: str, shape: tuple[int, ...]) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text(text)
    assert read_array(path).shape == shape or read_array(path).size == np.prod(shape)


def test_a_file_that_is_not_numbers_is_refused_at_its_field(lab: Lab, tmp_path: Path) -> None:
    cases = {
        "objects.npy": (npy_of_objects(tmp_path), "Python objects"),
        "cut.npy": (npy(np.arange(100), tmp_path)[:200], "not a complete .npy file"),
        "words.csv": (b"a,b\nc,d\n", "does not hold a table of numbers"),
        "comma.csv": (b"a;b\n1,5;2,5\n", "decimal commas"),
        "empty.csv": (b"", "is empty"),
        "binary.csv": (b"\xff\xfe\x00\x01", "neither a .npy file nor text"),
    }
    for name, (content, reason) in cases.items():
        refused = lab.save("Subject", {**SUBJECT, "trace": upload(lab.entering.uploads, name, content)})
        assert reason in refused.errors["trace"], name
    assert len(lab.rows("Subject")) == 2


def npy_of_objects(folder: Path) -> bytes:
    class Harm:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("a pickle was loaded",))

    array = np.empty(1, dtype=object)
    array[0] = Harm()
    with (folder / "objects.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        pickle.dump(array, file)
    return (folder / "objects.npy").read_bytes()


def test_a_file_that_is_too_large_or_incomplete_is_refused(lab: Lab) -> None:
    uploads = lab.entering.uploads
    with pytest.raises(ValueError, match="larger than 100 MB"):
        uploads.begin("huge.bin", 100_000_001)
    reference = uploads.begin("half.bin", 10)
    assert uploads.add(reference, 0, b"12345") == 5
    assert uploads.add(reference, 0, b"12345") == 5
    with pytest.raises(ValueError, match="longer than was announced"):
        uploads.add(reference, 5, b"123456")
    refused = lab.save("Subject", {**SUBJECT, "photo": reference})
    assert "not arrived completely" in refused.errors["photo"]
