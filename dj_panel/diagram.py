"""Diagrams as pictures: the layered layout of the browser's diagram, as SVG for notebooks and files."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from dj_panel.apps.layout import Box, Direction, Link, Placed, Point, layout
from dj_panel.core import diagram
from dj_panel.core.diagramtext import COLORS, Line, Picture, Shape
from dj_panel.core.errors import QuerySyntaxError

__all__ = ["Diagram", "svg"]

_LETTER, _HEIGHT, _MARGIN, _FONT = 7.4, 34.0, 12.0, "system-ui, sans-serif"
_STROKES = {
    "one": 'stroke-width="2.6"',
    "many": 'stroke-width="1.2"',
    "secondary": 'stroke-width="1.2" stroke-dasharray="5 4"',
}


class Diagram(diagram.Diagram):
    """A diagram that notebooks show as a picture."""

    __doc__ = diagram.Diagram.__doc__

    def svg_string(self) -> str:
        """Return the picture as SVG."""
        return svg(self.picture)

    def _repr_svg_(self) -> str:
        return self.svg_string()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg_string(), "text/plain": repr(self)}

    def save(self, filename: str | Path, format: str | None = None) -> None:  # noqa: A002 - DataJoint's name
        """Write the diagram to a file: ``svg``, ``mmd`` (Mermaid) or ``dot``, by its ending or as said.

        Raises
        ------
        QuerySyntaxError
            For another format; any program that shows SVG can make a PNG of it.
        """
        path = Path(filename)
        kind = (format or path.suffix.lstrip(".")).lower()
        writers = {"svg": self.svg_string, "mmd": self.make_mermaid, "mermaid": self.make_mermaid,
                   "dot": self.make_dot, "gv": self.make_dot}  # fmt: skip
        if kind not in writers:
            raise QuerySyntaxError(f"A diagram can be saved as svg, mmd or dot, and not as '{kind}'.")
        path.write_text(writers[kind](), encoding="utf-8")


def svg(picture: Picture) -> str:
    """Return a picture as SVG, with a title on every shape and line."""
    direction: Direction = "TB" if picture.direction == "TB" else "LR"
    boxes = [Box(s.id, max(60.0, len(s.label) * _LETTER + 24), _HEIGHT, s.schema) for s in picture.shapes]
    links = [Link(line.source, line.target, line.kind) for line in picture.lines]
    placed = layout(boxes, links, direction=direction, clustered=len(picture.by_schema()) > 1)
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" role="img" aria-label="Diagram of tables">'
    ]
    for schema, area in placed.groups.items():
        parts.append(
            f'<g><rect x="{area.x:.1f}" y="{area.y:.1f}" width="{area.width:.1f}" height="{area.height:.1f}" rx="8"'
            ' fill="#7f8c99" fill-opacity="0.10" stroke="#7f8c99" stroke-opacity="0.5"/>'
            f'<text x="{area.x + 8:.1f}" y="{area.y + 15:.1f}" font-family="{_FONT}" font-size="11"'
            f' fill="#6a7581">{escape(schema)}</text></g>'
        )
    names = {shape.id: shape.label for shape in picture.shapes}
    for line, route in zip(picture.lines, placed.routes, strict=True):
        parts += _line(line, route, names)
    parts += [_shape(shape, placed.nodes[shape.id]) for shape in picture.shapes]
    return "\n".join([*parts, "</svg>"])


def _line(line: Line, route: Sequence[Point], names: dict[str, str]) -> list[str]:
    if not route:
        return []
    start, *rest = (f"{x:.1f} {y:.1f}" for x, y in route)
    curves = " ".join("C " + ", ".join(rest[i : i + 3]) for i in range(0, len(rest), 3))
    color = "#b06f00" if line.label else "#7f8c99"
    title = f"{names[line.target]} refers to {names[line.source]}" + (f": {line.label}" if line.label else "")
    return [
        f'<path d="M {start} {curves}" fill="none" stroke="{color}" {_STROKES[line.kind]}>'
        f"<title>{escape(title)}</title></path>"
    ]


def _shape(shape: Shape, place: Placed) -> str:
    fill, outline, text = COLORS[shape.tier]
    radius = _HEIGHT / 2 if shape.tier in ("Imported", "Computed") else 4
    return (
        f"<g><title>{escape(f'{shape.schema}.{shape.label}, {shape.tier}')}</title>"
        f'<rect x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}"'
        f' rx="{radius}" fill="{fill}" stroke="{outline}" stroke-width="1.4"/>'
        f'<text x="{place.x + place.width / 2:.1f}" y="{place.y + place.height / 2 + 4:.1f}" text-anchor="middle"'
        f' font-family="{_FONT}" font-size="12.5" fill="{text}">{escape(shape.label)}</text></g>'
    )
