"""Where the boxes and lines of a table diagram go: a layered drawing of a directed graph, in plain Python.

`ranks` and `layered` do the work on numbered vertices; here boxes go in, and coordinates in px come out.

Same input, same drawing: nothing here is random, and ties fall to the order in which boxes are given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from dj_panel.apps.layered import Drawing, Frame, Spacing
from dj_panel.apps.ranks import Edge, rank_nodes

__all__ = ["Area", "Box", "Direction", "Layout", "Link", "Placed", "Point", "Spacing", "layout"]

Direction = Literal["TB", "LR"]
Point = tuple[float, float]

#: Distance of the ends of links that join the same two nodes, in px.
_PARALLEL_GAP = 12.0


@dataclass(frozen=True)
class Box:
    """A node to place: its size in px and the group, if any, that it is kept with."""

    id: str
    width: float
    height: float
    group: str = ""


@dataclass(frozen=True)
class Link:
    """An edge to route. Links of the same `source` and `kind` may share the start of their line."""

    source: str
    target: str
    kind: str = ""


@dataclass(frozen=True)
class Placed:
    """A placed node: its top left corner and size in px, and its rank (0 is drawn first)."""

    x: float
    y: float
    width: float
    height: float
    rank: int


@dataclass(frozen=True)
class Area:
    """The rectangle of a group, in px, with room at the top for a label."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """A finished drawing that starts at (0, 0).

    `routes` has one entry per link, in the order given: the points of a chain of cubic Bezier curves from
    source to target, `p0, c, c, p1, c, c, p2, ...`, so `3 n + 1` points. A link from a node to itself, which
    has no place in layers, has none.
    """

    nodes: Mapping[str, Placed]
    routes: tuple[tuple[Point, ...], ...]
    groups: Mapping[str, Area]
    width: float
    height: float


def layout(
    boxes: Sequence[Box],
    links: Sequence[Link],
    *,
    direction: Direction = "TB",
    clustered: bool = False,
    spacing: Spacing | None = None,
) -> Layout:
    """Place `boxes` in layers and route `links` between them.

    Parameters
    ----------
    boxes
        The nodes; their ids must differ.
    links
        The edges; both ends must be among `boxes`. Every link of an acyclic graph runs from a lower to a
        higher rank (with `clustered`, if the links between groups have no cycle either). Of a cycle, at
        least one link runs backwards.
    direction
        `TB` draws ranks from top to bottom, `LR` from left to right.
    clustered
        Keep the boxes of each group together and give the group a rectangle that no other box enters.
    spacing
        Distances in px.

    Raises
    ------
    ValueError
        If two boxes have the same id, or a link names a box that is not there.
    """
    spacing = spacing or Spacing()
    index = {box.id: i for i, box in enumerate(boxes)}
    for i, box in enumerate(boxes):
        if index[box.id] != i:
            raise ValueError(f"two boxes have the id {box.id!r}")
    for link in links:
        for end in (link.source, link.target):
            if end not in index:
                raise ValueError(f"the link {link.source} -> {link.target} names {end!r}, which is no box")
    if not boxes:
        return Layout({}, tuple(() for _ in links), {}, 0, 0)

    groups = list(dict.fromkeys(box.group for box in boxes)) if clustered else [""]
    number = {name: i for i, name in enumerate(groups)}
    group_of = [number[box.group] if clustered else 0 for box in boxes]
    edges = [(index[link.source], index[link.target]) for link in links]
    ranks, bands = rank_nodes(edges, group_of)

    down = direction == "TB"
    padding = spacing.padding if clustered else 0.0
    label = spacing.label if clustered else 0.0
    frame = Frame(
        before=padding if down else padding + label,
        after=padding,
        above=padding + label if down else padding,
        below=padding,
    )
    drawing = Drawing(ranks, bands, group_of, [box.width if down else box.height for box in boxes])
    paths = drawing.connect(edges, [link.kind for link in links])
    drawing.order()
    drawing.place(spacing, frame)
    return _Finish(boxes, drawing, frame, spacing, direction).layout(
        edges, paths, groups if clustered else []
    )


class _Finish:
    """Turns a drawing in ranks into coordinates, in the direction asked for."""

    def __init__(
        self,
        boxes: Sequence[Box],
        drawing: Drawing,
        frame: Frame,
        spacing: Spacing,
        direction: Direction,
    ) -> None:
        self.boxes, self.drawing, self.frame = boxes, drawing, frame
        self.down = direction == "TB"
        self.along = [box.height if self.down else box.width for box in boxes]
        self.top, self.bottom = self._extents(spacing)

    def _extents(self, spacing: Spacing) -> tuple[list[float], list[float]]:
        """Return where each rank begins and ends; ranks with slanting lines between them get more room."""
        drawing, frame = self.drawing, self.frame
        top, bottom = [], []
        y = 0.0
        for rank, layer in enumerate(drawing.layers):
            new_band = rank == 0 or drawing.bands[rank] != drawing.bands[rank - 1]
            if rank:
                slant = max(
                    (abs(drawing.x[v] - drawing.x[w]) for v in layer for w in drawing.up[v]), default=0
                )
                y += (frame.below if new_band else 0) + spacing.rank + min(2 * spacing.rank, slant * 0.05)
            y += frame.above if new_band else 0
            top.append(y)
            y += max((self.along[v] for v in layer if v < drawing.n_nodes), default=0)
            bottom.append(y)
        return top, bottom

    def layout(self, edges: Sequence[Edge], paths: Sequence[Sequence[int]], groups: Sequence[str]) -> Layout:
        drawing = self.drawing
        nodes = {}
        for v, box in enumerate(self.boxes):
            rank = drawing.rank[v]
            start = (self.top[rank] + self.bottom[rank] - self.along[v]) / 2
            x, y = self._turn((drawing.x[v] - drawing.size[v] / 2, start))
            nodes[box.id] = Placed(x, y, box.width, box.height, rank)
        areas = {name: self._area(number) for number, name in enumerate(groups)}
        right = max(drawing.x[v] + drawing.size[v] / 2 for v in range(len(drawing.x))) + self.frame.after
        width, height = self._turn((right, self.bottom[-1] + self.frame.below))
        return Layout(nodes, self._routes(edges, paths), areas, width, height)

    def _turn(self, point: Point) -> Point:
        return point if self.down else (point[1], point[0])

    def _area(self, group: int) -> Area:
        drawing, frame = self.drawing, self.frame
        ranks = [drawing.rank[v] for v in range(drawing.n_nodes) if drawing.unit[v] == group]
        first, last = min(ranks), max(ranks)
        inside = [
            v for v, unit in enumerate(drawing.unit) if unit == group and first <= drawing.rank[v] <= last
        ]
        left = min(drawing.x[v] - drawing.size[v] / 2 for v in inside) - frame.before
        right = max(drawing.x[v] + drawing.size[v] / 2 for v in inside) + frame.after
        x, y = self._turn((left, self.top[first] - frame.above))
        far_x, far_y = self._turn((right, self.bottom[last] + frame.below))
        return Area(x, y, far_x - x, far_y - y)

    def _routes(self, edges: Sequence[Edge], paths: Sequence[Sequence[int]]) -> tuple[tuple[Point, ...], ...]:
        beside: defaultdict[Edge, list[int]] = defaultdict(list)
        for i, (source, target) in enumerate(edges):
            beside[min(source, target), max(source, target)].append(i)
        shift = [0.0] * len(edges)
        for parallel in beside.values():
            for k, i in enumerate(parallel):
                shift[i] = (k - (len(parallel) - 1) / 2) * _PARALLEL_GAP
        return tuple(self._route(path, shift[i]) for i, path in enumerate(paths))

    def _route(self, path: Sequence[int], shift: float) -> tuple[Point, ...]:
        """Return the curves along `path`: straight across a rank, bending only between ranks."""
        if not path:
            return ()
        drawing = self.drawing
        stops: list[Point] = []
        step = 1 if drawing.rank[path[0]] < drawing.rank[path[-1]] else -1
        for i, v in enumerate(path):
            rank, x = drawing.rank[v], drawing.x[v]
            enter, leave = self.top[rank], self.bottom[rank]
            if v < drawing.n_nodes:
                middle = (enter + leave) / 2
                x += shift
                half = self.along[v] / 2
                stops += [(x, middle + step * half)] if i == 0 else []
                edge = leave if (i == 0) == (step > 0) else enter
                if abs(abs(edge - middle) - half) > 0.5:
                    stops.append((x, edge))
                stops += [(x, middle - step * half)] if i else []
            else:
                stops += [(x, enter), (x, leave)][::step]
        points = stops[:1]
        for (x0, y0), (x1, y1) in pairwise(stops):
            bend = (y0 + y1) / 2
            points += [(x0, bend), (x1, bend), (x1, y1)]
        return tuple(self._turn(point) for point in points)
