"""Nested dicts and lists: branches that open and close, bounded in breadth, depth and number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dj_panel.apps.markup import escape
from dj_panel.apps.preview.description import describe, shortened
from dj_panel.apps.preview.sources import ArraySource, is_numeric
from dj_panel.apps.preview.table import cell
from dj_panel.core.words import say

MOST_NODES = 2000
MOST_CHILDREN = 100
MOST_LEVELS = 12
OPEN_LEVELS = 2
MOST_PLOTS = 200
LONGEST_TEXT = 300

Branch = Mapping[Any, Any] | list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]


def tree_html(value: object) -> str:
    """Return nested containers as HTML that opens and closes with mouse and keyboard; all text is escaped."""
    return f'<div class="scroll"><div class="tree">{_Drawing().node("", value, 0)}</div></div>'


def arrays_in(value: object) -> dict[str, ArraySource]:
    """Return the numeric arrays inside nested containers that can be drawn, by path.

    >>> list(arrays_in({"a": [np.zeros(3)], "b": 1, "c": np.zeros((2, 2))}))
    ['c', 'a[0]']
    """
    found: dict[str, ArraySource] = {}
    pending: list[tuple[str, object, int]] = [("", value, 0)]
    n_seen = 0
    while pending and n_seen < MOST_NODES and len(found) < MOST_PLOTS:
        path, node, level = pending.pop(0)
        n_seen += 1
        if isinstance(node, np.ndarray):
            if node.ndim and node.size > 1 and is_numeric(node.dtype):
                found[path or "value"] = ArraySource(node, None)
        elif _is_branch(node) and level < MOST_LEVELS:
            for key, child in _children(node):
                pending.append((_joined(path, key, node), child, level + 1))
    return found


def _joined(path: str, key: object, parent: object) -> str:
    if not isinstance(parent, Mapping):
        return f"{path}[{key}]"
    name = shortened(str(key), 40)
    return f"{path}.{name}" if path else name


def _is_branch(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple | set | frozenset)


def _children(branch: Any) -> Iterator[tuple[object, object]]:
    pairs = branch.items() if isinstance(branch, Mapping) else enumerate(branch)
    for _, pair in zip(range(MOST_CHILDREN), pairs, strict=False):
        yield pair


class _Drawing:
    """Counts nodes while it draws, so that no value makes a page of unbounded size."""

    def __init__(self) -> None:
        self._n_nodes = 0

    def node(self, label: str, value: object, level: int) -> str:
        self._n_nodes += 1
        name = f'<span class="k">{escape(label)}</span>: ' if label else ""
        if not _is_branch(value):
            return f'<div class="leaf">{name}{_leaf(value)}</div>'
        assert isinstance(value, Mapping | list | tuple | set | frozenset)
        told = f'<span class="t">{escape(describe(value).text)}</span>'
        if not value:
            return f'<div class="leaf">{name}{told}</div>'
        if level >= MOST_LEVELS:
            deeper = say("(deeper levels are not shown)")
            return f'<div class="leaf">{name}{told} <span class="t">{deeper}</span></div>'
        children = []
        for key, child in _children(value):
            if self._n_nodes >= MOST_NODES:
                break
            children.append(self.node(shortened(str(key), 80) or say("(empty name)"), child, level + 1))
        left = len(value) - len(children)
        if left:
            more = say("… {n} more not shown", n=left)
            children.append(f'<div class="leaf t">{more}</div>')
        is_open = " open" if level < OPEN_LEVELS and len(children) <= 30 else ""
        inside = "".join(children)
        return f"<details{is_open}><summary>{name}{told}</summary><div>{inside}</div></details>"


def _leaf(value: object) -> str:
    if isinstance(value, str):
        return f"<code>{escape(shortened(value, LONGEST_TEXT))}</code>"
    if isinstance(value, np.ndarray):
        told = f'<span class="t">{escape(describe(value).text)}</span>'
        if value.ndim == 1 and 0 < value.size <= 8 and is_numeric(value.dtype):
            return f"<code>{escape(', '.join(cell(item)[0] for item in value))}</code> {told}"
        return told
    text, kind = cell(value)
    return f'<span class="t">{escape(text)}</span>' if kind == "none" else f"<code>{escape(text)}</code>"
