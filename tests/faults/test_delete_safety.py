"""delete-safety: whatever happens while rows are deleted, nothing goes that was not to go, and no lock stays.

A cascade over a master with parts and a computed table is broken off at each of its statements, before and after
the server has carried it out, by an error and by Ctrl-C; the question is answered, left and interrupted.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pymysql.constants import SERVER_STATUS

import dj_panel as dj
from dj_panel.core.connection import Connection
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab

ALL = (2, 6, 12, 6, 18)
GONE = (1, 3, 6, 3, 9)


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = fill_lab(declare_lab(schema))
    lab.Rate.populate()
    lab.tables = (lab.Subject, lab.Session, lab.Session.Trial, lab.Rate, lab.Rate.Bin)
    lab.gone = [(table & {"subject": "M1"}).to_dicts() for table in lab.tables]
    return lab


@pytest.fixture
def other(backend: Backend) -> Iterator[dj.Connection]:
    """Give another program's connection, which hardly waits for locks."""
    connection = backend.connect()
    if backend.name == "mariadb":
        connection.query("SET SESSION innodb_lock_wait_timeout = 1")
    else:
        connection.query("PRAGMA busy_timeout = 0")
    yield connection
    connection.close()


def refill(lab: Any) -> None:
    with lab.schema.connection.transaction:
        for table, rows in zip(lab.tables, lab.gone, strict=True):
            table.insert(rows, allow_direct_insert=True)


def counts(lab: Any) -> tuple[int, ...]:
    return tuple(map(len, lab.tables))


class Breaker:
    """Breaks off at one of the statements that are sent from now on.

    Parameters
    ----------
    at
        Which one, counted from 0.
    error
        What is raised there.
    is_after
        Whether the server carries it out first.
    """

    def __init__(self, at: int, error: BaseException, *, is_after: bool) -> None:
        self.at, self.error, self.is_after = at, error, is_after
        self.n_statements = 0
        self.has_broken = False

    def __call__(self, guarded: Callable[..., Any]) -> Callable[..., Any]:
        def breaking(connection: Any, session: Any, action: Any) -> Any:
            number = self.n_statements
            self.n_statements += 1
            if number != self.at:
                return guarded(connection, session, action)
            self.has_broken = True
            if self.is_after:
                guarded(connection, session, action)
            raise self.error

        return breaking


def delete_broken(lab: Any, breaker: Breaker, monkeypatch: pytest.MonkeyPatch, *, prompt: bool) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_guarded", breaker(Connection._guarded))
        (lab.Subject & {"subject": "M1"}).delete(prompt=prompt)


def check_nothing_is_open(lab: Any, other: dj.Connection) -> None:
    connection = lab.schema.connection
    assert not connection.in_transaction
    raw: Any = connection._session().raw
    if connection.dialect.name == "mysql":
        connection.ping()
        assert not raw.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
    else:
        assert not raw.in_transaction
    other.start_transaction()
    for table in reversed(lab.tables):
        # a row that is locked, or a file, refuses this at once
        dj.FreeTable(other, table.full_table_name).delete_quick()
    other.cancel_transaction()


@pytest.mark.parametrize("prompt", [False, True], ids=["no question", "asked"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, dj.errors.QueryError], ids=["ctrl-c", "error"])
def test_delete_safety_broken_off_at_each_statement_it_is_all_or_nothing(
    lab: Any, other: dj.Connection, monkeypatch: pytest.MonkeyPatch, prompt: bool, kind: type[BaseException]
) -> None:
    monkeypatch.setattr(builtins, "input", lambda question="": "yes")
    n_broken = 0
    # what the server refuses it has not carried out; Ctrl-C may come on either side of it
    for is_after in (False, True) if kind is KeyboardInterrupt else (False,):
        at = 0
        while True:
            breaker = Breaker(at, kind("broken off"), is_after=is_after)
            with suppress(kind):
                delete_broken(lab, breaker, monkeypatch, prompt=prompt)
            if not breaker.has_broken:
                break
            n_broken += 1
            left = counts(lab)
            # all of it is gone only if the commit had reached the server
            assert left == ALL or (is_after and left == GONE)
            check_nothing_is_open(lab, other)
            if left == GONE:
                refill(lab)
            at += 1
        assert counts(lab) == GONE
        refill(lab)
    # begin, count, five deletes and commit
    assert n_broken >= 8
    print(f"delete-safety: broken off {n_broken} times, 0 rows gone that were to stay, 0 locks left")


