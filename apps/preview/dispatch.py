"""Which ways of looking there are for a content, the best one first, and the choice between them."""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np
import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.markup import empty_state
from dj_panel.apps.preview import text
from dj_panel.apps.preview.controls import watch
from dj_panel.apps.preview.group import GroupView
from dj_panel.apps.preview.image import ImageView, Plane
from dj_panel.apps.preview.lines import LinesView, signal_of
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.sources import (
    ArraySource,
    Content,
    Group,
    ImageFile,
    Listing,
    Raw,
    Rows,
    Text,
    Tree,
    Value,
    is_numeric,
)
from dj_panel.apps.preview.stack import StackView
from dj_panel.apps.preview.table import TableView, cell, numeric_columns
from dj_panel.apps.preview.tree import arrays_in, tree_html
from dj_panel.apps.preview.view import Context, StillView, View, column, pane, problem_html
from dj_panel.core.words import marked, say

ViewName = Literal["lines", "image", "picture", "stack", "table", "tree", "arrays", "text", "value", "empty"]

LABELS: dict[ViewName, str] = {
    "lines": marked("Lines"),
    "image": marked("Image"),
    "picture": marked("Picture"),
    "stack": marked("Stack"),
    "table": marked("Table"),
    "tree": marked("Tree"),
    "arrays": marked("Arrays"),
    "text": marked("Text"),
    "value": marked("Value"),
    "empty": marked("Value"),
}

log = logging.getLogger(__name__)


def views_of(content: Content, budget_bytes: int) -> tuple[ViewName, ...]:
    """Return the views of a content, the default first.

    >>> views_of(ArraySource(np.zeros(10), None), 1), views_of(ArraySource(np.zeros((64, 64)), None), 1)
    (('lines', 'table'), ('image', 'lines', 'table'))
    """
    if isinstance(content, ArraySource):
        return _views_of_array(content)
    if isinstance(content, ImageFile):
        return ("picture",) if len(content.source.shape) == 3 else ("image",)
    if isinstance(content, Rows):
        return ("table", "lines") if numeric_columns(content.frame, budget_bytes) else ("table",)
    if isinstance(content, Tree):
        return ("tree", "arrays") if arrays_in(content.value) else ("tree",)
    if isinstance(content, Group):
        return ("arrays",)
    if isinstance(content, Text | Raw | Listing):
        return ("text",)
    return ("value",)


def _views_of_array(source: ArraySource) -> tuple[ViewName, ...]:
    shape = source.shape
    if not shape:
        return ("value",)
    if 0 in shape:
        return ("empty",)
    if not is_numeric(source.dtype):
        return ("table",)
    if len(shape) == 1:
        return ("lines", "table")
    if len(shape) == 2:
        return ("lines", "image", "table") if is_multichannel(shape) else ("image", "lines", "table")
    if is_picture(shape, source.dtype):
        return ("picture", "stack", "table")
    return ("stack", "table")


def is_multichannel(shape: tuple[int, ...]) -> bool:
    """Say whether a matrix is more likely channels over time than an image.

    >>> is_multichannel((30000, 384)), is_multichannel((512, 640)), is_multichannel((1000, 3))
    (True, False, True)
    """
    few, many = sorted(shape)
    return (
        (few <= 16 and many >= 4 * few)
        or (few <= 1024 and many >= 20 * few)
        or (few <= 64 and many >= 8 * few)
    )


def is_picture(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Say whether three axes are the rows, columns and colours of a picture.

    >>> is_picture((512, 512, 3), np.dtype("u1")), is_picture((3, 512, 512), np.dtype("u1"))
    (True, False)
    """
    few_colors = len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) >= 8
    return few_colors and (dtype in (np.dtype("u1"), np.dtype("u2")) or dtype.kind == "f")


def make_view(name: ViewName, content: Content, context: Context) -> View:
    """Return the view of that name; it must be one that `views_of` gave for the content.

    Raises
    ------
    LookupError
        When the content has no such view.
    """
    if isinstance(content, ImageFile):
        content = content.source
    if isinstance(content, ArraySource):
        return _array_view(name, content, context)
    if isinstance(content, Rows):
        numbers = numeric_columns(content.frame, context.budget_bytes) if name == "lines" else None
        return TableView(context, content) if numbers is None else LinesView(context, signal_of(numbers))
    if isinstance(content, Tree):
        if name == "arrays":
            return GroupView(context, Group(arrays_in(content.value)), Switcher)
        return StillView(context, lambda: tree_html(content.value))
    if isinstance(content, Group):
        return GroupView(context, content, Switcher)
    if isinstance(content, Text):
        return StillView(context, lambda: text.text_html(content))
    if isinstance(content, Raw):
        return StillView(context, lambda: text.bytes_html(content))
    if isinstance(content, Listing):
        return StillView(context, lambda: text.listing_html(content))
    if isinstance(content, Value):
        return StillView(context, lambda: text.value_html(content))
    raise LookupError(f"There is no view {name!r} of {type(content).__name__}.")


def _array_view(name: ViewName, source: ArraySource, context: Context) -> View:
    if name == "lines":
        return LinesView(context, signal_of(source))
    if name == "image":
        return ImageView(context, source, Plane(0, 1))
    if name == "picture":
        return ImageView(context, source, Plane(0, 1, rgb=True))
    if name == "stack":
        return StackView(context, source)
    if name == "table":
        return TableView(context, source)
    if name == "value":
        return StillView(context, lambda: text.value_html(_single(source, context.budget_bytes)))
    if name == "empty":
        shape = " × ".join(str(length) for length in source.shape)
        return StillView(context, lambda: _empty(shape))
    raise LookupError(f"There is no view {name!r} of an array.")


def _empty(shape: str) -> str:
    return empty_state(say("This array is empty"), say("Its shape is {shape}.", shape=shape))


def _single(source: ArraySource, budget_bytes: int) -> Value:
    return Value(cell(source.read((), budget_bytes)[()])[0])


class Switcher:
    """The views of one content, one of them shown.

    Attributes
    ----------
    views
        Names of all of them.
    name
        Name of the one that is shown.
    view
        The view itself, None until `start`.
    """

    def __init__(self, context: Context, content: Content, wanted: str | None = None) -> None:
        self.context = context
        self.content = content
        self.views = views_of(content, context.budget_bytes)
        self.name: ViewName = next((name for name in self.views if name == wanted), self.views[0])
        self.view: View | None = None
        self._body = column()

    async def start(self) -> Viewable:
        """Show the first view and return it with the choice."""
        await self.choose(self.name)
        if len(self.views) == 1:
            return self._body
        options = {say(LABELS[name]): name for name in self.views}
        choice = pmui.RadioButtonGroup(options=options, value=self.name, size="small", margin=(4, 0))
        watch(choice, self.choose)
        return column(choice, self._body)

    async def choose(self, name: ViewName) -> None:
        """Show another view; what goes wrong is said in its place."""
        self.close()
        self.name = name
        view = make_view(name, self.content, self.context)
        self.view = view
        try:
            layout = await view.start()
        except Exception as error:
            log.warning("A view of a value could not be shown", exc_info=True)
            layout = pane(problem_html(error))

        def place() -> None:
            # A view chosen later may have overtaken this one.
            if self.view is view:
                self._body[:] = [layout]

        await on_document(self.context.document, place)

    async def settled(self) -> None:
        """Return when everything asked for is shown."""
        if self.view is not None:
            await self.view.settled()

    def close(self) -> None:
        """Stop reading."""
        if self.view is not None:
            self.view.close()
