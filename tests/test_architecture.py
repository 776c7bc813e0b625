"""The house keeps its shape: who may import whom, and what is shipped."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("catalog", "cli", "engine", "sandbox")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _packages_on_disk() -> dict[str, str]:
    """Import name -> folder, for every folder that holds a module or data of the product."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for folder, names, files in os.walk(ROOT / room):
            names[:] = [name for name in names if name != "__pycache__"]
            if any(name.endswith((".py", ".sql", ".typed")) for name in files):
                relative = Path(folder).relative_to(ROOT).as_posix()
                found["vibe_workflows." + relative.replace("/", ".")] = relative
    found["vibe_workflows.script"] = found.pop("vibe_workflows.sandbox.script")
    found["vibe_workflows.patterns"] = found.pop("vibe_workflows.sandbox.script_patterns")
    return found


def test_the_wheel_names_every_package_on_disk_and_no_other() -> None:
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(_packages_on_disk())


def test_every_package_is_mapped_to_its_folder() -> None:
    mapped = PROJECT["tool"]["setuptools"]["package-dir"]
    for name, folder in _packages_on_disk().items():
        nearest = max((each for each in mapped if name == each or name.startswith(each + ".")), key=len)
        rest = name.removeprefix(nearest).replace(".", "/")
        assert mapped[nearest] + rest == folder


def test_type_checkers_see_the_rooms_through_links() -> None:
    links = ROOT / ".typing" / "vibe_workflows"
    assert {each.name for each in links.iterdir()} == {*ROOMS, "script", "patterns"}
    for room in ROOMS:
        assert (links / room).resolve() == ROOT / room
    assert (links / "script").resolve() == ROOT / "sandbox" / "script"
    assert (links / "patterns").resolve() == ROOT / "sandbox" / "script_patterns"


def test_rooms_import_only_whom_they_may() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    environ = {**os.environ, "PYTHONPATH": str(ROOT / ".typing")}
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("module", ["vibe_workflows.cli.main"])
def test_starting_the_command_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert not loaded & {"litellm", "trio", "asyncio", "aiosqlite", "rich", "yaml", "jsonschema", "ssl"}
