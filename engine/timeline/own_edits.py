"""The own edits of a workflow, and the project as it was before some of them. Pure data, no I/O.

Own edits are those of the steps of the workflow's last invocation and of this run, as far as they are the unbroken
tail of their path's chain: the last one left the file as it lies now, and each one found it as the one before left it.
A hand edit, or that of another workflow, shows as a break and ends the tail. A step has all of its edits there or none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from ..model import Change, Edit, StepId
from ..observe import View
from ..ports import Footprint


class OwnEdits:
    """`tail` are the epochs of the own edits; a path is tracked once an edit of it is known.

    Invariant: a path's chain is in the order of epochs, and `present` says for each tracked path what lies there now.
    """

    def __init__(self, steps: Mapping[StepId, Iterable[Edit]], present: Mapping[str, str | None]) -> None:
        self.present = dict(present)  # digests by path; None: no such file
        self.steps = {step: tuple(edits) for step, edits in steps.items()}
        self._inherited: dict[StepId, tuple[Edit, ...]] = {}  # by steps of this run
        self._chains: dict[str, list[Edit]] = {}
        for edit in sorted({edit for edits in self.steps.values() for edit in edits}, key=lambda edit: edit.epoch):
            self._chains.setdefault(edit.change.path, []).append(edit)
        self._by_hand: set[int] = set()  # edits during this run that none of its steps made
        self._adopted: set[int] = set()
        self.tail: set[int] = set()
        self._tails: dict[str, list[Edit]] = {}
        self.begin()

    def begin(self) -> None:
        """The tail, for a script that starts: of all edits known so far, without those that were adopted."""
        candidates = {edit.epoch for edits in self._wholes for edit in edits} - self._adopted
        self._close(candidates | self._by_hand)

    @property
    def _wholes(self) -> Iterable[tuple[Edit, ...]]:
        """Edits that are own edits together, or not at all."""
        return chain(self.steps.values(), self._inherited.values())

    @property
    def tracked(self) -> bool:
        return bool(self._chains)

    @property
    def paths(self) -> Iterable[str]:
        return self._chains.keys()

    def edited_since(self, epoch: int) -> list[str]:
        """The tracked files with an edit after that epoch, by anybody."""
        return [path for path, edits in self._chains.items() if edits[-1].epoch > epoch]

    def own(self, edits: Iterable[Edit]) -> bool:
        """Whether all of these are in the tail."""
        return all(edit.epoch in self.tail for edit in edits)

    # ------------------------------------------------------------ what the project looked like

    def view(self, footprint: Footprint | None, epoch: int) -> View:
        """The tracked files that a look of this footprint may see, without the own edits from `epoch` on."""
        if footprint is None or not self._chains:
            return ()
        if not footprint.deep:
            path = footprint.path
            return ((path, self._before(path, epoch)),) if path in self._chains else ()
        return tuple((path, self._before(path, epoch)) for path in sorted(self._chains) if footprint.covers(path))

    def now(self, footprint: Footprint | None, over: Mapping[str, str | None]) -> View:
        """The tracked files, and those in `over`, that a look of this footprint may see now; `over` is in place."""
        if footprint is None:
            return ()
        if not footprint.deep:  # a command may have changed thousands of files
            path = footprint.path
            tracked = path in over or path in self._chains
            return ((path, over.get(path, self.present.get(path))),) if tracked else ()
        paths = sorted({*self._chains, *over})
        return tuple((path, over.get(path, self.present.get(path))) for path in paths if footprint.covers(path))

    def _before(self, path: str, epoch: int) -> str | None:
        tail = self._tails.get(path, [])
        at = bisect_right(tail, epoch - 1, key=lambda edit: edit.epoch)
        return tail[at].change.before if at < len(tail) else self.present[path]

    # ------------------------------------------------------------ what happens to it

    def made(self, step: StepId, edit: Edit) -> None:
        """A step has made an edit, which is the latest."""
        self.steps[step] = (*self.steps.get(step, ()), edit)
        self._append(self.steps[step])

    def made_again(self, step: StepId, edits: Iterable[Edit]) -> None:
        """A stored step's edits were made again, with these epochs: the earlier ones are nobody's any more."""
        self.steps[step] = tuple(edits)
        for number in range(len(self.steps[step])):
            self._append(self.steps[step][: number + 1])

    def found(self, path: str, digest: str | None, epoch: int) -> None:
        """A tracked file lies there otherwise than it was left: a person has edited it while the run was on."""
        before = self.present[path]
        if before == digest:
            return
        self._by_hand.add(epoch)
        self._append((Edit(epoch=epoch, change=Change(path=path, before=before, after=digest)),))

    def inherit(self, step: StepId, inherited: Sequence[Edit], made: Sequence[Edit]) -> None:
        """A step that begins owns these edits, of an earlier attempt or of one that it goes on with, from now on.

        Those that it `made` itself stay its own where it loses those that it `inherited`.
        """
        if not inherited and not made:
            return
        taken = {edit.epoch for edit in (*inherited, *made)}
        for groups in (self.steps, self._inherited):
            for other, edits in groups.items():
                groups[other] = tuple(edit for edit in edits if edit.epoch not in taken)
        self.steps[step] = tuple(made)
        self._inherited[step] = tuple(inherited)

    def disinherit(self, step: StepId) -> None:
        """What a step inherited is plain contents from now on."""
        lost = {edit.epoch for edit in self._inherited.pop(step, ())}
        self.give_up(lost)
        self._adopted |= lost

    def _append(self, edits: tuple[Edit, ...]) -> None:
        """The last of some edits, which are those of one step so far, goes to the end of its chain."""
        edit = edits[-1]
        path = edit.change.path
        latest = edits[-2:-1]  # of one step all are in the tail, or none
        whole = self.own(latest) and self.present.get(path, edit.change.before) == edit.change.before
        self._chains.setdefault(path, []).append(edit)
        self.present[path] = edit.change.after
        if whole:  # the usual case: what was closed stays so
            self.tail |= {edit.epoch}
            self._tails.setdefault(path, []).append(edit)
        else:
            self._close({*self.tail, edit.epoch})

    def adopt(self, paths: Iterable[str], held: Iterable[int]) -> bool:
        """Make plain contents of the edits of `paths` that no step of this run holds, and all below them there.

        `held` are the epochs of the steps that this run was answered by or works on. Whether anything changed.
        """
        kept = {*held, *self._by_hand}
        gone: set[int] = set()
        for path in paths:
            epochs = [edit.epoch for edit in self._tails.get(path, [])]
            top = max((epoch for epoch in epochs if epoch not in kept), default=-1)
            gone.update(epoch for epoch in epochs if epoch <= top)
        return self.give_up(gone)

    def give_up(self, epochs: Iterable[int]) -> bool:
        """Make plain contents of these edits, and of those of the same steps. Whether anything changed."""
        before = self.tail
        self._close(before.difference(epochs))
        self._adopted |= before - self.tail
        return before != self.tail

    def pending(self, held: Iterable[int]) -> set[str]:
        """Paths with own edits whose step has not come yet."""
        waiting = self.tail.difference(held) - self._by_hand
        if not waiting:
            return set()
        return {path for path, tail in self._tails.items() if any(edit.epoch in waiting for edit in tail)}

    def _close(self, candidates: set[int]) -> None:
        """The largest tail among `candidates` that holds each step with all of its edits or none."""
        while True:
            tails = {path: self._unbroken(path, candidates) for path in self._chains}
            tail = {edit.epoch for edits in tails.values() for edit in edits}
            for edits in self._wholes:
                if not all(edit.epoch in tail for edit in edits):
                    tail.difference_update(edit.epoch for edit in edits)
            if tail == candidates:
                break
            candidates = tail
        self.tail, self._tails = tail, {path: edits for path, edits in tails.items() if edits}

    def _unbroken(self, path: str, candidates: set[int]) -> list[Edit]:
        tail: list[Edit] = []
        contents = self.present[path]
        for edit in reversed(self._chains[path]):
            if edit.epoch not in candidates or edit.change.after != contents:
                break
            tail.append(edit)
            contents = edit.change.before
        return tail[::-1]
