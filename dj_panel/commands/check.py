"""``dj-panel check``: is the pipeline in the database what its code says."""

from __future__ import annotations

import argparse
import os
import sys

from dj_panel.core.check import check_database, check_imports, classes_of
from dj_panel.core.errors import MissingTableError
from dj_panel.core.schema import only_looking
from dj_panel.modules import imported_modules

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be said after ``dj-panel check``."""
    parser.add_argument(
        "module", help="import name of the pipeline: a module, or a package with all of its modules"
    )


def run(options: argparse.Namespace) -> int:
    """Print each difference with its remedy; 1 if there is one, else 0. Nothing is created or changed."""
    sys.path.insert(0, os.getcwd())
    with only_looking() as schemas:
        modules = imported_modules(options.module)
    if not schemas:
        raise MissingTableError(f"The module '{options.module}' has no active schema.")
    found = [*check_database(schemas), *check_imports(modules, schemas)]
    for finding in found:
        print(finding)
    names = [name for name, _ in classes_of(schemas).values()]
    n_schemas = len({name.partition(".")[0] for name in names})
    size = f"{_counted(len(names), 'table')} in {_counted(n_schemas, 'schema')}"
    if found:
        print(f"\n{_counted(len(found), 'difference')} in {size}.")
        return 1
    print(f"Code, imports and database agree: {size}.")
    return 0


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
