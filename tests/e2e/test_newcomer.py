"""What somebody does who has just installed Vibe: an empty home, an empty folder, and what README and messages say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.documentation.pages import read_page
from tests.e2e.conftest import ROOT, Machine
from tests.support.behaviours import Answer, Behaviour
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer
from tests.support.terminals import screen_of
from vibe_workflows.cli.main import COMMANDS

_BUILT_IN = {file.stem.replace("_", "-") for file in (ROOT / "catalog/workflows").glob("[!_]*.py")}


@pytest.fixture
def newcomer(machine: Machine) -> Machine:
    """In a folder with two Python files, which is no project yet."""
    (machine.project / "vibe.yaml").unlink()
    machine.write("src/cart.py", "def total(prices):\n    return sum(prices[1:])\n")
    machine.write("src/tax.py", "def net(price, rate):\n    return price / (1 + rate)\n")
    return machine


def test_the_first_quarter_of_an_hour(newcomer: Machine) -> None:
    assert "new       Write a workflow from a template." in _told(newcomer)
    assert "`vibe new NAME` writes one of your own" in _told(newcomer, "list")

    made = _told(newcomer, "new", "hello")
    named = re.findall(r"vibe (\w+(?: \w+)?)", made)
    assert named == ["validate hello", "hello"], "each of these is typed next"
    for command in named:
        _told(newcomer, *command.split())
    (newcomer.project / ".vibe/vibe.db").unlink()

    assert "--pattern TEXT" in _told(newcomer, "hello", "--help")
    assert "└─ agent" in _told(newcomer, "show", "hello", "--plan")
    _looks_well(newcomer)

    again = newcomer.vibe("hello", "--pattern", "src/*.py", "--json")
    assert again.document["cached"] == len(_steps(newcomer)) == 4
    newcomer.write("src/new.py", "VAT = 20\n")
    assert newcomer.vibe("hello", "--pattern", "src/*.py").code == 0
    live = {step["label"]: str(step["number"]) for step in _steps(newcomer) if not step["stored"]}
    assert list(live) == ["glob", "src/new.py", "merge"]
    assert '+{"paths":["src/cart.py","src/new.py","src/tax.py"]' in _told(newcomer, "why", live["glob"])
    assert "5 steps: 2 from the store, 3 live" in _told(newcomer, "trace")
    assert "src/new.py" in _told(newcomer, "trace", "--step", live["src/new.py"])
    assert _told(newcomer, "runs").count("completed") == 3
    assert "edited no file" in _told(newcomer, "undo")

    said = _told(newcomer, "completion", "bash", "--install")
    script = Path(said.partition(":")[0])
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert {path.name for path in Path(newcomer.environ["HOME"]).iterdir()} <= {".cache", ".local"}
    assert {path.name for path in newcomer.project.iterdir()} == {"src", "workflows", ".vibe"}


def _looks_well(newcomer: Machine) -> None:
    """The first run that a person watches: a tree with the made-up answers announced once, and once more at the end."""
    argv = [sys.executable, "-m", "vibe_workflows.cli.main", "hello", "--pattern", "src/*.py"]
    plain = {name: value for name, value in newcomer.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    screen = screen_of(argv, 80, 40, {**plain, "TERM": "xterm-256color"}, newcomer.project)
    assert screen.code == 0, screen.text
    result = screen.lines[screen.lines.index("{") :]
    assert [line for line in screen.wrapped if line not in result] == [], "only the result is printed as it is"
    assert screen.text.count("no model is configured") == 1
    assert screen.lines[-1] == "offline: what agents answered here is made up; --model NAME asks a model"
    assert any(line.startswith("✓ Ask  2 live") for line in screen.lines), screen.text


def test_a_prompt_in_place_of_a_workflow_leads_to_a_command_that_asks_it(newcomer: Machine) -> None:
    told = newcomer.vibe("run", "find bugs in src")
    assert told.code == 2
    (script,) = re.findall(r"echo '(.*)' \| vibe run -", told.err)
    asked = newcomer.vibe("run", "-", stdin=script.replace("...", "find bugs in src") + "\n")
    assert asked.code == 0
    assert asked.out.endswith(": find bugs in src\n")


def test_every_command_that_the_readme_shows_is_there_and_takes_what_it_is_given(newcomer: Machine) -> None:
    text = (ROOT / "README.md").read_text()
    shown = [*re.findall(r"^    (?:\.venv/bin/)?vibe (.*)$", text, re.MULTILINE), *re.findall(r"`vibe (.*?)`", text)]
    commands = [shlex.split(part, comments=True) for line in shown for part in line.split(" && vibe ")]
    helps: dict[str, str] = {}
    for name, *rest in commands:
        if name in ("hello", "NAME"):  # of `vibe new hello`, and of any workflow
            continue
        assert name in COMMANDS or name in _BUILT_IN, name
        options = [word for word in rest if word.startswith("--") and name != "run"]
        if options and name not in helps:
            helps[name] = _told(newcomer, name, "--help")
        for option in options:
            assert f"{option} " in helps[name], (name, option)
    assert {name for name, *_ in commands} >= _BUILT_IN, "the README names every built-in workflow"


def test_the_workflow_of_the_tutorial_judges_reports_and_costs_what_changed(
    newcomer: Machine, online: Machine, model_server: ModelServer
) -> None:
    page = read_page(ROOT / "docs/tutorial.md")
    *_, last = (block.text for block in page.blocks if block.about == "workflows/review.py")
    newcomer.write("workflows/review.py", last)
    model_server.handler = _reviewer

    result = newcomer.vibe("review", "--json").document["result"]
    assert [(each["path"], each["verdict"]) for each in result["judged"]] == [
        ("src/cart.py", "confirmed"),
        ("src/tax.py", "refuted"),
    ]
    assert result["report"] == "total leaves the first price out"
    asked = len(model_server.requests)
    assert asked == 2 + 2 * 3 + 1

    assert newcomer.vibe("review", "--json").document["result"] == result
    assert len(model_server.requests) == asked
    newcomer.write("src/tax.py", "def net(price, rate):\n    return price / (1.0 + rate)\n")
    assert newcomer.vibe("review", "--json").document["result"] == result
    assert len(model_server.requests) == asked + 1, "the review of the file that changed, and nothing else"


def _reviewer(request: SeenRequest) -> Behaviour:
    prompt = next(message.text for message in request.conversation().messages if message.role == "user")
    if "Write a short report" in prompt:
        return Answer(text="total leaves the first price out")
    cart = "src/cart.py" in prompt
    if "Try to refute" in prompt:
        return Answer(text=json.dumps({"holds": cart, "reason": "it was read"}))
    return Answer(text=json.dumps({"problems": ["the first price is left out" if cart else "rate may be 0"]}))


def _told(newcomer: Machine, *words: str) -> str:
    done = newcomer.vibe(*words)
    assert done.code == 0, (words, done.err)
    return done.out or done.err


def _steps(newcomer: Machine) -> Sequence[dict[str, object]]:
    steps: list[dict[str, object]] = newcomer.vibe("trace", "--json").document["steps"]
    return steps
