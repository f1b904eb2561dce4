"""Settings: what was set in code, else the environment, else `datajoint.json`, else `.secrets/`.

The names are DataJoint's, so one `datajoint.json` serves both programs. Two rules differ on purpose:
without a host the embedded SQLite database is used, and an unknown setting is an error with a suggestion.

Source: DataJoint 2.3, `reference/configuration`, and the behaviour of its published package.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import param

from dj_panel.core.errors import SettingsError, StoreError, did_you_mean

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

_STORE_DEFAULTS: dict[str, Any] = {
    "hash_prefix": "_hash",
    "schema_prefix": "_schema",
    "filepath_prefix": None,
    "subfolding": None,
    "partition_pattern": None,
    "token_length": 8,
}


class Database(param.Parameterized):
    """How to reach the database."""

    host = param.String(None, allow_None=True, doc="Server; none means the embedded SQLite database.")
    user = param.String(None, allow_None=True, doc="Account on the server.")
    password = param.String(None, allow_None=True, doc="Its password; never shown.")
    port = param.Integer(3306, bounds=(1, 65535), doc="TCP port of the server.")
    backend: Any = param.Selector(
        default=None, objects=[None, "mysql", "sqlite"], doc="'mysql' (also MariaDB) or 'sqlite'."
    )
    name = param.String("", constant=False, doc="SQLite: the database file, else ./pipeline.db.")
    use_tls = param.Parameter(None, doc="True demands TLS, False refuses it, None takes what there is.")
    reconnect = param.Boolean(True, doc="Connect again after a lost connection, outside transactions.")
    create_tables = param.Boolean(True, doc="Declare tables that are missing.")
    database_prefix = param.String("", doc="Deprecated in DataJoint; kept so that its files load.")

    def __init__(self) -> None:
        # param would call the object "Database00001"; here `name` is a setting of DataJoint's.
        super().__init__(name="")  # type: ignore[no-untyped-call]


class Connecting(param.Parameterized):
    """How connections behave."""

    charset = param.String("", doc="Kept for DataJoint's files; connections always speak utf8mb4.")


class Display(param.Parameterized):
    """How queries and diagrams are printed."""

    limit = param.Integer(12, bounds=(1, None), doc="Rows shown of a query.")
    width = param.Integer(14, bounds=(4, None), doc="Characters shown of a column.")
    show_tuple_count = param.Boolean(True, doc="Print the number of rows under a query.")
    diagram_direction: Any = param.Selector(default="LR", objects=["TB", "LR"], doc="Direction of diagrams.")
    diagram_theme: Any = param.Selector(
        default="auto", objects=["light", "dark", "auto"], doc="Their colours."
    )


class Jobs(param.Parameterized):
    """How job queues behave."""

    auto_refresh = param.Boolean(True, doc="Fill the queue before populating.")
    keep_completed = param.Boolean(False, doc="Keep a record of each success.")
    stale_timeout = param.Integer(3600, bounds=(0, None), doc="Seconds before a pending job is rechecked.")
    default_priority = param.Integer(5, bounds=(0, 127), doc="Lower is more urgent.")
    version_method: Any = param.Selector(
        default=None, objects=[None, "git", "none"], doc="Source of job versions."
    )
    allow_new_pk_fields_in_computed_tables = param.Boolean(False, doc="Admit keys that are not foreign.")
    add_job_metadata = param.Boolean(False, doc="Add hidden columns on when and how a row was computed.")


class Provenance(param.Parameterized):
    """What is recorded about where entries came from."""

    capture = param.Boolean(False, doc="Add the hidden `_prov` column to Manual tables.")
    source = param.Dict({}, doc="Recorded with every entry.")


class Forms(param.Parameterized):
    """How the forms in the browser read what people type; DataJoint has no such settings."""

    timezone = param.String("", doc="Time zone of the lab, such as 'Europe/Berlin'; none: the device's.")
    decimal_comma = param.Boolean(False, doc="Read 1,5 as one and a half.")
    max_upload_mb = param.Integer(100, bounds=(1, None), doc="Largest file that is taken, in megabytes.")


class Settings(param.Parameterized):
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
        try:
            setattr(owner, name, _coerced(owner.param[name], value))
        except (ValueError, TypeError) as error:
            shown = "what was given" if name == "password" else repr(value)
            raise SettingsError(f"The setting '{key}' cannot be {shown}: {error}") from error
        self._touched.add(key)

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
            If the file is missing, is not JSON, or holds an unknown setting.
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


_GROUPS = ("database", "connection", "display", "jobs", "provenance", "forms")


def setting_names() -> list[str]:
    """Return the dotted names of all settings."""
    names = [name for name in Settings.param if name != "name"]
    for group, cls in zip(_GROUPS, (Database, Connecting, Display, Jobs, Provenance, Forms), strict=True):
        names += [f"{group}.{name}" for name in cls.param if name != "name" or group == "database"]
    return names


def _coerced(parameter: Any, value: Any) -> Any:
    """Turn the text of a file or a variable into what the parameter takes."""
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        return value
    if isinstance(parameter, param.Boolean) or parameter.name == "use_tls":
        lowered = value.strip().lower()
        if lowered in ("1", "true", "yes", "on"):
            return True
        if lowered in ("0", "false", "no", "off"):
            return False
    if isinstance(parameter, param.Integer):
        return int(value)
    if isinstance(parameter, param.Dict):
        return json.loads(value)
    return value


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


def _json_object(variable: str, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{variable} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{variable} must hold one JSON object.")
    return content
