"""Importing rows: every bad cell has its message, nothing is misread, all or nothing is written, and once."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import tracemalloc
import uuid
import zipfile
from collections.abc import Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dj_panel as dj
from dj_panel.apps.import_html import batch_html
from dj_panel.apps.services import Services, reading
from dj_panel.apps.services import importing as importing_module
from dj_panel.apps.services.batches import Batch, RowClass
from dj_panel.apps.services.batchwriting import write_rows
from dj_panel.apps.services.importing import Importing
from dj_panel.apps.services.mapping import REASON_HEADER, importable, matches, missing
from dj_panel.apps.services.parents import Parents
from dj_panel.apps.services.reading import UnreadableFileError, detect, read_rows
from dj_panel.apps.services.rejects import rejected_lines
from dj_panel.apps.services.templates import csv_template, xlsx_template
from dj_panel.core.errors import AccessError, IntegrityError, UnknownOutcomeError
from tests.counting import largest_answer
from tests.entry_tables import declare

INJECTION = "'; DROP TABLE subject; --"
SCRIPT = "<img src=x onerror=alert(1)>"

# What files alone decide is tried on one server; whatever the server decides, on both.
on_one_server = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def services(schema: dj.Schema) -> Iterator[Services]:
    services = Services(declare(schema))
    yield services
    services.close()


@pytest.fixture
def lab(services: Services, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(services, tmp_path)
    lab.rows("Person").insert([("ana", "Ana B."), ("bo", "")])
    lab.rows("Subject").insert(
        [
            {"subject_id": "M042", "species": "mouse", "weight": Decimal("20.5")},
            {"subject_id": "M043", "species": "rat"},
        ]
    )
    yield lab
    lab.loop.close()


class Lab:
    """The pipeline, with short names and without await."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.importing: Importing = services.importing
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.schema = services.tables()[0].schema

    def name(self, table: str) -> str:
        return f"{self.schema}.{table}"

    def rows(self, table: str) -> Any:
        return self.services.pipeline[self.name(table)]()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def done(self, batch: Batch) -> Batch:
        assert batch.work is not None
        self.do(asyncio.wait_for(batch.work, None))
        return batch

    def open(self, table: str, content: str | bytes, name: str = "rows.csv") -> Batch:
        path = self.folder / "sent"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.done(self.do(self.importing.open(self.name(table), name, path, "ana")))

    def edit(self, batch: Batch, position: int, column: int, text: str) -> None:
        self.do(self.importing.edit(batch, position, column, text))

    def write(self, batch: Batch, **options: Any) -> None:
        self.do(self.importing.write(batch, **options))

    def undo(self, batch: Batch) -> None:
        self.do(self.importing.undo(batch))


def kinds(batch: Batch) -> list[str]:
    return [RowClass(kind).name.lower() for kind in batch.classes]


# ---------------------------------------------------------------------------------------------- classes


def test_every_row_has_its_class_and_every_bad_cell_its_message(lab: Lab) -> None:
    batch = lab.open(
        "Subject",
        "subject_id,species,weight,birth,sex\n"
        "M1,mouse,20.5,2026-01-02,F\n"  # new
        "M042,mouse,20.50,,\n"  # identical
        "M043,mouse,,,\n"  # conflict: a rat
        "M2,dog,heavy,2026-13-01,X\n"  # invalid in four cells
        ",mouse,,,\n"  # no key
        "M1,rat,,,\n",  # the key of the first row
    )
    assert kinds(batch) == ["new", "identical", "conflict", "invalid", "invalid", "invalid"]
    assert batch.messages(2) == {"species": "In the database: rat"}
    assert set(batch.messages(3)) == {"species", "weight", "birth", "sex"}
    assert batch.messages(3)["species"] == "There is no Species dog."
    assert batch.messages(3)["weight"].startswith("“heavy” is not a number")
    assert batch.messages(4) == {"subject_id": "Needs a value."}
    assert batch.messages(5) == {"subject_id": "Row 2 of the file has the same key."}
    assert len(lab.rows("Subject")) == 2


