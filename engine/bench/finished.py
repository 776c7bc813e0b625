"""A job that is over."""

from __future__ import annotations

import trio

from ..ports import CommandEnd, FileMade
from .effects import Effects
from .putting import put


class Finished:
    """Implements `ports.Worked`. What lies beside its files comes from `top` and goes to `project`; None: it stays."""

    def __init__(self, end: CommandEnd, effects: Effects, top: str, project: str | None) -> None:
        self._end = end
        self._effects = effects
        self._top = top
        self._project = project

    @property
    def end(self) -> CommandEnd:
        return self._end

    @property
    def files(self) -> tuple[FileMade, ...]:
        return self._effects.files

    @property
    def beside(self) -> tuple[str, ...]:
        return self._effects.beside

    @property
    def refused(self) -> tuple[str, ...]:
        return self._effects.refused

    async def put_beside(self) -> None:
        effects = self._effects
        if self._project is not None and (effects.to_put or effects.modes):
            await trio.to_thread.run_sync(put, self._project, self._top, effects.to_put, effects.modes)
