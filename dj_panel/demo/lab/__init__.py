"""The demo lab's pipeline: subject -> session -> acquisition -> analysis, one schema a module.

Importing a module connects to the database and declares its tables, as in any DataJoint pipeline; so
settings come first, from `datajoint.json` in the working folder or from `dj_panel.demo.build.configure`.
"""

from __future__ import annotations

import os

import dj_panel as dj


def schema_name(subject: str) -> str:
    """Return the name of a schema: the prefix, then ``subject``.

    The prefix is the variable ``DJ_PANEL_DEMO_PREFIX``, else the setting ``database.database_prefix``, else
    ``lab_``.
    """
    prefix = os.environ.get("DJ_PANEL_DEMO_PREFIX") or dj.config.get("database.database_prefix") or "lab_"
    return f"{prefix}{subject}"
