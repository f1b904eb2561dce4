"""Settings: what was set in code, else the environment, else `datajoint.json`, else `.secrets/`.

The names are DataJoint's, so one `datajoint.json` serves both programs. Two rules differ on purpose:
without a host the embedded SQLite database is used, and an unknown setting in a file is reported in the log.

Source: DataJoint 2.3, `reference/configuration`, and the behaviour of its published package.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import param

from dj_panel.core.errors import SettingsError, StoreError, did_you_mean
from dj_panel.core.settinggroups import Connecting, Database, Display, Forms, Group, Jobs, Provenance

logger = logging.getLogger("dj_panel")

CONFIG_FILENAME = "datajoint.json"
SECRETS_FOLDER = ".secrets"
SYSTEM_SECRETS = Path("/run/secrets/datajoint")

_ENVIRONMENT = {
    "database.host": "DJ_HOST",
    "database.user": "DJ_USER",
    "database.password": "DJ_PASS",
    "database.backend": "DJ_BACKEND",
    "database.port": "DJ_PORT",
    "database.name": "DJ_DATABASE_NAME",
    "database.database_prefix": "DJ_DATABASE_PREFIX",
    "database.use_tls": "DJ_USE_TLS",
    "database.create_tables": "DJ_CREATE_TABLES",
    "display.diagram_direction": "DJ_DIAGRAM_DIRECTION",
    "display.diagram_theme": "DJ_DIAGRAM_THEME",
    "jobs.auto_refresh": "DJ_JOBS_AUTO_REFRESH",
    "jobs.keep_completed": "DJ_JOBS_KEEP_COMPLETED",
    "jobs.stale_timeout": "DJ_JOBS_STALE_TIMEOUT",
    "jobs.default_priority": "DJ_JOBS_DEFAULT_PRIORITY",
    "jobs.version_method": "DJ_JOBS_VERSION_METHOD",
    "jobs.allow_new_pk_fields_in_computed_tables": "DJ_JOBS_ALLOW_NEW_PK_FIELDS_IN_COMPUTED_TABLES",
    "jobs.add_job_metadata": "DJ_JOBS_ADD_JOB_METADATA",
    "provenance.capture": "DJ_PROVENANCE_CAPTURE",
    "provenance.source": "DJ_PROVENANCE_SOURCE",
    "forms.timezone": "DJ_PANEL_TIMEZONE",
    "forms.decimal_comma": "DJ_PANEL_DECIMAL_COMMA",
    "forms.max_upload_mb": "DJ_PANEL_MAX_UPLOAD_MB",
    "loglevel": "DJ_LOG_LEVEL",
    "logstream": "DJ_LOG_STREAM",
    "thread_safe": "DJ_THREAD_SAFE",
    "stores": "DJ_STORES",
}
_OTHER_VARIABLES = ("DJ_IGNORE_CONFIG_FILE",)

_GROUPS = ("database", "connection", "display", "jobs", "provenance", "forms")

_STORE_DEFAULTS: dict[str, Any] = {
    "hash_prefix": "_hash",
    "schema_prefix": "_schema",
    "filepath_prefix": None,
    "subfolding": None,
    "partition_pattern": None,
    "token_length": 8,
}


class Settings(Group):
    """All settings of one process or one instance.

    Read and set them by attribute (``config.database.host``) or by DataJoint's dotted names
    (``config["database.host"]``).

    Examples
    --------
    >>> settings = Settings()
    >>> settings["display.limit"] = 5
    >>> settings.display.limit
    5
    >>> with settings.override(safemode=False, display__limit=3):
    ...     settings["display.limit"], settings.safemode
    (3, False)
    """

    _more = (*_GROUPS, "config_path")

    safemode = param.Boolean(True, doc="Ask before deleting or dropping.")
    loglevel: Any = param.Selector(
        default="INFO", objects=["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], doc="Lowest level logged."
    )
    logstream: Any = param.Selector(
        default=None,
        objects=[None, "stdout", "stderr"],
        doc="Where log messages are written; Python's own rules hold if it is not set.",
    )
    thread_safe = param.Boolean(False, doc="Refuse the process's settings and connection: use dj.Instance.")
    ignore_config_file = param.Boolean(False, doc="Read neither datajoint.json nor .secrets/.")
    download_path = param.String(".", doc="Folder that attachments are written to when fetched.")
    refuse_unknown_attributes = param.Boolean(
        True, doc="Refuse a dict that names an attribute there is not; else pass over it, but not to delete."
    )
    query_cache = param.Parameter(None, doc="Kept so that DataJoint's files load.")
    stores = param.Dict({}, doc="Object stores by name; 'default' names one of them.")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)  # type: ignore[no-untyped-call]
        self.stores = dict(self.stores)
        self.database = Database()
        self.connection = Connecting()  # type: ignore[no-untyped-call]
        self.display = Display()  # type: ignore[no-untyped-call]
        self.jobs = Jobs()  # type: ignore[no-untyped-call]
        self.provenance = Provenance()  # type: ignore[no-untyped-call]
        self.forms = Forms()  # type: ignore[no-untyped-call]
        self._touched: set[str] = set()
        self.config_path: Path | None = None

    # ------------------------------------------------------------------ names
    def _locate(self, key: str) -> tuple[param.Parameterized, str]:
        group, _, name = key.rpartition(".")
        owner: param.Parameterized = self
        if group:
            if group not in _GROUPS:
                raise SettingsError(f"There is no group of settings '{group}'.{did_you_mean(group, _GROUPS)}")
            owner = getattr(self, group)
        if name not in owner.param or (name == "name" and owner is self):
            raise SettingsError(f"There is no setting '{key}'.{did_you_mean(key, setting_names())}")
        return owner, name

    def __getitem__(self, key: str) -> Any:
        if key.startswith("stores."):
            value: Any = self.stores
            for part in key.split(".")[1:]:
                if not isinstance(value, Mapping) or part not in value:
                    raise SettingsError(f"There is no setting '{key}'.")
                value = value[part]
            return value
        owner, name = self._locate(key)
        return getattr(owner, name)

    def __setitem__(self, key: str, value: Any) -> None:
        if key.startswith("stores."):
            parts = key.split(".")[1:]
            place = self.stores
            for part in parts[:-1]:
                place = place.setdefault(part, {})
            place[parts[-1]] = value
            return
        owner, name = self._locate(key)
        setattr(owner, name, value)
        self._touched.add(key)

    def __delitem__(self, key: str) -> None:
        """Set a setting back to its default."""
        owner, name = self._locate(key)
        setattr(owner, name, owner.param[name].default)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting by its dotted name, or ``default`` if there is none of that name."""
        try:
            return self[key]
        except SettingsError:
            return default

    @contextmanager
    def override(self, **values: Any) -> Iterator[Settings]:
        """Set settings for the length of a ``with`` block; ``__`` stands for the dot in a name."""
        names = {key.replace("__", "."): value for key, value in values.items()}
        before = {key: self[key] for key in names}
        try:
            for key, value in names.items():
                self[key] = value
            yield self
        finally:
            for key, value in before.items():
                self[key] = value

    # ---------------------------------------------------------------- sources
    def load(self, filename: str | Path) -> None:
        """Read settings from a `datajoint.json` (nested or with dotted names).

        Raises
        ------
        SettingsError
            If the file is missing, is not JSON, or holds a value that its setting cannot have. A setting that
            there is not is reported in the log: the file may be meant for another version, or for DataJoint.
        """
        path = Path(filename)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise SettingsError(f"There is no settings file {path}.") from error
        except ValueError as error:
            raise SettingsError(f"The settings file {path} is not valid JSON: {error}") from error
        if not isinstance(content, dict):
            raise SettingsError(f"The settings file {path} must hold one JSON object.")
        self._update(content)
        self.config_path = path

    def _update(self, content: Mapping[str, Any], prefix: str = "") -> None:
        for key, value in content.items():
            full = prefix + key
            if full == "stores":
                self.stores = {**self.stores, **value}
            elif full in _GROUPS and isinstance(value, Mapping):
                self._update(value, full + ".")
            elif not key.startswith("_") and not key.startswith("$"):
                try:
                    self._locate(full)
                except SettingsError:
                    hint = did_you_mean(full, [*setting_names(), *_GROUPS, "stores"])
                    logger.warning("datajoint.json: there is no setting '%s'; it sets nothing.%s", full, hint)
                else:
                    self[full] = value

    def load_environment(self, environment: Mapping[str, str] | None = None) -> None:
        """Read every ``DJ_…`` variable that is set.

        Raises
        ------
        SettingsError
            If a variable holds what its setting cannot be. One that is nearly spelled like a variable of
            ours is reported in the log.
        """
        environment = os.environ if environment is None else environment
        for key, variable in _ENVIRONMENT.items():
            text = environment.get(variable)
            if text is None or text == "":
                continue
            if key == "stores":
                self.stores = {**self.stores, **_json_object(variable, text)}
            elif key in ("loglevel", "logstream", "database.backend"):
                self[key] = text.upper() if key == "loglevel" else text.lower()
            else:
                self[key] = _json_object(variable, text) if key == "provenance.source" else text
        known = (*_ENVIRONMENT.values(), *_OTHER_VARIABLES)
        for variable in environment:
            if variable.startswith("DJ_") and not variable.startswith("DJ_PANEL_") and variable not in known:
                hint = did_you_mean(variable, known)
                if hint:
                    logger.warning("The variable %s sets nothing.%s", variable, hint)

    def _load_secrets(self, folder: Path) -> None:
        for key in ("database.user", "database.password"):
            secret = folder / key
            if key not in self._touched and secret.is_file():
                self[key] = secret.read_text(encoding="utf-8").strip()
        stores = dict(self.stores)
        for secret in sorted(folder.glob("stores.*.*")):
            _, store, name = secret.name.split(".", 2)
            spec = stores.get(store, {})
            if isinstance(spec, Mapping) and name not in spec:
                stores[store] = {**spec, name: secret.read_text(encoding="utf-8").strip()}
        self.stores = stores

    @staticmethod
    def save_template(
        path: str | Path = CONFIG_FILENAME, minimal: bool = True, create_secrets_dir: bool = True
    ) -> Path:
        """Write a settings file to begin with, and return its path.

        Parameters
        ----------
        path
            Where to; nothing is overwritten.
        minimal
            Whether to write only where the database is; else every setting with its default.
        create_secrets_dir
            Whether to make a folder `.secrets/` beside it, for the account and its password, that only its
            owner may read and git ignores.

        Raises
        ------
        SettingsError
            If the file exists.
        """
        path = Path(path).absolute()
        content: dict[str, Any] = {"database": {"host": "localhost", "port": 3306}}
        if not minimal:
            hidden = {"database.password", "thread_safe", "ignore_config_file"}
            settings = Settings()
            for key in (name for name in setting_names() if name not in hidden):
                group, _, name = key.rpartition(".")
                (content.setdefault(group, {}) if group else content)[name] = settings[key]
            content["database"].update(host="localhost", backend="mysql")
            content["stores"] = {"default": "main", "main": {"protocol": "file", "location": "/data/main"}}
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=4) + "\n")
        except FileExistsError as error:
            raise SettingsError(
                f"There is a file {path} already. Remove it, or choose another name."
            ) from error
        if create_secrets_dir:
            folder = path.parent / SECRETS_FOLDER
            folder.mkdir(mode=0o700, exist_ok=True)
            for name, text in (("database.user", ""), ("database.password", ""), (".gitignore", "*\n")):
                secret = folder / name
                if not secret.exists():
                    secret.touch(mode=0o600)
                    secret.write_text(text, encoding="utf-8")
        return path

    # ---------------------------------------------------------------- meaning
    @property
    def backend(self) -> str:
        """``'mysql'`` if one is asked for or a host is set, else ``'sqlite'``."""
        chosen: str | None = self.database.backend
        return chosen or ("mysql" if self.database.host else "sqlite")

    @property
    def sqlite_path(self) -> Path:
        """The file of the embedded database."""
        return Path(self.database.name or "pipeline.db").expanduser().absolute()

    def get_store_spec(
        self, store: str | None = None, *, use_filepath_default: bool = False
    ) -> dict[str, Any]:
        """Return the specification of a store, its defaults filled in and its name under ``"name"``.

        Parameters
        ----------
        store
            Its name; ``None`` or ``""`` means ``stores.default`` (``stores.filepath_default`` for
            ``use_filepath_default``).

        Raises
        ------
        StoreError
            If no such store is configured, or it lacks what its protocol needs.
        """
        if not store:
            role = "filepath_default" if use_filepath_default else "default"
            store = self.stores.get(role)
            if not isinstance(store, str):
                raise StoreError(
                    f"No store is named here and stores.{role} is not set. Set it to a store's name."
                )
        spec = self.stores.get(store)
        if not isinstance(spec, Mapping):
            known = [name for name, value in self.stores.items() if isinstance(value, Mapping)]
            raise StoreError(
                f"The store '{store}' is not configured.{did_you_mean(store, known)}"
                f" Add it as stores.{store} in {CONFIG_FILENAME}, with a protocol and a location."
            )
        full = {**_STORE_DEFAULTS, **spec, "name": store}
        protocol = str(full.get("protocol") or "").lower()
        needed = {
            "file": ("location",),
            "s3": ("endpoint", "bucket"),
            "gcs": ("bucket",),
            "azure": ("container",),
        }
        if not protocol:
            raise StoreError(
                f"The store '{store}' has no protocol. Set stores.{store}.protocol, for example to 'file'."
            )
        for key in needed.get(protocol, ()):
            if not full.get(key):
                raise StoreError(f"The store '{store}' has no {key}. Set stores.{store}.{key}.")
        full["protocol"] = protocol
        full.setdefault("location", "")
        return full


