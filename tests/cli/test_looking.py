"""vibe show, validate, trust, guide and doctor, and vibe list as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import FLOW, Command, CommandHere

CONFIG = "model: some/model\nallow: [write, command:rm]\n"


@pytest.fixture
def catalog(here: CommandHere) -> CommandHere:
    """A project workflow, one with a command's name, one that is broken, one that hides the user's own."""
    here.command.write("workflows/my_flow.py", FLOW)
    here.command.write("workflows/run.py", '"""Clashes with a command."""\nreturn 1\n')
    here.command.write("workflows/broken.py", '"""Broken."""\nimport os\nimport sys\n')
    here.command.write("workflows/daily.py", '"""The project\'s daily."""\nreturn 1\n')
    here.command.write("workflows/no name.py", "return 1\n")
    own = here.command.home / ".config" / "vibe" / "workflows"
    own.mkdir(parents=True)
    (own / "daily.py").write_text('"""My own daily."""\nreturn 2\n')
    return here


def test_list_as_json(catalog: CommandHere) -> None:
    found = json.loads(catalog("list", "--json").stdout)
    by_name = {each["name"]: each for each in found["workflows"]}
    assert by_name["my-flow"]["description"] == "Asks about each item, then merges."
    assert (by_name["my-flow"]["runs"], by_name["broken"]["runs"]) == (True, False)
    assert by_name["daily"]["hides"] == [str(catalog.command.home / ".config/vibe/workflows/daily.py")]
    assert [Path(each["path"]).name for each in found["skipped"]] == ["no name.py"]


def test_show_tells_what_a_workflow_takes_and_prints_its_source(catalog: CommandHere) -> None:
    text = catalog("show", "my-flow").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:2] == ["my-flow", "Asks about each item, then merges."]
    assert f"file {catalog.project}/workflows/my_flow.py" in lines
    assert "phases Ask, Merge" in lines
    assert "--topic string tea what to ask about" in lines
    assert text.endswith(FLOW)
    shown = json.loads(catalog("show", "workflows/my_flow.py", "--json").stdout)
    assert (shown["origin"], shown["source"]) == ("path", FLOW)


def test_show_draws_the_plan_and_gives_the_source_alone_where_that_is_asked_for(catalog: CommandHere) -> None:
    text = catalog("show", "my-flow", "--plan").stdout
    assert text.split("\nplan\n")[1].splitlines() == [
        "Ask",
        "└─ parallel  for n in range(args.max_items)",
        "   └─ agent  ask:{n}  Ask about {args.topic} {n}",
        "Merge",
        "└─ agent  merge  Merge {len(found)}",
    ]
    assert text in catalog("show", "my-flow").stdout
    assert catalog("show", "my-flow", "--source").stdout == FLOW
    shown = json.loads(catalog("show", "my-flow", "--json").stdout)
    assert [(node["kind"], node["title"]) for node in shown["plan"]] == [("phase", "Ask"), ("phase", "Merge")]
    assert catalog("show", "my-flow", "--plan", "--source").returncode == 2


def test_show_of_a_broken_workflow_says_what_is_wrong_and_draws_no_plan(catalog: CommandHere) -> None:
    text = catalog("show", "broken").stdout
    assert "broken.py:2:" in text
    assert "\nplan\n" not in text


def test_show_prints_no_control_character_of_a_source(here: CommandHere) -> None:
    here.command.write("evil.py", '"""E."""\n# \x1b[2J\x07\u202e\nreturn 1\n')
    text = here("show", "evil.py").stdout
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_validate_prints_each_problem_with_file_line_and_column(catalog: CommandHere) -> None:
    done = catalog("validate", "workflows/broken.py", "flow.py", "nope.py")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0].startswith("workflows/broken.py:2:")
    assert lines[1].startswith("workflows/broken.py:3:")
    assert lines[2].startswith("flow.py:9:13: warning[unused-arg]: ")
    assert lines[3].startswith("nope.py:1:1: ")
    assert "3 files checked, 3 with problems: 3 errors, 1 warning" in done.stderr
    found = json.loads(catalog("validate", "workflows/broken.py", "flow.py", "--json").stdout)
    assert [(each["file"], each["valid"]) for each in found] == [("workflows/broken.py", False), ("flow.py", True)]
    assert found[0]["problems"][0]["line"] == 2


