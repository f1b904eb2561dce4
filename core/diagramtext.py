"""A diagram written down: what there is to draw, and its text for Mermaid and Graphviz."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dj_panel.core.graph import Graph
from dj_panel.core.structure import ForeignKey, TableName

__all__ = ["COLORS", "Line", "Picture", "Shape", "dot", "mermaid"]

COLORS: Mapping[str, tuple[str, str, str]] = {
    "Manual": ("#e3f1e6", "#2f7d46", "#1d4a2b"),
    "Lookup": ("#eceff3", "#67727e", "#39424c"),
    "Imported": ("#e2ecfa", "#2f66b0", "#1d406e"),
    "Computed": ("#fae5e4", "#b3403a", "#6e2723"),
    "Part": ("#ffffff", "#8a949e", "#39424c"),
    "Schema": ("#f3eefb", "#7a52b3", "#4a3170"),
}
"""Fill, outline and text of each tier on a light ground; the contrast of the text is above 7."""


@dataclass(frozen=True)
class Shape:
    """A table, or a schema that stands for several.

    Attributes
    ----------
    id
        A name of letters, digits and underscores.
    label
        What is written on it.
    tier
        ``"Manual"`` …, or ``"Schema"``.
    schema
        Where it belongs.
    """

    id: str
    label: str
    tier: str
    schema: str


@dataclass(frozen=True)
class Line:
    """A foreign key, from parent to child.

    Attributes
    ----------
    source, target
        The ids of the shapes.
    kind
        ``"one"`` if each parent has at most one child, ``"many"`` if it is part of the child's key among
        others, ``"secondary"`` if it is not part of the key.
    label
        What it renames: ``"friend = subject"``.
    """

    source: str
    target: str
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Picture:
    """All that there is to draw."""

    shapes: tuple[Shape, ...]
    lines: tuple[Line, ...]
    direction: str = "LR"

    @classmethod
    def of(
        cls, graph: Graph, shown: Sequence[TableName], hidden: Sequence[TableName], direction: str
    ) -> Picture:
        """Return the picture of some tables, those that are hidden as one shape for each schema."""
        shapes = {n: Shape(_id(f"{n.schema}.{n.table}"), n.class_name, n.tier, n.schema) for n in shown}
        for schema in dict.fromkeys(n.schema for n in hidden):
            number = sum(n.schema == schema for n in hidden)
            label = f"{schema} ({number} {'table' if number == 1 else 'tables'})"
            collapsed = Shape(_id(schema), label, "Schema", schema)
            shapes |= {n: collapsed for n in hidden if n.schema == schema}
        lines: dict[Line, None] = {}
        for name, shape in shapes.items():
            for parent, fk in graph.parents(name):
                if parent in shapes and shapes[parent] != shape:
                    is_between_tables = "Schema" not in (shape.tier, shapes[parent].tier)
                    line = Line(shapes[parent].id, shape.id, "many")
                    if is_between_tables:
                        line = Line(line.source, line.target, _kind(graph, name, fk), _label(fk))
                    lines[line] = None
        return cls(tuple(dict.fromkeys(shapes.values())), tuple(lines), direction)

    def by_schema(self) -> dict[str, list[Shape]]:
        """Return the shapes of each schema, in order."""
        found: dict[str, list[Shape]] = {}
        for shape in self.shapes:
            found.setdefault(shape.schema, []).append(shape)
        return found


def _id(text: str) -> str:
    # every other character by its number, so that no two names become one
    return "t_" + re.sub(r"[^A-Za-z0-9_]", lambda m: f"_{ord(m[0]):x}_", text)


def _kind(graph: Graph, child: TableName, fk: ForeignKey) -> str:
    if not fk.in_key:
        return "one" if fk.unique else "secondary"
    return "one" if set(graph.tables[child].heading.primary_key) == set(fk.attributes) else "many"


def _label(fk: ForeignKey) -> str:
    pairs = zip(fk.attributes, fk.parent_attributes, strict=True)
    return ", ".join(f"{ours} = {theirs}" for ours, theirs in pairs if ours != theirs)


def mermaid(picture: Picture) -> str:
    """Return a picture in Mermaid's language.

    Thick lines lead to children of which a parent has at most one, dashed ones are not part of the key.
    """
    lines = [f"flowchart {picture.direction}"]
    for tier, (fill, outline, text) in COLORS.items():
        lines.append(f"    classDef {tier.lower()} fill:{fill},stroke:{outline},color:{text}")
    for schema, shapes in picture.by_schema().items():
        lines.append(f"    subgraph {_id(schema)}_group[{_mermaid_text(schema)}]")
        for shape in shapes:
            left, right = ("([", "])") if shape.tier in ("Imported", "Computed") else ("[", "]")
            lines.append(
                f"        {shape.id}{left}{_mermaid_text(shape.label)}{right}:::{shape.tier.lower()}"
            )
        lines.append("    end")
    arrows = {"one": "==>", "many": "-->", "secondary": "-.->"}
    for line in picture.lines:
        label = f"|{_mermaid_text(line.label)}|" if line.label else ""
        lines.append(f"    {line.source} {arrows[line.kind]}{label} {line.target}")
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    escaped = text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    return f'"{escaped}"'


def dot(picture: Picture) -> str:
    """Return a picture in Graphviz' language; the lines as for :func:`mermaid`."""
    lines = [
        "digraph Diagram {",
        f"    rankdir={picture.direction};",
        '    node [shape=box, style=filled, fontname="sans-serif", fontsize=11];',
        '    edge [color="#57606a", fontname="sans-serif", fontsize=9, arrowsize=0.6];',
    ]
    for schema, shapes in picture.by_schema().items():
        lines.append(f"    subgraph {_dot_text('cluster_' + schema)} {{")
        lines.append(f"        label={_dot_text(schema)};")
        for shape in shapes:
            fill, outline, text = COLORS[shape.tier]
            rounded = ', style="filled,rounded"' if shape.tier in ("Imported", "Computed") else ""
            lines.append(
                f"        {shape.id} [label={_dot_text(shape.label)}, fillcolor={_dot_text(fill)},"
                f" color={_dot_text(outline)}, fontcolor={_dot_text(text)}{rounded}];"
            )
        lines.append("    }")
    styles = {"one": "penwidth=2.5", "many": "penwidth=1", "secondary": "style=dashed"}
    for line in picture.lines:
        label = f", label={_dot_text(line.label)}" if line.label else ""
        lines.append(f"    {line.source} -> {line.target} [{styles[line.kind]}{label}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
