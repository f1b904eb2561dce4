"""The groups of settings, ``config.database``, ``config.display`` and so on: what there is, and what it may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import param

from dj_panel.core.errors import SettingsError, did_you_mean

__all__ = ["Connecting", "Database", "Display", "Forms", "Group", "Jobs", "Provenance"]


class Group(param.Parameterized):
    """Settings that are attributes: a name or a value that cannot be is refused when it is set."""

    _prefix: ClassVar[str] = ""
    _more: ClassVar[tuple[str, ...]] = ()
    """Attributes that are no settings themselves."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or name in self._more:
            super().__setattr__(name, value)
            return
        if name not in self.param:
            known = [*self.param, *self._more]
            raise SettingsError(f"There is no setting '{self._prefix}{name}'.{did_you_mean(name, known)}")
        try:
            super().__setattr__(name, _coerced(self.param[name], value))
        except (ValueError, TypeError) as error:
            shown = "what was given" if name == "password" else repr(value)
            raise SettingsError(f"The setting '{self._prefix}{name}' cannot be {shown}: {error}") from error


class Database(Group):
    """How to reach the database."""

    _prefix = "database."
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


class Connecting(Group):
    """How connections behave."""

    _prefix = "connection."
    charset = param.String("", doc="Kept for DataJoint's files; connections always speak utf8mb4.")


class Display(Group):
    """How queries and diagrams are printed."""

    _prefix = "display."
    limit = param.Integer(12, bounds=(1, None), doc="Rows shown of a query.")
    width = param.Integer(14, bounds=(4, None), doc="Characters shown of a column.")
    show_tuple_count = param.Boolean(True, doc="Print the number of rows under a query.")
    diagram_direction: Any = param.Selector(default="LR", objects=["TB", "LR"], doc="Direction of diagrams.")
    diagram_theme: Any = param.Selector(
        default="auto", objects=["light", "dark", "auto"], doc="Their colours."
    )


class Jobs(Group):
    """How job queues behave."""

    _prefix = "jobs."
    auto_refresh = param.Boolean(True, doc="Fill the queue before populating.")
    keep_completed = param.Boolean(False, doc="Keep a record of each success.")
    stale_timeout = param.Integer(3600, bounds=(0, None), doc="Seconds before a pending job is rechecked.")
    default_priority = param.Integer(5, bounds=(0, 127), doc="Lower is more urgent.")
    version_method: Any = param.Selector(
        default=None, objects=[None, "git", "none"], doc="Source of job versions."
    )
    allow_new_pk_fields_in_computed_tables = param.Boolean(False, doc="Admit keys that are not foreign.")
    add_job_metadata = param.Boolean(False, doc="Add hidden columns on when and how a row was computed.")


class Provenance(Group):
    """What is recorded about where entries came from."""

    _prefix = "provenance."
    capture = param.Boolean(False, doc="Add the hidden `_prov` column to Manual tables.")
    source = param.Dict({}, doc="Recorded with every entry.")


class Forms(Group):
    """How the forms in the browser read what people type; DataJoint has no such settings."""

    _prefix = "forms."
    timezone = param.String("", doc="Time zone of the lab, such as 'Europe/Berlin'; none: the device's.")
    decimal_comma = param.Boolean(False, doc="Read 1,5 as one and a half.")
    max_upload_mb = param.Integer(100, bounds=(1, None), doc="Largest file that is taken, in megabytes.")


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
