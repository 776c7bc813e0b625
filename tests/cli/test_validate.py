"""vibe validate: which files it checks, what it holds them against, and how it prints what it found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.command import Command, CommandHere
from tests.support.lint_cases import OUTSIDE_BROKEN, OUTSIDE_CONFIG, OUTSIDE_FILES, OUTSIDE_SOUND
from vibe_workflows.cli.linting import Problem
from vibe_workflows.cli.render.problems import Drawing, annotation, problem_lines
from vibe_workflows.sandbox.lint.rules import LOUD, RULES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "validate.md").read_text()
BAD = "return await agent('Hi', promt='x')\n"


@pytest.fixture
def project(here: CommandHere) -> CommandHere:
    own = here.command.home / ".config" / "vibe"
    own.mkdir(parents=True)
    (own / "config.yaml").write_text(OUTSIDE_CONFIG)
    for name, text in OUTSIDE_FILES.items():
        here.command.write(name, text)
    return here


def problems(found: str) -> list[dict[str, object]]:
    return [problem for each in json.loads(found) for problem in each["problems"]]


# ---------------------------------------------------------------- what lies outside of a script


def test_what_a_script_names_is_held_against_the_configuration_and_the_project(project: CommandHere) -> None:
    for number, case in enumerate(OUTSIDE_BROKEN):
        project.command.write(f"bad/{number:02}.py", case.script)
    for number, sound in enumerate(OUTSIDE_SOUND):
        project.command.write(f"good/{number:02}.py", sound.script)
    done = project("validate", "--json", "bad")
    for case, each in zip(OUTSIDE_BROKEN, json.loads(done.stdout), strict=True):
        hits = [(found["line"], found["code"]) for found in each["problems"] if case.says in found["message"]]
        assert hits == [(case.line, case.code)], (case, each)
    good = project("validate", "good")
    assert (good.returncode, good.stdout) == (0, "")


def test_a_grant_of_the_persons_own_config_needs_no_request(project: CommandHere) -> None:
    project.command.write("flow.py", "return await agent('a', tools=['write'])\n")
    assert [each["code"] for each in problems(project("validate", "flow.py", "--json").stdout)] == ["permission"]
    config = project.command.home / ".config" / "vibe" / "config.yaml"
    config.write_text(config.read_text() + "allow: [write]\n")
    assert problems(project("validate", "flow.py", "--json").stdout) == []


def test_a_comment_silences_the_rules_that_it_names_on_its_line_and_no_others(project: CommandHere) -> None:
    source = "return await agent('a', tools=['raed'], promt=1)  # vibe: ignore[unknown-tool]\n"
    project.command.write("flow.py", source)
    assert [each["code"] for each in problems(project("validate", "flow.py", "--json").stdout)] == ["bad-call"]
    project.command.write("flow.py", source.replace("unknown-tool", "unknown-tool, bad-call"))
    assert problems(project("validate", "flow.py", "--json").stdout) == []


def test_what_refuses_a_run_is_not_silenced(project: CommandHere) -> None:
    project.command.write("flow.py", "import os  # vibe: ignore[refused]\nreturn 1\n")
    assert [each["code"] for each in problems(project("validate", "flow.py", "--json").stdout)] == [
        "refused",
        "unknown-code",
    ]


# ---------------------------------------------------------------- which files


def test_without_a_file_the_projects_own_workflows_are_checked_and_no_others(project: CommandHere) -> None:
    project.command.write("workflows/good.py", "return 1\n")
    project.command.write(".vibe/workflows/bad_one.py", BAD)
    project.command.write("workflows/no name.py", BAD)
    project.command.write("elsewhere.py", BAD)
    found = json.loads(project("validate", "--json").stdout)
    assert [(each["file"], each["valid"]) for each in found] == [
        (".vibe/workflows/bad_one.py", False),
        ("workflows/good.py", True),
        ("workflows/no name.py", False),
    ]


def test_a_workflow_can_be_named_and_a_folder_stands_for_its_files(project: CommandHere) -> None:
    project.command.write("workflows/my_flow.py", BAD)
    project.command.write("flows/a.py", "return 1\n")
    project.command.write("flows/_part.py", BAD)
    project.command.write("flows/deeper/b.py", BAD)
    found = json.loads(project("validate", "--json", "my-flow", "flows", "flows/a.py").stdout)
    assert [each["file"] for each in found] == ["workflows/my_flow.py", "flows/a.py"]
    empty = project.project / "empty"
    empty.mkdir()
    done = project("validate", "empty")
    assert done.returncode == 2
    assert "empty: no workflow file lies in this folder" in done.stderr


def test_a_script_can_come_on_standard_input(vibe: Command) -> None:
    done = vibe("validate", "-", stdin=BAD.encode())
    assert done.returncode == 2
    assert done.stdout.startswith(
        "<stdin>:1:26: error[bad-call]: agent has no option `promt`; did you mean `prompt`?"
    ) or (done.stdout.startswith("<stdin>:1:26: error[bad-call]: agent has no option `promt`"))
    wrong = vibe("validate", "-", stdin=b"\xff")
    assert wrong.returncode == 2
    assert "standard input is not UTF-8" in wrong.stderr


def test_a_file_that_cannot_be_read_is_told_of_at_its_place_and_costs_no_other(project: CommandHere) -> None:
    (project.project / "latin.py").write_bytes(b"x = 1\n# caf\xe9\n")
    project.command.write("flow.py", "return 1\n")
    done = project("validate", "latin.py", "gone.py", "flow.py", "no-such-name")
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()] == [
        ["latin.py:2:1", "error[unreadable]"],
        ["gone.py:1:1", "error[unreadable]"],
        ["no-such-name:1:1", "error[unreadable]"],
    ]
    assert str(project.project) not in done.stdout
    assert "4 files checked, 3 with problems: 3 errors" in done.stderr


def test_a_warning_ends_it_with_an_error_code_under_strict_only(project: CommandHere) -> None:
    project.command.write("flow.py", "return 1\nlog('x')\n")
    assert project("validate", "flow.py").returncode == 0
    assert project("validate", "--strict", "flow.py").returncode == 2


# ---------------------------------------------------------------- how it prints


def test_the_json_has_every_place_code_and_severity(project: CommandHere) -> None:
    project.command.write("flow.py", BAD)
    (found,) = json.loads(project("validate", "--format", "json", "flow.py").stdout)
    assert (found["file"], found["valid"]) == ("flow.py", False)
    (problem,) = found["problems"]
    assert problem.pop("message").startswith("agent has no option `promt`")
    assert problem == {
        "line": 1,
        "column": 26,
        "end_line": 1,
        "end_column": 35,
        "code": "bad-call",
        "severity": "error",
    }


def test_annotations_of_github_have_the_place_and_nothing_ends_them(project: CommandHere) -> None:
    project.command.write("flow.py", "return await agent('Hi', timeout='%0A::error::x\\n::warning::y')\n")
    (line,) = project("validate", "--format", "github", "flow.py").stdout.splitlines()
    assert line.startswith("::error file=flow.py,line=1,col=34,endLine=1,endColumn=63,title=vibe%3A bad-value::")
    assert "'%250A::error::x" in line


@pytest.mark.parametrize(
    "name",
    ["a\n::error::b", "a\r\n::add-mask::x", "a\u2028::error::b", "a\x85::error::b", "a::b,c=d%0A", "\x1b]0;x\x07a"],
)
def test_a_hostile_name_or_message_opens_no_other_command(name: str) -> None:
    text = annotation(name, Problem(1, 2, 1, 3, "bad-call", name))
    assert len(text.splitlines()) == 1
    assert not re.search("[\x00-\x1f\x7f-\x9f]", text)
    head, path, rest = text.partition("file=")
    assert (head, path) == ("::error ", "file=")
    value, _, after = rest.partition(",line=1,col=2,endLine=1,endColumn=3,title=vibe%3A bad-call::")
    assert after
    assert not set(value) & set(":,")


def test_a_finding_over_several_lines_has_no_end_that_github_would_refuse() -> None:
    assert "end" not in annotation("a.py", Problem(1, 2, 3, 4, "bad-call", "x"))


def drawn(source: str, problem: Problem, width: int = 60) -> list[str]:
    return list(problem_lines("a.py", problem, source.split("\n"), Drawing(width=width)))[1:]


def test_on_a_terminal_the_line_is_shown_with_carets_below_what_is_wrong() -> None:
    assert drawn("x = 1\n    agent(promt=1)", Problem(2, 11, 2, 18, "bad-call", "x")) == [
        "    2 |     agent(promt=1)",
        "      |           ^^^^^^^",
    ]


def test_carets_stand_below_wide_letters_and_tabs_and_nothing_steers_the_terminal() -> None:
    source = "\tf('漢字', é)\x1b[2J\u202e"
    assert drawn(source, Problem(1, 10, 1, 11, "bad-call", "x")) == [
        "    1 |     f('漢字', é)",
        "      |               ^",
    ]


@pytest.mark.parametrize("column", [1, 40, 150, 290, 400])
def test_a_long_line_is_cut_so_that_what_is_wrong_is_in_view(column: int) -> None:
    source = "".join(f"{number:<10}" for number in range(30))
    line, carets = drawn(source, Problem(1, column, 1, column + 3, "bad-call", "x"), 60)
    assert max(len(line), len(carets)) <= 60
    start, end = carets.index("^"), carets.rindex("^") + 1
    assert line[start:end].strip() == source[column - 1 : column + 2].strip()


# ---------------------------------------------------------------- rules, and runs


def test_the_rules_are_listed(project: CommandHere) -> None:
    lines = project("validate", "--rules").stdout.splitlines()
    assert [line.split()[0] for line in lines[::2]] == [rule.code for rule in RULES]
    listed = json.loads(project("validate", "--rules", "--json").stdout)
    assert listed[0] == RULES[0]._asdict()


def test_the_page_has_every_rule_as_the_code_has_it() -> None:
    for rule in RULES:
        assert f"| `{rule.code}` | {rule.severity} | {rule.meaning} |" in PAGE
    assert len(re.findall(r"^\| `[a-z-]+` \| (?:error|warning) \|", PAGE, re.MULTILINE)) == len(RULES)
    told = PAGE.split("silenced by no comment:")[1].split(".")[0]
    assert set(re.findall("`([a-z-]+)`", told)) == LOUD


def test_a_name_that_nobody_defines_refuses_a_run_before_its_first_step(project: CommandHere) -> None:
    project.command.write("flow.py", "first = await agent('Hi')\nreturn frist\n")
    for _ in ("read in the sandbox", "known to the index"):
        done = project("run", "flow.py", "--offline")
        assert done.returncode == 2
        assert "flow.py:2:8: `frist` is not defined anywhere; did you mean `first`?" in done.stderr
    assert not (project.project / ".vibe" / "vibe.db").exists()


def test_nothing_is_found_in_the_built_in_workflows(project: CommandHere) -> None:
    folder = Path(__file__).resolve().parents[2] / "catalog" / "workflows"
    done = project("validate", "--strict", str(folder))
    assert (done.returncode, done.stdout) == (0, "")
