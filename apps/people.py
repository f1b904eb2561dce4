"""Who is at work: the name that a visitor has given on this device, or else the account that runs the server.

The name is what somebody says; nothing proves it. It says whose a draft, an import and an entry of the history is,
as the initials in a paper notebook do. A site that knows its visitors (`Site(user=…)`) does not ask.
"""

from __future__ import annotations

import getpass
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from panel.io.state import state

__all__ = ["COOKIE", "MAX_LENGTH", "account", "cleaned", "present", "remember"]

COOKIE = "dj-panel-person"
"""The cookie in which a device keeps the name, percent-encoded."""

MAX_LENGTH = 60
"""Characters of a name."""

_of_documents: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def account() -> str:
    """Return the account of the operating system that runs this program."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        return "local"


def cleaned(text: str | None) -> str:
    """Return the name that a cookie holds, which may be anything; empty if it holds none.

    Parameters
    ----------
    text
        The name, percent-encoded as UTF-8.
    """
    name = " ".join(unquote(text or "", errors="ignore").split())
    return "".join(letter for letter in name if letter.isprintable())[:MAX_LENGTH].strip()


def remember(document: Any, name: str) -> None:
    """Say who is at work on the page of a document."""
    _of_documents[document] = name


def present() -> str:
    """Return who is at work on the page that asks; the account if no page does."""
    document = state.curdoc
    return account() if document is None else _of_documents.get(document) or account()
