"""Races of random shape: a rerun of what nobody changed is free and ends as it ended, and no result is a stale one.

Which branch wins depends on the moment, so an oracle knows no single result: it knows all that a run from scratch could
come to on the files as they lie.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import (
    CONTENTS,
    FLOW,
    OPS,
    PATHS,
    Asked,
    Call,
    Model,
    Oracle,
    Several,
    answer_to,
    prompt_of,
)
from tests.support.zygotes import zygote as zygote
from vibe_workflows.cli import assembly, wiring
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import ModelRequest, RunStatus
from vibe_workflows.sandbox.launcher import Zygote

CASES = int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 50

#: Reads of files: they need no locked worker, which takes 20 ms to start.
LOOKS = [number for number, (tool, _) in enumerate(OPS) if tool == "read_file"]


@dataclass(frozen=True, slots=True)
class Together:
    """Branches of a `parallel`, or of a `race`; a picky one takes no result whose last digit is a letter."""

    parts: tuple[Tree, ...]
    race: bool = False
    picky: bool = False


@dataclass(frozen=True, slots=True)
class InTurn:
    parts: tuple[Tree, ...]


Tree: TypeAlias = Call | Together | InTurn

calls = st.builds(Call, st.sampled_from("PQRS"), st.lists(st.sampled_from(LOOKS), max_size=2).map(tuple), st.booleans())
trees = st.recursive(
    calls,
    lambda part: st.one_of(
        st.builds(Together, st.lists(part, min_size=2, max_size=3).map(tuple), st.sampled_from((True, True, False))),
        st.builds(Together, st.lists(part, min_size=1, max_size=3).map(tuple), st.just(True), st.just(True)),
        st.builds(InTurn, st.lists(part, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def calls_of(tree: Tree) -> Iterator[Call]:
    if isinstance(tree, Call):
        yield tree
    else:
        for part in tree.parts:
            yield from calls_of(part)


def source_of(tree: Tree) -> str:
    lines: list[str] = []

    def emit(node: Tree) -> str:
        names = [] if isinstance(node, Call) else [emit(part) for part in node.parts]
        name = f"part_{len(lines)}"
        lines.append(f"async def {name}(before):")
        if isinstance(node, Call):
            prompt = {"name": node.name, "looks": node.looks}
            taken = "before" if node.takes else '""'
            lines.append(f'    prompt = json.dumps({prompt!r} | {{"before": {taken}}})')
            lines.append('    return await agent(prompt, tools=["read"], retries=0)')
        elif isinstance(node, InTurn):
            lines.append(f"    for part in [{', '.join(names)}]:")
            lines.append("        before = await part(before)")
            lines.append("    return before")
        else:
            runners = f"[part(before) for part in [{', '.join(names)}]]"
            until = ", until=lambda said: said[-1].isdigit()" if node.picky else ""
            if node.race:
                lines.append(f"    return await race({runners}{until})")
            else:
                lines.append(f'    return "|".join(str(each) for each in await parallel({runners}))')
        return name

    root = emit(tree)
    return "\n".join([*lines, "async def main(args):", f'    return await {root}("")']) + "\n"


def outcomes(tree: Tree, shown: dict[int, str], before: str = "") -> set[str | None]:
    """All that it may come to; None is an error."""
    if isinstance(tree, Call):
        return {answer_to(Asked(prompt_of(tree, before), tuple(shown[look] for look in tree.looks)))}
    if isinstance(tree, InTurn):
        found: set[str | None] = {before}
        for part in tree.parts:
            found = {after for each in found for after in ({None} if each is None else outcomes(part, shown, each))}
        return found
    branches = [outcomes(part, shown, before) for part in tree.parts]
    if not tree.race:
        return {None if set(came) == {None} else "|".join(map(str, came)) for came in product(*branches)}
    wins = [{each for each in branch if each is not None and _wins(each, tree)} for branch in branches]
    lost: set[str | None] = {None} if all(branch - won for branch, won in zip(branches, wins, strict=True)) else set()
    return lost.union(*wins)


def _wins(result: str, race: Together) -> bool:
    return not race.picky or result[-1].isdigit()


@dataclass
class Racing(Model):
    """Each of its calls takes another number of turns of the scheduler, so that now one branch wins and now another."""

    dice: random.Random = field(default_factory=lambda: random.Random(0))

    async def __call__(self, request: ModelRequest) -> Scripted:
        for _ in range(self.dice.choice((0, 1, 5, 50))):
            await trio.lowlevel.checkpoint()
        return await super().__call__(request)


@dataclass
class Track:
    """One project in which races are run."""

    zygote: Zygote
    folder: Path
    seed: int
    tree: Tree

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def write(self, path: str, content: str | None) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            place.unlink(missing_ok=True)
        else:
            place.write_text(content)

    def run(self, kill_at: int | None = None) -> tuple[RunReport, Racing]:
        self.write(FLOW, source_of(self.tree))
        model = Racing(kill_at=kill_at, dice=random.Random(self.dice.random()))
        settings = wiring.load({"model": "scripted", "max_usd": "none"})
        backend = ScriptedBackend(model)
        report = assembly.run_workflow(self.zygote, settings, RunRequest(target=FLOW), [], backend)
        if report.run.status is not RunStatus.INTERRUPTED:
            possible = outcomes(self.tree, Oracle(self.folder)._shown(Several(True, tuple(calls_of(self.tree)))))
            assert result_of(report) in possible, "a stale answer, or a result that no race can have"
        return report, model

    def edit(self) -> None:
        kind = self.dice.choice(("nothing", "content", "prompt"))
        if kind == "content":
            self.write(self.dice.choice(PATHS), self.dice.choice(CONTENTS))
        elif kind == "prompt":
            one = self.dice.choice(list(calls_of(self.tree)))
            self.tree = _with(self.tree, one, Call(self.dice.choice("PQRSZ"), one.looks, one.takes))


def result_of(report: RunReport) -> str | None:
    if report.result is None:
        assert report.error is not None
        assert "won" in report.error.message
        return None
    found: str = json.loads(report.result)
    return found


def _with(tree: Tree, old: Call, new: Call) -> Tree:
    if isinstance(tree, Call):
        return new if tree == old else tree
    parts = tuple(_with(part, old, new) for part in tree.parts)
    return InTurn(parts) if isinstance(tree, InTurn) else Together(parts, tree.race, tree.picky)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def run_story(zygote: Zygote, tree: Tree, kill_at: int | None, seed: int) -> None:
    with memory_folder() as project, pytest.MonkeyPatch.context() as patch:
        (project / "vibe.yaml").write_text("")
        patch.chdir(project)
        track = Track(zygote, project, seed, tree)
        for path in PATHS:
            track.write(path, "one\ntwo\nthree\n")
        track.run(kill_at)
        track.edit()
        done, _ = track.run()
        again, model = track.run()
        assert result_of(again) == result_of(done)
        assert model.called == 0, "a rerun of what nobody changed is free: no loser starts"
        if result_of(done) is None:
            return
        track.tree = InTurn((track.tree, Call("N", (0,), True)))
        _, model = track.run()
        assert model.called == 2, "only what was added is asked"


def parts(*names: str) -> tuple[Call, ...]:
    return tuple(Call(name, (), False) for name in names)


#: Two in turn against one, in every order of finishing, and what the winner says goes on.
RUNNERS: tuple[Tree, ...] = (InTurn(parts("P", "Q")), *parts("R"), InTurn(parts("S", "P")))
IN_TURN = InTurn((Together(RUNNERS, True), Call("Q", (1,), True)))
INNER = Together((*parts("P"), Together(parts("Q", "R"), True)), True)
NESTED = Together((INNER, Together(parts("S", "P"))), True, True)
#: The winner asks twice for what a loser asks for once: that one has no answer of its own, and gets none of these.
LOSER = Together((Call("P", (), True),), True, True)
SAME_SPECS = Together((LOSER, InTurn((*parts("P", "P"), Call("R", (1,), True)))), True, True)


@settings(max_examples=CASES, deadline=None)
@given(trees, st.sampled_from((None, None, 1, 2, 3, 5)), st.integers(0, 2**16))
@example(IN_TURN, None, 1)
@example(IN_TURN, 2, 2)
@example(NESTED, None, 3)
@example(NESTED, 3, 4)
@example(SAME_SPECS, None, 3)
def test_a_race_is_decided_once_and_never_by_what_is_stale(
    zygote: Zygote, tree: Tree, kill_at: int | None, seed: int
) -> None:
    run_story(zygote, tree, kill_at, seed)
