"""What all services share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dj_panel.apps.services import Services

__all__ = ["Service"]


class Service:
    """A group of what pages ask, which has the other groups at hand.

    Parameters
    ----------
    services
        All services of the site.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
