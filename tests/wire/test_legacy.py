"""Databases as DataJoint 0.14 left them: every table opens, blobs are read, and what is read only says so.

The tables are made with the statements that DataJoint 0.14 would send; it does not run with the other
libraries here.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.core.blob import pack
from tests.servers import MariaDBServer

UUIDS = {name: uuid.uuid5(uuid.NAMESPACE_OID, name) for name in ("movie", "attached", "path")}
TRACE = np.arange(600.0).reshape(20, 30)

TABLES = """
CREATE TABLE `{s}`.`~log` (`timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, `version` varchar(12) NOT NULL,
  `user` varchar(255) NOT NULL, `host` varchar(255) NOT NULL DEFAULT '', `event` varchar(255) NOT NULL DEFAULT '',
  PRIMARY KEY (`timestamp`)) ENGINE=InnoDB, COMMENT "event logging table for `{s}`";
CREATE TABLE `{s}`.`~jobs` (`table_name` varchar(255) NOT NULL COMMENT "className of the table",
  `key_hash` char(32) NOT NULL COMMENT "key hash", `status` enum('reserved','error','ignore') NOT NULL,
  `key` blob DEFAULT NULL COMMENT "structure containing the key", `error_message` varchar(2047) NOT NULL DEFAULT '',
  `error_stack` mediumblob DEFAULT NULL, `user` varchar(255) NOT NULL DEFAULT '', `host` varchar(255) NOT NULL DEFAULT '',
  `pid` int unsigned NOT NULL DEFAULT '0', `connection_id` bigint unsigned NOT NULL DEFAULT '0',
  `timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (`table_name`,`key_hash`))
  ENGINE=InnoDB, COMMENT "job reservation table for `{s}`";
