"""Tables that we alter, and the indexes that only we can make on MariaDB, are DataJoint's tables all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers import MariaDBServer
from tests.wire.sides import Side
from tests.wire.test_tables import COLLATION, created, lineage, ours, prefix, theirs  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]

BEFORE = """
# before
-> Kind
thing : int16   # number
---
weight = null : decimal(5,2)   # g
mark = "a" : enum('a', 'b')
name : varchar(20)
note = null : varchar(90)
data = null : <blob>
index (name)
"""
AFTER = """
# after
-> Kind
thing : int16   # its number
---
mark = "b" : enum('a', 'b', 'c')  # seen
mass = null : decimal(7,3)   # {weight} g
name : varchar(40)
uid = null : uuid   # its own
data = null : <blob>
-> [nullable] Kind.proj(other="kind")
unique index (name)
"""


def declare(side: Side, schema: Any, definition: str) -> tuple[Any, Any]:
    dj = side.dj

    @schema
    class Kind(dj.Lookup):  # type: ignore[name-defined]
        definition = "kind : varchar(10)"
        contents = (("a",), ("b",))

    Thing = type("Thing", (dj.Manual,), {"definition": definition})  # noqa: N806
    return Kind, schema(Thing, context={"Kind": Kind})


def test_an_altered_table_is_the_one_that_datajoint_would_have_declared(
    ours: Side, theirs: Side, prefix: str, mariadb: MariaDBServer
) -> None:
    kind, thing = declare(ours, ours.schema(prefix + "ours"), BEFORE)
    thing.insert1({"kind": "a", "thing": 1, "weight": "1.25", "name": "x", "data": {"a": [1]}})
    thing.definition = AFTER
    assert thing.alter(prompt=False)
    declare(theirs, theirs.schema(prefix + "theirs"), AFTER.replace("{weight} ", ""))
    texts = [
        created(mariadb, prefix + name)["thing"].replace(f"`{prefix}theirs`", "")
        for name in ("ours", "theirs")
    ]
    mine, other = ([line.strip(" ,") for line in text.splitlines()] for text in texts)
    # columns in their order; the order and the names of keys mean nothing
    assert mine[:10] == other[:10]
    assert sorted(line for line in mine if line.startswith("UNIQUE")) == sorted(
        line for line in other if line.startswith("UNIQUE")
    )
    assert mine[-1] == other[-1]
    assert lineage(mariadb, prefix + "ours") == lineage(mariadb, prefix + "theirs")
    # and DataJoint works with it
    virtual = theirs.virtual(prefix + "ours")
    assert virtual.Thing.heading.names == thing.heading.names
    row = virtual.Thing.fetch1()
    assert (row["mark"], str(row["mass"]), row["data"]) == ("a", "1.250", {"a": [1]})
    virtual.Thing.insert1({"kind": "a", "thing": 2, "name": "y", "other": "b", "data": [2]})
    assert (thing & {"thing": 2}).fetch1("mark", "other", "data") == ("b", "b", [2])
    assert len(kind & thing.proj(kind_of="kind", kind="other")) == 1
    assert len(virtual.Kind * virtual.Thing) == 2


def test_datajoint_works_with_tables_whose_indexes_hold_expressions(
    ours: Side, theirs: Side, prefix: str
) -> None:
    dj = ours.dj
    definition = """
    id : int32
    ---
    name : varchar(20)
    meta = null : json
    unique index ((lower(name)))
    index (meta.a.b:signed)
    """
    table = ours.schema(prefix + "lab")(type("Indexed", (dj.Manual,), {"definition": definition}))
    virtual = theirs.virtual(prefix + "lab")
    assert virtual.Indexed.heading.names == ["id", "name", "meta"]
    virtual.Indexed.insert(
        [{"id": 1, "name": "Ann", "meta": {"a": {"b": 3}}}, {"id": 2, "name": "Bob", "meta": {}}]
    )
    with pytest.raises(theirs.dj.errors.DuplicateError):
        virtual.Indexed.insert1({"id": 3, "name": "ANN", "meta": {}})
    assert virtual.Indexed.to_dicts(order_by="id") == table.to_dicts(order_by="id")
    virtual.Indexed.update1({"id": 2, "name": "Bea"})
    (virtual.Indexed & {"id": 1}).delete(prompt=False)
    assert table.to_arrays("name").tolist() == ["Bea"]
