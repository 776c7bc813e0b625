"""Reuse against an oracle: never a stale answer, never a needless model call, whatever was edited in between."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import CONTENTS, OPS, PATHS, Call, Several, Tree, World, calls_of
from tests.support.zygotes import zygote as zygote
from vibe_workflows.engine import requests as requests_module
from vibe_workflows.engine.agents.loop import AgentRun
from vibe_workflows.engine.agents.tools.glob import Glob
from vibe_workflows.engine.agents.tools.grep import Grep
from vibe_workflows.engine.errors import VibeError
from vibe_workflows.engine.model import Observation, StepKey
from vibe_workflows.engine.observe import Replayer, observation_of
from vibe_workflows.engine.ports import StoredStep, ToolResult
from vibe_workflows.engine.reuse import Reuse, _Pool
from vibe_workflows.engine.store import rows, tables
from vibe_workflows.engine.store.rows import stored_step_of
from vibe_workflows.engine.timeline import project as project_module
from vibe_workflows.engine.timeline.project import Project
from vibe_workflows.sandbox.launcher import Zygote

NAMES = "PQRS"
EDITS = ("content", "create", "delete", "unread", "ignore", "prompt", "order", "more", "fewer", "dress")
#: The other half are of steps that edit: test_editing_oracle.py.
CASES = int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 4

#: Files mostly: globs and searches are judged in a locked worker, which takes 20 ms to start.
looks = st.sampled_from([*[look for look, (tool, _) in enumerate(OPS) if tool == "read_file"] * 3, *range(len(OPS))])
calls = st.builds(Call, st.sampled_from(NAMES), st.lists(looks, max_size=3).map(tuple), st.booleans())
parts = st.recursive(
    calls,
    lambda part: st.builds(Several, st.booleans(), st.lists(part, min_size=1, max_size=3).map(tuple)),
    max_leaves=4,
)
#: Two parts at least, so that an edit of one leaves something to be reused.
trees = st.builds(Several, st.booleans(), st.lists(parts, min_size=2, max_size=3).map(tuple))
files = st.fixed_dictionaries({path: st.sampled_from(CONTENTS) for path in PATHS})


@dataclass(frozen=True)
class Edit:
    """Something that happens between two runs."""

    kind: str
    seed: int


@dataclass(frozen=True)
class Write:
    """A certain edit of a certain file."""

    path: str
    content: str
    kind: str = "content"


@dataclass(frozen=True)
class Go:
    """A run: to its end, interrupted at its `number`-th model call, or with a provider that fails some steps."""

    kind: str
    number: int


Held: TypeAlias = dict[str, str | None]
Story: TypeAlias = list[tuple[list[Edit | Write], Go]]

edits = st.builds(
    Edit,
    st.sampled_from(EDITS),
    st.integers(0, 2**16),
)
runs = st.builds(Go, st.sampled_from(["run", "kill", "fail"]), st.integers(1, 8))
stories = st.lists(st.tuples(st.lists(edits, max_size=2), runs), min_size=1, max_size=3)


def _with_calls(tree: Tree, change: Any) -> Tree:
    """The tree with each of its calls replaced by what `change` gives for it."""
    if isinstance(tree, Call):
        changed: Tree = change(tree)
        return changed
    return Several(tree.together, tuple(_with_calls(part, change) for part in tree.parts))


def _reshaped(tree: Tree, dice: random.Random, kind: str) -> Tree:
    new = Call("N", (dice.randrange(len(OPS)),), False)
    if isinstance(tree, Call):
        return Several(dice.random() < 0.5, (tree, new)) if kind == "more" else tree
    parts = list(tree.parts)
    place = dice.randrange(len(parts))
    if dice.random() < 0.5 and isinstance(parts[place], Several):
        parts[place] = _reshaped(parts[place], dice, kind)
    elif kind == "order":
        dice.shuffle(parts)
    elif kind == "fewer" and len(parts) > 1:
        parts.pop(place)
    elif kind == "more":
        parts.insert(place, dice.choice([parts[place], new]))
    return Several(tree.together, tuple(parts))


def apply(world: World, edit: Edit | Write) -> None:
    if isinstance(edit, Write):
        world.write(edit.path, edit.content)
        return
    dice = random.Random(edit.seed)
    looked_at = sorted({OPS[look][1].get("path", ".") for call in calls_of(world.tree) for look in call.looks})
    match edit.kind:
        case "content":
            world.write(dice.choice([path for path in looked_at if path in PATHS] or PATHS), dice.choice(CONTENTS[2:]))
        case "create":
            world.write(dice.choice(("new.py", "sub/new.py", "new.md")), dice.choice(CONTENTS[2:]))
        case "delete":
            world.write(dice.choice((*PATHS, "new.py", "sub/new.py")), None)
        case "unread":
            free = [path for path in (*PATHS, ".env") if path not in looked_at]
            world.write(dice.choice(free or [".env"]), "needle\n")
        case "ignore":
            world.write(".gitignore", dice.choice((None, "b.py\n", "sub/\n", "*.md\n")))
        case "prompt":
            one = dice.choice(list(calls_of(world.tree)))
            other = Call(dice.choice(NAMES + "Z"), one.looks, one.takes)
            world.tree = _with_calls(world.tree, lambda call: other if call == one else call)
        case "dress":
            world.dressing = dice.choice(("plain", "other", "third"))
            world.concurrency = dice.choice((1, 2, 16))
        case _:
            world.tree = _reshaped(world.tree, dice, edit.kind)


def go(world: World, run: Go) -> Any:
    names = frozenset(NAMES[: 1 + run.number % 2]) if run.kind == "fail" else frozenset[str]()
    outcome = world.run(failing=names, kill_at=run.number if run.kind == "kill" else None)
    outcome.check()
    return outcome


def tell(zygote: Zygote, tree: Tree, held: Held, story: Story, seen: Counter[tuple[str, str]]) -> None:
    """Play a story in a fresh project; `seen` counts what came of each kind of edit."""
    with memory_folder() as project, pytest.MonkeyPatch.context() as patch:
        (project / "vibe.yaml").write_text("")
        patch.chdir(project)
        world = World(zygote, project, tree)
        for path, content in held.items():
            world.write(path, content)
        for before, run in story:
            for edit in before:
                apply(world, edit)
            report = go(world, run).report
            for kind in {run.kind, *(edit.kind for edit in before)}:
                seen[kind, "hit"] += report.run.stored_steps > 0
                seen[kind, "miss"] += report.run.live_steps > 0
        apply(world, Edit("content", len(story)))
        again = go(world, Go("run", 1))
        final = go(world, Go("run", 1))
        assert final.model.called == 0, "a rerun of what nobody changed is free"
        assert final.report.result == again.report.result


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person with one home, who makes many projects."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


#: For each kind of edit, and of run, a story that leads to a hit and to a miss, whatever else is drawn.
SIDE_BY_SIDE = Several(True, tuple(Call(name, (look,), False) for look, name in enumerate("PQR")))


def each_kind() -> Iterator[Story]:
    for kind in EDITS:
        yield [([Edit(kind, 1)], Go("run", 1)), ([Edit(kind, 1)], Go("run", 1))]
    for kind in ("run", "kill", "fail"):
        yield [([], Go(kind, 2)), ([], Go("run", 1)), ([], Go(kind, 2))]


def test_no_answer_is_stale_and_no_call_is_needless(zygote: Zygote) -> None:
    seen: Counter[tuple[str, str]] = Counter()  # what came of each kind of edit

    @settings(max_examples=CASES)
    @given(trees, files, stories)
    def stories_hold(tree: Tree, held: Held, story: Story) -> None:
        tell(zygote, tree, held, story, seen)

    for story in each_kind():
        stories_hold = example(SIDE_BY_SIDE, dict.fromkeys(PATHS, "one\n"), story)(stories_hold)
    stories_hold()
    pairs = {*product((*EDITS, "run", "kill", "fail"), ("hit", "miss"))}
    assert {pair for pair in pairs if not seen[pair]} == set()


# ---------------------------------------------------------------- what breaks when a rule is left out


def _observations_are_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replayer, "changed", lambda self, observations: None)


def _what_is_absent_is_not_observed(patch: pytest.MonkeyPatch) -> None:
    look = Project.look

    async def only_what_is_there(self: Project, *call: Any, **how: Any) -> Any:
        outcome, seen = await look(self, *call, **how)
        return outcome, seen if isinstance(outcome, ToolResult) else None

    patch.setattr(Project, "look", only_what_is_there)


def _a_range_counts_as_the_whole_file(patch: pytest.MonkeyPatch) -> None:
    def whole(tool: Any, arguments: Any, outcome: Any, **how: Any) -> Observation:
        kept = {name: value for name, value in arguments.items() if name not in ("start", "end")}
        return observation_of(tool, kept, outcome, **how)

    patch.setattr(project_module, "observation_of", whole)


def _globs_are_not_observed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Glob, "observes", False)


def _greps_are_not_observed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Grep, "observes", False)


def _specs_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Keys may collide: with one key for all, the bytes of the spec must decide."""
    patch.setattr(requests_module, "step_key", lambda canonical: StepKey("s1:0"))
    patch.setattr(Reuse, "_pool", _pool_of_a_key)