CREATE TABLE `{s}`.`~external_raw` (`hash` binary(16) NOT NULL COMMENT ":uuid:hash of contents",
  `size` bigint unsigned NOT NULL COMMENT "size of object in bytes", `attachment_name` varchar(255) DEFAULT NULL,
  `filepath` varchar(1000) DEFAULT NULL, `contents_hash` binary(16) DEFAULT NULL COMMENT ":uuid:hash for filepath",
  `timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (`hash`))
  ENGINE=InnoDB, COMMENT "external storage tracking";
CREATE TABLE `{s}`.`#rig` (`rig` varchar(12) NOT NULL COMMENT "name", PRIMARY KEY (`rig`)) ENGINE=InnoDB, COMMENT "";
CREATE TABLE `{s}`.`session` (`session_id` binary(16) NOT NULL COMMENT ":uuid:who", `rig` varchar(12) NOT NULL,
  `trace` longblob NOT NULL COMMENT "the trace: raw", `small` blob DEFAULT NULL COMMENT "",
  `notes` longblob DEFAULT NULL COMMENT ":attach:notes of the day",
  `movie` binary(16) DEFAULT NULL COMMENT ":blob@raw:film", `attached` binary(16) DEFAULT NULL COMMENT ":attach@raw:",
  `path` binary(16) DEFAULT NULL COMMENT ":filepath@raw:file", `weight` float DEFAULT NULL COMMENT "g",
  PRIMARY KEY (`session_id`), KEY `rig` (`rig`),
  CONSTRAINT `session_ibfk_1` FOREIGN KEY (`rig`) REFERENCES `#rig` (`rig`) ON UPDATE CASCADE)
  ENGINE=InnoDB, COMMENT "a session";
CREATE TABLE `{s}`.`__mean` (`session_id` binary(16) NOT NULL COMMENT ":uuid:who", `mean` double NOT NULL,
  PRIMARY KEY (`session_id`), CONSTRAINT `__mean_ibfk_1` FOREIGN KEY (`session_id`) REFERENCES `session` (`session_id`)
  ON UPDATE CASCADE) ENGINE=InnoDB, COMMENT "";
"""


@pytest.fixture
def lab(mariadb: MariaDBServer, tmp_path: Path) -> Iterator[Any]:
    schema = f"l{secrets.token_hex(3)}_old"
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{schema}`")
        for statement in TABLES.format(s=schema).split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute(f"INSERT INTO `{schema}`.`#rig` VALUES ('one')")
        cursor.execute(
            f"INSERT INTO `{schema}`.`session` VALUES (%s, 'one', %s, %s, %s, %s, %s, %s, 20.5)",
            (uuid.UUID(int=1).bytes, pack(TRACE), pack({"a": [1, "b"]}), b"day.txt\0sunny", *(UUIDS[n].bytes for n in UUIDS)),
        )  # fmt: skip
        cursor.execute(
            f"INSERT INTO `{schema}`.`~external_raw` (hash, size, attachment_name) VALUES (%s, 5, 'x.txt')",
            (UUIDS["attached"].bytes,),
        )
        cursor.execute(
            f"INSERT INTO `{schema}`.`~jobs` (table_name, key_hash, status, `key`, error_message) VALUES"
            " ('__mean', 'abc', 'error', %s, 'it failed')",
            (pack({"session_id": "x"}),),
        )
        connection.commit()
    name = UUIDS["movie"].hex
    place = tmp_path / "store" / schema / name[:2] / name[2:4]
    place.mkdir(parents=True)
    (place / name).write_bytes(pack(TRACE.astype("u1")))
    stores = {"default": "raw", "raw": {"protocol": "file", "location": str(tmp_path / "store")}}
    instance = dj.Instance(
        mariadb.host, mariadb.user, mariadb.password, mariadb.port,
        stores=stores, safemode=False, download_path=str(tmp_path),
    )  # fmt: skip
    module = instance.virtual_schema(schema)
    module.instance = instance  # type: ignore[attr-defined]
    yield module
    instance.close()
    mariadb.drop_schemas(schema)


def test_tables_open_as_classes_and_hidden_ones_by_name(lab: Any) -> None:
    assert sorted(lab.schema.list_tables()) == ["#rig", "__mean", "session"]
    assert {k: a.type for k, a in lab.Session.heading.attributes.items()} == {
        "session_id": "uuid", "rig": "varchar(12)", "trace": "<blob>", "small": "<blob>", "notes": "<attach>",
        "movie": "<legacy_blob@raw>", "attached": "<legacy_attach@raw>", "path": "<legacy_filepath@raw>", "weight": "float",
    }  # fmt: skip
    assert lab.Session.heading["trace"].comment == "the trace: raw"
    assert lab.Session.heading["movie"].comment == "film"
    assert len(lab.Rig * lab.Session) == 1
    assert len(dj.Diagram(lab)) == 3
    jobs = lab.instance.FreeTable(f"{lab.schema.name}.~jobs").fetch1()
    assert (jobs["status"], jobs["key"], jobs["error_message"]) == ("error", {"session_id": "x"}, "it failed")
    files = lab.instance.FreeTable(f"{lab.schema.name}.~external_raw")
    assert (files & {"hash": UUIDS["attached"]}).fetch1("attachment_name") == "x.txt"


def test_values_are_read_from_columns_and_from_stores(lab: Any, tmp_path: Path) -> None:
    row = lab.Session.fetch1()
    assert row["session_id"] == uuid.UUID(int=1)
    assert np.array_equal(row["trace"], TRACE)
    assert row["small"] == {"a": [1, "b"]}
    assert Path(row["notes"]).read_text() == "sunny"
    assert np.array_equal(row["movie"], TRACE.astype("u1"))
    assert (row["attached"], row["path"]) == (UUIDS["attached"], UUIDS["path"])
    (tmp_path / "store" / lab.schema.name).rename(tmp_path / "moved")
    with pytest.raises(dj.errors.MissingObjectError, match="Check the location"):
        lab.Session.fetch1("movie")
    assert lab.Session.proj("weight").fetch1("weight") == 20.5


def test_rows_can_be_added_but_not_to_columns_that_are_read_only(lab: Any) -> None:
    row = {"session_id": uuid.UUID(int=2), "rig": "one", "trace": TRACE * 2}
    with pytest.raises(dj.errors.EncodeError, match=r"session\.movie.*DataJoint 0\.14.*read only.*migrate"):
        lab.Session.insert1({**row, "movie": TRACE})
    lab.Session.insert1(row)
    assert np.array_equal((lab.Session & {"session_id": row["session_id"]}).fetch1("trace"), TRACE * 2)
    lab.Mean.insert1({"session_id": row["session_id"], "mean": 1.5}, allow_direct_insert=True)
    assert (lab.Session & {"session_id": row["session_id"]}).delete(prompt=False)
    assert len(lab.Mean()) == 0
    assert len(lab.Session()) == 1
