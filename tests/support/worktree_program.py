"""Runs a workflow whose steps work in worktrees, for a fork server, to be killed. Its model does what prompts say."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import NoReturn

import msgspec

from tests.support.crash_points import watch
from tests.support.deeds import do
from tests.support.fork_server import serve
from vibe_workflows.cli import assembly, wiring
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import ModelReply, ModelRequest
from vibe_workflows.sandbox.launcher import start_zygote


class Go(msgspec.Struct, frozen=True, kw_only=True):
    project: str
    home: str
    log: str  # a line for each call of the model
    report: str
    allow: str = "write"
    die_at: tuple[str, int] | None = None  # a point by name, and how often it must have come
    points: str | None = None  # where to write the names of all points that came


def run(go: Go) -> object:
    os.chdir(go.project)
    os.environ["HOME"] = go.home
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    log = os.open(go.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def model(request: ModelRequest) -> ModelReply:
        os.write(log, b"asked\n")
        return do(request)

    settings = wiring.load({"model": "scripted", "max_usd": "none", "allow": go.allow})
    zygote = start_zygote()
    try:
        report = assembly.run_workflow(zygote, settings, RunRequest(target="flow.py"), [], ScriptedBackend(model))
    finally:
        zygote.close()
    return {
        "result": None if report.result is None else json.loads(report.result),
        "error": None if report.error is None else report.error.message,
    }


def child(work: object) -> NoReturn:
    """Ends the process, with a report."""
    go = msgspec.convert(work, Go)
    try:
        watch(go.die_at, go.points, [go.project, go.home])
        Path(go.report).write_text(json.dumps(run(go)))
    except BaseException:
        Path(go.report).write_text(json.dumps({"error": traceback.format_exc(), "result": None}))
    os._exit(0)


if __name__ == "__main__":
    serve(child)
