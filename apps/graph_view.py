"""The table diagram in the browser: nodes that are real buttons, drawn as SVG, with zoom and keyboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NotRequired, TypedDict

import param
from panel.custom import JSComponent

from dj_panel.apps.assets import asset, script
from dj_panel.apps.layout import Box, Direction, Link, layout
from dj_panel.apps.markup import ICON_PATHS, tier_label
from dj_panel.core.words import say_many

EdgeStyle = Literal["primary", "secondary", "renamed", "renamed-secondary"]

_TIERS: Final = ("lookup", "manual", "imported", "computed", "part")
#: Mean width of a character at the sizes of the two lines of a node, in px, on the wide side.
_LABEL_CHARACTER = 8.5
_DETAIL_CHARACTER = 6.6
_NARROWEST, _WIDEST = 148.0, 288.0


class Node(TypedDict):
    """A table of the diagram: `id` is its name in the application, `label` what it is called in the box.

    `subtitle` stands in the second line until `status` has a count; `schema` is the group it belongs to.
    """

    id: str
    label: str
    tier: str
    schema: NotRequired[str]
    subtitle: NotRequired[str]
    parts: NotRequired[list[str]]


class Edge(TypedDict):
    """A foreign key from a table (`target`) to its parent (`source`); `title` is shown under the pointer."""

    source: str
    target: str
    style: EdgeStyle
    title: NotRequired[str]


class Status(TypedDict, total=False):
    """What is known of a table at the moment.

    `count` is text such as `12 rows`; `done`, `running`, `errors` and `total` count keys and draw the bar;
    `state` is a state of `theme.state_label`. A `muted` table is drawn in grey, as one that is not concerned;
    `note` is said to screen readers and under the pointer.
    """

    count: str
    done: int
    running: int
    errors: int
    total: int
    state: str
    muted: bool
    note: str


class Arrangement(TypedDict):
    """Keyword arguments for `GraphView`: what `arrange` has placed."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    direction: Direction


def node_size(node: Node) -> tuple[float, float]:
    """Return the width and height of a node's box in px, by the length of its texts."""
    tier = node["tier"]
    rows = say_many("{count} row", "{count} rows", 2, count="99,999")
    texts = [
        _LABEL_CHARACTER * len(node["label"]) + 16,
        _DETAIL_CHARACTER * len(f"{tier_label(tier)} · {rows}"),
    ]
    width = 66.0 + (8.0 if tier == "computed" else 0.0) + max(texts)
    height = 52.0
    if node.get("parts"):
        height += 15.0
    if tier in ("imported", "computed"):
        height += 10.0
    return min(max(width, _NARROWEST), _WIDEST), height


def arrange(
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    direction: Direction = "TB",
    clustered: bool = True,
) -> Arrangement:
    """Place tables and route foreign keys; return what `GraphView(**...)` takes.

    Parameters
    ----------
    nodes, edges
        Tables, and foreign keys between them. Folded parts stand in `parts` of their master.
    direction
        `TB` draws parents above children, `LR` left of them.
    clustered
        Keep the tables of each schema together in a labelled rectangle. One schema alone gets none.
    """
    schemas = {node.get("schema", "") for node in nodes}
    clustered = clustered and len(schemas) > 1
    boxes = [Box(node["id"], *node_size(node), group=node.get("schema", "")) for node in nodes]
    links = [Link(edge["source"], edge["target"], edge["style"]) for edge in edges]
    placed = layout(boxes, links, direction=direction, clustered=clustered)
    return {
        "nodes": [
            {
                **node,
                "x": round(at.x, 1),
                "y": round(at.y, 1),
                "width": round(at.width, 1),
                "height": round(at.height, 1),
                "rank": at.rank,
            }
            for node in nodes
            for at in (placed.nodes[node["id"]],)
        ],
        "edges": [
            {**edge, "points": [[round(x, 1), round(y, 1)] for x, y in route]}
            for edge, route in zip(edges, placed.routes, strict=True)
        ],
        "groups": [
            {
                "label": name,
                "x": round(area.x, 1),
                "y": round(area.y, 1),
                "width": round(area.width, 1),
                "height": round(area.height, 1),
            }
            for name, area in placed.groups.items()
        ],
        "direction": direction,
    }


class GraphView(JSComponent):
    """A diagram of tables that can be read, searched by eye, and worked with pointer or keyboard.

    Positions come from `arrange`. Counts and progress go into `status`, which redraws only what differs.
    Give it a height: it fills the box it stands in.

    Examples
    --------
    >>> nodes = [{"id": "lab.subject", "label": "Subject", "tier": "manual"}]
    >>> view = GraphView(**arrange(nodes, []), status={"lab.subject": {"count": "12 rows"}})
    >>> view.set_status("lab.subject", count="13 rows")
    >>> view.status["lab.subject"]["count"]
    '13 rows'
    """

    nodes = param.List(default=[], item_type=dict, doc="Tables with positions, as `arrange` returns them.")
    edges = param.List(default=[], item_type=dict, doc="Foreign keys with points, as `arrange` returns them.")
    groups = param.List(default=[], item_type=dict, doc="Rectangles of schemas: label, x, y, width, height.")
    direction = param.String(default="TB", regex="^(TB|LR)$", doc="Where children stand.")
    status = param.Dict(default={}, doc="Table id -> `Status`.")
    selected = param.String(default="", doc="Id of the selected table, or empty; set on either side.")
    opened = param.String(
        default="", doc="Id of the table last opened (double click, Enter); triggers on every opening."
    )
    highlight = param.List(default=[], item_type=str, doc="Ids to bring out; all others fade. Empty: none.")
    label = param.String(default="Diagram", doc="Name of the diagram for screen readers.")
    icons = param.Dict(default=dict(ICON_PATHS), constant=True, doc="Icon name -> SVG, from the theme.")
    tiers = param.Dict(
        default={tier: tier_label(tier) for tier in _TIERS}, constant=True, doc="Tier -> word, in order."
    )

    read_only = param.Boolean(
        default=False,
        constant=True,
        doc="A picture: nothing in it is selected or opened, and text beside it says it.",
    )

    _esm = script("graph_shapes.js", "graph_camera.js", "graph_input.js", "graph_view.js")
    _stylesheets: ClassVar[list[str]] = [asset("graph_view.css")]

    def __init__(self, **params: Any) -> None:
        sizing = {"sizing_mode": "stretch_both", "min_height": 360, "margin": 0}
        super().__init__(**(sizing | params))  # type: ignore[no-untyped-call]

    def set_status(self, table: str, **changes: Any) -> None:
        """Change some fields of one table's `Status`; all others stay."""
        self.status = {**self.status, table: {**self.status.get(table, {}), **changes}}

    def bring_out(self, tables: Iterable[str]) -> None:
        """Fade everything but `tables`; with none, show all alike."""
        self.highlight = list(tables)

    def neighbourhood(self, table: str, *, up: int = 1, down: int = 1) -> set[str]:
        """Return `table` with its ancestors up to `up` and its descendants up to `down` steps away."""
        found = {table}
        for start, end, steps in (("target", "source", up), ("source", "target", down)):
            reached = {table}
            for _ in range(steps):
                reached |= {edge[end] for edge in self.edges if edge[start] in reached}
            found |= reached
        return found

    def _handle_msg(self, data: Mapping[str, Any]) -> None:
        table = data.get("open")
        # The browser enforces nothing: only what is in the diagram can be opened.
        if not any(node["id"] == table for node in self.nodes):
            return
        if self.opened == table:
            self.param.trigger("opened")
        else:
            self.opened = table
