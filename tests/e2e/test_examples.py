"""Every example, every built-in workflow and the README's own script run."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Machine
from tests.support.example_servers import set_up_servers
from tests.support.mcp_servers import SHELF
from tests.support.model_server import ModelServer
from tests.support.repositories import commit, git
from tests.support.web_server import WebServer, html

#: What each run of it asks for anew, by its own words.
NOT_STORED = {"caching": 1}
EXAMPLES = sorted((ROOT / "examples/workflows").glob("*.py"))
BUILT_IN = sorted(path for path in (ROOT / "catalog/workflows").glob("*.py") if path.stem != "__init__")


def _project_with_code(machine: Machine) -> None:
    machine.write("src/shop.py", "# TODO: taxes\n\ndef total(prices):\n    return sum(prices)  # FIXME rounding\n")
    machine.write("src/cart.py", "from shop import total\n")


def _project_for(path: Path, machine: Machine, web: WebServer) -> None:
    """Code, and what this example takes beside it: a change in git, profiles, a search service, an MCP server."""
    _project_with_code(machine)
    machine.write("README.md", "# Shop\n\nIt adds up prices.\n")
    machine.write("test_shop.py", "import unittest\n\nclass Test(unittest.TestCase):\n    def test_it(self): ...\n")
    machine.environ["PATH"] = f"{Path(sys.executable).parent}:{machine.environ['PATH']}"
    match path.stem:
        case "top_level":
            git(machine.project, "init", "-q", "-b", "main")
            commit(machine.project, "first")
            machine.write("src/cart.py", "from shop import total\n\nprint(total([]))\n")
        case "use_profile":
            shutil.copytree(ROOT / "examples/agents", machine.project / ".vibe/agents")
        case "web_answer" | "mcp_server":
            set_up_servers(machine.environ, web, SHELF)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer({"/": html("<title>T</title><p>Tea is a drink.</p>")}) as started:
        yield started


def _asked_for(path: Path) -> list[str]:
    """The permissions that it asks for, granted."""
    meta = next(
        ast.literal_eval(statement.value)
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    )
    return ["--allow", ",".join(meta["permissions"])] if "permissions" in meta else []


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_runs_without_a_model_and_its_rerun_asks_nothing(
    machine: Machine, web: WebServer, path: Path
) -> None:
    _project_for(path, machine, web)
    shutil.copy(path, machine.project.parent / path.name)
    command = ["run", str(machine.project.parent / path.name), "--json", *_asked_for(path)]
    first = machine.vibe(*command)
    assert first.code == 0, first.err
    document = first.document
    assert document["status"] == "completed"
    assert document["offline"] is True
    assert document["result"]
    second = machine.vibe(*command)
    assert second.document["result"] == document["result"]
    assert f"{NOT_STORED.get(path.stem, 0)} live" in second.err
    assert (second.document["paid"]["tokens"] == 0) == (path.stem not in NOT_STORED)


def test_all_workflows_are_valid_and_want_for_nothing_but_a_persons_own(machine: Machine) -> None:
    checked = machine.vibe("validate", "--json", *map(str, [*EXAMPLES, *BUILT_IN]))
    assert checked.code == 0, checked.out + checked.err
    files = json.loads(checked.out)
    assert len(files) == len(EXAMPLES) + len(BUILT_IN)
    found = {Path(each["file"]).stem: {problem["code"] for problem in each["problems"]} for each in files}
    assert {name: codes for name, codes in found.items() if codes} == {
        "mcp_server": {"unknown-server"},
        "use_profile": {"unknown-profile"},
    }


def test_an_example_is_shown_with_what_it_says_of_itself(machine: Machine) -> None:
    shown = machine.vibe("show", str(ROOT / "examples/workflows/vote.py"))
    assert "Put a claim about a project to several voters" in shown.out
    assert "--quorum" in shown.out


def test_the_page_of_examples_has_them_all() -> None:
    linked = re.findall(r"\]\(\.\./examples/workflows/(\w+)\.py\)", (ROOT / "docs/examples.md").read_text())
    assert sorted(linked) == sorted(path.stem for path in EXAMPLES)


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


def test_the_targets_of_make_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make ([a-z0-9-]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_the_version_is_the_same_wherever_it_stands() -> None:
    from vibe_workflows.engine.version import VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
