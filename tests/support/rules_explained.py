"""The oracle of runs whose steps edit files: is there an execution of the script that explains what came of the run?

Such an execution begins with the files as they were at the start, without edits that an earlier invocation made and
that answered steps stand for; in the order of epochs every answered step sees what it saw and makes the edits that it
made, and it ends in the files as they lie; and no step comes before one that the script asked for it after.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.dict_project import PATHS, Files, paths_of, put, seen
from vibe_workflows.engine.model import FILE_STATE, Change, Edit, Observation, StepId
from vibe_workflows.engine.ports import FileChange


@dataclass(frozen=True)
class ByHand:
    """Somebody edited a file while the run was on, after `epoch` and before the next one."""

    epoch: int
    change: Change


@dataclass(frozen=True)
class Answered:
    """A step that answered a call, or failed for it."""

    id: StepId
    call: int
    observations: tuple[Observation, ...]
    inherited: tuple[Edit, ...]


@dataclass(frozen=True)
class Told:
    """What is known of a run after its end."""

    start: Files
    end: Files
    started: int  # the latest epoch then
    steps: Sequence[Answered]
    before: Mapping[int, frozenset[int]]  # the calls that each call was made after
    chain: Sequence[FileChange]  # of all paths
    own: frozenset[int]  # epochs of the edits that the product takes for the workflow's own
    by_hand: Sequence[ByHand]
    contents: Mapping[str, bytes]


@dataclass(frozen=True)
class Moment:
    """Something that a step saw or did."""

    epoch: int
    paths: frozenset[str]
    edits: bool


@dataclass(frozen=True)
class _Link:
    epoch: float
    change: Change
    own: bool


def unexplained(told: Told) -> str | None:
    """Why no execution explains the run; None if one does."""
    owned = {edit.epoch for step in told.steps for edit in _edits(step, told.own)}
    for entry in told.chain:
        if entry.epoch in told.own and entry.epoch not in owned:
            return f"taken back, though the step is not there: {entry}"
    base: Files = {}
    for path in PATHS:
        links = [_Link(each.epoch, each.change, each.epoch in told.own) for each in told.chain]
        links += [_Link(each.epoch + 0.5, each.change, True) for each in told.by_hand]
        links = sorted((link for link in links if link.change.path == path), key=lambda link: link.epoch)
        present = _digest(told.end, path, told.contents)
        try:
            lay = _taken_back(present, links)
            before = [link for link in links if link.epoch <= told.started]
            lay_before = _taken_back(_digest(told.start, path, told.contents), before)
        except ValueError as error:
            return str(error)
        adopted = any(link.epoch > told.started and not link.own for link in links)
        if not adopted and lay != lay_before:
            return f"{path}: it did not lie there as the execution begins with it"
        put(base, path, None if lay is None else told.contents[lay])
    return _replayed(told, base) or _circle(told)


def _taken_back(digest: str | None, links: Sequence[_Link]) -> str | None:
    for link in reversed(links):
        if not link.own:
            break
        if link.change.after != digest:
            raise ValueError(f"{link.change.path}: own edits that are no unbroken tail: {link}")
        digest = link.change.before
    return digest


def _edits(step: Answered, own: frozenset[int]) -> list[Edit]:
    """Inherited ones count as long as they are own edits."""
    made = [edit for look in step.observations if (edit := look.edit) is not None]
    return [*(edit for edit in step.inherited if edit.epoch in own), *made]


def _replayed(told: Told, base: Files) -> str | None:
    files = dict(base)
    events: list[tuple[float, int, Observation | None, Change | None]] = []
    for each in told.by_hand:
        events.append((each.epoch + 0.5, 0, None, each.change))
    for step in told.steps:
        events += [(edit.epoch, 0, None, edit.change) for edit in step.inherited if edit.epoch in told.own]
        events += [(look.epoch, number, look, look.change) for number, look in enumerate(step.observations)]
    for epoch, _, look, change in sorted(events, key=lambda event: event[:2]):
        if look is not None and seen(look.tool, look.arguments, files) != look.digest:
            return f"stale: {look.tool} {look.arguments} at {epoch} saw something else"
        if change is not None:
            put(files, change.path, None if change.after is None else told.contents[change.after])
    return None if files == told.end else "the files do not lie as the execution leaves them"


def _circle(told: Told) -> str | None:
    by_call: dict[int, str] = {step.call: step.id for step in told.steps}
    moments: dict[str, list[Moment]] = {}
    for step in told.steps:
        kept = [edit for edit in step.inherited if edit.epoch in told.own]
        moments[step.id] = [Moment(edit.epoch, frozenset([edit.change.path]), True) for edit in kept]
        moments[step.id] += [Moment(look.epoch, _paths(look), look.change is not None) for look in step.observations]
    after: dict[str, set[str]] = {step.id: {by_call[call] for call in told.before[step.call]} for step in told.steps}
    return "the script's order and that of the edits go round in a circle" if circular(moments, after) else None


def _paths(look: Observation) -> frozenset[str]:
    arguments = json.loads(look.arguments)
    if look.tool == FILE_STATE:
        return frozenset([arguments["path"]])
    return paths_of((look.tool, *map(str, arguments.values())))


def circular(steps: Mapping[str, Sequence[Moment]], after: Mapping[str, Iterable[str]]) -> bool:
    """Whether these orders go round in a circle, pair by pair.

    The moments of one step come in their order; all of a step come after all of the steps in `after`; and of two that
    meet at a file, one of them an edit, the one with the lower epoch comes first.
    """
    nodes = [(step, number) for step, moments in steps.items() for number in range(len(moments))]
    following: dict[tuple[str, int], list[tuple[str, int]]] = {node: [] for node in nodes}
    for one in nodes:
        for other in nodes:
            if _comes_first(one, other, steps, after):
                following[one].append(other)
    done: set[tuple[str, int]] = set()
    under_way: set[tuple[str, int]] = set()

    def circle_from(node: tuple[str, int]) -> bool:
        under_way.add(node)
        found = any(each in under_way or (each not in done and circle_from(each)) for each in following[node])
        under_way.discard(node)
        done.add(node)
        return found

    return any(node not in done and circle_from(node) for node in nodes)


def _comes_first(
    one: tuple[str, int],
    other: tuple[str, int],
    steps: Mapping[str, Sequence[Moment]],
    after: Mapping[str, Iterable[str]],
) -> bool:
    if one[0] == other[0]:
        return one[1] < other[1]
    if one[0] in after.get(other[0], ()):
        return True
    first, then = steps[one[0]][one[1]], steps[other[0]][other[1]]
    return first.epoch < then.epoch and (first.edits or then.edits) and bool(first.paths & then.paths)


def _digest(files: Files, path: str, contents: Mapping[str, bytes]) -> str | None:
    if path not in files:
        return None
    return next(digest for digest, data in contents.items() if data == files[path])
