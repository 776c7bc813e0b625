"""Records in a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from vibe_workflows.engine.ports import Record, StoreReader


class KeptRecords:
    """A store whose transactions are durable at once, in a list."""

    reusable = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    @property
    def reader(self) -> StoreReader:
        raise NotImplementedError("steps read nothing back")

    def post(self, records: Sequence[Record], then: Callable[[], None] | None = None, *, lazy: bool = False) -> None:
        self.records += records
        if then is not None:
            then()

    async def commit(self, records: Sequence[Record]) -> None:
        await trio.lowlevel.checkpoint()
        self.records += records
