"""What steps do in worktrees of their own comes into the project whole, one after the other, or not at all."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.support.deeds import do, edit, isolated, read, write
from vibe_workflows.engine.events import FileEdited
from vibe_workflows.engine.model import ModelReply, ModelRequest, StepStatus

from .conftest import Lab

TEN = "".join(f"line {number}\n" for number in range(10))


def test_an_edit_comes_into_the_project_when_its_step_is_done(lab: Lab) -> None:
    lab.write("a.txt", "one\n")
    seen: list[str] = []

    def answer(request: ModelRequest) -> ModelReply:
        seen.append(lab.read("a.txt"))
        return do(request)

    call = isolated([read("a.txt")], [write("a.txt", "two\n")], [read("a.txt")])
    assert lab.result(f"return await {call}", answer=answer) == "done"
    assert set(seen) == {"one\n"}, "the project was edited before the step was done"
    shown = [message.text for message in lab.project.backend.requests[-1].messages if message.tool_call_id]
    assert "one" in shown[0], "it sees what it has done itself"
    assert "two" in shown[-1], "it sees what it has done itself"
    assert lab.read("a.txt") == "two\n"
    assert [event.path for event in lab.project.seen.of(FileEdited)] == ["a.txt"]


def test_files_are_made_and_removed_with_their_folders(lab: Lab) -> None:
    lab.write("old/a.txt", "one\n")
    call = isolated([write("new/deep/b.txt", "b\n")])
    lab.result(f"return await {call}")
    assert lab.read("new/deep/b.txt") == "b\n"
    assert lab.read("old/a.txt") == "one\n"


def test_two_steps_that_change_other_lines_of_one_file_both_land(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    calls = [isolated([edit("a.txt", f"line {number}\n", f"LINE {number}\n")]) for number in (2, 7)]
    assert lab.result(f"return await parallel([{', '.join(calls)}])") == ["done", "done"]
    assert lab.read("a.txt") == TEN.replace("line 2", "LINE 2").replace("line 7", "LINE 7")
    asked = lab.asked
    assert asked == 4
    assert lab.result(f"return await parallel([{', '.join(calls)}])") == ["done", "done"]
    assert lab.asked == 0


def test_five_steps_on_one_file_land_and_a_rerun_asks_nobody(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    calls = [
        isolated([read("a.txt")], [edit("a.txt", f"line {number}\n", f"LINE {number}\n")]) for number in range(0, 10, 2)
    ]
    source = f"return await parallel([{', '.join(calls)}])"
    lab.result(source)
    expected = TEN
    for number in range(0, 10, 2):
        expected = expected.replace(f"line {number}", f"LINE {number}")
    assert lab.read("a.txt") == expected
    for _ in range(2):
        lab.result(source)
        assert (lab.asked, lab.read("a.txt")) == (0, expected)


def test_the_same_lines_are_a_conflict_with_both_sides_and_nothing_of_the_second_lands(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    lab.write("b.txt", "b\n")
    calls = [
        isolated([edit("a.txt", "line 4\n", f"{name}\n"), write(f"{name}.txt", name)], name=name)
        for name in ("ours", "theirs")
    ]
    report = lab.run(
        f"found = await parallel([{', '.join(calls)}], on_error='return')",
        "failed = [each for each in found if isinstance(each, AgentError)]",
        "return [[each.kind, each.files] for each in failed]",
    )
    assert report.result is not None
    (failed,) = json.loads(report.result)
    assert failed[0] == "conflict"
    (file,) = failed[1]
    sides = {file["hunks"][0]["ours"], file["hunks"][0]["theirs"]}
    assert (file["path"], sides) == ("a.txt", {"ours\n", "theirs\n"})
    landed = file["hunks"][0]["ours"].strip()
    assert lab.read("a.txt") == TEN.replace("line 4", landed)
    assert [lab.lies("ours.txt"), lab.lies("theirs.txt")] == [landed == "ours", landed == "theirs"]


def test_a_person_s_edit_of_other_lines_is_merged_and_of_the_same_lines_is_a_conflict(lab: Lab) -> None:
    lab.write("a.txt", TEN)

    def meanwhile(line: str) -> None:
        lab.write("a.txt", lab.read("a.txt").replace(line, line.upper()))

    def answer(line: str) -> object:
        def reply(request: ModelRequest) -> ModelReply:
            made = do(request)
            if not made.tool_requests:
                meanwhile(line)
            return made

        return reply

    call = isolated([edit("a.txt", "line 4\n", "changed\n")])
    lab.result(f"return await {call}", answer=answer("line 8\n"))  # type: ignore[arg-type]
    merged = TEN.replace("line 4", "changed").replace("line 8", "LINE 8")
    assert lab.read("a.txt") == merged
    call = isolated([edit("a.txt", "line 2\n", "changed too\n")])
    report = lab.run(f"return await {call}", answer=answer("line 2\n"))  # type: ignore[arg-type]
    assert report.run.fault is not None
    assert report.run.fault.type == "Conflict"
    assert lab.read("a.txt") == merged.replace("line 2", "LINE 2")


def test_what_a_step_that_fails_did_is_gone(lab: Lab) -> None:
    lab.write("a.txt", "one\n")

    def answer(request: ModelRequest) -> ModelReply | Exception:
        made = do(request)
        from vibe_workflows.engine.errors import Refused

        return made if made.tool_requests else Refused("no")

    report = lab.run(f"return await {isolated([write('a.txt', 'two')])}", answer=answer)
    assert report.run.fault is not None
    assert report.run.fault.type == "Refused"
    assert lab.read("a.txt") == "one\n"
    assert lab.project.steps(report.run.id)[0].status is StepStatus.FAILED


def test_a_manual_merge_lands_when_the_script_says_so(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    call = isolated([edit("a.txt", "line 4\n", "four\n")], merge="manual", detail=True)
    lines = (
        f"found = await {call}",
        "before = await tool('read_file', path='a.txt')",
        "paths = await merge(found)",
        "return {'before': before['text'], 'paths': paths, 'files': found.files, 'patch': found.patch}",
    )
    result = lab.result(*lines)
    assert (result["before"], result["paths"], result["files"]) == (TEN, ["a.txt"], ["a.txt"])
    assert lab.read("a.txt") == TEN.replace("line 4", "four")
    assert "-line 4\n+four\n" in result["patch"]
    assert lab.result(*lines) == result
    assert (lab.asked, lab.read("a.txt")) == (0, TEN.replace("line 4", "four"))


def test_the_patch_of_a_step_is_what_git_apply_takes(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    call = isolated([edit("a.txt", "line 4\n", "four\n"), write("n/b.txt", "new\n")], merge="manual", detail=True)
    patch = lab.result(f"return (await {call}).patch")
    assert lab.read("a.txt") == TEN
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=lab.project.folder, check=True, timeout=30)
    assert (lab.read("a.txt"), lab.read("n/b.txt")) == (TEN.replace("line 4", "four"), "new\n")


def test_after_one_changed_file_only_its_readers_run(lab: Lab) -> None:
    for name in "abc":
        lab.write(f"{name}.txt", f"{name}\n")
    calls = [isolated([read(f"{name}.txt")], [write(f"{name}.out", name)]) for name in "abc"]
    source = f"return await parallel([{', '.join(calls)}])"
    lab.result(source)
    assert lab.asked == 9
    lab.write("b.txt", "other\n")
    lab.result(source)
    assert lab.asked == 3
    lab.result(source)
    assert lab.asked == 0


@pytest.mark.parametrize("path", ["build/out.txt", "build"])
def test_what_git_ignores_is_no_part_of_a_worktree_and_costs_no_rerun(lab: Lab, path: str) -> None:
    lab.write(".gitignore", "build/\n")
    lab.write("build/out.txt", "ignored\n")
    lab.write(".cache/.gitignore", "*\n")
    lab.write(".cache/x", "x\n")
    lab.write("a.txt", "one\n")
    looks = [read(path), ["list_files", {"path": path}], ["list_files", {}], ["list_files", {"path": ".cache"}]]
    call = isolated([*looks, read(".cache/x"), ["glob", {"pattern": "**/*"}]], [write("build/new.txt", "x")])
    lab.result(f"return await {call}")
    told = [message.text for message in lab.project.backend.requests[-1].messages if message.tool_call_id]
    assert "no such" in told[0]
    assert "no such" in told[1]
    assert "Denied" in told[-1]
    assert not lab.lies("build/new.txt")
    assert ".cache" not in told[2]
    lab.result(f"return await {call}")
    assert lab.asked == 0
