"""The rows that an import wrote: exactly these are shown, and not what has come to bear their keys since."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.import_html import past_html
from dj_panel.apps.routes import Route, format_route, parse_route
from dj_panel.apps.services import Services, written
from dj_panel.apps.services.batches import Batch, ImportReceipt
from dj_panel.apps.services.pastimports import PastImport
from dj_panel.apps.table_html import written_html
from dj_panel.apps.table_view import read_view
from tests.entry_tables import Lab, declare, pipeline_of


class Imports(Lab):
    """The lab, and imports without await."""

    def __init__(self, services: Services, folder: Path) -> None:
        super().__init__(services)
        self.folder = folder
        self.loop = asyncio.new_event_loop()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def imported(self, table: str, content: str) -> Batch:
        path = self.folder / "sent"
        path.write_text(content)
        batch: Batch = self.do(self.services.importing.open(self.name(table), "rows.csv", path, "ana"))
        assert batch.work is not None
        self.do(asyncio.wait_for(batch.work, None))
        self.do(self.services.importing.write(batch))
        assert batch.receipt is not None, batch.problem
        return batch

    def found(self, table: str, batch: str) -> written.Written:
        rows: written.Written = self.do(self.services.written_rows.find(self.name(table), batch))
        return rows

    def shown(self, table: str, batch: str, **options: Any) -> list[dict[str, str]]:
        condition = self.found(table, batch).condition
        page = self.do(
            self.services.browsing.rows(self.name(table), page_size=250, among=condition, **options)
        )
        return [dict(row.key) for row in page.rows]


@pytest.fixture
def lab(schema: dj.Schema, tmp_path: Path) -> Iterator[Imports]:
    services = Services(declare(schema))
    lab = Imports(services, tmp_path)
    yield lab
    services.close()
    lab.loop.close()


def test_a_thousand_imported_rows_are_told_from_all_others(lab: Imports) -> None:
    lab.rows("Person").insert([(f"p{n:04}", "before") for n in range(0, 2000, 2)])
    batch = lab.imported(
        "Person", "person,full_name\n" + "".join(f"p{n:04},import\n" for n in range(1, 2000, 2))
    )
    lab.rows("Person").insert1(("p9999", "import"))
    assert batch.receipt == ImportReceipt(1000, 0, batch.receipt.saved_at, is_traced=True)  # type: ignore[union-attr]
    name, found = lab.name("Person"), lab.found("Person", batch.id)
    assert (found.n_rows, found.is_cut) == (1000, False)
    services, among = lab.services, found.condition

    async def exported() -> list[str]:
        chunks = services.exports.file(name, "json", {"person": "^p1"}, among=among)
        lines = b"".join([chunk async for chunk in chunks]).splitlines()
        return [json.loads(line)["person"] for line in lines]

    first = lab.do(services.browsing.rows(name, among=among))
    assert (first.count, len(first.rows)) == (1000, 50)
    last = lab.do(services.browsing.rows(name, sort=["-person"], page=20, among=among))
    assert [row.key["person"] for row in last.rows][-2:] == ["p0003", "p0001"]
    assert lab.do(exported()) == [f"p{n}" for n in range(1001, 2000, 2)]
    facets = lab.do(services.facets.values(name, "full_name", {}, among))
    assert [(facet.text, facet.count) for facet in facets.values] == [("import", 1000)]
    code = services.browsing.code(name, {}, (), 1, 50, batch.id)
    assert f"history.written('{batch.id}', table.name, 10000)" in code
    assert "query = table & written" in code
    compile(code, "copied", "exec")


def test_what_was_deleted_since_is_not_shown_even_if_its_key_is_used_again(lab: Imports) -> None:
    batch = lab.imported("Person", "person,full_name\nana,A\nbo,B\ncy,C\n")
    services, name = lab.services, lab.name("Person")
    lab.rows("Person").update1({"person": "cy", "full_name": "changed"})
    preview = lab.do(services.deleting.preview(name, [{"person": "ana"}]))
    lab.do(services.deleting.delete(name, [{"person": "ana"}], preview.agreement))
    lab.rows("Person").insert1(("ana", "another"))
    assert lab.shown("Person", batch.id) == [{"person": "bo"}, {"person": "cy"}]
    assert lab.shown("Person", "no such import") == []
    assert lab.shown("Species", batch.id) == [], "it wrote into another table"
    (lab.rows("Person") & {"person": "ana"}).delete()
    lab.do(services.deleting.restore(services.deleting.recent(name)[0]))
    assert lab.shown("Person", batch.id) == [{"person": "bo"}, {"person": "cy"}], "put back by something else"
    again = lab.imported("Person", "person\ndee\n")
    lab.do(services.importing.undo(again))
    assert lab.shown("Person", again.id) == []
    lab.do(services.importing.write(again))
    assert lab.shown("Person", again.id) == [{"person": "dee"}], "it was taken back, and then done again"


def test_of_a_large_import_the_first_rows_are_shown_and_that_is_said(
    lab: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written, "MAX_WRITTEN", 3)
    batch = lab.imported("Person", "person\nd\na\nc\nb\n")
    found = lab.found("Person", batch.id)
    assert (found.n_rows, found.is_cut) == (3, True)
    assert lab.shown("Person", batch.id) == [{"person": name} for name in ("a", "c", "d")]
    info = lab.services.table(lab.name("Person"))
    assert "Only the first 3 rows of one import are shown. It wrote more." in written_html(info, found)
    past = lab.do(lab.services.past_imports.find(batch.id, info.name, "ana"))
    assert past.receipt.is_traced


def test_the_view_of_an_import_has_an_address_and_its_receipt_a_link(lab: Imports) -> None:
    batch = lab.imported("Person", "person\na\n")
    info = lab.services.table(lab.name("Person"))
    address = format_route(Route("table", (info.name,), {"batch": batch.id}))
    view = read_view(info, parse_route(address).query)
    assert view.query() == {"batch": batch.id}
    assert view.filtered("person", "a").query() == {"f.person": "a", "batch": batch.id}
    past = lab.do(lab.services.past_imports.find(batch.id, info.name, "ana"))
    assert address in past_html(info, [past], "")
    unknown = PastImport("ana", ImportReceipt(1, 0, past.receipt.saved_at))
    assert "batch=" not in past_html(info, [unknown], ""), "better no link than one to other rows"


def test_rows_that_the_database_numbered_get_no_link_to_others(schema: dj.Schema, tmp_path: Path) -> None:
    @schema
    class Event(dj.Manual):
        definition = """
        event : int32 auto_increment
        ---
        what : varchar(20)
        """

    @schema
    class Plan(dj.Manual):
        definition = """
        what : varchar(20)
        day = "2026-01-01" : date
        """

    services = Services(pipeline_of(schema))
    lab = Imports(services, tmp_path)
    try:
        numbered = lab.imported("Event", "what\na\nb\n")
        assert numbered.receipt is not None
        assert not numbered.receipt.is_traced
        assert lab.shown("Event", numbered.id) == []
        (past,) = (lab.do(services.past_imports.find(numbered.id, lab.name("Event"), "ana")),)
        assert not past.receipt.is_traced
        whole = lab.imported("Plan", "what,day\na,2026-02-01\n")
        halved = lab.imported("Plan", "what,day\nb,2026-02-01\nc,\n")
        assert [batch.receipt.is_traced for batch in (whole, halved) if batch.receipt] == [True, False]
        assert lab.shown("Plan", whole.id) == [{"what": "a", "day": "2026-02-01"}]
    finally:
        services.close()
        lab.loop.close()
