"""Deleting: nothing goes that nobody agreed to, and what people entered comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.apps.delete import preview_html
from dj_panel.apps.delete_graph import GoingGraph
from dj_panel.apps.history_html import history_html
from dj_panel.apps.services import Services
from dj_panel.apps.services.deleting import Deleted, Preview
from dj_panel.apps.services.history import Shown
from dj_panel.core.errors import AccessError, IntegrityError, OneRowError
from tests.counting import largest_answer
from tests.entry_tables import HOSTILE, Lab, declare

SUBJECT = {"subject_id": "M042"}


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Deletions]:
    services = Services(declare(schema))
    lab = Deletions(services)
    lab.rows("Person").insert([("ana", "Ana B."), ("bo", "")])
    lab.rows("Subject").insert1(
        {"subject_id": "M042", "species": "mouse", "remarks": HOSTILE, "trace": np.arange(3)}
    )
    for day in range(1, 3):
        session = {"subject_id": "M042", "session": day}
        lab.rows("Session").insert1({**session, "day": f"2026-03-{day:02d}"})
        notes = ({**session, "note": i, "author": "ana", "note_text": "calm"} for i in range(2))
        lab.rows("Session.Note").insert(notes)
        lab.rows("Total").insert1({**session, "total": 1.0}, allow_direct_insert=True)
    yield lab
    services.close()


class Deletions(Lab):
    """The lab, and what these tests ask of it, without await."""

    def preview(self, table: str = "Subject", **key: str) -> Preview:
        return asyncio.run(self.services.deleting.preview(self.name(table), [key or SUBJECT]))

    def delete(self, preview: Preview, table: str = "Subject", **options: Any) -> Deleted:
        key = options.pop("key", SUBJECT)
        return asyncio.run(
            self.services.deleting.delete(self.name(table), [key], preview.agreement, **options)
        )

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(len(self.rows(name)) for name in ("Subject", "Session", "Session.Note", "Total"))


def test_a_preview_and_a_deletion_hold_few_of_the_rows_at_a_time(lab: Deletions) -> None:
    rows = (
        {"subject_id": "M042", "session": 1, "note": n, "author": "ana", "note_text": "x"}
        for n in range(9, 900)
    )
    lab.rows("Session.Note").insert(rows)
    with largest_answer() as most:
        preview = lab.preview()
        assert preview.total == 1 + 2 + 4 + 891 + 2
        n_previewed = most.n
        lab.delete(preview, typed=preview.must_type)
    assert n_previewed < 100, "the rows are counted where they are"
    assert most.n <= 200
    assert lab.counts == (0, 0, 0, 0)


def test_what_would_go_is_counted_by_table(lab: Deletions) -> None:
    preview = lab.preview()
    short = {
        going.table.split(".", 1)[1]: (going.tier, going.number, going.is_kept) for going in preview.going
    }
    assert short == {
        "Subject": ("Manual", 1, True),
        "Session": ("Manual", 2, True),
        "Session.Note": ("Part", 4, True),
        "Total": ("Computed", 2, False),
    }
    assert (preview.total, preview.must_type, preview.label) == (9, "", "Subject M042")
    assert lab.counts == (1, 2, 4, 2)


def test_the_picture_says_how_many_of_how_many_go_and_greys_what_stays(lab: Deletions) -> None:
    picture = GoingGraph(lab.services.tables())

    def show(preview: Preview) -> dict[str, Any]:
        totals = asyncio.run(lab.services.counting.totals(picture.shown(preview)))
        picture.show(preview, totals)
        short = {name.split(".", 1)[1]: status for name, status in picture.view.status.items()}
        return {name: (status["count"], status.get("muted", False)) for name, status in short.items()}

    lab.rows("Subject").insert1({"subject_id": "M043", "species": "rat"})
    key = {"subject_id": "M042", "session": "1"}
    assert show(lab.preview("Session", **key)) == {
        "Person": ("all 2 stay", True), "Subject": ("all 2 stay", True), "Session": ("1 of 2 goes", False),
        "Probe": ("no rows", True), "Total": ("1 of 2 goes", False),
    }  # fmt: skip
    assert picture.view.selected == lab.name("Session")
    assert {node["id"] for node in picture.view.nodes} == set(picture.view.status)
    nodes = picture.view.nodes
    lab.rows("Session").insert1({"subject_id": "M043", "session": 1, "day": "2026-03-09"})
    assert show(lab.preview("Session", **key))["Session"] == ("1 of 3 goes", False)
    assert picture.view.nodes is nodes
    assert show(lab.preview())["Session"] == ("2 of 3 go", False)
    preview = lab.preview()
    picture.show(preview, dict.fromkeys(picture.shown(preview)))
    assert picture.view.status[lab.name("Session")] == {"count": "2 go"}


def test_rows_come_back_just_as_they_were_with_their_parts(lab: Deletions) -> None:
    before = [lab.rows(name).to_dicts(order_by="KEY") for name in ("Session", "Session.Note")]
    subject = lab.rows("Subject").fetch1()
    deleted = lab.delete(lab.preview(), reason=HOSTILE)
    assert lab.counts == (0, 0, 0, 0)
    assert (deleted.total, deleted.n_kept) == (9, 7)
    assert lab.services.deleting.recent(lab.name("Subject")) == [deleted]
    back = asyncio.run(lab.services.deleting.restore(deleted))
    assert {name.split(".", 1)[1]: n for name, n in back.items()} == {
        "Subject": 1, "Session": 2, "Session.Note": 4,
    }  # fmt: skip
    assert [lab.rows(name).to_dicts(order_by="KEY") for name in ("Session", "Session.Note")] == before
    again = lab.rows("Subject").fetch1()
    assert np.array_equal(again.pop("trace"), subject.pop("trace"))
    assert again == subject
    assert lab.services.deleting.recent(lab.name("Subject")) == []
    with pytest.raises(dj.errors.DuplicateError):
        asyncio.run(lab.services.deleting.restore(deleted))


def test_a_row_that_arrives_after_the_preview_stops_the_deletion(lab: Deletions) -> None:
    preview = lab.preview()
    lab.rows("Session").insert1({**SUBJECT, "session": 9, "day": "2026-03-09"})
    with pytest.raises(IntegrityError, match="Nothing was deleted"):
        lab.delete(preview)
    assert lab.counts == (1, 3, 4, 2)
    assert asyncio.run(lab.services.history.of_row(lab.name("Subject"), SUBJECT)) == []


def test_of_many_rows_the_number_must_be_typed(lab: Deletions) -> None:
    lab.rows("Session").insert({**SUBJECT, "session": i, "day": "2026-03-09"} for i in range(10, 20))
    preview = lab.preview()
    assert preview.must_type == "19"
    for typed in ("", "1", "yes"):
        with pytest.raises(AccessError, match="Type 19"):
            lab.delete(preview, typed=typed)
    assert lab.counts[0] == 1
    assert lab.delete(preview, typed=" 19 ").total == 19


def test_computed_rows_go_alone_and_parts_only_with_their_master(lab: Deletions) -> None:
    key = {"subject_id": "M042", "session": "1"}
    deleted = lab.delete(lab.preview("Total", **key), "Total", key=key)
    assert (deleted.total, deleted.n_kept, lab.counts) == (1, 0, (1, 2, 4, 1))
    with pytest.raises(AccessError, match="with their master"):
        lab.preview("Session.Note", **key, note="1")
    with pytest.raises(OneRowError, match="deleted already"):
        lab.preview(subject_id="M999")


def test_rows_with_keys_that_are_taken_again_are_not_put_back(lab: Deletions) -> None:
    deleted = lab.delete(lab.preview())
    lab.rows("Subject").insert1({"subject_id": "M042", "species": "rat"})
    with pytest.raises(dj.errors.DuplicateError):
        asyncio.run(lab.services.deleting.restore(deleted))
    assert lab.counts == (1, 0, 0, 0)


def test_history_outlives_the_row_and_hostile_words_in_it_are_text(lab: Deletions) -> None:
    lab.delete(lab.preview(), reason=HOSTILE)
    events = asyncio.run(lab.services.history.of_row(lab.name("Subject"), SUBJECT))
    assert [(event.action, event.reason) for event in events] == [("delete", HOSTILE)]
    assert events[0].changes["remarks"] == (Shown(HOSTILE), None)
    html = history_html(lab.services.table(lab.name("Subject")), SUBJECT, events, is_there=False)
    assert "<img" not in html
    assert html.count("&lt;img") == 2
    assert f'data-act="restore/{events[0].batch}"' in html


def test_hostile_words_in_what_would_go_are_text() -> None:
    preview = Preview(HOSTILE, (), {}, refusal=HOSTILE, notice=HOSTILE)
    assert "<img" not in preview_html(preview)


def test_without_history_rows_are_deleted_and_it_is_said_once(
    lab: Deletions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise AccessError("CREATE command denied")

    monkeypatch.setattr("dj_panel.core.history.create_table", refuse)
    preview = lab.preview()
    assert "No history is kept" in preview.notice
    assert not any(going.is_kept for going in preview.going)
    assert lab.preview().notice == ""
    deleted = lab.delete(preview)
    assert (deleted.n_kept, lab.counts) == (0, (0, 0, 0, 0))
