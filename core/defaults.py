"""The settings and the connection that a program uses when it names none."""

from __future__ import annotations

import threading
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.settings import load_settings

__all__ = ["conn", "settings"]

settings = load_settings()
"""The process's settings, as ``dj.config``."""

_lock = threading.Lock()
_connection: list[Connection] = []


def conn(
    host: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    reset: bool = False,
    use_tls: Any = None,
) -> Connection:
    """Return the process's connection; make it on the first call.

    Parameters
    ----------
    host, user, password, use_tls
        Put into the process's settings first, where given.
    reset
        Whether to close the connection there is and make another.
    """
    with _lock:
        for key, value in (("host", host), ("user", user), ("password", password), ("use_tls", use_tls)):
            if value is not None:
                settings[f"database.{key}"] = value
        if reset and _connection:
            _connection.pop().close()
        if not _connection:
            _connection.append(Connection(settings))
        return _connection[0]
