"""A machine of a person who has agent CLIs, for whole runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_clis import install, started
from tests.support.memory_folder import memory_folder
from tests.support.whole_runs import RunProject, new_project
from vibe_workflows.engine.launch import RunReport


@dataclass
class Machine:
    """Of a person who has all five programs, and a project with git's rules in it."""

    project: RunProject
    home: Path

    def configure(self, **agents: Any) -> None:
        file = self.home / ".config/vibe/config.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"agents": {name.replace("_", "-"): held for name, held in agents.items()}}))

    def run(self, source: str, allow: str = "agent,write", **wanted: Any) -> RunReport:
        flags = {"model": None, "allow": allow, **wanted.pop("flags", {})}
        return self.project.run(source, real=True, flags=flags, **wanted)

    def result(self, source: str, allow: str = "agent,write", **wanted: Any) -> Any:
        report = self.run(source, allow, **wanted)
        assert report.result is not None, report.error
        return json.loads(report.result)

    def error(self, source: str, allow: str = "agent,write", **wanted: Any) -> str:
        report = self.run(source, allow, **wanted)
        assert report.error is not None
        return f"{report.error.type}: {report.error.message}"

    @property
    def started(self) -> list[Any]:
        return started(self.home)


@contextmanager
def new_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with memory_folder() as folder:
        project = new_project(folder, monkeypatch)
        install(folder / "bin")
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        made = Machine(project, folder / "home")
        made.configure(claude_code=True, codex=True, gemini_cli=True, opencode=True, paseo=True)
        yield made
