"""Why a call of a past run was answered from the store, or why it was not: from what the store holds, as data."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .model import (
    FILE_TREE,
    Cause,
    Change,
    Delivery,
    Fault,
    Grounds,
    Observation,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKind,
    StepStatus,
)
from .past import RunStep, steps_of
from .ports import StoreReader
from .reuse import cut_off_from_outside
from .run_diff import pair_steps
from .spec_diff import FieldChange, input_changes, most_alike, spec_of
from .text_diff import TextDiff, text_diff
from .why_edits import Attempted, EditInTheWay, attempted, changed_file, edit_in_the_way, edits_in

#: How many earlier runs are searched for the same call, and how many of the latest steps for a similar one.
_RUNS_SEARCHED = 2
_STEPS_SEARCHED = 2_000
_SHOWN_CHARS = 2_000  # of a tool's output that nothing can be compared with


class StoredAnswer(Struct, frozen=True, kw_only=True):
    """The step that answered, and what it saw: all of that was looked at again and holds."""

    step: StepId
    run: RunId
    age_s: float  # when it answered
    own_place: bool | None  # None: not known
    observations: tuple[Observation, ...]
    edits: tuple[Change, ...] = ()
    applied: bool = False  # these were made again


class WentOn(Struct, frozen=True, kw_only=True):
    """The step without an answer whose finished turns were the first ones of this one."""

    step: StepId
    run: RunId
    status: StepStatus
    fault: Fault | None
    turns: int


class Nearest(Struct, frozen=True, kw_only=True):
    """The stored step whose spec is nearest. `how` is same_input (it came to no answer), same_call or most_alike."""

    how: str
    step: StepId
    run: RunId
    number: int | None
    label: str
    phase: str
    status: StepStatus
    fault: Fault | None
    model_reason: str
    changes: tuple[FieldChange, ...]


class ChangedLook(Struct, frozen=True, kw_only=True):
    """What a stored step saw and this one would not have seen.

    `diff` is None where this step made no such call, or where what the stored one got is not kept; `then` is how that
    begins, if it is.
    """

    step: StepId
    run: RunId
    tool: str
    arguments: str
    diff: TextDiff | None
    then: str | None
    now: bool  # whether this step took the look as well
    edited: str | None = None  # the file that the stored step was about to edit, where that was its look


class TooOld(Struct, frozen=True, kw_only=True):
    """The newest stored answer, and the rule that it is too old for: fresh, refresh, cache or ttl."""

    step: StepId
    run: RunId
    age_s: float
    rule: str
    ttl_s: float | None = None


class InUse(Struct, frozen=True, kw_only=True):
    """A call of the same run that a stored answer of this spec went to."""

    number: int
    label: str
    step: StepId


class NextRun(Struct, frozen=True, kw_only=True):
    """What the next run does about a step without an answer: stored, goes_on, anew; or it is still under_way."""

    what: str
    step: StepId | None = None
    turns: int = 0


class Explanation(Struct, frozen=True, kw_only=True):
    run: Run
    asked: RunStep
    cause: Cause
    reason: str  # as it was stored with the answer
    model_reason: str
    answer: StoredAnswer | None = None
    went_on: WentOn | None = None
    nearest: Nearest | None = None
    changed: ChangedLook | None = None
    in_the_way: EditInTheWay | None = None
    attempted: Attempted | None = None
    too_old: TooOld | None = None
    in_use: tuple[InUse, ...] = ()
    next_run: NextRun | None = None


def explain(reader: StoreReader, run: Run, steps: Sequence[RunStep], asked: RunStep) -> Explanation:
    """Why `asked`, one of the `steps` of `run`, was answered as it was."""
    delivery, step = asked.delivery, asked.step
    grounds = _grounds(asked)
    live = not asked.stored
    nothing = live and grounds.cause in (Cause.NOTHING_STORED, Cause.OTHER)
    return Explanation(
        run=run,
        asked=asked,
        cause=grounds.cause,
        reason="" if delivery is None else delivery.reason,
        model_reason="" if delivery is None else delivery.model_reason,
        answer=None if live or delivery is None else _stored_answer(asked, delivery, grounds),
        went_on=_went_on(reader, step) if live else None,
        nearest=_nearest(reader, run, steps, asked) if nothing else None,
        changed=_changed(reader, step, grounds),
        in_the_way=edit_in_the_way(reader, run, step, asked.number, grounds),
        attempted=attempted(reader, step) if live else None,
        too_old=_too_old(reader, run, asked, grounds),
        in_use=_in_use(steps, step) if grounds.cause is Cause.IN_USE else (),
        next_run=None if step.status is StepStatus.COMPLETED else _next_run(reader, step),
    )


def _grounds(asked: RunStep) -> Grounds:
    if asked.delivery is not None and asked.delivery.grounds is not None:
        return asked.delivery.grounds
    return Grounds() if asked.step.predecessor is None else Grounds(cause=Cause.GOES_ON, step=asked.step.predecessor)


# ---------------------------------------------------------------- answered from the store, or half of it


def _stored_answer(asked: RunStep, delivery: Delivery, grounds: Grounds) -> StoredAnswer:
    step = asked.step
    return StoredAnswer(
        step=step.id,
        run=step.run_id,
        age_s=max(delivery.requested_at - step.finished_at, 0.0),
        own_place={Cause.SAME_PLACE: True, Cause.OLDEST: False}.get(grounds.cause),
        observations=step.observations,
        edits=edits_in(step.observations),
        applied=asked.applied,
    )


def _went_on(reader: StoreReader, step: Step) -> WentOn | None:
    cut_off = None if step.predecessor is None else reader.step(step.predecessor)
    if cut_off is None:
        return None
    turns = len({turn.number for turn in reader.turns(cut_off.id)})
    return WentOn(step=cut_off.id, run=cut_off.run_id, status=cut_off.status, fault=cut_off.fault, turns=turns)


# ---------------------------------------------------------------- nothing stored for this input


def _nearest(reader: StoreReader, run: Run, steps: Sequence[RunStep], asked: RunStep) -> Nearest | None:
    return _same_input(reader, asked.step) or _same_call(reader, run, steps, asked) or _most_alike(reader, asked.step)


def _same_input(reader: StoreReader, step: Step) -> Nearest | None:
    """The latest step of an earlier run that was asked the very same and came to no answer."""
    for other in reversed(reader.unanswered(step.key)):
        earlier = other.run_id != step.run_id and other.started_at <= step.started_at
        if earlier and not input_changes(other, step):
            return _near("same_input", step, other, reader.latest_delivery(other.id, other.run_id))
    return None


def _same_call(reader: StoreReader, run: Run, steps: Sequence[RunStep], asked: RunStep) -> Nearest | None:
    """What an earlier run of the same file was answered where this one asked."""
    for earlier in reader.runs_before(run, _RUNS_SEARCHED):
        pairs, _, _ = pair_steps(steps_of(reader, earlier.id), steps)
        other = next((before for before, after in pairs if after is asked), None)
        if other is not None and other.step.spec != asked.step.spec:
            return _near("same_call", asked.step, other.step, other.delivery)
    return None


def _most_alike(reader: StoreReader, step: Step) -> Nearest | None:
    found = most_alike(spec_of(step.spec), reader.earlier_specs(step, _STEPS_SEARCHED))
    other = None if found is None else reader.step(found[0])
    if other is None:
        return None
    return _near("most_alike", step, other, reader.latest_delivery(other.id, other.run_id))


def _near(how: str, step: Step, other: Step, delivery: Delivery | None) -> Nearest:
    return Nearest(
        how=how,
        step=other.id,
        run=other.run_id if delivery is None else delivery.run_id,
        number=None if delivery is None else delivery.number,
        label="" if delivery is None else delivery.label,
        phase="" if delivery is None else delivery.phase,
        status=other.status,
        fault=other.fault,
        model_reason="" if delivery is None else delivery.model_reason,
        changes=tuple(input_changes(other, step)),
    )


# ---------------------------------------------------------------- something stored that did not answer


def _changed(reader: StoreReader, step: Step, grounds: Grounds) -> ChangedLook | None:
    look, old = grounds.observation, grounds.step
    if look is None or old is None:
        return None
    stored = reader.step(old)
    then = None if stored is None else _output(reader, stored, look, digest=look.digest)
    now = _output(reader, step, look, digest=None)
    looked = now is not None or any(
        (seen.tool, seen.arguments) == (look.tool, look.arguments) for seen in step.observations
    )
    return ChangedLook(
        step=old,
        run=step.run_id if stored is None else stored.run_id,
        tool=look.tool,
        arguments=look.arguments,
        diff=_look_diff(reader, step, look, then, now),
        then=None if then is None else then[:_SHOWN_CHARS],
        now=looked,
        edited=None if look.change is None else look.change.path,
    )


def _look_diff(
    reader: StoreReader, step: Step, look: Observation, then: str | None, now: str | None
) -> TextDiff | None:
    if look.change is not None:
        return changed_file(reader, step, look)
    return None if then is None or now is None else text_diff(then, now)


def _output(reader: StoreReader, step: Step, look: Observation, *, digest: str | None) -> str | None:
    """What a step got when it took this look, with this digest if one is given."""
    if look.tool == FILE_TREE:
        return None  # of which no more than the digest is kept: the output is what a command printed
    if step.kind is StepKind.TOOL:
        return step.result  # the call is the step
    for call in reader.tool_calls(step.id):
        for seen in call.observations:
            if (seen.tool, seen.arguments) == (look.tool, look.arguments) and digest in (None, seen.digest):
                return call.output
    return None


def _too_old(reader: StoreReader, run: Run, asked: RunStep, grounds: Grounds) -> TooOld | None:
    too_old = grounds.cause in (Cause.TOO_OLD, Cause.REFRESHED)
    stored = reader.step(grounds.step) if too_old and grounds.step is not None else None
    if stored is None or asked.delivery is None or grounds.horizon is None:
        return None
    rule, ttl_s = "ttl", None
    if grounds.cause is Cause.REFRESHED:
        rule = "refresh"
    elif grounds.horizon == run.horizon:
        rule = "fresh"
    elif grounds.horizon == run.now:
        rule = "cache"
    else:
        ttl_s = run.started_at - grounds.horizon
    age_s = max(asked.delivery.requested_at - stored.finished_at, 0.0)
    return TooOld(step=stored.id, run=stored.run_id, age_s=age_s, rule=rule, ttl_s=ttl_s)


def _in_use(steps: Sequence[RunStep], step: Step) -> tuple[InUse, ...]:
    return tuple(
        InUse(number=each.number, label=each.label, step=each.step.id)
        for each in steps
        if each.stored and each.step.spec == step.spec
    )


# ---------------------------------------------------------------- what comes next


def _next_run(reader: StoreReader, step: Step) -> NextRun:
    """What a run that asks the same next would do, as far as the store tells: files may have changed."""
    if step.status is StepStatus.RUNNING:
        owner = reader.run(step.run_id)
        if owner is not None and owner.status is RunStatus.RUNNING:
            return NextRun(what="under_way")
    answers = [sample for sample in reader.pool(step.key) if sample.spec == step.spec]
    if answers:
        return NextRun(what="stored", step=answers[-1].id)
    cut_off = [
        each
        for each in reader.cut_off(step.key)
        if each.spec == step.spec and cut_off_from_outside(each.status, each.fault)
    ]
    own = next((each for each in cut_off if each.id == step.id), None)
    going_on = own or next(iter(cut_off), None)
    if going_on is None:
        return NextRun(what="anew")
    return NextRun(what="goes_on", step=going_on.id, turns=going_on.turns)
