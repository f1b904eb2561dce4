"""Run a scientific data pipeline from Python and from a browser.

``import dj_panel as dj`` gives the names that DataJoint pipelines use. Importing it loads neither Panel nor
pandas; the browser application is ``dj_panel.apps``.
"""

from __future__ import annotations

from dj_panel.core import codecs as _codecs  # noqa: F401 - registers the built-in codecs
from dj_panel.core import errors
from dj_panel.core.blob import MatCell, MatStruct
from dj_panel.core.codec import Codec, get_codec, list_codecs
from dj_panel.core.conditions import AndList, Not
from dj_panel.core.connection import Connection
from dj_panel.core.defaults import conn
from dj_panel.core.defaults import settings as config
from dj_panel.core.errors import DataJointError, ThreadSafetyError
from dj_panel.core.expression import Top, U
from dj_panel.core.jobs import Job
from dj_panel.core.objects import NpyRef, ObjectRef
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.schema import Schema, VirtualModule, list_schemas, virtual_schema
from dj_panel.core.table import FreeTable, Table
from dj_panel.core.tiers import Compute, Computed, Entry, Imported, Ingest, Lookup, Manual, Part

__version__ = "0.1.0"

schema = Schema
"""DataJoint's older spelling of :class:`Schema`."""

__all__ = [
    "AndList",
    "AutoPopulate",
    "Codec",
    "Compute",
    "Computed",
    "Connection",
    "DataJointError",
    "Entry",
    "FreeTable",
    "Imported",
    "Ingest",
    "Job",
    "Lookup",
    "Manual",
    "MatCell",
    "MatStruct",
    "Not",
    "NpyRef",
    "ObjectRef",
    "Part",
    "Schema",
    "Table",
    "ThreadSafetyError",
    "Top",
    "U",
    "VirtualModule",
    "__version__",
    "config",
    "conn",
    "errors",
    "get_codec",
    "list_codecs",
    "list_schemas",
    "schema",
    "virtual_schema",
]
