"""Rows that one program writes in thousands, the other reads as they were; both judge rows alike."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel
from tests.peer import datajoint
from tests.servers import MariaDBServer
from tests.wire.sides import Side, our_side, their_side

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]


@pytest.fixture
def prefix(mariadb: MariaDBServer) -> Iterator[str]:
    prefix = f"w{secrets.token_hex(3)}_"
    yield prefix
    mariadb.drop_schemas(prefix)


@pytest.fixture
def sides(
    mariadb: MariaDBServer, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Side, Side]]:
    monkeypatch.chdir(tmp_path)
    ours, theirs = our_side(mariadb, tmp_path), their_side(mariadb, tmp_path)
    yield ours, theirs
    ours.connection.close()
    theirs.connection.close()


def declare(side: Side, schema: Any) -> Any:
    dj = side.dj

    class Sample(dj.Manual):  # type: ignore[name-defined]
        definition = """
        sample : int32
        ---
        word = null : varchar(40)
        value = null : float64
        single = null : float32
        share = null : decimal(8,3)
        taken = null : datetime(3)
        day = null : date
        code = null : uuid
        is_good = null : bool
        meta = null : json
        wave = null : <blob>
        """

    return schema(Sample)


WORDS = ["a'b", 'say "x"', "back\\slash", "100 %", "%s", "\x1e", "日本 😀", "line\nbreak", "", "x'); -- "]


def samples(n_rows: int) -> list[dict[str, Any]]:
    """Rows of every kind of value, every third of them empty but for its key."""
    return [
        {"sample": i}
        | {
            "word": WORDS[i % len(WORDS)], "value": i / 7, "single": i / 2, "share": Decimal(i) / 8,
            "taken": dt.datetime(2026, 1, 2, 3, 4, i % 60, 125_000), "day": dt.date(2026, 1, 1 + i % 28),
            "code": uuid.UUID(int=i), "is_good": i % 2, "meta": {"i": i, "w": WORDS[i % len(WORDS)]},
            "wave": np.arange(i % 5),
        }
        if i % 3
        else {"sample": i} | dict.fromkeys(
            ("word", "value", "single", "share", "taken", "day", "code", "is_good", "meta", "wave")
        )
        for i in range(n_rows)
    ]  # fmt: skip


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose values can be compared with ``==``."""
    return [{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()} for row in rows]


@pytest.mark.parametrize("is_ours_first", [True, False], ids=["ours writes", "theirs writes"])
def test_rows_written_by_one_program_are_read_by_the_other(
    sides: tuple[Side, Side], prefix: str, is_ours_first: bool
) -> None:
    writing, reading = sides if is_ours_first else sides[::-1]
    rows = samples(600)
    declare(writing, writing.schema(prefix + "lab")).insert(rows)
    read = reading.virtual(prefix + "lab").Sample()
    assert plain(read.to_dicts(order_by="sample")) == plain(rows)
    # a condition on a value finds the row that holds it, whichever program wrote it
    for word in set(WORDS) - {""}:
        found = plain((read & {"word": word}).to_dicts(order_by="sample"))
        wanted = [row for row in plain(rows) if row["word"] == word]
        assert [row for row in found if row["word"] == word] == wanted
        # the collation of a schema that DataJoint made is the server's, and may take two texts for one
        assert len(found) == len(wanted) or not is_ours_first


def test_both_programs_find_the_same_rows_at_fault(sides: tuple[Side, Side], prefix: str) -> None:
    ours, theirs = sides
    ours_table = declare(ours, ours.schema(prefix + "lab"))
    theirs_table = declare(theirs, theirs.schema(prefix + "lab"))
    rows: list[Any] = [
        {"sample": 1, "word": "fine"},
        {"sample": 2, "wrod": "unknown"},
        {"word": "no key"},
        {"sample": None},
        {"sample": 4, "code": "no uuid"},
        {"sample": 5, "meta": {1, 2}},
        (6, "too short"),
    ]
    our_result, their_result = ours_table.validate(rows), theirs_table.validate(rows)
    # DataJoint names a key that is missing twice
    assert {(row, name) for row, name, _ in our_result.errors} == {
        (row, name) for row, name, _ in their_result.errors
    }
    assert (our_result.is_valid, our_result.rows_checked) == (
        their_result.is_valid,
        their_result.rows_checked,
    )
    for dj, result in ((dj_panel, our_result), (datajoint, their_result)):
        assert isinstance(result, dj.ValidationResult)
        assert not result
        assert str(len(result.errors)) in result.summary()
        with pytest.raises(dj.DataJointError):
            result.raise_if_invalid()
    assert ours_table.validate(rows[:1])
    assert theirs_table.validate(rows[:1])


def test_what_they_declared_and_filled_we_delete_with_all_that_depends_on_it(
    sides: tuple[Side, Side], prefix: str
) -> None:
    ours, theirs = sides
    dj = theirs.dj
    schema = theirs.schema(prefix + "lab")

    @schema
    class Animal(dj.Manual):  # type: ignore[name-defined]
        definition = "animal : int32"

    @schema
    class Litter(dj.Manual):  # type: ignore[name-defined]
        definition = """
        -> Animal.proj(mother="animal")
        litter : int32
        ---
        -> [nullable] Animal.proj(father="animal")
        """

        class Pup(dj.Part):  # type: ignore[name-defined]
            definition = "-> master\npup : int32"

    Animal.insert([(i,) for i in range(6)])
    Litter.insert([(0, 1, 1), (2, 1, None), (3, 1, 0), (4, 1, 5)])
    Litter.Pup.insert([(mother, 1, pup) for mother in (0, 2, 3, 4) for pup in range(3)])
    ours.connection.catalog.forget()
    assert (ours.table(f"{prefix}lab.animal") & {"animal": 0}).delete() == 1
    assert sorted(row["mother"] for row in Litter.to_dicts()) == [2, 4]
    assert len(Litter.Pup()) == 6
    assert len(Animal()) == 5
