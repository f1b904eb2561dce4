"""Settings: from code before the environment before files before secrets, and none of them silently wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.core.settings import Settings, load_settings


def write(folder: Path, content: Any) -> Path:
    path = folder / "datajoint.json"
    path.write_text(json.dumps(content))
    return path


def test_the_environment_goes_before_the_file_and_the_file_before_secrets(tmp_path: Path) -> None:
    write(tmp_path, {"database": {"host": "from-file", "user": "file-user", "port": 3307}})
    secrets = tmp_path / ".secrets"
    secrets.mkdir()
    (secrets / "database.user").write_text("secret-user\n")
    (secrets / "database.password").write_text("secret-word\n")
    settings = load_settings(tmp_path, {"DJ_HOST": "from-environment", "DJ_PORT": "3308"})
    assert settings["database.host"] == "from-environment"
    assert settings["database.port"] == 3308
    assert settings["database.user"] == "file-user"
    assert settings["database.password"] == "secret-word"
    settings["database.host"] = "from-code"
    assert settings.database.host == "from-code"


def test_dotted_names_in_the_file_are_read_too(tmp_path: Path) -> None:
    write(
        tmp_path, {"database.host": "a", "display.limit": 3, "safemode": False, "stores": {"default": "main"}}
    )
    settings = load_settings(tmp_path, {})
    assert (settings["database.host"], settings.display.limit, settings.safemode) == ("a", 3, False)
    assert settings.stores == {"default": "main"}


def test_the_file_is_looked_for_upwards_to_the_top_of_the_repository(tmp_path: Path) -> None:
    deep = tmp_path / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    write(tmp_path, {"database.host": "outside"})
    (tmp_path / "repo" / ".git").mkdir()
    assert load_settings(deep, {})["database.host"] is None
    write(tmp_path / "repo", {"database.host": "inside"})
    assert load_settings(deep, {})["database.host"] == "inside"
    assert load_settings(deep, {"DJ_IGNORE_CONFIG_FILE": "1"})["database.host"] is None


def test_stores_come_together_from_file_environment_and_secrets(tmp_path: Path) -> None:
    write(tmp_path, {"stores": {"default": "main", "main": {"protocol": "file", "location": "/data"}}})
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets" / "stores.cloud.secret_key").write_text("key")
    cloud = {"cloud": {"protocol": "s3", "endpoint": "e", "bucket": "b"}}
    settings = load_settings(tmp_path, {"DJ_STORES": json.dumps(cloud)})
    assert settings.get_store_spec()["location"] == "/data"
    assert settings.get_store_spec("cloud")["bucket"] == "b"
    assert load_settings(tmp_path, {})["stores.cloud.secret_key"] == "key"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"database.port": "many"}, "database.port"),
        ({"database.port": 70000}, "database.port"),
        ({"loglevel": "LOUD"}, "loglevel"),
        ([1], "one JSON object"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_the_setting(
    tmp_path: Path, content: Any, message: str
) -> None:
    write(tmp_path, content)
    with pytest.raises(dj.errors.SettingsError, match=message):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"databse": {"host": "a"}}, "'databse'.*Did you mean 'database'"),
        ({"database": {"hots": "a"}}, "'database.hots'.*Did you mean 'database.host'"),
        ({"jobs.priority": 3}, "'jobs.priority'"),
    ],
)
def test_a_setting_that_there_is_not_is_reported_and_the_others_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: Any, message: str
) -> None:
    write(tmp_path, {**content, "display": {"limit": 3}})
    settings = load_settings(tmp_path, {})
    assert (settings.display.limit, settings.database.host) == (3, None)
    assert re.search(message, caplog.text)


def test_a_misspelled_setting_cannot_be_set(tmp_path: Path) -> None:
    settings = Settings()
    with pytest.raises(dj.errors.SettingsError, match="Did you mean 'safemode'"):
        settings.safemod = False
    with pytest.raises(dj.errors.SettingsError, match="Did you mean 'safemode'"):
        settings["safemod"] = False
    with pytest.raises(dj.errors.SettingsError, match=r"'database\.hots'.*Did you mean"):
        settings.database.hots = "a"
    with pytest.raises(dj.errors.SettingsError, match="Did you mean 'safemode'"):
        dj.config.safemod = False
    with pytest.raises(dj.errors.SettingsError, match=r"'database\.port' cannot be 'x'"):
        settings.database.port = "x"
    settings.database.port = "3307"
    settings.download_path = tmp_path
    assert (settings.database.port, settings.download_path) == (3307, str(tmp_path))
    del settings["database.port"]
    assert settings.database.port == 3306


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "datajoint.json"
    path.write_text("{")
    with pytest.raises(dj.errors.SettingsError, match="not valid JSON"):
        load_settings(tmp_path, {})
    with pytest.raises(dj.errors.SettingsError, match="no settings file"):
        Settings().load(tmp_path / "missing.json")


def test_a_wrong_variable_is_named_and_a_password_never_shown() -> None:
    with pytest.raises(dj.errors.SettingsError, match=r"database\.port.*'x'"):
        load_settings(Path("/"), {"DJ_PORT": "x", "DJ_IGNORE_CONFIG_FILE": "1"})
    with pytest.raises(dj.errors.SettingsError, match="DJ_STORES"):
        load_settings(Path("/"), {"DJ_STORES": "{", "DJ_IGNORE_CONFIG_FILE": "1"})
    settings = Settings()
    with pytest.raises(dj.errors.SettingsError) as caught:
        settings["database.password"] = 12345
    assert "12345" not in str(caught.value)
    settings["database.password"] = "hush-hush"
    assert "hush-hush" not in repr(settings)
    assert "hush-hush" not in repr(dj.Connection(settings))
    assert "hush-hush" not in str(dj.Connection(settings).conn_info)


def test_override_ends_with_its_block_even_after_an_error() -> None:
    settings = Settings()
    with (
        pytest.raises(ValueError, match="x"),
        settings.override(safemode=False, display__limit=3, jobs__keep_completed=True),
    ):
        assert (settings.safemode, settings["display.limit"], settings.jobs.keep_completed) == (
            False,
            3,
            True,
        )
        raise ValueError("x")
    assert (settings.safemode, settings["display.limit"], settings.jobs.keep_completed) == (True, 12, False)
    with pytest.raises(dj.errors.SettingsError, match="Did you mean"), settings.override(safemod=False):
        pass


def test_the_backend_follows_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(tmp_path, {}).backend == "sqlite"
    assert load_settings(tmp_path, {}).sqlite_path == tmp_path / "pipeline.db"
    assert load_settings(tmp_path, {"DJ_HOST": "a"}).backend == "mysql"
    assert load_settings(tmp_path, {"DJ_HOST": "a", "DJ_BACKEND": "sqlite"}).backend == "sqlite"
    assert load_settings(tmp_path, {"DJ_DATABASE_NAME": "/x/y.db"}).sqlite_path == Path("/x/y.db")


def test_settings_that_only_datajoint_has_do_not_stop_its_file_from_loading(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "$schema": "x",
            "_comment": "y",
            "database": {"database_prefix": "p_"},
            "connection": {"charset": ""},
        },
    )
    assert load_settings(tmp_path, {}).database.database_prefix == "p_"


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        ({}, "stores.default is not set"),
        ({"default": "main"}, "'main' is not configured"),
        ({"default": "man", "main": {"protocol": "file", "location": "x"}}, "Did you mean 'main'"),
        ({"default": "main", "main": {"location": "x"}}, "no protocol"),
        ({"default": "main", "main": {"protocol": "file"}}, "no location"),
        ({"default": "main", "main": {"protocol": "s3", "endpoint": "x"}}, "no bucket"),
    ],
)
def test_a_store_that_cannot_be_used_says_what_it_lacks(stores: Any, message: str) -> None:
    with pytest.raises(dj.errors.StoreError, match=message):
        Settings(stores=stores).get_store_spec()


def test_every_variable_of_datajoint_is_read(tmp_path: Path) -> None:
    expected = {
        "DJ_HOST": ("database.host", "h", "h"),
        "DJ_USER": ("database.user", "u", "u"),
        "DJ_PASS": ("database.password", "p", "p"),
        "DJ_PORT": ("database.port", "3307", 3307),
        "DJ_BACKEND": ("database.backend", "MySQL", "mysql"),
        "DJ_DATABASE_NAME": ("database.name", "n", "n"),
        "DJ_DATABASE_PREFIX": ("database.database_prefix", "x_", "x_"),
        "DJ_USE_TLS": ("database.use_tls", "true", True),
        "DJ_CREATE_TABLES": ("database.create_tables", "false", False),
        "DJ_LOG_LEVEL": ("loglevel", "debug", "DEBUG"),
        "DJ_LOG_STREAM": ("logstream", "stderr", "stderr"),
        "DJ_DIAGRAM_DIRECTION": ("display.diagram_direction", "TB", "TB"),
        "DJ_DIAGRAM_THEME": ("display.diagram_theme", "dark", "dark"),
        "DJ_STORES": ("stores", '{"default": "main"}', {"default": "main"}),
        "DJ_JOBS_AUTO_REFRESH": ("jobs.auto_refresh", "0", False),
        "DJ_JOBS_KEEP_COMPLETED": ("jobs.keep_completed", "1", True),
        "DJ_JOBS_STALE_TIMEOUT": ("jobs.stale_timeout", "7", 7),
        "DJ_JOBS_DEFAULT_PRIORITY": ("jobs.default_priority", "3", 3),
        "DJ_JOBS_VERSION_METHOD": ("jobs.version_method", "git", "git"),
        "DJ_JOBS_ALLOW_NEW_PK_FIELDS_IN_COMPUTED_TABLES": (
            "jobs.allow_new_pk_fields_in_computed_tables", "yes", True,
        ),
        "DJ_JOBS_ADD_JOB_METADATA": ("jobs.add_job_metadata", "on", True),
        "DJ_PROVENANCE_CAPTURE": ("provenance.capture", "1", True),
        "DJ_PROVENANCE_SOURCE": ("provenance.source", '{"rig": 2}', {"rig": 2}),
        "DJ_THREAD_SAFE": ("thread_safe", "1", True),
    }  # fmt: skip
    settings = load_settings(tmp_path, {variable: text for variable, (_, text, _) in expected.items()})
    assert {key: settings[key] for key, _, _ in expected.values()} == {k: v for k, _, v in expected.values()}


def test_a_variable_that_is_nearly_one_of_ours_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_settings(tmp_path, {"DJ_PASSWD": "x", "DJ_PANEL_DEMO_PREFIX": "y", "DJ_HOSTT": "z"})
    assert "DJ_HOSTT sets nothing. Did you mean 'DJ_HOST'" in caplog.text
    assert "DEMO_PREFIX" not in caplog.text


def test_a_secret_completes_a_store_of_the_environment(tmp_path: Path) -> None:
    write(tmp_path, {})
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets" / "stores.cloud.secret_key").write_text("from-secret")
    (tmp_path / ".secrets" / "stores.cloud.bucket").write_text("other")
    (tmp_path / ".secrets" / "database.user").write_text("secret-user")
    cloud = {"cloud": {"protocol": "s3", "endpoint": "e", "bucket": "b"}}
    settings = load_settings(tmp_path, {"DJ_STORES": json.dumps(cloud), "DJ_USER": "someone"})
    assert settings["stores.cloud.secret_key"] == "from-secret"
    assert settings["stores.cloud.bucket"] == "b"
    assert settings["database.user"] == "someone"
    ignoring = load_settings(tmp_path, {"DJ_IGNORE_CONFIG_FILE": "yes"})
    assert (ignoring.stores, ignoring["database.user"]) == ({}, None)


def test_secrets_of_the_system_serve_where_the_project_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "run"
    system.mkdir()
    (system / "database.user").write_text("system-user\n")
    monkeypatch.setattr("dj_panel.core.settings.SYSTEM_SECRETS", system)
    assert load_settings(tmp_path, {})["database.user"] == "system-user"
    project = tmp_path / "project"
    (project / ".secrets").mkdir(parents=True)
    write(project, {})
    assert load_settings(project, {})["database.user"] is None


def test_a_template_is_written_once_and_can_be_loaded(tmp_path: Path) -> None:
    path = dj.config.save_template(tmp_path / "datajoint.json", minimal=False)
    assert load_settings(tmp_path, {}).database.host == "localhost"
    assert (tmp_path / ".secrets" / "database.password").stat().st_mode & 0o077 == 0
    with pytest.raises(dj.errors.SettingsError, match="Remove it"):
        Settings.save_template(path)
    smaller = Settings.save_template(tmp_path / "small.json", create_secrets_dir=False)
    assert json.loads(smaller.read_text()) == {"database": {"host": "localhost", "port": 3306}}