def test_validate_of_sound_files_is_silent_on_stdout(here: CommandHere) -> None:
    here.command.write("flow.py", FLOW.replace('"loud": {"type": "boolean"},', ""))
    done = here("validate", "flow.py")
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 file checked, no problem found" in done.stderr


# ---------------------------------------------------------------- trust


def test_a_projects_own_grants_are_ignored_with_a_warning_until_it_is_trusted(here: CommandHere) -> None:
    here.command.write("vibe.yaml", CONFIG)
    assert "warning:" in here("list").stderr
    asked = here("trust", "--yes")
    assert asked.returncode == 0
    assert "wants to set what needs your trust:\n  line 2: allow: " in asked.stdout
    assert "model" not in asked.stdout, "what a project may set anyway is not asked about"
    assert "warning:" not in here("list").stderr
    again = here("trust")
    assert again.returncode == 0
    assert "nothing here needs your trust" in again.stdout
    assert "trusted already: " in again.stdout
    assert "no longer trusted: " in here("trust", "--revoke").stdout
    assert "warning:" in here("list").stderr


def test_a_changed_file_is_untrusted_again(here: CommandHere) -> None:
    here.command.write("vibe.yaml", CONFIG)
    here("trust", "--yes")
    here.command.write("vibe.yaml", CONFIG + "db: elsewhere.db\n")
    assert "line 3: db: " in here("trust", "--yes").stdout


def test_without_anybody_to_ask_nothing_becomes_trusted(vibe: Command, here: CommandHere) -> None:
    vibe.write("vibe.yaml", CONFIG)
    done = vibe("trust", stdin=b"y\n")
    assert done.returncode == 6
    assert "nothing was changed: there is nobody to ask here" in done.stderr
    assert "warning:" in here("list").stderr


def test_trust_as_json_only_shows(catalog: CommandHere) -> None:
    catalog.command.write("vibe.yaml", CONFIG)
    report = json.loads(catalog("trust", "--json").stdout)
    assert [key["name"] for key in report["config"]["keys"]] == ["allow"]
    assert [each["name"] for each in report["workflows"]] == ["daily"]
    assert report["store"] is None
    assert json.loads(catalog("trust", "--json").stdout) == report


def test_a_workflow_with_somebody_elses_name_runs_by_name_once_it_is_trusted(catalog: CommandHere) -> None:
    refused = catalog("daily")
    assert refused.returncode == 6
    assert "vibe trust" in refused.stderr
    catalog("trust", "--yes")
    assert catalog("daily").stdout == "1\n"


def test_a_store_that_somebody_else_made_answers_nothing_until_it_is_trusted(here: CommandHere) -> None:
    here("run", "flow.py")
    state = here.command.home / ".local" / "state" / "vibe" / "stores.json"
    state.unlink()
    assert json.loads(here("run", "flow.py", "--json").stdout)["cached"] == 0
    asked = here("trust", "--yes")
    assert "was not made by you on this machine" in asked.stdout
    assert json.loads(here("run", "flow.py", "--json").stdout)["cached"] == 3


# ---------------------------------------------------------------- guide and doctor


def test_the_guide_is_printed_as_it_is(here: CommandHere) -> None:
    assert here("guide").stdout.startswith("#")


def test_doctor_says_what_holds_and_whether_runs_are_accepted(here: CommandHere) -> None:
    done = here("doctor", "--json")
    report = json.loads(done.stdout)
    assert report["runs"] is (done.returncode == 0)
    assert report["accepted"] == "strong"
    assert {probe["name"] for probe in report["probes"]} >= {"read_file", "fork", "tcp_socket"}
    commands = report["commands"]
    assert commands["level"] in ("strong", "good", "weak")
    assert {probe["name"] for probe in commands["probes"]} >= {"read_home", "tcp", "leave_daemon"}
    assert (report["store"]["exists"], report["store"]["sound"]) == (False, None)


