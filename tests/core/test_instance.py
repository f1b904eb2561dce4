"""Instances: databases side by side in one process, and a process that refuses everything global."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import dj_panel as dj
from dj_panel.core.settings import Settings
from tests.conftest import Backend
from tests.servers import MariaDBServer, private_mariadb


def instance(backend: Backend, **settings: object) -> dj.Instance:
    return dj.Instance(**{"safemode": False, **backend.settings, **settings})


def test_an_instance_declares_fills_and_reads_like_the_process_itself(dj_backend: Backend) -> None:
    with closing(instance(dj_backend)) as lab:
        schema = lab.Schema(dj_backend.prefix + "lab")

        @schema
        class Subject(dj.Manual):
            definition = "subject : varchar(8)\n---\nage : int16"

        Subject.insert1(("a", 3))
        assert lab.FreeTable(f"{schema.name}.subject").fetch1("age") == 3
        assert lab.virtual_schema(schema.name).Subject.keys() == [{"subject": "a"}]
        assert schema.name in lab.list_schemas()
        assert Subject().connection is lab.connection
        assert lab.config.safemode is False
        assert dj.config.safemode is True


def test_the_arguments_go_before_the_environment_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datajoint.json").write_text(json.dumps({"display": {"limit": 3}, "safemode": False}))
    monkeypatch.setenv("DJ_HOST", "from-environment")
    monkeypatch.setenv("DJ_BACKEND", "sqlite")
    lab = dj.Instance("from-code", "someone", "hush-hush", 3307, use_tls=False, display__width=20)
    database = lab.config.database
    assert (database.host, database.user, database.port, database.use_tls) == (
        "from-code",
        "someone",
        3307,
        False,
    )
    assert lab.config.backend == "mysql"
    assert (lab.config.display.limit, lab.config.display.width, lab.config.safemode) == (3, 20, False)
    assert "hush-hush" not in repr(lab)
    assert dj.Instance().config.backend == "sqlite"
    with pytest.raises(dj.errors.SettingsError, match="Did you mean 'safemode'"):
        dj.Instance(safemod=True)


def test_tls_that_cannot_be_had_is_said_to_be_the_reason(mariadb: MariaDBServer) -> None:
    lab = dj.Instance(mariadb.host, mariadb.user, mariadb.password, mariadb.port, use_tls=True)
    # the tests' own server has no certificate, and MySQL one that it signed itself
    with pytest.raises(dj.errors.LostConnectionError, match=r"offers no TLS|certificate .*\"ca\":"):
        lab.list_schemas()


def test_tls_is_used_without_being_asked_for_where_the_server_has_it(tmp_path: Path) -> None:
    key, certificate = write_certificate(tmp_path)
    arguments = (f"--ssl-key={key}", f"--ssl-cert={certificate}")
    with private_mariadb(tmp_path / "server", arguments=arguments) as server:
        lab = dj.Instance(server.host, server.user, server.password, server.port)
        (row,) = lab.connection.query("SHOW STATUS LIKE 'Ssl_cipher'")
        assert row[1]
        lab.close()
        lab = dj.Instance(
            server.host, server.user, server.password, server.port, use_tls={"ca": str(certificate)}
        )
        with pytest.raises(dj.errors.LostConnectionError, match="made out to another name"):
            lab.list_schemas()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a key and a certificate that it has signed itself, for a machine of another name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("elsewhere.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


def test_the_settings_of_instances_are_apart(tmp_path: Path) -> None:
    one, two = (dj.Instance(backend="sqlite", database__name=str(tmp_path / n)) for n in ("1", "2"))
    with one.config.override(display__limit=3, stores={"default": "x"}):
        assert two.config.display.limit == dj.config.display.limit == 12
        one.config.stores["main"] = {"protocol": "memory"}
        assert two.config.stores == {}
    one.Schema("lab")
    assert one.list_schemas() == ["lab"]
    assert two.list_schemas() == []
    one.close()
    two.close()


def test_a_table_is_found_by_its_name_alone_on_the_connection_of_the_process(dj_backend: Backend) -> None:
    with dj.config.override(safemode=False, **dj_backend.settings):
        connection = dj.conn(reset=True)
        schema = dj.Schema(dj_backend.prefix + "lab")
        schema(type("Rig", (dj.Lookup,), {"definition": "rig : int8", "contents": [(1,)]}))
        assert dj.FreeTable(f"`{schema.name}`.`#rig`").keys() == [{"rig": 1}]
        with pytest.raises(dj.errors.QuerySyntaxError, match="takes a connection"):
            dj.FreeTable("lab", "rig")
        connection.close()


@pytest.mark.parametrize("way", ["setting", "file", "variable"])
def test_in_thread_safe_mode_only_instances_work(way: str, tmp_path: Path) -> None:
    script = """
import dj_panel as dj

def refused(action):
    try:
        action()
    except dj.ThreadSafetyError as error:
        assert "dj.Instance" in str(error)
        return True
    return False

if WAY == "setting":
    dj.config.thread_safe = True
actions = [
    lambda: dj.config.safemode,
    lambda: dj.config["safemode"],
    lambda: dj.config.override(safemode=False),
    lambda: setattr(dj.config, "safemode", False),
    lambda: dj.config.__setitem__("safemode", False),
    dj.conn,
    lambda: dj.Schema("lab"),
    dj.list_schemas,
    lambda: dj.virtual_schema("lab"),
    lambda: dj.FreeTable("lab.rig"),
]
assert all(map(refused, actions)), [refused(action) for action in actions]
assert "dj.Instance" in repr(dj.config)
lab = dj.Instance(backend="sqlite", database__name="lab.db")
schema = lab.Schema("lab")

@schema
class Rig(dj.Lookup):
    definition = "rig : int8"
    contents = [(1,), (2,)]

assert len(Rig()) == 2
assert dj.FreeTable(lab.connection, "lab.#rig").to_arrays("rig", order_by="rig").tolist() == [1, 2]
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DJ_")}
    if way == "variable":
        environment["DJ_THREAD_SAFE"] = "1"
    if way == "file":
        (tmp_path / "datajoint.json").write_text('{"thread_safe": true}')
    command = [sys.executable, "-W", "error", "-c", script.replace("WAY", repr(way))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_settings_of_the_process_are_all_there() -> None:
    assert {name for name in dir(Settings) if not name.startswith("_")} <= {
        name for name in dir(Settings()) if hasattr(dj.config, name)
    }
    with pytest.raises(AttributeError):
        _ = dj.config.no_such_setting
