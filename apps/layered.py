"""Order and places in a layered drawing: the steps behind `layout`, on numbered vertices.

Nothing here knows boxes or directions: ranks run down, a rank runs across, and a vertex has only a size
across. The steps are those of Sugiyama, Tagawa and Toda (1981): give every node a rank (`ranks`), split long
edges at the ranks they pass, order each rank so that few edges cross, then place each rank as near to its
neighbours as the sizes allow.

Two things are our own. Edges of one kind from the same node share one line until they part, as the many
children of a session table would otherwise fill the drawing. And nodes may be kept together by group:
groups of a band stand side by side, and each takes part in the ordering and placing as one stiff *unit*, so
that the areas of groups never overlap.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from dj_panel.apps.ranks import Edge

#: What tells the lines that links share: source and kind, and the link itself if it runs backwards.
_Key = tuple[int | str, ...]

#: Width kept free for a line that passes a rank, in px.
_LINE_WIDTH = 14.0
#: Rounds of ordering without a gain before it ends, and at most.
_IDLE_ROUNDS = 2
_ORDER_ROUNDS = 8
_PLACE_ROUNDS = 8
#: Exchanging neighbours one by one pays only on graphs that a reader can take in at once.
_EXCHANGE_LIMIT = 600


@dataclass(frozen=True)
class Spacing:
    """Distances in px: between ranks, between neighbours of a rank, around groups, and a group's label."""

    rank: float = 32
    node: float = 24
    group: float = 28
    padding: float = 14
    label: float = 18


# ------------------------------------------------------------------------------- order within the ranks


@dataclass(frozen=True)
class Frame:
    """Room kept around the nodes of a group: before and after along a rank, above and below the ranks."""

    before: float
    after: float
    above: float
    below: float


