"""The same call, argument by argument, is answered alike by both programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.servers import MariaDBServer
from tests.wire.sides import Side, declare
from tests.wire.test_tables import fill, ours, prefix, theirs  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
    pytest.mark.filterwarnings("ignore:MariaDB is not officially:UserWarning"),
]


@pytest.fixture
def both(ours: Side, theirs: Side, prefix: str) -> tuple[Any, Any]:
    mine = declare(ours, ours.schema(prefix + "lab"))
    fill(mine)
    return mine, declare(theirs, theirs.schema(prefix + "lab"))


def names(tables: list[Any]) -> list[str]:
    return [table.full_table_name for table in tables]


# Each takes the module, the connection and the tables.
CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "dicts in an order": lambda dj, c, t: t.Session.proj("day").to_dicts("day DESC, session", 3, 1),
    "dicts, each squeezed": lambda dj, c, t: t.Total.to_dicts("KEY", None, None, True),
    "keys in an order": lambda dj, c, t: t.Session.keys("session DESC", 2, 1),
    "a frame in an order": lambda dj, c, t: t.Session.proj("day").to_pandas("session DESC", 2).reset_index().to_dict(),
    "an Arrow table in an order": lambda dj, c, t: t.Kind.to_arrow("kind DESC", 1, 1).to_pylist(),
    "polars in an order": lambda dj, c, t: t.Kind.to_polars("kind DESC", 1).to_dicts(),
    "a left join that may leave keys empty": lambda dj, c, t: t.Subject.proj().join(
        t.Session.Trial, True, True, True
    ).to_dicts("number, session, trial"),
    "its key": lambda dj, c, t: t.Subject.proj().join(
        t.Session.Trial.proj(), left=True, allow_nullable_pk=True).primary_key,
    "its number of rows": lambda dj, c, t: len(t.Subject.proj().join(
        t.Session.proj(), left=True, allow_nullable_pk=True).to_dicts()),
    "the SQL of some attributes": lambda dj, c, t: c.query(t.Kind().make_sql(["about"]) + " ORDER BY 1").fetchall(),
    "rows as dicts": lambda dj, c, t: c.query(
        f"SELECT kind, about FROM {t.Kind.full_table_name} ORDER BY kind", args=(), as_dict=True).fetchall(),
    "one row as a dict": lambda dj, c, t: c.query("SELECT %s AS x", (1,), as_dict=True, reconnect=False).fetchone(),
    "rows of a statement": lambda dj, c, t: list(c.query("SELECT 1 AS x UNION SELECT 2 ORDER BY 1", as_dict=True)),
    "a query restricted in place": lambda dj, c, t: in_place(t.Kind(), {"kind": "a"}),
    "tables of a schema": lambda dj, c, t: {type(each).__name__: each.full_table_name for each in t.schema}.keys(),
    "all tables of a schema": lambda dj, c, t: sorted(names(list(t.schema))),
    "ancestors": lambda dj, c, t: t.Total.Bin.ancestors(),
    "ancestors as tables": lambda dj, c, t: names(t.Total.ancestors(True)),
    "the first of the descendants": lambda dj, c, t: t.Subject.descendants()[0],
    "parents": lambda dj, c, t: sorted(t.Session.parents()),
    "secondary parents": lambda dj, c, t: t.Session.parents(False),
    "parents with their foreign keys": lambda dj, c, t: foreign(t.Session.parents(None, False, True)),
    "children with their foreign keys": lambda dj, c, t: foreign(t.Subject.children(foreign_key_info=True)),
    "parents of one name": lambda dj, c, t: sorted(t.Subject.parents()),
    "parents as tables with foreign keys": lambda dj, c, t: [
        (table.full_table_name, key["aliased"]) for table, key in t.Session.parents(False, True, True)],
    "the name of a class": lambda dj, c, t: (t.Session().class_name, t.Session.Trial().class_name),
    "blobs": lambda dj, c, t: t.Total.heading.blobs,
    "the dtype of rows": lambda dj, c, t: t.Subject.heading.as_dtype,
    "the dtype of an attribute": lambda dj, c, t: t.Total.heading["total"].dtype,
    "the type of a column": lambda dj, c, t: [t.Subject.heading[n].sql_type for n in ("subject_id", "name", "born")],
    "what determines what": lambda dj, c, t: (
        t.Session.heading.determines(t.Subject.heading), t.Subject.heading.determines(t.Session.heading)),
    "jobs of a table": lambda dj, c, t: dj.Job(t.Total()).full_table_name,
    "jobs that are added": lambda dj, c, t: (dj.Job(t.Total()).refresh()["added"], dj.Job(t.Total()).delete())[0],
    "a limit as a value": lambda dj, c, t: (dj.Top(), dj.Top(3, "a", 1) == dj.Top(3, "a", 1))[1],
    "sources of a diagram": lambda dj, c, t: sorted(names(list(dj.Diagram(t.Session, {}) + 1))),
    "Mermaid": lambda dj, c, t: "graph" in dj.Diagram(t.schema).make_mermaid().lower(),
}  # fmt: skip


def foreign(found: list[Any]) -> list[Any]:
    return sorted(((name, dict(key)) for name, key in found), key=repr)


def in_place(query: Any, restriction: Any) -> list[Any]:
    query.restrict_in_place(restriction)
    found: list[Any] = query.to_dicts()
    return found


def comparable(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: comparable(value) for name, value in answer.items()}
    if isinstance(answer, (list, tuple)):
        return [comparable(value) for value in answer]
    return answer.tolist() if isinstance(answer, np.ndarray) else answer


def test_the_same_call_is_answered_alike(ours: Side, theirs: Side, both: tuple[Any, Any]) -> None:
    both[0].Total.populate(suppress_errors=True)
    different = {}
    for name, call in CALLS.items():
        mine, other = (
            comparable(call(side.dj, side.connection, lab))
            for side, lab in zip((ours, theirs), both, strict=True)
        )
        if mine != other:
            different[name] = (mine, other)
    assert different == {}


def test_frames_are_inserted_by_the_same_rule_for_their_index(both: tuple[Any, Any]) -> None:
    for number, lab in enumerate(both):
        frame = (lab.Kind & "kind in ('a', 'b')").to_pandas("kind")
        lab.Kind.insert_dataframe(frame, skip_duplicates=True)
        more = frame.assign(about="x").rename(index={"a": f"a{number}", "b": f"b{number}"})
        lab.Kind.insert_dataframe(df=more, index_as_pk=True)
        flat = more.reset_index().assign(kind=[f"c{number}", f"d{number}"])
        flat.index.name = "row"  # an index that is not the key is dropped
        lab.Kind.insert_dataframe(flat)
        lab.Kind.insert_dataframe(flat.assign(kind=[f"e{number}", f"f{number}"]), index_as_pk=False)
        with pytest.raises(Exception, match="index"):
            lab.Kind.insert_dataframe(flat, index_as_pk=True)
        with pytest.raises(Exception, match="pandas"):
            lab.Kind.insert_dataframe([{"kind": "z"}])
    assert both[0].Kind.keys("kind") == both[1].Kind.keys("kind")
    assert len(both[0].Kind()) == 2 + 2 * 6


def test_parts_take_their_integrity_first(both: tuple[Any, Any]) -> None:
    for lab in both:
        with pytest.raises(Exception, match=r"[Mm]aster"):
            lab.Session.Trial.delete()
        with pytest.raises(Exception, match=r"[Mm]aster"):
            lab.Session.Trial.drop("enforce")
        (lab.Session.Trial & "trial = 0").delete("ignore", prompt=False)
    both[0].Total.Bin.drop("ignore")
    assert not both[1].Total.Bin().is_declared


def test_a_connection_is_made_from_an_address(mariadb: MariaDBServer, both: tuple[Any, Any]) -> None:
    for lab in both:
        module = __import__(type(lab.schema.connection).__module__.partition(".")[0])
        with module.Connection(
            mariadb.host, mariadb.user, mariadb.password, mariadb.port, backend="mysql", use_tls=False
        ) as connection:
            connection.connect()
            assert connection.conn_info["port"] == mariadb.port
            table = module.FreeTable(conn_or_name=connection, full_table_name=lab.Kind.full_table_name)
            assert len(table) == 2
            schema = module.Schema(lab.schema.database, connection=connection)
            found: dict[str, Any] = {}
            schema.make_classes(found)
            assert len(found["Session"].Trial()) == len(lab.Session.Trial())


def test_classes_are_made_where_they_are_asked_for(both: tuple[Any, Any]) -> None:
    for lab in both:
        names: dict[str, Any] = {"schema": lab.schema}
        exec("schema.make_classes()", names)
        assert len(names["Kind"]()) == 2
