"""Filesystems for stores: what fsspec knows by itself, and protocols that other packages bring.

A package brings a protocol with a subclass of :class:`StorageAdapter` and an entry point of the group
``datajoint.storage``, as for DataJoint.

Source: DataJoint 2.3, ``dj.StorageAdapter``.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dj_panel.core.errors import StoreError, did_you_mean
from dj_panel.core.lazy import LazyModule

if TYPE_CHECKING:
    import fsspec
else:
    fsspec = LazyModule("fsspec")
metadata = LazyModule("importlib.metadata")

__all__ = ["StorageAdapter", "get_storage_adapter", "open_filesystem"]

logger = logging.getLogger("dj_panel")

ENTRY_POINT_GROUP = "datajoint.storage"
_OWN_PROTOCOLS = ("file", "s3", "gcs", "azure")
_COMMON_KEYS = (
    "name", "protocol", "location", "options", "subfolding", "partition_pattern", "token_length", "hash_prefix",
    "schema_prefix", "filepath_prefix", "stage",
)  # fmt: skip


class StorageAdapter(ABC):
    """A protocol for stores: a subclass says how its filesystem is opened.

    Attributes
    ----------
    protocol
        What ``stores.<name>.protocol`` calls it.
    required_keys, allowed_keys
        Settings of a store that it needs, and that it takes beside those of every store.
    """

    protocol: ClassVar[str]
    required_keys: ClassVar[tuple[str, ...]] = ()
    allowed_keys: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def create_filesystem(self, spec: dict[str, Any]) -> Any:
        """Return the fsspec filesystem of a store."""

    def validate_spec(self, spec: dict[str, Any]) -> None:
        """Check a store's settings.

        Raises
        ------
        StoreError
            If one is missing, or is not known.
        """
        known = (*self.required_keys, *self.allowed_keys)
        for key in self.required_keys:
            if not spec.get(key):
                raise StoreError(f"The store '{spec.get('name')}' has no {key}, which {self.protocol} needs.")
        for key in spec:
            if key not in known and key not in _COMMON_KEYS:
                raise StoreError(
                    f"The store '{spec.get('name')}' has a setting '{key}', which {self.protocol} does not know."
                    f"{did_you_mean(key, (*known, *_COMMON_KEYS))}"
                )

    def full_path(self, spec: dict[str, Any], relpath: str) -> str:
        """Return a path within the store as the filesystem takes it."""
        location = str(spec.get("location") or "").rstrip("/")
        return f"{location}/{relpath}" if location else relpath

    def get_url(self, spec: dict[str, Any], path: str) -> str:
        """Return the address to show for a path of the filesystem."""
        return f"{self.protocol}://{path}"


_adapters: dict[str, StorageAdapter] = {}
_loading = threading.Lock()
_loaded: list[bool] = []


def get_storage_adapter(protocol: str) -> StorageAdapter | None:
    """Return the adapter that an installed package brings for a protocol, if there is one."""
    with _loading:
        if protocol not in _OWN_PROTOCOLS and not _loaded:
            _loaded.append(True)
            _load()
    return _adapters.get(protocol)


def _load() -> None:
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            adapter = entry.load()()
            _adapters.setdefault(adapter.protocol, adapter)
        except Exception as error:  # noqa: BLE001  another package's import can fail in any way
            logger.warning("The storage '%s' of %s could not be loaded: %s", entry.name, entry.value, error)


def open_filesystem(spec: Mapping[str, Any]) -> Any:
    """Return the fsspec filesystem of a store by its settings.

    Raises
    ------
    StoreError
        If its package is not installed, or its settings are wrong.
    """
    given = dict(spec)
    adapter = get_storage_adapter(str(given.get("protocol") or "file"))
    if adapter is not None:
        adapter.validate_spec(given)
        return adapter.create_filesystem(given)
    protocol, options = _filesystem_options(given)
    try:
        return fsspec.filesystem(protocol, **options)
    except (ImportError, ValueError) as error:
        raise StoreError(f"The store '{given.get('name')}' cannot be opened: {error}") from error


def _filesystem_options(spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return fsspec's name of a protocol and the arguments of its filesystem."""
    protocol = spec.get("protocol") or "file"
    options = dict(spec.get("options") or {})
    if protocol == "file":
        options.setdefault("auto_mkdir", True)
    elif protocol == "s3":
        if bool(spec.get("access_key")) != bool(spec.get("secret_key")):
            raise StoreError(
                f"The store '{spec.get('name')}' has only one of access_key and secret_key. Set both, or"
                " neither to use the machine's own identity."
            )
        endpoint = str(spec.get("endpoint") or "")
        if endpoint and "://" not in endpoint:
            endpoint = f"{'https' if spec.get('secure', True) else 'http'}://{endpoint}"
        # A cached listing would miss what another process wrote or removed since.
        options |= {"use_listings_cache": False}
        options |= {"key": spec.get("access_key") or None, "secret": spec.get("secret_key") or None}
        if endpoint:
            options["client_kwargs"] = {"endpoint_url": endpoint}
    elif protocol == "gcs":
        options |= {"token": spec.get("token"), "project": spec.get("project"), "use_listings_cache": False}
    elif protocol == "azure":
        protocol = "abfs"
        names = ("account_name", "account_key", "connection_string")
        options |= {name: spec.get(name) for name in names} | {"use_listings_cache": False}
    return protocol, options