def _pool_of_a_key(self: Any, call: Any) -> Any:
    if call.canonical not in self._pools:
        self._pools[call.canonical] = _Pool(self._read.pool(call.key), [])
    return self._pools[call.canonical]


def _steps_that_were_cut_off_begin_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reuse, "_going_on", lambda self, call, changed: None)


def _what_a_cut_off_step_saw_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    going_on = Reuse._going_on
    patch.setattr(Reuse, "_going_on", lambda self, call, changed: going_on(self, call, lambda observations: None))


def _what_was_seen_before_the_cut_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    go_on = AgentRun.go_on
    patch.setattr(AgentRun, "go_on", lambda self, turns, observations, kept: go_on(self, turns, (), kept))


def _failures_are_answers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tables, "POOL", tables.POOL.replace("status = 'completed' AND result IS NOT NULL", "1"))

    def with_null(row: Any, text: Any, seen: Any) -> StoredStep:
        id_, finished_seq, *between = row[:4]
        return stored_step_of((id_, finished_seq or 0, *between, row[4] or "null", *row[5:]), text, seen)

    patch.setattr(rows, "stored_step_of", with_null)


READS = Call("P", (0, 1), False)
HELD: Held = {"a.py": "one\n", "b.py": "two\n"}
RUN, KILL, FAIL = Go("run", 1), Go("kill", 3), Go("fail", 2)
CHANGED: list[Edit | Write] = [Write("a.py", "1\n")]

