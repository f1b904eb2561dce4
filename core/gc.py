"""Garbage collection: find, and remove on request, objects in a store that no row names any more.

It fails closed. Whatever cannot be read, be it a table, a value, a codec or a folder, ends the run before
anything is removed. Objects younger than a grace time are kept, because the row that will name them may not
be committed yet; and each object's age is asked again at the moment of its removal.

Source: DataJoint 2.3, ``dj.gc.GarbageCollector``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

from dj_panel.core.algebra import Relation
from dj_panel.core.codec import resolve_chain
from dj_panel.core.errors import DataJointError, GarbageCollectionError, MissingObjectError, StoreError
from dj_panel.core.render import select_statement
from dj_panel.core.schema import Schema
from dj_panel.core.settings import Settings
from dj_panel.core.store import MANIFEST_SUFFIX, Store, open_store
from dj_panel.core.structure import Attribute, TableName

__all__ = ["GarbageCollector"]

logger = logging.getLogger("dj_panel")
_HASH = re.compile(r"[a-z2-7]{26}")
_PART = re.compile(r"\..+\.part")
_DAY = 86400.0


class GarbageCollector:
    """Looks for objects of some schemas, in one store, that no row of them names.

    Parameters
    ----------
    *schemas
        The schemas. Objects of other schemas are never touched; but name every schema whose rows may have
        been copied from these, for only their rows are asked.
    store
        The store's name; the default store if not given.
    config
        The settings; the first schema's connection's if not given.
    grace_seconds
        Age below which nothing is removed. An insert that takes longer than this between writing its objects
        and committing its row could lose them.
    """

    def __init__(
        self,
        *schemas: Schema,
        store: str | None = None,
        config: Settings | None = None,
        grace_seconds: float = _DAY,
    ) -> None:
        if not schemas:
            raise GarbageCollectionError("Name the schemas whose objects are to be looked at.")
        self.schemas = schemas
        self.config: Settings = config if config is not None else schemas[0].connection.settings
        self.backend: Store = open_store(self.config, store)
        self.store = self.backend.name
        self.grace_seconds = grace_seconds

    # ------------------------------------------------------------------ what rows name
    def references(self) -> set[str]:
        """Return the path of every object that a row of the schemas names, in whichever store.

        Raises
        ------
        GarbageCollectionError
            If a table, a value or a codec cannot be read.
        """
        found: set[str] = set()
        for schema in self.schemas:
            catalog = schema.connection.catalog
            catalog.forget(schema.name)
            for table, structure in catalog.tables(schema.name).items():
                name = TableName(schema.name, table)
                for attribute in structure.heading.all_attributes:
                    try:
                        if attribute.codec is not None:
                            found |= self._referenced(schema, name, attribute)
                    except DataJointError as error:
                        raise GarbageCollectionError(
                            f"{schema.name}.{name.class_name}.{attribute.name} cannot be read, so it is not known"
                            f" which objects its rows name: {error}"
                        ) from error
        return found

    def _referenced(self, schema: Schema, name: TableName, attribute: Attribute) -> set[str]:
        chain = resolve_chain(attribute.type)
        if not chain.is_store:
            return set()
        connection = schema.connection
        heading = connection.catalog.structure(name).heading
        statement = select_statement(Relation(name, heading), connection.dialect, [attribute.name])
        found: set[str] = set()
        for (stored,) in connection.run(statement):
            if stored is None:
                continue
            paths = {path for codec in chain.codecs for path, _ in codec.referenced_paths(stored)}
            if not paths:
                raise GarbageCollectionError(f"the stored value {str(stored)[:80]!r} names no object")
            found |= paths
        return found

    # ------------------------------------------------------------------ what the store holds
    def stored(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return paths and bytes of the schemas' files: those stored by their content, and those of one row.

        Raises
        ------
        GarbageCollectionError
            If the store cannot be listed.
        """
        by_hash: dict[str, int] = {}
        by_row: dict[str, int] = {}
        spec = self.backend.spec
        hash_prefix, row_prefix = (
            str(spec.get(f"{kind}_prefix") or "").strip("/") for kind in ("hash", "schema")
        )
        for schema in self.schemas:
            section = "/".join(filter(None, (hash_prefix, schema.name)))
            for path, size in self._files(section):
                last = path.rpartition("/")[2]
                if _HASH.fullmatch(last) or _PART.fullmatch(last):
                    by_hash[path] = size
            own = self._rows_files(row_prefix, schema.name)
            by_row |= {path: size for path, size in own if path not in by_hash}
        return by_hash, by_row

    def _rows_files(self, prefix: str, schema: str) -> Iterator[tuple[str, int]]:
        if not self.backend.spec.get("partition_pattern") or not prefix:
            yield from self._files("/".join(filter(None, (prefix, schema))))
            return
        # {prefix}/[part=value/]…{schema}/…: of the whole section, what comes under the schema's name
        for path, size in self._files(prefix):
            folders = path[len(prefix) + 1 :].split("/")[:-1]
            own = next((folder for folder in folders if "=" not in folder), None)
            if own == schema:
                yield path, size

    def _files(self, section: str) -> Iterator[tuple[str, int]]:
        try:
            for path, size in self.backend.files(section):
                yield f"{section}/{path}", size
        except MissingObjectError:
            return  # nothing of this kind was stored yet; a store that is not there is another error
        except (DataJointError, OSError) as error:
            raise GarbageCollectionError(f"The store '{self.store}' cannot be listed: {error}") from error

    # ------------------------------------------------------------------ collecting
    def collect(self, dry_run: bool = True, verbose: bool = False) -> dict[str, Any]:
        """Report what no row names, and remove it if this is not a dry run.

        Parameters
        ----------
        dry_run
            Whether only to report.
        verbose
            Whether to log each path.

        Returns
        -------
        dict
            Under DataJoint's names: ``hash_paths_…`` (stored by content) and ``schema_paths_…`` (of one row)
            with ``referenced``, ``stored``, ``orphaned``, ``orphaned_bytes`` and ``deleted``; the lists
            ``orphaned_hash_paths`` and ``orphaned_schema_paths``; ``deleted``, ``bytes_freed``, ``errors``,
            ``dry_run``; and ``too_young``, files without a row that are within the grace time.

        Raises
        ------
        GarbageCollectionError
            If anything could not be read; nothing was removed then.
        """
        begun = time.time()
        by_hash, by_row = self.stored()
        # Asked after the files were listed: a row that came in the meantime protects what it names.
        named = self.references()
        young = 0
        orphans: dict[str, list[str]] = {}
        for kind, files in (("hash", by_hash), ("schema", by_row)):
            loose = [path for path in sorted(files) if not _is_covered(path, named)]
            old = [path for path in loose if self._is_old(path, begun)]
            young += len(loose) - len(old)
            orphans[kind] = old
        sizes = {**by_hash, **by_row}
        if verbose:
            for path in (*orphans["hash"], *orphans["schema"]):
                logger.info("no row names %s (%d bytes)", path, sizes[path])
        report: dict[str, Any] = {}
        for kind, files in (("hash", by_hash), ("schema", by_row)):
            report |= {
                f"{kind}_paths_referenced": sum(_is_covered(path, named) for path in files),
                f"{kind}_paths_stored": len(files),
                f"{kind}_paths_orphaned": len(orphans[kind]),
                f"{kind}_paths_orphaned_bytes": sum(sizes[path] for path in orphans[kind]),
                f"orphaned_{kind}_paths": orphans[kind],
            }
        removed = {"hash": 0, "schema": 0}
        freed = errors = 0
        for kind, paths in orphans.items() if not dry_run else ():
            for path in paths:
                try:
                    if not self._is_old(path, time.time()):
                        continue  # written again since it was listed
                    self.backend.remove(path)
                except (DataJointError, OSError) as error:
                    errors += 1
                    logger.warning("%s could not be removed from the store %s: %s", path, self.store, error)
                    continue
                removed[kind] += 1
                freed += sizes[path]
        return report | {
            "hash_paths_deleted": removed["hash"],
            "schema_paths_deleted": removed["schema"],
            "deleted": sum(removed.values()),
            "bytes_freed": freed,
            "errors": errors,
            "scan_errors": [],
            "too_young": young,
            "dry_run": dry_run,
        }

    def _is_old(self, path: str, now: float) -> bool:
        try:
            modified = self.backend.modified(path)
        except MissingObjectError:
            return False  # gone already
        except StoreError as error:
            raise GarbageCollectionError(f"The age of {path} cannot be found out: {error}") from error
        return modified is not None and now - modified >= self.grace_seconds


def _is_covered(path: str, named: set[str]) -> bool:
    """Tell whether a file is an object that a row names, lies in one, or is its manifest."""
    while path:
        if path in named or path.removesuffix(MANIFEST_SUFFIX) in named:
            return True
        path = path.rpartition("/")[0]
    return False
