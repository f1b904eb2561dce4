"""values: of every type, each value comes back exactly or is refused by name, the same on both servers."""

from __future__ import annotations

import datetime as dt
import json
import math
import secrets
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dj_panel as dj
from tests.blob_values import VALUES, same
from tests.servers import MariaDBServer

CHOICES = ("M", "F", "it's", 'say "x"', "a,b", "日本", "100 %", "back\\slash", "a b", "null")


def same_value(value: Any) -> Any:
    return value


def float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    limit = 10**digits - 1
    return st.integers(-limit, limit).map(lambda n: Decimal(f"{n}E-{places}"))


def text(length: int) -> st.SearchStrategy[str]:
    tricky = ["", " ", "'", '"', "\\", "%s", "%%", "\0", "\n", "\x1a", "a\u0301", "\u200f", "😀", "\U0010ffff", "?",
              "NULL", "-- ", "`", "{}", "日本語", "ﬀ", "\r\n", "\ufeff", "İ"]  # fmt: skip
    parts = st.one_of(st.sampled_from(tricky), st.text(max_size=4))
    return st.lists(parts, max_size=5).map("".join).map(lambda s: s[:length])


def whole(bits: int) -> st.SearchStrategy[int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return st.one_of(st.sampled_from([low, -1, 0, 1, high]), st.integers(low, high))


FINITE = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1e16, 1e-7]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def documents(integers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.one_of(st.none(), st.booleans(), integers, FINITE, st.text(max_size=6)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=6,
    )


JSON = documents(st.integers())
# MySQL keeps integers of 64 bits in JSON, and refuses longer ones; other servers keep the text of any.
JSON_ON_MYSQL = documents(st.integers(-(2**63), 2**64 - 1))
MOMENTS = st.one_of(
    st.sampled_from(
        [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(1970, 1, 1)]
    ),
    st.datetimes(),
)

# type → values that it must keep, and what is fetched of each
KEPT: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any]]] = {
    "int8": (whole(8), same_value),
    "int16": (whole(16), same_value),
    "int32": (whole(32), same_value),
    "int64": (whole(64), same_value),
    "float32": (st.one_of(FINITE.filter(lambda x: abs(x) < 3.4e38), SINGLE), float32),
    "float64": (FINITE, same_value),
    "bool": (st.booleans(), int),
    "char(6)": (text(6).map(lambda s: s.rstrip(" ")), same_value),
    "varchar(12)": (text(12), same_value),
    "varchar(2000)": (st.text(max_size=60).map(lambda s: s * 30), same_value),
    "enum(" + ", ".join("'" + c.replace("\\", "\\\\").replace("'", "''") + "'" for c in CHOICES) + ")": (
        st.sampled_from(CHOICES), same_value,
    ),
    "decimal(8,3)": (decimals(8, 3), same_value),
    "decimal(30,10)": (decimals(30, 10), same_value),
    "date": (st.one_of(st.dates(), st.sampled_from([dt.date.min, dt.date.max])), same_value),
    "datetime": (MOMENTS, lambda m: m.replace(microsecond=0)),
    "datetime(3)": (MOMENTS, lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000)),
    "datetime(6)": (MOMENTS, same_value),
    "uuid": (st.uuids(), same_value),
    "json": (JSON, same_value),
    "bytes": (st.binary(max_size=300), same_value),
    "<blob>": (VALUES, same_value),
}  # fmt: skip
NOTHING = st.sampled_from([None, math.nan, np.datetime64("NaT")])

ZONES = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-5))])
SURROGATES = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3)
NOT_FINITE = st.sampled_from([math.inf, -math.inf, "nan", "inf", np.float32("inf"), Decimal("NaN"), "1e999"])
# type → values that it must refuse
REFUSED: dict[str, st.SearchStrategy[Any]] = {
    **{f"int{b}": st.one_of(st.integers(2 ** (b - 1)), st.integers(max_value=-(2 ** (b - 1)) - 1), NOT_FINITE,
                            st.sampled_from([0.5, "", "1e3", "0x10", "1,0", b"1", [1], 1j])) for b in (8, 16, 32, 64)},
    "float32": st.one_of(NOT_FINITE, st.sampled_from([1e39, -3.5e38, "", "1,5", b"1", 1j])),
    "float64": st.one_of(NOT_FINITE, st.sampled_from(["", "1,5", "0x1", b"1", 1j, 10**400])),
    "bool": st.one_of(NOT_FINITE, st.integers(2), st.sampled_from(["", "maybe", 0.5, b"1"])),
    "char(6)": st.one_of(SURROGATES, st.text(min_size=7), st.sampled_from(["a ", b"a"])),
    "varchar(12)": st.one_of(SURROGATES, st.text(min_size=13), st.sampled_from([b"", ["a"]])),
    "decimal(8,3)": st.one_of(NOT_FINITE, st.integers(100_000), st.sampled_from(["0.0001", "", "1,5", Decimal("1e99")])),
    "date": st.one_of(st.datetimes(timezones=ZONES), st.sampled_from(["", "0000-00-00", "2026-02-30", 20260101, "1.1.2026"])),
    "datetime": st.one_of(st.datetimes(timezones=ZONES), st.sampled_from(["", "0000-00-00 00:00:00", "2026-01-01T25:00:00", 5])),
    "datetime(6)": st.one_of(st.datetimes(timezones=ZONES), st.just("2026-01-01 00:00:00+01:00")),
    "uuid": st.one_of(st.binary(max_size=15), st.text(max_size=31), st.integers()),
    "json": st.sampled_from([math.inf, {"a": [math.nan]}, {1, 2}, {"a": b"x"}, object()]),
    "bytes": st.one_of(st.text(), st.integers(), st.just([1, 2])),
    "<blob>": st.sampled_from([object(), [object()], {"a": lambda: None}]),
}  # fmt: skip
KINDS = list(KEPT)
COLUMNS = {kind: f"v{i}" for i, kind in enumerate(KINDS)}


