"""What the store says of the steps that answered a run: what each did and saw, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from tests.support.editing_deeds import COMMANDS, MEND
from tests.support.editing_scripts import Agent, Merge, Place, Work, works_of
from tests.support.editing_world import Outcome
from vibe_workflows.engine.gates import GATE
from vibe_workflows.engine.model import FILE_TREE, Edit, Observation, Step, StepId, StepStatus, ToolCall
from vibe_workflows.engine.ports import DeliveredStep, StoreReader

#: Of what lands: after all turns.
LAST_TURN = 1_000_000


class Unexplained(AssertionError):
    """No execution explains a run."""


class Kind(StrEnum):
    GIVEN = "given"  # a look at an attached file
    DEED = "deed"  # a look or an edit, or the look with which a command begins
    MADE = "made"  # a file that a command has changed
    JUDGED = "judged"  # the look with which a gate begins
    JUDGED_MERGED = "judged merged"  # the same, of the gate that is run on what comes of a merge
    LANDED = "landed"  # a file that a merge has written, or found as it is to be


@dataclass(frozen=True, slots=True)
class Moment:
    """One look or edit of a step."""

    epoch: int
    order: int  # within its step
    kind: Kind
    seen: Observation
    turn: int = 0
    number: int = 0  # of a call among all of its step
    deed: int = -1
    call: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A delivered step, with what it did and saw, and the edits of earlier attempts that it owns."""

    place: Place
    leaf: Work
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
    works = dict(works_of(outcome.tree))
    told: list[Told] = []
    for each in reader.deliveries(outcome.report.run.id):
        place = outcome.script.places[each.delivery.line]
        moments = tuple(_moments(reader, each, works[place]))
        own = {moment.epoch for moment in moments if moment.seen.edit is not None}
        inherited = tuple(edit for edit in _inherited(reader, each.step) if edit.epoch not in own)
        told.append(Told(place, works[place], each.step, moments, inherited))
    return told


def _moments(reader: StoreReader, each: DeliveredStep, work: Work) -> Iterator[Moment]:
    step = each.step
    if isinstance(work, Agent):
        yield from _of_agent(reader, step, work)
        return
    for order, seen in enumerate(step.observations):
        kind = Kind.LANDED if isinstance(work, Merge) else Kind.MADE if order else Kind.DEED
        deed = -1 if isinstance(work, Merge) else work.deed
        yield Moment(seen.epoch, order, kind, seen, deed=deed)


def _of_agent(reader: StoreReader, step: Step, leaf: Agent) -> Iterator[Moment]:
    given, rest = _attached(reader, step, len(leaf.files))
    order = 0
    for seen in given:
        yield Moment(seen.epoch, order, Kind.GIVEN, seen, turn=-1)
        order += 1
    calls = list(_calls(reader, step, leaf))
    if step.status is StepStatus.COMPLETED:
        recorded = _Recorded(step, given, rest, [seen for seen, *_ in calls])
    for seen, kind, call, number, deed in calls:
        if step.status is StepStatus.COMPLETED:
            seen = recorded.match(seen)
        yield Moment(seen.epoch, order, kind, seen, turn=call.turn, number=number, deed=deed, call=call)
        order += 1
    for seen in recorded.left if step.status is StepStatus.COMPLETED else ():
        kind = Kind.JUDGED_MERGED if seen.tool == FILE_TREE else Kind.LANDED
        if seen.aside is (kind is Kind.LANDED) or leaf.worktree != "auto":
            raise Unexplained(f"{step.id} observed what nobody was shown: {seen}")
        yield Moment(seen.epoch, order, kind, seen, turn=LAST_TURN)
        order += 1


def _calls(reader: StoreReader, step: Step, leaf: Agent) -> Iterator[tuple[Observation, Kind, ToolCall, int, int]]:
    """All that the calls of an agent, and its gate, saw: with the number and the deed of the call."""
    number = 0
    for call in reader.tool_calls(step.id):
        if call.name == GATE:
            for place, seen in enumerate(call.observations):
                yield seen, Kind.MADE if place else Kind.JUDGED, call, number, -1
            continue
        deed = leaf.deeds[number] if number < len(leaf.deeds) else MEND
        if not call.observations or (len(call.observations) > 1 and deed not in COMMANDS):
            raise Unexplained(f"{step.id} made a call that is not observed: {call.name} {call.arguments}")
        for place, seen in enumerate(call.observations):
            yield seen, Kind.MADE if place else Kind.DEED, call, number, deed
        number += 1


def _attached(reader: StoreReader, step: Step, count: int) -> tuple[Sequence[Observation], Sequence[Observation]]:
    """The looks at attached files, and the others. A step that goes on with another one may have looked again.

    The first look is the one that counts: it was sent the files then.
    """
    if step.status is not StepStatus.COMPLETED and step.predecessor is not None:
        return _attached(reader, _step(reader, step.predecessor), count)
    first, rest = step.observations[:count], step.observations[count:]
    while step.predecessor is not None and count and _all_same(first, rest[:count]):  # once each time that it went on
        first, rest = rest[:count], rest[count:]
    return first, rest


def _all_same(looks: Sequence[Observation], again: Sequence[Observation]) -> bool:
    plain = all(seen.change is None and not seen.aside for seen in again)
    return plain and len(looks) == len(again) and all(map(_same, looks, again))


class _Recorded:
    """What a completed step observed, by its calls in their order. `calls` is what each of these had seen then."""

    def __init__(
        self, step: Step, given: Sequence[Observation], recorded: Sequence[Observation], calls: Sequence[Observation]
    ) -> None:
        self._step = step
        self._given = given
        self._recorded = recorded
        self._calls = calls
        self._done = 0  # calls
        self._at = 0
        self._latest = max((seen.epoch for seen in given), default=0)

    @property
    def left(self) -> Sequence[Observation]:
        return self._recorded[self._at :]

    def match(self, call: Observation) -> Observation:
        """The next one, or an earlier one where it looked again.

        That is recorded once where nobody has edited anything in between: then it saw the same at the latest epoch.
        What was recorded at the epoch of a later call is that one's.
        """
        self._done += 1
        later: Collection[int] = {seen.epoch for seen in self._calls[self._done :] if not seen.aside}
        found = self._recorded[self._at] if self._at < len(self._recorded) else None
        if found is not None and _same(found, call) and found.epoch not in later:
            self._at += 1
        else:
            found = self._again(call)
        self._latest = max(self._latest, found.epoch)
        return found

    def _again(self, call: Observation) -> Observation:
        for seen in reversed([*self._given, *self._recorded[: self._at]]):
            if _same(seen, call) and seen.change is None:
                return seen if seen.aside else replace(seen, epoch=max(seen.epoch, self._latest))
        raise Unexplained(f"{self._step.id} did not observe what it was shown: {call}")


def _same(one: Observation, other: Observation) -> bool:
    return (one.tool, one.arguments, one.digest, one.change, one.aside) == (
        other.tool, other.arguments, other.digest, other.change, other.aside
    )  # fmt: skip


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
        made = [edit for call in reader.tool_calls(earlier.id) for seen in call.observations if (edit := seen.edit)]
        edits.update((edit.epoch, edit) for edit in (*made, *_inherited(reader, earlier)))
    return list(edits.values())


def _step(reader: StoreReader, step_id: StepId) -> Step:
    found = reader.step(step_id)
    assert found is not None
    return found
