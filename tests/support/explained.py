"""Is there an execution that explains a run? Read from its rows in the store alone, and judged without the engine.

There has to be a project (the files at the run's start, with edits of delivered steps taken back) from which all
delivered steps, taken in the order of epochs, see what they saw, write what they wrote, answer what they answered, and
end in the files as they lie; and the script's order and that of the epochs must not go round in a circle.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

from tests.support.checking import PlainChecker
from tests.support.commands import PlainCommands
from tests.support.editing_scripts import (
    DEEDS,
    Agent,
    Leaf,
    Place,
    Several,
    Tree,
    comes_before,
    filled,
    leaves_of,
    prompt_of,
)
from tests.support.editing_world import Asked, Files, Outcome, World, answer_to, arguments_of, files_in
from tests.support.memory_folder import SHARED_MEMORY
from vibe_workflows.engine.agents.tools.registry import ToolBox, edit_tools, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE, Change, Edit, Observation, Step, StepId, StepStatus
from vibe_workflows.engine.observe import outcome_digest
from vibe_workflows.engine.ports import DeliveredStep, EditingTool, StoredStep, StoreReader, ToolResult


class Unexplained(AssertionError):
    """There is no such execution."""


# ---------------------------------------------------------------- what the store says


@dataclass(frozen=True, slots=True)
class Moment:
    """One deed of a step: a look or an edit, or (`deed` None) a look at an attached file."""

    epoch: int
    number: int  # within its step
    deed: int | None
    path: str | None  # of the attached file
    seen: Observation


@dataclass(frozen=True, slots=True)
class Told:
    """A delivered step, with what it did and saw, and the edits of earlier attempts that it owns."""

    place: Place
    leaf: Leaf
    step: Step
    moments: tuple[Moment, ...]
    inherited: tuple[Edit, ...]

    @property
    def completed(self) -> bool:
        return self.step.status is StepStatus.COMPLETED

    @property
    def edits(self) -> tuple[Edit, ...]:
        return tuple(edit for moment in self.moments if (edit := moment.seen.edit) is not None)


def told_of(reader: StoreReader, outcome: Outcome) -> list[Told]:
    """The steps that answered a run."""
    leaves = dict(leaves_of(outcome.tree))
    told: list[Told] = []
    for each in reader.deliveries(outcome.report.run.id):
        place = outcome.script.places[each.delivery.line]
        moments = _moments(reader, each, leaves[place])
        own = {moment.epoch for moment in moments}
        inherited = tuple(edit for edit in _inherited(reader, each.step) if edit.epoch not in own)
        told.append(Told(place, leaves[place], each.step, moments, inherited))
    return told


def _moments(reader: StoreReader, each: DeliveredStep, leaf: Leaf) -> tuple[Moment, ...]:
    step = each.step
    if not isinstance(leaf, Agent):
        return tuple(Moment(seen.epoch, 0, leaf.deed, None, seen) for seen in step.observations)
    attached, rest = _attached(step, len(leaf.files))
    moments = [
        Moment(seen.epoch, number - len(attached), None, json.loads(seen.arguments)["path"], seen)
        for number, seen in enumerate(attached)
    ]
    calls = reader.tool_calls(step.id)
    recorded = list(rest) if step.status is StepStatus.COMPLETED else []
    at = -1
    for number, call in enumerate(calls):
        seen = call.observation
        if seen is None:
            raise Unexplained(f"{step.id} made a call that is not observed: {call.name} {call.arguments}")
        if step.status is StepStatus.COMPLETED:
            at, seen = _where(step, attached, recorded, at, seen, max((moment.epoch for moment in moments), default=0))
        moments.append(Moment(seen.epoch, number, leaf.deeds[number], None, seen))
    return tuple(moments)


def _attached(step: Step, count: int) -> tuple[Sequence[Observation], Sequence[Observation]]:
    """The looks at attached files, and the others. A step that goes on with another one may have looked again."""
    first, rest = step.observations[:count], step.observations[count:]
    looks = [[(seen.tool, seen.arguments, seen.digest) for seen in some] for some in (first, rest[:count])]
    again = step.predecessor is not None and looks[0] == looks[1]
    if again and all(seen.change is None for seen in rest[:count]):
        return rest[:count], rest[count:]
    return first, rest


def _where(
    step: Step,
    attached: Sequence[Observation],
    recorded: Sequence[Observation],
    at: int,
    call: Observation,
    latest: int,
) -> tuple[int, Observation]:
    """What a completed step observed by one of its calls: the next, or an earlier one where it looked again.

    That is recorded once where nobody has edited anything in between: then it saw the same at `latest`.
    """

    def same(seen: Observation) -> bool:
        return (seen.tool, seen.arguments, seen.digest, seen.change) == (
            call.tool, call.arguments, call.digest, call.change
        )  # fmt: skip

    if at + 1 < len(recorded) and same(recorded[at + 1]):
        return at + 1, recorded[at + 1]
    for seen in reversed([*attached, *recorded[: at + 1]]):
        if same(seen) and seen.change is None:
            return at, replace(seen, epoch=max(seen.epoch, latest))
    raise Unexplained(f"{step.id} did not observe what it was shown: {call}")


def _inherited(reader: StoreReader, step: Step) -> list[Edit]:
    """Edits of the attempts that a step stands after."""
    edits: dict[int, Edit] = {}
    links = [step]
    while (before := links[-1].predecessor) is not None:
        links.append(_step(reader, before))
    for link in links:
        if link.attempt_after is None:
            continue
        earlier = _step(reader, link.attempt_after)
        made = [edit for call in reader.tool_calls(earlier.id) if call.observation and (edit := call.observation.edit)]
        edits.update((edit.epoch, edit) for edit in (*made, *_inherited(reader, earlier)))
    return list(edits.values())


def _step(reader: StoreReader, step_id: StepId) -> Step:
    found = reader.step(step_id)
    assert found is not None
    return found


# ---------------------------------------------------------------- a copy of the project


class Replica:
    """A project with certain files, on which the real tools can be run."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        workspace = Workspace(folder, PlainChecker())
        self.looks = ToolBox(read_tools(workspace, PlainCommands(folder))).by_name
        self.edits: dict[str, EditingTool] = {tool.spec.name: tool for tool in edit_tools(workspace)}
        (folder / "vibe.yaml").touch()
        for path, data in files.items():
            self.write(path, data)

    def write(self, path: str, data: bytes | None) -> None:
        place = self._folder / path
        if data is None:
            place.unlink()
            while not any(place.parent.iterdir()) and place.parent != self._folder:
                place = place.parent
                place.rmdir()
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def digest(self, path: str) -> str | None:
        place = self._folder / path
        return content_digest(place.read_bytes()) if place.is_file() else None

    @property
    def files(self) -> Files:
        return files_in(self._folder)

    async def look(self, tool: str, arguments: dict[str, Any]) -> tuple[str, str]:
        """The text, and the digest of what it gives."""
        if tool == FILE_STATE:
            digest = self.digest(arguments["path"])
            return "", outcome_digest(ToolResult(text="", data={"digest": digest}))
        try:
            result = await self.looks[tool].run(arguments)
        except ToolFailed as error:
            return f"Error: {error.message}", outcome_digest(error)
        except ToolDenied as error:
            return f"Denied: {error.message}", outcome_digest(error)
        return result.text, outcome_digest(result)

    async def edit(self, tool: str, arguments: dict[str, Any]) -> tuple[str, Any, Change | None]:
        """Make an edit: the text, the data, and what changed."""
        try:
            plan = await self.edits[tool].plan(arguments)
        except ToolFailed as error:
            return f"Error: {error.message}", None, None
        if plan.before == plan.after:
            return plan.result.text, plan.result.data, None
        before = None if plan.before is None else content_digest(plan.before)
        self.write(plan.path, plan.after)
        change = Change(path=plan.path, before=before, after=content_digest(plan.after))
        return plan.result.text, plan.result.data, change