#: For each rule a story that goes wrong without it: the workflow, its files, and what happens.
WITNESSES: list[tuple[Callable[[pytest.MonkeyPatch], None], Tree, Held, Story]] = [
    (_observations_are_not_checked, READS, HELD, [([], RUN), (CHANGED, RUN)]),
    (_what_is_absent_is_not_observed, READS, {}, [([], RUN), (CHANGED, RUN)]),
    (_a_range_counts_as_the_whole_file, Call("P", (4,), False), {"a.py": "one\ntwo\nthree\n"}, [([], RUN), ([], RUN)]),
    (_globs_are_not_observed, Call("P", (6,), False), HELD, [([], RUN), ([Write("new.py", "")], RUN)]),
    (_greps_are_not_observed, Call("P", (7,), False), HELD, [([], RUN), ([Write("b.py", "needle\n")], RUN)]),
    (_specs_are_not_compared, Several(False, (Call("P", (), False), Call("Q", (), False))), {}, [([], RUN)]),
    (_steps_that_were_cut_off_begin_anew, READS, HELD, [([], KILL), ([], RUN)]),
    (_what_a_cut_off_step_saw_is_not_checked, READS, HELD, [([], KILL), (CHANGED, RUN)]),
    (_what_was_seen_before_the_cut_is_forgotten, READS, HELD, [([], KILL), ([], RUN), (CHANGED, RUN)]),
    (_failures_are_answers, Several(True, (Call("P", (), False), Call("Q", (), False))), {}, [([], FAIL), ([], RUN)]),
]


@pytest.mark.parametrize(
    ("leave_out", "tree", "held", "story"), WITNESSES, ids=[each[0].__name__.strip("_") for each in WITNESSES]
)
def test_a_rule_that_is_left_out_is_noticed(
    zygote: Zygote,
    monkeypatch: pytest.MonkeyPatch,
    leave_out: Callable[[pytest.MonkeyPatch], None],
    tree: Tree,
    held: Held,
    story: Story,
) -> None:
    tell(zygote, tree, held, story, Counter())
    leave_out(monkeypatch)
    with pytest.raises((AssertionError, VibeError)):
        tell(zygote, tree, held, story, Counter())