def setting_names() -> list[str]:
    """Return the dotted names of all settings."""
    names = [name for name in Settings.param if name != "name"]
    for group, cls in zip(_GROUPS, (Database, Connecting, Display, Jobs, Provenance, Forms), strict=True):
        names += [f"{group}.{name}" for name in cls.param if name != "name" or group == "database"]
    return names


def find_config_file(start: Path) -> Path | None:
    """Return the nearest `datajoint.json` in a folder or above it, up to a repository's top."""
    for folder in (start, *start.parents):
        candidate = folder / CONFIG_FILENAME
        if candidate.is_file():
            return candidate
        if (folder / ".git").exists() or (folder / ".hg").exists():
            return None
    return None


def load_settings(start: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return settings from `datajoint.json`, `.secrets/` and the environment.

    Parameters
    ----------
    start
        Folder from which `datajoint.json` is searched upwards; the working directory if not given.
    environment
        Variables; those of the process if not given.
    """
    environment = os.environ if environment is None else environment
    settings = Settings()
    ignored = environment.get("DJ_IGNORE_CONFIG_FILE", "").lower() in ("1", "true", "yes", "on")
    settings.ignore_config_file = ignored
    path = None if ignored else find_config_file(start or Path.cwd())
    if path is not None:
        settings.load(path)
    settings.load_environment(environment)
    # Last, for a secret completes what the others have set, and replaces nothing.
    for folder in ([path.parent / SECRETS_FOLDER] if path else []) + [SYSTEM_SECRETS]:
        if not ignored and folder.is_dir():
            settings._load_secrets(folder)
            break
    return settings


@cache
def process_settings() -> Settings:
    """Return the settings that a program uses when it names none; they are looked for once."""
    return load_settings()


def settings_of(base: Settings | None, **database: Any) -> Settings:
    """Return a copy of settings with another database.

    Parameters
    ----------
    base
        The settings; those of the process if not given.
    **database
        Settings of the group ``database``; what is ``None`` stays as it is.
    """
    base = process_settings() if base is None else base
    settings = Settings(stores=base.stores)
    for key in setting_names():
        settings[key] = base[key]
    for name, value in database.items():
        if value is not None:
            settings[f"database.{name}"] = value
    return settings


def _json_object(variable: str, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{variable} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{variable} must hold one JSON object.")
    return content
