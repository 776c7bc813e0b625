"""Own edits against a model that tries all sets of steps: whole steps, unbroken tails, adoption, and views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.dict_project import PATHS
from vibe_workflows.engine.model import Change, Edit, StepId
from vibe_workflows.engine.ports import Footprint
from vibe_workflows.engine.timeline.own_edits import OwnEdits

STEPS = tuple(StepId(name) for name in "abcd")
_EVERYTHING = Footprint(path="", deep=True)
CONTENTS = (None, "x", "y")


class Model:
    """Knows all edits, and finds the largest set of steps whose edits all lie at the ends of their chains."""

    def __init__(self, steps: Mapping[StepId, Iterable[Edit]], present: Mapping[str, str | None]) -> None:
        self.present = dict(present)
        self.owner = {edit.epoch: step for step, edits in steps.items() for edit in edits}
        self.edits = {edit.epoch: edit for edits in steps.values() for edit in edits}
        self.by_hand: set[int] = set()
        self.adopted: set[int] = set()
        self.tail = self.largest(set(self.edits))

    def largest(self, candidates: set[int]) -> set[int]:
        owners = sorted({self.owner[epoch] for epoch in candidates - self.by_hand})
        best: set[int] = set()
        for some in chain.from_iterable(combinations(owners, count) for count in range(len(owners) + 1)):
            epochs = {epoch for epoch, step in self.owner.items() if step in some}
            for hand in chain.from_iterable(
                combinations(sorted(self.by_hand & candidates), count) for count in range(len(self.by_hand) + 1)
            ):
                tail = epochs | set(hand)
                if tail <= candidates and self.unbroken(tail):
                    best |= tail
        return best

    def unbroken(self, tail: set[int]) -> bool:
        for path in PATHS:
            mine = sorted(epoch for epoch in tail if self.edits[epoch].change.path == path)
            every = sorted(epoch for epoch, edit in self.edits.items() if edit.change.path == path)
            if mine and mine != every[-len(mine) :]:
                return False
            contents = self.present.get(path)
            for epoch in reversed(mine):
                change = self.edits[epoch].change
                if change.after != contents:
                    return False
                contents = change.before
        return True

    def add(self, edit: Edit, step: StepId | None) -> None:
        self.edits[edit.epoch] = edit
        self.present[edit.change.path] = edit.change.after
        if step is None:
            self.by_hand.add(edit.epoch)
        else:
            self.owner[edit.epoch] = step
        self.tail = self.largest(self.tail | {edit.epoch})

    def adopt(self, paths: Iterable[str], held: set[int]) -> None:
        gone: set[int] = set()
        for path in paths:
            mine = [epoch for epoch in self.tail if self.edits[epoch].change.path == path]
            top = max((epoch for epoch in mine if epoch not in held | self.by_hand), default=-1)
            gone.update(epoch for epoch in mine if epoch <= top)
        before = self.tail
        self.tail = self.largest(self.tail - gone)
        self.adopted |= before - self.tail

    def begin(self) -> None:
        self.tail = self.largest(set(self.edits) - self.adopted)

    def at(self, path: str, epoch: int) -> str | None:
        """What lay at a path before an epoch, with the tail's edits of then and later taken back."""
        contents = self.present.get(path)
        for later in sorted(self.tail, reverse=True):
            change = self.edits[later].change
            if later >= epoch and change.path == path:
                contents = change.before
        return contents


edits = st.tuples(st.sampled_from(STEPS), st.sampled_from(PATHS), st.sampled_from(CONTENTS), st.sampled_from(CONTENTS))
acts = st.one_of(
    st.tuples(st.just("made"), edits),
    st.tuples(st.just("found"), edits),
    st.tuples(
        st.just("adopt"), st.tuples(st.frozensets(st.sampled_from(PATHS)), st.frozensets(st.sampled_from(STEPS)))
    ),
    st.tuples(st.just("begin"), st.none()),
)


def _earlier(known: list[tuple[StepId, str, str | None, str | None]]) -> dict[StepId, list[Edit]]:
    """The edits of an earlier invocation. Each says itself what it found there: so hand edits lie between some."""
    steps: dict[StepId, list[Edit]] = {}
    for epoch, (step, path, before, after) in enumerate(known, start=1):
        if before != after:
            edit = Edit(epoch=epoch, change=Change(path=path, before=before, after=after))
            steps.setdefault(step, []).append(edit)
    return steps


@given(
    st.lists(edits, max_size=5), st.fixed_dictionaries(dict.fromkeys(PATHS, st.sampled_from(CONTENTS))), st.lists(acts)
)
def test_the_tail_is_the_largest_that_holds_steps_as_a_whole(
    known: list[tuple[StepId, str, str | None, str | None]],
    present: dict[str, str | None],
    happened: list[tuple[str, tuple[object, ...]]],
) -> None:
    steps = _earlier(known)
    own = OwnEdits(steps, {edit.change.path: present[edit.change.path] for each in steps.values() for edit in each})
    model = Model(steps, present)
    _compare(own, model)
    for epoch, (act, what) in enumerate(happened, start=10):
        _act(own, model, act, what, epoch)
        _compare(own, model)


def _act(own: OwnEdits, model: Model, act: str, what: object, epoch: int) -> None:
    match act, what:
        case "made", (str() as step, str() as path, _, None | str() as after) if model.present.get(path) != after:
            edit = Edit(epoch=epoch, change=Change(path=path, before=model.present.get(path), after=after))
            own.made(StepId(step), edit)
            model.add(edit, StepId(step))
        case "found", (_, str() as path, _, None | str() as after) if (
            path in own.present and own.present[path] != after
        ):
            edit = Edit(epoch=epoch, change=Change(path=path, before=own.present[path], after=after))
            own.found(path, after, epoch)
            model.add(edit, None)
        case "adopt", (frozenset() as paths, frozenset() as standing):
            held = {each for each, step in model.owner.items() if step in standing}
            own.adopt(paths, held)
            model.adopt(paths, held)
        case "begin", _:
            own.begin()
            model.begin()


def _compare(own: OwnEdits, model: Model) -> None:
    assert own.tail == model.tail
    tracked = sorted(own.paths)
    for epoch in (0, *(each + later for each in model.edits for later in (0, 1))):
        assert own.view(_EVERYTHING, epoch) == tuple((path, model.at(path, epoch)) for path in tracked)
        for path in PATHS:
            seen = own.view(Footprint(path=path), epoch)
            assert seen == (((path, model.at(path, epoch)),) if path in tracked else ())
    for held in ((), model.tail):
        waiting = {model.edits[epoch].change.path for epoch in model.tail.difference(held) - model.by_hand}
        assert own.pending(held) == waiting


def test_what_a_step_inherited_is_lost_as_a_whole_and_what_it_made_is_not() -> None:
    inherited = [
        Edit(epoch=1, change=Change(path="a.py", before=None, after="x")),
        Edit(epoch=2, change=Change(path="b.py", before=None, after="x")),
    ]
    over_it = Edit(epoch=3, change=Change(path="b.py", before="x", after="y"))
    made = Edit(epoch=4, change=Change(path="a.py", before="x", after="y"))
    own = OwnEdits({STEPS[0]: inherited, STEPS[1]: [over_it]}, {"a.py": "x", "b.py": "y"})
    own.inherit(STEPS[2], inherited, [])
    own.made(STEPS[2], made)
    assert own.tail == {1, 2, 3, 4}
    assert own.adopt(["b.py"], held=[1, 2, 4])
    assert own.tail == {4}
    own.disinherit(STEPS[2])
    own.begin()
    assert own.tail == {4}, "what became plain contents stays so"
