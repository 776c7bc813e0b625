"""Whole runs in this process: a real sandbox, a real store, and a model made of a function."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.zygote_template import start_copy
from vibe_workflows.cli import wiring
from vibe_workflows.engine.backends.scripted import Script, ScriptedBackend
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.dry_run import DryRun
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import Event
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import ModelRequest, Role, RunId, Step, ToolCall, Turn
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.sandbox import launcher


@dataclass
class Seen:
    """The events of a run, as an observer sees them."""

    events: list[Event] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class RunProject:
    """A project whose workflows run here. `backend.requests` holds what the model saw in the latest run."""

    folder: Path
    backend: ScriptedBackend = field(default_factory=lambda: ScriptedBackend(lambda _request: "ok"))
    seen: Seen = field(default_factory=Seen)

    def write(self, path: str, content: bytes | str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def run(self, source: str, answer: Script | None = None, **wanted: Any) -> RunReport:
        """`real=True`: at the backends that the configuration names."""
        real = wanted.pop("real", False)
        settings, request = self._asked_for(source, wanted)
        if answer is not None:
            self.backend = ScriptedBackend(answer)
        self.backend.requests.clear()
        return wiring.run_workflow(settings, request, [self.seen], backend=None if real else self.backend)

    def dry_run(self, source: str, **wanted: Any) -> DryRun:
        settings, request = self._asked_for(source, wanted)
        self.backend.requests.clear()
        found = wiring.dry_run(settings, request, [self.seen], backend=self.backend)
        assert self.backend.requests == []
        return found

    def _asked_for(self, source: str, wanted: dict[str, Any]) -> tuple[Settings, RunRequest]:
        flags = {"model": "scripted", "max_usd": "none", **wanted.pop("flags", {})}
        self.write("flow.py", source)
        self.seen = Seen()
        return wiring.load(flags), RunRequest(target="flow.py", **wanted)

    def result(self, source: str, answer: Script | None = None, **wanted: Any) -> Any:
        report = self.run(source, answer, **wanted)
        assert report.exit_code is ExitCode.DONE, report.error
        assert report.result is not None
        return json.loads(report.result)

    @property
    def asked(self) -> int:
        """Model calls of the latest run."""
        return len(self.backend.requests)

    @property
    def prompts(self) -> list[str]:
        return [prompt_of(request) for request in self.backend.requests]

    def steps(self, run: RunId) -> list[Step]:
        reader = open_reader(self.folder / ".vibe/vibe.db")
        try:
            return [each.step for each in reader.deliveries(run)]
        finally:
            reader.close()

    def turns(self, step: Step) -> list[Turn]:
        reader = open_reader(self.folder / ".vibe/vibe.db")
        try:
            return reader.turns(step.id)
        finally:
            reader.close()

    def tool_calls(self, run: RunId) -> list[ToolCall]:
        reader = open_reader(self.folder / ".vibe/vibe.db")
        try:
            return [call for each in reader.deliveries(run) for call in reader.tool_calls(each.step.id)]
        finally:
            reader.close()


def new_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    """In a home of its own, and the working directory of this process."""
    project = folder / "project"
    (folder / "home").mkdir()
    project.mkdir()
    (project / "vibe.yaml").write_text("concurrency: 16\n")
    monkeypatch.chdir(project)
    monkeypatch.setattr(launcher, "start_zygote", start_copy)
    monkeypatch.setenv("HOME", str(folder / "home"))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return RunProject(project)


def prompt_of(request: ModelRequest) -> str:
    return next(message.text for message in request.messages if message.role is Role.USER)


def body(*lines: str) -> str:
    """A script whose `main` has these lines."""
    return "async def main(args):\n" + "".join(f"    {line}\n" for line in lines)
