"""The command with MCP servers at work: whatever ends it, no server is left, and the store answers without one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Machine
from tests.support.leaks import wait_until
from tests.support.mcp_servers import raw

FLOW = "async def main(args):\n    return await parallel(tool(f'{name}__call') for name in ('one', 'two'))\n"


def _configure(machine: Machine, one: str, two: str) -> None:
    file = Path(machine.environ["HOME"]) / ".config/vibe/config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"allow": ["mcp"], "mcp": {"one": {"command": raw(one)}, "two": {"command": raw(two)}}}))
    machine.write("flow.py", FLOW)


def _servers(family: psutil.Process) -> list[psutil.Process]:
    found = []
    for process in family.children(recursive=True):
        try:
            if any("mcp_raw_server" in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_server_is_left_however_a_run_ends(machine: Machine, number: signal.Signals, code: int) -> None:
    """Neither one that does not answer, nor one that does not want to end."""
    _configure(machine, "no answer", "stays")
    process = machine.fork("run", "flow.py", "--events")
    out = process.folder / "out"
    # The call that is answered: both servers are at work.
    assert wait_until(lambda: out.exists() and '"step_finished"' in out.read_text(), 60)
    servers = _servers(psutil.Process(process.pid))
    assert len(servers) == 2
    os.kill(process.pid, number)
    assert process.end().code == code
    assert wait_until(lambda: not any(server.is_running() for server in servers))


def test_a_server_that_says_nothing_when_it_is_first_asked_can_be_interrupted(machine: Machine) -> None:
    _configure(machine, "silent", "plain")
    process = machine.fork("run", "flow.py")
    family = psutil.Process(process.pid)
    assert wait_until(lambda: bool(_servers(family)), 60)
    servers = _servers(family)
    os.kill(process.pid, signal.SIGINT)
    assert process.end().code == 130
    assert wait_until(lambda: not any(server.is_running() for server in servers))
