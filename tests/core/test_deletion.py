"""Deleting takes what depends on the rows, nothing else, and nothing by halves."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import pytest

import dj_panel as dj
from tests.conftest import Backend
from tests.counting import counted_statements
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = fill_lab(declare_lab(schema))
    lab.Rate.populate()
    return lab


def counts(lab: Any) -> tuple[int, ...]:
    tables = (lab.Subject, lab.Session, lab.Session.Trial, lab.Rate, lab.Rate.Bin)
    return tuple(len(table) for table in tables)


def test_deleting_takes_dependents_in_every_depth(lab: Any) -> None:
    assert counts(lab) == (2, 6, 12, 6, 18)
    assert (lab.Session & {"subject": "M1", "session": 1}).delete() == 1
    assert counts(lab) == (2, 5, 10, 5, 15)
    assert (lab.Subject & {"subject": "M1"}).delete() == 1
    assert counts(lab) == (1, 3, 6, 3, 9)
    assert lab.Subject().delete() == 1
    assert counts(lab) == (0, 0, 0, 0, 0)
    assert lab.Subject().delete() == 0


def test_deleting_rows_chosen_by_what_depends_on_them(lab: Any) -> None:
    assert (lab.Subject & (lab.Session & {"session": 3, "subject": "M2"})).delete() == 1
    assert counts(lab) == (1, 3, 6, 3, 9)
    assert (lab.Session & (lab.Rate & "rate > 4")).delete() == 1
    assert counts(lab) == (1, 2, 4, 2, 6)
    assert (lab.Session - (lab.Rate & "rate < 2")).delete() == 1
    assert counts(lab) == (1, 1, 2, 1, 3)


def test_deleting_the_first_rows_of_an_order_takes_only_these(lab: Any) -> None:
    assert (lab.Session & dj.Top(2, "session DESC")).delete() == 2
    assert sorted(lab.Session.to_arrays("session").tolist()) == [1, 1, 2, 2]
    assert (lab.Session & {"subject": "M1"} & dj.Top(1)).delete() == 1
    assert lab.Session.to_dicts(attributes=["subject", "session"], order_by="KEY")[0] == {
        "subject": "M1",
        "session": 2,
    }


def test_a_misspelled_key_deletes_nothing(lab: Any) -> None:
    with pytest.raises(dj.errors.UnknownAttributeError, match="Did you mean 'session'"):
        (lab.Session & {"sesion": 1}).delete()
    assert counts(lab) == (2, 6, 12, 6, 18)


def test_renamed_foreign_keys_and_several_paths_are_followed(lab: Any, schema: dj.Schema) -> None:
    lab.Session.update1({"subject": "M2", "session": 1, "partner": "M1"})

    @schema
    class Compare(dj.Manual):
        definition = """
        -> lab.Session.proj(a_subject="subject", a="session")
        -> lab.Session.proj(b_subject="subject", b="session")
        """

    pairs = [("M1", 1, "M2", 2), ("M2", 2, "M2", 3), ("M2", 3, "M1", 3), ("M2", 1, "M2", 2)]
    Compare.insert(dict(zip(Compare.heading.names, pair, strict=True)) for pair in pairs)
    (lab.Subject & {"subject": "M1"}).delete()
    assert lab.Session.to_arrays("session", order_by="session").tolist() == [2, 3]
    assert Compare.to_dicts() == [{"a_subject": "M2", "a": 2, "b_subject": "M2", "b": 3}]


def test_schemas_that_this_program_never_loaded_are_followed(lab: Any, backend: Backend) -> None:
    other_connection = backend.connect()
    other = dj.Schema(backend.prefix + "zz_other", connection=other_connection)

    @other
    class Elsewhere(dj.Manual):
        definition = "-> lab.Session\nx : int32"

        class Deep(dj.Part):
            definition = "-> master"

    third = dj.Schema(backend.prefix + "zz_third", connection=other_connection)

    @third
    class Further(dj.Manual):
        definition = "-> Elsewhere.Deep"

    key = {"subject": "M1", "session": 1, "x": 1}
    for table in (Elsewhere, Elsewhere.Deep, Further):
        table.insert1(key)
        table.insert1({**key, "subject": "M2"})
    lab.schema.connection.catalog.forget()
    (lab.Session & {"subject": "M1"}).delete()
    assert [len(table) for table in (Elsewhere, Elsewhere.Deep, Further)] == [1, 1, 1]
    other_connection.close()


def test_parts_are_deleted_with_their_master_only_unless_said_otherwise(lab: Any) -> None:
    trial = lab.Session.Trial & {"subject": "M1", "session": 1, "trial": 1}
    with pytest.raises(dj.errors.IntegrityError, match=r"part .*Session\.Trial and keep their master"):
        trial.delete()
    assert counts(lab) == (2, 6, 12, 6, 18)
    assert trial.delete(part_integrity="ignore") == 1
    assert counts(lab) == (2, 6, 11, 6, 18)
    (lab.Session.Trial & {"subject": "M1", "session": 1}).delete(part_integrity="cascade")
    assert counts(lab) == (2, 5, 10, 5, 15)
    with pytest.raises(dj.DataJointError, match="part_integrity"):
        trial.delete(part_integrity="sometimes")


@pytest.fixture
def album(lab: Any, schema: dj.Schema) -> Any:
    """A master whose parts refer to sessions: deleting a session would leave the album incomplete."""

    @schema
    class Album(dj.Manual):
        definition = "album : int32"

        class Page(dj.Part):
            definition = """
            -> master
            page : int32
            ---
            -> lab.Session
            """

    Album.insert([{"album": 1}, {"album": 2}])
    Album.Page.insert([
        {"album": 1, "page": 1, "subject": "M1", "session": 1},
        {"album": 1, "page": 2, "subject": "M2", "session": 2},
        {"album": 2, "page": 1, "subject": "M2", "session": 3},
    ])  # fmt: skip
    return Album


def test_a_part_that_a_deletion_reaches_from_outside_keeps_its_master_whole(lab: Any, album: Any) -> None:
    session = lab.Session & {"subject": "M1", "session": 1}
    with pytest.raises(dj.errors.IntegrityError, match=r"part .*Album\.Page and keep their master"):
        session.delete()
    assert (len(album), len(album.Page), len(lab.Session)) == (2, 3, 6)
    session.delete(part_integrity="cascade")
    assert album.to_arrays("album").tolist() == [2]
    assert (len(album.Page), len(lab.Session)) == (1, 5)


def test_part_integrity_is_kept_row_by_row(lab: Any, schema: dj.Schema) -> None:
    @schema
    class Book(dj.Manual):
        definition = """
        book : int32
        ---
        -> [nullable] lab.Session.proj(cover_subject="subject", cover="session")
        """

        class Page(dj.Part):
            definition = """
            -> master
            page : int32
            ---
            -> lab.Session
            """

    Book.insert([{"book": 1}, {"book": 2, "cover_subject": "M2", "cover": 3}])
    Book.Page.insert([
        {"book": 1, "page": 1, "subject": "M1", "session": 1},
        {"book": 1, "page": 2, "subject": "M2", "session": 2},
        {"book": 2, "page": 1, "subject": "M2", "session": 3},
    ])  # fmt: skip
    # Book 2 goes as a whole with its cover, but a page of book 1 would go without its book.
    rows = lab.Session & [{"subject": "M2", "session": 3}, {"subject": "M2", "session": 2}]
    with pytest.raises(dj.errors.IntegrityError, match="keep their master"):
        rows.delete()
    assert (len(Book), len(Book.Page), len(lab.Session)) == (2, 3, 6)
    assert (lab.Session & {"subject": "M2", "session": 3}).delete() == 1
    assert (len(Book), len(Book.Page), len(lab.Session)) == (1, 2, 5)
    assert (lab.Session & {"subject": "M2", "session": 2}).delete(part_integrity="ignore") == 1
    assert (len(Book), len(Book.Page)) == (1, 1)


def test_the_question_is_asked_before_anything_is_locked_or_deleted(
    lab: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    other = backend.connect()
    second = dj.FreeTable(other, f"{lab.schema.name}.subject")

    def answer(question: str = "", reply: str = "no") -> str:
        asked.append(question)
        second.update1({"subject": "M2", "sex": "F"})  # would wait if the question held a lock
        return reply

    monkeypatch.setattr(builtins, "input", answer)
    assert (lab.Subject & {"subject": "M1"}).delete(prompt=True) == 0
    assert counts(lab) == (2, 6, 12, 6, 18)
    assert asked
    shown = capsys.readouterr().out
    assert "1 rows of" in shown
    assert f"9 rows of {lab.schema.name}.Rate.Bin" in shown
    monkeypatch.setattr(builtins, "input", lambda question="": answer(question, "yes"))
    assert (lab.Subject & {"subject": "M1"}).delete(prompt=True) == 1

    def interrupted(question: str = "") -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(builtins, "input", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lab.Subject().delete(prompt=True)
    lab.Species.insert1(("cat",))
    assert len(dj.FreeTable(other, f"{lab.schema.name}.#species") & {"species": "cat"}) == 1
    other.close()


def test_rows_that_arrive_while_the_question_stands_stop_the_deletion(
    lab: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = backend.connect()
    second = dj.FreeTable(other, f"{lab.schema.name}.session")

    def answer(question: str = "") -> str:
        second.insert1({"subject": "M1", "session": 77, "session_date": "2026-01-01"})
        return "yes"

    monkeypatch.setattr(builtins, "input", answer)
    with pytest.raises(dj.errors.IntegrityError, match=r"Session became 4 instead of 3"):
        (lab.Subject & {"subject": "M1"}).delete(prompt=True)
    assert counts(lab) == (2, 7, 12, 6, 18)
    other.close()


def test_safemode_asks_and_without_it_nobody_is_asked(
    lab: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "input", lambda question="": "no")
    with lab.schema.connection.settings.override(safemode=True):
        assert lab.Subject().delete() == 0
        lab.Rate().drop()
        lab.schema.drop()
    assert counts(lab) == (2, 6, 12, 6, 18)


def test_delete_quick_refuses_rows_that_others_depend_on(lab: Any) -> None:
    with pytest.raises(
        dj.errors.IntegrityError, match=r"rows of .* depend on these rows of .*Session.*delete\(\)"
    ):
        (lab.Session & {"subject": "M1"}).delete_quick()
    assert counts(lab) == (2, 6, 12, 6, 18)
    assert (lab.Rate.Bin & {"subject": "M1"}).delete_quick(get_count=True) == 9


def test_many_rows_chosen_by_a_query_are_deleted_in_one_piece(lab: Any) -> None:
    rows = [{"subject": "M1", "session": i, "session_date": "2026-01-01"} for i in range(100, 4100)]
    lab.Session.insert(rows)
    lab.Session.Trial.insert({"subject": "M1", "session": i, "trial": 1} for i in range(100, 4100))
    assert (lab.Session & (lab.Session.Trial & "trial = 1") & "session >= 100").delete() == 4000
    assert counts(lab) == (2, 6, 12, 6, 18)


RESTRICTIONS: dict[str, Callable[[Any], Any]] = {
    "a key": lambda lab: {"subject": "M1"},
    "keys": lambda lab: [{"subject": "M1"}, {"subject": "M3"}],
    "other than a key": lambda lab: dj.Not({"subject": "M1"}),
    "text about the key": lambda lab: "subject > 'M1' AND subject < 'M4'",
    "text about the rest": lambda lab: "sex = 'F'",
    "text about both": lambda lab: "sex = 'F' OR subject = 'M1'",
    "both": lambda lab: dj.AndList([{"sex": "F"}, "subject <> 'M2'"]),
    "an empty attribute": lambda lab: {"weight": None},
    "a query": lambda lab: lab.Session & "session = 2",
    "not a query": lambda lab: dj.Not(lab.Session & "session = 2"),
    "the first rows": lambda lab: dj.Top(2, "KEY DESC"),
    "everything": lambda lab: True,
    "nothing": lambda lab: [],
}


@pytest.mark.parametrize("name", RESTRICTIONS)
def test_what_goes_is_what_the_foreign_keys_say(schema: dj.Schema, name: str) -> None:
    lab = declare_lab(schema)

    @schema
    class Visit(dj.Manual):
        definition = """
        -> lab.Session.proj(patient="subject", time="session")
        visit : int16
        ---
        -> [nullable] lab.Subject
        """

    fill_lab(lab, subjects=4, sessions=2)
    lab.Subject.update1({"subject": "M2", "sex": "F"})
    lab.Subject.update1({"subject": "M3", "sex": "F", "weight": 3})
    lab.Session.update1({"subject": "M4", "session": 1, "partner": "M1"})
    Visit.insert([("M1", 1, 1, None), ("M2", 2, 1, "M1"), ("M4", 1, 1, "M4"), ("M4", 2, 2, "M2")])

    chosen = {r["subject"] for r in (lab.Subject & RESTRICTIONS[name](lab)).to_dicts()}
    sessions = [r for r in lab.Session.to_dicts(order_by="KEY") if not {r["subject"], r["partner"]} & chosen]
    keys = {(r["subject"], r["session"]) for r in sessions}
    trials = [r for r in lab.Session.Trial.to_dicts(order_by="KEY") if (r["subject"], r["session"]) in keys]
    visits = [
        r
        for r in Visit.to_dicts(order_by="KEY")
        if (r["patient"], r["time"]) in keys and r["subject"] not in chosen
    ]

    (lab.Subject & RESTRICTIONS[name](lab)).delete()
    assert {r["subject"] for r in lab.Subject.to_dicts()} == {"M1", "M2", "M3", "M4"} - chosen
    assert lab.Session.to_dicts(order_by="KEY") == sessions
    assert lab.Session.Trial.to_dicts(order_by="KEY") == trials
    assert Visit.to_dicts(order_by="KEY") == visits


def test_deleting_a_row_and_its_dependents_takes_six_statements(lab: Any, connection: dj.Connection) -> None:
    (lab.Rate & {"subject": "M1", "session": 1}).delete()
    with counted_statements(connection) as count:
        assert (lab.Rate & {"subject": "M1", "session": 2}).delete() == 1
    # which schemas refer to these, begin, count, two deletes, commit
    assert count.n <= 6
    with counted_statements(connection) as count:
        assert (lab.Rate & "rate > 4" & {"subject": "M1"}).delete() == 1
    assert count.n <= 7
    assert counts(lab) == (2, 6, 12, 3, 9)


def test_conditions_on_a_key_are_asked_of_every_dependent_table_itself(lab: Any) -> None:
    plan = (lab.Subject & {"subject": "M1"}).plan_delete()
    by_key = {name.table for name, node in plan.nodes.items() if "KeyMatch" not in repr(node)}
    # a session may go for its partner's sake too, which is another question
    assert by_key == {"subject"}
    plan = (lab.Session & {"subject": "M1"}).plan_delete()
    assert all("KeyMatch" not in repr(node) for node in plan.nodes.values())
    assert len(plan.nodes) == 4
