"""What the steps of a run stand on: the files as they lie, and as they were before the workflow's own edits.

The rules that it keeps (docs/reuse.md says them for users): a stored answer holds if it is *retraced*, all of its edits
being own edits and all that it saw true at its time, or if it is *true now*, over its own edits and without touching a
file whose own edits nobody has claimed yet. Such pending edits are adopted, as plain contents, when something live
touches them; what was answered before is then looked at again.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from ..model import FILE_TREE, Cause, Edit, Observation, StepId
from ..observe import Replayer, View
from ..ports import Footprint
from .order import Moment, Past, Placed, contradiction
from .own_edits import OwnEdits


class Doubt(Struct, frozen=True, kw_only=True):
    """Why a stored answer does not hold."""

    cause: Cause
    observation: Observation | None = None  # the first that comes out otherwise
    path: str | None = None  # of the edit that is in the way


class Adoption(Struct, frozen=True, kw_only=True):
    """What came of edits that were to become plain contents."""

    adopted: bool  # whether there were any
    disinherited: tuple[StepId, ...] = ()  # steps that stand without the edits of earlier attempts now
    refuted: Witness | None = None  # a step that stands and whose answer does not hold any more


class Witness:
    """A step with all that it saw and did so far, as it stands in this run."""

    __slots__ = ("apart", "id", "inherited", "label", "number", "observations", "past", "placed", "silent")

    def __init__(
        self,
        step: StepId,
        past: Past,
        observations: Iterable[Observation] = (),
        inherited: Sequence[Edit] = (),
        *,
        number: int = 0,
        label: str = "",
    ) -> None:
        self.id = step
        self.number = number  # of the call that it stands for
        self.label = label
        self.past = past
        self.observations = list(observations)
        self.inherited = tuple(inherited)  # of earlier attempts: its own edits, which it did not look at
        self.placed: Placed | None = None  # for the check of the order
        self.silent = False
        self.apart = False  # what it saw in its worktree was so when it `began`, and not as the files lie now

    @property
    def edits(self) -> tuple[Edit, ...]:
        own = [edit for seen in self.observations if (edit := seen.edit) is not None]
        return (*self.inherited, *own)

    @property
    def began(self) -> int:
        """The first moment at which it can have begun."""
        return self.past.latest + 1

    @property
    def latest(self) -> int:
        return max((seen.epoch for seen in self.observations), default=0)


class Timeline:
    """Of one run. `own` holds the edits; steps that answered the script, or are at work for it, stand in it.

    Checks run tools: they are to be made while nobody edits, and none of them changes anything.
    """

    def __init__(self, own: OwnEdits, replayer: Replayer) -> None:
        self.own = own
        self._replayer = replayer
        self._standing: dict[StepId, Witness] = {}
        self._held: set[int] = set()  # epochs of their edits
        self._all_forward = True  # of those that were placed ...
        self._unplaced: list[Witness] = []  # ... and the others: as long as there are no edits, nobody asks
        #: What lies on the disk in the place of edits that only a rehearsal has made.
        self.unwritten: dict[str, str | None] = {}

    @property
    def plain(self) -> bool:
        """Whether no edit is known, so that all looks are looks at the files as they lie."""
        return not self.own.tracked

    def begin(self) -> None:
        """The script starts, or starts over: nothing stands yet."""
        self._standing.clear()
        self._held.clear()
        self._all_forward = True
        self._unplaced.clear()
        self.own.begin()

    @property
    def _disk(self) -> Mapping[str, str | None]:
        return ChainMap(self.unwritten, self.own.present) if self.unwritten else self.own.present

    def changed_beside(self) -> None:
        """Something of the project has changed that is no edit: a file that git ignores, a link, a mode."""
        self._replayer.forget()

    # ------------------------------------------------------------ who stands

    def stand(self, witness: Witness) -> None:
        self._standing[witness.id] = witness
        self._unplaced.append(witness)
        self._held.update(edit.epoch for edit in witness.edits)

    def fell_silent(self, step: StepId) -> None:
        """A step was cancelled, so that the script has no answer of it that could be wrong. Its edits stay its own."""
        if step in self._standing:
            self._standing[step].silent = True

    def saw(self, witness: Witness, observation: Observation) -> None:
        """A step that stands has seen or done one more thing."""
        witness.observations.append(observation)
        if witness.placed is not None:
            witness.placed.moments.append(self._moment(observation))
        if (edit := observation.edit) is not None:
            self._held.add(edit.epoch)
            self.own.made(witness.id, edit)

    def begin_anew(self, witness: Witness, seen: Sequence[Observation]) -> None:
        """A step does not go on with the one that it was to: it has only the edits of that one, and saw only `seen`."""
        witness.inherited = tuple(edit for edit in witness.edits if edit.epoch not in {each.epoch for each in seen})
        witness.observations = list(seen)
        self.own.inherit(witness.id, witness.inherited, ())
        witness.placed = None
        self._unplaced.append(witness)

    # ------------------------------------------------------------ whether an answer holds

    async def retraced(self, witness: Witness) -> Doubt | None:
        """None where it was true at its place. What is at work is judged by what it saw so far."""
        edits = witness.edits
        if not self.own.own(edits):
            lost = next(edit for edit in edits if edit.epoch not in self.own.tail)
            return Doubt(cause=Cause.EDITED_SINCE, path=lost.change.path)
        aside: dict[str, str | None] = {}  # what it had changed in its worktree by then
        for seen in witness.observations:
            footprint = self._replayer.footprint(seen)
            view = self.own.view(footprint, seen.epoch)
            if aside and _is_over_changes(seen):
                view = _over(view, footprint, aside)
            if not await self._replayer.comes_out(seen, view, self._disk):
                return Doubt(cause=Cause.CHANGED, observation=seen)
            if seen.aside and seen.change is not None:
                aside[seen.change.path] = seen.change.after
        if self._out_of_order(witness):
            return Doubt(cause=Cause.OUT_OF_ORDER)
        return None

    async def true_now(self, witness: Witness, pending: Collection[str]) -> Doubt | None:
        """None where all that it saw holds on the files as they lie, in order, over its own edits.

        What it saw in a worktree may as well hold without the own edits that were made since what the script had asked
        before: steps that landed beside each other began beside each other. Then `witness.apart` says so. Not those
        that saw all files: their gate has to hold for what they are merged into.
        """
        if witness.inherited:
            return Doubt(cause=Cause.EDITED_SINCE, path=witness.inherited[0].change.path)
        doubt = await self._true_now(witness, pending, apart=False)
        if doubt is not None and not self.plain and _may_be_apart(witness):
            # Pending ones could be adopted, and then they were there all the time.
            witness.apart = await self._true_now(witness, self.pending, apart=True) is None
            return None if witness.apart else doubt
        return doubt

    async def _true_now(self, witness: Witness, pending: Collection[str], *, apart: bool) -> Doubt | None:
        """`apart`: the snapshot was taken before own edits that the script did not wait for."""
        snapshot = next((seen.epoch for seen in witness.observations if seen.aside), None)
        over: dict[str, str | None] = {}
        aside: dict[str, str | None] = {}
        for seen in witness.observations:
            footprint = self._replayer.footprint(seen)
            if footprint is not None and (path := next(filter(footprint.covers, pending), None)) is not None:
                return Doubt(cause=Cause.EDITED_SINCE, path=path)
            if apart and seen.aside and seen.epoch == snapshot:
                view = self.own.view(footprint, witness.began)
                view = _over(view, footprint, aside) if _is_over_changes(seen) else view
            else:
                view = self.own.now(footprint, {**over, **aside} if _is_over_changes(seen) else over)
            if not await self._replayer.comes_out(seen, view, self._disk):
                return Doubt(cause=Cause.CHANGED, observation=seen)
            if seen.change is not None:
                (aside if seen.aside else over)[seen.change.path] = seen.change.after
        return None

    def in_order(self, witness: Witness) -> bool:
        """Whether the script's order and that of the edits agree with this step among those that stand."""
        return not self._out_of_order(witness)

    def _out_of_order(self, witness: Witness) -> bool:
        if self.plain:
            return False
        while self._unplaced:
            self._all_forward &= self._place(self._unplaced.pop()).forward
        placed = self._place(witness)
        if self._all_forward and placed.forward:
            return False
        others = [self._place(each) for each in self._standing.values() if each.id != witness.id]
        return contradiction([*others, placed])

    def _place(self, witness: Witness) -> Placed:
        if witness.placed is None:
            moments = [
                Moment(edit.epoch, Footprint(path=edit.change.path), edit.change.path) for edit in witness.inherited
            ]
            moments += map(self._moment, witness.observations)
            moments.sort(key=lambda moment: moment.epoch)  # looks of one turn may have come in any order
            witness.placed = Placed(witness.id, witness.past, moments)
        return witness.placed

    def _moment(self, seen: Observation) -> Moment:
        edited = None if seen.edit is None else seen.edit.change.path
        return Moment(seen.epoch, self._replayer.footprint(seen), edited)

    # ------------------------------------------------------------ pending edits

    @property
    def pending(self) -> set[str]:
        """Files with own edits whose step has not come yet."""
        return self.own.pending(self._held)

    def pending_below(self, footprint: Footprint | None) -> set[str]:
        """Those that a look of this footprint would touch."""
        if footprint is None or not self.own.tail:
            return set()
        return {path for path in self.pending if footprint.covers(path)}

    def footprint(self, seen: Observation) -> Footprint | None:
        return self._replayer.footprint(seen)

    def touched(self, seen: Observation) -> set[str]:
        """Pending files that a look may have seen."""
        return self.pending_below(self._replayer.footprint(seen))

    def pending_editors(self, paths: Collection[str]) -> list[StepId]:
        """The steps that made the pending edits of these files."""
        waiting = self.own.tail.difference(self._held)
        return [
            step
            for step, edits in self.own.steps.items()
            if any(edit.epoch in waiting and edit.change.path in paths for edit in edits)
        ]

    def left_over(self, steps: Iterable[StepId]) -> set[str]:
        """Files with own edits of these steps, as far as they do not stand."""
        edits = [edit for step in steps if step not in self._standing for edit in self.own.steps.get(step, ())]
        return {edit.change.path for edit in edits if edit.epoch in self.own.tail}

    async def adopt(self, paths: Iterable[str]) -> Adoption:
        """Make the pending edits of `paths` plain contents, and all edits below them there."""
        if not self.own.adopt(paths, self._held):
            return Adoption(adopted=False)
        disinherited: list[StepId] = []
        while (witness := self._without_inheritance()) is not None:
            self._disinherit(witness)
            disinherited.append(witness.id)
        refuted = await self._refuted()
        return Adoption(adopted=True, disinherited=tuple(disinherited), refuted=refuted)

    def _without_inheritance(self) -> Witness | None:
        """A step whose inherited edits are not all own edits any more."""
        heirs = (witness for witness in self._standing.values() if witness.inherited)
        return next((witness for witness in heirs if not self.own.own(witness.inherited)), None)

    async def _refuted(self) -> Witness | None:
        for witness in list(self._standing.values()):
            if not witness.silent and await self.retraced(witness) is not None:
                return witness
        return None

    def _disinherit(self, witness: Witness) -> None:
        """Edits of failed attempts are a step's own only as long as all of them are retraced."""
        self.own.disinherit(witness.id)
        self._held.difference_update(edit.epoch for edit in witness.inherited)
        witness.inherited = ()
        witness.placed = None


def _may_be_apart(witness: Witness) -> bool:
    aside = [seen for seen in witness.observations if seen.aside]
    return bool(aside) and not any(seen.tool == FILE_TREE for seen in aside)


def _is_over_changes(seen: Observation) -> bool:
    """Whether what a step had changed in its worktree counts for a look.

    The look at all files is at those of the snapshot: the rest is known from the step's own changes.
    """
    return seen.aside and seen.tool != FILE_TREE


def _over(view: View, footprint: Footprint | None, changed: Mapping[str, str | None]) -> View:
    if footprint is None:
        return view
    files = {**dict(view), **{path: digest for path, digest in changed.items() if footprint.covers(path)}}
    return tuple(sorted(files.items()))
