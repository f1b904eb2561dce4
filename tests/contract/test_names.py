"""Every public name of DataJoint is a name of ours, but for those that are missing on purpose."""

from __future__ import annotations

import importlib
import inspect

import pytest

import dj_panel
from tests.peer import datajoint

MISSING = {
    "__author__",
}


def test_every_public_name_of_datajoint_is_there() -> None:
    assert set(datajoint.__all__) - set(dj_panel.__all__) == MISSING
    for name in dj_panel.__all__:
        assert getattr(dj_panel, name) is not None


def test_every_error_of_datajoint_is_there() -> None:
    theirs = [n for n, each in vars(datajoint.errors).items() if inspect.isclass(each)]
    assert [name for name in theirs if not hasattr(dj_panel.errors, name)] == []
    assert issubclass(dj_panel.errors.MissingObjectError, dj_panel.errors.MissingExternalFile)


# Modules of DataJoint that pipelines import from, and what they import.
IMPORTED = {
    "autopopulate": ["AutoPopulate"],
    "blob": ["MatCell", "MatStruct", "pack", "unpack"],
    "codecs": ["Codec", "get_codec", "list_codecs"],
    "condition": ["AndList", "Not", "make_condition"],
    "connection": ["Connection"],
    "diagram": ["Diagram"],
    "errors": ["DataJointError", "DuplicateError", "IntegrityError", "LostConnectionError"],
    "expression": ["AndList", "Not", "QueryExpression", "Top", "U"],
    "heading": ["Attribute", "Heading"],
    "instance": ["Instance"],
    "jobs": ["Job"],
    "objectref": ["ObjectRef"],
    "schemas": ["VirtualModule", "list_schemas", "virtual_schema"],
    "storage_adapter": ["StorageAdapter", "get_storage_adapter"],
    "table": ["FreeTable", "Table"],
    "user_tables": ["Computed", "Imported", "Lookup", "Manual", "Part", "TableMeta", "UserTable"],
}


@pytest.mark.parametrize("module", IMPORTED)
def test_what_pipelines_import_from_datajoints_modules_is_in_ours(module: str) -> None:
    for package in ("datajoint", "dj_panel"):
        found = importlib.import_module(f"{package}.{module}")
        assert [name for name in IMPORTED[module] if not hasattr(found, name)] == []
    assert importlib.import_module(f"dj_panel.{module}") is getattr(dj_panel, module)
