"""Is there an execution that explains a run? Read from its rows in the store alone, and judged without the engine.

There has to be a project (the files at the run's start, with edits of delivered steps taken back) from which all
delivered steps, taken in the order of epochs, see what they saw, write what they wrote, answer what they answered, and
end in the files as they lie; and the script's order and that of the epochs must not go round in a circle. What git
ignores has no epochs: it has to have been so at some time since the run began.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from tests.support.editing_deeds import IGNORED
from tests.support.editing_model import Files, files_in
from tests.support.editing_scripts import Agent, Merge, Place, comes_before, edited_by, works_of
from tests.support.editing_world import Outcome, World
from tests.support.explained_answers import check_answers
from tests.support.explained_order import check_order
from tests.support.memory_bench import counted
from tests.support.replica import Replica, replica
from tests.support.retold import Retold, retold_of
from tests.support.told_steps import Moment, Told, Unexplained, told_of
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import Edit
from vibe_workflows.engine.ports import StoreReader


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
    base = _taken_back(counted(after), own, contents, "which is not what the files show")
    _check_start(counted(outcome.before), base, own, contents, in_run)
    beside = {path: data for path, data in outcome.before.items() if path not in counted(outcome.before)}
    with replica({**base, **beside}) as project:
        project.others = {path for epoch, path in in_run.items() if epoch not in {edit.epoch for edit in own}}
        project.ignored = [*beside.values(), *outcome.ignored]
        trio.run(_retell, told, outcome, inherited, project, contents)
        if counted(project.files) != counted(after):
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


async def _retell(
    told: Sequence[Told], outcome: Outcome, inherited: Sequence[Edit], project: Replica, contents: _Contents
) -> None:
    retold: dict[Place, Retold] = {}
    for each in told:
        retold[each.place] = retold_of(each, retold)
    writers = [each for each in told if _writes_ignored(each, outcome)]
    for each in told:
        before = (writer for writer in writers if comes_before(outcome.tree, writer.place, each.place))
        retold[each.place].ignored_is_new = any(before)
    doing: list[tuple[int, int, Retold | None, Moment | Edit]] = [(edit.epoch, 0, None, edit) for edit in inherited]
    doing += [(what.epoch, what.order, each, what) for each in retold.values() for what in each.told.moments]
    # Calls of one turn see what they see in any order, but each step is shown its turns in their order.
    for _, _, teller, what in sorted(doing, key=lambda one: one[:2]):
        if isinstance(what, Edit):
            project.write(what.change.path, contents[what.change.after])
            project.edited[what.change.path] = what.epoch
        else:
            assert teller is not None
            await teller.tell(what, project)
    for one in retold.values():
        one.check(project)
    _check_all_merged(outcome, retold)


def _writes_ignored(told: Told, outcome: Outcome) -> bool:
    """Whether a step has done so in this run, in the project."""
    aside = isinstance(told.leaf, Agent) and bool(told.leaf.worktree)
    live = told.completed and told.step.run_id == outcome.report.run.id and told.step.predecessor is None
    return live and not aside and not isinstance(told.leaf, Merge) and IGNORED in edited_by(told.leaf)


def _check_all_merged(outcome: Outcome, retold: dict[Place, Retold]) -> None:
    for place, work in works_of(outcome.tree):
        each = retold.get(place)
        if each is None or not each.told.completed or (isinstance(work, Agent) and work.worktree != "auto"):
            continue
        if not each.is_landed:
            raise Unexplained(f"{each.told.step.id} completed, and not all that it changed was merged")
