"""What comes from a script while its files are looked at waits, in its order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.checking import PlainChecker
from tests.support.playing_host import Answers, Play, execute_played
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments, Looked
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.errors import GrantNeeded
from vibe_workflows.engine.ports import ScriptCalls


class GatedAttachments(Attachments):
    """Looks at files when `gate` opens."""

    def __init__(self, root: Path) -> None:
        super().__init__(Workspace(root, PlainChecker()), lambda: 0.0)
        self.gate = trio.Event()

    async def look(self, wanted: Sequence[tuple[str, ...]]) -> list[Looked]:
        await self.gate.wait()
        return await super().look(wanted)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.txt").write_text("a")
    return root


def _call(calls: ScriptCalls, number: int, files: Sequence[str] = ()) -> None:
    calls.call(number, 0, 1, 0, "agent", json.dumps({"prompt": f"step {number}", "files": files}).encode())


def _asked(root: Path, play: Play, attachments: Attachments | None = None) -> list[str]:
    """What the model was asked, in order."""
    backend = ScriptedBackend(lambda _request: "ok")

    async def main() -> None:
        await execute_played(root, play, backend=backend, attachments=attachments, concurrency=1)

    trio.run(main)
    return [request.messages[-1].text for request in backend.requests]


def test_a_call_that_is_cancelled_while_its_files_are_looked_at_never_starts(root: Path) -> None:
    files = GatedAttachments(root)

    async def play(calls: ScriptCalls, answers: Answers) -> None:
        _call(calls, 1, ["a.txt"])
        _call(calls, 2, ["missing.txt"])
        _call(calls, 3)
        calls.idle(0)
        await trio.testing.wait_all_tasks_blocked()
        calls.cancel_call(1)
        calls.cancel_call(2)
        files.gate.set()
        await answers.count(1)
        assert (answers.values, answers.faults) == ({3: b'"ok"'}, {})

    assert _asked(root, play, files) == ["step 3"]


def test_calls_that_come_while_files_are_looked_at_start_after_those_before_them(root: Path) -> None:
    files = GatedAttachments(root)

    async def play(calls: ScriptCalls, answers: Answers) -> None:
        _call(calls, 1, ["a.txt"])
        calls.idle(0)
        await trio.testing.wait_all_tasks_blocked()
        _call(calls, 2)
        calls.idle(0)
        await trio.testing.wait_all_tasks_blocked()
        assert not answers.values
        files.gate.set()
        await answers.count(2)

    assert _asked(root, play, files) == ["step 1", "step 2"]


def test_the_engine_itself_refuses_a_plan_whose_requests_were_not_granted(root: Path) -> None:
    async def play(calls: ScriptCalls, answers: Answers) -> None:
        raise AssertionError("the script began")

    async def main() -> None:
        with pytest.raises(GrantNeeded, match="asks for write"):
            await execute_played(root, play, backend=ScriptedBackend(lambda _request: "ok"), permissions=("write",))

    trio.run(main)
