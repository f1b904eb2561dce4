"""Rows come out in every form that users ask for, and operators give what they promise."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dj_panel as dj
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = fill_lab(declare_lab(schema))
    lab.Subject.update1({"subject": "M1", "weight": "20.5", "birth": "2025-12-01", "sex": "F"})
    lab.Session.update1({"subject": "M1", "session": 2, "partner": "M2"})
    return lab


def test_rows_as_dicts_with_order_limit_and_offset(lab: Any) -> None:
    first = {"subject": "M1", "session": 1, "session_date": dt.date(2026, 1, 1), "partner": None}
    assert lab.Session.to_dicts(order_by="KEY", limit=1) == [first]
    assert lab.Session.to_dicts(attributes="session", order_by="KEY DESC", limit=2) == [
        {"session": 3},
        {"session": 2},
    ]
    assert lab.Session.to_dicts(attributes="session", order_by=["session DESC", "subject"], limit=2, offset=1) == [
        {"session": 3}, {"session": 2},
    ]  # fmt: skip
    assert lab.Session.to_dicts(limit=0) == []
    assert len(lab.Session.to_dicts(offset=4)) == 2
    assert len(lab.Session.to_dicts(offset=40)) == 0
    assert lab.Session.head(2) == lab.Session.to_dicts(order_by="KEY", limit=2)
    assert [row["session"] for row in lab.Session.tail(2)] == [2, 3]
    with pytest.raises(dj.errors.UnknownAttributeError, match="Did you mean 'session'"):
        lab.Session.to_dicts(order_by="sesion")
    with pytest.raises(dj.errors.UnknownAttributeError, match="Did you mean 'session'"):
        lab.Session.to_dicts(attributes="sesion")
    with pytest.raises(dj.errors.QuerySyntaxError, match="is not an order"):
        lab.Session.to_dicts(order_by="session; drop table x")


def test_keys(lab: Any) -> None:
    assert (lab.Session & {"subject": "M1"}).keys(order_by="session DESC", limit=1) == [
        {"subject": "M1", "session": 3}
    ]
    assert len(lab.Session.keys()) == 6


def test_rows_as_arrays(lab: Any) -> None:
    session, date = lab.Session.to_arrays("session", "session_date", order_by="KEY")
    assert session.dtype.kind == "i"
    assert session.tolist() == [1, 2, 3, 1, 2, 3]
    assert date[0] == dt.date(2026, 1, 1)
    keys, outcome = (lab.Session.Trial & "trial = 1").to_arrays("outcome", include_key=True, order_by="KEY")
    assert keys[0] == {"subject": "M1", "session": 1, "trial": 1}
    assert outcome.dtype == np.float64
    record = lab.Session.to_arrays(order_by="KEY")
    assert record.dtype.names == ("subject", "session", "session_date", "partner")
    assert record["session"].tolist() == [1, 2, 3, 1, 2, 3]
    assert (lab.Session & "session = 99").to_arrays("session").shape == (0,)
    assert (lab.Session & "session = 99").to_arrays().shape == (0,)
    lab.Session.Trial.insert1({"subject": "M1", "session": 1, "trial": 9})
    assert np.isnan((lab.Session.Trial & "trial = 9").to_arrays("outcome")).all()


def test_rows_as_a_data_frame_with_the_key_as_its_index(lab: Any) -> None:
    frame = lab.Session.to_pandas(order_by="KEY")
    assert frame.index.names == ["subject", "session"]
    assert frame.columns.tolist() == ["session_date", "partner"]
    assert frame.loc[("M1", 2), "partner"] == "M2"
    assert lab.Session.to_pandas(attributes="partner").columns.tolist() == ["partner"]
    assert lab.Subject.to_pandas(attributes="weight").loc["M1", "weight"] == Decimal("20.50")
    empty = (lab.Session & "session = 99").to_pandas()
    assert empty.empty
    assert empty.index.names == ["subject", "session"]
    assert isinstance(frame, pd.DataFrame)


def test_rows_as_polars_and_arrow(lab: Any) -> None:
    assert lab.Session.to_polars(attributes=["subject", "session"], order_by="KEY").shape == (6, 2)
    assert lab.Session.to_arrow(order_by="KEY").column("session").to_pylist() == [1, 2, 3, 1, 2, 3]


def test_the_only_row(lab: Any) -> None:
    one = lab.Session & {"subject": "M1", "session": 2}
    assert one.fetch1() == {
        "subject": "M1",
        "session": 2,
        "session_date": dt.date(2026, 1, 2),
        "partner": "M2",
    }
    assert one.fetch1("partner") == "M2"
    assert one.fetch1("KEY", "partner") == ({"subject": "M1", "session": 2}, "M2")
    assert one.fetch1("KEY") == {"subject": "M1", "session": 2}
    with pytest.raises(dj.errors.OneRowError, match="more than one row"):
        lab.Session.fetch1()
    with pytest.raises(dj.errors.OneRowError, match="no row"):
        (lab.Session & {"session": 99}).fetch1("partner")


def test_the_old_fetch_still_answers_with_a_warning(lab: Any) -> None:
    with pytest.warns(DeprecationWarning, match="to_dicts"):
        keys = lab.Session.fetch("KEY", order_by="KEY")
    assert keys == lab.Session.keys(order_by="KEY")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert lab.Session.fetch(as_dict=True, limit=2) == lab.Session.to_dicts(limit=2)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        got, sessions = lab.Session.fetch("KEY", "session", order_by="KEY")
    assert got == keys
    assert sessions.tolist() == [1, 2, 3, 1, 2, 3]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert lab.Session.fetch(format="frame").equals(lab.Session.to_pandas())


def test_iterating_counting_and_truth(lab: Any) -> None:
    assert [row["session"] for row in lab.Session & {"subject": "M2"}] == [1, 2, 3]
    assert len(lab.Session) == 6
    assert bool(lab.Session())
    assert not (lab.Session & "session = 99")
    assert {"subject": "M1", "session": 1} in lab.Session()
    assert {"subject": "M1", "session": 9} not in lab.Session()
    assert lab.Session().count(at_most=4) == 4
    assert next(iter(lab.Session().cursor(as_dict=True))).keys() == {
        "subject",
        "session",
        "session_date",
        "partner",
    }


def test_restrictions_of_every_kind(lab: Any) -> None:
    def sessions(restriction: Any) -> list[tuple[str, int]]:
        return [(r["subject"], r["session"]) for r in (lab.Session & restriction).keys(order_by="KEY")]

    one = [("M1", 2)]
    assert sessions({"subject": "M1", "session": 2}) == one
    assert sessions({"subject": "M1", "session": np.int64(2)}) == one
    assert sessions({"subject": ["M1", "M9"], "session": (2, 7)}) == one
    assert sessions("subject = 'M1' and session = 2") == one
    assert sessions(dj.AndList(["session = 2", {"subject": "M1"}])) == one
    assert sessions([{"subject": "M1", "session": 2}]) == one
    assert sessions([{"subject": "M1", "session": 2}, "session > 8", False]) == one
    assert sessions(np.array([("M1", 2)], dtype=[("subject", "U5"), ("session", "i8")])) == one
    assert sessions(np.array([("M1", 2)], dtype=[("subject", "U5"), ("session", "i8")])[0]) == one
    assert sessions(pd.DataFrame({"subject": ["M1"], "session": [2]})) == one
    assert (
        sessions(pd.DataFrame({"subject": ["M1"], "session": [2]}).set_index(["subject", "session"])) == one
    )
    assert sessions({"partner": "M2"}) == one
    assert sessions(dj.Not("partner is null")) == one
    assert sessions(lab.Session.Trial & {"subject": "M1", "session": 2}) == one
    assert sessions({"session_date": dt.date(2026, 1, 2), "subject": "M1"}) == one
    assert sessions({"session_date": "2026-01-02", "subject": "M1"}) == one
    assert len(sessions({"partner": None})) == 5
    assert (
        len(sessions(True))
        == len(sessions({}))
        == len(sessions(dj.U("session")))
        == len(sessions(lab.Session.proj()))
        == 6
    )
    assert sessions(False) == sessions([]) == sessions(dj.Not(True)) == []
    assert (
        len(sessions({"subject": "M1", "trial": 1})) == 3
    )  # an attribute of another table: a key from below
    assert sessions({"session": "nonsense"}) == []
    for wrong in (
        {"sesion": 1},
        [{"sesion": 1}],
        "sesion = 1",
        [{"sesion": 1}, {"sesion": 2}],
        dj.U("sesion"),
    ):
        with pytest.raises(dj.errors.UnknownAttributeError, match="'sesion'"):
            sessions(wrong)
    for unreadable in (None, 5, "", "session ="):
        with pytest.raises(dj.errors.QuerySyntaxError):
            sessions(unreadable)


def test_anti_restriction_with_empty_values_keeps_what_has_no_match(lab: Any) -> None:
    partners = lab.Session.proj(other="partner").proj("other", s="subject")
    subject = lab.Subject.proj(other="subject")
    assert [row["other"] for row in subject & partners] == ["M2"]
    assert (subject - dj.Not(partners)).to_arrays("other").tolist() == ["M2"]
    assert (subject - partners).to_arrays("other").tolist() == ["M1"]  # NOT IN would find no row
    empty = lab.Session - {"partner": "M2"}
    assert len(empty) == 5
    assert len(lab.Session - "partner = 'M2'") == 5
    assert len(lab.Session - [{"partner": "M2"}, {"partner": "M3"}]) == 5
    assert len(lab.Session & -(lab.Session.proj() & "session = 1")) == 4


def test_uuids_restrict(lab: Any) -> None:
    one = uuid.uuid4()
    lab.Subject.update1({"subject": "M1", "uid": one})
    assert (lab.Subject & {"uid": one}).fetch1("subject") == "M1"
    assert (lab.Subject & [{"uid": one}, {"uid": uuid.uuid4()}]).fetch1("subject") == "M1"
    assert (lab.Subject & f"uid = '{one}'").fetch1("subject") == "M1"
    assert len(lab.Subject - {"uid": one}) == 1


def test_projection(lab: Any) -> None:
    assert lab.Session.proj().heading.names == ["subject", "session"]
    assert lab.Session.proj(...).heading.names == lab.Session.heading.names
    assert lab.Session.proj(..., "-partner").heading.names == ["subject", "session", "session_date"]
    renamed = lab.Session.proj(day="session_date", number="session")
    assert renamed.heading.names == ["subject", "number", "day"]
    assert renamed.primary_key == ["subject", "number"]
    twice = lab.Session.proj("session_date", day="(session_date)")
    row = (twice & {"subject": "M1", "session": 1}).fetch1()
    assert row["day"] == row["session_date"] == dt.date(2026, 1, 1)
    computed = lab.Session.proj(
        twice="session * 2", text="concat(subject, '-', session)", month="month(session_date)"
    )
    assert (computed & "twice = 4" & {"subject": "M1"}).fetch1("text", "month") == ("M1-2", 1)
    assert computed.heading["twice"].in_key is False
    swapped = lab.Session.proj(subject="partner", partner="subject")
    assert swapped.primary_key == ["partner", "session"]
    assert (swapped & {"partner": "M1", "session": 2}).fetch1("subject") == "M2"
    assert lab.Session.proj("partner", other="partner").heading.names == [
        "subject",
        "session",
        "partner",
        "other",
    ]
    assert lab.Session.proj(..., other="partner").heading.names == [
        "subject",
        "session",
        "session_date",
        "other",
    ]
    with pytest.raises(dj.errors.QuerySyntaxError, match="cannot be projected away"):
        lab.Session.proj("-session")
    with pytest.raises(dj.errors.UnknownAttributeError):
        lab.Session.proj("nothing")
    with pytest.raises(dj.errors.UnknownAttributeError):
        lab.Session.proj(x="nothing + 1")


def test_joins_and_their_keys(lab: Any) -> None:
    joined = lab.Subject * lab.Session
    assert joined.primary_key == ["subject", "session"]
    assert len(joined) == 6
    assert (lab.Session * lab.Session.Trial).primary_key == ["subject", "session", "trial"]
    assert len(lab.Session.proj() * lab.Subject.proj(other="subject")) == 12
    assert (lab.Session.proj() * lab.Subject.proj(other="subject")).primary_key == [
        "subject",
        "session",
        "other",
    ]
    left = lab.Session.join(lab.Subject.proj(partner="subject", weight="weight"), left=True)
    assert len(left) == 6
    assert left.primary_key == ["subject", "session"]
    extended = lab.Session.extend(lab.Subject)
    assert extended.heading.names[-1] == "meta"
    with pytest.raises(dj.errors.QuerySyntaxError, match="left join needs"):
        lab.Subject.extend(lab.Session)
    with pytest.raises(dj.errors.QuerySyntaxError):
        lab.Session * dj.U("session")
    with pytest.raises(dj.errors.QuerySyntaxError):
        lab.Session ^ lab.Subject
    with pytest.raises(dj.errors.QuerySyntaxError):
        lab.Session @ lab.Subject


def test_a_left_join_leaves_computed_attributes_empty_where_there_is_no_partner(lab: Any) -> None:
    weights = lab.Subject.proj(heavy="coalesce(weight, 0) + 1", fixed="7") & "heavy > 5"
    rows = lab.Session.extend(weights).to_dicts(
        attributes=["subject", "heavy", "fixed"], order_by="KEY", limit=4
    )
    assert [None if r["heavy"] is None else float(r["heavy"]) for r in rows] == [21.5, 21.5, 21.5, None]
    assert [r["fixed"] for r in rows] == [7, 7, 7, None]
    counted = lab.Subject.aggr(
        lab.Session.proj(one="1") & "session > 1" & {"subject": "M1"}, n="count(one)", s="sum(one)"
    )
    assert {r["subject"]: r["n"] for r in counted} == {"M1": 2, "M2": 0}


def test_names_that_mean_different_things_are_not_joined(lab: Any, schema: dj.Schema) -> None:
    @schema
    class Weather(dj.Manual):
        definition = """
        session : int16
        ---
        partner : varchar(12)
        """

    with pytest.raises(dj.errors.LineageError, match=r"'session'.*semantic_check=False"):
        lab.Session * Weather
    with pytest.raises(dj.errors.LineageError):
        lab.Session & Weather
    assert len(lab.Session.join(Weather, semantic_check=False)) == 0


def test_aggregation(lab: Any) -> None:
    lab.Subject.insert1({"subject": "M3", "species": "rat"})
    result = lab.Subject.aggr(lab.Session, n="count(session)", last="max(session_date)")
    assert result.to_dicts(order_by="subject") == [
        {"subject": "M1", "n": 3, "last": dt.date(2026, 1, 3)},
        {"subject": "M2", "n": 3, "last": dt.date(2026, 1, 3)},
        {"subject": "M3", "n": 0, "last": None},
    ]
    assert len(lab.Subject.aggr(lab.Session, n="count(*)", exclude_nonmatching=True)) == 2
    assert (result & "n > 1").to_arrays("subject", order_by="subject").tolist() == ["M1", "M2"]
    assert len(lab.Subject & (result & {"n": 0})) == 1
    means = lab.Session.aggr(lab.Session.Trial, ..., mean="avg(outcome)", low="min(outcome)")
    assert means.to_dicts(attributes=["mean", "low"], order_by="KEY", limit=1) == [{"mean": 0.25, "low": 0.0}]
    assert "session_date" in means.heading
    with pytest.raises(dj.errors.QuerySyntaxError, match="lacks 'subject'"):
        lab.Subject.aggr(lab.Species, n="count(*)")


def test_universal_sets(lab: Any) -> None:
    assert (dj.U("session") & lab.Session).to_arrays("session", order_by="session").tolist() == [1, 2, 3]
    by_number = dj.U("session").aggr(lab.Session, n="count(*)", first="min(session_date)")
    assert by_number.primary_key == ["session"]
    assert by_number.to_dicts(order_by="session", limit=1) == [
        {"session": 1, "n": 2, "first": dt.date(2026, 1, 1)}
    ]
    assert dj.U().aggr(lab.Session, n="count(*)").fetch1("n") == 6
    assert dj.U().aggr(lab.Session & "session = 99", n="count(*)").fetch1("n") == 0
    assert len(dj.U("sex") & lab.Subject) == 2
    assert len(lab.Subject & dj.U("sex")) == 2
    with pytest.raises(dj.errors.QuerySyntaxError):
        dj.U("session") - lab.Session


def test_whether_there_are_rows_after_distinct_ones(lab: Any) -> None:
    numbers = dj.U("session") & lab.Session  # 1, 2 and 3, twice each
    assert [bool(numbers & dj.Top(1, "session", offset)) for offset in range(4)] == [True, True, True, False]
    assert [len(numbers & dj.Top(2, "session", offset)) for offset in range(4)] == [2, 2, 1, 0]


def test_the_first_rows_of_an_order(lab: Any) -> None:
    top = lab.Session & dj.Top(2, "session_date DESC, subject")
    assert top.keys(order_by="KEY") == [{"subject": "M1", "session": 3}, {"subject": "M2", "session": 3}]
    assert len(top & {"subject": "M1"}) == 1
    assert len(lab.Session & {"subject": "M1"} & dj.Top(2)) == 2
    assert (lab.Session & dj.Top(1, offset=1)).fetch1("session") == 2
    assert len(lab.Session.Trial & top) == 4
    assert len(lab.Session - top.proj()) == 4
    assert len((lab.Session & dj.Top(4)) & dj.Top(3)) == 3
    assert len(lab.Session & dj.Top(None)) == 6
    assert len((lab.Session & dj.Top(3)) * lab.Subject) == 3
    assert len(dj.U("session") & (lab.Session & dj.Top(4))) == 3


def test_unions(lab: Any) -> None:
    first = lab.Session.proj() & "session < 3"
    second = lab.Session.proj() & "session > 1"
    assert len(first + second) == 6
    both = (lab.Session.proj("session_date") & "session = 1") + (lab.Session.proj("partner") & "session < 3")
    rows = both.to_dicts(order_by="KEY")
    assert rows[0] == {"subject": "M1", "session": 1, "session_date": dt.date(2026, 1, 1), "partner": None}
    assert rows[1] == {"subject": "M1", "session": 2, "session_date": None, "partner": "M2"}
    overlap = lab.Session.proj("session_date") + lab.Session.proj("partner")
    assert (overlap & {"subject": "M1", "session": 2}).fetch1() == {
        "subject": "M1", "session": 2, "session_date": dt.date(2026, 1, 2), "partner": "M2",
    }  # fmt: skip
    with pytest.raises(dj.errors.QuerySyntaxError, match="same primary key"):
        _ = (lab.Session + lab.Subject).heading
    with pytest.raises(dj.errors.QuerySyntaxError, match="share the attribute"):
        _ = (lab.Session + lab.Session).heading


def test_paths_into_json(lab: Any) -> None:
    documents = {
        "M1": {"laser": {"power": 5, "on": True, "names": ["a", "b"]}, "x": 1.5, "note": "it's"},
        "M2": {"laser": {"power": 7, "on": False}, "x": None},
    }
    for subject, document in documents.items():
        lab.Subject.update1({"subject": subject, "meta": document})

    def found(restriction: Any) -> list[str]:
        return list((lab.Subject & restriction).to_arrays("subject", order_by="KEY"))

    assert found({"meta.laser.power": 5}) == ["M1"]
    assert found({"meta.laser.power:int32": 7}) == ["M2"]
    assert found({"meta.laser.on": True}) == ["M1"]
    assert found({"meta.laser.on": False}) == ["M2"]
    assert found({"meta.laser.names[1]": "b"}) == ["M1"]
    assert found({"meta.x": 1.5}) == ["M1"]
    assert found({"meta.note": "it's"}) == ["M1"]
    assert found({"meta.x": None}) == ["M2"]
    assert found({"meta.missing": None}) == ["M1", "M2"]
    lab.Subject.update1({"subject": "M2", "meta": {"x": "null"}})
    assert found({"meta.x": "null"}) == ["M2"]
    assert found({"meta.x": None}) == []
    assert found({"meta.note": "x') OR 1=1 -- "}) == []
    assert found({"meta.a') or 1=1 --": 1}) == []
    with pytest.raises(dj.errors.UnknownAttributeError):
        found({"mta.laser": 1})


def test_printing_escapes_and_shortens(lab: Any) -> None:
    lab.Subject.insert1({"subject": "<b>x</b>", "species": "mouse", "meta": {"a": "<script>"}})
    text = repr(lab.Subject())
    assert "*subject" in text
    assert "Total: 3" in text
    assert "<b>" not in lab.Subject()._repr_html_()
    assert "&lt;b&gt;" in lab.Subject()._repr_html_()
    with lab.schema.connection.settings.override(display__limit=1):
        assert "..." in repr(lab.Subject())


@pytest.fixture
def grid(schema: dj.Schema) -> Any:
    """Give a table whose rows (a, b) hold text, numbers, a UUID, a day and a decimal, some empty."""

    @schema
    class Cell(dj.Manual):
        definition = """
        a : varchar(12)
        b : int32
        ---
        weight = null : decimal(6, 2)
        who = null : uuid
        day = null : date
        value = null : float64
        word = null : varchar(12)
        """

    Cell.insert(grid_rows())
    return Cell()


def grid_rows() -> list[dict[str, Any]]:
    return [
        {
            "a": f"a'{n // 50}é",
            "b": n % 50,
            "weight": None if n % 7 == 0 else Decimal(n % 90) / 4,
            "who": None if n % 5 == 0 else uuid.UUID(int=n),
            "day": None if n % 3 == 0 else dt.date(2026, 1, 1) + dt.timedelta(n % 40),
            "value": None if n % 11 == 0 else n / 8,
            "word": None if n % 2 else f"w{n}%s",
        }
        for n in range(1500)
    ]


@pytest.mark.parametrize(
    "names", [("a",), ("b",), ("a", "b"), ("who",), ("a", "who"), ("weight", "b"), ("day", "value", "word")]
)
def test_a_long_list_of_keys_finds_what_one_key_at_a_time_would(grid: Any, names: tuple[str, ...]) -> None:
    rows = grid_rows()
    keys = [{n: row[n] for n in names} for row in rows[::2]]
    keys += [{n: row[n] for n in reversed(names)} for row in rows[1:20:2]]
    wanted = {tuple(key[n] for n in names) for key in keys}
    matching = [(r["a"], r["b"]) for r in rows if tuple(r[n] for n in names) in wanted]
    found = (grid & keys).to_arrays("a", "b", order_by="KEY")
    assert sorted(zip(*found, strict=True)) == sorted(matching)
    assert len(grid - keys) == len(rows) - len(matching)
    assert len(grid & dj.Not(keys) & keys) == 0


def test_a_list_may_mix_keys_of_several_kinds(grid: Any) -> None:
    rows = grid_rows()
    mixed: list[Any] = [{"a": r["a"], "b": r["b"]} for r in rows[:600]]
    mixed += [{"b": r["b"], "word": r["word"]} for r in rows[600:700]]
    mixed += ["value > 187", {"day": [dt.date(2026, 1, 2), None], "b": 7}, {"b": np.int64(49), "word": None}]
    pairs = {(r["b"], r["word"]) for r in rows[600:700]} | {(49, None)}
    wanted = [
        r for n, r in enumerate(rows)
        if n < 600 or (r["b"], r["word"]) in pairs or (r["value"] or 0) > 187
        or (r["b"] == 7 and r["day"] in (dt.date(2026, 1, 2), None))
    ]  # fmt: skip
    assert len(grid & mixed) == len(wanted)
    assert len(grid - mixed) == len(rows) - len(wanted)


def test_a_list_of_keys_stays_one_statement_of_bound_values_at_any_length(grid: Any) -> None:
    many = [{"a": f"x{n}", "b": n} for n in range(40_000)] + [{"a": "a'0é", "b": 3}]
    assert (grid & many).keys() == [{"a": "a'0é", "b": 3}]
    assert "x39999" not in (grid & many).make_sql()
    assert len(grid & {"b": [*range(3, 40_000), None]}) == 47 * 30
    odd = [{"a": f"nul\0{n}", "b": n} for n in range(700)] + [
        {"a": "a'0é", "b": "3"},
        {"a": "a'0é", "b": "no"},
    ]
    assert (grid & odd).keys() == [{"a": "a'0é", "b": 3}]
    assert (grid & [{"a": "x" * 100, "b": 1}, {"a": "y" * 99, "b": 2}]).keys() == []
    assert len(grid & [{"value": 0.125}, {"value": float("inf")}, {"value": float("nan")}] * 300) == 1
    assert len(grid & [{"trial_of_elsewhere": 1}] * 0) == 0
