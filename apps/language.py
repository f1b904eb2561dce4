"""The languages of the pages: English, and each one that has a file in ``locale``.

The code says everything through `dj_panel.core.words` and the scripts through ``words.js``. Which language that is
depends on the visitor whose page is at work: what the visitor has chosen, or else what the browser prefers.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Any
from weakref import WeakKeyDictionary

from babel import Locale, negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import get_group_symbol
from panel.io.state import state

from dj_panel.core.words import Words, speak_through

__all__ = ["COOKIE", "DEFAULT", "choose", "in_scripts", "languages", "remember", "speaking"]

DEFAULT = "en"
COOKIE = "dj-panel-language"

_FOLDER = files("dj_panel.apps") / "locale"
_MAX_HEADER = 500


class _Language(gettext.GNUTranslations):
    """One language."""

    def __init__(self, catalog: Catalog) -> None:
        compiled = io.BytesIO()
        write_mo(compiled, catalog)
        compiled.seek(0)
        super().__init__(compiled)
        self._group = get_group_symbol(catalog.locale)

    def grouped(self, n: int) -> str:
        """Return a whole number with its thousands grouped."""
        return f"{n:,}".replace(",", self._group)


@cache
def _catalog(code: str) -> Catalog:
    with (_FOLDER / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


@cache
def _language(code: str) -> Words:
    return _Language(Catalog(locale=DEFAULT) if code == DEFAULT else _catalog(code))


@cache
def languages() -> dict[str, str]:
    """Return the languages there are, each with its name in itself."""
    codes = sorted(file.name.removesuffix(".po") for file in _FOLDER.iterdir() if file.name.endswith(".po"))
    return {code: str(Locale.parse(code).get_display_name()).capitalize() for code in (DEFAULT, *codes)}


def choose(chosen: str | None, accepted: str) -> str:
    """Return the language for a visitor.

    Parameters
    ----------
    chosen
        What the visitor has chosen, which may be anything.
    accepted
        What the browser says of its languages: ``Accept-Language`` of a request (RFC 9110, 12.5.4).
    """
    if chosen in languages():
        return chosen
    preferred: list[tuple[float, str]] = []
    for item in accepted[:_MAX_HEADER].split(","):
        name, _, rest = item.strip().partition(";")
        quality = rest.strip().removeprefix("q=").strip() or "1"
        try:
            preferred.append((float(quality), name.strip()))
        except ValueError:
            continue
    names = [name for quality, name in sorted(preferred, key=lambda item: -item[0]) if quality > 0]
    return negotiate_locale(names, list(languages()), sep="-") or DEFAULT


def in_scripts(code: str) -> dict[str, str | list[str]]:
    """Return the messages of the scripts in a language; none in English, which the scripts have themselves."""
    if code == DEFAULT:
        return {}
    found: dict[str, str | list[str]] = {}
    for message in _catalog(code):
        if message.id and any(place.endswith(".js") for place, _line in message.locations):
            if isinstance(message.id, str):
                found[message.id] = str(message.string)
            else:
                found[message.id[0]] = [str(text) for text in message.string or ()]
    return found


# ------------------------------------------------------------------ whose turn it is
_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)
_of_documents: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def remember(document: Any, code: str) -> None:
    """Speak a language on the page of a document from now on."""
    _of_documents[document] = code


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak a language in the block, whosever page it is."""
    token = _spoken.set(code)
    try:
        yield
    finally:
        _spoken.reset(token)


def _words() -> Words:
    code = _spoken.get()
    if code is None:
        document = state.curdoc
        code = DEFAULT if document is None else _of_documents.get(document, DEFAULT)
    return _language(code)


speak_through(_words)
