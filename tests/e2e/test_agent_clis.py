"""The command with an agent CLI at work: killed, it leaves no process, no file, and no finished turn to do again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Machine
from tests.support.fake_clis import deeds, install, started
from tests.support.leaks import wait_until

GATE = ["grep", "-q", "two", "a.txt"]


def _configure(machine: Machine, prompt: str) -> Path:
    home = Path(machine.environ["HOME"])
    file = home / ".config/vibe/config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"agents": {"claude-code": True}, "allow": ["agent", "write", "command"]}))
    install(home / "bin", "claude-code")
    machine.environ["PATH"] = f"{home / 'bin'}:{machine.environ['PATH']}"
    machine.write("a.txt", "old\n")
    more = f"model='claude-code', tools=['write'], gate={GATE}"
    machine.write("flow.py", f"return await agent({prompt!r}, {more})\n")
    return home


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_nothing_is_left_and_a_finished_turn_is_not_done_again(
    machine: Machine, number: signal.Signals
) -> None:
    prompt = deeds(append={"a.txt": "one\n"}, again={"append": {"a.txt": "two\n"}, "wait for": "go", "say": "mended"})
    home = _configure(machine, prompt)
    process = machine.fork("run", "flow.py")
    assert wait_until(lambda: (home / "hanging").exists(), 60)
    family = [psutil.Process(int(pid)) for pid in (home / "hanging").read_text().split()]
    assert machine.project.joinpath("a.txt").read_text() == "old\none\n"
    os.kill(process.pid, number)
    process.end()
    assert wait_until(lambda: not any(each.is_running() for each in family))
    # Of the first turn the edit is there; of the second, which had written to its copy, nothing.
    assert machine.project.joinpath("a.txt").read_text() == "old\none\n"
    assert len(started(home)) == 2

    (home / "go").touch()
    ended = machine.vibe("run", "flow.py", "--json")
    assert json.loads(ended.out)["result"] == "mended", ended.err
    assert machine.project.joinpath("a.txt").read_text() == "old\none\none\ntwo\n"  # each turn adds a line
    assert len(started(home)) == 3
    assert os.listdir(home / ".cache/vibe/snapshots") == []
    assert machine.vibe("run", "flow.py").code == 0
    assert len(started(home)) == 3
