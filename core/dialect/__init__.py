"""All that differs between database servers; nothing else asks which server it is."""

from __future__ import annotations

from dj_panel.core.dialect.mysql import MySQL
from dj_panel.core.dialect.protocol import Dialect, Statement
from dj_panel.core.dialect.sqlite import SQLite

__all__ = ["Dialect", "MySQL", "SQLite", "Statement"]
