"""``dj.deploy`` brings tables of before to what the deployment records, as often as it is run."""

from __future__ import annotations

from typing import Any

import pytest

import dj_panel as dj


@pytest.fixture
def lab(schema: dj.Schema) -> Any:
    @schema
    class Subject(dj.Manual):
        definition = "subject : int32\n---\nname = '' : varchar(20)"

        class Weighing(dj.Part):
            definition = "-> master\nday : int16"

    @schema
    class Kind(dj.Lookup):
        definition = "kind : varchar(8)"

    schema.Subject, schema.Kind = Subject, Kind  # type: ignore[attr-defined]
    Subject.insert1({"subject": 1})
    return schema


def hidden(table: Any) -> list[str]:
    return [a.name for a in table().structure.heading.all_attributes if a.is_hidden]


def provenance(lab: Any) -> list[Any]:
    column = lab.connection.dialect.quote("_prov")
    sql = f"SELECT {column} FROM {lab.Subject().full_table_name} ORDER BY subject"
    return [row[0] for row in lab.connection.query(sql)]


def test_manual_tables_get_the_attribute_once_and_keep_their_rows(lab: Any) -> None:
    dry = dj.deploy.add_prov_column(lab)
    name = f"{lab.name}.subject"
    assert (dry["tables_analyzed"], dry["tables_modified"], dry["columns_added"]) == (1, 0, 0)
    assert dry["details"] == [{"table": name, "status": "pending"}]
    assert "_prov" in dry["ddl"][0]
    assert hidden(lab.Subject) == []
    done = dj.deploy.add_prov_column(lab, dry_run=False)
    assert (done["tables_modified"], done["columns_added"]) == (1, 1)
    assert done["details"] == [{"table": name, "status": "added"}]
    assert done["ddl"] == dry["ddl"]
    again = dj.deploy.add_prov_column(lab.Subject, dry_run=False)
    assert again["details"] == [{"table": name, "status": "already_present"}]
    assert (again["ddl"], again["tables_modified"]) == ([], 0)
    assert hidden(lab.Subject) == ["_prov"]
    assert (hidden(lab.Subject.Weighing), hidden(lab.Kind)) == ([], [])
    lab.connection.settings.provenance.capture = True
    lab.connection.settings.provenance.source = {"rig": 1}
    lab.Subject.insert1({"subject": 2})
    empty, recorded = provenance(lab)
    assert empty is None
    assert '"rig"' in recorded
    # read anew, the database says the same, and the table can be altered like any other
    lab.connection.catalog.forget()
    assert hidden(lab.Subject) == ["_prov"]
    assert lab.Subject.to_dicts(attributes="subject", order_by="subject") == [{"subject": 1}, {"subject": 2}]
    assert lab.Subject.alter(dry_run=True) in (None, "")


def test_computed_tables_get_the_attributes_on_their_computation(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    @lab
    class Length(dj.Computed):
        definition = "-> lab.Subject\n---\nlength : int32"

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "length": 1})

    Length.populate()
    dry = dj.migrate.add_job_metadata_columns(lab)
    assert "ADD COLUMN" in capsys.readouterr().out
    assert (dry["tables_analyzed"], dry["tables_modified"], dry["columns_added"]) == (1, 1, 3)
    assert (dry["details"][0]["status"], hidden(Length)) == ("pending", [])
    done = dj.migrate.add_job_metadata_columns(Length, dry_run=False)
    assert done["details"][0]["sql_statements"] == dry["details"][0]["sql_statements"]
    assert hidden(Length) == ["_job_start_time", "_job_duration", "_job_version"]
    assert dj.migrate.add_job_metadata_columns(lab, dry_run=False)["columns_added"] == 0
    lab.Subject.insert1({"subject": 2})
    Length.populate()
    sql = f"SELECT _job_duration IS NULL, _job_version FROM {Length().full_table_name} ORDER BY subject"
    assert [tuple(row) for row in lab.connection.query(sql)] == [(1, ""), (0, "")]


def test_what_cannot_be_meant_is_refused(lab: Any) -> None:
    with pytest.raises(dj.DataJointError, match="neither a schema nor a table"):
        dj.deploy.add_prov_column("subject")  # type: ignore[arg-type]
    with pytest.raises(dj.DataJointError, match="not in a schema"):
        dj.deploy.add_prov_column(dj.Manual)
    with lab.connection.transaction, pytest.raises(dj.DataJointError, match="Commit it first"):
        dj.deploy.add_prov_column(lab, dry_run=False)
    assert hidden(lab.Subject) == []


def test_the_replica_identity_is_that_of_another_server(lab: Any) -> None:
    with pytest.raises(dj.DataJointError, match=f"only PostgreSQL.*{lab.connection.dialect.name}"):
        dj.deploy.set_replica_identity(lab)
    with pytest.raises(dj.DataJointError, match="'default' or 'full', not 'half'"):
        dj.deploy.set_replica_identity(lab.Subject, mode="half")
    with pytest.raises(dj.DataJointError, match="neither a schema nor a table"):
        dj.deploy.set_replica_identity(None)  # type: ignore[arg-type]
