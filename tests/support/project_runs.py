"""Whole runs in this process: a real sandbox, a real store, and a model made of a function."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vibe_workflows.cli import wiring
from vibe_workflows.engine.backends.scripted import Script, ScriptedBackend
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import Event
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import ModelRequest, Role


@dataclass
class Seen:
    events: list[Event] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class ProjectRuns:
    folder: Path
    backend: ScriptedBackend = field(default_factory=lambda: ScriptedBackend(lambda _request: "ok"))
    seen: Seen = field(default_factory=Seen)

    def run(self, source: str, answer: Script | None = None, **wanted: Any) -> RunReport:
        flags = {"model": "scripted", "max_usd": "none", **wanted.pop("flags", {})}
        (self.folder / "flow.py").write_text(source)
        if answer is not None:
            self.backend = ScriptedBackend(answer)
        self.backend.requests.clear()
        self.seen = Seen()
        return wiring.run_workflow(
            wiring.load(flags), RunRequest(target="flow.py", **wanted), [self.seen], backend=self.backend
        )

    def result(self, source: str, answer: Script | None = None, **wanted: Any) -> Any:
        report = self.run(source, answer, **wanted)
        assert report.exit_code is ExitCode.DONE, report.error
        assert report.result is not None
        return json.loads(report.result)

    @property
    def prompts(self) -> list[str]:
        return [prompt_of(request) for request in self.backend.requests]


def prompt_of(request: ModelRequest) -> str:
    return next(message.text for message in request.messages if message.role is Role.USER)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectRuns:
    folder = tmp_path / "project"
    (tmp_path / "home").mkdir()
    folder.mkdir()
    (folder / "vibe.yaml").write_text("concurrency: 16\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return ProjectRuns(folder)


def main(*lines: str) -> str:
    return "async def main(args):\n" + "".join(f"    {line}\n" for line in lines)
