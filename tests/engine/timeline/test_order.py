"""Whether the script's order and that of the edits contradict each other, as judged by a comparison of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tests.support.dict_project import PATHS
from tests.support.rules_explained import Moment as Pair
from tests.support.rules_explained import circular
from vibe_workflows.engine.model import StepId
from vibe_workflows.engine.ports import Footprint
from vibe_workflows.engine.timeline.order import NOTHING_YET, Moment, Past, Placed, contradiction

_EVERYTHING = Footprint(path="", deep=True)


@dataclass(frozen=True)
class Shape:
    """A step: what it sees (None: all files) and edits, the steps that it comes after, and whether it is there."""

    moments: tuple[tuple[str | None, bool], ...]
    after: frozenset[int]
    stands: bool


moments = st.tuples(st.none() | st.sampled_from(PATHS), st.booleans()).map(
    lambda each: (each[0], each[1] and bool(each[0]))
)
shapes = st.builds(
    Shape,
    st.lists(moments, max_size=3).map(tuple),
    st.frozensets(st.integers(0, 4), max_size=2),
    st.sampled_from([True, True, True, False]),
)


@given(st.lists(shapes, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_orders_contradict_each_other_where_some_pairs_go_round_in_a_circle(steps: list[Shape], dice: object) -> None:
    count = sum(len(step.moments) for step in steps)
    epochs = list(range(1, count + 1))
    dice.shuffle(epochs)  # type: ignore[attr-defined]
    placed: list[Placed] = []
    pairs: dict[str, list[Pair]] = {}
    after: dict[str, set[str]] = {}
    pasts: list[Past] = []
    for number, step in enumerate(steps):
        name = StepId(f"s{number}")
        earlier = sorted(each for each in step.after if each < number)
        past = Past.joined([NOTHING_YET, *(pasts[each] for each in earlier)])
        own = sorted(epochs.pop() for _ in step.moments)
        looks = [
            Moment(epoch, _EVERYTHING if path is None else Footprint(path=path), path if edited else None)
            for epoch, (path, edited) in zip(own, step.moments, strict=True)
        ]
        pasts.append(past.then(name, max(own, default=0)))
        after[name] = {f"s{each}" for each in earlier}.union(*(after[f"s{each}"] for each in earlier))
        if step.stands:
            placed.append(Placed(name, past, looks))
            pairs[name] = [
                Pair(epoch, frozenset(PATHS if path is None else [path]), edited)
                for epoch, (path, edited) in zip(own, step.moments, strict=True)
            ]
    assert contradiction(placed) is circular(pairs, after)


def _edit(epoch: int, path: str) -> Moment:
    return Moment(epoch, Footprint(path=path), path)


def test_a_step_that_saw_what_a_later_one_edited_is_out_of_order() -> None:
    editor = Placed(StepId("late"), NOTHING_YET.then(StepId("early"), 9), [_edit(3, "a.py")])
    reader = Placed(StepId("early"), NOTHING_YET, [Moment(9, Footprint(path="a.py"))])
    other = Placed(StepId("early"), NOTHING_YET, [Moment(9, Footprint(path="b.py"))])
    assert contradiction([editor, reader])
    assert not contradiction([editor, other])


def test_a_contradiction_is_found_through_pasts_of_steps_that_are_not_there() -> None:
    past = NOTHING_YET.then(StepId("early"), 9).then(StepId("between"), 0)
    editor = Placed(StepId("late"), Past.joined([past, NOTHING_YET]), [_edit(3, "a.py")])
    reader = Placed(StepId("early"), NOTHING_YET, [Moment(9, _EVERYTHING)])
    assert contradiction([editor, reader])


def test_a_thousand_steps_one_after_another_are_judged_without_recursion() -> None:
    past = NOTHING_YET
    steps: list[Placed] = []
    for number in range(1_000):
        steps.append(Placed(StepId(f"s{number}"), past, [_edit(2_000 - number, f"{number}.py")]))
        past = past.then(steps[-1].id, steps[-1].last)
    assert not contradiction(steps)
    steps.append(Placed(StepId("last"), past, [_edit(1, "0.py")]))
    assert contradiction(steps)
