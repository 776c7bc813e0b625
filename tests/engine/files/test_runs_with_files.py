"""Whole runs whose steps have files: reuse, what a model gets, and what a script is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.sample_files import JPEG, PDF, PNG
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.engine import attachments
from vibe_workflows.engine.errors import ExitCode, RateLimited
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FilePart, Message, ModelRequest, Role, StepStatus
from vibe_workflows.engine.ports import Limits


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def part(path: str, media_type: str, contents: bytes) -> FilePart:
    return FilePart(path=path, media_type=media_type, digest=content_digest(contents), size=len(contents))


def files_of(request: ModelRequest) -> tuple[FilePart, ...]:
    return next(message.files for message in request.messages if message.role is Role.USER)


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    real = attachments._digest

    def counting(file: int) -> Any:
        sizes.append(os.fstat(file).st_size)
        return real(file)

    monkeypatch.setattr(attachments, "_digest", counting)
    return sizes


def test_a_model_gets_the_files_in_the_order_of_the_script_with_their_contents(project: RunProject) -> None:
    project.write("shot", PNG)
    project.write("docs/plan.txt", PDF)
    project.write("notes.md", "ünï\n")
    source = body("return await agent('What is in these?', files=('notes.md', 'shot', './docs/plan.txt', 'shot'))")
    assert project.result(source) == "ok"
    (request,) = project.backend.requests
    text = "ünï\n".encode()
    assert files_of(request) == (
        part("notes.md", "text/plain", text),
        part("shot", "image/png", PNG),
        part("docs/plan.txt", "application/pdf", PDF),
    )
    assert request.contents == {content_digest(contents): contents for contents in (text, PNG, PDF)}


def test_files_go_along_with_every_turn_of_a_step_and_every_attempt(project: RunProject) -> None:
    project.write("a.txt", "one")
    replies: list[Any] = [RateLimited("slow down", retry_after_s=0.0), "fine"]
    assert project.result(body("return await agent('x', files=['a.txt'])"), lambda _request: replies.pop(0)) == "fine"
    digest = content_digest(b"one")
    assert [request.contents for request in project.backend.requests] == [{digest: b"one"}] * 2


def test_a_changed_file_runs_its_step_again_and_an_unrelated_one_does_not(project: RunProject) -> None:
    project.write("a.txt", "one")
    project.write("b.txt", "other")
    source = body("return await parallel(agent(f'Read {p}', files=[p]) for p in ('a.txt', 'b.txt'))")
    project.result(source)
    assert project.asked == 2
    project.write("c.txt", "unrelated")
    project.result(source)
    assert project.asked == 0
    project.write("a.txt", "two")
    project.result(source)
    assert [files_of(request)[0].path for request in project.backend.requests] == ["a.txt"]
    project.write("a.txt", "one")  # as it was: the first answer is true again
    project.result(source)
    assert project.asked == 0


def test_order_and_path_of_files_are_part_of_what_a_step_is(project: RunProject) -> None:
    project.write("a.txt", "one")
    project.write("b.txt", "two")
    project.write("copy.txt", "one")
    for files in (["a.txt", "b.txt"], ["b.txt", "a.txt"], ["copy.txt", "b.txt"], ["a.txt"], []):
        project.result(body(f"return await agent('x', files={files})"))
        assert project.asked == 1, files


def test_a_step_that_is_answered_from_the_store_keeps_no_contents(
    project: RunProject, digested: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("large.txt", b"x" * 3_000_000)
    source = body("return await agent('x', files=['large.txt'])")
    project.result(source)
    monkeypatch.setattr(attachments.Attachments, "held", lambda *_: pytest.fail("the contents were read"))
    digested.clear()
    project.result(source)
    assert project.asked == 0
    assert digested == [3_000_000]


def test_a_fan_out_over_the_same_files_reads_each_once(project: RunProject, digested: list[int]) -> None:
    for number in range(5):
        project.write(f"{number}.txt", f"file {number}")
    source = body(
        "files = [f'{n}.txt' for n in range(5)]",
        "return await parallel(agent(f'step {n}', files=files) for n in range(200))",
    )
    assert project.result(source) == ["ok"] * 200
    assert len(digested) == 5


def test_identical_steps_with_files_are_samples_and_keep_their_answers(project: RunProject) -> None:
    project.write("a.txt", "one")
    votes = iter(["yes", "no", "maybe"])
    source = body(
        "return await parallel(agent('vote', files=['a.txt']) for _ in range(3))",
    )
    first = project.result(source, lambda _request: next(votes))
    assert sorted(first) == ["maybe", "no", "yes"]
    assert project.result(source, lambda _request: "never") == first


def test_calls_with_and_without_files_are_answered_in_the_order_in_which_they_first_came(project: RunProject) -> None:
    project.write("large.txt", b"x" * 2_000_000)
    project.write("small.txt", "s")
    source = body(
        "came = []",
        "async def ask(name, files):",
        "    came.append(await agent(name, files=files))",
        "    came.append(await agent(name + ' again', files=files))",
        "await parallel([ask('a', ['large.txt']), ask('b', []), ask('c', ['small.txt']), ask('d', ['large.txt'])])",
        "return came",
    )
    first = project.result(source, lambda request: request.messages[-1].text)
    assert sorted(first) == sorted([*"abcd", "a again", "b again", "c again", "d again"])
    assert project.result(source, lambda _request: pytest.fail("asked again")) == first


# ---------------------------------------------------------------- what a script is told


@pytest.mark.parametrize(
    ("path", "caught", "said"),
    [
        (".env", "ToolDenied", "looks like a secret"),
        ("../outside", "ToolDenied", "no `..`"),
        ("/etc/passwd", "ToolDenied", "relative to the project root"),
        (".git/config", "ToolDenied", "not open to tools"),
        (".vibe/vibe.db", "ToolDenied", "not open to tools"),
        ("out", "ToolDenied", "leads out of the project"),
        ("missing", "SetupError", "no such file"),
        ("folder", "SetupError", "a folder"),
        ("archive.png", "SetupError", "png, jpg, gif, webp, pdf, or UTF-8 text"),
    ],
)
def test_a_script_gets_an_error_with_its_type(project: RunProject, path: str, caught: str, said: str) -> None:
    project.write(".env", "TOKEN=1")
    project.write(".git/config", "[core]")
    project.write("folder/x", "x")
    project.write("archive.png", b"PK\x03\x04\0")
    (project.folder / "out").symlink_to("/etc/hostname")
    source = body(
        "try:",
        f"    return await agent('x', files=['{path}'])",
        "except ToolDenied as error:",
        "    return ['ToolDenied', error.kind, error.message]",
        "except SetupError as error:",
        "    return ['SetupError', error.kind, error.message]",
    )
    name, kind, message = project.result(source)
    assert name == caught
    assert kind == {"ToolDenied": "tool_denied", "SetupError": "setup_error"}[caught]
    assert said in message
    assert path in message
    assert project.asked == 0


def test_a_file_that_cannot_be_had_is_a_failed_step_of_the_trace(project: RunProject) -> None:
    project.write("a.txt", "one")
    source = body(
        "return await parallel([agent('x', files=['a.txt', '.env'], label='curious'), agent('y'), agent('z')])",
    )
    report = project.run(source, budget=Limits(steps=2))
    assert report.result == b'[null,"ok","ok"]', "it counts as no step against the budget"
    assert report.run.live_steps == 2
    denied = next(step for step in project.steps(report.run.id) if step.fault is not None)
    assert (denied.status, denied.usage.tokens, denied.turns) == (StepStatus.FAILED, 0, 0)
    assert denied.fault is not None
    assert denied.fault.type == "ToolDenied"
    assert json.loads(denied.spec)["files"] == [["a.txt", ""], [".env", ""]]
    project.write("flow.py", source)
    again = project.run(source)
    assert json.loads(again.result or b"") == [None, "ok", "ok"]
    assert project.asked == 0


def test_a_denied_file_fails_its_branch_and_a_missing_one_the_fan_out(project: RunProject) -> None:
    project.write("a.txt", "one")
    source = body("return await parallel(agent('x', files=[p]) for p in ('a.txt', PATH))")
    assert project.result(source.replace("PATH", "'.env'")) == ["ok", None]
    report = project.run(source.replace("PATH", "'b.txt'"))
    assert report.exit_code is ExitCode.USAGE
    assert report.error is not None
    assert (report.error.type, "b.txt: no such file" in report.error.message) == ("SetupError", True)


def test_a_file_that_changes_before_its_step_begins_is_a_conflict_and_right_on_the_rerun(project: RunProject) -> None:
    path = project.write("b.txt", "before")
    source = body(
        "try:",
        "    return await parallel([agent('first'), agent('second', files=['b.txt'])], limit=None, on_error='return')",
        "except AgentError as error:",
        "    return error.kind",
    )

    def answer(request: ModelRequest) -> str:
        path.write_text("after!")
        return request.messages[-1].text

    report = project.run(source, answer, concurrency=1)
    steps = project.steps(report.run.id)
    assert [step.status for step in steps] == [StepStatus.COMPLETED, StepStatus.FAILED]
    assert steps[1].fault is not None
    assert (steps[1].fault.type, steps[1].fault.kind) == ("Conflict", "conflict")
    assert "b.txt: it changed between" in steps[1].fault.message
    assert len(project.backend.requests) == 1
    project.result(source, answer)
    assert [request.contents for request in project.backend.requests] == [{content_digest(b"after!"): b"after!"}]


# ---------------------------------------------------------------- what is kept


def test_the_stored_turn_tells_of_a_file_and_does_not_hold_it(project: RunProject) -> None:
    marker = b"a sentence that stands nowhere else"
    project.write("a.txt", marker)
    project.write("b.jpg", JPEG + marker)
    report = project.run(body("return await agent('x', files=['a.txt', 'b.jpg'])"))
    (step,) = project.steps(report.run.id)
    (turn,) = project.turns(step)
    *_, user = msgspec.json.decode(turn.input, type=list[Message])
    expected = (part("a.txt", "text/plain", marker), part("b.jpg", "image/jpeg", JPEG + marker))
    assert user.files == expected
    spec = json.loads(step.spec)
    assert spec["files"] == [[each.path, each.digest] for each in expected]
    assert spec["grants"] == ["read"]
    kept = b"".join(path.read_bytes() for path in (project.folder / ".vibe").glob("vibe.db*"))
    assert b"b.jpg" in kept
    assert marker not in kept
