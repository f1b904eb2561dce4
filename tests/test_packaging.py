"""What reaches somebody who installs dj_panel: all of it, under one name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {"dj_panel": ROOT / "dj_panel", "dj_panel/core": ROOT / "core", "dj_panel/apps": ROOT / "apps"}
LINKS = {"dj_panel/core": "../core", "dj_panel/apps": "../apps"}
NOT_SHIPPED = {"__pycache__", ".DS_Store"}


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Return what `command` prints, and fail with all of it when the command fails."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def files_of_the_tree() -> set[str]:
    """Return the files of the three layers by the path they have in the package."""
    found = set()
    for place, folder in LAYERS.items():
        for parent, folders, names in os.walk(folder):
            # os.walk lists the links among the folders and does not follow them
            folders[:] = [name for name in folders if name not in NOT_SHIPPED]
            inside = Path(parent).relative_to(folder)
            for name in names:
                path = (place / inside / name).as_posix()
                if name not in NOT_SHIPPED and path not in LINKS:
                    found.add(path)
    return found


def _not_shipped(folder: str, names: list[str]) -> set[str]:
    links = {Path(link).name for link in LINKS if Path(folder) == ROOT / Path(link).parent}
    return {name for name in names if name in NOT_SHIPPED or name in links}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the sdist, as an installer of the published sdist does, and return its path."""
    folder = tmp_path_factory.mktemp("packaging")
    source, built = folder / "source", folder / "built"
    source.mkdir()
    # a copy, so that the build leaves nothing in the tree; without the links, which a build must not need
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for tree in LAYERS.values():
        shutil.copytree(tree, source / tree.name, ignore=_not_shipped)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), ".", cwd=source)
    (path,) = built.glob("*.whl")
    assert list(built.glob("*.tar.gz")), "the wheel was not built from an sdist"
    return path


def test_the_wheel_built_from_the_sdist_has_every_file_of_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    tree = files_of_the_tree()
    assert "dj_panel/__init__.py" in tree
    assert tree - shipped == set(), "name the package or its data in pyproject.toml, [tool.setuptools]"
    assert shipped - tree == set()


def test_an_installation_adds_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"dj_panel"}


def test_the_installed_wheel_imports_from_where_it_was_installed(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "from dj_panel import apps, core; print(apps.__file__, core.__file__, sep='\\n')"
    printed = run(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    for path in printed.splitlines():
        assert Path(path).is_relative_to(tmp_path / "site" / "dj_panel")


def test_every_package_is_listed_and_every_listed_package_exists() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    existing = {
        Path(path).parent.as_posix().replace("/", ".")
        for path in files_of_the_tree()
        if path.endswith("/__init__.py")
    }
    assert set(listed) == existing


@pytest.mark.parametrize(("link", "target"), LINKS.items())
def test_the_links_lead_to_the_layers(link: str, target: str) -> None:
    path = ROOT / link
    # a checkout without symbolic links, as under Windows, has a file that holds the target
    found = path.readlink().as_posix() if path.is_symlink() else path.read_text()
    assert found == target
    assert (path.parent / found).resolve() == ROOT / path.name


@pytest.mark.parametrize("heavy", ["panel", "bokeh", "holoviews", "pandas", "matplotlib", "scipy"])
def test_importing_dj_panel_does_not_import(heavy: str, tmp_path: Path) -> None:
    code = "import json, sys, dj_panel; print(json.dumps(sorted(sys.modules)))"
    modules = {name.partition(".")[0] for name in json.loads(run(sys.executable, "-c", code, cwd=tmp_path))}
    assert "dj_panel" in modules
    assert heavy not in modules
