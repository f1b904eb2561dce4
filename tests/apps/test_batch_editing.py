"""Changing many rows together: looked at first, all or none, never over somebody else's change, and taken back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.chosen import MAX_CHOSEN
from dj_panel.apps.services.renewals import RowsEdited, RowsOpened, RowsReview, item_id
from dj_panel.apps.services.revisions import Agreement
from dj_panel.core.errors import AccessError, IntegrityError, OneRowError
from tests.entry_tables import HOSTILE, Lab, declare, pipeline_of

SUBJECTS = [{"subject_id": f"M{i}"} for i in range(1, 5)]


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Edits]:
    services = Services(declare(schema))
    lab = Edits(services)
    lab.rows("Person").insert([("ana", "Ana B."), ("bo", "")])
    lab.rows("Subject").insert(
        [
            {"subject_id": "M1", "species": "mouse", "weight": Decimal("20.50"), "settings": {"a": 1}},
            {"subject_id": "M2", "species": "mouse", "remarks": "calm"},
            {"subject_id": "M3", "species": "mouse", "tag": "T3"},
            {"subject_id": "M4", "species": "rat", "weight": Decimal("21")},
        ],
    )
    yield lab
    services.close()


class Edits(Lab):
    """The lab, and what these tests ask of it, without await."""

    def open(self, table: str = "Subject", keys: Any = SUBJECTS) -> RowsOpened:
        return asyncio.run(self.services.batch_editing.open(self.name(table), keys))

    def review(self, draft: dict[str, str], table: str = "Subject", keys: Any = SUBJECTS) -> RowsReview:
        return asyncio.run(self.services.batch_editing.review(self.name(table), keys, draft, set(draft)))

    def save(
        self,
        draft: dict[str, str],
        review: RowsReview | None = None,
        *,
        table: str = "Subject",
        keys: Any = SUBJECTS,
        token: str = "t",
        **agreed: Any,
    ) -> Any:
        seen = (review or self.review(draft, table, keys)).seen
        agreement = Agreement(**agreed)
        return asyncio.run(
            self.services.batch_editing.save(
                self.name(table), keys, draft, set(draft), seen, token, agreement
            )
        )

    def undo(self, edited: RowsEdited, table: str = "Subject") -> RowsEdited:
        return asyncio.run(self.services.batch_editing.undo(self.name(table), edited.batch))

    def history(self, key: str) -> Any:
        return asyncio.run(self.services.history.of_row(self.name("Subject"), {"subject_id": key}))

    def values(self, name: str, table: str = "Subject") -> list[Any]:
        return [row[name] for row in self.rows(table).to_dicts("KEY", attributes=name)]


def test_only_what_all_rows_may_hold_alike_can_be_changed_together(lab: Edits) -> None:
    opened = lab.open()
    names = [item_id(item) for item in opened.form.items]
    assert "weight" in names
    assert not {"subject_id", "tag", "trace", "photo"} & set(names)
    assert opened.apart == (
        "Not changed here: Tag (no two rows may have the same value).",
        "Not changed here: Trace, Photo (files and arrays are replaced in one row at a time).",
    )
    species = opened.holdings["->0"]
    assert [(held.value.text, held.n_rows) for held in species.commonest] == [("mouse", 3), ("rat", 1)]
    assert lab.review({"tag": "T9"}).summary.startswith("Nothing is chosen")
    lab.rows("Consent").insert([(1, "M1"), (2, "M2")])
    assert lab.open("Consent", [{"consent": "1"}, {"consent": "2"}]).form.items == ()


def test_the_review_counts_what_changes_and_what_the_rows_hold_and_writes_nothing(lab: Edits) -> None:
    review = lab.review({"weight": "21", "sex": "F"})
    assert (review.n_rows, review.n_changing, review.summary) == (4, 4, "")
    sex, weight = review.renewals
    assert (sex.attribute, sex.new.text, sex.n_changing, sex.n_same) == ("sex", "F", 4, 0)
    assert (weight.new.text, weight.n_changing, weight.n_same) == ("21.00", 3, 1)
    assert [(h.value.text, h.n_rows) for h in weight.holding.commonest] == [
        ("no value", 2), ("20.50", 1), ("21.00", 1)
    ]  # fmt: skip
    assert lab.values("sex") == ["U"] * 4


def test_of_many_different_values_the_commonest_are_named(lab: Edits) -> None:
    lab.rows("Subject").insert({"subject_id": f"N{i}", "species": "rat", "weight": i} for i in range(20))
    keys = [*SUBJECTS, *({"subject_id": f"N{i}"} for i in range(20))]
    (weight,) = lab.review({"weight": "5"}, keys=keys).renewals
    assert (len(weight.holding.commonest), weight.holding.n_values, weight.n_same) == (5, 23, 1)


def test_all_rows_change_at_once_and_each_has_it_in_its_history(lab: Edits) -> None:
    edited = lab.save({"weight": "21", "remarks": HOSTILE}, reason="new scale")
    assert isinstance(edited, RowsEdited)
    assert edited.n_rows == 4
    assert lab.values("weight") == [Decimal("21.00")] * 4
    assert lab.values("remarks") == [HOSTILE] * 4
    events = [lab.history(key)[0] for key in ("M1", "M4")]
    assert {(e.action, e.source, e.reason, e.batch) for e in events} == {
        ("update", "form", "new scale", edited.batch)
    }
    assert set(events[0].changes) == {"weight", "remarks"}
    assert set(events[1].changes) == {"remarks"}  # its weight was 21 already
    receipt = asyncio.run(lab.services.batch_editing.receipt(lab.name("Subject"), edited.batch))
    assert (receipt.n_rows, receipt.reason, receipt.user) == (4, "new scale", lab.services.user)
    assert [(r.attribute, r.n_changing) for r in receipt.renewals] == [("weight", 3), ("remarks", 4)]


def test_rows_that_hold_the_value_already_are_left_alone(lab: Edits) -> None:
    edited = lab.save({"->0": "", "species": "mouse"})
    assert edited.n_rows == 1
    assert lab.history("M1") == []
    assert lab.values("species") == ["mouse"] * 4
    assert "hold these values already" in lab.review({"sex": "U"}).summary


def test_no_value_and_default_are_given_by_a_field_that_is_chosen_and_left_empty(lab: Edits) -> None:
    lab.save({"sex": "F"})
    assert isinstance(lab.save({"weight": "", "sex": "", "settings": ""}, token="u"), RowsEdited)
    assert (lab.values("weight"), lab.values("sex")) == ([None] * 4, ["U"] * 4)
    assert lab.values("settings") == [None] * 4


@pytest.mark.parametrize(
    ("draft", "name", "reason"),
    [
        ({"weight": "heavy"}, "weight", "is not a number"),
        ({"->0": "cat"}, "species", "There is no Species cat"),
        ({"->0": ""}, "species", "Needs a value"),
        ({"sex": "X"}, "sex", "is not one of"),
        ({"settings": "{"}, "settings", "JSON"),
    ],
)
def test_a_wrong_value_is_named_at_its_field_and_no_row_is_changed(
    lab: Edits, draft: dict[str, str], name: str, reason: str
) -> None:
    review = lab.review({**draft, "remarks": "new"})
    assert reason in review.errors[name]
    assert isinstance(lab.save({**draft, "remarks": "new"}, review), RowsReview)
    assert lab.values("remarks") == ["", "calm", "", ""]


def test_a_row_that_changed_meanwhile_stops_all_and_is_shown_afresh(lab: Edits) -> None:
    review = lab.review({"weight": "30"})
    lab.rows("Subject").update1({"subject_id": "M2", "remarks": "theirs"})
    outcome = lab.save({"weight": "30"}, review)
    assert isinstance(outcome, RowsReview)
    assert (outcome.n_changed_meanwhile, outcome.n_changing) == (1, 4)
    assert lab.values("weight")[0] == Decimal("20.50")
    (lab.rows("Subject") & {"subject_id": "M4"}).delete()
    outcome = lab.save({"weight": "30"}, outcome)
    assert (outcome.n_gone, outcome.n_rows) == (1, 3)
    assert isinstance(lab.save({"weight": "30"}, outcome), RowsEdited)
    assert lab.values("weight") == [Decimal("30.00")] * 3
    (lab.rows("Subject")).delete()
    with pytest.raises(OneRowError, match="none of these rows is there"):
        lab.open()


def test_a_change_that_the_database_refuses_for_one_row_changes_none(schema: dj.Schema) -> None:
    @schema
    class Cage(dj.Manual):
        definition = """
        cage : int16
        ---
        nick = "" : varchar(16)
        unique index ((lower(nick)))
        """

    services = Services(pipeline_of(schema))
    lab = Edits(services)
    Cage().insert([(1, "a"), (2, "b")])
    keys = [{"cage": "1"}, {"cage": "2"}]
    outcome = lab.save({"nick": "C"}, table="Cage", keys=keys)
    assert isinstance(outcome, RowsReview)
    assert "Cage" in outcome.summary
    assert lab.values("nick", "Cage") == ["a", "b"]
    assert asyncio.run(services.history.of_row(lab.name("Cage"), keys[0])) == []
    services.close()


def test_a_change_that_is_sent_twice_is_made_once(lab: Edits) -> None:
    review = lab.review({"weight": "30"})
    first, second = (lab.save({"weight": "30"}, review) for _ in range(2))
    assert isinstance(second, RowsEdited)
    assert first.batch == second.batch
    assert len(lab.history("M1")) == 1


def test_of_two_who_save_at_once_one_sees_the_others_change(lab: Edits) -> None:
    review = lab.review({"weight": "30"})
    outcomes: list[Any] = []
    barrier = threading.Barrier(2)

    def save(weight: str) -> None:
        barrier.wait()
        outcomes.append(lab.save({"weight": weight}, review, token=weight))

    threads = [threading.Thread(target=save, args=(weight,)) for weight in ("31", "32")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["RowsEdited", "RowsReview"]
    (review,) = [outcome for outcome in outcomes if isinstance(outcome, RowsReview)]
    assert review.n_changed_meanwhile == 4
    assert len(set(lab.values("weight"))) == 1


def test_taking_a_change_back_brings_each_row_what_it_held_also_after_a_restart(lab: Edits) -> None:
    before = [lab.values(name) for name in ("weight", "species", "settings")]
    edited = lab.save({"weight": "30", "->0": "", "species": "rat", "settings": '{"b": [2]}'})
    restarted = Services(lab.services.pipeline)
    undone = asyncio.run(restarted.batch_editing.undo(lab.name("Subject"), edited.batch))
    assert undone.is_undone
    assert [lab.values(name) for name in ("weight", "species", "settings")] == before
    assert [event.reason for event in lab.history("M4")] == ["Change taken back", ""]
    assert asyncio.run(restarted.batch_editing.receipt(lab.name("Subject"), edited.batch)).is_undone
    assert lab.undo(edited).is_undone  # once more changes nothing
    assert len(lab.history("M4")) == 2


def test_a_change_is_not_taken_back_over_a_later_one(lab: Edits) -> None:
    edited = lab.save({"weight": "30"})
    lab.rows("Subject").update1({"subject_id": "M1", "remarks": "of no concern"})
    lab.rows("Subject").update1({"subject_id": "M2", "weight": 31})
    with pytest.raises(IntegrityError, match="1 of these rows was changed or deleted since"):
        lab.undo(edited)
    assert lab.values("weight") == [Decimal(n) for n in ("30.00", "31.00", "30.00", "30.00")]
    with pytest.raises(OneRowError, match="Nothing is known"):
        asyncio.run(lab.services.batch_editing.undo(lab.name("Subject"), "no such change"))


def test_values_that_the_history_does_not_keep_are_said_to_be_lost_beforehand(lab: Edits) -> None:
    lab.rows("Subject").update1({"subject_id": "M1", "settings": {"long": "x" * 3000}})
    review = lab.review({"settings": "{}"})
    assert review.is_final
    assert not lab.review({"settings": "{}"}, keys=SUBJECTS[1:]).is_final
    edited = lab.save({"settings": "{}"}, review)
    assert edited.is_final
    with pytest.raises(IntegrityError, match="cannot be taken back"):
        lab.undo(edited)


def test_computed_rows_of_rows_that_change_are_counted_flagged_or_deleted(lab: Edits) -> None:
    for subject in ("M1", "M4"):
        lab.rows("Session").insert1({"subject_id": subject, "session": 1, "day": "2026-03-01"})
        lab.rows("Total").insert1(
            {"subject_id": subject, "session": 1, "total": 1.0}, allow_direct_insert=True
        )
    total = lab.name("Total")
    assert lab.review({"weight": "21"}).computed == {total: 1}  # M4 weighs that already
    assert lab.review({"weight": "22"}).computed == {total: 2}
    assert lab.save({"weight": "22"}, consequence="flag", token="1").n_computed == 2
    key = {"subject_id": "M4", "session": "1"}
    (event,) = asyncio.run(lab.services.history.of_row(total, key))
    assert event.reason == "Subject M1, M2, M3, M4 were changed"
    outcome = lab.save({"weight": "23"}, consequence="delete", computed={total: 1}, token="2")
    assert "other rows were computed" in outcome.summary
    assert lab.values("weight") == [Decimal("22.00")] * 4
    edited = lab.save({"weight": "23"}, consequence="delete", computed={total: 2}, token="2")
    assert (edited.n_computed, len(lab.rows("Total")), len(lab.rows("Session"))) == (2, 0, 2)


def test_a_choice_that_depends_on_the_key_is_offered_where_the_rows_share_it(lab: Edits) -> None:
    lab.rows("Session").insert(
        {"subject_id": subject, "session": i, "day": "2026-03-01"} for subject in ("M1", "M2") for i in (1, 2)
    )
    lab.rows("Probe").insert(
        {"subject_id": subject, "session": 2, "probe": i} for subject in ("M1", "M2") for i in (1, 2)
    )
    keys = [{"subject_id": s, "session": "2", "probe": p} for s in ("M1", "M2") for p in ("1", "2")]
    opened = lab.open("Probe", keys)
    assert opened.form.items == ()
    assert "the choice depends on subject_id" in opened.apart[0]
    opened = lab.open("Probe", keys[:2])
    assert (opened.common, len(opened.form.items)) == ({"subject_id": "M1", "session": "2"}, 1)
    draft = {"->1": "1"}
    edited = lab.save(draft, table="Probe", keys=keys[:2])
    assert isinstance(edited, RowsEdited), edited
    assert lab.values("earlier_session", "Probe") == [1, 1, None, None]


def test_rows_of_parts_are_changed_and_computed_ones_are_not(lab: Edits) -> None:
    lab.rows("Session").insert1({"subject_id": "M1", "session": 1, "day": "2026-03-01"})
    lab.rows("Session.Note").insert(
        {"subject_id": "M1", "session": 1, "note": i, "author": "ana", "note_text": "calm"} for i in (1, 2)
    )
    keys = [{"subject_id": "M1", "session": "1", "note": str(i)} for i in (1, 2)]
    assert lab.save({"->1": "", "author": "bo"}, table="Session.Note", keys=keys).n_rows == 2
    assert lab.values("author", "Session.Note") == ["bo", "bo"]
    with pytest.raises(AccessError, match="computed again"):
        lab.open("Total", [{"subject_id": "M1", "session": "1"}])


def test_a_thousand_rows_are_changed_and_taken_back_and_more_are_refused(lab: Edits) -> None:
    keys = [{"subject_id": f"N{i}"} for i in range(MAX_CHOSEN)]
    lab.rows("Subject").insert({**key, "species": "rat"} for key in keys)
    edited = lab.save({"weight": "30"}, keys=keys)
    assert (edited.n_rows, lab.values("weight").count(Decimal("30.00"))) == (MAX_CHOSEN, MAX_CHOSEN)
    lab.undo(edited)
    assert lab.values("weight").count(Decimal("30.00")) == 0
    with pytest.raises(AccessError, match="between 1 and 1,000 rows"):
        lab.open("Subject", [*keys, {"subject_id": "M1"}])
    with pytest.raises(AccessError, match="between 1 and 1,000 rows"):
        lab.open("Subject", [])
