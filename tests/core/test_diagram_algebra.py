"""Diagrams: which tables an expression of diagrams has, and which rows a restriction reaches, on both servers."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.core.diagramtext import COLORS
from tests.conftest import Backend
from tests.lab_tables import declare_lab, fill_lab


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    lab = fill_lab(declare_lab(schema), subjects=3)
    lab.schema = schema
    return lab


def names(diagram: Any) -> set[str]:
    return {table.name.class_name for table in diagram}


ALL = {"Species", "Subject", "Session", "Session.Trial", "Rate", "Rate.Bin"}


def test_a_diagram_is_made_of_a_schema_a_module_a_table_or_a_diagram(lab: Any) -> None:
    whole = dj.Diagram(lab.schema)
    assert names(whole) >= ALL
    module = ModuleType("lab")
    module.schema = lab.schema  # type: ignore[attr-defined]
    for source in (module, whole, dj.virtual_schema(lab.schema.name, connection=lab.schema.connection)):
        assert dj.Diagram(source) == whole
    for source in (lab.Session, lab.Session(), lab.Session & "session = 1"):
        assert names(dj.Diagram(source)) == {"Session"}
    with pytest.raises(dj.errors.QuerySyntaxError, match="is made of a schema"):
        dj.Diagram(5)


def test_steps_go_to_children_and_to_parents(lab: Any) -> None:
    session = dj.Diagram(lab.Session)
    assert names(session + 1) == {"Session", "Session.Trial", "Rate"}
    assert names(session + 2) == names(session + 99) == {"Session", "Session.Trial", "Rate", "Rate.Bin"}
    assert names(session - 1) == {"Session", "Subject"}
    assert names(session - 2) == {"Session", "Subject", "Species"}
    assert names(session + 1 - 1) == {"Session", "Session.Trial", "Rate", "Subject"}
    assert names(session + 0) == {"Session"}


def test_diagrams_are_added_subtracted_and_intersected(lab: Any) -> None:
    whole, session, rate = (dj.Diagram(x) for x in (lab.schema, lab.Session, lab.Rate))
    assert names(session + rate) == {"Session", "Rate"}
    assert names(session + lab.Rate) == {"Session", "Rate"}
    assert session + rate == rate + session == session + rate + rate
    assert names(whole - session) == names(whole) - {"Session"}
    assert names(whole - lab.Rate.Bin) == names(whole) - {"Rate.Bin"}
    assert names((session + 1) * (rate - 1)) == {"Session", "Rate"}
    assert names(dj.Diagram.from_sequence([lab.Session, lab.Rate])) == {"Session", "Rate"}
    assert names(session.add_parts()) == {"Session", "Session.Trial"}
    assert not session - session
    assert lab.Session in session
    assert lab.Rate not in session
    assert len(session + rate) == 2


def test_tables_come_parents_first_and_parts_after_their_masters(lab: Any) -> None:
    order = [table.name.class_name for table in dj.Diagram(lab.schema)]
    position = {name: i for i, name in enumerate(order)}
    for table in dj.Diagram(lab.schema):
        for parent in table.parents(as_objects=True):
            assert position[parent.name.class_name] < position[table.name.class_name]
    assert position["Session.Trial"] == position["Session"] + 1
    assert position["Rate.Bin"] == position["Rate"] + 1
    assert [t.name.class_name for t in reversed(dj.Diagram(lab.schema))] == order[::-1]


def test_a_cascade_counts_what_a_deletion_takes(lab: Any) -> None:
    lab.Rate.populate()
    chosen = lab.Session & {"subject": "M1"} & "session < 3"
    counts = dj.Diagram.cascade(chosen).counts()
    tables = (lab.Session, lab.Session.Trial, lab.Rate, lab.Rate.Bin)
    assert list(counts) == [table().full_table_name for table in tables]
    before = {table().full_table_name: len(table()) for table in tables}
    chosen.delete(prompt=False)
    assert counts == {
        table().full_table_name: before[table().full_table_name] - len(table()) for table in tables
    }
    assert set(dj.Diagram.cascade(chosen).counts().values()) == {0}
    with pytest.raises(dj.errors.QuerySyntaxError, match="prune"):
        dj.Diagram.cascade(chosen).prune()
    with pytest.raises(dj.errors.QuerySyntaxError, match="restrict"):
        dj.Diagram.cascade(chosen).restrict(lab.Session & "session = 1")


def test_a_cascade_from_a_part_takes_its_master_if_asked_to(lab: Any) -> None:
    trials = lab.Session.Trial & {"subject": "M1", "session": 1}
    assert names(dj.Diagram.cascade(trials)) == {"Session.Trial"}
    assert "Session" in names(dj.Diagram.cascade(trials, part_integrity="cascade"))
    assert dj.Diagram.cascade(trials, part_integrity="cascade")[lab.Session].keys() == [
        {"subject": "M1", "session": 1}
    ]
    with pytest.raises(dj.errors.QuerySyntaxError, match="casade"):
        dj.Diagram.cascade(trials, part_integrity="casade")


def test_a_trace_leads_to_the_rows_that_a_result_rests_on(lab: Any) -> None:
    lab.Rate.populate()
    lab.Session.update1({"subject": "M1", "session": 2, "partner": "M3"})
    trace = dj.Diagram.trace(lab.Rate & {"subject": "M1", "session": 2})
    assert names(trace) == {"Rate", "Session", "Subject", "Species"}
    assert trace[lab.Session].keys() == [{"subject": "M1", "session": 2}]
    # by either foreign key
    assert sorted(trace["Subject"].to_arrays("subject").tolist()) == ["M1", "M3"]
    assert trace[f"{lab.schema.name}.Session"].fetch1("session") == 2
    assert trace[lab.Session().full_table_name].fetch1("session") == 2
    assert trace.counts()[lab.Subject().full_table_name] == 2
    with pytest.raises(dj.errors.MissingTableError, match="rest on"):
        trace[lab.Session.Trial]
    with pytest.raises(dj.errors.MissingTableError, match=r"Did you mean '.*Session'"):
        trace[f"{lab.schema.name}.Sesion"]


def test_restrictions_meet_where_their_tables_do(lab: Any) -> None:
    whole = dj.Diagram(lab.schema)
    with pytest.raises(dj.errors.QuerySyntaxError, match="Nothing is restricted"):
        whole.counts()
    one = whole.restrict(lab.Subject & "subject < 'M3'")
    assert one.counts()[lab.Session().full_table_name] == 6
    both = one.restrict(lab.Session & "session = 1")
    assert both.counts()[lab.Session().full_table_name] == 2
    assert both[lab.Session].to_arrays("subject", order_by="subject").tolist() == ["M1", "M2"]
    assert (
        both.counts()
        == whole.restrict(lab.Session & "session = 1").restrict(lab.Subject & "subject < 'M3'").counts()
    )
    assert one.restrict(lab.Subject & "subject > 'M1'")[lab.Subject].keys() == [{"subject": "M2"}]
    # what was not restricted stays whole
    assert len(both[lab.Species]) == len(lab.Species())
    assert lab.Species().full_table_name not in both.counts()
    pruned = both.prune()
    assert "Rate" not in names(pruned)
    assert {"Session", "Session.Trial", "Species"} <= names(pruned)
    assert "Rate" not in names(whole.prune())
    with pytest.raises(dj.errors.QuerySyntaxError, match="in the diagram"):
        dj.Diagram(lab.Session).restrict(lab.Subject & "subject = 'M1'")


def test_it_reaches_into_schemas_that_are_not_loaded(backend: Backend, lab: Any) -> None:
    other = dj.Schema(backend.prefix + "later", connection=lab.schema.connection)

    @other
    class Note(dj.Manual):
        definition = "-> lab.Session\nnote : int8"

    fresh = backend.connect()
    seen = dj.virtual_schema(lab.schema.name, connection=fresh)
    assert "Note" in names(dj.Diagram(seen.Session) + 1)
    assert "Note" in names(dj.Diagram.cascade(seen.Session & "session = 1"))
    upstream = dj.FreeTable(fresh, f"{backend.prefix}later.note")
    assert names(dj.Diagram.trace(upstream)) == {"Note", "Session", "Subject", "Species"}
    with pytest.raises(dj.errors.GraphError, match="different connections"):
        dj.Diagram(lab.Session) + dj.Diagram(seen.Session)
    fresh.close()


def test_a_collapsed_schema_is_one_node_until_a_table_of_it_is_added(lab: Any) -> None:
    whole = dj.Diagram(lab.schema)
    n_tables = len(whole)
    collapsed = whole.collapse()
    assert f"{lab.schema.name} ({n_tables} tables)" in collapsed.make_mermaid()
    assert '"Session"' not in collapsed.make_mermaid()
    shown = collapsed + lab.Session
    assert f"{lab.schema.name} ({n_tables - 1} tables)" in shown.make_mermaid()
    assert '"Session"' in shown.make_mermaid()
    assert shown == dj.Diagram(lab.Session) + collapsed


def test_its_texts_name_every_table_and_foreign_key(lab: Any) -> None:
    diagram = dj.Diagram(lab.schema)
    text = diagram.make_mermaid()
    assert text.startswith("flowchart LR\n")
    for name in ALL:
        assert f'"{name}"' in text
    assert '-.->|"partner = subject"|' in text
    assert text.count("==>") >= 1
    graph = diagram.make_dot()
    assert graph.startswith("digraph")
    assert graph.count("->") == text.count("->") + text.count("==>")
    with lab.schema.connection.settings.override(display__diagram_direction="TB"):
        assert diagram.make_mermaid().startswith("flowchart TB\n")
        assert "rankdir=TB" in diagram.make_dot()


def test_a_notebook_shows_it_as_a_picture_with_every_table(lab: Any, tmp_path: Path) -> None:
    diagram = dj.Diagram(lab.schema)
    root = ET.fromstring(diagram._repr_svg_())
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert texts >= ALL
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "Session refers to Subject: partner = subject" in titles
    for ending, begin in (("svg", "<svg"), ("mmd", "flowchart"), ("dot", "digraph")):
        diagram.save(tmp_path / f"lab.{ending}")
        assert (tmp_path / f"lab.{ending}").read_text().startswith(begin)
    assert diagram.make_svg().data == diagram.make_svg()._repr_svg_() == diagram.svg_string()
    diagram.save(tmp_path / "lab.png")
    assert (tmp_path / "lab.png").read_bytes() == diagram.make_png().read()
    pixels = diagram.make_image()
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    assert pixels.shape[:2] == pytest.approx((2 * height, 2 * width), abs=2)
    colors = {tuple(color) for color in np.rint(pixels[:, :, :3] * 255).astype(int).reshape(-1, 3).tolist()}
    for tier in ("Manual", "Lookup", "Computed", "Part"):
        assert set(map(rgb, COLORS[tier])) <= colors, "the shapes, their outlines and their names"
    with pytest.raises(dj.errors.QuerySyntaxError, match="svg, png, mmd or dot"):
        diagram.save(tmp_path / "lab.pdf")


def rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def test_drawing_without_matplotlib_says_what_else_there_is(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(dj.errors.QuerySyntaxError, match=r"matplotlib.*save"):
        dj.Diagram(lab.schema).draw()


def test_the_drawing_is_loaded_when_it_is_asked_for_and_without_panel() -> None:
    script = """
import sys, dj_panel
assert "dj_panel.diagram" not in sys.modules
dj_panel.Diagram
assert not {"panel", "bokeh", "holoviews", "pandas"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
