"""Every example, every built-in workflow and the README's own script run."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Machine
from tests.support.model_server import ModelServer

EXAMPLES = sorted((ROOT / "examples/workflows").glob("*.py"))
BUILT_IN = sorted(path for path in (ROOT / "catalog/workflows").glob("*.py") if path.stem != "__init__")


def _project_with_code(machine: Machine) -> None:
    machine.write("src/shop.py", "# TODO: taxes\n\ndef total(prices):\n    return sum(prices)  # FIXME rounding\n")
    machine.write("src/cart.py", "from shop import total\n")


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_runs_without_a_model_and_its_rerun_asks_nothing(machine: Machine, path: Path) -> None:
    _project_with_code(machine)
    shutil.copy(path, machine.project / path.name)
    first = machine.vibe("run", path.name, "--json")
    assert first.code == 0, first.err
    document = first.document
    assert document["status"] == "completed"
    assert document["offline"] is True
    assert document["result"]
    second = machine.vibe("run", path.name, "--json")
    assert second.document["result"] == document["result"]
    assert second.document["paid"]["tokens"] == 0
    assert "0 live" in second.err


@pytest.mark.parametrize("path", [*EXAMPLES, *BUILT_IN], ids=[path.stem for path in [*EXAMPLES, *BUILT_IN]])
def test_a_workflow_says_what_it_shows_and_is_valid(machine: Machine, path: Path) -> None:
    shutil.copy(path, machine.project / path.name)
    checked = machine.vibe("validate", path.name)
    assert checked.code == 0, checked.out + checked.err
    shown = machine.vibe("show", path.name)
    assert shown.code == 0
    assert shown.out.splitlines()[1].strip(), "the description is its docstring's first line"


def test_a_built_in_workflow_runs_by_its_name(online: Machine, model_server: ModelServer) -> None:
    _project_with_code(online)
    ran = online.vibe("multi-review", "--path", "src", "--json")
    assert ran.code == 0, ran.err
    assert model_server.requests
    assert ran.document["result"]
    calls = len(model_server.requests)
    again = online.vibe("multi-review", "--path", "src", "--json")
    assert again.document["result"] == ran.document["result"]
    assert len(model_server.requests) == calls


def test_the_script_of_the_readme_runs(machine: Machine) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    _project_with_code(machine)
    machine.write("review.py", script)
    ran = machine.vibe("run", "review.py", "--path", "src", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(machine.vibe("trace", "--json").out)


def test_the_commands_and_links_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make ([a-z0-9-]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / link).exists(), link


def test_the_version_is_the_same_wherever_it_stands() -> None:
    from vibe_workflows.engine.version import VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