def test_delete_safety_each_table_of_the_cascade_may_refuse(
    lab: Any, other: dj.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run
    for refusing in ("bin", "rate", "trial", "session", "subject"):

        def refuse(self: Any, statement: Any, table: str = refusing) -> Any:
            words = statement.sql.replace("`", " ").replace('"', " ").replace(".", " ").split()
            if words[0] == "DELETE" and words[3].rpartition("__")[2] == table:
                raise dj.errors.IntegrityError("rows of another table are in the way")
            return run(self, statement)

        with monkeypatch.context() as patch:
            patch.setattr(Connection, "run", refuse)
            with pytest.raises(dj.errors.IntegrityError, match="Nothing was deleted"):
                (lab.Subject & {"subject": "M1"}).delete()
        assert counts(lab) == ALL
        check_nothing_is_open(lab, other)


def test_delete_safety_a_misspelled_key_deletes_nothing(lab: Any) -> None:
    for wrong in ({"subjct": "M1"}, "subjct = 'M1'", [{"subject": "M1"}, {"subjct": "M2"}]):
        with pytest.raises(dj.errors.UnknownAttributeError, match="subject"):
            (lab.Subject & wrong).delete()
    assert counts(lab) == ALL


def test_delete_safety_a_name_that_only_other_tables_have_deletes_nothing(
    lab: Any, schema: dj.Schema
) -> None:
    @schema
    class Unrelated(dj.Manual):
        definition = "id : int32"

    assert len(lab.Subject & {"subject": "M1", "rate": 1.0}) == 1
    for wrong in ({"id": 3}, [{"id": 3}, {"id": 4}], {"subject": "M1", "id": 3}, dj.Not({"id": 3})):
        with pytest.raises(
            dj.errors.UnknownAttributeError, match=r"no attribute 'id' in .*\.Subject.*subject"
        ):
            lab.Subject & wrong
        with pytest.raises(dj.errors.UnknownAttributeError, match="no attribute 'id'"):
            lab.Subject - wrong
    trial = lab.Session.Trial
    for passed in (
        lab.Subject & {"session": 3},
        lab.Subject & [{"session": 3}, {"session": 4}],
        lab.Subject & [{"subject": "M1", "session": 3}, {"subject": None, "session": 4}],
        lab.Subject - {"session": 9},
        lab.Subject & dj.Not({"session": 3}),
        lab.Subject & (lab.Species & {"session": 3}),
        lab.Session & {"species": "cat"},
        trial & {"subject": "M1", "session": 1, "bin": 0},
    ):
        for delete in (passed.delete, passed.delete_quick, passed.plan_delete):
            with pytest.raises(
                dj.errors.UnknownAttributeError, match="correct it, or leave it out"
            ) as caught:
                delete()
            assert caught.value.name in ("session", "species", "bin")
        with pytest.raises(dj.errors.UnknownAttributeError):
            dj.Diagram.cascade(passed)
    with schema.connection.settings.override(refuse_unknown_attributes=False):
        assert len(lab.Subject & {"id": 3}) == len(lab.Subject)
        for everything in (lab.Subject & {"id": 3}, lab.Subject & {"subjct": "M1"}):
            with pytest.raises(dj.errors.UnknownAttributeError):
                everything.delete()
            with pytest.raises(dj.errors.UnknownAttributeError):
                everything.delete_quick()
    lab.Rate.jobs.refresh()
    with pytest.raises(dj.errors.UnknownAttributeError):
        (lab.Rate.jobs & {"session": 1, "rate": 1.0}).delete()
    with pytest.raises(dj.errors.UnknownAttributeError):
        lab.Rate.jobs.retry({"rate": 1.0})
    assert counts(lab) == ALL


def test_delete_safety_top_deletes_as_many_rows_as_it_says(lab: Any) -> None:
    assert (lab.Session & dj.Top(2, "KEY")).delete() == 2
    assert counts(lab) == (2, 4, 8, 4, 12)
    assert lab.Session.to_dicts(attributes=["subject", "session"], order_by="KEY")[0] == {
        "subject": "M1",
        "session": 3,
    }


def test_delete_safety_no_lock_is_held_while_the_question_stands(
    lab: Any, other: dj.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str | BaseException] = ["no", KeyboardInterrupt(), EOFError(), "", "yes"]

    def answer(question: str = "") -> str:
        assert not lab.schema.connection.in_transaction
        dj.FreeTable(other, f"{lab.schema.name}.subject").update1({"subject": "M1", "sex": "F"})
        check_nothing_is_open(lab, other)
        reply = answers.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    monkeypatch.setattr(builtins, "input", answer)
    for expected in (None, KeyboardInterrupt, EOFError, None):
        if expected is None:
            assert (lab.Subject & {"subject": "M1"}).delete(prompt=True) == 0
        else:
            with pytest.raises(expected):
                (lab.Subject & {"subject": "M1"}).delete(prompt=True)
        assert counts(lab) == ALL
        check_nothing_is_open(lab, other)
    assert (lab.Subject & {"subject": "M1"}).delete(prompt=True) == 1
    assert counts(lab) == GONE