@contextmanager
def replica(files: Files) -> Iterator[Replica]:
    within = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="vibe-test-", dir=within) as folder:
        yield Replica(Path(folder), files)


# ---------------------------------------------------------------- the explanation


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
    _check_order(outcome.tree, told)


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
        used = {each.step.id for each in reader.deliveries(run.id)}
        after = {seen.change.after for sample in samples for seen in sample.observations if seen.change}
        contents = {digest: None if digest is None else reader.contents(digest) for digest in after}
    for began in outcome.model.began:
        edited = {path for path in {*began.files, *outcome.before} if began.files.get(path) != outcome.before.get(path)}
        for sample in samples:
            if sample.id in used or sample.inherited or json.loads(sample.spec).get("prompt") != began.prompt:
                continue
            if run.horizon is not None and sample.finished_at < run.horizon:
                continue
            changes = [Change(path=path, before=None, after="") for path in edited]
            if any(_may_see(seen, change) for seen in sample.observations for change in changes):
                continue
            if trio.run(_is_true, sample, began.files, contents):
                raise Unexplained(f"a needless call: {sample.id} was true when it was made")


async def _is_true(sample: StoredStep, files: Files, contents: Mapping[str | None, bytes | None]) -> bool:
    """Whether all that a step saw holds on these files, in order, over its own edits."""
    with replica(files) as project:
        for seen in {seen.epoch: seen for seen in sample.observations}.values():  # each of them once
            _, digest = await project.look(seen.tool, json.loads(seen.arguments))
            if digest != seen.digest:
                return False
            if seen.change is not None:
                project.write(seen.change.path, contents[seen.change.after])
    return True


