"""run_command: which programs a grant covers, and what is said of one that has ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.commands import PlainEnd
from vibe_workflows.cli.commands import program_outside
from vibe_workflows.engine.agents.tools.arguments import BadArguments
from vibe_workflows.engine.agents.tools.command_text import MAX_DATA_BYTES, middle_cut
from vibe_workflows.engine.agents.tools.render import MAX_TEXT_BYTES
from vibe_workflows.engine.agents.tools.run_command import RunCommand
from vibe_workflows.engine.errors import InternalError, ToolDenied, ToolFailed
from vibe_workflows.engine.ports import CommandTool, Job, ToolResult

WHOLE = ("read", "command")
PARTED = ("read", "command:pytest", "command:ruff", "web")


def a_tool(*grants: str, find: Any = lambda name: f"/usr/bin/{name}") -> RunCommand:
    return RunCommand(grants, find)


def job_of(argv: object, grants: Sequence[str] = WHOLE, **more: Any) -> Job:
    return a_tool(*grants).job({"argv": argv, **more})  # type: ignore[dict-item]


def told(
    *,
    code: int | None = 0,
    out: bytes = b"",
    err: bytes = b"",
    changed: Sequence[str] = (),
    refused: Sequence[str] = (),
    job: Job | None = None,
    **more: Any,
) -> ToolResult:
    end = PlainEnd(code, out, err, more.pop("out_dropped", 0), more.pop("err_dropped", 0), **more)
    return a_tool(*WHOLE).told(job or Job(argv=("x",), timeout_s=30), end, changed, refused)


# ---------------------------------------------------------------- what is to run


def test_it_is_a_tool_that_runs_commands_and_never_one_that_looks() -> None:
    tool = a_tool(*WHOLE)
    assert isinstance(tool, CommandTool)
    assert not tool.observes
    with pytest.raises(InternalError):
        trio.run(tool.run, {})


def test_a_command_is_its_arguments_as_they_are() -> None:
    argv = ["./run me.sh", "$HOME", "*", "a\nb", "", "--x=`id`"]
    assert job_of(argv) == Job(argv=tuple(argv), timeout_s=30)
    assert job_of(["true"], timeout_s=600).timeout_s == 600
    assert job_of(["true"], timeout_s=0.5).timeout_s == 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "`argv` is missing"),
        ({"argv": []}, "argv"),
        ({"argv": "ls -l"}, "argv"),
        ({"argv": ["ls", 1]}, "argv"),
        ({"argv": ["ls"] * 1001}, "argv"),
        ({"argv": ["x"] * 1_000_000}, "argv"),
        ({"argv": [""]}, "argv[0] is empty"),
        ({"argv": ["ls", "a\0b"]}, "argv[1] holds a NUL"),
        ({"argv": ["ls\0"]}, "argv[0] holds a NUL"),
        ({"argv": ["ls", "\ud800"]}, "argv[1] holds a lone surrogate"),
        ({"argv": ["ls", "x" * 131_072]}, "argv[1] has 131,072 bytes"),
        ({"argv": ["x" * 131_071] * 5}, "argv has 655,360 bytes"),
        ({"argv": ["ls"], "timeout_s": 0}, "timeout_s"),
        ({"argv": ["ls"], "timeout_s": 601}, "timeout_s"),
        ({"argv": ["ls"], "timeout": 5}, "did you mean `timeout_s`?"),
        ({"argv": ["ls"], "env": {"PATH": "."}}, "no parameter `env`"),
        ({"argv": ["ls"], "cwd": "/"}, "no parameter `cwd`"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_arguments_that_are_no_command_are_told_apart(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(BadArguments) as caught:
        a_tool(*WHOLE).job(arguments)
    assert says in caught.value.message
    assert len(caught.value.message) < 500


def test_only_the_grant_of_the_network_gives_it() -> None:
    assert not job_of(["curl"], WHOLE).network
    assert not job_of(["curl"], (*WHOLE, "web")).network
    assert job_of(["curl"], (*WHOLE, "net")).network


# ---------------------------------------------------------------- grants of parts


def test_a_granted_name_is_the_program_that_lies_in_path() -> None:
    assert job_of(["pytest", "-q"], PARTED).argv == ("/usr/bin/pytest", "-q")


@pytest.mark.parametrize(
    "program",
    [
        *(
            "./pytest",
            "/usr/bin/pytest",
            "bin/pytest",
            "../pytest",
            "pytest/",
            "/pytest",
            "PYTEST",
            "pytest ",
            " pytest",
        ),
        *(
            "pytest2",
            "pytes",
            "env",
            "sh",
            "rm",
            "pytest\n",
            "command:pytest",
            "*",
            ".",
            "..",
            "pytest,ruff",
            "web",
            "read",
        ),
        "pytest\u200b",
    ],
)
def test_nothing_but_that_name_is_covered(program: str) -> None:
    with pytest.raises(ToolDenied) as caught:
        job_of([program, "-q"], PARTED)
    assert "granted: command:pytest, command:ruff" in caught.value.message
    assert "--allow command" in caught.value.message
    assert "\n" not in caught.value.message


def test_the_refusal_names_the_grant_that_would_do() -> None:
    with pytest.raises(ToolDenied, match="--allow command:rm grants it"):
        job_of(["rm", "-rf", "/"], PARTED)
    with pytest.raises(ToolDenied, match="--allow command grants all programs"):
        job_of(["./x"], PARTED)
    with pytest.raises(ToolDenied) as caught:
        job_of(["x" * 100_000], PARTED)
    assert len(caught.value.message) < 500
    with pytest.raises(ToolDenied, match="granted: none"):
        job_of(["ls"], ("read",))


def test_a_grant_that_is_a_path_covers_nothing() -> None:
    with pytest.raises(ToolDenied):
        job_of(["./pytest"], ("command:./pytest",))


def _program(folder: Path, name: str = "pytest") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("entry", ["{project}", "{project}/bin", ".", "", "bin", "{outside}/link"])
def test_a_program_that_the_project_brings_along_is_not_the_one_that_was_granted(
    tmp_path: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    outside.mkdir()
    _program(project)
    _program(project / "bin")
    (outside / "link").symlink_to(project / "bin")
    monkeypatch.chdir(project)
    path = entry.format(project=project, outside=outside)
    tool = RunCommand(PARTED, lambda name: program_outside(project, path, name))
    with pytest.raises(ToolFailed, match="no such program in PATH, outside of the project"):
        tool.job({"argv": ["pytest"]})
    real = _program(outside / "real")
    path += f"{os.pathsep}{outside / 'real'}"
    assert tool.job({"argv": ["pytest"]}).argv == (str(real),)


def test_a_link_in_path_that_leads_into_the_project_is_not_the_granted_program(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    outside.mkdir()
    (outside / "pytest").symlink_to(_program(project))
    assert program_outside(project, str(outside), "pytest") is None
    (outside / "ruff").symlink_to(_program(outside / "real", "python"))
    assert program_outside(project, str(outside), "ruff") == str(outside / "ruff"), "its name may say what it is to be"


# ---------------------------------------------------------------- what is said of it


def test_the_text_says_how_it_ended_what_it_changed_and_what_it_printed() -> None:
    done = told(code=1, out=b"one\n", err=b"two\n", changed=["a.py", "new\n.txt"])
    assert done.text == "exit code 1\nchanged: a.py, new\\n.txt\nstdout:\none\nstderr:\ntwo"
    assert done.data == {"exit_code": 1, "stdout": "one\n", "stderr": "two\n"}
    assert done.whole == ""
    assert told().text == "exit code 0\nno output"
    assert told(refused=[".env"]).text == "exit code 0\nnot kept, since no tool changes it: .env\nno output"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"timed_out": True}, "it ran for longer than 30 s"),
        ({"over_limit": "its memory: 4096 MB"}, "its memory: 4096 MB"),
        ({}, "by a signal"),
    ],
)
def test_a_command_that_was_killed_has_no_exit_code_and_says_why(more: dict[str, Any], why: str) -> None:
    done = told(code=None, out=b"so far", **more)
    assert done.text.startswith(f"killed: {why}\n")
    assert done.data == {"exit_code": None, "stdout": "so far", "stderr": "", "killed": why}


def test_at_most_twenty_changed_files_are_named() -> None:
    names = [f"f{number:02}" for number in range(30)]
    assert told(changed=names).text.split("\n")[1] == f"changed: {', '.join(names[:20])} and 10 more"


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are() -> None:
    assert told(out=b"a\xff\x00b").data == {"exit_code": 0, "stdout": "a\ufffd\0b", "stderr": ""}


@pytest.mark.parametrize(("out", "err"), [(200_000, 0), (0, 200_000), (200_000, 200_000), (40_000, 100), (100, 40_000)])
def test_long_output_keeps_its_head_and_its_tail_and_the_whole_stands_beside_it(out: int, err: int) -> None:
    done = told(out=_lines(out), err=_lines(err))
    assert len(done.text.encode()) <= MAX_TEXT_BYTES
    assert "bytes left out" in done.text
    assert len(done.text.encode()) > MAX_TEXT_BYTES - 2_000, "what can be shown is shown"
    for stream in (_lines(out).decode(), _lines(err).decode()):
        assert stream[:50] in done.text
        assert stream[-50:].strip() in done.text
        assert stream.strip() in done.whole


def test_output_that_nobody_kept_is_told() -> None:
    assert "[9,000 more bytes were not kept]" in told(out=b"x", out_dropped=9_000).text


def test_a_script_gets_a_megabyte_of_each_stream() -> None:
    data = told(out=b"x" * 3_000_000, err=b"y" * MAX_DATA_BYTES).data
    assert isinstance(data, dict)
    assert isinstance(data["stdout"], str)
    assert len(data["stdout"]) <= MAX_DATA_BYTES
    assert "bytes left out" in data["stdout"]
    assert data["stderr"] == "y" * MAX_DATA_BYTES


@given(st.text(max_size=400), st.integers(0, 300))
def test_a_text_that_is_cut_is_within_its_limit_and_says_how_much_is_missing(text: str, most: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    cut = middle_cut(text, most)
    if len(text.encode()) <= most:
        assert cut == text
        return
    head, _, rest = cut.partition("\n[... ")
    number, _, tail = rest.partition(" bytes left out ...]\n")
    assert len(cut.encode()) <= max(most, 40)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(text.encode()) == len(head.encode()) + len(tail.encode()) + int(number.replace(",", ""))


def _lines(size: int) -> bytes:
    return b"".join(b"line %08d of the output\n" % number for number in range(size // 28))
