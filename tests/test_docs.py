"""The documentation tells the truth: its code runs, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dj_panel.command import SUBCOMMANDS
from dj_panel.core.settings import setting_names
from tests.contract.test_names import IMPORTED
from tests.contract.test_signatures import EXCEPTIONS, PYDANTIC, settings_of_datajoint

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_pipeline_in_the_readme_runs_and_computes(tmp_path: Path) -> None:
    (pipeline,) = blocks(ROOT / "README.md", "python")
    (tmp_path / "my_pipeline.py").write_text(pipeline, encoding="utf-8")
    code = (
        "import my_pipeline as p\n"
        "p.Subject.insert1({'subject_id': 'M1'})\n"
        "p.Weighing.insert([{'subject_id': 'M1', 'taken': f'2026-01-0{d}', 'weight': 20 + d} for d in (1, 2, 3)])\n"
        "p.Growth.populate()\n"
        "assert p.Growth.fetch1('gain') == 2.0\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = set(re.findall(r"dj-panel ([a-z]+)\b", text))
    assert shown <= set(SUBCOMMANDS)


def test_the_readme_gives_both_commands_that_set_everything_up() -> None:
    shell = "\n".join(blocks(ROOT / "README.md", "sh"))
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in ("demo", "test"):
        assert f"make {target}" in shell
        assert target in targets


def test_every_module_stands_in_the_map_of_the_house() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)/?`", text))
    modules = {path.stem if path.suffix else path.name for path in (ROOT / "core").iterdir()}
    modules = {name for name in modules if not name.startswith("__")}
    assert modules - named == set()


def test_the_reference_is_what_the_docstrings_say() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "reference.py"))["page"]()
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == page, "Run `make docs`, and commit docs/reference.md."


def test_what_differs_from_datajoint_names_all_that_the_comparisons_know() -> None:
    text = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Za-z_.]+)`", text))
    internal = {name for name, reason in EXCEPTIONS.items() if reason == PYDANTIC}
    missing = {name.removesuffix(".__init__") for name in set(EXCEPTIONS) - internal} - named
    assert missing == set()
    assert set(IMPORTED) - named == set()
    ours = set(setting_names()) - set(settings_of_datajoint())
    assert ours - named == set()
