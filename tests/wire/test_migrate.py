"""``dj.migrate`` makes a database of DataJoint 0.14 one that the real DataJoint 2.3 and we read alike, and loses nothing.

The tables are made with the statements that DataJoint 0.14 would send; it does not run with the other
libraries here.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.core.blob import pack
from tests.peer import datajoint
from tests.servers import MariaDBServer

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:datajoint"),
]

TRACE = np.arange(600.0).reshape(20, 30)
FILM = TRACE.astype("u1")

TABLES = """
CREATE TABLE `{s}`.`~log` (`timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, `event` varchar(255) NOT NULL,
  PRIMARY KEY (`timestamp`)) ENGINE=InnoDB, COMMENT "event logging table for `{s}`";
CREATE TABLE `{s}`.`~external_raw` (`hash` binary(16) NOT NULL COMMENT ":uuid:hash of contents",
  `size` bigint unsigned NOT NULL COMMENT "size of object in bytes", `attachment_name` varchar(255) DEFAULT NULL,
  `filepath` varchar(1000) DEFAULT NULL, `contents_hash` binary(16) DEFAULT NULL COMMENT ":uuid:hash for filepath",
  `timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (`hash`))
  ENGINE=InnoDB, COMMENT "external storage tracking";
CREATE TABLE `{s}`.`#rig` (`rig` varchar(12) NOT NULL COMMENT "name", PRIMARY KEY (`rig`)) ENGINE=InnoDB, COMMENT "";
CREATE TABLE `{s}`.`#kind` (`kind` int NOT NULL COMMENT "its number", PRIMARY KEY (`kind`)) ENGINE=InnoDB, COMMENT "";
CREATE TABLE `{s}`.`session` (`session_id` binary(16) NOT NULL COMMENT ":uuid:who",
  `number` int unsigned NOT NULL AUTO_INCREMENT COMMENT "it's 100 % {{a}}: \\\\", `rig` varchar(12) NOT NULL,
  `trace` longblob NOT NULL COMMENT "the trace: raw", `small` blob DEFAULT NULL COMMENT "",
  `notes` longblob DEFAULT NULL COMMENT ":attach:notes of the day", `good` tinyint(1) NOT NULL DEFAULT '1',
  `odd` tinyint(1) NOT NULL DEFAULT '7', `count` smallint NOT NULL DEFAULT '-3' COMMENT "of spikes",
  `huge` bigint unsigned DEFAULT NULL, `weight` float DEFAULT NULL COMMENT "g", `depth` double NOT NULL DEFAULT '2.5',
  `movie` binary(16) NOT NULL COMMENT ":blob@raw:film {{it's}} 5 %", `attached` binary(16) DEFAULT NULL COMMENT ":attach@raw:",
  `path` binary(16) DEFAULT NULL COMMENT ":filepath@raw:file",
  `seen` timestamp NOT NULL DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`session_id`), UNIQUE KEY `number` (`number`), KEY `rig` (`rig`),
  FOREIGN KEY (`rig`) REFERENCES `#rig` (`rig`) ON UPDATE CASCADE ON DELETE RESTRICT,
  FOREIGN KEY (`movie`) REFERENCES `~external_raw` (`hash`) ON UPDATE RESTRICT ON DELETE RESTRICT,
  FOREIGN KEY (`attached`) REFERENCES `~external_raw` (`hash`) ON UPDATE RESTRICT ON DELETE RESTRICT,
  FOREIGN KEY (`path`) REFERENCES `~external_raw` (`hash`) ON UPDATE RESTRICT ON DELETE RESTRICT)
  ENGINE=InnoDB, COMMENT "a session";
CREATE TABLE `{s}`.`__mean` (`session_id` binary(16) NOT NULL COMMENT ":uuid:who", `mean` double NOT NULL,
  `kind` int NOT NULL, PRIMARY KEY (`session_id`), FOREIGN KEY (`kind`) REFERENCES `#kind` (`kind`) ON UPDATE CASCADE,
  FOREIGN KEY (`session_id`) REFERENCES `session` (`session_id`)
  ON UPDATE CASCADE ON DELETE RESTRICT) ENGINE=InnoDB, COMMENT "";
