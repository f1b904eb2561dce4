"""Both programs fetch the same rows in the same forms; where ours differ, it is written here."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.wire.sides import Side
from tests.wire.test_tables import ours, prefix, theirs  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]

N_ROWS = 60
KINDS = {
    "i": "int32", "b": "bool", "f": "float64", "n": "decimal(8,3)", "t": "varchar(20)", "e": "enum('a','b')",
    "d": "date", "m": "datetime(3)", "s": "time", "u": "uuid", "j": "json",
}  # fmt: skip


def values(number: int) -> dict[str, Any]:
    return {
        "i": number, "b": number % 2, "f": number / 7, "n": Decimal(number).scaleb(-3), "t": f"é{number}",
        "e": "ab"[number % 2], "d": dt.date(2026, 1, 1) + dt.timedelta(number), "u": uuid.UUID(int=number),
        "m": dt.datetime(2026, 1, 1, 2, 3, 4, 125_000) + dt.timedelta(number), "s": dt.timedelta(seconds=number),
        "j": {"n": number},
    }  # fmt: skip


@pytest.fixture
def both(ours: Side, theirs: Side, prefix: str) -> tuple[Any, Any]:
    body = "\n".join(f"{n} : {kind}\n{n}0 = null : {kind}" for n, kind in KINDS.items())
    table = type("Thing", (ours.dj.Manual,), {"definition": f"id : int32\n---\n{body}"})
    thing = ours.schema(prefix + "lab")(table)
    rows = []
    for number in range(N_ROWS):
        full = values(number)
        gaps = full if number % 2 else dict.fromkeys(full)
        rows.append({"id": number, **full, **{f"{n}0": v for n, v in gaps.items()}})
    thing.insert(rows)
    return thing(), theirs.table(f"`{prefix}lab`.`thing`")


def test_dicts_and_keys_are_equal(both: tuple[Any, Any]) -> None:
    our, their = both
    for options in (
        {"order_by": "KEY"},
        {"order_by": "i DESC", "limit": 30, "offset": 3},
        {"order_by": "KEY", "limit": 3},
    ):
        assert our.to_dicts(**options) == their.to_dicts(**options)
        assert our.keys(**options) == their.keys(**options)
        mine, other = our.to_dicts(**options)[0], their.to_dicts(**options)[0]
        assert list(mine) == list(other)
        assert [type(v) for v in mine.values()] == [type(v) for v in other.values()]
    assert our.head(3) == their.head(3)
    assert our.tail(3) == their.tail(3)
    one = {"id": 7}
    assert (our & one).fetch1() == (their & one).fetch1()
    assert (our & one).fetch1("KEY", "i", "t") == (their & one).fetch1("KEY", "i", "t")


def test_frames_have_the_same_types_but_for_whole_numbers_with_gaps(both: tuple[Any, Any]) -> None:
    our, their = (table.to_pandas(order_by="KEY") for table in both)
    assert our.index.equals(their.index)
    assert our.index.names == their.index.names
    different = {n for n in our.columns if our[n].dtype != their[n].dtype}
    # NaN would make floats of them, and then 3 is 3.0; here they are whole numbers with gaps.
    assert different == {"i0", "b0"}
    assert {str(our[n].dtype) for n in different} == {"Int64"}
    same = [n for n in our.columns if n not in different]
    assert our[same].equals(their[same])
    assert our["i0"].astype("float64").equals(their["i0"])


def test_arrow_and_polars_differ_where_the_heading_knows_more(both: tuple[Any, Any]) -> None:
    our, their = (table.to_arrow(order_by="KEY") for table in both)
    different = {f.name for f in our.schema if f.type != their.schema.field(f.name).type}
    # Decimals have the precision of the definition, not that of the values; documents are text, as stored.
    assert different == {"n", "n0", "j", "j0"}
    for name in set(our.column_names) - {"j", "j0"}:
        assert our.column(name).to_pylist() == their.column(name).to_pylist(), name
    our, their = (table.to_polars(order_by="KEY") for table in both)
    assert {n for n in our.columns if our.schema[n] != their.schema[n]} <= {"n", "n0"}
    assert our.rows() == their.rows()


def test_arrays_differ_in_text_and_in_gaps(both: tuple[Any, Any]) -> None:
    our, their = both
    names = [n for n in our.heading.names if n not in ("j", "j0")]
    differences = {}
    for name, mine, other in zip(
        names, our.to_arrays(*names, order_by="KEY"), their.to_arrays(*names, order_by="KEY"), strict=True
    ):
        if mine.dtype != other.dtype:
            differences[name] = (mine.dtype, other.dtype.kind)
        if name != "f0":
            assert mine.tolist() == other.tolist(), name
    # Text stays objects, for numpy's own strings lose zeros at their ends; an empty float is NaN.
    assert differences == {"t": (object, "U"), "e": (object, "U"), "f0": (np.float64, "O")}
    keys, first = our.to_arrays("i", include_key=True, order_by="KEY")
    their_keys, their_first = their.to_arrays("i", include_key=True, order_by="KEY")
    assert keys == their_keys
    assert first.tolist() == their_first.tolist()


OLD_FORMS: dict[str, Callable[[Any], Any]] = {
    "all": lambda t: t.fetch(order_by="KEY"),
    "dicts": lambda t: t.fetch(as_dict=True, order_by="KEY"),
    "frame": lambda t: t.fetch(format="frame", order_by="KEY"),
    "array": lambda t: t.fetch(format="array", order_by="KEY"),
    "one": lambda t: t.fetch("i", order_by="KEY"),
    "two": lambda t: t.fetch("i", "t", order_by="KEY", limit=4, offset=2),
    "key": lambda t: t.fetch("KEY", order_by="KEY"),
    "key and one": lambda t: t.fetch("KEY", "f", order_by="KEY"),
    "one and key": lambda t: t.fetch("f", "KEY", order_by="KEY"),
    "some dicts": lambda t: t.fetch("i", "t", as_dict=True, order_by="KEY"),
    "dicts of the key": lambda t: t.fetch("KEY", "t", as_dict=True, order_by="KEY"),
    "one dict": lambda t: t.fetch("KEY", as_dict=True, order_by="KEY", limit=1),
    "squeezed": lambda t: t.fetch("i", squeeze=True, order_by="KEY"),
    "not dicts": lambda t: t.fetch("i", as_dict=False, order_by="KEY"),
}


def plainly(answer: Any) -> Any:
    if isinstance(answer, tuple):
        return [plainly(part) for part in answer]
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    return answer if isinstance(answer, list) else answer.reset_index().to_dict("records")


@pytest.mark.parametrize("form", OLD_FORMS)
def test_the_old_fetch_answers_alike_in_every_form(both: tuple[Any, Any], form: str) -> None:
    mine, other = (OLD_FORMS[form](table.proj("i", "t", "f")) for table in both)
    assert type(mine) is type(other)
    assert plainly(mine) == plainly(other)


def test_the_old_fetch_refuses_the_same_mixtures(both: tuple[Any, Any]) -> None:
    for table in both:
        with pytest.raises(Exception, match="cannot be combined"):
            table.fetch("i", format="frame")
        with pytest.raises(Exception, match="cannot be combined"):
            table.fetch(format="frame", as_dict=True)


OWN_TYPES = {
    "`set`": ("set('x','y')", "'x,y'"), "`bit`": ("bit(3)", "b'101'"), "`year`": ("year", "2020"),
    "`time`": ("time", "'-12:00:01'"), "`point`": ("point", "point(1, 2)"), "`json`": ("json", "'[1]'"),
    "`inet6`": ("inet6", "'::1'"), "`inet4`": ("inet4", "'1.2.3.4'"),
    "`uuid`": ("uuid", "'12345678-1234-5678-1234-567812345678'"),
}  # fmt: skip


def test_columns_of_types_that_are_the_servers_own_pass_as_they_are(
    ours: Side, theirs: Side, prefix: str
) -> None:
    is_mariadb = ours.connection.dialect.is_mariadb
    types = {n: t for n, t in OWN_TYPES.items() if is_mariadb or n not in ("`inet6`", "`inet4`", "`uuid`")}
    schema = ours.schema(prefix + "lab")
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in types.items())
    name = f"`{prefix}lab`.`odd`"
    ours.connection.query(f"CREATE TABLE {name} (id int PRIMARY KEY, {columns})")
    ours.connection.query(f"INSERT INTO {name} VALUES (1, {', '.join(v for _, v in types.values())})")
    ours.connection.query(f"INSERT INTO {name} (id) VALUES (2)")
    our, their = schema["Odd"], theirs.table(name)
    assert our.to_dicts("KEY") == their.to_dicts("KEY")
    assert our.to_pandas("KEY").shape == (2, len(types))
    assert our.to_arrow("KEY").num_rows == our.to_polars("KEY").height == 2
    assert "Total: 2" in repr(our)
    for attribute, value in our.to_dicts("KEY")[0].items():
        if attribute not in ("point", "json", "bit", "year", "time", "set"):
            assert len(our & {attribute: value}) == len(their & {attribute: value}) == 1, attribute


def test_a_key_of_the_servers_own_type_may_be_referred_to(ours: Side, theirs: Side, prefix: str) -> None:
    if not ours.connection.dialect.is_mariadb:
        return  # MySQL has no such type
    schema = ours.schema(prefix + "lab")
    ours.connection.query(f"CREATE TABLE `{prefix}lab`.`thing` (id uuid PRIMARY KEY)")
    lab = ours.virtual(prefix + "lab")
    key = {"id": str(uuid.UUID(int=7))}
    lab.Thing.insert1(key)

    table = type("Note", (ours.dj.Manual,), {"definition": "-> Thing\n---\nnote : varchar(9)"})
    note = schema(table, context={"Thing": lab.Thing})
    note.insert1({**key, "note": "x"})
    assert (note & {"id": uuid.UUID(int=7)}).fetch1() == {**key, "note": "x"}
    assert (note * lab.Thing).to_dicts() == theirs.table(f"`{prefix}lab`.`note`").to_dicts()
