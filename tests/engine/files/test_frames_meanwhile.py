"""What comes from a script while the files of stored answers are looked at waits, in its order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.playing_host import Answers, Looks, Play, execute_played
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.errors import GrantNeeded
from vibe_workflows.engine.model import JSON
from vibe_workflows.engine.ports import Footprint, ScriptCalls, Tool, ToolResult


class GatedLook:
    """Looks at files when `gate` opens."""

    group, observes = "read", True

    def __init__(self) -> None:
        self.gate = trio.Event()
        self._tool: Tool | None = None

    def around(self, tool: Tool) -> Tool:
        self._tool, self.spec = tool, tool.spec
        return self

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return None

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        assert self._tool is not None
        await self.gate.wait()
        return await self._tool.run(arguments)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in whose store there is an answer for step 1 with a file that has changed since."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").write_text("a")

    async def play(calls: ScriptCalls, answers: Answers) -> None:
        _call(calls, 1, ["a.txt"])
        calls.idle(0)
        await answers.count(1)

    assert _asked(root, play, run_id="first") == ["step 1"]
    (root / "a.txt").write_text("b")
    return root


def _call(calls: ScriptCalls, number: int, files: Sequence[str] = ()) -> None:
    calls.call(number, 0, 1, 0, "agent", json.dumps({"prompt": f"step {number}", "files": files}).encode())


def _asked(root: Path, play: Play, looks: Looks = lambda tool: tool, run_id: str = "played") -> list[str]:
    """What the model was asked, in order."""
    backend = ScriptedBackend(lambda _request: "ok")

    async def main() -> None:
        await execute_played(root, play, backend=backend, looks=looks, run_id=run_id, concurrency=1)

    trio.run(main)
    return [request.messages[-1].text for request in backend.requests]


def test_a_call_that_is_cancelled_while_its_files_are_looked_at_never_starts(root: Path) -> None:
    look = GatedLook()

    async def play(calls: ScriptCalls, answers: Answers) -> None:
        _call(calls, 1, ["a.txt"])
        _call(calls, 2, ["missing.txt"])
        _call(calls, 3)
        calls.idle(0)
        await trio.testing.wait_all_tasks_blocked()
        calls.cancel_call(1)
        calls.cancel_call(2)
        look.gate.set()
        await answers.count(1)
        assert (answers.values, answers.faults) == ({3: b'"ok"'}, {})

    assert _asked(root, play, look.around) == ["step 3"]


def test_calls_that_come_while_files_are_looked_at_start_after_those_before_them(root: Path) -> None:
    look = GatedLook()

    async def play(calls: ScriptCalls, answers: Answers) -> None:
        _call(calls, 1, ["a.txt"])
        calls.idle(0)
        await trio.testing.wait_all_tasks_blocked()
        _call(calls, 2)
        calls.idle(0)
        await trio.testing.wait_all_tasks_blocked()
        assert not answers.values
        look.gate.set()
        await answers.count(2)

    assert _asked(root, play, look.around) == ["step 1", "step 2"]


def test_the_engine_itself_refuses_a_plan_whose_requests_were_not_granted(root: Path) -> None:
    async def play(calls: ScriptCalls, answers: Answers) -> None:
        raise AssertionError("the script began")

    async def main() -> None:
        with pytest.raises(GrantNeeded, match="asks for write"):
            await execute_played(root, play, backend=ScriptedBackend(lambda _request: "ok"), permissions=("write",))

    trio.run(main)
