"""Steps in worktrees and in the project, in scripts of random shape: no answer is asked for twice, and none is stale.

Before a step edits a file it reads it, so that its last turn holds all that it has seen, as the model sees it. So no
two runs may ask for the same last turn, whatever happens in between. And where the order of steps cannot matter, a run
after `vibe undo` comes to what a run from scratch comes to on the same files.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import USAGE
from tests.support.zygotes import zygote as zygote
from vibe_workflows.cli import assembly, wiring
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, RunStatus, StepStatus, ToolRequest
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.sandbox.launcher import Zygote

CASES = int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 125

FLOW = ".vibe/workflows/flow.py"
LINES = "".join(f"line {number}\n" for number in range(8))
#: What steps of one group share, and what is each one's own.
SHARED, OWN = "shared.txt", "{}.txt"


@dataclass(frozen=True)
class Step:
    """`deeds`: pairs of a turn's kind and a number."""

    deeds: tuple[tuple[str, int], ...]
    isolated: bool = True

    @property
    def turns(self) -> list[tuple[str, int]]:
        return [turn for deed in self.deeds for turn in (("read", 0), deed)]


@dataclass(frozen=True)
class Group:
    """Steps at the same time. If they `meet`, all edit one file, each in a worktree of its own.

    In the project, edits of several steps in one file fall into each other, and are made again together or not at all.
    """

    steps: tuple[Step, ...]
    meet: bool = False

    def is_isolated(self, step: Step) -> bool:
        return step.isolated or (self.meet and len(self.steps) > 1)


kinds = st.sampled_from(["read", "edit", "edit", "write", "list", "grep", "remove"])
step = st.builds(Step, st.lists(st.tuples(kinds, st.integers(0, 7)), min_size=1, max_size=3).map(tuple), st.booleans())
groups = st.builds(Group, st.lists(step, min_size=1, max_size=3).map(tuple), st.booleans())
scripts = st.lists(groups, min_size=1, max_size=3).map(tuple)
happenings = st.lists(st.sampled_from(["nothing", "edit", "undo", "kill", "unread", "prompt"]), max_size=3)


def script_of(script: tuple[Group, ...], salt: str) -> str:
    lines = ["async def main(args):", "    came = []"]
    for number, group in enumerate(script):
        calls = []
        for place, each in enumerate(group.steps):
            path = SHARED if group.meet else OWN.format(place)
            prompt = {"name": f"{number}.{place}{salt}", "turns": each.turns, "path": path}
            options = "tools=['read', 'write'], retries=0" + (
                ", isolation='worktree'" if group.is_isolated(each) else ""
            )
            calls.append(f"agent({json.dumps(prompt)!r} + repr(came[-1:]), {options})")
        lines.append(f"    came += await parallel([{', '.join(calls)}], on_error='return')")
        lines.append("    came = [each.kind if isinstance(each, AgentError) else each for each in came]")
    return "\n".join([*lines, "    return came"]) + "\n"


@dataclass
class Model:
    """Remembers what it answered to in the end; its answers, and what it writes, are hashes of what it is asked."""

    kill_at: int | None = None
    calls: int = 0
    answered: list[str] = field(default_factory=list)

    async def __call__(self, request: ModelRequest) -> Scripted:
        self.calls += 1
        if self.kill_at is not None and self.calls > self.kill_at:
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        prompt = next(message.text for message in request.messages if message.role is Role.USER)
        shown = [message.text for message in request.messages if message.role is Role.TOOL]
        state = json.dumps([prompt, shown])
        digest = hashlib.blake2b(state.encode(), digest_size=4).hexdigest()
        asked, _ = json.JSONDecoder().raw_decode(prompt)
        if len(shown) == len(asked["turns"]):
            self.answered.append(state)
            return ModelReply(text=digest, finish=FinishReason.STOP, usage=USAGE)
        kind, number = asked["turns"][len(shown)]
        name, arguments = deed_of(kind, number, asked["path"], digest)
        call = ToolRequest(id=f"c{len(shown)}", name=name, arguments=json.dumps(arguments))
        return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=(call,))


def deed_of(kind: str, number: int, path: str, digest: str) -> tuple[str, dict[str, Any]]:
    match kind:
        case "edit":
            return "edit_file", {"path": path, "old": f"line {number}\n", "new": f"{digest}\n"}
        case "write":
            return "write_file", {"path": path, "content": LINES.replace(f"line {number}", digest)}
        case "list":
            return "list_files", {"path": "sub"}
        case "grep":
            return "grep", {"pattern": f"line {number}", "path": path}
        case "remove":
            return "edit_file", {"path": path, "old": f"line {number}\n", "new": ""}
        case _:
            return "read_file", {"path": path}


