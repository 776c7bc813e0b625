"""A person's machine in a folder: an empty home, a project, and the command in processes of its own.

Most begin in milliseconds, from one that has imported all they need. Those that are started anew, as a person's are,
are the ones of `new_machine`, those of `Machine.start`, and those that get an input.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.field_project import FieldProject
from tests.support.fork_server import Server, fork_server
from tests.support.leaks import nothing_is_left
from tests.support.model_server import ModelServer
from tests.support.model_server_plugin import model_server

__all__ = ["model_server", "nothing_is_left"]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Forked:
    commands: Server
    folder: Path
    pid: int
    ended: bool = False

    def end(self) -> Ran:
        """Wait for its end."""
        self.ended = True
        code = self.commands.wait(self.pid)
        ran = Ran(code, (self.folder / "out").read_text(), (self.folder / "err").read_text())
        assert "Traceback" not in ran.err, ran.err
        return ran


@dataclass(slots=True)
class Machine:
    """Runs `vibe` as a new user would, in `project`."""

    project: Path
    environ: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    forked: list[Forked] = field(default_factory=list)
    before: tuple[str, ...] = ()  # a command that runs the command
    commands: Server | None = None  # of command_program.py

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def vibe(self, *arguments: str, stdin: str | None = None, **environ: str) -> Ran:
        if self.commands is not None and stdin is None and not self.before:
            return self.fork(*arguments, **environ).end()
        done = subprocess.run(
            [*self._command(), *arguments],
            cwd=self.project,
            env={**self.environ, **environ},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def fork(self, *arguments: str, **environ: str) -> Forked:
        """Start `vibe` from a process that has imported all it needs, and leave it running."""
        assert self.commands is not None
        folder = Path(tempfile.mkdtemp(dir=self.project.parent))
        work = {
            "argv": arguments,
            "cwd": str(self.project),
            "environ": {**self.environ, **environ},
            "out": str(folder / "out"),
            "err": str(folder / "err"),
        }
        self.forked.append(Forked(self.commands, folder, self.commands.start(work)))
        return self.forked[-1]

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start `vibe` anew and leave it running; it is killed at the end of the test."""
        process = subprocess.Popen(
            [*self._command(), *arguments],
            cwd=self.project,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def _command(self) -> list[str]:
        return [*self.before, sys.executable, "-m", "vibe_workflows.cli.main"]

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for each in self.forked:
            if not each.ended:
                os.kill(each.pid, signal.SIGKILL)
                each.end()


def read_events(stream: IO[str] | None, until: str, count: int) -> list[dict[str, Any]]:
    """Lines of `--events`, up to and with the `count`-th event named `until`."""
    assert stream is not None
    seen: list[dict[str, Any]] = []
    for line in stream:
        seen.append(json.loads(line))
        if sum(each.get("event") == until for each in seen) == count:
            return seen
    raise AssertionError(f"the output ended before {count} events {until!r}; it had {len(seen)} lines")


@pytest.fixture(scope="package")
def commands() -> Iterator[Server]:
    """For all tests of this folder; with the last one it ends: its children are no other test's."""
    with fork_server("tests.support.command_program") as server:
        yield server


@pytest.fixture
def new_machine(tmp_path: Path) -> Iterator[Machine]:
    """Whose commands are started anew. Without a model: what agents say is made up."""
    home = tmp_path / "home"
    project = tmp_path / "project"
    home.mkdir()
    project.mkdir()
    (project / "vibe.yaml").write_text("concurrency: 16\n")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE")}
    environ = {**kept, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    made = Machine(project=project, environ=environ)
    yield made
    made.close()


@pytest.fixture
def machine(new_machine: Machine, commands: Server) -> Machine:
    """Without a model: what agents say is made up."""
    new_machine.commands = commands
    return new_machine


@pytest.fixture
def online(machine: Machine, model_server: ModelServer) -> Machine:
    """With a model on the loopback server."""
    machine.environ |= {
        "VIBE_MODEL": "openai/test-model",
        "VIBE_API_BASE": model_server.url,
        "OPENAI_API_KEY": "sk-test-0123456789",
        "VIBE_MAX_USD": "none",
    }
    return machine


@pytest.fixture
def project(online: Machine, model_server: ModelServer, commands: Server) -> Iterator[FieldProject]:
    """The same machine, whose commands begin in milliseconds."""
    made = FieldProject(online.project, online.environ, commands, model_server)
    yield made
    made.close()
