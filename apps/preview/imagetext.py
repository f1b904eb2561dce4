"""What is said of an image: which part is visible, and how it was thinned out."""

from __future__ import annotations

from dj_panel.core.words import say

__all__ = ["contrast_text", "plane_text", "thinned_text", "tiles_text"]


def plane_text(rows: tuple[int, int], columns: tuple[int, int], lead: tuple[int, ...]) -> str:
    """Return which part of an array is visible; the ends are past the last position.

    >>> plane_text((0, 1200), (3, 9), (2, 0))
    'Rows 0 to 1,199, columns 3 to 8, at 2, 0'
    """
    ends = {"row_0": rows[0], "row_1": rows[1] - 1, "column_0": columns[0], "column_1": columns[1] - 1}
    if not lead:
        return say("Rows {row_0} to {row_1}, columns {column_0} to {column_1}", **ends)
    return say(
        "Rows {row_0} to {row_1}, columns {column_0} to {column_1}, at {position}",
        position=", ".join(map(str, lead)),
        **ends,
    )


def thinned_text(row_step: int, column_step: int) -> str:
    """Return that only some rows and columns are drawn."""
    return say(
        "Showing 1 of every {rows} rows and 1 of every {columns} columns", rows=row_step, columns=column_step
    )


def tiles_text(n_tiles: int, n_chunks: int) -> str:
    """Return that only the means of some chunks are drawn."""
    return say(
        "Each tile is the mean of one chunk; {n} of {all} chunks were read. Zoom in to see the pixels",
        n=n_tiles,
        all=n_chunks,
    )


def contrast_text(limits: tuple[float, float]) -> str:
    """Return between which values the grey values are spread."""
    return say("contrast {low} to {high}", low=f"{limits[0]:.5g}", high=f"{limits[1]:.5g}")
