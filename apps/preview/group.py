"""Several arrays under one roof: pick one and look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from panel.viewable import Viewable

from dj_panel.apps.markup import empty_state, escape
from dj_panel.apps.preview.controls import select
from dj_panel.apps.preview.description import Description, describe
from dj_panel.apps.preview.refresh import on_document
from dj_panel.apps.preview.sources import ArraySource, Group
from dj_panel.apps.preview.view import Context, View, column, pane
from dj_panel.core.words import say


class Shown(Protocol):
    """What shows one array: its views and the choice between them."""

    async def start(self) -> Viewable:
        """Return what is to be seen."""

    async def settled(self) -> None:
        """Return when everything asked for is shown."""

    def close(self) -> None:
        """Stop reading."""


class GroupView(View):
    """A list of arrays by name, and the one that is picked."""

    def __init__(self, context: Context, group: Group, make: Callable[[Context, ArraySource], Shown]) -> None:
        super().__init__(context)
        self._group = group
        self._make = make
        self._shown: Shown | None = None
        self._body = column()

    async def start(self) -> Viewable:
        """Show the first array that has values."""
        arrays = self._group.arrays
        if not arrays:
            return pane(
                empty_state(
                    say("There is no array in this group"), say("It holds groups and attributes only.")
                )
            )
        first = next((name for name, source in arrays.items() if all(source.shape)), next(iter(arrays)))
        await self._pick(first)
        options = {f"{name}   {described(source).text}": name for name, source in arrays.items()}
        picker = select(say("Array (of {n})", n=len(arrays)), options, first, self._pick, width=420)
        note = [pane(f'<p class="note">{escape(self._group.note)}</p>')] if self._group.note else []
        return column(picker, *note, self._body)

    async def settled(self) -> None:
        """Return when the array is shown."""
        if self._shown is not None:
            await self._shown.settled()

    def close(self) -> None:
        """Stop reading."""
        super().close()
        if self._shown is not None:
            self._shown.close()

    async def _pick(self, name: str) -> None:
        if self._shown is not None:
            self._shown.close()
        made = self._make(self.context, self._group.arrays[name])
        self._shown = made
        layout = await made.start()

        def place() -> None:
            # An array picked later may have overtaken this one.
            if self._shown is made:
                self._body[:] = [layout]

        await on_document(self.context.document, place)


def described(source: ArraySource) -> Description:
    """Return what an array of a group is."""
    return describe(source.array)
