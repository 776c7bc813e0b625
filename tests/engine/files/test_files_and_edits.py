"""A step goes on with the files that it was sent, which other steps of its workflow edit at that very moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.whole_runs import body, new_project, prompt_of
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.errors import ProviderError
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest

#: With two at a time, `Read` begins as soon as `Quick` is over.
SOURCE = body(
    "edit = agent('Edit', tools=['write'], retries=0)",
    "read = agent('Read', files=['a.txt'], tools=['read'], retries=0)",
    "return await parallel([edit, agent('Quick', retries=0), read], on_error='return')",
)


def turns_of(request: ModelRequest) -> int:
    return sum(message.role is Role.ASSISTANT for message in request.messages)


def asks_for(name: str, **arguments: str) -> ModelReply:
    call = ToolRequest(id="c1", name=name, arguments=json.dumps(arguments))
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=None, tool_requests=(call,))


def test_an_edit_that_a_step_waits_for_before_it_goes_on_does_not_make_it_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = new_project(tmp_path, monkeypatch)
    project.write("a.txt", "one")
    editing = trio.Event()
    write = WorkspaceFiles.write

    async def write_when_read_waits(files: WorkspaceFiles, path: str, old: bytes | None, new: bytes | None) -> None:
        editing.set()
        await wait_all_tasks_blocked()
        await write(files, path, old, new)

    def cut_off(request: ModelRequest) -> ModelReply:
        if prompt_of(request) != "Read" or turns_of(request):
            raise ProviderError("down")
        return asks_for("glob", pattern="*.md")

    async def answer(request: ModelRequest) -> ModelReply | str:
        if prompt_of(request) == "Quick":
            await editing.wait()  # bounded by the time limit of its step
        if prompt_of(request) == "Edit" and not turns_of(request):
            return asks_for("write_file", path="a.txt", content="two")
        return f"{turns_of(request)} {b''.join(request.contents.values()).decode()}"

    grants = {"allow": ("write",)}
    project.run(SOURCE, cut_off, flags=grants)
    monkeypatch.setattr(WorkspaceFiles, "write", write_when_read_waits)
    assert project.result(SOURCE, answer, flags=grants, concurrency=2) == ["1 ", "0 ", "1 one"]
    assert project.result(SOURCE, lambda _request: pytest.fail("asked"), flags=grants) == ["1 ", "0 ", "1 one"]
    assert (project.folder / "a.txt").read_text() == "two"
