"""Whole runs whose steps are done by agent CLIs: what lands, what is paid, and when it is answered from the store."""

from __future__ import annotations

import pytest

from tests.support.fake_clis import PROGRAMS, deeds
from vibe_workflows.engine.errors import ExitCode

from .conftest import Machine

AGENTS = tuple(PROGRAMS)


def step(prompt: str, model: str, more: str = "") -> str:
    return f"return await agent({prompt!r}, model={model!r}{', ' if more else ''}{more})"


@pytest.mark.parametrize("agent", AGENTS)
def test_what_a_program_says_and_changes_is_the_steps_and_a_rerun_is_free(machine: Machine, agent: str) -> None:
    machine.project.write("a.py", "old\n")
    flow = step(
        deeds(write={"a.py": "new\n", "sub/b.py": "b\n"}, say="I did it."), f"{agent}/some-model", "tools=['write']"
    )
    report = machine.run(flow)
    assert report.error is None
    assert report.result == b'"I did it."'
    assert (machine.project.folder / "a.py").read_text() == "new\n"
    assert (machine.project.folder / "sub/b.py").read_text() == "b\n"
    (one,) = machine.started
    assert one["cwd"] != str(machine.project.folder)
    assert "some-model" in one["argv"]
    usage = report.run.paid
    if agent == "paseo":
        assert usage.estimated
    else:
        assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (100, 30, 70)
        cost = {"claude-code": 250_000, "opencode": 250_000}
        assert (usage.cost_microusd, usage.estimated) == (cost.get(agent), False)
    (call,) = machine.project.tool_calls(report.run.id)
    assert (call.name, call.outcome) == (agent, "ok")
    assert [seen.tool for seen in call.observations] == ["file_tree", "file_state", "file_state"]

    again = machine.run(flow)
    assert (again.exit_code, again.run.live_steps, len(machine.started)) == (ExitCode.DONE, 0, 1)
