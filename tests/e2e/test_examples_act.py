"""Examples that change files, run programs, or reach out: what they do, and that a rerun does it once."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.example_jobs import Said, call, run_example, turn_of
from tests.support.example_servers import set_up_servers
from tests.support.exchanges import SeenRequest
from tests.support.field_project import FieldProject, prompt_of
from tests.support.fork_server import ROOT
from tests.support.mcp_servers import SHELF
from tests.support.repositories import commit, git
from tests.support.web_server import WebServer, html

CALC = "def add(a, b):\n    return a - b\n"
TEST = """\
import unittest
from calc import add

class Adds(unittest.TestCase):
    def test_it(self):
        self.assertEqual(add(2, 3), 5)
"""


@pytest.fixture
def programs(project: FieldProject) -> FieldProject:
    """A project whose `python3` is the one of these tests, as in an activated environment."""
    project.environ = {**project.environ, "PATH": f"{Path(sys.executable).parent}:{project.environ['PATH']}"}
    project.write(".gitignore", "__pycache__/\n.vibe/\n")
    return project


def test_a_failing_test_is_mended_by_the_smallest_change_that_turns_it_green(programs: FieldProject) -> None:
    programs.write("calc.py", CALC)
    programs.write("test_calc.py", TEST)

    def say(prompt: str, request: SeenRequest) -> Said:
        small = "leave the tests" in prompt
        edits = [
            call("edit_file", path="calc.py", old="a - b", new="a + b"),
            call("write_file", path="calc.py", content="# A longer way.\n\n\ndef add(a, b):\n    return sum([a, b])\n"),
        ]
        assert "AssertionError: -1 != 5" in prompt
        return edits[0 if small else 1] if turn_of(request) == 0 else f"mended, {'small' if small else 'long'}"

    allow = ("--allow", "write,command:python3")
    ended = run_example(programs, "mend_tests", say, *allow)
    assert ended.result == {"mended": True, "files": ["calc.py"], "how": "mended, small"}
    assert programs.read("calc.py") == CALC.replace("a - b", "a + b")
    again = run_example(programs, "mend_tests", say, *allow)
    assert (again.result, again.requests) == (ended.result, ())
    assert programs.vibe("undo", ended.document["run"]).code == 0
    assert programs.read("calc.py") == CALC


def test_tests_that_nobody_can_mend_are_left_as_they_are(programs: FieldProject) -> None:
    programs.write("calc.py", CALC)
    check = ["python3", "-c", "import calc, sys; sys.exit(calc.add(2, 3) != 5 and 'it is red')"]
    command = ("--args", json.dumps({"test": check}), "--allow", "write,command:python3")
    ended = run_example(programs, "mend_tests", lambda *_: "done!", *command)
    assert ended.result == {"mended": False, "last_outputs": ["it is red"] * 2}
    assert programs.read("calc.py") == CALC


def test_only_files_that_lack_something_are_edited_and_once(project: FieldProject) -> None:
    project.write("a.py", "import b\n")
    project.write("b.py", '# Old.\n"""It is described."""\n')

    def say(prompt: str, request: SeenRequest) -> Said:
        return (
            call("edit_file", path="a.py", old="import b", new='"""Starts b."""\nimport b')
            if turn_of(request) == 0
            else "done"
        )

    ended = run_example(project, "edit_files", say, "--allow", "write")
    assert ended.result == {"looked_at": 2, "without": ["a.py"], "edited": ["a.py"]}
    assert project.read("a.py") == '"""Starts b."""\nimport b\n'
    again = run_example(project, "edit_files", say, "--allow", "write")
    assert again.requests == ()
    assert project.read("a.py") == '"""Starts b."""\nimport b\n'


def test_a_command_is_explained_only_if_it_fails(programs: FieldProject) -> None:
    programs.write("a.py", "def broken(:\n")
    ended = run_example(programs, "run_command", lambda *_: "a colon too many", "--allow", "command:python3")
    assert (ended.result["ok"], ended.result["explanation"]) == (False, "a colon too many")
    assert "a.py" in ended.prompts[0]
    programs.write("a.py", "def mended(): ...\n")
    ended = run_example(programs, "run_command", lambda *_: "nobody asks", "--allow", "command:python3")
    assert (ended.result, ended.requests) == ({"ok": True, "output": ""}, ())


def test_profiles_say_who_an_agent_is_and_the_call_has_the_last_word(project: FieldProject) -> None:
    project.write("README.md", "# Shop\n")
    shutil.copytree(ROOT / "examples/agents", project.folder / ".vibe/agents")

    def say(prompt: str, request: SeenRequest) -> Said:
        return "mend line 1" if "Two people" in prompt else {"notes": [{"line": 1, "note": "what is a shop?"}]}

    ended = run_example(project, "use_profile", say)
    assert ended.result == "mend line 1"
    systems = {request.conversation().system.partition(".")[0] for request in ended.requests}
    assert {"You are a careful reader", "You are new to this project"} < systems
    (compare,) = [request for request in ended.requests if "Two people" in prompt_of(request)]
    assert not compare.conversation().tools


def test_the_short_form_says_what_changed(project: FieldProject) -> None:
    project.write("a.py", "one\n")
    git(project.folder, "init", "-q", "-b", "main")
    commit(project.folder, "first")
    project.write("a.py", "two\n")
    ended = run_example(project, "top_level", lambda *_: "Two replaces one.", "--tone", "proud")
    assert ended.result == "Two replaces one."
    assert "proud sentence" in ended.prompts[0]
    assert "-one\n+two" in ended.prompts[0]


# ---------------------------------------------------------------- servers


@pytest.fixture
def web(project: FieldProject) -> Iterator[WebServer]:
    with WebServer({"/tea": html("<p>Tea is a\ndrink.</p>"), "/lies": html("<p>Nothing of the kind.</p>")}) as server:
        environ = dict(project.environ)
        set_up_servers(environ, server, SHELF)
        project.environ = environ
        yield server


def test_an_answer_from_the_web_rests_on_quotes_that_stand_there(project: FieldProject, web: WebServer) -> None:
    def say(prompt: str, request: SeenRequest) -> Said:
        return "Tea is one." if "from these quotes" in prompt else {"quotes": ["Tea is a drink."]}

    ended = run_example(project, "web_answer", say, "--question", "What is tea?", "--allow", "web")
    assert ended.result == {
        "answer": "Tea is one.",
        "sources": [{"url": web.url("/tea"), "quotes": ["Tea is a drink."]}],
        "searched": 2,
    }
    asked = len(web.requests)
    again = run_example(project, "web_answer", say, "--question", "What is tea?", "--allow", "web")
    assert (again.result, again.requests, len(web.requests)) == (ended.result, (), asked)


@pytest.mark.usefixtures("web")
def test_a_server_of_ones_own_is_searched_by_the_script_and_by_the_agent(project: FieldProject) -> None:
    def say(prompt: str, request: SeenRequest) -> Said:
        assert '"keys 1"' in prompt
        return call("docs__search", query="more", limit=1) if turn_of(request) == 0 else "Turn them."

    ended = run_example(project, "mcp_server", say, "--question", "keys", "--allow", "mcp:docs")
    assert ended.result["answer"] == "Turn them."
    told = [message.text for message in ended.requests[-1].conversation().messages if message.role == "tool"]
    assert "more 1" in told[0]
