"""The way of a merge to the project: edits of several files by one step, all of them made or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ..model import Observation
from ..ports import FileMade, Footprint, ProjectFiles, Record
from .disk import Disk
from .epochs import Epochs
from .made import Made, in_order, made_of
from .timeline import Timeline, Witness

#: What is stored with the edits, which are observed so.
Along = Callable[[Sequence[Observation]], Sequence[Record]]


class Landings:
    """Of one run. `claim` adopts pending edits below a footprint, `notice` tells how a file lies there."""

    def __init__(
        self,
        *,
        timeline: Timeline,
        disk: Disk,
        epochs: Epochs,
        files: ProjectFiles,
        claim: Callable[[Witness, Footprint | None], Awaitable[None]],
        notice: Callable[[str, str | None], None],
    ) -> None:
        self._timeline = timeline
        self._disk = disk
        self._epochs = epochs
        self._files = files
        self._claim = claim
        self._notice = notice

    async def land(
        self, witness: Witness, number: int, files: Sequence[FileMade], looks: Sequence[Observation], along: Along
    ) -> bool:
        """Make of these files what they are to be, if they all still are as they were found; False: they are not.

        `looks` were taken for it before. What `along` gives of all that was seen is durable before the disk is touched;
        from then on a cancellation waits for the end. Raises ToolFailed or ToolDenied where a file cannot be written,
        and then none is. Nobody may edit meanwhile.
        """
        landing = in_order([await made_of(file) for file in files])
        for each in landing:
            await self._claim(witness, self._files.state.footprint({"path": each.path}))
        if not await self._are_as_found(landing):
            return False
        seen = (*looks, *[each.seen(self._epochs.next()) for each in landing])
        plans = [each.planned() for each in landing if each.changes]
        refused = await self._disk.make_all(witness.id, number, plans, seen, along(seen))
        if refused is not None:
            if not await self._are_as_found(landing):
                return False
            raise refused
        for look in seen:
            self._timeline.saw(witness, look)
        return True

    async def _are_as_found(self, landing: Sequence[Made]) -> bool:
        for each in landing:
            digest = await self._files.digest(each.path)
            self._notice(each.path, digest)
            if digest != each.before:
                return False
        return True
