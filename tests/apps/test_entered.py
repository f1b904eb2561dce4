"""What was entered today outlives the server that saved it: the list, what takes a row back, who entered what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.receipts import Receipt, Refused
from dj_panel.core.errors import IntegrityError
from dj_panel.core.history import History
from tests.entry_tables import Lab, declare


class Labs:
    """One pipeline, served by one server after another."""

    def __init__(self, schema: dj.Schema) -> None:
        self.pipeline = declare(schema)
        self.lab = Lab(Services(self.pipeline))

    def restart(self) -> None:
        """End the server, and what it held in memory, and start another."""
        self.lab = Lab(Services(self.pipeline))

    def save(self, table: str, draft: dict[str, str], **parts: list[dict[str, str]]) -> Any:
        named = {self.lab.name(f"{table}.{part}"): rows for part, rows in parts.items()}
        return asyncio.run(self.lab.services.entering.save(self.lab.name(table), draft, named, "t"))

    def recent(self, table: str) -> list[Receipt]:
        entered, name = self.lab.services.entering.entered, self.lab.name(table)
        asyncio.run(entered.recall(name))
        return entered.recent(name)

    def undo(self, receipt: Receipt) -> None:
        asyncio.run(self.lab.services.entering.undo(receipt))


@pytest.fixture
def labs(schema: dj.Schema) -> Iterator[Labs]:
    labs = Labs(schema)
    labs.lab.rows("Person").insert([("ana", ""), ("bo", "")])
    labs.lab.rows("Subject").insert([{"subject_id": f"M{n:03d}", "species": "mouse"} for n in (42, 43)])
    yield labs
    labs.lab.services.close()


def session(number: int) -> dict[str, str]:
    return {"subject_id": "M042", "session": str(number), "day": "2026-03-01"}


NOTES = [
    {"note": "1", "author": "ana", "note_text": "calm"},
    {"note": "2", "author": "bo", "note_text": "hot"},
]


def test_todays_entries_are_there_after_a_restart_and_are_taken_back(labs: Labs) -> None:
    first = labs.save("Session", session(1), Note=NOTES)
    second = labs.save("Session", session(2))
    third = labs.save("Session", session(3))
    labs.undo(third)
    labs.restart()
    found = labs.recent("Session")
    assert [(r.label, r.n_parts) for r in found] == [(r.label, r.n_parts) for r in (second, first)]
    assert all(
        abs(then.saved_at - now.saved_at).total_seconds() < 5
        for then, now in zip(found, (second, first), strict=True)
    )
    labs.undo(found[1])
    assert [r.label for r in labs.recent("Session")] == ["Session M042 · 2"]
    assert [row["session"] for row in labs.lab.rows("Session").to_dicts()] == [2]
    assert labs.lab.rows("Session.Note").count() == 0
    fourth = labs.save("Session", session(4))
    assert [r.key["session"] for r in labs.recent("Session")] == ["4", "2"]
    labs.lab.rows("Session.Note").insert1({**fourth.values, "note": 1, "author": "ana", "note_text": "x"})
    labs.restart()
    with pytest.raises(IntegrityError, match="rows were added to its parts"):
        labs.undo(labs.recent("Session")[0])


def test_rows_that_were_deleted_and_put_back_are_not_entered_today_again(labs: Labs) -> None:
    labs.lab.rows("Session").insert(
        [{"subject_id": "M042", "session": n, "day": "2025-03-01"} for n in (7, 8)]
    )
    labs.save("Session", session(1))
    deleting, name = labs.lab.services.deleting, labs.lab.name("Subject")
    keys = [{"subject_id": "M042"}]
    for _ in range(2):
        agreed = asyncio.run(deleting.preview(name, keys))
        deleted = asyncio.run(deleting.delete(name, keys, agreed.agreement, typed=agreed.must_type))
        asyncio.run(deleting.restore(deleted))
    assert labs.lab.rows("Session").count() == 3
    labs.restart()
    assert [receipt.label for receipt in labs.recent("Session")] == ["Session M042 · 1"]
    assert labs.recent("Subject") == []


def test_what_others_entered_is_not_listed(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    labs.save("Session", session(1))
    monkeypatch.setattr("dj_panel.apps.people.account", lambda: "bo")
    assert labs.recent("Session") == []
    labs.save("Session", session(2))
    labs.restart()
    assert [r.key["session"] for r in labs.recent("Session")] == ["2"]


def test_parents_of_todays_entries_are_offered_first_after_a_restart(labs: Labs) -> None:
    labs.save("Session", {**session(1), "subject_id": "M043"})
    labs.restart()
    labs.recent("Session")
    found = asyncio.run(labs.lab.services.entering.search(labs.lab.name("Session"), 0, "", {}))
    assert (found.choices[0].label, found.choices[0].is_recent) == ("M043", True)


def test_a_days_entries_are_read_once(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    labs.save("Session", session(1))
    labs.restart()
    asked = Mock(side_effect=History(labs.pipeline.connection, labs.lab.schema).entered)
    monkeypatch.setattr(History, "entered", asked)
    for _ in range(3):
        assert len(labs.recent("Session")) == 1
    assert asked.call_count == 1


def test_a_taken_key_tells_who_entered_it_and_when(labs: Labs) -> None:
    receipt = labs.save("Session", session(1))
    labs.restart()
    refused = labs.save("Session", {**session(1), "day": "2026-03-02"})
    assert isinstance(refused, Refused)
    assert refused.duplicate is not None
    user = labs.lab.services.user
    assert re.fullmatch(rf"{re.escape(user)}, \d\d:\d\d:\d\d", refused.duplicate.entered_by)
    labs.lab.rows("Session").insert1({"subject_id": "M043", "session": 1, "day": "2026-03-01"})
    unknown = labs.save("Session", {"subject_id": "M043", "session": "1", "day": "2026-03-02"})
    assert unknown.duplicate.entered_by == ""
    assert receipt.label == refused.duplicate.label
