"""Changing rows: shown first, never over somebody else's change, and noted."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.apps.fields import EMPTY_TEXT
from dj_panel.apps.services import Services
from dj_panel.apps.services.receipts import Receipt, Refused
from dj_panel.apps.services.revisions import Agreement, Edited, Opened, Review
from dj_panel.core.errors import AccessError, OneRowError
from tests.entry_tables import HOSTILE, Lab, declare


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Edits]:
    services = Services(declare(schema))
    lab = Edits(services)
    lab.rows("Person").insert([("ana", "Ana B."), ("bo", "")])
    lab.rows("Subject").insert1(
        {
            "subject_id": "M042", "species": "mouse", "weight": Decimal("20.50"), "tag": "T1", "remarks": "",
            "created": dt.datetime(2026, 3, 31, 14, 5), "settings": {"a": [1, "5"]}, "temperature": 37.0,
            "trace": np.arange(3),
        }
    )  # fmt: skip
    lab.rows("Subject").insert1({"subject_id": "M043", "species": "rat", "tag": "T2"})
    yield lab
    services.close()


class Edits(Lab):
    """The lab, and what these tests ask of it, without await."""

    def open(self, table: str = "Subject", **key: str) -> Opened:
        return asyncio.run(self.services.editing.open(self.name(table), key or {"subject_id": "M042"}))

    def review(self, opened: Opened, **changes: str) -> Review:
        return asyncio.run(
            self.services.editing.review(
                opened.form.table, opened.key, {**opened.texts, **changes}, opened.seen
            )
        )

    def save(self, opened: Opened, changes: dict[str, str], **options: Any) -> Any:
        return asyncio.run(
            self.services.editing.save(
                opened.form.table,
                opened.key,
                {**opened.texts, **changes},
                opened.seen,
                agreement=Agreement(**options),
            )
        )

    def history(self, table: str = "Subject", **key: str) -> Any:
        return asyncio.run(self.services.history.of_row(self.name(table), key or {"subject_id": "M042"}))

    def row(self, **key: str) -> Any:
        return (self.rows("Subject") & (key or {"subject_id": "M042"})).fetch1()


def add_session(lab: Edits) -> None:
    lab.rows("Session").insert1({"subject_id": "M042", "session": 1, "day": "2026-03-01"})
    lab.rows("Total").insert1({"subject_id": "M042", "session": 1, "total": 1.0}, allow_direct_insert=True)


def test_a_form_begins_with_the_row_and_saving_it_unchanged_changes_nothing(lab: Edits) -> None:
    opened = lab.open()
    assert opened.label == "Subject M042"
    assert opened.texts["weight"] == "20.50"
    assert opened.texts["remarks"] == EMPTY_TEXT
    assert "birth" not in opened.texts
    assert [item.label for item in opened.form.items if item.in_key] == []
    assert "<blob>" in opened.files["trace"]
    review = lab.review(opened)
    assert (review.differences, review.summary) == ((), "Nothing is changed, so there is nothing to save.")
    assert isinstance(lab.save(opened, {}), Review)
    assert lab.history() == []


def test_what_would_change_is_shown_before_anything_is_written(lab: Edits) -> None:
    review = lab.review(lab.open(), weight="21", birth="2026-01-02", tag="", remarks="<b>", sex="")
    found = {d.attribute: (d.was.text, d.mine.text) for d in review.differences}
    assert found == {
        "birth": ("no value", "2026-01-02"),
        "weight": ("20.50", "21.00"),
        "tag": ("T1", "no value"),
        "remarks": ("empty text", "<b>"),
    }
    assert not review.is_changed_meanwhile
    assert lab.row()["weight"] == Decimal("20.50")


def test_no_value_empty_text_and_default_are_three_things(lab: Edits) -> None:
    lab.save(lab.open(), {"tag": EMPTY_TEXT, "sex": "F"})
    assert (lab.row()["tag"], lab.row()["sex"]) == ("", "F")
    lab.save(lab.open(), {"tag": "", "sex": ""})
    assert (lab.row()["tag"], lab.row()["sex"]) == (None, "U")


def test_saving_changes_what_was_changed_and_notes_it(lab: Edits) -> None:
    outcome = lab.save(lab.open(), {"weight": "21", "remarks": HOSTILE}, reason="weighed again")
    assert isinstance(outcome, Edited)
    assert outcome.n_changed == 2
    row = lab.row()
    assert (row["weight"], row["remarks"], row["settings"]) == (Decimal("21.00"), HOSTILE, {"a": [1, "5"]})
    assert np.array_equal(row["trace"], np.arange(3))
    (event,) = lab.history()
    assert (event.action, event.source, event.reason) == ("update", "form", "weighed again")
    assert {n: (a.text, b.text) for n, (a, b) in event.changes.items()} == {
        "weight": ("20.50", "21.00"),
        "remarks": ("empty text", HOSTILE),
    }
    assert event.before == {"weight": "20.50", "remarks": EMPTY_TEXT}
    assert lab.save(lab.open(), event.before).n_changed == 2
    assert (lab.row()["weight"], lab.row()["remarks"]) == (Decimal("20.50"), "")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("weight", "heavy", "is not a number"),
        ("species", "cat", "There is no Species cat"),
        ("tag", "T2", "taken by Subject M043"),
        ("species", "", "Needs a value"),
        ("sex", "X", "is not one of"),
        ("settings", "{", "JSON"),
    ],
)
def test_a_wrong_value_is_named_at_its_field_and_nothing_is_saved(
    lab: Edits, name: str, text: str, reason: str
) -> None:
    opened = lab.open()
    outcome = lab.save(opened, {name: text, "remarks": "new"})
    assert isinstance(outcome, Review)
    assert reason in outcome.errors[name]
    assert set(outcome.errors) == {name}
    assert lab.row()["remarks"] == ""


def test_somebody_elses_change_is_shown_and_never_overwritten(lab: Edits) -> None:
    mine, theirs = lab.open(), lab.open()
    assert isinstance(lab.save(theirs, {"weight": "22", "temperature": "38"}), Edited)
    outcome = lab.save(mine, {"weight": "21", "remarks": "mine"})
    assert isinstance(outcome, Review)
    assert outcome.is_changed_meanwhile
    assert lab.services.user in outcome.other
    found = {
        d.attribute: (d.was.text, d.theirs.text, d.mine.text, d.is_conflict) for d in outcome.differences
    }
    assert found == {
        "weight": ("20.50", "22.00", "21.00", True),
        "temperature": ("37.0", "38.0", "37.0", False),
        "remarks": ("empty text", "empty text", "mine", False),
    }
    assert (lab.row()["weight"], lab.row()["remarks"]) == (Decimal("22.00"), "")
    taken = {d.attribute: d.theirs_text or "" for d in outcome.differences if d.is_theirs and not d.is_mine}
    assert taken == {"temperature": "38"}
    draft = {**mine.texts, **taken, "weight": "21", "remarks": "mine"}
    editing = lab.services.editing
    assert isinstance(asyncio.run(editing.save(mine.form.table, mine.key, draft, outcome.seen)), Edited)
    assert (lab.row()["weight"], lab.row()["temperature"], lab.row()["remarks"]) == (
        Decimal("21.00"),
        38.0,
        "mine",
    )


def test_a_change_that_nobody_noted_is_nobodys(lab: Edits) -> None:
    opened = lab.open()
    lab.rows("Subject").update1({"subject_id": "M042", "weight": Decimal("22")})
    review = lab.review(opened, remarks="mine")
    assert (review.is_changed_meanwhile, review.other) == (True, "")


def test_a_save_that_is_sent_twice_changes_the_row_once(lab: Edits) -> None:
    opened = lab.open()
    first, second = (lab.save(opened, {"weight": "21"}) for _ in range(2))
    assert isinstance(first, Edited)
    assert isinstance(second, Edited)
    assert len(lab.history()) == 1


def test_a_row_that_was_deleted_meanwhile_is_said_to_be_gone(lab: Edits) -> None:
    opened = lab.open(subject_id="M043")
    (lab.rows("Subject") & {"subject_id": "M043"}).delete()
    assert "somebody has deleted it" in lab.save(opened, {"tag": "T3"}).summary
    with pytest.raises(OneRowError, match="M043"):
        lab.open(subject_id="M043")


def test_of_two_who_save_at_once_one_sees_the_others_change(lab: Edits) -> None:
    opened = lab.open()
    outcomes: list[Any] = []
    barrier = threading.Barrier(2)

    def save(weight: str) -> None:
        barrier.wait()
        outcomes.append(lab.save(opened, {"weight": weight}))

    threads = [threading.Thread(target=save, args=(weight,)) for weight in ("21", "22")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Edited", "Review"]
    (review,) = [outcome for outcome in outcomes if isinstance(outcome, Review)]
    assert review.is_changed_meanwhile


def test_computed_rows_that_used_the_old_value_are_counted_flagged_or_deleted(lab: Edits) -> None:
    add_session(lab)
    total = lab.name("Total")
    assert lab.review(lab.open(), weight="21").computed == {total: 1}
    assert lab.save(lab.open(), {"weight": "21"}).n_computed == 0
    assert lab.save(lab.open(), {"weight": "22"}, consequence="flag").n_computed == 1
    (event,) = lab.history("Total", subject_id="M042", session="1")
    assert (event.action, event.reason, event.changes) == ("update", "Subject M042 was changed", {})
    outcome = lab.save(lab.open(), {"weight": "23"}, consequence="delete", computed={total: 9})
    assert "other rows were computed" in outcome.summary
    assert lab.row()["weight"] == Decimal("22.00")
    outcome = lab.save(lab.open(), {"weight": "23"}, consequence="delete", computed={total: 1})
    assert (outcome.n_computed, len(lab.rows("Total")), len(lab.rows("Session"))) == (1, 0, 1)


def test_rows_of_parts_can_be_changed_and_computed_ones_cannot(lab: Edits) -> None:
    add_session(lab)
    note = {"subject_id": "M042", "session": 1, "note": 1, "author": "ana", "note_text": "calm"}
    lab.rows("Session.Note").insert1(note)
    opened = lab.open("Session.Note", subject_id="M042", session="1", note="1")
    assert isinstance(lab.save(opened, {"author": "bo"}), Edited)
    assert lab.rows("Session.Note").fetch1("author") == "bo"
    with pytest.raises(AccessError, match="computed again"):
        lab.open("Total", subject_id="M042", session="1")


def test_entering_and_taking_back_are_noted_with_parts(lab: Edits) -> None:
    entering = lab.services.entering
    draft = {"subject_id": "M042", "session": "7", "day": "2026-03-01"}
    parts = {lab.name("Session.Note"): [{"note": "1", "author": "ana", "note_text": "calm"}]}
    receipt = asyncio.run(entering.save(lab.name("Session"), draft, parts, "t"))
    assert isinstance(receipt, Receipt)
    (event,) = lab.history("Session", subject_id="M042", session="7")
    assert event.action == "insert"
    (note,) = lab.history("Session.Note", subject_id="M042", session="7", note="1")
    assert note.changes["note_text"][1].text == "calm"
    asyncio.run(entering.undo(receipt))
    gone = lab.history("Session", subject_id="M042", session="7")[0]
    assert (gone.action, gone.reason) == ("delete", "Taken back")
    back = asyncio.run(lab.services.history.restore(lab.name("Session"), gone.batch))
    assert back == {lab.name("Session"): 1, lab.name("Session.Note"): 1}
    assert lab.rows("Session.Note").fetch1("note_text") == "calm"


def test_of_rows_entered_at_once_none_is_lost_and_each_duplicate_is_shown(lab: Edits) -> None:
    n_each, n_shared = 27, 3
    entering, table = lab.services.entering, lab.name("Person")

    async def enter(who: int) -> list[Receipt | Refused]:
        names = [f"w{who}-{i}" for i in range(n_each)] + [f"both-{i}" for i in range(n_shared)]
        drafts = [{"person": name, "full_name": f"by {who}"} for name in names]
        return [await entering.save(table, draft, {}, f"{who}/{i}") for i, draft in enumerate(drafts)]

    async def both() -> list[list[Receipt | Refused]]:
        return list(await asyncio.gather(enter(1), enter(2)))

    outcomes = [outcome for found in asyncio.run(both()) for outcome in found]
    saved = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert (len(saved), len(refused)) == (2 * n_each + n_shared, n_shared)
    assert all(outcome.duplicate is not None for outcome in refused)
    assert len(lab.rows("Person")) == 2 + len(saved)


def test_an_unusual_value_is_changed_when_it_was_ticked(lab: Edits) -> None:
    lab.rows("Subject").insert(
        {"subject_id": f"N{n:03d}", "species": "mouse", "weight": 20 + n % 3} for n in range(12)
    )
    opened = lab.open()
    editing, draft = lab.services.editing, {**opened.texts, "weight": "80"}
    name, key, seen = lab.name("Subject"), opened.key, opened.seen
    for ticked in ({}, {"weight": "81"}):
        review = asyncio.run(editing.review(name, key, draft, seen, ticked=ticked))
        assert "“80” is far from the last values" in review.doubts["weight"]
        assert (
            review.summary
            == "One value is unusual. Tick it if it is right, and save again. Nothing was saved."
        )
        refused = asyncio.run(editing.save(name, key, draft, seen, ticked=ticked))
        assert refused == review
    assert lab.row()["weight"] == Decimal("20.50")
    meant = asyncio.run(editing.review(name, key, draft, seen, ticked={"weight": "80"}))
    assert (meant.doubts, [d.attribute for d in meant.differences]) == ({}, ["weight"])
    # What does not change is not asked about, however unusual it is.
    assert isinstance(asyncio.run(editing.save(name, key, draft, seen, ticked={"weight": "80"})), Edited)
    opened = lab.open()
    other = asyncio.run(editing.review(name, key, {**opened.texts, "tag": "T9"}, opened.seen, ticked={}))
    assert (other.doubts, [d.attribute for d in other.differences]) == ({}, ["tag"])


def test_an_unusual_value_for_many_rows_is_asked_about_too(lab: Edits) -> None:
    lab.rows("Subject").insert(
        {"subject_id": f"N{n:03d}", "species": "mouse", "weight": 20 + n % 3} for n in range(12)
    )
    review = lab.services.batch_editing.review
    keys = [{"subject_id": "N001"}, {"subject_id": "N002"}]
    asked = asyncio.run(review(lab.name("Subject"), keys, {"weight": "80"}, {"weight"}, {}))
    assert list(asked.doubts) == ["weight"]
    meant = asyncio.run(review(lab.name("Subject"), keys, {"weight": "80"}, {"weight"}, {"weight": "80"}))
    assert (meant.doubts, meant.n_changing) == ({}, 2)
