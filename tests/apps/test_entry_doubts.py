"""What forms ask back, begin with and compare: unusual values, rows like another one, rows of the same key."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import scipy.io

import dj_panel as dj
from dj_panel.apps.fields import EMPTY_TEXT
from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.services import Services
from dj_panel.apps.services.arrayfiles import read_array
from dj_panel.apps.services.parents import N_CHOICES, Parents
from dj_panel.apps.services.receipts import Receipt, Refused
from dj_panel.apps.services.uploads import Uploads
from dj_panel.core.errors import OneRowError
from tests import entry_tables
from tests.counting import counted_statements
from tests.entry_tables import Lab, pipeline_of


def declare(schema: dj.Schema) -> Pipeline:
    @schema
    class Animal(dj.Manual):
        definition = """
        animal : varchar(8)
        ---
        name = null : varchar(20)
        """

    @schema
    class Weighing(dj.Manual):
        definition = """
        -> Animal
        n : int16
        ---
        day : date
        weight : decimal(6,2)  # (g)
        note = null : varchar(20)
        tag = null : varchar(8)
        unique index (tag)
        """

        class Look(dj.Part):
            definition = """
            -> master
            look : int8
            ---
            said : varchar(20)
            """

    return pipeline_of(schema)


class Doubts(Lab):
    """The lab, and what these tests ask of it, without await."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.entering = services.entering

    def weigh(self, ticked: dict[str, str] | None, **texts: str) -> Receipt | Refused:
        draft = {"animal": "A1", "day": "2026-01-02", **texts}
        return asyncio.run(self.entering.save(self.name("Weighing"), draft, {}, "t", ticked=ticked))


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    services = Services(declare(schema))
    lab = Doubts(services)
    lab.rows("Animal").insert([(f"A{i}", None) for i in range(5)])
    weights = (24.9, 25.0, 25.2, 24.8, 25.1)
    lab.rows("Weighing").insert(
        {"animal": "A1", "n": n, "day": "2026-01-01", "weight": weight} for n, weight in enumerate(weights)
    )
    yield lab
    services.close()


def test_an_unusual_number_is_saved_only_when_it_is_ticked_as_it_stands(lab: Doubts) -> None:
    refused = lab.weigh({}, n="7", weight="19.5")
    assert isinstance(refused, Refused)
    assert refused.doubts == {"weight": "“19.5” is far from the last values of this Animal (24.80 … 25.20)."}
    assert refused.errors == {}
    assert len(lab.rows("Weighing")) == 5
    assert isinstance(lab.weigh({"weight": "19"}, n="7", weight="19.5"), Refused)  # another text was ticked
    assert isinstance(lab.weigh({"weight": "19.5"}, n="7", weight="19.5"), Receipt)
    assert isinstance(lab.weigh({}, n="8", weight="24"), Receipt)


def test_leaving_a_field_tells_what_is_unusual_about_it(lab: Doubts) -> None:
    draft = {"animal": "A1", "n": "7", "weight": "2.5", "day": "2999-01-01"}
    checked = asyncio.run(lab.entering.check(lab.name("Weighing"), draft, {"weight"}))
    assert set(checked.doubts) == {"weight"}
    checked = asyncio.run(lab.entering.check(lab.name("Weighing"), draft, {"day"}))
    assert checked.doubts == {"day": "“2999-01-01” is in the future."}
    checked = asyncio.run(lab.entering.check(lab.name("Weighing"), {**draft, "day": "0206-01-01"}, {"day"}))
    assert checked.doubts == {"day": "“0206-01-01” is before 1900."}


def test_a_first_value_and_the_number_of_a_row_are_never_unusual(lab: Doubts) -> None:
    draft = {"animal": "A2", "n": "3000", "weight": "9000", "day": "2026-01-01"}
    assert asyncio.run(lab.entering.check(lab.name("Weighing"), draft)).doubts == {}


