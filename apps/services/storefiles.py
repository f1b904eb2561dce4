"""Paths of ``<filepath@>`` attributes, and all that saving a row puts into stores: taken back if the row is not kept."""

from __future__ import annotations

import logging
import posixpath
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count
from pathlib import Path

from dj_panel.apps.services.structure import TableInfo
from dj_panel.apps.services.unsaved import forget, note
from dj_panel.apps.services.uploads import Uploads, split_reference
from dj_panel.core.codecs.filepath import referable
from dj_panel.core.codecs.schema import noted_paths
from dj_panel.core.errors import EncodeError, StoreError, UnknownOutcomeError
from dj_panel.core.settings import Settings
from dj_panel.core.store import Store, open_store
from dj_panel.core.structure import Attribute
from dj_panel.core.words import say

__all__ = ["NewFile", "PathTakenError", "checked_path", "free_path", "new_files", "stored_with_row"]

log = logging.getLogger(__name__)

Draft = Mapping[str, str]

_MAX_NAMES = 5000
"""Among how many names of a folder the nearest one is looked for."""

_MAX_NAME_BYTES = 250
_MAX_PATH_CHARS = 500


class PathTakenError(StoreError):
    """Somebody else's file lies where a new one was to go."""


@dataclass(frozen=True)
class NewFile:
    """A file that goes into a store with its row.

    Parameters
    ----------
    store, path
        Where it goes.
    source
        Where it is.
    """

    store: Store
    path: str
    source: Path


# ------------------------------------------------------------------ while typing
def checked_path(attribute: Attribute, text: str, uploads: Uploads, settings: Settings) -> str:
    """Return the path in its store that a ``<filepath@>`` attribute is to hold.

    What was typed must be there. What goes with a file that was sent must be free, for no file is written over.

    Raises
    ------
    ValueError
        With the reason as a clause.
    """
    reference, typed = split_reference(text)
    try:
        store = _store(attribute, settings)
        path = _referable(typed.strip(), store)
        if reference:
            if uploads.path(reference).is_dir():
                raise ValueError(say("is a folder, and the attribute takes a file"))
            if (
                max(len(name.encode()) for name in path.split("/")) > _MAX_NAME_BYTES
                or len(path) > _MAX_PATH_CHARS
            ):
                raise ValueError(say("holds a name that is too long"))
            if store.exists(path):
                raise ValueError(
                    say(
                        "is in the store '{name}' already, and no file is written over. Free is {beside}",
                        name=store.name,
                        beside=_beside(store, path),
                    )
                )
        elif not store.exists(path):
            raise ValueError(
                say("is not in the store '{name}'.", name=store.name) + _did_you_mean(store, path)
            )
    except StoreError as error:
        raise ValueError(say("cannot be looked for: {error}", error=error)) from error
    return path


def free_path(table: str, attribute: Attribute, name: str, settings: Settings) -> str:
    """Return a path at which a file that was sent for an attribute of a table can be stored."""
    store = _store(attribute, settings)
    section = str(store.spec.get("filepath_prefix") or "").strip("/")
    path = "/".join([*filter(None, [section]), *table.split("."), name])
    return _beside(store, path) if store.exists(path) else path


def _store(attribute: Attribute, settings: Settings) -> Store:
    return open_store(settings, attribute.store, use_filepath_default=True)


def _referable(typed: str, store: Store) -> str:
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", typed):
        raise ValueError(say("holds characters that cannot be seen"))
    try:
        return referable(typed, store)
    except EncodeError as error:
        raise ValueError(say("cannot be used: {error}", error=error)) from error
    except StoreError as error:
        raise ValueError(
            say(
                "does not lie in the store '{name}'. Give a path relative to it, without '..'",
                name=store.name,
            )
        ) from error


def _beside(store: Store, path: str) -> str:
    """Return a free path that is like one that is taken."""
    stem, ending = posixpath.splitext(path)
    return next(other for n in count(1) if not store.exists(other := f"{stem}_{n}{ending}"))


