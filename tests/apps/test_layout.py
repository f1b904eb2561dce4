"""What the layered drawing promises: everything placed, nothing overlapping, links running down."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_panel.apps.layered import Drawing
from dj_panel.apps.layout import Area, Box, Layout, Link, Placed, layout
from dj_panel.apps.ranks import rank_nodes

DIRECTIONS: tuple[Literal["TB", "LR"], ...] = ("TB", "LR")
SLACK = 1e-6


def boxes(*names: str, width: float = 100, height: float = 40) -> list[Box]:
    return [Box(name, width, height) for name in names]


def links(*pairs: str) -> list[Link]:
    return [Link(*pair.split(">")) for pair in pairs]


def overlap(one: Placed | Area, other: Placed | Area) -> bool:
    return (
        one.x + one.width > other.x + SLACK
        and other.x + other.width > one.x + SLACK
        and one.y + one.height > other.y + SLACK
        and other.y + other.height > one.y + SLACK
    )


def inside(part: Placed, whole: Area | Layout) -> bool:
    x, y = (whole.x, whole.y) if isinstance(whole, Area) else (0.0, 0.0)
    return (
        part.x >= x - SLACK
        and part.y >= y - SLACK
        and part.x + part.width <= x + whole.width + SLACK
        and part.y + part.height <= y + whole.height + SLACK
    )


def lab() -> tuple[list[Box], list[Link]]:
    """Return a pipeline as laboratories have it: 16 tables in four schemas."""
    schemas = {
        "subject": "Species Source Subject",
        "session": "Person Rig Session",
        "acquisition": "Modality Recording Signal Volume Micrograph",
        "analysis": "Filter HeartRate SpikeAverage Segmentation Snr",
    }
    tables = [Box(name, 160, 52, schema) for schema, names in schemas.items() for name in names.split()]
    keys = links(
        "Species>Subject", "Source>Subject", "Subject>Session", "Rig>Session", "Person>Session",
        "Session>Recording", "Modality>Recording", "Recording>Signal", "Recording>Volume",
        "Recording>Micrograph", "Signal>HeartRate", "Filter>HeartRate", "Signal>SpikeAverage",
        "Recording>SpikeAverage", "Micrograph>Segmentation", "Volume>Snr",
    )  # fmt: skip
    return tables, keys


@st.composite
def graphs(draw: st.DrawFn, *, cyclic: bool = False) -> tuple[list[Box], list[Link]]:
    n = draw(st.integers(1, 24))
    size = st.integers(8, 260)
    group = st.sampled_from(["", "a", "b", "c"])
    tables = [Box(f"t{i}", draw(size), draw(size), draw(group)) for i in range(n)]
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.sampled_from(["", "dashed"]))
    edges = [
        Link(f"t{a}", f"t{b}", kind)
        for a, b, kind in draw(st.lists(ends, max_size=40))
        if cyclic or a < b  # edges from an earlier to a later table have no cycle
    ]
    return tables, edges


def check(tables: list[Box], edges: list[Link], drawn: Layout) -> None:
    """Assert what holds of every drawing."""
    assert set(drawn.nodes) == {box.id for box in tables}
    assert len(drawn.routes) == len(edges)
    for box in tables:
        at = drawn.nodes[box.id]
        assert (at.width, at.height) == (box.width, box.height)
        assert inside(at, drawn)
    for one, other in combinations(drawn.nodes.values(), 2):
        assert not overlap(one, other)
    for edge, route in zip(edges, drawn.routes, strict=True):
        if edge.source == edge.target:
            assert route == ()
        else:
            assert len(route) % 3 == 1
            assert on_border(drawn.nodes[edge.source], route[0])
            assert on_border(drawn.nodes[edge.target], route[-1])


def on_border(box: Placed, point: tuple[float, float]) -> bool:
    x, y = point
    # The ends of parallel links stand aside from the middle, at narrow boxes beyond their corner.
    return min(abs(x - box.x), abs(x - box.x - box.width)) < SLACK or (
        min(abs(y - box.y), abs(y - box.y - box.height)) < SLACK
    )


@given(graphs(), st.sampled_from(DIRECTIONS), st.booleans())
def test_every_box_is_placed_and_none_overlap(
    graph: tuple[list[Box], list[Link]], direction: Literal["TB", "LR"], clustered: bool
) -> None:
    tables, edges = graph
    check(tables, edges, layout(tables, edges, direction=direction, clustered=clustered))


@given(graphs(cyclic=True), st.booleans())
def test_cycles_and_links_to_oneself_are_drawn_too(
    graph: tuple[list[Box], list[Link]], clustered: bool
) -> None:
    tables, edges = graph
    check(tables, edges, layout(tables, edges, clustered=clustered))


@given(graphs())
def test_links_of_an_acyclic_graph_point_down(graph: tuple[list[Box], list[Link]]) -> None:
    tables, edges = graph
    drawn = layout(tables, edges)
    for edge, route in zip(edges, drawn.routes, strict=True):
        above, below = drawn.nodes[edge.source], drawn.nodes[edge.target]
        assert above.rank < below.rank
        assert above.y + above.height < below.y
        heights = [y for _, y in route]
        assert heights == sorted(heights)


@given(graphs())
def test_left_to_right_links_point_right(graph: tuple[list[Box], list[Link]]) -> None:
    tables, edges = graph
    drawn = layout(tables, edges, direction="LR")
    for edge in edges:
        assert drawn.nodes[edge.source].x + drawn.nodes[edge.source].width < drawn.nodes[edge.target].x


@given(graphs(cyclic=True), st.sampled_from(DIRECTIONS))
def test_groups_hold_their_boxes_and_no_others_and_do_not_overlap(
    graph: tuple[list[Box], list[Link]], direction: Literal["TB", "LR"]
) -> None:
    tables, edges = graph
    drawn = layout(tables, edges, direction=direction, clustered=True)
    assert set(drawn.groups) == {box.group for box in tables}
    for one, other in combinations(drawn.groups.values(), 2):
        assert not overlap(one, other)
    for box in tables:
        for name, area in drawn.groups.items():
            if name == box.group:
                assert inside(drawn.nodes[box.id], area)
            else:
                assert not overlap(drawn.nodes[box.id], area)


@given(graphs(cyclic=True), st.booleans())
def test_the_same_graph_is_drawn_the_same_way_twice(
    graph: tuple[list[Box], list[Link]], clustered: bool
) -> None:
    tables, edges = graph
    assert layout(tables, edges, clustered=clustered) == layout(tables, edges, clustered=clustered)


def test_links_between_acyclic_groups_point_down() -> None:
    tables, edges = lab()
    drawn = layout(tables, edges, clustered=True)
    for edge in edges:
        assert drawn.nodes[edge.source].rank < drawn.nodes[edge.target].rank
    tops = [drawn.groups[name].y for name in ("subject", "session", "acquisition", "analysis")]
    assert tops == sorted(tops)


def test_a_drawing_of_nothing_is_empty() -> None:
    assert layout([], []) == Layout({}, (), {}, 0, 0)


def test_ranks_follow_the_longest_path() -> None:
    drawn = layout(boxes(*"abcd"), links("a>b", "b>c", "a>c", "c>d"))
    assert [drawn.nodes[name].rank for name in "abcd"] == [0, 1, 2, 3]


def test_a_lookup_table_stands_right_above_the_table_that_uses_it() -> None:
    drawn = layout(boxes(*"abcdz"), links("a>b", "b>c", "c>d", "z>d"))
    assert drawn.nodes["z"].rank == drawn.nodes["c"].rank


def test_a_chain_is_drawn_as_a_straight_line() -> None:
    drawn = layout(boxes(*"abcd"), links("a>b", "b>c", "c>d"))
    assert {x for route in drawn.routes for x, _ in route} == {50.0}


def test_a_parent_stands_in_the_middle_above_its_children() -> None:
    drawn = layout(boxes(*"abc"), links("a>b", "a>c"))
    centre = {name: at.x + at.width / 2 for name, at in drawn.nodes.items()}
    assert centre["a"] == pytest.approx((centre["b"] + centre["c"]) / 2, abs=1)


def test_children_of_one_parent_fill_several_rows_rather_than_one_endless_row() -> None:
    names = [f"t{i}" for i in range(61)]
    drawn = layout(boxes(*names), [Link("t0", name) for name in names[1:]])
    assert max(Counter(at.rank for at in drawn.nodes.values()).values()) <= 12
    assert drawn.width < 3 * drawn.height


def test_tables_without_links_share_rows() -> None:
    drawn = layout(boxes(*(f"t{i}" for i in range(100))), [])
    assert max(Counter(at.rank for at in drawn.nodes.values()).values()) <= 13


def test_long_links_of_one_kind_from_one_table_share_their_line() -> None:
    tables = boxes(*"abcdef")
    chain = links("a>b", "b>c", "c>d", "d>e", "d>f")
    shared = layout(tables, [*chain, Link("a", "e"), Link("a", "f")]).routes[-2:]
    apart = layout(tables, [*chain, Link("a", "e"), Link("a", "f", "dashed")]).routes[-2:]
    assert shared[0][:10] == shared[1][:10]
    assert apart[0][3:10] != apart[1][3:10]


def test_two_links_between_the_same_tables_do_not_cover_each_other() -> None:
    one, other = layout(boxes("a", "b"), [Link("a", "b"), Link("a", "b", "renamed")]).routes
    assert one[0] != other[0]
    assert one[-1] != other[-1]


def test_a_long_link_passes_beside_the_boxes_of_the_ranks_between() -> None:
    drawn = layout(boxes(*"abcd"), links("a>b", "b>c", "c>d", "a>d"))
    passed = [drawn.nodes["b"], drawn.nodes["c"]]
    for x, y in drawn.routes[-1]:
        assert not any(b.x < x < b.x + b.width and b.y < y < b.y + b.height for b in passed)


def crossings(tables: list[Box], edges: list[Link]) -> int:
    index = {box.id: i for i, box in enumerate(tables)}
    pairs = [(index[edge.source], index[edge.target]) for edge in edges]
    ranks, bands = rank_nodes(pairs, [0] * len(tables))
    drawing = Drawing(ranks, bands, [0] * len(tables), [box.width for box in tables])
    drawing.connect(pairs, [edge.kind for edge in edges])
    drawing.order()
    return drawing.crossings()


def test_crossings_are_counted() -> None:
    drawing = Drawing([0, 0, 1, 1], [0, 0], [0] * 4, [10.0] * 4)
    drawing.connect([(0, 3), (1, 2), (0, 2), (1, 3)], [""] * 4)
    drawing.order()
    assert drawing.crossings() == 1


def test_a_tree_is_drawn_without_crossings() -> None:
    names = [f"t{i}" for i in range(31)]
    tree = [Link(f"t{(i - 1) // 2}", f"t{i}") for i in range(1, 31)]
    scattered = sorted(tree, key=lambda link: link.target[::-1])
    assert crossings(boxes(*names[::-1]), scattered) == 0


def test_a_ladder_given_in_the_wrong_order_is_untangled() -> None:
    rungs = [Link(f"a{i}", f"b{7 - i}") for i in range(8)] + [Link(f"b{i}", f"c{7 - i}") for i in range(8)]
    assert crossings(boxes(*(f"{row}{i}" for row in "abc" for i in range(8))), rungs) == 0


def test_the_pipeline_of_a_laboratory_has_at_most_one_crossing() -> None:
    assert crossings(*lab()) <= 1


def test_a_new_leaf_leaves_the_ranks_of_all_other_tables_alone() -> None:
    tables, edges = lab()
    before = layout(tables, edges)
    after = layout([*tables, Box("New", 160, 52, "analysis")], [*edges, Link("Signal", "New")])
    assert {name: after.nodes[name].rank for name in before.nodes} == {
        name: at.rank for name, at in before.nodes.items()
    }


def test_a_thousand_tables_are_placed_without_overlap() -> None:
    # Long and wide at once: each table hangs on one of the thirty before it, every third on a second.
    edges = [Link(f"t{i - 1 - (i * 7) % min(i, 30)}", f"t{i}") for i in range(1, 1000)]
    edges += [Link(f"t{i // 2}", f"t{i}", "dashed") for i in range(3, 1000, 3)]
    tables = [Box(f"t{i}", 150 + i % 60, 52, f"g{i // 50}") for i in range(1000)]
    for clustered in (False, True):
        drawn = layout(tables, edges, clustered=clustered)
        rows: dict[int, list[Placed]] = {}
        for at in drawn.nodes.values():
            rows.setdefault(at.rank, []).append(at)
        for row in rows.values():
            row.sort(key=lambda at: at.x)
            assert all(a.x + a.width < b.x for a, b in pairwise(row))


def test_two_boxes_of_one_id_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'a'"):
        layout(boxes("a", "a"), [])


def test_a_link_to_a_box_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"a -> z names 'z'"):
        layout(boxes("a"), links("a>z"))
