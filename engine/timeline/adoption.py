"""Own edits that become plain contents of the project, and what comes of the answers that stood on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import trio

from ..events import AdoptionCause, EditsAdopted, ScriptRestarted
from ..journal import Journal
from ..model import Grounds, StepId
from ..ports import Disinherited, OwnStep
from .timeline import Timeline, Witness


class Adoptions:
    """Of one run. `start_over` ends the present pass of the script; it is told whose answer does not hold."""

    def __init__(
        self,
        timeline: Timeline,
        journal: Journal,
        own_steps: Sequence[OwnStep],
        start_over: Callable[[ScriptRestarted], None],
    ) -> None:
        self._timeline = timeline
        self._journal = journal
        self._owners: dict[StepId, OwnStep] = {step.id: step for step in own_steps}
        self._start_over = start_over
        self._adopted: set[str] = set()  # paths, so far

    async def adopt(self, paths: Iterable[str], why: AdoptionCause, number: int = 0, label: str = "") -> None:
        """Make pending edits plain contents, for the call of that number. Where an answer does not hold any more, the
        script starts over.

        Then this never returns: the pass is cancelled. Nobody may edit meanwhile.
        """
        paths = tuple(sorted(paths))
        editors = [self._owners[step] for step in self._timeline.pending_editors(paths) if step in self._owners]
        adoption = await self._timeline.adopt(paths)
        if adoption.adopted:
            self._adopted.update(paths)
            event = EditsAdopted(
                at=self._journal.now(),
                paths=paths,
                why=why,
                editors=tuple(editor.label or editor.id for editor in editors),
                run=editors[0].run_id if editors else "",
                number=number,
                label=label,
            )
            self._journal.post([Disinherited(step_id=step) for step in adoption.disinherited], [event], lazy=True)
        if adoption.refuted is not None:
            await self._restart(adoption.refuted, paths)

    def adopted_in(self, grounds: Grounds | None) -> set[str]:
        """The adopted files that a decision to run live stood on."""
        if not self._adopted or grounds is None:
            return set()
        if grounds.path is not None:
            return self._adopted & {grounds.path}
        footprint = None if grounds.observation is None else self._timeline.footprint(grounds.observation)
        return set() if footprint is None else {path for path in self._adopted if footprint.covers(path)}

    async def _restart(self, refuted: Witness, paths: tuple[str, ...]) -> NoReturn:
        now = self._journal.now()
        number, label = refuted.number, refuted.label
        self._start_over(ScriptRestarted(at=now, number=number, step=refuted.id, label=label, paths=paths))
        await trio.sleep_forever()  # until the cancellation that this asked for
        raise AssertionError("a pass that starts over is cancelled")
