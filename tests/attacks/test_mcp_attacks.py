"""What MCP servers, and projects that want to be one, may not do: each attack names its guard, and needs it.

Real servers, as processes of their own, and whole runs. An attack got through if the marker reached the script.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import mcp_types as types
import pytest
from mcp.client.session import ClientSession

from tests.support.mcp_servers import HERE, configure, raw
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.cli import programs
from vibe_workflows.engine.agents.tools import registry
from vibe_workflows.engine.config_keys import KEYS, Reach
from vibe_workflows.engine.errors import VibeError
from vibe_workflows.engine.mcp import connection, inbound, launching, listing, replies, stdio

MARK = "attack-marker-7716"

# ---------------------------------------------------------------- the guards, and how each is switched off


async def _obliging_sampling(*_: object) -> Any:
    return types.CreateMessageResult(
        role="assistant", content=types.TextContent(type="text", text="it is"), model="m", stop_reason="endTurn"
    )


async def _obliging_elicitation(*_: object) -> Any:
    return types.ElicitResult(action="accept", content={})


async def _obliging_roots(*_: object) -> Any:
    return types.ListRootsResult(roots=[])


def _serving(**callbacks: Any) -> Callable[[], AbstractContextManager[object]]:
    return lambda: mock.patch(f"{connection.__name__}.ClientSession", partial(ClientSession, **callbacks))


def _without_limit(module: object, name: str) -> Callable[[], AbstractContextManager[object]]:
    return lambda: mock.patch.object(module, name, 1 << 40)


GUARDS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "message size": _without_limit(stdio, "MAX_MESSAGE_BYTES"),
    "messages": _without_limit(inbound, "MAX_MESSAGES"),
    "bytes": _without_limit(inbound, "MAX_BYTES"),
    "stray lines": _without_limit(inbound, "MAX_STRAY"),
    "questions": _without_limit(inbound, "MAX_REQUESTS"),
    "no sampling": _serving(sampling_callback=_obliging_sampling),
    "no elicitation": _serving(elicitation_callback=_obliging_elicitation),
    "no roots": _serving(list_roots_callback=_obliging_roots),
    "answer depth": _without_limit(replies, "MAX_DEPTH"),
    "answer size": _without_limit(replies, "MAX_DATA_BYTES"),
    "clean environment": lambda: mock.patch.object(launching, "PLAIN_VARIABLES", tuple(os.environ)),
    "programs outside of the project": lambda: mock.patch.multiple(
        programs, folders_outside=lambda path, _: path, lies_in=lambda *_: False
    ),
    "not in the project": lambda: mock.patch.object(launching, "_folder", lambda _, __, project: str(project)),
    "not of a project": lambda: mock.patch.dict(KEYS, {"mcp": KEYS["mcp"]._replace(reach=Reach.FREE)}),
    "granted tools": lambda: mock.patch.object(registry, "require_tool", return_value=None),
    "sifted schemas": lambda: mock.patch.object(listing, "schema_problem", return_value=""),
}


# ---------------------------------------------------------------- the attacks

CALL = body("try:", "    return await tool('rogue__call')", "except AgentError as error:", "    return error.message")
TOLD = body(
    "try:",
    "    return await tool('rogue__call')",
    "except (AgentError, SetupError) as error:",
    "    return error.message",
)


def _configured(behaviour: str, **more: Any) -> Callable[[RunProject], None]:
    return lambda project: configure(project, rogue={"command": raw(behaviour, mark=MARK), **more})


def _offering(schema: object) -> Callable[[RunProject], None]:
    tools = [{"name": "call", "description": "", "inputSchema": schema}]

    def prepare(project: RunProject) -> None:
        listed = project.folder.parent / "tools.json"
        listed.write_text(json.dumps(tools))
        configure(project, rogue={"command": raw("plain", str(listed), mark=MARK)})

    return prepare


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str
    guard: str
    prepare: Callable[[RunProject], object]
    says: str  # what the script, or the person, is told instead
    source: str = CALL
    allow: str = "mcp:rogue"
    environ: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _says(behaviour: str, guard: str, says: str, **more: Any) -> Attack:
    return Attack(name=f"a server: {behaviour}", guard=guard, prepare=_configured(behaviour), says=says, **more)


def _laughs(levels: int) -> dict[str, Any]:
    """Two lines a level, each of which stands for the next one twice."""

    def twice(level: int) -> dict[str, Any]:
        return {"properties": {side: {"$ref": f"#/$defs/l{level + 1}"} for side in "ab"}}

    return {"type": "object", "$defs": {f"l{level}": twice(level) for level in range(levels)}, **twice(-1)}


def _everybody(count: int) -> dict[str, Any]:
    """Each part refers to all others."""
    names = [f"p{number}" for number in range(count)]
    parts = {name: {"anyOf": [{"$ref": f"#/$defs/{other}"} for other in names]} for name in names}
    return {"type": "object", "$defs": parts, "properties": {"a": {"$ref": "#/$defs/p0"}}}


def _nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def _schema(what: str, schema: object, says: str) -> Attack:
    return Attack(
        name=f"a tool whose schema {what}", guard="sifted schemas", prepare=_offering(schema), says=says, source=TOLD
    )


def _own_program(project: RunProject) -> None:
    """A repository brings a program that is named as the person's."""
    configure(project, rogue={"command": ["my-mcp-server", MARK, "plain"]})
    script = f"#!{sys.executable}\n" + (HERE / "mcp_raw_server.py").read_text()
    project.write("bin/my-mcp-server", script).chmod(0o755)
    os.environ["PATH"] = f"{project.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def _own_module(project: RunProject) -> None:
    """A repository brings a module that is named as the person's."""
    configure(project, rogue={"command": [sys.executable, "-m", "my_mcp_server", MARK, "plain"]})
    project.write("my_mcp_server.py", (HERE / "mcp_raw_server.py").read_text())


