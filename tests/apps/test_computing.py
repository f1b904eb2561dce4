"""What is computed from one row: how far it is, and workers that compute just that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest

from dj_panel.apps.pipeline import Pipeline
from dj_panel.apps.services import Services
from dj_panel.apps.services.working import MAX_WORKERS
from dj_panel.core.errors import AccessError, MakeError
from dj_panel.modules import sorted_classes
from tests.conftest import Backend
from tests.slow_lab import BAD_ITEM, load_slow_lab, made, wait_until


@pytest.fixture
def lab(dj_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = load_slow_lab(tmp_path, dj_backend.prefix + "row", monkeypatch, 16)
    yield module
    module.schema.connection.close()


@pytest.fixture
def services(lab: ModuleType) -> Iterator[Services]:
    classes = sorted_classes(lab.schema.connection, [lab.schema.classes])
    services = Services(Pipeline("Slow", lab.schema.connection, MappingProxyType(classes), lab.__name__))
    yield services
    for child in services.working._children:
        child.process.kill()
        child.process.wait()
    services.close()


def test_a_row_is_computed_through_all_tables_and_no_other_row_is(
    lab: ModuleType, services: Services, tmp_path: Path
) -> None:
    item, key = f"{lab.schema.name}.Item", {"item": "5"}
    before = asyncio.run(services.computing.of_row(item, key))
    assert [(c.table.rpartition(".")[2], c.n_keys, c.n_todo) for c in before] == [
        ("Result", 1, 1),
        ("Summary", 0, 0),
    ]
    asyncio.run(services.computing.start(item, [key]))
    assert services.computing.is_running(item, key)
    assert not services.computing.is_running(item, {"item": "6"})
    wait_until(lambda: not services.working.running(), "the work came to its end")
    after = asyncio.run(services.computing.of_row(item, key))
    assert [(c.n_keys, c.n_todo) for c in after] == [(1, 0), (1, 0)]
    assert lab.Result.to_dicts(attributes="item") == lab.Summary.to_dicts(attributes="item") == [{"item": 5}]


def test_what_failed_says_why_and_is_tried_again(lab: ModuleType, services: Services, tmp_path: Path) -> None:
    item, key = f"{lab.schema.name}.Item", {"item": str(BAD_ITEM)}
    asyncio.run(services.computing.start(item, [key]))
    wait_until(lambda: not services.working.running(), "the work came to its end")
    result = asyncio.run(services.computing.of_row(item, key))[0]
    assert (result.n_todo, result.n_failed) == (1, 1)
    assert result.message == f"ValueError: no peak in item {BAD_ITEM} <b>of</b> 'rig 1'"
    (tmp_path / "mended").touch()
    asyncio.run(services.computing.start(item, [key]))
    wait_until(lambda: not services.working.running(), "the work came to its end")
    assert [c.n_failed for c in asyncio.run(services.computing.of_row(item, key))] == [0, 0]
    assert [number for _, number in made(tmp_path)] == [BAD_ITEM, BAD_ITEM]


def test_workers_of_rows_are_few_and_do_not_keep_others_from_starting(
    lab: ModuleType, services: Services, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    item = f"{lab.schema.name}.Item"
    for number in range(1, MAX_WORKERS + 1):
        asyncio.run(services.computing.start(item, [{"item": str(number)}]))
    with pytest.raises(MakeError, match="other rows are being computed"):
        asyncio.run(services.computing.start(item, [{"item": "9"}]))
    asyncio.run(services.computing.start(item, [{"item": "1"}]))  # that is being done
    assert len(services.working.running()) == MAX_WORKERS
    assert len(asyncio.run(services.working.start([f"{lab.schema.name}.Result"]))) == 1


def test_a_computed_table_is_not_computed_from_itself(lab: ModuleType, services: Services) -> None:
    names = [info.class_name for info in services.computing.tables(f"{lab.schema.name}.Result")]
    assert names == ["Summary"]
    assert services.computing.tables(f"{lab.schema.name}.Summary") == []


def test_several_rows_are_computed_at_once(lab: ModuleType, services: Services) -> None:
    item = f"{lab.schema.name}.Item"
    assert services.computing.can_start(item)
    assert not services.computing.can_start(f"{lab.schema.name}.Summary")
    started = asyncio.run(services.computing.start(item, [{"item": "2"}, {"item": "7"}]))
    assert [name.rpartition(".")[2] for name in started] == ["Result", "Summary"]
    assert services.computing.is_running(item, {"item": "7"})
    wait_until(lambda: not services.working.running(), "the work came to its end")
    assert lab.Summary.to_dicts(attributes="item") == [{"item": 2}, {"item": 7}]
    with pytest.raises(AccessError, match="Choose between 1 and 1,000 rows"):
        asyncio.run(services.computing.start(item, []))