def test_values_that_must_be_unique_are_told_among_the_rows_and_in_the_table(lab: Lab) -> None:
    lab.rows("Subject").insert1({"subject_id": "T", "species": "rat", "tag": "old"})
    batch = lab.open("Subject", "subject_id,species,tag\nA,rat,old\nB,rat,x\nC,rat,x\nD,rat,\nE,rat,\n")
    assert kinds(batch) == ["invalid", "new", "invalid", "new", "new"]
    assert batch.messages(0) == {"tag": "old is taken by another row of Subject; it must be unique."}
    assert batch.messages(2) == {"tag": "Row 3 of the file has the same value, which must be unique."}


def test_a_parent_that_is_missing_is_told_as_a_form_tells_it_with_what_comes_near(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.rows("Session").insert1({"subject_id": "M042", "session": 3, "day": "2026-01-01"})
    lines = "".join(f"Q{n:04d},1,1,ana,x\n" for n in range(300))
    near = Parents._near
    asked: list[str] = []

    def counted(self: Parents, text: str, fixed: Any) -> str:
        asked.append(text)
        return near(self, text, fixed)

    monkeypatch.setattr(Parents, "_near", counted)
    names = "subject_id,session,note,author,note_text"
    batch = lab.open("Session.Note", f"{names}\nM042,4,1,ana,x\nM042,4,2,ana,x\n{lines}")
    assert batch.messages(0) == {"session": "There is no Session M042 · 4. Did you mean M042 · 3?"}
    assert batch.messages(1) == batch.messages(0)
    assert batch.messages(301) == {"session": "There is no Session Q0299 · 1."}
    assert len(asked) == 50
    two = lab.open("Session.Note", f"{names}\nM042,3,1,anna,x\n")
    assert two.messages(0) == {"author": "There is no Person anna. Did you mean ana?"}


@on_one_server
def test_a_word_that_is_not_among_the_choices_is_told_with_what_comes_near(lab: Lab) -> None:
    batch = lab.open("Subject", "subject_id,species,sex\nA1,rat,m\nA2,rat,Q\n")
    assert batch.messages(0)["sex"] == "“m” is not one of 'M', 'F', 'U'. Did you mean 'M'?"
    assert batch.messages(1)["sex"] == "“Q” is not one of 'M', 'F', 'U'."


def test_parts_can_be_imported_where_their_master_is(lab: Lab) -> None:
    lab.rows("Session").insert1({"subject_id": "M042", "session": 1, "day": "2026-01-01"})
    text = (
        "subject_id\tsession\tnote\tauthor\tnote_text\nM042\t1\t1\tana\thello\nM042\t2\t1\tana\tno master\n"
    )
    batch = lab.open("Session.Note", text)
    assert kinds(batch) == ["new", "invalid"]
    lab.write(batch, only_valid=True)
    assert lab.rows("Session.Note").fetch1("note_text") == "hello"


def test_what_only_the_database_refuses_is_found_too_and_nothing_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a rule that no check of ours knows, as a trigger would be
    table = type(lab.rows("Person"))
    insert = table.insert

    def picky(self: Any, rows: Any, **options: Any) -> None:
        rows = list(rows)
        if any(row["person"] == "p3" for row in rows):
            raise IntegrityError("The trigger no_p3 refuses it.")
        insert(self, rows, **options)

    monkeypatch.setattr(table, "insert", picky)
    batch = lab.open("Person", "person\n" + "\n".join(f"p{n}" for n in range(9)))
    assert [n for n, kind in enumerate(kinds(batch)) if kind == "invalid"] == [3]
    assert batch.messages(3) == {"": "The trigger no_p3 refuses it."}
    assert len(lab.rows("Person")) == 2


@on_one_server
def test_computed_tables_take_no_import(lab: Lab) -> None:
    with pytest.raises(AccessError, match="computed by the pipeline"):
        lab.open("Total", "x\n1\n")


# ---------------------------------------------------------------------------------------------- fix, write, undo


def test_bad_cells_are_corrected_in_place_then_all_is_written_once_and_taken_back(lab: Lab) -> None:
    batch = lab.open("Subject", "subject_id,species,weight\nA,rat,1\nA,rat,2\nB,cow,3\n")
    assert kinds(batch) == ["new", "invalid", "invalid"]
    lab.edit(batch, 0, 0, "A0")
    assert kinds(batch) == ["new", "new", "invalid"]
    lab.edit(batch, 2, 0, "A0")
    assert "same key" in batch.messages(2)["subject_id"]
    lab.edit(batch, 2, 0, "B")
    with pytest.raises(UnreadableFileError, match="1 row cannot be imported yet"):
        lab.write(batch)
    lab.edit(batch, 2, 1, "rat")
    lab.do(asyncio.wait_for(_twice(lab, batch), None))
    assert sorted(lab.rows("Subject").to_arrays("subject_id")) == ["A", "A0", "B", "M042", "M043"]
    assert batch.receipt is not None
    assert batch.receipt.n_rows == 3
    lab.write(batch)
    assert len(lab.rows("Subject")) == 5
    lab.undo(batch)
    assert batch.problem == ""
    assert sorted(lab.rows("Subject").to_arrays("subject_id")) == ["M042", "M043"]


def test_rows_left_out_are_corrected_and_written_afterwards_and_each_writing_is_taken_back_by_itself(
    lab: Lab, services: Services
) -> None:
    batch = lab.open("Subject", "subject_id,species,weight\nA,rat,1\nB,cow,2\nC,rat,heavy\nD,rat,4\n")
    lab.write(batch, only_valid=True)
    assert kinds(batch) == ["imported", "invalid", "invalid", "imported"]
    assert sum(1 for _ in rejected_lines(batch)) == 3
    with pytest.raises(UnreadableFileError, match="in the table already"):
        lab.edit(batch, 0, 2, "9")
    with pytest.raises(UnreadableFileError, match="cannot be read otherwise"):
        lab.do(lab.importing.set_notation(batch, decimal=","))
    lab.edit(batch, 1, 0, "A")  # the key of a row that is written
    assert "same key" in batch.messages(1)["subject_id"]
    lab.edit(batch, 1, 0, "B")
    lab.edit(batch, 1, 1, "rat")
    lab.do(lab.importing.check(batch))
    assert kinds(lab.done(batch)) == ["imported", "new", "invalid", "imported"]
    lab.write(batch, only_valid=True)
    lab.edit(batch, 2, 2, "3")
    lab.write(batch)
    assert (batch.stage, [receipt.n_rows for receipt in batch.receipts]) == ("written", [2, 1, 1])
    lab.do(lab.importing.undo(batch, 1))
    assert kinds(batch) == ["imported", "new", "imported", "imported"]
    assert sorted(lab.rows("Subject").to_arrays("subject_id")) == ["A", "C", "D", "M042", "M043"]
    lab.write(batch)
    assert [receipt.is_undone for receipt in batch.receipts] == [False, False, False]
    lab.undo(batch)
    assert sorted(lab.rows("Subject").to_arrays("subject_id")) == ["B", "C", "M042", "M043"]
    lab.do(lab.importing.drop(batch))  # a new server knows the history alone
    table = lab.name("Subject")
    past = lab.do(services.past_imports.all(batch.id, table, "ana"))
    assert [(one.receipt.n_rows, one.receipt.is_undone) for one in past] == [
        (2, True),
        (1, False),
        (1, False),
    ]
    lab.do(services.past_imports.undo(past[2].token, table, "ana"))
    assert sorted(lab.rows("Subject").to_arrays("subject_id")) == ["B", "M042", "M043"]


@on_one_server
def test_the_buttons_offer_what_can_be_done_and_say_why_not_all_can(lab: Lab) -> None:
    info = lab.services.table(lab.name("Subject"))
    none_valid = batch_html(info, lab.open("Subject", "subject_id,species\nA,cow\n"), None)
    assert "1 row needs a correction first.<" in none_valid
    assert "text · 1 row · 2 columns" in none_valid
    one = batch_html(info, lab.open("Subject", "subject_id\nA\n"), None)
    assert "1 of 1 column is used" in one
    assert "text · 1 row · 1 column<" in one
    assert "valid" not in none_valid.split('data-key="actions"')[1]
    batch = lab.open("Subject", "subject_id,species\nA,rat\nB,cow\n")
    shown = batch_html(info, batch, None)
    assert ">Import all 2 rows<" in shown
    assert ">Import only the 1 valid row<" in shown
    lab.write(batch, only_valid=True)
    shown = batch_html(info, batch, None)
    assert "1 other was left out" in shown
    assert ">Download 1 rejected row<" in shown
    assert ">Undo import<" in shown


def test_what_is_held_of_an_import_and_of_its_undoing_does_not_grow_with_the_rows(lab: Lab) -> None:
    n_rows = 3_000
    rows = "".join(f"Q{n},mouse,20.5\n" for n in range(n_rows))
    with largest_answer() as checked:
        batch = lab.open("Subject", f"subject_id,species,weight\n{rows}")
    with largest_answer() as written:
        lab.write(batch)
    assert len(lab.rows("Subject")) == n_rows + 2
    with largest_answer() as undone:
        lab.undo(batch)
    assert batch.problem == ""
    assert len(lab.rows("Subject")) == 2
    assert max(checked.n, written.n, undone.n) <= 1_000


async def _twice(lab: Lab, batch: Batch) -> None:
    await asyncio.gather(lab.importing.write(batch), lab.importing.write(batch))


def test_the_same_file_sent_again_after_a_crash_writes_nothing_twice(lab: Lab) -> None:
    text = "subject_id,species\nA,rat\nB,rat\n"
    lab.write(lab.open("Subject", text))
    again = lab.open("Subject", text)
    assert kinds(again) == ["identical", "identical"]
    with pytest.raises(UnreadableFileError, match="no new rows"):
        lab.write(again)


def test_rows_changed_or_used_since_are_not_taken_back_and_are_named(lab: Lab) -> None:
    batch = lab.open("Subject", "subject_id,species\nA,rat\nB,rat\n")
    lab.write(batch)
    lab.rows("Subject").update1({"subject_id": "B", "weight": 3})
    lab.undo(batch)
    assert batch.problem == "Subject B was changed since the import. Nothing was removed."
    lab.rows("Subject").update1({"subject_id": "B", "weight": None})
    lab.rows("Session").insert1({"subject_id": "A", "session": 1, "day": "2026-01-01"})
    lab.undo(batch)
    assert "1 row of Session" in batch.problem
    assert len(lab.rows("Subject")) == 4
    (lab.rows("Session") & {"subject_id": "A"}).delete()
    lab.undo(batch)
    assert (batch.problem, len(lab.rows("Subject"))) == ("", 2)


def test_a_row_that_arrives_meanwhile_stops_the_whole_import_and_is_shown(lab: Lab) -> None:
    batch = lab.open("Subject", "subject_id,species\nA,rat\nB,rat\n")
    lab.rows("Subject").insert1({"subject_id": "B", "species": "mouse"})
    lab.write(batch)
    assert batch.problem.startswith(
        "Nothing was written, for the tables changed since the rows were checked."
    )
    assert kinds(batch) == ["new", "conflict"]
    assert not lab.rows("Subject") & {"subject_id": "A"}
    lab.write(batch, only_valid=True)
    assert (lab.rows("Subject") & {"subject_id": "A"}).fetch1("species") == "rat"


def test_an_import_can_be_taken_back_after_the_server_was_started_again(lab: Lab, services: Services) -> None:
    batch = lab.open("Subject", "subject_id,species,weight,created\nA,rat,1.5,2026-01-02 03:04:05\nB,rat,,\n")
    lab.write(batch)
    lab.do(lab.importing.drop(batch))  # a new server knows the history alone
    table = lab.name("Subject")
    past = lab.do(services.past_imports.find(batch.id, table, "ana"))
    assert (past.user, past.receipt.n_rows, past.receipt.is_undone) == ("ana", 2, False)
    assert lab.do(services.past_imports.find(batch.id, table, "eve")) is None
    lab.do(services.past_imports.undo(batch.id, table, "ana"))
    assert len(lab.rows("Subject")) == 2
    assert lab.do(services.past_imports.find(batch.id, table, "ana")).receipt.is_undone
    with pytest.raises(IntegrityError, match="no import of yours"):
        lab.do(services.past_imports.undo(batch.id, table, "ana"))


def test_an_import_that_was_taken_back_can_be_done_and_taken_back_again(lab: Lab, services: Services) -> None:
    batch = lab.open("Person", "person\np1\np2\n")
    lab.write(batch)
    lab.undo(batch)
    lab.edit(batch, 1, 0, "p3")
    lab.write(batch)
    assert len(lab.rows("Person") & [{"person": "p1"}, {"person": "p3"}]) == 2
    lab.do(lab.importing.drop(batch))
    assert lab.do(services.past_imports.find(batch.id, lab.name("Person"), "ana")).receipt.n_rows == 2
    lab.do(services.past_imports.undo(batch.id, lab.name("Person"), "ana"))
    assert len(lab.rows("Person")) == 2


def test_whether_rows_were_written_is_looked_up_when_the_answer_never_came(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(*_: Any) -> int:
        raise UnknownOutcomeError("lost")

    def after(*args: Any) -> int:
        write_rows(*args)
        raise UnknownOutcomeError("lost")

    batch = lab.open("Person", "person\np1\np2\nana\n")
    assert kinds(batch) == ["new", "new", "identical"]
    monkeypatch.setattr(importing_module, "write_rows", before)
    lab.write(batch)
    assert "nothing was written. Import again" in batch.problem
    assert (batch.receipt, len(lab.rows("Person"))) == (None, 2)
    monkeypatch.setattr(importing_module, "write_rows", after)
    lab.write(batch)
    assert batch.problem == ""
    assert batch.receipt is not None
    assert (batch.receipt.n_rows, batch.stage, len(lab.rows("Person"))) == (2, "written", 4)


def test_giving_up_while_rows_are_written_keeps_none(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = lab.open("Person", "person\n" + "\n".join(f"p{n}" for n in range(50)))
    advance = Importing._advance

    def give_up(batch: Batch, number: int) -> None:
        batch.is_cancelled.set()
        advance(batch, number)

    monkeypatch.setattr(Importing, "_advance", staticmethod(give_up))
    lab.write(batch)
    assert batch.problem == "This was cancelled; nothing was written."
    assert (batch.stage, len(lab.rows("Person"))) == ("checked", 2)


# ---------------------------------------------------------------------------------------------- forms of files


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("subject_id\tspecies\tremarks\nM1\trat\té€\n".encode(), "pasted"),
        ("subject_id;species;remarks\nM1;rat;é€\n".encode("cp1252"), "a.csv"),
        ("\ufeffsubject_id,species,remarks\r\nM1,rat,é€\r\n".encode(), "a.csv"),
        ("subject_id,species,remarks\nM1,rat,é€\n".encode("utf-16"), "a.csv"),
        ("subject_id|species|remarks\nM1|rat|é€\n".encode("utf-16-le"), "a.txt"),
    ],
    ids=["tabs", "semicolons in Windows-1252", "UTF-8 with mark", "UTF-16", "bars in UTF-16 without mark"],
)
def test_text_is_read_in_whatever_encoding_and_with_whatever_delimiter(
    content: bytes, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert list(read_rows(path, detect(path))) == [
        (1, ["subject_id", "species", "remarks"]),
        (2, ["M1", "rat", "é€"]),
    ]


def test_workbooks_and_parquet_are_read_with_their_types(lab: Lab) -> None:
    book = openpyxl.Workbook()
    book.active.append(["subject_id", "species", "weight", "birth", "created", "is_active", "big"])
    row = ["M1", "rat", 1.234, dt.date(2026, 3, 4), dt.datetime(2026, 3, 4, 5, 6, 7), True, 9007199254740993]
    book.active.append([*row[:2], 1.23, *row[3:6], "9007199254740993"])
    written = io.BytesIO()
    book.save(written)
    batch = lab.open("Subject", written.getvalue(), "a.xlsx")
    assert kinds(batch) == ["new"], batch.messages(0)
    lab.write(batch)
    table = pa.table(
        {
            "subject_id": ["M2"], "species": ["rat"], "weight": [1.23], "birth": [dt.date(2026, 3, 4)],
            "created": [dt.datetime(2026, 3, 4, 5, 6, 7)], "is_active": [True], "big": [9007199254740993],
        }
    )  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink)
    lab.write(lab.open("Subject", sink.getvalue(), "a.parquet"))
    names = ["species", "weight", "birth", "created", "is_active", "big"]
    first, second = ((lab.rows("Subject") & {"subject_id": s}).fetch1(*names) for s in ("M1", "M2"))
    assert first == second
    assert first[1:3] == (Decimal("1.23"), dt.date(2026, 3, 4))
    assert first[5] == 9007199254740993


def test_a_decimal_comma_is_never_misread(lab: Lab) -> None:
    ambiguous = lab.open("Subject", 'subject_id,species,temperature\nA,rat,"1,234"\nB,rat,"5"\n')
    assert ambiguous.notation.decimal == ""
    assert kinds(ambiguous) == ["invalid", "new"]
    assert "may mean 1234 or 1.234" in ambiguous.messages(0)["temperature"]
    lab.do(lab.importing.set_notation(ambiguous, decimal=","))
    lab.done(ambiguous)
    lab.write(ambiguous)
    assert (lab.rows("Subject") & {"subject_id": "A"}).fetch1("temperature") == 1.234
    german = lab.open("Subject", "subject_id;species;temperature\nC;rat;36,5\nD;rat;1,234\n")
    assert (german.notation.decimal, kinds(german)) == (",", ["new", "new"])
    mixed = lab.open("Subject", "subject_id;species;temperature\nC;rat;36,5\nD;rat;36.5\nE;rat;1.234\n")
    assert (mixed.notation.decimal, kinds(mixed)) == ("", ["new", "new", "invalid"])


def test_the_order_of_days_is_asked_for_where_it_is_not_told(lab: Lab) -> None:
    batch = lab.open(
        "Subject", "subject_id,species,birth\nA,rat,3/4/2026\nB,rat,04.03.2026\nC,rat,2026-03-04\n"
    )
    assert kinds(batch) == ["invalid", "new", "new"]
    assert "may mean 2026-04-03 or 2026-03-04" in batch.messages(0)["birth"]
    lab.do(lab.importing.set_notation(batch, days="mdy"))
    lab.done(batch)
    lab.write(batch)
    days = {row["subject_id"]: row["birth"] for row in (lab.rows("Subject") & "birth is not null").to_dicts()}
    assert days == dict.fromkeys("ABC", dt.date(2026, 3, 4))
    told = lab.open("Subject", "subject_id,species,birth\nD,rat,3/4/2026\nE,rat,31/12/2025\n")
    assert (told.notation.days, kinds(told)) == ("dmy", ["new", "new"])


@on_one_server
def test_a_cell_shows_how_it_was_read_where_that_is_not_what_stands_in_it(lab: Lab) -> None:
    info = lab.services.table(lab.name("Subject"))
    names = "subject_id;species;birth;temperature;weight;is_active;tag"
    rows = ["A;rat;1.2.2026;36,5;20,5;ja;'=x", "B;rat;2026-02-01;36;20.50;yes;y"]
    batch = lab.open("Subject", "\n".join([names, *rows]))
    first, second = lab.do(lab.importing.page(batch, [], 0, 50))
    assert first.readings == {"birth": "2026-02-01", "temperature": "36.5", "weight": "20.50"}
    assert first.messages.keys() == {"is_active"}
    assert second.readings == {}
    assert batch.cells(0)[6] == "=x"
    assert "Days with points begin with the day: 1.2.2026 is 2026-02-01." in batch_html(info, batch, None)
    numbers = lab.open("Subject", "subject_id;species;temperature\nA;rat;1.234.567,5\n")
    assert (numbers.notation.decimal, numbers.day_forms.dotted) == (",", 0)


@on_one_server
def test_columns_find_their_attributes(lab: Lab) -> None:
    info = lab.services.table(lab.name("Subject"))
    names = ["Subject-ID", "SPECIES", "body weight", "remraks", "photo", "colour", "Temperature (°C)"]
    found = matches(info, names)
    assert [m.attribute for m in found] == [
        "subject_id", "species", "weight", "remarks", "", "", "temperature",
    ]  # fmt: skip
    assert [m.is_sure for m in found] == [True, True, True, False, True, True, True]
    assert "files" in found[4].reason
    assert [a.name for a in missing(info, ["subject_id"])] == ["species"]


@on_one_server
def test_a_missing_column_is_named_and_another_can_be_chosen(lab: Lab) -> None:
    batch = lab.open("Subject", "subject_id,kind\nA,rat\n")
    assert (batch.stage, batch.mapped) == ("mapping", ["subject_id", ""])
    lab.do(lab.importing.map_column(batch, 1, "species"))
    assert kinds(lab.done(batch)) == ["new"]


@on_one_server
def test_files_without_names_go_by_the_order_of_the_definition(lab: Lab) -> None:
    batch = lab.open("Person", "cy\tCy D.\ndi\t\n")
    assert (batch.has_header, batch.mapped, kinds(batch)) == (False, ["person", "full_name"], ["new", "new"])
    lab.do(lab.importing.lay_out(batch, has_header=True))
    assert len(lab.done(batch).classes) == 1


@on_one_server
def test_templates_are_filled_in_and_come_back(lab: Lab) -> None:
    info = lab.services.table(lab.name("Subject"))
    assert kinds(lab.open("Subject", csv_template(info) + "A,rat\r\n")) == ["new"]
    book = openpyxl.load_workbook(io.BytesIO(xlsx_template(info)))
    lists = [v.formula1 for v in book.active.data_validations.dataValidation]
    assert lists == ['"M,F,U"', '"yes,no"']
    assert "photo" not in [cell.value for cell in book.active[1]]
    book.active.append(["A", "rat", "F"])
    written = io.BytesIO()
    book.save(written)
    batch = lab.open("Subject", written.getvalue(), "filled.xlsx")
    assert (batch.row(0)[0], kinds(batch)) == (3, ["new"])


# ---------------------------------------------------------------------------------------------- limits and hostility


def test_hostile_text_is_stored_as_text_and_its_file_of_rejects_runs_nothing(lab: Lab) -> None:
    formulas = ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", INJECTION, SCRIPT]
    out = io.StringIO()
    csv.writer(out).writerows(
        [["subject_id", "species", "remarks"], *([f"H{n}", "cow", t] for n, t in enumerate(formulas))]
    )
    batch = lab.open("Subject", out.getvalue())
    text = "".join(rejected_lines(batch))
    sent = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert sent[0][-1] == REASON_HEADER
    assert all(row[2][0] not in "=+-@" for row in sent[1:])
    assert all("There is no Species cow." in row[-1] for row in sent[1:])
    back = lab.open("Subject", text.replace("cow", "rat"))
    lab.write(back)
    assert sorted((lab.rows("Subject") & "species='rat'").to_arrays("remarks").tolist()) == sorted(
        ["", *formulas]
    )
    assert len(lab.rows("Species")) == 2


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_what_was_exported_is_imported_as_what_it_was(lab: Lab, kind: str) -> None:
    texts = [
        "=1+1",
        "'=1+1",
        "''-x",
        "+49 30",
        "-5",
        "@x",
        "\tx",
        "'s",
        " spaced ",
        "a\r\nb",
        'say "x", y',
        "007",
        "1,5",
    ]
    moment = {
        "birth": dt.date(2026, 3, 4),
        "created": dt.datetime(2026, 3, 4, 5, 6, 7),
        "uid": uuid.UUID(int=7),
    }
    numbers = {"weight": Decimal("20.50"), "temperature": 0.1 + 0.2, "big": 2**53 + 1}
    rows = lab.rows("Subject")
    rows.insert(
        {"subject_id": f"E{n}", "species": "rat", "remarks": t, "tag": t} for n, t in enumerate(texts)
    )
    rows.insert1(
        {"subject_id": "E80", "species": "rat", "tag": "", "settings": {"a": [1, "=x"]}, "is_active": 0}
    )
    rows.insert1({"subject_id": "E81", "species": "rat", **moment, **numbers})
    columns = [a.name for a in lab.services.table(lab.name("Subject")).attributes if importable(a)]
    sent = lab.services.exports.file(lab.name("Subject"), kind, columns=columns)

    async def content() -> bytes:
        return b"".join([chunk async for chunk in sent])

    batch = lab.open("Subject", lab.do(content()), f"rows.{kind}")
    assert kinds(batch) == ["identical"] * (len(texts) + 4), [
        batch.messages(p) for p in range(len(batch.classes)) if batch.messages(p)
    ]


@on_one_server
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "is no table"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "Excel 2003"),
        (b"PK\x03\x04 cut off", "no whole Excel workbook"),
        (b"PAR1 cut off", "no whole Parquet file"),
        (b"subject_id,species\n", "but no rows"),
        (b'subject_id,species\nA,"' + b"x" * 200_000, "quotation mark"),
        (b"subject_id,species\nA," + b"x" * 110_000, "100,000 are the most"),
        (b"subject_id" + b",x" * 600 + b"\nA", "500 are the most"),
    ],
)
def test_what_cannot_be_imported_says_why(lab: Lab, content: bytes, reason: str) -> None:
    batch = lab.open("Subject", content)
    assert reason in batch.problem
    assert batch.stage == "mapping"
    assert len(lab.rows("Subject")) == 2


