"""The settings and the connection that a program uses when it names none."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.errors import ThreadSafetyError
from dj_panel.core.settings import Settings, process_settings

__all__ = ["GlobalSettings", "conn", "logger", "settings"]

logger = logging.getLogger("dj_panel")
"""Where the library reports what it does, as ``dj.logger``."""


class GlobalSettings:
    """The process's settings, as ``dj.config``; in thread-safe mode they refuse to be used.

    Everything that :class:`~dj_panel.core.settings.Settings` has, it has too.

    Parameters
    ----------
    settings
        The settings.
    """

    def __init__(self, settings: Settings) -> None:
        object.__setattr__(self, "_settings", settings)

    @property
    def _checked(self) -> Settings:
        settings: Settings = object.__getattribute__(self, "_settings")
        if settings.thread_safe:
            raise ThreadSafetyError(
                "The process's settings and connection are closed in thread-safe mode (thread_safe, DJ_THREAD_SAFE)."
                " Use dj.Instance(...), its config, connection and Schema; or pass a connection."
            )
        return settings

    def __getattr__(self, name: str) -> Any:
        # Tools ask any object for such names; they are no settings.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(Settings if name == "save_template" else self._checked, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._checked, name, value)

    def __getitem__(self, key: str) -> Any:
        return self._checked[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._checked[key] = value

    def __delitem__(self, key: str) -> None:
        del self._checked[key]

    def __repr__(self) -> str:
        inner: Settings = object.__getattribute__(self, "_settings")
        return "Settings (thread-safe mode: use dj.Instance)" if inner.thread_safe else repr(inner)


def _start_logging(settings: Settings) -> None:
    logger.setLevel(settings.loglevel)
    if settings.logstream is not None:
        handler = logging.StreamHandler(sys.stderr if settings.logstream == "stderr" else sys.stdout)
        handler.setFormatter(logging.Formatter("[%(asctime)s][%(levelname)s]: %(message)s"))
        logger.addHandler(handler)


_settings = process_settings()
_start_logging(_settings)
settings: Any = GlobalSettings(_settings)

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

    Raises
    ------
    ThreadSafetyError
        In thread-safe mode.
    """
    inner = settings._checked
    with _lock:
        for key, value in (("host", host), ("user", user), ("password", password), ("use_tls", use_tls)):
            if value is not None:
                inner[f"database.{key}"] = value
        if reset and _connection:
            _connection.pop().close()
        if not _connection:
            _connection.append(Connection(inner))
        return _connection[0]