@dataclass
class World:
    zygote: Zygote
    folder: Path
    script: tuple[Group, ...]
    salt: str = ""
    paid: set[str] = field(default_factory=set)
    rests: bool = False  # since a run to whose end every step came, nothing has changed that counts

    def begin(self) -> None:
        for path in (SHARED, *(OWN.format(place) for place in range(3)), "sub/x.txt"):
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(LINES)
        (self.folder / ".vibe/workflows").mkdir(parents=True)

    def run(self, kill_at: int | None = None) -> tuple[RunReport, Model]:
        (self.folder / FLOW).write_text(script_of(self.script, self.salt))
        model = Model(kill_at)
        config = wiring.load({"model": "scripted", "max_usd": "none", "concurrency": "16", "allow": ("write",)})
        report = assembly.run_workflow(self.zygote, config, RunRequest(target=FLOW), [], ScriptedBackend(model))
        return report, model

    def check(self, kill_at: int | None = None) -> RunReport:
        """Run, and see that no answer was asked for that was paid for before."""
        report, model = self.run(kill_at)
        twice = self.paid.intersection(model.answered)
        assert not twice, f"asked twice: {sorted(twice)}"
        assert not (self.rests and model.calls), "a rerun of what nobody changed is free"
        self.paid.update(model.answered)
        failed = self._failed(report)
        if failed:  # it is tried again, and so is what comes after it
            self.paid = set()
        self.rests = report.run.status is RunStatus.COMPLETED and not failed
        return report

    def _failed(self, report: RunReport) -> bool:
        with closing(open_reader(self.folder / ".vibe/vibe.db")) as reader:
            return any(each.status is StepStatus.FAILED for each in reader.steps_of_run(report.run.id))

    def happen(self, what: str, dice: random.Random) -> None:
        self.rests &= what in ("nothing", "unread")
        match what:
            case "edit":
                path = self.folder / dice.choice([SHARED, OWN.format(0), OWN.format(1)])
                path.write_text(path.read_text() + f"by hand {dice.random()}\n")
            case "unread":
                (self.folder / "unread.md").write_text(str(dice.random()))
            case "undo":
                self.undo()
            case "prompt":
                self.salt += "'"
            case "kill":
                self.check(kill_at=dice.randrange(8))
            case _:
                pass

    def undo(self) -> None:
        if (self.folder / ".vibe/vibe.db").exists():
            wiring.undo(wiring.load({"model": "scripted"}), lambda reader: reader.runs(1)[0], dry_run=False)

    def files(self) -> dict[str, str]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_text()
            for path in self.folder.rglob("*")
            if path.is_file() and ".vibe" not in path.parts
        }


@contextmanager
def at_home(project: Path, home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("HOME", str(home))
        for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.delenv(name, raising=False)
        yield


def tell(zygote: Zygote, script: tuple[Group, ...], story: list[str], seed: int) -> None:
    dice = random.Random(seed)
    with memory_folder() as home:
        world = World(zygote, home / "project", script)
        world.folder.mkdir()
        with at_home(world.folder, home):
            world.begin()
            world.check()
            for what in ("nothing", *story):
                world.happen(what, dice)
                world.check()
            if not any(group.meet and len(group.steps) > 1 for group in script):
                world.undo()
                check_from_scratch(zygote, world, home)


def check_from_scratch(zygote: Zygote, world: World, home: Path) -> None:
    files = world.files()
    report = world.check()
    other = World(zygote, home / "other", world.script, world.salt)
    (other.folder / ".vibe/workflows").mkdir(parents=True)
    for path, text in files.items():
        (other.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (other.folder / path).write_text(text)
    with at_home(other.folder, home):
        fresh, _ = other.run()
    assert (report.result, world.files()) == (fresh.result, other.files())


def test_nobody_is_asked_the_same_twice_and_nothing_is_stale(zygote: Zygote) -> None:
    @settings(max_examples=CASES)
    @given(scripts, happenings, st.integers(0, 2**16), st.random_module())
    def stories_hold(script: tuple[Group, ...], story: list[str], seed: int, _order: object) -> None:
        tell(zygote, script, story, seed)

    both = tuple(Step((("edit", number), ("read", 0))) for number in (1, 6))
    meeting = (Group(both, meet=True), Group((Step((("grep", 3), ("edit", 3)), isolated=False),), meet=True))
    stories_hold = example(meeting, ["kill", "undo", "edit"], 0, None)(stories_hold)
    stories_hold()
