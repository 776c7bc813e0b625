"""Runs workflows for a fork server, to be killed: a run is a process of its own, and begins in milliseconds.

It runs the product's own wiring, with a real sandbox and store. Only the model is a function; what it was asked and
what it answered is in a log before the answer is given, which the death of the process cannot take back.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import traceback
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import trio

from tests.support.copying_bench import CopyingBench
from tests.support.crash_points import watch
from tests.support.edit_stories import name_of_turn_before, ordered_by, ordered_reply
from tests.support.fork_server import serve
from tests.support.reuse_world import answer_to, asked_by, reply_to
from vibe_workflows.cli import assembly, wiring
from vibe_workflows.cli.benches import LazyBenches
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.errors import VibeError
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import ModelRequest
from vibe_workflows.sandbox import launcher


class Go(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a workflow, in a child."""

    project: str
    home: str
    log: str  # of the model
    report: str  # where the outcome is written
    flow: str
    new: bool = False
    allow: str = ""  # grants
    concurrency: int = 16
    latency_s: float = 0.0  # the most that the model takes
    file_size: int | None = None  # limit of the size of files, in bytes
    die_at: tuple[str, int] | None = None  # a point by name, and how often it must have come
    stop_at: tuple[str, int] | None = None  # likewise: it stops there, as at a Ctrl-Z, until it is told to go on
    points: str | None = None  # where to write the names of all points that came


class LoggedModel:
    def __init__(self, log: str, latency_s: float) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._latency_s = latency_s

    async def __call__(self, request: ModelRequest) -> Scripted:
        asked = asked_by(request)
        name = answer_to(asked)
        orders = ordered_by(asked.prompt)
        before = None if orders is None else name_of_turn_before(asked, orders)
        os.write(self._log, f"asked {name} {before or ''}\n".encode())
        await trio.sleep(self._latency_s * random.random())
        os.write(self._log, f"answered {name}\n".encode())
        return reply_to(asked) if orders is None else ordered_reply(asked, orders)


def run(go: Go) -> dict[str, Any]:
    os.chdir(go.project)
    os.environ["HOME"] = go.home
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    if go.file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (go.file_size, go.file_size))
    model = LoggedModel(go.log, go.latency_s)
    flags = {"model": "scripted", "max_usd": "none", "concurrency": str(go.concurrency)}
    settings = wiring.load(flags | ({"allow": go.allow} if go.allow else {}))
    zygote = launcher.start_zygote()
    LazyBenches.project = CopyingBench(Path(go.project))  # type: ignore[method-assign, assignment]
    try:
        request = RunRequest(target=go.flow, new=go.new)
        report = assembly.run_workflow(zygote, settings, request, [], ScriptedBackend(model))
    except VibeError as error:
        return {"exit_code": int(error.exit_code), "error": error.message, "result": None}
    finally:
        zygote.close()
    run = report.run
    return {
        "exit_code": int(report.exit_code),
        "error": None if report.error is None else report.error.message,
        "result": None if report.result is None else json.loads(report.result),
        "live": run.live_steps,
        "stored": run.stored_steps,
    }


def child(work: object) -> NoReturn:
    """Ends the process: with 0 and a report, or with 70 and a traceback in its place."""
    code = 0
    go = msgspec.convert(work, Go)
    try:
        if go.die_at is not None or go.points is not None:
            watch(go.die_at, go.points, [go.project, go.home])
        if go.stop_at is not None:
            watch(go.stop_at, None, [go.project, go.home], signal.SIGSTOP)
        outcome = run(go)
        Path(go.report).write_text(json.dumps(outcome))
    except BaseException:
        Path(go.report).write_text(json.dumps({"exit_code": 70, "error": traceback.format_exc(), "result": None}))
        code = 70
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(child)
