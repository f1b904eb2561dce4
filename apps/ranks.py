"""Which rank each node of a layered drawing gets, so that edges run from a lower rank to a higher one.

Edges that close a cycle are turned back first. Nodes may be kept together by group: the ranks of a group
form a *band*, and groups that nothing forces apart share one.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

Edge = tuple[int, int]


def _forward(n: int, edges: Iterable[Edge]) -> list[Edge]:
    """Return the edges between different nodes, with those that close a cycle turned back."""
    children: list[list[int]] = [[] for _ in range(n)]
    has_parent = [False] * n
    for source, target in edges:
        if source != target:
            children[source].append(target)
            has_parent[target] = True
    finished: list[int] = [-1] * n  # -1 unseen, 0 on the path being walked, 1 done
    turned: list[Edge] = []
    # Roots first: a walk that begins inside the graph would turn more edges than it must.
    for root in sorted(range(n), key=lambda v: has_parent[v]):
        if finished[root] >= 0:
            continue
        finished[root] = 0
        walk = [(root, iter(children[root]))]
        while walk:
            v, rest = walk[-1]
            child = next(rest, None)
            if child is None:
                finished[v] = 1
                walk.pop()
            elif finished[child] == 0:
                turned.append((child, v))
            else:
                turned.append((v, child))
                if finished[child] < 0:
                    finished[child] = 0
                    walk.append((child, iter(children[child])))
    return turned


class _Levels:
    """Levels of an acyclic graph, being filled; each takes nodes of at most `limit` weight in all.

    The limit is there because a table with sixty children is better drawn as a few rows than as one row
    that no screen can show.
    """

    def __init__(self, edges: Iterable[Edge], weights: Sequence[int], limit: int) -> None:
        self.weights, self.limit = weights, limit
        self.parents: list[list[int]] = [[] for _ in weights]
        self.children: list[list[int]] = [[] for _ in weights]
        for source, target in dict.fromkeys(edges):
            self.parents[target].append(source)
            self.children[source].append(target)
        self.level = [0] * len(weights)
        self.load: defaultdict[int, int] = defaultdict(int)

    def fits(self, v: int, at: int) -> bool:
        return not self.load[at] or self.load[at] + self.weights[v] <= self.limit

    def settle(self, v: int, at: int) -> None:
        """Give `v` the first level from `at` on that has room."""
        while not self.fits(v, at):
            at += 1
        self.level[v] = at
        self.load[at] += self.weights[v]

    def heights(self) -> list[int]:
        """Return the length of the longest path that leads on from each node."""
        waiting = [len(up) for up in self.parents]
        topological = [v for v, count in enumerate(waiting) if not count]
        for v in topological:
            for child in self.children[v]:
                waiting[child] -= 1
                if not waiting[child]:
                    topological.append(child)
        height = [0] * len(waiting)
        for v in reversed(topological):
            height[v] = max((height[child] + 1 for child in self.children[v]), default=0)
        return height

    def descend(self) -> None:
        """Settle every node that has an edge, by the longest path that leads to it.

        What leads on furthest goes first, so that the limit pushes down leaves rather than whole branches.
        """
        height = self.heights()
        waiting = [len(up) for up in self.parents]
        ready = [(-height[v], v) for v, down in enumerate(self.children) if down and not waiting[v]]
        heapq.heapify(ready)
        while ready:
            _, v = heapq.heappop(ready)
            self.settle(v, max((self.level[parent] + 1 for parent in self.parents[v]), default=0))
            for child in self.children[v]:
                waiting[child] -= 1
                if not waiting[child]:
                    heapq.heappush(ready, (-height[child], child))

    def pull_down_roots(self) -> None:
        """Move nodes without parents to just above their first child, as far as there is room."""
        for v, down in enumerate(self.children):
            if down and not self.parents[v]:
                nearest = min(self.level[child] for child in down) - 1
                for at in range(nearest, self.level[v], -1):
                    if self.fits(v, at):
                        self.load[self.level[v]] -= self.weights[v]
                        self.settle(v, at)
                        break

    def fill_with_lone(self) -> None:
        """Let nodes without any edge fill the gaps."""
        for v, down in enumerate(self.children):
            if not down and not self.parents[v]:
                self.settle(v, 0)


def _levels(edges: Iterable[Edge], weights: Sequence[int], limit: int) -> list[int]:
    """Return a level for each node of an acyclic graph so that every edge leads to a later level."""
    levels = _Levels(edges, weights, limit)
    levels.descend()
    levels.pull_down_roots()
    levels.fill_with_lone()
    used = {old: new for new, old in enumerate(sorted(set(levels.level)))}
    return [used[old] for old in levels.level]


def _limit(n: int) -> int:
    """Return how many nodes a rank may hold, so that a graph of `n` nodes is not much wider than high."""
    return max(6, math.ceil(1.25 * math.sqrt(n)))


def rank_nodes(edges: Sequence[Edge], group_of: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the rank of every node, and the band of every rank; groups of a band share its ranks."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for v, group in enumerate(group_of):
        members[group].append(v)
    inner: defaultdict[int, list[Edge]] = defaultdict(list)
    outer: list[Edge] = []
    for source, target in edges:
        if group_of[source] == group_of[target]:
            inner[group_of[source]].append((source, target))
        else:
            outer.append((group_of[source], group_of[target]))

    local = [0] * len(group_of)
    breadth = [0] * len(members)
    depth = [0] * len(members)
    for group, nodes in members.items():
        place = {v: i for i, v in enumerate(nodes)}
        here = _forward(len(nodes), [(place[source], place[target]) for source, target in inner[group]])
        levels = _levels(here, [1] * len(nodes), _limit(len(nodes)))
        for v, level in zip(nodes, levels, strict=True):
            local[v] = level
        breadth[group] = max(levels.count(level) for level in set(levels))
        depth[group] = max(levels) + 1

    band_of = _levels(_forward(len(members), outer), breadth, max(_limit(len(group_of)), *breadth, 1))
    bands: list[int] = []
    first: list[int] = []
    for band in range(max(band_of) + 1):
        first.append(len(bands))
        bands += [band] * max(depth[group] for group in members if band_of[group] == band)
    return [first[band_of[group]] + local[v] for v, group in enumerate(group_of)], bands
