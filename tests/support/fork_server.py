"""Processes that begin in milliseconds: a program imports once what takes long, and forks for each piece of work.

The program and its client speak lines of JSON: a piece of work starts a process and gives its number; a number waits
for that process, and gives its status.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from tests.support.zygote_template import Template, zygote_template
from vibe_workflows.sandbox import launcher

ROOT = Path(__file__).resolve().parents[2]
_ANSWER_S = 300.0  # it imports much before it is ready
_END_S = 5.0
_PR_SET_CHILD_SUBREAPER = 36


class Server:
    """The client's side. Its processes may be at work side by side."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, work: dict[str, Any]) -> int:
        return int(self._ask(work))

    def wait(self, pid: int) -> int:
        """The status of a process; with the last one that is at work, all processes that it left have ended."""
        return int(self._ask(pid))

    def _ask(self, command: object) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self.read()

    def read(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_S)
        assert ready, "a process, or its sandbox, did not end"
        return self._process.stdout.readline()


@contextmanager
def fork_server(program: str) -> Iterator[Server]:
    """Run the module `program`, which calls `serve`."""
    argv = [sys.executable, "-m", program]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            server = Server(process)
            assert server.read() == "ready\n"
            yield server
        finally:
            assert process.stdin is not None
            process.stdin.close()  # its loop ends, and with that its template
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            process.kill()


def serve(do: Callable[[Any], NoReturn]) -> None:
    """The program's side: have `do` make each piece of work in a process of its own, which it ends.

    Their zygotes are copies of one.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what a killed one leaves behind becomes ours
    ours: set[int] = set()
    with ExitStack() as stack:
        if template := stack.enter_context(zygote_template()):
            stack.enter_context(mock.patch.object(launcher, "start_zygote", template.start_zygote))
        print("ready", flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            if not isinstance(command, int):
                pid = os.fork()
                if pid == 0:
                    do(command)
                ours.add(pid)
                print(pid, flush=True)
                continue
            ours.discard(command)
            _, status = os.waitpid(command, 0)
            if not ours:
                _wait_for_the_rest(template)
            print(os.waitstatus_to_exitcode(status), flush=True)


def _wait_for_the_rest(template: Template | None) -> None:
    """The sandbox of a killed process ends by itself, and so does all else that it left."""
    if template is not None:
        template.settle()
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while left := [pid for pid in children.read_text().split() if template is None or int(pid) != template.pid]:
        os.waitpid(int(left[0]), 0)
