"""Is there an execution that explains a run? Read from its rows in the store alone, and judged without the engine.

There has to be a project (the files at the run's start, with edits of delivered steps taken back) from which all
delivered steps, taken in the order of epochs, see what they saw, write what they wrote, answer what they answered, and
end in the files as they lie; and the script's order and that of the epochs must not go round in a circle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.support.editing_scripts import (
    DEEDS,
    Agent,
)
from tests.support.editing_world import Asked, Files, Outcome, World, answer_to, arguments_of, files_in
from tests.support.explained_answers import check_answers
from tests.support.explained_order import check_order
from tests.support.replica import Replica, replica
from tests.support.told_steps import Moment, Told, Unexplained, told_of
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import Edit
from vibe_workflows.engine.observe import outcome_digest
from vibe_workflows.engine.ports import StoreReader, ToolResult


@dataclass
class Retold:
    """A delivered step that is told once more, on a replica."""

    told: Told
    shown: dict[int, str] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)
    result: Any = None

    def asked(self, upto: int) -> Asked:
        prompt = json.loads(self.told.step.spec)["prompt"]
        return Asked(prompt, tuple(self.files), tuple(self.shown[number] for number in range(upto)))

    def arguments(self, moment: Moment) -> dict[str, Any]:
        leaf = self.told.leaf
        assert moment.deed is not None
        if not isinstance(leaf, Agent):
            given: dict[str, Any] = json.loads(self.told.step.spec)["arguments"]
            return given
        first = 0
        for turn in leaf.turns:
            if moment.number < first + len(turn):
                break
            first += len(turn)
        return arguments_of(self.asked(first), moment.number - first, moment.deed)


def explain(world: World, outcome: Outcome) -> list[Told]:
    """Raises Unexplained. Gives the steps that answered the run."""
    after = files_in(world.folder)
    with world.store() as reader:
        told = told_of(reader, outcome)
        contents = _Contents(reader, outcome.before, after)
        in_run = _edits_of_run(world, outcome)
        _explain_with(told, outcome, after, contents, in_run)
    check_answers(outcome, told)
    return told


class _Contents:
    def __init__(self, reader: StoreReader, *known: Files) -> None:
        self._reader = reader
        self._known = {content_digest(data): data for files in known for data in files.values()}

    def __getitem__(self, digest: str | None) -> bytes | None:
        if digest is None:
            return None
        data = self._known.get(digest) or self._reader.contents(digest)
        assert data is not None
        return data


def _edits_of_run(world: World, outcome: Outcome) -> dict[int, str]:
    """Paths of all entries of chains that the run has made, by epoch."""
    rows = world.rows("SELECT epoch, path FROM changes WHERE run_id = ?", outcome.report.run.id)
    return dict(rows)


def _explain_with(
    told: Sequence[Told],
    outcome: Outcome,
    after: Files,
    contents: _Contents,
    in_run: dict[int, str],
) -> None:
    edits = [edit for each in told for edit in each.edits]
    inherited = [edit for each in told for edit in each.inherited]
    own = sorted((*edits, *inherited), key=lambda edit: edit.epoch)
    if len({edit.epoch for edit in own}) < len(own):
        raise Unexplained("two steps have done the same edit")
    base = _taken_back(after, own, contents, "which is not what the files show")
    _check_start(outcome.before, base, own, contents, in_run)
    with replica(base) as project:
        trio.run(_retell, told, inherited, project, contents)
        if project.files != after:
            raise Unexplained("the files are not what comes of it")
    check_order(outcome.tree, told)


def _taken_back(files: Files, edits: Sequence[Edit], contents: _Contents, problem: str) -> Files:
    base = dict(files)
    for edit in reversed(edits):
        change = edit.change
        present = base.pop(change.path, None)
        if present != contents[change.after]:
            raise Unexplained(f"edit {edit.epoch} left {change.path} as {change.after}, {problem}")
        if (before := contents[change.before]) is not None:
            base[change.path] = before
    return base


def _check_start(start: Files, base: Files, own: Sequence[Edit], contents: _Contents, in_run: dict[int, str]) -> None:
    """Before the first edit the files lay as at the start, but for edits of this run that no delivered step made."""
    earlier = [edit for edit in own if edit.epoch not in in_run]
    lay = _taken_back(start, earlier, contents, "which is not how the run found it")
    owned = {edit.epoch for edit in own}
    others = {path for epoch, path in in_run.items() if epoch not in owned}
    for path in {*lay, *base} - others:
        if lay.get(path) != base.get(path):
            raise Unexplained(f"{path} was not so when the run began")


async def _retell(told: Sequence[Told], inherited: Sequence[Edit], project: Replica, contents: _Contents) -> None:
    retold = [Retold(each) for each in told]
    doing: list[tuple[int, Retold | None, Moment | Edit]] = [(edit.epoch, None, edit) for edit in inherited]
    doing += [(moment.epoch, each, moment) for each in retold for moment in each.told.moments]
    waiting = sorted(doing, key=lambda one: (one[0], one[2].number if isinstance(one[2], Moment) else 0))
    while waiting:
        # Calls of one turn see what they see in any order, but each step is shown its turns in their order.
        _, each, what = waiting.pop(0)
        if isinstance(what, Edit):
            project.write(what.change.path, contents[what.change.after])
        else:
            assert each is not None
            await _retell_moment(each, what, project)
    for each in retold:
        _check_answer(each)


async def _retell_moment(each: Retold, moment: Moment, project: Replica) -> None:
    step, seen = each.told.step.id, moment.seen
    if moment.path is not None:
        digest = project.digest(moment.path)
        each.files.append((moment.path, str(digest)))
        if digest is None or outcome_digest(ToolResult(text="", data={"digest": digest})) != seen.digest:
            raise Unexplained(f"stale: {step} was given {moment.path} as it did not lie there")
        return
    assert moment.deed is not None
    name, _ = DEEDS[moment.deed]
    arguments = each.arguments(moment)
    if name not in project.edits:
        each.shown[moment.number], _ = await project.look(name, arguments)
        _, digest = await project.look(seen.tool, json.loads(seen.arguments))
        if digest != seen.digest:
            raise Unexplained(f"stale: {step} at {seen.epoch} did not see {seen.tool} {seen.arguments} so")
        return
    _, looked = await project.look(seen.tool, json.loads(seen.arguments))
    if looked != seen.digest:
        raise Unexplained(f"stale: {step} at {seen.epoch} did not find {seen.arguments} so, to edit it")
    each.shown[moment.number], each.result, change = await project.edit(name, arguments)
    if change != seen.change:
        raise Unexplained(f"stale: {step} would have made {change}, and made {seen.change}")


def _check_answer(each: Retold) -> None:
    told = each.told
    if not told.completed:
        return
    result = json.loads(told.step.result or "null")
    if isinstance(told.leaf, Agent):
        missing = [number for number in range(len(told.leaf.deeds)) if number not in each.shown]
        if missing or len(each.files) != len(told.leaf.files):
            raise Unexplained(f"{told.step.id} saw more than it observed")
        if result != answer_to(each.asked(len(told.leaf.deeds))):
            raise Unexplained(f"stale: {told.step.id} would have answered otherwise")
    elif DEEDS[told.leaf.deed][0] != "read_file" and result != each.result:
        raise Unexplained(f"stale: {told.step.id} gave {result}, and would have given {each.result}")
