"""What became of files, with the digests of both sides: how it is observed, stored and made."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ..agents.tools.file_state import digest_of
from ..model import Change, Observation
from ..observe import file_observation
from ..ports import FileContents, FileMade, PlannedEdit, ToolResult

_NOTHING_SAID = ToolResult(text="", data=None)


class Made(Struct, frozen=True, kw_only=True):
    """Of one file: what it was and what it is to be. Digests are None where there is no such file."""

    file: FileMade
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def changes(self) -> bool:
        return self.before != self.after

    @property
    def contents(self) -> list[FileContents]:
        """Of both sides, for the store."""
        return contents_of((self.before, self.file.before), (self.after, self.file.after))

    def seen(self, epoch: int, *, aside: bool = False) -> Observation:
        """How it is observed: as a look at the file, which says what came of it if that is anything."""
        change = Change(path=self.path, before=self.before, after=self.after) if self.changes else None
        return file_observation(self.path, self.before, epoch=epoch, change=change, aside=aside)

    def planned(self, result: ToolResult = _NOTHING_SAID) -> PlannedEdit:
        return PlannedEdit(path=self.path, before=self.file.before, after=self.file.after, result=result)


def contents_of(*sides: tuple[str | None, bytes | None]) -> list[FileContents]:
    """For the store: contents by their digests, of the sides on which there is a file."""
    return [FileContents(digest=digest, data=data) for digest, data in sides if digest is not None and data is not None]


async def made_of(file: FileMade) -> Made:
    return Made(file=file, before=await _digest(file.before), after=await _digest(file.after))


def in_order(made: Iterable[Made]) -> list[Made]:
    """In which they can be made: a file may come where a folder was, and the reverse."""
    return sorted(made, key=lambda each: (each.after is not None, each.path))


async def _digest(contents: bytes | None) -> str | None:
    return None if contents is None else await digest_of(contents)
