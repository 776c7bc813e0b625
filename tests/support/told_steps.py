"""What the store says of the steps that answered a run: what each did and saw, and when."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tests.support.editing_scripts import (
    Agent,
    Leaf,
    Place,
    leaves_of,
)
from tests.support.editing_world import Outcome
from vibe_workflows.engine.model import Edit, Observation, Step, StepId, StepStatus
from vibe_workflows.engine.ports import DeliveredStep, StoreReader


class Unexplained(AssertionError):
    """No execution explains a run."""


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
    attached, rest = _attached(reader, step, len(leaf.files))
    moments = [
        Moment(seen.epoch, number - len(attached), None, json.loads(seen.arguments)["path"], seen)
        for number, seen in enumerate(attached)
    ]
    shown: list[Observation] = []
    for call in reader.tool_calls(step.id):
        if not call.observations:
            raise Unexplained(f"{step.id} made a call that is not observed: {call.name} {call.arguments}")
        (seen,) = call.observations
        shown.append(seen)
    recorded = list(rest) if step.status is StepStatus.COMPLETED else []
    at = -1
    for number, seen in enumerate(shown):
        if step.status is StepStatus.COMPLETED:
            latest = max((moment.epoch for moment in moments), default=0)
            later = {each.epoch for each in shown[number + 1 :]}
            at, seen = _where(step, attached, recorded, at, seen, latest, later)
        moments.append(Moment(seen.epoch, number, leaf.deeds[number], None, seen))
    return tuple(moments)


def _attached(reader: StoreReader, step: Step, count: int) -> tuple[Sequence[Observation], Sequence[Observation]]:
    """The looks at attached files, and the others. A step that goes on with another one may have looked again.

    The first look is the one that counts: it was sent the files then.
    """
    if step.status is not StepStatus.COMPLETED and step.predecessor is not None:
        return _attached(reader, _step(reader, step.predecessor), count)
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
    later: Collection[int],
) -> tuple[int, Observation]:
    """What a completed step observed by one of its calls: the next, or an earlier one where it looked again.

    That is recorded once where nobody has edited anything in between: then it saw the same at `latest`. `later` are the
    epochs of the calls after it: what was recorded then is theirs.
    """

    def same(seen: Observation) -> bool:
        return (seen.tool, seen.arguments, seen.digest, seen.change) == (
            call.tool, call.arguments, call.digest, call.change
        )  # fmt: skip

    if at + 1 < len(recorded) and same(recorded[at + 1]) and recorded[at + 1].epoch not in later:
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
        made = [each.edit for call in reader.tool_calls(earlier.id) for each in call.observations if each.edit]
        edits.update((edit.epoch, edit) for edit in (*made, *_inherited(reader, earlier)))
    return list(edits.values())


def _step(reader: StoreReader, step_id: StepId) -> Step:
    found = reader.step(step_id)
    assert found is not None
    return found
