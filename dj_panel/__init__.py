"""Run a scientific data pipeline from Python and from a browser.

``import dj_panel as dj`` gives the names that DataJoint pipelines use. Importing it loads neither Panel nor
pandas; the browser application is ``dj_panel.apps``.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from dj_panel.core import (
    codec,
    conditions,
    connection,
    errors,
    expression,
    instance,
    jobs,
    objects,
    populate,
    settings,
    storage,
    structure,
    table,
    tiers,
)
from dj_panel.core import codecs as _codecs  # noqa: F401 - registers the built-in codecs
from dj_panel.core import schema as schemas
from dj_panel.core.codec import Codec, get_codec, list_codecs
from dj_panel.core.codecs.schema import SchemaCodec
from dj_panel.core.codecs.spark import SparkAdapter
from dj_panel.core.conditions import AndList, Not
from dj_panel.core.connection import Connection
from dj_panel.core.defaults import conn, logger
from dj_panel.core.defaults import settings as config
from dj_panel.core.errors import DataJointError, ThreadSafetyError
from dj_panel.core.expression import Top, U
from dj_panel.core.instance import Instance
from dj_panel.core.jobs import Job
from dj_panel.core.objects import NpyRef, ObjectRef
from dj_panel.core.populate import AutoPopulate
from dj_panel.core.schema import Schema, VirtualModule, list_schemas, virtual_schema
from dj_panel.core.storage import StorageAdapter, get_storage_adapter
from dj_panel.core.table import FreeTable, Table
from dj_panel.core.tiers import Compute, Computed, Entry, Imported, Ingest, Lookup, Manual, Part
from dj_panel.core.validation import ValidationResult

if TYPE_CHECKING:
    from dj_panel.commands.shell import cli
    from dj_panel.core import deploy, gc, migrate
    from dj_panel.core.blob import MatCell, MatStruct
    from dj_panel.diagram import Diagram

__version__ = "0.1.0"

# What few programs need is loaded when it is asked for: name → the module it is in.
_LAZY = {
    "Diagram": "dj_panel.diagram",
    "MatCell": "dj_panel.core.blob",
    "MatStruct": "dj_panel.core.blob",
    "cli": "dj_panel.commands.shell",
    "deploy": "dj_panel.core.deploy",
    "gc": "dj_panel.core.gc",
    "migrate": "dj_panel.core.migrate",
}


# What DataJoint calls our modules: `from dj_panel.user_tables import UserTable`. Those that are loaded later are
# files of this package.
_THEIRS = {
    "autopopulate": populate,
    "codecs": codec,
    "condition": conditions,
    "connection": connection,
    "errors": errors,
    "expression": expression,
    "heading": structure,
    "instance": instance,
    "jobs": jobs,
    "objectref": objects,
    "schemas": schemas,
    "settings": settings,
    "storage_adapter": storage,
    "table": table,
    "user_tables": tiers,
}
for _name, _module in _THEIRS.items():
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dj_panel' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    return module if _LAZY[name].endswith(f".{name}") else getattr(module, name)


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
    "Diagram",
    "Entry",
    "FreeTable",
    "Imported",
    "Ingest",
    "Instance",
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
    "SchemaCodec",
    "SparkAdapter",
    "StorageAdapter",
    "Table",
    "ThreadSafetyError",
    "Top",
    "U",
    "ValidationResult",
    "VirtualModule",
    "__version__",
    "cli",
    "config",
    "conn",
    "deploy",
    "errors",
    "gc",
    "get_codec",
    "get_storage_adapter",
    "list_codecs",
    "list_schemas",
    "logger",
    "migrate",
    "schema",
    "virtual_schema",
]
