"""Pools of samples: the same place first, then the oldest, nothing twice, nothing untrue, nothing needlessly live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.keys import step_key
from vibe_workflows.engine.model import NO_USAGE, Observation, StepId, StepKey
from vibe_workflows.engine.ports import CutOffStep, StoredStep
from vibe_workflows.engine.reuse import Reuse


@dataclass(frozen=True)
class Call:
    canonical: str
    place: str
    horizon: float | None = None
    refreshed: bool = False

    @property
    def key(self) -> StepKey:
        return step_key(self.canonical[:1])  # specs that begin alike collide: the bytes must decide


def _sample(number: int, canonical: str, place: str, saw: str | None = None) -> StoredStep:
    seen = () if saw is None else (Observation(tool="read_file", arguments=saw, digest="d"),)
    return StoredStep(
        id=StepId(f"r-{number}"),
        finished_seq=number,
        finished_at=float(number),
        spec=canonical,
        result="1",
        usage=NO_USAGE,
        place=place,
        model="m",
        turns=1,
        observations=seen,
    )


@dataclass(frozen=True)
class Stored:
    """The part of a store that reuse reads."""

    samples: list[StoredStep]
    steps: list[CutOffStep] = field(default_factory=list)

    def pool(self, key: StepKey) -> list[StoredStep]:
        return [each for each in self.samples if step_key(each.spec[:1]) == key]

    def attempts_with_edits(self, key: StepKey) -> list[CutOffStep]:
        return []

    def has_edits(self) -> bool:
        return False

    def cut_off(self, key: StepKey) -> list[CutOffStep]:
        return [each for each in self.steps if step_key(each.spec[:1]) == key]


def _reuse(samples: list[StoredStep]) -> Reuse:
    return Reuse(Stored(samples))


def _nothing_changed(observations: Iterable[Observation]) -> Observation | None:
    return None


specs = st.sampled_from(["a", "ab", "b"])
places = st.sampled_from(["p0", "p1", "p2", "p3"])


@given(
    st.lists(st.tuples(specs, places, st.sampled_from([None, "kept", "changed"])), max_size=10),
    st.lists(st.tuples(specs, places, st.none() | st.integers(0, 12)), max_size=10, unique_by=lambda call: call[:2]),
)
def test_a_call_is_live_only_if_no_usable_sample_is_left(
    stored: list[tuple[str, str, str | None]], asked: list[tuple[str, str, int | None]]
) -> None:
    samples = [_sample(number, *each) for number, each in enumerate(stored)]
    calls = [Call(spec, place, None if horizon is None else float(horizon)) for spec, place, horizon in asked]

    def changed(observations: Iterable[Observation]) -> Observation | None:
        return next((each for each in observations if each.arguments == "changed"), None)

    decisions = _reuse(samples).decide(calls, changed)
    used = [each.stored for each in decisions if each.stored is not None]
    assert len({each.id for each in used}) == len(used)
    for call, decision in zip(calls, decisions, strict=True):
        usable = [
            each
            for each in samples
            if each.spec == call.canonical
            and changed(each.observations) is None
            and (call.horizon is None or each.finished_at >= call.horizon)
        ]
        if decision.stored is not None:
            assert decision.stored in usable
            own = [each for each in usable if each.place == call.place]
            if own:
                assert decision.stored.place == call.place
        else:
            assert all(each in used for each in usable), "live although a usable sample was left"


@given(st.integers(1, 6), st.permutations(range(6)))
def test_identical_voters_keep_their_own_answers_in_whatever_order_they_ask(count: int, order: list[int]) -> None:
    samples = [_sample(number, "vote", f"trail.{number}") for number in range(count)]
    calls = [Call("vote", f"trail.{number}") for number in order if number < count]
    decisions = _reuse(samples).decide(calls, _nothing_changed)
    assert [each.stored.place for each in decisions if each.stored] == [call.place for call in calls]


@given(
    st.lists(st.sampled_from("abcdef"), max_size=8),
    st.lists(st.sampled_from("abcdef"), max_size=8),
)
def test_inserting_removing_and_reordering_items_costs_only_the_new_ones(before: list[str], after: list[str]) -> None:
    samples = [_sample(number, item, f"{item}.{number}") for number, item in enumerate(before)]
    reuse = _reuse(samples)
    calls = [Call(item, f"{item}.{number}") for number, item in enumerate(after)]
    live = [
        call for call, each in zip(calls, reuse.decide(calls, _nothing_changed), strict=True) if each.stored is None
    ]
    new = Counter(after) - Counter(before)
    assert Counter(call.canonical for call in live) == new


def test_the_reason_of_a_miss_names_what_changed() -> None:
    sample = _sample(1, "a", "p", "changed")
    reuse = _reuse([sample])
    (decision,) = reuse.decide([Call("a", "p")], lambda observations: next(iter(observations), None))
    assert decision.stored is None
    assert decision.reason == "live: what r-1 saw has changed: read_file changed"
