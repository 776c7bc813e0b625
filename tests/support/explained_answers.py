"""What a run was answered, and whether it had to ask: from its rows in the store alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import trio

from tests.support.editing_deeds import COMMANDS, DEEDS, filled
from tests.support.editing_model import Files
from tests.support.editing_scripts import Agent, Merge, Place, Several, Tree, merge_of, prompt_of
from tests.support.editing_world import Outcome, World
from tests.support.explained_order import may_see
from tests.support.memory_bench import counted
from tests.support.replica import replica
from tests.support.told_steps import Told, Unexplained
from vibe_workflows.engine.model import FILE_TREE, Change, Observation
from vibe_workflows.engine.ports import StoredStep


class _Fails(Exception):
    pass


def is_refused(outcome: Outcome) -> bool:
    """Whether a mistake of the script ended the run, which cancels what is at work: here, a file that is not there."""
    error = outcome.report.error
    return error is not None and error.type == "SetupError"


def check_answers(outcome: Outcome, told: Sequence[Told]) -> None:
    """The steps were asked what the script asks after those answers, and the result is what comes of them."""
    by_place = {each.place: each for each in told}
    used: set[Place] = set()

    def go(node: Tree, came: str, place: Place) -> str:
        if isinstance(node, Several):
            if not node.together:
                for number, part in enumerate(node.parts):
                    came = go(part, came, (*place, number))
                return came
            each = [_or_none(partial(go, part, came, (*place, number))) for number, part in enumerate(node.parts)]
            if all(one is None for one in each):
                raise _Fails
            return "|".join(str(one) for one in each)
        answer = _answer_of(delivered(place), came)
        if isinstance(node, Agent) and node.worktree == "manual" and not delivered(merge_of(place)).completed:
            raise _Fails
        return answer

    def delivered(place: Place) -> Told:
        used.add(place)
        if place not in by_place:
            raise Unexplained(f"nothing was delivered at {place}")
        return by_place[place]

    try:
        result: str | None = go(outcome.tree, "", ())
    except _Fails:
        result = None
    given = None if outcome.report.result is None else json.loads(outcome.report.result)
    if result != given:
        raise Unexplained(f"the result is {given}, and {result} comes of the answers")
    if used != by_place.keys():
        raise Unexplained(f"steps were delivered that the script does not come to: {by_place.keys() - used}")


def _or_none(ask: Callable[[], str]) -> str | None:
    try:
        return ask()
    except _Fails:
        return None


def _answer_of(told: Told, came: str) -> str:
    spec = json.loads(told.step.spec)
    leaf = told.leaf
    asked: Any
    wanted: Any
    if isinstance(leaf, Agent):
        asked, wanted = spec["prompt"], prompt_of(leaf, came)
    elif isinstance(leaf, Merge):
        raise AssertionError("the agent before it answers")
    elif leaf.deed in COMMANDS:
        asked, wanted = spec["arguments"]["argv"], filled(leaf.deed, leaf.name + (came if leaf.takes else ""))["argv"]
    else:
        asked = {name: value for name, value in spec["arguments"].items() if name in DEEDS[leaf.deed][1]}
        wanted = filled(leaf.deed, leaf.name + (came if leaf.takes else ""))
    if asked != wanted:
        raise Unexplained(f"the step at {told.place} was asked {asked}, and not {wanted}")
    if not told.completed:
        raise _Fails
    result = json.loads(told.step.result or "null")
    return result if isinstance(leaf, Agent) else json.dumps(result, sort_keys=True)


# ---------------------------------------------------------------- needless calls


def check_nothing_needless(world: World, outcome: Outcome) -> None:
    """No step began while an unused answer to what it was asked was true on the files as they lay.

    Answers that edits of this run before it may have made true, or untrue, are left out: nobody knows when they were
    judged.
    """
    run = outcome.report.run
    if not outcome.model.began:
        return
    samples = world.samples_before(run.id)
    with world.store() as reader:
        deliveries = reader.deliveries(run.id)
        used = {each.step.id for each in deliveries}
        asked = {each.step.spec for each in deliveries if each.step.run_id == run.id}
        after = {seen.change.after for sample in samples for seen in sample.observations if seen.change}
        contents = {digest: None if digest is None else reader.contents(digest) for digest in after}
    for began in outcome.model.began:
        edited = {path for path in {*began.files, *outcome.before} if began.files.get(path) != outcome.before.get(path)}
        specs = [spec for spec in asked if began.is_asked_by(spec)]  # of several nobody knows which one it was
        for sample in samples:
            if sample.id in used or sample.inherited or specs != [sample.spec]:
                continue
            if run.horizon is not None and sample.finished_at < run.horizon:
                continue
            changes = [Change(path=path, before=None, after="") for path in edited]
            if any(may_see(seen, change) for seen in sample.observations for change in changes):
                continue
            if trio.run(_is_true, sample, began.files, contents):
                raise Unexplained(f"a needless call: {sample.id} was true when it was made")


async def _is_true(sample: StoredStep, files: Files, contents: Mapping[str | None, bytes | None]) -> bool:
    """Whether all that a step saw holds on these files, in order, over its own edits.

    What it changed in a worktree is there for its later looks in it.
    """
    aside: dict[str, bytes | None] = {}
    with replica(files) as project:
        for seen in _each_once(sample.observations):
            if seen.aside and seen.tool != FILE_TREE:
                there = {**counted(project.files), **aside}
                with replica({path: data for path, data in there.items() if data is not None}) as worktree:
                    _, digest = await worktree.look(seen.tool, json.loads(seen.arguments))
            else:
                _, digest = await project.look(seen.tool, json.loads(seen.arguments))
            if digest != seen.digest:
                return False
            if seen.change is not None and seen.aside:
                aside[seen.change.path] = contents[seen.change.after]
            elif seen.change is not None:
                project.write(seen.change.path, contents[seen.change.after])
    return True


def _each_once(observations: Sequence[Observation]) -> Sequence[Observation]:
    """Those in a worktree have one epoch, and each of them counts."""
    once = {seen.epoch: seen for seen in observations if not seen.aside}
    return [seen for seen in observations if seen.aside or once.pop(seen.epoch, None) is not None]