def _did_you_mean(store: Store, path: str) -> str:
    """Return what lies in the store and comes near, as a sentence; or nothing."""
    folder, _, name = path.rpartition("/")
    rest: list[str] = []
    while folder and not store.is_dir(folder):
        rest.insert(0, name)
        folder, _, name = folder.rpartition("/")
    names = (store.listdir(folder) if folder else store.sections())[:_MAX_NAMES]
    by_lower = {other.lower(): other for other in names if not other.startswith(".")}
    for near in get_close_matches(name.lower(), by_lower, n=3):
        found = posixpath.join(folder, by_lower[near])
        whole = posixpath.join(found, *rest)
        found = whole if store.exists(whole) else found
        try:
            return say(" Did you mean {values}?", values=referable(found, store))
        except (StoreError, EncodeError):
            continue  # where other codecs' objects are
    return ""


# ------------------------------------------------------------------ saving
def new_files(
    drafts: Mapping[str, Sequence[Draft]],
    table: Callable[[str], TableInfo],
    uploads: Uploads,
    settings: Settings,
) -> list[NewFile]:
    """Return the files that go into stores with rows whose drafts, under their tables' names, were checked."""
    found = []
    for name, rows in drafts.items():
        for attribute in [a for a in table(name).attributes if a.codec == "filepath"]:
            for draft in rows:
                reference, path = split_reference(draft.get(attribute.name, ""))
                if reference:
                    store = _store(attribute, settings)
                    found.append(NewFile(store, _referable(path.strip(), store), uploads.path(reference)))
    return found


_claimed: set[str] = set()
_claiming = threading.Lock()


@contextmanager
def stored_with_row(files: Sequence[NewFile]) -> Iterator[Callable[[], None]]:
    """Put files into stores for rows that are written in the block; if that fails, take back all that went there.

    Objects that codecs write in the block are taken back too, except those that are stored by their content, which
    other rows may name. Nothing is taken back where it is not known whether the rows were kept.

    Yields
    ------
    Callable
        Takes back the objects of an attempt; to be called where an attempt begins, for it may be the second one.

    Raises
    ------
    PathTakenError
        If there is a file at a path already.
    """
    with noted_paths() as objects:
        placed: list[tuple[Store, str]] = []
        notes: list[tuple[Store, str]] = []
        claimed: list[str] = []
        try:
            for file in files:
                _claim(file, claimed)
                placed.append((file.store, file.path))
                notes.append((file.store, note(file.store, file.path)))
                file.store.put_file(file.path, file.source)
            yield lambda: _take_back(objects)
        except UnknownOutcomeError:
            notes.clear()  # whether a row names the files is looked at later
            raise
        except BaseException:
            _take_back(objects)
            _take_back(placed)
            raise
        finally:
            for store, place in notes:
                forget(store, place)
            with _claiming:
                _claimed.difference_update(claimed)


def _claim(file: NewFile, claimed: list[str]) -> None:
    """Make a path ours, or find that it is taken; on a disk no other program can take it from then on."""
    taken = PathTakenError(
        say(
            "There is a file '{path}' in the store '{name}' already; it stays.",
            path=file.path,
            name=file.store.name,
        )
    )
    with _claiming:
        url = file.store.url(file.path)
        if url in _claimed or file.store.exists(file.path):
            raise taken
        if file.store.is_local:
            try:
                file.store.open(file.path, "xb").close()
            except StoreError as error:
                if isinstance(error.__cause__, FileExistsError):
                    raise taken from error
                raise
        _claimed.add(url)
        claimed.append(url)


def _take_back(places: list[tuple[Store, str]]) -> None:
    while places:
        store, path = places.pop()
        try:
            store.remove(path)
        except StoreError as error:
            log.warning("%s is left in the store %s: %s", path, store.name, error)
