"""Every operator gives the attributes, the key and the rows that DataJoint gives; exceptions stand here with reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.algebra_lab import declare as declare_algebra
from tests.property.test_algebra import as_bag
from tests.wire.sides import Side
from tests.wire.test_tables import ours, prefix, theirs  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]

Query = Callable[[Any, Any, Any, Any, Any], Any]

# Each takes the module and the tables Species, Subject, Session and Trial.
SAME: dict[str, Query] = {
    "restrict by a dict": lambda dj, sp, su, se, tr: se & {"subject": "M1"},
    "restrict by text": lambda dj, sp, su, se, tr: se & "score > 3",
    "restrict by a list": lambda dj, sp, su, se, tr: se & [{"subject": "M1"}, "score = 0"],
    "restrict by a tuple": lambda dj, sp, su, se, tr: se & ({"subject": "M1"}, {"session": 3}),
    "restrict by all of a list": lambda dj, sp, su, se, tr: se & dj.AndList([{"subject": "M1"}, "session = 2"]),
    "restrict by nothing": lambda dj, sp, su, se, tr: se & [],
    "subtract nothing": lambda dj, sp, su, se, tr: se - [],
    "restrict by an empty dict": lambda dj, sp, su, se, tr: se & {},
    "restrict by True": lambda dj, sp, su, se, tr: se & True,
    "restrict by False": lambda dj, sp, su, se, tr: se & False,
    "subtract True": lambda dj, sp, su, se, tr: se - True,
    "restrict by a query": lambda dj, sp, su, se, tr: se & (tr & "outcome = 1"),
    "subtract a query": lambda dj, sp, su, se, tr: se - (tr & "outcome = 1"),
    "restrict by Not": lambda dj, sp, su, se, tr: se & dj.Not({"subject": "M1"}),
    "restrict by a minus": lambda dj, sp, su, se, tr: se & -(tr & "outcome = 1"),
    "restrict by what shares no name": lambda dj, sp, su, se, tr: su.proj(x="subject").proj() & sp.proj(y="species").proj(),
    "restrict by U": lambda dj, sp, su, se, tr: se & dj.U("session"),
    "restrict by NULL in a dict": lambda dj, sp, su, se, tr: se & {"score": None},
    "top": lambda dj, sp, su, se, tr: se & dj.Top(2),
    "top in an order": lambda dj, sp, su, se, tr: se & dj.Top(2, "session DESC, subject", 1),
    "all by top": lambda dj, sp, su, se, tr: se & dj.Top(None, "session"),
    "top, then restrict": lambda dj, sp, su, se, tr: (se & dj.Top(3)) & {"session": 1},
    "top of top": lambda dj, sp, su, se, tr: (se & dj.Top(4)) & dj.Top(2, "KEY DESC"),
    "top, then join": lambda dj, sp, su, se, tr: (se & dj.Top(3)) * su,
    "proj of the key": lambda dj, sp, su, se, tr: se.proj(),
    "proj of all": lambda dj, sp, su, se, tr: se.proj(...),
    "proj of all but one": lambda dj, sp, su, se, tr: se.proj(..., "-score"),
    "proj of one": lambda dj, sp, su, se, tr: se.proj("score"),
    "rename": lambda dj, sp, su, se, tr: se.proj(points="score"),
    "rename the key": lambda dj, sp, su, se, tr: se.proj(animal="subject"),
    "rename and keep all": lambda dj, sp, su, se, tr: se.proj(..., animal="subject"),
    "top of top in its order": lambda dj, sp, su, se, tr: (se & dj.Top(4, "session DESC, subject")) & dj.Top(2, None),
    "top in the order of an expression": lambda dj, sp, su, se, tr: se & dj.Top(3, ["abs(session) DESC", "subject"]),
    "restrict by records": lambda dj, sp, su, se, tr: se & se.proj().to_arrays(),
    "repeat": lambda dj, sp, su, se, tr: se.proj(again="(score)"),
    "compute": lambda dj, sp, su, se, tr: se.proj(more="score + 1"),
    "compute, then restrict": lambda dj, sp, su, se, tr: se.proj(more="score + 1") & "more > 5",
    "join downwards": lambda dj, sp, su, se, tr: su.proj() * se,
    "join upwards": lambda dj, sp, su, se, tr: tr * se.proj("score"),
    "join on a secondary foreign key": lambda dj, sp, su, se, tr: su * sp,
    "join the other way round": lambda dj, sp, su, se, tr: sp * su,
    "join of what shares nothing": lambda dj, sp, su, se, tr: sp.proj() * su.proj(),
    "join of three": lambda dj, sp, su, se, tr: sp * su.proj("species") * se.proj(),
    "left join": lambda dj, sp, su, se, tr: su.proj("species").join(sp, left=True),
    "extend": lambda dj, sp, su, se, tr: tr.extend(se.proj("score")),
    "extend through a nullable foreign key": lambda dj, sp, su, se, tr: su.extend(sp),
    "extend by a restricted query": lambda dj, sp, su, se, tr: se.extend(su.proj("weight") & "weight > 2"),
    "aggr": lambda dj, sp, su, se, tr: su.aggr(se, n="count(session)"),
    "aggr counts a row where there is none": lambda dj, sp, su, se, tr: su.aggr(se, n="count(*)"),
    "aggr of matches only": lambda dj, sp, su, se, tr: su.aggr(se, n="count(*)", exclude_nonmatching=True),
    "aggr keeps attributes": lambda dj, sp, su, se, tr: su.aggr(se, "weight", n="max(score)"),
    "aggr keeps all attributes": lambda dj, sp, su, se, tr: su.aggr(se, ..., n="min(session)"),
    "aggr over a restriction": lambda dj, sp, su, se, tr: su.aggr(se & "score > 3", n="count(session)"),
    "aggr, then restrict": lambda dj, sp, su, se, tr: su.aggr(se, n="count(session)") & "n > 1",
    "aggr over a join": lambda dj, sp, su, se, tr: su.proj().aggr(se.proj("score") * tr.proj("outcome"), n="sum(outcome)"),
    "aggr of aggr": lambda dj, sp, su, se, tr: su.aggr(se.aggr(tr, n="count(trial)"), m="max(n)"),
    "U of a part of the key": lambda dj, sp, su, se, tr: dj.U("session") & se,
    "U of another attribute": lambda dj, sp, su, se, tr: dj.U("score") & (se & "score is not null"),
    "U of two": lambda dj, sp, su, se, tr: dj.U("subject", "score") & se,
    "U.aggr": lambda dj, sp, su, se, tr: dj.U("session").aggr(se, n="count(*)", top="max(score)"),
    "U() aggr": lambda dj, sp, su, se, tr: dj.U().aggr(se, n="count(*)"),
    "U() aggr of nothing": lambda dj, sp, su, se, tr: dj.U().aggr(se & "session = 99", n="count(*)"),
    "union": lambda dj, sp, su, se, tr: (se & {"subject": "M1"}).proj() + (se & {"session": 3}).proj(),
    "union, then restrict": lambda dj, sp, su, se, tr: (se.proj() + se.proj("score")) & {"session": 1},
    "unchecked restriction": lambda dj, sp, su, se, tr: su.restrict(sp.proj(weight="legs"), semantic_check=False),
    "unchecked join": lambda dj, sp, su, se, tr: su.proj("weight").join(sp.proj(weight="legs"), semantic_check=False),
}  # fmt: skip

# In which we do what DataJoint's documentation says, and its 2.3.5 does not.
DIFFERENT = {
    "top, then join": "there the limit is lost",
    "extend by a restricted query": "there a row whose partner the restriction leaves out is left out too",
    "aggr over a restriction": "the same: a row without any match is to stay",
}

# MariaDB, unlike MySQL, does not see that these depend on the key that DataJoint groups by.
ONLY_OURS = {"aggr keeps attributes", "aggr keeps all attributes"}

REFUSED: dict[str, Query] = {
    "restrict by None": lambda dj, sp, su, se, tr: se & None,
    "restrict by text with a typo": lambda dj, sp, su, se, tr: se & "scor = 1",
    "the operator ^": lambda dj, sp, su, se, tr: se ^ su,
    "the operator @": lambda dj, sp, su, se, tr: se @ su,
    "U times a table": lambda dj, sp, su, se, tr: dj.U("session") * se,
    "U minus a table": lambda dj, sp, su, se, tr: dj.U("session") - se,
    "a namesake of another origin": lambda dj, sp, su, se, tr: su * sp.proj(weight="legs"),
    "a restriction by such a namesake": lambda dj, sp, su, se, tr: su & sp.proj(weight="legs"),
    "extend by what is not determined": lambda dj, sp, su, se, tr: su.extend(se),
    "aggr without the key in the group": lambda dj, sp, su, se, tr: se.aggr(su, n="count(*)"),
    "a union of different keys": lambda dj, sp, su, se, tr: se + su,
    "a union with a shared attribute": lambda dj, sp, su, se, tr: se + se,
    "proj without part of the key": lambda dj, sp, su, se, tr: se.proj("-subject"),
    "proj of an unknown attribute": lambda dj, sp, su, se, tr: se.proj("scor"),
}  # fmt: skip


@pytest.fixture
def both(ours: Side, theirs: Side, prefix: str) -> list[tuple[Any, list[Any]]]:
    our_tables = declare_algebra(ours.schema(prefix + "lab"))
    virtual = theirs.virtual(prefix + "lab")
    return [
        (ours.dj, [table() for table in our_tables.values()]),
        (theirs.dj, [getattr(virtual, name.title())() for name in our_tables]),
    ]


def test_every_operator_gives_what_datajoint_gives(both: list[tuple[Any, list[Any]]]) -> None:
    different, refused = {}, set()
    for name, query in SAME.items():
        (dj, tables), (datajoint, their_tables) = both
        mine = facts(query(dj, *tables))
        try:
            other = facts(query(datajoint, *their_tables))
        except Exception:  # noqa: BLE001 - the server refuses its statement
            refused.add(name)
            continue
        if mine != other:
            different[name] = (mine, other)
    assert different.keys() == DIFFERENT.keys()
    assert refused == (ONLY_OURS if both[0][1][0].connection.dialect.is_mariadb else set())


def test_a_repeated_attribute_of_the_key_is_part_of_the_key(both: list[tuple[Any, list[Any]]]) -> None:
    """DataJoint itself cannot count such rows."""
    mine, theirs = (tables[2].proj(animal="(subject)", points="(score)") for _, tables in both)
    assert list(mine.primary_key) == list(theirs.primary_key) == ["subject", "animal", "session"]
    assert list(mine.heading.names) == list(theirs.heading.names)
    assert as_bag(mine.to_dicts()) == as_bag(theirs.to_dicts())


def facts(query: Any) -> tuple[Any, ...]:
    return (
        list(query.primary_key),
        list(query.heading.names),
        as_bag(query.to_dicts()),
        len(query),
        bool(query),
    )


def test_what_datajoint_refuses_is_refused(both: list[tuple[Any, list[Any]]]) -> None:
    accepted = []
    for name, query in REFUSED.items():
        for dj, tables in both:
            try:
                query(dj, *tables).to_dicts()
            except Exception:  # noqa: BLE001 - each program has errors of its own
                continue
            accepted.append((name, dj.__name__))
    assert accepted == []


def test_a_typo_in_a_dict_is_refused_unless_datajoints_silence_is_asked_for(
    both: list[tuple[Any, list[Any]]],
) -> None:
    (dj, (_, _, session, _)), (_, (_, _, theirs, _)) = both
    assert len(theirs & {"scor": 1}) == len(theirs)
    with pytest.raises(dj.errors.UnknownAttributeError, match="Did you mean 'score'"):
        session & {"scor": 1}
    with session.connection.settings.override(refuse_unknown_attributes=False):
        assert len(session & {"scor": 1}) == len(session)
        assert len(session & [{"scor": 1}, {"scor": 2}]) == len(session)
        assert len(session - {"scor": 1}) == 0
        assert len(session & {"scor": 1, "session": 3}) == 1
        with pytest.raises(dj.errors.UnknownAttributeError):
            session & "scor = 1"


def test_joins_do_not_need_the_table_of_origins_and_can_mend_it_for_datajoint(
    ours: Side, theirs: Side, prefix: str
) -> None:
    schema = ours.schema(prefix + "lab")
    tables = declare_algebra(schema)
    wanted = ours.connection.query(f"SELECT * FROM `{prefix}lab`.`~lineage` ORDER BY 1, 2").fetchall()
    ours.connection.query(f"DELETE FROM `{prefix}lab`.`~lineage` WHERE attribute_name = 'subject'")
    ours.connection.catalog.forget()
    assert len(tables["subject"].proj() * tables["session"]) == 5
    with pytest.raises(Exception, match="lineage"):
        virtual = theirs.virtual(prefix + "lab")
        len(virtual.Subject.proj() * virtual.Session)
    schema.rebuild_lineage()
    assert schema.lineage_table_exists
    virtual = theirs.virtual(prefix + "lab")
    assert len(virtual.Subject.proj() * virtual.Session) == 5
    found = ours.connection.query(f"SELECT * FROM `{prefix}lab`.`~lineage` ORDER BY 1, 2").fetchall()
    assert found == wanted
    assert schema.lineage == theirs.instance.Schema(prefix + "lab").lineage
