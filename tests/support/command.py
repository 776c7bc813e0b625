"""The command `vibe` in a project of its own, as a process or in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.zygote_template import start_copy
from vibe_workflows.cli.main import main
from vibe_workflows.sandbox import launcher

FLOW = '''"""Asks about each item, then merges."""
meta = {
    "phases": ["Ask", "Merge"],
    "args": {
        "type": "object",
        "properties": {
            "topic": {"type": "string", "default": "tea", "description": "what to ask about"},
            "max_items": {"type": "integer", "default": 2},
            "loud": {"type": "boolean"},
        },
    },
}
async def main(args):
    phase("Ask")
    found = await parallel(agent(f"Ask about {args.topic} {n}", label=f"ask:{n}") for n in range(args.max_items))
    log("asked", n=len(found))
    phase("Merge")
    return {"merged": await agent(f"Merge {len(found)}", label="merge"), "topic": args.topic}
'''


class Command:
    """Runs `vibe` in `project`, with a home of its own and nothing else of the caller's environment that matters."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.home = folder / "home"
        self.project.mkdir()
        self.home.mkdir()
        (self.project / "vibe.yaml").touch()  # marks the root

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
        return {**kept, "HOME": str(self.home)}

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def argv(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "vibe_workflows.cli.main", *args]

    def __call__(
        self, *args: str, stdin: bytes = b"", environ: Mapping[str, str] = {}, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*args),
            cwd=self.project,
            env={**self.environ, **environ},
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class CommandHere:
    """The same in this process, which is ten times as fast; standard input and signals need the other one."""

    def __init__(self, command: Command, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.command = command
        self.project = command.project
        self._capfd = capfd
        monkeypatch.setattr(launcher, "start_zygote", start_copy)
        for name in ("CI", "NO_COLOR", "COLUMNS", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name in [name for name in os.environ if name.startswith("VIBE_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(command.home))
        monkeypatch.chdir(command.project)

    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]:
        self._capfd.readouterr()
        code = main(args)
        out, err = self._capfd.readouterr()
        return subprocess.CompletedProcess(args, code, out, err)
