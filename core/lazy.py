"""The one place where an import waits until it is needed.

Some libraries take long to load, and many programs need none of them: sqlglot reads conditions that are given
as text, fsspec opens stores, importlib.metadata finds the codecs of other packages, multiprocessing computes in
forks. Whoever uses one writes::

    if TYPE_CHECKING:
        import fsspec
    else:
        fsspec = LazyModule("fsspec")

NumPy, which takes as long to load as all of the library, is here as :data:`np` for all modules: ``from
dj_panel.core.lazy import np``. All other imports stand at the beginning of their module, as anywhere.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LazyModule", "np"]


class LazyModule:
    """Stands for a module, which is imported when one of its names is asked for first.

    Parameters
    ----------
    name
        The module's full name.

    Examples
    --------
    >>> colorsys = LazyModule("colorsys")
    >>> colorsys.rgb_to_hsv(0, 0, 0)
    (0.0, 0.0, 0)
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # import_module is safe among threads, and quick once the module is there.
        found = getattr(importlib.import_module(self._name), attribute)
        # Asked again, the name is found as fast as in the module itself.
        self.__dict__[attribute] = found
        return found


if not TYPE_CHECKING:
    np = LazyModule("numpy")
