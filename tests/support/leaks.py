"""What a test must not leave behind: threads, open files, child processes, tasks on an island.

Import both fixtures into a conftest.py: `nothing_is_left` is used by every test below it. It costs a fraction of a
millisecond; a test that leaves something waits for it until a deadline, then fails and names it.
"""

from __future__ import annotations

import asyncio.runners
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: What ends on its own (a joined thread, a reaped child) is given so long. A leak costs it once, and fails.
DEADLINE_S = 5.0
_LOOK_AGAIN_S = 0.005

#: Trio keeps threads that wait for work (a busy one bears the name of what it does), and litellm keeps the one with
#: which it signs what goes to AWS.
_IDLE_THREADS = ("Trio thread ", "aws-signing")
_FDS = Path("/proc/self/fd")
_TASKS = Path("/proc/self/task")
#: litellm's log worker, of which it has one a loop, runs until the loop is closed; and asyncio itself makes a task to
#: end a generator that nobody holds any more (OpenAI's SDK breaks out of one at the end of every stream).
_RESIDENT_TASKS = ("LoggingWorker._worker_loop",)
_ENDS_A_GENERATOR = "async_generator_athrow"

#: Names of tasks that an asyncio loop still had when it was closed, and had to cancel.
_cut_off: list[str] = []


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds now."""

    threads: frozenset[int]
    files: frozenset[str]
    children: frozenset[int]

    @classmethod
    def now(cls) -> Held:
        threads = frozenset(
            each.ident or 0 for each in threading.enumerate() if not each.name.startswith(_IDLE_THREADS)
        )
        return cls(threads=threads, files=frozenset(_open_files()), children=frozenset(_children()))

    def beyond(self, before: Held) -> list[str]:
        """What came to it since `before`, in words."""
        named = {each.ident: each.name for each in threading.enumerate()}
        return [
            *(f"thread {named.get(each, each)}" for each in sorted(self.threads - before.threads)),
            *(f"file {each}" for each in sorted(self.files - before.files)),
            *(f"child process {each}" for each in sorted(self.children - before.children)),
        ]


def wait_until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> bool:
    """Look until it holds, for what ends in another thread or process and tells nobody. Blocks."""
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test ends with the threads, open files and child processes that it began with, and no task was cut off."""
    _cut_off.clear()
    before = Held.now()
    yield
    left: list[str] = []

    def ended() -> bool:
        left[:] = Held.now().beyond(before)
        return not left

    wait_until(ended)
    assert left == [], f"the test left behind: {', '.join(left)}"
    assert _cut_off == [], f"left on an asyncio loop when it closed: {', '.join(_cut_off)}"


@pytest.fixture
def tasks_are_cut_off(nothing_is_left: None) -> Iterator[None]:
    """For a test of just that: asyncio loops that close over tasks that go on."""
    yield
    _cut_off.clear()


def _open_files() -> Iterator[str]:
    """Number and target of each: a number that was closed and taken again by another file is seen too."""
    for number in os.listdir(_FDS):
        try:
            yield f"{number} -> {os.readlink(_FDS / number)}"
        except FileNotFoundError:  # the listing's own
            continue


def _children() -> Iterator[int]:
    """Those that were not reaped are among them."""
    for task in os.listdir(_TASKS):
        try:
            yield from map(int, (_TASKS / task / "children").read_text().split())
        except FileNotFoundError:  # the thread has just ended
            continue


def _watch_closing_loops() -> None:
    """Have every asyncio loop of this process note the tasks that it cancels when it closes."""
    cancel_all: Callable[[asyncio.AbstractEventLoop], None] = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def noting(loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            coroutine: Any = task.get_coro()
            name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
            if name not in (*_RESIDENT_TASKS, _ENDS_A_GENERATOR):
                _cut_off.append(f"task {name} of {threading.current_thread().name}")
        cancel_all(loop)

    asyncio.runners._cancel_all_tasks = noting  # type: ignore[attr-defined]


_watch_closing_loops()
