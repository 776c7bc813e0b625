"""What the live view costs: the CPU of the same run, with a terminal to draw on and with lines into a file."""

from __future__ import annotations

import fcntl
import os
import statistics
import struct
import tempfile
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .processes import VIBE

_COLUMNS, _ROWS = 120, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCost:
    steps: int
    live_s: float
    plain_s: float

    @property
    def ratio(self) -> float:
        return self.live_s / self.plain_s


def view_cost(steps: int, *, project: Path, environ: Mapping[str, str], runs: int = 5) -> ViewCost:
    """Medians of runs in turn, each in a store of its own; offline, so that there is much to tell in little time."""
    live, plain = [], []
    for number in range(runs + 1):
        found = [_cpu_s(steps, project, environ, terminal=terminal) for terminal in (True, False)]
        if number:  # the first ones warm caches
            live.append(found[0])
            plain.append(found[1])
    return ViewCost(steps=steps, live_s=statistics.median(live), plain_s=statistics.median(plain))


def _cpu_s(steps: int, project: Path, environ: Mapping[str, str], *, terminal: bool) -> float:
    """User and system time of one process, and of its children that have ended."""
    with tempfile.TemporaryDirectory(dir=project.parent) as folder:
        given = {name: value for name, value in environ.items() if name != "NO_COLOR"}
        given |= {"TERM": "xterm-256color", "VIBE_DB": f"{folder}/vibe.db"}
        argv = [*VIBE, "run", "fan_out.py", "--n", str(steps), "--offline"]
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        reader = threading.Thread(target=_drain, args=(master,))
        reader.start()
        file = os.open(f"{folder}/stderr", os.O_WRONLY | os.O_CREAT)
        null = os.open(os.devnull, os.O_RDWR)
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, slave if terminal else file, 2),
        ]
        before = Path.cwd()
        os.chdir(project)
        try:
            pid = os.posix_spawn(argv[0], argv, given, file_actions=actions)
        finally:
            os.chdir(before)
        _, status, used = os.wait4(pid, 0)
        for number in (slave, file, null):
            os.close(number)
        reader.join()
        os.close(master)
        if status:
            raise SystemExit(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}")
        return used.ru_utime + used.ru_stime


def _drain(master: int) -> None:
    while True:
        try:
            if not os.read(master, 65_536):
                return
        except OSError:  # EIO: nobody has it open any more
            return
