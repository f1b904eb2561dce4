"""Where rows come from: what is recorded with rows that enter a Manual table, if ``provenance.capture`` is set.

The hidden attribute ``_prov`` holds the time, who inserted and with which version of the code, what
``provenance.source`` says, and, for rows inserted by a ``make``, whose it was. No program writes it itself.

Source: DataJoint 2.3, its hidden attribute ``_prov``.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from dj_panel.core.connection import Connection
from dj_panel.core.structure import TableStructure

__all__ = ["ATTRIBUTE", "code_version", "ingesting", "is_recorded", "record"]

logger = logging.getLogger("dj_panel")

ATTRIBUTE = "_prov"
_maker: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("maker", default=None)


@lru_cache(maxsize=4)
def code_version(method: str | None) -> str:
    """Return the version of the code that this process runs: a commit, or nothing.

    Parameters
    ----------
    method
        ``"git"``, or anything else for nothing; ``config.jobs.version_method``.
    """
    if method != "git":
        return ""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("the version of the code is not known: %s", error)
        return ""
    return answer.stdout.strip()[:64]


@contextlib.contextmanager
def ingesting(table: str, key: Mapping[str, Any], version: str) -> Iterator[None]:
    """Record, with what is inserted within the block, that this table's make did it for this key."""
    maker = {"table": table, "key": {name: _plain(value) for name, value in key.items()}}
    token = _maker.set(maker | ({"version": version} if version else {}))
    try:
        yield
    finally:
        _maker.reset(token)


def is_recorded(table: TableStructure, connection: Connection) -> bool:
    """Tell whether rows of a table are to say where they come from."""
    return connection.settings.provenance.capture and any(
        attribute.name == ATTRIBUTE for attribute in table.heading.all_attributes
    )


def record(connection: Connection) -> str | None:
    """Return what is recorded at this moment, as JSON; ``None`` if there is nothing but the time."""
    found: dict[str, Any] = {"time": datetime.now(UTC).isoformat()}
    database = connection.settings.database
    agent = {"user": database.user, "host": database.host, "database_name": database.name}
    found |= {"agent": {name: value for name, value in agent.items() if value}}
    found |= {"version": code_version(connection.settings.jobs.version_method)}
    found |= {"source": connection.settings.provenance.source, "context": _maker.get()}
    found = {name: value for name, value in found.items() if value}
    return json.dumps(found, default=str) if len(found) > 1 else None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
