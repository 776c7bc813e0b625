"""Whatever is collected from whatever store: what is left is whole, and reruns of it are free."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.engine.store.making import a_delivery, a_run, a_step
from tests.support.memory_folder import memory_folder
from tests.support.stores import assert_whole, ids, write_store
from vibe_workflows.engine.events import Warned
from vibe_workflows.engine.model import (
    Attempt,
    LineageId,
    Observation,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKey,
    StepStatus,
    ToolCall,
    Turn,
)
from vibe_workflows.engine.ports import Record, RunEvent, Source
from vibe_workflows.engine.reuse import Reuse
from vibe_workflows.engine.store.gc import collect, would_go
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.retention import Retention

NOW = 1_000.0
CUT_OFF = (StepStatus.CANCELLED, StepStatus.RUNNING, StepStatus.FAILED)


class Asked(Struct, frozen=True):
    key: StepKey
    canonical: str
    place: str
    horizon: float | None = None
    refreshed: bool = False


@dataclass
class World:
    """Records of a store, and which of its runs are at work."""

    runs: list[Run]
    steps: list[Step]
    records: list[Record]
    alive: list[RunId]
    delivered: dict[RunId, list[StepId]]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World([], [], [], [], {})
    for number in range(draw(st.integers(1, 6))):
        _add_run(draw, world, number)
    return world


def _add_run(draw: st.DrawFn, world: World, number: int) -> None:
    id_ = RunId(f"run{number}")
    at = float(number * 100)
    parent = draw(st.sampled_from([None, *world.runs[-2:]]))
    status = draw(st.sampled_from([RunStatus.COMPLETED, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.RUNNING]))
    run = a_run(
        id_,
        lineage=LineageId(id_) if parent is None else parent.lineage,
        parent=None if parent is None else parent.id,
        status=status,
        started_at=at,
        finished_at=None if status is RunStatus.RUNNING else at + 50,
        source_digest=f"source{number % 2}",
        args="a" * draw(st.sampled_from([1, 3000])),
    )
    if status is RunStatus.RUNNING and draw(st.booleans()):
        world.alive.append(id_)
    world.runs.append(run)
    world.records += [Source(digest=run.source_digest, text=f"{number % 2}" * 3000), run]
    world.records += [RunEvent(run_id=id_, event=Warned(at=at, message="w" * 3000))]
    world.delivered[id_] = []
    for index in range(draw(st.integers(0, 4))):
        _add_step(draw, world, run, index)


def _add_step(draw: st.DrawFn, world: World, run: Run, index: int) -> None:
    free = [step for step in world.steps if step.id not in world.delivered[run.id] and step.result is not None]
    again = bool(free) and draw(st.integers(0, 1)) == 1
    step = draw(st.sampled_from(free)) if again else _new_step(draw, world, run, index)
    if step.status is not StepStatus.RUNNING and draw(st.sampled_from([True, True, False])):
        world.delivered[run.id].append(step.id)
        world.records.append(a_delivery(index, step.id, run_id=run.id, place=f"{index}", reason="r" * 2500))


def _new_step(draw: st.DrawFn, world: World, run: Run, index: int) -> Step:
    id_ = StepId(f"{run.id}-{index}")
    status = draw(st.sampled_from([StepStatus.COMPLETED, StepStatus.COMPLETED, *CUT_OFF]))
    before = [step.id for step in world.steps if step.status in CUT_OFF]
    spec = draw(st.sampled_from(["one", "two" * 1000, "three"]))
    step = a_step(
        id_,
        run_id=run.id,
        key=StepKey(f"s1:{spec[:3]}"),
        spec=spec,
        status=status,
        result=f'"{id_}{"x" * draw(st.sampled_from([1, 3000]))}"' if status is StepStatus.COMPLETED else None,
        started_at=run.started_at,
        finished_at=run.started_at + index,
        observations=tuple([Observation(tool="grep", arguments="o" * 2500, digest="d")] * draw(st.integers(0, 2))),
        predecessor=draw(st.sampled_from([None, *before])),
    )
    world.steps.append(step)
    times: dict[str, Any] = {"started_at": 1.0, "finished_at": 2.0}
    turn = Turn(step_id=id_, number=1, attempt=1, model="m", input="i" * 3000, output=spec, outcome="stop", **times)
    call = ToolCall(
        step_id=id_,
        turn=1,
        number=1,
        call_id="c",
        name="grep",
        arguments="{}",
        output="u" * 2500,
        outcome="ok",
        **times,
    )
    world.records += [step, turn, call, Attempt(step_id=id_, number=1, status=status, **times)]
    return step


ages = st.none() | st.integers(0, 700).map(float)
rules = st.builds(
    Retention,
    older_than_s=ages,
    max_bytes=st.none() | st.integers(0, 400_000),
    keep_runs=st.none() | st.integers(0, 4),
).filter(lambda each: (each.older_than_s, each.max_bytes, each.keep_runs) != (None, None, None))


@settings(max_examples=60)
@given(worlds(), rules)
def test_what_a_collection_leaves_is_whole_and_its_reruns_are_free(world: World, rule: Retention) -> None:
    with memory_folder() as folder, ExitStack() as stack:
        path = folder / "project" / ".vibe" / "vibe.db"
        write_store(path, world.records)
        for run in world.alive:
            stack.enter_context(RunLocks(path).hold(run))
        foreseen = would_go(path, rule, NOW)
        done = collect(path, rule, NOW)
        assert_whole(path)
        runs, steps = ids(path, "runs"), ids(path, "steps")
        assert (foreseen.runs, foreseen.steps) == (done.runs, done.steps if not done.alive else foreseen.steps)
        assert len(world.runs) - len(runs) == done.runs
        _assert_kept(world, rule, runs, steps)
        _assert_free(path, world, runs)
        again = collect(path, rule, NOW)
        assert (again.runs, again.steps, again.texts) == (0, 0, 0) or rule.max_bytes is not None


def _assert_kept(world: World, rule: Retention, runs: set[str], steps: set[str]) -> None:
    """What must not go in any case."""
    lineages = {run.id: run.lineage for run in world.runs}
    for alive in world.alive:
        assert {each for each in lineages if lineages[each] == lineages[alive]} <= runs
    if world.alive:
        assert steps == {step.id for step in world.steps}
    assert {run.id for run in world.runs[-rule.keep_runs :]} <= runs if rule.keep_runs else True
    for run in world.runs:
        unfinished = [each for each in world.runs if each.lineage == run.lineage][-1].status is not RunStatus.COMPLETED
        young = rule.older_than_s is None or run.started_at >= NOW - rule.older_than_s
        assert run.id in runs or not (unfinished and young), "it could be gone on with"
        needed = {step.id for step in world.steps if step.run_id == run.id} | set(world.delivered[run.id])
        assert run.id not in runs or needed <= steps
    if rule.older_than_s is not None and rule.max_bytes is None:
        young_steps = {step.id for step in world.steps if step.finished_at >= NOW - rule.older_than_s}
        assert young_steps <= steps


def _assert_free(path: Path, world: World, runs: set[str]) -> None:
    """A rerun of a run finds an answer for every call that it answered, as long as nothing has changed."""
    by_id = {step.id: step for step in world.steps}
    with closing(open_reader(path)) as reader:
        for run in runs:
            answered = [each.delivery for each in reader.deliveries(RunId(run)) if each.step.result is not None]
            assert {each.step_id for each in answered} == {
                step for step in world.delivered[RunId(run)] if by_id[step].result is not None
            }
            calls = [Asked(by_id[each.step_id].key, by_id[each.step_id].spec, each.place) for each in answered]
            decisions = Reuse(reader).decide(calls, lambda _looks: None)
            assert all(decision.stored is not None for decision in decisions)
