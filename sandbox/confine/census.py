"""Counts what runs below the supervisor, and kills it. Looks at /proc, from outside of the command's namespaces."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Census(NamedTuple):
    tasks: int  # processes and their threads
    resident_bytes: int


def is_possible() -> bool:
    """Whether there is a /proc to look at: some containers have none."""
    return os.path.exists("/proc/self/stat")


def descendants(ancestor: int) -> list[int]:
    """The processes below `ancestor`, in no order."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                children.setdefault(parent_of(name), []).append(int(name))
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def parent_of(pid: str | int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def take(pids: list[int]) -> Census:
    tasks = resident = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            tasks += int(fields[17])
            resident += int(fields[21]) * _PAGE
    return Census(tasks, resident)


def kill_all(pids: list[int]) -> None:
    """Kill them, stopped first: what is stopped forks no more."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