@on_one_server
def test_too_many_rows_and_workbooks_that_unpack_too_large_are_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_ROWS", 3)
    assert "more than 3 rows" in lab.open("Person", "person\n1\n2\n3\n4\n").problem
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", bytes(30_000_000))
    assert "would unpack to 30 MB" in lab.open("Person", bomb.getvalue()).problem


@on_one_server
def test_only_so_many_imports_are_kept_and_nobody_sees_those_of_others(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing_module, "MAX_BATCHES", 2)
    first, second, third = (lab.open("Person", f"person\np{n}\n") for n in range(3))
    table = lab.name("Person")
    assert lab.importing.find(first.id, table, "ana") is None
    assert not first.folder.exists()
    assert lab.importing.find(second.id, table, "ana") is second
    assert lab.importing.find(second.id, table, "eve") is None
    assert lab.importing.find(second.id, lab.name("Subject"), "ana") is None
    assert lab.importing.recent(table, "ana") == [third, second]


@on_one_server
def test_a_file_that_is_cut_off_or_too_large_is_not_imported(lab: Lab) -> None:
    uploads = lab.services.entering.uploads
    reference = uploads.begin("rows.csv", 100)
    uploads.add(reference, 0, b"subject_id,species\nA,rat\n")
    with pytest.raises(ValueError, match="has not arrived completely"):
        uploads.path(reference)
    with pytest.raises(ValueError, match="the most that can be sent"):
        uploads.begin("rows.csv", 10**12)
    assert len(lab.rows("Subject")) == 2


