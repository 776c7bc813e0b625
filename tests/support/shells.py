"""bash, zsh and fish on a pseudo-terminal: what a person types, and what the shell makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.terminals import Terminal

#: Where `make test-shells` puts what is not installed.
UNPACKED = Path(__file__).resolve().parents[2] / "build/shells/bin"

_BEGINNING_OF_LINE, _END_OF_LINE = "\x01", "\x05"
_START_FILES = {
    "bash": (".bashrc", "PS1='$ '\nbind 'set bell-style none'\n"),
    "zsh": (".zshrc", "PS1='$ '\nautoload -Uz compinit\ncompinit -u -D\n"),
    "fish": (".config/fish/config.fish", "function fish_prompt; echo '$ '; end\nfunction fish_greeting; end\n"),
}


def find_shell(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED))


def each_shell() -> list[object]:
    """Parameters of a test; a shell that is not here is skipped by its name."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                find_shell(name) is None, reason=f"{name} is not installed; `make test-shells` gets it"
            ),
        )
        for name in _START_FILES
    ]


class ShellHome:
    """A home with the start file of one shell, the command on PATH, and `show-args`, which writes down what it got."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.home, self.project, self.programs = folder / "home", folder / "project", folder / "bin"
        for each in (self.home, self.project, self.programs):
            each.mkdir(exist_ok=True)
        start, text = _START_FILES[name]
        self.start_file = self.home / start
        self.start_file.parent.mkdir(parents=True, exist_ok=True)
        self.start_file.write_text(text)
        self.arguments = folder / "arguments"
        self._program("vibe", f'exec "{sys.executable}" -c "{_PATIENT}" "$@"')
        self._program(
            "show-args", f"printf '%s\\0' \"$@\" > {self.arguments}.new && mv {self.arguments}.new {self.arguments}"
        )
        kept = {key: os.environ[key] for key in ("PYTHONDONTWRITEBYTECODE",) if key in os.environ}
        path = f"{self.programs}:{os.environ['PATH']}"
        self.environ = {**kept, "HOME": str(self.home), "PATH": path, "TERM": "xterm", "LANG": "C.UTF-8"}

    def _program(self, name: str, line: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)

    def vibe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["vibe", *arguments], cwd=self.project, env=self.environ, capture_output=True, text=True, check=False
        )

    @contextmanager
    def started(self) -> Iterator[Shell]:
        shell = Shell(self)
        try:
            shell.until("$")
            yield shell
        finally:
            shell.close()


class Shell(Terminal):
    """An interactive shell in the project, as a terminal's window has it."""

    def __init__(self, place: ShellHome) -> None:
        super().__init__(columns=100, rows=40)
        self._arguments = place.arguments
        program = find_shell(place.name)
        assert program is not None
        argv = [sys.executable, "-c", _ON_TERMINAL, program, "-i"]
        self.start(argv, env=place.environ, cwd=place.project, typed=True)

    def completed(self, typed: str) -> list[str]:
        """The arguments that the command would get if Enter was pressed after this line, the command's name first.

        What follows a TAB is read by the shell once it has completed, so that there is nothing to wait for.
        """
        self._arguments.unlink(missing_ok=True)
        self.type(f"{typed}{_BEGINNING_OF_LINE}show-args {_END_OF_LINE}\r")
        self.until(lambda _screen: self._arguments.exists())
        return self._arguments.read_text(errors="surrogateescape").split("\0")[:-1]


#: The command with time to answer on a busy machine; a person's TAB has two seconds.
_PATIENT = (
    "import sys; from vibe_workflows.cli.completing import shells; shells.PATIENCE_S = 60.0; "
    "from vibe_workflows.cli.main import main; sys.exit(main())"
)

#: Makes its standard input the terminal of its session, as a terminal's window does, and becomes the shell.
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
