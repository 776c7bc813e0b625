"""A project as a user has it: each invocation is a process of its own, and a server counts its model calls."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.exchanges import SeenRequest
from tests.support.fork_server import Server
from tests.support.model_server import ModelServer


@dataclass(frozen=True)
class Ended:
    """An invocation, and what the server was asked for meanwhile."""

    code: int
    out: str
    err: str
    requests: tuple[SeenRequest, ...]

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def result(self) -> Any:
        return self.document["result"]

    @property
    def prompts(self) -> list[str]:
        """Of its model calls, sorted: a step of several turns is here several times."""
        return sorted(prompt_of(request) for request in self.requests)


def prompt_of(request: SeenRequest) -> str:
    """The text of the first user message."""
    return next(message.text for message in request.conversation().messages if message.role == "user")


@dataclass(frozen=True)
class Begun:
    out: Path
    err: Path
    asked: int  # requests that the server had seen before


@dataclass
class FieldProject:
    folder: Path
    environ: Mapping[str, str]
    commands: Server  # of command_program.py
    model: ModelServer
    at_work: dict[int, Begun] = field(default_factory=dict)  # by process
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    # ------------------------------------------------------------ files

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    # ------------------------------------------------------------ invocations

    def start(self, *arguments: str) -> int:
        """Begin an invocation and leave it at work."""
        number = next(self._numbers)
        out, err = (self.folder.parent / f"{number}.{kind}" for kind in ("out", "err"))
        out.touch()  # so that it can be watched from now on
        begun = Begun(out, err, len(self.model.requests))
        environ = dict(self.environ)
        pid = self.commands.start(
            {"argv": arguments, "cwd": str(self.folder), "environ": environ, "out": str(out), "err": str(err)}
        )
        self.at_work[pid] = begun
        return pid

    def end(self, pid: int) -> Ended:
        """Wait for its end."""
        code = self.commands.wait(pid)
        begun = self.at_work.pop(pid)
        err = begun.err.read_text()
        assert "Traceback" not in err, err
        return Ended(code, begun.out.read_text(), err, tuple(self.model.requests[begun.asked :]))

    def kill(self, pid: int) -> Ended:
        """`kill -9`."""
        os.kill(pid, signal.SIGKILL)
        return self.end(pid)

    def vibe(self, *arguments: str) -> Ended:
        return self.end(self.start(*arguments))

    def run(self, *arguments: str, code: int = 0) -> Ended:
        """`vibe run ... --json`, which has to end with `code`."""
        ended = self.vibe("run", *arguments, "--json")
        assert ended.code == code, ended.err
        return ended

    def close(self) -> None:
        for pid in list(self.at_work):
            self.kill(pid)
