"""Codecs: what stands between a value in Python and what a column or a store holds.

A codec has a name, used as ``<name>`` in a definition (``<name@>`` and ``<name@store>`` where the value goes
to an object store), and a storage type, which is a core type or another codec: ``<blob@main>`` is packed
by `blob`, whose bytes are stored by `hash`, whose reference is kept as `json`. Subclasses of `Codec`
register themselves; those of installed packages are found through the entry points ``datajoint.codecs``.

Source: DataJoint 2.3, `reference/specs/codec-api`.
"""

from __future__ import annotations

import inspect
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from dj_panel.core.errors import CodecError, DecodeError, EncodeError, UnknownCodecError, did_you_mean
from dj_panel.core.lazy import LazyModule

__all__ = [
    "Codec",
    "CodecChain",
    "CodecType",
    "call_decode",
    "call_encode",
    "decode_value",
    "encode_value",
    "get_codec",
    "is_codec_registered",
    "list_codecs",
    "parse_codec_type",
    "resolve_chain",
    "resolve_dtype",
    "unregister_codec",
]

_metadata = LazyModule("importlib.metadata")  # not needed before a codec of another package is

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUPS = ("datajoint.codecs", "datajoint.types")


class Codec(ABC):
    """The base class of codecs; a subclass with a `name` is registered when it is defined.

    ``class MyBase(Codec, register=False)`` is not. Defining a class of the same module and name again, as
    running a notebook's cell twice does, replaces the first.

    Attributes
    ----------
    name
        What stands between the angle brackets.

    Examples
    --------
    >>> class Celsius(Codec, register=False):
    ...     name = "celsius"
    ...     def get_dtype(self, is_store):
    ...         return "float32"
    ...     def encode(self, value, *, key=None, store_name=None, context=None):
    ...         return value - 273.15
    ...     def decode(self, stored, *, key=None, context=None):
    ...         return stored + 273.15
    """

    name: str | None = None

    def __init_subclass__(cls, *, register: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if register and cls.name is not None and not inspect.isabstract(cls):
            _register(cls.name, cls())

    @abstractmethod
    def get_dtype(self, is_store: bool) -> str:
        """Return the storage type: a core type (``"bytes"``, ``"json"``) or a codec (``"<hash>"``).

        Parameters
        ----------
        is_store
            Whether the definition says ``@``.
        """

    @abstractmethod
    def encode(
        self,
        value: Any,
        *,
        key: dict[str, Any] | None = None,
        store_name: str | None = None,
        context: dict[str, Any] | None = None,
    ) -> Any:
        """Return what is stored for a value; a subclass may leave out the keywords it does not need.

        Parameters
        ----------
        value
            The value, as inserted.
        key
            The row's primary key.
        store_name
            Name of the store, where the definition says ``@``.
        context
            ``schema``, ``table``, ``field`` (SQL names) and ``config``, the connection's settings.
        """

    @abstractmethod
    def decode(
        self, stored: Any, *, key: dict[str, Any] | None = None, context: dict[str, Any] | None = None
    ) -> Any:
        """Return the value of what `encode` returned."""

    def validate(self, value: Any) -> None:  # noqa: B027  (a codec that takes any value need not say so)
        """Raise TypeError or ValueError for a value that `encode` would not take."""

    def resolve_store(self, store: str | None, config: Any) -> str:
        """Return the name of a store: the default one's if none is named."""
        name: str = config.get_store_spec(store)["name"]
        return name

    def referenced_paths(self, stored: Any) -> list[tuple[str, str | None]]:
        """Return the path and the store of every object that a stored value refers to.

        Garbage collection asks this; override it if `encode` returns anything but a dict with ``path`` and
        ``store``.
        """
        if isinstance(stored, str | bytes):
            try:
                stored = json.loads(stored)
            except ValueError:
                return []
        if isinstance(stored, Mapping) and "path" in stored:
            return [(stored["path"], stored.get("store"))]
        return []

    @staticmethod
    def _codec_config(key: dict[str, Any] | None = None, context: dict[str, Any] | None = None) -> Any:
        """Return the connection's settings, for codecs written for DataJoint."""
        return (context or {}).get("config") or (key or {}).get("_config")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: <{self.name}>>"


# ------------------------------------------------------------------------------------------------ registry

_registry: dict[str, Codec] = {}
_loaded_groups: set[str] = set()


def _register(name: str, codec: Codec) -> None:
    if not name:
        raise CodecError(f"The name of the codec {type(codec).__qualname__} is empty.")
    known = _registry.get(name)
    if known is not None and _origin(known) != _origin(codec):
        raise CodecError(
            f"The codec <{name}> of {_origin(codec)} cannot be registered: {_origin(known)} has that name."
            " Give it another name."
        )
    _registry[name] = codec
    resolve_chain.cache_clear()


def _origin(codec: Codec) -> str:
    return f"{type(codec).__module__}.{type(codec).__qualname__}"


def unregister_codec(name: str) -> None:
    """Forget a codec; meant for tests.

    Raises
    ------
    UnknownCodecError
        If there is no such codec.
    """
    name = parse_codec_type(name).name
    if _registry.pop(name, None) is None:
        raise UnknownCodecError(f"There is no codec <{name}>.")
    resolve_chain.cache_clear()


def _load_entry_points() -> None:
    """Import the codecs of installed packages, once."""
    for group in ENTRY_POINT_GROUPS:
        if group in _loaded_groups:
            continue
        _loaded_groups.add(group)
        for entry in _metadata.entry_points(group=group):
            if entry.name in _registry:
                continue
            try:
                loaded = entry.load()
                # Written for DataJoint's own base class, it has registered there and not here.
                if entry.name not in _registry and callable(getattr(loaded, "get_dtype", None)):
                    _register(entry.name, loaded() if isinstance(loaded, type) else loaded)
            except Exception as error:  # noqa: BLE001  another package's import can fail in any way
                logger.warning("The codec '%s' of %s could not be loaded: %s", entry.name, entry.value, error)


def get_codec(name: str) -> Codec:
    """Return a codec by its name, with or without angle brackets and store.

    Raises
    ------
    UnknownCodecError
        If no imported module and no installed package defines it.
    """
    name = parse_codec_type(name).name
    if name not in _registry:
        _load_entry_points()
    try:
        return _registry[name]
    except KeyError:
        raise UnknownCodecError(
            f"There is no codec <{name}>.{did_you_mean(name, _registry)} Import the module that"
            " defines it, or install the package that does."
        ) from None


def list_codecs() -> list[str]:
    """Return the names of all codecs, those of installed packages included, sorted."""
    _load_entry_points()
    return sorted(_registry)


def is_codec_registered(name: str) -> bool:
    """Return whether there is a codec of this name."""
    name = parse_codec_type(name).name
    if name not in _registry:
        _load_entry_points()
    return name in _registry


# --------------------------------------------------------------------------------------------- type chains


class CodecType(NamedTuple):
    """An attribute's type, taken apart: ``<blob@main>``.

    Attributes
    ----------
    name
        The codec.
    store
        The named store, ``None`` for the default one or none at all.
    is_store
        Whether the type says ``@``.
    """

    name: str
    store: str | None
    is_store: bool


def parse_codec_type(spec: str) -> CodecType:
    """Take apart the type of an attribute with a codec.

    Examples
    --------
    >>> parse_codec_type("<blob@main>")
    CodecType(name='blob', store='main', is_store=True)
    >>> parse_codec_type("<npy@>").is_store
    True
    """
    name, at, store = spec.strip().removeprefix("<").removesuffix(">").partition("@")
    return CodecType(name.strip(), store.strip() or None, bool(at))


class CodecChain(NamedTuple):
    """How an attribute's values are stored.

    Attributes
    ----------
    dtype
        The core type of the column.
    codecs
        Those that a value passes, the attribute's own first.
    store
        The named store, ``None`` for the default one or none at all.
    is_store
        Whether values go to an object store.
    """

    dtype: str
    codecs: tuple[Codec, ...]
    store: str | None
    is_store: bool


@lru_cache(maxsize=1024)
def resolve_chain(spec: str) -> CodecChain:
    """Follow a type such as ``<blob@main>`` down to the core type that its column has.

    Raises
    ------
    UnknownCodecError
        If a codec on the way is not registered.
    CodecError
        If codecs lead in a circle, or one needs ``@`` where there is none.
    """
    name, store, is_store = parse_codec_type(spec)
    codecs: list[Codec] = []
    while True:
        codec = get_codec(name)
        if codec in codecs:
            raise CodecError(
                f"The codecs of {spec} lead in a circle: <{name}> comes twice. Correct its get_dtype."
            )
        codecs.append(codec)
        dtype = codec.get_dtype(is_store).strip()
        if not dtype.startswith("<"):
            dtype, at, inner = dtype.partition("@")
            return CodecChain(dtype, tuple(codecs), inner or store, is_store or bool(at))
        name, inner_store, inner_is_store = parse_codec_type(dtype)
        store = inner_store or store
        is_store = is_store or inner_is_store


def resolve_dtype(spec: str, store: str | None = None) -> str:
    """Return the core type of the column of an attribute with a codec.

    Parameters
    ----------
    spec
        Its type (``"<blob@main>"``), or the codec's name.
    store
        The store, where `spec` does not say it; ``""`` means the default store, ``None`` none.

    Examples
    --------
    >>> import dj_panel.core.codecs
    >>> resolve_dtype("<blob>"), resolve_dtype("<blob@main>"), resolve_dtype("blob", "main")
    ('bytes', 'json', 'json')
    """
    name = parse_codec_type(spec).name
    return resolve_chain(spec if store is None else f"<{name}@{store}>").dtype


# --------------------------------------------------------------------------------------- encode and decode


@lru_cache(maxsize=1024)
def _keywords(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the parameters that a function takes.

    Asked of the signature, never by catching TypeError: what fails within a codec must not be run twice.
    """
    return frozenset(inspect.signature(function).parameters)


def call_encode(
    codec: Codec,
    value: Any,
    *,
    key: Mapping[str, Any] | None = None,
    store_name: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> Any:
    """Encode a value, passing only the keywords that the codec's `encode` takes."""
    keywords = _keywords(type(codec).encode)
    given: dict[str, Any] = {"key": _key_for(keywords, key, context)}
    given |= {"store_name": store_name, "context": dict(context or {})}
    return codec.encode(value, **{name: given[name] for name in given if name in keywords})


def call_decode(
    codec: Codec,
    stored: Any,
    *,
    key: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Any:
    """Decode a stored value, passing only the keywords that the codec's `decode` takes."""
    keywords = _keywords(type(codec).decode)
    given: dict[str, Any] = {"key": _key_for(keywords, key, context), "context": dict(context or {})}
    return codec.decode(stored, **{name: given[name] for name in given if name in keywords})


def _key_for(
    keywords: frozenset[str], key: Mapping[str, Any] | None, context: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the primary key; a codec older than `context` finds that in it, under names with underscores."""
    old_style = (
        {} if "context" in keywords else {f"_{name}": value for name, value in (context or {}).items()}
    )
    return {**old_style, **(key or {})}


def encode_value(
    spec: str,
    value: Any,
    *,
    key: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Any:
    """Take a value through all codecs of an attribute's type.

    Parameters
    ----------
    spec
        The type, as in the definition: ``"<blob@main>"``.
    value
        The value; ``None`` stays ``None``.
    key
        The row's primary key.
    context
        ``schema``, ``table``, ``field`` and ``config``.

    Returns
    -------
    Any
        What the core type of `resolve_dtype` takes: bytes for ``bytes``, a dict or list for ``json``.

    Raises
    ------
    EncodeError
        If a codec refuses the value; the message names the attribute.
    StoreError
        If a store is not configured or fails.
    """
    if value is None:
        return None
    chain = resolve_chain(spec)
    context = context or {}
    try:
        if validate := getattr(chain.codecs[0], "validate", None):  # those of packages need not have it
            validate(value)
        store = chain.store
        if chain.is_store and context.get("config") is not None:
            # Resolved now, since a row must name its store even after another becomes the default.
            store = _store_of(chain.codecs, store, context["config"])
        for codec in chain.codecs:
            value = call_encode(codec, value, key=key, store_name=store, context=context)
    except (EncodeError, TypeError, ValueError) as error:
        where = ".".join(str(context[part]) for part in ("schema", "table", "field") if context.get(part))
        raise EncodeError(f"{where or spec}: {error}") from error
    return value


def _store_of(codecs: tuple[Codec, ...], store: str | None, config: Any) -> str | None:
    resolve = getattr(codecs[-1], "resolve_store", None)
    name: str = resolve(store, config) if resolve else config.get_store_spec(store)["name"]
    return name


def decode_value(
    spec: str,
    stored: Any,
    *,
    key: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Any:
    """Take what a column holds back through all codecs of an attribute's type.

    Text is parsed first where the column is ``json``. ``None`` stays ``None``.

    Raises
    ------
    DecodeError
        If the stored value is not what the codecs wrote.
    MissingObjectError
        If an object that it refers to is gone.
    """
    if stored is None:
        return None
    chain = resolve_chain(spec)
    if chain.dtype == "json" and isinstance(stored, str | bytes):
        try:
            stored = json.loads(stored)
        except ValueError as error:
            raise DecodeError(f"The stored value of a {spec} is not JSON: {stored[:40]!r}") from error
    context = {**(context or {}), "store": chain.store}
    for codec in reversed(chain.codecs):
        stored = call_decode(codec, stored, key=key, context=context)
    return stored