@pytest.fixture(scope="module")
def both(mariadb: MariaDBServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """Give the same table on either server."""
    prefix = f"t{secrets.token_hex(3)}_"
    path: Path = tmp_path_factory.mktemp("values") / "values.db"
    instances = [
        dj.Instance(backend="sqlite", database__name=str(path), safemode=False),
        dj.Instance(mariadb.host, mariadb.user, mariadb.password, mariadb.port, safemode=False),
    ]
    tables = []
    for instance in instances:
        body = "\n".join(f"{name} = null : {kind}" for kind, name in COLUMNS.items())
        schema = instance.Schema(prefix + "lab")
        tables.append(schema(type("Kept", (dj.Manual,), {"definition": f"n : int32\n---\n{body}"})))
    yield tables
    for instance in instances:
        instance.close()
    mariadb.drop_schemas(prefix)


def is_nothing(value: Any) -> bool:
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def expected(kind: str, value: Any) -> Any:
    return None if is_nothing(value) else KEPT[kind][1](value)


def exactly_same(a: Any, b: Any, kind: str, *, sort_keys: bool = False) -> bool:
    if kind == "<blob>":
        return same(a, b)
    if kind == "json":
        return type(a) is type(b) and json.dumps(a, sort_keys=sort_keys) == json.dumps(b, sort_keys=sort_keys)
    # the sign of a zero is not kept
    return type(a) is type(b) and bool(a == b)


# The messages name the value that fails, so nothing is gained by searching for a smaller batch.
BATCHES = settings(max_examples=6, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
counts = {"kept": 0, "refused": 0}


@pytest.mark.parametrize("kind", KEPT)
@BATCHES
@given(data=st.data())
def test_every_value_comes_back_exactly_and_alike_from_both_servers(
    both: list[Any], kind: str, data: st.DataObject
) -> None:
    # MySQL sorts the keys of documents its own way
    is_mysql = "MariaDB" not in both[1].connection.query("SELECT VERSION()").fetchone()[0]
    strategy = JSON_ON_MYSQL if is_mysql and kind == "json" else KEPT[kind][0]
    values = data.draw(st.lists(st.one_of(strategy, strategy, strategy, NOTHING), min_size=20, max_size=60))
    fetched = []
    for table in both:
        table.delete_quick()
        table.insert({"n": n, COLUMNS[kind]: value} for n, value in enumerate(values))
        fetched.append([row[COLUMNS[kind]] for row in table.to_dicts(order_by="n")])
    for value, embedded, server in zip(values, *fetched, strict=True):
        assert exactly_same(embedded, expected(kind, value), kind), (value, embedded)
        assert exactly_same(server, expected(kind, value), kind, sort_keys=is_mysql), (value, server)
    counts["kept"] += 2 * len(values)


@pytest.mark.parametrize("kind", REFUSED)
@BATCHES
@given(data=st.data())
def test_what_cannot_be_kept_is_refused_by_name_on_both_servers(
    both: list[Any], kind: str, data: st.DataObject
) -> None:
    values = data.draw(st.lists(REFUSED[kind], min_size=10, max_size=20))
    for value in values:
        refusals = []
        for table in both:
            with pytest.raises(dj.DataJointError) as caught:
                table.insert1({"n": -1, COLUMNS[kind]: value})
            assert COLUMNS[kind] in str(caught.value), value
            refusals.append((type(caught.value), str(caught.value)))
        assert refusals[0] == refusals[1]
    counts["refused"] += 2 * len(values)
    for table in both:
        assert not table & "n = -1"


def test_thousands_of_values_were_tried() -> None:
    print(f"values: {counts['kept']:,} kept exactly, {counts['refused']:,} refused")
    assert counts["kept"] > 5000
    assert counts["refused"] > 1000


def test_a_choice_that_a_server_would_not_keep_is_refused_when_it_is_declared(both: list[Any]) -> None:
    for table in both:
        schema = dj.Schema(table.database, connection=table().connection)
        with pytest.raises(dj.errors.DefinitionError, match="ends with a space"):
            schema(type("Cut", (dj.Manual,), {"definition": "cut : enum('a', 'b ')"}))
