"""A job that is over."""

from __future__ import annotations

import trio
from msgspec import Struct

from ..ports import CommandEnd, FileMade
from .effects import Effects
from .premises import Premises
from .putting import folders_of, put


class Destination(Struct, frozen=True):
    """Where a job's doings go. `premises` are told first: the next start clears what a kill leaves half made."""

    project: str
    premises: Premises


class Finished:
    """Implements `ports.Worked`. What lies beside its files comes from `top` and goes to `to`; None: it stays."""

    def __init__(self, end: CommandEnd, effects: Effects, top: str, to: Destination | None) -> None:
        self._end = end
        self._effects = effects
        self._top = top
        self._to = to

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
        if self._to is not None and (effects.to_put or effects.modes):
            await trio.to_thread.run_sync(self._put, self._to)

    def _put(self, to: Destination) -> None:
        with to.premises.putting(folders_of(self._effects.to_put)):
            put(to.project, self._top, self._effects.to_put, self._effects.modes)