def test_a_row_like_another_leaves_out_what_must_differ(lab: Doubts) -> None:
    parts = {lab.name("Weighing.Look"): [{"look": "1", "said": "calm"}]}
    draft = {"animal": "A1", "n": "9", "day": "2026-01-02", "weight": "25", "note": EMPTY_TEXT, "tag": "x"}
    asyncio.run(lab.entering.save(lab.name("Weighing"), draft, parts, "t"))
    originals = lab.entering.originals
    found = asyncio.run(originals.like(lab.name("Weighing"), {"animal": "A1", "n": "9"}))
    assert found.texts == {"animal": "A1", "day": "2026-01-02", "weight": "25.00", "note": EMPTY_TEXT}
    assert found.parts == parts
    for key in ({"animal": "A1", "n": "99"}, {"animal": "A1"}, {"animal": "A1", "n": "x"}):
        with pytest.raises(OneRowError):
            asyncio.run(originals.like(lab.name("Weighing"), key))


def test_a_draft_is_compared_with_the_row_that_has_its_key(lab: Doubts) -> None:
    draft = {"animal": "A1", "n": "1", "day": "2026-01-01", "weight": "26", "note": "new"}
    name, part = lab.name("Weighing"), lab.name("Weighing.Look")

    def compare(draft: dict[str, str], *looks: dict[str, str]) -> list[tuple[str, str, str]]:
        found = asyncio.run(lab.entering.originals.compare(name, draft, {part: looks}))
        return [(c.label, c.there, c.typed) for c in found]

    assert compare(draft) == [("Weight", "25.00", "26"), ("Note", "", "new")]
    same = {**draft, "weight": "25.0", "note": ""}
    assert compare(same) == []
    # Of its parts it is said how many rows there are, unless they are the same.
    lab.rows("Weighing.Look").insert([("A1", 1, 1, "calm"), ("A1", 1, 2, "awake")])
    calm, awake = {"look": "1", "said": "calm"}, {"look": "2", "said": "awake"}
    assert compare(same, awake, calm, {}) == []
    assert compare(same) == [("Look", "2 rows", "0 rows")]
    assert compare(same, calm) == [("Look", "2 rows", "1 row")]
    assert compare(same, calm, {**awake, "said": "asleep"}) == [
        ("Look", "2 rows", "2 rows, not the same ones")
    ]
    assert compare(same, calm, {**awake, "look": "x"}) == [("Look", "2 rows", "2 rows, not the same ones")]


def test_the_first_parents_come_from_the_index_and_never_more_than_twenty(lab: Doubts) -> None:
    lab.rows("Animal").insert([(f"B{i:06d}", "grey") for i in range(3000)])
    entering, name = lab.entering, lab.name("Weighing")
    (link,) = lab.services.table(name).parents[:1]
    parents = Parents(link, lab.services.table(link.table), lab.rows("Animal"))
    for text, expected in (("B00", "B000000"), ("b0029", "B002900"), ("B002999 grey", "B002999")):
        with counted_statements(lab.services.pipeline.connection) as count:
            choices = parents.begun(text, {})
        assert choices[0].label == expected
        assert len(choices) <= N_CHOICES
        assert count.n <= 4
    assert asyncio.run(entering.begun(name, 0, "grey", {})) == []
    assert len(asyncio.run(entering.search(name, 0, "grey", {})).choices) == N_CHOICES
    assert asyncio.run(entering.search(name, 0, "nothing of that kind", {})).choices == []


