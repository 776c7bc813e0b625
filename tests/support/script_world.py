"""A script's own world inside of a locked child: its globals, scheduler and armed tripwire, with a host played here."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from tests.support.reachable import unexpected
from vibe_workflows.sandbox import child
from vibe_workflows.sandbox.channel import Channel
from vibe_workflows.sandbox.guards import guarded_getattr
from vibe_workflows.sandbox.policy import compile_script

_START: dict[str, Any] = {
    "filename": "flow.py",
    "args": {"path": "src", "deep": [{"a": 1}], "n": 3},
    "now": 1_700_000_000.0,
    "seed": "seed",
    "has_model": True,
    "limits": {"tokens": 100_000, "microusd": None, "steps": None, "seconds": None},
}
_DETAIL = {"value": {"a": [1]}, "usage": {"tokens": 3}, "turns": 1, "model": "m", "step": "s", "cached": False}


class PlayedHost(Channel):
    """Answers every call at once: a prompt that begins with `fail` with a fault of the kind that follows."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(-1)
        self.frames: list[dict[str, Any]] = []
        self._report = report
        self._waiting: deque[dict[str, Any]] = deque()

    def send_text(self, frame: str) -> None:
        self.send(json.loads(frame))

    def send(self, frame: dict[str, Any]) -> None:
        if frame["t"] == "violation":  # the process ends next
            self._report(f"INTROSPECT violation {frame['event']}")
        if frame["t"] == "call":
            self._waiting.append(_answer(frame))
        if len(self.frames) < 10_000:
            self.frames.append(frame)

    def flush(self) -> None:
        pass

    def buffered(self) -> dict[str, Any] | None:
        return self._waiting.popleft() if self._waiting else None

    def receive(self) -> dict[str, Any]:
        raise RuntimeError("the script waits for an answer that was given")


def _answer(call: dict[str, Any]) -> dict[str, Any]:
    params = call["p"]
    prompt = str(params.get("prompt", ""))
    if prompt.startswith("fail "):
        fault = {"type": prompt.split()[1], "message": "no", "kind": "k", "fields": {"scope": "run", "left": 1}}
        return {"t": "answer", "id": call["id"], "fault": fault}
    return {"t": "answer", "id": call["id"], "ok": _DETAIL if params.get("detail") else {"a": [1, "x", None]}}


def make_script(source: str, report: Callable[[str], None]) -> Any:
    """The child's own script object, ready to `run()`; its globals can be changed before. Raises ScriptRefused."""
    return child._Script(PlayedHost(report), {**_START, "source": source}, compile_script(source, "flow.py"))


def watch(script: Any, report: Callable[[str], None]) -> None:
    """Have every value that `script` reads as an attribute, logs, returns or raises held against the list of types."""
    scope = script._globals
    guards = {name: value for name, value in scope.items() if name.startswith("_")}
    log, run, error_frame = scope["log"], script._trampoline.run, script._error_frame

    def look(value: Any, depth: int = 3) -> Any:
        if fault := unexpected(value):
            report(f"INTROSPECT {fault}")
        elif depth and isinstance(value, BaseException):
            look(value.args, depth - 1)
        elif depth and isinstance(value, dict):
            for item in islice(dict.items(value), 20):
                look(item, depth - 1)
        elif depth and type(value) in (list, tuple, set):
            for item in islice(value, 20):
                look(item, depth - 1)
        return value

    def watched_log(*values: Any, **fields: Any) -> None:
        look([values, fields])
        log(*values, **fields)

    def watched_run(coroutine: Any) -> Any:
        try:
            return look(run(coroutine))
        finally:
            look([value for name, value in scope.items() if not name.startswith("_") and name not in ("log", "print")])
            if any(scope[name] is not value for name, value in guards.items()):
                report("INTROSPECT a guard was rebound")

    guards["_getattr_"] = scope["_getattr_"] = lambda value, name: look(guarded_getattr(value, name))
    scope["log"] = watched_log
    script._trampoline.run = watched_run
    script._error_frame = lambda error: error_frame(look(error))


def run_watched(programs: dict[int, str], report: Callable[[str], None]) -> None:
    """Run each, saying `begin N` before and `end N OUTCOME` after."""
    for number, source in programs.items():
        report(f"begin {number}")
        script = make_script(source, report)
        watch(script, report)
        script.run()
        script._tripwire.armed = False  # else compiling the next one would be the violation
        report(f"end {number} {script._channel.frames[-1]['t']}")
