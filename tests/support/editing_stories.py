"""Stories of a project whose workflow edits files: what happens to it, run by run, and what has to hold after each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.commands import PlainCommands
from tests.support.editing_deeds import EDITS, LOOKS
from tests.support.editing_model import Files, files_in
from tests.support.editing_scripts import Agent, Leaf, Several, Tree, in_one_way, leaves_of, settles
from tests.support.editing_world import OTHER_FLOW, Outcome, World
from tests.support.explained import explain
from tests.support.explained_answers import check_nothing_needless, is_refused
from tests.support.memory_bench import memory_benches
from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import CONTENTS, PATHS
from tests.support.zygotes import zygote as zygote
from vibe_workflows.cli import assembly, worktrees
from vibe_workflows.engine.git import Differ
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.sandbox.launcher import Zygote

NAMES = "PQRS"
KINDS = ("content", "new", "delete", "unread", "revert", "on top", "undo", "prompt", "order", "more", "fewer", "dress")
RUNS = ("run", "kill", "die", "fail", "fresh", "accept", "other")
#: A file that no step reads by its name.
FREE = "elsewhere/free.txt"


@dataclass(frozen=True)
class Happening:
    """Something that happens between two runs."""

    kind: str
    seed: int


@dataclass(frozen=True)
class Write:
    """A certain edit of a certain file by hand."""

    path: str
    content: str | None
    kind: str = "content"


@dataclass(frozen=True)
class Rewrite:
    """The script is another one from now on."""

    tree: Tree
    kind: str = "script"


@dataclass(frozen=True)
class Go:
    """A run: to its end, interrupted at its `number`-th model call, or with a provider that refuses some steps."""

    kind: str = "run"
    number: int = 1


Held: TypeAlias = dict[str, str | None]
Event: TypeAlias = Happening | Write | Rewrite
Story: TypeAlias = list[tuple[list[Event], Go]]


def _reshaped(tree: Tree, dice: random.Random, kind: str) -> Tree:
    new = Agent("N", ((dice.choice(LOOKS),), (dice.choice(EDITS),))[dice.randrange(2) :])
    if not isinstance(tree, Several):
        return Several(dice.random() < 0.5, (tree, new)) if kind == "more" else tree
    inner = list(tree.parts)
    place = dice.randrange(len(inner))
    if dice.random() < 0.5 and isinstance(inner[place], Several):
        inner[place] = _reshaped(inner[place], dice, kind)
    elif kind == "order":
        dice.shuffle(inner)
    elif kind == "fewer" and len(inner) > 1:
        inner.pop(place)
    elif kind == "more":
        inner.insert(place, dice.choice([inner[place], new]))
    return Several(tree.together, tuple(inner))


def _renamed(tree: Tree, leaf: Leaf, name: str) -> Tree:
    if isinstance(tree, Several):
        return Several(tree.together, tuple(_renamed(part, leaf, name) for part in tree.parts))
    return replace(tree, name=name) if tree == leaf else tree


def apply(world: World, happening: Event) -> None:
    if isinstance(happening, Write):
        world.write(happening.path, happening.content)
        return
    if isinstance(happening, Rewrite):
        world.tree = happening.tree
        return
    dice = random.Random(happening.seed)
    match happening.kind:
        case "content" | "new" | "delete" | "unread" | "revert" | "on top":
            _edit_by_hand(world, happening.kind, dice)
        case "prompt":
            leaf = dice.choice([leaf for _, leaf in leaves_of(world.tree)])
            world.tree = _renamed(world.tree, leaf, dice.choice(NAMES + "Z"))
        case "undo":
            world.undo()
        case "dress":
            world.dressing = dice.choice(("plain", "other", "third"))
            world.concurrency = dice.choice((1, 2, 16))
        case _:
            world.tree = _reshaped(world.tree, dice, happening.kind)


def _edit_by_hand(world: World, kind: str, dice: random.Random) -> None:
    edited = world.edited()
    match kind:
        case "content":
            world.write(dice.choice(PATHS), dice.choice(CONTENTS[2:]))
        case "new":
            world.write(dice.choice(("new.py", "sub/new.py", "new.md")), dice.choice(CONTENTS[2:]))
        case "delete":
            world.write(dice.choice(sorted({*files_in(world.folder), "a.py"} - {".gitignore"})), None)
        case "unread":
            world.write(FREE, str(dice.random()))
        case "revert" if edited:
            world.write(*dice.choice(edited))
        case "on top" if edited:
            path, _ = dice.choice(edited)
            world.write(path, f"one\nby hand {dice.random()}\nthree\n")


def go(world: World, run: Go, tree: Tree) -> Outcome | None:
    """`tree` is what the other workflow of the project does. None: the process died."""
    outcome = _go(replace(world, tree=tree, flow=OTHER_FLOW) if run.kind == "other" else world, run)
    if outcome is not None and not outcome.killed and not is_refused(outcome):
        check(world, outcome)
    return outcome


def _go(world: World, run: Go) -> Outcome | None:
    match run.kind:
        case "kill":
            return world.run(kill_at=run.number)
        case "die":
            return world.run(die_at=1 + run.number // 2, die_late=bool(run.number % 2))
        case "fail":
            return world.run(failing=frozenset(NAMES[: 1 + run.number % 2]))
        case "fresh":
            return world.run(fresh=True)
        case "accept":
            return world.run(accept=True)
        case _:
            return world.run()


def check(world: World, outcome: Outcome) -> None:
    assert outcome.report.run.status in (RunStatus.COMPLETED, RunStatus.FAILED), outcome.report
    if outcome.report.run.status is RunStatus.COMPLETED:
        # One that failed has not come to all of its steps: whether their edits count is open.
        explain(world, outcome)
        check_nothing_needless(world, outcome)


def failed(world: World, outcome: Outcome) -> bool:
    """Whether a step of the run did: it is tried again, on the files as they lie."""
    statuses = world.rows("SELECT 1 FROM deliveries WHERE run_id = ? AND status = 'failed'", outcome.report.run.id)
    return bool(statuses) or outcome.report.run.status is not RunStatus.COMPLETED


def tell(zygote: Zygote, tree: Tree, held: Held, story: Story, seen: Counter[tuple[str, str]]) -> int:
    """Play a story in a fresh project; `seen` counts what came of each kind of happening.

    Gives how many model calls the whole of it took.
    """
    with a_project(zygote, tree, held) as world:
        for before, run in story:
            for happening in before:
                apply(world, happening)
            outcome = go(world, run, tree)
            if outcome is None:
                seen[run.kind, "miss"] += 1
                continue
            for kind in {run.kind, *(each.kind for each in before)}:
                seen[kind, "hit"] += outcome.report.run.stored_steps > 0
                seen[kind, "miss"] += outcome.report.run.live_steps > 0
        last = go(world, Go(), tree)
        assert last is not None
        left, paid = files_in(world.folder), world.paid
        if not failed(world, last):
            final = go(world, Go(), tree)
            assert final is not None
            if not settles(world.tree):
                return world.paid
            assert world.paid == paid, "a rerun of what nobody changed is free"
            assert not final.report.run.live_steps
            assert final.report.result == last.report.result
            assert files_in(world.folder) == left
            if is_quiet(story) and not world.rows("SELECT 1 FROM steps WHERE status = 'failed'"):
                check_paid_once(zygote, tree, held, last, paid, left)
        return world.paid


def is_quiet(story: Story) -> bool:
    """Whether there were only interruptions, and changes that count for nothing."""
    kinds = {run.kind for _, run in story} | {each.kind for before, _ in story for each in before}
    return kinds <= {"run", "kill", "die", "dress"}


def check_paid_once(zygote: Zygote, tree: Tree, held: Held, last: Outcome, paid: int, left: Files) -> None:
    """Interruptions cost no model call, and change nothing of what comes out."""
    agents = [leaf for _, leaf in leaves_of(tree) if isinstance(leaf, Agent)]
    if not any(leaf.gate for leaf in agents):  # which sends back who knows how often
        assert paid == sum(len(leaf.turns) + 1 for leaf in agents)
    if in_one_way(tree):
        with a_project(zygote, tree, held) as scratch:
            once = scratch.run()
            assert once is not None
            assert paid == scratch.paid
            assert once.report.result == last.report.result
            assert files_in(scratch.folder) == left


@contextmanager
def a_project(zygote: Zygote, tree: Tree, held: Held, *, real: bool = False) -> Iterator[World]:
    with memory_folder() as project, pytest.MonkeyPatch.context() as patch:
        (project / "vibe.yaml").write_text("")
        patch.chdir(project)
        world = World(zygote, project, tree)
        if not real:
            patch.setattr(assembly, "open_benches", memory_benches(world.ignored))
            patch.setattr(worktrees, "Differ", lambda _: Differ(PlainCommands(project)))
        for path, content in held.items():
            world.write(path, content)
        yield world


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person with one home, who makes many projects."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