# ---------------------------------------------------------------- the order


def _check_order(tree: Tree, told: Sequence[Told]) -> None:
    """Each step's own order, the script's order, and that of the epochs where two meet at a file."""
    nodes: list[tuple[Told, int, int, Observation | Edit]] = []
    for each in told:
        nodes += [(each, edit.epoch, -100, edit) for edit in each.inherited]
        nodes += [(each, moment.epoch, _turn_of(each.leaf, moment), moment.seen) for moment in each.moments]
    after: dict[int, set[int]] = {number: set() for number in range(len(nodes))}
    for one, (step, epoch, turn, what) in enumerate(nodes):
        for two, (other, later, its_turn, its) in enumerate(nodes):
            if step is other:
                comes_first = turn < its_turn
            else:
                comes_first = comes_before(tree, step.place, other.place) or (epoch < later and _meet(what, its))
            if comes_first:
                after[one].add(two)
    _check_no_circle(after)


def _turn_of(leaf: Leaf, moment: Moment) -> int:
    if not isinstance(leaf, Agent) or moment.deed is None:
        return moment.number
    first = 0
    for number, turn in enumerate(leaf.turns):
        first += len(turn)
        if moment.number < first:
            return number
    raise AssertionError("a step made more calls than its model asked for")


def _meet(one: Observation | Edit, two: Observation | Edit) -> bool:
    changes = [each.change for each in (one, two)]
    return any(
        change is not None and _may_see(other, change) for change, other in ((changes[0], two), (changes[1], one))
    )


def _may_see(what: Observation | Edit, change: Change) -> bool:
    """Whether what a look shows can depend on that change."""
    if isinstance(what, Edit):
        return what.change.path == change.path
    arguments = json.loads(what.arguments)
    came_or_went = change.before is None or change.after is None
    match what.tool:
        case "glob":
            return came_or_went and change.path.endswith(".py")
        case "list_files":
            return came_or_went
        case "grep":
            return change.path.startswith(arguments.get("path", ""))
        case _:
            return bool(arguments["path"] == change.path)


def _check_no_circle(after: dict[int, set[int]]) -> None:
    left = dict(after)
    while left:
        last = [node for node, following in left.items() if not following & left.keys()]
        if not last:
            raise Unexplained("the order of the script and that of the edits go round in a circle")
        for node in last:
            del left[node]


# ---------------------------------------------------------------- answers and calls


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
        used.add(place)
        if place not in by_place:
            raise Unexplained(f"nothing was delivered at {place}")
        return _answer_of(by_place[place], came)

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
    else:
        asked = {name: value for name, value in spec["arguments"].items() if name in DEEDS[leaf.deed][1]}
        wanted = filled(leaf.deed, leaf.name + (came if leaf.takes else ""))
    if asked != wanted:
        raise Unexplained(f"the step at {told.place} was asked {asked}, and not {wanted}")
    if not told.completed:
        raise _Fails
    result = json.loads(told.step.result or "null")
    return result if isinstance(leaf, Agent) else json.dumps(result, sort_keys=True)
