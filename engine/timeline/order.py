"""Whether the script's order and that of the edits contradict each other. Pure data, no I/O.

A stored answer may be given where some order of all looks and edits explains everything: steps in the script's order,
the looks and edits of a step in their own, and of two that meet at a file, one of them an edit, the earlier one
first. There is one unless these go round in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from ..model import StepId
from ..ports import Footprint


class Past:
    """What a branch of a script was answered so far: a step after another past, or several pasts that were joined."""

    __slots__ = ("latest", "parents", "step")

    def __init__(self, step: StepId | None, parents: tuple[Past, ...], latest: int) -> None:
        self.step = step
        self.parents = parents
        self.latest = latest  # the highest epoch of all its steps

    def then(self, step: StepId, latest: int) -> Past:
        return Past(step, (self,), max(self.latest, latest))

    def steps(self) -> set[StepId]:
        """All steps in it."""
        found: set[StepId] = set()
        known: set[Past] = set()
        left = [self]
        while left:
            past = left.pop()
            if past in known:
                continue
            known.add(past)
            left.extend(past.parents)
            if past.step is not None:
                found.add(past.step)
        return found

    @staticmethod
    def joined(pasts: Sequence[Past]) -> Past:
        return Past(None, tuple(pasts), max(past.latest for past in pasts))


NOTHING_YET = Past(None, (), 0)


class Moment(Struct, frozen=True):
    """One look, or an edit, of a step."""

    epoch: int
    footprint: Footprint | None
    edited: str | None = None  # the path


class Placed(Struct, eq=False):
    """A step of this run: what it was asked after, and what it saw and did, in order."""

    id: StepId
    past: Past
    moments: list[Moment]

    @property
    def first(self) -> int | None:
        return min((moment.epoch for moment in self.moments), default=None)

    @property
    def last(self) -> int:
        return max((moment.epoch for moment in self.moments), default=0)

    @property
    def forward(self) -> bool:
        """Whether it saw and did all after what the script had been answered before."""
        return all(moment.epoch > self.past.latest for moment in self.moments)


def contradiction(steps: Iterable[Placed]) -> bool:
    """Whether the orders of these steps go round in a circle."""
    placed = list(steps)
    if all(step.forward for step in placed):
        return False  # then epochs are one order that explains all
    return _Graph(placed).has_circle()


class _Graph:
    """Nodes are moments and pasts; an edge says which of two comes first."""

    def __init__(self, steps: Sequence[Placed]) -> None:
        self._after: dict[object, list[object]] = {}
        ends: dict[StepId, list[object]] = {}
        edited = {moment.edited for step in steps for moment in step.moments if moment.edited is not None}
        at: dict[str, list[tuple[Moment, object]]] = {path: [] for path in edited}
        for step in steps:
            before: object = step.past
            for number, moment in enumerate(step.moments):
                met = [path for path in edited if moment.footprint is not None and moment.footprint.covers(path)]
                if not met:
                    continue
                node = (step.id, number)
                self._edge(before, node)
                before = node
                for path in met:
                    at[path].append((moment, node))
            ends.setdefault(step.id, []).append(before)
        self._add_pasts([step.past for step in steps], ends)
        for path, moments in at.items():
            self._add_conflicts(path, sorted(moments, key=lambda each: each[0].epoch))

    def _edge(self, first: object, then: object) -> None:
        self._after.setdefault(first, []).append(then)

    def _add_pasts(self, pasts: list[Past], ends: dict[StepId, list[object]]) -> None:
        known: set[Past] = set()
        while pasts:
            past = pasts.pop()
            if past in known:
                continue
            known.add(past)
            for end in ends.get(past.step, ()) if past.step is not None else ():
                self._edge(end, past)
            for parent in past.parents:
                self._edge(parent, past)
                pasts.append(parent)

    def _add_conflicts(self, path: str, moments: Sequence[tuple[Moment, object]]) -> None:
        """Each edit comes after the edit before it and the looks since; each look after the edit before it."""
        edit: object | None = None
        looks: list[object] = []
        for moment, node in moments:
            if edit is not None:
                self._edge(edit, node)
            if moment.edited == path:
                for look in looks:
                    self._edge(look, node)
                edit, looks = node, []
            else:
                looks.append(node)

    def has_circle(self) -> bool:
        done: set[object] = set()
        for start in list(self._after):
            if start in done:
                continue
            way: list[tuple[object, Iterator[object]]] = [(start, iter(self._after.get(start, ())))]
            under_way = {start}
            while way:
                node, rest = way[-1]
                following = next(rest, None)
                if following is None:
                    way.pop()
                    under_way.discard(node)
                    done.add(node)
                elif following in under_way:
                    return True
                elif following not in done:
                    under_way.add(following)
                    way.append((following, iter(self._after.get(following, ()))))
        return False
