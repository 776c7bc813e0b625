"""Which lines differ between pairs of texts, as git finds it: texts that lie in no repository, all in one start.

Git sees them under names of ours in folders of ours, and prints line numbers that are read; their contents, which may
look like anything, are never taken for its words.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from msgspec import Struct

from ..errors import ToolFailed
from ..ports import CommandEnd, CommandRunner
from .borrowed import make_empty
from .program import run_git

#: Of one text; of all texts of one start, so that memory stays bounded; and of what git may print of them.
MAX_TEXT_BYTES = 8 * 1024 * 1024
_START_BYTES = 4 * MAX_TEXT_BYTES
_OUTPUT_BYTES = 3 * _START_BYTES
_OLD, _NEW = "old", "new"
_DIFF = (
    "diff", "--no-index", "--text", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--diff-algorithm=myers", "--no-indent-heuristic", "--src-prefix=a/", "--dst-prefix=b/", "--", _OLD, _NEW,
)  # fmt: skip
#: Every line of contents begins with a space, `+`, `-` or `\`, so that these are git's own.
_LINE = re.compile(rb"^(?:diff --git a/old/(\d+) |@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@)", re.MULTILINE)


class LineChange(Struct, frozen=True):
    """Lines `start` to `end` of the old text became `new_start` to `new_end` of the new one: from 0, without the end.

    A line ends behind its newline, and only there; the last one may have none.
    """

    start: int
    end: int
    new_start: int
    new_end: int


class TooMuch(ToolFailed):
    """Texts that cannot be compared within the limits of time, memory and output."""


class Differ:
    """Compares texts through the git of this machine, confined."""

    def __init__(self, runner: CommandRunner) -> None:
        self._runner = runner

    async def changes(
        self, pairs: Sequence[tuple[bytes, bytes]], *, within_s: float
    ) -> list[tuple[LineChange, ...] | TooMuch]:
        """Of each pair of old and new text, in order; what is too much for the limits has its error in its place.

        All of it takes at most about `within_s`. Raises ToolFailed where there is no git, or none that can be run.
        """
        until = trio.current_time() + within_s
        fitting = [pair for pair in pairs if _fits(pair)]
        told = [each for start in _starts(fitting) for each in await self._told(start, until)]
        answers = iter(told)
        return [next(answers) if _fits(pair) else TooMuch(_LARGE) for pair in pairs]

    async def _told(self, pairs: Sequence[tuple[bytes, bytes]], until: float) -> list[tuple[LineChange, ...] | TooMuch]:
        """In halves where all at once is too much, so that only what is to blame goes without an answer."""
        try:
            return [*await self._compared(pairs, until)]
        except TooMuch as error:
            if len(pairs) == 1:
                return [error]
        half = len(pairs) // 2
        return [*await self._told(pairs[:half], until), *await self._told(pairs[half:], until)]

    async def _compared(self, pairs: Sequence[tuple[bytes, bytes]], until: float) -> list[tuple[LineChange, ...]]:
        left = until - trio.current_time()
        if left <= 0:
            raise TooMuch(_LATE)
        async with _laid_out(pairs) as folder:
            # A half of what is left, so that the others have their turn if these are too much.
            end = await self._run(folder, left if len(pairs) == 1 else left / 2)
        return await trio.to_thread.run_sync(_parsed, end.stdout, len(pairs))

    async def _run(self, folder: str, timeout_s: float) -> CommandEnd:
        end = await run_git(
            self._runner,
            ("-C", folder, *_DIFF),
            readable=(folder,),
            environment={"GIT_DIR": f"{folder}/git", "GIT_WORK_TREE": folder},
            timeout_s=timeout_s,
            output_bytes=_OUTPUT_BYTES,
        )
        if end.timed_out or end.over_limit:
            raise TooMuch(_LATE)
        if end.stdout_dropped:
            raise TooMuch("they differ in too many lines")
        if end.exit_code not in (0, 1):  # 1: they differ
            raise ToolFailed("git could not compare two texts")
        return end


_LATE = "git could not compare them in time"
_LARGE = f"larger than {MAX_TEXT_BYTES:,} bytes"


def _fits(pair: tuple[bytes, bytes]) -> bool:
    return max(map(len, pair)) <= MAX_TEXT_BYTES


def _starts(pairs: Sequence[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
    """The pairs in order, as many together as fit."""
    starts: list[list[tuple[bytes, bytes]]] = []
    size = 0
    for pair in pairs:
        own = len(pair[0]) + len(pair[1])
        if not starts or size + own > _START_BYTES:
            starts.append([])
            size = 0
        starts[-1].append(pair)
        size += own
    return starts


@asynccontextmanager
async def _laid_out(pairs: Sequence[tuple[bytes, bytes]]) -> AsyncIterator[str]:
    """A folder that holds them by number, and an empty repository, which keeps git from looking for one."""
    folder = await trio.to_thread.run_sync(_lay_out, pairs)
    try:
        yield folder
    finally:
        with trio.CancelScope(shield=True):  # bounded by what was made
            await trio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))


def _lay_out(pairs: Sequence[tuple[bytes, bytes]]) -> str:
    folder = os.path.realpath(tempfile.mkdtemp(prefix="vibe-git-"))
    try:
        make_empty(f"{folder}/git")
        for side, name in enumerate((_OLD, _NEW)):
            os.mkdir(f"{folder}/{name}")
            for number, pair in enumerate(pairs):
                with open(f"{folder}/{name}/{number}", "wb") as file:
                    file.write(pair[side])
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ToolFailed(f"no room to compare two texts: {os.strerror(error.errno or 0)}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _parsed(output: bytes, count: int) -> list[tuple[LineChange, ...]]:
    found: list[list[LineChange]] = [[] for _ in range(count)]
    own: list[LineChange] = []
    for number, *span in map(re.Match.groups, _LINE.finditer(output)):
        if number is not None:
            own = found[int(number)]
        else:
            own.append(LineChange(*_span(span[0], span[1]), *_span(span[2], span[3])))
    return [tuple(changes) for changes in found]


def _span(first: bytes, count: bytes | None) -> tuple[int, int]:
    """Git counts lines from 1, and names the line before where there are none."""
    number = 1 if count is None else int(count)
    start = int(first) - (1 if number else 0)
    return start, start + number