def _own_configuration(project: RunProject) -> None:
    project.write("vibe.yaml", json.dumps({"mcp": {"rogue": {"command": raw("plain", mark=MARK)}}}))


ATTACKS = [
    _says("long message", "message size", "sent a message of more than 4 MB"),
    _says("many messages", "messages", "sent more than 10,000 messages for one request"),
    _says("many bytes", "bytes", "sent more than 64 MB without an end"),
    _says("stray lines", "stray lines", "sent more than 100 lines that are no messages"),
    _says("many questions", "questions", "asked more than 100 things during one request"),
    _says("sampling", "no sampling", "refused: Sampling not supported"),
    _says("elicitation", "no elicitation", "refused: Elicitation not supported"),
    _says("roots", "no roots", "refused: List roots not supported"),
    _says("deep answer", "answer depth", "the answer is nested more than 64 levels deep"),
    _says("large answer", "answer size", "1,048,576 are taken"),
    _says("environment", "clean environment", "HOME", environ={"OTHER_TOKEN": MARK}),
    _schema(
        "leads to the network", {"type": "object", "$ref": "http://127.0.0.1:9/s.json"}, "which is not a part of it"
    ),
    _schema(
        "leads to a file",
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        "which is not a part of it",
    ),
    _schema("stands for billions of parts", _laughs(30), "10,000 parts once its references are replaced"),
    _schema("refers to itself in every way", _everybody(30), "10,000 parts once its references are replaced"),
    _schema("is deep", _nested(60), "nested more than 40 levels deep"),
    _schema("is large", {"type": "object", "description": "x" * (70 << 10)}, "has more than 64 KB"),
    Attack(
        name="a project brings the program",
        guard="programs outside of the project",
        prepare=_own_program,
        says="there is no program",
        source=TOLD,
    ),
    Attack(
        name="a project brings the program's code",
        guard="not in the project",
        prepare=_own_module,
        says="No module named my_mcp_server",
        source=TOLD,
    ),
    Attack(
        name="a project configures a server",
        guard="not of a project",
        prepare=_own_configuration,
        says="no tool `rogue__call`",
        source=TOLD,
    ),
    Attack(
        name="a script calls a tool of a server that was not granted",
        guard="granted tools",
        prepare=_configured("plain"),
        says="needs the grant `mcp:rogue`",
        allow="mcp:other",
    ),
]


def _told(project: RunProject, attack: Attack) -> str:
    attack.prepare(project)
    if attack.allow != "mcp:rogue":  # its tools are known all the same
        project.run(CALL, flags={"allow": "mcp:rogue"})
    try:
        report = project.run(attack.source, flags={"allow": attack.allow})
    except VibeError as error:
        return error.message
    told: Sequence[object] = [report.result, report.error, *project.seen.events]
    return "\n".join(map(str, told))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    return new_project(tmp_path, monkeypatch)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_of_a_server_is_stopped(project: RunProject, attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in attack.environ.items():
        monkeypatch.setenv(name, value)
    told = _told(project, attack)
    assert MARK not in told, told
    assert attack.says in told


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_of_a_server_gets_through_without_its_guard(
    project: RunProject, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in attack.environ.items():
        monkeypatch.setenv(name, value)
    with GUARDS[attack.guard]():
        told = _told(project, attack)
    assert MARK in told, told


def test_every_guard_is_needed_by_an_attack() -> None:
    assert {attack.guard for attack in ATTACKS} == set(GUARDS)