def test_a_search_looks_through_all_parents_once(lab: Doubts, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.rows("Animal").insert([(f"B{i:03d}", "Zoë, grey" if i == 7 else "grey") for i in range(100)])
    connection = lab.services.pipeline.connection
    (link,) = lab.services.table(lab.name("Weighing")).parents[:1]
    parents = Parents(link, lab.services.table(link.table), lab.rows("Animal"))
    lowered: list[str] = []
    if connection.dialect.name == "sqlite":  # there, what knows other alphabets is Python's, and slow

        def lower(text: str) -> str:
            lowered.append(text)
            return text.lower()

        connection._session().raw.create_function("lower", 1, lower)  # type: ignore[attr-defined]
    looked: list[Any] = []
    fetch = Parents._fetch

    def noted(self: Parents, query: Any) -> Any:
        looked.append(fetch(self, query))
        return looked[-1]

    monkeypatch.setattr(Parents, "_fetch", noted)
    for text, labels in (
        ("b nowhere", []),
        ("grey nowhere zoë", []),
        ("zoë b00", ["B007"]),
        ("ZOË grey", ["B007"]),
        ("zoè grey", []),
    ):
        looked.clear()
        assert [choice.label for choice in parents.search(text, {}, []).choices] == labels
        # Whatever is asked after the first look is asked of the rows that it found.
        assert [len(rows) for rows in looked[:1]] == [len(labels)]
        assert max(map(len, looked)) <= 1
        assert labels or len(looked) == 1
    assert len(lowered) < 40, "Python looks at few rows"


def test_arrays_are_read_from_matlab_files_and_pasted_text(tmp_path: Any) -> None:
    scipy.io.savemat(tmp_path / "one.mat", {"trace": np.arange(6.0).reshape(2, 3)})
    np.testing.assert_array_equal(read_array(tmp_path / "one.mat"), np.arange(6.0).reshape(2, 3))
    scipy.io.savemat(tmp_path / "two.mat", {"a": np.arange(3), "b": np.arange(4), "name": "text"})
    with pytest.raises(ValueError, match=r"holds 2 \(a, b\)"):
        read_array(tmp_path / "two.mat")
    (tmp_path / "cut.mat").write_bytes((tmp_path / "one.mat").read_bytes()[:150])
    with pytest.raises(ValueError, match="MATLAB"):
        read_array(tmp_path / "cut.mat")
    (tmp_path / "pasted.txt").write_text("1\t2\n3\t4\n")
    np.testing.assert_array_equal(read_array(tmp_path / "pasted.txt"), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,5;2,5\n3;4,25\n", [[1.5, 2.5], [3, 4.25]]),
        ("a;b\n1,5;2,5\n", [1.5, 2.5]),
        ("a,b\tc\n1,5\t1.234,5\n", [1.5, 1234.5]),
        ("1,5 2,5\n3,5 4,5\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("1.5;2,5\n", [1.5, 2.5]),
        ("1,2,3\n4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
        ("1.5, 2.5\n3, 4\n", [[1.5, 2.5], [3, 4]]),
        ("x,y\n1.5,2.5\n3.5,4.5\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("1.5\n2.25\n", [1.5, 2.25]),
    ],
)
def test_arrays_with_decimal_commas_are_read_where_the_lab_writes_them(
    tmp_path: Any, text: str, numbers: list[Any]
) -> None:
    path = tmp_path / "pasted.txt"
    path.write_text(text)
    np.testing.assert_array_equal(read_array(path, decimal_comma=True), numbers)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,5\n2,5\n", "holds 2,5, which could be two numbers or one with a decimal comma"),
        ("1,5;1.234\n", "holds 1.234, which could mean 1,234 or 1234"),
        ("1,5;x\n2,5;y\n", "does not hold a table of numbers"),
    ],
)
def test_arrays_with_two_readings_are_refused(tmp_path: Any, text: str, reason: str) -> None:
    path = tmp_path / "pasted.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_array(path, decimal_comma=True)


def test_a_lab_with_decimal_commas_types_and_pastes_them_everywhere(schema: dj.Schema) -> None:
    pipeline = entry_tables.declare(schema)
    with pipeline.connection.settings.override(forms__decimal_comma=True):
        services = Services(pipeline)
        name = next(info.name for info in services.tables() if info.label == "Subject")
        rows = pipeline[name]()
        rows.insert(
            {"subject_id": f"M{n}", "species": "rat", "weight": w} for n, w in enumerate(("22.4", "22.6"))
        )
        assert asyncio.run(services.browsing.count(name, {"weight": ">22,5"})) == 1
        assert services.restrictions.prefill(name, {"weight": "22,5"}) == {"weight": "22,50"}
        uploads = services.entering.uploads
        reference = uploads.begin("pasted.txt", 7)
        uploads.add(reference, 0, b"1,5;2,5")
        value = uploads.value(reference, services.table(name).attribute("trace"))
        np.testing.assert_array_equal(value, [1.5, 2.5])
        services.close()


def test_the_largest_file_is_a_setting(schema: dj.Schema) -> None:
    pipeline = declare(schema)
    with pipeline.connection.settings.override(forms__max_upload_mb=2):
        services = Services(pipeline)
        with pytest.raises(ValueError, match="larger than 2 MB"):
            services.entering.uploads.begin("a.bin", 2_000_001)
        services.close()
    assert Uploads(5).max_file_bytes == 5