@on_one_server
def test_rows_are_kept_on_disk_and_not_in_memory(lab: Lab) -> None:
    path = lab.folder / "wide.csv"
    with path.open("w") as file:
        file.write("person,what is ignored\n")
        file.writelines(f"p{n},{'x' * 4000}\n" for n in range(5000))
    lab.open("Person", "person\np1\n")  # what is loaded once is loaded
    tracemalloc.start()
    try:
        batch = lab.done(lab.do(lab.importing.open(lab.name("Person"), "wide.csv", path, "ana")))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.count(RowClass.NEW) == 5000
    assert peak_bytes < 8_000_000  # of a file of 20


@on_one_server
def test_a_hundred_thousand_rows_are_checked_and_can_be_given_up(lab: Lab) -> None:
    path = lab.folder / "large.csv"
    with path.open("w") as file:
        file.write("person,full_name\n")
        file.writelines(f"p{n},{'x' * (70 if n == 50_000 else 40)}\n" for n in range(100_000))
    batch = lab.done(lab.do(lab.importing.open(lab.name("Person"), "large.csv", path, "ana")))
    assert (batch.count(RowClass.NEW), batch.count(RowClass.INVALID)) == (99_999, 1), batch.problem
    assert lab.do(lab.importing.next_problem(batch, -1)) == 50_000
    row, *_ = lab.do(lab.importing.page(batch, [RowClass.INVALID], 0, 50))
    assert (row.position, row.kind, row.cells[0]) == (50_000, RowClass.INVALID, "p50000")
    assert "longer than 60 characters" in row.messages["full_name"]

    async def give_up() -> None:
        await lab.importing.check(batch)
        await lab.importing.cancel(batch)

    lab.do(give_up())
    assert batch.problem == "This was cancelled; nothing was written."
    assert len(lab.rows("Person")) == 2