class Drawing:
    """The graph as it is drawn: nodes first, then one vertex for each rank that a line passes.

    `x` holds the centre of each vertex along its rank. A vertex belongs to a unit: its group, or for a line
    that only passes a band, a unit of its own.
    """

    def __init__(
        self, ranks: Sequence[int], bands: Sequence[int], group_of: Sequence[int], sizes: Sequence[float]
    ) -> None:
        self.n_nodes = len(ranks)
        self.rank = list(ranks)
        self.bands = list(bands)
        self.ranks_of: list[list[int]] = [[] for _ in range(max(bands) + 1)]
        for rank, band in enumerate(bands):
            self.ranks_of[band].append(rank)
        self.unit = list(group_of)
        self.n_groups = max(group_of) + 1
        self.n_units = self.n_groups
        self.size = list(sizes)
        self.up: list[list[int]] = [[] for _ in ranks]
        self.down: list[list[int]] = [[] for _ in ranks]
        self.layers: list[list[int]] = []
        self.pos: list[int] = []
        self.unit_pos: list[float] = []
        self.x: list[float] = []

    def connect(self, edges: Sequence[Edge], kinds: Sequence[str]) -> list[list[int]]:
        """Add the vertices of long edges; return each edge's vertices from source to target."""
        trunks: dict[_Key, list[int]] = defaultdict(list)
        keys: list[_Key] = []
        for i, (source, target) in enumerate(edges):
            backwards = self.rank[source] > self.rank[target]
            key: _Key = (target, kinds[i], i) if backwards else (source, kinds[i])
            keys.append(key)
            trunks[key].append(source if backwards else target)
        lines: dict[_Key, dict[int, int]] = defaultdict(dict)
        passing: dict[_Key, int] = {}
        joined: set[Edge] = set()
        paths: list[list[int]] = []
        for (source, target), key in zip(edges, keys, strict=True):
            if source == target:
                paths.append([])
                continue
            top, bottom = (source, target) if self.rank[source] < self.rank[target] else (target, source)
            path = [top]
            for rank in range(self.rank[top] + 1, self.rank[bottom]):
                if rank not in lines[key]:
                    unit = self._line_unit(top, trunks[key], rank, key, passing)
                    lines[key][rank] = self._add_line(rank, unit)
                path.append(lines[key][rank])
            path.append(bottom)
            for above, below in pairwise(path):
                if (above, below) not in joined:
                    joined.add((above, below))
                    self.down[above].append(below)
                    self.up[below].append(above)
            paths.append(path if top == source else path[::-1])
        return paths

    def _add_line(self, rank: int, unit: int) -> int:
        self.rank.append(rank)
        self.unit.append(unit)
        self.size.append(_LINE_WIDTH)
        self.up.append([])
        self.down.append([])
        return len(self.rank) - 1

    def _line_unit(
        self,
        top: int,
        ends: Sequence[int],
        rank: int,
        key: _Key,
        passing: dict[_Key, int],
    ) -> int:
        """Return the unit of a line at `rank`: where it comes from, where it all goes to, or its own."""
        band = self.bands[rank]
        if band == self.bands[self.rank[top]]:
            return self.unit[top]
        goals = {(self.bands[self.rank[end]], self.unit[end]) for end in ends if self.rank[end] > rank}
        if len(goals) == 1 and next(iter(goals))[0] == band:
            return next(iter(goals))[1]
        if (*key, band) not in passing:
            passing[(*key, band)] = self.n_units
            self.n_units += 1
        return passing[(*key, band)]

    def order(self) -> None:
        """Order every rank so that few edges cross, units staying together."""
        self._first_order()
        best, units = [layer[:] for layer in self.layers], self.unit_pos[:]
        fewest = self.crossings()
        idle = 0
        for turn in range(_ORDER_ROUNDS):
            # Even a drawing without crossings gains from one round: it centres what may stand anywhere.
            if (turn and not fewest) or idle >= _IDLE_ROUNDS:
                break
            self._sweep(downwards=turn % 2 == 0)
            self._sweep(downwards=turn % 2 == 1)
            if len(self.rank) <= _EXCHANGE_LIMIT:
                self._exchange()
            count = self.crossings()
            idle = 0 if count < fewest else idle + 1
            if count <= fewest:
                fewest, best, units = count, [layer[:] for layer in self.layers], self.unit_pos[:]
        self.unit_pos = units
        for rank, layer in enumerate(best):
            self._set_layer(rank, layer)

    def _set_layer(self, rank: int, layer: list[int]) -> None:
        self.layers[rank] = layer
        for i, v in enumerate(layer):
            self.pos[v] = i

    def _first_order(self) -> None:
        """Order vertices as a walk down the graph meets them, which keeps branches apart."""
        seen = [-1] * len(self.rank)
        clock = 0
        for root in sorted(range(len(self.rank)), key=lambda v: (self.rank[v], v)):
            walk = [root] if seen[root] < 0 else []
            while walk:
                v = walk.pop()
                if seen[v] < 0:
                    seen[v] = clock
                    clock += 1
                    walk += reversed(self.down[v])
        self.unit_pos = [math.inf] * self.n_units
        for v, unit in enumerate(self.unit):
            self.unit_pos[unit] = min(self.unit_pos[unit], seen[v])
        self.layers = [[] for _ in self.bands]
        for v, rank in enumerate(self.rank):
            self.layers[rank].append(v)
        self.pos = [0] * len(self.rank)
        for rank, layer in enumerate(self.layers):
            self._set_layer(rank, sorted(layer, key=lambda v: (self.unit_pos[self.unit[v]], seen[v])))

    def _sweep(self, *, downwards: bool) -> None:
        fixed_side = self.up if downwards else self.down
        ranks = range(len(self.layers)) if downwards else range(len(self.layers) - 1, -1, -1)
        band = -1
        for rank in ranks:
            if self.bands[rank] != band:
                band = self.bands[rank]
                self._order_units(band)
            beside = rank - 1 if downwards else rank + 1
            layer = self.layers[rank]
            scale = len(self.layers[beside]) / len(layer) if 0 <= beside < len(self.layers) else 1.0
            keys = {}
            for v in layer:
                near = fixed_side[v]
                middle = sum(self.pos[w] for w in near) / len(near) if near else self.pos[v] * scale
                keys[v] = (self.unit_pos[self.unit[v]], middle)
            self._set_layer(rank, self._lines_amid(sorted(layer, key=keys.__getitem__), keys))

    def _lines_amid(self, layer: list[int], keys: Mapping[int, tuple[float, float]]) -> list[int]:
        """Put lines into the middle of the nodes that may stand on either side of them.

        So rows of children of one table grow to both sides of the line that leads on to the next row.
        """
        ordered: list[int] = []
        for _, run in groupby(layer, key=keys.__getitem__):
            tied = list(run)
            nodes = [v for v in tied if v < self.n_nodes]
            lines = [v for v in tied if v >= self.n_nodes]
            half = len(nodes) // 2
            ordered += nodes[:half] + lines + nodes[half:]
        return ordered

    def _order_units(self, band: int) -> None:
        """Order the units of a band by where their neighbours outside of it stand."""
        pulls: defaultdict[int, list[float]] = defaultdict(list)
        present: dict[int, float] = {}
        for rank in self.ranks_of[band]:
            for v in self.layers[rank]:
                unit = self.unit[v]
                present.setdefault(unit, self.unit_pos[unit])
                for w in self.up[v] + self.down[v]:
                    if self.unit[w] != unit:
                        pulls[unit].append((self.pos[w] + 0.5) / len(self.layers[self.rank[w]]))
        if len(present) > 1:
            old = {unit: i for i, unit in enumerate(sorted(present, key=present.__getitem__))}
            place = {
                unit: sum(pulls[unit]) / len(pulls[unit]) if pulls[unit] else (i + 0.5) / len(old)
                for unit, i in old.items()
            }
            for i, unit in enumerate(sorted(old, key=lambda unit: (place[unit], old[unit]))):
                self.unit_pos[unit] = i
            for rank in self.ranks_of[band]:
                self._set_layer(rank, sorted(self.layers[rank], key=lambda v: self.unit_pos[self.unit[v]]))

    def _exchange(self) -> None:
        """Swap neighbours of a rank as long as that takes away crossings."""

        def crossed(left: int, right: int) -> int:
            total = 0
            for side in (self.up, self.down):
                rights = sorted(self.pos[w] for w in side[right])
                total += sum(bisect_left(rights, self.pos[w]) for w in side[left])
            return total

        for layer in self.layers:
            for i in range(len(layer) - 1):
                left, right = layer[i], layer[i + 1]
                if self.unit[left] == self.unit[right] and crossed(left, right) > crossed(right, left):
                    layer[i], layer[i + 1] = right, left
                    self.pos[right], self.pos[left] = i, i + 1

    def crossings(self) -> int:
        """Return how many pairs of line segments between neighbouring ranks cross."""
        total = 0
        for layer in self.layers:
            ends: list[int] = []
            for v in layer:
                here = sorted(self.pos[w] for w in self.down[v])
                total += sum(len(ends) - bisect_right(ends, end) for end in here)
                for end in here:
                    insort(ends, end)
        return total

    # ------------------------------------------------------------------------- place within the ranks

    def place(self, spacing: Spacing, frame: Frame) -> None:
        """Set `x` of every vertex, so that none of a rank touch and lines are as straight as that allows."""
        self.x = [0.0] * len(self.rank)
        rows: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(self.n_units)]
        for rank, layer in enumerate(self.layers):
            for v in layer:
                rows[self.unit[v]][rank].append(v)
        for unit_rows in rows:
            self._place_unit(list(unit_rows.values()), spacing)
        if self.n_units > 1:
            self._place_units(rows, spacing, frame)
        left = min(self.x[v] - self.size[v] / 2 for v in range(len(self.x))) - frame.before
        self.x = [x - left for x in self.x]

    def _gap(self, v: int, w: int, spacing: Spacing) -> float:
        lines = (v >= self.n_nodes) + (w >= self.n_nodes)
        return (self.size[v] + self.size[w]) / 2 + (spacing.node, spacing.node / 2, 0.0)[lines]

    def _place_unit(self, rows: list[list[int]], spacing: Spacing) -> None:
        if all(len(row) == 1 for row in rows):
            return  # a line that only passes stays straight
        gaps = [[self._gap(v, w, spacing) for v, w in pairwise(row)] for row in rows]
        for row, between in zip(rows, gaps, strict=True):
            x = -sum(between) / 2
            for v, gap in zip(row, [*between, 0.0], strict=True):
                self.x[v] = x
                x += gap
        n = self.n_nodes
        for turn in range(_PLACE_ROUNDS):
            # Down, up, down, up ... and at the end towards both sides at once.
            both = turn >= _PLACE_ROUNDS - 2
            sides = (self.up, self.down) if both else (self.up,) if turn % 2 == 0 else (self.down,)
            order = range(len(rows)) if turn % 2 == 0 else range(len(rows) - 1, -1, -1)
            for i in order:
                goals, weights = [], []
                for v in rows[i]:
                    goal, weight = self.x[v] * 0.01, 0.01
                    for side in sides:
                        for w in side[v]:
                            if self.unit[w] == self.unit[v]:
                                # A long line should be straight even where a short one has to bend for it.
                                pull = (1.0, 2.0, 8.0)[(v >= n) + (w >= n)]
                                goal += pull * self.x[w]
                                weight += pull
                    goals.append(goal / weight)
                    weights.append(weight)
                for v, x in zip(rows[i], _nearest(goals, weights, gaps[i]), strict=True):
                    self.x[v] = x

    def _place_units(self, rows: list[dict[int, list[int]]], spacing: Spacing, frame: Frame) -> None:
        """Move whole units, so that those of a band stand side by side and near their neighbours."""
        members = [[v for row in unit_rows.values() for v in row] for unit_rows in rows]
        band_of = [self.bands[self.rank[vertices[0]]] for vertices in members]
        left, right = [], []
        for unit, vertices in enumerate(members):
            group = unit < self.n_groups
            left.append(min(self.x[v] - self.size[v] / 2 for v in vertices) - frame.before * group)
            right.append(max(self.x[v] + self.size[v] / 2 for v in vertices) + frame.after * group)
        bands: list[list[int]] = [[] for _ in range(max(self.bands) + 1)]
        for unit in sorted(range(self.n_units), key=lambda unit: self.unit_pos[unit]):
            bands[band_of[unit]].append(unit)
        gaps = [
            [
                right[a]
                - left[b]
                + (spacing.group if a < self.n_groups and b < self.n_groups else spacing.node)
                for a, b in pairwise(units)
            ]
            for units in bands
        ]
        shift = [0.0] * self.n_units
        for turn in range(_PLACE_ROUNDS):
            for i in range(len(bands)) if turn % 2 == 0 else range(len(bands) - 1, -1, -1):
                goals, weights = [], []
                for unit in bands[i]:
                    goal, weight = shift[unit] * 0.01, 0.01
                    for v in members[unit]:
                        for w in self.up[v] + self.down[v]:
                            if self.unit[w] != unit:
                                goal += self.x[w] + shift[self.unit[w]] - self.x[v]
                                weight += 1.0
                    goals.append(goal / weight)
                    weights.append(weight)
                for unit, x in zip(bands[i], _nearest(goals, weights, gaps[i]), strict=True):
                    shift[unit] = x
        self.x = [x + shift[unit] for x, unit in zip(self.x, self.unit, strict=True)]


def _nearest(goals: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the positions, each at least `gaps[i]` after the one before, that are nearest to `goals`.

    Nearest in the weighted sum of squares: isotonic regression by pooling neighbours that would overlap.

    >>> _nearest([0.0, 0.0], [1.0, 1.0], [10.0])
    [-5.0, 5.0]
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    pools: list[tuple[float, float, int]] = []  # weighted sum, weight, how many
    for goal, weight, offset in zip(goals, weights, offsets, strict=True):
        total, heavy, count = (goal - offset) * weight, weight, 1
        while pools and pools[-1][0] * heavy >= total * pools[-1][1]:
            before = pools.pop()
            total, heavy, count = total + before[0], heavy + before[1], count + before[2]
        pools.append((total, heavy, count))
    pooled = [total / heavy for total, heavy, count in pools for _ in range(count)]
    return [position + offset for position, offset in zip(pooled, offsets, strict=True)]
