"""Profiles in whole runs: what reaches the model, whose word counts, what a change costs, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.cli.main import main
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import Warned
from vibe_workflows.engine.model import ModelRequest, Role, RunId

REVIEWER = """\
---
name: reviewer
description: Reviews
model: fast
tools: read
effort: high
temperature: 0.5
max_tokens: 321
max_turns: 7
---
You are strict.
"""
PLAIN = body("return await agent('Look', profile='reviewer', label='look', retries=0)")
FLAGS: dict[str, Any] = {"flags": {"model": ["scripted", "fast=played/quick", "other=played/other"]}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def run(project: RunProject, source: str = PLAIN, **wanted: Any) -> RunId:
    report = project.run(source, lambda _request: "fine", **{**FLAGS, **wanted})
    assert report.exit_code is ExitCode.DONE, report.error
    return report.run.id


def the_request(project: RunProject) -> ModelRequest:
    (request,) = project.backend.requests
    return request


def system_of(request: ModelRequest) -> str:
    return "\n".join(message.text for message in request.messages if message.role is Role.SYSTEM)


def told(project: RunProject) -> list[str]:
    return [event.message for event in project.seen.of(Warned)]


def vibe(capfd: pytest.CaptureFixture[str], *args: str) -> str:
    capfd.readouterr()
    assert main(args) == 0
    return capfd.readouterr().out


def test_what_a_profile_says_reaches_the_model(project: RunProject) -> None:
    project.write(".claude/agents/reviewer.md", REVIEWER)
    made = run(project)
    request = the_request(project)
    assert system_of(request) == "You are strict."
    assert request.model == "played/quick"
    assert {tool.name for tool in request.tools} == {"read_file", "list_files", "glob", "grep", "git_diff"}
    assert (request.effort, request.temperature, request.max_tokens) == ("high", 0.5, 321)
    (step,) = project.steps(made)
    spec = json.loads(step.spec)
    assert (spec["profile"], spec["max_turns"], spec["grants"]) == ("reviewer", 7, ["read"])
    assert told(project) == []


def test_what_the_call_says_goes_before_the_profile(project: RunProject) -> None:
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    run(
        project,
        body(
            "return await agent('Look', profile='reviewer', system='Be mild.', model='other', tools=['grep'],",
            "    effort='low', temperature=0, max_tokens=5, max_turns=2)",
        ),
    )
    request = the_request(project)
    assert (system_of(request), request.model) == ("Be mild.", "played/other")
    assert [tool.name for tool in request.tools] == ["grep"]
    assert (request.effort, request.temperature, request.max_tokens) == ("low", 0.0, 5)
    run(project, body("return await agent('Look', profile='reviewer', tools=[])"))
    assert the_request(project).tools == ()


def test_without_a_text_of_its_own_a_profile_leaves_the_usual_system_text(project: RunProject) -> None:
    project.write(".vibe/agents/quick.md", "---\nmodel: fast\n---\n")
    run(project, body("return await agent('Look', profile='quick')"))
    usual = system_of(the_request(project))
    assert "one step of a larger workflow" in usual
    run(project, body("return await agent('Look', cache='other')"))
    assert system_of(the_request(project)) == usual


def test_a_changed_profile_makes_its_own_steps_live_and_no_others(project: RunProject) -> None:
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    project.write(".vibe/agents/other.md", "Other.")
    both = body(
        "one = await agent('Look', profile='reviewer')",
        "two = await agent('See', profile='other')",
        "return [one, two]",
    )
    run(project, both)
    assert project.asked == 2
    run(project, both)
    assert project.asked == 0

    project.write(".vibe/agents/unused.md", "New.")
    project.write(".vibe/agents/reviewer.md", REVIEWER.replace("Reviews", "Reviews, and more"))
    run(project, both)
    assert project.asked == 0, "what no model is told makes no other step"

    project.write(".vibe/agents/reviewer.md", REVIEWER.replace("strict", "mild"))
    run(project, both)
    assert project.prompts == ["Look"]
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    run(project, both)
    assert project.asked == 0

    (project.folder / ".vibe/agents/reviewer.md").unlink()
    project.write(".claude/agents/reviewer.md", REVIEWER)
    run(project, both)
    assert project.asked == 0, "it says the same, wherever it lies"


@pytest.mark.parametrize(
    ("before", "after", "fields", "said"),
    [
        ("strict", "mild", ["system"], "-You are strict. +You are mild."),
        ("max_turns: 7", "max_turns: 8", ["max_turns"], "7 -> 8"),
        ("tools: read\n", "tools: grep\n", ["tools"], "gone: read_file"),
        ("model: fast", "model: other", ["model"], "now by profile reviewer, alias other"),
    ],
)
def test_why_names_what_a_changed_profile_changed(
    project: RunProject, capfd: pytest.CaptureFixture[str], before: str, after: str, fields: list[str], said: str
) -> None:
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    run(project)
    project.write(".vibe/agents/reviewer.md", REVIEWER.replace(before, after))
    run(project)
    why = json.loads(vibe(capfd, "why", "1", "--json"))
    changes = why["nearest"]["changes"]
    assert [change["field"] for change in changes] == fields
    text = " ".join(vibe(capfd, "why", "1").split())
    assert said in text
    if fields != ["model"]:
        assert "where the call does not say it, the file of the profile `reviewer` does" in text


def test_why_names_another_profile(project: RunProject, capfd: pytest.CaptureFixture[str]) -> None:
    project.write(".vibe/agents/reviewer.md", "Same.")
    project.write(".vibe/agents/other.md", "Same.")
    run(project)
    run(project, PLAIN.replace("'reviewer'", "'other'"))
    assert "profile reviewer -> other" in " ".join(vibe(capfd, "why", "1").split())
    run(project, PLAIN.replace("profile='reviewer'", "system='Same.'"))
    assert "profile other -> not given" in " ".join(vibe(capfd, "why", "1").split())


def test_the_trace_says_which_profile_a_step_had_and_who_chose_its_model(
    project: RunProject, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    run(project)
    text = vibe(capfd, "trace", "--step", "1")
    assert "profile: reviewer; tools: read_file" in text
    assert "asked played/quick (profile reviewer, alias fast)" in text
    document = json.loads(vibe(capfd, "trace", "--step", "1", "--json"))
    assert (document["profile"], document["model_reason"]) == ("reviewer", "profile reviewer, alias fast")
    run(project, body("return await agent('Look')"))
    assert json.loads(vibe(capfd, "trace", "--step", "1", "--json"))["profile"] is None


def test_what_does_not_count_is_told_once_a_run(project: RunProject) -> None:
    project.write(
        ".claude/agents/reviewer.md", "---\nmodel: opus\ntools: Read, Task\nhooks: {}\n---\nYou are strict.\n"
    )
    run(project, body("return await parallel(agent(f'Look {n}', profile='reviewer') for n in range(3))"))
    assert project.asked == 3
    assert {request.model for request in project.backend.requests} == {"scripted"}
    assert {tool.name for request in project.backend.requests for tool in request.tools} == {"read_file"}
    assert [message.split("`")[1] for message in told(project)] == ["model: opus", "tools", "hooks"]


def test_a_dry_run_knows_profiles(project: RunProject) -> None:
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    found = project.dry_run(PLAIN, **FLAGS)
    assert [step.model for step in found.live] == ["played/quick"]
    run(project)
    assert len(project.dry_run(PLAIN, **FLAGS).stored) == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "profile='reviwer'",
            "no profile `reviwer` in .vibe/agents, .claude/agents, ~/.config/vibe/agents; did you mean",
        ),
        (
            "profile='broken'",
            "agent: profile `broken`: .vibe/agents/broken.md:2: `max_turns`: a whole number is needed",
        ),
        ("profile='../reviewer'", "agent: profile takes the name of a profile"),
        ("profile=''", "agent: profile takes the name of a profile"),
        ("profile='a' * 65", "agent: profile takes the name of a profile"),
        ("profile=3", "agent: profile takes the name of a profile"),
    ],
)
def test_a_profile_that_cannot_be_had_is_a_setup_error_that_no_fan_out_hides(
    project: RunProject, call: str, said: str
) -> None:
    project.write(".vibe/agents/reviewer.md", REVIEWER)
    project.write(".vibe/agents/broken.md", "---\nmax_turns: many\n---\n")
    report = project.run(body(f"return await parallel([agent('Look', {call}), agent('Else')])"), **FLAGS)
    assert report.exit_code is ExitCode.USAGE
    assert report.error is not None
    assert report.error.type == "SetupError"
    assert said in report.error.message


def test_what_a_profile_asks_for_is_denied_until_the_person_grants_it(project: RunProject) -> None:
    project.write(".claude/agents/fixer.md", "---\ntools: Read, Edit\n---\nFix.\n")
    project.write(".claude/agents/asker.md", "---\npermissions: [write]\n---\nAsk.\n")
    source = body(
        "said = []",
        "for name in ('fixer', 'asker'):",
        "    try:",
        "        said.append(await agent('Look', profile=name))",
        "    except ToolDenied as error:",
        "        said.append(error.message)",
        "return said",
    )
    denied = project.result(source, lambda _request: "fine")
    assert "tool `edit_file` needs the grant `write`" in denied[0]
    assert ".claude/agents/asker.md: the profile asks for write, which this run does not have" in denied[1]
    assert project.asked == 0
    assert (
        project.result(source, lambda _request: "fine", flags={"model": "scripted", "allow": "write"}) == ["fine"] * 2
    )
    assert [tool.name for tool in project.backend.requests[0].tools] == ["read_file", "edit_file"]


def test_a_projects_profile_takes_the_name_of_ones_own_after_vibe_trust(
    project: RunProject, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write("../home/.config/vibe/agents/reviewer.md", "Mine.")
    run(project)
    assert system_of(the_request(project)) == "Mine."
    project.write(".claude/agents/reviewer.md", "Theirs.")
    report = project.run(PLAIN)
    assert report.error is not None
    assert (
        ".claude/agents/reviewer.md takes the name of your own, ~/.config/vibe/agents/reviewer.md"
        in report.error.message
    )
    assert project.asked == 0

    (offer,) = json.loads(vibe(capfd, "trust", "--json"))["profiles"]
    assert (offer["name"], offer["hides"]) == ("reviewer", "~/.config/vibe/agents/reviewer.md")
    wants = "wants to be the profile `reviewer`, in place of ~/.config/vibe/agents/reviewer.md"
    assert wants in " ".join(vibe(capfd, "trust", "--yes").split())
    run(project)
    assert system_of(the_request(project)) == "Theirs."
    assert "nothing here needs your trust" in vibe(capfd, "trust")
    vibe(capfd, "trust", "--revoke")
    assert project.run(PLAIN).error is not None


def test_doctor_says_which_profiles_are_broken(project: RunProject, capfd: pytest.CaptureFixture[str]) -> None:
    project.write(".vibe/agents/good.md", "---\nmodel: opus\n---\nGood.")
    project.write(".claude/agents/broken.md", "---\nmodel: http://evil\n---\n")
    capfd.readouterr()
    main(["doctor"])
    text = capfd.readouterr().out
    assert "profiles: 2 files, 1 BROKEN" in text
    assert ".claude/agents/broken.md:2: the model `http://evil` holds an address" in text
    assert ".vibe/agents/good.md:2: `model: opus` is ignored" in text
    main(["doctor", "--json"])
    found = json.loads(capfd.readouterr().out)["profiles"]
    assert [(each["path"], each["problem"] is None) for each in found] == [
        (".vibe/agents/good.md", True),
        (".claude/agents/broken.md", False),
    ]
