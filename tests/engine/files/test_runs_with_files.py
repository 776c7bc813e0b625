"""Whole runs whose steps have files: reuse, what a model gets, and what a script is told."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.sample_files import JPEG, PDF, PNG
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.engine import attachments
from vibe_workflows.engine.agents.tools import file_state
from vibe_workflows.engine.errors import ExitCode, ProviderError, RateLimited
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import (
    FilePart,
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Role,
    Step,
    StepStatus,
    ToolRequest,
)
from vibe_workflows.engine.observe import file_observation
from vibe_workflows.engine.ports import Limits
from vibe_workflows.engine.store.reader import open_reader


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def part(path: str, media_type: str, contents: bytes) -> FilePart:
    return FilePart(path=path, media_type=media_type, digest=content_digest(contents), size=len(contents))


def files_of(request: ModelRequest) -> tuple[FilePart, ...]:
    return next(message.files for message in request.messages if message.role is Role.USER)


def turns_of(request: ModelRequest) -> int:
    return sum(message.role is Role.ASSISTANT for message in request.messages)


def asks_for(name: str, **arguments: str) -> ModelReply:
    call = ToolRequest(id="c1", name=name, arguments=json.dumps(arguments))
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=None, tool_requests=(call,))


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    real = file_state._digest

    def counting(file: int) -> Any:
        sizes.append(os.fstat(file).st_size)
        return real(file)

    monkeypatch.setattr(file_state, "_digest", counting)
    monkeypatch.setattr(file_state, "SETTLED_NS", 0)  # the files of a test are young
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


@pytest.mark.parametrize(
    "path", ["/a.txt", "//a.txt", "../project/a.txt", "x/../a.txt", "/./a.txt"], ids=lambda path: path.replace("/", "|")
)
def test_a_path_that_is_denied_is_denied_whatever_is_left_out_of_it(project: RunProject, path: str) -> None:
    project.write("a.txt", "one")
    source = body(f"return await parallel([agent('x', files=['{path}']), agent('y')])")
    assert project.result(source) == [None, "ok"]
    assert project.prompts == ["y"]


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


def test_contents_make_samples_of_one_pool_and_each_answers_where_they_lie_there_again(project: RunProject) -> None:
    source = body("return await agent('Read', files=['a.txt'])")
    contents = ("one", "two", "three")
    for text in contents:
        project.write("a.txt", text)
        project.result(source, lambda request: next(iter(request.contents.values())).decode())
    for text in reversed(contents):
        project.write("a.txt", text)
        assert project.result(source) == text
        assert project.asked == 0
    project.write("a.txt", "four")
    project.result(source)
    assert project.asked == 1


def test_a_step_that_was_cut_off_goes_on_only_with_the_same_files(project: RunProject) -> None:
    source = "return await agent('Read {}', files=['a.txt'], tools=['glob'], retries=0)"

    def cut_off(request: ModelRequest) -> ModelReply:
        if turns_of(request):
            raise ProviderError("down")
        return asks_for("glob", pattern="*.md")

    def sent(request: ModelRequest) -> str:
        return f"{turns_of(request)} {b''.join(request.contents.values()).decode()}"

    for number, (text, told) in enumerate([("one", "1 one"), ("two", "0 two")]):
        project.write("a.txt", "one")
        project.run(body(source.format(number)), cut_off)
        project.write("a.txt", text)
        assert project.result(body(source.format(number)), sent) == told


def test_what_a_step_was_sent_is_in_the_store_with_its_first_turn(project: RunProject) -> None:
    """So a step whose process dies later goes on only with the same files."""
    project.write("a.txt", "one")
    kept: list[Step] = []

    def answer(request: ModelRequest) -> ModelReply | str:
        if not turns_of(request):
            return asks_for("glob", pattern="*.md")
        with closing(open_reader(project.folder / ".vibe/vibe.db")) as reader:
            kept.extend(reader.steps_of_run(reader.runs(1)[0].id))
        return "done"

    report = project.run(body("return await agent('Read', files=['a.txt'], tools=['glob'])"), answer)
    (began,) = kept
    look = file_observation("a.txt", content_digest(b"one"), epoch=began.observations[0].epoch)
    assert look.epoch > 0
    assert [(step.status, step.observations) for step in kept] == [(StepStatus.RUNNING, (look,))]
    (step,) = project.steps(report.run.id)
    assert step.observations[0] == look
    assert [seen.tool for seen in step.observations] == ["file_state", "glob"]


def test_a_step_whose_file_changed_while_it_waited_to_go_on_begins_anew(project: RunProject) -> None:
    source = body(
        "both = [agent('First'), agent('Read', files=['a.txt'], tools=['glob'], retries=0)]",
        "return await parallel(both, on_error='return')",
    )
    path = project.write("a.txt", "one")

    def cut_off(request: ModelRequest) -> ModelReply:
        if turns_of(request) or not request.tools:
            raise ProviderError("down")
        return asks_for("glob", pattern="*.md")

    def edits(request: ModelRequest) -> str:
        path.write_text("two")
        return f"{turns_of(request)} {b''.join(request.contents.values()).decode()}"

    project.run(source, cut_off)
    assert project.result(source, edits, concurrency=1) == ["0 ", "0 two"]


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
    assert json.loads(denied.spec)["files"] == ["a.txt", ".env"]
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


def test_a_file_that_changes_while_its_step_waits_goes_along_as_it_lies_when_the_step_begins(
    project: RunProject,
) -> None:
    path = project.write("b.txt", "before")
    source = body("return await parallel([agent('first'), agent('second', files=['b.txt'])])")

    def answer(request: ModelRequest) -> str:
        path.write_text("after!")
        return str(sorted(request.contents.values()))

    assert project.result(source, answer, concurrency=1) == ["[]", "[b'after!']"]
    project.result(source, answer)
    assert project.asked == 0
    path.write_text("before")
    project.result(source)
    assert project.prompts == ["second"]


def test_an_answer_is_for_what_its_step_was_sent_even_if_the_file_changed_meanwhile(project: RunProject) -> None:
    path = project.write("a.txt", "sent")

    def answer(_request: ModelRequest) -> str:
        path.write_text("changed since")
        return "for what was sent"

    source = body("return await agent('x', files=['a.txt'])")
    project.result(source, answer)
    assert project.result(source, lambda request: next(iter(request.contents.values())).decode()) == "changed since"
    path.write_text("sent")
    assert project.result(source) == "for what was sent"
    assert project.asked == 0


def test_each_call_of_one_spec_is_sent_the_file_as_it_lies_when_its_step_begins(project: RunProject) -> None:
    path = project.write("a.txt", "one")
    source = body("return [await agent('x', files=['a.txt']), await agent('x', files=['a.txt'])]")

    def answer(request: ModelRequest) -> str:
        path.write_text("two")
        return next(iter(request.contents.values())).decode()

    assert project.result(source, answer) == ["one", "two"]


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
    assert spec["files"] == [each.path for each in expected]
    assert tuple(replace(seen, epoch=0) for seen in step.observations) == tuple(
        file_observation(each.path, each.digest) for each in expected
    )
    assert spec["grants"] == ["read"]
    kept = b"".join(path.read_bytes() for path in (project.folder / ".vibe").glob("vibe.db*"))
    assert b"b.jpg" in kept
    assert marker not in kept