def test_doctor_names_each_mcp_server_and_whether_it_can_be_found_and_starts_none(
    here: CommandHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = here.project / "started"
    servers = {
        "gone": {"command": ["no-such-program-here"]},
        "there": {"command": ["touch", str(mark)]},
        "web": {"url": "https://example.com/mcp", "headers": {"Authorization": "${NOT_SET_HERE}"}},
    }
    monkeypatch.setenv("VIBE_MCP", json.dumps(servers))
    found = {each["name"]: each for each in json.loads(here("doctor", "--json").stdout)["mcp"]}
    assert "there is no program 'no-such-program-here' here" in found["gone"]["problem"]
    assert found["there"]["target"].endswith("/touch")
    assert (found["there"]["problem"], found["there"]["tools"]) == (None, None)
    assert "the variable NOT_SET_HERE" in found["web"]["problem"]
    assert not mark.exists()
    assert "there is no program" in " ".join(here("doctor").stdout.split())


def test_doctor_lists_agent_clis_and_whether_their_programs_are_found_and_starts_none(
    here: CommandHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = here.project / "claude"
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here.project}:/usr/bin:/bin")
    mine = {"argv": ["touch", "started"], "answer": "a"}
    monkeypatch.setenv("VIBE_AGENTS", json.dumps({"claude-code": True, "mine": mine, "codex": False}))
    found = {each["name"]: each for each in json.loads(here("doctor", "--json").stdout)["agents"]}
    assert found["mine"] == {"name": "mine", "enabled": True, "program": "/usr/bin/touch", "problem": None}
    assert "no such program in PATH" in found["claude-code"]["problem"]
    assert found["codex"]["enabled"] is False
    assert not (here.project / "started").exists()


def test_doctor_in_words_names_a_hole_and_what_follows_from_it() -> None:
    from vibe_workflows.cli.doctor import scripts_text
    from vibe_workflows.sandbox.doctor import DoctorReport, Probe
    from vibe_workflows.sandbox.level import Level

    report = DoctorReport(
        level=Level.WEAK,
        layers={"landlock": "ABI 7", "seccomp": "", "no seccomp": "the kernel has none"},
        facts={"system": "Linux 6.1"},
        probes=(
            Probe(name="fork", words="start a process", critical=True, blocked=False, outcome="it got through"),
            Probe(name="read", words="read a file", critical=True, blocked=True, outcome="PermissionError"),
        ),
    )
    lines = [" ".join(line.split()) for line in scripts_text(report, "strong", width=80, colour=False).splitlines()]
    assert lines[0] == "sandbox: weak (what is left has known holes)"
    assert lines[1].startswith(
        "`vibe run` refuses, since strong is asked for. To run all the same: --sandbox-accept weak"
    )
    assert "seccomp not in force" in lines
    assert "start a process YES it got through" in lines
    assert "read a file no PermissionError" in lines


def test_doctor_in_words_tells_of_commands_apart_from_scripts() -> None:
    from vibe_workflows.cli.doctor import commands_text
    from vibe_workflows.sandbox.confine import ConfineReport, Level
    from vibe_workflows.sandbox.doctor import Probe

    report = ConfineReport(
        level=Level.GOOD,
        layers={"landlock": "ABI 7", "user": "", "no user": "no user namespaces here"},
        probes=(Probe(name="tcp", words="connect out", critical=True, blocked=True, outcome="PermissionError"),),
    )
    lines = [" ".join(line.split()) for line in commands_text(report, width=80, colour=False).splitlines()]
    assert lines[0].startswith("commands of agents: good (no namespaces;")
    assert "user not in force" in lines
    assert "no user no user namespaces here" in lines
    assert "connect out no PermissionError" in lines
