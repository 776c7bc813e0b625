"""What `vibe cache gc` may take from a store: a decision on data alone.

Lineages stay or go as a whole. One that is alive stays; so does one that could be gone on with, unless it is older
than asked for. A step stays with every run that delivered it or worked on it, with every step that goes on with it or
stands after it as a later attempt, and as long as it is not older than asked for: a later run may still need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from msgspec import Struct

from ..model import RunId, StepId
from .holdings import HeldRun, HeldStep, Holdings, Weight

#: What a store takes that holds nothing: a page for each table and index, and some for their SQL.
_EMPTY_BYTES = 40 * 4096


class Retention(Struct, frozen=True, kw_only=True):
    """What is to stay; at least one is given. What one rule keeps, `older_than_s` and `max_bytes` do not take."""

    older_than_s: float | None = None  # what is not older stays, unless the store is above `max_bytes`
    max_bytes: int | None = None  # the oldest goes until the store is as small
    keep_runs: int | None = None  # the newest stay, whatever their age and size


@dataclass(frozen=True, slots=True)
class Going:
    """`lineages` are the runs that go, those of one lineage together; `steps` come after those that go on with them."""

    lineages: tuple[tuple[HeldRun, ...], ...]
    steps: tuple[StepId, ...]
    estimated_bytes: int  # that the rest takes

    @property
    def runs(self) -> int:
        return sum(map(len, self.lineages))


@dataclass(slots=True)
class _Unit:
    """What stays or goes together: a lineage with all the steps that it needs, or a step that no lineage needs."""

    last_at: float
    runs: tuple[HeldRun, ...] = ()
    steps: set[StepId] = field(default_factory=set)


def decide(held: Holdings, rules: Retention, now: float, used_bytes: int) -> Going:
    """What goes by the rules. `used_bytes` is what the store takes now: it scales the estimates of its parts."""
    lineages = _lineages(held)
    newest = set(list(held.runs)[-rules.keep_runs :]) if rules.keep_runs else set()
    must, may, going = [], [], []
    for unit in lineages:
        if any(run.alive or run.id in newest for run in unit.runs):
            must.append(unit)
        elif rules.older_than_s is not None and unit.last_at < now - rules.older_than_s:
            going.append(unit)
        elif not unit.runs[-1].completed:
            must.append(unit)
        elif rules.older_than_s is None and rules.max_bytes is None:
            going.append(unit)
        else:
            may.append(unit)
    needed = {step for unit in (*must, *may) for step in unit.steps}
    oldest = _oldest_to_stay(rules, now, [*must, *may])
    loose = [
        _Unit(last_at=step.at, steps=_with_needed(held, [step.id]))
        for step in held.steps.values()
        if step.id not in needed and step.at >= oldest
    ]
    scale = _scale(held, used_bytes)
    staying = _within(held, must, [*may, *loose], rules.max_bytes, scale)
    kept_runs = {run.id for unit in staying for run in unit.runs}
    kept_steps = {step for unit in staying for step in unit.steps}
    return Going(
        lineages=tuple(unit.runs for unit in lineages if unit.runs[0].id not in kept_runs),
        steps=_successors_first(held, [step for step in held.steps.values() if step.id not in kept_steps]),
        estimated_bytes=round(_EMPTY_BYTES + _size(held, staying) * scale),
    )


def _lineages(held: Holdings) -> list[_Unit]:
    worked: dict[RunId, list[StepId]] = {}
    for step in held.steps.values():
        worked.setdefault(step.run, []).append(step.id)
    groups: dict[str, list[HeldRun]] = {}
    for run in held.runs.values():
        groups.setdefault(run.lineage, []).append(run)
    units = []
    for runs in groups.values():
        steps = {step for run in runs for step in (*held.delivered.get(run.id, {}), *worked.get(run.id, ()))}
        own = [held.steps[step].at for run in runs for step in worked.get(run.id, ())]
        last_at = max([run.last_at for run in runs] + own)
        units.append(_Unit(last_at=last_at, runs=tuple(runs), steps=_with_needed(held, steps)))
    return units


def _with_needed(held: Holdings, steps: Iterable[StepId]) -> set[StepId]:
    found: set[StepId] = set()
    left = [step for step in steps if step in held.steps]
    while left:
        step = left.pop()
        if step not in found:
            found.add(step)
            left += [need for need in held.steps[step].needs if need in held.steps]
    return found


def _oldest_to_stay(rules: Retention, now: float, kept: Sequence[_Unit]) -> float:
    """The time from which on steps stay although no run that stays needs them."""
    if rules.older_than_s is not None:
        return now - rules.older_than_s
    if rules.max_bytes is not None:
        return -inf
    return min((run.started_at for unit in kept for run in unit.runs), default=inf)


def _within(held: Holdings, must: list[_Unit], may: list[_Unit], limit: int | None, scale: float) -> list[_Unit]:
    """`must`, and of `may` the newest, as long as the limit has room for them."""
    if limit is None:
        return [*must, *may]
    staying = list(must)
    sum_ = _Sum(held)
    sum_.add_all(must)
    for unit in sorted(may, key=lambda unit: -unit.last_at):
        sum_.add_all([unit])
        if _EMPTY_BYTES + sum_.size * scale > limit:
            break
        staying.append(unit)
    return staying


class _Sum:
    """The size of several units, in which what they share counts once."""

    def __init__(self, held: Holdings) -> None:
        self._held = held
        self._seen: set[object] = set()
        self.size = 0

    def add_all(self, units: Iterable[_Unit]) -> None:
        held = self._held
        for unit in units:
            for run in unit.runs:
                self._add(("run", run.id), held.run_weights.get(run.id))
                self._add(("source", run.source), held.source_weights.get(run.source))
            for step in unit.steps:
                self._add(("step", step), held.step_weights.get(step))

    def _add(self, name: object, weight: Weight | None) -> None:
        if weight is None or name in self._seen:
            return
        self._seen.add(name)
        new = weight.blobs - self._seen
        self._seen |= new
        self.size += weight.own + self._held.bytes_of(new)


def _size(held: Holdings, units: Iterable[_Unit]) -> int:
    sum_ = _Sum(held)
    sum_.add_all(units)
    return sum_.size


def _scale(held: Holdings, used_bytes: int) -> float:
    """What the store takes for a byte of what it holds. Texts that nothing refers to any more go in any case."""
    parts = (held.run_weights, held.step_weights, held.source_weights)
    total = sum(weight.own for part in parts for weight in part.values()) + sum(held.blobs.values())
    return max((used_bytes - _EMPTY_BYTES) / total, 1.0) if total else 1.0


def _successors_first(held: Holdings, going: Sequence[HeldStep]) -> tuple[StepId, ...]:
    """So that at no moment a step is left that needs one that is gone."""
    order: dict[StepId, None] = {}  # what is needed comes first
    for step in going:
        left = [step.id]
        while left:
            needs = [need for need in held.steps[left[-1]].needs if need in held.steps and need not in order]
            open_ = [need for need in needs if need not in left]  # a strange store may hold a circle
            if open_:
                left.append(open_[0])
            else:
                order.setdefault(left.pop())
    gone = {step.id for step in going}
    return tuple(step for step in reversed(order) if step in gone)
