"""Compiles scripts and, those that are harmless, runs them here: no lock, no host, one `agent` that echoes."""

from __future__ import annotations

import textwrap
from types import CoroutineType
from typing import Any

from vibe_workflows.sandbox.guards import make_globals
from vibe_workflows.sandbox.policy import ScriptRefused, compile_script


def refusals(source: str) -> list[str]:
    """Each problem as `line:column: message`; empty if the script compiles."""
    try:
        compile_script(textwrap.dedent(source), "flow.py")
    except ScriptRefused as refused:
        return str(refused).split("\n")
    return []


def run(source: str, **injected: Any) -> Any:
    """What the script returns. It must not wait for anything but `agent`."""
    compiled = compile_script(textwrap.dedent(source), "flow.py")
    names: dict[str, Any] = {"agent": echo, "args": {}, "log": lambda *_: None, "phase": lambda _: None} | injected
    scope: dict[str, Any] = make_globals(names, filename="flow.py")
    exec(compiled.code, scope)
    return finish(scope["main"](names["args"]))


def finish(coroutine: CoroutineType[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the script waits for something")


async def echo(prompt: str, **_: Any) -> str:
    return f"<{prompt}>"
