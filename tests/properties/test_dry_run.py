"""What a dry run names is what the run then does first: the same answers from the store, the same live steps."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.test_reuse_oracle import Go, Held, Story, apply, files, go, stories, trees
from tests.support.reuse_world import PATHS, Call, Several, Tree, World
from vibe_workflows.engine.dry_run import DryRun
from vibe_workflows.engine.events import Event, StepFinished, StepStarted, TurnFinished
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.sandbox.launcher import start_zygote

CASES = 25

#: A story with something live and something stored, of two steps at the same time and one that takes their answers.
SHAPE = Several(False, (Several(True, (Call("P", (0,), False), Call("Q", (4,), False))), Call("R", (), True)))
FILES: Held = dict.fromkeys(PATHS, "one\ntwo\n")
RAN: Story = [([], Go("run", 1))]
CUT_OFF: Story = [([], Go("kill", 4))]

#: What is given beside the workflow; a word may match some of its steps.
given_beside = st.sampled_from(({}, {}, {"fresh": True}, {"refresh": ("plain1*", "other*")}, {"refresh": ("#1", "*2")}))


@dataclass
class Begun:
    """An EventSink: what a run did before any of its live steps got anywhere."""

    stored: list[tuple[int, str]] = field(default_factory=list)
    live: list[tuple[int, str]] = field(default_factory=list)
    over: bool = False

    def handle(self, event: Event) -> None:
        if self.over:
            return
        match event:
            case StepStarted():
                self.live.append((event.number, event.label))
            case StepFinished() if event.stored:
                self.stored.append((event.number, event.step))
            case StepFinished() | TurnFinished():
                self.over = True
            case _:
                pass


def first(found: DryRun) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    return [(each.number, each.step) for each in found.stored], [(each.number, each.label) for each in found.live]


def test_a_run_begins_as_its_dry_run_said(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    zygote = start_zygote()

    @settings(max_examples=CASES, database=None)
    @given(trees, files, stories, given_beside)
    @example(SHAPE, FILES, RAN, {})
    @example(SHAPE, FILES, RAN, {"refresh": ("plain2",)})
    @example(SHAPE, FILES, CUT_OFF, {})
    @example(SHAPE, FILES, RAN, {"fresh": True})
    def holds(tree: Tree, held: Held, story: Story, beside: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
            for name in ("home", "project"):
                (Path(folder) / name).mkdir()
            project = Path(folder) / "project"
            (project / "vibe.yaml").write_text("")
            patch.chdir(project)
            patch.setenv("HOME", str(Path(folder) / "home"))
            tell(World(zygote, project, tree), held, story, beside, seen)

    try:
        holds()
    finally:
        zygote.close()
    assert all(seen[kind] for kind in ("live", "stored", "both", "answered", "refreshed")), seen


def tell(world: World, held: Held, story: Story, beside: dict[str, Any], seen: Counter[str]) -> None:
    for path, content in held.items():
        world.write(path, content)
    for edits, run in story:
        for edit in edits:
            apply(world, edit)
        go(world, run)
    for edit in story[-1][0]:
        apply(world, edit)
    world.concurrency = 16  # so that all steps that can begin do
    found = world.dry_run(**beside)
    assert first(world.dry_run(**beside)) == first(found), "a dry run changed what comes after it"
    begun = Begun()
    outcome = world.run(sinks=[begun], **beside)
    assert (begun.stored, sorted(begun.live)) == first(found)
    if found.ending is not None:
        assert not found.live
        assert found.ending.status is outcome.report.run.status is RunStatus.COMPLETED
        assert json.loads(found.ending.result or b"") == json.loads(outcome.report.result or b"")
    seen["live"] += bool(found.live)
    seen["stored"] += bool(found.stored)
    seen["both"] += bool(found.live and found.stored)
    seen["answered"] += found.ending is not None
    seen["refreshed"] += any(each.reason == "live: refreshed as asked" for each in found.live)
