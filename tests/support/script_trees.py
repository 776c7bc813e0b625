"""Scripts as trees of calls, and a host that plays them as the sandbox would: same frames, same order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import trio

from tests.support.dict_project import Op
from vibe_workflows.engine.model import JSON
from vibe_workflows.engine.ports import ScriptCalls, ScriptStart
from vibe_workflows.sandbox.ending import Ended
from vibe_workflows.sandbox.handover import HandOver


def digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """One agent step, with what it does in each of its turns. `takes`: its prompt holds what came before it."""

    name: str
    turns: tuple[tuple[Op, ...], ...]
    takes: bool = False


@dataclass(frozen=True, slots=True)
class Several:
    """Steps one after another, or at the same time."""

    together: bool
    parts: tuple[Tree, ...]


Tree: TypeAlias = Call | Several


def ops_of(tree: Tree) -> Iterator[Op]:
    for call in calls_of(tree):
        for turn in call.turns:
            yield from turn


def calls_of(tree: Tree) -> Iterator[Call]:
    if isinstance(tree, Call):
        yield tree
    else:
        for part in tree.parts:
            yield from calls_of(part)


_Steps: TypeAlias = Generator["Call | Several", str, str]


def _strand(tree: Tree, before: str) -> _Steps:
    """Yields what it waits for: a call with its prompt's `before`, or parts that run side by side."""
    if isinstance(tree, Call):
        return (yield tree)
    if tree.together:
        return (yield tree)
    for part in tree.parts:
        before = yield from _strand(part, before)
    return before


@dataclass(eq=False)
class _Strand:
    steps: _Steps
    scope: int
    parent: _Strand | None
    before: str
    #: Calls that it was answered, or that the strands that it waited for were.
    past: frozenset[int]
    branches: list[_Strand] = field(default_factory=list)
    fan_out: int = 0
    result: str | None = None


class Play:
    """One pass of a script: implements `ports.AnswerSink`, and `begin` and `take` drive it."""

    def __init__(self, tree: Tree, calls: ScriptCalls) -> None:
        self._calls = calls
        self._hand_over = HandOver()
        self._frames: list[tuple[Any, ...]] = []
        self._arrived = trio.Event()
        self._waiting: dict[int, _Strand] = {}
        self._last_call = 0
        self._last_scope = 0
        self._busy = True
        self.before: dict[int, frozenset[int]] = {}  # the calls that were answered before each, in its branch
        self._root = _Strand(_strand(tree, ""), 0, None, "", frozenset())

    async def run(self) -> str:
        self._advance(self._root, None)
        while self._root.result is None:
            if not self._frames:
                if self._busy:
                    self._busy = False
                    self._calls.idle(self._hand_over.taken)
                await self._frame_arrived()
            kind, *rest = self._frames.pop(0)
            if kind == "go":
                self._go(*rest)
            elif kind == "answer":
                self._deliver(*rest)
        return self._root.result

    async def _frame_arrived(self) -> None:
        while not self._frames:
            self._arrived = trio.Event()
            await self._arrived.wait()

    # ------------------------------------------------------------ the way back

    def answer(self, call: int, value: bytes, *, order: int | None, **_: Any) -> None:
        self._told(call, json.loads(value), order)

    def fault(self, call: int, fault_type: str, message: str, kind: str, fields: Mapping[str, JSON], **_: Any) -> None:
        self._told(call, "HOLE", None)

    def _told(self, call: int, value: str, order: int | None) -> None:
        if order is None:
            self._frames.append(("answer", call, value))
        else:
            self._frames.append(("held", None))
            self._hand_over.hold(order, {"call": call, "value": value})
        self._arrived.set()

    def go(self, calls: int) -> None:
        self._frames.append(("go", calls))
        self._arrived.set()

    def _go(self, looked_up: int) -> None:
        while self._last_call == looked_up and self._root.result is None:
            held = self._hand_over.take()
            if held is None:
                return
            self._busy = True
            self._deliver(held["call"], held["value"])

    def _deliver(self, call: int, value: str) -> None:
        strand = self._waiting.pop(call)
        self._busy = True
        strand.past |= {call}
        self._advance(strand, value)

    # ------------------------------------------------------------ strands

    def _advance(self, strand: _Strand, value: str | None) -> None:
        try:
            waited = next(strand.steps) if value is None else strand.steps.send(value)
        except StopIteration as stop:
            strand.result = stop.value
            if strand.parent is not None:
                self._join(strand.parent)
            return
        if value is not None:
            strand.before = value
        if isinstance(waited, Call):
            self._call(strand, waited)
        else:
            self._fan_out(strand, waited)

    def _call(self, strand: _Strand, call: Call) -> None:
        self._last_call += 1
        self._waiting[self._last_call] = strand
        self.before[self._last_call] = strand.past
        prompt = {"name": call.name, "turns": call.turns, "before": strand.before if call.takes else None}
        params = json.dumps({"prompt": json.dumps(prompt), "tools": ["read", "write"]}).encode()
        self._calls.call(self._last_call, strand.scope, 1, 1, "agent", params)

    def _fan_out(self, strand: _Strand, several: Several) -> None:
        strand.fan_out = self._last_scope + 1
        count = len(several.parts)
        self._last_scope += 1 + count
        self._calls.open(strand.fan_out, strand.scope, "parallel", count, None, None, None, 1)
        strand.branches = [
            _Strand(_strand(part, strand.before), strand.fan_out + 1 + number, strand, strand.before, strand.past)
            for number, part in enumerate(several.parts)
        ]
        for branch in list(strand.branches):
            self._advance(branch, None)

    def _join(self, strand: _Strand) -> None:
        results = [branch.result for branch in strand.branches]
        if None in results:
            return
        self._calls.close(strand.fan_out)
        strand.past = strand.past.union(*(branch.past for branch in strand.branches))
        strand.branches = []
        self._advance(strand, digest(*results))


class TreeHost:
    """A `ScriptHost`. `play` is its latest pass."""

    level = "strong"

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.play: Play | None = None

    async def run(self, start: ScriptStart, calls: ScriptCalls) -> Ended:
        self.play = Play(self._tree, calls)
        calls.started(self.play)
        result = await self.play.run()
        return Ended(outcome="returned", value=json.dumps(result).encode())