"""
KEYS = [uuid.UUID(int=1), uuid.UUID(int=2)]


def old_objects(folder: Path, schema: str) -> dict[str, bytes]:
    """Put into a store what DataJoint 0.14 would, and return the UUIDs."""
    film, text = pack(FILM), b"one two"
    digests = {
        "movie": hashlib.md5(film).digest(),
        "attached": hashlib.md5(b"day.tar.gz\0" + text).digest(),
        "path": hashlib.md5(b"raw/a.bin").digest(),
    }
    for name, content, end in (("movie", film, ""), ("attached", text, ".day.tar.gz")):
        digest = digests[name].hex()
        place = folder / schema / digest[:2] / digest[2:4]
        place.mkdir(parents=True)
        (place / (digest + end)).write_bytes(content)
    (folder / "raw").mkdir()
    (folder / "raw" / "a.bin").write_bytes(b"12345")
    return digests


@pytest.fixture
def lab(mariadb: MariaDBServer, tmp_path: Path) -> Iterator[Any]:
    prefix = f"m{secrets.token_hex(3)}_"
    name, store = prefix + "old", tmp_path / "store"
    store.mkdir()
    digests = old_objects(store, name)
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        for statement in TABLES.format(s=name).split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        for what, entry in {"movie": (len(pack(FILM)), None, None), "attached": (7, "day.tar.gz", None),
                            "path": (5, None, "raw/a.bin")}.items():  # fmt: skip
            cursor.execute(
                f"INSERT INTO `{name}`.`~external_raw` (hash, size, attachment_name, filepath) VALUES (%s, %s, %s, %s)",
                (digests[what], *entry),
            )
        cursor.execute(f"INSERT INTO `{name}`.`#rig` VALUES ('one')")
        cursor.execute(f"INSERT INTO `{name}`.`#kind` VALUES (4)")
        sql = (
            f"INSERT INTO `{name}`.`session` (session_id, rig, trace, small, notes, huge, weight, movie, attached, path)"
            " VALUES (%s, 'one', %s, %s, %s, %s, 20.5, %s, %s, %s)"
        )
        cursor.execute(
            sql, (KEYS[0].bytes, pack(TRACE), pack({"a": [1, "b"]}), b"day.txt\0sunny", 2**64 - 1, *digests.values())
        )  # fmt: skip
        cursor.execute(sql, (KEYS[1].bytes, pack(TRACE), None, None, 5, digests["movie"], None, None))
        cursor.execute(f"INSERT INTO `{name}`.`__mean` VALUES (%s, 1.5, 4)", (KEYS[0].bytes,))
    stores = {"default": "raw", "raw": {"protocol": "file", "location": str(store)}}
    stores["alias"] = stores["raw"]
    stores["copied"] = {"protocol": "file", "location": str(tmp_path / "copied")}
    (tmp_path / "copied").mkdir()
    instance = dj.Instance(
        mariadb.host, mariadb.user, mariadb.password, mariadb.port,
        stores=stores, safemode=False, download_path=str(tmp_path / "ours"),
    )  # fmt: skip
    yield SimpleNamespace(
        name=name, prefix=prefix, store=store, instance=instance, schema=instance.Schema(name),
        connection=instance.connection, digests=digests,
    )  # fmt: skip
    instance.close()
    mariadb.drop_schemas(prefix)


@pytest.fixture
def theirs(lab: Any, mariadb: MariaDBServer, tmp_path: Path) -> Iterator[Any]:
    instance = datajoint.Instance(
        mariadb.host, mariadb.user, mariadb.password, mariadb.port, backend="mysql",
        stores=lab.instance.config.stores, safemode=False, download_path=str(tmp_path / "theirs"),
    )  # fmt: skip
    yield instance
    instance.connection.close()


def rows(lab: Any, table: str = "session", schema: str = "") -> list[Any]:
    """Return the rows of a table as the server has them."""
    key = "session_id"
    found: list[Any] = lab.connection.query(
        f"SELECT * FROM `{schema or lab.name}`.`{table}` ORDER BY {key}", as_dict=True
    ).fetchall()
    return found


def shape(lab: Any, schema: str = "") -> list[Any]:
    """Return what the server says of the columns, but for the comments."""
    return list(
        lab.connection.query(
            "SELECT table_name, column_name, column_type, is_nullable, column_default, extra, collation_name"
            " FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
            (schema or lab.name,),
        )
    )


def marks(lab: Any) -> dict[str, str]:
    found = lab.connection.query(
        "SELECT column_name, column_comment FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = 'session'",
        (lab.name,),
    )
    return dict(found.fetchall())


def test_a_dry_run_changes_nothing_and_tells_everything(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    # the foreign keys of 0.14 into its own tables hide nothing
    assert np.array_equal(
        (lab.instance.virtual_schema(lab.name).Session & {"number": 1}).fetch1("movie"), FILM
    )
    before = (shape(lab), rows(lab), marks(lab), sorted(map(str, lab.store.rglob("*"))))
    found = dj.migrate.analyze_columns(lab.schema)
    types = {c["column"]: c["core_type"] for c in found["needs_migration"]}
    assert types == {
        "mean": "float64", "number": "int64", "trace": "<blob>", "small": "<blob>", "notes": "<attach>", "good": "bool",
        "odd": "int8", "count": "int16", "weight": "float32", "depth": "float64",
        "kind": "int32",
    }  # fmt: skip
    assert {c["column"] for c in found["external_storage"]} == {"movie", "attached", "path"}
    assert [(c["column"], "decimal(20,0)" in c["reason"]) for c in found["refused"]] == [("huge", True)]
    assert len(dj.migrate.migrate_columns(lab.schema)["sql_statements"]) == len(types) + 1  # kind is in two
    assert dj.migrate.check_migration_status(lab.schema)["pending"] == 2
    assert len(dj.migrate.generate_migration_sql(lab.schema)) == 2
    assert dj.migrate.migrate_blob_columns(lab.schema)["migrated"] == 0
    external = dj.migrate.migrate_external(lab.schema)
    assert [(d["column"], d["rows"], d["status"]) for d in external["details"]] == [
        ("movie", 2, "dry_run"), ("attached", 1, "dry_run"),
    ]  # fmt: skip
    assert dj.migrate.migrate_filepath(lab.schema)["columns_found"] == 1
    assert dj.migrate.rebuild_lineage(lab.schema)["lineage_entries"] == 6
    added = dj.migrate.add_job_metadata_columns(lab.schema)
    assert (added["tables_modified"], added["columns_added"]) == (1, 3)
    assert dj.migrate.check_store_configuration(lab.schema)["stores_configured"] == ["raw"]
    whole = dj.migrate.verify_external_integrity(lab.schema)
    assert (whole["total_references"], whole["valid"], whole["missing"]) == (3, 3, [])
    verdict = dj.migrate.verify_schema_v20(lab.name, lab.connection)
    assert (verdict["compatible"], verdict["lineage_exists"], len(verdict["issues"])) == (False, False, 6)
    assert (shape(lab), rows(lab), marks(lab), sorted(map(str, lab.store.rglob("*")))) == before
    printed = capsys.readouterr().out
    assert (
        f"Would be done: ALTER TABLE `{lab.name}`.`session` MODIFY COLUMN `trace` longblob NOT NULL"
        in printed
    )
    assert f"Would be done: migrate {lab.name}.session.movie: 2 rows, 1 objects" in printed


def migrate_references(lab: Any) -> None:
    for step in (dj.migrate.migrate_external, dj.migrate.migrate_filepath):
        step(lab.schema, dry_run=False)
        step(lab.schema, dry_run=False, finalize=True)


def migrate_all(lab: Any) -> None:
    dj.migrate.migrate_columns(lab.schema, dry_run=False)
    migrate_references(lab)
    dj.migrate.rebuild_lineage(lab.schema, dry_run=False)
    dj.migrate.add_job_metadata_columns(lab.schema, dry_run=False)


def test_both_programs_read_every_value_of_a_migrated_schema(lab: Any, theirs: Any) -> None:
    before = rows(lab)
    migrate_all(lab)
    assert dj.migrate.verify_schema_v20(lab.name, lab.connection) == {
        "compatible": True, "blob_markers": True, "lineage_exists": True, "issues": [],
    }  # fmt: skip
    # what was there is there still, byte for byte, under the same or its old name
    for old, new in zip(before, rows(lab), strict=True):
        moved = {"movie", "attached", "path"}
        assert {n + "_v1" if n in moved else n: v for n, v in old.items()}.items() <= new.items()
    ours = lab.instance.virtual_schema(lab.name)
    modules = (ours, datajoint.VirtualModule("theirs", lab.name, connection=theirs.connection))
    for module in modules:
        first, second = module.Session().to_dicts(order_by="number")
        assert (first["session_id"], first["number"], second["number"]) == (KEYS[0], 1, 2)
        assert np.array_equal(first["trace"], TRACE)
        assert first["small"] == {"a": [1, "b"]}
        assert Path(first["notes"]).read_text() == "sunny"
        assert (first["good"], first["odd"], first["count"], first["weight"], first["depth"]) == (
            1,
            7,
            -3,
            20.5,
            2.5,
        )
        assert first["huge"] == 2**64 - 1
        assert np.array_equal(first["movie"], FILM)
        assert np.array_equal(second["movie"], FILM)
        assert (Path(first["attached"]).name, Path(first["attached"]).read_text()) == (
            "day.tar.gz",
            "one two",
        )
        assert first["path"].read() == b"12345"
        assert (second["small"], second["notes"], second["attached"], second["path"]) == (None,) * 4
        assert first["movie_v1"] == uuid.UUID(bytes=lab.digests["movie"])
        assert len(module.Rig() * module.Session() * module.Mean() * module.Kind()) == 1
    assert ours.Session.heading["movie"].comment == "film {it's} 5 %"
    assert ours.Session.heading["number"].comment == "it's 100 % {a}: \\"
    assert not ours.Session.heading["movie"].nullable
    # New rows go in without the old columns. (DataJoint itself writes no reference into a store on MariaDB,
    # whose JSON columns it takes for text.)
    row = {"session_id": uuid.UUID(int=8), "number": 8, "rig": "one", "trace": TRACE, "movie": FILM + 1}
    ours.Session.insert1(row)
    for module in modules:
        found = (module.Session() & {"number": 8}).fetch1()
        assert np.array_equal(found["movie"], FILM + 1)
        assert (found["good"], found["count"], found["movie_v1"]) == (1, -3, None)


def test_what_is_kept_of_the_old_can_be_dropped_at_the_end(lab: Any) -> None:
    migrate_references(lab)
    keys = "SELECT COUNT(*) FROM information_schema.key_column_usage WHERE table_schema = %s"
    keys += " AND referenced_table_name LIKE '~external%%'"
    module = lab.instance.virtual_schema(lab.name)
    session, names = module.Session, vars(module)
    session.definition = session.definition.replace("of spikes", "counted")
    session.alter(prompt=False, context=names)
    # an alteration of something else leaves the bookkeeping of 0.14 alone
    assert lab.connection.query(keys, (lab.name,)).fetchone()[0] == 3
    session.definition = "\n".join(line for line in session.definition.splitlines() if "_v1 " not in line)
    with pytest.raises(dj.errors.IntegrityError, match="would be dropped with its"):
        session.alter(prompt=False, context=names)
    session.alter(prompt=False, context=names, allow_loss=True)
    lab.connection.query(f"DROP TABLE `{lab.name}`.`~external_raw`")
    assert np.array_equal((session & {"number": 2}).fetch1("movie"), FILM)


def test_every_step_can_be_run_again(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate = dj.migrate.migrate_external
    with pytest.raises(dj.errors.DefinitionError, match="no column 'movie_v2' yet"):
        migrate(lab.schema, dry_run=False, finalize=True)
    assert migrate(lab.schema, dry_run=False)["rows_migrated"] == 3
    again = migrate(lab.schema, dry_run=False)
    assert (again["rows_migrated"], {d["status"] for d in again["details"]}) == (0, {"already_migrated"})
    # as if it had broken off between two rows, or DataJoint 0.14 had added one since
    lab.connection.query(f"UPDATE `{lab.name}`.`session` SET movie_v2 = NULL, seen = seen WHERE number = 2")
    with pytest.raises(dj.errors.IntegrityError, match="another program had written"):
        migrate(lab.schema, dry_run=False, finalize=True)
    assert "movie_v1" not in marks(lab)
    assert migrate(lab.schema, dry_run=False)["rows_migrated"] == 1
    assert migrate(lab.schema, finalize=True)["columns_migrated"] == 0
    with monkeypatch.context() as patch:
        # as if that had happened between the last look and the change
        lab.connection.query(f"UPDATE `{lab.name}`.`session` SET attached_v2 = NULL, seen = seen")
        patch.setattr("dj_panel.core.migrate.external._Reference._compare", lambda *_: None)
        with pytest.raises(dj.errors.IntegrityError, match="attached: 1 rows were written while"):
            migrate(lab.schema, dry_run=False, finalize=True)
    assert migrate(lab.schema, dry_run=False)["columns_found"] == 0
    before = shape(lab)
    assert dj.migrate.migrate_columns(lab.schema, dry_run=False)["columns_migrated"] == 12
    again = dj.migrate.migrate_columns(lab.schema, dry_run=False)
    assert (again["columns_migrated"], [d["status"] for d in again["details"]]) == (0, ["refused"])
    assert shape(lab) == before
    for _ in range(2):
        assert dj.migrate.rebuild_lineage(lab.schema, dry_run=False)["status"] == "rebuilt"


def test_an_object_that_is_gone_or_changed_stops_it_before_anything_changes(lab: Any) -> None:
    film = next(p for p in lab.store.rglob("*") if p.name == lab.digests["movie"].hex())
    before = shape(lab)
    content = film.read_bytes()
    film.write_bytes(content[:-1])
    with pytest.raises(
        dj.errors.IntegrityError, match=r"movie: 1 of 1 references.*bytes.*Nothing was changed"
    ):
        dj.migrate.migrate_external(lab.schema, dry_run=False)
    film.unlink()
    with pytest.raises(dj.errors.IntegrityError, match="has no object"):
        dj.migrate.migrate_external(lab.schema)
    (missing,) = dj.migrate.verify_external_integrity(lab.schema)["missing"]
    assert missing["full_path"] == film.as_uri()
    film.write_bytes(content)
    attached = next(lab.store.rglob("*.day.tar.gz"))
    attached.write_bytes(b"two one")
    with pytest.raises(dj.errors.IntegrityError, match="other content than was stored"):
        dj.migrate.migrate_external(lab.schema, dry_run=False)
    assert shape(lab) == before
    with pytest.raises(dj.errors.TransactionError, match="Commit it first"), lab.connection.transaction:
        dj.migrate.migrate_columns(lab.schema, dry_run=False)
    lab.instance.config.stores["raw"]["location"] += "x"
    assert dj.migrate.check_store_configuration(lab.schema)["stores_unreachable"] == ["raw"]


def test_a_copy_is_whole_and_never_written_over_anything(lab: Any) -> None:
    backup = lab.prefix + "backup"
    done = dj.migrate.backup_schema(lab.name, backup, lab.connection)
    assert (done["tables_backed_up"], done["rows_backed_up"]) == (6, 8)
    assert shape(lab, backup) == shape(lab)
    assert rows(lab, schema=backup) == rows(lab)
    parents = lab.connection.query(
        "SELECT DISTINCT referenced_table_schema FROM information_schema.key_column_usage"
        " WHERE table_schema = %s AND referenced_table_name IS NOT NULL",
        (backup,),
    )
    assert parents.fetchall() == [(backup,)]
    for table in ("session", "Session"):
        same = dj.migrate.compare_query_results(lab.name, backup, table, connection=lab.connection)
        assert same == {"match": True, "row_count": 2, "discrepancies": []}
    with pytest.raises(dj.DataJointError, match="nothing is ever written over"):
        dj.migrate.restore_schema(backup, lab.name, lab.connection)
    lab.connection.query(f"UPDATE `{backup}`.`session` SET depth = 2.6, seen = seen WHERE number = 2")
    other = dj.migrate.compare_query_results(lab.name, backup, "session", connection=lab.connection)
    assert other["discrepancies"] == ["Row 1, depth: 2.5 and 2.6"]
    restored = dj.migrate.restore_schema(backup, lab.prefix + "again", lab.connection)
    assert restored == {"tables_restored": 6, "rows_restored": 8}
    with pytest.raises(dj.errors.MissingTableError):
        dj.migrate.backup_schema(lab.prefix + "nowhere", lab.prefix + "b2", lab.connection)


def test_a_copy_that_is_not_whole_is_removed_again(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter(range(100))
    # as if another program wrote while the rows were copied
    monkeypatch.setattr("dj_panel.core.migrate.copies._count", lambda *_: next(counts))
    with pytest.raises(dj.errors.IntegrityError, match="Let nothing write"):
        dj.migrate.backup_schema(lab.name, lab.prefix + "part", lab.connection)
    assert lab.prefix + "part" not in lab.instance.list_schemas()


def test_provenance_that_either_program_adds_is_the_same_to_both(lab: Any, theirs: Any) -> None:
    tables = []
    for name in ("by_us", "by_them"):
        lab.connection.query(
            f"CREATE TABLE `{lab.name}`.`{name}` (`id` int NOT NULL COMMENT ':int32:', PRIMARY KEY (id))"
        )
        tables.append(lab.instance.FreeTable(f"{lab.name}.{name}"))
    datajoint.deploy.add_prov_column(theirs.FreeTable(f"{lab.name}.by_them"), dry_run=False)
    dj.deploy.add_prov_column(tables[0], dry_run=False)
    assert dj.deploy.add_prov_column(lab.schema)["details"] == [
        {"table": f"{lab.name}.by_them", "status": "already_present"},
        {"table": f"{lab.name}.by_us", "status": "already_present"},
        {"table": f"{lab.name}.session", "status": "pending"},
    ]
    facts = [
        lab.connection.query(
            "SELECT column_name, column_type, is_nullable, column_default, column_comment"
            " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (lab.name, name),
        ).fetchall()
        for name in ("by_us", "by_them")
    ]
    assert facts[0] == facts[1]


def test_a_parallel_schema_is_tried_with_some_rows_and_another_store(lab: Any) -> None:
    trial = lab.prefix + "trial"
    dj.migrate.backup_schema(lab.name, lab.prefix + "as_was", lab.connection)
    made = dj.migrate.create_parallel_schema(lab.name, trial, connection=lab.connection)
    assert made["tables"].index("session") < made["tables"].index("__mean")
    copy = dj.migrate.copy_table_data
    assert dj.migrate.migrate_external_pointers_v2(
        lab.name, "session", "movie", "raw", "alias", connection=lab.connection
    ) == {"rows_migrated": 2, "files_copied": 0, "errors": []}
    assert np.array_equal(
        (lab.instance.virtual_schema(lab.name).Session & {"number": 2}).fetch1("movie"), FILM
    )
    for table in ("~external_raw", "#rig"):
        assert copy(lab.name, trial, table, connection=lab.connection)["rows_copied"] > 0
    with pytest.raises(dj.errors.UnknownAttributeError, match="movie_v1"):
        copy(lab.name, trial, "session", connection=lab.connection)
    assert rows(lab, schema=trial) == []
    some = copy(
        lab.prefix + "as_was",
        trial,
        "Session",
        limit=5,
        where_clause="number < 2 and rig = 'one'",
        connection=lab.connection,
    )
    assert some["rows_copied"] == 1
    with pytest.raises(dj.errors.QuerySyntaxError):
        copy(lab.name, trial, "session", where_clause="1; DROP TABLE x", connection=lab.connection)
    before = sorted(p.relative_to(lab.store) for p in lab.store.rglob("*"))
    for column in ("movie", "attached", "path"):
        done = dj.migrate.migrate_external_pointers_v2(
            trial, "session", column, "raw", "copied", copy_files=True, connection=lab.connection
        )
        assert done == {"rows_migrated": 1, "files_copied": 1, "errors": []}
    assert sorted(p.relative_to(lab.store) for p in lab.store.rglob("*")) == before
    lab.store.rename(lab.store.with_name("away"))
    row = lab.instance.virtual_schema(trial).Session.fetch1()
    assert np.array_equal(row["movie"], FILM)
    assert (Path(row["attached"]).read_text(), row["path"].read()) == ("one two", b"12345")
    with pytest.raises(dj.DataJointError, match=r"is not a column of DataJoint 0\.14"):
        dj.migrate.migrate_external_pointers_v2(
            trial, "session", "movie", "raw", "copied", connection=lab.connection
        )


def test_sqlite_has_nothing_to_migrate(tmp_path: Path) -> None:
    instance = dj.Instance(backend="sqlite", database__name=str(tmp_path / "lab.db"))
    schema = instance.Schema("lab")
    for step in (dj.migrate.analyze_columns, dj.migrate.migrate_external, dj.migrate.rebuild_lineage):
        with pytest.raises(dj.DataJointError, match=r"on MySQL and MariaDB alone.*sqlite"):
            step(schema)
    instance.close()
