"""Diagrams as pictures: the layered layout of the browser's diagram, as SVG or PNG for notebooks and files."""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dj_panel.apps.layout import Area, Box, Direction, Layout, Link, Placed, Point, layout
from dj_panel.core import diagram
from dj_panel.core.diagramtext import COLORS, Line, Picture, Shape
from dj_panel.core.errors import QuerySyntaxError

__all__ = ["Diagram", "Svg", "image", "svg"]

_LETTER, _HEIGHT, _MARGIN, _FONT = 7.4, 34.0, 12.0, "system-ui, sans-serif"
_STROKES = {
    "one": 'stroke-width="2.6"',
    "many": 'stroke-width="1.2"',
    "secondary": 'stroke-width="1.2" stroke-dasharray="5 4"',
}


class Svg(str):
    """A picture as SVG, which notebooks show."""

    @property
    def data(self) -> str:
        """Its text, where IPython's class of this name has it."""
        return str(self)

    def _repr_svg_(self) -> str:
        return str(self)


class Diagram(diagram.Diagram):
    """A diagram that notebooks show as a picture."""

    __doc__ = diagram.Diagram.__doc__

    def svg_string(self) -> str:
        """Return the picture as SVG."""
        return svg(self.picture)

    def make_svg(self) -> Svg:
        """Return the picture as SVG that notebooks show."""
        return Svg(self.svg_string())

    def make_png(self) -> io.BytesIO:
        """Return the picture as a PNG file."""
        file = io.BytesIO()
        image(self.picture).save(file, "PNG")
        file.seek(0)
        return file

    def make_image(self) -> NDArray[np.float32]:
        """Return the picture as an array of shape ``(height, width, 4)``, red to opacity, from 0 to 1."""
        pixels: NDArray[np.float32] = np.asarray(image(self.picture).convert("RGBA"), dtype=np.float32)
        return pixels / np.float32(255)

    def draw(self) -> None:
        """Show the picture with matplotlib, which must be installed."""
        try:
            plt: Any = importlib.import_module("matplotlib.pyplot")
        except ImportError as error:
            raise QuerySyntaxError(
                "draw() shows the diagram with matplotlib, which is not installed. Install it, or use"
                " save('diagram.svg')."
            ) from error
        plt.imshow(self.make_image())
        plt.gca().axis("off")
        plt.show()

    def _repr_svg_(self) -> str:
        return self.svg_string()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg_string(), "text/plain": repr(self)}

    def save(self, filename: str | Path, format: str | None = None) -> None:  # noqa: A002 - DataJoint's name
        """Write the diagram to a file: ``svg``, ``png``, ``mmd`` (Mermaid) or ``dot``, by its ending or as said."""
        path = Path(filename)
        kind = (format or path.suffix.lstrip(".")).lower()
        writers = {"svg": self.svg_string, "mmd": self.make_mermaid, "mermaid": self.make_mermaid,
                   "dot": self.make_dot, "gv": self.make_dot}  # fmt: skip
        if kind == "png":
            path.write_bytes(self.make_png().getvalue())
            return
        if kind not in writers:
            raise QuerySyntaxError(f"A diagram can be saved as svg, png, mmd or dot, and not as '{kind}'.")
        path.write_text(writers[kind](), encoding="utf-8")


def svg(picture: Picture) -> str:
    """Return a picture as SVG, with a title on every shape and line."""
    placed = _layout(picture)
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


def _layout(picture: Picture) -> Layout:
    direction: Direction = "TB" if picture.direction == "TB" else "LR"
    boxes = [Box(s.id, max(60.0, len(s.label) * _LETTER + 24), _HEIGHT, s.schema) for s in picture.shapes]
    links = [Link(line.source, line.target, line.kind) for line in picture.lines]
    return layout(boxes, links, direction=direction, clustered=len(picture.by_schema()) > 1)


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


# ------------------------------------------------------------------------ PNG
_SCALE = 2
_MAX_FINE_PIXELS = 40_000_000
_STEPS = 12


def image(picture: Picture) -> Image.Image:
    """Return a picture as an image on white, with two pixels for one of the SVG."""
    placed = _layout(picture)
    width, height = (math.ceil(length + 2 * _MARGIN) for length in (placed.width, placed.height))
    # Pillow's lines have steps, which are smoothed by drawing finer than is shown; where that takes too much
    # memory, the lines are long enough without.
    finer = 2 if width * height * (2 * _SCALE) ** 2 <= _MAX_FINE_PIXELS else 1
    canvas = _Canvas(width, height, _SCALE * finer)
    for schema, area in placed.groups.items():
        canvas.box(area, 8, "#f2f3f5", "#bfc5cc", 1)
        canvas.text((area.x + 8, area.y + 11), schema, 11, "#6a7581", "lm")
    for line, route in zip(picture.lines, placed.routes, strict=True):
        color = "#b06f00" if line.label else "#7f8c99"
        canvas.line(_curve(route), color, 2.6 if line.kind == "one" else 1.2, dashed=line.kind == "secondary")
    for shape in picture.shapes:
        place = placed.nodes[shape.id]
        fill, outline, text = COLORS[shape.tier]
        canvas.box(place, _HEIGHT / 2 if shape.tier in ("Imported", "Computed") else 4, fill, outline, 1.4)
        middle = (place.x + place.width / 2, place.y + place.height / 2)
        canvas.text(middle, shape.label, 12.5, text, "mm")
    return canvas.image.reduce(finer)


class _Canvas:
    """An image that is drawn on in the lengths of the layout."""

    def __init__(self, width: int, height: int, scale: int) -> None:
        self.image = Image.new("RGB", (width * scale, height * scale), "white")
        self._draw = ImageDraw.Draw(self.image)
        self._scale = scale

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        return [((x + _MARGIN) * self._scale, (y + _MARGIN) * self._scale) for x, y in points]

    def box(self, area: Area | Placed, radius: float, fill: str, outline: str, width: float) -> None:
        corners = self._pixels([(area.x, area.y), (area.x + area.width, area.y + area.height)])
        self._draw.rounded_rectangle(corners, radius * self._scale, fill, outline, round(width * self._scale))

    def line(self, points: Sequence[Point], color: str, width: float, *, dashed: bool) -> None:
        pixels = self._pixels(points)
        for piece in list(pairwise(pixels))[::2] if dashed else [pixels]:
            self._draw.line(piece, color, round(width * self._scale), joint="curve")

    def text(self, place: Point, text: str, size: float, color: str, anchor: str) -> None:
        font = ImageFont.load_default(size * self._scale)
        self._draw.text(self._pixels([place])[0], text, color, font, anchor)


def _curve(route: Sequence[Point]) -> list[Point]:
    """Return points along a route of cubic curves: a start, then three points for each curve."""
    points = list(route[:1])
    for first in range(0, len(route) - 3, 3):
        a, b, c, d = (np.array(point) for point in route[first : first + 4])
        for t in np.linspace(0, 1, _STEPS + 1)[1:]:
            x, y = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
            points.append((float(x), float(y)))
    return points
