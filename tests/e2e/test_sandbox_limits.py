"""The limits of a script that a person can set, and what a script that goes beyond one is told."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Machine


@pytest.mark.parametrize(
    ("key", "value", "body"),
    [
        ("sandbox.memory_mb", "64", "return [str(n) * 1000 for n in range(10**6)]"),
        ("sandbox.cpu_s", "1", "while True: pass"),
        ("sandbox.calls", "3", "return await parallel(agent(str(n)) for n in range(4))"),
        ("sandbox.log_lines", "3", "for n in range(4): log(n)"),
        ("sandbox.stall_s", "0.3", "for n in range(10**9): pass"),
    ],
)
def test_a_limit_that_is_set_holds_and_its_error_names_it(machine: Machine, key: str, value: str, body: str) -> None:
    machine.write("flow.py", f'"""Too much."""\n{body}\n')
    done = machine.vibe("run", "flow.py", "--json", **{"VIBE_" + key.upper().replace(".", "_"): value})
    assert done.code == 4
    error = done.document["error"]
    assert key in error["message"], error
    assert key in done.err
