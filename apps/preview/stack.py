"""Stacks and volumes: an image of two axes, and a slider for each of the others."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dj_panel.apps.preview.controls import select
from dj_panel.apps.preview.image import ImageView, Plane
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.sources import ArraySource
from dj_panel.apps.preview.view import Context, View, column, pane, problem_html, row
from dj_panel.core.words import say

# Beyond four axes the list of planes is longer than it is useful.
MOST_AXES_TO_CHOOSE = 4


class LeadSliders:
    """One slider for each axis that is not drawn.

    Parameters
    ----------
    shape
        Of the whole array.
    axes
        Those that get a slider.
    on_change
        Called with the positions, in the order of `axes`.
    """

    def __init__(
        self, shape: tuple[int, ...], axes: tuple[int, ...], on_change: Callable[[tuple[int, ...]], Any]
    ) -> None:
        self._sliders = []
        for axis in axes:
            last = max(shape[axis] - 1, 0)
            slider = pmui.IntSlider(
                label=say("Axis {axis} (0 to {last})", axis=axis, last=last),
                start=0,
                # A slider from 0 to 0 has no length; such an axis is shown and cannot be moved.
                end=max(last, 1),
                value=last // 2 if last else 0,
                disabled=last == 0,
                width=300,
                margin=(4, 8),
            )
            slider.param.watch(lambda _event: on_change(self.positions), "value")
            self._sliders.append(slider)

    @property
    def positions(self) -> tuple[int, ...]:
        """Where the sliders stand."""
        return tuple(int(slider.value) for slider in self._sliders)

    @property
    def layout(self) -> Viewable:
        """The sliders side by side."""
        return row(*self._sliders)


def first_plane(shape: tuple[int, ...]) -> Plane:
    """Return two neighbouring axes that look like an image: the last two, unless they are very unlike.

    >>> first_plane((100, 512, 640)), first_plane((64, 64, 30, 200))
    (Plane(rows=1, columns=2, rgb=False), Plane(rows=0, columns=1, rgb=False))
    """

    def unlikeness(first: int) -> float:
        return max(shape[first : first + 2]) / max(1, min(shape[first : first + 2]))

    last = len(shape) - 2
    best = min(reversed(range(last + 1)), key=unlikeness)
    chosen = best if unlikeness(last) > 2 and unlikeness(best) < 1.5 else last
    return Plane(chosen, chosen + 1)


class StackView(View):
    """An array of three axes or more, one plane at a time."""

    def __init__(self, context: Context, source: ArraySource) -> None:
        super().__init__(context)
        self.source = source
        self._plane = first_plane(source.shape)
        self._image: ImageView | None = None
        self._sliders: LeadSliders | None = None
        self._body = column()

    @property
    def image(self) -> ImageView | None:
        """The image that is shown."""
        return self._image

    async def start(self) -> Viewable:
        """Show one plane, at the middle of the other axes."""
        await self._show_plane()
        n_axes = len(self.source.shape)
        if n_axes > MOST_AXES_TO_CHOOSE:
            return self._body
        planes = {
            say("axes {rows} and {columns}", rows=rows, columns=columns): Plane(rows, columns)
            for rows, columns in itertools.combinations(range(n_axes), 2)
        }
        # The planes through the last axes first: that is how stacks are stored.
        planes = dict(reversed(planes.items()))
        return column(select(say("Image of"), planes, self._plane, self._choose_plane), self._body)

    async def settled(self) -> None:
        """Return when the image is shown."""
        if self._image is not None:
            await self._image.settled()

    def close(self) -> None:
        """Stop reading."""
        super().close()
        if self._image is not None:
            self._image.close()

    async def _choose_plane(self, plane: Plane) -> None:
        self._plane = plane
        try:
            await self._show_plane()
        except Exception as error:  # noqa: BLE001  any reason is shown in the value's place
            reason = pane(problem_html(error))
            await on_document(self.context.document, lambda: self._body.__setitem__(slice(None), [reason]))

    async def _show_plane(self) -> None:
        if self._image is not None:
            self._image.close()
        axes = tuple(
            axis
            for axis in range(len(self.source.shape))
            if axis not in (self._plane.rows, self._plane.columns)
        )
        sliders = LeadSliders(self.source.shape, axes, self._move)
        image = ImageView(self.context, self.source, self._plane, sliders.positions)
        self._sliders, self._image = sliders, image
        shown = await image.start()

        def place() -> None:
            # A plane chosen later may have overtaken this one.
            if self._image is image:
                self._body[:] = [sliders.layout, shown]

        await on_document(self.context.document, place)

    def _move(self, positions: tuple[int, ...]) -> None:
        if self._image is not None:
            self._image.show_lead(positions)
