"""Files that went into a store for rows that were never kept, because the program was stopped in between.

Before a file goes into a store a note of it is put there, which goes when the row is kept or the file is taken back.
Where a note is left, its file is removed, unless a row names it by now.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dj_panel.core.errors import DataJointError, StoreError
from dj_panel.core.store import Store, open_store
from dj_panel.core.workers import is_alive

if TYPE_CHECKING:
    from dj_panel.apps.services import Services
    from dj_panel.apps.services.structure import TableInfo
    from dj_panel.core.structure import Attribute

__all__ = ["clear_unsaved", "forget", "note"]

log = logging.getLogger(__name__)

_FOLDER = ".dj_panel-unsaved"
_PATIENCE_S = 24 * 3600
"""So old a note of another computer, whose programs cannot be seen from here, is taken for one that was left."""

_MOST_NOTES = 100
"""So many are looked at in one go."""


def note(store: Store, path: str) -> str:
    """Put a note into a store that a file at a path belongs to a row that is not kept yet; return where it is."""
    facts = {"path": path, "host": platform.node(), "pid": os.getpid(), "at": time.time()}
    place = f"{_FOLDER}/{secrets.token_urlsafe(12)}.json"
    store.put_bytes(place, json.dumps(facts).encode())
    return place


def forget(store: Store, place: str) -> None:
    """Remove a note; if that fails it is removed another time, for its row names the file."""
    try:
        store.remove(place)
    except StoreError as error:
        log.warning("%s is left in the store %s: %s", place, store.name, error)


def clear_unsaved(services: Services) -> None:
    """Remove what a program that is gone has left in the stores of all ``<filepath@>`` attributes."""
    named = list(_filepaths(services.tables()))
    settings = services.pipeline.connection.settings
    for name in {attribute.store for _, attribute in named}:
        try:
            store = open_store(settings, name, use_filepath_default=True)
            places = store.listdir(_FOLDER)[:_MOST_NOTES] if store.is_dir(_FOLDER) else []
            for place in places:
                _clear(services, store, f"{_FOLDER}/{place}", named)
        except DataJointError as error:
            log.warning("unsaved files in the store %s were not looked for: %s", name or "default", error)


def _clear(
    services: Services, store: Store, place: str, named: Iterable[tuple[TableInfo, Attribute]]
) -> None:
    left = _left(store, place)
    if left is None:
        return
    settings = services.pipeline.connection.settings
    for info, attribute in named:
        if open_store(settings, attribute.store, use_filepath_default=True).name != store.name:
            continue
        rows: Any = services.pipeline[info.name]()
        if rows & {f"{attribute.name}.path": left}:
            break
    else:
        store.remove(left)
        log.info("%s was removed from the store %s: its row was never saved", left, store.name)
    forget(store, place)


def _left(store: Store, place: str) -> str | None:
    """Return the path that a note is of, if whoever put it there is gone."""
    try:
        facts = json.loads(store.get_bytes(place))
        path, host, pid, at = str(facts["path"]), facts["host"], int(facts["pid"]), float(facts["at"])
    except (ValueError, TypeError, KeyError):
        return None  # it is being written
    is_left = not is_alive(pid) if host == platform.node() else time.time() - at > _PATIENCE_S
    return path if is_left else None


def _filepaths(tables: Iterable[TableInfo]) -> Iterator[tuple[TableInfo, Attribute]]:
    for info in tables:
        for attribute in info.attributes:
            if attribute.codec == "filepath":
                yield info, attribute
