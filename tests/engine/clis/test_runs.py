"""Whole runs whose steps are done by agent CLIs: what lands, what is paid, and when it is answered from the store."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from tests.support.cli_machine import Machine
from tests.support.fake_clis import PROGRAMS, deeds, install
from tests.support.repositories import git
from vibe_workflows.engine.errors import ExitCode, GrantNeeded
from vibe_workflows.engine.events import Warned

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


def test_a_step_that_may_not_write_is_run_read_only_and_what_it_changes_is_thrown_away(machine: Machine) -> None:
    machine.project.write("a.py", "old\n")
    flow = step(deeds(write={"a.py": "new\n", "b.py": "b\n"}, say="looked"), "codex")
    report = machine.run(flow, "agent")
    assert report.result == b'"looked"'
    assert (machine.project.folder / "a.py").read_text() == "old\n"
    assert not (machine.project.folder / "b.py").exists()
    assert "read-only" in machine.started[0]["argv"]
    (call,) = machine.project.tool_calls(report.run.id)
    assert "thrown away, since the step may not write: a.py, b.py" in call.output
    assert [seen.tool for seen in call.observations] == ["file_tree"]
    # It may have looked at any file: with any other one it is asked again.
    machine.run(flow, "agent")
    assert len(machine.started) == 1
    machine.project.write("c.py", "c\n")
    machine.run(flow, "agent")
    assert len(machine.started) == 2


def test_the_trace_has_the_command_line_and_all_output_without_keys(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very\\secret-key")
    monkeypatch.setenv("OTHER_TOKEN", "another-secret")
    flow = step(deeds(echo="ANTHROPIC_API_KEY"), "claude-code", "system='Be brief.'")
    report = machine.run(flow)
    assert report.result == b'"***"'
    (call,) = machine.project.tool_calls(report.run.id)
    assert "secret" not in call.output + call.whole + call.arguments
    assert '"--append-system-prompt","{system}"' in call.arguments
    (one,) = machine.started
    assert one["environ"]["ANTHROPIC_API_KEY"] == "sk-very\\secret-key"
    assert not {"OTHER_TOKEN", "VIBE_MODEL", "PYTHONPATH"} & one["environ"].keys()
    assert one["argv"][one["argv"].index("--append-system-prompt") + 1] == "Be brief."


def test_an_answer_in_a_schema_is_asked_for_in_the_prompt_and_corrected_in_a_new_turn(machine: Machine) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    flow = step(deeds(say='{"n": "no"}', again={"say": '{"n": 7}'}), "gemini-cli", f"schema={schema}")
    assert machine.result(flow) == {"n": 7}
    first, second = machine.started
    assert '"required":["n"]' in first["stdin"]
    assert "does not fit the required schema" in second["stdin"]
    assert '{"n": "no"}' in second["stdin"].partition("=== Your answer ===")[2]
    again = machine.error(step(deeds(say="never"), "codex", f"schema={schema}"))
    assert again.startswith("SchemaMismatch: ")
    assert len(machine.started) == 5


def test_context_and_files_are_in_the_prompt(machine: Machine) -> None:
    machine.project.write("notes.txt", "Remember the milk.\n")
    machine.run(step("Sum up.", "opencode", "context='All of it.', files=['notes.txt']"))
    (one,) = machine.started
    prompt = one["stdin"]
    assert prompt.index("All of it.") < prompt.index("Remember the milk.") < prompt.index("Sum up.")
    assert "is given texts only" in machine.error(step("Look.", "codex", "files=['a.png']"), flags=_png(machine))


def _png(machine: Machine) -> dict[str, str]:
    machine.project.write("a.png", b"\x89PNG\r\n\x1a\n" + bytes(30))
    return {}


def test_a_red_gate_has_it_work_again_in_its_worktree_and_nothing_lands_before(machine: Machine) -> None:
    machine.project.write("a.txt", "old\n")
    prompt = deeds(append={"a.txt": "one\n"}, again={"append": {"a.txt": "two\n"}, "read": "a.txt"})
    more = "tools=['write'], isolation='worktree', gate=['grep', '-q', 'two', 'a.txt']"
    report = machine.run(step(prompt, "claude-code", more), "agent:claude-code,write,command")
    assert report.error is None
    assert report.result == b'"old\\none\\none\\ntwo\\n"'
    assert (machine.project.folder / "a.txt").read_text() == "old\none\none\ntwo\n"
    calls = machine.project.tool_calls(report.run.id)
    assert [(call.name, call.outcome) for call in calls] == [
        ("claude-code", "ok"),
        ("gate", "error"),
        ("claude-code", "ok"),
        ("gate", "ok"),
    ]
    machine.run(step(prompt, "claude-code", more), "agent:claude-code,write,command")
    assert len(machine.started) == 2


def test_programs_side_by_side_in_worktrees_land_one_after_the_other(machine: Machine) -> None:
    machine.project.write("a.txt", "".join(f"{n}\n" for n in range(20)))
    calls = [
        f"agent({deeds(write={f'{n}.txt': 'mine'})!r}, model='codex', tools=['write'], isolation='worktree')"
        for n in range(3)
    ]
    assert machine.result(f"return await parallel([{', '.join(calls)}])") == ["done"] * 3
    assert sorted(path.name for path in machine.project.folder.glob("?.txt")) == ["0.txt", "1.txt", "2.txt", "a.txt"]


@pytest.mark.parametrize("more", ["", "isolation='worktree'"])
def test_it_cannot_reach_the_repository_by_the_folder_that_it_stands_in(machine: Machine, more: str) -> None:
    folder = machine.project.folder
    git(folder, "init", "-q")
    head = (folder / ".git/HEAD").read_text()
    prompt = deeds(write={".git/HEAD": "ref: refs/heads/theirs\n", "a.py": "mine\n"})
    report = machine.run(step(prompt, "codex", f"tools=['write']{', ' if more else ''}{more}"))
    assert report.result == b'"done"'
    assert (folder / ".git/HEAD").read_text() == head
    assert (folder / "a.py").read_text() == "mine\n"


# ---------------------------------------------------------------- the project's settings


SETTINGS = {
    ".claude/settings.json": "{}",
    "one/.claude/skills/a.md": "a skill",
    "one/main.py": "pass\n",
    ".env": "A=1\n",
    "two/.mcp.json": "{}",
}


@pytest.mark.parametrize("more", ["", ", isolation='worktree'"])
def test_the_projects_settings_are_not_in_its_copy_and_do_not_count_as_deleted(machine: Machine, more: str) -> None:
    folder = machine.project.folder
    for path, text in {**SETTINGS, "CLAUDE.md": "Be kind.\n", ".codex/config.toml": "another's"}.items():
        machine.project.write(path, text)
    prompt = deeds(remove="one", write={"a.py": "new\n"}, list=True)
    report = machine.run(step(prompt, "claude-code", f"tools=['write']{more}"))
    assert report.result is not None, report.error
    found = json.loads(report.result).split()
    assert {"CLAUDE.md", ".codex/config.toml", "a.py"} <= {*found}
    assert not SETTINGS.keys() & {*found}
    assert (folder / "a.py").exists()
    assert [path for path in SETTINGS if not (folder / path).exists()] == ["one/main.py"]
    (call,) = machine.project.tool_calls(report.run.id)
    assert "not kept" not in call.output


def test_a_person_may_let_the_projects_settings_count_which_is_another_step(machine: Machine) -> None:
    hook = {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": 'echo ran > "$HOME/mark"'}]}]}}
    machine.project.write(".claude/settings.json", json.dumps(hook))
    flow = step(deeds(list=True), "claude-code")
    assert "settings.json" not in machine.result(flow)
    assert not (machine.home / "mark").exists()
    machine.configure(claude_code={"project_settings": True})
    assert ".claude/settings.json" in machine.result(flow)
    assert (machine.home / "mark").exists()
    machine.configure(claude_code={"leaves_out": ["sett*"]})
    assert "settings.json" not in machine.result(flow)
    assert len(machine.started) == 3


# ---------------------------------------------------------------- grants, names and tools


def test_without_the_grant_nothing_starts(machine: Machine) -> None:
    flow = step("x", "codex")
    assert "needs the grant `agent:codex`" in machine.error(flow, "write")
    assert "needs the grant `agent:codex`" in machine.error(flow, "agent:claude-code")
    meta = "meta = {'name': 'flow', 'permissions': ['agent:codex']}\nasync def main(args):\n    " + flow
    assert _grant_needed(machine, meta) == ExitCode.GRANT
    assert machine.result(meta, "agent:codex") == "done"
    assert len(machine.started) == 1


def _grant_needed(machine: Machine, flow: str) -> ExitCode:
    with pytest.raises(GrantNeeded, match="--allow agent:codex") as caught:
        machine.run(flow, "write")
    return caught.value.exit_code


@pytest.mark.parametrize("agents", [{}, {"claude-code": {"enabled": False}}])
def test_one_that_is_not_enabled_says_what_to_write(machine: Machine, agents: dict[str, object]) -> None:
    machine.configure(**agents)
    machine.project.write("vibe.yaml", "agents: {claude-code: true}\n")
    error = machine.error(step("x", "claude-code/opus"))
    assert "SetupError: claude-code/opus: " in error
    assert "`agents: {claude-code: true}`" in error
    assert machine.started == []


def test_a_name_leads_to_it_wherever_models_are_named(machine: Machine) -> None:
    assert machine.result("return await agent('x')", flags={"model": "codex/o9"}) == "done"
    assert machine.result("return await agent('x', model='deep')", flags={"model": "deep=claude-code/opus"}) == "done"
    assert [one["argv"][one["argv"].index("--model") + 1] for one in machine.started] == ["o9", "opus"]
    machine.run("return await agent('x', model='codex')")
    assert "--model" not in machine.started[2]["argv"]


@pytest.mark.parametrize(
    ("tools", "allow", "message"),
    [
        ("['read_file']", "agent", "cannot be given `read_file`; the groups read, write, command"),
        ("['write', 'grep']", "agent,write", "cannot be given `grep`"),
        ("['command']", "agent,command:pytest", "needs the whole grant: --allow command"),
        ("['run_command']", "agent,command:pytest", "needs the whole grant: --allow command"),
        ("['write']", "agent", "needs the grant `write`"),
    ],
)
def test_it_has_its_own_tools_and_groups_say_what_it_may_do(
    machine: Machine, tools: str, allow: str, message: str
) -> None:
    assert message in machine.error(step("x", "codex", f"tools={tools}"), allow)
    assert machine.started == []


def test_a_profile_may_say_what_it_is_and_name_groups(machine: Machine) -> None:
    machine.project.write(
        ".vibe/agents/fixer.md", "---\nname: fixer\nmodel: codex/o9\ntools: [read, write]\n---\nYou fix things."
    )
    assert machine.result("return await agent('x', profile='fixer')") == "done"
    (one,) = machine.started
    assert "workspace-write" in one["argv"]
    assert one["stdin"] == "You fix things.\n\nx"
    machine.project.write(".vibe/agents/one.md", "---\nname: one\nmodel: codex\ntools: [Read, Edit]\n---\nYou look.")
    assert "cannot be given `read_file`" in machine.error("return await agent('x', profile='one')")


def test_a_program_that_the_project_brings_is_never_started(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine.project.folder / "bin", "claude-code")
    install(machine.project.folder, "claude-code")
    folder = machine.project.folder
    monkeypatch.setenv("PATH", f".:{folder}:{folder / 'bin'}:/usr/bin:/bin")
    assert "no program `claude` in PATH" in machine.error(step("x", "claude-code"))
    (tmp_path / "claude").symlink_to(folder / "claude")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "no program `claude` in PATH" in machine.error(step("x", "claude-code"))
    assert machine.started == []


# ---------------------------------------------------------------- budgets


def test_under_a_budget_it_reserves_what_the_person_says_and_is_settled_to_what_it_used(machine: Machine) -> None:
    flow = step("x", "claude-code")
    assert "`agents: {NAME: {reserve: {tokens: 200k}}}`" in machine.error(flow, flags={"budget": "500k"})
    assert "`agents: {NAME: {reserve: {usd: 2.0}}}`" in machine.error(flow, flags={"budget": "$5"})
    assert machine.started == []
    machine.configure(claude_code={"reserve": {"tokens": "2k", "usd": 0.5}})
    assert machine.error(flow, flags={"budget": "1k"}).startswith("BudgetExceeded: ")
    assert machine.error(flow, flags={"budget": "$0.40"}).startswith("BudgetExceeded: ")
    assert machine.started == []
    twice = [
        "left = []",
        "for n in range(2):",
        "    await agent(f'{n}', model='claude-code')",
        "    left.append(budget.remaining())",
        "return left",
    ]
    assert machine.result("\n".join(twice), flags={"budget": "4k"}) == [3870, 3740]
    assert [event.message for event in machine.project.seen.of(Warned)] == []


def test_what_is_used_beyond_the_reserve_is_booked_and_told(machine: Machine) -> None:
    machine.configure(claude_code={"reserve": {"tokens": 50, "usd": 0.1}})
    report = machine.run(step("x", "claude-code"), flags={"budget": "1k"})
    assert report.run.paid.tokens == 130
    (warned,) = machine.project.seen.of(Warned)
    assert "used 130 tokens where 50 were reserved" in warned.message


def test_what_a_program_does_not_report_is_guessed_and_marked_and_ones_own_prices_count(machine: Machine) -> None:
    report = machine.run(step(deeds(nothing_used=True), "codex"))
    assert report.run.paid.estimated
    assert report.run.paid.cost_microusd is None
    file = machine.home / ".config/vibe/config.yaml"
    file.write_text(
        '{"agents": {"codex": true}, "prices": {"codex/gpt": {"input": 1.0, "output": 2.0, "cached": 0.1}}}'
    )
    assert machine.run(step("x", "codex/gpt")).run.paid.cost_microusd == 30 + 7 + 60


# ---------------------------------------------------------------- programs that fail


@pytest.mark.parametrize(
    ("agent", "deed", "error"),
    [
        ("claude-code", {"error": "Invalid API key · Please run /login"}, "SetupError: claude-code: `claude` ended"),
        ("codex", {"die": 9}, "ProviderError: codex: `codex` was killed by a signal"),
        ("gemini-cli", {"raw": "Welcome!"}, "ProviderError: gemini-cli: `gemini` gave no JSON"),
        ("codex", {"flood": 100}, "ProviderError: codex: `codex` gave 100,000,530 bytes of output, too many"),
    ],
)
def test_a_program_that_fails_is_an_error_with_its_type_and_leaves_nothing(
    machine: Machine, agent: str, deed: dict[str, object], error: str
) -> None:
    machine.project.write("a.py", "old\n")
    flow = step(deeds(write={"a.py": "half\n"}, **deed), agent, "tools=['write'], retries=0")
    assert error in machine.error(flow)
    assert (machine.project.folder / "a.py").read_text() == "old\n"


def test_what_failed_programs_used_is_paid(machine: Machine) -> None:
    report = machine.run(step(deeds(subtype="error_max_turns"), "claude-code"))
    assert report.run.paid.tokens == 130
    machine.configure(codex={"reserve": {"tokens": "9k", "usd": 1.0}})
    report = machine.run(step(deeds(die=9), "codex", "retries=0"))
    assert (report.run.paid.tokens, report.run.paid.cost_microusd, report.run.paid.estimated) == (
        9_000,
        1_000_000,
        True,
    )


def test_a_failure_that_may_pass_is_tried_again(machine: Machine) -> None:
    prompt = deeds(error="API Error: 529 overloaded_error")
    assert machine.error(step(prompt, "claude-code", "retries=1")).startswith("ProviderError: ")
    assert len(machine.started) == 2


def test_where_one_fails_another_goes_on(machine: Machine) -> None:
    file = machine.home / ".config/vibe/config.yaml"
    file.write_text('{"agents": {"codex": true, "gemini-cli": true}, "fallbacks": {"codex": ["gemini-cli/pro"]}}')
    flow = step(deeds(read="a.py", write={"a.py": "1"}), "codex", "tools=['write'], retries=0")
    machine.project.write("a.py", "0")
    program = machine.home.parent / "bin/codex"
    program.write_text("#!/bin/sh\necho broken; exit 3\n")
    assert machine.result(flow) == "0"
    assert (machine.project.folder / "a.py").read_text() == "1"
    assert [one["kind"] for one in machine.started] == ["gemini"]
    assert "needs the grant `agent:gemini-cli`" in machine.error(flow, "agent:codex,write")


def test_its_time_limit_kills_it_with_all_that_it_has_started(machine: Machine) -> None:
    machine.configure(codex={"timeout_s": 0.5})
    report = machine.run(step(deeds(hang=True), "codex"))
    assert report.error is not None
    assert report.error.type == "Timeout"
    assert not any(map(psutil.pid_exists, map(int, (machine.home / "hanging").read_text().split())))


def test_what_it_leaves_at_work_ends_with_it(machine: Machine) -> None:
    before = {process.pid for process in psutil.process_iter()}
    assert machine.result(step(deeds(child=True), "claude-code")) == "done"
    left = [process for process in psutil.process_iter() if process.pid not in before]
    assert not [process for process in left if "sleep" in process.name()]


def test_a_prompt_as_an_argument_may_be_as_long_as_is_said_and_more_than_can_be_given_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "return await agent('é' * 15_000, model='paseo')"
    assert machine.result(source) == "done"
    assert len(machine.started[0]["argv"][-1]) > 15_000
    machine.configure(paseo={"env": ["LARGE"]})
    monkeypatch.setenv("LARGE", "x" * 60_000)
    assert "ToolFailed: " in machine.error(source.replace("15_000", "15_001"))


# ---------------------------------------------------------------- one's own


def test_a_program_of_ones_own_is_described_in_the_configuration(machine: Machine) -> None:
    own = {
        "argv": ["codex", "exec", "{flags}", ["--task", "{prompt}"], ["--never", "{model}"]],
        "answer": "item.completed > item.text",
        "output": "lines",
        "modes": {"read": ["--look"]},
    }
    machine.configure(my_agent=own)
    assert machine.result(step(deeds(say="unread"), "my-agent"), "agent:my-agent") == "done"
    (one,) = machine.started
    assert one["argv"][:3] == ["exec", "--look", "--task"]
    assert one["argv"][3].endswith(deeds(say="unread"))
    assert one["stdin"] == ""
    # Another description is another key.
    machine.configure(my_agent=own)
    machine.run(step(deeds(say="unread"), "my-agent"), "agent:my-agent")
    assert len(machine.started) == 1
    machine.configure(my_agent={**own, "modes": {}})
    machine.run(step(deeds(say="unread"), "my-agent"), "agent:my-agent")
    assert len(machine.started) == 2
