"""The way of a merge to the project: edits of several files by one step, all of them made or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from ..agents.tools.file_state import digest_of
from ..model import Change, Observation
from ..observe import file_observation
from ..ports import FileMade, Footprint, PlannedEdit, ProjectFiles, Record, ToolResult
from .disk import Disk
from .epochs import Epochs
from .timeline import Timeline, Witness

#: What is stored with the edits, which are observed so.
Along = Callable[[Sequence[Observation]], Sequence[Record]]


class _Landing(Struct, frozen=True, kw_only=True):
    """What is to become of one file, with the digests of both sides."""

    file: FileMade
    before: str | None
    after: str | None

    @property
    def changes(self) -> bool:
        return self.before != self.after


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
        landing = [await _landing(made) for made in files]
        landing.sort(key=lambda each: (each.after is not None, each.file.path))  # a file may come where a folder was
        for each in landing:
            await self._claim(witness, self._files.state.footprint({"path": each.file.path}))
        if not await self._are_as_found(landing):
            return False
        seen = (*looks, *[self._seen(each) for each in landing])
        plans = [_planned(each) for each in landing if each.changes]
        refused = await self._disk.make_all(witness.id, number, plans, seen, along(seen))
        if refused is not None:
            if not await self._are_as_found(landing):
                return False
            raise refused
        for look in seen:
            self._timeline.saw(witness, look)
        return True

    async def _are_as_found(self, landing: Sequence[_Landing]) -> bool:
        for each in landing:
            digest = await self._files.digest(each.file.path)
            self._notice(each.file.path, digest)
            if digest != each.before:
                return False
        return True

    def _seen(self, landing: _Landing) -> Observation:
        path, before = landing.file.path, landing.before
        change = Change(path=path, before=before, after=landing.after) if landing.changes else None
        return file_observation(path, before, epoch=self._epochs.next(), change=change)


async def _landing(made: FileMade) -> _Landing:
    return _Landing(file=made, before=await _digest(made.before), after=await _digest(made.after))


async def _digest(contents: bytes | None) -> str | None:
    return None if contents is None else await digest_of(contents)


def _planned(landing: _Landing) -> PlannedEdit:
    made = landing.file
    return PlannedEdit(path=made.path, before=made.before, after=made.after, result=ToolResult(text="", data=None))
