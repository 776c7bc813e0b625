"""Workflows of random shape over a small project, the product that runs them, and an oracle that knows what that takes.

The model is deterministic: its answer is a hash of all that it saw. So a stale answer anywhere shows in the result, and
the oracle can say, from the files as they lie, what each step would be told and how many model calls a run may make.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import trio

from tests.support.checking import PlainChecker
from tests.support.commands import PlainCommands
from vibe_workflows.cli import assembly, wiring
from vibe_workflows.engine.agents.tools.registry import ToolBox, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.dry_run import DryRun
from vibe_workflows.engine.errors import ProviderError, ToolDenied, ToolFailed
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import (
    FinishReason,
    ModelReply,
    ModelRequest,
    Role,
    RunStatus,
    ToolRequest,
    Usage,
)
from vibe_workflows.engine.ports import EventSink
from vibe_workflows.sandbox.launcher import Zygote

#: Where no tool looks.
FLOW = ".vibe/workflows/flow.py"
PATHS = ("a.py", "b.py", "n.md", "sub/c.py")
#: What a file may hold; None: there is no such file.
CONTENTS = (None, None, "one\ntwo\nthree\n", "one\n2\nthree\n", "one\ntwo\n3\n", "needle\n")

#: A look of a step: a tool and its arguments.
OPS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("read_file", {"path": path}) for path in PATHS),
    ("read_file", {"path": "a.py", "start": 1, "end": 2}),
    ("read_file", {"path": "b.py", "start": 2, "end": 2}),
    ("glob", {"pattern": "**/*.py"}),
    ("grep", {"pattern": "needle|2"}),
    ("grep", {"pattern": "t", "path": "sub"}),
    ("list_files", {"path": "."}),
    ("list_files", {"path": "sub"}),
    ("read_file", {"path": ".env"}),
)
USAGE = Usage(input_tokens=10, output_tokens=2, cost_microusd=1)


@dataclass(frozen=True, slots=True)
class Call:
    """One agent step. `takes`: its prompt holds what came before it."""

    name: str
    looks: tuple[int, ...]  # into OPS
    takes: bool


@dataclass(frozen=True, slots=True)
class Several:
    """Steps one after another, or at the same time."""

    together: bool
    parts: tuple[Tree, ...]


Tree: TypeAlias = Call | Several


@dataclass(frozen=True, slots=True)
class Asked:
    """A model call as the model sees it: the prompt, and what its looks have shown so far."""

    prompt: str
    shown: tuple[str, ...]


def calls_of(tree: Tree) -> Iterator[Call]:
    if isinstance(tree, Call):
        yield tree
    else:
        for part in tree.parts:
            yield from calls_of(part)


def prompt_of(call: Call, before: str) -> str:
    return json.dumps({"name": call.name, "looks": call.looks, "before": before if call.takes else ""})


def answer_to(asked: Asked) -> str:
    return hashlib.blake2b(repr(asked).encode(), digest_size=6).hexdigest()


def source_of(tree: Tree, dressing: str) -> str:
    """The workflow of a tree. `dressing` changes labels, phases and comments, and nothing that counts."""
    lines = [f"# {dressing}"]
    count = 0

    def emit(node: Tree) -> str:
        nonlocal count
        names = [] if isinstance(node, Call) else [emit(part) for part in node.parts]
        count += 1
        name = f"part_{count}"
        lines.append(f"async def {name}(before):")
        if isinstance(node, Call):
            prompt = {"name": node.name, "looks": node.looks}
            taken = "before" if node.takes else '""'
            lines.append(f'    prompt = json.dumps({prompt!r} | {{"before": {taken}}})')
            lines.append(f'    return await agent(prompt, tools=["read"], retries=0, label="{dressing}{count}")')
        elif node.together:
            lines.append(f"    came = await parallel(part(before) for part in [{', '.join(names)}])")
            lines.append('    return "|".join(str(each) for each in came)')
        else:
            lines.append(f"    for part in [{', '.join(names)}]:")
            lines.append("        before = await part(before)")
            lines.append("    return before")
        return name

    root = emit(tree)
    lines += ["async def main(args):", f'    phase("{dressing}")', f'    return await {root}("")']
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- the oracle


class _Fails(Exception):
    pass


@dataclass
class Expected:
    """A run from scratch on the files as they lie: its result (None: the workflow fails) and its steps."""

    result: str | None
    steps: list[Asked]  # each with all that it is shown in the end
    failing: list[Asked]
    ambiguous: bool = False  # which of some equal steps fails, and which are answered, depends on their places


@dataclass
class Oracle:
    """What the store must hold by now: answers, and steps that were cut off with their finished turns."""

    project: Path
    answered: Counter[Asked] = field(default_factory=Counter)
    cut_off: list[tuple[Asked, int]] = field(default_factory=list)  # what it was shown, and its finished turns

    def expect(self, tree: Tree, failing: frozenset[str]) -> Expected:
        shown = self._shown(tree)
        expected = Expected(result=None, steps=[], failing=[])

        def go(node: Tree, before: str) -> str:
            if isinstance(node, Call):
                step = Asked(prompt_of(node, before), tuple(shown[look] for look in node.looks))
                if node.name in failing and not self.answered[step] > expected.steps.count(step):
                    expected.failing.append(step)
                    raise _Fails
                expected.steps.append(step)
                return answer_to(step)
            if not node.together:
                for part in node.parts:
                    before = go(part, before)
                return before
            came: list[str | None] = []
            for part in node.parts:
                try:
                    came.append(go(part, before))
                except _Fails:
                    came.append(None)
            if all(each is None for each in came):
                raise _Fails
            return "|".join(str(each) for each in came)

        try:
            expected.result = go(tree, "")
        except _Fails:
            expected.result = None
        expected.ambiguous = any(self.answered[step] for step in expected.failing)
        return expected

    def live_calls(self, expected: Expected) -> tuple[int, int]:
        """The fewest and the most model calls of the run; they differ where equal steps were cut off apart."""
        fewest = most = 0
        for step, needed in Counter([*expected.steps, *expected.failing]).items():
            fails = expected.failing.count(step)
            live = needed - min(needed - fails, self.answered[step])
            made = sorted(turns for other, turns in self.cut_off if self._goes_on(other, turns, step))
            whole = len(step.shown) + 1
            fewest += sum(whole - turns for turns in _filled(made[::-1], live))
            most += sum(whole - turns for turns in _filled(made, live))
        return fewest, most

    def note(self, calls: Counter[Asked]) -> None:
        """Take in the model calls that were answered in a run: each finished one turn of a step."""
        for asked in sorted(calls, key=lambda each: len(each.shown)):
            for _ in range(calls[asked]):
                self._finish_turn(asked)

    def _finish_turn(self, asked: Asked) -> None:
        turns = len(asked.shown)
        looks = json.loads(asked.prompt)["looks"]
        for place, (other, made) in enumerate(self.cut_off):
            if made == turns and other.prompt == asked.prompt and other.shown == asked.shown[:-1] and turns:
                del self.cut_off[place]
                break
        if turns == len(looks):
            self.answered[asked] += 1
        else:
            self.cut_off.append((asked, turns + 1))

    @staticmethod
    def _goes_on(other: Asked, turns: int, step: Asked) -> bool:
        """What it was shown must hold, but for its last look, which is taken again."""
        return other.prompt == step.prompt and other.shown == step.shown[: turns - 1]

    def _shown(self, tree: Tree) -> dict[int, str]:
        tools = ToolBox(read_tools(Workspace(self.project, PlainChecker()), PlainCommands(self.project))).by_name

        async def look(number: int) -> str:
            name, arguments = OPS[number]
            try:
                return (await tools[name].run(arguments)).text
            except ToolFailed as error:
                return f"Error: {error.message}"
            except ToolDenied as error:
                return f"Denied: {error.message}"

        async def all_looks() -> dict[int, str]:
            return {number: await look(number) for number in {each for call in calls_of(tree) for each in call.looks}}

        return trio.run(all_looks)


def _filled(turns: list[int], count: int) -> list[int]:
    """The finished turns of `count` steps that take up what there is."""
    return [*turns[:count], *[0] * (count - len(turns))]


# ---------------------------------------------------------------- the product


@dataclass
class Model:
    """Answers, fails for some names, interrupts the process at its `kill_at`-th call. `made` is what it answered."""

    failing: frozenset[str] = frozenset()
    kill_at: int | None = None
    made: Counter[Asked] = field(default_factory=Counter)
    called: int = 0

    async def __call__(self, request: ModelRequest) -> Scripted:
        self.called += 1
        if self.kill_at is not None and self.called >= self.kill_at:
            if self.called == self.kill_at:
                os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        asked = asked_by(request)
        if json.loads(asked.prompt)["name"] in self.failing and not looks_left(asked):
            return ProviderError("the provider is down")
        self.made[asked] += 1
        return reply_to(asked)


def asked_by(request: ModelRequest) -> Asked:
    prompt = next(message.text for message in request.messages if message.role is Role.USER)
    return Asked(prompt, tuple(message.text for message in request.messages if message.role is Role.TOOL))


def looks_left(asked: Asked) -> list[int]:
    looks: list[int] = json.loads(asked.prompt)["looks"]
    return looks[len(asked.shown) :]


def reply_to(asked: Asked) -> ModelReply:
    """The next look of the step, or its answer. Its text names all that the model saw, in every turn."""
    left = looks_left(asked)
    if not left:
        return ModelReply(text=answer_to(asked), finish=FinishReason.STOP, usage=USAGE)
    name, arguments = OPS[left[0]]
    call = ToolRequest(id=f"c{len(asked.shown)}", name=name, arguments=json.dumps(arguments))
    return ModelReply(text=answer_to(asked), finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=(call,))


def _nobody(_request: ModelRequest) -> Scripted:
    raise AssertionError("a dry run asked a model")


@dataclass
class World:
    """One project with its store, run by the product in this process."""

    zygote: Zygote
    folder: Path
    tree: Tree
    dressing: str = "plain"
    concurrency: int = 16
    oracle: Oracle = field(init=False)

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.folder)

    def write(self, path: str, content: str | None) -> None:
        place = self.folder / path
        if content is None:
            place.unlink(missing_ok=True)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)

    def dry_run(self, **wanted: Any) -> DryRun:
        self.write(FLOW, source_of(self.tree, self.dressing))
        request = RunRequest(target=FLOW, **wanted)
        return assembly.dry_run(self.zygote, wiring.load(self._flags()), request, [], ScriptedBackend(_nobody))

    def run(
        self,
        *,
        failing: frozenset[str] = frozenset(),
        kill_at: int | None = None,
        sinks: Sequence[EventSink] = (),
        **wanted: Any,
    ) -> Outcome:
        self.write(FLOW, source_of(self.tree, self.dressing))
        expected = self.oracle.expect(self.tree, failing)
        bounds = self.oracle.live_calls(expected)
        model = Model(failing=failing, kill_at=kill_at)
        settings = wiring.load(self._flags())
        request = RunRequest(target=FLOW, **wanted)
        report = assembly.run_workflow(self.zygote, settings, request, sinks, ScriptedBackend(model))
        killed = report.run.status is RunStatus.INTERRUPTED
        outcome = Outcome(report=report, expected=expected, bounds=bounds, model=model, killed=killed)
        self.oracle.note(model.made)
        return outcome

    def _flags(self) -> Mapping[str, object]:
        return {"model": "scripted", "max_usd": "none", "concurrency": str(self.concurrency)}


@dataclass(frozen=True, slots=True)
class Outcome:
    report: RunReport
    expected: Expected
    bounds: tuple[int, int]
    model: Model
    killed: bool

    def check(self) -> None:
        """Never a stale answer, never a needless call."""
        if self.killed or self.expected.ambiguous:
            return
        result = None if self.report.result is None else json.loads(self.report.result)
        assert result == self.expected.result, "a stale answer"
        fewest, most = self.bounds
        assert fewest <= self.model.called <= most, f"{self.model.called} model calls, where {self.bounds} were needed"
        run = self.report.run
        assert run.live_steps + run.stored_steps == len(self.expected.steps) + len(self.expected.failing)
