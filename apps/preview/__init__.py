"""A look at a value of a table, whatever it is and however large."""

from dj_panel.apps.preview.description import Description, describe
from dj_panel.apps.preview.viewer import Preview, preview

__all__ = ["Description", "Preview", "describe", "preview"]
