"""Changing the rows of parts together with their master: all of it or nothing, and never over somebody else's change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.partrows import MAX_PART_ROWS
from dj_panel.apps.services.revisions import ORIGIN, Agreement, Edited, Opened, Review
from tests.entry_tables import Lab
from tests.part_tables import declare_runs

KEY = {"subject": "M1", "run": "1"}
Rows = list[dict[str, str]]


class Runs(Lab):
    """The runs, and what these tests ask of them, without await."""

    def open(self) -> Opened:
        return asyncio.run(self.services.editing.open(self.name("Run"), KEY))

    def parts(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        return {self.name(f"Run.{part}"): drafts for part, drafts in rows.items()}

    def review(self, opened: Opened, changes: dict[str, str] | None = None, **rows: Rows) -> Review:
        parts = {**opened.parts.rows, **self.parts(rows)}
        draft = {**opened.texts, **(changes or {})}
        return asyncio.run(self.services.editing.review(self.name("Run"), KEY, draft, opened.seen, parts))

    def save(
        self, opened: Opened, changes: dict[str, str] | None = None, seen: str = "", **options: Any
    ) -> Any:
        rows: dict[str, Rows] = {n: options.pop(n) for n in ("Trial", "Event", "Image") if n in options}
        parts = {**opened.parts.rows, **self.parts(rows)}
        draft = {**opened.texts, **(changes or {})}
        return asyncio.run(
            self.services.editing.save(
                self.name("Run"), KEY, draft, seen or opened.seen, parts, Agreement(**options)
            )
        )

    def history(self, table: str, **key: str) -> Any:
        return asyncio.run(self.services.history.of_row(self.name(table), {**KEY, **key}))

    def trials(self) -> dict[int, Any]:
        rows = (self.rows("Run.Trial") & KEY).to_dicts(attributes=["trial", "outcome"], order_by="trial")
        return {row["trial"]: row["outcome"] for row in rows}


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Runs]:
    services = Services(declare_runs(schema))
    lab = Runs(services)
    lab.rows("Person").insert([("ana",), ("bo",)])
    lab.rows("Run").insert({"subject": name, "run": 1, "remark": "first"} for name in ("M1", "M2"))
    for name in ("M1", "M2"):
        lab.rows("Run.Trial").insert(
            {"subject": name, "run": 1, "trial": i, "person": "ana", "outcome": i / 2, "tag": f"{name}-{i}",
             "trace": np.arange(i)} for i in (1, 2, 3)
        )  # fmt: skip
    yield lab
    services.close()


def trials(opened: Opened) -> Rows:
    return [dict(row) for name, rows in opened.parts.rows.items() if name.endswith("Trial") for row in rows]


def shown(review: Review) -> dict[tuple[str, str], tuple[str, str, str]]:
    return {(d.row, d.attribute): (d.was.text, d.theirs.text, d.mine.text) for d in review.part_differences}


def test_a_form_begins_with_the_rows_of_parts_and_saving_it_unchanged_changes_nothing(lab: Runs) -> None:
    opened = lab.open()
    assert [grid.label for grid in opened.form.grids] == ["Event", "Image", "Trial"]
    first = trials(opened)[0]
    assert {n: first[n] for n in ("trial", "person", "outcome", "tag")} == {
        "trial": "1", "person": "ana", "outcome": "0.5", "tag": "M1-1"
    }  # fmt: skip
    assert "<blob>" in opened.parts.files[lab.name("Run.Trial")][first[ORIGIN]]["trace"]
    assert lab.review(opened).summary == "Nothing is changed, so there is nothing to save."


def test_rows_changed_added_and_removed_are_shown_and_saved_together_with_their_master(lab: Runs) -> None:
    opened = lab.open()
    one, _, three = trials(opened)
    rows = [{**one, "outcome": "9"}, three, {"trial": "4", "person": "bo"}]
    review = lab.review(opened, {"remark": "second"}, Trial=rows)
    assert shown(review) == {
        ("1", "outcome"): ("0.5", "0.5", "9.0"),
        ("2", ""): (
            f"person: ana, outcome: 1.0, tag: M1-2, trace: {_trace(review)}",
            f"person: ana, outcome: 1.0, tag: M1-2, trace: {_trace(review)}",
            "no row",
        ),
        ("4", ""): ("no row", "no row", "person: bo"),
    }
    assert lab.trials() == {1: 0.5, 2: 1.0, 3: 1.5}
    outcome = lab.save(opened, {"remark": "second"}, Trial=rows, reason="looked again")
    assert isinstance(outcome, Edited)
    assert (outcome.n_changed, outcome.n_part_rows) == (1, 3)
    assert lab.trials() == {1: 9.0, 3: 1.5, 4: None}
    assert len(lab.rows("Run.Trial") & {"subject": "M2"}) == 3
    assert np.array_equal((lab.rows("Run.Trial") & KEY & {"trial": 1}).fetch1("trace"), np.arange(1))


def _trace(review: Review) -> str:
    (text,) = {d.was.text.partition("trace: ")[2] for d in review.part_differences if d.row == "2"}
    return text


def test_all_that_was_saved_is_noted_under_one_name_and_undone_by_the_form(lab: Runs) -> None:
    opened = lab.open()
    one, _, three = trials(opened)
    rows = [{**one, "outcome": "9", "person": ""}, three, {"trial": "4"}]
    edited = lab.save(opened, {"remark": "second"}, Trial=rows, reason="looked again")
    events = [lab.history("Run")[0], *(lab.history("Run.Trial", trial=str(i))[0] for i in (1, 2, 4))]
    assert {(event.batch, event.reason) for event in events} == {(edited.batch, "looked again")}
    assert [event.action for event in events] == ["update", "update", "delete", "insert"]
    assert lab.history("Run.Trial", trial="3") == []
    before = asyncio.run(lab.services.editing.before(lab.name("Run"), KEY, edited.batch))
    (missing,) = before.lost
    assert before.has_parts
    assert before.at == events[0].time
    assert missing.text == "Trial 2: the old value of trace is not brought back by this form."
    assert missing.key == {**KEY, "trial": "2"}
    undone = lab.save(lab.open(), edited.before, Trial=before.parts[lab.name("Run.Trial")])
    assert (undone.n_changed, undone.n_part_rows) == (1, 3)
    assert lab.trials() == {1: 0.5, 2: 1.0, 3: 1.5}
    assert (lab.rows("Run.Trial") & KEY & {"trial": 1}).fetch1("person") == "ana"
    alone = lab.save(lab.open(), {"remark": "third"})
    before = asyncio.run(lab.services.editing.before(lab.name("Run"), KEY, alone.batch))
    assert (before.has_parts, before.lost) == (False, ())
    assert before.at == lab.history("Run")[0].time
    unknown = asyncio.run(lab.services.editing.before(lab.name("Run"), KEY, "of no change"))
    assert unknown.at is None


def test_a_row_that_was_removed_with_its_file_can_be_put_back_whole(lab: Runs) -> None:
    opened = lab.open()
    edited = lab.save(opened, Trial=trials(opened)[:2])
    assert lab.trials() == {1: 0.5, 2: 1.0}
    asyncio.run(lab.services.history.restore(lab.name("Run.Trial"), edited.batch))
    assert np.array_equal((lab.rows("Run.Trial") & KEY & {"trial": 3}).fetch1("trace"), np.arange(3))


@pytest.mark.parametrize(
    ("attribute", "text", "reason"),
    [
        ("outcome", "long", "is not a number"),
        ("trial", "x", "is not a whole number"),
        ("trial", "", "Needs a value"),
        ("trial", "3", "Row 2 has the same key"),
        ("person", "zoe", "There is no Person zoe"),
        ("tag", "M2-1", "taken by Run.Trial M2 · 1 · 1"),
        ("tag", "M1-3", "M1-3 is taken by Trial 3; it must be unique"),
    ],
)
def test_a_wrong_cell_is_named_and_nothing_is_saved(
    lab: Runs, attribute: str, text: str, reason: str
) -> None:
    opened = lab.open()
    one, two, three = trials(opened)
    rows = [one, {**two, attribute: text}, three]
    outcome = lab.save(opened, {"remark": "second"}, Trial=rows)
    assert isinstance(outcome, Review)
    (((part, _, name), found),) = outcome.part_errors.items()
    assert (part, name) == (lab.name("Run.Trial"), attribute)
    assert reason in found
    assert lab.rows("Run").to_arrays("remark").tolist() == ["first", "first"]


def test_a_key_that_is_changed_is_a_row_removed_and_a_row_added_and_the_review_says_so(lab: Runs) -> None:
    opened = lab.open()
    one, two, three = trials(opened)
    review = lab.review(opened, Trial=[one, two, {**three, "trial": "7"}])
    assert review.notes == (
        "Trial 3 becomes 7. Its key changes, so the old row is removed and a new one is added.",
        "What cannot be typed does not move with it: trace.",
    )
    assert sorted(row for row, _ in shown(review)) == ["3", "7"]
    assert lab.save(opened, Trial=[one, two, {**three, "trial": "7"}]).n_part_rows == 2
    assert lab.trials() == {1: 0.5, 2: 1.0, 7: 1.5}


def test_a_file_stays_with_its_row_and_is_missed_by_a_row_that_takes_its_key(lab: Runs) -> None:
    lab.rows("Run.Image").insert({**KEY, "image": i, "pixels": np.arange(i)} for i in (1, 2))
    opened = lab.open()
    first, second = opened.parts.rows[lab.name("Run.Image")]
    assert lab.review(opened, Image=[first, second]).part_differences == ()
    outcome = lab.save(opened, Image=[{**first, "image": "5"}, second])
    assert "does not move to another key" in outcome.part_errors[lab.name("Run.Image"), 0, "pixels"]
    outcome = lab.save(opened, Image=[{"image": "1"}, second])
    assert outcome.part_errors == {(lab.name("Run.Image"), 0, "pixels"): "Needs a value."}
    assert lab.save(opened, Image=[second]).n_part_rows == 1
    assert lab.rows("Run.Image").to_arrays("image").tolist() == [2]


def test_a_file_in_a_row_of_a_part_is_replaced_by_another(lab: Runs) -> None:
    opened = lab.open()
    one, two, three = trials(opened)
    uploads, numbers = lab.services.entering.uploads, b"5\n6\n"
    reference = uploads.begin("new.csv", len(numbers))
    uploads.add(reference, 0, numbers)
    rows = [one, {**two, "trace": reference}, three]
    assert shown(lab.review(opened, Trial=rows))["2", "trace"][2] == "the file new.csv"
    assert lab.save(opened, Trial=rows).n_part_rows == 1
    found = (lab.rows("Run.Trial") & KEY).to_arrays("trace", order_by="trial")
    assert [np.asarray(array).ravel().tolist() for array in found] == [[0], [5, 6], [0, 1, 2]]
    assert uploads.name(reference) == ""


def test_somebody_elses_change_to_a_row_of_a_part_is_shown_and_never_overwritten(lab: Runs) -> None:
    mine, theirs = lab.open(), lab.open()
    one, two, three = trials(theirs)
    changed = [{**one, "outcome": "5", "tag": "x"}, {**two, "outcome": "6"}, {"trial": "4"}]
    assert isinstance(lab.save(theirs, Trial=changed), Edited)
    rows = [{**one, "outcome": "8"}, {**three, "outcome": "7"}, {"trial": "4", "outcome": "4"}]
    outcome = lab.save(mine, {"remark": "mine"}, Trial=rows)
    assert isinstance(outcome, Review)
    assert outcome.is_changed_meanwhile
    conflicts = {(d.row, d.attribute): d.is_conflict for d in outcome.part_differences}
    assert conflicts == {
        ("1", "outcome"): True, ("1", "tag"): False, ("2", ""): True, ("3", ""): True, ("4", ""): True
    }  # fmt: skip
    assert lab.trials() == {1: 5.0, 2: 6.0, 4: None}
    (fourth,) = [d for d in outcome.part_differences if d.row == "4"]
    assert fourth.theirs_row == {"trial": "4", ORIGIN: fourth.row_id, "label": '\0""'}
    # theirs is kept of rows 1 and 4, mine of rows 2 (removed) and 3 (there, changed)
    kept = [{**one, "outcome": "5", "tag": "x"}, {**three, "outcome": "7", ORIGIN: ""}, fourth.theirs_row]
    edited = lab.save(mine, {"remark": "mine"}, seen=outcome.seen, Trial=kept)
    assert isinstance(edited, Edited)
    assert lab.trials() == {1: 5.0, 3: 7.0, 4: None}


def test_rows_that_both_have_changed_alike_are_saved_already(lab: Runs) -> None:
    opened = lab.open()
    one, two, _ = trials(opened)
    rows = [{**one, "outcome": "9"}, two, {"trial": "4"}]
    first, again = (lab.save(opened, {"remark": "second"}, Trial=rows) for _ in range(2))
    assert isinstance(first, Edited)
    assert isinstance(again, Edited)
    assert len(lab.history("Run.Trial", trial="1")) == 1


def test_of_two_who_add_rows_at_once_one_sees_the_others_row(lab: Runs) -> None:
    opened = lab.open()
    outcomes: list[Any] = []
    barrier = threading.Barrier(2)

    def save(trial: str) -> None:
        barrier.wait()
        outcomes.append(lab.save(opened, Trial=[*trials(opened), {"trial": trial}]))

    threads = [threading.Thread(target=save, args=(trial,)) for trial in ("4", "5")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Edited", "Review"]
    assert len(lab.trials()) == 4


def test_a_row_that_others_depend_on_is_not_removed_and_they_are_named(lab: Runs) -> None:
    lab.rows("Score").insert1({**KEY, "trial": 2, "points": 5})
    lab.rows("Run.Event").insert({**KEY, "trial": 3, "event": i, "kind": "lick"} for i in (1, 2))
    opened = lab.open()
    one, two, three = trials(opened)
    outcome = lab.save(opened, {"remark": "second"}, Trial=[one])
    assert [(b.row, b.reason) for b in outcome.blocked] == [
        ("Trial 2", "Trial 2 cannot be removed: 1 row of Score depends on it."),
        ("Trial 3", "Trial 3 cannot be removed: 2 rows of Run.Event depend on it."),
    ]
    assert outcome.blocked[0].draft == two
    assert "Nothing was saved" in outcome.summary
    outcome = lab.save(opened, Trial=[one, {**two, "trial": "8"}, three])
    assert outcome.part_errors == {
        (lab.name("Run.Trial"), 1, "trial"): "Trial 2 cannot be removed: 1 row of Score depends on it."
    }
    assert lab.trials() == {1: 0.5, 2: 1.0, 3: 1.5}
    assert lab.save(opened, Trial=[one, two], Event=[]).n_part_rows == 3
    assert (lab.trials(), len(lab.rows("Run.Event"))) == ({1: 0.5, 2: 1.0}, 0)


def test_computed_rows_of_a_row_that_is_removed_must_go_with_it(lab: Runs) -> None:
    lab.rows("Rate").insert([{**KEY, "trial": i, "rate": 1.0} for i in (1, 2)], allow_direct_insert=True)
    rate = lab.name("Rate")
    opened = lab.open()
    one, two, three = trials(opened)
    review = lab.review(opened, Trial=[{**one, "outcome": "9"}, two, three])
    assert (review.computed, review.is_deletion_needed) == ({rate: 2}, False)
    review = lab.review(opened, Trial=[one, three])
    assert (review.computed, review.is_deletion_needed) == ({rate: 2}, True)
    assert isinstance(lab.save(opened, Trial=[one, three]), Review)
    assert lab.trials() == {1: 0.5, 2: 1.0, 3: 1.5}
    outcome = lab.save(opened, Trial=[one, three], consequence="delete", computed={rate: 2})
    assert (outcome.n_computed, len(lab.rows("Rate"))) == (2, 0)
    assert lab.trials() == {1: 0.5, 3: 1.5}


def test_computed_rows_are_told_of_a_change_that_only_rows_of_parts_have_seen(lab: Runs) -> None:
    lab.rows("Rate").insert([{**KEY, "trial": i, "rate": 1.0} for i in (1, 2)], allow_direct_insert=True)
    opened = lab.open()
    one, two, three = trials(opened)
    outcome = lab.save(opened, Trial=[{**one, "outcome": "9"}, two, three], consequence="flag")
    assert (outcome.n_changed, outcome.n_part_rows, outcome.n_computed) == (0, 1, 2)
    (told,) = lab.history("Rate", trial="2")
    (changed,) = lab.history("Run.Trial", trial="1")
    assert (told.action, told.reason, told.batch) == ("update", "Run M1 · 1 was changed", changed.batch)
    assert lab.history("Run") == []


def test_a_part_with_very_many_rows_is_left_out_and_the_others_are_not(lab: Runs) -> None:
    lab.rows("Run.Image").insert({**KEY, "image": i, "pixels": 0} for i in range(MAX_PART_ROWS + 1))
    opened = lab.open()
    assert [grid.label for grid in opened.form.grids] == ["Event", "Trial"]
    (large,) = opened.parts.large
    assert (large.label, large.filters) == ("Image", {"subject": "=M1", "run": "1"})
    one, two, three = trials(opened)
    assert lab.save(opened, Trial=[{**one, "outcome": "9"}, two, three]).n_part_rows == 1
    assert len(lab.rows("Run.Image")) == MAX_PART_ROWS + 1
