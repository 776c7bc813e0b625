"""Whatever a child sends as `files`, the engine answers with a typed error or a step, and goes on."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.checking import PlainChecker
from tests.support.sample_files import PNG
from vibe_workflows.engine.agents.tools.registry import ToolBox, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.errors import ExitCode, SandboxError
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import JSON, RunId, RunStatus
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.ports import AnswerSink, Limits, ScriptCalls, ScriptStart
from vibe_workflows.engine.requests import StepDefaults, StepRequests
from vibe_workflows.engine.run import RunPlan, RunServices, Stop, execute
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store
from vibe_workflows.sandbox.ending import Ended

SEED = int(os.environ.get("VIBE_FUZZ_SEED", "20261129"))
#: What a script can be told about the files that it names.
FAULTS = {"ToolDenied", "SetupError", "Conflict"}

_CHARS = "ab./\\\0 \n\t~*?[]{}$%\u202e\u00e9\U0001f600\x1b\x7f"
_PATHS = (
    *("a.txt", "./a.txt", "a.png", "folder", "folder/b.txt", "big.bin", "link", "out", "pipe", "missing"),
    *(
        ".env",
        ".git/config",
        ".vibe/vibe.db",
        "..",
        "../..",
        "/",
        "/etc/passwd",
        "//",
        ".",
        "",
        " ",
        "a.txt/",
        "a.txt/x",
    ),
    *("a" * 255, "a" * 256, "a/" * 2_047, "a" * 4_096, "a" * 4_097, "/dev/zero", "/proc/self/mem", "~/.ssh/id_rsa"),
)


@dataclass
class Answers:
    """The way back into the child: what it was told, by call."""

    values: dict[int, bytes] = field(default_factory=dict)
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)
    expected: int = 0
    all_told: trio.Event = field(default_factory=trio.Event)

    def answer(self, call: int, value: bytes, **_: Any) -> None:
        self.values[call] = value
        self._told()

    def fault(self, call: int, fault_type: str, message: str, kind: str, fields: Mapping[str, JSON], **_: Any) -> None:
        self.faults[call] = (fault_type, message)
        self._told()

    def go(self, calls: int) -> None:
        pass

    def _told(self) -> None:
        if len(self.values) + len(self.faults) == self.expected:
            self.all_told.set()


class HostileHost:
    """A child that sends all of `params` at once and waits for its answers."""

    level = "strong"

    def __init__(self, params: list[bytes]) -> None:
        self._params = params
        self.answers = Answers()
        self.refused: dict[int, str] = {}  # calls for which a real host kills the child

    async def run(self, start: ScriptStart, calls: ScriptCalls) -> Ended:
        sink: AnswerSink = self.answers
        calls.started(sink)
        for number, params in enumerate(self._params, 1):
            try:
                calls.call(number, 0, 1, 0, "agent", params)
            except SandboxError as error:
                self.refused[number] = error.message
        self.answers.expected = len(self._params) - len(self.refused)
        calls.idle(0)
        with trio.fail_after(60):
            await self.answers.all_told.wait()
        return Ended(outcome="returned", value=b"null")


def _path(dice: random.Random) -> str:
    if dice.random() < 0.6:
        return dice.choice(_PATHS)
    return "".join(dice.choice(_CHARS) for _ in range(dice.randrange(1, 30)))


def _anything(dice: random.Random, depth: int = 0) -> Any:
    values: list[Any] = [None, True, 0, -1, 1.5, 1 << 70, "", "a.txt", [], {}, {"path": "a.txt"}]
    if depth < 3 and dice.random() < 0.4:
        return [_anything(dice, depth + 1) for _ in range(dice.randrange(4))]
    return dice.choice(values)


def _files(dice: random.Random) -> Any:
    match dice.randrange(6):
        case 0:
            return _anything(dice)
        case 1:
            return [_path(dice), _anything(dice)]
        case 2:
            return [_path(dice)] * dice.choice((1, 2, 99, 100, 101))
        case _:
            return [_path(dice) for _ in range(dice.randrange(5))]


def _params(count: int) -> list[bytes]:
    dice = random.Random(SEED)
    made = [json.dumps({"prompt": f"step {n}", "files": _files(dice)}).encode() for n in range(count)]
    made.append(json.dumps({"prompt": "many", "files": [f"{n}.txt" for n in range(100_000)]}).encode())
    made.append(json.dumps({"prompt": "long", "files": ["x" * 10_000_000]}).encode())
    # As no encoder writes them: halves of surrogate pairs, in escapes.
    made += [b'{"prompt": "x", "files": ["\\u%s.txt"]}' % half for half in (b"d800", b"dc80", b"dfff")]
    return made


def _fill(root: Path) -> None:
    for name, content in {"a.txt": b"text", "a.png": PNG, "folder/b.txt": b"b", ".env": b"A=1"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    with (root / "big.bin").open("wb") as big:
        big.truncate(1 << 40)
    (root / "link").symlink_to("a.txt")
    (root / "out").symlink_to("/etc/hostname")
    os.mkfifo(root / "pipe")


async def _run(root: Path, host: HostileHost) -> RunReport:
    workspace = Workspace(root, PlainChecker())
    tools = read_tools(workspace)
    async with (
        open_island() as island,
        open_store(root / ".vibe/vibe.db", island, origins=StoreOrigins(root.parent / "state")) as store,
    ):
        services = RunServices(
            store=store,
            host=host,
            checker=PlainChecker(),
            backend=ScriptedBackend(lambda _request: "ok"),
            requests=lambda defaults, horizons: StepRequests(
                tools=ToolBox(tools), resolve_model=lambda **_: "m", defaults=defaults, horizons=horizons
            ),
            replayer=Replayer(tools),
            attachments=Attachments(workspace, lambda: 0.0),
            own=lambda _run: nullcontext(),
            wall_clock=lambda: 1_000.0,
            jitter=lambda: 0.0,
            new_run_id=lambda: RunId("fuzz"),
        )
        plan = RunPlan(
            workflow="flow",
            path="/flow.py",
            filename="flow.py",
            source="",
            args=b"{}",
            model="m",
            offline=False,
            budget=Limits(),
            max_microusd=None,
            concurrency=16,
            defaults=StepDefaults(max_tokens=100, max_turns=3, timeout_s=60.0, retries=0),
        )
        return await execute(plan, services, [], Stop())


def test_files_of_a_hostile_child_end_typed(tmp_path: Path) -> None:
    print(f"VIBE_FUZZ_SEED={SEED}")
    root = tmp_path / "project"
    root.mkdir()
    _fill(root)
    params = _params(1_500)
    host = HostileHost(params)
    report = trio.run(_run, root, host)
    assert (report.run.status, report.exit_code) == (RunStatus.COMPLETED, ExitCode.DONE), report.error
    told = host.answers
    assert {fault for fault, _ in told.faults.values()} <= FAULTS
    for number, (_, message) in told.faults.items():
        message.encode()
        assert len(message) < 10_000
        assert str(root) not in message, params[number - 1][:200]
    for number in told.values:
        files = json.loads(params[number - 1])["files"]
        named = {os.path.normpath(path) for path in files or ()}
        assert named <= {"a.txt", "a.png", "folder/b.txt", "link"}, files
    # All three ends were reached, many times.
    assert min(len(told.values), len(told.faults), len(host.refused)) > 100


@pytest.mark.parametrize("files", ["[]", "null", '["a.txt"]'])
def test_an_honest_child_is_served(tmp_path: Path, files: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    _fill(root)
    host = HostileHost([b'{"prompt": "x", "files": %s}' % files.encode()])
    trio.run(_run, root, host)
    assert host.answers.values == {1: b'"ok"'}
