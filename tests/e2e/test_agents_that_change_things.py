"""Agents at work on a git repository: in worktrees, held to a gate, merged, and never in the way.

All of it from the command line.

Every invocation is a process of its own, the model is a server on loopback that does what its prompt says
(tests/support/obedient_model.py), the repository is made by git, and the gates are programs that really run, confined.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.field_project import Ended, FieldProject
from tests.support.leaks import wait_until
from tests.support.obedient_model import obey
from tests.support.repositories import commit, git

CALC = "def add(a, b):\n    return a-b\n"
TEST = "from calc import add\n\n\ndef test_adds():\n    assert add(2, 3) == 5\n"

FIX = """\
meta = {"permissions": ["write", "command:python"]}


async def main(args):
    done = await agent(
        "Fix: read calc.py & read test_calc.py; edit calc.py a-b a*b; say done; edit calc.py a*b a+b; say mended",
        tools=["read", "write"],
        isolation="worktree",
        gate=["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        label="fix",
        detail=True,
    )
    return {"value": done.value, "patch": done.patch, "files": done.files, "turns": done.turns}
"""
ALLOW = ("--allow", "write,command:python")


@pytest.fixture
def repository(project: FieldProject) -> Iterator[FieldProject]:
    """A project in git whose one test fails. Its `python` is the one of these tests, as in an activated environment."""
    project.environ = {**project.environ, "PATH": f"{Path(sys.executable).parent}:{project.environ['PATH']}"}
    project.model.handler = obey
    git(project.folder, "init", "-q", "-b", "main")
    project.write(".gitignore", ".vibe/\n__pycache__/\n")
    project.write("calc.py", CALC)
    project.write("test_calc.py", TEST)
    commit(project.folder, "first")
    yield project
    assert left_behind(project) == []


def left_behind(project: FieldProject) -> list[str]:
    """What no run may leave: snapshots, branches and worktrees of git, drafts of files."""
    cache = Path(project.environ["HOME"]) / ".cache" / "vibe"
    found = [str(path) for name in ("snapshots", "commands") for path in (cache / name).glob("*/*/*")]
    branches = git(project.folder, "for-each-ref", "--format=%(refname)", "refs/heads").split()
    found += [branch for branch in branches if branch != "refs/heads/main"]
    found += [str(path) for path in (project.folder / ".git" / "worktrees").glob("*")]
    found += [path for path in status(project) if "vibe-" in path]
    return found


def status(project: FieldProject) -> list[str]:
    """What git says is other than committed, but for the workflow itself."""
    lines = git(project.folder, "status", "--porcelain", "--untracked-files=all").splitlines()
    return [line.strip() for line in lines if not line.endswith((".py.orig", "flow.py", "vibe.yaml"))]


def run(project: FieldProject, source: str, *more: str, code: int = 0) -> Ended:
    project.write("flow.py", source)
    return project.run("flow.py", *ALLOW, *more, code=code)


def traced(project: FieldProject, *step: str) -> Any:
    shown = project.vibe("trace", "--json", *step)
    assert shown.code == 0, shown.err
    return shown.document


# ---------------------------------------------------------------- one agent


def test_a_failing_test_is_fixed_through_the_gate_and_the_patch_is_merged(repository: FieldProject) -> None:
    done = run(repository, FIX)
    assert done.result["value"] == "mended"
    assert done.result["turns"] == len(done.requests) == 5
    assert done.result["files"] == ["calc.py"]
    assert repository.read("calc.py") == CALC.replace("a-b", "a+b")
    assert status(repository) == ["M calc.py"]
    sent_back = done.requests[3].conversation().messages[-1]
    assert sent_back.role == "user"
    assert "assert -1 == 5" in sent_back.text or "assert 6 == 5" in sent_back.text
    git(repository.folder, "checkout", "-q", "calc.py")
    git(repository.folder, "apply", "-", stdin=done.result["patch"])
    assert repository.read("calc.py") == CALC.replace("a-b", "a+b")


def test_the_trace_shows_each_turn_and_each_tool_call_with_time_tokens_and_outcome(repository: FieldProject) -> None:
    run(repository, FIX)
    step = traced(repository, "--step", "1")
    assert [turn["number"] for turn in step["turns"]] == [1, 2, 3, 4, 5]
    assert all(turn["usage"]["input_tokens"] > 0 for turn in step["turns"])
    calls = step["tool_calls"]
    assert [(call["turn"], call["name"], call["outcome"]) for call in calls] == [
        *[(1, "read_file", "ok"), (1, "read_file", "ok"), (2, "edit_file", "ok")],
        *[(3, "gate", "error"), (4, "edit_file", "ok"), (5, "gate", "ok")],
    ]
    assert all(each["finished_at"] >= each["started_at"] > 0 for each in (*step["turns"], *calls))
    assert step["edited"][0]["path"] == "calc.py"


def test_running_it_again_is_free_and_merges_nothing_twice(repository: FieldProject) -> None:
    first = run(repository, FIX)
    inode = os.stat(repository.folder / "calc.py").st_ino
    again = run(repository, FIX)
    assert again.requests == ()
    assert again.result == first.result
    assert os.stat(repository.folder / "calc.py").st_ino == inode


def test_an_agent_that_never_gets_its_gate_green_changes_nothing(repository: FieldProject) -> None:
    source = FIX.replace("edit calc.py a*b a+b; say mended", "say again; say and again")
    check = '"-c", "import calc, sys; sys.exit(calc.add(2, 3) != 5)"'
    failed = run(repository, source.replace('"-m", "pytest", "-q", "-p", "no:cacheprovider"', check), code=1)
    assert "GateFailed: the gate `python -c" in failed.err
    assert repository.read("calc.py") == CALC
    assert status(repository) == []


def test_without_the_grant_nothing_runs(repository: FieldProject) -> None:
    repository.write("flow.py", FIX)
    refused = repository.vibe("run", "flow.py", "--allow", "write", "--json")
    assert refused.code == 6
    assert "--allow command:python" in refused.err
    assert refused.requests == ()


# ---------------------------------------------------------------- twenty agents

SHARED = "".join(f"line {number:02}\n" for number in range(40))
CHECK = """\
import pathlib
import sys

bad = [path.name for path in pathlib.Path("parts").iterdir() if "broken" in path.read_text()]
sys.exit(f"broken: {bad}" if bad else 0)
"""
MANY = """\
meta = {"permissions": ["write", "command:python"], "concurrency": 20}


def told(each):
    if isinstance(each, Conflict):
        return {"kind": each.kind, "message": each.message, "files": each.files}
    return each


async def main(args):
    orders = [f"P{n}: read parts/{n}.txt; edit parts/{n}.txt begin part-{n}" for n in range(PARTS)]
    orders += [f"S{n}: read shared.txt; edit shared.txt line-{n:02}x agent-{n}" for n in range(0, 4 * LINES, 4)]
    orders += ["T0: read shared.txt; edit shared.txt line-38x one", "T1: read shared.txt; edit shared.txt line-38x two"]
    done = await parallel(
        (
            agent(
                order,
                tools=["read", "write"],
                isolation="worktree",
                gate=["python", "check.py"],
                label=order.split(":")[0],
            )
            for order in orders
        ),
        on_error="return",
    )
    return [told(each) for each in done]
"""


def agents(parts: int, lines: int) -> str:
    """So many agents with a file each, so many with a line each of one file, and two with one line."""
    return MANY.replace("PARTS", str(parts)).replace("LINES", str(lines))


@pytest.fixture
def shared(repository: FieldProject) -> FieldProject:
    repository.write("check.py", CHECK)
    repository.write("shared.txt", SHARED.replace("line ", "line-").replace("\n", "x\n"))
    for number in range(10):
        repository.write(f"parts/{number}.txt", "begin end\n")
    commit(repository.folder, "more")
    return repository


def landed(project: FieldProject) -> list[tuple[str, str | None, str | None]]:
    """Path and digests of what was made of the project, in order."""

    with closing(sqlite3.connect(project.folder / ".vibe" / "vibe.db")) as store:
        rows = store.execute("SELECT path, hex(before), hex(after) FROM changes WHERE done = 1 ORDER BY epoch")
        return rows.fetchall()


def check_merged(project: FieldProject, parts: int, lines: int) -> str:
    """Each green patch is there once, and of the two on one line the one that was first. Gives that one."""
    for number in range(parts):
        assert project.read(f"parts/{number}.txt") == f"part-{number} end\n"
    text = project.read("shared.txt").splitlines()
    edited = range(0, 4 * lines, 4)
    assert [text[number] for number in edited] == [f"agent-{number}" for number in edited]
    assert len(text) == 40
    assert text[38] in ("one", "two")
    made = landed(project)
    assert len(made) == parts + lines + 1
    of_shared = [(before, after) for path, before, after in made if path == "shared.txt"]
    assert len(of_shared) == lines + 1
    assert all(after == then for (_, after), (then, _) in pairwise(of_shared))
    return text[38]


def test_of_twenty_agents_at_once_every_green_patch_is_merged_once_and_every_conflict_has_both_sides(
    shared: FieldProject,
) -> None:
    source = agents(10, 8)
    done = run(shared, source)
    first = check_merged(shared, 10, 8)
    second = "two" if first == "one" else "one"
    (conflict,) = [each for each in done.result if isinstance(each, dict)]
    assert conflict["kind"] == "conflict"
    (file,) = conflict["files"]
    (hunk,) = file["hunks"]
    assert (file["path"], hunk["line"]) == ("shared.txt", 39)
    assert (hunk["base"], hunk["ours"], hunk["theirs"]) == ("line-38x\n", f"{first}\n", f"{second}\n")
    assert all(said in conflict["message"] for said in ("shared.txt", "line 39", first, second))
    assert len(done.requests) == 60
    again = run(shared, source)
    assert {name.split(":")[0] for name in again.prompts} <= {"T0", "T1"}  # the one that failed is tried again
    check_merged(shared, 10, 8)


# ---------------------------------------------------------------- kill and cancel


@pytest.mark.parametrize("moment", [2, 13, 18])
def test_after_a_kill_at_any_moment_the_next_start_leaves_nothing_behind_and_merges_nothing_twice(
    shared: FieldProject, moment: int
) -> None:
    """Of 18 model calls, the last answers come while others are held to their gates, or are merged."""
    source = agents(2, 2)
    shared.write("flow.py", source)
    killed = shared.start("run", "flow.py", *ALLOW, "--json")
    assert wait_until(lambda: len(shared.model.requests) >= moment)
    before = shared.kill(killed)
    done = run(shared, source)
    check_merged(shared, 2, 2)
    assert len(before.requests) + len(done.requests) <= 18 + 6 + 3  # what was in flight, and who is in conflict
    assert processes_in(shared) == []


def test_a_cancelled_run_leaves_no_process_and_no_half_of_anything(shared: FieldProject) -> None:
    shared.write("flow.py", agents(2, 2).replace('"check.py"]', '"-c", "import time; time.sleep(600)"]'))
    running = shared.start("run", "flow.py", *ALLOW, "--json")
    assert wait_until(lambda: processes_in(shared) != [])
    os.kill(running, signal.SIGINT)
    ended = shared.end(running)
    assert ended.code == 130
    assert processes_in(shared) == []
    assert status(shared) == []
    assert left_behind(shared) == []


def processes_in(project: FieldProject) -> list[str]:
    """Command lines of processes whose arguments are those of a gate here."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if line.endswith(("check.py", "time.sleep(600)"))]
